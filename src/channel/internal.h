/*
 * internal.h - what the files of this floor share: the multiplexer, a channel, and the caps.
 */
#ifndef NC_CHANNEL_INTERNAL_H
#define NC_CHANNEL_INTERNAL_H

#include "channel/hostkeys.h"
#include "channel/mux.h"
#include "channel/replies.h"

enum {
    /*
     * A peer's max_packet below it is refused: 0 would loop for ever, and a few bytes would make a
     * packet of overhead out of every byte that we are asked to send.
     */
    NC_MIN_PEER_PACKET = 64,
    /* Our own: RFC 4253 6.1 demands 32768, but small devices choose less; below it nothing works well. */
    NC_MIN_OWN_PACKET = 1024,
    /* Most data in one packet, either way: with header, padding and tag it stays below NC_MAX_PACKET. */
    NC_MAX_DATA = 255 * 1024,
    /* Name and data of one request or open that we send: must fit a packet for the same reason. */
    NC_MAX_REQUEST = 255 * 1024,
    /* RFC 4250 4.6.1: names are printable US-ASCII and at most 64 characters. */
    NC_MAX_NAME = 64,
    /*
     * Requests of one channel that the peer sent and the application has not answered. OpenSSH sends
     * about ten at the start of a session (env, pty-req, shell) without waiting; memory bounds it.
     */
    NC_MAX_CHANNEL_ANSWERS = 64,
    /* The same for global requests: a client asks for all its remote forwardings at once. */
    NC_MAX_GLOBAL_ANSWERS = 256,
    /* Our own unanswered requests; a peer that does not answer so many will answer none. */
    NC_MAX_CHANNEL_REQUESTS = 256,
    NC_MAX_GLOBAL_REQUESTS = 256,
    /* What a data packet costs beside its data, about: header, padding, tag. */
    NC_PACKET_COST = 64,
    /* A write waits rather than make a packet smaller than this because the output is nearly full. */
    NC_SLIVER = 4096,
    /* Ids are array indexes; more channels than this on one connection is a mistake in a config. */
    NC_MAX_CHANNELS = 1 << 20,
    NC_DEFAULT_CHANNELS = 256,
    NC_DEFAULT_WINDOW = 2 * 1024 * 1024,
    NC_DEFAULT_PACKET = 64 * 1024
};

#define NC_NEVER_ASKED UINT64_MAX

/* Reasons of CHANNEL_OPEN_FAILURE, RFC 4254 5.1. */
enum {
    NC_OPEN_PROHIBITED = 1,
    NC_OPEN_CONNECT_FAILED = 2,
    NC_OPEN_UNKNOWN_TYPE = 3,
    NC_OPEN_RESOURCE_SHORTAGE = 4
};

/* How large a channel's receive window shall be, and what that is judged by: see window_size.c. */
typedef struct nc_window_size {
    bool bulk;           /* for files: the adjusts of a near peer come in few large steps */
    uint32_t start, cap; /* the same: a window that never grows */
    uint32_t goal;       /* what window_max is on its way to */
    uint32_t grown;      /* part of window_max, and of the multiplexer's window_grown */
    bool counting;
    uint64_t since_ms; /* of the round trip that is counted; may lie ahead */
    uint64_t counted;  /* bytes consumed in it */
    uint64_t used_ms;  /* when a good part of the window was last in use */
    uint64_t rate;     /* bytes a second, when it grew last */
} nc_window_size;

typedef enum nc_channel_phase {
    NC_CH_OPENING, /* ours: the peer has not answered */
    NC_CH_ASKED,   /* the peer's: the application has not answered */
    NC_CH_OPEN,    /* until CLOSE has gone both ways */
    NC_CH_GONE     /* no number any more, only the handle is left */
} nc_channel_phase;

struct nacre_channel {
    nc_mux *mux;
    nacre_channel *prev, *next;           /* all handles of the multiplexer */
    nacre_channel *wait_prev, *wait_next; /* those that wait for room in the output */
    nacre_channel *ended_next;            /* those whose end is to be told */
    void *user;
    nc_replies answers; /* requests of the peer that are not answered yet */
    uint64_t unconsumed;
    uint64_t bytes_in, bytes_out;
    size_t lent; /* between reserve and commit */
    uint32_t id, peer_id;
    uint32_t ticket; /* ASKED: the question; else 0 */
    nc_window_size size;
    uint64_t
        asked_ms; /* when the open, or the request that waits longest, left; else NC_NEVER_ASKED */
    uint32_t window_max; /* window_in + unconsumed + owed never exceeds it */
    uint32_t window_in;  /* what the peer may still send */
    uint32_t owed;       /* consumed, but not yet given back */
    uint32_t max_packet_in;
    uint32_t window_out;
    uint32_t max_packet_out;
    uint32_t want[2]; /* by stream: what the last write had left over; 0: it waits for nothing */
    uint16_t requests_pending;
    uint8_t phase;
    bool waiting; /* in the waiting list */
    bool close_wanted, close_sent, close_received;
    bool hold_close; /* the peer's CLOSE is told, and answered when the application closes */
    bool eof_sent, eof_received;
    bool detached; /* the application has freed the handle */
    bool known;    /* a channel type that this library knows */
    bool session;  /* type "session": serves the requests of RFC 4254 6 */
    char type[];
};

typedef struct nc_slot {
    nacre_channel *ch;  /* NULL: free */
    uint32_t next_free; /* index of the next free slot, or UINT32_MAX */
} nc_slot;

struct nc_mux {
    nc_link *link;
    nacre_transport *handle;
    nc_slot *slots; /* by our channel number */
    uint32_t slots_used, slots_cap, first_free;
    uint32_t numbers; /* slots in use */
    uint32_t handles; /* channel objects, closed ones that the application still holds included */
    uint32_t max_channels; /* bounds both */
    nacre_channel *first;
    nacre_channel *wait_first, *wait_last;
    nacre_channel *ended_first, *ended_last;
    nc_replies answers;                        /* global requests of the peer */
    uint8_t asked[NC_MAX_GLOBAL_REQUESTS / 8]; /* ring of our global requests: 1 = a keepalive */
    uint16_t asked_head, asked_count;
    uint32_t asked_number, answered_number; /* how many were sent, and answered, so far */
    uint64_t asked_ms;                      /* as a channel's, of the first of them */
    uint64_t window_grown; /* of all channels, beyond the windows they started with */
    bool pinged;           /* to know the round trip, once */
    uint32_t keepalive_missed;
    uint64_t keepalive_heard; /* link->heard_ms when we last looked */
    uint64_t keepalive_since; /* silence counts from here; how much of it, config says each time */
    nc_hostkeys host_keys;
    bool started, over, no_more_sessions;
};

/* ---- mux.c: the table of channels --------------------------------------------------------------- */

/* A new channel with a number; *out NULL and NACRE_LIMIT or NACRE_NO_MEMORY. */
int nc_mux_add(nc_mux *m, nacre_span type, nacre_channel **out) NACRE_MUST_CHECK;
/* The number may be used again; tickets and waiting end. The handle stays, or dies if detached. */
void nc_mux_retire(nacre_channel *ch);
void nc_mux_destroy(nacre_channel *ch); /* the object itself; retires first */
nacre_channel *nc_mux_find(const nc_mux *m, uint32_t id);
/* The peer answered what was asked then: a measure of the round trip. Answers come in order. */
void nc_mux_answered(nc_mux *m, uint64_t *asked_ms);
bool nc_mux_name_ok(nacre_span name); /* RFC 4250 4.6.1: printable, 1 to NC_MAX_NAME bytes */
void nc_mux_event(nacre_event *ev, nacre_event_type type, nacre_channel *ch);
int nc_mux_malformed(nc_mux *m, const char *what);
/* CLOSE has gone both ways, and ours was the last: the next step retires the channel and tells it. */
void nc_mux_ended(nacre_channel *ch);

/* ---- channel.c ---------------------------------------------------------------------------------- */

int nc_channel_send_close(nacre_channel *ch); /* once; tickets of requests become void */
int nc_channel_answer_open(nacre_channel *ch, const nacre_answer *a);
int nc_channel_refuse(nc_mux *m, uint32_t peer_id, uint32_t reason, const char *text);
/* NACRE_OK when packets may be sent on it, else NACRE_WRONG_STATE or NACRE_CLOSED. */
int nc_channel_usable(const nacre_channel *ch);
/* The same for a report of the program's end, which a held CLOSE waits for. */
int nc_channel_reportable(const nacre_channel *ch);

/* ---- channel_in.c, requests_in.c, global.c: packets ---------------------------------------------- */

int nc_in_channel_open(nc_mux *m, nc_rd *r, nacre_event *ev);
int nc_in_channel_confirmation(nc_mux *m, nc_rd *r, nacre_event *ev);
int nc_in_channel_failure(nc_mux *m, nc_rd *r, nacre_event *ev);
int nc_in_window_adjust(nc_mux *m, nc_rd *r, nacre_event *ev);
int nc_in_data(nc_mux *m, nc_rd *r, nacre_event *ev);
int nc_in_extended_data(nc_mux *m, nc_rd *r, nacre_event *ev);
int nc_in_eof(nc_mux *m, nc_rd *r, nacre_event *ev);
int nc_in_close(nc_mux *m, nc_rd *r, nacre_event *ev);
int nc_in_request(nc_mux *m, nc_rd *r, nacre_event *ev);
int nc_in_request_success(nc_mux *m, nc_rd *r, nacre_event *ev);
int nc_in_request_failure(nc_mux *m, nc_rd *r, nacre_event *ev);
int nc_in_global_request(nc_mux *m, nc_rd *r, nacre_event *ev);
int nc_in_global_success(nc_mux *m, nc_rd *r, nacre_event *ev);
int nc_in_global_failure(nc_mux *m, nc_rd *r, nacre_event *ev);

/* The open channel that a packet is for; NULL after failing the connection, with the status in *rc. */
nacre_channel *nc_in_target(nc_mux *m, uint32_t id, const char *what, int *rc);

/* ---- requests_in.c ------------------------------------------------------------------------------ */

int nc_channel_flush_answers(nacre_channel *ch);

/* ---- global.c ----------------------------------------------------------------------------------- */

int nc_global_answer(nc_mux *m, nc_reply *slot, const nacre_answer *a);
void nc_keepalive_start(nc_mux *m);
int nc_keepalive_poll(nc_mux *m);
uint64_t nc_keepalive_deadline(const nc_mux *m);

/* ---- window.c: how much may flow ----------------------------------------------------------------- */

/* What the peer may send: the caps of configuration and protocol apply. window 0: as configured. */
void nc_window_init(nacre_channel *ch, uint32_t window, uint32_t max_packet);
/* Takes n bytes of data from the peer's credit; fails the connection on an overrun. */
int nc_window_take(nacre_channel *ch, size_t n);
/* The policy: how many bytes the peer's window grows by now, ch->owed and growth. 0: not yet. */
uint32_t nc_window_refill(const nacre_channel *ch);
/* Data is dealt with: sends WINDOW_ADJUST when the policy says so. */
int nc_window_return(nacre_channel *ch, uint32_t n);
/* Most data in one packet to the peer. */
uint32_t nc_window_packet(const nacre_channel *ch);
/* How much data window and output take now, packet overhead counted. */
size_t nc_window_room(const nacre_channel *ch);
/* The same for a writer with n bytes: 0 rather than a sliver. */
size_t nc_window_budget(const nacre_channel *ch, size_t n);
/* A writer of this stream had left bytes over (0: none): it waits for WRITABLE. */
void nc_window_wait(nacre_channel *ch, int stream, size_t left);
void nc_window_wait_end(nacre_channel *ch); /* nobody waits on it any more */
/* The window has changed: who waits for it may now wait for the output, or the other way round. */
void nc_window_moved(nacre_channel *ch);
/* The channel whose turn it is to be told WRITABLE, or NULL; it waits no more. */
nacre_channel *nc_window_next(nc_mux *m);

/* ---- window_size.c: how large receive windows are ------------------------------------------------- */

/* Sets window_max and window_in. window 0: as configured, and it may grow. */
void nc_window_size_init(nacre_channel *ch, uint32_t window);
void nc_window_size_retire(nacre_channel *ch); /* leaves its growth to other channels */
/* n bytes are part of ch->owed now; may set another goal, and lower owed and window_max to it. */
int nc_window_consumed(nacre_channel *ch, uint32_t n);
/* What the peer may get above what is owed, and that it has got it. */
uint32_t nc_window_growth(const nacre_channel *ch);
void nc_window_grown(nacre_channel *ch, uint32_t more);

#endif
