/*
 * memory.h - an allocator that counts: it fails where the input says, knows what was not given back, and what
 * the most was.
 */
#ifndef NC_FUZZ_MEMORY_H
#define NC_FUZZ_MEMORY_H

#include "fuzz.h"

typedef struct fuzz_memory {
    nacre_allocator hooks;
    unsigned long count;
    unsigned long fail_at; /* this allocation and none else; 0: none */
    bool failed;           /* it has come */
    long live;             /* blocks */
    size_t bytes, most;
} fuzz_memory;

void fuzz_memory_init(fuzz_memory *m);
/* The n-th allocation from now on fails; 0: none. */
void fuzz_memory_fail(fuzz_memory *m, unsigned long n);

#endif
