/*
 * attach.c - relays on channels that are no sessions: one that the client opened and the application took, or
 * one that is opened towards the client for a socket that waits.
 */
#include "server/server.h"

#include "channel/forward.h"
#include "io/fd.h"
#include "io/relay.h"

#include <string.h>

/* Once for every attach that succeeded, whatever ends first: relay, channel or connection. */
static void tell(nc_chan *k, const nacre_relay_result *result)
{
    void (*fn)(void *, nacre_relay *, const nacre_relay_result *) = k->on_relay;
    k->on_relay = NULL;
    if (fn) {
        fn(k->on_relay_user, k->relay, result);
    }
}

static void on_finished(void *user, nacre_relay *r, const nacre_relay_result *result)
{
    nc_chan *k = user;
    (void)r;
    tell(k, result);
    nc_chan_over(k);
}

void nc_attach_drop(nc_chan *k)
{
    if (k->work == NC_WORK_RELAY && k->relay) {
        tell(k, &k->relay->result);
    }
    nc_fd_close(&k->waiting_fd);
}

static int tie(nc_chan *k, const nacre_relay_options *given, nacre_error *err)
{
    nacre_relay_options o = *given;
    nacre_event eof = {.type = NACRE_EVENT_CHANNEL_EOF, .channel = k->ch};
    o.on_finished = on_finished;
    o.user = k;
    int rc = nacre_relay_new(&k->relay, k->conn->server->loop, k->conn->driver, k->ch, &o, err);
    if (rc != NACRE_OK) {
        return rc;
    }
    k->work = NC_WORK_RELAY;
    k->on_relay = given->on_finished;
    k->on_relay_user = given->user;
    if (k->eof) { /* it came before there was anybody to hear it */
        (void)nacre_relay_event(k->relay, &eof);
    }
    nacre_driver_kick(k->conn->driver);
    return NACRE_OK;
}

int nacre_server_attach(nacre_server_conn *c, nacre_channel *ch, const nacre_relay_options *o,
                        nacre_error *err)
{
    nacre_channel_info info;
    nacre_relay_options all;
    nc_error_clear(err);
    if (!o || o->size == 0 || o->size > sizeof(*o) || !ch || nacre_channel_transport(ch) != c->t) {
        return nc_fail(err, NACRE_INVALID_ARGUMENT,
                       "a relay needs options and a channel of this connection");
    }
    nacre_relay_options_init(&all);
    memcpy(&all, o, o->size);
    if (all.filter) {
        return nc_fail(err, NACRE_INVALID_ARGUMENT, "what is attached has no filter");
    }
    nacre_channel_get_info(ch, &info);
    nc_chan *k = nc_chan_find(c, ch);
    bool busy = k && (k->closed || (k->work != NC_WORK_NONE && k->work != NC_WORK_OTHER));
    if (busy || !info.open || info.close_sent || info.close_received) {
        return nc_fail(err, NACRE_WRONG_STATE,
                       "the channel is not open, or something runs on it already");
    }
    bool made = !k;
    if (!k && !(k = nc_chan_new(c, ch))) {
        return nc_fail(err, NACRE_NO_MEMORY, "no memory for a channel");
    }
    int rc = tie(k, &all, err);
    if (rc != NACRE_OK && made) {
        nc_chan_free(k);
    }
    return rc;
}

/* ---- channels of ours -------------------------------------------------------------------------------- */

int nacre_server_carry(nacre_server_conn *c, const char *type, nacre_span data, int fd,
                       nacre_error *err)
{
    nacre_channel *ch = NULL;
    nc_error_clear(err);
    if (fd < 0) {
        return nc_fail(err, NACRE_INVALID_ARGUMENT, "there is no descriptor to carry");
    }
    /* The client may be silent for long: the answer is a measure of the round trip. */
    nacre_transport_advance(c->t, nacre_loop_now(c->server->loop));
    int rc = nacre_channel_open(c->t, type, data, 0, 0, &ch);
    if (rc != NACRE_OK) {
        return nc_fail(err, rc, "a %s channel cannot be opened: %s", NC_ESC(nc_span_cstr(type)),
                       nacre_status_text(rc));
    }
    nc_chan *k = nc_chan_new(c, ch);
    if (!k) {
        nacre_channel_free(ch);
        return nc_fail(err, NACRE_NO_MEMORY, "no memory for a channel");
    }
    k->work = NC_WORK_OPENING;
    k->waiting_fd = fd;
    nacre_driver_kick(c->driver);
    return NACRE_OK;
}

int nacre_server_carry_tcp(nacre_server_conn *c, const char *host, uint16_t port,
                           const char *origin, uint16_t origin_port, int fd, nacre_error *err)
{
    nc_buf data;
    nc_error_clear(err);
    nc_buf_init(&data, c->server->alloc, NC_FWD_DATA_MAX);
    int rc = nc_fwd_write_tcp(&data, host, port, origin, origin_port);
    rc = rc == NACRE_OK ? nacre_server_carry(c, "forwarded-tcpip", nc_buf_span(&data), fd, err)
                        : nc_fail(err, rc, "the address cannot be told: %s", nacre_status_text(rc));
    nc_buf_clear(&data);
    return rc;
}

int nacre_server_carry_path(nacre_server_conn *c, const char *path, int fd, nacre_error *err)
{
    nc_buf data;
    nc_error_clear(err);
    nc_buf_init(&data, c->server->alloc, NC_FWD_DATA_MAX);
    int rc = nc_fwd_write_path(&data, path);
    rc = rc == NACRE_OK ? nacre_server_carry(c, "forwarded-streamlocal@openssh.com",
                                             nc_buf_span(&data), fd, err)
                        : nc_fail(err, rc, "the path cannot be told: %s", nacre_status_text(rc));
    nc_buf_clear(&data);
    return rc;
}

static void give_up(nc_chan *k)
{
    nacre_server_conn *c = k->conn;
    nacre_channel *ch = k->ch;
    nc_chan_free(k);
    nacre_channel_free(ch);
    nacre_driver_kick(c->driver);
}

static void opened(nc_chan *k)
{
    nacre_relay_options o;
    nacre_relay_options_init(&o);
    o.source = o.sink = k->waiting_fd;
    k->waiting_fd = -1;
    if (tie(k, &o, NULL) != NACRE_OK) {
        k->waiting_fd = o.sink;
        give_up(k);
    }
}

bool nc_attach_event(nc_chan *k, const nacre_event *ev)
{
    if (k->work == NC_WORK_RELAY) {
        return nacre_relay_event(k->relay, ev);
    }
    if (ev->type == NACRE_EVENT_CHANNEL_OPENED) {
        opened(k);
        return true;
    }
    if (ev->type == NACRE_EVENT_CHANNEL_FAILED || ev->type == NACRE_EVENT_CHANNEL_CLOSED) {
        give_up(k);
        return true;
    }
    return false;
}
