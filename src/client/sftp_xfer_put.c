/*
 * sftp_xfer_put.c - the steps of an upload: read straight into what will be encrypted, every write
 * acknowledged, the size compared in the end; on request under a temporary name until all is there. OPEN;
 * then WRITEs, attributes, FSTAT and CLOSE together: two round trips for a small file. What is resumed is
 * compared first.
 */
#include "client/sftp_xfer_state.h"
#include "crypto/crypto.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

enum { ROOMS = 64, MODE_BITS = 0777, SPECIAL_BITS = 07000 };

/* ---- the local end ------------------------------------------------------------------------------------ */

static ssize_t read_rooms(const nc_xfer *x, const struct iovec *v, int n, uint64_t offset)
{
    ssize_t got;
    do {
        got = x->seekable ? preadv(x->fd, v, n, (off_t)offset) : readv(x->fd, v, n);
    } while (got < 0 && errno == EINTR);
    return got;
}

static int from_file(void *user, uint64_t offset, const nacre_room *rooms, size_t count,
                     size_t want, size_t *got, nacre_error *err)
{
    nc_xfer *x = user;
    struct iovec v[ROOMS];
    size_t done = 0;
    int n = 0;
    *got = 0;
    for (size_t i = 0; i < count && i < ROOMS && done < want; i++) {
        v[n].iov_base = rooms[i].p;
        v[n].iov_len = rooms[i].n < want - done ? rooms[i].n : want - done;
        done += v[n++].iov_len;
    }
    ssize_t r = read_rooms(x, v, n, offset);
    if (r < 0) {
        return nc_local_errno(err, "read local", x->spec.local);
    }
    *got = (size_t)r;
    return NACRE_OK;
}

/* What the stream has at once goes out at once: it may be slow. */
static int from_stream(void *user, uint64_t offset, const nacre_room *rooms, size_t count,
                       size_t want, size_t *got, nacre_error *err)
{
    (void)offset; /* in order */
    nc_xfer *x = user;
    *got = 0;
    for (size_t i = 0; i < count && *got < want && !x->ended; i++) {
        size_t room = rooms[i].n < want - *got ? rooms[i].n : want - *got;
        size_t n = 0;
        if (!x->spec.read(x->spec.stream_user, rooms[i].p, room, &n)) {
            return nc_fail(err, NACRE_CANCELLED, "%s: interrupted", x->spec.remote);
        }
        if (n > room) {
            return nc_fail(err, NACRE_INVALID_ARGUMENT,
                           "%s: more bytes were read than there is "
                           "room for",
                           x->spec.remote);
        }
        x->ended = n == 0;
        int rc = x->hasher ? nc_hasher_update(x->hasher, nc_span(rooms[i].p, n)) : NACRE_OK;
        if (rc != NACRE_OK) {
            return nc_fail(err, rc, "hash what goes to %s: %s", x->spec.remote,
                           nacre_status_text(rc));
        }
        *got += n;
        if (n < room) {
            break;
        }
    }
    return NACRE_OK;
}

static int open_source(nc_xfer *x)
{
    nc_local_place where = {.path = x->spec.local, .dir = x->spec.dir, .name = x->spec.name};
    if (x->spec.read) {
        x->mode = x->spec.stream_mode & MODE_BITS;
        x->total = x->spec.stream_size;
        if (x->o->resume) {
            return nc_xfer_fail(x, NACRE_INVALID_ARGUMENT, "a stream cannot be resumed");
        }
        return nc_xfer_wants_hash(x) ? nc_xfer_hash_stream(x) : NACRE_OK;
    }
    int rc = nc_local_open(&where, &x->fd, &x->st, &x->error);
    if (rc != NACRE_OK) {
        return rc;
    }
    x->seekable = S_ISREG(x->st.st_mode) || S_ISBLK(x->st.st_mode);
    x->mode = (uint32_t)x->st.st_mode & MODE_BITS;
    x->total = S_ISREG(x->st.st_mode) ? (uint64_t)x->st.st_size : UINT64_MAX;
    if (x->base > 0 && !x->seekable) {
        return nc_xfer_fail(x, NACRE_INVALID_ARGUMENT,
                            "local %s cannot be read from offset %llu on", x->spec.local,
                            (unsigned long long)x->base);
    }
    return NACRE_OK;
}

/* ---- the remote end ----------------------------------------------------------------------------------- */

static const char *written_path(const nc_xfer *x)
{
    return x->temporary ? x->temporary : x->spec.remote;
}

static void want_open(nc_xfer *x)
{
    uint32_t pflags = NACRE_FXF_WRITE | NACRE_FXF_CREAT;
    if (x->temporary) {
        pflags |= NACRE_FXF_EXCL;
    } else if (x->base == 0 && !x->o->in_place) {
        pflags |= NACRE_FXF_TRUNC;
    }
    pflags |= nc_xfer_wants_hash(x) ? NACRE_FXF_READ : 0u;
    x->attrs = (nacre_sftp_attrs){.flags = NACRE_SFTP_ATTR_PERMISSIONS, .permissions = x->mode};
    nc_sftp_request *r = nc_xfer_want(x, NC_XFER_OPEN, NACRE_FXP_OPEN, written_path(x));
    r->pflags = pflags;
    r->attrs = &x->attrs;
}

static int name_temporary(nc_xfer *x)
{
    char random[7];
    if (nc_local_random_name(random) != NACRE_OK) {
        return nc_xfer_fail(x, NACRE_RANDOM, "no randomness for a temporary name");
    }
    x->temporary = nc_local_temporary(x->s->alloc, x->spec.remote, random);
    return x->temporary ? NACRE_OK : nc_xfer_fail(x, NACRE_NO_MEMORY, "no memory for a name");
}

/* What the file is to have in the end, when that is not what it was made with. */
static nacre_sftp_attrs final_attrs(const nc_xfer *x)
{
    nacre_sftp_attrs a = {0};
    if (x->o->preserve && !x->spec.read) {
        uint32_t bits = MODE_BITS | (x->o->keep_special ? SPECIAL_BITS : 0u);
        a.flags = NACRE_SFTP_ATTR_PERMISSIONS | NACRE_SFTP_ATTR_ACMODTIME;
        a.permissions = (uint32_t)x->st.st_mode & bits;
        a.atime = nc_sftp_wire_time(x->st.st_atime);
        a.mtime = nc_sftp_wire_time(x->st.st_mtime);
    }
    return a;
}

/* ---- the end ------------------------------------------------------------------------------------------ */

/*
 * Version 3's RENAME refuses a name that is taken, by FAILURE or draft 5's number for it: then there is
 * nothing better than a moment without the file.
 */
static bool name_is_taken(const nc_xfer *x)
{
    enum { FILE_ALREADY_EXISTS = 11 };
    const nc_xfer_ask *a = &x->asks[NC_XFER_NAME];
    return a->r.type == NACRE_FXP_RENAME && !x->asks[NC_XFER_REMOVE].wanted &&
           (a->op.code == NACRE_FX_FAILURE || a->op.code == FILE_ALREADY_EXISTS);
}

/* All that there is has the temporary name, or may have. */
static void tell_temporary(nc_xfer *x)
{
    char *end = x->error.text + strlen(x->error.text);
    snprintf(end, sizeof(x->error.text) - strlen(x->error.text), "; all of it is in remote %s",
             x->temporary);
}

static bool put_named(nc_xfer *x)
{
    if (nc_xfer_send(x) != NACRE_OK || !nc_xfer_answered(x)) {
        return false;
    }
    bool named = x->asks[NC_XFER_NAME].op.ok;
    if (!named && name_is_taken(x)) {
        nc_xfer_want(x, NC_XFER_REMOVE, NACRE_FXP_REMOVE, x->spec.remote);
        nc_xfer_want(x, NC_XFER_NAME, NACRE_FXP_RENAME, x->temporary)->other = x->spec.remote;
        return true;
    }
    x->step = nc_xfer_drop_handle;
    if (named) {
        x->made = false;
        return true;
    }
    bool removed = x->asks[NC_XFER_REMOVE].wanted && x->asks[NC_XFER_REMOVE].op.ok;
    (void)nc_xfer_judge(x, NC_XFER_NAME);
    if (removed) {
        tell_temporary(x);
        x->made = false;
    }
    return false;
}

static void want_name(nc_xfer *x)
{
    bool posix = nacre_sftp_has(x->s, NACRE_SFTP_EXT_POSIX_RENAME);
    nc_sftp_request *r =
        nc_xfer_want(x, NC_XFER_NAME, posix ? NACRE_FXP_EXTENDED : NACRE_FXP_RENAME, x->temporary);
    r->ext = NACRE_SFTP_EXT_POSIX_RENAME;
    r->other = x->spec.remote;
}

/*
 * Truncated by somebody, or by this very put, when it goes to where it comes from. What ends early and says
 * that it is as long as ever is one of the texts that sysfs calls a page long.
 */
static bool became_shorter(const nc_xfer *x, uint64_t sent)
{
    struct stat now;
    if (x->spec.read || !S_ISREG(x->st.st_mode) || sent >= x->total) {
        return false;
    }
    return !nc_sftp_size_of_a_page(x->total) || fstat(x->fd, &now) != 0 ||
           (uint64_t)now.st_size != x->total;
}

static int verify_size(nc_xfer *x)
{
    const nc_sftp_op *stat = &x->asks[NC_XFER_STAT].op;
    const nacre_sftp_attrs *a = &stat->attrs;
    uint64_t sent = x->flow->next;
    bool regular = !(a->flags & NACRE_SFTP_ATTR_PERMISSIONS) ||
                   (a->permissions & NACRE_SFTP_S_IFMT) == NACRE_SFTP_S_IFREG;
    bool grew = x->base > 0 && a->size > sent; /* there was more than what was resumed */
    if (x->spec.read && x->total != UINT64_MAX && sent - x->base != x->total) {
        return nc_xfer_fail(x, NACRE_INCOMPLETE, "%llu bytes were to go to %s, but %llu came",
                            (unsigned long long)x->total, x->spec.remote,
                            (unsigned long long)(sent - x->base));
    }
    if (became_shorter(x, sent)) {
        return nc_xfer_fail(x, NACRE_INCOMPLETE,
                            "local %s became shorter while it was read: %llu bytes of %llu",
                            x->spec.local, (unsigned long long)sent, (unsigned long long)x->total);
    }
    /* Some servers let nobody ask about what is being written: then there is nothing to compare. */
    if (!stat->ok || !(a->flags & NACRE_SFTP_ATTR_SIZE) || !regular || a->size == sent || grew) {
        return NACRE_OK;
    }
    return nc_xfer_fail(x, NACRE_INCOMPLETE,
                        "remote %s is not what was sent: the server has %llu bytes of %llu",
                        x->spec.remote, (unsigned long long)a->size, (unsigned long long)sent);
}

static bool put_through(nc_xfer *x)
{
    x->step = nc_xfer_drop_handle;
    if (!nc_xfer_progress(x, true)) {
        return false;
    }
    if (x->temporary) {
        want_name(x);
        x->step = put_named;
    }
    return true;
}

static bool put_closed(nc_xfer *x)
{
    if (nc_xfer_send(x) != NACRE_OK || !nc_xfer_answered(x) ||
        nc_xfer_judge(x, NC_XFER_CLOSE) != NACRE_OK) {
        return false;
    }
    x->step = put_through;
    return true;
}

static bool put_hashed(nc_xfer *x)
{
    if (nc_xfer_judge_hash(x) != NACRE_OK) {
        return false;
    }
    nc_xfer_want(x, NC_XFER_CLOSE, NACRE_FXP_CLOSE, written_path(x));
    x->step = put_closed;
    return true;
}

/* Answers may come in any order; what failed first counts. */
static bool put_last(nc_xfer *x)
{
    static const nc_xfer_slot counting[] = {NC_XFER_MODE, NC_XFER_ATTRS, NC_XFER_SYNC,
                                            NC_XFER_CLOSE};
    int rc = nc_xfer_send(x);
    if ((rc != NACRE_OK && rc != NACRE_AGAIN) || !nc_xfer_pump_flow(x) ||
        !nc_sftp_flow_over(x->flow) || !nc_xfer_answered(x)) {
        return false;
    }
    nc_sftp_flow_stop(x->flow);
    x->written = true;
    for (size_t i = 0; i < sizeof(counting) / sizeof(counting[0]); i++) {
        if (x->asks[counting[i]].wanted && nc_xfer_judge(x, counting[i]) != NACRE_OK) {
            return false;
        }
    }
    if (verify_size(x) != NACRE_OK) {
        return false;
    }
    x->step = put_through;
    if (nc_xfer_wants_hash(x) && nc_xfer_hash_end(x) == NACRE_OK) {
        uint64_t from = x->resumed ? 0 : x->base;
        nc_xfer_check_hash(x, x->fd, from, x->flow->next - from, put_hashed);
    }
    return true;
}

/* Refused by devices and pipes, which have no size; what a file has in the end is compared. */
static void want_cut(nc_xfer *x, uint64_t size)
{
    uint8_t type = x->handle_len > 0 ? NACRE_FXP_FSETSTAT : NACRE_FXP_SETSTAT;
    x->cut = (nacre_sftp_attrs){.flags = NACRE_SFTP_ATTR_SIZE, .size = size};
    nc_xfer_want(x, NC_XFER_SIZE, type, x->spec.remote)->attrs = &x->cut;
}

static void want_last(nc_xfer *x)
{
    const char *path = written_path(x);
    if (x->o->in_place && !x->temporary && x->base == 0) {
        want_cut(x, x->flow->next);
    }
    x->attrs = final_attrs(x);
    if (x->attrs.flags) {
        nc_xfer_want(x, NC_XFER_ATTRS, NACRE_FXP_FSETSTAT, path)->attrs = &x->attrs;
    }
    if (x->o->sync && nacre_sftp_has(x->s, NACRE_SFTP_EXT_FSYNC)) {
        nc_xfer_want(x, NC_XFER_SYNC, NACRE_FXP_EXTENDED, path)->ext = NACRE_SFTP_EXT_FSYNC;
    }
    nc_xfer_want(x, NC_XFER_STAT, NACRE_FXP_FSTAT, path);
    if (!nc_xfer_wants_hash(x)) {
        nc_xfer_want(x, NC_XFER_CLOSE, NACRE_FXP_CLOSE, path);
    }
}

/* ---- steps -------------------------------------------------------------------------------------------- */

static bool put_data(nc_xfer *x)
{
    /* The mode of what is replaced goes ahead of the bytes, so that nobody reads them meanwhile. */
    int rc = nc_xfer_send(x);
    if (rc != NACRE_OK || !nc_xfer_pump_flow(x)) {
        return false;
    }
    if (x->flow->next < x->flow->end) {
        return false;
    }
    want_last(x); /* all of it is on its way, and the end follows at once */
    x->step = put_last;
    return true;
}

static void start_writing(nc_xfer *x)
{
    nc_sftp_writer *w = &x->writer;
    nc_sftp_writer_init(w, x->s, nc_span(x->handle, x->handle_len), x->spec.remote,
                        x->spec.read ? from_stream : from_file, x);
    nc_sftp_flow_options(&w->flow, x->o);
    w->size = x->spec.read ? UINT64_MAX : x->total;
    w->flow.next = x->base;
    if (x->replaces) {
        x->attrs = (nacre_sftp_attrs){.flags = NACRE_SFTP_ATTR_PERMISSIONS, .permissions = x->mode};
        nc_xfer_want(x, NC_XFER_MODE, NACRE_FXP_FSETSTAT, x->temporary)->attrs = &x->attrs;
    }
    nc_xfer_start_flow(x, &w->flow);
    x->step = put_data;
}

static bool put_open(nc_xfer *x)
{
    if (nc_xfer_send(x) != NACRE_OK || !nc_xfer_answered(x) || nc_xfer_take_handle(x) != NACRE_OK) {
        return false;
    }
    start_writing(x);
    return nc_xfer_progress(x, true);
}

/* What was opened under a temporary name turns out to be none of ours to replace: a device, a fifo. */
static bool put_undo(nc_xfer *x)
{
    if (nc_xfer_send(x) != NACRE_OK || !nc_xfer_answered(x)) {
        return false;
    }
    x->made = false;
    nc_xfer_forget(x, NC_XFER_CLOSE);
    nc_xfer_forget(x, NC_XFER_REMOVE);
    nc_free(x->s->alloc, x->temporary);
    x->temporary = NULL;
    want_open(x);
    x->step = put_open;
    return true;
}

static bool put_open_temporary(nc_xfer *x)
{
    if (nc_xfer_send(x) != NACRE_OK || !nc_xfer_answered(x) || nc_xfer_take_handle(x) != NACRE_OK) {
        return false;
    }
    x->made = true;
    const nc_sftp_op *old = &x->asks[NC_XFER_OLD].op;
    bool known = old->ok && (old->attrs.flags & NACRE_SFTP_ATTR_PERMISSIONS);
    uint32_t permissions = old->attrs.permissions;
    nc_xfer_forget(x, NC_XFER_OLD);
    if (known && (permissions & NACRE_SFTP_S_IFMT) != NACRE_SFTP_S_IFREG) {
        nc_xfer_want(x, NC_XFER_CLOSE, NACRE_FXP_CLOSE, x->temporary);
        nc_xfer_want(x, NC_XFER_REMOVE, NACRE_FXP_REMOVE, x->temporary);
        x->step = put_undo;
        return true;
    }
    x->replaces = known;
    x->mode = known ? permissions & MODE_BITS : x->mode; /* what is replaced keeps its mode */
    start_writing(x);
    return nc_xfer_progress(x, true);
}

static bool begin_anew(nc_xfer *x)
{
    x->step = put_open;
    if (x->o->atomic && x->base == 0) {
        if (name_temporary(x) != NACRE_OK) {
            return false;
        }
        nc_xfer_want(x, NC_XFER_OLD, NACRE_FXP_STAT, x->spec.remote);
        x->step = put_open_temporary;
    }
    want_open(x);
    return true;
}

/* ---- resuming ----------------------------------------------------------------------------------------- */

static bool put_compared(nc_xfer *x)
{
    if (x->checked != NC_XFER_SAME) {
        nc_xfer_fail(x, NACRE_MISMATCH,
                     "remote %s is not the beginning of local %s; nothing was changed",
                     x->spec.remote, x->spec.local);
        return false;
    }
    start_writing(x);
    return nc_xfer_progress(x, true);
}

static bool put_compare(nc_xfer *x)
{
    if (nc_xfer_send(x) != NACRE_OK || !nc_xfer_answered(x) ||
        nc_xfer_judge(x, NC_XFER_STAT) != NACRE_OK) {
        return false;
    }
    nacre_sftp_attrs a = x->asks[NC_XFER_STAT].op.attrs;
    nc_xfer_forget(x, NC_XFER_STAT);
    bool regular = !(a.flags & NACRE_SFTP_ATTR_PERMISSIONS) ||
                   (a.permissions & NACRE_SFTP_S_IFMT) == NACRE_SFTP_S_IFREG;
    if (!regular || !(a.flags & NACRE_SFTP_ATTR_SIZE)) {
        nc_xfer_fail(x, NACRE_INVALID_ARGUMENT, "remote %s cannot be resumed: it has no size",
                     x->spec.remote);
        return false;
    }
    if (a.size > x->total) {
        nc_xfer_fail(
            x, NACRE_MISMATCH,
            "remote %s is longer than local %s (%llu bytes, not %llu); nothing was changed",
            x->spec.remote, x->spec.local, (unsigned long long)a.size,
            (unsigned long long)x->total);
        return false;
    }
    x->base = a.size;
    x->resumed = true;
    nc_xfer_check_prefix(x, x->fd, x->base, put_compared);
    return true;
}

static bool put_find_beginning(nc_xfer *x)
{
    if (nc_xfer_send(x) != NACRE_OK || !nc_xfer_answered(x)) {
        return false;
    }
    const nc_sftp_op *op = &x->asks[NC_XFER_OPEN].op;
    if (!op->ok && op->code == NACRE_FX_NO_SUCH_FILE) {
        return begin_anew(x);
    }
    if (nc_xfer_take_handle(x) != NACRE_OK) {
        return false;
    }
    nc_xfer_want(x, NC_XFER_STAT, NACRE_FXP_FSTAT, x->spec.remote);
    x->step = put_compare;
    return true;
}

bool nc_xfer_put_begin(nc_xfer *x)
{
    if (nc_xfer_can_verify(x) != NACRE_OK || open_source(x) != NACRE_OK) {
        return false;
    }
    if (!x->o->resume || x->base > 0) {
        return begin_anew(x);
    }
    if (!S_ISREG(x->st.st_mode)) {
        nc_xfer_fail(x, NACRE_INVALID_ARGUMENT, "local %s cannot be resumed: it is no regular file",
                     x->spec.local);
        return false;
    }
    nc_xfer_want(x, NC_XFER_OPEN, NACRE_FXP_OPEN, x->spec.remote)->pflags =
        NACRE_FXF_READ | NACRE_FXF_WRITE;
    x->step = put_find_beginning;
    return true;
}

/* ---- failing ------------------------------------------------------------------------------------------ */

/* A failed put leaves a part: say how much. */
static void tell_what_is_there(nc_xfer *x)
{
    const nc_sftp_op *stat = &x->asks[NC_XFER_STAT].op;
    uint64_t there = nc_sftp_flow_through(x->flow);
    bool cut = x->asks[NC_XFER_SIZE].op.ok;
    if (!cut && stat->done && stat->ok && (stat->attrs.flags & NACRE_SFTP_ATTR_SIZE)) {
        there = stat->attrs.size;
    }
    char *end = x->error.text + strlen(x->error.text);
    size_t room = sizeof(x->error.text) - strlen(x->error.text);
    if (x->total != UINT64_MAX) {
        snprintf(end, room, "; remote %s is incomplete: %llu of %llu bytes are there",
                 x->spec.remote, (unsigned long long)there, (unsigned long long)x->total);
    } else {
        snprintf(end, room, "; remote %s is incomplete: %llu bytes are there", x->spec.remote,
                 (unsigned long long)there);
    }
}

/* Its own failures change nothing any more. */
static int send_quietly(nc_xfer *x)
{
    nacre_error first = x->error;
    nc_error_clear(&x->error);
    int rc = x->s->broken.status == NACRE_OK ? nc_xfer_send(x) : NACRE_CLOSED;
    x->error = first;
    return rc;
}

static bool cleaned(nc_xfer *x)
{
    int rc = send_quietly(x);
    if (!x->hurried && (rc == NACRE_AGAIN || (rc == NACRE_OK && !nc_xfer_answered(x)))) {
        return false;
    }
    if (x->flow && !x->temporary && !x->written) {
        tell_what_is_there(x);
    }
    if (x->flow) {
        nc_sftp_flow_stop(x->flow);
    }
    x->step = nc_xfer_drop_handle;
    return true;
}

/*
 * Given up while the old file is removed and the new one gets its name: the temporary may be all that there
 * is by then, and goes only when the old file is known to be there. False: that is waited for.
 */
static bool settle_name(nc_xfer *x)
{
    nc_xfer_ask *name = &x->asks[NC_XFER_NAME];
    nc_xfer_ask *remove = &x->asks[NC_XFER_REMOVE];
    bool replacing = x->made && remove->sent && name->wanted;
    if (!replacing) {
        return true;
    }
    bool known = remove->op.done && (!name->sent || name->op.done);
    if (!known && !x->hurried) {
        return false;
    }
    bool named = name->sent && name->op.done && name->op.ok;
    bool kept = remove->op.done && !remove->op.ok;
    x->made = !named && kept;
    if (!named && !kept) {
        tell_temporary(x);
    }
    return true;
}

/* OPEN may still be answered by a handle: its file has to go, too. */
static bool clean_up(nc_xfer *x)
{
    nc_xfer_ask *open = &x->asks[NC_XFER_OPEN];
    if (open->sent && !open->op.done && !x->hurried) {
        return false;
    }
    if (open->sent && open->op.done) {
        x->made = open->op.ok && x->temporary;
        nc_xfer_take_handle(x);
    }
    if (!settle_name(x)) {
        return false;
    }
    for (int i = 0; i < NC_XFER_SLOTS; i++) {
        if (!x->asks[i].sent) {
            nc_xfer_forget(x, (nc_xfer_slot)i);
        }
    }
    bool partial = x->flow && !x->temporary && !x->written && !x->hurried;
    if (partial && x->base == 0) {
        /* Writes behind the one that failed may have made it as long as a whole one. */
        want_cut(x, nc_sftp_flow_through(x->flow));
    }
    if (x->handle_len > 0) {
        if (partial) {
            nc_xfer_want(x, NC_XFER_STAT, NACRE_FXP_FSTAT, x->spec.remote);
        }
        nc_xfer_want(x, NC_XFER_CLOSE, NACRE_FXP_CLOSE, x->spec.remote);
    }
    if (x->made) {
        nc_xfer_want(x, NC_XFER_REMOVE, NACRE_FXP_REMOVE, x->temporary);
    }
    x->step = cleaned;
    return true;
}

bool nc_xfer_put_failed(nc_xfer *x)
{
    if (x->comparing) {
        nc_sftp_flow_stop(x->flow);
        x->flow = NULL;
    }
    if (x->flow) {
        nc_sftp_task_stop(x->s, &x->flow->task); /* what is outstanding tells how far it came */
    }
    nc_xfer_forget(x, NC_XFER_HASH);
    x->step = clean_up;
    return true;
}
