/*
 * sftp_xfer.c - the life of one file's transfer: from step to step, its requests, failing, cancelling,
 * progress. What the steps are is in sftp_xfer_get.c and sftp_xfer_put.c.
 */
#include "client/sftp_xfer_state.h"
#include "crypto/crypto.h"

#include <string.h>
#include <unistd.h>

enum { DEFAULT_PROGRESS_MS = 100 };

/* ---- steps -------------------------------------------------------------------------------------------- */

static nc_xfer_step failed_step(const nc_xfer *x)
{
    return x->spec.up ? nc_xfer_put_failed : nc_xfer_get_failed;
}

/* x may be gone behind it: its owner is told within. */
static void advance(nc_xfer *x)
{
    while (x->step) {
        if (x->error.status != NACRE_OK && !x->failing) {
            x->failing = true;
            x->step = failed_step(x);
        }
        if (x->step == nc_xfer_end) {
            (void)nc_xfer_end(x);
            return;
        }
        if (!x->step(x) && (x->error.status == NACRE_OK || x->failing)) {
            return;
        }
    }
}

static void pump(nc_sftp_task *t)
{
    nc_xfer *x = (nc_xfer *)t;
    if (x->flow && !x->failing && !x->comparing) {
        (void)nc_xfer_progress(x, false);
    }
    advance(x);
}

bool nc_xfer_end(nc_xfer *x)
{
    char raw[sizeof(x->error.text)];
    memcpy(raw, x->error.text, sizeof(raw));
    /* Names in it may be the peer's; escaping what is escaped already changes nothing. */
    nacre_escape(x->error.text, sizeof(x->error.text), nc_span_cstr(raw));
    x->step = NULL;
    nc_sftp_task_stop(x->s, &x->task);
    x->spec.over(x->spec.user, x);
    return false;
}

bool nc_xfer_drop_handle(nc_xfer *x)
{
    if (x->handle_len > 0 && x->s->broken.status == NACRE_OK) {
        uint32_t id = 0;
        int rc = nacre_sftp_req_close(x->s->engine, nc_span(x->handle, x->handle_len), &id);
        if (rc == NACRE_AGAIN && !x->hurried) {
            return false; /* a handle that stays open is one that the server has less */
        }
        if (rc == NACRE_OK) {
            nacre_sftp_engine_forget(x->s->engine, id);
        }
    }
    x->handle_len = 0;
    x->step = nc_xfer_end;
    return true;
}

/* ---- requests ----------------------------------------------------------------------------------------- */

nc_sftp_request *nc_xfer_want(nc_xfer *x, nc_xfer_slot slot, uint8_t type, const char *path)
{
    nc_xfer_ask *a = &x->asks[slot];
    nc_xfer_forget(x, slot);
    nc_sftp_op_init(&a->op, x->s);
    a->wanted = true;
    a->r =
        (nc_sftp_request){.type = type, .path = path, .handle = nc_span(x->handle, x->handle_len)};
    return &a->r;
}

void nc_xfer_forget(nc_xfer *x, nc_xfer_slot slot)
{
    nc_xfer_ask *a = &x->asks[slot];
    if (a->sent && a->op.call.id && slot == NC_XFER_OPEN) {
        nc_sftp_late_open(x->s, a->op.call.id, x->temporary);
    } else if (a->sent && a->op.call.id) {
        nacre_sftp_engine_forget(x->s->engine, a->op.call.id);
    }
    nc_sftp_op_clear(&a->op);
    memset(a, 0, sizeof(*a));
}

int nc_xfer_send(nc_xfer *x)
{
    for (size_t i = 0; i < NC_XFER_SLOTS; i++) {
        nc_xfer_ask *a = &x->asks[i];
        if (!a->wanted || a->sent) {
            continue;
        }
        int rc = nc_sftp_try(x->s, &a->r, &a->op, &x->error);
        if (rc != NACRE_OK) {
            return rc;
        }
        a->sent = true;
        if (i == NC_XFER_CLOSE) {
            x->handle_len = 0;
        }
    }
    return NACRE_OK;
}

bool nc_xfer_answered(const nc_xfer *x)
{
    for (size_t i = 0; i < NC_XFER_SLOTS; i++) {
        if (x->asks[i].wanted && !(x->asks[i].sent && x->asks[i].op.done)) {
            return false;
        }
    }
    return true;
}

int nc_xfer_judge(nc_xfer *x, nc_xfer_slot slot)
{
    const nc_xfer_ask *a = &x->asks[slot];
    bool first = x->error.status == NACRE_OK;
    int rc = nc_sftp_judge(&a->r, &a->op, &x->error);
    x->code = first ? a->op.code : x->code;
    return rc;
}

int nc_xfer_take_handle(nc_xfer *x)
{
    const nc_sftp_op *op = &x->asks[NC_XFER_OPEN].op;
    int rc = nc_xfer_judge(x, NC_XFER_OPEN);
    if (rc == NACRE_OK) {
        memcpy(x->handle, op->handle, op->handle_len);
        x->handle_len = op->handle_len;
    }
    nc_xfer_forget(x, NC_XFER_OPEN);
    return rc;
}

int nc_xfer_fail(nc_xfer *x, int status, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    nc_vfail(&x->error, status, NACRE_BY_US, fmt, ap);
    va_end(ap);
    return status;
}

/* ---- data --------------------------------------------------------------------------------------------- */

void nc_xfer_start_flow(nc_xfer *x, nc_sftp_flow *f)
{
    x->flow = f;
    nc_sftp_flow_start(f);
}

bool nc_xfer_pump_flow(nc_xfer *x)
{
    nc_sftp_flow *f = x->flow;
    f->pump(f);
    if (f->error.status == NACRE_OK) {
        return true;
    }
    if (x->error.status == NACRE_OK) {
        x->error = f->error;
        x->code = f->code;
    }
    return false;
}

bool nc_xfer_progress(nc_xfer *x, bool always)
{
    const nacre_sftp_transfer_options *o = x->o;
    uint64_t done = x->base + nc_xfer_bytes(x);
    if (!o->progress || (!always && done == x->told)) {
        return true;
    }
    uint64_t now = nacre_loop_now(NULL);
    uint64_t gap = o->progress_ms ? o->progress_ms : DEFAULT_PROGRESS_MS;
    if (!always && now - x->told_ms < gap) {
        return true;
    }
    x->told_ms = now;
    x->told = done;
    const char *path = x->spec.up && x->spec.local ? x->spec.local : x->spec.remote;
    if (o->progress(o->user, path, done, x->total)) {
        return true;
    }
    nc_xfer_fail(x, NACRE_CANCELLED, "%s: interrupted", x->spec.remote);
    return false;
}

/* ---- life --------------------------------------------------------------------------------------------- */

static bool begin(nc_xfer *x)
{
    if (x->base > INT64_MAX) {
        nc_xfer_fail(x, NACRE_INVALID_ARGUMENT, "%s: offset beyond every file", x->spec.remote);
        return false;
    }
    x->step = x->spec.up ? nc_xfer_put_begin : nc_xfer_get_begin;
    return true;
}

static bool copy_text(const nacre_allocator *a, const char **text)
{
    if (!*text) {
        return true;
    }
    *text = nc_strdup(a, *text);
    return *text != NULL;
}

static bool copy_spec(nc_xfer *x, const nc_xfer_spec *spec)
{
    x->spec = *spec;
    bool ok = copy_text(x->s->alloc, &x->spec.remote);
    bool ok_local = copy_text(x->s->alloc, &x->spec.local);
    bool ok_name = copy_text(x->s->alloc, &x->spec.name);
    if (spec->attrs) {
        x->known = *spec->attrs;
        x->known.flags &= ~NACRE_SFTP_ATTR_EXTENDED;
        x->spec.attrs = &x->known;
    }
    return ok && ok_local && ok_name;
}

int nc_xfer_start(nc_xfer **out, nacre_sftp *s, const nc_xfer_spec *spec)
{
    nc_xfer *x = nc_zalloc(s->alloc, sizeof(*x));
    *out = NULL;
    if (!x) {
        return NACRE_NO_MEMORY;
    }
    x->s = s;
    x->fd = -1;
    x->total = UINT64_MAX;
    nc_local_init(&x->target, s->alloc);
    nacre_sftp_transfer_options_init(&x->defaults);
    if (!copy_spec(x, spec)) {
        nc_xfer_free(x);
        return NACRE_NO_MEMORY;
    }
    x->o = spec->o ? spec->o : &x->defaults;
    x->base = x->o->offset;
    x->step = begin;
    nc_sftp_task_start(s, &x->task, pump);
    *out = x;
    return NACRE_OK;
}

void nc_xfer_stop(nc_xfer *x, const nacre_error *why)
{
    if (!x->step) {
        return;
    }
    if (x->error.status == NACRE_OK) {
        nc_xfer_fail(x, why->status, "%s: %s", x->spec.remote, why->text);
        x->error.by = why->by;
        x->error.detail = why->detail;
    }
    x->hurried = x->hurried || x->s->broken.status != NACRE_OK || why->status == NACRE_TIMEOUT;
    advance(x);
}

void nc_xfer_cancel(nc_xfer *x)
{
    static const nacre_error interrupted = {.status = NACRE_CANCELLED, .text = "interrupted"};
    bool broken = x->s->broken.status != NACRE_OK;
    x->hurried = x->failing;
    nc_xfer_stop(x, broken ? &x->s->broken : &interrupted);
}

void nc_xfer_free(nc_xfer *x)
{
    const nacre_allocator *a;
    if (!x) {
        return;
    }
    a = x->s->alloc;
    nc_sftp_task_stop(x->s, &x->task);
    if (x->flow) {
        nc_sftp_flow_stop(x->flow);
    }
    for (int i = 0; i < NC_XFER_SLOTS; i++) {
        nc_xfer_forget(x, (nc_xfer_slot)i);
    }
    nc_local_abandon(&x->target); /* nothing when it was committed */
    if (x->fd >= 0) {
        close(x->fd);
    }
    nc_hasher_free(x->hasher);
    nc_free(a, x->temporary);
    nc_free(a, (char *)(uintptr_t)x->spec.remote);
    nc_free(a, (char *)(uintptr_t)x->spec.local);
    nc_free(a, (char *)(uintptr_t)x->spec.name);
    nc_free(a, x);
}

/* ---- afterwards --------------------------------------------------------------------------------------- */

const nacre_error *nc_xfer_error(const nc_xfer *x)
{
    return &x->error;
}

uint32_t nc_xfer_code(const nc_xfer *x)
{
    return x->code;
}

uint64_t nc_xfer_bytes(const nc_xfer *x)
{
    bool data = x->flow == (x->spec.up ? &x->writer.flow : &x->reader.flow) && !x->comparing;
    return data ? x->flow->moved : 0;
}

void *nc_xfer_user(const nc_xfer *x)
{
    return x->spec.user;
}
