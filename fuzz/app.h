/*
 * app.h - a careless application over an engine, for the whole-engine targets: what it does is drawn from the
 * input, and it watches what no input may ever bring about.
 */
#ifndef NC_FUZZ_APP_H
#define NC_FUZZ_APP_H

#include "engine/engine.h"
#include "fuzz.h"
#include "nacre/channel.h"

enum { FUZZ_CHANNELS = 16, FUZZ_TICKETS = 16 };

typedef struct fuzz_app {
    nacre_transport *t;
    bool server;
    nacre_channel *channels[FUZZ_CHANNELS];
    uint32_t tickets[FUZZ_TICKETS];
    nacre_event_type asked[FUZZ_TICKETS]; /* what each is about */
    size_t channel_count, ticket_count;
    uint64_t now;
    bool over;
    bool host_taken; /* client: the host key was accepted */
    bool let_in;     /* server: somebody's login was */
} fuzz_app;

/* Takes events until there are none; what asks waits for fuzz_app_act. */
void fuzz_app_step(fuzz_app *a);
/* One step of its own, 0x80 to 0xFF: 0x80 to 0xBF on a channel, else on the connection. */
void fuzz_app_act(fuzz_app *a, uint8_t op, uint8_t arg);
/* Answers no to what is asked. */
void fuzz_app_refuse_all(fuzz_app *a);
/* Bytes of the peer; false: no room for them now. */
bool fuzz_app_receive(fuzz_app *a, nacre_span bytes);
/* A user's or host's key whose private half is nobody's: its owner is asked to sign, and may say anything. */
nacre_key *fuzz_app_public_key(void);

#endif
