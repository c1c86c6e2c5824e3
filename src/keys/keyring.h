/*
 * keyring.h - the inside of a nacre_keyring, for its files: the store (keyring.c), its connections
 * (keyring_conn.c), signing (keyring_sign.c), and who may use a key where (keyring_limits.c).
 */
#ifndef NC_KEYS_KEYRING_H
#define NC_KEYS_KEYRING_H

#include "keys/agent_wire.h"
#include "keys/cert.h"

enum {
    NC_LOCK_SALT = 16,
    NC_LOCK_HASH = 32,
    /* Hops of a forwarded agent; nobody goes through so many hosts (OpenSSH's cap). */
    NC_AGENT_MAX_BINDINGS = 16
};

typedef struct nc_held_key {
    nacre_key *key; /* private, with its comment */
    uint64_t dies_at;
    bool confirm;
    nc_buf destinations; /* constraint[] of PROTOCOL.agent 2, checked when it came; empty: none */
} nc_held_key;

struct nacre_keyring {
    nacre_keyring_options o;
    const nacre_allocator *alloc;
    nc_log log;
    uint64_t now_ms, unix_seconds;
    nc_held_key *held;
    size_t count, room;
    bool locked;
    uint8_t salt[NC_LOCK_SALT], hash[NC_LOCK_HASH];
    unsigned guesses;   /* wrong ones in a row */
    uint64_t unlock_at; /* no unlocking before */
    uint32_t last_ticket;
    nacre_keyring_conn *conns;
};

/* session-bind@openssh.com: one hop. */
typedef struct nc_binding {
    nacre_key *host_key;
    uint8_t session_id[NC_AGENT_MAX_SESSION_ID];
    size_t session_id_len;
    bool forwarded;
} nc_binding;

typedef enum nc_conn_wait { NC_WAIT_NOTHING = 0, NC_WAIT_PERSON, NC_WAIT_TIME } nc_conn_wait;

struct nacre_keyring_conn {
    nacre_keyring *ring;
    nacre_keyring_conn *next;
    nc_queue in, out;
    bool broken;
    bool stepping;
    nc_conn_wait wait;
    uint32_t ticket; /* NC_WAIT_PERSON */
    bool answered, yes;
    nc_binding bindings[NC_AGENT_MAX_BINDINGS];
    size_t binding_count;
    bool bind_failed; /* once: what it is bound to is not known for sure any more */
};

/* ---- keyring.c ---- */

nc_held_key *nc_keyring_find(nacre_keyring *k, nacre_span blob);
/* Takes the parts of *fresh, which replaces an entry of the same key; NACRE_LIMIT, NACRE_NO_MEMORY. */
int nc_keyring_put(nacre_keyring *k, nc_held_key *fresh) NACRE_MUST_CHECK;
void nc_held_key_clear(nc_held_key *h);
void nc_keyring_drop(nacre_keyring *k, nc_held_key *h);
/* NACRE_OK: done. NACRE_AGENT_REFUSED. NACRE_AGAIN: not before ring->unlock_at. */
int nc_keyring_lock(nacre_keyring *k, nacre_span passphrase) NACRE_MUST_CHECK;
int nc_keyring_unlock(nacre_keyring *k, nacre_span passphrase) NACRE_MUST_CHECK;

/* ---- keyring_limits.c ---- */

/* The constraints behind a key: into h. NACRE_AGENT_REFUSED: unknown, twice, or not to be enforced. */
int nc_keyring_read_constraints(const nacre_keyring *k, nc_rd *r, nc_held_key *h) NACRE_MUST_CHECK;
/* session-bind: true when it is recorded (or was). */
bool nc_keyring_bind(nacre_keyring_conn *c, nc_rd *r);
/* Is cert a host certificate that is good for host now? */
bool nc_keyring_cert_names(const nacre_keyring *k, const nacre_key *cert, nacre_span host);
/*
 * May the connection see the key (user.p NULL), or log in with it as user? *host (NULL ok): where to, as the
 * constraint names it.
 */
bool nc_keyring_permits(const nacre_keyring_conn *c, const nc_held_key *h, nacre_span user,
                        nacre_span *host);

/* ---- keyring_sign.c ---- */

/* NACRE_OK: the signature blob is appended to out. NACRE_AGAIN: a person was asked. Else refused. */
int nc_keyring_sign(nacre_keyring_conn *c, nacre_span request, nc_buf *out) NACRE_MUST_CHECK;

#endif
