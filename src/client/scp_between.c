/*
 * scp_between.c - from one server to another: a sending program and a receiving one, joined here.
 */
#include "client/scp.h"
#include "client/state.h"

#include <stdio.h>
#include <string.h>

enum { WINDOW = 4 * 1024 * 1024 /* of the source, which is what may wait here */ };

typedef struct between_job {
    nacre_scp *s;
    nc_scp_run up, down;
    nc_scp_book book;
    nc_scp_join *join;
    const char *remote, *target;
    char name[NC_SCP_NAME_MAX + 1]; /* of the present thing */
    bool directory, open;
    uint64_t bytes, total;
} between_job;

static nacre_sftp_item item_of(const between_job *j)
{
    nacre_sftp_item item;
    memset(&item, 0, sizeof(item));
    item.directory = j->directory;
    item.from = j->name[0] ? j->name : j->remote;
    item.to = j->target;
    item.bytes = j->bytes;
    return item;
}

static void on_begun(void *user, const nc_scp_record *r)
{
    between_job *j = user;
    memcpy(j->name, r->name.p, r->name.n); /* at most NC_SCP_NAME_MAX */
    j->name[r->name.n] = '\0';
    j->directory = r->kind == NC_SCP_DIR;
    j->bytes = 0;
    j->total = r->st.size;
    j->open = true;
    nacre_sftp_item item = item_of(j);
    nc_scp_book_started(&j->book, &item);
    if (!j->directory) {
        (void)nc_scp_book_progress(&j->book, j->name, 0, j->total, true);
    }
}

static bool on_moved(void *user, size_t n)
{
    between_job *j = user;
    j->bytes += n;
    return !j->book.stopped && nc_scp_book_progress(&j->book, j->name, j->bytes, j->total, false);
}

static void on_over(void *user, const nacre_error *why)
{
    between_job *j = user;
    nacre_sftp_item item = item_of(j);
    j->open = false;
    nc_scp_book_over(&j->book, &item, why);
    if (!j->directory && why->status == NACRE_OK) {
        (void)nc_scp_book_progress(&j->book, j->name, j->bytes, j->total, true);
    }
    j->name[0] = '\0';
}

static void on_note(void *user, const char *text)
{
    between_job *j = user;
    nacre_error why = {.status = NACRE_OK};
    nc_fail(&why, NACRE_SCP_REFUSED, "%s", text);
    why.by = NACRE_BY_PEER;
    j->directory = false;
    j->bytes = 0;
    nacre_sftp_item item = item_of(j);
    nc_scp_book_over(&j->book, &item, &why);
}

/* What the receiving program leaves behind when it loses us. */
static void tell_what_is_there(between_job *j)
{
    nacre_error *err = &j->s->err;
    size_t n = strlen(err->text);
    if (j->open && !j->directory) {
        snprintf(err->text + n, sizeof(err->text) - n,
                 "; remote %s of %s is incomplete: %llu of %llu bytes were sent",
                 NC_ESC(nc_span_cstr(j->name)), NC_ESC(nc_span_cstr(j->target)),
                 (unsigned long long)j->bytes, (unsigned long long)j->total);
    }
}

static int join(between_job *j, const nc_scp_join_options *jo)
{
    static const nc_scp_join_ops ops = {on_begun, on_moved, on_over, on_note};
    int rc = nc_scp_join_new(&j->join, &j->up.pipe, &j->down.pipe, &ops, j, jo);
    if (rc != NACRE_OK) {
        return nc_fail(&j->s->err, rc, "no memory for a copy");
    }
    j->up.join = j->down.join = j->join;
    j->up.other = &j->down;
    j->down.other = &j->up;
    j->down.lower = true;
    rc = nc_scp_run_listen(&j->down);
    if (rc != NACRE_OK) {
        j->s->err = j->down.s->err;
        return rc;
    }
    rc = nc_scp_run_wait(&j->up);
    if (rc == NACRE_OK) {
        rc = nc_scp_run_wait(&j->down);
        j->s->err = rc == NACRE_OK ? j->s->err : j->down.s->err;
    }
    if (rc == NACRE_OK && nc_scp_join_things(j->join) == 0 && nc_scp_join_failures(j->join) == 0) {
        rc = nc_fail(&j->s->err, NACRE_SCP_REFUSED, "%s: the server sent nothing",
                     NC_ESC(nc_span_cstr(j->remote)));
    }
    return rc;
}

static int run(between_job *j, nacre_scp *to)
{
    const nacre_scp_options *o = &j->s->o;
    nc_scp_expected expected;
    nc_scp_command send = {'f', j->remote, o->preserve, false};
    nc_scp_command receive = {'t', j->target, o->preserve, o->to_directory};
    nc_scp_join_options jo = {.allocator = j->s->alloc,
                              .recursive = o->recursive,
                              .special = o->preserve && o->keep_special,
                              .max_depth = o->max_depth,
                              .held_max = 2 * (size_t)WINDOW};
    int rc = o->any_name ? NACRE_OK : nc_scp_expect(o->names, j->remote, &expected, &j->s->err);
    if (rc == NACRE_OK && !o->any_name) {
        jo.pattern = expected.pattern;
        jo.single = expected.single;
    }
    if (rc != NACRE_OK) {
        return rc;
    }
    to->o.recursive = o->recursive; /* one command line for both */
    rc = nc_scp_run_open(&j->down, to, &receive);
    if (rc != NACRE_OK) {
        j->s->err = to->err;
        return rc;
    }
    uint32_t window = j->s->o.window;
    if (window == 0 && o->rate == 0) {
        j->s->o.window = WINDOW;
    }
    rc = nc_scp_run_open(&j->up, j->s, &send);
    j->s->o.window = window;
    if (rc == NACRE_OK) {
        rc = join(j, &jo);
        nc_scp_run_close(&j->up);
    }
    nc_scp_run_close(&j->down);
    nc_scp_join_free(j->join);
    return rc;
}

int nacre_scp_between(nacre_scp *from, const char *remote, nacre_scp *to, const char *target,
                      nacre_sftp_report *report)
{
    between_job j;
    memset(&j, 0, sizeof(j));
    j.s = from;
    j.remote = remote;
    j.target = target;
    nc_error_clear(&from->err);
    nc_error_clear(&to->err);
    nc_scp_book_begin(&j.book, from, report);
    int rc =
        from->c == to->c || nacre_client_loop(from->c) != nacre_client_loop(to->c)
            ? nc_fail(&from->err, NACRE_INVALID_ARGUMENT, "two connections on one loop are wanted")
            : run(&j, to);
    if (rc != NACRE_OK) {
        tell_what_is_there(&j);
    }
    rc = nc_scp_book_result(&j.book, rc);
    nc_scp_book_end(&j.book);
    return rc;
}
