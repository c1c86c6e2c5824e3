/*
 * Applications that say what cannot be, or call back where they must not: the client is told of a failure and gets
 * nothing that was not there, and the session lives.
 */
#include "base/mem.h"
#include "memory_peer.h"
#include "support/memory.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* One application for all; a test sets what it does, and reads what came of it. */
static nacre_sftp_server_ops ops;
static struct {
    int read; /* one of the below */
    uint32_t ticket;
    unsigned asked;
    int input_rc, flush_rc;
    bool leaves_out; /* names that no reply can hold */
    size_t next;     /* of the names */
    unsigned answered_on;
} app;

enum { READ_NOTHING = 1, READ_TOO_MUCH, READ_LATER };

static void open_with(peer *p, const nacre_memory_files_options *mo)
{
    memset(&app, 0, sizeof(app));
    other_ops = &ops;
    peer_ready(p, mo);
    other_ops = NULL;
    put_text(p, "/f", "0123456789");
}

/* The request, whose answer comes later. */
static void hand_over(peer *p)
{
    nc_put_u32(p->out.data, (uint32_t)(p->out.len - 4));
    assert_int_equal(nacre_sftp_server_input(p->s, nc_buf_span(&p->out)), NACRE_OK);
}

/* ---- READ ------------------------------------------------------------------------------------------------------- */

static uint32_t lying_read(nacre_sftp_call *call, void *file, uint64_t offset,
                           const nacre_room *rooms, size_t count, size_t want, size_t *got)
{
    app.ticket = call->ticket;
    switch (app.read) {
    case READ_NOTHING:
        *got = 0;
        return NACRE_FX_OK;
    case READ_TOO_MUCH:
        memset(rooms[0].p, 'X', rooms[0].n);
        *got = want + 1;
        return NACRE_FX_OK;
    case READ_LATER:
        app.asked++;
        return NACRE_SFTP_LATER;
    default:
        return nacre_memory_files_ops()->read(call, file, offset, rooms, count, want, got);
    }
}

static void open_for_reading(peer *p, handle *h)
{
    ops = *nacre_memory_files_ops();
    ops.read = lying_read;
    open_with(p, NULL);
    assert_int_equal(open_file(p, "/f", NACRE_FXF_READ, h), NACRE_FX_OK);
}

static uint32_t read_four(peer *p, const handle *h)
{
    nc_wr *w = begin(p, NACRE_FXP_READ);
    wr_handle(w, h);
    nc_wr_u64(w, 2);
    nc_wr_u32(w, 4);
    return app.read == READ_LATER ? NACRE_FX_OK : ask(p);
}

static void is_data(peer *p, const char *text)
{
    assert_int_equal(p->type, NACRE_FXP_DATA);
    assert_true(nc_span_is(nc_rd_str(&p->r), text));
    assert_int_equal(nc_rd_left(&p->r), 0);
}

static void reads(void **state)
{
    peer p;
    handle h;
    (void)state;
    open_for_reading(&p, &h);
    app.read = READ_NOTHING; /* success without a byte is the end: a client would ask for ever */
    assert_int_equal(read_four(&p, &h), NACRE_FX_EOF);
    app.read = READ_TOO_MUCH;
    assert_int_equal(read_four(&p, &h), NACRE_FX_FAILURE);
    assert_null(memchr(p.got, 'X', p.len));
    app.read = 0;
    assert_int_equal(read_four(&p, &h), NACRE_FX_OK);
    is_data(&p, "2345");
    nacre_sftp_server_stats stats;
    nacre_sftp_server_get_stats(p.s, &stats);
    assert_int_equal(stats.bytes_read, 4);
    peer_close(&p);
}

/* A READ is asked for, and open. */
static void read_later(peer *p, handle *h)
{
    open_for_reading(p, h);
    app.read = READ_LATER;
    (void)read_four(p, h);
    hand_over(p);
}

/* More than was asked for, later: refused, and the question is open as before. */
static void late_reads(void **state)
{
    peer p;
    handle h;
    (void)state;
    read_later(&p, &h);
    assert_int_equal(nacre_sftp_reply_data(p.s, app.ticket, nc_span("12345", 5)),
                     NACRE_INVALID_ARGUMENT);
    assert_int_equal(nacre_sftp_server_flush(p.s), NACRE_OK);
    assert_int_equal(mem_way_take(&p.pipe.down, p.got, sizeof(p.got)), 0);
    assert_int_equal(nacre_sftp_reply_data(p.s, app.ticket, nc_span("1234", 4)), NACRE_OK);
    assert_int_equal(nacre_sftp_server_flush(p.s), NACRE_OK);
    assert_int_equal(mem_way_take(&p.pipe.down, p.got, sizeof(p.got)), 17);
    assert_memory_equal(p.got + 9, "\0\0\0\0041234", 8);
    assert_int_equal(nacre_sftp_reply_data(p.s, app.ticket, nc_span("1", 1)), NACRE_NOT_FOUND);
    peer_close(&p);
}

/* So many questions at a time: the next one is asked when one of them has its answer, none is lost. */
static void many_late_reads(void **state)
{
    enum { MOST = NACRE_SFTP_SERVER_MAX_LATER };
    uint32_t first;
    peer p;
    handle h;
    (void)state;
    read_later(&p, &h);
    first = app.ticket;
    for (unsigned i = 1; i < MOST + 8; i++) {
        hand_over(&p);
        assert_int_equal(app.asked, i < MOST ? i + 1 : MOST);
    }
    assert_int_equal(nacre_sftp_server_flush(p.s), NACRE_OK);
    assert_int_equal(app.asked, MOST);
    assert_int_equal(nacre_sftp_reply_data(p.s, first, nc_span("1234", 4)), NACRE_OK);
    assert_int_equal(nacre_sftp_server_flush(p.s), NACRE_OK);
    assert_int_equal(app.asked, MOST + 1);
    for (unsigned i = 1; i < 8; i++) { /* the newest has its answer, and the next is the newest */
        assert_int_equal(nacre_sftp_reply_status(p.s, app.ticket, NACRE_FX_FAILURE, NULL),
                         NACRE_OK);
        assert_int_equal(nacre_sftp_server_flush(p.s), NACRE_OK);
        assert_int_equal(app.asked, MOST + 1 + i);
    }
    peer_close(&p); /* with 64 that nobody answers any more */
}

/* ---- calls from within an operation ----------------------------------------------------------------------------- */

static uint32_t meddling_stat(nacre_sftp_call *call, nacre_span path, nacre_sftp_attrs *out)
{
    static const uint8_t close_all[] = "\0\0\0\x05\1\0\0\0\3";
    app.input_rc = nacre_sftp_server_input(call->server, nc_span(close_all, 9));
    app.flush_rc = nacre_sftp_server_flush(call->server);
    return nacre_memory_files_ops()->stat(call, path, out);
}

static void calls_from_within(void **state)
{
    peer p;
    (void)state;
    ops = *nacre_memory_files_ops();
    ops.stat = meddling_stat;
    open_with(&p, NULL);
    assert_int_equal(one(&p, NACRE_FXP_STAT, "/f"), NACRE_FX_OK);
    assert_int_equal(p.type, NACRE_FXP_ATTRS);
    assert_int_equal(app.input_rc, NACRE_WRONG_STATE);
    assert_int_equal(app.flush_rc, NACRE_WRONG_STATE);
    /* Those bytes are nowhere: a second INIT would have ended the session. */
    assert_int_equal(one(&p, NACRE_FXP_LSTAT, "/f"), NACRE_FX_OK);
    peer_close(&p);
}

/* ---- names that no reply can hold ------------------------------------------------------------------------------- */

enum { LARGE = 300000 };
static uint8_t large[LARGE];

typedef enum fault {
    FAULT_NAME,
    FAULT_LONGNAME,
    FAULT_SUM,
    FAULT_EMPTY,
    FAULT_ATTRS,
    FAULTS
} fault;

static nacre_sftp_name bad_name(fault f)
{
    nacre_sftp_name n = {.name = nc_span_cstr("bad"), .longname = nc_span_cstr("-bad")};
    n.name = f == FAULT_NAME    ? nc_span(large, LARGE)
             : f == FAULT_SUM   ? nc_span(large, 200000)
             : f == FAULT_EMPTY ? nc_span(NULL, 0)
                                : n.name;
    n.longname = f == FAULT_LONGNAME ? nc_span(large, LARGE)
                 : f == FAULT_SUM    ? nc_span(large, 100000)
                                     : n.longname;
    if (f == FAULT_ATTRS) {
        n.attrs.flags = NACRE_SFTP_ATTR_EXTENDED;
        n.attrs.extended_count = 1;
    }
    return n;
}

static fault at_fault;

static bool name_at(size_t i, nacre_sftp_name *out)
{
    static const char *const good[] = {"a", "b", NULL, "c", "d"};
    if (i >= 5) {
        return false;
    }
    *out = good[i] ? (nacre_sftp_name){.name = nc_span_cstr(good[i])} : bad_name(at_fault);
    return true;
}

static uint32_t names_readdir(nacre_sftp_call *call, void *dir, nacre_sftp_answer *out)
{
    nacre_sftp_name n;
    (void)call;
    (void)dir;
    app.next += app.leaves_out && app.next == 2 ? 1 : 0;
    for (; name_at(app.next, &n); app.next++) {
        if (!nacre_sftp_answer_name(out, &n)) {
            n.name = nc_span_cstr("none"); /* no is no: what follows must not come before it */
            app.answered_on += nacre_sftp_answer_name(out, &n) ? 1 : 0;
            break;
        }
    }
    return NACRE_FX_OK;
}

static void open_listing(peer *p, handle *d)
{
    open_with(p, NULL);
    assert_int_equal(one(p, NACRE_FXP_OPENDIR, "/"), NACRE_FX_OK);
    *d = keep_handle(p);
}

static uint32_t read_dir(peer *p, const handle *d)
{
    wr_handle(begin(p, NACRE_FXP_READDIR), d);
    return ask(p);
}

static void lists(peer *p, uint32_t count, const char *first, const char *second)
{
    assert_int_equal(p->type, NACRE_FXP_NAME);
    assert_int_equal(nc_rd_u32(&p->r), count);
    for (uint32_t i = 0; i < count; i++) {
        assert_true(nc_span_is(nc_rd_str(&p->r), i ? second : first));
        (void)nc_rd_str(&p->r);
        assert_int_equal(nc_rd_u32(&p->r), 0);
    }
    assert_int_equal(nc_rd_err(&p->r), NACRE_OK);
    assert_int_equal(nc_rd_left(&p->r), 0);
}

static void names(void **state)
{
    (void)state;
    memset(large, 'n', sizeof(large));
    ops = *nacre_memory_files_ops();
    ops.readdir = names_readdir;
    for (at_fault = 0; at_fault < FAULTS; at_fault++) {
        peer p;
        handle d;
        open_listing(&p, &d);
        assert_int_equal(read_dir(&p, &d), NACRE_FX_OK);
        lists(&p, 2, "a", "b");
        for (int again = 0; again < 2; again++) {
            assert_int_equal(read_dir(&p, &d), NACRE_FX_FAILURE);
            nacre_span why = nc_rd_str(&p.r);
            assert_int_equal(nc_span_is(why, "Name too long for a reply"), at_fault <= FAULT_SUM);
        }
        app.leaves_out = true; /* then the others can be read */
        assert_int_equal(read_dir(&p, &d), NACRE_FX_OK);
        lists(&p, 2, "c", "d");
        assert_int_equal(read_dir(&p, &d), NACRE_FX_EOF);
        assert_int_equal(app.answered_on, 0);
        peer_close(&p);
    }
}

static uint32_t names_later(nacre_sftp_call *call, void *dir, nacre_sftp_answer *out)
{
    (void)dir;
    (void)out;
    app.ticket = call->ticket;
    return NACRE_SFTP_LATER;
}

static void put_readdir(peer *p, const handle *d)
{
    wr_handle(begin(p, NACRE_FXP_READDIR), d);
    hand_over(p);
}

static void collect(peer *p)
{
    assert_int_equal(nacre_sftp_server_flush(p->s), NACRE_OK);
    p->len = mem_way_take(&p->pipe.down, p->got, sizeof(p->got));
    p->pipe.down.credit += p->len;
    assert_in_range(p->len, 9, 400);
    p->type = p->got[4];
    p->r = nc_rd_init(nc_span(p->got + 9, p->len - 9));
}

static void late_names(void **state)
{
    (void)state;
    memset(large, 'n', sizeof(large));
    ops = *nacre_memory_files_ops();
    ops.readdir = names_later;
    for (at_fault = 0; at_fault < FAULTS; at_fault++) {
        peer p;
        size_t taken = 9;
        nacre_sftp_name all[5];
        handle d;
        for (size_t i = 0; i < 5; i++) {
            assert_true(name_at(i, &all[i]));
        }
        open_listing(&p, &d);
        put_readdir(&p, &d);
        assert_int_equal(nacre_sftp_reply_names(p.s, app.ticket, all, 5, &taken), NACRE_OK);
        assert_int_equal(taken, 2);
        collect(&p);
        lists(&p, 2, "a", "b");
        put_readdir(&p, &d);
        assert_int_equal(nacre_sftp_reply_names(p.s, app.ticket, all + 2, 3, &taken),
                         at_fault <= FAULT_SUM ? NACRE_LIMIT : NACRE_INVALID_ARGUMENT);
        assert_int_equal(taken, 0);
        assert_int_equal(nacre_sftp_reply_names(p.s, app.ticket, all + 3, 2, &taken), NACRE_OK);
        assert_int_equal(taken, 2);
        collect(&p);
        lists(&p, 2, "c", "d");
        peer_close(&p);
    }
}

/* ---- without memory --------------------------------------------------------------------------------------------- */

static uint32_t no_hashes(nacre_sftp_call *call, void *file, nacre_span path,
                          const char *algorithms, uint64_t offset, uint64_t length,
                          uint32_t block_size, nacre_sftp_answer *out)
{
    (void)call;
    (void)file;
    (void)path;
    (void)offset;
    (void)length;
    (void)block_size;
    (void)out;
    app.next++;
    return strcmp(algorithms, "crc32") == 0 ? NACRE_FX_OP_UNSUPPORTED : NACRE_FX_FAILURE;
}

/* The application is not asked with half a list, and its no is not taken for granted. */
static void check_without_memory(void **state)
{
    test_memory m;
    peer p;
    nacre_memory_files_options mo;
    (void)state;
    test_memory_init(&m);
    nacre_memory_files_options_init(&mo);
    mo.allocator = &m.hooks;
    ops = *nacre_memory_files_ops();
    ops.check_file = no_hashes;
    open_with(&p, &mo);
    assert_int_equal(check(&p, "check-file-name", "/f", NULL, "crc32", 0, 0, 0), NACRE_FX_OK);
    assert_int_equal(app.next, 1);
    test_memory_fail(&m, 1);
    assert_int_equal(check(&p, "check-file-name", "/f", NULL, "crc32", 0, 0, 0), NACRE_FX_FAILURE);
    assert_true(m.failed);
    assert_int_equal(app.next, 1);
    test_memory_fail(&m, 0);
    assert_int_equal(check(&p, "check-file-name", "/f", NULL, "crc32", 0, 0, 0), NACRE_FX_OK);
    assert_int_equal(p.type, NACRE_FXP_EXTENDED_REPLY);
    peer_close(&p);
}

/* A directory that cannot be listed is not an empty one. */
static void listing_without_memory(void **state)
{
    enum { BLOCKS = 2048 };
    test_memory m;
    peer p;
    nacre_memory_files_options mo;
    (void)state;
    test_memory_init(&m);
    nacre_memory_files_options_init(&mo);
    mo.allocator = &m.hooks;
    ops = *nacre_memory_files_ops();
    open_with(&p, &mo);
    uint8_t *bytes = calloc(BLOCKS, 256);
    assert_non_null(bytes);
    assert_int_equal(
        nacre_memory_files_put(p.files, "/big", nc_span(bytes, (size_t)BLOCKS * 256), 0600),
        NACRE_OK);
    free(bytes);
    assert_int_equal(one(&p, NACRE_FXP_OPENDIR, "/"), NACRE_FX_OK);
    handle d = keep_handle(&p);
    /* A large reply, whose memory is given back, so that the next one needs some. */
    assert_int_equal(check(&p, "check-file-name", "/big", NULL, "sha512", 0, 0, 256), NACRE_FX_OK);
    assert_in_range(p.len, BLOCKS * 64, BLOCKS * 64 + 100);
    assert_int_equal(one(&p, NACRE_FXP_STAT, "/f"), NACRE_FX_OK);
    test_memory_fail(&m, 1);
    assert_int_equal(read_dir(&p, &d), NACRE_FX_FAILURE);
    assert_true(m.failed);
    test_memory_fail(&m, 0);
    assert_int_equal(read_dir(&p, &d), NACRE_FX_OK);
    assert_int_equal(p.type, NACRE_FXP_NAME);
    assert_int_equal(nc_rd_u32(&p.r), 4); /* with those that were not given before: ., .., big, f */
    peer_close(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads),
        cmocka_unit_test(late_reads),
        cmocka_unit_test(many_late_reads),
        cmocka_unit_test(calls_from_within),
        cmocka_unit_test(names),
        cmocka_unit_test(late_names),
        cmocka_unit_test(check_without_memory),
        cmocka_unit_test(listing_without_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
