/*
 * What goes in comes out: every protection, size and cut; compression; NEWKEYS; the version line; and
 * that nothing is allocated once traffic flows.
 */
#include "packetizer_util.h"

#include "transport/packetizer_impl.h" /* to stand just before 2^32 packets, and for the layout */

enum { BIG = 256 * 1024 };
static uint8_t payload[BIG];

static void round_trips(ends *p, size_t n, size_t hint)
{
    fill_payload(payload, n, (uint8_t)(1 + n % 250), (uint32_t)n);
    assert_int_equal(send_payload(p->tx, payload, n, hint), NACRE_OK);
    nacre_span out = nc_packetizer_output(p->tx);
    assert_true(out.n >= 16 + p->tx->out.layout.tag_len); /* RFC 4253 6: the tag does not count */
    for (;;) {
        move_output(p, SIZE_MAX);
        if (nc_packetizer_output(p->tx).n == 0) {
            break;
        }
        expect_status(p->rx, NACRE_AGAIN); /* learns the length, makes room for it */
    }
    expect_payload(p->rx, payload, n);
    expect_status(p->rx, NACRE_AGAIN);
}

static void every_protection_and_size(void **state)
{
    (void)state;
    for (size_t i = 0; i < protection_count(); i++) {
        ends p;
        ends_init(&p, NULL, NULL);
        ends_keys(&p, protection_at(i), 1, false);
        for (size_t n = 1; n <= 600; n++) {
            round_trips(&p, n, n % 3 == 0 ? n : 0);
        }
        round_trips(&p, 32 * 1024, 0);
        round_trips(&p, 32 * 1024, 32 * 1024);
        round_trips(&p, 255 * 1024, 0);
        round_trips(&p, 1, 0);
        nc_packetizer_counters in, out;
        nc_packetizer_get_counters(p.rx, &in);
        nc_packetizer_get_counters(p.tx, &out);
        assert_int_equal(in.seq_in, 604);
        assert_int_equal(out.seq_out, 604);
        assert_int_equal(in.bytes_in, out.bytes_out);
        assert_int_equal(in.key_bytes_in, in.bytes_in);
        assert_int_equal(out.key_packets_out, 604);
        assert_int_equal(out.output_len, 0);
        ends_free(&p);
    }
}

static void byte_by_byte_and_random_cuts(void **state)
{
    (void)state;
    static const size_t sizes[] = {1, 2, 11, 12, 13, 100, 700, 5000, 40000};
    enum { SIZES = sizeof(sizes) / sizeof(sizes[0]) };
    for (size_t i = 0; i < 2 * protection_count(); i++) {
        ends p;
        ends_init(&p, NULL, NULL);
        ends_keys(&p, protection_at(i / 2), 1, false);
        for (size_t k = 0; k < SIZES; k++) {
            fill_payload(payload, sizes[k], 94, (uint32_t)k);
            assert_int_equal(send_payload(p.tx, payload, sizes[k], 0), NACRE_OK);
        }
        size_t got = 0;
        while (nc_packetizer_output(p.tx).n) {
            nacre_span out = nc_packetizer_output(p.tx);
            size_t cut = i % 2 ? 1 : 1 + test_random() % 3000;
            size_t n = feed(p.rx, out.p, out.n < cut ? out.n : cut);
            assert_true(n > 0);
            nc_packetizer_sent(p.tx, n);
            nc_packet pkt;
            while (nc_packetizer_next(p.rx, &pkt, NULL) == NACRE_OK) {
                assert_true(got < SIZES);
                fill_payload(payload, sizes[got], 94, (uint32_t)got);
                assert_int_equal(pkt.payload.n, sizes[got]);
                assert_memory_equal(pkt.payload.p, payload, pkt.payload.n);
                assert_int_equal(pkt.seq, got);
                got++;
            }
        }
        assert_int_equal(got, SIZES);
        ends_free(&p);
    }
}

static void many_packets_in_one_span(void **state)
{
    (void)state;
    ends p;
    ends_init(&p, NULL, NULL);
    ends_keys(&p, protection_named("aes128-gcm@openssh.com"), 1, false);
    size_t sent = 0, got = 0;
    for (; sent < 1000; sent++) {
        fill_payload(payload, 1 + sent, 94, (uint32_t)sent);
        assert_int_equal(send_payload(p.tx, payload, 1 + sent, 0), NACRE_OK);
    }
    while (got < sent) {
        move_output(&p, SIZE_MAX);
        assert_true(nc_packetizer_has_input(p.rx));
        while (got < sent && nc_packetizer_has_input(p.rx)) {
            nc_packet pkt;
            int rc = nc_packetizer_next(p.rx, &pkt, NULL);
            if (rc == NACRE_AGAIN) {
                assert_false(nc_packetizer_has_input(p.rx));
                break;
            }
            assert_int_equal(rc, NACRE_OK);
            fill_payload(payload, 1 + got, 94, (uint32_t)got);
            assert_int_equal(pkt.payload.n, 1 + got);
            assert_memory_equal(pkt.payload.p, payload, pkt.payload.n);
            got++;
        }
    }
    ends_free(&p);
}

/* While a payload is lent, further input must not move it. */
static void lent_payload_stays(void **state)
{
    (void)state;
    ends p;
    ends_init(&p, NULL, NULL);
    static uint8_t copy[8000];
    for (uint32_t k = 0; k < 200; k++) {
        fill_payload(payload, sizeof(copy), 94, k);
        assert_int_equal(send_payload(p.tx, payload, sizeof(copy), 0), NACRE_OK);
    }
    for (uint32_t k = 0; k < 200;) {
        nc_packet pkt;
        move_output(&p, SIZE_MAX);
        int rc = nc_packetizer_next(p.rx, &pkt, NULL);
        if (rc == NACRE_AGAIN) {
            continue;
        }
        assert_int_equal(rc, NACRE_OK);
        move_output(&p, 777);
        fill_payload(copy, sizeof(copy), 94, k);
        assert_memory_equal(pkt.payload.p, copy, sizeof(copy));
        k++;
    }
    ends_free(&p);
}

/* ---- NEWKEYS ---------------------------------------------------------------------------------- */

static void keys_change_in_mid_stream(void **state)
{
    (void)state;
    for (size_t i = 0; i < protection_count(); i++) {
        ends p;
        ends_init(&p, NULL, NULL);
        protection prot = protection_at(i);
        nc_pktcipher *c = NULL;
        uint8_t newkeys = SSH_MSG_NEWKEYS;
        assert_int_equal(send_payload(p.tx, &newkeys, 1, 0), NACRE_OK);
        assert_int_equal(protection_new(&c, NULL, prot, 9, true), NACRE_OK);
        nc_packetizer_set_output_keys(p.tx, c, i % 2 == 0);
        assert_int_equal(nc_packetizer_set_output_compression(p.tx, i % 3 == 0), NACRE_OK);
        fill_payload(payload, 500, 50, 1);
        assert_int_equal(send_payload(p.tx, payload, 500, 0), NACRE_OK);
        assert_int_equal(send_payload(p.tx, payload, 500, 0), NACRE_OK);
        move_output(&p, SIZE_MAX);

        expect_payload(p.rx, &newkeys, 1);
        nc_packetizer_pause_input(p.rx);
        assert_false(nc_packetizer_has_input(p.rx));
        expect_status(p.rx, NACRE_AGAIN);
        expect_status(p.rx, NACRE_AGAIN);
        assert_int_equal(protection_new(&c, NULL, prot, 9, false), NACRE_OK);
        nc_packetizer_set_input_keys(p.rx, c, i % 2 == 0);
        assert_int_equal(nc_packetizer_set_input_compression(p.rx, i % 3 == 0), NACRE_OK);
        nc_packetizer_counters n;
        nc_packetizer_get_counters(p.rx, &n);
        assert_int_equal(n.seq_in, i % 2 == 0 ? 0 : 1);
        assert_int_equal(n.key_packets_in, 0);
        assert_int_equal(n.key_bytes_in, 0);
        assert_int_equal(n.bytes_in, 16);
        assert_int_equal(n.packets_in, 1);
        assert_true(nc_packetizer_has_input(p.rx));
        expect_payload(p.rx, payload, 500);
        expect_payload(p.rx, payload, 500);
        expect_status(p.rx, NACRE_AGAIN);
        assert_false(nc_packetizer_has_input(p.rx));
        ends_free(&p);
    }
}

static void sequence_numbers_matter(void **state)
{
    (void)state;
    ends p;
    ends_init(&p, NULL, NULL);
    fill_payload(payload, 100, 50, 1);
    assert_int_equal(send_payload(p.tx, payload, 100, 0), NACRE_OK);
    move_output(&p, SIZE_MAX);
    expect_payload(p.rx, payload, 100);
    protection prot = protection_named("chacha20-poly1305@openssh.com");
    nc_pktcipher *c = NULL;
    assert_int_equal(protection_new(&c, NULL, prot, 1, true), NACRE_OK);
    nc_packetizer_set_output_keys(p.tx, c, true); /* one side only: strict kex misunderstood */
    assert_int_equal(protection_new(&c, NULL, prot, 1, false), NACRE_OK);
    nc_packetizer_set_input_keys(p.rx, c, false);
    assert_int_equal(send_payload(p.tx, payload, 100, 0), NACRE_OK);
    move_output(&p, SIZE_MAX);
    nc_packet pkt;
    int rc = nc_packetizer_next(p.rx, &pkt, NULL);
    assert_true(rc == NACRE_INTEGRITY || rc == NACRE_OVERSIZED || rc == NACRE_MALFORMED);
    ends_free(&p);
}

static void wrapping_is_reported(void **state)
{
    (void)state;
    ends p;
    protection prot = protection_named("chacha20-poly1305@openssh.com");
    ends_init(&p, NULL, NULL);
    ends_keys(&p, prot, 1, false);
    p.tx->out.seq = p.rx->in.seq = UINT32_MAX - 1;
    nc_packetizer_counters in, out;
    for (int k = 0; k < 4; k++) {
        round_trips(&p, 100, 0);
        nc_packetizer_get_counters(p.tx, &out);
        nc_packetizer_get_counters(p.rx, &in);
        assert_int_equal(in.seq_in, (uint32_t)(k - 1));
        assert_int_equal(out.seq_wrapped_out, k >= 1);
        assert_int_equal(in.seq_wrapped_in, k >= 1);
        assert_false(in.seq_wrapped_out || out.seq_wrapped_in);
    }
    ends_keys(&p, prot, 2, false);
    nc_packetizer_get_counters(p.rx, &in);
    assert_int_equal(in.seq_in, 2);
    assert_false(in.seq_wrapped_in);
    round_trips(&p, 100, 0);
    ends_free(&p);
}

/* ---- compression ------------------------------------------------------------------------------ */

static void compression_round_trips(void **state)
{
    (void)state;
    ends p;
    ends_init(&p, NULL, NULL);
    ends_keys(&p, protection_named("aes256-gcm@openssh.com"), 1, false);
    for (int turn = 0; turn < 4; turn++) {
        ends_compress(&p, turn % 2 == 0);
        for (size_t n = 1; n <= 600; n++) {
            round_trips(&p, n, 0);
        }
        round_trips(&p, 32 * 1024, 0);
        round_trips(&p, 255 * 1024, 0);
        memset(payload, 'a', 200 * 1024); /* inflates to many times its size */
        assert_int_equal(send_payload(p.tx, payload, 200 * 1024, 0), NACRE_OK);
        assert_true(turn % 2 == 1 || nc_packetizer_output(p.tx).n < 1024);
        do {
            move_output(&p, SIZE_MAX);
            nc_packet pkt;
            if (nc_packetizer_next(p.rx, &pkt, NULL) == NACRE_OK) {
                assert_int_equal(pkt.payload.n, 200 * 1024);
                assert_memory_equal(pkt.payload.p, payload, pkt.payload.n);
                break;
            }
        } while (true);
        ends_keys(&p, protection_named("aes128-gcm@openssh.com"), (uint8_t)turn, turn == 2);
    }
    ends_free(&p);
}

/* What was lent stays where packets are decrypted in place, until more is read; what was inflated does not. */
static void lent_bytes_stay(void **state)
{
    (void)state;
    ends p;
    nc_packet pkt[3];
    ends_init(&p, NULL, NULL);
    ends_keys(&p, protection_named("aes256-gcm@openssh.com"), 1, false);
    for (int zlib = 0; zlib < 2; zlib++) {
        ends_compress(&p, zlib);
        for (uint8_t i = 0; i < 3; i++) {
            memset(payload, 'a' + i, 5000);
            payload[0] = 94;
            assert_int_equal(send_payload(p.tx, payload, 5000, 0), NACRE_OK);
        }
        move_output(&p, SIZE_MAX);
        for (int i = 0; i < 3; i++) {
            assert_int_equal(nc_packetizer_next(p.rx, &pkt[i], NULL), NACRE_OK);
            assert_int_equal(nc_packetizer_keeps(p.rx, pkt[i].payload), !zlib);
        }
        for (int i = 0; i < 3 && !zlib; i++) {
            memset(payload, 'a' + i, 5000);
            payload[0] = 94;
            assert_memory_equal(pkt[i].payload.p, payload, 5000);
        }
        assert_false(nc_packetizer_keeps(p.rx, nc_span(payload, 1)));
        assert_false(nc_packetizer_keeps(p.rx, nc_span(pkt[0].payload.p, SIZE_MAX / 2)));
        assert_false(nc_packetizer_keeps(p.rx, nc_span(NULL, 0)));
    }
    /* Passwords are wiped when they were dealt with. */
    ends_compress(&p, false);
    fill_payload(payload, 100, 50, 1);
    assert_int_equal(send_payload(p.tx, payload, 100, 0), NACRE_OK);
    move_output(&p, SIZE_MAX);
    assert_int_equal(nc_packetizer_next(p.rx, &pkt[0], NULL), NACRE_OK);
    assert_false(nc_packetizer_keeps(p.rx, pkt[0].payload));
    ends_free(&p);
}

static void compression_refuses_reserve(void **state)
{
    (void)state;
    ends p;
    ends_init(&p, NULL, NULL);
    ends_compress(&p, true);
    nacre_room room;
    size_t count = 1;
    uint8_t head[5] = {94};
    assert_int_equal(nc_packetizer_reserve(p.tx, nc_span(head, 5), 100, 100, &room, &count),
                     NACRE_UNSUPPORTED);
    assert_int_equal(count, 0);
    round_trips(&p, 100, 0);
    ends_free(&p);
}

/* ---- the writer's side ------------------------------------------------------------------------ */

static void abandoned_and_failed_packets_leave_nothing(void **state)
{
    (void)state;
    for (int zlib = 0; zlib < 2; zlib++) {
        ends p;
        nc_packetizer_limits limits = {.output_max = 100000};
        ends_init(&p, NULL, &limits);
        ends_compress(&p, zlib);
        round_trips(&p, 100, 0);
        nc_wr_u8(nc_packetizer_begin(p.tx, 0), 1);
        nc_packetizer_abandon(p.tx);
        assert_int_equal(nc_packetizer_output(p.tx).n, 0);
        assert_int_equal(nc_packetizer_end(p.tx), NACRE_WRONG_STATE);
        (void)nc_packetizer_begin(p.tx, 0);
        assert_int_equal(nc_packetizer_end(p.tx), NACRE_INVALID_ARGUMENT); /* no number */
        nc_wr *w = nc_packetizer_begin(p.tx, 0);
        nc_wr_u8(w, 1);
        w->err = NACRE_TOO_LARGE;
        assert_int_equal(nc_packetizer_end(p.tx), NACRE_TOO_LARGE);
        w = nc_packetizer_begin(p.tx, SIZE_MAX);
        assert_int_equal(nc_wr_err(w), NACRE_TOO_LARGE);
        assert_int_equal(nc_packetizer_end(p.tx), NACRE_TOO_LARGE);
        nc_wr_u8(nc_packetizer_begin(p.tx, 0), 1);
        assert_int_equal(nc_wr_err(nc_packetizer_begin(p.tx, 0)), NACRE_WRONG_STATE);
        assert_int_equal(nc_packetizer_raw(p.tx, nc_span(payload, 1)), NACRE_WRONG_STATE);
        assert_int_equal(nc_packetizer_end(p.tx), NACRE_WRONG_STATE);
        fill_payload(payload, BIG, 94, 3);
        int rc = send_payload(p.tx, payload, BIG, 0); /* header and padding do not fit any more */
        assert_true(rc == NACRE_TOO_LARGE || rc == NACRE_LIMIT);
        assert_int_equal(nc_packetizer_output(p.tx).n, 0);
        if (!zlib) { /* the failed one above has gone into the stream */
            round_trips(&p, 100, 0);
        }
        ends_free(&p);
    }
}

static void output_max_holds(void **state)
{
    (void)state;
    ends p;
    nc_packetizer_limits limits = {.output_max = 4096};
    ends_init(&p, NULL, &limits);
    fill_payload(payload, 1000, 94, 3);
    int rc = NACRE_OK;
    size_t made = 0;
    while (rc == NACRE_OK) {
        rc = send_payload(p.tx, payload, 1000, 0);
        made += rc == NACRE_OK;
        assert_true(made < 10);
    }
    assert_int_equal(rc, NACRE_LIMIT);
    assert_int_equal(made, 4);
    move_output(&p, SIZE_MAX);
    for (; made; made--) {
        expect_payload(p.rx, payload, 1000);
    }
    round_trips(&p, 1000, 0);
    ends_free(&p);
}

/* The driver sends while a packet is being made: only what is whole is lent. */
static void sent_while_a_packet_is_open(void **state)
{
    (void)state;
    ends p;
    ends_init(&p, NULL, NULL);
    fill_payload(payload, 300, 94, 3);
    for (int k = 0; k < 100; k++) {
        if (k == 50) { /* the open packet is not in the queue then */
            ends_compress(&p, true);
        }
        assert_int_equal(send_payload(p.tx, payload, 300, 0), NACRE_OK);
        nc_wr *w = nc_packetizer_begin(p.tx, 0);
        nc_wr_bytes(w, nc_span(payload, 200));
        move_output(&p, 100);
        assert_int_equal(nc_packetizer_output(p.tx).n, 0);
        nc_wr_bytes(w, nc_span(payload + 200, 100));
        if (k % 5 == 0) {
            nc_packetizer_abandon(p.tx);
        } else {
            assert_int_equal(nc_packetizer_end(p.tx), NACRE_OK);
        }
        move_output(&p, 100);
        expect_payload(p.rx, payload, 300);
        if (k % 5) {
            expect_payload(p.rx, payload, 300);
        }
        expect_status(p.rx, NACRE_AGAIN);
    }
    ends_free(&p);
}

/* ---- lines ------------------------------------------------------------------------------------ */

static void expect_line(nc_packetizer *p, const char *text)
{
    nacre_span line;
    assert_int_equal(nc_packetizer_line(p, 255, &line), NACRE_OK);
    assert_int_equal(line.n, strlen(text));
    assert_memory_equal(line.p, text, line.n);
}

static void lines_then_packets(void **state)
{
    (void)state;
    static const char text[] = "banner\n\r\nSSH-2.0-x y\r\n";
    for (size_t cut = 1; cut < 80; cut++) {
        ends p;
        ends_init(&p, NULL, NULL);
        assert_int_equal(nc_packetizer_raw(p.tx, nc_span(text, sizeof(text) - 1)), NACRE_OK);
        fill_payload(payload, 40, 20, 1);
        payload[3] = '\n';
        assert_int_equal(send_payload(p.tx, payload, 40, 0), NACRE_OK);
        nacre_span line;
        size_t lines = 0;
        while (lines < 3) {
            nacre_span out = nc_packetizer_output(p.tx);
            size_t n = feed(p.rx, out.p, out.n < cut ? out.n : cut);
            nc_packetizer_sent(p.tx, n);
            while (lines < 3 && nc_packetizer_line(p.rx, 255, &line) == NACRE_OK) {
                static const char *const want[] = {"banner", "", "SSH-2.0-x y"};
                assert_true(nc_span_is(line, want[lines]));
                lines++;
            }
        }
        move_output(&p, cut);
        expect_payload(p.rx, payload, 40);
        ends_free(&p);
    }
}

static void line_length(void **state)
{
    (void)state;
    for (size_t n = 0; n < 520; n++) {
        for (int crlf = 0; crlf < 2; crlf++) {
            char text[600];
            memset(text, 'x', sizeof(text));
            memcpy(text + n, crlf ? "\r\n" : "\n\n", 2);
            text[n + 2] = '\0';
            ends p;
            ends_init(&p, NULL, NULL);
            size_t len = n + (crlf ? 2 : 1);
            int rc = NACRE_AGAIN;
            nacre_span line;
            size_t step = n % 2 ? 1 : len;
            for (size_t i = 0; i < len && rc == NACRE_AGAIN; i += step) {
                assert_int_equal(feed(p.rx, (const uint8_t *)text + i, step), step);
                rc = nc_packetizer_line(p.rx, 255, &line);
            }
            assert_int_equal(rc, n <= 255 ? NACRE_OK : NACRE_OVERSIZED);
            if (n > 255) {
                assert_int_equal(nc_packetizer_line(p.rx, 255, &line), NACRE_OVERSIZED);
            } else {
                assert_int_equal(line.n, n);
            }
            ends_free(&p);
        }
    }
    ends p;
    ends_init(&p, NULL, NULL);
    for (int i = 0; i < 257; i++) { /* no end in sight */
        nacre_span line;
        assert_int_equal(feed(p.rx, (const uint8_t *)"x", 1), 1);
        int rc = nc_packetizer_line(p.rx, 255, &line);
        assert_int_equal(rc, i < 255 ? NACRE_AGAIN : NACRE_OVERSIZED);
    }
    ends_free(&p);
    ends_init(&p, NULL, NULL);
    assert_int_equal(feed(p.rx, (const uint8_t *)"a\nb\r\nc", 6), 6);
    expect_line(p.rx, "a");
    expect_line(p.rx, "b");
    nacre_span line;
    assert_int_equal(nc_packetizer_line(p.rx, 255, &line), NACRE_AGAIN);
    assert_false(nc_packetizer_has_input(p.rx));
    ends_free(&p);
}

/* ---- memory ----------------------------------------------------------------------------------- */

static void bulk(ends *p, size_t rounds)
{
    uint8_t head[5] = {94, 0, 0, 0, 7};
    for (size_t r = 0; r < rounds; r++) {
        for (int k = 0; k < 4; k++) {
            assert_int_equal(send_payload(p->tx, payload, 32 * 1024, 0), NACRE_OK);
            nacre_room rooms[4];
            size_t count = 4;
            assert_int_equal(
                nc_packetizer_reserve(p->tx, nc_span(head, 5), 32 * 1024, 70000, rooms, &count),
                NACRE_OK);
            assert_int_equal(count, 3);
            for (size_t i = 0; i < count; i++) {
                memcpy(rooms[i].p, payload, rooms[i].n);
            }
            assert_int_equal(nc_packetizer_commit(p->tx, 70000), NACRE_OK);
        }
        while (nc_packetizer_output(p->tx).n) {
            move_output(p, 150000);
            nc_packet pkt;
            while (nc_packetizer_next(p->rx, &pkt, NULL) == NACRE_OK) {
                assert_int_equal(pkt.number, 94);
            }
        }
    }
}

static void steady_state_allocates_nothing(void **state)
{
    (void)state;
    static const char *const names[] = {"aes128-gcm@openssh.com", "chacha20-poly1305@openssh.com",
                                        "aes128-ctr", "none"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        test_memory c;
        test_memory_init(&c);
        ends p;
        ends_init(&p, &c.hooks, NULL);
        ends_keys(&p, protection_named(names[i]), 1, false);
        fill_payload(payload, 32 * 1024, 94, 5);
        bulk(&p, 8);
        size_t before = c.count;
        bulk(&p, 100);
        assert_int_equal(c.count, before);
        nc_packetizer_counters n;
        nc_packetizer_get_counters(p.rx, &n);
        assert_in_range(n.memory_in, 256 * 1024, 512 * 1024 + 1024);
        ends_free(&p);
        assert_int_equal(c.live, 0);
    }
}

static void compression_allocates_nothing_either(void **state)
{
    (void)state;
    test_memory c;
    test_memory_init(&c);
    ends p;
    ends_init(&p, &c.hooks, NULL);
    ends_compress(&p, true);
    size_t before = 0;
    for (int k = 0; k < 100; k++) {
        before = k == 10 ? c.count : before;
        round_trips(&p, 12 * 1024, 0);
        if (k % 20 == 0) {
            ends_compress(&p, true); /* as at NEWKEYS: the memory stays */
        }
    }
    assert_int_equal(c.count, before);
    ends_compress(&p, false);
    round_trips(&p, 100, 0);
    ends_free(&p);
    assert_int_equal(c.live, 0);
}

static void idle_gives_memory_back(void **state)
{
    (void)state;
    test_memory c;
    test_memory_init(&c);
    ends p;
    ends_init(&p, &c.hooks, NULL);
    fill_payload(payload, 32 * 1024, 94, 5);
    bulk(&p, 8);
    nc_packetizer_counters in, out;
    for (int i = 0; i < 20; i++) {
        fill_payload(payload, 50, 94, 5);
        round_trips(&p, 50, 0);
    }
    nc_packetizer_get_counters(p.rx, &in);
    nc_packetizer_get_counters(p.tx, &out);
    assert_in_range(in.memory_in, 0, 16 * 1024);
    assert_in_range(out.memory_out, 0, 16 * 1024);
    size_t before = c.count;
    for (int i = 0; i < 500; i++) {
        round_trips(&p, 50, 0);
    }
    assert_int_equal(c.count, before);
    ends_free(&p);
    assert_int_equal(c.live, 0);
}

/* Who does not step is not read from: the queue ends at its room. */
static void input_is_bounded(void **state)
{
    (void)state;
    ends p;
    ends_init(&p, NULL, NULL);
    nc_packetizer_pause_input(p.rx);
    size_t taken = 0;
    for (int i = 0; i < 10000; i++) {
        taken += feed(p.rx, payload, 1000);
    }
    assert_in_range(taken, 16 * 1024, 300 * 1024);
    size_t room = 1;
    assert_null(nc_packetizer_recv_buffer(p.rx, &room));
    assert_int_equal(room, 0);
    assert_int_equal(nc_packetizer_received(p.rx, 1), NACRE_INVALID_ARGUMENT);
    ends_free(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_protection_and_size),
        cmocka_unit_test(byte_by_byte_and_random_cuts),
        cmocka_unit_test(many_packets_in_one_span),
        cmocka_unit_test(lent_payload_stays),
        cmocka_unit_test(keys_change_in_mid_stream),
        cmocka_unit_test(sequence_numbers_matter),
        cmocka_unit_test(wrapping_is_reported),
        cmocka_unit_test(compression_round_trips),
        cmocka_unit_test(compression_allocates_nothing_either),
        cmocka_unit_test(compression_refuses_reserve),
        cmocka_unit_test(lent_bytes_stay),
        cmocka_unit_test(abandoned_and_failed_packets_leave_nothing),
        cmocka_unit_test(output_max_holds),
        cmocka_unit_test(sent_while_a_packet_is_open),
        cmocka_unit_test(lines_then_packets),
        cmocka_unit_test(line_length),
        cmocka_unit_test(steady_state_allocates_nothing),
        cmocka_unit_test(idle_gives_memory_back),
        cmocka_unit_test(input_is_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
