/*
 * event_loop.c - the engine in a loop of one's own: nothing of nacre here knows a socket.
 *
 *     event_loop host port user key-file command
 *
 * The host key is shown, and accepted only when its fingerprint is given in HOST_FINGERPRINT.
 */
#include <nacre/channel.h>
#include <nacre/key.h>
#include <nacre/transport.h>

#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

typedef struct session {
    nacre_transport *t;
    nacre_channel *ch;
    const char *command;
    int status;
} session;

static uint64_t now_ms(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

static int dial(const char *host, const char *port)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *list = NULL;
    int fd = -1;
    if (getaddrinfo(host, port, &hints, &list) != 0) {
        return -1;
    }
    for (struct addrinfo *a = list; a && fd < 0; a = a->ai_next) {
        fd = socket(a->ai_family, a->ai_socktype, a->ai_protocol);
        if (fd >= 0 && connect(fd, a->ai_addr, a->ai_addrlen) != 0) {
            close(fd);
            fd = -1;
        }
    }
    freeaddrinfo(list);
    return fd;
}

static bool trust(const nacre_key *key)
{
    char shown[128];
    const char *wanted = getenv("HOST_FINGERPRINT");
    if (nacre_key_fingerprint(key, "sha256", shown, sizeof(shown)) < 0) {
        return false;
    }
    fprintf(stderr, "host key: %s\n", shown);
    return wanted && strcmp(wanted, shown) == 0;
}

static int handle(session *s, const nacre_event *ev)
{
    switch (ev->type) {
    case NACRE_EVENT_HOST_KEY:
        return trust(ev->u.host_key.key) ? nacre_transport_accept(s->t, ev->ticket)
                                         : nacre_transport_refuse(s->t, ev->ticket);
    case NACRE_EVENT_AUTH_RESULT:
        if (ev->u.auth_result.status != NACRE_OK) {
            return nacre_transport_disconnect(s->t, 14, "no more ways to log in");
        }
        return nacre_channel_open_session(s->t, &s->ch);
    case NACRE_EVENT_CHANNEL_OPENED:
        return nacre_channel_exec(
            s->ch, (nacre_span){(const uint8_t *)s->command, strlen(s->command)}, true);
    case NACRE_EVENT_CHANNEL_REPLY:
        return nacre_channel_eof(s->ch);
    case NACRE_EVENT_CHANNEL_DATA:
        fwrite(ev->u.data.bytes.p, 1, ev->u.data.bytes.n,
               ev->u.data.stream == NACRE_STDERR ? stderr : stdout);
        return nacre_channel_consumed(s->ch, ev->u.data.bytes.n);
    case NACRE_EVENT_EXIT_STATUS:
        s->status = (int)ev->u.exit.status;
        return NACRE_OK;
    case NACRE_EVENT_CHANNEL_CLOSED:
        return nacre_transport_disconnect(s->t, 11, "done");
    default:
        return ev->ticket ? nacre_transport_refuse(s->t, ev->ticket) : NACRE_OK;
    }
}

/* Everything that can be done without waiting. False: the connection is over. */
static bool work(session *s, int fd)
{
    nacre_event ev;
    int rc;
    while ((rc = nacre_transport_next_event(s->t, &ev)) == NACRE_OK) {
        rc = handle(s, &ev);
        if (rc != NACRE_OK) {
            fprintf(stderr, "%s\n", nacre_status_text(rc));
            return false;
        }
    }
    for (nacre_span out = nacre_transport_output(s->t); out.n > 0;
         out = nacre_transport_output(s->t)) {
        ssize_t sent = send(fd, out.p, out.n, MSG_NOSIGNAL);
        if (sent < 0) {
            return false;
        }
        nacre_transport_sent(s->t, (size_t)sent);
    }
    return rc == NACRE_AGAIN;
}

static void wait_and_read(session *s, int fd)
{
    uint64_t deadline = nacre_transport_deadline(s->t), now = now_ms();
    struct pollfd p = {fd, POLLIN, 0};
    int timeout = deadline == UINT64_MAX ? -1 : deadline > now ? (int)(deadline - now) : 0;
    size_t room = 0;
    uint8_t *to = nacre_transport_recv_buffer(s->t, &room);
    if (to && poll(&p, 1, timeout) > 0) {
        ssize_t got = read(fd, to, room);
        (void)nacre_transport_received(s->t, got > 0 ? (size_t)got : 0);
    }
    nacre_transport_advance(s->t, now_ms());
}

int main(int argc, char **argv)
{
    session s = {.status = 255};
    nacre_config cfg;
    nacre_key *key = NULL;
    nacre_error err = {0};
    if (argc < 6) {
        fprintf(stderr, "usage: %s host port user key-file command\n", argv[0]);
        return 2;
    }
    s.command = argv[5];
    int fd = dial(argv[1], argv[2]);
    if (fd < 0) {
        fprintf(stderr, "no connection to %s port %s\n", argv[1], argv[2]);
        return 255;
    }
    nacre_config_init(&cfg, NACRE_CLIENT);
    int rc = nacre_key_from_file(&key, NULL, argv[4], (nacre_span){NULL, 0}, true, &err);
    if (rc == NACRE_OK) {
        rc = nacre_transport_new(&s.t, &cfg, now_ms(), &err);
    }
    if (rc == NACRE_OK) { /* it leaves with the last message of the key exchange */
        rc = nacre_transport_auth_publickey(s.t, argv[3], key, NULL);
    }
    while (rc == NACRE_OK && work(&s, fd)) {
        wait_and_read(&s, fd);
    }
    if (s.t && nacre_transport_error(s.t)->status != NACRE_CLOSED) {
        fprintf(stderr, "%s\n", nacre_transport_error(s.t)->text);
    }
    if (err.status != NACRE_OK) {
        fprintf(stderr, "%s\n", err.text);
    }
    nacre_transport_free(s.t);
    nacre_key_free(key);
    close(fd);
    return s.status;
}
