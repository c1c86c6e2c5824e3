/*
 * derive.h - what both sides hash: the exchange hash H and the keys made from it (RFC 4253 7.2, 8;
 * RFC 4419 3; RFC 5656 4). Pure functions over spans.
 */
#ifndef NC_TRANSPORT_DERIVE_H
#define NC_TRANSPORT_DERIVE_H

#include "crypto/crypto.h"

typedef struct nc_transcript {
    nacre_span client_version, server_version; /* without CR LF */
    nacre_span client_kexinit, server_kexinit; /* payloads */
    nacre_span host_key;                       /* K_S: blob */
    bool group_exchange;
    uint32_t min, preferred, max; /* group exchange: as the client asked */
    nacre_span group;             /* mpint p, mpint g as they were on the wire */
    nacre_span client_value, server_value;
    nacre_span secret; /* K in wire form */
} nc_transcript;

/* out has room for NC_MAX_HASH bytes. */
int nc_exchange_hash(const nc_hash_alg *alg, const nc_transcript *t, uint8_t *out) NACRE_MUST_CHECK;

/* n bytes of the key with that letter, 'A' to 'F'; on failure out is wiped. */
int nc_derive_key(const nc_hash_alg *alg, nacre_span secret, nacre_span exchange_hash, char letter,
                  nacre_span session_id, uint8_t *out, size_t n) NACRE_MUST_CHECK;

#endif
