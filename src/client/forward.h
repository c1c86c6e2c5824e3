/*
 * forward.h - what the files of a client's forwardings share. forward.c: the objects and the calls on them;
 * forward_conn.c: one connection of them; forward_local.c: those that are made to us; forward_remote.c: those that the
 * server hands us; forward_socks.c: who says where to by SOCKS; forward_bare.c: channels without a relay;
 * forward_text.c: how people write them.
 */
#ifndef NC_CLIENT_FORWARD_H
#define NC_CLIENT_FORWARD_H

#include "channel/forward.h"
#include "channel/socks.h"
#include "client/state.h"
#include "io/listen.h"
#include "nacre/forward.h"

enum {
    NC_FORWARDS_MAX = 1024, /* of one client: a list that is walked; nobody names as many by hand */
    NC_FORWARD_CONNECTIONS =
        1024,                    /* of one forwarding, when nothing is said: two descriptors each */
    NC_FORWARD_QUEUE = 16,       /* that wait to be accepted, when nothing is said */
    NC_FORWARD_SOCKS_MS = 60000, /* to say by SOCKS where to: programs do it at once */
    /* A connection that nobody made to us by TCP: what OpenSSH names as its origin. */
    NC_FORWARD_NO_PORT = 65535
};

/* RFC 4254 5.1 */
enum { NC_REASON_PROHIBITED = 1, NC_REASON_CONNECT_FAILED = 2, NC_REASON_SHORTAGE = 4 };

typedef enum nc_forward_stage {
    NC_FORWARD_SOCKS,      /* who connected says where to */
    NC_FORWARD_OPENING,    /* the server is asked for the channel */
    NC_FORWARD_CONNECTING, /* we connect for the server */
    NC_FORWARD_RELAYED     /* it runs; the relay has the descriptor, and frees the channel */
} nc_forward_stage;

/* One connection. It outlives its forwarding. */
typedef struct nc_forward_conn {
    struct nc_forward_conn *next;
    nacre_client *c;
    nacre_forward *f; /* NULL: cancelled */
    nc_forward_stage stage;
    bool from_server;  /* the channel was there first, and the descriptor comes second */
    int fd;            /* -1: none yet, or the relay's */
    nacre_channel *ch; /* NULL: none yet, or the relay's */
    uint32_t ticket;   /* of the server's question for ch; 0: answered, or ours */
    nacre_connecting *connecting;
    nacre_endpoint origin;
    char host[NC_FWD_HOST_MAX + 1]; /* where to; "": path */
    uint16_t port;
    nc_socks socks;
    uint8_t in[NC_SOCKS_IN_MAX]; /* of an unfinished step */
    size_t in_n;
    uint64_t timer;
} nc_forward_conn;

/* A channel that waits for nacre_client_accept. */
typedef struct nc_forward_waiting {
    struct nc_forward_waiting *next;
    nacre_channel *ch;
    uint32_t ticket;
    nacre_endpoint origin;
} nc_forward_waiting;

struct nacre_forward {
    nacre_forward *next;
    nacre_client *c;
    nacre_forward_options o; /* its names in names */
    char *names;
    const char *asked_host; /* REMOTE: as the server was asked; in o, or static */
    int status;             /* NACRE_AGAIN: not known yet */
    nacre_error why;
    nc_listen *listener;
    uint32_t number; /* of the global request that waits */
    uint16_t port;
    bool cancelled; /* nobody knows it any more; only the server's answer is waited for */
    bool bare;      /* its connections wait for nacre_client_accept */
    unsigned count; /* connections */
    unsigned queue_max, queued;
    nc_forward_waiting *queue;

    /* Who made it for somebody else (mux_forward.c, mux_listen.c). */
    void *owner;
    void (*gone)(void *owner,
                 nacre_forward *f); /* it was cancelled, or ends with the client; once */
    /* Gets the server's channels, and answers for them. NULL: they are connected, or queued. */
    void (*take)(void *owner, const nacre_event *ev);
};

/* ---- forward.c ---- */

int nc_forward_new(nacre_client *c, const nacre_forward_options *o, bool bare, nacre_forward **out,
                   nacre_error *err) NACRE_MUST_CHECK;
bool nc_forward_is_remote(const nacre_forward *f);
/* Is it still there? */
bool nc_forward_is_listed(const nacre_client *c, const nacre_forward *f);

/* ---- forward_conn.c ---- */

/* NULL: no memory. fd (-1: none) is the connection's on success. */
nc_forward_conn *nc_forward_conn_new(nacre_forward *f, int fd) NACRE_MUST_CHECK;
/* Everything of it that is not the relay's goes; an unanswered question gets the answer no. */
void nc_forward_conn_free(nc_forward_conn *k);
/* Frees it, and tells whoever made the forwarding why. */
void nc_forward_conn_fail(nc_forward_conn *k, const char *fmt, ...) NACRE_PRINTF(2, 3);
/* Ties channel and descriptor together; frees k on failure. The channel is open and one of the client's. */
void nc_forward_conn_relay(nc_forward_conn *k);
/* "host port 80", "/path": where it goes, escaped. */
typedef struct nc_forward_name {
    char text[320];
} nc_forward_name;
nc_forward_name nc_forward_target(const nc_forward_conn *k);

/* ---- forward_local.c ---- */

int nc_forward_listen(nacre_forward *f, nacre_error *err) NACRE_MUST_CHECK;
/* Asks the server for the channel to where k goes. Frees k on failure. */
void nc_forward_open(nc_forward_conn *k);

/* ---- forward_remote.c ---- */

/* Asks the server to listen. */
int nc_forward_request(nacre_forward *f, nacre_error *err) NACRE_MUST_CHECK;
/* Tells it to stop. */
void nc_forward_withdraw(nacre_forward *f);
/* Connects to where k goes, for a channel of the server's. Frees k on failure. */
void nc_forward_connect(nc_forward_conn *k);

/* ---- forward_socks.c ---- */

/* Reads from k's descriptor (DYNAMIC) or channel (REMOTE_DYNAMIC) where to. Frees k on failure. */
void nc_forward_ask_socks(nc_forward_conn *k);
/* The answer to a request that was made by SOCKS; false: it cannot be given. */
bool nc_forward_tell_socks(nc_forward_conn *k, nc_socks_verdict verdict);

/* ---- forward_bare.c ---- */

/* A channel of the server's for a bare forwarding. */
void nc_forward_enqueue(nacre_forward *f, const nacre_event *ev, const nacre_endpoint *origin);
void nc_forward_refuse_queue(nacre_forward *f);

#endif
