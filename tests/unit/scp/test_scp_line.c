/* Lines of the copy protocol, names, patterns, and quoting. */
#include "scp/line.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static int parse(const char *line, nc_scp_record *r)
{
    nacre_error err = {.status = NACRE_OK};
    int rc = nc_scp_parse(nc_span_cstr(line), r, &err);
    assert_int_equal(rc, err.status);
    assert_true(rc == NACRE_OK || err.text[0] != '\0');
    return rc;
}

static void test_good_lines(void **state)
{
    nc_scp_record r;
    (void)state;
    assert_int_equal(parse("C0644 12 a name", &r), NACRE_OK);
    assert_int_equal(r.kind, NC_SCP_FILE);
    assert_int_equal(r.st.mode, 0644);
    assert_int_equal(r.st.size, 12);
    assert_true(nc_span_is(r.name, "a name"));
    assert_int_equal(parse("C7777 9223372036854775807  x ", &r), NACRE_OK);
    assert_true(r.st.size == INT64_MAX);
    assert_true(nc_span_is(r.name, " x "));
    assert_int_equal(parse("D0755 0 d", &r), NACRE_OK);
    assert_int_equal(r.kind, NC_SCP_DIR);
    assert_int_equal(parse("E", &r), NACRE_OK);
    assert_int_equal(r.kind, NC_SCP_LEAVE);
    assert_int_equal(parse("T1234567890 0 987654321 999999", &r), NACRE_OK);
    assert_int_equal(r.kind, NC_SCP_TIMES);
    assert_int_equal(r.st.mtime, 1234567890);
    assert_int_equal(r.st.atime, 987654321);
}

static void test_bad_lines(void **state)
{
    static const char *const bad[] = {"",
                                      "X",
                                      "hello",
                                      " C0644 1 a",
                                      "C",
                                      "C0",
                                      "C064",
                                      "C0644",
                                      "C0644 ",
                                      "C0644 1",
                                      "C06441 1 a",
                                      "C0648 1 a",
                                      "C 0644 1 a",
                                      "C+644 1 a",
                                      "C0644  1 a",
                                      "C0644 -1 a",
                                      "C0644 +1 a",
                                      "C0644 0x1 a",
                                      "C0644 1a a",
                                      "C0644 9223372036854775808 a",
                                      "C0644 18446744073709551616 a",
                                      "C0644 99999999999999999999999999 a",
                                      "C0644 \t1 a",
                                      "C0644\t1 a",
                                      "D0755 a",
                                      "D0755 x d",
                                      "E ",
                                      "E0",
                                      "Ex",
                                      "T",
                                      "T1",
                                      "T1 0",
                                      "T1 0 1",
                                      "T1 0 1 ",
                                      "T1 0 1 0 ",
                                      "T1 0 1 0 0",
                                      "T1  0 1 0",
                                      "T-1 0 1 0",
                                      "T1 0 -1 0",
                                      "T1 1000000 1 0",
                                      "T1 0 1 1000000",
                                      "T9223372036854775808 0 1 0",
                                      "T1 0 1 x",
                                      "T 1 0 1 0",
                                      "c0644 1 a",
                                      "\x80"};
    nc_scp_record r;
    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        if (parse(bad[i], &r) != NACRE_SCP_PROTOCOL) {
            fail_msg("\"%s\" was taken", bad[i]);
        }
    }
}

static void test_long_names(void **state)
{
    char line[NC_SCP_NAME_MAX + 16] = "C0644 1 ";
    nc_scp_record r;
    (void)state;
    memset(line + 8, 'n', NC_SCP_NAME_MAX);
    line[8 + NC_SCP_NAME_MAX] = '\0';
    assert_int_equal(parse(line, &r), NACRE_OK);
    assert_int_equal(r.name.n, NC_SCP_NAME_MAX);
    strcat(line, "n");
    assert_int_equal(parse(line, &r), NACRE_SCP_PROTOCOL);
}

static void test_written_lines_are_read_again(void **state)
{
    char line[NC_SCP_LINE_MAX];
    nc_scp_record r = {.kind = NC_SCP_FILE,
                       .st = {.size = INT64_MAX, .mode = 06755, .mtime = INT64_MAX, .atime = 5},
                       .name = nc_span_cstr("x y")};
    nc_scp_record back;
    nacre_error err = {.status = NACRE_OK};
    (void)state;
    size_t n = nc_scp_format(&r, line);
    assert_memory_equal(line, "C6755 9223372036854775807 x y\n", n);
    assert_int_equal(nc_scp_parse(nc_span(line, n - 1), &back, &err), NACRE_OK);
    r.kind = NC_SCP_DIR;
    n = nc_scp_format(&r, line);
    assert_memory_equal(line, "D6755 0 x y\n", n);
    r.kind = NC_SCP_TIMES;
    n = nc_scp_format(&r, line);
    assert_int_equal(nc_scp_parse(nc_span(line, n - 1), &back, &err), NACRE_OK);
    assert_true(back.st.mtime == INT64_MAX && back.st.atime == 5);
}

static void test_names(void **state)
{
    static const struct {
        const char *name;
        size_t n;
        bool strict, lax;
    } rows[] = {
        {"a", 1, true, true},      {"...", 3, true, true},      {"-rf", 3, true, true},
        {".x", 2, true, true},     {"\xc3\xa4", 2, true, true}, {" ", 1, true, true},
        {"", 0, false, false},     {".", 1, false, false},      {"..", 2, false, false},
        {"a/b", 3, false, false},  {"/", 1, false, false},      {"../x", 4, false, false},
        {"a\0b", 3, false, false}, {"a\nb", 3, false, false},   {"a\x1b[2J", 5, false, true},
        {"\x7f", 1, false, true},  {"a\rb", 3, false, true}};
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        assert_int_equal(nc_scp_name_ok(nc_span(rows[i].name, rows[i].n), false), rows[i].strict);
        assert_int_equal(nc_scp_name_ok(nc_span(rows[i].name, rows[i].n), true), rows[i].lax);
    }
}

static void test_patterns(void **state)
{
    static const struct {
        const char *pattern, *name;
        bool yes;
    } rows[] = {{"a", "a", true},         {"a", "b", false},          {"a", "ab", false},
                {"*", "", true},          {"*", "abc", true},         {"*", ".hidden", false},
                {".*", ".hidden", true},  {"\\.h", ".h", true},       {"?", "x", true},
                {"?", "", false},         {"?", "xy", false},         {"?x", ".x", false},
                {"*.c", "a.c", true},     {"*.c", "a.cc", false},     {"a*b*c", "aXbYc", true},
                {"a*b*c", "aXbY", false}, {"[abc]", "b", true},       {"[abc]", "d", false},
                {"[!abc]", "d", true},    {"[^abc]", "a", false},     {"[a-c]x", "bx", true},
                {"[a-c]", "d", false},    {"[]a]", "]", true},        {"[", "[", true},
                {"[a", "[a", true},       {"\\*", "*", true},         {"\\*", "x", false},
                {"\\[a]", "[a]", true},   {"{a,b}.c", "b.c", true},   {"{a,b}.c", "c.c", false},
                {"{a,{b,c}}", "c", true}, {"x{,y}", "x", true},       {"x{,y}", "xy", true},
                {"{a", "{a", true},       {"\\{a,b}", "{a,b}", true}, {"{*.c,*.h}", "x.h", true},
                {"a\\", "a\\", true},     {"**a", "bba", true}};
    char many[2 * NC_SCP_NAME_MAX + 8];
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        if (nc_scp_match(rows[i].pattern, nc_span_cstr(rows[i].name)) != rows[i].yes) {
            fail_msg("\"%s\" and \"%s\"", rows[i].pattern, rows[i].name);
        }
    }
    /* What would take for ever is bounded. */
    many[0] = '\0';
    while (strlen(many) + 8 < sizeof(many)) {
        strcat(many, "{a,b}");
    }
    assert_false(nc_scp_match(many, nc_span_cstr("never")));
    memset(many, '*', sizeof(many) - 1);
    many[2 * NC_SCP_NAME_MAX - 1] = 'x';
    many[2 * NC_SCP_NAME_MAX] = '\0';
    char name[NC_SCP_NAME_MAX];
    memset(name, 'a', sizeof(name));
    assert_false(nc_scp_match(many, nc_span(name, sizeof(name))));
}

static void test_quoting(void **state)
{
    static const struct {
        nacre_scp_names names;
        const char *path, *quoted;
    } rows[] = {{NACRE_SCP_EXACT, "/a/b-c_d.e", "/a/b-c_d.e"},
                {NACRE_SCP_EXACT, "", "."},
                {NACRE_SCP_EXACT, "a b", "'a b'"},
                {NACRE_SCP_EXACT, "it's", "'it'\\''s'"},
                {NACRE_SCP_EXACT, "$(rm)", "'$(rm)'"},
                {NACRE_SCP_EXACT, "~", "'~'"},
                {NACRE_SCP_EXACT, "*", "'*'"},
                {NACRE_SCP_EXACT, "a\nb", "'a\nb'"},
                {NACRE_SCP_EXACT, "-rf", "./-rf"},
                {NACRE_SCP_PATTERN, "~/a b*", "~/a\\ b*"},
                {NACRE_SCP_PATTERN, "x[!a]?", "x[!a]?"},
                {NACRE_SCP_PATTERN, "a\\*b", "a\\*b"},
                {NACRE_SCP_PATTERN, "`id`;x", "\\`id\\`\\;x"},
                {NACRE_SCP_PATTERN, "a{b,c}", "a\\{b,c\\}"},
                {NACRE_SCP_PATTERN, "a\nb", "a'\n'b"},
                {NACRE_SCP_PATTERN, "x~", "x\\~"},
                {NACRE_SCP_PATTERN, "\xc3\xa4", "\xc3\xa4"},
                {NACRE_SCP_RAW, "`id` a", "`id` a"}};
    char out[64];
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        assert_int_equal(nacre_scp_quote(rows[i].names, rows[i].path, out, sizeof(out)), NACRE_OK);
        assert_string_equal(out, rows[i].quoted);
        size_t n = strlen(out);
        assert_int_equal(nacre_scp_quote(rows[i].names, rows[i].path, out, n), NACRE_TOO_LARGE);
        assert_int_equal(nacre_scp_quote(rows[i].names, rows[i].path, out, n + 1), NACRE_OK);
    }
}

static void test_what_may_come(void **state)
{
    static const struct {
        nacre_scp_names names;
        const char *path, *name;
        bool single, yes;
    } rows[] = {{NACRE_SCP_EXACT, "/a/b", "b", true, true},
                {NACRE_SCP_EXACT, "/a/b//", "b", true, true},
                {NACRE_SCP_EXACT, "b", "c", true, false},
                {NACRE_SCP_EXACT, "/a/*", "*", true, true},
                {NACRE_SCP_EXACT, "/a/*", "x", true, false},
                {NACRE_SCP_EXACT, ".ssh", ".ssh", true, true},
                {NACRE_SCP_PATTERN, "/a/*.c", "x.c", false, true},
                {NACRE_SCP_PATTERN, "/a/*.c", "x.h", false, false},
                {NACRE_SCP_PATTERN, "/*/x", "x", false, true},
                {NACRE_SCP_PATTERN, "a\\*", "a*", true, true},
                {NACRE_SCP_PATTERN, "{a,b}", "{a,b}", true, true},
                {NACRE_SCP_PATTERN, "~", "me", true, true},
                {NACRE_SCP_PATTERN, "~/x", "x", true, true},
                {NACRE_SCP_RAW, "'a b'", "a b", true, true},
                {NACRE_SCP_RAW, "\"a*\"", "a*", true, true},
                {NACRE_SCP_RAW, "\"a*\"", "ab", true, false},
                {NACRE_SCP_RAW, "{a,b}", "b", false, true},
                {NACRE_SCP_RAW, "a\\ b", "a b", true, true}};
    static const char *const never[] = {"..", ".", "/", "a/..", "a/.", "../.."};
    nc_scp_expected e;
    nacre_error err = {.status = NACRE_OK};
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        assert_int_equal(nc_scp_expect(rows[i].names, rows[i].path, &e, &err), NACRE_OK);
        assert_int_equal(e.single, rows[i].single);
        if (nc_scp_match(e.pattern, nc_span_cstr(rows[i].name)) != rows[i].yes) {
            fail_msg("\"%s\" and \"%s\"", rows[i].path, rows[i].name);
        }
    }
    for (size_t i = 0; i < sizeof(never) / sizeof(never[0]); i++) {
        nc_error_clear(&err);
        assert_int_equal(nc_scp_expect(NACRE_SCP_EXACT, never[i], &e, &err),
                         NACRE_INVALID_ARGUMENT);
    }
    static char longest[20000];
    memset(longest, 'n', sizeof(longest) - 1);
    for (size_t n = 3000; n < 12000; n += 8000) { /* a name, and a path, that none is */
        longest[sizeof(longest) - 1 - n] = '\0';
        nc_error_clear(&err);
        assert_int_equal(nc_scp_expect(NACRE_SCP_EXACT, longest, &e, &err), NACRE_TOO_LARGE);
    }
    longest[3000] = '\0';
    nc_error_clear(&err);
    assert_int_equal(nc_scp_expect(NACRE_SCP_EXACT, longest, &e, &err), NACRE_TOO_LARGE);
    assert_non_null(strstr(err.text, "name is too long"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good_lines), cmocka_unit_test(test_bad_lines),
        cmocka_unit_test(test_long_names), cmocka_unit_test(test_written_lines_are_read_again),
        cmocka_unit_test(test_names),      cmocka_unit_test(test_patterns),
        cmocka_unit_test(test_quoting),    cmocka_unit_test(test_what_may_come),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
