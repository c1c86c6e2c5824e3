/*
 * sftp_late.c - an OPEN that nobody waits for any more may still be answered with a handle: it is closed
 * when it comes, and a temporary file that it made is removed.
 */
#include "client/sftp_session.h"

#include <string.h>

struct nc_sftp_late {
    nc_sftp_task task; /* first; runs when the handle is there */
    nc_sftp_call call;
    nacre_sftp *s;
    struct nc_sftp_late *prev, *next;
    uint8_t handle[NACRE_SFTP_MAX_HANDLE];
    size_t handle_len;
    char *temporary; /* NULL: none */
};

static void drop(nc_sftp_late *l)
{
    nacre_sftp *s = l->s;
    nc_sftp_task_stop(s, &l->task);
    if (l->prev) {
        l->prev->next = l->next;
    } else {
        s->late = l->next;
    }
    if (l->next) {
        l->next->prev = l->prev;
    }
    nc_free(s->alloc, l->temporary);
    nc_free(s->alloc, l);
}

/* One after the other, whenever there is room. */
static void pump(nc_sftp_task *t)
{
    nc_sftp_late *l = (nc_sftp_late *)t;
    nacre_sftp_engine *e = l->s->engine;
    uint32_t id = 0;
    int rc = NACRE_OK;
    if (l->handle_len > 0) {
        rc = nacre_sftp_req_close(e, nc_span(l->handle, l->handle_len), &id);
        l->handle_len = rc == NACRE_OK ? 0 : l->handle_len;
    } else if (l->temporary) {
        rc = nacre_sftp_req_remove(e, nc_span_cstr(l->temporary), &id);
        nc_free(l->s->alloc, rc == NACRE_OK ? l->temporary : NULL);
        l->temporary = rc == NACRE_OK ? NULL : l->temporary;
    }
    if (id) {
        nacre_sftp_engine_forget(e, id);
    }
    if ((rc != NACRE_OK && rc != NACRE_AGAIN) || (l->handle_len == 0 && !l->temporary)) {
        drop(l);
    }
}

static void on_reply(nc_sftp_call *call, nacre_sftp *s, const nacre_sftp_event *ev)
{
    nc_sftp_late *l = (nc_sftp_late *)(void *)((char *)call - offsetof(nc_sftp_late, call));
    if (ev->type != NACRE_SFTP_EVENT_HANDLE || ev->u.handle.n > sizeof(l->handle)) {
        drop(l);
        return;
    }
    memcpy(l->handle, ev->u.handle.p, ev->u.handle.n);
    l->handle_len = ev->u.handle.n;
    nc_sftp_task_start(s, &l->task, pump);
}

void nc_sftp_late_open(nacre_sftp *s, uint32_t id, const char *temporary)
{
    char *owned = NULL;
    nc_sftp_late *l = nc_zalloc(s->alloc, sizeof(*l));
    const char *path = l && temporary ? nc_sftp_path(s, temporary, &owned) : NULL;
    if (l && path) {
        l->temporary = owned ? owned : nc_strdup(s->alloc, path);
    }
    if (!l || nacre_sftp_engine_set_user(s->engine, id, &l->call) != NACRE_OK) {
        nc_free(s->alloc, l ? l->temporary : NULL);
        nc_free(s->alloc, l);
        nacre_sftp_engine_forget(s->engine, id); /* then the handle is lost */
        return;
    }
    l->s = s;
    l->call.on_reply = on_reply;
    l->call.id = id;
    l->next = s->late;
    if (s->late) {
        s->late->prev = l;
    }
    s->late = l;
}

void nc_sftp_late_free(nacre_sftp *s)
{
    while (s->late) {
        drop(s->late);
    }
}
