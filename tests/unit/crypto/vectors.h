/*
 * vectors.h - what the crypto tests share: hexadecimal, Wycheproof's JSON files, seeded randomness.
 */
#ifndef TEST_CRYPTO_VECTORS_H
#define TEST_CRYPTO_VECTORS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h> /* needs the ones above */

#include "crypto/crypto.h"

#include <cjson/cJSON.h>

#define BUF_MAX  (1u << 20)
#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

/* Appends the bytes that hex spells; fails the test when it is not hex. */
void unhex(nc_buf *out, const char *hex);
/* A new buffer with them; clear it. */
nc_buf hex_buf(const char *hex);
nc_buf empty_buf(void);
/* The field of a JSON object, decoded. */
nc_buf hex_field(const cJSON *object, const char *field);
const char *text_field(const cJSON *object, const char *field);
bool has_flag(const cJSON *test, const char *flag);
void assert_span_eq(nacre_span a, nacre_span b);

/* Calls fn with every test of tests/data/<file> and its group; returns how many there were. */
typedef void (*vector_fn)(const cJSON *group, const cJSON *test, void *user);
size_t each_vector(const char *file, vector_fn fn, void *user);

/* Deterministic bytes: a counter from the seed that user points at. */
int counting_random(void *user, uint8_t *out, size_t n);
/* Bytes of a span that user points at, in order; fails when they run out. */
int given_random(void *user, uint8_t *out, size_t n);
int broken_random(void *user, uint8_t *out, size_t n);

#endif
