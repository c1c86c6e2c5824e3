/* SOCKS 4, 4a and 5 as a server hears them: whole, byte by byte, pipelined, and wrong in every way. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka needs those before it */
#include <cmocka.h>

#include "channel/socks.h"

#include <string.h>

typedef struct dialogue {
    nc_socks s;
    uint8_t said[128]; /* answers in a row */
    size_t said_n, used;
} dialogue;

/* All steps that the bytes are enough for. */
static int run(dialogue *d, const void *p, size_t n)
{
    int rc = NACRE_AGAIN;
    for (;;) {
        uint8_t out[NC_SOCKS_OUT_MAX];
        size_t used = 0, answered = 0;
        rc = nc_socks_step(&d->s, nc_span((const uint8_t *)p + d->used, n - d->used), &used, out,
                           &answered);
        assert_true(answered <= sizeof(out) && used <= n - d->used);
        memcpy(d->said + d->said_n, out, answered);
        d->said_n += answered;
        d->used += used;
        if (rc != NACRE_AGAIN || used == 0) {
            return rc;
        }
    }
}

static const struct {
    const char *bytes;
    size_t n;
    const char *host;
    uint16_t port;
    size_t answers; /* before the request is through */
} good[] = {
    {"\4\1\0\x50\xc0\0\2\1\0", 9, "192.0.2.1", 80, 0},
    {"\4\1\0\x50\xc0\0\2\1me\0", 11, "192.0.2.1", 80, 0},
    {"\4\1\1\xbb\0\0\0\1me\0there.example\0", 25, "there.example", 443, 0},
    {"\5\1\0\5\1\0\1\xc0\0\2\1\0\x50", 13, "192.0.2.1", 80, 2},
    {"\5\3\2\1\0\5\1\0\3\5there\0\x16", 17, "there", 22, 2},
    {"\5\1\0\5\1\0\4\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1\0\x16", 25, "::1", 22, 2},
    {"\5\1\0\5\1\0\4\x20\1\xd\xb8\0\0\0\0\0\1\0\0\0\0\0\1\0\x16", 25, "2001:db8::1:0:0:1", 22, 2},
    {"\5\1\0\5\1\0\4\xfe\x80\0\0\0\0\0\0\0\1\0\2\0\3\0\0\0\x16", 25, "fe80::1:2:3:0", 22, 2},
    {"\5\1\0\5\1\0\4\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x16", 25, "::", 22, 2},
    {"\5\1\0\5\1\0\4\0\1\0\2\0\3\0\4\0\5\0\6\0\7\0\x8\0\x16", 25, "1:2:3:4:5:6:7:8", 22, 2},
};

static void test_good(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        uint8_t more[64];
        dialogue d;
        memset(&d, 0, sizeof(d));
        memcpy(more, good[i].bytes, good[i].n);
        memcpy(more + good[i].n, "next", 4); /* belongs to the connection */
        assert_int_equal(run(&d, more, good[i].n + 4), NACRE_OK);
        assert_int_equal(d.used, good[i].n);
        assert_string_equal(d.s.host, good[i].host);
        assert_int_equal(d.s.port, good[i].port);
        assert_int_equal(d.said_n, good[i].answers);

        /* As little at a time as can be. */
        dialogue slow;
        memset(&slow, 0, sizeof(slow));
        for (size_t n = 0; n < good[i].n; n++) {
            assert_int_equal(run(&slow, good[i].bytes, n), NACRE_AGAIN);
        }
        assert_int_equal(run(&slow, good[i].bytes, good[i].n), NACRE_OK);
        assert_string_equal(slow.s.host, good[i].host);
        assert_memory_equal(slow.said, d.said, d.said_n);
    }
}

static void test_replies(void **state)
{
    (void)state;
    uint8_t out[NC_SOCKS_OUT_MAX];
    nc_socks four = {.version = 4}, five = {.version = 5};
    assert_int_equal(nc_socks_reply(&four, NC_SOCKS_GRANTED, out), 8);
    assert_memory_equal(out, "\0\x5a\0\0\0\0\0\0", 8);
    assert_int_equal(nc_socks_reply(&four, NC_SOCKS_UNREACHABLE, out), 8);
    assert_int_equal(out[1], 0x5b);
    assert_int_equal(nc_socks_reply(&five, NC_SOCKS_GRANTED, out), 10);
    assert_memory_equal(out, "\5\0\0\1\0\0\0\0\0\0", 10);
    assert_int_equal(nc_socks_reply(&five, NC_SOCKS_FAILED, out), 10);
    assert_int_equal(out[1], 1);
    assert_int_equal(nc_socks_reply(&five, NC_SOCKS_PROHIBITED, out), 10);
    assert_int_equal(out[1], 2);
    assert_int_equal(nc_socks_reply(&five, NC_SOCKS_UNREACHABLE, out), 10);
    assert_int_equal(out[1], 5);
}

static const struct {
    const char *bytes;
    size_t n;
    const char *answer;
    size_t answered;
} bad[] = {
    {"GET / HTTP/1.1\r\n", 16, "", 0},
    {"\0", 1, "", 0},
    {"\6\1\0", 3, "", 0},
    {"\xff", 1, "", 0},
    {"\5\0", 2, "\5\xff", 2},                               /* no method */
    {"\5\2\1\2", 4, "\5\xff", 2},                           /* not one of ours */
    {"\5\1\0\5\2\0\1\0\0\0\0\0\0", 13, "\5\0\5\7\0\1", 6},  /* BIND */
    {"\5\1\0\5\3\0\1\0\0\0\0\0\0", 13, "\5\0\5\7\0\1", 6},  /* UDP */
    {"\5\1\0\5\1\0\2\0\0\0\0\0\0", 13, "\5\0\5\x8\0\1", 6}, /* no such address */
    {"\5\1\0\4\1\0\1\0\0\0\0\0\0", 13, "\5\0\5\1\0\1", 6},  /* another version */
    {"\5\1\0\5\1\0\3\0\0\x50", 10, "\5\0\5\1\0\1", 6},      /* an empty name */
    {"\5\1\0\5\1\0\3\3a\0b\0\x50", 13, "\5\0\5\1\0\1", 6},  /* a zero in it */
    {"\5\1\0\5\1\0\3\3a b\0\x50", 13, "\5\0\5\1\0\1", 6},
    {"\5\1\0\5\1\0\3\3a\x1b"
     "b\0\x50",
     13, "\5\0\5\1\0\1", 6},
    {"\4\2\0\x50\xc0\0\2\1\0", 9, "\0\x5b\0\0", 4},  /* BIND */
    {"\4\1\0\x50\0\0\0\1\0\0", 10, "\0\x5b\0\0", 4}, /* an empty name */
    {"\4\1\0\x50\0\0\0\1\0a\nb\0", 13, "\0\x5b\0\0", 4},
};

static void test_bad(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        dialogue d;
        memset(&d, 0, sizeof(d));
        assert_int_equal(run(&d, bad[i].bytes, bad[i].n), NACRE_MALFORMED);
        assert_true(d.said_n >= bad[i].answered);
        assert_memory_equal(d.said, bad[i].answer, bad[i].answered);
        assert_false(d.s.done);
    }
}

/* Names without an end. */
static void test_endless(void **state)
{
    (void)state;
    static uint8_t in[NC_SOCKS_IN_MAX + 8];
    static const char *const heads[] = {"\4\1\0\x50\xc0\0\2\1", "\4\1\0\x50\0\0\0\1"};
    for (size_t i = 0; i < 2; i++) {
        dialogue d;
        memset(&d, 0, sizeof(d));
        memset(in, 'a', sizeof(in));
        memcpy(in, heads[i], 8);
        assert_int_equal(run(&d, in, 8 + NC_SOCKS_USER_MAX), NACRE_AGAIN);
        assert_int_equal(run(&d, in, 8 + NC_SOCKS_USER_MAX + 1), NACRE_MALFORMED);
    }
    dialogue d;
    memset(&d, 0, sizeof(d));
    memset(in, 'a', sizeof(in));
    memcpy(in, heads[1], 8);
    in[8] = 0;
    assert_int_equal(run(&d, in, 9 + NC_SOCKS_HOST_MAX), NACRE_AGAIN);
    assert_int_equal(run(&d, in, 9 + NC_SOCKS_HOST_MAX + 1), NACRE_MALFORMED);
    memset(&d, 0, sizeof(d));
    in[9 + NC_SOCKS_HOST_MAX] = 0;
    assert_int_equal(run(&d, in, 9 + NC_SOCKS_HOST_MAX + 1), NACRE_OK);
    assert_int_equal(strlen(d.s.host), NC_SOCKS_HOST_MAX);
}

/* Any bytes: never more used than there are, never a wild answer. */
static void test_noise(void **state)
{
    (void)state;
    uint32_t seed = 1;
    for (int round = 0; round < 20000; round++) {
        uint8_t in[64];
        dialogue d;
        memset(&d, 0, sizeof(d));
        for (size_t i = 0; i < sizeof(in); i++) {
            seed = seed * 1664525 + 1013904223;
            in[i] = (uint8_t)(seed >> 24);
        }
        in[0] = (uint8_t)(4 + (round & 1));
        if (round & 2) {
            memcpy(in, "\5\1\0\5\1\0", 6);
        }
        int rc = run(&d, in, seed % sizeof(in));
        assert_true(rc == NACRE_OK || rc == NACRE_AGAIN || rc == NACRE_MALFORMED);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good),    cmocka_unit_test(test_replies), cmocka_unit_test(test_bad),
        cmocka_unit_test(test_endless), cmocka_unit_test(test_noise),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
