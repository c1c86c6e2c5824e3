/*
 * support.c - clocks, keys, a client, and a server in a child process, for the benchmark programs.
 */
#include "support.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "nacre/local_files.h"
#include "nacre/server.h"

enum { MANY_STARTUPS = 1024 };

typedef struct server_state {
    nacre_server *server;
    const nacre_key *authorized;
    unsigned over, warmup, wanted;
    double cpu_after_warmup;
} server_state;

double bench_clock_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

double bench_cpu_ms(void)
{
    struct rusage u;

    getrusage(RUSAGE_SELF, &u);
    return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1e3 +
           (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e3;
}

int bench_fail(const char *what, int status, const nacre_error *err)
{
    fprintf(stderr, "%s: %s: %s\n", what, nacre_status_text(status), err->text);
    return 1;
}

int bench_load_key(nacre_key **out, const char *path)
{
    nacre_error err = {0};
    nacre_span none = {NULL, 0};
    int rc = nacre_key_from_file(out, NULL, path, none, false, &err);

    return rc == NACRE_OK ? 0 : bench_fail(path, rc, &err);
}

/* ---- the server in the child ------------------------------------------------------------------- */

static nacre_verdict on_key(void *user, nacre_server_conn *c, const nacre_event *ev, bool signed_)
{
    const server_state *s = user;

    (void)c;
    (void)signed_;
    return nacre_key_equal(ev->u.auth.key, s->authorized) ? NACRE_ACCEPT : NACRE_REFUSE;
}

static void free_files(void *backend)
{
    nacre_local_files_free(backend);
}

static nacre_verdict on_subsystem(void *user, nacre_server_conn *c, const nacre_event *ev)
{
    nacre_local_files *files = NULL;
    nacre_error err = {0};
    int rc = nacre_local_files_new(&files, NULL, &err);

    (void)user;
    if (rc == NACRE_OK) {
        rc = nacre_server_sftp(c, ev->channel, nacre_local_files_ops(), files, NULL, free_files,
                               &err);
    }
    if (rc != NACRE_OK) {
        bench_fail("subsystem", rc, &err);
        return NACRE_REFUSE;
    }
    return NACRE_ACCEPT;
}

static void on_disconnected(void *user, nacre_server_conn *c, const nacre_error *why)
{
    server_state *s = user;

    (void)c;
    (void)why;
    s->over++;
    if (s->over == s->warmup) {
        s->cpu_after_warmup = bench_cpu_ms();
    }
    if (s->over == s->wanted + s->warmup) {
        nacre_server_stop(s->server);
    }
}

static int listen_on_any_port(server_state *state, const bench_peer *peer, nacre_key **host_key,
                              uint16_t *port)
{
    nacre_server_config cfg;
    nacre_error err = {0};
    int rc;

    nacre_server_config_init(&cfg);
    cfg.transport.kex = peer->kex;
    cfg.host_keys = host_key;
    cfg.host_key_count = 1;
    cfg.startups_begin = cfg.startups_full = MANY_STARTUPS;
    cfg.callbacks.auth_key = on_key;
    cfg.callbacks.subsystem = on_subsystem;
    cfg.callbacks.disconnected = on_disconnected;
    cfg.callbacks.user = state;
    rc = nacre_server_new(&state->server, &cfg, &err);
    if (rc == NACRE_OK) {
        rc = nacre_server_listen(state->server, "127.0.0.1", 0, port, &err);
    }
    return rc == NACRE_OK ? 0 : bench_fail("server", rc, &err);
}

static int serve(const bench_peer *peer, server_state *state, int to_parent)
{
    nacre_key *host_key = NULL;
    nacre_key *user_key = NULL;
    bench_report report;
    uint16_t port = 0;
    int rc = 1;

    if (bench_load_key(&host_key, peer->host_key_file) != 0 ||
        bench_load_key(&user_key, peer->key_file) != 0) {
        goto out;
    }
    state->authorized = user_key;
    if (listen_on_any_port(state, peer, &host_key, &port) != 0 ||
        write(to_parent, &port, sizeof port) != (ssize_t)sizeof port) {
        goto out;
    }
    if (nacre_server_run(state->server, false) != NACRE_OK) {
        goto out;
    }
    report.cpu_ms = bench_cpu_ms() - state->cpu_after_warmup;
    report.connections = state->over - state->warmup;
    rc = write(to_parent, &report, sizeof report) == (ssize_t)sizeof report ? 0 : 1;
out:
    nacre_server_free(state->server);
    nacre_key_free(host_key);
    nacre_key_free(user_key);
    return rc;
}

int bench_server_start(bench_server *s, bench_peer *peer, unsigned warmup, unsigned wanted)
{
    server_state state = {.warmup = warmup, .wanted = wanted};
    int ends[2];

    if (pipe(ends) != 0) {
        return 1;
    }
    s->pid = fork();
    if (s->pid == 0) {
        close(ends[0]);
        _exit(serve(peer, &state, ends[1]));
    }
    close(ends[1]);
    s->from_child = ends[0];
    if (s->pid < 0 || read(ends[0], &peer->port, sizeof peer->port) != (ssize_t)sizeof peer->port) {
        fprintf(stderr, "the server did not start\n");
        bench_server_kill(s);
        return 1;
    }
    return 0;
}

static void wait_for(bench_server *s)
{
    while (s->pid > 0 && waitpid(s->pid, NULL, 0) < 0 && errno == EINTR) {
    }
    close(s->from_child);
    s->pid = -1;
}

int bench_server_finish(bench_server *s, bench_report *report)
{
    bool told = read(s->from_child, report, sizeof *report) == (ssize_t)sizeof *report;

    wait_for(s);
    if (!told || report->connections == 0) {
        fprintf(stderr, "the server told nothing\n");
        return 1;
    }
    return 0;
}

void bench_server_kill(bench_server *s)
{
    if (s->pid > 0) {
        kill(s->pid, SIGTERM);
        wait_for(s);
    }
}

/* ---- the client -------------------------------------------------------------------------------- */

int bench_connect(const bench_peer *peer, nacre_key *key, nacre_client **out)
{
    nacre_client_config cfg;
    nacre_error err = {0};
    nacre_key *keys[1] = {key};
    int rc;

    nacre_client_config_init(&cfg);
    cfg.user = peer->user;
    cfg.transport.kex = peer->kex;
    cfg.transport.cipher_c2s = cfg.transport.cipher_s2c = peer->cipher;
    cfg.host_policy = NACRE_HOST_INSECURE; /* the signature is checked all the same */
    cfg.keys = keys;
    cfg.key_count = 1;
    cfg.default_key_files = false;
    cfg.preferred_auth = "publickey";
    rc = nacre_client_open(out, &cfg, peer->host, peer->port, &err);
    return rc == NACRE_OK ? 0 : bench_fail("client", rc, &err);
}
