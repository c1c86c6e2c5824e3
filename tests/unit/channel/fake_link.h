/*
 * fake_link.h - a transport that is not there: packets of a multiplexer land in a queue in the clear,
 * from which another multiplexer, or a test, takes them.
 */
#ifndef TEST_CHANNEL_FAKE_LINK_H
#define TEST_CHANNEL_FAKE_LINK_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "channel/internal.h"
#include "support/memory.h"

typedef struct fake_link {
    nc_link link; /* first: the ops get a pointer to it */
    nacre_config config;
    test_memory memory;
    nc_mux *mux;
    nc_service service;
    nc_queue out; /* uint32 length, payload, ... */
    nc_buf current;
    nc_wr wr;
    bool begun;
    bool kex;    /* room is 0; what is sent stays in out until the test clears it */
    size_t room; /* what bulk data may add */
    size_t cost; /* what each packet takes of it beyond its payload */
    int pings;   /* that the multiplexer asked for */
    int ping_rc; /* what asking for one returns */
    int end_rc;  /* what end returns, when not NACRE_OK */
    nacre_error error;
    nc_buf lent; /* reserve: head + length + data for each packet */
    size_t lent_head, lent_max, lent_count;
    size_t lent_n[64];
    uint8_t incoming[NC_MAX_PACKET]; /* the one packet that events point into */
    size_t incoming_n;
} fake_link;

void fake_init(fake_link *f, nacre_role role);    /* mux made and started */
void fake_prepare(fake_link *f, nacre_role role); /* no mux yet */
int fake_start(fake_link *f);
void fake_free(fake_link *f); /* asserts that nothing leaked and no ticket is open */

/* Next packet that f's multiplexer sent, into buf; its length, 0: none. */
size_t fake_take(fake_link *f, uint8_t *buf, size_t size);
size_t fake_waiting(const fake_link *f); /* bytes in out */
/* The next packet must be this message; decodes it into msg. */
void fake_expect(fake_link *f, const nc_msg_desc *d, void *msg);
void fake_expect_none(fake_link *f);
/* Gives payload (number first) to f's multiplexer, as the transport would. */
int fake_give_bytes(fake_link *f, nacre_span payload, nacre_event *ev);
int fake_give(fake_link *f, const nc_msg_desc *d, const void *msg, nacre_event *ev);
/* One step of f with the packets of peer: NACRE_OK and an event, or NACRE_AGAIN, or the failure. */
int fake_step(fake_link *f, fake_link *peer, nacre_event *ev);
/* The next event of f must be of this type. */
void fake_event(fake_link *f, fake_link *peer, nacre_event_type type, nacre_event *ev);
void fake_quiet(fake_link *f, fake_link *peer); /* no event comes, all packets are taken */
int fake_answer(fake_link *f, uint32_t ticket, bool accept);
/* An open session: client's handle in *c, server's in *s. */
void fake_session(fake_link *client, fake_link *server, nacre_channel **c, nacre_channel **s);

#endif
