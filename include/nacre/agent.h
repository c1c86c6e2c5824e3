/*
 * nacre/agent.h - the ssh-agent protocol (RFC 9987, OpenSSH's PROTOCOL.agent): asking an agent, and
 * being one.
 *
 * nacre_agent talks to an agent over a Unix-domain socket, an open descriptor or a stream of the
 * caller's. Its calls block, each up to its timeout; the private keys never leave the agent. One thread
 * at a time uses a nacre_agent.
 *
 * nacre_keyring is an agent: a store of private keys that serves the protocol as a pure machine, bytes
 * in and bytes out, with every constraint enforced. nacre_keyring_serve puts it behind a socket.
 */
#ifndef NACRE_AGENT_H
#define NACRE_AGENT_H

#include "nacre/key.h"
#include "nacre/loop.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- asking an agent --------------------------------------------------------------------------- */

typedef struct nacre_agent nacre_agent;

/*
 * A stream of the caller's (a channel, a pipe of another system, a test). read gives what is there, at
 * least one byte, in *got (0: the end); write takes all. Both return NACRE_OK or a negative status, and
 * NACRE_TIMEOUT when timeout_ms (0: no limit) has passed. close may be NULL; it comes once.
 */
typedef struct nacre_agent_stream {
    int (*read)(void *user, uint8_t *p, size_t n, uint32_t timeout_ms, size_t *got);
    int (*write)(void *user, const uint8_t *p, size_t n, uint32_t timeout_ms);
    void (*close)(void *user);
    void *user;
} nacre_agent_stream;

/*
 * Connects to the agent's socket. path NULL: what SSH_AUTH_SOCK names; NACRE_NOT_FOUND when that is not
 * set. What is no socket, or belongs neither to us nor to root, is not spoken to (NACRE_KEY_PERMISSIONS),
 * nor a listener that runs as somebody else; root may speak to anybody's. NACRE_CONNECT: nobody listens.
 * *out is owned. allocator and err: NULL ok, here and below.
 */
NACRE_API int nacre_agent_open(nacre_agent **out, const nacre_allocator *a, const char *path,
                               nacre_error *err) NACRE_MUST_CHECK;
/* Over a connected stream descriptor: taken on success, made non-blocking and close-on-exec. */
NACRE_API int nacre_agent_open_fd(nacre_agent **out, const nacre_allocator *a, int fd,
                                  nacre_error *err) NACRE_MUST_CHECK;
/* The same over a stream of the caller's: copied, and closed on nacre_agent_free. */
NACRE_API int nacre_agent_open_stream(nacre_agent **out, const nacre_allocator *a,
                                      const nacre_agent_stream *stream,
                                      nacre_error *err) NACRE_MUST_CHECK;
NACRE_API void nacre_agent_free(nacre_agent *a); /* closes */
/*
 * How long a call may take: ms for signatures and additions, where a person may be asked or has to touch
 * something (default 120 s: what servers give for a login), quick_ms for everything else (default 10 s).
 * 0: no limit.
 */
NACRE_API void nacre_agent_set_timeout(nacre_agent *a, uint32_t ms, uint32_t quick_ms);

/*
 * What every call below returns beside its own: NACRE_AGENT_REFUSED (the agent said no: not such a key,
 * locked, a constraint, not confirmed), NACRE_AGENT_PROTOCOL (it sent nonsense), NACRE_CLOSED, NACRE_IO,
 * NACRE_TIMEOUT, NACRE_NO_MEMORY. After nonsense, the end or a timeout the agent is not spoken to any
 * more: answers could belong to other questions. err tells which agent, what was asked, what came.
 */

/*
 * The keys that the agent holds, certificates among them, each with its comment: *keys is owned, an
 * array of *count (NULL for none); release it with nacre_agent_keys_free. Keys of types that nacre does
 * not know are left out. A locked agent has none.
 */
NACRE_API int nacre_agent_list(nacre_agent *a, nacre_key ***keys, size_t *count,
                               nacre_error *err) NACRE_MUST_CHECK;
/* Array and keys; a as for the agent that listed them. NULL ok. */
NACRE_API void nacre_agent_keys_free(const nacre_allocator *a, nacre_key **keys, size_t count);
/*
 * Signs with the private half of key (public or private here; it is its blob that counts). algorithm as
 * for nacre_key_sign, also the "-cert-v01@openssh.com" form; NULL: the key's best, rsa-sha2-512 for RSA.
 * The signature is checked before it is returned: an agent that used another key or algorithm than asked
 * makes NACRE_BAD_SIGNATURE. NACRE_UNKNOWN_NAME: the algorithm does not go with the key. *sig is owned,
 * *n bytes, a blob as nacre_key_sign makes it; nacre_secret_free.
 */
NACRE_API int nacre_agent_sign(nacre_agent *a, const nacre_key *key, const char *algorithm,
                               nacre_span data, uint8_t **sig, size_t *n,
                               nacre_error *err) NACRE_MUST_CHECK;
/* The same in the shape of a nacre_sign_fn: user is the nacre_agent. */
NACRE_API int nacre_agent_sign_fn(void *agent, const nacre_key *key, const char *algorithm,
                                  nacre_span data, uint8_t **sig, size_t *n) NACRE_MUST_CHECK;

/* A key of a host, or of the authority that certifies it, as destination constraints name them. */
typedef struct nacre_agent_host_key {
    const nacre_key *key;
    bool is_ca;
} nacre_agent_host_key;

/* One end of a hop. */
typedef struct nacre_agent_hop {
    const char *user; /* pattern of the login name; NULL: any. Of the end "to" only */
    const char *host; /* name; NULL together with no keys: this machine, where the agent is */
    const nacre_agent_host_key *keys;
    size_t key_count;
} nacre_agent_hop;

/* "from may use the key to log in at to" (PROTOCOL.agent 2, ssh-add -h). */
typedef struct nacre_agent_destination {
    nacre_agent_hop from, to;
} nacre_agent_destination;

/* What a key may be used for. All zero: anything, until it is removed. */
typedef struct nacre_agent_constraints {
    size_t size;               /* set by nacre_agent_constraints_init */
    uint32_t lifetime_seconds; /* 0: none */
    bool confirm;              /* each signature is confirmed by a person */
    const nacre_agent_destination *destinations;
    size_t destination_count;
    const char *sk_provider; /* the library that drives a security key; NULL: none is named */
    /* for tokens only: certificates for their keys, and whether to offer these alone */
    nacre_key *const *certs;
    size_t cert_count;
    bool certs_only;
} nacre_agent_constraints;
NACRE_API void nacre_agent_constraints_init(nacre_agent_constraints *c);

/*
 * Gives the agent a private key: a plain one, or one with a certificate (both are then to be added, as
 * ssh-add does: the agent looks keys up by their blobs). A key that it has gets the new constraints.
 * constraints NULL: none. NACRE_NOT_PRIVATE.
 */
NACRE_API int nacre_agent_add(nacre_agent *a, const nacre_key *key,
                              const nacre_agent_constraints *constraints,
                              nacre_error *err) NACRE_MUST_CHECK;
/* One key, by its blob; and all that it has. */
NACRE_API int nacre_agent_remove(nacre_agent *a, const nacre_key *key,
                                 nacre_error *err) NACRE_MUST_CHECK;
NACRE_API int nacre_agent_remove_all(nacre_agent *a, nacre_error *err) NACRE_MUST_CHECK;
/* The keys of a token, by the name of its reader or PKCS#11 library (RFC 9987 3.2.6). */
NACRE_API int nacre_agent_add_token(nacre_agent *a, const char *token, nacre_span pin,
                                    const nacre_agent_constraints *constraints,
                                    nacre_error *err) NACRE_MUST_CHECK;
NACRE_API int nacre_agent_remove_token(nacre_agent *a, const char *token, nacre_span pin,
                                       nacre_error *err) NACRE_MUST_CHECK;
/* Until unlocked with the same passphrase, the agent shows and signs nothing. */
NACRE_API int nacre_agent_lock(nacre_agent *a, nacre_span passphrase,
                               nacre_error *err) NACRE_MUST_CHECK;
NACRE_API int nacre_agent_unlock(nacre_agent *a, nacre_span passphrase,
                                 nacre_error *err) NACRE_MUST_CHECK;
/*
 * An extension by name (RFC 9987 3.8). NACRE_UNSUPPORTED: the agent does not know it;
 * NACRE_AGENT_REFUSED: it does, and said no. *reply (NULL ok: not wanted) is what came with the answer,
 * without the extension's name, owned, *n bytes, NULL when nothing did; nacre_secret_free.
 */
NACRE_API int nacre_agent_extension(nacre_agent *a, const char *name, nacre_span data,
                                    uint8_t **reply, size_t *n, nacre_error *err) NACRE_MUST_CHECK;
/* Does the agent say that it knows the extension (RFC 9987 3.8.1, "query")? NACRE_UNSUPPORTED: no. */
NACRE_API int nacre_agent_supports(nacre_agent *a, const char *name,
                                   nacre_error *err) NACRE_MUST_CHECK;
/*
 * Binds this connection to the agent to an SSH connection (session-bind@openssh.com): the server's host
 * key, session identifier and signature of the first key exchange (nacre_transport_host_key, _session_id,
 * _host_signature). forwarding: the agent is being forwarded to that server. Needed before keys with
 * destination constraints can be seen or used there.
 */
NACRE_API int nacre_agent_bind(nacre_agent *a, const nacre_key *host_key, nacre_span session_id,
                               nacre_span signature, bool forwarding,
                               nacre_error *err) NACRE_MUST_CHECK;

/* ---- being an agent: the keyring ----------------------------------------------------------------
 *
 * One store of keys, any number of connections to it; each takes bytes and gives bytes. No I/O, no clock:
 * the time is handed in. One thread at a time uses a keyring and all its connections.
 *
 *     nacre_keyring_connect(&conn, keyring);
 *     nacre_keyring_received(conn, bytes, &took);           bytes of a client, or none
 *     nacre_span out = nacre_keyring_output(conn);          what to send; nacre_keyring_sent(conn, n)
 *
 * Enforced: lifetimes (by nacre_keyring_advance), confirmation, destination constraints against what each
 * connection was bound to by session-bind@openssh.com. A constraint that is unknown, or cannot be enforced
 * (confirmation with nobody to ask, a security key, whose hardware is not driven here, tokens), refuses the
 * addition. Signatures with SHA-1 are not made unless allowed. A locked keyring shows no keys and refuses
 * everything but unlocking and binding: a binding that was missed would be missing when it is unlocked.
 */

typedef struct nacre_keyring nacre_keyring;
typedef struct nacre_keyring_conn nacre_keyring_conn;

/* May this key sign? Everything is borrowed for the call. */
typedef struct nacre_keyring_question {
    nacre_keyring *keyring;
    uint32_t ticket; /* for nacre_keyring_answer */
    const nacre_key *key;
    const char *user; /* the login name that the signature is for; "" when it is for no login */
    const char *host; /* to which host, as a destination constraint names it; "" not known */
    bool forwarded;   /* asked for by another host to which the agent was forwarded */
} nacre_keyring_question;

typedef struct nacre_keyring_options {
    size_t size; /* set by nacre_keyring_options_init */
    const nacre_allocator *allocator;
    size_t max_keys;           /* default 256: far above what a person has */
    uint32_t lifetime_seconds; /* of keys that come without one; 0: for ever */
    bool allow_sha1;           /* sign as "ssh-rsa" for clients that ask for nothing better */
    nacre_random_fn random;
    void *random_user;
    nacre_log_level log_level;
    nacre_log_fn log;
    void *log_user;
    /*
     * Asks a person. Answer inside of it, or later. The connection that asked waits; others go on. NULL:
     * keys that want confirmation are not taken.
     */
    void (*confirm)(void *user, const nacre_keyring_question *q);
    void *user;
} nacre_keyring_options;
NACRE_API void nacre_keyring_options_init(nacre_keyring_options *o);

/* now_ms: any steady clock. unix_seconds: the time of day, for host certificates. *out is owned. */
NACRE_API int nacre_keyring_new(nacre_keyring **out, const nacre_keyring_options *o,
                                uint64_t now_ms, uint64_t unix_seconds) NACRE_MUST_CHECK;
/* Wipes. Its connections must be freed before. */
NACRE_API void nacre_keyring_free(nacre_keyring *k);
/* Time has passed: keys whose life is over go. Call it before bytes are handed in, and at the deadline. */
NACRE_API void nacre_keyring_advance(nacre_keyring *k, uint64_t now_ms, uint64_t unix_seconds);
/* When to advance next; UINT64_MAX: no need. */
NACRE_API uint64_t nacre_keyring_deadline(const nacre_keyring *k);
/* yes: sign. NACRE_NOT_FOUND: the question is over, its connection went away. */
NACRE_API int nacre_keyring_answer(nacre_keyring *k, uint32_t ticket, bool yes);

/*
 * What the owner does himself, without a connection and whether it is locked or not. add: keeps a reference;
 * errors as nacre_agent_add; NACRE_LIMIT when it is full.
 */
NACRE_API int nacre_keyring_add(nacre_keyring *k, nacre_key *key,
                                const nacre_agent_constraints *constraints,
                                nacre_error *err) NACRE_MUST_CHECK;
NACRE_API int nacre_keyring_remove(nacre_keyring *k,
                                   const nacre_key *key) NACRE_MUST_CHECK; /* NACRE_NOT_FOUND */
/* All of them, wiped; it stays locked if it is. */
NACRE_API void nacre_keyring_remove_all(nacre_keyring *k);
/* The index-th key, NULL behind the last; borrowed until the keyring changes. */
NACRE_API const nacre_key *nacre_keyring_at(const nacre_keyring *k, size_t index);
NACRE_API bool nacre_keyring_locked(const nacre_keyring *k);

/* A client of the keyring, owned in *out; to be freed before the keyring is. */
NACRE_API int nacre_keyring_connect(nacre_keyring_conn **out, nacre_keyring *k) NACRE_MUST_CHECK;
NACRE_API void nacre_keyring_conn_free(nacre_keyring_conn *c); /* NULL ok */
/*
 * Bytes from the client, or none, to go on after sent, answer or advance. *took says how many were taken:
 * fewer than given when earlier requests wait for a person, for time to pass or for output to be sent.
 * NACRE_AGENT_PROTOCOL: what comes is no agent protocol; close it.
 */
NACRE_API int nacre_keyring_received(nacre_keyring_conn *c, nacre_span bytes,
                                     size_t *took) NACRE_MUST_CHECK;
/* False while more input would not be taken. */
NACRE_API bool nacre_keyring_wants_input(const nacre_keyring_conn *c);
/* What is to be sent; borrowed until the next call on the connection or the keyring. */
NACRE_API nacre_span nacre_keyring_output(const nacre_keyring_conn *c);
/* So many bytes of the output have left. */
NACRE_API void nacre_keyring_sent(nacre_keyring_conn *c, size_t n);

/*
 * Behind a Unix-domain socket, in a loop of yours: makes the socket (mode 0600) and serves whoever connects
 * and runs as us or root, up to 128 at a time. path NULL: a name of its own in a new directory (mode 0700)
 * in $TMPDIR or /tmp, which goes with it. path "": no socket, only nacre_keyring_serve_fd. With a path, the
 * directory must be ours or root's and not writable by others (or sticky), and no file may have that name
 * (NACRE_EXISTS). Borrows loop and keyring until freed; advances the keyring by the loop's clock. *out is owned.
 */
typedef struct nacre_keyring_server nacre_keyring_server;
NACRE_API int nacre_keyring_serve(nacre_keyring_server **out, nacre_loop *loop, nacre_keyring *k,
                                  const char *path, nacre_error *err) NACRE_MUST_CHECK;
/*
 * Serves who holds the other end of a connected Unix-domain stream socket, if that is us or root. Taken on success.
 * NACRE_LIMIT: somebody else, or too many.
 */
NACRE_API int nacre_keyring_serve_fd(nacre_keyring_server *s, int fd) NACRE_MUST_CHECK;
/* Where the socket is; borrowed until s is freed. */
NACRE_API const char *nacre_keyring_server_path(const nacre_keyring_server *s);
/* After nacre_keyring_answer outside of the confirm callback: what waited goes on. */
NACRE_API void nacre_keyring_server_kick(nacre_keyring_server *s);
NACRE_API void nacre_keyring_server_free(nacre_keyring_server *s); /* closes, removes the socket */

#ifdef __cplusplus
}
#endif
#endif
