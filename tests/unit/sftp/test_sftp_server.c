/*
 * The SFTP server machine against clients that lie, flood and do not read.
 */
#include "base/mem.h"
#include "mem_backend.h"
#include "mem_pipe.h"
#include "support/counted.h"
#include "wire/wr.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

typedef struct peer {
    mem_pipe pipe;
    mem_backend backend;
    nacre_sftp_server *s;
    uint8_t got[300000];
    size_t len;
} peer;

static void peer_new(peer *p, const nacre_sftp_server_options *o, bool lend)
{
    nacre_sftp_server_ops ops;
    memset(p, 0, sizeof(*p));
    mem_pipe_init(&p->pipe, 1 << 20, 1000, lend);
    mem_backend_init(&p->backend);
    mem_backend_set(mem_backend_add(&p->backend, "/f", NACRE_SFTP_S_IFREG | 0644), "abc", 3);
    mem_backend_ops(&ops);
    assert_int_equal(nacre_sftp_server_new(&p->s, &p->pipe.server_pipe, &ops, &p->backend, o, NULL),
                     NACRE_OK);
}

static void peer_close(peer *p)
{
    nacre_sftp_server_free(p->s);
    mem_pipe_clear(&p->pipe);
    mem_backend_clear(&p->backend);
}

static int say(peer *p, const void *bytes, size_t n)
{
    int rc = nacre_sftp_server_input(p->s, nc_span(bytes, n));
    p->len = mem_way_take(&p->pipe.down, p->got, sizeof(p->got));
    p->pipe.down.credit += p->len;
    return rc;
}

static void peer_open(peer *p, const nacre_sftp_server_options *o)
{
    peer_new(p, o, true);
    assert_int_equal(say(p, "\0\0\0\5\1\0\0\0\3", 9), NACRE_OK);
    assert_int_equal(p->got[4], NACRE_FXP_VERSION);
}

static size_t packet(uint8_t *out, uint8_t type, const void *body, size_t n)
{
    nc_put_u32(out, (uint32_t)(5 + n));
    out[4] = type;
    nc_put_u32(out + 5, 0x01020304);
    if (n) {
        memcpy(out + 9, body, n);
    }
    return 9 + n;
}

static int ask(peer *p, uint8_t type, const void *body, size_t n)
{
    static uint8_t out[300000];
    return say(p, out, packet(out, type, body, n));
}

static void status(peer *p, uint32_t code)
{
    assert_true(p->len >= 17);
    assert_int_equal(p->got[4], NACRE_FXP_STATUS);
    assert_int_equal(nc_get_u32(p->got + 5), 0x01020304);
    assert_int_equal(nc_get_u32(p->got + 9), code);
    assert_int_equal(p->len, 4 + nc_get_u32(p->got)); /* one reply, no more */
}

static void open_f(peer *p, uint8_t pflags, uint8_t handle[20])
{
    uint8_t body[] = {0, 0, 0, 2, '/', 'f', 0, 0, 0, pflags, 0, 0, 0, 0};
    assert_int_equal(ask(p, NACRE_FXP_OPEN, body, sizeof(body)), NACRE_OK);
    assert_int_equal(p->got[4], NACRE_FXP_HANDLE);
    memcpy(handle, p->got + 9, 20);
}

static void frames(void **state)
{
    static const uint32_t lengths[] = {0, 1, 4, 262145, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF};
    (void)state;
    for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
        peer p;
        uint8_t b[4];
        peer_open(&p, NULL);
        nc_put_u32(b, lengths[i]);
        assert_int_equal(say(&p, b, 4), NACRE_SFTP_PROTOCOL);
        assert_non_null(strstr(nacre_sftp_server_error(p.s)->text, "announced a packet"));
        assert_int_equal(say(&p, "\0", 1), NACRE_SFTP_PROTOCOL);
        assert_int_equal(nacre_sftp_server_flush(p.s), NACRE_SFTP_PROTOCOL);
        peer_close(&p);
    }
    peer p;
    peer_open(&p, NULL);
    assert_int_equal(say(&p, "\0\0\0\5\1\0\0\0\3", 9), NACRE_SFTP_PROTOCOL); /* INIT twice */
    peer_close(&p);
    peer_new(&p, NULL, true);
    assert_int_equal(ask(&p, NACRE_FXP_STAT, "\0\0\0\1/", 5),
                     NACRE_SFTP_PROTOCOL); /* before INIT */
    assert_int_equal(p.backend.starts, 0);
    peer_close(&p);
    assert_int_equal(p.backend.ends, 0);
}

#define BODY(s) (s), sizeof(s) - 1

/* A good body of each request, for cutting; handles are put where H stands. */
static const struct {
    uint8_t type;
    const char *body;
    size_t n;
} good[] = {
    {NACRE_FXP_OPEN,
     BODY("\0\0\0\2/f\0\0\0\1\0\0\0\x0F\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"
          "\0\0\0\0")},
    {NACRE_FXP_LSTAT, BODY("\0\0\0\2/f")},
    {NACRE_FXP_STAT, BODY("\0\0\0\2/f")},
    {NACRE_FXP_SETSTAT, BODY("\0\0\0\2/f\0\0\0\4\0\0\1\xA4")},
    {NACRE_FXP_OPENDIR, BODY("\0\0\0\1/")},
    {NACRE_FXP_MKDIR, BODY("\0\0\0\2/d\x80\0\0\0\0\0\0\1\0\0\0\1a\0\0\0\1b")},
    {NACRE_FXP_REALPATH, BODY("\0\0\0\1/")},
    {NACRE_FXP_RENAME, BODY("\0\0\0\2/x\0\0\0\2/y")},
    {NACRE_FXP_SYMLINK, BODY("\0\0\0\2/f\0\0\0\2/y")},
    {NACRE_FXP_EXTENDED, BODY("\0\0\0\x14statvfs@openssh.com\0\0\0\0\1/")},
    {NACRE_FXP_EXTENDED, BODY("\0\0\0\x18posix-rename@openssh.com\0\0\0\1a\0\0\0\1b")},
    {NACRE_FXP_EXTENDED, BODY("\0\0\0\x1Eusers-groups-by-id@openssh.com\0\0\0\4\0\0\0\0\0\0\0\0")},
};

static void cut_requests(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        for (size_t n = 0; n < good[i].n; n++) {
            peer p;
            peer_open(&p, NULL);
            assert_int_equal(ask(&p, good[i].type, good[i].body, n), NACRE_OK);
            bool unsupported = good[i].type == NACRE_FXP_EXTENDED && p.got[12] == 8;
            if (!unsupported) {
                status(&p, NACRE_FX_BAD_MESSAGE);
            }
            assert_int_equal(p.backend.open_now, 0);
            /* The session lives on. */
            assert_int_equal(ask(&p, NACRE_FXP_STAT, "\0\0\0\2/f", 6), NACRE_OK);
            assert_int_equal(p.got[4], NACRE_FXP_ATTRS);
            peer_close(&p);
        }
    }
}

static void absurd_strings(void **state)
{
    static const uint8_t types[] = {NACRE_FXP_OPEN,    NACRE_FXP_CLOSE,   NACRE_FXP_READ,
                                    NACRE_FXP_WRITE,   NACRE_FXP_FSTAT,   NACRE_FXP_FSETSTAT,
                                    NACRE_FXP_READDIR, NACRE_FXP_REMOVE,  NACRE_FXP_READLINK,
                                    NACRE_FXP_RMDIR,   NACRE_FXP_EXTENDED};
    static const uint32_t lengths[] = {9, 257, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF};
    (void)state;
    for (size_t i = 0; i < sizeof(types); i++) {
        for (size_t k = 0; k < sizeof(lengths) / sizeof(lengths[0]); k++) {
            peer p;
            uint8_t body[12] = {0};
            peer_open(&p, NULL);
            nc_put_u32(body, lengths[k]);
            assert_int_equal(ask(&p, types[i], body, sizeof(body)), NACRE_OK);
            status(&p, NACRE_FX_BAD_MESSAGE);
            peer_close(&p);
        }
    }
}

static void paths(void **state)
{
    peer p;
    static uint8_t body[200000];
    (void)state;
    peer_open(&p, NULL);
    assert_int_equal(ask(&p, NACRE_FXP_STAT, "\0\0\0\3/\0f", 7), NACRE_OK);
    status(&p, NACRE_FX_BAD_MESSAGE);
    assert_int_equal(ask(&p, NACRE_FXP_RENAME, "\0\0\0\2/f\0\0\0\3/\0f", 13), NACRE_OK);
    status(&p, NACRE_FX_BAD_MESSAGE);
    memset(body, '/', sizeof(body));
    nc_put_u32(body, NACRE_SFTP_SERVER_MAX_PATH + 1);
    assert_int_equal(ask(&p, NACRE_FXP_STAT, body, NACRE_SFTP_SERVER_MAX_PATH + 5), NACRE_OK);
    status(&p, NACRE_FX_FAILURE);
    nc_put_u32(body, 190000);
    assert_int_equal(ask(&p, NACRE_FXP_REMOVE, body, 190004), NACRE_OK);
    status(&p, NACRE_FX_FAILURE);
    peer_close(&p);
}

static void handles(void **state)
{
    peer p;
    uint8_t h[20];
    uint8_t other[20];
    uint8_t body[64] = {0};
    (void)state;
    peer_open(&p, NULL);
    open_f(&p, NACRE_FXF_READ, h);
    memcpy(body, h, 20); /* nothing is wanted, and nothing given: no end of the file */
    assert_int_equal(ask(&p, NACRE_FXP_READ, body, 32), NACRE_OK);
    assert_int_equal(p.len, 13);
    assert_int_equal(p.got[4], NACRE_FXP_DATA);
    assert_int_equal(nc_get_u32(p.got + 9), 0);
    for (size_t bit = 32; bit < 160; bit++) { /* every bit of it counts */
        memcpy(other, h, sizeof(other));
        other[bit / 8] ^= (uint8_t)(1u << bit % 8);
        assert_int_equal(ask(&p, NACRE_FXP_FSTAT, other, sizeof(other)), NACRE_OK);
        status(&p, NACRE_FX_FAILURE);
    }
    assert_int_equal(ask(&p, NACRE_FXP_READDIR, h, sizeof(h)), NACRE_OK);
    status(&p, NACRE_FX_FAILURE); /* not a directory's */
    /* WRITE to what is open for reading, small and large, and truncation by FSETSTAT. */
    static uint8_t big[200000];
    memcpy(big, h, 20);
    nc_put_u32(big + 28, sizeof(big) - 32);
    assert_int_equal(ask(&p, NACRE_FXP_WRITE, big, sizeof(big)), NACRE_OK);
    status(&p, NACRE_FX_PERMISSION_DENIED);
    memcpy(body, h, 20);
    body[23] = 1;
    assert_int_equal(ask(&p, NACRE_FXP_FSETSTAT, body, 32), NACRE_OK);
    status(&p, NACRE_FX_PERMISSION_DENIED);
    assert_int_equal(p.backend.writes, 0);
    assert_int_equal(mem_backend_find(&p.backend, "/f")->size, 3);
    /* Stale: the place is in use again, the old handle is not good for it. */
    assert_int_equal(ask(&p, NACRE_FXP_CLOSE, h, sizeof(h)), NACRE_OK);
    status(&p, NACRE_FX_OK);
    open_f(&p, NACRE_FXF_READ, other);
    assert_memory_not_equal(h, other, sizeof(h));
    assert_int_equal(ask(&p, NACRE_FXP_FSTAT, h, sizeof(h)), NACRE_OK);
    status(&p, NACRE_FX_FAILURE);
    assert_int_equal(ask(&p, NACRE_FXP_CLOSE, h, sizeof(h)), NACRE_OK);
    status(&p, NACRE_FX_FAILURE);
    assert_int_equal(p.backend.open_now, 1);
    peer_close(&p);
}

static void handle_flood(void **state)
{
    peer p;
    uint8_t h[20];
    nacre_sftp_server_options o;
    (void)state;
    nacre_sftp_server_options_init(&o);
    o.max_handles = 37;
    peer_open(&p, &o);
    for (int i = 0; i < 37; i++) {
        open_f(&p, NACRE_FXF_READ, h);
    }
    assert_int_equal(ask(&p, NACRE_FXP_OPEN, "\0\0\0\2/f\0\0\0\1\0\0\0\0", 14), NACRE_OK);
    status(&p, NACRE_FX_FAILURE);
    assert_int_equal(ask(&p, NACRE_FXP_OPENDIR, "\0\0\0\1/", 5), NACRE_OK);
    status(&p, NACRE_FX_FAILURE);
    assert_int_equal(p.backend.open_now, 37);
    assert_int_equal(ask(&p, NACRE_FXP_CLOSE, h, sizeof(h)), NACRE_OK);
    open_f(&p, NACRE_FXF_READ, h);
    peer_close(&p);
}

static void write_lengths(void **state)
{
    peer p;
    uint8_t body[64] = {0};
    (void)state;
    peer_open(&p, NULL);
    open_f(&p, NACRE_FXF_WRITE, body);
    static const uint32_t lies[] = {9, 10, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF};
    for (size_t i = 0; i < sizeof(lies) / sizeof(lies[0]); i++) {
        nc_put_u32(body + 28, lies[i]); /* 8 bytes are there */
        assert_int_equal(ask(&p, NACRE_FXP_WRITE, body, 40), NACRE_OK);
        status(&p, NACRE_FX_BAD_MESSAGE);
    }
    for (size_t n = 0; n < 32; n++) {
        assert_int_equal(ask(&p, NACRE_FXP_WRITE, body, n), NACRE_OK);
        status(&p, NACRE_FX_BAD_MESSAGE);
    }
    assert_int_equal(p.backend.writes, 0);
    nc_put_u32(body + 28, 8);
    memset(body + 20, 0xFF, 8); /* an offset that wraps */
    assert_int_equal(ask(&p, NACRE_FXP_WRITE, body, 40), NACRE_OK);
    status(&p, NACRE_FX_FAILURE);
    memset(body + 20, 0, 8);
    assert_int_equal(ask(&p, NACRE_FXP_WRITE, body, 60), NACRE_OK); /* bytes behind it */
    status(&p, NACRE_FX_OK);
    nc_put_u32(body + 28, 0);
    assert_int_equal(ask(&p, NACRE_FXP_WRITE, body, 32), NACRE_OK);
    status(&p, NACRE_FX_OK);
    assert_int_equal(p.backend.writes, 1);
    peer_close(&p);
}

static void unknown_types(void **state)
{
    (void)state;
    for (unsigned type = 0; type < 256; type++) {
        bool known = (type >= NACRE_FXP_INIT && type <= NACRE_FXP_SYMLINK && type != 2) ||
                     type == NACRE_FXP_EXTENDED;
        peer p;
        if (known) {
            continue;
        }
        peer_open(&p, NULL);
        assert_int_equal(ask(&p, (uint8_t)type, "x", 1), NACRE_OK);
        status(&p, NACRE_FX_OP_UNSUPPORTED);
        peer_close(&p);
    }
}

/* A client that asks and does not read: requests wait, no window goes back, then the backlog is full. */
static void deaf_client(void **state)
{
    (void)state;
    for (int lend = 0; lend < 2; lend++) {
        peer p;
        nacre_sftp_server_options o;
        uint8_t rq[64];
        nacre_sftp_server_options_init(&o);
        o.max_backlog = 10000;
        peer_new(&p, &o, lend);
        assert_int_equal(say(&p, "\0\0\0\5\1\0\0\0\3", 9), NACRE_OK);
        uint8_t body[32] = {0};
        open_f(&p, NACRE_FXF_READ, body);
        nc_put_u32(body + 28, 100);
        size_t n = packet(rq, NACRE_FXP_READ, body, 32);
        p.pipe.down.credit = 50;
        p.pipe.up.credit = 0;
        int rc = NACRE_OK;
        size_t asked = 0;
        while (rc == NACRE_OK && asked < 100000) {
            rc = nacre_sftp_server_input(p.s, nc_span(rq, n));
            asked++;
        }
        assert_int_equal(rc, NACRE_LIMIT);
        assert_true(asked < 1000);
        assert_true(p.pipe.up.credit < asked * n / 2 + 300);
        peer_close(&p);
    }
}

/* docs/limits.md, "One SFTP session": what a client can make a session hold, whatever it does. */
static void memory_of_a_session(void **state)
{
    enum { KIB = 1024, HANDLES = 1024, A_HANDLE = 64, BACKLOG = 512 * KIB };
    peer p;
    counted m;
    uint8_t h[20], rq[64], body[32] = {0};
    nacre_sftp_server_options o;
    (void)state;
    counted_init(&m);
    nacre_allocator a = counted_hook(&m);
    nacre_sftp_server_options_init(&o);
    o.allocator = &a;
    o.max_backlog = BACKLOG;
    peer_open(&p, &o);
    assert_true(m.peak <= 16 * KIB);
    /* All handles that there are, and some that there are not. */
    for (int i = 0; i < HANDLES; i++) {
        open_f(&p, NACRE_FXF_READ, h);
    }
    uint8_t open[] = {0, 0, 0, 2, '/', 'f', 0, 0, 0, NACRE_FXF_READ, 0, 0, 0, 0};
    for (int i = 0; i < 100; i++) {
        assert_int_equal(ask(&p, NACRE_FXP_OPEN, open, sizeof(open)), NACRE_OK);
        status(&p, NACRE_FX_FAILURE);
    }
    assert_true(m.live <= (size_t)HANDLES * A_HANDLE + 16 * KIB);
    /* The longest reads, and their data is not taken: a queue that doubles holds old and new for a moment. */
    size_t handles = m.live;
    counted_peak_here(&m);
    memcpy(body, h, 20);
    nc_put_u32(body + 28, 255 * KIB);
    size_t n = packet(rq, NACRE_FXP_READ, body, 32);
    p.pipe.down.credit = p.pipe.up.credit = 0;
    int rc = NACRE_OK;
    for (size_t sent = 0; rc == NACRE_OK && sent < 2 * (size_t)BACKLOG; sent += n) {
        rc = nacre_sftp_server_input(p.s, nc_span(rq, n));
    }
    assert_int_equal(rc, NACRE_LIMIT);
    assert_true(m.peak - handles > BACKLOG / 2); /* so it is kept */
    assert_true(m.peak - handles <= 2 * (size_t)BACKLOG + (64 + 256) * (size_t)KIB);
    peer_close(&p);
    assert_int_equal(m.live, 0);
}

static void waits_and_goes_on(void **state)
{
    peer p;
    uint8_t rq[64];
    uint8_t body[32] = {0};
    (void)state;
    peer_open(&p, NULL);
    open_f(&p, NACRE_FXF_READ, body);
    nc_put_u32(body + 28, 100);
    size_t n = packet(rq, NACRE_FXP_READ, body, 32);
    p.pipe.down.credit = 0;
    for (int i = 0; i < 100; i++) {
        assert_int_equal(nacre_sftp_server_input(p.s, nc_span(rq, n)), NACRE_OK);
    }
    assert_false(nacre_sftp_server_wants_input(p.s));
    assert_true(nacre_sftp_server_wants_write(p.s));
    assert_false(nacre_sftp_server_idle(p.s));
    p.pipe.down.credit = 1 << 20;
    assert_int_equal(nacre_sftp_server_flush(p.s), NACRE_OK);
    assert_int_equal(mem_way_take(&p.pipe.down, p.got, sizeof(p.got)), 100 * 16);
    for (int i = 0; i < 100; i++) {
        assert_memory_equal(p.got + 16 * i, "\0\0\0\x0C\x67\1\2\3\4\0\0\0\3abc", 16);
    }
    assert_true(nacre_sftp_server_idle(p.s));
    peer_close(&p);
}

/* The client goes while more replies wait than any further request may add to. */
static void gone_while_replies_wait(void **state)
{
    static uint8_t file[70000];
    peer p;
    uint8_t rq[64], body[32] = {0};
    (void)state;
    peer_open(&p, NULL);
    mem_backend_set(mem_backend_find(&p.backend, "/f"), file, sizeof(file));
    open_f(&p, NACRE_FXF_READ, body);
    nc_put_u32(body + 28, sizeof(file));
    p.pipe.down.credit = 0;
    assert_int_equal(
        nacre_sftp_server_input(p.s, nc_span(rq, packet(rq, NACRE_FXP_READ, body, 32))), NACRE_OK);
    assert_true(nacre_sftp_server_wants_write(p.s));
    p.pipe.server.fail_at = 1;
    assert_int_equal(
        nacre_sftp_server_input(p.s, nc_span(rq, packet(rq, NACRE_FXP_REMOVE, "\0\0\0\2/f", 6))),
        NACRE_CLOSED);
    const nacre_error *why = nacre_sftp_server_error(p.s);
    assert_non_null(strstr(why->text, "replies could not be sent"));
    assert_int_equal(why->by, NACRE_BY_US);
    assert_non_null(mem_backend_find(&p.backend, "/f")); /* nothing more is done for it */
    assert_int_equal(nacre_sftp_server_flush(p.s), NACRE_CLOSED);
    assert_false(nacre_sftp_server_wants_write(p.s));
    peer_close(&p);
    assert_int_equal(p.backend.open_now, 0);
}

static void tickets(void **state)
{
    peer p;
    nacre_sftp_attrs a = {0};
    (void)state;
    peer_open(&p, NULL);
    p.backend.later = true;
    assert_int_equal(ask(&p, NACRE_FXP_STAT, "\0\0\0\2/f", 6), NACRE_OK);
    assert_int_equal(p.len, 0);
    /* The next one waits its turn. */
    assert_int_equal(ask(&p, NACRE_FXP_LSTAT, "\0\0\0\2/f", 6), NACRE_OK);
    assert_int_equal(p.len, 0);
    uint32_t t = p.backend.late[0].ticket;
    assert_int_equal(nacre_sftp_reply_attrs(p.s, t + 1, &a), NACRE_NOT_FOUND);
    assert_int_equal(nacre_sftp_reply_attrs(p.s, 0, &a), NACRE_NOT_FOUND);
    assert_int_equal(nacre_sftp_reply_attrs(p.s, 0xFFFFFFFF, &a), NACRE_NOT_FOUND);
    assert_int_equal(nacre_sftp_reply_handle(p.s, t, &p), NACRE_INVALID_ARGUMENT);
    assert_int_equal(nacre_sftp_reply_data(p.s, t, nc_span("x", 1)), NACRE_INVALID_ARGUMENT);
    assert_int_equal(nacre_sftp_reply_status(p.s, t, NACRE_FX_OK, NULL), NACRE_INVALID_ARGUMENT);
    assert_int_equal(nacre_sftp_reply_status(p.s, t, NACRE_FX_NO_SUCH_FILE, "gone"), NACRE_OK);
    assert_int_equal(nacre_sftp_reply_attrs(p.s, t, &a), NACRE_NOT_FOUND);
    p.backend.late_count = 0;
    assert_int_equal(nacre_sftp_server_flush(p.s), NACRE_OK);
    p.len = mem_way_take(&p.pipe.down, p.got, sizeof(p.got));
    assert_int_equal(p.got[4], NACRE_FXP_STATUS);
    assert_int_equal(p.got[4 + nc_get_u32(p.got) + 4], NACRE_FXP_ATTRS);
    /* A session that ends with a question open. */
    assert_int_equal(ask(&p, NACRE_FXP_STAT, "\0\0\0\2/f", 6), NACRE_OK);
    peer_close(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(frames),
        cmocka_unit_test(cut_requests),
        cmocka_unit_test(absurd_strings),
        cmocka_unit_test(paths),
        cmocka_unit_test(handles),
        cmocka_unit_test(handle_flood),
        cmocka_unit_test(write_lengths),
        cmocka_unit_test(unknown_types),
        cmocka_unit_test(deaf_client),
        cmocka_unit_test(memory_of_a_session),
        cmocka_unit_test(waits_and_goes_on),
        cmocka_unit_test(gone_while_replies_wait),
        cmocka_unit_test(tickets),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
