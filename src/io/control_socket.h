/*
 * control_socket.h - the unix socket by which programs of one user share a connection.
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

#endif
