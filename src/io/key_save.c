/*
 * key_save.c - key files written so that nobody else can read them at any moment, and that what was
 * there stays whole until the new file is: made under another name with mode 0600 and O_EXCL, flushed
 * to the disk, then given its name (CVE-2022-24302 is what happens when the mode comes last).
 */
#include "base/buf.h"
#include "base/error.h"
#include "keys/key.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

enum { NAME_TRIES = 100, SECRET_MODE = 0600, PUBLIC_MODE = 0644 };

typedef struct saving {
    char path[PATH_MAX];
    char temporary[PATH_MAX + 16]; /* "": none is there */
    bool replace;
    nacre_error *err;
} saving;

static int os_fail(const saving *s, const char *what)
{
    int number = errno;
    nc_fail(s->err, NACRE_IO, "%s: %s: %s", NC_ESC(nc_span_cstr(s->path)), what, strerror(number));
    if (s->err && s->err->status == NACRE_IO && s->err->detail == 0) {
        s->err->detail = (uint32_t)number;
    }
    return NACRE_IO;
}

static int exists(const saving *s)
{
    return nc_fail(s->err, NACRE_EXISTS, "%s: exists already and is not replaced",
                   NC_ESC(nc_span_cstr(s->path)));
}

static int make_temporary(saving *s)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyz0123456789";
    for (int i = 0; i < NAME_TRIES; i++) {
        uint8_t bytes[8];
        char tail[sizeof(bytes) + 1] = "";
        if (getrandom(bytes, sizeof(bytes), 0) != (ssize_t)sizeof(bytes)) {
            break;
        }
        for (size_t j = 0; j < sizeof(bytes); j++) {
            tail[j] = letters[bytes[j] % (sizeof(letters) - 1)];
        }
        (void)snprintf(s->temporary, sizeof(s->temporary), "%s.%s", s->path, tail);
        int fd =
            open(s->temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, SECRET_MODE);
        if (fd >= 0) {
            return fd;
        }
        if (errno != EEXIST) {
            break;
        }
    }
    s->temporary[0] = '\0';
    return -1;
}

static int write_all(int fd, nacre_span s)
{
    while (s.n) {
        ssize_t n = write(fd, s.p, s.n);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            errno = n == 0 ? ENOSPC : errno;
            return -1;
        }
        s = nc_span(s.p + n, s.n - (size_t)n);
    }
    return 0;
}

/* The mode is set on the open file, whatever the umask; a key's was 0600 from the beginning. */
static int write_temporary(saving *s, nacre_span bytes, mode_t mode)
{
    int fd = make_temporary(s);
    if (fd < 0) {
        return os_fail(s, "no file can be made beside it");
    }
    int rc = NACRE_OK;
    if (write_all(fd, bytes) != 0 || fchmod(fd, mode) != 0 || fsync(fd) != 0) {
        rc = os_fail(s, "cannot be written");
    }
    if (close(fd) != 0 && rc == NACRE_OK) {
        rc = os_fail(s, "cannot be written");
    }
    return rc;
}

/* Best effort: some file systems cannot, and then the rename is as lasting as they make it. */
static void flush_directory(const saving *s)
{
    char dir[PATH_MAX];
    const char *slash = strrchr(s->path, '/');
    size_t n = slash ? (size_t)(slash - s->path) + 1 : 0;
    memcpy(dir, slash ? s->path : ".", slash ? n : 1);
    dir[slash ? n : 1] = '\0';
    int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd >= 0) {
        (void)fsync(fd);
        close(fd);
    }
}

/* A link says whether the name was free, where a rename would not ask. */
static int publish(saving *s)
{
    if (s->replace) {
        if (rename(s->temporary, s->path) != 0) {
            return os_fail(s, "cannot be replaced");
        }
        s->temporary[0] = '\0';
    } else if (link(s->temporary, s->path) != 0 && errno == EEXIST) {
        return exists(s);
    } else if (access(s->path, F_OK) != 0) {
        /* no hard links on this file system: it is free, so far as one can tell */
        if (rename(s->temporary, s->path) != 0) {
            return os_fail(s, "cannot be given its name");
        }
        s->temporary[0] = '\0';
    }
    return NACRE_OK;
}

static int save_one(const char *path, const char *suffix, nacre_span bytes, mode_t mode,
                    bool replace, nacre_error *err)
{
    saving s;
    memset(&s, 0, sizeof(s));
    s.err = err;
    s.replace = replace;
    int n = snprintf(s.path, sizeof(s.path), "%s%s", path, suffix);
    if (n < 0 || (size_t)n >= sizeof(s.path)) {
        errno = ENAMETOOLONG;
        return os_fail(&s, "cannot be written");
    }
    struct stat st;
    bool there = lstat(s.path, &st) == 0;
    if (there && !replace) {
        return exists(&s);
    }
    if (there && !S_ISREG(st.st_mode) && !S_ISLNK(st.st_mode)) {
        return nc_fail(err, NACRE_IO, "%s: is not a regular file and is not replaced",
                       NC_ESC(nc_span_cstr(s.path)));
    }
    int rc = write_temporary(&s, bytes, mode);
    rc = rc == NACRE_OK ? publish(&s) : rc;
    if (s.temporary[0]) {
        unlink(s.temporary);
    }
    if (rc == NACRE_OK) {
        flush_directory(&s);
    }
    return rc;
}

/* Before the private file is made: one without the other would be half a key. */
static int check_public(const char *path, unsigned flags, nacre_error *err)
{
    saving s;
    struct stat st;
    memset(&s, 0, sizeof(s));
    s.err = err;
    int n = snprintf(s.path, sizeof(s.path), "%s.pub", path);
    bool there = n > 0 && (size_t)n < sizeof(s.path) && lstat(s.path, &st) == 0;
    return there && !(flags & NACRE_SAVE_REPLACE) ? exists(&s) : NACRE_OK;
}

static bool is_public(nacre_key_format format)
{
    return format >= NACRE_FORMAT_LINE;
}

static int save_as(const nacre_key *k, const char *path, const char *suffix,
                   const nacre_key_format_options *o, unsigned flags, nacre_error *err)
{
    char *text = NULL;
    size_t n = 0;
    mode_t mode = is_public(o->format) ? PUBLIC_MODE : SECRET_MODE;
    int rc = nacre_key_write(k, o, &text, &n, err);
    if (rc == NACRE_OK) {
        rc = save_one(path, suffix, nc_span(text, n), mode, flags & NACRE_SAVE_REPLACE, err);
    }
    nacre_secret_free(nc_key_allocator(k), text, n);
    return rc;
}

int nacre_key_save_file(const nacre_key *k, const char *path, const nacre_key_format_options *o,
                        unsigned flags, nacre_error *err)
{
    nacre_key_format_options how, line;
    nacre_key_format_options_init(&how, NACRE_FORMAT_OPENSSH);
    if (o) {
        memcpy(&how, o, o->size < sizeof(how) ? o->size : sizeof(how));
    }
    nacre_key_format_options_init(&line, NACRE_FORMAT_LINE);
    line.comment = how.comment;
    bool beside = !is_public(how.format) && !(flags & NACRE_SAVE_NO_PUBLIC);
    nc_error_clear(err);
    int rc = beside ? check_public(path, flags, err) : NACRE_OK;
    if (rc == NACRE_OK) {
        rc = save_as(k, path, "", &how, flags, err);
    }
    if (rc == NACRE_OK && beside) {
        rc = save_as(k, path, ".pub", &line, flags, err);
    }
    return rc;
}
