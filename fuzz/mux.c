/*
 * The master of a shared connection, between a server and its clients: the input says what the server says, what two
 * clients say to the master (connection sharing's own messages, and packets when one has become a proxy), the
 * descriptors that they hand over, when they go, and which allocation fails. Sockets here are pairs within this
 * process; the listening one has no name in the file system.
 *
 *   flags, failing allocation (uint16), then records as whole.c has them:
 *     00..3F: a packet, of whoever speaks; 40..7F: bytes, behind their length when a client speaks
 *     80..FF: something else happens
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "io/control_socket.h"
#include "io/pass_fd.h"
#include "mutator.h"
#include "nacre/client.h"
#include "nacre/mux.h"
#include "support/memory.h"
#include "wire/wr.h"

const fuzz_shape fuzz_input_shape = {FUZZ_RECORDS, 3};

enum { CLIENTS = 2, TURNS = 4, LAST_TURNS = 200, MAX_RECORDS = 400 };
enum { MAY_NOTHING = 1, STAY_BUSY = 2 }; /* flags */

typedef struct place {
    test_memory memory;
    nacre_loop *loop;
    nacre_client *c;
    nacre_mux_master *m;
    uint8_t flags;
    int server;           /* the far end of the connection; -1: it has gone */
    int clients[CLIENTS]; /* likewise */
    size_t speaker;       /* of those; CLIENTS: the server */
} place;

/* ---- what would touch the system ---- */

static int listener = -1;

/* The socket has a name that the system makes up, and that goes with it. */
int __wrap_nc_control_listen(const char *path, int *fd, nacre_error *err);
int __wrap_nc_control_listen(const char *path, int *fd, nacre_error *err)
{
    struct sockaddr_un nameless = {.sun_family = AF_UNIX};
    (void)path;
    (void)err;
    listener = *fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (listener < 0 ||
        bind(listener, (struct sockaddr *)&nameless, sizeof(nameless.sun_family)) != 0 ||
        listen(listener, CLIENTS) != 0) {
        abort();
    }
    return NACRE_OK;
}

static int join(void)
{
    struct sockaddr_un name;
    socklen_t n = sizeof(name);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        abort();
    }
    if (getsockname(listener, (struct sockaddr *)&name, &n) != 0 ||
        connect(fd, (struct sockaddr *)&name, n) != 0) {
        (void)close(fd); /* nobody listens any more, or the queue is full */
        return -1;
    }
    return fd;
}

/* ---- the master's application ---- */

static bool on_ask(void *user, const char *question)
{
    const place *w = user;
    if (!strchr(question, '?')) {
        abort();
    }
    return !(w->flags & MAY_NOTHING);
}

static bool on_env(void *user, const char *name)
{
    (void)user;
    return strncmp(name, "LC_", 3) == 0;
}

/* Only what asks the server, and gives to the client: nothing that listens or connects here. */
static bool on_forward(void *user, nacre_forward_options *o)
{
    (void)user;
    return o->kind == NACRE_FORWARD_REMOTE && !o->connect.host && !o->connect.path;
}

static void on_session(void *user, nacre_channel *ch, bool agent, bool x11)
{
    (void)user;
    (void)agent;
    (void)x11;
    (void)!nacre_channel_env(ch, "LC_ALL", "C", true);
}

static void on_terminate(void *user)
{
    place *w = user;
    w->flags ^= STAY_BUSY;
}

/* ---- the others ---- */

static void turn(place *w, int times)
{
    while (times--) {
        if (nacre_loop_run_once(w->loop, 0) != NACRE_OK) {
            abort();
        }
    }
}

/* What is said to the far ends is for nobody. */
static void drain(int fd)
{
    static uint8_t bin[65536];
    while (fd >= 0 && recv(fd, bin, sizeof(bin), MSG_DONTWAIT) > 0) {
    }
}

static void hang_up(int *fd)
{
    if (*fd >= 0) {
        (void)close(*fd);
        *fd = -1;
    }
}

static int *speaking(place *w)
{
    return w->speaker < CLIENTS ? &w->clients[w->speaker] : &w->server;
}

/* Bytes behind a length; what does not fit is lost, as when a peer dies within a message. */
static void say(place *w, nacre_span bytes, bool length, bool padding)
{
    uint8_t head[5] = {0};
    size_t n = length ? 4 : 0;
    int fd = *speaking(w);
    nc_put_u32(head, (uint32_t)(bytes.n + padding));
    if (fd >= 0 && send(fd, head, n + padding, MSG_NOSIGNAL | MSG_DONTWAIT) >= 0 && bytes.n) {
        (void)!send(fd, bytes.p, bytes.n, MSG_NOSIGNAL | MSG_DONTWAIT);
    }
}

/* To read from, to write to, or neither of the kinds that the master expects. */
static void hand_over(place *w, uint8_t what)
{
    static const char typed[] = "~?typed\n~~.\n~Bmore\n~.\n";
    int fd = -1, ends[2] = {-1, -1};
    if (w->speaker == CLIENTS || w->clients[w->speaker] < 0) {
        return;
    }
    if (what % 4 == 0 && pipe2(ends, O_CLOEXEC) == 0) {
        (void)!write(ends[1], typed, sizeof(typed) - 1);
        fd = ends[0];
    } else if (what % 4 == 1 && socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0) {
        fd = ends[0];
    } else {
        fd = open("/dev/null", (what % 4 == 2 ? O_RDONLY : O_RDWR) | O_CLOEXEC);
    }
    if (fd >= 0) {
        (void)!nc_pass_fd(w->clients[w->speaker], fd);
        (void)close(fd);
    }
    hang_up(&ends[1]);
}

static void happen(place *w, uint8_t op, uint8_t arg)
{
    int *one = &w->clients[arg % CLIENTS];
    switch (op % 8) {
    case 0:
        w->speaker = arg % (CLIENTS + 1);
        break;
    case 1:
        hang_up(one);
        *one = join();
        w->speaker = arg % CLIENTS;
        break;
    case 2:
        hang_up(one);
        break;
    case 3:
        if (arg & 1) {
            (void)shutdown(*speaking(w), SHUT_WR);
        } else {
            hang_up(speaking(w));
        }
        break;
    case 4:
        test_memory_fail(&w->memory, arg);
        break;
    case 5:
        if (arg & 1) {
            nacre_mux_master_stop(w->m);
        } else {
            nacre_mux_master_resized(w->m);
        }
        break;
    default:
        hand_over(w, arg);
        break;
    }
}

static void play(place *w, nacre_span in)
{
    for (int i = 0; i < MAX_RECORDS && in.n; i++) {
        uint8_t op = fuzz_byte(&in);
        uint8_t arg = fuzz_byte(&in);
        if (op >= 0x80) {
            happen(w, (uint8_t)(op - 0x80), arg);
        } else {
            size_t n = (op & 0x0fu) << 8 | arg;
            bool packet = op < 0x40;
            say(w, fuzz_take(&in, n), packet || w->speaker < CLIENTS, packet);
        }
        turn(w, TURNS);
        drain(w->server);
        drain(w->clients[0]);
        drain(w->clients[1]);
    }
}

/* ---- one run ---- */

/* Of the first ones; a poll knows which they are. */
static size_t count_open(void)
{
    struct pollfd all[128];
    size_t n = sizeof(all) / sizeof(all[0]), open = 0;
    for (size_t i = 0; i < n; i++) {
        all[i] = (struct pollfd){.fd = (int)i};
    }
    if (poll(all, n, 0) < 0) {
        abort();
    }
    for (size_t i = 0; i < n; i++) {
        open += !(all[i].revents & POLLNVAL);
    }
    return open;
}

static int begin(place *w)
{
    nacre_client_config cfg;
    nacre_mux_master_options o;
    int fds[2];
    nacre_client_config_init(&cfg);
    cfg.user = "user";
    cfg.loop = w->loop;
    cfg.default_key_files = false;
    cfg.use_agent = false;
    cfg.transport.allocator = &w->memory.hooks;
    nacre_mux_master_options_init(&o);
    o.ask = on_ask;
    o.permit_env = on_env;
    o.session = on_session;
    o.forward = on_forward;
    o.terminate = on_terminate;
    o.user = w;
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds) != 0) {
        abort();
    }
    w->server = fds[1];
    int rc = nacre_client_new(&w->c, &cfg, NULL);
    if (rc != NACRE_OK) {
        (void)close(fds[0]);
        return rc;
    }
    rc = nacre_client_connect_proxied(w->c, fds[0], "host", 22);
    if (rc != NACRE_OK) {
        (void)close(fds[0]); /* it is taken on success */
    }
    return rc == NACRE_OK ? nacre_mux_master_new(&w->m, w->c, "/nowhere/control", &o, NULL) : rc;
}

/* Everybody goes: then nobody may be left, and nothing that was theirs. */
static void end(place *w)
{
    test_memory_fail(&w->memory, 0);
    hang_up(&w->clients[0]);
    hang_up(&w->clients[1]);
    for (int i = 0; i < LAST_TURNS && nacre_mux_master_clients(w->m) > 0; i++) {
        turn(w, 1);
        drain(w->server);
    }
    nacre_mux_master_free(w->m);
    hang_up(&w->server);
    turn(w, TURNS);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    place w = {.server = -1, .clients = {-1, -1}, .speaker = CLIENTS};
    nacre_span in = {data, size};
    size_t descriptors = count_open();
    w.flags = fuzz_byte(&in);
    unsigned failing = (unsigned)fuzz_byte(&in) << 8;
    failing |= fuzz_byte(&in);
    test_memory_init(&w.memory);
    if (nacre_loop_new(&w.loop, NULL, NULL) != NACRE_OK) {
        abort();
    }
    test_memory_fail(&w.memory, failing);
    if (begin(&w) == NACRE_OK) {
        play(&w, in);
        end(&w);
    } else if (!w.memory.failed) {
        abort();
    }
    hang_up(&w.server);
    nacre_client_free(w.c);
    nacre_loop_free(w.loop);
    if (w.memory.live != 0 || count_open() != descriptors) {
        abort(); /* memory or a descriptor is left */
    }
    return 0;
}
