/*
 * beneath.c - see beneath.h.
 */
#include "io/beneath.h"

#include "io/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

enum {
    LINKS_MAX = 40,    /* as Linux */
    TRIES_MAX = 128,   /* of openat2 while others rename: EAGAIN each time */
    SWAPPED_MAX = 1024 /* names that were a link and were none, in turns */
};

enum { STEP = O_PATH | O_NOFOLLOW | O_CLOEXEC, STEP_DIR = STEP | O_DIRECTORY };

/* ---- by the kernel ---- */

#ifdef SYS_openat2
/* linux/openat2.h, which older headers lack. */
typedef struct how {
    uint64_t flags, mode, resolve;
} how;

static int open_in_root(int top, const char *path, int flags, mode_t mode)
{
    const uint64_t no_magiclinks = 0x02, in_root = 0x10;
    how h = {(uint64_t)flags, flags & O_CREAT ? mode & 07777 : 0, no_magiclinks | in_root};
    return (int)syscall(SYS_openat2, top, path, &h, sizeof(h));
}
#else
static int open_in_root(int top, const char *path, int flags, mode_t mode)
{
    (void)top;
    (void)path;
    (void)flags;
    (void)mode;
    errno = ENOSYS;
    return -1;
}
#endif

/* EAGAIN: somebody keeps renaming; the walk gets there. */
static int open_by_kernel(const nc_beneath *b, const char *path, int flags, mode_t mode)
{
    int fd;
    int tries = 0;
    do {
        fd = open_in_root(b->top, path, flags, mode);
    } while (fd < 0 && (errno == EINTR || (errno == EAGAIN && ++tries < TRIES_MAX)));
    return fd;
}

/* ---- step by step ---- */

typedef struct walk {
    int top;
    int cur;      /* the directory that has been reached */
    nc_path done; /* its path: "" or "/a/b" */
    nc_path left; /* what is still to go */
    int links;
} walk;

static int append(nc_path *to, const char *name)
{
    size_t have = strlen(to->text), n = strlen(name);
    if (have + 1 + n >= sizeof(to->text)) {
        errno = ENAMETOOLONG;
        return -1;
    }
    to->text[have] = '/';
    memcpy(to->text + have + 1, name, n + 1);
    return 0;
}

static int go_to_top(walk *w)
{
    int fd = openat(w->top, ".", STEP_DIR);
    if (fd < 0) {
        return -1;
    }
    nc_fd_close(&w->cur);
    w->cur = fd;
    w->done.text[0] = '\0';
    return 0;
}

/* Into a directory that was there a moment ago, and is no link. */
static int go_into(walk *w, const char *name)
{
    int fd = openat(w->cur, name, STEP_DIR);
    if (fd < 0) {
        return -1;
    }
    nc_fd_close(&w->cur);
    w->cur = fd;
    return append(&w->done, name);
}

/*
 * Not by the directory's own "..", which points outside once somebody has moved it there: from the top
 * again, by the names that led here.
 */
static int go_up(walk *w)
{
    nc_path names = w->done;
    char *slash = strrchr(names.text, '/');
    if (!slash) {
        return 0; /* at the top */
    }
    *slash = '\0';
    if (go_to_top(w) != 0) {
        return -1;
    }
    char *rest = NULL;
    for (char *name = strtok_r(names.text, "/", &rest); name; name = strtok_r(NULL, "/", &rest)) {
        if (go_into(w, name) != 0) {
            return -1;
        }
    }
    return 0;
}

static int walk_begin(walk *w, const nc_beneath *b, const char *path)
{
    memset(w, 0, sizeof(*w));
    w->top = b->top;
    w->cur = -1;
    if (path[0] == '\0') {
        errno = ENOENT;
        return -1;
    }
    nacre_span all = {(const uint8_t *)path, strlen(path)};
    return nc_path_copy(&w->left, all) != 0 ? -1 : go_to_top(w);
}

static void walk_end(walk *w)
{
    nc_fd_close(&w->cur);
}

/* A link's text comes in front of what is left. */
static int follow(walk *w, const char *target)
{
    nc_path made;
    if (target[0] == '\0') {
        errno = ENOENT;
        return -1;
    }
    if (++w->links > LINKS_MAX) {
        errno = ELOOP;
        return -1;
    }
    int n = snprintf(made.text, sizeof(made.text), "%s%s%s", target, w->left.text[0] ? "/" : "",
                     w->left.text);
    if (n < 0 || (size_t)n >= sizeof(made.text)) {
        errno = ENAMETOOLONG;
        return -1;
    }
    w->left = made;
    return target[0] == '/' ? go_to_top(w) : 0;
}

/* 1: it was a link and is followed. 0: no link, or not there. -1: errno. */
static int follow_if_link(walk *w, int dir, const char *name)
{
    nc_path target;
    ssize_t n = readlinkat(dir, name, target.text, sizeof(target.text));
    if (n < 0) {
        return errno == EINVAL || errno == ENOENT ? 0 : -1;
    }
    if ((size_t)n >= sizeof(target.text)) {
        errno = ENAMETOOLONG;
        return -1;
    }
    target.text[n] = '\0';
    return follow(w, target.text) == 0 ? 1 : -1;
}

/* One name that is not the last. */
static int step(walk *w, const char *name)
{
    struct stat st;
    int fd = openat(w->cur, name, STEP);
    if (fd < 0) {
        return -1;
    }
    int rc = fstat(fd, &st);
    if (rc == 0 && S_ISDIR(st.st_mode)) {
        rc = append(&w->done, name);
        if (rc == 0) {
            nc_fd_close(&w->cur);
            w->cur = fd;
            return 0;
        }
    } else if (rc == 0 && S_ISLNK(st.st_mode)) {
        /* The text of this very link, whatever stands at its name by now. */
        rc = follow_if_link(w, fd, "") == 1 ? 0 : -1;
    } else if (rc == 0) {
        errno = ENOTDIR;
        rc = -1;
    }
    nc_fd_close(&fd);
    return rc;
}

/* Takes the first name off left: its length, 0 at the end. last: only slashes (*slash) stand behind. */
static ssize_t take_name(nc_path *left, char name[NAME_MAX + 1], bool *last, bool *slash)
{
    size_t skip = strspn(left->text, "/");
    size_t len = strcspn(left->text + skip, "/");
    size_t behind = strspn(left->text + skip + len, "/");
    if (len > NAME_MAX) {
        errno = ENAMETOOLONG;
        return -1;
    }
    memcpy(name, left->text + skip, len);
    name[len] = '\0';
    const char *rest = left->text + skip + len + behind;
    *slash = behind > 0;
    *last = *rest == '\0';
    memmove(left->text, rest, strlen(rest) + 1);
    return (ssize_t)len;
}

/* Up to the last name; "." when the path ends in a directory that has been reached already. */
static int walk_to_last(walk *w, char name[NAME_MAX + 1], bool *slash)
{
    for (;;) {
        bool last = false;
        ssize_t len = take_name(&w->left, name, &last, slash);
        if (len < 0) {
            return -1;
        }
        bool up = strcmp(name, "..") == 0;
        bool stay = len == 0 || up || strcmp(name, ".") == 0;
        if (up && go_up(w) != 0) {
            return -1;
        }
        if (stay && last) {
            memcpy(name, ".", 2);
            return 0;
        }
        if (!stay && last) {
            return 0;
        }
        if (!stay && step(w, name) != 0) {
            return -1;
        }
    }
}

/* The last name is opened, unless it turns out to be a link that must be followed: then *again. */
static int open_last(walk *w, const char *name, bool slash, int flags, mode_t mode, bool *again)
{
    struct stat st;
    bool follows = !(flags & O_NOFOLLOW) && (flags & (O_CREAT | O_EXCL)) != (O_CREAT | O_EXCL);
    *again = false;
    if (follows || slash) {
        (void)snprintf(w->left.text, sizeof(w->left.text), "%s", slash ? "/" : "");
        int is_link = follow_if_link(w, w->cur, name);
        if (is_link != 0) {
            *again = is_link > 0;
            return -1;
        }
    }
    if (slash && (flags & O_CREAT)) {
        errno = EISDIR;
        return -1;
    }
    int fd = openat(w->cur, name, flags | O_NOFOLLOW | (slash ? O_DIRECTORY : 0), mode);
    bool swapped = fd < 0 && errno == ELOOP && follows;
    if (fd >= 0 && (flags & O_PATH) && follows && fstat(fd, &st) == 0 && S_ISLNK(st.st_mode)) {
        nc_fd_close(&fd);
        swapped = true;
    }
    if (swapped) {
        (void)snprintf(w->left.text, sizeof(w->left.text), "%s%s", name, slash ? "/" : "");
        *again = true;
    }
    return fd;
}

static int open_by_walk(const nc_beneath *b, const char *path, int flags, mode_t mode)
{
    walk w;
    char name[NAME_MAX + 1];
    bool slash = false, again = true;
    int fd = -1;
    int rc = walk_begin(&w, b, path);
    for (int turns = 0; rc == 0 && again; turns++) {
        rc = walk_to_last(&w, name, &slash);
        if (rc == 0) {
            fd = open_last(&w, name, slash, flags, mode, &again);
        }
        if (rc == 0 && again && turns >= SWAPPED_MAX) {
            errno = ELOOP;
            break;
        }
    }
    walk_end(&w);
    return rc == 0 ? fd : -1;
}

/* ---- what others call ---- */

int nc_beneath_init(nc_beneath *b, const char *directory)
{
    b->top = open(directory, O_PATH | O_DIRECTORY | O_CLOEXEC);
    b->walk = false;
    if (b->top < 0) {
        return -1;
    }
    /* Old kernels have no such call, and some filters of calls say EPERM. */
    int probe = open_by_kernel(b, ".", O_PATH | O_DIRECTORY | O_CLOEXEC, 0);
    b->walk = probe < 0;
    nc_fd_close(&probe);
    return 0;
}

void nc_beneath_end(nc_beneath *b)
{
    nc_fd_close(&b->top);
}

int nc_beneath_open(const nc_beneath *b, const char *path, int flags, mode_t mode)
{
    flags |= O_CLOEXEC;
    if (!b->walk) {
        int fd = open_by_kernel(b, path, flags, mode);
        if (fd >= 0 || errno != EAGAIN) {
            return fd;
        }
    }
    return open_by_walk(b, path, flags, mode);
}

static int parent_by_walk(const nc_beneath *b, const char *path, char name[NAME_MAX + 1],
                          bool *slash)
{
    walk w;
    int fd = -1;
    if (walk_begin(&w, b, path) == 0 && walk_to_last(&w, name, slash) == 0) {
        fd = w.cur;
        w.cur = -1;
    }
    walk_end(&w);
    return fd;
}

/* Cuts the last name off; false: the whole path is the directory (its name then ".", ".." or none). */
static bool cut_last_name(nc_path *p, char name[NAME_MAX + 1], bool *slash)
{
    size_t end = strlen(p->text);
    *slash = false;
    while (end > 0 && p->text[end - 1] == '/') {
        end--;
        *slash = true;
    }
    size_t begin = end;
    while (begin > 0 && p->text[begin - 1] != '/') {
        begin--;
    }
    const char *last = p->text + begin;
    size_t len = end - begin;
    bool dots = (len == 1 && last[0] == '.') || (len == 2 && last[0] == '.' && last[1] == '.');
    if (len == 0 || dots || len > NAME_MAX) {
        return false;
    }
    memcpy(name, last, len);
    name[len] = '\0';
    p->text[begin] = '\0';
    return true;
}

int nc_beneath_parent(const nc_beneath *b, const char *path, char name[NAME_MAX + 1], bool *slash)
{
    nc_path p;
    nacre_span all = {(const uint8_t *)path, strlen(path)};
    if (b->walk) {
        return parent_by_walk(b, path, name, slash);
    }
    if (all.n == 0 || nc_path_copy(&p, all) != 0) {
        errno = all.n == 0 ? ENOENT : ENAMETOOLONG;
        return -1;
    }
    if (!cut_last_name(&p, name, slash)) {
        memcpy(name, ".", 2);
    }
    const char *directory = p.text[0] ? p.text : ".";
    int fd = open_by_kernel(b, directory, O_PATH | O_DIRECTORY | O_CLOEXEC, 0);
    return fd < 0 && errno == EAGAIN ? parent_by_walk(b, path, name, slash) : fd;
}

int nc_beneath_real(const nc_beneath *b, const char *path, nc_path *out)
{
    walk w;
    char name[NAME_MAX + 1];
    bool slash = false;
    int is_link = 1;
    int rc = walk_begin(&w, b, path);
    while (rc == 0 && is_link == 1) {
        rc = walk_to_last(&w, name, &slash);
        is_link = rc == 0 ? follow_if_link(&w, w.cur, name) : -1;
    }
    walk_end(&w);
    if (rc != 0 || is_link < 0 || (strcmp(name, ".") != 0 && append(&w.done, name) != 0)) {
        return -1;
    }
    if (w.done.text[0] == '\0') {
        memcpy(w.done.text, "/", 2);
    }
    *out = w.done;
    return 0;
}
