/*
 * timeouts.c - channels over which nothing goes, and connections without channels: closed when their time is up.
 *
 * What has gone over a channel is counted by the engine, so nothing is noted on the way: one timer of the
 * connection looks at the counters, four times within the shortest limit.
 */
#include "server/server.h"

#include "keys/pattern.h"

#include <stdio.h>
#include <string.h>

enum {
    LEAST_LOOK_MS = 10,
    MOST_LOOK_MS = 60 * 1000,
    BY_APPLICATION = 11 /* RFC 4253 11.1 */
};

/* What sshd_config(5) calls types whose names in the protocol differ. */
static const struct {
    const char *type, *kind;
} kinds[] = {
    {"auth-agent@openssh.com", "agent-connection"},
    {"auth-agent", "agent-connection"},
    {"x11", "x11-connection"},
    {"tun@openssh.com", "tun-connection"},
};

static void set_kind(nc_chan *k, const char *what, nacre_span name)
{
    (void)snprintf(k->kind, sizeof(k->kind), "%s", what);
    size_t n = strlen(k->kind);
    if (name.n > 0 && name.n < sizeof(k->kind) - n) {
        memcpy(k->kind + n, name.p, name.n);
        k->kind[n + name.n] = '\0';
    }
}

/* ---- limits ----------------------------------------------------------------------------------------- */

static bool fits(const nc_chan *k, const char *pattern)
{
    return (k->session && strcmp(pattern, "session") == 0) ||
           nc_pattern_match(nc_span_cstr(k->kind), nc_span_cstr(pattern), false);
}

static uint32_t limit_of(const nc_chan *k)
{
    const nc_timeouts *t = &k->conn->timeouts;
    for (size_t i = 0; i < t->count; i++) {
        if (fits(k, t->rows[i].pattern)) {
            return t->rows[i].ms;
        }
    }
    return 0;
}

static void least(uint32_t *ms, uint32_t other)
{
    if (other > 0 && (*ms == 0 || other < *ms)) {
        *ms = other;
    }
}

static void on_timer(void *user);

/*
 * Begins to look when there is something to look at. A look that comes soon enough stays: whoever opens one channel
 * after the other must not put it off.
 */
static void arm(nacre_server_conn *c)
{
    nc_timeouts *t = &c->timeouts;
    uint32_t ms = c->authenticated && !c->chans ? t->unused_ms : 0;
    for (const nc_chan *k = c->chans; k; k = k->next) {
        least(&ms, limit_of(k));
        least(&ms, t->global_ms);
    }
    uint32_t look = ms / 4;
    look = look < LEAST_LOOK_MS ? LEAST_LOOK_MS : look > MOST_LOOK_MS ? MOST_LOOK_MS : look;
    uint64_t at = nacre_loop_now(c->server->loop) + look;
    if (ms > 0 && t->timer != 0 && t->look_at <= at) {
        return;
    }
    nacre_loop_cancel(c->server->loop, t->timer);
    t->timer = 0;
    if (ms == 0) {
        return;
    }
    t->look_at = at;
    if (nacre_loop_timer(c->server->loop, look, on_timer, c, &t->timer) != NACRE_OK) {
        /* A limit that cannot be kept: nobody shall believe in it. */
        nacre_server_conn_disconnect(c, BY_APPLICATION, "no memory for a time limit");
    }
}

static void arm_again(nacre_server_conn *c)
{
    if (c->timeouts.count || c->timeouts.global_ms || c->timeouts.unused_ms) {
        arm(c);
    }
}

/* ---- channels --------------------------------------------------------------------------------------- */

/* Something has gone since we looked last. */
static bool has_moved(nc_chan *k, uint64_t now)
{
    nacre_channel_info info;
    nacre_channel_get_info(k->ch, &info);
    uint64_t sum = info.bytes_in + info.bytes_out;
    if (sum == k->moved) {
        return false;
    }
    k->moved = sum;
    k->moved_ms = now;
    return true;
}

static void close_idle(nc_chan *k)
{
    if (k->timed_out || k->open_ticket) {
        return;
    }
    k->timed_out = true;
    k->conn->server->counts.idle_channels++;
    nc_logf(&k->conn->server->log, NACRE_LOG_INFO, "closed channel %u (%s): nothing went over it",
            (unsigned)nacre_channel_id(k->ch), NC_ESC(nc_span_cstr(k->kind)));
    nc_program_drop(k);
    (void)nacre_channel_hold_close(k->ch, false); /* nobody waits for a program any more */
    (void)nacre_channel_close(k->ch);
    if (k->work == NC_WORK_PROGRAM) {
        k->work = NC_WORK_OTHER;
    }
}

static void look_at_channels(nacre_server_conn *c, uint64_t now)
{
    uint32_t global_ms = c->timeouts.global_ms;
    uint64_t newest = 0;
    for (nc_chan *k = c->chans; k; k = k->next) {
        (void)has_moved(k, now);
        newest = k->moved_ms > newest ? k->moved_ms : newest;
    }
    bool all = global_ms > 0 && c->chans && now - newest >= global_ms;
    for (nc_chan *k = c->chans; k; k = k->next) {
        uint32_t ms = limit_of(k);
        if (all || (ms > 0 && now - k->moved_ms >= ms)) {
            close_idle(k);
        }
    }
}

static void on_timer(void *user)
{
    nacre_server_conn *c = user;
    nc_timeouts *t = &c->timeouts;
    uint64_t now = nacre_loop_now(c->server->loop);
    t->timer = 0;
    if (!c->chans && c->authenticated && t->unused_ms > 0 && now - t->unused_from >= t->unused_ms) {
        c->server->counts.ended_unused++;
        nacre_server_conn_disconnect(c, BY_APPLICATION, "the connection was not used");
        return;
    }
    look_at_channels(c, now);
    arm(c);
    nacre_driver_kick(c->driver);
}

/* ---- what others tell ------------------------------------------------------------------------------- */

void nc_timeouts_new_channel(nc_chan *k)
{
    const char *type = nacre_channel_type(k->ch);
    set_kind(k, type, nc_span(NULL, 0));
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        if (strcmp(type, kinds[i].type) == 0) {
            set_kind(k, kinds[i].kind, nc_span(NULL, 0));
        }
    }
    k->moved_ms = nacre_loop_now(k->conn->server->loop);
    arm_again(k->conn);
}

void nc_timeouts_kind(nc_chan *k, const char *what, nacre_span name)
{
    set_kind(k, what, name);
    k->moved_ms = nacre_loop_now(k->conn->server->loop); /* to ask for it is to use it */
    arm_again(k->conn);
}

void nc_timeouts_no_channel(nacre_server_conn *c)
{
    c->timeouts.unused_from = nacre_loop_now(c->server->loop);
    if (c->timeouts.unused_ms) {
        arm(c);
    }
}

void nc_timeouts_clear(nacre_server_conn *c)
{
    nc_timeouts *t = &c->timeouts;
    nacre_loop_cancel(c->server->loop, t->timer);
    t->timer = 0;
    for (size_t i = 0; i < t->count; i++) {
        nc_free(c->server->alloc, t->rows[i].pattern);
    }
    t->count = 0;
    t->global_ms = t->unused_ms = 0;
}

int nacre_server_conn_channel_timeout(nacre_server_conn *c, const char *pattern, uint32_t ms)
{
    nc_timeouts *t = &c->timeouts;
    if (!pattern || !*pattern) {
        return NACRE_INVALID_ARGUMENT;
    }
    if (strcmp(pattern, "global") == 0) {
        t->global_ms = ms;
        arm(c);
        return NACRE_OK;
    }
    if (t->count >= NC_MAX_TIMEOUTS) {
        return NACRE_LIMIT;
    }
    char *copy = nc_strdup(c->server->alloc, pattern);
    if (!copy) {
        return NACRE_NO_MEMORY;
    }
    t->rows[t->count].pattern = copy;
    t->rows[t->count++].ms = ms;
    arm(c);
    return NACRE_OK;
}

void nacre_server_conn_unused_timeout(nacre_server_conn *c, uint32_t ms)
{
    c->timeouts.unused_ms = ms;
    c->timeouts.unused_from = nacre_loop_now(c->server->loop);
    arm(c);
}
