/*
 * test_ssh_config_read.c - whole configurations: canonical names and passes with a resolver and a shell of ours,
 * tokens by keyword, what -G shows, proxy commands that come to nothing, and memory that ends.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "nacre/client.h"
#include "nacre/ssh_config.h"
#include "support/memory.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- the world ---- */

typedef struct world {
    const char *names; /* that exist: "a.example.=real.example b." */
    char ran[256];
    bool answer;
    unsigned asked, warned;
} world;

static int run(void *user, const char *command, bool *matches, nacre_error *err)
{
    world *w = user;
    (void)err;
    (void)snprintf(w->ran, sizeof(w->ran), "%s", command);
    *matches = w->answer;
    return NACRE_OK;
}

static int resolve(void *user, const char *name, int family, bool numeric, char *canonical,
                   size_t size)
{
    world *w = user;
    (void)family;
    if (numeric) {
        bool address = name[strspn(name, "0123456789.")] == '\0';
        (void)snprintf(canonical, size, "%s", strcmp(name, "127.1") == 0 ? "127.0.0.1" : name);
        return address ? NACRE_OK : NACRE_RESOLVE;
    }
    w->asked++;
    size_t n = strlen(name);
    for (const char *p = w->names; p && *p; p += strcspn(p, " "), p += *p ? 1 : 0) {
        if (strncmp(p, name, n) == 0 && strchr("= ", p[n])) {
            size_t end = p[n] == '=' ? strcspn(p + n + 1, " ") : 0;
            (void)snprintf(canonical, size, "%.*s", (int)end, p + n + 1);
            return NACRE_OK;
        }
    }
    return NACRE_RESOLVE;
}

static void warn(void *user, const char *text)
{
    world *w = user;
    assert_non_null(strstr(text, "f:"));
    w->warned++;
}

static int read_as(nacre_ssh_config **out, world *w, const char *host, const char *text,
                   const nacre_allocator *a, nacre_error *err)
{
    nacre_ssh_hooks hooks;
    nacre_ssh_source source = {.text = {(const uint8_t *)text, strlen(text)}, .name = "f"};
    nacre_ssh_hooks_init(&hooks);
    hooks.exec = run;
    hooks.resolve = resolve;
    hooks.warning = warn;
    hooks.user = w;
    int rc = nacre_ssh_config_new(out, a, host, NULL);
    if (rc == NACRE_OK) {
        nacre_ssh_config_hooks(*out, &hooks);
        rc = nacre_ssh_config_read(*out, &source, 1, err);
    }
    return rc;
}

/* Port says which lines counted. */
static void expect(world *w, const char *host, const char *text, const char *real, unsigned port)
{
    nacre_ssh_config *c = NULL;
    nacre_error err;
    int rc = read_as(&c, w, host, text, NULL, &err);
    if (rc != NACRE_OK) {
        print_error("%s\n", err.text);
    }
    assert_int_equal(rc, NACRE_OK);
    assert_string_equal(nacre_ssh_config_host(c), real);
    assert_int_equal(nacre_ssh_config_port(c), port);
    nacre_ssh_config_free(c);
}

/* ---- canonical names ---- */

static void test_canonical_names(void **state)
{
    (void)state;
    world w = {.names = "a.one. b.two.=real.org. c.=d.org. x.y.one."};
    static const char rules[] =
        "CanonicalizeHostname yes\nCanonicalDomains one two\n"
        "CanonicalizePermittedCNAMEs b.*:*.org\n"
        "Host a.one\nPort 1\nHost real.org\nPort 2\nMatch canonical\nPort 3\n";
    expect(&w, "a", rules, "a.one", 1);
    expect(&w, "A", rules, "a.one", 1);
    expect(&w, "b", rules, "real.org", 2);
    expect(&w, "c.", rules, "c", 3);
    expect(&w, "nobody",
           "CanonicalizeHostname yes\nCanonicalDomains one\nMatch canonical\nPort 3\n", "nobody",
           3);
    expect(&w, "x.y", rules, "x.y.one", 3);
    w.names = "a.one. x.y.z. x.y.z.one. b.two.=real.org.";
    expect(&w, "x.y.z", "CanonicalizeHostname yes\nCanonicalDomains one\n", "x.y.z",
           22); /* CanonicalizeMaxDots */
    expect(&w, "127.1", "Host 127.0.0.1\nPort 4\nMatch final\nPort 5\n", "127.0.0.1", 4);
    w.asked = 0;
    expect(&w, "a", "CanonicalDomains one\nMatch canonical\nPort 9\n", "a", 22);
    expect(&w, "a", "CanonicalizeHostname yes\nCanonicalDomains one\nProxyCommand x\n", "a", 22);
    assert_int_equal(w.asked, 0); /* nothing wanted, or somebody else will look it up */
    expect(&w, "a", "CanonicalizeHostname always\nCanonicalDomains one\nProxyJump x\n", "a.one",
           22);
    expect(&w, "a", "Match final host a\nPort 7\n", "a", 7);
    nacre_ssh_config *c = NULL;
    nacre_error err;
    assert_int_equal(read_as(&c, &w, "q",
                             "CanonicalizeHostname yes\nCanonicalizeFallbackLocal no\n"
                             "CanonicalDomains one\n",
                             NULL, &err),
                     NACRE_RESOLVE);
    nacre_ssh_config_free(c);
}

static void test_bad_canonical_names(void **state)
{
    (void)state;
    static const char *const evil[] = {"-x.org", "a..org", "a;b.org", "$(x).org", ".org"};
    for (size_t i = 0; i < sizeof(evil) / sizeof(evil[0]); i++) {
        char names[64];
        (void)snprintf(names, sizeof(names), "a.one.=%s", evil[i]);
        world w = {.names = names};
        expect(&w, "a",
               "CanonicalizeHostname yes\nCanonicalDomains one\nCanonicalizePermittedCNAMEs *:*\n",
               "a.one", 22);
    }
}

static void test_exec(void **state)
{
    (void)state;
    world w = {.answer = true};
    expect(&w, "h", "User me\nMatch exec \"t %h %n %p %r %%\"\nPort 5\n", "h", 5);
    assert_string_equal(w.ran, "t h h 22 me %");
    w.ran[0] = '\0';
    expect(&w, "h", "Match host other exec nothing\nPort 5\n", "h", 22);
    assert_string_equal(w.ran, "");
    w.answer = false;
    expect(&w, "h", "Match !exec x\nPort 6\n", "h", 6);
    static const char *const evil[] = {"a;b", "$(x)", "`x`", "a b",        "-x", "a|b",
                                       "a&b", "a>b",  "a'b", "\"a\\\"b\"", "a*"};
    for (size_t i = 0; i < sizeof(evil) / sizeof(evil[0]); i++) {
        char text[128];
        nacre_ssh_config *c = NULL;
        nacre_error err;
        (void)snprintf(text, sizeof(text), "User \"%s\"\nMatch exec \"x %%r\"\n",
                       evil[i][0] == '"' ? "a\\\"b" : evil[i]);
        assert_int_equal(read_as(&c, &w, "h", text, NULL, &err), NACRE_SYNTAX);
        assert_non_null(strstr(err.text, "f:2: "));
        nacre_ssh_config_free(c);
    }
}

/* ---- tokens, -G, warnings ---- */

static void test_tokens_by_keyword(void **state)
{
    (void)state;
    world w = {0};
    nacre_ssh_config *c = NULL;
    nacre_error err;
    char out[512];
    static const struct {
        const char *keyword, *text, *value; /* NULL: an error */
    } rows[] = {{"IdentityFile", "%h-%n-%p-%r-%j-%k", "real-typed-7-me-b-typed"},
                {"ProxyCommand", "%h %n %p %r %%", "real typed 7 me %"},
                {"ProxyCommand", "%u", NULL},
                {"ProxyCommand", "$HOME ${HOME}", "$HOME ${HOME}"},
                {"HostName", "x%h", "xreal"},
                {"HostName", "%p", NULL},
                {"User", "%u", "%u"},
                {"LocalCommand", "%T", NULL},
                {"IdentityFile", "%T", NULL},
                {"IdentityFile", "${NACRE_NOT_SET_1}", NULL},
                {"IdentityFile", "%", NULL},
                {"RemoteCommand", "%H", NULL}};
    assert_int_equal(
        read_as(&c, &w, "typed", "HostName real\nPort 7\nUser me\nProxyJump a,x@b:2\n", NULL, &err),
        NACRE_OK);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        int rc =
            nacre_ssh_config_expand(c, rows[i].keyword, rows[i].text, NULL, out, sizeof(out), &err);
        assert_int_equal(rc, rows[i].value ? NACRE_OK : NACRE_SYNTAX);
        if (rows[i].value) {
            assert_string_equal(out, rows[i].value);
        }
    }
    assert_int_equal(nacre_ssh_config_expand(c, "ControlPath", "%C", NULL, out, sizeof(out), &err),
                     NACRE_OK);
    assert_int_equal(strspn(out, "0123456789abcdef"), 40);
    assert_int_equal(nacre_ssh_config_expand(c, "ControlPath", "%C", NULL, out, 40, &err),
                     NACRE_TOO_LARGE);
    nacre_ssh_config_free(c);
}

static void keep_port(void *user, const char *keyword, const char *value)
{
    if (strcmp(keyword, "port") == 0) {
        (void)snprintf(user, 16, "%s", value);
    }
}

static void test_show_and_warnings(void **state)
{
    (void)state;
    world w = {0};
    nacre_ssh_config *c = NULL;
    nacre_error err;
    char port[16] = "";
    assert_int_equal(
        read_as(&c, &w, "h", "Port 5\nTunnelDevice 1\nObscureKeystrokeTiming yes\n", NULL, &err),
        NACRE_OK);
    assert_int_equal(nacre_ssh_config_supported(c, &err), NACRE_OK);
    assert_int_equal(w.warned, 2);
    assert_int_equal(nacre_ssh_config_show(c, keep_port, port, &err), NACRE_OK);
    assert_string_equal(port, "5");
    assert_int_equal(nacre_ssh_config_option(c, "IdentityAgent=%q", &err), NACRE_OK);
    assert_int_equal(nacre_ssh_config_show(c, keep_port, port, &err), NACRE_SYNTAX);
    nacre_ssh_config_free(c);
    assert_int_equal(nacre_ssh_config_lookup(&c, NULL, "-x", NULL, &err), NACRE_SYNTAX);
    assert_null(c);
}

static void test_jumps(void **state)
{
    (void)state;
    nacre_destination d;
    static const char *const bad[] = {
        "",    "a:",        "a:0",     "a:65536", "@a",   "a@",   "::1", "[::1", "[::1]x", "a b",
        "a;b", "ssh://a/p", "ftp://a", "-a",      "a@-b", "-a@b", "a,b", "a\nb", "a`b"};
    assert_int_equal(nacre_parse_jump("me@[::1]:22", &d, NULL), NACRE_OK);
    assert_string_equal(d.host, "::1");
    assert_int_equal(d.port, 22);
    assert_int_equal(nacre_parse_jump("ssh://me@h:5/", &d, NULL), NACRE_OK);
    assert_string_equal(d.user, "me");
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_int_equal(nacre_parse_jump(bad[i], &d, NULL), NACRE_SYNTAX);
    }
}

/* ---- proxy commands ---- */

static int try_proxy(const char *command, const char *user, const char *host, bool fdpass,
                     nacre_error *err)
{
    nacre_client_config cfg;
    nacre_client *c = NULL;
    nacre_client_config_init(&cfg);
    cfg.user = user;
    cfg.proxy_command = command;
    cfg.proxy_use_fdpass = fdpass;
    int rc = nacre_client_open(&c, &cfg, host, 22, err);
    assert_null(c);
    return rc;
}

static void test_proxies_that_fail(void **state)
{
    (void)state;
    nacre_error err;
    static const char *const evil[] = {"a;b", "a|b", "a`b", "-a", "a\nb", "a'b", "a>b", "a(b"};
    assert_true(try_proxy("/bin/false", "me", "h", false, &err) < 0);
    assert_non_null(strstr(err.text, "\"/bin/false\" exited with status 1"));
    assert_int_equal(try_proxy("/bin/true %h", "me", "h", true, &err), NACRE_CONNECT);
    assert_int_equal(try_proxy("/no/such/program", "me", "h", false, &err), NACRE_IO);
    assert_int_equal(try_proxy("x %q", "me", "h", false, &err), NACRE_SYNTAX);
    assert_int_equal(try_proxy("'x' %r", "a$b", "h", false, &err), NACRE_SYNTAX);
    assert_int_equal(try_proxy(" \t", "me", "h", false, &err), NACRE_INVALID_ARGUMENT);
    for (size_t i = 0; i < sizeof(evil) / sizeof(evil[0]); i++) {
        assert_int_equal(try_proxy("/bin/true", evil[i], "h", false, &err), NACRE_INVALID_ARGUMENT);
        assert_int_equal(try_proxy("/bin/true", "me", evil[i], false, &err),
                         NACRE_INVALID_ARGUMENT);
    }
}

/* ---- memory ---- */

static void test_memory_that_ends(void **state)
{
    (void)state;
    world w = {.names = "h.one.", .answer = true};
    static const char text[] =
        "CanonicalizeHostname yes\nCanonicalDomains one\nUser \"a\"\nHost *\nSetEnv A=1 B=2\n"
        "Match exec \"x %h\" final\nPort 9\nIPQoS ef cs1\n";
    test_memory m;
    for (test_memory_init(&m); test_memory_round(&m);) {
        nacre_ssh_config *c = NULL;
        nacre_error err;
        int rc = read_as(&c, &w, "h", text, &m.hooks, &err);
        test_memory_judge(&m, rc);
        m.paused = true;
        if (rc == NACRE_OK) {
            assert_int_equal(nacre_ssh_config_port(c), 9);
        }
        nacre_ssh_config_free(c);
    }
    assert_true(m.refused > 20);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_canonical_names),
        cmocka_unit_test(test_bad_canonical_names),
        cmocka_unit_test(test_exec),
        cmocka_unit_test(test_tokens_by_keyword),
        cmocka_unit_test(test_show_and_warnings),
        cmocka_unit_test(test_jumps),
        cmocka_unit_test(test_proxies_that_fail),
        cmocka_unit_test(test_memory_that_ends),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
