/* The command line of nacre-scp, and what its sources and targets name. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka needs those before it */
#include <cmocka.h>

#include "../../../apps/scp/args.h"
#include "../../../apps/scp/place.h"

#include <stdlib.h>
#include <string.h>

/* ---- places ---- */

typedef struct row {
    const char *text, *user, *host;
    unsigned port;
    const char *path; /* NULL: an error */
} row;

static void same(const char *a, const char *b)
{
    if (b) {
        assert_non_null(a);
        assert_string_equal(a, b);
    } else {
        assert_null(a);
    }
}

static void test_places(void **state)
{
    (void)state;
    static const row rows[] = {
        {"file", NULL, NULL, 0, "file"},
        {"", NULL, NULL, 0, ""},
        {":x", NULL, NULL, 0, ":x"},
        {"./a:b", NULL, NULL, 0, "./a:b"},
        {"/a:b", NULL, NULL, 0, "/a:b"},
        {"a/b:c", NULL, NULL, 0, "a/b:c"},
        {"[::1", NULL, NULL, 0, "[::1"},
        {"[x]y", NULL, NULL, 0, "[x]y"},
        {"host:", NULL, "host", 0, "."},
        {"host:file", NULL, "host", 0, "file"},
        {"host:/a:b", NULL, "host", 0, "/a:b"},
        {"host:~/x", NULL, "host", 0, "~/x"},
        {"me@host:x", "me", "host", 0, "x"},
        {"me@else@host:x", "me@else", "host", 0, "x"},
        {"@host:x", NULL, "host", 0, "x"},
        {"[::1]:x", NULL, "::1", 0, "x"},
        {"me@[fe80::1%eth0]:x", "me", "fe80::1%eth0", 0, "x"},
        {"host:-rf", NULL, "host", 0, "-rf"},
        {"scp://host", NULL, "host", 0, "."},
        {"scp://host/", NULL, "host", 0, "."},
        {"scp://host/x/y", NULL, "host", 0, "x/y"},
        {"scp://host//x", NULL, "host", 0, "/x"},
        {"scp://me@host:2222/x", "me", "host", 2222, "x"},
        {"scp://me@[::1]:22//x", "me", "::1", 22, "/x"},
        {"scp://host/a%20b%2fc%25", NULL, "host", 0, "a b/c%"},
        {"scp://host/a:b", NULL, "host", 0, "a:b"},
        {"-host:x", NULL, NULL, 0, NULL},
        {"-l@host:x", NULL, NULL, 0, NULL},
        {"ho st:x", NULL, NULL, 0, NULL},
        {"$(x):y", NULL, NULL, 0, NULL},
        {"a;b:c", NULL, NULL, 0, NULL},
        {"a\n:b", NULL, NULL, 0, NULL},
        {"me`x`@host:y", NULL, NULL, 0, NULL},
        {"scp://", NULL, NULL, 0, NULL},
        {"scp:///x", NULL, NULL, 0, NULL},
        {"scp://host:0/x", NULL, NULL, 0, NULL},
        {"scp://host:65536/x", NULL, NULL, 0, NULL},
        {"scp://host:22x/x", NULL, NULL, 0, NULL},
        {"scp://-o/x", NULL, NULL, 0, NULL},
        {"scp://host/%", NULL, NULL, 0, NULL},
        {"scp://host/%4", NULL, NULL, 0, NULL},
        {"scp://host/%4g", NULL, NULL, 0, NULL},
        {"scp://host/%00", NULL, NULL, 0, NULL},
    };
    char why[512];
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const row *r = &rows[i];
        place p;
        why[0] = '\0';
        bool good = place_parse(r->text, &p, why, sizeof(why));
        if (good != (r->path != NULL)) {
            fail_msg("%s", r->text);
        }
        if (!good) {
            if (!why[0]) {
                fail_msg("%s: no word of why", r->text);
            }
            assert_null(strchr(why, '\n')); /* it can be shown */
            continue;
        }
        assert_int_equal(p.remote, r->host != NULL);
        same(p.user, r->user);
        same(p.host, r->host);
        same(p.path, r->path);
        assert_int_equal(p.port, r->port);
        place_clear(&p);
    }
}

static void test_same_host(void **state)
{
    (void)state;
    static const struct {
        const char *a, *b;
        bool same;
    } rows[] = {{"h:x", "h:y", true},       {"h:x", "H:y", true},
                {"me@h:x", "me@h:y", true}, {"me@h:x", "you@h:y", false},
                {"me@h:x", "h:y", false},   {"h:x", "i:x", false},
                {"h:x", "scp://h/x", true}, {"h:x", "scp://h:22/x", false},
                {"x", "y", false},          {"x", "h:x", false}};
    char why[256];
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        place a, b;
        assert_true(place_parse(rows[i].a, &a, why, sizeof(why)));
        assert_true(place_parse(rows[i].b, &b, why, sizeof(why)));
        assert_int_equal(place_same_host(&a, &b), rows[i].same);
        assert_int_equal(place_same_host(&b, &a), rows[i].same);
        place_clear(&a);
        place_clear(&b);
    }
}

static void test_names(void **state)
{
    (void)state;
    static const char *const names[][2] = {
        {"a", "a"},     {"a/b", "b"},     {"/a/b/", "b"},  {"a///", "a"}, {"/", ""},
        {"", ""},       {".", ""},        {"..", ""},      {"a/.", ""},   {"a/../", ""},
        {"...", "..."}, {".hid", ".hid"}, {"a/..b", "..b"}};
    static const char *const joined[][3] = {{"d", "n", "d/n"}, {"d/", "n", "d/n"},
                                            {"/", "n", "/n"},  {"d", "", "d"},
                                            {"", "n", "n"},    {".", "n", "./n"}};
    static const char *const home[][2] = {{"", "."},     {"~", "."},      {"~/", "."}, {"~//", "."},
                                          {"~/x", "x"},  {"~//x/", "x/"}, {"x", "x"},  {"/x", "/x"},
                                          {"~me", NULL}, {"~me/x", NULL}, {"a~", "a~"}};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        char *got = name_of(names[i][0]);
        assert_string_equal(got, names[i][1]);
        free(got);
    }
    for (size_t i = 0; i < sizeof(joined) / sizeof(joined[0]); i++) {
        char *got = name_in(joined[i][0], joined[i][1]);
        assert_string_equal(got, joined[i][2]);
        free(got);
    }
    for (size_t i = 0; i < sizeof(home) / sizeof(home[0]); i++) {
        same(name_from_home(home[i][0]), home[i][1]);
    }
}

/* ---- the command line ---- */

/* words, parted by single spaces, behind the program's name. */
static args_result parse(scp_args *a, const char *words, char **copy)
{
    static char *argv[64];
    static char program[] = "nacre-scp";
    char why[256];
    int n = 0;
    argv[n++] = program;
    *copy = strdup(words);
    char *rest = *copy;
    for (char *one; *words && (one = strsep(&rest, " ")) != NULL;) {
        argv[n++] = one;
    }
    argv[n] = NULL;
    args_result r = args_parse(a, n, argv, why, sizeof(why));
    assert_int_equal(r == ARGS_WRONG, why[0] != '\0');
    return r;
}

static bool has(char **list, size_t count, const char *text)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(list[i], text) == 0) {
            return true;
        }
    }
    return false;
}

static void test_options(void **state)
{
    (void)state;
    scp_args a;
    char *copy;
    assert_int_equal(parse(&a, "-rpqTB a b", &copy), ARGS_GOOD);
    assert_true(a.recursive && a.preserve && a.quiet && a.any_name && a.batch);
    assert_false(a.legacy || a.direct || a.to_directory);
    assert_int_equal(a.verbose, -1);
    assert_true(has(a.o, a.o_count, "BatchMode=yes"));
    args_clear(&a);
    free(copy);

    assert_int_equal(parse(&a, "a -O b -v c -vv", &copy), ARGS_GOOD);
    assert_true(a.legacy && a.to_directory);
    assert_int_equal(a.verbose, 3);
    assert_int_equal(a.operand_count, 3);
    assert_string_equal(a.operands[2], "c");
    args_clear(&a);
    free(copy);

    assert_int_equal(
        parse(&a,
              "-6 -C -c aes128-ctr -F f -i key -J j,k -l 800 -o User=x -P 22 -S prog -X "
              "nrequests=7 -X buffer=8K -D serv -R -3 -O -s -d -2 -- -a -b",
              &copy),
        ARGS_GOOD);
    static const char *const o[] = {"AddressFamily=inet6",  "Compression=yes", "Ciphers=aes128-ctr",
                                    "IdentityFile=\"key\"", "ProxyJump=j,k",   "User=x"};
    static const char *const ssh[] = {"-6", "-C",  "-c", "aes128-ctr", "-F", "f",
                                      "-i", "key", "-J", "j,k",        "-o", "User=x"};
    assert_int_equal(a.o_count, sizeof(o) / sizeof(o[0]));
    assert_int_equal(a.ssh_count, sizeof(ssh) / sizeof(ssh[0]));
    for (size_t i = 0; i < a.o_count; i++) {
        assert_string_equal(a.o[i], o[i]);
    }
    for (size_t i = 0; i < a.ssh_count; i++) {
        assert_string_equal(a.ssh[i], ssh[i]);
    }
    assert_int_equal(a.rate, 800 * 1024 / 8);
    assert_int_equal(a.port, 22);
    assert_int_equal(a.requests, 7);
    assert_int_equal(a.buffer, 8192);
    assert_string_equal(a.program, "prog");
    assert_string_equal(a.server, "serv");
    assert_string_equal(a.config_file, "f");
    assert_false(a.direct || a.legacy); /* the last one counts */
    assert_true(a.to_directory);
    assert_string_equal(a.operands[0], "-a");
    assert_int_equal(a.operand_count, 2);
    args_clear(&a);
    free(copy);
}

static void test_what_is_no_command_line(void **state)
{
    (void)state;
    static const struct {
        const char *words;
        args_result result;
    } rows[] = {{"", ARGS_USAGE},
                {"a", ARGS_USAGE},
                {"-Z a b", ARGS_USAGE},
                {"-f a b", ARGS_USAGE},
                {"-t a", ARGS_USAGE},
                {"a b -P", ARGS_USAGE},
                {"-l 0 a b", ARGS_USAGE},
                {"-l x a b", ARGS_USAGE},
                {"-l -5 a b", ARGS_USAGE},
                {"-l 104857601 a b", ARGS_USAGE},
                {"-l 18446744073709551617 a b", ARGS_USAGE},
                {"-P 0 a b", ARGS_WRONG},
                {"-P 65536 a b", ARGS_WRONG},
                {"-P 22x a b", ARGS_WRONG},
                {"-X nrequests=0 a b", ARGS_WRONG},
                {"-X nrequests=262145 a b", ARGS_WRONG},
                {"-X buffer=0 a b", ARGS_WRONG},
                {"-X buffer=257K a b", ARGS_WRONG},
                {"-X buffer= a b", ARGS_WRONG},
                {"-X other a b", ARGS_WRONG},
                {"-A a b", ARGS_WRONG},
                {"-1 a b", ARGS_WRONG},
                {"-l 104857600 a b", ARGS_GOOD},
                {"-S none a b", ARGS_GOOD}};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        scp_args a;
        char *copy;
        if (parse(&a, rows[i].words, &copy) != rows[i].result) {
            fail_msg("%s", rows[i].words);
        }
        assert_null(a.program);
        args_clear(&a);
        free(copy);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_places),
        cmocka_unit_test(test_same_host),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_options),
        cmocka_unit_test(test_what_is_no_command_line),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
