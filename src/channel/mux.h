/*
 * mux.h - the ssh-connection service (RFC 4254) as the engine sees it.
 *
 * The engine makes one multiplexer per connection, hands its nc_service to the transport, and defines
 * the public functions that take a transport (nacre_channel_open, nacre_channel_open_session,
 * nacre_global_request) in terms of nc_mux_open and nc_mux_global_request.
 */
#ifndef NC_CHANNEL_MUX_H
#define NC_CHANNEL_MUX_H

#include "nacre/channel.h"
#include "transport/link.h"

typedef struct nc_mux nc_mux;

/* Returns owned in *out. Borrows link and public_handle, which must outlive it. */
int nc_mux_new(nc_mux **out, nc_link *link, nacre_transport *public_handle) NACRE_MUST_CHECK;
/* Frees all channels too: their handles die with it. Sends nothing. NULL ok. */
void nc_mux_free(nc_mux *m);

/*
 * Name "ssh-connection". Its packet function returns NACRE_UNSUPPORTED, and leaves the connection
 * alone, for a number that RFC 4254 does not define: the transport answers it with UNIMPLEMENTED.
 */
nc_service nc_mux_service(nc_mux *m);

/* As nacre_channel_open; NACRE_WRONG_STATE before the service has started, NACRE_CLOSED after its end. */
int nc_mux_open(nc_mux *m, const char *type, nacre_span data, uint32_t window, uint32_t max_packet,
                nacre_channel **out) NACRE_MUST_CHECK;
/* As nacre_global_request. NACRE_LIMIT: too many of ours are unanswered. */
int nc_mux_global_request(nc_mux *m, const char *name, bool want_reply,
                          nacre_span data) NACRE_MUST_CHECK;
int nc_mux_no_more_sessions(nc_mux *m) NACRE_MUST_CHECK;
uint32_t nc_mux_global_number(const nc_mux *m); /* as nacre_global_request_number */
/* hostkeys.c: a server's own keys, which it announces; a client's request for the proof of some. */
int nc_mux_add_host_key(nc_mux *m, nacre_key *key) NACRE_MUST_CHECK;
int nc_mux_prove_host_keys(nc_mux *m, nacre_key *const *keys, size_t count) NACRE_MUST_CHECK;
/* Channels that have a number: opening, open or not yet closed by both sides. */
uint32_t nc_mux_channels(const nc_mux *m);
/* As nacre_channel_next. */
nacre_channel *nc_mux_next(const nc_mux *m, const nacre_channel *prev);

/*
 * A channel for bulk data, before any has come: where the round trip is long its window begins with what a
 * good link carries in one, up to 16 MiB and its cap. It is granted with the next data that is consumed. Where it is short, adjusts are
 * of half the window.
 */
void nc_window_for_bulk(nacre_channel *ch);

#endif
