/*
 * mux_master.h - the inside of a nacre_mux_master, for the files mux_*.c: the socket, its clients, and what each of
 * them has on the connection.
 */
#ifndef NC_CLIENT_MUX_MASTER_H
#define NC_CLIENT_MUX_MASTER_H

#include "channel/control.h"
#include "client/state.h"
#include "io/loop.h"
#include "nacre/mux.h"

enum {
    /*
     * Clients at a time. Each may have a request of 256 KiB half read; the channels of a connection, 256 by default,
     * are the bound that is met first. Further ones wait in the socket's queue.
     */
    NC_MUX_CLIENTS_MAX = 256,
    NC_MUX_FDS = 3
};

typedef struct nc_mux_bridge nc_mux_bridge;
typedef struct nc_mux_listen nc_mux_listen;

/* A client of the master. */
typedef struct nc_mux_conn {
    struct nc_mux_conn *next;
    nacre_mux_master *m;
    int fd;
    nc_buf in;      /* a packet, length in front, as far as it is there */
    nc_queue out;   /* answers; nothing more is read before they are out */
    nc_ctl_msg msg; /* the request that is being served; its spans lie in in */
    bool has_msg;   /* it waits for its descriptors */
    bool greeted;
    bool paused;          /* an answer is awaited from the server: nothing is read */
    bool proxy_due;       /* when the answer to that is out, it becomes one */
    bool terminate_due;   /* when it has been told so, the application is */
    bool closing;         /* hangs up as soon as the answers are out */
    int came[NC_MUX_FDS]; /* descriptors of the request that is being read or served */
    unsigned came_count;

    /* mux_session.c: a session, or a connection for -W */
    nacre_channel *ch;   /* NULL: none */
    int fds[NC_MUX_FDS]; /* its descriptors, which the relay uses */
    nacre_relay *relay;
    uint32_t request_id;
    bool is_session, pty, filtered, opened;
    char *command, *term; /* owned */
    bool subsystem, agent, x11;
    int escape;
    nc_buf env;            /* strings that the application permits */
    unsigned skip_replies; /* to requests of the application */
    bool pty_reply_due;
    bool line_start, escaped; /* of the escape filter */
    bool hung_up;             /* by ~. */

    /* mux_forward.c */
    nacre_forward *forward; /* the server has not answered for it yet */

    nc_mux_bridge *bridge;  /* mux_bridge.c: it has become a proxy */
    nc_mux_listen *listens; /* mux_listen.c: where the server listens for it */
} nc_mux_conn;

struct nacre_mux_master {
    nacre_client *c;
    const nacre_allocator *alloc;
    nacre_mux_master_options opts;
    char *path; /* owned; NULL: the socket is gone */
    int fd;     /* listens; -1: not any more */
    nc_mux_conn *conns;
    size_t count;
    uint64_t accept_timer; /* no descriptor was left: it is tried again */
    uint64_t idle_timer;
    nc_task idle_task;
};

/* ---- mux_master.c ---- */

/* Queues an answer; without memory for it the client is hung up on. */
void nc_mux_send(nc_mux_conn *x, const nc_ctl_msg *msg);
void nc_mux_ok(nc_mux_conn *x, uint32_t id);
/* type: NC_CTL_S_FAILURE or _DENIED. */
void nc_mux_refuse(nc_mux_conn *x, uint32_t type, uint32_t id, const char *why);
/* What was waited for is there: requests are read again. */
void nc_mux_resume(nc_mux_conn *x);
/* Hangs up when everything is sent; not from inside a call on x: later in this turn. */
void nc_mux_hang_up(nc_mux_conn *x);
/* Its bridge is over: x goes. */
void nc_mux_gone(nc_mux_conn *x);
/* The application allows it; else the answer is on its way. */
bool nc_mux_may(nc_mux_conn *x, uint32_t id, const char *fmt, ...) NACRE_PRINTF(3, 4);
/* The descriptors that came with the request become those of the session. */
void nc_mux_take_fds(nc_mux_conn *x);
void nc_mux_close_fds(nc_mux_conn *x);
/* For client.c and channels.c: the connection is over; a channel came or went. */
void nc_mux_master_over(nacre_mux_master *m);
void nc_mux_master_touch(nacre_mux_master *m);

/* ---- mux_serve.c ---- */

/* Serves x->msg, whose descriptors are there. False: it is nonsense, and the client is to go. */
bool nc_mux_serve(nc_mux_conn *x);

/* ---- mux_session.c ---- */

void nc_mux_open_session(nc_mux_conn *x);
void nc_mux_open_stdio(nc_mux_conn *x);
/* Ends it at once. */
void nc_mux_session_drop(nc_mux_conn *x);
void nc_mux_session_resized(nc_mux_conn *x);
/* The connection was lost: what has no relay yet will never have one. */
void nc_mux_session_over(nc_mux_conn *x);

/* ---- mux_forward.c: as nc_mux_serve ---- */

bool nc_mux_open_forward(nc_mux_conn *x);
bool nc_mux_close_forward(nc_mux_conn *x);
/* x goes, or has its answer. */
void nc_mux_forward_forget(nc_mux_conn *x);

/* ---- mux_escape.c ---- */

/* The relay's filter for the input of a terminal; user is the nc_mux_conn. */
size_t nc_mux_filter(void *user, const uint8_t *in, size_t n, uint8_t *out);

/* ---- mux_bridge.c ---- */

/* The client speaks the connection protocol from now on: its descriptor is taken. */
int nc_mux_bridge_start(nc_mux_conn *x) NACRE_MUST_CHECK;
/* The connection was lost: what is queued goes, then x. */
void nc_mux_bridge_end(nc_mux_bridge *b);
void nc_mux_bridge_free(nc_mux_bridge *b);
/* What was put into either engine leaves. */
void nc_mux_bridge_kick(nc_mux_bridge *b);
/* The engine that the client speaks to. */
nacre_transport *nc_mux_bridge_transport(const nc_mux_bridge *b);
/* A channel that the server opens: the client is asked, and its answer is the server's. */
void nc_mux_bridge_offer(nc_mux_bridge *b, const nacre_event *ev);

/* ---- mux_listen.c ---- */

/* A global request of a proxied client's. */
void nc_mux_listen_request(nc_mux_conn *x, const nacre_event *ev);
void nc_mux_listen_clear(nc_mux_conn *x);

#endif
