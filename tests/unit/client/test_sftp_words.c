/*
 * test_sftp_words.c - the command line of nacre-sftp: quoting, patterns, and what is refused.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../../../apps/sftp/words.h"

#include <stdlib.h>
#include <string.h>

static void good_lines(void **state)
{
    static const struct {
        const char *line;
        size_t count;
        const char *text, *pattern; /* of the last word */
        bool magic;
    } rows[] = {
        {"", 0, "", "", false},
        {" \t# only a comment", 0, "", "", false},
        {"get a", 2, "a", "a", false},
        {"get a#b", 2, "a#b", "a#b", false},
        {"get a #b", 2, "a", "a", false},
        {"get \"a b\"", 2, "a b", "a b", false},
        {"get 'a \"b'", 2, "a \"b", "a \"b", false},
        {"get a\\ b", 2, "a b", "a b", false},
        {"get \"\"", 2, "", "", false},
        {"get a*", 2, "a*", "a*", true},
        {"get 'a*'", 2, "a*", "a\\*", false},
        {"get a\\*", 2, "a*", "a\\*", false},
        {"get \"a\"*", 2, "a*", "a*", true},
        {"get \"a\\\"b\\\\\"", 2, "a\"b\\", "a\"b\\\\", false},
        {"get \"a\\n\"", 2, "a\\n", "a\\\\n", false},
        {"get [ab]\\?", 2, "[ab]?", "[ab]\\?", true},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        words w;
        const char *why;
        assert_true(words_split(rows[i].line, &w, &why));
        assert_int_equal(w.count, rows[i].count);
        if (w.count > 0) {
            assert_string_equal(w.at[w.count - 1].text, rows[i].text);
            assert_string_equal(w.at[w.count - 1].pattern, rows[i].pattern);
            assert_int_equal(w.at[w.count - 1].magic, rows[i].magic);
        }
        words_free(&w);
    }
}

static void refused(const char *line)
{
    words w;
    const char *why = NULL;
    assert_false(words_split(line, &w, &why));
    assert_non_null(why);
    assert_int_equal(w.count, 0);
    assert_null(w.at);
}

static void bad_lines(void **state)
{
    static const char *const rows[] = {
        "get \"a", "get 'a",      "get a\"",   "'",         "\"",       "get a\\",
        "\\",      "get \"a\\\"", "get 'a\\'", "get a\\\n", "get 'a\"", "get \"a'",
    };
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        refused(rows[i]);
    }
    char *many = malloc(70000);
    assert_non_null(many);
    memset(many, 'a', 69999);
    many[69999] = '\0';
    refused(many);
    for (size_t i = 1; i < 20000; i += 2) {
        many[i] = ' ';
    }
    many[20000] = '\0';
    refused(many);
    free(many);
}

static void matching(void **state)
{
    static const struct {
        const char *pattern, *name;
        bool match;
    } rows[] = {
        {"a", "a", true},         {"a", "b", false},     {"a", "ab", false},
        {"*", "abc", true},       {"*", "", true},       {"*", ".a", false},
        {".*", ".a", true},       {"\\.*", ".a", true},  {"?", ".", false},
        {"a*c", "abbc", true},    {"a*c", "abb", false}, {"*a*b*", "xaybz", true},
        {"*a*b*", "xbya", false}, {"?", "", false},      {"[a-c]", "b", true},
        {"[a-c]", "d", false},    {"[!a-c]", "d", true}, {"[!a-c]", "a", false},
        {"[]]", "]", true},       {"[", "[", true},      {"[a", "[a", true},
        {"[a", "a", false},       {"\\*", "*", true},    {"\\*", "a", false},
        {"[\\]]", "]", true},     {"a\\", "a\\", true},  {"", "a", false},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        if (words_match(rows[i].pattern, rows[i].name) != rows[i].match) {
            fail_msg("'%s' against '%s'", rows[i].pattern, rows[i].name);
        }
    }
}

static void quoting_comes_back(void **state)
{
    static const char *const rows[] = {"a", "a b", "", "\"", "\\", "a'b", "*?[x]", "#", "a\\\"b"};
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        words w;
        const char *why;
        char *quoted = words_quote(rows[i]);
        assert_non_null(quoted);
        assert_true(words_split(quoted, &w, &why));
        assert_int_equal(w.count, 1);
        assert_string_equal(w.at[0].text, rows[i]);
        assert_false(w.at[0].magic);
        words_free(&w);
        free(quoted);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good_lines),
        cmocka_unit_test(bad_lines),
        cmocka_unit_test(matching),
        cmocka_unit_test(quoting_comes_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
