/*
 * channel.c - a channel's life from our side: open, the verdict on the peer's open, EOF, CLOSE, free,
 * and what can be asked about it (RFC 4254 5.1, 5.3).
 */
#include "channel/internal.h"

#include <string.h>

/* RFC 4254 5.1 ends CHANNEL_OPEN_FAILURE with a language tag: always empty. */
static const uint8_t empty_string[4] = {0, 0, 0, 0};

int nc_channel_usable(const nacre_channel *ch)
{
    return ch->close_received ? NACRE_CLOSED : nc_channel_reportable(ch);
}

int nc_channel_reportable(const nacre_channel *ch)
{
    if (ch->mux->over || ch->close_sent || ch->close_wanted || ch->phase == NC_CH_GONE) {
        return NACRE_CLOSED;
    }
    return ch->phase == NC_CH_OPEN ? NACRE_OK : NACRE_WRONG_STATE;
}

int nc_mux_open(nc_mux *m, const char *type, nacre_span data, uint32_t window, uint32_t max_packet,
                nacre_channel **out)
{
    const nacre_config *cfg = m->link->config;
    nacre_channel *ch = NULL;
    *out = NULL;
    if (m->over) {
        return NACRE_CLOSED;
    }
    if (!m->started || (m->no_more_sessions && nc_span_is(nc_span_cstr(type), "session"))) {
        return NACRE_WRONG_STATE;
    }
    if (!nc_mux_name_ok(nc_span_cstr(type)) ||
        (max_packet != 0 && max_packet < NC_MIN_OWN_PACKET)) {
        return NACRE_INVALID_ARGUMENT;
    }
    if (data.n > NC_MAX_REQUEST - NC_MAX_NAME) {
        return NACRE_TOO_LARGE;
    }
    int rc = nc_mux_add(m, nc_span_cstr(type), &ch);
    if (rc != NACRE_OK) {
        return rc;
    }
    nc_window_init(ch, window, max_packet != 0 ? max_packet : cfg->max_packet);
    ch->phase = NC_CH_OPENING;
    nc_msg_channel_open msg = {
        .type = nc_span_cstr(type),
        .sender = ch->id,
        .window = ch->window_in,
        .max_packet = ch->max_packet_in,
        .data = data,
    };
    rc = nc_link_send(m->link, &nc_desc_channel_open, &msg);
    if (rc != NACRE_OK) {
        nc_mux_destroy(ch);
        return rc;
    }
    ch->asked_ms = m->link->now_ms;
    *out = ch;
    return NACRE_OK;
}

static const char *reason_text(uint32_t reason)
{
    static const char *const texts[] = {
        [NC_OPEN_PROHIBITED] = "administratively prohibited",
        [NC_OPEN_CONNECT_FAILED] = "connect failed",
        [NC_OPEN_UNKNOWN_TYPE] = "unknown channel type",
        [NC_OPEN_RESOURCE_SHORTAGE] = "resource shortage",
    };
    bool listed = reason > 0 && reason < sizeof(texts) / sizeof(texts[0]);
    return listed ? texts[reason] : "open refused";
}

int nc_channel_refuse(nc_mux *m, uint32_t peer_id, uint32_t reason, const char *text)
{
    nacre_span description = nc_span_cstr(text ? text : reason_text(reason));
    if (description.n > NC_MAX_REQUEST) {
        description.n = NC_MAX_REQUEST;
    }
    nc_msg_channel_open_failure msg = {
        .recipient = peer_id,
        .reason = reason,
        .description = description,
        .language = nc_span(empty_string, sizeof(empty_string)),
    };
    return nc_link_send(m->link, &nc_desc_channel_open_failure, &msg);
}

int nc_channel_answer_open(nacre_channel *ch, const nacre_answer *a)
{
    nc_mux *m = ch->mux;
    ch->ticket = 0;
    nc_link_ticket_done(m->link);
    if (a->accept) {
        ch->phase = NC_CH_OPEN;
        nc_msg_channel_open_confirmation msg = {
            .recipient = ch->peer_id,
            .sender = ch->id,
            .window = ch->window_in,
            .max_packet = ch->max_packet_in,
        };
        return nc_link_send(m->link, &nc_desc_channel_open_confirmation, &msg);
    }
    uint32_t peer_id = ch->peer_id;
    uint32_t reason = a->reason;
    if (reason == 0) {
        reason = ch->known ? NC_OPEN_PROHIBITED : NC_OPEN_UNKNOWN_TYPE;
    }
    /* The handle goes too: else a peer whose opens are all refused would fill our memory. */
    nc_mux_destroy(ch);
    return nc_channel_refuse(m, peer_id, reason, a->text);
}

int nc_channel_send_close(nacre_channel *ch)
{
    if (ch->close_sent) {
        return NACRE_OK;
    }
    ch->close_sent = true;
    nc_window_wait_end(ch);
    nc_replies_clear(&ch->answers, ch->mux->link);
    nc_msg_channel_close msg = {.recipient = ch->peer_id};
    return nc_link_send(ch->mux->link, &nc_desc_channel_close, &msg);
}

int nacre_channel_eof(nacre_channel *ch)
{
    if (ch->eof_sent) {
        return ch->mux->over ? NACRE_CLOSED : NACRE_OK;
    }
    int rc = nc_channel_usable(ch);
    if (rc != NACRE_OK) {
        return rc;
    }
    ch->eof_sent = true;
    nc_window_wait_end(ch);
    nc_msg_channel_eof msg = {.recipient = ch->peer_id};
    return nc_link_send(ch->mux->link, &nc_desc_channel_eof, &msg);
}

int nacre_channel_close(nacre_channel *ch)
{
    if (ch->phase == NC_CH_GONE || ch->close_sent || ch->close_wanted) {
        return NACRE_OK;
    }
    if (ch->mux->over) {
        return NACRE_CLOSED;
    }
    if (ch->phase == NC_CH_ASKED) {
        return NACRE_WRONG_STATE;
    }
    if (ch->phase == NC_CH_OPENING) {
        /* The peer's number is not known yet: CLOSE follows its confirmation. */
        ch->close_wanted = true;
        return NACRE_OK;
    }
    int rc = nc_channel_send_close(ch);
    if (rc == NACRE_OK && ch->close_received) {
        nc_mux_ended(ch);
    }
    return rc;
}

int nacre_channel_hold_close(nacre_channel *ch, bool hold)
{
    if (ch->mux->over || ch->close_sent || ch->close_wanted || ch->phase == NC_CH_GONE) {
        return NACRE_CLOSED;
    }
    ch->hold_close = hold;
    return !hold && ch->close_received ? nacre_channel_close(ch) : NACRE_OK;
}

void nacre_channel_free(nacre_channel *ch)
{
    static const nacre_answer refusal = {0};
    if (!ch) {
        return;
    }
    nc_mux *m = ch->mux;
    if (ch->lent > 0) {
        ch->lent = 0;
        (void)m->link->ops->commit(m->link, 0);
    }
    if (m->over || ch->phase == NC_CH_GONE) {
        nc_mux_destroy(ch);
        return;
    }
    if (ch->phase == NC_CH_ASKED) {
        /* A failure to send has failed the connection, which tells the application by itself. */
        (void)nc_channel_answer_open(ch, &refusal);
        return;
    }
    ch->detached = true;
    ch->user = NULL;
    (void)nacre_channel_close(ch);
}

nacre_transport *nacre_channel_transport(const nacre_channel *ch)
{
    return ch->mux->handle;
}

uint32_t nacre_channel_id(const nacre_channel *ch)
{
    return ch->id;
}

const char *nacre_channel_type(const nacre_channel *ch)
{
    return ch->type;
}

void nacre_channel_set_user(nacre_channel *ch, void *user)
{
    ch->user = user;
}

void *nacre_channel_user(const nacre_channel *ch)
{
    return ch->user;
}

void nacre_channel_get_info(const nacre_channel *ch, nacre_channel_info *out)
{
    memset(out, 0, sizeof(*out));
    out->open = nc_channel_usable(ch) == NACRE_OK;
    out->eof_sent = ch->eof_sent;
    out->eof_received = ch->eof_received;
    out->close_sent = ch->close_sent;
    out->close_received = ch->close_received;
    out->peer_id = ch->peer_id;
    out->window_in = ch->window_in;
    out->window_out = ch->window_out;
    out->window_max = ch->window_max;
    out->round_trip_ms = ch->mux->link->round_trip_ms;
    out->max_packet_in = ch->max_packet_in;
    out->max_packet_out = ch->max_packet_out;
    out->unconsumed = ch->unconsumed;
    out->bytes_in = ch->bytes_in;
    out->bytes_out = ch->bytes_out;
    out->requests_pending = ch->requests_pending;
}
