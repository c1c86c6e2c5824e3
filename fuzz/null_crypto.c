/*
 * null_crypto.c - cryptography that anybody can forge, for the targets that run a whole engine: packets stay in
 * clear, every key agreement comes to the same secret, hashes are quick, and a signature is good when its first
 * byte says so. A mutation gets as far as a well-formed message gets, and both outcomes of a check are one byte
 * apart.
 *
 * The linker puts these in the place of src/crypto's functions (--wrap) in those programs alone: the library has
 * no way to choose them.
 */
#include <string.h>

#include "crypto/crypto.h"
#include "null_crypto.h"
#include "wire/wr.h"

enum { PUBLIC_LEN = 32, SECRET_LEN = 32, SIGNATURE_LEN = 64 };

/* ---- packets --------------------------------------------------------------------------------------- */

/* The mode of the first packets for all that follow. The packets target has the real ones. */
int __wrap_nc_pktcipher_new(nc_pktcipher **out, const nacre_allocator *a, const nc_cipher_alg *alg,
                            const nc_mac_alg *mac, const uint8_t *key, const uint8_t *iv,
                            const uint8_t *mac_key, bool seal)
{
    (void)alg;
    (void)mac;
    return __real_nc_pktcipher_new(out, a, NULL, NULL, key, iv, mac_key, seal);
}

/* ---- hashes ---------------------------------------------------------------------------------------- */

int __wrap_nc_hash(const nc_hash_alg *alg, const nacre_span *pieces, size_t count, uint8_t *out)
{
    uint64_t h = 14695981039346656037u;
    for (size_t i = 0; i < count; i++) {
        for (size_t k = 0; k < pieces[i].n; k++) {
            h = (h ^ pieces[i].p[k]) * 1099511628211u;
        }
    }
    for (size_t i = 0; i < alg->len; i++) {
        h = (h ^ i) * 1099511628211u;
        out[i] = (uint8_t)(h >> 32);
    }
    return NACRE_OK;
}

/* ---- key agreement --------------------------------------------------------------------------------- */

struct nc_kem {
    const nacre_allocator *alloc;
};

static int put_public(const nc_random *rnd, nc_buf *out)
{
    uint8_t value[PUBLIC_LEN];
    int rc = nc_random_bytes(rnd, value, sizeof(value));
    value[0] = (uint8_t)(value[0] % 127 + 1); /* an mpint must be positive and short */
    value[PUBLIC_LEN - 1] &= 0x7F;            /* and this is no bad point */
    return rc == NACRE_OK ? nc_buf_append(out, value, sizeof(value)) : rc;
}

static int put_secret(nacre_span peer, nc_buf *secret)
{
    static const uint8_t shared[4 + SECRET_LEN] = {0, 0, 0, SECRET_LEN, 's'};
    if (peer.n == 0 || peer.p[peer.n - 1] == NULL_CRYPTO_BAD_POINT) {
        return NACRE_KEX_FAILED;
    }
    return nc_buf_append(secret, shared, sizeof(shared));
}

static int start(const nc_kem_alg *alg, const nacre_allocator *a, const nc_random *rnd,
                 nc_kem **out, nc_buf *public_value)
{
    (void)alg;
    *out = nc_alloc(a, sizeof(**out));
    if (!*out) {
        return NACRE_NO_MEMORY;
    }
    (*out)->alloc = a;
    return put_public(rnd, public_value);
}

/* The transport tells finite fields by their start function. */
static int start_field(const nc_kem_alg *alg, const nacre_allocator *a, const nc_random *rnd,
                       nc_kem **out, nc_buf *public_value)
{
    return start(alg, a, rnd, out, public_value);
}

static int respond(const nc_kem_alg *alg, const nacre_allocator *a, const nc_random *rnd,
                   nacre_span peer, nc_buf *public_value, nc_buf *secret)
{
    (void)alg;
    (void)a;
    int rc = put_secret(peer, secret);
    return rc == NACRE_OK ? put_public(rnd, public_value) : rc;
}

static int finish(nc_kem *kem, nacre_span peer, nc_buf *secret)
{
    (void)kem;
    return put_secret(peer, secret);
}

void __wrap_nc_kem_free(nc_kem *kem)
{
    if (kem) {
        nc_free(kem->alloc, kem);
    }
}

/* GNU ld 2.40 dies when what is replaced is not linked as well: it looks for it where our debugging information is. */
#define NULL_KEM(name, begin)                                                                      \
    extern const nc_kem_alg __real_nc_kem_##name;                                                  \
    static const nc_kem_alg *const replaced_##name __attribute__((used)) = &__real_nc_kem_##name;  \
    const nc_kem_alg __wrap_nc_kem_##name = {#name, begin, respond, finish, NULL};
NULL_KEM(x25519, start)
NULL_KEM(p256, start)
NULL_KEM(p384, start)
NULL_KEM(p521, start)
NULL_KEM(mlkem768x25519, start)
NULL_KEM(sntrup761x25519, start)
NULL_KEM(mlkem768nistp256, start)
NULL_KEM(mlkem1024nistp384, start)
NULL_KEM(group14, start_field)
NULL_KEM(group16, start_field)
NULL_KEM(group18, start_field)

/* A group of group exchange: what can be wrong with it without arithmetic still is. */
int __wrap_nc_dh_kem_new(const nc_kem_alg **out, const nacre_allocator *a, const nc_dh_group *group,
                         uint32_t min_bits, uint32_t max_bits)
{
    const nc_kem_alg field = {"field", start_field, respond, finish, NULL};
    size_t bits = group->p.n * 8;
    *out = NULL;
    if (bits < min_bits || bits > max_bits || group->g.n == 0 ||
        !(group->p.p[group->p.n - 1] & 1)) {
        return NACRE_KEX_FAILED;
    }
    nc_kem_alg *k = nc_alloc(a, sizeof(*k));
    if (!k) {
        return NACRE_NO_MEMORY;
    }
    memcpy(k, &field, sizeof(field));
    *out = k;
    return NACRE_OK;
}

void __wrap_nc_dh_kem_free(const nacre_allocator *a, const nc_kem_alg *alg)
{
    nc_free(a, (void *)(uintptr_t)alg);
}

/* ---- signatures ------------------------------------------------------------------------------------ */

int __wrap_nc_pk_sign(const nc_pk *k, const nc_sig_alg *alg, nacre_span data, nc_buf *sig)
{
    static const uint8_t good[SIGNATURE_LEN] = {NULL_CRYPTO_GOOD_SIGNATURE};
    (void)k;
    (void)alg;
    (void)data;
    return nc_buf_append(sig, good, sizeof(good));
}

int __wrap_nc_pk_verify(const nc_pk *k, const nc_sig_alg *alg, nacre_span data, nacre_span sig)
{
    (void)k;
    (void)alg;
    (void)data;
    return sig.n && sig.p[0] == NULL_CRYPTO_GOOD_SIGNATURE ? NACRE_OK : NACRE_BAD_SIGNATURE;
}
