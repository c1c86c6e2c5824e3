/*
 * libfuzzer.c - gives libFuzzer the mutator, beside its own.
 */
#include "mutator.h"

size_t LLVMFuzzerMutate(uint8_t *data, size_t n, size_t max);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t n, size_t max, unsigned int seed);

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t n, size_t max, unsigned int seed)
{
    uint64_t state = 0x9e3779b97f4a7c15u ^ seed;
    uint8_t coin;
    fuzz_random(&state, &coin, 1);
    bool blind = fuzz_input_shape.form == FUZZ_PLAIN || coin % 4 == 0;
    return blind ? LLVMFuzzerMutate(data, n, max)
                 : fuzz_mutate(&fuzz_input_shape, data, n, max, &state);
}
