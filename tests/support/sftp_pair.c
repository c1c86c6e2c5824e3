#include "sftp_pair.h"

#include <string.h>

enum { FILE_BYTES = 3000, PIECE = 1500, EVENTS = 4096 };

static uint8_t content(size_t at)
{
    return (uint8_t)(at * 7 + (at >> 8));
}

static nacre_span handle(const sftp_pair *s)
{
    return nc_span(s->handle, s->handle_n);
}

/* ---- the client's list ----------------------------------------------------------------------------- */

static int req_create(sftp_pair *s, uint32_t *id)
{
    return nacre_sftp_req_open(s->client, nc_span_cstr("/d/new"),
                               NACRE_FXF_WRITE | NACRE_FXF_CREAT | NACRE_FXF_READ, NULL, id);
}

static int write_at(sftp_pair *s, size_t at, uint32_t *id)
{
    uint8_t piece[PIECE];
    size_t took;
    for (size_t i = 0; i < sizeof(piece); i++) {
        piece[i] = content(at + i);
    }
    return nacre_sftp_req_write(s->client, handle(s), at, nc_span(piece, sizeof(piece)), &took, id);
}

static int req_write1(sftp_pair *s, uint32_t *id)
{
    return write_at(s, 0, id);
}

static int req_write2(sftp_pair *s, uint32_t *id)
{
    return write_at(s, PIECE, id);
}

static int req_read(sftp_pair *s, uint32_t *id)
{
    return nacre_sftp_req_read(s->client, handle(s), 0, FILE_BYTES, NULL, id);
}

static int req_fstat(sftp_pair *s, uint32_t *id)
{
    return nacre_sftp_req_fstat(s->client, handle(s), id);
}

static int req_close(sftp_pair *s, uint32_t *id)
{
    return nacre_sftp_req_close(s->client, handle(s), id);
}

static int req_rename(sftp_pair *s, uint32_t *id)
{
    return nacre_sftp_req_rename(s->client, nc_span_cstr("/d/new"), nc_span_cstr("/d/old"), id);
}

static int req_mkdir(sftp_pair *s, uint32_t *id)
{
    return nacre_sftp_req_mkdir(s->client, nc_span_cstr("/d/dir"), NULL, id);
}

static int req_symlink(sftp_pair *s, uint32_t *id)
{
    return nacre_sftp_req_symlink(s->client, nc_span_cstr("old"), nc_span_cstr("/d/link"), id);
}

static int req_realpath(sftp_pair *s, uint32_t *id)
{
    return nacre_sftp_req_realpath(s->client, nc_span_cstr("d/../d/link"), id);
}

static int req_opendir(sftp_pair *s, uint32_t *id)
{
    return nacre_sftp_req_opendir(s->client, nc_span_cstr("/d"), id);
}

static int req_readdir(sftp_pair *s, uint32_t *id)
{
    return nacre_sftp_req_readdir(s->client, handle(s), id);
}

static int req_statvfs(sftp_pair *s, uint32_t *id)
{
    return nacre_sftp_req_statvfs(s->client, nc_span_cstr("/d"), id);
}

static int req_limits(sftp_pair *s, uint32_t *id)
{
    return nacre_sftp_req_limits(s->client, id);
}

static int req_remove(sftp_pair *s, uint32_t *id)
{
    return nacre_sftp_req_remove(s->client, nc_span_cstr("/d/link"), id);
}

static int (*const steps[])(sftp_pair *s, uint32_t *id) = {
    req_limits,  req_create, req_write1,  req_write2,  req_read,     req_fstat,
    req_close,   req_rename, req_mkdir,   req_symlink, req_realpath, req_opendir,
    req_readdir, req_close,  req_statvfs, req_remove,
};
enum { STEPS = sizeof(steps) / sizeof(steps[0]) };

static void close_client(sftp_pair *s)
{
    s->p.refused += nacre_channel_close(s->client_channel) == NACRE_OK ? 0 : 1;
}

static void next_step(sftp_pair *s)
{
    uint32_t id;
    if (s->step == STEPS) {
        s->done = true;
        close_client(s);
        return;
    }
    int rc = steps[s->step](s, &id);
    rc = rc == NACRE_OK ? nacre_sftp_engine_flush(s->client) : rc;
    if (rc != NACRE_OK) {
        s->client_status = rc;
        close_client(s);
    }
}

static void on_data(sftp_pair *s, const nacre_sftp_event *ev)
{
    for (size_t i = 0; i < ev->u.data.bytes.n; i++) {
        s->wrong = s->wrong || ev->u.data.bytes.p[i] != content((size_t)ev->u.data.position + i);
    }
    s->got += ev->u.data.bytes.n;
}

static void on_reply(sftp_pair *s, const nacre_sftp_event *ev)
{
    nacre_sftp_names names = ev->u.names;
    nacre_sftp_name entry;
    switch (ev->type) {
    case NACRE_SFTP_EVENT_STATUS:
        s->failed = s->failed || ev->u.status.code != NACRE_FX_OK;
        break;
    case NACRE_SFTP_EVENT_HANDLE:
        s->handle_n = ev->u.handle.n;
        memcpy(s->handle, ev->u.handle.p, ev->u.handle.n);
        break;
    case NACRE_SFTP_EVENT_DATA:
        on_data(s, ev);
        break;
    case NACRE_SFTP_EVENT_NAMES:
        while (nacre_sftp_names_next(&names, &entry)) {
            s->names++;
        }
        break;
    default:
        break;
    }
    if (s->failed) {
        close_client(s);
        return;
    }
    if (ev->done) {
        s->step++;
    }
    if (ev->done || ev->type == NACRE_SFTP_EVENT_VERSION) {
        next_step(s);
    }
}

static void client_input(sftp_pair *s, nacre_span in)
{
    nacre_sftp_event ev;
    while (in.n && s->client_status == NACRE_OK && !s->failed && !s->done) {
        size_t used = 0;
        int rc = nacre_sftp_engine_input(s->client, in, &used, &ev);
        in.p += used;
        in.n -= used;
        if (rc == NACRE_OK) {
            on_reply(s, &ev);
        } else if (rc != NACRE_AGAIN) {
            s->client_status = rc;
            close_client(s);
        }
    }
}

static void client_begin(sftp_pair *s)
{
    int rc = nacre_pipe_from_channel(s->client_channel, &s->pipe[0]);
    rc = rc == NACRE_OK ? nacre_sftp_engine_new(&s->client, s->alloc[0], &s->pipe[0]) : rc;
    rc = rc == NACRE_OK ? nacre_sftp_engine_start(s->client) : rc;
    rc = rc == NACRE_OK ? nacre_sftp_engine_flush(s->client) : rc;
    if (rc != NACRE_OK) {
        s->client_status = rc;
        close_client(s);
    }
}

static bool client_event(sftp_pair *s, const nacre_event *ev)
{
    nacre_transport *t = s->p.end[NACRE_CLIENT].t;
    int rc = NACRE_OK;
    switch (ev->type) {
    case NACRE_EVENT_AUTH_RESULT:
        if (ev->u.auth_result.status == NACRE_OK) {
            rc = nacre_channel_open_session(t, &s->client_channel);
        }
        break;
    case NACRE_EVENT_CHANNEL_OPENED:
        rc = nacre_channel_subsystem(s->client_channel, "sftp", true);
        if (rc != NACRE_OK) {
            close_client(s);
        }
        break;
    case NACRE_EVENT_CHANNEL_REPLY:
        if (ev->u.reply.success) {
            client_begin(s);
        } else {
            s->failed = true;
            close_client(s);
        }
        break;
    case NACRE_EVENT_CHANNEL_FAILED:
        s->failed = true;
        break;
    case NACRE_EVENT_CHANNEL_DATA:
        client_input(s, ev->u.data.bytes);
        break;
    case NACRE_EVENT_CHANNEL_WRITABLE:
        rc = s->client ? nacre_sftp_engine_flush(s->client) : NACRE_OK;
        break;
    default:
        return ev->channel != NULL;
    }
    s->p.refused += rc == NACRE_OK ? 0 : 1;
    return true;
}

/* ---- the server ------------------------------------------------------------------------------------ */

static int server_begin(sftp_pair *s, nacre_channel *ch)
{
    nacre_memory_files_options mo;
    nacre_sftp_server_options so;
    nacre_memory_files_options_init(&mo);
    nacre_sftp_server_options_init(&so);
    mo.allocator = s->alloc[1];
    so.allocator = s->alloc[1];
    so.random = s->p.config[1].random;
    so.random_user = s->p.config[1].random_user;
    int rc = nacre_memory_files_new(&s->files, &mo);
    rc = rc == NACRE_OK ? nacre_memory_files_mkdir(s->files, "/d", 0755) : rc;
    rc = rc == NACRE_OK ? nacre_pipe_from_channel(ch, &s->pipe[1]) : rc;
    return rc == NACRE_OK ? nacre_sftp_server_new(&s->server, &s->pipe[1], nacre_memory_files_ops(),
                                                  s->files, &so, NULL)
                          : rc;
}

static void server_request(sftp_pair *s, const nacre_event *ev)
{
    nacre_transport *t = s->p.end[NACRE_SERVER].t;
    bool ok = nc_span_is(ev->u.request.command, "sftp") && !s->server &&
              server_begin(s, ev->channel) == NACRE_OK;
    int rc = ok ? nacre_transport_accept(t, ev->ticket) : nacre_transport_refuse(t, ev->ticket);
    s->p.refused += rc == NACRE_OK ? 0 : 1;
}

static void settle(sftp_pair *s, nacre_channel *ch, int rc)
{
    while (rc == NACRE_OK && nacre_sftp_server_wants_step(s->server)) {
        rc = nacre_sftp_server_flush(s->server);
    }
    if (rc != NACRE_OK && s->server_status == NACRE_OK) {
        s->server_status = rc;
        s->p.refused += nacre_channel_close(ch) == NACRE_OK ? 0 : 1;
    }
}

static bool server_event(sftp_pair *s, const nacre_event *ev)
{
    switch (ev->type) {
    case NACRE_EVENT_CHANNEL_OPEN:
        s->p.refused +=
            nacre_transport_accept(s->p.end[NACRE_SERVER].t, ev->ticket) == NACRE_OK ? 0 : 1;
        return true;
    case NACRE_EVENT_CHANNEL_REQUEST:
        server_request(s, ev);
        return true;
    case NACRE_EVENT_CHANNEL_DATA:
        if (s->server && s->server_status == NACRE_OK) {
            settle(s, ev->channel, nacre_sftp_server_input(s->server, ev->u.data.bytes));
        }
        return true;
    case NACRE_EVENT_CHANNEL_WRITABLE:
        if (s->server && s->server_status == NACRE_OK) {
            settle(s, ev->channel, nacre_sftp_server_flush(s->server));
        }
        return true;
    default:
        return ev->channel != NULL;
    }
}

/* ---- life ------------------------------------------------------------------------------------------ */

static bool hook(pair *p, int who, const nacre_event *ev)
{
    sftp_pair *s = p->user;
    return who == NACRE_CLIENT ? client_event(s, ev) : server_event(s, ev);
}

static void rekey_in_the_middle(pair *p)
{
    sftp_pair *s = p->user;
    if (s->step == STEPS / 2 && !s->rekeyed) {
        s->rekeyed = true;
        (void)nacre_transport_rekey(p->end[NACRE_CLIENT].t);
    }
}

void sftp_pair_init(sftp_pair *s, uint64_t seed)
{
    memset(s, 0, sizeof(*s));
    pair_init(&s->p, seed);
    s->p.hook = hook;
    s->p.round = rekey_in_the_middle;
    s->p.user = s;
    s->p.channels = 0;
}

int sftp_pair_start(sftp_pair *s)
{
    return pair_start(&s->p, NULL);
}

void sftp_pair_free(sftp_pair *s)
{
    nacre_sftp_engine_free(s->client);
    nacre_sftp_server_free(s->server);
    nacre_memory_files_free(s->files);
    pair_free(&s->p);
}

bool sftp_pair_done(const sftp_pair *s)
{
    /* the path, and ".", "..", "old", "dir", "link" */
    return s->done && !s->wrong && s->got == FILE_BYTES && s->names == 6 &&
           s->p.end[0].seen[NACRE_EVENT_KEX_DONE] == 2;
}
