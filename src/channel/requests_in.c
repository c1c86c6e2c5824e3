/*
 * requests_in.c - channel requests of the peer, our answers to them, and its answers to ours
 * (RFC 4254 5.4 and 6, RFC 4335, OpenSSH PROTOCOL 2.1 and 2.3).
 */
#include "channel/internal.h"
#include "transport/version.h"

#include <string.h>

/* Fills the event from the reader, which stands at the request's own data. */
typedef int (*decode_fn)(nc_rd *r, nacre_event *ev);

typedef enum serve { SERVE_CLIENT = 1, SERVE_SERVER = 2, SERVE_BOTH = 3 } serve;

typedef struct request_row {
    const char *name;
    serve served_by;
    bool session; /* means something on a session channel only */
    nacre_event_type type;
    decode_fn decode; /* NULL: the application gets the data as it is */
} request_row;

static int decode_pty(nc_rd *r, nacre_event *ev)
{
    nc_msg_pty_req msg;
    int rc = NC_DECODE(pty_req, r, &msg);
    ev->u.request.pty.term = msg.term;
    ev->u.request.pty.columns = msg.columns;
    ev->u.request.pty.rows = msg.rows;
    ev->u.request.pty.width_px = msg.width_px;
    ev->u.request.pty.height_px = msg.height_px;
    ev->u.request.pty.modes = msg.modes;
    return rc;
}

static int decode_window_change(nc_rd *r, nacre_event *ev)
{
    nc_msg_window_change msg;
    int rc = NC_DECODE(window_change, r, &msg);
    ev->u.request.pty.columns = msg.columns;
    ev->u.request.pty.rows = msg.rows;
    ev->u.request.pty.width_px = msg.width_px;
    ev->u.request.pty.height_px = msg.height_px;
    return rc;
}

static int decode_env(nc_rd *r, nacre_event *ev)
{
    nc_msg_env msg;
    int rc = NC_DECODE(env, r, &msg);
    ev->u.request.command = msg.name;
    ev->u.request.value = msg.value;
    return rc;
}

/* exec, subsystem, signal: one string each. */
static int decode_string(nc_rd *r, nacre_event *ev)
{
    nc_msg_exec msg;
    int rc = NC_DECODE(exec, r, &msg);
    ev->u.request.command = msg.command;
    return rc;
}

static int decode_nothing(nc_rd *r, nacre_event *ev)
{
    (void)ev;
    return nc_rd_end(r);
}

static int decode_break(nc_rd *r, nacre_event *ev)
{
    nc_msg_break msg;
    int rc = NC_DECODE(break, r, &msg);
    ev->u.request.number = msg.milliseconds;
    return rc;
}

static int decode_xon_xoff(nc_rd *r, nacre_event *ev)
{
    nc_msg_xon_xoff msg;
    int rc = NC_DECODE(xon_xoff, r, &msg);
    ev->u.request.number = msg.client_can_do;
    return rc;
}

static int decode_exit_status(nc_rd *r, nacre_event *ev)
{
    nc_msg_exit_status msg;
    int rc = NC_DECODE(exit_status, r, &msg);
    memset(&ev->u, 0, sizeof(ev->u));
    ev->u.exit.status = msg.status;
    return rc;
}

static int decode_exit_signal(nc_rd *r, nacre_event *ev)
{
    nc_msg_exit_signal msg;
    int rc = NC_DECODE(exit_signal, r, &msg);
    memset(&ev->u, 0, sizeof(ev->u));
    ev->u.exit.signal = msg.name;
    ev->u.exit.core_dumped = msg.core_dumped;
    ev->u.exit.message = msg.message;
    return rc;
}

static const request_row rows[] = {
    {"pty-req", SERVE_SERVER, true, NACRE_EVENT_CHANNEL_REQUEST, decode_pty},
    {"window-change", SERVE_SERVER, true, NACRE_EVENT_CHANNEL_REQUEST, decode_window_change},
    {"env", SERVE_SERVER, true, NACRE_EVENT_CHANNEL_REQUEST, decode_env},
    {"exec", SERVE_SERVER, true, NACRE_EVENT_CHANNEL_REQUEST, decode_string},
    {"shell", SERVE_SERVER, true, NACRE_EVENT_CHANNEL_REQUEST, decode_nothing},
    {"subsystem", SERVE_SERVER, true, NACRE_EVENT_CHANNEL_REQUEST, decode_string},
    {"signal", SERVE_SERVER, true, NACRE_EVENT_CHANNEL_REQUEST, decode_string},
    {"break", SERVE_SERVER, true, NACRE_EVENT_CHANNEL_REQUEST, decode_break},
    {"x11-req", SERVE_SERVER, true, NACRE_EVENT_CHANNEL_REQUEST, NULL},
    {"auth-agent-req@openssh.com", SERVE_SERVER, true, NACRE_EVENT_CHANNEL_REQUEST, NULL},
    {"xon-xoff", SERVE_CLIENT, true, NACRE_EVENT_CHANNEL_REQUEST, decode_xon_xoff},
    {"exit-status", SERVE_CLIENT, true, NACRE_EVENT_EXIT_STATUS, decode_exit_status},
    {"exit-signal", SERVE_CLIENT, true, NACRE_EVENT_EXIT_SIGNAL, decode_exit_signal},
    {"eow@openssh.com", SERVE_BOTH, false, NACRE_EVENT_CHANNEL_REQUEST, decode_nothing},
    /* Asked only to be refused: that the answer comes is what the peer wants to know. */
    {"keepalive@openssh.com", SERVE_BOTH, false, NACRE_EVENT_NONE, NULL},
};

static const request_row *find_row(nacre_span name)
{
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        if (nc_span_is(name, rows[i].name)) {
            return &rows[i];
        }
    }
    return NULL;
}

int nc_channel_flush_answers(nacre_channel *ch)
{
    nc_reply reply;
    int rc = NACRE_OK;
    while (rc == NACRE_OK && nc_replies_pop(&ch->answers, &reply)) {
        if (reply.verdict == NC_REPLY_YES) {
            nc_msg_channel_success msg = {.recipient = ch->peer_id};
            rc = nc_link_send(ch->mux->link, &nc_desc_channel_success, &msg);
        } else {
            nc_msg_channel_failure msg = {.recipient = ch->peer_id};
            rc = nc_link_send(ch->mux->link, &nc_desc_channel_failure, &msg);
        }
    }
    return rc;
}

/* Queues an answer, or a question when verdict is OPEN (ticket is given then). */
static int queue_answer(nacre_channel *ch, uint32_t ticket, nc_reply_verdict verdict)
{
    nc_link *l = ch->mux->link;
    int rc = nc_replies_push(&ch->answers, l->alloc, ticket, verdict, NC_MAX_CHANNEL_ANSWERS);
    if (rc == NACRE_LIMIT) {
        return nc_link_fail(l, NACRE_PROTOCOL,
                            "channel %u: the peer sent more than %d requests without waiting for "
                            "an answer",
                            ch->id, NC_MAX_CHANNEL_ANSWERS);
    }
    if (rc != NACRE_OK) {
        return nc_link_fail_local(l, rc, "channel %u: no memory to note a request", ch->id);
    }
    return nc_channel_flush_answers(ch);
}

static int answer_alone(nacre_channel *ch, bool want_reply, nc_reply_verdict verdict)
{
    int rc = want_reply && !ch->close_sent ? queue_answer(ch, 0, verdict) : NACRE_OK;
    return rc == NACRE_OK ? NACRE_AGAIN : rc;
}

static bool refused_here(const nacre_channel *ch, const request_row *row)
{
    serve us = ch->mux->link->role == NACRE_SERVER ? SERVE_SERVER : SERVE_CLIENT;
    return (row->served_by & us) == 0 || (row->session && !ch->session) ||
           row->type == NACRE_EVENT_NONE;
}

/* An exit report is a statement: nothing is asked, but a peer that wants a reply gets it. */
static int exit_reported(nacre_channel *ch, const nc_msg_channel_request *msg)
{
    int rc = answer_alone(ch, msg->want_reply, NC_REPLY_YES);
    if (rc != NACRE_AGAIN) {
        return rc;
    }
    /* It may come after our CLOSE, and is still of use then. */
    return ch->detached ? NACRE_AGAIN : NACRE_OK;
}

static int ask_application(nacre_channel *ch, const nc_msg_channel_request *msg, nacre_event *ev)
{
    nc_link *l = ch->mux->link;
    if (ch->detached || ch->close_sent) {
        return NACRE_AGAIN;
    }
    if (!msg->want_reply) {
        return NACRE_OK;
    }
    uint32_t ticket = nc_link_ticket(l, NC_OWNER_CHANNEL);
    int rc = queue_answer(ch, ticket, NC_REPLY_OPEN);
    if (rc != NACRE_OK) {
        nc_link_ticket_done(l);
        return rc;
    }
    ev->ticket = ticket;
    return NACRE_OK;
}

int nc_in_request(nc_mux *m, nc_rd *r, nacre_event *ev)
{
    nc_msg_channel_request msg;
    int rc;
    if (NC_DECODE(channel_request, r, &msg) != NACRE_OK) {
        return nc_mux_malformed(m, "CHANNEL_REQUEST");
    }
    nacre_channel *ch = nc_in_target(m, msg.recipient, "CHANNEL_REQUEST", &rc);
    if (!ch) {
        return rc;
    }
    const request_row *row = find_row(msg.name);
    if (row && refused_here(ch, row)) {
        return answer_alone(ch, msg.want_reply, NC_REPLY_NO);
    }
    nc_mux_event(ev, row ? row->type : NACRE_EVENT_CHANNEL_REQUEST, ch);
    ev->u.request.name = msg.name;
    ev->u.request.want_reply = msg.want_reply;
    ev->u.request.data = msg.data;
    nc_rd data = nc_rd_init(msg.data);
    if (row && row->decode && row->decode(&data, ev) != NACRE_OK) {
        return nc_link_fail(m->link, NACRE_MALFORMED, "channel %u: the request \"%s\" is malformed",
                            ch->id, row->name);
    }
    return ev->type == NACRE_EVENT_CHANNEL_REQUEST ? ask_application(ch, &msg, ev)
                                                   : exit_reported(ch, &msg);
}

/* ---- answers to ours ---------------------------------------------------------------------------- */

/* To a request of a channel that is closed by now, from a peer that is known for it. */
static bool too_late(const nc_mux *m, uint32_t id)
{
    const nacre_channel *ch = nc_mux_find(m, id);
    return (m->link->quirks & NC_QUIRK_LATE_REPLIES) &&
           (!ch || ch->close_received || ch->requests_pending == 0);
}

static int reply_arrived(nc_mux *m, uint32_t id, bool success, nacre_event *ev)
{
    const char *what = success ? "CHANNEL_SUCCESS" : "CHANNEL_FAILURE";
    int rc;
    if (too_late(m, id)) {
        return NACRE_AGAIN;
    }
    nacre_channel *ch = nc_in_target(m, id, what, &rc);
    if (!ch) {
        return rc;
    }
    if (ch->requests_pending == 0) {
        return nc_link_fail(m->link, NACRE_PROTOCOL,
                            "%s for channel %u, where no request waits for an answer", what, id);
    }
    ch->requests_pending--;
    nc_mux_answered(m, &ch->asked_ms);
    if (ch->detached) {
        return NACRE_AGAIN;
    }
    nc_mux_event(ev, NACRE_EVENT_CHANNEL_REPLY, ch);
    ev->u.reply.success = success;
    return NACRE_OK;
}

int nc_in_request_success(nc_mux *m, nc_rd *r, nacre_event *ev)
{
    nc_msg_channel_success msg;
    if (NC_DECODE(channel_success, r, &msg) != NACRE_OK) {
        return nc_mux_malformed(m, "CHANNEL_SUCCESS");
    }
    return reply_arrived(m, msg.recipient, true, ev);
}

int nc_in_request_failure(nc_mux *m, nc_rd *r, nacre_event *ev)
{
    nc_msg_channel_failure msg;
    if (NC_DECODE(channel_failure, r, &msg) != NACRE_OK) {
        return nc_mux_malformed(m, "CHANNEL_FAILURE");
    }
    return reply_arrived(m, msg.recipient, false, ev);
}
