/*
 * afl_mutator.c - the mutator as a library that AFL++ loads (AFL_CUSTOM_MUTATOR_LIBRARY). It does not see the
 * target, so NACRE_FUZZ_SHAPE says what its input is: records, packets or messages, then the bytes in front:
 * "records:5".
 */
#include <stdlib.h>
#include <string.h>

#include "mutator.h"

typedef struct afl_state {
    fuzz_shape shape;
    uint64_t seed;
    uint8_t *out;
    size_t room;
} afl_state;

__attribute__((visibility("default"))) void *afl_custom_init(void *afl, unsigned int seed);
__attribute__((visibility("default"))) size_t afl_custom_fuzz(void *data, uint8_t *in, size_t n,
                                                              uint8_t **out, uint8_t *other,
                                                              size_t other_n, size_t max);
__attribute__((visibility("default"))) void afl_custom_deinit(void *data);

static fuzz_shape read_shape(const char *text)
{
    static const struct {
        const char *name;
        fuzz_form form;
    } forms[] = {{"records", FUZZ_RECORDS}, {"packets", FUZZ_PACKETS}, {"messages", FUZZ_MESSAGES}};
    fuzz_shape shape = {FUZZ_PLAIN, 0};
    for (size_t i = 0; text && i < sizeof(forms) / sizeof(forms[0]); i++) {
        size_t n = strlen(forms[i].name);
        if (strncmp(text, forms[i].name, n) == 0) {
            shape.form = forms[i].form;
            shape.head = text[n] == ':' ? strtoul(text + n + 1, NULL, 10) : 0;
        }
    }
    return shape;
}

void *afl_custom_init(void *afl, unsigned int seed)
{
    (void)afl;
    afl_state *s = calloc(1, sizeof(*s));
    if (s) {
        s->shape = read_shape(getenv("NACRE_FUZZ_SHAPE"));
        s->seed = 0x9e3779b97f4a7c15u ^ seed;
    }
    return s;
}

size_t afl_custom_fuzz(void *data, uint8_t *in, size_t n, uint8_t **out, uint8_t *other,
                       size_t other_n, size_t max)
{
    afl_state *s = data;
    (void)other;
    (void)other_n;
    if (s->room < max) {
        uint8_t *more = realloc(s->out, max);
        if (!more) {
            return 0;
        }
        s->out = more;
        s->room = max;
    }
    n = n < max ? n : max;
    memcpy(s->out, in, n);
    *out = s->out;
    return fuzz_mutate(&s->shape, s->out, n, max, &s->seed);
}

void afl_custom_deinit(void *data)
{
    afl_state *s = data;
    free(s->out);
    free(s);
}
