/*
 * mutator.h - a mutator that knows what SSH looks like: it edits the fields of a message by the layouts of
 * wire/msg.h, puts messages in, out and elsewhere, and sets right the lengths around what it changed (most of
 * the time), so that a mutation is not lost to the first length check.
 */
#ifndef NC_FUZZ_MUTATOR_H
#define NC_FUZZ_MUTATOR_H

#include "fuzz.h"

typedef enum fuzz_form {
    FUZZ_PLAIN,   /* bytes */
    FUZZ_RECORDS, /* whole.c's */
    FUZZ_PACKETS, /* a line, then packets in clear (RFC 4253 6) */
    FUZZ_MESSAGES /* uint32 length and payload, as SFTP, agents and RFC 4819 have them */
} fuzz_form;

typedef struct fuzz_shape {
    fuzz_form form;
    size_t head; /* bytes in front that are the target's own */
} fuzz_shape;

/* Of the target's input; one that does not say takes plain bytes. */
extern const fuzz_shape fuzz_input_shape;

/* Changes data in place, max bytes at most; the new size. *seed: the random source's state. */
size_t fuzz_mutate(const fuzz_shape *shape, uint8_t *data, size_t n, size_t max, uint64_t *seed);
/* The same for the payload of one SSH packet (RFC 4253 6), number byte included. */
size_t fuzz_mutate_payload(uint8_t *payload, size_t n, size_t max, uint64_t *seed);
/* A message of nobody, from the layouts and the words of the protocol. */
size_t fuzz_invent_payload(uint8_t *payload, size_t max, uint64_t *seed);

#endif
