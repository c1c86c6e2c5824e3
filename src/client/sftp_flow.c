/*
 * sftp_flow.c - what reading and writing in many requests share: the pool of requests, how much may be
 * on the way, failing, waiting. What is asked for is in sftp_reader.c and sftp_writer.c.
 */
#include "client/sftp_session.h"

#include <string.h>

enum {
    BLOCK = 64, /* chunks that are allocated together */
    /* Bounded rates: what a beginning or a pause may make up for at once, and how often we look. */
    RATE_FIRST_MS = 50,
    RATE_BURST_MS = 250,
    RATE_STEP_MS = 20,
    /* What the session's bound leaves is not cut smaller for a request: it waits for more room. */
    CRUMB = 32 * 1024
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
    if (f->limited) {
        nc_sftp_limiter *l = &f->s->limiter;
        l->allowance -= c->len < l->allowance ? c->len : l->allowance;
    }
}

static void off_the_way(nc_sftp_chunk *c)
{
    nc_sftp_flow *f = c->flow;
    f->flying -= c->len;
    f->requests--;
    f->s->flying -= c->len;
    f->s->flow_requests--;
}

void nc_sftp_chunk_landed(nc_sftp_chunk *c)
{
    off_the_way(c);
    nc_sftp_depth_landed(&c->flow->s->depth, c->len, nacre_loop_now(NULL));
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
    f->cap = UINT64_MAX;
    /* Half of the machine's table stays free for everything else. */
    f->max_requests = NACRE_SFTP_MAX_REQUESTS / 2;
}

void nc_sftp_flow_options(nc_sftp_flow *f, const nacre_sftp_transfer_options *o)
{
    nc_sftp_limiter *l = &f->s->limiter;
    f->given = o->in_flight != 0;
    f->cap = f->given ? o->in_flight : f->cap;
    if (o->max_requests && o->max_requests < f->max_requests) {
        f->max_requests = o->max_requests;
    }
    f->next = o->offset;
    f->limited = o->rate != 0;
    if (f->limited && l->rate != o->rate) {
        l->rate = o->rate;
        l->allowance = 0;
        l->since_ms = nacre_loop_now(NULL) - RATE_FIRST_MS;
    }
}

/* ---- how much may go ---------------------------------------------------------------------------------- */

/* Of all limited flows together: a bucket that fills with time, up to what a pause may make up for. */
static uint64_t rate_room(nc_sftp_limiter *l)
{
    uint64_t now = nacre_loop_now(NULL);
    uint64_t ms = now - l->since_ms;
    uint64_t most = l->rate / 1000 * RATE_BURST_MS + l->rate % 1000 * RATE_BURST_MS / 1000 + 1;
    uint64_t more = ms > RATE_BURST_MS ? most : l->rate / 1000 * ms + l->rate % 1000 * ms / 1000;
    if (more > 0) {
        l->since_ms = now;
        l->allowance = most - l->allowance > more ? l->allowance + more : most;
    }
    return l->allowance;
}

uint64_t nc_sftp_flow_most(const nc_sftp_flow *f, uint64_t n)
{
    uint64_t rate = f->s->limiter.rate;
    uint64_t most = rate < 10240 ? 1024 : rate / 10;
    return f->limited && n > most ? most : n;
}

/* Of all flows together; 0: none, when something is on the way that will make some. */
static uint64_t session_room(nc_sftp_flow *f)
{
    nacre_sftp *s = f->s;
    if (s->flying == 0) {
        return UINT64_MAX;
    }
    uint64_t room = f->given ? (f->cap > s->flying ? f->cap - s->flying : 0)
                             : nc_sftp_depth_room(&s->depth, s->flying);
    return room < CRUMB && room < f->cap ? 0 : room;
}

uint64_t nc_sftp_flow_room(nc_sftp_flow *f)
{
    if (f->requests >= f->max_requests || (f->flying >= f->cap && f->requests > 0)) {
        return 0;
    }
    uint64_t room = f->requests == 0 && f->cap == 0 ? UINT64_MAX : f->cap - f->flying;
    uint64_t all = session_room(f);
    room = all < room ? all : room;
    if (f->limited) {
        uint64_t slow = rate_room(&f->s->limiter);
        /* Crumbs of a few bytes would cost more than they bring. */
        uint64_t least = f->s->limiter.rate / 1000 * RATE_STEP_MS;
        slow = slow < least ? 0 : slow;
        room = slow < room ? slow : room;
    }
    return room;
}

uint64_t nc_sftp_flow_through(const nc_sftp_flow *f)
{
    uint64_t through = f->next;
    for (const nc_sftp_chunk *c = f->first; c; c = c->next) {
        through = !c->done && c->offset < through ? c->offset : through;
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
    if (f->drop) {
        f->drop(f);
    }
    while (f->first) {
        nc_sftp_chunk *c = f->first;
        if (c->call.id) {
            nacre_sftp_engine_forget(f->s->engine, c->call.id);
            off_the_way(c);
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

static bool flow_over(void *user)
{
    return nc_sftp_flow_over(user);
}

int nc_sftp_drive(nacre_sftp *s, nc_sftp_test finished, void *user, bool limited)
{
    bool bounded = s->timeout_ms != 0 && s->timeout_ms != NACRE_FOREVER;
    uint64_t idle = 0;
    int rc;
    do {
        uint64_t seen = s->replies;
        bool resting = nacre_sftp_engine_outstanding(s->engine) == 0; /* the server owes nothing */
        rc = nc_sftp_wait(s, finished, user, limited ? RATE_STEP_MS : s->timeout_ms);
        if (rc != NACRE_TIMEOUT) {
            return rc;
        }
        bool moved = s->replies != seen;
        idle = moved || (limited && resting) ? 0 : idle + RATE_STEP_MS;
        bool patient = limited && (!bounded || idle < s->timeout_ms);
        rc = moved || patient ? NACRE_AGAIN : rc;
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
    nc_sftp_flow_start(f);
    rc = nc_sftp_drive(s, flow_over, f, f->limited);
    nc_sftp_task_stop(s, &f->task);
    if (rc != NACRE_OK) {
        nacre_error why = s->error;
        nc_sftp_flow_fail(f, rc, "%s: %s", f->path, why.text);
        if (f->error.status == rc) {
            f->error.by = why.by;
            f->error.detail = why.detail;
        }
    }
    if (f->error.status != NACRE_OK) {
        f->next = nc_sftp_flow_through(f);
        s->error = f->error;
        s->status = f->code;
    }
    forget_all(f);
    return f->error.status;
}
