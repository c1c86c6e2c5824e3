/*
 * forward_peer.h - a server that does with forwardings as it is told, and the turns of the loop until something has
 * come of it.
 */
#ifndef NC_TESTS_FORWARD_PEER_H
#define NC_TESTS_FORWARD_PEER_H

#include "channel/forward.h"
#include "client_server.h"
#include "nacre/forward.h"

/* What the server does with what it is asked. */
typedef enum answer_kind { GRANT, REFUSE, SILENT, NO_PORT, WILD_PORT, EMPTY_PORT } answer_kind;

enum { SERVER_PORT = 4022 };

typedef struct forward_script {
    answer_kind answer;
    unsigned requests, cancels;
    char name[64]; /* of the last request */
    nc_fwd_listen asked;
    nc_fwd_tcp direct; /* the last open */
    uint32_t ticket;   /* of it */
    uint32_t refuse;   /* opens, with this reason; 0: accept */
    nacre_channel *ch; /* that the server opened */
    bool opened, failed, closed;
    uint32_t reason;
    uint8_t got[256]; /* on it */
    size_t got_n;
    int ready; /* of the client's callback: 1: none yet */
    unsigned failures;
    char why[512];
} forward_script;
extern forward_script script;

#define UNTIL(s, condition)                                                                        \
    do {                                                                                           \
        for (int turns_ = 0; !(condition) && turns_ < 2000; turns_++) {                            \
            forward_turn(s);                                                                       \
        }                                                                                          \
        assert_true(condition);                                                                    \
    } while (0)

typedef struct target {
    int fd;
    uint16_t port;
} target;

void forward_begin(stage *s);
void forward_end(stage *s);
void forward_turn(stage *s);
void forward_settle(stage *s);
void forward_ready(void *user, nacre_forward *f, int status, const nacre_error *err);
void forward_failed(void *user, nacre_forward *f, const char *text);
nacre_forward_options forward_options(nacre_forward_kind kind);
int forward_start(stage *s, const nacre_forward_options *o, nacre_forward **f);
int forward_dial(uint16_t port);
size_t forward_receive(stage *s, int fd, void *p, size_t n);
void send_all(int fd, const void *p, size_t n);
nacre_channel *server_opens(stage *s, const char *type, nacre_span data);
void server_opens_tcp(stage *s, const char *host, uint16_t port);
target listen_here(void);
bool forward_hook(stage *s, const nacre_event *ev);

#endif
