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
/*
 * A packet of an end, past every rule, in the fields of form: u a number, s text, S bytes as a string (nacre_span),
 * r bytes as they are, b one byte, * so many bytes as a string.
 */
void hostile_say(pair *p, int who, int number, const char *form, ...);

/* ---- a wire in one's hands: packet by packet instead of the pump of pair.h ---------------------------- */

void hostile_give(pair *p, int to, const uint8_t *bytes, size_t n);
bool hostile_over(const pair *p, int who);
/* What leaves an end next: one line or packet while the other end reads in clear, then whatever there is. */
nacre_span hostile_unit(const pair *p, int from);
/* Carries it; false: there was none. */
bool hostile_carry(pair *p, int from);
/* A packet without keys (RFC 4253 6), from nowhere. */
void hostile_say_clear(pair *p, int to, const void *payload, size_t n);
/*
 * An end whose KEXINIT has not left yet no longer knows strict key exchange: the marker that offers it
 * becomes a name that means nothing, in what is hashed, too.
 */
void hostile_make_lax(pair *p, int who);

int hostile_cleanup(void **state);

#endif
