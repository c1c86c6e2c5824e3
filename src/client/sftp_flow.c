/*
 * sftp_flow.c - what reading and writing in many requests share: the pool of requests, how much may be
 * on the way, progress, failing, waiting. What is asked for is in sftp_reader.c and sftp_writer.c.
 */
#include "client/sftp_session.h"

#include <string.h>

enum {
    BLOCK = 64, /* chunks that are allocated together */
    DEFAULT_PROGRESS_MS = 100,
    RATE_BURST_MS = 50,
    RATE_STEP_MS = 20
};

typedef struct nc_sftp_block {
    struct nc_sftp_block *next;
    nc_sftp_chunk chunks[BLOCK];
} nc_sftp_block;

/* ---- the pool ----------------------------------------------------------------------------------------- */

static bool grow_pool(nacre_sftp *s)
{
    nc_sftp_block *b = nc_zalloc(s->alloc, sizeof(*b));
    if (!b) {
        return false;
    }
    b->next = s->blocks;
    s->blocks = b;
    for (size_t i = 0; i < BLOCK; i++) {
        nc_sftp_chunk_give(s, &b->chunks[i]);
    }
    return true;
}

void nc_sftp_blocks_free(nacre_sftp *s)
{
    while (s->blocks) {
        nc_sftp_block *b = s->blocks;
        s->blocks = b->next;
        nc_free(s->alloc, b);
    }
    s->pool = NULL;
}

nc_sftp_chunk *nc_sftp_chunk_take(nc_sftp_flow *f)
{
    nacre_sftp *s = f->s;
    if (!s->pool && !grow_pool(s)) {
        nc_sftp_flow_fail(f, NACRE_NO_MEMORY, "no memory for SFTP requests");
        return NULL;
    }
    nc_sftp_chunk *c = s->pool;
    s->pool = c->next;
    memset(c, 0, sizeof(*c));
    c->flow = f;
    return c;
}

void nc_sftp_chunk_give(nacre_sftp *s, nc_sftp_chunk *c)
{
    c->next = s->pool;
    s->pool = c;
}

void nc_sftp_chunk_sent(nc_sftp_chunk *c, uint32_t id)
{
    nc_sftp_flow *f = c->flow;
    c->call.id = id;
    int rc = nacre_sftp_engine_set_user(f->s->engine, id, &c->call);
    (void)rc; /* the id was made a moment ago */
    c->prev = f->last;
    c->next = NULL;
    if (f->last) {
        f->last->next = c;
    } else {
        f->first = c;
    }
    f->last = c;
    f->flying += c->len;
    f->requests++;
    f->s->flying += c->len;
    f->s->flow_requests++;
}

void nc_sftp_chunk_landed(nc_sftp_chunk *c)
{
    nc_sftp_flow *f = c->flow;
    f->flying -= c->len;
    f->requests--;
    f->s->flying -= c->len;
    f->s->flow_requests--;
}

void nc_sftp_chunk_unlink(nc_sftp_chunk *c)
{
    nc_sftp_flow *f = c->flow;
    if (c->prev) {
        c->prev->next = c->next;
    } else {
        f->first = c->next;
    }
    if (c->next) {
        c->next->prev = c->prev;
    } else {
        f->last = c->prev;
    }
    c->prev = c->next = NULL;
}

/* ---- setting up --------------------------------------------------------------------------------------- */

void nc_sftp_flow_init(nc_sftp_flow *f, nacre_sftp *s, nacre_span handle, const char *path)
{
    memset(f, 0, sizeof(*f));
    f->s = s;
    f->handle = handle;
    f->path = path;
    f->end = UINT64_MAX;
    f->cap = NC_SFTP_IN_FLIGHT;
    /* Half of the machine's table stays free for everything else. */
    f->max_requests = NACRE_SFTP_MAX_REQUESTS / 2;
}

void nacre_sftp_transfer_options_init(nacre_sftp_transfer_options *o)
{
    memset(o, 0, sizeof(*o));
    o->size = sizeof(*o);
}

void nc_sftp_flow_options(nc_sftp_flow *f, const nacre_sftp_transfer_options *o,
                          const char *progress_path)
{
    f->cap = o->in_flight ? o->in_flight : f->cap;
    if (o->max_requests && o->max_requests < f->max_requests) {
        f->max_requests = o->max_requests;
    }
    f->rate = o->rate;
    f->rate_start_ms = nacre_loop_now(NULL);
    f->rate_base = o->offset;
    f->progress = o->progress;
    f->progress_user = o->user;
    f->progress_path = progress_path;
    f->progress_ms = o->progress_ms ? o->progress_ms : DEFAULT_PROGRESS_MS;
    f->progress_base = o->offset;
    f->progress_total = UINT64_MAX;
    f->next = o->offset;
}

/* ---- how much may go ---------------------------------------------------------------------------------- */

static uint64_t rate_room(const nc_sftp_flow *f)
{
    uint64_t ms = nacre_loop_now(NULL) - f->rate_start_ms + RATE_BURST_MS;
    uint64_t allowed = ms / 1000 * f->rate + ms % 1000 * f->rate / 1000;
    uint64_t asked = f->next - f->rate_base;
    return allowed > asked ? allowed - asked : 0;
}

uint64_t nc_sftp_flow_room(nc_sftp_flow *f)
{
    if (f->requests >= f->max_requests || (f->flying >= f->cap && f->requests > 0)) {
        return 0;
    }
    uint64_t room = f->requests == 0 && f->cap == 0 ? UINT64_MAX : f->cap - f->flying;
    if (f->rate) {
        uint64_t slow = rate_room(f);
        /* Crumbs of a few bytes would cost more than they bring. */
        uint64_t least = f->rate / 1000 * RATE_STEP_MS;
        slow = slow < least ? 0 : slow;
        room = slow < room ? slow : room;
    }
    return room;
}

uint64_t nc_sftp_flow_through(const nc_sftp_flow *f)
{
    uint64_t through = f->next;
    if (f->first && f->first->offset < through) {
        through = f->first->offset;
    }
    for (const nc_sftp_chunk *c = f->repair; c; c = c->next) {
        through = c->offset < through ? c->offset : through;
    }
    return through;
}

/* ---- failing ------------------------------------------------------------------------------------------ */

int nc_sftp_flow_fail(nc_sftp_flow *f, int status, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    nc_vfail(&f->error, status, NACRE_BY_US, fmt, ap);
    va_end(ap);
    return status;
}

void nc_sftp_flow_refused(nc_sftp_flow *f, const nacre_sftp_event *ev, const char *verb,
                          uint64_t offset)
{
    if (f->error.status != NACRE_OK) {
        return;
    }
    nc_escaped text = nc_escape_span(ev->u.status.message);
    f->code = ev->u.status.code;
    nc_sftp_flow_fail(f, NACRE_SFTP_STATUS, "%s %s at offset %llu: %s", verb, f->path,
                      (unsigned long long)offset, nc_sftp_code_text(f->code, text.text));
    f->error.by = NACRE_BY_PEER;
    f->error.detail = f->code;
}

static void forget_all(nc_sftp_flow *f)
{
    while (f->first) {
        nc_sftp_chunk *c = f->first;
        if (c->call.id) {
            nacre_sftp_engine_forget(f->s->engine, c->call.id);
        }
        if (!c->done) {
            nc_sftp_chunk_landed(c);
        }
        nc_sftp_chunk_unlink(c);
        nc_sftp_chunk_give(f->s, c);
    }
    while (f->repair) {
        nc_sftp_chunk *c = f->repair;
        f->repair = c->next;
        nc_sftp_chunk_give(f->s, c);
    }
}

/* ---- running ------------------------------------------------------------------------------------------ */

static void report(nc_sftp_flow *f, bool always)
{
    uint64_t done = f->progress_base + f->moved;
    if (!f->progress || f->error.status != NACRE_OK ||
        (!always && done - f->progress_seen < 64 * 1024)) {
        return;
    }
    uint64_t now = nacre_loop_now(NULL);
    f->progress_seen = done;
    if (!always && now < f->progress_next_ms) {
        return;
    }
    f->progress_next_ms = now + f->progress_ms;
    if (!f->progress(f->progress_user, f->progress_path, done, f->progress_total)) {
        nc_sftp_flow_fail(f, NACRE_CANCELLED, "%s: interrupted", f->path);
    }
}

bool nc_sftp_flow_over(const nc_sftp_flow *f)
{
    return f->error.status != NACRE_OK || (f->requests == 0 && !f->repair && f->next >= f->end);
}

static void pump_flow(nc_sftp_task *t)
{
    nc_sftp_flow *f = (nc_sftp_flow *)t;
    f->pump(f);
}

void nc_sftp_flow_start(nc_sftp_flow *f)
{
    nc_sftp_task_start(f->s, &f->task, pump_flow);
}

void nc_sftp_flow_stop(nc_sftp_flow *f)
{
    nc_sftp_task_stop(f->s, &f->task);
    forget_all(f);
}

/* Asked after each turn of the wire. */
static bool turn_over(void *user)
{
    nc_sftp_flow *f = user;
    report(f, false);
    return nc_sftp_flow_over(f);
}

/* Time without progress is bounded, not the whole transfer's. */
static int run_turns(nc_sftp_flow *f)
{
    nacre_sftp *s = f->s;
    uint64_t idle = 0;
    int rc;
    do {
        uint64_t seen = f->moved;
        bool resting = f->requests == 0; /* by the rate's order: the server owes nothing */
        rc = nc_sftp_wait(s, turn_over, f, f->rate ? RATE_STEP_MS : s->timeout_ms);
        if (rc != NACRE_TIMEOUT) {
            break;
        }
        idle = f->moved != seen || resting ? 0 : idle + RATE_STEP_MS;
        bool bounded = s->timeout_ms != 0 && s->timeout_ms != NACRE_FOREVER;
        bool patient = f->rate && (!bounded || idle < s->timeout_ms);
        rc = f->moved != seen || patient ? NACRE_AGAIN : rc;
    } while (rc == NACRE_AGAIN);
    return rc;
}

int nc_sftp_flow_run(nc_sftp_flow *f)
{
    nacre_sftp *s = f->s;
    int rc = nc_sftp_begin(s);
    if (rc != NACRE_OK) {
        forget_all(f);
        return rc;
    }
    report(f, true);
    nc_sftp_flow_start(f);
    rc = run_turns(f);
    nc_sftp_task_stop(s, &f->task);
    if (rc != NACRE_OK) {
        nacre_error why = s->error;
        nc_sftp_flow_fail(f, rc, "%s: %s", f->path, why.text);
        if (f->error.status == rc) {
            f->error.by = why.by;
            f->error.detail = why.detail;
        }
    }
    report(f, true);
    if (f->error.status != NACRE_OK) {
        f->next = nc_sftp_flow_through(f);
        s->error = f->error;
        s->status = f->code;
    }
    forget_all(f);
    return f->error.status;
}
