/*
 * test_sftp.c - the blocking SFTP calls over pipes: against a scripted server that says what it likes.
 * It is a thread with one file in memory; each test sets how it misbehaves.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/buf.h"
#include "nacre/sftp_file.h"
#include "nacre/sftp_transfer.h"
#include "wire/rd.h"
#include "wire/wr.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FILE_SIZE = 700001, STORE = 1024 * 1024 };

typedef struct server {
    int fd;
    pthread_t thread;
    uint8_t file[STORE];
    size_t size;        /* of the file */
    uint64_t told_size; /* what FSTAT says */
    size_t most;        /* bytes of a READ reply at most: short replies */
    size_t die_after;   /* replies; 0: never */
    size_t fail_write;  /* offset from which WRITE is refused; 0: never */
    size_t lose_write;  /* offset from which WRITE is acknowledged but forgotten; 0: never */
    bool refuse_open;
} server;

static server the_server;
static char dir[64];

static bool read_all(int fd, uint8_t *p, size_t n)
{
    while (n > 0) {
        ssize_t r = read(fd, p, n);
        if (r <= 0) {
            return false;
        }
        p += r;
        n -= (size_t)r;
    }
    return true;
}

static void write_all(int fd, const uint8_t *p, size_t n)
{
    while (n > 0) {
        ssize_t r = send(fd, p, n, MSG_NOSIGNAL);
        if (r <= 0) {
            return;
        }
        p += r;
        n -= (size_t)r;
    }
}

static void put_status(nc_wr *w, uint32_t id, uint32_t code)
{
    nc_wr_u8(w, NACRE_FXP_STATUS);
    nc_wr_u32(w, id);
    nc_wr_u32(w, code);
    nc_wr_str(w, nc_span_cstr(""));
    nc_wr_str(w, nc_span_cstr(""));
}

static void put_data(server *s, nc_wr *w, uint32_t id, nc_rd *r)
{
    nc_rd_str(r);
    uint64_t offset = nc_rd_u64(r);
    size_t n = nc_rd_u32(r);
    if (offset >= s->size) {
        put_status(w, id, NACRE_FX_EOF);
        return;
    }
    n = n > s->size - offset ? s->size - (size_t)offset : n;
    n = s->most && n > s->most ? s->most : n;
    nc_wr_u8(w, NACRE_FXP_DATA);
    nc_wr_u32(w, id);
    nc_wr_str(w, nc_span(s->file + offset, n));
}

static void take_data(server *s, nc_wr *w, uint32_t id, nc_rd *r)
{
    nc_rd_str(r);
    size_t offset = (size_t)nc_rd_u64(r);
    nacre_span data = nc_rd_str(r);
    if (offset + data.n > STORE || (s->fail_write && offset + data.n > s->fail_write)) {
        put_status(w, id, NACRE_FX_FAILURE);
        return;
    }
    if (!s->lose_write || offset + data.n <= s->lose_write) {
        memcpy(s->file + offset, data.p, data.n);
        s->size = offset + data.n > s->size ? offset + data.n : s->size;
        s->told_size = s->size;
    }
    put_status(w, id, NACRE_FX_OK);
}

static void answer(server *s, nc_wr *w, uint8_t type, nc_rd *r)
{
    uint32_t id = nc_rd_u32(r);
    switch (type) {
    case NACRE_FXP_INIT:
        nc_wr_u8(w, NACRE_FXP_VERSION);
        nc_wr_u32(w, 3);
        break;
    case NACRE_FXP_OPEN:
        if (s->refuse_open) {
            put_status(w, id, NACRE_FX_NO_SUCH_FILE);
            break;
        }
        nc_wr_u8(w, NACRE_FXP_HANDLE);
        nc_wr_u32(w, id);
        nc_wr_str(w, nc_span_cstr("h"));
        break;
    case NACRE_FXP_FSTAT:
        nc_wr_u8(w, NACRE_FXP_ATTRS);
        nc_wr_u32(w, id);
        nc_wr_u32(w, NACRE_SFTP_ATTR_SIZE | NACRE_SFTP_ATTR_PERMISSIONS);
        nc_wr_u64(w, s->told_size);
        nc_wr_u32(w, NACRE_SFTP_S_IFREG | 0640);
        break;
    case NACRE_FXP_READ:
        put_data(s, w, id, r);
        break;
    case NACRE_FXP_WRITE:
        take_data(s, w, id, r);
        break;
    default:
        put_status(w, id, type == NACRE_FXP_CLOSE ? NACRE_FX_OK : NACRE_FX_OP_UNSUPPORTED);
        break;
    }
}

static void *serve(void *arg)
{
    server *s = arg;
    uint8_t *packet = malloc(STORE);
    uint8_t head[4];
    nc_buf out;
    nc_buf_init(&out, NULL, STORE);
    for (size_t replies = 0; packet && read_all(s->fd, head, 4); replies++) {
        nc_rd length = nc_rd_init(nc_span(head, 4));
        size_t n = nc_rd_u32(&length);
        if (n == 0 || n > STORE || !read_all(s->fd, packet, n) ||
            (s->die_after && replies >= s->die_after)) {
            break;
        }
        nc_rd r = nc_rd_init(nc_span(packet + 1, n - 1));
        nc_buf_reset(&out);
        nc_wr w = nc_wr_init(&out);
        size_t mark = nc_wr_begin_str(&w);
        answer(s, &w, packet[0], &r);
        nc_wr_end_str(&w, mark);
        write_all(s->fd, out.data, out.len);
    }
    close(s->fd);
    nc_buf_clear(&out);
    free(packet);
    return NULL;
}

static nacre_sftp *begin(void)
{
    int fds[2];
    nacre_sftp *s = NULL;
    nacre_error err = {0};
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
    the_server.fd = fds[1];
    assert_int_equal(pthread_create(&the_server.thread, NULL, serve, &the_server), 0);
    assert_int_equal(nacre_sftp_open_pipe(&s, fds[0], fds[0], NULL, &err), NACRE_OK);
    return s;
}

static void end(nacre_sftp *s)
{
    nacre_sftp_close(s);
    pthread_join(the_server.thread, NULL);
}

static int set_up(void **state)
{
    (void)state;
    memset(&the_server, 0, sizeof(the_server));
    for (size_t i = 0; i < FILE_SIZE; i++) {
        the_server.file[i] = (uint8_t)(i * 2654435761u >> 13);
    }
    the_server.size = the_server.told_size = FILE_SIZE;
    snprintf(dir, sizeof(dir), "/tmp/nacre-sftp-XXXXXX");
    return mkdtemp(dir) && chdir(dir) == 0 ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    unlink("target");
    return chdir("/") == 0 && rmdir(dir) == 0 ? 0 : -1; /* fails when something was left behind */
}

static void write_target(const void *p, size_t n)
{
    FILE *f = fopen("target", "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(p, 1, n, f), n);
    assert_int_equal(fclose(f), 0);
}

static void check_target(const void *p, size_t n)
{
    FILE *f = fopen("target", "rb");
    uint8_t *got = malloc(STORE);
    assert_non_null(f);
    assert_non_null(got);
    assert_int_equal(fread(got, 1, STORE, f), n);
    assert_memory_equal(got, p, n);
    free(got);
    fclose(f);
}

static void get_is_whole(void **state)
{
    static const size_t most[] = {0, 1000, 32767, 32768};
    (void)state;
    for (size_t i = 0; i < 4; i++) {
        the_server.most = most[i];
        nacre_sftp *s = begin();
        assert_int_equal(nacre_sftp_get(s, "/f", "target", NULL), NACRE_OK);
        check_target(the_server.file, FILE_SIZE);
        end(s);
    }
}

static void get_reads_on_beyond_the_size(void **state)
{
    static const uint64_t sizes[] = {0, 1, FILE_SIZE - 1, 100000};
    (void)state;
    for (size_t i = 0; i < 4; i++) {
        the_server.told_size = sizes[i];
        nacre_sftp *s = begin();
        assert_int_equal(nacre_sftp_get(s, "/f", "target", NULL), NACRE_OK);
        check_target(the_server.file, FILE_SIZE);
        end(s);
    }
}

/* Every failure leaves the target as it was, and nothing beside it (tear_down's rmdir). */
static void failing_get(int expected)
{
    write_target("what was there", 14);
    nacre_sftp *s = begin();
    assert_int_equal(nacre_sftp_get(s, "/f", "target", NULL), expected);
    assert_int_equal(nacre_sftp_error(s)->status, expected);
    assert_true(nacre_sftp_error(s)->text[0] != '\0');
    check_target("what was there", 14);
    end(s);
}

static void get_of_nothing(void **state)
{
    (void)state;
    the_server.refuse_open = true;
    failing_get(NACRE_SFTP_STATUS);
}

static void get_that_ends_early(void **state)
{
    (void)state;
    the_server.told_size = FILE_SIZE + 1;
    failing_get(NACRE_INCOMPLETE);
}

static void get_from_a_dying_server(void **state)
{
    (void)state;
    for (size_t replies = 2; replies < 12; replies += 3) {
        the_server.die_after = replies;
        failing_get(NACRE_CLOSED);
    }
}

static void get_onto_a_full_disk(void **state)
{
    (void)state;
    nacre_sftp *s = begin();
    assert_int_equal(nacre_sftp_get(s, "/f", "/dev/full", NULL), NACRE_IO);
    assert_non_null(strstr(nacre_sftp_error(s)->text, "/dev/full"));
    assert_int_equal(nacre_sftp_get(s, "/f", "target", NULL), NACRE_OK); /* the session lives on */
    check_target(the_server.file, FILE_SIZE);
    end(s);
}

static void put_is_whole(void **state)
{
    uint8_t *copy = malloc(FILE_SIZE);
    (void)state;
    assert_non_null(copy);
    memcpy(copy, the_server.file, FILE_SIZE);
    write_target(copy, FILE_SIZE);
    memset(the_server.file, 0, STORE);
    the_server.size = 0;
    nacre_sftp *s = begin();
    assert_int_equal(nacre_sftp_put(s, "target", "/f", NULL), NACRE_OK);
    end(s);
    assert_int_equal(the_server.size, FILE_SIZE);
    assert_memory_equal(the_server.file, copy, FILE_SIZE);
    free(copy);
}

static void put_says_what_is_there(void **state)
{
    (void)state;
    write_target(the_server.file, FILE_SIZE);
    the_server.size = the_server.told_size = 0;
    the_server.fail_write = 300000;
    nacre_sftp *s = begin();
    assert_int_equal(nacre_sftp_put(s, "target", "/f", NULL), NACRE_SFTP_STATUS);
    assert_non_null(strstr(nacre_sftp_error(s)->text, "of 700001 bytes are there"));
    end(s);
}

static void put_notices_a_lie(void **state)
{
    (void)state;
    write_target(the_server.file, FILE_SIZE);
    the_server.size = the_server.told_size = 0;
    the_server.lose_write = 300000;
    nacre_sftp *s = begin();
    assert_int_equal(nacre_sftp_put(s, "target", "/f", NULL), NACRE_INCOMPLETE);
    end(s);
}

static void files_in_pieces(void **state)
{
    nacre_sftp_file *f = NULL;
    uint8_t *got = malloc(STORE);
    size_t n = 0;
    (void)state;
    assert_non_null(got);
    nacre_sftp *s = begin();
    assert_int_equal(nacre_sftp_file_open(s, "/f", NACRE_FXF_READ | NACRE_FXF_WRITE, 0, &f), 0);
    assert_int_equal(nacre_sftp_file_pread(f, 5, got, 200000, &n), NACRE_OK);
    assert_int_equal(n, 200000);
    assert_memory_equal(got, the_server.file + 5, n);
    assert_int_equal(nacre_sftp_file_pread(f, FILE_SIZE - 10, got, STORE, &n), NACRE_OK);
    assert_int_equal(n, 10);
    assert_int_equal(nacre_sftp_file_pread(f, FILE_SIZE, got, 1, &n), NACRE_END);
    assert_int_equal(nacre_sftp_file_pwrite(f, 100, "new", 3), NACRE_OK);
    assert_int_equal(nacre_sftp_file_close(f), NACRE_OK);
    end(s);
    assert_memory_equal(the_server.file + 100, "new", 3);
    free(got);
}

#define ROW(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        ROW(get_is_whole),        ROW(get_reads_on_beyond_the_size), ROW(get_of_nothing),
        ROW(get_that_ends_early), ROW(get_from_a_dying_server),      ROW(get_onto_a_full_disk),
        ROW(put_is_whole),        ROW(put_says_what_is_there),       ROW(put_notices_a_lie),
        ROW(files_in_pieces),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
