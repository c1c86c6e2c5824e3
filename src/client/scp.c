/*
 * scp.c - the life of a nacre_scp, and the book that its calls keep of files.
 */
#include "client/scp.h"

#include <string.h>

enum { DEPTH = 64, PROGRESS_MS = 100 };

void nacre_scp_options_init(nacre_scp_options *o)
{
    memset(o, 0, sizeof(*o));
    o->size = sizeof(*o);
}

int nacre_scp_new(nacre_scp **out, nacre_client *c, const nacre_scp_options *o, nacre_error *err)
{
    nc_error_clear(err);
    nacre_scp_options opts;
    nacre_scp_options_init(&opts);
    *out = NULL;
    if (o && (o->size < offsetof(nacre_scp_options, names) || o->size > sizeof(opts))) {
        return nc_fail(err, NACRE_INVALID_ARGUMENT,
                       "the options were not made by nacre_scp_options_init");
    }
    if (o) {
        memcpy(&opts, o, o->size);
    }
    nacre_scp *s = nc_zalloc(opts.allocator, sizeof(*s));
    char *program = nc_strdup(opts.allocator, opts.program ? opts.program : "scp");
    if (!s || !program) {
        nc_free(opts.allocator, s);
        nc_free(opts.allocator, program);
        return nc_fail(err, NACRE_NO_MEMORY, "no memory for scp");
    }
    s->alloc = opts.allocator;
    s->c = c;
    s->o = opts;
    s->o.max_depth = opts.max_depth ? opts.max_depth : DEPTH;
    s->o.progress_ms = opts.progress_ms ? opts.progress_ms : PROGRESS_MS;
    s->program = program;
    *out = s;
    return NACRE_OK;
}

void nacre_scp_free(nacre_scp *s)
{
    if (s) {
        nc_free(s->alloc, s->program);
        nc_free(s->alloc, s);
    }
}

void nacre_scp_cancel(nacre_scp *s)
{
    nacre_client_cancel(s->c);
}

const nacre_error *nacre_scp_error(const nacre_scp *s)
{
    return &s->err;
}

/* ---- the book ----------------------------------------------------------------------------------------- */

void nc_scp_book_begin(nc_scp_book *b, nacre_scp *s, nacre_sftp_report *report)
{
    memset(b, 0, sizeof(*b));
    b->s = s;
    b->report = report ? report : &b->own;
    nc_report_init(b->report, s->alloc);
}

void nc_scp_book_end(nc_scp_book *b)
{
    nacre_sftp_report_free(&b->own);
}

void nc_scp_book_started(nc_scp_book *b, const nacre_sftp_item *item)
{
    const nacre_scp_options *o = &b->s->o;
    if (o->on_item) {
        nacre_sftp_item copy = *item;
        copy.outcome = NACRE_SFTP_STARTED;
        o->on_item(o->user, &copy);
    }
}

void nc_scp_book_over(nc_scp_book *b, nacre_sftp_item *item, const nacre_error *why)
{
    const nacre_scp_options *o = &b->s->o;
    item->outcome = why->status == NACRE_OK            ? NACRE_SFTP_COPIED
                    : why->status == NACRE_UNSUPPORTED ? NACRE_SFTP_SKIPPED
                                                       : NACRE_SFTP_FAILED;
    item->status = why->status;
    item->why = why->status == NACRE_OK ? NULL : why->text;
    nc_report_add(b->report, item, false);
    if (why->status != NACRE_OK && o->on_warning) {
        o->on_warning(o->user, why->text);
    }
    if (item->outcome == NACRE_SFTP_FAILED) {
        b->first = b->first.status == NACRE_OK ? *why : b->first;
        b->stopped = b->stopped || o->stop_on_error;
    }
    if (o->on_item) {
        o->on_item(o->user, item);
    }
}

bool nc_scp_book_progress(nc_scp_book *b, const char *path, uint64_t done, uint64_t total, bool now)
{
    const nacre_scp_options *o = &b->s->o;
    if (!o->progress) {
        return true;
    }
    uint64_t at = nacre_loop_now(nacre_client_loop(b->s->c));
    if (!now && at - b->told_at < o->progress_ms) {
        return true;
    }
    b->told_at = at;
    return o->progress(o->user, path, done, total);
}

int nc_scp_book_result(nc_scp_book *b, int rc)
{
    nacre_error *err = &b->s->err;
    if (b->stopped) {
        *err = b->first;
        return b->first.status;
    }
    if (rc == NACRE_OK && b->first.status != NACRE_OK) {
        *err = b->first;
        return err->status = NACRE_SOME_FAILED;
    }
    return rc;
}
