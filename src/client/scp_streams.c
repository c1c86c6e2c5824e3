/*
 * scp_streams.c - one remote file into a function, or out of one.
 */
#include "client/scp.h"

#include <string.h>

/* ---- a function's bytes to a remote file ---------------------------------------------------------------- */

typedef struct put_job {
    nacre_scp *s;
    nc_scp_run run;
    nc_scp_book book;
    nacre_sftp_read_fn read;
    void *user;
    nc_scp_record record;
    const char *remote;
    uint64_t done;
    bool announced;
    nacre_error why; /* the peer's, about the file */
} put_job;

static int next(void *user, nc_scp_record *out, nacre_error *why)
{
    put_job *j = user;
    if (j->announced) {
        out->kind = NC_SCP_DONE;
        return NACRE_OK;
    }
    j->announced = true;
    *out = j->record;
    return nc_scp_book_progress(&j->book, j->remote, 0, j->record.st.size, true)
               ? NACRE_OK
               : nc_fail(why, NACRE_CANCELLED, "cancelled");
}

static int read_piece(void *user, const nacre_room *rooms, size_t count, size_t want, size_t *got,
                      nacre_error *why)
{
    put_job *j = user;
    size_t n = want < rooms[0].n ? want : rooms[0].n;
    (void)count;
    n = nc_scp_run_may(&j->run, n);
    if (n == 0) {
        return NACRE_AGAIN;
    }
    if (!j->read(j->user, rooms[0].p, n, got)) {
        *got = 0;
        return nc_fail(why, NACRE_CANCELLED, "cancelled");
    }
    *got = *got < n ? *got : n;
    j->done += *got;
    return nc_scp_book_progress(&j->book, j->remote, j->done, j->record.st.size, false)
               ? NACRE_OK
               : nc_fail(why, NACRE_CANCELLED, "cancelled");
}

static void over(void *user, const nc_scp_record *r, const nacre_error *why)
{
    put_job *j = user;
    (void)r;
    j->why = *why;
    if (why->status == NACRE_OK) {
        (void)nc_scp_book_progress(&j->book, j->remote, j->done, j->record.st.size, true);
    }
}

static void put_note(void *user, const char *text)
{
    put_job *j = user;
    nc_fail(&j->why, NACRE_SCP_REFUSED, "%s", text);
    if (j->s->o.on_warning) {
        j->s->o.on_warning(j->s->o.user, text);
    }
}

static int run_put(put_job *j)
{
    static const nc_scp_source_ops ops = {next, read_piece, over, put_note};
    nc_scp_source_options so = {.allocator = j->s->alloc, .pad_max = 0};
    const nacre_scp_options *o = &j->s->o;
    nc_scp_command what = {'t', j->remote, o->preserve || j->record.st.has_times, o->to_directory};
    int rc = nc_scp_run_open(&j->run, j->s, &what);
    if (rc != NACRE_OK) {
        return rc;
    }
    so.pipelined = nc_scp_run_pipelined(&j->run);
    rc = nc_scp_source_new(&j->run.source, &j->run.pipe, &ops, j, &so);
    rc =
        rc == NACRE_OK ? nc_scp_run_wait(&j->run) : nc_fail(&j->s->err, rc, "no memory for a copy");
    nc_scp_run_close(&j->run);
    if (rc == NACRE_OK && j->why.status != NACRE_OK) {
        j->s->err = j->why;
        rc = j->why.status;
    }
    return rc;
}

static const char *base_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

int nacre_scp_putfo(nacre_scp *s, nacre_sftp_read_fn read, void *stream_user,
                    const nacre_scp_stat *st, const char *name, const char *remote)
{
    put_job j;
    memset(&j, 0, sizeof(j));
    j.s = s;
    j.read = read;
    j.user = stream_user;
    j.remote = remote;
    j.record.kind = NC_SCP_FILE;
    j.record.st = *st;
    j.record.name = nc_span_cstr(name ? name : base_of(remote));
    nc_error_clear(&s->err);
    if (st->size > INT64_MAX) {
        return nc_fail(&s->err, NACRE_INVALID_ARGUMENT, "the size of the stream must be known");
    }
    if (!nc_scp_name_ok(j.record.name, true)) {
        return name ? nc_fail(&s->err, NACRE_INVALID_ARGUMENT, "\"%s\" is no name for a file",
                              NC_ESC(nc_span_cstr(name)))
                    : nc_fail(&s->err, NACRE_INVALID_ARGUMENT,
                              "remote path \"%s\" ends in no name for a file",
                              NC_ESC(nc_span_cstr(remote)));
    }
    nc_scp_book_begin(&j.book, s, NULL);
    int rc = run_put(&j);
    nc_scp_book_end(&j.book);
    return rc;
}

/* ---- a remote file into a function ---------------------------------------------------------------------- */

typedef struct get_job {
    nacre_scp *s;
    nc_scp_run run;
    nc_scp_book book;
    nacre_scp_begin_fn begin;
    nacre_sftp_write_fn write;
    void *user;
    const char *remote;
    nacre_scp_stat st;
    uint64_t done;
    nacre_error why;
} get_job;

static int file(void *user, const nc_scp_record *r, nacre_error *why)
{
    get_job *j = user;
    j->st = r->st;
    bool yes = !j->begin || j->begin(j->user, &j->st);
    yes = yes && nc_scp_book_progress(&j->book, j->remote, 0, j->st.size, true);
    return yes ? NACRE_OK : nc_fail(why, NACRE_CANCELLED, "cancelled");
}

static int enter(void *user, const nc_scp_record *r, nacre_error *why)
{
    (void)user;
    return nc_fail(why, NACRE_INVALID_ARGUMENT, "%s: is a directory", NC_ESC(r->name));
}

static int write_piece(void *user, nacre_span data, nacre_error *why)
{
    get_job *j = user;
    bool yes = j->write(j->user, data.p, data.n);
    j->done += data.n;
    yes = yes && nc_scp_book_progress(&j->book, j->remote, j->done, j->st.size, false);
    return yes ? NACRE_OK : nc_fail(why, NACRE_CANCELLED, "cancelled");
}

static int finish(void *user, bool whole, nacre_error *why)
{
    get_job *j = user;
    if (!whole) {
        j->why = *why;
        return NACRE_OK;
    }
    return nc_scp_book_progress(&j->book, j->remote, j->done, j->st.size, true)
               ? NACRE_OK
               : nc_fail(why, NACRE_CANCELLED, "cancelled");
}

static int leave(void *user, nacre_error *why)
{
    (void)user;
    (void)why;
    return NACRE_OK;
}

static void get_note(void *user, const char *text)
{
    get_job *j = user;
    nc_fail(&j->why, NACRE_SCP_REFUSED, "%s", text);
    j->why.by = NACRE_BY_PEER;
    if (j->s->o.on_warning) {
        j->s->o.on_warning(j->s->o.user, text);
    }
}

static int run_get(get_job *j)
{
    static const nc_scp_sink_ops ops = {file, enter, write_piece, finish, leave, get_note};
    nc_scp_expected expected;
    nc_scp_command what = {'f', j->remote, true, false}; /* its times are part of what is told */
    nc_scp_sink_options so = {.allocator = j->s->alloc, .single = true};
    int rc = NACRE_OK;
    if (!j->s->o.any_name) {
        rc = nc_scp_expect(j->s->o.names, j->remote, &expected, &j->s->err);
        so.pattern = expected.pattern;
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
    if (rc == NACRE_OK && j->why.status == NACRE_OK && nc_scp_sink_things(j->run.sink) == 0) {
        nc_fail(&j->why, NACRE_SCP_REFUSED, "%s: the server sent nothing",
                NC_ESC(nc_span_cstr(j->remote)));
    }
    nc_scp_run_close(&j->run);
    if (rc == NACRE_OK && j->why.status != NACRE_OK) {
        j->s->err = j->why;
        rc = j->why.status;
    }
    return rc;
}

int nacre_scp_getfo(nacre_scp *s, const char *remote, nacre_scp_begin_fn begin,
                    nacre_sftp_write_fn write, void *stream_user, nacre_scp_stat *st)
{
    get_job j;
    memset(&j, 0, sizeof(j));
    j.s = s;
    j.begin = begin;
    j.write = write;
    j.user = stream_user;
    j.remote = remote;
    nc_error_clear(&s->err);
    nc_scp_book_begin(&j.book, s, NULL);
    int rc = run_get(&j);
    nc_scp_book_end(&j.book);
    if (st) {
        *st = j.st;
    }
    return rc;
}
