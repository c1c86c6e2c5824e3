/*
 * scp_tree.c - local files and directories as a source of the copy protocol. Links are followed, as scp
 * does; a link back to a directory that is being sent would never end, and is told instead.
 */
#include "io/scp_files.h"

#include "base/buf.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

enum { ROOMS_MAX = 64, PATH_LONGEST = 1024 * 1024 };

typedef struct level {
    DIR *dir;
    dev_t dev;
    ino_t ino;
    size_t path_len; /* of the directory's own */
    bool broken;     /* its listing failed, and that was told */
} level;

struct nc_scp_tree {
    nc_scp_tree_options o;
    size_t next;
    level *levels;
    size_t depth, room;
    nc_buf path; /* of the present thing, zero-terminated */
    size_t name_at;
    int fd; /* the present file */
};

int nc_scp_tree_new(nc_scp_tree **out, const nc_scp_tree_options *o)
{
    nc_scp_tree *t = nc_zalloc(o->allocator, sizeof(*t));
    *out = t;
    if (!t) {
        return NACRE_NO_MEMORY;
    }
    t->o = *o;
    t->fd = -1;
    nc_buf_init(&t->path, o->allocator, PATH_LONGEST);
    return NACRE_OK;
}

static void close_file(nc_scp_tree *t)
{
    if (t->fd >= 0) {
        close(t->fd);
        t->fd = -1;
    }
}

static void leave(nc_scp_tree *t)
{
    closedir(t->levels[--t->depth].dir);
}

void nc_scp_tree_free(nc_scp_tree *t)
{
    if (t) {
        close_file(t);
        while (t->depth > 0) {
            leave(t);
        }
        nc_free(t->o.allocator, t->levels);
        nc_buf_clear(&t->path);
        nc_free(t->o.allocator, t);
    }
}

const char *nc_scp_tree_path(const nc_scp_tree *t)
{
    return t->path.data ? (const char *)t->path.data : "";
}

/* ---- one thing ---------------------------------------------------------------------------------------- */

static int no_memory(nacre_error *why)
{
    return nc_fail(why, NACRE_NO_MEMORY, "no memory for a tree");
}

static int note(const nc_scp_tree *t, nc_scp_record *out, nacre_error *why, int status,
                const char *text)
{
    out->kind = NC_SCP_NOTE;
    nc_fail(why, status, "%s: %s", NC_ESC(nc_span_cstr(nc_scp_tree_path(t))), text);
    return NACRE_OK;
}

static int note_errno(const nc_scp_tree *t, nc_scp_record *out, nacre_error *why)
{
    int code = errno;
    int rc = note(t, out, why, NACRE_IO, strerror(code));
    why->detail = (uint32_t)code;
    return rc;
}

static void describe(const nc_scp_tree *t, const struct stat *st, nc_scp_record *out)
{
    out->st.mode = st->st_mode & 07777;
    out->st.has_times = t->o.preserve;
    out->st.mtime = st->st_mtime > 0 ? (uint64_t)st->st_mtime : 0;
    out->st.atime = st->st_atime > 0 ? (uint64_t)st->st_atime : 0;
    out->name = nc_span_cstr(nc_scp_tree_path(t) + t->name_at);
}

static bool is_loop(const nc_scp_tree *t, const struct stat *st)
{
    for (size_t i = 0; i < t->depth; i++) {
        if (t->levels[i].dev == st->st_dev && t->levels[i].ino == st->st_ino) {
            return true;
        }
    }
    return false;
}

static int enter(nc_scp_tree *t, const struct stat *st, nc_scp_record *out, nacre_error *why)
{
    if (is_loop(t, st)) {
        return note(t, out, why, NACRE_INVALID_ARGUMENT, "a link back to a directory around it");
    }
    if (t->depth >= t->o.max_depth) {
        return note(t, out, why, NACRE_LIMIT, "too many directories in each other");
    }
    if (t->depth == t->room) {
        level *more = nc_resize(t->o.allocator, t->levels, (t->room + 16) * sizeof(*more));
        if (!more) {
            return no_memory(why);
        }
        t->levels = more;
        t->room += 16;
    }
    DIR *dir = fdopendir(t->fd);
    if (!dir) {
        return note_errno(t, out, why);
    }
    t->fd = -1;
    t->levels[t->depth++] = (level){dir, st->st_dev, st->st_ino, t->path.len - 1, false};
    out->kind = NC_SCP_DIR;
    describe(t, st, out);
    return NACRE_OK;
}

/* Asked before it is opened, because opening a fifo or a device already does something. */
static int open_thing(nc_scp_tree *t, int at, const char *name, nc_scp_record *out,
                      nacre_error *why)
{
    struct stat st;
    if (fstatat(at, name, &st, 0) != 0) {
        return note_errno(t, out, why);
    }
    if (S_ISDIR(st.st_mode) && !t->o.recursive) {
        return note(t, out, why, NACRE_INVALID_ARGUMENT, "is a directory");
    }
    if (!S_ISDIR(st.st_mode) && !S_ISREG(st.st_mode)) {
        return note(t, out, why, NACRE_UNSUPPORTED, "not a regular file");
    }
    t->fd = openat(at, name, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    if (t->fd < 0 || fstat(t->fd, &st) != 0) {
        return note_errno(t, out, why);
    }
    if (S_ISDIR(st.st_mode) && t->o.recursive) {
        return enter(t, &st, out, why);
    }
    if (!S_ISREG(st.st_mode)) {
        return note(t, out, why, NACRE_UNSUPPORTED, "not a regular file");
    }
    out->kind = NC_SCP_FILE;
    out->st.size = (uint64_t)st.st_size;
    describe(t, &st, out);
    return NACRE_OK;
}

/* ---- the order ---------------------------------------------------------------------------------------- */

static int set_path(nc_scp_tree *t, size_t keep, const char *tail, size_t n)
{
    nc_buf_truncate(&t->path, keep);
    int rc = NACRE_OK;
    if (keep > 0 && t->path.data[keep - 1] != '/') {
        rc = nc_buf_append(&t->path, "/", 1);
    }
    t->name_at = t->path.len;
    rc = rc == NACRE_OK ? nc_buf_append(&t->path, tail, n) : rc;
    return rc == NACRE_OK ? nc_buf_append(&t->path, "", 1) : rc;
}

static int next_path(nc_scp_tree *t, nc_scp_record *out, nacre_error *why)
{
    if (t->next == t->o.count) {
        out->kind = NC_SCP_DONE;
        return NACRE_OK;
    }
    const char *path = t->o.paths[t->next++];
    path = *path ? path : ".";
    size_t n = strlen(path);
    while (n > 1 && path[n - 1] == '/') {
        n--;
    }
    if (set_path(t, 0, path, n) != NACRE_OK) {
        return no_memory(why);
    }
    const char *slash = strrchr(nc_scp_tree_path(t), '/');
    t->name_at = slash && slash[1] ? (size_t)(slash + 1 - nc_scp_tree_path(t)) : 0;
    return open_thing(t, t->o.at, nc_scp_tree_path(t), out, why);
}

/* errno is readdir's: a listing that broke off is told first, and ended the next time. */
static int end_of_directory(nc_scp_tree *t, level *l, nc_scp_record *out, nacre_error *why)
{
    int code = errno;
    nc_buf_truncate(&t->path, l->path_len);
    if (nc_buf_append(&t->path, "", 1) != NACRE_OK) {
        return no_memory(why);
    }
    if (code != 0 && !l->broken) {
        l->broken = true;
        errno = code;
        return note_errno(t, out, why);
    }
    leave(t);
    out->kind = NC_SCP_LEAVE;
    return NACRE_OK;
}

static int next_entry(nc_scp_tree *t, nc_scp_record *out, nacre_error *why)
{
    level *l = &t->levels[t->depth - 1];
    const struct dirent *e = NULL;
    do {
        errno = 0;
        e = l->broken ? NULL : readdir(l->dir);
    } while (e && (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0));
    if (!e) {
        return end_of_directory(t, l, out, why);
    }
    if (set_path(t, l->path_len, e->d_name, strlen(e->d_name)) != NACRE_OK) {
        return no_memory(why);
    }
    return open_thing(t, dirfd(l->dir), e->d_name, out, why);
}

static int tree_next(void *user, nc_scp_record *out, nacre_error *why)
{
    nc_scp_tree *t = user;
    close_file(t);
    return t->depth > 0 ? next_entry(t, out, why) : next_path(t, out, why);
}

static int tree_read(void *user, const nacre_room *rooms, size_t count, size_t want, size_t *got,
                     nacre_error *why)
{
    nc_scp_tree *t = user;
    struct iovec parts[ROOMS_MAX];
    size_t n = 0;
    for (; n < count && n < ROOMS_MAX && want > 0; n++) {
        parts[n].iov_base = rooms[n].p;
        parts[n].iov_len = rooms[n].n < want ? rooms[n].n : want;
        want -= parts[n].iov_len;
    }
    ssize_t some;
    do {
        some = readv(t->fd, parts, (int)n);
    } while (some < 0 && errno == EINTR);
    *got = some > 0 ? (size_t)some : 0;
    if (some < 0) {
        int code = errno;
        nc_fail(why, NACRE_IO, "%s: %s", NC_ESC(nc_span_cstr(nc_scp_tree_path(t))), strerror(code));
        why->detail = (uint32_t)code;
        return NACRE_IO;
    }
    return NACRE_OK;
}

/* A directory that is not wanted is not gone through. */
static void tree_over(void *user, const nc_scp_record *r, const nacre_error *why)
{
    nc_scp_tree *t = user;
    if (r->kind == NC_SCP_DIR && why->status != NACRE_OK && t->depth > 0) {
        leave(t);
    }
}

const nc_scp_source_ops nc_scp_tree_ops = {tree_next, tree_read, tree_over, NULL};
