/*
 * kem_hybrid.c - a post-quantum KEM and a curve side by side (draft-ietf-sshm-mlkem-hybrid-kex 2, RFC 9941):
 * the client sends the KEM's public key and its point, the server a ciphertext and its point. The secret is
 * HASH(KEM's secret || curve's secret), which enters the exchange hash as a string, not as an mpint.
 */
#include "crypto/kem.h"

#include <string.h>

#include "crypto/mlkem.h"
#include "crypto/sntrup761.h"
#include "wire/wr.h"

enum {
    PQ_SECRET = 32, /* of every KEM here */
    PQ_PUBLIC_MAX = 1568,
    PQ_CT_MAX = 1568,
    SCALAR_MAX = 48
};

/* The post-quantum half: from bytes to bytes, randomness by the hook. */
typedef struct pq_kem pq_kem;
struct pq_kem {
    size_t public_len;
    size_t private_len;
    size_t ct_len;
    int (*keygen)(const pq_kem *q, const nc_random *rnd, uint8_t *public_key, uint8_t *private_key);
    int (*encaps)(const pq_kem *q, const nc_random *rnd, nacre_span public_key, uint8_t *ct,
                  uint8_t *secret);
    int (*decaps)(const pq_kem *q, const uint8_t *private_key, nacre_span ct, uint8_t *secret);
    const nc_mlkem_params *mlkem; /* NULL: sntrup761 */
};

typedef struct hybrid {
    const pq_kem *pq;
    const nc_raw_dh *dh;
    nc_hash_id hash;
} hybrid;

/* ---- the post-quantum halves --------------------------------------------------------------------------- */

static int mlkem_keygen(const pq_kem *q, const nc_random *rnd, uint8_t *public_key,
                        uint8_t *private_key)
{
    uint8_t seed[NC_MLKEM_SEED];
    int rc = nc_random_bytes(rnd, seed, sizeof seed);

    if (rc == NACRE_OK) {
        rc = nc_mlkem_provider()->keygen(q->mlkem, seed, public_key, private_key);
    }
    nc_wipe(seed, sizeof seed);
    return rc;
}

static int mlkem_encaps(const pq_kem *q, const nc_random *rnd, nacre_span public_key, uint8_t *ct,
                        uint8_t *secret)
{
    uint8_t m[NC_MLKEM_M];
    int rc = nc_random_bytes(rnd, m, sizeof m);

    if (rc == NACRE_OK) {
        rc = nc_mlkem_provider()->encaps(q->mlkem, public_key, m, ct, secret);
    }
    nc_wipe(m, sizeof m);
    return rc;
}

static int mlkem_decaps(const pq_kem *q, const uint8_t *private_key, nacre_span ct, uint8_t *secret)
{
    return nc_mlkem_provider()->decaps(q->mlkem, nc_span(private_key, q->private_len), ct, secret);
}

static int sntrup_keygen(const pq_kem *q, const nc_random *rnd, uint8_t *public_key,
                         uint8_t *private_key)
{
    (void)q;
    return nc_sntrup761_keygen(rnd, public_key, private_key);
}

static int sntrup_encaps(const pq_kem *q, const nc_random *rnd, nacre_span public_key, uint8_t *ct,
                         uint8_t *secret)
{
    (void)q;
    return nc_sntrup761_encaps(rnd, public_key, ct, secret);
}

static int sntrup_decaps(const pq_kem *q, const uint8_t *private_key, nacre_span ct,
                         uint8_t *secret)
{
    (void)q;
    return nc_sntrup761_decaps(private_key, ct, secret);
}

static const pq_kem pq_mlkem768 = {1184,         2400,         1088,         mlkem_keygen,
                                   mlkem_encaps, mlkem_decaps, &nc_mlkem_768};
static const pq_kem pq_mlkem1024 = {1568,         3168,         1568,          mlkem_keygen,
                                    mlkem_encaps, mlkem_decaps, &nc_mlkem_1024};
static const pq_kem pq_sntrup761 = {NC_SNTRUP761_PK,
                                    NC_SNTRUP761_SK,
                                    NC_SNTRUP761_CT,
                                    sntrup_keygen,
                                    sntrup_encaps,
                                    sntrup_decaps,
                                    NULL};

/* ---- both together ------------------------------------------------------------------------------------- */

/* Appends HASH(pq || classical) as a string. */
static int put_secret(const hybrid *h, const uint8_t *pq, const uint8_t *classical, nc_buf *secret)
{
    const nc_hash_alg *alg = nc_hash_get(h->hash);
    const nacre_span halves[2] = {nc_span(pq, PQ_SECRET), nc_span(classical, h->dh->shared_len)};
    uint8_t k[NC_MAX_HASH];
    int rc = nc_hash(alg, halves, 2, k);

    if (rc == NACRE_OK) {
        nc_wr w = nc_wr_init(secret);

        nc_wr_str(&w, nc_span(k, alg->len));
        rc = nc_wr_err(&w);
    }
    nc_wipe(k, sizeof k);
    return rc;
}

/* The private half between start and finish: the KEM's private key, then the scalar. */
static int hybrid_start(const nc_kem_alg *alg, const nacre_allocator *a, const nc_random *rnd,
                        nc_kem **out, nc_buf *public_value)
{
    const hybrid *h = alg->params;
    uint8_t pub[PQ_PUBLIC_MAX + NC_RAW_DH_PUBLIC_MAX];
    nc_kem *k = nc_kem_alloc(alg, a, h->pq->private_len + h->dh->private_len);
    int rc;

    *out = NULL;
    if (!k) {
        return NACRE_NO_MEMORY;
    }
    rc = h->pq->keygen(h->pq, rnd, pub, k->secret);
    if (rc == NACRE_OK) {
        rc = h->dh->pair(h->dh, rnd, k->secret + h->pq->private_len, pub + h->pq->public_len);
    }
    if (rc == NACRE_OK) {
        rc = nc_buf_append(public_value, pub, h->pq->public_len + h->dh->public_len);
    }
    if (rc != NACRE_OK) {
        nc_kem_free(k);
        return rc;
    }
    *out = k;
    return NACRE_OK;
}

/* What one side of an exchange makes; wiped as a whole. */
typedef struct answer {
    uint8_t bytes[PQ_CT_MAX + NC_RAW_DH_PUBLIC_MAX];
    uint8_t scalar[SCALAR_MAX];
    uint8_t pq[PQ_SECRET];
    uint8_t classical[NC_RAW_DH_SHARED_MAX];
} answer;

static int make_answer(const hybrid *h, const nc_random *rnd, nacre_span peer, answer *x)
{
    nacre_span public_key = nc_span(peer.p, h->pq->public_len);
    nacre_span point = nc_span(peer.p + h->pq->public_len, h->dh->public_len);
    int rc = h->pq->encaps(h->pq, rnd, public_key, x->bytes, x->pq);

    if (rc == NACRE_OK) {
        rc = h->dh->pair(h->dh, rnd, x->scalar, x->bytes + h->pq->ct_len);
    }
    if (rc == NACRE_OK) {
        rc = h->dh->agree(h->dh, x->scalar, point, x->classical);
    }
    return rc;
}

static int hybrid_respond(const nc_kem_alg *alg, const nacre_allocator *a, const nc_random *rnd,
                          nacre_span peer, nc_buf *public_value, nc_buf *secret)
{
    const hybrid *h = alg->params;
    size_t start = secret->len;
    answer x;
    int rc;

    (void)a;
    if (peer.n != h->pq->public_len + h->dh->public_len) {
        return NACRE_KEX_FAILED;
    }
    rc = make_answer(h, rnd, peer, &x);
    if (rc == NACRE_OK) {
        rc = put_secret(h, x.pq, x.classical, secret);
    }
    if (rc == NACRE_OK) {
        rc = nc_buf_append(public_value, x.bytes, h->pq->ct_len + h->dh->public_len);
    }
    if (rc != NACRE_OK) {
        nc_buf_truncate(secret, start);
    }
    nc_wipe(&x, sizeof x);
    return rc;
}

static int hybrid_finish(nc_kem *kem, nacre_span peer, nc_buf *secret)
{
    const hybrid *h = kem->alg->params;
    uint8_t pq[PQ_SECRET];
    uint8_t classical[NC_RAW_DH_SHARED_MAX];
    size_t start = secret->len;
    int rc;

    if (peer.n != h->pq->ct_len + h->dh->public_len) {
        return NACRE_KEX_FAILED;
    }
    rc = h->pq->decaps(h->pq, kem->secret, nc_span(peer.p, h->pq->ct_len), pq);
    if (rc == NACRE_OK) {
        rc = h->dh->agree(h->dh, kem->secret + h->pq->private_len,
                          nc_span(peer.p + h->pq->ct_len, h->dh->public_len), classical);
    }
    if (rc == NACRE_OK) {
        rc = put_secret(h, pq, classical, secret);
    }
    if (rc != NACRE_OK) {
        nc_buf_truncate(secret, start);
    }
    nc_wipe(pq, sizeof pq);
    nc_wipe(classical, sizeof classical);
    return rc;
}

static const hybrid mlkem768x25519 = {&pq_mlkem768, &nc_raw_x25519, NC_SHA256};
static const hybrid sntrup761x25519 = {&pq_sntrup761, &nc_raw_x25519, NC_SHA512};
static const hybrid mlkem768nistp256 = {&pq_mlkem768, &nc_raw_p256, NC_SHA256};
static const hybrid mlkem1024nistp384 = {&pq_mlkem1024, &nc_raw_p384, NC_SHA384};

const nc_kem_alg nc_kem_mlkem768x25519 = {"mlkem768x25519", hybrid_start, hybrid_respond,
                                          hybrid_finish, &mlkem768x25519};
const nc_kem_alg nc_kem_sntrup761x25519 = {"sntrup761x25519", hybrid_start, hybrid_respond,
                                           hybrid_finish, &sntrup761x25519};
const nc_kem_alg nc_kem_mlkem768nistp256 = {"mlkem768nistp256", hybrid_start, hybrid_respond,
                                            hybrid_finish, &mlkem768nistp256};
const nc_kem_alg nc_kem_mlkem1024nistp384 = {"mlkem1024nistp384", hybrid_start, hybrid_respond,
                                             hybrid_finish, &mlkem1024nistp384};
