/*
 * control_socket.h - the unix socket by which programs of one user share a connection, and the passing of
 * descriptors over it.
 */
#ifndef NC_IO_CONTROL_SOCKET_H
#define NC_IO_CONTROL_SOCKET_H

#include "base/error.h"

/*
 * Listens on path, mode 0600, non-blocking: bound under a name of its own beside it and then linked, so that
 * nobody meets a socket that does not listen yet. NACRE_EXISTS: something has that name (err says what).
 */
int nc_control_listen(const char *path, int *fd, nacre_error *err) NACRE_MUST_CHECK;
/*
 * Connects, non-blocking, within timeout_ms (0: no end); who listens must be this user or root, because
 * descriptors are handed over. NACRE_NOT_FOUND: nothing is there; NACRE_CLOSED: a socket that nobody serves
 * any more; NACRE_TIMEOUT; else NACRE_CONNECT.
 */
int nc_control_connect(const char *path, uint32_t timeout_ms, int *fd,
                       nacre_error *err) NACRE_MUST_CHECK;
/* The other end of a connected one is this user's, or root's. NACRE_CONNECT. */
int nc_control_check_peer(int fd, nacre_error *err) NACRE_MUST_CHECK;

/* One descriptor with a byte that means nothing. 0, or -1 and errno (EAGAIN: later). */
int nc_control_send_fd(int sock, int fd);
/*
 * The next byte, with its descriptor (owned, close-on-exec): NACRE_OK, NACRE_AGAIN, NACRE_END,
 * NACRE_MALFORMED (a byte without one, or several at once: all are closed), NACRE_IO.
 */
int nc_control_receive_fd(int sock, int *fd);

#endif
