/*
 * test_auth_pair.c - the userauth client against the userauth server, joined in memory: every flow
 * that ends in a login or an honest refusal; and each of them with the N-th allocation failing.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../keys/keydata.h"
#include "fake_link.h"

#include <stdlib.h>
#include <string.h>

static nacre_key *ed, *ed_public, *rsa, *rsa_public;
static rig client, server;

static nacre_key *public_half(const nacre_key *k)
{
    nacre_key *out = NULL;
    assert_int_equal(nacre_key_from_blob(&out, NULL, nacre_key_blob(k), NULL), NACRE_OK);
    return out;
}

static int make_keys(void **state)
{
    (void)state;
    assert_int_equal(nacre_key_generate(&ed, NULL, "ed25519", 0, NULL), NACRE_OK);
    rsa = keydata_private("rsa2048");
    ed_public = public_half(ed);
    rsa_public = public_half(rsa);
    return 0;
}

static int free_keys(void **state)
{
    (void)state;
    nacre_key_free(ed);
    nacre_key_free(rsa);
    nacre_key_free(ed_public);
    nacre_key_free(rsa_public);
    return 0;
}

static void pair(void)
{
    rig_init(&client, NACRE_CLIENT);
    rig_init(&server, NACRE_SERVER);
    rig_start(&client);
    rig_start(&server);
}

static void unpair(void)
{
    rig_clear(&client);
    rig_clear(&server);
}

/* Steps one side until it has an event, with what the other sent. */
static int until_event(rig *to, rig *from)
{
    int rc = rig_poll(to);
    while (rc == NACRE_AGAIN) {
        nacre_span p = rig_take(from);
        if (p.n == 0) {
            return NACRE_AGAIN;
        }
        rc = rig_step(to, p);
    }
    return rc;
}

static void expect(rig *to, rig *from, nacre_event_type type)
{
    assert_int_equal(until_event(to, from), NACRE_OK);
    assert_int_equal(to->ev.type, type);
}

static void expect_result(int status)
{
    expect(&client, &server, NACRE_EVENT_AUTH_RESULT);
    assert_int_equal(client.ev.u.auth_result.status, status);
}

static void expect_login(const char *user, const char *method)
{
    expect_result(NACRE_OK);
    assert_string_equal(client.ev.u.auth_result.method, method);
    expect(&server, &client, NACRE_EVENT_AUTHENTICATED);
    assert_true(nc_span_is(server.ev.u.auth.user, user));
    assert_string_equal(server.ev.u.auth.method, method);
    assert_string_equal(server.user, user);
    assert_string_equal(client.user, user);
    assert_int_equal(server.authenticated, 1);
    assert_int_equal(client.authenticated, 1);
    assert_int_equal(server.link.open_tickets, 0);
    assert_int_equal(client.link.open_tickets, 0);
    /* the transport is told first, so that its EXT_INFO can go before SUCCESS (RFC 8308 2.4) */
    assert_int_equal(server.sent_at_login, server.sent_count - 1);
}

static void none_refused_then_password(void **state)
{
    (void)state;
    pair();
    assert_int_equal(nc_auth_none(client.auth, "alice"), NACRE_OK);
    assert_int_equal(nc_auth_none(client.auth, "alice"), NACRE_WRONG_STATE);
    expect(&server, &client, NACRE_EVENT_AUTH_NONE);
    assert_int_equal(rig_verdict(&server, false), NACRE_OK);
    assert_int_equal(rig_verdict(&server, true), NACRE_NOT_FOUND);
    expect_result(NACRE_AUTH_FAILED);
    assert_true(
        nc_span_is(client.ev.u.auth_result.methods, "publickey,password,keyboard-interactive"));
    assert_int_equal(nc_auth_password(client.auth, "alice", SPAN("s3cret-word")), NACRE_OK);
    expect(&server, &client, NACRE_EVENT_AUTH_PASSWORD);
    assert_true(nc_span_is(server.ev.u.auth.password, "s3cret-word"));
    assert_false(server.ev.u.auth.change);
    assert_int_equal(rig_verdict(&server, true), NACRE_OK);
    expect_login("alice", "password");
    assert_null(strstr(server.log, "s3cret"));
    assert_null(strstr(client.log, "s3cret"));
    assert_int_equal(nc_auth_none(client.auth, "alice"), NACRE_WRONG_STATE);
    unpair();
}

static void none_accepted(void **state)
{
    (void)state;
    pair();
    assert_int_equal(nc_auth_none(client.auth, "guest"), NACRE_OK);
    expect(&server, &client, NACRE_EVENT_AUTH_NONE);
    assert_int_equal(rig_verdict(&server, true), NACRE_OK);
    expect_login("guest", "none");
    unpair();
}

static void publickey_private_signs_at_once(void **state)
{
    (void)state;
    nacre_key *const keys[] = {ed, rsa};
    const char *const names[] = {"ssh-ed25519", "rsa-sha2-512"};
    for (size_t i = 0; i < 2; i++) {
        pair();
        assert_int_equal(nc_auth_publickey(client.auth, "alice", keys[i], NULL), NACRE_OK);
        expect(&server, &client, NACRE_EVENT_AUTH_KEY);
        assert_string_equal(server.ev.u.auth.algorithm, names[i]);
        assert_true(nacre_key_equal(server.ev.u.auth.key, keys[i]));
        assert_int_equal(rig_verdict(&server, true), NACRE_OK);
        expect_login("alice", "publickey");
        assert_true(nacre_key_equal(server.ev.u.auth.key, keys[i]));
        assert_string_equal(server.ev.u.auth.algorithm, names[i]);
        unpair();
    }
}

static void sign_elsewhere(const nacre_key *key, nacre_answer *ans, uint8_t **sig, size_t *n)
{
    assert_int_equal(nacre_key_sign(key, client.ev.u.sign.algorithm, client.ev.u.sign.data, sig, n),
                     NACRE_OK);
    memset(ans, 0, sizeof(*ans));
    ans->accept = true;
    ans->signature = nc_span(*sig, *n);
}

static void publickey_public_asks_first(void **state)
{
    (void)state;
    nacre_answer ans;
    uint8_t *sig = NULL;
    size_t n = 0;
    pair();
    assert_int_equal(nc_auth_publickey(client.auth, "alice", rsa_public, "rsa-sha2-256"), NACRE_OK);
    expect(&server, &client, NACRE_EVENT_AUTH_KEY_PROBE);
    assert_int_equal(rig_verdict(&server, true), NACRE_OK);
    assert_int_equal(server.authenticated, 0);
    assert_int_equal(rig_poll(&server), NACRE_AGAIN);
    expect(&client, &server, NACRE_EVENT_SIGN);
    assert_int_equal(client.ev.ticket >> NC_OWNER_SHIFT, NC_OWNER_AUTH);
    assert_string_equal(client.ev.u.sign.algorithm, "rsa-sha2-256");
    /* an agent that signs with another hash than it was asked for */
    assert_int_equal(nacre_key_sign(rsa, "rsa-sha2-512", client.ev.u.sign.data, &sig, &n),
                     NACRE_OK);
    memset(&ans, 0, sizeof(ans));
    ans.accept = true;
    ans.signature = nc_span(sig, n);
    assert_int_equal(rig_answer(&client, &ans), NACRE_INVALID_ARGUMENT);
    nacre_secret_free(NULL, sig, n);
    sign_elsewhere(rsa, &ans, &sig, &n);
    assert_int_equal(rig_answer(&client, &ans), NACRE_OK);
    assert_int_equal(rig_answer(&client, &ans), NACRE_NOT_FOUND);
    nacre_secret_free(NULL, sig, n);
    expect(&server, &client, NACRE_EVENT_AUTH_KEY);
    assert_int_equal(rig_verdict(&server, true), NACRE_OK);
    expect_login("alice", "publickey");
    unpair();
}

static void signer_that_gives_up_or_is_wrong(void **state)
{
    (void)state;
    nacre_answer ans;
    uint8_t *sig = NULL;
    size_t n = 0;
    pair();
    assert_int_equal(nc_auth_publickey(client.auth, "alice", ed_public, NULL), NACRE_OK);
    expect(&server, &client, NACRE_EVENT_AUTH_KEY_PROBE);
    assert_int_equal(rig_verdict(&server, true), NACRE_OK);
    expect(&client, &server, NACRE_EVENT_SIGN);
    assert_int_equal(rig_verdict(&client, false), NACRE_OK);
    assert_int_equal(nc_auth_none(client.auth, "alice"), NACRE_WRONG_STATE);
    expect_result(NACRE_AUTH_FAILED);
    assert_string_equal(client.ev.u.auth_result.method, "publickey");
    /* another key's signature is refused by the server, unseen by its application */
    assert_int_equal(nc_auth_publickey(client.auth, "alice", ed_public, NULL), NACRE_OK);
    expect(&server, &client, NACRE_EVENT_AUTH_KEY_PROBE);
    assert_int_equal(rig_verdict(&server, true), NACRE_OK);
    expect(&client, &server, NACRE_EVENT_SIGN);
    nacre_key *other = NULL;
    assert_int_equal(nacre_key_generate(&other, NULL, "ed25519", 0, NULL), NACRE_OK);
    sign_elsewhere(other, &ans, &sig, &n);
    assert_int_equal(rig_answer(&client, &ans), NACRE_OK);
    nacre_secret_free(NULL, sig, n);
    nacre_key_free(other);
    assert_int_equal(until_event(&server, &client), NACRE_AGAIN);
    expect_result(NACRE_AUTH_FAILED);
    unpair();
}

static void interactive_two_rounds(void **state)
{
    (void)state;
    const nacre_prompt prompts[] = {{SPAN("Password: "), false}, {SPAN("Token: "), true}};
    const nacre_span responses[] = {SPAN("pw"), SPAN("123456")};
    nacre_answer ask = {.prompts = prompts, .prompt_count = 2, .name = "N", .instruction = "I"};
    nacre_answer reply = {.accept = true, .responses = responses, .count = 2};
    nacre_answer info = {.instruction = "welcome"};
    pair();
    assert_int_equal(nc_auth_interactive(client.auth, "alice", "pam"), NACRE_OK);
    expect(&server, &client, NACRE_EVENT_AUTH_INTERACTIVE);
    assert_true(nc_span_is(server.ev.u.auth.submethods, "pam"));
    assert_int_equal(rig_answer(&server, &ask), NACRE_OK);
    expect(&client, &server, NACRE_EVENT_AUTH_PROMPTS);
    assert_int_equal(client.ev.u.prompts.count, 2);
    assert_true(nc_span_is(client.ev.u.prompts.prompts[1].text, "Token: "));
    assert_true(client.ev.u.prompts.prompts[1].echo);
    assert_false(client.ev.u.prompts.prompts[0].echo);
    assert_true(nc_span_is(client.ev.u.prompts.name, "N"));
    reply.count = 1;
    assert_int_equal(rig_answer(&client, &reply), NACRE_INVALID_ARGUMENT);
    reply.count = 2;
    assert_int_equal(rig_answer(&client, &reply), NACRE_OK);
    expect(&server, &client, NACRE_EVENT_AUTH_RESPONSES);
    assert_int_equal(server.ev.u.auth.count, 2);
    assert_true(nc_span_is(server.ev.u.auth.responses[1], "123456"));
    /* a round without prompts is shown, and answered by the machine */
    assert_int_equal(rig_answer(&server, &info), NACRE_OK);
    expect(&client, &server, NACRE_EVENT_AUTH_PROMPTS);
    assert_int_equal(client.ev.ticket, 0);
    assert_int_equal(client.ev.u.prompts.count, 0);
    expect(&server, &client, NACRE_EVENT_AUTH_RESPONSES);
    assert_int_equal(server.ev.u.auth.count, 0);
    assert_int_equal(rig_verdict(&server, true), NACRE_OK);
    expect_login("alice", "keyboard-interactive");
    unpair();
}

static void interactive_given_up_then_password(void **state)
{
    (void)state;
    const nacre_prompt prompts[] = {{SPAN("Password: "), false}};
    nacre_answer ask = {.prompts = prompts, .prompt_count = 1};
    pair();
    assert_int_equal(nc_auth_interactive(client.auth, "alice", NULL), NACRE_OK);
    expect(&server, &client, NACRE_EVENT_AUTH_INTERACTIVE);
    assert_int_equal(rig_answer(&server, &ask), NACRE_OK);
    expect(&client, &server, NACRE_EVENT_AUTH_PROMPTS);
    assert_int_equal(rig_verdict(&client, false), NACRE_OK);
    expect_result(NACRE_AUTH_FAILED);
    assert_int_equal(nc_auth_password(client.auth, "alice", SPAN("x")), NACRE_OK);
    expect(&server, &client, NACRE_EVENT_AUTH_PASSWORD);
    assert_int_equal(rig_verdict(&server, true), NACRE_OK);
    expect_login("alice", "password");
    unpair();
}

static void password_change(void **state)
{
    (void)state;
    const nacre_span both[] = {SPAN("old"), SPAN("new")};
    nacre_answer ask = {.change_prompt = "expired"};
    nacre_answer reply = {.accept = true, .responses = both, .count = 2};
    pair();
    assert_int_equal(nc_auth_password(client.auth, "alice", SPAN("old")), NACRE_OK);
    expect(&server, &client, NACRE_EVENT_AUTH_PASSWORD);
    assert_int_equal(rig_answer(&server, &ask), NACRE_OK);
    expect(&client, &server, NACRE_EVENT_AUTH_CHANGE_PASSWORD);
    assert_true(nc_span_is(client.ev.text, "expired"));
    reply.count = 1;
    assert_int_equal(rig_answer(&client, &reply), NACRE_INVALID_ARGUMENT);
    reply.count = 2;
    assert_int_equal(rig_answer(&client, &reply), NACRE_OK);
    expect(&server, &client, NACRE_EVENT_AUTH_PASSWORD);
    assert_true(server.ev.u.auth.change);
    assert_true(nc_span_is(server.ev.u.auth.password, "old"));
    assert_true(nc_span_is(server.ev.u.auth.new_password, "new"));
    assert_int_equal(rig_verdict(&server, true), NACRE_OK);
    expect_login("alice", "password");
    unpair();
}

static void two_factors(void **state)
{
    (void)state;
    nacre_answer half = {.accept = true, .partial = true};
    pair();
    assert_int_equal(nc_auth_publickey(client.auth, "alice", ed, NULL), NACRE_OK);
    expect(&server, &client, NACRE_EVENT_AUTH_KEY);
    assert_int_equal(rig_answer(&server, &half), NACRE_OK);
    assert_int_equal(server.authenticated, 0);
    expect_result(NACRE_AUTH_PARTIAL);
    assert_true(nc_span_is(client.ev.u.auth_result.methods, "password,keyboard-interactive"));
    /* the method that has done its part, and none, are not enough for the rest */
    assert_int_equal(nc_auth_publickey(client.auth, "alice", ed, NULL), NACRE_OK);
    assert_int_equal(until_event(&server, &client), NACRE_AGAIN);
    expect_result(NACRE_AUTH_FAILED);
    assert_int_equal(nc_auth_none(client.auth, "alice"), NACRE_OK);
    assert_int_equal(until_event(&server, &client), NACRE_AGAIN);
    expect_result(NACRE_AUTH_FAILED);
    assert_int_equal(nc_auth_password(client.auth, "alice", SPAN("pw")), NACRE_OK);
    expect(&server, &client, NACRE_EVENT_AUTH_PASSWORD);
    assert_int_equal(rig_verdict(&server, true), NACRE_OK);
    expect_login("alice", "password");
    /* the limits of the key that did its part are not lost */
    assert_true(nacre_key_equal(server.ev.u.auth.key, ed));
    unpair();
}

static void two_keys_must_differ(void **state)
{
    (void)state;
    nacre_answer half = {.accept = true, .partial = true, .methods = "publickey"};
    nacre_answer bad = {.accept = true, .partial = true, .methods = "publickey,rot13"};
    pair();
    assert_int_equal(nc_auth_publickey(client.auth, "alice", ed, NULL), NACRE_OK);
    expect(&server, &client, NACRE_EVENT_AUTH_KEY);
    assert_int_equal(rig_answer(&server, &bad), NACRE_INVALID_ARGUMENT);
    assert_int_equal(rig_answer(&server, &half), NACRE_OK);
    expect_result(NACRE_AUTH_PARTIAL);
    assert_int_equal(nc_auth_publickey(client.auth, "alice", ed, NULL), NACRE_OK);
    assert_int_equal(until_event(&server, &client), NACRE_AGAIN);
    expect_result(NACRE_AUTH_FAILED);
    assert_int_equal(nc_auth_publickey(client.auth, "alice", rsa, NULL), NACRE_OK);
    expect(&server, &client, NACRE_EVENT_AUTH_KEY);
    assert_int_equal(rig_verdict(&server, true), NACRE_OK);
    expect_login("alice", "publickey");
    assert_true(nacre_key_equal(server.ev.u.auth.key, rsa));
    unpair();
}

static void attempt_before_start_leaves_with_it(void **state)
{
    (void)state;
    rig_init(&client, NACRE_CLIENT);
    rig_init(&server, NACRE_SERVER);
    assert_int_equal(rig_open(&client), NACRE_OK);
    assert_int_equal(nc_auth_publickey(client.auth, "alice", ed, NULL), NACRE_OK);
    assert_int_equal(client.sent_count, 0);
    assert_int_equal(nc_auth_none(client.auth, "alice"), NACRE_WRONG_STATE);
    assert_int_equal(client.service.start(client.service.ctx), NACRE_OK);
    assert_int_equal(client.sent_count, 1);
    rig_start(&server);
    expect(&server, &client, NACRE_EVENT_AUTH_KEY);
    assert_int_equal(rig_verdict(&server, true), NACRE_OK);
    expect_login("alice", "publickey");
    unpair();
}

static void banner_comes_with_the_first_request(void **state)
{
    (void)state;
    pair();
    assert_int_equal(nc_auth_send_banner(client.auth, "x"), NACRE_WRONG_STATE);
    assert_int_equal(nc_auth_send_banner(server.auth, "hello\r\n"), NACRE_OK);
    assert_int_equal(server.sent_count, 0);
    assert_int_equal(nc_auth_none(client.auth, "alice"), NACRE_OK);
    expect(&server, &client, NACRE_EVENT_AUTH_NONE);
    assert_int_equal(nc_auth_send_banner(server.auth, "more"), NACRE_OK);
    expect(&client, &server, NACRE_EVENT_AUTH_BANNER);
    assert_true(nc_span_is(client.ev.text, "hello\r\n"));
    expect(&client, &server, NACRE_EVENT_AUTH_BANNER);
    assert_true(nc_span_is(client.ev.text, "more"));
    assert_int_equal(rig_verdict(&server, true), NACRE_OK);
    expect_login("alice", "none");
    assert_int_equal(nc_auth_send_banner(server.auth, "late"), NACRE_WRONG_STATE);
    unpair();
}

/* ---- the N-th allocation fails ---------------------------------------------------------------------- */

/* Runs until something fails or the user is in; true: in. */
static bool whole_login(void)
{
    const nacre_prompt prompts[] = {{SPAN("P: "), false}};
    const nacre_span responses[] = {SPAN("r")};
    nacre_answer half = {.accept = true, .partial = true};
    nacre_answer ask = {.prompts = prompts, .prompt_count = 1};
    nacre_answer reply = {.accept = true, .responses = responses, .count = 1};
    if (nc_auth_publickey(client.auth, "alice", ed, NULL) != NACRE_OK ||
        until_event(&server, &client) != NACRE_OK || rig_answer(&server, &half) != NACRE_OK ||
        until_event(&client, &server) != NACRE_OK ||
        nc_auth_interactive(client.auth, "alice", "x") != NACRE_OK ||
        until_event(&server, &client) != NACRE_OK || rig_answer(&server, &ask) != NACRE_OK ||
        until_event(&client, &server) != NACRE_OK || rig_answer(&client, &reply) != NACRE_OK ||
        until_event(&server, &client) != NACRE_OK || rig_verdict(&server, true) != NACRE_OK) {
        return false;
    }
    return until_event(&client, &server) == NACRE_OK && client.ev.u.auth_result.status == NACRE_OK;
}

static void every_allocation_may_fail(void **state)
{
    (void)state;
    int logins = 0;
    int refusals = 0;
    for (int side = 0; side < 2; side++) {
        test_memory m;
        for (test_memory_init(&m); test_memory_round(&m);) {
            rig_init(&client, NACRE_CLIENT);
            rig_init(&server, NACRE_SERVER);
            (side ? &server : &client)->link.alloc = &m.hooks;
            bool in = rig_open(&client) == NACRE_OK && rig_open(&server) == NACRE_OK &&
                      client.service.start(client.service.ctx) == NACRE_OK &&
                      server.service.start(server.service.ctx) == NACRE_OK && whole_login();
            assert_true(in || (m.failed && client.authenticated == 0));
            refusals += in ? 0 : 1;
            logins += !m.failed ? 1 : 0;
            unpair();
        }
    }
    assert_int_equal(logins, 2);
    assert_true(refusals > 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(none_refused_then_password),
        cmocka_unit_test(none_accepted),
        cmocka_unit_test(publickey_private_signs_at_once),
        cmocka_unit_test(publickey_public_asks_first),
        cmocka_unit_test(signer_that_gives_up_or_is_wrong),
        cmocka_unit_test(interactive_two_rounds),
        cmocka_unit_test(interactive_given_up_then_password),
        cmocka_unit_test(password_change),
        cmocka_unit_test(two_factors),
        cmocka_unit_test(two_keys_must_differ),
        cmocka_unit_test(attempt_before_start_leaves_with_it),
        cmocka_unit_test(banner_comes_with_the_first_request),
        cmocka_unit_test(every_allocation_may_fail),
    };
    return cmocka_run_group_tests_name("userauth: client and server", tests, make_keys, free_keys);
}
