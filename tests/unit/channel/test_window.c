/* Flow control: windows at every step, the output's mark, key exchange in the middle, who goes next. */
#include "fake_link.h"

#include <stdlib.h>
#include <string.h>

static fake_link client, server;
static nacre_event ev;
static uint8_t block[1 << 20];

static int setup(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(block); i++) {
        block[i] = (uint8_t)(i * 31 + (i >> 8));
    }
    fake_init(&client, NACRE_CLIENT);
    fake_init(&server, NACRE_SERVER);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    fake_free(&client);
    fake_free(&server);
    return 0;
}

/* What the receiver has granted is in the sender's hand, on the way, or owed: never more or less. */
static void check_windows(nacre_channel *from, nacre_channel *to)
{
    assert_true(from->window_out <= to->window_max);
    assert_int_equal((uint64_t)to->window_in + to->unconsumed + to->owed, to->window_max);
    assert_true(to->window_in >= from->window_out || fake_waiting(&server) > 0);
}

static void bulk(void **state)
{
    (void)state;
    const uint64_t total = 100U << 20;
    nacre_channel *c, *s;
    uint64_t sent = 0, got = 0;
    fake_session(&client, &server, &c, &s);
    while (got < total) {
        size_t took = 0;
        size_t at = (size_t)(sent % sizeof(block));
        size_t n = sizeof(block) - at;
        n = n < total - sent ? n : (size_t)(total - sent);
        if (n > 0) {
            assert_int_equal(nacre_channel_write(c, 0, block + at, n, &took), NACRE_OK);
            sent += took;
        }
        check_windows(c, s);
        int rc = fake_step(&server, &client, &ev);
        if (rc == NACRE_OK) {
            assert_int_equal(ev.type, NACRE_EVENT_CHANNEL_DATA);
            assert_true(ev.u.data.bytes.n <= 32 * 1024);
            size_t from = (size_t)(got % sizeof(block));
            size_t part = sizeof(block) - from;
            part = part < ev.u.data.bytes.n ? part : ev.u.data.bytes.n;
            assert_memory_equal(ev.u.data.bytes.p, block + from, part);
            got += ev.u.data.bytes.n;
            assert_int_equal(nacre_channel_consumed(s, ev.u.data.bytes.n), NACRE_OK);
        } else {
            assert_int_equal(rc, NACRE_AGAIN);
        }
        check_windows(c, s);
        rc = fake_step(&client, &server, &ev);
        assert_true(rc == NACRE_AGAIN ||
                    (rc == NACRE_OK && ev.type == NACRE_EVENT_CHANNEL_WRITABLE));
    }
    assert_int_equal(sent, total);
    assert_int_equal(got, total);
}

static void not_consumed_means_stop(void **state)
{
    (void)state;
    nacre_channel *c, *s;
    size_t took;
    fake_session(&client, &server, &c, &s);
    assert_int_equal(nacre_channel_write_room(c), 128 * 1024);
    assert_int_equal(nacre_channel_write(c, 0, block, sizeof(block), &took), NACRE_OK);
    assert_int_equal(took, 128 * 1024);
    assert_int_equal(nacre_channel_write_room(c), 0);
    for (int i = 0; i < 4; i++) {
        fake_event(&server, &client, NACRE_EVENT_CHANNEL_DATA, &ev);
    }
    fake_quiet(&server, &client);
    fake_quiet(&client, &server);
    assert_int_equal(nacre_channel_consumed(s, 128 * 1024 + 1), NACRE_INVALID_ARGUMENT);
    /* The window is shut, and half is held back for ever: what is consumed must come back all the same. */
    assert_int_equal(nacre_channel_consumed(s, 10), NACRE_OK);
    fake_event(&client, &server, NACRE_EVENT_CHANNEL_WRITABLE, &ev);
    assert_int_equal(nacre_channel_write_room(c), 10);
    assert_int_equal(nacre_channel_consumed(s, 128 * 1024 - 10), NACRE_OK);
    fake_quiet(&client, &server);
    assert_int_equal(nacre_channel_write_room(c), 128 * 1024);
}

static void byte_wise_consumer(void **state)
{
    (void)state;
    nacre_channel *c, *s;
    size_t took, adjusts = 0;
    fake_session(&client, &server, &c, &s);
    assert_int_equal(nacre_channel_write(c, 0, block, 128 * 1024, &took), NACRE_OK);
    while (fake_step(&server, &client, &ev) == NACRE_OK) {
    }
    for (size_t i = 0; i < 128 * 1024; i++) {
        assert_int_equal(nacre_channel_consumed(s, 1), NACRE_OK);
        if (fake_waiting(&server) > 0) {
            nc_msg_channel_window_adjust msg;
            fake_expect(&server, &nc_desc_channel_window_adjust, &msg);
            assert_true(msg.bytes > 0);
            adjusts++;
        }
    }
    assert_true(adjusts < 30);
}

static void small_windows(void **state)
{
    (void)state;
    nacre_channel *c, *s;
    size_t took;
    for (uint32_t window = 1; window < 9; window++) {
        assert_int_equal(nc_mux_open(client.mux, "session", nc_span(NULL, 0), window, 1024, &c),
                         NACRE_OK);
        fake_event(&server, &client, NACRE_EVENT_CHANNEL_OPEN, &ev);
        s = ev.channel;
        assert_int_equal(fake_answer(&server, ev.ticket, true), NACRE_OK);
        fake_event(&client, &server, NACRE_EVENT_CHANNEL_OPENED, &ev);
        size_t got = 0;
        for (size_t sent = 0; got < 50;) {
            assert_int_equal(nacre_channel_write(s, 0, block, 50 - sent, &took), NACRE_OK);
            sent += took;
            fake_event(&client, &server, NACRE_EVENT_CHANNEL_DATA, &ev);
            assert_true(ev.u.data.bytes.n <= window);
            got += ev.u.data.bytes.n;
            assert_int_equal(nacre_channel_consumed(c, ev.u.data.bytes.n), NACRE_OK);
            (void)fake_step(&server, &client, &ev);
        }
        nacre_channel_free(c);
        nacre_channel_free(s);
        (void)fake_step(&client, &server, &ev);
        (void)fake_step(&server, &client, &ev);
    }
    assert_int_equal(nc_mux_open(client.mux, "session", nc_span(NULL, 0), 1, 1023, &c),
                     NACRE_INVALID_ARGUMENT);
}

static void key_exchange_in_the_middle(void **state)
{
    (void)state;
    nacre_channel *c, *s;
    size_t took;
    fake_session(&client, &server, &c, &s);
    client.kex = true;
    assert_int_equal(nacre_channel_write_room(c), 0);
    assert_int_equal(nacre_channel_write(c, 0, block, 1000, &took), NACRE_OK);
    assert_int_equal(took, 0);
    assert_int_equal(client.service.poll(client.service.ctx, &ev), NACRE_AGAIN);
    /* control messages are held by the link, in order */
    assert_int_equal(nacre_channel_shell(c, true), NACRE_OK);
    assert_true(fake_waiting(&client) > 0);
    client.kex = false;
    fake_event(&client, &server, NACRE_EVENT_CHANNEL_WRITABLE, &ev);
    assert_ptr_equal(ev.channel, c);
    fake_quiet(&client, &server); /* once */
    assert_int_equal(nacre_channel_write(c, 0, block, 1000, &took), NACRE_OK);
    assert_int_equal(took, 1000);
    fake_event(&server, &client, NACRE_EVENT_CHANNEL_REQUEST, &ev);
    fake_event(&server, &client, NACRE_EVENT_CHANNEL_DATA, &ev);
    /* a channel that is ended does not wait */
    client.kex = true;
    assert_int_equal(nacre_channel_write(c, 0, block, 1000, &took), NACRE_OK);
    assert_int_equal(nacre_channel_eof(c), NACRE_OK);
    client.kex = false;
    fake_quiet(&client, &server);
}

/*
 * What packets weigh beyond their data counts, too: with the longest MAC that is more than the budget reckons with, and
 * the output's mark holds all the same, but for the packet that passes it.
 */
static void small_packets_stop_at_the_mark(void **state)
{
    (void)state;
    const size_t n = 128 * 1024, data = 1024, head = 9, cost = 88;
    nacre_channel *c, *s;
    size_t took;
    server.config.max_packet = (uint32_t)data;
    fake_session(&client, &server, &c, &s);
    assert_int_equal(c->window_out, n);
    client.room = n;
    client.cost = cost;
    assert_int_equal(nacre_channel_write(c, 0, block, n, &took), NACRE_OK);
    assert_int_equal(client.room, 0);
    assert_int_equal(took % data, 0);
    size_t weight = took / data * (data + head + cost);
    assert_true(weight >= n && weight < n + data + head + cost);
    for (size_t got = 0; got < took; got += ev.u.data.bytes.n) {
        fake_event(&server, &client, NACRE_EVENT_CHANNEL_DATA, &ev);
        assert_memory_equal(ev.u.data.bytes.p, block + got, ev.u.data.bytes.n);
    }
    fake_quiet(&server, &client);
    client.room = n;
    fake_event(&client, &server, NACRE_EVENT_CHANNEL_WRITABLE, &ev);
    assert_int_equal(nacre_channel_write(c, 0, block + took, n - took, &took), NACRE_OK);
    assert_true(took > 0);
    fake_event(&server, &client, NACRE_EVENT_CHANNEL_DATA, &ev);
}

static void output_mark_and_turns(void **state)
{
    (void)state;
    nacre_channel *c[3], *s[3];
    size_t took;
    for (int i = 0; i < 3; i++) {
        fake_session(&client, &server, &c[i], &s[i]);
    }
    client.room = 5000;
    assert_int_equal(nacre_channel_write(c[0], 0, block, 20000, &took), NACRE_OK);
    assert_true(took >= 4096 && took <= 5000);
    client.room = 1000; /* a sliver is not worth a packet */
    for (int i = 1; i < 3; i++) {
        assert_int_equal(nacre_channel_write(c[i], 0, block, 20000, &took), NACRE_OK);
        assert_int_equal(took, 0);
    }
    assert_int_equal(client.service.poll(client.service.ctx, &ev), NACRE_AGAIN);
    /* in turn, and again at the end of the row */
    for (int round = 0; round < 6; round++) {
        client.room = 6000;
        fake_event(&client, &server, NACRE_EVENT_CHANNEL_WRITABLE, &ev);
        assert_ptr_equal(ev.channel, c[round % 3]);
        assert_int_equal(nacre_channel_write(ev.channel, 0, block, 20000, &took), NACRE_OK);
        assert_true(took > 4096);
    }
    /* few bytes are not a sliver when they are all there is */
    client.room = 200;
    assert_int_equal(nacre_channel_write(c[0], 0, block, 100, &took), NACRE_OK);
    assert_int_equal(took, 100);
    nacre_channel_free(c[1]);
    client.room = 60000;
    fake_event(&client, &server, NACRE_EVENT_CHANNEL_WRITABLE, &ev);
    assert_ptr_equal(ev.channel, c[2]);
}

/* A short write of one stream is not forgotten because the other stream's went through. */
static void two_streams_wait_apart(void **state)
{
    (void)state;
    nacre_channel *c, *s;
    size_t took;
    fake_session(&client, &server, &c, &s);
    client.room = 1000;
    assert_int_equal(nacre_channel_write(c, NACRE_STDOUT, block, 20000, &took), NACRE_OK);
    assert_int_equal(took, 0);
    assert_int_equal(nacre_channel_write(c, NACRE_STDERR, block, 100, &took), NACRE_OK);
    assert_int_equal(took, 100);
    client.room = 100000;
    fake_event(&client, &server, NACRE_EVENT_CHANNEL_WRITABLE, &ev);
    fake_quiet(&client, &server);
    /* but a writer that has got through in the meantime waits no more */
    client.room = 1000;
    assert_int_equal(nacre_channel_write(c, NACRE_STDOUT, block, 20000, &took), NACRE_OK);
    client.room = 100000;
    assert_int_equal(nacre_channel_write(c, NACRE_STDOUT, block, 20000, &took), NACRE_OK);
    assert_int_equal(took, 20000);
    fake_quiet(&client, &server);
}

static void lend_and_commit(void **state)
{
    (void)state;
    nacre_channel *c, *s;
    nacre_room rooms[4];
    size_t count = 4, took, got = 0;
    fake_session(&client, &server, &c, &s);
    for (int stream = 0; stream < 2; stream++) {
        count = 4;
        assert_int_equal(nacre_channel_reserve(c, stream, 50000, rooms, &count), NACRE_OK);
        assert_int_equal(count, 2);
        assert_int_equal(rooms[0].n, 32768);
        assert_int_equal(rooms[1].n, 50000 - 32768);
        memcpy(rooms[0].p, block, rooms[0].n);
        memcpy(rooms[1].p, block + rooms[0].n, rooms[1].n);
        assert_int_equal(nacre_channel_write(c, 0, "x", 1, &took), NACRE_WRONG_STATE);
        count = 4;
        assert_int_equal(nacre_channel_reserve(c, 0, 1, rooms, &count), NACRE_WRONG_STATE);
        assert_int_equal(nacre_channel_commit(c, 50001), NACRE_INVALID_ARGUMENT);
        assert_int_equal(nacre_channel_commit(c, 40000), NACRE_OK);
        assert_int_equal(nacre_channel_commit(c, 1), NACRE_INVALID_ARGUMENT);
        for (got = 0; got < 40000; got += ev.u.data.bytes.n) {
            fake_event(&server, &client, NACRE_EVENT_CHANNEL_DATA, &ev);
            assert_int_equal(ev.u.data.stream, stream);
            assert_memory_equal(ev.u.data.bytes.p, block + got, ev.u.data.bytes.n);
        }
        assert_int_equal(got, 40000);
    }
    count = 4;
    assert_int_equal(nacre_channel_reserve(c, 0, 1000, rooms, &count), NACRE_OK);
    assert_int_equal(nacre_channel_commit(c, 0), NACRE_OK);
    fake_quiet(&server, &client);
    assert_int_equal(nacre_channel_write_room(c), 128 * 1024 - 80000);
    client.kex = true;
    count = 4;
    assert_int_equal(nacre_channel_reserve(c, 0, 1000, rooms, &count), NACRE_OK);
    assert_int_equal(count, 0);
    client.kex = false;
    fake_event(&client, &server, NACRE_EVENT_CHANNEL_WRITABLE, &ev);
    count = 4;
    assert_int_equal(nacre_channel_reserve(c, 2, 1000, rooms, &count), NACRE_INVALID_ARGUMENT);
    count = 4;
    assert_int_equal(nacre_channel_reserve(c, 0, 1000, rooms, &count), NACRE_OK);
    count = 4;
    assert_int_equal(nacre_channel_reserve(c, 0, 1000, rooms, &count), NACRE_WRONG_STATE);
    nacre_channel_free(c); /* gives back what was lent */
}

static void idle_is_small(void **state)
{
    (void)state;
    assert_true(sizeof(nacre_channel) < 512);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(bulk, setup, teardown),
        cmocka_unit_test_setup_teardown(not_consumed_means_stop, setup, teardown),
        cmocka_unit_test_setup_teardown(byte_wise_consumer, setup, teardown),
        cmocka_unit_test_setup_teardown(small_windows, setup, teardown),
        cmocka_unit_test_setup_teardown(key_exchange_in_the_middle, setup, teardown),
        cmocka_unit_test_setup_teardown(small_packets_stop_at_the_mark, setup, teardown),
        cmocka_unit_test_setup_teardown(output_mark_and_turns, setup, teardown),
        cmocka_unit_test_setup_teardown(two_streams_wait_apart, setup, teardown),
        cmocka_unit_test_setup_teardown(lend_and_commit, setup, teardown),
        cmocka_unit_test(idle_is_small),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
