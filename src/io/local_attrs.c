/*
 * local_attrs.c - the operations of the local SFTP backend on attributes: of files, links, open files,
 * and of the file systems they are on.
 *
 * A path whose links are followed is changed through a descriptor of what was found (O_PATH), never by
 * a second look at the name: somebody may have put a link there.
 */
#include "io/local_files.h"

#include "io/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/* Linux 6.6; headers may be older than that. */
#if !defined(SYS_fchmodat2) && !defined(__alpha__) && !defined(__mips__)
#define SYS_fchmodat2 452
#endif

/* ---- looking ---- */

static uint32_t stat_fd(nacre_sftp_call *call, int fd, nacre_sftp_attrs *out)
{
    struct stat st;
    if (fd < 0 || fstat(fd, &st) != 0) {
        return nc_files_fail(call, errno);
    }
    nc_attrs_of_stat(&st, out);
    return NACRE_FX_OK;
}

uint32_t nc_files_fstat(nacre_sftp_call *call, void *object, nacre_sftp_attrs *out)
{
    const nc_local_file *it = object;
    return stat_fd(call, it->fd, out);
}

uint32_t nc_files_stat(nacre_sftp_call *call, nacre_span path, nacre_sftp_attrs *out)
{
    const nacre_local_files *f = call->user;
    nc_path p;
    struct stat st;
    if (!nc_files_jailed(f) && nc_path_copy(&p, path) == 0) {
        /* One call in place of three. */
        if (fstatat(f->root, p.text, &st, 0) != 0) {
            return nc_files_fail(call, errno);
        }
        nc_attrs_of_stat(&st, out);
        return NACRE_FX_OK;
    }
    int fd = nc_files_open(f, path, O_PATH, 0);
    uint32_t code = stat_fd(call, fd, out);
    nc_fd_close(&fd);
    return code;
}

uint32_t nc_files_lstat(nacre_sftp_call *call, nacre_span path, nacre_sftp_attrs *out)
{
    nc_place p;
    struct stat st;
    int rc = nc_place_find(call->user, path, &p);
    rc = rc == 0 ? fstatat(p.dir, p.name, &st, AT_SYMLINK_NOFOLLOW) : rc;
    nc_place_end(&p);
    if (rc != 0) {
        return nc_files_fail(call, errno);
    }
    nc_attrs_of_stat(&st, out);
    return NACRE_FX_OK;
}

/* ---- changing ---- */

/* What is changed: an open file, what a path leads to, or the link itself at a name. */
typedef struct target {
    enum { OPEN_FILE, FOUND, NAMED } kind;
    int fd; /* FOUND: by O_PATH */
    const nacre_local_files *f;
    nacre_span path; /* FOUND: once more, for what O_PATH cannot do */
    const nc_place *place;
} target;

/* Opens what was found for real: the same file, or none. */
static int reopen(const target *t, int flags)
{
    struct stat found, opened;
    int fd = nc_files_open(t->f, t->path, flags | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, 0);
    if (fd < 0) {
        return -1;
    }
    if (fstat(t->fd, &found) != 0 || fstat(fd, &opened) != 0 || found.st_dev != opened.st_dev ||
        found.st_ino != opened.st_ino) {
        nc_fd_close(&fd);
        errno = ENOENT; /* something else is there by now */
    }
    return fd;
}

/* The descriptor's name in /proc, for what the kernel has no call for. */
typedef struct proc_name {
    char text[32];
} proc_name;

static proc_name proc_of(int fd)
{
    proc_name n;
    (void)snprintf(n.text, sizeof(n.text), "/proc/self/fd/%d", fd);
    return n;
}

static int set_size(const target *t, uint64_t size)
{
    if (size > INT64_MAX) {
        errno = EFBIG;
        return -1;
    }
    if (t->kind == OPEN_FILE) {
        return ftruncate(t->fd, (off_t)size);
    }
    int fd = reopen(t, O_WRONLY);
    int rc = fd < 0 ? -1 : ftruncate(fd, (off_t)size);
    nc_fd_close(&fd);
    return rc;
}

/* Who may change a mode need not be allowed to read or write: any way of opening will do. */
static int reopen_somehow(const target *t)
{
    int fd = reopen(t, O_RDONLY);
    return fd < 0 && errno == EACCES ? reopen(t, O_WRONLY) : fd;
}

static int set_mode_opened(const target *t, mode_t mode)
{
    int fd = reopen_somehow(t);
    int rc = fd < 0 ? -1 : fchmod(fd, mode);
    nc_fd_close(&fd);
    return rc;
}

/* Without openat2 there is nothing younger either: not worth a try. */
static bool old_kernel(const target *t)
{
    return nc_files_jailed(t->f) && t->f->jail.walk;
}

static int set_mode_found(const target *t, mode_t mode)
{
#ifdef SYS_fchmodat2
    if (!old_kernel(t) && syscall(SYS_fchmodat2, t->fd, "", mode, AT_EMPTY_PATH) == 0) {
        return 0;
    }
    /* A filter of calls that is older than the call says EPERM: the others know better. */
    if (!old_kernel(t) && errno != ENOSYS && errno != EPERM) {
        return -1;
    }
#endif
    if (chmod(proc_of(t->fd).text, mode) == 0) {
        return 0;
    }
    return errno == ENOENT || errno == ENOTDIR ? set_mode_opened(t, mode) : -1;
}

static int set_mode(const target *t, mode_t mode)
{
    switch (t->kind) {
    case OPEN_FILE:
        return fchmod(t->fd, mode);
    case FOUND:
        return set_mode_found(t, mode);
    default:
        return fchmodat(t->place->dir, t->place->name, mode, AT_SYMLINK_NOFOLLOW);
    }
}

/* Linux has taken a descriptor of O_PATH since 5.8. */
static int set_times_found(const target *t, const struct timespec ts[2])
{
    if (!old_kernel(t) && utimensat(t->fd, "", ts, AT_EMPTY_PATH) == 0) {
        return 0;
    }
    if (!old_kernel(t) && errno != EINVAL && errno != EBADF) {
        return -1;
    }
    if (utimensat(AT_FDCWD, proc_of(t->fd).text, ts, 0) == 0) {
        return 0;
    }
    if (errno != ENOENT && errno != ENOTDIR) {
        return -1;
    }
    int fd = reopen_somehow(t);
    int rc = fd < 0 ? -1 : futimens(fd, ts);
    nc_fd_close(&fd);
    return rc;
}

static int set_times(const target *t, uint32_t atime, uint32_t mtime)
{
    const struct timespec ts[2] = {{.tv_sec = (time_t)atime}, {.tv_sec = (time_t)mtime}};
    switch (t->kind) {
    case OPEN_FILE:
        return futimens(t->fd, ts);
    case FOUND:
        return set_times_found(t, ts);
    default:
        return utimensat(t->place->dir, t->place->name, ts, AT_SYMLINK_NOFOLLOW);
    }
}

static int set_owner(const target *t, uid_t uid, gid_t gid)
{
    switch (t->kind) {
    case OPEN_FILE:
        return fchown(t->fd, uid, gid);
    case FOUND:
        return fchownat(t->fd, "", uid, gid, AT_EMPTY_PATH);
    default:
        return fchownat(t->place->dir, t->place->name, uid, gid, AT_SYMLINK_NOFOLLOW);
    }
}

/* All that is flagged is tried, in OpenSSH's order; the last failure is the answer. */
static uint32_t change(nacre_sftp_call *call, const target *t, const nacre_sftp_attrs *a)
{
    uint32_t code = NACRE_FX_OK;
    if (nc_files_refused(call)) {
        return NACRE_FX_PERMISSION_DENIED;
    }
    if ((a->flags & NACRE_SFTP_ATTR_SIZE) && set_size(t, a->size) != 0) {
        code = nc_files_fail(call, errno);
    }
    if ((a->flags & NACRE_SFTP_ATTR_PERMISSIONS) &&
        set_mode(t, (mode_t)(a->permissions & 07777)) != 0) {
        code = nc_files_fail(call, errno);
    }
    if ((a->flags & NACRE_SFTP_ATTR_ACMODTIME) && set_times(t, a->atime, a->mtime) != 0) {
        code = nc_files_fail(call, errno);
    }
    if ((a->flags & NACRE_SFTP_ATTR_UIDGID) && set_owner(t, a->uid, a->gid) != 0) {
        code = nc_files_fail(call, errno);
    }
    return code;
}

uint32_t nc_files_setstat(nacre_sftp_call *call, nacre_span path, const nacre_sftp_attrs *a)
{
    target t = {.kind = FOUND, .f = call->user, .path = path};
    if (nc_files_refused(call)) {
        return NACRE_FX_PERMISSION_DENIED;
    }
    t.fd = nc_files_open(call->user, path, O_PATH, 0);
    uint32_t code = t.fd < 0 ? nc_files_fail(call, errno) : change(call, &t, a);
    nc_fd_close(&t.fd);
    return code;
}

uint32_t nc_files_lsetstat(nacre_sftp_call *call, nacre_span path, const nacre_sftp_attrs *a)
{
    nc_place p;
    if (a->flags & NACRE_SFTP_ATTR_SIZE) {
        return NACRE_FX_BAD_MESSAGE; /* a link has no size to set */
    }
    int rc = nc_place_find(call->user, path, &p);
    target t = {.kind = NAMED, .fd = -1, .place = &p};
    uint32_t code = rc != 0 ? nc_files_fail(call, errno) : change(call, &t, a);
    nc_place_end(&p);
    return code;
}

uint32_t nc_files_fsetstat(nacre_sftp_call *call, void *object, const nacre_sftp_attrs *a)
{
    const nc_local_file *it = object;
    target t = {.kind = OPEN_FILE, .fd = it->fd};
    return change(call, &t, a);
}

/* ---- file systems ---- */

static uint32_t answer_statvfs(nacre_sftp_call *call, int rc, const struct statvfs *v,
                               nacre_sftp_statvfs *out)
{
    if (rc != 0) {
        return nc_files_fail(call, errno);
    }
    out->bsize = v->f_bsize;
    out->frsize = v->f_frsize;
    out->blocks = v->f_blocks;
    out->bfree = v->f_bfree;
    out->bavail = v->f_bavail;
    out->files = v->f_files;
    out->ffree = v->f_ffree;
    out->favail = v->f_favail;
    out->fsid = v->f_fsid;
    out->flag = (v->f_flag & ST_RDONLY ? (uint64_t)NACRE_SFTP_ST_RDONLY : 0) |
                (v->f_flag & ST_NOSUID ? (uint64_t)NACRE_SFTP_ST_NOSUID : 0);
    out->namemax = v->f_namemax;
    return NACRE_FX_OK;
}

uint32_t nc_files_statvfs(nacre_sftp_call *call, nacre_span path, nacre_sftp_statvfs *out)
{
    struct statvfs v;
    int fd = nc_files_open(call->user, path, O_PATH, 0);
    uint32_t code = answer_statvfs(call, fd < 0 ? -1 : fstatvfs(fd, &v), &v, out);
    nc_fd_close(&fd);
    return code;
}

uint32_t nc_files_fstatvfs(nacre_sftp_call *call, void *object, nacre_sftp_statvfs *out)
{
    const nc_local_file *it = object;
    struct statvfs v;
    return answer_statvfs(call, fstatvfs(it->fd, &v), &v, out);
}
