/*
 * sshd_serve.c - three ways to serve: as root a process per connection, as somebody else all connections
 * in this process, and one connection on a given socket.
 *
 * The process of a connection has nothing of its parent's but the socket, the log and the write end of
 * a pipe. The parent counts connections that are not logged in by that pipe: the child closes it at
 * login, or dies.
 */
#include "sshd.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    FIRST_FREE_FD = 5,  /* 3: the socket, 4: the pipe */
    GRACE_EXTRA = 10,   /* seconds: the engine ends it in good order, and says so, if it can */
    GRACE_MAX = 1 << 30 /* what alarm(2) takes everywhere */
};

/* ---- a server for these settings --------------------------------------------------------------------- */

static nacre_verdict on_connected(void *user, nacre_server_conn *c)
{
    return login_new(user, c, -1) ? NACRE_ACCEPT : NACRE_REFUSE;
}

static uint32_t milliseconds(uint32_t seconds)
{
    return seconds > UINT32_MAX / 1000 ? UINT32_MAX : seconds * 1000;
}

static void fill_transport(const sshd *d, nacre_config *t)
{
    const nacre_sshd_settings *s = d->s;
    t->log = log_engine;
    t->log_level = log_engine_level();
    t->kex = s->kex;
    t->host_key = s->host_key_algorithms;
    t->cipher_c2s = t->cipher_s2c = s->ciphers;
    t->mac_c2s = t->mac_s2c = s->macs;
    t->compression_c2s = t->compression_s2c = s->compression ? "none,zlib@openssh.com" : "none";
    t->signature = s->pubkey_algorithms;
    t->hostbased = s->hostbased_algorithms;
    t->untouched_keys = true; /* each login's own demand decides: nacre_key_grant_signature */
    t->min_rsa_bits = s->required_rsa_bits;
    t->rekey_bytes = s->rekey_bytes;
    t->rekey_seconds = s->rekey_seconds;
    t->login_grace_ms = milliseconds(s->login_grace_seconds);
    t->max_auth_tries = s->max_auth_tries;
    t->auth_methods = auth_methods_of_all(d);
    t->keepalive_ms = s->alive_count_max ? milliseconds(s->alive_interval_seconds) : 0;
    t->keepalive_max = s->alive_count_max;
    if (d->moduli) {
        t->moduli.p = (const uint8_t *)d->moduli;
        t->moduli.n = d->moduli_size;
    }
}

static nacre_server *make_server(sshd *d)
{
    nacre_server_config cfg;
    nacre_server *server = NULL;
    nacre_error why = {0};
    nacre_server_config_init(&cfg);
    fill_transport(d, &cfg.transport);
    cfg.host_keys = d->keys;
    cfg.host_key_count = d->key_count;
    cfg.startups_begin = d->s->startups_begin;
    cfg.startups_rate = d->s->startups_rate;
    cfg.startups_full = d->s->startups_full;
    cfg.sources = d->s->sources;
    cfg.sources.exempt = d->s->penalty_exempt;
    cfg.max_sessions = d->s->max_sessions;
    cfg.callbacks.user = d;
    cfg.callbacks.connected = on_connected;
    auth_callbacks(&cfg.callbacks);
    session_callbacks(&cfg.callbacks);
    forward_callbacks(&cfg.callbacks);
    agentx11_callbacks(&cfg.callbacks);
    if (nacre_server_new(&server, &cfg, &why) != NACRE_OK) {
        say(LOG_LEVEL_FATAL, "%s", why.text);
        return NULL;
    }
    return server;
}

bool serve_check(sshd *d)
{
    nacre_config t;
    nacre_transport *engine = NULL;
    nacre_error why = {0};
    nacre_config_init(&t, NACRE_SERVER);
    fill_transport(d, &t);
    int rc = nacre_transport_new(&engine, &t, 0, &why);
    for (size_t i = 0; rc == NACRE_OK && i < d->key_count; i++) {
        rc = nacre_transport_add_host_key(engine, d->keys[i]);
    }
    nacre_transport_free(engine);
    if (rc != NACRE_OK) {
        say(LOG_LEVEL_FATAL, "%s: %s",
            plain_text(d->config_path ? d->config_path : "configuration"),
            why.text[0] ? why.text : nacre_status_text(rc));
    }
    return rc == NACRE_OK;
}

/* ---- listening ------------------------------------------------------------------------------------------ */

static size_t listen_on(nacre_server *s, const char *address, uint16_t port, int family)
{
    nacre_error why = {0};
    int fd = -1;
    int rc = nacre_net_listen(address, port, family, 0, &fd, NULL, &why);
    if (rc == NACRE_OK) {
        rc = nacre_server_listen_fd(s, fd, &why);
        if (rc != NACRE_OK) {
            (void)close(fd);
        }
    }
    if (rc != NACRE_OK) {
        say(LOG_LEVEL_ERROR, "Bind to port %u on %s failed: %s", port,
            address[0] ? plain_text(address) : "every address", why.text);
        return 0;
    }
    say(LOG_LEVEL_INFO, "Server listening on %s port %u.",
        address[0]    ? plain_text(address)
        : family == 6 ? "::"
                      : "0.0.0.0",
        port);
    return 1;
}

static size_t listen_everywhere(const sshd *d, nacre_server *s, uint16_t port)
{
    int family = d->cmd_family >= 0 ? d->cmd_family : d->s->family;
    size_t n = 0;
    if (family != 6) {
        n += listen_on(s, "", port, 4);
    }
    if (family != 4) {
        n += listen_on(s, "", port, 6);
    }
    return n;
}

static bool listen_all(const sshd *d, nacre_server *s)
{
    size_t n = 0;
    int family = d->cmd_family >= 0 ? d->cmd_family : d->s->family;
    const uint16_t *ports = d->cmd_port_count ? d->cmd_ports : d->s->ports;
    size_t port_count = d->cmd_port_count ? d->cmd_port_count : d->s->port_count;
    for (size_t i = 0; i < d->s->listen_count; i++) {
        const nacre_sshd_listen *at = &d->s->listen[i];
        for (size_t p = 0; p < (at->port ? 1 : port_count); p++) {
            n += listen_on(s, at->address, at->port ? at->port : ports[p], family);
        }
    }
    for (size_t p = 0; d->s->listen_count == 0 && p < port_count; p++) {
        n += listen_everywhere(d, s, ports[p]);
    }
    if (n == 0) {
        say(LOG_LEVEL_FATAL, "Cannot bind any address.");
    }
    return n > 0;
}

/* As daemon(3), but a log that goes to stderr (-E) goes on. */
static bool go_to_background(const sshd *d)
{
    if (d->foreground || d->debug) {
        return true;
    }
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (null < 0 || daemon(0, 1) != 0) {
        say(LOG_LEVEL_FATAL, "cannot go to the background: %s", strerror(errno));
        return false;
    }
    (void)dup2(null, STDIN_FILENO);
    (void)dup2(null, STDOUT_FILENO);
    if (!d->log_on_stderr) {
        (void)dup2(null, STDERR_FILENO);
    }
    (void)close(null);
    return true;
}

static void write_pid(const sshd *d)
{
    FILE *f = d->s->pid_file && !d->debug ? fopen(d->s->pid_file, "we") : NULL;
    if (f) {
        (void)fprintf(f, "%ld\n", (long)getpid());
        (void)fclose(f);
    } else if (d->s->pid_file && !d->debug) {
        say(LOG_LEVEL_ERROR, "Couldn't create pid file \"%s\": %s", plain_text(d->s->pid_file),
            strerror(errno));
    }
}

static void remove_pid(const sshd *d)
{
    if (d->s->pid_file && !d->debug) {
        (void)unlink(d->s->pid_file);
    }
}

/* ---- signals ---------------------------------------------------------------------------------------------- */

typedef struct parent {
    sshd *d;
    nacre_server *server;
    children *children;
    int signal; /* that ends us */
    bool stop_at_first;
} parent;

static void on_signal(void *user, int signo)
{
    parent *p = user;
    p->signal = signo;
    nacre_server_stop(p->server);
}

static const int end_signals[] = {SIGTERM, SIGINT, SIGHUP};
enum { END_SIGNALS = sizeof(end_signals) / sizeof(end_signals[0]) };

/* Handlers belong to the process: another loop can have them only when this one lets go. */
static void unwatch_signals(parent *p)
{
    for (size_t i = 0; i < END_SIGNALS; i++) {
        if (nacre_loop_on_signal(nacre_server_loop(p->server), end_signals[i], NULL, NULL) !=
            NACRE_OK) {
            say(LOG_LEVEL_ERROR, "signal %d stays with the parent", end_signals[i]);
        }
        (void)signal(end_signals[i], SIG_DFL);
    }
}

static bool watch_signals(parent *p)
{
    int rc = NACRE_OK;
    for (size_t i = 0; rc == NACRE_OK && i < END_SIGNALS; i++) {
        rc = nacre_loop_on_signal(nacre_server_loop(p->server), end_signals[i], on_signal, p);
    }
    (void)signal(SIGPIPE, SIG_IGN);
    return rc == NACRE_OK;
}

/* SIGHUP: begin anew with the same command line. Only returns on failure. */
static void begin_anew(const sshd *d)
{
    say(LOG_LEVEL_INFO, "Received SIGHUP; restarting.");
    /* The name first: /proc/self/exe means the old file when a new version was installed. */
    if (strchr(d->argv[0], '/')) {
        (void)execv(d->argv[0], d->argv);
    }
    (void)execv("/proc/self/exe", d->argv);
    say(LOG_LEVEL_FATAL, "cannot restart: %s", strerror(errno));
}

static int end_parent(parent *p)
{
    sshd *d = p->d;
    int signo = p->signal;
    children_free(p->children);
    nacre_server_free(p->server);
    remove_pid(d);
    if (signo == SIGHUP) {
        begin_anew(d);
        return 255;
    }
    if (signo) {
        say(LOG_LEVEL_INFO, "Received signal %d; terminating.", signo);
    }
    return signo || p->stop_at_first ? 0 : 255;
}

/* ---- all in one process -------------------------------------------------------------------------------------- */

int serve_here(sshd *d)
{
    parent p = {.d = d, .server = make_server(d)};
    if (!p.server || !listen_all(d, p.server) || !go_to_background(d) || !watch_signals(&p)) {
        nacre_server_free(p.server);
        return 255;
    }
    (void)umask(d->umask);
    write_pid(d);
    if (nacre_server_run(p.server, false) != NACRE_OK) {
        say(LOG_LEVEL_FATAL, "the loop failed");
    }
    return end_parent(&p);
}

/* ---- one connection ---------------------------------------------------------------------------------------------- */

/* The engine's LoginGraceTime does not help where a lookup hangs; this does. Ends with the login. */
static void limit_login(const sshd *d)
{
    uint32_t grace = d->s->login_grace_seconds;
    if (grace > 0 && grace < GRACE_MAX) {
        (void)signal(SIGALRM, SIG_DFL);
        (void)alarm(grace + GRACE_EXTRA);
    }
}

static int serve_fds(sshd *d, int in, int out, int startup_fd)
{
    parent p = {.d = d, .server = make_server(d)};
    nacre_server_conn *c = NULL;
    nacre_error why = {0};
    if (!p.server || !watch_signals(&p) ||
        nacre_server_adopt(p.server, in, out, &c, &why) != NACRE_OK) {
        say(LOG_LEVEL_ERROR, "cannot serve: %s", why.text);
        nacre_server_free(p.server);
        return 255;
    }
    nacre_net_set_keepalive(in, d->s->tcp_keepalive);
    limit_login(d);
    (void)umask(d->umask);
    int rc = login_new(d, c, startup_fd) ? nacre_server_run(p.server, true) : NACRE_NO_MEMORY;
    int status = children_status(p.server, rc == NACRE_OK ? 0 : 255);
    if (nacre_server_connections(p.server) > 0) { /* a signal ended it: nobody told the login */
        login_free(nacre_server_conn_user(c));
        nacre_server_conn_set_user(c, NULL);
    }
    nacre_server_free(p.server);
    return status;
}

int serve_inetd(sshd *d)
{
    struct stat st;
    bool socket = fstat(STDIN_FILENO, &st) == 0 && S_ISSOCK(st.st_mode);
    int in = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3);
    int out = socket ? in : fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3);
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (in < 0 || out < 0 || null < 0) {
        say(LOG_LEVEL_FATAL, "cannot use stdin and stdout: %s", strerror(errno));
        return 255;
    }
    (void)dup2(null, STDIN_FILENO);
    (void)dup2(null, STDOUT_FILENO);
    return serve_fds(d, in, out, -1);
}

/* ---- a process per connection -------------------------------------------------------------------------------------- */

/* Descriptors of the parent's that a user's process has no business with. */
static void keep_only(int *fd, int *startup_fd)
{
    int high_fd = fcntl(*fd, F_DUPFD, FIRST_FREE_FD);
    int high_pipe = *startup_fd >= 0 ? fcntl(*startup_fd, F_DUPFD, FIRST_FREE_FD) : -1;
    log_close();
    if (high_fd < 0 || dup2(high_fd, 3) != 3 || (high_pipe >= 0 && dup2(high_pipe, 4) != 4)) {
        _exit(255);
    }
    *fd = 3;
    *startup_fd = high_pipe >= 0 ? 4 : -1;
    (void)fcntl(3, F_SETFD, FD_CLOEXEC);
    (void)fcntl(4, F_SETFD, FD_CLOEXEC);
    closefrom(*startup_fd >= 0 ? 5 : 4);
}

/*
 * Without exit's handlers: libcrypto's would take its tables apart, and so copy every page of them that
 * parent and child share. What holds secrets was freed before. A leak checker wants its handler.
 */
static _Noreturn void end_child(int status)
{
    (void)fflush(NULL);
#ifdef __SANITIZE_ADDRESS__
    exit(status);
#else
    _exit(status);
#endif
}

static _Noreturn void be_child(parent *p, int fd, int startup_fd)
{
    sshd *d = p->d;
    unwatch_signals(p);
    (void)signal(SIGCHLD, SIG_DFL);
    /* The parent's server stays in memory, untouched: its callback is still below us on the stack. */
    keep_only(&fd, &startup_fd);
    end_child(serve_fds(d, fd, fd, startup_fd));
}

static void on_accepted(void *user, int fd, const nacre_endpoint *peer)
{
    parent *p = user;
    int pipe_fds[2] = {-1, -1};
    const char *no = children_refuse(p->children, peer);
    if (no) {
        (void)send(fd, no, strlen(no), MSG_DONTWAIT | MSG_NOSIGNAL);
        (void)close(fd);
        return;
    }
    if (pipe2(pipe_fds, O_CLOEXEC) != 0) {
        say(LOG_LEVEL_ERROR, "cannot make a pipe: %s", strerror(errno));
        (void)close(fd);
        return;
    }
    pid_t pid = fork();
    if (pid == 0) {
        be_child(p, fd, pipe_fds[1]);
    }
    if (pid < 0) {
        say(LOG_LEVEL_ERROR, "cannot make a process: %s", strerror(errno));
        (void)close(pipe_fds[0]);
    } else if (!children_add(p->children, pid, pipe_fds[0], peer)) {
        say(LOG_LEVEL_ERROR, "cannot count a process: out of memory");
        (void)kill(pid, SIGTERM);
    }
    (void)close(pipe_fds[1]);
    (void)close(fd);
}

/* -d: one connection in this process, which is easier to watch. */
static void on_accepted_debug(void *user, int fd, const nacre_endpoint *peer)
{
    parent *p = user;
    (void)peer;
    nacre_server_unlisten(p->server);
    unwatch_signals(p);
    exit(serve_fds(p->d, fd, fd, -1));
}

int serve_forking(sshd *d)
{
    parent p = {.d = d, .server = make_server(d)};
    if (!p.server || !listen_all(d, p.server) || !go_to_background(d) || !watch_signals(&p)) {
        nacre_server_free(p.server);
        return 255;
    }
    p.children = children_new(p.server);
    if (!p.children) {
        say(LOG_LEVEL_FATAL, "out of memory");
        nacre_server_free(p.server);
        return 255;
    }
    rehearse(d);
    nacre_server_on_accept(p.server, d->debug ? on_accepted_debug : on_accepted, &p);
    write_pid(d);
    if (nacre_server_run(p.server, false) != NACRE_OK) {
        say(LOG_LEVEL_FATAL, "the loop failed");
    }
    return end_parent(&p);
}
