/*
 * text_file.c - reading small text files whole, and finding them.
 */
#include "io/text_file.h"

#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int os_fail(nacre_error *err, const char *path, int number)
{
    int status = number == ENOENT || number == ENOTDIR ? NACRE_NOT_FOUND : NACRE_IO;
    (void)nc_fail(err, status, "%s: %s", NC_ESC(nc_span_cstr(path)), strerror(number));
    if (err && err->detail == 0) {
        err->detail = (uint32_t)number;
    }
    return status;
}

static int read_all(int fd, const char *path, nc_buf *out, nacre_error *err)
{
    uint8_t piece[8192];
    int rc = NACRE_OK;
    while (rc == NACRE_OK) {
        ssize_t n = read(fd, piece, sizeof(piece));
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0) {
            rc = os_fail(err, path, errno);
        } else if (n == 0) {
            break;
        } else {
            rc = nc_buf_append(out, piece, (size_t)n);
            if (rc != NACRE_OK) {
                rc = nc_fail(err, rc == NACRE_LIMIT ? NACRE_TOO_LARGE : rc, "%s: %s",
                             NC_ESC(nc_span_cstr(path)),
                             rc == NACRE_LIMIT ? "the file is too large" : nacre_status_text(rc));
            }
        }
    }
    nc_wipe(piece, sizeof(piece));
    return rc;
}

static int check_owner(int fd, const char *path, nacre_error *err)
{
    struct stat st;
    if (fstat(fd, &st) != 0) {
        return os_fail(err, path, errno);
    }
    if ((st.st_uid != 0 && st.st_uid != getuid()) || (st.st_mode & 022) != 0) {
        return nc_fail(err, NACRE_KEY_PERMISSIONS,
                       "Bad owner or permissions on %s: others may write it, so it is not read",
                       NC_ESC(nc_span_cstr(path)));
    }
    return NACRE_OK;
}

static int read_file(const char *path, bool own, nc_buf *out, nacre_error *err)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    if (fd < 0) {
        return os_fail(err, path, errno);
    }
    int rc = own ? check_owner(fd, path, err) : NACRE_OK;
    if (rc == NACRE_OK) {
        rc = read_all(fd, path, out, err);
    }
    close(fd);
    return rc;
}

int nc_file_read(const char *path, nc_buf *out, nacre_error *err)
{
    return read_file(path, false, out, err);
}

int nc_file_read_own(const char *path, nc_buf *out, nacre_error *err)
{
    return read_file(path, true, out, err);
}

int nc_file_each(const char *pattern, int (*fn)(void *user, const char *path), void *user)
{
    glob_t found;
    int rc = glob(pattern, 0, NULL, &found);
    if (rc != 0) {
        return rc == GLOB_NOMATCH ? NACRE_OK : rc == GLOB_NOSPACE ? NACRE_NO_MEMORY : NACRE_IO;
    }
    rc = NACRE_OK;
    for (size_t i = 0; rc == NACRE_OK && i < found.gl_pathc; i++) {
        rc = fn(user, found.gl_pathv[i]);
    }
    globfree(&found);
    return rc;
}

int nc_text_file_fail(nacre_error *err, const char *path, const char *what)
{
    int number = errno;
    int status = number == ENOENT ? NACRE_NOT_FOUND : NACRE_IO;
    nc_fail(err, status, "%s: %s: %s", NC_ESC(nc_span_cstr(path)), what, strerror(number));
    if (err && err->detail == 0) {
        err->detail = (uint32_t)number;
    }
    return status;
}

int nc_text_file_read_fd(int fd, const char *path, nc_buf *out, nacre_error *err)
{
    for (;;) {
        uint8_t piece[16384];
        ssize_t n = read(fd, piece, sizeof(piece));
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0) {
            nc_wipe(piece, sizeof(piece));
            return nc_text_file_fail(err, path, "cannot be read");
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
