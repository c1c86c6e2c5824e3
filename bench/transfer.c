/*
 * transfer.c - bulk SFTP by the library's blocking calls, start and login not counted: what is left
 * is the path of a byte. With a server of our own in a child it is the place to profile.
 *
 *     transfer (-p PORT | -s HOSTKEY) -i KEY [-u USER] [-c CIPHER] [-n TIMES] (get|put) FROM TO
 *
 * Prints one line of JSON a transfer, the first (which warms up) left out. Server processor time is
 * of all transfers together, so it stands in a last line.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "nacre/sftp_transfer.h"
#include "support.h"

typedef struct job {
    const char *from, *to;
    bool get;
    unsigned times;
} job;

static double gib_of(const char *path)
{
    struct stat st;

    return stat(path, &st) == 0 ? (double)st.st_size / (double)(1 << 30) : 0;
}

/* One connection, one transfer. report false: to warm up. */
static int transfer(const bench_peer *peer, const job *j, nacre_key *key, bool report)
{
    nacre_client *c = NULL;
    nacre_sftp *s = NULL;
    nacre_error err = {0};
    double wall, cpu, gib;
    int rc;

    (void)unlink(j->to); /* whose pages are reused must not depend on the turn */
    if (bench_connect(peer, key, &c) != 0) {
        return 1;
    }
    rc = nacre_sftp_open(&s, c, NULL, &err);
    if (rc != NACRE_OK) {
        nacre_client_free(c);
        return bench_fail("sftp", rc, &err);
    }
    wall = bench_clock_ms();
    cpu = bench_cpu_ms();
    rc = j->get ? nacre_sftp_get(s, j->from, j->to, NULL) : nacre_sftp_put(s, j->from, j->to, NULL);
    wall = bench_clock_ms() - wall;
    cpu = bench_cpu_ms() - cpu;
    if (rc != NACRE_OK) {
        bench_fail(j->from, rc, nacre_sftp_error(s));
    }
    nacre_sftp_close(s);
    nacre_client_disconnect(c);
    nacre_client_free(c);
    gib = gib_of(j->to);
    if (rc == NACRE_OK && report) {
        printf("{\"mb_s\": %.1f, \"client_cpu_s_per_gib\": %.4f}\n",
               gib * (double)(1 << 30) / 1e3 / wall, cpu / 1e3 / gib);
        fflush(stdout);
    }
    return rc == NACRE_OK ? 0 : 1;
}

static int parse(bench_peer *p, job *j, int argc, char **argv)
{
    int c;

    while ((c = getopt(argc, argv, "p:s:i:u:c:n:")) != -1) {
        switch (c) {
        case 'p':
            p->port = (uint16_t)strtoul(optarg, NULL, 10);
            break;
        case 's':
            p->host_key_file = optarg;
            break;
        case 'i':
            p->key_file = optarg;
            break;
        case 'u':
            p->user = optarg;
            break;
        case 'c':
            p->cipher = optarg;
            break;
        case 'n':
            j->times = (unsigned)strtoul(optarg, NULL, 10);
            break;
        default:
            return 1;
        }
    }
    if (argc - optind != 3 || p->key_file == NULL || (p->port == 0) == (p->host_key_file == NULL)) {
        return 1;
    }
    j->get = strcmp(argv[optind], "get") == 0;
    j->from = argv[optind + 1];
    j->to = argv[optind + 2];
    return j->times == 0 || (!j->get && strcmp(argv[optind], "put") != 0);
}

int main(int argc, char **argv)
{
    bench_peer peer = {.host = "127.0.0.1", .kex = "curve25519-sha256"};
    bench_server server = {.pid = -1};
    bench_report report;
    job j = {.times = 5};
    nacre_key *key = NULL;
    unsigned i;
    int rc;

    if (parse(&peer, &j, argc, argv) != 0) {
        fprintf(stderr, "usage: transfer (-p PORT | -s HOSTKEY) -i KEY [-u USER] [-c CIPHER] "
                        "[-n TIMES] (get|put) FROM TO\n");
        return 2;
    }
    if (peer.host_key_file != NULL && bench_server_start(&server, &peer, 1, j.times) != 0) {
        return 1;
    }
    rc = bench_load_key(&key, peer.key_file);
    for (i = 0; rc == 0 && i <= j.times; i++) {
        rc = transfer(&peer, &j, key, i > 0);
    }
    nacre_key_free(key);
    if (rc == 0 && server.pid > 0) {
        rc = bench_server_finish(&server, &report);
        if (rc == 0) {
            printf("{\"server_cpu_s_per_gib\": %.4f}\n",
                   report.cpu_ms / 1e3 / (gib_of(j.to) * (double)report.connections));
        }
    }
    bench_server_kill(&server);
    return rc;
}
