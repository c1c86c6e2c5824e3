/*
 * test_ssh_names.c - names of hosts and users that are more than names: none becomes a part of a command, an option
 * or a proxy's arguments (CVE-2023-51385, CVE-2025-61984).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "nacre/client.h"
#include "nacre/ssh_config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- byte by byte ---- */

static bool in(const char *set, int c)
{
    return c != 0 && strchr(set, c) != NULL;
}

static void every_byte(void **state)
{
    (void)state;
    for (int c = 1; c < 256; c++) {
        bool control = c < 0x20 || c == 0x7f;
        bool host = !control && !in(" '`\"$\\;&<>|(){},", c);
        bool user = !control && !in("'`\";&<>|(){}", c);
        for (int place = 0; place < 3; place++) {
            char name[8] = "abc", text[64];
            nacre_destination d;
            name[place] = (char)c;
            bool first = place == 0 && c == '-', last = place == 2 && c == '\\';
            assert_int_equal(nacre_ssh_is_host_name(name), host && !first);
            assert_int_equal(nacre_ssh_is_user_name(name), user && !first && !last);
            /* what is typed is held to the same */
            (void)snprintf(text, sizeof(text), "%s@host", name);
            bool taken = nacre_parse_destination(text, &d, NULL) == NACRE_OK;
            assert_true(!taken ||
                        (nacre_ssh_is_user_name(d.user) && nacre_ssh_is_host_name(d.host)));
            (void)snprintf(text, sizeof(text), "ssh://u@%s", name);
            taken = nacre_parse_destination(text, &d, NULL) == NACRE_OK;
            assert_true(!taken || nacre_ssh_is_host_name(d.host));
            (void)snprintf(text, sizeof(text), "ssh://%%%02x%%%02x@host", c, 'x');
            taken = nacre_parse_destination(text, &d, NULL) == NACRE_OK;
            assert_true(!taken || nacre_ssh_is_user_name(d.user));
            taken = nacre_parse_jump(name, &d, NULL) == NACRE_OK;
            assert_true(!taken || nacre_ssh_is_host_name(d.host));
        }
    }
    assert_true(nacre_ssh_is_user_name("DOMAIN\\user name"));
    assert_false(nacre_ssh_is_user_name("user -oProxyCommand=x"));
}

/* ---- tokens ---- */

static void a_shell_gets_harmless_ones(void **state)
{
    static const char *const bad[] = {
        "a;b", "$(x)", "`x`",  "a b", "a\tb",  "a\nb",  "-oX",  "a'b", "a\"b",
        "a|b", "a&b",  "a>b",  "a<b", "a*",    "a?",    "[a]",  "a!b", "#a",
        "~a",  "a^b",  "a\\b", "{a}", "a\x7f", "a\x1b", "${X}",
    };
    static const char *const good[] = {"host.example", "::1",         "10.0.0.1", "a_b-c",
                                       "a%b",          "h\xc3\xb6st", ""};
    char out[64];
    nacre_error why;
    nacre_ssh_tokens t;
    (void)state;
    memset(&t, 0, sizeof(t));
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        t.host = t.original_host = t.remote_user = t.local_user = t.alias = bad[i];
        static const char *const texts[] = {"x %h", "x %n", "x %r", "x %u", "x %k"};
        for (size_t k = 0; k < 5; k++) {
            assert_int_equal(nacre_ssh_expand_command(texts[k], &t, out, sizeof(out), &why),
                             NACRE_SYNTAX);
            assert_non_null(strstr(why.text, "must not become a part of a command"));
            assert_null(strchr(why.text, 0x1b));
        }
        /* where no shell looks it is one word, as it is */
        assert_int_equal(nacre_ssh_expand_words("<%h>", &t, out, sizeof(out), &why), NACRE_OK);
        assert_int_equal(strlen(out), strlen(bad[i]) + 2);
        assert_memory_equal(out + 1, bad[i], strlen(bad[i]));
    }
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        t.host = good[i];
        assert_int_equal(nacre_ssh_expand_command("%h", &t, out, sizeof(out), &why), NACRE_OK);
        assert_string_equal(out, good[i]);
    }
}

static void tokens_that_are_none(void **state)
{
    static const char *const bad[] = {"%", "x%", "%z", "%h%", "%p", "% h", "%\xff"};
    char out[8];
    nacre_error why;
    nacre_ssh_tokens t;
    (void)state;
    memset(&t, 0, sizeof(t));
    t.host = "host";
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) { /* %p: there is no port */
        assert_int_equal(nacre_ssh_expand_command(bad[i], &t, out, sizeof(out), &why),
                         NACRE_SYNTAX);
        assert_true(why.text[0] != '\0');
        assert_int_equal(nacre_ssh_expand_words(bad[i], &t, out, sizeof(out), NULL), NACRE_SYNTAX);
    }
    /* ~ and ${} are a shell's own, or nobody's */
    assert_int_equal(nacre_ssh_expand_words("~/${X}", &t, out, sizeof(out), NULL), NACRE_OK);
    assert_string_equal(out, "~/${X}");
    for (size_t size = 1; size < 8; size++) {
        int rc = nacre_ssh_expand_words("%%a%h", &t, out, size, NULL);
        assert_int_equal(rc, size > 6 ? NACRE_OK : NACRE_TOO_LARGE);
        assert_true(memchr(out, 0, size) != NULL);
    }
}

/* ---- a proxy command ---- */

static void no_proxy_for_such_names(void **state)
{
    static const struct {
        const char *host, *user;
    } rows[] = {{"a;touch proof", "u"},
                {"$(touch proof)", "u"},
                {"-h", "u"},
                {"a\nb", "u"},
                {"h", "u;touch proof"},
                {"h", "-l"},
                {"h", "`touch proof`"},
                {"h", "a\nb"}};
    static const char *const commands[] = {"touch proof", "sh -c 'touch proof; echo %h %r'"};
    char place[] = "/tmp/nacre-names-XXXXXX";
    struct stat st;
    (void)state;
    assert_non_null(mkdtemp(place));
    assert_int_equal(chdir(place), 0);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        for (size_t k = 0; k < 2; k++) {
            nacre_client_config cfg;
            nacre_client *c = NULL;
            nacre_error why = {0};
            nacre_client_config_init(&cfg);
            cfg.user = rows[i].user;
            cfg.proxy_command = commands[k];
            assert_int_equal(nacre_client_open(&c, &cfg, rows[i].host, 22, &why),
                             NACRE_INVALID_ARGUMENT);
            assert_non_null(strstr(why.text, "must not become a part of a proxy command"));
            assert_null(c);
            assert_int_not_equal(stat("proof", &st), 0);
        }
    }
    /* a good name, and the command runs: the proof would have been there */
    nacre_client_config cfg;
    nacre_client *c = NULL;
    nacre_client_config_init(&cfg);
    cfg.user = "u";
    cfg.proxy_command = commands[1];
    assert_int_not_equal(nacre_client_open(&c, &cfg, "h", 22, NULL), NACRE_OK);
    assert_int_equal(stat("proof", &st), 0);
    assert_int_equal(unlink("proof"), 0);
    assert_int_equal(chdir("/"), 0);
    assert_int_equal(rmdir(place), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_byte),
        cmocka_unit_test(a_shell_gets_harmless_ones),
        cmocka_unit_test(tokens_that_are_none),
        cmocka_unit_test(no_proxy_for_such_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
