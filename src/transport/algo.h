/*
 * algo.h - the algorithm lists: which names exist, which are offered by default, which only when named,
 * and OpenSSH's list syntax ("+a", "-a*", "^a", or a whole list). Primitives themselves are rows in
 * src/crypto; this table says what a connection may use.
 */
#ifndef NC_TRANSPORT_ALGO_H
#define NC_TRANSPORT_ALGO_H

#include "base/error.h"
#include "crypto/crypto.h"
#include "nacre/transport.h"

/* One key exchange method. A post-quantum hybrid is one more row with its KEM. */
typedef struct nc_kex_method {
    const char *name;
    const nc_kem_alg *kem; /* NULL: diffie-hellman-group-exchange (RFC 4419) */
    nc_hash_id hash;
    bool post_quantum;
} nc_kex_method;

const nc_kex_method *nc_kex_find(nacre_span name); /* NULL: unknown */
const nc_cipher_alg *nc_cipher_find(nacre_span name);
const nc_mac_alg *nc_mac_find(nacre_span name);

typedef enum nc_compression {
    NC_COMPRESS_NONE,
    NC_COMPRESS_ZLIB,
    NC_COMPRESS_DELAYED
} nc_compression;
/* false: unknown */
bool nc_compression_find(nacre_span name, nc_compression *out);

/*
 * The list that spec asks for, resolved to names, comma-separated and terminated: *out is owned
 * (nc_free with a). NULL spec: the default. NACRE_UNKNOWN_NAME names the culprit in err; an empty
 * result is an error too.
 */
int nc_algo_resolve(nacre_algorithm_kind kind, const char *spec, const nacre_allocator *a,
                    char **out, nacre_error *err) NACRE_MUST_CHECK;

/* The static name equal to a span, for a kind; NULL: not one of ours. */
const char *nc_algo_static_name(nacre_algorithm_kind kind, nacre_span name);

#endif
