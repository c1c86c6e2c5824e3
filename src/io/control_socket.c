/*
 * control_socket.c - see control_socket.h.
 */
#include "io/control_socket.h"

#include "io/fd.h"
#include "nacre/account.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

enum {
    BACKLOG = 64, /* clients that have not been looked at yet: as OpenSSH */
    SUFFIX = 16,  /* letters behind the name while the socket is made */
    RETRY_MS = 10 /* of a connect that met a full queue */
};

static int set_path(struct sockaddr_un *sa, const char *path, nacre_error *err)
{
    size_t n = path ? strlen(path) : 0;
    memset(sa, 0, sizeof(*sa));
    sa->sun_family = AF_UNIX;
    if (n == 0 || n >= sizeof(sa->sun_path)) {
        return nc_fail(
            err, NACRE_TOO_LARGE,
            "%s: the path of a control socket has 1 to %zu characters; shorten ControlPath",
            NC_ESC(nc_span_cstr(path)), sizeof(sa->sun_path) - 1);
    }
    memcpy(sa->sun_path, path, n);
    return NACRE_OK;
}

/* ---- listening ---- */

static int random_name(char *out, size_t size, const char *path)
{
    static const char letters[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    uint8_t r[SUFFIX];
    char suffix[SUFFIX + 1];
    if (getrandom(r, sizeof(r), 0) != (ssize_t)sizeof(r)) {
        return -1;
    }
    for (size_t i = 0; i < SUFFIX; i++) {
        suffix[i] = letters[r[i] & 63];
    }
    suffix[SUFFIX] = '\0';
    int n = snprintf(out, size, "%s.%s", path, suffix);
    return n > 0 && (size_t)n < size ? 0 : -1;
}

/* A bound and listening socket at its temporary name. */
static int make_listener(const char *path, const char *temporary, int *fd, nacre_error *err)
{
    struct sockaddr_un sa;
    int rc = set_path(&sa, temporary, err);
    if (rc != NACRE_OK) {
        return rc;
    }
    int sock = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    /* The mode of the socket before it is bound is that of its name: no moment is open to others. */
    if (sock < 0 || fchmod(sock, 0600) != 0 ||
        bind(sock, (struct sockaddr *)&sa, sizeof(sa)) != 0) {
        rc = nc_os_fail(err, NACRE_IO, errno, "a control socket cannot be made at %s",
                        NC_ESC(nc_span_cstr(path)));
        nc_fd_close(&sock);
        return rc;
    }
    if (chmod(temporary, 0600) != 0 || listen(sock, BACKLOG) != 0) {
        rc = nc_os_fail(err, NACRE_IO, errno, "the control socket %s cannot be listened on",
                        NC_ESC(nc_span_cstr(path)));
        (void)unlink(temporary);
        nc_fd_close(&sock);
        return rc;
    }
    *fd = sock;
    return NACRE_OK;
}

int nc_control_listen(const char *path, int *fd, nacre_error *err)
{
    char temporary[sizeof(((struct sockaddr_un *)0)->sun_path) + SUFFIX + 2];
    struct sockaddr_un sa;
    *fd = -1;
    int rc = set_path(&sa, path, err);
    if (rc != NACRE_OK) {
        return rc;
    }
    if (random_name(temporary, sizeof(temporary), path) != 0) {
        return nc_fail(err, NACRE_RANDOM, "no random name for a control socket");
    }
    rc = make_listener(path, temporary, fd, err);
    if (rc != NACRE_OK) {
        return rc;
    }
    if (link(temporary, path) != 0) {
        rc = errno == EEXIST
                 ? nc_fail(err, NACRE_EXISTS, "ControlSocket %s already exists",
                           NC_ESC(nc_span_cstr(path)))
                 : nc_os_fail(err, NACRE_IO, errno, "a control socket cannot be made at %s",
                              NC_ESC(nc_span_cstr(path)));
        nc_fd_close(fd);
    }
    (void)unlink(temporary);
    return rc;
}

/* ---- connecting ---- */

int nc_control_check_peer(int fd, nacre_error *err)
{
    uid_t uid = 0;
    gid_t gid = 0;
    if (nacre_peer_credentials(fd, &uid, &gid) != NACRE_OK) {
        return nc_fail(err, NACRE_CONNECT,
                       "whose the other end of a control socket is, is not known");
    }
    if (uid != 0 && uid != geteuid()) {
        return nc_fail(err, NACRE_CONNECT,
                       "the other end of a control socket is user %lu's, and this is user %lu",
                       (unsigned long)uid, (unsigned long)geteuid());
    }
    return NACRE_OK;
}

static uint64_t now_ms(void)
{
    struct timespec ts;
    (void)clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

/* A full queue of a unix socket cannot be polled for: it is tried again. */
static int connect_retried(int sock, const struct sockaddr_un *sa, uint32_t timeout_ms)
{
    uint64_t until = now_ms() + timeout_ms;
    for (;;) {
        if (connect(sock, (const struct sockaddr *)sa, sizeof(*sa)) == 0) {
            return 0;
        }
        if (errno != EAGAIN && errno != EINTR) {
            return -1;
        }
        if (timeout_ms && now_ms() >= until) {
            errno = ETIMEDOUT;
            return -1;
        }
        (void)poll(NULL, 0, RETRY_MS);
    }
}

int nc_control_connect(const char *path, uint32_t timeout_ms, int *fd, nacre_error *err)
{
    struct sockaddr_un sa;
    *fd = -1;
    int rc = set_path(&sa, path, err);
    if (rc != NACRE_OK) {
        return rc;
    }
    int sock = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (sock < 0) {
        return nc_os_fail(err, NACRE_IO, errno, "a socket cannot be made");
    }
    if (connect_retried(sock, &sa, timeout_ms) != 0) {
        int status = errno == ENOENT         ? NACRE_NOT_FOUND
                     : errno == ECONNREFUSED ? NACRE_CLOSED
                     : errno == ETIMEDOUT    ? NACRE_TIMEOUT
                                             : NACRE_CONNECT;
        rc = nc_os_fail(err, status, errno, "Control socket connect(%s)",
                        NC_ESC(nc_span_cstr(path)));
    } else {
        rc = nc_control_check_peer(sock, err);
    }
    if (rc != NACRE_OK) {
        nc_fd_close(&sock);
    }
    *fd = sock;
    return rc;
}
