/*
 * capture.c - a program run to its end, within a time and a size.
 */
#include "io/capture.h"

#include "io/fd.h"
#include "nacre/process.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
    END_TRIES = 100, /* of 10 ms, for a program that closed its output to end */
    INPUT_MAX = 4096 /* PIPE_BUF: goes in at once */
};

static uint64_t now_ms(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static int ms_left(uint64_t deadline)
{
    uint64_t now = now_ms();
    uint64_t left = deadline > now ? deadline - now : 0;
    return deadline == UINT64_MAX || left > INT_MAX ? (deadline == UINT64_MAX ? -1 : INT_MAX)
                                                    : (int)left;
}

static int read_output(int fd, uint64_t deadline, nc_buf *out)
{
    for (;;) {
        struct pollfd p = {fd, POLLIN, 0};
        uint8_t piece[8192];
        int n = poll(&p, 1, ms_left(deadline));
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            return n == 0 ? NACRE_TIMEOUT : NACRE_IO;
        }
        ssize_t got = nc_fd_read(fd, NC_FD_PIPE, piece, sizeof(piece));
        if (got < 0 && errno == EAGAIN) {
            continue;
        }
        if (got <= 0) {
            return got == 0 ? NACRE_OK : NACRE_IO;
        }
        int rc = nc_buf_append(out, piece, (size_t)got);
        nc_wipe(piece, (size_t)got);
        if (rc != NACRE_OK) {
            return rc == NACRE_LIMIT ? NACRE_TOO_LARGE : rc;
        }
    }
}

/* Reaps it; one that does not end by itself is ended. True: it ended well. */
static bool end_program(pid_t pid, bool at_once, uint64_t deadline)
{
    int status = 0;
    for (int i = 0; !at_once; i++) {
        pid_t got = waitpid(pid, &status, WNOHANG);
        if (got == pid) {
            return WIFEXITED(status) && WEXITSTATUS(status) == 0;
        }
        if (got < 0 && errno != EINTR) {
            return false;
        }
        if (i >= END_TRIES && (deadline == UINT64_MAX || ms_left(deadline) == 0)) {
            break;
        }
        struct timespec t = {0, 10 * 1000000L};
        (void)nanosleep(&t, NULL);
    }
    (void)kill(pid, SIGKILL);
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
    }
    return false;
}

/* Its standard error is ours, or nowhere. */
static int start(const nc_capture *c, nacre_process *p, nacre_error *err)
{
    nacre_spawn_options o;
    nacre_spawn_options_init(&o);
    o.argv = c->argv;
    o.envp = c->envp;
    o.stdio = NACRE_STDIO_PIPES;
    o.keep_stderr = !c->quiet;
    return nacre_spawn(&o, p, err);
}

int nc_capture_run(const nc_capture *c, nc_buf *out, nacre_error *err)
{
    nacre_process p;
    uint64_t deadline = c->timeout_ms ? now_ms() + c->timeout_ms : UINT64_MAX;
    if (c->input.n > INPUT_MAX) {
        return nc_fail(err, NACRE_TOO_LARGE, "a program is given %d bytes at most", INPUT_MAX);
    }
    int rc = start(c, &p, err);
    if (rc != NACRE_OK) {
        return rc;
    }
    bool fed = c->input.n == 0 ||
               nc_fd_write(p.in, NC_FD_PIPE, c->input.p, c->input.n) == (ssize_t)c->input.n;
    nc_fd_close(&p.in);
    rc = read_output(p.out, deadline, out);
    bool well = end_program(p.pid, rc != NACRE_OK, deadline) && fed;
    nacre_process_close(&p);
    if (rc == NACRE_OK && !well) {
        rc = NACRE_IO;
    }
    return rc == NACRE_OK ? rc
                          : nc_fail(err, rc, "%s: %s", NC_ESC(nc_span_cstr(c->argv[0])),
                                    rc == NACRE_TIMEOUT     ? "it did not end in time"
                                    : rc == NACRE_TOO_LARGE ? "it prints too much"
                                    : rc == NACRE_IO        ? "it failed"
                                                            : nacre_status_text(rc));
}
