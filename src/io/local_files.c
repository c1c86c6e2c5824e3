/*
 * local_files.c - the SFTP server's backend for a directory of this machine, with the semantics of
 * OpenSSH's sftp-server (draft-ietf-secsh-filexfer-02; OpenSSH PROTOCOL section 4).
 *
 * Every access goes through one directory fd and the *at calls: it is where relative paths begin, and
 * the one place where a jail would have to stand. Absolute paths are the system's own.
 */
#include "io/local_files.h"
#include "base/error.h"
#include "io/fd.h"
#include "io/local_path.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

enum { ROOMS_MAX = 64, COPY_CHUNK = 128 * 1024 };

typedef struct file {
    int fd;
} file;

typedef struct dir {
    DIR *stream;
    struct dirent *held; /* did not fit into the last reply; the stream keeps it until readdir */
} dir;

/* ---- results ---- */

uint32_t nc_files_fail(nacre_sftp_call *call, int errnum)
{
    uint32_t code = nc_fx_of_errno(errnum);
    /* "Failure" for a full disk has puzzled enough people. */
    if (call && code == NACRE_FX_FAILURE) {
        nacre_local_files *f = call->user;
        (void)snprintf(f->message, sizeof(f->message), "%s", NC_ERRNO(errnum));
        call->message = f->message;
    }
    return code;
}

uint32_t nc_files_result(nacre_sftp_call *call, int rc)
{
    return rc == 0 ? NACRE_FX_OK : nc_files_fail(call, errno);
}

bool nc_files_refused(const nacre_sftp_call *call)
{
    const nacre_local_files *f = call->user;
    return f->read_only;
}

int nc_files_root(const nacre_sftp_call *call)
{
    const nacre_local_files *f = call->user;
    return f->root;
}

/* ---- files ---- */

static int open_flags(uint32_t pflags)
{
    bool r = pflags & NACRE_FXF_READ, w = pflags & NACRE_FXF_WRITE;
    int flags = r && w ? O_RDWR : w ? O_WRONLY : O_RDONLY;
    flags |= pflags & NACRE_FXF_APPEND ? O_APPEND : 0;
    flags |= pflags & NACRE_FXF_CREAT ? O_CREAT : 0;
    flags |= pflags & NACRE_FXF_TRUNC ? O_TRUNC : 0;
    flags |= pflags & NACRE_FXF_EXCL ? O_EXCL : 0;
    /* A FIFO without another end must not stop the server. */
    return flags | O_CLOEXEC | O_NOCTTY | O_NONBLOCK;
}

mode_t nc_files_mode(const nacre_local_files *f, const nacre_sftp_attrs *a, mode_t otherwise)
{
    bool given = a && (a->flags & NACRE_SFTP_ATTR_PERMISSIONS);
    return (given ? (mode_t)(a->permissions & 07777) : otherwise) & ~f->mask;
}

static uint32_t op_open(nacre_sftp_call *call, nacre_span path, uint32_t pflags,
                        const nacre_sftp_attrs *attrs, void **out)
{
    nacre_local_files *f = call->user;
    nc_path p;
    uint32_t changes = NACRE_FXF_WRITE | NACRE_FXF_APPEND | NACRE_FXF_CREAT | NACRE_FXF_TRUNC;
    if (nc_files_refused(call) && (pflags & changes)) {
        return NACRE_FX_PERMISSION_DENIED;
    }
    if (nc_path_copy(&p, path) != 0) {
        return nc_files_fail(call, errno);
    }
    file *made = nc_zalloc(f->alloc, sizeof(*made));
    if (!made) {
        return NACRE_FX_FAILURE;
    }
    do {
        made->fd = openat(f->root, p.text, open_flags(pflags), nc_files_mode(f, attrs, 0666));
    } while (made->fd < 0 && errno == EINTR);
    if (made->fd < 0) {
        int why = errno;
        nc_free(f->alloc, made);
        return nc_files_fail(call, why);
    }
    *out = made;
    return NACRE_FX_OK;
}

static uint32_t op_close(nacre_sftp_call *call, void *user, void *object)
{
    nacre_local_files *f = user;
    file *it = object;
    int rc = close(it->fd); /* what a network file system could not write shows up here */
    int why = errno;
    nc_free(f->alloc, it);
    return rc == 0 || why == EINTR ? NACRE_FX_OK : nc_files_fail(call, why);
}

static ssize_t read_at(int fd, const struct iovec *iov, int count, uint64_t offset)
{
    ssize_t got;
    do {
        got = preadv(fd, iov, count, (off_t)offset);
        if (got < 0 && errno == ESPIPE) {
            got = readv(fd, iov, count);
        }
    } while (got < 0 && errno == EINTR);
    return got;
}

static uint32_t op_read(nacre_sftp_call *call, void *object, uint64_t offset,
                        const nacre_room *rooms, size_t count, size_t want, size_t *got)
{
    const file *it = object;
    struct iovec iov[ROOMS_MAX];
    size_t n = 0;
    *got = 0;
    if (offset > INT64_MAX) {
        return nc_files_fail(call, EINVAL);
    }
    for (; n < count && n < ROOMS_MAX && want > 0; n++) {
        iov[n].iov_base = rooms[n].p;
        iov[n].iov_len = rooms[n].n < want ? rooms[n].n : want;
        want -= iov[n].iov_len;
    }
    ssize_t r = read_at(it->fd, iov, (int)n, offset);
    if (r < 0) {
        return nc_files_fail(call, errno);
    }
    *got = (size_t)r;
    return r == 0 ? NACRE_FX_EOF : NACRE_FX_OK;
}

static int write_at(int fd, const uint8_t *p, size_t n, uint64_t offset)
{
    nc_fd_kind kind = NC_FD_OTHER;
    while (n > 0) {
        ssize_t put =
            kind == NC_FD_OTHER ? pwrite(fd, p, n, (off_t)offset) : nc_fd_write(fd, kind, p, n);
        if (put < 0 && errno == ESPIPE) {
            kind = NC_FD_PIPE;
            continue;
        }
        if (put < 0 && errno == EINTR) {
            continue;
        }
        if (put <= 0) {
            errno = put == 0 ? EIO : errno;
            return -1;
        }
        p += put;
        n -= (size_t)put;
        offset += (uint64_t)put;
    }
    return 0;
}

static uint32_t op_write(nacre_sftp_call *call, void *object, uint64_t offset, nacre_span data)
{
    const file *it = object;
    if (nc_files_refused(call)) {
        return NACRE_FX_PERMISSION_DENIED;
    }
    if (offset > INT64_MAX || data.n > (uint64_t)INT64_MAX - offset) {
        return nc_files_fail(call, EFBIG);
    }
    return nc_files_result(call, write_at(it->fd, data.p, data.n, offset));
}

static uint32_t op_fsync(nacre_sftp_call *call, void *object)
{
    const file *it = object;
    int rc;
    do {
        rc = fsync(it->fd);
    } while (rc != 0 && errno == EINTR);
    return nc_files_result(call, rc);
}

/* ---- attributes ---- */

static uint32_t op_fstat(nacre_sftp_call *call, void *object, nacre_sftp_attrs *out)
{
    const file *it = object;
    struct stat st;
    if (fstat(it->fd, &st) != 0) {
        return nc_files_fail(call, errno);
    }
    nc_attrs_of_stat(&st, out);
    return NACRE_FX_OK;
}

static uint32_t stat_path(nacre_sftp_call *call, nacre_span path, int flags, nacre_sftp_attrs *out)
{
    nc_path p;
    struct stat st;
    if (nc_path_copy(&p, path) != 0 || fstatat(nc_files_root(call), p.text, &st, flags) != 0) {
        return nc_files_fail(call, errno);
    }
    nc_attrs_of_stat(&st, out);
    return NACRE_FX_OK;
}

static uint32_t op_stat(nacre_sftp_call *call, nacre_span path, nacre_sftp_attrs *out)
{
    return stat_path(call, path, 0, out);
}

static uint32_t op_lstat(nacre_sftp_call *call, nacre_span path, nacre_sftp_attrs *out)
{
    return stat_path(call, path, AT_SYMLINK_NOFOLLOW, out);
}

/* What is changed: an open file (fd), or a path below root, itself or what it links to. */
typedef struct target {
    int fd; /* -1: by path */
    int root;
    const char *path;
    int flags; /* AT_SYMLINK_NOFOLLOW or 0 */
} target;

static int set_size(const target *t, uint64_t size)
{
    if (size > INT64_MAX) {
        errno = EFBIG;
        return -1;
    }
    if (t->fd >= 0) {
        return ftruncate(t->fd, (off_t)size);
    }
    int fd = openat(t->root, t->path, O_WRONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (fd < 0) {
        return -1;
    }
    int rc = ftruncate(fd, (off_t)size);
    nc_fd_close(&fd);
    return rc;
}

static int set_mode(const target *t, mode_t mode)
{
    return t->fd >= 0 ? fchmod(t->fd, mode) : fchmodat(t->root, t->path, mode, t->flags);
}

static int set_times(const target *t, uint32_t atime, uint32_t mtime)
{
    const struct timespec ts[2] = {{.tv_sec = (time_t)atime}, {.tv_sec = (time_t)mtime}};
    return t->fd >= 0 ? futimens(t->fd, ts) : utimensat(t->root, t->path, ts, t->flags);
}

static int set_owner(const target *t, uid_t uid, gid_t gid)
{
    return t->fd >= 0 ? fchown(t->fd, uid, gid) : fchownat(t->root, t->path, uid, gid, t->flags);
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

static uint32_t change_path(nacre_sftp_call *call, nacre_span path, int flags,
                            const nacre_sftp_attrs *a)
{
    nc_path p;
    if (nc_path_copy(&p, path) != 0) {
        return nc_files_fail(call, errno);
    }
    target t = {-1, nc_files_root(call), p.text, flags};
    return change(call, &t, a);
}

static uint32_t op_setstat(nacre_sftp_call *call, nacre_span path, const nacre_sftp_attrs *a)
{
    return change_path(call, path, 0, a);
}

static uint32_t op_lsetstat(nacre_sftp_call *call, nacre_span path, const nacre_sftp_attrs *a)
{
    if (a->flags & NACRE_SFTP_ATTR_SIZE) {
        return NACRE_FX_BAD_MESSAGE; /* a link has no size to set */
    }
    return change_path(call, path, AT_SYMLINK_NOFOLLOW, a);
}

static uint32_t op_fsetstat(nacre_sftp_call *call, void *object, const nacre_sftp_attrs *a)
{
    const file *it = object;
    target t = {it->fd, -1, NULL, 0};
    return change(call, &t, a);
}

/* ---- directories ---- */

static uint32_t op_opendir(nacre_sftp_call *call, nacre_span path, void **out)
{
    nacre_local_files *f = call->user;
    nc_path p;
    if (nc_path_copy(&p, path) != 0) {
        return nc_files_fail(call, errno);
    }
    int fd = openat(f->root, p.text, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) {
        return nc_files_fail(call, errno);
    }
    dir *made = nc_zalloc(f->alloc, sizeof(*made));
    if (made && (made->stream = fdopendir(fd))) {
        *out = made;
        return NACRE_FX_OK;
    }
    nc_fd_close(&fd);
    nc_free(f->alloc, made);
    return NACRE_FX_FAILURE;
}

static uint32_t op_closedir(nacre_sftp_call *call, void *user, void *object)
{
    nacre_local_files *f = user;
    dir *it = object;
    (void)call;
    (void)closedir(it->stream);
    nc_free(f->alloc, it);
    return NACRE_FX_OK;
}

static const char *cached_name(nacre_local_files *f, uint32_t id, bool group)
{
    nc_known_name *row = &f->names[group][id % NC_NAMES_CACHED];
    if (!row->set || row->id != id) {
        size_t n = nc_name_of_id(id, group, row->name, sizeof(row->name) - 1);
        row->name[n] = '\0';
        row->id = id;
        row->set = true;
    }
    return row->name[0] ? row->name : NULL;
}

/* False: the reply is full. */
static bool add_entry(nacre_local_files *f, const dir *it, const struct dirent *e, time_t now,
                      nacre_sftp_answer *out)
{
    struct stat st;
    struct tm tm;
    nacre_sftp_name entry = {.name = nc_span_cstr(e->d_name)};
    char line[NAME_MAX + 256];
    if (fstatat(dirfd(it->stream), e->d_name, &st, AT_SYMLINK_NOFOLLOW) != 0) {
        return true; /* gone between the two calls */
    }
    nc_attrs_of_stat(&st, &entry.attrs);
    time_t mtime = st.st_mtime;
    int32_t ahead = localtime_r(&mtime, &tm) ? (int32_t)tm.tm_gmtoff : 0;
    size_t n = nacre_sftp_longname(line, sizeof(line), entry.name, &entry.attrs,
                                   (uint64_t)st.st_nlink, cached_name(f, entry.attrs.uid, false),
                                   cached_name(f, entry.attrs.gid, true), (uint64_t)now, ahead);
    entry.longname = nc_span(line, n < sizeof(line) ? n : sizeof(line) - 1);
    return nacre_sftp_answer_name(out, &entry);
}

static uint32_t op_readdir(nacre_sftp_call *call, void *object, nacre_sftp_answer *out)
{
    nacre_local_files *f = call->user;
    dir *it = object;
    time_t now = time(NULL);
    for (;;) {
        struct dirent *e = it->held;
        if (!e) {
            errno = 0;
            e = readdir(it->stream);
        }
        if (!e) {
            return errno ? nc_files_fail(call, errno) : NACRE_FX_OK;
        }
        it->held = NULL;
        if (!add_entry(f, it, e, now, out)) {
            it->held = e;
            return NACRE_FX_OK;
        }
    }
}

/* ---- file systems, copying ---- */

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

static uint32_t op_statvfs(nacre_sftp_call *call, nacre_span path, nacre_sftp_statvfs *out)
{
    nc_path p;
    struct statvfs v;
    if (nc_path_copy(&p, path) != 0) {
        return nc_files_fail(call, errno);
    }
    int fd = openat(nc_files_root(call), p.text, O_PATH | O_CLOEXEC);
    int rc = fd < 0 ? -1 : fstatvfs(fd, &v);
    uint32_t code = answer_statvfs(call, rc, &v, out);
    nc_fd_close(&fd);
    return code;
}

static uint32_t op_fstatvfs(nacre_sftp_call *call, void *object, nacre_sftp_statvfs *out)
{
    const file *it = object;
    struct statvfs v;
    return answer_statvfs(call, fstatvfs(it->fd, &v), &v, out);
}

/* By the kernel where it can; 1: it cannot. Advances all three. */
static int copy_in_kernel(int in, uint64_t *from, int to_fd, uint64_t *to, uint64_t *left)
{
    while (*left > 0) {
        off_t a = (off_t)*from, b = (off_t)*to;
        size_t some = *left > (1u << 30) ? (1u << 30) : (size_t)*left;
        ssize_t n = copy_file_range(in, &a, to_fd, &b, some, 0);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            /* 0 is the end, or a file whose size the kernel does not know (procfs): read decides. */
            return 1;
        }
        *from += (uint64_t)n;
        *to += (uint64_t)n;
        *left -= (uint64_t)n;
    }
    return 0;
}

static int copy_by_hand(int in, uint64_t from, int to_fd, uint64_t to, uint64_t left, uint8_t *buf)
{
    while (left > 0) {
        struct iovec iov = {buf, left < COPY_CHUNK ? (size_t)left : COPY_CHUNK};
        ssize_t n = read_at(in, &iov, 1, from);
        if (n <= 0) {
            return (int)n;
        }
        if (write_at(to_fd, buf, (size_t)n, to) != 0) {
            return -1;
        }
        from += (uint64_t)n;
        to += (uint64_t)n;
        left -= (uint64_t)n;
    }
    return 0;
}

static uint32_t op_copy_data(nacre_sftp_call *call, void *from_object, uint64_t from, uint64_t n,
                             void *to_object, uint64_t to)
{
    nacre_local_files *f = call->user;
    const file *in = from_object, *out = to_object;
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
    uint64_t left = n ? n : INT64_MAX;
    if (from > INT64_MAX || to > INT64_MAX || n > INT64_MAX) {
        return nc_files_fail(call, EINVAL);
    }
    left = left > INT64_MAX - from ? INT64_MAX - from : left;
    if (copy_in_kernel(in->fd, &from, out->fd, &to, &left) == 0) {
        return NACRE_FX_OK;
    }
    uint8_t *buf = nc_alloc(f->alloc, COPY_CHUNK);
    if (!buf) {
        return NACRE_FX_FAILURE;
    }
    uint32_t code = nc_files_result(call, copy_by_hand(in->fd, from, out->fd, to, left, buf));
    nc_wipe_free(f->alloc, buf, COPY_CHUNK);
    return code;
}

static size_t op_name_of_id(nacre_sftp_call *call, uint32_t id, bool group, char *out, size_t size)
{
    (void)call;
    return nc_name_of_id(id, group, out, size);
}

static const nacre_sftp_server_ops ops = {
    .size = sizeof(ops),
    .open = op_open,
    .close = op_close,
    .read = op_read,
    .write = op_write,
    .fstat = op_fstat,
    .fsetstat = op_fsetstat,
    .stat = op_stat,
    .lstat = op_lstat,
    .setstat = op_setstat,
    .opendir = op_opendir,
    .readdir = op_readdir,
    .closedir = op_closedir,
    .remove = nc_files_remove,
    .mkdir = nc_files_mkdir,
    .rmdir = nc_files_rmdir,
    .realpath = nc_files_realpath,
    .rename = nc_files_rename,
    .readlink = nc_files_readlink,
    .symlink = nc_files_symlink,
    .posix_rename = nc_files_posix_rename,
    .statvfs = op_statvfs,
    .fstatvfs = op_fstatvfs,
    .hardlink = nc_files_hardlink,
    .fsync = op_fsync,
    .lsetstat = op_lsetstat,
    .expand_path = nc_files_expand_path,
    .copy_data = op_copy_data,
    .home_directory = nc_files_home_directory,
    .name_of_id = op_name_of_id,
};

const nacre_sftp_server_ops *nacre_local_files_ops(void)
{
    return &ops;
}

/* ---- life ---- */

void nacre_local_files_options_init(nacre_local_files_options *o)
{
    memset(o, 0, sizeof(*o));
    o->size = sizeof(*o);
    o->umask = -1;
}

int nacre_local_files_new(nacre_local_files **out, const nacre_local_files_options *options,
                          nacre_error *err)
{
    nacre_local_files_options o;
    nacre_local_files_options_init(&o);
    *out = NULL;
    if (options && options->size > 0 && options->size <= sizeof(o)) {
        memcpy(&o, options, options->size);
    }
    const char *start = o.start ? o.start : ".";
    nacre_local_files *f = nc_zalloc(o.allocator, sizeof(*f));
    if (!f) {
        return nc_fail(err, NACRE_NO_MEMORY, "no memory to serve files");
    }
    f->alloc = o.allocator;
    f->read_only = o.read_only;
    f->mask = o.umask >= 0 ? (mode_t)(o.umask & 0777) : 0;
    f->root = open(start, O_PATH | O_DIRECTORY | O_CLOEXEC);
    char *real = f->root >= 0 ? realpath(start, NULL) : NULL;
    int rc = NACRE_OK;
    if (!real) {
        rc = nc_os_fail(err, NACRE_IO, errno, "cannot begin in directory %s",
                        NC_ESC(nc_span_cstr(start)));
    } else if (!(f->start = nc_strdup(o.allocator, real))) {
        rc = nc_fail(err, NACRE_NO_MEMORY, "no memory to serve files");
    }
    free(real);
    if (rc != NACRE_OK) {
        nacre_local_files_free(f);
        return rc;
    }
    *out = f;
    return NACRE_OK;
}

void nacre_local_files_free(nacre_local_files *f)
{
    if (!f) {
        return;
    }
    nc_fd_close(&f->root);
    nc_free(f->alloc, f->start);
    nc_free(f->alloc, f);
}
