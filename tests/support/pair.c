#include "pair.h"

#include <stdlib.h>
#include <string.h>

enum { MAX_ROUNDS = 400000, CHUNK = 32768, MAX_BYTES_A_ROUND = 64 };

uint64_t pair_random(uint64_t *state)
{
    /* splitmix64: any seed will do */
    uint64_t z = (*state += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

static int seeded(void *user, uint8_t *out, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        out[i] = (uint8_t)pair_random(user);
    }
    return 0;
}

/* ---- keys ----------------------------------------------------------------------------------------- */

static struct {
    const char *type;
    uint32_t bits;
    nacre_key *key;
} keys[8];

nacre_key *pair_key(const char *type, uint32_t bits)
{
    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
        if (keys[i].key && strcmp(keys[i].type, type) == 0 && keys[i].bits == bits) {
            return keys[i].key;
        }
        if (!keys[i].key) {
            nacre_error why;
            if (nacre_key_generate(&keys[i].key, NULL, type, bits, &why) != NACRE_OK) {
                abort();
            }
            keys[i].type = type;
            keys[i].bits = bits;
            return keys[i].key;
        }
    }
    abort();
}

void pair_keys_free(void)
{
    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
        nacre_key_free(keys[i].key);
        keys[i].key = NULL;
    }
}

/* ---- life ----------------------------------------------------------------------------------------- */

void pair_init(pair *p, uint64_t seed)
{
    memset(p, 0, sizeof(*p));
    p->rng = seed;
    p->now = 1000;
    p->channels = 1;
    p->bytes = 1000;
    for (int who = 0; who < 2; who++) {
        nacre_config *c = &p->config[who];
        nacre_config_init(c, (nacre_role)who);
        p->end[who].rng = seed * 2 + (uint64_t)who + 1;
        c->random = seeded;
        c->random_user = &p->end[who].rng;
        p->end[who].status = NACRE_AGAIN;
    }
}

int pair_start(pair *p, nacre_key *host_key)
{
    nacre_error why;
    for (int who = 0; who < 2; who++) {
        pair_end *e = &p->end[who];
        int rc = nacre_transport_new(&e->t, &p->config[who], p->now, &why);
        if (rc != NACRE_OK) {
            return rc;
        }
        e->core = e->t->core;
    }
    int rc = nacre_transport_add_host_key(p->end[NACRE_SERVER].t,
                                          host_key ? host_key : pair_key("ed25519", 0));
    if (rc == NACRE_OK && !p->no_login) {
        rc = nacre_transport_auth_password(p->end[NACRE_CLIENT].t, "alice",
                                           nc_span_cstr("open sesame"));
    }
    return rc;
}

void pair_free(pair *p)
{
    for (int who = 0; who < 2; who++) {
        nacre_transport_free(p->end[who].t);
        p->end[who].t = NULL;
        p->end[who].core = NULL;
    }
    for (size_t i = 0; i < PAIR_CHANNELS; i++) {
        free(p->server[i].backlog);
    }
}

/* ---- echo ----------------------------------------------------------------------------------------- */

static uint8_t pattern(size_t channel, size_t at)
{
    return (uint8_t)(at * 31 + (at >> 8) * 7 + (at >> 16) + channel);
}

static void open_channels(pair *p)
{
    for (size_t i = 0; i < p->channels && !p->no_channels; i++) {
        pair_echo *e = &p->client[i];
        if (nacre_channel_open_session(p->end[NACRE_CLIENT].t, &e->ch) == NACRE_OK) {
            nacre_channel_set_user(e->ch, e);
        } else {
            e->ch = NULL;
            p->refused++;
        }
    }
}

static void client_write(pair *p, pair_echo *e)
{
    uint8_t chunk[CHUNK];
    while (e->open && e->sent < p->bytes) {
        size_t n = p->bytes - e->sent < CHUNK ? p->bytes - e->sent : CHUNK;
        size_t took = 0;
        for (size_t i = 0; i < n; i++) {
            chunk[i] = pattern((size_t)(e - p->client), e->sent + i);
        }
        int rc = nacre_channel_write(e->ch, NACRE_STDOUT, chunk, n, &took);
        p->refused += rc == NACRE_OK ? 0 : 1;
        if (rc != NACRE_OK || took == 0) {
            return;
        }
        e->sent += took;
    }
    if (e->open && !e->eof) {
        e->eof = nacre_channel_eof(e->ch) == NACRE_OK;
        p->refused += e->eof ? 0 : 1;
    }
}

static void client_data(pair *p, const nacre_event *ev)
{
    pair_echo *e = nacre_channel_user(ev->channel);
    nacre_span s = ev->u.data.bytes;
    for (size_t i = 0; i < s.n; i++) {
        p->mismatch = p->mismatch || s.p[i] != pattern((size_t)(e - p->client), e->received + i);
    }
    e->received += s.n;
    (void)nacre_channel_consumed(ev->channel, s.n);
}

static void server_write(pair *p, pair_echo *e)
{
    size_t took = 0;
    if (e->backlog_n > 0) {
        if (nacre_channel_write(e->ch, NACRE_STDOUT, e->backlog, e->backlog_n, &took) != NACRE_OK) {
            return;
        }
        memmove(e->backlog, e->backlog + took, e->backlog_n - took);
        e->backlog_n -= took;
        (void)nacre_channel_consumed(e->ch, took);
    }
    if (e->backlog_n == 0 && e->eof_wanted && !e->eof) {
        e->eof = nacre_channel_eof(e->ch) == NACRE_OK && nacre_channel_close(e->ch) == NACRE_OK;
        p->refused += e->eof ? 0 : 1;
    }
}

static void server_data(pair *p, const nacre_event *ev)
{
    pair_echo *e = nacre_channel_user(ev->channel);
    nacre_span s = ev->u.data.bytes;
    if (e->backlog_n + s.n > e->backlog_cap) {
        e->backlog_cap = (e->backlog_n + s.n) * 2;
        e->backlog = realloc(e->backlog, e->backlog_cap);
        if (!e->backlog) {
            abort();
        }
    }
    memcpy(e->backlog + e->backlog_n, s.p, s.n);
    e->backlog_n += s.n;
    server_write(p, e);
}

/* ---- policy ---------------------------------------------------------------------------------------- */

static void on_channel(pair *p, int who, const nacre_event *ev)
{
    pair_echo *e = nacre_channel_user(ev->channel);
    switch (ev->type) {
    case NACRE_EVENT_CHANNEL_OPENED:
        e->open = true;
        client_write(p, e);
        break;
    case NACRE_EVENT_CHANNEL_DATA:
        if (who == NACRE_CLIENT) {
            client_data(p, ev);
        } else {
            server_data(p, ev);
        }
        break;
    case NACRE_EVENT_CHANNEL_WRITABLE:
        if (who == NACRE_CLIENT) {
            client_write(p, e);
        } else {
            server_write(p, e);
        }
        break;
    case NACRE_EVENT_CHANNEL_EOF:
        if (who == NACRE_SERVER) {
            e->eof_wanted = true;
            server_write(p, e);
        }
        break;
    case NACRE_EVENT_CHANNEL_CLOSED:
        e->closed = true;
        break;
    default:
        break;
    }
}

static bool answer(pair *p, nacre_transport *t, uint32_t ticket, bool yes)
{
    int rc = yes ? nacre_transport_accept(t, ticket) : nacre_transport_refuse(t, ticket);
    p->refused += rc == NACRE_OK ? 0 : 1;
    return rc == NACRE_OK;
}

static void on_event(pair *p, int who, const nacre_event *ev)
{
    nacre_transport *t = p->end[who].t;
    if ((int)ev->type < (int)PAIR_EVENT_TYPES) {
        p->end[who].seen[ev->type]++;
    }
    if (p->hook && p->hook(p, who, ev)) {
        return;
    }
    switch (ev->type) {
    case NACRE_EVENT_HOST_KEY:
        (void)answer(p, t, ev->ticket, !p->refuse_host_key);
        break;
    case NACRE_EVENT_AUTH_RESULT:
        if (ev->u.auth_result.status == NACRE_OK) {
            open_channels(p);
        }
        break;
    case NACRE_EVENT_CHANNEL_OPEN:
        if (p->opened < PAIR_CHANNELS && answer(p, t, ev->ticket, true)) {
            p->server[p->opened].ch = ev->channel;
            nacre_channel_set_user(ev->channel, &p->server[p->opened]);
            p->opened++;
        }
        break;
    default:
        if (ev->channel) {
            on_channel(p, who, ev);
        } else if (ev->ticket) {
            (void)answer(p, t, ev->ticket, true);
        }
        break;
    }
}

/* ---- pump ------------------------------------------------------------------------------------------ */

bool pair_step(pair *p, int who)
{
    nacre_event ev;
    bool moved = false;
    int rc;
    while ((rc = nacre_transport_next_event(p->end[who].t, &ev)) == NACRE_OK) {
        on_event(p, who, &ev);
        moved = true;
    }
    p->end[who].status = rc;
    return moved;
}

static void make_noise(pair *p, int who)
{
    nacre_transport *t = p->end[who].t;
    if (!p->noise || !nacre_transport_authenticated(t)) {
        return;
    }
    switch (pair_random(&p->rng) % 6) {
    case 0:
        (void)nacre_transport_send_ignore(t, nc_span("noise", 5));
        break;
    case 1:
        (void)nacre_transport_send_debug(t, false, "noise");
        break;
    case 2:
        (void)nacre_transport_ping(t, nc_span("are you there", 13));
        break;
    default:
        break;
    }
}

static size_t how_much(pair *p, size_t n)
{
    if (p->cut == PAIR_WHOLE) {
        return n;
    }
    size_t most = p->cut == PAIR_BYTES ? 1 : 1 + (size_t)(pair_random(&p->rng) % 2000);
    return n < most ? n : most;
}

static bool carry_once(pair *p, int from)
{
    pair_end *e = &p->end[from];
    nacre_span out = nacre_transport_output(e->t);
    size_t room = 0;
    if (out.n == 0 || p->stalled[from]) {
        return false;
    }
    uint8_t *to = NULL;
    bool broken = p->cut_after[from] && e->sent >= p->cut_after[from];
    bool gone = broken || p->frozen[from] ||
                (nacre_transport_wants(p->end[1 - from].t) & NACRE_CLOSED_FLAG);
    if (!gone) {
        to = nacre_transport_recv_buffer(p->end[1 - from].t, &room);
        if (!to) {
            return false;
        }
    }
    size_t n = how_much(p, gone || out.n < room ? out.n : room);
    if (p->cut_after[from] && !broken && n > p->cut_after[from] - e->sent) {
        n = (size_t)(p->cut_after[from] - e->sent);
    }
    for (size_t i = 0; i < n; i++) {
        e->digest = (e->digest ^ out.p[i]) * 1099511628211u;
    }
    if (to) {
        memcpy(to, out.p, n);
        if (p->wire) {
            p->wire(p, from, to, n);
        }
        (void)nacre_transport_received(p->end[1 - from].t, n);
    }
    nacre_transport_sent(e->t, n);
    e->sent += n;
    return true;
}

static bool carry(pair *p, int from)
{
    bool moved = carry_once(p, from);
    bool closed = (nacre_transport_wants(p->end[from].t) & NACRE_CLOSED_FLAG) != 0;
    bool broken = p->cut_after[from] && p->end[from].sent >= p->cut_after[from];
    if (broken) {
        (void)nacre_transport_received(p->end[1 - from].t, 0);
    }
    if (closed && !p->lossy_close && nacre_transport_output(p->end[from].t).n == 0) {
        (void)nacre_transport_received(p->end[1 - from].t, 0);
    }
    return moved;
}

bool pair_round(pair *p)
{
    bool moved = false;
    for (int who = 0; who < 2; who++) {
        moved = pair_step(p, who) || moved;
        if (moved) {
            make_noise(p, who);
        }
    }
    if (p->round) {
        p->round(p);
    }
    for (int who = 0; who < 2; who++) {
        moved = carry(p, who) || moved;
    }
    return moved;
}

void pair_run(pair *p)
{
    for (int i = 0; i < MAX_ROUNDS && pair_round(p); i++) {
    }
    /* What the last bytes led to. */
    (void)pair_step(p, 0);
    (void)pair_step(p, 1);
}

bool pair_echo_done(const pair *p)
{
    bool done = !p->mismatch && p->opened == p->channels;
    for (size_t i = 0; i < p->channels; i++) {
        const pair_echo *e = &p->client[i];
        done = done && e->closed && e->received == p->bytes && p->server[i].closed;
    }
    return done;
}

void pair_advance(pair *p, uint64_t ms)
{
    p->now += ms;
    for (int who = 0; who < 2; who++) {
        nacre_transport_advance(p->end[who].t, p->now);
    }
}

void pair_inject(pair *p, int who, const void *payload, size_t n)
{
    nc_core *c = p->end[who].core;
    nc_wr *w = nc_packetizer_begin(c->packetizer, n);
    nc_wr_bytes(w, nc_span(payload, n));
    if (nc_packetizer_end(c->packetizer) != NACRE_OK) {
        abort();
    }
}
