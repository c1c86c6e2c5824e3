/*
 * nacre/server.h - the easy face of a server: listen, accept, serve many connections in one process.
 *
 * The library speaks the protocol and checks signatures; the application decides, through callbacks, and
 * every callback that is NULL is a no. A callback answers at once, or returns NACRE_LATER and answers
 * by ticket (nacre_server_answer) from anywhere in the loop's thread.
 *
 * Everything runs in one loop and one thread; nothing blocks unless a callback does.
 */
#ifndef NACRE_SERVER_H
#define NACRE_SERVER_H

#include "nacre/channel.h"
#include "nacre/loop.h"
#include "nacre/net.h"
#include "nacre/process.h"
#include "nacre/sftp_server.h"
#include "nacre/sources.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct nacre_server nacre_server;
typedef struct nacre_server_conn nacre_server_conn;

/* Verdicts. Zero is a refusal, so that nothing is granted by omission. */
typedef enum nacre_verdict {
    NACRE_REFUSE = 0,
    NACRE_ACCEPT,
    NACRE_PARTIAL, /* authentication: good, but another method is needed as well */
    NACRE_LATER    /* answered by ticket */
} nacre_verdict;

/*
 * What a client wants forwarded (RFC 4254 7, OpenSSH PROTOCOL 2.4): a connection, or that something is listened on.
 * Borrowed during the callback that judges it, which may set what stands in the second half.
 */
typedef struct nacre_server_forward {
    size_t size;
    const char *
        host; /* TCP: where to, or on which address; as the client named it, without brackets; may be "" */
    uint16_t port;      /* 0: the client wants to hear which it is (listening only) */
    const char *path;   /* not NULL: a Unix-domain socket instead */
    const char *origin; /* TCP connections: who the client says connected to it; else NULL */
    uint16_t origin_port;
    int family;          /* 0: any, 4, 6 */
    uint32_t timeout_ms; /* of connecting; default 120000, 0: the system's own */
    /*
     * Where is listened: 0 (default): on loopback, whatever the client said; 1: on all addresses; 2: as the client
     * said, "" and "*" being all addresses. Names but localhost are refused: looking them up could take long.
     */
    int gateway_ports;
    unsigned bind_mask; /* permissions that a socket's file does not get; default 0177 */
    bool bind_unlink;   /* an earlier socket of that name is removed */
} nacre_server_forward;
NACRE_API void nacre_server_forward_init(nacre_server_forward *f);

typedef struct nacre_server_callbacks {
    size_t size; /* set by nacre_server_config_init */
    /* A connection was accepted (not: adopted). REFUSE drops it without a word. NULL: accept. */
    nacre_verdict (*connected)(void *user, nacre_server_conn *c);
    /*
     * Authentication. ev->u.auth has user, method, key ...; for prompts and password changes answer by
     * ticket (nacre_transport_answer on the conn's transport) and return NACRE_LATER.
     */
    nacre_verdict (*auth_none)(void *user, nacre_server_conn *c, const nacre_event *ev);
    nacre_verdict (*auth_password)(void *user, nacre_server_conn *c, const nacre_event *ev);
    /* signed_: the library has verified a signature by this key; else the client asks if it would do. */
    nacre_verdict (*auth_key)(void *user, nacre_server_conn *c, const nacre_event *ev,
                              bool signed_);
    /* Both the start (no responses) and each round of responses (ev->type says which). */
    nacre_verdict (*auth_interactive)(void *user, nacre_server_conn *c, const nacre_event *ev);
    /* Logged in: name, and the key that signed or NULL. REFUSE disconnects. NULL: accept. */
    nacre_verdict (*authenticated)(void *user, nacre_server_conn *c, const char *name,
                                   const nacre_key *key);
    /* A channel. NULL: sessions are accepted when one of the session callbacks is set, others refused. */
    nacre_verdict (*channel_open)(void *user, nacre_server_conn *c, const nacre_event *ev);
    /*
     * Requests of a session channel (ev->u.request); each NULL is a no. What pty and env accept at once is
     * kept for the program that comes (nacre_server_session_pty, _env); malformed or excessive ones are
     * refused unasked, and so is a second program on a channel (RFC 4254 6.5).
     */
    nacre_verdict (*pty)(void *user, nacre_server_conn *c, const nacre_event *ev);
    nacre_verdict (*env)(void *user, nacre_server_conn *c, const nacre_event *ev);
    /* exec and shell (command empty). Usually ends in nacre_server_spawn. */
    nacre_verdict (*exec)(void *user, nacre_server_conn *c, const nacre_event *ev);
    nacre_verdict (*shell)(void *user, nacre_server_conn *c, const nacre_event *ev);
    /* "sftp" usually ends in nacre_server_sftp. */
    nacre_verdict (*subsystem)(void *user, nacre_server_conn *c, const nacre_event *ev);
    nacre_verdict (*window_change)(void *user, nacre_server_conn *c, const nacre_event *ev);
    nacre_verdict (*signal)(void *user, nacre_server_conn *c,
                            const nacre_event *ev); /* and break */
    nacre_verdict (*other_request)(void *user, nacre_server_conn *c, const nacre_event *ev);
    nacre_verdict (*global_request)(void *user, nacre_server_conn *c, const nacre_event *ev);
    /* Events of channels that no relay, SFTP server or callback above deals with. */
    void (*event)(void *user, nacre_server_conn *c, const nacre_event *ev);
    /* The channel is closed, its program or SFTP server is over; the handle dies after the call. */
    void (*channel_closed)(void *user, nacre_server_conn *c, nacre_channel *ch);
    /* The connection is over, or gave way to another source's (NACRE_LIMIT); the handle dies after the call. */
    void (*disconnected)(void *user, nacre_server_conn *c, const nacre_error *why);
    void *user;
    /*
     * The client's host signed (the library has verified it) and says that ev->u.auth.client_user of
     * client_host may log in; whether that host is believed, and which user of it, is decided here
     * (nacre/hostbased.h). Only asked when transport.auth_methods names hostbased.
     */
    nacre_verdict (*auth_hostbased)(void *user, nacre_server_conn *c, const nacre_event *ev);
    /*
     * direct-tcpip and direct-streamlocal@openssh.com: a connection is wanted. ACCEPT: the library makes it, without
     * waiting, and relays it, or tells the client why it failed. LATER: the channel is the application's, which answers
     * it (nacre_server_answer) and may use it as it likes. Malformed requests are refused unasked. NULL:
     * channel_open is asked instead.
     */
    nacre_verdict (*direct_open)(void *user, nacre_server_conn *c, const nacre_event *ev,
                                 nacre_server_forward *f);
    /*
     * tcpip-forward and streamlocal-forward@openssh.com: something shall be listened on. ACCEPT: the library does
     * so until the client cancels it or the connection ends, and opens a channel for each that connects; at most 128
     * at once. LATER: the application does, and answers by ticket with the port as data. NULL: global_request is
     * asked instead; it is also asked for cancellations of what the library does not know.
     */
    nacre_verdict (*forward_request)(void *user, nacre_server_conn *c, const nacre_event *ev,
                                     nacre_server_forward *f);
    /*
     * A session asks for the client's agent (auth-agent-req@openssh.com, agent-req), or for X11 (x11-req) before
     * its program. Usually end in nacre_server_agent_forward (nacre/agent_forward.h) and nacre_server_x11
     * (nacre/x11.h). NULL: other_request is asked.
     */
    nacre_verdict (*agent)(void *user, nacre_server_conn *c, const nacre_event *ev);
    nacre_verdict (*x11)(void *user, nacre_server_conn *c, const nacre_event *ev);
} nacre_server_callbacks;

typedef struct nacre_server_config {
    size_t size;            /* set by nacre_server_config_init */
    nacre_config transport; /* of every connection; role is set for you */
    nacre_loop *loop;       /* NULL: one of its own */
    nacre_key *const *host_keys;
    size_t host_key_count;
    uint32_t max_connections; /* in all; further ones are closed at once; default 1024 */
    /* MaxStartups: unauthenticated connections: from begin on rate % are dropped, rising to all at full. */
    uint32_t startups_begin, startups_rate, startups_full; /* default 10, 30, 100 */
    uint32_t max_sessions; /* session channels of one connection; default 10 */
    nacre_server_callbacks callbacks;
    /*
     * What is counted by source address: PerSourceMaxStartups, PerSourcePenalties. Its startups_* are those above.
     * Penalties are off until sources.penalties is set: behind a proxy all clients have one address, and one
     * of them that forgets its password would shut all of them out for a while.
     */
    nacre_source_rules sources;
} nacre_server_config;
NACRE_API void nacre_server_config_init(nacre_server_config *cfg);

/* Copies the config; keeps loop and allocator, takes references to the host keys. */
NACRE_API int nacre_server_new(nacre_server **out, const nacre_server_config *cfg,
                               nacre_error *err) NACRE_MUST_CHECK;
/* Drops every connection and frees. */
NACRE_API void nacre_server_free(nacre_server *s);
/* Adds a listening address; may be called several times. port 0: any; *bound (NULL ok) tells. */
NACRE_API int nacre_server_listen(nacre_server *s, const char *address, uint16_t port,
                                  uint16_t *bound, nacre_error *err) NACRE_MUST_CHECK;
/* Adds a socket that listens already. Takes it. */
NACRE_API int nacre_server_listen_fd(nacre_server *s, int fd, nacre_error *err) NACRE_MUST_CHECK;
/* Stops listening; connections go on. */
NACRE_API void nacre_server_unlisten(nacre_server *s);
/* Serves a connected socket, or two pipes. Takes the fds on success. *out (NULL ok) is borrowed. */
NACRE_API int nacre_server_adopt(nacre_server *s, int in_fd, int out_fd, nacre_server_conn **out,
                                 nacre_error *err) NACRE_MUST_CHECK;
/*
 * Instead of serving accepted sockets here, hands each to fn (which takes it): for servers that fork a
 * process per connection. MaxStartups is then the caller's matter.
 */
typedef void (*nacre_accept_fn)(void *user, int fd, const nacre_endpoint *peer);
NACRE_API void nacre_server_on_accept(nacre_server *s, nacre_accept_fn fn, void *user);
/* Runs the loop until nacre_server_stop, or, with until_idle, until no connection is left. */
NACRE_API int nacre_server_run(nacre_server *s, bool until_idle) NACRE_MUST_CHECK;
NACRE_API void nacre_server_stop(nacre_server *s); /* any thread; async-signal-safe */
NACRE_API nacre_loop *nacre_server_loop(nacre_server *s);
NACRE_API size_t nacre_server_connections(const nacre_server *s);
/* What it counts by source, to look at or to add to. Borrowed. */
NACRE_API nacre_sources *nacre_server_sources(nacre_server *s);

typedef struct nacre_server_counts {
    size_t size;                /* set by the caller to sizeof */
    uint64_t accepted, adopted; /* connections that were served */
    uint64_t refused_full; /* above max_connections; nacre_sources_counts has the other refusals */
    uint64_t logins,
        attempts; /* attempts: passwords, signatures, responses; not what was only offered */
    uint64_t ended_before_login; /* connections that went without one */
    uint64_t ended_by_cap; /* because the peer passed a cap: max_auth_tries, packets, windows ... */
    uint64_t ended_unused; /* by nacre_server_conn_unused_timeout */
    uint64_t refused_sessions; /* channels above max_sessions */
    uint64_t idle_channels;    /* closed by nacre_server_conn_channel_timeout */
} nacre_server_counts;
/* Fills what counts->size has room for. */
NACRE_API void nacre_server_get_counts(const nacre_server *s, nacre_server_counts *counts);

/* ---- connections --------------------------------------------------------------------------------------- */

/* All borrowed, for as long as the connection lives: until disconnected has returned. */
NACRE_API nacre_transport *nacre_server_conn_transport(nacre_server_conn *c);
NACRE_API nacre_driver *nacre_server_conn_driver(nacre_server_conn *c);
NACRE_API nacre_server *nacre_server_conn_server(nacre_server_conn *c);
NACRE_API const nacre_endpoint *nacre_server_conn_peer(const nacre_server_conn *c);
NACRE_API const nacre_endpoint *nacre_server_conn_local(const nacre_server_conn *c);
/* A pointer of the application's, never looked at. */
NACRE_API void nacre_server_conn_set_user(nacre_server_conn *c, void *user);
NACRE_API void *nacre_server_conn_user(const nacre_server_conn *c);
/* Session channels that this connection may have at once from now on, instead of config.max_sessions. */
NACRE_API void nacre_server_conn_limit_sessions(nacre_server_conn *c, uint32_t max_sessions);
/*
 * If it ends without a login, that shall count as this offence, instead of what the server makes of it; NONE: as
 * nothing. For a connection that the application refuses by its own rules, for instance.
 */
NACRE_API void nacre_server_conn_blame(nacre_server_conn *c, nacre_offence offence);
/* Says goodbye and ends it: nacre_transport_disconnect, and what is written still leaves. */
NACRE_API void nacre_server_conn_disconnect(nacre_server_conn *c, uint32_t reason,
                                            const char *text);
/* Answers a callback that returned NACRE_LATER, and steps the connection. */
NACRE_API int nacre_server_answer(nacre_server_conn *c, uint32_t ticket,
                                  const nacre_answer *answer);

/*
 * ---- time limits (what nacre-sshd makes of ChannelTimeout and UnusedConnectionTimeout) ----------------------
 *
 * A channel over which nothing went in either direction for so long is closed, and a program on it hung up; the
 * connection goes on. pattern is as in ssh_config, over the names of sshd_config(5): session:shell,
 * session:command, session:subsystem:NAME, direct-tcpip, forwarded-tcpip, x11-connection, agent-connection ...;
 * "session" alone fits every session. The first limit that fits counts; 0 ms: none. "global" is
 * another matter: when nothing went over any channel for so long, all are closed. A limit is kept within a
 * quarter of it. NACRE_LIMIT: more than 32 of them; NACRE_INVALID_ARGUMENT: an empty pattern.
 */
NACRE_API int nacre_server_conn_channel_timeout(nacre_server_conn *c, const char *pattern,
                                                uint32_t ms) NACRE_MUST_CHECK;
/* A connection that is logged in, and has had no channel for so long, is ended. 0: never. */
NACRE_API void nacre_server_conn_unused_timeout(nacre_server_conn *c, uint32_t ms);

/*
 * ---- subsystems by name -------------------------------------------------------------------------------------
 *
 * A session that asks for a name that was added is started by it, any other is asked callbacks.subsystem. start
 * may put nacre_server_spawn, _sftp, _attach or _channel_fd on the channel, which do all that follows;
 * else the functions below get what comes, and the handler writes by nacre_channel_write and ends by
 * nacre_channel_exit_status and nacre_channel_close.
 */
typedef struct nacre_subsystem {
    size_t size; /* set by nacre_subsystem_init */
    /*
     * Accepts, refuses, or answers later by ev->ticket; *session (NULL before) is what the others get. NULL: every
     * start is refused.
     */
    nacre_verdict (*start)(void *user, nacre_server_conn *c, const nacre_event *ev, void **session);
    /* Data of the client: give the window back with nacre_channel_consumed. NULL: it is dropped. */
    void (*data)(void *session, nacre_server_conn *c, nacre_channel *ch, nacre_span bytes);
    /* A write that took less than asked may go on. NULL ok. */
    void (*writable)(void *session, nacre_server_conn *c, nacre_channel *ch);
    /* The client sends no more. NULL: the channel is closed, with exit status 0. */
    void (*eof)(void *session, nacre_server_conn *c, nacre_channel *ch);
    /* Once for each start that was not refused, when channel or connection are over. NULL ok. */
    void (*finish)(void *session);
    void *user;
} nacre_subsystem;
NACRE_API void nacre_subsystem_init(nacre_subsystem *s);
/*
 * Copies. NACRE_WRONG_STATE: the name has one; NACRE_INVALID_ARGUMENT: it is empty, longer than 64 bytes, or not
 * printable (RFC 4250 4.6.1); NACRE_LIMIT: 64 of them are there.
 */
NACRE_API int nacre_server_subsystem_add(nacre_server *s, const char *name,
                                         const nacre_subsystem *subsystem) NACRE_MUST_CHECK;
/* No more starts; sessions that run keep their functions. NACRE_NOT_FOUND. */
NACRE_API int nacre_server_subsystem_remove(nacre_server *s, const char *name) NACRE_MUST_CHECK;
/*
 * For who wants to read and write as from a socket, in a thread of its own if need be: *fd is one end of a socket
 * pair, the caller's, whose other end is tied to the channel as by nacre_server_attach. Closing it sends EOF; the
 * channel is closed when the client's has come as well, or more of its data cannot be delivered.
 */
NACRE_API int nacre_server_channel_fd(nacre_server_conn *c, nacre_channel *ch, int *fd,
                                      nacre_error *err) NACRE_MUST_CHECK;

/* ---- what sessions do ------------------------------------------------------------------------------------ */

/* The terminal that the session was granted, at its present size; NULL: none. Borrowed with the channel. */
NACRE_API const nacre_pty *nacre_server_session_pty(nacre_server_conn *c, nacre_channel *ch);
/* The environment that it was granted, "NAME=value" each, NULL-ended. Borrowed with the channel. */
NACRE_API char *const *nacre_server_session_env(nacre_server_conn *c, nacre_channel *ch);

/*
 * Runs a program on a session channel: its output, input, exit status or signal and the closing are taken
 * care of; window-change and signal requests reach it when the callbacks accept them and call
 * nacre_server_resize / nacre_server_signal. When the channel or the connection ends before the program
 * does, its process group gets a SIGHUP; it is reaped in any case.
 * process: NULL ok; gets pid and pty_name (the descriptors stay with the library: -1).
 */
NACRE_API int nacre_server_spawn(nacre_server_conn *c, nacre_channel *ch,
                                 const nacre_spawn_options *o, nacre_process *process,
                                 nacre_error *err) NACRE_MUST_CHECK;
/* NACRE_NOT_FOUND: no program of nacre_server_spawn runs there, or (resize) it has no terminal. name: without "SIG". */
NACRE_API int nacre_server_resize(nacre_server_conn *c, nacre_channel *ch,
                                  const nacre_pty *size) NACRE_MUST_CHECK;
NACRE_API int nacre_server_signal(nacre_server_conn *c, nacre_channel *ch,
                                  const char *name) NACRE_MUST_CHECK;
/*
 * Serves SFTP on a channel with a backend (e.g. nacre_local_files). options: NULL for the defaults. done
 * (NULL ok) is called with the backend's user pointer when the channel is over.
 */
NACRE_API int nacre_server_sftp(nacre_server_conn *c, nacre_channel *ch,
                                const nacre_sftp_server_ops *ops, void *backend,
                                const nacre_sftp_server_options *options,
                                void (*done)(void *backend), nacre_error *err) NACRE_MUST_CHECK;
/*
 * Serves the other half of a client's scp (SCP1): command is what the client asked to run. NACRE_UNSUPPORTED:
 * it is not "scp" with -t or -f (and -r, -p, -d, -v) and paths, in words that need no shell: quotes,
 * backslashes, a leading ~ and, with -f, wildcards are understood. Files are accessed as the user that the
 * process is; each is made under another name and renamed when it is whole. Nothing is waited for: a full fifo
 * is an error, and wildcards or users to look up by the thousand are NACRE_UNSUPPORTED. What fails is told to the client,
 * and the exit status is 1 then, as scp's. Call it instead of nacre_server_spawn, within exec's callback.
 */
typedef struct nacre_server_scp_options {
    size_t size;       /* set by nacre_server_scp_options_init */
    const char *start; /* relative paths begin here; NULL: the working directory */
    const char *home;  /* what ~ is; NULL: the home of the user that the process is */
    int umask;         /* -1: the process's */
} nacre_server_scp_options;
NACRE_API void nacre_server_scp_options_init(nacre_server_scp_options *o);
NACRE_API int nacre_server_scp(nacre_server_conn *c, nacre_channel *ch, const char *command,
                               const nacre_server_scp_options *options,
                               nacre_error *err) NACRE_MUST_CHECK;
/*
 * Ties descriptors to an open channel of this connection, one of the client's that was accepted or one of ours, and
 * does not wait: o as for nacre_relay_new, without filter. o->on_finished (NULL ok) comes once, when both directions
 * are over or the connection is; the relay is the library's to free, and the channel's handle dies after
 * channel_closed. NACRE_WRONG_STATE: it is not open, or something runs on it.
 */
NACRE_API int nacre_server_attach(nacre_server_conn *c, nacre_channel *ch,
                                  const nacre_relay_options *o, nacre_error *err) NACRE_MUST_CHECK;
/*
 * Opens a channel towards the client (forwarded-tcpip, x11, auth-agent@openssh.com ...; data: what RFC 4254
 * puts behind max packet size), and relays fd, which it takes on success, once the client accepts. A refusal
 * closes it. For sockets that somebody accepted; nothing is waited for. NACRE_LIMIT above max_channels.
 */
NACRE_API int nacre_server_carry(nacre_server_conn *c, const char *type, nacre_span data, int fd,
                                 nacre_error *err) NACRE_MUST_CHECK;
/*
 * BREAK (RFC 4335) on the session's terminal: see nacre_pty_break. NACRE_NOT_FOUND: it has none.
 */
NACRE_API int nacre_server_break(nacre_server_conn *c, nacre_channel *ch) NACRE_MUST_CHECK;
/*
 * The same for those who listen themselves for a client (LATER in forward_request): forwarded-tcpip with the address as the
 * client named it, the port that is listened on, and who connected (for messages); forwarded-streamlocal@openssh.com.
 */
NACRE_API int nacre_server_carry_tcp(nacre_server_conn *c, const char *host, uint16_t port,
                                     const char *origin, uint16_t origin_port, int fd,
                                     nacre_error *err) NACRE_MUST_CHECK;
NACRE_API int nacre_server_carry_path(nacre_server_conn *c, const char *path, int fd,
                                      nacre_error *err) NACRE_MUST_CHECK;
/*
 * What the library listens on for this client: host, port (bound) and path of the n-th, borrowed until it is
 * cancelled. False: there are no more.
 */
NACRE_API bool nacre_server_listens(nacre_server_conn *c, size_t n, nacre_server_forward *out);
/* After nacre_sftp_reply_*: instead of nacre_sftp_server_flush, when the server stands on a channel. */
NACRE_API int nacre_server_sftp_flush(nacre_server_conn *c, nacre_channel *ch) NACRE_MUST_CHECK;

#ifdef __cplusplus
}
#endif
#endif
