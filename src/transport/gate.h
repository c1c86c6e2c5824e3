/*
 * gate.h - the message gate: which message may arrive, when, at whom. One const table, asked before any
 * parsing (hazards: every "server accepted USERAUTH_SUCCESS" of the last twelve years).
 */
#ifndef NC_TRANSPORT_GATE_H
#define NC_TRANSPORT_GATE_H

#include "nacre/transport.h"

/* Where the receiving side of a connection stands. */
typedef enum nc_phase {
    NC_PHASE_FIRST_KEXINIT, /* nothing received yet but the version line                           */
    NC_PHASE_FIRST_KEX,  /* the peer's KEXINIT is here, its first NEWKEYS is not                */
    NC_PHASE_SERVICE,    /* encrypted; no service accepted yet                                  */
    NC_PHASE_AUTH,       /* ssh-userauth runs                                                   */
    NC_PHASE_CONNECTION, /* authenticated; ssh-connection runs                                  */
    NC_PHASE_REKEY_AUTH, /* between the peer's KEXINIT and NEWKEYS, during ssh-userauth          */
    NC_PHASE_REKEY,      /* the same, during ssh-connection                                     */
    NC_PHASE_PROXIED, /* no transport of its own: ssh-connection alone (PROTOCOL.mux 9)         */
    NC_PHASE_COUNT
} nc_phase;

typedef enum nc_verdict {
    NC_GATE_ALLOW = 0,
    NC_GATE_DISCONNECT, /* out of place: protocol error                                          */
    NC_GATE_UNIMPLEMENTED /* a number nobody assigned: answer UNIMPLEMENTED (RFC 4253 11.4)        */
} nc_verdict;

/* strict: strict kex is on or not yet known to be off; then the first exchange allows only itself. */
nc_verdict nc_gate(nacre_role our_role, nc_phase phase, bool strict, uint8_t number);
const char *nc_phase_name(nc_phase phase);
/* "CHANNEL_DATA", or "message 123" written into a static-per-number table. Static strings. */
const char *nc_message_name(uint8_t number);

#endif
