/*
 * sftp_cwd.c - the working directory, which SFTP does not have: a path kept here, that every relative
 * path is joined to. Until the first chdir nothing is joined, and the server's own beginning holds.
 */
#include "client/sftp_session.h"

#include <string.h>

enum { MAX_MARKS = 64 };

const char *nc_sftp_path(nacre_sftp *s, const char *path, char **owned)
{
    *owned = NULL;
    if (!s->cwd || !path || path[0] == '/' || path[0] == '\0') {
        return path;
    }
    size_t dir = strlen(s->cwd);
    size_t name = strlen(path);
    bool slash = s->cwd[dir - 1] != '/';
    char *joined = nc_alloc(s->alloc, dir + name + 2);
    if (!joined) {
        return NULL;
    }
    memcpy(joined, s->cwd, dir);
    if (slash) {
        joined[dir++] = '/';
    }
    memcpy(joined + dir, path, name + 1);
    *owned = joined;
    return joined;
}

/* ---- which of a request's paths are paths ------------------------------------------------------------- */

static bool joins_path(const nc_sftp_request *r)
{
    switch (r->type) {
    case NACRE_FXP_SYMLINK: /* the target is what stands in the link */
    case NACRE_FXP_CLOSE:
    case NACRE_FXP_READ:
    case NACRE_FXP_WRITE:
    case NACRE_FXP_FSTAT:
    case NACRE_FXP_FSETSTAT:
    case NACRE_FXP_READDIR:
        return false;
    case NACRE_FXP_EXTENDED:
        return r->handle.n == 0 && r->ext != NACRE_SFTP_EXT_HOME_DIRECTORY &&
               r->ext != NACRE_SFTP_EXT_USERS_GROUPS &&
               !(r->ext == NACRE_SFTP_EXT_EXPAND_PATH && r->path && r->path[0] == '~');
    default:
        return true;
    }
}

int nc_sftp_join_request(nacre_sftp *s, nc_sftp_request *r, char *owned[2])
{
    owned[0] = owned[1] = NULL;
    if (!s->cwd) {
        return NACRE_OK;
    }
    const char *path = joins_path(r) ? nc_sftp_path(s, r->path, &owned[0]) : r->path;
    const char *other = nc_sftp_path(s, r->other, &owned[1]);
    if ((r->path && !path) || (r->other && !other)) {
        nc_free(s->alloc, owned[0]);
        nc_free(s->alloc, owned[1]);
        return NACRE_NO_MEMORY;
    }
    r->path = path;
    r->other = other;
    return NACRE_OK;
}

/* ---- going about -------------------------------------------------------------------------------------- */

static void set_cwd(nacre_sftp *s, char *path)
{
    nc_free(s->alloc, s->cwd);
    s->cwd = path;
}

int nacre_sftp_chdir(nacre_sftp *s, const char *path)
{
    char *real = NULL;
    bool is = false;
    if (!path) {
        int rc = nc_sftp_begin(s);
        if (rc == NACRE_OK) {
            set_cwd(s, NULL);
        }
        return rc;
    }
    int rc = nacre_sftp_realpath(s, path, &real);
    if (rc == NACRE_OK && real[0] != '/') {
        rc = nc_sftp_fail(s, NACRE_SFTP_PROTOCOL, "change to %s: the server says it is %s", path,
                          real);
    }
    if (rc == NACRE_OK) {
        rc = nacre_sftp_isdir(s, real, &is);
    }
    if (rc == NACRE_OK && !is) {
        rc = nc_sftp_fail(s, NACRE_NOT_FOUND, "change to %s: there is no directory", path);
    }
    if (rc == NACRE_OK) {
        set_cwd(s, real);
    } else {
        nc_free(s->alloc, real);
    }
    return rc;
}

const char *nacre_sftp_getcwd(nacre_sftp *s)
{
    if (s->cwd) {
        return s->cwd;
    }
    if (!s->home && nacre_sftp_realpath(s, ".", &s->home) != NACRE_OK) {
        return NULL;
    }
    return s->home;
}

int nacre_sftp_cd(nacre_sftp *s, const char *path)
{
    int rc = nc_sftp_begin(s);
    if (rc != NACRE_OK) {
        return rc;
    }
    if (s->mark_count == MAX_MARKS) {
        return nc_sftp_fail(s, NACRE_LIMIT, "change to %s: %d directories are remembered already",
                            path ? path : "the first directory", MAX_MARKS);
    }
    size_t size = MAX_MARKS * sizeof(*s->marks);
    s->marks = s->marks ? s->marks : nc_zalloc(s->alloc, size);
    char *here = nc_strdup(s->alloc, s->cwd);
    if (!s->marks || (s->cwd && !here)) {
        nc_free(s->alloc, here);
        return nc_sftp_fail(s, NACRE_NO_MEMORY, "no memory to remember a directory");
    }
    rc = nacre_sftp_chdir(s, path);
    if (rc != NACRE_OK) {
        nc_free(s->alloc, here);
        return rc;
    }
    s->marks[s->mark_count++] = here;
    return NACRE_OK;
}

int nacre_sftp_cd_back(nacre_sftp *s)
{
    int rc = nc_sftp_begin(s);
    if (rc == NACRE_OK && s->mark_count == 0) {
        rc = nc_sftp_fail(s, NACRE_WRONG_STATE, "no directory is remembered to go back to");
    }
    if (rc == NACRE_OK) {
        set_cwd(s, s->marks[--s->mark_count]);
        s->marks[s->mark_count] = NULL;
    }
    return rc;
}

void nc_sftp_cwd_free(nacre_sftp *s)
{
    while (s->mark_count > 0) {
        nc_free(s->alloc, s->marks[--s->mark_count]);
    }
    nc_free(s->alloc, s->marks);
    nc_free(s->alloc, s->cwd);
    nc_free(s->alloc, s->home);
    s->cwd = s->home = NULL;
    s->marks = NULL;
}
