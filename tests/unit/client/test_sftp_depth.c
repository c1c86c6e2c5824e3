/*
 * test_sftp_depth.c - how much a session has on the way, over a model of a link: a rate, a round trip,
 * and somebody who always has more to ask for.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "client/sftp_session.h"

enum { MIB = 1024 * 1024, AT_50_MS = 50 * 320 * 1024, CHUNK = 255 * 1024, SLOTS = 4096 };

typedef struct link {
    uint64_t round_trip_ms, per_ms; /* bytes that the link carries in a ms */
    uint64_t now_ms;
    uint64_t flying, moved, most;
    uint64_t back_at[SLOTS];
    uint64_t free_at; /* 1/1024 ms: when the link has sent what was asked for */
    size_t first, last;
    bool idle;
} link;

static nc_sftp_depth d;
static link l;

static int setup(void **state)
{
    (void)state;
    nc_sftp_depth_init(&d);
    memset(&l, 0, sizeof(l));
    l.round_trip_ms = 50;
    l.per_ms = 400 * 1024;
    l.now_ms = 100000;
    return 0;
}

static void measure(uint64_t ms)
{
    nc_sftp_depth_asked(&d, 1, 1, l.now_ms);
    l.now_ms += ms;
    nc_sftp_depth_answered(&d, 1, l.now_ms);
}

static void ask(void)
{
    while (!l.idle && nc_sftp_depth_room(&d, l.flying) >= CHUNK) {
        uint64_t began = l.free_at > l.now_ms * 1024 ? l.free_at : l.now_ms * 1024;
        l.free_at = began + (uint64_t)CHUNK * 1024 / l.per_ms;
        l.back_at[l.last++ % SLOTS] = l.free_at / 1024 + l.round_trip_ms;
        l.flying += CHUNK;
        assert_true(l.last - l.first <= SLOTS);
    }
    l.most = l.flying > l.most ? l.flying : l.most;
}

static void run(uint64_t ms)
{
    for (uint64_t end = l.now_ms + ms; l.now_ms < end; l.now_ms++) {
        ask();
        while (l.first < l.last && l.back_at[l.first % SLOTS] <= l.now_ms) {
            l.first++;
            l.flying -= CHUNK;
            l.moved += CHUNK;
            nc_sftp_depth_landed(&d, CHUNK, l.now_ms);
            ask();
        }
    }
}

static void grows(void **state)
{
    (void)state;
    measure(50);
    run(1500);
    uint64_t before = l.moved;
    run(1000);
    assert_in_range(l.moved - before, 370 * 1024 * 1000, 405 * 1024 * 1000);
    assert_in_range(d.now, 19 * MIB, 45 * MIB);
}

static void near_stays(void **state)
{
    (void)state;
    l.round_trip_ms = 1;
    l.per_ms = 8 * MIB;
    measure(1);
    run(2000);
    assert_int_equal(d.now, 4 * MIB);
    assert_in_range(l.most, 3 * MIB, 4 * MIB);
}

static void near_start(void **state)
{
    (void)state;
    nc_sftp_depth_start(&d, 2 * MIB);
    l.round_trip_ms = 0;
    measure(0);
    run(500);
    assert_in_range(l.most, MIB, 2 * MIB);
}

static void unmeasured_stays(void **state)
{
    (void)state;
    run(2000);
    assert_int_equal(d.now, 4 * MIB);
}

/* A slow answer first, a quick one later: what it grew to on the first one's word is given up. */
static void seen_near(void **state)
{
    (void)state;
    measure(50);
    run(2000);
    assert_true(d.now > 8 * MIB);
    measure(1);
    run(100);
    assert_int_equal(d.now, 4 * MIB);
}

static void stops_when_rate_stops(void **state)
{
    (void)state;
    l.per_ms = 150 * 1024; /* 7.3 MiB in a round trip */
    measure(50);
    run(3000);
    uint64_t settled = d.now;
    assert_in_range(settled, 7 * MIB, 18 * MIB);
    run(20000);
    assert_int_equal(d.now, settled);
}

static void bounded(void **state)
{
    (void)state;
    l.per_ms = 8 * MIB;
    measure(50);
    run(5000);
    assert_in_range(l.most, 63 * MIB, 64 * MIB);
}

static void back_when_idle(void **state)
{
    (void)state;
    measure(50);
    run(2000);
    assert_true(d.now > 16 * MIB);
    l.idle = true;
    run(5000);
    for (int i = 0; i < 3; i++) { /* a small file now and then */
        nc_sftp_depth_landed(&d, 1000, l.now_ms);
        run(2000);
    }
    assert_int_equal(d.now, AT_50_MS);
    l.idle = false;
    run(2000);
    assert_true(d.now > 16 * MIB);
}

/* Nobody had to wait: many small files at a time are no reason for more. */
static void not_held_no_growth(void **state)
{
    (void)state;
    measure(50);
    for (int i = 0; i < 3000; i++) {
        l.now_ms++;
        assert_true(nc_sftp_depth_room(&d, 3 * MIB) >= MIB);
        nc_sftp_depth_landed(&d, 512 * 1024, l.now_ms);
    }
    assert_int_equal(d.now, AT_50_MS);
}

/* Only a request that was alone on the way, and only its own answer. */
static void what_counts_as_a_round_trip(void **state)
{
    (void)state;
    nc_sftp_depth_asked(&d, 7, 3, 1000);
    nc_sftp_depth_answered(&d, 7, 1001);
    assert_int_equal(d.round_trip_ms, UINT64_MAX);
    nc_sftp_depth_asked(&d, 8, 1, 2000);
    nc_sftp_depth_answered(&d, 9, 2001);
    assert_int_equal(d.round_trip_ms, UINT64_MAX);
    nc_sftp_depth_answered(&d, 8, 2080);
    assert_int_equal(d.round_trip_ms, 80);
    nc_sftp_depth_asked(&d, 10, 1, 3000);
    nc_sftp_depth_answered(&d, 10, 3090);
    assert_int_equal(d.round_trip_ms, 80);
    nc_sftp_depth_asked(&d, 11, 1, 4000);
    nc_sftp_depth_answered(&d, 11, 4020);
    nc_sftp_depth_answered(&d, 11, 4021);
    assert_int_equal(d.round_trip_ms, 20);
}

/* The further the more, but never above what growing in steps ends at. */
static void begins_with_what_a_link_carries(void **state)
{
    static const struct {
        uint64_t ms, bytes;
    } far[] = {{UINT64_MAX, 4 * MIB}, {0, 4 * MIB},     {4, 4 * MIB},          {5, 8 * MIB},
               {40, 40 * 320 * 1024}, {1000, 16 * MIB}, {1ULL << 62, 16 * MIB}};
    (void)state;
    for (size_t i = 0; i < sizeof(far) / sizeof(far[0]); i++) {
        nc_sftp_depth_init(&d);
        nc_sftp_depth_known(&d, far[i].ms);
        assert_int_equal(d.now, far[i].bytes);
    }
    nc_sftp_depth_known(&d, 2); /* it only looked far */
    nc_sftp_depth_landed(&d, 1000, l.now_ms);
    assert_int_equal(d.now, 4 * MIB);
}

#define TEST(name) cmocka_unit_test_setup(name, setup)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(grows),
        TEST(near_stays),
        TEST(near_start),
        TEST(unmeasured_stays),
        TEST(seen_near),
        TEST(stops_when_rate_stops),
        TEST(bounded),
        TEST(back_when_idle),
        TEST(not_held_no_growth),
        TEST(what_counts_as_a_round_trip),
        TEST(begins_with_what_a_link_carries),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
