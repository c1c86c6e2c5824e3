/*
 * bcrypt_pbkdf.c - the key derivation of OpenSSH's private-key files (PROTOCOL.key, bcrypt_pbkdf(3)):
 * PBKDF2's structure with a bcrypt-like function over SHA-512 digests, and an output whose bytes are
 * spread over the blocks so that no part can be had without the whole work.
 */
#include "crypto/blowfish.h"
#include "crypto/crypto.h"

#include "wire/wr.h"

#include <string.h>

enum {
    BLOCK_WORDS = 8,
    BLOCK = 4 * BLOCK_WORDS,
    DIGEST = 64,
    HARDENING = 64,
    MAX_OUTPUT = 1024, /* a cipher's key and IV are below 100 bytes */
    MAX_SALT = 1 << 20,
    /* ssh-keygen's default is 24 rounds, at some 5 ms each; a file must not buy hours of CPU. */
    MAX_ROUNDS = 1 << 16
};

static void store_little_endian(uint8_t *out, uint32_t v)
{
    for (int i = 0; i < 4; i++) {
        out[i] = (uint8_t)(v >> 8 * i);
    }
}

static void bcrypt_hash(const uint8_t *pass, const uint8_t *salt, uint8_t *out)
{
    static const char magic[] = "OxychromaticBlowfishSwatDynamite";
    const nacre_span p = nc_span(pass, DIGEST);
    const nacre_span s = nc_span(salt, DIGEST);
    const nacre_span none = nc_span(NULL, 0);
    nc_blowfish state = nc_blowfish_pi;
    uint32_t words[BLOCK_WORDS];

    nc_blowfish_expand(&state, s, p);
    for (int i = 0; i < HARDENING; i++) {
        nc_blowfish_expand(&state, none, s);
        nc_blowfish_expand(&state, none, p);
    }
    for (size_t i = 0; i < BLOCK_WORDS; i++) {
        words[i] = nc_get_u32((const uint8_t *)magic + 4 * i);
    }
    for (int i = 0; i < HARDENING; i++) {
        nc_blowfish_encrypt(&state, words, BLOCK_WORDS);
    }
    for (size_t i = 0; i < BLOCK_WORDS; i++) {
        store_little_endian(out + 4 * i, words[i]);
    }
    nc_wipe(&state, sizeof state);
    nc_wipe(words, sizeof words);
}

/* Block number count (from 1): the xor of all rounds. */
static int one_block(const uint8_t *pass, nacre_span salt, uint32_t count, uint32_t rounds,
                     uint8_t *out)
{
    const nc_hash_alg *sha512 = nc_hash_get(NC_SHA512);
    uint8_t number[4];
    uint8_t digest[DIGEST];
    uint8_t part[BLOCK];
    nacre_span first[2] = {salt, nc_span(number, sizeof number)};
    nacre_span next = nc_span(part, sizeof part);
    int rc;

    nc_put_u32(number, count);
    rc = nc_hash(sha512, first, 2, digest);
    if (rc != NACRE_OK) {
        return rc;
    }
    bcrypt_hash(pass, digest, part);
    memcpy(out, part, BLOCK);
    for (uint32_t i = 1; i < rounds; i++) {
        rc = nc_hash(sha512, &next, 1, digest);
        if (rc != NACRE_OK) {
            break;
        }
        bcrypt_hash(pass, digest, part);
        for (size_t j = 0; j < BLOCK; j++) {
            out[j] ^= part[j];
        }
    }
    nc_wipe(digest, sizeof digest);
    nc_wipe(part, sizeof part);
    return rc;
}

int nc_bcrypt_pbkdf(nacre_span passphrase, nacre_span salt, uint32_t rounds, uint8_t *out, size_t n)
{
    uint8_t pass[DIGEST];
    uint8_t block[BLOCK];
    size_t stride;
    size_t per_block;
    int rc;

    if (rounds < 1 || passphrase.n == 0 || salt.n == 0 || n == 0) {
        return NACRE_INVALID_ARGUMENT;
    }
    if (rounds > MAX_ROUNDS || salt.n > MAX_SALT || n > MAX_OUTPUT) {
        return NACRE_LIMIT;
    }
    stride = (n + BLOCK - 1) / BLOCK;
    per_block = (n + stride - 1) / stride;
    rc = nc_hash(nc_hash_get(NC_SHA512), &passphrase, 1, pass);
    for (size_t b = 0; rc == NACRE_OK && b < stride; b++) {
        rc = one_block(pass, salt, (uint32_t)b + 1, rounds, block);
        for (size_t i = 0; rc == NACRE_OK && i < per_block && i * stride + b < n; i++) {
            out[i * stride + b] = block[i];
        }
    }
    nc_wipe(pass, sizeof pass);
    nc_wipe(block, sizeof block);
    if (rc != NACRE_OK) {
        nc_wipe(out, n);
    }
    return rc;
}
