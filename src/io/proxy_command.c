/*
 * proxy_command.c - see proxy_command.h.
 */
#include "io/proxy_command.h"

#include "io/fd.h"
#include "io/pass_fd.h"
#include "io/process.h"

#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { STEP_MS = 5, MOMENT_STEPS = 40 /* as long as a program has to end by itself */ };

void nc_proxy_init(nc_proxy *p)
{
    memset(p, 0, sizeof(*p));
    p->fd = -1;
}

/* ---- the beginning ---- */

int nc_proxy_start(nc_proxy *p, char *const *argv, bool fdpass, nacre_error *err)
{
    nacre_spawn_options o;
    nacre_process made;
    int pair[2];
    nacre_spawn_options_init(&o);
    nc_proxy_init(p);
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0) {
        return nc_os_fail(err, NACRE_IO, errno, "a socket pair cannot be made");
    }
    o.argv = argv;
    o.stdio = NACRE_STDIO_FDS;
    o.fds[0] = fdpass ? -1 : pair[1];
    o.fds[1] = pair[1];
    o.fds[2] = STDERR_FILENO;
    int rc = nacre_spawn(&o, &made, err);
    (void)close(pair[1]);
    if (rc != NACRE_OK) {
        (void)close(pair[0]);
        return rc;
    }
    p->pid = made.pid;
    p->fd = pair[0];
    return NACRE_OK;
}

int nc_proxy_start_shell(nc_proxy *p, const char *command, bool fdpass, nacre_error *err)
{
    const char *argv[] = {nc_user_shell(), "-c", command, NULL};
    return nc_proxy_start(p, (char *const *)(uintptr_t)argv, fdpass, err);
}

int nc_proxy_receive(nc_proxy *p, int *fd, nacre_error *err)
{
    int rc = nc_receive_fd(p->fd, fd);
    if (rc == NACRE_AGAIN) {
        return rc;
    }
    if (rc == NACRE_IO) {
        return nc_os_fail(err, NACRE_CONNECT, errno, "the proxy command's descriptor");
    }
    nc_fd_close(&p->fd);
    return rc == NACRE_OK
               ? NACRE_OK
               : nc_fail(err, NACRE_CONNECT,
                         rc == NACRE_MALFORMED
                             ? "the proxy command sent data where a descriptor was expected"
                             : "the proxy command ended without passing a descriptor");
}

/* ---- the end ---- */

static void wait_a_step(void)
{
    struct timespec step = {0, STEP_MS * 1000000L};
    (void)nanosleep(&step, NULL);
}

/* False: it goes on. A process that is not our child (any more) counts as gone. */
static bool has_ended(nc_proxy *p, unsigned steps)
{
    for (unsigned i = 0; !p->ended; i++) {
        int status = 0;
        pid_t got = waitpid(p->pid, &status, WNOHANG);
        if (got == p->pid || (got < 0 && errno != EINTR)) {
            p->ended = true;
            p->status = got == p->pid ? status : -1;
        } else if (i >= steps) {
            return false;
        } else {
            wait_a_step();
        }
    }
    return true;
}

void nc_proxy_describe(nc_proxy *p, char *out, size_t size)
{
    out[0] = '\0';
    if (p->pid <= 0 || !has_ended(p, MOMENT_STEPS) || p->status == -1) {
        return;
    }
    if (WIFEXITED(p->status)) {
        (void)snprintf(out, size, "exited with status %d", WEXITSTATUS(p->status));
    } else {
        const char *name = nacre_signal_name(WTERMSIG(p->status));
        (void)snprintf(out, size, "was ended by signal %s", name ? name : "that has no name");
    }
}

void nc_proxy_stop(nc_proxy *p)
{
    nc_fd_close(&p->fd);
    if (p->pid > 0 && !has_ended(p, 0)) {
        (void)kill(p->pid, SIGHUP);
        if (!has_ended(p, MOMENT_STEPS)) {
            (void)kill(p->pid, SIGKILL);
            while (waitpid(p->pid, NULL, 0) < 0 && errno == EINTR) {
            }
        }
    }
    nc_proxy_init(p);
}
