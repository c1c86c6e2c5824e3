/*
 * scp_place.c - where the copy protocol's things are received: below descriptors of directories, never
 * through a link, and under their names only when they are whole.
 */
#include "io/scp_files.h"

#include "base/buf.h"
#include "io/new_file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PATH_LONGEST = 1024 * 1024, LINKS_MAX = 40 };

typedef struct level {
    int fd;
    nacre_scp_stat st;
    bool made;
    mode_t has;      /* the mode it has now */
    mode_t mode;     /* and what the umask leaves of it */
    size_t path_len; /* of its own */
} level;

struct nc_scp_place {
    nc_scp_place_options o;
    int base;            /* the directory that the top's things come into */
    char only[PATH_MAX]; /* the name that the only one of them gets; "": the sender's */
    bool directory_only; /* the target was written with a slash behind it */
    uint64_t things;
    level *levels;
    size_t depth, room;
    nc_buf path; /* of the present thing, zero-terminated */
    nc_new_file file;
    nacre_scp_stat st; /* the present file's */
};

static int fail_errno(nacre_error *err, const char *path)
{
    int code = errno;
    nc_fail(err, NACRE_IO, "%s: %s", NC_ESC(nc_span_cstr(path)), strerror(code));
    if (err->status == NACRE_IO && err->detail == 0) {
        err->detail = (uint32_t)code;
    }
    return NACRE_IO;
}

const char *nc_scp_place_path(const nc_scp_place *p)
{
    return p->path.data ? (const char *)p->path.data : "";
}

static int set_path(nc_scp_place *p, size_t keep, const char *tail, size_t n)
{
    nc_buf_truncate(&p->path, keep);
    int rc = NACRE_OK;
    if (keep > 0 && n > 0 && p->path.data[keep - 1] != '/') {
        rc = nc_buf_append(&p->path, "/", 1);
    }
    rc = rc == NACRE_OK ? nc_buf_append(&p->path, tail, n) : rc;
    return rc == NACRE_OK ? nc_buf_append(&p->path, "", 1) : rc;
}

/* ---- the target --------------------------------------------------------------------------------------- */

/* What the person named is followed when it is a link, to what is there or is to be made. */
static int follow(const nc_scp_place *p, char path[PATH_MAX])
{
    char text[PATH_MAX], joined[2 * PATH_MAX];
    for (int i = 0; i < LINKS_MAX; i++) {
        ssize_t n = readlinkat(p->o.at, path, text, sizeof(text) - 1);
        if (n < 0) {
            return 0; /* no link */
        }
        text[n] = '\0';
        const char *slash = text[0] == '/' ? NULL : strrchr(path, '/');
        int len = snprintf(joined, sizeof(joined), "%.*s%s", slash ? (int)(slash - path) + 1 : 0,
                           path, text);
        if (len < 0 || len >= PATH_MAX) {
            errno = ENAMETOOLONG;
            return -1;
        }
        memcpy(path, joined, (size_t)len + 1);
    }
    errno = ELOOP;
    return -1;
}

/* The target is no directory: its own is opened, and its name kept. */
static int open_parent(nc_scp_place *p, nacre_error *err)
{
    char path[PATH_MAX];
    size_t n = strlen(p->o.target);
    if (n >= sizeof(path)) {
        errno = ENAMETOOLONG;
        return fail_errno(err, p->o.target);
    }
    memcpy(path, p->o.target, n + 1);
    p->directory_only = path[n - 1] == '/';
    while (n > 1 && path[n - 1] == '/') {
        path[--n] = '\0';
    }
    if (follow(p, path) != 0) {
        return fail_errno(err, p->o.target);
    }
    char *slash = strrchr(path, '/');
    const char *name = slash ? slash + 1 : path;
    memcpy(p->only, name, strlen(name) + 1);
    if (p->only[0] == '\0' || strcmp(p->only, ".") == 0 || strcmp(p->only, "..") == 0) {
        errno = ENOENT;
        return fail_errno(err, p->o.target);
    }
    if (slash) {
        slash[slash == path ? 1 : 0] = '\0';
    }
    p->base = openat(p->o.at, slash ? path : ".", O_PATH | O_DIRECTORY | O_CLOEXEC);
    return p->base >= 0 ? NACRE_OK : fail_errno(err, p->o.target);
}

static int open_target(nc_scp_place *p, nacre_error *err)
{
    p->o.target = *p->o.target ? p->o.target : ".";
    p->base = openat(p->o.at, p->o.target, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (p->base >= 0) {
        return NACRE_OK;
    }
    if (p->o.to_directory || (errno != ENOENT && errno != ENOTDIR)) {
        return fail_errno(err, p->o.target);
    }
    return open_parent(p, err);
}

int nc_scp_place_new(nc_scp_place **out, const nc_scp_place_options *o, nacre_error *err)
{
    nc_scp_place *p = nc_zalloc(o->allocator, sizeof(*p));
    *out = NULL;
    if (!p) {
        return nc_fail(err, NACRE_NO_MEMORY, "no memory for a target");
    }
    p->o = *o;
    p->base = -1;
    nc_new_file_init(&p->file);
    nc_buf_init(&p->path, o->allocator, PATH_LONGEST);
    int rc = open_target(p, err);
    if (rc != NACRE_OK) {
        nc_scp_place_free(p);
        return rc;
    }
    *out = p;
    return NACRE_OK;
}

void nc_scp_place_free(nc_scp_place *p)
{
    if (!p) {
        return;
    }
    nc_new_file_abandon(&p->file);
    while (p->depth > 0) {
        close(p->levels[--p->depth].fd);
    }
    if (p->base >= 0) {
        close(p->base);
    }
    nc_free(p->o.allocator, p->levels);
    nc_buf_clear(&p->path);
    nc_free(p->o.allocator, p);
}

/* ---- names -------------------------------------------------------------------------------------------- */

typedef struct spot {
    int dir;
    char name[NC_SCP_NAME_MAX > PATH_MAX ? NC_SCP_NAME_MAX + 1 : PATH_MAX];
} spot;

/* Where a thing goes, and its path for people. */
static int place_it(nc_scp_place *p, const nc_scp_record *r, spot *at, nacre_error *why)
{
    bool top = p->depth == 0;
    int rc;
    memcpy(at->name, r->name.p, r->name.n);
    at->name[r->name.n] = '\0';
    if (!top) {
        at->dir = p->levels[p->depth - 1].fd;
        rc = set_path(p, strlen(nc_scp_place_path(p)), at->name, r->name.n);
    } else {
        at->dir = p->base;
        rc = set_path(p, 0, p->o.target, strlen(p->o.target));
        if (rc == NACRE_OK && p->only[0] == '\0') {
            rc = set_path(p, strlen(nc_scp_place_path(p)), at->name, r->name.n);
        } else if (rc == NACRE_OK) {
            memcpy(at->name, p->only, strlen(p->only) + 1);
        }
    }
    if (rc != NACRE_OK) {
        return nc_fail(why, rc, "no memory for a path");
    }
    if (top && p->only[0] && p->things++ > 0) {
        errno = ENOTDIR; /* several, and they would overwrite each other */
        return fail_errno(why, p->o.target);
    }
    return NACRE_OK;
}

/* The path of the directory that is current again. */
static void back_to(nc_scp_place *p, size_t len)
{
    nc_buf_truncate(&p->path, len);
    if (nc_buf_append(&p->path, "", 1) != NACRE_OK) { /* the room was there a moment ago */
        nc_buf_reset(&p->path);
    }
}

static size_t current_len(const nc_scp_place *p)
{
    return p->depth > 0 ? p->levels[p->depth - 1].path_len : 0;
}

/* ---- files -------------------------------------------------------------------------------------------- */

static int place_file(void *user, const nc_scp_record *r, nacre_error *why)
{
    nc_scp_place *p = user;
    spot at;
    back_to(p, current_len(p));
    int rc = place_it(p, r, &at, why);
    if (rc != NACRE_OK) {
        return rc;
    }
    if (p->depth == 0 && p->directory_only) {
        errno = ENOTDIR;
        return fail_errno(why, p->o.target);
    }
    nc_new_file_how how = {.path = nc_scp_place_path(p),
                           .mode = r->st.mode & 0777,
                           .umask = p->o.umask,
                           .special = p->depth == 0 && p->only[0] != '\0',
                           .never_waits = p->o.never_waits};
    p->st = r->st;
    return nc_new_file_create(&p->file, at.dir, at.name, &how, why);
}

static int place_write(void *user, nacre_span data, nacre_error *why)
{
    nc_scp_place *p = user;
    return nc_new_file_write(&p->file, data, nc_scp_place_path(p), why);
}

static mode_t kept_mode(const nc_scp_place *p, uint32_t mode)
{
    return mode & (p->o.keep_special ? 07777 : 0777);
}

static int place_finish(void *user, bool whole, nacre_error *why)
{
    nc_scp_place *p = user;
    if (!whole) {
        nc_new_file_abandon(&p->file);
        return NACRE_OK;
    }
    nc_new_file_end end = {.set_mode = p->o.preserve,
                           .mode = kept_mode(p, p->st.mode),
                           .set_times = p->st.has_times,
                           .mtime = p->st.mtime,
                           .atime = p->st.atime};
    return nc_new_file_finish(&p->file, &end, nc_scp_place_path(p), why);
}

/* ---- directories -------------------------------------------------------------------------------------- */

static int push_level(nc_scp_place *p, level l, nacre_error *why)
{
    if (p->depth == p->room) {
        level *more = nc_resize(p->o.allocator, p->levels, (p->room + 16) * sizeof(*more));
        if (!more) {
            close(l.fd);
            return nc_fail(why, NACRE_NO_MEMORY, "no memory for a directory");
        }
        p->levels = more;
        p->room += 16;
    }
    p->levels[p->depth++] = l;
    return NACRE_OK;
}

static int open_dir(int dir, const char *name)
{
    int fd = openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0 && errno == EACCES) { /* one that can be written and not listed */
        fd = openat(dir, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    }
    return fd;
}

static int place_enter(void *user, const nc_scp_record *r, nacre_error *why)
{
    nc_scp_place *p = user;
    struct stat st;
    spot at;
    back_to(p, current_len(p));
    int rc = place_it(p, r, &at, why);
    if (rc != NACRE_OK) {
        return rc;
    }
    mode_t mode = (r->st.mode & 0777) | S_IRWXU;
    mode &= p->o.umask >= 0 ? ~(mode_t)p->o.umask | S_IRWXU : 07777u;
    bool made = mkdirat(at.dir, at.name, mode) == 0;
    if (!made && errno != EEXIST) {
        return fail_errno(why, nc_scp_place_path(p));
    }
    level l = {.fd = open_dir(at.dir, at.name), .st = r->st, .made = made};
    if (l.fd < 0) {
        return fail_errno(why, nc_scp_place_path(p)); /* a link, or no directory */
    }
    if (fstat(l.fd, &st) == 0) {
        l.has = st.st_mode & 07777;
    }
    l.mode = l.has;
    if (made && p->o.umask >= 0) { /* the process may have an umask of its own */
        l.mode = mode | (l.has & 07000);
    }
    l.path_len = strlen(nc_scp_place_path(p));
    return push_level(p, l, why);
}

/* What it has at the end: only now, because it may be closed to ourselves then. */
static int settle(const nc_scp_place *p, const level *l, nacre_error *why)
{
    mode_t mode = l->mode;
    if (p->o.preserve) {
        mode = kept_mode(p, l->st.mode) | (p->o.keep_special ? 0 : l->mode & 07000);
    } else if (l->made) {
        mode = l->mode & ((l->st.mode & 0777) | 07000); /* setgid comes from the directory around */
    }
    if (mode != l->has && fchmod(l->fd, mode) != 0) {
        return fail_errno(why, nc_scp_place_path(p));
    }
    if (l->st.has_times) {
        struct timespec times[2] = {{.tv_sec = (time_t)l->st.atime},
                                    {.tv_sec = (time_t)l->st.mtime}};
        if (futimens(l->fd, times) != 0) {
            return fail_errno(why, nc_scp_place_path(p));
        }
    }
    return NACRE_OK;
}

static int place_leave(void *user, nacre_error *why)
{
    nc_scp_place *p = user;
    level l = p->levels[--p->depth];
    back_to(p, l.path_len);
    int rc = settle(p, &l, why);
    close(l.fd);
    return rc;
}

const nc_scp_sink_ops nc_scp_place_ops = {place_file,   place_enter, place_write,
                                          place_finish, place_leave, NULL};
