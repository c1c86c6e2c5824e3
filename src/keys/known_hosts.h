/*
 * known_hosts.h - the inside of a nacre_known_hosts, for the files of src/keys that look it up and edit it, and
 * what the client asks of it beyond nacre/known_hosts.h.
 */
#ifndef NC_KEYS_KNOWN_HOSTS_H
#define NC_KEYS_KNOWN_HOSTS_H

#include "keys/key.h"
#include "keys/pattern.h"
#include "nacre/known_hosts.h"

#include <stdatomic.h>

enum {
    /* A file of 100000 hosts is about 12 MiB. */
    NC_HOSTS_MAX_TEXT = 16 * 1024 * 1024,
    NC_HOSTS_MAX_SOURCES =
        65536, /* files named in a configuration, and single lines added at run time */
    /* A DNS name has at most 255 octets (RFC 1035); brackets and the port come on top. */
    NC_HOSTS_MAX_HOST = 1024,
    NC_HOSTS_MAX_NAME = NC_HOSTS_MAX_HOST + 16,
    NC_HOSTS_HASH_LEN = 20 /* HMAC-SHA1, and its salt has the same length */
};

typedef enum nc_host_marker {
    NC_MARKER_NONE,
    NC_MARKER_REVOKED,
    NC_MARKER_AUTHORITY,
    NC_MARKER_UNKNOWN /* a marker that we do not know: the line decides nothing */
} nc_host_marker;

typedef struct nc_host_entry {
    size_t source;
    uint32_t line;
    nc_host_marker marker;
    nacre_host_line_kind kind;
    nacre_span raw; /* the line with its line end, if it has one */
    nacre_span text, marker_text, names, type, base64, comment;
    uint8_t *own;             /* what the spans point into; NULL: the source's text */
    _Atomic(nacre_key *) key; /* made by the first lookup that needs it */
} nc_host_entry;

typedef struct nc_host_source {
    char *name;
    uint8_t *text;
} nc_host_source;

struct nacre_known_hosts {
    const nacre_allocator *alloc;
    nc_host_source *sources;
    size_t source_count, source_room;
    /*
     * Lines with a gap among them: gap_at before it, the others behind it at the array's end. Who edits line after line
     * moves the gap along, and so each line once; all other lines would have to move up for each that goes.
     */
    nc_host_entry *entries;
    size_t count, room, gap_at;
    uint64_t moved; /* entries that had to, since the beginning */
};

extern const char nc_hosts_hash_magic[4]; /* "|1|" */

static inline nc_host_entry *nc_hosts_at(const nacre_known_hosts *h, size_t index)
{
    return &h->entries[index < h->gap_at ? index : index + (h->room - h->count)];
}
/* Makes the gap so many entries wide at least. */
int nc_hosts_reserve(nacre_known_hosts *h, size_t more) NACRE_MUST_CHECK;
/* Brings the gap to stand before that line; the count: behind all. */
void nc_hosts_move_gap(nacre_known_hosts *h, size_t index);
/* Fills in what a line says; e is zero but for source and line. */
void nc_hosts_split(nc_host_entry *e, nacre_span text, nacre_span raw);
void nc_hosts_drop(nacre_known_hosts *h, nc_host_entry *e); /* what an entry owns */

/* The name to look for: lower case, "[host]:port" unless the port is the usual one. */
bool nc_hosts_name(const char *host, uint16_t port, char *name, size_t size);
int nc_hosts_hash(nacre_span salt, nacre_span name,
                  uint8_t out[NC_HOSTS_HASH_LEN]) NACRE_MUST_CHECK;
/* NC_MATCH_BAD: a failure of ours (memory); the line may or may not mean this host. */
nc_match nc_hosts_names(const nacre_known_hosts *h, const nc_host_entry *e, nacre_span name);
/* NACRE_UNSUPPORTED: a sound key of a type that we lack. *out is borrowed. */
int nc_hosts_key(const nacre_known_hosts *h, nc_host_entry *e, nacre_key **out) NACRE_MUST_CHECK;

#endif
