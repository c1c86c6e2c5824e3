/*
 * nacre/mux.h - one connection for many programs: OpenSSH's connection sharing (PROTOCOL.mux, the ControlMaster,
 * ControlPath and ControlPersist of ssh_config(5)), both roles, understood by OpenSSH's ssh at the other end.
 *
 * A master has a connection and listens on a unix socket; a client finds it there and gets sessions on the
 * connection without logging in. Whoever may connect to the socket may use the connection: it is made with mode
 * 0600, and both sides refuse another user's end (root's is taken). Keep it in a directory that only its user
 * can write.
 */
#ifndef NACRE_MUX_H
#define NACRE_MUX_H

#include "nacre/client.h"
#include "nacre/forward.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- a client of a master ----------------------------------------------------------------------------
 *
 * Blocking calls on a socket of its own; no loop. A call that fails leaves a sentence in nacre_mux_error:
 * NACRE_REQUEST_REFUSED is the master's (with its words), NACRE_MALFORMED or NACRE_PROTOCOL a master that does
 * not keep to the protocol, NACRE_END one that went away, NACRE_TIMEOUT, NACRE_CANCELLED. But for the first the
 * object is of no more use.
 */
typedef struct nacre_mux nacre_mux;

/*
 * Connects and says hello. timeout_ms is for both, and for each answer to what is asked for later but the end of
 * a session; 0: no end. NACRE_NOT_FOUND: there is no socket at path; NACRE_CLOSED: nobody serves it any more (it
 * can be unlinked); NACRE_VERSION: another protocol. *out is owned, NULL on failure. alloc, err: NULL ok.
 */
NACRE_API int nacre_mux_connect(nacre_mux **out, const char *path, uint32_t timeout_ms,
                                const nacre_allocator *alloc, nacre_error *err) NACRE_MUST_CHECK;
/* Hangs up, which ends a session that was opened by it. NULL ok. */
NACRE_API void nacre_mux_free(nacre_mux *m);
NACRE_API const nacre_error *nacre_mux_error(const nacre_mux *m);
/* Any thread, async-signal-safe: the blocked call, or the next one, returns NACRE_CANCELLED. */
NACRE_API void nacre_mux_cancel(nacre_mux *m);

/* -O check: the master's process. */
NACRE_API int nacre_mux_alive(nacre_mux *m, uint32_t *pid) NACRE_MUST_CHECK;
/* -O exit: it ends, with all that runs on its connection. */
NACRE_API int nacre_mux_terminate(nacre_mux *m) NACRE_MUST_CHECK;
/* -O stop: it takes no more clients, and ends when what runs has ended. */
NACRE_API int nacre_mux_stop(nacre_mux *m) NACRE_MUST_CHECK;
/*
 * -O conninfo, -O channels (OpenSSH 10.1): what is "connection" or "channels"; *text is owned, terminated, and
 * the master's: escape it before showing; free it with nacre_secret_free(alloc, text, length + 1).
 * NACRE_UNSUPPORTED: this master tells nothing.
 */
NACRE_API int nacre_mux_info(nacre_mux *m, const char *what, char **text,
                             size_t *length) NACRE_MUST_CHECK;

/*
 * -O forward: a forwarding of the master's connection, which stays when m is freed; one that is there already is
 * granted again. Of o kind, listen and connect count. *port (NULL ok): the one that the server chose for a REMOTE
 * one with port 0, else 0.
 */
NACRE_API int nacre_mux_forward(nacre_mux *m, const nacre_forward_options *o,
                                uint16_t *port) NACRE_MUST_CHECK;
/* -O cancel: one that was asked for in the same words, by whomever. */
NACRE_API int nacre_mux_cancel_forward(nacre_mux *m,
                                       const nacre_forward_options *o) NACRE_MUST_CHECK;

/* A session that the master drives: it gets our descriptors, and reads and writes them itself. */
typedef struct nacre_mux_session {
    size_t size;         /* set by nacre_mux_session_init */
    bool tty;            /* a terminal, of the size and modes of fds[0] */
    bool x11, agent;     /* forward them, if the master does */
    bool subsystem;      /* command names one */
    int escape;          /* character that the master looks for in a terminal's input; -1: none */
    const char *term;    /* "": NULL */
    const char *command; /* NULL: a shell */
    const char *const *env; /* NAME=value; the master sends those that its own SendEnv matches */
    size_t env_count;
    int fds[3]; /* input, output, errors; they stay the caller's */
    /* Inside nacre_mux_wait: the server gave no terminal, ours should not be raw. NULL ok. */
    void (*tty_refused)(void *user);
    void *user;
} nacre_mux_session;
/* No terminal, no escape character, descriptors 0, 1 and 2. */
NACRE_API void nacre_mux_session_init(nacre_mux_session *s);
/* Opens it; it runs when this returns. One for each nacre_mux. */
NACRE_API int nacre_mux_open_session(nacre_mux *m, const nacre_mux_session *s) NACRE_MUST_CHECK;
/* -W: fds[0] and fds[1] become the ends of a connection from the server to there. */
NACRE_API int nacre_mux_open_stdio(nacre_mux *m, const nacre_forward_end *where,
                                   const int fds[2]) NACRE_MUST_CHECK;
/*
 * Waits for the end of what was opened. exited false: it ended without an exit status, or the master went.
 * timeout_ms 0: none.
 */
typedef struct nacre_mux_result {
    bool exited;
    uint32_t status;
} nacre_mux_result;
NACRE_API int nacre_mux_wait(nacre_mux *m, uint32_t timeout_ms,
                             nacre_mux_result *result) NACRE_MUST_CHECK;
/* The size of the terminal has changed: tells the master's process (SIGWINCH). Async-signal-safe. */
NACRE_API void nacre_mux_resized(nacre_mux *m);
/*
 * -O proxy: the connection protocol itself from now on. *fd is the caller's, for nacre_client_connect_proxied; m is
 * spent.
 */
NACRE_API int nacre_mux_proxy(nacre_mux *m, int *fd) NACRE_MUST_CHECK;

/* ---- a master ------------------------------------------------------------------------------------------
 *
 * Lives beside a logged-in client, in its loop: whatever the client waits for, it is served meanwhile; a program
 * that has nothing else to do calls nacre_client_run. All callbacks run inside the loop, and may not free the master
 * or the client.
 */
typedef struct nacre_mux_master nacre_mux_master;

typedef struct nacre_mux_master_options {
    size_t size; /* set by nacre_mux_master_options_init */
    /* Allow this? A sentence with a question mark, escaped. NULL: all is allowed (ControlMaster yes, auto). */
    bool (*ask)(void *user, const char *question);
    /* Which of a client's variables are sent (SendEnv). NULL: none. */
    bool (*permit_env)(void *user, const char *name);
    /*
     * A session is open and nothing has been asked for on it yet: the place for requests that go before its program,
     * such as for agent and X11. NULL ok.
     */
    void (*session)(void *user, nacre_channel *ch, bool agent, bool x11);
    /*
     * A client asks for a forwarding, with what it may say filled in; the rest may be set: on_failure, permit,
     * bind_mask and so on, and their user. False: refused. NULL: as it is asked for. A proxied client asks only for the
     * server's half, with no end to connect to; its connections go to that client, and with it the forwarding ends.
     */
    bool (*forward)(void *user, nacre_forward_options *o);
    /* A client asked for the end; it has been told that it comes. NULL: refused. */
    void (*terminate)(void *user);
    /* A client asked that no more be taken; the socket is gone. NULL ok. */
    void (*stopped)(void *user);
    /* Nothing has used the connection for idle_ms: no client is there and no channel open. NULL ok. */
    void (*idle)(void *user);
    uint32_t idle_ms; /* 0: never */
    void *user;
} nacre_mux_master_options;
NACRE_API void nacre_mux_master_options_init(nacre_mux_master_options *o);

/*
 * Listens on path. NACRE_EXISTS: somebody has that name, or had (see nacre_mux_connect). c must be logged in, and
 * outlive *out, which is owned. options NULL: the defaults, which refuse nothing but the end.
 */
NACRE_API int nacre_mux_master_new(nacre_mux_master **out, nacre_client *c, const char *path,
                                   const nacre_mux_master_options *options,
                                   nacre_error *err) NACRE_MUST_CHECK;
/* Takes the socket away, hangs up on every client; their sessions end. NULL ok. */
NACRE_API void nacre_mux_master_free(nacre_mux_master *m);
/* No more clients; those that are there go on. Removes the socket. Idempotent. */
NACRE_API void nacre_mux_master_stop(nacre_mux_master *m);
/* How many clients are connected. */
NACRE_API size_t nacre_mux_master_clients(const nacre_mux_master *m);
/* For the program's handler of SIGWINCH: every session asks its terminal for its size. */
NACRE_API void nacre_mux_master_resized(nacre_mux_master *m);
/*
 * Leaves the socket where it is, and forgets it: for one of two processes after a fork. Closes this process's copies
 * of its descriptors.
 */
NACRE_API void nacre_mux_master_abandon(nacre_mux_master *m);

#ifdef __cplusplus
}
#endif
#endif
