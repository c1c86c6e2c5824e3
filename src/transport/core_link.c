/*
 * core_link.c - the transport as its services see it (nc_link_ops): sending, holding packets back
 * while keys are exchanged, failing, and the moment of login.
 */
#include <stdio.h>
#include <string.h>

#include "transport/core_state.h"

/* ---- the end ------------------------------------------------------------------------------------ */

static void forget_open_packet(nc_core *c)
{
    if (!c->packet_open) {
        return;
    }
    c->packet_open = false;
    if (c->packet_held) {
        nc_buf_truncate(&c->held, c->packet_start - 4);
    } else {
        nc_packetizer_abandon(c->packetizer);
    }
}

/*
 * What the peer is told. A sentence about what it did wrong helps its owner; about integrity,
 * compression and our own troubles it learns no more than the kind.
 */
static const char *text_for_peer(const nacre_error *e)
{
    /* Too many tries: OpenSSH's words, which people and scripts know, and nothing they can use. */
    bool about_them =
        nacre_status_class(e->status) == NACRE_CLASS_PEER || e->status == NACRE_AUTH_LIMIT;
    bool tell = about_them && e->by == NACRE_BY_PEER && e->status != NACRE_INTEGRITY &&
                e->status != NACRE_COMPRESSION;
    return tell && e->text[0] ? e->text : nacre_status_text(e->status);
}

static int end_connection(nc_core *c, bool send_disconnect)
{
    forget_open_packet(c);
    c->over = true;
    c->link.open_tickets = 0;
    if (send_disconnect && c->peer_version_known) {
        /* Where the table names no reason it is ours alone: 11, by application. */
        uint32_t reason = c->error.disconnect_reason ? c->error.disconnect_reason : 11;
        nc_core_send_disconnect(c, reason, text_for_peer(&c->error));
    }
    nc_kex_clear(c);
    nc_logf(&c->link.log, c->error.status == NACRE_CLOSED ? NACRE_LOG_VERBOSE : NACRE_LOG_INFO,
            "connection over: %s", c->error.text);
    return c->error.status;
}

static int NACRE_PRINTF(4, 0)
    link_vfail(nc_link *l, int status, nacre_blame by, const char *fmt, va_list ap)
{
    nc_core *c = nc_core_of(l);
    if (c->over) {
        return c->error.status;
    }
    nc_vfail(&c->error, status, by, fmt, ap);
    return end_connection(c, true);
}

int nc_core_finish(nc_core *c, int status, nacre_blame by, uint32_t reason, const char *fmt, ...)
{
    if (c->over) {
        return c->error.status;
    }
    va_list ap;
    va_start(ap, fmt);
    nc_vfail(&c->error, status, by, fmt, ap);
    va_end(ap);
    c->error.disconnect_reason = reason;
    return end_connection(c, false);
}

int nc_core_checked(nc_core *c, int rc, const char *doing)
{
    if (rc >= NACRE_OK || rc == NACRE_AGAIN || c->over) {
        return rc;
    }
    return nc_link_fail_local(&c->link, rc, "%s while %s", nacre_status_text(rc), doing);
}

/* ---- sending ------------------------------------------------------------------------------------ */

nc_wr *nc_core_begin_now(nc_core *c)
{
    c->packet_open = true;
    c->packet_held = false;
    c->packet_writer = nc_packetizer_begin(c->packetizer, 0);
    c->packet_start = c->packet_writer->b->len;
    return c->packet_writer;
}

/* What follows from a message once it stands, sealed, in the output. */
static void after_sealing(nc_core *c, uint8_t number)
{
    if (number == SSH_MSG_USERAUTH_SUCCESS && c->link.role == NACRE_SERVER) {
        nc_core_start_delayed_compression(c);
    }
}

int nc_core_end_now(nc_core *c)
{
    const nc_wr *w = c->packet_writer;
    bool written = nc_wr_err(w) == NACRE_OK && w->b->len > c->packet_start;
    uint8_t number = written ? w->b->data[c->packet_start] : 0;
    c->packet_open = false;
    int rc = nc_packetizer_end(c->packetizer);
    if (rc != NACRE_OK) {
        return nc_core_checked(c, rc, "sending a packet");
    }
    if (c->link.log.level >= NACRE_LOG_TRACE) {
        nc_logf(&c->link.log, NACRE_LOG_TRACE, "sent %s", nc_message_name(number));
    }
    after_sealing(c, number);
    return c->over ? c->error.status : NACRE_OK;
}

int nc_core_send_now(nc_core *c, const nc_msg_desc *d, const void *msg)
{
    nc_wr *w = nc_core_begin_now(c);
    nc_msg_encode(d, w, msg);
    return nc_core_end_now(c);
}

static nc_wr *dead_end(nc_core *c)
{
    c->dead_writer.b = &c->nowhere;
    c->dead_writer.err = c->error.status != NACRE_OK ? c->error.status : NACRE_WRONG_STATE;
    return &c->dead_writer;
}

static nc_wr *link_begin(nc_link *l, size_t hint)
{
    nc_core *c = nc_core_of(l);
    if (c->over || c->packet_open || c->scratch_open) {
        return dead_end(c);
    }
    if (!nc_kex_blocks_output(c) && c->started) {
        c->packet_open = true;
        c->packet_held = false;
        c->packet_writer = nc_packetizer_begin(c->packetizer, hint);
        c->packet_start = c->packet_writer->b->len;
        return c->packet_writer;
    }
    c->packet_open = true;
    c->packet_held = true;
    c->held_writer = nc_wr_init(&c->held);
    size_t before = c->held.len;
    nc_wr_u32(&c->held_writer, 0);
    c->packet_start = before + 4;
    c->packet_writer = &c->held_writer;
    return c->packet_writer;
}

static int end_held(nc_core *c)
{
    c->packet_open = false;
    int rc = nc_wr_err(&c->held_writer);
    if (rc != NACRE_OK) {
        nc_buf_truncate(&c->held, c->packet_start - 4);
        if (rc == NACRE_LIMIT) {
            return nc_link_fail_local(
                &c->link, rc, "more than %d bytes of messages wait for a key exchange to end",
                NC_MAX_HELD);
        }
        return nc_core_checked(c, rc, "holding a packet during key exchange");
    }
    nc_put_u32(c->held.data + c->packet_start - 4, (uint32_t)(c->held.len - c->packet_start));
    return NACRE_OK;
}

static int link_end(nc_link *l)
{
    nc_core *c = nc_core_of(l);
    if (!c->packet_open) {
        return c->over ? c->error.status : NACRE_WRONG_STATE;
    }
    const nc_wr *w = c->packet_writer;
    bool success = l->role == NACRE_SERVER && nc_wr_err(w) == NACRE_OK &&
                   w->b->len > c->packet_start &&
                   w->b->data[c->packet_start] == SSH_MSG_USERAUTH_SUCCESS;
    int rc = c->packet_held ? end_held(c) : nc_core_end_now(c);
    if (rc == NACRE_OK && success) {
        c->success_queued = true;
        rc = nc_core_start_connection(c);
    }
    return rc;
}

static void link_abandon(nc_link *l)
{
    forget_open_packet(nc_core_of(l));
}

int nc_core_flush_held(nc_core *c)
{
    nc_rd r = nc_rd_init(nc_buf_span(&c->held));
    int rc = NACRE_OK;
    while (rc == NACRE_OK && nc_rd_left(&r) > 0) {
        nacre_span payload = nc_rd_str(&r);
        nc_wr *w = nc_core_begin_now(c);
        nc_wr_bytes(w, payload);
        rc = nc_core_end_now(c);
    }
    c->held_pongs = 0;
    if (c->held.cap > NC_HELD_KEEP) {
        nc_buf_clear(&c->held);
    } else {
        nc_buf_reset(&c->held);
    }
    return rc;
}

static size_t link_room(const nc_link *l)
{
    const nc_core *c = nc_core_of(l);
    if (c->over || nc_kex_blocks_output(c)) {
        return 0;
    }
    size_t queued = nc_packetizer_output(c->packetizer).n;
    return queued < c->config.output_soft ? c->config.output_soft - queued : 0;
}

/* ---- bulk ---------------------------------------------------------------------------------------- */

/* Compression cannot work on bytes that are not there yet: they are collected first. */
static int reserve_scratch(nc_core *c, nacre_span head, size_t max_data, size_t want,
                           nacre_room *rooms, size_t *count)
{
    size_t n = want < NC_MAX_SCRATCH ? want : NC_MAX_SCRATCH;
    nc_buf_reset(&c->scratch);
    int rc = nc_buf_append(&c->scratch, head.p, head.n);
    uint8_t *room = rc == NACRE_OK ? nc_buf_extend(&c->scratch, n) : NULL;
    if (!room || *count == 0) {
        *count = 0;
        return room ? NACRE_OK : NACRE_NO_MEMORY;
    }
    c->scratch_head = head.n;
    c->scratch_max = max_data;
    c->scratch_open = true;
    rooms[0] = (nacre_room){room, n};
    *count = 1;
    return NACRE_OK;
}

static int link_reserve(nc_link *l, nacre_span head, size_t max_data, size_t want,
                        nacre_room *rooms, size_t *count)
{
    nc_core *c = nc_core_of(l);
    if (c->over) {
        *count = 0;
        return c->error.status;
    }
    if (nc_kex_blocks_output(c) || want == 0 || max_data == 0) {
        *count = 0;
        return NACRE_OK;
    }
    size_t lent = *count;
    int rc = nc_packetizer_reserve(c->packetizer, head, max_data, want, rooms, &lent);
    if (rc == NACRE_UNSUPPORTED) {
        return reserve_scratch(c, head, max_data, want, rooms, count);
    }
    *count = rc == NACRE_OK ? lent : 0;
    return rc;
}

static int commit_scratch(nc_core *c, size_t n)
{
    c->scratch_open = false;
    nacre_span head = nc_span(c->scratch.data, c->scratch_head);
    nacre_span data = nc_span(c->scratch.data + c->scratch_head, c->scratch.len - c->scratch_head);
    data.n = n < data.n ? n : data.n;
    int rc = NACRE_OK;
    while (rc == NACRE_OK && data.n > 0) {
        size_t take = data.n < c->scratch_max ? data.n : c->scratch_max;
        nc_wr *w = nc_core_begin_now(c);
        nc_wr_bytes(w, head);
        nc_wr_str(w, nc_span(data.p, take));
        rc = nc_core_end_now(c);
        data.p += take;
        data.n -= take;
    }
    nc_buf_reset(&c->scratch);
    return rc;
}

static int link_commit(nc_link *l, size_t n)
{
    nc_core *c = nc_core_of(l);
    if (c->over) {
        return c->error.status;
    }
    if (c->scratch_open) {
        return commit_scratch(c, n);
    }
    return nc_core_checked(c, nc_packetizer_commit(c->packetizer, n), "sending data");
}

/* ---- login --------------------------------------------------------------------------------------- */

static int link_authenticated(nc_link *l, nacre_span user)
{
    nc_core *c = nc_core_of(l);
    if (c->over) {
        return c->error.status;
    }
    if (c->authenticated) {
        return NACRE_WRONG_STATE;
    }
    c->user = nc_strndup(c->link.alloc, user);
    if (!c->user) {
        return nc_core_checked(c, NACRE_NO_MEMORY, "logging in");
    }
    nacre_span unused;
    int rc = NACRE_OK;
    if (l->role == NACRE_SERVER && !c->success_queued &&
        nc_core_peer_extension(c, "ext-info-in-auth@openssh.com", &unused)) {
        rc = nc_core_send_ext_info(c, false);
    }
    if (rc != NACRE_OK) {
        return rc;
    }
    c->authenticated = true;
    nc_logf(&l->log, NACRE_LOG_VERBOSE, "authenticated as %s", NC_ESC(user));
    if (l->role == NACRE_CLIENT) {
        nc_core_start_delayed_compression(c);
    }
    return nc_core_start_connection(c);
}

static bool link_peer_extension(const nc_link *l, const char *name, nacre_span *value)
{
    return nc_core_peer_extension(nc_core_of(l), name, value);
}

static int link_ping(nc_link *l)
{
    return nc_core_probe(nc_core_of(l));
}

const nc_link_ops nc_core_link_ops = {
    link_begin,  link_end,   link_abandon,       link_room,           link_reserve,
    link_commit, link_vfail, link_authenticated, link_peer_extension, link_ping,
};
