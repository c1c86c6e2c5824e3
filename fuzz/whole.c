/*
 * A whole engine on null cryptography (null_crypto.c), from its version line or from behind a login: four targets,
 * by role (FUZZ_ROLE) and by where they begin (FUZZ_LOGGED_IN). The input says what the peer says, what the
 * application does and answers, and which allocation fails.
 *
 *   flags, flags, failing allocation (uint16), seed
 *   then records:  00..3F: a packet of (op & 0F) * 256 + arg payload bytes, framed as it has to be
 *                  40..7F: so many bytes as they are (the version line)
 *                  80..FF: the application acts (app.h)
 */
#include <stdlib.h>
#include <string.h>

#include "app.h"
#include "fuzz.h"
#include "mutator.h"
#include "support/memory.h"
#include "transport/core_state.h"

#ifndef FUZZ_ROLE
#define FUZZ_ROLE 0
#endif
#ifndef FUZZ_LOGGED_IN
#define FUZZ_LOGGED_IN 0
#endif

const fuzz_shape fuzz_input_shape = {FUZZ_RECORDS, 5};

enum {
    COMPRESSION = 1,
    INTERACTIVE = 2,
    SMALL_WINDOW = 4,
    SMALL_MARKS = 8,
    KEEPALIVE = 16,
    STRICT_LOGIN = 32, /* client: no_trivial_auth; server: two methods */
    USER_KEY = 64,     /* client: log in by key; server: a host key elsewhere */
    HOST_BASED = 128,
    MAX_ROUNDS = 1000,
    /* No conversation of these lengths has a use for more, however it is put. */
    MOST_MEMORY = 24 * 1024 * 1024
};

typedef struct whole {
    fuzz_app app;
    nacre_transport *peer; /* when logged in: whoever played the other end until then */
    nc_packetizer *framer; /* of the peer's packets: the peer's own, or one that knows no keys */
} whole;

/* The key of RFC 8032 7.1, test 1: as good as any here. */
static nacre_key *own_key(void)
{
    static nacre_key *key;
    static const char text[] =
        "-----BEGIN OPENSSH PRIVATE KEY-----\n"
        "b3BlbnNzaC1rZXktdjEAAAAABG5vbmUAAAAEbm9uZQAAAAAAAAABAAAAMwAAAAtzc2gtZW\n"
        "QyNTUxOQAAACDXWpgBgrEKt9VL/tPJZAc6DuFy89qmIyWvAhpo9wdRGgAAAIgAAAABAAAA\n"
        "AQAAAAtzc2gtZWQyNTUxOQAAACDXWpgBgrEKt9VL/tPJZAc6DuFy89qmIyWvAhpo9wdRGg\n"
        "AAAECdYbGd7/1aYLqESvSS7CzEREnFaXsyaRlwO6wDHK5/YNdamAGCsQq31Uv+08lkBzoO\n"
        "4XLz2qYjJa8CGmj3B1EaAAAAAAECAwQF\n"
        "-----END OPENSSH PRIVATE KEY-----\n";
    if (!key && nacre_key_from_private(&key, NULL, nc_span(text, sizeof(text) - 1), nc_span("", 0),
                                       NULL) != NACRE_OK) {
        abort();
    }
    return key;
}

static void configure(nacre_config *cfg, nacre_role role, uint8_t flags, uint64_t *seed)
{
    nacre_config_init(cfg, role);
    cfg->random = fuzz_random;
    cfg->random_user = seed;
    cfg->window = flags & SMALL_WINDOW ? 5000 : 0;
    cfg->output_soft = flags & SMALL_MARKS ? 10000 : 0;
    cfg->output_hard = flags & SMALL_MARKS ? 20000 : 0;
    cfg->keepalive_ms = flags & KEEPALIVE ? 5000 : 0;
    cfg->no_trivial_auth = flags & STRICT_LOGIN;
    if (role == NACRE_SERVER) {
        cfg->auth_methods = "publickey,hostbased,password,keyboard-interactive,none";
    }
    cfg->compression_c2s = cfg->compression_s2c =
        flags & COMPRESSION ? "zlib@openssh.com" : "none,zlib@openssh.com";
}

static int log_in(nacre_transport *t, uint8_t flags)
{
    nacre_key *key = fuzz_app_public_key();
    if (flags & USER_KEY && flags & HOST_BASED) {
        return nacre_transport_auth_hostbased(t, "user", key, NULL, "host.", "me");
    }
    if (flags & USER_KEY) {
        return nacre_transport_auth_publickey(t, "user", key, NULL);
    }
    return flags & INTERACTIVE ? nacre_transport_auth_interactive(t, "user", NULL)
                               : nacre_transport_auth_password(t, "user", nc_span("pw", 2));
}

/* An engine that has begun; NULL when memory ran out. */
static nacre_transport *begin(const nacre_config *cfg, uint8_t flags, bool logging_in)
{
    nacre_transport *t = NULL;
    int rc = nacre_transport_new(&t, cfg, 0, NULL);
    if (rc == NACRE_OK && cfg->role == NACRE_SERVER) {
        bool elsewhere = flags & USER_KEY && logging_in;
        rc = nacre_transport_add_host_key(t, elsewhere ? fuzz_app_public_key() : own_key());
    } else if (rc == NACRE_OK) {
        rc = logging_in ? log_in(t, flags)
                        : nacre_transport_auth_password(t, "user", nc_span("pw", 2));
    }
    if (rc != NACRE_OK) {
        nacre_transport_free(t);
        return NULL;
    }
    return t;
}

/* ---- behind a login -------------------------------------------------------------------------------- */

static void accept_all(nacre_transport *t)
{
    nacre_event ev;
    while (nacre_transport_next_event(t, &ev) == NACRE_OK) {
        if (ev.ticket) {
            (void)nacre_transport_accept(t, ev.ticket);
        }
    }
}

static bool carry(nacre_transport *from, nacre_transport *to)
{
    nacre_span out = nacre_transport_output(from);
    size_t room = 0;
    uint8_t *p = nacre_transport_recv_buffer(to, &room);
    size_t n = out.n < room ? out.n : room;
    if (p && n) {
        memcpy(p, out.p, n);
        (void)nacre_transport_received(to, n);
        nacre_transport_sent(from, n);
    }
    return p && n;
}

/* Both ends talk to each other until the user is in; then the input takes the peer's place. */
static bool talk_until_in(whole *w)
{
    bool moved = true;
    for (int i = 0; i < MAX_ROUNDS && moved; i++) {
        accept_all(w->app.t);
        accept_all(w->peer);
        moved = carry(w->app.t, w->peer);
        moved = carry(w->peer, w->app.t) || moved;
    }
    accept_all(w->app.t);
    w->app.host_taken = w->app.let_in = true;
    return nacre_transport_authenticated(w->app.t) && nacre_transport_authenticated(w->peer);
}

static bool set_up(whole *w, const nacre_config *cfg, uint8_t flags, uint64_t *peer_seed)
{
    const nc_random random = {fuzz_random, peer_seed};
    w->app.server = FUZZ_ROLE;
    w->app.t = begin(cfg, flags, !FUZZ_LOGGED_IN);
    if (!w->app.t) {
        return false;
    }
    if (!FUZZ_LOGGED_IN) {
        if (nc_packetizer_new(&w->framer, NULL, &random, NULL) != NACRE_OK) {
            abort();
        }
        return true;
    }
    nacre_config other;
    configure(&other, (nacre_role)!FUZZ_ROLE, flags, peer_seed);
    other.no_trivial_auth = false;
    w->peer = begin(&other, flags, false);
    if (!w->peer || !talk_until_in(w)) {
        abort();
    }
    w->framer = w->peer->core->packetizer;
    return true;
}

static void tear_down(whole *w)
{
    if (!w->peer) {
        nc_packetizer_free(w->framer);
    }
    nacre_transport_free(w->peer);
    nacre_transport_free(w->app.t);
}

/* ---- records --------------------------------------------------------------------------------------- */

static void packet(whole *w, nacre_span payload)
{
    nc_wr *wr = nc_packetizer_begin(w->framer, payload.n);
    nc_wr_bytes(wr, payload);
    if (nc_packetizer_end(w->framer) != NACRE_OK) {
        abort();
    }
    nacre_span out = nc_packetizer_output(w->framer);
    (void)fuzz_app_receive(&w->app, out);
    nc_packetizer_sent(w->framer, out.n);
}

static void play(whole *w, nacre_span in)
{
    fuzz_app_step(&w->app);
    while (in.n && !w->app.over) {
        uint8_t op = fuzz_byte(&in);
        uint8_t arg = fuzz_byte(&in);
        if (op >= 0x80) {
            fuzz_app_act(&w->app, op, arg);
            fuzz_app_step(&w->app);
            continue;
        }
        nacre_span bytes = fuzz_take(&in, (size_t)(op & 0x0F) * 256 + arg);
        if (op >= 0x40) {
            (void)fuzz_app_receive(&w->app, bytes);
        } else if (bytes.n) {
            packet(w, bytes);
        }
    }
}

/* The peer is gone and nobody answers any more: that is the end, and soon. */
static void end(whole *w)
{
    for (int i = 0; i < MAX_ROUNDS && !w->app.over; i++) {
        fuzz_app_refuse_all(&w->app);
        nacre_transport_sent(w->app.t, nacre_transport_output(w->app.t).n);
        if (nacre_transport_received(w->app.t, 0) != NACRE_OK) {
            w->app.over = true;
            return;
        }
        fuzz_app_step(&w->app);
    }
    if (!w->app.over) {
        abort(); /* it goes on alone */
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    nacre_span in = {data, size};
    uint8_t flags = fuzz_byte(&in);
    uint8_t more = fuzz_byte(&in);
    unsigned long failing = fuzz_byte(&in);
    failing = failing << 8 | fuzz_byte(&in);
    uint64_t seed = 1 + (uint64_t)fuzz_byte(&in);
    uint64_t peer_seed = 1000;
    test_memory memory;
    nacre_config cfg;
    whole w;
    memset(&w, 0, sizeof(w));
    test_memory_init(&memory);
    configure(&cfg, (nacre_role)FUZZ_ROLE, flags, &seed);
    cfg.allocator = &memory.hooks;
    cfg.untouched_keys = more & 1;
    cfg.unbound_keys = more & 2;
    cfg.max_channels = more & 4 ? 2 : 0;
    cfg.rekey_packets = more & 8 ? 20 : 0;
    if (!FUZZ_LOGGED_IN) {
        test_memory_fail(&memory, failing);
    }
    if (set_up(&w, &cfg, flags, &peer_seed)) {
        if (FUZZ_LOGGED_IN) {
            test_memory_fail(&memory, failing);
        }
        play(&w, in);
        end(&w);
        tear_down(&w);
    }
    if (memory.live || memory.most > MOST_MEMORY) {
        abort(); /* a leak, or a peer's word turned into memory */
    }
    return 0;
}
