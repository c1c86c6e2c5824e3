/*
 * pair.h - a client engine and a server engine joined in memory: no socket, no clock but virtual time,
 * randomness from a seed. The pump moves bytes, steps both, answers questions by a policy and runs an
 * echo over session channels; tests look at what happened, or interfere by hooks.
 */
#ifndef NC_TESTS_PAIR_H
#define NC_TESTS_PAIR_H

#include "engine/engine.h"
#include "nacre/channel.h"
#include "transport/core_state.h"

typedef struct pair pair;

typedef enum pair_cut { PAIR_WHOLE, PAIR_BYTES, PAIR_RANDOM } pair_cut;

enum { PAIR_CHANNELS = 8, PAIR_EVENT_TYPES = 64 };

typedef struct pair_end {
    nacre_transport *t;
    nc_core *core; /* of t */
    int status;    /* what next_event said last */
    unsigned seen[PAIR_EVENT_TYPES];
    uint64_t digest; /* of every byte that it sent */
    uint64_t sent;
    uint64_t rng;
} pair_end;

typedef struct pair_echo {
    nacre_channel *ch;
    size_t sent, received;
    bool open, eof, closed;
    uint8_t *backlog; /* server: to be echoed */
    size_t backlog_n, backlog_cap;
    bool eof_wanted;
} pair_echo;

struct pair {
    nacre_config config[2];
    pair_end end[2]; /* by role */
    uint64_t now;
    uint64_t rng;

    /* how bytes travel */
    pair_cut cut;
    bool noise;            /* IGNORE, DEBUG and pings between packets once keys are in use */
    bool frozen[2];        /* nothing of this end arrives any more */
    bool stalled[2];       /* nothing of this end is taken: the other one does not read */
    bool lossy_close;      /* ends of input are not passed on */
    uint64_t cut_after[2]; /* not 0: the wire from this end breaks after so many bytes */
    void (*wire)(pair *p, int from, uint8_t *bytes, size_t n); /* may change what travels */

    /* policy */
    bool refuse_host_key, no_login, no_channels;
    bool (*hook)(pair *p, int who, const nacre_event *ev); /* true: handled */
    void (*round)(pair *p);                                /* once between the steps */
    void *user;

    /* echo */
    size_t channels, bytes; /* how many, and how much each sends */
    pair_echo client[PAIR_CHANNELS], server[PAIR_CHANNELS];
    size_t opened;
    bool mismatch;
    unsigned refused; /* calls of the application that an engine did not grant */
};

/* Host and user keys, made once for the program. */
nacre_key *pair_key(const char *type, uint32_t bits);
void pair_keys_free(void);

/* Zeroes p and fills both configs; change what you want, then pair_start. seed: any. */
void pair_init(pair *p, uint64_t seed);
/* NACRE_OK or why an end could not be made. The server gets key (NULL: ed25519) unless no_key. */
int pair_start(pair *p, nacre_key *host_key);
void pair_free(pair *p);

/* One end takes all its steps; false when there were none. */
bool pair_step(pair *p, int who);
/* One round: both ends step, bytes move. False when nothing moved. */
bool pair_round(pair *p);
/* Rounds until nothing moves (or most of them have passed). */
void pair_run(pair *p);
/* The whole echo went both ways and every channel closed. */
bool pair_echo_done(const pair *p);
/* Time passes. */
void pair_advance(pair *p, uint64_t ms);
/* One raw packet of an end, past every rule of the sender. payload begins with the number. */
void pair_inject(pair *p, int who, const void *payload, size_t n);
uint64_t pair_random(uint64_t *state);

#endif
