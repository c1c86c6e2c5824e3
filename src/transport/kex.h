/*
 * kex.h - one key exchange: what is under way, and the steps. Private to src/transport.
 *
 * Two facts follow from the step and decide what else may happen. From our KEXINIT to our NEWKEYS
 * nothing but key exchange leaves (nc_kex_blocks_output): upper packets are held. From the peer's
 * KEXINIT to its NEWKEYS nothing else may arrive (nc_kex_blocks_input): the gate sees to it.
 */
#ifndef NC_TRANSPORT_KEX_H
#define NC_TRANSPORT_KEX_H

#include "nacre/key.h"
#include "transport/negotiate.h"
#include "transport/packetizer.h"

typedef struct nc_core nc_core;

typedef enum nc_kex_step {
    NC_KEX_IDLE,
    NC_KEX_SENT,             /* our KEXINIT is out, the peer's is awaited */
    NC_KEX_WAIT_INIT,        /* server: KEXDH_INIT and its kin */
    NC_KEX_WAIT_REPLY,       /* client: KEXDH_REPLY and its kin */
    NC_KEX_WAIT_GEX_REQUEST, /* server */
    NC_KEX_WAIT_GEX_GROUP,   /* client */
    NC_KEX_WAIT_GEX_INIT,    /* server */
    NC_KEX_WAIT_GEX_REPLY,   /* client */
    NC_KEX_WAIT_SIGNATURE,   /* server: the application signs */
    NC_KEX_WAIT_VERDICT,     /* client: the application judges the host key */
    NC_KEX_WAIT_NEWKEYS      /* ours is out; the peer's is awaited */
} nc_kex_step;

typedef struct nc_kex {
    nc_kex_step step;
    nc_buf ours, theirs; /* KEXINIT payloads */
    nc_choice choice;
    bool drop_guess;     /* the next kex packet of the peer is a wrong guess */
    nc_kem *kem;         /* client: our pair */
    nc_buf public_value; /* ours */
    nc_buf secret;       /* K in wire form */
    uint8_t hash[NC_MAX_HASH];
    size_t hash_len;
    uint32_t gex_min, gex_preferred, gex_max;
    nc_buf group;           /* mpint p, mpint g in wire form */
    const nc_kem_alg *dh;   /* owned: the run-time group */
    nacre_key *candidate;   /* client: host key until it is trusted */
    nacre_key *signing_key; /* server: borrowed from the list */
    uint32_t ticket;        /* of SIGN or HOST_KEY; 0: none */
    nc_pktcipher *next_in;  /* made with our NEWKEYS, used at the peer's */
    uint64_t deadline;      /* UINT64_MAX: none, or the application's turn */
} nc_kex;

void nc_kex_init(nc_core *c);
/* Forgets and wipes everything of the exchange; step becomes IDLE. */
void nc_kex_clear(nc_core *c);
bool nc_kex_blocks_output(const nc_core *c);
bool nc_kex_blocks_input(const nc_core *c);

/* Sends our KEXINIT. */
int nc_kex_start(nc_core *c);
/* Messages 20 to 49, passed by the gate. */
int nc_kex_packet(nc_core *c, const nc_packet *pkt, nacre_event *ev);
/* To the open question, whose ticket the caller has compared. */
int nc_kex_answer(nc_core *c, const nacre_answer *answer);

/* ---- between the files of key exchange ---- */

/* kex.c: public values as they stand inside the wire's string or mpint */
const nc_kem_alg *nc_kex_kem(const nc_core *c);
/* Before the method writes ours: an mpint may need a zero byte in front (RFC 4251 5). */
int nc_kex_prepare_value(nc_core *c, const nc_kem_alg *kem) NACRE_MUST_CHECK;
nacre_span nc_kex_own_value(const nc_core *c);
/* Where the value is an mpint: positive and in its shortest form. */
bool nc_kex_value_ok(const nc_core *c, nacre_span value);

/* kex_gex.c (RFC 4419) */
int nc_gex_send_request(nc_core *c);
int nc_gex_on_request(nc_core *c, nc_rd *r, nacre_event *ev);
int nc_gex_on_group(nc_core *c, nc_rd *r, nacre_event *ev);

/* kex_host.c: the server's proof, and what the client makes of it */
int nc_kex_host_key_list(nc_core *c);
int nc_kex_prove(nc_core *c, nacre_span client_value, nacre_event *ev);
int nc_kex_check_proof(nc_core *c, nacre_span blob, nacre_span server_value, nacre_span signature,
                       nacre_event *ev);
nacre_key *nc_kex_find_host_key(const nc_core *c, const char *algorithm);

/* newkeys.c: keys and their installation */
int nc_kex_send_newkeys(nc_core *c);
int nc_kex_on_newkeys(nc_core *c, nc_rd *r, nacre_event *ev);
void nc_core_start_delayed_compression(nc_core *c);

#endif
