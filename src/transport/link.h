/*
 * link.h - the seam between the transport and the services above it (userauth, connection).
 *
 * A service sees the transport as an nc_link: it can send packets, fail the connection, make tickets
 * and ask a few facts. The transport sees a service as an nc_service: packets go up, a few calls more.
 * Neither knows the other's inside; a test gives either one a fake neighbour.
 *
 * How a step works. The transport's next_event asks, in this order: service->poll (events that wait
 * from before), timers, then takes the next packet off the wire and hands it to service->packet. Each
 * of them returns NACRE_OK when *ev is filled, NACRE_AGAIN when there is nothing to tell, or the status
 * that nc_link_fail returned. Views in *ev may point into the packet: it lives until the next step.
 */
#ifndef NC_TRANSPORT_LINK_H
#define NC_TRANSPORT_LINK_H

#include "base/error.h"
#include "nacre/transport.h"
#include "wire/msg.h"

typedef struct nc_link nc_link;

typedef struct nc_link_ops {
    /*
     * Starts a packet and returns a writer for its payload (number byte first), never NULL: an error
     * is sticky in the writer and returned by end. One packet at a time. hint: payload size, 0 unknown.
     */
    nc_wr *(*begin)(nc_link *l, size_t hint);
    /*
     * Sends it: sealed into the output buffer, or held, in order, while a key exchange runs.
     * NACRE_OK; after a failure the connection is failed.
     */
    int (*end)(nc_link *l);
    void (*abandon)(nc_link *l); /* instead of end: forgets what was begun */
    /* Bytes that bulk data may still add below the soft output mark; 0 while a key exchange runs. */
    size_t (*room)(const nc_link *l);
    /*
     * Bulk: lays out packets that each consist of head (whose last field is followed by) one string,
     * of at most max_data bytes each, want bytes in all, and lends the strings' places, *count of them
     * at most. commit(n) seals the packets that hold the first n bytes and forgets the others.
     */
    int (*reserve)(nc_link *l, nacre_span head, size_t max_data, size_t want, nacre_room *rooms,
                   size_t *count);
    int (*commit)(nc_link *l, size_t n);
    /* Makes the connection fail: sticky error, DISCONNECT with the status's reason. Returns status. */
    int (*vfail)(nc_link *l, int status, nacre_blame by, const char *fmt, va_list ap)
        NACRE_PRINTF(4, 0);
    /*
     * userauth says that the user is in: the gate opens for numbers 80 and up. A client calls it for
     * USERAUTH_SUCCESS; a server calls it before it sends that, because its second EXT_INFO must go
     * first. Delayed compression (zlib@openssh.com) starts behind SUCCESS, ssh-connection too.
     */
    int (*authenticated)(nc_link *l, nacre_span user);
    bool (*peer_extension)(const nc_link *l, const char *name, nacre_span *value);
    /*
     * Asks the peer for a sign of life (ping@openssh.com), which sets round_trip_ms and is told nobody.
     * NACRE_UNSUPPORTED: it does not know it, or one is on its way already, or keys are exchanged.
     */
    int (*ping)(nc_link *l);
} nc_link_ops;

#define NC_ROUND_TRIP_UNKNOWN UINT32_MAX

struct nc_link {
    const nc_link_ops *ops;
    const nacre_allocator *alloc;
    nc_log log;
    nacre_role role;
    uint64_t now_ms;
    uint64_t heard_ms;              /* when the peer's last whole packet was read, of any number */
    uint32_t round_trip_ms;         /* the smallest seen; NC_ROUND_TRIP_UNKNOWN */
    nacre_span session_id;          /* of the first exchange; valid before any service runs */
    nacre_span host_key;            /* the server's, as that exchange showed it; likewise */
    const char *host_key_algorithm; /* that it signed by, as negotiated; NULL before; static */
    const char *peer_software;      /* softwareversion of the peer, for quirks; "" before */
    uint32_t quirks;                /* NC_QUIRK_*, see version.h */
    const nacre_config *config;     /* the transport's own copy; lists are resolved names */
    uint32_t next_ticket;           /* low bits; see nc_link_ticket */
    uint32_t open_tickets;          /* for NACRE_AWAITS_ANSWER; owners keep it right */
};

/* Tickets carry their owner, so that an answer finds its way. */
enum { NC_OWNER_TRANSPORT = 1, NC_OWNER_AUTH = 2, NC_OWNER_CHANNEL = 3, NC_OWNER_SHIFT = 30 };
uint32_t nc_link_ticket(nc_link *l, uint32_t owner); /* fresh, never 0; counts open_tickets up */
void nc_link_ticket_done(nc_link *l);                /* counts it down */

/* The peer answered something that left at asked_ms. */
static inline void nc_link_round_trip(nc_link *l, uint64_t asked_ms)
{
    uint64_t ms = l->now_ms - asked_ms;
    l->round_trip_ms = ms < l->round_trip_ms ? (uint32_t)ms : l->round_trip_ms;
}

int nc_link_fail(nc_link *l, int status, const char *fmt, ...)
    NACRE_PRINTF(3, 4); /* the peer broke a rule */
int nc_link_fail_local(nc_link *l, int status, const char *fmt, ...)
    NACRE_PRINTF(3, 4); /* we cannot go on */
/* Encodes one message of messages.def as a packet of its own. */
int nc_link_send(nc_link *l, const nc_msg_desc *d, const void *msg);

typedef struct nc_service {
    void *ctx;
    const char *name; /* "ssh-userauth", "ssh-connection" */
    /* The transport is ready for it (keys in use, service accepted). May send. */
    int (*start)(void *ctx);
    /* A packet of this service's numbers; r stands behind the number byte. NACRE_UNSUPPORTED without
       having failed the link: the number means nothing, and UNIMPLEMENTED is sent. */
    int (*packet)(void *ctx, uint8_t number, nc_rd *r, nacre_event *ev);
    /* Events that wait, work left over, timers that are due (link->now_ms). */
    int (*poll)(void *ctx, nacre_event *ev);
    uint64_t (*deadline)(const void *ctx); /* UINT64_MAX: none */
    int (*answer)(void *ctx, uint32_t ticket, const nacre_answer *a);
    /* The connection is over; tickets are void. Sends nothing. */
    void (*closing)(void *ctx);
} nc_service;

#endif
