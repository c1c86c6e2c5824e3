/*
 * stream.c - a channel as a file or a socket: what nacre/stream.h says, but for how one is started
 * (stream_start.c). Everything that arrives is kept by channels.c; here it is waited for and handed out.
 */
#include "client/stream.h"
#include "client/stream_state.h"

#include <string.h>

/* ---- waiting ---------------------------------------------------------------------------------------- */

int nc_stream_alive(nacre_stream *s)
{
    if (!s->k) {
        return NACRE_CLOSED;
    }
    nc_client_begin(s->c);
    return NACRE_OK;
}

/* As nc_client_wait, by the stream's deadline. */
static int wait_for(nacre_stream *s, const char *what, int (*done)(void *user), void *user)
{
    nacre_client *c = s->c;
    nacre_driver_kick(c->d);
    if (s->timeout_ms != NACRE_NOW) {
        nc_wait w = nc_client_wait_init(c, s->timeout_ms, what);
        return nc_client_wait(c, &w, done, user);
    }
    int rc = done(user);
    if (rc == NACRE_AGAIN && !c->closed) {
        nc_client_push(c);
        rc = done(user);
    }
    return rc == NACRE_AGAIN && c->closed ? nc_client_alive(c, what) : rc;
}

static bool is_over(const nacre_stream *s)
{
    return s->k->eof || s->k->closed || s->read_over;
}

/* ---- reading ---------------------------------------------------------------------------------------- */

static unsigned index_of(int stream)
{
    return stream == NACRE_STDERR ? 1 : 0;
}

typedef struct read_job {
    nacre_stream *s;
    nc_queue *q;
} read_job;

static int is_readable(void *user)
{
    const read_job *j = user;
    return nc_queue_len(j->q) > 0 || is_over(j->s) ? NACRE_OK : NACRE_AGAIN;
}

/* Takes n bytes off what is kept, and gives their window back. */
static void consume(nacre_stream *s, nc_queue *q, size_t n)
{
    nc_queue_consume(q, n);
    nc_queue_shrink(q, NC_STREAM_KEEP);
    if (n > 0 && !s->k->closed && !s->c->closed) {
        (void)nacre_channel_consumed(s->k->ch, n);
        nacre_driver_kick(s->c->d);
    }
    nc_stream_changed(s);
}

/* A line that was handed out is gone; what was read of one that is not whole stays in front. */
static void forget_line(nacre_stream *s, unsigned i)
{
    if (s->line_given[i]) {
        nc_buf_reset(&s->line[i]);
        s->line_given[i] = false;
    }
}

static size_t take_from_line(nacre_stream *s, unsigned i, void *p, size_t n)
{
    nc_buf *b = &s->line[i];
    size_t some = b->len < n ? b->len : n;
    if (some > 0) {
        memcpy(p, b->data, some);
        memmove(b->data, b->data + some, b->len - some);
        b->len -= some;
        nc_stream_changed(s);
    }
    return some;
}

int nacre_stream_read(nacre_stream *s, int stream, void *p, size_t n, size_t *got)
{
    unsigned i = index_of(stream);
    *got = 0;
    int rc = nc_stream_alive(s);
    if (rc != NACRE_OK || n == 0) {
        return rc;
    }
    forget_line(s, i);
    *got = take_from_line(s, i, p, n);
    if (*got > 0) {
        return NACRE_OK;
    }
    read_job j = {s, &s->k->in[i]};
    rc = wait_for(s, "reading from a channel", is_readable, &j);
    if (rc != NACRE_OK) {
        return rc;
    }
    size_t some = nc_queue_len(j.q) < n ? nc_queue_len(j.q) : n;
    if (some == 0) {
        return NACRE_END;
    }
    memcpy(p, nc_queue_front(j.q), some);
    consume(s, j.q, some);
    *got = some;
    return NACRE_OK;
}

int nacre_stream_read_exactly(nacre_stream *s, int stream, void *p, size_t n, size_t *got)
{
    size_t done = 0;
    int rc = NACRE_OK;
    while (rc == NACRE_OK && done < n) {
        size_t some = 0;
        rc = nacre_stream_read(s, stream, (uint8_t *)p + done, n - done, &some);
        done += some;
    }
    if (got) {
        *got = done;
    }
    return rc;
}

/* ---- lines ------------------------------------------------------------------------------------------ */

static int hand_out(nacre_stream *s, unsigned i, const char **line, size_t *n)
{
    nc_buf *b = &s->line[i];
    size_t len = b->len;
    if (len > 0 && b->data[len - 1] == '\n') {
        len--;
        len -= len > 0 && b->data[len - 1] == '\r' ? 1 : 0;
    }
    if (nc_buf_append(b, "", 1) != NACRE_OK) {
        return nc_client_fail(s->c, NACRE_NO_MEMORY, "%s: no memory for a line", s->name);
    }
    b->data[len] = '\0';
    s->line_given[i] = true;
    *line = (const char *)b->data;
    if (n) {
        *n = len;
    }
    nc_stream_changed(s);
    return NACRE_OK;
}

/* What is kept, up to and with a line's end, goes behind what the line has. True: it is whole. */
static int collect(nacre_stream *s, unsigned i, bool *whole)
{
    nc_queue *q = &s->k->in[i];
    nc_buf *b = &s->line[i];
    size_t n = nc_queue_len(q);
    const uint8_t *front = nc_queue_front(q);
    const uint8_t *end = n > 0 ? memchr(front, '\n', n) : NULL;
    size_t some = end ? (size_t)(end - front) + 1 : n;
    size_t room = s->line_max + 2 - b->len; /* CR LF do not count */
    *whole = end != NULL;
    if (some > room) {
        return NACRE_TOO_LARGE;
    }
    if (some > 0 && nc_buf_append(b, front, some) != NACRE_OK) {
        return NACRE_NO_MEMORY;
    }
    consume(s, q, some);
    return NACRE_OK;
}

static int next_line(nacre_stream *s, unsigned i, const char **line, size_t *n)
{
    nc_buf *b = &s->line[i];
    read_job j = {s, &s->k->in[i]};
    /* A read may have left several lines of one that was too long. */
    for (;;) {
        bool whole = false;
        int rc = collect(s, i, &whole);
        if (rc == NACRE_TOO_LARGE) {
            return nc_client_fail(s->c, rc, "%s: a line of more than %zu bytes", s->name,
                                  s->line_max);
        }
        if (rc != NACRE_OK) {
            return nc_client_fail(s->c, rc, "%s: no memory for a line", s->name);
        }
        if (whole || (is_over(s) && b->len > 0)) {
            return hand_out(s, i, line, n);
        }
        if (is_over(s)) {
            return NACRE_END;
        }
        rc = wait_for(s, "reading a line", is_readable, &j);
        if (rc != NACRE_OK) {
            return rc;
        }
    }
}

int nacre_stream_line(nacre_stream *s, int stream, const char **line, size_t *n)
{
    unsigned i = index_of(stream);
    *line = NULL;
    if (n) {
        *n = 0;
    }
    int rc = nc_stream_alive(s);
    if (rc != NACRE_OK) {
        return rc;
    }
    forget_line(s, i);
    return next_line(s, i, line, n);
}

/* ---- writing ---------------------------------------------------------------------------------------- */

static int is_writable(void *user)
{
    const nacre_stream *s = user;
    return s->k->closed || nacre_channel_write_room(s->k->ch) > 0 ? NACRE_OK : NACRE_AGAIN;
}

int nacre_stream_write(nacre_stream *s, int stream, const void *p, size_t n, size_t *took)
{
    size_t done = 0;
    int rc = nc_stream_alive(s);
    if (rc == NACRE_OK && s->timeout_ms != NACRE_NOW) {
        rc = nacre_client_write(s->c, s->k->ch, stream, p, n, s->timeout_ms, &done);
    } else if (rc == NACRE_OK && n > 0) {
        rc = wait_for(s, "writing to a channel", is_writable, s);
        if (rc == NACRE_OK) {
            rc = nacre_channel_write(s->k->ch, stream, p, n, &done);
            rc = rc != NACRE_OK ? nc_client_fail(s->c, rc, "%s: the channel takes no more data: %s",
                                                 s->name, nacre_status_text(rc))
                 : done == 0    ? NACRE_AGAIN
                                : NACRE_OK;
            nc_client_push(s->c);
        }
    }
    if (took) {
        *took = done;
    }
    return rc;
}

/* ---- readiness -------------------------------------------------------------------------------------- */

size_t nacre_stream_available(const nacre_stream *s, int stream)
{
    unsigned i = index_of(stream);
    size_t left = s->line_given[i] ? 0 : s->line[i].len;
    return s->k ? left + nc_queue_len(&s->k->in[i]) : 0;
}

static bool exit_known(const nc_chan *k)
{
    return k->exit.exited || k->exit.signal[0] || k->closed;
}

unsigned nacre_stream_ready(const nacre_stream *s)
{
    if (!s->k) {
        return NACRE_STREAM_ALL;
    }
    bool over = is_over(s) || s->c->closed;
    unsigned ready = over ? NACRE_STREAM_READ | NACRE_STREAM_READ_ERR : 0;
    ready |= nacre_stream_available(s, NACRE_STDOUT) ? NACRE_STREAM_READ : 0;
    ready |= nacre_stream_available(s, NACRE_STDERR) ? NACRE_STREAM_READ_ERR : 0;
    ready |= s->k->eof || s->k->closed || s->c->closed ? NACRE_STREAM_ENDED : 0;
    ready |= exit_known(s->k) || s->c->closed ? NACRE_STREAM_EXIT : 0;
    ready |= s->c->closed || is_writable((void *)(uintptr_t)s) == NACRE_OK ? NACRE_STREAM_WRITE : 0;
    return ready;
}

typedef struct ready_job {
    nacre_stream *s;
    unsigned wanted;
} ready_job;

static int is_ready(void *user)
{
    const ready_job *j = user;
    return nacre_stream_ready(j->s) & j->wanted ? NACRE_OK : NACRE_AGAIN;
}

int nacre_stream_wait(nacre_stream *s, unsigned wanted, unsigned *ready)
{
    ready_job j = {s, wanted};
    int rc = nc_stream_alive(s);
    if (rc == NACRE_OK) {
        rc = wait_for(s, "waiting for a channel", is_ready, &j);
    }
    if (ready) {
        *ready = nacre_stream_ready(s);
    }
    return rc;
}

/* ---- the end ---------------------------------------------------------------------------------------- */

int nacre_stream_shutdown_write(nacre_stream *s)
{
    int rc = nc_stream_alive(s);
    if (rc == NACRE_OK) {
        rc = nacre_channel_eof(s->k->ch);
        nc_client_push(s->c);
    }
    return rc;
}

static void drop(nacre_stream *s, unsigned i)
{
    forget_line(s, i);
    nc_buf_reset(&s->line[i]);
    consume(s, &s->k->in[i], nc_queue_len(&s->k->in[i]));
}

int nacre_stream_shutdown_read(nacre_stream *s)
{
    int rc = nc_stream_alive(s);
    if (rc != NACRE_OK) {
        return rc;
    }
    s->k->drop_data = s->k->drop_errors = true;
    drop(s, 0);
    drop(s, 1);
    if (!s->read_over && strcmp(nacre_channel_type(s->k->ch), "session") == 0) {
        /* Not open any more: then there is nobody to be told. */
        rc = nacre_channel_end_of_write(s->k->ch);
        rc = rc == NACRE_CLOSED ? NACRE_OK : rc;
    }
    s->read_over = true;
    nc_stream_changed(s);
    nc_client_push(s->c);
    return rc;
}

static int is_exit_known(void *user)
{
    const nacre_stream *s = user;
    return exit_known(s->k) ? NACRE_OK : NACRE_AGAIN;
}

int nacre_stream_exit(nacre_stream *s, nacre_exit *how)
{
    memset(how, 0, sizeof(*how));
    int rc = nc_stream_alive(s);
    if (rc == NACRE_OK) {
        rc = wait_for(s, "waiting for the end of a program", is_exit_known, s);
    }
    if (rc != NACRE_OK) {
        return rc;
    }
    *how = s->k->exit;
    return how->exited || how->signal[0]
               ? NACRE_OK
               : nc_client_fail(s->c, NACRE_NOT_FOUND,
                                "%s: the channel was closed, and nothing said how its program "
                                "ended",
                                s->name);
}

static int is_closed(void *user)
{
    const nacre_stream *s = user;
    return s->k->closed ? NACRE_OK : NACRE_AGAIN;
}

int nacre_stream_close(nacre_stream *s)
{
    int rc = nc_stream_alive(s);
    if (rc != NACRE_OK) {
        return rc;
    }
    s->k->drop_data = s->k->drop_errors = true;
    s->read_over = true;
    drop(s, 0);
    drop(s, 1);
    if (!s->k->closed && !s->c->closed) {
        (void)nacre_channel_close(s->k->ch); /* closed already: so much the better */
    }
    return wait_for(s, "closing a channel", is_closed, s);
}
