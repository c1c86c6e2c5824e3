/*
 * world.h - a server and client engines in one loop, for tests of the server's face.
 */
#ifndef NACRE_TESTS_SERVER_WORLD_H
#define NACRE_TESTS_SERVER_WORLD_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "nacre/server.h"

/* A client: what it has seen so far. */
typedef struct peer {
    nacre_transport *t;
    nacre_driver *d;
    int auth_failed, auth_ok, opened, failed, yes, no, closed, global_no;
    int asked, global_yes, eofs; /* channels that the server opens */
    uint32_t reason, exit_status;
    uint32_t ask_ticket; /* of the last one; with take it is accepted at once */
    nacre_channel *ask_channel;
    char ask_type[64];
    uint8_t ask_data[256], reply_data[16];
    size_t ask_n, reply_n;
    bool take;
    bool over;
    char out[4096];
    size_t n;
} peer;

typedef struct world {
    nacre_loop *loop;
    nacre_server *server;
    nacre_key *host_key;
    nacre_server_config cfg;
    int gone, execs;
    nacre_server_conn *conn; /* of who logged in last, with world_note, */
    uint32_t asked;          /* and the question that they put off */
} world;

int world_setup(void **state);
int world_teardown(void **state);
/* With w->cfg as it stands. */
void world_start(world *w);
/* A client on one end of a socket pair, the server on the other; world_login: "none" lets it in. */
peer *world_join(world *w);
peer *world_login(world *w);
void world_leave(peer *p);
/* Another session, which the server lets it have; what is said there, whole. */
nacre_channel *world_session(world *w, peer *p);
void world_send(peer *p, nacre_channel *ch, const char *bytes, size_t n);
void world_say(peer *p, nacre_channel *ch, const char *text);
/* Turns the loop until *what reaches at_least. */
void world_until(world *w, const int *what, int at_least);
/* For authenticated: accepts, and notes the connection. */
nacre_verdict world_note(void *user, nacre_server_conn *c, const char *name, const nacre_key *key);
/* A callback that accepts. */
nacre_verdict world_yes(void *user, nacre_server_conn *c, const nacre_event *ev);

#define WITH_WORLD(f) cmocka_unit_test_setup_teardown(f, world_setup, world_teardown)

#endif
