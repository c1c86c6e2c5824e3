/*
 * test_client_agent.c - logging in with an agent that runs in the same loop: were the client ever to wait
 * for it outside of the loop, nobody would answer.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "client_server.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef enum person { SAYS_YES, SAYS_NO, SAYS_NOTHING, TAKES_TIME, KILLS_SERVER, CANCELS } person;

typedef struct scene {
    stage s;
    nacre_keyring *ring;
    nacre_keyring_server *agent;
    person person;
    uint32_t ticket;
    unsigned asked;
    nacre_key *other[3];
    bool may_add;
} scene;

static scene sc;

static void say_yes_late(void *user)
{
    (void)user;
    assert_int_equal(nacre_keyring_answer(sc.ring, sc.ticket, true), NACRE_OK);
    nacre_keyring_server_kick(sc.agent);
}

static void kill_server(void *user)
{
    (void)user;
    nacre_driver_close(sc.s.d);
}

static void cancel(void *user)
{
    (void)user;
    nacre_client_cancel(sc.s.c);
}

static void on_confirm(void *user, const nacre_keyring_question *q)
{
    static void (*const later[])(void *user) = {
        [TAKES_TIME] = say_yes_late, [KILLS_SERVER] = kill_server, [CANCELS] = cancel};
    (void)user;
    sc.asked++;
    sc.ticket = q->ticket;
    if (sc.person <= SAYS_NO) {
        assert_int_equal(nacre_keyring_answer(q->keyring, q->ticket, sc.person == SAYS_YES),
                         NACRE_OK);
    } else if (sc.person != SAYS_NOTHING) {
        assert_int_equal(nacre_loop_timer(sc.s.loop, 50, later[sc.person], NULL, NULL), NACRE_OK);
    }
}

static void hold(nacre_key *k, bool confirm)
{
    nacre_agent_constraints c;
    nacre_agent_constraints_init(&c);
    c.confirm = confirm;
    assert_int_equal(nacre_keyring_add(sc.ring, k, &c, NULL), NACRE_OK);
}

static void begin(void)
{
    nacre_keyring_options o;
    memset(&sc, 0, sizeof(sc));
    stage_init(&sc.s);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(nacre_key_generate(&sc.other[i], NULL, "ed25519", 0, NULL), NACRE_OK);
    }
    nacre_keyring_options_init(&o);
    o.confirm = on_confirm;
    assert_int_equal(nacre_keyring_new(&sc.ring, &o, nacre_loop_now(sc.s.loop), 1700000000),
                     NACRE_OK);
    assert_int_equal(nacre_keyring_serve(&sc.agent, sc.s.loop, sc.ring, NULL, &sc.s.err), NACRE_OK);
    sc.s.cfg.use_agent = true;
    sc.s.cfg.agent_path = nacre_keyring_server_path(sc.agent);
    sc.s.methods = "publickey";
}

static void end(void)
{
    stage_close(&sc.s);
    nacre_keyring_server_free(sc.agent);
    nacre_keyring_free(sc.ring);
    for (int i = 0; i < 3; i++) {
        nacre_key_free(sc.other[i]);
    }
    stage_clear(&sc.s);
}

static int log_in(void)
{
    stage_open(&sc.s);
    return nacre_client_login(sc.s.c, sc.s.fd, sc.s.fd, "host", 2222);
}

static void write_key(const nacre_key *k, const char *path)
{
    char *text;
    size_t n;
    assert_int_equal(nacre_key_to_private(k, text_span(""), 0, &text, &n), NACRE_OK);
    stage_write(path, text, 0600);
    nacre_secret_free(NULL, text, n);
}

static void write_public(const nacre_key *k, const char *path)
{
    char line[1024];
    assert_true(nacre_key_public_line(k, line, sizeof(line)) > 0);
    stage_write(path, line, 0644);
}

/* ---- who gets in ---- */

static void a_key_of_the_agent_logs_in(void **state)
{
    (void)state;
    begin();
    hold(sc.other[0], false);
    hold(sc.s.user_key, false);
    hold(sc.other[1], false);
    assert_int_equal(log_in(), NACRE_OK);
    assert_int_equal(sc.s.probes, 2);
    end();
}

static void no_agent_no_key(void **state)
{
    (void)state;
    begin();
    hold(sc.s.user_key, false);
    sc.s.cfg.use_agent = false;
    assert_int_equal(log_in(), NACRE_AUTH_FAILED);
    assert_int_equal(sc.s.probes, 0);
    end();
    begin();
    sc.s.cfg.agent_path = "/nonexistent/agent";
    assert_int_equal(log_in(), NACRE_AUTH_FAILED);
    end();
}

static void named_keys_come_first(void **state)
{
    (void)state;
    begin();
    const char *files[] = {sc.s.path2, sc.s.path};
    hold(sc.other[0], false);
    hold(sc.other[1], false);
    hold(sc.s.user_key, false);
    write_public(sc.s.user_key, sc.s.path);
    write_key(sc.other[2], sc.s.path2);
    sc.s.cfg.key_files = files;
    sc.s.cfg.key_file_count = 2;
    assert_int_equal(log_in(), NACRE_OK);
    assert_int_equal(sc.s.probes, 1);
    end();
}

static void only_named_keys_where_asked_for(void **state)
{
    (void)state;
    begin();
    const char *files[] = {sc.s.path};
    hold(sc.s.user_key, false);
    hold(sc.other[0], false);
    write_public(sc.other[0], sc.s.path);
    sc.s.cfg.key_files = files;
    sc.s.cfg.key_file_count = 1;
    sc.s.cfg.identities_only = true;
    assert_int_equal(log_in(), NACRE_AUTH_FAILED);
    assert_int_equal(sc.s.probes, 1);
    assert_non_null(strstr(nacre_client_error(sc.s.c)->text, sc.s.path));
    end();
}

static void given_keys_come_before_all(void **state)
{
    (void)state;
    begin();
    nacre_key *given[] = {sc.s.user_key};
    hold(sc.other[0], true);
    sc.s.cfg.keys = given;
    sc.s.cfg.key_count = 1;
    assert_int_equal(log_in(), NACRE_OK);
    assert_int_equal(sc.asked, 0);
    end();
}

/* ---- bound to the session ---- */

static int log_in_to(const nacre_key *allowed)
{
    nacre_agent_constraints c;
    nacre_agent_host_key key = {allowed, false};
    nacre_agent_destination d = {{NULL, NULL, NULL, 0}, {"al?ce", "host", &key, 1}};
    nacre_agent_constraints_init(&c);
    c.destinations = &d;
    c.destination_count = 1;
    assert_int_equal(nacre_keyring_add(sc.ring, sc.s.user_key, &c, NULL), NACRE_OK);
    return log_in();
}

static void constrained_keys_work_where_they_may(void **state)
{
    (void)state;
    begin();
    assert_int_equal(log_in_to(sc.s.host_key), NACRE_OK);
    end();
    begin();
    assert_int_equal(log_in_to(sc.other[0]), NACRE_AUTH_FAILED);
    assert_int_equal(sc.s.probes, 0); /* it is not even shown */
    end();
}

/* ---- agents that take their time ---- */

static void a_slow_agent_does_not_stop_the_connection(void **state)
{
    (void)state;
    begin();
    sc.person = TAKES_TIME;
    hold(sc.s.user_key, true);
    assert_int_equal(log_in(), NACRE_OK);
    assert_int_equal(sc.asked, 1);
    end();
}

static void a_refusal_goes_on_with_the_next_key(void **state)
{
    (void)state;
    begin();
    const char *files[] = {sc.s.path};
    sc.person = SAYS_NO;
    hold(sc.s.user_key, true);
    sc.s.cfg.key_files = files;
    sc.s.cfg.key_file_count = 1;
    write_key(sc.other[0], sc.s.path);
    assert_int_equal(log_in(), NACRE_AUTH_FAILED);
    assert_int_equal(sc.asked, 1);
    assert_int_equal(sc.s.probes, 1);
    assert_int_equal(sc.s.keys, 1); /* what can sign does so at once */
    end();
}

static void an_agent_that_never_answers_is_left_behind(void **state)
{
    (void)state;
    begin();
    nacre_agent *lent = NULL;
    const char *files[] = {sc.s.path};
    sc.person = SAYS_NOTHING;
    hold(sc.other[0], true);
    sc.s.cfg.key_files = files;
    sc.s.cfg.key_file_count = 1;
    write_key(sc.s.user_key, sc.s.path);
    assert_int_equal(nacre_agent_open(&lent, NULL, sc.s.cfg.agent_path, NULL), NACRE_OK);
    nacre_agent_set_timeout(lent, 50, 5000);
    sc.s.cfg.agent = lent;
    /* The server would take it, and waits for a signature. */
    nacre_key *kept = sc.s.user_key;
    sc.s.user_key = sc.other[0];
    stage_open(&sc.s);
    int rc = nacre_client_login(sc.s.c, sc.s.fd, sc.s.fd, "host", 2222);
    sc.s.user_key = kept;
    assert_int_equal(rc, NACRE_AUTH_FAILED);
    assert_int_equal(sc.asked, 1);
    assert_int_equal(sc.s.probes, 1);
    assert_int_equal(sc.s.keys, 1); /* what can sign does so at once */
    stage_close(&sc.s);
    nacre_agent_free(lent);
    end();
}

static void the_end_of_the_connection_ends_the_wait(void **state)
{
    (void)state;
    begin();
    sc.person = KILLS_SERVER;
    hold(sc.s.user_key, true);
    int rc = log_in();
    assert_int_equal(rc, NACRE_CLOSED);
    assert_non_null(strstr(nacre_client_error(sc.s.c)->text, "Tried: "));
    end();
}

static void a_wait_for_the_agent_can_be_cancelled(void **state)
{
    (void)state;
    begin();
    sc.person = CANCELS;
    hold(sc.s.user_key, true);
    assert_int_equal(log_in(), NACRE_CANCELLED);
    end();
}

/* ---- AddKeysToAgent ---- */

static bool ask_add(void *user, const nacre_key *key, const char *path)
{
    (void)user;
    assert_true(nacre_key_is_private(key));
    assert_string_equal(path, sc.s.path);
    return sc.may_add;
}

static const nacre_key *add_by_login(nacre_add_keys how, uint32_t seconds, bool may)
{
    static const char *files[1];
    begin();
    files[0] = sc.s.path;
    sc.may_add = may;
    sc.s.cfg.key_files = files;
    sc.s.cfg.key_file_count = 1;
    sc.s.cfg.add_keys_to_agent = how;
    sc.s.cfg.add_keys_seconds = seconds;
    sc.s.cfg.ask_add_key = ask_add;
    write_key(sc.s.user_key, sc.s.path);
    assert_int_equal(log_in(), NACRE_OK);
    return nacre_keyring_at(sc.ring, 0);
}

static void keys_from_files_are_added(void **state)
{
    (void)state;
    assert_null(add_by_login(NACRE_ADD_KEYS_NO, 0, true));
    end();
    const nacre_key *k = add_by_login(NACRE_ADD_KEYS_YES, 60, false);
    assert_true(nacre_key_equal(k, sc.s.user_key));
    assert_string_equal(nacre_key_comment(k), sc.s.path);
    assert_true(nacre_keyring_deadline(sc.ring) != UINT64_MAX);
    end();
    assert_null(add_by_login(NACRE_ADD_KEYS_ASK, 0, false));
    end();
    assert_non_null(add_by_login(NACRE_ADD_KEYS_ASK, 0, true));
    end();
    assert_non_null(add_by_login(NACRE_ADD_KEYS_CONFIRM, 0, false));
    assert_int_equal(sc.asked, 0);
    stage_close(&sc.s);
    sc.s.cfg.key_file_count = 0;
    assert_int_equal(log_in(), NACRE_OK);
    assert_int_equal(sc.asked, 1);
    end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_key_of_the_agent_logs_in),
        cmocka_unit_test(no_agent_no_key),
        cmocka_unit_test(named_keys_come_first),
        cmocka_unit_test(only_named_keys_where_asked_for),
        cmocka_unit_test(given_keys_come_before_all),
        cmocka_unit_test(constrained_keys_work_where_they_may),
        cmocka_unit_test(a_slow_agent_does_not_stop_the_connection),
        cmocka_unit_test(a_refusal_goes_on_with_the_next_key),
        cmocka_unit_test(an_agent_that_never_answers_is_left_behind),
        cmocka_unit_test(the_end_of_the_connection_ends_the_wait),
        cmocka_unit_test(a_wait_for_the_agent_can_be_cancelled),
        cmocka_unit_test(keys_from_files_are_added),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
