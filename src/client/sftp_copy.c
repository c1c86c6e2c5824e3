/*
 * sftp_copy.c - a copy of a remote file on its own server: made there (copy-data) where the server can,
 * else down and up again through this session, in bounded memory. A copy onto itself is refused: opening
 * the target would empty the source.
 */
#include "client/sftp_local.h"
#include "client/sftp_session.h"

#include <stdio.h>
#include <string.h>

enum {
    /* One copy-data is answered when all of it is done: pieces show progress and keep timeouts away. */
    PIECE = 32 * 1024 * 1024,
    RING = 4 * 1024 * 1024,
    MODE_BITS = 0777,
    SPECIAL_BITS = 07000,
    DEFAULT_PROGRESS_MS = 100
};

typedef struct copy {
    nc_sftp_task task; /* first; while bytes go through us */
    nacre_sftp *s;
    const char *from, *to;
    const nacre_sftp_transfer_options *o;
    char *temporary; /* what is written, NULL: to itself */
    nacre_sftp_attrs attrs;
    bool as_long; /* the target is: it may be the source under another name, and is not emptied */
    nc_sftp_op from_open, to_open;
    bool made;
    uint64_t done; /* behind the last byte that was copied */
    uint64_t told_ms;

    nc_sftp_reader reader;
    nc_sftp_writer writer;
    uint8_t *ring;
    uint64_t gate;
} copy;

static nacre_span handle(const nc_sftp_op *op)
{
    return nc_span(op->handle, op->handle_len);
}

static const char *written_path(const copy *c)
{
    return c->temporary ? c->temporary : c->to;
}

static int progress(copy *c, bool always)
{
    const nacre_sftp_transfer_options *o = c->o;
    uint64_t now = nacre_loop_now(NULL);
    uint64_t total = (c->attrs.flags & NACRE_SFTP_ATTR_SIZE) ? c->attrs.size : UINT64_MAX;
    if (!o->progress ||
        (!always && now - c->told_ms < (o->progress_ms ? o->progress_ms : DEFAULT_PROGRESS_MS))) {
        return NACRE_OK;
    }
    c->told_ms = now;
    return o->progress(o->user, c->from, c->done, total)
               ? NACRE_OK
               : nc_sftp_fail(c->s, NACRE_CANCELLED, "copy %s: interrupted", c->from);
}

/* ---- the two ends ------------------------------------------------------------------------------------- */

static bool same_name(const nc_sftp_op *a, const nc_sftp_op *b)
{
    nacre_sftp_names na = {a->names_count, nc_span(a->names, a->names_len)};
    nacre_sftp_names nb = {b->names_count, nc_span(b->names, b->names_len)};
    nacre_sftp_name ea;
    nacre_sftp_name eb;
    return a->done && a->ok && b->done && b->ok && nacre_sftp_names_next(&na, &ea) &&
           nacre_sftp_names_next(&nb, &eb) && ea.name.n == eb.name.n &&
           memcmp(ea.name.p, eb.name.p, ea.name.n) == 0;
}

/* The first three may be refused. */
static int look(copy *c, nc_sftp_op names[2], nc_sftp_op stats[2])
{
    nacre_sftp *s = c->s;
    enum { ASKED = 5, MAY_FAIL = 3 };
    nc_sftp_request r[ASKED] = {
        {.type = NACRE_FXP_REALPATH, .path = c->from},
        {.type = NACRE_FXP_REALPATH, .path = c->to},
        {.type = NACRE_FXP_STAT, .path = c->to},
        {.type = NACRE_FXP_STAT, .path = c->from},
        {.type = NACRE_FXP_OPEN, .path = c->from, .pflags = NACRE_FXF_READ}};
    nc_sftp_op *op[ASKED] = {&names[0], &names[1], &stats[1], &stats[0], &c->from_open};
    int rc = nc_sftp_begin(s);
    size_t sent = 0;
    while (rc == NACRE_OK && sent < ASKED) {
        rc = nc_sftp_send(s, &r[sent], op[sent]);
        sent += rc == NACRE_OK ? 1 : 0;
    }
    for (size_t i = 0; i < sent; i++) {
        nacre_error first = s->error;
        int one = nc_sftp_finish(s, &r[i], op[i]);
        bool may_fail = i < MAY_FAIL && one == NACRE_SFTP_STATUS;
        if (rc != NACRE_OK || may_fail) {
            s->error = first;
        } else {
            rc = one;
        }
    }
    return rc;
}

static int open_from(copy *c)
{
    nc_sftp_op names[2];
    nc_sftp_op stats[2];
    for (int i = 0; i < 2; i++) {
        nc_sftp_op_init(&names[i], c->s);
        nc_sftp_op_init(&stats[i], c->s);
    }
    int rc = look(c, names, stats);
    c->attrs = stats[0].attrs;
    const nacre_sftp_attrs *to = &stats[1].attrs;
    c->as_long = rc == NACRE_OK && stats[1].ok && (to->flags & NACRE_SFTP_ATTR_SIZE) &&
                 (c->attrs.flags & NACRE_SFTP_ATTR_SIZE) && to->size == c->attrs.size;
    uint32_t kind = c->attrs.permissions & NACRE_SFTP_S_IFMT;
    bool known = (c->attrs.flags & NACRE_SFTP_ATTR_PERMISSIONS) != 0;
    if (rc == NACRE_OK && same_name(&names[0], &names[1])) {
        rc = nc_sftp_fail(c->s, NACRE_INVALID_ARGUMENT, "%s and %s are the same file", c->from,
                          c->to);
    }
    if (rc == NACRE_OK && known && kind == NACRE_SFTP_S_IFDIR) {
        rc = nc_sftp_fail(c->s, NACRE_INVALID_ARGUMENT, "%s is a directory", c->from);
    }
    if (known && kind != NACRE_SFTP_S_IFREG) {
        c->attrs.flags &= ~NACRE_SFTP_ATTR_SIZE; /* devices and pipes have none */
    }
    for (int i = 0; i < 2; i++) {
        nc_sftp_op_clear(&names[i]);
        nc_sftp_op_clear(&stats[i]);
    }
    return rc;
}

static int open_to(copy *c)
{
    char random[7];
    uint32_t mode = (c->attrs.flags & NACRE_SFTP_ATTR_PERMISSIONS) ? c->attrs.permissions : 0666;
    nacre_sftp_attrs a = {.flags = NACRE_SFTP_ATTR_PERMISSIONS, .permissions = mode & MODE_BITS};
    uint32_t pflags = NACRE_FXF_WRITE | NACRE_FXF_CREAT;
    if (c->o->atomic && c->o->offset == 0) {
        if (nc_local_random_name(random) != NACRE_OK) {
            return nc_sftp_fail(c->s, NACRE_RANDOM, "no randomness for a temporary name");
        }
        c->temporary = nc_local_temporary(c->s->alloc, c->to, random);
        if (!c->temporary) {
            return nc_sftp_fail(c->s, NACRE_NO_MEMORY, "no memory for a name");
        }
        pflags |= NACRE_FXF_EXCL;
    } else if (c->o->offset == 0 && !c->as_long) {
        pflags |= NACRE_FXF_TRUNC;
    }
    nc_sftp_request r = {
        .type = NACRE_FXP_OPEN, .path = written_path(c), .pflags = pflags, .attrs = &a};
    int rc = nc_sftp_ask(c->s, &r, &c->to_open);
    c->made = rc == NACRE_OK && c->temporary;
    return rc;
}

/* ---- by the server ------------------------------------------------------------------------------------ */

/* The next piece; 0: up to the end, however far that is. */
static uint64_t piece(const copy *c)
{
    bool sized = (c->attrs.flags & NACRE_SFTP_ATTR_SIZE) != 0;
    return sized && c->attrs.size > c->done && c->attrs.size - c->done > PIECE ? PIECE : 0;
}

/* NACRE_UNSUPPORTED: not one byte of it was copied so. */
static int copy_there(copy *c)
{
    nacre_sftp *s = c->s;
    uint64_t n;
    int rc;
    do {
        n = piece(c);
        nc_sftp_request r = {.type = NACRE_FXP_EXTENDED,
                             .ext = NACRE_SFTP_EXT_COPY_DATA,
                             .path = c->from,
                             .other = c->to,
                             .handle = handle(&c->from_open),
                             .to_handle = handle(&c->to_open),
                             .offset = c->done,
                             .length = n};
        rc = nc_sftp_order(s, &r);
        if (rc == NACRE_SFTP_STATUS && s->status == NACRE_FX_OP_UNSUPPORTED &&
            c->done == c->o->offset) {
            return NACRE_UNSUPPORTED;
        }
        c->done += n;
        rc = rc == NACRE_OK ? progress(c, false) : rc;
    } while (rc == NACRE_OK && n > 0);
    return rc;
}

/* ---- through us --------------------------------------------------------------------------------------- */

static nacre_room ring(const copy *c, uint64_t offset, size_t n)
{
    size_t at = (size_t)(offset % RING);
    return (nacre_room){c->ring + at, n < RING - at ? n : RING - at};
}

/* Nothing is asked for that the ring has no room for: bytes go to their places in any order. */
static int into_ring(void *user, uint64_t offset, nacre_span bytes, nacre_error *err)
{
    const copy *c = user;
    if (offset >= c->gate || bytes.n > c->gate - offset) {
        return nc_fail(err, NACRE_SFTP_PROTOCOL, "the server sent bytes nobody asked for");
    }
    while (bytes.n > 0) {
        nacre_room room = ring(c, offset, bytes.n);
        memcpy(room.p, bytes.p, room.n);
        bytes.p += room.n;
        bytes.n -= room.n;
        offset += room.n;
    }
    return NACRE_OK;
}

static int from_ring(void *user, uint64_t offset, const nacre_room *rooms, size_t count,
                     size_t want, size_t *got, nacre_error *err)
{
    const copy *c = user;
    (void)err;
    *got = 0;
    for (size_t i = 0; i < count; i++) {
        for (size_t at = 0; at < rooms[i].n && *got < want;) {
            size_t n = rooms[i].n - at < want - *got ? rooms[i].n - at : want - *got;
            nacre_room room = ring(c, offset + *got, n);
            memcpy(rooms[i].p + at, room.p, room.n);
            at += room.n;
            *got += room.n;
        }
    }
    return NACRE_OK;
}

/* The writer may go up to what has come; in whole requests until it is all there. */
static void pump(nc_sftp_task *t)
{
    copy *c = (copy *)t;
    nc_sftp_flow *r = &c->reader.flow;
    nc_sftp_flow *w = &c->writer.flow;
    if (r->error.status != NACRE_OK || w->error.status != NACRE_OK) {
        return;
    }
    uint64_t there = nc_sftp_flow_through(r);
    if (nc_sftp_flow_over(r)) {
        w->end = r->end;
    } else if (there > w->next) {
        w->end = there - (there - w->next) % c->s->max_write;
    }
    w->pump(w);
    c->gate = w->next + RING; /* what has left the ring makes room */
    r->pump(r);
}

static bool moved(void *user)
{
    const copy *c = user;
    const nc_sftp_flow *r = &c->reader.flow;
    const nc_sftp_flow *w = &c->writer.flow;
    return r->error.status != NACRE_OK || w->error.status != NACRE_OK ||
           (nc_sftp_flow_over(r) && w->next >= r->end && w->requests == 0);
}

/* After each turn of the wire; a user who says no ends it. */
static bool moved_or_told(void *user)
{
    copy *c = user;
    c->done = nc_sftp_flow_through(&c->writer.flow);
    if (progress(c, false) != NACRE_OK && c->writer.flow.error.status == NACRE_OK) {
        c->writer.flow.error = c->s->error;
    }
    return moved(user);
}

static int move(copy *c)
{
    nacre_sftp *s = c->s;
    nc_sftp_flow *r = &c->reader.flow;
    nc_sftp_flow *w = &c->writer.flow;
    int rc = nc_sftp_begin(s);
    nc_sftp_task_start(s, &c->task, pump);
    rc = rc == NACRE_OK ? nc_sftp_drive(s, moved_or_told, c, r->limited) : rc;
    nc_sftp_task_stop(s, &c->task);
    if (rc != NACRE_OK) {
        nacre_error why = s->error;
        nc_sftp_fail(s, rc, "copy %s to %s: %s", c->from, c->to, why.text);
        s->error.detail = why.detail;
        return rc;
    }
    const nc_sftp_flow *bad = r->error.status != NACRE_OK ? r : w;
    if (bad->error.status != NACRE_OK) {
        s->error = bad->error;
        s->status = bad->code;
        nc_sftp_tidy(s);
        return bad->error.status;
    }
    c->done = r->end;
    if (c->reader.top > r->end || (c->reader.size != UINT64_MAX && c->reader.size > r->end &&
                                   !nc_sftp_size_of_a_page(c->reader.size))) {
        return nc_sftp_fail(s, NACRE_INCOMPLETE, "%s ended at byte %llu, but there should be more",
                            c->from, (unsigned long long)r->end);
    }
    c->attrs.size = r->end; /* that is what the copy has to have */
    return NACRE_OK;
}

static int copy_here(copy *c)
{
    nacre_sftp *s = c->s;
    c->ring = nc_alloc(s->alloc, RING);
    if (!c->ring) {
        return nc_sftp_fail(s, NACRE_NO_MEMORY, "no memory to copy a file");
    }
    nc_sftp_reader_init(&c->reader, s, handle(&c->from_open), c->from, into_ring, c);
    nc_sftp_writer_init(&c->writer, s, handle(&c->to_open), c->to, from_ring, c);
    nc_sftp_flow_options(&c->reader.flow, c->o);
    c->reader.gate = &c->gate;
    c->reader.top = c->o->offset;
    c->gate = c->o->offset + RING;
    c->writer.flow.next = c->writer.flow.end = c->o->offset;
    if ((c->attrs.flags & NACRE_SFTP_ATTR_SIZE) && c->attrs.size > 0) {
        c->reader.size = c->attrs.size;
    }
    int rc = move(c);
    nc_sftp_flow_stop(&c->reader.flow);
    nc_sftp_flow_stop(&c->writer.flow);
    nc_free(s->alloc, c->ring);
    return rc;
}

/* ---- the end ------------------------------------------------------------------------------------------ */

/* What the copy has in the end must be what there was, and what there is still. */
static int verify(copy *c, const nacre_sftp_attrs *to)
{
    bool sized = (c->attrs.flags & NACRE_SFTP_ATTR_SIZE) != 0;
    bool regular = !(to->flags & NACRE_SFTP_ATTR_PERMISSIONS) ||
                   (to->permissions & NACRE_SFTP_S_IFMT) == NACRE_SFTP_S_IFREG;
    if (!sized || !regular || !(to->flags & NACRE_SFTP_ATTR_SIZE) || to->size >= c->attrs.size) {
        return NACRE_OK;
    }
    return nc_sftp_fail(c->s, NACRE_INCOMPLETE,
                        "remote %s is not what was copied: the server has %llu bytes of %llu",
                        c->to, (unsigned long long)to->size, (unsigned long long)c->attrs.size);
}

static int finish(copy *c)
{
    nacre_sftp *s = c->s;
    uint32_t bits = MODE_BITS | (c->o->keep_special ? SPECIAL_BITS : 0u);
    nacre_sftp_attrs a = c->attrs;
    a.flags &= NACRE_SFTP_ATTR_PERMISSIONS | NACRE_SFTP_ATTR_ACMODTIME;
    a.permissions &= bits;
    nc_sftp_request keep = {.type = NACRE_FXP_FSETSTAT,
                            .path = written_path(c),
                            .handle = handle(&c->to_open),
                            .attrs = &a};
    nc_sftp_request sync = {.type = NACRE_FXP_EXTENDED,
                            .ext = NACRE_SFTP_EXT_FSYNC,
                            .path = written_path(c),
                            .handle = handle(&c->to_open)};
    nc_sftp_request stat = {
        .type = NACRE_FXP_FSTAT, .path = written_path(c), .handle = handle(&c->to_open)};
    nc_sftp_request end = {
        .type = NACRE_FXP_CLOSE, .path = written_path(c), .handle = handle(&c->to_open)};
    nc_sftp_op op;
    nc_sftp_op_init(&op, s);
    int rc = c->o->preserve && a.flags ? nc_sftp_order(s, &keep) : NACRE_OK;
    if (rc == NACRE_OK && c->o->sync && nacre_sftp_has(s, NACRE_SFTP_EXT_FSYNC)) {
        rc = nc_sftp_order(s, &sync);
    }
    if (rc == NACRE_OK && nc_sftp_ask(s, &stat, &op) == NACRE_OK) {
        rc = verify(c, &op.attrs);
    }
    nc_sftp_op_clear(&op);
    if (rc == NACRE_OK) {
        c->to_open.handle_len = 0;
        rc = nc_sftp_order(s, &end);
    }
    if (rc == NACRE_OK) {
        c->done = (c->attrs.flags & NACRE_SFTP_ATTR_SIZE) ? c->attrs.size : c->done;
        rc = progress(c, true);
    }
    if (rc == NACRE_OK && c->temporary) {
        rc = nacre_sftp_rename(s, c->temporary, c->to);
        c->made = rc != NACRE_OK;
    }
    return rc;
}

static int run(copy *c)
{
    int rc = open_from(c);
    rc = rc == NACRE_OK ? open_to(c) : rc;
    rc = rc == NACRE_OK ? progress(c, true) : rc;
    if (rc == NACRE_OK) {
        rc = nacre_sftp_has(c->s, NACRE_SFTP_EXT_COPY_DATA) ? copy_there(c) : NACRE_UNSUPPORTED;
        rc = rc == NACRE_UNSUPPORTED ? copy_here(c) : rc;
    }
    return rc == NACRE_OK ? finish(c) : rc;
}

static void clean_up(copy *c)
{
    nacre_sftp *s = c->s;
    nacre_error first = s->error;
    uint32_t status = s->status;
    if (first.status != NACRE_OK && c->to_open.handle_len > 0 && !c->temporary) {
        size_t n = strlen(first.text);
        (void)snprintf(first.text + n, sizeof(first.text) - n, "; %s may be incomplete",
                       NC_ESC(nc_span_cstr(c->to)));
    }
    nc_sftp_drop_handle(s, handle(&c->to_open));
    nc_sftp_drop_handle(s, handle(&c->from_open));
    if (c->made && s->broken.status == NACRE_OK) {
        int rc = nacre_sftp_remove(s, c->temporary);
        (void)rc; /* the first failure is what counts */
    }
    nc_sftp_push(s);
    s->error = first;
    s->status = status;
}

int nacre_sftp_copy(nacre_sftp *s, const char *from, const char *to,
                    const nacre_sftp_transfer_options *o)
{
    nacre_sftp_transfer_options defaults;
    if (!o) {
        nacre_sftp_transfer_options_init(&defaults);
        o = &defaults;
    }
    if (o->resume) {
        return nc_sftp_fail(s, NACRE_INVALID_ARGUMENT, "a copy on the server cannot be resumed");
    }
    copy *c = nc_zalloc(s->alloc, sizeof(*c));
    if (!c) {
        return nc_sftp_fail(s, NACRE_NO_MEMORY, "no memory to copy a file");
    }
    c->s = s;
    c->from = from;
    c->to = to;
    c->o = o;
    c->done = o->offset;
    nc_sftp_op_init(&c->from_open, s);
    nc_sftp_op_init(&c->to_open, s);
    int rc = run(c);
    clean_up(c);
    nc_free(s->alloc, c->temporary);
    nc_free(s->alloc, c);
    return rc;
}
