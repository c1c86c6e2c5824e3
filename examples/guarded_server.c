/*
 * guarded_server.c - a server for strangers: every limit that the library has, set, and what they did.
 *
 *     guarded_server [-g seconds] [-i seconds] [-e exempt] user crypt-hash host-key-file port
 *
 * Serves a tree in memory by SFTP to one user with one password, whose hash is crypt(3)'s (openssl passwd -6). Who is
 * not logged in after -g seconds (20) goes, and so does a session over which nothing went for -i seconds (300).
 * -e: addresses that no failure counts against. It listens on this machine alone; port 0 is any. It prints the port,
 * and what was refused when it ends (SIGTERM, SIGINT).
 */
#include <nacre/account.h>
#include <nacre/key.h>
#include <nacre/memory_files.h>
#include <nacre/server.h>

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { SECOND = 1000, KIB = 1024 };

typedef struct service {
    const char *user, *hash;
    uint32_t idle_ms;
    nacre_memory_files *files;
} service;

static nacre_server *server;

/* ---- what a stranger can do ------------------------------------------------------------------------------ */

/*
 * How many that are not logged in, from where, for how long, and how often they may try. Of one connection's memory
 * the library takes care itself (docs/limits.md).
 */
static void limit_strangers(nacre_server_config *cfg, uint32_t grace_ms, const char *exempt)
{
    cfg->max_connections = 200;
    cfg->startups_begin = 20; /* from 20 on every second one is refused, from 60 on all */
    cfg->startups_rate = 50;
    cfg->startups_full = 60;
    cfg->sources.per_source = 5;
    cfg->sources.block6 = 64; /* who has one address of IPv6 has all of its network */
    cfg->sources.penalties = true;
    cfg->sources.penalty_ms[NACRE_OFFENCE_AUTH_FAIL] = 10 * SECOND;
    cfg->sources.penalty_min_ms = 10 * SECOND; /* refused from here on */
    cfg->sources.exempt = exempt;
    cfg->transport.login_grace_ms = grace_ms;
    cfg->transport.kex_timeout_ms = 10 * SECOND;
    cfg->transport.max_auth_tries = 3;
    cfg->transport.auth_methods = "password";
}

/* For a name that there is not, NULL is compared: that takes as long, and the answer is the same. */
static nacre_verdict auth_password(void *user, nacre_server_conn *c, const nacre_event *ev)
{
    const service *s = user;
    nacre_span name = ev->u.auth.user;
    bool known = name.n == strlen(s->user) && memcmp(name.p, s->user, name.n) == 0;
    (void)c;
    const char *hash = known ? s->hash : NULL;
    bool good = nacre_password_matches(hash, ev->u.auth.password) == NACRE_OK;
    return good && !ev->u.auth.change ? NACRE_ACCEPT : NACRE_REFUSE;
}

/* ---- what a user can do ---------------------------------------------------------------------------------- */

static void limit_users(nacre_server_config *cfg)
{
    cfg->max_sessions = 4;
    cfg->transport.max_channels = 8;
    cfg->transport.window = 256 * KIB; /* what a channel can have on its way to us */
    cfg->transport.window_cap = 256 * KIB;
    cfg->transport.output_soft = 256 * KIB; /* what waits for a client that does not read */
    cfg->transport.output_hard = 1024 * KIB;
    cfg->transport.keepalive_ms = 30 * SECOND;
    cfg->transport.keepalive_max = 3;
}

static nacre_verdict authenticated(void *user, nacre_server_conn *c, const char *name,
                                   const nacre_key *key)
{
    const service *s = user;
    (void)name;
    (void)key;
    nacre_server_conn_unused_timeout(c, s->idle_ms);
    int rc = nacre_server_conn_channel_timeout(c, "session", s->idle_ms);
    return rc == NACRE_OK ? NACRE_ACCEPT : NACRE_REFUSE;
}

static nacre_verdict subsystem(void *user, nacre_server_conn *c, const nacre_event *ev)
{
    const service *s = user;
    nacre_error err = {0};
    nacre_sftp_server_options so;
    nacre_span name = ev->u.request.command;
    if (name.n != 4 || memcmp(name.p, "sftp", 4) != 0) {
        return NACRE_REFUSE;
    }
    nacre_sftp_server_options_init(&so);
    so.max_handles = 16;
    so.max_backlog = 512 * (size_t)KIB; /* above the window */
    int rc = nacre_server_sftp(c, ev->channel, nacre_memory_files_ops(), s->files, &so, NULL, &err);
    return rc == NACRE_OK ? NACRE_ACCEPT : NACRE_REFUSE;
}

/* ---- what came of it ------------------------------------------------------------------------------------- */

static void row(const char *what, uint64_t n)
{
    printf("%8" PRIu64 " %s\n", n, what);
}

static void report(void)
{
    nacre_server_counts n = {.size = sizeof(n)};
    nacre_source_counts from = {.size = sizeof(from)};
    nacre_server_get_counts(server, &n);
    nacre_sources_counts(nacre_server_sources(server), &from);
    row("connections", n.accepted);
    row("refused: too many in all", n.refused_full);
    row("refused: too many not logged in", from.refused_startups);
    row("refused: too many of their source", from.refused_source);
    row("refused: penalties", from.refused_penalty + from.refused_overflow);
    row("dropped for another source's", from.instead);
    row("attempts to log in", n.attempts);
    row("logins", n.logins);
    row("ended without a login", n.ended_before_login);
    row("ended by a cap", n.ended_by_cap);
    row("ended unused", n.ended_unused);
    row("sessions refused", n.refused_sessions);
    row("sessions closed idle", n.idle_channels);
    for (int i = NACRE_OFFENCE_NONE + 1; i < NACRE_OFFENCES; i++) {
        row(nacre_offence_name((nacre_offence)i), from.offences[i]);
    }
}

static void on_signal(int number)
{
    (void)number;
    nacre_server_stop(server);
}

static int run(const nacre_server_config *cfg, uint16_t port, nacre_error *err)
{
    int rc = nacre_server_new(&server, cfg, err);
    rc = rc == NACRE_OK ? nacre_server_listen(server, "127.0.0.1", port, &port, err) : rc;
    if (rc == NACRE_OK) {
        printf("listening on 127.0.0.1 port %u\n", (unsigned)port);
        fflush(stdout);
        signal(SIGTERM, on_signal);
        signal(SIGINT, on_signal);
        rc = nacre_server_run(server, false);
        report();
    }
    nacre_server_free(server);
    return rc;
}

int main(int argc, char **argv)
{
    service s = {NULL, NULL, 300 * SECOND, NULL};
    nacre_key *host_key = NULL;
    nacre_error err = {0};
    nacre_server_config cfg;
    uint32_t grace_ms = 20 * SECOND;
    const char *exempt = NULL;
    int letter;
    while ((letter = getopt(argc, argv, "g:i:e:")) != -1) {
        uint32_t ms = optarg ? (uint32_t)strtoul(optarg, NULL, 10) * SECOND : 0;
        grace_ms = letter == 'g' ? ms : grace_ms;
        s.idle_ms = letter == 'i' ? ms : s.idle_ms;
        exempt = letter == 'e' ? optarg : exempt;
    }
    if (argc - optind != 4) {
        fprintf(
            stderr,
            "usage: %s [-g seconds] [-i seconds] [-e exempt] user crypt-hash host-key-file port\n",
            argv[0]);
        return 2;
    }
    s.user = argv[optind];
    s.hash = argv[optind + 1];
    int rc =
        nacre_key_from_file(&host_key, NULL, argv[optind + 2], (nacre_span){NULL, 0}, true, &err);
    rc = rc == NACRE_OK ? nacre_memory_files_new(&s.files, NULL) : rc;
    if (rc == NACRE_OK) {
        nacre_server_config_init(&cfg);
        cfg.host_keys = &host_key;
        cfg.host_key_count = 1;
        cfg.callbacks.auth_password = auth_password;
        cfg.callbacks.authenticated = authenticated;
        cfg.callbacks.subsystem = subsystem;
        cfg.callbacks.user = &s;
        limit_strangers(&cfg, grace_ms, exempt);
        limit_users(&cfg);
        rc = run(&cfg, (uint16_t)atoi(argv[optind + 3]), &err);
    }
    if (rc != NACRE_OK) {
        fprintf(stderr, "%s\n", err.status ? err.text : nacre_status_text(rc));
    }
    nacre_memory_files_free(s.files);
    nacre_key_free(host_key);
    return rc == NACRE_OK ? 0 : 1;
}
