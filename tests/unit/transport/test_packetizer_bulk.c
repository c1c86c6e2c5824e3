/*
 * reserve and commit against begin and end: the peer must see the same payloads, whatever was laid
 * out and however much of it was used. And memory that runs out, at every place where it can.
 */
#include "packetizer_util.h"

static uint8_t data[600 * 1024];
static const uint8_t head[5] = {94, 0, 0, 0, 42};

static void take(ends *p, nc_packet *pkt)
{
    for (;;) {
        move_output(p, SIZE_MAX);
        nacre_error err = {0};
        int rc = nc_packetizer_next(p->rx, pkt, &err);
        if (rc == NACRE_OK) {
            return;
        }
        if (rc != NACRE_AGAIN) {
            fail_msg("%s: %s", nacre_status_symbol(rc), err.text);
        }
    }
}

/* The packets with n bytes of data in strings of max_data are what comes. */
static void expect_bulk(ends *p, size_t n, size_t max_data)
{
    for (size_t at = 0; at < n;) {
        size_t len = n - at < max_data ? n - at : max_data;
        nc_packet pkt;
        take(p, &pkt);
        assert_int_equal(pkt.payload.n, 9 + len);
        assert_memory_equal(pkt.payload.p, head, 5);
        assert_int_equal(nc_get_u32(pkt.payload.p + 5), len);
        assert_memory_equal(pkt.payload.p + 9, data + at, len);
        at += len;
    }
    expect_status(p->rx, NACRE_AGAIN);
}

static size_t reserve(ends *p, size_t max_data, size_t want, size_t rooms_max)
{
    nacre_room rooms[16];
    size_t count = rooms_max, total = 0;
    assert_int_equal(nc_packetizer_reserve(p->tx, nc_span(head, 5), max_data, want, rooms, &count),
                     NACRE_OK);
    assert_true(count <= rooms_max);
    for (size_t i = 0; i < count; i++) {
        assert_true(rooms[i].n > 0 && rooms[i].n <= max_data);
        memcpy(rooms[i].p, data + total, rooms[i].n);
        total += rooms[i].n;
    }
    assert_true(total <= want);
    return total;
}

static void commits_of_every_length(void **state)
{
    (void)state;
    fill_payload(data, sizeof(data), 7, 99);
    for (size_t i = 0; i < protection_count(); i++) {
        ends p;
        ends_init(&p, NULL, NULL);
        ends_keys(&p, protection_at(i), 1, false);
        for (size_t n = 0; n <= 200; n++) {
            assert_int_equal(reserve(&p, 50, 200, 16), 200);
            assert_int_equal(nc_packetizer_commit(p.tx, n), NACRE_OK);
            expect_bulk(&p, n, 50);
            /* ordinary packets in between */
            assert_int_equal(send_payload(p.tx, data, 1 + n, 0), NACRE_OK);
            nc_packet pkt;
            take(&p, &pkt);
            assert_int_equal(pkt.payload.n, 1 + n);
        }
        ends_free(&p);
    }
}

static void sizes_and_rooms(void **state)
{
    (void)state;
    static const size_t max_data[] = {1, 2, 7, 100, 1000, 32768, 65536, 200000};
    fill_payload(data, sizeof(data), 7, 98);
    for (size_t i = 0; i < protection_count(); i++) {
        ends p;
        ends_init(&p, NULL, NULL);
        ends_keys(&p, protection_at(i), 1, false);
        for (size_t k = 0; k < 8 * 4; k++) {
            size_t m = max_data[k % 8];
            size_t want = 1 + (size_t)(test_random() % (3 * m));
            size_t n = reserve(&p, m, want, 1 + k / 8);
            assert_int_equal(n, want < m * (1 + k / 8) ? want : m * (1 + k / 8));
            size_t used = k % 2 ? n : test_random() % (n + 1);
            assert_int_equal(nc_packetizer_commit(p.tx, used), NACRE_OK);
            expect_bulk(&p, used, m);
        }
        ends_free(&p);
    }
}

/* Bytes on the wire too are those of begin and end, given the same random padding: lengths at least. */
static void same_size_as_begin_end(void **state)
{
    (void)state;
    for (size_t i = 0; i < protection_count(); i++) {
        ends a, b;
        ends_init(&a, NULL, NULL);
        ends_init(&b, NULL, NULL);
        ends_keys(&a, protection_at(i), 1, false);
        ends_keys(&b, protection_at(i), 1, false);
        for (size_t n = 1; n < 100; n++) {
            assert_int_equal(reserve(&a, 100, n, 1), n);
            assert_int_equal(nc_packetizer_commit(a.tx, n), NACRE_OK);
            nc_wr *w = nc_packetizer_begin(b.tx, 0);
            nc_wr_bytes(w, nc_span(head, 5));
            nc_wr_str(w, nc_span(data, n));
            assert_int_equal(nc_packetizer_end(b.tx), NACRE_OK);
            assert_int_equal(nc_packetizer_output(a.tx).n, nc_packetizer_output(b.tx).n);
        }
        ends_free(&a);
        ends_free(&b);
    }
}

static void what_fits_is_laid_out(void **state)
{
    (void)state;
    for (size_t max = 0; max < 3000; max += 37) {
        ends p;
        nc_packetizer_limits limits = {.output_max = max + 1};
        ends_init(&p, NULL, &limits);
        ends_keys(&p, protection_named("aes128-gcm@openssh.com"), 1, false);
        size_t n = reserve(&p, 500, 100000, 16);
        assert_true(n < max + 1);
        assert_true(max < 700 || n >= 500);
        assert_int_equal(nc_packetizer_commit(p.tx, n), n ? NACRE_OK : NACRE_WRONG_STATE);
        assert_true(nc_packetizer_output(p.tx).n <= max + 1);
        expect_bulk(&p, n, 500);
        ends_free(&p);
    }
}

static void misuse(void **state)
{
    (void)state;
    ends p;
    ends_init(&p, NULL, NULL);
    nacre_room room;
    nacre_span h = nc_span(head, 5);
    size_t count = 1;
    assert_int_equal(nc_packetizer_commit(p.tx, 0), NACRE_WRONG_STATE);
    assert_int_equal(nc_packetizer_reserve(p.tx, h, 0, 10, &room, &count), NACRE_INVALID_ARGUMENT);
    count = 1;
    assert_int_equal(nc_packetizer_reserve(p.tx, nc_span(NULL, 0), 10, 10, &room, &count),
                     NACRE_INVALID_ARGUMENT);
    static const size_t absurd[] = {NC_MAX_PACKET, NC_MAX_PACKET + 1, 0x80000000u, UINT32_MAX,
                                    SIZE_MAX};
    for (size_t i = 0; i < sizeof(absurd) / sizeof(absurd[0]); i++) {
        count = 1;
        assert_int_equal(nc_packetizer_reserve(p.tx, h, absurd[i], 10, &room, &count),
                         NACRE_TOO_LARGE);
        assert_int_equal(count, 0);
    }
    /* Nothing lent, nothing to commit: the output is free for others at once. */
    assert_int_equal(reserve(&p, 10, 0, 1), 0); /* nothing wanted */
    assert_int_equal(nc_packetizer_commit(p.tx, 0), NACRE_WRONG_STATE);
    assert_int_equal(reserve(&p, 10, 10, 0), 0); /* no rooms */
    assert_int_equal(nc_packetizer_commit(p.tx, 0), NACRE_WRONG_STATE);
    (void)nc_packetizer_begin(p.tx, 0);
    nc_packetizer_abandon(p.tx);
    assert_int_equal(reserve(&p, 10, SIZE_MAX, 2), 20);
    count = 1;
    assert_int_equal(nc_packetizer_reserve(p.tx, h, 10, 10, &room, &count), NACRE_WRONG_STATE);
    assert_int_equal(nc_packetizer_commit(p.tx, 21), NACRE_INVALID_ARGUMENT);
    assert_int_equal(nc_packetizer_output(p.tx).n, 0);
    assert_int_equal(reserve(&p, 10, 10, 2), 10);
    assert_int_equal(nc_packetizer_commit(p.tx, 10), NACRE_OK);
    expect_bulk(&p, 10, 10);
    ends_free(&p);
}

static void sent_while_reserved(void **state)
{
    (void)state;
    ends p;
    ends_init(&p, NULL, NULL);
    for (int k = 0; k < 200; k++) {
        assert_int_equal(send_payload(p.tx, data, 700, 0), NACRE_OK);
        assert_int_equal(reserve(&p, 100, 250, 3), 250);
        nc_packet pkt;
        take(&p, &pkt);
        assert_int_equal(pkt.payload.n, 700);
        assert_int_equal(nc_packetizer_commit(p.tx, 150), NACRE_OK);
        expect_bulk(&p, 150, 100);
    }
    ends_free(&p);
}

/* ---- memory ----------------------------------------------------------------------------------- */

/* Everything once; the first status that is not OK, if it is one that memory may cause. */
static int whole_run(const nacre_allocator *a)
{
    nc_packetizer *tx = NULL, *rx = NULL;
    nc_pktcipher *c = NULL;
    protection prot = protection_named("aes256-gcm@openssh.com");
    int rc = nc_packetizer_new(&tx, a, &test_nc_random, NULL);
    rc = rc ? rc : nc_packetizer_new(&rx, a, &test_nc_random, NULL);
    rc = rc ? rc : protection_new(&c, a, prot, 1, true);
    if (c) {
        nc_packetizer_set_output_keys(tx, c, true);
    }
    rc = rc ? rc : protection_new(&c, a, prot, 1, false);
    if (rc == NACRE_OK) {
        nc_packetizer_set_input_keys(rx, c, true);
    }
    size_t expected = 0, got = 0;
    for (int turn = 0; rc == NACRE_OK && turn < 6; turn++) {
        if (turn == 4) {
            rc = nc_packetizer_set_output_compression(tx, true);
            rc = rc ? rc : nc_packetizer_set_input_compression(rx, true);
        }
        rc = rc ? rc : send_payload(tx, data, (size_t)1000 << turn * 2 % 9, 0);
        expected++;
        nacre_room room;
        size_t count = 1;
        if (rc == NACRE_OK && turn < 4) {
            rc = nc_packetizer_reserve(tx, nc_span(head, 5), 100000, 100000, &room, &count);
            if (rc == NACRE_OK) {
                memcpy(room.p, data, 100000);
                rc = nc_packetizer_commit(tx, 100000);
            }
            expected++;
        }
        while (rc == NACRE_OK && got < expected) {
            nacre_span out = nc_packetizer_output(tx);
            nc_packetizer_sent(tx, feed(rx, out.p, out.n));
            nc_packet pkt;
            rc = nc_packetizer_next(rx, &pkt, NULL);
            got += rc == NACRE_OK;
            rc = rc == NACRE_AGAIN ? NACRE_OK : rc;
        }
    }
    nc_packetizer_free(tx);
    nc_packetizer_free(rx);
    return rc;
}

static void memory_runs_out_everywhere(void **state)
{
    (void)state;
    fill_payload(data, sizeof(data), 7, 97);
    test_memory m;
    /* A failure to grow that is not needed yet may pass without notice. */
    for (test_memory_init(&m); test_memory_round(&m);) {
        test_memory_judge(&m, whole_run(&m.hooks));
    }
    assert_true(m.refused > 20);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(commits_of_every_length),
        cmocka_unit_test(sizes_and_rooms),
        cmocka_unit_test(same_size_as_begin_end),
        cmocka_unit_test(what_fits_is_laid_out),
        cmocka_unit_test(misuse),
        cmocka_unit_test(sent_while_reserved),
        cmocka_unit_test(memory_runs_out_everywhere),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
