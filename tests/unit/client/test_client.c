/*
 * test_client.c - the blocking calls: commands, channels, deadlines and cancelling, over a socket pair.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "client_server.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static const nacre_span nothing = {NULL, 0};

/* ---- commands ---- */

static void test_exec(void **state)
{
    (void)state;
    stage s;
    nacre_exec_result r;
    stage_init(&s);
    stage_login(&s);
    assert_int_equal(nacre_client_exec(s.c, "hello", nothing, 0, &r), NACRE_OK);
    assert_string_equal((char *)r.out, "out");
    assert_string_equal((char *)r.err, "err");
    assert_true(r.exit.exited);
    assert_int_equal(r.exit.status, 3);
    assert_false(r.truncated);
    nacre_exec_result_free(&r);
    assert_int_equal(nacre_client_exec(s.c, "signal", nothing, 0, &r), NACRE_OK);
    assert_false(r.exit.exited);
    assert_string_equal(r.exit.signal, "KILL");
    assert_true(r.exit.core_dumped);
    assert_null(strchr(r.exit.message, 0x1b)); /* the peer's text is harmless */
    nacre_exec_result_free(&r);
    stage_clear(&s);
}

static void test_exec_input_comes_back(void **state)
{
    (void)state;
    enum { SIZE = 3 << 20 };
    stage s;
    nacre_exec_result r;
    uint8_t *input = malloc(SIZE);
    assert_non_null(input);
    for (size_t i = 0; i < SIZE; i++) {
        input[i] = (uint8_t)(i * 7 + (i >> 12));
    }
    stage_init(&s);
    stage_login(&s);
    assert_int_equal(nacre_client_exec(s.c, "echo", (nacre_span){input, SIZE}, 0, &r), NACRE_OK);
    assert_int_equal(r.out_len, SIZE);
    assert_memory_equal(r.out, input, SIZE);
    assert_int_equal(r.exit.status, 7);
    nacre_exec_result_free(&r);
    free(input);
    stage_clear(&s);
}

static void test_exec_keeps_no_more_than_its_limit(void **state)
{
    (void)state;
    stage s;
    nacre_exec_result r;
    stage_init(&s);
    s.cfg.exec_limit = 1000;
    stage_login(&s);
    assert_int_equal(nacre_client_exec(s.c, "flood", nothing, 0, &r), NACRE_OK);
    assert_int_equal(r.out_len, 1000);
    assert_true(r.truncated);
    assert_true(r.exit.exited);
    nacre_exec_result_free(&r);
    stage_clear(&s);
}

static void test_refusals(void **state)
{
    (void)state;
    stage s;
    nacre_exec_result r;
    nacre_channel *ch;
    stage_init(&s);
    stage_login(&s);
    assert_int_equal(nacre_client_exec(s.c, "refuse", nothing, 0, &r), NACRE_REQUEST_REFUSED);
    assert_non_null(strstr(nacre_client_error(s.c)->text, "host port 22"));
    nacre_exec_result_free(&r);
    s.refuse_channels = true;
    assert_int_equal(nacre_client_session(s.c, 0, &ch), NACRE_CHANNEL_REFUSED);
    assert_null(ch);
    assert_non_null(strstr(nacre_client_error(s.c)->text, "resource shortage"));
    assert_null(strchr(nacre_client_error(s.c)->text, '\n'));
    s.refuse_channels = false;
    assert_int_equal(nacre_client_exec(s.c, "hello", nothing, 0, &r), NACRE_OK);
    nacre_exec_result_free(&r);
    stage_clear(&s);
}

static void test_lost_connection(void **state)
{
    (void)state;
    stage s;
    nacre_exec_result r;
    nacre_channel *ch;
    stage_init(&s);
    stage_login(&s);
    assert_int_equal(nacre_client_exec(s.c, "drop", nothing, 0, &r), NACRE_PEER_DISCONNECTED);
    assert_non_null(strstr(nacre_client_error(s.c)->text, "had enough"));
    nacre_exec_result_free(&r);
    /* And stays lost, without waiting. */
    assert_int_equal(nacre_client_session(s.c, NACRE_FOREVER, &ch), NACRE_PEER_DISCONNECTED);
    nacre_client_disconnect(s.c);
    stage_clear(&s);
}

/* ---- before there is a connection ---- */

static void test_without_connection(void **state)
{
    (void)state;
    stage s;
    nacre_channel *ch;
    stage_init(&s);
    stage_open(&s);
    assert_int_equal(nacre_client_session(s.c, 0, &ch), NACRE_WRONG_STATE);
    assert_int_equal(nacre_client_authenticate(s.c), NACRE_WRONG_STATE);
    assert_int_equal(nacre_client_run(s.c, NULL, NULL, 0), NACRE_WRONG_STATE);
    assert_int_equal(nacre_client_connect(s.c, "", 22), NACRE_INVALID_ARGUMENT);
    assert_null(nacre_client_transport(s.c));
    (void)close(s.fd);
    stage_clear(&s);
}

static void test_connect_names_what_failed(void **state)
{
    (void)state;
    stage s;
    stage_init(&s);
    s.cfg.connect_timeout_ms = 5000;
    stage_open(&s);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_true(fd >= 0);
    /* A port of loopback that nobody listens on: discard is privileged and never served here. */
    assert_int_equal(nacre_client_connect(s.c, "127.0.0.1", 9), NACRE_CONNECT);
    assert_non_null(strstr(nacre_client_error(s.c)->text, "127.0.0.1"));
    (void)close(fd);
    (void)close(s.fd);
    stage_clear(&s);
}

static void test_handshake_deadline(void **state)
{
    (void)state;
    stage s;
    int fds[2];
    stage_init(&s);
    s.cfg.connect_timeout_ms = 60;
    stage_open(&s);
    (void)close(s.fd);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    s.mute_fd = fds[1];
    assert_int_equal(nacre_client_connect_fd(s.c, fds[0], fds[0], "mute", 2222), NACRE_TIMEOUT);
    const char *text = nacre_client_error(s.c)->text;
    assert_non_null(strstr(text, "mute port 2222"));
    assert_non_null(strstr(text, "key exchange"));
    stage_clear(&s);
}

/* ---- deadlines ---- */

static void test_exec_deadline_keeps_the_connection(void **state)
{
    (void)state;
    stage s;
    nacre_exec_result r;
    stage_init(&s);
    stage_login(&s);
    assert_int_equal(nacre_client_exec(s.c, "hang", nothing, 60, &r), NACRE_TIMEOUT);
    assert_string_equal((char *)r.out, "part");
    nacre_exec_result_free(&r);
    assert_int_equal(nacre_client_exec(s.c, "silent", nothing, 60, &r), NACRE_TIMEOUT);
    nacre_exec_result_free(&r);
    assert_int_equal(nacre_client_exec(s.c, "hello", nothing, 0, &r), NACRE_OK);
    assert_string_equal((char *)r.out, "out");
    nacre_exec_result_free(&r);
    stage_clear(&s);
}

static void test_open_deadline(void **state)
{
    (void)state;
    stage s;
    nacre_channel *ch;
    stage_init(&s);
    stage_login(&s);
    s.open_unanswered = true;
    assert_int_equal(nacre_client_session(s.c, 60, &ch), NACRE_TIMEOUT);
    assert_null(ch);
    s.open_unanswered = false;
    assert_int_equal(nacre_client_session(s.c, 0, &ch), NACRE_OK);
    nacre_client_channel_free(s.c, ch);
    stage_clear(&s);
}

/* Types and data beside session's are the application's, and arrive as they were given. */
static bool on_words(stage *s, const nacre_event *ev)
{
    if (ev->type != NACRE_EVENT_CHANNEL_OPEN) {
        return false;
    }
    s->opens++;
    assert_int_equal(ev->u.open.type.n, 17);
    assert_memory_equal(ev->u.open.type.p, "words@example.com", 17);
    assert_int_equal(ev->u.open.data.n, 3);
    assert_memory_equal(ev->u.open.data.p, "a\0b", 3);
    assert_int_equal(nacre_transport_accept(s->t, ev->ticket), NACRE_OK);
    return true;
}

static void test_channel_of_a_type_of_its_own(void **state)
{
    (void)state;
    stage s;
    nacre_channel *ch;
    char buf[8];
    size_t got;
    char long_name[70];
    stage_init(&s);
    stage_login(&s);
    s.hook = on_words;
    assert_int_equal(nacre_client_channel(s.c, "words@example.com",
                                          (nacre_span){(const uint8_t *)"a\0b", 3}, 0, &ch),
                     NACRE_OK);
    assert_int_equal(s.opens, 1);
    assert_int_equal(nacre_client_write(s.c, ch, NACRE_STDOUT, "there", 5, 0, NULL), NACRE_OK);
    assert_int_equal(nacre_client_read(s.c, ch, NACRE_STDOUT, buf, sizeof(buf), 0, &got), NACRE_OK);
    assert_int_equal(got, 5);
    assert_memory_equal(buf, "there", 5);
    nacre_client_channel_free(s.c, ch);
    s.hook = NULL;
    s.refuse_channels = true;
    assert_int_equal(nacre_client_channel(s.c, "words@example.com", nothing, 0, &ch),
                     NACRE_CHANNEL_REFUSED);
    assert_null(ch);
    memset(long_name, 'n', sizeof(long_name));
    long_name[65] = '\0'; /* RFC 4251 section 6: names have 64 characters at most */
    assert_int_equal(nacre_client_channel(s.c, long_name, nothing, 0, &ch), NACRE_INVALID_ARGUMENT);
    assert_null(ch);
    stage_clear(&s);
}

static void start(stage *s, const char *command, nacre_channel **ch)
{
    assert_int_equal(nacre_client_session(s->c, 0, ch), NACRE_OK);
    assert_int_equal(nacre_channel_exec(*ch, text_span(command), true), NACRE_OK);
    assert_int_equal(nacre_client_wait_reply(s->c, *ch, 0), NACRE_OK);
}

static void test_read_deadline_loses_nothing(void **state)
{
    (void)state;
    stage s;
    nacre_channel *ch;
    char buf[64];
    size_t got;
    stage_init(&s);
    stage_login(&s);
    start(&s, "echo", &ch);
    assert_int_equal(nacre_client_read(s.c, ch, NACRE_STDOUT, buf, sizeof(buf), 40, &got),
                     NACRE_TIMEOUT);
    assert_int_equal(nacre_client_write(s.c, ch, NACRE_STDOUT, "one two", 7, 0, &got), NACRE_OK);
    assert_int_equal(got, 7);
    assert_int_equal(nacre_client_read(s.c, ch, NACRE_STDERR, buf, sizeof(buf), 40, &got),
                     NACRE_TIMEOUT);
    assert_int_equal(nacre_client_read(s.c, ch, NACRE_STDOUT, buf, 3, 0, &got), NACRE_OK);
    assert_int_equal(got, 3);
    assert_memory_equal(buf, "one", 3);
    assert_int_equal(nacre_client_read(s.c, ch, NACRE_STDOUT, buf, sizeof(buf), 0, &got), NACRE_OK);
    assert_int_equal(got, 4);
    assert_memory_equal(buf, " two", 4);
    nacre_channel_info info;
    nacre_channel_get_info(ch, &info);
    assert_int_equal(info.unconsumed, 0);
    assert_int_equal(nacre_channel_eof(ch), NACRE_OK);
    nacre_exit e;
    assert_int_equal(nacre_client_wait_closed(s.c, ch, 0, &e), NACRE_OK);
    assert_true(e.exited);
    assert_int_equal(e.status, 7);
    assert_int_equal(nacre_client_read(s.c, ch, NACRE_STDOUT, buf, sizeof(buf), 0, &got),
                     NACRE_END);
    assert_int_equal(nacre_client_write(s.c, ch, NACRE_STDOUT, "x", 1, 0, &got), NACRE_CLOSED);
    nacre_client_channel_free(s.c, ch);
    stage_clear(&s);
}

static void test_replies(void **state)
{
    (void)state;
    stage s;
    nacre_channel *ch;
    stage_init(&s);
    stage_login(&s);
    assert_int_equal(nacre_client_session(s.c, 0, &ch), NACRE_OK);
    assert_int_equal(nacre_client_wait_reply(s.c, ch, 0), NACRE_WRONG_STATE);
    assert_int_equal(nacre_channel_request(ch, "no-such@example", true, nothing), NACRE_OK);
    assert_int_equal(nacre_channel_exec(ch, text_span("echo"), true), NACRE_OK);
    assert_int_equal(nacre_client_wait_reply(s.c, ch, 0), NACRE_REQUEST_REFUSED);
    assert_int_equal(nacre_client_wait_reply(s.c, ch, 0), NACRE_OK);
    assert_int_equal(nacre_client_wait_reply(s.c, ch, 0), NACRE_WRONG_STATE);
    nacre_client_channel_free(s.c, ch);
    assert_int_equal(nacre_client_wait_reply(s.c, ch, 0), NACRE_NOT_FOUND);
    stage_clear(&s);
}

/* ---- cancelling ---- */

static void *cancel_soon(void *user)
{
    stage *s = user;
    (void)usleep(50 * 1000); /* likely inside the call; before it, it works as well */
    nacre_client_cancel(s->c);
    return NULL;
}

static void test_cancel_from_a_thread(void **state)
{
    (void)state;
    stage s;
    pthread_t other;
    nacre_exec_result r;
    stage_init(&s);
    stage_login(&s);
    assert_int_equal(pthread_create(&other, NULL, cancel_soon, &s), 0);
    assert_int_equal(nacre_client_exec(s.c, "hang", nothing, NACRE_FOREVER, &r), NACRE_CANCELLED);
    assert_int_equal(pthread_join(other, NULL), 0);
    assert_string_equal((char *)r.out, "part");
    nacre_exec_result_free(&r);
    assert_int_equal(nacre_client_exec(s.c, "hello", nothing, 0, &r), NACRE_OK);
    nacre_exec_result_free(&r);
    stage_clear(&s);
}

static void test_cancel_before_the_call(void **state)
{
    (void)state;
    stage s;
    nacre_channel *ch;
    stage_init(&s);
    stage_login(&s);
    nacre_client_cancel(s.c);
    assert_int_equal(nacre_client_session(s.c, 0, &ch), NACRE_CANCELLED);
    assert_int_equal(nacre_client_session(s.c, 0, &ch), NACRE_OK);
    nacre_client_channel_free(s.c, ch);
    stage_clear(&s);
}

/* ---- events for a function ---- */

typedef struct sink {
    char text[64];
    size_t n;
    bool eof;
} sink;

static int to_sink(void *user, const nacre_event *ev)
{
    sink *k = user;
    if (ev->type == NACRE_EVENT_CHANNEL_DATA) {
        assert_true(k->n + ev->u.data.bytes.n < sizeof(k->text));
        memcpy(k->text + k->n, ev->u.data.bytes.p, ev->u.data.bytes.n);
        k->n += ev->u.data.bytes.n;
        assert_int_equal(nacre_channel_consumed(ev->channel, ev->u.data.bytes.n), NACRE_OK);
    }
    return ev->type == NACRE_EVENT_CHANNEL_EOF ? NACRE_END : NACRE_AGAIN;
}

/* Whoever reads to the end of a file must not take a lost connection for it. */
static void test_a_lost_connection_is_no_end(void **state)
{
    (void)state;
    stage s;
    nacre_channel *ch;
    char buf[8];
    size_t got;
    stage_init(&s);
    stage_login(&s);
    start(&s, "echo", &ch);
    assert_int_equal(nacre_client_write(s.c, ch, NACRE_STDOUT, "half", 4, 0, NULL), NACRE_OK);
    assert_int_equal(nacre_client_read(s.c, ch, NACRE_STDOUT, buf, sizeof(buf), 0, &got), NACRE_OK);
    nacre_driver_free(s.d);
    s.d = NULL;
    assert_int_equal(nacre_client_read(s.c, ch, NACRE_STDOUT, buf, sizeof(buf), 0, &got),
                     NACRE_CLOSED);
    assert_non_null(strstr(nacre_client_error(s.c)->text, "closed by the peer"));
    assert_int_equal(nacre_client_read(s.c, ch, NACRE_STDOUT, buf, sizeof(buf), 0, &got),
                     NACRE_CLOSED);
    stage_clear(&s);
}

static int has_part(void *user)
{
    const sink *k = user;
    return k->n >= 4 ? 5 : NACRE_AGAIN;
}

static void test_events_to_a_function(void **state)
{
    (void)state;
    stage s;
    nacre_channel *ch;
    sink k;
    char c;
    size_t got;
    memset(&k, 0, sizeof(k));
    stage_init(&s);
    stage_login(&s);
    start(&s, "echo", &ch);
    assert_int_equal(nacre_client_write(s.c, ch, NACRE_STDOUT, "before", 6, 0, NULL), NACRE_OK);
    /* One byte is read, the rest is kept: the function gets it, once. */
    assert_int_equal(nacre_client_read(s.c, ch, NACRE_STDOUT, &c, 1, 0, &got), NACRE_OK);
    assert_int_equal(nacre_client_on_channel(s.c, ch, to_sink, &k), NACRE_OK);
    assert_string_equal(k.text, "efore");
    k.n = 0;
    assert_int_equal(nacre_client_write(s.c, ch, NACRE_STDOUT, "part", 4, 0, NULL), NACRE_OK);
    assert_int_equal(nacre_client_run(s.c, has_part, &k, 0), 5);
    assert_int_equal(nacre_client_run(s.c, NULL, NULL, 40), NACRE_TIMEOUT);
    assert_int_equal(nacre_channel_eof(ch), NACRE_OK);
    assert_int_equal(nacre_client_run(s.c, NULL, NULL, 0), NACRE_END);
    nacre_channel_info info;
    nacre_channel_get_info(ch, &info);
    assert_int_equal(info.unconsumed, 0);
    nacre_client_channel_free(s.c, ch);
    stage_clear(&s);
}

/* ---- relay ---- */

static void test_relay(void **state)
{
    (void)state;
    stage s;
    nacre_channel *ch;
    int in[2], out[2];
    char buf[64];
    nacre_relay_options o;
    nacre_relay_result result;
    stage_init(&s);
    stage_login(&s);
    start(&s, "echo", &ch);
    assert_int_equal(pipe(in), 0);
    assert_int_equal(pipe(out), 0);
    assert_int_equal(write(in[1], "through", 7), 7);
    (void)close(in[1]);
    nacre_relay_options_init(&o);
    o.source = in[0];
    o.sink = out[1];
    o.peer_closes = true;
    assert_int_equal(nacre_client_relay(s.c, ch, &o, 0, &result), NACRE_OK);
    assert_true(result.exited);
    assert_int_equal(result.status, 7);
    assert_int_equal(read(out[0], buf, sizeof(buf)), 7);
    assert_memory_equal(buf, "through", 7);
    (void)close(out[0]);
    nacre_client_channel_free(s.c, ch);
    stage_clear(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_exec),
        cmocka_unit_test(test_exec_input_comes_back),
        cmocka_unit_test(test_exec_keeps_no_more_than_its_limit),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_lost_connection),
        cmocka_unit_test(test_without_connection),
        cmocka_unit_test(test_connect_names_what_failed),
        cmocka_unit_test(test_handshake_deadline),
        cmocka_unit_test(test_exec_deadline_keeps_the_connection),
        cmocka_unit_test(test_open_deadline),
        cmocka_unit_test(test_channel_of_a_type_of_its_own),
        cmocka_unit_test(test_read_deadline_loses_nothing),
        cmocka_unit_test(test_replies),
        cmocka_unit_test(test_cancel_from_a_thread),
        cmocka_unit_test(test_cancel_before_the_call),
        cmocka_unit_test(test_events_to_a_function),
        cmocka_unit_test(test_a_lost_connection_is_no_end),
        cmocka_unit_test(test_relay),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
