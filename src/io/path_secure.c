/*
 * path_secure.c - OpenSSH's StrictModes: a file that decides who gets in is believed only when nobody
 * but its owner and root could have written it, or put another one in its place.
 */
#include "nacre/account.h"

#include "io/fd.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static int judge(const struct stat *st, const char *path, uid_t uid, nacre_error *err)
{
    if (st->st_uid != 0 && st->st_uid != uid) {
        return nc_fail(err, NACRE_KEY_PERMISSIONS, "%s belongs to neither its user nor root",
                       NC_ESC(nc_span_cstr(path)));
    }
    if (st->st_mode & (S_IWGRP | S_IWOTH)) {
        return nc_fail(err, NACRE_KEY_PERMISSIONS, "%s can be written by others (mode %03o)",
                       NC_ESC(nc_span_cstr(path)), (unsigned)(st->st_mode & 07777));
    }
    return NACRE_OK;
}

static int judge_file(const char *real, int fd, uid_t uid, nacre_error *err)
{
    struct stat st;
    if ((fd >= 0 ? fstat(fd, &st) : stat(real, &st)) != 0) {
        return nc_os_fail(err, NACRE_NOT_FOUND, errno, "cannot look at %s",
                          NC_ESC(nc_span_cstr(real)));
    }
    if (!S_ISREG(st.st_mode)) {
        return nc_fail(err, NACRE_KEY_PERMISSIONS, "%s is not a regular file",
                       NC_ESC(nc_span_cstr(real)));
    }
    return judge(&st, real, uid, err);
}

/* Every directory above; real is cut as we go. */
static int judge_parents(char *real, const char *home, uid_t uid, nacre_error *err)
{
    for (;;) {
        struct stat st;
        char *slash = strrchr(real, '/');
        if (!slash) {
            return NACRE_OK;
        }
        bool root = slash == real;
        slash[root ? 1 : 0] = '\0';
        if (stat(real, &st) != 0) {
            return nc_os_fail(err, NACRE_NOT_FOUND, errno, "cannot look at %s",
                              NC_ESC(nc_span_cstr(real)));
        }
        int rc = judge(&st, real, uid, err);
        if (rc != NACRE_OK || root || (home && strcmp(real, home) == 0)) {
            return rc;
        }
    }
}

int nacre_path_secure(const char *path, int fd, uid_t uid, const char *home, nacre_error *err)
{
    nc_error_clear(err);
    char *real = realpath(path, NULL);
    if (!real) {
        return nc_os_fail(err, NACRE_NOT_FOUND, errno, "cannot find %s",
                          NC_ESC(nc_span_cstr(path)));
    }
    char *real_home = home ? realpath(home, NULL) : NULL;
    int rc = judge_file(real, fd, uid, err);
    if (rc == NACRE_OK) {
        rc = judge_parents(real, real_home, uid, err);
    }
    free(real_home);
    free(real);
    return rc;
}
