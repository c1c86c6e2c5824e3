/*
 * pktcipher_chachapoly.c - chacha20-poly1305@openssh.com (OpenSSH PROTOCOL.chacha20poly1305). It is
 * not RFC 8439's AEAD: two keys (K_2, the first half, for the body; K_1 for the length bytes), the
 * sequence number as a 64-bit nonce, and a tag over the encrypted length and body without padding.
 *
 * libcrypto's ChaCha20 and Poly1305 are taken rather than libsodium's: three times the speed on large
 * packets, at the cost of a few calls on small ones.
 */
#include "crypto/pktcipher.h"

#include "wire/wr.h"

#include <string.h>

enum { HALF_KEY = 32, POLY_KEY = 32, CHACHA_BLOCK = 64, CHACHA_IV = 16 };

static int chachapoly_init(nc_pktcipher *c, const nc_pktcipher_keys *k)
{
    EVP_MAC *poly = NULL;
    int rc;

    c->layout = (nc_pktcipher_layout){8, NC_AEAD_TAG, NC_LENGTH_BYTES, true};
    rc = nc_cipher_ctx_new(&c->data, EVP_chacha20(), k->key, NULL, true);
    if (rc != NACRE_OK) {
        return rc;
    }
    rc = nc_cipher_ctx_new(&c->length, EVP_chacha20(), k->key + HALF_KEY, NULL, true);
    if (rc != NACRE_OK) {
        return rc;
    }
    poly = EVP_MAC_fetch(NULL, "POLY1305", NULL);
    c->mac = poly ? EVP_MAC_CTX_new(poly) : NULL;
    EVP_MAC_free(poly); /* the context keeps its own reference */
    return c->mac ? NACRE_OK : NACRE_CRYPTO;
}

/* libcrypto's IV is a little-endian block counter of 8 bytes, then the nonce of the original cipher. */
static int set_nonce(EVP_CIPHER_CTX *ctx, uint32_t seq)
{
    uint8_t iv[CHACHA_IV] = {0};

    nc_put_u32(iv + 12, seq);
    return EVP_CipherInit_ex(ctx, NULL, NULL, NULL, iv, -1) == 1 ? NACRE_OK : NACRE_CRYPTO;
}

static int crypt_length(nc_pktcipher *c, uint32_t seq, uint8_t *length)
{
    int rc = set_nonce(c->length, seq);

    return rc == NACRE_OK ? nc_cipher_in_place(c->length, length, NC_LENGTH_BYTES) : rc;
}

/*
 * Block 0 of the body's key stream is the packet's Poly1305 key. Drawing the whole block leaves the
 * stream at block 1, where the body begins, without setting the IV a second time.
 */
static int start_body(nc_pktcipher *c, uint32_t seq)
{
    uint8_t block[CHACHA_BLOCK] = {0};
    int rc = set_nonce(c->data, seq);

    if (rc == NACRE_OK) {
        rc = nc_cipher_in_place(c->data, block, sizeof block);
    }
    if (rc == NACRE_OK && EVP_MAC_init(c->mac, block, POLY_KEY, NULL) != 1) {
        rc = NACRE_CRYPTO;
    }
    nc_wipe(block, sizeof block);
    return rc;
}

static int poly_tag(nc_pktcipher *c, const uint8_t *p, size_t n, uint8_t *tag)
{
    size_t len = 0;

    if (EVP_MAC_update(c->mac, p, n) != 1 || EVP_MAC_final(c->mac, tag, &len, NC_AEAD_TAG) != 1 ||
        len != NC_AEAD_TAG) {
        return NACRE_CRYPTO;
    }
    return NACRE_OK;
}

/* The length bytes stay encrypted in place: the tag covers them. */
static int chachapoly_peek_len(nc_pktcipher *c, uint32_t seq, uint8_t *packet,
                               uint32_t *packet_length)
{
    uint8_t length[NC_LENGTH_BYTES];
    int rc;

    memcpy(length, packet, sizeof length);
    rc = crypt_length(c, seq, length);
    if (rc == NACRE_OK) {
        *packet_length = nc_get_u32(length);
    }
    return rc;
}

static int chachapoly_open(nc_pktcipher *c, uint32_t seq, uint8_t *packet, uint32_t packet_length)
{
    size_t n = NC_LENGTH_BYTES + (size_t)packet_length;
    uint8_t tag[NC_AEAD_TAG];
    int rc = start_body(c, seq);

    if (rc == NACRE_OK) {
        rc = poly_tag(c, packet, n, tag);
    }
    if (rc != NACRE_OK) {
        return rc;
    }
    if (!nc_ct_equal(tag, packet + n, sizeof tag)) {
        return NACRE_INTEGRITY;
    }
    nc_put_u32(packet, packet_length);
    return nc_cipher_in_place(c->data, packet + NC_LENGTH_BYTES, packet_length);
}

static int chachapoly_seal(nc_pktcipher *c, uint32_t seq, uint8_t *packet, uint32_t packet_length)
{
    size_t n = NC_LENGTH_BYTES + (size_t)packet_length;
    int rc = crypt_length(c, seq, packet);

    if (rc == NACRE_OK) {
        rc = start_body(c, seq);
    }
    if (rc == NACRE_OK) {
        rc = nc_cipher_in_place(c->data, packet + NC_LENGTH_BYTES, packet_length);
    }
    return rc == NACRE_OK ? poly_tag(c, packet, n, packet + n) : rc;
}

const nc_pktcipher_mode nc_pktcipher_chachapoly = {chachapoly_init, chachapoly_peek_len,
                                                   chachapoly_open, chachapoly_seal};
