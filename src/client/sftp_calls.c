/*
 * sftp_calls.c - the calls that are one request each: names, attributes, links, directories made and
 * removed. What a request needs is data; sending it is sftp_op.c's.
 */
#include "client/sftp_session.h"

#include <string.h>

/* ---- attributes --------------------------------------------------------------------------------------- */

static int ask_attrs(nacre_sftp *s, uint8_t type, const char *path, nacre_sftp_attrs *out)
{
    nc_sftp_request r = {.type = type, .path = path};
    nc_sftp_op op;
    nc_sftp_op_init(&op, s);
    int rc = nc_sftp_ask(s, &r, &op);
    if (rc == NACRE_OK) {
        *out = op.attrs;
    }
    nc_sftp_op_clear(&op);
    return rc;
}

int nacre_sftp_stat(nacre_sftp *s, const char *path, nacre_sftp_attrs *out)
{
    return ask_attrs(s, NACRE_FXP_STAT, path, out);
}

int nacre_sftp_lstat(nacre_sftp *s, const char *path, nacre_sftp_attrs *out)
{
    return ask_attrs(s, NACRE_FXP_LSTAT, path, out);
}

int nacre_sftp_setstat(nacre_sftp *s, const char *path, const nacre_sftp_attrs *attrs)
{
    nc_sftp_request r = {.type = NACRE_FXP_SETSTAT, .path = path, .attrs = attrs};
    return nc_sftp_order(s, &r);
}

int nacre_sftp_lsetstat(nacre_sftp *s, const char *path, const nacre_sftp_attrs *attrs)
{
    nc_sftp_request r = {
        .type = NACRE_FXP_EXTENDED, .ext = NACRE_SFTP_EXT_LSETSTAT, .path = path, .attrs = attrs};
    return nc_sftp_order(s, &r);
}

int nacre_sftp_chmod(nacre_sftp *s, const char *path, uint32_t mode)
{
    nacre_sftp_attrs a = {.flags = NACRE_SFTP_ATTR_PERMISSIONS, .permissions = mode};
    return nacre_sftp_setstat(s, path, &a);
}

int nacre_sftp_utime(nacre_sftp *s, const char *path, uint32_t atime, uint32_t mtime)
{
    nacre_sftp_attrs a = {.flags = NACRE_SFTP_ATTR_ACMODTIME, .atime = atime, .mtime = mtime};
    return nacre_sftp_setstat(s, path, &a);
}

int nacre_sftp_truncate(nacre_sftp *s, const char *path, uint64_t length, uint64_t *size)
{
    nacre_sftp_attrs a = {.flags = NACRE_SFTP_ATTR_SIZE, .size = length};
    int rc = nacre_sftp_setstat(s, path, &a);
    if (rc == NACRE_OK && size) {
        rc = nacre_sftp_stat(s, path, &a);
        *size = a.flags & NACRE_SFTP_ATTR_SIZE ? a.size : length;
    }
    return rc;
}

/* ---- names -------------------------------------------------------------------------------------------- */

static int ask_name(nacre_sftp *s, const nc_sftp_request *r, char **out)
{
    nc_sftp_op op;
    nacre_sftp_name entry;
    nc_sftp_op_init(&op, s);
    *out = NULL;
    int rc = nc_sftp_ask(s, r, &op);
    if (rc == NACRE_OK) {
        nacre_sftp_names names = {op.names_count, nc_span(op.names, op.names_len)};
        if (!nacre_sftp_names_next(&names, &entry) || memchr(entry.name.p, 0, entry.name.n)) {
            rc = nc_sftp_fail(s, NACRE_SFTP_PROTOCOL, "the server's answer about %s holds no name",
                              NC_ESC(nc_span_cstr(r->path)));
        } else {
            *out = nc_strndup(s->alloc, entry.name);
            rc = *out ? NACRE_OK : nc_sftp_fail(s, NACRE_NO_MEMORY, "no memory for a name");
        }
    }
    nc_sftp_op_clear(&op);
    return rc;
}

int nacre_sftp_realpath(nacre_sftp *s, const char *path, char **out)
{
    nc_sftp_request r = {.type = NACRE_FXP_REALPATH, .path = path};
    if (s->home && !s->cwd && strcmp(path, ".") == 0 && nc_sftp_begin(s) == NACRE_OK) {
        *out = nc_strdup(s->alloc, s->home); /* asked once: a server does not walk about */
        return *out ? NACRE_OK : nc_sftp_fail(s, NACRE_NO_MEMORY, "no memory for a name");
    }
    return ask_name(s, &r, out);
}

int nacre_sftp_readlink(nacre_sftp *s, const char *path, char **out)
{
    nc_sftp_request r = {.type = NACRE_FXP_READLINK, .path = path};
    return ask_name(s, &r, out);
}

int nacre_sftp_home(nacre_sftp *s, const char *user, char **out)
{
    nc_sftp_request r = {
        .type = NACRE_FXP_EXTENDED, .ext = NACRE_SFTP_EXT_HOME_DIRECTORY, .path = user};
    int rc = ask_name(s, &r, out);
    /* OpenSSH 9.2 looks for a user of no name, against its own word that this is the session's. */
    if (rc == NACRE_SFTP_STATUS && !*user && nacre_sftp_has(s, NACRE_SFTP_EXT_EXPAND_PATH)) {
        rc = nacre_sftp_expand(s, "~", out);
    }
    return rc;
}

int nacre_sftp_expand(nacre_sftp *s, const char *path, char **out)
{
    nc_sftp_request r = {
        .type = NACRE_FXP_EXTENDED, .ext = NACRE_SFTP_EXT_EXPAND_PATH, .path = path};
    return ask_name(s, &r, out);
}

/* ---- the tree ----------------------------------------------------------------------------------------- */

int nacre_sftp_mkdir(nacre_sftp *s, const char *path, uint32_t mode)
{
    nacre_sftp_attrs a = {.flags = NACRE_SFTP_ATTR_PERMISSIONS, .permissions = mode & 07777};
    nc_sftp_request r = {.type = NACRE_FXP_MKDIR, .path = path, .attrs = &a};
    return nc_sftp_order(s, &r);
}

int nacre_sftp_rmdir(nacre_sftp *s, const char *path)
{
    nc_sftp_request r = {.type = NACRE_FXP_RMDIR, .path = path};
    return nc_sftp_order(s, &r);
}

int nacre_sftp_remove(nacre_sftp *s, const char *path)
{
    nc_sftp_request r = {.type = NACRE_FXP_REMOVE, .path = path};
    return nc_sftp_order(s, &r);
}

int nacre_sftp_rename_new(nacre_sftp *s, const char *from, const char *to)
{
    nc_sftp_request r = {.type = NACRE_FXP_RENAME, .path = from, .other = to};
    return nc_sftp_order(s, &r);
}

int nacre_sftp_rename(nacre_sftp *s, const char *from, const char *to)
{
    nc_sftp_request r = {
        .type = NACRE_FXP_EXTENDED, .ext = NACRE_SFTP_EXT_POSIX_RENAME, .path = from, .other = to};
    if (!nacre_sftp_has(s, NACRE_SFTP_EXT_POSIX_RENAME)) {
        return nacre_sftp_rename_new(s, from, to);
    }
    return nc_sftp_order(s, &r);
}

int nacre_sftp_symlink(nacre_sftp *s, const char *target, const char *link)
{
    nc_sftp_request r = {.type = NACRE_FXP_SYMLINK, .path = target, .other = link};
    return nc_sftp_order(s, &r);
}

/*
 * SYMLINK's arguments as the server reads them. OpenSSH has them the wrong way round, and nearly everybody
 * followed it. Twisted reads them as the draft says, and so does AsyncSSH for clients that call
 * themselves neither OpenSSH nor paramiko, as ours does not.
 */
bool nc_sftp_draft_symlink(const char *peer_version)
{
    static const char *const draft[] = {"SSH-2.0-AsyncSSH_", "SSH-2.0-Twisted"};
    for (size_t i = 0; i < sizeof(draft) / sizeof(draft[0]); i++) {
        if (strncmp(peer_version, draft[i], strlen(draft[i])) == 0) {
            return true;
        }
    }
    return false;
}

int nacre_sftp_hardlink(nacre_sftp *s, const char *from, const char *to)
{
    nc_sftp_request r = {
        .type = NACRE_FXP_EXTENDED, .ext = NACRE_SFTP_EXT_HARDLINK, .path = from, .other = to};
    return nc_sftp_order(s, &r);
}

int nacre_sftp_statvfs_path(nacre_sftp *s, const char *path, nacre_sftp_statvfs *out)
{
    nc_sftp_request r = {.type = NACRE_FXP_EXTENDED, .ext = NACRE_SFTP_EXT_STATVFS, .path = path};
    nc_sftp_op op;
    nc_sftp_op_init(&op, s);
    int rc = nc_sftp_ask(s, &r, &op);
    if (rc == NACRE_OK) {
        *out = op.statvfs;
    }
    nc_sftp_op_clear(&op);
    return rc;
}
