/*
 * memory.h - an allocator that counts: it fails where it is told to, knows what was not given back, and what
 * the most was. Every test of memory that runs out is one loop over it:
 *
 *     test_memory m;
 *     for (test_memory_init(&m); test_memory_round(&m);) {
 *         int rc = something(&m.hooks);
 *         test_memory_judge(&m, rc);
 *     }
 *
 * The first allocation fails, alone and then with all that follow it; then the second; until a round needs fewer.
 */
#ifndef NC_TESTS_MEMORY_H
#define NC_TESTS_MEMORY_H

#include "nacre/base.h"

#include <stdbool.h>

typedef struct test_memory {
    nacre_allocator hooks;
    unsigned long count;
    unsigned long fail_at; /* this allocation, by count; 0: none */
    bool for_good;         /* and every one after it */
    bool paused;           /* none fails, and none is counted */
    bool failed;           /* it has come */
    long live;             /* blocks */
    size_t bytes, most;

    /* of the rounds */
    unsigned long round;   /* which allocation fails in this one */
    long held;             /* blocks that lived before the first */
    unsigned long refused; /* rounds that test_memory_judge found failed */
} test_memory;

/* For one thread. Never fails until told. */
void test_memory_init(test_memory *m);
/* The n-th allocation from now on fails and none else; 0: none. */
void test_memory_fail(test_memory *m, unsigned long n);
/* n allocations from now on are granted and no further one. */
void test_memory_end(test_memory *m, unsigned long n);

/*
 * The next round, as above. False: in the one before nothing was left to fail. Fails the test when a round leaves
 * something behind, and when there is no end of rounds.
 */
bool test_memory_round(test_memory *m);
/* Fails the test unless rc is NACRE_OK, or NACRE_NO_MEMORY in a round where an allocation failed. */
void test_memory_judge(test_memory *m, int rc);

#endif
