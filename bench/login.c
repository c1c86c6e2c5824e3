/*
 * login.c - what a login costs: N sequential blocking logins in one process, with the processor time
 * that they took. Uses public headers only, so it is also what an embedding program would pay.
 *
 *     login -p PORT -i KEY [-h HOST] [-u USER] [-n N] [-k KEX]    against a server that runs
 *     login -s HOSTKEY -i KEY [-n N] [-k KEX]                     against a server of our own, in a child
 *     ... -I N      instead of logins: N connections kept open, and what memory each costs
 *
 * Prints one line of JSON; times are milliseconds per login. The first logins warm up and do not count.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "nacre/client.h"
#include "nacre/server.h"

enum { WARMUP = 3, MAX_IDLE = 512 };

typedef struct options {
    const char *host, *user, *key_file, *host_key_file, *kex;
    uint16_t port;
    unsigned count;
    unsigned idle;
} options;

/* What the server in the child tells when it is done. */
typedef struct server_report {
    double cpu_ms;
    unsigned logins;
} server_report;

typedef struct server_state {
    nacre_server *server;
    const nacre_key *authorized;
    unsigned over;
    unsigned wanted;
    double cpu_after_warmup;
} server_state;

static double clock_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static double own_cpu_ms(void)
{
    struct rusage u;

    getrusage(RUSAGE_SELF, &u);
    return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1e3 +
           (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e3;
}

/* Proportional set size in KiB, or 0 where /proc does not tell. */
static double pss_kib(pid_t pid)
{
    char path[64], line[256];
    unsigned long kib = 0;
    FILE *f;

    snprintf(path, sizeof path, "/proc/%ld/smaps_rollup", (long)pid);
    f = fopen(path, "r");
    if (f == NULL) {
        return 0;
    }
    while (fgets(line, sizeof line, f) != NULL) {
        if (sscanf(line, "Pss: %lu kB", &kib) == 1) {
            break;
        }
    }
    fclose(f);
    return (double)kib;
}

static int fail(const char *what, int status, const nacre_error *err)
{
    fprintf(stderr, "login: %s: %s: %s\n", what, nacre_status_text(status), err->text);
    return 1;
}

static int load_key(nacre_key **out, const char *path)
{
    nacre_error err = {0};
    nacre_span none = {NULL, 0};
    int rc = nacre_key_from_file(out, NULL, path, none, false, &err);

    return rc == NACRE_OK ? 0 : fail(path, rc, &err);
}

/* ---- the server in the child ------------------------------------------------------------------------- */

static nacre_verdict on_key(void *user, nacre_server_conn *c, const nacre_event *ev, bool signed_)
{
    const server_state *s = user;

    (void)c;
    (void)signed_;
    return nacre_key_equal(ev->u.auth.key, s->authorized) ? NACRE_ACCEPT : NACRE_REFUSE;
}

static void on_disconnected(void *user, nacre_server_conn *c, const nacre_error *why)
{
    server_state *s = user;

    (void)c;
    (void)why;
    s->over++;
    if (s->over == WARMUP) {
        s->cpu_after_warmup = own_cpu_ms();
    }
    if (s->over == s->wanted) {
        nacre_server_stop(s->server);
    }
}

static int serve(const options *o, int to_parent)
{
    server_state state = {0};
    nacre_server_config cfg;
    nacre_error err = {0};
    nacre_key *host_key = NULL;
    nacre_key *user_key = NULL;
    server_report report;
    uint16_t port = 0;
    int rc;

    if (load_key(&host_key, o->host_key_file) != 0 || load_key(&user_key, o->key_file) != 0) {
        return 1;
    }
    nacre_server_config_init(&cfg);
    cfg.transport.kex = o->kex;
    cfg.host_keys = &host_key;
    cfg.host_key_count = 1;
    cfg.startups_begin = cfg.startups_full = MAX_IDLE;
    cfg.callbacks.auth_key = on_key;
    cfg.callbacks.disconnected = on_disconnected;
    cfg.callbacks.user = &state;
    state.authorized = user_key;
    state.wanted = o->count + WARMUP;
    rc = nacre_server_new(&state.server, &cfg, &err);
    if (rc == NACRE_OK) {
        rc = nacre_server_listen(state.server, "127.0.0.1", 0, &port, &err);
    }
    if (rc != NACRE_OK) {
        return fail("server", rc, &err);
    }
    if (write(to_parent, &port, sizeof port) != (ssize_t)sizeof port) {
        return 1;
    }
    rc = nacre_server_run(state.server, false);
    report.cpu_ms = own_cpu_ms() - state.cpu_after_warmup;
    report.logins = state.over - WARMUP;
    nacre_server_free(state.server);
    nacre_key_free(host_key);
    nacre_key_free(user_key);
    return rc == NACRE_OK && write(to_parent, &report, sizeof report) == (ssize_t)sizeof report ? 0
                                                                                                : 1;
}

static pid_t start_server(options *o, int *from_child)
{
    int ends[2];
    pid_t pid;

    if (pipe(ends) != 0) {
        return -1;
    }
    pid = fork();
    if (pid == 0) {
        close(ends[0]);
        _exit(serve(o, ends[1]));
    }
    close(ends[1]);
    *from_child = ends[0];
    if (pid > 0 && read(ends[0], &o->port, sizeof o->port) != (ssize_t)sizeof o->port) {
        fprintf(stderr, "login: the server did not start\n");
        return -1;
    }
    return pid;
}

/* ---- the client --------------------------------------------------------------------------------------- */

static int open_one(const options *o, nacre_key *key, nacre_client **out)
{
    nacre_client_config cfg;
    nacre_error err = {0};
    nacre_key *keys[1] = {key};
    int rc;

    nacre_client_config_init(&cfg);
    cfg.user = o->user;
    cfg.transport.kex = o->kex;
    cfg.host_policy = NACRE_HOST_INSECURE; /* the signature is checked all the same */
    cfg.keys = keys;
    cfg.key_count = 1;
    cfg.default_key_files = false;
    cfg.preferred_auth = "publickey";
    rc = nacre_client_open(out, &cfg, o->host, o->port, &err);
    return rc == NACRE_OK ? 0 : fail("client", rc, &err);
}

/* Total of wall and CPU time of o->count logins, after those that warm up. */
static int log_in_often(const options *o, nacre_key *key, double *wall, double *cpu)
{
    double wall_start = 0, cpu_start = 0;
    nacre_client *c;
    unsigned i;

    for (i = 0; i < o->count + WARMUP; i++) {
        if (i == WARMUP) {
            wall_start = clock_ms();
            cpu_start = own_cpu_ms();
        }
        if (open_one(o, key, &c) != 0) {
            return 1;
        }
        nacre_client_disconnect(c);
        nacre_client_free(c);
    }
    *wall = clock_ms() - wall_start;
    *cpu = own_cpu_ms() - cpu_start;
    return 0;
}

static int hold_idle(const options *o, nacre_key *key, pid_t server)
{
    static nacre_client *held[MAX_IDLE];
    double client_before, server_before;
    unsigned i, open = 0;
    int rc = 0;

    /* One connection first: what is made once for all belongs to no connection. */
    rc = open_one(o, key, &held[open]);
    client_before = pss_kib(getpid());
    server_before = server > 0 ? pss_kib(server) : 0;
    for (open = rc == 0 ? 1 : 0; rc == 0 && open <= o->idle && open < MAX_IDLE; open++) {
        rc = open_one(o, key, &held[open]);
        if (rc != 0) {
            break;
        }
    }
    if (rc == 0 && open > 1) {
        double n = (double)(open - 1);

        printf("{\"idle\": %u, \"client_kib\": %.1f", open - 1,
               (pss_kib(getpid()) - client_before) / n);
        if (server > 0) {
            printf(", \"server_kib\": %.1f", (pss_kib(server) - server_before) / n);
        }
        printf("}\n");
    }
    for (i = 0; i < open; i++) {
        nacre_client_free(held[i]);
    }
    return rc;
}

static int measure(const options *o, nacre_key *key, int from_child)
{
    server_report report;
    double wall, cpu;
    double n = (double)o->count;

    if (log_in_often(o, key, &wall, &cpu) != 0) {
        return 1;
    }
    printf("{\"logins\": %u, \"attempts\": %u, \"wall_ms\": %.4f, \"client_cpu_ms\": %.4f",
           o->count, o->count + WARMUP, wall / n, cpu / n);
    if (from_child >= 0) {
        if (read(from_child, &report, sizeof report) != (ssize_t)sizeof report ||
            report.logins == 0) {
            fprintf(stderr, "login: the server told nothing\n");
            return 1;
        }
        printf(", \"server_cpu_ms\": %.4f", report.cpu_ms / (double)report.logins);
    }
    printf("}\n");
    return 0;
}

static int parse(options *o, int argc, char **argv)
{
    int c;

    while ((c = getopt(argc, argv, "p:i:h:u:n:k:s:I:")) != -1) {
        switch (c) {
        case 'p':
            o->port = (uint16_t)strtoul(optarg, NULL, 10);
            break;
        case 'i':
            o->key_file = optarg;
            break;
        case 'h':
            o->host = optarg;
            break;
        case 'u':
            o->user = optarg;
            break;
        case 'n':
            o->count = (unsigned)strtoul(optarg, NULL, 10);
            break;
        case 'k':
            o->kex = optarg;
            break;
        case 's':
            o->host_key_file = optarg;
            break;
        case 'I':
            o->idle = (unsigned)strtoul(optarg, NULL, 10);
            break;
        default:
            return 1;
        }
    }
    return o->key_file == NULL || o->count == 0 || (o->port == 0) == (o->host_key_file == NULL);
}

int main(int argc, char **argv)
{
    options o = {.host = "127.0.0.1", .kex = "curve25519-sha256", .count = 100};
    nacre_key *key = NULL;
    int from_child = -1;
    pid_t server = -1;
    int rc;

    if (parse(&o, argc, argv) != 0) {
        fprintf(stderr, "usage: login (-p PORT | -s HOSTKEY) -i KEY [-h HOST] [-u USER] [-n N] "
                        "[-k KEX] [-I N]\n");
        return 2;
    }
    if (o.host_key_file != NULL) {
        server = start_server(&o, &from_child);
        if (server < 0) {
            return 1;
        }
    }
    rc = load_key(&key, o.key_file);
    if (rc == 0) {
        rc = o.idle > 0 ? hold_idle(&o, key, server) : measure(&o, key, from_child);
    }
    nacre_key_free(key);
    if (server > 0) {
        if (rc != 0 || o.idle > 0) {
            kill(server, SIGTERM);
        }
        while (waitpid(server, NULL, 0) < 0 && errno == EINTR) {
        }
        close(from_child);
    }
    return rc;
}
