#include "ring.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

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

nacre_agent *join(nacre_keyring_conn *c)
{
    nacre_agent *g = NULL;
    nacre_agent_stream s = {ring_read, ring_write, NULL, c};
    assert_int_equal(nacre_agent_open_stream(&g, NULL, &s, NULL), NACRE_OK);
    return g;
}

void ring_start(ring *r, const nacre_keyring_options *o)
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

void ring_end(ring *r)
{
    for (int i = 0; i < 3; i++) {
        nacre_agent_free(r->agent[i]);
        nacre_keyring_conn_free(r->conn[i]);
    }
    nacre_keyring_free(r->k);
}

void pass(ring *r, uint64_t ms)
{
    size_t took;
    r->now += ms;
    nacre_keyring_advance(r->k, r->now, 1700000000 + r->now / 1000);
    for (int i = 0; i < 3; i++) {
        (void)!nacre_keyring_received(r->conn[i], nc_span(NULL, 0), &took);
    }
}

size_t listed(nacre_agent *g)
{
    nacre_key **keys;
    size_t n;
    assert_int_equal(nacre_agent_list(g, &keys, &n, NULL), NACRE_OK);
    nacre_agent_keys_free(NULL, keys, n);
    return n;
}

int signs(nacre_agent *g, const nacre_key *k, nacre_span data)
{
    uint8_t *sig;
    size_t n;
    int rc = nacre_agent_sign(g, k, NULL, data, &sig, &n, NULL);
    nacre_secret_free(NULL, sig, n);
    return rc;
}

nacre_span text(const char *s)
{
    return nc_span_cstr(s);
}

int raw_reply(nacre_keyring_conn *c)
{
    nacre_span out = nacre_keyring_output(c);
    int type = out.n > 4 ? out.p[4] : -1;
    if (out.n > 4) {
        nacre_keyring_sent(c, nc_get_u32(out.p) + 4);
    }
    return type;
}

void make_route(route *p)
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
