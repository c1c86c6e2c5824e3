/*
 * pass_fd.c - see pass_fd.h.
 */
#include "io/pass_fd.h"

#include "nacre/base.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { RIGHTS_ROOM = 16 /* descriptors in one message that we could close if they came */ };

int nc_pass_fd(int sock, int fd)
{
    union {
        char bytes[CMSG_SPACE(sizeof(int))];
        struct cmsghdr align;
    } control;
    char byte = 0;
    struct iovec iov = {&byte, 1};
    struct msghdr m = {.msg_iov = &iov,
                       .msg_iovlen = 1,
                       .msg_control = control.bytes,
                       .msg_controllen = sizeof(control.bytes)};
    memset(&control, 0, sizeof(control));
    struct cmsghdr *c = CMSG_FIRSTHDR(&m);
    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(c), &fd, sizeof(fd));
    ssize_t put;
    do {
        put = sendmsg(sock, &m, MSG_NOSIGNAL | MSG_DONTWAIT);
    } while (put < 0 && errno == EINTR);
    return put == 1 ? 0 : -1;
}

/* The one descriptor of a message; any other number of them is closed. */
static int only_descriptor(struct msghdr *m)
{
    int found[RIGHTS_ROOM];
    size_t count = 0;
    for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR(m, c)) {
        if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS) {
            continue;
        }
        size_t here = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (size_t i = 0; i < here && count < RIGHTS_ROOM; i++) {
            memcpy(&found[count++], CMSG_DATA(c) + i * sizeof(int), sizeof(int));
        }
    }
    if (count == 1 && !(m->msg_flags & MSG_CTRUNC)) {
        return found[0];
    }
    for (size_t i = 0; i < count; i++) {
        (void)close(found[i]);
    }
    return -1;
}

int nc_receive_fd(int sock, int *fd)
{
    union {
        char bytes[CMSG_SPACE(sizeof(int) * RIGHTS_ROOM)];
        struct cmsghdr align;
    } control;
    char byte;
    struct iovec iov = {&byte, 1};
    struct msghdr m = {.msg_iov = &iov,
                       .msg_iovlen = 1,
                       .msg_control = control.bytes,
                       .msg_controllen = sizeof(control.bytes)};
    ssize_t got;
    *fd = -1;
    do {
        got = recvmsg(sock, &m, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    } while (got < 0 && errno == EINTR);
    if (got < 0) {
        return errno == EAGAIN || errno == EWOULDBLOCK ? NACRE_AGAIN : NACRE_IO;
    }
    if (got == 0) {
        return NACRE_END;
    }
    *fd = only_descriptor(&m);
    return *fd >= 0 ? NACRE_OK : NACRE_MALFORMED;
}
