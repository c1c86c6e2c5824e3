/*
 * test_auth_answers.c - what an application may answer in userauth, both roles, and what it may not: a wrong answer
 * changes nothing and leaves the question open. And the caps that end dialogues which both sides would go on with.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "auth/auth_state.h"
#include "fake_link.h"

#include <stdlib.h>
#include <string.h>

static nacre_key *key, *sk;
static rig r;
static nc_buf out;
static char large[70000];

static int make_keys(void **state)
{
    static const char point[32] = "any 32 bytes are a public key..";
    nc_buf blob;
    (void)state;
    nc_buf_init(&blob, NULL, 1000);
    assert_int_equal(nacre_key_generate(&key, NULL, "ed25519", 0, NULL), NACRE_OK);
    nacre_span b = pack(&blob, "sSs", "sk-ssh-ed25519@openssh.com", nc_span(point, 32), "ssh:");
    assert_int_equal(nacre_key_from_blob(&sk, NULL, b, NULL), NACRE_OK);
    nc_buf_clear(&blob);
    memset(large, 'l', sizeof(large) - 1);
    return 0;
}

static int free_keys(void **state)
{
    (void)state;
    nacre_key_free(key);
    nacre_key_free(sk);
    nc_buf_clear(&out);
    return 0;
}

static void start(nacre_role role)
{
    rig_init(&r, role);
    rig_start(&r);
}

/* The answer is wrong, and a better one can still be given. */
static void not_taken(const nacre_answer *ans, int status)
{
    size_t sent = r.sent_count;
    assert_int_equal(rig_answer(&r, ans), status);
    assert_int_equal(r.sent_count, sent);
    assert_int_equal(r.status, NACRE_OK);
    assert_int_equal(r.link.open_tickets, 1);
}

/* ---- clients -------------------------------------------------------------------------------------- */

/* USERAUTH_INFO_REQUEST with so many prompts. */
static nacre_span ask(uint32_t count)
{
    nacre_span p = pack(&out, "ysssu", 60, "", "", "", count);
    nc_wr w = nc_wr_init(&out);
    for (uint32_t i = 0; i < count; i++) {
        nc_wr_cstr(&w, "prompt");
        nc_wr_bool(&w, false);
    }
    assert_int_equal(nc_wr_err(&w), NACRE_OK);
    return nc_span(out.data, p.n + (size_t)count * 11);
}

static void responses_have_a_cap(void **state)
{
    nacre_span two[] = {nc_span(large, NC_AUTH_MAX_RESPONSES), nc_span("x", 1)};
    nacre_answer a = {.responses = two, .count = 2};
    (void)state;
    start(NACRE_CLIENT);
    assert_int_equal(nc_auth_interactive(r.auth, "alice", large), NACRE_TOO_LARGE);
    assert_int_equal(nc_auth_interactive(r.auth, "alice", "pam"), NACRE_OK);
    assert_int_equal(rig_step(&r, ask(2)), NACRE_OK);
    assert_int_equal(r.service.answer(r.service.ctx, r.ev.ticket, NULL), NACRE_INVALID_ARGUMENT);
    not_taken(&a, NACRE_TOO_LARGE);
    a.count = 1;
    not_taken(&a, NACRE_INVALID_ARGUMENT);
    a.count = 3;
    not_taken(&a, NACRE_INVALID_ARGUMENT);
    a.count = 2;
    two[0].n = NC_AUTH_MAX_RESPONSES - 1;
    assert_int_equal(rig_answer(&r, &a), NACRE_OK);
    assert_int_equal(r.link.open_tickets, 0);
    rig_clear(&r);
}

static void new_passwords_have_a_cap(void **state)
{
    nacre_span words[] = {nc_span(large, NC_MAX_PASSWORD + 1), nc_span("new", 3)};
    nacre_answer a = {.responses = words, .count = 2};
    (void)state;
    start(NACRE_CLIENT);
    assert_int_equal(nc_auth_password(r.auth, "alice", SPAN("old")), NACRE_OK);
    assert_int_equal(rig_step(&r, pack(&out, "yss", 60, "choose", "")), NACRE_OK);
    assert_int_equal(r.ev.type, NACRE_EVENT_AUTH_CHANGE_PASSWORD);
    not_taken(&a, NACRE_TOO_LARGE);
    words[1] = words[0];
    words[0] = nc_span("old", 3);
    not_taken(&a, NACRE_TOO_LARGE);
    a.count = 1;
    words[1].n = NC_MAX_PASSWORD;
    not_taken(&a, NACRE_INVALID_ARGUMENT);
    a.count = 2;
    assert_int_equal(rig_answer(&r, &a), NACRE_OK);
    rig_clear(&r);
}

static void a_cut_change_request(void **state)
{
    (void)state;
    for (size_t n = 1; n < 15; n++) {
        start(NACRE_CLIENT);
        assert_int_equal(nc_auth_password(r.auth, "alice", SPAN("old")), NACRE_OK);
        nacre_span p = pack(&out, "yss", 60, "choose", "");
        assert_int_equal(p.n, 15);
        /* of the language nothing is read, so it may be missing, or cut */
        assert_int_equal(rig_step(&r, nc_span(p.p, n)), n < 11 ? NACRE_MALFORMED : NACRE_OK);
        assert_int_equal(r.link.open_tickets, n < 11 ? 0 : 1);
        rig_clear(&r);
    }
}

/* What a security key signs has flags and a counter behind it (PROTOCOL.u2f): all of it, or it is no signature. */
static void signatures_of_security_keys(void **state)
{
    nc_buf sig;
    (void)state;
    nc_buf_init(&sig, NULL, 1000);
    nacre_span whole = pack(&sig, "sSyu", "sk-ssh-ed25519@openssh.com", nc_span(large, 64), 1, 7u);
    start(NACRE_CLIENT);
    assert_int_equal(nc_auth_publickey(r.auth, "alice", sk, NULL), NACRE_OK);
    nacre_span p = pack(&out, "ysS", 60, "sk-ssh-ed25519@openssh.com", nacre_key_blob(sk));
    assert_int_equal(rig_step(&r, p), NACRE_OK);
    assert_int_equal(r.ev.type, NACRE_EVENT_SIGN);
    for (size_t n = 1; n < whole.n; n++) {
        nacre_answer cut = {.signature = nc_span(whole.p, n)};
        not_taken(&cut, NACRE_INVALID_ARGUMENT);
    }
    nacre_answer a = {.signature = nc_span(large, NC_MAX_KEY_BLOB + 1)};
    not_taken(&a, NACRE_INVALID_ARGUMENT);
    a.signature = whole;
    assert_int_equal(rig_answer(&r, &a), NACRE_OK);
    nacre_span request = nc_buf_span(&r.sent[r.sent_count - 1]);
    assert_true(request.n > whole.n);
    assert_memory_equal(request.p + request.n - whole.n, whole.p, whole.n);
    rig_clear(&r);
    nc_buf_clear(&sig);
}

/* Names in the configuration that do not go with the key are passed over. */
static void algorithms_of_other_keys_are_passed_over(void **state)
{
    (void)state;
    start(NACRE_CLIENT);
    r.config.signature = "rsa-sha2-512,ecdsa-sha2-nistp256,ssh-ed25519";
    assert_int_equal(nc_auth_publickey(r.auth, "alice", key, NULL), NACRE_OK);
    assert_true(r.sent_count > 0);
    rig_clear(&r);
    start(NACRE_CLIENT);
    r.config.signature = "rsa-sha2-512,ecdsa-sha2-nistp256";
    assert_true(nc_auth_publickey(r.auth, "alice", key, NULL) < 0);
    assert_int_equal(r.sent_count, 0);
    rig_clear(&r);
}

/* ---- servers -------------------------------------------------------------------------------------- */

static nacre_span request(const char *method)
{
    if (strcmp(method, "password") == 0) {
        return pack(&out, "ysssos", 50, "alice", "ssh-connection", "password", 0, "pw");
    }
    return pack(&out, "ysssss", 50, "alice", "ssh-connection", method, "", "");
}

static void banners_have_a_cap(void **state)
{
    (void)state;
    start(NACRE_SERVER);
    assert_int_equal(nc_auth_send_banner(r.auth, NULL), NACRE_INVALID_ARGUMENT);
    assert_int_equal(nc_auth_send_banner(r.auth, large), NACRE_TOO_LARGE);
    assert_int_equal(nc_auth_send_banner(r.auth, "hello"), NACRE_OK);
    assert_int_equal(r.sent_count, 0); /* nobody has asked for anything yet */
    assert_int_equal(rig_step(&r, request("password")), NACRE_OK);
    assert_int_equal(r.sent[0].data[0], SSH_MSG_USERAUTH_BANNER);
    rig_clear(&r);
    start(NACRE_CLIENT);
    assert_int_equal(nc_auth_send_banner(r.auth, "hello"), NACRE_WRONG_STATE);
    rig_clear(&r);
}

static void method_lists_of_the_application(void **state)
{
    nacre_answer a = {.methods = "publickey,none"};
    (void)state;
    start(NACRE_SERVER);
    r.config.auth_methods = "publickey,password";
    assert_int_equal(rig_step(&r, request("password")), NACRE_OK);
    not_taken(&a, NACRE_INVALID_ARGUMENT);
    a.methods = "rot13";
    not_taken(&a, NACRE_INVALID_ARGUMENT);
    a.methods = "keyboard-interactive"; /* not configured */
    not_taken(&a, NACRE_INVALID_ARGUMENT);
    a.methods = large;
    not_taken(&a, NACRE_INVALID_ARGUMENT);
    a.methods = "publickey";
    assert_int_equal(rig_answer(&r, &a), NACRE_OK);
    rig_clear(&r);
}

static void prompts_have_a_cap(void **state)
{
    static nacre_prompt prompts[NC_AUTH_MAX_PROMPTS + 1];
    nacre_answer a = {.prompts = prompts, .prompt_count = NC_AUTH_MAX_PROMPTS + 1};
    (void)state;
    start(NACRE_SERVER);
    assert_int_equal(rig_step(&r, request("keyboard-interactive")), NACRE_OK);
    not_taken(&a, NACRE_TOO_LARGE);
    a.prompt_count = 1;
    prompts[0].text = nc_span(large, NC_AUTH_MAX_RESPONSES);
    not_taken(&a, NACRE_TOO_LARGE);
    a.prompts = NULL;
    not_taken(&a, NACRE_INVALID_ARGUMENT);
    a = (nacre_answer){.instruction = large};
    not_taken(&a, NACRE_TOO_LARGE);
    prompts[0].text = nc_span("p", 1);
    a = (nacre_answer){.prompts = prompts, .prompt_count = 1};
    assert_int_equal(rig_answer(&r, &a), NACRE_OK);
    rig_clear(&r);
}

/* Good methods before the last one: each keeps something, so there is a most. */
static void partial_successes_have_a_cap(void **state)
{
    nacre_answer partly = {.accept = true, .partial = true, .methods = "password"};
    (void)state;
    start(NACRE_SERVER);
    r.config.max_auth_tries = 100;
    for (int i = 0; i < NC_AUTH_MAX_PARTIALS; i++) {
        assert_int_equal(rig_step(&r, request("password")), NACRE_OK);
        assert_int_equal(rig_answer(&r, &partly), NACRE_OK);
    }
    assert_int_equal(rig_step(&r, request("password")), NACRE_OK);
    not_taken(&partly, NACRE_LIMIT);
    assert_int_equal(r.authenticated, 0);
    assert_int_equal(rig_verdict(&r, false), NACRE_OK);
    rig_clear(&r);
}

/* A dialogue that both would go on with for ever ends by the count of the client's messages. */
static void dialogues_end(void **state)
{
    const nacre_prompt prompt = {SPAN("again?"), true};
    nacre_answer again = {.prompts = &prompt, .prompt_count = 1};
    int rc = NACRE_OK;
    int rounds = 0;
    (void)state;
    start(NACRE_SERVER);
    assert_int_equal(rig_step(&r, request("keyboard-interactive")), NACRE_OK);
    while (rc == NACRE_OK && rounds < 2 * NC_AUTH_MAX_REQUESTS) {
        assert_int_equal(rig_answer(&r, &again), NACRE_OK);
        rc = rig_step(&r, pack(&out, "yus", 61, 1u, "yes"));
        rounds++;
    }
    assert_int_equal(rc, NACRE_AUTH_LIMIT);
    assert_int_equal(rounds, NC_AUTH_MAX_REQUESTS - 1);
    assert_int_equal(r.by, NACRE_BY_PEER);
    rig_clear(&r);
}

static void cut_responses(void **state)
{
    const nacre_prompt prompt = {SPAN("p"), true};
    nacre_answer a = {.prompts = &prompt, .prompt_count = 1};
    (void)state;
    for (size_t n = 1; n < 12; n++) {
        start(NACRE_SERVER);
        assert_int_equal(rig_step(&r, request("keyboard-interactive")), NACRE_OK);
        assert_int_equal(rig_answer(&r, &a), NACRE_OK);
        nacre_span p = pack(&out, "yus", 61, 1u, "yes");
        assert_int_equal(p.n, 12);
        assert_int_equal(rig_step(&r, nc_span(p.p, n)), NACRE_MALFORMED);
        rig_clear(&r);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(responses_have_a_cap),
        cmocka_unit_test(new_passwords_have_a_cap),
        cmocka_unit_test(a_cut_change_request),
        cmocka_unit_test(signatures_of_security_keys),
        cmocka_unit_test(algorithms_of_other_keys_are_passed_over),
        cmocka_unit_test(banners_have_a_cap),
        cmocka_unit_test(method_lists_of_the_application),
        cmocka_unit_test(prompts_have_a_cap),
        cmocka_unit_test(partial_successes_have_a_cap),
        cmocka_unit_test(dialogues_end),
        cmocka_unit_test(cut_responses),
    };
    return cmocka_run_group_tests(tests, make_keys, free_keys);
}
