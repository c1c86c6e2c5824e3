/*
 * global.c - global requests both ways (RFC 4254 4) and the keepalive that is made of them
 * (keepalive@openssh.com, no-more-sessions@openssh.com: OpenSSH PROTOCOL 2.2 and common practice).
 */
#include "channel/internal.h"

/* ---- ours --------------------------------------------------------------------------------------- */

static void asked_push(nc_mux *m, bool keepalive)
{
    uint32_t at = (uint32_t)(m->asked_head + m->asked_count) % NC_MAX_GLOBAL_REQUESTS;
    uint8_t bit = (uint8_t)(1U << (at % 8));
    m->asked[at / 8] = (uint8_t)(keepalive ? m->asked[at / 8] | bit : m->asked[at / 8] & ~bit);
    m->asked_count++;
    m->asked_number++;
}

static bool asked_pop(nc_mux *m)
{
    uint32_t at = m->asked_head;
    m->asked_head = (uint16_t)((at + 1) % NC_MAX_GLOBAL_REQUESTS);
    m->asked_count--;
    m->answered_number++;
    return (m->asked[at / 8] >> (at % 8) & 1) != 0;
}

static int send_request(nc_mux *m, const char *name, bool want_reply, nacre_span data,
                        bool keepalive)
{
    if (want_reply && m->asked_count >= NC_MAX_GLOBAL_REQUESTS) {
        return NACRE_LIMIT;
    }
    nc_msg_global_request msg = {
        .name = nc_span_cstr(name), .want_reply = want_reply, .data = data};
    int rc = nc_link_send(m->link, &nc_desc_global_request, &msg);
    if (rc == NACRE_OK && want_reply) {
        m->asked_ms = m->asked_count == 0 ? m->link->now_ms : m->asked_ms;
        asked_push(m, keepalive);
    }
    return rc;
}

int nc_mux_global_request(nc_mux *m, const char *name, bool want_reply, nacre_span data)
{
    if (m->over) {
        return NACRE_CLOSED;
    }
    if (!m->started) {
        return NACRE_WRONG_STATE;
    }
    if (!nc_mux_name_ok(nc_span_cstr(name))) {
        return NACRE_INVALID_ARGUMENT;
    }
    if (data.n > NC_MAX_REQUEST - NC_MAX_NAME) {
        return NACRE_TOO_LARGE;
    }
    return send_request(m, name, want_reply, data, false);
}

int nc_mux_no_more_sessions(nc_mux *m)
{
    if (m->link->role != NACRE_CLIENT) {
        return NACRE_WRONG_STATE;
    }
    int rc = nc_mux_global_request(m, "no-more-sessions@openssh.com", false, nc_span(NULL, 0));
    m->no_more_sessions = m->no_more_sessions || rc == NACRE_OK;
    return rc;
}

uint32_t nc_mux_global_number(const nc_mux *m)
{
    return m->asked_number;
}

static int reply_arrived(nc_mux *m, bool success, nacre_span data, nacre_event *ev)
{
    if (m->asked_count == 0) {
        return nc_link_fail(m->link, NACRE_PROTOCOL,
                            "REQUEST_%s, but no global request waits for an answer",
                            success ? "SUCCESS" : "FAILURE");
    }
    nc_mux_answered(m, &m->asked_ms);
    bool proof = m->host_keys.proof_waits && m->asked_head == m->host_keys.proof_at;
    if (asked_pop(m)) {
        return NACRE_AGAIN;
    }
    if (proof) {
        return nc_hostkeys_reply(m, success, data, ev);
    }
    nc_mux_event(ev, NACRE_EVENT_GLOBAL_REPLY, NULL);
    ev->u.reply.success = success;
    ev->u.reply.data = data;
    ev->u.reply.number = m->answered_number;
    return NACRE_OK;
}

int nc_in_global_success(nc_mux *m, nc_rd *r, nacre_event *ev)
{
    nc_msg_request_success msg;
    if (NC_DECODE(request_success, r, &msg) != NACRE_OK) {
        return nc_mux_malformed(m, "REQUEST_SUCCESS");
    }
    return reply_arrived(m, true, msg.data, ev);
}

int nc_in_global_failure(nc_mux *m, nc_rd *r, nacre_event *ev)
{
    nc_msg_request_failure msg;
    if (NC_DECODE(request_failure, r, &msg) != NACRE_OK) {
        return nc_mux_malformed(m, "REQUEST_FAILURE");
    }
    return reply_arrived(m, false, nc_span(NULL, 0), ev);
}

/* ---- the peer's --------------------------------------------------------------------------------- */

static int flush_answers(nc_mux *m)
{
    nc_reply reply;
    int rc = NACRE_OK;
    while (rc == NACRE_OK && nc_replies_pop(&m->answers, &reply)) {
        if (reply.verdict == NC_REPLY_YES) {
            nc_msg_request_success msg = {.data = nc_span(reply.data, reply.n)};
            rc = nc_link_send(m->link, &nc_desc_request_success, &msg);
        } else {
            nc_msg_request_failure msg = {0};
            rc = nc_link_send(m->link, &nc_desc_request_failure, &msg);
        }
        nc_wipe_free(m->link->alloc, reply.data, reply.n);
    }
    return rc;
}

int nc_global_answer(nc_mux *m, nc_reply *slot, const nacre_answer *a)
{
    if (a->accept && a->data.n > NC_MAX_REQUEST) {
        return NACRE_TOO_LARGE;
    }
    int rc = nc_replies_settle(slot, m->link, a->accept ? NC_REPLY_YES : NC_REPLY_NO, a->data);
    int sent = flush_answers(m);
    return rc != NACRE_OK ? rc : sent;
}

static int queue_answer(nc_mux *m, uint32_t ticket, nc_reply_verdict verdict)
{
    int rc = nc_replies_push(&m->answers, m->link->alloc, ticket, verdict, NC_MAX_GLOBAL_ANSWERS);
    if (rc == NACRE_LIMIT) {
        return nc_link_fail(m->link, NACRE_PROTOCOL,
                            "the peer sent more than %d global requests without waiting for an "
                            "answer",
                            NC_MAX_GLOBAL_ANSWERS);
    }
    if (rc != NACRE_OK) {
        return nc_link_fail_local(m->link, rc, "no memory to note a global request");
    }
    return flush_answers(m);
}

static int answer_alone(nc_mux *m, bool want_reply, nc_reply_verdict verdict)
{
    int rc = want_reply ? queue_answer(m, 0, verdict) : NACRE_OK;
    return rc == NACRE_OK ? NACRE_AGAIN : rc;
}

int nc_in_global_request(nc_mux *m, nc_rd *r, nacre_event *ev)
{
    nc_msg_global_request msg;
    if (NC_DECODE(global_request, r, &msg) != NACRE_OK) {
        return nc_mux_malformed(m, "GLOBAL_REQUEST");
    }
    if (nc_span_is(msg.name, "keepalive@openssh.com")) {
        return answer_alone(m, msg.want_reply, NC_REPLY_NO);
    }
    if (m->link->role == NACRE_SERVER && nc_span_is(msg.name, "no-more-sessions@openssh.com")) {
        m->no_more_sessions = true;
        return answer_alone(m, msg.want_reply, NC_REPLY_YES);
    }
    bool client = m->link->role == NACRE_CLIENT;
    if (client && nc_span_is(msg.name, "hostkeys-00@openssh.com")) {
        int rc = answer_alone(m, msg.want_reply, NC_REPLY_NO);
        return rc == NACRE_AGAIN ? nc_hostkeys_announced(m, msg.data, ev) : rc;
    }
    uint32_t ticket = 0;
    if (msg.want_reply) {
        ticket = nc_link_ticket(m->link, NC_OWNER_CHANNEL);
        int rc = queue_answer(m, ticket, NC_REPLY_OPEN);
        if (rc != NACRE_OK) {
            nc_link_ticket_done(m->link);
            return rc;
        }
    }
    if (!client && ticket && m->host_keys.count > 0 &&
        nc_span_is(msg.name, "hostkeys-prove-00@openssh.com")) {
        return nc_hostkeys_prove(m, msg.data, ticket, ev);
    }
    nc_mux_event(ev, NACRE_EVENT_GLOBAL_REQUEST, NULL);
    ev->ticket = ticket;
    ev->u.global.name = msg.name;
    ev->u.global.want_reply = msg.want_reply;
    ev->u.global.data = msg.data;
    return NACRE_OK;
}

/* ---- keepalive ---------------------------------------------------------------------------------- */

static uint64_t silence_ends(const nc_mux *m, uint64_t since)
{
    uint32_t every = m->link->config->keepalive_ms;
    return every == 0 || since > UINT64_MAX - every ? UINT64_MAX : since + every;
}

void nc_keepalive_start(nc_mux *m)
{
    m->keepalive_missed = 0;
    m->keepalive_heard = m->link->heard_ms;
    m->keepalive_since = m->link->now_ms;
}

/*
 * Any packet of the peer is a sign of life, whatever it answers, and whoever takes it: most of a key
 * exchange, IGNORE and PONG never come to this floor.
 */
uint64_t nc_keepalive_deadline(const nc_mux *m)
{
    uint64_t heard = m->link->heard_ms;
    return silence_ends(m, heard > m->keepalive_heard ? heard : m->keepalive_since);
}

int nc_keepalive_poll(nc_mux *m)
{
    uint32_t most = m->link->config->keepalive_max;
    uint64_t now = m->link->now_ms;
    if (m->link->heard_ms > m->keepalive_heard) {
        m->keepalive_missed = 0;
        m->keepalive_since = m->keepalive_heard = m->link->heard_ms;
    }
    if (now < silence_ends(m, m->keepalive_since)) {
        return NACRE_OK;
    }
    if (most != 0 && m->keepalive_missed >= most) {
        return nc_link_fail_local(m->link, NACRE_KEEPALIVE,
                                  "the peer answered none of %u keepalive requests, one every %u "
                                  "ms: the connection is taken for dead",
                                  m->keepalive_missed, m->link->config->keepalive_ms);
    }
    m->keepalive_missed++;
    m->keepalive_since = now;
    int rc = send_request(m, "keepalive@openssh.com", true, nc_span(NULL, 0), true);
    /* So many unanswered: one more would tell nothing new. */
    return rc == NACRE_LIMIT ? NACRE_OK : rc;
}
