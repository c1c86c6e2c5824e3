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
    static const char *const rows[] = {"a",     "a b", "",       "\"",     "\\",   "a'b",
                                       "*?[x]", "#",   "a\\\"b", "a{b,c}", "a\nb", "\r"};
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        words w;
        const char *why;
        char *quoted = words_quote(rows[i]);
        assert_non_null(quoted);
        assert_true(words_split(quoted, &w, &why));
        assert_int_equal(w.count, 1);
        assert_string_equal(w.at[0].text, rows[i]);
        assert_false(w.at[0].magic || w.at[0].braces);
        words_free(&w);
        free(quoted);
    }
}

/* What has been typed so far, and which quote is open. */
static void half_typed_lines(void **state)
{
    static const struct {
        const char *line, *last;
        size_t count, start;
        char quote;
    } rows[] = {
        {"get", "get", 1, 0, 0},           {"get a", "a", 2, 4, 0},
        {"  get \"a b", "a b", 2, 6, '"'}, {"get 'a", "a", 2, 4, '\''},
        {"get 'a'", "a", 2, 4, 0},         {"get x\"a b", "xa b", 2, 4, '"'},
        {"get a\\", "a", 2, 4, 0},         {"get a\\ ", "a ", 2, 4, 0},
        {"get \"", "", 2, 4, '"'},         {"get \"a\\\"", "a\"", 2, 4, '"'},
        {"get 'a' \"b", "b", 3, 8, '"'},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        words w;
        char quote = 'x';
        assert_true(words_split_open(rows[i].line, &w, &quote));
        assert_int_equal(w.count, rows[i].count);
        assert_string_equal(w.at[w.count - 1].text, rows[i].last);
        assert_int_equal(w.at[w.count - 1].start, rows[i].start);
        assert_int_equal(quote, rows[i].quote);
        words_free(&w);
    }
}

/* The patterns with a blank between them. */
static void expands(const char *pattern, const char *wanted)
{
    char **got = words_braces(pattern);
    char joined[512] = "";
    assert_non_null(got);
    for (size_t i = 0; got[i]; i++) {
        strcat(joined, i ? " " : "");
        strcat(joined, got[i]);
        free(got[i]);
    }
    free(got);
    assert_string_equal(joined, wanted);
}

static void braces(void **state)
{
    (void)state;
    expands("a", "a");
    expands("{a,b}", "a b");
    expands("x{a,b}y", "xay xby");
    expands("{a,b}{c,d}", "ac ad bc bd");
    expands("{a,{b,c}d}", "a bd cd");
    expands("{a,}x", "ax x");
    expands("{a}", "a");
    expands("{}", "{}");
    expands("{a,b", "{a,b");
    expands("a,b}", "a,b}");
    expands("\\{a,b}", "\\{a,b}");
    expands("{a\\,b,c}", "a\\,b c");
    expands("*.{c,h}", "*.c *.h");
    char many[200] = "";
    for (size_t i = 0; i < 20; i++) {
        strcat(many, "{a,b,c,d}");
    }
    assert_null(words_braces(many)); /* 4^20 of them */
}

static void patterns_and_text(void **state)
{
    static const char *const rows[] = {"", "a", "a*b", "[x]", "\\", "a\\b", "{a,b}", "?"};
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char *pattern = words_pattern(rows[i]);
        char *plain = words_plain(pattern);
        assert_true(words_match(pattern, rows[i]));
        assert_string_equal(plain, rows[i]);
        free(pattern);
        free(plain);
    }
}

/* What is inserted while a word is being typed is that word again. */
static void open_quoting_comes_back(void **state)
{
    static const char *const rows[] = {"a",     "a b", "\"",     "\\",    "a'b",
                                       "*?[x]", "#",   "a\\\"b", "{a,b}", "\xc3\xbc"};
    static const char quotes[] = {'\0', '"', '\''};
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        for (size_t q = 0; q < sizeof(quotes); q++) {
            words w;
            char open;
            char *quoted = words_quote_open(rows[i], quotes[q]);
            assert_non_null(quoted);
            assert_true(words_split_open(quoted, &w, &open));
            assert_int_equal(w.count, 1);
            assert_int_equal(open, quotes[q]);
            assert_string_equal(w.at[0].text, rows[i]);
            assert_false(w.at[0].magic || w.at[0].braces);
            words_free(&w);
            free(quoted);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good_lines),        cmocka_unit_test(bad_lines),
        cmocka_unit_test(matching),          cmocka_unit_test(quoting_comes_back),
        cmocka_unit_test(half_typed_lines),  cmocka_unit_test(braces),
        cmocka_unit_test(patterns_and_text), cmocka_unit_test(open_quoting_comes_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
