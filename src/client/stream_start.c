/*
 * stream_start.c - how streams begin and end: the session and what runs on it, the event descriptor.
 */
#include "client/stream.h"
#include "client/stream_state.h"
#include "io/fd.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

void nacre_stream_options_init(nacre_stream_options *o)
{
    memset(o, 0, sizeof(*o));
    o->size = sizeof(*o);
    o->line_max = NC_STREAM_LINE;
}

/* What the caller's struct has of ours, and defaults for the rest. */
static nacre_stream_options options_of(const nacre_stream_options *o)
{
    nacre_stream_options out;
    nacre_stream_options_init(&out);
    if (o && o->size >= sizeof(o->size) && o->size <= sizeof(out)) {
        memcpy(&out, o, o->size);
    }
    return out;
}

/* ---- life ------------------------------------------------------------------------------------------- */

static void set_mode(nc_chan *k, nacre_stderr_mode mode)
{
    k->merge_errors = mode == NACRE_STDERR_MERGED;
    k->drop_errors = mode == NACRE_STDERR_DROPPED || k->drop_data;
}

static void destroy(nacre_stream *s)
{
    const nacre_allocator *a = s->alloc;
    nc_buf_clear(&s->line[0]);
    nc_buf_clear(&s->line[1]);
    nc_fd_close(&s->notify[0]);
    nc_fd_close(&s->notify[1]);
    nc_free(a, s->name);
    nc_free(a, s);
}

/* What is kept of stderr, in the mode that holds now. */
static int settle_errors(nacre_stream *s)
{
    nc_chan *k = s->k;
    nc_queue *q = &k->in[1];
    size_t n = nc_queue_len(q);
    if (n == 0 || (!k->merge_errors && !k->drop_errors)) {
        return NACRE_OK;
    }
    if (k->merge_errors && nc_queue_append(&k->in[0], nc_queue_front(q), n) != NACRE_OK) {
        return nc_client_fail(s->c, NACRE_NO_MEMORY, "%s: no memory to merge its streams", s->name);
    }
    nc_queue_clear(q);
    if (k->drop_errors && !k->closed && !s->c->closed) {
        (void)nacre_channel_consumed(k->ch, n);
        nacre_driver_kick(s->c->d);
    }
    nc_stream_changed(s);
    return NACRE_OK;
}

static int make(nacre_stream **out, nacre_client *c, nc_chan *k, const nacre_stream_options *o)
{
    char number[32];
    nacre_stream *s = nc_zalloc(c->alloc, sizeof(*s));
    if (!s) {
        return nc_client_fail(c, NACRE_NO_MEMORY, "no memory for a stream");
    }
    s->alloc = c->alloc;
    s->c = c;
    s->notify[0] = s->notify[1] = -1;
    s->timeout_ms = o->timeout_ms;
    s->line_max = o->line_max > 0 && o->line_max < SIZE_MAX / 2 ? o->line_max : NC_STREAM_LINE;
    for (unsigned i = 0; i < 2; i++) {
        nc_buf_init(&s->line[i], c->alloc, s->line_max + 3); /* CR, LF, and our zero */
    }
    (void)snprintf(number, sizeof(number), "stream %u", (unsigned)nacre_channel_id(k->ch));
    s->name = nc_strdup(c->alloc, o->name ? o->name : number);
    if (!s->name) {
        destroy(s);
        return nc_client_fail(c, NACRE_NO_MEMORY, "no memory for a stream");
    }
    set_mode(k, o->errors);
    s->k = k;
    int rc = settle_errors(s);
    if (rc != NACRE_OK) {
        destroy(s);
        return rc;
    }
    k->stream = s;
    *out = s;
    return NACRE_OK;
}

int nacre_stream_over(nacre_stream **out, nacre_client *c, nacre_channel *ch,
                      const nacre_stream_options *o)
{
    *out = NULL;
    nc_client_begin(c);
    nc_chan *k = ch ? nc_channels_find(c, ch) : NULL;
    if (!k) {
        /* One that the server opened, or that nacre_channel_open did. */
        int rc = nacre_client_on_channel(c, ch, NULL, NULL);
        if (rc != NACRE_OK) {
            return rc;
        }
        k = nc_channels_find(c, ch);
    }
    if (!k || k->stream || k->relay || k->fn) {
        return nc_client_fail(c, NACRE_WRONG_STATE, "this channel is in other hands already");
    }
    nacre_stream_options opts = options_of(o);
    return make(out, c, k, &opts);
}

void nacre_stream_free(nacre_stream *s)
{
    if (!s) {
        return;
    }
    if (s->k) {
        nacre_channel *ch = s->k->ch;
        nacre_client *c = s->c;
        s->k->stream = NULL;
        s->k = NULL;
        nacre_client_channel_free(c, ch);
    }
    destroy(s);
}

void nc_stream_orphan(nacre_stream *s)
{
    s->k = NULL;
    s->c = NULL;
    nc_stream_changed(s);
}

/* ---- starting --------------------------------------------------------------------------------------- */

static int send_env(nacre_client *c, nacre_channel *ch, const char *pair)
{
    char name[256];
    const char *equals = strchr(pair, '=');
    size_t n = equals ? (size_t)(equals - pair) : 0;
    if (n == 0 || n >= sizeof(name)) {
        return nc_client_fail(c, NACRE_INVALID_ARGUMENT, "\"%s\" is no NAME=value of a variable",
                              NC_ESC(nc_span_cstr(pair)));
    }
    memcpy(name, pair, n);
    name[n] = '\0';
    return nacre_channel_env(ch, name, equals + 1, false);
}

typedef int (*start_fn)(nacre_channel *ch, const char *what);

static int start_exec(nacre_channel *ch, const char *what)
{
    return nacre_channel_exec(ch, nc_span_cstr(what), true);
}

static int start_shell(nacre_channel *ch, const char *what)
{
    (void)what;
    return nacre_channel_shell(ch, true);
}

static int start_subsystem(nacre_channel *ch, const char *what)
{
    return nacre_channel_subsystem(ch, what, true);
}

static int answered(nacre_client *c, nacre_channel *ch, uint32_t ms, const char *what)
{
    int rc = nacre_client_wait_reply(c, ch, ms);
    if (rc != NACRE_REQUEST_REFUSED) {
        return rc;
    }
    nc_client_begin(c); /* the sentence shall say what was refused */
    return nc_client_fail(c, rc, "%s: the server refused %s", c->where, what);
}

/* All requests leave together; the answers come in their order. */
static int run_on(nacre_client *c, nacre_channel *ch, const nacre_stream_options *o,
                  uint32_t timeout_ms, start_fn fn, const char *what, const char *kind)
{
    int rc = o->pty ? nacre_channel_pty(ch, o->pty, true) : NACRE_OK;
    for (size_t i = 0; rc == NACRE_OK && i < o->env_count; i++) {
        rc = send_env(c, ch, o->env[i]);
    }
    if (rc == NACRE_OK) {
        rc = fn(ch, what);
    }
    if (rc != NACRE_OK) {
        return c->err.status == rc ? rc
                                   : nc_client_fail(c, rc, "%s: %s cannot be asked for: %s",
                                                    c->where, kind, nacre_status_text(rc));
    }
    if (o->pty) {
        rc = answered(c, ch, timeout_ms, "a terminal");
    }
    return rc == NACRE_OK ? answered(c, ch, timeout_ms, kind) : rc;
}

static int start(nacre_stream **out, nacre_client *c, const nacre_stream_options *options,
                 start_fn fn, const char *what, const char *kind)
{
    nacre_stream_options o = options_of(options);
    uint32_t ms = o.timeout_ms == NACRE_NOW ? 0 : o.timeout_ms;
    nacre_channel *ch = NULL;
    *out = NULL;
    int rc = nacre_client_session(c, ms, &ch);
    if (rc != NACRE_OK) {
        return rc;
    }
    nc_chan *k = nc_channels_find(c, ch);
    set_mode(k, o.errors); /* the program may speak before its start is answered to us */
    rc = run_on(c, ch, &o, ms, fn, what, kind);
    if (rc == NACRE_OK) {
        rc = make(out, c, k, &o);
    }
    if (rc != NACRE_OK) {
        nacre_client_channel_free(c, ch);
    }
    return rc;
}

int nacre_stream_exec(nacre_stream **out, nacre_client *c, const char *command,
                      const nacre_stream_options *o)
{
    return start(out, c, o, start_exec, command, "the command");
}

int nacre_stream_shell(nacre_stream **out, nacre_client *c, const nacre_stream_options *o)
{
    return start(out, c, o, start_shell, NULL, "a shell");
}

int nacre_stream_subsystem(nacre_stream **out, nacre_client *c, const char *name,
                           const nacre_stream_options *o)
{
    return start(out, c, o, start_subsystem, name, "the subsystem");
}

/* ---- what it is ------------------------------------------------------------------------------------- */

nacre_channel *nacre_stream_channel(const nacre_stream *s)
{
    return s->k ? s->k->ch : NULL;
}

nacre_client *nacre_stream_client(const nacre_stream *s)
{
    return s->c;
}

const char *nacre_stream_name(const nacre_stream *s)
{
    return s->name;
}

int nacre_stream_set_name(nacre_stream *s, const char *name)
{
    char *copy = nc_strdup(s->alloc, name);
    if (!copy) {
        return NACRE_NO_MEMORY;
    }
    nc_free(s->alloc, s->name);
    s->name = copy;
    return NACRE_OK;
}

void nacre_stream_set_user(nacre_stream *s, void *user)
{
    s->user = user;
}

void *nacre_stream_user(const nacre_stream *s)
{
    return s->user;
}

void nacre_stream_set_timeout(nacre_stream *s, uint32_t timeout_ms)
{
    s->timeout_ms = timeout_ms;
}

uint32_t nacre_stream_timeout(const nacre_stream *s)
{
    return s->timeout_ms;
}

int nacre_stream_set_stderr(nacre_stream *s, nacre_stderr_mode mode)
{
    int rc = nc_stream_alive(s);
    if (rc != NACRE_OK) {
        return rc;
    }
    set_mode(s->k, mode);
    return settle_errors(s);
}

/* ---- the event descriptor --------------------------------------------------------------------------- */

void nc_stream_changed(nacre_stream *s)
{
    bool ready =
        !s->k || (nacre_stream_ready(s) & (NACRE_STREAM_READ | NACRE_STREAM_READ_ERR)) != 0;
    char byte = 'r';
    if (s->notify[0] < 0 || ready == s->notified) {
        return;
    }
    /* A pipe with at most one byte in it: neither can wait, and who fails is asked again. */
    ssize_t done = ready ? nc_fd_write(s->notify[1], NC_FD_PIPE, &byte, 1)
                         : nc_fd_read(s->notify[0], NC_FD_PIPE, &byte, 1);
    s->notified = done == 1 ? ready : s->notified;
}

int nacre_stream_fd(nacre_stream *s)
{
    if (s->notify[0] < 0 && nc_fd_pipe(s->notify, true) != 0) {
        s->notify[0] = s->notify[1] = -1;
        return -1;
    }
    nc_stream_changed(s);
    return s->notify[0];
}
