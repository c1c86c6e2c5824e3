/*
 * crypto_faults.h - libcrypto and libsodium that fail when told to: the linker puts these in their place (--wrap,
 * tests/loop/meson.build) in the programs that link crypto_faults.c.
 */
#ifndef NC_TESTS_CRYPTO_FAULTS_H
#define NC_TESTS_CRYPTO_FAULTS_H

#include <stdbool.h>

typedef struct crypto_faults {
    unsigned long count;   /* calls since crypto_faults_begin */
    unsigned long fail_at; /* this call fails; 0: none */
    bool negative;         /* with -1 where libcrypto knows both 0 and less */
    const char *failed;    /* the function that did; NULL: it has not come to that */
} crypto_faults;

extern crypto_faults crypto_fault;

void crypto_faults_begin(unsigned long fail_at, bool negative);
void crypto_faults_end(void);

#endif
