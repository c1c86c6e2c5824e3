/*
 * sftp_job_put.c - walking a local tree by descriptors, and making it on the server: directories of a
 * level are asked for together, what is in one only when the server has answered that it is there
 * (servers may work on several requests at a time), and its attributes when all below is over.
 */
#include "client/sftp_job.h"

#include "client/sftp_local.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

enum { LINK_MOST = 64 * 1024, LINK_TRIES = 2, DIR_BITS = 01777, SPECIAL_BITS = 06000 };

static bool is_dir(const nacre_sftp_attrs *a)
{
    return (a->flags & NACRE_SFTP_ATTR_PERMISSIONS) &&
           (a->permissions & NACRE_SFTP_S_IFMT) == NACRE_SFTP_S_IFDIR;
}

static void fail_item(nc_job_item *i, int status, const char *text)
{
    nacre_error why = {.status = NACRE_OK};
    nc_fail(&why, status, "local %s %s", i->local, text);
    nc_job_item_failed(i, &why, 0);
}

static void fail_errno(nc_job_item *i, const char *verb)
{
    nacre_error why = {.status = NACRE_OK};
    nc_local_errno(&why, verb, i->local);
    nc_job_item_failed(i, &why, 0);
}

/* ---- the remote directory ----------------------------------------------------------------------------- */

static void refuse_dir(nc_job_dir *d, const nacre_error *why, uint32_t code)
{
    nc_job_dir_failed(d, why, code);
    d->made = d->exists = false; /* nothing is to be set */
    d->attrs.flags = 0;
    nc_job_dir_list(&d->j->others, d);
    nc_job_dir_drop(d);
}

static void there(nc_job_dir *d)
{
    if (d->j->stopping) {
        nc_job_dir_drop(d);
        return;
    }
    nc_job_dir_list(&d->j->to_read, d);
}

static void looked(nc_job_ask *a)
{
    nc_job_dir *d = a->owner;
    nacre_error err = {.status = NACRE_OK};
    int rc = nc_job_ask_judge(a, &err);
    if (rc == NACRE_OK && is_dir(&a->op.attrs)) {
        d->exists = true;
        there(d);
        return;
    }
    nacre_error why = {.status = NACRE_OK};
    if (rc == NACRE_OK) {
        nc_fail(&why, NACRE_EXISTS, "remote %s is there, and not a directory", d->remote);
    } else if (d->refused && rc == NACRE_SFTP_STATUS) {
        nc_fail(&why, rc, "make directory %s: %s", d->remote, nacre_sftp_status_text(d->refused));
    } else {
        why = err;
    }
    refuse_dir(d, &why, d->refused ? d->refused : a->op.code);
}

static void made(nc_job_ask *a)
{
    nc_job_dir *d = a->owner;
    nacre_error err = {.status = NACRE_OK};
    d->made = nc_job_ask_judge(a, &err) == NACRE_OK;
    if (d->made) {
        there(d);
        return;
    }
    if (a->rc != NACRE_OK) {
        refuse_dir(d, &err, a->op.code);
        return;
    }
    d->refused = a->op.code; /* it may be there already, whatever the server calls that */
    d->ask.r = (nc_sftp_request){.type = NACRE_FXP_STAT, .path = d->remote};
    nc_job_ask_start(d->j, &d->ask, d, looked);
}

static void make_remote(nc_job_dir *d)
{
    /* Open to us until all is in it. */
    d->attrs = (nacre_sftp_attrs){.flags = NACRE_SFTP_ATTR_PERMISSIONS,
                                  .permissions = (d->st.st_mode & DIR_BITS) | 0700};
    d->ask.r = (nc_sftp_request){.type = NACRE_FXP_MKDIR, .path = d->remote, .attrs = &d->attrs};
    if (d->exists) {
        d->exists = false;
        d->ask.r.type = NACRE_FXP_STAT;
    }
    nc_job_ask_start(d->j, &d->ask, d, d->ask.r.type == NACRE_FXP_STAT ? looked : made);
}

/* ---- its attributes in the end ------------------------------------------------------------------------ */

static void set(nc_job_ask *a)
{
    nc_job_dir *d = a->owner;
    nacre_error err = {.status = NACRE_OK};
    if (nc_job_ask_judge(a, &err) != NACRE_OK) {
        nc_job_dir_failed(d, &err, a->op.code);
    }
    nc_job_dir_over(d);
}

static void set_attrs(nc_job_dir *d)
{
    d->ask.r = (nc_sftp_request){.type = NACRE_FXP_SETSTAT, .path = d->remote, .attrs = &d->attrs};
    nc_job_ask_start(d->j, &d->ask, d, set);
}

/* What the server's umask left is kept, less what the source does not have; and the sticky bit is set. */
static void mode_known(nc_job_ask *a)
{
    nc_job_dir *d = a->owner;
    nacre_error err = {.status = NACRE_OK};
    if (d->j->stopping || nc_job_ask_judge(a, &err) != NACRE_OK ||
        !(a->op.attrs.flags & NACRE_SFTP_ATTR_PERMISSIONS)) {
        nc_job_dir_over(d);
        return;
    }
    uint32_t mode = (a->op.attrs.permissions & d->st.st_mode & 0777) | (d->st.st_mode & S_ISVTX);
    d->attrs = (nacre_sftp_attrs){.flags = NACRE_SFTP_ATTR_PERMISSIONS, .permissions = mode};
    if (mode == (a->op.attrs.permissions & DIR_BITS)) {
        nc_job_dir_over(d);
        return;
    }
    set_attrs(d);
}

void nc_job_put_finish(nc_job_dir *d)
{
    const nacre_sftp_transfer_options *o = &d->j->o.transfer;
    if (d->flat || d->j->stopping || (!d->made && !d->exists)) {
        nc_job_dir_over(d);
    } else if (o->preserve) {
        uint32_t bits = DIR_BITS | (o->keep_special ? SPECIAL_BITS : 0u);
        d->attrs =
            (nacre_sftp_attrs){.flags = NACRE_SFTP_ATTR_PERMISSIONS | NACRE_SFTP_ATTR_ACMODTIME,
                               .permissions = (uint32_t)d->st.st_mode & bits,
                               .atime = nc_sftp_wire_time(d->st.st_atime),
                               .mtime = nc_sftp_wire_time(d->st.st_mtime)};
        set_attrs(d);
    } else if (d->made && ((d->st.st_mode & 0700) != 0700 || (d->st.st_mode & S_ISVTX))) {
        d->ask.r = (nc_sftp_request){.type = NACRE_FXP_STAT, .path = d->remote};
        nc_job_ask_start(d->j, &d->ask, d, mode_known);
    } else {
        nc_job_dir_over(d);
    }
}

/* ---- going down --------------------------------------------------------------------------------------- */

static bool is_loop(const nc_job_dir *d)
{
    for (const nc_job_dir *up = d->parent; up; up = up->parent) {
        if (up->dev == d->dev && up->ino == d->ino) {
            return true;
        }
    }
    return false;
}

static void begin_dir(nc_job_dir *d)
{
    nacre_error err = {.status = NACRE_OK};
    nc_job_dir_begun(d);
    int fd = nc_job_dir_hold(d, &err);
    if (fd >= 0 && fstat(fd, &d->st) != 0) {
        nc_local_errno(&err, "stat local", d->local);
    }
    if (fd >= 0) {
        nc_job_dir_release(d);
    }
    if (fd >= 0 && is_loop(d)) {
        nc_fail(&err, NACRE_INVALID_ARGUMENT, "local %s leads back to a directory around it",
                d->local);
    }
    if (err.status != NACRE_OK) {
        refuse_dir(d, &err, 0);
        return;
    }
    make_remote(d);
}

static void enter(nc_job_item *i)
{
    nacre_sftp_job *j = i->j;
    nc_job_dir *parent = i->dir;
    if (!parent && !j->o.recursive) {
        fail_item(i, NACRE_INVALID_ARGUMENT, "is a directory");
        return;
    }
    if (parent && parent->flat) {
        nc_job_item_gone(i);
        return;
    }
    if (parent && parent->depth >= j->o.max_depth) {
        fail_item(i, NACRE_LIMIT, "is nested too deeply in other directories");
        return;
    }
    nc_job_dir *d = nc_job_dir_new(j, parent, i->remote, i->local, i->name);
    i->remote = i->local = i->name = NULL;
    if (!d) {
        nc_job_no_memory(j);
        nc_job_item_gone(i);
        return;
    }
    d->up = true;
    d->follows = i->followed;
    d->flat = i->flat;
    d->exists = i->exists;
    nc_job_item_gone(i);
    begin_dir(d);
}

/* ---- links -------------------------------------------------------------------------------------------- */

static void link_made(nc_job_ask *a);

static void make_link(nc_job_item *i)
{
    i->tries++;
    i->ask.r = (nc_sftp_request){.type = NACRE_FXP_SYMLINK, .path = i->target, .other = i->remote};
    nc_job_ask_start(i->j, &i->ask, i, link_made);
}

static void removed(nc_job_ask *a)
{
    nc_job_item *i = a->owner;
    nacre_error err = {.status = NACRE_OK};
    if (nc_job_ask_judge(a, &err) != NACRE_OK) {
        nc_job_item_refused(i);
        return;
    }
    make_link(i);
}

/* Only another link is replaced. */
static void looked_for_link(nc_job_ask *a)
{
    nc_job_item *i = a->owner;
    nacre_error err = {.status = NACRE_OK};
    int rc = nc_job_ask_judge(a, &err);
    const nacre_sftp_attrs *at = &a->op.attrs;
    if (rc == NACRE_OK && (at->flags & NACRE_SFTP_ATTR_PERMISSIONS) &&
        (at->permissions & NACRE_SFTP_S_IFMT) == NACRE_SFTP_S_IFLNK) {
        i->ask.r = (nc_sftp_request){.type = NACRE_FXP_REMOVE, .path = i->remote};
        nc_job_ask_start(i->j, &i->ask, i, removed);
        return;
    }
    nacre_error why = {.status = NACRE_OK};
    nc_fail(&why, rc == NACRE_OK ? NACRE_EXISTS : NACRE_SFTP_STATUS,
            rc == NACRE_OK ? "make symbolic link %s: something else is there"
                           : "make symbolic link %s: the server refused",
            i->remote);
    nc_job_item_failed(i, &why, NACRE_FX_FAILURE);
}

static void link_made(nc_job_ask *a)
{
    nc_job_item *i = a->owner;
    nacre_error err = {.status = NACRE_OK};
    if (nc_job_ask_judge(a, &err) == NACRE_OK) {
        nc_job_item_copied(i, 0);
        return;
    }
    if (a->rc != NACRE_OK || i->tries >= LINK_TRIES || a->op.code == NACRE_FX_OP_UNSUPPORTED) {
        nc_job_item_refused(i);
        return;
    }
    i->ask.r = (nc_sftp_request){.type = NACRE_FXP_LSTAT, .path = i->remote};
    nc_job_ask_start(i->j, &i->ask, i, looked_for_link);
}

static int read_link(nc_job_item *i, int at)
{
    size_t room = 256;
    for (; room <= LINK_MOST; room *= 2) {
        nc_free(i->j->alloc, i->target);
        i->target = nc_alloc(i->j->alloc, room);
        if (!i->target) {
            errno = ENOMEM;
            return -1;
        }
        ssize_t n = readlinkat(at, i->name, i->target, room);
        if (n < 0) {
            return -1;
        }
        if ((size_t)n < room) {
            i->target[n] = '\0';
            return 0;
        }
    }
    errno = ENAMETOOLONG;
    return -1;
}

static void look_at(nc_job_item *i, const struct stat *st);

static void found_link(nc_job_item *i, int at)
{
    struct stat st;
    switch (i->j->o.links) {
    case NACRE_SFTP_LINKS_FOLLOW:
        i->followed = true;
        if (fstatat(at, i->name, &st, 0) != 0) {
            fail_errno(i, "follow local link");
            return;
        }
        look_at(i, &st);
        return;
    case NACRE_SFTP_LINKS_KEEP:
        i->link = true;
        nc_job_item_begun(i);
        if (read_link(i, at) != 0) {
            fail_errno(i, "read local link");
            return;
        }
        make_link(i);
        return;
    default:
        nc_job_item_skipped(i, "a symbolic link");
        return;
    }
}

/* ---- names -------------------------------------------------------------------------------------------- */

static uint32_t wire_type(mode_t mode)
{
    return S_ISSOCK(mode)   ? NACRE_SFTP_S_IFSOCK
           : S_ISFIFO(mode) ? NACRE_SFTP_S_IFIFO
           : S_ISBLK(mode)  ? NACRE_SFTP_S_IFBLK
                            : NACRE_SFTP_S_IFCHR;
}

static void look_at(nc_job_item *i, const struct stat *st)
{
    if (S_ISDIR(st->st_mode)) {
        enter(i);
    } else if (i->flat) {
        fail_item(i, NACRE_INVALID_ARGUMENT, "is not a directory");
    } else if (S_ISREG(st->st_mode) || !i->dir) {
        nc_job_item_queue(i);
    } else {
        nc_job_item_skipped(i, nc_job_odd_kind(wire_type(st->st_mode)));
    }
}

void nc_job_put_source(nc_job_item *i)
{
    struct stat st;
    if (stat(i->local, &st) != 0) {
        fail_errno(i, "stat local");
        return;
    }
    look_at(i, &st);
}

static void take_name(nc_job_dir *d, int at, const char *name)
{
    nacre_sftp_job *j = d->j;
    struct stat st;
    nacre_span span = nc_span_cstr(name);
    nc_job_item *i = nc_job_item_new(j, d, true, nc_job_join(j, d->remote, span),
                                     nc_job_join(j, d->local, span), nc_strdup(j->alloc, name));
    if (!i) {
        nc_job_no_memory(j);
    } else if (fstatat(at, name, &st, AT_SYMLINK_NOFOLLOW) != 0) {
        fail_errno(i, "stat local");
    } else if (S_ISLNK(st.st_mode)) {
        found_link(i, at);
    } else {
        look_at(i, &st);
    }
}

/* ---- listings ----------------------------------------------------------------------------------------- */

static int open_stream(nc_job_dir *d, nacre_error *err)
{
    int at = nc_job_dir_hold(d, err);
    if (at < 0) {
        return -1;
    }
    int fd = openat(at, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    d->stream = fd >= 0 ? fdopendir(fd) : NULL;
    if (!d->stream) {
        nc_local_errno(err, "open local directory", d->local);
        if (fd >= 0) {
            close(fd);
        }
    }
    nc_job_dir_release(d);
    return d->stream ? 0 : -1;
}

/* d may be gone. */
void nc_job_put_unlist(nc_job_dir *d)
{
    if (d->stream) {
        closedir(d->stream);
        d->stream = NULL;
    }
    nc_job_dir_list(&d->j->others, d);
    nc_job_dir_drop(d);
}

static bool has_room(const nc_job_dir *d)
{
    return d->j->items < NC_JOB_ITEMS && nc_job_dir_room(d) && !d->j->stop;
}

static bool is_dots(const char *name)
{
    return strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
}

/* Reads names as long as there is room; d may be gone. False: there is none. */
static bool read_on(nc_job_dir *d)
{
    nacre_error err = {.status = NACRE_OK};
    if (!d->stream && open_stream(d, &err) != 0) {
        nc_job_dir_failed(d, &err, 0);
        nc_job_put_unlist(d);
        return true;
    }
    while (has_room(d)) {
        errno = 0;
        const struct dirent *e = readdir(d->stream);
        if (!e && errno != 0) {
            nc_local_errno(&err, "list local", d->local);
            nc_job_dir_failed(d, &err, 0);
        }
        if (!e) {
            nc_job_put_unlist(d);
            return true;
        }
        if (!is_dots(e->d_name)) {
            take_name(d, dirfd(d->stream), e->d_name);
        }
    }
    return false;
}

void nc_job_put_lists(nacre_sftp_job *j)
{
    nc_job_dir *d;
    while (!j->stop && (d = nc_job_dir_deepest(&j->to_read)) != NULL) {
        if (!read_on(d)) {
            return;
        }
    }
}
