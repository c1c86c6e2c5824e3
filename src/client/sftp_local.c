/*
 * sftp_local.c - a local file that is being received. Owns the temporary name beside it.
 */
#include "client/sftp_local.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    TRIES = 100,     /* names that are taken already: somebody else's transfers */
    MODE_BITS = 0777 /* set-id bits were given to what stood there, not to what a server sends */
};

int nc_local_errno(nacre_error *err, const char *verb, const char *path)
{
    int code = errno;
    nc_fail(err, NACRE_IO, "%s %s: %s", verb, path, strerror(code));
    if (err && err->status == NACRE_IO) {
        err->detail = (uint32_t)code;
    }
    return NACRE_IO;
}

int nc_local_random_name(char out[7])
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
    uint8_t bytes[6];
    if (getrandom(bytes, sizeof(bytes), 0) != (ssize_t)sizeof(bytes)) {
        return NACRE_RANDOM;
    }
    for (size_t i = 0; i < sizeof(bytes); i++) {
        out[i] = letters[bytes[i] % (sizeof(letters) - 1)];
    }
    out[6] = '\0';
    return NACRE_OK;
}

char *nc_local_temporary(const nacre_allocator *alloc, const char *path, const char *random)
{
    const char *slash = strrchr(path, '/');
    size_t dir = slash ? (size_t)(slash - path) + 1 : 0;
    /* A name as long as the system allows gets a shorter one beside it. */
    size_t base = strlen(path + dir) < 200 ? strlen(path + dir) : 200;
    size_t size = dir + base + 16;
    char *name = nc_alloc(alloc, size);
    if (name) {
        snprintf(name, size, "%.*s.%.*s.%s", (int)dir, path, (int)base, path + dir, random);
    }
    return name;
}

void nc_local_init(nc_local_target *t, const nacre_allocator *alloc)
{
    memset(t, 0, sizeof(*t));
    t->fd = -1;
    t->dir = AT_FDCWD;
    t->alloc = alloc;
}

/* ---- creating ----------------------------------------------------------------------------------------- */

/* In a directory of ours a name is what stands there, and never what a link points to. */
static int no_follow(const nc_local_target *t)
{
    return t->dir == AT_FDCWD ? 0 : O_NOFOLLOW | O_NONBLOCK;
}

/* For reading, too, when that is wanted and allowed. */
static void open_there(nc_local_target *t, unsigned how)
{
    int flags = O_CREAT | O_CLOEXEC | O_NOCTTY | no_follow(t);
    if (how & NC_LOCAL_READ) {
        t->fd = openat(t->dir, t->name, O_RDWR | flags, 0666);
        t->readable = t->fd >= 0;
    }
    if (t->fd < 0) {
        t->fd = openat(t->dir, t->name, O_WRONLY | flags, 0666);
    }
}

static int open_direct(nc_local_target *t, unsigned how, nacre_error *err)
{
    struct stat st;
    t->fd = openat(t->dir, t->name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0666);
    t->made = t->readable = t->fd >= 0;
    if (t->fd < 0 && errno == EEXIST) {
        open_there(t, how);
    }
    if (t->fd < 0) {
        return nc_local_errno(err, "open local", t->path);
    }
    if (fstat(t->fd, &st) != 0) {
        return nc_local_errno(err, "stat local", t->path);
    }
    t->regular = S_ISREG(st.st_mode);
    t->seekable = t->regular || S_ISBLK(st.st_mode);
    if (!t->regular && t->dir != AT_FDCWD) {
        return nc_fail(err, NACRE_INVALID_ARGUMENT, "local %s is not a regular file", t->path);
    }
    return NACRE_OK;
}

/* The process's umask, without changing it for a moment: other threads make files, too. */
static bool read_umask(mode_t *mask)
{
    char text[512];
    int fd = open("/proc/self/status", O_RDONLY | O_CLOEXEC);
    ssize_t n = fd >= 0 ? read(fd, text, sizeof(text) - 1) : -1;
    if (fd >= 0) {
        close(fd);
    }
    text[n > 0 ? n : 0] = '\0';
    const char *line = strstr(text, "\nUmask:");
    *mask = line ? (mode_t)strtoul(line + strlen("\nUmask:"), NULL, 8) & 0777 : 0;
    return line != NULL;
}

/*
 * No more open than what it becomes in the end, at any moment: who opens it early reads it later. Where
 * neither the mode nor the umask is known it is made with every permission, for the kernel to take the
 * umask away, which tells us what it is, and closed to others at once, while there is nothing in it.
 */
static int open_temporary(nc_local_target *t, mode_t wanted)
{
    struct stat st;
    mode_t mask = 0;
    bool kept = t->replaces || (wanted == 0 && read_umask(&mask));
    mode_t mode = kept ? 0600 : wanted ? (wanted & MODE_BITS) | S_IWUSR : 0777;
    for (int i = 0; i < TRIES; i++) {
        char random[7];
        if (nc_local_random_name(random) != NACRE_OK) {
            return -1;
        }
        t->temporary = nc_local_temporary(t->alloc, t->name, random);
        if (!t->temporary) {
            errno = ENOMEM;
            return -1;
        }
        t->fd =
            openat(t->dir, t->temporary, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, mode);
        if (t->fd >= 0 || errno != EEXIST) {
            break;
        }
        nc_free(t->alloc, t->temporary);
        t->temporary = NULL;
    }
    if (t->fd < 0) {
        nc_free(t->alloc, t->temporary);
        t->temporary = NULL;
        return -1;
    }
    if (!t->replaces) {
        bool seen = !kept && fstat(t->fd, &st) == 0;
        t->mode = seen ? st.st_mode & MODE_BITS : MODE_BITS & ~mask;
        if (mode == 0777) {
            (void)fchmod(t->fd, 0600);
        }
    }
    t->regular = t->seekable = t->readable = true;
    return 0;
}

/* The new one must be given to whom the old one belongs to, the group too, or not be made: modes go with it. */
static bool keeps_owner(const nc_local_target *t, const struct stat *st)
{
    struct stat made;
    if (fstat(t->fd, &made) != 0) {
        return false;
    }
    uid_t uid = made.st_uid == st->st_uid ? (uid_t)-1 : st->st_uid;
    gid_t gid = made.st_gid == st->st_gid ? (gid_t)-1 : st->st_gid;
    return (uid == (uid_t)-1 && gid == (gid_t)-1) || fchown(t->fd, uid, gid) == 0;
}

static void drop_temporary(nc_local_target *t)
{
    if (t->fd >= 0) {
        close(t->fd);
        t->fd = -1;
    }
    if (t->temporary) {
        unlinkat(t->dir, t->temporary, 0);
        nc_free(t->alloc, t->temporary);
        t->temporary = NULL;
    }
}

/* The file at the end of a path's symbolic links is replaced, not the link. */
static int follow_link(nc_local_target *t, nacre_error *err)
{
    struct stat st;
    if (t->dir != AT_FDCWD || lstat(t->name, &st) != 0 || !S_ISLNK(st.st_mode)) {
        return NACRE_OK;
    }
    char *real = realpath(t->name, NULL);
    if (!real) {
        return NACRE_OK; /* leads nowhere yet: open makes what it points to */
    }
    char *copy = nc_strdup(t->alloc, real);
    free(real);
    if (!copy) {
        return nc_fail(err, NACRE_NO_MEMORY, "no memory for a path");
    }
    nc_free(t->alloc, t->name);
    t->name = copy;
    return NACRE_OK;
}

static int set_place(nc_local_target *t, const nc_local_place *where, nacre_error *err)
{
    t->dir = where->dir == -1 ? AT_FDCWD : where->dir;
    t->path = nc_strdup(t->alloc, where->path);
    t->name = nc_strdup(t->alloc, where->dir == -1 ? where->path : where->name);
    return t->path && t->name ? NACRE_OK : nc_fail(err, NACRE_NO_MEMORY, "no memory for a path");
}

/* What stands there is replaced: a regular file, and in a directory of ours a link, too. */
static bool replaced(const nc_local_target *t, const struct stat *st)
{
    return S_ISREG(st->st_mode) || (t->dir != AT_FDCWD && S_ISLNK(st->st_mode));
}

int nc_local_create(nc_local_target *t, const nacre_allocator *alloc, const nc_local_place *where,
                    unsigned how, nacre_error *err)
{
    struct stat st;
    nc_local_init(t, alloc);
    int rc = set_place(t, where, err);
    rc = rc == NACRE_OK ? follow_link(t, err) : rc;
    if (rc != NACRE_OK) {
        return rc;
    }
    bool there = fstatat(t->dir, t->name, &st, AT_SYMLINK_NOFOLLOW) == 0;
    if (there && S_ISDIR(st.st_mode)) {
        return nc_fail(err, NACRE_INVALID_ARGUMENT, "local %s is a directory", t->path);
    }
    if ((how & NC_LOCAL_DIRECT) || (there && !replaced(t, &st))) {
        return open_direct(t, how, err);
    }
    there = there && S_ISREG(st.st_mode);
    if (there && faccessat(t->dir, t->name, W_OK, AT_EACCESS) != 0) {
        /* Write protection is to be respected. */
        return nc_local_errno(err, "open local", t->path);
    }
    t->replaces = there;
    t->mode = there ? st.st_mode & MODE_BITS : 0;
    if (open_temporary(t, where->mode) != 0 || (there && !keeps_owner(t, &st))) {
        drop_temporary(t);
        t->replaces = false;
        return open_direct(t, how, err);
    }
    return NACRE_OK;
}

int nc_local_resume(nc_local_target *t, const nacre_allocator *alloc, const nc_local_place *where,
                    uint64_t *size, nacre_error *err)
{
    struct stat st;
    nc_local_init(t, alloc);
    int rc = set_place(t, where, err);
    if (rc != NACRE_OK) {
        return rc;
    }
    if (fstatat(t->dir, t->name, &st, t->dir == AT_FDCWD ? 0 : AT_SYMLINK_NOFOLLOW) != 0 ||
        !S_ISREG(st.st_mode) || st.st_size == 0) {
        nc_local_abandon(t);
        return NACRE_NOT_FOUND;
    }
    t->fd = openat(t->dir, t->name, O_RDWR | O_CLOEXEC | no_follow(t));
    if (t->fd < 0 || fstat(t->fd, &st) != 0) {
        return nc_local_errno(err, "open local", t->path);
    }
    if (!S_ISREG(st.st_mode)) {
        return nc_fail(err, NACRE_INVALID_ARGUMENT, "local %s is not a regular file", t->path);
    }
    t->regular = t->seekable = t->readable = true;
    *size = (uint64_t)st.st_size;
    return NACRE_OK;
}

int nc_local_open(const nc_local_place *where, int *fd, struct stat *st, nacre_error *err)
{
    int flags = O_RDONLY | O_CLOEXEC | O_NOCTTY;
    *fd = where->dir == -1 ? open(where->path, flags)
                           : openat(where->dir, where->name, flags | O_NOFOLLOW | O_NONBLOCK);
    if (*fd < 0 || fstat(*fd, st) != 0) {
        return nc_local_errno(err, "open local", where->path);
    }
    if (S_ISDIR(st->st_mode)) {
        return nc_fail(err, NACRE_INVALID_ARGUMENT, "local %s is a directory", where->path);
    }
    if (where->dir != -1 && !S_ISREG(st->st_mode)) {
        return nc_fail(err, NACRE_INVALID_ARGUMENT, "local %s is not a regular file", where->path);
    }
    return NACRE_OK;
}

/* ---- writing ------------------------------------------------------------------------------------------ */

int nc_local_write(nc_local_target *t, uint64_t offset, nacre_span bytes, nacre_error *err)
{
    if (offset > INT64_MAX - bytes.n) {
        return nc_fail(err, NACRE_TOO_LARGE, "write local %s: the file is too large", t->path);
    }
    while (bytes.n > 0) {
        ssize_t n = t->seekable ? pwrite(t->fd, bytes.p, bytes.n, (off_t)offset)
                                : write(t->fd, bytes.p, bytes.n);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            errno = n == 0 ? ENOSPC : errno;
            int rc = nc_local_errno(err, "write local", t->path);
            size_t used = err && err->status == rc ? strlen(err->text) : sizeof(err->text);
            if (used < sizeof(err->text)) {
                snprintf(err->text + used, sizeof(err->text) - used, " (at offset %llu)",
                         (unsigned long long)offset);
            }
            return rc;
        }
        bytes.p += n;
        bytes.n -= (size_t)n;
        offset += (uint64_t)n;
    }
    return NACRE_OK;
}

/* ---- the end ------------------------------------------------------------------------------------------ */

/* Set-id bits of a server's are taken over when the caller wants them, and not otherwise. */
static mode_t final_mode(const nc_local_target *t, const nc_local_finish *how)
{
    bool known = (how->attrs->flags & NACRE_SFTP_ATTR_PERMISSIONS) != 0;
    if (how->preserve && known) {
        return how->attrs->permissions & (how->keep_special ? 07777 : MODE_BITS);
    }
    if (t->replaces) {
        return t->mode;
    }
    mode_t wanted = known ? how->attrs->permissions & 0777 : 0666;
    return (wanted | S_IWUSR) & (t->mode | S_IWUSR);
}

static int set_attributes(nc_local_target *t, const nc_local_finish *how, nacre_error *err)
{
    if ((t->temporary || (how->preserve && t->regular)) && fchmod(t->fd, final_mode(t, how)) != 0) {
        return nc_local_errno(err, "set mode of local", t->path);
    }
    if (how->preserve && (how->attrs->flags & NACRE_SFTP_ATTR_ACMODTIME)) {
        struct timespec times[2] = {{.tv_sec = (time_t)how->attrs->atime},
                                    {.tv_sec = (time_t)how->attrs->mtime}};
        if (futimens(t->fd, times) != 0) {
            return nc_local_errno(err, "set times of local", t->path);
        }
    }
    return NACRE_OK;
}

static int sync_file(nc_local_target *t, const nc_local_finish *how, nacre_error *err)
{
    if (!how->sync || !t->regular) {
        return NACRE_OK;
    }
    return fsync(t->fd) == 0 ? NACRE_OK : nc_local_errno(err, "sync local", t->path);
}

int nc_local_commit(nc_local_target *t, const nc_local_finish *how, nacre_error *err)
{
    int rc = NACRE_OK;
    if (!t->temporary && t->regular && how->end != UINT64_MAX &&
        ftruncate(t->fd, (off_t)how->end) != 0) {
        rc = nc_local_errno(err, "truncate local", t->path);
    }
    rc = rc == NACRE_OK ? set_attributes(t, how, err) : rc;
    rc = rc == NACRE_OK ? sync_file(t, how, err) : rc;
    /* Some file systems say only here that there is no room. */
    if (close(t->fd) != 0 && rc == NACRE_OK) {
        rc = nc_local_errno(err, "close local", t->path);
    }
    t->fd = -1;
    if (rc == NACRE_OK && t->temporary && renameat(t->dir, t->temporary, t->dir, t->name) != 0) {
        rc = nc_local_errno(err, "rename to local", t->path);
    }
    if (rc == NACRE_OK) {
        nc_free(t->alloc, t->temporary);
        t->temporary = NULL;
    }
    return rc;
}

void nc_local_abandon(nc_local_target *t)
{
    drop_temporary(t);
    nc_free(t->alloc, t->path);
    nc_free(t->alloc, t->name);
    t->path = t->name = NULL;
}
