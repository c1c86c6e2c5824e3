/*
 * peer.c - a client or server that fuzzes another implementation over a socket: nacre's engine with real
 * cryptography, and the mutator in front of its encryption. See docs/fuzzing.md.
 */
#include <errno.h>
#include <getopt.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "mutator.h"
#include "nacre/channel.h"
#include "nacre/net.h"
#include "transport/packetizer_impl.h"

enum { PAYLOAD_MAX = 32 * 1024, LEAVE_MAX = 40, SLICE_MS = 20 };

typedef struct options {
    bool server;
    const char *host, *user, *password;
    uint16_t port;
    nacre_key *key;
    unsigned long runs, timeout_ms, silence_ms, rate;
    uint64_t seed;
    bool verbose;
} options;

/* Sessions that this client opened, and that are over; a well-behaved one leaves with the last. */
static size_t sessions, over;
static uint64_t heard_ms; /* when the peer last said something; 0: never yet */

/* What the mutator does to the packets of this run. */
static struct {
    bool on;
    uint64_t seed;
    unsigned long rate, leave, sent, changed;
} mischief;

static unsigned pick(unsigned below)
{
    uint8_t b[4];
    fuzz_random(&mischief.seed, b, sizeof(b));
    return below ? nc_get_u32(b) % below : 0;
}

/* ---- between the engine and its encryption ---------------------------------------------------------- */

int __real_nc_packetizer_end(nc_packetizer *p);
int __wrap_nc_packetizer_end(nc_packetizer *p);

/* Puts other bytes in the place of the payload that was written. */
static void rewrite(nc_packetizer *p, const uint8_t *payload, size_t n)
{
    nc_buf *b = p->out.zlib ? &p->out_plain : &p->out_queue.buf;
    nc_buf_truncate(b, p->out.zlib ? 0 : p->out_start + HEADER_BYTES);
    nc_wr_bytes(&p->out_wr, nc_span(payload, n));
}

static void change(nc_packetizer *p)
{
    static uint8_t payload[PAYLOAD_MAX];
    const nc_buf *b = p->out.zlib ? &p->out_plain : &p->out_queue.buf;
    size_t at = p->out.zlib ? 0 : p->out_start + HEADER_BYTES;
    size_t n = b->len > at ? b->len - at : 0;
    if (n == 0 || n > sizeof(payload)) {
        return;
    }
    memcpy(payload, b->data + at, n);
    n = fuzz_mutate_payload(payload, n, sizeof(payload), &mischief.seed);
    if (n) {
        rewrite(p, payload, n);
        mischief.changed++;
    }
}

static int add_another(nc_packetizer *p)
{
    static uint8_t payload[PAYLOAD_MAX];
    size_t n = fuzz_invent_payload(payload, sizeof(payload), &mischief.seed);
    if (n == 0) {
        return NACRE_OK;
    }
    mischief.changed++;
    nc_wr_bytes(nc_packetizer_begin(p, n), nc_span(payload, n));
    return __real_nc_packetizer_end(p);
}

int __wrap_nc_packetizer_end(nc_packetizer *p)
{
    bool due = mischief.on && mischief.sent++ >= mischief.leave && pick(1000) < mischief.rate;
    if (!due) {
        return __real_nc_packetizer_end(p);
    }
    switch (pick(8)) {
    case 0: /* one is left out */
        mischief.changed++;
        nc_packetizer_abandon(p);
        return NACRE_OK;
    case 1: { /* one more */
        int rc = __real_nc_packetizer_end(p);
        return rc == NACRE_OK ? add_another(p) : rc;
    }
    default:
        change(p);
        return __real_nc_packetizer_end(p);
    }
}

/* ---- the conversation ------------------------------------------------------------------------------- */

static void ask_for_things(nacre_channel *ch)
{
    const nacre_pty pty = {.term = nc_span("xterm", 5), .columns = 80, .rows = 24};
    static const uint8_t init[] = {0, 0, 0, 5, 1, 0, 0, 0, 3};
    size_t took;
    switch (pick(3)) {
    case 0:
        (void)!nacre_channel_pty(ch, &pty, true);
        (void)!nacre_channel_env(ch, "LANG", "C", true);
        (void)!nacre_channel_exec(ch, nc_span("true", 4), true);
        break;
    case 1:
        (void)!nacre_channel_subsystem(ch, "sftp", true);
        (void)!nacre_channel_write(ch, NACRE_STDOUT, init, sizeof(init), &took);
        break;
    default:
        (void)!nacre_channel_exec(ch, nc_span("cat", 3), true);
        (void)!nacre_channel_write(ch, NACRE_STDOUT, "hello\n", 6, &took);
        (void)!nacre_channel_window_change(ch, &pty);
        (void)!nacre_channel_signal(ch, "TERM");
        break;
    }
    (void)!nacre_channel_eof(ch);
}

static void client_event(const options *o, nacre_transport *t, const nacre_event *ev)
{
    nacre_channel *ch = NULL;
    if (ev->type == NACRE_EVENT_AUTH_RESULT) {
        if (ev->u.auth_result.status != NACRE_OK) {
            (void)!nacre_transport_auth_none(t, o->user);
            return;
        }
        for (unsigned i = 1 + pick(3); i; i--) {
            sessions += nacre_channel_open_session(t, &ch) == NACRE_OK;
        }
        (void)!nacre_global_request(t, "tcpip-forward", true,
                                    nc_span("\0\0\0\x09"
                                            "localhost\0\0\0\0",
                                            17));
        (void)!nacre_transport_ping(t, nc_span("there?", 6));
    } else if (ev->type == NACRE_EVENT_CHANNEL_OPENED) {
        ask_for_things(ev->channel);
    } else if (ev->type == NACRE_EVENT_CHANNEL_FAILED || ev->type == NACRE_EVENT_CHANNEL_CLOSED) {
        over++;
        if (ev->type == NACRE_EVENT_CHANNEL_CLOSED && pick(2)) {
            (void)!nacre_transport_rekey(t);
        }
    }
}

static void server_event(const nacre_event *ev)
{
    size_t took;
    if (ev->type == NACRE_EVENT_CHANNEL_DATA) {
        (void)!nacre_channel_write(ev->channel, NACRE_STDOUT, ev->u.data.bytes.p,
                                   ev->u.data.bytes.n, &took);
    } else if (ev->type == NACRE_EVENT_CHANNEL_EOF) {
        (void)!nacre_channel_write(ev->channel, NACRE_STDERR, "bye\n", 4, &took);
        (void)!nacre_channel_exit_status(ev->channel, 0);
        (void)!nacre_channel_close(ev->channel);
    }
}

static int take_events(const options *o, nacre_transport *t)
{
    nacre_event ev;
    int rc;
    while ((rc = nacre_transport_next_event(t, &ev)) == NACRE_OK) {
        if (ev.ticket) {
            (void)nacre_transport_accept(t, ev.ticket);
        }
        if (o->server) {
            server_event(&ev);
        } else {
            client_event(o, t, &ev);
        }
        if (ev.type == NACRE_EVENT_CHANNEL_DATA) {
            (void)nacre_channel_consumed(ev.channel, ev.u.data.bytes.n);
        }
    }
    return rc;
}

/* ---- the socket ------------------------------------------------------------------------------------- */

static uint64_t now_ms(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

/* False: the connection is gone. */
static bool move_bytes(nacre_transport *t, int fd)
{
    nacre_span out = nacre_transport_output(t);
    struct pollfd p = {fd, (short)(POLLIN | (out.n ? POLLOUT : 0)), 0};
    (void)poll(&p, 1, SLICE_MS);
    if (out.n && p.revents & POLLOUT) {
        ssize_t n = send(fd, out.p, out.n, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n < 0 && errno != EAGAIN && errno != EINTR) {
            return false;
        }
        nacre_transport_sent(t, n > 0 ? (size_t)n : 0);
    }
    if (p.revents & (POLLIN | POLLHUP | POLLERR)) {
        size_t room = 0;
        uint8_t *to = nacre_transport_recv_buffer(t, &room);
        ssize_t n = to ? recv(fd, to, room, MSG_DONTWAIT) : -1;
        if (to && (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))) {
            return false;
        }
        if (n > 0) {
            heard_ms = now_ms();
            (void)nacre_transport_received(t, (size_t)n);
        }
    }
    return true;
}

static int begin(const options *o, nacre_transport **t)
{
    nacre_config cfg;
    nacre_error why;
    nacre_config_init(&cfg, o->server ? NACRE_SERVER : NACRE_CLIENT);
    if (o->server) {
        cfg.auth_methods = "none,publickey,password,keyboard-interactive";
    }
    int rc = nacre_transport_new(t, &cfg, now_ms(), &why);
    if (rc == NACRE_OK && o->server) {
        rc = nacre_transport_add_host_key(*t, o->key);
    } else if (rc == NACRE_OK && o->key) {
        rc = nacre_transport_auth_publickey(*t, o->user, o->key, NULL);
    } else if (rc == NACRE_OK) {
        rc = nacre_transport_auth_password(*t, o->user, nc_span_cstr(o->password));
    }
    return rc;
}

/* Both have said what they had to say, or one of them does not come back. */
static bool at_end(const options *o, uint64_t since)
{
    uint64_t now = now_ms();
    bool done = o->rate == 0 && sessions > 0 && over >= sessions;
    return done || now >= since + o->timeout_ms || (heard_ms && now >= heard_ms + o->silence_ms);
}

/* One connection; what became of it is said in one line. */
static void converse(const options *o, int fd, uint64_t seed)
{
    nacre_transport *t = NULL;
    mischief.on = o->rate > 0;
    mischief.seed = seed * 0x9e3779b97f4a7c15u + 1;
    mischief.rate = o->rate;
    mischief.sent = mischief.changed = 0;
    mischief.leave = pick(LEAVE_MAX);
    sessions = over = 0;
    heard_ms = 0;
    if (begin(o, &t) == NACRE_OK) {
        uint64_t since = now_ms();
        while (take_events(o, t) == NACRE_AGAIN && !at_end(o, since) && move_bytes(t, fd)) {
            nacre_transport_advance(t, now_ms());
        }
        char text[sizeof(((nacre_error *)0)->text)];
        snprintf(text, sizeof(text), "%s", nacre_transport_error(t)->text);
        printf("seed %llu: %lu of %lu packets changed, %s%s%s\n", (unsigned long long)seed,
               mischief.changed, mischief.sent,
               nacre_transport_authenticated(t) ? "logged in" : "not logged in",
               o->verbose && text[0] ? ": " : "", o->verbose ? text : "");
    }
    mischief.on = false;
    nacre_transport_free(t);
    close(fd);
}

/* ---- the program ------------------------------------------------------------------------------------ */

static int as_client(const options *o)
{
    nacre_error why;
    for (unsigned long i = 0; i <= o->runs; i++) {
        int fd = -1;
        if (nacre_net_connect(o->host, o->port, NULL, &fd, &why) != NACRE_OK) {
            fprintf(stderr, "after seed %llu: %s\n", (unsigned long long)(o->seed + i - 1),
                    why.text);
            return 1;
        }
        if (i < o->runs) {
            converse(o, fd, o->seed + i);
        } else {
            close(fd); /* it still takes connections */
        }
    }
    return 0;
}

static int as_server(const options *o)
{
    nacre_error why;
    int listening = -1;
    uint16_t port = 0;
    if (nacre_net_listen("127.0.0.1", o->port, 0, 16, &listening, &port, &why) != NACRE_OK) {
        fprintf(stderr, "%s\n", why.text);
        return 1;
    }
    printf("port %u\n", port);
    fflush(stdout);
    for (unsigned long i = 0; i < o->runs; i++) {
        struct pollfd p = {listening, POLLIN, 0};
        int fd = -1;
        while (poll(&p, 1, -1) < 0 || nacre_net_accept(listening, &fd, &why) != NACRE_OK) {
        }
        converse(o, fd, o->seed + i);
    }
    close(listening);
    return 0;
}

static int usage(void)
{
    fputs("usage: fuzz_peer client HOST:PORT --user NAME [--key FILE | --password TEXT] [options]\n"
          "       fuzz_peer server PORT [--host-key FILE] [options]\n"
          "  --runs N        connections (100)\n"
          "  --seed N        of the first; each later one is one more (1)\n"
          "  --rate N        packets in a thousand that are changed (200); 0: a well-behaved peer\n"
          "  --timeout MS    of a connection (3000)\n"
          "  --silence MS    of a peer that has spoken before, until it is taken for done (no "
          "bound of its own)\n"
          "  --verbose       say what ended each\n",
          stderr);
    return 2;
}

static bool read_where(options *o, char *where)
{
    char *colon = o->server ? NULL : strrchr(where, ':');
    if (!o->server && !colon) {
        return false;
    }
    if (colon) {
        *colon = 0;
        o->host = where;
    }
    char *end = NULL;
    unsigned long port = strtoul(colon ? colon + 1 : where, &end, 10);
    o->port = (uint16_t)port;
    return end && *end == 0 && port <= UINT16_MAX;
}

static bool read_key(options *o, const char *path)
{
    nacre_error why;
    if (nacre_key_from_file(&o->key, NULL, path, nc_span(NULL, 0), false, &why) != NACRE_OK) {
        fprintf(stderr, "%s\n", why.text);
        return false;
    }
    return true;
}

static bool read_options(options *o, int argc, char **argv)
{
    static const struct option names[] = {
        {"user", 1, NULL, 'u'},     {"key", 1, NULL, 'k'},     {"host-key", 1, NULL, 'k'},
        {"password", 1, NULL, 'p'}, {"runs", 1, NULL, 'n'},    {"seed", 1, NULL, 's'},
        {"rate", 1, NULL, 'r'},     {"timeout", 1, NULL, 't'}, {"silence", 1, NULL, 'q'},
        {"verbose", 0, NULL, 'v'},  {NULL, 0, NULL, 0}};
    int c;
    while ((c = getopt_long(argc, argv, "", names, NULL)) != -1) {
        unsigned long number = optarg ? strtoul(optarg, NULL, 10) : 0;
        o->user = c == 'u' ? optarg : o->user;
        o->password = c == 'p' ? optarg : o->password;
        o->runs = c == 'n' ? number : o->runs;
        o->seed = c == 's' ? number : o->seed;
        o->rate = c == 'r' ? number : o->rate;
        o->timeout_ms = c == 't' ? number : o->timeout_ms;
        o->silence_ms = c == 'q' ? number : o->silence_ms;
        o->verbose = o->verbose || c == 'v';
        if (c == '?' || (c == 'k' && !read_key(o, optarg))) {
            return false;
        }
    }
    return true;
}

int main(int argc, char **argv)
{
    options o = {.user = "user",
                 .password = "",
                 .runs = 100,
                 .seed = 1,
                 .rate = 200,
                 .timeout_ms = 3000,
                 .silence_ms = UINT32_MAX};
    if (argc < 3 || (strcmp(argv[1], "client") != 0 && strcmp(argv[1], "server") != 0)) {
        return usage();
    }
    o.server = argv[1][0] == 's';
    if (!read_where(&o, argv[2]) || !read_options(&o, argc - 2, argv + 2)) {
        return usage();
    }
    if (o.server && !o.key && nacre_key_generate(&o.key, NULL, "ed25519", 0, NULL) != NACRE_OK) {
        return 1;
    }
    int status = o.server ? as_server(&o) : as_client(&o);
    nacre_key_free(o.key);
    return status;
}
