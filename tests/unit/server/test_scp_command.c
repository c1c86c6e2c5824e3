/* Which commands are scp's own, and what their words mean without a shell. */
#include "server/scp_command.h"
#include "support/memory.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static char dir[64];

static int parse(nc_scp_args *a, const char *command)
{
    return nc_scp_args_parse(a, command, dir, "/home/me", NULL);
}

static void expect(const char *command, const char *flags, const char *paths)
{
    nc_scp_args a;
    char seen[4096] = "", letters[8];
    int rc = parse(&a, command);
    if (rc != NACRE_OK) {
        fail_msg("%s: %s", command, nacre_status_symbol(rc));
    }
    (void)snprintf(letters, sizeof(letters), "%s%s%s%s", a.source ? "f" : "t",
                   a.recursive ? "r" : "", a.preserve ? "p" : "", a.to_directory ? "d" : "");
    for (size_t i = 0; i < a.count; i++) {
        (void)snprintf(seen + strlen(seen), sizeof(seen) - strlen(seen), "%s|", a.paths[i]);
    }
    assert_string_equal(letters, flags);
    assert_string_equal(seen, paths);
    nc_scp_args_clear(&a);
}

static void test_what_clients_send(void **state)
{
    (void)state;
    expect("scp -t /x", "t", "/x|");
    expect("scp  -r -p -d  -t x", "trpd", "x|");
    expect("scp -v -f x", "f", "x|");
    expect("scp -prf x y", "frp", "x|y|");
    expect("scp -pt '/tmp/a b'", "tp", "/tmp/a b|");
    expect("scp -t -- -x", "t", "-x|");
    expect("scp -t .", "t", ".|");
    expect("scp -t -", "t", "-|");
    expect("scp -f a\\ b \"c d\" 'e'\"f\"g", "f", "a b|c d|efg|");
    expect("scp -f \"a\\\"b\\\\c\\d\" 'it'\\''s'", "f", "a\"b\\c\\d|it's|");
    expect("scp -f '*' \\* \"?\" '[a]'", "f", "*|*|?|[a]|");
    expect("scp -f '$HOME' '`id`' ';' '~'", "f", "$HOME|`id`|;|~|");
    expect("scp -f a~ b#c d=e", "f", "a~|b#c|d=e|");
    expect("scp -f ''", "f", "|");
}

static void test_tilde(void **state)
{
    nc_scp_args a;
    (void)state;
    expect("scp -f ~", "f", "/home/me|");
    expect("scp -t ~/x", "t", "/home/me/x|");
    expect("scp -f ~root/x", "f", "/root/x|");
    assert_int_equal(parse(&a, "scp -f ~nobody-has-this-name/x"), NACRE_UNSUPPORTED);
    assert_int_equal(parse(&a, "scp -f ~/*"), NACRE_UNSUPPORTED);
    /* What is quoted in the name makes it no name: a shell knows. Behind the slash it means nothing. */
    expect("scp -f ~/'x y' ~/\"z\"", "f", "/home/me/x y|/home/me/z|");
    assert_int_equal(parse(&a, "scp -f ~'/x'"), NACRE_UNSUPPORTED);
    assert_int_equal(parse(&a, "scp -f ~ro\\ot/x"), NACRE_UNSUPPORTED);
    assert_int_equal(parse(&a, "scp -f ~\"\""), NACRE_UNSUPPORTED);
    /* Where users are looked up can be far away: not for thousands of words. */
    char many[8000] = "scp -f";
    for (size_t i = 0, at = strlen(many); i < 1000; i++, at += 6) {
        memcpy(many + at, " ~root", 7);
    }
    assert_int_equal(parse(&a, many), NACRE_UNSUPPORTED);
}

static void test_what_is_left_to_the_shell(void **state)
{
    static const char *const commands[] = {"",
                                           " ",
                                           "scp",
                                           "scp -t",
                                           "scp -f",
                                           "scp x",
                                           "scp -r x",
                                           "scp -t -f x",
                                           "scp -t x y",
                                           "scp -x -t y",
                                           "scp -S prog -t y",
                                           "scp -t x;id",
                                           "scp -t x; id",
                                           "scp -t x|id",
                                           "scp -t x&",
                                           "scp -t $HOME",
                                           "scp -t \"$HOME\"",
                                           "scp -t `id`",
                                           "scp -t \"`id`\"",
                                           "scp -t x>y",
                                           "scp -t <x",
                                           "scp -t (x)",
                                           "scp -f {a,b}",
                                           "scp -t x\nid",
                                           "scp -t 'x",
                                           "scp -t \"x",
                                           "scp -t x\\",
                                           "scp -t x\\\ny",
                                           "scp -t *",
                                           "scp -t x # y",
                                           "/usr/bin/scp -t x",
                                           "scp2 -t x",
                                           "env scp -t x",
                                           "X=y scp -t x",
                                           "sc? -t x",
                                           "$scp -t x",
                                           "cat"};
    nc_scp_args a;
    (void)state;
    for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
        if (parse(&a, commands[i]) != NACRE_UNSUPPORTED) {
            fail_msg("\"%s\" was taken", commands[i]);
        }
    }
}

static void test_wildcards(void **state)
{
    static const char *const names[] = {"one.c", "two.c", "a b.c", ".hidden.c", "x*y", "xzy"};
    char path[256], command[512], seen[1024];
    (void)state;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        (void)snprintf(path, sizeof(path), "%s/%s", dir, names[i]);
        FILE *f = fopen(path, "w");
        assert_non_null(f);
        assert_int_equal(fclose(f), 0);
    }
    expect("scp -f *.c", "f", "a b.c|one.c|two.c|");
    expect("scp -f 'a b'*", "f", "a b.c|");
    expect("scp -f x'*'?", "f", "x*y|");
    expect("scp -f none* o*", "f", "none*|one.c|");
    (void)snprintf(command, sizeof(command), "scp -f '%s'/o*.[a-d]", dir);
    (void)snprintf(seen, sizeof(seen), "%s/one.c|", dir);
    expect(command, "f", seen);
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        (void)snprintf(path, sizeof(path), "%s/%s", dir, names[i]);
        assert_int_equal(unlink(path), 0);
    }
}

/* Below the root, as for somebody without a home. */
static void test_wildcards_from_the_root(void **state)
{
    nc_scp_args a;
    (void)state;
    assert_int_equal(nc_scp_args_parse(&a, "scp -f et[c]", "/", NULL, NULL), NACRE_OK);
    assert_int_equal(a.count, 1);
    assert_string_equal(a.paths[0], "etc");
    nc_scp_args_clear(&a);
    assert_int_equal(nc_scp_args_parse(&a, "scp -f e[t]c/passw[d]", "/", NULL, NULL), NACRE_OK);
    assert_int_equal(a.count, 1);
    assert_string_equal(a.paths[0], "etc/passwd");
    nc_scp_args_clear(&a);
}

/* A few names can stand for more paths than there are atoms: whoever wants them has a shell for it. */
static void test_wildcards_that_explode(void **state)
{
    enum { DIRS = 20, TURNS = 12, WORDS = 20000 };
    nc_scp_args a;
    char path[256], command[512] = "scp -f ";
    char *many = malloc(4 * WORDS);
    (void)state;
    assert_non_null(many);
    for (int i = 0; i < DIRS; i++) {
        (void)snprintf(path, sizeof(path), "%s/d%d", dir, i);
        assert_int_equal(mkdir(path, 0700), 0);
    }
    for (int i = 0; i < TURNS; i++) {
        (void)snprintf(command + strlen(command), sizeof(command) - strlen(command), "*/../");
    }
    (void)alarm(60); /* without a bound it does not end */
    assert_int_equal(parse(&a, command), NACRE_UNSUPPORTED);
    /* Neither do many words that each go through a directory add up to more. */
    (void)snprintf(many, 4 * WORDS, "scp -f");
    for (size_t i = 0, at = strlen(many); i < WORDS; i++, at += 3) {
        memcpy(many + at, " x*", 4);
    }
    assert_int_equal(parse(&a, many), NACRE_UNSUPPORTED);
    (void)alarm(0);
    expect("scp -f d[0-2]/.. d1[0]", "f", "d0/..|d1/..|d2/..|d10|");
    for (int i = 0; i < DIRS; i++) {
        (void)snprintf(path, sizeof(path), "%s/d%d", dir, i);
        assert_int_equal(rmdir(path), 0);
    }
    free(many);
}

static void test_every_allocation_may_fail(void **state)
{
    (void)state;
    test_memory m;
    for (test_memory_init(&m); test_memory_round(&m);) {
        nc_scp_args a;
        int rc = nc_scp_args_parse(&a, "scp -f a none* ~ 'c' d", dir, "/home/me", &m.hooks);
        test_memory_judge(&m, rc);
        if (rc == NACRE_OK) {
            assert_int_equal(a.count, 5);
            nc_scp_args_clear(&a);
        }
    }
    assert_true(m.refused > 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_clients_send),
        cmocka_unit_test(test_tilde),
        cmocka_unit_test(test_what_is_left_to_the_shell),
        cmocka_unit_test(test_wildcards),
        cmocka_unit_test(test_wildcards_from_the_root),
        cmocka_unit_test(test_wildcards_that_explode),
        cmocka_unit_test(test_every_allocation_may_fail),
    };
    (void)snprintf(dir, sizeof(dir), "/tmp/nacre[scp]XXXXXX");
    if (!mkdtemp(dir)) {
        return 1;
    }
    int rc = cmocka_run_group_tests(tests, NULL, NULL);
    (void)rmdir(dir);
    return rc;
}
