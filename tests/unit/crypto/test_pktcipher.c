/* Packet protection: every mode against itself, against libcrypto's raw calls, and against damage. */
#include "vectors.h"

#include "wire/wr.h"

#include <openssl/evp.h>
#include <string.h>

enum { MAX_WIRE = 70000 };

static const uint8_t key[64] = "0123456789abcdef0123456789abcdefFEDCBA9876543210FEDCBA987654321";
static const uint8_t iv[16] = "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff\xfe";
static const uint8_t mac_key[64] =
    "another secret, of another kind, for the message authentication";

typedef struct mode {
    const nc_cipher_alg *cipher;
    const nc_mac_alg *mac;
} mode;

static mode modes[32];
static size_t mode_count;

static int list_modes(void **state)
{
    (void)state;
    mode_count = 0;
    for (size_t i = 0; nc_cipher_algs[i]; i++) {
        const nc_cipher_alg *c = nc_cipher_algs[i];

        if (c->tag_len > 0) {
            modes[mode_count++] = (mode){c, NULL};
            continue;
        }
        for (size_t j = 0; nc_mac_algs[j]; j++) {
            modes[mode_count++] = (mode){c, nc_mac_algs[j]};
        }
    }
    return mode_count == 3 + 3 * 4 ? 0 : -1;
}

static nc_pktcipher *make(const mode *m, bool seal)
{
    nc_pktcipher *c;

    assert_int_equal(nc_pktcipher_new(&c, NULL, m->cipher, m->mac, key, iv, mac_key, seal),
                     NACRE_OK);
    return c;
}

/* A packet_length that suits the mode, near n. */
static uint32_t fit(const nc_pktcipher_layout *l, size_t n)
{
    size_t head = l->length_apart ? 0 : 4;

    return (uint32_t)((n + head + l->block - 1) / l->block * l->block - head);
}

static void fill(uint8_t *packet, uint32_t len)
{
    nc_put_u32(packet, len);
    for (uint32_t i = 0; i < len; i++) {
        packet[4 + i] = (uint8_t)(i * 7 + len);
    }
}

static void names_are_ours(void **state)
{
    static const char *const ciphers[] = {"chacha20-poly1305@openssh.com",
                                          "aes128-gcm@openssh.com",
                                          "aes256-gcm@openssh.com",
                                          "aes128-ctr",
                                          "aes192-ctr",
                                          "aes256-ctr"};
    static const char *const macs[] = {"hmac-sha2-256-etm@openssh.com",
                                       "hmac-sha2-512-etm@openssh.com", "hmac-sha2-256",
                                       "hmac-sha2-512"};

    (void)state;
    for (size_t i = 0; i < COUNT(ciphers); i++) {
        assert_string_equal(nc_cipher_algs[i]->name, ciphers[i]);
        assert_true(nc_cipher_algs[i]->key_len <= 64 && nc_cipher_algs[i]->iv_len <= 16);
    }
    assert_null(nc_cipher_algs[COUNT(ciphers)]);
    for (size_t i = 0; i < COUNT(macs); i++) {
        assert_string_equal(nc_mac_algs[i]->name, macs[i]);
        assert_int_equal(nc_mac_algs[i]->tag_len, nc_mac_algs[i]->hash->len);
        assert_int_equal(nc_mac_algs[i]->etm, strstr(macs[i], "etm") != NULL);
    }
    assert_null(nc_mac_algs[COUNT(macs)]);
}

static void round_trips(void **state)
{
    static const size_t sizes[] = {8, 12, 16, 28, 60, 252, 1024, 16384, 32768, 65536};
    static uint8_t plain[MAX_WIRE];
    static uint8_t wire[MAX_WIRE];

    (void)state;
    for (size_t m = 0; m < mode_count; m++) {
        nc_pktcipher *s = make(&modes[m], true);
        nc_pktcipher *o = make(&modes[m], false);
        const nc_pktcipher_layout *l = nc_pktcipher_get_layout(s);
        uint32_t seq = 0xfffffffa; /* goes through the wrap */

        for (size_t i = 0; i < COUNT(sizes); i++, seq++) {
            uint32_t len = fit(l, sizes[i]);
            uint32_t got = 0;

            fill(plain, len);
            memcpy(wire, plain, 4 + (size_t)len);
            assert_int_equal(nc_pktcipher_seal(s, seq, wire, len), NACRE_OK);
            assert_memory_not_equal(wire + 4, plain + 4, len);
            assert_true(l->head_len <= 4 + (size_t)len + l->tag_len);
            assert_int_equal(nc_pktcipher_peek_len(o, seq, wire, &got), NACRE_OK);
            assert_int_equal(got, len);
            assert_int_equal(nc_pktcipher_open(o, seq, wire, len), NACRE_OK);
            assert_memory_equal(wire, plain, 4 + (size_t)len);
        }
        assert_int_equal(nc_pktcipher_open(s, seq, wire, 16), NACRE_WRONG_STATE);
        assert_int_equal(nc_pktcipher_seal(o, seq, wire, 16), NACRE_WRONG_STATE);
        nc_pktcipher_free(s);
        nc_pktcipher_free(o);
    }
}

/* What a receiver makes of a packet: its length may be damaged too. */
static int receive(const mode *m, uint32_t seq, const uint8_t *sealed, size_t total, uint32_t len)
{
    uint8_t wire[512];
    nc_pktcipher *o = make(m, false);
    uint32_t got = 0;
    int rc;

    memset(wire, 0, sizeof wire);
    memcpy(wire, sealed, total);
    rc = nc_pktcipher_peek_len(o, seq, wire, &got);
    if (rc == NACRE_OK) {
        /* A length that does not fit is for the packetizer to refuse; here it is taken as sent. */
        rc = nc_pktcipher_open(o, seq, wire, got <= 256 ? got : len);
    }
    nc_pktcipher_free(o);
    return rc;
}

static void every_bit_counts(void **state)
{
    (void)state;
    for (size_t m = 0; m < mode_count; m++) {
        nc_pktcipher *s = make(&modes[m], true);
        const nc_pktcipher_layout *l = nc_pktcipher_get_layout(s);
        uint32_t len = fit(l, 44);
        size_t total = 4 + len + l->tag_len;
        uint8_t sealed[256];

        fill(sealed, len);
        assert_int_equal(nc_pktcipher_seal(s, 7, sealed, len), NACRE_OK);
        nc_pktcipher_free(s);
        assert_int_equal(receive(&modes[m], 7, sealed, total, len), NACRE_OK);
        if (modes[m].cipher->mode != NC_MODE_GCM) {
            assert_int_equal(receive(&modes[m], 8, sealed, total, len), NACRE_INTEGRITY);
        }
        for (size_t bit = 0; bit < total * 8; bit++) {
            sealed[bit / 8] ^= (uint8_t)(1 << bit % 8);
            assert_int_equal(receive(&modes[m], 7, sealed, total, len), NACRE_INTEGRITY);
            sealed[bit / 8] ^= (uint8_t)(1 << bit % 8);
        }
    }
}

/* A damaged packet stays ciphertext where the tag comes first. */
static void tag_before_decryption(void **state)
{
    (void)state;
    for (size_t m = 0; m < mode_count; m++) {
        bool first =
            modes[m].cipher->mode == NC_MODE_CHACHAPOLY || (modes[m].mac && modes[m].mac->etm);
        nc_pktcipher *s = make(&modes[m], true);
        nc_pktcipher *o = make(&modes[m], false);
        uint32_t len = fit(nc_pktcipher_get_layout(s), 44);
        uint32_t got;
        uint8_t sealed[256];
        uint8_t copy[256];

        fill(sealed, len);
        assert_int_equal(nc_pktcipher_seal(s, 1, sealed, len), NACRE_OK);
        sealed[4 + len] ^= 1;
        memcpy(copy, sealed, sizeof copy);
        assert_int_equal(nc_pktcipher_peek_len(o, 1, copy, &got), NACRE_OK);
        assert_int_equal(nc_pktcipher_open(o, 1, copy, len), NACRE_INTEGRITY);
        if (first) {
            assert_memory_equal(copy, sealed, 4 + len);
        }
        nc_pktcipher_free(s);
        nc_pktcipher_free(o);
    }
}

/* GCM has no sequence number in it: its own counter must refuse a replay and a lost packet. */
static void gcm_order(void **state)
{
    (void)state;
    for (size_t m = 0; m < mode_count; m++) {
        nc_pktcipher *s = make(&modes[m], true);
        nc_pktcipher *o = make(&modes[m], false);
        uint32_t len = fit(nc_pktcipher_get_layout(s), 20);
        uint8_t a[128];
        uint8_t again[128];

        if (modes[m].cipher->mode == NC_MODE_GCM) {
            fill(a, len);
            assert_int_equal(nc_pktcipher_seal(s, 0, a, len), NACRE_OK);
            memcpy(again, a, sizeof a);
            assert_int_equal(nc_pktcipher_open(o, 0, a, len), NACRE_OK);
            assert_int_equal(nc_pktcipher_open(o, 0, again, len), NACRE_INTEGRITY);
        }
        nc_pktcipher_free(s);
        nc_pktcipher_free(o);
    }
}

static void cleartext(void **state)
{
    nc_pktcipher *c;
    uint8_t packet[20];
    uint8_t copy[20];
    uint32_t len;

    (void)state;
    assert_int_equal(nc_pktcipher_new(&c, NULL, NULL, NULL, NULL, NULL, NULL, true), NACRE_OK);
    assert_int_equal(nc_pktcipher_get_layout(c)->tag_len, 0);
    assert_int_equal(nc_pktcipher_get_layout(c)->block, 8);
    fill(packet, 16);
    memcpy(copy, packet, sizeof copy);
    assert_int_equal(nc_pktcipher_seal(c, 3, packet, 16), NACRE_OK);
    assert_memory_equal(packet, copy, sizeof copy);
    nc_pktcipher_free(c);
    assert_int_equal(nc_pktcipher_new(&c, NULL, &nc_cipher_none, NULL, NULL, NULL, NULL, false),
                     NACRE_OK);
    assert_int_equal(nc_pktcipher_peek_len(c, 3, packet, &len), NACRE_OK);
    assert_int_equal(len, 16);
    assert_int_equal(nc_pktcipher_open(c, 3, packet, 16), NACRE_OK);
    nc_pktcipher_free(c);
    nc_pktcipher_free(NULL);
}

static void needs_a_mac(void **state)
{
    nc_pktcipher *c;

    (void)state;
    for (size_t i = 0; nc_cipher_algs[i]; i++) {
        if (nc_cipher_algs[i]->mode == NC_MODE_CTR) {
            assert_int_equal(
                nc_pktcipher_new(&c, NULL, nc_cipher_algs[i], NULL, key, iv, mac_key, true),
                NACRE_INVALID_ARGUMENT);
            assert_null(c);
        }
    }
}

/* MAC over plaintext: a length shorter than the block that was read to learn it. */
static void shorter_than_a_block(void **state)
{
    (void)state;
    for (size_t m = 0; m < mode_count; m++) {
        if (modes[m].mac && !modes[m].mac->etm) {
            uint8_t wire[128] = {0};
            uint32_t got;
            nc_pktcipher *o = make(&modes[m], false);

            assert_int_equal(nc_pktcipher_peek_len(o, 0, wire, &got), NACRE_OK);
            for (uint32_t n = 0; n < 12; n++) {
                assert_int_equal(nc_pktcipher_open(o, 0, wire, n), NACRE_INTEGRITY);
            }
            nc_pktcipher_free(o);
        }
    }
}

/* ---- against raw libcrypto ---------------------------------------------------------------------- */

static void chacha(const uint8_t *k, uint64_t counter, uint32_t seq, const uint8_t *in, int n,
                   uint8_t *out)
{
    uint8_t block[16] = {0};
    EVP_CIPHER_CTX *c = EVP_CIPHER_CTX_new();
    int done = 0;

    block[0] = (uint8_t)counter;
    nc_put_u32(block + 12, seq);
    assert_int_equal(EVP_EncryptInit_ex(c, EVP_chacha20(), NULL, k, block), 1);
    assert_int_equal(EVP_EncryptUpdate(c, out, &done, in, n), 1);
    assert_int_equal(done, n);
    EVP_CIPHER_CTX_free(c);
}

static void chachapoly_from_its_parts(void **state)
{
    const mode m = {nc_cipher_algs[0], NULL};
    const uint32_t seq = 0x01020304;
    const uint8_t zero[32] = {0};
    uint8_t poly_key[32];
    uint8_t wire[4 + 72 + 16];
    uint8_t want[sizeof wire];
    size_t n = 0;
    nc_pktcipher *s = make(&m, true);

    (void)state;
    fill(wire, 72);
    chacha(key + 32, 0, seq, wire, 4, want);
    chacha(key, 1, seq, wire + 4, 72, want + 4);
    chacha(key, 0, seq, zero, 32, poly_key);
    assert_non_null(
        EVP_Q_mac(NULL, "POLY1305", NULL, NULL, NULL, poly_key, 32, want, 76, want + 76, 16, &n));
    assert_int_equal(n, 16);
    assert_int_equal(nc_pktcipher_seal(s, seq, wire, 72), NACRE_OK);
    assert_memory_equal(wire, want, sizeof wire);
    nc_pktcipher_free(s);
}

/* Two packets of AES-CTR: the key stream must run on, the MAC be over plaintext or ciphertext. */
static void ctr_from_its_parts(void **state)
{
    (void)state;
    for (size_t i = 0; i < mode_count; i++) {
        const mode *m = &modes[i];
        uint8_t wire[256];
        uint8_t plain[256];
        uint8_t want[256];
        uint8_t tag[64];
        uint8_t number[4];
        EVP_CIPHER_CTX *c;
        nc_pktcipher *s;

        if (m->cipher->mode != NC_MODE_CTR) {
            continue;
        }
        c = EVP_CIPHER_CTX_new();
        s = make(m, true);
        assert_int_equal(EVP_EncryptInit_ex(c,
                                            m->cipher->key_len == 16   ? EVP_aes_128_ctr()
                                            : m->cipher->key_len == 24 ? EVP_aes_192_ctr()
                                                                       : EVP_aes_256_ctr(),
                                            NULL, key, iv),
                         1);
        for (uint32_t seq = 5; seq < 7; seq++) {
            uint32_t len = fit(nc_pktcipher_get_layout(s), 40);
            size_t skip = m->mac->etm ? 4 : 0;
            nacre_span pieces[2] = {nc_span(number, 4),
                                    nc_span(m->mac->etm ? want : plain, 4 + len)};
            int done;

            fill(plain, len);
            memcpy(wire, plain, 4 + len);
            memcpy(want, plain, 4 + len);
            assert_int_equal(
                EVP_EncryptUpdate(c, want + skip, &done, want + skip, (int)(4 + len - skip)), 1);
            nc_put_u32(number, seq);
            assert_int_equal(
                nc_hmac(m->mac->hash, nc_span(mac_key, m->mac->key_len), pieces, 2, tag), NACRE_OK);
            assert_int_equal(nc_pktcipher_seal(s, seq, wire, len), NACRE_OK);
            assert_memory_equal(wire, want, 4 + len);
            assert_memory_equal(wire + 4 + len, tag, m->mac->tag_len);
        }
        EVP_CIPHER_CTX_free(c);
        nc_pktcipher_free(s);
    }
}

/* Three packets: the invocation counter, which starts just below its end here, must wrap alone. */
static void gcm_from_its_parts(void **state)
{
    (void)state;
    for (size_t i = 1; i < 3; i++) {
        const mode m = {nc_cipher_algs[i], NULL};
        uint8_t nonce[12];
        nc_pktcipher *s = make(&m, true);

        memcpy(nonce, iv, sizeof nonce);
        for (uint32_t n = 0; n < 3; n++) {
            EVP_CIPHER_CTX *c = EVP_CIPHER_CTX_new();
            uint8_t wire[4 + 64 + 16];
            uint8_t want[sizeof wire];
            int done;

            if (n == 1) {
                nonce[11] = 0xff;
            } else if (n == 2) {
                memset(nonce + 4, 0, 8);
            }
            fill(wire, 64);
            memcpy(want, wire, sizeof want);
            assert_int_equal(EVP_EncryptInit_ex(c, i == 1 ? EVP_aes_128_gcm() : EVP_aes_256_gcm(),
                                                NULL, key, nonce),
                             1);
            assert_int_equal(EVP_EncryptUpdate(c, NULL, &done, want, 4), 1);
            assert_int_equal(EVP_EncryptUpdate(c, want + 4, &done, want + 4, 64), 1);
            assert_int_equal(EVP_EncryptFinal_ex(c, want + 68, &done), 1);
            assert_int_equal(EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_AEAD_GET_TAG, 16, want + 68), 1);
            EVP_CIPHER_CTX_free(c);
            assert_int_equal(nc_pktcipher_seal(s, n, wire, 64), NACRE_OK);
            assert_memory_equal(wire, want, sizeof wire);
        }
        nc_pktcipher_free(s);
    }
}

/*
 * Wycheproof's AES-GCM has no vector with the 4 bytes of associated data that a packet has. Those
 * without any, in whole blocks, have the shape of a key file's ciphertext; nothing else is SSH's.
 */
static void gcm_file(const nc_file_cipher *alg, const cJSON *test, bool valid)
{
    nc_buf k = hex_field(test, "key");
    nc_buf n = hex_field(test, "iv");
    nc_buf msg = hex_field(test, "msg");
    nc_buf ct = hex_field(test, "ct");
    nc_buf tag = hex_field(test, "tag");
    nacre_room room = {ct.data, ct.len};

    assert_int_equal(nc_file_decrypt(alg, k.data, n.data, room, tag.data),
                     valid ? NACRE_OK : NACRE_INTEGRITY);
    if (valid) {
        assert_span_eq(nc_buf_span(&ct), nc_buf_span(&msg));
    }
    nc_buf_clear(&k);
    nc_buf_clear(&n);
    nc_buf_clear(&msg);
    nc_buf_clear(&ct);
    nc_buf_clear(&tag);
}

static void gcm_vector(const cJSON *group, const cJSON *test, void *user)
{
    size_t *count = user;
    int bits = cJSON_GetObjectItem(group, "keySize")->valueint;
    bool valid = strcmp(text_field(test, "result"), "valid") == 0;
    size_t aad = strlen(text_field(test, "aad")) / 2;
    size_t msg = strlen(text_field(test, "msg")) / 2;

    if (cJSON_GetObjectItem(group, "ivSize")->valueint != 96 ||
        cJSON_GetObjectItem(group, "tagSize")->valueint != 128 || bits == 192) {
        return;
    }
    if (aad == 0 && msg % 16 == 0) {
        gcm_file(nc_file_ciphers[bits == 128 ? 4 : 3], test, valid);
        (*count)++;
    }
}

static void gcm_vectors(void **state)
{
    size_t count = 0;

    (void)state;
    assert_true(each_vector("aes_gcm_test.json", gcm_vector, &count) > 200);
    assert_true(count > 60);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_are_ours),
        cmocka_unit_test(round_trips),
        cmocka_unit_test(every_bit_counts),
        cmocka_unit_test(tag_before_decryption),
        cmocka_unit_test(gcm_order),
        cmocka_unit_test(cleartext),
        cmocka_unit_test(needs_a_mac),
        cmocka_unit_test(shorter_than_a_block),
        cmocka_unit_test(chachapoly_from_its_parts),
        cmocka_unit_test(ctr_from_its_parts),
        cmocka_unit_test(gcm_from_its_parts),
        cmocka_unit_test(gcm_vectors),
    };

    return cmocka_run_group_tests(tests, list_modes, NULL);
}
