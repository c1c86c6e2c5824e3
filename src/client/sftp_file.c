/*
 * sftp_file.c - open remote files: opening, the position, attributes, closing. Reading is in
 * sftp_file_read.c, writing in sftp_file_write.c, both at named offsets in sftp_file_at.c.
 */
#include "client/sftp_file.h"

#include <stdio.h>
#include <string.h>

void nacre_sftp_file_options_init(nacre_sftp_file_options *o)
{
    memset(o, 0, sizeof(*o));
    o->size = sizeof(*o);
}

/* 0 is what the link deserves, 1 is none. */
static uint64_t bound_of(uint64_t option, uint64_t ours)
{
    return option == 0 ? ours : option == 1 ? 0 : option;
}

int nc_file_fail(nacre_sftp_file *f, const char *verb, int rc)
{
    nacre_error why = f->s->error;
    nc_sftp_fail(f->s, rc, "%s %s: %s", verb, NC_ESC(nc_span_cstr(f->path)), why.text);
    f->s->error.by = why.by;
    f->s->error.detail = why.detail;
    return rc;
}

/* ---- opening ------------------------------------------------------------------------------------------ */

static nacre_sftp_file *new_file(nacre_sftp *s, const char *path, uint32_t pflags,
                                 const nacre_sftp_file_options *o)
{
    nacre_sftp_file *f = nc_zalloc(s->alloc, sizeof(*f));
    char *name = nc_strdup(s->alloc, path);
    if (!f || !name) {
        nc_free(s->alloc, f);
        nc_free(s->alloc, name);
        return NULL;
    }
    f->s = s;
    f->path = name;
    f->pflags = pflags;
    f->ahead_max = bound_of(o ? o->read_ahead : 0, s->read_ahead);
    f->behind_max = bound_of(o ? o->write_behind : 0, NC_SFTP_IN_FLIGHT);
    nc_ahead_init(f);
    nc_behind_init(f);
    return f;
}

static void free_file(nacre_sftp_file *f)
{
    nc_ahead_free(f);
    nc_behind_free(f);
    nc_free(f->s->alloc, f->path);
    nc_free(f->s->alloc, f);
}

/* Servers that do not know APPEND write where we say: at what was the end when we came. */
static int find_end(nacre_sftp_file *f)
{
    nacre_sftp_attrs a;
    int rc = nacre_sftp_file_stat(f, &a);
    if (rc == NACRE_OK && (a.flags & NACRE_SFTP_ATTR_SIZE)) {
        f->end = a.size;
        f->position = a.size;
    }
    return rc == NACRE_SFTP_STATUS ? NACRE_OK : rc;
}

static int open_file(nacre_sftp *s, const char *path, uint32_t pflags, uint32_t mode,
                     const nacre_sftp_file_options *o, nacre_sftp_file **out)
{
    nacre_sftp_attrs attrs = {.flags = NACRE_SFTP_ATTR_PERMISSIONS, .permissions = mode & 07777};
    bool creates = (pflags & NACRE_FXF_CREAT) != 0;
    nc_sftp_request r = {
        .type = NACRE_FXP_OPEN, .path = path, .pflags = pflags, .attrs = creates ? &attrs : NULL};
    nc_sftp_op op;
    nc_sftp_op_init(&op, s);
    *out = NULL;
    nacre_sftp_file *f = new_file(s, path, pflags, o);
    int rc =
        f ? nc_sftp_ask(s, &r, &op) : nc_sftp_fail(s, NACRE_NO_MEMORY, "no memory to open a file");
    if (rc == NACRE_OK) {
        f->handle_len = op.handle_len;
        memcpy(f->handle, op.handle, op.handle_len);
        rc = pflags & NACRE_FXF_APPEND ? find_end(f) : NACRE_OK;
        if (rc != NACRE_OK) {
            nc_sftp_drop_handle(s, nc_file_handle(f));
        }
    }
    nc_sftp_op_clear(&op);
    if (rc != NACRE_OK) {
        if (f) {
            free_file(f);
        }
        return rc;
    }
    nc_error_clear(&s->error);
    s->status = NACRE_FX_OK;
    *out = f;
    return NACRE_OK;
}

int nacre_sftp_file_open(nacre_sftp *s, const char *path, uint32_t pflags, uint32_t mode,
                         nacre_sftp_file **out)
{
    return open_file(s, path, pflags, mode, NULL, out);
}

/* 0: no such mode. */
static uint32_t pflags_of(const char *mode)
{
    static const struct {
        char letter;
        uint32_t pflags;
    } rows[] = {
        {'r', NACRE_FXF_READ},
        {'w', NACRE_FXF_WRITE | NACRE_FXF_CREAT | NACRE_FXF_TRUNC},
        {'a', NACRE_FXF_WRITE | NACRE_FXF_CREAT | NACRE_FXF_APPEND},
        {'x', NACRE_FXF_WRITE | NACRE_FXF_CREAT | NACRE_FXF_EXCL},
    };
    uint32_t pflags = 0;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        pflags = mode[0] == rows[i].letter ? rows[i].pflags : pflags;
    }
    bool plus = false;
    for (const char *p = mode; pflags && *++p;) {
        if (*p == '+' && !plus) {
            plus = true;
            pflags |= NACRE_FXF_READ | NACRE_FXF_WRITE;
        } else if (*p != 'b') {
            return 0;
        }
    }
    return pflags;
}

int nacre_sftp_file_fopen(nacre_sftp *s, const char *path, const char *mode,
                          const nacre_sftp_file_options *o, nacre_sftp_file **out)
{
    uint32_t pflags = mode ? pflags_of(mode) : 0;
    *out = NULL;
    if (!pflags) {
        return nc_sftp_fail(s, NACRE_INVALID_ARGUMENT, "open %s: there is no mode '%s'",
                            NC_ESC(nc_span_cstr(path)), NC_ESC(nc_span_cstr(mode)));
    }
    return open_file(s, path, pflags, 0666, o, out);
}

int nacre_sftp_file_close(nacre_sftp_file *f)
{
    if (!f) {
        return NACRE_OK;
    }
    nacre_sftp *s = f->s;
    nc_sftp_request r = {.type = NACRE_FXP_CLOSE, .path = f->path, .handle = nc_file_handle(f)};
    int rc = nacre_sftp_file_flush(f);
    nacre_error lost = s->error;
    uint32_t code = s->status;
    nc_ahead_drop(f);
    int closed = nc_sftp_order(s, &r);
    if (rc != NACRE_OK) {
        s->error = lost; /* what was lost matters more than what CLOSE says */
        s->status = code;
    }
    free_file(f);
    return rc != NACRE_OK ? rc : closed;
}

/* ---- the position ------------------------------------------------------------------------------------- */

uint64_t nacre_sftp_file_tell(const nacre_sftp_file *f)
{
    return f->position;
}

static int find_base(nacre_sftp_file *f, int whence, uint64_t *base)
{
    nacre_sftp_attrs a;
    int rc = NACRE_OK;
    *base = 0;
    if (whence == SEEK_CUR) {
        *base = f->position;
    } else if (whence == SEEK_END) {
        rc = nacre_sftp_file_stat(f, &a);
        if (rc == NACRE_OK && !(a.flags & NACRE_SFTP_ATTR_SIZE)) {
            rc = nc_sftp_fail(f->s, NACRE_UNSUPPORTED, "%s: the server names no size",
                              NC_ESC(nc_span_cstr(f->path)));
        }
        *base = rc == NACRE_OK ? a.size : 0;
    } else if (whence != SEEK_SET) {
        rc = nc_sftp_fail(f->s, NACRE_INVALID_ARGUMENT, "seek from where?");
    }
    return rc;
}

int nacre_sftp_file_seek(nacre_sftp_file *f, int64_t offset, int whence)
{
    uint64_t base;
    int rc = nc_sftp_begin(f->s);
    rc = rc == NACRE_OK ? find_base(f, whence, &base) : rc;
    if (rc != NACRE_OK) {
        return rc;
    }
    uint64_t by = offset < 0 ? 0 - (uint64_t)offset : (uint64_t)offset;
    if (offset < 0 ? by > base : by > UINT64_MAX - base) {
        return nc_sftp_fail(f->s, NACRE_INVALID_ARGUMENT, "seek %s: there is no such offset",
                            NC_ESC(nc_span_cstr(f->path)));
    }
    f->position = offset < 0 ? base - by : base + by;
    return NACRE_OK;
}

/* ---- the file itself ---------------------------------------------------------------------------------- */

static nc_sftp_request request_of(const nacre_sftp_file *f, uint8_t type)
{
    nc_sftp_request r = {.type = type, .path = f->path, .handle = nc_file_handle(f)};
    return r;
}

/* Everything that was written is in the file before the server is asked about it. */
static int ask_of_file(nacre_sftp_file *f, const nc_sftp_request *r, nc_sftp_op *op)
{
    nc_sftp_op_init(op, f->s);
    int rc = nacre_sftp_file_flush(f);
    return rc == NACRE_OK ? nc_sftp_ask(f->s, r, op) : rc;
}

static int order_of_file(nacre_sftp_file *f, const nc_sftp_request *r)
{
    nc_sftp_op op;
    int rc = ask_of_file(f, r, &op);
    nc_sftp_op_clear(&op);
    return rc;
}

int nacre_sftp_file_stat(nacre_sftp_file *f, nacre_sftp_attrs *out)
{
    nc_sftp_request r = request_of(f, NACRE_FXP_FSTAT);
    nc_sftp_op op;
    int rc = ask_of_file(f, &r, &op);
    if (rc == NACRE_OK) {
        *out = op.attrs;
    }
    nc_sftp_op_clear(&op);
    return rc;
}

int nacre_sftp_file_setstat(nacre_sftp_file *f, const nacre_sftp_attrs *attrs)
{
    nc_sftp_request r = request_of(f, NACRE_FXP_FSETSTAT);
    r.attrs = attrs;
    int rc = order_of_file(f, &r);
    if (attrs->flags & NACRE_SFTP_ATTR_SIZE) {
        nc_ahead_drop(f);
        f->end = rc == NACRE_OK ? attrs->size : f->end;
    }
    return rc;
}

int nacre_sftp_file_truncate(nacre_sftp_file *f, uint64_t length)
{
    nacre_sftp_attrs a = {.flags = NACRE_SFTP_ATTR_SIZE, .size = length};
    return nacre_sftp_file_setstat(f, &a);
}

int nacre_sftp_file_sync(nacre_sftp_file *f)
{
    nc_sftp_request r = request_of(f, NACRE_FXP_EXTENDED);
    r.ext = NACRE_SFTP_EXT_FSYNC;
    return order_of_file(f, &r);
}

int nacre_sftp_file_statvfs(nacre_sftp_file *f, nacre_sftp_statvfs *out)
{
    nc_sftp_request r = request_of(f, NACRE_FXP_EXTENDED);
    r.ext = NACRE_SFTP_EXT_FSTATVFS;
    nc_sftp_op op;
    int rc = ask_of_file(f, &r, &op);
    if (rc == NACRE_OK) {
        *out = op.statvfs;
    }
    nc_sftp_op_clear(&op);
    return rc;
}

int nacre_sftp_file_copy_data(nacre_sftp_file *from, uint64_t from_offset, uint64_t n,
                              nacre_sftp_file *to, uint64_t to_offset)
{
    nc_sftp_request r = request_of(from, NACRE_FXP_EXTENDED);
    r.ext = NACRE_SFTP_EXT_COPY_DATA;
    r.to_handle = nc_file_handle(to);
    r.offset = from_offset;
    r.length = n;
    r.to_offset = &to_offset;
    if (from->s != to->s) {
        return nc_sftp_fail(from->s, NACRE_INVALID_ARGUMENT, "the files are of two sessions");
    }
    int rc = nacre_sftp_file_flush(to);
    rc = rc == NACRE_OK ? order_of_file(from, &r) : rc;
    nc_ahead_drop(to);
    return rc;
}
