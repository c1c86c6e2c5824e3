/*
 * The output side of both machines, and the pipe below it: whose room is lent, how much of it, and that nothing is
 * lent twice or sent that was not lent.
 */
#include "mem_pipe.h"
#include "sftp/sftp.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { HEADER = 5 };

typedef struct world {
    mem_pipe pipe;
    nc_sftp_out out;
    nacre_room rooms[8];
    size_t count, granted;
} world;

static void world_new(world *w, size_t room_size, bool lend)
{
    memset(w, 0, sizeof(*w));
    mem_pipe_init(&w->pipe, 4096, room_size, lend);
    nc_sftp_out_init(&w->out, NULL, &w->pipe.client_pipe, 1 << 16);
}

static void world_free(world *w)
{
    nc_sftp_out_clear(&w->out);
    mem_pipe_clear(&w->pipe);
}

static int lend(world *w, size_t want, size_t rooms)
{
    nc_sftp_place place = {.header = HEADER, .want = want, .least = want, .stage = true};
    w->count = rooms;
    w->granted = 99;
    return nc_sftp_out_reserve(&w->out, place, w->rooms, &w->count, &w->granted);
}

static size_t fill(const world *w, const char *text)
{
    size_t done = 0;
    for (size_t i = 0; i < w->count; i++) {
        memcpy(w->rooms[i].p, text + done, w->rooms[i].n);
        done += w->rooms[i].n;
    }
    return done;
}

static void sent(world *w, const char *text)
{
    uint8_t got[64];
    assert_int_equal(nc_sftp_out_flush(&w->out), NACRE_OK);
    size_t n = mem_way_take(&w->pipe.up, got, sizeof(got));
    assert_int_equal(n, strlen(text));
    assert_memory_equal(got, text, n);
}

/* The same from the pipe's rooms, the header across several of them, and from the queue. */
static void laid_in_place(void **state)
{
    static const size_t room_sizes[] = {1, 3, HEADER, 4096};
    (void)state;
    for (size_t i = 0; i < 5; i++) {
        world w;
        world_new(&w, i < 4 ? room_sizes[i] : 4096, i < 4);
        assert_int_equal(lend(&w, 3, 8), NACRE_OK);
        assert_int_equal(w.granted, 3);
        assert_int_equal(fill(&w, "abc"), 3);
        assert_int_equal(nc_sftp_out_commit(&w.out, (const uint8_t *)"HEAD:", 3), NACRE_OK);
        sent(&w, "HEAD:abc");
        assert_int_equal(lend(&w, 3, 8), NACRE_OK); /* and less of it than was lent */
        assert_int_equal(fill(&w, "xyz"), 3);
        assert_int_equal(nc_sftp_out_commit(&w.out, (const uint8_t *)"HEAD:", 1), NACRE_OK);
        sent(&w, "HEAD:x");
        assert_int_equal(lend(&w, 3, 8), NACRE_OK); /* and none */
        assert_int_equal(nc_sftp_out_abandon(&w.out), NACRE_OK);
        sent(&w, "");
        world_free(&w);
    }
}

static void lent_once(void **state)
{
    (void)state;
    for (int by_pipe = 0; by_pipe < 2; by_pipe++) {
        world w;
        world_new(&w, 4096, by_pipe);
        assert_int_equal(nc_sftp_out_commit(&w.out, (const uint8_t *)"HEAD:", 0),
                         NACRE_WRONG_STATE);
        assert_int_equal(lend(&w, 0, 8), NACRE_INVALID_ARGUMENT);
        assert_int_equal(lend(&w, 3, 0), NACRE_INVALID_ARGUMENT);
        assert_int_equal(w.granted, 0);
        assert_int_equal(lend(&w, 3, 8), NACRE_OK);
        assert_int_equal(fill(&w, "abc"), 3);
        assert_int_equal(lend(&w, 3, 8), NACRE_WRONG_STATE);
        assert_int_equal(w.count, 0);
        assert_int_equal(w.granted, 0);
        assert_int_equal(nc_sftp_out_commit(&w.out, (const uint8_t *)"HEAD:", 4),
                         NACRE_INVALID_ARGUMENT);
        assert_int_equal(nc_sftp_out_commit(&w.out, (const uint8_t *)"HEAD:", 3), NACRE_OK);
        assert_int_equal(nc_sftp_out_commit(&w.out, (const uint8_t *)"HEAD:", 3),
                         NACRE_WRONG_STATE);
        sent(&w, "HEAD:abc");
        world_free(&w);
    }
}

/* ---- a pipe that lends more than it was asked for ------------------------------------------------------------- */

typedef struct generous {
    uint8_t bytes[256];
    size_t committed;
} generous;

static int generous_reserve(void *ctx, size_t want, nacre_room *rooms, size_t *count)
{
    generous *g = ctx;
    assert_in_range(*count, 2, 64);
    rooms[0] = (nacre_room){g->bytes, want - 1};
    rooms[1] = (nacre_room){g->bytes + want - 1, sizeof(g->bytes) - (want - 1)};
    *count = 2;
    return NACRE_OK;
}

static int generous_commit(void *ctx, size_t n)
{
    ((generous *)ctx)->committed = n;
    return NACRE_OK;
}

static int generous_write(void *ctx, const void *p, size_t n, size_t *took)
{
    (void)ctx;
    (void)p;
    *took = n;
    return NACRE_OK;
}

/* No READ is answered with more than was asked for, whatever the pipe has. */
static void generous_pipe(void **state)
{
    generous g = {{0}, 0};
    nacre_pipe pipe = {&g, generous_reserve, generous_commit, generous_write, NULL};
    world w = {.granted = 0};
    (void)state;
    nc_sftp_out_init(&w.out, NULL, &pipe, 1 << 16);
    assert_int_equal(lend(&w, 10, 8), NACRE_OK);
    assert_int_equal(w.granted, 10);
    assert_int_equal(fill(&w, "0123456789 and more"), 10);
    assert_int_equal(nc_sftp_out_commit(&w.out, (const uint8_t *)"HEAD:", 10), NACRE_OK);
    assert_int_equal(g.committed, HEADER + 10);
    assert_memory_equal(g.bytes, "HEAD:0123456789\0", 16);
    nc_sftp_out_clear(&w.out);
}

static void pipe_of_nothing(void **state)
{
    nacre_pipe pipe = {NULL, NULL, NULL, NULL, NULL};
    int nobody = 0; /* it is not looked at */
    (void)state;
    assert_int_equal(nacre_pipe_from_channel(NULL, &pipe), NACRE_INVALID_ARGUMENT);
    assert_null(pipe.write);
    assert_int_equal(nacre_pipe_from_channel((nacre_channel *)&nobody, NULL),
                     NACRE_INVALID_ARGUMENT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(laid_in_place),
        cmocka_unit_test(lent_once),
        cmocka_unit_test(generous_pipe),
        cmocka_unit_test(pipe_of_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
