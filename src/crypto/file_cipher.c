/*
 * file_cipher.c - the ciphers of private-key files (OpenSSH PROTOCOL.key; CBC and 3DES also protect
 * files of other programs). One call, one message: contexts do not outlive it.
 */
#include "crypto/pktcipher.h"

#include <limits.h>
#include <sodium.h>
#include <string.h>

static const nc_file_cipher aes256_ctr = {"aes256-ctr", 32, 16, 16, 0, false};
static const nc_file_cipher aes128_ctr = {"aes128-ctr", 16, 16, 16, 0, false};
static const nc_file_cipher aes192_ctr = {"aes192-ctr", 24, 16, 16, 0, false};
static const nc_file_cipher aes256_gcm = {"aes256-gcm@openssh.com", 32, 12, 16, NC_AEAD_TAG, false};
static const nc_file_cipher aes128_gcm = {"aes128-gcm@openssh.com", 16, 12, 16, NC_AEAD_TAG, false};
static const nc_file_cipher chacha20_poly1305 = {
    "chacha20-poly1305@openssh.com", 64, 0, 8, NC_AEAD_TAG, false};
static const nc_file_cipher aes128_cbc = {"aes128-cbc", 16, 16, 16, 0, false};
static const nc_file_cipher aes192_cbc = {"aes192-cbc", 24, 16, 16, 0, false};
static const nc_file_cipher aes256_cbc = {"aes256-cbc", 32, 16, 16, 0, false};
static const nc_file_cipher des3_cbc = {"3des-cbc", 24, 8, 8, 0, true};

const nc_file_cipher *const nc_file_ciphers[] = {
    &aes256_ctr, &aes128_ctr, &aes192_ctr, &aes256_gcm, &aes128_gcm, &chacha20_poly1305,
    &aes128_cbc, &aes192_cbc, &aes256_cbc, &des3_cbc,   NULL};

static const struct {
    const nc_file_cipher *cipher;
    const EVP_CIPHER *(*evp)(void);
} evp_ciphers[] = {
    {&aes256_ctr, EVP_aes_256_ctr}, {&aes128_ctr, EVP_aes_128_ctr}, {&aes192_ctr, EVP_aes_192_ctr},
    {&aes256_gcm, EVP_aes_256_gcm}, {&aes128_gcm, EVP_aes_128_gcm}, {&aes128_cbc, EVP_aes_128_cbc},
    {&aes192_cbc, EVP_aes_192_cbc}, {&aes256_cbc, EVP_aes_256_cbc}, {&des3_cbc, EVP_des_ede3_cbc},
};

static const EVP_CIPHER *evp_of(const nc_file_cipher *c)
{
    for (size_t i = 0; i < sizeof evp_ciphers / sizeof evp_ciphers[0]; i++) {
        if (evp_ciphers[i].cipher == c) {
            return evp_ciphers[i].evp();
        }
    }
    return NULL;
}

/* What both directions share; the tag is a matter of the caller's. */
static int run(EVP_CIPHER_CTX **ctx, const nc_file_cipher *c, const uint8_t *key, const uint8_t *iv,
               nacre_room data, bool encrypt)
{
    const EVP_CIPHER *evp = evp_of(c);
    int rc;

    *ctx = NULL;
    if (!evp || data.n > INT_MAX) {
        return NACRE_INVALID_ARGUMENT;
    }
    rc = nc_cipher_ctx_new(ctx, evp, key, iv, encrypt);
    return rc == NACRE_OK ? nc_cipher_in_place(*ctx, data.p, data.n) : rc;
}

/*
 * chacha20-poly1305@openssh.com as a file has it: sequence number 0, no length bytes. Encrypting and
 * decrypting differ only in when the tag is taken.
 */
static int chacha_tag(const uint8_t *key, nacre_room data, uint8_t *tag)
{
    static const uint8_t nonce[crypto_stream_chacha20_NONCEBYTES];
    uint8_t poly_key[crypto_onetimeauth_KEYBYTES];
    int rc = NACRE_CRYPTO;

    if (crypto_stream_chacha20(poly_key, sizeof poly_key, nonce, key) == 0 &&
        crypto_onetimeauth(tag, data.p, data.n, poly_key) == 0) {
        rc = NACRE_OK;
    }
    nc_wipe(poly_key, sizeof poly_key);
    return rc;
}

static int chacha_body(const uint8_t *key, nacre_room data)
{
    static const uint8_t nonce[crypto_stream_chacha20_NONCEBYTES];

    return crypto_stream_chacha20_xor_ic(data.p, data.p, data.n, nonce, 1, key) == 0 ? NACRE_OK
                                                                                     : NACRE_CRYPTO;
}

int nc_file_decrypt(const nc_file_cipher *c, const uint8_t *key, const uint8_t *iv, nacre_room data,
                    const uint8_t *tag)
{
    EVP_CIPHER_CTX *ctx = NULL;
    uint8_t buf[NC_AEAD_TAG];
    int n = 0;
    int rc;

    if (data.n % c->block != 0) {
        return NACRE_INVALID_ARGUMENT;
    }
    if (c == &chacha20_poly1305) {
        rc = chacha_tag(key, data, buf);
        if (rc == NACRE_OK && !nc_ct_equal(buf, tag, sizeof buf)) {
            rc = NACRE_INTEGRITY;
        }
        return rc == NACRE_OK ? chacha_body(key, data) : rc;
    }
    rc = run(&ctx, c, key, iv, data, false);
    if (rc == NACRE_OK && c->tag_len > 0) {
        memcpy(buf, tag, sizeof buf); /* libcrypto's argument is not const */
        if (EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_TAG, sizeof buf, buf) != 1) {
            rc = NACRE_CRYPTO;
        } else if (EVP_CipherFinal_ex(ctx, buf, &n) != 1) {
            rc = NACRE_INTEGRITY;
        }
    }
    EVP_CIPHER_CTX_free(ctx);
    return rc;
}

int nc_file_encrypt(const nc_file_cipher *c, const uint8_t *key, const uint8_t *iv, nacre_room data,
                    uint8_t *tag)
{
    EVP_CIPHER_CTX *ctx = NULL;
    uint8_t nothing[NC_AEAD_TAG];
    int n = 0;
    int rc;

    if (data.n % c->block != 0) {
        return NACRE_INVALID_ARGUMENT;
    }
    if (c == &chacha20_poly1305) {
        rc = chacha_body(key, data);
        return rc == NACRE_OK ? chacha_tag(key, data, tag) : rc;
    }
    rc = run(&ctx, c, key, iv, data, true);
    if (rc == NACRE_OK && c->tag_len > 0 &&
        (EVP_CipherFinal_ex(ctx, nothing, &n) != 1 ||
         EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, NC_AEAD_TAG, tag) != 1)) {
        rc = NACRE_CRYPTO;
    }
    EVP_CIPHER_CTX_free(ctx);
    return rc;
}
