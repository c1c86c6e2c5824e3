/*
 * forwards.h - a server that forwards, for two test programs: what its callbacks answer, what a client engine asks of
 * it, and the sockets of this process at the far end.
 */
#ifndef NACRE_TESTS_SERVER_FORWARDS_H
#define NACRE_TESTS_SERVER_FORWARDS_H

#include "world.h"

#include "channel/forward.h"

enum { PATIENCE_MS = 30000 };

/* What the callbacks answer, and what they were asked. */
typedef struct judge {
    nacre_verdict verdict;
    int gateway_ports;
    unsigned mask;
    bool unlink;
    int directs, forwards, globals;
    char host[300], path[300], origin[300];
    uint16_t port, origin_port;
} judge;
extern judge J;

void forwards_note(const nacre_server_forward *f);
nacre_verdict forwards_direct(void *user, nacre_server_conn *c, const nacre_event *ev,
                              nacre_server_forward *f);
nacre_verdict forwards_forward(void *user, nacre_server_conn *c, const nacre_event *ev,
                               nacre_server_forward *f);
nacre_verdict forwards_global(void *user, nacre_server_conn *c, const nacre_event *ev);
peer *forwards_serve(world *w);
int listen_here(uint16_t *port);
int accept_here(world *w, int fd);
int dial(const char *address, uint16_t port);
int dial_path(const char *path);
ssize_t forwards_hear(world *w, int fd, char *out, size_t n);
void forwards_say(peer *p, nacre_channel *ch, const char *text);
void forwards_exchange(world *w, peer *p, nacre_channel *ch, int fd);
nacre_channel *open_raw(peer *p, const char *type, nacre_span data);
nacre_channel *ask_tcp(peer *p, const char *host, uint16_t port);
nacre_channel *ask_path(peer *p, const char *path);
uint32_t forwards_answer(world *w, peer *p, nacre_channel *ch);
bool ask_global(world *w, peer *p, const char *name, nacre_span data);
bool ask_listen(world *w, peer *p, const char *name, const char *address, uint16_t port);
bool ask_listen_path(world *w, peer *p, const char *name, const char *path);
uint16_t told_port(const peer *p);

#endif
