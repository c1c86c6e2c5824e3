/*
 * An engine behind the key exchange, before or after login, in cleartext: the input is a row of the
 * peer's packets and of the application's own steps. The key exchange itself is left out (its state is
 * set by hand), because no mutation would ever get through it.
 */
#include <stdlib.h>
#include <string.h>

#include "engine/engine.h"
#include "fuzz.h"
#include "nacre/channel.h"
#include "transport/core_state.h"

enum { MAX_EVENTS = 10000, MAX_CHANNELS = 16, MAX_TICKETS = 16, MAX_PAYLOAD = 4096 };

typedef struct app {
    nacre_transport *t;
    nacre_channel *channels[MAX_CHANNELS];
    uint32_t tickets[MAX_TICKETS];
    size_t channel_count, ticket_count;
    uint64_t now;
    bool over;
} app;

static void add_channel(app *a, nacre_channel *ch)
{
    if (a->channel_count == MAX_CHANNELS) {
        nacre_channel_free(ch);
        return;
    }
    a->channels[a->channel_count++] = ch;
}

static void drop_channel(app *a, size_t i)
{
    nacre_channel_free(a->channels[i]);
    a->channels[i] = a->channels[--a->channel_count];
}

static void on_open(app *a, const nacre_event *ev)
{
    bool room = a->channel_count < MAX_CHANNELS;
    int rc =
        room ? nacre_transport_accept(a->t, ev->ticket) : nacre_transport_refuse(a->t, ev->ticket);
    if (room && rc == NACRE_OK) {
        add_channel(a, ev->channel);
    }
}

static const char host_key[] =
    "ssh-ed25519 "
    "AAAAC3NzaC1lZDI1NTE5AAAAINdamAGCsQq31Uv+08lkBzoO4XLz2qYjJa8CGmj3B1Ea";

/* A server's key whose private half is elsewhere, so that proofs of it are questions. */
static void add_host_key(nacre_transport *t)
{
    nacre_key *key = NULL;
    if (nacre_key_from_public_line(&key, NULL, nc_span(host_key, sizeof(host_key) - 1), NULL) !=
            NACRE_OK ||
        nacre_transport_add_host_key(t, key) != NACRE_OK) {
        abort();
    }
    nacre_key_free(key);
}

static void on_event(app *a, const nacre_event *ev)
{
    if (ev->type == NACRE_EVENT_HOST_KEYS) {
        (void)!nacre_transport_prove_host_keys(a->t, ev->u.host_keys.keys, ev->u.host_keys.count);
    }
    if (ev->type == NACRE_EVENT_CHANNEL_OPEN) {
        on_open(a, ev);
    } else if (ev->ticket && a->ticket_count < MAX_TICKETS) {
        a->tickets[a->ticket_count++] = ev->ticket;
    } else if (ev->ticket) {
        (void)nacre_transport_refuse(a->t, ev->ticket);
    }
    if (ev->type == NACRE_EVENT_CHANNEL_DATA && ev->u.data.bytes.n % 2) {
        (void)nacre_channel_consumed(ev->channel, ev->u.data.bytes.n);
    }
}

static void step(app *a)
{
    nacre_event ev;
    for (int i = 0; i < MAX_EVENTS; i++) {
        int rc = nacre_transport_next_event(a->t, &ev);
        if (rc != NACRE_OK) {
            a->over = rc != NACRE_AGAIN;
            return;
        }
        on_event(a, &ev);
    }
    abort(); /* events without end */
}

/* One packet of the peer, framed as it has to be. */
static void packet(app *a, nacre_span payload)
{
    uint8_t frame[MAX_PAYLOAD + 64];
    size_t padding = 4 + (8 - (5 + payload.n + 4) % 8) % 8;
    size_t n = 5 + payload.n + padding;
    memset(frame, 0, sizeof(frame));
    nc_put_u32(frame, (uint32_t)(n - 4));
    frame[4] = (uint8_t)padding;
    memcpy(frame + 5, payload.p, payload.n);
    for (size_t at = 0; at < n && !a->over;) {
        size_t room = 0;
        uint8_t *to = nacre_transport_recv_buffer(a->t, &room);
        if (!to) {
            return; /* full: it may be, while output is above its mark */
        }
        room = room < n - at ? room : n - at;
        memcpy(to, frame + at, room);
        at += room;
        if (nacre_transport_received(a->t, room) != NACRE_OK) {
            abort();
        }
        step(a);
    }
}

static void reserve(nacre_channel *ch, uint8_t arg)
{
    nacre_room rooms[4];
    size_t count = 4;
    if (nacre_channel_reserve(ch, arg & 1, (size_t)arg * 300, rooms, &count) != NACRE_OK) {
        return;
    }
    size_t n = 0;
    for (size_t i = 0; i < count; i++) {
        memset(rooms[i].p, 'r', rooms[i].n);
        n += rooms[i].n;
    }
    (void)!nacre_channel_commit(ch, arg & 2 ? n : n / 2);
}

static void on_channel(app *a, size_t i, uint8_t op, uint8_t arg)
{
    static const uint8_t data[1024];
    nacre_channel *ch = a->channels[i];
    nacre_channel_info info;
    size_t took = 0;
    switch (op % 8) {
    case 0:
        (void)!nacre_channel_write(ch, arg & 1, data, (size_t)arg * 4, &took);
        break;
    case 1:
        reserve(ch, arg);
        break;
    case 2:
        (void)!nacre_channel_eof(ch);
        break;
    case 3:
        (void)!nacre_channel_close(ch);
        break;
    case 4:
        drop_channel(a, i);
        break;
    case 5:
        nacre_channel_get_info(ch, &info);
        (void)nacre_channel_consumed(ch, (size_t)info.unconsumed);
        break;
    case 6:
        (void)!nacre_channel_request(ch, "exec", arg & 1, nc_span("\0\0\0\1x", 5));
        break;
    default:
        (void)!nacre_channel_exit_status(ch, arg);
        break;
    }
}

static void answer(app *a, uint8_t arg)
{
    if (a->ticket_count == 0) {
        return;
    }
    size_t i = arg % a->ticket_count;
    uint32_t ticket = a->tickets[i];
    const nacre_prompt prompt = {nc_span("?", 1), false};
    nacre_answer ans = {.accept = (arg & 0x40) != 0, .partial = (arg & 0x20) != 0};
    if (arg & 0x80) {
        ans.prompts = &prompt;
        ans.prompt_count = 1;
        ans.change_prompt = "new?";
        ans.signature = nc_span("\0\0\0\x0bssh-ed25519\0\0\0\x01s", 20);
    }
    if (nacre_transport_answer(a->t, ticket, &ans) != NACRE_OK) {
        (void)nacre_transport_refuse(a->t, ticket);
    }
    a->tickets[i] = a->tickets[--a->ticket_count];
}

static void act(app *a, uint8_t op, uint8_t arg)
{
    nacre_channel *ch = NULL;
    switch (op % 8) {
    case 0:
        if (nacre_channel_open_session(a->t, &ch) == NACRE_OK) {
            add_channel(a, ch);
        }
        break;
    case 1:
        (void)!nacre_global_request(a->t, "tcpip-forward", arg & 1, nc_span("x", 1));
        break;
    case 2:
        (void)!nacre_transport_rekey(a->t);
        break;
    case 3:
        a->now += (uint64_t)arg * 1000;
        nacre_transport_advance(a->t, a->now);
        break;
    case 4:
        nacre_transport_sent(a->t, nacre_transport_output(a->t).n);
        break;
    default:
        answer(a, arg);
        break;
    }
}

/* A key whose private half is nobody's: its owner is asked to sign, and may answer anything. */
static int begin_with_key(app *a, bool host)
{
    uint8_t blob[51] = "\0\0\0\x0bssh-ed25519\0\0\0\x20";
    nacre_key *key = NULL;
    memset(blob + 19, 0x58, 32);
    if (nacre_key_from_blob(&key, NULL, nc_span(blob, sizeof(blob)), NULL) != NACRE_OK) {
        abort();
    }
    int rc = host ? nacre_transport_auth_hostbased(a->t, "user", key, NULL, "host.", "me")
                  : nacre_transport_auth_publickey(a->t, "user", key, NULL);
    nacre_key_free(key);
    return rc;
}

static int begin_login(app *a, uint8_t flags)
{
    if (flags & 64) {
        return begin_with_key(a, flags & 128);
    }
    return flags & 32 ? nacre_transport_auth_interactive(a->t, "user", NULL)
                      : nacre_transport_auth_password(a->t, "user", nc_span("pw", 2));
}

/* As if keys had been exchanged and, when in, the user were logged in. */
static void skip_ahead(app *a, bool in)
{
    nc_core *c = a->t->core;
    nc_kex_clear(c);
    memset(c->session_id, 's', 32);
    c->link.session_id = nc_span(c->session_id, 32);
    c->link.host_key = nc_span("host key", 8);
    c->peer_version_known = true;
    c->strict_known = true;
    c->input_keyed = c->output_keyed = true;
    c->service_accepted = true;
    c->choice[0].cipher[0] = c->choice[0].cipher[1] = nc_cipher_algs[0];
    c->choice[1] = c->choice[0];
    nc_service s = nc_auth_service(a->t->auth);
    if (!in) {
        (void)!s.start(s.ctx);
        return;
    }
    if (c->link.ops->authenticated(&c->link, nc_span("user", 4)) != NACRE_OK) {
        abort();
    }
    c->success_queued = true;
    if (nc_core_start_connection(c) != NACRE_OK) {
        abort();
    }
}

static bool start(app *a, uint8_t flags, uint64_t *seed)
{
    nacre_config cfg;
    nacre_config_init(&cfg, flags & 1 ? NACRE_SERVER : NACRE_CLIENT);
    cfg.random = fuzz_random;
    cfg.random_user = seed;
    cfg.window = flags & 4 ? 5000 : 0;
    cfg.output_soft = flags & 8 ? 10000 : 0;
    cfg.output_hard = flags & 8 ? 20000 : 0;
    cfg.keepalive_ms = flags & 16 ? 5000 : 0;
    if (flags & 1) {
        cfg.auth_methods = "publickey,hostbased,password,keyboard-interactive";
    }
    if (nacre_transport_new(&a->t, &cfg, 0, NULL) != NACRE_OK) {
        return false;
    }
    if (cfg.role == NACRE_SERVER) {
        add_host_key(a->t);
    }
    if (cfg.role == NACRE_CLIENT && !(flags & 2)) {
        if (begin_login(a, flags) != NACRE_OK) {
            abort();
        }
    }
    a->t->core->started = true;
    skip_ahead(a, flags & 2);
    return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    nacre_span in = {data, size};
    uint8_t flags = fuzz_byte(&in);
    uint64_t seed = 1;
    app a;
    memset(&a, 0, sizeof(a));
    if (!start(&a, flags, &seed)) {
        return 0;
    }
    step(&a);
    while (in.n && !a.over) {
        uint8_t op = fuzz_byte(&in);
        uint8_t arg = fuzz_byte(&in);
        if (op < 0x80) {
            nacre_span payload = fuzz_take(&in, (size_t)(op & 0x0F) * 256 + arg);
            if (payload.n && payload.n <= MAX_PAYLOAD) {
                packet(&a, payload);
            }
        } else if (op < 0xC0 && a.channel_count) {
            on_channel(&a, arg % a.channel_count, op, arg);
        } else {
            act(&a, op, arg);
        }
        if (!a.over) {
            step(&a);
        }
    }
    nacre_transport_free(a.t);
    return 0;
}
