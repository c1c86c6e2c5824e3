/*
 * test_sshd_match.c - Match blocks: whom they fit, what they may say, and what comes of them; the programs and
 * targets that a configuration names.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/mem.h"
#include "nacre/authorized_keys.h"
#include "nacre/sshd_config.h"
#include "support/memory.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *const staff[] = {"users", "staff"};

static nacre_sshd_facts somebody(void)
{
    nacre_sshd_facts f;
    nacre_sshd_facts_init(&f);
    f.user = "bob";
    f.groups = staff;
    f.group_count = 2;
    f.host = "Client.example.org";
    f.address = "192.0.2.7";
    f.local_address = "198.51.100.1";
    f.local_port = 2222;
    return f;
}

static nacre_sshd_config *read_text(const char *text)
{
    nacre_error err = {0};
    nacre_sshd_config *c = NULL;
    assert_int_equal(nacre_sshd_config_new(&c, NULL), NACRE_OK);
    if (nacre_sshd_config_text(c, nc_span_cstr(text), "test", &err) != NACRE_OK ||
        nacre_sshd_config_finish(c, &err) != NACRE_OK) {
        fail_msg("%s", err.text);
    }
    return c;
}

static nacre_sshd_config *match_text(const char *text, const nacre_sshd_facts *f)
{
    nacre_error err = {0};
    nacre_sshd_config *own = NULL;
    nacre_sshd_config *c = read_text(text);
    if (nacre_sshd_config_match(&own, c, f, &err) != NACRE_OK) {
        fail_msg("%s", err.text);
    }
    nacre_sshd_config_free(c); /* the copy stands alone */
    return own;
}

/* Does "Match <criteria>" fit? */
static bool fits(const char *criteria, const nacre_sshd_facts *f)
{
    char text[512];
    (void)snprintf(text, sizeof(text), "MaxSessions 1\nMatch %s\nMaxSessions 2\n", criteria);
    nacre_sshd_config *c = match_text(text, f);
    bool yes = nacre_sshd_config_settings(c)->max_sessions == 2;
    nacre_sshd_config_free(c);
    return yes;
}

static void criteria_that_fit(void **state)
{
    (void)state;
    nacre_sshd_facts f = somebody();
    static const char *const yes[] = {
        "all",
        "ALL",
        "user bob",
        "User=bob",
        "user alice,b*",
        "user *,!alice",
        "group staff",
        "group wheel,users",
        "host client.EXAMPLE.org",
        "host *.example.org",
        "address 192.0.2.0/24",
        "address 192.0.2.*",
        "address 10.0.0.0/8,192.0.2.7",
        "address *,!10.0.0.0/8",
        "localaddress 198.51.100.1",
        "localport 2222",
        "version nacre_*",
        "user bob group staff address 192.0.2.7",
        "user \"bob\"",
        "user bob # and nobody else",
    };
    for (size_t i = 0; i < sizeof(yes) / sizeof(yes[0]); i++) {
        if (!fits(yes[i], &f)) {
            fail_msg("no match: %s", yes[i]);
        }
    }
}

static void criteria_that_do_not(void **state)
{
    (void)state;
    nacre_sshd_facts f = somebody();
    static const char *const no[] = {
        "user alice",
        "user Bob",
        "user !bob",
        "user !alice", /* nothing but a negation fits nobody */
        "user bob,!bob",
        "user bo",
        "user \"alice bob\"",
        "group wheel",
        "group staff,!users", /* a group that is excluded decides */
        "host client.example.org,!client*",
        "host example.org",
        "address 192.0.2.0/25,!192.0.2.7",
        "address 10.0.0.0/8",
        "address ::/0",
        "localaddress 192.0.2.7",
        "localport 22",
        "rdomain 1",
        "invalid-user",
        "version OpenSSH*",
        "user bob address 10.0.0.1",
        "user alice address 192.0.2.7",
    };
    for (size_t i = 0; i < sizeof(no) / sizeof(no[0]); i++) {
        if (fits(no[i], &f)) {
            fail_msg("match: %s", no[i]);
        }
    }
    /* Of whom nothing is known, nothing but "all" says anything. */
    nacre_sshd_facts unknown;
    nacre_sshd_facts_init(&unknown);
    static const char *const known[] = {"user *",    "group *",           "host *",
                                        "address *", "address 0.0.0.0/0", "localaddress *",
                                        "rdomain *", "invalid-user",      "user *,!root"};
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        if (fits(known[i], &unknown)) {
            fail_msg("match: %s", known[i]);
        }
    }
    assert_true(fits("all", &unknown));
    /* A comma in a user's name makes no second entry of it. */
    f.user = "alice,bob";
    assert_false(fits("user bob", &f));
    f.user = "x";
    f.user_invalid = true;
    assert_true(fits("invalid-user", &f));
    assert_true(fits("invalid-user user x", &f));
    /* Without a name the client is its address. */
    f.host = NULL;
    assert_true(fits("host 192.0.2.7", &f));
}

static void what_holds(void **state)
{
    (void)state;
    nacre_sshd_facts f = somebody();
    static const char text[] = "AllowUsers alice\n"
                               "AcceptEnv LANG\n"
                               "ForceCommand global\n"
                               "MaxSessions 3\n"
                               "Subsystem sftp internal-sftp\n"
                               "Subsystem x /bin/x\n"
                               "PermitTTY yes\n"
                               "Match User bob\n"
                               "  ForceCommand none\n"
                               "  AcceptEnv LC_*\n"
                               "  AllowUsers bob\n"
                               "  Subsystem sftp /bin/other\n"
                               "  X11Forwarding yes\n"
                               "Match Address 192.0.2.0/24\n"
                               "  MaxSessions 4\n"
                               "  X11Forwarding no\n"
                               "  AcceptEnv Y\n"
                               "Match User alice\n"
                               "  MaxSessions 5\n";
    nacre_sshd_config *c = match_text(text, &f);
    const nacre_sshd_settings *s = nacre_sshd_config_settings(c);
    assert_null(s->force_command);
    assert_int_equal(s->max_sessions, 4);
    assert_true(s->x11_forwarding); /* the first block that fits */
    assert_int_equal(s->allow_users.count, 1);
    assert_string_equal(s->allow_users.items[0], "bob");
    assert_int_equal(s->accept_env.count, 2); /* of all that fit, and none of the global ones */
    assert_int_equal(s->subsystem_count, 2);
    assert_string_equal(s->subsystems[0].command, "/bin/other");
    assert_string_equal(s->subsystems[1].name, "x");
    assert_int_equal(s->login_grace_seconds, 120);
    assert_false(nacre_sshd_config_has_match(c));
    nacre_sshd_config *again = NULL;
    assert_int_equal(nacre_sshd_config_match(&again, c, &f, NULL), NACRE_WRONG_STATE);
    nacre_sshd_config_free(c);
    /* The global configuration has none of it. */
    c = read_text(text);
    s = nacre_sshd_config_settings(c);
    assert_true(nacre_sshd_config_has_match(c));
    assert_string_equal(s->force_command, "global");
    assert_int_equal(s->max_sessions, 3);
    assert_string_equal(s->allow_users.items[0], "alice");
    nacre_sshd_config_free(c);
}

/* "Match all" ends what stands before it: the rest of the file is everybody's again. */
static void back_to_everybody(void **state)
{
    (void)state;
    nacre_sshd_facts f = somebody();
    nacre_sshd_config *c = match_text("RekeyLimit 1G 1h\nMatch User x\nPermitTTY no\nMatch all\n"
                                      "Port 99\nMaxSessions 4\nRekeyLimit 2G\nMatch User x\n"
                                      "MaxSessions 5\n",
                                      &f);
    const nacre_sshd_settings *s = nacre_sshd_config_settings(c);
    assert_int_equal(s->port_count, 1);
    assert_int_equal(s->ports[0], 99);
    assert_int_equal(s->max_sessions, 4);
    assert_true(s->permit_tty);
    assert_true(s->rekey_bytes == (uint64_t)2 << 30);
    assert_int_equal(s->rekey_seconds, 3600);
    nacre_sshd_config_free(c);
}

static void bad_blocks_are_named(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "Match",
        "Match ",
        "Match User",
        "Match User \"\"",
        "Match User=",
        "Match nonsense x",
        "Match all user bob",
        "Match user bob all",
        "Match all=yes",
        "Match invalid-user=yes",
        "Match localport 0",
        "Match localport 22,23",
        "Match localport ssh",
        "Match address 10.0.0.0/33",
        "Match address 10.0.0.1/8",
        "Match localaddress ::1/64",
        "Match user \"bob",
        "Match user *\nPort 22",
        "Match user *\nHostKey /k",
        "Match address *\nUsePAM no",
        "Match invalid-user\nMaxStartups 3",
        "Match all\nMaxSessions many",
        "Match all\nNoSuchThing 1",
        "Match user nobody-at-all\nForceCommand",
        "Match all\nPermitTTY yes\nPermitTTY maybe",
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        nacre_error err = {0};
        nacre_sshd_config *c = NULL;
        assert_int_equal(nacre_sshd_config_new(&c, NULL), NACRE_OK);
        if (nacre_sshd_config_text(c, nc_span_cstr(bad[i]), "test", &err) == NACRE_OK) {
            fail_msg("taken: %s", bad[i]);
        }
        assert_non_null(strstr(err.text, "test line "));
        nacre_sshd_config_free(c);
    }
    nacre_error err = {0};
    nacre_sshd_config *c = NULL;
    nacre_sshd_facts f = somebody();
    assert_int_equal(nacre_sshd_config_new(&c, NULL), NACRE_OK);
    assert_int_equal(nacre_sshd_config_line(c, "Match all", &err), NACRE_SYNTAX);
    nacre_sshd_config *own = NULL;
    assert_int_equal(nacre_sshd_config_match(&own, c, &f, NULL), NACRE_WRONG_STATE);
    assert_null(own);
    nacre_sshd_config_free(c);
}

static void write_file(const char *dir, const char *name, const char *text)
{
    char path[128];
    (void)snprintf(path, sizeof(path), "%s/%s", dir, name);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    assert_true(fputs(text, f) >= 0);
    assert_int_equal(fclose(f), 0);
}

/* What is included holds where its Include stands; its own Match ends with it. */
static void includes_in_blocks(void **state)
{
    (void)state;
    char dir[] = "/tmp/nacre-match-XXXXXX", text[512], path[128];
    nacre_sshd_facts f = somebody();
    assert_non_null(mkdtemp(dir));
    write_file(dir, "a.conf", "PermitTTY no\nMatch Address 192.0.2.7\nMaxSessions 7\n");
    write_file(dir, "b.conf", "GatewayPorts yes\n");
    (void)snprintf(
        text, sizeof(text),
        "Match User bob\nInclude %s/*.conf\nX11Forwarding yes\nMatch all\nMaxSessions 9\n", dir);
    nacre_sshd_config *c = match_text(text, &f);
    const nacre_sshd_settings *s = nacre_sshd_config_settings(c);
    assert_false(s->permit_tty);
    assert_int_equal(s->max_sessions, 7);
    assert_int_equal(s->gateway_ports, 1);
    assert_true(s->x11_forwarding);
    nacre_sshd_config_free(c);
    f.user = "alice";
    c = match_text(text, &f);
    s = nacre_sshd_config_settings(c);
    assert_true(s->permit_tty);
    assert_int_equal(s->max_sessions, 9);
    assert_int_equal(s->gateway_ports, 0);
    assert_false(s->x11_forwarding);
    nacre_sshd_config_free(c);
    /* Many files that include many files: an error, and soon. */
    (void)snprintf(text, sizeof(text), "Include %s/*.conf\nInclude %s/*.conf\n", dir, dir);
    write_file(dir, "a.conf", text);
    write_file(dir, "b.conf", text);
    nacre_error err = {0};
    assert_int_equal(nacre_sshd_config_new(&c, NULL), NACRE_OK);
    (void)snprintf(path, sizeof(path), "%s/a.conf", dir);
    assert_int_equal(nacre_sshd_config_file(c, path, &err), NACRE_LIMIT);
    nacre_sshd_config_free(c);
    (void)unlink(path);
    (void)snprintf(path, sizeof(path), "%s/b.conf", dir);
    (void)unlink(path);
    (void)rmdir(dir);
}

static void truncated_at_every_offset(void **state)
{
    (void)state;
    static const char text[] =
        "Port 22\nMatch User bob,!x Address 10.0.0.0/8\nForceCommand \"x\" y\n"
        "Match invalid-user\nBanner none\nMatch all\nPermitOpen h:1 [::1]:2\n";
    nacre_sshd_facts f = somebody();
    for (size_t n = 0; n <= sizeof(text) - 1; n++) {
        nacre_error err = {0};
        nacre_sshd_config *c = NULL, *own = NULL;
        assert_int_equal(nacre_sshd_config_new(&c, NULL), NACRE_OK);
        int rc = nacre_sshd_config_text(c, nc_span(text, n), "cut", &err);
        assert_true(rc == NACRE_OK || strstr(err.text, "cut line ") != NULL);
        if (rc == NACRE_OK) {
            assert_int_equal(nacre_sshd_config_finish(c, &err), NACRE_OK);
            assert_int_equal(nacre_sshd_config_match(&own, c, &f, &err), NACRE_OK);
        }
        nacre_sshd_config_free(own);
        nacre_sshd_config_free(c);
    }
}

/* ---- memory that runs out ------------------------------------------------------------------------------- */

static int whole_round(const nacre_allocator *a)
{
    static const char text[] = "AllowUsers a b\nAuthorizedKeysCommand /bin/k %u\n"
                               "AuthorizedKeysCommandUser nobody\nMatch User bob\nSetEnv A=b\n"
                               "Match Group staff\nForceCommand x\nPermitOpen h:1\n";
    nacre_sshd_facts f = somebody();
    nacre_sshd_config *c = NULL, *own = NULL;
    nacre_error err = {0};
    int rc = nacre_sshd_config_new(&c, a);
    rc = rc == NACRE_OK ? nacre_sshd_config_text(c, nc_span_cstr(text), "t", &err) : rc;
    rc = rc == NACRE_OK ? nacre_sshd_config_finish(c, &err) : rc;
    rc = rc == NACRE_OK ? nacre_sshd_config_match(&own, c, &f, &err) : rc;
    nacre_sshd_config_free(own);
    nacre_sshd_config_free(c);
    return rc;
}

static void every_allocation_may_fail(void **state)
{
    (void)state;
    test_memory m;
    for (test_memory_init(&m); test_memory_round(&m);) {
        int rc = whole_round(&m.hooks);
        assert_int_equal(rc, m.failed ? NACRE_NO_MEMORY : NACRE_OK);
    }
    assert_true(m.round > 20);
}

/* ---- programs ---------------------------------------------------------------------------------------------- */

static void programs(void **state)
{
    (void)state;
    nacre_sshd_tokens t;
    nacre_sshd_command *c = NULL;
    nacre_error err = {0};
    nacre_sshd_tokens_init(&t);
    t.user = "bob";
    t.uid = "7";
    t.connection = "::1 5 ::1 22";
    t.key_id = "a \"b\" $(c) %u";
    assert_int_equal(nacre_sshd_command_new(&c, NULL, "/bin/k", &t, &err), NACRE_OK);
    assert_int_equal(c->argc, 2);
    assert_string_equal(c->argv[1], "bob");
    assert_null(c->argv[2]);
    nacre_sshd_command_free(c);
    assert_int_equal(nacre_sshd_command_new(&c, NULL, "/bin/k %C \"x y %u\" u%U%%u '%i'", &t, &err),
                     NACRE_OK);
    assert_int_equal(c->argc, 5);
    assert_string_equal(c->argv[0], "/bin/k");
    assert_string_equal(c->argv[1], "::1 5 ::1 22");
    assert_string_equal(c->argv[2], "x y bob");
    assert_string_equal(c->argv[3], "u7%u");
    assert_string_equal(c->argv[4], "a \"b\" $(c) %u");
    nacre_sshd_command_free(c);
    nacre_sshd_command_free(NULL);
    static const char *const bad[] = {"",         "k",         "./k",         "/bin/k %h",
                                      "/bin/k %", "/bin/k %q", "/bin/k \"%u", "\"\" /bin/k"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        memset(&err, 0, sizeof(err));
        assert_int_equal(nacre_sshd_command_new(&c, NULL, bad[i], &t, &err), NACRE_SYNTAX);
        assert_null(c);
        assert_true(err.text[0] != '\0');
    }
    char many[512] = "/bin/k";
    for (size_t i = 0; i < 70; i++) {
        memcpy(many + strlen(many), " a", 3);
    }
    assert_int_equal(nacre_sshd_command_new(&c, NULL, many, &t, &err), NACRE_LIMIT);
    /* A program that nobody is named for is no configuration. */
    nacre_sshd_config *conf = NULL;
    assert_int_equal(nacre_sshd_config_new(&conf, NULL), NACRE_OK);
    assert_int_equal(nacre_sshd_config_line(conf, "AuthorizedKeysCommand /bin/k", NULL), NACRE_OK);
    assert_int_equal(nacre_sshd_config_finish(conf, &err), NACRE_SYNTAX);
    nacre_sshd_config_free(conf);
}

/* ---- rights ------------------------------------------------------------------------------------------------- */

static uint32_t may(const char *text)
{
    nacre_sshd_config *c = read_text(text);
    uint32_t bits = nacre_sshd_config_may(c);
    nacre_sshd_config_free(c);
    return bits;
}

static void rights(void **state)
{
    (void)state;
    const uint32_t usual = NACRE_MAY_ALL & ~(uint32_t)(NACRE_MAY_FORWARD_X11 | NACRE_MAY_TUNNEL);
    assert_int_equal(may(""), usual);
    assert_int_equal(may("X11Forwarding yes\nPermitTunnel yes\n"), NACRE_MAY_ALL);
    assert_int_equal(may("PermitTTY no\n"), usual & ~(uint32_t)NACRE_MAY_PTY);
    assert_int_equal(may("PermitUserRC no\n"), usual & ~(uint32_t)NACRE_MAY_USER_RC);
    assert_int_equal(may("AllowAgentForwarding no\n"), usual & ~(uint32_t)NACRE_MAY_FORWARD_AGENT);
    assert_int_equal(may("AllowTcpForwarding no\nAllowStreamLocalForwarding no\n"),
                     usual & ~(uint32_t)NACRE_MAY_FORWARD_PORT);
    /* DisableForwarding forgets nothing that forwards, tunnels included. */
    assert_int_equal(may("DisableForwarding yes\nX11Forwarding yes\nPermitTunnel yes\n"),
                     NACRE_MAY_PTY | NACRE_MAY_USER_RC);
}

static bool permits_path(const char *text, bool listens)
{
    nacre_sshd_config *c = read_text(text);
    bool yes = nacre_sshd_config_permits_path(c, listens);
    nacre_sshd_config_free(c);
    return yes;
}

static bool permits(const char *text, bool listens, const char *host, uint32_t port)
{
    nacre_sshd_config *c = read_text(text);
    bool yes = nacre_sshd_config_permits(c, listens, host, port);
    nacre_sshd_config_free(c);
    return yes;
}

static void targets(void **state)
{
    (void)state;
    assert_true(permits("", false, "h", 1));
    assert_true(permits("PermitOpen any\n", false, "h", 1));
    assert_false(permits("PermitOpen none\n", false, "none", 1));
    assert_false(permits("PermitListen none\n", true, "none", 1));
    assert_true(permits("PermitOpen a:1 b:*\n", false, "b", 9));
    assert_false(permits("PermitOpen a:1 b:*\n", false, "a", 2));
    assert_false(permits("PermitOpen a*:1\n", false, "ab", 1)); /* hosts are no patterns */
    assert_true(permits("PermitOpen *:1\n", false, "ab", 1));
    assert_true(permits("PermitOpen [::1]:1\n", false, "::1", 1));
    assert_false(permits("PermitOpen [::1]:1\n", false, "[::1]", 1));
    assert_true(permits("PermitListen 8080\n", true, "localhost", 8080));
    assert_true(permits("PermitListen local*:8080\n", true, "localhost", 8080));
    assert_false(permits("PermitListen local*:8080\n", true, "0.0.0.0", 8080));
    assert_false(permits("AllowTcpForwarding local\n", true, "h", 1));
    assert_true(permits("AllowTcpForwarding local\n", false, "h", 1));
    assert_false(permits("AllowTcpForwarding remote\n", false, "h", 1));
    assert_false(permits("DisableForwarding yes\n", false, "h", 1));
    assert_true(permits_path("", false));
    assert_true(permits_path("", true));
    assert_false(permits_path("DisableForwarding yes\n", false));
    assert_false(permits_path("AllowStreamLocalForwarding no\n", true));
    assert_false(permits_path("AllowStreamLocalForwarding local\n", true));
    assert_true(permits_path("AllowStreamLocalForwarding local\n", false));
    assert_true(permits_path("AllowTcpForwarding no\n", false)); /* it is of TCP only */
    assert_false(permits_path("PermitOpen h:1\n", false));
    assert_true(permits_path("PermitOpen h:1\n", true));
    assert_true(permits_path("PermitOpen h:1 *:*\n", false));
    assert_false(permits_path("PermitOpen none\n", false));
    assert_false(permits_path("PermitListen 8080\n", true));
}

static void user_environment(void **state)
{
    (void)state;
    static const struct {
        const char *text, *pair;
        bool yes;
    } rows[] = {
        {"", "A=b", false},
        {"PermitUserEnvironment no\n", "A=b", false},
        {"PermitUserEnvironment yes\n", "A=b", true},
        {"PermitUserEnvironment LANG,LC_*,!LC_ALL\n", "LANG=x", true},
        {"PermitUserEnvironment LANG,LC_*,!LC_ALL\n", "LC_TIME=x", true},
        {"PermitUserEnvironment LANG,LC_*,!LC_ALL\n", "LC_ALL=x", false},
        {"PermitUserEnvironment LANG,LC_*,!LC_ALL\n", "LD_PRELOAD=LANG", false},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        nacre_sshd_config *c = read_text(rows[i].text);
        assert_int_equal(nacre_sshd_config_user_env(c, rows[i].pair), rows[i].yes);
        nacre_sshd_config_free(c);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(criteria_that_fit),
        cmocka_unit_test(criteria_that_do_not),
        cmocka_unit_test(what_holds),
        cmocka_unit_test(back_to_everybody),
        cmocka_unit_test(bad_blocks_are_named),
        cmocka_unit_test(includes_in_blocks),
        cmocka_unit_test(truncated_at_every_offset),
        cmocka_unit_test(every_allocation_may_fail),
        cmocka_unit_test(programs),
        cmocka_unit_test(rights),
        cmocka_unit_test(targets),
        cmocka_unit_test(user_environment),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
