/*
 * data.c - data out of the application (RFC 4254 5.2): write, reserve and commit, and its word that
 * received data is dealt with. There is no queue in a channel: what is taken is in the output already.
 */
#include "channel/internal.h"

static int sendable(const nacre_channel *ch, int stream)
{
    int rc = nc_channel_usable(ch);
    if (rc != NACRE_OK) {
        return rc;
    }
    if (ch->eof_sent) {
        return NACRE_CLOSED;
    }
    return stream == NACRE_STDOUT || stream == NACRE_STDERR ? NACRE_OK : NACRE_INVALID_ARGUMENT;
}

static int send_data(nacre_channel *ch, int stream, nacre_span data)
{
    nc_link *l = ch->mux->link;
    nc_wr *w = l->ops->begin(l, 13 + data.n);
    if (stream == NACRE_STDOUT) {
        nc_msg_channel_data msg = {.recipient = ch->peer_id, .data = data};
        NC_ENCODE(channel_data, w, &msg);
    } else {
        nc_msg_channel_extended_data msg = {
            .recipient = ch->peer_id, .stream = SSH_EXTENDED_DATA_STDERR, .data = data};
        NC_ENCODE(channel_extended_data, w, &msg);
    }
    int rc = l->ops->end(l);
    if (rc == NACRE_OK) {
        ch->window_out -= (uint32_t)data.n;
        ch->bytes_out += data.n;
    }
    return rc;
}

int nacre_channel_write(nacre_channel *ch, int stream, const void *p, size_t n, size_t *took)
{
    *took = 0;
    int rc = sendable(ch, stream);
    if (rc != NACRE_OK) {
        return rc;
    }
    if ((!p && n > 0) || ch->lent > 0) {
        return ch->lent > 0 ? NACRE_WRONG_STATE : NACRE_INVALID_ARGUMENT;
    }
    nc_link *l = ch->mux->link;
    size_t budget = nc_window_budget(ch, n);
    size_t limit = nc_window_packet(ch);
    while (*took < budget) {
        /* With a long MAC packets weigh more than the budget reckons with: the mark may come before its end. */
        if (*took > 0 && l->ops->room(l) == 0) {
            break;
        }
        size_t left = budget - *took;
        nacre_span part = nc_span((const uint8_t *)p + *took, left < limit ? left : limit);
        rc = send_data(ch, stream, part);
        if (rc != NACRE_OK) {
            return rc;
        }
        *took += part.n;
    }
    nc_window_wait(ch, stream, n - *took);
    return NACRE_OK;
}

size_t nacre_channel_write_room(const nacre_channel *ch)
{
    if (nc_channel_usable(ch) != NACRE_OK || ch->eof_sent || ch->lent > 0) {
        return 0;
    }
    return nc_window_room(ch);
}

int nacre_channel_reserve(nacre_channel *ch, int stream, size_t want, nacre_room *rooms,
                          size_t *count)
{
    size_t most = *count;
    *count = 0;
    int rc = sendable(ch, stream);
    if (rc != NACRE_OK) {
        return rc;
    }
    if (ch->lent > 0) {
        return NACRE_WRONG_STATE;
    }
    size_t budget = nc_window_budget(ch, want);
    size_t lent = 0;
    if (budget > 0 && most > 0) {
        uint8_t head[9];
        head[0] = stream == NACRE_STDOUT ? SSH_MSG_CHANNEL_DATA : SSH_MSG_CHANNEL_EXTENDED_DATA;
        nc_put_u32(head + 1, ch->peer_id);
        nc_put_u32(head + 5, SSH_EXTENDED_DATA_STDERR);
        nc_link *l = ch->mux->link;
        *count = most;
        rc = l->ops->reserve(l, nc_span(head, stream == NACRE_STDOUT ? 5 : 9), nc_window_packet(ch),
                             budget, rooms, count);
        if (rc != NACRE_OK) {
            *count = 0;
            return rc;
        }
        for (size_t i = 0; i < *count; i++) {
            lent += rooms[i].n;
        }
    }
    ch->lent = lent;
    nc_window_wait(ch, stream, want - (lent < want ? lent : want));
    return NACRE_OK;
}

int nacre_channel_commit(nacre_channel *ch, size_t n)
{
    if (n > ch->lent) {
        return NACRE_INVALID_ARGUMENT;
    }
    if (ch->lent == 0) {
        return NACRE_OK;
    }
    ch->lent = 0;
    nc_link *l = ch->mux->link;
    int rc = l->ops->commit(l, n);
    if (rc == NACRE_OK) {
        ch->window_out -= (uint32_t)n;
        ch->bytes_out += n;
        nc_window_moved(ch);
    }
    return rc;
}

int nacre_channel_consumed(nacre_channel *ch, size_t n)
{
    if (n > ch->unconsumed) {
        return NACRE_INVALID_ARGUMENT;
    }
    ch->unconsumed -= n;
    if (ch->phase != NC_CH_OPEN || ch->mux->over) {
        return NACRE_OK;
    }
    return nc_window_return(ch, (uint32_t)n);
}
