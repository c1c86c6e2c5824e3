/*
 * sftp_job_get.c - walking a remote tree: many directories are opened and read at once, and what is in
 * them comes below local directories that are held by descriptors. Names are taken only when they are
 * plain ones, and each once.
 */
#include "client/sftp_job.h"

#include "client/sftp_local.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { LISTS = 16, EMPTY_MOST = 1000, TRIES = 100, SPECIAL_BITS = 06000 };
/* The sticky bit protects what is in a directory that others may write: it goes along with the mode. */
enum { DIR_BITS = 01777 };

static void look_at(nc_job_item *i);

static bool is_kind(const nacre_sftp_attrs *a, uint32_t kind)
{
    return (a->flags & NACRE_SFTP_ATTR_PERMISSIONS) && (a->permissions & NACRE_SFTP_S_IFMT) == kind;
}

static void fail_item(nc_job_item *i, int status, const char *text)
{
    nacre_error why = {.status = NACRE_OK};
    nc_fail(&why, status, "%s %s", i->remote, text);
    nc_job_item_failed(i, &why, 0);
}

/* ---- the local directory ------------------------------------------------------------------------------ */

static int make_in(nc_job_dir *d, int at, const char *name, nacre_error *err)
{
    struct stat st;
    if (!d->exists) {
        d->made = mkdirat(at, name, 0777) == 0;
        if (!d->made && errno != EEXIST) {
            return nc_local_errno(err, "make local directory", d->local);
        }
    }
    int fd = nc_job_dir_hold(d, err);
    if (fd < 0) {
        return err->status;
    }
    /* Made with every permission, to learn what the umask leaves; it has to stay open to us. */
    if (d->made && fstat(fd, &st) == 0) {
        bool known = (d->attrs.flags & NACRE_SFTP_ATTR_PERMISSIONS) != 0;
        mode_t wanted = known ? d->attrs.permissions & DIR_BITS : 0777;
        d->mode = (st.st_mode & wanted & 0777) | (wanted & S_ISVTX) | (st.st_mode & S_ISGID);
        (void)fchmod(fd, d->mode | 0700);
    }
    nc_job_dir_release(d);
    return NACRE_OK;
}

static int make_local(nc_job_dir *d, nacre_error *err)
{
    if (!d->parent) {
        return make_in(d, AT_FDCWD, d->local, err);
    }
    int at = nc_job_dir_hold(d->parent, err);
    if (at < 0) {
        return err->status;
    }
    int rc = make_in(d, at, d->name, err);
    nc_job_dir_release(d->parent);
    return rc;
}

static int set_final(nc_job_dir *d, int fd, nacre_error *err)
{
    const nacre_sftp_transfer_options *o = &d->j->o.transfer;
    const nacre_sftp_attrs *a = &d->attrs;
    mode_t mode = d->mode;
    bool set = d->made;
    if (o->preserve && (a->flags & NACRE_SFTP_ATTR_PERMISSIONS)) {
        mode = a->permissions & (DIR_BITS | (o->keep_special ? SPECIAL_BITS : 0u));
        set = true;
    }
    if (set && fchmod(fd, mode) != 0) {
        return nc_local_errno(err, "set mode of local", d->local);
    }
    if (o->preserve && (a->flags & NACRE_SFTP_ATTR_ACMODTIME)) {
        struct timespec times[2] = {{.tv_sec = (time_t)a->atime}, {.tv_sec = (time_t)a->mtime}};
        if (futimens(fd, times) != 0) {
            return nc_local_errno(err, "set times of local", d->local);
        }
    }
    return NACRE_OK;
}

void nc_job_get_finish(nc_job_dir *d)
{
    nacre_error err = {.status = NACRE_OK};
    if (!d->silent && !d->flat && d->ino != 0) {
        int fd = nc_job_dir_hold(d, &err);
        int rc = fd >= 0 ? set_final(d, fd, &err) : err.status;
        if (fd >= 0) {
            nc_job_dir_release(d);
        }
        if (rc != NACRE_OK) {
            nc_job_dir_failed(d, &err, 0);
        }
    }
    nc_job_dir_over(d);
}

/* ---- going down --------------------------------------------------------------------------------------- */

/* Links that are followed may lead back: a directory must not be what is around it. */
static bool is_loop(const nc_job_dir *d)
{
    for (const nc_job_dir *up = d->parent; up && d->real; up = up->parent) {
        if (up->real && strcmp(up->real, d->real) == 0) {
            return true;
        }
    }
    return false;
}

static void begin_dir(nc_job_dir *d)
{
    nacre_error err = {.status = NACRE_OK};
    if (d->j->stopping) {
        nc_job_dir_drop(d);
        return;
    }
    nc_job_dir_begun(d);
    if (is_loop(d)) {
        nc_fail(&err, NACRE_INVALID_ARGUMENT, "%s leads back to a directory around it", d->remote);
    } else {
        (void)make_local(d, &err);
    }
    if (err.status != NACRE_OK) {
        nc_job_dir_failed(d, &err, 0);
        d->ino = 0; /* nothing is to be set */
        nc_job_dir_drop(d);
        return;
    }
    nc_job_dir_list(&d->j->to_open, d);
}

static void real_known(nc_job_ask *a)
{
    nc_job_dir *d = a->owner;
    nacre_error err = {.status = NACRE_OK};
    nacre_sftp_name entry;
    int rc = nc_job_ask_judge(a, &err);
    nacre_sftp_names names = {a->op.names_count, nc_span(a->op.names, a->op.names_len)};
    if (rc == NACRE_OK && nacre_sftp_names_next(&names, &entry)) {
        d->real = nc_strndup(d->j->alloc, entry.name);
    }
    if (!d->real && !d->j->stopping) {
        nc_fail(&err, NACRE_SFTP_PROTOCOL, "%s: the server does not say what it is", d->remote);
        nc_job_dir_begun(d);
        nc_job_dir_failed(d, &err, a->op.code);
        nc_job_dir_drop(d);
        return;
    }
    begin_dir(d);
}

/* The path without links of what is no link itself is its parent's and its name. */
static void find_real(nc_job_dir *d, bool link)
{
    nacre_sftp_job *j = d->j;
    const nc_job_dir *up = d->parent;
    if (j->o.links == NACRE_SFTP_LINKS_FOLLOW && (link || !up || !up->real)) {
        d->ask.r = (nc_sftp_request){.type = NACRE_FXP_REALPATH, .path = d->remote};
        nc_job_ask_start(j, &d->ask, d, real_known);
        return;
    }
    if (up && up->real) {
        d->real = nc_job_join(j, up->real, nc_span_cstr(d->name));
    }
    begin_dir(d);
}

/* The item turned out to be a directory. */
static void enter(nc_job_item *i)
{
    nacre_sftp_job *j = i->j;
    nc_job_dir *parent = i->dir;
    if (!parent && !j->o.recursive) {
        fail_item(i, NACRE_INVALID_ARGUMENT, "is a directory");
        return;
    }
    if (parent && parent->silent && !j->o.recursive) {
        fail_item(i, NACRE_INVALID_ARGUMENT, "is a directory");
        return;
    }
    if (parent && parent->depth >= j->o.max_depth) {
        fail_item(i, NACRE_LIMIT, "is nested too deeply in other directories");
        return;
    }
    if (parent && parent->flat) {
        nc_job_item_gone(i);
        return;
    }
    nc_job_dir *d = nc_job_dir_new(j, parent, i->remote, i->local, i->name);
    i->remote = i->local = i->name = NULL;
    if (!d) {
        nc_job_no_memory(j);
        nc_job_item_gone(i);
        return;
    }
    d->attrs = i->attrs;
    d->flat = i->flat;
    d->exists = i->exists;
    bool link = i->followed;
    nc_job_item_gone(i);
    find_real(d, link);
}

/* ---- links -------------------------------------------------------------------------------------------- */

static int make_link(const nc_job_item *i, int at)
{
    struct stat st;
    char random[7];
    if (symlinkat(i->target, at, i->name) == 0) {
        return 0;
    }
    if (errno != EEXIST || fstatat(at, i->name, &st, AT_SYMLINK_NOFOLLOW) != 0) {
        return -1;
    }
    if (!S_ISLNK(st.st_mode)) {
        errno = EEXIST;
        return -1;
    }
    for (int n = 0; n < TRIES && nc_local_random_name(random) == NACRE_OK; n++) {
        char *temporary = nc_local_temporary(i->j->alloc, i->name, random);
        if (!temporary) {
            errno = ENOMEM;
            return -1;
        }
        int rc = symlinkat(i->target, at, temporary);
        int code = errno;
        if (rc == 0 && (rc = renameat(at, temporary, at, i->name)) != 0) {
            code = errno;
            unlinkat(at, temporary, 0);
        }
        nc_free(i->j->alloc, temporary);
        errno = code;
        if (rc == 0 || code != EEXIST) {
            return rc;
        }
    }
    return -1;
}

static void keep_link(nc_job_ask *a)
{
    nc_job_item *i = a->owner;
    nacre_error err = {.status = NACRE_OK};
    nacre_sftp_name entry;
    if (nc_job_ask_judge(a, &err) != NACRE_OK) {
        nc_job_item_refused(i);
        return;
    }
    nacre_sftp_names names = {a->op.names_count, nc_span(a->op.names, a->op.names_len)};
    bool ok = nacre_sftp_names_next(&names, &entry) && entry.name.n > 0 &&
              !memchr(entry.name.p, 0, entry.name.n);
    if (!ok) {
        fail_item(i, NACRE_SFTP_PROTOCOL, "is a link, but the server's answer holds no name");
        return;
    }
    i->target = nc_strndup(i->j->alloc, entry.name);
    int at = i->target ? nc_job_dir_hold(i->dir, &err) : -1;
    if (at >= 0 && make_link(i, at) != 0) {
        nc_local_errno(&err, "make local symbolic link", i->local);
    }
    if (at >= 0) {
        nc_job_dir_release(i->dir);
    }
    if (at >= 0 && err.status == NACRE_OK) {
        nc_job_item_copied(i, 0);
        return;
    }
    nc_fail(&err, NACRE_NO_MEMORY, "no memory for a link");
    nc_job_item_failed(i, &err, 0);
}

static void followed(nc_job_ask *a)
{
    nc_job_item *i = a->owner;
    nacre_error err = {.status = NACRE_OK};
    if (nc_job_ask_judge(a, &err) == NACRE_OK) {
        i->attrs = a->op.attrs;
        look_at(i);
        return;
    }
    nacre_error why = {.status = NACRE_OK};
    nc_fail(&why, err.status, "%s (a symbolic link that leads nowhere, or in a circle)", err.text);
    nc_job_item_failed(i, &why, a->op.code);
}

static void found_link(nc_job_item *i)
{
    nacre_sftp_job *j = i->j;
    if (j->o.links == NACRE_SFTP_LINKS_SKIP) {
        nc_job_item_skipped(i, "a symbolic link");
        return;
    }
    bool keep = j->o.links == NACRE_SFTP_LINKS_KEEP;
    i->link = keep;
    i->followed = !keep;
    if (keep) {
        nc_job_item_begun(i);
    }
    i->ask.r =
        (nc_sftp_request){.type = keep ? NACRE_FXP_READLINK : NACRE_FXP_STAT, .path = i->remote};
    nc_job_ask_start(j, &i->ask, i, keep ? keep_link : followed);
}

/* ---- names -------------------------------------------------------------------------------------------- */

static void type_known(nc_job_ask *a)
{
    nc_job_item *i = a->owner;
    nacre_error err = {.status = NACRE_OK};
    if (nc_job_ask_judge(a, &err) != NACRE_OK) {
        nc_job_item_refused(i);
        return;
    }
    i->attrs = a->op.attrs;
    look_at(i);
}

static void ask_type(nc_job_item *i, uint8_t type)
{
    i->tries++;
    i->ask.r = (nc_sftp_request){.type = type, .path = i->remote};
    nc_job_ask_start(i->j, &i->ask, i, type_known);
}

/* What it is decides what is done. Of no known type, it is asked about once, and then taken for a file. */
static void look_at(nc_job_item *i)
{
    const nacre_sftp_attrs *a = &i->attrs;
    bool known = (a->flags & NACRE_SFTP_ATTR_PERMISSIONS) && (a->permissions & NACRE_SFTP_S_IFMT);
    const char *odd = known ? nc_job_odd_kind(a->permissions) : NULL;
    if (i->j->stopping) {
        nc_job_item_gone(i);
    } else if (!known && i->tries == 0) {
        ask_type(i, NACRE_FXP_LSTAT);
    } else if (is_kind(a, NACRE_SFTP_S_IFDIR)) {
        enter(i);
    } else if (is_kind(a, NACRE_SFTP_S_IFLNK) && !i->followed && i->dir) {
        found_link(i);
    } else if (odd && i->dir && !i->dir->silent) {
        nc_job_item_skipped(i, odd);
    } else if (i->flat) {
        fail_item(i, NACRE_INVALID_ARGUMENT, "is not a directory");
    } else {
        nc_job_item_queue(i);
    }
}

void nc_job_get_source(nc_job_item *i)
{
    bool known = (i->attrs.flags & NACRE_SFTP_ATTR_PERMISSIONS) &&
                 (i->attrs.permissions & NACRE_SFTP_S_IFMT) &&
                 !is_kind(&i->attrs, NACRE_SFTP_S_IFLNK);
    if (known) {
        look_at(i);
    } else {
        ask_type(i, NACRE_FXP_STAT);
    }
}

static void bad_name(nc_job_dir *d, nacre_span name, const char *what)
{
    nacre_error why = {.status = NACRE_OK};
    nc_escaped shown = nc_escape_span(name);
    char *from = nc_job_join(d->j, d->remote, nc_span_cstr(shown.text));
    nc_fail(&why, NACRE_SFTP_PROTOCOL, "the server's listing of %s has %s: \"%s\"",
            NC_ESC(nc_span_cstr(d->remote)), what, shown.text);
    nacre_sftp_item item = {.outcome = NACRE_SFTP_FAILED,
                            .from = from ? from : d->remote,
                            .to = d->local,
                            .status = why.status,
                            .why = why.text};
    nc_job_tell(d->j, &item, false);
    nc_free(d->j->alloc, from);
}

/* False: no more names of this directory. */
static bool take_name(nc_job_dir *d, const nacre_sftp_name *e)
{
    nacre_sftp_job *j = d->j;
    if (nc_span_is(e->name, ".") || nc_span_is(e->name, "..")) {
        return true;
    }
    if (!nacre_sftp_name_is_plain(e->name)) {
        bad_name(d, e->name, "a name that is none");
        return true;
    }
    int rc = nc_job_seen_add(j, &d->seen, e->name);
    if (rc == NACRE_EXISTS) {
        bad_name(d, e->name, "a name twice");
        return true;
    }
    if (rc == NACRE_LIMIT) {
        nacre_error why = {.status = NACRE_OK};
        nc_fail(&why, rc, "%s: too many names in one directory", d->remote);
        nc_job_dir_failed(d, &why, 0);
        return false;
    }
    nc_job_item *i =
        rc != NACRE_OK
            ? NULL
            : nc_job_item_new(j, d, false, nc_job_join(j, d->remote, e->name),
                              nc_job_join(j, d->local, e->name), nc_strndup(j->alloc, e->name));
    if (!i) {
        nc_job_no_memory(j);
        return false;
    }
    i->attrs = e->attrs;
    i->attrs.flags &= ~NACRE_SFTP_ATTR_EXTENDED;
    i->attrs.extended_count = 0;
    i->attrs.extended = nc_span(NULL, 0);
    look_at(i);
    return true;
}

/* ---- listings ----------------------------------------------------------------------------------------- */

static void read_came(nc_job_ask *a)
{
    nc_job_dir *d = a->owner;
    d->ready[a - d->reads] = true;
}

static void read_more(nc_job_dir *d, unsigned turn)
{
    nc_job_ask *a = &d->reads[turn];
    a->r = (nc_sftp_request){
        .type = NACRE_FXP_READDIR, .path = d->remote, .handle = nc_span(d->handle, d->handle_len)};
    d->ready[turn] = false;
    nc_job_ask_start(d->j, a, d, read_came);
}

/* d may be gone. */
void nc_job_get_unlist(nc_job_dir *d)
{
    for (unsigned i = 0; d->reads && i < NC_JOB_AHEAD; i++) {
        nc_job_ask_drop(&d->reads[i]);
    }
    nc_free(d->j->alloc, d->reads);
    d->reads = NULL;
    nc_free(d->j->alloc, d->seen.slots);
    memset(&d->seen, 0, sizeof(d->seen));
    if (d->handle_len > 0) {
        nc_job_close_handle(d->j, nc_span(d->handle, d->handle_len));
        d->handle_len = 0;
        d->j->lists--;
    }
    nc_job_dir_list(&d->j->others, d);
    nc_job_dir_drop(d);
}

/* The answer whose turn it is; false: the listing is over. */
static bool take_answer(nc_job_dir *d)
{
    nc_job_ask *a = &d->reads[d->turn];
    nacre_error err = {.status = NACRE_OK};
    int rc = nc_job_ask_judge(a, &err);
    if (rc == NACRE_SFTP_STATUS && a->op.code == NACRE_FX_EOF) {
        return false;
    }
    d->empty = rc == NACRE_OK && a->op.names_count == 0 ? d->empty + 1 : 0;
    if (d->empty > EMPTY_MOST) {
        rc = nc_fail(&err, NACRE_SFTP_PROTOCOL, "list %s: the server's answers hold no names",
                     d->remote);
    }
    if (rc != NACRE_OK) {
        nc_job_dir_failed(d, &err, a->op.code);
        return false;
    }
    d->names = (nacre_sftp_names){a->op.names_count, nc_span(a->op.names, a->op.names_len)};
    d->taking = true;
    return true;
}

static bool has_room(const nc_job_dir *d)
{
    return d->j->items < NC_JOB_ITEMS && nc_job_dir_room(d) && !d->j->stop;
}

/* Takes what names there is room for. False: the listing is over. */
static bool list_on(nc_job_dir *d)
{
    nacre_sftp_name e;
    for (;;) {
        if (!d->taking) {
            if (!d->ready[d->turn]) {
                return true;
            }
            if (!take_answer(d)) {
                return false;
            }
        }
        for (;;) {
            if (!has_room(d)) {
                return true;
            }
            if (!nacre_sftp_names_next(&d->names, &e)) {
                break;
            }
            if (!take_name(d, &e)) {
                return false;
            }
        }
        d->taking = false;
        read_more(d, d->turn);
        d->turn = (d->turn + 1) % NC_JOB_AHEAD;
    }
}

static void opened(nc_job_ask *a)
{
    nc_job_dir *d = a->owner;
    nacre_sftp_job *j = d->j;
    nacre_error err = {.status = NACRE_OK};
    if (nc_job_ask_judge(a, &err) != NACRE_OK) {
        j->lists--;
        nc_job_dir_failed(d, &err, a->op.code);
        nc_job_dir_drop(d);
        return;
    }
    memcpy(d->handle, a->op.handle, a->op.handle_len);
    d->handle_len = a->op.handle_len;
    d->reads = j->stopping ? NULL : nc_zalloc(j->alloc, NC_JOB_AHEAD * sizeof(*d->reads));
    if (!d->reads) {
        if (!j->stopping) {
            nc_job_no_memory(j);
        }
        nc_job_get_unlist(d);
        return;
    }
    for (unsigned i = 0; i < NC_JOB_AHEAD; i++) {
        read_more(d, i);
    }
    nc_job_dir_list(&j->listing, d);
}

static bool may_open(const nc_job_dir *d)
{
    const nacre_sftp_job *j = d->j;
    return j->lists < j->lists_most + d->depth &&
           (j->started == 0 || j->started + j->lists < j->handles);
}

void nc_job_get_lists(nacre_sftp_job *j)
{
    nc_job_dir *d;
    nc_job_dir *next;
    for (d = j->listing.first; d && !j->stop; d = next) {
        next = d->next; /* what is found is not in this list */
        if (!list_on(d)) {
            nc_job_get_unlist(d);
        }
    }
    while (!j->stop && (d = nc_job_dir_deepest(&j->to_open)) && may_open(d)) {
        j->lists++;
        nc_job_dir_list(&j->others, d);
        d->ask.r = (nc_sftp_request){.type = NACRE_FXP_OPENDIR, .path = d->remote};
        nc_job_ask_start(j, &d->ask, d, opened);
    }
}
