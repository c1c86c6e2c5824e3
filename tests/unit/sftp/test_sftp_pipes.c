/*
 * Pipes that end: whichever call of either end's pipe is the one that fails, both machines say so, stay so, and
 * nothing that did not happen is reported as done.
 */
#include "base/mem.h"
#include "sftp_loop.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { SIZE = 60000 };

/* Pumps until the request is over: did it end as it should, by this event? */
static bool ends(loop *l, int rc, uint32_t id, nacre_sftp_event_type type)
{
    const loop_reply *r = loop_wait(l, rc, id);
    return rc == NACRE_OK && r->type == type &&
           (type != NACRE_SFTP_EVENT_STATUS || r->code == NACRE_FX_OK);
}

/* All of data by as many WRITEs as it takes, the server's reading side deaf or not. */
static bool write_all(loop *l, nacre_span h, const uint8_t *data)
{
    size_t at = 0, took = 1;
    while (at < SIZE && took > 0) {
        uint32_t id = 0;
        int rc = nacre_sftp_req_write(l->client, h, at, nc_span(data + at, SIZE - at), &took, &id);
        if (!ends(l, rc, id, NACRE_SFTP_EVENT_STATUS)) {
            return false;
        }
        at += took;
    }
    return at == SIZE;
}

static bool by_rooms(loop *l, nacre_span h)
{
    nacre_room rooms[4];
    size_t count = 4, granted = 0;
    uint32_t id = 0;
    if (nacre_sftp_reserve_write(l->client, h, 0, 1000, rooms, &count, &granted) != NACRE_OK) {
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        memset(rooms[i].p, 'r', rooms[i].n);
    }
    int rc = nacre_sftp_commit_write(l->client, granted, &id);
    return ends(l, rc, id, NACRE_SFTP_EVENT_STATUS);
}

static bool session(loop *l)
{
    static uint8_t data[SIZE];
    uint8_t keep[256];
    uint32_t id = 0;
    int rc = nacre_sftp_req_open(l->client, SPAN("/f"),
                                 NACRE_FXF_READ | NACRE_FXF_WRITE | NACRE_FXF_CREAT, NULL, &id);
    if (!ends(l, rc, id, NACRE_SFTP_EVENT_HANDLE)) {
        return false;
    }
    nacre_span h = nc_span(keep, l->reply.handle_len);
    memcpy(keep, l->reply.handle, h.n);
    memset(data, 'd', sizeof(data));
    if (!write_all(l, h, data) || !by_rooms(l, h)) {
        return false;
    }
    rc = nacre_sftp_req_read(l->client, h, 0, SIZE, NULL, &id);
    if (!ends(l, rc, id, NACRE_SFTP_EVENT_DATA) || l->reply.len == 0) {
        return false;
    }
    rc = nacre_sftp_req_close(l->client, h, &id);
    return ends(l, rc, id, NACRE_SFTP_EVENT_STATUS);
}

/* Rows: the pipe lends room or not. */
static void each_call(bool client, bool lend, size_t window)
{
    static loop l;
    unsigned long failures = 0;
    for (unsigned long n = 1;; n++) {
        loop_setup s = {CUT_ALL, window, 3000, lend, NULL, NULL};
        assert_int_equal(loop_open(&l, s), NACRE_OK);
        mem_end *end = client ? &l.pipe.client : &l.pipe.server;
        end->calls = 0;
        end->fail_at = n;
        bool good = session(&l);
        bool came = end->calls >= n;
        const nacre_error *why =
            client ? nacre_sftp_engine_error(l.client) : nacre_sftp_server_error(l.server);
        assert_true(good || came);
        if (came) { /* it may be the last one, after which nothing more is asked */
            failures++;
            (void)loop_pump(&l);
            if (client) {
                (void)!nacre_sftp_engine_flush(l.client);
            }
            int status = client ? l.client_rc : l.server_rc;
            assert_true(good || status == NACRE_CLOSED || why->status == NACRE_CLOSED);
            if (why->status != NACRE_OK) {
                size_t used;
                nacre_sftp_event ev;
                assert_true(why->text[0] != '\0');
                int rc = client ? nacre_sftp_engine_input(l.client, nc_span("\0", 1), &used, &ev)
                                : nacre_sftp_server_input(l.server, nc_span("\0", 1));
                assert_int_equal(rc, why->status);
            }
        }
        mem_node *f = mem_backend_find(&l.backend, "/f");
        if (good) { /* what was told to be written is */
            assert_non_null(f);
            assert_int_equal(f->size, SIZE);
            assert_memory_equal(f->data, "rrrr", 4);
            assert_int_equal(f->data[SIZE - 1], 'd');
        }
        loop_close(&l);
        if (!came) {
            break;
        }
        assert_in_range(n, 1, 2000);
    }
    assert_in_range(failures, 8, 2000);
}

static void client_side(void **state)
{
    (void)state;
    each_call(true, true, 1 << 20);
    each_call(true, false, 1 << 20);
    each_call(true, true, 5000);
}

static void server_side(void **state)
{
    (void)state;
    each_call(false, true, 1 << 20);
    each_call(false, false, 1 << 20);
    each_call(false, true, 5000);
}

/* Pipes that are none, or halves, make no machine. */
static void no_pipe(void **state)
{
    mem_pipe both;
    nacre_sftp_engine *e = NULL;
    nacre_sftp_server *s = NULL;
    nacre_sftp_server_ops ops = {.size = sizeof(ops)};
    (void)state;
    mem_pipe_init(&both, 1 << 16, 1000, true);
    nacre_pipe deaf = both.client_pipe, half = both.client_pipe;
    deaf.write = NULL;
    half.commit = NULL;
    const nacre_pipe *const none[] = {NULL, &deaf, &half};
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(nacre_sftp_engine_new(&e, NULL, none[i]), NACRE_INVALID_ARGUMENT);
        assert_int_equal(nacre_sftp_server_new(&s, none[i], &ops, NULL, NULL, NULL),
                         NACRE_INVALID_ARGUMENT);
    }
    assert_int_equal(nacre_sftp_engine_new(NULL, NULL, &both.client_pipe), NACRE_INVALID_ARGUMENT);
    assert_null(e);
    assert_null(s);
    assert_int_equal(nacre_sftp_engine_new(&e, NULL, &both.client_pipe), NACRE_OK);
    assert_int_equal(nacre_sftp_engine_start(e), NACRE_OK);
    assert_int_equal(nacre_sftp_engine_start(e), NACRE_WRONG_STATE); /* no second INIT */
    assert_int_equal(nacre_sftp_engine_flush(e), NACRE_OK);
    assert_int_equal(both.up.len, 9);
    nacre_sftp_engine_free(e);
    mem_pipe_clear(&both);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(client_side),
        cmocka_unit_test(server_side),
        cmocka_unit_test(no_pipe),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
