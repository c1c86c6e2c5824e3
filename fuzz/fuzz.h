/*
 * fuzz.h - what the fuzz targets share. Every target is deterministic and touches no file or socket:
 * bytes in, and nothing else decides what happens.
 */
#ifndef NC_FUZZ_H
#define NC_FUZZ_H

#include <stddef.h>
#include <stdint.h>

#include "nacre/base.h"

/* The entry that libFuzzer and AFL++ call; replay.c calls it when there is no engine. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A random hook with a seed in *user (uint64_t): the same bytes every time. */
int fuzz_random(void *user, uint8_t *out, size_t n);

/* Takes n bytes (or what is left) off the front. */
nacre_span fuzz_take(nacre_span *in, size_t n);
/* The next byte, 0 at the end. */
uint8_t fuzz_byte(nacre_span *in);

#endif
