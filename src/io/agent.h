/*
 * agent.h - what the client adds to nacre/agent.h: waiting for the agent in its own way, so that its
 * connection goes on meanwhile.
 */
#ifndef NC_IO_AGENT_H
#define NC_IO_AGENT_H

#include "nacre/agent.h"

/*
 * Waits until fd can be read or written, or until the deadline (of nacre_loop_now; UINT64_MAX: none):
 * NACRE_OK, NACRE_TIMEOUT, or what ends the call.
 */
typedef int (*nc_agent_wait_fn)(void *user, int fd, bool writing, uint64_t deadline);
void nc_agent_set_wait(nacre_agent *a, nc_agent_wait_fn fn, void *user); /* NULL: poll(2) */

/* The connection alone, with nacre_agent_open's checks of who listens; *fd is non-blocking. path not NULL. */
int nc_agent_connect(const char *path, int *fd, nacre_error *err) NACRE_MUST_CHECK;

#endif
