/*
 * fd.c - see fd.h. SIGPIPE is the process's affair, not a library's: instead of ignoring it for all,
 * the one write that may raise it is made so that it cannot.
 */
#include "io/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* strerror_r comes in two kinds; the right one of these is picked by its return type. */
static inline void take_xsi_text(int rc, char *buf, size_t size, int errnum)
{
    if (rc != 0) {
        (void)snprintf(buf, size, "error %d", errnum);
    }
}

static inline void take_gnu_text(const char *s, char *buf, size_t size)
{
    if (s != buf) {
        (void)snprintf(buf, size, "%s", s);
    }
}

nc_errno_text nc_errno_describe(int errnum)
{
    nc_errno_text t = {{0}};
#if defined(__GLIBC__) && defined(_GNU_SOURCE)
    take_gnu_text(strerror_r(errnum, t.text, sizeof(t.text)), t.text, sizeof(t.text));
    (void)take_xsi_text;
#else
    take_xsi_text(strerror_r(errnum, t.text, sizeof(t.text)), t.text, sizeof(t.text), errnum);
    (void)take_gnu_text;
#endif
    return t;
}

int nc_os_status(int errnum)
{
    return errnum == ENOMEM ? NACRE_NO_MEMORY : NACRE_IO;
}

int(nc_os_fail)(nacre_error *e, int status, int errnum, const char *fmt, ...)
{
    char text[700];
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    if (e && e->status == NACRE_OK) {
        (void)nc_fail(e, status, "%s: %s", text, NC_ERRNO(errnum));
        e->detail = (uint32_t)errnum;
    }
    return status;
}

int nc_fd_set_nonblock(int fd, bool on)
{
    int flags = fcntl(fd, F_GETFL);
    if (flags < 0) {
        return -1;
    }
    int wanted = on ? flags | O_NONBLOCK : flags & ~O_NONBLOCK;
    return wanted == flags ? 0 : fcntl(fd, F_SETFL, wanted);
}

int nc_fd_set_cloexec(int fd)
{
    int flags = fcntl(fd, F_GETFD);
    if (flags < 0) {
        return -1;
    }
    return flags & FD_CLOEXEC ? 0 : fcntl(fd, F_SETFD, flags | FD_CLOEXEC);
}

int nc_fd_pipe(int fds[2], bool nonblock)
{
    return pipe2(fds, O_CLOEXEC | (nonblock ? O_NONBLOCK : 0));
}

void nc_fd_close(int *fd)
{
    if (*fd >= 0) {
        int saved = errno;
        /* Never retried on EINTR: the number is free again, and may be another thread's already. */
        (void)close(*fd);
        errno = saved;
        *fd = -1;
    }
}

nc_fd_kind nc_fd_classify(int fd)
{
    struct stat st;
    if (fstat(fd, &st) != 0) {
        return NC_FD_OTHER;
    }
    if (S_ISSOCK(st.st_mode)) {
        return NC_FD_SOCKET;
    }
    if (S_ISFIFO(st.st_mode)) {
        return NC_FD_PIPE;
    }
    return S_ISREG(st.st_mode) ? NC_FD_FILE : NC_FD_OTHER;
}

static ssize_t write_pipe(int fd, const struct iovec *iov, int count)
{
    sigset_t pipe_set, old, pending;
    sigemptyset(&pipe_set);
    sigaddset(&pipe_set, SIGPIPE);
    sigemptyset(&pending);
    (void)sigpending(&pending);
    bool was_pending = sigismember(&pending, SIGPIPE) == 1;
    if (pthread_sigmask(SIG_BLOCK, &pipe_set, &old) != 0) {
        errno = EINVAL;
        return -1;
    }
    ssize_t got;
    do {
        got = writev(fd, iov, count);
    } while (got < 0 && errno == EINTR);
    int saved = errno;
    if (got < 0 && saved == EPIPE && !was_pending) {
        /* Take ours out of the queue, so that unblocking does not deliver it. */
        const struct timespec now = {0, 0};
        while (sigtimedwait(&pipe_set, NULL, &now) < 0 && errno == EINTR) {
        }
    }
    (void)pthread_sigmask(SIG_SETMASK, &old, NULL);
    errno = saved;
    return got;
}

static ssize_t fold_again(ssize_t got)
{
#if EWOULDBLOCK != EAGAIN
    if (got < 0 && errno == EWOULDBLOCK) {
        errno = EAGAIN;
    }
#endif
    return got;
}

ssize_t nc_fd_write(int fd, nc_fd_kind kind, const void *p, size_t n)
{
    if (kind == NC_FD_PIPE) {
        const struct iovec one = {(void *)(uintptr_t)p, n};
        return fold_again(write_pipe(fd, &one, 1));
    }
    ssize_t got;
    do {
        got = kind == NC_FD_SOCKET ? send(fd, p, n, MSG_NOSIGNAL | MSG_DONTWAIT) : write(fd, p, n);
    } while (got < 0 && errno == EINTR);
    return fold_again(got);
}

ssize_t nc_fd_writev(int fd, nc_fd_kind kind, const struct iovec *iov, int count)
{
    if (kind == NC_FD_PIPE) {
        return fold_again(write_pipe(fd, iov, count));
    }
    ssize_t got;
    do {
        if (kind == NC_FD_SOCKET) {
            const struct msghdr msg = {.msg_iov = (struct iovec *)(uintptr_t)iov,
                                       .msg_iovlen = (size_t)count};
            got = sendmsg(fd, &msg, MSG_NOSIGNAL | MSG_DONTWAIT);
        } else {
            got = writev(fd, iov, count);
        }
    } while (got < 0 && errno == EINTR);
    return fold_again(got);
}

ssize_t nc_fd_readv(int fd, nc_fd_kind kind, const struct iovec *iov, int count)
{
    ssize_t got;
    do {
        if (kind == NC_FD_SOCKET) {
            struct msghdr msg = {.msg_iov = (struct iovec *)(uintptr_t)iov,
                                 .msg_iovlen = (size_t)count};
            got = recvmsg(fd, &msg, MSG_DONTWAIT);
        } else {
            got = readv(fd, iov, count);
        }
    } while (got < 0 && errno == EINTR);
    return fold_again(got);
}

ssize_t nc_fd_read(int fd, nc_fd_kind kind, void *p, size_t n)
{
    ssize_t got;
    do {
        got = kind == NC_FD_SOCKET ? recv(fd, p, n, MSG_DONTWAIT) : read(fd, p, n);
    } while (got < 0 && errno == EINTR);
    return fold_again(got);
}

int nc_fd_write_all(int fd, nc_fd_kind kind, const void *p, size_t n)
{
    const uint8_t *at = p;
    while (n > 0) {
        ssize_t put = nc_fd_write(fd, kind, at, n);
        if (put <= 0) {
            return -1;
        }
        at += put;
        n -= (size_t)put;
    }
    return 0;
}
