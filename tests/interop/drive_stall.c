/*
 * drive_stall PORT USER KEYFILE KNOWN_HOSTS BYTES STALL
 *
 * Ten commands on one connection, each of which prints BYTES; with STALL 1 beside them one that prints without end,
 * of which nothing is consumed. Prints: bytes that came of the ten, their milliseconds, what the stalled one was given,
 * the most memory that there was.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "nacre/client.h"
#include "support/counted.h"

enum { LANES = 10, WINDOW = 256 * 1024 };

typedef struct lane {
    struct run *all;
    nacre_channel *ch;
    unsigned long long got;
    bool stalled;
} lane;

typedef struct run {
    lane lanes[LANES + 1];
    unsigned open;
} run;

/* ---- lanes ---- */

static int on_lane(void *user, const nacre_event *ev)
{
    lane *l = user;
    if (ev->type == NACRE_EVENT_CHANNEL_DATA) {
        l->got += ev->u.data.bytes.n;
        if (!l->stalled) {
            (void)nacre_channel_consumed(l->ch, ev->u.data.bytes.n);
        }
    } else if (ev->type == NACRE_EVENT_CHANNEL_CLOSED && !l->stalled) {
        l->all->open--;
    }
    return NACRE_AGAIN;
}

static int all_done(void *user)
{
    const run *r = user;
    return r->open == 0 ? NACRE_OK : NACRE_AGAIN;
}

static int start(nacre_client *c, lane *l, const char *command)
{
    nacre_span words = {(const uint8_t *)command, strlen(command)};
    int rc = nacre_client_session(c, 0, &l->ch);
    if (rc == NACRE_OK) {
        rc = nacre_client_on_channel(c, l->ch, on_lane, l);
    }
    return rc == NACRE_OK ? nacre_channel_exec(l->ch, words, false) : rc;
}

static double now_ms(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static int flow(nacre_client *c, const char *bytes, bool stall, const counted *memory)
{
    static run r;
    char command[64];
    double begin = now_ms();
    unsigned long long sum = 0;
    (void)snprintf(command, sizeof(command), "head -c %s /dev/zero", bytes);
    r.lanes[LANES].stalled = true;
    int rc = stall ? start(c, &r.lanes[LANES], "cat /dev/zero") : NACRE_OK;
    for (size_t i = 0; rc == NACRE_OK && i < LANES; i++) {
        r.lanes[i].all = &r;
        r.open++;
        rc = start(c, &r.lanes[i], command);
    }
    if (rc == NACRE_OK) {
        rc = nacre_client_run(c, all_done, &r, 0);
    }
    double end = now_ms();
    for (size_t i = 0; i < LANES; i++) {
        sum += r.lanes[i].got;
    }
    printf("%llu %.0f %llu %zu\n", sum, end - begin, r.lanes[LANES].got, memory->peak);
    return rc;
}

int main(int argc, char **argv)
{
    nacre_client_config cfg;
    nacre_client *c = NULL;
    nacre_error err;
    nacre_known_hosts *known = NULL;
    if (argc != 7 || nacre_known_hosts_new(&known, NULL) != NACRE_OK ||
        nacre_known_hosts_add_file(known, argv[4], &err) != NACRE_OK) {
        return 2;
    }
    counted memory;
    counted_init(&memory);
    nacre_allocator hook = counted_hook(&memory);
    nacre_client_config_init(&cfg);
    const char *files[] = {argv[3]};
    cfg.user = argv[2];
    cfg.key_files = files;
    cfg.key_file_count = 1;
    cfg.default_key_files = false;
    cfg.known_hosts = known;
    cfg.transport.allocator = &hook;
    cfg.transport.window = cfg.transport.window_cap = WINDOW;
    int rc = nacre_client_open(&c, &cfg, "127.0.0.1", (uint16_t)strtoul(argv[1], NULL, 10), &err);
    if (rc == NACRE_OK) {
        rc = flow(c, argv[5], argv[6][0] == '1', &memory);
        err = *nacre_client_error(c);
    }
    if (rc != NACRE_OK) {
        (void)fprintf(stderr, "%s: %s\n", nacre_status_symbol(rc), err.text);
    }
    nacre_client_free(c);
    nacre_known_hosts_free(known);
    return rc == NACRE_OK ? 0 : 1;
}
