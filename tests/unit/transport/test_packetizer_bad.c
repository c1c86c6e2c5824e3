/*
 * What must not pass: flipped bits, absurd lengths and paddings, text instead of packets, compressed
 * data that is bad, ended, cut or a bomb. Never a payload, always a final status and a sentence.
 */
#include "packetizer_util.h"

#include <zlib.h>

static uint8_t buf[600 * 1024];
static uint8_t wire[600 * 1024];

static void give(nc_packetizer *rx, const uint8_t *bytes, size_t n)
{
    nc_packet pkt;
    for (size_t at = 0; at < n;) {
        size_t k = feed(rx, bytes + at, n - at);
        at += k;
        if (k == 0 && nc_packetizer_next(rx, &pkt, NULL) != NACRE_AGAIN) {
            fail_msg("not taken");
        }
    }
}

static void init_rx(ends *p, protection prot)
{
    ends_init(p, NULL, NULL);
    ends_keys(p, prot, 1, false);
}

/* ---- bits ------------------------------------------------------------------------------------- */

static void every_flipped_bit_is_noticed(void **state)
{
    (void)state;
    for (size_t i = 1; i < protection_count(); i++) {
        for (size_t n = 1; n <= 30; n += 29) {
            size_t size = 1;
            /* A longer length may ask for more: let there be more. */
            memset(wire, 0x5a, sizeof(wire));
            for (size_t bit = 0; bit < 8 * size; bit++) {
                ends p;
                init_rx(&p, protection_at(i));
                fill_payload(buf, n, 94, 1);
                assert_int_equal(send_payload(p.tx, buf, n, 0), NACRE_OK);
                nacre_span out = nc_packetizer_output(p.tx);
                size = out.n;
                memcpy(wire, out.p, size);
                wire[bit / 8] = (uint8_t)(wire[bit / 8] ^ (1u << bit % 8));
                (void)feed(p.rx, wire, 16 * 1024);
                nc_packet pkt;
                nacre_error err = {0};
                int rc;
                while ((rc = nc_packetizer_next(p.rx, &pkt, &err)) == NACRE_AGAIN) {
                    assert_true(feed(p.rx, wire + size, 64 * 1024) > 0);
                }
                assert_true(rc == NACRE_INTEGRITY || rc == NACRE_OVERSIZED ||
                            rc == NACRE_MALFORMED);
                assert_null(pkt.payload.p);
                assert_int_equal(err.by, NACRE_BY_PEER);
                assert_true(strlen(err.text) > 10);
                expect_status(p.rx, rc); /* final */
                assert_false(nc_packetizer_has_input(p.rx));
                ends_free(&p);
            }
        }
    }
}

static void truncated_packets_are_awaited(void **state)
{
    (void)state;
    for (size_t i = 0; i < protection_count(); i++) {
        ends p;
        init_rx(&p, protection_at(i));
        fill_payload(buf, 50, 94, 1);
        assert_int_equal(send_payload(p.tx, buf, 50, 0), NACRE_OK);
        nacre_span out = nc_packetizer_output(p.tx);
        for (size_t at = 0; at < out.n; at++) {
            expect_status(p.rx, NACRE_AGAIN);
            assert_int_equal(feed(p.rx, out.p + at, 1), 1);
        }
        expect_payload(p.rx, buf, 50);
        ends_free(&p);
    }
}

static void replayed_and_swapped_packets(void **state)
{
    (void)state;
    for (size_t i = 1; i < protection_count(); i++) {
        for (int swap = 0; swap < 2; swap++) {
            ends p;
            init_rx(&p, protection_at(i));
            fill_payload(buf, 50, 94, 1);
            assert_int_equal(send_payload(p.tx, buf, 50, 0), NACRE_OK);
            size_t n = nc_packetizer_output(p.tx).n;
            assert_int_equal(send_payload(p.tx, buf, 50, 0), NACRE_OK);
            nacre_span out = nc_packetizer_output(p.tx);
            int rc = NACRE_OK;
            nc_packet pkt;
            if (swap) {
                give(p.rx, out.p + n, n);
            } else {
                give(p.rx, out.p, n);
                expect_payload(p.rx, buf, 50);
                give(p.rx, out.p, n);
            }
            rc = nc_packetizer_next(p.rx, &pkt, NULL);
            assert_true(rc == NACRE_INTEGRITY || rc == NACRE_OVERSIZED || rc == NACRE_MALFORMED ||
                        rc == NACRE_AGAIN); /* a garbled length that asks for more */
            ends_free(&p);
        }
    }
}

/* ---- lengths ---------------------------------------------------------------------------------- */

static void absurd_lengths(void **state)
{
    (void)state;
    static const uint32_t lengths[] = {0,
                                       1,
                                       2,
                                       4,
                                       5,
                                       10,
                                       11,
                                       13,
                                       17,
                                       0x7fffffffu,
                                       0x80000000,
                                       0x80000004u,
                                       0xfffffff0,
                                       0xfffffffcu,
                                       0xffffffffu,
                                       NC_MAX_PACKET + 1,
                                       NC_MAX_PACKET + 4,
                                       NC_MAX_PACKET + 12,
                                       NC_MAX_PACKET + 16};
    uint8_t body[64] = {4, 94};
    for (size_t i = 0; i < protection_count(); i++) {
        for (size_t k = 0; k < sizeof(lengths) / sizeof(lengths[0]); k++) {
            ends p;
            init_rx(&p, protection_at(i));
            size_t n = seal_by_hand(wire, protection_at(i), 0, lengths[k], body, 60);
            give(p.rx, wire, n);
            nacre_error err = {0};
            nc_packet pkt;
            int rc = nc_packetizer_next(p.rx, &pkt, &err);
            if (rc != (lengths[k] > NC_MAX_PACKET ? NACRE_OVERSIZED : NACRE_MALFORMED)) {
                fail_msg("%s: length %u: %s", protection_name(protection_at(i)), lengths[k],
                         nacre_status_symbol(rc));
            }
            char number[16];
            snprintf(number, sizeof(number), "%u", lengths[k]);
            assert_non_null(strstr(err.text, number));
            assert_int_equal(err.disconnect_reason, 2);
            ends_free(&p);
        }
    }
}

static void max_packet_is_the_callers(void **state)
{
    (void)state;
    for (int over = 0; over < 2; over++) {
        ends p;
        nc_packetizer_limits limits = {.max_packet = 1000 - 4};
        ends_init(&p, NULL, &limits);
        fill_payload(buf, 990, 94, 1); /* 4 + 1 + payload + padding: 1000, 1008 */
        assert_int_equal(send_payload(p.tx, buf, over ? 992 : 990, 0), NACRE_OK);
        move_output(&p, SIZE_MAX);
        if (over) {
            expect_status(p.rx, NACRE_OVERSIZED);
        } else {
            expect_payload(p.rx, buf, 990);
        }
        ends_free(&p);
    }
    nc_packetizer_limits limits = {.max_packet = NC_MAX_PACKET + 1};
    nc_packetizer *none;
    assert_int_equal(nc_packetizer_new(&none, NULL, NULL, &limits), NACRE_INVALID_ARGUMENT);
    assert_null(none);
}

static void padding_lengths(void **state)
{
    (void)state;
    for (size_t i = 0; i < protection_count(); i++) {
        protection prot = protection_at(i);
        ends p;
        init_rx(&p, prot);
        ends_free(&p);
        bool apart = prot.cipher->tag_len || (prot.mac && prot.mac->etm);
        uint32_t length = apart ? 32 : 28;
        for (uint32_t padding = 0; padding < 256; padding++) {
            uint8_t body[32] = {(uint8_t)padding, 94};
            init_rx(&p, prot);
            give(p.rx, wire, seal_by_hand(wire, prot, 0, length, body, length));
            if (padding >= 4 && padding <= length - 2) {
                expect_payload(p.rx, body + 1, length - 1 - padding);
            } else {
                expect_status(p.rx, NACRE_MALFORMED);
            }
            ends_free(&p);
        }
    }
}

/* OpenSSH's shortest packets where the length stands apart: 12 bytes in all. */
static void shortest_packet_of_others(void **state)
{
    (void)state;
    ends p;
    protection prot = protection_named("chacha20-poly1305@openssh.com");
    uint8_t body[8] = {6, 52};
    init_rx(&p, prot);
    give(p.rx, wire, seal_by_hand(wire, prot, 0, 8, body, 8));
    expect_payload(p.rx, body + 1, 1);
    ends_free(&p);
}

static void text_is_recognised(void **state)
{
    (void)state;
    ends p;
    ends_init(&p, NULL, NULL);
    static const char text[] = "Protocol mismatch\x1b[31m\n";
    give(p.rx, (const uint8_t *)text, sizeof(text) - 1);
    nc_packet pkt;
    nacre_error err = {0};
    assert_int_equal(nc_packetizer_next(p.rx, &pkt, &err), NACRE_OVERSIZED);
    assert_non_null(strstr(err.text, "\"Protocol mismatch\\"));
    assert_null(strchr(err.text, '\x1b'));
    ends_free(&p);
}

/* ---- compression ------------------------------------------------------------------------------ */

/* Sends bytes that stand for compressed data. */
static void send_as_compressed(ends *p, const uint8_t *z, size_t n)
{
    ends_init(p, NULL, NULL);
    assert_int_equal(nc_packetizer_set_input_compression(p->rx, true), NACRE_OK);
    assert_int_equal(send_payload(p->tx, z, n, 0), NACRE_OK);
    while (nc_packetizer_output(p->tx).n) {
        move_output(p, SIZE_MAX);
        if (nc_packetizer_output(p->tx).n) {
            expect_status(p->rx, NACRE_AGAIN);
        }
    }
}

static size_t deflate_by_hand(const uint8_t *in, size_t n, int flush)
{
    z_stream z = {0};
    assert_int_equal(deflateInit(&z, 9), Z_OK);
    z.next_in = (uint8_t *)(uintptr_t)in;
    z.avail_in = (uInt)n;
    z.next_out = wire;
    z.avail_out = sizeof(wire);
    (void)deflate(&z, flush);
    size_t made = sizeof(wire) - z.avail_out;
    (void)deflateEnd(&z);
    return made;
}

static void inflate_is_bounded(void **state)
{
    (void)state;
    static uint8_t zeros[4 * 1024 * 1024];
    static const size_t sizes[] = {NC_MAX_PACKET - 1, NC_MAX_PACKET, NC_MAX_PACKET + 1,
                                   NC_MAX_PACKET + 5000, sizeof(zeros)};
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        ends p;
        send_as_compressed(&p, wire, deflate_by_hand(zeros, sizes[i], Z_PARTIAL_FLUSH));
        nc_packetizer_counters c;
        if (sizes[i] <= NC_MAX_PACKET) {
            expect_payload(p.rx, zeros, sizes[i]);
        } else {
            nacre_error err = {0};
            nc_packet pkt;
            assert_int_equal(nc_packetizer_next(p.rx, &pkt, &err), NACRE_COMPRESSION);
            assert_non_null(strstr(err.text, "bomb"));
            assert_int_equal(err.disconnect_reason, 6);
        }
        nc_packetizer_get_counters(p.rx, &c);
        assert_in_range(c.memory_in, 0, NC_MAX_PACKET + 200 * 1024);
        ends_free(&p);
    }
}

static void bad_compressed_data(void **state)
{
    (void)state;
    ends p;
    send_as_compressed(&p, (const uint8_t *)"this is not zlib", 16);
    expect_status(p.rx, NACRE_COMPRESSION);
    expect_status(p.rx, NACRE_COMPRESSION);
    ends_free(&p);
    /* a stream that says it is over: the sender's must live as long as its keys */
    fill_payload(buf, 400, 94, 5);
    send_as_compressed(&p, wire, deflate_by_hand(buf, 400, Z_FINISH));
    expect_status(p.rx, NACRE_COMPRESSION);
    ends_free(&p);
    /* a zlib header and nothing else: no payload comes of it */
    send_as_compressed(&p, (const uint8_t *)"\x78\x9c", 2);
    expect_status(p.rx, NACRE_COMPRESSION);
    ends_free(&p);
    /* a preset dictionary that nobody has */
    send_as_compressed(&p, (const uint8_t *)"\x78\xbb\x00\x00\x00\x01\x01", 7);
    expect_status(p.rx, NACRE_COMPRESSION);
    ends_free(&p);
    /* uncompressed messages where compressed ones are due */
    fill_payload(buf, 400, 94, 5);
    send_as_compressed(&p, buf, 400);
    expect_status(p.rx, NACRE_COMPRESSION);
    ends_free(&p);
}

/* Cut anywhere, it gives less or fails; never more, and never anything but a beginning. */
static void truncated_compressed_data(void **state)
{
    (void)state;
    memset(buf, 'b', 300);
    fill_payload(buf + 300, 100, 94, 5);
    size_t whole = deflate_by_hand(buf, 400, Z_PARTIAL_FLUSH);
    for (size_t n = 1; n < whole; n++) {
        ends p;
        send_as_compressed(&p, wire, n);
        nc_packet pkt;
        int rc = nc_packetizer_next(p.rx, &pkt, NULL);
        if (rc == NACRE_OK) {
            assert_true(pkt.payload.n >= 1 && pkt.payload.n <= 400);
            assert_memory_equal(pkt.payload.p, buf, pkt.payload.n);
        } else {
            assert_int_equal(rc, NACRE_COMPRESSION);
        }
        ends_free(&p);
    }
}

/* Old dictionary against a stream that the peer started anew: noticed, or nothing was shared. */
static void stream_must_start_anew_on_both_sides(void **state)
{
    (void)state;
    ends p;
    ends_init(&p, NULL, NULL);
    ends_compress(&p, true);
    fill_payload(buf, 400, 94, 5);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(send_payload(p.tx, buf, 400, 0), NACRE_OK);
        move_output(&p, SIZE_MAX);
        expect_payload(p.rx, buf, 400);
    }
    assert_int_equal(nc_packetizer_set_output_compression(p.tx, true), NACRE_OK);
    assert_int_equal(send_payload(p.tx, buf, 400, 0), NACRE_OK);
    move_output(&p, SIZE_MAX);
    nc_packet pkt;
    int rc = nc_packetizer_next(p.rx, &pkt, NULL);
    assert_true(rc == NACRE_COMPRESSION || pkt.payload.n != 400 ||
                memcmp(pkt.payload.p, buf, 400) != 0);
    ends_free(&p);
}

/* ---- randomness that fails -------------------------------------------------------------------- */

static int no_random(void *user, uint8_t *out, size_t n)
{
    (void)user;
    (void)out;
    (void)n;
    return -1;
}

static void failing_randomness_sends_nothing(void **state)
{
    (void)state;
    nc_packetizer *tx;
    nc_random r = {no_random, NULL};
    assert_int_equal(nc_packetizer_new(&tx, NULL, &r, NULL), NACRE_OK);
    assert_int_equal(send_payload(tx, buf, 10, 0), NACRE_RANDOM);
    assert_int_equal(nc_packetizer_output(tx).n, 0);
    nc_packetizer_counters c;
    nc_packetizer_get_counters(tx, &c);
    assert_int_equal(c.seq_out, 0);
    nc_packetizer_free(tx);
}

/* What is above a cap of the sender's own is not sent, and the next smaller thing is. */
static void full_queues(void **state)
{
    (void)state;
    ends p;
    nc_packetizer_limits limits = {.output_max = 4000};
    ends_init(&p, NULL, &limits);
    fill_payload(buf, sizeof(buf), 94, 1);
    assert_int_equal(nc_packetizer_raw(p.tx, nc_span(buf, 4001)), NACRE_LIMIT);
    assert_int_equal(nc_packetizer_output(p.tx).n, 0);
    assert_int_equal(nc_packetizer_raw(p.tx, nc_span(buf, 3900)), NACRE_OK);
    assert_int_equal(nc_packetizer_raw(p.tx, nc_span(buf, 101)), NACRE_LIMIT);
    assert_int_equal(nc_packetizer_raw(p.tx, nc_span(buf, 100)), NACRE_OK);
    assert_int_equal(send_payload(p.tx, buf, 1, 0), NACRE_LIMIT); /* full to the last byte */
    assert_int_equal(nc_packetizer_output(p.tx).n, 4000);
    nc_packetizer_sent(p.tx, 4000);
    assert_int_equal(send_payload(p.tx, buf, 4000, 0), NACRE_LIMIT);
    assert_int_equal(nc_packetizer_output(p.tx).n, 0);
    assert_int_equal(send_payload(p.tx, buf, 1000, 0), NACRE_OK);
    move_output(&p, 1 << 20);
    expect_payload(p.rx, buf, 1000);
    ends_free(&p);
}

/* The longest packet that everybody here takes, and one byte more. */
static void the_largest_packet(void **state)
{
    (void)state;
    ends p;
    ends_init(&p, NULL, NULL);
    fill_payload(buf, sizeof(buf), 94, 1);
    size_t most = NC_MAX_PACKET - 1 - 16;
    assert_int_equal(send_payload(p.tx, buf, NC_MAX_PACKET, 0), NACRE_TOO_LARGE);
    assert_int_equal(nc_packetizer_output(p.tx).n, 0);
    assert_int_equal(send_payload(p.tx, buf, 10, NC_MAX_PACKET + 1), NACRE_TOO_LARGE);
    assert_int_equal(nc_packetizer_set_output_compression(p.tx, false), NACRE_OK);
    assert_int_equal(send_payload(p.tx, buf, most, 0), NACRE_OK);
    move_output(&p, 1 << 20);
    expect_payload(p.rx, buf, most);
    (void)nc_packetizer_begin(p.tx, 0);
    assert_int_equal(nc_packetizer_set_output_compression(p.tx, true), NACRE_WRONG_STATE);
    assert_int_equal(nc_packetizer_raw(p.tx, nc_span(buf, 1)), NACRE_WRONG_STATE);
    nc_packetizer_abandon(p.tx);
    ends_free(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_flipped_bit_is_noticed),
        cmocka_unit_test(truncated_packets_are_awaited),
        cmocka_unit_test(replayed_and_swapped_packets),
        cmocka_unit_test(absurd_lengths),
        cmocka_unit_test(max_packet_is_the_callers),
        cmocka_unit_test(padding_lengths),
        cmocka_unit_test(shortest_packet_of_others),
        cmocka_unit_test(text_is_recognised),
        cmocka_unit_test(inflate_is_bounded),
        cmocka_unit_test(bad_compressed_data),
        cmocka_unit_test(truncated_compressed_data),
        cmocka_unit_test(stream_must_start_anew_on_both_sides),
        cmocka_unit_test(failing_randomness_sends_nothing),
        cmocka_unit_test(full_queues),
        cmocka_unit_test(the_largest_packet),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
