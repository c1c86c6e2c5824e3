/*
 * core.h - the transport proper: version exchange, key exchange, gate, rekey, EXT_INFO, timers, over a
 * packetizer (RFC 4253, RFC 4419, RFC 8308, RFC 8332, OpenSSH PROTOCOL 1.9 to 1.11).
 *
 * It knows two services, "ssh-userauth" and "ssh-connection", by their nc_service only. The functions
 * below are those of nacre/transport.h with the same contract; src/engine ties core and services
 * together.
 */
#ifndef NC_TRANSPORT_CORE_H
#define NC_TRANSPORT_CORE_H

#include "transport/link.h"

typedef struct nc_core nc_core;

/* Copies the config. A client's version line and KEXINIT are queued at once. */
int nc_core_new(nc_core **out, const nacre_config *cfg, uint64_t now_ms,
                nacre_error *err) NACRE_MUST_CHECK;
/* The same for a connection without a transport (nacre_transport_new_proxied): no version line, no keys. */
int nc_core_new_proxied(nc_core **out, const nacre_config *cfg, uint64_t now_ms,
                        nacre_error *err) NACRE_MUST_CHECK;
void nc_core_free(nc_core *c); /* NULL ok; the services must live until then or be freed after */
nc_link *nc_core_link(nc_core *c);
/* Once, before the first step. */
void nc_core_set_services(nc_core *c, nc_service userauth, nc_service connection);
int nc_core_add_host_key(nc_core *c, nacre_key *key) NACRE_MUST_CHECK;

unsigned nc_core_wants(const nc_core *c);
uint8_t *nc_core_recv_buffer(nc_core *c, size_t *room);
int nc_core_received(nc_core *c, size_t n);
int nc_core_next_event(nc_core *c, nacre_event *ev) NACRE_MUST_CHECK;
/* As nc_packetizer_keeps. */
bool nc_core_keeps(const nc_core *c, nacre_span bytes);
nacre_span nc_core_output(const nc_core *c);
void nc_core_sent(nc_core *c, size_t n);
uint64_t nc_core_deadline(const nc_core *c);
void nc_core_advance(nc_core *c, uint64_t now_ms);
/* Tickets of any owner: it hands those of a service on. */
int nc_core_answer(nc_core *c, uint32_t ticket, const nacre_answer *answer);

const nacre_error *nc_core_error(const nc_core *c);
const nacre_negotiated *nc_core_negotiated(const nc_core *c);
const char *nc_core_peer_version(const nc_core *c);
const nacre_key *nc_core_host_key(const nc_core *c);
nacre_span nc_core_host_signature(const nc_core *c);
bool nc_core_authenticated(const nc_core *c);
const char *nc_core_user(const nc_core *c);
bool nc_core_peer_extension(const nc_core *c, const char *name, nacre_span *value);
void nc_core_counters(const nc_core *c, nacre_counters *out); /* all but channels */

void nc_core_set_limits(nc_core *c, const nacre_limits *given);
int nc_core_disconnect(nc_core *c, uint32_t reason, const char *text);
int nc_core_rekey(nc_core *c);
int nc_core_send_ignore(nc_core *c, nacre_span data);
int nc_core_send_debug(nc_core *c, bool always_display, const char *text);
int nc_core_ping(nc_core *c, nacre_span data);

#endif
