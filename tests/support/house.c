#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "house.h"

#include "nacre/agent_forward.h"
#include "nacre/forward.h"
#include "nacre/local_files.h"
#include "nacre/net.h"
#include "nacre/scp.h"
#include "nacre/sftp.h"
#include "nacre/sftp_transfer.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

enum { TIMEOUT_MS = 20000, TURNS = 1000, FEW_TURNS = 20, TURN_MS = 10 };

static nacre_span words(const char *s)
{
    return (nacre_span){(const uint8_t *)s, strlen(s)};
}

static bool is(nacre_span s, const char *text)
{
    return s.n == strlen(text) && memcmp(s.p, text, s.n) == 0;
}

/* ---- files ---- */

static const char *at(const house *h, const char *name)
{
    static char paths[4][160];
    static unsigned turn;
    char *out = paths[turn++ % 4];
    (void)snprintf(out, sizeof(paths[0]), "%s/%s", h->dir, name);
    return out;
}

static uint8_t byte_at(size_t i)
{
    return (uint8_t)(i * 2654435761u >> 11);
}

static void write_given(const house *h, const char *name)
{
    static uint8_t bytes[HOUSE_BYTES];
    for (size_t i = 0; i < sizeof(bytes); i++) {
        bytes[i] = byte_at(i);
    }
    FILE *f = fopen(at(h, name), "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(bytes, 1, sizeof(bytes), f), sizeof(bytes));
    assert_int_equal(fclose(f), 0);
}

/* 1: the whole content, 0: there is no such file, -1: something else. */
static int whole(const house *h, const char *name)
{
    static uint8_t bytes[HOUSE_BYTES + 1];
    FILE *f = fopen(at(h, name), "rb");
    if (!f) {
        return 0;
    }
    size_t n = fread(bytes, 1, sizeof(bytes), f);
    bool good = n == HOUSE_BYTES;
    for (size_t i = 0; good && i < n; i++) {
        good = bytes[i] == byte_at(i);
    }
    (void)fclose(f);
    return good ? 1 : -1;
}

/* What a call said, against what is there. */
static int judge_file(house *h, int rc, const char *name, bool whole_or_none)
{
    int got = whole(h, name);
    if ((rc == NACRE_OK && got != 1) || (whole_or_none && got == -1)) {
        (void)snprintf(h->broken, sizeof(h->broken), "status %d, and %s is %s", rc, name,
                       got ? "not whole" : "not there");
    }
    return rc;
}

static int drop_one(const char *path, const struct stat *st, int kind, struct FTW *w)
{
    (void)st;
    (void)kind;
    (void)w;
    return remove(path);
}

static void drop(const house *h, const char *name)
{
    (void)nftw(at(h, name), drop_one, 16, FTW_DEPTH | FTW_PHYS);
}

void house_build(house *h)
{
    memset(h, 0, sizeof(*h));
    (void)snprintf(h->dir, sizeof(h->dir), "/tmp/nacre-house-XXXXXX");
    assert_non_null(mkdtemp(h->dir));
    assert_int_equal(mkdir(at(h, "near"), 0700), 0);
    assert_int_equal(mkdir(at(h, "far"), 0700), 0);
    assert_int_equal(nacre_key_generate(&h->host_key, NULL, "ed25519", 0, &h->err), NACRE_OK);
    write_given(h, "near/given");
    write_given(h, "far/given");
}

void house_tear_down(house *h)
{
    drop(h, "near");
    drop(h, "far");
    assert_int_equal(rmdir(h->dir), 0); /* fails when something was left behind */
    nacre_key_free(h->host_key);
}

/* ---- the server ---- */

static nacre_verdict on_password(void *user, nacre_server_conn *c, const nacre_event *ev)
{
    (void)user;
    (void)c;
    return is(ev->u.auth.password, "open sesame") ? NACRE_ACCEPT : NACRE_REFUSE;
}

static nacre_verdict on_login(void *user, nacre_server_conn *c, const char *name,
                              const nacre_key *key)
{
    house *h = user;
    (void)name;
    (void)key;
    h->conn = c;
    return NACRE_ACCEPT;
}

static void on_gone(void *user, nacre_server_conn *c, const nacre_error *why)
{
    house *h = user;
    (void)why;
    h->conn = h->conn == c ? NULL : h->conn;
}

static void files_done(void *files)
{
    nacre_local_files_free(files);
}

static nacre_verdict on_subsystem(void *user, nacre_server_conn *c, const nacre_event *ev)
{
    const house *h = user;
    nacre_local_files_options lo;
    nacre_sftp_server_options so;
    nacre_local_files *files = NULL;
    nacre_error err;
    nacre_local_files_options_init(&lo);
    nacre_sftp_server_options_init(&so);
    lo.allocator = so.allocator = h->memory[NACRE_SERVER];
    lo.root = at(h, "far");
    int rc = nacre_local_files_new(&files, &lo, &err);
    rc = rc == NACRE_OK ? nacre_server_sftp(c, ev->channel, nacre_local_files_ops(), files, &so,
                                            files_done, &err)
                        : rc;
    if (rc != NACRE_OK) {
        nacre_local_files_free(files);
    }
    return rc == NACRE_OK ? NACRE_ACCEPT : NACRE_REFUSE;
}

static int run_cat(nacre_server_conn *c, nacre_channel *ch)
{
    char sh[] = "sh", flag[] = "-c", command[] = "cat; exit 3";
    char *argv[] = {sh, flag, command, NULL};
    nacre_spawn_options o;
    nacre_error err;
    nacre_spawn_options_init(&o);
    o.program = "/bin/sh";
    o.argv = argv;
    o.envp = nacre_server_session_env(c, ch);
    return nacre_server_spawn(c, ch, &o, NULL, &err);
}

static nacre_verdict on_exec(void *user, nacre_server_conn *c, const nacre_event *ev)
{
    const house *h = user;
    char command[256];
    nacre_server_scp_options o;
    nacre_error err;
    if (ev->u.request.command.n >= sizeof(command)) {
        return NACRE_REFUSE;
    }
    (void)snprintf(command, sizeof(command), "%.*s", (int)ev->u.request.command.n,
                   (const char *)ev->u.request.command.p);
    nacre_server_scp_options_init(&o);
    o.start = o.home = at(h, "far");
    int rc = strcmp(command, "cat") == 0 ? run_cat(c, ev->channel)
                                         : nacre_server_scp(c, ev->channel, command, &o, &err);
    return rc == NACRE_OK ? NACRE_ACCEPT : NACRE_REFUSE;
}

static nacre_verdict on_direct(void *user, nacre_server_conn *c, const nacre_event *ev,
                               nacre_server_forward *f)
{
    (void)user;
    (void)c;
    (void)ev;
    (void)f;
    return NACRE_ACCEPT;
}

static nacre_verdict on_agent(void *user, nacre_server_conn *c, const nacre_event *ev)
{
    const house *h = user;
    nacre_error err;
    return nacre_server_agent_forward(c, ev, h->dir, &err) == NACRE_OK ? NACRE_ACCEPT
                                                                       : NACRE_REFUSE;
}

static int start_server(house *h, int fd)
{
    nacre_server_config cfg;
    nacre_server_config_init(&cfg);
    cfg.loop = h->loop;
    cfg.host_keys = &h->host_key;
    cfg.host_key_count = 1;
    cfg.transport.allocator = h->memory[NACRE_SERVER];
    cfg.callbacks.user = h;
    cfg.callbacks.auth_password = on_password;
    cfg.callbacks.authenticated = on_login;
    cfg.callbacks.disconnected = on_gone;
    cfg.callbacks.subsystem = on_subsystem;
    cfg.callbacks.exec = on_exec;
    cfg.callbacks.direct_open = on_direct;
    cfg.callbacks.forward_request = on_direct;
    cfg.callbacks.agent = on_agent;
    int rc = nacre_server_new(&h->server, &cfg, &h->err);
    return rc == NACRE_OK ? nacre_server_adopt(h->server, fd, fd, NULL, &h->err) : rc;
}

static int log_in(house *h, int fd)
{
    nacre_client_config cfg;
    nacre_client_config_init(&cfg);
    cfg.user = "alice";
    cfg.password = words("open sesame");
    cfg.loop = h->loop;
    cfg.default_key_files = cfg.use_agent = false;
    cfg.host_policy = NACRE_HOST_INSECURE;
    cfg.timeout_ms = TIMEOUT_MS;
    cfg.transport.allocator = h->memory[NACRE_CLIENT];
    cfg.transport.kex = "curve25519-sha256";
    int rc = nacre_client_new(&h->client, &cfg, &h->err);
    return rc == NACRE_OK ? nacre_client_login(h->client, fd, fd, "host", 22) : rc;
}

int house_open(house *h)
{
    int fds[2];
    h->broken[0] = '\0';
    h->client = NULL;
    h->server = NULL;
    h->conn = NULL;
    int rc = nacre_loop_new(&h->loop, NULL, &h->err);
    if (rc != NACRE_OK || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) != 0) {
        return rc != NACRE_OK ? rc : NACRE_IO;
    }
    rc = start_server(h, fds[1]);
    if (rc != NACRE_OK) {
        (void)close(fds[0]);
        (void)close(fds[1]);
        return rc;
    }
    rc = log_in(h, fds[0]);
    if (rc != NACRE_OK && !h->client) {
        (void)close(fds[0]);
    }
    return rc;
}

void house_close(house *h)
{
    nacre_client_free(h->client);
    nacre_server_free(h->server);
    nacre_loop_free(h->loop);
    h->client = NULL;
    h->server = NULL;
    h->loop = NULL;
    drop(h, "near/got");
    drop(h, "far/put");
    drop(h, "near/tree");
    drop(h, "far/tree");
}

/* ---- files up and down ---- */

static int list(nacre_sftp *s, unsigned *names)
{
    nacre_sftp_dir *d = NULL;
    nacre_sftp_name e;
    int rc = nacre_sftp_opendir(s, "/", &d);
    while (rc == NACRE_OK && (rc = nacre_sftp_readdir(d, &e)) == NACRE_OK) {
        *names += 1;
    }
    nacre_sftp_closedir(d);
    return rc == NACRE_END ? NACRE_OK : rc;
}

int house_sftp(house *h)
{
    nacre_sftp *s = NULL;
    nacre_sftp_options o;
    nacre_sftp_report report;
    unsigned names = 0;
    nacre_sftp_options_init(&o);
    o.allocator = h->memory[NACRE_CLIENT];
    int rc = nacre_sftp_open(&s, h->client, &o, &h->err);
    if (rc != NACRE_OK) {
        return rc;
    }
    rc = judge_file(h, nacre_sftp_put(s, at(h, "near/given"), "/put", NULL), "far/put", false);
    if (rc == NACRE_OK) {
        rc = judge_file(h, nacre_sftp_get(s, "/given", at(h, "near/got"), NULL), "near/got", false);
    }
    if (rc == NACRE_OK) {
        rc = judge_file(h, nacre_sftp_put_r(s, at(h, "near"), "/tree", NULL, &report),
                        "far/tree/given", false);
        nacre_sftp_report_free(&report);
    }
    rc = rc == NACRE_OK ? list(s, &names) : rc;
    if (rc == NACRE_OK && names != 5) { /* ".", "..", given, put, tree */
        (void)snprintf(h->broken, sizeof(h->broken), "a listing of %u names", names);
    }
    nacre_sftp_close(s);
    return rc;
}

int house_scp(house *h)
{
    nacre_scp *s = NULL;
    nacre_scp_options o;
    nacre_sftp_report report;
    const char *const up[] = {at(h, "near/given")};
    const char *const down[] = {"given"};
    nacre_scp_options_init(&o);
    o.allocator = h->memory[NACRE_CLIENT];
    int rc = nacre_scp_new(&s, h->client, &o, &h->err);
    if (rc != NACRE_OK) {
        return rc;
    }
    rc = judge_file(h, nacre_scp_put(s, up, 1, "put", &report), "far/put", true);
    nacre_sftp_report_free(&report);
    if (rc == NACRE_OK) {
        rc = judge_file(h, nacre_scp_get(s, down, 1, at(h, "near/got"), &report), "near/got", true);
        nacre_sftp_report_free(&report);
    }
    nacre_scp_free(s);
    return rc;
}

/* ---- connections ---- */

static int patience(const house *h)
{
    return h->impatient && *h->impatient ? FEW_TURNS : TURNS;
}

/* Turns the loop until fd can be read; false: it takes too long. */
static bool readable(house *h, int fd)
{
    for (int i = 0; i < patience(h) && fd >= 0; i++) {
        struct pollfd p = {fd, POLLIN, 0};
        if (poll(&p, 1, 0) == 1) {
            return true;
        }
        (void)!nacre_loop_run_once(h->loop, TURN_MS);
        if (!h->conn || !nacre_client_transport(h->client)) {
            return poll(&p, 1, 0) == 1;
        }
    }
    return false;
}

/* Not by calls that os_faults.c stands in for: what this end does is no part of the trial. */
static ssize_t say(int fd, const void *p, size_t n)
{
    struct iovec iov = {(void *)(uintptr_t)p, n};
    const struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1};
    return sendmsg(fd, &m, MSG_NOSIGNAL);
}

static ssize_t hear(int fd, void *p, size_t n)
{
    struct iovec iov = {p, n};
    struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1};
    return recvmsg(fd, &m, MSG_DONTWAIT);
}

/* n bytes through both, and what comes is what was sent, or less of it. */
static bool through(house *h, int from, int to, const char *text)
{
    char in[64] = "";
    size_t n = 0, whole_n = strlen(text);
    if (say(from, text, whole_n) != (ssize_t)whole_n) {
        return false;
    }
    while (n < whole_n && readable(h, to)) {
        ssize_t got = hear(to, in + n, whole_n - n);
        if (got <= 0) {
            break;
        }
        n += (size_t)got;
    }
    if (memcmp(in, text, n) != 0) {
        (void)snprintf(h->broken, sizeof(h->broken), "%.*s came for %s", (int)n, in, text);
    }
    return n == whole_n;
}

static int listen_here(uint16_t *port)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t n = sizeof(a);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd >= 0 && (bind(fd, (struct sockaddr *)&a, sizeof(a)) != 0 || listen(fd, 8) != 0 ||
                    getsockname(fd, (struct sockaddr *)&a, &n) != 0)) {
        (void)close(fd);
        return -1;
    }
    *port = ntohs(a.sin_port);
    return fd;
}

static int dial(uint16_t port)
{
    struct sockaddr_in a = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr = {htonl(INADDR_LOOPBACK)}};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd >= 0 && connect(fd, (struct sockaddr *)&a, sizeof(a)) != 0) {
        (void)close(fd);
        return -1;
    }
    return fd;
}

/* A connection to port comes out at the listener, and carries both ways. */
static int one_connection(house *h, uint16_t port, int listener)
{
    int near = dial(port);
    int far = readable(h, listener) ? accept(listener, NULL, NULL) : -1;
    bool good =
        far >= 0 && through(h, near, far, "there and") && through(h, far, near, "back again");
    if (near >= 0) {
        (void)close(near);
    }
    if (far >= 0) {
        (void)close(far);
    }
    return good ? NACRE_OK : NACRE_CONNECT;
}

int house_forwards(house *h)
{
    nacre_forward_options o;
    nacre_forward *f = NULL;
    uint16_t port = 0;
    int listener = listen_here(&port);
    if (listener < 0) {
        return NACRE_CONNECT;
    }
    nacre_forward_options_init(&o);
    o.connect = (nacre_forward_end){.host = "127.0.0.1", .port = port};
    int rc = nacre_client_forward(h->client, &o, &f, &h->err);
    rc = rc == NACRE_OK ? one_connection(h, nacre_forward_port(f), listener) : rc;
    o.kind = NACRE_FORWARD_REMOTE;
    o.listen.host = "127.0.0.1";
    rc = rc == NACRE_OK ? nacre_client_forward(h->client, &o, &f, &h->err) : rc;
    rc = rc == NACRE_OK ? nacre_client_forward_wait(h->client, f, TIMEOUT_MS) : rc;
    rc = rc == NACRE_OK ? one_connection(h, nacre_forward_port(f), listener) : rc;
    (void)close(listener);
    return rc;
}

/* The client's agent: one end of a pair; the test has the other one. */
static int agent_end = -1;

static int give_agent(void *user, int *fd)
{
    static const uint8_t bound[] = {0, 0, 0, 1, 6};
    int pair[2];
    (void)user;
    if (agent_end >= 0 || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0) {
        return NACRE_CONNECT;
    }
    agent_end = pair[1];
    (void)!say(agent_end, bound, sizeof(bound)); /* to session-bind, before it asks */
    *fd = pair[0];
    return NACRE_OK;
}

static int dial_agent(const char *path)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    (void)snprintf(a.sun_path, sizeof(a.sun_path), "%s", path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd >= 0 && connect(fd, (struct sockaddr *)&a, sizeof(a)) != 0) {
        (void)close(fd);
        return -1;
    }
    return fd;
}

/* What the agent heard for itself: the binding of the session, before anything of a program's. */
static bool hears_binding(house *h)
{
    uint8_t in[2048];
    size_t n = 0;
    while (readable(h, agent_end)) {
        ssize_t got = hear(agent_end, in + n, n < 4 ? 4 - n : sizeof(in) - n);
        if (got <= 0) {
            return false;
        }
        n += (size_t)got;
        size_t len = (size_t)in[2] << 8 | in[3];
        if (n >= 4 && len + 4 == n) {
            return true;
        }
        if (n >= 4 && len + 4 > sizeof(in)) {
            return false;
        }
    }
    return false;
}

int house_agent(house *h)
{
    nacre_agent_forward_options o;
    nacre_channel *ch = NULL;
    nacre_agent_forward_options_init(&o);
    o.connect = give_agent;
    o.want_reply = true;
    int rc = nacre_client_session(h->client, TIMEOUT_MS, &ch);
    rc = rc == NACRE_OK ? nacre_client_forward_agent(h->client, ch, &o, &h->err) : rc;
    rc = rc == NACRE_OK ? nacre_client_wait_reply(h->client, ch, TIMEOUT_MS) : rc;
    const char *path = rc == NACRE_OK && h->conn ? nacre_server_agent_path(h->conn) : NULL;
    int fd = path ? dial_agent(path) : -1;
    for (int i = 0; i < patience(h) && fd >= 0 && agent_end < 0 && h->conn; i++) {
        (void)!nacre_loop_run_once(h->loop, TURN_MS);
    }
    bool good = fd >= 0 && agent_end >= 0 && hears_binding(h) &&
                through(h, fd, agent_end, "what keys?") && through(h, agent_end, fd, "these keys");
    if (fd >= 0) {
        (void)close(fd);
    }
    if (agent_end >= 0) {
        (void)close(agent_end);
    }
    agent_end = -1;
    return rc != NACRE_OK ? rc : good ? NACRE_OK : NACRE_AGENT_PROTOCOL;
}

int house_program(house *h)
{
    static char text[HOUSE_BYTES];
    nacre_exec_result r;
    memset(&r, 0, sizeof(r));
    for (size_t i = 0; i < sizeof(text); i++) {
        text[i] = (char)byte_at(i);
    }
    int rc = nacre_client_exec(h->client, "cat", (nacre_span){(uint8_t *)text, sizeof(text)},
                               TIMEOUT_MS, &r);
    bool right =
        r.out_len == 0 || (r.out_len <= sizeof(text) && memcmp(r.out, text, r.out_len) == 0);
    if (!right ||
        (rc == NACRE_OK && r.exit.exited && r.exit.status == 3 && r.out_len != sizeof(text))) {
        (void)snprintf(h->broken, sizeof(h->broken), "%zu bytes came from cat, status %d",
                       r.out_len, rc);
    }
    bool good = rc == NACRE_OK && r.exit.exited && r.exit.status == 3;
    nacre_exec_result_free(&r);
    return rc == NACRE_OK && !good ? NACRE_INCOMPLETE : rc;
}

const house_work house_works[] = {
    {"program", house_program},   {"sftp", house_sftp},   {"scp", house_scp},
    {"forwards", house_forwards}, {"agent", house_agent},
};
const size_t house_work_count = sizeof(house_works) / sizeof(house_works[0]);
