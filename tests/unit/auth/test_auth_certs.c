/*
 * test_auth_certs.c - the userauth server and certificates: which name goes with which blob, what a key counts for, and
 * the touch that a security key must have had.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "../keys/keydata.h"
#include "auth/auth_state.h"
#include "fake_link.h"

#define ED_CERT  "ssh-ed25519-cert-v01@openssh.com"
#define RSA_CERT "ssh-rsa-cert-v01@openssh.com"
#define SK       "sk-ssh-ed25519@openssh.com"
#define SK_CERT  "sk-ssh-ed25519-cert-v01@openssh.com"

static nacre_key *ca, *ed, *ed_cert, *rsa, *rsa_cert, *sk, *sk_cert;
static rig s;
static nc_buf out;

static nacre_key *certify(const nacre_key *key)
{
    nacre_cert_request r;
    nacre_key *made = NULL;
    nacre_cert_request_init(&r, NACRE_CERT_USER);
    assert_int_equal(nacre_cert_issue(&made, key, ca, &r, NULL), NACRE_OK);
    return made;
}

/* The public key of a device whose secret is that of ed. */
static nacre_key *security_key(void)
{
    nc_buf b;
    nacre_key *k = NULL;
    nc_rd r = nc_rd_init(nacre_key_blob(ed));
    (void)nc_rd_str(&r);
    nc_buf_init(&b, NULL, NC_MAX_KEY_BLOB);
    assert_int_equal(
        nacre_key_from_blob(&k, NULL, pack(&b, "sSs", SK, nc_rd_str(&r), "ssh:"), NULL), NACRE_OK);
    nc_buf_clear(&b);
    return k;
}

static int make_keys(void **state)
{
    (void)state;
    assert_int_equal(nacre_key_generate(&ca, NULL, "ed25519", 0, NULL), NACRE_OK);
    assert_int_equal(nacre_key_generate(&ed, NULL, "ed25519", 0, NULL), NACRE_OK);
    rsa = keydata_private("rsa2048");
    ed_cert = certify(ed);
    rsa_cert = certify(rsa);
    sk = security_key();
    sk_cert = certify(sk);
    return 0;
}

static int free_keys(void **state)
{
    (void)state;
    nacre_key *all[] = {ca, ed, ed_cert, rsa, rsa_cert, sk, sk_cert};
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
        nacre_key_free(all[i]);
    }
    nc_buf_clear(&out);
    return 0;
}

static void open_server(void)
{
    rig_init(&s, NACRE_SERVER);
    rig_start(&s);
}

static void expect_refused(int rc)
{
    assert_int_equal(rc, NACRE_AGAIN);
    nacre_span p = rig_take(&s);
    assert_true(p.n > 1 && p.p[0] == SSH_MSG_USERAUTH_FAILURE && p.p[p.n - 1] == 0);
    assert_int_equal(s.link.open_tickets, 0);
}

static void expect_asked(int rc, const nacre_key *key, const char *algorithm)
{
    assert_int_equal(rc, NACRE_OK);
    assert_int_equal(s.ev.type, NACRE_EVENT_AUTH_KEY);
    assert_true(nacre_key_equal(s.ev.u.auth.key, key));
    assert_string_equal(s.ev.u.auth.algorithm, algorithm);
}

/* What the request shows, and by what its signature is made and named. */
typedef struct row {
    const char *algorithm;
    const nacre_key *shown, *signer;
    const char *made_by;
    const char *named; /* NULL: as it was made */
} row;

static void sign_row(const row *r, nacre_span data, nc_buf *sig)
{
    assert_int_equal(nc_key_sign_buf(r->signer, nc_span_cstr(r->made_by), data, sig), NACRE_OK);
    if (r->named) {
        nc_buf renamed;
        nc_rd in = nc_rd_init(nc_buf_span(sig));
        (void)nc_rd_str(&in);
        nc_buf_init(&renamed, NULL, NC_MAX_KEY_BLOB);
        (void)pack(&renamed, "sS", r->named, nc_rd_str(&in));
        nc_buf_clear(sig);
        *sig = renamed;
    }
}

static nacre_span request(const row *r, nc_buf *sig)
{
    size_t at = 0;
    nc_buf data;
    nc_buf_init(&data, NULL, NC_AUTH_MAX_SIGNED);
    nc_auth_claim claim = {.method = NC_AUTH_PUBLICKEY,
                           .user = "alice",
                           .algorithm = nc_span_cstr(r->algorithm),
                           .key = nacre_key_blob(r->shown)};
    assert_int_equal(nc_auth_signed_data(&data, s.link.session_id, &claim, &at), NACRE_OK);
    if (r->made_by) {
        sign_row(r, nc_buf_span(&data), sig);
    }
    nacre_span p = pack(&out, "ysssosSS", 50, "alice", "ssh-connection", "publickey", 1,
                        r->algorithm, nacre_key_blob(r->shown), nc_buf_span(sig));
    nc_buf_clear(&data);
    return p;
}

static int send_row(const row *r)
{
    nc_buf sig;
    nc_buf_init(&sig, NULL, NC_MAX_KEY_BLOB);
    int rc = rig_step(&s, request(r, &sig));
    nc_buf_clear(&sig);
    return rc;
}

static void certificates_are_asked_about(void **state)
{
    (void)state;
    const row good[] = {
        {ED_CERT, ed_cert, ed, "ssh-ed25519", NULL},
        {"rsa-sha2-512-cert-v01@openssh.com", rsa_cert, rsa, "rsa-sha2-512", NULL},
        {"rsa-sha2-256-cert-v01@openssh.com", rsa_cert, rsa, "rsa-sha2-256", NULL},
    };
    for (size_t i = 0; i < 3; i++) {
        open_server();
        expect_asked(send_row(&good[i]), good[i].shown, good[i].algorithm);
        assert_int_equal(rig_verdict(&s, true), NACRE_OK);
        assert_int_equal(s.authenticated, 1);
        rig_clear(&s);
    }
}

/* A certificate under a plain name would reach an application that compares keys by their plain halves. */
static void names_and_blobs_that_differ_are_refused(void **state)
{
    (void)state;
    const row bad[] = {
        {"ssh-ed25519", ed_cert, ed, "ssh-ed25519", NULL},
        {ED_CERT, ed, ed, "ssh-ed25519", NULL},
        {ED_CERT, rsa_cert, rsa, "rsa-sha2-512", NULL},
        {RSA_CERT, rsa_cert, rsa, "ssh-rsa", NULL}, /* SHA-1 is off */
        {"rsa-sha2-512-cert-v01@openssh.com", rsa_cert, rsa, "rsa-sha2-256", NULL},
        {"rsa-sha2-512-cert-v01@openssh.com", rsa_cert, rsa, "ssh-rsa", NULL},
        {ED_CERT, ed_cert, ca, "ssh-ed25519", NULL}, /* the CA signs for the user */
        {ED_CERT, ed_cert, ed, "ssh-ed25519", ED_CERT},
        {"ssh-ed25519-cert-v02@openssh.com", ed_cert, ed, "ssh-ed25519", NULL},
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        open_server();
        expect_refused(send_row(&bad[i]));
        rig_clear(&s);
    }
    /* a list of the configuration that names plain ones only */
    const row good = {ED_CERT, ed_cert, ed, "ssh-ed25519", NULL};
    open_server();
    s.config.signature = "ssh-ed25519,rsa-sha2-512";
    expect_refused(send_row(&good));
    rig_clear(&s);
    open_server();
    s.config.signature = ED_CERT;
    expect_asked(send_row(&good), ed_cert, ED_CERT);
    rig_clear(&s);
}

static void a_probe_is_answered_by_its_own_name(void **state)
{
    (void)state;
    open_server();
    nacre_span p = pack(&out, "ysssosS", 50, "alice", "ssh-connection", "publickey", 0, ED_CERT,
                        nacre_key_blob(ed_cert));
    assert_int_equal(rig_step(&s, p), NACRE_OK);
    assert_int_equal(s.ev.type, NACRE_EVENT_AUTH_KEY_PROBE);
    assert_int_equal(rig_verdict(&s, true), NACRE_OK);
    nacre_span sent = rig_take(&s);
    nc_rd r = nc_rd_init(sent);
    assert_int_equal(nc_rd_u8(&r), SSH_MSG_USERAUTH_PK_OK);
    assert_true(nc_span_is(nc_rd_str(&r), ED_CERT));
    assert_true(nc_span_eq(nc_rd_str(&r), nacre_key_blob(ed_cert)));
    assert_int_equal(s.authenticated, 0);
    rig_clear(&s);
}

/* RFC 4252 7: two keys are asked for, and one with and without its certificate is one. */
static void one_key_counts_once(void **state)
{
    (void)state;
    const row with = {ED_CERT, ed_cert, ed, "ssh-ed25519", NULL};
    const row without = {"ssh-ed25519", ed, ed, "ssh-ed25519", NULL};
    for (int i = 0; i < 2; i++) {
        open_server();
        assert_int_equal(send_row(i ? &with : &without), NACRE_OK);
        nacre_answer partial = {.accept = true, .partial = true, .methods = "publickey"};
        assert_int_equal(rig_answer(&s, &partial), NACRE_OK);
        (void)rig_take(&s);
        expect_refused(send_row(i ? &without : &with));
        rig_clear(&s);
    }
}

/* ---- security keys ------------------------------------------------------------------------------ */

/* As the device does it (PROTOCOL.u2f): over the hashes of application and message, flags and counter. */
static void device_sign(nacre_span message, uint8_t flags, nc_buf *sig)
{
    uint8_t hashes[2][NC_MAX_HASH];
    nacre_span parts[2] = {nc_span_cstr("ssh:"), message};
    nc_buf covered, inner;
    nc_buf_init(&covered, NULL, 4096);
    nc_buf_init(&inner, NULL, 4096);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(nc_hash(nc_hash_get(NC_SHA256), &parts[i], 1, hashes[i]), NACRE_OK);
    }
    nacre_span all =
        pack(&covered, "ryur", nc_span(hashes[0], 32), flags, 7u, nc_span(hashes[1], 32));
    assert_int_equal(nc_pk_sign(nc_key_pk(ed), nc_sig_find(SPAN("ssh-ed25519")), all, &inner),
                     NACRE_OK);
    (void)pack(sig, "sSyu", SK, nc_buf_span(&inner), flags, 7u);
    nc_buf_clear(&covered);
    nc_buf_clear(&inner);
}

static int send_sk(const nacre_key *key, const char *algorithm, uint8_t flags)
{
    size_t at = 0;
    nc_buf data, sig;
    nc_buf_init(&data, NULL, NC_AUTH_MAX_SIGNED);
    nc_buf_init(&sig, NULL, NC_MAX_KEY_BLOB);
    nc_auth_claim claim = {.method = NC_AUTH_PUBLICKEY,
                           .user = "alice",
                           .algorithm = nc_span_cstr(algorithm),
                           .key = nacre_key_blob(key)};
    assert_int_equal(nc_auth_signed_data(&data, s.link.session_id, &claim, &at), NACRE_OK);
    device_sign(nc_buf_span(&data), flags, &sig);
    int rc = rig_step(&s, pack(&out, "ysssosSS", 50, "alice", "ssh-connection", "publickey", 1,
                               algorithm, nacre_key_blob(key), nc_buf_span(&sig)));
    nc_buf_clear(&data);
    nc_buf_clear(&sig);
    return rc;
}

/* golang CVE-2026-39831: presence is a flag, and flags must be looked at. */
static void security_keys_must_be_touched(void **state)
{
    (void)state;
    const nacre_key *keys[] = {sk, sk_cert};
    static const char *const names[] = {SK, SK_CERT};
    for (int i = 0; i < 2; i++) {
        open_server();
        expect_asked(send_sk(keys[i], names[i], NACRE_SK_USER_PRESENT), keys[i], names[i]);
        assert_true(s.ev.u.auth.sk.sk);
        assert_int_equal(s.ev.u.auth.sk.flags, NACRE_SK_USER_PRESENT);
        assert_int_equal(s.ev.u.auth.sk.counter, 7);
        rig_clear(&s);
        open_server();
        expect_refused(send_sk(keys[i], names[i], 0));
        rig_clear(&s);
        open_server();
        expect_refused(send_sk(keys[i], names[i], NACRE_SK_USER_VERIFIED));
        rig_clear(&s);
        open_server();
        s.config.untouched_keys = true;
        expect_asked(send_sk(keys[i], names[i], NACRE_SK_USER_VERIFIED), keys[i], names[i]);
        assert_int_equal(s.ev.u.auth.sk.flags, NACRE_SK_USER_VERIFIED);
        rig_clear(&s);
    }
    const row plain = {"ssh-ed25519", ed, ed, "ssh-ed25519", NULL};
    open_server();
    expect_asked(send_row(&plain), ed, "ssh-ed25519");
    assert_false(s.ev.u.auth.sk.sk);
    rig_clear(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(certificates_are_asked_about),
        cmocka_unit_test(names_and_blobs_that_differ_are_refused),
        cmocka_unit_test(a_probe_is_answered_by_its_own_name),
        cmocka_unit_test(one_key_counts_once),
        cmocka_unit_test(security_keys_must_be_touched),
    };
    return cmocka_run_group_tests(tests, make_keys, free_keys);
}
