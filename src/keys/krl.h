/*
 * krl.h - the inside of a revocation list: sets that are sorted most of the time. Private to krl.c, krl_read.c
 * and krl_write.c.
 *
 * What is added stands unsorted behind the sorted part and is looked through one by one; when that tail grows it
 * is sorted in. So reading any file, and adding in any order, costs n log n, and asking changes nothing.
 */
#ifndef NC_KEYS_KRL_H
#define NC_KEYS_KRL_H

#include "keys/cert.h"
#include "nacre/krl.h"

enum {
    /* OpenSSH's buffers hold 128 MiB; a list that size revokes millions of certificates one by one. */
    NC_KRL_MAX_FILE = 64 * 1024 * 1024,
    /* Entries of one set. A bitmap makes up to four of each of its bytes, so bytes alone are no bound. */
    NC_KRL_MAX_ENTRIES = 4 * 1024 * 1024,
    /* Every section names its CA, and is looked up: an organisation has a handful. */
    NC_KRL_MAX_CAS = 1024,
    NC_KRL_MAX_COMMENT = 4096,
    /* The longest mpint that OpenSSH reads. */
    NC_KRL_MAX_BITMAP = NC_MAX_MPINT,

    NC_KRL_CERTIFICATES = 1,
    NC_KRL_EXPLICIT = 2,
    NC_KRL_SHA1 = 3,
    NC_KRL_SIGNATURE = 4,
    NC_KRL_SHA256 = 5,
    NC_KRL_EXTENSION = 255,

    NC_KRL_SERIAL_LIST = 0x20,
    NC_KRL_SERIAL_RANGE = 0x21,
    NC_KRL_SERIAL_BITMAP = 0x22,
    NC_KRL_KEY_ID = 0x23,
    NC_KRL_CERT_EXTENSION = 0x39,

    NC_KRL_FORMAT = 1
};

extern const uint8_t nc_krl_magic[8];

typedef struct nc_krl_range {
    uint64_t lo, hi; /* both included */
} nc_krl_range;

typedef struct nc_krl_ranges {
    nc_krl_range *items;
    size_t count, room;
    size_t sorted; /* so many at the beginning are in order, apart and not adjacent */
} nc_krl_ranges;

/* Texts and blobs; each owned. */
typedef struct nc_krl_texts {
    nacre_span *items;
    size_t count, room;
    size_t sorted; /* so many at the beginning are in order, each once */
} nc_krl_texts;

typedef struct nc_krl_ca {
    nacre_span blob; /* owned; n 0: any CA */
    nc_krl_ranges serials;
    nc_krl_texts key_ids;
} nc_krl_ca;

struct nacre_krl {
    const nacre_allocator *alloc;
    uint64_t version, generated, flags;
    char *comment; /* NULL: "" */
    nc_krl_texts keys, sha1s, sha256s;
    nc_krl_ca *cas;
    size_t ca_count, ca_room;
};

int nc_krl_add_range(nacre_krl *k, nc_krl_ranges *set, uint64_t lo, uint64_t hi) NACRE_MUST_CHECK;
int nc_krl_add_text(nacre_krl *k, nc_krl_texts *set, nacre_span text) NACRE_MUST_CHECK;
/* The group of that CA (empty: any), made when it is not there. */
int nc_krl_get_ca(nacre_krl *k, nacre_span blob, nc_krl_ca **out) NACRE_MUST_CHECK;
/* Everything in order, once. */
void nc_krl_settle(nacre_krl *k);

/* krl_read.c: file begins with the magic. */
int nc_krl_read(nacre_krl *k, nacre_span file, nacre_error *err) NACRE_MUST_CHECK;

#endif
