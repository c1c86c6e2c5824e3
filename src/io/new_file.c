/*
 * new_file.c - making a file beside the name that it gets when it is whole.
 */
#include "io/new_file.h"

#include "io/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

enum { TRIES = 100, BASE_MAX = 200 /* of the name, in the temporary one */ };

static int fail_errno(nacre_error *err, const char *path)
{
    int code = errno;
    nc_fail(err, NACRE_IO, "%s: %s", NC_ESC(nc_span_cstr(path)), strerror(code));
    if (err && err->status == NACRE_IO && err->detail == 0) {
        err->detail = (uint32_t)code;
    }
    return NACRE_IO;
}

void nc_new_file_init(nc_new_file *f)
{
    memset(f, 0, sizeof(*f));
    f->fd = -1;
}

/* ---- making ------------------------------------------------------------------------------------------- */

static int make_name(nc_new_file *f)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
    uint8_t bytes[6];
    char tail[7] = "";
    if (getrandom(bytes, sizeof(bytes), 0) != (ssize_t)sizeof(bytes)) {
        return -1;
    }
    for (size_t i = 0; i < sizeof(bytes); i++) {
        tail[i] = letters[bytes[i] % (sizeof(letters) - 1)];
    }
    (void)snprintf(f->temporary, sizeof(f->temporary), ".%.*s.%s", BASE_MAX, f->name, tail);
    return 0;
}

static int make_temporary(nc_new_file *f, const nc_new_file_how *how)
{
    /* The kernel takes the process's umask away, which says what it is without changing it. */
    mode_t mode = f->replaces || how->umask >= 0 ? 0600 : how->mode;
    struct stat st;
    for (int i = 0; i < TRIES; i++) {
        if (make_name(f) != 0) {
            break;
        }
        f->fd = openat(f->dir, f->temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
                       mode);
        if (f->fd >= 0 || errno != EEXIST) {
            break;
        }
    }
    if (f->fd < 0) {
        f->temporary[0] = '\0';
        return -1;
    }
    if (!f->replaces && how->umask < 0 && fstat(f->fd, &st) == 0) {
        f->mode = st.st_mode & 0777;
    }
    f->regular = true;
    return 0;
}

/* The new one must be given to whom the old one belongs to, the group too, or not be made: modes go with it. */
static bool keeps_owner(const nc_new_file *f, const struct stat *st)
{
    struct stat made;
    if (fstat(f->fd, &made) != 0) {
        return false;
    }
    uid_t uid = made.st_uid == st->st_uid ? (uid_t)-1 : st->st_uid;
    gid_t gid = made.st_gid == st->st_gid ? (gid_t)-1 : st->st_gid;
    return (uid == (uid_t)-1 && gid == (gid_t)-1) || fchown(f->fd, uid, gid) == 0;
}

static int open_itself(nc_new_file *f, const nc_new_file_how *how, nacre_error *err)
{
    struct stat st;
    /* A fifo without a reader shall be an error and not a wait for one. */
    f->fd = openat(f->dir, f->name, O_WRONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    if (f->fd < 0 || fstat(f->fd, &st) != 0) {
        return fail_errno(err, how->path);
    }
    f->regular = S_ISREG(st.st_mode);
    f->mode = st.st_mode & 07777;
    if (how->never_waits && !f->regular) {
        return NACRE_OK;
    }
    int flags = fcntl(f->fd, F_GETFL);
    return flags >= 0 && fcntl(f->fd, F_SETFL, flags & ~O_NONBLOCK) == 0
               ? NACRE_OK
               : fail_errno(err, how->path);
}

static void drop_temporary(nc_new_file *f)
{
    if (f->fd >= 0) {
        close(f->fd);
        f->fd = -1;
    }
    if (f->temporary[0]) {
        unlinkat(f->dir, f->temporary, 0);
        f->temporary[0] = '\0';
    }
}

static int replace(nc_new_file *f, const struct stat *st, const nc_new_file_how *how,
                   nacre_error *err)
{
    if (faccessat(f->dir, f->name, W_OK, AT_EACCESS) != 0) {
        return fail_errno(err, how->path); /* write protection is to be respected */
    }
    f->replaces = true;
    f->mode = st->st_mode & 0777;
    if (make_temporary(f, how) == 0 && keeps_owner(f, st)) {
        return NACRE_OK;
    }
    drop_temporary(f);
    return open_itself(f, how, err);
}

int nc_new_file_create(nc_new_file *f, int dir, const char *name, const nc_new_file_how *how,
                       nacre_error *err)
{
    struct stat st;
    nc_new_file_init(f);
    if (strlen(name) >= sizeof(f->name)) {
        errno = ENAMETOOLONG;
        return fail_errno(err, how->path);
    }
    memcpy(f->name, name, strlen(name) + 1);
    f->dir = dir;
    bool there = fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0;
    int rc = NACRE_OK;
    if (!there && errno != ENOENT) {
        rc = fail_errno(err, how->path);
    } else if (there && S_ISREG(st.st_mode)) {
        rc = replace(f, &st, how, err);
    } else if (there && S_ISDIR(st.st_mode)) {
        errno = EISDIR;
        rc = fail_errno(err, how->path);
    } else if (there && !S_ISLNK(st.st_mode)) {
        rc = how->special ? open_itself(f, how, err)
                          : nc_fail(err, NACRE_INVALID_ARGUMENT, "%s: not a regular file",
                                    NC_ESC(nc_span_cstr(how->path)));
    } else {
        f->mode = how->mode & (how->umask >= 0 ? ~(mode_t)how->umask & 0777 : 0777);
        rc = make_temporary(f, how) == 0 ? NACRE_OK : fail_errno(err, how->path);
    }
    if (rc != NACRE_OK) {
        drop_temporary(f);
    }
    return rc;
}

/* ---- writing ------------------------------------------------------------------------------------------ */

int nc_new_file_write(nc_new_file *f, nacre_span data, const char *path, nacre_error *err)
{
    /* Who reads a fifo may leave; that must not end the program around us. */
    nc_fd_kind kind = f->regular ? NC_FD_FILE : NC_FD_PIPE;
    while (data.n > 0) {
        ssize_t n = nc_fd_write(f->fd, kind, data.p, data.n);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            errno = n == 0 ? ENOSPC : errno;
            return fail_errno(err, path);
        }
        f->written += (uint64_t)n;
        data = (nacre_span){data.p + n, data.n - (size_t)n};
    }
    return NACRE_OK;
}

static int settle(const nc_new_file *f, const nc_new_file_end *how, const char *path,
                  nacre_error *err)
{
    struct stat st;
    mode_t mode = how->set_mode ? how->mode : f->mode;
    if (!f->regular) {
        return NACRE_OK;
    }
    if (fstat(f->fd, &st) == 0 && (st.st_mode & 07777) != mode &&
        (how->set_mode || f->temporary[0]) && fchmod(f->fd, mode) != 0) {
        return fail_errno(err, path);
    }
    struct timespec times[2] = {{.tv_sec = (time_t)how->atime}, {.tv_sec = (time_t)how->mtime}};
    if (how->set_times && futimens(f->fd, times) != 0) {
        return fail_errno(err, path);
    }
    return NACRE_OK;
}

int nc_new_file_finish(nc_new_file *f, const nc_new_file_end *how, const char *path,
                       nacre_error *err)
{
    bool itself = f->temporary[0] == '\0';
    if (itself && f->regular && ftruncate(f->fd, (off_t)f->written) != 0) {
        int rc = fail_errno(err, path);
        nc_new_file_abandon(f);
        return rc;
    }
    int rc = settle(f, how, path, err);
    /* Some file systems say only here that there is no room. */
    int closed = close(f->fd);
    f->fd = -1;
    if (closed != 0 || (!itself && renameat(f->dir, f->temporary, f->dir, f->name) != 0)) {
        rc = fail_errno(err, path);
        drop_temporary(f);
    }
    f->temporary[0] = '\0';
    return rc;
}

void nc_new_file_abandon(nc_new_file *f)
{
    if (f->fd >= 0 && f->temporary[0] == '\0' && f->regular && f->written > 0) {
        /* A mixture of old and new would pass for neither. */
        if (ftruncate(f->fd, (off_t)f->written) != 0) {
            f->written = 0;
        }
    }
    drop_temporary(f);
}
