/*
 * mux_share.h - a shared connection for tests: its master and the server are in one loop, who blocks does it in a
 * thread of its own.
 */
#ifndef NC_TESTS_MUX_SHARE_H
#define NC_TESTS_MUX_SHARE_H

#include "client_server.h"
#include "nacre/mux.h"
#include "support/memory.h"

#include <pthread.h>
#include <stdatomic.h>

enum { SHARE_MS = 20000 };

typedef struct share {
    stage s;
    test_memory memory; /* of the client that is the master, and of nobody else */
    nacre_mux_master *m;
    char path[160];

    /* the master's application */
    bool deny;
    unsigned asked, terminated, stopped, idle;
    char question[256];

    /* a server that listens (test_mux_listen.c): what it was asked for, and the question that it keeps */
    atomic_uint listens; /* read by the thread that asks, too */
    unsigned cancels, refused;
    bool keep, forbid;
    uint32_t kept;
    uint32_t patience_ms; /* for a connection */

    /* the thread */
    void (*work)(struct share *sh);
    atomic_bool done;
    pthread_t thread;
    int rc;
} share;

void share_up(share *sh, bool ask, uint32_t idle_ms);
void share_down(share *sh);
/* work runs in a thread, the loop turns meanwhile; it leaves what came of it in sh->rc. */
void share_beside(share *sh, void (*work)(share *sh));
/* The loop turns until the master has no client any more. */
void share_alone(share *sh);
/* NULL: sh->rc says why. */
nacre_mux *share_join(share *sh);

/* Works: everything that can be asked for, a session, a client that speaks the connection protocol itself. */
void share_ask_all(share *sh);
void share_session(share *sh);
void share_proxied(share *sh);

/*
 * Each allocation of the master fails in turn while work runs. Something that is asked for may be refused, a client
 * hung up on, the connection lost; who waits is never left waiting, and nothing is left behind. prepare may be NULL.
 */
void share_without_memory(void (*prepare)(share *sh), void (*work)(share *sh));

#endif
