/*
 * sftp_session.c - the life of a blocking SFTP session: bytes of the wire to the machine, events to
 * whoever waits for them, and the waiting itself. Wires, requests and transfers are in other files.
 */
#include "client/sftp_session.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

void nacre_sftp_options_init(nacre_sftp_options *o)
{
    memset(o, 0, sizeof(*o));
    o->size = sizeof(*o);
}

int nc_sftp_new(nacre_sftp **out, const nacre_sftp_options *o, const nacre_pipe *pipe,
                nacre_error *err)
{
    nacre_sftp *s = nc_zalloc(o->allocator, sizeof(*s));
    if (!s) {
        return nc_fail(err, NACRE_NO_MEMORY, "no memory for an SFTP session");
    }
    s->alloc = o->allocator;
    s->default_timeout_ms = o->timeout_ms;
    s->timeout_ms = o->timeout_ms;
    s->max_read = o->max_data ? o->max_data : NACRE_SFTP_MAX_DATA;
    s->max_write = s->max_read;
    s->read_ahead = NC_SFTP_IN_FLIGHT;
    nc_sftp_depth_init(&s->depth);
    int rc = nacre_sftp_engine_new(&s->engine, s->alloc, pipe);
    if (rc != NACRE_OK) {
        nc_free(s->alloc, s);
        return nc_fail(err, rc, "no memory for an SFTP session");
    }
    *out = s;
    return NACRE_OK;
}

typedef struct start_call {
    nc_sftp_call call;
    nacre_sftp *s;
    bool done;
    nc_sftp_op home; /* asked for only where it costs no round trip */
} start_call;

static void on_limits(nc_sftp_call *call, nacre_sftp *s, const nacre_sftp_event *ev)
{
    (void)s;
    (void)ev; /* the machine has taken them over; a refusal leaves the defaults */
    start_call *start = (start_call *)call;
    start->done = true;
}

static bool is_ready(void *user)
{
    return nacre_sftp_engine_ready(((start_call *)user)->s->engine);
}

static bool is_done(void *user)
{
    return ((start_call *)user)->done;
}

static int ask_limits(nacre_sftp *s, start_call *start)
{
    int rc = nacre_sftp_req_limits(s->engine, &start->call.id);
    return rc == NACRE_OK ? nacre_sftp_engine_set_user(s->engine, start->call.id, &start->call)
                          : rc;
}

/* What every session needs to know goes with INIT, and comes with VERSION. */
static int ask_early(nacre_sftp *s, start_call *start)
{
    static const nc_sftp_request where = {.type = NACRE_FXP_REALPATH, .path = "."};
    nacre_error why = {.status = NACRE_OK};
    nc_engine_be_eager(s->engine);
    int rc = ask_limits(s, start);
    return rc == NACRE_OK ? nc_sftp_try(s, &where, &start->home, &why) : rc;
}

static bool is_all_done(void *user)
{
    const start_call *start = user;
    return start->done && start->home.done;
}

/* A refusal is none of ours: who needs the answer asks again. */
static void keep_home(nacre_sftp *s, const nc_sftp_op *op)
{
    nacre_sftp_names names = {op->names_count, nc_span(op->names, op->names_len)};
    nacre_sftp_name entry;
    if (op->ok && nacre_sftp_names_next(&names, &entry) && !memchr(entry.name.p, 0, entry.name.n)) {
        s->home = nc_strndup(s->alloc, entry.name);
    }
}

static void forget(nacre_sftp *s, nc_sftp_call *call)
{
    if (call->id) {
        nacre_sftp_engine_forget(s->engine, call->id);
        call->id = 0;
    }
}

/* VERSION, and the limits of a server that names them. */
static int await_start(nacre_sftp *s, start_call *start)
{
    int rc = nc_sftp_wait(s, is_ready, start, s->timeout_ms);
    if (rc == NACRE_OK && s->eager) {
        return nc_sftp_wait(s, is_all_done, start, s->timeout_ms);
    }
    if (rc == NACRE_OK && nacre_sftp_engine_has(s->engine, NACRE_SFTP_EXT_LIMITS) &&
        ask_limits(s, start) == NACRE_OK) {
        nc_sftp_depth_asked(&s->depth, start->call.id, 1, nacre_loop_now(NULL));
        rc = nc_sftp_wait(s, is_done, start, s->timeout_ms);
    }
    return rc;
}

static void take_limits(nacre_sftp *s)
{
    nacre_sftp_limits limits;
    nacre_sftp_engine_limits(s->engine, &limits);
    s->max_read = limits.max_read < s->max_read ? (size_t)limits.max_read : s->max_read;
    s->max_write = limits.max_write < s->max_write ? (size_t)limits.max_write : s->max_write;
}

int nc_sftp_start(nacre_sftp *s)
{
    start_call start = {.call = {.on_reply = on_limits}, .s = s};
    nc_sftp_op_init(&start.home, s);
    int rc = nacre_sftp_engine_start(s->engine);
    if (rc == NACRE_OK && s->eager) {
        rc = ask_early(s, &start);
    }
    if (rc == NACRE_OK) {
        rc = nacre_sftp_engine_flush(s->engine);
    }
    rc = rc == NACRE_OK ? await_start(s, &start) : nc_sftp_fail(s, rc, "SFTP could not be started");
    forget(s, &start.call);
    forget(s, &start.home.call);
    if (rc == NACRE_OK) {
        take_limits(s);
        keep_home(s, &start.home);
    }
    nc_sftp_op_clear(&start.home);
    return rc;
}

void nacre_sftp_close(nacre_sftp *s)
{
    if (!s) {
        return;
    }
    nacre_sftp_engine_free(s->engine);
    if (s->wire) {
        s->wire->free(s->wire_ctx);
    }
    nc_sftp_blocks_free(s);
    nc_sftp_late_free(s);
    nc_sftp_cwd_free(s);
    nc_free(s->alloc, s);
}

void nacre_sftp_cancel(nacre_sftp *s)
{
    s->wire->cancel(s->wire_ctx);
}

/* ---- what there is to know --------------------------------------------------------------------------- */

const nacre_error *nacre_sftp_error(const nacre_sftp *s)
{
    return &s->error;
}

uint32_t nacre_sftp_status(const nacre_sftp *s)
{
    return s->status;
}

void nacre_sftp_set_timeout(nacre_sftp *s, uint32_t timeout_ms)
{
    s->timeout_ms = timeout_ms ? timeout_ms : s->default_timeout_ms;
}

bool nacre_sftp_has(const nacre_sftp *s, nacre_sftp_ext ext)
{
    return nacre_sftp_engine_has(s->engine, ext);
}

void nacre_sftp_get_limits(const nacre_sftp *s, nacre_sftp_limits *out)
{
    nacre_sftp_engine_limits(s->engine, out);
}

bool nacre_sftp_extension_at(const nacre_sftp *s, size_t index, nacre_span *name, nacre_span *data)
{
    return nacre_sftp_engine_extension_at(s->engine, index, name, data);
}

void nacre_sftp_string_free(nacre_sftp *s, char *text)
{
    nc_free(s->alloc, text);
}

/* ---- errors ------------------------------------------------------------------------------------------- */

int(nc_sftp_fail)(nacre_sftp *s, int status, const char *fmt, ...)
{
    va_list ap;
    nc_error_clear(&s->error);
    va_start(ap, fmt);
    nc_vfail(&s->error, status, NACRE_BY_US, fmt, ap);
    va_end(ap);
    nc_sftp_tidy(s);
    return status;
}

/* Names in messages may be the peer's; escaping what is escaped already changes nothing. */
void nc_sftp_tidy(nacre_sftp *s)
{
    char raw[sizeof(s->error.text)];
    memcpy(raw, s->error.text, sizeof(raw));
    nacre_escape(s->error.text, sizeof(s->error.text), nc_span_cstr(raw));
}

int nc_sftp_fail_errno(nacre_sftp *s, const char *verb, const char *path)
{
    int code = errno;
    nc_sftp_fail(s, NACRE_IO, "%s %s: %s", verb, path, strerror(code));
    s->error.detail = (uint32_t)code;
    return NACRE_IO;
}

void nc_sftp_break(nacre_sftp *s, const nacre_error *why)
{
    if (s->broken.status == NACRE_OK) {
        s->broken = *why;
    }
}

static void break_by_engine(nacre_sftp *s, int rc)
{
    const nacre_error *e = nacre_sftp_engine_error(s->engine);
    nacre_error own = {.status = NACRE_OK};
    if (e->status != NACRE_OK) {
        own = *e;
    } else {
        nc_fail(&own, rc, "the SFTP session broke: %s", nacre_status_text(rc));
    }
    if (s->ended[0]) {
        size_t n = strlen(own.text);
        snprintf(own.text + n, sizeof(own.text) - n, " (%s)", s->ended);
    }
    nc_sftp_break(s, &own);
}

int nc_sftp_begin(nacre_sftp *s)
{
    s->status = NACRE_FX_OK;
    /* The machine may have failed while a request was made, outside of the wire's turns. */
    if (nacre_sftp_engine_error(s->engine)->status != NACRE_OK) {
        break_by_engine(s, nacre_sftp_engine_error(s->engine)->status);
    }
    if (s->broken.status != NACRE_OK) {
        s->error = s->broken;
        return s->broken.status;
    }
    nc_error_clear(&s->error);
    return NACRE_OK;
}

/* ---- tasks -------------------------------------------------------------------------------------------- */

void nc_sftp_task_start(nacre_sftp *s, nc_sftp_task *t, void (*pump)(nc_sftp_task *t))
{
    if (t->on) {
        return;
    }
    t->pump = pump;
    t->on = true;
    t->next = NULL;
    t->prev = s->last_task;
    if (s->last_task) {
        s->last_task->next = t;
    } else {
        s->tasks = t;
    }
    s->last_task = t;
    if (!s->next_task) {
        s->next_task = t; /* one that is started by the last one has its turn still */
    }
}

void nc_sftp_task_stop(nacre_sftp *s, nc_sftp_task *t)
{
    if (!t->on) {
        return;
    }
    if (s->next_task == t) {
        s->next_task = t->next;
    }
    if (t->prev) {
        t->prev->next = t->next;
    } else {
        s->tasks = t->next;
    }
    if (t->next) {
        t->next->prev = t->prev;
    } else {
        s->last_task = t->prev;
    }
    t->prev = t->next = NULL;
    t->on = false;
}

/* ---- from the wire ------------------------------------------------------------------------------------ */

static void dispatch(nacre_sftp *s, const nacre_sftp_event *ev)
{
    nc_sftp_call *call = ev->user;
    s->replies++;
    if (call) {
        if (ev->done) {
            if (s->depth.asked) {
                nc_sftp_depth_answered(&s->depth, call->id, nacre_loop_now(NULL));
            }
            call->id = 0;
        }
        call->on_reply(call, s, ev);
    }
}

static void pump_and_flush(nacre_sftp *s)
{
    if (s->broken.status != NACRE_OK) {
        return;
    }
    for (nc_sftp_task *t = s->tasks; t; t = s->next_task) {
        s->next_task = t->next;
        t->pump(t);
    }
    int rc = nacre_sftp_engine_flush(s->engine);
    if (rc != NACRE_OK) {
        break_by_engine(s, rc);
    }
}

void nc_sftp_feed(nacre_sftp *s, nacre_span bytes)
{
    while (bytes.n > 0 && s->broken.status == NACRE_OK) {
        nacre_sftp_event ev;
        size_t used = 0;
        int rc = nacre_sftp_engine_input(s->engine, bytes, &used, &ev);
        bytes.p += used;
        bytes.n -= used;
        if (rc == NACRE_OK) {
            dispatch(s, &ev);
        } else if (rc != NACRE_AGAIN) {
            break_by_engine(s, rc);
        }
    }
    pump_and_flush(s);
}

void nc_sftp_writable(nacre_sftp *s)
{
    pump_and_flush(s);
}

void nc_sftp_lost(nacre_sftp *s)
{
    int rc = nacre_sftp_engine_end(s->engine);
    if (rc == NACRE_OK) {
        nacre_error own = {.status = NACRE_OK};
        nc_fail(&own, NACRE_CLOSED, "the server ended the SFTP session%s%s%s",
                s->ended[0] ? " (" : "", s->ended, s->ended[0] ? ")" : "");
        nc_sftp_break(s, &own);
        return;
    }
    break_by_engine(s, rc);
}

/* ---- waiting ------------------------------------------------------------------------------------------ */

typedef struct waiting {
    nacre_sftp *s;
    nc_sftp_test finished;
    void *user;
} waiting;

static int wait_done(void *user)
{
    waiting *w = user;
    return w->finished(w->user) || w->s->broken.status != NACRE_OK ? NACRE_OK : NACRE_AGAIN;
}

void nc_sftp_push(nacre_sftp *s)
{
    pump_and_flush(s);
    if (s->broken.status == NACRE_OK) {
        s->wire->push(s->wire_ctx);
    }
}

int nc_sftp_wait(nacre_sftp *s, nc_sftp_test finished, void *user, uint32_t timeout_ms)
{
    waiting w = {s, finished, user};
    pump_and_flush(s);
    int rc = wait_done(&w);
    if (rc == NACRE_AGAIN) {
        nacre_error why = {.status = NACRE_OK};
        rc = s->wire->run(s->wire_ctx, wait_done, &w, timeout_ms, &why);
        if (rc != NACRE_OK && rc != NACRE_TIMEOUT && rc != NACRE_CANCELLED) {
            nc_fail(&why, rc, "the connection broke");
            nc_sftp_break(s, &why);
        }
    }
    if (rc == NACRE_OK && finished(user)) {
        return NACRE_OK; /* also when the session broke right behind the answer */
    }
    if (s->broken.status != NACRE_OK) {
        s->error = s->broken;
        return s->broken.status;
    }
    return nc_sftp_fail(s, rc, "%s",
                        rc == NACRE_TIMEOUT ? "the SFTP server did not answer in time"
                                            : "interrupted");
}
