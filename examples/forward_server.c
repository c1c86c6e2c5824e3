/*
 * forward_server.c - a server that forwards ports and grants nothing else: a jump host, or a place to which those
 * behind a NAT bring their services.
 *
 *     forward_server host-key-file authorized-keys-file port
 *
 * Any name is let in whose key is in the file. What its line says holds: permitopen="host:port" and
 * permitlisten="port" name what may be asked for, no-port-forwarding forbids all of it. It listens on this
 * machine alone, and so do the listeners that clients ask for; port 0 is any. It prints the port.
 */
#include <nacre/authorized_keys.h>
#include <nacre/key.h>
#include <nacre/server.h>

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static nacre_server *server;
static char keys[1 << 20]; /* the authorized_keys file */
static size_t keys_size;

/* ---- who gets in: what his key was granted belongs to the connection ---- */

static nacre_verdict connected(void *user, nacre_server_conn *c)
{
    nacre_key_grant *grant = calloc(1, sizeof(*grant));
    (void)user;
    nacre_server_conn_set_user(c, grant);
    return grant ? NACRE_ACCEPT : NACRE_REFUSE;
}

static void disconnected(void *user, nacre_server_conn *c, const nacre_error *why)
{
    (void)user;
    (void)why;
    free(nacre_server_conn_user(c));
}

static nacre_verdict auth_key(void *user, nacre_server_conn *c, const nacre_event *ev, bool signed_)
{
    char name[256];
    nacre_key_grant grant;
    nacre_login_facts facts = {.user = name,
                               .peer_address = nacre_server_conn_peer(c)->address,
                               .now_seconds = (int64_t)time(NULL)};
    (void)user;
    if (ev->u.auth.user.n >= sizeof(name)) {
        return NACRE_REFUSE;
    }
    memcpy(name, ev->u.auth.user.p, ev->u.auth.user.n);
    name[ev->u.auth.user.n] = '\0';
    if (nacre_authorized_keys_check((nacre_span){(const uint8_t *)keys, keys_size}, ev->u.auth.key,
                                    &facts, &grant, NULL) != NACRE_OK) {
        return NACRE_REFUSE;
    }
    if (signed_ &&
        nacre_key_grant_signature(&grant, &ev->u.auth.sk, false, false, NULL) != NACRE_OK) {
        return NACRE_REFUSE;
    }
    if (signed_) { /* before that it is only a question */
        *(nacre_key_grant *)nacre_server_conn_user(c) = grant;
    }
    return NACRE_ACCEPT;
}

/* ---- what he may: the library does the rest ---- */

static nacre_verdict judge(nacre_server_conn *c, const nacre_server_forward *f, bool listens)
{
    const nacre_key_grant *grant = nacre_server_conn_user(c);
    bool yes = f->path ? false : nacre_key_grant_permits(grant, listens, f->host, f->port);
    printf("%s: %s %s port %u: %s\n", nacre_server_conn_peer(c)->address,
           listens ? "listen on" : "connect to", f->path ? "a socket," : "", f->port,
           yes ? "yes" : "no");
    fflush(stdout);
    return yes ? NACRE_ACCEPT : NACRE_REFUSE;
}

static nacre_verdict direct_open(void *user, nacre_server_conn *c, const nacre_event *ev,
                                 nacre_server_forward *f)
{
    (void)user;
    (void)ev;
    f->timeout_ms = 10000;
    return judge(c, f, false);
}

static nacre_verdict forward_request(void *user, nacre_server_conn *c, const nacre_event *ev,
                                     nacre_server_forward *f)
{
    (void)user;
    (void)ev;
    f->gateway_ports = 0; /* on loopback, whatever the client asks for */
    return judge(c, f, true);
}

/* ---- */

static void on_signal(int number)
{
    (void)number;
    nacre_server_stop(server);
}

static int serve(nacre_key *host_key, uint16_t port, nacre_error *err)
{
    nacre_server_config cfg;
    nacre_server_config_init(&cfg);
    cfg.host_keys = &host_key;
    cfg.host_key_count = 1;
    cfg.transport.untouched_keys = true; /* nacre_key_grant_signature asks for the touch */
    cfg.callbacks.connected = connected;
    cfg.callbacks.disconnected = disconnected;
    cfg.callbacks.auth_key = auth_key;
    cfg.callbacks.direct_open = direct_open;
    cfg.callbacks.forward_request = forward_request;
    int rc = nacre_server_new(&server, &cfg, err);
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
    nacre_key *host_key = NULL;
    nacre_error err = {0};
    if (argc != 4) {
        fprintf(stderr, "usage: %s host-key-file authorized-keys-file port\n", argv[0]);
        return 2;
    }
    FILE *f = fopen(argv[2], "r");
    if (!f) {
        perror(argv[2]);
        return 1;
    }
    keys_size = fread(keys, 1, sizeof(keys), f);
    fclose(f);
    if (keys_size == sizeof(keys)) {
        fprintf(stderr, "%s is too long\n", argv[2]);
        return 1;
    }
    int rc = nacre_key_from_file(&host_key, NULL, argv[1], (nacre_span){NULL, 0}, true, &err);
    rc = rc == NACRE_OK ? serve(host_key, (uint16_t)atoi(argv[3]), &err) : rc;
    if (rc != NACRE_OK) {
        fprintf(stderr, "%s\n", err.status ? err.text : nacre_status_text(rc));
    }
    nacre_key_free(host_key);
    return rc == NACRE_OK ? 0 : 1;
}
