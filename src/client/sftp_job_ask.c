/*
 * sftp_job_ask.c - the single requests of a job: queued, sent as there is room, and answered from the
 * job's pump in the order in which the answers came.
 */
#include "client/sftp_job.h"

#include <string.h>

static void append(nc_job_asks *list, nc_job_ask *a)
{
    a->in = list;
    a->next = NULL;
    a->prev = list->last;
    if (list->last) {
        list->last->next = a;
    } else {
        list->first = a;
    }
    list->last = a;
}

static void take_off(nc_job_ask *a)
{
    nc_job_asks *list = a->in;
    if (!list) {
        return;
    }
    if (a->prev) {
        a->prev->next = a->next;
    } else {
        list->first = a->next;
    }
    if (a->next) {
        a->next->prev = a->prev;
    } else {
        list->last = a->prev;
    }
    a->in = NULL;
    a->prev = a->next = NULL;
}

static void over(nc_job_ask *a, int rc)
{
    take_off(a);
    a->rc = rc;
    append(&a->j->answered, a);
}

static void on_reply(nc_sftp_call *call, nacre_sftp *s, const nacre_sftp_event *ev)
{
    nc_job_ask *a = (nc_job_ask *)call;
    a->keep(call, s, ev);
    if (a->op.done) {
        over(a, NACRE_OK);
    }
}

void nc_job_ask_start(nacre_sftp_job *j, nc_job_ask *a, void *owner,
                      void (*answered)(nc_job_ask *a))
{
    nc_sftp_op_clear(&a->op); /* zeroed memory is clear, too */
    nc_sftp_op_init(&a->op, j->s);
    a->keep = a->op.call.on_reply;
    a->op.call.on_reply = on_reply;
    a->j = j;
    a->owner = owner;
    a->answered = answered;
    a->rc = NACRE_OK;
    append(&j->waiting, a);
}

int nc_job_ask_judge(const nc_job_ask *a, nacre_error *err)
{
    if (a->rc == NACRE_OK) {
        return nc_sftp_judge(&a->r, &a->op, err);
    }
    return nc_fail(err, a->rc, "%s: %s", a->r.path ? NC_ESC(nc_span_cstr(a->r.path)) : "request",
                   a->rc == NACRE_CANCELLED ? "interrupted" : nacre_status_text(a->rc));
}

void nc_job_ask_drop(nc_job_ask *a)
{
    take_off(a);
    if (a->j && a->op.call.id) {
        nacre_sftp_engine_forget(a->j->s->engine, a->op.call.id);
        a->op.call.id = 0;
    }
    nc_sftp_op_clear(&a->op);
}

void nc_job_asks_send(nacre_sftp_job *j)
{
    for (nc_job_ask *a = j->waiting.first; a; a = j->waiting.first) {
        nacre_error err = {.status = NACRE_OK};
        int rc = nc_sftp_try(j->s, &a->r, &a->op, &err);
        if (rc == NACRE_AGAIN) {
            return;
        }
        if (rc == NACRE_OK) {
            take_off(a);
            append(&j->out, a);
        } else {
            over(a, rc);
        }
    }
}

void nc_job_asks_answer(nacre_sftp_job *j)
{
    for (nc_job_ask *a = j->answered.first; a; a = j->answered.first) {
        take_off(a);
        a->answered(a);
    }
}

void nc_job_asks_fail(nacre_sftp_job *j, int rc, bool all)
{
    while (j->waiting.first) {
        over(j->waiting.first, rc);
    }
    while (all && j->out.first) {
        nc_job_ask *a = j->out.first;
        if (a->op.call.id) {
            nacre_sftp_engine_forget(j->s->engine, a->op.call.id);
            a->op.call.id = 0;
        }
        over(a, rc);
    }
}

/* ---- handles ------------------------------------------------------------------------------------------ */

typedef struct closing {
    nc_job_ask ask;
    uint8_t handle[NACRE_SFTP_MAX_HANDLE];
} closing;

static void closed(nc_job_ask *a)
{
    const nacre_allocator *alloc = a->j->alloc;
    nc_sftp_op_clear(&a->op);
    nc_free(alloc, a->owner);
}

void nc_job_close_handle(nacre_sftp_job *j, nacre_span handle)
{
    closing *c = nc_zalloc(j->alloc, sizeof(*c));
    if (!c || handle.n == 0 || handle.n > sizeof(c->handle)) {
        nc_free(j->alloc, c);
        nc_sftp_drop_handle(j->s, handle);
        return;
    }
    memcpy(c->handle, handle.p, handle.n);
    c->ask.r.type = NACRE_FXP_CLOSE;
    c->ask.r.handle = nc_span(c->handle, handle.n);
    nc_job_ask_start(j, &c->ask, c, closed);
}
