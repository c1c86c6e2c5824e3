/* Windows that grow with the link: over a wire of some delay and some rate, on a clock of its own. */
#include "fake_link.h"

#include <string.h>

enum { MIB = 1024 * 1024, PACKET = 32 * 1024, IN_FLIGHT = 1 << 14 };

/*
 * The sending side is a model: it has the window, a wire that carries so much in a millisecond, and half
 * a round trip each way. The receiving side is a multiplexer.
 */
typedef struct wire {
    uint64_t half_ms;
    uint64_t per_ms; /* bytes */
    uint64_t credit; /* window that the sender knows of */
    uint64_t sent, arrived, granted;
    uint64_t most; /* the largest window seen */
    uint64_t data_at[IN_FLIGHT];
    uint64_t adjust_at[IN_FLIGHT];
    uint32_t adjust_n[IN_FLIGHT];
    size_t data_first, data_last, adjust_first, adjust_last;
    bool hoard; /* the application consumes nothing */
} wire;

static fake_link client;
static nacre_event ev;
static wire w;
static uint8_t block[PACKET];

static int setup(void **state)
{
    (void)state;
    memset(&w, 0, sizeof(w));
    w.half_ms = 25;
    w.per_ms = 400 * 1024;
    fake_prepare(&client, NACRE_CLIENT);
    client.config.window = 2 * MIB;
    client.config.window_cap = 64 * MIB;
    assert_int_equal(fake_start(&client), NACRE_OK);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    fake_free(&client);
    return 0;
}

static nacre_channel *open_channel(uint32_t window, uint64_t answered_after_ms, uint32_t peer_id)
{
    nacre_channel *ch;
    nc_msg_channel_open open;
    assert_int_equal(nc_mux_open(client.mux, "session", nc_span(NULL, 0), window, PACKET, &ch),
                     NACRE_OK);
    fake_expect(&client, &nc_desc_channel_open, &open);
    client.link.now_ms += answered_after_ms;
    nc_msg_channel_open_confirmation yes = {
        .recipient = open.sender, .sender = peer_id, .window = MIB, .max_packet = PACKET};
    assert_int_equal(fake_give(&client, &nc_desc_channel_open_confirmation, &yes, &ev), NACRE_OK);
    w.credit = open.window;
    w.granted = open.window;
    return ch;
}

static nacre_channel *open_far(void)
{
    return open_channel(0, 2 * w.half_ms, 7);
}

static void check(const nacre_channel *ch)
{
    assert_int_equal((uint64_t)ch->window_in + ch->unconsumed + ch->owed, ch->window_max);
    assert_true(ch->window_max <= ch->size.cap);
    w.most = ch->window_max > w.most ? ch->window_max : w.most;
}

static void take_adjusts(void)
{
    while (fake_waiting(&client) > 0) {
        nc_msg_channel_window_adjust msg;
        fake_expect(&client, &nc_desc_channel_window_adjust, &msg);
        w.granted += msg.bytes;
        w.adjust_at[w.adjust_last % IN_FLIGHT] = client.link.now_ms + w.half_ms;
        w.adjust_n[w.adjust_last++ % IN_FLIGHT] = msg.bytes;
        assert_true(w.adjust_last - w.adjust_first <= IN_FLIGHT);
    }
}

static void give_data(nacre_channel *ch)
{
    nc_msg_channel_data msg = {.recipient = ch->id, .data = nc_span(block, sizeof(block))};
    assert_int_equal(fake_give(&client, &nc_desc_channel_data, &msg, &ev), NACRE_OK);
    w.arrived += sizeof(block);
    check(ch);
    if (!w.hoard) {
        assert_int_equal(nacre_channel_consumed(ch, sizeof(block)), NACRE_OK);
    }
    check(ch);
    take_adjusts();
}

/* One millisecond: what the peer sends, and what arrives. */
static void tick(nacre_channel *ch, uint64_t bytes)
{
    uint64_t now = ++client.link.now_ms;
    while (w.adjust_first < w.adjust_last && w.adjust_at[w.adjust_first % IN_FLIGHT] <= now) {
        w.credit += w.adjust_n[w.adjust_first++ % IN_FLIGHT];
    }
    for (uint64_t n = 0; n + PACKET <= bytes && w.credit >= PACKET; n += PACKET) {
        w.credit -= PACKET;
        w.sent += PACKET;
        w.data_at[w.data_last++ % IN_FLIGHT] = now + w.half_ms;
        assert_true(w.data_last - w.data_first <= IN_FLIGHT);
    }
    while (w.data_first < w.data_last && w.data_at[w.data_first % IN_FLIGHT] <= now) {
        w.data_first++;
        give_data(ch);
    }
}

static void run(nacre_channel *ch, uint64_t ms)
{
    for (uint64_t i = 0; i < ms; i++) {
        tick(ch, w.per_ms);
    }
}

/* 400 KiB a ms over 50 ms are 20 MiB: within a second or two the window is no bound any more. */
static void grows(void **state)
{
    (void)state;
    nacre_channel *ch = open_far();
    run(ch, 1000);
    uint64_t before = w.arrived;
    run(ch, 1000);
    uint64_t full = w.per_ms / PACKET * PACKET * 1000;
    assert_in_range(w.arrived - before, full - full / 20, full);
    assert_in_range(ch->window_max, 20 * MIB, 50 * MIB);
    nacre_channel_info info;
    nacre_channel_get_info(ch, &info);
    assert_int_equal(info.window_max, ch->window_max);
    assert_int_equal(info.round_trip_ms, 50);
}

static void stays_when_near(void **state)
{
    (void)state;
    w.half_ms = 0;
    w.per_ms = 4 * MIB; /* far more than the window carries */
    nacre_channel *ch = open_far();
    run(ch, 3000);
    assert_int_equal(w.most, 2 * MIB);
}

/* An answer that came late made the link look long; a quick one later says what it is. */
static void stays_when_seen_near(void **state)
{
    (void)state;
    w.half_ms = 0;
    nacre_channel *ch = open_channel(0, 50, 7);
    run(ch, 500);
    assert_true(ch->window_max > 2 * MIB);
    assert_int_equal(nacre_channel_request(ch, "x@example.com", true, nc_span(NULL, 0)), NACRE_OK);
    nc_msg_channel_request request;
    fake_expect(&client, &nc_desc_channel_request, &request);
    nc_msg_channel_success yes = {.recipient = ch->id};
    assert_int_equal(fake_give(&client, &nc_desc_channel_success, &yes, &ev), NACRE_OK);
    run(ch, 500);
    assert_int_equal(ch->window_max, 2 * MIB);
}

/* The peer sends 10 MiB in a round trip, whatever it may: there is no reason to go on. */
static void stops_when_rate_stops(void **state)
{
    (void)state;
    w.per_ms = 200 * 1024;
    nacre_channel *ch = open_far();
    run(ch, 3000);
    uint32_t settled = ch->window_max;
    assert_in_range(settled, 10 * MIB, 24 * MIB);
    run(ch, 20000);
    assert_int_equal(ch->window_max, settled);
}

static void slow_link_keeps_start(void **state)
{
    (void)state;
    w.per_ms = PACKET; /* 1.6 MiB in a round trip would not need more */
    nacre_channel *ch = open_far();
    run(ch, 5000);
    assert_in_range(w.most, 2 * MIB, 4 * MIB);
}

static void cap_holds(void **state)
{
    (void)state;
    client.config.window_cap = 5 * MIB + 12345;
    w.per_ms = 2 * MIB;
    nacre_channel *ch = open_far();
    run(ch, 5000);
    assert_int_equal(w.most, 5 * MIB + 12345);
    assert_int_equal(ch->window_max, 5 * MIB + 12345);
}

/* What one channel has grown by the other cannot; when it is closed, it can. */
static void channels_share_the_cap(void **state)
{
    (void)state;
    client.config.window_cap = 10 * MIB;
    w.per_ms = 2 * MIB;
    nacre_channel *first = open_far();
    run(first, 2000);
    assert_int_equal(first->window_max, 10 * MIB);
    w.data_first = w.data_last;
    w.adjust_first = w.adjust_last;
    nacre_channel *second = open_channel(0, 50, 8);
    w.most = 0;
    run(second, 2000);
    assert_int_equal(w.most, 2 * MIB);
    assert_int_equal(client.mux->window_grown, 8 * MIB);
    nc_msg_channel_close close = {.recipient = first->id};
    assert_int_equal(fake_give(&client, &nc_desc_channel_close, &close, &ev), NACRE_OK);
    fake_expect(&client, &nc_desc_channel_close, &close);
    assert_int_equal(client.mux->window_grown, 0);
    run(second, 4000);
    assert_int_equal(second->window_max, 10 * MIB);
}

static void own_window_is_fixed(void **state)
{
    (void)state;
    nacre_channel *ch = open_channel(3 * MIB, 50, 7);
    run(ch, 2000);
    assert_int_equal(w.most, 3 * MIB);
    assert_int_equal(w.granted - 3 * MIB + ch->owed + ch->unconsumed, w.arrived);
}

/* A pause, then little traffic: what was granted is used up, and only the start window comes back. */
static void shrinks_when_idle(void **state)
{
    (void)state;
    nacre_channel *ch = open_far();
    run(ch, 2000);
    uint32_t large = ch->window_max;
    assert_true(large > 16 * MIB);
    for (int i = 0; i < 60000 && ch->window_max > 2 * MIB; i++) {
        tick(ch, i % 10 == 0 ? PACKET : 0);
    }
    assert_int_equal(ch->window_max, 2 * MIB);
    assert_int_equal(client.mux->window_grown, 0);
    run(ch, 2000);
    assert_in_range(ch->window_max, large / 2, 50 * MIB);
}

/* Who does not read is not sent more because of the link. */
static void not_consumed_does_not_grow(void **state)
{
    (void)state;
    w.hoard = true;
    nacre_channel *ch = open_far();
    run(ch, 2000);
    assert_int_equal(ch->window_max, 2 * MIB);
    assert_int_equal(ch->unconsumed, 2 * MIB);
    /* Nor for reading a little of much. */
    for (int i = 0; i < 2000; i++) {
        client.link.now_ms++;
        assert_int_equal(nacre_channel_consumed(ch, 1024), NACRE_OK);
        take_adjusts();
        while (ch->window_in >= PACKET) {
            give_data(ch);
        }
        assert_true(ch->unconsumed <= 2 * MIB);
    }
    assert_int_equal(ch->window_max, 2 * MIB);
}

/* Answers a minute late, data in any bursts it can: the bound stays, and an overrun is fatal. */
static void hostile_peer(void **state)
{
    (void)state;
    nacre_channel *ch = open_channel(0, 60000, 7);
    client.link.round_trip_ms = 60;
    for (int round = 0; round < 400; round++) {
        client.link.now_ms += (uint64_t)(round % 7) * 40;
        while (ch->window_in >= PACKET) {
            nc_msg_channel_data msg = {.recipient = ch->id, .data = nc_span(block, sizeof(block))};
            assert_int_equal(fake_give(&client, &nc_desc_channel_data, &msg, &ev), NACRE_OK);
            check(ch);
        }
        uint64_t part = round % 3 == 0 ? ch->unconsumed / 3 : ch->unconsumed;
        assert_int_equal(nacre_channel_consumed(ch, (size_t)part), NACRE_OK);
        check(ch);
        take_adjusts();
    }
    assert_true(w.most <= 64 * MIB);
    while (ch->window_in > 0) {
        size_t n = ch->window_in < PACKET ? ch->window_in : PACKET;
        nc_msg_channel_data msg = {.recipient = ch->id, .data = nc_span(block, n)};
        assert_int_equal(fake_give(&client, &nc_desc_channel_data, &msg, &ev), NACRE_OK);
    }
    nc_msg_channel_data one = {.recipient = ch->id, .data = nc_span(block, 1)};
    assert_int_equal(fake_give(&client, &nc_desc_channel_data, &one, &ev), NACRE_WINDOW);
}

/* A side that never asked anything pings once, in the middle of a transfer; without an answer nothing
 * grows. */
static void pings_once(void **state)
{
    (void)state;
    nacre_channel *ch = open_far();
    client.link.round_trip_ms = NC_ROUND_TRIP_UNKNOWN;
    while (w.arrived + w.per_ms < MIB) {
        tick(ch, w.per_ms);
    }
    assert_int_equal(client.pings, 0);
    run(ch, 500);
    assert_int_equal(client.pings, 1);
    assert_int_equal(w.most, 2 * MIB);
    client.link.round_trip_ms = 50;
    run(ch, 1000);
    assert_true(ch->window_max > 16 * MIB);
    assert_int_equal(client.pings, 1);
}

static void no_ping_no_growth(void **state)
{
    (void)state;
    nacre_channel *ch = open_far();
    client.ping_rc = NACRE_UNSUPPORTED;
    client.link.round_trip_ms = NC_ROUND_TRIP_UNKNOWN;
    run(ch, 1000);
    assert_int_equal(w.most, 2 * MIB);
}

static void round_trips_are_measured(void **state)
{
    (void)state;
    nacre_channel *ch = open_channel(0, 90, 7);
    assert_int_equal(client.link.round_trip_ms, 90);
    /* Two requests: the first answer counts from the first, and the second one is not counted. */
    nc_msg_channel_request request;
    for (int i = 0; i < 2; i++) {
        assert_int_equal(nacre_channel_request(ch, "x@example.com", true, nc_span(NULL, 0)),
                         NACRE_OK);
        fake_expect(&client, &nc_desc_channel_request, &request);
        client.link.now_ms += 30;
    }
    nc_msg_channel_success yes = {.recipient = ch->id};
    assert_int_equal(fake_give(&client, &nc_desc_channel_success, &yes, &ev), NACRE_OK);
    assert_int_equal(client.link.round_trip_ms, 60);
    assert_int_equal(fake_give(&client, &nc_desc_channel_success, &yes, &ev), NACRE_OK);
    assert_int_equal(client.link.round_trip_ms, 60);
    nc_msg_global_request global;
    assert_int_equal(nc_mux_global_request(client.mux, "y@example.com", true, nc_span(NULL, 0)),
                     NACRE_OK);
    fake_expect(&client, &nc_desc_global_request, &global);
    client.link.now_ms += 40;
    nc_msg_request_failure no = {0};
    assert_int_equal(fake_give(&client, &nc_desc_request_failure, &no, &ev), NACRE_OK);
    assert_int_equal(client.link.round_trip_ms, 40);
}

/* A channel for bulk data: the first adjust brings it to what a good link carries, at once. */
static void begins_far(void **state)
{
    (void)state;
    nacre_channel *ch = open_far();
    nc_window_for_bulk(ch);
    assert_int_equal(ch->window_max, 2 * MIB);
    give_data(ch);
    assert_int_equal(ch->window_max, 50 * 320 * 1024);
    assert_int_equal(w.granted, 50 * 320 * 1024 + PACKET);
}

static void begins_far_within_bounds(void **state)
{
    (void)state;
    w.half_ms = 4000;
    nacre_channel *capped = open_far();
    nacre_channel_window_cap(capped, 5 * MIB);
    nc_window_for_bulk(capped);
    give_data(capped);
    assert_int_equal(capped->window_max, 5 * MIB);
    nacre_channel *ch = open_channel(0, 8000, 9);
    nc_window_for_bulk(ch);
    give_data(ch);
    assert_int_equal(ch->window_max, 16 * MIB);
    nacre_channel *fixed = open_channel(MIB, 8000, 8);
    nc_window_for_bulk(fixed);
    give_data(fixed);
    assert_int_equal(fixed->window_max, MIB);
}

static void begins_near(void **state)
{
    (void)state;
    nacre_channel *ch = open_channel(0, 2, 7);
    nc_window_for_bulk(ch);
    give_data(ch);
    assert_int_equal(ch->window_max, 2 * MIB);
    while (w.arrived < MIB) { /* not a byte before half the window is owed */
        assert_int_equal(w.granted, 2 * MIB);
        give_data(ch);
    }
    assert_int_equal(w.granted, 3 * MIB);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(grows),
        TEST(stays_when_near),
        TEST(stays_when_seen_near),
        TEST(stops_when_rate_stops),
        TEST(slow_link_keeps_start),
        TEST(cap_holds),
        TEST(channels_share_the_cap),
        TEST(own_window_is_fixed),
        TEST(shrinks_when_idle),
        TEST(not_consumed_does_not_grow),
        TEST(hostile_peer),
        TEST(pings_once),
        TEST(no_ping_no_growth),
        TEST(round_trips_are_measured),
        TEST(begins_far),
        TEST(begins_far_within_bounds),
        TEST(begins_near),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
