/*
 * forward_peer.c - see forward_peer.h.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka needs those before it */
#include <cmocka.h>

#include "forward_peer.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

forward_script script;

static void answer_global(stage *s, const nacre_event *ev)
{
    nacre_answer a;
    nc_buf b;
    memset(&a, 0, sizeof(a));
    nc_buf_init(&b, NULL, 16);
    script.requests++;
    (void)snprintf(script.name, sizeof(script.name), "%.*s", (int)ev->u.global.name.n,
                   (const char *)ev->u.global.name.p);
    script.cancels += strncmp(script.name, "cancel", 6) == 0;
    (void)!nc_fwd_read_listen(ev->u.global.data, &script.asked);
    if (!ev->ticket || script.answer == SILENT) {
        return;
    }
    a.accept = script.answer != REFUSE;
    if (a.accept && script.asked.port == 0 && script.answer != NO_PORT) {
        static const uint8_t wild[] = {0, 1, 0, 0}, none[] = {0, 0, 0, 0};
        assert_int_equal(nc_fwd_write_port(&b, SERVER_PORT), NACRE_OK);
        a.data = script.answer == WILD_PORT    ? nc_span(wild, 4)
                 : script.answer == EMPTY_PORT ? nc_span(none, 4)
                                               : nc_buf_span(&b);
    }
    assert_int_equal(nacre_transport_answer(s->t, ev->ticket, &a), NACRE_OK);
    nc_buf_clear(&b);
}

/* The channel that the server opened. */
static bool on_own(const nacre_event *ev)
{
    if (!script.ch || ev->channel != script.ch) {
        return false;
    }
    switch (ev->type) {
    case NACRE_EVENT_CHANNEL_OPENED:
        script.opened = true;
        break;
    case NACRE_EVENT_CHANNEL_FAILED:
        script.failed = true;
        script.reason = ev->u.failed.reason;
        nacre_channel_free(script.ch);
        script.ch = NULL;
        break;
    case NACRE_EVENT_CHANNEL_DATA: {
        size_t n = ev->u.data.bytes.n;
        assert_true(script.got_n + n <= sizeof(script.got));
        memcpy(script.got + script.got_n, ev->u.data.bytes.p, n);
        script.got_n += n;
        assert_int_equal(nacre_channel_consumed(ev->channel, n), NACRE_OK);
        break;
    }
    case NACRE_EVENT_CHANNEL_CLOSED:
        script.closed = true;
        nacre_channel_free(script.ch);
        script.ch = NULL;
        break;
    default:
        break;
    }
    return true;
}

bool forward_hook(stage *s, const nacre_event *ev)
{
    if (ev->type == NACRE_EVENT_GLOBAL_REQUEST) {
        answer_global(s, ev);
        return true;
    }
    if (ev->type == NACRE_EVENT_CHANNEL_OPEN && script.refuse) {
        nacre_answer a;
        memset(&a, 0, sizeof(a));
        a.reason = script.refuse;
        a.text = "because\nof it";
        assert_int_equal(nacre_transport_answer(s->t, ev->ticket, &a), NACRE_OK);
        return true;
    }
    if (ev->type == NACRE_EVENT_CHANNEL_OPEN) {
        (void)!nc_fwd_read_tcp(ev->u.open.data, &script.direct);
        script.ticket = ev->ticket;
    }
    return on_own(ev);
}

void forward_begin(stage *s)
{
    stage_init(s);
    memset(&script, 0, sizeof(script));
    script.ready = 1;
    s->hook = forward_hook;
    stage_login(s);
}

void forward_end(stage *s)
{
    stage_close(s);
    stage_clear(s);
}

void forward_turn(stage *s)
{
    assert_int_equal(nacre_loop_run_once(s->loop, 5), NACRE_OK);
}

/* So many turns that what was on its way has come. */
void forward_settle(stage *s)
{
    for (int i = 0; i < 20; i++) {
        assert_int_equal(nacre_loop_run_once(s->loop, 1), NACRE_OK);
    }
}

void forward_ready(void *user, nacre_forward *f, int status, const nacre_error *err)
{
    (void)user;
    (void)f;
    assert_int_equal(script.ready, 1); /* once */
    script.ready = status;
    assert_int_equal(err->status, status);
}

void forward_failed(void *user, nacre_forward *f, const char *text)
{
    (void)user;
    (void)f;
    script.failures++;
    (void)snprintf(script.why, sizeof(script.why), "%s", text);
    assert_null(strchr(text, '\n'));
}

nacre_forward_options forward_options(nacre_forward_kind kind)
{
    nacre_forward_options o;
    nacre_forward_options_init(&o);
    o.kind = kind;
    o.on_ready = forward_ready;
    o.on_failure = forward_failed;
    return o;
}

int forward_start(stage *s, const nacre_forward_options *o, nacre_forward **f)
{
    nacre_error err;
    memset(&err, 0, sizeof(err));
    int rc = nacre_client_forward(s->c, o, f, &err);
    assert_int_equal(rc, err.status);
    return rc;
}

int forward_dial(uint16_t port)
{
    int fd = -1;
    nacre_error err;
    memset(&err, 0, sizeof(err));
    assert_int_equal(nacre_net_connect("127.0.0.1", port, NULL, &fd, &err), NACRE_OK);
    return fd;
}

/* What comes on fd until its end, or until n bytes are there. */
size_t forward_receive(stage *s, int fd, void *p, size_t n)
{
    size_t got = 0;
    for (int i = 0; i < 4000 && got < n; i++) {
        ssize_t some = recv(fd, (uint8_t *)p + got, n - got, MSG_DONTWAIT);
        if (some == 0 || (some < 0 && errno != EAGAIN)) {
            return got;
        }
        got += some > 0 ? (size_t)some : 0;
        if (some < 0) {
            forward_turn(s);
        }
    }
    return got;
}

void send_all(int fd, const void *p, size_t n)
{
    assert_int_equal(send(fd, p, n, MSG_NOSIGNAL), (ssize_t)n);
}

nacre_channel *server_opens(stage *s, const char *type, nacre_span data)
{
    script.opened = script.failed = script.closed = false;
    script.reason = 0;
    assert_int_equal(nacre_channel_open(s->t, type, data, 0, 0, &script.ch), NACRE_OK);
    nacre_driver_kick(s->d);
    return script.ch;
}

void server_opens_tcp(stage *s, const char *host, uint16_t port)
{
    nc_buf b;
    nc_buf_init(&b, NULL, NC_FWD_DATA_MAX);
    assert_int_equal(nc_fwd_write_tcp(&b, host, port, "192.0.2.9", 999), NACRE_OK);
    (void)server_opens(s, "forwarded-tcpip", nc_buf_span(&b));
    nc_buf_clear(&b);
}

target listen_here(void)
{
    target t;
    nacre_error err;
    memset(&err, 0, sizeof(err));
    assert_int_equal(nacre_net_listen("127.0.0.1", 0, 4, 0, &t.fd, &t.port, &err), NACRE_OK);
    return t;
}
