/*
 * client_server.h - a client at one end of a socket pair and an engine in server role at the other, in
 * one loop: whatever the client waits for, the server runs meanwhile.
 */
#ifndef NC_TESTS_CLIENT_SERVER_H
#define NC_TESTS_CLIENT_SERVER_H

#include "nacre/client.h"

typedef struct stage {
    nacre_loop *loop;
    nacre_transport *t; /* the server's */
    nacre_driver *d;
    nacre_key *host_key, *user_key;
    nacre_client *c;
    nacre_client_config cfg;
    nacre_error err;
    int fd;      /* the client's end, until it is given away */
    int mute_fd; /* the other end, when there is no server */
    bool gone;   /* the server's driver is over */

    /* what the server allows */
    const char *methods;    /* it offers */
    const char *password;   /* NULL: none is right */
    const char *answer;     /* to its keyboard-interactive prompt */
    bool take_key;          /* user_key gets in */
    bool key_then_password; /* and only both together */
    bool keep_silent_on_auth;
    bool refuse_channels;
    bool open_unanswered;
    bool grant_none;      /* the first request lets in */
    bool grant_unasked;   /* keyboard-interactive lets in without a prompt */
    nacre_key *peer_host; /* the client's host: hostbased by it lets in; borrowed */
    bool (*hook)(struct stage *s, const nacre_event *ev); /* true: it has dealt with it */
    void *hook_user;

    /* what it saw */
    unsigned nones, passwords, probes, keys, interactives, opens, hosts;
    char host_said[64], user_said[64]; /* of the last hostbased */
    uint32_t unanswered;               /* a ticket that it kept */
    nacre_channel *last;               /* the newest channel */
    size_t echoed;

    char dir[64], path[128], path2[128];
} stage;

/* Fills cfg with what suits the server: user, loop, no files of whoever runs the test. */
void stage_init(stage *s);
/* Makes the pair, the server, and the client. */
void stage_open(stage *s);
/* stage_open, connect and log in. */
void stage_login(stage *s);
/* Ends client and server; the stage can be opened again. */
void stage_close(stage *s);
void stage_clear(stage *s);
void stage_write(const char *path, const char *text, unsigned mode);

nacre_span text_span(const char *s);

#endif
