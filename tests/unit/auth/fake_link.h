/*
 * fake_link.h - a transport for userauth tests: records what is sent, hands packets up, and keeps
 * each of them only as long as the real one would, in a block of exactly its size.
 */
#ifndef NC_TEST_FAKE_LINK_H
#define NC_TEST_FAKE_LINK_H

#include "auth/auth.h"
#include "keys/key.h"
#include "support/memory.h"

enum { FAKE_PACKETS = 2200 };

typedef struct rig {
    nc_link link; /* first, so that the ops find the rest */
    test_memory memory;
    nacre_config config;
    nc_buf open; /* the packet that is being written */
    nc_wr writer;
    nc_buf sent[FAKE_PACKETS];
    size_t sent_count, taken;
    const char *server_sig_algs; /* NULL: not announced */
    const char *hostbound;       /* value of publickey-hostbound@openssh.com; NULL: not announced */
    int status;                  /* of the failure, or NACRE_OK */
    nacre_blame by;
    char text[512];
    int authenticated; /* calls */
    char user[1200];
    size_t sent_at_login; /* packets sent when authenticated was called */
    char log[8192];       /* everything that was logged, for "no secret in a log" */
    uint8_t *held;        /* the packet that the last event points to */
    nc_auth *auth;
    nc_service service;
    nacre_event ev;
} rig;

/* A rig whose service has not been started. Change r->config in between if need be. */
void rig_init(rig *r, nacre_role role);
int rig_open(rig *r);   /* nc_auth_new */
void rig_start(rig *r); /* rig_open and service->start, asserted */
void rig_clear(rig *r);

/* One step as the transport does it: poll; when it has nothing, the packet (p NULL: none). */
int rig_step(rig *r, nacre_span packet);
int rig_poll(rig *r);
/* The next packet that was sent and not taken yet; empty: none. */
nacre_span rig_take(rig *r);
int rig_answer(rig *r, const nacre_answer *ans); /* to the ticket of r->ev */
int rig_verdict(rig *r, bool accept);

/*
 * Builds bytes in b: y byte (int), o bool (int), u uint32 (uint32_t), s string (const char *), S string
 * (nacre_span), r raw bytes (nacre_span). Returns the whole.
 */
nacre_span pack(nc_buf *b, const char *format, ...);

#define SPAN(text) nc_span(text, sizeof(text) - 1)

#endif
