/*
 * test_auth_hosts.c - the two methods in which host keys speak: publickey bound to the server's host
 * key (OpenSSH PROTOCOL 3.1), and hostbased, in which the client's host signs (RFC 4252 9). What is
 * signed is laid out here by hand, from the documents, and not by the code that both sides share.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../keys/keydata.h"
#include "auth/auth_state.h"
#include "fake_link.h"

#include <stdlib.h>
#include <string.h>

#define BOUND "publickey-hostbound-v00@openssh.com"

static nacre_key *key_a, *key_b, *rsa, *public_a;
static rig s, c;
static nc_buf out, data, signature;

static int make_keys(void **state)
{
    (void)state;
    assert_int_equal(nacre_key_generate(&key_a, NULL, "ed25519", 0, NULL), NACRE_OK);
    assert_int_equal(nacre_key_generate(&key_b, NULL, "ed25519", 0, NULL), NACRE_OK);
    rsa = keydata_private("rsa2048");
    assert_int_equal(nacre_key_from_blob(&public_a, NULL, nacre_key_blob(key_a), NULL), NACRE_OK);
    return 0;
}

static int free_keys(void **state)
{
    (void)state;
    nacre_key_free(key_a);
    nacre_key_free(key_b);
    nacre_key_free(rsa);
    nacre_key_free(public_a);
    nc_buf_clear(&out);
    nc_buf_clear(&data);
    return 0;
}

static void open_server(const char *methods)
{
    rig_init(&s, NACRE_SERVER);
    s.config.auth_methods = methods;
    s.config.max_auth_tries = 1000;
    rig_start(&s);
}

static void open_client(const char *announced)
{
    rig_init(&c, NACRE_CLIENT);
    c.hostbound = announced;
    rig_start(&c);
}

static void expect_refused(int rc)
{
    assert_int_equal(rc, NACRE_AGAIN);
    nacre_span p = rig_take(&s);
    assert_true(p.n > 1);
    assert_int_equal(p.p[0], SSH_MSG_USERAUTH_FAILURE);
    assert_int_equal(p.p[p.n - 1], 0);
    assert_int_equal(s.link.open_tickets, 0);
    assert_int_equal(s.authenticated, 0);
}

static void expect_asked(int rc, nacre_event_type type)
{
    assert_int_equal(rc, NACRE_OK);
    assert_int_equal(s.ev.type, type);
    assert_int_not_equal(s.ev.ticket, 0);
}

static void expect_fatal(rig *r, int rc, int status)
{
    assert_int_equal(rc, status);
    assert_int_equal(r->status, status);
    assert_int_equal(r->by, NACRE_BY_PEER);
    assert_int_equal(r->authenticated, 0);
}

static nacre_span sign(const nacre_key *k, const char *algorithm)
{
    nc_buf_clear(&signature);
    nc_buf_init(&signature, NULL, NC_MAX_KEY_BLOB);
    assert_int_equal(nc_key_sign_buf(k, nc_span_cstr(algorithm), nc_buf_span(&data), &signature),
                     NACRE_OK);
    return nc_buf_span(&signature);
}

/* ---- bound to the host: server ------------------------------------------------------------------ */

typedef struct bound_row {
    const char *signed_method;
    nacre_span host_key, signed_host_key; /* in the request, in what is signed */
    const nacre_key *signer;
    const char *signed_user;
} bound_row;

static nacre_span bound_request(const bound_row *row)
{
    nacre_span blob = nacre_key_blob(key_a);
    pack(&data, "SysssosSS", s.link.session_id, 50, row->signed_user, "ssh-connection",
         row->signed_method, 1, "ssh-ed25519", blob, row->signed_host_key);
    nacre_span sig = sign(row->signer, "ssh-ed25519");
    nacre_span p = pack(&out, "ysssosSSS", 50, "alice", "ssh-connection", BOUND, 1, "ssh-ed25519",
                        blob, row->host_key, sig);
    nc_buf_clear(&signature);
    return p;
}

static bound_row honest(void)
{
    bound_row row = {BOUND, s.link.host_key, s.link.host_key, key_a, "alice"};
    return row;
}

static void a_bound_login_is_publickey_to_the_application(void **state)
{
    (void)state;
    open_server("publickey,password");
    bound_row row = honest();
    expect_asked(rig_step(&s, bound_request(&row)), NACRE_EVENT_AUTH_KEY);
    assert_string_equal(s.ev.u.auth.method, "publickey");
    assert_string_equal(s.ev.u.auth.algorithm, "ssh-ed25519");
    assert_true(nacre_key_equal(s.ev.u.auth.key, key_a));
    nacre_answer half = {.accept = true, .partial = true};
    assert_int_equal(rig_answer(&s, &half), NACRE_OK);
    nacre_span p = rig_take(&s);
    nc_buf want;
    memset(&want, 0, sizeof(want));
    assert_true(nc_span_eq(p, pack(&want, "yso", 51, "password", 1)));
    nc_buf_clear(&want);
    /* the method is done for both of its names, and the key has been used */
    expect_refused(rig_step(&s, bound_request(&row)));
    rig_clear(&s);
    open_server("publickey");
    row = honest();
    expect_asked(rig_step(&s, bound_request(&row)), NACRE_EVENT_AUTH_KEY);
    assert_int_equal(rig_verdict(&s, true), NACRE_OK);
    assert_int_equal(rig_poll(&s), NACRE_OK);
    assert_int_equal(s.ev.type, NACRE_EVENT_AUTHENTICATED);
    assert_string_equal(s.ev.u.auth.method, "publickey");
    assert_true(nacre_key_equal(s.ev.u.auth.key, key_a));
    rig_clear(&s);
}

static void another_host_key_ends_it(void **state)
{
    (void)state;
    nacre_span longer = {NULL, 0}, shorter = {NULL, 0};
    open_server("publickey");
    uint8_t more[128];
    size_t n = s.link.host_key.n;
    memcpy(more, s.link.host_key.p, n);
    more[n] = 0;
    longer = nc_span(more, n + 1);
    shorter = nc_span(more, n - 1);
    const nacre_span lies[] = {SPAN("another server's"), SPAN(""), longer, shorter};
    rig_clear(&s);
    for (size_t i = 0; i < 4; i++) {
        for (int honest_inside = 0; honest_inside < 2; honest_inside++) {
            open_server("publickey");
            bound_row row = honest();
            row.host_key = lies[i];
            row.signed_host_key = honest_inside ? s.link.host_key : lies[i];
            expect_fatal(&s, rig_step(&s, bound_request(&row)), NACRE_PROTOCOL);
            rig_clear(&s);
        }
        /* an offer without a signature is bound as well */
        open_server("publickey");
        expect_fatal(&s,
                     rig_step(&s, pack(&out, "ysssosSS", 50, "alice", "ssh-connection", BOUND, 0,
                                       "ssh-ed25519", nacre_key_blob(key_a), lies[i])),
                     NACRE_PROTOCOL);
        rig_clear(&s);
    }
}

static void bound_signatures_over_other_bytes_are_refused(void **state)
{
    (void)state;
    for (int lie = 0; lie < 4; lie++) {
        open_server("publickey");
        bound_row row = honest();
        if (lie == 0) {
            row.signed_method = "publickey"; /* made for the method that names no host */
        } else if (lie == 1) {
            row.signed_host_key = SPAN("another server's"); /* played back from there */
        } else if (lie == 2) {
            row.signer = key_b;
        } else {
            row.signed_user = "root";
        }
        expect_refused(rig_step(&s, bound_request(&row)));
        rig_clear(&s);
    }
    /* and a bound signature is none for plain publickey */
    open_server("publickey");
    nacre_span blob = nacre_key_blob(key_a);
    pack(&data, "SysssosSS", s.link.session_id, 50, "alice", "ssh-connection", BOUND, 1,
         "ssh-ed25519", blob, s.link.host_key);
    nacre_span sig = sign(key_a, "ssh-ed25519");
    expect_refused(rig_step(&s, pack(&out, "ysssosSS", 50, "alice", "ssh-connection", "publickey",
                                     1, "ssh-ed25519", blob, sig)));
    nc_buf_clear(&signature);
    rig_clear(&s);
}

static void a_bound_offer_lets_nobody_in(void **state)
{
    (void)state;
    open_server("publickey");
    expect_asked(rig_step(&s, pack(&out, "ysssosSS", 50, "alice", "ssh-connection", BOUND, 0,
                                   "ssh-ed25519", nacre_key_blob(key_a), s.link.host_key)),
                 NACRE_EVENT_AUTH_KEY_PROBE);
    assert_int_equal(rig_verdict(&s, true), NACRE_OK);
    nacre_span p = rig_take(&s);
    assert_int_equal(p.p[0], SSH_MSG_USERAUTH_PK_OK);
    assert_int_equal(s.authenticated, 0);
    rig_clear(&s);
    open_server("password"); /* publickey is not offered: its other name neither */
    bound_row row = honest();
    expect_refused(rig_step(&s, bound_request(&row)));
    rig_clear(&s);
}

/* Every cut of a request, and a byte too many, is malformed; none is asked about. */
static void cut_everywhere(nacre_span whole, size_t first, const char *methods)
{
    uint8_t *copy = malloc(whole.n + 1);
    assert_non_null(copy);
    memcpy(copy, whole.p, whole.n);
    copy[whole.n] = 0;
    for (size_t n = first; n <= whole.n + 1; n++) {
        if (n == whole.n) {
            continue;
        }
        open_server(methods);
        expect_fatal(&s, rig_step(&s, nc_span(copy, n)), NACRE_MALFORMED);
        rig_clear(&s);
    }
    free(copy);
}

static void cut_bound_requests_are_malformed(void **state)
{
    (void)state;
    open_server("publickey");
    bound_row row = honest();
    nacre_span whole = bound_request(&row);
    rig_clear(&s);
    size_t head = 1 + 4 + 5 + 4 + 14 + 4 + sizeof(BOUND) - 1;
    cut_everywhere(whole, head, "publickey");
}

/* ---- bound to the host: client -------------------------------------------------------------------- */

/* What left is a good request, bound or not. */
static void expect_request(nacre_span p, bool bound)
{
    nc_rd r = nc_rd_init(p);
    assert_int_equal(nc_rd_u8(&r), 50);
    assert_true(nc_span_is(nc_rd_str(&r), "alice"));
    assert_true(nc_span_is(nc_rd_str(&r), "ssh-connection"));
    assert_true(nc_span_is(nc_rd_str(&r), bound ? BOUND : "publickey"));
    assert_true(nc_rd_bool(&r));
    assert_true(nc_span_is(nc_rd_str(&r), "ssh-ed25519"));
    nacre_span blob = nc_rd_str(&r);
    assert_true(nc_span_eq(blob, nacre_key_blob(key_a)));
    if (bound) {
        assert_true(nc_span_eq(nc_rd_str(&r), c.link.host_key));
        pack(&data, "SysssosSS", c.link.session_id, 50, "alice", "ssh-connection", BOUND, 1,
             "ssh-ed25519", blob, c.link.host_key);
    } else {
        pack(&data, "SysssosS", c.link.session_id, 50, "alice", "ssh-connection", "publickey", 1,
             "ssh-ed25519", blob);
    }
    nacre_span sig = nc_rd_str(&r);
    assert_int_equal(nc_rd_end(&r), NACRE_OK);
    assert_int_equal(nacre_key_verify(key_a, "ssh-ed25519", nc_buf_span(&data), sig), NACRE_OK);
}

static void the_client_binds_where_the_server_can(void **state)
{
    (void)state;
    static const struct {
        const char *announced;
        bool unbound, bound;
    } rows[] = {{"0", false, true},  {NULL, false, false}, {"0", true, false},
                {"1", false, false}, {"", false, false},   {"00", false, false}};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        open_client(rows[i].announced);
        c.config.unbound_keys = rows[i].unbound;
        assert_int_equal(nc_auth_publickey(c.auth, "alice", key_a, NULL), NACRE_OK);
        expect_request(rig_take(&c), rows[i].bound);
        rig_clear(&c);
    }
}

static void an_asked_for_signature_is_bound_too(void **state)
{
    (void)state;
    open_client("0");
    assert_int_equal(nc_auth_publickey(c.auth, "alice", public_a, NULL), NACRE_OK);
    nacre_span p = rig_take(&c);
    nc_rd r = nc_rd_init(p);
    (void)nc_rd_u8(&r);
    (void)nc_rd_str(&r);
    (void)nc_rd_str(&r);
    assert_true(nc_span_is(nc_rd_str(&r), "publickey")); /* the offer needs no binding */
    assert_int_equal(rig_step(&c, pack(&out, "ysS", 60, "ssh-ed25519", nacre_key_blob(key_a))),
                     NACRE_OK);
    assert_int_equal(c.ev.type, NACRE_EVENT_SIGN);
    assert_false(c.ev.u.sign.host);
    uint8_t *sig = NULL;
    size_t n = 0;
    assert_int_equal(nacre_key_sign(key_a, c.ev.u.sign.algorithm, c.ev.u.sign.data, &sig, &n),
                     NACRE_OK);
    nacre_answer ans = {.accept = true, .signature = nc_span(sig, n)};
    assert_int_equal(rig_answer(&c, &ans), NACRE_OK);
    expect_request(rig_take(&c), true);
    nacre_secret_free(NULL, sig, n);
    assert_int_equal(rig_step(&c, SPAN("\x34")), NACRE_OK);
    assert_string_equal(c.ev.u.auth_result.method, "publickey");
    rig_clear(&c);
}

/* ---- hostbased: server ------------------------------------------------------------------------------- */

typedef struct based_row {
    const char *algorithm, *signed_algorithm;
    const nacre_key *key, *signer;
    nacre_span host, user, signed_host, signed_user;
    const char *signed_login;
} based_row;

static based_row honest_host(void)
{
    based_row row = {"ssh-ed25519",
                     "ssh-ed25519",
                     key_a,
                     key_a,
                     SPAN("client.example.org."),
                     SPAN("bob"),
                     SPAN("client.example.org."),
                     SPAN("bob"),
                     "alice"};
    return row;
}

static nacre_span based_request(const based_row *row)
{
    nacre_span blob = nacre_key_blob(row->key);
    pack(&data, "SyssssSSS", s.link.session_id, 50, row->signed_login, "ssh-connection",
         "hostbased", row->algorithm, blob, row->signed_host, row->signed_user);
    nacre_span sig = sign(row->signer, row->signed_algorithm);
    nacre_span p = pack(&out, "yssssSSSS", 50, "alice", "ssh-connection", "hostbased",
                        row->algorithm, blob, row->host, row->user, sig);
    nc_buf_clear(&signature);
    return p;
}

static void a_host_that_signed_is_asked_about(void **state)
{
    (void)state;
    open_server("hostbased,publickey");
    based_row row = honest_host();
    expect_asked(rig_step(&s, based_request(&row)), NACRE_EVENT_AUTH_HOSTBASED);
    assert_string_equal(s.ev.u.auth.method, "hostbased");
    assert_true(nacre_key_equal(s.ev.u.auth.key, key_a));
    assert_true(nc_span_is(s.ev.u.auth.user, "alice"));
    assert_true(nc_span_is(s.ev.u.auth.client_host, "client.example.org."));
    assert_true(nc_span_is(s.ev.u.auth.client_user, "bob"));
    assert_int_equal(rig_verdict(&s, true), NACRE_OK);
    assert_int_equal(rig_poll(&s), NACRE_OK);
    assert_int_equal(s.ev.type, NACRE_EVENT_AUTHENTICATED);
    assert_string_equal(s.ev.u.auth.method, "hostbased");
    assert_null(s.ev.u.auth.key); /* a host's key is no user's: nothing is looked up by it */
    assert_int_equal(s.authenticated, 1);
    rig_clear(&s);
}

static void hostbased_is_off_unless_it_is_named(void **state)
{
    (void)state;
    open_server(NULL);
    based_row row = honest_host();
    expect_refused(rig_step(&s, based_request(&row)));
    rig_clear(&s);
}

static void lying_hosts_are_refused_unasked(void **state)
{
    (void)state;
    enum { LIES = 10 };
    based_row lies[LIES];
    char huge[NC_MAX_USER + 1];
    memset(huge, 'h', sizeof(huge));
    for (size_t i = 0; i < LIES; i++) {
        lies[i] = honest_host();
    }
    lies[0].signer = key_b;
    lies[1].signed_host = SPAN("other.example.org.");
    lies[2].signed_user = SPAN("root");
    lies[3].signed_login = "root";
    lies[4].algorithm = "rsa-sha2-512"; /* not of the key's type */
    lies[5].algorithm = "rot13";
    lies[6].host = lies[6].signed_host = SPAN("a\0b");
    lies[7].user = lies[7].signed_user = SPAN("");
    lies[8].host = lies[8].signed_host = SPAN("a\nb");
    lies[9].host = lies[9].signed_host = nc_span(huge, sizeof(huge));
    for (size_t i = 0; i < LIES; i++) {
        open_server("hostbased");
        expect_refused(rig_step(&s, based_request(&lies[i])));
        rig_clear(&s);
    }
    /* a moved border between the two names is another claim */
    open_server("hostbased");
    based_row row = honest_host();
    row.host = SPAN("client.example.org.b");
    row.user = SPAN("ob");
    expect_refused(rig_step(&s, based_request(&row)));
    rig_clear(&s);
}

static void host_key_algorithms_are_configured_apart(void **state)
{
    (void)state;
    based_row row = honest_host();
    open_server("hostbased");
    s.config.hostbased = "rsa-sha2-512";
    s.config.signature = "ssh-ed25519";
    expect_refused(rig_step(&s, based_request(&row)));
    row.key = row.signer = rsa;
    row.algorithm = row.signed_algorithm = "rsa-sha2-512";
    expect_asked(rig_step(&s, based_request(&row)), NACRE_EVENT_AUTH_HOSTBASED);
    assert_int_equal(rig_verdict(&s, false), NACRE_OK);
    expect_refused(NACRE_AGAIN);
    row.signed_algorithm = "rsa-sha2-256"; /* the blob names another than the request */
    expect_refused(rig_step(&s, based_request(&row)));
    rig_clear(&s);
    open_server("hostbased");
    row.signed_algorithm = row.algorithm = "ssh-rsa"; /* SHA-1 only by name */
    expect_refused(rig_step(&s, based_request(&row)));
    s.config.hostbased = "ssh-rsa";
    expect_asked(rig_step(&s, based_request(&row)), NACRE_EVENT_AUTH_HOSTBASED);
    rig_clear(&s);
}

static void refusals_of_hosts_count(void **state)
{
    (void)state;
    based_row row = honest_host();
    open_server("hostbased");
    s.config.max_auth_tries = 3;
    for (int i = 0; i < 2; i++) {
        expect_asked(rig_step(&s, based_request(&row)), NACRE_EVENT_AUTH_HOSTBASED);
        assert_int_equal(rig_verdict(&s, false), NACRE_OK);
        expect_refused(NACRE_AGAIN);
    }
    row.signer = key_b;
    expect_fatal(&s, rig_step(&s, based_request(&row)), NACRE_AUTH_LIMIT);
    rig_clear(&s);
}

static void a_host_is_half_of_two_factors(void **state)
{
    (void)state;
    nacre_answer half = {.accept = true, .partial = true, .methods = "hostbased,password"};
    based_row row = honest_host();
    open_server("hostbased,password");
    expect_asked(rig_step(&s, based_request(&row)), NACRE_EVENT_AUTH_HOSTBASED);
    assert_int_equal(rig_answer(&s, &half), NACRE_OK);
    nacre_span p = rig_take(&s);
    assert_int_equal(p.p[p.n - 1], 1);
    expect_asked(
        rig_step(&s, pack(&out, "ysssos", 50, "alice", "ssh-connection", "password", 0, "pw")),
        NACRE_EVENT_AUTH_PASSWORD);
    assert_int_equal(rig_verdict(&s, true), NACRE_OK);
    assert_int_equal(rig_poll(&s), NACRE_OK);
    assert_null(s.ev.u.auth.key);
    rig_clear(&s);
}

static void accept_without_a_host_signature_lets_nobody_in(void **state)
{
    (void)state;
    based_row row = honest_host();
    open_server("hostbased");
    expect_asked(rig_step(&s, based_request(&row)), NACRE_EVENT_AUTH_HOSTBASED);
    nacre_key_free(s.auth->server.verified);
    s.auth->server.verified = NULL;
    assert_int_equal(rig_verdict(&s, true), NACRE_WRONG_STATE);
    assert_int_equal(s.authenticated, 0);
    rig_clear(&s);
}

static void cut_host_requests_are_malformed(void **state)
{
    (void)state;
    open_server("hostbased");
    based_row row = honest_host();
    nacre_span whole = based_request(&row);
    rig_clear(&s);
    cut_everywhere(whole, 1 + 4 + 5 + 4 + 14 + 4 + 9, "hostbased");
}

/* ---- hostbased: client ------------------------------------------------------------------------------- */

static void expect_host_request(nacre_span p)
{
    nc_rd r = nc_rd_init(p);
    assert_int_equal(nc_rd_u8(&r), 50);
    assert_true(nc_span_is(nc_rd_str(&r), "alice"));
    assert_true(nc_span_is(nc_rd_str(&r), "ssh-connection"));
    assert_true(nc_span_is(nc_rd_str(&r), "hostbased"));
    assert_true(nc_span_is(nc_rd_str(&r), "ssh-ed25519"));
    assert_true(nc_span_eq(nc_rd_str(&r), nacre_key_blob(key_a)));
    assert_true(nc_span_is(nc_rd_str(&r), "me.example.org."));
    assert_true(nc_span_is(nc_rd_str(&r), "bob"));
    nacre_span sig = nc_rd_str(&r);
    assert_int_equal(nc_rd_end(&r), NACRE_OK);
    pack(&data, "SyssssSss", c.link.session_id, 50, "alice", "ssh-connection", "hostbased",
         "ssh-ed25519", nacre_key_blob(key_a), "me.example.org.", "bob");
    assert_int_equal(nacre_key_verify(key_a, "ssh-ed25519", nc_buf_span(&data), sig), NACRE_OK);
}

static int try_host(nacre_key *key, const char *algorithm)
{
    return nc_auth_hostbased(c.auth, "alice", key, algorithm, "me.example.org.", "bob");
}

static void a_host_key_at_hand_signs_at_once(void **state)
{
    (void)state;
    open_client("0"); /* what is announced for user keys changes nothing here */
    assert_int_equal(try_host(key_a, NULL), NACRE_OK);
    expect_host_request(rig_take(&c));
    assert_int_equal(rig_step(&c, SPAN("\x34")), NACRE_OK);
    assert_string_equal(c.ev.u.auth_result.method, "hostbased");
    rig_clear(&c);
}

static void a_host_key_elsewhere_is_asked_for(void **state)
{
    (void)state;
    open_client(NULL);
    assert_int_equal(try_host(public_a, NULL), NACRE_OK);
    assert_int_equal(c.sent_count, 0);
    assert_int_equal(rig_poll(&c), NACRE_OK);
    assert_int_equal(c.ev.type, NACRE_EVENT_SIGN);
    assert_true(c.ev.u.sign.host);
    assert_int_equal(try_host(key_a, NULL), NACRE_WRONG_STATE);
    uint8_t *sig = NULL;
    size_t n = 0;
    assert_int_equal(nacre_key_sign(key_a, c.ev.u.sign.algorithm, c.ev.u.sign.data, &sig, &n),
                     NACRE_OK);
    nacre_answer ans = {.accept = true, .signature = nc_span(sig, n - 1)};
    assert_int_equal(rig_answer(&c, &ans), NACRE_INVALID_ARGUMENT);
    ans.signature.n = n;
    assert_int_equal(rig_answer(&c, &ans), NACRE_OK);
    nacre_secret_free(NULL, sig, n);
    expect_host_request(rig_take(&c));
    rig_clear(&c);
    /* it gives up: the server has heard nothing of it */
    open_client(NULL);
    assert_int_equal(try_host(public_a, NULL), NACRE_OK);
    assert_int_equal(rig_poll(&c), NACRE_OK);
    assert_int_equal(rig_verdict(&c, false), NACRE_OK);
    assert_int_equal(rig_poll(&c), NACRE_OK);
    assert_int_equal(c.ev.type, NACRE_EVENT_AUTH_RESULT);
    assert_int_equal(c.ev.u.auth_result.status, NACRE_AUTH_FAILED);
    assert_int_equal(c.sent_count, 0);
    rig_clear(&c);
    /* nothing of the server's is in place while the signature is awaited */
    for (int number = 51; number <= 61; number++) {
        if (number == SSH_MSG_USERAUTH_BANNER) {
            continue;
        }
        open_client(NULL);
        assert_int_equal(try_host(public_a, NULL), NACRE_OK);
        assert_int_equal(rig_poll(&c), NACRE_OK);
        expect_fatal(&c, rig_step(&c, pack(&out, "yso", number, "password", 0)),
                     NACRE_OUT_OF_PLACE);
        rig_clear(&c);
    }
    open_client(NULL); /* and 60 means nothing to this method */
    assert_int_equal(try_host(key_a, NULL), NACRE_OK);
    expect_fatal(&c, rig_step(&c, pack(&out, "ysS", 60, "ssh-ed25519", nacre_key_blob(key_a))),
                 NACRE_OUT_OF_PLACE);
    rig_clear(&c);
}

static void host_calls_that_cannot_be(void **state)
{
    (void)state;
    char huge[NC_MAX_USER + 2];
    memset(huge, 'h', sizeof(huge) - 1);
    huge[sizeof(huge) - 1] = '\0';
    open_client(NULL);
    assert_int_equal(try_host(NULL, NULL), NACRE_INVALID_ARGUMENT);
    assert_int_equal(nc_auth_hostbased(c.auth, "alice", key_a, NULL, NULL, "bob"),
                     NACRE_INVALID_ARGUMENT);
    assert_int_equal(nc_auth_hostbased(c.auth, "alice", key_a, NULL, "h", ""),
                     NACRE_INVALID_ARGUMENT);
    assert_int_equal(nc_auth_hostbased(c.auth, "alice", key_a, NULL, huge, "bob"), NACRE_TOO_LARGE);
    assert_int_equal(try_host(key_a, "rsa-sha2-512"), NACRE_UNKNOWN_NAME);
    c.config.hostbased = "rsa-sha2-512";
    assert_int_equal(try_host(key_a, NULL), NACRE_UNSUPPORTED);
    assert_int_equal(try_host(key_a, "ssh-ed25519"), NACRE_UNSUPPORTED);
    c.config.min_rsa_bits = 3072;
    assert_int_equal(try_host(rsa, NULL), NACRE_BAD_KEY);
    assert_int_equal(c.sent_count, 0);
    rig_clear(&c);
    open_server("hostbased");
    assert_int_equal(nc_auth_hostbased(s.auth, "alice", key_a, NULL, "h", "u"), NACRE_WRONG_STATE);
    rig_clear(&s);
}

/* ---- the N-th allocation fails ------------------------------------------------------------------------ */

static bool whole_host_login(void)
{
    nacre_answer half = {.accept = true, .partial = true};
    if (try_host(key_a, NULL) != NACRE_OK || rig_step(&s, rig_take(&c)) != NACRE_OK ||
        s.ev.type != NACRE_EVENT_AUTH_HOSTBASED || rig_answer(&s, &half) != NACRE_OK ||
        rig_step(&c, rig_take(&s)) != NACRE_OK ||
        nc_auth_publickey(c.auth, "alice", key_b, NULL) != NACRE_OK ||
        rig_step(&s, rig_take(&c)) != NACRE_OK || s.ev.type != NACRE_EVENT_AUTH_KEY ||
        rig_verdict(&s, true) != NACRE_OK) {
        return false;
    }
    return rig_step(&c, rig_take(&s)) == NACRE_OK && c.ev.u.auth_result.status == NACRE_OK;
}

static void every_allocation_may_fail(void **state)
{
    (void)state;
    int logins = 0;
    for (int side = 0; side < 2; side++) {
        test_memory m;
        for (test_memory_init(&m); test_memory_round(&m);) {
            rig_init(&c, NACRE_CLIENT);
            rig_init(&s, NACRE_SERVER);
            c.hostbound = "0";
            s.config.auth_methods = "hostbased,publickey";
            (side ? &s : &c)->link.alloc = &m.hooks;
            bool in = rig_open(&c) == NACRE_OK && rig_open(&s) == NACRE_OK &&
                      c.service.start(c.service.ctx) == NACRE_OK &&
                      s.service.start(s.service.ctx) == NACRE_OK && whole_host_login();
            assert_true(in || (m.failed && c.authenticated == 0));
            logins += !m.failed ? 1 : 0;
            rig_clear(&c);
            rig_clear(&s);
        }
    }
    assert_int_equal(logins, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_bound_login_is_publickey_to_the_application),
        cmocka_unit_test(another_host_key_ends_it),
        cmocka_unit_test(bound_signatures_over_other_bytes_are_refused),
        cmocka_unit_test(a_bound_offer_lets_nobody_in),
        cmocka_unit_test(cut_bound_requests_are_malformed),
        cmocka_unit_test(the_client_binds_where_the_server_can),
        cmocka_unit_test(an_asked_for_signature_is_bound_too),
        cmocka_unit_test(a_host_that_signed_is_asked_about),
        cmocka_unit_test(hostbased_is_off_unless_it_is_named),
        cmocka_unit_test(lying_hosts_are_refused_unasked),
        cmocka_unit_test(host_key_algorithms_are_configured_apart),
        cmocka_unit_test(refusals_of_hosts_count),
        cmocka_unit_test(a_host_is_half_of_two_factors),
        cmocka_unit_test(accept_without_a_host_signature_lets_nobody_in),
        cmocka_unit_test(cut_host_requests_are_malformed),
        cmocka_unit_test(a_host_key_at_hand_signs_at_once),
        cmocka_unit_test(a_host_key_elsewhere_is_asked_for),
        cmocka_unit_test(host_calls_that_cannot_be),
        cmocka_unit_test(every_allocation_may_fail),
    };
    return cmocka_run_group_tests_name("userauth: host keys", tests, make_keys, free_keys);
}
