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
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "support.h"

enum { WARMUP = 3, MAX_IDLE = 512 };

typedef struct options {
    bench_peer peer;
    unsigned count;
    unsigned idle;
} options;

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

/* Total of wall and CPU time of o->count logins, after those that warm up. */
static int log_in_often(const options *o, nacre_key *key, double *wall, double *cpu)
{
    double wall_start = 0, cpu_start = 0;
    nacre_client *c;
    unsigned i;

    for (i = 0; i < o->count + WARMUP; i++) {
        if (i == WARMUP) {
            wall_start = bench_clock_ms();
            cpu_start = bench_cpu_ms();
        }
        if (bench_connect(&o->peer, key, &c) != 0) {
            return 1;
        }
        nacre_client_disconnect(c);
        nacre_client_free(c);
    }
    *wall = bench_clock_ms() - wall_start;
    *cpu = bench_cpu_ms() - cpu_start;
    return 0;
}

static int hold_idle(const options *o, nacre_key *key, pid_t server)
{
    static nacre_client *held[MAX_IDLE];
    double client_before, server_before;
    unsigned i, open = 0;
    int rc = 0;

    /* One connection first: what is made once for all belongs to no connection. */
    rc = bench_connect(&o->peer, key, &held[open]);
    client_before = pss_kib(getpid());
    server_before = server > 0 ? pss_kib(server) : 0;
    for (open = rc == 0 ? 1 : 0; rc == 0 && open <= o->idle && open < MAX_IDLE; open++) {
        rc = bench_connect(&o->peer, key, &held[open]);
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

static int measure(const options *o, nacre_key *key, bench_server *server)
{
    bench_report report;
    double wall, cpu;
    double n = (double)o->count;

    if (log_in_often(o, key, &wall, &cpu) != 0) {
        return 1;
    }
    printf("{\"logins\": %u, \"attempts\": %u, \"wall_ms\": %.4f, \"client_cpu_ms\": %.4f",
           o->count, o->count + WARMUP, wall / n, cpu / n);
    if (server->pid > 0) {
        if (bench_server_finish(server, &report) != 0) {
            return 1;
        }
        printf(", \"server_cpu_ms\": %.4f", report.cpu_ms / (double)report.connections);
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
            o->peer.port = (uint16_t)strtoul(optarg, NULL, 10);
            break;
        case 'i':
            o->peer.key_file = optarg;
            break;
        case 'h':
            o->peer.host = optarg;
            break;
        case 'u':
            o->peer.user = optarg;
            break;
        case 'n':
            o->count = (unsigned)strtoul(optarg, NULL, 10);
            break;
        case 'k':
            o->peer.kex = optarg;
            break;
        case 's':
            o->peer.host_key_file = optarg;
            break;
        case 'I':
            o->idle = (unsigned)strtoul(optarg, NULL, 10);
            break;
        default:
            return 1;
        }
    }
    return o->peer.key_file == NULL || o->count == 0 ||
           (o->peer.port == 0) == (o->peer.host_key_file == NULL);
}

int main(int argc, char **argv)
{
    options o = {.peer = {.host = "127.0.0.1", .kex = "curve25519-sha256"}, .count = 100};
    bench_server server = {.pid = -1};
    nacre_key *key = NULL;
    int rc;

    if (parse(&o, argc, argv) != 0) {
        fprintf(stderr, "usage: login (-p PORT | -s HOSTKEY) -i KEY [-h HOST] [-u USER] [-n N] "
                        "[-k KEX] [-I N]\n");
        return 2;
    }
    if (o.peer.host_key_file != NULL &&
        bench_server_start(&server, &o.peer, WARMUP, o.count) != 0) {
        return 1;
    }
    rc = bench_load_key(&key, o.peer.key_file);
    if (rc == 0) {
        rc = o.idle > 0 ? hold_idle(&o, key, server.pid) : measure(&o, key, &server);
    }
    nacre_key_free(key);
    bench_server_kill(&server);
    return rc;
}
