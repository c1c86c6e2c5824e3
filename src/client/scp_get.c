/*
 * scp_get.c - what remote paths name, to a local path.
 */
#include "client/scp.h"

#include "io/scp_files.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

typedef struct get_job {
    nacre_scp *s;
    nc_scp_run run;
    nc_scp_book book;
    nc_scp_place *place;
    const char *remote;
    uint64_t bytes, total; /* of the present file */
} get_job;

static nacre_sftp_item item_of(const get_job *j, bool directory, uint64_t bytes)
{
    nacre_sftp_item item;
    memset(&item, 0, sizeof(item));
    item.directory = directory;
    item.from = j->remote;
    item.to = nc_scp_place_path(j->place);
    item.bytes = bytes;
    return item;
}

/* After each thing: shall the call go on? */
static int go_on(const get_job *j, int rc, nacre_error *why)
{
    if (j->book.stopped) {
        *why = j->book.first;
        return NACRE_CANCELLED;
    }
    return rc;
}

static int cancelled(nacre_error *why)
{
    return nc_fail(why, NACRE_CANCELLED, "cancelled");
}

static int get_file(void *user, const nc_scp_record *r, nacre_error *why)
{
    get_job *j = user;
    j->bytes = 0;
    j->total = r->st.size;
    int rc = nc_scp_place_ops.file(j->place, r, why);
    nacre_sftp_item item = item_of(j, false, 0);
    nc_scp_book_started(&j->book, &item);
    if (rc != NACRE_OK) {
        nc_scp_book_over(&j->book, &item, why);
        return go_on(j, rc, why);
    }
    return nc_scp_book_progress(&j->book, item.to, 0, j->total, true) ? rc : cancelled(why);
}

static int get_write(void *user, nacre_span data, nacre_error *why)
{
    get_job *j = user;
    int rc = nc_scp_place_ops.write(j->place, data, why);
    if (rc != NACRE_OK && (why->detail == ENOSPC || why->detail == EDQUOT)) {
        return NACRE_CANCELLED; /* no later file would find room either */
    }
    j->bytes += rc == NACRE_OK ? data.n : 0;
    if (!nc_scp_book_progress(&j->book, nc_scp_place_path(j->place), j->bytes, j->total, false)) {
        return cancelled(why);
    }
    return rc;
}

static int get_finish(void *user, bool whole, nacre_error *why)
{
    get_job *j = user;
    int rc = nc_scp_place_ops.finish(j->place, whole, why);
    nacre_sftp_item item = item_of(j, false, j->bytes);
    nc_scp_book_over(&j->book, &item, why);
    if (why->status == NACRE_OK &&
        !nc_scp_book_progress(&j->book, item.to, j->bytes, j->total, true)) {
        return cancelled(why);
    }
    return go_on(j, rc, why);
}

static int get_enter(void *user, const nc_scp_record *r, nacre_error *why)
{
    get_job *j = user;
    int rc = nc_scp_place_ops.enter(j->place, r, why);
    nacre_sftp_item item = item_of(j, true, 0);
    nc_scp_book_started(&j->book, &item);
    nc_scp_book_over(&j->book, &item, why);
    return go_on(j, rc, why);
}

static int get_leave(void *user, nacre_error *why)
{
    get_job *j = user;
    int rc = nc_scp_place_ops.leave(j->place, why);
    if (rc != NACRE_OK) {
        nacre_sftp_item item = item_of(j, true, 0);
        nc_scp_book_over(&j->book, &item, why);
    }
    return go_on(j, rc, why);
}

static void fail_remote(get_job *j, const nacre_error *why)
{
    nacre_sftp_item item = item_of(j, false, 0);
    item.to = "";
    nc_scp_book_over(&j->book, &item, why);
}

static void get_note(void *user, const char *text)
{
    nacre_error why = {.status = NACRE_OK};
    nc_fail(&why, NACRE_SCP_REFUSED, "%s", text);
    why.by = NACRE_BY_PEER;
    fail_remote(user, &why);
}

static int run(get_job *j)
{
    static const nc_scp_sink_ops ops = {get_file,   get_enter, get_write,
                                        get_finish, get_leave, get_note};
    const nacre_scp_options *o = &j->s->o;
    nc_scp_expected expected;
    nc_scp_command what = {'f', j->remote, o->preserve, false};
    nc_scp_sink_options so = {
        .allocator = j->s->alloc, .recursive = o->recursive, .max_depth = o->max_depth};
    int rc = o->any_name ? NACRE_OK : nc_scp_expect(o->names, j->remote, &expected, &j->s->err);
    if (rc == NACRE_OK && !o->any_name) {
        so.pattern = expected.pattern;
        so.single = expected.single;
    }
    if (rc == NACRE_OK) {
        rc = nc_scp_run_open(&j->run, j->s, &what);
    }
    if (rc != NACRE_OK) {
        return rc;
    }
    rc = nc_scp_sink_new(&j->run.sink, &j->run.pipe, &ops, j, &so);
    rc =
        rc == NACRE_OK ? nc_scp_run_wait(&j->run) : nc_fail(&j->s->err, rc, "no memory for a copy");
    if (rc == NACRE_OK && nc_scp_sink_things(j->run.sink) == 0 &&
        nc_scp_sink_failures(j->run.sink) == 0) {
        rc = nc_fail(&j->s->err, NACRE_SCP_REFUSED, "%s: the server sent nothing",
                     NC_ESC(nc_span_cstr(j->remote)));
    }
    nc_scp_run_close(&j->run);
    return rc;
}

/* One path's own trouble: the next one may do better. */
static bool is_of_one(int rc)
{
    return rc == NACRE_SCP_REFUSED || rc == NACRE_INCOMPLETE;
}

/* The file that was on the way; else the path that was asked for. */
static void name_what_was_cut(get_job *j)
{
    nacre_error why = j->s->err;
    const char *path = j->bytes < j->total ? nc_scp_place_path(j->place) : j->remote;
    (void)snprintf(j->s->err.text, sizeof(j->s->err.text), "%.300s: %.400s",
                   NC_ESC(nc_span_cstr(path)), why.text);
}

/* When everything ends - the connection, the time, the caller's patience - it is said where it was. */
static void add_where(get_job *j)
{
    char *text = j->s->err.text;
    size_t n = strlen(text);
    if (j->bytes < j->total && j->s->err.detail != ENOSPC && j->s->err.detail != EDQUOT) {
        (void)snprintf(text + n, sizeof(j->s->err.text) - n,
                       "; %s is not there: %llu of %llu bytes had come",
                       NC_ESC(nc_span_cstr(nc_scp_place_path(j->place))),
                       (unsigned long long)j->bytes, (unsigned long long)j->total);
    }
}

static int run_all(get_job *j, const char *const *remote, size_t count)
{
    int rc = NACRE_OK;
    for (size_t i = 0; i < count && rc == NACRE_OK && !j->book.stopped; i++) {
        j->remote = remote[i];
        rc = run(j);
        if (rc == NACRE_INCOMPLETE) {
            name_what_was_cut(j);
        } else if (rc != NACRE_OK && !is_of_one(rc)) {
            add_where(j);
        }
        if (is_of_one(rc)) {
            nacre_error why = j->s->err;
            fail_remote(j, &why);
        }
        if (is_of_one(rc) && count > 1) {
            nc_error_clear(&j->s->err);
            rc = NACRE_OK;
        }
    }
    return rc;
}

int nacre_scp_get(nacre_scp *s, const char *const *remote, size_t count, const char *local,
                  nacre_sftp_report *report)
{
    get_job j;
    memset(&j, 0, sizeof(j));
    j.s = s;
    nc_error_clear(&s->err);
    nc_scp_book_begin(&j.book, s, report);
    nc_scp_place_options po = {.allocator = s->alloc,
                               .at = AT_FDCWD,
                               .target = local,
                               .to_directory = s->o.to_directory || count > 1,
                               .preserve = s->o.preserve,
                               .keep_special = s->o.keep_special,
                               .umask = -1};
    int rc = count == 0 ? nc_fail(&s->err, NACRE_INVALID_ARGUMENT, "nothing to copy")
                        : nc_scp_place_new(&j.place, &po, &s->err);
    if (rc == NACRE_OK) {
        rc = run_all(&j, remote, count);
        nc_scp_place_free(j.place);
    }
    rc = nc_scp_book_result(&j.book, rc);
    nc_scp_book_end(&j.book);
    return rc;
}
