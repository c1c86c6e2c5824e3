/*
 * local_files.c - the SFTP server's backend for a directory of this machine, with the semantics of
 * OpenSSH's sftp-server (draft-ietf-secsh-filexfer-02; OpenSSH PROTOCOL section 4).
 *
 * Where a path leads is the business of local_place.c alone, jail or not. This file: life, open files,
 * directories.
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
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

enum { ROOMS_MAX = 64 };

typedef nc_local_file file;

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
    uint32_t changes = NACRE_FXF_WRITE | NACRE_FXF_APPEND | NACRE_FXF_CREAT | NACRE_FXF_TRUNC;
    if (nc_files_refused(call) && (pflags & changes)) {
        return NACRE_FX_PERMISSION_DENIED;
    }
    file *made = nc_zalloc(f->alloc, sizeof(*made));
    if (!made) {
        return NACRE_FX_FAILURE;
    }
    do {
        made->fd = nc_files_open(f, path, open_flags(pflags), nc_files_mode(f, attrs, 0666));
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

ssize_t nc_files_read_at(int fd, const struct iovec *iov, int count, uint64_t offset)
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
    ssize_t r = nc_files_read_at(it->fd, iov, (int)n, offset);
    if (r < 0) {
        return nc_files_fail(call, errno);
    }
    *got = (size_t)r;
    return r == 0 ? NACRE_FX_EOF : NACRE_FX_OK;
}

int nc_files_write_at(int fd, const uint8_t *p, size_t n, uint64_t offset)
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
    return nc_files_result(call, nc_files_write_at(it->fd, data.p, data.n, offset));
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

/* ---- directories ---- */

static uint32_t op_opendir(nacre_sftp_call *call, nacre_span path, void **out)
{
    nacre_local_files *f = call->user;
    int fd = nc_files_open(f, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
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
    .fstat = nc_files_fstat,
    .fsetstat = nc_files_fsetstat,
    .stat = nc_files_stat,
    .lstat = nc_files_lstat,
    .setstat = nc_files_setstat,
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
    .statvfs = nc_files_statvfs,
    .fstatvfs = nc_files_fstatvfs,
    .hardlink = nc_files_hardlink,
    .fsync = op_fsync,
    .lsetstat = nc_files_lsetstat,
    .expand_path = nc_files_expand_path,
    .copy_data = nc_files_copy_data,
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

static int keep_start(nacre_local_files *f, const char *path, nacre_error *err)
{
    f->start = nc_strdup(f->alloc, path);
    return f->start ? NACRE_OK : nc_fail(err, NACRE_NO_MEMORY, "no memory to serve files");
}

static int begin_anywhere(nacre_local_files *f, const nacre_local_files_options *o,
                          nacre_error *err)
{
    const char *start = o->start ? o->start : ".";
    f->root = open(start, O_PATH | O_DIRECTORY | O_CLOEXEC);
    char *real = f->root >= 0 ? realpath(start, NULL) : NULL;
    if (!real) {
        return nc_os_fail(err, NACRE_IO, errno, "cannot begin in directory %s",
                          NC_ESC(nc_span_cstr(start)));
    }
    int rc = keep_start(f, real, err);
    free(real);
    return rc;
}

static int begin_in_jail(nacre_local_files *f, const nacre_local_files_options *o, nacre_error *err)
{
    nc_path real;
    const char *start = o->start && o->start[0] ? o->start : "/";
    if (nc_beneath_init(&f->jail, o->root) != 0) {
        return nc_os_fail(err, NACRE_IO, errno, "cannot serve directory %s",
                          NC_ESC(nc_span_cstr(o->root)));
    }
    int fd = nc_beneath_open(&f->jail, start, O_PATH | O_DIRECTORY, 0);
    if (fd < 0 || nc_beneath_real(&f->jail, start, &real) != 0) {
        int why = errno;
        nc_fd_close(&fd);
        return nc_os_fail(err, NACRE_IO, why, "cannot begin in directory %s",
                          NC_ESC(nc_span_cstr(start)));
    }
    nc_fd_close(&fd);
    return keep_start(f, real.text, err);
}

int nacre_local_files_new(nacre_local_files **out, const nacre_local_files_options *options,
                          nacre_error *err)
{
    nc_error_clear(err);
    nacre_local_files_options o;
    nacre_local_files_options_init(&o);
    *out = NULL;
    /* Whatever is not understood must not mean more than was meant: no jail, or not read-only. */
    if (options && options->size == 0) {
        return nc_fail(err, NACRE_INVALID_ARGUMENT, "options to serve files were not initialized");
    }
    if (options) {
        memcpy(&o, options, options->size < sizeof(o) ? options->size : sizeof(o));
    }
    nacre_local_files *f = nc_zalloc(o.allocator, sizeof(*f));
    if (!f) {
        return nc_fail(err, NACRE_NO_MEMORY, "no memory to serve files");
    }
    f->alloc = o.allocator;
    f->read_only = o.read_only;
    f->mask = o.umask >= 0 ? (mode_t)(o.umask & 0777) : 0;
    f->root = -1;
    f->jail.top = -1;
    int rc = o.root ? begin_in_jail(f, &o, err) : begin_anywhere(f, &o, err);
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
    nc_beneath_end(&f->jail);
    nc_free(f->alloc, f->start);
    nc_free(f->alloc, f);
}
