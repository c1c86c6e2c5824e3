/*
 * ssh_session.h - the session of nacre-ssh: what runs at the other end, tied to our descriptors.
 */
#ifndef APPS_SSH_SESSION_H
#define APPS_SSH_SESSION_H

#include "ssh_setup.h"

typedef struct ssh_session {
    ssh_setup *setup;
    nacre_client *client;
    const char *command; /* NULL: a shell */
    bool subsystem;      /* command names one */
    bool no_session;     /* -N */
    bool want_tty, force_tty;
    bool stdin_null;
    bool fork;  /* -f: into the background, once it runs */
    int escape; /* character, or -1: none */

    /* ssh_mux.c, when others share the connection */
    bool ended;              /* by one of them: the end is no failure */
    int (*over)(void *user); /* without a session: when to end, see nacre_client_run; NULL: never */
    void *over_user;
    void (*resized)(void *user); /* SIGWINCH came: terminals of others, too. NULL ok */
    void *resized_user;
} ssh_session;

/* The kind of terminal that is asked for: TERM, or what SetEnv says it is. */
const char *session_terminal(const ssh_session *s);
/* Is a terminal to be had for it? Says so when one was wanted and there is none here. */
bool session_needs_tty(const ssh_session *s);

/* A process behind its caller: nobody shall wait for the end of what it has of the caller's 0, 1 and 2. */
void session_detach_stdio(const ssh_setup *s);

/* Runs it to its end; the exit status of the program. */
int session_run(ssh_session *s);

/* ---- ssh_agentx11.c ---- */

/*
 * Asks for what of agent and X11 the configuration wants to have forwarded. True: one reply (to x11-req)
 * will come before those of later requests.
 */
bool session_request_forwards(ssh_session *s, nacre_channel *ch, bool agent, bool x11);

/* ---- ssh_query.c ---- */

/* -Q: 0, or 255 for an unknown kind. */
int query_print(const char *program, const char *kind);
/* -G: 0, or 255. */
int query_config(const ssh_setup *s);

#endif
