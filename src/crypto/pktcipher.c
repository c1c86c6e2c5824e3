/*
 * pktcipher.c - packet protection: the descriptors, the cleartext mode, and the choice of a mode.
 * The modes themselves are pktcipher_ctr.c, pktcipher_gcm.c and pktcipher_chachapoly.c.
 * RFC 4253 6, RFC 4344 4, RFC 5647, RFC 6668, OpenSSH PROTOCOL 1.5 and PROTOCOL.chacha20poly1305.
 */
#include "crypto/pktcipher.h"

#include "wire/wr.h"

#include <limits.h>

static const nc_cipher_alg chacha20_poly1305 = {
    "chacha20-poly1305@openssh.com", NC_MODE_CHACHAPOLY, 64, 0, 8, 16};
static const nc_cipher_alg aes128_gcm = {"aes128-gcm@openssh.com", NC_MODE_GCM, 16, 12, 16, 16};
static const nc_cipher_alg aes256_gcm = {"aes256-gcm@openssh.com", NC_MODE_GCM, 32, 12, 16, 16};
static const nc_cipher_alg aes128_ctr = {"aes128-ctr", NC_MODE_CTR, 16, 16, 16, 0};
static const nc_cipher_alg aes192_ctr = {"aes192-ctr", NC_MODE_CTR, 24, 16, 16, 0};
static const nc_cipher_alg aes256_ctr = {"aes256-ctr", NC_MODE_CTR, 32, 16, 16, 0};

const nc_cipher_alg nc_cipher_none = {"none", NC_MODE_NONE, 0, 0, 8, 0};
const nc_cipher_alg *const nc_cipher_algs[] = {
    &chacha20_poly1305, &aes128_gcm, &aes256_gcm, &aes128_ctr, &aes192_ctr, &aes256_ctr, NULL};

static const nc_mac_alg sha256_etm = {"hmac-sha2-256-etm@openssh.com", &nc_hash_sha256, 32, 32,
                                      true};
static const nc_mac_alg sha512_etm = {"hmac-sha2-512-etm@openssh.com", &nc_hash_sha512, 64, 64,
                                      true};
static const nc_mac_alg sha256_mac = {"hmac-sha2-256", &nc_hash_sha256, 32, 32, false};
static const nc_mac_alg sha512_mac = {"hmac-sha2-512", &nc_hash_sha512, 64, 64, false};
const nc_mac_alg *const nc_mac_algs[] = {&sha256_etm, &sha512_etm, &sha256_mac, &sha512_mac, NULL};

int nc_cipher_ctx_new(EVP_CIPHER_CTX **out, const EVP_CIPHER *cipher, const uint8_t *key,
                      const uint8_t *iv, bool encrypt)
{
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();

    *out = NULL;
    if (!ctx) {
        return NACRE_NO_MEMORY;
    }
    if (EVP_CipherInit_ex(ctx, cipher, NULL, key, iv, encrypt ? 1 : 0) != 1 ||
        EVP_CIPHER_CTX_set_padding(ctx, 0) != 1) {
        EVP_CIPHER_CTX_free(ctx);
        return NACRE_CRYPTO;
    }
    *out = ctx;
    return NACRE_OK;
}

int nc_cipher_in_place(EVP_CIPHER_CTX *ctx, uint8_t *p, size_t n)
{
    int done = 0;

    if (n == 0) {
        return NACRE_OK;
    }
    if (n > INT_MAX || EVP_CipherUpdate(ctx, p, &done, p, (int)n) != 1 || done != (int)n) {
        return NACRE_CRYPTO;
    }
    return NACRE_OK;
}

/* ---- cleartext: before the first NEWKEYS -------------------------------------------------------- */

static int none_init(nc_pktcipher *c, const nc_pktcipher_keys *k)
{
    (void)k;
    c->layout = (nc_pktcipher_layout){8, 0, NC_LENGTH_BYTES, false};
    return NACRE_OK;
}

static int none_peek_len(nc_pktcipher *c, uint32_t seq, uint8_t *packet, uint32_t *packet_length)
{
    (void)c;
    (void)seq;
    *packet_length = nc_get_u32(packet);
    return NACRE_OK;
}

static int none_pass(nc_pktcipher *c, uint32_t seq, uint8_t *packet, uint32_t packet_length)
{
    (void)c;
    (void)seq;
    (void)packet;
    (void)packet_length;
    return NACRE_OK;
}

static const nc_pktcipher_mode none_mode = {none_init, none_peek_len, none_pass, none_pass};

/* ---- the object --------------------------------------------------------------------------------- */

static const nc_pktcipher_mode *choose_mode(const nc_cipher_alg *alg, const nc_mac_alg *mac)
{
    switch (alg->mode) {
    case NC_MODE_NONE:
        return &none_mode;
    case NC_MODE_GCM:
        return &nc_pktcipher_gcm;
    case NC_MODE_CHACHAPOLY:
        return &nc_pktcipher_chachapoly;
    case NC_MODE_CTR:
        if (!mac) {
            return NULL; /* encryption without integrity is not on offer */
        }
        return mac->etm ? &nc_pktcipher_ctr_etm : &nc_pktcipher_ctr_mac;
    }
    return NULL;
}

int nc_pktcipher_new(nc_pktcipher **out, const nacre_allocator *a, const nc_cipher_alg *alg,
                     const nc_mac_alg *mac, const uint8_t *key, const uint8_t *iv,
                     const uint8_t *mac_key, bool seal)
{
    nc_pktcipher_keys k = {alg ? alg : &nc_cipher_none, mac, key, iv, mac_key};
    const nc_pktcipher_mode *mode = choose_mode(k.alg, mac);
    nc_pktcipher *c;
    int rc;

    *out = NULL;
    if (!mode) {
        return NACRE_INVALID_ARGUMENT;
    }
    c = nc_zalloc(a, sizeof *c);
    if (!c) {
        return NACRE_NO_MEMORY;
    }
    c->mode = mode;
    c->alloc = a;
    c->sealing = seal;
    rc = mode->init(c, &k);
    if (rc != NACRE_OK) {
        nc_pktcipher_free(c);
        return rc;
    }
    *out = c;
    return NACRE_OK;
}

void nc_pktcipher_free(nc_pktcipher *c)
{
    if (c) {
        EVP_CIPHER_CTX_free(c->data);
        EVP_CIPHER_CTX_free(c->length);
        EVP_MAC_CTX_free(c->mac);
        nc_wipe_free(c->alloc, c, sizeof *c);
    }
}

const nc_pktcipher_layout *nc_pktcipher_get_layout(const nc_pktcipher *c)
{
    return &c->layout;
}

int nc_pktcipher_peek_len(nc_pktcipher *c, uint32_t seq, uint8_t *packet, uint32_t *packet_length)
{
    *packet_length = 0;
    return c->mode->peek_len(c, seq, packet, packet_length);
}

int nc_pktcipher_open(nc_pktcipher *c, uint32_t seq, uint8_t *packet, uint32_t packet_length)
{
    return c->sealing ? NACRE_WRONG_STATE : c->mode->open(c, seq, packet, packet_length);
}

int nc_pktcipher_seal(nc_pktcipher *c, uint32_t seq, uint8_t *packet, uint32_t packet_length)
{
    return c->sealing ? c->mode->seal(c, seq, packet, packet_length) : NACRE_WRONG_STATE;
}
