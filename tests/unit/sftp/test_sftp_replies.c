/*
 * Replies that are given later: each request takes the kind that answers it and no other, a reply that cannot be
 * made leaves the question open, and what an operation may not say is said to the client as a failure.
 */
#include "mem_pipe.h"
#include "nacre/sftp_server.h"
#include "support/memory.h"
#include "wire/wr.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

typedef struct world {
    mem_pipe pipe;
    nacre_sftp_server *s;
    uint32_t ticket; /* of the last question */
    int misdeed;     /* what an operation does instead of asking for time */
    unsigned closed;
    uint8_t got[400000];
    size_t len;
} world;

enum { NONE = 0, WRONG_KIND, TWICE, NO_NAME, BAD_ATTRS, NO_FILE };

static uint32_t later(nacre_sftp_call *call)
{
    ((world *)call->user)->ticket = call->ticket;
    return NACRE_SFTP_LATER;
}

/* ---- operations that all take their time, or do what they must not ------------------------------------------- */

static uint32_t op_open(nacre_sftp_call *call, nacre_span path, uint32_t pflags,
                        const nacre_sftp_attrs *a, void **file)
{
    (void)path;
    (void)pflags;
    (void)a;
    (void)file;
    return later(call);
}

static uint32_t op_opendir(nacre_sftp_call *call, nacre_span path, void **dir)
{
    (void)path;
    (void)dir;
    return later(call);
}

static uint32_t op_close(nacre_sftp_call *call, void *user, void *file)
{
    (void)call;
    (void)file;
    ((world *)user)->closed++;
    return NACRE_FX_OK;
}

static uint32_t op_read(nacre_sftp_call *call, void *file, uint64_t offset, const nacre_room *rooms,
                        size_t count, size_t want, size_t *got)
{
    (void)file;
    (void)offset;
    (void)rooms;
    (void)count;
    (void)want;
    (void)got;
    return later(call);
}

static uint32_t op_stat(nacre_sftp_call *call, nacre_span path, nacre_sftp_attrs *out)
{
    (void)path;
    if (((world *)call->user)->misdeed == BAD_ATTRS) {
        out->flags = NACRE_SFTP_ATTR_EXTENDED;
        out->extended_count = 1;
        out->extended = nc_span("\0\0", 2);
        return NACRE_FX_OK;
    }
    return later(call);
}

static uint32_t op_readdir(nacre_sftp_call *call, void *dir, nacre_sftp_answer *out)
{
    nacre_sftp_name entry = {.name = nc_span_cstr("a")};
    (void)dir;
    switch (((world *)call->user)->misdeed) {
    case WRONG_KIND:
        assert_false(nacre_sftp_answer_path(out, entry.name));
        assert_false(nacre_sftp_answer_bytes(out, "x", 1));
        assert_false(nacre_sftp_answer_hash(out, "md5", entry.name));
        return NACRE_FX_OK;
    case NO_NAME:
        entry.name.n = 0;
        assert_false(nacre_sftp_answer_name(out, &entry));
        return NACRE_FX_OK;
    case BAD_ATTRS:
        entry.attrs.flags = NACRE_SFTP_ATTR_EXTENDED;
        entry.attrs.extended_count = 7;
        assert_false(nacre_sftp_answer_name(out, &entry));
        return NACRE_FX_OK;
    default:
        return later(call);
    }
}

static uint32_t op_realpath(nacre_sftp_call *call, nacre_span path, nacre_sftp_answer *out)
{
    nacre_sftp_name entry = {.name = path};
    switch (((world *)call->user)->misdeed) {
    case WRONG_KIND:
        assert_false(nacre_sftp_answer_name(out, &entry));
        return NACRE_FX_OK;
    case TWICE:
        assert_true(nacre_sftp_answer_path(out, path));
        assert_false(nacre_sftp_answer_path(out, path));
        return NACRE_FX_OK;
    default:
        return later(call);
    }
}

static uint32_t op_statvfs(nacre_sftp_call *call, nacre_span path, nacre_sftp_statvfs *out)
{
    (void)path;
    (void)out;
    return later(call);
}

static uint32_t op_check_file(nacre_sftp_call *call, void *file, nacre_span path,
                              const char *algorithms, uint64_t offset, uint64_t length,
                              uint32_t block, nacre_sftp_answer *out)
{
    (void)file;
    (void)path;
    (void)algorithms;
    (void)offset;
    (void)length;
    (void)block;
    if (((world *)call->user)->misdeed == TWICE) {
        assert_true(nacre_sftp_answer_hash(out, "md5", nc_span("0123456789abcdef", 16)));
        assert_false(nacre_sftp_answer_hash(out, "md5", nc_span("0123456789abcdef", 16)));
        return NACRE_FX_OK;
    }
    return later(call);
}

static uint32_t op_extended(nacre_sftp_call *call, const char *name, nacre_span data,
                            nacre_sftp_answer *out)
{
    world *w = call->user;
    (void)name;
    if (w->misdeed == NO_FILE) { /* what the handle in it stands for */
        bool file = nacre_sftp_server_handle(call->server, data, false) != NULL;
        bool dir = nacre_sftp_server_handle(call->server, data, true) != NULL;
        uint8_t both[] = {file, dir};
        assert_true(nacre_sftp_answer_bytes(out, both, 2));
        return NACRE_FX_OK;
    }
    return later(call);
}

static uint32_t op_start(nacre_sftp_call *call)
{
    return ((world *)call->user)->misdeed == NO_FILE ? NACRE_FX_PERMISSION_DENIED : NACRE_FX_OK;
}

static const struct nacre_sftp_server_ext extensions[] = {{"own@example.com", "1", false},
                                                          {NULL, NULL, false}};
static const nacre_sftp_server_ops ops = {
    .size = sizeof(nacre_sftp_server_ops),
    .session_start = op_start,
    .open = op_open,
    .close = op_close,
    .read = op_read,
    .stat = op_stat,
    .opendir = op_opendir,
    .readdir = op_readdir,
    .closedir = op_close,
    .realpath = op_realpath,
    .statvfs = op_statvfs,
    .check_file = op_check_file,
    .extensions = extensions,
    .extended = op_extended,
};

/* ---- the client ------------------------------------------------------------------------------------------------ */

static int say(world *w, const void *p, size_t n)
{
    int rc = nacre_sftp_server_input(w->s, nc_span(p, n));
    w->len = mem_way_take(&w->pipe.down, w->got, sizeof(w->got));
    w->pipe.down.credit += w->len;
    return rc;
}

static int ask(world *w, uint8_t type, const void *body, size_t n)
{
    uint8_t out[300];
    assert_in_range(n, 0, sizeof(out) - 9);
    nc_put_u32(out, (uint32_t)(5 + n));
    out[4] = type;
    memcpy(out + 5, "\0\0\0\7", 4);
    memcpy(out + 9, body, n);
    w->ticket = 0;
    return say(w, out, 9 + n);
}

static void collect(world *w)
{
    assert_int_equal(nacre_sftp_server_flush(w->s), NACRE_OK);
    w->len = mem_way_take(&w->pipe.down, w->got, sizeof(w->got));
    w->pipe.down.credit += w->len;
}

/* One reply to our request, of this type, with these bytes behind its number. */
static void is_reply(const world *w, uint8_t type, const void *body, size_t n)
{
    assert_int_equal(w->len, 9 + n);
    assert_int_equal(nc_get_u32(w->got), 5 + n);
    assert_int_equal(w->got[4], type);
    assert_int_equal(nc_get_u32(w->got + 5), 7);
    assert_memory_equal(w->got + 9, body, n);
}

static void is_status(const world *w, uint32_t code)
{
    assert_in_range(w->len, 17, 300);
    assert_int_equal(w->got[4], NACRE_FXP_STATUS);
    assert_int_equal(nc_get_u32(w->got + 9), code);
}

static void world_new(world *w, const nacre_allocator *a)
{
    nacre_sftp_server_options o;
    memset(w, 0, sizeof(*w));
    mem_pipe_init(&w->pipe, 1 << 20, 1000, true);
    nacre_sftp_server_options_init(&o);
    o.allocator = a;
    assert_int_equal(nacre_sftp_server_new(&w->s, &w->pipe.server_pipe, &ops, w, &o, NULL),
                     NACRE_OK);
    assert_int_equal(say(w, "\0\0\0\5\1\0\0\0\3", 9), NACRE_OK);
    assert_int_equal(w->got[4], NACRE_FXP_VERSION);
}

static void world_free(world *w)
{
    nacre_sftp_server_free(w->s);
    mem_pipe_clear(&w->pipe);
}

#define BODY(text) text, sizeof(text) - 1

/* The handle of a file or directory, as a string on the wire. */
static void open_one(world *w, bool dir, uint8_t handle[20])
{
    int rc = dir ? ask(w, NACRE_FXP_OPENDIR, BODY("\0\0\0\1d"))
                 : ask(w, NACRE_FXP_OPEN, BODY("\0\0\0\1f\0\0\0\1\0\0\0\0"));
    assert_int_equal(rc, NACRE_OK);
    assert_int_equal(nacre_sftp_reply_handle(w->s, w->ticket, w), NACRE_OK);
    collect(w);
    assert_int_equal(w->got[4], NACRE_FXP_HANDLE);
    memcpy(handle, w->got + 9, 20);
}

/* ---- every kind of reply ------------------------------------------------------------------------------------------ */

static const nacre_sftp_name two_names[] = {
    {.name = {(const uint8_t *)"a", 1}, .longname = {(const uint8_t *)"-a", 2}},
    {.name = {(const uint8_t *)"b", 1}, .longname = {(const uint8_t *)"-b", 2}},
};
static const nacre_sftp_statvfs numbers = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11};
static const nacre_sftp_attrs size_only = {.flags = NACRE_SFTP_ATTR_SIZE, .size = 5};

static int reply_handle(world *w)
{
    return nacre_sftp_reply_handle(w->s, w->ticket, w);
}
static int reply_data(world *w)
{
    return nacre_sftp_reply_data(w->s, w->ticket, nc_span("xyz", 3));
}
static int reply_attrs(world *w)
{
    return nacre_sftp_reply_attrs(w->s, w->ticket, &size_only);
}
static int reply_names(world *w)
{
    size_t taken = 9;
    int rc = nacre_sftp_reply_names(w->s, w->ticket, two_names, 2, &taken);
    assert_int_equal(taken, rc == NACRE_OK ? 2 : 0);
    return rc;
}
static int reply_no_names(world *w)
{
    return nacre_sftp_reply_names(w->s, w->ticket, NULL, 0, NULL);
}
static int reply_path(world *w)
{
    return nacre_sftp_reply_path(w->s, w->ticket, nc_span_cstr("/p"));
}
static int reply_statvfs(world *w)
{
    return nacre_sftp_reply_statvfs(w->s, w->ticket, &numbers);
}
static int reply_extended(world *w)
{
    return nacre_sftp_reply_extended(w->s, w->ticket, nc_span("data", 4));
}

typedef enum kind { HANDLE, DATA, ATTRS, NAMES, NO_NAMES, PATH, STATVFS, EXTENDED } kind;
static int (*const replies[])(world *) = {reply_handle,  reply_data,     reply_attrs,
                                          reply_names,   reply_no_names, reply_path,
                                          reply_statvfs, reply_extended};
enum { REPLIES = sizeof(replies) / sizeof(replies[0]) };

typedef struct question {
    uint8_t type;
    const char *body;
    size_t n;
    bool takes_handle; /* of a directory: behind the body */
    kind kind, other;
    uint8_t reply;
    const char *bytes;
    size_t bytes_n;
} question;

#define NAME(c) "\0\0\0\1" c "\0\0\0\2-" c "\0\0\0\0"
static const question questions[] = {
    {NACRE_FXP_STAT, BODY("\0\0\0\1f"), false, ATTRS, ATTRS, NACRE_FXP_ATTRS,
     BODY("\0\0\0\1\0\0\0\0\0\0\0\5")},
    {NACRE_FXP_READDIR, BODY(""), true, NAMES, NO_NAMES, NACRE_FXP_NAME,
     BODY("\0\0\0\2" NAME("a") NAME("b"))},
    {NACRE_FXP_REALPATH, BODY("\0\0\0\1."), false, PATH, PATH, NACRE_FXP_NAME,
     BODY("\0\0\0\1\0\0\0\2/p\0\0\0\2/p\0\0\0\0")},
    {NACRE_FXP_EXTENDED, BODY("\0\0\0\x13statvfs@openssh.com\0\0\0\1/"), false, STATVFS, STATVFS,
     NACRE_FXP_EXTENDED_REPLY,
     BODY("\0\0\0\0\0\0\0\1\0\0\0\0\0\0\0\2\0\0\0\0\0\0\0\3\0\0\0\0\0\0\0\4\0\0\0\0\0\0\0\5"
          "\0\0\0\0\0\0\0\6\0\0\0\0\0\0\0\7\0\0\0\0\0\0\0\x08\0\0\0\0\0\0\0\x09"
          "\0\0\0\0\0\0\0\x0a\0\0\0\0\0\0\0\x0b")},
    {NACRE_FXP_EXTENDED, BODY("\0\0\0\x0fown@example.comhello"), false, EXTENDED, EXTENDED,
     NACRE_FXP_EXTENDED_REPLY, BODY("data")},
    {NACRE_FXP_EXTENDED,
     BODY("\0\0\0\x0f"
          "check-file-name\0\0\0\1f\0\0\0\3md5\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"),
     false, EXTENDED, EXTENDED, NACRE_FXP_EXTENDED_REPLY, BODY("data")},
};
enum { QUESTIONS = sizeof(questions) / sizeof(questions[0]) };

static void put_question(world *w, const question *q, const uint8_t dir[20])
{
    uint8_t body[200];
    memcpy(body, q->body, q->n);
    memcpy(body + q->n, dir, 20);
    assert_int_equal(ask(w, q->type, body, q->n + (q->takes_handle ? 20 : 0)), NACRE_OK);
    assert_int_not_equal(w->ticket, 0);
    assert_int_equal(w->len, 0);
}

static void every_kind_and_no_other(void **state)
{
    world w;
    uint8_t dir[20];
    (void)state;
    world_new(&w, NULL);
    open_one(&w, true, dir);
    for (size_t i = 0; i < QUESTIONS; i++) {
        const question *q = &questions[i];
        put_question(&w, q, dir);
        for (int k = 0; k < REPLIES; k++) {
            if (k != (int)q->kind && k != (int)q->other) {
                assert_int_equal(replies[k](&w), NACRE_INVALID_ARGUMENT);
            }
        }
        assert_int_equal(replies[q->kind](&w), NACRE_OK);
        collect(&w);
        is_reply(&w, q->reply, q->bytes, q->bytes_n);
        for (int k = 0; k < REPLIES; k++) { /* answered is answered */
            assert_int_equal(replies[k](&w), NACRE_NOT_FOUND);
        }
        collect(&w);
        assert_int_equal(w.len, 0);
        /* any may be answered by a status */
        put_question(&w, q, dir);
        assert_int_equal(nacre_sftp_reply_status(w.s, w.ticket, NACRE_FX_PERMISSION_DENIED, "no"),
                         NACRE_OK);
        collect(&w);
        is_status(&w, NACRE_FX_PERMISSION_DENIED);
    }
    put_question(&w, &questions[1], dir);
    assert_int_equal(reply_no_names(&w), NACRE_OK);
    collect(&w);
    is_status(&w, NACRE_FX_EOF);
    world_free(&w);
    assert_int_equal(w.closed, 1);
}

/* The question stays open after a reply that could not be made. */
static void replies_that_cannot_be(void **state)
{
    static uint8_t large[300000];
    static nacre_sftp_name many[400];
    nacre_sftp_attrs bad = {.flags = NACRE_SFTP_ATTR_EXTENDED, .extended_count = 3};
    nacre_sftp_name odd[2] = {two_names[0], {.name = {NULL, 0}}};
    uint8_t dir[20];
    size_t taken = 9;
    world w;
    (void)state;
    memset(large, 'l', sizeof(large));
    world_new(&w, NULL);
    open_one(&w, true, dir);
    put_question(&w, &questions[0], dir);
    assert_int_equal(nacre_sftp_reply_attrs(w.s, w.ticket, &bad), NACRE_INVALID_ARGUMENT);
    assert_int_equal(reply_attrs(&w), NACRE_OK);
    collect(&w);
    put_question(&w, &questions[2], dir);
    assert_int_equal(nacre_sftp_reply_path(w.s, w.ticket, nc_span(large, sizeof(large))),
                     NACRE_LIMIT);
    assert_int_equal(reply_path(&w), NACRE_OK);
    collect(&w);
    put_question(&w, &questions[4], dir);
    assert_int_equal(nacre_sftp_reply_extended(w.s, w.ticket, nc_span(large, sizeof(large))),
                     NACRE_LIMIT);
    assert_int_equal(reply_extended(&w), NACRE_OK);
    collect(&w);
    put_question(&w, &questions[1], dir);
    assert_int_equal(nacre_sftp_reply_names(w.s, w.ticket, odd + 1, 1, &taken),
                     NACRE_INVALID_ARGUMENT);
    assert_int_equal(taken, 0);
    odd[0].name = nc_span(large, sizeof(large));
    assert_int_equal(nacre_sftp_reply_names(w.s, w.ticket, odd, 1, &taken), NACRE_LIMIT);
    for (size_t i = 0; i < 400; i++) {
        many[i].name = nc_span(large, 1000);
        many[i].longname = nc_span(large, 1000);
    }
    assert_int_equal(nacre_sftp_reply_names(w.s, w.ticket, many, 400, &taken), NACRE_OK);
    assert_in_range(taken, 10, 399); /* what did not fit is for the next READDIR */
    collect(&w);
    assert_int_equal(nc_get_u32(w.got + 9), taken);
    assert_int_equal(w.len, 13 + taken * 2012);
    world_free(&w);
}

/* The client does not read: no further question is taken, and no further answer. */
static void no_room(void **state)
{
    static uint8_t data[200000];
    static const uint8_t read_one[] = "\0\0\0\x25\5\0\0\0\7";
    uint8_t file[20], body[29];
    uint32_t tickets[64];
    size_t asked = 0, answered = 0;
    world w;
    (void)state;
    world_new(&w, NULL);
    open_one(&w, false, file);
    w.pipe.down.credit = 0;
    memcpy(body, read_one, 9);
    memcpy(body + 9, file, 20);
    for (; asked < 64; asked++) { /* READs may all be open at once */
        static const uint8_t more[12] = "\0\0\0\0\0\0\0\0\0\3\0\0";
        w.ticket = 0;
        assert_int_equal(nacre_sftp_server_input(w.s, nc_span(body, 29)), NACRE_OK);
        assert_int_equal(nacre_sftp_server_input(w.s, nc_span(more, 12)), NACRE_OK);
        if (w.ticket == 0) {
            break;
        }
        tickets[asked] = w.ticket;
    }
    assert_in_range(asked, 2, 64);
    int rc = NACRE_OK;
    while (rc == NACRE_OK && answered < asked) {
        rc = nacre_sftp_reply_data(w.s, tickets[answered], nc_span(data, 190000));
        answered += rc == NACRE_OK ? 1 : 0;
    }
    assert_int_equal(rc, NACRE_AGAIN);
    assert_in_range(answered, 1, asked - 1);
    w.pipe.down.credit = 1 << 20;
    collect(&w);
    assert_true(w.len > 190000);
    assert_int_equal(nacre_sftp_reply_data(w.s, tickets[answered], nc_span(data, 1)), NACRE_OK);
    world_free(&w);
}

static void no_memory(void **state)
{
    test_memory m;
    uint8_t dir[20];
    unsigned refused = 0;
    (void)state;
    test_memory_init(&m);
    for (size_t i = 0; i < QUESTIONS; i++) {
        for (unsigned long n = 1;; n++) {
            world w;
            world_new(&w, &m.hooks);
            open_one(&w, true, dir);
            put_question(&w, &questions[i], dir);
            m.failed = false;
            test_memory_fail(&m, n);
            int rc = replies[questions[i].kind](&w);
            bool failed = m.failed;
            test_memory_fail(&m, 0);
            assert_int_equal(rc, failed ? NACRE_NO_MEMORY : NACRE_OK);
            if (failed) { /* and the question is still there */
                refused++;
                assert_int_equal(replies[questions[i].kind](&w), NACRE_OK);
            }
            collect(&w);
            is_reply(&w, questions[i].reply, questions[i].bytes, questions[i].bytes_n);
            world_free(&w);
            if (!failed) {
                break;
            }
            assert_in_range(n, 1, 20);
        }
    }
    assert_in_range(refused, QUESTIONS, 100);
    assert_int_equal(m.live, 0);
}

static void session_over(void **state)
{
    world w;
    uint8_t dir[20];
    (void)state;
    world_new(&w, NULL);
    open_one(&w, true, dir);
    put_question(&w, &questions[0], dir);
    assert_int_equal(say(&w, "\0\0\0\0", 4), NACRE_SFTP_PROTOCOL);
    for (int k = 0; k < REPLIES; k++) {
        assert_int_equal(replies[k](&w), NACRE_SFTP_PROTOCOL);
    }
    assert_int_equal(nacre_sftp_reply_status(w.s, w.ticket, NACRE_FX_OK, NULL),
                     NACRE_SFTP_PROTOCOL);
    world_free(&w);
    assert_int_equal(w.closed, 1);
    /* a client who goes while a question is open */
    world_new(&w, NULL);
    put_question(&w, &questions[0], dir);
    world_free(&w);
}

/* ---- operations that do what they must not ------------------------------------------------------------------------ */

static void misdeeds(void **state)
{
    static const struct {
        int misdeed;
        size_t question;
    } rows[] = {{WRONG_KIND, 1}, {NO_NAME, 1}, {BAD_ATTRS, 1}, {WRONG_KIND, 2},
                {TWICE, 2},      {TWICE, 5},   {BAD_ATTRS, 0}};
    world w;
    uint8_t dir[20];
    (void)state;
    world_new(&w, NULL);
    open_one(&w, true, dir);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const question *q = &questions[rows[i].question];
        uint8_t body[200];
        memcpy(body, q->body, q->n);
        memcpy(body + q->n, dir, 20);
        w.misdeed = rows[i].misdeed;
        assert_int_equal(ask(&w, q->type, body, q->n + (q->takes_handle ? 20 : 0)), NACRE_OK);
        is_status(&w, NACRE_FX_FAILURE);
        w.misdeed = NONE;
        put_question(&w, q, dir); /* the session lives */
        assert_int_equal(replies[q->kind](&w), NACRE_OK);
        collect(&w);
    }
    world_free(&w);
}

/* What an extension's handle stands for, and for nothing else. */
static void handles_of_extensions(void **state)
{
    world w;
    uint8_t body[64] = "\0\0\0\x0fown@example.com", dir[20], file[20];
    (void)state;
    world_new(&w, NULL);
    open_one(&w, true, dir);
    open_one(&w, false, file);
    w.misdeed = NO_FILE;
    memcpy(body + 19, file + 4, 16);
    assert_int_equal(ask(&w, NACRE_FXP_EXTENDED, body, 35), NACRE_OK);
    is_reply(&w, NACRE_FXP_EXTENDED_REPLY, "\1\0", 2);
    memcpy(body + 19, dir + 4, 16);
    assert_int_equal(ask(&w, NACRE_FXP_EXTENDED, body, 35), NACRE_OK);
    is_reply(&w, NACRE_FXP_EXTENDED_REPLY, "\0\1", 2);
    for (size_t n = 0; n < 16; n++) { /* cut, and each byte another one */
        assert_int_equal(ask(&w, NACRE_FXP_EXTENDED, body, 19 + n), NACRE_OK);
        is_reply(&w, NACRE_FXP_EXTENDED_REPLY, "\0\0", 2);
        body[19 + n] ^= 0x40;
        assert_int_equal(ask(&w, NACRE_FXP_EXTENDED, body, 35), NACRE_OK);
        body[19 + n] ^= 0x40;
        is_reply(&w, NACRE_FXP_EXTENDED_REPLY, "\0\0", 2);
    }
    assert_int_equal(ask(&w, NACRE_FXP_CLOSE, dir, 20), NACRE_OK);
    is_status(&w, NACRE_FX_OK);
    assert_int_equal(ask(&w, NACRE_FXP_EXTENDED, body, 35), NACRE_OK);
    is_reply(&w, NACRE_FXP_EXTENDED_REPLY, "\0\0", 2);
    world_free(&w);
    assert_int_equal(w.closed, 2);
}

/* Whoever asks by the older drafts' one name gets their reply, which begins with it. */
static void check_file_by_its_old_name(void **state)
{
    world w;
    uint8_t body[65] = "\0\0\0\ncheck-file", file[20];
    (void)state;
    world_new(&w, NULL);
    open_one(&w, false, file);
    memcpy(body + 14, file, 20);
    memcpy(body + 34, "\0\0\0\3md5", 7);
    assert_int_equal(ask(&w, NACRE_FXP_EXTENDED, body, 61), NACRE_OK);
    assert_int_equal(reply_extended(&w), NACRE_OK);
    collect(&w);
    is_reply(&w, NACRE_FXP_EXTENDED_REPLY, "\0\0\0\ncheck-filedata", 18);
    world_free(&w);
}

static void refused_session(void **state)
{
    world w;
    (void)state;
    memset(&w, 0, sizeof(w));
    mem_pipe_init(&w.pipe, 1 << 16, 1000, true);
    assert_int_equal(nacre_sftp_server_new(&w.s, &w.pipe.server_pipe, &ops, &w, NULL, NULL),
                     NACRE_OK);
    w.misdeed = NO_FILE;
    assert_int_equal(say(&w, "\0\0\0\5\1\0\0\0\3", 9), NACRE_REQUEST_REFUSED);
    assert_int_equal(w.len, 0);
    assert_non_null(strstr(nacre_sftp_server_error(w.s)->text, "refused the SFTP session"));
    world_free(&w);
}

static int no_random(void *user, uint8_t *out, size_t n)
{
    (void)user;
    (void)out;
    (void)n;
    return -1;
}

static void made_wrongly(void **state)
{
    world w;
    nacre_error why;
    nacre_sftp_server_options o;
    (void)state;
    memset(&w, 0, sizeof(w));
    mem_pipe_init(&w.pipe, 1 << 16, 1000, true);
    why = (nacre_error){0};
    assert_int_equal(nacre_sftp_server_new(&w.s, NULL, &ops, &w, NULL, &why),
                     NACRE_INVALID_ARGUMENT);
    assert_non_null(strstr(why.text, "pipe"));
    assert_int_equal(nacre_sftp_server_new(&w.s, &w.pipe.server_pipe, NULL, &w, NULL, NULL),
                     NACRE_INVALID_ARGUMENT);
    /* handles that could be guessed are none */
    nacre_sftp_server_options_init(&o);
    o.random = no_random;
    why = (nacre_error){0};
    assert_int_not_equal(nacre_sftp_server_new(&w.s, &w.pipe.server_pipe, &ops, &w, &o, &why),
                         NACRE_OK);
    assert_non_null(strstr(why.text, "randomness"));
    assert_null(w.s);
    mem_pipe_clear(&w.pipe);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_kind_and_no_other),
        cmocka_unit_test(replies_that_cannot_be),
        cmocka_unit_test(no_room),
        cmocka_unit_test(no_memory),
        cmocka_unit_test(session_over),
        cmocka_unit_test(misdeeds),
        cmocka_unit_test(handles_of_extensions),
        cmocka_unit_test(check_file_by_its_old_name),
        cmocka_unit_test(refused_session),
        cmocka_unit_test(made_wrongly),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
