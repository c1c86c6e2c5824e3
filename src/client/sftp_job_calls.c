/*
 * sftp_job_calls.c - the usual jobs in one call: trees, the files of one directory, and what matches a
 * pattern.
 */
#include "client/sftp_job.h"

#include <errno.h>
#include <glob.h>
#include <string.h>
#include <sys/stat.h>

static void no_report(nacre_sftp *s, nacre_sftp_report *report)
{
    if (report) {
        memset(report, 0, sizeof(*report));
        report->allocator = s->alloc;
    }
}

static int run(nacre_sftp_job *j, int rc, nacre_sftp_report *report)
{
    if (rc == NACRE_OK) {
        rc = nacre_sftp_job_run(j, report);
    }
    nacre_sftp_job_free(j);
    return rc;
}

static int tree(nacre_sftp *s, bool up, bool flat, const char *from, const char *to,
                const nacre_sftp_tree_options *o, nacre_sftp_report *report)
{
    nacre_sftp_job *j = NULL;
    no_report(s, report);
    int rc = nacre_sftp_job_new(&j, s, o);
    if (rc != NACRE_OK) {
        return rc;
    }
    j->o.recursive = true;
    if (flat) {
        rc = nc_job_flat(j, up, from, to);
    } else {
        rc = up ? nacre_sftp_job_put(j, from, to) : nacre_sftp_job_get(j, from, to);
    }
    return run(j, rc, report);
}

int nacre_sftp_get_r(nacre_sftp *s, const char *remote, const char *local,
                     const nacre_sftp_tree_options *o, nacre_sftp_report *report)
{
    return tree(s, false, false, remote, local, o, report);
}

int nacre_sftp_put_r(nacre_sftp *s, const char *local, const char *remote,
                     const nacre_sftp_tree_options *o, nacre_sftp_report *report)
{
    return tree(s, true, false, local, remote, o, report);
}

int nacre_sftp_get_d(nacre_sftp *s, const char *remote, const char *local,
                     const nacre_sftp_tree_options *o, nacre_sftp_report *report)
{
    return tree(s, false, true, remote, local, o, report);
}

int nacre_sftp_put_d(nacre_sftp *s, const char *local, const char *remote,
                     const nacre_sftp_tree_options *o, nacre_sftp_report *report)
{
    return tree(s, true, true, local, remote, o, report);
}

/* ---- patterns ----------------------------------------------------------------------------------------- */

/* The last name of a path, without slashes behind it. */
static nacre_span last_name(const char *path)
{
    size_t end = strlen(path);
    while (end > 0 && path[end - 1] == '/') {
        end--;
    }
    size_t begin = end;
    while (begin > 0 && path[begin - 1] != '/') {
        begin--;
    }
    return nc_span(path + begin, end - begin);
}

static int check_local_dir(nacre_sftp *s, const char *path)
{
    struct stat st;
    if (stat(path, &st) != 0) {
        return nc_sftp_fail_errno(s, "stat local", path);
    }
    return S_ISDIR(st.st_mode)
               ? NACRE_OK
               : nc_sftp_fail(s, NACRE_INVALID_ARGUMENT, "local %s is not a directory", path);
}

static int add_remote(nacre_sftp_job *j, const nacre_sftp_list *found, const char *local_dir)
{
    nc_job_dir *into = nc_job_into(j, local_dir);
    int rc = into ? NACRE_OK : nc_sftp_fail(j->s, NACRE_NO_MEMORY, "no memory for a job");
    for (size_t i = 0; i < found->count && rc == NACRE_OK; i++) {
        const char *path = (const char *)found->entries[i].name.p;
        nacre_span base = last_name(path);
        if (!nacre_sftp_name_is_plain(base)) {
            rc = nc_sftp_fail(j->s, NACRE_INVALID_ARGUMENT, "%s has no name to go by", path);
            break;
        }
        char *name = nc_strndup(j->alloc, base);
        rc = name ? nc_job_get_into(j, path, into, name)
                  : nc_sftp_fail(j->s, NACRE_NO_MEMORY, "no memory for a job");
        nc_free(j->alloc, name);
    }
    if (into && rc == NACRE_OK) {
        nc_job_dir_drop(into);
    }
    return rc;
}

int nacre_sftp_get_glob(nacre_sftp *s, const char *pattern, const char *local_dir,
                        const nacre_sftp_tree_options *o, nacre_sftp_report *report)
{
    nacre_sftp_job *j = NULL;
    nacre_sftp_list found = {0};
    no_report(s, report);
    int rc = check_local_dir(s, local_dir);
    rc = rc == NACRE_OK ? nacre_sftp_glob(s, pattern, &found) : rc;
    if (rc == NACRE_OK && found.count == 0) {
        rc = nc_sftp_fail(s, NACRE_NOT_FOUND, "nothing matches %s", pattern);
    }
    rc = rc == NACRE_OK ? nacre_sftp_job_new(&j, s, o) : rc;
    rc = rc == NACRE_OK ? add_remote(j, &found, local_dir) : rc;
    nacre_sftp_list_free(&found);
    return run(j, rc, report);
}

static int add_local(nacre_sftp_job *j, const glob_t *found, const char *remote_dir)
{
    int rc = NACRE_OK;
    for (size_t i = 0; i < found->gl_pathc && rc == NACRE_OK; i++) {
        nacre_span base = last_name(found->gl_pathv[i]);
        if (!nacre_sftp_name_is_plain(base)) {
            return nc_sftp_fail(j->s, NACRE_INVALID_ARGUMENT, "local %s has no name to go by",
                                found->gl_pathv[i]);
        }
        char *to = nc_job_join(j, remote_dir, base);
        rc = to ? nacre_sftp_job_put(j, found->gl_pathv[i], to)
                : nc_sftp_fail(j->s, NACRE_NO_MEMORY, "no memory for a job");
        nc_free(j->alloc, to);
    }
    return rc;
}

static int find_local(nacre_sftp *s, const char *pattern, glob_t *found)
{
    switch (glob(pattern, 0, NULL, found)) {
    case 0:
        return NACRE_OK;
    case GLOB_NOMATCH:
        return nc_sftp_fail(s, NACRE_NOT_FOUND, "nothing local matches %s", pattern);
    default:
        return nc_sftp_fail(s, NACRE_NO_MEMORY, "no memory for what matches local %s", pattern);
    }
}

int nacre_sftp_put_glob(nacre_sftp *s, const char *pattern, const char *remote_dir,
                        const nacre_sftp_tree_options *o, nacre_sftp_report *report)
{
    nacre_sftp_job *j = NULL;
    bool is = false;
    glob_t found;
    memset(&found, 0, sizeof(found));
    no_report(s, report);
    int rc = nacre_sftp_isdir(s, remote_dir, &is);
    if (rc == NACRE_OK && !is) {
        rc = nc_sftp_fail(s, NACRE_NOT_FOUND, "remote %s is not a directory", remote_dir);
    }
    rc = rc == NACRE_OK ? find_local(s, pattern, &found) : rc;
    rc = rc == NACRE_OK ? nacre_sftp_job_new(&j, s, o) : rc;
    rc = rc == NACRE_OK ? add_local(j, &found, remote_dir) : rc;
    globfree(&found);
    return run(j, rc, report);
}
