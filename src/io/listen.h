/*
 * listen.h - listening sockets in a loop, for everything that takes connections: forwardings of both roles, the
 * agent's socket, X11 displays, the socket of a master.
 *
 * A name may have several addresses ("localhost", all interfaces): they are one listener with one port. When
 * the process has no descriptors left, accepting stops for a while instead of spinning: those who connect wait
 * in the system's backlog meanwhile.
 */
#ifndef NC_IO_LISTEN_H
#define NC_IO_LISTEN_H

#include "nacre/net.h"

typedef struct nc_listen nc_listen;

/* A connection: fd is non-blocking, close-on-exec and fn's. The listener may be freed or paused in it. */
typedef void (*nc_listen_fn)(void *user, nc_listen *l, int fd);
/* Connections cannot be taken at the moment (once until the next that can); NULL ok. */
typedef void (*nc_listen_trouble_fn)(void *user, nc_listen *l, const nacre_error *why);

typedef struct nc_listen_calls {
    nc_listen_fn accepted;
    nc_listen_trouble_fn trouble;
    void *user;
} nc_listen_calls;

enum {
    /* Addresses of one listener: "localhost" and all interfaces have two, a host rarely more than a few. */
    NC_LISTEN_SOCKETS_MAX = 16,
    NC_LISTEN_BACKLOG = 128, /* as OpenSSH; the system may cap it */
    NC_LISTEN_TURN = 16, /* connections taken in a turn: the rest of the loop wants to live too */
    NC_LISTEN_PAUSE_MS = 500 /* without descriptors */
};

/*
 * Listens on all addresses that address stands for: "" or "*": every interface; "localhost": 127.0.0.1 and ::1;
 * a numeric address; a name, which is looked up (and may take its time). family: 0, 4, 6. port 0: a free one, the
 * same for all addresses. Families and addresses that this host does not have are left out as long as one can be
 * had; an address where somebody else listens on the port is an error, since half of the connections would be
 * theirs. NACRE_IO (detail: errno), NACRE_RESOLVE, NACRE_NO_MEMORY.
 */
int nc_listen_tcp(nc_listen **out, nacre_loop *loop, const char *address, uint16_t port, int family,
                  const nc_listen_calls *calls, nacre_error *err) NACRE_MUST_CHECK;
/*
 * Listens on a Unix-domain socket of this path. mask: the permissions that its file does not get (0177 leaves it
 * to its owner). replace: an earlier socket (nothing else) of that name is removed first.
 */
int nc_listen_unix(nc_listen **out, nacre_loop *loop, const char *path, unsigned mask, bool replace,
                   const nc_listen_calls *calls, nacre_error *err) NACRE_MUST_CHECK;
/* On a socket that listens already (non-blocking); taken on success. */
int nc_listen_fd(nc_listen **out, nacre_loop *loop, int fd, const nc_listen_calls *calls,
                 nacre_error *err) NACRE_MUST_CHECK;

uint16_t nc_listen_port(const nc_listen *l);    /* 0: no TCP */
const char *nc_listen_path(const nc_listen *l); /* "": no Unix-domain socket */
/* Takes no connections until resumed. */
void nc_listen_pause(nc_listen *l, bool pause);
/* Closes; removes the file of a Unix-domain socket if it is still the one that was made. NULL ok. */
void nc_listen_free(nc_listen *l);

#endif
