/*
 * ring.h - a keyring with three connections, each with a client of ours at its other end, and a person who is
 * asked.
 */
#ifndef NC_TESTS_RING_H
#define NC_TESTS_RING_H

#include "agent_script.h"

typedef struct ring {
    nacre_keyring *k;
    nacre_keyring_conn *conn[3];
    nacre_agent *agent[3];
    uint64_t now;
    unsigned asked;
    uint32_t ticket;
    int answer; /* 1 yes, 0 no, -1 later */
    char user[64], host[64];
    bool forwarded;
} ring;

/* o NULL: as nacre_keyring_options_init has it. o->user not NULL: there is nobody to ask. */
void ring_start(ring *r, const nacre_keyring_options *o);
void ring_end(ring *r);
nacre_agent *join(nacre_keyring_conn *c);
/* Time passes, and what waited goes on. */
void pass(ring *r, uint64_t ms);
size_t listed(nacre_agent *g);
int signs(nacre_agent *g, const nacre_key *k, nacre_span data);
nacre_span text(const char *s);
/* The type of the first reply that waits, which is taken; -1: none. */
int raw_reply(nacre_keyring_conn *c);

/* here -> first (as anybody), first -> second (as bob) */
typedef struct route {
    nacre_key *first, *second;
    nacre_agent_host_key key1, key2;
    nacre_agent_destination hops[2];
    nacre_agent_constraints c;
} route;
void make_route(route *p);

#endif
