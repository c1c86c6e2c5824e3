/*
 * shape.c - the input of a target that says nothing about it.
 */
#include "mutator.h"

__attribute__((weak)) const fuzz_shape fuzz_input_shape = {FUZZ_PLAIN, 0};
