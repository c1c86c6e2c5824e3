/*
 * last_login.c - the system's file of last logins (lastlog(5)): a record per user, found by his number.
 */
#include "nacre/account.h"

#include "io/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#if __has_include(<lastlog.h>)
#include <lastlog.h>
#define HAVE_LASTLOG 1
#else
#define HAVE_LASTLOG 0
#endif

#if HAVE_LASTLOG

static const char default_path[] = "/var/log/lastlog";

static int open_at(const char *path, int flags, uid_t uid, int *fd, off_t *at)
{
    struct stat st;
    /* Where that is not 64 bits wide, high numbers have no place in the file. */
    if ((uintmax_t)uid > (uintmax_t)INT32_MAX && sizeof(off_t) < 8) {
        return NACRE_NOT_FOUND;
    }
    *at = (off_t)uid * (off_t)sizeof(struct lastlog);
    *fd = open(path ? path : default_path, flags | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW);
    if (*fd < 0) {
        return errno == ENOENT ? NACRE_NOT_FOUND : NACRE_IO;
    }
    if (fstat(*fd, &st) != 0 || !S_ISREG(st.st_mode)) {
        nc_fd_close(fd);
        return NACRE_IO;
    }
    return NACRE_OK;
}

/* A field of the file need not be terminated, one of ours is. */
static void field_out(char *out, size_t size, const char *field, size_t n)
{
    size_t len = strnlen(field, n < size ? n : size - 1);
    memcpy(out, field, len);
    out[len] = '\0';
}

int nacre_last_login_read(const char *path, uid_t uid, nacre_last_login *out)
{
    struct lastlog row;
    int fd = -1;
    off_t at = 0;
    memset(out, 0, sizeof(*out));
    int rc = open_at(path, O_RDONLY, uid, &fd, &at);
    if (rc != NACRE_OK) {
        return rc;
    }
    ssize_t got;
    do {
        got = pread(fd, &row, sizeof(row), at);
    } while (got < 0 && errno == EINTR);
    nc_fd_close(&fd);
    if (got != (ssize_t)sizeof(row)) {
        return got < 0 ? NACRE_IO : NACRE_NOT_FOUND;
    }
    if (row.ll_time == 0) {
        return NACRE_NOT_FOUND; /* a hole */
    }
    out->when = (int64_t)(uint32_t)row.ll_time;
    field_out(out->line, sizeof(out->line), row.ll_line, sizeof(row.ll_line));
    field_out(out->host, sizeof(out->host), row.ll_host, sizeof(row.ll_host));
    return NACRE_OK;
}

int nacre_last_login_write(const char *path, uid_t uid, const nacre_last_login *login)
{
    struct lastlog row;
    int fd = -1;
    off_t at = 0;
    int rc = open_at(path, O_WRONLY, uid, &fd, &at);
    if (rc != NACRE_OK) {
        return rc;
    }
    memset(&row, 0, sizeof(row));
    row.ll_time = (__typeof__(row.ll_time))login->when;
    size_t line = strnlen(login->line, sizeof(row.ll_line));
    size_t host = strnlen(login->host, sizeof(row.ll_host));
    memcpy(row.ll_line, login->line, line);
    memcpy(row.ll_host, login->host, host);
    ssize_t put;
    do {
        put = pwrite(fd, &row, sizeof(row), at);
    } while (put < 0 && errno == EINTR);
    nc_fd_close(&fd);
    return put == (ssize_t)sizeof(row) ? NACRE_OK : NACRE_IO;
}

#else

int nacre_last_login_read(const char *path, uid_t uid, nacre_last_login *out)
{
    (void)path;
    (void)uid;
    memset(out, 0, sizeof(*out));
    return NACRE_NOT_FOUND;
}

int nacre_last_login_write(const char *path, uid_t uid, const nacre_last_login *login)
{
    (void)path;
    (void)uid;
    (void)login;
    return NACRE_NOT_FOUND;
}

#endif
