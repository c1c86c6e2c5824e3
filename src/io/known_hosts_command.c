/*
 * known_hosts_command.c - known_hosts lines that a program prints.
 */
#include "base/buf.h"
#include "base/error.h"
#include "io/fd.h"
#include "keys/known_hosts.h"
#include "nacre/host_trust.h"
#include "nacre/process.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { END_TRIES = 100 /* of 10 ms, for a program that closed its output to end */ };

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

static int run(char *const *argv, uint64_t deadline, nc_buf *out, nacre_error *err)
{
    nacre_spawn_options o;
    nacre_process p;
    nacre_spawn_options_init(&o);
    o.argv = argv;
    o.stdio = NACRE_STDIO_PIPES;
    o.keep_stderr = true;
    int rc = nacre_spawn(&o, &p, err);
    if (rc != NACRE_OK) {
        return rc;
    }
    nc_fd_close(&p.in);
    rc = read_output(p.out, deadline, out);
    bool well = end_program(p.pid, rc != NACRE_OK, deadline);
    nacre_process_close(&p);
    if (rc == NACRE_OK && !well) {
        rc = NACRE_IO;
    }
    return rc == NACRE_OK ? rc
                          : nc_fail(err, rc, "%s: %s", NC_ESC(nc_span_cstr(argv[0])),
                                    rc == NACRE_TIMEOUT     ? "it did not end in time"
                                    : rc == NACRE_TOO_LARGE ? "it prints too much"
                                    : rc == NACRE_IO        ? "it failed"
                                                            : nacre_status_text(rc));
}

int nacre_known_hosts_add_command(nacre_known_hosts *h, char *const *argv, const char *source,
                                  uint32_t timeout_ms, nacre_error *err)
{
    nc_buf out;
    nc_error_clear(err);
    if (!argv[0] || argv[0][0] != '/') {
        return nc_fail(err, NACRE_INVALID_ARGUMENT,
                       "the program for host keys must be named by an absolute path");
    }
    nc_buf_init(&out, NULL, NC_HOSTS_MAX_TEXT);
    int rc = run(argv, timeout_ms ? now_ms() + timeout_ms : UINT64_MAX, &out, err);
    if (rc == NACRE_OK) {
        rc = nacre_known_hosts_add_text(h, nc_buf_span(&out), source);
        if (rc != NACRE_OK) {
            rc = nc_fail(err, rc, "%s: %s", NC_ESC(nc_span_cstr(argv[0])), nacre_status_text(rc));
        }
    }
    nc_buf_clear(&out);
    return rc;
}
