/*
 * pktcipher_ctr.c - AES-CTR with HMAC: the MAC over the plaintext (RFC 4253 6.4, RFC 4344 4), and
 * OpenSSH's encrypt-then-MAC, where the length travels in clear (OpenSSH PROTOCOL 1.5).
 *
 * The key stream runs on from packet to packet, so every byte must pass through it once and in order,
 * also when the packet turns out to be bad; the connection ends there anyway.
 */
#include "crypto/pktcipher.h"

#include "wire/wr.h"

enum { CTR_BLOCK = 16 };

static const EVP_CIPHER *ctr_cipher(size_t key_len)
{
    switch (key_len) {
    case 16:
        return EVP_aes_128_ctr();
    case 24:
        return EVP_aes_192_ctr();
    case 32:
        return EVP_aes_256_ctr();
    default:
        return NULL;
    }
}

static int ctr_init(nc_pktcipher *c, const nc_pktcipher_keys *k)
{
    const EVP_CIPHER *cipher = ctr_cipher(k->alg->key_len);
    bool etm = k->mac->etm;
    int rc;

    if (!cipher) {
        return NACRE_INVALID_ARGUMENT;
    }
    /* With the MAC over plaintext the length is encrypted: one block must be there to read it. */
    c->layout = (nc_pktcipher_layout){CTR_BLOCK, k->mac->tag_len,
                                      etm ? (size_t)NC_LENGTH_BYTES : (size_t)CTR_BLOCK, etm};
    rc = nc_cipher_ctx_new(&c->data, cipher, k->key, k->iv, c->sealing);
    if (rc != NACRE_OK) {
        return rc;
    }
    return nc_hmac_ctx_new(&c->mac, k->mac->hash, nc_span(k->mac_key, k->mac->key_len));
}

/* HMAC(key, uint32 sequence number || packet), from the key schedule that the context holds. */
static int packet_mac(nc_pktcipher *c, uint32_t seq, const uint8_t *packet, size_t n, uint8_t *tag)
{
    uint8_t number[4];
    size_t len = 0;

    nc_put_u32(number, seq);
    if (EVP_MAC_init(c->mac, NULL, 0, NULL) != 1 ||
        EVP_MAC_update(c->mac, number, sizeof number) != 1 ||
        EVP_MAC_update(c->mac, packet, n) != 1 ||
        EVP_MAC_final(c->mac, tag, &len, c->layout.tag_len) != 1 || len != c->layout.tag_len) {
        return NACRE_CRYPTO;
    }
    return NACRE_OK;
}

static int check_mac(nc_pktcipher *c, uint32_t seq, const uint8_t *packet, size_t n)
{
    uint8_t tag[NC_MAX_HASH];
    int rc = packet_mac(c, seq, packet, n, tag);

    if (rc == NACRE_OK && !nc_ct_equal(tag, packet + n, c->layout.tag_len)) {
        rc = NACRE_INTEGRITY;
    }
    nc_wipe(tag, sizeof tag);
    return rc;
}

/* ---- MAC over plaintext ------------------------------------------------------------------------- */

static int mac_peek_len(nc_pktcipher *c, uint32_t seq, uint8_t *packet, uint32_t *packet_length)
{
    int rc = nc_cipher_in_place(c->data, packet, CTR_BLOCK);

    (void)seq;
    if (rc == NACRE_OK) {
        *packet_length = nc_get_u32(packet);
    }
    return rc;
}

static int mac_open(nc_pktcipher *c, uint32_t seq, uint8_t *packet, uint32_t packet_length)
{
    size_t n = NC_LENGTH_BYTES + (size_t)packet_length;
    int rc;

    if (n < CTR_BLOCK) {
        return NACRE_INTEGRITY; /* shorter than what peek_len has decrypted */
    }
    rc = nc_cipher_in_place(c->data, packet + CTR_BLOCK, n - CTR_BLOCK);
    return rc == NACRE_OK ? check_mac(c, seq, packet, n) : rc;
}

static int mac_seal(nc_pktcipher *c, uint32_t seq, uint8_t *packet, uint32_t packet_length)
{
    size_t n = NC_LENGTH_BYTES + (size_t)packet_length;
    int rc = packet_mac(c, seq, packet, n, packet + n);

    return rc == NACRE_OK ? nc_cipher_in_place(c->data, packet, n) : rc;
}

const nc_pktcipher_mode nc_pktcipher_ctr_mac = {ctr_init, mac_peek_len, mac_open, mac_seal};

/* ---- encrypt-then-MAC --------------------------------------------------------------------------- */

static int etm_peek_len(nc_pktcipher *c, uint32_t seq, uint8_t *packet, uint32_t *packet_length)
{
    (void)c;
    (void)seq;
    *packet_length = nc_get_u32(packet);
    return NACRE_OK;
}

static int etm_open(nc_pktcipher *c, uint32_t seq, uint8_t *packet, uint32_t packet_length)
{
    int rc = check_mac(c, seq, packet, NC_LENGTH_BYTES + (size_t)packet_length);

    if (rc != NACRE_OK) {
        return rc;
    }
    return nc_cipher_in_place(c->data, packet + NC_LENGTH_BYTES, packet_length);
}

static int etm_seal(nc_pktcipher *c, uint32_t seq, uint8_t *packet, uint32_t packet_length)
{
    size_t n = NC_LENGTH_BYTES + (size_t)packet_length;
    int rc = nc_cipher_in_place(c->data, packet + NC_LENGTH_BYTES, packet_length);

    return rc == NACRE_OK ? packet_mac(c, seq, packet, n, packet + n) : rc;
}

const nc_pktcipher_mode nc_pktcipher_ctr_etm = {ctr_init, etm_peek_len, etm_open, etm_seal};
