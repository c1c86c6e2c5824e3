/*
 * forward.h - what the files of forwarding share. A connection that a client asks for is a channel in state
 * NC_WORK_CONNECTING until it is made; what it has listened on is a list of its connection's.
 */
#ifndef NC_SERVER_FORWARD_H
#define NC_SERVER_FORWARD_H

#include "server/server.h"

enum {
    /*
     * Of one connection, at once. Each is one or two descriptors for as long as the client likes; people ask for a
     * handful.
     */
    NC_MAX_FORWARDS = 128,
    /* As long as the system waits for an answer to SYN, about; the client may give up before. */
    NC_FORWARD_CONNECT_MS = 120000
};

/* forward.c: is the open one of those that direct_open judges? Then it is dealt with. */
bool nc_direct_open(nc_chan *k, const nacre_event *ev);
/* The connection that is under way is given up. */
void nc_direct_drop(nc_chan *k);

/* forward_listen.c: is the global request one of forwarding's? Then it is dealt with. */
bool nc_conn_forward_request(nacre_server_conn *c, const nacre_event *ev);
void nc_conn_forwards_clear(nacre_server_conn *c);

#endif
