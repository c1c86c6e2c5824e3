/*
 * What an agent says to our client: lists, signatures, statuses and extensions, in any number of reads.
 */
#include <stdlib.h>
#include <string.h>

#include "fixed_key.h"
#include "mutator.h"
#include "nacre/agent.h"

const fuzz_shape fuzz_input_shape = {FUZZ_MESSAGES, 1};

typedef struct source {
    nacre_span left;
    size_t piece;
} source;

static int take(void *user, uint8_t *p, size_t n, uint32_t ms, size_t *got)
{
    source *s = user;
    (void)ms;
    n = s->piece && n > s->piece ? s->piece : n;
    nacre_span part = fuzz_take(&s->left, n);
    memcpy(p, part.p ? part.p : (const uint8_t *)"", part.n);
    *got = part.n;
    return NACRE_OK;
}

static int drop(void *user, const uint8_t *p, size_t n, uint32_t ms)
{
    (void)user;
    (void)p;
    (void)n;
    (void)ms;
    return NACRE_OK;
}

static void ask(nacre_agent *a, unsigned what, const nacre_key *k)
{
    static const nacre_span data = {(const uint8_t *)"data", 4};
    nacre_key **keys;
    uint8_t *p;
    size_t n;
    switch (what % 6) {
    case 0:
        if (nacre_agent_list(a, &keys, &n, NULL) == NACRE_OK) {
            for (size_t i = 0; i < n; i++) {
                if (nacre_key_is_private(keys[i])) {
                    abort();
                }
            }
            nacre_agent_keys_free(NULL, keys, n);
        }
        break;
    case 1:
        if (nacre_agent_sign(a, k, NULL, data, &p, &n, NULL) == NACRE_OK) {
            if (nacre_key_verify(k, NULL, data, (nacre_span){p, n}) != NACRE_OK) {
                abort(); /* it must not leave */
            }
            nacre_secret_free(NULL, p, n);
        }
        break;
    case 2:
        if (nacre_agent_extension(a, "query", data, &p, &n, NULL) == NACRE_OK) {
            nacre_secret_free(NULL, p, n);
        }
        break;
    case 3:
        (void)!nacre_agent_supports(a, "session-bind@openssh.com", NULL);
        break;
    case 4:
        (void)!nacre_agent_bind(a, k, data, data, true, NULL);
        break;
    default:
        (void)!nacre_agent_remove(a, k, NULL);
        break;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    source s = {{data, size}, 0};
    nacre_agent_stream stream = {take, drop, NULL, &s};
    nacre_agent *a = NULL;
    unsigned first = fuzz_byte(&s.left);
    s.piece = first & 0x40 ? 1 + first % 7 : 0;
    if (nacre_agent_open_stream(&a, NULL, &stream, NULL) == NACRE_OK) {
        for (unsigned i = 0; i < 6; i++) {
            ask(a, first + i, fuzz_fixed_key());
        }
    }
    nacre_agent_free(a);
    return 0;
}
