/*
 * kem_dh.c - finite-field Diffie-Hellman: the fixed groups (RFC 8268, primes of RFC 3526) and groups
 * given at run time (RFC 4419). Private exponents come from the random hook.
 */
#include "crypto/dh_groups.h"
#include "crypto/kem.h"

#include "wire/ssh.h"

#include <openssl/bn.h>
#include <string.h>

/*
 * Exponents of at least twice the group's strength (RFC 3526 8, NIST SP 800-57): longer ones cost
 * time and add nothing, as every group here has a safe prime.
 */
static const struct {
    int group_bits; /* up to */
    size_t exponent_bytes;
} exponents[] = {{3072, 32}, {4096, 40}, {6144, 48}, {INT32_MAX, 64}};
enum { MAX_EXPONENT = 64 };

/* A public value with fewer bits set is the work of somebody who looks for small subgroups. */
enum { MIN_BITS_SET = 4 };

/* What a caller may go down to; policy (2048 bits by default) is the caller's. */
enum { SMALLEST_GROUP = 512 };

typedef struct dh {
    BIGNUM *p, *g, *p_minus_1;
    BN_CTX *bn;
    size_t len; /* of p in bytes */
} dh;

static int dh_init(dh *d, const nc_dh_group *group)
{
    if (group->p.n == 0 || group->p.n > NC_MAX_MPINT || group->g.n > group->p.n) {
        return NACRE_KEX_FAILED;
    }
    d->bn = BN_CTX_new();
    d->p = BN_bin2bn(group->p.p, (int)group->p.n, NULL);
    d->g = BN_bin2bn(group->g.p, (int)group->g.n, NULL);
    d->p_minus_1 = d->p ? BN_dup(d->p) : NULL;
    if (!d->bn || !d->p || !d->g || !d->p_minus_1) {
        return NACRE_NO_MEMORY;
    }
    if (BN_sub_word(d->p_minus_1, 1) != 1) {
        return NACRE_CRYPTO;
    }
    d->len = (size_t)BN_num_bytes(d->p);
    return NACRE_OK;
}

static void dh_clear(dh *d)
{
    BN_free(d->p);
    BN_free(d->g);
    BN_free(d->p_minus_1);
    BN_CTX_free(d->bn);
    memset(d, 0, sizeof *d);
}

static bool odd_and_in_range(const dh *d, uint32_t min_bits, uint32_t max_bits)
{
    uint32_t bits = (uint32_t)BN_num_bits(d->p);

    return bits >= SMALLEST_GROUP && bits >= min_bits && bits <= max_bits && BN_is_odd(d->p) &&
           !BN_is_zero(d->g) && !BN_is_one(d->g) && BN_cmp(d->g, d->p_minus_1) < 0;
}

/* RFC 4253 8 asks for 1..p-1; 1 and p-1 give the secret away, so 2..p-2. */
static bool public_ok(const dh *d, const BIGNUM *y)
{
    int set = 0;

    if (BN_is_zero(y) || BN_is_one(y) || BN_cmp(y, d->p_minus_1) >= 0) {
        return false;
    }
    for (int i = BN_num_bits(y); i-- > 0 && set < MIN_BITS_SET;) {
        set += BN_is_bit_set(y, i);
    }
    return set >= MIN_BITS_SET;
}

static size_t exponent_len(const dh *d)
{
    int bits = BN_num_bits(d->p);
    size_t i = 0;

    while (exponents[i].group_bits < bits) {
        i++;
    }
    /* Below p also in a group of the smallest size. */
    return exponents[i].exponent_bytes < d->len ? exponents[i].exponent_bytes : d->len - 1;
}

static int power(const dh *d, const BIGNUM *base, const uint8_t *exponent, size_t n, BIGNUM *out)
{
    BIGNUM *x = BN_bin2bn(exponent, (int)n, NULL);
    int rc = NACRE_NO_MEMORY;

    if (x) {
        BN_set_flags(x, BN_FLG_CONSTTIME);
        rc = BN_mod_exp_mont_consttime(out, base, x, d->p, d->bn, NULL) == 1 ? NACRE_OK
                                                                             : NACRE_CRYPTO;
    }
    BN_clear_free(x);
    return rc;
}

static int make_pair(const dh *d, const nc_random *rnd, uint8_t *exponent, size_t n,
                     nc_buf *public_value)
{
    BIGNUM *y = BN_new();
    int rc = NACRE_NO_MEMORY;
    uint8_t *o;

    if (!y) {
        goto done;
    }
    rc = nc_random_bytes(rnd, exponent, n);
    if (rc != NACRE_OK) {
        goto done;
    }
    exponent[0] |= 0x80; /* its full length, whatever came up */
    rc = power(d, d->g, exponent, n, y);
    if (rc != NACRE_OK) {
        goto done;
    }
    if (!public_ok(d, y)) {
        rc = NACRE_KEX_FAILED; /* g has a small order: a rigged group */
        goto done;
    }
    rc = nc_buf_reserve(public_value, (size_t)BN_num_bytes(y));
    if (rc != NACRE_OK) {
        goto done;
    }
    o = nc_buf_extend(public_value, (size_t)BN_num_bytes(y));
    if (!o || BN_bn2bin(y, o) != BN_num_bytes(y)) {
        rc = NACRE_CRYPTO;
    }
done:
    BN_free(y);
    return rc;
}

static int agree(const dh *d, const nacre_allocator *a, const uint8_t *exponent, size_t n,
                 nacre_span peer, nc_buf *secret)
{
    BIGNUM *y = NULL;
    BIGNUM *k = NULL;
    uint8_t *bytes = NULL;
    int rc = NACRE_NO_MEMORY;

    if (peer.n == 0 || peer.n > d->len + 1) {
        return NACRE_KEX_FAILED;
    }
    y = BN_bin2bn(peer.p, (int)peer.n, NULL);
    k = BN_new();
    bytes = nc_alloc(a, d->len);
    if (!y || !k || !bytes) {
        goto done;
    }
    if (!public_ok(d, y)) {
        rc = NACRE_KEX_FAILED;
        goto done;
    }
    rc = power(d, y, exponent, n, k);
    if (rc != NACRE_OK) {
        goto done;
    }
    if (BN_is_zero(k) || BN_is_one(k) || BN_bn2binpad(k, bytes, (int)d->len) != (int)d->len) {
        rc = NACRE_KEX_FAILED;
        goto done;
    }
    rc = nc_kem_put_mpint(secret, bytes, d->len);
done:
    BN_free(y);
    BN_clear_free(k);
    nc_wipe_free(a, bytes, d->len);
    return rc;
}

static int dh_start(const nc_kem_alg *alg, const nacre_allocator *a, const nc_random *rnd,
                    nc_kem **out, nc_buf *public_value)
{
    dh d = {0};
    nc_kem *k = NULL;
    size_t start = public_value->len;
    int rc;

    *out = NULL;
    rc = dh_init(&d, alg->params);
    if (rc != NACRE_OK) {
        goto done;
    }
    k = nc_kem_alloc(alg, a, exponent_len(&d));
    if (!k) {
        rc = NACRE_NO_MEMORY;
        goto done;
    }
    rc = make_pair(&d, rnd, k->secret, k->len, public_value);
done:
    dh_clear(&d);
    if (rc != NACRE_OK) {
        nc_buf_truncate(public_value, start);
        nc_kem_free(k);
        return rc;
    }
    *out = k;
    return NACRE_OK;
}

static int dh_respond(const nc_kem_alg *alg, const nacre_allocator *a, const nc_random *rnd,
                      nacre_span peer, nc_buf *public_value, nc_buf *secret)
{
    uint8_t exponent[MAX_EXPONENT];
    dh d = {0};
    size_t start = public_value->len;
    size_t secret_start = secret->len;
    size_t n;
    int rc = dh_init(&d, alg->params);

    if (rc != NACRE_OK) {
        goto done;
    }
    n = exponent_len(&d);
    rc = make_pair(&d, rnd, exponent, n, public_value);
    if (rc == NACRE_OK) {
        rc = agree(&d, a, exponent, n, peer, secret);
    }
done:
    if (rc != NACRE_OK) {
        nc_buf_truncate(public_value, start);
        nc_buf_truncate(secret, secret_start);
    }
    nc_wipe(exponent, sizeof exponent);
    dh_clear(&d);
    return rc;
}

static int dh_finish(nc_kem *kem, nacre_span peer, nc_buf *secret)
{
    dh d = {0};
    size_t start = secret->len;
    int rc = dh_init(&d, kem->alg->params);

    if (rc == NACRE_OK) {
        rc = agree(&d, kem->alloc, kem->secret, kem->len, peer, secret);
    }
    if (rc != NACRE_OK) {
        nc_buf_truncate(secret, start);
    }
    dh_clear(&d);
    return rc;
}

const nc_kem_alg nc_kem_group14 = {"dh-group14", dh_start, dh_respond, dh_finish,
                                   &nc_dh_groups[NC_DH_2048]};
const nc_kem_alg nc_kem_group16 = {"dh-group16", dh_start, dh_respond, dh_finish,
                                   &nc_dh_groups[NC_DH_4096]};
const nc_kem_alg nc_kem_group18 = {"dh-group18", dh_start, dh_respond, dh_finish,
                                   &nc_dh_groups[NC_DH_8192]};

/* ---- groups given at run time ------------------------------------------------------------------- */

typedef struct dh_kem {
    nc_kem_alg alg; /* first: callers hold a pointer to it */
    nc_dh_group group;
    uint8_t bytes[];
} dh_kem;

int nc_dh_kem_new(const nc_kem_alg **out, const nacre_allocator *a, const nc_dh_group *group,
                  uint32_t min_bits, uint32_t max_bits)
{
    dh d = {0};
    dh_kem *k = NULL;
    int rc = dh_init(&d, group);

    *out = NULL;
    if (rc != NACRE_OK) {
        goto done;
    }
    if (!odd_and_in_range(&d, min_bits, max_bits)) {
        rc = NACRE_KEX_FAILED;
        goto done;
    }
    k = nc_alloc(a, sizeof *k + group->p.n + group->g.n);
    if (!k) {
        rc = NACRE_NO_MEMORY;
        goto done;
    }
    memcpy(k->bytes, group->p.p, group->p.n);
    memcpy(k->bytes + group->p.n, group->g.p, group->g.n);
    k->group.p = nc_span(k->bytes, group->p.n);
    k->group.g = nc_span(k->bytes + group->p.n, group->g.n);
    k->alg = (nc_kem_alg){"dh-gex", dh_start, dh_respond, dh_finish, &k->group};
    *out = &k->alg;
done:
    dh_clear(&d);
    return rc;
}

void nc_dh_kem_free(const nacre_allocator *a, const nc_kem_alg *alg)
{
    if (alg) {
        nc_free(a, (void *)(uintptr_t)alg);
    }
}

const nc_dh_group *nc_dh_builtin_group(uint32_t min, uint32_t preferred, uint32_t max)
{
    const nc_dh_group *best = NULL;

    for (size_t i = 0; i < NC_DH_GROUP_COUNT; i++) {
        uint32_t bits = (uint32_t)nc_dh_groups[i].p.n * 8;

        if (bits < min || bits > max) {
            continue;
        }
        best = &nc_dh_groups[i];
        if (bits >= preferred) {
            break;
        }
    }
    return best;
}
