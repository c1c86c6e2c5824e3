/*
 * sftp_xfer_get.c - the steps of a download: into a temporary name until all of it is there, so that a
 * failure leaves what was there before. OPEN; then FSTAT (unless a listing has said what it would) and
 * READs together; the CLOSE is not waited for: two round trips for a small file. A resumed file is compared
 * first, and written in order, so that what is there is always the beginning of the remote one.
 */
#include "client/sftp_xfer_state.h"

#include "crypto/crypto.h"

#include <stdio.h>
#include <string.h>

static bool is_kind(const nacre_sftp_attrs *a, uint32_t kind)
{
    return (a->flags & NACRE_SFTP_ATTR_PERMISSIONS) && (a->permissions & NACRE_SFTP_S_IFMT) == kind;
}

/* What the server says about the file: whether this can be read at all, and its size. */
static void take_attrs(nc_xfer *x, const nacre_sftp_attrs *a)
{
    x->remote_attrs = *a;
    if (is_kind(a, NACRE_SFTP_S_IFDIR)) {
        nc_xfer_fail(x, NACRE_INVALID_ARGUMENT, "%s is a directory", x->spec.remote);
        return;
    }
    /* Devices and pipes have no size; neither has what an odd server calls 0 bytes long. */
    bool sized = (a->flags & NACRE_SFTP_ATTR_SIZE) && a->size > 0 &&
                 (!(a->flags & NACRE_SFTP_ATTR_PERMISSIONS) || is_kind(a, NACRE_SFTP_S_IFREG));
    if (sized) {
        /* UINT64_MAX is "unknown" with us; no file has that size, and none of them comes whole. */
        x->total = a->size == UINT64_MAX ? UINT64_MAX - 1 : a->size;
        x->reader.size = x->total; /* also of one that is under way already */
    }
}

/* ---- the local end ------------------------------------------------------------------------------------ */

static int to_target(void *user, uint64_t offset, nacre_span bytes, nacre_error *err)
{
    nc_xfer *x = user;
    return nc_local_write(&x->target, offset, bytes, err);
}

static int to_stream(void *user, uint64_t offset, nacre_span bytes, nacre_error *err)
{
    (void)offset; /* in order */
    nc_xfer *x = user;
    int rc = x->hasher ? nc_hasher_update(x->hasher, bytes) : NACRE_OK;
    if (rc != NACRE_OK) {
        return nc_fail(err, rc, "hash %s: %s", x->spec.remote, nacre_status_text(rc));
    }
    if (x->spec.write(x->spec.stream_user, bytes.p, bytes.n)) {
        return NACRE_OK;
    }
    return nc_fail(err, NACRE_CANCELLED, "%s: interrupted", x->spec.remote);
}

static int open_target(nc_xfer *x)
{
    nc_local_place where = {.path = x->spec.local, .dir = x->spec.dir, .name = x->spec.name};
    unsigned how = x->o->direct || x->o->offset > 0 ? NC_LOCAL_DIRECT : 0u;
    if (x->spec.write) {
        return nc_xfer_wants_hash(x) ? nc_xfer_hash_stream(x) : NACRE_OK;
    }
    if (x->resumed) {
        return NACRE_OK;
    }
    how |= nc_xfer_wants_hash(x) ? NC_LOCAL_READ : 0u;
    if (x->stat_taken && (x->remote_attrs.flags & NACRE_SFTP_ATTR_PERMISSIONS)) {
        where.mode = x->remote_attrs.permissions & 0777;
    }
    return nc_local_create(&x->target, x->s->alloc, &where, how, &x->error);
}

/* What is there to go on behind, if anything. */
static int find_beginning(nc_xfer *x)
{
    nc_local_place where = {.path = x->spec.local, .dir = x->spec.dir, .name = x->spec.name};
    if (x->spec.write) {
        return nc_xfer_fail(x, NACRE_INVALID_ARGUMENT, "a stream cannot be resumed");
    }
    int rc = nc_local_resume(&x->target, x->s->alloc, &where, &x->base, &x->error);
    x->resumed = rc == NACRE_OK;
    return rc == NACRE_NOT_FOUND ? NACRE_OK : rc;
}

/* ---- the end ------------------------------------------------------------------------------------------ */

static bool get_finish(nc_xfer *x)
{
    nc_local_finish how = {.attrs = &x->remote_attrs,
                           .preserve = x->o->preserve,
                           .keep_special = x->o->keep_special,
                           .sync = x->o->sync,
                           .end = x->base > 0 ? UINT64_MAX : x->reader.flow.end};
    if ((nc_xfer_wants_hash(x) && nc_xfer_judge_hash(x) != NACRE_OK) ||
        !nc_xfer_progress(x, true) ||
        (!x->spec.write && nc_local_commit(&x->target, &how, &x->error) != NACRE_OK)) {
        return false;
    }
    x->step = nc_xfer_drop_handle;
    return true;
}

static int verify_size(nc_xfer *x)
{
    const nc_sftp_reader *r = &x->reader;
    unsigned long long end = r->flow.end;
    if (r->top > r->flow.end) {
        return nc_xfer_fail(x, NACRE_INCOMPLETE,
                            "%s changed while it was read: the server ended it at byte %llu, but "
                            "sent bytes behind that",
                            x->spec.remote, end);
    }
    if (r->size != UINT64_MAX && r->flow.end < r->size && r->flow.end >= x->base &&
        !nc_sftp_size_of_a_page(r->size)) {
        return nc_xfer_fail(x, NACRE_INCOMPLETE,
                            "%s ended at byte %llu, but the server says that it has %llu",
                            x->spec.remote, end, (unsigned long long)r->size);
    }
    return NACRE_OK;
}

static bool get_verify(nc_xfer *x)
{
    uint64_t from = x->resumed ? 0 : x->base;
    if (verify_size(x) != NACRE_OK) {
        return false;
    }
    x->step = get_finish;
    if (nc_xfer_wants_hash(x)) {
        bool readable = x->spec.write ? nc_xfer_hash_end(x) == NACRE_OK : x->target.readable;
        uint64_t end = readable && x->reader.flow.end > from ? x->reader.flow.end : from;
        nc_xfer_check_hash(x, x->target.fd, from, end - from, get_finish);
        if (!readable) {
            x->checked = NC_XFER_UNCHECKED;
        }
    }
    return true;
}

/* ---- steps -------------------------------------------------------------------------------------------- */

/* The answer of FSTAT, when it has come; a refusal means that the file is read without knowing. */
static void look_at_stat(nc_xfer *x)
{
    const nc_xfer_ask *a = &x->asks[NC_XFER_STAT];
    if (x->stat_taken || !a->op.done) {
        return;
    }
    x->stat_taken = true;
    if (a->op.ok) {
        take_attrs(x, &a->op.attrs);
    }
}

static bool get_data(nc_xfer *x)
{
    int rc = nc_xfer_send(x);
    look_at_stat(x);
    if ((rc != NACRE_OK && rc != NACRE_AGAIN) || x->error.status != NACRE_OK ||
        !nc_xfer_pump_flow(x)) {
        return false;
    }
    if (!nc_sftp_flow_over(x->flow) || !nc_xfer_answered(x)) {
        return false;
    }
    nc_sftp_flow_stop(x->flow);
    x->step = get_verify;
    return true;
}

static bool get_begin_data(nc_xfer *x)
{
    if (open_target(x) != NACRE_OK) {
        return false;
    }
    nc_sftp_reader *r = &x->reader;
    nc_sftp_reader_init(r, x->s, nc_span(x->handle, x->handle_len), x->spec.remote,
                        x->spec.write ? to_stream : to_target, x);
    nc_sftp_flow_options(&r->flow, x->o);
    r->in_order = x->spec.write || !x->target.seekable || x->resumed;
    r->size = x->total;
    r->top = r->flow.next = x->base;
    nc_xfer_start_flow(x, &r->flow);
    x->step = get_data;
    return nc_xfer_progress(x, true);
}

static bool get_compared(nc_xfer *x)
{
    if (x->error.status != NACRE_OK) {
        return false;
    }
    if (x->checked != NC_XFER_SAME) {
        nc_xfer_fail(x, NACRE_MISMATCH, "local %s is not the beginning of %s; nothing was changed",
                     x->spec.local, x->spec.remote);
        return false;
    }
    x->step = get_begin_data;
    return true;
}

/* The size must be known before anything is compared or written. */
static bool get_compare(nc_xfer *x)
{
    int rc = nc_xfer_send(x);
    if (rc != NACRE_OK || !nc_xfer_answered(x)) {
        return false;
    }
    look_at_stat(x);
    if (x->error.status != NACRE_OK) {
        return false;
    }
    const nacre_sftp_attrs *a = &x->remote_attrs;
    if ((a->flags & NACRE_SFTP_ATTR_SIZE) && is_kind(a, NACRE_SFTP_S_IFREG) && a->size < x->base) {
        nc_xfer_fail(x, NACRE_MISMATCH,
                     "local %s is longer than %s (%llu bytes, not %llu); nothing was changed",
                     x->spec.local, x->spec.remote, (unsigned long long)x->base,
                     (unsigned long long)a->size);
        return false;
    }
    nc_xfer_check_prefix(x, x->target.fd, x->base, get_compared);
    return true;
}

static bool get_open(nc_xfer *x)
{
    if (nc_xfer_send(x) != NACRE_OK || !nc_xfer_answered(x) || nc_xfer_take_handle(x) != NACRE_OK) {
        return false;
    }
    const nacre_sftp_attrs *a = x->spec.attrs;
    if (a && (a->flags & NACRE_SFTP_ATTR_SIZE) && is_kind(a, NACRE_SFTP_S_IFREG)) {
        take_attrs(x, a);
        x->stat_taken = true;
    } else {
        nc_xfer_want(x, NC_XFER_STAT, NACRE_FXP_FSTAT, x->spec.remote);
    }
    x->step = x->resumed ? get_compare : get_begin_data;
    return true;
}

bool nc_xfer_get_begin(nc_xfer *x)
{
    if (nc_xfer_can_verify(x) != NACRE_OK ||
        (x->o->resume && x->base == 0 && find_beginning(x) != NACRE_OK)) {
        return false;
    }
    nc_sftp_request *r = nc_xfer_want(x, NC_XFER_OPEN, NACRE_FXP_OPEN, x->spec.remote);
    r->pflags = NACRE_FXF_READ;
    x->step = get_open;
    return true;
}

/* ---- failing ------------------------------------------------------------------------------------------ */

/* An OPEN that is on its way will be answered with a handle, which has to be closed. */
static bool late_open(nc_xfer *x)
{
    const nc_xfer_ask *a = &x->asks[NC_XFER_OPEN];
    if (a->sent && !a->op.done && !x->hurried) {
        return false;
    }
    if (a->sent && a->op.done) {
        nc_xfer_take_handle(x);
    }
    x->step = nc_xfer_drop_handle;
    return true;
}

/* What is written directly is not what it was any more: say so. */
static void tell_what_is_here(nc_xfer *x)
{
    const nc_local_target *t = &x->target;
    uint64_t came = nc_xfer_bytes(x);
    if (t->fd < 0 || t->temporary || !t->regular || came == 0) {
        return;
    }
    char *end = x->error.text + strlen(x->error.text);
    size_t room = sizeof(x->error.text) - strlen(x->error.text);
    if (x->total != UINT64_MAX) {
        snprintf(end, room, "; local %s is incomplete: %llu of %llu bytes are there", x->spec.local,
                 (unsigned long long)(x->base + came), (unsigned long long)x->total);
    } else {
        snprintf(end, room, "; local %s is incomplete: %llu bytes are there", x->spec.local,
                 (unsigned long long)(x->base + came));
    }
}

bool nc_xfer_get_failed(nc_xfer *x)
{
    tell_what_is_here(x);
    if (x->flow) {
        nc_sftp_flow_stop(x->flow);
    }
    nc_xfer_forget(x, NC_XFER_STAT);
    nc_xfer_forget(x, NC_XFER_HASH);
    nc_local_abandon(&x->target);
    x->step = late_open;
    return true;
}
