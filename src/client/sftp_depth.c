/*
 * sftp_depth.c - how much a session has on the way: as much as the link carries in a round trip, and
 * room to find out whether it carries more.
 *
 * It begins with a few MiB, which fill what most links carry. When that is what limits, and there is a
 * round trip to speak of, it becomes twice rate x round trip; again when the rate has grown by it, and
 * not any more when it has not. The round trip is the smallest that any question showed which was asked
 * while nothing else was on the way: behind data an answer waits for the data.
 *
 * Nothing is allocated for it but the notes of requests: what is asked for lies in the link, what is
 * written in the output, which has bounds of its own.
 */
#include "client/sftp_session.h"

enum {
    NEAR_MS = 5, /* 4 MiB in 5 ms are 6.7 Gbit/s */
    IDLE_MS = 3000,
    WHOLE = NACRE_SFTP_MAX_DATA, /* who has a whole request waits when there is less room */
    EAGER = 16 * 1024 * 1024,    /* up to here it grows in larger steps */
    BYTES_A_MS = 320 * 1024,     /* what a good link carries: 2.6 Gbit/s */
    BETTER = 8                   /* a rate that is better by less than 1/8 is no better */
};

static const uint64_t most = 64 * 1024 * 1024;

void nc_sftp_depth_init(nc_sftp_depth *d)
{
    *d = (nc_sftp_depth){
        .start = NC_SFTP_IN_FLIGHT, .now = NC_SFTP_IN_FLIGHT, .round_trip_ms = UINT64_MAX};
}

void nc_sftp_depth_start(nc_sftp_depth *d, uint64_t bytes)
{
    d->start = bytes;
    d->now = bytes;
}

static bool is_far(const nc_sftp_depth *d)
{
    return d->round_trip_ms >= NEAR_MS && d->round_trip_ms != UINT64_MAX;
}

/*
 * Where there is a round trip it begins with more, so that it is not what holds up a window that grows:
 * finding out from little on takes round trips, in which a good link stands still.
 */
static uint64_t least(const nc_sftp_depth *d)
{
    if (!is_far(d)) {
        return d->start;
    }
    uint64_t carried =
        d->round_trip_ms < EAGER / BYTES_A_MS ? d->round_trip_ms * BYTES_A_MS : EAGER;
    return carried > d->start * 2 ? carried : d->start * 2;
}

/* ---- the round trip ----------------------------------------------------------------------------------- */

void nc_sftp_depth_asked(nc_sftp_depth *d, uint32_t id, size_t outstanding, uint64_t now_ms)
{
    if (outstanding == 1) {
        d->asked = true;
        d->asked_id = id;
        d->asked_ms = now_ms;
    }
}

void nc_sftp_depth_known(nc_sftp_depth *d, uint64_t round_trip_ms)
{
    d->round_trip_ms = round_trip_ms < d->round_trip_ms ? round_trip_ms : d->round_trip_ms;
    d->now = d->now > least(d) ? d->now : least(d);
}

void nc_sftp_depth_answered(nc_sftp_depth *d, uint32_t id, uint64_t now_ms)
{
    if (!d->asked || d->asked_id != id) {
        return;
    }
    d->asked = false;
    nc_sftp_depth_known(d, now_ms - d->asked_ms);
}

/* ---- the depth ---------------------------------------------------------------------------------------- */

static void count_from(nc_sftp_depth *d, uint64_t ms)
{
    d->counting = true;
    d->held = false;
    d->since_ms = ms;
    d->counted = 0;
}

static void aim(nc_sftp_depth *d, uint64_t rate, uint64_t through, bool held, uint64_t now_ms)
{
    if (held || through >= d->now / 8) {
        d->used_ms = now_ms;
    } else if (now_ms - d->used_ms >= IDLE_MS) {
        d->now = least(d);
        d->rate = 0;
        return;
    }
    uint64_t want = through * 2;
    if (through >= d->now - d->now / 8 && want < EAGER) {
        want = want * 2 < EAGER ? want * 2 : EAGER;
    }
    want = want < most ? want : most;
    bool better = rate > d->rate + d->rate / BETTER;
    if (held && better && want > d->now + d->now / BETTER) {
        d->now = want;
        d->rate = rate;
        count_from(d, now_ms + d->round_trip_ms); /* that is when the first of it comes */
    }
}

void nc_sftp_depth_landed(nc_sftp_depth *d, uint64_t bytes, uint64_t now_ms)
{
    if (!is_far(d)) {
        d->now = d->start;
        return;
    }
    if (!d->counting) {
        count_from(d, now_ms);
        d->used_ms = now_ms;
    }
    if (now_ms < d->since_ms) {
        return;
    }
    d->counted += bytes;
    uint64_t span = now_ms - d->since_ms;
    if (span < d->round_trip_ms) {
        return;
    }
    uint64_t rate = d->counted * 1000 / span;
    uint64_t through = d->counted * d->round_trip_ms / span;
    bool held = d->held;
    count_from(d, now_ms);
    aim(d, rate, through, held, now_ms);
}

uint64_t nc_sftp_depth_room(nc_sftp_depth *d, uint64_t flying)
{
    uint64_t room = flying < d->now ? d->now - flying : 0;
    d->held = d->held || room < WHOLE;
    return room;
}
