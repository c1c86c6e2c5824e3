#include "os_faults.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

os_faults os_fault;
static bool armed;
static pthread_t owner;
static pid_t process; /* a child is left alone */

void os_faults_begin(unsigned long fail_at)
{
    memset(&os_fault, 0, sizeof(os_fault));
    os_fault.fail_at = fail_at;
    owner = pthread_self();
    process = getpid();
    armed = true;
}

void os_faults_tear(uint64_t seed)
{
    os_faults_begin(0);
    os_fault.torn = true;
    os_fault.chance = seed;
}

void os_faults_end(void)
{
    armed = false;
}

static unsigned pick(unsigned below)
{
    os_fault.chance = os_fault.chance * 6364136223846793005u + 1442695040888963407u;
    return (unsigned)(os_fault.chance >> 33) % below;
}

static bool concerned(void)
{
    return armed && pthread_equal(owner, pthread_self()) && getpid() == process;
}

/* True: the call fails for good, with errno set. */
static bool fails(const char *name, int hard)
{
    if (!concerned() || ++os_fault.count != os_fault.fail_at) {
        return false;
    }
    os_fault.failed = name;
    errno = hard;
    return true;
}

static bool interrupted(void)
{
    if (concerned() && os_fault.torn && pick(8) == 0) {
        errno = EINTR;
        return true;
    }
    return false;
}

static bool is_file(int fd)
{
    struct stat st;
    return fstat(fd, &st) == 0 && S_ISREG(st.st_mode);
}

/* Reads and writes. True: the call fails with errno set; else *n is how much it may take. A file is always ready. */
static bool goes_wrong(const char *name, int fd, size_t *n, int hard)
{
    if (fails(name, hard)) {
        if (hard == ECONNRESET) {
            (void)shutdown(fd, SHUT_RDWR); /* what is reset stays so */
            errno = hard;
        }
        return true;
    }
    if (interrupted()) {
        return true;
    }
    if (!concerned() || !os_fault.torn) {
        return false;
    }
    unsigned what = pick(8);
    bool file = is_file(fd);
    if (what == 0 && !file) {
        errno = EAGAIN;
        return true;
    }
    *n = *n > 1 && what < 5 ? 1 + pick((unsigned)(*n < 700 ? *n : file ? *n : 700)) : *n;
    return false;
}

#define WRAP(type, name, params, args, bad)                                                        \
    type __real_##name params;                                                                     \
    type __wrap_##name params;                                                                     \
    type __wrap_##name params                                                                      \
    {                                                                                              \
        return (bad) ? (type)-1 : __real_##name args;                                              \
    }
#define STREAM(name, params, args, hard)                                                           \
    WRAP(ssize_t, name, params, args, goes_wrong(#name, fd, &n, hard))
/* Once begun it is done or fails: nothing to tear. */
#define CALL(name, params, args, hard) WRAP(int, name, params, args, fails(#name, hard))
#define SLOW_CALL(name, params, args, hard)                                                        \
    WRAP(int, name, params, args, fails(#name, hard) || interrupted())

STREAM(send, (int fd, const void *p, size_t n, int flags), (fd, p, n, flags), ECONNRESET)
STREAM(recv, (int fd, void *p, size_t n, int flags), (fd, p, n, flags), ECONNRESET)
STREAM(read, (int fd, void *p, size_t n), (fd, p, n), EIO)
STREAM(write, (int fd, const void *p, size_t n), (fd, p, n), ENOSPC)
STREAM(pread64, (int fd, void *p, size_t n, off_t at), (fd, p, n, at), EIO)
STREAM(pwrite64, (int fd, const void *p, size_t n, off_t at), (fd, p, n, at), ENOSPC)
CALL(socket, (int domain, int type, int protocol), (domain, type, protocol), EMFILE)
CALL(socketpair, (int domain, int type, int protocol, int *fds), (domain, type, protocol, fds),
     EMFILE)
CALL(pipe2, (int *fds, int flags), (fds, flags), EMFILE)
CALL(bind, (int fd, const struct sockaddr *a, socklen_t n), (fd, a, n), EADDRINUSE)
CALL(listen, (int fd, int backlog), (fd, backlog), EADDRINUSE)
CALL(connect, (int fd, const struct sockaddr *a, socklen_t n), (fd, a, n), ECONNREFUSED)
CALL(mkdirat, (int fd, const char *path, mode_t mode), (fd, path, mode), ENOSPC)
CALL(renameat, (int from, const char *a, int to, const char *b), (from, a, to, b), EIO)
CALL(ftruncate64, (int fd, off_t n), (fd, n), ENOSPC)
SLOW_CALL(fsync, (int fd), (fd), EIO)
SLOW_CALL(poll, (struct pollfd * p, nfds_t n, int ms), (p, n, ms), ENOMEM)

ssize_t __real_readv(int fd, const struct iovec *iov, int count);
ssize_t __wrap_readv(int fd, const struct iovec *iov, int count);
ssize_t __wrap_readv(int fd, const struct iovec *iov, int count)
{
    size_t n = iov[0].iov_len;
    size_t whole = n;
    if (goes_wrong("readv", fd, &n, EIO)) {
        return -1;
    }
    struct iovec less = {iov[0].iov_base, n};
    return n < whole ? __real_readv(fd, &less, 1) : __real_readv(fd, iov, count);
}

ssize_t __real_preadv64(int fd, const struct iovec *iov, int count, off_t at);
ssize_t __wrap_preadv64(int fd, const struct iovec *iov, int count, off_t at);
ssize_t __wrap_preadv64(int fd, const struct iovec *iov, int count, off_t at)
{
    size_t n = iov[0].iov_len;
    size_t whole = n;
    if (goes_wrong("preadv", fd, &n, EIO)) {
        return -1;
    }
    struct iovec less = {iov[0].iov_base, n};
    return n < whole ? __real_preadv64(fd, &less, 1, at) : __real_preadv64(fd, iov, count, at);
}

int __real_accept4(int fd, struct sockaddr *a, socklen_t *n, int flags);
int __wrap_accept4(int fd, struct sockaddr *a, socklen_t *n, int flags);
int __wrap_accept4(int fd, struct sockaddr *a, socklen_t *n, int flags)
{
    if (fails("accept4", EMFILE) || interrupted()) {
        return -1;
    }
    if (concerned() && os_fault.accept_fails > 0) {
        os_fault.accept_fails--;
        errno = EMFILE;
        return -1;
    }
    return __real_accept4(fd, a, n, flags);
}

static mode_t mode_of(int flags, va_list ap)
{
    return flags & (O_CREAT | O_TMPFILE) ? va_arg(ap, mode_t) : 0;
}

int __real_open64(const char *path, int flags, ...);
int __wrap_open64(const char *path, int flags, ...);
int __wrap_open64(const char *path, int flags, ...)
{
    va_list ap;
    va_start(ap, flags);
    mode_t mode = mode_of(flags, ap);
    va_end(ap);
    return fails("open", EMFILE) ? -1 : __real_open64(path, flags, mode);
}

int __real_openat64(int at, const char *path, int flags, ...);
int __wrap_openat64(int at, const char *path, int flags, ...);
int __wrap_openat64(int at, const char *path, int flags, ...)
{
    va_list ap;
    va_start(ap, flags);
    mode_t mode = mode_of(flags, ap);
    va_end(ap);
    return fails("openat", flags & O_CREAT ? ENOSPC : EMFILE)
               ? -1
               : __real_openat64(at, path, flags, mode);
}

struct dirent64 *__real_readdir64(DIR *d);
struct dirent64 *__wrap_readdir64(DIR *d);
struct dirent64 *__wrap_readdir64(DIR *d)
{
    return fails("readdir", EIO) ? NULL : __real_readdir64(d);
}
