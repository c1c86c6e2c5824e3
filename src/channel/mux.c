/*
 * mux.c - the multiplexer: the table of channels, the packets' way to their handlers, polling, tickets.
 *
 * A channel object lives as long as its handle or its number, whichever is longer: the number until
 * CLOSE went both ways (RFC 4254 5.3), the handle until nacre_channel_free.
 */
#include "channel/internal.h"

#include <string.h>

enum { FIRST_NUMBER = SSH_MSG_GLOBAL_REQUEST, LAST_NUMBER = SSH_MSG_CHANNEL_FAILURE };

typedef int (*packet_fn)(nc_mux *m, nc_rd *r, nacre_event *ev);

static const packet_fn handlers[LAST_NUMBER - FIRST_NUMBER + 1] = {
    [SSH_MSG_GLOBAL_REQUEST - FIRST_NUMBER] = nc_in_global_request,
    [SSH_MSG_REQUEST_SUCCESS - FIRST_NUMBER] = nc_in_global_success,
    [SSH_MSG_REQUEST_FAILURE - FIRST_NUMBER] = nc_in_global_failure,
    [SSH_MSG_CHANNEL_OPEN - FIRST_NUMBER] = nc_in_channel_open,
    [SSH_MSG_CHANNEL_OPEN_CONFIRMATION - FIRST_NUMBER] = nc_in_channel_confirmation,
    [SSH_MSG_CHANNEL_OPEN_FAILURE - FIRST_NUMBER] = nc_in_channel_failure,
    [SSH_MSG_CHANNEL_WINDOW_ADJUST - FIRST_NUMBER] = nc_in_window_adjust,
    [SSH_MSG_CHANNEL_DATA - FIRST_NUMBER] = nc_in_data,
    [SSH_MSG_CHANNEL_EXTENDED_DATA - FIRST_NUMBER] = nc_in_extended_data,
    [SSH_MSG_CHANNEL_EOF - FIRST_NUMBER] = nc_in_eof,
    [SSH_MSG_CHANNEL_CLOSE - FIRST_NUMBER] = nc_in_close,
    [SSH_MSG_CHANNEL_REQUEST - FIRST_NUMBER] = nc_in_request,
    [SSH_MSG_CHANNEL_SUCCESS - FIRST_NUMBER] = nc_in_request_success,
    [SSH_MSG_CHANNEL_FAILURE - FIRST_NUMBER] = nc_in_request_failure,
};

/* ---- the table ---------------------------------------------------------------------------------- */

static int slot_take(nc_mux *m, uint32_t *id)
{
    if (m->first_free != UINT32_MAX) {
        *id = m->first_free;
        m->first_free = m->slots[*id].next_free;
        return NACRE_OK;
    }
    if (m->slots_used == m->slots_cap) {
        uint32_t cap = m->slots_cap == 0 ? 4 : m->slots_cap * 2;
        nc_slot *slots = nc_alloc_array(m->link->alloc, cap, sizeof(*slots));
        if (!slots) {
            return NACRE_NO_MEMORY;
        }
        if (m->slots_used > 0) {
            memcpy(slots, m->slots, m->slots_used * sizeof(*slots));
        }
        nc_free(m->link->alloc, m->slots);
        m->slots = slots;
        m->slots_cap = cap;
    }
    *id = m->slots_used++;
    return NACRE_OK;
}

int nc_mux_add(nc_mux *m, nacre_span type, nacre_channel **out)
{
    nacre_channel *ch = NULL;
    int rc = NACRE_LIMIT;
    *out = NULL;
    if (m->handles >= m->max_channels) {
        goto done;
    }
    rc = NACRE_NO_MEMORY;
    ch = nc_zalloc(m->link->alloc, sizeof(*ch) + type.n + 1);
    if (!ch) {
        goto done;
    }
    rc = slot_take(m, &ch->id);
    if (rc != NACRE_OK) {
        goto done;
    }
    memcpy(ch->type, type.p, type.n);
    ch->session = nc_span_is(type, "session");
    ch->mux = m;
    ch->next = m->first;
    if (m->first) {
        m->first->prev = ch;
    }
    m->first = ch;
    m->slots[ch->id].ch = ch;
    ch->asked_ms = NC_NEVER_ASKED;
    m->slots[ch->id].next_free = UINT32_MAX;
    m->numbers++;
    m->handles++;
    *out = ch;
    ch = NULL;
done:
    nc_free(m->link->alloc, ch);
    return rc;
}

static void void_tickets(nacre_channel *ch)
{
    if (ch->ticket != 0) {
        ch->ticket = 0;
        nc_link_ticket_done(ch->mux->link);
    }
    nc_replies_clear(&ch->answers, ch->mux->link);
}

void nc_mux_retire(nacre_channel *ch)
{
    nc_mux *m = ch->mux;
    if (ch->phase != NC_CH_GONE) {
        ch->phase = NC_CH_GONE;
        m->slots[ch->id].ch = NULL;
        m->slots[ch->id].next_free = m->first_free;
        m->first_free = ch->id;
        m->numbers--;
        nc_window_size_retire(ch);
        nc_window_wait_end(ch);
        void_tickets(ch);
    }
    if (ch->detached) {
        nc_mux_destroy(ch);
    }
}

void nc_mux_destroy(nacre_channel *ch)
{
    nc_mux *m = ch->mux;
    ch->detached = false;
    nc_mux_retire(ch);
    if (ch->prev) {
        ch->prev->next = ch->next;
    } else {
        m->first = ch->next;
    }
    if (ch->next) {
        ch->next->prev = ch->prev;
    }
    m->handles--;
    nc_free(m->link->alloc, ch);
}

void nc_mux_answered(nc_mux *m, uint64_t *asked_ms)
{
    if (*asked_ms != NC_NEVER_ASKED) {
        nc_link_round_trip(m->link, *asked_ms);
    }
    *asked_ms = NC_NEVER_ASKED; /* later ones waited for a while behind it */
}

nacre_channel *nc_mux_find(const nc_mux *m, uint32_t id)
{
    return id < m->slots_used ? m->slots[id].ch : NULL;
}

nacre_channel *nc_mux_next(const nc_mux *m, const nacre_channel *prev)
{
    nacre_channel *ch = prev ? prev->next : m->first;
    while (ch && ch->detached) {
        ch = ch->next;
    }
    return ch;
}

uint32_t nc_mux_channels(const nc_mux *m)
{
    return m->numbers;
}

/* ---- small helpers of the handlers -------------------------------------------------------------- */

bool nc_mux_name_ok(nacre_span name)
{
    for (size_t i = 0; i < name.n; i++) {
        if (name.p[i] <= ' ' || name.p[i] > '~') {
            return false;
        }
    }
    return name.n > 0 && name.n <= NC_MAX_NAME;
}

void nc_mux_event(nacre_event *ev, nacre_event_type type, nacre_channel *ch)
{
    memset(ev, 0, sizeof(*ev));
    ev->type = type;
    ev->channel = ch;
}

int nc_mux_malformed(nc_mux *m, const char *what)
{
    return nc_link_fail(m->link, NACRE_MALFORMED,
                        "%s of the peer cannot be read: a field is missing, cut off or too many",
                        what);
}

/* ---- channels that we closed last ---------------------------------------------------------------- */

void nc_mux_ended(nacre_channel *ch)
{
    nc_mux *m = ch->mux;
    if (m->ended_last) {
        m->ended_last->ended_next = ch;
    } else {
        m->ended_first = ch;
    }
    m->ended_last = ch;
}

/* The next one whose handle is still there, or NULL; it is retired. */
static nacre_channel *next_ended(nc_mux *m)
{
    while (m->ended_first) {
        nacre_channel *ch = m->ended_first;
        bool tell = !ch->detached;
        m->ended_first = ch->ended_next;
        if (!m->ended_first) {
            m->ended_last = NULL;
        }
        nc_mux_retire(ch);
        if (tell) {
            return ch;
        }
    }
    return NULL;
}

/* ---- the service -------------------------------------------------------------------------------- */

static int mux_start(void *ctx)
{
    nc_mux *m = ctx;
    m->started = true;
    nc_keepalive_start(m);
    return nc_hostkeys_announce(m);
}

static int mux_packet(void *ctx, uint8_t number, nc_rd *r, nacre_event *ev)
{
    nc_mux *m = ctx;
    if (!m->started || m->over) {
        return nc_link_fail(m->link, NACRE_OUT_OF_PLACE,
                            "message %u outside of the connection protocol", number);
    }
    packet_fn fn = NULL;
    if (number >= FIRST_NUMBER && number <= LAST_NUMBER) {
        fn = handlers[number - FIRST_NUMBER];
    }
    return fn ? fn(m, r, ev) : NACRE_UNSUPPORTED;
}

static int mux_poll(void *ctx, nacre_event *ev)
{
    nc_mux *m = ctx;
    if (!m->started || m->over) {
        return NACRE_AGAIN;
    }
    int rc = nc_keepalive_poll(m);
    if (rc != NACRE_OK) {
        return rc;
    }
    rc = nc_hostkeys_poll(m, ev);
    if (rc != NACRE_AGAIN) {
        return rc;
    }
    nacre_channel *ch = next_ended(m);
    if (ch) {
        nc_mux_event(ev, NACRE_EVENT_CHANNEL_CLOSED, ch);
        return NACRE_OK;
    }
    ch = nc_window_next(m);
    if (!ch) {
        return NACRE_AGAIN;
    }
    nc_mux_event(ev, NACRE_EVENT_CHANNEL_WRITABLE, ch);
    return NACRE_OK;
}

static uint64_t mux_deadline(const void *ctx)
{
    const nc_mux *m = ctx;
    return m->started && !m->over ? nc_keepalive_deadline(m) : UINT64_MAX;
}

static int answer_request(nacre_channel *ch, nc_reply *slot, const nacre_answer *a)
{
    nc_reply_verdict verdict = a->accept ? NC_REPLY_YES : NC_REPLY_NO;
    nc_replies_settle(slot, ch->mux->link, verdict, nc_span(NULL, 0));
    return nc_channel_flush_answers(ch);
}

static int mux_answer(void *ctx, uint32_t ticket, const nacre_answer *a)
{
    static const nacre_answer refusal = {0};
    nc_mux *m = ctx;
    a = a ? a : &refusal;
    if (ticket == 0 || m->over) {
        return NACRE_NOT_FOUND;
    }
    nc_reply *slot = nc_replies_find(&m->answers, ticket);
    if (slot) {
        return ticket == m->host_keys.request ? NACRE_NOT_FOUND : nc_global_answer(m, slot, a);
    }
    int rc = nc_hostkeys_answer(m, ticket, a);
    if (rc != NACRE_NOT_FOUND) {
        return rc;
    }
    for (nacre_channel *ch = m->first; ch; ch = ch->next) {
        if (ch->ticket == ticket) {
            return nc_channel_answer_open(ch, a);
        }
        slot = nc_replies_find(&ch->answers, ticket);
        if (slot) {
            return answer_request(ch, slot, a);
        }
    }
    return NACRE_NOT_FOUND;
}

static void mux_closing(void *ctx)
{
    nc_mux *m = ctx;
    m->over = true;
    nc_replies_clear(&m->answers, m->link);
    nc_hostkeys_over(&m->host_keys, m->link);
    for (nacre_channel *ch = m->first; ch; ch = ch->next) {
        void_tickets(ch);
        nc_window_wait_end(ch);
    }
}

nc_service nc_mux_service(nc_mux *m)
{
    nc_service s = {
        .ctx = m,
        .name = "ssh-connection",
        .start = mux_start,
        .packet = mux_packet,
        .poll = mux_poll,
        .deadline = mux_deadline,
        .answer = mux_answer,
        .closing = mux_closing,
    };
    return s;
}

int nc_mux_new(nc_mux **out, nc_link *link, nacre_transport *public_handle)
{
    *out = NULL;
    nc_mux *m = nc_zalloc(link->alloc, sizeof(*m));
    if (!m) {
        return NACRE_NO_MEMORY;
    }
    uint32_t max = link->config->max_channels;
    m->link = link;
    m->handle = public_handle;
    m->first_free = UINT32_MAX;
    m->max_channels = max == 0                ? NC_DEFAULT_CHANNELS
                      : max > NC_MAX_CHANNELS ? NC_MAX_CHANNELS
                                              : max;
    m->keepalive_since = UINT64_MAX;
    nc_hostkeys_init(&m->host_keys, link->alloc);
    m->asked_ms = NC_NEVER_ASKED;
    *out = m;
    return NACRE_OK;
}

void nc_mux_free(nc_mux *m)
{
    if (!m) {
        return;
    }
    while (m->first) {
        nc_mux_destroy(m->first);
    }
    nc_replies_clear(&m->answers, m->link);
    nc_hostkeys_clear(&m->host_keys, m->link);
    nc_free(m->link->alloc, m->slots);
    nc_free(m->link->alloc, m);
}
