/*
 * hostkeys.h - a server's host keys beyond the one in use (OpenSSH PROTOCOL 2.5): a server announces all of them
 * after login (hostkeys-00@openssh.com); a client asks it to prove that it holds those it did not know
 * (hostkeys-prove-00@openssh.com), and may then remember them.
 *
 * What a client makes of them is src/client's business.
 */
#ifndef NC_CHANNEL_HOSTKEYS_H
#define NC_CHANNEL_HOSTKEYS_H

#include "channel/mux.h"
#include "wire/rd.h"

enum {
    /* Of one announcement; more are not looked at. Real servers have three to six. */
    NC_MAX_ANNOUNCED_KEYS = 64,
    /* Proofs that a server gives in one connection: a client needs one. Each costs as many signatures as it has
       keys. */
    NC_MAX_PROOFS = 8
};

typedef struct nc_hostkeys {
    nacre_key **keys; /* server: ours; client: as announced */
    size_t count, room;
    bool announced; /* client: it came; only the first counts */

    /* server: the proof that is being made */
    uint32_t request;  /* ticket of the request; 0: none */
    nacre_key **asked; /* borrowed from keys */
    size_t asked_count, asked_at;
    uint32_t sign_ticket; /* a signature that the application makes; 0: none */
    nc_buf signed_data, proof;
    unsigned proofs;

    /* client: the keys whose proof is on its way */
    nacre_key **proving;
    size_t proving_count;
    uint32_t proof_at; /* place of the request among ours that are unanswered */
    bool proof_waits;
} nc_hostkeys;

void nc_hostkeys_init(nc_hostkeys *h, const nacre_allocator *a);
void nc_hostkeys_clear(nc_hostkeys *h, nc_link *l);
void nc_hostkeys_over(nc_hostkeys *h,
                      nc_link *l); /* the connection is: no question is open any more */

/* Server: tells all of our keys, when the configuration says so. Nothing with fewer than one. */
int nc_hostkeys_announce(nc_mux *m) NACRE_MUST_CHECK;
/* Client: an announcement. NACRE_OK with *ev filled, or NACRE_AGAIN when there is nothing to tell. */
int nc_hostkeys_announced(nc_mux *m, nacre_span data, nacre_event *ev) NACRE_MUST_CHECK;
/* Client: the reply to it, always with an event. */
int nc_hostkeys_reply(nc_mux *m, bool success, nacre_span data, nacre_event *ev) NACRE_MUST_CHECK;
/*
 * Server: a request for proof, whose answer has that ticket. NACRE_OK with a SIGN event, NACRE_AGAIN when it is
 * answered, or will be.
 */
int nc_hostkeys_prove(nc_mux *m, nacre_span data, uint32_t ticket,
                      nacre_event *ev) NACRE_MUST_CHECK;
/* Server: goes on with the proof that is being made. NACRE_AGAIN: nothing to tell. */
int nc_hostkeys_poll(nc_mux *m, nacre_event *ev) NACRE_MUST_CHECK;
/* Server: a signature came. NACRE_NOT_FOUND: not our ticket. */
int nc_hostkeys_answer(nc_mux *m, uint32_t ticket, const nacre_answer *a) NACRE_MUST_CHECK;

#endif
