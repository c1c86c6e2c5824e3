/*
 * nacre/transport.h - the engine: one SSH connection, either role, without I/O.
 *
 * Bytes in -> events out; calls in -> bytes out. The engine opens no socket, starts no thread, reads
 * no clock. A driver is one page:
 *
 *     for (;;) {
 *         while ((rc = nacre_transport_next_event(t, &ev)) == NACRE_OK)
 *             handle(&ev);                          // answer, write to channels ...
 *         out = nacre_transport_output(t);          // write out.n bytes to the socket, then
 *         nacre_transport_sent(t, written);
 *         if (rc != NACRE_AGAIN) break;             // closed or failed: nacre_transport_error(t)
 *         wait for the socket or nacre_transport_deadline(t), by nacre_transport_wants(t);
 *         room = nacre_transport_recv_buffer(t, &n);  // read up to n bytes into room, then
 *         nacre_transport_received(t, got);           // 0 is end of input
 *         nacre_transport_advance(t, now_ms);
 *     }
 *
 * next_event is the only call that steps the machine. No application function runs inside it
 * (allocator, random and log hooks apart). Bytes in an event live until the next next_event.
 * An event with a ticket is a question: answer it at once or an hour later, the rest of the
 * connection goes on meanwhile. A fatal error is sticky.
 *
 * A transport and its channels belong to one thread at a time; two transports share nothing.
 */
#ifndef NACRE_TRANSPORT_H
#define NACRE_TRANSPORT_H

#include "nacre/base.h"
#include "nacre/key.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct nacre_transport nacre_transport;
typedef struct nacre_channel nacre_channel;

typedef enum nacre_role { NACRE_CLIENT = 0, NACRE_SERVER = 1 } nacre_role;

/*
 * Options of one connection. Fill with nacre_config_init, then change fields. Strings and hooks are
 * copied or used during nacre_transport_new only, except the hooks' user pointers and the allocator.
 *
 * Algorithm lists take OpenSSH's syntax: a comma-separated list replaces the default; "+a,b" appends,
 * "-a,b*" removes (wildcards), "^a,b" puts in front. NULL: the default. An unknown name is an error
 * that names it.
 */
typedef struct nacre_config {
    size_t size; /* set by nacre_config_init */
    nacre_role role;
    const nacre_allocator *allocator;
    nacre_random_fn random;
    void *random_user;
    nacre_log_fn log;
    void *log_user;
    nacre_log_level log_level;
    const char *software; /* softwareversion of our version line; NULL: "nacre_<version>" */
    const char *banner;   /* server: lines before the version line, or NULL */

    const char *kex;
    const char
        *host_key; /* client: accepted host key algorithms; server: of those it has keys for */
    const char *cipher_c2s, *cipher_s2c;
    const char *mac_c2s, *mac_s2c;
    const char *compression_c2s, *compression_s2c; /* default "none,zlib@openssh.com" */
    const char *signature; /* user keys: server accepts, client offers; sent in server-sig-algs */
    uint32_t min_rsa_bits; /* keys below it are refused, host and user; default 2048 */
    nacre_span moduli; /* server: text of a moduli(5) file for group exchange; empty: built in */

    uint64_t rekey_bytes;    /* per direction; 0: by the cipher (RFC 4344 3.2; at least 1 GiB) */
    uint64_t rekey_packets;  /* per direction; 0: 2^31, which is also the most */
    uint32_t rekey_seconds;  /* 0: never by time */
    uint32_t login_grace_ms; /* from the first call to authenticated; 0: unlimited; server 120 s */
    uint32_t
        kex_timeout_ms; /* one key exchange, the peer's silence included; default 60 s; 0: none */
    uint32_t keepalive_ms;  /* no packet for so long: keepalive@openssh.com is sent; 0: never */
    uint32_t keepalive_max; /* unanswered ones until NACRE_KEEPALIVE; default 3 */

    uint32_t max_auth_tries; /* server: failures until disconnect; default 6; client: 0 no limit */
    const char *
        auth_methods; /* server: offered methods; default "publickey,password,keyboard-interactive" */
    /* client: refuse success where nothing was proved: "none", or a dialogue in which nothing was asked */
    bool no_trivial_auth;

    uint32_t max_channels; /* open at once, ours and the peer's; default 256 */
    uint32_t window;       /* receive window that a channel begins with, bytes; default 2 MiB */
    uint32_t
        max_packet; /* largest data packet that we accept, bytes; default 64 KiB, at least 1 KiB */
    size_t output_soft; /* writes take less above it; default 1 MiB */
    size_t output_hard; /* parsing stops above it until output drains; default 4 MiB */
    /*
     * Receive windows of channels that were not opened with one of their own grow to about twice what
     * the link carries in a round trip, and go back to window when they are not used. The most that
     * one may become, bytes, and all of a connection above the windows they began with; default
     * 64 MiB, at most 128 MiB. Not above window: they stay as they are. No memory is taken for a
     * window, but an application that does not consume may be given so much.
     */
    uint32_t window_cap;

    /*
     * Algorithms by which a client's host may sign for hostbased (RFC 4252 9), as signature above:
     * server accepts, client uses. The method itself is off unless auth_methods names it.
     */
    const char *hostbased;
    /*
     * Client: never sign by publickey-hostbound-v00@openssh.com (PROTOCOL 3.1), which names the
     * server's host key in what is signed. Otherwise it takes the place of publickey wherever the
     * server knows it; agents demand it for keys that are confined to destinations.
     */
    bool unbound_keys;
    /*
     * Server: signatures of security keys that nobody touched reach NACRE_EVENT_AUTH_KEY too, for an
     * application that looks at u.auth.sk (no-touch-required of sshd(8)). Otherwise they are refused.
     */
    bool untouched_keys;
    /*
     * Server: after login tells the client all host keys, so that it learns new ones before old ones go, and
     * proves on request that it holds them (PROTOCOL 2.5). Default for servers: true.
     */
    bool announce_host_keys;
    /* Text behind the software version in our version line (RFC 4253 4.2): printable US-ASCII, 140 bytes at
     * most. NULL: none. */
    const char *comments;
} nacre_config;

NACRE_API void nacre_config_init(nacre_config *cfg, nacre_role role);

/* Names of algorithms, comma-separated: what is "supported", the "default" offer, "insecure" only. */
typedef enum nacre_algorithm_kind {
    NACRE_ALG_KEX,
    NACRE_ALG_HOST_KEY,
    NACRE_ALG_CIPHER,
    NACRE_ALG_MAC,
    NACRE_ALG_COMPRESSION,
    NACRE_ALG_SIGNATURE,   /* of users and their hosts; certificates have names of their own */
    NACRE_ALG_CA_SIGNATURE /* by which authorities may sign certificates: CASignatureAlgorithms */
} nacre_algorithm_kind;
NACRE_API size_t nacre_algorithms(nacre_algorithm_kind kind, bool only_default, char *out,
                                  size_t size);
/*
 * The names that a list of config means ("+a,b", "-a*" ...; NULL: the default), comma-separated into out.
 * Returns the length, or NACRE_UNKNOWN_NAME (err names it), NACRE_TOO_LARGE, NACRE_NO_MEMORY.
 */
NACRE_API int nacre_algorithms_resolve(nacre_algorithm_kind kind, const char *spec, char *out,
                                       size_t size, nacre_error *err) NACRE_MUST_CHECK;

/* What was negotiated. Static strings; "" where an AEAD needs no MAC. */
typedef struct nacre_negotiated {
    const char *kex, *host_key;
    const char *cipher_c2s, *cipher_s2c;
    const char *mac_c2s, *mac_s2c;
    const char *compression_c2s, *compression_s2c;
    bool strict_kex;
    bool post_quantum;
} nacre_negotiated;

/* ---- events ------------------------------------------------------------------------------------- */

typedef enum nacre_event_type {
    NACRE_EVENT_NONE = 0,
    /* transport */
    NACRE_EVENT_VERSION, /* the peer's version line is there: text                                 */
    NACRE_EVENT_PRE_BANNER, /* client: a line that the server sent before its version: text           */
    NACRE_EVENT_HOST_KEY, /* client, question: accept this host key? host_key                       */
    NACRE_EVENT_SIGN, /* question: a signature by a key whose private half is elsewhere: sign   */
    NACRE_EVENT_KEX_DONE, /* keys are in use: kex                                                   */
    NACRE_EVENT_DEBUG, /* SSH_MSG_DEBUG: text                                                    */
    NACRE_EVENT_PONG,  /* answer to nacre_transport_ping: text                                   */
    NACRE_EVENT_DISCONNECTED, /* the last event, also in nacre_transport_error: text                    */
    /* userauth, client */
    NACRE_EVENT_AUTH_BANNER, /* text                                                                   */
    NACRE_EVENT_AUTH_RESULT, /* auth_result                                                            */
    NACRE_EVENT_AUTH_PROMPTS, /* question: keyboard-interactive prompts: prompts                        */
    NACRE_EVENT_AUTH_CHANGE_PASSWORD, /* question: old password expired: text is the prompt; answer
                                         responses = { old, new }                                       */
    /* userauth, server: all are questions; the library has checked signatures itself */
    NACRE_EVENT_AUTH_NONE, /* auth                                                               */
    NACRE_EVENT_AUTH_PASSWORD, /* auth (password, and new_password when it is to be changed)         */
    NACRE_EVENT_AUTH_KEY_PROBE, /* auth: would this key do? Accepting it lets nobody in                */
    NACRE_EVENT_AUTH_KEY, /* auth: this key made a good signature                               */
    NACRE_EVENT_AUTH_INTERACTIVE, /* auth; answer with prompts, or a verdict                            */
    NACRE_EVENT_AUTH_RESPONSES, /* auth (responses)                                                   */
    NACRE_EVENT_AUTHENTICATED, /* auth: this user is in, by this method and key. Comes once          */
    /* connection */
    NACRE_EVENT_CHANNEL_OPEN, /* question: the peer opens a channel (the handle is there): open     */
    NACRE_EVENT_CHANNEL_OPENED, /* ours is open                                                       */
    NACRE_EVENT_CHANNEL_FAILED, /* ours was refused: failed; the handle is dead after free            */
    NACRE_EVENT_CHANNEL_DATA, /* data                                                               */
    NACRE_EVENT_CHANNEL_WRITABLE, /* a write that took less than asked may go on                        */
    NACRE_EVENT_CHANNEL_EOF, /* the peer sends no more                                             */
    NACRE_EVENT_CHANNEL_CLOSED, /* closed both ways; only free is left                                */
    NACRE_EVENT_CHANNEL_REQUEST, /* a request of the peer, question when want_reply: request           */
    NACRE_EVENT_CHANNEL_REPLY, /* to our oldest unanswered request: reply                            */
    NACRE_EVENT_EXIT_STATUS, /* exit                                                               */
    NACRE_EVENT_EXIT_SIGNAL, /* exit                                                               */
    NACRE_EVENT_GLOBAL_REQUEST, /* question when want_reply: global                                   */
    NACRE_EVENT_GLOBAL_REPLY, /* to our oldest unanswered global request: reply                     */
    NACRE_EVENT_CHANNEL_PEER_CLOSED, /* by the peer; ours is held: see nacre_channel_hold_close        */
    /* userauth, server, question: the client's host made a good signature (RFC 4252 9). auth (key of
       that host, client_host, client_user: what it says of itself) */
    NACRE_EVENT_AUTH_HOSTBASED,
    /* connection */
    NACRE_EVENT_HOST_KEYS, /* client: the server says which host keys it has (OpenSSH PROTOCOL 2.5), once,
                              after login: host_keys. It is only its word: nacre_transport_prove_host_keys */
    NACRE_EVENT_HOST_KEYS_PROVEN /* client: the answer to that: host_keys; status NACRE_OK: it holds them
                                    all; NACRE_REQUEST_REFUSED, NACRE_BAD_SIGNATURE, NACRE_MALFORMED: none
                                    of them is proven */
} nacre_event_type;

typedef struct nacre_prompt {
    nacre_span text;
    bool echo;
} nacre_prompt;

/* Terminal size and modes of a pty-req (RFC 4254 6.2, 8); also window-change. */
typedef struct nacre_pty {
    nacre_span term;
    uint32_t columns, rows, width_px, height_px;
    nacre_span modes; /* encoded terminal modes */
} nacre_pty;

typedef struct nacre_event {
    nacre_event_type type;
    uint32_t ticket;        /* not 0: a question, see nacre_transport_answer */
    nacre_channel *channel; /* of channel events, else NULL */
    nacre_span text; /* where the table above says "text"; from the peer: escape before showing */
    union {
        struct {
            const nacre_key *key;  /* borrowed until answered; take a ref to keep it */
            const char *algorithm; /* negotiated; a certificate's (cert.h) when key is one */
        } host_key;
        struct {
            const nacre_key *key; /* public half of the key that shall sign */
            const char
                *algorithm;  /* signature algorithm to use: a plain one, for a certificate too */
            nacre_span data; /* what is signed; borrowed until answered */
            bool host;       /* client: by a key of this host, for hostbased; not by a user's */
        } sign;
        struct {
            const nacre_negotiated *algorithms; /* borrowed until the next key exchange */
            bool first;
        } kex;
        struct {
            int status;         /* NACRE_OK, NACRE_AUTH_PARTIAL or NACRE_AUTH_FAILED */
            nacre_span methods; /* that can continue */
            const char *method; /* that was tried */
        } auth_result;
        struct {
            nacre_span name, instruction;
            const nacre_prompt *prompts;
            size_t count;
        } prompts;
        struct {
            nacre_span user;
            const char *method;
            const nacre_key *key;  /* a certificate as well (cert.h): equal to no plain key */
            const char *algorithm; /* as requested; a certificate's when key is one */
            nacre_span password, new_password;
            bool change; /* new_password is set */
            nacre_span submethods;
            const nacre_span *responses;
            size_t count;
            nacre_span client_host, client_user; /* hostbased; a dot may end the host */
            nacre_sk_details sk; /* AUTH_KEY: what a security key said of its signature */
        } auth;
        struct {
            nacre_span type; /* "session", "direct-tcpip" ... */
            nacre_span data; /* type-specific, undecoded */
        } open;
        struct {
            uint32_t reason; /* RFC 4254 5.1 */
            nacre_span description;
        } failed;
        struct {
            int stream;       /* NACRE_STDOUT or NACRE_STDERR, as extended data type */
            nacre_span bytes; /* give window back with nacre_channel_consumed */
        } data;
        struct {
            nacre_span name; /* "exec", "pty-req" ... */
            bool want_reply;
            nacre_span data;    /* undecoded */
            nacre_span command; /* exec: command; subsystem: name; env: name; signal: name */
            nacre_span value;   /* env: value */
            nacre_pty pty;      /* pty-req, window-change */
            uint32_t number;    /* break: milliseconds; xon-xoff: 1: the client may do it */
        } request;
        struct {
            bool success;
            nacre_span data; /* global replies */
            uint32_t number; /* global replies: of the request, see nacre_global_request_number */
        } reply;
        struct {
            nacre_key *const *keys; /* plain keys, each once; borrowed until the next step */
            size_t count;
            int status;
        } host_keys;
        struct {
            uint32_t status;
            nacre_span signal; /* name without SIG */
            bool core_dumped;
            nacre_span message;
        } exit;
        struct {
            nacre_span name;
            bool want_reply;
            nacre_span data;
        } global;
    } u;
} nacre_event;

/*
 * An answer. All zero is a refusal: nothing is granted by omission. Everything is copied.
 *   host key:       accept
 *   sign:           signature (blob as nacre_key_sign makes it); accept false: cannot sign
 *   prompts:        responses, count (as many as prompts); accept false: give the method up
 *   server auth:    accept; with partial the method was good but another one is needed (methods);
 *                   interactive: prompts, prompt_count (and name, instruction) ask further;
 *                   password: change_prompt asks for a new one
 *   channel open:   accept, or reason (RFC 4254 5.1; 0: 1, administratively prohibited) and text
 *   channel and global requests: accept; data goes with a global request's success
 */
typedef struct nacre_answer {
    bool accept;
    bool partial;
    const char *methods; /* that can continue; NULL: the configured ones */
    nacre_span signature;
    const nacre_span *responses;
    size_t count;
    const nacre_prompt *prompts;
    size_t prompt_count;
    const char *name, *instruction;
    const char *change_prompt;
    uint32_t reason;
    const char *text;
    nacre_span data;
} nacre_answer;

/* ---- life --------------------------------------------------------------------------------------- */

/*
 * Returns owned in *out. now_ms is the caller's monotonic clock, any zero. A server needs at least one
 * host key (nacre_transport_add_host_key) before its first next_event. err: NULL ok.
 */
NACRE_API int nacre_transport_new(nacre_transport **out, const nacre_config *cfg, uint64_t now_ms,
                                  nacre_error *err) NACRE_MUST_CHECK;
/*
 * An end of a connection that has no transport of its own: the connection protocol alone, in packets without
 * encryption, integrity, version line, key exchange and login, as OpenSSH's masters and their clients
 * speak it after MUX_C_PROXY (PROTOCOL.mux 9). There is nobody to trust here but the other end of the
 * descriptor: use it over a unix socket whose peer was checked (nacre/mux.h does), and never over a network.
 * Of the config what concerns channels counts. Logged in from the beginning; no message outside of 80 to 100
 * is sent or taken; nacre_transport_rekey, _send_ignore and _send_debug are NACRE_WRONG_STATE, and
 * nacre_transport_negotiated stays NULL. Otherwise as nacre_transport_new.
 */
NACRE_API int nacre_transport_new_proxied(nacre_transport **out, const nacre_config *cfg,
                                          uint64_t now_ms, nacre_error *err) NACRE_MUST_CHECK;
/* Wipes and frees, channels included; sends nothing. NULL ok. */
NACRE_API void nacre_transport_free(nacre_transport *t);
/*
 * Server: keeps a reference. A key without its private half makes NACRE_EVENT_SIGN questions. A key that shows a
 * host certificate (nacre_key_attach_cert) is offered with it, and plain to clients that prefer that.
 */
NACRE_API int nacre_transport_add_host_key(nacre_transport *t, nacre_key *key) NACRE_MUST_CHECK;

/* ---- append, step, drain ------------------------------------------------------------------------ */

enum {
    NACRE_WANT_INPUT = 1,    /* read into recv_buffer when the socket is readable */
    NACRE_HAS_OUTPUT = 2,    /* output() is not empty */
    NACRE_AWAITS_ANSWER = 4, /* at least one ticket is open */
    NACRE_CLOSED_FLAG = 8 /* the connection is over (error() tells why); drain output, then free */
};
/* Computed from the buffers at each call. */
NACRE_API unsigned nacre_transport_wants(const nacre_transport *t);
/* Lends *room bytes to read into; NULL (0) when the input side is full: step first. */
NACRE_API uint8_t *nacre_transport_recv_buffer(nacre_transport *t, size_t *room);
/* n bytes were read there; 0: end of input. Only appends. */
NACRE_API int nacre_transport_received(nacre_transport *t, size_t n);
/*
 * NACRE_OK and one event; NACRE_AGAIN: read, send or wait; NACRE_CLOSED after the orderly end; another
 * status is the sticky fatal error.
 */
NACRE_API int nacre_transport_next_event(nacre_transport *t, nacre_event *ev) NACRE_MUST_CHECK;
/* Bytes to send; borrowed until the next call on t. */
NACRE_API nacre_span nacre_transport_output(const nacre_transport *t);
NACRE_API void nacre_transport_sent(nacre_transport *t, size_t n);
/* When to call advance at the latest, on the caller's clock; UINT64_MAX: no timer runs. */
NACRE_API uint64_t nacre_transport_deadline(const nacre_transport *t);
/* Tells the time. Timers act in the next next_event. Time never goes back. */
NACRE_API void nacre_transport_advance(nacre_transport *t, uint64_t now_ms);
/* Answers a question; NACRE_NOT_FOUND for a ticket that is void (answered, or its channel is gone). */
NACRE_API int nacre_transport_answer(nacre_transport *t, uint32_t ticket,
                                     const nacre_answer *answer);
/* Short forms: yes, and no. */
NACRE_API int nacre_transport_accept(nacre_transport *t, uint32_t ticket);
NACRE_API int nacre_transport_refuse(nacre_transport *t, uint32_t ticket);

/* ---- asking about it ---------------------------------------------------------------------------- */

/* The sticky error, or status NACRE_OK. Borrowed until t is freed. */
NACRE_API const nacre_error *nacre_transport_error(const nacre_transport *t);
/* NULL before the first key exchange ended. */
NACRE_API const nacre_negotiated *nacre_transport_negotiated(const nacre_transport *t);
/* The peer's version line without CR LF ("" before it arrived). */
NACRE_API const char *nacre_transport_peer_version(const nacre_transport *t);
/* The host key: the server's as the client saw it, or the one in use. NULL before key exchange. */
NACRE_API const nacre_key *nacre_transport_host_key(const nacre_transport *t);
/* H of the first exchange (RFC 4253 7.2); empty before. */
NACRE_API nacre_span nacre_transport_session_id(const nacre_transport *t);
/* Client: the signature blob by which the server proved its host key over H of the first exchange (RFC 4253
 * 8); empty before. With host key and session identifier it binds an agent: nacre_agent_bind. */
NACRE_API nacre_span nacre_transport_host_signature(const nacre_transport *t);
NACRE_API bool nacre_transport_authenticated(const nacre_transport *t);
/* The authenticated user ("" before). */
NACRE_API const char *nacre_transport_user(const nacre_transport *t);
/* The value of an extension that the peer announced (RFC 8308), e.g. "server-sig-algs"; false: none. */
NACRE_API bool nacre_transport_peer_extension(const nacre_transport *t, const char *name,
                                              nacre_span *value);

typedef struct nacre_counters {
    uint64_t bytes_in, bytes_out; /* on the wire */
    uint64_t packets_in, packets_out;
    uint32_t key_exchanges;       /* completed */
    uint32_t channels;            /* open now */
    size_t memory_in, memory_out; /* capacity of the input and output side now */
} nacre_counters;
NACRE_API void nacre_transport_counters(const nacre_transport *t, nacre_counters *out);

/* ---- acting on it ------------------------------------------------------------------------------- */

/* Sends DISCONNECT (reason: RFC 4253 11.1; text: for a person) and ends. Idempotent. */
NACRE_API int nacre_transport_disconnect(nacre_transport *t, uint32_t reason, const char *text);
/* Those of config that may depend on who is at the other end; they hold from now on. */
typedef struct nacre_limits {
    size_t size; /* set by nacre_limits_init */
    uint64_t rekey_bytes;
    uint32_t rekey_seconds;
    uint32_t keepalive_ms, keepalive_max;
    uint32_t max_auth_tries; /* failures so far count */
} nacre_limits;
/* All as in nacre_config_init for a server. */
NACRE_API void nacre_limits_init(nacre_limits *l);
NACRE_API void nacre_transport_set_limits(nacre_transport *t, const nacre_limits *l);
/* From now on the log gets lines up to this level. */
NACRE_API void nacre_transport_set_log_level(nacre_transport *t, nacre_log_level level);
/* Starts a key exchange now, unless one runs. */
NACRE_API int nacre_transport_rekey(nacre_transport *t);
/* IGNORE and DEBUG (RFC 4253 11.2, 11.3). NACRE_WRONG_STATE on a shared connection that another process holds. */
NACRE_API int nacre_transport_send_ignore(nacre_transport *t, nacre_span data);
NACRE_API int nacre_transport_send_debug(nacre_transport *t, bool always_display, const char *text);
/*
 * Client: asks the server to prove that it holds the private halves of some of the keys that it announced
 * (1 to 64, by signatures bound to this session); the answer is NACRE_EVENT_HOST_KEYS_PROVEN. Keeps references.
 * NACRE_WRONG_STATE: not logged in, or a proof is on its way.
 */
NACRE_API int nacre_transport_prove_host_keys(nacre_transport *t, nacre_key *const *keys,
                                              size_t count) NACRE_MUST_CHECK;
/* ping@openssh.com, when the peer announced it, else NACRE_UNSUPPORTED; the answer is an event. */
NACRE_API int nacre_transport_ping(nacre_transport *t, nacre_span data);

/* ---- userauth, client (RFC 4252, RFC 4256) -------------------------------------------------------
 *
 * One attempt at a time; the end of each is NACRE_EVENT_AUTH_RESULT. An attempt may be made as soon
 * as the transport exists: it leaves together with the last message of the key exchange, after the
 * host key was accepted.
 */
NACRE_API int nacre_transport_auth_none(nacre_transport *t, const char *user) NACRE_MUST_CHECK;
NACRE_API int nacre_transport_auth_password(nacre_transport *t, const char *user,
                                            nacre_span password) NACRE_MUST_CHECK;
/*
 * Keeps a reference. A private key signs at once; a public one is offered first and then asked for by
 * NACRE_EVENT_SIGN. algorithm NULL: the best that the key can and the server takes (server-sig-algs).
 */
NACRE_API int nacre_transport_auth_publickey(nacre_transport *t, const char *user, nacre_key *key,
                                             const char *algorithm) NACRE_MUST_CHECK;
/*
 * Keeps a reference. The client's host vouches for its user (RFC 4252 9): key is a host key of it,
 * client_host its name as the server looks it up (ssh writes it fully qualified, with a dot behind),
 * client_user the name of the user on it. A public key makes NACRE_EVENT_SIGN with sign.host set.
 * Copies the names. NACRE_UNSUPPORTED: no algorithm of config.hostbased goes with the key.
 */
NACRE_API int nacre_transport_auth_hostbased(nacre_transport *t, const char *user, nacre_key *key,
                                             const char *algorithm, const char *client_host,
                                             const char *client_user) NACRE_MUST_CHECK;
NACRE_API int nacre_transport_auth_interactive(nacre_transport *t, const char *user,
                                               const char *submethods) NACRE_MUST_CHECK;
/* Server: a banner to be sent before authentication ends (RFC 4252 5.4). UTF-8, copied. */
NACRE_API int nacre_transport_send_banner(nacre_transport *t, const char *text);

#ifdef __cplusplus
}
#endif
#endif
