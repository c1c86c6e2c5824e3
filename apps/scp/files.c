/*
 * files.c - between this machine and one server: what is copied to where, by scp(1)'s rules of names, as one
 * job of the library for each server.
 */
#include "scp.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* ---- jobs ---- */

struct jobs {
    scp *a;
    far *f;
    bool up;
    nacre_sftp_tree_options options;
    nacre_sftp_job *now;
    char **targets; /* of now */
    size_t count;
};

jobs *jobs_new(scp *a, far *f, bool up)
{
    jobs *j = keep(calloc(1, sizeof(*j)));
    j->a = a;
    j->f = f;
    j->up = up;
    nacre_sftp_tree_options_init(&j->options);
    j->options.recursive = a->args.recursive;
    j->options.links = NACRE_SFTP_LINKS_FOLLOW;
    j->options.on_item = on_item;
    j->options.user = a;
    nacre_sftp_transfer_options *t = &j->options.transfer;
    t->preserve = a->args.preserve;
    t->in_place = up; /* what is copied onto itself stays whole */
    t->rate = a->args.rate;
    t->max_requests = a->args.requests;
    t->progress = on_progress;
    t->user = a;
    return j;
}

static void run_now(jobs *j)
{
    nacre_sftp_report report;
    if (!j->now) {
        return;
    }
    memset(&report, 0, sizeof(report));
    int rc = j->a->interrupted ? NACRE_CANCELLED : nacre_sftp_job_run(j->now, &report);
    if (rc != NACRE_OK && rc != NACRE_SOME_FAILED && !j->a->interrupted) {
        fail_badly(j->a, "%s", nacre_sftp_error(j->f->s)->text);
    }
    nacre_sftp_report_free(&report);
    nacre_sftp_job_free(j->now);
    j->now = NULL;
    for (size_t i = 0; i < j->count; i++) {
        free(j->targets[i]);
    }
    j->count = 0;
}

/* Files of one job are written at the same time: two of them must not have the same name. */
static bool is_taken(const jobs *j, const char *to)
{
    for (size_t i = 0; i < j->count; i++) {
        if (strcmp(j->targets[i], to) == 0) {
            return true;
        }
    }
    return false;
}

void jobs_add(jobs *j, const char *from, const char *to)
{
    if (is_taken(j, to)) {
        run_now(j);
    }
    int rc = NACRE_OK;
    if (!j->now) {
        rc = nacre_sftp_job_new(&j->now, j->f->s, &j->options);
    }
    if (rc == NACRE_OK) {
        rc = j->up ? nacre_sftp_job_put(j->now, from, to) : nacre_sftp_job_get(j->now, from, to);
    }
    if (rc != NACRE_OK) {
        fail(j->a, "%s: %s", shown(from), nacre_status_text(rc));
        return;
    }
    j->targets = keep(realloc(j->targets, (j->count + 1) * sizeof(*j->targets)));
    j->targets[j->count++] = keep(strdup(to));
}

void jobs_run(jobs *j)
{
    run_now(j);
    free(j->targets);
    free(j);
}

/* ---- up ---- */

static bool is_directory(const char *path, bool *there)
{
    struct stat st;
    *there = stat(path, &st) == 0;
    return *there && S_ISDIR(st.st_mode);
}

/* A source that can be sent at all; else it was told why not. */
static bool is_source(scp *a, const char *path)
{
    struct stat st;
    if (stat(path, &st) != 0) {
        fail_badly(a, "%s: %s", shown(path), strerror(errno));
        return false;
    }
    if (S_ISDIR(st.st_mode) ? !a->args.recursive : !S_ISREG(st.st_mode)) {
        fail(a, "%s: not a regular file", shown(path));
        return false;
    }
    return true;
}

static void add_up(scp *a, far *f, const place *sources, const bool *good, size_t count,
                   const char *target)
{
    bool directory = false, there;
    if (nacre_sftp_isdir(f->s, target, &directory) != NACRE_OK) {
        fail_sftp(a, f->s, target);
        return;
    }
    if (a->args.to_directory && !directory) {
        if (nacre_sftp_mkdir(f->s, target, 0777) != NACRE_OK) {
            fail_badly(a, "%s: %s", shown(target), nacre_sftp_error(f->s)->text);
            return;
        }
        directory = true;
    }
    jobs *j = jobs_new(a, f, true);
    for (size_t i = 0; i < count; i++) {
        if (!good[i]) {
            continue;
        }
        if (!directory && name_of_directory(target) && !is_directory(sources[i].path, &there)) {
            fail(a, "%s: Not a directory", shown(target));
            continue;
        }
        char *name = keep(name_of(sources[i].path));
        char *to = keep(name_in(target, directory ? name : ""));
        jobs_add(j, sources[i].path, to);
        free(name);
        free(to);
    }
    jobs_run(j);
}

void copy_up(scp *a, const place *sources, size_t count, const place *target)
{
    far f;
    bool *good = keep(calloc(count ? count : 1, sizeof(*good)));
    bool any = false;
    for (size_t i = 0; i < count; i++) {
        good[i] = is_source(a, sources[i].path);
        any = any || good[i];
    }
    /* Nobody is asked for a password for nothing. */
    if (any && far_open(a, &f, target, NULL)) {
        char *path = far_path(a, &f, target->path);
        if (path) {
            add_up(a, &f, sources, good, count, path);
            free(path);
        }
        far_close(a, &f);
    }
    free(good);
}

/* ---- down ---- */

/*
 * A name that the server made up must not become a path here. Names that were typed pass as well: they are
 * last parts of paths, which have no slash in them.
 */
static bool fits_here(const char *name)
{
    return nacre_sftp_name_is_plain((nacre_span){(const uint8_t *)name, strlen(name)});
}

/* A file cannot become what has a slash behind its name; true: told. */
static bool is_file_for_directory(scp *a, nacre_sftp *s, const char *from, const char *target)
{
    bool directory = false;
    if (!name_of_directory(target) ||
        (a->args.recursive && nacre_sftp_isdir(s, from, &directory) == NACRE_OK && directory)) {
        return false;
    }
    fail(a, "%s: Not a directory", shown(target));
    return true;
}

static void add_matches(scp *a, jobs *j, const far_names *found, const char *target)
{
    bool there;
    bool directory = is_directory(target, &there);
    if (found->count > 1 && !directory) {
        if (there) {
            fail(a, "Multiple files match pattern, but destination \"%s\" is not a directory",
                 shown(target));
            return;
        }
        if (mkdir(target, 0777) != 0) {
            fail(a, "local mkdir \"%s\": %s", shown(target), strerror(errno));
            return;
        }
        directory = true;
    }
    for (size_t i = 0; i < found->count; i++) {
        char *name = keep(name_of(found->at[i]));
        if (directory && *name && !fits_here(name)) {
            fail(a, "%s: no name for a file here", shown(found->at[i]));
        } else if (directory || !is_file_for_directory(a, j->f->s, found->at[i], target)) {
            char *to = keep(name_in(target, directory ? name : ""));
            jobs_add(j, found->at[i], to);
            free(to);
        }
        free(name);
    }
}

static void fetch(scp *a, const place *sources, bool *done, size_t count, const char *target)
{
    far f;
    const place *first = NULL;
    for (size_t i = 0; i < count && !first; i++) {
        first = done[i] ? NULL : &sources[i];
    }
    bool open = far_open(a, &f, first, NULL);
    jobs *j = open ? jobs_new(a, &f, false) : NULL;
    for (size_t i = 0; i < count; i++) {
        if (done[i] || !place_same_host(first, &sources[i])) {
            continue;
        }
        far_names found;
        done[i] = true;
        if (open && !a->interrupted && far_sources(a, &f, sources[i].path, &found)) {
            add_matches(a, j, &found, target);
            far_names_free(&found);
        }
    }
    if (open) {
        jobs_run(j);
        far_close(a, &f);
    }
}

void copy_down(scp *a, const place *sources, size_t count, const char *target)
{
    bool *done = keep(calloc(count ? count : 1, sizeof(*done)));
    size_t left = 0;
    for (size_t i = 0; i < count; i++) {
        done[i] = !sources[i].remote;
        left += done[i] ? 0 : 1;
    }
    /* What comes from one server comes over one connection, wherever it stands in the line. */
    while (left > 0 && !a->interrupted) {
        fetch(a, sources, done, count, target);
        left = 0;
        for (size_t i = 0; i < count; i++) {
            left += done[i] ? 0 : 1;
        }
    }
    free(done);
}
