/*
 * test_stream.c - a channel as a file: reads, lines, deadlines, stderr, the event descriptor, and ends in any order.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "client_server.h"
#include "nacre/stream.h"
#include "support/memory.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static stage st;
static nacre_stream *s;
static nacre_stream_options opts;
static char requests[256]; /* what the server was asked, in order */

static bool is(nacre_span got, const char *what)
{
    return got.n == strlen(what) && memcmp(got.p, what, got.n) == 0;
}

static void note(nacre_span name, nacre_span value)
{
    size_t n = strlen(requests);
    assert_true(n + name.n + value.n + 2 < sizeof(requests));
    if (name.n) {
        memcpy(requests + n, name.p, name.n);
    }
    n += name.n;
    requests[n++] = '=';
    if (value.n) {
        memcpy(requests + n, value.p, value.n);
    }
    requests[n + value.n] = ' ';
    requests[n + value.n + 1] = '\0';
}

/* "mixed": out and err by turns; "lines": what lines can look like; terminals and environments are noted. */
static bool hook(stage *on, const nacre_event *ev)
{
    size_t took;
    if (ev->type != NACRE_EVENT_CHANNEL_REQUEST) {
        return false;
    }
    nacre_span name = ev->u.request.name;
    bool pty = is(name, "pty-req"), known = is(name, "exec") || is(name, "subsystem");
    note(name, pty ? ev->u.request.pty.term : ev->u.request.command);
    if (pty || is(name, "env") || is(name, "shell") ||
        (is(name, "subsystem") && is(ev->u.request.command, "echo"))) {
        bool dumb = pty && is(ev->u.request.pty.term, "dumb");
        if (ev->ticket) {
            assert_int_equal(dumb ? nacre_transport_refuse(on->t, ev->ticket)
                                  : nacre_transport_accept(on->t, ev->ticket),
                             NACRE_OK);
        }
        return true;
    }
    if (!known || !(is(ev->u.request.command, "mixed") || is(ev->u.request.command, "lines") ||
                    is(ev->u.request.command, "mute"))) {
        return false;
    }
    assert_int_equal(nacre_transport_accept(on->t, ev->ticket), NACRE_OK);
    nacre_channel *ch = ev->channel;
    if (is(ev->u.request.command, "mixed")) {
        static const char *const words[] = {"one ", "TWO ", "three ", "FOUR"};
        for (int i = 0; i < 4; i++) {
            assert_int_equal(nacre_channel_write(ch, i % 2, words[i], strlen(words[i]), &took),
                             NACRE_OK);
        }
        assert_int_equal(nacre_channel_exit_status(ch, 4), NACRE_OK);
    } else if (is(ev->u.request.command, "lines")) {
        static const char text[] = "first\nsecond\r\n\n a\0b\nvery long indeed\nlast";
        assert_int_equal(nacre_channel_write(ch, 0, text, sizeof(text) - 1, &took), NACRE_OK);
    }
    assert_int_equal(nacre_channel_close(ch), NACRE_OK);
    return true;
}

static int setup(void **state)
{
    (void)state;
    stage_init(&st);
    st.hook = hook;
    stage_login(&st);
    nacre_stream_options_init(&opts);
    requests[0] = '\0';
    s = NULL;
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    nacre_stream_free(s);
    stage_close(&st);
    stage_clear(&st);
    return 0;
}

static void run(const char *command)
{
    assert_int_equal(nacre_stream_exec(&s, st.c, command, &opts), NACRE_OK);
    assert_ptr_equal(nacre_stream_client(s), st.c);
}

static void expect_text(int stream, const char *text)
{
    char buf[128];
    size_t got;
    assert_int_equal(nacre_stream_read_exactly(s, stream, buf, strlen(text), &got), NACRE_OK);
    assert_int_equal(got, strlen(text));
    assert_memory_equal(buf, text, got);
}

static void expect_end(int stream)
{
    char buf[8];
    size_t got = 5;
    assert_int_equal(nacre_stream_read(s, stream, buf, sizeof(buf), &got), NACRE_END);
    assert_int_equal(got, 0);
}

/* ---- starting ---- */

static void terminal_and_environment_come_first(void **state)
{
    (void)state;
    static const char *const env[] = {"LANG=C", "EMPTY=", "E=a=b"};
    nacre_pty pty = {.term = text_span("xterm"), .columns = 80, .rows = 24};
    opts.pty = &pty;
    opts.env = env;
    opts.env_count = 3;
    run("hello");
    assert_string_equal(requests, "pty-req=xterm env=LANG env=EMPTY env=E exec=hello ");
    expect_text(NACRE_STDOUT, "out");
}

static void shells_and_subsystems(void **state)
{
    (void)state;
    assert_int_equal(nacre_stream_shell(&s, st.c, NULL), NACRE_OK);
    assert_int_equal(nacre_stream_write(s, NACRE_STDOUT, "echo me", 7, NULL), NACRE_OK);
    expect_text(NACRE_STDOUT, "echo me");
    nacre_stream_free(s);
    assert_int_equal(nacre_stream_subsystem(&s, st.c, "echo", NULL), NACRE_OK);
    nacre_stream_free(s);
    assert_int_equal(nacre_stream_subsystem(&s, st.c, "no-such", NULL), NACRE_REQUEST_REFUSED);
    assert_null(s);
    assert_non_null(strstr(nacre_client_error(st.c)->text, "the subsystem"));
}

static void refusals_and_mistakes(void **state)
{
    (void)state;
    static const char *const bad[] = {"NOVALUE"};
    static const char *const nameless[] = {"=value"};
    nacre_pty dumb = {.term = text_span("dumb"), .columns = 80, .rows = 24};
    opts.env = bad;
    opts.env_count = 1;
    assert_int_equal(nacre_stream_exec(&s, st.c, "hello", &opts), NACRE_INVALID_ARGUMENT);
    assert_non_null(strstr(nacre_client_error(st.c)->text, "NOVALUE"));
    opts.env = nameless;
    assert_int_equal(nacre_stream_exec(&s, st.c, "hello", &opts), NACRE_INVALID_ARGUMENT);
    opts.env_count = 0;
    opts.pty = &dumb;
    assert_int_equal(nacre_stream_exec(&s, st.c, "hello", &opts), NACRE_REQUEST_REFUSED);
    assert_non_null(strstr(nacre_client_error(st.c)->text, "a terminal"));
    opts.pty = NULL;
    assert_int_equal(nacre_stream_exec(&s, st.c, "refuse", &opts), NACRE_REQUEST_REFUSED);
    st.refuse_channels = true;
    assert_int_equal(nacre_stream_exec(&s, st.c, "hello", &opts), NACRE_CHANNEL_REFUSED);
    assert_null(s);
    st.refuse_channels = false;
    opts.timeout_ms = 40;
    assert_int_equal(nacre_stream_exec(&s, st.c, "silent", &opts), NACRE_TIMEOUT);
    assert_null(s);
}

static void over_a_channel(void **state)
{
    (void)state;
    nacre_stream *again = NULL;
    nacre_channel *ch, *raw;
    assert_int_equal(nacre_stream_over(&s, st.c, NULL, NULL), NACRE_NOT_FOUND);
    assert_int_equal(nacre_client_session(st.c, 0, &ch), NACRE_OK);
    opts.name = "mine";
    assert_int_equal(nacre_stream_over(&s, st.c, ch, &opts), NACRE_OK);
    assert_int_equal(nacre_stream_over(&again, st.c, ch, NULL), NACRE_WRONG_STATE);
    assert_string_equal(nacre_stream_name(s), "mine");
    assert_int_equal(nacre_stream_set_name(s, "yours"), NACRE_OK);
    assert_string_equal(nacre_stream_name(s), "yours");
    nacre_stream_set_user(s, &st);
    assert_ptr_equal(nacre_stream_user(s), &st);
    assert_ptr_equal(nacre_stream_channel(s), ch);
    assert_int_equal(nacre_channel_exec(ch, text_span("echo"), true), NACRE_OK);
    assert_int_equal(nacre_client_wait_reply(st.c, ch, 0), NACRE_OK);
    assert_int_equal(nacre_stream_write(s, NACRE_STDOUT, "x", 1, NULL), NACRE_OK);
    expect_text(NACRE_STDOUT, "x");
    /* One that the client has not seen yet. */
    assert_int_equal(nacre_channel_open_session(nacre_client_transport(st.c), &raw), NACRE_OK);
    assert_int_equal(nacre_stream_over(&again, st.c, raw, NULL), NACRE_OK);
    assert_non_null(strstr(nacre_stream_name(again), "stream "));
    nacre_stream_free(again);
}

/* ---- reading ---- */

static void stderr_apart(void **state)
{
    (void)state;
    run("mixed");
    expect_text(NACRE_STDERR, "TWO FOUR");
    expect_text(NACRE_STDOUT, "one three ");
    expect_end(NACRE_STDOUT);
    expect_end(NACRE_STDERR);
}

static void stderr_merged(void **state)
{
    (void)state;
    opts.errors = NACRE_STDERR_MERGED;
    run("mixed");
    expect_text(NACRE_STDOUT, "one TWO three FOUR");
    expect_end(NACRE_STDERR);
}

static void stderr_dropped(void **state)
{
    (void)state;
    opts.errors = NACRE_STDERR_DROPPED;
    run("mixed");
    expect_text(NACRE_STDOUT, "one three ");
    expect_end(NACRE_STDERR);
}

static void stderr_changes_its_mode(void **state)
{
    (void)state;
    run("mixed");
    assert_int_equal(nacre_stream_wait(s, NACRE_STREAM_ENDED, NULL), NACRE_OK);
    assert_int_equal(nacre_stream_set_stderr(s, NACRE_STDERR_MERGED), NACRE_OK);
    assert_int_equal(nacre_stream_available(s, NACRE_STDERR), 0);
    expect_text(NACRE_STDOUT, "one three TWO FOUR");
    expect_end(NACRE_STDOUT);
}

static void read_exactly_says_how_much_there_was(void **state)
{
    (void)state;
    char buf[64];
    size_t got;
    run("mixed");
    assert_int_equal(nacre_stream_read_exactly(s, NACRE_STDOUT, buf, sizeof(buf), &got), NACRE_END);
    assert_int_equal(got, 10);
    assert_memory_equal(buf, "one three ", 10);
    assert_int_equal(nacre_stream_read_exactly(s, NACRE_STDOUT, buf, 0, NULL), NACRE_OK);
}

static void expect_line(const char *text, size_t n)
{
    const char *line;
    size_t got;
    assert_int_equal(nacre_stream_line(s, NACRE_STDOUT, &line, &got), NACRE_OK);
    assert_int_equal(got, n);
    assert_memory_equal(line, text, n + 1); /* the zero behind it, too */
}

static void lines(void **state)
{
    (void)state;
    const char *line = "";
    run("lines");
    expect_line("first", 5);
    expect_line("second", 6);
    expect_line("", 0);
    expect_line(" a\0b", 4);
    expect_line("very long indeed", 16);
    expect_line("last", 4);
    assert_int_equal(nacre_stream_line(s, NACRE_STDOUT, &line, NULL), NACRE_END);
    assert_null(line);
    assert_int_equal(nacre_stream_line(s, NACRE_STDERR, &line, NULL), NACRE_END);
}

static void lines_and_reads_mix(void **state)
{
    (void)state;
    run("lines");
    expect_line("first", 5);
    expect_text(NACRE_STDOUT, "sec");
    expect_line("ond", 3);
    expect_text(NACRE_STDOUT, "\n a");
    expect_line("\0b", 2);
    nacre_stream_free(s);
    opts.line_max = 10;
    run("lines");
    for (int i = 0; i < 4; i++) {
        const char *line;
        assert_int_equal(nacre_stream_line(s, NACRE_STDOUT, &line, NULL), NACRE_OK);
    }
    const char *none = "";
    assert_int_equal(nacre_stream_line(s, NACRE_STDOUT, &none, NULL), NACRE_TOO_LARGE);
    assert_null(none);
    assert_int_equal(nacre_stream_line(s, NACRE_STDOUT, &none, NULL), NACRE_TOO_LARGE);
    expect_text(NACRE_STDOUT, "very long indeed\n");
    expect_line("last", 4);
}

static void a_deadline_within_a_line_loses_nothing(void **state)
{
    (void)state;
    const char *line;
    run("echo");
    assert_int_equal(nacre_stream_write(s, NACRE_STDOUT, "half a ", 7, NULL), NACRE_OK);
    nacre_stream_set_timeout(s, 50);
    assert_int_equal(nacre_stream_timeout(s), 50);
    assert_int_equal(nacre_stream_line(s, NACRE_STDOUT, &line, NULL), NACRE_TIMEOUT);
    assert_int_equal(nacre_stream_available(s, NACRE_STDOUT), 7);
    assert_true(nacre_stream_ready(s) & NACRE_STREAM_READ);
    nacre_stream_set_timeout(s, 0);
    assert_int_equal(nacre_stream_write(s, NACRE_STDOUT, "line\nrest", 9, NULL), NACRE_OK);
    expect_line("half a line", 11);
    /* Half a line can be read without its other half. */
    expect_text(NACRE_STDOUT, "rest");
    assert_int_equal(nacre_stream_write(s, NACRE_STDOUT, "ab", 2, NULL), NACRE_OK);
    nacre_stream_set_timeout(s, 50);
    assert_int_equal(nacre_stream_line(s, NACRE_STDOUT, &line, NULL), NACRE_TIMEOUT);
    expect_text(NACRE_STDOUT, "a");
    expect_text(NACRE_STDOUT, "b");
}

static void a_line_wider_than_the_window(void **state)
{
    (void)state;
    enum { SIZE = 3 << 20 };
    char *text = malloc(SIZE);
    const char *line;
    size_t n, sent = 0;
    assert_non_null(text);
    memset(text, 'l', SIZE);
    opts.line_max = SIZE;
    run("echo");
    /* The echo must find room, so it goes in pieces that are read in between. */
    while (sent < SIZE) {
        assert_int_equal(nacre_stream_write(s, NACRE_STDOUT, text, 256 * 1024, NULL), NACRE_OK);
        sent += 256 * 1024;
        nacre_stream_set_timeout(s, NACRE_NOW);
        int rc = nacre_stream_line(s, NACRE_STDOUT, &line, NULL);
        assert_true(rc == NACRE_AGAIN);
        nacre_stream_set_timeout(s, 0);
    }
    assert_int_equal(nacre_stream_write(s, NACRE_STDOUT, "\n", 1, NULL), NACRE_OK);
    assert_int_equal(nacre_stream_line(s, NACRE_STDOUT, &line, &n), NACRE_OK);
    assert_int_equal(n, SIZE);
    free(text);
}

/* ---- now, and readiness ---- */

static void now_does_not_wait(void **state)
{
    (void)state;
    char buf[8];
    const char *line;
    size_t got;
    unsigned ready;
    opts.timeout_ms = NACRE_NOW;
    run("echo");
    assert_int_equal(nacre_stream_read(s, NACRE_STDOUT, buf, sizeof(buf), &got), NACRE_AGAIN);
    assert_int_equal(nacre_stream_line(s, NACRE_STDOUT, &line, NULL), NACRE_AGAIN);
    assert_int_equal(nacre_stream_wait(s, NACRE_STREAM_READ, &ready), NACRE_AGAIN);
    assert_int_equal(ready, NACRE_STREAM_WRITE);
    assert_int_equal(nacre_stream_write(s, NACRE_STDOUT, "hi", 2, &got), NACRE_OK);
    assert_int_equal(got, 2);
    nacre_stream_set_timeout(s, 0);
    assert_int_equal(nacre_stream_wait(s, NACRE_STREAM_READ, &ready), NACRE_OK);
    assert_int_equal(ready, NACRE_STREAM_READ | NACRE_STREAM_WRITE);
    nacre_stream_set_timeout(s, NACRE_NOW);
    assert_int_equal(nacre_stream_read(s, NACRE_STDOUT, buf, sizeof(buf), &got), NACRE_OK);
    assert_int_equal(got, 2);
}

static void writes_stop_when_the_window_is_full(void **state)
{
    (void)state;
    static char zeros[64 * 1024];
    size_t got, sum = 0;
    int rc;
    opts.timeout_ms = NACRE_NOW;
    run("echo");
    st.hook = NULL;
    /* The server's end goes away silently: its window is all there is. */
    nacre_driver_free(st.d);
    st.d = NULL;
    do {
        rc = nacre_stream_write(s, NACRE_STDOUT, zeros, sizeof(zeros), &got);
        sum += got;
    } while (rc == NACRE_OK && sum < (64 << 20));
    assert_true(rc != NACRE_OK);
    assert_true(sum < (64 << 20));
}

static bool polls(int fd)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};
    return poll(&p, 1, 0) == 1;
}

static void the_event_descriptor(void **state)
{
    (void)state;
    run("echo");
    int fd = nacre_stream_fd(s);
    assert_true(fd >= 0);
    assert_int_equal(nacre_stream_fd(s), fd);
    assert_false(polls(fd));
    assert_int_equal(nacre_stream_write(s, NACRE_STDOUT, "ab\ncd", 5, NULL), NACRE_OK);
    assert_int_equal(nacre_stream_wait(s, NACRE_STREAM_READ, NULL), NACRE_OK);
    assert_true(polls(fd));
    expect_text(NACRE_STDOUT, "a");
    assert_true(polls(fd));
    expect_line("b", 1);
    assert_true(polls(fd));
    expect_text(NACRE_STDOUT, "cd");
    assert_false(polls(fd));
    assert_int_equal(nacre_stream_shutdown_write(s), NACRE_OK);
    assert_int_equal(nacre_stream_wait(s, NACRE_STREAM_ENDED, NULL), NACRE_OK);
    assert_true(polls(fd));
    expect_end(NACRE_STDOUT);
    assert_true(polls(fd)); /* the end stays */
}

static void the_event_descriptor_of_a_lost_connection(void **state)
{
    (void)state;
    run("echo");
    int fd = nacre_stream_fd(s);
    assert_int_equal(nacre_transport_disconnect(st.t, 11, "enough"), NACRE_OK);
    nacre_driver_kick(st.d);
    assert_int_equal(nacre_stream_wait(s, NACRE_STREAM_ENDED, NULL), NACRE_OK);
    assert_true(polls(fd));
    char buf[4];
    size_t got;
    assert_int_equal(nacre_stream_read(s, NACRE_STDOUT, buf, 4, &got), NACRE_PEER_DISCONNECTED);
    assert_int_equal(nacre_stream_write(s, NACRE_STDOUT, "x", 1, &got), NACRE_PEER_DISCONNECTED);
    nacre_exit how;
    assert_int_equal(nacre_stream_exit(s, &how), NACRE_PEER_DISCONNECTED);
}

/* ---- the end ---- */

static void how_programs_end(void **state)
{
    (void)state;
    nacre_exit how;
    run("hello");
    assert_int_equal(nacre_stream_exit(s, &how), NACRE_OK);
    assert_true(how.exited && how.status == 3);
    nacre_stream_free(s);
    run("signal");
    assert_int_equal(nacre_stream_exit(s, &how), NACRE_OK);
    assert_string_equal(how.signal, "KILL");
    nacre_stream_free(s);
    run("mute");
    assert_int_equal(nacre_stream_exit(s, &how), NACRE_NOT_FOUND);
    assert_false(how.exited);
    nacre_stream_free(s);
    opts.timeout_ms = 40;
    run("hang");
    assert_int_equal(nacre_stream_exit(s, &how), NACRE_TIMEOUT);
}

static void half_closes(void **state)
{
    (void)state;
    char buf[4];
    size_t got;
    nacre_exit how;
    run("echo");
    assert_int_equal(nacre_stream_write(s, NACRE_STDOUT, "abc", 3, NULL), NACRE_OK);
    assert_int_equal(nacre_stream_shutdown_write(s), NACRE_OK);
    assert_int_equal(nacre_stream_shutdown_write(s), NACRE_OK);
    expect_text(NACRE_STDOUT, "abc");
    assert_int_equal(nacre_stream_exit(s, &how), NACRE_OK);
    assert_int_equal(how.status, 7);
    nacre_stream_free(s);
    requests[0] = '\0';
    run("echo");
    assert_int_equal(nacre_stream_write(s, NACRE_STDOUT, "lost", 4, NULL), NACRE_OK);
    assert_int_equal(nacre_stream_wait(s, NACRE_STREAM_READ, NULL), NACRE_OK);
    assert_int_equal(nacre_stream_shutdown_read(s), NACRE_OK);
    assert_int_equal(nacre_stream_shutdown_read(s), NACRE_OK);
    expect_end(NACRE_STDOUT);
    /* Writing goes on, and what comes back costs no window. */
    assert_int_equal(nacre_stream_write(s, NACRE_STDOUT, "more", 4, NULL), NACRE_OK);
    assert_int_equal(nacre_stream_shutdown_write(s), NACRE_OK);
    assert_int_equal(nacre_stream_exit(s, &how), NACRE_OK);
    nacre_channel_info info;
    nacre_channel_get_info(nacre_stream_channel(s), &info);
    assert_int_equal(info.unconsumed, 0);
    assert_string_equal(requests, "exec=echo eow@openssh.com= ");
    assert_int_equal(nacre_stream_read(s, NACRE_STDERR, buf, 4, &got), NACRE_END);
}

static void closing(void **state)
{
    (void)state;
    char buf[4];
    size_t got;
    run("hang");
    assert_int_equal(nacre_stream_close(s), NACRE_OK);
    assert_int_equal(nacre_stream_close(s), NACRE_OK);
    expect_end(NACRE_STDOUT);
    assert_int_equal(nacre_stream_write(s, NACRE_STDOUT, "x", 1, &got), NACRE_CLOSED);
    assert_int_equal(nacre_stream_read(s, NACRE_STDOUT, buf, 0, &got), NACRE_OK);
}

static void streams_outlive_their_client(void **state)
{
    (void)state;
    char buf[4];
    const char *line;
    size_t got;
    run("hang");
    int fd = nacre_stream_fd(s);
    nacre_client_free(st.c);
    st.c = NULL;
    assert_true(polls(fd));
    assert_null(nacre_stream_client(s));
    assert_null(nacre_stream_channel(s));
    assert_int_equal(nacre_stream_ready(s), NACRE_STREAM_ALL);
    assert_int_equal(nacre_stream_available(s, NACRE_STDOUT), 0);
    assert_int_equal(nacre_stream_read(s, NACRE_STDOUT, buf, 4, &got), NACRE_CLOSED);
    assert_int_equal(nacre_stream_line(s, NACRE_STDOUT, &line, NULL), NACRE_CLOSED);
    assert_int_equal(nacre_stream_write(s, NACRE_STDOUT, "x", 1, NULL), NACRE_CLOSED);
    assert_int_equal(nacre_stream_wait(s, NACRE_STREAM_READ, NULL), NACRE_CLOSED);
    assert_int_equal(nacre_stream_shutdown_read(s), NACRE_CLOSED);
    assert_int_equal(nacre_stream_shutdown_write(s), NACRE_CLOSED);
    assert_int_equal(nacre_stream_set_stderr(s, NACRE_STDERR_MERGED), NACRE_CLOSED);
    assert_int_equal(nacre_stream_close(s), NACRE_CLOSED);
    assert_int_equal(nacre_stream_set_name(s, "orphan"), NACRE_OK);
    nacre_exit how;
    assert_int_equal(nacre_stream_exit(s, &how), NACRE_CLOSED);
}

/* ---- memory that runs out ---- */

static void no_memory_at_any_point(void **state)
{
    (void)state;
    test_memory m;
    test_memory_init(&m);
    stage_close(&st);
    st.cfg.transport.allocator = &m.hooks;
    stage_login(&st);
    bool whole = false;
    for (unsigned long n = 0; n < 60 && !whole; n++) {
        const char *line;
        test_memory_end(&m, n);
        int rc = nacre_stream_exec(&s, st.c, "lines", NULL);
        if (rc == NACRE_OK) {
            rc = nacre_stream_line(s, NACRE_STDOUT, &line, NULL);
        }
        whole = rc == NACRE_OK;
        test_memory_fail(&m, 0);
        nacre_stream_free(s);
        s = NULL;
        if (st.gone || nacre_client_run(st.c, NULL, NULL, 1) != NACRE_TIMEOUT) {
            /* The engine itself ran out: that ends a connection. */
            stage_close(&st);
            stage_login(&st);
        }
    }
    assert_true(whole);
    stage_close(&st);
    assert_int_equal(m.live, 0);
    st.cfg.transport.allocator = NULL;
    stage_login(&st);
}

int main(void)
{
#define STREAM_TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
    const struct CMUnitTest tests[] = {
        STREAM_TEST(terminal_and_environment_come_first),
        STREAM_TEST(shells_and_subsystems),
        STREAM_TEST(refusals_and_mistakes),
        STREAM_TEST(over_a_channel),
        STREAM_TEST(stderr_apart),
        STREAM_TEST(stderr_merged),
        STREAM_TEST(stderr_dropped),
        STREAM_TEST(stderr_changes_its_mode),
        STREAM_TEST(read_exactly_says_how_much_there_was),
        STREAM_TEST(lines),
        STREAM_TEST(lines_and_reads_mix),
        STREAM_TEST(a_deadline_within_a_line_loses_nothing),
        STREAM_TEST(a_line_wider_than_the_window),
        STREAM_TEST(now_does_not_wait),
        STREAM_TEST(writes_stop_when_the_window_is_full),
        STREAM_TEST(the_event_descriptor),
        STREAM_TEST(the_event_descriptor_of_a_lost_connection),
        STREAM_TEST(how_programs_end),
        STREAM_TEST(half_closes),
        STREAM_TEST(closing),
        STREAM_TEST(streams_outlive_their_client),
        STREAM_TEST(no_memory_at_any_point),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
