/*
 * Pressure after login: readers that do not read, writers that do not stop, peers that ask and never take the answers.
 * One stalled channel stops no other, and what the engine holds stays inside the bounds of docs/limits.md, counted
 * through the allocator hook.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "channel/internal.h"
#include "hostile.h"
#include "support/counted.h"

enum {
    KIB = 1024,
    MIB = 1024 * 1024,
    /* docs/limits.md, "After login" */
    IDLE =
        2112 * KIB, /* the output's buffer, until eight small packets have gone; eleven channels */
    WRITTEN = 3200 * KIB, /* output_soft of the application's data, and while the buffer grows */
    PROVOKED = 9 * MIB,   /* output_hard of answers, likewise */
    FLOODED = 480 * KIB,  /* what is left of it when the answers have gone */
    READING = 352 * KIB,  /* whatever is read: the input, and eleven channels */
    LANES = 11,
    LOAD = 4 * MIB
};

/* ---- lanes: channels on which the server sends, or the client, and the other end takes ---------------- */

typedef struct lane {
    nacre_channel *from, *to;
    uint64_t sent, received, held; /* held: not consumed */
    bool stalled;                  /* the reader consumes nothing */
    unsigned done_in;              /* the round in which all had arrived */
} lane;

typedef struct flow {
    pair p;
    counted m; /* of the sender */
    nacre_allocator a;
    lane lanes[LANES];
    size_t count, taken;
    int sender;
    uint64_t load; /* of each lane; the stalled one has no end */
    unsigned round;
} flow;

static const uint8_t zeros[256 * KIB];

static void lane_write(flow *f, lane *l)
{
    size_t took = 1;
    while (took > 0 && l->from && (l->stalled || l->sent < f->load)) {
        size_t n = sizeof(zeros);
        if (!l->stalled && f->load - l->sent < n) {
            n = (size_t)(f->load - l->sent);
        }
        assert_int_equal(nacre_channel_write(l->from, NACRE_STDOUT, zeros, n, &took), NACRE_OK);
        l->sent += took;
    }
}

static void lane_read(flow *f, lane *l, size_t n)
{
    l->received += n;
    if (l->stalled) {
        l->held += n;
        return;
    }
    assert_int_equal(nacre_channel_consumed(l->to, n), NACRE_OK);
    if (l->received == f->load && l->done_in == 0) {
        l->done_in = f->round;
    }
}

static bool run_lanes(pair *p, int who, const nacre_event *ev)
{
    flow *f = p->user;
    if (ev->type == NACRE_EVENT_CHANNEL_OPEN && who == NACRE_SERVER) {
        lane *l = &f->lanes[f->taken++];
        nacre_channel_set_user(ev->channel, l);
        *(who == f->sender ? &l->from : &l->to) = ev->channel;
        assert_int_equal(nacre_transport_accept(p->end[who].t, ev->ticket), NACRE_OK);
        if (who == f->sender) {
            lane_write(f, l);
        }
        return true;
    }
    if (!ev->channel) {
        return false;
    }
    lane *l = nacre_channel_user(ev->channel);
    if (ev->type == NACRE_EVENT_CHANNEL_DATA) {
        lane_read(f, l, ev->u.data.bytes.n);
    } else if (who == f->sender &&
               (ev->type == NACRE_EVENT_CHANNEL_WRITABLE ||
                (ev->type == NACRE_EVENT_CHANNEL_OPENED && who == NACRE_CLIENT))) {
        lane_write(f, l);
    }
    return true;
}

static void count_round(pair *p)
{
    flow *f = p->user;
    f->round++;
}

static flow *flow_new(int sender, int counted_end)
{
    flow *f = calloc(1, sizeof(*f));
    assert_non_null(f);
    counted_init(&f->m);
    f->a = counted_hook(&f->m);
    f->sender = sender;
    f->load = LOAD;
    pair_init(&f->p, 60);
    f->p.no_channels = true;
    f->p.hook = run_lanes;
    f->p.round = count_round;
    f->p.user = f;
    f->p.config[counted_end].allocator = &f->a;
    return f;
}

static void flow_login(flow *f)
{
    assert_int_equal(pair_start(&f->p, NULL), NACRE_OK);
    pair_run(&f->p);
    assert_true(nacre_transport_authenticated(f->p.end[NACRE_SERVER].t));
}

static void flow_open(flow *f, size_t count)
{
    f->count = count;
    for (size_t i = 0; i < count; i++) {
        nacre_channel *ch = NULL;
        assert_int_equal(nacre_channel_open_session(f->p.end[NACRE_CLIENT].t, &ch), NACRE_OK);
        nacre_channel_set_user(ch, &f->lanes[i]);
        *(f->sender == NACRE_CLIENT ? &f->lanes[i].from : &f->lanes[i].to) = ch;
    }
}

static void at_most(size_t got, size_t bound, const char *what)
{
    if (got > bound || getenv("NACRE_TEST_SHOW")) {
        print_error("%s: %zu of %zu\n", what, got, bound);
    }
    assert_true(got <= bound);
}

static void flow_end(flow *f)
{
    assert_int_equal(hostile_error(&f->p, 0)->status, NACRE_OK);
    assert_int_equal(hostile_error(&f->p, 1)->status, NACRE_OK);
    pair_free(&f->p);
    assert_int_equal(f->m.live, 0);
    free(f);
}

/* ---- one stalled channel, ten others ------------------------------------------------------------------- */

/* In how many rounds ten channels are through, with or without another one whose reader has gone to sleep. */
static unsigned rounds_of_ten(int sender, bool stalled, pair_cut cut)
{
    flow *f = flow_new(sender, sender);
    f->p.cut = cut;
    f->load = cut == PAIR_WHOLE ? LOAD : 64 * KIB;
    f->lanes[0].stalled = stalled;
    flow_login(f);
    flow_open(f, stalled ? LANES : LANES - 1);
    unsigned begin = f->round, last = 0;
    pair_run(&f->p);
    for (size_t i = stalled ? 1 : 0; i < f->count; i++) {
        assert_int_equal(f->lanes[i].received, f->load);
        last = f->lanes[i].done_in > last ? f->lanes[i].done_in : last;
    }
    if (stalled) {
        /* It got its window, and not a byte more. */
        assert_int_equal(f->lanes[0].held, f->p.config[1 - sender].window);
        assert_int_equal(f->lanes[0].sent, f->lanes[0].held);
    }
    at_most(f->m.peak, WRITTEN, "peak of a sender with a stalled channel");
    at_most(f->m.live, IDLE, "a sender whose channels are through or stalled");
    flow_end(f);
    return last - begin;
}

static void test_one_stalled_channel_stops_no_other(void **state)
{
    (void)state;
    static const pair_cut cuts[] = {PAIR_WHOLE, PAIR_RANDOM};
    for (int sender = 0; sender < 2; sender++) {
        for (size_t i = 0; i < 2; i++) {
            unsigned alone = rounds_of_ten(sender, false, cuts[i]);
            unsigned beside = rounds_of_ten(sender, true, cuts[i]);
            /* The stalled one may use its window once; here 2 MiB beside 40, or beside 640 KiB. */
            unsigned share = cuts[i] == PAIR_WHOLE ? alone / 10 : alone * 7 / 2;
            if (beside > alone + share + 4) {
                print_error("%u rounds alone, %u beside a stalled one\n", alone, beside);
            }
            assert_true(beside <= alone + share + 4);
        }
    }
}

/* It stalls, others come and go, keys change, and when its reader wakes up nothing is lost. */
static void test_a_stalled_channel_wakes_up(void **state)
{
    (void)state;
    for (int sender = 0; sender < 2; sender++) {
        flow *f = flow_new(sender, sender);
        f->lanes[0].stalled = true;
        flow_login(f);
        flow_open(f, LANES);
        pair_run(&f->p);
        assert_int_equal(nacre_transport_rekey(f->p.end[sender].t), NACRE_OK);
        pair_run(&f->p);
        lane *l = &f->lanes[0];
        uint64_t held = l->held;
        l->stalled = false;
        l->held = 0;
        f->load = 3 * LOAD;
        assert_int_equal(nacre_channel_consumed(l->to, (size_t)held), NACRE_OK);
        for (size_t i = 1; i < LANES; i++) {
            lane_write(f, &f->lanes[i]);
        }
        pair_run(&f->p);
        for (size_t i = 0; i < LANES; i++) {
            assert_int_equal(f->lanes[i].received, 3 * LOAD);
        }
        at_most(f->m.peak, WRITTEN, "peak of a sender over a key exchange");
        flow_end(f);
    }
}

/* ---- a silent reader ------------------------------------------------------------------------------------- */

/* The peer gives window without end and reads nothing from its socket. */
static void test_a_reader_that_is_silent(void **state)
{
    (void)state;
    for (int sender = 0; sender < 2; sender++) {
        flow *f = flow_new(sender, sender);
        uint64_t sent = 0;
        f->p.config[1 - sender].window = 8 * MIB;
        f->p.config[1 - sender].window_cap = 8 * MIB;
        flow_login(f);
        flow_open(f, LANES);
        f->load = 0;
        pair_run(&f->p);
        f->p.stalled[sender] = true;
        f->load = LOAD;
        for (int turn = 0; turn < 10; turn++) {
            for (size_t i = 0; i < LANES; i++) {
                lane_write(f, &f->lanes[i]);
            }
            pair_run(&f->p);
        }
        for (size_t i = 0; i < LANES; i++) {
            sent += f->lanes[i].sent;
        }
        assert_true(sent > 512 * KIB && sent <= f->p.config[sender].output_soft);
        at_most(f->m.peak, WRITTEN, "peak of a sender whose peer is silent");
        f->p.stalled[sender] = false;
        pair_run(&f->p);
        for (size_t i = 0; i < LANES; i++) {
            assert_int_equal(f->lanes[i].received, f->load);
        }
        at_most(f->m.live, IDLE, "the same, when the peer has read");
        flow_end(f);
    }
}

/* What nobody consumes is the application's to hold: the engine keeps none of it. */
static void test_an_application_that_does_not_read(void **state)
{
    (void)state;
    for (int sender = 0; sender < 2; sender++) {
        flow *f = flow_new(sender, 1 - sender);
        flow_login(f);
        for (size_t i = 0; i < LANES; i++) {
            f->lanes[i].stalled = true;
        }
        flow_open(f, LANES);
        pair_run(&f->p);
        for (size_t i = 0; i < LANES; i++) {
            assert_int_equal(f->lanes[i].held, NC_DEFAULT_WINDOW);
        }
        at_most(f->m.peak, READING, "peak of a reader that consumes nothing");
        flow_end(f);
    }
}

/* ---- writers and askers without manners -------------------------------------------------------------------- */

/* Goes on long behind the end of the window: ends at the first byte above it, and nothing is kept. */
static void test_a_writer_that_ignores_windows(void **state)
{
    (void)state;
    for (int who = 0; who < 2; who++) {
        flow *f = flow_new(who, 1 - who);
        flow_login(f);
        f->lanes[0].stalled = true;
        flow_open(f, 1);
        pair_run(&f->p);
        static uint8_t data[9 + 32 * KIB] = {SSH_MSG_CHANNEL_DATA};
        nc_put_u32(data + 5, 32 * KIB);
        for (int i = 0; i < 1000; i++) {
            if (nacre_transport_wants(f->p.end[1 - who].t) & NACRE_CLOSED_FLAG) {
                break;
            }
            pair_inject(&f->p, who, data, sizeof(data));
            (void)pair_round(&f->p);
        }
        hostile_end(&f->p, 1 - who, NACRE_WINDOW);
        assert_int_equal(f->lanes[0].held, NC_DEFAULT_WINDOW);
        at_most(f->m.peak, READING, "peak of a reader whose window is ignored");
        pair_free(&f->p);
        assert_int_equal(f->m.live, 0);
        free(f);
    }
}

/* The victim's application says no to everything at once. */
static bool say_no(pair *p, int who, const nacre_event *ev)
{
    flow *f = p->user;
    if (who == f->sender || !nacre_transport_authenticated(p->end[who].t)) {
        return run_lanes(p, who, ev);
    }
    if (ev->type == NACRE_EVENT_CHANNEL_OPEN && f->taken == 0) {
        return run_lanes(p, who, ev);
    }
    if (ev->ticket) {
        assert_int_equal(nacre_transport_refuse(p->end[who].t, ev->ticket), NACRE_OK);
    }
    return true;
}

/* Asks without end and takes no answer: the victim stops reading, and holds no more than that. */
static void flood(int who, const uint8_t *question, size_t n, size_t hard)
{
    flow *f = flow_new(who, 1 - who);
    int victim = 1 - who;
    bool stopped = false;
    f->p.hook = say_no;
    f->p.config[victim].output_soft = hard ? hard / 4 : f->p.config[victim].output_soft;
    f->p.config[victim].output_hard = hard ? hard : f->p.config[victim].output_hard;
    f->load = 0;
    flow_login(f);
    flow_open(f, 1);
    pair_run(&f->p);
    f->p.stalled[victim] = true;
    for (int i = 0; i < 1000000 && !stopped; i++) {
        for (int k = 0; k < 64; k++) {
            pair_inject(&f->p, who, question, n);
        }
        pair_run(&f->p);
        stopped = nacre_transport_output(f->p.end[who].t).n > 128 * KIB;
    }
    assert_true(stopped);
    assert_int_equal(hostile_error(&f->p, victim)->status, NACRE_OK);
    assert_false(nacre_transport_wants(f->p.end[victim].t) & NACRE_WANT_INPUT);
    at_most(f->m.peak, hard ? 3 * hard + READING : PROVOKED,
            "peak of one that is flooded with questions");
    /* The answers go where nobody expects them; when they have gone, it reads on. */
    f->p.stalled[victim] = false;
    f->p.frozen[victim] = true;
    pair_run(&f->p);
    assert_int_equal(hostile_error(&f->p, victim)->status, NACRE_OK);
    assert_true(nacre_transport_wants(f->p.end[victim].t) & NACRE_WANT_INPUT);
    at_most(f->m.live, FLOODED + 2 * hard, "the same, when the answers have gone");
    pair_free(&f->p);
    assert_int_equal(f->m.live, 0);
    free(f);
}

static void test_a_flood_of_questions(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        size_t n;
    } rows[] = {
        {"\x50\0\0\0\3g@x\1", 9},                        /* GLOBAL_REQUEST */
        {"\x50\0\0\0\x15keepalive@openssh.com\1", 27},   /* answered unasked */
        {"\x62\0\0\0\0\0\0\0\3r@x\1", 13},               /* CHANNEL_REQUEST */
        {"\x5a\0\0\0\3o@x\0\0\0\7\0\0\4\0\0\0\4\0", 20}, /* CHANNEL_OPEN */
        {"\x5a\0\0\0\3o x\0\0\0\7\0\0\4\0\0\0\4\0", 20}, /* refused unasked */
        {"\xc0\0\0\0\4ping", 9},                         /* ping@openssh.com */
        {"\x65", 1},                                     /* UNIMPLEMENTED */
    };
    for (int who = 0; who < 2; who++) {
        /* A server is asked everything; what differs in a client is who may open what. */
        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i += who == NACRE_CLIENT ? 1 : 3) {
            flood(who, (const uint8_t *)rows[i].bytes, rows[i].n, i == 0 ? 0 : 256 * KIB);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_stalled_channel_stops_no_other),
        cmocka_unit_test(test_a_stalled_channel_wakes_up),
        cmocka_unit_test(test_a_reader_that_is_silent),
        cmocka_unit_test(test_an_application_that_does_not_read),
        cmocka_unit_test(test_a_writer_that_ignores_windows),
        cmocka_unit_test(test_a_flood_of_questions),
    };
    return cmocka_run_group_tests(tests, NULL, hostile_cleanup);
}
