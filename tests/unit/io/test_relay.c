/*
 * test_relay.c - two drivers on a socket pair, a relay on each: a client's files on one side, a program
 * on the other.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "fake_engine.h"
#include "io/fd.h"
#include "nacre/loop.h"
#include "nacre/process.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

typedef struct side {
    nacre_transport *t;
    nacre_driver *d;
    nacre_relay *r;
    nacre_relay_result result;
    bool finished, closed, data, eof, peer_closed;
    nacre_error why;
} side;

typedef struct pair {
    nacre_loop *loop;
    side client, server;
} pair;

static void on_event(void *user, nacre_driver *d, const nacre_event *ev)
{
    side *s = user;
    (void)d;
    s->data = s->data || ev->type == NACRE_EVENT_CHANNEL_DATA;
    s->eof = s->eof || ev->type == NACRE_EVENT_CHANNEL_EOF;
    s->peer_closed = s->peer_closed || ev->type == NACRE_EVENT_CHANNEL_PEER_CLOSED;
    if (s->r) {
        assert_true(nacre_relay_event(s->r, ev));
    }
}

static void on_closed(void *user, nacre_driver *d, const nacre_error *why)
{
    side *s = user;
    (void)d;
    s->closed = true;
    s->why = *why;
}

static void on_finished(void *user, nacre_relay *r, const nacre_relay_result *result)
{
    side *s = user;
    (void)r;
    assert_false(s->finished);
    s->finished = true;
    s->result = *result;
}

static void begin_side(pair *p, side *s, int fd)
{
    nacre_driver_options o;
    nacre_driver_options_init(&o);
    o.on_event = on_event;
    o.on_closed = on_closed;
    o.user = s;
    s->t = fake_transport_new();
    assert_int_equal(nacre_driver_new(&s->d, p->loop, s->t, fd, fd, &o, NULL), NACRE_OK);
}

static void begin(pair *p)
{
    int fds[2];
    memset(p, 0, sizeof(*p));
    assert_int_equal(nacre_loop_new(&p->loop, NULL, NULL), NACRE_OK);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    begin_side(p, &p->client, fds[0]);
    begin_side(p, &p->server, fds[1]);
}

static void relay(pair *p, side *s, nacre_relay_options *o)
{
    o->on_finished = on_finished;
    o->user = s;
    assert_int_equal(nacre_relay_new(&s->r, p->loop, s->d, fake_channel(s->t), o, NULL), NACRE_OK);
}

static void run_until_finished(pair *p)
{
    uint64_t until = nacre_loop_now(NULL) + 60000;
    while (!p->client.finished || !p->server.finished) {
        assert_int_equal(nacre_loop_run_once(p->loop, 1000), NACRE_OK);
        assert_true(nacre_loop_now(NULL) < until);
    }
}

static void run_until(pair *p, const bool *done)
{
    uint64_t until = nacre_loop_now(NULL) + 20000;
    while (!*done) {
        assert_int_equal(nacre_loop_run_once(p->loop, 1000), NACRE_OK);
        assert_true(nacre_loop_now(NULL) < until);
    }
}

static void end(pair *p)
{
    nacre_relay_free(p->client.r);
    nacre_relay_free(p->server.r);
    nacre_driver_free(p->client.d);
    nacre_driver_free(p->server.d);
    nacre_transport_free(p->client.t);
    nacre_transport_free(p->server.t);
    nacre_loop_free(p->loop);
}

static void serve(pair *p, nacre_stdio stdio, char *const *argv)
{
    nacre_spawn_options so;
    nacre_process proc;
    nacre_relay_options o;
    nacre_error err = {0};
    nacre_spawn_options_init(&so);
    nacre_relay_options_init(&o);
    so.argv = argv;
    so.stdio = stdio;
    so.pty.columns = 80;
    so.pty.rows = 24;
    assert_int_equal(nacre_spawn(&so, &proc, &err), NACRE_OK);
    o.source = proc.pty >= 0 ? proc.pty : proc.out;
    o.source_err = proc.err;
    o.sink = proc.pty >= 0 ? proc.pty : proc.in;
    o.child = proc.pid;
    relay(p, &p->server, &o);
}

static int temp_file(void)
{
    char name[] = "/tmp/nacre-relay-XXXXXX";
    int fd = mkstemp(name);
    assert_true(fd >= 0);
    unlink(name);
    return fd;
}

static void client_by(pair *p, int in, int out, int err,
                      size_t (*filter)(void *user, const uint8_t *in, size_t n, uint8_t *out))
{
    nacre_relay_options o;
    nacre_relay_options_init(&o);
    o.source = in;
    o.sink = out;
    o.sink_err = err;
    o.shared = true;
    o.peer_closes = true;
    o.filter = filter;
    relay(p, &p->client, &o);
}

static void client(pair *p, int in, int out, int err)
{
    client_by(p, in, out, err, NULL);
}

static void begin_with_cat(pair *p)
{
    char *argv[] = {"cat", NULL};
    begin(p);
    serve(p, NACRE_STDIO_PIPES, argv);
}

static size_t slurp(int fd, char *out, size_t size)
{
    ssize_t n = pread(fd, out, size - 1, 0);
    assert_true(n >= 0);
    out[n] = '\0';
    return (size_t)n;
}

static void test_bulk_through_cat(void **state)
{
    (void)state;
    enum { MEGABYTES = 100, CHUNK = 1 << 20 };
    pair p;
    int in = temp_file(), out = temp_file();
    uint8_t *chunk = malloc(CHUNK), *back = malloc(CHUNK);
    uint32_t x = 1;
    for (size_t i = 0; i < CHUNK; i++) {
        x = x * 1664525u + 1013904223u;
        chunk[i] = (uint8_t)(x >> 24);
    }
    for (int i = 0; i < MEGABYTES; i++) {
        chunk[0] = (uint8_t)i;
        assert_int_equal(write(in, chunk, CHUNK), CHUNK);
    }
    assert_int_equal(lseek(in, 0, SEEK_SET), 0);
    for (int kind = 0; kind < 2; kind++) {
        begin(&p);
        char *argv[] = {"cat", NULL};
        serve(&p, kind ? NACRE_STDIO_SOCKETS : NACRE_STDIO_PIPES, argv);
        assert_int_equal(lseek(in, 0, SEEK_SET), 0);
        assert_int_equal(lseek(out, 0, SEEK_SET), 0);
        assert_int_equal(ftruncate(out, 0), 0);
        client(&p, in, out, -1);
        run_until_finished(&p);
        assert_true(p.client.result.exited);
        assert_int_equal(p.client.result.status, 0);
        assert_int_equal(p.client.result.bytes_in, (size_t)MEGABYTES * CHUNK);
        assert_int_equal(p.client.result.bytes_out, (size_t)MEGABYTES * CHUNK);
        for (int i = 0; i < MEGABYTES; i++) {
            chunk[0] = (uint8_t)i;
            assert_int_equal(pread(out, back, CHUNK, (off_t)i * CHUNK), CHUNK);
            assert_memory_equal(back, chunk, CHUNK);
        }
        end(&p);
    }
    free(chunk);
    free(back);
    close(in);
    close(out);
}

static void test_streams_and_status(void **state)
{
    (void)state;
    pair p;
    char text[64];
    int in = open("/dev/null", O_RDONLY), out = temp_file(), err = temp_file();
    char *argv[] = {"/bin/sh", "-c", "cat; echo out; echo err >&2; exit 42", NULL};
    begin(&p);
    serve(&p, NACRE_STDIO_PIPES, argv);
    client(&p, in, out, err);
    run_until_finished(&p);
    assert_int_equal(slurp(out, text, sizeof(text)), 4);
    assert_string_equal(text, "out\n");
    assert_int_equal(slurp(err, text, sizeof(text)), 4);
    assert_string_equal(text, "err\n");
    assert_true(p.client.result.exited);
    assert_int_equal(p.client.result.status, 42);
    assert_int_equal(p.server.result.status, 42);
    assert_false(p.server.result.child_alive);
    end(&p);
    /* Inherited descriptors are as they were: open, and blocking. */
    assert_int_equal(fcntl(in, F_GETFL) & O_NONBLOCK, 0);
    assert_int_equal(fcntl(out, F_GETFL) & O_NONBLOCK, 0);
    close(in);
    close(out);
    close(err);
}

static void test_signal(void **state)
{
    (void)state;
    pair p;
    int in = open("/dev/null", O_RDONLY), out = temp_file();
    char *argv[] = {"/bin/sh", "-c", "kill -TERM $$", NULL};
    begin(&p);
    serve(&p, NACRE_STDIO_PIPES, argv);
    client(&p, in, out, -1);
    run_until_finished(&p);
    assert_false(p.client.result.exited);
    assert_string_equal(p.client.result.signal, "TERM");
    end(&p);
    close(in);
    close(out);
}

static void test_pty(void **state)
{
    (void)state;
    pair p;
    char text[64];
    int in = open("/dev/null", O_RDONLY), out = temp_file();
    char *argv[] = {"/bin/sh", "-c", "test -t 0 && test -t 1 && echo tty; exit 3", NULL};
    begin(&p);
    serve(&p, NACRE_STDIO_PTY, argv);
    client(&p, in, out, -1);
    run_until_finished(&p);
    (void)slurp(out, text, sizeof(text));
    assert_string_equal(text, "tty\r\n");
    assert_int_equal(p.client.result.status, 3);
    end(&p);
    close(in);
    close(out);
}

/* stdout | head: the reader goes, the endless program must end, nobody dies of SIGPIPE. */
static void test_closed_stdout(void **state)
{
    (void)state;
    pair p;
    int in = open("/dev/null", O_RDONLY), out[2];
    char *argv[] = {"yes", NULL};
    assert_int_equal(nc_fd_pipe(out, false), 0);
    begin(&p);
    serve(&p, NACRE_STDIO_PIPES, argv);
    client(&p, in, out[1], -1);
    /* Full to the brim, all the way back to the program. */
    for (int i = 0; i < 100; i++) {
        assert_int_equal(nacre_loop_run_once(p.loop, 1), NACRE_OK);
    }
    close(out[0]);
    run_until_finished(&p);
    assert_string_equal(p.client.result.signal, "PIPE");
    assert_int_equal(fcntl(out[1], F_GETFL) & O_NONBLOCK, 0);
    end(&p);
    close(in);
    close(out[1]);
}

/* A reader that does not read: the window, not memory, decides how much waits. */
static void test_backpressure(void **state)
{
    (void)state;
    pair p;
    int in = open("/dev/null", O_RDONLY), out[2];
    char *argv[] = {"/bin/sh", "-c", "head -c 20000000 /dev/zero", NULL};
    char *waste = malloc(1 << 16);
    assert_int_equal(nc_fd_pipe(out, false), 0);
    begin(&p);
    serve(&p, NACRE_STDIO_PIPES, argv);
    client(&p, in, out[1], -1);
    while (!p.client.finished) {
        uint64_t before = nacre_loop_now(NULL);
        assert_int_equal(nacre_loop_run_once(p.loop, 200), NACRE_OK);
        if (nacre_loop_now(NULL) - before >= 200) {
            break; /* it stands still */
        }
    }
    assert_false(p.client.finished);
    size_t total = 0;
    assert_int_equal(nc_fd_set_nonblock(out[0], true), 0);
    while (total < 20000000) {
        ssize_t n = read(out[0], waste, 1 << 16);
        total += n > 0 ? (size_t)n : 0;
        assert_int_equal(nacre_loop_run_once(p.loop, 10), NACRE_OK);
    }
    run_until_finished(&p);
    assert_int_equal(total, 20000000);
    assert_int_equal(p.client.result.status, 0);
    end(&p);
    free(waste);
    close(in);
    close(out[0]);
    close(out[1]);
}

static size_t shout(void *user, const uint8_t *in, size_t n, uint8_t *out)
{
    (void)user;
    for (size_t i = 0; i < n; i++) { /* doubles everything: the most a filter may do */
        out[2 * i] = out[2 * i + 1] = in[i];
    }
    return 2 * n;
}

static void say(pair *p, int stream, uint8_t first, size_t n)
{
    uint8_t bytes[2000];
    size_t took = 0;
    assert_true(n <= sizeof(bytes));
    for (size_t i = 0; i < n; i++) {
        bytes[i] = (uint8_t)(first + i * 7);
    }
    assert_int_equal(nacre_channel_write(fake_channel(p->client.t), stream, bytes, n, &took),
                     NACRE_OK);
    assert_int_equal(took, n);
}

/* Packets that came in one read go out in one write, a sink after the other; message sockets show it. */
static void test_one_write_for_many_packets(void **state)
{
    (void)state;
    pair p;
    nacre_relay_options o;
    int out[2], err[2];
    uint8_t got[8192];
    begin(&p);
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, out), 0);
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, err), 0);
    nacre_relay_options_init(&o);
    o.sink = out[0];
    o.sink_err = err[0];
    relay(&p, &p.server, &o);
    for (uint8_t i = 0; i < 3; i++) {
        say(&p, NACRE_STDOUT, i, 1000);
    }
    say(&p, NACRE_STDERR, 3, 500);
    say(&p, NACRE_STDERR, 4, 500);
    say(&p, NACRE_STDOUT, 5, 200);
    assert_int_equal(nacre_channel_eof(fake_channel(p.client.t)), NACRE_OK);
    nacre_driver_kick(p.client.d);
    for (int turns = 0; !p.server.eof; turns++) {
        assert_true(turns < 100);
        assert_int_equal(nacre_loop_run_once(p.loop, 10000), NACRE_OK);
    }
    assert_int_equal(recv(out[1], got, sizeof(got), MSG_DONTWAIT), 3000);
    for (size_t i = 0; i < 3000; i++) {
        assert_int_equal(got[i], (uint8_t)(i / 1000 + i % 1000 * 7));
    }
    assert_int_equal(recv(err[1], got, sizeof(got), MSG_DONTWAIT), 1000);
    assert_int_equal(got[500], 4);
    assert_int_equal(recv(out[1], got, sizeof(got), MSG_DONTWAIT), 200);
    assert_int_equal(got[0], 5);
    /* The end stands behind all of it. */
    assert_int_equal(recv(out[1], got, sizeof(got), MSG_DONTWAIT), 0);
    assert_int_equal(recv(err[1], got, sizeof(got), MSG_DONTWAIT), 0);
    close(out[1]);
    close(err[1]);
    end(&p);
}

/* A sink that takes a part: the rest waits its turn, and nothing is lost between the packets. */
static void test_gathered_into_a_narrow_socket(void **state)
{
    (void)state;
    enum { PACKETS = 200, SIZE = 1999 };
    pair p;
    nacre_relay_options o;
    int out[2], small = 4096;
    size_t total = 0;
    begin(&p);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, out), 0);
    assert_int_equal(setsockopt(out[0], SOL_SOCKET, SO_SNDBUF, &small, sizeof(small)), 0);
    nacre_relay_options_init(&o);
    o.sink = out[0];
    relay(&p, &p.server, &o);
    for (int i = 0; i < PACKETS; i++) {
        say(&p, NACRE_STDOUT, (uint8_t)i, SIZE);
    }
    assert_int_equal(nacre_channel_eof(fake_channel(p.client.t)), NACRE_OK);
    nacre_driver_kick(p.client.d);
    for (int turns = 0;; turns++) {
        uint8_t got[3000];
        assert_true(turns < 100000);
        assert_int_equal(nacre_loop_run_once(p.loop, 0), NACRE_OK);
        ssize_t n = recv(out[1], got, sizeof(got), MSG_DONTWAIT);
        for (ssize_t i = 0; i < n; i++, total++) {
            assert_int_equal(got[i], (uint8_t)(total / SIZE + total % SIZE * 7));
        }
        if (n == 0) {
            break;
        }
    }
    assert_int_equal(total, (size_t)PACKETS * SIZE);
    close(out[1]);
    end(&p);
}

static void test_filter(void **state)
{
    (void)state;
    enum { N = 3 << 20 };
    pair p;
    int in = temp_file(), out = temp_file();
    uint8_t *data = malloc(2 * N);
    for (size_t i = 0; i < N; i++) {
        data[i] = (uint8_t)(i / 7);
    }
    assert_int_equal(write(in, data, N), N);
    assert_int_equal(lseek(in, 0, SEEK_SET), 0);
    begin_with_cat(&p);
    client_by(&p, in, out, -1, shout);
    run_until_finished(&p);
    assert_int_equal(pread(out, data, 2 * N, 0), 2 * N);
    for (size_t i = 0; i < N; i++) {
        assert_true(data[2 * i] == (uint8_t)(i / 7) && data[2 * i + 1] == (uint8_t)(i / 7));
    }
    end(&p);
    free(data);
    close(in);
    close(out);
}

/* Sends up to a full stop, and says that this was all. */
static size_t until_stop(void *user, const uint8_t *in, size_t n, uint8_t *out)
{
    const uint8_t *stop = memchr(in, '.', n);
    (void)user;
    size_t some = stop ? (size_t)(stop - in) : n;
    memcpy(out, in, some);
    return some | (stop ? NACRE_RELAY_END : 0);
}

static void test_filter_ends_source(void **state)
{
    (void)state;
    pair p;
    int out = temp_file(), in[2];
    char got[32];
    assert_int_equal(pipe(in), 0); /* its writer never closes */
    assert_int_equal(write(in[1], "some. more", 10), 10);
    begin_with_cat(&p);
    client_by(&p, in[0], out, -1, until_stop);
    run_until_finished(&p); /* cat has seen the end */
    assert_int_equal(pread(out, got, sizeof(got), 0), 4);
    assert_memory_equal(got, "some", 4);
    end(&p);
    close(in[0]);
    close(in[1]);
    close(out);
}

/* A source that could go on for ever is ended by the application: what was read arrives, and the end behind it. */
static void test_end_source(void **state)
{
    (void)state;
    pair p;
    int out = temp_file(), in[2];
    char got[8];
    assert_int_equal(pipe(in), 0); /* its writer never closes */
    assert_int_equal(write(in[1], "some", 4), 4);
    begin_with_cat(&p);
    client(&p, in[0], out, -1);
    run_until(&p, &p.server.data);
    assert_false(p.server.eof);
    nacre_relay_end_source(p.client.r);
    nacre_relay_end_source(p.client.r); /* it has ended: nothing more */
    nacre_driver_kick(p.client.d);
    assert_int_equal(write(in[1], "more", 4), 4); /* which nobody reads */
    run_until_finished(&p);                       /* cat has seen the end */
    assert_int_equal(pread(out, got, sizeof(got), 0), 4);
    assert_memory_equal(got, "some", 4);
    assert_true(p.client.result.exited && p.client.result.status == 0);
    end(&p);
    close(in[0]);
    close(in[1]);
    close(out);
}

/* The client closes as soon as EOF went both ways, as OpenSSH's does, without waiting for a status. */
static void close_from_client(pair *p)
{
    (void)nacre_channel_eof(fake_channel(p->client.t));
    (void)nacre_channel_close(fake_channel(p->client.t));
    nacre_driver_kick(p->client.d);
}

/* Input that had come is still read, the output ended long ago, the status is told. */
static void test_status_after_peer_close(void **state)
{
    (void)state;
    pair p;
    int in[2];
    char dir[] = "/tmp/nacre-relay-XXXXXX", fifo[64], command[256];
    assert_non_null(mkdtemp(dir));
    (void)snprintf(fifo, sizeof(fifo), "%s/go", dir);
    assert_int_equal(mkfifo(fifo, 0600), 0);
    (void)snprintf(command, sizeof(command),
                   "exec >&- 2>&-; read x <%s; read y; test \"$y\" = in && exit 3; exit 4", fifo);
    char *argv[] = {"/bin/sh", "-c", command, NULL};
    assert_int_equal(nc_fd_pipe(in, false), 0);
    begin(&p);
    serve(&p, NACRE_STDIO_PIPES, argv);
    client(&p, in[0], -1, -1);
    assert_int_equal(write(in[1], "in\n", 3), 3);
    run_until(&p, &p.server.data);
    /* Ours goes when the output ends, not when the program does. */
    run_until(&p, &p.client.eof);
    close_from_client(&p);
    run_until(&p, &p.server.peer_closed);
    assert_false(p.client.result.exited || p.server.finished);
    int go = open(fifo, O_WRONLY);
    assert_int_equal(write(go, "go\n", 3), 3);
    run_until_finished(&p);
    assert_true(p.client.result.exited);
    assert_int_equal(p.client.result.status, 3);
    assert_false(p.server.result.child_alive);
    end(&p);
    close(go);
    close(in[0]);
    close(in[1]);
    assert_int_equal(unlink(fifo), 0);
    assert_int_equal(rmdir(dir), 0);
}

/* A program that only writes gets SIGPIPE, one that only reads its end of input. */
static void test_peer_close_ends_programs(void **state)
{
    (void)state;
    static const struct {
        nacre_stdio stdio;
        const char *command, *signal;
        uint32_t status;
    } rows[] = {
        {NACRE_STDIO_PIPES, "exec yes", "PIPE", 0},
        {NACRE_STDIO_PIPES, "echo ready; cat; exit 5", "", 5},
        /* A socket may also say ECONNRESET, when what it held is lost. */
        {NACRE_STDIO_SOCKETS, "yes 2>/dev/null; exit 5", "", 5},
        {NACRE_STDIO_SOCKETS, "echo ready; cat; exit 5", "", 5},
        {NACRE_STDIO_PTY, "echo ready; exec sleep 1000", "HUP", 0},
        {NACRE_STDIO_PTY, "trap 'exit 6' HUP; echo ready; while :; do read x || exit 6; done", "",
         6},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        pair p;
        char *argv[] = {"/bin/sh", "-c", (char *)(uintptr_t)rows[i].command, NULL};
        begin(&p);
        serve(&p, rows[i].stdio, argv);
        client(&p, -1, -1, -1);
        run_until(&p, &p.client.data);
        close_from_client(&p);
        run_until_finished(&p);
        assert_true(p.server.peer_closed);
        assert_string_equal(p.client.result.signal, rows[i].signal);
        assert_int_equal(p.client.result.exited, rows[i].signal[0] == '\0');
        assert_int_equal(p.client.result.status, rows[i].status);
        end(&p);
    }
}

/* A relay that is freed early leaves nothing held. */
static void test_free_lets_go(void **state)
{
    (void)state;
    pair p;
    char *argv[] = {"/bin/sh", "-c", "exec >&- 2>&-; trap '' HUP PIPE; read x; exec sleep 5", NULL};
    begin(&p);
    serve(&p, NACRE_STDIO_PIPES, argv);
    client(&p, -1, -1, -1);
    close_from_client(&p);
    run_until(&p, &p.server.peer_closed);
    assert_false(p.client.finished);
    nacre_relay_free(p.server.r);
    p.server.r = NULL;
    nacre_driver_kick(p.server.d);
    run_until(&p, &p.client.finished);
    end(&p);
}

static void test_connection_lost(void **state)
{
    (void)state;
    pair p;
    int in[2], out = temp_file();
    assert_int_equal(nc_fd_pipe(in, false), 0);
    begin_with_cat(&p);
    client(&p, in[0], out, -1);
    assert_int_equal(nacre_loop_run_once(p.loop, 0), NACRE_OK);
    nacre_driver_free(p.client.d);
    p.client.d = NULL;
    nacre_relay_abandon(p.client.r);
    run_until(&p, &p.server.closed);
    run_until(&p, &p.client.finished);
    assert_int_equal(p.server.why.status, NACRE_CLOSED);
    nacre_relay_abandon(p.server.r);
    run_until_finished(&p);
    end(&p);
    close(in[0]);
    close(in[1]);
    close(out);
}

static void test_close_drains(void **state)
{
    (void)state;
    pair p;
    begin(&p);
    assert_int_equal(nacre_channel_eof(fake_channel(p.client.t)), NACRE_OK);
    assert_int_equal(nacre_transport_disconnect(p.client.t, 11, "bye"), NACRE_OK);
    nacre_driver_kick(p.client.d);
    run_until(&p, &p.server.closed);
    run_until(&p, &p.client.closed);
    assert_string_equal(p.server.why.text, "bye"); /* the last words came through */
    assert_int_equal(nacre_driver_fd(p.client.d), -1);
    nacre_driver_kick(p.client.d);
    nacre_driver_close(p.client.d);
    end(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bulk_through_cat),
        cmocka_unit_test(test_streams_and_status),
        cmocka_unit_test(test_signal),
        cmocka_unit_test(test_pty),
        cmocka_unit_test(test_closed_stdout),
        cmocka_unit_test(test_backpressure),
        cmocka_unit_test(test_one_write_for_many_packets),
        cmocka_unit_test(test_gathered_into_a_narrow_socket),
        cmocka_unit_test(test_filter),
        cmocka_unit_test(test_filter_ends_source),
        cmocka_unit_test(test_end_source),
        cmocka_unit_test(test_connection_lost),
        cmocka_unit_test(test_close_drains),
        cmocka_unit_test(test_status_after_peer_close),
        cmocka_unit_test(test_peer_close_ends_programs),
        cmocka_unit_test(test_free_lets_go),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
