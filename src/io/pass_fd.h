/*
 * pass_fd.h - a descriptor in a message of a unix socket (SCM_RIGHTS): programs that share a connection hand theirs to
 * the master, a proxy command may hand over the connection that it made.
 */
#ifndef NC_IO_PASS_FD_H
#define NC_IO_PASS_FD_H

#include "nacre/base.h"

/* One descriptor with a byte that means nothing. 0, or -1 and errno (EAGAIN: later). */
int nc_pass_fd(int sock, int fd) NACRE_MUST_CHECK;
/*
 * The next byte, with its descriptor (owned, close-on-exec): NACRE_OK, NACRE_AGAIN, NACRE_END,
 * NACRE_MALFORMED (a byte without one, or several at once: all are closed), NACRE_IO and errno.
 */
int nc_receive_fd(int sock, int *fd) NACRE_MUST_CHECK;

#endif
