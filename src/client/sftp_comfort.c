/*
 * sftp_comfort.c - questions that one asks of a file system, put together from requests: is it there,
 * what is it, make all of that path, what does the link mean.
 */
#include "client/sftp_session.h"

#include <string.h>

/* ---- is it there -------------------------------------------------------------------------------------- */

/* "Not there" is an answer, no failure: *there false. ENOTDIR within the path comes as the same code. */
static int look(nacre_sftp *s, const char *path, bool follow, bool *there, nacre_sftp_attrs *out)
{
    int rc = follow ? nacre_sftp_stat(s, path, out) : nacre_sftp_lstat(s, path, out);
    *there = rc == NACRE_OK;
    if (rc == NACRE_SFTP_STATUS && s->status == NACRE_FX_NO_SUCH_FILE) {
        nc_error_clear(&s->error);
        s->status = NACRE_FX_OK;
        return NACRE_OK;
    }
    return rc;
}

int nacre_sftp_exists(nacre_sftp *s, const char *path, bool *exists)
{
    nacre_sftp_attrs attrs;
    return look(s, path, true, exists, &attrs);
}

int nacre_sftp_lexists(nacre_sftp *s, const char *path, bool *exists)
{
    nacre_sftp_attrs attrs;
    return look(s, path, false, exists, &attrs);
}

/* Servers that send no types: what opens as a directory is one. */
static int opens_as_directory(nacre_sftp *s, const char *path, bool *is)
{
    nc_sftp_request r = {.type = NACRE_FXP_OPENDIR, .path = path};
    nc_sftp_op op;
    nc_sftp_op_init(&op, s);
    int rc = nc_sftp_ask(s, &r, &op);
    *is = rc == NACRE_OK;
    if (rc == NACRE_OK) {
        nc_sftp_drop_handle(s, nc_span(op.handle, op.handle_len));
    } else if (rc == NACRE_SFTP_STATUS && s->status != NACRE_FX_PERMISSION_DENIED) {
        nc_error_clear(&s->error);
        s->status = NACRE_FX_OK;
        rc = NACRE_OK;
    }
    nc_sftp_op_clear(&op);
    return rc;
}

static int is_of_type(nacre_sftp *s, const char *path, uint32_t type, bool *is)
{
    nacre_sftp_attrs a;
    bool there;
    *is = false;
    int rc = look(s, path, true, &there, &a);
    if (rc != NACRE_OK || !there) {
        return rc;
    }
    if ((a.flags & NACRE_SFTP_ATTR_PERMISSIONS) && (a.permissions & NACRE_SFTP_S_IFMT)) {
        *is = (a.permissions & NACRE_SFTP_S_IFMT) == type;
        return NACRE_OK;
    }
    bool dir = false;
    rc = opens_as_directory(s, path, &dir);
    *is = rc == NACRE_OK && dir == (type == NACRE_SFTP_S_IFDIR);
    return rc;
}

int nacre_sftp_isdir(nacre_sftp *s, const char *path, bool *is)
{
    return is_of_type(s, path, NACRE_SFTP_S_IFDIR, is);
}

int nacre_sftp_isfile(nacre_sftp *s, const char *path, bool *is)
{
    return is_of_type(s, path, NACRE_SFTP_S_IFREG, is);
}
