/*
 * kem.c - what key agreement costs: microseconds and processor cycles of each operation of the post-quantum
 * KEMs, ours and libcrypto's where it has them, and of whole key exchanges' three steps.
 *
 *     kem [MILLISECONDS]        how long to measure each operation; 200 when not said
 *
 * Prints a line of JSON for each. Cycles are those of the time stamp counter, 0 where there is none.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#if defined(__x86_64__) || defined(__i386__)
#include <x86intrin.h>
#endif

#include "crypto/crypto.h"
#include "crypto/mlkem.h"
#include "crypto/sntrup761.h"

/* Everything that an operation may need. */
typedef struct work {
    const nc_mlkem *mlkem;
    const nc_mlkem_params *set;
    const nc_kem_alg *alg;
    nc_random rnd;
    uint8_t seed[NC_MLKEM_SEED];
    uint8_t ek[NC_MLKEM_EK_MAX];
    uint8_t dk[NC_MLKEM_DK_MAX];
    uint8_t ct[NC_MLKEM_CT_MAX];
    uint8_t secret[64];
    nc_kem *pair;
    nc_buf client;
    nc_buf server;
    nc_buf k;
} work;

typedef int (*operation)(work *w);

static double seconds(void)
{
    struct timespec t;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static unsigned long long ticks(void)
{
#if defined(__x86_64__) || defined(__i386__)
    return __rdtsc();
#else
    return 0;
#endif
}

/* The fastest of several batches: the one that was disturbed least. */
static int measure(const char *what, const char *step, operation op, work *w, double limit)
{
    double best = 1e9;
    unsigned long long best_ticks = ~0ULL;
    double end = seconds() + limit;
    unsigned batches = 0;

    if (op(w) != NACRE_OK) {
        fprintf(stderr, "%s %s failed\n", what, step);
        return 1;
    }
    do {
        enum { BATCH = 10 };
        double start = seconds();
        unsigned long long from = ticks();

        for (int i = 0; i < BATCH; i++) {
            if (op(w) != NACRE_OK) {
                return 1;
            }
        }
        unsigned long long took_ticks = (ticks() - from) / BATCH;
        double took = (seconds() - start) / BATCH;
        best = took < best ? took : best;
        best_ticks = took_ticks < best_ticks ? took_ticks : best_ticks;
        batches++;
    } while (seconds() < end || batches < 5);
    printf("{\"kem\": \"%s\", \"operation\": \"%s\", \"us\": %.1f, \"cycles\": %llu}\n", what, step,
           best * 1e6, best_ticks);
    return 0;
}

static int mlkem_keygen(work *w)
{
    return w->mlkem->keygen(w->set, w->seed, w->ek, w->dk);
}

static int mlkem_encaps(work *w)
{
    return w->mlkem->encaps(w->set, (nacre_span){w->ek, w->set->ek_len}, w->seed, w->ct, w->secret);
}

static int mlkem_decaps(work *w)
{
    return w->mlkem->decaps(w->set, (nacre_span){w->dk, w->set->dk_len},
                            (nacre_span){w->ct, w->set->ct_len}, w->secret);
}

static int sntrup_keygen(work *w)
{
    return nc_sntrup761_keygen(&w->rnd, w->ek, w->dk);
}

static int sntrup_encaps(work *w)
{
    return nc_sntrup761_encaps(&w->rnd, (nacre_span){w->ek, NC_SNTRUP761_PK}, w->ct, w->secret);
}

static int sntrup_decaps(work *w)
{
    return nc_sntrup761_decaps(w->dk, (nacre_span){w->ct, NC_SNTRUP761_CT}, w->secret);
}

static int kex_start(work *w)
{
    nc_kem_free(w->pair);
    nc_buf_reset(&w->client);
    return w->alg->start(w->alg, NULL, &w->rnd, &w->pair, &w->client);
}

static int kex_respond(work *w)
{
    nc_buf_reset(&w->server);
    nc_buf_reset(&w->k);
    return w->alg->respond(w->alg, NULL, &w->rnd, nc_buf_span(&w->client), &w->server, &w->k);
}

static int kex_finish(work *w)
{
    nc_buf_reset(&w->k);
    return w->alg->finish(w->pair, nc_buf_span(&w->server), &w->k);
}

static int all_of(const char *name, const operation ops[3], const char *const steps[3], work *w,
                  double limit)
{
    int bad = 0;

    for (int i = 0; i < 3; i++) {
        bad |= measure(name, steps[i], ops[i], w, limit);
    }
    return bad;
}

int main(int argc, char **argv)
{
    static const nc_kem_alg *const exchanges[] = {
        &nc_kem_mlkem768x25519,    &nc_kem_sntrup761x25519, &nc_kem_mlkem768nistp256,
        &nc_kem_mlkem1024nistp384, &nc_kem_x25519,          &nc_kem_p256,
    };
    static const char *const kem_steps[3] = {"keygen", "encaps", "decaps"};
    static const char *const kex_steps[3] = {"start", "respond", "finish"};
    const operation mlkem_ops[3] = {mlkem_keygen, mlkem_encaps, mlkem_decaps};
    const operation sntrup_ops[3] = {sntrup_keygen, sntrup_encaps, sntrup_decaps};
    const operation kex_ops[3] = {kex_start, kex_respond, kex_finish};
    const nc_mlkem *providers[2] = {&nc_mlkem_own, nc_mlkem_libcrypto()};
    const nc_mlkem_params *sets[2] = {&nc_mlkem_768, &nc_mlkem_1024};
    double limit = argc > 1 ? strtod(argv[1], NULL) / 1000 : 0.2;
    static work w;
    char name[64];
    int bad = 0;

    nc_buf_init(&w.client, NULL, 1 << 16);
    nc_buf_init(&w.server, NULL, 1 << 16);
    nc_buf_init(&w.k, NULL, 1 << 16);
    for (int p = 0; p < 2; p++) {
        for (int s = 0; s < 2 && providers[p]; s++) {
            w.mlkem = providers[p];
            w.set = sets[s];
            snprintf(name, sizeof name, "%s of %s", w.set->name, w.mlkem->provider);
            bad |= all_of(name, mlkem_ops, kem_steps, &w, limit);
        }
    }
    bad |= all_of("sntrup761 of nacre", sntrup_ops, kem_steps, &w, limit);
    for (size_t i = 0; i < sizeof exchanges / sizeof exchanges[0]; i++) {
        w.alg = exchanges[i];
        bad |= all_of(w.alg->name, kex_ops, kex_steps, &w, limit);
    }
    nc_kem_free(w.pair);
    nc_buf_clear(&w.client);
    nc_buf_clear(&w.server);
    nc_buf_clear(&w.k);
    return bad ? 1 : 0;
}
