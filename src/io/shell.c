/*
 * shell.c - the user's own shell, for command lines that the user wrote.
 */
#include "io/process.h"

#include "io/fd.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

const char *nc_user_shell(void)
{
    const char *shell = getenv("SHELL");
    return shell && *shell ? shell : "/bin/sh";
}

int nacre_shell_run(const char *command, bool quiet, int *status, nacre_error *err)
{
    nacre_spawn_options o;
    nacre_process p;
    nc_error_clear(err);
    nacre_spawn_options_init(&o);
    const char *argv[] = {nc_user_shell(), "-c", command, NULL};
    o.argv = (char *const *)(uintptr_t)argv;
    o.stdio = NACRE_STDIO_FDS;
    o.fds[1] = quiet ? -1 : STDOUT_FILENO;
    o.fds[2] = STDERR_FILENO;
    int rc = nacre_spawn(&o, &p, err);
    if (rc != NACRE_OK) {
        return rc;
    }
    int ended = 0;
    pid_t got;
    do {
        got = waitpid(p.pid, &ended, 0);
    } while (got < 0 && errno == EINTR);
    if (got < 0) {
        return nc_os_fail(err, NACRE_IO, errno, "cannot wait for the command");
    }
    *status = WIFEXITED(ended) ? WEXITSTATUS(ended) : 128 + WTERMSIG(ended);
    return NACRE_OK;
}
