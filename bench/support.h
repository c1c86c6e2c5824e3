/*
 * support.h - what the benchmark programs share: clocks, keys, and a server of our own in a child
 * process, whose processor time is then known apart from the client's. Public headers of nacre only.
 */
#ifndef BENCH_SUPPORT_H
#define BENCH_SUPPORT_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "nacre/client.h"

/* Both ends of a benchmark: where the server is, or (host_key_file) that one is to be started. */
typedef struct bench_peer {
    const char *host, *user, *key_file, *host_key_file, *kex, *cipher;
    uint16_t port;
} bench_peer;

/* A server in a child. It ends by itself after `wanted` connections. */
typedef struct bench_server {
    pid_t pid;
    int from_child;
} bench_server;

/* Processor time and connections of that server, those that warmed it up apart. */
typedef struct bench_report {
    double cpu_ms;
    unsigned connections;
} bench_report;

double bench_clock_ms(void);
double bench_cpu_ms(void); /* of this process */
/* Says what failed on stderr; returns 1, an exit status. */
int bench_fail(const char *what, int status, const nacre_error *err);
int bench_load_key(nacre_key **out, const char *path);

/* Starts the server and puts its port into peer. warmup connections are not counted. */
int bench_server_start(bench_server *s, bench_peer *peer, unsigned warmup, unsigned wanted);
/* Waits for the report; call when all connections are closed. */
int bench_server_finish(bench_server *s, bench_report *report);
void bench_server_kill(bench_server *s);

/* Connects and logs in with the key. */
int bench_connect(const bench_peer *peer, nacre_key *key, nacre_client **out);

#endif
