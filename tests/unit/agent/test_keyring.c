/*
 * The keyring, asked by our own client over memory: what it holds, for how long, and what it refuses.
 */
#include "agent_script.h"
#include "nacre/cert.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

enum { HERE = 0, FORWARDED = 1 };

typedef struct ring {
    nacre_keyring *k;
    nacre_keyring_conn *conn[3];
    nacre_agent *agent[3];
    uint64_t now;
    unsigned asked;
    uint32_t ticket;
    int answer; /* 1 yes, 0 no, -1 later */
    char user[64], host[64];
    bool forwarded;
} ring;

/* ---- a client that is joined to a connection ---- */

static int ring_write(void *user, const uint8_t *p, size_t n, uint32_t ms)
{
    nacre_keyring_conn *c = user;
    size_t took;
    (void)ms;
    int rc = nacre_keyring_received(c, nc_span(p, n), &took);
    return rc == NACRE_OK && took != n ? NACRE_LIMIT : rc;
}

static int ring_read(void *user, uint8_t *p, size_t n, uint32_t ms, size_t *got)
{
    nacre_keyring_conn *c = user;
    nacre_span out = nacre_keyring_output(c);
    (void)ms;
    if (out.n == 0) {
        return NACRE_TIMEOUT; /* it waits */
    }
    *got = out.n < n ? out.n : n;
    memcpy(p, out.p, *got);
    nacre_keyring_sent(c, *got);
    return NACRE_OK;
}

static void on_confirm(void *user, const nacre_keyring_question *q)
{
    ring *r = user;
    r->asked++;
    r->ticket = q->ticket;
    r->forwarded = q->forwarded;
    snprintf(r->user, sizeof(r->user), "%s", q->user);
    snprintf(r->host, sizeof(r->host), "%s", q->host);
    assert_true(nacre_key_is_private(q->key));
    if (r->answer >= 0) {
        assert_int_equal(nacre_keyring_answer(q->keyring, q->ticket, r->answer == 1), NACRE_OK);
    }
}

static nacre_agent *join(nacre_keyring_conn *c)
{
    nacre_agent *g = NULL;
    nacre_agent_stream s = {ring_read, ring_write, NULL, c};
    assert_int_equal(nacre_agent_open_stream(&g, NULL, &s, NULL), NACRE_OK);
    return g;
}

static void ring_start(ring *r, const nacre_keyring_options *o)
{
    nacre_keyring_options mine;
    memset(r, 0, sizeof(*r));
    nacre_keyring_options_init(&mine);
    if (o) {
        mine = *o;
    }
    mine.confirm = mine.user ? NULL : on_confirm; /* user: a test without anybody to ask */
    mine.user = r;
    r->now = 1000000;
    assert_int_equal(nacre_keyring_new(&r->k, &mine, r->now, 1700000000), NACRE_OK);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(nacre_keyring_connect(&r->conn[i], r->k), NACRE_OK);
        r->agent[i] = join(r->conn[i]);
    }
}

static void ring_end(ring *r)
{
    for (int i = 0; i < 3; i++) {
        nacre_agent_free(r->agent[i]);
        nacre_keyring_conn_free(r->conn[i]);
    }
    nacre_keyring_free(r->k);
}

static void pass(ring *r, uint64_t ms)
{
    size_t took;
    r->now += ms;
    nacre_keyring_advance(r->k, r->now, 1700000000 + r->now / 1000);
    for (int i = 0; i < 3; i++) {
        (void)!nacre_keyring_received(r->conn[i], nc_span(NULL, 0), &took);
    }
}

static size_t listed(nacre_agent *g)
{
    nacre_key **keys;
    size_t n;
    assert_int_equal(nacre_agent_list(g, &keys, &n, NULL), NACRE_OK);
    nacre_agent_keys_free(NULL, keys, n);
    return n;
}

static int signs(nacre_agent *g, const nacre_key *k, nacre_span data)
{
    uint8_t *sig;
    size_t n;
    int rc = nacre_agent_sign(g, k, NULL, data, &sig, &n, NULL);
    nacre_secret_free(NULL, sig, n);
    return rc;
}

static nacre_span text(const char *s)
{
    return nc_span_cstr(s);
}

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

static int raw_reply(nacre_keyring_conn *c)
{
    nacre_span out = nacre_keyring_output(c);
    int type = out.n > 4 ? out.p[4] : -1;
    if (out.n > 4) {
        nacre_keyring_sent(c, nc_get_u32(out.p) + 4);
    }
    return type;
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

/* here -> first (as anybody), first -> second (as bob) */
typedef struct route {
    nacre_key *first, *second;
    nacre_agent_host_key key1, key2;
    nacre_agent_destination hops[2];
    nacre_agent_constraints c;
} route;

static void make_route(route *p)
{
    memset(p, 0, sizeof(*p));
    p->first = test_key("ecdsa256");
    p->second = test_key("ecdsa384");
    p->key1 = (nacre_agent_host_key){p->first, false};
    p->key2 = (nacre_agent_host_key){p->second, false};
    p->hops[0].to = (nacre_agent_hop){NULL, "first", &p->key1, 1};
    p->hops[1].from = (nacre_agent_hop){NULL, "first", &p->key1, 1};
    p->hops[1].to = (nacre_agent_hop){"b?b", "second", &p->key2, 1};
    nacre_agent_constraints_init(&p->c);
    p->c.destinations = p->hops;
    p->c.destination_count = 2;
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

/* ---- bad requests ---- */

static int raw_add(const uint8_t *tail, size_t n, size_t *held)
{
    ring r;
    nc_buf b;
    size_t took;
    ring_start(&r, NULL);
    nc_buf_init(&b, NULL, 65536);
    nc_wr w = nc_wr_init(&b);
    size_t mark = nc_wr_begin_str(&w);
    nc_wr_u8(&w, SSH_AGENTC_ADD_ID_CONSTRAINED);
    nc_agent_write_key(&w, test_key("ed25519"));
    nc_wr_cstr(&w, "comment");
    nc_wr_bytes(&w, nc_span(tail, n));
    nc_wr_end_str(&w, mark);
    assert_int_equal(nc_wr_err(&w), NACRE_OK);
    assert_int_equal(nacre_keyring_received(r.conn[0], nc_buf_span(&b), &took), NACRE_OK);
    int type = raw_reply(r.conn[0]);
    *held = listed(r.agent[1]);
    nc_buf_clear(&b);
    ring_end(&r);
    return type;
}

static void constraints_that_cannot_be_kept_refuse_the_key(void **state)
{
    (void)state;
#define EXT(name) "\xff\0\0\0" name
    static const struct {
        const char *bytes;
        size_t n;
        bool good;
    } rows[] = {
        {"", 0, true},
        {"\1\0\0\0\5", 5, true},
        {"\2", 1, true},
        {"\1\0\0\0\5\2", 6, true},
        {"\1\0\0\0", 4, false},
        {"\1\0\0\0\5\1\0\0\0\6", 10, false}, /* twice */
        {"\2\2", 2, false},
        {"\3\0\0\0\1", 5, false}, /* how many signatures: not counted here */
        {"\4", 1, false},
        {"\xff", 1, false},
        {EXT("\4x@yz"), 9, false},
        {EXT("\x17sk-provider@openssh.com\0\0\0\10internal"), 5 + 23 + 12, false},
        {EXT("\x20"
             "associated-certs-v00@openssh.com\1\0\0\0\0"),
         5 + 32 + 5, false},
        {EXT("\x24"
             "restrict-destination-v00@openssh.com\0\0\0\0"),
         5 + 36 + 4, false},
        {EXT("\x24"
             "restrict-destination-v00@openssh.com\0\0\0\1x"),
         5 + 36 + 5, false},
        {EXT("\x24"
             "restrict-destination-v00@openssh.com\xff\xff\xff\xff"),
         5 + 36 + 4, false},
    };
#undef EXT
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        size_t held;
        int type = raw_add((const uint8_t *)rows[i].bytes, rows[i].n, &held);
        assert_int_equal(type, rows[i].good ? SSH_AGENT_SUCCESS : SSH_AGENT_FAILURE);
        assert_int_equal(held, rows[i].good);
    }
}

static void routes_that_make_no_sense_refuse_the_key(void **state)
{
    (void)state;
    for (int i = 0; i < 8; i++) {
        ring r;
        route p;
        nacre_key *cert_like = NULL;
        make_route(&p);
        switch (i) {
        case 0:
            p.hops[0].to.host = NULL;
            break;
        case 1:
            p.hops[0].to.key_count = 0;
            break;
        case 2:
            p.hops[0].from.user = "x";
            break;
        case 3:
            p.hops[1].from.host = NULL;
            break;
        case 4:
            p.hops[1].from.key_count = 0;
            break;
        case 5: {
            static char longer[NC_MAX_USER + 2];
            memset(longer, 'x', sizeof(longer) - 1);
            p.hops[1].to.user = longer;
            break;
        }
        default:
            break;
        }
        ring_start(&r, NULL);
        assert_int_equal(nacre_agent_add(r.agent[0], test_key("ed25519"), &p.c, NULL),
                         i < 6 ? NACRE_AGENT_REFUSED : NACRE_OK);
        assert_int_equal(listed(r.agent[0]), i >= 6);
        nacre_key_free(cert_like);
        ring_end(&r);
    }
}

static void a_route_cut_anywhere_refuses_the_key(void **state)
{
    (void)state;
    route p;
    nc_buf b;
    make_route(&p);
    nc_buf_init(&b, NULL, 65536);
    nc_wr w = nc_wr_init(&b);
    nc_agent_write_constraints(&w, &p.c);
    assert_int_equal(nc_wr_err(&w), NACRE_OK);
    for (size_t n = 1; n < b.len; n++) {
        size_t held;
        assert_int_equal(raw_add(b.data, n, &held), SSH_AGENT_FAILURE);
        assert_int_equal(held, 0);
    }
    nc_buf_clear(&b);
}

/* Every request, cut at every byte with a length that fits: a refusal each, and the next is served. */
static void requests_cut_anywhere_are_refused(void **state)
{
    (void)state;
    ring r;
    route p;
    nc_buf b;
    size_t took, at = 0;
    nacre_key *k = test_key("ed25519");
    make_route(&p);
    nc_buf_init(&b, NULL, 65536);
    ring_start(&r, NULL);
    assert_int_equal(nc_agent_ask_add(&b, k, NULL), NACRE_OK);
    assert_int_equal(nc_agent_ask_add(&b, k, &p.c), NACRE_OK);
    assert_int_equal(nc_agent_ask_sign(&b, nacre_key_blob(k), text("x"), 0), NACRE_OK);
    assert_int_equal(nc_agent_ask_string(&b, SSH_AGENTC_REMOVE_IDENTITY, nacre_key_blob(k)),
                     NACRE_OK);
    assert_int_equal(nc_agent_ask_string(&b, SSH_AGENTC_LOCK, text("pw")), NACRE_OK);
    assert_int_equal(nc_agent_ask_string(&b, SSH_AGENTC_UNLOCK, text("pw")), NACRE_OK);
    assert_int_equal(nc_agent_ask_bind(&b, p.first, text("s"), text("x"), true), NACRE_OK);
    while (at < b.len) {
        size_t whole = nc_get_u32(b.data + at) + 4;
        uint8_t kept[4];
        memcpy(kept, b.data + at, 4);
        for (size_t n = 5; n < whole; n++) {
            /* A key that comes with "constrained" and no constraints is good. */
            nc_put_u32(b.data + at, (uint32_t)n - 4);
            assert_int_equal(nacre_keyring_received(r.conn[0], nc_span(b.data + at, n), &took),
                             NACRE_OK);
            int type = raw_reply(r.conn[0]);
            bool bare =
                b.data[at + 4] == SSH_AGENTC_ADD_ID_CONSTRAINED && type == SSH_AGENT_SUCCESS;
            assert_true(bare || type == SSH_AGENT_FAILURE || type == SSH_AGENT_EXTENSION_FAILURE);
        }
        memcpy(b.data + at, kept, 4);
        at += whole;
    }
    assert_int_equal(nacre_agent_remove_all(r.agent[1], NULL), NACRE_OK);
    /* unknown numbers, old ones, tokens */
    for (int type = 0; type < 256; type++) {
        uint8_t one[5] = {0, 0, 0, 1, (uint8_t)type};
        bool fine =
            type == SSH_AGENTC_REQUEST_IDENTITIES || type == SSH_AGENTC_REMOVE_ALL_IDENTITIES;
        assert_int_equal(nacre_keyring_received(r.conn[0], nc_span(one, 5), &took), NACRE_OK);
        assert_int_equal(raw_reply(r.conn[0]) == SSH_AGENT_FAILURE, !fine);
    }
    nc_buf_clear(&b);
    ring_end(&r);
}

static void absurd_lengths_end_the_connection(void **state)
{
    (void)state;
    static const char *const heads[] = {"\0\0\0\0", "\xff\xff\xff\xff", "\0\4\0\1", "\x7f\0\0\0"};
    for (size_t i = 0; i < 4; i++) {
        ring r;
        size_t took;
        ring_start(&r, NULL);
        assert_int_equal(nacre_keyring_received(r.conn[0], nc_span(heads[i], 4), &took),
                         NACRE_AGENT_PROTOCOL);
        assert_false(nacre_keyring_wants_input(r.conn[0]));
        assert_int_equal(nacre_keyring_received(r.conn[0], nc_span("\0\0\0\1\x0b", 5), &took),
                         NACRE_AGENT_PROTOCOL);
        assert_int_equal(listed(r.agent[1]), 0);
        ring_end(&r);
    }
}

static void replies_that_nobody_fetches_stop_the_reading(void **state)
{
    (void)state;
    ring r;
    size_t took, all = 0;
    ring_start(&r, NULL);
    assert_int_equal(nacre_agent_add(r.agent[0], test_key("rsa2048"), NULL, NULL), NACRE_OK);
    static uint8_t flood[5 * 65536];
    for (size_t i = 0; i < sizeof(flood); i += 5) {
        memcpy(flood + i, "\0\0\0\1\x0b", 5);
    }
    for (int i = 0; i < 8; i++) {
        assert_int_equal(nacre_keyring_received(r.conn[1], nc_span(flood, sizeof(flood)), &took),
                         NACRE_OK);
        all += took;
    }
    assert_true(all < 512 * 1024);
    assert_false(nacre_keyring_wants_input(r.conn[1]));
    assert_true(nacre_keyring_output(r.conn[1]).n < 512 * 1024);
    while (nacre_keyring_output(r.conn[1]).n) {
        nacre_keyring_sent(r.conn[1], nacre_keyring_output(r.conn[1]).n);
        assert_int_equal(nacre_keyring_received(r.conn[1], nc_span(NULL, 0), &took), NACRE_OK);
    }
    assert_true(nacre_keyring_wants_input(r.conn[1]));
    ring_end(&r);
}

static void memory_may_run_out_anywhere(void **state)
{
    (void)state;
    route p;
    nc_buf b;
    nacre_key *k = test_key("ed25519");
    make_route(&p);
    nc_buf_init(&b, NULL, 65536);
    assert_int_equal(nc_agent_ask_add(&b, k, &p.c), NACRE_OK);
    assert_int_equal(nc_agent_ask_add(&b, k, NULL), NACRE_OK);
    assert_int_equal(nc_agent_ask(&b, SSH_AGENTC_REQUEST_IDENTITIES), NACRE_OK);
    assert_int_equal(nc_agent_ask_sign(&b, nacre_key_blob(k), text("x"), 0), NACRE_OK);
    bool done = false;
    for (size_t allowed = 0; !done; allowed++) {
        failing f;
        nacre_keyring *held = NULL;
        nacre_keyring_conn *c = NULL;
        nacre_keyring_options o;
        size_t took;
        failing_init(&f, allowed);
        nacre_keyring_options_init(&o);
        o.allocator = &f.hook;
        int rc = nacre_keyring_new(&held, &o, 0, 0);
        if (rc == NACRE_OK) {
            rc = nacre_keyring_connect(&c, held);
        }
        if (rc == NACRE_OK) {
            rc = nacre_keyring_received(c, nc_buf_span(&b), &took);
            nacre_span out = nacre_keyring_output(c);
            /* a refusal is what a client sees of it, and no key is held without its constraints */
            done = rc == NACRE_OK && out.n > 20 && out.p[4] == SSH_AGENT_SUCCESS &&
                   out.p[9] == SSH_AGENT_SUCCESS && f.left > 0;
        }
        nacre_keyring_conn_free(c);
        nacre_keyring_free(held);
        assert_int_equal(f.live, 0);
        assert_true(allowed < 2000);
    }
    nc_buf_clear(&b);
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
        cmocka_unit_test(constraints_that_cannot_be_kept_refuse_the_key),
        cmocka_unit_test(routes_that_make_no_sense_refuse_the_key),
        cmocka_unit_test(a_route_cut_anywhere_refuses_the_key),
        cmocka_unit_test(requests_cut_anywhere_are_refused),
        cmocka_unit_test(absurd_lengths_end_the_connection),
        cmocka_unit_test(replies_that_nobody_fetches_stop_the_reading),
        cmocka_unit_test(memory_may_run_out_anywhere),
    };
    return cmocka_run_group_tests(tests, NULL, forget);
}
