/*
 * sftp_comfort.c - questions that one asks of a file system, put together from requests: is it there,
 * what is it, make all of that path, what does the link mean.
 */
#include "client/sftp_session.h"
#include "nacre/paths.h"

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

/* ---- making ------------------------------------------------------------------------------------------- */

/* The first len bytes of path as a path of their own, for one call. */
static char *part_of(nacre_sftp *s, const char *path, size_t len)
{
    char *part = nc_strndup(s->alloc, nc_span(path, len));
    if (!part) {
        nc_sftp_fail(s, NACRE_NO_MEMORY, "no memory for a path");
    }
    return part;
}

/* *there: a directory is. Something else in its place is an error. */
static int find_directory(nacre_sftp *s, const char *path, bool *there)
{
    bool dir = false;
    bool any = false;
    nacre_sftp_attrs a;
    int rc = nacre_sftp_isdir(s, path, &dir);
    *there = dir;
    if (rc != NACRE_OK || dir) {
        return rc;
    }
    rc = look(s, path, true, &any, &a);
    return rc == NACRE_OK && any
               ? nc_sftp_fail(s, NACRE_EXISTS, "make directory %s: something else is there",
                              NC_ESC(nc_span_cstr(path)))
               : rc;
}

static int make_step(nacre_sftp *s, const char *path, uint32_t mode)
{
    int rc = nacre_sftp_mkdir(s, path, mode);
    if (rc != NACRE_SFTP_STATUS) {
        return rc;
    }
    nacre_error why = s->error;
    uint32_t code = s->status;
    bool there = false;
    rc = nacre_sftp_isdir(s, path, &there); /* somebody else may have made it meanwhile */
    if (rc == NACRE_OK && there) {
        return NACRE_OK;
    }
    s->error = why;
    s->status = code;
    return NACRE_SFTP_STATUS;
}

int nacre_sftp_makedirs(nacre_sftp *s, const char *path, uint32_t mode)
{
    size_t state = 0;
    size_t len;
    bool there = false;
    int rc = nc_sftp_begin(s);
    if (rc == NACRE_OK && !*path) {
        rc = nc_sftp_fail(s, NACRE_INVALID_ARGUMENT, "make directory: the path is empty");
    }
    /* From the end: what is there already is most of it, as a rule. */
    while (rc == NACRE_OK && !there && (len = nacre_path_retreat(path, &state)) > 0) {
        char *part = part_of(s, path, len);
        rc = part ? find_directory(s, part, &there) : NACRE_NO_MEMORY;
        nc_free(s->alloc, part);
    }
    size_t from = there ? len : 0;
    state = 0;
    while (rc == NACRE_OK && (len = nacre_path_advance(path, &state)) > 0) {
        if (len <= from) {
            continue;
        }
        char *part = part_of(s, path, len);
        rc = part ? make_step(s, part, mode) : NACRE_NO_MEMORY;
        nc_free(s->alloc, part);
    }
    return rc;
}

/* ---- owners ------------------------------------------------------------------------------------------- */

int nacre_sftp_chown(nacre_sftp *s, const char *path, uint32_t uid, uint32_t gid)
{
    nacre_sftp_attrs a = {.flags = NACRE_SFTP_ATTR_UIDGID, .uid = uid, .gid = gid};
    if (uid == NACRE_SFTP_KEEP_ID || gid == NACRE_SFTP_KEEP_ID) {
        nacre_sftp_attrs now;
        int rc = nacre_sftp_stat(s, path, &now);
        if (rc == NACRE_OK && !(now.flags & NACRE_SFTP_ATTR_UIDGID)) {
            rc =
                nc_sftp_fail(s, NACRE_UNSUPPORTED, "change %s: the server does not say whose it is",
                             NC_ESC(nc_span_cstr(path)));
        }
        if (rc != NACRE_OK || uid == gid) {
            return rc;
        }
        a.uid = uid == NACRE_SFTP_KEEP_ID ? now.uid : uid;
        a.gid = gid == NACRE_SFTP_KEEP_ID ? now.gid : gid;
    }
    return nacre_sftp_setstat(s, path, &a);
}

/* ---- links -------------------------------------------------------------------------------------------- */

/* Joins three pieces of text. */
static char *join(nacre_sftp *s, nacre_span a, const char *between, nacre_span b)
{
    size_t n = strlen(between);
    char *out = nc_alloc(s->alloc, a.n + n + b.n + 1);
    if (out) {
        memcpy(out, a.p, a.n);
        memcpy(out + a.n, between, n);
        memcpy(out + a.n + n, b.p, b.n);
        out[a.n + n + b.n] = '\0';
    }
    return out;
}

/* The directory that path's last name stands in, as a span of an absolute path in *owned. */
static int directory_of(nacre_sftp *s, const char *path, char **owned, nacre_span *dir)
{
    const char *cwd = "";
    if (path[0] != '/' && !(cwd = nacre_sftp_getcwd(s))) {
        return s->error.status;
    }
    size_t n = strlen(cwd);
    *owned = join(s, nc_span(cwd, n), n > 0 && cwd[n - 1] != '/' ? "/" : "", nc_span_cstr(path));
    if (!*owned) {
        return nc_sftp_fail(s, NACRE_NO_MEMORY, "no memory for a path");
    }
    n = strlen(*owned);
    while (n > 1 && (*owned)[n - 1] == '/') {
        n--;
    }
    while (n > 0 && (*owned)[n - 1] != '/') {
        n--;
    }
    *dir = nc_span(*owned, n); /* with its slash */
    return NACRE_OK;
}

int nacre_sftp_readlink_absolute(nacre_sftp *s, const char *path, char **out)
{
    char *target = NULL;
    char *owned = NULL;
    nacre_span dir;
    *out = NULL;
    int rc = nacre_sftp_readlink(s, path, &target);
    if (rc != NACRE_OK || target[0] == '/') {
        *out = target;
        return rc;
    }
    rc = directory_of(s, path, &owned, &dir);
    if (rc == NACRE_OK) {
        *out = join(s, dir, "", nc_span_cstr(target));
        rc = *out ? NACRE_OK : nc_sftp_fail(s, NACRE_NO_MEMORY, "no memory for a path");
    }
    nc_free(s->alloc, owned);
    nc_free(s->alloc, target);
    return rc;
}
