/*
 * test_ssh_config.c - ssh_config(5): which lines count, what is an error, and the little languages inside
 * of values.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "nacre/ssh_config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static nacre_span span(const char *s)
{
    return (nacre_span){(const uint8_t *)s, strlen(s)};
}

static nacre_ssh_config *make(const char *host, const char *text)
{
    nacre_ssh_config *c;
    nacre_error err;
    assert_int_equal(nacre_ssh_config_new(&c, NULL, host, NULL), NACRE_OK);
    int rc = nacre_ssh_config_add_text(c, span(text), "f", &err);
    if (rc != NACRE_OK) {
        print_error("%s\n", err.text);
    }
    assert_int_equal(rc, NACRE_OK);
    return c;
}

static void expect(const char *host, const char *text, const char *keyword, const char *value)
{
    nacre_ssh_config *c = make(host, text);
    const char *got = nacre_ssh_config_get(c, keyword);
    if (value) {
        assert_non_null(got);
        assert_string_equal(got, value);
    } else {
        assert_null(got);
    }
    nacre_ssh_config_free(c);
}

/* ---- lines that count ---- */

static void test_values(void **state)
{
    (void)state;
    expect("h", "User me\n", "user", "me");
    expect("h", "  \tUSER\t=\tme  \r\n", "User", "me");
    expect("h", "User=me", "User", "me");
    expect("h", "User \"a b\"\n", "User", "a b");
    expect("h", "User a\\ b # comment\n", "User", "a b");
    expect("h", "# User x\n\n   # too\nUser y\n", "User", "y");
    expect("h", "User first\nUser second\n", "User", "first");
    expect("h", "RemoteCommand echo \"a  b\" # kept\n", "RemoteCommand", "echo \"a  b\" # kept");
    expect("h", "PubkeyAcceptedKeyTypes ssh-ed25519\n", "PubkeyAcceptedAlgorithms", "ssh-ed25519");
    expect("h", "GSSAPIAuthentication yes\n", "GSSAPIAuthentication", NULL);
    expect("h", "IgnoreUnknown foo*,bar\nFooBar 1\nBAR 2\nUser me\n", "User", "me");
}

static void test_blocks(void **state)
{
    (void)state;
    static const char text[] = "Host a b*  !bad*\n"
                               "  User one\n"
                               "Host \"c d\"\n"
                               "  User two\n"
                               "Host *\n"
                               "  User three\n"
                               "  Port 7\n";
    expect("a", text, "User", "one");
    expect("A", text, "User", "three"); /* letters count, as in ssh */
    expect("bx", text, "User", "one");
    expect("bad", text, "User", "three");
    expect("c d", text, "User", "two");
    expect("x", text, "User", "three");
    expect("a", text, "Port", "7");
    expect("a", "Host !a *\nUser x\n", "User", NULL);
    expect("b", "Host !a\nUser x\n", "User", NULL); /* a negation alone matches nothing */
    expect("a", "Match all\nUser x\n", "User", "x");
    expect("a", "Match host a,b\nUser x\n", "User", "x");
    expect("a", "Match !host a\nUser x\n", "User", NULL);
    expect("a", "HostName real\nMatch host real originalhost a\nUser x\n", "User", "x");
    expect("a", "HostName real\nMatch host a\nUser x\n", "User", NULL);
    expect("a", "User u\nMatch user u\nPort 9\n", "Port", "9");
    expect("a", "Match localuser nobody-is-called-so\nPort 9\n", "Port", NULL);
}

static void test_lists(void **state)
{
    (void)state;
    nacre_ssh_config *c = make("h", "IdentityFile a\nIdentityFile \"b c\"\n"
                                    "UserKnownHostsFile x y\nUserKnownHostsFile z\n"
                                    "SendEnv LANG LC_*\nSendEnv X\n"
                                    "SetEnv A=1 B=\"2 3\"\nSetEnv C=4\n");
    assert_int_equal(nacre_ssh_config_count(c, "IdentityFile"), 2);
    assert_string_equal(nacre_ssh_config_value(c, "identityfile", 1), "b c");
    assert_int_equal(nacre_ssh_config_count(c, "UserKnownHostsFile"), 2);
    assert_string_equal(nacre_ssh_config_value(c, "UserKnownHostsFile", 1), "y");
    assert_int_equal(nacre_ssh_config_count(c, "SendEnv"), 3);
    assert_int_equal(nacre_ssh_config_count(c, "SetEnv"), 2);
    assert_string_equal(nacre_ssh_config_value(c, "SetEnv", 1), "B=2 3");
    assert_null(nacre_ssh_config_value(c, "SetEnv", 2));
    const char *keyword, *value;
    assert_true(nacre_ssh_config_at(c, 0, &keyword, &value));
    assert_string_equal(keyword, "IdentityFile");
    assert_false(nacre_ssh_config_at(c, 9, &keyword, &value));
    nacre_ssh_config_free(c);
}

static void test_options_win(void **state)
{
    (void)state;
    nacre_ssh_config *c;
    nacre_error err;
    assert_int_equal(nacre_ssh_config_new(&c, NULL, "h", NULL), NACRE_OK);
    assert_int_equal(nacre_ssh_config_option(c, "port=1", &err), NACRE_OK);
    assert_int_equal(nacre_ssh_config_option(c, "Port 2", &err), NACRE_OK);
    assert_int_equal(nacre_ssh_config_option(c, "batchmode = yes", &err), NACRE_OK);
    assert_int_equal(nacre_ssh_config_set(c, "IdentityFile", "a b", &err), NACRE_OK);
    assert_int_equal(nacre_ssh_config_add_text(c, span("Port 3\nConnectTimeout 1m30\n"), "f", &err),
                     NACRE_OK);
    assert_int_equal(nacre_ssh_config_number(c, "Port", 22), 1);
    assert_int_equal(nacre_ssh_config_number(c, "ConnectTimeout", 0), 90);
    assert_int_equal(nacre_ssh_config_number(c, "ServerAliveCountMax", 3), 3);
    assert_true(nacre_ssh_config_yes(c, "BatchMode", false));
    assert_true(nacre_ssh_config_yes(c, "Compression", true));
    assert_string_equal(nacre_ssh_config_get(c, "IdentityFile"), "a b");
    nacre_ssh_config_free(c);
}

/* ---- lines that do not ---- */

static void test_errors(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int rc;
        unsigned line;
    } bad[] = {
        {"NoSuchKeyword 1\n", NACRE_UNKNOWN_NAME, 1},
        {"User me\n\nHost other\n  NoSuch 1\n", NACRE_UNKNOWN_NAME,
         4}, /* even where it is not for us */
        {"User\n", NACRE_SYNTAX, 1},
        {"User =\n", NACRE_SYNTAX, 1},
        {"User a b\n", NACRE_SYNTAX, 1},
        {"User \"a\n", NACRE_SYNTAX, 1},
        {"= x\n", NACRE_SYNTAX, 1},
        {"Port 0\n", NACRE_SYNTAX, 1},
        {"Port 65536\n", NACRE_SYNTAX, 1},
        {"Port -1\n", NACRE_SYNTAX, 1},
        {"Port 22x\n", NACRE_SYNTAX, 1},
        {"Port 99999999999999999999\n", NACRE_SYNTAX, 1},
        {"BatchMode maybe\n", NACRE_SYNTAX, 1},
        {"StrictHostKeyChecking perhaps\n", NACRE_SYNTAX, 1},
        {"ConnectTimeout 1y\n", NACRE_SYNTAX, 1},
        {"ConnectTimeout 99999999999w\n", NACRE_SYNTAX, 1},
        {"ServerAliveCountMax 4294967296\n", NACRE_SYNTAX, 1},
        {"NumberOfPasswordPrompts\n", NACRE_SYNTAX, 1},
        {"RekeyLimit 1T\n", NACRE_SYNTAX, 1},
        {"RekeyLimit 1G 1h more\n", NACRE_SYNTAX, 1},
        {"RekeyLimit 1\n", NACRE_SYNTAX, 1},
        {"Host\n", NACRE_SYNTAX, 1},
        {"Host \"a\n", NACRE_SYNTAX, 1},
        {"Match\n", NACRE_SYNTAX, 1},
        {"Match host\n", NACRE_SYNTAX, 1},
        {"Match exec true\n", NACRE_UNSUPPORTED, 1},
        {"Include /etc/passwd\n", NACRE_SYNTAX, 1},
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        nacre_ssh_config *c;
        nacre_error err;
        char where[32];
        assert_int_equal(nacre_ssh_config_new(&c, NULL, "h", NULL), NACRE_OK);
        int rc = nacre_ssh_config_add_text(c, span(bad[i].text), "the-file", &err);
        if (rc != bad[i].rc) {
            print_error("%s gave %d\n", bad[i].text, rc);
        }
        assert_int_equal(rc, bad[i].rc);
        (void)snprintf(where, sizeof(where), "the-file:%u: ", bad[i].line);
        assert_memory_equal(err.text, where, strlen(where));
        nacre_ssh_config_free(c);
    }
}

static void test_text_that_is_none(void **state)
{
    (void)state;
    nacre_ssh_config *c;
    nacre_error err;
    static const uint8_t zero[] = "User a\0b\n";
    assert_int_equal(nacre_ssh_config_new(&c, NULL, "h", NULL), NACRE_OK);
    assert_int_equal(nacre_ssh_config_add_text(c, (nacre_span){zero, sizeof(zero) - 1}, "f", &err),
                     NACRE_SYNTAX);
    char *longest = malloc(70000);
    assert_non_null(longest);
    memset(longest, 'a', 70000);
    assert_int_equal(
        nacre_ssh_config_add_text(c, (nacre_span){(uint8_t *)longest, 70000}, "f", &err),
        NACRE_SYNTAX);
    free(longest);
    /* Values without end are refused before they fill the memory. */
    int rc = NACRE_OK;
    for (int i = 0; i < 100000 && rc == NACRE_OK; i++) {
        char text[32];
        (void)snprintf(text, sizeof(text), "IdentityFile=%d", i);
        rc = nacre_ssh_config_option(c, text, &err);
    }
    assert_int_equal(rc, NACRE_LIMIT);
    nacre_ssh_config_free(c);
}

static void test_unsupported_values(void **state)
{
    (void)state;
    static const char *const bad[] = {"SecurityKeyProvider x", "PKCS11Provider x", "Tunnel yes"};
    static const char *const good[] = {"ForwardAgent yes",
                                       "ProxyCommand none",
                                       "ProxyJump j",
                                       "ControlMaster no",
                                       "ControlMaster auto",
                                       "ForwardX11 yes",
                                       "Tunnel no",
                                       "AddKeysToAgent confirm 5m",
                                       "VerifyHostKeyDNS no",
                                       "HostbasedAuthentication yes",
                                       "Host other\nTunnel yes"};
    nacre_error err;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        nacre_ssh_config *c = make("h", bad[i]);
        assert_int_equal(nacre_ssh_config_supported(c, &err), NACRE_UNSUPPORTED);
        assert_non_null(strstr(err.text, "f:1: "));
        nacre_ssh_config_free(c);
    }
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        nacre_ssh_config *c = make("h", good[i]);
        assert_int_equal(nacre_ssh_config_supported(c, &err), NACRE_OK);
        nacre_ssh_config_free(c);
    }
}

/* ---- files ---- */

static void put_file(const char *path, const char *text, unsigned mode)
{
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    assert_int_equal(fwrite(text, 1, strlen(text), f), strlen(text));
    assert_int_equal(fclose(f), 0);
    assert_int_equal(chmod(path, mode), 0);
}

static void test_files(void **state)
{
    (void)state;
    char dir[] = "/tmp/nacre-config-XXXXXX", a[64], b[64], text[256];
    nacre_ssh_config *c;
    nacre_error err;
    assert_non_null(mkdtemp(dir));
    (void)snprintf(a, sizeof(a), "%s/a", dir);
    (void)snprintf(b, sizeof(b), "%s/b.conf", dir);
    (void)snprintf(text, sizeof(text), "Include %s/*.conf\nUser outer\nHost other\nInclude %s\n",
                   dir, b);
    put_file(a, text, 0644);
    put_file(b, "Port 77\nHost nobody\nUser inner\n", 0644);
    assert_int_equal(nacre_ssh_config_new(&c, NULL, "h", NULL), NACRE_OK);
    assert_int_equal(nacre_ssh_config_add_file(c, a, true, &err), NACRE_OK);
    assert_string_equal(nacre_ssh_config_get(c, "Port"), "77");
    assert_string_equal(nacre_ssh_config_get(c, "User"),
                        "outer"); /* the block ended with its file */
    nacre_ssh_config_free(c);

    assert_int_equal(nacre_ssh_config_new(&c, NULL, "h", NULL), NACRE_OK);
    put_file(b, "Oops 1\n", 0644);
    assert_int_equal(nacre_ssh_config_add_file(c, a, true, &err), NACRE_UNKNOWN_NAME);
    assert_non_null(strstr(err.text, "b.conf:1: "));
    assert_int_equal(chmod(b, 0666), 0); /* anybody could have written it */
    assert_int_equal(nacre_ssh_config_add_file(c, b, true, &err), NACRE_KEY_PERMISSIONS);
    put_file(b, "Port 1\n", 0644);
    (void)snprintf(text, sizeof(text), "Include %s\n", a);
    put_file(a, text, 0644); /* a circle */
    assert_int_equal(nacre_ssh_config_add_file(c, a, true, &err), NACRE_SYNTAX);
    assert_int_equal(unlink(a), 0);
    assert_int_equal(nacre_ssh_config_add_file(c, a, true, &err), NACRE_NOT_FOUND);
    nacre_ssh_config_free(c);
    assert_int_equal(unlink(b), 0);
    assert_int_equal(rmdir(dir), 0);
}

/* ---- helpers ---- */

static void test_numbers(void **state)
{
    (void)state;
    uint32_t t;
    uint64_t n;
    static const char *const bad_times[] = {"",  "x",  "1x",          "-1",       "1h-",
                                            "h", " 1", "99999999999", "4000000w", "1 2"};
    static const char *const bad_sizes[] = {
        "", "G", "1T", "-1", "1GG", "99999999999999999999", "18446744073709551615K", "1 "};
    assert_int_equal(nacre_parse_time("90", &t), NACRE_OK);
    assert_int_equal(t, 90);
    assert_int_equal(nacre_parse_time("1w2d3h4m5s", &t), NACRE_OK);
    assert_int_equal(t, 604800 + 2 * 86400 + 3 * 3600 + 4 * 60 + 5);
    assert_int_equal(nacre_parse_bytes("0", &n), NACRE_OK);
    assert_int_equal(nacre_parse_bytes("3K", &n), NACRE_OK);
    assert_int_equal(n, 3072);
    assert_int_equal(nacre_parse_bytes("16G", &n), NACRE_OK);
    assert_true(n == (uint64_t)16 << 30);
    for (size_t i = 0; i < sizeof(bad_times) / sizeof(bad_times[0]); i++) {
        assert_int_equal(nacre_parse_time(bad_times[i], &t), NACRE_SYNTAX);
    }
    for (size_t i = 0; i < sizeof(bad_sizes) / sizeof(bad_sizes[0]); i++) {
        assert_int_equal(nacre_parse_bytes(bad_sizes[i], &n), NACRE_SYNTAX);
    }
    assert_int_equal(nacre_parse_rekey_limit("1M none", &n, &t), NACRE_OK);
    assert_true(n == 1 << 20 && t == 0);
    assert_int_equal(nacre_parse_rekey_limit("default 1h", &n, &t), NACRE_OK);
    assert_true(n == 0 && t == 3600);
    assert_int_equal(nacre_parse_rekey_limit("", &n, &t), NACRE_SYNTAX);
}

static void test_tokens(void **state)
{
    (void)state;
    nacre_ssh_tokens t = {.home = "/home/me",
                          .host = "real",
                          .original_host = "typed",
                          .port = "22",
                          .remote_user = "remote",
                          .local_user = "me",
                          .local_host = "box.example",
                          .uid = "1000"};
    char out[128];
    nacre_error err;
    memset(&err, 0, sizeof(err));
    static const char *const bad[] = {
        "%", "a%", "%x", "%k", "${", "${}", "${NACRE_NOT_SET_1}", "~no-such-user-here/x"};
    assert_int_equal(
        nacre_ssh_expand("~/%h-%p-%r-%u-%n-%L-%i-100%%", &t, true, out, sizeof(out), &err),
        NACRE_OK);
    assert_string_equal(out, "/home/me/real-22-remote-me-typed-box-1000-100%");
    assert_int_equal(nacre_ssh_expand("~/%d", &t, false, out, sizeof(out), &err), NACRE_OK);
    assert_string_equal(out, "~//home/me");
    assert_int_equal(setenv("NACRE_TOKEN_TEST", "v", 1), 0);
    assert_int_equal(nacre_ssh_expand("a${NACRE_TOKEN_TEST}b", &t, false, out, sizeof(out), &err),
                     NACRE_OK);
    assert_string_equal(out, "avb");
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        memset(&err, 0, sizeof(err));
        assert_int_equal(nacre_ssh_expand(bad[i], &t, true, out, sizeof(out), &err), NACRE_SYNTAX);
    }
    memset(&err, 0, sizeof(err));
    assert_int_equal(nacre_ssh_expand("%h%h", &t, false, out, 8, &err), NACRE_TOO_LARGE);
    assert_int_equal(nacre_ssh_expand("%h%h", &t, false, out, 9, &err), NACRE_OK);
}

static void test_destinations(void **state)
{
    (void)state;
    static const struct {
        const char *text, *user, *host;
        uint16_t port;
        const char *path;
    } good[] = {
        {"host", "", "host", 0, ""},
        {"me@host", "me", "host", 0, ""},
        {"me@corp@host", "me@corp", "host", 0, ""},
        {"::1", "", "::1", 0, ""},
        {"me@[fe80::1%eth0]", "me", "fe80::1%eth0", 0, ""},
        {"ssh://host", "", "host", 0, ""},
        {"ssh://me@host:2222", "me", "host", 2222, ""},
        {"SSH://me%40x@[::1]:22/", "me@x", "::1", 22, "/"},
        {"sftp://host/a%20b", "", "host", 0, "/a b"},
    };
    static const char *const bad[] = {
        "",           "@host",        "me@",           "-oProxyCommand=x", "a;b",
        "$(x)@host",  "host\n",       "`x`",           "me@-host",         "ssh://",
        "ssh://:22",  "ssh://host:0", "ssh://host:",   "ssh://host:65536", "ssh://host:22x",
        "ssh://[::1", "ssh://a%zz@h", "ssh://a%00b@h", "-me@host",         "a b"};
    nacre_destination d;
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        assert_int_equal(nacre_parse_destination(good[i].text, &d, NULL), NACRE_OK);
        assert_string_equal(d.user, good[i].user);
        assert_string_equal(d.host, good[i].host);
        assert_int_equal(d.port, good[i].port);
        assert_string_equal(d.path, good[i].path);
    }
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        int rc = nacre_parse_destination(bad[i], &d, NULL);
        if (rc != NACRE_SYNTAX) {
            print_error("%s gave %d\n", bad[i], rc);
        }
        assert_int_equal(rc, NACRE_SYNTAX);
    }
    char longest[2048];
    memset(longest, 'a', sizeof(longest) - 1);
    longest[sizeof(longest) - 1] = '\0';
    assert_int_equal(nacre_parse_destination(longest, &d, NULL), NACRE_TOO_LARGE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values),
        cmocka_unit_test(test_blocks),
        cmocka_unit_test(test_lists),
        cmocka_unit_test(test_options_win),
        cmocka_unit_test(test_errors),
        cmocka_unit_test(test_text_that_is_none),
        cmocka_unit_test(test_unsupported_values),
        cmocka_unit_test(test_files),
        cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_tokens),
        cmocka_unit_test(test_destinations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
