/* Lines, keywords, words, numbers, times and sizes of configuration files. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "base/words.h"

/* All words with '|' between them; the status that ended it. */
static int split(const char *line, char *out, size_t size)
{
    char word[64];
    int got;
    out[0] = '\0';
    while ((got = nc_next_word(&line, word, sizeof(word))) == 1) {
        size_t n = strlen(out);
        assert_true(n + strlen(word) + 2 <= size);
        memcpy(out + n, word, strlen(word) + 1);
        n += strlen(word);
        memcpy(out + n, "|", 2);
    }
    return got;
}

static void words_are_split(void **state)
{
    static const char *const rows[][2] = {
        {"", ""},
        {" \t\r\f\v ", ""},
        {"a", "a|"},
        {"  a\tb  c ", "a|b|c|"},
        {"a # b", "a|"},
        {"# a", ""},
        {"a#b c", "a#b|c|"},
        {"\"a b\" 'c d'", "a b|c d|"},
        {"a\"b c\"d", "ab cd|"},
        {"\"\" x", "|x|"},
        {"\"# a\"", "# a|"},
        {"\"it's\" 'a \"b\"'", "it's|a \"b\"|"},
        {"a\\ b \"c\\ d\"", "a b|c\\ d|"},
        {"\\\" \\' \\\\", "\"|'|\\|"},
        {"\"a\\\"b\" 'a\\'b'", "a\"b|a'b|"},
        {"a\\b C:\\dir \\", "a\\b|C:\\dir|\\|"},
        {"k=v", "k=v|"},
        {"\xc3\xa9 \x01", "\xc3\xa9|\x01|"},
    };
    char got[256];
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        assert_int_equal(split(rows[i][0], got, sizeof(got)), 0);
        assert_string_equal(got, rows[i][1]);
    }
}

static void open_quotes_are_errors(void **state)
{
    static const char *const bad[] = {"\"", "'", "a \"b", "a 'b\"", "\"a\\\"", "a\"", "\"a'"};
    char got[256];
    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_int_equal(split(bad[i], got, sizeof(got)), NACRE_SYNTAX);
    }
}

static void words_stay_in_their_room(void **state)
{
    (void)state;
    for (size_t size = 0; size <= 8; size++) {
        const char *at = " 'a\\'b' c";
        char *out = malloc(size ? size : 1); /* as large as told, for the address sanitizer */
        assert_non_null(out);
        int got = nc_next_word(&at, out, size);
        assert_int_equal(got, size >= 4 ? 1 : NACRE_TOO_LARGE);
        if (got == 1) {
            assert_string_equal(out, "a'b");
            assert_string_equal(at, " c");
        }
        free(out);
    }
}

static void keywords_end_at_blank_or_equals(void **state)
{
    static const char *const rows[][3] = {
        {"Port 22", "Port", "22"},
        {"Port=22", "Port", "22"},
        {" Port = 22", "Port", "22"},
        {"Port\t=\t22 ", "Port", "22 "},
        {"Port==22", "Port", "=22"},
        {"Port", "Port", ""},
        {"Port=", "Port", ""},
        {"", "", ""},
        {"=22", "", "22"},
        {"  ", "", ""},
        {"#x y", "#x", "y"},
        {"P q=r", "P", "q=r"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const char *at = rows[i][0];
        nacre_span k = nc_next_keyword(&at);
        assert_int_equal(k.n, strlen(rows[i][1]));
        assert_memory_equal(k.p, rows[i][1], k.n);
        assert_string_equal(at, rows[i][2]);
    }
}

static void lines_end_at_newlines(void **state)
{
    static const char *const lines[] = {"a", "", " b\r", "c"};
    nacre_span text = nc_span_cstr("a\n\n b\r\nc"), line;
    (void)state;
    for (size_t i = 0; i < 4; i++) {
        assert_true(nc_next_line(&text, &line));
        assert_int_equal(line.n, strlen(lines[i]));
        assert_memory_equal(line.p, lines[i], line.n);
    }
    assert_false(nc_next_line(&text, &line));
    text = nc_span_cstr("a\n");
    assert_true(nc_next_line(&text, &line));
    assert_false(nc_next_line(&text, &line));
    assert_int_equal(nc_trim_blanks(nc_span_cstr(" \t\r")).n, 0);
    assert_int_equal(nc_trim_blanks(nc_span_cstr(" a b\r\f")).n, 3);
}

static void numbers(void **state)
{
    static const char *const bad[] = {
        "", "-1", "+1", " 1", "1 ", "0x1", "1a", "18", "2", "4294967297", "18446744073709551617"};
    uint32_t n = 77;
    uint64_t v = 77;
    const char *at = "18446744073709551615x";
    (void)state;
    assert_true(nc_parse_number("0", 0, 0, &n) && n == 0);
    assert_true(nc_parse_number("4294967295", 0, UINT32_MAX, &n) && n == UINT32_MAX);
    assert_true(nc_parse_number("0017", 3, 17, &n) && n == 17);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_false(nc_parse_number(bad[i], 3, 17, &n));
        assert_int_equal(n, 17);
    }
    assert_true(nc_parse_digits(&at, UINT64_MAX, &v));
    assert_true(v == UINT64_MAX && strcmp(at, "x") == 0);
    assert_false(nc_parse_digits(&at, UINT64_MAX, &v));
    at = "18446744073709551616";
    assert_false(nc_parse_digits(&at, UINT64_MAX, &v));
    at = "7";
    assert_false(nc_parse_digits(&at, 6, &v));
    assert_string_equal(at, "7");
}

static void times(void **state)
{
    static const struct {
        const char *text;
        uint32_t seconds;
    } good[] = {{"0", 0},
                {"90", 90},
                {"2m", 120},
                {"1h30m", 5400},
                {"1H", 3600},
                {"1w2d3h4m5", 788645},
                {"2147483647", INT32_MAX},
                {"3550W", 2147040000}};
    static const char *const bad[] = {"",
                                      "m",
                                      "1x",
                                      "-1",
                                      "1 h",
                                      "1h ",
                                      "1hm",
                                      "1.5h",
                                      "none",
                                      "2147483648",
                                      "3551w",
                                      "2147483647s1",
                                      "2147483647w",
                                      "99999999999999999999"};
    uint32_t t = 0;
    (void)state;
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        assert_true(nc_parse_time(good[i].text, &t));
        assert_int_equal(t, good[i].seconds);
    }
    t = 7;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_false(nc_parse_time(bad[i], &t));
        assert_int_equal(t, 7);
    }
    assert_true(nc_parse_rekey_time("None", &t) && t == 0);
    assert_true(nc_parse_rekey_time("1h", &t) && t == 3600);
    assert_false(nc_parse_rekey_time("nonee", &t));
    assert_false(nc_parse_rekey_time("non", &t));
    assert_false(nc_parse_rekey_time("default", &t));
    assert_false(nc_parse_rekey_time("", &t));
}

static void sizes(void **state)
{
    static const struct {
        const char *text;
        uint64_t bytes;
    } good[] = {{"0", 0},
                {"16", 16},
                {"3k", 3072},
                {"1M", 1048576},
                {"16g", 17179869184},
                {"18446744073709551615", UINT64_MAX},
                {"17179869183G", UINT64_MAX - 1073741823}};
    static const char *const bad[] = {"",
                                      "K",
                                      "1T",
                                      "1KB",
                                      "1K1",
                                      "-1",
                                      "1.5G",
                                      " 1",
                                      "1 K",
                                      "17179869184G",
                                      "18446744073709551616"};
    uint64_t n = 0;
    (void)state;
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        assert_true(nc_parse_size(good[i].text, &n));
        assert_true(n == good[i].bytes);
    }
    n = 7;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_false(nc_parse_size(bad[i], &n));
        assert_false(nc_parse_rekey_size(bad[i], &n));
        assert_int_equal(n, 7);
    }
    assert_false(nc_parse_rekey_size("1", &n));
    assert_false(nc_parse_rekey_size("15", &n));
    assert_true(nc_parse_rekey_size("16", &n) && n == 16);
    assert_true(nc_parse_rekey_size("0", &n) && n == 0);
    n = 7;
    assert_true(nc_parse_rekey_size("Default", &n) && n == 0);
    n = 7;
    assert_true(nc_parse_rekey_size("none", &n) && n == 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(words_are_split),
        cmocka_unit_test(open_quotes_are_errors),
        cmocka_unit_test(words_stay_in_their_room),
        cmocka_unit_test(keywords_end_at_blank_or_equals),
        cmocka_unit_test(lines_end_at_newlines),
        cmocka_unit_test(numbers),
        cmocka_unit_test(times),
        cmocka_unit_test(sizes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
