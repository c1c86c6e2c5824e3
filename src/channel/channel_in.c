/*
 * channel_in.c - the peer's channel packets, requests apart: open and its answers, window, data, EOF,
 * CLOSE (RFC 4254 5.1 to 5.3).
 *
 * A number that we have not given out, or that both sides have closed, is a protocol error (a window
 * adjust apart). After our CLOSE the peer may go on for a while, not knowing of it: what comes then is
 * dropped. After the peer's CLOSE, which the application may hold (nacre_channel_hold_close), nothing
 * more may come.
 */
#include "channel/internal.h"

/*
 * Channel types and who serves them: a client never opens a shell for its server, and a server does
 * not take forwarded connections from its client. What is not listed is the application's to judge.
 */
typedef struct type_row {
    const char *name;
    nacre_role served_by;
} type_row;

static const type_row types[] = {
    {"session", NACRE_SERVER},
    {"direct-tcpip", NACRE_SERVER},
    {"direct-streamlocal@openssh.com", NACRE_SERVER},
    {"tun@openssh.com", NACRE_SERVER},
    {"forwarded-tcpip", NACRE_CLIENT},
    {"forwarded-streamlocal@openssh.com", NACRE_CLIENT},
    {"x11", NACRE_CLIENT},
    {"auth-agent@openssh.com", NACRE_CLIENT},
    {"auth-agent", NACRE_CLIENT},
};

static const type_row *find_type(nacre_span name)
{
    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
        if (nc_span_is(name, types[i].name)) {
            return &types[i];
        }
    }
    return NULL;
}

static int check_max_packet(nc_mux *m, uint32_t max_packet)
{
    if (max_packet >= NC_MIN_PEER_PACKET) {
        return NACRE_OK;
    }
    return nc_link_fail(m->link, NACRE_PROTOCOL,
                        "the peer opens a channel with a maximum packet size of %u bytes; at least "
                        "%d are needed",
                        max_packet, NC_MIN_PEER_PACKET);
}

/* What we refuse without asking: a reason of RFC 4254 5.1, or 0. */
static uint32_t refusal_of(const nc_mux *m, nacre_span type, const type_row *row)
{
    if (!nc_mux_name_ok(type)) {
        return NC_OPEN_UNKNOWN_TYPE;
    }
    if (row && row->served_by != m->link->role) {
        return NC_OPEN_PROHIBITED;
    }
    if (m->no_more_sessions && nc_span_is(type, "session")) {
        return NC_OPEN_PROHIBITED;
    }
    return 0;
}

int nc_in_channel_open(nc_mux *m, nc_rd *r, nacre_event *ev)
{
    nc_msg_channel_open msg;
    nacre_channel *ch = NULL;
    if (NC_DECODE(channel_open, r, &msg) != NACRE_OK) {
        return nc_mux_malformed(m, "CHANNEL_OPEN");
    }
    int rc = check_max_packet(m, msg.max_packet);
    if (rc != NACRE_OK) {
        return rc;
    }
    const type_row *row = find_type(msg.type);
    uint32_t reason = refusal_of(m, msg.type, row);
    if (reason == 0 && nc_mux_add(m, msg.type, &ch) != NACRE_OK) {
        reason = NC_OPEN_RESOURCE_SHORTAGE;
    }
    if (reason != 0) {
        nc_logf(&m->link->log, NACRE_LOG_INFO, "refused the peer's channel of type %s, reason %u",
                NC_ESC(msg.type), reason);
        rc = nc_channel_refuse(m, msg.sender, reason, NULL);
        return rc == NACRE_OK ? NACRE_AGAIN : rc;
    }
    nc_window_init(ch, 0, m->link->config->max_packet);
    ch->phase = NC_CH_ASKED;
    ch->known = row != NULL;
    ch->peer_id = msg.sender;
    ch->window_out = msg.window;
    ch->max_packet_out = msg.max_packet;
    ch->ticket = nc_link_ticket(m->link, NC_OWNER_CHANNEL);
    nc_mux_event(ev, NACRE_EVENT_CHANNEL_OPEN, ch);
    ev->ticket = ch->ticket;
    ev->u.open.type = msg.type;
    ev->u.open.data = msg.data;
    return NACRE_OK;
}

/* The channel that is in this phase; NULL after failing the connection. */
static nacre_channel *target_in(nc_mux *m, uint32_t id, nc_channel_phase phase, const char *what,
                                int *rc)
{
    nacre_channel *ch = nc_mux_find(m, id);
    if (!ch) {
        *rc = nc_link_fail(m->link, NACRE_PROTOCOL, "%s for channel %u, which does not exist", what,
                           id);
        return NULL;
    }
    if (ch->phase != phase) {
        *rc = nc_link_fail(m->link, NACRE_PROTOCOL, "%s for channel %u, which is %s", what, id,
                           ch->phase == NC_CH_OPEN ? "open already" : "not open yet");
        return NULL;
    }
    *rc = NACRE_OK;
    return ch;
}

nacre_channel *nc_in_target(nc_mux *m, uint32_t id, const char *what, int *rc)
{
    nacre_channel *ch = target_in(m, id, NC_CH_OPEN, what, rc);
    if (ch && ch->close_received) {
        *rc = nc_link_fail(m->link, NACRE_PROTOCOL, "%s for channel %u, which the peer has closed",
                           what, id);
        return NULL;
    }
    return ch;
}

int nc_in_channel_confirmation(nc_mux *m, nc_rd *r, nacre_event *ev)
{
    nc_msg_channel_open_confirmation msg;
    int rc;
    if (NC_DECODE(channel_open_confirmation, r, &msg) != NACRE_OK) {
        return nc_mux_malformed(m, "CHANNEL_OPEN_CONFIRMATION");
    }
    nacre_channel *ch =
        target_in(m, msg.recipient, NC_CH_OPENING, "CHANNEL_OPEN_CONFIRMATION", &rc);
    if (!ch) {
        return rc;
    }
    rc = check_max_packet(m, msg.max_packet);
    if (rc != NACRE_OK) {
        return rc;
    }
    nc_mux_answered(m, &ch->asked_ms);
    ch->phase = NC_CH_OPEN;
    ch->peer_id = msg.sender;
    ch->window_out = msg.window;
    ch->max_packet_out = msg.max_packet;
    if (ch->close_wanted) {
        rc = nc_channel_send_close(ch);
        return rc == NACRE_OK ? NACRE_AGAIN : rc;
    }
    nc_mux_event(ev, NACRE_EVENT_CHANNEL_OPENED, ch);
    return NACRE_OK;
}

int nc_in_channel_failure(nc_mux *m, nc_rd *r, nacre_event *ev)
{
    nc_msg_channel_open_failure msg;
    int rc;
    if (NC_DECODE(channel_open_failure, r, &msg) != NACRE_OK) {
        return nc_mux_malformed(m, "CHANNEL_OPEN_FAILURE");
    }
    nacre_channel *ch = target_in(m, msg.recipient, NC_CH_OPENING, "CHANNEL_OPEN_FAILURE", &rc);
    if (!ch) {
        return rc;
    }
    bool tell = !ch->detached;
    nc_mux_answered(m, &ch->asked_ms);
    nc_mux_retire(ch);
    if (!tell) {
        return NACRE_AGAIN;
    }
    nc_mux_event(ev, NACRE_EVENT_CHANNEL_FAILED, ch);
    ev->u.failed.reason = msg.reason;
    ev->u.failed.description = msg.description;
    return NACRE_OK;
}

int nc_in_window_adjust(nc_mux *m, nc_rd *r, nacre_event *ev)
{
    nc_msg_channel_window_adjust msg;
    int rc;
    (void)ev;
    if (NC_DECODE(channel_window_adjust, r, &msg) != NACRE_OK) {
        return nc_mux_malformed(m, "CHANNEL_WINDOW_ADJUST");
    }
    const nacre_channel *at = nc_mux_find(m, msg.recipient);
    if (at ? at->close_received : msg.recipient < m->slots_used) {
        /*
         * Clients that still read what they have buffered give window back behind their CLOSE (libssh2
         * does); OpenSSH lets that pass, and it can do no harm: the channel is gone.
         */
        nc_logf(&m->link->log, NACRE_LOG_DEBUG, "window adjust for channel %u, which is closed",
                msg.recipient);
        return NACRE_AGAIN;
    }
    nacre_channel *ch = nc_in_target(m, msg.recipient, "CHANNEL_WINDOW_ADJUST", &rc);
    if (!ch) {
        return rc;
    }
    if (msg.bytes > UINT32_MAX - ch->window_out) {
        return nc_link_fail(
            m->link, NACRE_PROTOCOL,
            "channel %u: a window adjust of %u bytes raises the window above 2^32-1", ch->id,
            msg.bytes);
    }
    ch->window_out += msg.bytes;
    nc_window_moved(ch);
    return NACRE_AGAIN;
}

/* Data of either kind; stream -1: of a type that nobody defined. */
static int data_arrived(nacre_channel *ch, int stream, nacre_span data, nacre_event *ev)
{
    int rc = nc_window_take(ch, data.n);
    if (rc != NACRE_OK || data.n == 0) {
        return rc == NACRE_OK ? NACRE_AGAIN : rc;
    }
    if (ch->detached || ch->close_sent) {
        return NACRE_AGAIN;
    }
    if (ch->eof_received || stream < 0) {
        /* OpenSSH drops it as well. What nobody sees is dealt with at once. */
        nc_logf(&ch->mux->link->log, NACRE_LOG_DEBUG, "channel %u: dropped %zu bytes %s", ch->id,
                data.n, stream < 0 ? "of an unknown data type" : "that came after EOF");
        rc = nc_window_return(ch, (uint32_t)data.n);
        return rc == NACRE_OK ? NACRE_AGAIN : rc;
    }
    ch->unconsumed += data.n;
    nc_mux_event(ev, NACRE_EVENT_CHANNEL_DATA, ch);
    ev->u.data.stream = stream;
    ev->u.data.bytes = data;
    return NACRE_OK;
}

int nc_in_data(nc_mux *m, nc_rd *r, nacre_event *ev)
{
    nc_msg_channel_data msg;
    int rc;
    if (NC_DECODE(channel_data, r, &msg) != NACRE_OK) {
        return nc_mux_malformed(m, "CHANNEL_DATA");
    }
    nacre_channel *ch = nc_in_target(m, msg.recipient, "CHANNEL_DATA", &rc);
    return ch ? data_arrived(ch, NACRE_STDOUT, msg.data, ev) : rc;
}

int nc_in_extended_data(nc_mux *m, nc_rd *r, nacre_event *ev)
{
    nc_msg_channel_extended_data msg;
    int rc;
    if (NC_DECODE(channel_extended_data, r, &msg) != NACRE_OK) {
        return nc_mux_malformed(m, "CHANNEL_EXTENDED_DATA");
    }
    nacre_channel *ch = nc_in_target(m, msg.recipient, "CHANNEL_EXTENDED_DATA", &rc);
    int stream = msg.stream == SSH_EXTENDED_DATA_STDERR ? NACRE_STDERR : -1;
    return ch ? data_arrived(ch, stream, msg.data, ev) : rc;
}

int nc_in_eof(nc_mux *m, nc_rd *r, nacre_event *ev)
{
    nc_msg_channel_eof msg;
    int rc;
    if (NC_DECODE(channel_eof, r, &msg) != NACRE_OK) {
        return nc_mux_malformed(m, "CHANNEL_EOF");
    }
    nacre_channel *ch = nc_in_target(m, msg.recipient, "CHANNEL_EOF", &rc);
    if (!ch) {
        return rc;
    }
    bool again = ch->eof_received;
    ch->eof_received = true;
    if (again || ch->detached || ch->close_sent) {
        return NACRE_AGAIN;
    }
    nc_mux_event(ev, NACRE_EVENT_CHANNEL_EOF, ch);
    return NACRE_OK;
}

int nc_in_close(nc_mux *m, nc_rd *r, nacre_event *ev)
{
    nc_msg_channel_close msg;
    int rc;
    if (NC_DECODE(channel_close, r, &msg) != NACRE_OK) {
        return nc_mux_malformed(m, "CHANNEL_CLOSE");
    }
    nacre_channel *ch = nc_in_target(m, msg.recipient, "CHANNEL_CLOSE", &rc);
    if (!ch) {
        return rc;
    }
    ch->close_received = true;
    if (ch->hold_close && !ch->close_sent) {
        nc_window_wait_end(ch);
        nc_replies_clear(&ch->answers, m->link);
        nc_mux_event(ev, NACRE_EVENT_CHANNEL_PEER_CLOSED, ch);
        return NACRE_OK;
    }
    rc = nc_channel_send_close(ch);
    if (rc != NACRE_OK) {
        return rc;
    }
    bool tell = !ch->detached;
    nc_mux_retire(ch);
    if (!tell) {
        return NACRE_AGAIN;
    }
    nc_mux_event(ev, NACRE_EVENT_CHANNEL_CLOSED, ch);
    return NACRE_OK;
}
