/*
 * test_client_login.c - whom we trust and how we get in: every policy against every state of known_hosts,
 * every method, partial success, locked key files, and servers that keep silent.
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

/* ---- host keys ---- */

typedef enum knowledge {
    KNOWS_NOTHING,
    KNOWS_IT,
    KNOWS_ANOTHER,
    KNOWS_OTHER_TYPE,
    REVOKED
} knowledge;

typedef struct trust_case {
    knowledge known;
    nacre_host_policy policy;
    bool says_yes; /* ask_host does */
    int rc;
    bool remembered;
} trust_case;

static void make_known(stage *s, knowledge k, nacre_known_hosts **hosts)
{
    nacre_key *other = NULL;
    char line[2048] = "", key[1024];
    const nacre_key *shown = s->host_key;
    if (k == KNOWS_ANOTHER || k == KNOWS_OTHER_TYPE) {
        assert_int_equal(nacre_key_generate(&other, NULL, k == KNOWS_ANOTHER ? "ed25519" : "ecdsa",
                                            k == KNOWS_ANOTHER ? 0 : 256, &s->err),
                         NACRE_OK);
        shown = other;
    }
    if (k != KNOWS_NOTHING) {
        assert_true(nacre_key_public_line(shown, key, sizeof(key)) > 0);
        (void)snprintf(line, sizeof(line), "# comment\n%s[host]:2222 %s\n",
                       k == REVOKED ? "@revoked " : "", key);
    }
    nacre_key_free(other);
    assert_int_equal(nacre_known_hosts_new(hosts, NULL), NACRE_OK);
    assert_int_equal(nacre_known_hosts_add_text(*hosts, text_span(line), "the-file"), NACRE_OK);
}

static unsigned asked;

static bool yes(void *user, const nacre_host_question *q)
{
    (void)user;
    asked++;
    assert_string_equal(q->host, "host");
    assert_int_equal(q->port, 2222);
    return true;
}

static bool no(void *user, const nacre_host_question *q)
{
    (void)yes(user, q);
    return false;
}

static bool file_has(const char *path, const char *text)
{
    char buf[4096];
    FILE *f = fopen(path, "r");
    if (!f) {
        return false;
    }
    size_t n = fread(buf, 1, sizeof(buf) - 1, f);
    (void)fclose(f);
    buf[n] = '\0';
    return strstr(buf, text) != NULL;
}

static void try_trust(const trust_case *t)
{
    stage s;
    nacre_known_hosts *hosts;
    stage_init(&s);
    make_known(&s, t->known, &hosts);
    asked = 0;
    s.cfg.known_hosts = hosts;
    s.cfg.known_hosts_file = s.path;
    s.cfg.host_policy = t->policy;
    s.cfg.callbacks.ask_host = t->says_yes ? yes : no;
    stage_open(&s);
    int rc = nacre_client_connect_fd(s.c, s.fd, s.fd, "host", 2222);
    assert_int_equal(rc, t->rc);
    assert_int_equal(file_has(s.path, "[host]:2222 ssh-ed25519 "), t->remembered);
    if (rc != NACRE_OK) {
        assert_non_null(strstr(nacre_client_error(s.c)->text, "[host]:2222"));
    }
    if (rc == NACRE_HOST_KEY_CHANGED) {
        assert_non_null(strstr(nacre_client_error(s.c)->text, "the-file:2"));
        assert_non_null(strstr(nacre_client_error(s.c)->text, "ssh-keygen -f 'the-file' -R"));
    }
    bool question =
        t->policy == NACRE_HOST_ASK && (t->known == KNOWS_NOTHING || t->known == KNOWS_OTHER_TYPE);
    assert_int_equal(asked, question ? 1 : 0);
    stage_clear(&s);
    nacre_known_hosts_free(hosts);
}

static void test_every_policy(void **state)
{
    (void)state;
    static const trust_case cases[] = {
        {KNOWS_NOTHING, NACRE_HOST_REJECT, true, NACRE_HOST_KEY_UNKNOWN, false},
        {KNOWS_NOTHING, NACRE_HOST_ACCEPT_NEW, false, NACRE_OK, true},
        {KNOWS_NOTHING, NACRE_HOST_ASK, true, NACRE_OK, true},
        {KNOWS_NOTHING, NACRE_HOST_ASK, false, NACRE_HOST_KEY_REJECTED, false},
        {KNOWS_NOTHING, NACRE_HOST_INSECURE, false, NACRE_OK, true},
        {KNOWS_IT, NACRE_HOST_REJECT, false, NACRE_OK, false},
        {KNOWS_IT, NACRE_HOST_ACCEPT_NEW, false, NACRE_OK, false},
        {KNOWS_IT, NACRE_HOST_ASK, false, NACRE_OK, false},
        {KNOWS_IT, NACRE_HOST_INSECURE, false, NACRE_OK, false},
        {KNOWS_ANOTHER, NACRE_HOST_REJECT, true, NACRE_HOST_KEY_CHANGED, false},
        {KNOWS_ANOTHER, NACRE_HOST_ACCEPT_NEW, true, NACRE_HOST_KEY_CHANGED, false},
        {KNOWS_ANOTHER, NACRE_HOST_ASK, true, NACRE_HOST_KEY_CHANGED, false},
        {KNOWS_ANOTHER, NACRE_HOST_INSECURE, true, NACRE_OK, false},
        {KNOWS_OTHER_TYPE, NACRE_HOST_REJECT, true, NACRE_HOST_KEY_OTHER_TYPE, false},
        {KNOWS_OTHER_TYPE, NACRE_HOST_ACCEPT_NEW, true, NACRE_HOST_KEY_OTHER_TYPE, false},
        {KNOWS_OTHER_TYPE, NACRE_HOST_ASK, true, NACRE_OK, true},
        {KNOWS_OTHER_TYPE, NACRE_HOST_ASK, false, NACRE_HOST_KEY_REJECTED, false},
        {KNOWS_OTHER_TYPE, NACRE_HOST_INSECURE, true, NACRE_OK, true},
        {REVOKED, NACRE_HOST_REJECT, true, NACRE_HOST_KEY_REVOKED, false},
        {REVOKED, NACRE_HOST_ACCEPT_NEW, true, NACRE_HOST_KEY_REVOKED, false},
        {REVOKED, NACRE_HOST_ASK, true, NACRE_HOST_KEY_REVOKED, false},
        {REVOKED, NACRE_HOST_INSECURE, true, NACRE_HOST_KEY_REVOKED, false},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        print_message("known %d, policy %d\n", (int)cases[i].known, (int)cases[i].policy);
        try_trust(&cases[i]);
    }
}

/* With nobody to ask, asking is refusing. */
static void test_ask_without_anybody(void **state)
{
    (void)state;
    stage s;
    stage_init(&s);
    s.cfg.host_policy = NACRE_HOST_ASK;
    stage_open(&s);
    assert_int_equal(nacre_client_connect_fd(s.c, s.fd, s.fd, "host", 22), NACRE_HOST_KEY_UNKNOWN);
    stage_clear(&s);
}

/* What is known comes first, so a server with several keys shows the one that we can check. */
static void test_known_types_are_preferred(void **state)
{
    (void)state;
    stage s;
    nacre_known_hosts *hosts;
    nacre_key *second;
    char key[1024], line[1200];
    stage_init(&s);
    assert_int_equal(nacre_key_generate(&second, NULL, "ecdsa", 384, &s.err), NACRE_OK);
    assert_true(nacre_key_public_line(second, key, sizeof(key)) > 0);
    (void)snprintf(line, sizeof(line), "alias %s\n", key);
    assert_int_equal(nacre_known_hosts_new(&hosts, NULL), NACRE_OK);
    assert_int_equal(nacre_known_hosts_add_text(hosts, text_span(line), ""), NACRE_OK);
    s.cfg.known_hosts = hosts;
    s.cfg.host_policy = NACRE_HOST_REJECT;
    s.cfg.host_key_alias = "alias"; /* whatever the port */
    stage_open(&s);
    assert_int_equal(nacre_transport_add_host_key(s.t, second), NACRE_OK);
    assert_int_equal(nacre_client_connect_fd(s.c, s.fd, s.fd, "host", 2222), NACRE_OK);
    assert_string_equal(nacre_transport_negotiated(nacre_client_transport(s.c))->host_key,
                        "ecdsa-sha2-nistp384");
    stage_clear(&s);
    nacre_key_free(second);
    nacre_known_hosts_free(hosts);
}

static void test_changed_host_gets_no_password(void **state)
{
    (void)state;
    stage s;
    nacre_known_hosts *hosts;
    stage_init(&s);
    make_known(&s, KNOWS_ANOTHER, &hosts);
    s.cfg.known_hosts = hosts;
    s.cfg.host_policy = NACRE_HOST_INSECURE;
    s.cfg.password = text_span("open sesame");
    stage_open(&s);
    assert_int_equal(nacre_client_login(s.c, s.fd, s.fd, "host", 2222), NACRE_AUTH_FAILED);
    assert_int_equal(s.passwords, 0);
    assert_int_equal(s.interactives, 0);
    assert_int_equal(nacre_client_auth_password(s.c, text_span("open sesame")),
                     NACRE_HOST_KEY_CHANGED);
    assert_int_equal(s.passwords, 0);
    assert_int_equal(nacre_client_auth_interactive(s.c), NACRE_HOST_KEY_CHANGED);
    assert_int_equal(s.interactives, 0);
    stage_clear(&s);
    nacre_known_hosts_free(hosts);
}

/* ---- methods ---- */

static int login(stage *s)
{
    stage_open(s);
    return nacre_client_login(s->c, s->fd, s->fd, "host", 22);
}

static void test_given_key_goes_at_once(void **state)
{
    (void)state;
    stage s;
    stage_init(&s);
    nacre_key *keys[1] = {s.user_key};
    s.cfg.keys = keys;
    s.cfg.key_count = 1;
    assert_int_equal(login(&s), NACRE_OK);
    assert_int_equal(s.nones, 0);
    assert_int_equal(s.keys, 1);
    assert_true(nacre_transport_authenticated(nacre_client_transport(s.c)));
    assert_int_equal(nacre_client_authenticate(s.c), NACRE_WRONG_STATE);
    stage_clear(&s);
}

static void test_one_method_at_a_time(void **state)
{
    (void)state;
    stage s;
    stage_init(&s);
    stage_open(&s);
    assert_int_equal(nacre_client_connect_fd(s.c, s.fd, s.fd, "host", 22), NACRE_OK);
    assert_string_equal(nacre_client_auth_methods(s.c), "");
    assert_int_equal(nacre_client_auth_none(s.c), NACRE_AUTH_FAILED);
    assert_string_equal(nacre_client_auth_methods(s.c), s.methods);
    assert_int_equal(nacre_client_auth_password(s.c, text_span("wrong")), NACRE_AUTH_FAILED);
    s.take_key = false;
    assert_int_equal(nacre_client_auth_key(s.c, s.user_key), NACRE_AUTH_FAILED);
    s.take_key = s.key_then_password = true;
    assert_int_equal(nacre_client_auth_key(s.c, s.user_key), NACRE_AUTH_PARTIAL);
    assert_string_equal(nacre_client_auth_methods(s.c), "password");
    assert_int_equal(nacre_client_auth_password(s.c, text_span("open sesame")), NACRE_OK);
    stage_clear(&s);
}

static void test_partial_success_goes_on(void **state)
{
    (void)state;
    stage s;
    stage_init(&s);
    nacre_key *keys[1] = {s.user_key};
    s.key_then_password = true;
    s.cfg.keys = keys;
    s.cfg.key_count = 1;
    s.cfg.password = text_span("open sesame");
    assert_int_equal(login(&s), NACRE_OK);
    assert_int_equal(s.keys, 1);
    assert_int_equal(s.passwords, 1);
    stage_clear(&s);
}

typedef struct asking {
    const char *answer; /* NULL: none */
    unsigned count;
    nacre_answer_kind kind;
    char prompt[256];
} asking;

static int reply(void *user, nacre_answer_kind kind, const char *prompt, bool echo,
                 unsigned attempt, char *out, size_t size)
{
    asking *a = user;
    assert_false(echo);
    assert_true(attempt >= 1);
    a->count++;
    a->kind = kind;
    (void)snprintf(a->prompt, sizeof(a->prompt), "%s", prompt);
    if (!a->answer) {
        return -1;
    }
    assert_true(strlen(a->answer) < size);
    memcpy(out, a->answer, strlen(a->answer));
    return (int)strlen(a->answer);
}

static void test_asking_for_passwords(void **state)
{
    (void)state;
    stage s;
    asking a = {"wrong", 0, NACRE_ASK_PROMPT, ""};
    stage_init(&s);
    s.methods = "password";
    s.cfg.callbacks.ask_secret = reply;
    s.cfg.callbacks.user = &a;
    s.cfg.password_prompts = 2;
    assert_int_equal(login(&s), NACRE_AUTH_FAILED);
    assert_int_equal(a.count, 2);
    assert_int_equal(a.kind, NACRE_ASK_PASSWORD);
    assert_string_equal(a.prompt, "alice@host's password: ");
    assert_int_equal(s.nones, 1);
    assert_non_null(
        strstr(nacre_client_error(s.c)->text, "alice@host: Permission denied (password)."));
    stage_close(&s);
    a.answer = NULL; /* whoever gives up is not asked again */
    a.count = 0;
    assert_int_equal(login(&s), NACRE_AUTH_FAILED);
    assert_int_equal(a.count, 1);
    stage_close(&s);
    a.answer = "open sesame";
    assert_int_equal(login(&s), NACRE_OK);
    stage_clear(&s);
}

static void test_keyboard_interactive(void **state)
{
    (void)state;
    stage s;
    asking a = {"42", 0, NACRE_ASK_PASSWORD, ""};
    stage_init(&s);
    s.methods = "keyboard-interactive";
    s.cfg.callbacks.ask_secret = reply;
    s.cfg.callbacks.user = &a;
    assert_int_equal(login(&s), NACRE_OK);
    assert_int_equal(a.kind, NACRE_ASK_PROMPT);
    assert_string_equal(a.prompt, "(alice@host) Code: ");
    stage_close(&s);
    /* A single hidden prompt gets the configured password, once. */
    s.cfg.password = text_span("42");
    a.count = 0;
    assert_int_equal(login(&s), NACRE_OK);
    assert_int_equal(a.count, 0);
    stage_close(&s);
    s.cfg.password = text_span("41");
    assert_int_equal(login(&s), NACRE_OK);
    assert_int_equal(a.count, 1);
    assert_int_equal(s.interactives, 2);
    stage_clear(&s);
}

static void test_interactive_alone(void **state)
{
    (void)state;
    stage s;
    asking a = {"41", 0, NACRE_ASK_PASSWORD, ""};
    stage_init(&s);
    s.cfg.callbacks.ask_secret = reply;
    s.cfg.callbacks.user = &a;
    stage_open(&s);
    assert_int_equal(nacre_client_auth_interactive(s.c), NACRE_WRONG_STATE);
    assert_int_equal(nacre_client_connect_fd(s.c, s.fd, s.fd, "host", 22), NACRE_OK);
    assert_int_equal(nacre_client_auth_interactive(s.c), NACRE_AUTH_FAILED);
    assert_string_equal(a.prompt, "(alice@host) Code: ");
    a.answer = "42";
    assert_int_equal(nacre_client_auth_interactive(s.c), NACRE_OK);
    assert_int_equal(a.count, 2);
    assert_int_equal(nacre_client_auth_interactive(s.c), NACRE_WRONG_STATE);
    stage_clear(&s);
}

static void test_nothing_to_try(void **state)
{
    (void)state;
    stage s;
    stage_init(&s);
    assert_int_equal(login(&s), NACRE_AUTH_FAILED);
    assert_int_equal(s.nones, 1);
    assert_int_equal(s.passwords + s.keys + s.interactives, 0);
    stage_clear(&s);
}

/* ---- key files ---- */

static void write_key(const stage *s, const char *passphrase, unsigned mode)
{
    char *text = NULL;
    size_t n = 0;
    nacre_span pass = passphrase ? text_span(passphrase) : (nacre_span){NULL, 0};
    assert_int_equal(nacre_key_to_private(s->user_key, pass, 1, &text, &n), NACRE_OK);
    char *copy = strndup(text, n);
    assert_non_null(copy);
    stage_write(s->path, copy, mode);
    free(copy);
    nacre_secret_free(NULL, text, n);
}

static void use_file(stage *s, const char **files)
{
    files[0] = s->path2; /* does not exist */
    files[1] = s->path;
    s->cfg.key_files = files;
    s->cfg.key_file_count = 2;
}

static void test_key_files(void **state)
{
    (void)state;
    stage s;
    const char *files[2];
    stage_init(&s);
    use_file(&s, files);
    write_key(&s, NULL, 0600);
    assert_int_equal(login(&s), NACRE_OK);
    assert_int_equal(s.nones, 0);
    stage_close(&s);
    /* What others may read proves nothing: it is not even offered. */
    write_key(&s, NULL, 0644);
    assert_int_equal(login(&s), NACRE_AUTH_FAILED);
    assert_int_equal(s.keys + s.probes, 0);
    stage_clear(&s);
}

static void test_locked_key_file(void **state)
{
    (void)state;
    stage s;
    const char *files[2];
    asking a = {"pass phrase", 0, NACRE_ASK_PROMPT, ""};
    stage_init(&s);
    s.methods = "publickey";
    use_file(&s, files);
    write_key(&s, "pass phrase", 0600);
    s.cfg.callbacks.ask_secret = reply;
    s.cfg.callbacks.user = &a;
    assert_int_equal(login(&s), NACRE_OK);
    assert_int_equal(a.kind, NACRE_ASK_PASSPHRASE);
    assert_int_equal(a.count, 1);
    assert_int_equal(s.probes, 1);
    stage_close(&s);
    /* A key that the server does not want is not unlocked. */
    s.take_key = false;
    a.count = 0;
    assert_int_equal(login(&s), NACRE_AUTH_FAILED);
    assert_int_equal(a.count, 0);
    stage_close(&s);
    s.take_key = true;
    a.answer = "wrong";
    assert_int_equal(login(&s), NACRE_AUTH_FAILED);
    assert_int_equal(a.count, 3);
    assert_int_equal(s.keys, 0);
    stage_close(&s);
    /* Nobody to ask: not tried at all. */
    s.cfg.callbacks.ask_secret = NULL;
    assert_int_equal(login(&s), NACRE_AUTH_FAILED);
    assert_int_equal(s.probes, 0);
    stage_clear(&s);
}

/* ---- silence ---- */

static void test_login_deadline(void **state)
{
    (void)state;
    stage s;
    stage_init(&s);
    s.keep_silent_on_auth = true;
    s.cfg.timeout_ms = 60;
    s.cfg.password = text_span("open sesame");
    s.cfg.preferred_auth = "password";
    assert_int_equal(login(&s), NACRE_TIMEOUT);
    assert_non_null(strstr(nacre_client_error(s.c)->text, "authentication"));
    /* The answer of the attempt that we left belongs to it, not to the next one. */
    assert_int_equal(nacre_client_authenticate(s.c), NACRE_TIMEOUT);
    assert_int_equal(s.passwords, 1);
    nacre_answer no_;
    memset(&no_, 0, sizeof(no_));
    assert_int_equal(nacre_transport_answer(s.t, s.unanswered, &no_), NACRE_OK);
    nacre_driver_kick(s.d);
    s.keep_silent_on_auth = false;
    for (int i = 0; i < 100 && s.passwords < 2; i++) {
        int rc = nacre_client_authenticate(s.c);
        assert_true(rc == NACRE_OK || rc == NACRE_TIMEOUT); /* the refusal is delayed on purpose */
    }
    assert_int_equal(s.passwords, 2);
    assert_true(nacre_transport_authenticated(nacre_client_transport(s.c)));
    stage_clear(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_policy),
        cmocka_unit_test(test_ask_without_anybody),
        cmocka_unit_test(test_known_types_are_preferred),
        cmocka_unit_test(test_changed_host_gets_no_password),
        cmocka_unit_test(test_given_key_goes_at_once),
        cmocka_unit_test(test_one_method_at_a_time),
        cmocka_unit_test(test_partial_success_goes_on),
        cmocka_unit_test(test_asking_for_passwords),
        cmocka_unit_test(test_keyboard_interactive),
        cmocka_unit_test(test_interactive_alone),
        cmocka_unit_test(test_nothing_to_try),
        cmocka_unit_test(test_key_files),
        cmocka_unit_test(test_locked_key_file),
        cmocka_unit_test(test_login_deadline),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
