/*
 * pktcipher_gcm.c - AES-GCM (RFC 5647 as OpenSSH PROTOCOL 1.6 reads it): the length is associated
 * data in clear, the nonce is a fixed field of 4 bytes and an invocation counter of 8.
 */
#include "crypto/pktcipher.h"

#include "wire/wr.h"

#include <limits.h>
#include <string.h>

enum { GCM_IV = 12, GCM_FIXED = 4, GCM_BLOCK = 16 };

static int gcm_init(nc_pktcipher *c, const nc_pktcipher_keys *k)
{
    const EVP_CIPHER *cipher = k->alg->key_len == 16 ? EVP_aes_128_gcm() : EVP_aes_256_gcm();

    c->layout = (nc_pktcipher_layout){GCM_BLOCK, NC_AEAD_TAG, NC_LENGTH_BYTES, true};
    memcpy(c->iv, k->iv, GCM_IV);
    return nc_cipher_ctx_new(&c->data, cipher, k->key, NULL, c->sealing);
}

/* The counter starts at a random value and wraps (RFC 5647 7.1); the keys go long before it is back. */
static void next_iv(uint8_t *iv)
{
    for (size_t i = GCM_IV; i-- > GCM_FIXED;) {
        if (++iv[i] != 0) {
            return;
        }
    }
}

static int gcm_peek_len(nc_pktcipher *c, uint32_t seq, uint8_t *packet, uint32_t *packet_length)
{
    (void)c;
    (void)seq;
    *packet_length = nc_get_u32(packet);
    return NACRE_OK;
}

/* IV, associated data and body: what sealing and opening share. */
static int gcm_body(nc_pktcipher *c, uint8_t *packet, uint32_t packet_length)
{
    int n = 0;

    if (packet_length > INT_MAX || EVP_CipherInit_ex(c->data, NULL, NULL, NULL, c->iv, -1) != 1) {
        return NACRE_CRYPTO;
    }
    next_iv(c->iv);
    if (EVP_CipherUpdate(c->data, NULL, &n, packet, NC_LENGTH_BYTES) != 1) {
        return NACRE_CRYPTO;
    }
    return nc_cipher_in_place(c->data, packet + NC_LENGTH_BYTES, packet_length);
}

static int gcm_open(nc_pktcipher *c, uint32_t seq, uint8_t *packet, uint32_t packet_length)
{
    uint8_t *tag = packet + NC_LENGTH_BYTES + packet_length;
    uint8_t nothing[GCM_BLOCK];
    int n = 0;
    int rc;

    (void)seq;
    rc = gcm_body(c, packet, packet_length);
    if (rc != NACRE_OK) {
        return rc;
    }
    if (EVP_CIPHER_CTX_ctrl(c->data, EVP_CTRL_AEAD_SET_TAG, NC_AEAD_TAG, tag) != 1) {
        return NACRE_CRYPTO;
    }
    return EVP_CipherFinal_ex(c->data, nothing, &n) == 1 ? NACRE_OK : NACRE_INTEGRITY;
}

static int gcm_seal(nc_pktcipher *c, uint32_t seq, uint8_t *packet, uint32_t packet_length)
{
    uint8_t *tag = packet + NC_LENGTH_BYTES + packet_length;
    uint8_t nothing[GCM_BLOCK];
    int n = 0;
    int rc;

    (void)seq;
    rc = gcm_body(c, packet, packet_length);
    if (rc != NACRE_OK) {
        return rc;
    }
    if (EVP_CipherFinal_ex(c->data, nothing, &n) != 1 ||
        EVP_CIPHER_CTX_ctrl(c->data, EVP_CTRL_AEAD_GET_TAG, NC_AEAD_TAG, tag) != 1) {
        return NACRE_CRYPTO;
    }
    return NACRE_OK;
}

const nc_pktcipher_mode nc_pktcipher_gcm = {gcm_init, gcm_peek_len, gcm_open, gcm_seal};
