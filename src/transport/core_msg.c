/*
 * core_msg.c - the transport's own messages outside key exchange: DISCONNECT, IGNORE, DEBUG,
 * UNIMPLEMENTED, service requests (RFC 4253 10, 11) and pings (OpenSSH PROTOCOL 1.9).
 */
#include <string.h>

#include "transport/core_state.h"

static const char userauth_name[] = "ssh-userauth";

static int malformed(nc_core *c, const char *what)
{
    return nc_link_fail(&c->link, NACRE_MALFORMED, "%s is malformed", what);
}

/* ---- from the peer ------------------------------------------------------------------------------- */

static int on_disconnect(nc_core *c, nc_rd *r, nacre_event *ev)
{
    (void)ev;
    nc_msg_disconnect m;
    if (NC_DECODE(disconnect, r, &m) != NACRE_OK) {
        return nc_core_finish(c, NACRE_PEER_DISCONNECTED, NACRE_BY_PEER, 0,
                              "the peer disconnected with a malformed message");
    }
    return nc_core_finish(c, NACRE_PEER_DISCONNECTED, NACRE_BY_PEER, m.reason,
                          "the peer disconnected (reason %u): %s", m.reason, NC_ESC(m.description));
}

static int on_ignore(nc_core *c, nc_rd *r, nacre_event *ev)
{
    (void)c;
    (void)r;
    (void)ev;
    return NACRE_AGAIN;
}

static int on_unimplemented(nc_core *c, nc_rd *r, nacre_event *ev)
{
    (void)ev;
    nc_msg_unimplemented m;
    if (NC_DECODE(unimplemented, r, &m) != NACRE_OK) {
        return malformed(c, "UNIMPLEMENTED");
    }
    nc_logf(&c->link.log, NACRE_LOG_DEBUG, "the peer does not know our packet %u", m.sequence);
    return NACRE_AGAIN;
}

static int on_debug(nc_core *c, nc_rd *r, nacre_event *ev)
{
    nc_msg_debug m;
    if (NC_DECODE(debug, r, &m) != NACRE_OK) {
        return malformed(c, "DEBUG");
    }
    nc_logf(&c->link.log, NACRE_LOG_DEBUG, "peer says: %s", NC_ESC(m.message));
    ev->type = NACRE_EVENT_DEBUG;
    ev->text = m.message;
    return NACRE_OK;
}

static int on_service_request(nc_core *c, nc_rd *r, nacre_event *ev)
{
    (void)ev;
    nc_msg_service_request m;
    if (NC_DECODE(service_request, r, &m) != NACRE_OK) {
        return malformed(c, "SERVICE_REQUEST");
    }
    if (!nc_span_is(m.name, userauth_name)) {
        return nc_link_fail(&c->link, NACRE_SERVICE,
                            "service \"%s\" is not available; only ssh-userauth is, before login",
                            NC_ESC(m.name));
    }
    nc_msg_service_accept a = {m.name};
    int rc = nc_link_send(&c->link, &nc_desc_service_accept, &a);
    if (rc != NACRE_OK) {
        return rc;
    }
    c->service_accepted = true;
    rc = c->userauth.start ? c->userauth.start(c->userauth.ctx) : NACRE_OK;
    rc = nc_core_checked(c, rc, "starting ssh-userauth");
    return rc == NACRE_OK ? NACRE_AGAIN : rc;
}

static int on_service_accept(nc_core *c, nc_rd *r, nacre_event *ev)
{
    (void)ev;
    nc_msg_service_accept m;
    /* Some old servers send no name at all. */
    if (nc_rd_left(r) > 0) {
        if (NC_DECODE(service_accept, r, &m) != NACRE_OK) {
            return malformed(c, "SERVICE_ACCEPT");
        }
        if (!nc_span_is(m.name, userauth_name)) {
            return nc_link_fail(&c->link, NACRE_SERVICE,
                                "the server accepted service \"%s\"; ssh-userauth was asked for",
                                NC_ESC(m.name));
        }
    }
    c->service_accepted = true;
    return NACRE_AGAIN;
}

static int on_ext_info(nc_core *c, nc_rd *r, nacre_event *ev)
{
    (void)ev;
    return nc_core_on_ext_info(c, r);
}

static int on_ping(nc_core *c, nc_rd *r, nacre_event *ev)
{
    (void)ev;
    nc_msg_ping m;
    if (NC_DECODE(ping, r, &m) != NACRE_OK) {
        return malformed(c, "PING");
    }
    if (nc_kex_blocks_output(c)) {
        c->held_pongs += m.data.n + 16;
        if (c->held_pongs > NC_MAX_HELD_PONGS) {
            return nc_link_fail(&c->link, NACRE_LIMIT,
                                "the peer floods us with pings while it delays key exchange");
        }
    }
    nc_msg_pong answer = {m.data};
    int rc = nc_link_send(&c->link, &nc_desc_pong, &answer);
    return rc == NACRE_OK ? NACRE_AGAIN : rc;
}

static int on_pong(nc_core *c, nc_rd *r, nacre_event *ev)
{
    nc_msg_pong m;
    if (NC_DECODE(pong, r, &m) != NACRE_OK) {
        return malformed(c, "PONG");
    }
    if (c->pings_open == 0) {
        nc_logf(&c->link.log, NACRE_LOG_DEBUG, "a PONG that nobody asked for");
        return NACRE_AGAIN;
    }
    c->pings_open--;
    if (c->probe_place > 0 && --c->probe_place == 0) {
        nc_link_round_trip(&c->link, c->probe_ms);
        return NACRE_AGAIN;
    }
    ev->type = NACRE_EVENT_PONG;
    ev->text = m.data;
    return NACRE_OK;
}

static const struct {
    uint8_t number;
    int (*handle)(nc_core *c, nc_rd *r, nacre_event *ev);
} own_messages[] = {
    {SSH_MSG_DISCONNECT, on_disconnect},
    {SSH_MSG_IGNORE, on_ignore},
    {SSH_MSG_UNIMPLEMENTED, on_unimplemented},
    {SSH_MSG_DEBUG, on_debug},
    {SSH_MSG_SERVICE_REQUEST, on_service_request},
    {SSH_MSG_SERVICE_ACCEPT, on_service_accept},
    {SSH_MSG_EXT_INFO, on_ext_info},
    {SSH_MSG_PING, on_ping},
    {SSH_MSG_PONG, on_pong},
};

int nc_core_own_packet(nc_core *c, const nc_packet *pkt, nacre_event *ev)
{
    nc_rd r = nc_rd_init(nc_span(pkt->payload.p + 1, pkt->payload.n - 1));
    for (size_t i = 0; i < sizeof(own_messages) / sizeof(own_messages[0]); i++) {
        if (own_messages[i].number == pkt->number) {
            return own_messages[i].handle(c, &r, ev);
        }
    }
    return nc_core_send_unimplemented(c, pkt->seq);
}

/* ---- to the peer --------------------------------------------------------------------------------- */

int nc_core_send_unimplemented(nc_core *c, uint32_t seq)
{
    nc_msg_unimplemented m = {seq};
    if (c->proxied) {
        return NACRE_AGAIN;
    }
    int rc = nc_link_send(&c->link, &nc_desc_unimplemented, &m);
    return rc == NACRE_OK ? NACRE_AGAIN : rc;
}

/* A farewell: whether it leaves or not changes nothing any more. */
void nc_core_send_disconnect(nc_core *c, uint32_t reason, const char *text)
{
    if (c->proxied) {
        return; /* a master would hand it on, and the connection of all would end */
    }
    nc_msg_disconnect m = {reason, nc_span_cstr(text), nc_span("\0\0\0", 4)};
    nc_wr *w = nc_packetizer_begin(c->packetizer, 0);
    NC_ENCODE(disconnect, w, &m);
    int rc = nc_packetizer_end(c->packetizer);
    if (rc != NACRE_OK) {
        nc_logf(&c->link.log, NACRE_LOG_DEBUG, "DISCONNECT not sent: %s", nacre_status_text(rc));
    }
}

int nc_core_request_userauth(nc_core *c)
{
    nc_msg_service_request m = {nc_span_cstr(userauth_name)};
    int rc = nc_core_send_now(c, &nc_desc_service_request, &m);
    c->userauth_due = rc == NACRE_OK;
    return rc;
}

/*
 * The connection service begins when login is a fact on this side: a client has SUCCESS, a server has
 * sent (or holds) it, so whatever the service says now stands behind it.
 */
int nc_core_start_connection(nc_core *c)
{
    bool due = c->authenticated && (c->link.role == NACRE_CLIENT || c->success_queued);
    if (!due || c->connection_started) {
        return NACRE_OK;
    }
    c->connection_started = true;
    int rc = c->connection.start ? c->connection.start(c->connection.ctx) : NACRE_OK;
    return nc_core_checked(c, rc, "starting ssh-connection");
}

/* ---- for the application ------------------------------------------------------------------------- */

int nc_core_disconnect(nc_core *c, uint32_t reason, const char *text)
{
    if (c->over) {
        return NACRE_OK;
    }
    const char *words = text ? text : "";
    if (c->started && !c->packet_open) {
        nc_core_send_disconnect(c, reason, words);
    }
    (void)nc_core_finish(c, NACRE_CLOSED, NACRE_BY_US, reason, "we disconnected: %s",
                         NC_ESC(nc_span_cstr(words)));
    return NACRE_OK;
}

int nc_core_send_ignore(nc_core *c, nacre_span data)
{
    if (c->proxied) {
        return NACRE_WRONG_STATE;
    }
    nc_wr *w = c->link.ops->begin(&c->link, data.n);
    nc_wr_u8(w, SSH_MSG_IGNORE);
    nc_wr_str(w, data);
    return c->link.ops->end(&c->link);
}

int nc_core_send_debug(nc_core *c, bool always_display, const char *text)
{
    nc_msg_debug m = {always_display, nc_span_cstr(text), nc_span(NULL, 0)};
    if (c->proxied) {
        return NACRE_WRONG_STATE;
    }
    return nc_link_send(&c->link, &nc_desc_debug, &m);
}

int nc_core_ping(nc_core *c, nacre_span data)
{
    nacre_span unused;
    if (c->over) {
        return c->error.status;
    }
    if (!nc_core_peer_extension(c, "ping@openssh.com", &unused)) {
        return NACRE_UNSUPPORTED;
    }
    nc_msg_ping m = {data};
    int rc = nc_link_send(&c->link, &nc_desc_ping, &m);
    c->pings_open += rc == NACRE_OK ? 1 : 0;
    return rc;
}

int nc_core_probe(nc_core *c)
{
    if (c->probe_place > 0 || nc_kex_blocks_output(c)) {
        return NACRE_UNSUPPORTED;
    }
    int rc = nc_core_ping(c, nc_span(NULL, 0));
    if (rc == NACRE_OK) {
        c->probe_place = c->pings_open;
        c->probe_ms = c->link.now_ms;
    }
    return rc;
}
