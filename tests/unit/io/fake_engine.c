/*
 * fake_engine.c - see fake_engine.h. A frame is a type byte and a length word, then bytes.
 */
#include "fake_engine.h"

#include "base/buf.h"
#include "base/error.h"
#include "engine/lend.h"

#include <stdlib.h>
#include <string.h>

enum {
    HEAD = 5,
    FRAME = 32768,
    WINDOW = 1 << 20,
    SOFT = 1 << 20,
    HUGE_MAX = 1 << 28,
    F_DATA = 1,
    F_STDERR,
    F_WINDOW,
    F_EOF,
    F_CLOSE,
    F_STATUS,
    F_SIGNAL,
    F_BYE,
    F_EOW
};

struct nacre_channel {
    nacre_transport *t;
    size_t window_out;
    bool starved, eof_sent, close_sent, close_got;
    bool hold, ended; /* ended: CLOSED is to be told */
    size_t lent;
    int lent_stream;
};

struct nacre_transport {
    nc_queue in, out;
    nacre_channel ch;
    nacre_error err;
    size_t pending; /* bytes of the last event's frame */
    bool eof;
};

nacre_transport *fake_transport_new(void)
{
    nacre_transport *t = calloc(1, sizeof(*t));
    nc_queue_init(&t->in, NULL, HUGE_MAX);
    nc_queue_init(&t->out, NULL, HUGE_MAX);
    t->ch.t = t;
    t->ch.window_out = WINDOW;
    return t;
}

nacre_channel *fake_channel(nacre_transport *t)
{
    return &t->ch;
}

void nacre_transport_free(nacre_transport *t)
{
    nc_queue_clear(&t->in);
    nc_queue_clear(&t->out);
    free(t);
}

static int frame(nacre_transport *t, uint8_t type, const void *p, size_t n)
{
    uint8_t head[HEAD] = {type, (uint8_t)(n >> 24), (uint8_t)(n >> 16), (uint8_t)(n >> 8),
                          (uint8_t)n};
    int rc = nc_queue_append(&t->out, head, HEAD);
    return rc == NACRE_OK && n ? nc_queue_append(&t->out, p, n) : rc;
}

unsigned nacre_transport_wants(const nacre_transport *t)
{
    return (t->err.status || t->eof ? 0u : (unsigned)NACRE_WANT_INPUT) |
           (nc_queue_len(&t->out) ? (unsigned)NACRE_HAS_OUTPUT : 0u);
}

uint8_t *nacre_transport_recv_buffer(nacre_transport *t, size_t *room)
{
    *room = 256 * 1024;
    return nc_queue_reserve(&t->in, *room) == NACRE_OK ? t->in.buf.data + t->in.buf.len : NULL;
}

/* Frames lie in the queue until more is received, as packets do. */
bool nc_transport_keeps(const nacre_transport *t, nacre_span bytes)
{
    (void)t;
    (void)bytes;
    return true;
}

int nacre_transport_received(nacre_transport *t, size_t n)
{
    t->eof = t->eof || n == 0;
    t->in.buf.len += n;
    return NACRE_OK;
}

static int fill(nacre_transport *t, nacre_event *ev, uint8_t type, const uint8_t *p, size_t n)
{
    ev->channel = &t->ch;
    switch (type) {
    case F_DATA:
    case F_STDERR:
        ev->type = NACRE_EVENT_CHANNEL_DATA;
        ev->u.data.stream = type == F_STDERR;
        ev->u.data.bytes = nc_span(p, n);
        break;
    case F_EOF:
        ev->type = NACRE_EVENT_CHANNEL_EOF;
        break;
    case F_CLOSE:
        t->ch.close_got = true;
        if (t->ch.hold && !t->ch.close_sent) {
            ev->type = NACRE_EVENT_CHANNEL_PEER_CLOSED;
            break;
        }
        (void)nacre_channel_close(&t->ch);
        t->ch.ended = false;
        ev->type = NACRE_EVENT_CHANNEL_CLOSED;
        break;
    case F_STATUS:
        ev->type = NACRE_EVENT_EXIT_STATUS;
        ev->u.exit.status = p[0];
        break;
    case F_SIGNAL:
        ev->type = NACRE_EVENT_EXIT_SIGNAL;
        ev->u.exit.signal = nc_span(p, n);
        break;
    case F_EOW:
        ev->type = NACRE_EVENT_CHANNEL_REQUEST;
        ev->u.request.name = nc_span(p, n);
        break;
    default:
        return nc_fail(&t->err, NACRE_CLOSED, "bye");
    }
    return NACRE_OK;
}

int nacre_transport_next_event(nacre_transport *t, nacre_event *ev)
{
    memset(ev, 0, sizeof(*ev));
    nc_queue_consume(&t->in, t->pending);
    t->pending = 0;
    while (!t->err.status) {
        if (t->ch.ended) {
            t->ch.ended = false;
            ev->type = NACRE_EVENT_CHANNEL_CLOSED;
            ev->channel = &t->ch;
            return NACRE_OK;
        }
        if (t->ch.starved && t->ch.window_out > 0 && nc_queue_len(&t->out) < SOFT) {
            t->ch.starved = false;
            ev->type = NACRE_EVENT_CHANNEL_WRITABLE;
            ev->channel = &t->ch;
            return NACRE_OK;
        }
        const uint8_t *p = nc_queue_front(&t->in);
        size_t n = nc_queue_len(&t->in), len = 0;
        if (n >= HEAD) {
            len = (size_t)p[1] << 24 | (size_t)p[2] << 16 | (size_t)p[3] << 8 | p[4];
        }
        if (n >= HEAD && p[0] == F_WINDOW) {
            t->ch.window_out += len;
            nc_queue_consume(&t->in, HEAD);
            continue;
        }
        if (n < HEAD || n < HEAD + len) {
            return t->eof ? nc_fail(&t->err, NACRE_CLOSED, "end of input") : NACRE_AGAIN;
        }
        t->pending = HEAD + len;
        return fill(t, ev, p[0], p + HEAD, len);
    }
    return t->err.status;
}

nacre_span nacre_transport_output(const nacre_transport *t)
{
    return nc_span(nc_queue_front(&t->out), nc_queue_len(&t->out));
}

void nacre_transport_sent(nacre_transport *t, size_t n)
{
    nc_queue_consume(&t->out, n);
}

uint64_t nacre_transport_deadline(const nacre_transport *t)
{
    (void)t;
    return UINT64_MAX;
}

void nacre_transport_advance(nacre_transport *t, uint64_t now_ms)
{
    (void)t;
    (void)now_ms;
}

const nacre_error *nacre_transport_error(const nacre_transport *t)
{
    return &t->err;
}

int nacre_transport_disconnect(nacre_transport *t, uint32_t reason, const char *text)
{
    (void)reason;
    (void)text;
    int rc = frame(t, F_BYE, NULL, 0);
    (void)nc_fail(&t->err, NACRE_CLOSED, "we said bye");
    return rc;
}

const char *nacre_channel_type(const nacre_channel *ch)
{
    (void)ch;
    return "session";
}

static size_t allowance(nacre_channel *ch, size_t n)
{
    size_t queued = nc_queue_len(&ch->t->out);
    size_t room = queued < SOFT ? SOFT - queued : 0;
    room = room < ch->window_out ? room : ch->window_out;
    ch->starved = ch->starved || room < n;
    return room < n ? room : n;
}

int nacre_channel_write(nacre_channel *ch, int stream, const void *p, size_t n, size_t *took)
{
    *took = 0;
    if (ch->eof_sent || ch->close_sent || ch->close_got) {
        return NACRE_CLOSED;
    }
    *took = allowance(ch, n);
    ch->window_out -= *took;
    return *took ? frame(ch->t, stream == NACRE_STDERR ? F_STDERR : F_DATA, p, *took) : NACRE_OK;
}

int nacre_channel_reserve(nacre_channel *ch, int stream, size_t want, nacre_room *rooms,
                          size_t *count)
{
    if (ch->eof_sent || ch->close_sent || ch->close_got) {
        return NACRE_CLOSED;
    }
    size_t n = allowance(ch, want);
    n = n < FRAME ? n : FRAME;
    *count = 0;
    if (n && nc_queue_reserve(&ch->t->out, HEAD + n) == NACRE_OK) {
        rooms[0].p = ch->t->out.buf.data + ch->t->out.buf.len + HEAD;
        rooms[0].n = n;
        *count = 1;
        ch->lent_stream = stream;
    }
    return NACRE_OK;
}

int nacre_channel_commit(nacre_channel *ch, size_t n)
{
    nc_buf *b = &ch->t->out.buf;
    if (n) {
        uint8_t *p = b->data + b->len;
        p[0] = ch->lent_stream == NACRE_STDERR ? F_STDERR : F_DATA;
        p[1] = p[2] = 0;
        p[3] = (uint8_t)(n >> 8);
        p[4] = (uint8_t)n;
        b->len += HEAD + n;
        ch->window_out -= n;
    }
    return NACRE_OK;
}

int nacre_channel_consumed(nacre_channel *ch, size_t n)
{
    /* A window frame's length is the credit; it has no bytes. */
    uint8_t head[HEAD] = {F_WINDOW, (uint8_t)(n >> 24), (uint8_t)(n >> 16), (uint8_t)(n >> 8),
                          (uint8_t)n};
    return nc_queue_append(&ch->t->out, head, HEAD);
}

int nacre_channel_eof(nacre_channel *ch)
{
    if (ch->close_got) {
        return NACRE_CLOSED;
    }
    int rc = ch->eof_sent || ch->close_sent ? NACRE_OK : frame(ch->t, F_EOF, NULL, 0);
    ch->eof_sent = true;
    return rc;
}

int nacre_channel_close(nacre_channel *ch)
{
    int rc = ch->close_sent ? NACRE_OK : frame(ch->t, F_CLOSE, NULL, 0);
    ch->ended = ch->close_got && !ch->close_sent;
    ch->close_sent = true;
    return rc;
}

int nacre_channel_hold_close(nacre_channel *ch, bool hold)
{
    ch->hold = hold;
    return !hold && ch->close_got ? nacre_channel_close(ch) : NACRE_OK;
}

int nacre_channel_exit_status(nacre_channel *ch, uint32_t status)
{
    uint8_t b = (uint8_t)status;
    return frame(ch->t, F_STATUS, &b, 1);
}

int nacre_channel_exit_signal(nacre_channel *ch, const char *name, bool core, const char *message)
{
    (void)core;
    (void)message;
    return frame(ch->t, F_SIGNAL, name, strlen(name));
}

int nacre_channel_request(nacre_channel *ch, const char *name, bool want_reply, nacre_span data)
{
    (void)want_reply;
    (void)data;
    if (ch->close_sent || ch->close_got) {
        return NACRE_CLOSED;
    }
    return frame(ch->t, F_EOW, name, strlen(name));
}
