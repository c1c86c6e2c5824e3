/*
 * subsystem.c - subsystems that the application registered by name: what comes over their channels goes to
 * their functions, unless something of ours was put on the channel.
 */
#include "server/server.h"

#include "io/fd.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

enum { NAME_MAX_BYTES = 64 }; /* RFC 4250 4.6.1 */

/* Removed ones stay until the server goes: sessions may hold them. */
struct nc_subsystem {
    nc_subsystem *next;
    nacre_subsystem fn;
    bool removed;
    char name[];
};

void nacre_subsystem_init(nacre_subsystem *s)
{
    memset(s, 0, sizeof(*s));
    s->size = sizeof(*s);
}

static bool name_ok(nacre_span name)
{
    for (size_t i = 0; i < name.n; i++) {
        if (name.p[i] <= 0x20 || name.p[i] > 0x7E) {
            return false;
        }
    }
    return name.n > 0 && name.n <= NAME_MAX_BYTES;
}

nc_subsystem *nc_subsystem_find(const nacre_server *s, nacre_span name)
{
    for (nc_subsystem *sub = s->subsystems; sub; sub = sub->next) {
        if (!sub->removed && nc_span_is(name, sub->name)) {
            return sub;
        }
    }
    return NULL;
}

int nacre_server_subsystem_add(nacre_server *s, const char *name, const nacre_subsystem *subsystem)
{
    nacre_span text = nc_span_cstr(name);
    size_t count = 0;
    if (!name_ok(text) || !subsystem || subsystem->size < sizeof(subsystem->size) ||
        subsystem->size > sizeof(*subsystem)) {
        return NACRE_INVALID_ARGUMENT;
    }
    if (nc_subsystem_find(s, text)) {
        return NACRE_WRONG_STATE;
    }
    for (const nc_subsystem *sub = s->subsystems; sub; sub = sub->next) {
        count++;
    }
    if (count >= NC_MAX_SUBSYSTEMS) {
        return NACRE_LIMIT;
    }
    nc_subsystem *sub = nc_zalloc(s->alloc, sizeof(*sub) + text.n + 1);
    if (!sub) {
        return NACRE_NO_MEMORY;
    }
    memcpy(sub->name, text.p, text.n);
    memcpy(&sub->fn, subsystem, subsystem->size);
    sub->next = s->subsystems;
    s->subsystems = sub;
    return NACRE_OK;
}

int nacre_server_subsystem_remove(nacre_server *s, const char *name)
{
    nc_subsystem *sub = nc_subsystem_find(s, nc_span_cstr(name));
    if (!sub) {
        return NACRE_NOT_FOUND;
    }
    sub->removed = true;
    return NACRE_OK;
}

void nc_subsystems_clear(nacre_server *s)
{
    while (s->subsystems) {
        nc_subsystem *sub = s->subsystems;
        s->subsystems = sub->next;
        nc_free(s->alloc, sub);
    }
}

/* ---- one session ------------------------------------------------------------------------------------ */

nacre_verdict nc_subsystem_start(nc_chan *k, const nc_subsystem *sub, const nacre_event *ev)
{
    void *session = NULL;
    nacre_verdict v =
        sub->fn.start ? sub->fn.start(sub->fn.user, k->conn, ev, &session) : NACRE_REFUSE;
    if (v != NACRE_ACCEPT && v != NACRE_LATER) {
        return NACRE_REFUSE;
    }
    k->subsystem = sub;
    k->subsystem_session = session;
    if (k->work == NC_WORK_NONE) {
        k->work = NC_WORK_OTHER;
    }
    return v;
}

static void on_eof(nc_chan *k)
{
    const nacre_subsystem *fn = &k->subsystem->fn;
    if (fn->eof) {
        fn->eof(k->subsystem_session, k->conn, k->ch);
        return;
    }
    /* Who has closed it already said what there was to say. */
    if (nacre_channel_exit_status(k->ch, 0) == NACRE_OK) {
        (void)nacre_channel_close(k->ch);
    }
}

bool nc_subsystem_event(nc_chan *k, const nacre_event *ev)
{
    const nacre_subsystem *fn = &k->subsystem->fn;
    switch (ev->type) {
    case NACRE_EVENT_CHANNEL_DATA:
        if (fn->data && ev->u.data.stream == NACRE_STDOUT) {
            fn->data(k->subsystem_session, k->conn, k->ch, ev->u.data.bytes);
        } else {
            (void)nacre_channel_consumed(k->ch, ev->u.data.bytes.n);
        }
        return true;
    case NACRE_EVENT_CHANNEL_WRITABLE:
        if (fn->writable) {
            fn->writable(k->subsystem_session, k->conn, k->ch);
        }
        return true;
    case NACRE_EVENT_CHANNEL_EOF:
        on_eof(k);
        return true;
    default:
        return false;
    }
}

void nc_subsystem_drop(nc_chan *k)
{
    const nc_subsystem *sub = k->subsystem;
    k->subsystem = NULL;
    if (sub && sub->fn.finish) {
        sub->fn.finish(k->subsystem_session);
    }
}

/* ---- a channel as a descriptor ---------------------------------------------------------------------- */

int nacre_server_channel_fd(nacre_server_conn *c, nacre_channel *ch, int *fd, nacre_error *err)
{
    int pair[2];
    nacre_relay_options o;
    *fd = -1;
    nc_error_clear(err);
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0) {
        return nc_os_fail(err, NACRE_IO, errno, "cannot make a socket pair");
    }
    nacre_relay_options_init(&o);
    o.source = o.sink = pair[1];
    int rc = nacre_server_attach(c, ch, &o, err);
    if (rc != NACRE_OK) {
        nc_fd_close(&pair[0]);
        nc_fd_close(&pair[1]);
        return rc;
    }
    *fd = pair[0];
    return NACRE_OK;
}
