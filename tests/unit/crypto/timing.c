/*
 * timing.c - do branches or addresses depend on secrets in our own post-quantum code? Run under valgrind's
 * memcheck: what is secret is marked as undefined, and memcheck reports every jump and every address that
 * an undefined value decides. The code is compiled for this program a second time, with the same options and
 * with NC_DECLASSIFY alive.
 *
 * With the argument "leak" it does what it looks for, so that a run can show that the look-out works.
 */
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <valgrind/memcheck.h>

#include "crypto/ct.h"
#include "crypto/mlkem.h"
#include "crypto/sntrup761.h"

enum { SKIPPED = 77, ROUNDS = 3 };

void nc_declassify(const void *p, size_t n)
{
    (void)VALGRIND_MAKE_MEM_DEFINED(p, n);
}

static void classify(const void *p, size_t n)
{
    (void)VALGRIND_MAKE_MEM_UNDEFINED(p, n);
}

/* Random bytes as the library gets them: known to nobody, memcheck included. */
static int secret_random(void *user, uint8_t *out, size_t n)
{
    uint64_t *x = user;

    for (size_t i = 0; i < n; i++) {
        *x ^= *x << 13;
        *x ^= *x >> 7;
        *x ^= *x << 17;
        out[i] = (uint8_t)(*x >> 32);
    }
    classify(out, n);
    return 0;
}

/* Is what must be equal equal, what must not be not? Asked of declassified copies. */
static int compare(const uint8_t *a, const uint8_t *b, size_t n, int equal)
{
    uint8_t x[64];
    uint8_t y[64];

    memcpy(x, a, n);
    memcpy(y, b, n);
    nc_declassify(x, n);
    nc_declassify(y, n);
    return (memcmp(x, y, n) == 0) == (equal != 0) ? 0 : 1;
}

static int run_mlkem(const nc_mlkem_params *p, const nc_random *rnd)
{
    const nc_mlkem *kem = &nc_mlkem_own;
    uint8_t seed[NC_MLKEM_SEED];
    uint8_t m[NC_MLKEM_M];
    uint8_t ek[NC_MLKEM_EK_MAX];
    uint8_t dk[NC_MLKEM_DK_MAX];
    uint8_t ct[NC_MLKEM_CT_MAX];
    uint8_t sent[NC_MLKEM_K];
    uint8_t got[NC_MLKEM_K];
    int bad = rnd->fn(rnd->user, seed, sizeof seed) | rnd->fn(rnd->user, m, sizeof m);

    bad |= kem->keygen(p, seed, ek, dk);
    bad |= kem->encaps(p, nc_span(ek, p->ek_len), m, ct, sent);
    nc_declassify(ct, p->ct_len);
    bad |= kem->decaps(p, nc_span(dk, p->dk_len), nc_span(ct, p->ct_len), got);
    bad |= compare(sent, got, sizeof got, 1);
    ct[7] ^= 1;
    bad |= kem->decaps(p, nc_span(dk, p->dk_len), nc_span(ct, p->ct_len), got);
    return bad | compare(sent, got, sizeof got, 0);
}

static int run_sntrup761(const nc_random *rnd)
{
    uint8_t pk[NC_SNTRUP761_PK];
    uint8_t sk[NC_SNTRUP761_SK];
    uint8_t ct[NC_SNTRUP761_CT];
    uint8_t sent[NC_SNTRUP761_K];
    uint8_t got[NC_SNTRUP761_K];
    int bad = nc_sntrup761_keygen(rnd, pk, sk);

    bad |= nc_sntrup761_encaps(rnd, nc_span(pk, sizeof pk), ct, sent);
    bad |= nc_sntrup761_decaps(sk, nc_span(ct, sizeof ct), got);
    bad |= compare(sent, got, sizeof got, 1);
    ct[7] ^= 1;
    bad |= nc_sntrup761_decaps(sk, nc_span(ct, sizeof ct), got);
    return bad | compare(sent, got, sizeof got, 0);
}

/* A branch and an address that a secret decides. */
static int leak(const nc_random *rnd)
{
    static const char table[256] = {1};
    volatile uint8_t sink = 0;
    uint8_t secret[2];

    if (rnd->fn(rnd->user, secret, sizeof secret) != 0) {
        return 1;
    }
    if (secret[0] > 100) {
        sink = 1;
    }
    sink = (uint8_t)(sink + table[secret[1]]);
    return 0;
}

int main(int argc, char **argv)
{
    uint64_t state = 0x243f6a8885a308d3;
    nc_random rnd = {secret_random, &state};
    int bad = 0;

    if (!RUNNING_ON_VALGRIND) {
        puts("not under valgrind: nothing would be seen");
        return SKIPPED;
    }
    if (argc > 1 && strcmp(argv[1], "leak") == 0) {
        return leak(&rnd);
    }
    for (int i = 0; i < ROUNDS; i++) {
        bad |= run_mlkem(&nc_mlkem_768, &rnd);
        bad |= run_mlkem(&nc_mlkem_1024, &rnd);
        bad |= run_sntrup761(&rnd);
    }
    puts(bad ? "wrong results" : "no branch or address depends on a secret");
    return bad ? 1 : 0;
}
