/*
 * agentx11.h - a client whose agent and display the server may reach: the server's channels to them, and the agent's
 * end of a connection.
 */
#ifndef NC_TESTS_AGENTX11_H
#define NC_TESTS_AGENTX11_H

#include "client_server.h"
#include "nacre/agent_forward.h"
#include "nacre/x11.h"

enum { CHANNELS = 80 };

/* A channel that the server opened. */
typedef struct opened {
    nacre_channel *ch;
    bool open, failed, eof, closed;
    uint32_t reason;
    uint8_t in[4096];
    size_t n;
} opened;

typedef struct world {
    stage s;
    opened list[CHANNELS];
    size_t count;
    nacre_channel *session;
    unsigned agent_requests, x11_requests;
    char agent_name[64];
    nacre_x11_request x11[4];
    int agent_end; /* the agent's end of the last connection */
    unsigned connects, bindings;
    bool no_agent;
    unsigned refusals;
    char refusal[256];
} world;

/* Up to a session without anything in it. */
void world_start(world *w);
void world_stop(world *w);
void world_turn(world *w);
bool world_hook(stage *s, const nacre_event *ev);

#define UNTIL(w, condition)                                                                        \
    for (int turns = 0; !(condition); turns++) {                                                   \
        assert_true(turns < 5000);                                                                 \
        world_turn(w);                                                                             \
    }

/* The server opens one. */
opened *world_channel(world *w, const char *type);
void world_send(world *w, const opened *o, const void *p, size_t n);
/* Turns the loop until fd has n bytes. */
void world_read(world *w, int fd, uint8_t *p, size_t n);

/* For nacre_agent_forward_options and nacre_x11_options; user is the world. */
int world_give_agent(void *user, int *fd);
void world_refused(void *user, const char *text);
/* What a program sends first that was told the made-up cookie; 48 bytes. */
size_t world_first_message(const nacre_x11_request *r, uint8_t *out);

#endif
