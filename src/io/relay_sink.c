/*
 * relay_sink.c - down: from the channel to descriptors.
 *
 * What one read of the connection brought in many packets goes to a descriptor in one call, from where it was
 * decrypted: the bytes of data events are gathered until the driver is through with the events there are, because the
 * engine keeps them as long (lend.h). A call per packet would wake the reader for each.
 */
#include "engine/lend.h"
#include "io/fd.h"
#include "io/loop.h"
#include "io/relay.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

enum { QUEUE_KEEP = 64 * 1024 /* of a queue's memory, when it is empty */ };

bool nc_relay_drained(const nacre_relay *r)
{
    for (int i = 0; i < 2; i++) {
        if (!r->sinks[i].dead && nc_queue_len(&r->sinks[i].queue) > 0) {
            return false;
        }
    }
    return r->gathered.count == 0;
}

static void give_back(nacre_relay *r, size_t n)
{
    if (r->ch && n > 0) {
        (void)nacre_channel_consumed(r->ch, n);
    }
}

void nc_relay_kill_sink(nacre_relay *r, nc_relay_sink *k)
{
    give_back(r, nc_queue_len(&k->queue));
    nc_queue_clear(&k->queue);
    k->dead = true;
    k->blocked = false;
    nc_relay_let_go(r, &k->fd, k->own);
}

/* Nobody reads what the peer sends: it may stop (OpenSSH PROTOCOL, 2.1 eow@openssh.com). */
static void sink_failed(nacre_relay *r, nc_relay_sink *k)
{
    nc_relay_kill_sink(r, k);
    if (r->ch && !r->closed && !r->eow_sent && !r->close_sent && k == &r->sinks[0] &&
        strcmp(nacre_channel_type(r->ch), "session") == 0) {
        r->eow_sent = true;
        (void)!nacre_channel_request(r->ch, "eow@openssh.com", false, nc_span(NULL, 0));
    }
}

/* What a write returned. False: it took nothing, the sink is blocked or dead. */
static bool wrote(nacre_relay *r, nc_relay_sink *k, ssize_t put)
{
    if (put < 0 && errno == EAGAIN) {
        k->blocked = true;
        return false;
    }
    if (put <= 0) {
        sink_failed(r, k);
        return false;
    }
    r->result.bytes_in += (uint64_t)put;
    return true;
}

/* How many of n bytes went; less: the sink is blocked or dead. */
static size_t write_sink(nacre_relay *r, nc_relay_sink *k, const uint8_t *p, size_t n)
{
    size_t done = 0;
    while (done < n && !k->dead) {
        size_t some = n - done;
        if (k->chunk && some > k->chunk) {
            some = k->chunk;
        }
        if (k->blocking && !nc_relay_polls(k->fd, POLLOUT)) {
            k->blocked = true;
            break;
        }
        ssize_t put = nc_fd_write(k->fd, k->kind, p + done, some);
        if (!wrote(r, k, put)) {
            break;
        }
        done += (size_t)put;
    }
    return done;
}

/* The same with what was gathered. */
static size_t write_gathered(nacre_relay *r, nc_relay_sink *k, struct iovec *iov, size_t count)
{
    size_t done = 0;
    while (count > 0) {
        ssize_t put = nc_fd_writev(k->fd, k->kind, iov, (int)count);
        if (!wrote(r, k, put)) {
            break;
        }
        size_t n = (size_t)put;
        done += n;
        for (; count > 0 && n >= iov->iov_len; iov++, count--) {
            n -= iov->iov_len;
        }
        if (count > 0) {
            iov->iov_base = (uint8_t *)iov->iov_base + n;
            iov->iov_len -= n;
        }
    }
    return done;
}

/* What the sink did not take; false: no memory. */
static bool queue_rest(nc_relay_sink *k, const nacre_span *spans, size_t count, size_t done)
{
    for (size_t i = 0; i < count; i++) {
        size_t skip = done < spans[i].n ? done : spans[i].n;
        done -= skip;
        if (nc_queue_append(&k->queue, spans[i].p + skip, spans[i].n - skip) != NACRE_OK) {
            return false;
        }
    }
    return true;
}

/* Spans to a sink with nothing queued, or behind what is queued. */
static void put_spans(nacre_relay *r, nc_relay_sink *k, const nacre_span *spans, size_t count)
{
    struct iovec iov[NC_RELAY_SPANS];
    size_t total = 0, done = 0, before = nc_queue_len(&k->queue);
    for (size_t i = 0; i < count; i++) {
        iov[i].iov_base = (void *)(uintptr_t)spans[i].p;
        iov[i].iov_len = spans[i].n;
        total += spans[i].n;
    }
    if (!k->dead && before == 0 && !k->blocked) {
        done = count == 1 ? write_sink(r, k, spans[0].p, spans[0].n)
                          : write_gathered(r, k, iov, count);
    }
    if (k->dead) {
        give_back(r, total);
        return;
    }
    give_back(r, done);
    if (done < total && !queue_rest(k, spans, count, done)) {
        /* Losing a part in silence would be worse than ending. */
        give_back(r, total - done - (nc_queue_len(&k->queue) - before));
        sink_failed(r, k);
        r->close_sent = true;
        (void)nacre_channel_close(r->ch);
    }
}

void nc_relay_flush(nacre_relay *r)
{
    nc_relay_gathered *g = &r->gathered;
    size_t count = g->count;
    if (count == 0) {
        return;
    }
    nc_driver_undefer(r->d, &r->after);
    g->count = 0;
    put_spans(r, g->sink, g->spans, count);
}

static bool may_gather(const nacre_relay *r, const nc_relay_sink *k, nacre_span bytes)
{
    return r->d && k->chunk == 0 && !k->blocking && !k->blocked && nc_queue_len(&k->queue) == 0 &&
           nc_transport_keeps(nacre_driver_transport(r->d), bytes);
}

void nc_relay_take(nacre_relay *r, int stream, nacre_span bytes)
{
    nc_relay_sink *k = &r->sinks[stream == NACRE_STDERR ? 1 : 0];
    nc_relay_gathered *g = &r->gathered;
    bool gather = !k->dead && may_gather(r, k, bytes);
    /* The order stays, that of two descriptors among themselves, too. */
    if (g->count == NC_RELAY_SPANS || !gather || g->sink != k) {
        nc_relay_flush(r);
    }
    if (k->dead || !gather || k->blocked) {
        put_spans(r, k, &bytes, 1);
        return;
    }
    g->sink = k;
    g->spans[g->count++] = bytes;
    nc_driver_defer(r->d, &r->after);
}

/* The peer's EOF has reached the fd. */
void nc_relay_close_sink(nacre_relay *r, nc_relay_sink *k)
{
    if (k->dead || nc_queue_len(&k->queue) > 0 || !r->eof_received) {
        return;
    }
    if (r->opts.shared) {
        return;
    }
    if (k->kind == NC_FD_SOCKET) {
        (void)shutdown(k->fd, SHUT_WR);
    }
    /* A pty master stays: it has no half-close, and the program may go on without input. */
    nc_relay_kill_sink(r, k);
}

void nc_relay_pump(nacre_relay *r, nc_relay_sink *k)
{
    k->blocked = false;
    size_t n = nc_queue_len(&k->queue);
    if (n > 0 && !k->dead) {
        size_t done = write_sink(r, k, nc_queue_front(&k->queue), n);
        if (!k->dead) {
            nc_queue_consume(&k->queue, done);
            give_back(r, done);
            nc_queue_shrink(&k->queue, QUEUE_KEEP);
        }
    }
    nc_relay_close_sink(r, k);
}
