/*
 * Packets without a transport of their own, as they pass between a client of a shared connection and its master
 * (PROTOCOL.mux 9): a length, a padding that is mostly none, a payload; nobody seals them, so all that stands between
 * them and the channels is the length.
 */
#include "packetizer_util.h"

enum { OPENSSH_LEAST = 5 }; /* the shortest length that OpenSSH's side takes */

static void init(ends *p, const nc_packetizer_limits *limits)
{
    ends_init(p, NULL, limits);
    nc_packetizer_set_bare(p->tx);
    nc_packetizer_set_bare(p->rx);
}

static void packets_of_every_small_size(void **state)
{
    (void)state;
    uint8_t payload[64];
    for (size_t n = 1; n <= sizeof(payload); n++) {
        ends p;
        init(&p, NULL);
        fill_payload(payload, n, 94, (uint32_t)n);
        assert_int_equal(send_payload(p.tx, payload, n, 0), NACRE_OK);
        nacre_span out = nc_packetizer_output(p.tx);
        size_t length = 1 + n < OPENSSH_LEAST ? OPENSSH_LEAST : 1 + n;
        assert_int_equal(out.n, 4 + length);
        assert_int_equal(out.p[3], length);
        assert_int_equal(out.p[4], length - 1 - n);
        move_output(&p, 1);
        expect_payload(p.rx, payload, n);
        ends_free(&p);
    }
}

static void cut_anywhere_it_waits(void **state)
{
    (void)state;
    static const uint8_t wire[] = {0, 0, 0, 7, 2, 94, 1, 2, 3, 0, 0};
    for (size_t n = 0; n < sizeof(wire); n++) {
        ends p;
        init(&p, NULL);
        assert_int_equal(feed(p.rx, wire, n), n);
        expect_status(p.rx, NACRE_AGAIN);
        assert_int_equal(feed(p.rx, wire + n, sizeof(wire) - n), sizeof(wire) - n);
        expect_payload(p.rx, wire + 5, 4);
        ends_free(&p);
    }
}

static void what_is_no_packet(void **state)
{
    (void)state;
    static const struct {
        uint8_t wire[10];
        int status;
    } cases[] = {
        {{0, 0, 0, 0, 0, 94}, NACRE_MALFORMED},             /* nothing, not even how much padding */
        {{0, 0, 0, 1, 0, 94}, NACRE_MALFORMED},             /* no message number */
        {{0, 0, 0, 2, 1, 94}, NACRE_MALFORMED},             /* all of it padding */
        {{0, 0, 0, 5, 4, 94, 0, 0, 0}, NACRE_MALFORMED},    /* likewise */
        {{0, 0, 0, 5, 255, 94, 0, 0, 0}, NACRE_MALFORMED},  /* more padding than packet */
        {{0x7F, 0xFF, 0xFF, 0xFF, 0, 94}, NACRE_OVERSIZED}, /* and the absurd */
        {{0xFF, 0xFF, 0xFF, 0xFF, 0, 94}, NACRE_OVERSIZED},
        {"Hello", NACRE_OVERSIZED},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        ends p;
        init(&p, NULL);
        assert_int_equal(feed(p.rx, cases[i].wire, sizeof(cases[i].wire)), sizeof(cases[i].wire));
        expect_status(p.rx, cases[i].status);
        expect_status(p.rx, cases[i].status); /* and it stays so */
        ends_free(&p);
    }
}

static void one_byte_too_long(void **state)
{
    (void)state;
    const nc_packetizer_limits limits = {.max_packet = 1024};
    for (uint32_t length = 1024; length <= 1025; length++) {
        uint8_t wire[4 + 1025] = {0, 0, (uint8_t)(length >> 8), (uint8_t)length, 0, 94};
        ends p;
        init(&p, &limits);
        (void)feed(p.rx, wire, 4 + length);
        if (length == 1024) {
            expect_payload(p.rx, wire + 5, 1023);
        } else {
            expect_status(p.rx, NACRE_OVERSIZED);
        }
        ends_free(&p);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(packets_of_every_small_size),
        cmocka_unit_test(cut_anywhere_it_waits),
        cmocka_unit_test(what_is_no_packet),
        cmocka_unit_test(one_byte_too_long),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
