/*
 * test_client_hosts.c - logging in by a key of this host (hostbased): given, from a file, or by a program
 * that signs; and servers that let in whoever comes, which a client may refuse.
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
#include <sys/stat.h>
#include <unistd.h>

static nacre_key *host, *other;
static char told[4096]; /* every warning */

static int make_keys(void **state)
{
    (void)state;
    nacre_error err;
    assert_int_equal(nacre_key_generate(&host, NULL, "ed25519", 0, &err), NACRE_OK);
    assert_int_equal(nacre_key_generate(&other, NULL, "ecdsa", 256, &err), NACRE_OK);
    return 0;
}

static int free_keys(void **state)
{
    (void)state;
    nacre_key_free(host);
    nacre_key_free(other);
    return 0;
}

static void warn(void *user, const char *text)
{
    size_t n = strlen(told);
    (void)user;
    (void)snprintf(told + n, sizeof(told) - n, "%s\n", text);
}

static void init(stage *s)
{
    stage_init(s);
    told[0] = '\0';
    s->methods = "hostbased,publickey,password";
    s->peer_host = host;
    s->cfg.hostbased = true;
    s->cfg.client_host = "client.test.";
    s->cfg.client_user = "bob";
    s->cfg.callbacks.warning = warn;
}

static int log_in(stage *s)
{
    stage_open(s);
    return nacre_client_login(s->c, s->fd, s->fd, "host", 22);
}

static void put_private(const char *path, const nacre_key *key)
{
    nacre_span none = {NULL, 0};
    char *text = NULL;
    size_t n = 0;
    assert_int_equal(nacre_key_to_private(key, none, 0, &text, &n), NACRE_OK);
    stage_write(path, text, 0600);
    nacre_secret_free(NULL, text, n);
}

/* ---- keys ------------------------------------------------------------------------------------------------ */

static void test_given_keys(void **state)
{
    (void)state;
    stage s;
    nacre_key *keys[2] = {other, host};
    init(&s);
    s.cfg.host_keys = keys;
    s.cfg.host_key_count = 2;
    assert_int_equal(log_in(&s), NACRE_OK);
    assert_int_equal(s.hosts, 2); /* the first one is not known there */
    assert_int_equal(s.keys + s.passwords, 0);
    assert_string_equal(s.host_said, "client.test.");
    assert_string_equal(s.user_said, "bob");
    assert_string_equal(told, "");
    stage_clear(&s);
}

static void test_off_unless_wished(void **state)
{
    (void)state;
    stage s;
    init(&s);
    s.cfg.host_keys = &host;
    s.cfg.host_key_count = 1;
    s.cfg.hostbased = false;
    assert_int_equal(log_in(&s), NACRE_AUTH_FAILED);
    assert_int_equal(s.hosts, 0);
    stage_close(&s);
    s.cfg.hostbased = true;
    s.cfg.preferred_auth = "publickey,password";
    assert_int_equal(log_in(&s), NACRE_AUTH_FAILED);
    assert_int_equal(s.hosts, 0);
    stage_close(&s);
    s.cfg.preferred_auth = NULL;
    s.cfg.transport.hostbased = "rsa-sha2-512"; /* not the key's */
    assert_int_equal(log_in(&s), NACRE_AUTH_FAILED);
    assert_int_equal(s.hosts, 0);
    stage_clear(&s);
}

static void test_files(void **state)
{
    (void)state;
    stage s;
    init(&s);
    const char *files[] = {"/nonexistent/key", s.path, s.path2};
    put_private(s.path, other);
    put_private(s.path2, host);
    s.cfg.host_key_files = files;
    s.cfg.host_key_file_count = 3;
    assert_int_equal(log_in(&s), NACRE_OK);
    assert_int_equal(s.hosts, 2);
    stage_clear(&s);
}

static void test_default_names(void **state)
{
    (void)state;
    stage s;
    init(&s);
    s.cfg.client_host = s.cfg.client_user = NULL;
    s.cfg.host_keys = &host;
    s.cfg.host_key_count = 1;
    assert_int_equal(log_in(&s), NACRE_OK);
    size_t n = strlen(s.host_said);
    assert_true(n > 1 && s.host_said[n - 1] == '.' && s.host_said[n - 2] != '.');
    assert_true(s.user_said[0] != '\0');
    stage_clear(&s);
}

static void test_then_the_next_method(void **state)
{
    (void)state;
    stage s;
    init(&s);
    s.cfg.host_keys = &other;
    s.cfg.host_key_count = 1;
    s.cfg.password = text_span("open sesame");
    assert_int_equal(log_in(&s), NACRE_OK);
    assert_int_equal(s.hosts, 1);
    assert_int_equal(s.passwords, 1);
    stage_clear(&s);
}

static void test_one_at_a_time(void **state)
{
    (void)state;
    stage s;
    init(&s);
    stage_open(&s);
    assert_int_equal(nacre_client_connect_fd(s.c, s.fd, s.fd, "host", 22), NACRE_OK);
    assert_int_equal(nacre_client_auth_hostbased(s.c, other), NACRE_AUTH_FAILED);
    assert_non_null(strstr(nacre_client_error(s.c)->text, "the host key was refused"));
    assert_int_equal(nacre_client_auth_hostbased(s.c, host), NACRE_OK);
    stage_clear(&s);
}

/* ---- a program that signs ------------------------------------------------------------------------------ */

/* The private half cannot be read, the public one can. */
static void put_public(stage *s)
{
    char line[1024], name[160];
    assert_true(nacre_key_public_line(host, line, sizeof(line)) > 0);
    stage_write(s->path, "not a key that we can read", 0600);
    (void)snprintf(name, sizeof(name), "%s.pub", s->path);
    stage_write(name, line, 0644);
}

static void drop_public(const stage *s)
{
    char name[160];
    (void)snprintf(name, sizeof(name), "%s.pub", s->path);
    assert_int_equal(unlink(name), 0);
}

static void test_bad_programs(void **state)
{
    (void)state;
    /* one that is not there, ends, says its question back, says too much, an old version, nothing of a signature */
    static const char *const programs[] = {
        NULL,
        "#!/bin/sh\nexit 1\n",
        "#!/bin/sh\nexec cat\n",
        "#!/bin/sh\nprintf '\\377\\377\\377\\377'; head -c 300000 /dev/zero\n",
        "#!/bin/sh\nprintf '\\0\\0\\0\\006\\001\\0\\0\\0\\001x'\n",
        "#!/bin/sh\nprintf '\\0\\0\\0\\005\\002\\0\\0\\0\\0'\n",
        "#!/bin/sh\nprintf '\\0\\0\\0\\006\\002\\0\\0\\0\\001x'\n",
        "#!/bin/sh\nprintf '\\0\\0\\0\\007\\002\\0\\0\\0\\001xy'\n",
    };
    for (size_t i = 0; i < sizeof(programs) / sizeof(programs[0]); i++) {
        stage s;
        init(&s);
        put_public(&s);
        const char *files[] = {s.path};
        s.cfg.host_key_files = files;
        s.cfg.host_key_file_count = 1;
        s.cfg.keysign = programs[i] ? s.path2 : "/nonexistent/ssh-keysign";
        s.cfg.password = text_span("open sesame");
        if (programs[i]) {
            stage_write(s.path2, programs[i], 0755);
        }
        assert_int_equal(log_in(&s), NACRE_OK); /* by what comes next */
        assert_int_equal(s.hosts, 0);
        assert_int_equal(s.passwords, 1);
        if (i < 6) {
            assert_non_null(strstr(told, "sign"));
        }
        drop_public(&s);
        stage_clear(&s);
    }
}

static void test_nothing_can_sign(void **state)
{
    (void)state;
    stage s;
    init(&s);
    put_public(&s);
    const char *files[] = {s.path};
    s.cfg.host_key_files = files;
    s.cfg.host_key_file_count = 1;
    assert_int_equal(log_in(&s), NACRE_AUTH_FAILED);
    assert_int_equal(s.hosts, 0);
    assert_non_null(strstr(told, "EnableSSHKeysign"));
    drop_public(&s);
    stage_clear(&s);
}

/* ---- logins that cost nothing ------------------------------------------------------------------------- */

static void test_trivial_logins(void **state)
{
    (void)state;
    for (int real = 0; real < 2; real++) {
        stage s;
        stage_init(&s);
        s.cfg.require_real_auth = real;
        s.grant_none = true;
        assert_int_equal(log_in(&s), real ? NACRE_AUTH_FAILED : NACRE_OK);
        assert_int_equal(nacre_transport_authenticated(nacre_client_transport(s.c)), !real);
        if (real) {
            assert_non_null(strstr(nacre_client_error(s.c)->text, "without asking"));
        }
        stage_close(&s);
        s.grant_none = false;
        s.grant_unasked = true;
        s.methods = "keyboard-interactive";
        s.cfg.password = text_span("never asked for");
        assert_int_equal(log_in(&s), real ? NACRE_AUTH_FAILED : NACRE_OK);
        stage_close(&s);
        s.methods = "password"; /* what was asked for is a login */
        s.cfg.password = text_span("open sesame");
        assert_int_equal(log_in(&s), NACRE_OK);
        stage_close(&s);
        s.methods = "publickey";
        s.cfg.keys = &s.user_key;
        s.cfg.key_count = 1;
        assert_int_equal(log_in(&s), NACRE_OK);
        stage_clear(&s);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_given_keys),
        cmocka_unit_test(test_off_unless_wished),
        cmocka_unit_test(test_files),
        cmocka_unit_test(test_default_names),
        cmocka_unit_test(test_then_the_next_method),
        cmocka_unit_test(test_one_at_a_time),
        cmocka_unit_test(test_bad_programs),
        cmocka_unit_test(test_nothing_can_sign),
        cmocka_unit_test(test_trivial_logins),
    };
    return cmocka_run_group_tests_name("client: host keys", tests, make_keys, free_keys);
}
