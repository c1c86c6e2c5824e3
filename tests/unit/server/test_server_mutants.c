/*
 * A server, and strangers whose handshakes are a good one's with bytes changed, cut, put in and taken out: it lives,
 * its memory is where it was, and a good client gets in afterwards. NACRE_MUTANTS says how many of them.
 */
#include "world.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "support/counted.h"
#include "support/pair.h"

enum {
    MUTANTS = 2000,    /* in the suite */
    MOST = 16 * 1024,  /* bytes of a good client's side, up to its keys */
    TURNS = 200,       /* of the loop for one of them */
    PEAK = 640 * 1024, /* docs/limits.md: before login, a peer that reads our answers */
    DRIFT = 4096       /* what may be left more or less: the tables of a loop, a source or two */
};

/* ---- what a good client says up to its keys --------------------------------------------------------- */

typedef struct good {
    uint8_t bytes[MOST];
    size_t n;
} good;

static void record(pair *p, int from, uint8_t *bytes, size_t n)
{
    good *g = p->user;
    bool keyed = p->end[NACRE_CLIENT].seen[NACRE_EVENT_KEX_DONE] > 0;
    if (from == NACRE_CLIENT && !keyed) {
        assert_true(g->n + n <= sizeof(g->bytes));
        memcpy(g->bytes + g->n, bytes, n);
        g->n += n;
    }
}

static void record_good(good *g)
{
    pair p;
    memset(g, 0, sizeof(*g));
    pair_init(&p, 500);
    p.no_channels = true;
    p.wire = record;
    p.user = g;
    assert_int_equal(pair_start(&p, NULL), NACRE_OK);
    pair_run(&p);
    pair_free(&p);
    assert_true(g->n > 1000);
}

/* ---- mutants --------------------------------------------------------------------------------------------- */

static size_t below(uint64_t *rng, size_t n)
{
    return (size_t)(pair_random(rng) % n);
}

/* One change; never longer than room. */
static size_t mutate(uint8_t *b, size_t n, size_t room, uint64_t *rng)
{
    static const uint32_t odd[] = {0, 1, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 262144, 35001, 16};
    size_t at = below(rng, n), some = 1 + below(rng, 64);
    switch (pair_random(rng) % 7) {
    case 0:
        b[at] ^= (uint8_t)(1u << below(rng, 8));
        break;
    case 1:
        b[at] = (uint8_t)pair_random(rng);
        break;
    case 2: /* a length, or what looks like one */
        if (at + 4 <= n) {
            nc_put_u32(b + at, odd[below(rng, sizeof(odd) / sizeof(odd[0]))]);
        }
        break;
    case 3: /* cut */
        n = at + 1;
        break;
    case 4: /* taken out */
        some = some < n - at ? some : n - at;
        memmove(b + at, b + at + some, n - at - some);
        n -= some < n ? some : 0;
        break;
    case 5: /* said again */
        some = some < n - at ? some : n - at;
        some = some < room - n ? some : room - n;
        memmove(b + at + some, b + at, n - at);
        n += some;
        break;
    default: /* rubbish behind it */
        some = some < room - n ? some : room - n;
        for (size_t i = 0; i < some; i++) {
            b[n + i] = (uint8_t)pair_random(rng);
        }
        n += some;
        break;
    }
    return n > 0 ? n : 1;
}

/* ---- the server ------------------------------------------------------------------------------------------- */

/* Says it all, reads what comes, and hangs up when nothing comes any more. How much came? */
static size_t one_stranger(world *w, const uint8_t *bytes, size_t n)
{
    int ends[2];
    nacre_error err = {0};
    size_t sent = 0, heard = 0;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends), 0);
    assert_int_equal(nacre_server_adopt(w->server, ends[0], ends[0], NULL, &err), NACRE_OK);
    for (int turn = 0, quiet = 0; turn < TURNS && quiet < 3; turn++) {
        uint8_t waste[4096];
        if (sent < n) {
            ssize_t put = send(ends[1], bytes + sent, n - sent, MSG_NOSIGNAL);
            sent = put > 0 ? sent + (size_t)put : n;
        }
        assert_int_equal(nacre_loop_run_once(w->loop, 0), NACRE_OK);
        ssize_t got = recv(ends[1], waste, sizeof(waste), 0);
        quiet = got > 0 || sent < n ? 0 : quiet + 1;
        heard += got > 0 ? (size_t)got : 0;
        if (got == 0 || (got < 0 && errno != EAGAIN)) {
            break;
        }
    }
    (void)close(ends[1]);
    for (int turn = 0; nacre_server_connections(w->server) > 0; turn++) {
        assert_true(turn < 1000);
        assert_int_equal(nacre_loop_run_once(w->loop, 10), NACRE_OK);
    }
    return heard;
}

static void mutants_change_nothing(void **state)
{
    world *w = *state;
    counted m;
    good *g = malloc(sizeof(*g));
    const char *more = getenv("NACRE_MUTANTS");
    size_t count = more ? strtoul(more, NULL, 10) : MUTANTS;
    uint64_t rng = 2026;
    assert_non_null(g);
    record_good(g);
    counted_init(&m);
    nacre_allocator a = counted_hook(&m);
    w->cfg.transport.allocator = &a;
    w->cfg.callbacks.auth_none = world_yes;
    world_start(w);
    /* What is made at first use is there then; and the good one comes as far as the keys. */
    size_t good_heard = one_stranger(w, g->bytes, g->n), far = 0;
    size_t before = m.live;
    counted_peak_here(&m);
    for (size_t i = 0; i < count; i++) {
        uint8_t bytes[MOST];
        size_t n = g->n;
        memcpy(bytes, g->bytes, n);
        for (size_t k = 0; k <= i % 4; k++) {
            n = mutate(bytes, n, sizeof(bytes), &rng);
        }
        far += one_stranger(w, bytes, n) >= good_heard ? 1 : 0;
    }
    if (m.live > before + DRIFT || m.peak > before + PEAK || getenv("NACRE_TEST_SHOW")) {
        print_error(
            "%zu mutants, %zu answered with keys: %zu bytes before, %zu after, %zu at most\n",
            count, far, before, m.live, m.peak);
    }
    assert_true(good_heard > 2000);
    assert_true(far > count / 20 && far < count);
    assert_true(m.live <= before + DRIFT);
    assert_true(m.peak <= before + PEAK);
    nacre_server_counts n = {.size = sizeof(n)};
    nacre_server_get_counts(w->server, &n);
    assert_int_equal(n.adopted, count + 1);
    assert_int_equal(n.logins, 0);
    assert_int_equal(n.ended_before_login, count + 1);
    peer *in = world_login(w);
    assert_int_equal(in->auth_ok, 1);
    world_leave(in);
    nacre_server_free(w->server);
    w->server = NULL;
    assert_int_equal(m.live, 0);
    free(g);
    pair_keys_free();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_WORLD(mutants_change_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
