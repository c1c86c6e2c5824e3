/*
 * window.c - flow control (RFC 4254 5.2): how much the peer may send, how much we may, who goes next.
 *
 * Receiving: only what the application has consumed goes back to the peer, so a slow consumer stops
 * its own channel and no other. Sending: window, packet size and the output's soft mark decide; who
 * was cut short waits in one queue and is told in turn.
 */
#include "channel/internal.h"

#include "transport/version.h"

enum {
    NEAR_MS = 3,             /* in which 1 MiB are 2.8 Gbit/s */
    SMALL_PACKET = 31 * 1024 /* with padding and tag still below 32 KiB */
};

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

void nc_window_init(nacre_channel *ch, uint32_t window, uint32_t max_packet)
{
    nc_window_size_init(ch, window);
    ch->max_packet_in = max_packet != 0 ? max_packet : NC_DEFAULT_PACKET;
    if (ch->max_packet_in < NC_MIN_OWN_PACKET) {
        ch->max_packet_in = NC_MIN_OWN_PACKET;
    }
    if (ch->max_packet_in > NC_MAX_DATA) {
        ch->max_packet_in = NC_MAX_DATA;
    }
}

int nc_window_take(nacre_channel *ch, size_t n)
{
    if (n > ch->max_packet_in && !(ch->mux->link->quirks & NC_QUIRK_ANY_PACKET)) {
        return nc_link_fail(
            ch->mux->link, NACRE_WINDOW,
            "channel %u: a packet of %zu bytes of data, but at most %u were allowed", ch->id, n,
            ch->max_packet_in);
    }
    if (n > ch->window_in) {
        return nc_link_fail(ch->mux->link, NACRE_WINDOW,
                            "channel %u: %zu bytes of data, but the window had only %u left",
                            ch->id, n, ch->window_in);
    }
    ch->window_in -= (uint32_t)n;
    ch->bytes_in += n;
    return NACRE_OK;
}

/*
 * Large steps, because each adjust is a packet: three packets' worth, or half the window where that
 * is less. For bulk data from near it is always half the window: what is left lasts until the adjust is
 * there, and each one that is saved is a turn less for the sender, who has better things to do. When the
 * peer runs low because the application holds much back, smaller steps go out too, but each at least
 * doubles what is left, lest a byte-wise consumer make a packet of every byte.
 * A window that grows with the link adds its growth to what is owed, at once: the link waits for it.
 */
uint32_t nc_window_refill(const nacre_channel *ch)
{
    if (ch->eof_received || ch->close_sent || ch->close_received) {
        return 0;
    }
    uint32_t more = nc_window_growth(ch);
    if (more > 0 || ch->owed == 0) {
        return ch->owed + more;
    }
    uint32_t half = ch->window_max / 2;
    bool near = ch->size.bulk && ch->mux->link->round_trip_ms < NEAR_MS;
    uint64_t step = near ? half : least((size_t)3 * ch->max_packet_in, half);
    bool low = ch->window_in < half || half == 0;
    bool worth = ch->owed >= ch->max_packet_in || ch->owed >= ch->window_in;
    return ch->owed >= step || (low && worth) ? ch->owed : 0;
}

int nc_window_return(nacre_channel *ch, uint32_t n)
{
    ch->owed += n;
    int rc = nc_window_consumed(ch, n);
    uint32_t give = rc == NACRE_OK ? nc_window_refill(ch) : 0;
    if (give == 0) {
        return rc;
    }
    nc_msg_channel_window_adjust msg = {.recipient = ch->peer_id, .bytes = give};
    rc = nc_link_send(ch->mux->link, &nc_desc_channel_window_adjust, &msg);
    if (rc == NACRE_OK) {
        nc_window_grown(ch, give - ch->owed);
        ch->owed = 0;
        ch->window_in += give;
    }
    return rc;
}

uint32_t nc_window_packet(const nacre_channel *ch)
{
    uint32_t most = ch->mux->link->quirks & NC_QUIRK_SMALL_PACKETS ? SMALL_PACKET : NC_MAX_DATA;
    return ch->max_packet_out < most ? ch->max_packet_out : most;
}

size_t nc_window_room(const nacre_channel *ch)
{
    nc_link *l = ch->mux->link;
    if (ch->window_out == 0) {
        return 0;
    }
    size_t room = l->ops->room(l);
    /* Small packets make much overhead: it counts against the mark like data. */
    room -= room / ((size_t)nc_window_packet(ch) + NC_PACKET_COST) * NC_PACKET_COST;
    return least(room, ch->window_out);
}

/* Below it a writer of n bytes waits when the output is what limits it; always reachable. */
static size_t sliver(const nacre_channel *ch, size_t n)
{
    size_t mark = ch->mux->link->config->output_soft / 2;
    size_t s = least(least(n, NC_SLIVER), nc_window_packet(ch));
    s = least(s, ch->window_out);
    s = least(s, mark);
    return s > 0 ? s : 1;
}

size_t nc_window_budget(const nacre_channel *ch, size_t n)
{
    size_t room = nc_window_room(ch);
    return room < sliver(ch, n) ? 0 : least(room, n);
}

static void wait_remove(nacre_channel *ch)
{
    nc_mux *m = ch->mux;
    if (!ch->waiting) {
        return;
    }
    if (ch->wait_prev) {
        ch->wait_prev->wait_next = ch->wait_next;
    } else {
        m->wait_first = ch->wait_next;
    }
    if (ch->wait_next) {
        ch->wait_next->wait_prev = ch->wait_prev;
    } else {
        m->wait_last = ch->wait_prev;
    }
    ch->wait_prev = NULL;
    ch->wait_next = NULL;
    ch->waiting = false;
}

static void wait_append(nacre_channel *ch)
{
    nc_mux *m = ch->mux;
    if (ch->waiting) {
        return;
    }
    ch->wait_prev = m->wait_last;
    if (m->wait_last) {
        m->wait_last->wait_next = ch;
    } else {
        m->wait_first = ch;
    }
    m->wait_last = ch;
    ch->waiting = true;
}

void nc_window_moved(nacre_channel *ch)
{
    /* Without window it is the peer's turn, not the output's: it queues when the adjust comes. */
    bool wants = ch->want[NACRE_STDOUT] != 0 || ch->want[NACRE_STDERR] != 0;
    if (wants && ch->window_out > 0) {
        wait_append(ch);
    } else {
        wait_remove(ch);
    }
}

void nc_window_wait(nacre_channel *ch, int stream, size_t left)
{
    ch->want[stream] = (uint32_t)least(left, UINT32_MAX);
    nc_window_moved(ch);
}

void nc_window_wait_end(nacre_channel *ch)
{
    ch->want[NACRE_STDOUT] = 0;
    ch->want[NACRE_STDERR] = 0;
    wait_remove(ch);
}

nacre_channel *nc_window_next(nc_mux *m)
{
    nacre_channel *ch = m->wait_first;
    if (!ch) {
        return NULL;
    }
    /* When both streams wait, the one that needs less decides. */
    uint32_t a = ch->want[NACRE_STDOUT];
    uint32_t b = ch->want[NACRE_STDERR];
    uint32_t want = a == 0 || (b != 0 && b < a) ? b : a;
    if (nc_window_budget(ch, want) == 0) {
        return NULL;
    }
    nc_window_wait_end(ch);
    return ch;
}
