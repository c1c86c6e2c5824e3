/*
 * os_faults.h - the operating system on a bad day: calls that take less than asked, are interrupted or not ready, and
 * calls that fail for good. The linker puts these in the place of the C library's (--wrap, tests/support/meson.build) in
 * the programs that link os_faults.c. Only the thread that began it is concerned.
 */
#ifndef NC_TESTS_OS_FAULTS_H
#define NC_TESTS_OS_FAULTS_H

#include <stdbool.h>
#include <stdint.h>

typedef struct os_faults {
    bool torn;             /* short, EINTR, EAGAIN, by chance */
    uint64_t chance;       /* any seed */
    unsigned long fail_at; /* this call fails for good; 0: none */
    unsigned long count;   /* calls since os_faults_begin */
    const char *failed;    /* the function that did; NULL: it has not come to that */
    unsigned accept_fails; /* EMFILE so often */
} os_faults;

extern os_faults os_fault;

void os_faults_begin(unsigned long fail_at);
void os_faults_tear(uint64_t seed);
void os_faults_end(void);

#endif
