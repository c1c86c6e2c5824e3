/*
 * memory.h - an allocator that counts: it fails where it is told to, knows what was not given back, and what
 * the most was.
 */
#ifndef NC_TESTS_MEMORY_H
#define NC_TESTS_MEMORY_H

#include "nacre/base.h"

typedef struct test_memory {
    nacre_allocator hooks;
    unsigned long count;
    unsigned long fail_at; /* this allocation and none else; 0: none */
    bool failed;           /* it has come */
    long live;             /* blocks */
    size_t bytes, most;
} test_memory;

void test_memory_init(test_memory *m);
/* The n-th allocation from now on fails; 0: none. */
void test_memory_fail(test_memory *m, unsigned long n);

#endif
