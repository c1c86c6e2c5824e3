#include "sftp_loop.h"

#include "base/mem.h"

#include <stdio.h>
#include <string.h>

uint32_t loop_random(loop *l)
{
    l->seed = l->seed * 1664525u + 1013904223u;
    return l->seed >> 8;
}

static size_t cut_size(loop *l)
{
    return l->cut == CUT_BYTE ? 1 : l->cut == CUT_ALL ? 65536 : 1 + loop_random(l) % 5000;
}

static void keep_names(loop_reply *r, nacre_sftp_names names)
{
    nacre_sftp_name entry;
    size_t n = 0;
    while (nacre_sftp_names_next(&names, &entry)) {
        n += (size_t)snprintf(r->names + n, sizeof(r->names) - n, "%s%.*s", n ? "," : "",
                              (int)entry.name.n, (const char *)entry.name.p);
        snprintf(r->longname, sizeof(r->longname), "%.*s", (int)entry.longname.n,
                 (const char *)entry.longname.p);
        r->attrs = entry.attrs;
        r->name_count++;
    }
}

static void keep(loop *l, const nacre_sftp_event *ev)
{
    loop_reply *r = &l->reply;
    if (ev->id != l->wait_for || ev->type == NACRE_SFTP_EVENT_VERSION) {
        return;
    }
    r->type = ev->type;
    l->done = ev->done;
    switch (ev->type) {
    case NACRE_SFTP_EVENT_STATUS:
        r->code = ev->u.status.code;
        snprintf(r->message, sizeof(r->message), "%.*s", (int)ev->u.status.message.n,
                 (const char *)ev->u.status.message.p);
        break;
    case NACRE_SFTP_EVENT_HANDLE:
        memcpy(r->handle, ev->u.handle.p, ev->u.handle.n);
        r->handle_len = ev->u.handle.n;
        break;
    case NACRE_SFTP_EVENT_DATA:
        if (r->len + ev->u.data.bytes.n <= sizeof(r->bytes)) {
            memcpy(r->bytes + r->len, ev->u.data.bytes.p, ev->u.data.bytes.n);
        }
        r->len += ev->u.data.bytes.n;
        break;
    case NACRE_SFTP_EVENT_EXTENDED:
        memcpy(r->bytes, ev->u.extended.p, ev->u.extended.n);
        r->len = ev->u.extended.n;
        break;
    case NACRE_SFTP_EVENT_NAMES:
        keep_names(r, ev->u.names);
        break;
    case NACRE_SFTP_EVENT_ATTRS:
        r->attrs = ev->u.attrs;
        break;
    case NACRE_SFTP_EVENT_HASHES:
        snprintf(r->message, sizeof(r->message), "%.*s", (int)ev->u.hashes.algorithm.n,
                 (const char *)ev->u.hashes.algorithm.p);
        r->len = ev->u.hashes.bytes.n < sizeof(r->bytes) ? ev->u.hashes.bytes.n : 0;
        memcpy(r->bytes, ev->u.hashes.bytes.p, r->len);
        break;
    case NACRE_SFTP_EVENT_STATVFS:
        r->statvfs = ev->u.statvfs;
        break;
    default:
        break;
    }
}

static void to_client(loop *l, nacre_span in)
{
    nacre_sftp_event ev;
    while (in.n > 0) {
        size_t used;
        int rc = nacre_sftp_engine_input(l->client, in, &used, &ev);
        in.p += used;
        in.n -= used;
        if (rc != NACRE_OK) {
            l->client_rc = rc == NACRE_AGAIN ? NACRE_OK : rc;
            break;
        }
        if (l->on_event) {
            l->on_event(l, &ev);
        } else {
            keep(l, &ev);
        }
    }
}

bool loop_pump(loop *l)
{
    static uint8_t chunk[65536];
    bool moved = false;
    for (;;) {
        bool now = false;
        if (l->client_rc == NACRE_OK) {
            l->client_rc = nacre_sftp_engine_flush(l->client);
        }
        if (l->server_rc == NACRE_OK) {
            size_t n = mem_way_take(&l->pipe.up, chunk, cut_size(l));
            now |= n > 0;
            l->server_rc = n ? nacre_sftp_server_input(l->server, nc_span(chunk, n)) : NACRE_OK;
        }
        if (l->server_rc == NACRE_OK) {
            now |= mem_backend_answer(&l->backend, l->server) > 0;
            uint64_t before = l->pipe.down.total;
            now |= nacre_sftp_server_wants_step(l->server);
            l->server_rc = nacre_sftp_server_flush(l->server);
            now |= l->pipe.down.total != before;
        }
        size_t n = l->client_rc == NACRE_OK ? mem_way_take(&l->pipe.down, chunk, cut_size(l)) : 0;
        if (n) {
            now = true;
            to_client(l, nc_span(chunk, n));
        }
        if (!now) {
            return moved;
        }
        moved = true;
    }
}

const loop_reply *loop_wait(loop *l, int rc, uint32_t id)
{
    memset(&l->reply, 0, sizeof(l->reply));
    if (rc != NACRE_OK) {
        snprintf(l->reply.message, sizeof(l->reply.message), "%s", nacre_status_symbol(rc));
        return &l->reply;
    }
    l->wait_for = id;
    l->done = false;
    while (!l->done && loop_pump(l)) {
    }
    if (!l->done) {
        l->reply.type = NACRE_SFTP_EVENT_NONE;
    }
    return &l->reply;
}

int loop_open(loop *l, loop_setup setup)
{
    nacre_sftp_server_ops ops;
    nacre_sftp_server_options o;
    memset(l, 0, sizeof(*l));
    l->cut = setup.cut;
    l->seed = 1;
    mem_pipe_init(&l->pipe, setup.window, setup.room_size, setup.lend);
    mem_backend_init(&l->backend);
    mem_backend_ops(&ops);
    nacre_sftp_server_options_init(&o);
    if (setup.options) {
        o = *setup.options;
    }
    o.allocator = setup.alloc;
    int rc = nacre_sftp_engine_new(&l->client, setup.alloc, &l->pipe.client_pipe);
    if (rc == NACRE_OK) {
        rc = nacre_sftp_server_new(&l->server, &l->pipe.server_pipe, &ops, &l->backend, &o, NULL);
    }
    if (rc == NACRE_OK) {
        rc = nacre_sftp_engine_start(l->client);
    }
    if (rc != NACRE_OK) {
        return rc;
    }
    (void)loop_pump(l);
    rc = l->client_rc != NACRE_OK ? l->client_rc : l->server_rc;
    return rc != NACRE_OK || nacre_sftp_engine_ready(l->client) ? rc : NACRE_CLOSED;
}

void loop_close(loop *l)
{
    nacre_sftp_engine_free(l->client);
    nacre_sftp_server_free(l->server);
    mem_pipe_clear(&l->pipe);
    mem_backend_clear(&l->backend);
}
