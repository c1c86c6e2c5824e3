/*
 * ssh_mux.h - one connection for several of us: ControlMaster, ControlPath, ControlPersist, -M, -S and -O.
 */
#ifndef APPS_SSH_MUX_H
#define APPS_SSH_MUX_H

#include "ssh_session.h"

#include "nacre/mux.h"

typedef struct ssh_mux {
    ssh_session *session;
    const char *command; /* of -O; NULL: none */
    const char *stdio;   /* of -W; NULL: none */
    char path[4096];     /* of the socket; "": nothing is shared */
    bool master, ask;    /* ControlMaster: be one; ask before others use it */
    bool find;           /* ... use one that is there */
    bool persist;        /* ControlPersist */
    uint32_t persist_ms; /* 0: for ever */
    bool ended, stopped; /* by -O exit, by -O stop */
    bool lingering;      /* the own session is over, or there never was one */
    nacre_mux_master *listener;
} ssh_mux;

/* -O: false: there is no such command, and it has complained. */
bool mux_command(ssh_mux *m, const ssh_setup *s, const char *command);
/* Reads what the configuration says; false: it has complained. */
bool mux_setup(ssh_mux *m, ssh_session *session);
/*
 * Before a connection is made: by a master that is there. True: all is done, and *status the exit status. False: we
 * need a connection; *client is set when a master has lent one (-O proxy).
 */
bool mux_use(ssh_mux *m, nacre_client **client, int *status);
/*
 * Behind the login: share the connection, if that is wanted. False: this process's part is done, and *status is
 * how it went.
 */
bool mux_share(ssh_mux *m, int *status);
/* Behind the own session: what others have on the connection goes on until it has ended. */
void mux_linger(ssh_mux *m);
/* Before the client goes. */
void mux_clear(ssh_mux *m);

#endif
