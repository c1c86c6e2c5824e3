/*
 * local_copy.c - copy-data of the local SFTP backend: by the kernel where it can, else by hand, in
 * pieces that do not hold the session up.
 */
#include "io/local_files.h"

#include "base/mem.h"

#include <errno.h>
#include <unistd.h>

enum {
    COPY_CHUNK = 128 * 1024,
    /* One turn: tens of milliseconds on a slow disk. Holes and clones by the kernel cost nothing. */
    COPY_TURN = 16 * 1024 * 1024
};

/* 1: the kernel cannot, or is at the end. */
static int copy_in_kernel(int in, uint64_t from, int to_fd, uint64_t to, uint64_t n,
                          uint64_t *copied)
{
    while (*copied < n) {
        off_t a = (off_t)(from + *copied), b = (off_t)(to + *copied);
        ssize_t got = copy_file_range(in, &a, to_fd, &b, (size_t)(n - *copied), 0);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got <= 0) {
            /* 0 is the end, or a file whose size the kernel does not know (procfs): read decides. */
            return 1;
        }
        *copied += (uint64_t)got;
    }
    return 0;
}

static int copy_by_hand(int in, uint64_t from, int to_fd, uint64_t to, uint64_t n, uint8_t *buf,
                        uint64_t *copied)
{
    while (*copied < n) {
        uint64_t left = n - *copied;
        struct iovec iov = {buf, left < COPY_CHUNK ? (size_t)left : COPY_CHUNK};
        ssize_t got = nc_files_read_at(in, &iov, 1, from + *copied);
        if (got <= 0) {
            return (int)got;
        }
        if (nc_files_write_at(to_fd, buf, (size_t)got, to + *copied) != 0) {
            return -1;
        }
        *copied += (uint64_t)got;
    }
    return 0;
}

uint32_t nc_files_copy_data(nacre_sftp_call *call, void *from_object, uint64_t from, uint64_t n,
                            void *to_object, uint64_t to, uint64_t *copied)
{
    nacre_local_files *f = call->user;
    const nc_local_file *in = from_object, *out = to_object;
    struct stat a, b;
    if (nc_files_refused(call)) {
        return NACRE_FX_PERMISSION_DENIED;
    }
    if (fstat(in->fd, &a) != 0 || fstat(out->fd, &b) != 0) {
        return nc_files_fail(call, errno);
    }
    /* A file into itself might never end (OpenSSH refuses it too). */
    if (a.st_dev == b.st_dev && a.st_ino == b.st_ino) {
        return NACRE_FX_FAILURE;
    }
    if (from > INT64_MAX || to > INT64_MAX || n > INT64_MAX) {
        return nc_files_fail(call, EINVAL);
    }
    n = n && n < COPY_TURN ? n : COPY_TURN;
    if (n > INT64_MAX - from || n > INT64_MAX - to) {
        return nc_files_fail(call, EFBIG);
    }
    if (copy_in_kernel(in->fd, from, out->fd, to, n, copied) == 0) {
        return NACRE_FX_OK;
    }
    uint8_t *buf = nc_alloc(f->alloc, COPY_CHUNK);
    if (!buf) {
        return NACRE_FX_FAILURE;
    }
    int rc = copy_by_hand(in->fd, from, out->fd, to, n, buf, copied);
    uint32_t code = nc_files_result(call, rc);
    nc_wipe_free(f->alloc, buf, COPY_CHUNK);
    return code;
}
