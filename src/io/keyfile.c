/*
 * keyfile.c - key files and known_hosts on disk: reading with a cap and a permission check, and
 * adding a line to known_hosts so that the file is whole at any moment.
 *
 * What stands in the files is src/keys' business.
 */
#include "base/buf.h"
#include "base/error.h"
#include "nacre/key.h"
#include "nacre/known_hosts.h"

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
    MAX_KEY_FILE = 1024 * 1024,
    MAX_HOSTS_FILE = 16 * 1024 * 1024,
    LOCK_TRIES = 500, /* of 20 ms: another writer needs milliseconds, a dead one holds no lock */
    WRITE_TRIES = 20, /* how often others may change the file while we copy it */
    NAME_TRIES = 100
};

static int os_fail(nacre_error *err, const char *path, const char *what)
{
    int number = errno;
    int status = number == ENOENT ? NACRE_NOT_FOUND : NACRE_IO;
    nc_fail(err, status, "%s: %s: %s", NC_ESC(nc_span_cstr(path)), what, strerror(number));
    if (err && err->detail == 0) {
        err->detail = (uint32_t)number;
    }
    return status;
}

static int read_all(int fd, const char *path, nc_buf *out, nacre_error *err)
{
    for (;;) {
        uint8_t piece[16384];
        ssize_t n = read(fd, piece, sizeof(piece));
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0) {
            nc_wipe(piece, sizeof(piece));
            return os_fail(err, path, "cannot be read");
        }
        int rc = n ? nc_buf_append(out, piece, (size_t)n) : NACRE_OK;
        nc_wipe(piece, sizeof(piece));
        if (rc == NACRE_LIMIT) {
            return nc_fail(err, NACRE_TOO_LARGE, "%s: larger than %zu bytes",
                           NC_ESC(nc_span_cstr(path)), out->max);
        }
        if (rc != NACRE_OK) {
            return nc_fail(err, rc, "%s: %s", NC_ESC(nc_span_cstr(path)), nacre_status_text(rc));
        }
        if (n == 0) {
            return NACRE_OK;
        }
    }
}

/* ---- private keys ---------------------------------------------------------------------------- */

/*
 * Others' files are the business of those others: ssh too looks only at what belongs to the user.
 */
static int check_mode(const struct stat *st, const char *path, nacre_error *err)
{
    if (st->st_uid != geteuid() || (st->st_mode & 077) == 0) {
        return NACRE_OK;
    }
    return nc_fail(err, NACRE_KEY_PERMISSIONS,
                   "%s: its mode is %04o, so others may use this private key; it is not read until "
                   "you say: chmod 600 %s",
                   NC_ESC(nc_span_cstr(path)), (unsigned)(st->st_mode & 07777),
                   NC_ESC(nc_span_cstr(path)));
}

int nacre_key_from_file(nacre_key **out, const nacre_allocator *a, const char *path,
                        nacre_span passphrase, bool strict, nacre_error *err)
{
    *out = NULL;
    nc_error_clear(err);
    nc_buf text;
    nc_buf_init(&text, a, MAX_KEY_FILE);
    /* Not blocking: a FIFO with no writer must not hang us. */
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (fd < 0) {
        int number = errno;
        os_fail(err, path, "cannot be opened");
        if (err) {
            err->status = NACRE_IO;
            err->detail = (uint32_t)number;
        }
        return NACRE_IO;
    }
    struct stat st;
    int rc = fstat(fd, &st) == 0 ? NACRE_OK : os_fail(err, path, "cannot be examined");
    if (rc == NACRE_OK && S_ISDIR(st.st_mode)) {
        rc = nc_fail(err, NACRE_IO, "%s: is a directory", NC_ESC(nc_span_cstr(path)));
    }
    if (rc == NACRE_OK && strict) {
        rc = check_mode(&st, path, err);
    }
    /* Back to blocking: a key may come through a pipe, as in <(pass show key). */
    if (rc == NACRE_OK && fcntl(fd, F_SETFL, 0) < 0) {
        rc = os_fail(err, path, "cannot be read");
    }
    if (rc == NACRE_OK) {
        rc = read_all(fd, path, &text, err);
    }
    close(fd);
    if (rc == NACRE_OK) {
        nacre_error inner;
        rc = nacre_key_from_private(out, a, nc_buf_span(&text), passphrase, &inner);
        if (rc != NACRE_OK) {
            nc_fail(err, rc, "%s: %s", NC_ESC(nc_span_cstr(path)), inner.text);
        }
    }
    nc_buf_clear(&text);
    return rc;
}

/* ---- known_hosts, reading -------------------------------------------------------------------- */

int nacre_known_hosts_add_file(nacre_known_hosts *h, const char *path, nacre_error *err)
{
    nc_error_clear(err);
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    if (fd < 0) {
        return os_fail(err, path, "cannot be opened");
    }
    nc_buf text;
    nc_buf_init(&text, NULL, MAX_HOSTS_FILE);
    int rc = read_all(fd, path, &text, err);
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

/* ---- known_hosts, adding a line -------------------------------------------------------------- */

typedef struct append_job {
    const char *path;      /* as the caller named it; for messages */
    char target[PATH_MAX]; /* what is replaced: symbolic links are followed first */
    char dir[PATH_MAX];
    char temp[PATH_MAX + 64];
    nc_buf line;
    nacre_error *err;
} append_job;

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

static int name_too_long(append_job *j)
{
    return nc_fail(j->err, NACRE_IO, "%s: the name is too long", NC_ESC(nc_span_cstr(j->path)));
}

/*
 * A known_hosts that is a link (dotfile managers make such) stays one: its target is replaced. A
 * link to nothing is followed as well, one step, since realpath cannot.
 */
static int find_target(append_job *j)
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

static int make_directory(append_job *j)
{
    struct stat st;
    if (stat(j->dir, &st) == 0 || mkdir(j->dir, 0700) == 0 || errno == EEXIST) {
        return NACRE_OK;
    }
    os_fail(j->err, j->dir, "the directory cannot be made");
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
static int lock_directory(append_job *j, int *fd)
{
    *fd = open(j->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (*fd < 0) {
        os_fail(j->err, j->dir, "the directory cannot be opened");
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
static int read_old(append_job *j, nc_buf *old, struct stat *st)
{
    memset(st, 0, sizeof(*st));
    int fd = open(j->target, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    if (fd < 0 && errno == ENOENT) {
        return NACRE_OK;
    }
    if (fd < 0) {
        return os_fail(j->err, j->path, "cannot be opened");
    }
    int rc = fstat(fd, st) == 0 ? NACRE_OK : os_fail(j->err, j->path, "cannot be examined");
    if (rc == NACRE_OK && !S_ISREG(st->st_mode)) {
        rc = nc_fail(j->err, NACRE_IO, "%s: is not a regular file", NC_ESC(nc_span_cstr(j->path)));
    }
    if (rc == NACRE_OK) {
        rc = read_all(fd, j->path, old, j->err);
    }
    close(fd);
    return rc;
}

/* Whether the file is still the one that was read: an ssh beside us may have appended to it. */
static bool still_same(const append_job *j, const struct stat *was)
{
    struct stat now;
    if (stat(j->target, &now) != 0) {
        return errno == ENOENT && was->st_nlink == 0;
    }
    return now.st_dev == was->st_dev && now.st_ino == was->st_ino && now.st_size == was->st_size &&
           now.st_mtim.tv_sec == was->st_mtim.tv_sec && now.st_mtim.tv_nsec == was->st_mtim.tv_nsec;
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

/* Opens a new file beside the target; O_EXCL, so that nobody can have put it there for us. */
static int open_temp(append_job *j)
{
    for (unsigned i = 0; i < NAME_TRIES; i++) {
        int n = snprintf(j->temp, sizeof(j->temp), "%s.%ld.%u.tmp", j->target, (long)getpid(), i);
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

static int write_temp(append_job *j, nacre_span old, const struct stat *st)
{
    int fd = open_temp(j);
    if (fd < 0) {
        j->temp[0] = '\0';
        os_fail(j->err, j->path, "no temporary file can be made beside it");
        return NACRE_IO;
    }
    bool newline_missing = old.n && old.p[old.n - 1] != '\n';
    int bad = write_all(fd, old);
    if (!bad && newline_missing) {
        bad = write_all(fd, nc_span("\n", 1));
    }
    if (!bad) {
        bad = write_all(fd, nc_buf_span(&j->line));
    }
    if (!bad && st->st_nlink) {
        /* Ownership first (root writing for a user), because chown may clear mode bits. */
        bool other = st->st_uid != geteuid() || st->st_gid != getegid();
        bad = other && geteuid() == 0 ? fchown(fd, st->st_uid, st->st_gid) : 0;
        bad = bad ? bad : fchmod(fd, st->st_mode & 0777);
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
    os_fail(j->err, j->path, "the new version cannot be written");
    return NACRE_IO;
}

/* One attempt. NACRE_AGAIN: somebody else changed the file meanwhile. */
static int try_append(append_job *j, int dir_fd)
{
    struct stat st;
    nc_buf old;
    nc_buf_init(&old, NULL, MAX_HOSTS_FILE);
    j->temp[0] = '\0';
    int rc = read_old(j, &old, &st);
    if (rc == NACRE_OK) {
        rc = write_temp(j, nc_buf_span(&old), &st);
    }
    if (rc == NACRE_OK && !still_same(j, &st)) {
        rc = NACRE_AGAIN;
    }
    if (rc == NACRE_OK && rename(j->temp, j->target) != 0) {
        os_fail(j->err, j->path, "cannot be replaced");
        rc = NACRE_IO;
    }
    if (rc == NACRE_OK) {
        (void)fsync(dir_fd); /* the rename itself; some file systems cannot, and nothing is lost */
    } else if (j->temp[0]) {
        unlink(j->temp);
    }
    nc_buf_clear(&old);
    return rc;
}

static int make_line(append_job *j, const char *host, uint16_t port, const nacre_key *key,
                     bool hash)
{
    size_t room = nacre_key_blob(key).n * 2 + strlen(host) + 256;
    nc_buf_init(&j->line, NULL, room);
    uint8_t *p = nc_buf_extend(&j->line, room);
    if (!p) {
        return nc_fail(j->err, NACRE_NO_MEMORY, "out of memory");
    }
    int rc = nacre_known_hosts_add(NULL, host, port, key, hash, (char *)p, room);
    if (rc < 0) {
        return nc_fail(j->err, rc, "no known_hosts line can be made for host %s: %s",
                       NC_ESC(nc_span_cstr(host)), nacre_status_text(rc));
    }
    nc_buf_truncate(&j->line, (size_t)rc);
    return NACRE_OK;
}

static bool is_device(const append_job *j)
{
    struct stat st;
    return stat(j->target, &st) == 0 && S_ISCHR(st.st_mode);
}

/* /dev/null, by which people say that nothing is to be remembered: it is never replaced. */
static int append_device(append_job *j)
{
    int fd = open(j->target, O_WRONLY | O_APPEND | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (fd < 0) {
        os_fail(j->err, j->path, "cannot be opened for writing");
        return NACRE_IO;
    }
    int bad = write_all(fd, nc_buf_span(&j->line));
    if (bad) {
        os_fail(j->err, j->path, "cannot be written");
    }
    close(fd);
    return bad ? NACRE_IO : NACRE_OK;
}

static int append_line(append_job *j)
{
    int dir_fd = -1;
    int rc = find_target(j);
    if (rc == NACRE_OK && is_device(j)) {
        return append_device(j);
    }
    if (rc == NACRE_OK) {
        rc = make_directory(j);
    }
    if (rc == NACRE_OK) {
        rc = lock_directory(j, &dir_fd);
    }
    if (rc == NACRE_OK) {
        rc = NACRE_AGAIN;
    }
    for (int i = 0; rc == NACRE_AGAIN && i < WRITE_TRIES; i++) {
        rc = try_append(j, dir_fd);
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

int nacre_known_hosts_append_file(const char *path, const char *host, uint16_t port,
                                  const nacre_key *key, bool hash, nacre_error *err)
{
    nc_error_clear(err);
    append_job *j = nc_zalloc(NULL, sizeof(*j));
    if (!j) {
        return nc_fail(err, NACRE_NO_MEMORY, "out of memory");
    }
    j->path = path;
    j->err = err;
    int rc = make_line(j, host, port, key, hash);
    if (rc == NACRE_OK) {
        rc = append_line(j);
    }
    nc_buf_clear(&j->line);
    nc_free(NULL, j);
    return rc;
}
