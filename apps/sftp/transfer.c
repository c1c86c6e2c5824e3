/*
 * transfer.c - get and put: what goes where, trees, one file after the other. Names that a server lists
 * are taken only when they name something in the directory that was asked about.
 */
#include "app.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

enum { MAX_DEPTH = 64 }; /* directories in directories; links that lead round stop here */

typedef struct job {
    app *a;
    transfer_flags flags;
    int failures;
} job;

static void fill_options(job *j, nacre_sftp_transfer_options *t)
{
    app *a = j->a;
    nacre_sftp_transfer_options_init(t);
    t->preserve = j->flags.preserve;
    t->sync = j->flags.sync;
    t->rate = a->rate;
    t->max_requests = a->requests;
    if (a->show_progress) {
        t->progress = progress_step;
        t->user = a;
    }
}

static bool stopped(const job *j)
{
    return j->a->interrupted ||
           nacre_status_class(nacre_sftp_error(j->a->s)->status) == NACRE_CLASS_CLOSED;
}

/* ---- down --------------------------------------------------------------------------------------------- */

static int get_file(job *j, const char *remote, const char *local)
{
    app *a = j->a;
    nacre_sftp_transfer_options t;
    fill_options(j, &t);
    progress_begin(a, remote);
    int rc = nacre_sftp_get(a->s, remote, local, &t);
    progress_end(a, rc == NACRE_OK);
    return rc == NACRE_OK ? 0 : complain_sftp(a);
}

static int set_local_dir(const char *local, const nacre_sftp_attrs *attrs)
{
    struct timespec times[2] = {{.tv_sec = (time_t)attrs->atime}, {.tv_sec = (time_t)attrs->mtime}};
    if ((attrs->flags & NACRE_SFTP_ATTR_PERMISSIONS) &&
        chmod(local, attrs->permissions & 0777) != 0) {
        return complain("set mode of local %s: %s", shown(local), strerror(errno));
    }
    if ((attrs->flags & NACRE_SFTP_ATTR_ACMODTIME) && utimensat(AT_FDCWD, local, times, 0) != 0) {
        return complain("set times of local %s: %s", shown(local), strerror(errno));
    }
    return 0;
}

static int get_tree(job *j, const char *remote, const char *local, const nacre_sftp_attrs *attrs,
                    int depth);

static int get_entry(job *j, const char *dir, const char *local, const nacre_sftp_name *e,
                     int depth)
{
    const char *name = (const char *)e->name.p;
    if (!nacre_sftp_name_is_plain(e->name)) {
        return complain("%s: the server lists a name that no file can have: %s", shown(dir),
                        shown(name));
    }
    char *from = joined(dir, name);
    char *to = joined(local, name);
    int rc = 0;
    if (is_dir(&e->attrs)) {
        rc = get_tree(j, from, to, &e->attrs, depth + 1);
    } else if (is_file(&e->attrs) || !(e->attrs.flags & NACRE_SFTP_ATTR_PERMISSIONS)) {
        tell(j->a, "Fetching %s to %s\n", shown(from), shown(to));
        rc = get_file(j, from, to);
    } else {
        tell(j->a, "%s: not a regular file, skipped\n", shown(from));
    }
    free(from);
    free(to);
    return rc;
}

static int get_tree(job *j, const char *remote, const char *local, const nacre_sftp_attrs *attrs,
                    int depth)
{
    nacre_sftp_list list;
    int rc = 0;
    if (depth >= MAX_DEPTH) {
        return complain("%s: more than %d directories deep", shown(remote), (int)MAX_DEPTH);
    }
    tell(j->a, "Retrieving %s\n", shown(remote));
    if (mkdir(local, 0777) != 0 && !(errno == EEXIST && local_is_dir(local))) {
        return complain("make local directory %s: %s", shown(local), strerror(errno));
    }
    if (nacre_sftp_listdir(j->a->s, remote, &list) != NACRE_OK) {
        return complain_sftp(j->a);
    }
    for (size_t i = 0; i < list.count && !stopped(j); i++) {
        rc |= get_entry(j, remote, local, &list.entries[i], depth);
    }
    nacre_sftp_list_free(&list);
    if (j->flags.preserve && !stopped(j)) {
        rc |= set_local_dir(local, attrs);
    }
    return rc;
}

/* Where one of the matches goes. */
static char *local_target(const char *remote, const char *to, bool into_dir)
{
    if (!to) {
        return keep(strdup(base_name(remote)));
    }
    return into_dir ? joined(to, base_name(remote)) : keep(strdup(to));
}

static void strip_slashes(char *path)
{
    size_t n = strlen(path);
    while (n > 1 && path[n - 1] == '/') {
        path[--n] = '\0';
    }
}

static int get_one(job *j, char *remote, const char *to, bool into_dir)
{
    nacre_sftp_attrs attrs;
    int rc;
    strip_slashes(remote);
    if (!*base_name(remote) || strcmp(base_name(remote), "..") == 0) {
        if (!to) {
            return complain("%s has no name of its own: say where to", shown(remote));
        }
        into_dir = false;
    }
    char *local = local_target(remote, to, into_dir);
    if (j->flags.recursive && nacre_sftp_stat(j->a->s, remote, &attrs) == NACRE_OK &&
        is_dir(&attrs)) {
        rc = get_tree(j, remote, local, &attrs, 0);
    } else {
        tell(j->a, "Fetching %s to %s\n", shown(remote), shown(local));
        rc = get_file(j, remote, local);
    }
    free(local);
    return rc;
}

int get_command(app *a, const transfer_flags *f, const word *from, const char *to)
{
    job j = {.a = a, .flags = *f};
    names found;
    if (remote_glob(a, from, &found) != 0) {
        return -1;
    }
    bool into_dir = to && local_is_dir(to);
    int rc = 0;
    if (found.count > 1 && to && !into_dir) {
        rc = complain("several files, but local %s is not a directory", shown(to));
    }
    for (size_t i = 0; i < found.count && rc == 0 && !stopped(&j); i++) {
        rc = get_one(&j, found.at[i], to, into_dir);
    }
    names_free(&found);
    return rc;
}

/* ---- up ----------------------------------------------------------------------------------------------- */

static int put_file(job *j, const char *local, const char *remote)
{
    app *a = j->a;
    nacre_sftp_transfer_options t;
    fill_options(j, &t);
    progress_begin(a, local);
    int rc = nacre_sftp_put(a->s, local, remote, &t);
    progress_end(a, rc == NACRE_OK);
    return rc == NACRE_OK ? 0 : complain_sftp(a);
}

static int make_remote_dir(job *j, const char *remote, const struct stat *st)
{
    app *a = j->a;
    if (nacre_sftp_mkdir(a->s, remote, st->st_mode & 0777) == NACRE_OK) {
        return 0;
    }
    nacre_error why = *nacre_sftp_error(a->s);
    if (why.status == NACRE_SFTP_STATUS && remote_is_dir(a, remote)) {
        return 0;
    }
    return complain("%s", why.text);
}

static int set_remote_dir(job *j, const char *remote, const struct stat *st)
{
    nacre_sftp_attrs attrs = {.flags = NACRE_SFTP_ATTR_PERMISSIONS | NACRE_SFTP_ATTR_ACMODTIME,
                              .permissions = st->st_mode & 07777,
                              .atime = (uint32_t)st->st_atime,
                              .mtime = (uint32_t)st->st_mtime};
    return nacre_sftp_setstat(j->a->s, remote, &attrs) == NACRE_OK ? 0 : complain_sftp(j->a);
}

static int put_tree(job *j, const char *local, const char *remote, const struct stat *st,
                    int depth);

static int put_entry(job *j, const char *local, const char *remote, int depth)
{
    struct stat st;
    if (lstat(local, &st) != 0) {
        return complain("stat local %s: %s", shown(local), strerror(errno));
    }
    if (S_ISDIR(st.st_mode)) {
        return put_tree(j, local, remote, &st, depth + 1);
    }
    if (!S_ISREG(st.st_mode)) {
        tell(j->a, "local %s: not a regular file, skipped\n", shown(local));
        return 0;
    }
    tell(j->a, "Uploading %s to %s\n", shown(local), shown(remote));
    return put_file(j, local, remote);
}

static int local_names(const char *dir, names *out)
{
    DIR *d = opendir(dir);
    struct dirent *e;
    memset(out, 0, sizeof(*out));
    if (!d) {
        return complain("open local directory %s: %s", shown(dir), strerror(errno));
    }
    while ((e = readdir(d))) {
        if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0) {
            names_add(out, keep(strdup(e->d_name)));
        }
    }
    closedir(d);
    names_sort(out);
    return 0;
}

static int put_tree(job *j, const char *local, const char *remote, const struct stat *st, int depth)
{
    names list;
    if (depth >= MAX_DEPTH) {
        return complain("local %s: more than %d directories deep", shown(local), (int)MAX_DEPTH);
    }
    tell(j->a, "Entering %s\n", shown(local));
    if (make_remote_dir(j, remote, st) != 0 || local_names(local, &list) != 0) {
        return -1;
    }
    int rc = 0;
    for (size_t i = 0; i < list.count && !stopped(j); i++) {
        char *from = joined(local, list.at[i]);
        char *to = joined(remote, list.at[i]);
        rc |= put_entry(j, from, to, depth);
        free(from);
        free(to);
    }
    names_free(&list);
    if (j->flags.preserve && !stopped(j)) {
        rc |= set_remote_dir(j, remote, st);
    }
    return rc;
}

static int put_one(job *j, char *local, const char *to, bool into_dir)
{
    struct stat st;
    strip_slashes(local);
    if (stat(local, &st) != 0) {
        return complain("stat local %s: %s", shown(local), strerror(errno));
    }
    const char *name = base_name(local);
    bool nameless = !*name || strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
    char *named = into_dir && !nameless ? joined(to, name) : keep(strdup(to));
    int rc;
    if (S_ISDIR(st.st_mode) && !j->flags.recursive) {
        rc = complain("local %s is a directory: use put -R", shown(local));
    } else if (S_ISDIR(st.st_mode)) {
        rc = put_tree(j, local, named, &st, 0);
    } else {
        tell(j->a, "Uploading %s to %s\n", shown(local), shown(named));
        rc = put_file(j, local, named);
    }
    free(named);
    return rc;
}

int put_command(app *a, const transfer_flags *f, const word *from, const char *to)
{
    job j = {.a = a, .flags = *f};
    names found;
    if (local_glob(from, &found) != 0) {
        return -1;
    }
    char *target = to ? absolute(a, to) : keep(strdup(a->pwd));
    bool into_dir = !to || remote_is_dir(a, target);
    int rc = 0;
    if (found.count > 1 && !into_dir) {
        rc = complain("several files, but remote %s is not a directory", shown(target));
    }
    for (size_t i = 0; i < found.count && rc == 0 && !stopped(&j); i++) {
        rc = put_one(&j, found.at[i], target, into_dir);
    }
    names_free(&found);
    free(target);
    return rc;
}
