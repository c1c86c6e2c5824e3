/*
 * nacre/channel.h - channels (RFC 4254): sessions, data, windows, requests, global requests.
 *
 * A handle stays valid until nacre_channel_free or nacre_transport_free, with one exception: refusing
 * NACRE_EVENT_CHANNEL_OPEN ends the handle that came with it. Handles that are closed but not freed
 * count against max_channels. Calls on a channel never block and never step the engine; what follows
 * from them comes as events. NACRE_CLOSED: the channel or the connection is over; NACRE_WRONG_STATE:
 * the channel is not open yet.
 *
 * The library itself refuses channel types that the other role serves ("session" to a client,
 * "forwarded-tcpip" to a server), session requests on other channels, and session requests to a
 * client; it answers keepalive@openssh.com and no-more-sessions@openssh.com. All else is asked.
 */
#ifndef NACRE_CHANNEL_H
#define NACRE_CHANNEL_H

#include "nacre/transport.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { NACRE_STDOUT = 0, NACRE_STDERR = 1 }; /* streams: data, and extended data type 1 */

/*
 * Opens a channel; *out is usable at once for queries and freeing, and for data after
 * NACRE_EVENT_CHANNEL_OPENED. data: the type-specific rest of CHANNEL_OPEN, borrowed.
 * window 0: as configured, and it grows with the link (nacre_config.window_cap); else it stays what it
 * is (but see nacre_channel_window_cap). max_packet 0: as configured; max_packet is at least 1 KiB, and cut to 255 KiB.
 * NACRE_LIMIT above max_channels; NACRE_WRONG_STATE before authentication is over.
 */
NACRE_API int nacre_channel_open(nacre_transport *t, const char *type, nacre_span data,
                                 uint32_t window, uint32_t max_packet,
                                 nacre_channel **out) NACRE_MUST_CHECK;
NACRE_API int nacre_channel_open_session(nacre_transport *t, nacre_channel **out) NACRE_MUST_CHECK;
/*
 * Gives the handle up. Before the channel is closed this closes it; data that still arrives is dropped
 * (its window given back), no further event names the channel, and the engine remembers its number
 * until the peer has closed too.
 */
NACRE_API void nacre_channel_free(nacre_channel *ch);

/*
 * Walks the handles of a connection that are not freed, closed ones and those of others included, in no
 * order: prev NULL begins, NULL ends. Nothing may be opened or freed between two calls.
 */
NACRE_API nacre_channel *nacre_channel_next(const nacre_transport *t, const nacre_channel *prev);

NACRE_API nacre_transport *nacre_channel_transport(const nacre_channel *ch);
NACRE_API uint32_t nacre_channel_id(const nacre_channel *ch);      /* our number */
NACRE_API const char *nacre_channel_type(const nacre_channel *ch); /* borrowed with the handle */
/* A pointer of the application's, never looked at. */
NACRE_API void nacre_channel_set_user(nacre_channel *ch, void *user);
NACRE_API void *nacre_channel_user(const nacre_channel *ch);

/*
 * ---- requests (RFC 4254 6; replies come in order as NACRE_EVENT_CHANNEL_REPLY when wanted) -------
 *
 * Any number of them may be sent without waiting; NACRE_LIMIT: 256 wanted a reply and have none yet.
 * NACRE_TOO_LARGE: it would not fit into a packet.
 */

NACRE_API int nacre_channel_request(nacre_channel *ch, const char *name, bool want_reply,
                                    nacre_span data) NACRE_MUST_CHECK;
NACRE_API int nacre_channel_exec(nacre_channel *ch, nacre_span command,
                                 bool want_reply) NACRE_MUST_CHECK;
NACRE_API int nacre_channel_shell(nacre_channel *ch, bool want_reply) NACRE_MUST_CHECK;
NACRE_API int nacre_channel_subsystem(nacre_channel *ch, const char *name,
                                      bool want_reply) NACRE_MUST_CHECK;
NACRE_API int nacre_channel_env(nacre_channel *ch, const char *name, const char *value,
                                bool want_reply) NACRE_MUST_CHECK;
NACRE_API int nacre_channel_pty(nacre_channel *ch, const nacre_pty *pty,
                                bool want_reply) NACRE_MUST_CHECK;
NACRE_API int nacre_channel_window_change(nacre_channel *ch, const nacre_pty *pty) NACRE_MUST_CHECK;
NACRE_API int nacre_channel_signal(nacre_channel *ch,
                                   const char *name) NACRE_MUST_CHECK; /* "TERM" */
NACRE_API int nacre_channel_break(nacre_channel *ch, uint32_t milliseconds,
                                  bool want_reply) NACRE_MUST_CHECK;
/* Server: may the client stop and start output by itself (RFC 4254 6.8)? Comes as a request, number set. */
NACRE_API int nacre_channel_xon_xoff(nacre_channel *ch, bool client_can_do) NACRE_MUST_CHECK;
/*
 * What the peer sends is not read any more: it may stop, but the channel stays open the other way (OpenSSH
 * PROTOCOL 2.1, eow@openssh.com). Peers that do not know it go on sending; consume what comes.
 */
NACRE_API int nacre_channel_end_of_write(nacre_channel *ch) NACRE_MUST_CHECK;
/* Server: how the program ended. */
NACRE_API int nacre_channel_exit_status(nacre_channel *ch, uint32_t status) NACRE_MUST_CHECK;
NACRE_API int nacre_channel_exit_signal(nacre_channel *ch, const char *name, bool core_dumped,
                                        const char *message) NACRE_MUST_CHECK;

/* ---- data --------------------------------------------------------------------------------------- */

/*
 * Sends up to n bytes; *took says how many were taken (window, packet size and output mark decide;
 * may be 0: wait for NACRE_EVENT_CHANNEL_WRITABLE). What was taken is never lost or repeated.
 * NACRE_CLOSED after eof or close.
 */
NACRE_API int nacre_channel_write(nacre_channel *ch, int stream, const void *p, size_t n,
                                  size_t *took) NACRE_MUST_CHECK;
/* How much a write would take now. */
NACRE_API size_t nacre_channel_write_room(const nacre_channel *ch);
/*
 * The same without a copy: lends up to want bytes in the output buffer, in *count rooms (in: how many
 * fit into rooms; out: how many are lent; 0: wait for WRITABLE). Fill them from the first on, e.g. with
 * readv, then commit the number of bytes; commit 0 gives them back. Between the two no other call on
 * this transport is allowed.
 */
NACRE_API int nacre_channel_reserve(nacre_channel *ch, int stream, size_t want, nacre_room *rooms,
                                    size_t *count) NACRE_MUST_CHECK;
NACRE_API int nacre_channel_commit(nacre_channel *ch, size_t n) NACRE_MUST_CHECK;
/*
 * The most that the receive window may grow to, bytes; 0: nacre_config.window_cap, which is also the
 * most. Not above what the window is now: it grows no more. For channels that were opened with a window
 * of their own it makes that the one they begin with.
 */
NACRE_API void nacre_channel_window_cap(nacre_channel *ch, uint32_t bytes);
/* n bytes of received data are dealt with: only this gives window back to the peer. */
NACRE_API int nacre_channel_consumed(nacre_channel *ch, size_t n);
/* No more data from us (after what was written). Idempotent. */
NACRE_API int nacre_channel_eof(nacre_channel *ch);
/*
 * Closes; data written before goes out first. Idempotent. While the open is unanswered the close
 * follows the peer's confirmation; a channel that we are asked for is refused by its ticket instead.
 * Requests of the peer that are not answered yet become void.
 */
NACRE_API int nacre_channel_close(nacre_channel *ch);
/*
 * The peer's CLOSE is answered at once, unless hold is true: then it comes as
 * NACRE_EVENT_CHANNEL_PEER_CLOSED, and ours waits for nacre_channel_close, after which
 * NACRE_EVENT_CHANNEL_CLOSED follows. For servers whose program is still running: peers close as soon
 * as EOF went both ways, and want its exit status all the same. Between the two events only
 * nacre_channel_exit_status and nacre_channel_exit_signal can be sent; all else, data and EOF included,
 * is NACRE_CLOSED, and requests of the peer that are not answered yet become void. The channel counts
 * as open until it is closed, so hold it for a reason that ends. hold false lets go: a CLOSE that was
 * held is answered. NACRE_CLOSED after our own close.
 */
NACRE_API int nacre_channel_hold_close(nacre_channel *ch, bool hold);

typedef struct nacre_channel_info {
    bool open, eof_sent, eof_received, close_sent, close_received;
    uint32_t peer_id;
    uint32_t window_in, window_out; /* bytes left */
    uint32_t
        window_max; /* ours: window_in, unconsumed, and what is not given back yet never exceed it */
    uint32_t round_trip_ms; /* of the connection, the smallest seen; UINT32_MAX: not known */
    uint32_t max_packet_in, max_packet_out;
    uint64_t unconsumed; /* delivered, not yet given back */
    uint64_t bytes_in, bytes_out;
    uint32_t requests_pending; /* ours, unanswered */
} nacre_channel_info;
NACRE_API void nacre_channel_get_info(const nacre_channel *ch, nacre_channel_info *out);

/* ---- global requests (RFC 4254 4) ---------------------------------------------------------------- */

/* The answer to one that wants a reply is NACRE_EVENT_GLOBAL_REPLY; NACRE_LIMIT as above. */
NACRE_API int nacre_global_request(nacre_transport *t, const char *name, bool want_reply,
                                   nacre_span data) NACRE_MUST_CHECK;
/*
 * Client: no session will be opened any more (OpenSSH PROTOCOL 2.2, no-more-sessions@openssh.com), so that who
 * takes this process over later cannot open one. Sessions that are open go on; nacre_channel_open refuses
 * further ones with NACRE_WRONG_STATE. Not answered. Servers get NACRE_WRONG_STATE.
 */
NACRE_API int nacre_no_more_sessions(nacre_transport *t) NACRE_MUST_CHECK;
/* The number of the last one that wanted a reply: u.reply.number of its answer. Several askers of one
 * connection know theirs by it. 0 before the first. */
NACRE_API uint32_t nacre_global_request_number(const nacre_transport *t);

#ifdef __cplusplus
}
#endif
#endif
