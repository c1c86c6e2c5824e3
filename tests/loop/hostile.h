/* hostile.h - what the tests of hostile peers share. */
#ifndef NC_TESTS_LOOP_HOSTILE_H
#define NC_TESTS_LOOP_HOSTILE_H

#include "support/pair.h"

const nacre_error *hostile_error(const pair *p, int who);
/* A pair with its first bytes not yet on their way. */
void hostile_start(pair *p, uint64_t seed);
/* The server has keys; the client waits for its login until told. */
void hostile_until_keyed(pair *p);
void hostile_until_in(pair *p);
/* Runs the pair: the end who must have failed with status, told so once, and said why. */
void hostile_end(pair *p, int who, int status);
int hostile_cleanup(void **state);

#endif
