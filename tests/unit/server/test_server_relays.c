/*
 * Descriptors that take nothing, on many channels of one connection: each costs the window of its channel and no
 * more, counted through the allocator hook; one that does take is not held up; and all of it is given back.
 */
#include "world.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "support/counted.h"

enum {
    LANES = 20,
    KIB = 1024,
    WINDOW = 256 * KIB,
    LOAD = 16 * WINDOW, /* through the lane that is read */
    /* docs/limits.md: a window for each that takes nothing, and what the connection costs when it is busy. */
    BOUND = LANES * WINDOW + 1024 * KIB,
    AFTER = 320 * KIB
};

typedef struct scene {
    counted m;
    nacre_allocator a;
    nacre_server_conn *conn;
    nacre_channel *asked[LANES];
    uint32_t tickets[LANES];
    int count;
    nacre_channel *out[LANES]; /* the client's */
    int far[LANES];            /* what the server's descriptors lead to */
    size_t sent[LANES];
} scene;

static scene s;

static nacre_verdict keep_open(void *user, nacre_server_conn *c, const nacre_event *ev)
{
    (void)user;
    s.conn = c;
    s.asked[s.count] = ev->channel;
    s.tickets[s.count] = ev->ticket;
    s.count++;
    return NACRE_LATER;
}

static void start(world *w)
{
    nacre_error err = {0};
    memset(&s, 0, sizeof(s));
    counted_init(&s.m);
    s.a = counted_hook(&s.m);
    nacre_loop_free(w->loop);
    assert_int_equal(nacre_loop_new(&w->loop, &s.a, &err), NACRE_OK);
    w->cfg.transport.allocator = &s.a;
    w->cfg.transport.window = w->cfg.transport.window_cap = WINDOW;
    w->cfg.callbacks.auth_none = world_yes;
    w->cfg.callbacks.channel_open = keep_open;
    world_start(w);
}

static void tie(world *w, int i)
{
    int ends[2];
    nacre_error err = {0};
    nacre_answer yes = {.accept = true};
    nacre_relay_options o;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends), 0);
    nacre_relay_options_init(&o);
    o.source = o.sink = ends[0];
    assert_int_equal(nacre_server_answer(s.conn, s.tickets[i], &yes), NACRE_OK);
    assert_int_equal(nacre_server_attach(s.conn, s.asked[i], &o, &err), NACRE_OK);
    s.far[i] = ends[1];
    (void)w;
}

static void open_lanes(world *w, peer *p)
{
    for (int i = 0; i < LANES; i++) {
        assert_int_equal(
            nacre_channel_open(p->t, "lane@example.com", (nacre_span){NULL, 0}, 0, 0, &s.out[i]),
            NACRE_OK);
    }
    nacre_driver_kick(p->d);
    world_until(w, &s.count, LANES);
    for (int i = 0; i < LANES; i++) {
        tie(w, i);
    }
    world_until(w, &p->opened, LANES);
}

/* As much as goes, up to a limit of each lane; false when nothing went. */
static bool push(world *w, peer *p, int from, int to, size_t limit)
{
    static const uint8_t zeros[64 * 1024];
    bool any = false;
    for (int i = from; i < to; i++) {
        size_t took = 0, n = limit - s.sent[i] < sizeof(zeros) ? limit - s.sent[i] : sizeof(zeros);
        assert_int_equal(nacre_channel_write(s.out[i], NACRE_STDOUT, zeros, n, &took), NACRE_OK);
        s.sent[i] += took;
        any = any || took > 0;
    }
    nacre_driver_kick(p->d);
    assert_int_equal(nacre_loop_run_once(w->loop, 0), NACRE_OK);
    return any;
}

/* Until nothing has gone for a while. */
static void fill(world *w, peer *p, int from, int to)
{
    for (int quiet = 0; quiet < 50;) {
        quiet = push(w, p, from, to, SIZE_MAX) ? 0 : quiet + 1;
    }
}

static size_t drain(int fd)
{
    static uint8_t waste[64 * 1024];
    ssize_t got = recv(fd, waste, sizeof(waste), 0);
    assert_true(got > 0 || (got < 0 && errno == EAGAIN));
    return got > 0 ? (size_t)got : 0;
}

static void sinks_that_take_nothing(void **state)
{
    world *w = *state;
    start(w);
    peer *p = world_login(w);
    open_lanes(w, p);
    size_t before = s.m.live;
    counted_peak_here(&s.m);
    fill(w, p, 1, LANES);
    for (int i = 1; i < LANES; i++) {
        assert_true(s.sent[i] >= WINDOW);
        assert_true(s.sent[i] <= WINDOW + 1024 * KIB); /* and what the socket holds */
    }
    /* The one whose descriptor is read goes on, beside all of them. */
    size_t got = 0;
    for (int turn = 0; got < LOAD; turn++) {
        assert_true(turn < 100000);
        (void)push(w, p, 0, 1, LOAD);
        got += drain(s.far[0]);
    }
    assert_int_equal(got, LOAD);
    if (s.m.peak > before + BOUND) {
        print_error("%zu before, %zu at most\n", before, s.m.peak);
    }
    assert_true(s.m.peak <= before + BOUND);
    /* They wake up: everything arrives, and nothing of it stays. */
    for (int i = 1; i < LANES; i++) {
        size_t have = 0;
        for (int turn = 0; have < s.sent[i]; turn++) {
            assert_true(turn < 100000);
            have += drain(s.far[i]);
            assert_int_equal(nacre_loop_run_once(w->loop, 0), NACRE_OK);
        }
        assert_int_equal(have, s.sent[i]);
    }
    if (s.m.live > before + AFTER) {
        print_error("%zu before, %zu after\n", before, s.m.live);
    }
    assert_true(s.m.live <= before + AFTER);
    /* Gone in the middle, each of them: the channels end, and the connection lives. */
    fill(w, p, 0, LANES);
    for (int i = 0; i < LANES; i++) {
        (void)close(s.far[i]);
    }
    world_until(w, &p->closed, LANES);
    assert_false(p->over);
    world_leave(p);
    nacre_server_free(w->server);
    w->server = NULL;
    nacre_loop_free(w->loop);
    w->loop = NULL;
    assert_int_equal(s.m.live, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_WORLD(sinks_that_take_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
