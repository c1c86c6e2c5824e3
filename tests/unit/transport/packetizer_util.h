/*
 * packetizer_util.h - for the packetizer's tests: two packetizers back to back, every protection there
 * is, an allocator that counts and fails, and packets sealed by hand.
 */
#ifndef PACKETIZER_UTIL_H
#define PACKETIZER_UTIL_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "support/memory.h"
#include "transport/packetizer.h"

/* A protection: index 0 is cleartext, NULL name at the end. */
typedef struct protection {
    const nc_cipher_alg *cipher;
    const nc_mac_alg *mac;
} protection;
size_t protection_count(void);
protection protection_at(size_t i);
const char *protection_name(protection p);
/* Key material depends on generation, so that a change of keys is one. */
int protection_new(nc_pktcipher **out, const nacre_allocator *a, protection p, uint8_t generation,
                   bool seal);
protection protection_named(const char *cipher);

typedef struct ends {
    nc_packetizer *tx, *rx;
} ends;
void ends_init(ends *p, const nacre_allocator *a, const nc_packetizer_limits *limits);
void ends_keys(ends *p, protection prot, uint8_t generation, bool reset);
void ends_compress(ends *p, bool on);
void ends_free(ends *p);

uint32_t test_random(void); /* deterministic */
extern const nc_random test_nc_random;
void fill_payload(uint8_t *out, size_t n, uint8_t number, uint32_t seed);
int send_payload(nc_packetizer *p, const uint8_t *payload, size_t n, size_t hint);
/* Hands bytes over, n at most; how many were taken. */
size_t feed(nc_packetizer *rx, const uint8_t *bytes, size_t n);
/* tx's output to rx, all of it that rx takes; at most cut bytes at a time. */
void move_output(ends *p, size_t cut);
/* The next packet has to be this one. */
void expect_payload(nc_packetizer *rx, const uint8_t *payload, size_t n);
void expect_status(nc_packetizer *rx, int status);
/*
 * A packet sealed with prot by hand, whatever its length fields say: body (padding_length, payload,
 * padding) of n bytes. Returns the bytes on the wire.
 */
size_t seal_by_hand(uint8_t *out, protection prot, uint32_t seq, uint32_t length,
                    const uint8_t *body, size_t n);

#endif
