/*
 * Files that are well made around keys that are none: numbers that do not fit, are negative, even or
 * absurd, in PuTTY's files and in PEM; ASN.1 that is nested without end.
 */
#include "keydata.h"

#include "keys/key_ppk.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static const nacre_span none = {NULL, 0};

static nc_buf buffer(void)
{
    nc_buf b;
    nc_buf_init(&b, NULL, 1 << 20);
    return b;
}

static int load(nacre_span text)
{
    nacre_key *k = NULL;
    nacre_error err;
    int rc = nacre_key_from_private(&k, NULL, text, none, &err);
    assert_true((rc == NACRE_OK) == (k != NULL));
    assert_true((rc == NACRE_OK) == (err.text[0] == '\0'));
    nacre_key_free(k);
    return rc;
}

/* ---- PuTTY's files with a good MAC --------------------------------------------------------------- */

static int load_ppk(const char *type, nacre_span public_blob, nacre_span secret)
{
    nc_ppk p = {3,     keydata_cstr(type), keydata_cstr("none"), keydata_cstr("x"), public_blob,
                secret};
    nc_ppk_keys keys;
    uint8_t mac[NC_PPK_MAC];
    nc_buf text = buffer();
    nc_wr w = nc_wr_init(&text);
    char head[200];
    assert_int_equal(nc_ppk_derive(&keys, 3, false, none, NULL, NULL), NACRE_OK);
    assert_int_equal(nc_ppk_mac(&p, &keys, NULL, mac), NC_PPK_MAC);
    snprintf(head, sizeof(head),
             "PuTTY-User-Key-File-3: %s\nEncryption: none\nComment: x\nPublic-Lines: %zu\n", type,
             ((public_blob.n + 2) / 3 * 4 + 63) / 64);
    nc_wr_bytes(&w, keydata_cstr(head));
    assert_int_equal(nc_text_write_base64(public_blob, 64, &w), NACRE_OK);
    snprintf(head, sizeof(head), "Private-Lines: %zu\n", ((secret.n + 2) / 3 * 4 + 63) / 64);
    nc_wr_bytes(&w, keydata_cstr(head));
    assert_int_equal(nc_text_write_base64(secret, 64, &w), NACRE_OK);
    nc_wr_bytes(&w, keydata_cstr("Private-MAC: "));
    for (size_t i = 0; i < sizeof(mac); i++) {
        snprintf(head, sizeof(head), "%02x", mac[i]);
        nc_wr_bytes(&w, keydata_cstr(head));
    }
    nc_wr_u8(&w, '\n');
    int rc = load(nc_buf_span(&text));
    nc_buf_clear(&text);
    return rc;
}

static void get_parts(const char *name, nc_buf *storage, nc_pk_parts *parts)
{
    nacre_key *k = keydata_private(name);
    assert_int_equal(nc_pk_get_parts(nc_key_pk(k), storage, true, parts), NACRE_OK);
    nacre_key_free(k);
}

static int load_rsa(const nc_pk_parts *p)
{
    nc_buf blob = buffer();
    nc_buf secret = buffer();
    nc_wr b = nc_wr_init(&blob);
    nc_wr s = nc_wr_init(&secret);
    nc_wr_cstr(&b, "ssh-rsa");
    nc_wr_mpint(&b, p->e);
    nc_wr_mpint(&b, p->n);
    nc_wr_mpint(&s, p->d);
    nc_wr_mpint(&s, p->p);
    nc_wr_mpint(&s, p->q);
    nc_wr_mpint(&s, p->iqmp);
    int rc = load_ppk("ssh-rsa", nc_buf_span(&blob), nc_buf_span(&secret));
    nc_buf_clear(&blob);
    nc_buf_clear(&secret);
    return rc;
}

static void rsa_numbers_must_be_a_key(void **state)
{
    static const uint8_t bad_e[][4] = {{0, 0, 0, 0}, {0, 0, 0, 1}, {0, 0, 0, 2}, {0, 1, 0, 0}};
    nc_buf storage = buffer();
    nc_pk_parts parts;
    (void)state;
    get_parts("rsa2048", &storage, &parts);
    assert_int_equal(load_rsa(&parts), NACRE_OK);
    nc_pk_parts p = parts;
    for (size_t i = 0; i < 4; i++) {
        p.e = nc_span(bad_e[i], 4);
        assert_int_equal(load_rsa(&p), NACRE_BAD_KEY);
    }
    p = parts;
    p.p = parts.q;
    p.q = parts.p;
    assert_int_equal(load_rsa(&p), NACRE_BAD_KEY);
    p = parts;
    p.d = parts.p;
    assert_int_equal(load_rsa(&p), NACRE_BAD_KEY);
    p = parts;
    p.p = nc_span("\1", 1);
    p.q = parts.n;
    assert_int_equal(load_rsa(&p), NACRE_BAD_KEY);
    nacre_span *numbers[] = {&p.n, &p.d, &p.p, &p.q, &p.iqmp};
    for (size_t i = 0; i < 5; i++) {
        p = parts;
        *numbers[i] = none;
        assert_int_equal(load_rsa(&p), NACRE_BAD_KEY);
    }
    uint8_t *low = (uint8_t *)(uintptr_t)parts.n.p + parts.n.n - 1;
    *low ^= 1; /* an even modulus */
    assert_int_equal(load_rsa(&parts), NACRE_BAD_KEY);
    nc_buf_clear(&storage);
}

/* secret: as it stands in the file, so that bad encodings can be tried */
static int load_ec(nacre_span point, nacre_span secret)
{
    nc_buf blob = buffer();
    nc_buf file = buffer();
    nc_wr b = nc_wr_init(&blob);
    nc_wr s = nc_wr_init(&file);
    nc_wr_cstr(&b, "ecdsa-sha2-nistp256");
    nc_wr_cstr(&b, "nistp256");
    nc_wr_str(&b, point);
    nc_wr_str(&s, secret);
    int rc = load_ppk("ecdsa-sha2-nistp256", nc_buf_span(&blob), nc_buf_span(&file));
    nc_buf_clear(&blob);
    nc_buf_clear(&file);
    return rc;
}

static void curve_numbers_must_be_a_key(void **state)
{
    static const uint8_t order[] = {0x00, 0xff, 0xff, 0xff, 0xff, 0x00, 0x00, 0x00, 0x00,
                                    0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xbc,
                                    0xe6, 0xfa, 0xad, 0xa7, 0x17, 0x9e, 0x84, 0xf3, 0xb9,
                                    0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51};
    nc_buf storage = buffer();
    nc_pk_parts parts;
    uint8_t scalar[34] = {0};
    (void)state;
    get_parts("ecdsa256", &storage, &parts);
    assert_int_equal(parts.scalar.n, 32);
    memcpy(scalar + 2, parts.scalar.p, 32);
    size_t skip = scalar[2] & 0x80 ? 1 : 2;
    assert_int_equal(load_ec(parts.point, nc_span(scalar + skip, 34 - skip)), NACRE_OK);
    /* padded, negative, zero, the order, another one, one too many bytes */
    assert_int_equal(load_ec(parts.point, nc_span(scalar + skip - 1, 35 - skip)), NACRE_BAD_KEY);
    assert_int_equal(load_ec(parts.point, nc_span("\xff\x01", 2)), NACRE_BAD_KEY);
    assert_int_equal(load_ec(parts.point, none), NACRE_BAD_KEY);
    assert_int_equal(load_ec(parts.point, nc_span("\0", 1)), NACRE_BAD_KEY);
    assert_int_equal(load_ec(parts.point, nc_span(order, sizeof(order))), NACRE_BAD_KEY);
    assert_int_equal(load_ec(parts.point, nc_span("\1", 1)), NACRE_BAD_KEY);
    uint8_t point[65];
    memcpy(point, parts.point.p, sizeof(point));
    point[64] ^= 1; /* not on the curve */
    assert_int_equal(load_ec(nc_span(point, 65), nc_span(scalar + skip, 34 - skip)), NACRE_BAD_KEY);
    memset(point + 1, 0, 64);
    assert_int_equal(load_ec(nc_span(point, 65), nc_span(scalar + skip, 34 - skip)), NACRE_BAD_KEY);
    assert_int_equal(load_ec(nc_span("\0", 1), nc_span(scalar + skip, 34 - skip)), NACRE_BAD_KEY);
    nc_buf_clear(&storage);
}

static void ed25519_halves_must_match(void **state)
{
    nc_buf storage = buffer();
    nc_buf secret = buffer();
    nc_pk_parts parts;
    nacre_key *pub = keydata_public("ed25519");
    nacre_span blob = nacre_key_blob(pub);
    uint8_t seed[33] = {0};
    (void)state;
    get_parts("ed25519", &storage, &parts);
    memcpy(seed, parts.ed_seed.p, 32);
    for (size_t n = 31; n <= 33; n++) {
        nc_wr w = nc_wr_init(&secret);
        nc_buf_reset(&secret);
        nc_wr_str(&w, nc_span(seed, n));
        assert_int_equal(load_ppk("ssh-ed25519", blob, nc_buf_span(&secret)),
                         n == 32 ? NACRE_OK : NACRE_BAD_KEY);
    }
    nc_wr w = nc_wr_init(&secret);
    nc_buf_reset(&secret);
    seed[0] ^= 1;
    nc_wr_str(&w, nc_span(seed, 32));
    assert_int_equal(load_ppk("ssh-ed25519", blob, nc_buf_span(&secret)), NACRE_BAD_KEY);
    /* more behind it, where nothing is encrypted and nothing need be padded */
    seed[0] ^= 1;
    nc_buf_reset(&secret);
    w = nc_wr_init(&secret);
    nc_wr_str(&w, nc_span(seed, 33));
    secret.data[3] = 32;
    assert_int_equal(load_ppk("ssh-ed25519", blob, nc_buf_span(&secret)), NACRE_BAD_KEY);
    /* and under another name */
    assert_int_equal(load_ppk("ssh-rsa", blob, nc_span(secret.data, 36)), NACRE_BAD_KEY);
    assert_int_equal(load_ppk("", blob, nc_span(secret.data, 36)), NACRE_KEY_FORMAT);
    nacre_key_free(pub);
    nc_buf_clear(&storage);
    nc_buf_clear(&secret);
}

/* ---- PEM ----------------------------------------------------------------------------------------- */

static int load_pem(const char *label, nacre_span der, bool public_one)
{
    nc_buf text = buffer();
    nc_wr w = nc_wr_init(&text);
    char line[80];
    nacre_key *k = NULL;
    snprintf(line, sizeof(line), "-----BEGIN %s-----\n", label);
    nc_wr_bytes(&w, keydata_cstr(line));
    assert_int_equal(nc_text_write_base64(der, 64, &w), NACRE_OK);
    snprintf(line, sizeof(line), "-----END %s-----\n", label);
    nc_wr_bytes(&w, keydata_cstr(line));
    int rc = public_one ? nacre_key_from_public(&k, NULL, nc_buf_span(&text), NULL)
                        : load(nc_buf_span(&text));
    nacre_key_free(k);
    nc_buf_clear(&text);
    return rc;
}

static void nested_asn1_is_refused(void **state)
{
    static const char *const private_labels[] = {"RSA PRIVATE KEY", "EC PRIVATE KEY", "PRIVATE KEY",
                                                 "ENCRYPTED PRIVATE KEY"};
    static const char *const public_labels[] = {"PUBLIC KEY", "RSA PUBLIC KEY"};
    static const uint8_t heads[][2] = {{0x30, 0x80}, {0x24, 0x80}, {0x31, 0x80}};
    nc_buf der = buffer();
    (void)state;
    for (size_t h = 0; h < 3; h++) {
        nc_buf_reset(&der);
        for (size_t i = 0; i < 20000; i++) {
            assert_int_equal(nc_buf_append(&der, heads[h], 2), NACRE_OK);
        }
        for (size_t i = 0; i < 4; i++) {
            assert_true(load_pem(private_labels[i], nc_buf_span(&der), false) < 0);
        }
        for (size_t i = 0; i < 2; i++) {
            assert_true(load_pem(public_labels[i], nc_buf_span(&der), true) < 0);
        }
    }
    nc_buf_clear(&der);
}

/* Tag and length as DER has them, and the bytes as they are. */
static void der_element(nc_wr *w, uint8_t tag, nacre_span body)
{
    nc_wr_u8(w, tag);
    if (body.n > 255) {
        nc_wr_u8(w, 0x82);
        nc_wr_u8(w, (uint8_t)(body.n >> 8));
    } else if (body.n > 127) {
        nc_wr_u8(w, 0x81);
    }
    nc_wr_u8(w, (uint8_t)body.n);
    nc_wr_bytes(w, body);
}

/* SEQUENCE { INTEGER n, INTEGER e } */
static int load_pkcs1(nacre_span n, nacre_span e)
{
    nc_buf body = buffer();
    nc_buf der = buffer();
    nacre_span numbers[2] = {n, e};
    nc_wr w = nc_wr_init(&body);
    for (size_t i = 0; i < 2; i++) {
        der_element(&w, 0x02, numbers[i]);
    }
    w = nc_wr_init(&der);
    der_element(&w, 0x30, nc_buf_span(&body));
    int rc = load_pem("RSA PUBLIC KEY", nc_buf_span(&der), true);
    nc_buf_clear(&body);
    nc_buf_clear(&der);
    return rc;
}

static void public_pem_numbers_must_be_a_key(void **state)
{
    static uint8_t n[2100];
    (void)state;
    memset(n, 0x55, sizeof(n));
    assert_int_equal(load_pkcs1(nc_span(n, 256), nc_span("\3", 1)), NACRE_OK);
    assert_int_equal(load_pkcs1(nc_span(n, 256), nc_span("\1", 1)), NACRE_BAD_KEY);
    assert_int_equal(load_pkcs1(nc_span(n, 256), nc_span("\0", 1)), NACRE_BAD_KEY);
    assert_int_equal(load_pkcs1(nc_span(n, 256), nc_span("\4", 1)), NACRE_BAD_KEY);
    assert_true(load_pkcs1(nc_span(n, 256), nc_span("\xfd", 1)) < 0); /* negative */
    assert_true(load_pkcs1(nc_span(n, 256), none) < 0);
    assert_true(load_pkcs1(none, nc_span("\3", 1)) < 0);
    assert_true(load_pkcs1(nc_span("\0", 1), nc_span("\3", 1)) < 0);
    assert_true(load_pkcs1(nc_span(n, 64), nc_span("\3", 1)) < 0);
    assert_true(load_pkcs1(nc_span(n, 2049), nc_span("\3", 1)) < 0);
    assert_true(load_pkcs1(nc_span(n, 256), nc_span(n, 100)) < 0);
    n[255] = 0x54;
    assert_int_equal(load_pkcs1(nc_span(n, 256), nc_span("\3", 1)), NACRE_BAD_KEY);
    n[0] = 0xd5;
    assert_true(load_pkcs1(nc_span(n, 256), nc_span("\3", 1)) < 0); /* negative */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rsa_numbers_must_be_a_key),
        cmocka_unit_test(curve_numbers_must_be_a_key),
        cmocka_unit_test(ed25519_halves_must_match),
        cmocka_unit_test(nested_asn1_is_refused),
        cmocka_unit_test(public_pem_numbers_must_be_a_key),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
