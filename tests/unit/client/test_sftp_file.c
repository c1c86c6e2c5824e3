/*
 * test_sftp_file.c - open remote files: what is read ahead and what is not, what is written behind and
 * when its errors come, lines, places, modes.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "mem_server.h"
#include "nacre/sftp_file.h"
#include "support/memory.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BIG = 3000017 };

static mem_server server;
static nacre_sftp *s;
static uint8_t pattern[BIG];
static uint8_t got_bytes[BIG + 1];

static int set_up(void **state)
{
    (void)state;
    for (size_t i = 0; i < BIG; i++) {
        pattern[i] = (uint8_t)(i * 2654435761u >> 13);
    }
    mem_server_init(&server);
    mem_backend_set(mem_backend_add(&server.files, "/big", NACRE_SFTP_S_IFREG | 0644), pattern,
                    BIG);
    mem_backend_set(mem_backend_add(&server.files, "/small", NACRE_SFTP_S_IFREG | 0644),
                    "0123456789", 10);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    mem_server_clear(&server);
    return 0;
}

static void begin(void)
{
    assert_int_equal(mem_server_open(&server, NULL, &s), NACRE_OK);
}

static void end(void)
{
    mem_server_close(&server, s);
}

static nacre_sftp_file *open_as(const char *path, const char *mode)
{
    nacre_sftp_file *f = NULL;
    assert_int_equal(nacre_sftp_file_fopen(s, path, mode, NULL, &f), NACRE_OK);
    return f;
}

static mem_node *node(const char *path)
{
    return mem_backend_find(&server.files, path);
}

static void a_small_file(void **state)
{
    char p[100];
    size_t n = 0;
    (void)state;
    begin();
    nacre_sftp_file *f = open_as("/small", "r");
    assert_int_equal(nacre_sftp_file_read(f, p, sizeof(p), &n), NACRE_OK);
    assert_int_equal(n, 10);
    assert_memory_equal(p, "0123456789", 10);
    assert_int_equal(nacre_sftp_file_tell(f), 10);
    assert_int_equal(nacre_sftp_file_close(f), NACRE_OK);
    end();
    assert_int_equal(server.seen[NACRE_FXP_READ], 1);
    assert_int_equal(server.seen[NACRE_FXP_FSTAT], 1);
    assert_true(server.asked <= 32768);
}

static void reading_in_a_row(void **state)
{
    static const size_t steps[] = {1000, 4096, 32768, 100000, BIG};
    (void)state;
    for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
        size_t at = 0;
        size_t n = 0;
        int rc;
        begin();
        nacre_sftp_file *f = open_as("/big", "rb");
        while ((rc = nacre_sftp_file_read(f, got_bytes + at,
                                          BIG + 1 - at < steps[i] ? BIG + 1 - at : steps[i], &n)) ==
               NACRE_OK) {
            at += n;
            assert_int_equal(nacre_sftp_file_tell(f), at);
        }
        assert_int_equal(rc, NACRE_END);
        assert_int_equal(at, BIG);
        assert_memory_equal(got_bytes, pattern, BIG);
        assert_int_equal(nacre_sftp_file_close(f), NACRE_OK);
        end();
        /* Large requests, though the caller asked for little; nothing is asked for twice. */
        assert_true(server.seen[NACRE_FXP_READ] < 60);
        assert_true(server.asked < BIG + 2 * 255 * 1024);
    }
}

static void scattered_reads(void **state)
{
    uint8_t p[700];
    size_t n = 0;
    uint64_t wanted = 0;
    (void)state;
    begin();
    nacre_sftp_file *f = open_as("/big", "r");
    for (size_t i = 1; i < 40; i++) {
        int64_t at = (int64_t)(i * 1234577 % (BIG - 700));
        assert_int_equal(nacre_sftp_file_seek(f, at, SEEK_SET), NACRE_OK);
        assert_int_equal(nacre_sftp_file_read(f, p, sizeof(p), &n), NACRE_OK);
        assert_int_equal(n, sizeof(p));
        assert_memory_equal(p, pattern + at, n);
        wanted += n;
    }
    assert_int_equal(nacre_sftp_file_close(f), NACRE_OK);
    end();
    assert_int_equal(server.asked, wanted);
}

static void bounded_reading_ahead(void **state)
{
    nacre_sftp_file_options o;
    nacre_sftp_file *f = NULL;
    size_t n = 0;
    (void)state;
    nacre_sftp_file_options_init(&o);
    for (int none = 0; none < 2; none++) {
        o.read_ahead = none ? 1 : 100000;
        begin();
        assert_int_equal(nacre_sftp_file_fopen(s, "/big", "r", &o, &f), NACRE_OK);
        for (size_t at = 0; at < 500000; at += n) {
            assert_int_equal(nacre_sftp_file_read(f, got_bytes, 5000, &n), NACRE_OK);
            assert_memory_equal(got_bytes, pattern + at, n);
        }
        assert_int_equal(nacre_sftp_file_close(f), NACRE_OK);
        end();
        assert_true(server.asked >= 500000);
        assert_true(server.asked <= (none ? 500000u : 500000 + 100000 + 3 * 32768));
    }
}

static void a_growing_file(void **state)
{
    char p[100];
    size_t n = 0;
    (void)state;
    begin();
    nacre_sftp_file *log = open_as("/small", "r");
    nacre_sftp_file *more = open_as("/small", "a");
    assert_int_equal(nacre_sftp_file_read(log, p, sizeof(p), &n), NACRE_OK);
    assert_int_equal(n, 10);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(nacre_sftp_file_read(log, p, sizeof(p), &n), NACRE_END);
        assert_int_equal(n, 0);
        assert_int_equal(nacre_sftp_file_write(more, "more", 4), NACRE_OK);
        assert_int_equal(nacre_sftp_file_flush(more), NACRE_OK);
        assert_int_equal(nacre_sftp_file_read(log, p, sizeof(p), &n), NACRE_OK);
        assert_int_equal(n, 4);
        assert_memory_equal(p, "more", 4);
    }
    assert_int_equal(nacre_sftp_file_close(log), NACRE_OK);
    assert_int_equal(nacre_sftp_file_close(more), NACRE_OK);
    end();
}

/* Never more than 1000 bytes, for whatever is asked. */
static bool short_replies(mem_server *m, uint8_t type, uint32_t id, nc_rd r, nc_wr *w)
{
    if (type != NACRE_FXP_READ) {
        return false;
    }
    (void)nc_rd_str(&r);
    uint64_t offset = nc_rd_u64(&r);
    size_t n = nc_rd_u32(&r);
    mem_node *big = mem_backend_find(&m->files, "/big");
    if (offset >= big->size) {
        mem_server_status(w, id, NACRE_FX_EOF);
        return true;
    }
    n = n < 1000 ? n : 1000;
    n = n < big->size - offset ? n : big->size - (size_t)offset;
    nc_wr_u8(w, NACRE_FXP_DATA);
    nc_wr_u32(w, id);
    nc_wr_str(w, nc_span(big->data + offset, n));
    return true;
}

static void read_all_of(nacre_sftp_file *f, size_t size, size_t step)
{
    size_t at = 0;
    size_t n = 0;
    int rc;
    while ((rc = nacre_sftp_file_read(f, got_bytes + at, at + step > BIG ? BIG + 1 - at : step,
                                      &n)) == NACRE_OK) {
        at += n;
    }
    assert_int_equal(rc, NACRE_END);
    assert_int_equal(at, size);
    assert_memory_equal(got_bytes, pattern, size);
}

static void odd_replies(void **state)
{
    (void)state;
    mem_backend_set(node("/big"), pattern, 400001);
    server.script = short_replies;
    begin();
    nacre_sftp_file *f = open_as("/big", "r");
    read_all_of(f, 400001, 7000);
    assert_int_equal(nacre_sftp_file_close(f), NACRE_OK);
    end();
    server.script = NULL;
    mem_backend_set(node("/big"), pattern, BIG);
    server.files.later = true; /* the youngest request is answered first */
    begin();
    f = open_as("/big", "r");
    read_all_of(f, BIG, 50000);
    assert_int_equal(nacre_sftp_file_close(f), NACRE_OK);
    end();
    assert_true(server.files.late_most > 1);
}

static bool bad_block(mem_server *m, uint8_t type, uint32_t id, nc_rd r, nc_wr *w)
{
    (void)m;
    (void)nc_rd_str(&r);
    uint64_t offset = type == NACRE_FXP_READ ? nc_rd_u64(&r) : 0;
    if (offset < 1000000 || offset >= 1300000) {
        return false;
    }
    mem_server_status(w, id, NACRE_FX_PERMISSION_DENIED);
    return true;
}

/* What was fetched ahead and failed is an error only when the reader comes there. */
static void errors_in_place(void **state)
{
    size_t at = 0;
    size_t n = 0;
    int rc;
    (void)state;
    server.script = bad_block;
    begin();
    nacre_sftp_file *f = open_as("/big", "r");
    while ((rc = nacre_sftp_file_read(f, got_bytes + at, 10000, &n)) == NACRE_OK) {
        at += n;
    }
    at += n;
    assert_int_equal(rc, NACRE_SFTP_STATUS);
    assert_int_equal(nacre_sftp_status(s), NACRE_FX_PERMISSION_DENIED);
    assert_non_null(strstr(nacre_sftp_error(s)->text, "/big"));
    assert_true(at >= 700000 && at < 1300000);
    assert_memory_equal(got_bytes, pattern, at);
    assert_int_equal(nacre_sftp_file_tell(f), at);
    assert_int_equal(nacre_sftp_file_seek(f, 2000000, SEEK_SET), NACRE_OK);
    assert_int_equal(nacre_sftp_file_read(f, got_bytes, 10000, &n), NACRE_OK);
    assert_memory_equal(got_bytes, pattern + 2000000, 10000);
    assert_int_equal(nacre_sftp_file_close(f), NACRE_OK);
    end();
}

static void lines(void **state)
{
    static const char text[] =
        "one\n\nthree is a little longer than the room\nlast, without an end";
    static const char *const expected[] = {
        "one\n",           "\n",   "three is a litt", "le longer than ", "the room\n",
        "last, without a", "n end"};
    char p[16];
    size_t n = 0;
    (void)state;
    mem_backend_set(node("/small"), text, sizeof(text) - 1);
    begin();
    nacre_sftp_file *f = open_as("/small", "r");
    for (int pass = 0; pass < 2; pass++) {
        for (size_t i = 0; i < sizeof(expected) / sizeof(expected[0]); i++) {
            assert_int_equal(nacre_sftp_file_gets(f, p, sizeof(p), &n), NACRE_OK);
            assert_string_equal(p, expected[i]);
            assert_int_equal(n, strlen(expected[i]));
        }
        assert_int_equal(nacre_sftp_file_gets(f, p, sizeof(p), &n), NACRE_END);
        assert_int_equal(n, 0);
        assert_int_equal(nacre_sftp_file_seek(f, 0, SEEK_SET), NACRE_OK);
    }
    assert_int_equal(nacre_sftp_file_gets(f, p, 1, &n), NACRE_INVALID_ARGUMENT);
    assert_int_equal(nacre_sftp_file_close(f), NACRE_OK);
    end();
}

static void several_places(void **state)
{
    enum { PIECES = 700 };
    static nacre_sftp_piece pieces[PIECES];
    (void)state;
    begin();
    nacre_sftp_file *f = open_as("/big", "r");
    for (size_t i = 0; i < PIECES; i++) {
        pieces[i].offset = i == 5 ? BIG + 10 : i == 6 ? BIG - 7 : i * 4001;
        pieces[i].p = got_bytes + i * 100;
        pieces[i].n = i % 50 == 9 ? 0 : 100;
        pieces[i].got = 1;
    }
    assert_int_equal(nacre_sftp_file_readv(f, pieces, PIECES), NACRE_OK);
    for (size_t i = 0; i < PIECES; i++) {
        size_t n = i == 5 ? 0 : i == 6 ? 7 : pieces[i].n;
        assert_int_equal(pieces[i].got, n);
        if (n) {
            assert_memory_equal(pieces[i].p, pattern + pieces[i].offset, n);
        }
    }
    nacre_sftp_piece large = {.offset = 3, .p = got_bytes, .n = BIG};
    assert_int_equal(nacre_sftp_file_readv(f, &large, 1), NACRE_OK);
    assert_int_equal(large.got, BIG - 3);
    assert_memory_equal(got_bytes, pattern + 3, BIG - 3);
    assert_int_equal(nacre_sftp_file_close(f), NACRE_OK);
    end();
}

static void small_writes(void **state)
{
    (void)state;
    begin();
    nacre_sftp_file *f = open_as("/new", "w");
    for (size_t at = 0; at < BIG; at += 997) {
        size_t n = BIG - at < 997 ? BIG - at : 997;
        assert_int_equal(nacre_sftp_file_write(f, pattern + at, n), NACRE_OK);
    }
    assert_int_equal(nacre_sftp_file_tell(f), BIG);
    assert_int_equal(nacre_sftp_file_close(f), NACRE_OK);
    end();
    assert_int_equal(node("/new")->size, BIG);
    assert_memory_equal(node("/new")->data, pattern, BIG);
    assert_true(server.seen[NACRE_FXP_WRITE] <= BIG / (255 * 1024) + 2);
}

static void large_writes(void **state)
{
    (void)state;
    begin();
    nacre_sftp_file *f = open_as("/new", "w");
    assert_int_equal(nacre_sftp_file_write(f, pattern, 10), NACRE_OK);
    assert_int_equal(nacre_sftp_file_write(f, pattern + 10, 2000000), NACRE_OK);
    assert_int_equal(nacre_sftp_file_write(f, pattern + 2000010, BIG - 2000010), NACRE_OK);
    assert_int_equal(nacre_sftp_file_write(f, NULL, 0), NACRE_OK);
    assert_int_equal(nacre_sftp_file_flush(f), NACRE_OK);
    assert_int_equal(nacre_sftp_file_seek(f, 100, SEEK_SET), NACRE_OK);
    assert_int_equal(nacre_sftp_file_write(f, "here", 4), NACRE_OK);
    assert_int_equal(nacre_sftp_file_seek(f, 1000, SEEK_SET), NACRE_OK);
    assert_int_equal(nacre_sftp_file_write(f, "there", 5), NACRE_OK);
    assert_int_equal(nacre_sftp_file_close(f), NACRE_OK);
    end();
    memcpy(got_bytes, pattern, BIG);
    memcpy(got_bytes + 100, "here", 4);
    memcpy(got_bytes + 1000, "there", 5);
    assert_int_equal(node("/new")->size, BIG);
    assert_memory_equal(node("/new")->data, got_bytes, BIG);
}

static bool full_disk(mem_server *m, uint8_t type, uint32_t id, nc_rd r, nc_wr *w)
{
    (void)m;
    (void)nc_rd_str(&r);
    if (type != NACRE_FXP_WRITE || nc_rd_u64(&r) < 500000) {
        return false;
    }
    mem_server_status(w, id, NACRE_FX_FAILURE);
    return true;
}

static void late_errors_come_once(void **state)
{
    int rc = NACRE_OK;
    size_t at = 0;
    (void)state;
    server.script = full_disk;
    begin();
    nacre_sftp_file *f = open_as("/new", "w");
    for (; rc == NACRE_OK && at < BIG; at += 1000) {
        rc = nacre_sftp_file_write(f, pattern + at, 1000);
    }
    rc = rc == NACRE_OK ? nacre_sftp_file_flush(f) : rc;
    assert_int_equal(rc, NACRE_SFTP_STATUS);
    assert_int_equal(nacre_sftp_status(s), NACRE_FX_FAILURE);
    assert_non_null(strstr(nacre_sftp_error(s)->text, "write /new at offset"));
    /* What is still gathered fails, too; then there is nothing left to fail. */
    for (int i = 0; i < 2; i++) {
        rc = nacre_sftp_file_flush(f);
    }
    assert_int_equal(nacre_sftp_file_flush(f), NACRE_OK);
    assert_int_equal(nacre_sftp_file_close(f), NACRE_OK);
    f = open_as("/new2", "w");
    assert_int_equal(nacre_sftp_file_seek(f, 600000, SEEK_SET), NACRE_OK);
    assert_int_equal(nacre_sftp_file_write(f, "x", 1), NACRE_OK); /* not sent yet */
    assert_int_equal(nacre_sftp_file_close(f), NACRE_SFTP_STATUS);
    assert_non_null(strstr(nacre_sftp_error(s)->text, "/new2"));
    end();
    assert_true(node("/new")->size >= 255 * 1024 && node("/new")->size <= 500000 + 255 * 1024);
    assert_memory_equal(node("/new")->data, pattern, node("/new")->size);
}

static void writes_that_wait(void **state)
{
    nacre_sftp_file_options o;
    nacre_sftp_file *f = NULL;
    (void)state;
    nacre_sftp_file_options_init(&o);
    o.write_behind = 1;
    server.script = full_disk;
    begin();
    assert_int_equal(nacre_sftp_file_fopen(s, "/new", "w", &o, &f), NACRE_OK);
    assert_int_equal(nacre_sftp_file_write(f, "a", 1), NACRE_OK);
    assert_int_equal(server.seen[NACRE_FXP_WRITE], 1); /* acknowledged, so it was seen */
    assert_int_equal(nacre_sftp_file_seek(f, 500000, SEEK_SET), NACRE_OK);
    assert_int_equal(nacre_sftp_file_write(f, "b", 1), NACRE_SFTP_STATUS);
    assert_int_equal(nacre_sftp_file_close(f), NACRE_OK);
    end();
}

static void reads_see_writes(void **state)
{
    char p[32];
    size_t n = 0;
    (void)state;
    begin();
    nacre_sftp_file *f = open_as("/small", "r+");
    assert_int_equal(nacre_sftp_file_read(f, p, 3, &n), NACRE_OK);
    assert_int_equal(nacre_sftp_file_write(f, "abc", 3), NACRE_OK);
    assert_int_equal(nacre_sftp_file_read(f, p, 3, &n), NACRE_OK);
    assert_memory_equal(p, "678", 3);
    assert_int_equal(nacre_sftp_file_seek(f, -7, SEEK_CUR), NACRE_OK);
    assert_int_equal(nacre_sftp_file_read(f, p, 3, &n), NACRE_OK);
    assert_memory_equal(p, "2ab", 3);
    assert_int_equal(nacre_sftp_file_write(f, "XY", 2), NACRE_OK);
    assert_int_equal(nacre_sftp_file_pread(f, 0, p, 32, &n), NACRE_OK);
    assert_int_equal(n, 10);
    assert_memory_equal(p, "012abXY789", 10);
    assert_int_equal(nacre_sftp_file_seek(f, 0, SEEK_SET), NACRE_OK);
    assert_int_equal(nacre_sftp_file_read(f, p, 2, &n), NACRE_OK);
    assert_int_equal(nacre_sftp_file_pwrite(f, 2, "--", 2), NACRE_OK);
    assert_int_equal(nacre_sftp_file_read(f, p, 4, &n), NACRE_OK);
    assert_memory_equal(p, "--bX", 4);
    nacre_sftp_attrs a;
    assert_int_equal(nacre_sftp_file_seek(f, 0, SEEK_END), NACRE_OK);
    assert_int_equal(nacre_sftp_file_write(f, "!", 1), NACRE_OK);
    assert_int_equal(nacre_sftp_file_stat(f, &a), NACRE_OK);
    assert_int_equal(a.size, 11);
    assert_int_equal(nacre_sftp_file_truncate(f, 4), NACRE_OK);
    assert_int_equal(nacre_sftp_file_seek(f, 0, SEEK_SET), NACRE_OK);
    assert_int_equal(nacre_sftp_file_read(f, p, 32, &n), NACRE_OK);
    assert_int_equal(n, 4);
    assert_int_equal(nacre_sftp_file_sync(f), NACRE_OK);
    assert_int_equal(nacre_sftp_file_close(f), NACRE_OK);
    end();
    assert_int_equal(server.files.fsyncs, 1);
}

static void modes(void **state)
{
    static const char *const bad[] = {"", "z", "rw", "r++", "+r", "w,", "bw"};
    nacre_sftp_file *f = NULL;
    char p[32];
    size_t n = 0;
    (void)state;
    begin();
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_int_equal(nacre_sftp_file_fopen(s, "/small", bad[i], NULL, &f),
                         NACRE_INVALID_ARGUMENT);
        assert_null(f);
    }
    assert_int_equal(nacre_sftp_file_fopen(s, "/none", "r", NULL, &f), NACRE_SFTP_STATUS);
    assert_int_equal(nacre_sftp_file_fopen(s, "/none", "r+b", NULL, &f), NACRE_SFTP_STATUS);
    assert_int_equal(nacre_sftp_file_fopen(s, "/small", "x", NULL, &f), NACRE_SFTP_STATUS);
    f = open_as("/x", "xb+");
    assert_int_equal(nacre_sftp_file_write(f, "12345", 5), NACRE_OK);
    assert_int_equal(nacre_sftp_file_seek(f, 0, SEEK_SET), NACRE_OK);
    assert_int_equal(nacre_sftp_file_read(f, p, 32, &n), NACRE_OK);
    assert_int_equal(n, 5);
    assert_int_equal(nacre_sftp_file_close(f), NACRE_OK);
    f = open_as("/x", "a+");
    assert_int_equal(nacre_sftp_file_tell(f), 5);
    assert_int_equal(nacre_sftp_file_seek(f, 1, SEEK_SET), NACRE_OK);
    assert_int_equal(nacre_sftp_file_read(f, p, 2, &n), NACRE_OK);
    assert_memory_equal(p, "23", 2);
    assert_int_equal(nacre_sftp_file_write(f, "67", 2), NACRE_OK);
    assert_int_equal(nacre_sftp_file_tell(f), 7);
    assert_int_equal(nacre_sftp_file_close(f), NACRE_OK);
    assert_memory_equal(node("/x")->data, "1234567", 7);
    f = open_as("/x", "w");
    assert_int_equal(nacre_sftp_file_read(f, p, 1, &n), NACRE_WRONG_STATE);
    assert_int_equal(nacre_sftp_file_close(f), NACRE_OK);
    assert_int_equal(node("/x")->size, 0);
    f = open_as("/x", "r");
    assert_int_equal(nacre_sftp_file_write(f, "a", 1), NACRE_WRONG_STATE);
    assert_int_equal(nacre_sftp_file_close(f), NACRE_OK);
    assert_int_equal(nacre_sftp_file_close(NULL), NACRE_OK);
    end();
}

/* Servers that do not know APPEND write where they are told. */
static bool where_appends_go(mem_server *m, uint8_t type, uint32_t id, nc_rd r, nc_wr *w)
{
    if (type == NACRE_FXP_WRITE) {
        (void)nc_rd_str(&r);
        if (nc_rd_u64(&r) == 10 + m->said) {
            m->said += (unsigned)nc_rd_str(&r).n;
        }
        mem_server_status(w, id, NACRE_FX_OK);
        return true;
    }
    return false;
}

static void appends_name_the_end(void **state)
{
    (void)state;
    server.script = where_appends_go;
    begin();
    nacre_sftp_file *f = open_as("/small", "a");
    assert_int_equal(nacre_sftp_file_write(f, "123", 3), NACRE_OK);
    assert_int_equal(nacre_sftp_file_seek(f, 0, SEEK_SET), NACRE_OK);
    assert_int_equal(nacre_sftp_file_write(f, "45", 2), NACRE_OK);
    assert_int_equal(nacre_sftp_file_flush(f), NACRE_OK);
    assert_int_equal(nacre_sftp_file_write(f, "6", 1), NACRE_OK);
    assert_int_equal(nacre_sftp_file_close(f), NACRE_OK);
    end();
    assert_int_equal(server.said, 6);
}

static void far_places(void **state)
{
    char p[4];
    size_t n = 0;
    (void)state;
    begin();
    nacre_sftp_file *f = open_as("/small", "r+");
    assert_int_equal(nacre_sftp_file_seek(f, INT64_MAX, SEEK_SET), NACRE_OK);
    assert_int_equal(nacre_sftp_file_tell(f), INT64_MAX);
    assert_int_equal(nacre_sftp_file_read(f, p, 4, &n), NACRE_END);
    assert_int_equal(nacre_sftp_file_seek(f, INT64_MAX, SEEK_CUR), NACRE_OK);
    assert_int_equal(nacre_sftp_file_read(f, p, 4, &n), NACRE_END);
    assert_int_equal(nacre_sftp_file_seek(f, 10, SEEK_CUR), NACRE_INVALID_ARGUMENT);
    assert_int_equal(nacre_sftp_file_write(f, "12345", 5), NACRE_TOO_LARGE);
    assert_int_equal(nacre_sftp_file_pread(f, UINT64_MAX - 2, p, 4, &n), NACRE_TOO_LARGE);
    assert_int_equal(nacre_sftp_file_pwrite(f, UINT64_MAX - 2, p, 4), NACRE_TOO_LARGE);
    assert_int_equal(nacre_sftp_file_seek(f, -11, SEEK_END), NACRE_INVALID_ARGUMENT);
    assert_int_equal(nacre_sftp_file_seek(f, INT64_MIN, SEEK_SET), NACRE_INVALID_ARGUMENT);
    assert_int_equal(nacre_sftp_file_seek(f, 0, 77), NACRE_INVALID_ARGUMENT);
    assert_int_equal(nacre_sftp_file_seek(f, -4, SEEK_END), NACRE_OK);
    assert_int_equal(nacre_sftp_file_read(f, p, 4, &n), NACRE_OK);
    assert_memory_equal(p, "6789", 4);
    assert_int_equal(nacre_sftp_file_close(f), NACRE_OK);
    end();
}

static void many_files_at_once(void **state)
{
    nacre_sftp_file *in[4];
    nacre_sftp_file *out[4];
    char name[16];
    size_t at = 0;
    (void)state;
    begin();
    for (int i = 0; i < 4; i++) {
        snprintf(name, sizeof(name), "/out%d", i);
        in[i] = open_as("/big", "r");
        out[i] = open_as(name, "w");
    }
    while (at < BIG) {
        size_t n = 0;
        for (int i = 0; i < 4; i++) {
            nacre_sftp_attrs a;
            assert_int_equal(nacre_sftp_file_read(in[i], got_bytes, 60000, &n), NACRE_OK);
            assert_memory_equal(got_bytes, pattern + at, n);
            assert_int_equal(nacre_sftp_file_write(out[i], got_bytes, n), NACRE_OK);
            assert_int_equal(nacre_sftp_stat(s, "/small", &a), NACRE_OK);
            assert_int_equal(a.size, 10);
        }
        at += n;
    }
    for (int i = 0; i < 4; i++) {
        assert_int_equal(nacre_sftp_file_close(in[i]), NACRE_OK);
        assert_int_equal(nacre_sftp_file_close(out[i]), NACRE_OK);
        snprintf(name, sizeof(name), "/out%d", i);
        assert_int_equal(node(name)->size, BIG);
        assert_memory_equal(node(name)->data, pattern, BIG);
    }
    end();
}

static void a_server_that_dies(void **state)
{
    size_t n = 0;
    (void)state;
    for (unsigned after = 4; after < 30; after++) {
        nacre_sftp_file *f = NULL;
        nacre_sftp_file *g = NULL;
        int rc = NACRE_OK;
        server.die_after = after;
        begin();
        rc = nacre_sftp_file_fopen(s, "/big", "r", NULL, &f);
        rc = rc == NACRE_OK ? nacre_sftp_file_fopen(s, "/new", "w", NULL, &g) : rc;
        while (rc == NACRE_OK) {
            rc = nacre_sftp_file_read(f, got_bytes, 10000, &n);
            rc = rc == NACRE_OK ? nacre_sftp_file_write(g, got_bytes, n) : rc;
        }
        assert_int_equal(rc, NACRE_CLOSED);
        assert_true(!f || nacre_sftp_file_close(f) == NACRE_CLOSED);
        assert_true(!g || nacre_sftp_file_close(g) == NACRE_CLOSED);
        end();
    }
}

static int short_session(nacre_sftp *session)
{
    nacre_sftp_file *f = NULL;
    char line[64];
    size_t n = 0;
    nacre_sftp_piece pieces[2] = {{.offset = 0, .p = line, .n = 5},
                                  {.offset = 5, .p = line, .n = 5}};
    int rc = nacre_sftp_file_fopen(session, "/work", "w+", NULL, &f);
    rc = rc == NACRE_OK ? nacre_sftp_file_write(f, pattern, 300000) : rc;
    rc = rc == NACRE_OK ? nacre_sftp_file_write(f, "line\n", 5) : rc;
    rc = rc == NACRE_OK ? nacre_sftp_file_seek(f, 0, SEEK_SET) : rc;
    rc = rc == NACRE_OK ? nacre_sftp_file_read(f, got_bytes, 300000, &n) : rc;
    if (rc == NACRE_OK) {
        assert_memory_equal(got_bytes, pattern, n);
    }
    rc = rc == NACRE_OK ? nacre_sftp_file_gets(f, line, sizeof(line), &n) : rc;
    rc = rc == NACRE_OK ? nacre_sftp_file_readv(f, pieces, 2) : rc;
    int closed = nacre_sftp_file_close(f);
    return rc == NACRE_OK ? closed : rc;
}

static void failing_memory(void **state)
{
    test_memory m;
    (void)state;
    for (test_memory_init(&m); test_memory_round(&m);) {
        nacre_sftp_options o;
        nacre_sftp_options_init(&o);
        o.allocator = &m.hooks;
        int rc = mem_server_open(&server, &o, &s);
        if (rc == NACRE_OK) {
            rc = short_session(s);
            mem_server_close(&server, s);
        }
        test_memory_judge(&m, rc);
    }
    assert_true(m.refused > 10);
}

#define ROW(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        ROW(a_small_file),
        ROW(reading_in_a_row),
        ROW(scattered_reads),
        ROW(bounded_reading_ahead),
        ROW(a_growing_file),
        ROW(odd_replies),
        ROW(errors_in_place),
        ROW(lines),
        ROW(several_places),
        ROW(small_writes),
        ROW(large_writes),
        ROW(late_errors_come_once),
        ROW(writes_that_wait),
        ROW(reads_see_writes),
        ROW(modes),
        ROW(appends_name_the_end),
        ROW(far_places),
        ROW(many_files_at_once),
        ROW(a_server_that_dies),
        ROW(failing_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
