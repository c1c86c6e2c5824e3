/*
 * nacre/client.h - the easy face of a client: connect, verify, authenticate, run, move files.
 *
 * A nacre_client owns one connection, its socket, and a loop (or borrows yours). Every call here blocks,
 * up to its deadline, and drives the connection meanwhile: keepalives, rekeys and other channels go on.
 * Times are milliseconds; timeout 0 takes the client's default (timeout_ms), NACRE_FOREVER none at all.
 * A call that fails leaves a sentence in nacre_client_error.
 *
 * One thread at a time uses a client; nacre_client_cancel alone may come from any thread or a signal
 * handler: the blocked call (or the next one) returns NACRE_CANCELLED.
 *
 *     nacre_client_config cfg;
 *     nacre_client_config_init(&cfg);
 *     cfg.user = "me";
 *     if (nacre_client_open(&c, &cfg, "host", 22, &err) == NACRE_OK)
 *         rc = nacre_client_exec(c, "uname -a", no_input, 0, &result);
 */
#ifndef NACRE_CLIENT_H
#define NACRE_CLIENT_H

#include "nacre/agent.h"
#include "nacre/channel.h"
#include "nacre/host_trust.h"
#include "nacre/known_hosts.h"
#include "nacre/loop.h"

#ifdef __cplusplus
extern "C" {
#endif

#define NACRE_FOREVER UINT32_MAX

typedef struct nacre_client nacre_client;

/* What to do with a host key that known_hosts does not vouch for. A revoked key is always refused. */
typedef enum nacre_host_policy {
    /* Unknown and changed keys are errors. */
    NACRE_HOST_REJECT = 0,
    /* Unknown hosts are accepted and remembered; a changed key, or the first one of another type than
     * those that are known, is an error. */
    NACRE_HOST_ACCEPT_NEW,
    /* ask_host decides about unknown hosts and other types; changed keys are errors. */
    NACRE_HOST_ASK,
    /* Accepts anything, remembers unknown ones; neither passwords nor answers to prompts are sent to
     * hosts whose key has changed. */
    NACRE_HOST_INSECURE
} nacre_host_policy;

/* What the DNS says of a key that it does not vouch for. */
typedef enum nacre_dns_hint {
    NACRE_DNS_NOT_ASKED = 0,
    NACRE_DNS_MATCHES,    /* a fingerprint of it was found there */
    NACRE_DNS_MATCHES_NOT /* none was */
} nacre_dns_hint;

typedef struct nacre_host_question {
    const char *host;    /* as asked for, or the alias */
    const char *address; /* numeric address of the peer; "" unknown */
    uint16_t port;
    const nacre_key *key;
    nacre_host_match
        match; /* UNKNOWN or OTHER_TYPE; MATCH: only the address is odd (address_match) */
    nacre_host_line known;   /* but for UNKNOWN: the line */
    const char *fingerprint; /* of key, by the configured hash */
    const char *art;         /* with visual: its picture; "" */
    const char *other_names; /* one or more lines: where else known_hosts has this key; escaped */
    const char *certificate; /* why the certificate that the key came in does not count; "" */
    nacre_dns_hint dns;
    nacre_host_match address_match; /* CHANGED: the address is known by another key */
    nacre_host_line address_line;
} nacre_host_question;

typedef enum nacre_answer_kind {
    NACRE_ASK_PASSWORD,     /* the account's password          */
    NACRE_ASK_PASSPHRASE,   /* of the key file named in prompt */
    NACRE_ASK_NEW_PASSWORD, /* the old one has expired         */
    NACRE_ASK_PROMPT        /* keyboard-interactive            */
} nacre_answer_kind;

/* Whether keys that were read from files for a login are given to the agent (AddKeysToAgent). */
typedef enum nacre_add_keys {
    NACRE_ADD_KEYS_NO = 0,
    NACRE_ADD_KEYS_YES,
    NACRE_ADD_KEYS_ASK,    /* ask_add_key decides */
    NACRE_ADD_KEYS_CONFIRM /* yes, and each use is to be confirmed */
} nacre_add_keys;

/* All of them may be NULL. They run inside the blocking calls, none while the engine steps but banner
 * and event; none may free or disconnect the client (nacre_client_cancel is allowed). */
typedef struct nacre_client_callbacks {
    /* policy NACRE_HOST_ASK: true accepts (and remembers). */
    bool (*ask_host)(void *user, const nacre_host_question *q);
    /*
     * A secret is needed. attempt counts from 1. Writes up to size bytes into out and returns the
     * length, or -1 to give the method up. prompt is escaped for a terminal.
     */
    int (*ask_secret)(void *user, nacre_answer_kind kind, const char *prompt, bool echo,
                      unsigned attempt, char *out, size_t size);
    /* The server's banner (RFC 4252 5.4), raw: escape it before showing. */
    void (*banner)(void *user, nacre_span text);
    /* keyboard-interactive: name and instruction of a round, raw; before its prompts. NULL ok. */
    void (*instruction)(void *user, nacre_span name, nacre_span text);
    /*
     * The server opened a channel or sent a request nobody here knows; NULL: refused. Answer by ticket.
     * A SIGN question for one of the public keys that were given. And, only to be looked at, VERSION,
     * PRE_BANNER, KEX_DONE, DEBUG, PONG, AUTH_RESULT, HOST_KEYS and GLOBAL_REPLY.
     */
    void (*event)(void *user, nacre_client *c, const nacre_event *ev);
    /* Something a person should know although the call goes on: "Permanently added ...", a key file
     * that others may read. One or more lines, escaped, no newline at the end. */
    void (*warning)(void *user, const char *text);
    void *user;
} nacre_client_callbacks;

typedef struct nacre_client_config {
    size_t size;            /* set by nacre_client_config_init */
    nacre_config transport; /* algorithms, rekeying, keepalive, log ...; role is set for you */
    const char *user;       /* login name; NULL: the local user's */
    nacre_loop *loop;       /* NULL: one of its own */

    int family;               /* 0 any, 4, 6 */
    const char *bind_address; /* numeric source address, or NULL */
    const char *bind_interface;
    uint32_t
        connect_timeout_ms; /* connect and handshake up to the host key; default 30 s; 0: none */
    uint32_t timeout_ms;    /* default of every other call; 0: none */

    nacre_host_policy host_policy;
    const nacre_known_hosts *known_hosts; /* NULL: nothing is known */
    const char *known_hosts_file;         /* where accepted hosts are added; NULL: nowhere */
    bool hash_known_hosts;
    const char *host_key_alias; /* look up this name instead of the host's */

    nacre_key *const *keys; /* tried first, in order; public ones make NACRE_EVENT_SIGN events */
    size_t key_count;
    const char *const *key_files; /* then these; a missing one is skipped with a log line */
    size_t key_file_count;
    /* then ~/.ssh/id_rsa, id_ecdsa, id_ecdsa_sk, id_ed25519, id_ed25519_sk; default true */
    bool default_key_files;
    nacre_span password;        /* for password, and keyboard-interactive's single hidden prompt */
    const char *preferred_auth; /* default "hostbased,publickey,keyboard-interactive,password" */
    unsigned password_prompts;  /* how often to ask; default 3 */
    size_t exec_limit; /* bytes of output that nacre_client_exec keeps per stream; default 64 MiB */

    nacre_client_callbacks callbacks;

    /*
     * The agent. Its keys that key_files name (a ".pub" file will do) are tried before its others, and all of
     * them before key files; a certificate beside a key file ("id_x-cert.pub") is tried after the plain key.
     */
    bool use_agent;         /* default true */
    const char *agent_path; /* its socket; NULL: what SSH_AUTH_SOCK names */
    nacre_agent *agent; /* this one instead; kept, lent, and bound to sessions by who lends it */
    bool
        identities_only; /* of the agent's keys only those that key_files and certificate_files name */
    const char *const *certificate_files; /* tried first, if their private keys are at hand */
    size_t certificate_file_count;
    nacre_add_keys add_keys_to_agent;
    uint32_t add_keys_seconds; /* their life there; 0: no end */
    /* NACRE_ADD_KEYS_ASK: shall the key from path be added? Gets callbacks.user. NULL: no. */
    bool (*ask_add_key)(void *user, const nacre_key *key, const char *path);

    nacre_host_trust
        trust; /* certificates, revocation, addresses, DNS, learning: nacre/host_trust.h */
    /*
     * hostbased (RFC 4252 9), tried first when it is switched on: this host vouches for its user, by the
     * given host keys (public ones make NACRE_EVENT_SIGN events with sign.host set), then by the files. A
     * file that only root can read is left to OpenSSH's ssh-keysign when its path stands in keysign; its
     * public half is read beside it, with ".pub" behind the name.
     */
    bool hostbased;
    nacre_key *const *host_keys;
    size_t host_key_count;
    const char *const *host_key_files;
    size_t host_key_file_count;
    const char *keysign; /* "/usr/lib/openssh/ssh-keysign"; NULL: not used */
    const char
        *client_host; /* our name as the server knows it; NULL: that of the connection's local
                              * address (a name service is asked), else the host's own; a dot is added */
    const char *client_user; /* ours on this host; NULL: the local user's */
                             /*
     * A server that lets us in although we had to prove nothing (by "none", or by prompts that were none)
     * is left with NACRE_AUTH_FAILED: what then asks for a passphrase is the server, and not this program
     * (CVE-2021-36367, CVE-2021-36369).
     */
    bool require_real_auth;

    /*
     * A program whose standard input and output are the connection (ssh_config(5) ProxyCommand); NULL, "none": TCP.
     * %h, %n, %p and %r stand for host, original_host (NULL: host), port and user; names that could be more than
     * names to a program are refused. Words are handed over as they are; a shell is asked, as ssh does it, only
     * when the text has characters in it that need one. It ends with the connection: hangup, then SIGKILL. Its
     * standard error is ours, and errors say how it ended. fdpass: it sends the connected descriptor through its
     * standard output instead (SCM_RIGHTS) and may end.
     */
    const char *proxy_command;
    const char *original_host;
    bool proxy_use_fdpass;
    /* Connect from there, by nacre_client_tunnel, and in its loop. Borrowed: it must outlive this client. */
    nacre_client *via;
} nacre_client_config;
NACRE_API void nacre_client_config_init(nacre_client_config *cfg);

/* ---- life ------------------------------------------------------------------------------------------ */

/* Copies the config (strings, spans, references to keys); keeps known_hosts, loop and allocator. */
NACRE_API int nacre_client_new(nacre_client **out, const nacre_client_config *cfg,
                               nacre_error *err) NACRE_MUST_CHECK;
/* Connects, exchanges keys and verifies the host key. port 0: 22. A client that is not connected any
 * more may connect again; its channels are gone then. */
NACRE_API int nacre_client_connect(nacre_client *c, const char *host,
                                   uint16_t port) NACRE_MUST_CHECK;
/* The same over fds that are connected already (ProxyCommand, socketpair). Takes them on success. */
NACRE_API int nacre_client_connect_fd(nacre_client *c, int in_fd, int out_fd, const char *host,
                                      uint16_t port) NACRE_MUST_CHECK;
/*
 * Over a descriptor from nacre_mux_proxy (nacre/mux.h): the connection of a master, which has logged in. Takes it on
 * success. host and port are for messages. There are no keys of this connection's own, and no login to be made.
 * Leave it by nacre_client_disconnect, not by nacre_client_free alone.
 */
NACRE_API int nacre_client_connect_proxied(nacre_client *c, int fd, const char *host,
                                           uint16_t port) NACRE_MUST_CHECK;
/*
 * Logs in: hostbased if it is on, the given keys, those of the agent, key files, default files, then
 * keyboard-interactive and password, in the order of preferred_auth and as the server allows (asked for by
 * "none", unless a key or a password is at hand that can be tried at once); partial success goes on.
 * NACRE_AUTH_FAILED names what was tried and what the server would take; so does the error when the server has
 * had enough. The timeout is for each answer of the server: people may think.
 */
NACRE_API int nacre_client_authenticate(nacre_client *c) NACRE_MUST_CHECK;
/*
 * new, connect, authenticate in one, saving a round trip: the first attempt leaves together with the
 * last message of the key exchange. *out is owned, NULL on failure.
 */
NACRE_API int nacre_client_open(nacre_client **out, const nacre_client_config *cfg,
                                const char *host, uint16_t port, nacre_error *err) NACRE_MUST_CHECK;
/*
 * The same through other hosts (ssh -J): the first hop is connected to, each next one and in the end host through the
 * one before, all in one loop. Each hop has its own config (NULL: cfg) and its own host key. *out owns them: they
 * are disconnected and freed with it. err names the host that failed.
 */
typedef struct nacre_client_hop {
    const nacre_client_config *config;
    const char *host;
    uint16_t port;
} nacre_client_hop;
NACRE_API int nacre_client_open_through(nacre_client **out, const nacre_client_config *cfg,
                                        const char *host, uint16_t port,
                                        const nacre_client_hop *hops, size_t count,
                                        nacre_error *err) NACRE_MUST_CHECK;
/* One method at a time: NACRE_OK, NACRE_AUTH_PARTIAL, NACRE_AUTH_FAILED (methods: see auth_methods). */
NACRE_API int nacre_client_auth_none(nacre_client *c) NACRE_MUST_CHECK;
NACRE_API int nacre_client_auth_password(nacre_client *c, nacre_span password) NACRE_MUST_CHECK;
NACRE_API int nacre_client_auth_key(nacre_client *c, nacre_key *key) NACRE_MUST_CHECK;
NACRE_API int nacre_client_auth_interactive(nacre_client *c) NACRE_MUST_CHECK;
/* By a host key of this host, as client_host and client_user of the config. */
NACRE_API int nacre_client_auth_hostbased(nacre_client *c, nacre_key *key) NACRE_MUST_CHECK;
/* connect (with in_fd -1) or connect_fd, then authenticate, saving the same round trip. */
NACRE_API int nacre_client_login(nacre_client *c, int in_fd, int out_fd, const char *host,
                                 uint16_t port) NACRE_MUST_CHECK;
/* What the server said can continue, "" before; borrowed until the next call. */
NACRE_API const char *nacre_client_auth_methods(const nacre_client *c);

/*
 * Says goodbye and closes the socket; waits at most a second, and before that, on a connection of a master's, two for
 * the server to close the channels: OpenSSH's master does not survive a client that leaves one behind. Idempotent.
 */
NACRE_API void nacre_client_disconnect(nacre_client *c);
/* Frees, after closing without a word if needed. Blocks never. */
NACRE_API void nacre_client_free(nacre_client *c);
/* Any thread, any time while c lives; async-signal-safe. */
NACRE_API void nacre_client_cancel(nacre_client *c);

/* What went wrong in the last call that failed. Borrowed until the next call. */
NACRE_API const nacre_error *nacre_client_error(const nacre_client *c);
/* Borrowed: transport and driver until the next connect (NULL before the first), the loop with c. */
NACRE_API nacre_transport *nacre_client_transport(nacre_client *c);
NACRE_API nacre_driver *nacre_client_driver(nacre_client *c);
NACRE_API nacre_loop *nacre_client_loop(nacre_client *c);

/* The log gets lines up to this level from now on, instead of config.transport.log_level. */
NACRE_API void nacre_client_set_log_level(nacre_client *c, nacre_log_level level);

/* ---- running commands -------------------------------------------------------------------------------- */

/* How a remote program ended. */
typedef struct nacre_exit {
    bool exited; /* status is valid */
    uint32_t status;
    char signal[32]; /* name without SIG when a signal ended it, else "" */
    bool core_dumped;
    char message[256];
} nacre_exit;

typedef struct nacre_exec_result {
    uint8_t *out, *err; /* zero-terminated for convenience; never NULL after success */
    size_t out_len, err_len;
    bool truncated; /* exec_limit was reached; the rest was read and dropped */
    nacre_exit exit;
} nacre_exec_result;

/*
 * Runs a command, feeds it input (may be empty), collects both streams. NACRE_OK whenever the command
 * ran, whatever its status; NACRE_REQUEST_REFUSED, NACRE_CHANNEL_REFUSED, NACRE_TIMEOUT (what was
 * collected until then is in result). Free result in either case.
 */
NACRE_API int nacre_client_exec(nacre_client *c, const char *command, nacre_span input,
                                uint32_t timeout_ms, nacre_exec_result *result) NACRE_MUST_CHECK;
NACRE_API void nacre_exec_result_free(nacre_exec_result *result);

/* ---- channels, blocking -------------------------------------------------------------------------------
 *
 * Channels opened here keep what arrives until it is read, within their window; nacre_channel_* calls may
 * be used on them beside these, but for consumed. *out is given back by nacre_client_channel_free, at the latest by
 * nacre_client_free. NACRE_CHANNEL_REFUSED (the error has the server's reason), NACRE_TIMEOUT, NACRE_CLOSED.
 */
NACRE_API int nacre_client_session(nacre_client *c, uint32_t timeout_ms,
                                   nacre_channel **out) NACRE_MUST_CHECK;
NACRE_API int nacre_client_channel(nacre_client *c, const char *type, nacre_span data,
                                   uint32_t timeout_ms, nacre_channel **out) NACRE_MUST_CHECK;
/* Waits for the answer to the oldest unanswered request of the channel. NACRE_REQUEST_REFUSED. */
NACRE_API int nacre_client_wait_reply(nacre_client *c, nacre_channel *ch,
                                      uint32_t timeout_ms) NACRE_MUST_CHECK;
/*
 * Reads what is there, at least one byte: *got. stream NACRE_STDOUT or NACRE_STDERR. NACRE_END at EOF, and only there:
 * when the connection ends before, it is NACRE_CLOSED (or what else ended it).
 */
NACRE_API int nacre_client_read(nacre_client *c, nacre_channel *ch, int stream, void *p, size_t n,
                                uint32_t timeout_ms, size_t *got) NACRE_MUST_CHECK;
/* Writes all; *took (NULL ok) says how much when it fails. */
NACRE_API int nacre_client_write(nacre_client *c, nacre_channel *ch, int stream, const void *p,
                                 size_t n, uint32_t timeout_ms, size_t *took) NACRE_MUST_CHECK;
/* Waits until the peer closed the channel; *exit (NULL ok) says how the program ended. */
NACRE_API int nacre_client_wait_closed(nacre_client *c, nacre_channel *ch, uint32_t timeout_ms,
                                       nacre_exit *exit) NACRE_MUST_CHECK;
/* Frees a channel of these calls and what it kept. NULL ok. */
NACRE_API void nacre_client_channel_free(nacre_client *c, nacre_channel *ch);

/*
 * Ties an open channel to fds until it is over (an ssh session in a terminal): options as for
 * nacre_relay_new; on_finished is taken by this call, filter gets the options' user. timeout_ms 0: none.
 * Other watchers and timers of the loop run meanwhile. result is filled in any case.
 */
NACRE_API int nacre_client_relay(nacre_client *c, nacre_channel *ch, const nacre_relay_options *o,
                                 uint32_t timeout_ms, nacre_relay_result *result) NACRE_MUST_CHECK;
/*
 * The same without waiting: the channel is tied to the fds while the loop turns, inside whatever call, and is freed
 * when it is over; what it kept until now goes first. The channel may be any open one of this connection, and
 * belongs to the client from here on. on_finished (NULL ok) comes from the loop, before the channel is freed, and may
 * neither free the relay nor the client; it does not come when the client is freed or connects anew before. The
 * fds are the relay's on success (see nacre_relay_options). NACRE_CLOSED, NACRE_INVALID_ARGUMENT.
 */
NACRE_API int nacre_client_attach(nacre_client *c, nacre_channel *ch, const nacre_relay_options *o,
                                  nacre_error *err) NACRE_MUST_CHECK;
/*
 * A connection from the server to host:port (direct-tcpip, as ssh -J and -W): *fd is a stream socket that is
 * the caller's, whoever closes its end ends the other. What is written there travels whenever the loop of c
 * turns; so a client that is to be connected through c by nacre_client_connect_fd or _login borrows that loop
 * (config.loop), and is freed before c. NACRE_CHANNEL_REFUSED: the server may not or cannot connect there.
 */
NACRE_API int nacre_client_tunnel(nacre_client *c, const char *host, uint16_t port,
                                  uint32_t timeout_ms, int *fd) NACRE_MUST_CHECK;
/*
 * Hands every event of a channel to fn from now on, inside blocking calls (fn NULL: back to keeping it).
 * Returns what fn returned first that is not NACRE_AGAIN from nacre_client_run.
 */
typedef int (*nacre_client_event_fn)(void *user, const nacre_event *ev);
NACRE_API int nacre_client_on_channel(nacre_client *c, nacre_channel *ch, nacre_client_event_fn fn,
                                      void *user);
/*
 * Runs the loop until done(user) returns something other than NACRE_AGAIN, which is then returned, or
 * the connection ends, or time is up. done is asked after each turn.
 */
NACRE_API int nacre_client_run(nacre_client *c, int (*done)(void *user), void *user,
                               uint32_t timeout_ms) NACRE_MUST_CHECK;

#ifdef __cplusplus
}
#endif
#endif
