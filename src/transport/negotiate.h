/*
 * negotiate.h - KEXINIT: our proposal, the peer's, and what follows from both (RFC 4253 7.1). Pure.
 */
#ifndef NC_TRANSPORT_NEGOTIATE_H
#define NC_TRANSPORT_NEGOTIATE_H

#include "transport/algo.h"
#include "wire/msg.h"

enum {
    NC_SLOT_KEX,
    NC_SLOT_HOST_KEY,
    NC_SLOT_CIPHER_C2S,
    NC_SLOT_CIPHER_S2C,
    NC_SLOT_MAC_C2S,
    NC_SLOT_MAC_S2C,
    NC_SLOT_COMP_C2S,
    NC_SLOT_COMP_S2C,
    NC_SLOT_COUNT
};
enum { NC_C2S = 0, NC_S2C = 1 };

typedef struct nc_proposal {
    const nacre_allocator *alloc;
    char *lists[NC_SLOT_COUNT]; /* resolved names, owned */
} nc_proposal;

/* Resolves the config's lists. On failure nothing is held. */
int nc_proposal_init(nc_proposal *p, const nacre_config *cfg, nacre_error *err) NACRE_MUST_CHECK;
void nc_proposal_clear(nc_proposal *p);
/* Replaces one list (a server's host keys; a client that prefers what it knows). Copies. */
int nc_proposal_set(nc_proposal *p, int slot, const char *names) NACRE_MUST_CHECK;

/*
 * Writes a KEXINIT payload (number byte included). first: of the connection; then the pseudo-methods
 * ext-info-c / ext-info-s (RFC 8308 2.1) and kex-strict-c/s-v00@openssh.com (PROTOCOL 1.10) go with it.
 */
void nc_kexinit_write(nc_wr *w, nacre_role role, const nc_proposal *p, const uint8_t cookie[16],
                      bool first);

typedef struct nc_choice {
    const nc_kex_method *kex;
    const char *host_key;           /* static name of the signature algorithm */
    const nc_cipher_alg *cipher[2]; /* by NC_C2S, NC_S2C */
    const nc_mac_alg *mac[2];       /* NULL with an AEAD */
    nc_compression compression[2];
    bool peer_guessed;  /* a guessed kex packet of the peer follows */
    bool ignore_guess;  /* ... and the guess was wrong: drop it */
    bool peer_ext_info; /* the peer wants EXT_INFO (meaningful in the first KEXINIT) */
    bool peer_strict;   /* the peer knows strict kex (meaningful in the first KEXINIT) */
} nc_choice;

/*
 * Chooses by the client's order. ours and the peer's roles follow from role (ours). On failure err
 * names the slot and prints both lists; NACRE_NO_COMMON_ALGORITHM.
 */
int nc_negotiate(nacre_role role, const nc_proposal *ours, const nc_msg_kexinit *peer,
                 nc_choice *out, nacre_error *err) NACRE_MUST_CHECK;

/* The public view of a choice. */
void nc_choice_describe(const nc_choice *c, bool strict, nacre_negotiated *out);

#endif
