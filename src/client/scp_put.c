/*
 * scp_put.c - local files and directories to a remote path.
 */
#include "client/scp.h"

#include "io/scp_files.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>

/* One that was announced, until it is known what became of it. */
typedef struct thing {
    struct thing *next;
    char *from;
    uint64_t bytes, total;
} thing;

typedef struct put_job {
    nacre_scp *s;
    nc_scp_run run;
    nc_scp_book book;
    nc_scp_tree *tree;
    const char *remote;
    thing *things;  /* the last one first; never more than two or three */
    thing *current; /* whose data goes */
} put_job;

static nacre_sftp_item item_of(const put_job *j, const char *from, bool directory, uint64_t bytes)
{
    nacre_sftp_item item;
    memset(&item, 0, sizeof(item));
    item.up = true;
    item.directory = directory;
    item.from = from;
    item.to = j->remote;
    item.bytes = bytes;
    return item;
}

static int stop(const put_job *j, nacre_error *why)
{
    *why = j->book.first;
    return NACRE_CANCELLED;
}

static int cancelled(nacre_error *why)
{
    return nc_fail(why, NACRE_CANCELLED, "cancelled");
}

static void thing_free(put_job *j, thing *t)
{
    for (thing **at = &j->things; *at; at = &(*at)->next) {
        if (*at == t) {
            *at = t->next;
            break;
        }
    }
    j->current = j->current == t ? NULL : j->current;
    nc_free(j->s->alloc, t->from);
    nc_free(j->s->alloc, t);
}

static int announce(put_job *j, nc_scp_record *out, nacre_error *why)
{
    thing *t = nc_zalloc(j->s->alloc, sizeof(*t));
    char *from = nc_strdup(j->s->alloc, nc_scp_tree_path(j->tree));
    if (!t || !from) {
        nc_free(j->s->alloc, t);
        nc_free(j->s->alloc, from);
        return nc_fail(why, NACRE_NO_MEMORY, "no memory for a path");
    }
    t->from = from;
    t->total = out->st.size;
    t->next = j->things;
    j->things = j->current = t;
    out->item = t;
    nacre_sftp_item item = item_of(j, t->from, out->kind == NC_SCP_DIR, 0);
    nc_scp_book_started(&j->book, &item);
    if (out->kind == NC_SCP_FILE && !nc_scp_book_progress(&j->book, t->from, 0, t->total, true)) {
        return cancelled(why);
    }
    return NACRE_OK;
}

/* What cannot be sent is told here and not to the peer, who has no use for it. */
static int put_next(void *user, nc_scp_record *out, nacre_error *why)
{
    put_job *j = user;
    for (;;) {
        if (j->book.stopped) {
            return stop(j, why);
        }
        int rc = nc_scp_tree_ops.next(j->tree, out, why);
        if (rc != NACRE_OK) {
            return rc;
        }
        if (out->kind == NC_SCP_FILE || out->kind == NC_SCP_DIR) {
            return announce(j, out, why);
        }
        if (out->kind != NC_SCP_NOTE) {
            return NACRE_OK;
        }
        nacre_sftp_item item = item_of(j, nc_scp_tree_path(j->tree), false, 0);
        nc_scp_book_over(&j->book, &item, why);
        nc_error_clear(why);
    }
}

static int put_read(void *user, const nacre_room *rooms, size_t count, size_t want, size_t *got,
                    nacre_error *why)
{
    put_job *j = user;
    want = nc_scp_run_may(&j->run, want);
    if (want == 0) {
        return NACRE_AGAIN;
    }
    int rc = nc_scp_tree_ops.read(j->tree, rooms, count, want, got, why);
    thing *t = j->current;
    if (rc == NACRE_OK && *got > 0 && t) {
        t->bytes += *got;
        if (!nc_scp_book_progress(&j->book, t->from, t->bytes, t->total, false)) {
            return cancelled(why);
        }
    }
    return rc;
}

static void put_over(void *user, const nc_scp_record *r, const nacre_error *why)
{
    put_job *j = user;
    thing *t = r->item;
    nc_scp_tree_ops.over(j->tree, r, why);
    if (!t) {
        return;
    }
    nacre_sftp_item item = item_of(j, t->from, r->kind == NC_SCP_DIR, t->bytes);
    nacre_error told = *why;
    if (why->status != NACRE_OK && t->bytes > 0) {
        /* Its data went before the peer said so, and this protocol has no way to look. */
        size_t n = strlen(told.text);
        (void)snprintf(told.text + n, sizeof(told.text) - n,
                       "; what is there of %s may be incomplete", NC_ESC(nc_span_cstr(t->from)));
    }
    nc_scp_book_over(&j->book, &item, &told);
    if (r->kind == NC_SCP_FILE && why->status == NACRE_OK) {
        /* Too late to say no: the file is there. */
        (void)nc_scp_book_progress(&j->book, t->from, t->bytes, t->total, true);
    }
    thing_free(j, t);
}

static void put_note(void *user, const char *text)
{
    put_job *j = user;
    nacre_error why = {.status = NACRE_OK};
    nc_fail(&why, NACRE_SCP_REFUSED, "%s", text);
    nacre_sftp_item item = item_of(j, j->current ? j->current->from : "", false, 0);
    nc_scp_book_over(&j->book, &item, &why);
}

static int run(put_job *j, bool to_directory)
{
    static const nc_scp_source_ops ops = {put_next, put_read, put_over, put_note};
    nc_scp_source_options so = {.allocator = j->s->alloc, .pad_max = UINT64_MAX};
    nc_scp_command what = {'t', j->remote, j->s->o.preserve, to_directory};
    int rc = nc_scp_run_open(&j->run, j->s, &what);
    if (rc != NACRE_OK) {
        return rc;
    }
    so.pipelined = nc_scp_run_pipelined(&j->run);
    rc = nc_scp_source_new(&j->run.source, &j->run.pipe, &ops, j, &so);
    rc =
        rc == NACRE_OK ? nc_scp_run_wait(&j->run) : nc_fail(&j->s->err, rc, "no memory for a copy");
    nc_scp_run_close(&j->run);
    return rc;
}

int nacre_scp_put(nacre_scp *s, const char *const *local, size_t count, const char *remote,
                  nacre_sftp_report *report)
{
    put_job j;
    memset(&j, 0, sizeof(j));
    j.s = s;
    j.remote = remote;
    nc_error_clear(&s->err);
    nc_scp_book_begin(&j.book, s, report);
    nc_scp_tree_options to = {.allocator = s->alloc,
                              .at = AT_FDCWD,
                              .paths = local,
                              .count = count,
                              .recursive = s->o.recursive,
                              .preserve = s->o.preserve,
                              .max_depth = s->o.max_depth};
    int rc = count == 0 ? nc_fail(&s->err, NACRE_INVALID_ARGUMENT, "nothing to copy")
                        : nc_scp_tree_new(&j.tree, &to);
    if (rc == NACRE_OK) {
        rc = run(&j, s->o.to_directory || count > 1);
    } else {
        nc_fail(&s->err, rc, "no memory for a copy");
    }
    const thing *left = rc != NACRE_OK ? j.current : NULL;
    if (left && left->total > 0 && left->bytes < left->total) {
        size_t n = strlen(s->err.text);
        snprintf(s->err.text + n, sizeof(s->err.text) - n,
                 "; the copy of %s is incomplete: %llu of %llu bytes were sent",
                 NC_ESC(nc_span_cstr(left->from)), (unsigned long long)left->bytes,
                 (unsigned long long)left->total);
    }
    while (j.things) {
        thing_free(&j, j.things);
    }
    nc_scp_tree_free(j.tree);
    rc = nc_scp_book_result(&j.book, rc);
    nc_scp_book_end(&j.book);
    return rc;
}
