/*
 * window_size.c - how large a receive window shall be: as the link and the application use it.
 *
 * One round trip carries at most one window. What the application consumed in a round trip is therefore
 * what the window has to be, and twice that leaves room to find out whether the link carries more. So
 * the aim is twice rate x round trip (at first, as long as whole windows come, four times: a step takes
 * two round trips), and three things keep it from running away:
 *
 * - It grows only when the rate has grown since it grew last: a window that did not help stays as it is.
 * - Without a round trip to speak of it does not grow at all. There a larger window only fills buffers:
 *   OpenSSH's sshd, which collects up to a window's worth from its programs, becomes slower by it.
 * - What all channels of a connection have grown by stays below the cap, together.
 *
 * What is consumed counts, not what arrives: a peer that sends to somebody who does not read gains
 * nothing. Time is the link's clock; a round trip is the smallest that any answer showed.
 */
#include "channel/internal.h"

enum {
    /* Milliseconds. At 10 Gbit/s over 1.6 ms the start window is still enough. */
    NEAR_MS = 3,
    /* From here on a channel that is for bulk data begins with what a good link carries: 2.6 Gbit/s. */
    FAR_MS = 10,
    BYTES_A_MS = 320 * 1024,
    /* A window of which for so long less than an eighth was used goes back to where it started. */
    IDLE_MS = 3000,
    /* Better by less than 1/8 is no better. */
    BETTER = 8,
    /* Up to here it grows in larger steps. */
    EAGER = 16 * 1024 * 1024,
    /* Less than this is no transfer yet: the time it took says nothing. */
    FEW = 64 * 1024
};

void nc_window_size_init(nacre_channel *ch, uint32_t window)
{
    const nacre_config *cfg = ch->mux->link->config;
    nc_window_size *w = &ch->size;
    w->start = window != 0 ? window : cfg->window;
    w->start = w->start != 0 ? w->start : NC_DEFAULT_WINDOW;
    /* Who asks for a window gets that one. */
    w->cap = window == 0 && cfg->window_cap > w->start ? cfg->window_cap : w->start;
    w->goal = w->start;
    ch->window_max = w->start;
    ch->window_in = w->start;
}

void nacre_channel_window_cap(nacre_channel *ch, uint32_t bytes)
{
    nc_window_size *w = &ch->size;
    uint32_t most = ch->mux->link->config->window_cap;
    uint32_t cap = bytes == 0 || bytes > most ? most : bytes;
    w->cap = cap > ch->window_max ? cap : ch->window_max;
    w->goal = w->goal < w->cap ? w->goal : w->cap;
}

void nc_window_for_bulk(nacre_channel *ch)
{
    nc_window_size *w = &ch->size;
    uint64_t ms = ch->mux->link->round_trip_ms;
    w->bulk = true;
    if (ms == NC_ROUND_TRIP_UNKNOWN || ms < FAR_MS) {
        return;
    }
    uint64_t carried = ms < EAGER / BYTES_A_MS ? ms * BYTES_A_MS : EAGER;
    carried = carried < w->cap ? carried : w->cap;
    w->goal = carried > w->goal ? (uint32_t)carried : w->goal;
}

void nc_window_size_retire(nacre_channel *ch)
{
    ch->mux->window_grown -= ch->size.grown;
    ch->size.grown = 0;
}

/* Another round trip begins; what was consumed before this moment is not of it. */
static void count_from(nc_window_size *w, uint64_t ms)
{
    w->counting = true;
    w->since_ms = ms;
    w->counted = 0;
}

static void aim(nacre_channel *ch, uint64_t rate, uint64_t through)
{
    nc_window_size *w = &ch->size;
    uint64_t now = ch->mux->link->now_ms;
    if (through >= w->goal / 8) {
        w->used_ms = now;
    } else if (now - w->used_ms >= IDLE_MS && w->goal > w->start) {
        w->goal = w->start;
        w->rate = 0;
        return;
    }
    uint64_t want = through * 2;
    if (through >= w->goal - w->goal / 8 && want < EAGER) {
        want = want * 2 < EAGER ? want * 2 : EAGER;
    }
    want = want < w->cap ? want : w->cap;
    bool better = rate > w->rate + w->rate / BETTER;
    bool held_up = ch->unconsumed > ch->window_max / 2; /* the application is what limits */
    if (want > w->goal + w->goal / BETTER && better && !held_up) {
        w->goal = (uint32_t)want;
        w->rate = rate;
        /* The peer knows of it in half a round trip, and we see it after a whole one. */
        count_from(w, now + ch->mux->link->round_trip_ms);
    }
}

static void count(nacre_channel *ch, uint32_t n)
{
    nc_window_size *w = &ch->size;
    uint64_t now = ch->mux->link->now_ms;
    uint64_t round_trip = ch->mux->link->round_trip_ms;
    if (!w->counting || (round_trip == NC_ROUND_TRIP_UNKNOWN && w->counted < FEW)) {
        count_from(w, now);
        w->used_ms = now;
    }
    if (now < w->since_ms) {
        return;
    }
    w->counted += n;
    uint64_t span = now - w->since_ms;
    if (span < round_trip || span == 0) {
        return;
    }
    uint64_t rate = w->counted * 1000 / span;
    uint64_t through = w->counted * round_trip / span;
    count_from(w, now);
    aim(ch, rate, through);
}

int nc_window_consumed(nacre_channel *ch, uint32_t n)
{
    nc_link *l = ch->mux->link;
    nc_window_size *w = &ch->size;
    if (w->cap == w->start) {
        return NACRE_OK;
    }
    if (l->round_trip_ms == NC_ROUND_TRIP_UNKNOWN) {
        /* Who only ever answers has to ask once; but only for a transfer that may be worth it. */
        bool ask = ch->bytes_in >= w->start / 2 && !ch->mux->pinged;
        count(ch, n); /* by the time of the answer a round trip is over */
        ch->mux->pinged = ch->mux->pinged || ask;
        int rc = ask ? l->ops->ping(l) : NACRE_OK;
        return rc == NACRE_UNSUPPORTED ? NACRE_OK : rc;
    }
    if (l->round_trip_ms < NEAR_MS) {
        w->goal = w->start; /* an earlier answer may have dawdled */
    } else {
        count(ch, n);
    }
    if (w->goal < ch->window_max) {
        /* What was granted cannot be taken back, but what comes of it needs not be granted again. */
        uint32_t less = ch->window_max - w->goal;
        less = less < ch->owed ? less : ch->owed;
        less = less < w->grown ? less : w->grown;
        ch->owed -= less;
        ch->window_max -= less;
        w->grown -= less;
        ch->mux->window_grown -= less;
    }
    return NACRE_OK;
}

uint32_t nc_window_growth(const nacre_channel *ch)
{
    const nc_window_size *w = &ch->size;
    uint64_t spent = ch->mux->window_grown;
    uint32_t more = w->goal > ch->window_max ? w->goal - ch->window_max : 0;
    uint64_t left = spent < w->cap ? w->cap - spent : 0;
    left =
        left > w->start ? left - w->start : 0; /* one channel alone comes to the cap, not above */
    return more < left ? more : (uint32_t)left;
}

void nc_window_grown(nacre_channel *ch, uint32_t more)
{
    ch->window_max += more;
    ch->size.grown += more;
    ch->mux->window_grown += more;
}
