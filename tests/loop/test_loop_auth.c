/*
 * Logins in which host keys speak, between whole engines: publickey bound to the server's host key, also
 * after keys have been exchanged anew and against a client that was shown another key; and hostbased.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "support/pair.h"

#define BOUND "publickey-hostbound-v00@openssh.com"

typedef struct seen {
    char log[16384]; /* of the server */
    unsigned keys, hosts;
    char client_host[64];
} seen;

static void keep_log(void *user, nacre_log_level level, const char *line)
{
    seen *s = user;
    size_t n = strlen(s->log);
    (void)level;
    (void)snprintf(s->log + n, sizeof(s->log) - n, "%s\n", line);
}

static bool look(pair *p, int who, const nacre_event *ev)
{
    seen *s = p->user;
    if (who == NACRE_SERVER && ev->type == NACRE_EVENT_AUTH_KEY) {
        assert_string_equal(ev->u.auth.method, "publickey");
        assert_true(nacre_key_equal(ev->u.auth.key, pair_key("ecdsa", 256)));
        s->keys++;
    }
    if (who == NACRE_SERVER && ev->type == NACRE_EVENT_AUTH_HOSTBASED) {
        (void)snprintf(s->client_host, sizeof(s->client_host), "%.*s",
                       (int)ev->u.auth.client_host.n, (const char *)ev->u.auth.client_host.p);
        s->hosts++;
    }
    return false;
}

static void init(pair *p, seen *s)
{
    memset(s, 0, sizeof(*s));
    pair_init(p, 77);
    p->no_login = true; /* we begin it ourselves */
    p->hook = look;
    p->user = s;
    p->config[1].log = keep_log;
    p->config[1].log_user = s;
    p->config[1].log_level = NACRE_LOG_VERBOSE;
    p->config[1].auth_methods = "publickey,hostbased";
}

/* Up to the host key's acceptance and the extensions, with nobody logged in. */
static void exchange(pair *p)
{
    nacre_span value;
    assert_int_equal(pair_start(p, NULL), NACRE_OK);
    pair_run(p);
    assert_false(nacre_transport_authenticated(p->end[1].t));
    assert_true(
        nacre_transport_peer_extension(p->end[0].t, "publickey-hostbound@openssh.com", &value));
    assert_true(nc_span_is(value, "0"));
    assert_false(
        nacre_transport_peer_extension(p->end[1].t, "publickey-hostbound@openssh.com", &value));
}

static void login(pair *p, seen *s, bool bound)
{
    nacre_key *key = pair_key("ecdsa", 256);
    assert_int_equal(nacre_transport_auth_publickey(p->end[0].t, "alice", key, NULL), NACRE_OK);
    pair_run(p);
    assert_true(nacre_transport_authenticated(p->end[1].t));
    assert_int_equal(s->keys, 1);
    assert_int_equal(strstr(s->log, "asks for " BOUND) != NULL, bound);
    assert_true(pair_echo_done(p));
    pair_free(p);
}

static void test_bound_by_default(void **state)
{
    (void)state;
    pair p;
    seen s;
    init(&p, &s);
    exchange(&p);
    login(&p, &s, true);
    init(&p, &s);
    p.config[0].unbound_keys = true;
    exchange(&p);
    login(&p, &s, false);
    init(&p, &s); /* the very first attempt, which leaves with the end of the key exchange */
    assert_int_equal(pair_start(&p, NULL), NACRE_OK);
    login(&p, &s, true);
}

static void test_bound_to_the_first_exchange(void **state)
{
    (void)state;
    pair p;
    seen s;
    init(&p, &s);
    exchange(&p);
    nacre_span id = nacre_transport_session_id(p.end[1].t);
    uint8_t first[64];
    assert_true(id.n >= 32 && id.n <= sizeof(first));
    memcpy(first, id.p, id.n);
    assert_int_equal(nacre_transport_rekey(p.end[1].t), NACRE_OK);
    pair_run(&p);
    for (int who = 0; who < 2; who++) {
        assert_int_equal(p.end[who].seen[NACRE_EVENT_KEX_DONE], 2);
        assert_true(nc_span_eq(nacre_transport_session_id(p.end[who].t), nc_span(first, id.n)));
    }
    login(&p, &s, true);
}

/* Somebody between shows the client a key of his own, and passes its login on to us. */
static void test_a_client_of_another_server(void **state)
{
    (void)state;
    pair p;
    seen s;
    init(&p, &s);
    exchange(&p);
    p.end[0].core->link.host_key = nc_span("the key of somebody between", 27);
    nacre_key *key = pair_key("ecdsa", 256);
    assert_int_equal(nacre_transport_auth_publickey(p.end[0].t, "alice", key, NULL), NACRE_OK);
    pair_run(&p);
    assert_int_equal(nacre_transport_error(p.end[1].t)->status, NACRE_PROTOCOL);
    assert_int_equal(nacre_transport_error(p.end[0].t)->status, NACRE_PEER_DISCONNECTED);
    assert_false(nacre_transport_authenticated(p.end[1].t));
    assert_int_equal(s.keys, 0);
    pair_free(&p);
}

static void test_hostbased(void **state)
{
    (void)state;
    pair p;
    seen s;
    init(&p, &s);
    exchange(&p);
    nacre_key *key = pair_key("ecdsa", 256);
    assert_int_equal(nacre_transport_auth_hostbased(p.end[0].t, "alice", key, NULL,
                                                    "client.example.org.", "bob"),
                     NACRE_OK);
    pair_run(&p);
    assert_true(nacre_transport_authenticated(p.end[1].t));
    assert_int_equal(s.hosts, 1);
    assert_string_equal(s.client_host, "client.example.org.");
    assert_string_equal(nacre_transport_user(p.end[1].t), "alice");
    assert_true(pair_echo_done(&p));
    pair_free(&p);
    init(&p, &s); /* off unless it is named */
    p.config[1].auth_methods = NULL;
    exchange(&p);
    assert_int_equal(
        nacre_transport_auth_hostbased(p.end[0].t, "alice", key, NULL, "client.", "bob"), NACRE_OK);
    pair_run(&p);
    assert_int_equal(s.hosts, 0);
    assert_false(nacre_transport_authenticated(p.end[1].t));
    pair_free(&p);
}

static int cleanup(void **state)
{
    (void)state;
    pair_keys_free();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bound_by_default),
        cmocka_unit_test(test_bound_to_the_first_exchange),
        cmocka_unit_test(test_a_client_of_another_server),
        cmocka_unit_test(test_hostbased),
    };
    return cmocka_run_group_tests(tests, NULL, cleanup);
}
