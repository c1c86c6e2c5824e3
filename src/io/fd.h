/*
 * fd.h - file descriptors without surprises: EINTR, SIGPIPE, close-on-exec, and errno made into words.
 */
#ifndef NC_IO_FD_H
#define NC_IO_FD_H

#include "base/error.h"

#include <sys/types.h>
#include <sys/uio.h>

/* nc_fail with errnum in detail and its text behind the sentence ("...: Connection refused"). */
int nc_os_fail(nacre_error *e, int status, int errnum, const char *fmt, ...) NACRE_PRINTF(4, 5);
/* The same, when the fault is an errno and nothing else: NACRE_NO_MEMORY for ENOMEM, else NACRE_IO. */
int nc_os_status(int errnum) NACRE_MUST_CHECK;
/* Thread-safe text of an errno. */
typedef struct nc_errno_text {
    char text[96];
} nc_errno_text;
nc_errno_text nc_errno_describe(int errnum);
#define NC_ERRNO(errnum) (nc_errno_describe(errnum).text)

int nc_fd_set_nonblock(int fd, bool on) NACRE_MUST_CHECK; /* 0, or -1 and errno */
int nc_fd_set_cloexec(int fd) NACRE_MUST_CHECK;
int nc_fd_pipe(int fds[2], bool nonblock) NACRE_MUST_CHECK; /* close-on-exec */
void nc_fd_close(int *fd); /* closes unless -1, sets -1; errno is kept */

/* What kind of writing an fd needs. */
typedef enum nc_fd_kind {
    NC_FD_OTHER = 0, /* files, terminals: cannot raise SIGPIPE */
    NC_FD_SOCKET,    /* MSG_NOSIGNAL */
    NC_FD_PIPE,      /* SIGPIPE is blocked in this thread around the write */
    NC_FD_FILE       /* regular: always ready */
} nc_fd_kind;
nc_fd_kind nc_fd_classify(int fd);

/*
 * As write(2), writev(2) and readv(2), EINTR retried, SIGPIPE never raised, sockets never waited for. -1: errno
 * (EWOULDBLOCK is folded into EAGAIN).
 */
ssize_t nc_fd_write(int fd, nc_fd_kind kind, const void *p, size_t n) NACRE_MUST_CHECK;
ssize_t nc_fd_writev(int fd, nc_fd_kind kind, const struct iovec *iov, int count) NACRE_MUST_CHECK;
ssize_t nc_fd_readv(int fd, nc_fd_kind kind, const struct iovec *iov, int count) NACRE_MUST_CHECK;
ssize_t nc_fd_read(int fd, nc_fd_kind kind, void *p, size_t n) NACRE_MUST_CHECK;
/* All of it, whatever it takes (files, report pipes): 0, or -1 and errno. */
int nc_fd_write_all(int fd, nc_fd_kind kind, const void *p, size_t n) NACRE_MUST_CHECK;

#endif
