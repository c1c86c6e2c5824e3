/*
 * test_sftp_options.c - what a transfer is told to do: atomic, preserve, sync, rate, progress, cancelling,
 * timeouts, odd names, and no memory. Against this library's own server, a thread with a real directory,
 * that can fall silent.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/mem.h"
#include "nacre/local_files.h"
#include "nacre/loop.h"
#include "nacre/sftp_server.h"
#include "nacre/sftp_transfer.h"
#include "support/memory.h"

#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FILE_SIZE = 700001, OLD_ATIME = 1100000000, OLD_MTIME = 1000000000 };

/* ---- the server ---- */

typedef struct server {
    int fd;
    pthread_t thread;
    atomic_bool silent; /* takes everything, answers nothing any more */
} server;

static server the_server;
static char dir[64];
static uint8_t content[FILE_SIZE];

static int send_some(void *ctx, const void *p, size_t n, size_t *took)
{
    server *s = ctx;
    *took = 0;
    while (*took < n) {
        ssize_t r = atomic_load(&s->silent)
                        ? (ssize_t)(n - *took)
                        : send(s->fd, (const uint8_t *)p + *took, n - *took, MSG_NOSIGNAL);
        if (r <= 0) {
            return NACRE_CLOSED;
        }
        *took += (size_t)r;
    }
    return NACRE_OK;
}

static void *serve(void *arg)
{
    server *s = arg;
    static uint8_t in[64 * 1024];
    nacre_local_files *files = NULL;
    nacre_sftp_server *sftp = NULL;
    nacre_local_files_options lo;
    nacre_sftp_server_options so;
    nacre_pipe pipe = {.ctx = s, .write = send_some};
    nacre_local_files_options_init(&lo);
    nacre_sftp_server_options_init(&so);
    int rc = nacre_local_files_new(&files, &lo, NULL);
    if (rc == NACRE_OK) {
        rc = nacre_sftp_server_new(&sftp, &pipe, nacre_local_files_ops(), files, &so, NULL);
    }
    ssize_t n;
    while (rc == NACRE_OK && (n = read(s->fd, in, sizeof(in))) > 0) {
        rc = nacre_sftp_server_input(sftp, (nacre_span){in, (size_t)n});
        while (rc == NACRE_OK && nacre_sftp_server_wants_write(sftp)) {
            rc = nacre_sftp_server_flush(sftp);
        }
    }
    nacre_sftp_server_free(sftp);
    nacre_local_files_free(files);
    close(s->fd);
    return NULL;
}

static int begin_with(nacre_sftp **s, const nacre_allocator *a)
{
    int fds[2];
    nacre_sftp_options o;
    nacre_error err = {0};
    nacre_sftp_options_init(&o);
    o.allocator = a;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
    the_server.fd = fds[1];
    atomic_store(&the_server.silent, false);
    assert_int_equal(pthread_create(&the_server.thread, NULL, serve, &the_server), 0);
    int rc = nacre_sftp_open_pipe(s, fds[0], fds[0], &o, &err);
    if (rc != NACRE_OK) {
        close(fds[0]);
        pthread_join(the_server.thread, NULL);
    }
    return rc;
}

static nacre_sftp *begin(void)
{
    nacre_sftp *s = NULL;
    assert_int_equal(begin_with(&s, NULL), NACRE_OK);
    return s;
}

static void end(nacre_sftp *s)
{
    nacre_sftp_close(s);
    pthread_join(the_server.thread, NULL);
}

/* ---- files ---- */

static int set_up(void **state)
{
    (void)state;
    for (size_t i = 0; i < FILE_SIZE; i++) {
        content[i] = (uint8_t)(i * 2654435761u >> 13);
    }
    umask(022);
    snprintf(dir, sizeof(dir), "/tmp/nacre-sftp-XXXXXX");
    return mkdtemp(dir) && chdir(dir) == 0 ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    unlink("source");
    unlink("target");
    return chdir("/") == 0 && rmdir(dir) == 0 ? 0 : -1; /* fails when something was left behind */
}

static void write_file(const char *name, const void *p, size_t n, mode_t mode)
{
    FILE *f = fopen(name, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(p, 1, n, f), n);
    assert_int_equal(fclose(f), 0);
    assert_int_equal(chmod(name, mode), 0);
}

static bool holds(const char *name, const void *p, size_t n)
{
    FILE *f = fopen(name, "rb");
    uint8_t *got = malloc(FILE_SIZE + 1);
    bool same = f && got && fread(got, 1, FILE_SIZE + 1, f) == n && memcmp(got, p, n) == 0;
    free(got);
    if (f) {
        fclose(f);
    }
    return same;
}

static mode_t mode_of(const char *name)
{
    struct stat st;
    assert_int_equal(stat(name, &st), 0);
    return st.st_mode & 07777;
}

typedef int (*transfer)(nacre_sftp *s, const char *from, const char *to,
                        const nacre_sftp_transfer_options *o);
static const transfer both[] = {nacre_sftp_get, nacre_sftp_put};

/* ---- options ---- */

typedef struct watch {
    nacre_sftp *s;
    unsigned calls;
    unsigned stop_at; /* the call that says no; 0: none */
    bool cancels;     /* by nacre_sftp_cancel, rather than by its answer */
    bool silences;
    const char *old; /* what the target has to hold meanwhile */
    uint64_t first, last, total;
    uint64_t last_ms, shortest_ms; /* between calls, the final one apart */
    uint64_t gap_ms;
    bool backwards;
} watch;

static bool on_progress(void *user, const char *path, uint64_t done, uint64_t total)
{
    watch *w = user;
    uint64_t now = nacre_loop_now(NULL);
    assert_non_null(path);
    if (w->old) {
        assert_true(holds("target", w->old, strlen(w->old)) || done == total);
    }
    w->first = w->calls == 0 ? done : w->first;
    w->backwards = w->backwards || done < w->last;
    /* The gap before this call counts once another follows: the last may come at any time. */
    w->shortest_ms = w->calls > 1 && w->gap_ms < w->shortest_ms ? w->gap_ms : w->shortest_ms;
    w->gap_ms = now - w->last_ms;
    w->last_ms = now;
    w->last = done;
    w->total = total;
    w->calls++;
    if (w->silences) {
        atomic_store(&the_server.silent, true);
    }
    if (w->cancels && w->calls == w->stop_at) {
        nacre_sftp_cancel(w->s);
        return true;
    }
    return w->calls != w->stop_at;
}

static nacre_sftp_transfer_options watched(watch *w)
{
    nacre_sftp_transfer_options o;
    nacre_sftp_transfer_options_init(&o);
    o.progress = on_progress;
    o.user = w;
    return o;
}

static void atomic_put_replaces_at_the_end(void **state)
{
    (void)state;
    write_file("source", content, FILE_SIZE, 0600);
    write_file("target", "old", 3, 0640);
    nacre_sftp *s = begin();
    watch w = {.s = s, .old = "old", .shortest_ms = UINT64_MAX};
    nacre_sftp_transfer_options o = watched(&w);
    o.atomic = true;
    assert_int_equal(nacre_sftp_put(s, "source", "target", &o), NACRE_OK);
    assert_true(w.calls >= 2);
    assert_true(holds("target", content, FILE_SIZE));
    assert_int_equal(mode_of("target"), 0640); /* what is replaced keeps its mode */
    unlink("target");
    w.old = NULL;
    assert_int_equal(nacre_sftp_put(s, "source", "target", &o), NACRE_OK);
    assert_int_equal(mode_of("target"), 0600);
    end(s);
}

static void atomic_put_that_fails_changes_nothing(void **state)
{
    (void)state;
    write_file("source", content, FILE_SIZE, 0600);
    write_file("target", "old", 3, 0640);
    nacre_sftp *s = begin();
    for (unsigned at = 1; at <= 2; at++) {
        watch w = {.s = s, .stop_at = at, .old = "old"};
        nacre_sftp_transfer_options o = watched(&w);
        o.atomic = true;
        o.progress_ms = 1;
        o.in_flight = 64 * 1024;
        assert_int_equal(nacre_sftp_put(s, "source", "target", &o), NACRE_CANCELLED);
        assert_true(holds("target", "old", 3));
    }
    end(s); /* and tear_down finds no temporary file */
}

static void preserve_keeps_mode_and_times(void **state)
{
    const struct timespec old[2] = {{.tv_sec = OLD_ATIME}, {.tv_sec = OLD_MTIME}};
    (void)state;
    for (size_t way = 0; way < 2; way++) {
        for (int there = 0; there < 2; there++) {
            struct stat st;
            nacre_sftp_transfer_options o;
            nacre_sftp_transfer_options_init(&o);
            write_file("source", content, 1000, 0751);
            unlink("target");
            if (there) {
                write_file("target", "old", 3, 0600);
            }
            assert_int_equal(utimensat(AT_FDCWD, "source", old, 0), 0);
            o.preserve = true;
            nacre_sftp *s = begin();
            assert_int_equal(both[way](s, "source", "target", &o), NACRE_OK);
            assert_int_equal(stat("target", &st), 0);
            assert_int_equal(st.st_mtime, OLD_MTIME);
            assert_int_equal(st.st_atime, OLD_ATIME);
            assert_int_equal(st.st_mode & 07777, 0751);
            o.preserve = false;
            unlink("target");
            assert_int_equal(both[way](s, "source", "target", &o), NACRE_OK);
            assert_int_equal(stat("target", &st), 0);
            assert_int_not_equal(st.st_mtime, OLD_MTIME);
            end(s);
        }
    }
}

static void sync_and_offset(void **state)
{
    (void)state;
    for (size_t way = 0; way < 2; way++) {
        nacre_sftp_transfer_options o;
        nacre_sftp_transfer_options_init(&o);
        write_file("source", content, FILE_SIZE, 0600);
        write_file("target", content, 300000, 0600);
        nacre_sftp *s = begin();
        assert_true(nacre_sftp_has(s, NACRE_SFTP_EXT_FSYNC));
        o.sync = true;
        o.offset = 300000;
        assert_int_equal(both[way](s, "source", "target", &o), NACRE_OK);
        assert_true(holds("target", content, FILE_SIZE));
        end(s);
    }
}

static void rate_is_kept(void **state)
{
    (void)state;
    write_file("source", content, FILE_SIZE, 0600);
    for (size_t way = 0; way < 2; way++) {
        nacre_sftp *s = begin();
        watch w = {.s = s, .shortest_ms = UINT64_MAX};
        nacre_sftp_transfer_options o = watched(&w);
        o.rate = 1400002; /* half a second */
        o.progress_ms = 50;
        uint64_t start = nacre_loop_now(NULL);
        assert_int_equal(both[way](s, "source", "target", &o), NACRE_OK);
        uint64_t took = nacre_loop_now(NULL) - start;
        assert_in_range(took, 400, 20000);
        assert_true(holds("target", content, FILE_SIZE));
        /* What was told meanwhile: from nothing to all, forwards, not oftener than asked. */
        assert_int_equal(w.first, 0);
        assert_int_equal(w.last, FILE_SIZE);
        assert_int_equal(w.total, FILE_SIZE);
        assert_false(w.backwards);
        assert_in_range(w.calls, 4, took / 50 + 2);
        assert_true(w.shortest_ms >= 49);
        end(s);
    }
}

static void progress_of_an_empty_file(void **state)
{
    (void)state;
    write_file("source", "", 0, 0600);
    for (size_t way = 0; way < 2; way++) {
        nacre_sftp *s = begin();
        watch w = {.s = s, .shortest_ms = UINT64_MAX};
        nacre_sftp_transfer_options o = watched(&w);
        assert_int_equal(both[way](s, "source", "target", &o), NACRE_OK);
        assert_int_equal(w.calls, 2);
        assert_int_equal(w.last, 0);
        assert_true(holds("target", "", 0));
        end(s);
    }
}

/* ---- ending early ---- */

static void cancelling_leaves_the_session(void **state)
{
    (void)state;
    write_file("source", content, FILE_SIZE, 0600);
    for (int by_call = 0; by_call < 2; by_call++) {
        nacre_sftp *s = begin();
        watch w = {.s = s, .stop_at = 2, .cancels = by_call};
        nacre_sftp_transfer_options o = watched(&w);
        o.progress_ms = 1;
        o.rate = 500000;
        write_file("target", "old", 3, 0600);
        assert_int_equal(nacre_sftp_get(s, "source", "target", &o), NACRE_CANCELLED);
        assert_true(holds("target", "old", 3));
        assert_int_equal(nacre_sftp_error(s)->status, NACRE_CANCELLED);
        w = (watch){.s = s, .stop_at = 2, .cancels = by_call};
        assert_int_equal(nacre_sftp_put(s, "source", "target", &o), NACRE_CANCELLED);
        assert_non_null(strstr(nacre_sftp_error(s)->text, "of 700001 bytes are there"));
        assert_int_equal(nacre_sftp_get(s, "source", "target", NULL), NACRE_OK);
        assert_true(holds("target", content, FILE_SIZE));
        end(s);
    }
}

static void silence_ends_in_a_timeout(void **state)
{
    (void)state;
    write_file("source", content, FILE_SIZE, 0600);
    for (size_t way = 0; way < 2; way++) {
        for (uint64_t rate = 0; rate <= 10000000; rate += 10000000) {
            write_file("target", "old", 3, 0600);
            nacre_sftp *s = begin();
            watch w = {.s = s, .silences = true};
            nacre_sftp_transfer_options o = watched(&w);
            o.rate = rate;
            nacre_sftp_set_timeout(s, 150);
            uint64_t start = nacre_loop_now(NULL);
            assert_int_equal(both[way](s, "source", "target", &o), NACRE_TIMEOUT);
            assert_in_range(nacre_loop_now(NULL) - start, 140, 20000);
            assert_true(nacre_sftp_error(s)->text[0] != '\0');
            if (way == 0) {
                assert_true(holds("target", "old", 3));
            }
            end(s);
        }
    }
}

/* ---- names and directories ---- */

static void odd_names(void **state)
{
    static const char *const names[] = {"with space", "new\nline", "-rf",  "gr\xc3\xbc\xc3\x9f",
                                        "\xff\xfe",   "'\"\\*?[",  "%s%n", " ",
                                        "tab\t"};
    enum { COUNT = sizeof(names) / sizeof(names[0]) };
    (void)state;
    write_file("source", content, 1000, 0600);
    nacre_sftp *s = begin();
    nacre_sftp_list list;
    size_t seen = 0;
    assert_int_equal(nacre_sftp_mkdir(s, "d", 0755), NACRE_OK);
    assert_int_equal(nacre_sftp_mkdir(s, "d", 0755), NACRE_SFTP_STATUS);
    for (size_t i = 0; i < COUNT; i++) {
        char path[64];
        snprintf(path, sizeof(path), "d/%s", names[i]);
        assert_int_equal(nacre_sftp_put(s, "source", path, NULL), NACRE_OK);
        assert_int_equal(nacre_sftp_get(s, path, "target", NULL), NACRE_OK);
        assert_true(holds("target", content, 1000));
    }
    assert_int_equal(nacre_sftp_listdir(s, "d", &list), NACRE_OK);
    assert_int_equal(list.count, COUNT);
    for (size_t i = 0; i < COUNT; i++) {
        char path[64];
        for (size_t k = 0; k < list.count; k++) {
            seen += strcmp((const char *)list.entries[k].name.p, names[i]) == 0 ? 1 : 0;
        }
        snprintf(path, sizeof(path), "d/%s", names[i]);
        assert_int_equal(nacre_sftp_remove(s, path), NACRE_OK);
    }
    assert_int_equal(seen, COUNT);
    nacre_sftp_list_free(&list);
    assert_int_equal(nacre_sftp_rmdir(s, "d"), NACRE_OK);
    end(s);
}

static void directories_are_not_files(void **state)
{
    (void)state;
    write_file("source", content, 1000, 0600);
    nacre_sftp *s = begin();
    assert_int_equal(nacre_sftp_mkdir(s, "d", 0700), NACRE_OK);
    assert_int_not_equal(nacre_sftp_get(s, "d", "target", NULL), NACRE_OK);
    assert_int_not_equal(access("target", F_OK), 0);
    assert_int_equal(nacre_sftp_get(s, "source", "d", NULL), NACRE_INVALID_ARGUMENT);
    assert_int_equal(nacre_sftp_put(s, "d", "target", NULL), NACRE_INVALID_ARGUMENT);
    assert_int_equal(nacre_sftp_put(s, "source", "d", NULL), NACRE_SFTP_STATUS);
    assert_int_equal(nacre_sftp_put(s, "source", "no/such/dir", NULL), NACRE_SFTP_STATUS);
    assert_int_equal(nacre_sftp_get(s, "source", "no/such/dir", NULL), NACRE_IO);
    assert_int_equal(nacre_sftp_put(s, "nothing", "target", NULL), NACRE_IO);
    assert_int_equal(nacre_sftp_rmdir(s, "d"), NACRE_OK);
    end(s);
}

/* ---- no memory ---- */

/* What was put under a temporary name stays there when there is no memory to ask for its removal. */
static unsigned drop_temporaries(void)
{
    unsigned n = 0;
    DIR *d = opendir(".");
    assert_non_null(d);
    for (struct dirent *e = readdir(d); e; e = readdir(d)) {
        if (strncmp(e->d_name, ".target.", 8) == 0) {
            assert_int_equal(unlink(e->d_name), 0);
            n++;
        }
    }
    closedir(d);
    return n;
}

/* Each allocation fails in turn: an error or success, no half file. */
static void without_memory(transfer move, bool armed_at_once)
{
    test_memory m;
    for (test_memory_init(&m); test_memory_round(&m);) {
        nacre_sftp *s = NULL;
        nacre_sftp_transfer_options o;
        nacre_sftp_transfer_options_init(&o);
        o.atomic = true;
        write_file("target", "old", 3, 0600);
        m.paused = !armed_at_once;
        int rc = begin_with(&s, &m.hooks);
        if (rc != NACRE_OK) {
            test_memory_judge(&m, rc);
            continue;
        }
        m.paused = false;
        rc = move(s, "source", "target", &o);
        m.paused = true;
        test_memory_judge(&m, rc);
        assert_true(rc == NACRE_OK || nacre_sftp_error(s)->status == NACRE_NO_MEMORY);
        end(s);
        unsigned stayed = drop_temporaries();
        assert_true(stayed == 0 || (m.for_good && move == both[1]));
        assert_true(rc == NACRE_OK ? holds("target", content, FILE_SIZE)
                                   : holds("target", "old", 3));
    }
    assert_true(m.refused > 1);
}

static void every_allocation_may_fail(void **state)
{
    (void)state;
    write_file("source", content, FILE_SIZE, 0600);
    for (size_t way = 0; way < 2; way++) {
        without_memory(both[way], false);
        without_memory(both[way], true);
    }
}

#define ROW(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        ROW(atomic_put_replaces_at_the_end),
        ROW(atomic_put_that_fails_changes_nothing),
        ROW(preserve_keeps_mode_and_times),
        ROW(sync_and_offset),
        ROW(rate_is_kept),
        ROW(progress_of_an_empty_file),
        ROW(cancelling_leaves_the_session),
        ROW(silence_ends_in_a_timeout),
        ROW(odd_names),
        ROW(directories_are_not_files),
        ROW(every_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
