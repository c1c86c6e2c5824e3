/*
 * echo_server.c - a server of one's own: who logs in gets back what he sends.
 *
 *     echo_server [-k public-key-file] [-w password] host-key-file port
 *
 * Any name is let in that has the one key or the one password; a command and a shell are both an echo,
 * and nothing else is granted. It listens on this machine alone; port 0 is any. It prints the port.
 * (A password on a command line can be seen by everybody on the machine: this is an example.)
 */
#include <nacre/key.h>
#include <nacre/server.h>

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef struct gate {
    nacre_key *key;       /* NULL: no key is let in */
    const char *password; /* NULL: likewise */
} gate;

/* What a session sent and was not sent back yet. No more than its window: see take. */
typedef struct echo {
    uint8_t *bytes;
    size_t n;
    bool ended;
} echo;

static nacre_server *server;

static nacre_verdict auth_key(void *user, nacre_server_conn *c, const nacre_event *ev, bool signed_)
{
    const gate *g = user;
    (void)c;
    (void)signed_; /* the same answer to "would this key do?" and to its signature */
    return g->key && nacre_key_equal(g->key, ev->u.auth.key) ? NACRE_ACCEPT : NACRE_REFUSE;
}

static nacre_verdict auth_password(void *user, nacre_server_conn *c, const nacre_event *ev)
{
    const gate *g = user;
    nacre_span given = ev->u.auth.password;
    size_t n = g->password ? strlen(g->password) : 0;
    unsigned differs = n == 0 || ev->u.auth.change || given.n != n;
    (void)c;
    /* All of it is looked at, so that the time taken does not tell where a guess is wrong. */
    for (size_t i = 0; i < n && i < given.n; i++) {
        differs |= (unsigned)(given.p[i] ^ (uint8_t)g->password[i]);
    }
    return differs ? NACRE_REFUSE : NACRE_ACCEPT;
}

static nacre_verdict yes(void *user, nacre_server_conn *c, const nacre_event *ev)
{
    (void)user;
    (void)c;
    (void)ev;
    return NACRE_ACCEPT;
}

static nacre_verdict start(void *user, nacre_server_conn *c, const nacre_event *ev)
{
    echo *e = calloc(1, sizeof(*e));
    (void)user;
    (void)c;
    nacre_channel_set_user(ev->channel, e);
    return e ? NACRE_ACCEPT : NACRE_REFUSE;
}

/*
 * Sends back what fits, and only then gives window back: a client that sends and does not read is held
 * up by its window, and never fills our memory.
 */
static int send_back(nacre_channel *ch, echo *e)
{
    size_t took = 0;
    int rc = e->n ? nacre_channel_write(ch, NACRE_STDOUT, e->bytes, e->n, &took) : NACRE_OK;
    if (rc == NACRE_OK && took > 0) {
        memmove(e->bytes, e->bytes + took, e->n - took);
        e->n -= took;
        rc = nacre_channel_consumed(ch, took);
    }
    if (rc == NACRE_OK && e->n == 0 && e->ended) {
        rc = nacre_channel_exit_status(ch, 0);
        rc = rc == NACRE_OK ? nacre_channel_eof(ch) : rc;
        rc = rc == NACRE_OK ? nacre_channel_close(ch) : rc;
    }
    return rc;
}

static int take(nacre_server_conn *c, nacre_channel *ch, echo *e, nacre_span data)
{
    uint8_t *more = realloc(e->bytes, e->n + data.n + 1);
    if (!more) {
        return NACRE_NO_MEMORY;
    }
    memcpy(more + e->n, data.p, data.n);
    e->bytes = more;
    e->n += data.n;
    /* At a terminal nobody sends an end of file, but types Control-D. */
    e->ended = e->ended || (nacre_server_session_pty(c, ch) && memchr(data.p, 4, data.n));
    return NACRE_OK;
}

static void event(void *user, nacre_server_conn *c, const nacre_event *ev)
{
    echo *e = ev->channel ? nacre_channel_user(ev->channel) : NULL;
    int rc = NACRE_OK;
    (void)user;
    if (!e) {
        return;
    }
    if (ev->type == NACRE_EVENT_CHANNEL_DATA && !e->ended) {
        rc = take(c, ev->channel, e, ev->u.data.bytes);
    }
    e->ended = e->ended || ev->type == NACRE_EVENT_CHANNEL_EOF;
    rc = rc == NACRE_OK ? send_back(ev->channel, e) : rc;
    if (rc != NACRE_OK && rc != NACRE_CLOSED) {
        nacre_server_conn_disconnect(c, 11, nacre_status_text(rc));
    }
}

static void channel_closed(void *user, nacre_server_conn *c, nacre_channel *ch)
{
    echo *e = nacre_channel_user(ch);
    (void)user;
    (void)c;
    if (e) {
        free(e->bytes);
        free(e);
    }
}

static int read_public_key(nacre_key **out, const char *path, nacre_error *err)
{
    char line[16384];
    FILE *f = fopen(path, "r");
    size_t n = f ? fread(line, 1, sizeof(line), f) : 0;
    if (f) {
        fclose(f);
    }
    return nacre_key_from_public_line(out, NULL, (nacre_span){(const uint8_t *)line, n}, err);
}

static void on_signal(int number)
{
    (void)number;
    nacre_server_stop(server);
}

static int serve(const nacre_server_config *cfg, uint16_t port, nacre_error *err)
{
    int rc = nacre_server_new(&server, cfg, err);
    rc = rc == NACRE_OK ? nacre_server_listen(server, "127.0.0.1", port, &port, err) : rc;
    if (rc == NACRE_OK) {
        printf("listening on 127.0.0.1 port %u\n", (unsigned)port);
        fflush(stdout);
        signal(SIGTERM, on_signal);
        signal(SIGINT, on_signal);
        rc = nacre_server_run(server, false);
    }
    nacre_server_free(server);
    return rc;
}

int main(int argc, char **argv)
{
    gate g = {NULL, NULL};
    nacre_key *host_key = NULL;
    nacre_error err = {0};
    nacre_server_config cfg;
    int letter, rc = NACRE_OK;
    while ((letter = getopt(argc, argv, "k:w:")) != -1 && rc == NACRE_OK) {
        if (letter == 'k') {
            nacre_key_free(g.key);
            rc = read_public_key(&g.key, optarg, &err);
        } else if (letter == 'w') {
            g.password = optarg;
        }
    }
    if (argc - optind != 2 && rc == NACRE_OK) {
        fprintf(stderr, "usage: %s [-k public-key-file] [-w password] host-key-file port\n",
                argv[0]);
        return 2;
    }
    if (rc == NACRE_OK) {
        rc = nacre_key_from_file(&host_key, NULL, argv[optind], (nacre_span){NULL, 0}, true, &err);
    }
    if (rc == NACRE_OK) {
        nacre_server_config_init(&cfg);
        cfg.host_keys = &host_key;
        cfg.host_key_count = 1;
        cfg.callbacks.auth_key = auth_key;
        cfg.callbacks.auth_password = auth_password;
        cfg.callbacks.pty = yes;
        cfg.callbacks.exec = start;
        cfg.callbacks.shell = start;
        cfg.callbacks.event = event;
        cfg.callbacks.channel_closed = channel_closed;
        cfg.callbacks.user = &g;
        rc = serve(&cfg, (uint16_t)atoi(argv[optind + 1]), &err);
    }
    if (rc != NACRE_OK) {
        fprintf(stderr, "%s\n", err.status ? err.text : nacre_status_text(rc));
    }
    nacre_key_free(host_key);
    nacre_key_free(g.key);
    return rc == NACRE_OK ? 0 : 1;
}
