/*
 * Revocation lists: those of ssh-keygen read and asked, ours written and read again, broken ones refused
 * as a whole.
 */
#include "keydata.h"

#include "keys/krl.h"
#include "support/memory.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static nacre_span cstr(const char *s)
{
    return keydata_cstr(s);
}

static nacre_krl *load(const char *name)
{
    char path[128];
    nacre_krl *k = NULL;
    nacre_error err;
    snprintf(path, sizeof(path), "../certs/%s.krl", name);
    nacre_span file = keydata_read(path);
    if (nacre_krl_parse(&k, NULL, file, &err) != NACRE_OK) {
        fail_msg("%s: %s", name, err.text);
    }
    keydata_free(file);
    return k;
}

/* words NULL: the key must be good. Takes the key. */
static void expect(const nacre_krl *k, nacre_key *key, const char *words)
{
    nacre_error why;
    int rc = nacre_krl_check(k, key, &why);
    if (rc != (words ? NACRE_KEY_REVOKED : NACRE_OK) || (words && !strstr(why.text, words))) {
        fail_msg("%d %s, not %s", rc, why.text, words ? words : "good");
    }
    nacre_key_free(key);
}

static nacre_key *with_serial(const char *ca_name, uint64_t serial, const char *id)
{
    nacre_key *ca = keydata_private(ca_name);
    nacre_key *subject = keydata_public("ecdsa256");
    nacre_key *c = NULL;
    nacre_cert_request r;
    nacre_cert_request_init(&r, NACRE_CERT_USER);
    r.serial = serial;
    r.key_id = cstr(id);
    assert_int_equal(nacre_cert_issue(&c, subject, ca, &r, NULL), NACRE_OK);
    nacre_key_free(ca);
    nacre_key_free(subject);
    return c;
}

static void lists_of_ssh_keygen_are_read(void **state)
{
    (void)state;
    nacre_krl *k = load("serials");
    nacre_krl_info info;
    nacre_krl_get_info(k, &info);
    assert_int_equal(info.version, 42);
    assert_true(info.generated > 1700000000);
    assert_string_equal(info.comment, "");
    static const uint64_t in[] = {1, 3, 5, 7, 9, 100, 102, 104, 5000, 50000, 90000, UINT64_MAX};
    static const uint64_t out[] = {0, 2, 4, 10, 99, 101, 103, 105, 4999, 90001, UINT64_MAX - 1};
    for (size_t i = 0; i < sizeof(in) / sizeof(in[0]); i++) {
        expect(k, with_serial("ed25519_other", in[i], "x"), "serial number");
        expect(k, with_serial("ed25519", in[i], "x"), NULL); /* another CA */
    }
    for (size_t i = 0; i < sizeof(out) / sizeof(out[0]); i++) {
        expect(k, with_serial("ed25519_other", out[i], "x"), NULL);
    }
    expect(k, with_serial("ed25519_other", 0, "bad person"), "key identity");
    expect(k, with_serial("ed25519_other", 0, "bad perso"), NULL);
    expect(k, with_serial("ed25519", 0, "bad person"), NULL);
    expect(k, keydata_public("../certs/user_ecdsa384-cert"), "key identity");
    expect(k, keydata_public("ed25519_other"), NULL); /* the CA itself is not revoked */
    nacre_krl_free(k);

    k = load("wildcard");
    expect(k, with_serial("ed25519_other", 7, "x"), "serial number");
    expect(k, with_serial("rsa2048", 7, "x"), "serial number");
    expect(k, with_serial("rsa2048", 8, "user ed25519"), "key identity");
    expect(k, with_serial("rsa2048", 8, "user"), NULL);
    nacre_krl_free(k);
    nacre_krl_free(NULL);
}

/* golang CVE-2026-42508: what is revoked is revoked as a CA too. */
static void revoked_keys_are_revoked_as_leaf_and_as_ca(void **state)
{
    (void)state;
    nacre_krl *k = load("keys");
    static const char *const revoked[] = {"rsa2048", "ecdsa521", "ecdsa384"};
    for (size_t i = 0; i < 3; i++) {
        char name[64];
        expect(k, keydata_public(revoked[i]), "the key is revoked");
        snprintf(name, sizeof(name), "../certs/user_%s-cert", revoked[i]);
        expect(k, keydata_public(name), "the key is revoked");
        expect(k, with_serial(revoked[i], 1, "x"), "the certificate's CA is revoked");
    }
    expect(k, keydata_public("ed25519"), NULL);
    expect(k, keydata_public("../certs/user_ed25519-cert"), NULL);
    expect(k, keydata_public("../certs/host-cert"), "CA"); /* signed by ecdsa384 */
    nacre_krl_free(k);
}

static void plain_lists_of_keys_serve(void **state)
{
    (void)state;
    char text[8192], ed[1024], cert[4096];
    nacre_key *key = keydata_public("ed25519_other");
    nacre_key *c = keydata_public("../certs/user_ecdsa256-cert");
    nacre_krl *k = NULL;
    nacre_error err;
    assert_true(nacre_key_public_line(key, ed, sizeof(ed)) > 0);
    assert_true(nacre_key_public_line(c, cert, sizeof(cert)) > 0);
    snprintf(text, sizeof(text), "# gone\n\n  %s a comment\nssh-dss AAAAB3NzaC1kc3M= old\n%s\n", ed,
             cert);
    assert_int_equal(nacre_krl_parse(&k, NULL, cstr(text), &err), NACRE_OK);
    expect(k, nacre_key_ref(key), "the key is revoked");
    expect(k, keydata_public("ecdsa256"), "the key is revoked"); /* of the certificate's line */
    expect(k, keydata_public("../certs/user_ed25519-cert"), "CA");
    expect(k, keydata_public("ed25519"), NULL);
    nacre_krl_free(k);
    assert_int_equal(nacre_krl_parse(&k, NULL, nc_span(NULL, 0), &err), NACRE_OK);
    expect(k, nacre_key_ref(key), NULL);
    nacre_krl_free(k);
    static const char *const bad[] = {"ssh-ed25519\n", "not a key\n", "SSHKRL\n",
                                      "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIA==\n"};
    for (size_t i = 0; i < 4; i++) {
        snprintf(text, sizeof(text), "%s\n%s", ed, bad[i]);
        k = (nacre_krl *)key;
        assert_int_not_equal(nacre_krl_parse(&k, NULL, cstr(text), &err), NACRE_OK);
        assert_null(k);
        assert_non_null(strstr(err.text, "line 2"));
    }
    nacre_key_free(key);
    nacre_key_free(c);
}

/* ---- written ------------------------------------------------------------------------------------ */

static nacre_krl *again(nacre_krl *k, size_t *size)
{
    uint8_t *file = NULL, *second = NULL;
    size_t n = 0, m = 0;
    nacre_krl *read = NULL;
    nacre_error err;
    assert_int_equal(nacre_krl_write(k, &file, &n), NACRE_OK);
    if (nacre_krl_parse(&read, NULL, nc_span(file, n), &err) != NACRE_OK) {
        fail_msg("%s", err.text);
    }
    assert_int_equal(nacre_krl_write(read, &second, &m), NACRE_OK);
    assert_int_equal(n, m);
    assert_memory_equal(file, second, n);
    nacre_secret_free(NULL, file, n);
    nacre_secret_free(NULL, second, m);
    *size = n;
    return read;
}

static bool bits_agree(nacre_krl *k, const uint8_t *bits, size_t count)
{
    nc_krl_ca *group = NULL;
    assert_int_equal(nc_krl_get_ca(k, nc_span(NULL, 0), &group), NACRE_OK);
    size_t runs = 0;
    for (size_t i = 1; i < count; i++) {
        runs += bits[i] && !bits[i - 1] ? 1 : 0;
    }
    nc_krl_settle(k);
    for (size_t i = 0; i < group->serials.count; i++) {
        for (uint64_t s = group->serials.items[i].lo; s <= group->serials.items[i].hi; s++) {
            if (s >= count || !bits[s]) {
                return false;
            }
        }
    }
    return runs == group->serials.count;
}

/* Whatever the pattern of serial numbers, in whatever order they come. */
static void serial_patterns_come_back(void **state)
{
    (void)state;
    enum { COUNT = 60000 };
    static uint8_t bits[COUNT];
    uint32_t seed = 1;
    for (unsigned round = 0; round < 12; round++) {
        nacre_krl *k = NULL;
        size_t size = 0, set = 0;
        memset(bits, 0, sizeof(bits));
        assert_int_equal(nacre_krl_new(&k, NULL), NACRE_OK);
        for (size_t i = 0; i < 300u << (round % 6); i++) {
            seed = seed * 1664525u + 1013904223u;
            uint64_t lo = 1 + (seed >> 8) % (COUNT - 200);
            seed = seed * 1664525u + 1013904223u;
            uint64_t hi = lo + (round % 3 ? (seed >> 8) % (1u << (2 * (round % 4))) : 0);
            memset(bits + lo, 1, (size_t)(hi - lo + 1));
            assert_int_equal(nacre_krl_revoke_serials(k, NULL, lo, hi), NACRE_OK);
        }
        assert_true(bits_agree(k, bits, COUNT));
        nacre_krl *read = again(k, &size);
        assert_true(bits_agree(read, bits, COUNT));
        for (size_t i = 0; i < COUNT; i++) {
            set += bits[i];
        }
        assert_true(size < 200 + 8 * set + COUNT / 8);
        nacre_krl_free(read);
        nacre_krl_free(k);
    }
}

static void lists_are_small_and_the_same(void **state)
{
    (void)state;
    nacre_key *ca = keydata_public("ed25519_other");
    nacre_krl *k = NULL;
    nacre_krl *other = NULL;
    size_t n = 0;
    assert_int_equal(nacre_krl_new(&k, NULL), NACRE_OK);
    assert_int_equal(nacre_krl_new(&other, NULL), NACRE_OK);
    for (uint64_t i = 1; i <= 2000; i++) {
        assert_int_equal(nacre_krl_revoke_serials(k, ca, 2 * i, 2 * i), NACRE_OK);
        assert_int_equal(nacre_krl_revoke_serials(other, ca, 2 * (2001 - i), 2 * (2001 - i)),
                         NACRE_OK);
    }
    uint8_t *one = NULL, *two = NULL;
    size_t m = 0;
    assert_int_equal(nacre_krl_write(k, &one, &n), NACRE_OK);
    assert_int_equal(nacre_krl_write(other, &two, &m), NACRE_OK);
    assert_int_equal(n, m);
    assert_memory_equal(one, two, n);
    assert_true(n < 700); /* 4000 bits, not 16000 bytes */
    nacre_secret_free(NULL, one, n);
    nacre_secret_free(NULL, two, m);
    nacre_krl_free(other);
    nacre_krl_free(k);
    nacre_key_free(ca);
}

static void everything_is_written_and_listed(void **state)
{
    (void)state;
    nacre_krl *k = NULL;
    nacre_key *ca = keydata_public("ecdsa521");
    nacre_key *c = keydata_public("../certs/user_ed25519-cert");
    nacre_key *unnumbered = with_serial("ed25519", 0, "nobody");
    uint8_t digest[32] = {7};
    assert_int_equal(nacre_krl_new(&k, NULL), NACRE_OK);
    const nacre_krl_info info = {3, 1700000000, "a comment"};
    assert_int_equal(nacre_krl_set_info(k, &info), NACRE_OK);
    assert_int_equal(nacre_krl_revoke_key(k, ca), NACRE_OK);
    assert_int_equal(nacre_krl_revoke_key(k, ca), NACRE_OK);
    assert_int_equal(nacre_krl_revoke_digest(k, "SHA256", nc_span(digest, 32)), NACRE_OK);
    assert_int_equal(nacre_krl_revoke_digest(k, "sha1", nc_span(digest, 20)), NACRE_OK);
    assert_int_equal(nacre_krl_revoke_cert(k, c), NACRE_OK);
    assert_int_equal(nacre_krl_revoke_cert(k, unnumbered), NACRE_OK);
    assert_int_equal(nacre_krl_revoke_key_id(k, NULL, cstr("someone")), NACRE_OK);
    assert_int_equal(nacre_krl_revoke_serials(k, NULL, UINT64_MAX, UINT64_MAX), NACRE_OK);
    assert_int_equal(nacre_krl_revoke_serials(k, NULL, UINT64_MAX - 1, UINT64_MAX), NACRE_OK);
    size_t n = 0;
    nacre_krl *read = again(k, &n);
    nacre_krl_info got;
    nacre_krl_get_info(read, &got);
    assert_int_equal(got.version, 3);
    assert_int_equal(got.generated, 1700000000);
    assert_string_equal(got.comment, "a comment");
    expect(read, nacre_key_ref(c), "serial number");
    expect(read, nacre_key_ref(unnumbered), "key identity");
    expect(read, with_serial("rsa2048", UINT64_MAX - 1, "x"), "serial number");

    static const nacre_krl_kind want[] = {
        NACRE_KRL_KEY, NACRE_KRL_SHA256, NACRE_KRL_SHA1, NACRE_KRL_CA,      NACRE_KRL_SERIALS,
        NACRE_KRL_CA,  NACRE_KRL_KEY_ID, NACRE_KRL_CA,   NACRE_KRL_SERIALS, NACRE_KRL_KEY_ID};
    nacre_krl_cursor at = {0, 0, 0};
    nacre_krl_entry e;
    for (size_t i = 0; i < sizeof(want) / sizeof(want[0]); i++) {
        assert_true(nacre_krl_next(read, &at, &e));
        assert_int_equal(e.kind, want[i]);
    }
    assert_true(nc_span_is(e.blob, "someone"));
    assert_false(nacre_krl_next(read, &at, &e));
    assert_false(nacre_krl_next(read, &at, &e));
    nacre_krl_free(read);
    nacre_krl_free(k);
    nacre_key_free(ca);
    nacre_key_free(c);
    nacre_key_free(unnumbered);
}

static void bad_revocations_are_refused(void **state)
{
    (void)state;
    nacre_krl *k = NULL;
    nacre_key *c = keydata_public("../certs/user_ed25519-cert");
    nacre_key *plain = keydata_public("ed25519");
    uint8_t digest[32] = {0};
    assert_int_equal(nacre_krl_new(&k, NULL), NACRE_OK);
    assert_int_equal(nacre_krl_revoke_serials(k, NULL, 0, 5), NACRE_INVALID_ARGUMENT);
    assert_int_equal(nacre_krl_revoke_serials(k, NULL, 6, 5), NACRE_INVALID_ARGUMENT);
    assert_int_equal(nacre_krl_revoke_serials(k, c, 1, 5), NACRE_INVALID_ARGUMENT);
    assert_int_equal(nacre_krl_revoke_key_id(k, c, cstr("x")), NACRE_INVALID_ARGUMENT);
    assert_int_equal(nacre_krl_revoke_key_id(k, NULL, nc_span("x\0", 2)), NACRE_INVALID_ARGUMENT);
    assert_int_equal(nacre_krl_revoke_digest(k, "md5", nc_span(digest, 16)), NACRE_UNKNOWN_NAME);
    assert_int_equal(nacre_krl_revoke_digest(k, NULL, nc_span(digest, 32)), NACRE_UNKNOWN_NAME);
    assert_int_equal(nacre_krl_revoke_digest(k, "sha256", nc_span(digest, 20)),
                     NACRE_INVALID_ARGUMENT);
    assert_int_equal(nacre_krl_revoke_cert(k, plain), NACRE_INVALID_ARGUMENT);
    expect(k, c, NULL);
    expect(k, plain, NULL);
    nacre_krl_free(k);
}

/* ---- broken ones --------------------------------------------------------------------------------- */

static int parse(nacre_span file, const char *words)
{
    nacre_krl *k = NULL;
    nacre_error err;
    int rc = nacre_krl_parse(&k, NULL, file, &err);
    assert_true((rc == NACRE_OK) == (k != NULL));
    if (words && !strstr(err.text, words)) {
        fail_msg("\"%s\" does not say \"%s\"", err.text, words);
    }
    nacre_krl_free(k);
    return rc;
}

/* What is cut between two sections is whole; anywhere else it is refused. */
static void cut_lists_are_refused(void **state)
{
    (void)state;
    static const char *const names[] = {"serials", "keys", "wildcard"};
    for (size_t i = 0; i < 3; i++) {
        char path[64];
        snprintf(path, sizeof(path), "../certs/%s.krl", names[i]);
        nacre_span file = keydata_read(path);
        size_t whole = 0;
        for (size_t n = sizeof(nc_krl_magic); n < file.n; n++) {
            whole += parse(nc_span(file.p, n), NULL) == NACRE_OK ? 1 : 0;
        }
        assert_int_equal(whole, i == 1 ? 3 : 1);
        keydata_free(file);
    }
}

/* A list made by hand: the head, then what the test writes. */
static nc_wr begin(nc_buf *b)
{
    nc_buf_init(b, NULL, NC_KRL_MAX_FILE);
    nc_wr w = nc_wr_init(b);
    nc_wr_bytes(&w, nc_span(nc_krl_magic, sizeof(nc_krl_magic)));
    nc_wr_u32(&w, 1);
    nc_wr_u64(&w, 1);
    nc_wr_u64(&w, 2);
    nc_wr_u64(&w, 0);
    nc_wr_cstr(&w, "");
    nc_wr_cstr(&w, "");
    return w;
}

static int finish(nc_buf *b, const char *words)
{
    int rc = parse(nc_buf_span(b), words);
    nc_buf_clear(b);
    return rc;
}

/* A certificate section for all CAs with one subsection. */
static int cert_section(uint8_t number, nacre_span body, const char *words)
{
    nc_buf b;
    nc_wr w = begin(&b);
    nc_wr_u8(&w, NC_KRL_CERTIFICATES);
    size_t mark = nc_wr_begin_str(&w);
    nc_wr_cstr(&w, "");
    nc_wr_cstr(&w, "");
    nc_wr_u8(&w, number);
    nc_wr_str(&w, body);
    nc_wr_end_str(&w, mark);
    return finish(&b, words);
}

#define BYTES(text) nc_span(text, sizeof(text) - 1)

static void certificate_sections_are_judged(void **state)
{
    (void)state;
    const nacre_span one = BYTES("\0\0\0\0\0\0\0\1");
    assert_int_equal(cert_section(0x20, one, NULL), NACRE_OK);
    assert_int_equal(cert_section(0x20, nc_span(one.p, 7), "belong"), NACRE_KEY_FORMAT);
    assert_int_equal(cert_section(0x20, BYTES("\0\0\0\0\0\0\0\0"), "serial number 0"),
                     NACRE_KEY_FORMAT);
    assert_int_equal(cert_section(0x21, one, "cut off"), NACRE_KEY_FORMAT);
    assert_int_equal(cert_section(0x21, BYTES("\0\0\0\0\0\0\0\2\0\0\0\0\0\0\0\1"), "ends before"),
                     NACRE_KEY_FORMAT);
    assert_int_equal(
        cert_section(0x21, BYTES("\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1"), "serial number 0"),
        NACRE_KEY_FORMAT);
    assert_int_equal(cert_section(0x21, BYTES("\0\0\0\0\0\0\0\1\0\0\0\0\0\0\0\1\0"), "belong"),
                     NACRE_KEY_FORMAT);
    assert_int_equal(cert_section(0x22, BYTES("\0\0\0\0\0\0\0\1\0\0\0\1\5"), NULL), NACRE_OK);
    assert_int_equal(cert_section(0x22, BYTES("\0\0\0\0\0\0\0\1\0\0\0\0"), NULL), NACRE_OK);
    assert_int_equal(cert_section(0x22, BYTES("\0\0\0\0\0\0\0\0\0\0\0\1\1"), "serial number 0"),
                     NACRE_KEY_FORMAT);
    assert_int_equal(cert_section(0x22, BYTES("\0\0\0\0\0\0\0\1\0\0\0\1\x80"), "malformed"),
                     NACRE_KEY_FORMAT);
    assert_int_equal(cert_section(0x22, BYTES("\0\0\0\0\0\0\0\1\0\0\0\2\0\1"), "malformed"),
                     NACRE_KEY_FORMAT);
    assert_int_equal(
        cert_section(0x22, BYTES("\xff\xff\xff\xff\xff\xff\xff\xff\0\0\0\1\3"), "beyond the last"),
        NACRE_KEY_FORMAT);
    assert_int_equal(cert_section(0x22, BYTES("\xff\xff\xff\xff\xff\xff\xff\xff\0\0\0\1\1"), NULL),
                     NACRE_OK);
    assert_int_equal(cert_section(0x22, BYTES("\0\0\0\0\0\0\0\1\xff\xff\xff\xff\1"), "malformed"),
                     NACRE_KEY_FORMAT);
    assert_int_equal(cert_section(0x23, BYTES("\0\0\0\2ab"), NULL), NACRE_OK);
    assert_int_equal(cert_section(0x23, BYTES("\0\0\0\3ab"), "cut off"), NACRE_KEY_FORMAT);
    assert_int_equal(cert_section(0x23, BYTES("\0\0\0\2a\0"), "zero byte"), NACRE_KEY_FORMAT);
    assert_int_equal(cert_section(0x39, BYTES("\0\0\0\1x\0\0\0\0\0"), NULL), NACRE_OK);
    assert_int_equal(cert_section(0x39, BYTES("\0\0\0\1x\1\0\0\0\0"), "critical"),
                     NACRE_UNSUPPORTED);
    assert_int_equal(cert_section(0x39, BYTES("\0\0\0\1x\0\0\0\0"), "cut off"), NACRE_KEY_FORMAT);
    assert_int_equal(cert_section(0x39, BYTES("\0\0\0\1x\0\0\0\0\0!"), "belong"), NACRE_KEY_FORMAT);
    assert_int_equal(cert_section(0x24, one, "unknown section"), NACRE_UNSUPPORTED);
}

static int section(uint8_t number, nacre_span body, const char *words)
{
    nc_buf b;
    nc_wr w = begin(&b);
    nc_wr_u8(&w, number);
    nc_wr_str(&w, body);
    return finish(&b, words);
}

static int keys_of(const nacre_key *key, uint8_t number, const char *words)
{
    nc_buf b;
    nc_buf_init(&b, NULL, NC_MAX_KEY_BLOB);
    nc_wr w = nc_wr_init(&b);
    nc_wr_str(&w, nacre_key_blob(key));
    if (number == NC_KRL_CERTIFICATES) {
        nc_wr_cstr(&w, "");
    }
    int rc = section(number, nc_buf_span(&b), words);
    nc_buf_clear(&b);
    return rc;
}

static void other_sections_are_judged(void **state)
{
    (void)state;
    nacre_key *plain = keydata_public("ed25519");
    nacre_key *c = keydata_public("../certs/user_ed25519-cert");
    assert_int_equal(keys_of(plain, NC_KRL_EXPLICIT, NULL), NACRE_OK);
    assert_int_equal(keys_of(c, NC_KRL_EXPLICIT, "a certificate"), NACRE_KEY_FORMAT);
    assert_int_equal(keys_of(plain, NC_KRL_CERTIFICATES, NULL), NACRE_OK);
    assert_int_equal(keys_of(c, NC_KRL_CERTIFICATES, "is a certificate"), NACRE_KEY_FORMAT);
    nacre_key_free(plain);
    nacre_key_free(c);
    assert_int_equal(section(NC_KRL_CERTIFICATES, BYTES("\0\0\0\0"), "cut off"), NACRE_KEY_FORMAT);
    assert_int_equal(section(NC_KRL_CERTIFICATES, BYTES("\0\0\0\5\0\0\0\1x\0\0\0\0"), NULL),
                     NACRE_OK); /* a CA of a type that is not known */
    assert_int_equal(
        section(NC_KRL_CERTIFICATES, BYTES("\0\0\0\x0f\0\0\0\x0bssh-ed25519\0\0\0\0"), "authority"),
        NACRE_KEY_FORMAT);
    assert_int_equal(
        section(NC_KRL_CERTIFICATES, BYTES("\0\0\0\0\0\0\0\0\x20\0\0\0\x10"), "cut off"),
        NACRE_KEY_FORMAT);
    assert_int_equal(section(NC_KRL_EXPLICIT, BYTES("\0\0\0\5\0\0\0\1x"), NULL), NACRE_OK);
    assert_int_equal(section(NC_KRL_EXPLICIT, BYTES("\0\0\0\4\0\0\0\0"), "cut off"),
                     NACRE_KEY_FORMAT);
    assert_int_equal(section(NC_KRL_SHA1, BYTES("\0\0\0\1x"), "length"), NACRE_KEY_FORMAT);
    assert_int_equal(section(NC_KRL_SHA256, BYTES("\0\0\0\x14xxxxxxxxxxxxxxxxxxxx"), "length"),
                     NACRE_KEY_FORMAT);
    assert_int_equal(section(NC_KRL_SHA1, BYTES("\0\0\0\x14xxxxxxxxxxxxxxxxxxxx"), NULL), NACRE_OK);
    assert_int_equal(section(NC_KRL_EXTENSION, BYTES("\0\0\0\1x\0\0\0\0\0"), NULL), NACRE_OK);
    assert_int_equal(section(NC_KRL_EXTENSION, BYTES("\0\0\0\1x\2\0\0\0\0"), "critical"),
                     NACRE_UNSUPPORTED);
    assert_int_equal(section(6, BYTES(""), "unknown section 6"), NACRE_UNSUPPORTED);
    assert_int_equal(section(0, BYTES(""), "unknown section 0"), NACRE_UNSUPPORTED);

    nc_buf b;
    nc_wr w = begin(&b);
    nc_wr_u8(&w, NC_KRL_EXPLICIT);
    nc_wr_u32(&w, 0xffffffff);
    assert_int_equal(finish(&b, "cut off"), NACRE_KEY_FORMAT);
    w = begin(&b);
    b.data[11] = 2;
    assert_int_equal(finish(&b, "format 2"), NACRE_UNSUPPORTED);
}

/* Each byte of such a bitmap is four entries: bytes alone would be no bound of memory. */
static void bitmap_bombs_are_bounded(void **state)
{
    (void)state;
    uint8_t bits[NC_KRL_MAX_BITMAP];
    memset(bits, 0x55, sizeof(bits));
    nc_buf b;
    nc_wr w = begin(&b);
    nc_wr_u8(&w, NC_KRL_CERTIFICATES);
    size_t mark = nc_wr_begin_str(&w);
    nc_wr_cstr(&w, "");
    nc_wr_cstr(&w, "");
    for (uint64_t i = 0; i < 600; i++) { /* 1.2 MB, 4.9 million entries */
        nc_wr_u8(&w, NC_KRL_SERIAL_BITMAP);
        size_t inner = nc_wr_begin_str(&w);
        nc_wr_u64(&w, 1 + i * 8 * sizeof(bits));
        nc_wr_mpint(&w, nc_span(bits, sizeof(bits)));
        nc_wr_end_str(&w, inner);
    }
    nc_wr_end_str(&w, mark);
    assert_int_equal(finish(&b, "separate entries"), NACRE_TOO_LARGE);

    uint8_t large[NC_KRL_MAX_BITMAP + 1];
    memset(large, 1, sizeof(large));
    nc_buf body;
    nc_buf_init(&body, NULL, 8192);
    w = nc_wr_init(&body);
    nc_wr_u64(&w, 1);
    nc_wr_mpint(&w, nc_span(large, sizeof(large)));
    assert_int_equal(cert_section(NC_KRL_SERIAL_BITMAP, nc_buf_span(&body), "too long"),
                     NACRE_KEY_FORMAT);
    nc_buf_clear(&body);
}

/* The signatures of lists from before OpenSSH 9.4. */
static void signatures_must_be_good(void **state)
{
    (void)state;
    static const char *const signers[] = {"ed25519", "rsa2048"};
    for (int turned = -1; turned < 4; turned++) {
        nc_buf b;
        nc_wr w = begin(&b);
        nc_wr_u8(&w, NC_KRL_EXTENSION);
        nc_wr_str(&w, BYTES("\0\0\0\1x\0\0\0\0\0"));
        for (size_t i = 0; i < 2; i++) {
            nacre_key *key = keydata_private(signers[i]);
            uint8_t *sig = NULL;
            size_t n = 0;
            nc_wr_u8(&w, NC_KRL_SIGNATURE);
            nc_wr_str(&w, nacre_key_blob(key));
            assert_int_equal(nacre_key_sign(key, NULL, nc_buf_span(&b), &sig, &n), NACRE_OK);
            if (turned == 2) {
                sig[n - 1] ^= 1;
            }
            nc_wr_str(&w, nc_span(sig, n));
            nacre_secret_free(NULL, sig, n);
            nacre_key_free(key);
        }
        if (turned < 0) {
            assert_int_equal(finish(&b, NULL), NACRE_OK);
        } else if (turned == 3) {
            nc_wr_u8(&w, NC_KRL_EXPLICIT);
            nc_wr_cstr(&w, "");
            assert_int_equal(finish(&b, "behind the signature"), NACRE_KEY_FORMAT);
        } else {
            b.data[turned == 0 ? 15 : 30] ^= turned < 2 ? 1 : 0;
            assert_int_equal(finish(&b, "signature"), NACRE_BAD_SIGNATURE);
        }
    }
}

static void memory_may_fail(void **state)
{
    (void)state;
    nacre_span files[2] = {keydata_read("../certs/serials.krl"), keydata_read("../certs/keys.krl")};
    for (size_t f = 0; f < 2; f++) {
        test_memory m;
        for (test_memory_init(&m); test_memory_round(&m);) {
            nacre_krl *k = NULL;
            uint8_t *out = NULL;
            size_t n = 0;
            int rc = nacre_krl_parse(&k, &m.hooks, files[f], NULL);
            test_memory_judge(&m, rc == NACRE_OK ? nacre_krl_write(k, &out, &n) : rc);
            nacre_secret_free(&m.hooks, out, n);
            nacre_krl_free(k);
        }
        assert_true(m.refused > 8);
        keydata_free(files[f]);
    }
}

static void files_are_loaded(void **state)
{
    (void)state;
    char path[1024];
    const char *dir = getenv("NACRE_TEST_DATA");
    nacre_krl *k = NULL;
    nacre_error err;
    snprintf(path, sizeof(path), "%s/certs/keys.krl", dir ? dir : "tests/data");
    assert_int_equal(nacre_krl_load_file(&k, NULL, path, &err), NACRE_OK);
    expect(k, keydata_public("rsa2048"), "the key is revoked");
    nacre_krl_free(k);
    snprintf(path, sizeof(path), "%s/keys/ed25519", dir ? dir : "tests/data");
    assert_int_not_equal(nacre_krl_load_file(&k, NULL, path, &err), NACRE_OK);
    assert_null(k);
    assert_non_null(strstr(err.text, "keys/ed25519: line 1"));
    assert_int_equal(nacre_krl_load_file(&k, NULL, "/nowhere/at/all", &err), NACRE_NOT_FOUND);
    assert_int_equal(nacre_krl_load_file(&k, NULL, "/", &err), NACRE_IO);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lists_of_ssh_keygen_are_read),
        cmocka_unit_test(revoked_keys_are_revoked_as_leaf_and_as_ca),
        cmocka_unit_test(plain_lists_of_keys_serve),
        cmocka_unit_test(serial_patterns_come_back),
        cmocka_unit_test(lists_are_small_and_the_same),
        cmocka_unit_test(everything_is_written_and_listed),
        cmocka_unit_test(bad_revocations_are_refused),
        cmocka_unit_test(cut_lists_are_refused),
        cmocka_unit_test(certificate_sections_are_judged),
        cmocka_unit_test(other_sections_are_judged),
        cmocka_unit_test(bitmap_bombs_are_bounded),
        cmocka_unit_test(signatures_must_be_good),
        cmocka_unit_test(memory_may_fail),
        cmocka_unit_test(files_are_loaded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
