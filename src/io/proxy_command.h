/*
 * proxy_command.h - a program whose standard input and output are the connection, or that hands a connected
 * descriptor over (ssh_config(5) ProxyCommand, ProxyUseFdpass).
 */
#ifndef NC_IO_PROXY_COMMAND_H
#define NC_IO_PROXY_COMMAND_H

#include "base/error.h"

#include <sys/types.h>

typedef struct nc_proxy {
    pid_t pid;  /* 0: none */
    int fd;     /* our end of the socket pair, until it is taken; -1 */
    bool ended; /* it was waited for; status says how it ended */
    int status;
} nc_proxy;

void nc_proxy_init(nc_proxy *p);
/*
 * Starts it; its standard error is ours. fdpass: it gets /dev/null to read, and sends the descriptor through its
 * standard output.
 */
int nc_proxy_start(nc_proxy *p, char *const *argv, bool fdpass, nacre_error *err) NACRE_MUST_CHECK;
/* The same for a command line: "exec command" by the user's shell. */
int nc_proxy_start_shell(nc_proxy *p, const char *command, bool fdpass,
                         nacre_error *err) NACRE_MUST_CHECK;
/* The descriptor that was handed over. NACRE_AGAIN: not yet (p->fd becomes readable). Then p->fd is closed. */
int nc_proxy_receive(nc_proxy *p, int *fd, nacre_error *err) NACRE_MUST_CHECK;
/* "exited with status 1", "was ended by signal TERM"; "" when it goes on, after waiting for a moment. */
void nc_proxy_describe(nc_proxy *p, char *out, size_t size);
/* Ends it: a hangup as ssh sends it, and what cannot be refused when that is not enough. */
void nc_proxy_stop(nc_proxy *p);

#endif
