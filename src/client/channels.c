/*
 * channels.c - channels for blocking callers: what arrives is kept until it is read, and gives its
 * window back only then; events can be diverted to a function of the caller.
 */
#include "client/forwards.h"
#include "client/state.h"

#include "client/mux_master.h"
#include "client/stream.h"

#include <stdio.h>
#include <string.h>

/* ---- what is kept ---- */

nc_chan *nc_channels_find(nacre_client *c, const nacre_channel *ch)
{
    for (nc_chan *k = c->chans; k; k = k->next) {
        if (k->ch == ch) {
            return k;
        }
    }
    return NULL;
}

nc_chan *nc_channels_adopt(nacre_client *c, nacre_channel *ch)
{
    nc_chan *k = nc_zalloc(c->alloc, sizeof(*k));
    if (k) {
        k->ch = ch;
        nc_queue_init(&k->in[0], c->alloc, NC_INBOX_MAX);
        nc_queue_init(&k->in[1], c->alloc, NC_INBOX_MAX);
        k->next = c->chans;
        c->chans = k;
        nc_mux_master_touch(c->mux_master);
    }
    return k;
}

static void release(nacre_client *c, nc_chan *k)
{
    nc_mux_master_touch(c->mux_master);
    if (k->stream) {
        nc_stream_orphan(k->stream);
    }
    nc_attached_free(k);
    nc_queue_clear(&k->in[0]);
    nc_queue_clear(&k->in[1]);
    nc_x11_session_over(c, k->ch);
    nacre_channel_free(k->ch);
    nc_free(c->alloc, k);
}

void nc_channels_clear(nacre_client *c)
{
    while (c->chans) {
        nc_chan *k = c->chans;
        c->chans = k->next;
        release(c, k);
    }
}

void nacre_client_channel_free(nacre_client *c, nacre_channel *ch)
{
    if (!ch) {
        return;
    }
    for (nc_chan **at = &c->chans; *at; at = &(*at)->next) {
        if ((*at)->ch == ch) {
            nc_chan *k = *at;
            *at = k->next;
            release(c, k);
            nacre_driver_kick(c->d);
            return;
        }
    }
}

void nc_channels_keep(nc_chan *k, const nacre_event *ev)
{
    nacre_span bytes = ev->u.data.bytes;
    bool apart = ev->u.data.stream == NACRE_STDERR && !k->merge_errors;
    nc_queue *q = &k->in[apart ? 1 : 0];
    if (apart ? k->drop_errors : k->drop_data) {
        (void)nacre_channel_consumed(k->ch, bytes.n);
        return;
    }
    if (nc_queue_append(q, bytes.p, bytes.n) != NACRE_OK) {
        /* No memory: a hole in a stream would be worse than its end. */
        (void)nacre_channel_close(k->ch);
        k->eof = true;
    }
}

static void keep_exit(nc_chan *k, const nacre_event *ev)
{
    if (ev->type == NACRE_EVENT_EXIT_STATUS) {
        k->exit.exited = true;
        k->exit.status = ev->u.exit.status;
        return;
    }
    (void)nacre_escape(k->exit.signal, sizeof(k->exit.signal), ev->u.exit.signal);
    (void)nacre_escape(k->exit.message, sizeof(k->exit.message), ev->u.exit.message);
    k->exit.core_dumped = ev->u.exit.core_dumped;
}

/* What the state becomes, whoever gets the event. */
static void note(nc_chan *k, const nacre_event *ev)
{
    switch (ev->type) {
    case NACRE_EVENT_CHANNEL_OPENED:
        k->opened = true;
        break;
    case NACRE_EVENT_CHANNEL_FAILED:
        k->failed = k->closed = true;
        k->fail_reason = ev->u.failed.reason;
        (void)nacre_escape(k->fail_text, sizeof(k->fail_text), ev->u.failed.description);
        break;
    case NACRE_EVENT_CHANNEL_EOF:
        k->eof = true;
        break;
    case NACRE_EVENT_CHANNEL_CLOSED:
        k->closed = true;
        break;
    case NACRE_EVENT_EXIT_STATUS:
    case NACRE_EVENT_EXIT_SIGNAL:
        keep_exit(k, ev);
        break;
    default:
        break;
    }
}

static void keep(nacre_client *c, nc_chan *k, const nacre_event *ev)
{
    switch (ev->type) {
    case NACRE_EVENT_CHANNEL_DATA:
        nc_channels_keep(k, ev);
        break;
    case NACRE_EVENT_CHANNEL_REPLY:
        if (k->reply_count < NC_REPLIES_MAX) {
            k->replies[(k->reply_at + k->reply_count++) % NC_REPLIES_MAX] = ev->u.reply.success;
        }
        break;
    case NACRE_EVENT_CHANNEL_REQUEST:
        if (c->cfg.callbacks.event) {
            c->cfg.callbacks.event(c->cfg.callbacks.user, c, ev);
        } else if (ev->ticket) {
            (void)nacre_transport_refuse(c->t, ev->ticket);
        }
        break;
    default:
        break;
    }
}

bool nc_channels_event(nacre_client *c, const nacre_event *ev)
{
    nc_chan *k = nc_channels_find(c, ev->channel);
    if (!k) {
        return false;
    }
    note(k, ev);
    if (k->relay && nacre_relay_event(k->relay, ev)) {
        return true;
    }
    if (k->fn) {
        int rc = k->fn(k->fn_user, ev);
        if (rc != NACRE_AGAIN && c->run_rc == NACRE_AGAIN) {
            c->run_rc = rc;
        }
        return true;
    }
    keep(c, k, ev);
    if (k->stream) {
        nc_stream_changed(k->stream);
    }
    return true;
}

static void replay_data(nc_chan *k, int stream, void (*fn)(void *user, const nacre_event *ev),
                        void *user)
{
    nc_queue *q = &k->in[stream];
    nacre_event ev;
    if (nc_queue_len(q) == 0) {
        return;
    }
    memset(&ev, 0, sizeof(ev));
    ev.type = NACRE_EVENT_CHANNEL_DATA;
    ev.channel = k->ch;
    ev.u.data.stream = stream;
    ev.u.data.bytes = nc_span(nc_queue_front(q), nc_queue_len(q));
    fn(user, &ev);
    nc_queue_clear(q); /* the window is the receiver's to give back */
}

static void replay_type(nc_chan *k, nacre_event_type type,
                        void (*fn)(void *user, const nacre_event *ev), void *user)
{
    nacre_event ev;
    memset(&ev, 0, sizeof(ev));
    ev.type = type;
    ev.channel = k->ch;
    ev.u.exit.status = 0;
    if (type == NACRE_EVENT_EXIT_STATUS) {
        ev.u.exit.status = k->exit.status;
    } else if (type == NACRE_EVENT_EXIT_SIGNAL) {
        ev.u.exit.signal = nc_span_cstr(k->exit.signal);
        ev.u.exit.message = nc_span_cstr(k->exit.message);
        ev.u.exit.core_dumped = k->exit.core_dumped;
    }
    fn(user, &ev);
}

void nc_channels_replay(nacre_client *c, nc_chan *k, void (*fn)(void *user, const nacre_event *ev),
                        void *user)
{
    (void)c;
    bool eof = k->eof, closed = k->closed, exited = k->exit.exited, signaled = k->exit.signal[0];
    replay_data(k, NACRE_STDOUT, fn, user);
    replay_data(k, NACRE_STDERR, fn, user);
    if (exited) {
        replay_type(k, NACRE_EVENT_EXIT_STATUS, fn, user);
    }
    if (signaled) {
        replay_type(k, NACRE_EVENT_EXIT_SIGNAL, fn, user);
    }
    if (eof) {
        replay_type(k, NACRE_EVENT_CHANNEL_EOF, fn, user);
    }
    if (closed) {
        replay_type(k, NACRE_EVENT_CHANNEL_CLOSED, fn, user);
    }
}

/* ---- diverting events ---- */

typedef struct replay_job {
    nacre_client *c;
    nc_chan *k;
} replay_job;

static void replay_to_fn(void *user, const nacre_event *ev)
{
    replay_job *j = user;
    if (!j->k->fn) {
        return;
    }
    int rc = j->k->fn(j->k->fn_user, ev);
    if (rc != NACRE_AGAIN && j->c->run_rc == NACRE_AGAIN) {
        j->c->run_rc = rc;
    }
}

int nacre_client_on_channel(nacre_client *c, nacre_channel *ch, nacre_client_event_fn fn,
                            void *user)
{
    nc_client_begin(c);
    nc_chan *k = nc_channels_find(c, ch);
    if (!k && ch && nacre_channel_transport(ch) == c->t) {
        k = nc_channels_adopt(c, ch); /* opened by nacre_channel_open, or by the peer */
        if (k) {
            nacre_channel_info info;
            nacre_channel_get_info(ch, &info);
            k->opened = info.open;
        }
    }
    if (!k) {
        return nc_client_fail(c, NACRE_NOT_FOUND, "this channel is not one of this connection");
    }
    k->fn = fn;
    k->fn_user = user;
    if (fn) {
        replay_job j = {c, k};
        nc_channels_replay(c, k, replay_to_fn, &j);
        nacre_driver_kick(c->d);
    }
    return NACRE_OK;
}

typedef struct run_job {
    nacre_client *c;
    int (*done)(void *user);
    void *user;
} run_job;

static int run_done(void *user)
{
    run_job *j = user;
    if (j->c->run_rc != NACRE_AGAIN) {
        int rc = j->c->run_rc;
        j->c->run_rc = NACRE_AGAIN;
        return rc;
    }
    return j->done ? j->done(j->user) : NACRE_AGAIN;
}

int nacre_client_run(nacre_client *c, int (*done)(void *user), void *user, uint32_t timeout_ms)
{
    nc_client_begin(c);
    if (!c->t) {
        return nc_client_alive(c, "waiting");
    }
    run_job j = {c, done, user};
    nc_wait w = nc_client_wait_init(c, timeout_ms, "the operation");
    nacre_driver_kick(c->d); /* what the caller queued before */
    return nc_client_wait(c, &w, run_done, &j);
}

/* ---- opening ---- */

static const char *open_failure_text(uint32_t reason)
{
    static const char *const texts[] = {"", "administratively prohibited", "connect failed",
                                        "unknown channel type", "resource shortage"};
    return reason < sizeof(texts) / sizeof(texts[0]) ? texts[reason] : "";
}

static int is_open(void *user)
{
    const nc_chan *k = user;
    return k->opened || k->failed ? NACRE_OK : NACRE_AGAIN;
}

int nc_channels_open(nacre_client *c, const char *type, nacre_span data, uint32_t window,
                     uint32_t timeout_ms, nacre_channel **out)
{
    nacre_channel *ch = NULL;
    *out = NULL;
    nc_client_begin(c);
    int rc = nc_client_alive(c, "opening a channel");
    if (rc != NACRE_OK) {
        return rc;
    }
    /* The caller may have been away for long: the answer is a measure of the round trip. */
    nacre_transport_advance(c->t, nacre_loop_now(c->loop));
    rc = nacre_channel_open(c->t, type, data, window, 0, &ch);
    if (rc != NACRE_OK) {
        return nc_client_fail(c, rc, "%s: a %s channel cannot be opened: %s", c->where,
                              NC_ESC(nc_span_cstr(type)), nacre_status_text(rc));
    }
    nc_chan *k = nc_channels_adopt(c, ch);
    if (!k) {
        nacre_channel_free(ch);
        return nc_client_fail(c, NACRE_NO_MEMORY, "out of memory");
    }
    nacre_driver_kick(c->d);
    nc_wait w = nc_client_wait_init(c, timeout_ms, "opening a channel");
    rc = nc_client_wait(c, &w, is_open, k);
    if (rc == NACRE_OK && k->failed) {
        rc = nc_client_fail(c, NACRE_CHANNEL_REFUSED,
                            "%s: the server refused a %s channel, reason %u %s: %s", c->where,
                            NC_ESC(nc_span_cstr(type)), (unsigned)k->fail_reason,
                            open_failure_text(k->fail_reason), k->fail_text);
    }
    if (rc != NACRE_OK) {
        nacre_client_channel_free(c, ch);
        return rc;
    }
    *out = ch;
    return NACRE_OK;
}

int nacre_client_channel(nacre_client *c, const char *type, nacre_span data, uint32_t timeout_ms,
                         nacre_channel **out)
{
    return nc_channels_open(c, type, data, 0, timeout_ms, out);
}

int nacre_client_session(nacre_client *c, uint32_t timeout_ms, nacre_channel **out)
{
    return nacre_client_channel(c, "session", nc_span(NULL, 0), timeout_ms, out);
}

/* ---- calls on one channel ---- */

static int find(nacre_client *c, nacre_channel *ch, const char *what, nc_chan **k)
{
    nc_client_begin(c);
    *k = ch ? nc_channels_find(c, ch) : NULL;
    return *k ? NACRE_OK
              : nc_client_fail(c, NACRE_NOT_FOUND, "%s: the channel is not one of this client",
                               what);
}

static int has_reply(void *user)
{
    const nc_chan *k = user;
    return k->reply_count || k->closed ? NACRE_OK : NACRE_AGAIN;
}

int nacre_client_wait_reply(nacre_client *c, nacre_channel *ch, uint32_t timeout_ms)
{
    nc_chan *k;
    nacre_channel_info info;
    int rc = find(c, ch, "waiting for a reply", &k);
    if (rc != NACRE_OK) {
        return rc;
    }
    nacre_channel_get_info(ch, &info);
    if (k->reply_count == 0 && info.requests_pending == 0 && !k->closed) {
        return nc_client_fail(c, NACRE_WRONG_STATE, "no request of this channel awaits a reply");
    }
    nacre_driver_kick(c->d);
    nc_wait w = nc_client_wait_init(c, timeout_ms, "a channel request");
    rc = nc_client_wait(c, &w, has_reply, k);
    if (rc != NACRE_OK) {
        return rc;
    }
    if (k->reply_count == 0) {
        return nc_client_fail(c, NACRE_CLOSED,
                              "%s: the server closed the channel instead of answering a request",
                              c->where);
    }
    bool granted = k->replies[k->reply_at];
    k->reply_at = (k->reply_at + 1) % NC_REPLIES_MAX;
    k->reply_count--;
    return granted ? NACRE_OK
                   : nc_client_fail(c, NACRE_REQUEST_REFUSED, "%s: the server refused the request",
                                    c->where);
}

typedef struct read_job {
    nc_chan *k;
    nc_queue *q;
} read_job;

static int is_readable(void *user)
{
    const read_job *j = user;
    return nc_queue_len(j->q) || j->k->eof || j->k->closed ? NACRE_OK : NACRE_AGAIN;
}

int nacre_client_read(nacre_client *c, nacre_channel *ch, int stream, void *p, size_t n,
                      uint32_t timeout_ms, size_t *got)
{
    nc_chan *k;
    *got = 0;
    int rc = find(c, ch, "reading", &k);
    if (rc != NACRE_OK || n == 0) {
        return rc;
    }
    read_job j = {k, &k->in[stream == NACRE_STDERR ? 1 : 0]};
    nacre_driver_kick(c->d);
    nc_wait w = nc_client_wait_init(c, timeout_ms, "reading from a channel");
    rc = nc_client_wait(c, &w, is_readable, &j);
    if (rc != NACRE_OK) {
        return rc;
    }
    size_t some = nc_queue_len(j.q) < n ? nc_queue_len(j.q) : n;
    if (some == 0) {
        return NACRE_END;
    }
    memcpy(p, nc_queue_front(j.q), some);
    nc_queue_consume(j.q, some);
    nc_queue_shrink(j.q, 64 * 1024);
    if (!k->closed && !c->closed) {
        (void)nacre_channel_consumed(ch, some);
        nacre_driver_kick(c->d);
    }
    *got = some;
    return NACRE_OK;
}

static int is_writable(void *user)
{
    const nc_chan *k = user;
    return k->closed || nacre_channel_write_room(k->ch) > 0 ? NACRE_OK : NACRE_AGAIN;
}

int nacre_client_write(nacre_client *c, nacre_channel *ch, int stream, const void *p, size_t n,
                       uint32_t timeout_ms, size_t *took)
{
    nc_chan *k;
    size_t done = 0;
    if (took) {
        *took = 0;
    }
    int rc = find(c, ch, "writing", &k);
    nc_wait w = nc_client_wait_init(c, timeout_ms, "writing to a channel");
    while (rc == NACRE_OK && done < n) {
        size_t some = 0;
        rc = nacre_channel_write(ch, stream, (const uint8_t *)p + done, n - done, &some);
        if (rc != NACRE_OK) {
            rc = c->closed ? nc_client_alive(c, w.what)
                           : nc_client_fail(c, rc, "%s: the channel takes no more data: %s",
                                            c->where, nacre_status_text(rc));
            break;
        }
        done += some;
        nacre_driver_kick(c->d);
        if (done < n && some == 0) {
            rc = nc_client_wait(c, &w, is_writable, k);
        }
    }
    if (took) {
        *took = done;
    }
    if (rc == NACRE_OK) {
        nc_client_push(c);
    }
    return rc;
}

static int is_closed(void *user)
{
    const nc_chan *k = user;
    return k->closed ? NACRE_OK : NACRE_AGAIN;
}

int nacre_client_wait_closed(nacre_client *c, nacre_channel *ch, uint32_t timeout_ms,
                             nacre_exit *exit)
{
    nc_chan *k;
    if (exit) {
        memset(exit, 0, sizeof(*exit));
    }
    int rc = find(c, ch, "waiting for the end of a channel", &k);
    if (rc != NACRE_OK) {
        return rc;
    }
    nacre_driver_kick(c->d);
    nc_wait w = nc_client_wait_init(c, timeout_ms, "waiting for the end of a channel");
    rc = nc_client_wait(c, &w, is_closed, k);
    if (exit) {
        *exit = k->exit;
    }
    return rc;
}
