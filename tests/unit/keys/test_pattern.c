/*
 * Patterns, pattern lists, numeric addresses and CIDR blocks.
 */
#include "keys/pattern.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static nacre_span str(const char *s)
{
    return nc_span(s, strlen(s));
}

static void patterns(void **state)
{
    (void)state;
    static const struct {
        const char *text, *pattern;
        bool same;
    } rows[] = {
        {"", "", true},
        {"", "*", true},
        {"", "?", false},
        {"a", "", false},
        {"a", "?", true},
        {"ab", "?", false},
        {"abc", "a*", true},
        {"abc", "*c", true},
        {"abc", "a*b", false},
        {"abc", "a?c", true},
        {"abcabd", "*ab?", true},
        {"aaab", "*aab", true},
        {"Host", "host", true},
        {"a.b", "a?b", true},
        {"abc", "***", true},
        {"x*y", "x*y", true},
        {"abc", "abcd", false},
        {"abcd", "abc", false},
        {"mississippi", "m*iss*ppi", true},
        {"mississippi", "m*iss*pp", false},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        assert_int_equal(nc_pattern_match(str(rows[i].text), str(rows[i].pattern), true),
                         rows[i].same);
    }
    assert_false(nc_pattern_match(str("Host"), str("host"), false));
}

/* The definition, as slow as it is plain. */
static bool plain_match(const char *t, const char *p)
{
    if (*p == '\0') {
        return *t == '\0';
    }
    if (*p == '*') {
        return plain_match(t, p + 1) || (*t && plain_match(t + 1, p));
    }
    return *t && (*p == '?' || *p == *t) && plain_match(t + 1, p + 1);
}

static void patterns_agree_with_their_definition(void **state)
{
    (void)state;
    uint32_t seed = 12345;
    for (int round = 0; round < 200000; round++) {
        char t[9], p[9];
        for (int i = 0; i < 9; i++) {
            seed = seed * 1664525u + 1013904223u;
            t[i] = "ab"[seed >> 16 & 1];
            p[i] = "ab*?"[seed >> 18 & 3];
        }
        t[seed >> 20 & 7] = '\0';
        p[seed >> 24 & 7] = '\0';
        t[8] = p[8] = '\0';
        if (nc_pattern_match(str(t), str(p), false) != plain_match(t, p)) {
            fail_msg("text %s pattern %s", t, p);
        }
    }
}

/* A recursive matcher would not come back from this one. */
static void hostile_patterns_end(void **state)
{
    (void)state;
    enum { N = 4000 };
    static char text[N], pattern[2 * N];
    memset(text, 'a', N);
    for (size_t i = 0; i < N; i++) {
        memcpy(pattern + 2 * i, "*a", 2);
    }
    pattern[2 * N - 1] = 'b';
    assert_false(nc_pattern_match(nc_span(text, N), nc_span(pattern, 2 * N), true));
}

static void lists(void **state)
{
    (void)state;
    static const struct {
        const char *text, *list;
        nc_match want;
    } rows[] = {
        {"a", "", NC_MATCH_NO},
        {"a", "b,a", NC_MATCH_YES},
        {"a", "a,!a", NC_MATCH_NEGATED},
        {"a", "!a,a", NC_MATCH_NEGATED},
        {"a", "!b", NC_MATCH_NO},
        {"a", "!b,*", NC_MATCH_YES},
        {"a", ",,a,", NC_MATCH_YES},
        {"", ",", NC_MATCH_NO},
        {"", "!", NC_MATCH_NO},
        {"a,b", "a", NC_MATCH_NO},
        {"a,b", "b", NC_MATCH_NO},
        {"w.example.org", "*.example.org,!x.example.org", NC_MATCH_YES},
        {"x.example.org", "*.example.org,!x.example.org", NC_MATCH_NEGATED},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        assert_int_equal(nc_pattern_list(str(rows[i].text), str(rows[i].list), true), rows[i].want);
    }
}

static void addresses(void **state)
{
    (void)state;
    static const char *const good[] = {"0.0.0.0",
                                       "192.0.2.1",
                                       "255.255.255.255",
                                       "::",
                                       "::1",
                                       "1::",
                                       "2001:db8::1",
                                       "1:2:3:4:5:6:7:8",
                                       "1:2:3:4:5:6:7::",
                                       "::2:3:4:5:6:7:8",
                                       "::ffff:192.0.2.1",
                                       "64:ff9b::192.0.2.33",
                                       "1:2:3:4:5:6:1.2.3.4",
                                       "fe80::1%eth0",
                                       "ABCD::ef01"};
    static const char *const bad[] = {
        "",
        ".",
        "1",
        "1.2.3",
        "1.2.3.4.5",
        "256.1.1.1",
        "01.2.3.4",
        "1.2.3.4 ",
        "0x1.2.3.4",
        "1.2.3.",
        "1..2.3",
        "-1.2.3.4",
        ":",
        ":::",
        "1:::2",
        "1::2::3",
        "1:2:3:4:5:6:7",
        "1:2:3:4:5:6:7:8:9",
        "1:2:3:4:5:6:7:8::",
        "::1:2:3:4:5:6:7:8",
        ":1:2:3:4:5:6:7",
        "1:2:3:4:5:6:7:",
        "12345::",
        "g::",
        "::1.2.3",
        "::1.2.3.4:5",
        "1:2:3:4:5:6:7:1.2.3.4",
        "fe80::1%",
        "1.2.3.4%eth0",
        "*",
        "1111111111111111111111111111111111111111111111111111111111111111111111111111"};
    nc_ip ip;
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        if (!nc_ip_parse(str(good[i]), &ip)) {
            fail_msg("%s", good[i]);
        }
    }
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        if (nc_ip_parse(str(bad[i]), &ip)) {
            fail_msg("%s", bad[i]);
        }
        assert_int_equal(ip.bits, 0);
    }
    nc_ip other;
    assert_true(nc_ip_parse(str("::ffff:192.0.2.1"), &ip));
    assert_true(nc_ip_parse(str("192.0.2.1"), &other));
    assert_memory_equal(&ip, &other, sizeof(ip));
    static const uint8_t want[16] = {0x20, 1, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1};
    assert_true(nc_ip_parse(str("2001:db8::1"), &ip));
    assert_memory_equal(ip.bytes, want, 16);
    assert_true(nc_ip_parse(str("2001:0DB8:0:0::0:1"), &ip));
    assert_memory_equal(ip.bytes, want, 16);
}

static void blocks(void **state)
{
    (void)state;
    static const struct {
        const char *ip, *block;
        int in; /* -1: the block is malformed */
    } rows[] = {
        {"10.1.2.3", "10.0.0.0/8", 1},
        {"11.1.2.3", "10.0.0.0/8", 0},
        {"10.1.2.3", "0.0.0.0/0", 1},
        {"::1", "0.0.0.0/0", 0},
        {"10.1.2.3", "::/0", 0},
        {"10.1.2.3", "10.1.2.3/32", 1},
        {"10.1.2.3", "10.1.2.2/31", 1},
        {"10.1.2.4", "10.1.2.2/31", 0},
        {"10.1.2.3", "10.1.2.3", 1},
        {"2001:db8::5", "2001:db8::/32", 1},
        {"2001:db9::5", "2001:db8::/32", 0},
        {"2001:db8:8000::", "2001:db8:8000::/33", 1},
        {"2001:db8:7fff::", "2001:db8:8000::/33", 0},
        {"::ffff:10.1.2.3", "10.0.0.0/8", 1},
        {"10.1.2.3", "::ffff:10.0.0.0/104", 1},
        {"10.1.2.3", "10.0.0.1/8", -1},
        {"10.1.2.3", "10.0.0.0/33", -1},
        {"10.1.2.3", "10.0.0.0/", -1},
        {"10.1.2.3", "10.0.0.0/08", -1},
        {"10.1.2.3", "10.0.0.0/-1", -1},
        {"10.1.2.3", "10.0.0.0/4294967304", -1},
        {"10.1.2.3", "10.0.0/8", -1},
        {"::1", "::/129", -1},
        {"::1", "/0", -1},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        nc_ip ip, block;
        unsigned prefix;
        assert_true(nc_ip_parse(str(rows[i].ip), &ip));
        bool good = nc_ip_parse_block(str(rows[i].block), &block, &prefix);
        int got = good ? nc_ip_in_block(&ip, &block, prefix) : -1;
        if (got != rows[i].in) {
            fail_msg("%s in %s", rows[i].ip, rows[i].block);
        }
    }
}

static void peers(void **state)
{
    (void)state;
    static const struct {
        const char *address, *host, *list;
        nc_match want;
    } rows[] = {
        {"192.0.2.7", "", "192.0.2.*", NC_MATCH_YES},
        {"192.0.2.7", "", "192.0.2.0/24", NC_MATCH_YES},
        {"192.0.2.7", "", "192.0.2.0/24,!192.0.2.7", NC_MATCH_NEGATED},
        {"192.0.2.7", "", "!192.0.2.7,192.0.2.0/24", NC_MATCH_NEGATED},
        {"192.0.2.7", "", "!192.0.2.8", NC_MATCH_NO},
        {"192.0.2.7", "a.example.org", "*.Example.org", NC_MATCH_YES},
        {"192.0.2.7", "a.example.org", "192.0.2.7,!*.example.org", NC_MATCH_NEGATED},
        {"192.0.2.7", "", "*.example.org", NC_MATCH_NO},
        {"192.0.2.7", "", "*,10.0.0.1/8", NC_MATCH_BAD},
        {"2001:db8:0:0::7", "", "2001:db8::7", NC_MATCH_YES},
        {"::ffff:192.0.2.7", "", "192.0.2.7", NC_MATCH_YES},
        {"", "", "0.0.0.0/0,::/0", NC_MATCH_NO},
        {"", "", "*", NC_MATCH_NO},
        {"192.0.2.7", "", "", NC_MATCH_NO},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        nc_match got = nc_peer_list(str(rows[i].address), str(rows[i].host), str(rows[i].list));
        if (got != rows[i].want) {
            fail_msg("%s (%s) in %s: %d", rows[i].address, rows[i].host, rows[i].list, got);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(patterns),
        cmocka_unit_test(patterns_agree_with_their_definition),
        cmocka_unit_test(hostile_patterns_end),
        cmocka_unit_test(lists),
        cmocka_unit_test(addresses),
        cmocka_unit_test(blocks),
        cmocka_unit_test(peers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
