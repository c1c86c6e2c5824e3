/*
 * known_hosts_file.c - known_hosts on disk: read with a cap, and changed so that the file is whole at any
 * moment, whoever else writes it.
 *
 * What the lines mean is src/keys' business; so is what an edit does to them.
 */
#include "io/known_hosts_file.h"
#include "base/buf.h"
#include "base/error.h"
#include "io/text_file.h"
#include "keys/known_hosts.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum {
    LOCK_TRIES = 500, /* of 20 ms: another writer needs milliseconds, a dead one holds no lock */
    WRITE_TRIES = 20, /* how often others may change the file while we copy it */
    NAME_TRIES = 100
};

/* ---- reading -------------------------------------------------------------------- */

int nacre_known_hosts_add_file(nacre_known_hosts *h, const char *path, nacre_error *err)
{
    nc_error_clear(err);
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    if (fd < 0) {
        return nc_text_file_fail(err, path, "cannot be opened");
    }
    nc_buf text;
    nc_buf_init(&text, NULL, NC_HOSTS_MAX_TEXT);
    int rc = nc_text_file_read_fd(fd, path, &text, err);
    close(fd);
    if (rc == NACRE_OK) {
        rc = nacre_known_hosts_add_text(h, nc_buf_span(&text), path);
        if (rc != NACRE_OK) {
            nc_fail(err, rc, "%s: %s", NC_ESC(nc_span_cstr(path)), nacre_status_text(rc));
        }
    }
    nc_buf_clear(&text);
    return rc;
}

/* ---- changing a file ------------------------------------------------------------------------- */

typedef struct hosts_job {
    const char *path;      /* as the caller named it; for messages */
    char target[PATH_MAX]; /* what is replaced: symbolic links are followed first */
    char dir[PATH_MAX];
    char temp[PATH_MAX + 64];
    nacre_hosts_edit_fn edit;
    void *user;
    unsigned flags;
    nacre_error *err;
} hosts_job;

/* Splits off the directory of a path; "." when it has none. */
static bool directory_of(const char *path, char *dir, size_t size)
{
    const char *slash = strrchr(path, '/');
    size_t n = slash ? (size_t)(slash - path) : 0;
    if (slash && n == 0) {
        n = 1; /* the root itself */
    }
    if (n >= size) {
        return false;
    }
    memcpy(dir, slash ? path : ".", slash ? n : 1);
    dir[slash ? n : 1] = '\0';
    return true;
}

static int name_too_long(hosts_job *j)
{
    return nc_fail(j->err, NACRE_IO, "%s: the name is too long", NC_ESC(nc_span_cstr(j->path)));
}

/*
 * A known_hosts that is a link (dotfile managers make such) stays one: its target is replaced. A
 * link to nothing is followed as well, one step, since realpath cannot.
 */
static int find_target(hosts_job *j)
{
    char link[PATH_MAX];
    int written = 0;
    if (!realpath(j->path, j->target)) { /* target has the PATH_MAX bytes that it asks for */
        ssize_t n = readlink(j->path, link, sizeof(link) - 1);
        link[n > 0 ? n : 0] = '\0';
        if (!directory_of(j->path, j->dir, sizeof(j->dir))) {
            return name_too_long(j);
        }
        bool relative = n > 0 && link[0] != '/';
        written = relative ? snprintf(j->target, sizeof(j->target), "%s/%s", j->dir, link)
                           : snprintf(j->target, sizeof(j->target), "%s", n > 0 ? link : j->path);
    }
    if (written < 0 || (size_t)written >= sizeof(j->target) ||
        !directory_of(j->target, j->dir, sizeof(j->dir))) {
        return name_too_long(j);
    }
    return NACRE_OK;
}

static int make_directory(hosts_job *j)
{
    struct stat st;
    if (stat(j->dir, &st) == 0 || mkdir(j->dir, 0700) == 0 || errno == EEXIST) {
        return NACRE_OK;
    }
    nc_text_file_fail(j->err, j->dir, "the directory cannot be made");
    return NACRE_IO;
}

static void pause_ms(long ms)
{
    struct timespec t = {0, ms * 1000000L};
    nanosleep(&t, NULL);
}

/*
 * The lock lies on the directory, since the file itself is replaced. Where file systems have no
 * such locks, or when a writer never ends, the comparison before the rename still protects the
 * lines.
 */
static int lock_directory(hosts_job *j, int *fd)
{
    *fd = open(j->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (*fd < 0) {
        nc_text_file_fail(j->err, j->dir, "the directory cannot be opened");
        return NACRE_IO;
    }
    for (int i = 0; i < LOCK_TRIES; i++) {
        if (flock(*fd, LOCK_EX | LOCK_NB) == 0 || (errno != EWOULDBLOCK && errno != EINTR)) {
            return NACRE_OK;
        }
        pause_ms(20);
    }
    return NACRE_OK;
}

/* The old file's bytes and its identity; a missing file is an empty one. */
static int read_old(hosts_job *j, nc_buf *old, struct stat *st)
{
    memset(st, 0, sizeof(*st));
    int fd = open(j->target, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    if (fd < 0 && errno == ENOENT) {
        return NACRE_OK;
    }
    if (fd < 0) {
        return nc_text_file_fail(j->err, j->path, "cannot be opened");
    }
    int rc =
        fstat(fd, st) == 0 ? NACRE_OK : nc_text_file_fail(j->err, j->path, "cannot be examined");
    if (rc == NACRE_OK && !S_ISREG(st->st_mode)) {
        rc = nc_fail(j->err, NACRE_IO, "%s: is not a regular file", NC_ESC(nc_span_cstr(j->path)));
    }
    if (rc == NACRE_OK) {
        rc = nc_text_file_read_fd(fd, j->path, old, j->err);
    }
    close(fd);
    return rc;
}

/*
 * Whether the file is still what was read: an ssh beside us may have appended to it. Its bytes are compared,
 * because two writes within one tick of the clock leave the same times.
 */
static bool still_same(hosts_job *j, nacre_span old, const struct stat *was)
{
    struct stat now;
    nc_buf text;
    nc_buf_init(&text, NULL, NC_HOSTS_MAX_TEXT);
    bool same = read_old(j, &text, &now) == NACRE_OK && now.st_nlink == was->st_nlink &&
                now.st_ino == was->st_ino && now.st_dev == was->st_dev &&
                nc_span_eq(nc_buf_span(&text), old);
    nc_buf_clear(&text);
    nc_error_clear(j->err);
    return same;
}

static int write_all(int fd, nacre_span s)
{
    while (s.n) {
        ssize_t n = write(fd, s.p, s.n);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            return -1;
        }
        s = nc_span(s.p + n, s.n - (size_t)n);
    }
    return 0;
}

/* Opens a new file beside base; O_EXCL, so that nobody can have put it there for us. */
static int open_temp(hosts_job *j, const char *base)
{
    for (unsigned i = 0; i < NAME_TRIES; i++) {
        int n = snprintf(j->temp, sizeof(j->temp), "%s.%ld.%u.tmp", base, (long)getpid(), i);
        if (n < 0 || (size_t)n >= sizeof(j->temp)) {
            errno = ENAMETOOLONG;
            return -1;
        }
        int fd = open(j->temp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
        if (fd >= 0 || errno != EEXIST) {
            return fd;
        }
    }
    return -1;
}

static int set_owner_and_mode(int fd, const struct stat *st)
{
    if (!st->st_nlink) {
        return 0;
    }
    /* Ownership first (root writing for a user), because chown may clear mode bits. */
    bool other = st->st_uid != geteuid() || st->st_gid != getegid();
    int bad = other && geteuid() == 0 ? fchown(fd, st->st_uid, st->st_gid) : 0;
    return bad ? bad : fchmod(fd, st->st_mode & 0777);
}

/* Text under a temporary name beside base, safe on the disk. st: whose mode and owner it gets. */
static int write_temp(hosts_job *j, const char *base, nacre_span text, const struct stat *st)
{
    int fd = open_temp(j, base);
    if (fd < 0) {
        j->temp[0] = '\0';
        nc_text_file_fail(j->err, j->path, "no temporary file can be made beside it");
        return NACRE_IO;
    }
    int bad = write_all(fd, text);
    if (!bad) {
        bad = set_owner_and_mode(fd, st);
    }
    if (!bad) {
        bad = fsync(fd);
    }
    int number = errno;
    bad = close(fd) != 0 && !bad ? -1 : bad;
    if (!bad) {
        return NACRE_OK;
    }
    errno = number ? number : EIO;
    nc_text_file_fail(j->err, j->path, "the new version cannot be written");
    return NACRE_IO;
}

/* <path>.old: beside the name that was given, where ssh-keygen's users look for it. */
static int keep_backup(hosts_job *j, nacre_span old, const struct stat *st)
{
    char name[PATH_MAX];
    int n = snprintf(name, sizeof(name), "%s.old", j->path);
    if (n < 0 || (size_t)n >= sizeof(name)) {
        return name_too_long(j);
    }
    int rc = write_temp(j, name, old, st);
    if (rc == NACRE_OK && rename(j->temp, name) != 0) {
        nc_text_file_fail(j->err, name, "cannot be replaced");
        rc = NACRE_IO;
    }
    if (rc != NACRE_OK && j->temp[0]) {
        unlink(j->temp);
    }
    j->temp[0] = '\0';
    return rc;
}

static int put_in_place(hosts_job *j, nacre_span old, nacre_span text, const struct stat *st)
{
    int rc = write_temp(j, j->target, text, st);
    if (rc == NACRE_OK && !still_same(j, old, st)) {
        rc = NACRE_AGAIN;
    }
    if (rc == NACRE_OK && rename(j->temp, j->target) != 0) {
        nc_text_file_fail(j->err, j->path, "cannot be replaced");
        rc = NACRE_IO;
    }
    if (rc != NACRE_OK && j->temp[0]) {
        unlink(j->temp);
    }
    return rc;
}

static int fail_plain(hosts_job *j, int rc)
{
    if (rc == NACRE_OK || (j->err && j->err->status)) {
        return rc;
    }
    return nc_fail(j->err, rc, "%s: %s", NC_ESC(nc_span_cstr(j->path)), nacre_status_text(rc));
}

/* The text after the edit; owned (by the C library's allocator). */
static int edit_text(hosts_job *j, nacre_span old, uint8_t **text, size_t *n)
{
    nacre_known_hosts *h = NULL;
    int rc = nacre_known_hosts_new(&h, NULL);
    if (rc == NACRE_OK) {
        rc = nacre_known_hosts_add_text(h, old, j->path);
    }
    if (rc == NACRE_OK) {
        rc = j->edit(j->user, h);
    }
    if (rc == NACRE_OK) {
        rc = nacre_known_hosts_text(h, NULL, text, n);
    }
    nacre_known_hosts_free(h);
    return fail_plain(j, rc);
}

/* One attempt. NACRE_AGAIN: somebody else changed the file meanwhile. */
static int try_edit(hosts_job *j, int dir_fd)
{
    struct stat st;
    nc_buf old;
    uint8_t *text = NULL;
    size_t n = 0;
    nc_buf_init(&old, NULL, NC_HOSTS_MAX_TEXT);
    j->temp[0] = '\0';
    int rc = read_old(j, &old, &st);
    if (rc == NACRE_OK && !st.st_nlink && (j->flags & NACRE_HOSTS_MUST_EXIST)) {
        rc = nc_fail(j->err, NACRE_NOT_FOUND, "%s: there is no such file",
                     NC_ESC(nc_span_cstr(j->path)));
    }
    if (rc == NACRE_OK) {
        rc = edit_text(j, nc_buf_span(&old), &text, &n);
    }
    bool changed = rc == NACRE_OK && !nc_span_eq(nc_span(text, n), nc_buf_span(&old));
    if (changed && n > NC_HOSTS_MAX_TEXT) {
        /* It could not be read again. */
        rc = nc_fail(j->err, NACRE_TOO_LARGE, "%s: it would become larger than %d bytes",
                     NC_ESC(nc_span_cstr(j->path)), NC_HOSTS_MAX_TEXT);
    }
    if (rc == NACRE_OK && changed && st.st_nlink && (j->flags & NACRE_HOSTS_BACKUP)) {
        rc = keep_backup(j, nc_buf_span(&old), &st);
    }
    if (rc == NACRE_OK && changed) {
        rc = put_in_place(j, nc_buf_span(&old), nc_span(text, n), &st);
        (void)fsync(dir_fd); /* the rename itself; some file systems cannot, and nothing is lost */
    }
    nc_free(NULL, text);
    nc_buf_clear(&old);
    return rc;
}

static bool is_device(const hosts_job *j)
{
    struct stat st;
    return stat(j->target, &st) == 0 && S_ISCHR(st.st_mode);
}

static int run_job(hosts_job *j)
{
    int dir_fd = -1;
    int rc = make_directory(j);
    if (rc == NACRE_OK) {
        rc = lock_directory(j, &dir_fd);
    }
    if (rc == NACRE_OK) {
        rc = NACRE_AGAIN;
    }
    for (int i = 0; rc == NACRE_AGAIN && i < WRITE_TRIES; i++) {
        rc = try_edit(j, dir_fd);
        if (rc == NACRE_AGAIN) {
            pause_ms(10);
        }
    }
    if (rc == NACRE_AGAIN) {
        rc = nc_fail(j->err, NACRE_IO, "%s: other programs keep changing it; try again",
                     NC_ESC(nc_span_cstr(j->path)));
    }
    if (dir_fd >= 0) {
        close(dir_fd); /* gives the lock back */
    }
    return rc;
}

static int job_new(hosts_job **out, const char *path, nacre_hosts_edit_fn edit, void *user,
                   unsigned flags, nacre_error *err)
{
    nc_error_clear(err);
    hosts_job *j = nc_zalloc(NULL, sizeof(*j));
    *out = j;
    if (!j) {
        return nc_fail(err, NACRE_NO_MEMORY, "out of memory");
    }
    j->path = path;
    j->edit = edit;
    j->user = user;
    j->flags = flags;
    j->err = err;
    return find_target(j);
}

int nacre_known_hosts_update_file(const char *path, nacre_hosts_edit_fn edit, void *user,
                                  unsigned flags, nacre_error *err)
{
    hosts_job *j = NULL;
    int rc = job_new(&j, path, edit, user, flags, err);
    if (rc == NACRE_OK) {
        rc = run_job(j);
    }
    nc_free(NULL, j);
    return rc;
}

/* ---- adding lines ---------------------------------------------------------------------------- */

static int add_lines(void *user, nacre_known_hosts *h)
{
    const nacre_span *lines = user;
    return nacre_known_hosts_add_text(h, *lines, "");
}

/* /dev/null, by which people say that nothing is to be remembered: it is never replaced. */
static int write_device(hosts_job *j, nacre_span line)
{
    int fd = open(j->target, O_WRONLY | O_APPEND | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (fd < 0) {
        nc_text_file_fail(j->err, j->path, "cannot be opened for writing");
        return NACRE_IO;
    }
    int bad = write_all(fd, line);
    if (bad) {
        nc_text_file_fail(j->err, j->path, "cannot be written");
    }
    close(fd);
    return bad ? NACRE_IO : NACRE_OK;
}

int nc_known_hosts_append(const char *path, nacre_span lines, nacre_error *err)
{
    hosts_job *j = NULL;
    int rc = job_new(&j, path, add_lines, &lines, 0, err);
    if (rc == NACRE_OK) {
        rc = is_device(j) ? write_device(j, lines) : run_job(j);
    }
    nc_free(NULL, j);
    return rc;
}

int nacre_known_hosts_append_file(const char *path, const char *host, uint16_t port,
                                  const nacre_key *key, bool hash, nacre_error *err)
{
    nc_buf line;
    size_t room = nacre_key_blob(key).n * 2 + strlen(host) + 256;
    nc_error_clear(err);
    nc_buf_init(&line, NULL, room);
    uint8_t *p = nc_buf_extend(&line, room);
    int n =
        p ? nacre_known_hosts_add(NULL, host, port, key, hash, (char *)p, room) : NACRE_NO_MEMORY;
    int rc = n < 0 ? nc_fail(err, n, "no known_hosts line can be made for host %s: %s",
                             NC_ESC(nc_span_cstr(host)), nacre_status_text(n))
                   : nc_known_hosts_append(path, nc_span(p, (size_t)n), err);
    nc_buf_clear(&line);
    return rc;
}
