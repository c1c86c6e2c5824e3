/*
 * The keyring, asked by our own client over memory: what it holds, for how long, and for whom.
 */
#include "ring.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

/* ---- holding keys ---- */

static void every_type_is_held_and_signs(void **state)
{
    (void)state;
    static const char *const types[] = {"ed25519", "ecdsa256", "ecdsa384", "ecdsa521", "rsa2048"};
    ring r;
    ring_start(&r, NULL);
    for (size_t i = 0; i < 5; i++) {
        nacre_key *k = test_key(types[i]);
        assert_int_equal(signs(r.agent[0], k, text("x")), NACRE_AGENT_REFUSED);
        assert_int_equal(nacre_agent_add(r.agent[0], k, NULL, NULL), NACRE_OK);
        assert_int_equal(nacre_agent_add(r.agent[0], k, NULL, NULL), NACRE_OK);
        assert_int_equal(listed(r.agent[1]), i + 1);
        assert_int_equal(signs(r.agent[1], k, text("x")), NACRE_OK);
    }
    assert_int_equal(nacre_agent_remove(r.agent[1], test_key("ecdsa256"), NULL), NACRE_OK);
    assert_int_equal(nacre_agent_remove(r.agent[1], test_key("ecdsa256"), NULL),
                     NACRE_AGENT_REFUSED);
    assert_int_equal(listed(r.agent[0]), 4);
    assert_null(nacre_keyring_at(r.k, 4));
    assert_int_equal(nacre_agent_remove_all(r.agent[0], NULL), NACRE_OK);
    assert_int_equal(listed(r.agent[0]), 0);
    ring_end(&r);
}

static void the_owner_needs_no_connection(void **state)
{
    (void)state;
    ring r;
    nacre_error err;
    nacre_key *k = test_key("ed25519"), *half = NULL;
    ring_start(&r, NULL);
    assert_int_equal(nacre_key_from_blob(&half, NULL, nacre_key_blob(k), NULL), NACRE_OK);
    assert_int_equal(nacre_keyring_add(r.k, half, NULL, &err), NACRE_NOT_PRIVATE);
    nacre_key_free(half);
    assert_int_equal(nacre_keyring_add(r.k, k, NULL, &err), NACRE_OK);
    assert_true(nacre_key_equal(nacre_keyring_at(r.k, 0), k));
    assert_int_equal(signs(r.agent[0], k, text("x")), NACRE_OK);
    assert_int_equal(nacre_keyring_remove(r.k, k), NACRE_OK);
    assert_int_equal(nacre_keyring_remove(r.k, k), NACRE_NOT_FOUND);
    /* All of them, as the owner may although it is locked; and it is locked still. */
    assert_int_equal(nacre_keyring_add(r.k, k, NULL, &err), NACRE_OK);
    assert_int_equal(nacre_keyring_add(r.k, test_key("ecdsa256"), NULL, &err), NACRE_OK);
    assert_int_equal(nacre_agent_lock(r.agent[0], text("pw"), NULL), NACRE_OK);
    nacre_keyring_remove_all(r.k);
    assert_null(nacre_keyring_at(r.k, 0));
    assert_true(nacre_keyring_locked(r.k));
    nacre_keyring_remove_all(r.k); /* of none */
    assert_int_equal(nacre_agent_unlock(r.agent[0], text("pw"), NULL), NACRE_OK);
    assert_int_equal(listed(r.agent[1]), 0);
    assert_int_equal(signs(r.agent[0], k, text("x")), NACRE_AGENT_REFUSED);
    assert_int_equal(nacre_keyring_add(r.k, k, NULL, &err), NACRE_OK);
    assert_int_equal(signs(r.agent[1], k, text("x")), NACRE_OK);
    ring_end(&r);
}

static void it_takes_so_many_keys_and_no_more(void **state)
{
    (void)state;
    ring r;
    nacre_keyring_options o;
    nacre_keyring_options_init(&o);
    o.max_keys = 2;
    ring_start(&r, &o);
    assert_int_equal(nacre_agent_add(r.agent[0], test_key("ed25519"), NULL, NULL), NACRE_OK);
    assert_int_equal(nacre_agent_add(r.agent[0], test_key("ecdsa256"), NULL, NULL), NACRE_OK);
    assert_int_equal(nacre_agent_add(r.agent[0], test_key("ecdsa384"), NULL, NULL),
                     NACRE_AGENT_REFUSED);
    /* The same key again is not one more. */
    assert_int_equal(nacre_agent_add(r.agent[0], test_key("ed25519"), NULL, NULL), NACRE_OK);
    assert_int_equal(listed(r.agent[0]), 2);
    ring_end(&r);
}

static void rsa_signs_as_asked(void **state)
{
    (void)state;
    ring r;
    nacre_keyring_options o;
    uint8_t *sig;
    size_t n;
    nacre_key *k = test_key("rsa2048");
    nacre_keyring_options_init(&o);
    ring_start(&r, &o);
    assert_int_equal(nacre_agent_add(r.agent[0], k, NULL, NULL), NACRE_OK);
    assert_int_equal(nacre_agent_sign(r.agent[0], k, "rsa-sha2-256", text("x"), &sig, &n, NULL),
                     NACRE_OK);
    assert_int_equal(nacre_key_verify(k, "rsa-sha2-256", text("x"), nc_span(sig, n)), NACRE_OK);
    nacre_secret_free(NULL, sig, n);
    assert_int_equal(nacre_agent_sign(r.agent[0], k, "ssh-rsa", text("x"), &sig, &n, NULL),
                     NACRE_AGENT_REFUSED);
    ring_end(&r);
    o.allow_sha1 = true;
    ring_start(&r, &o);
    assert_int_equal(nacre_agent_add(r.agent[0], k, NULL, NULL), NACRE_OK);
    assert_int_equal(nacre_agent_sign(r.agent[0], k, "ssh-rsa", text("x"), &sig, &n, NULL),
                     NACRE_OK);
    nacre_secret_free(NULL, sig, n);
    ring_end(&r);
}

/* ---- time ---- */

static void keys_live_as_long_as_they_may(void **state)
{
    (void)state;
    ring r;
    nacre_agent_constraints c;
    nacre_agent_constraints_init(&c);
    c.lifetime_seconds = 10;
    ring_start(&r, NULL);
    assert_int_equal(nacre_keyring_deadline(r.k), UINT64_MAX);
    assert_int_equal(nacre_agent_add(r.agent[0], test_key("ed25519"), &c, NULL), NACRE_OK);
    assert_int_equal(nacre_agent_add(r.agent[0], test_key("ecdsa256"), NULL, NULL), NACRE_OK);
    assert_int_equal(nacre_keyring_deadline(r.k), r.now + 10000);
    pass(&r, 9999);
    assert_int_equal(listed(r.agent[0]), 2);
    pass(&r, 1);
    assert_int_equal(listed(r.agent[0]), 1);
    assert_int_equal(signs(r.agent[0], test_key("ed25519"), text("x")), NACRE_AGENT_REFUSED);
    assert_int_equal(nacre_keyring_deadline(r.k), UINT64_MAX);
    ring_end(&r);
    nacre_keyring_options o;
    nacre_keyring_options_init(&o);
    o.lifetime_seconds = 5;
    ring_start(&r, &o);
    assert_int_equal(nacre_agent_add(r.agent[0], test_key("ed25519"), &c, NULL), NACRE_OK);
    assert_int_equal(nacre_agent_add(r.agent[0], test_key("ecdsa256"), NULL, NULL), NACRE_OK);
    pass(&r, 5000);
    assert_int_equal(listed(r.agent[0]), 1);
    ring_end(&r);
}

/* ---- confirmation ---- */

static void each_use_is_confirmed(void **state)
{
    (void)state;
    ring r;
    nacre_agent_constraints c;
    nacre_key *k = test_key("ed25519");
    nacre_agent_constraints_init(&c);
    c.confirm = true;
    ring_start(&r, NULL);
    assert_int_equal(nacre_agent_add(r.agent[0], k, &c, NULL), NACRE_OK);
    r.answer = 1;
    assert_int_equal(signs(r.agent[0], k, text("x")), NACRE_OK);
    r.answer = 0;
    assert_int_equal(signs(r.agent[0], k, text("x")), NACRE_AGENT_REFUSED);
    assert_int_equal(r.asked, 2);
    assert_false(r.forwarded);
    assert_string_equal(r.user, "");
    /* Without the key no question. */
    assert_int_equal(signs(r.agent[0], test_key("ecdsa256"), text("x")), NACRE_AGENT_REFUSED);
    assert_int_equal(r.asked, 2);
    ring_end(&r);
}

static void raw_sign(nacre_keyring_conn *c, const nacre_key *k)
{
    nc_buf b;
    size_t took;
    nc_buf_init(&b, NULL, 4096);
    assert_int_equal(nc_agent_ask_sign(&b, nacre_key_blob(k), text("x"), 0), NACRE_OK);
    assert_int_equal(nacre_keyring_received(c, nc_buf_span(&b), &took), NACRE_OK);
    assert_int_equal(took, b.len);
    nc_buf_clear(&b);
}

static void a_person_may_answer_later(void **state)
{
    (void)state;
    ring r;
    nacre_agent_constraints c;
    nacre_key *k = test_key("ed25519");
    nacre_agent_constraints_init(&c);
    c.confirm = true;
    ring_start(&r, NULL);
    assert_int_equal(nacre_agent_add(r.agent[0], k, &c, NULL), NACRE_OK);
    r.answer = -1;
    raw_sign(r.conn[1], k);
    uint32_t first = r.ticket;
    raw_sign(r.conn[2], k);
    assert_int_equal(raw_reply(r.conn[1]), -1);
    /* others go on meanwhile, and this one's later requests wait */
    assert_int_equal(listed(r.agent[0]), 1);
    raw_sign(r.conn[1], k);
    assert_int_equal(r.asked, 2);
    assert_int_equal(nacre_keyring_answer(r.k, first, true), NACRE_OK);
    assert_int_equal(nacre_keyring_answer(r.k, first, true), NACRE_NOT_FOUND);
    assert_int_equal(raw_reply(r.conn[1]), SSH_AGENT_SIGN_RESPONSE);
    assert_int_equal(r.asked, 3); /* the one that waited asks for itself */
    assert_int_equal(raw_reply(r.conn[1]), -1);
    /* locked in between: yes comes too late, and is not kept for the next */
    assert_int_equal(nacre_agent_lock(r.agent[0], text("pw"), NULL), NACRE_OK);
    assert_int_equal(nacre_keyring_answer(r.k, r.ticket, true), NACRE_OK);
    assert_int_equal(raw_reply(r.conn[1]), SSH_AGENT_FAILURE);
    assert_int_equal(nacre_agent_unlock(r.agent[0], text("pw"), NULL), NACRE_OK);
    raw_sign(r.conn[1], k);
    assert_int_equal(r.asked, 4);
    assert_int_equal(raw_reply(r.conn[1]), -1);
    /* removed in between */
    assert_int_equal(nacre_agent_remove_all(r.agent[0], NULL), NACRE_OK);
    assert_int_equal(nacre_keyring_answer(r.k, r.ticket, true), NACRE_OK);
    assert_int_equal(raw_reply(r.conn[1]), SSH_AGENT_FAILURE);
    /* a connection that goes takes its question along */
    nacre_agent_free(r.agent[2]);
    nacre_keyring_conn_free(r.conn[2]);
    assert_int_equal(nacre_keyring_answer(r.k, first + 1, true), NACRE_NOT_FOUND);
    assert_int_equal(nacre_keyring_connect(&r.conn[2], r.k), NACRE_OK);
    r.agent[2] = join(r.conn[2]);
    ring_end(&r);
}

static void nobody_to_ask_means_no(void **state)
{
    (void)state;
    ring r;
    nacre_keyring_options o;
    nacre_agent_constraints c;
    nacre_keyring_options_init(&o);
    nacre_agent_constraints_init(&c);
    c.confirm = true;
    o.user = &r;
    ring_start(&r, &o);
    assert_int_equal(nacre_agent_add(r.agent[0], test_key("ed25519"), &c, NULL),
                     NACRE_AGENT_REFUSED);
    assert_int_equal(listed(r.agent[0]), 0);
    ring_end(&r);
}

/* ---- the lock ---- */

static void a_locked_keyring_shows_and_signs_nothing(void **state)
{
    (void)state;
    ring r;
    nacre_key *k = test_key("ed25519");
    ring_start(&r, NULL);
    assert_int_equal(nacre_agent_add(r.agent[0], k, NULL, NULL), NACRE_OK);
    assert_int_equal(nacre_agent_unlock(r.agent[0], text("pw"), NULL), NACRE_AGENT_REFUSED);
    assert_int_equal(nacre_agent_lock(r.agent[0], text(""), NULL), NACRE_AGENT_REFUSED);
    assert_int_equal(nacre_agent_lock(r.agent[0], text("pw"), NULL), NACRE_OK);
    assert_true(nacre_keyring_locked(r.k));
    assert_int_equal(listed(r.agent[1]), 0);
    assert_int_equal(signs(r.agent[1], k, text("x")), NACRE_AGENT_REFUSED);
    assert_int_equal(nacre_agent_add(r.agent[1], k, NULL, NULL), NACRE_AGENT_REFUSED);
    assert_int_equal(nacre_agent_remove(r.agent[1], k, NULL), NACRE_AGENT_REFUSED);
    assert_int_equal(nacre_agent_remove_all(r.agent[1], NULL), NACRE_AGENT_REFUSED);
    assert_int_equal(nacre_agent_lock(r.agent[1], text("pw"), NULL), NACRE_AGENT_REFUSED);
    assert_int_equal(nacre_agent_supports(r.agent[1], "query", NULL), NACRE_UNSUPPORTED);
    assert_int_equal(nacre_agent_unlock(r.agent[1], text("pw"), NULL), NACRE_OK);
    assert_int_equal(listed(r.agent[1]), 1);
    assert_int_equal(nacre_agent_supports(r.agent[1], "session-bind@openssh.com", NULL), NACRE_OK);
    assert_int_equal(nacre_agent_supports(r.agent[1], "no-such@example.com", NULL),
                     NACRE_UNSUPPORTED);
    ring_end(&r);
}

static void raw_unlock(nacre_keyring_conn *c, const char *passphrase)
{
    nc_buf b;
    size_t took;
    nc_buf_init(&b, NULL, 4096);
    assert_int_equal(nc_agent_ask_string(&b, SSH_AGENTC_UNLOCK, text(passphrase)), NACRE_OK);
    assert_int_equal(nacre_keyring_received(c, nc_buf_span(&b), &took), NACRE_OK);
    nc_buf_clear(&b);
}

static void guesses_are_slowed_down(void **state)
{
    (void)state;
    ring r;
    ring_start(&r, NULL);
    assert_int_equal(nacre_agent_lock(r.agent[0], text("pw"), NULL), NACRE_OK);
    for (unsigned i = 1; i <= 3; i++) {
        raw_unlock(r.conn[1], "wrong");
        assert_int_equal(raw_reply(r.conn[1]), SSH_AGENT_FAILURE);
        /* from any connection, and the right one waits as well */
        raw_unlock(r.conn[2], i == 3 ? "pw" : "guess");
        assert_int_equal(raw_reply(r.conn[2]), -1);
        assert_int_equal(nacre_keyring_deadline(r.k), r.now + 100 * (2 * i - 1));
        pass(&r, 100 * (2 * i - 1) - 1);
        assert_int_equal(raw_reply(r.conn[2]), -1);
        pass(&r, 1);
        assert_int_equal(raw_reply(r.conn[2]), i == 3 ? SSH_AGENT_SUCCESS : SSH_AGENT_FAILURE);
        if (i < 3) {
            pass(&r, 100 * 2 * i);
        }
    }
    assert_false(nacre_keyring_locked(r.k));
    /* at most ten seconds */
    assert_int_equal(nacre_agent_lock(r.agent[0], text("pw"), NULL), NACRE_OK);
    for (int i = 0; i < 120; i++) {
        raw_unlock(r.conn[1], "wrong");
        assert_int_equal(raw_reply(r.conn[1]), SSH_AGENT_FAILURE);
        pass(&r, 10000);
    }
    ring_end(&r);
}

/* ---- destinations ---- */

/* A login request as a client signs it (RFC 4252 7). */
static void login_data(nc_buf *b, const char *session, const char *user, const nacre_key *k,
                       const nacre_key *host_key)
{
    nc_buf_reset(b);
    nc_wr w = nc_wr_init(b);
    nc_wr_cstr(&w, session);
    nc_wr_u8(&w, SSH_MSG_USERAUTH_REQUEST);
    nc_wr_cstr(&w, user);
    nc_wr_cstr(&w, "ssh-connection");
    nc_wr_cstr(&w, host_key ? "publickey-hostbound-v00@openssh.com" : "publickey");
    nc_wr_bool(&w, true);
    nc_wr_cstr(&w, nacre_key_type(k));
    nc_wr_str(&w, nacre_key_blob(k));
    if (host_key) {
        nc_wr_str(&w, nacre_key_blob(host_key));
    }
    assert_int_equal(nc_wr_err(&w), NACRE_OK);
}

static int bind_to(nacre_agent *g, nacre_key *host, const char *session, bool forwarding)
{
    uint8_t *sig;
    size_t n;
    assert_int_equal(nacre_key_sign(host, NULL, text(session), &sig, &n), NACRE_OK);
    int rc = nacre_agent_bind(g, host, text(session), nc_span(sig, n), forwarding, NULL);
    nacre_secret_free(NULL, sig, n);
    return rc;
}

static void a_constrained_key_signs_logins_at_its_destinations(void **state)
{
    (void)state;
    ring r;
    route p;
    nc_buf b;
    nacre_key *k = test_key("ed25519");
    nc_buf_init(&b, NULL, 65536);
    make_route(&p);
    ring_start(&r, NULL);
    assert_int_equal(nacre_agent_add(r.agent[0], k, &p.c, NULL), NACRE_OK);
    assert_int_equal(listed(r.agent[0]), 1);
    /* unbound: seen, not used */
    login_data(&b, "session-1", "alice", k, NULL);
    assert_int_equal(signs(r.agent[0], k, nc_buf_span(&b)), NACRE_AGENT_REFUSED);
    assert_int_equal(bind_to(r.agent[0], p.first, "session-1", false), NACRE_OK);
    assert_int_equal(listed(r.agent[0]), 1);
    assert_int_equal(signs(r.agent[0], k, nc_buf_span(&b)), NACRE_OK);
    assert_int_equal(signs(r.agent[0], k, text("anything else")), NACRE_AGENT_REFUSED);
    login_data(&b, "session-2", "alice", k, NULL);
    assert_int_equal(signs(r.agent[0], k, nc_buf_span(&b)), NACRE_AGENT_REFUSED);
    login_data(&b, "session-1", "alice", k, p.first);
    assert_int_equal(signs(r.agent[0], k, nc_buf_span(&b)), NACRE_OK);
    login_data(&b, "session-1", "alice", k, p.second);
    assert_int_equal(signs(r.agent[0], k, nc_buf_span(&b)), NACRE_AGENT_REFUSED);
    login_data(&b, "session-1", "alice", p.first, NULL); /* names another key */
    assert_int_equal(signs(r.agent[0], k, nc_buf_span(&b)), NACRE_AGENT_REFUSED);
    /* every cut of what would be good is no login */
    login_data(&b, "session-1", "alice", k, p.first);
    for (size_t n = 0; n < b.len; n++) {
        assert_int_equal(signs(r.agent[0], k, nc_span(b.data, n)), NACRE_AGENT_REFUSED);
    }
    nc_buf_clear(&b);
    ring_end(&r);
}

static void a_forwarded_agent_goes_where_the_route_goes(void **state)
{
    (void)state;
    ring r;
    route p;
    nc_buf b;
    nacre_key *k = test_key("ed25519");
    nc_buf_init(&b, NULL, 65536);
    make_route(&p);
    p.c.confirm = true;
    ring_start(&r, NULL);
    r.answer = 1;
    assert_int_equal(nacre_agent_add(r.agent[0], k, &p.c, NULL), NACRE_OK);
    /* forwarded to first: seen, because it leads on; not for a login at first itself */
    assert_int_equal(bind_to(r.agent[1], p.first, "session-1", true), NACRE_OK);
    assert_int_equal(listed(r.agent[1]), 1);
    login_data(&b, "session-1", "alice", k, p.first);
    assert_int_equal(signs(r.agent[1], k, nc_buf_span(&b)), NACRE_AGENT_REFUSED);
    assert_int_equal(bind_to(r.agent[1], p.second, "session-2", false), NACRE_OK);
    login_data(&b, "session-2", "bob", k, p.second);
    assert_int_equal(signs(r.agent[1], k, nc_buf_span(&b)), NACRE_OK);
    assert_string_equal(r.user, "bob");
    assert_string_equal(r.host, "second");
    assert_true(r.forwarded);
    /* another user; and a login that is not bound to the host key, which a host between could replay */
    login_data(&b, "session-2", "robert", k, p.second);
    assert_int_equal(signs(r.agent[1], k, nc_buf_span(&b)), NACRE_AGENT_REFUSED);
    login_data(&b, "session-2", "bob", k, NULL);
    assert_int_equal(signs(r.agent[1], k, nc_buf_span(&b)), NACRE_AGENT_REFUSED);
    /* bound for a login: nothing more behind that */
    assert_int_equal(bind_to(r.agent[1], p.second, "session-3", false), NACRE_AGENT_REFUSED);
    assert_int_equal(listed(r.agent[1]), 0);
    /* forwarded to second: it leads nowhere, so it is not shown, changed or removed there */
    assert_int_equal(bind_to(r.agent[2], p.first, "session-1", true), NACRE_OK);
    assert_int_equal(bind_to(r.agent[2], p.first, "session-1", true), NACRE_OK); /* again: same */
    assert_int_equal(bind_to(r.agent[2], p.second, "session-2", true), NACRE_OK);
    assert_int_equal(listed(r.agent[2]), 0);
    assert_int_equal(nacre_agent_remove(r.agent[2], k, NULL), NACRE_AGENT_REFUSED);
    assert_int_equal(nacre_agent_add(r.agent[2], k, NULL, NULL), NACRE_AGENT_REFUSED);
    nc_buf_clear(&b);
    ring_end(&r);
}

static void bindings_must_be_true(void **state)
{
    (void)state;
    ring r;
    route p;
    nacre_key *k = test_key("ed25519");
    const nacre_span none = {NULL, 0};
    make_route(&p);
    ring_start(&r, NULL);
    assert_int_equal(nacre_agent_add(r.agent[0], k, &p.c, NULL), NACRE_OK);
    assert_int_equal(nacre_agent_add(r.agent[0], p.second, NULL, NULL), NACRE_OK);
    /* A failed attempt is remembered: the connection is somebody else's for sure. */
    assert_int_equal(
        nacre_agent_bind(r.agent[1], p.first, text("session-1"), text("no signature"), true, NULL),
        NACRE_AGENT_REFUSED);
    assert_int_equal(listed(r.agent[1]), 1);
    uint8_t *sig;
    size_t n;
    assert_int_equal(nacre_key_sign(p.second, NULL, text("session-1"), &sig, &n), NACRE_OK);
    assert_int_equal(
        nacre_agent_bind(r.agent[2], p.first, text("session-1"), nc_span(sig, n), true, NULL),
        NACRE_AGENT_REFUSED);
    assert_int_equal(nacre_agent_bind(r.agent[2], p.first, none, nc_span(sig, n), true, NULL),
                     NACRE_AGENT_REFUSED);
    nacre_secret_free(NULL, sig, n);
    /* the same session under another key */
    assert_int_equal(bind_to(r.agent[0], p.first, "session-1", true), NACRE_OK);
    assert_int_equal(bind_to(r.agent[0], p.second, "session-1", true), NACRE_AGENT_REFUSED);
    assert_int_equal(listed(r.agent[0]), 1);
    ring_end(&r);
    /* so many hops and no more; and no session identifiers that are no hashes */
    ring_start(&r, NULL);
    for (int i = 0; i < 16; i++) {
        char session[32];
        snprintf(session, sizeof(session), "session-%d", i);
        assert_int_equal(bind_to(r.agent[0], p.first, session, true), NACRE_OK);
    }
    assert_int_equal(bind_to(r.agent[0], p.first, "session-16", true), NACRE_AGENT_REFUSED);
    char longer[130];
    memset(longer, 'x', sizeof(longer));
    longer[129] = '\0';
    assert_int_equal(bind_to(r.agent[1], p.first, longer, true), NACRE_AGENT_REFUSED);
    ring_end(&r);
}

static void a_locked_keyring_still_binds(void **state)
{
    (void)state;
    ring r;
    route p;
    nacre_key *k = test_key("ed25519");
    make_route(&p);
    p.c.destination_count = 1; /* at first, and not beyond */
    ring_start(&r, NULL);
    assert_int_equal(nacre_agent_add(r.agent[0], k, &p.c, NULL), NACRE_OK);
    assert_int_equal(nacre_agent_lock(r.agent[0], text("pw"), NULL), NACRE_OK);
    /* Were this forgotten, the key would be free at first once the keyring is unlocked. */
    assert_int_equal(bind_to(r.agent[1], p.first, "session-1", true), NACRE_OK);
    assert_int_equal(nacre_agent_unlock(r.agent[0], text("pw"), NULL), NACRE_OK);
    assert_int_equal(listed(r.agent[0]), 1);
    assert_int_equal(listed(r.agent[1]), 0);
    ring_end(&r);
}

static int forget(void **state)
{
    (void)state;
    test_keys_free();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_type_is_held_and_signs),
        cmocka_unit_test(the_owner_needs_no_connection),
        cmocka_unit_test(it_takes_so_many_keys_and_no_more),
        cmocka_unit_test(rsa_signs_as_asked),
        cmocka_unit_test(keys_live_as_long_as_they_may),
        cmocka_unit_test(each_use_is_confirmed),
        cmocka_unit_test(a_person_may_answer_later),
        cmocka_unit_test(nobody_to_ask_means_no),
        cmocka_unit_test(a_locked_keyring_shows_and_signs_nothing),
        cmocka_unit_test(guesses_are_slowed_down),
        cmocka_unit_test(a_constrained_key_signs_logins_at_its_destinations),
        cmocka_unit_test(a_forwarded_agent_goes_where_the_route_goes),
        cmocka_unit_test(bindings_must_be_true),
        cmocka_unit_test(a_locked_keyring_still_binds),
    };
    return cmocka_run_group_tests(tests, NULL, forget);
}
