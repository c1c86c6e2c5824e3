/*
 * Keys that show certificates, and what else ssh-add sends along: by our client, over memory, to our keyring. And
 * destinations that an authority names (ssh-add -H): hosts whose certificates it signed, under the name that they bear.
 */
#include "../keys/keydata.h"
#include "ring.h"

#include "nacre/cert.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static nacre_key *certified(nacre_key *k, nacre_key *ca, nacre_cert_kind kind, const char *name)
{
    nacre_cert_request q;
    nacre_span principal = text(name);
    nacre_key *out = NULL;
    nacre_error why;
    nacre_cert_request_init(&q, kind);
    q.principals = &principal;
    q.principal_count = 1;
    assert_int_equal(nacre_cert_issue(&out, k, ca, &q, &why), NACRE_OK);
    return out;
}

/* ---- keys with certificates ------------------------------------------------------------------------- */

static void every_type_is_held_with_its_certificate(void **state)
{
    static const char *const types[] = {"ed25519", "ecdsa256", "ecdsa384", "ecdsa521", "rsa2048"};
    ring r;
    (void)state;
    ring_start(&r, NULL);
    for (size_t i = 0; i < 5; i++) {
        nacre_key *k = test_key(types[i]);
        nacre_key *c = certified(k, test_key("ed25519"), NACRE_CERT_USER, "mina");
        assert_true(nacre_key_is_private(c) && nacre_key_is_cert(c));
        assert_int_equal(nacre_agent_add(r.agent[0], c, NULL, NULL), NACRE_OK);
        assert_int_equal(listed(r.agent[1]), i + 1);
        const nacre_key *held = nacre_keyring_at(r.k, i);
        assert_true(nacre_key_equal(held, c));
        assert_string_equal(nacre_key_type(held), nacre_key_type(c));
        /* by its blob with the certificate, and by no other */
        assert_int_equal(signs(r.agent[1], c, text("x")), NACRE_OK);
        assert_int_equal(signs(r.agent[1], k, text("x")), NACRE_AGENT_REFUSED);
        nacre_key_free(c);
    }
    ring_end(&r);
}

/* What the keyring answers to ADD_IDENTITY with this behind the number. */
static int add_raw(ring *r, nacre_span body)
{
    nc_buf b;
    size_t took;
    nc_buf_init(&b, NULL, 1 << 16);
    nc_wr w = nc_wr_init(&b);
    size_t mark = nc_wr_begin_str(&w);
    nc_wr_u8(&w, SSH_AGENTC_ADD_IDENTITY);
    nc_wr_bytes(&w, body);
    nc_wr_end_str(&w, mark);
    assert_int_equal(nacre_keyring_received(r->conn[1], nc_buf_span(&b), &took), NACRE_OK);
    nc_buf_clear(&b);
    return raw_reply(r->conn[1]);
}

/* Cut at every byte, and with a private half that is another's: such a key is not held. */
static void broken_certified_keys_are_refused(void **state)
{
    static const char *const types[] = {"ed25519", "ecdsa256", "rsa2048"};
    ring r;
    (void)state;
    ring_start(&r, NULL);
    for (size_t i = 0; i < 3; i++) {
        nacre_key *c = certified(test_key(types[i]), test_key("ed25519"), NACRE_CERT_USER, "mina");
        nc_buf b;
        nc_buf_init(&b, NULL, 1 << 16);
        nc_wr w = nc_wr_init(&b);
        nc_agent_write_key(&w, c);
        size_t key_n = b.len;
        nc_wr_cstr(&w, "comment");
        assert_int_equal(nc_wr_err(&w), NACRE_OK);
        for (size_t n = 0; n < b.len; n += n < key_n - 80 ? 7 : 1) {
            assert_int_equal(add_raw(&r, nc_span(b.data, n)), SSH_AGENT_FAILURE);
        }
        b.data[key_n - 1] ^= 1; /* of the last private number */
        int type = add_raw(&r, nc_buf_span(&b));
        assert_int_equal(type, SSH_AGENT_FAILURE);
        assert_int_equal(listed(r.agent[0]), 0);
        nc_buf_clear(&b);
        nacre_key_free(c);
    }
    ring_end(&r);
}

/* As its file has it; no device is needed for that. */
static nacre_key *security_key(nc_pk_type inner, const char *application)
{
    nc_pk *device = NULL;
    assert_int_equal(nc_pk_generate(&device, NULL, inner, 0), NACRE_OK);
    nacre_key *k = keydata_security_key(device, application, 5, true);
    nc_pk_free(device);
    return k;
}

/* The two have forms of their own here, too: with a certificate one repeats its public half, the other does not. */
static void security_keys_are_held_with_their_certificates(void **state)
{
    static const nc_pk_type inner[] = {NC_PK_ED25519, NC_PK_P256};
    static const char *const names[] = {"sk-ssh-ed25519-cert-v01@openssh.com",
                                        "sk-ecdsa-sha2-nistp256-cert-v01@openssh.com"};
    ring r;
    (void)state;
    ring_start(&r, NULL);
    for (size_t i = 0; i < 2; i++) {
        nacre_key *k = security_key(inner[i], "ssh:");
        nacre_key *c = certified(k, test_key("ed25519"), NACRE_CERT_USER, "mina");
        assert_string_equal(nacre_key_type(c), names[i]);
        assert_int_equal(nacre_agent_add(r.agent[0], c, NULL, NULL), NACRE_OK);
        assert_int_equal(listed(r.agent[1]), i + 1);
        const nacre_key *held = nacre_keyring_at(r.k, i);
        assert_true(nacre_key_equal(held, c) && nacre_key_is_private(held));
        assert_string_equal(nacre_key_type(held), names[i]);
        assert_true(nc_span_is(nacre_key_sk_application(held), "ssh:"));
        nc_buf storage;
        nc_pk_parts parts;
        nc_buf_init(&storage, NULL, 1 << 16);
        assert_int_equal(nc_pk_get_parts(nc_key_pk(held), &storage, true, &parts), NACRE_OK);
        assert_true(nc_span_is(parts.key_handle, "handle"));
        assert_int_equal(parts.sk_flags, 5);
        nc_buf_clear(&storage);
        /* It is known here, but who signs is the device. */
        assert_int_equal(signs(r.agent[1], c, text("x")), NACRE_AGENT_REFUSED);
        nacre_key_free(c);
        nacre_key_free(k);
    }
    ring_end(&r);
}

static size_t written(nc_buf *b, const nacre_key *k)
{
    nc_wr w = nc_wr_init(b);
    nc_agent_write_key(&w, k);
    nc_wr_cstr(&w, "comment");
    assert_int_equal(nc_wr_err(&w), NACRE_OK);
    return b->len - 11;
}

/* As OpenSSH's agent reads it: of an Ed25519 key the public half stands there once more, of an ECDSA key nothing. */
static void security_keys_go_out_as_openssh_has_them(void **state)
{
    static const nc_pk_type inner[] = {NC_PK_ED25519, NC_PK_P256};
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        nacre_key *k = security_key(inner[i], "ssh:");
        nacre_key *c = certified(k, test_key("ed25519"), NACRE_CERT_USER, "mina");
        nacre_span plain = nacre_key_blob(k);
        nc_buf ours, theirs;
        nc_buf_init(&ours, NULL, 1 << 16);
        nc_buf_init(&theirs, NULL, 1 << 16);
        (void)written(&ours, c);
        nc_wr w = nc_wr_init(&theirs);
        nc_wr_cstr(&w, nacre_key_type(c));
        nc_wr_str(&w, nacre_key_blob(c));
        if (inner[i] == NC_PK_ED25519) { /* between the type's name and "ssh:" in the plain blob */
            size_t name = 4 + strlen("sk-ssh-ed25519@openssh.com");
            nc_wr_bytes(&w, nc_span(plain.p + name, 4 + 32));
        }
        nc_wr_cstr(&w, "ssh:");
        nc_wr_u8(&w, 5);
        nc_wr_cstr(&w, "handle");
        nc_wr_cstr(&w, "");
        nc_wr_cstr(&w, "comment");
        assert_int_equal(nc_wr_err(&w), NACRE_OK);
        assert_true(nc_span_eq(nc_buf_span(&ours), nc_buf_span(&theirs)));
        nc_buf_clear(&ours);
        nc_buf_clear(&theirs);
        nacre_key_free(c);
        nacre_key_free(k);
    }
}

/* Cut at every byte; and with a private half for another application than the certified one. */
static void broken_certified_security_keys_are_refused(void **state)
{
    static const nc_pk_type inner[] = {NC_PK_ED25519, NC_PK_P256};
    ring r;
    (void)state;
    ring_start(&r, NULL);
    for (size_t i = 0; i < 2; i++) {
        nacre_key *k = security_key(inner[i], "ssh:");
        nacre_key *c = certified(k, test_key("ed25519"), NACRE_CERT_USER, "mina");
        nc_buf b;
        nc_buf_init(&b, NULL, 1 << 16);
        size_t key_n = written(&b, c);
        for (size_t n = 0; n < b.len; n += n < key_n - 80 ? 7 : 1) {
            assert_int_equal(add_raw(&r, nc_span(b.data, n)), SSH_AGENT_FAILURE);
        }
        /* application "ssh:", flags, handle "handle", reserved "": from behind */
        size_t application = key_n - (4 + 0) - (4 + 6) - 1 - 4;
        assert_memory_equal(b.data + application, "ssh:", 4);
        b.data[application] ^= 1;
        assert_int_equal(add_raw(&r, nc_buf_span(&b)), SSH_AGENT_FAILURE);
        assert_int_equal(listed(r.agent[0]), 0);
        b.data[application] ^= 1;
        assert_int_equal(add_raw(&r, nc_buf_span(&b)), SSH_AGENT_SUCCESS);
        assert_int_equal(listed(r.agent[0]), 1);
        nacre_keyring_remove_all(r.k);
        nc_buf_clear(&b);
        nacre_key_free(c);
        nacre_key_free(k);
    }
    ring_end(&r);
}

/* A public half is nothing to hold; the client does not even ask. */
static void what_cannot_be_is_not_sent(void **state)
{
    ring r;
    nacre_key *half = NULL;
    (void)state;
    ring_start(&r, NULL);
    assert_int_equal(nacre_key_from_blob(&half, NULL, nacre_key_blob(test_key("ed25519")), NULL),
                     NACRE_OK);
    assert_int_equal(nacre_agent_add(r.agent[0], half, NULL, NULL), NACRE_NOT_PRIVATE);
    assert_int_equal(raw_reply(r.conn[0]), -1);
    /* Nor does anything else of it get into a request that others stand before. */
    nc_buf out;
    nc_buf_init(&out, NULL, 4 * NC_AGENT_MAX_MESSAGE);
    assert_int_equal(nc_agent_ask(&out, SSH_AGENTC_REQUEST_IDENTITIES), NACRE_OK);
    assert_int_equal(nc_agent_ask_add(&out, half, NULL), NACRE_NOT_PRIVATE);
    assert_int_equal(out.len, 5);
    /* Nor what is longer than any agent takes. */
    size_t n = NC_AGENT_MAX_MESSAGE;
    char *large = calloc(1, n);
    assert_non_null(large);
    assert_int_equal(nacre_agent_add(r.agent[0], test_key("ed25519"), NULL, NULL), NACRE_OK);
    assert_int_equal(signs(r.agent[0], test_key("ed25519"), nc_span(large, n)), NACRE_TOO_LARGE);
    assert_int_equal(signs(r.agent[0], test_key("ed25519"), text("x")), NACRE_OK);
    /* The message counts, not the room that there is for it: its number and the string's length come on top. */
    assert_int_equal(nc_agent_ask_string(&out, SSH_AGENTC_LOCK, nc_span(large, n - 4)),
                     NACRE_TOO_LARGE);
    assert_int_equal(out.len, 5);
    assert_int_equal(nc_agent_ask_string(&out, SSH_AGENTC_LOCK, nc_span(large, n - 5)), NACRE_OK);
    assert_int_equal(out.len, 5 + 4 + n);
    nc_buf_clear(&out);
    free(large);
    nacre_key_free(half);
    ring_end(&r);
}

/* Comments are capped, not refused: the key is what counts. */
static void long_comments_are_cut(void **state)
{
    ring r;
    static char comment[5000];
    nacre_key *named = NULL;
    nacre_key **keys;
    size_t n;
    (void)state;
    memset(comment, 'c', sizeof(comment) - 1);
    ring_start(&r, NULL);
    nc_buf b;
    nc_buf_init(&b, NULL, 1 << 16);
    nc_wr w = nc_wr_init(&b);
    nc_agent_write_key(&w, test_key("ed25519"));
    nc_wr_cstr(&w, comment);
    assert_int_equal(add_raw(&r, nc_buf_span(&b)), SSH_AGENT_SUCCESS);
    assert_int_equal(nacre_agent_list(r.agent[0], &keys, &n, NULL), NACRE_OK);
    assert_int_equal(n, 1);
    size_t len = strlen(nacre_key_comment(keys[0]));
    assert_true(len > 100 && len < sizeof(comment) - 1);
    nacre_agent_keys_free(NULL, keys, n);
    nacre_key_free(named);
    nc_buf_clear(&b);
    ring_end(&r);
}

/* ---- what cannot be enforced ------------------------------------------------------------------------- */

static void what_goes_with_hardware_is_refused(void **state)
{
    ring r;
    nacre_agent_constraints c;
    nacre_error why;
    nacre_key *k = test_key("ed25519");
    nacre_key *cert = certified(k, test_key("ecdsa256"), NACRE_CERT_USER, "mina");
    (void)state;
    ring_start(&r, NULL);
    nacre_agent_constraints_init(&c);
    c.sk_provider = "internal";
    assert_int_equal(nacre_agent_add(r.agent[0], k, &c, NULL), NACRE_AGENT_REFUSED);
    assert_int_equal(nacre_keyring_add(r.k, k, &c, &why), NACRE_AGENT_REFUSED);
    assert_non_null(strstr(why.text, "cannot be enforced"));
    nacre_agent_constraints_init(&c);
    c.certs = &cert;
    c.cert_count = 1;
    c.certs_only = true;
    assert_int_equal(nacre_agent_add_token(r.agent[0], "reader", text("1234"), &c, NULL),
                     NACRE_AGENT_REFUSED);
    c.size--;
    assert_int_equal(nacre_keyring_add(r.k, k, &c, &why), NACRE_INVALID_ARGUMENT);
    assert_int_equal(listed(r.agent[0]), 0);
    nacre_key_free(cert);
    ring_end(&r);
}

/* A flag that nobody knows may mean anything: nothing is signed under it. */
static void unknown_flags_are_refused(void **state)
{
    static const uint32_t flags[] = {1, 8, 0x80000000u, UINT32_MAX, 0};
    ring r;
    (void)state;
    ring_start(&r, NULL);
    assert_int_equal(nacre_agent_add(r.agent[0], test_key("ed25519"), NULL, NULL), NACRE_OK);
    for (size_t i = 0; i < 5; i++) {
        nc_buf b;
        size_t took;
        nc_buf_init(&b, NULL, 1 << 16);
        nc_wr w = nc_wr_init(&b);
        size_t mark = nc_wr_begin_str(&w);
        nc_wr_u8(&w, SSH_AGENTC_SIGN_REQUEST);
        nc_wr_str(&w, nacre_key_blob(test_key("ed25519")));
        nc_wr_cstr(&w, "x");
        nc_wr_u32(&w, flags[i]);
        nc_wr_end_str(&w, mark);
        assert_int_equal(nacre_keyring_received(r.conn[1], nc_buf_span(&b), &took), NACRE_OK);
        assert_int_equal(raw_reply(r.conn[1]),
                         flags[i] ? SSH_AGENT_FAILURE : SSH_AGENT_SIGN_RESPONSE);
        nc_buf_clear(&b);
    }
    ring_end(&r);
}

static void options_must_be_made(void **state)
{
    nacre_keyring *k = NULL;
    nacre_keyring_options o;
    (void)state;
    nacre_keyring_options_init(&o);
    o.size = 1;
    assert_int_equal(nacre_keyring_new(&k, &o, 0, 0), NACRE_INVALID_ARGUMENT);
    assert_int_equal(nacre_keyring_new(&k, NULL, 0, 0), NACRE_INVALID_ARGUMENT);
    assert_null(k);
}

/* ---- destinations of an authority ---------------------------------------------------------------------- */

static int bind_to(nacre_agent *g, nacre_key *host, const char *session, bool forwarding)
{
    uint8_t *sig;
    size_t n;
    assert_int_equal(nacre_key_sign(host, NULL, text(session), &sig, &n), NACRE_OK);
    int rc = nacre_agent_bind(g, host, text(session), nc_span(sig, n), forwarding, NULL);
    nacre_secret_free(NULL, sig, n);
    return rc;
}

/* Whether a key for hosts that this CA certifies as "name" is seen behind a host of that key. */
static bool seen_behind(nacre_key *ca, bool is_ca, const char *name, nacre_key *host)
{
    nacre_agent_host_key key = {ca, is_ca};
    nacre_agent_destination hop = {.to = {NULL, name, &key, 1}};
    nacre_agent_constraints c;
    ring r;
    ring_start(&r, NULL);
    nacre_agent_constraints_init(&c);
    c.destinations = &hop;
    c.destination_count = 1;
    assert_int_equal(nacre_agent_add(r.agent[0], test_key("ed25519"), &c, NULL), NACRE_OK);
    assert_int_equal(listed(r.agent[1]), 1);
    assert_int_equal(bind_to(r.agent[1], host, "session", false), NACRE_OK);
    bool seen = listed(r.agent[1]) == 1;
    assert_int_equal(listed(r.agent[0]), 1);
    ring_end(&r);
    return seen;
}

static void an_authority_names_destinations(void **state)
{
    static char longest[300];
    nacre_key *ca = test_key("ecdsa384"), *plain = test_key("ecdsa256");
    nacre_key *host = certified(plain, ca, NACRE_CERT_HOST, "first");
    nacre_key *user = certified(plain, ca, NACRE_CERT_USER, "first");
    nacre_key *others = certified(plain, test_key("ecdsa521"), NACRE_CERT_HOST, "first");
    (void)state;
    memset(longest, 'f', sizeof(longest) - 1);
    assert_true(seen_behind(ca, true, "first", host));
    assert_false(seen_behind(ca, true, "second", host));  /* a name that it does not bear */
    assert_false(seen_behind(ca, true, longest, host));   /* one that no host has */
    assert_false(seen_behind(ca, true, "first", others)); /* of another authority */
    assert_false(seen_behind(ca, true, "first", user));   /* not of a host */
    assert_false(seen_behind(ca, true, "first", plain));  /* no certificate at all */
    assert_false(seen_behind(ca, false, "first", host));  /* a key, not an authority */
    assert_false(seen_behind(plain, true, "first", host));
    assert_true(seen_behind(plain, false, "first", plain));
    assert_false(
        seen_behind(ca, true, "first", ca)); /* the authority itself is no host of its own */
    nacre_key_free(host);
    nacre_key_free(user);
    nacre_key_free(others);
}

static int drop_keys(void **state)
{
    (void)state;
    test_keys_free();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_type_is_held_with_its_certificate),
        cmocka_unit_test(broken_certified_keys_are_refused),
        cmocka_unit_test(security_keys_are_held_with_their_certificates),
        cmocka_unit_test(security_keys_go_out_as_openssh_has_them),
        cmocka_unit_test(broken_certified_security_keys_are_refused),
        cmocka_unit_test(what_cannot_be_is_not_sent),
        cmocka_unit_test(long_comments_are_cut),
        cmocka_unit_test(what_goes_with_hardware_is_refused),
        cmocka_unit_test(unknown_flags_are_refused),
        cmocka_unit_test(options_must_be_made),
        cmocka_unit_test(an_authority_names_destinations),
    };
    return cmocka_run_group_tests(tests, NULL, drop_keys);
}
