/*
 * agent_wire.h - the messages of the ssh-agent protocol (RFC 9987, OpenSSH's PROTOCOL.agent) as bytes:
 * framing, requests, replies. No socket, no clock; who asks is src/io, who answers is the keyring.
 */
#ifndef NC_KEYS_AGENT_WIRE_H
#define NC_KEYS_AGENT_WIRE_H

#include "keys/key.h"
#include "nacre/agent.h"

enum { /* RFC 9987 6.1; OpenSSH calls those for SSH-2 keys SSH2_AGENTC_... */
       SSH_AGENTC_REQUEST_RSA_IDENTITIES = 1, /* SSH-1 */
       SSH_AGENT_FAILURE = 5,
       SSH_AGENT_SUCCESS = 6,
       SSH_AGENTC_REMOVE_ALL_RSA_IDENTITIES = 9, /* SSH-1 */
       SSH_AGENTC_REQUEST_IDENTITIES = 11,
       SSH_AGENT_IDENTITIES_ANSWER = 12,
       SSH_AGENTC_SIGN_REQUEST = 13,
       SSH_AGENT_SIGN_RESPONSE = 14,
       SSH_AGENTC_ADD_IDENTITY = 17,
       SSH_AGENTC_REMOVE_IDENTITY = 18,
       SSH_AGENTC_REMOVE_ALL_IDENTITIES = 19,
       SSH_AGENTC_ADD_SMARTCARD_KEY = 20,
       SSH_AGENTC_REMOVE_SMARTCARD_KEY = 21,
       SSH_AGENTC_LOCK = 22,
       SSH_AGENTC_UNLOCK = 23,
       SSH_AGENTC_ADD_ID_CONSTRAINED = 25,
       SSH_AGENTC_ADD_SMARTCARD_KEY_CONSTRAINED = 26,
       SSH_AGENTC_EXTENSION = 27,
       SSH_AGENT_EXTENSION_FAILURE = 28,
       SSH_AGENT_EXTENSION_RESPONSE = 29,
       SSH2_AGENT_FAILURE = 30,     /* older agents */
       SSH_COM_AGENT2_FAILURE = 102 /* ssh.com's */
};

enum { /* RFC 9987 6.2 */
       SSH_AGENT_CONSTRAIN_LIFETIME = 1,
       SSH_AGENT_CONSTRAIN_CONFIRM = 2,
       SSH_AGENT_CONSTRAIN_EXTENSION = 255,
       SSH_AGENT_RSA_SHA2_256 = 2,
       SSH_AGENT_RSA_SHA2_512 = 4
};

enum {
    /* One message, without its length: OpenSSH's own cap. */
    NC_AGENT_MAX_MESSAGE = 256 * 1024,
    /* Keys of one list: so many as ssh reads. */
    NC_AGENT_MAX_KEYS = 2048,
    /* Destination constraints of a key and keys of a hop: more than any list of hosts that a person
     * writes, and what OpenSSH's agent takes. */
    NC_AGENT_MAX_DESTINATIONS = 1024,
    /* A session identifier is a hash; OpenSSH's cap. */
    NC_AGENT_MAX_SESSION_ID = 128
};

#define NC_AGENT_EXT_BIND        "session-bind@openssh.com"
#define NC_AGENT_EXT_QUERY       "query"
#define NC_AGENT_CON_DESTINATION "restrict-destination-v00@openssh.com"
#define NC_AGENT_CON_CERTS       "associated-certs-v00@openssh.com"
#define NC_AGENT_CON_SK_PROVIDER "sk-provider@openssh.com"

/*
 * The first message in q, without its length: NACRE_OK; NACRE_AGAIN while it is not whole;
 * NACRE_AGENT_PROTOCOL when it is empty or above the cap. Consume 4 + msg->n when done with it.
 */
int nc_agent_frame(const nc_queue *q, nacre_span *msg) NACRE_MUST_CHECK;

/* ---- requests, appended to out with their length; out is as it was when they fail ------------------ */

int nc_agent_ask(nc_buf *out, uint8_t type) NACRE_MUST_CHECK;
int nc_agent_ask_string(nc_buf *out, uint8_t type, nacre_span s) NACRE_MUST_CHECK;
int nc_agent_ask_sign(nc_buf *out, nacre_span blob, nacre_span data,
                      uint32_t flags) NACRE_MUST_CHECK;
int nc_agent_ask_add(nc_buf *out, const nacre_key *key,
                     const nacre_agent_constraints *c) NACRE_MUST_CHECK;
int nc_agent_ask_token(nc_buf *out, bool add, const char *token, nacre_span pin,
                       const nacre_agent_constraints *c) NACRE_MUST_CHECK;
int nc_agent_ask_extension(nc_buf *out, const char *name, nacre_span data) NACRE_MUST_CHECK;
int nc_agent_ask_bind(nc_buf *out, const nacre_key *host_key, nacre_span session_id,
                      nacre_span signature, bool forwarding) NACRE_MUST_CHECK;

/* The constraints alone, as they stand behind a key. */
void nc_agent_write_constraints(nc_wr *w, const nacre_agent_constraints *c);

/*
 * What to ask for: the plain signature algorithm (static string) and the flags of SIGN_REQUEST.
 * NACRE_UNKNOWN_NAME: it does not go with the key.
 */
int nc_agent_choose(const nacre_key *key, const char *algorithm, const nc_sig_alg **alg,
                    uint32_t *flags) NACRE_MUST_CHECK;

/* ---- replies: msg without its length ------------------------------------------------------------------ */

/* NACRE_OK, NACRE_AGENT_REFUSED, or NACRE_AGENT_PROTOCOL: it is none of the two. */
int nc_agent_read_status(nacre_span msg) NACRE_MUST_CHECK;
int nc_agent_read_list(nacre_span msg, const nacre_allocator *a, nacre_key ***keys,
                       size_t *count) NACRE_MUST_CHECK;
/* *sig is borrowed from msg, and good: by the key, of the algorithm. */
int nc_agent_read_signature(nacre_span msg, const nacre_key *key, const nc_sig_alg *alg,
                            nacre_span data, nacre_span *sig) NACRE_MUST_CHECK;
/* *rest is borrowed: what came with the answer. NACRE_UNSUPPORTED: not known there. */
int nc_agent_read_extension(nacre_span msg, const char *name, nacre_span *rest) NACRE_MUST_CHECK;

/* ---- keys as ADD_IDENTITY carries them (RFC 9987 3.2): type name, then the private parts -------------- */

void nc_agent_write_key(nc_wr *w, const nacre_key *key);
/* The comment is not part of it. NACRE_UNSUPPORTED for a type that cannot sign here. */
int nc_agent_read_key(nacre_key **out, const nacre_allocator *a, nc_rd *r) NACRE_MUST_CHECK;

#endif
