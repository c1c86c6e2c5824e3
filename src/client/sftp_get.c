/*
 * sftp_get.c - a remote file into a local one: under a temporary name until all of it is there, so that
 * a failure leaves what was there before.
 */
#include "client/sftp_local.h"
#include "client/sftp_session.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

enum {
    /*
     * Pseudo file systems (Linux's sysfs) call every file a page long and end it where its text ends.
     * Up to this size, an explicit EOF counts more than the size.
     */
    ATTRIBUTE_FILE = 64 * 1024
};

typedef struct get {
    nacre_sftp *s;
    const char *remote;
    const nacre_sftp_transfer_options *o;
    nc_local_target target;
    nc_sftp_op open, stat;
    nc_sftp_reader reader;
    nc_sftp_call stat_call;
} get;

static int to_file(void *user, uint64_t offset, nacre_span bytes, nacre_error *err)
{
    get *g = user;
    return nc_local_write(&g->target, offset, bytes, err);
}

static bool is_kind(const nacre_sftp_attrs *a, uint32_t kind)
{
    return (a->flags & NACRE_SFTP_ATTR_PERMISSIONS) && (a->permissions & NACRE_SFTP_S_IFMT) == kind;
}

/* The server's FSTAT came: now the end is known, and whether this can be read at all. */
static void on_stat(nc_sftp_call *call, nacre_sftp *s, const nacre_sftp_event *ev)
{
    (void)s;
    get *g = (get *)(void *)((char *)call - offsetof(get, stat_call));
    if (ev->type != NACRE_SFTP_EVENT_ATTRS) {
        return; /* then the file is read without knowing its size */
    }
    g->stat.attrs = ev->u.attrs;
    const nacre_sftp_attrs *a = &g->stat.attrs;
    if (is_kind(a, NACRE_SFTP_S_IFDIR)) {
        nc_sftp_flow_fail(&g->reader.flow, NACRE_INVALID_ARGUMENT, "%s is a directory", g->remote);
        return;
    }
    /* Devices and pipes have no size; neither has what an odd server calls 0 bytes long. */
    bool sized = (a->flags & NACRE_SFTP_ATTR_SIZE) && a->size > 0 &&
                 (!(a->flags & NACRE_SFTP_ATTR_PERMISSIONS) || is_kind(a, NACRE_SFTP_S_IFREG));
    if (sized) {
        g->reader.size = a->size;
        g->reader.flow.progress_total = a->size;
    }
}

static int ask_stat(get *g)
{
    uint32_t id = 0;
    g->stat_call.on_reply = on_stat;
    int rc = nacre_sftp_req_fstat(g->s->engine, g->reader.flow.handle, &id);
    if (rc == NACRE_AGAIN) {
        return NACRE_OK; /* the table is full of forgotten requests: go without */
    }
    g->stat_call.id = id;
    return rc == NACRE_OK ? nacre_sftp_engine_set_user(g->s->engine, id, &g->stat_call) : rc;
}

static int read_all(get *g)
{
    nc_sftp_flow *f = &g->reader.flow;
    nc_sftp_reader_init(&g->reader, g->s, nc_span(g->open.handle, g->open.handle_len), g->remote,
                        to_file, g);
    nc_sftp_flow_options(f, g->o, g->remote);
    g->reader.in_order = !g->target.seekable;
    g->reader.top = f->next;
    int rc = ask_stat(g);
    if (rc != NACRE_OK) {
        return nc_sftp_fail(g->s, rc, "stat %s: %s", g->remote, nacre_status_text(rc));
    }
    rc = nc_sftp_flow_run(f);
    if (g->stat_call.id) {
        nacre_sftp_engine_forget(g->s->engine, g->stat_call.id);
    }
    return rc;
}

static int verify(get *g)
{
    const nc_sftp_reader *r = &g->reader;
    unsigned long long end = r->flow.end;
    if (r->top > r->flow.end) {
        return nc_sftp_fail(g->s, NACRE_INCOMPLETE,
                            "%s changed while it was read: the server ended it at byte %llu, but "
                            "sent bytes behind that",
                            g->remote, end);
    }
    if (r->size != UINT64_MAX && r->flow.end < r->size && r->flow.end >= g->o->offset &&
        (r->size > ATTRIBUTE_FILE)) {
        return nc_sftp_fail(g->s, NACRE_INCOMPLETE,
                            "%s ended at byte %llu, but the server says that it has %llu",
                            g->remote, end, (unsigned long long)r->size);
    }
    return NACRE_OK;
}

static int run(get *g, const char *local)
{
    nacre_sftp *s = g->s;
    nc_sftp_request r = {.type = NACRE_FXP_OPEN, .path = g->remote, .pflags = NACRE_FXF_READ};
    int rc = nc_sftp_ask(s, &r, &g->open);
    if (rc != NACRE_OK) {
        return rc;
    }
    bool direct = g->o->direct || g->o->offset > 0;
    rc = nc_local_create(&g->target, s->alloc, local, direct, &s->error);
    if (rc == NACRE_OK) {
        rc = read_all(g);
    }
    nc_sftp_drop_handle(s, nc_span(g->open.handle, g->open.handle_len));
    if (rc == NACRE_OK) {
        rc = verify(g);
    }
    if (rc == NACRE_OK) {
        nc_error_clear(&s->error);
        nc_local_finish how = {.attrs = &g->stat.attrs,
                               .preserve = g->o->preserve,
                               .sync = g->o->sync,
                               .end = g->o->offset > 0 ? UINT64_MAX : g->reader.flow.end};
        rc = nc_local_commit(&g->target, &how, &s->error);
    }
    return rc;
}

int nacre_sftp_get(nacre_sftp *s, const char *remote, const char *local,
                   const nacre_sftp_transfer_options *o)
{
    nacre_sftp_transfer_options defaults;
    if (!o) {
        nacre_sftp_transfer_options_init(&defaults);
        o = &defaults;
    }
    get *g = nc_zalloc(s->alloc, sizeof(*g));
    if (!g) {
        return nc_sftp_fail(s, NACRE_NO_MEMORY, "no memory for a transfer");
    }
    g->s = s;
    g->remote = remote;
    g->o = o;
    nc_local_init(&g->target, s->alloc);
    nc_sftp_op_init(&g->open, s);
    nc_sftp_op_init(&g->stat, s);
    int rc = run(g, local);
    nc_local_abandon(&g->target); /* nothing when it was committed */
    nc_sftp_op_clear(&g->open);
    nc_free(s->alloc, g);
    nc_sftp_tidy(s);
    return rc;
}
