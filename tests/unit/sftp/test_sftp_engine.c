/*
 * The SFTP client machine against servers that lie, and against failing memory.
 */
#include "mem_pipe.h"
#include "nacre/sftp_engine.h"
#include "sftp/engine.h"
#include "sftp_loop.h"
#include "wire/wr.h"

#include "base/mem.h"
#include "support/memory.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

typedef struct peer {
    mem_pipe pipe;
    nacre_sftp_engine *e;
    nacre_sftp_event ev;
    uint8_t sent[1 << 16];
} peer;

static void peer_new(peer *p)
{
    memset(p, 0, sizeof(*p));
    mem_pipe_init(&p->pipe, 1 << 20, 32768, true);
    assert_int_equal(nacre_sftp_engine_new(&p->e, NULL, &p->pipe.client_pipe), NACRE_OK);
    assert_int_equal(nacre_sftp_engine_start(p->e), NACRE_OK);
    assert_int_equal(nacre_sftp_engine_flush(p->e), NACRE_OK);
    assert_int_equal(mem_way_take(&p->pipe.up, p->sent, sizeof(p->sent)), 9);
    assert_memory_equal(p->sent, "\0\0\0\5\1\0\0\0\3", 9);
}

/* The next event that bytes lead to, or the error; NACRE_AGAIN: neither. */
static int say(peer *p, const void *bytes, size_t n)
{
    nacre_span in = nc_span(bytes, n);
    int rc = NACRE_AGAIN;
    while (in.n > 0 && rc == NACRE_AGAIN) {
        size_t used;
        rc = nacre_sftp_engine_input(p->e, in, &used, &p->ev);
        in.p += used;
        in.n -= used;
    }
    while (in.n > 0 && rc == NACRE_OK) { /* what follows the event makes no other */
        size_t used;
        nacre_sftp_event none;
        assert_int_equal(nacre_sftp_engine_input(p->e, in, &used, &none), NACRE_AGAIN);
        in.p += used;
        in.n -= used;
    }
    return rc;
}

static const char version[] = "\0\0\0\0\2\0\0\0\3"
                              "\0\0\0\x11"
                              "fsync@openssh.com"
                              "\0\0\0\1"
                              "1"
                              "\0\0\0\x13"
                              "statvfs@openssh.com"
                              "\0\0\0\1"
                              "2"
                              "\0\0\0\x12"
                              "limits@openssh.com"
                              "\0\0\0\1"
                              "1"
                              "\0\0\0\x11"
                              "check-file-handle"
                              "\0\0\0\0";

static void peer_open(peer *p)
{
    uint8_t bytes[sizeof(version) - 1];
    memcpy(bytes, version, sizeof(bytes));
    nc_put_u32(bytes, sizeof(bytes) - 4);
    peer_new(p);
    assert_int_equal(say(p, bytes, sizeof(bytes)), NACRE_OK);
    assert_int_equal(p->ev.type, NACRE_SFTP_EVENT_VERSION);
}

static void peer_close(peer *p)
{
    nacre_sftp_engine_free(p->e);
    mem_pipe_clear(&p->pipe);
}

static void fatal(peer *p, int rc, const char *part)
{
    size_t used;
    assert_int_equal(rc, NACRE_SFTP_PROTOCOL);
    const nacre_error *error = nacre_sftp_engine_error(p->e);
    assert_int_equal(error->status, NACRE_SFTP_PROTOCOL);
    assert_int_equal(error->by, NACRE_BY_PEER);
    if (!strstr(error->text, part)) {
        fail_msg("\"%s\" lacks \"%s\"", error->text, part);
    }
    /* Sticky: nothing works any more. */
    uint32_t id;
    assert_int_equal(nacre_sftp_engine_input(p->e, nc_span("\0", 1), &used, &p->ev),
                     NACRE_SFTP_PROTOCOL);
    assert_int_equal(nacre_sftp_req_stat(p->e, SPAN("/"), &id), NACRE_WRONG_STATE);
    assert_int_equal(nacre_sftp_engine_flush(p->e), NACRE_SFTP_PROTOCOL);
}

/* A reply packet: type, id, body. */
static size_t packet(uint8_t *out, uint8_t type, uint32_t id, const void *body, size_t n)
{
    nc_put_u32(out, (uint32_t)(5 + n));
    out[4] = type;
    nc_put_u32(out + 5, id);
    if (n) {
        memcpy(out + 9, body, n);
    }
    return 9 + n;
}

static int reply(peer *p, uint8_t type, uint32_t id, const void *body, size_t n)
{
    static uint8_t out[300000];
    return say(p, out, packet(out, type, id, body, n));
}

static void noise(void **state)
{
    static const struct {
        const char *text;
        const char *part;
    } rows[] = {
        {"Welcome to host\r\nmore", "'Welcome to host' (does a login script"},
        {"\r\n\r\nbash: x\n", "'bash: x'"},
        {"\x1b[1mHi\n", "'\\033[1mHi'"},
        {"\xFF\xFE\x01", "is not SFTP"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        for (int bytewise = 0; bytewise < 2; bytewise++) {
            peer p;
            peer_new(&p);
            int rc = NACRE_AGAIN;
            size_t n = strlen(rows[i].text);
            for (size_t k = 0; bytewise && k < n && rc == NACRE_AGAIN; k++) {
                rc = say(&p, rows[i].text + k, 1);
            }
            fatal(&p, bytewise ? rc : say(&p, rows[i].text, n), rows[i].part);
            peer_close(&p);
        }
    }
    peer p;
    peer_new(&p);
    assert_int_equal(say(&p, "This account is", 15), NACRE_AGAIN);
    assert_int_equal(nacre_sftp_engine_end(p.e), NACRE_CLOSED);
    assert_non_null(strstr(nacre_sftp_engine_error(p.e)->text, "'This account is'"));
    peer_close(&p);
    uint8_t endless[1000];
    memset(endless, 'x', sizeof(endless));
    peer_new(&p);
    fatal(&p, say(&p, endless, sizeof(endless)), "xxxx");
    peer_close(&p);
}

static void bad_version(void **state)
{
    static const struct {
        const char *bytes;
        size_t n;
        const char *part;
    } rows[] = {
        {"\0\0\0\5\2\0\0\0\6", 9, "version 6"},
        {"\0\0\0\5\2\0\0\0\2", 9, "version 2"},
        {"\0\0\0\5\x65\0\0\0\3", 9, "not SFTP"},
        {"\0\0\0\4\2\0\0\0", 8, "packet of 4 bytes"},
        {"\0\0\0\0", 4, "packet of 0 bytes"},
        {"\0\0\0\4", 4, "packet of 4 bytes"},
        {"\0\xFF\xFF\xFF", 4, "packet of 16777215 bytes"},
        {"\0\0\0\6\2\0\0\0\3x", 10, "extensions in VERSION"},
        {"\0\0\0\x0D\2\0\0\0\3\0\0\0\1x\0\0\0", 17, "extensions in VERSION"},
        {"\0\0\0\x0D\2\0\0\0\3\xFF\xFF\xFF\xFFxxxx", 17, "extensions in VERSION"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        peer p;
        peer_new(&p);
        fatal(&p, say(&p, rows[i].bytes, rows[i].n), rows[i].part);
        peer_close(&p);
    }
}

static void absurd_lengths(void **state)
{
    static const uint32_t lengths[] = {0, 1, 4, 263169, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF};
    (void)state;
    for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
        peer p;
        uint8_t b[4];
        peer_open(&p);
        nc_put_u32(b, lengths[i]);
        fatal(&p, say(&p, b, 4), "announced a packet");
        peer_close(&p);
    }
}

typedef int (*begin_fn)(nacre_sftp_engine *e, uint32_t *id);

static int begin_open(nacre_sftp_engine *e, uint32_t *id)
{
    return nacre_sftp_req_open(e, SPAN("/x"), NACRE_FXF_READ, NULL, id);
}
static int begin_read(nacre_sftp_engine *e, uint32_t *id)
{
    return nacre_sftp_req_read(e, SPAN("h"), 5, 10, NULL, id);
}
static int begin_stat(nacre_sftp_engine *e, uint32_t *id)
{
    return nacre_sftp_req_stat(e, SPAN("/x"), id);
}
static int begin_remove(nacre_sftp_engine *e, uint32_t *id)
{
    return nacre_sftp_req_remove(e, SPAN("/x"), id);
}
static int begin_readdir(nacre_sftp_engine *e, uint32_t *id)
{
    return nacre_sftp_req_readdir(e, SPAN("h"), id);
}
static int begin_realpath(nacre_sftp_engine *e, uint32_t *id)
{
    return nacre_sftp_req_realpath(e, SPAN("x"), id);
}
static int begin_extended(nacre_sftp_engine *e, uint32_t *id)
{
    return nacre_sftp_req_extended(e, "x@y", SPAN("z"), id);
}
static int begin_statvfs(nacre_sftp_engine *e, uint32_t *id)
{
    return nacre_sftp_req_statvfs(e, SPAN("/"), id);
}
static int begin_limits(nacre_sftp_engine *e, uint32_t *id)
{
    return nacre_sftp_req_limits(e, id);
}
static int begin_check(nacre_sftp_engine *e, uint32_t *id)
{
    nacre_sftp_check check = {.algorithms = "md5,crc32"};
    return nacre_sftp_req_check_file_handle(e, SPAN("h"), &check, id);
}

#define BODY(s)  (s), sizeof(s) - 1
#define ZEROS_31 "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"
#define ZEROS_87 ZEROS_31 "\0" ZEROS_31 "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"

/* request, reply type, body: what is fatal, and by which words it is told. */
static const struct {
    begin_fn begin;
    uint8_t type;
    const char *body;
    size_t n;
    const char *part; /* NULL: good */
} replies[] = {
    {begin_open, NACRE_FXP_HANDLE, BODY("\0\0\0\1h"), NULL},
    {begin_open, NACRE_FXP_HANDLE, BODY("\0\0\0\0"), "handle must have"},
    {begin_open, NACRE_FXP_HANDLE, BODY("\0\0\1\1hhhh"), "handle must have"},
    {begin_open, NACRE_FXP_HANDLE, BODY("\0\0\0\5h"), "handle must have"},
    {begin_open, NACRE_FXP_HANDLE, BODY("\xFF\xFF\xFF\xFFh"), "handle must have"},
    {begin_open, NACRE_FXP_HANDLE, BODY(""), "handle must have"},
    {begin_open, NACRE_FXP_STATUS, BODY("\0\0\0\2"), NULL},
    {begin_open, NACRE_FXP_STATUS, BODY("\0\0\0\2\0\0\0\1x\0\0\0\0"), NULL},
    {begin_open, NACRE_FXP_STATUS, BODY("\0\0\0"), "too short"},
    {begin_open, NACRE_FXP_STATUS, BODY("\0\0\0\2\0\0\0\2x"), "cut off"},
    {begin_open, NACRE_FXP_STATUS, BODY("\0\0\0\0\0\0\0\0\0\0\0\0"), "success and nothing"},
    {begin_open, NACRE_FXP_DATA, BODY("\0\0\0\1h"), "reply of type 103"},
    {begin_open, NACRE_FXP_ATTRS, BODY("\0\0\0\0"), "reply of type 105"},
    {begin_open, 77, BODY("\0\0\0\0"), "type 77, which is no reply"},
    {begin_open, NACRE_FXP_VERSION, BODY("\0\0\0\0"), "type 2, which is no reply"},
    {begin_open, NACRE_FXP_OPEN, BODY("\0\0\0\0"), "type 3, which is no reply"},
    {begin_read, NACRE_FXP_DATA, BODY("\0\0\0\2ab"), NULL},
    {begin_read, NACRE_FXP_DATA, BODY("\0\0\0\2ab\1"), NULL},
    {begin_read, NACRE_FXP_DATA, BODY("\0\0\0\0"), NULL},
    {begin_read, NACRE_FXP_DATA,
     BODY("\0\0\0\x0B"
          "abcdefghijk"),
     "11 bytes of data where 10"},
    {begin_read, NACRE_FXP_DATA, BODY("\0\0\0\5ab"), "lengths in a DATA"},
    {begin_read, NACRE_FXP_DATA, BODY("\0\0\0"), "DATA is too short"},
    {begin_read, NACRE_FXP_DATA, BODY("\xFF\xFF\xFF\xFF"), "bytes of data where 10"},
    {begin_read, NACRE_FXP_DATA, BODY("\x80\0\0\0"), "bytes of data where 10"},
    {begin_read, NACRE_FXP_HANDLE, BODY("\0\0\0\1h"), "reply of type 102"},
    {begin_read, NACRE_FXP_STATUS, BODY("\0\0\0\0"), "success and nothing"},
    {begin_stat, NACRE_FXP_ATTRS, BODY("\0\0\0\0"), NULL},
    {begin_stat, NACRE_FXP_ATTRS, BODY("\0\0\0\1\0\0\0\0\0\0\0"), "ATTRS is cut off"},
    {begin_stat, NACRE_FXP_ATTRS, BODY("\0\0\0\2\0\0\0\0\0\0\0"), "ATTRS is cut off"},
    {begin_stat, NACRE_FXP_ATTRS, BODY("\0\0\0\4"), "ATTRS is cut off"},
    {begin_stat, NACRE_FXP_ATTRS, BODY("\0\0\0\x08\0\0\0\0"), "ATTRS is cut off"},
    {begin_stat, NACRE_FXP_ATTRS, BODY("\x80\0\0\0"), "ATTRS is cut off"},
    {begin_stat, NACRE_FXP_ATTRS, BODY("\x80\0\0\0\xFF\xFF\xFF\xFF"), "ATTRS is cut off"},
    {begin_stat, NACRE_FXP_ATTRS, BODY("\x80\0\0\0\0\0\0\1\0\0\0\1a\0\0\0\1"), "ATTRS is cut off"},
    {begin_stat, NACRE_FXP_ATTRS, BODY("\x80\0\0\0\0\0\0\1\0\0\0\1a\0\0\0\1b"), NULL},
    {begin_stat, NACRE_FXP_NAME, BODY("\0\0\0\0"), "reply of type 104"},
    {begin_remove, NACRE_FXP_STATUS, BODY("\0\0\0\0"), NULL},
    {begin_remove, NACRE_FXP_EXTENDED_REPLY, BODY("\0\0\0\0"), "reply of type 201"},
    {begin_readdir, NACRE_FXP_NAME, BODY("\0\0\0\0"), NULL},
    {begin_readdir, NACRE_FXP_NAME, BODY("\0\0\0\1\0\0\0\1a\0\0\0\1b\0\0\0\0"), NULL},
    {begin_readdir, NACRE_FXP_NAME, BODY("\0\0\0\2\0\0\0\1a\0\0\0\1b\0\0\0\0"), "as many entries"},
    {begin_readdir, NACRE_FXP_NAME, BODY("\0\0\0\0\0\0\0\1a\0\0\0\1b\0\0\0\0"), "as many entries"},
    {begin_readdir, NACRE_FXP_NAME, BODY("\xFF\xFF\xFF\xFF\0\0\0\1a\0\0\0\1b\0\0\0\0"),
     "as many entries"},
    {begin_readdir, NACRE_FXP_NAME, BODY("\x80\0\0\0"), "as many entries"},
    {begin_readdir, NACRE_FXP_NAME, BODY("\0\0"), "as many entries"},
    {begin_realpath, NACRE_FXP_NAME, BODY("\0\0\0\0"), "one name"},
    {begin_realpath, NACRE_FXP_NAME,
     BODY("\0\0\0\2\0\0\0\1a\0\0\0\1b\0\0\0\0\0\0\0\1a\0\0\0\1b\0\0\0\0"), "one name"},
    {begin_statvfs, NACRE_FXP_EXTENDED_REPLY, BODY(ZEROS_87 "\0"), NULL},
    {begin_statvfs, NACRE_FXP_EXTENDED_REPLY, BODY(ZEROS_87), "statvfs is cut off"},
    {begin_statvfs, NACRE_FXP_EXTENDED_REPLY, BODY(""), "statvfs is cut off"},
    {begin_statvfs, NACRE_FXP_ATTRS, BODY("\0\0\0\0"), "reply of type 105"},
    {begin_limits, NACRE_FXP_EXTENDED_REPLY, BODY(ZEROS_31 "\0"), NULL},
    {begin_limits, NACRE_FXP_EXTENDED_REPLY, BODY(ZEROS_31), "limits@openssh.com is cut off"},
    {begin_limits, NACRE_FXP_EXTENDED_REPLY, BODY(""), "limits@openssh.com is cut off"},
    {begin_check, NACRE_FXP_EXTENDED_REPLY,
     BODY("\0\0\0\3md5"
          "0123456789abcdef"),
     NULL},
    {begin_check, NACRE_FXP_EXTENDED_REPLY,
     BODY("\0\0\0\x0a"
          "check-file"
          "\0\0\0\3md5"),
     NULL},
    {begin_check, NACRE_FXP_EXTENDED_REPLY,
     BODY("\0\0\0\x0a"
          "check-file"
          "\0\0\0\4md5"),
     "check-file is cut off"},
    {begin_check, NACRE_FXP_EXTENDED_REPLY, BODY("\0\0\0\4md5"), "check-file is cut off"},
    {begin_check, NACRE_FXP_EXTENDED_REPLY, BODY("\xff\xff\xff\xff"), "check-file is cut off"},
    {begin_check, NACRE_FXP_EXTENDED_REPLY, BODY("\0\0\0"), "check-file is cut off"},
    {begin_extended, NACRE_FXP_EXTENDED_REPLY, BODY("anything"), NULL},
    {begin_extended, NACRE_FXP_STATUS, BODY("\0\0\0\0"), NULL},
    {begin_extended, NACRE_FXP_HANDLE, BODY("\0\0\0\1h"), "reply of type 102"},
};
enum { REPLIES = sizeof(replies) / sizeof(replies[0]) };

static void lying_replies(void **state)
{
    (void)state;
    for (size_t i = 0; i < REPLIES; i++) {
        peer p;
        uint32_t id;
        peer_open(&p);
        assert_int_equal(replies[i].begin(p.e, &id), NACRE_OK);
        int rc = reply(&p, replies[i].type, id, replies[i].body, replies[i].n);
        if (replies[i].part) {
            fatal(&p, rc, replies[i].part);
        } else {
            assert_int_equal(rc, NACRE_OK);
            assert_true(p.ev.done);
            assert_int_equal(p.ev.id, id);
            /* The same once more: nobody asked. */
            fatal(&p, reply(&p, replies[i].type, id, replies[i].body, replies[i].n), "not waiting");
        }
        peer_close(&p);
    }
}

/* Each good reply, cut at every offset: never an event too early, and the end tells of the cut. */
static void cut_replies(void **state)
{
    (void)state;
    for (size_t i = 0; i < REPLIES; i++) {
        uint8_t out[300];
        for (size_t cut = 0; !replies[i].part && cut < 9 + replies[i].n; cut++) {
            peer p;
            uint32_t id;
            peer_open(&p);
            assert_int_equal(replies[i].begin(p.e, &id), NACRE_OK);
            size_t n = packet(out, replies[i].type, id, replies[i].body, replies[i].n);
            int rc = say(&p, out, cut);
            bool data = replies[i].type == NACRE_FXP_DATA && cut >= 13;
            assert_true(rc == NACRE_AGAIN || data);
            assert_true(cut <= n);
            if (rc == NACRE_AGAIN) {
                assert_int_equal(nacre_sftp_engine_end(p.e), NACRE_CLOSED);
            }
            peer_close(&p);
        }
    }
}

static void extensions(void **state)
{
    static const char *const names[] = {"fsync@openssh.com", "statvfs@openssh.com",
                                        "limits@openssh.com", "check-file-handle"};
    peer p;
    nacre_span name, data;
    (void)state;
    peer_open(&p);
    for (size_t i = 0; i < 4; i++) {
        assert_true(nacre_sftp_engine_extension_at(p.e, i, &name, &data));
        assert_true(nc_span_is(name, names[i]));
        assert_true(nacre_sftp_engine_extension(p.e, names[i], &data));
    }
    assert_int_equal(data.n, 0);
    assert_false(nacre_sftp_engine_extension_at(p.e, 4, &name, &data));
    assert_false(nacre_sftp_engine_extension_at(p.e, SIZE_MAX, &name, &data));
    assert_false(nacre_sftp_engine_extension(p.e, "fsync", &data));
    peer_close(&p);
}

/* The table of requests grows while the data of one of them is still coming. */
static void requests_amid_data(void **state)
{
    static const char head[] = "\0\0\0\x13\x67";
    uint8_t out[23];
    peer p;
    uint32_t id, other;
    (void)state;
    peer_open(&p);
    assert_int_equal(nacre_sftp_req_read(p.e, SPAN("h"), 0, 10, NULL, &id), NACRE_OK);
    memcpy(out, head, 5);
    nc_put_u32(out + 5, id);
    nc_put_u32(out + 9, 10);
    memcpy(out + 13, "0123456789", 10);
    assert_int_equal(say(&p, out, 15), NACRE_OK);
    assert_int_equal(p.ev.type, NACRE_SFTP_EVENT_DATA);
    assert_false(p.ev.done);
    for (int i = 0; i < 500; i++) {
        assert_int_equal(nacre_sftp_req_stat(p.e, SPAN("/"), &other), NACRE_OK);
    }
    assert_int_equal(say(&p, out + 15, 8), NACRE_OK);
    assert_int_equal(p.ev.id, id);
    assert_true(p.ev.done);
    assert_memory_equal(p.ev.u.data.bytes.p, "23456789", 8);
    assert_int_equal(nacre_sftp_engine_outstanding(p.e), 500);
    peer_close(&p);
}

static void unknown_ids(void **state)
{
    static const uint32_t ids[] = {0, 1, 2, 0x1000, 0x80000000, 0xFFFFFFFF};
    (void)state;
    for (size_t i = 0; i < sizeof(ids) / sizeof(ids[0]); i++) {
        peer p;
        peer_open(&p);
        fatal(&p, reply(&p, NACRE_FXP_STATUS, ids[i], "\0\0\0\0", 4), "not waiting");
        peer_close(&p);
    }
}

static void out_of_order(void **state)
{
    peer p;
    uint32_t id[4];
    int mark[4];
    (void)state;
    peer_open(&p);
    for (int i = 0; i < 4; i++) {
        assert_int_equal(nacre_sftp_req_read(p.e, SPAN("h"), (uint64_t)i * 10, 10, NULL, &id[i]),
                         NACRE_OK);
        assert_int_equal(nacre_sftp_engine_set_user(p.e, id[i], &mark[i]), NACRE_OK);
    }
    assert_int_equal(nacre_sftp_engine_forget(p.e, id[1]), NACRE_OK);
    for (int i = 3; i >= 0; i--) {
        int rc = reply(&p, NACRE_FXP_DATA, id[i], "\0\0\0\2ab", 6);
        assert_int_equal(rc, i == 1 ? NACRE_AGAIN : NACRE_OK);
        if (rc == NACRE_OK) {
            assert_ptr_equal(p.ev.user, &mark[i]);
            assert_true(p.ev.u.data.position == (uint64_t)i * 10);
            assert_true(p.ev.u.data.last);
        }
    }
    assert_int_equal(nacre_sftp_engine_outstanding(p.e), 0);
    peer_close(&p);
}

static void ids_and_caps(void **state)
{
    peer p;
    uint32_t id;
    uint32_t first = 0;
    size_t n = 0;
    int rc;
    (void)state;
    peer_open(&p);
    while ((rc = nacre_sftp_req_fsync(p.e, SPAN("h"), &id)) == NACRE_OK) {
        first = first ? first : id;
        n++;
        (void)mem_way_take(&p.pipe.up, p.sent, sizeof(p.sent));
        assert_int_equal(nacre_sftp_engine_flush(p.e), NACRE_OK);
    }
    assert_int_equal(rc, NACRE_AGAIN);
    assert_int_equal(n, NACRE_SFTP_MAX_REQUESTS);
    assert_int_equal(reply(&p, NACRE_FXP_STATUS, first, "\0\0\0\0", 4), NACRE_OK);
    assert_int_equal(nacre_sftp_req_fsync(p.e, SPAN("h"), &id), NACRE_OK);
    assert_int_not_equal(id, first); /* the old number finds nobody */
    fatal(&p, reply(&p, NACRE_FXP_STATUS, first, "\0\0\0\0", 4), "not waiting");
    peer_close(&p);
    /* A pipe that takes nothing: the queue is bounded. */
    peer_open(&p);
    p.pipe.up.credit = 0;
    static char path[60000];
    memset(path, 'p', sizeof(path));
    for (n = 0; nacre_sftp_req_stat(p.e, nc_span(path, sizeof(path)), &id) == NACRE_OK; n++) {
    }
    assert_int_equal(n, 4);
    assert_true(nacre_sftp_engine_wants_write(p.e));
    peer_close(&p);
}

/* To a server that is known to take it: what is asked with INIT is answered behind VERSION. */
static void early_requests(void **state)
{
    static const char plain[] = "\0\0\0\5\2\0\0\0\3";
    uint8_t refusal[] = {0, 0, 0, 17, 101, 0, 0, 0, 0, 0, 0, 0, 8, 0, 0, 0, 0, 0, 0, 0, 0};
    peer p;
    uint32_t id, other;
    (void)state;
    peer_new(&p);
    nc_engine_be_eager(p.e);
    assert_int_equal(nacre_sftp_req_limits(p.e, &id), NACRE_OK);
    assert_int_equal(nacre_sftp_req_realpath(p.e, SPAN("."), &other), NACRE_OK);
    assert_int_equal(nacre_sftp_req_fsync(p.e, SPAN("h"), &other), NACRE_UNSUPPORTED);
    assert_int_equal(nacre_sftp_engine_flush(p.e), NACRE_OK);
    assert_int_equal(mem_way_take(&p.pipe.up, p.sent, sizeof(p.sent)), 13 + 18 + 14);
    assert_false(nacre_sftp_engine_ready(p.e));
    assert_int_equal(say(&p, plain, sizeof(plain) - 1), NACRE_OK);
    assert_int_equal(p.ev.type, NACRE_SFTP_EVENT_VERSION);
    refusal[5] = (uint8_t)(id >> 24);
    refusal[6] = (uint8_t)(id >> 16);
    refusal[7] = (uint8_t)(id >> 8);
    refusal[8] = (uint8_t)id;
    assert_int_equal(say(&p, refusal, sizeof(refusal)), NACRE_OK);
    assert_int_equal(p.ev.u.status.code, NACRE_FX_OP_UNSUPPORTED);
    assert_int_equal(nacre_sftp_engine_outstanding(p.e), 1);
    assert_int_equal(nacre_sftp_req_limits(p.e, &id), NACRE_UNSUPPORTED);
    peer_close(&p);
    /* An answer that comes before VERSION stays what it was. */
    peer_new(&p);
    nc_engine_be_eager(p.e);
    assert_int_equal(nacre_sftp_req_limits(p.e, &id), NACRE_OK);
    fatal(&p, say(&p, refusal, sizeof(refusal)), "not SFTP");
    peer_close(&p);
}

/* A number of a request comes again after a million others, and 0 is nobody's: a lying server could use it. */
static void numbers_come_round(void **state)
{
    enum { LAST = 0xFFFFF };
    peer p;
    uint32_t id, seen = 0;
    (void)state;
    peer_open(&p);
    assert_int_equal(nacre_sftp_req_stat(p.e, SPAN("/"), &id), NACRE_OK);
    assert_int_equal(reply(&p, NACRE_FXP_ATTRS, id, "\0\0\0\0", 4), NACRE_OK);
    for (size_t i = 0; i < p.e->slot_count; i++) {
        p.e->slots[i].generation = LAST;
    }
    for (size_t i = 0; i < p.e->slot_count; i++) {
        assert_int_equal(nacre_sftp_req_stat(p.e, SPAN("/"), &id), NACRE_OK);
        assert_int_equal(id >> NC_SFTP_SLOT_BITS, 1);
        seen += id & ((1u << NC_SFTP_SLOT_BITS) - 1);
        assert_int_equal(reply(&p, NACRE_FXP_ATTRS, id, "\0\0\0\0", 4), NACRE_OK);
        assert_int_equal(p.ev.id, id);
    }
    assert_int_equal(seen, p.e->slot_count * (p.e->slot_count - 1) / 2); /* each slot once */
    fatal(&p, reply(&p, NACRE_FXP_ATTRS, 0, "\0\0\0\0", 4), "not waiting");
    peer_close(&p);
}

static void bad_arguments(void **state)
{
    peer p;
    uint32_t id;
    static uint8_t big[300000];
    nacre_sftp_attrs a = {.flags = NACRE_SFTP_ATTR_EXTENDED, .extended_count = 2};
    (void)state;
    peer_new(&p);
    assert_int_equal(nacre_sftp_req_stat(p.e, SPAN("/"), &id), NACRE_WRONG_STATE);
    nacre_sftp_check early = {.algorithms = "md5"};
    assert_int_equal(nacre_sftp_req_check_file_handle(p.e, SPAN("h"), &early, &id),
                     NACRE_WRONG_STATE);
    peer_close(&p);
    peer_open(&p);
    assert_int_equal(nacre_sftp_req_stat(p.e, nc_span("a\0b", 3), &id), NACRE_INVALID_ARGUMENT);
    memset(big, 'x', sizeof(big));
    assert_int_equal(nacre_sftp_req_stat(p.e, nc_span(big, 65537), &id), NACRE_TOO_LARGE);
    assert_int_equal(nacre_sftp_req_close(p.e, nc_span(big, 257), &id), NACRE_INVALID_ARGUMENT);
    assert_int_equal(nacre_sftp_req_close(p.e, SPAN(""), &id), NACRE_INVALID_ARGUMENT);
    assert_int_equal(nacre_sftp_req_read(p.e, SPAN("h"), 0, 0, NULL, &id), NACRE_INVALID_ARGUMENT);
    assert_int_equal(nacre_sftp_req_setstat(p.e, SPAN("/"), &a, &id), NACRE_INVALID_ARGUMENT);
    assert_int_equal(nacre_sftp_req_extended(p.e, "x", nc_span(big, sizeof(big)), &id),
                     NACRE_TOO_LARGE);
    assert_int_equal(nacre_sftp_req_extended(p.e, NULL, SPAN("z"), &id), NACRE_INVALID_ARGUMENT);
    assert_int_equal(nacre_sftp_req_extended(p.e, "", SPAN("z"), &id), NACRE_INVALID_ARGUMENT);
    assert_int_equal(nacre_sftp_req_fstatvfs(p.e, SPAN("h"), &id), NACRE_UNSUPPORTED);
    assert_int_equal(nacre_sftp_engine_set_user(p.e, 77, &id), NACRE_NOT_FOUND);
    assert_int_equal(nacre_sftp_engine_forget(p.e, 77), NACRE_NOT_FOUND);
    nacre_sftp_check check = {.algorithms = "md5", .block_size = 255};
    assert_int_equal(nacre_sftp_req_check_file(p.e, SPAN("h"), &check, &id),
                     NACRE_INVALID_ARGUMENT);
    check = (nacre_sftp_check){0};
    assert_int_equal(nacre_sftp_req_check_file(p.e, SPAN("h"), &check, &id),
                     NACRE_INVALID_ARGUMENT);
    assert_int_equal(nacre_sftp_commit_write(p.e, 1, &id), NACRE_WRONG_STATE);
    nacre_room room;
    size_t count = 1;
    size_t granted = 99;
    static const struct {
        size_t handle, want, count;
    } none[] = {{0, 9, 1}, {257, 9, 1}, {1, 0, 1}, {1, 9, 0}};
    for (size_t i = 0; i < sizeof(none) / sizeof(none[0]); i++) {
        count = none[i].count;
        assert_int_equal(nacre_sftp_reserve_write(p.e, nc_span(big, none[i].handle), 0,
                                                  none[i].want, &room, &count, &granted),
                         NACRE_INVALID_ARGUMENT);
        assert_int_equal(count + granted, 0);
    }
    count = 1;
    assert_int_equal(nacre_sftp_reserve_write(p.e, SPAN("h"), 0, 9, &room, &count, &granted),
                     NACRE_OK);
    assert_int_equal(granted, 9);
    assert_int_equal(nacre_sftp_req_stat(p.e, SPAN("/"), &id), NACRE_WRONG_STATE);
    assert_int_equal(nacre_sftp_commit_write(p.e, 10, &id), NACRE_INVALID_ARGUMENT);
    assert_int_equal(nacre_sftp_commit_write(p.e, 0, &id), NACRE_OK);
    assert_int_equal(id, 0);
    assert_int_equal(nacre_sftp_engine_outstanding(p.e), 0);
    assert_int_equal(p.pipe.up.len, 0);
    peer_close(&p);
}

/* ---- memory --------------------------------------------------------------------------------------- */

/* A session of several operations; false when memory failed in it. */
static bool short_session(const nacre_allocator *a)
{
    static loop l;
    loop_setup s = {CUT_RANDOM, 40000, 1000, true, a, NULL};
    uint32_t id = 0;
    size_t took;
    static uint8_t data[50000];
    bool good = loop_open(&l, s) == NACRE_OK;
    const loop_reply *r = &l.reply;
    int rc = good ? nacre_sftp_req_open(l.client, SPAN("/f"), NACRE_FXF_WRITE | NACRE_FXF_CREAT,
                                        NULL, &id)
                  : NACRE_NO_MEMORY;
    good = rc == NACRE_OK && loop_wait(&l, rc, id)->type == NACRE_SFTP_EVENT_HANDLE;
    uint8_t keep[256];
    memcpy(keep, r->handle, r->handle_len);
    nacre_span h = nc_span(keep, r->handle_len);
    rc = good ? nacre_sftp_req_write(l.client, h, 0, nc_span(data, sizeof(data)), &took, &id) : rc;
    good = good && rc == NACRE_OK && loop_wait(&l, rc, id)->type == NACRE_SFTP_EVENT_STATUS;
    rc = good ? nacre_sftp_req_opendir(l.client, SPAN("/"), &id) : rc;
    good = good && rc == NACRE_OK && loop_wait(&l, rc, id)->type == NACRE_SFTP_EVENT_HANDLE;
    memcpy(keep, r->handle, r->handle_len);
    rc = good ? nacre_sftp_req_readdir(l.client, nc_span(keep, h.n), &id) : rc;
    good = good && rc == NACRE_OK && loop_wait(&l, rc, id)->type == NACRE_SFTP_EVENT_NAMES;
    loop_close(&l);
    return good;
}

static void failing_memory(void **state)
{
    test_memory m;
    (void)state;
    for (test_memory_init(&m); test_memory_round(&m);) {
        test_memory_judge(&m, short_session(&m.hooks) ? NACRE_OK : NACRE_NO_MEMORY);
    }
    assert_true(m.refused > 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(noise),          cmocka_unit_test(bad_version),
        cmocka_unit_test(absurd_lengths), cmocka_unit_test(lying_replies),
        cmocka_unit_test(cut_replies),    cmocka_unit_test(unknown_ids),
        cmocka_unit_test(extensions),     cmocka_unit_test(requests_amid_data),
        cmocka_unit_test(out_of_order),   cmocka_unit_test(ids_and_caps),
        cmocka_unit_test(bad_arguments),  cmocka_unit_test(early_requests),
        cmocka_unit_test(failing_memory), cmocka_unit_test(numbers_come_round),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
