/*
 * sftp_file.c - open remote files: reading and writing of any length in pipelined requests, attributes.
 */
#include "nacre/sftp_file.h"

#include "client/sftp_session.h"

#include <string.h>

struct nacre_sftp_file {
    nacre_sftp *s;
    char *path;
    uint8_t handle[NACRE_SFTP_MAX_HANDLE];
    size_t handle_len;
};

static nacre_span handle_of(const nacre_sftp_file *f)
{
    return nc_span(f->handle, f->handle_len);
}

int nacre_sftp_file_open(nacre_sftp *s, const char *path, uint32_t pflags, uint32_t mode,
                         nacre_sftp_file **out)
{
    nacre_sftp_attrs attrs = {.flags = NACRE_SFTP_ATTR_PERMISSIONS, .permissions = mode & 07777};
    bool creates = (pflags & NACRE_FXF_CREAT) != 0;
    nc_sftp_request r = {
        .type = NACRE_FXP_OPEN, .path = path, .pflags = pflags, .attrs = creates ? &attrs : NULL};
    nc_sftp_op op;
    nc_sftp_op_init(&op, s);
    *out = NULL;
    nacre_sftp_file *f = nc_zalloc(s->alloc, sizeof(*f));
    char *name = nc_strdup(s->alloc, path);
    int rc = f && name ? nc_sftp_ask(s, &r, &op)
                       : nc_sftp_fail(s, NACRE_NO_MEMORY, "no memory to open a file");
    if (rc == NACRE_OK) {
        f->s = s;
        f->path = name;
        f->handle_len = op.handle_len;
        memcpy(f->handle, op.handle, op.handle_len);
        *out = f;
    } else {
        nc_free(s->alloc, name);
        nc_free(s->alloc, f);
    }
    nc_sftp_op_clear(&op);
    return rc;
}

/* ---- data --------------------------------------------------------------------------------------------- */

typedef struct memory {
    uint8_t *to;
    const uint8_t *from;
    uint64_t offset; /* of the first byte in the file */
    size_t n;
} memory;

static int into_memory(void *user, uint64_t offset, nacre_span bytes, nacre_error *err)
{
    memory *m = user;
    uint64_t at = offset - m->offset;
    if (offset < m->offset || at > m->n || bytes.n > m->n - at) {
        return nc_fail(err, NACRE_SFTP_PROTOCOL, "the server sent bytes nobody asked for");
    }
    memcpy(m->to + at, bytes.p, bytes.n);
    return NACRE_OK;
}

static int from_memory(void *user, uint64_t offset, const nacre_room *rooms, size_t count,
                       size_t want, size_t *got, nacre_error *err)
{
    (void)err;
    memory *m = user;
    size_t at = (size_t)(offset - m->offset);
    size_t done = 0;
    for (size_t i = 0; i < count && done < want && at + done < m->n; i++) {
        size_t n = m->n - at - done;
        n = n < rooms[i].n ? n : rooms[i].n;
        memcpy(rooms[i].p, m->from + at + done, n);
        done += n;
    }
    *got = done;
    return NACRE_OK;
}

int nacre_sftp_file_pread(nacre_sftp_file *f, uint64_t offset, void *p, size_t n, size_t *got)
{
    memory m = {.to = p, .offset = offset, .n = n};
    nc_sftp_reader r;
    *got = 0;
    if (n == 0) {
        return NACRE_OK;
    }
    if (offset > UINT64_MAX - n) {
        return nc_sftp_fail(f->s, NACRE_TOO_LARGE, "offset beyond every file");
    }
    nc_sftp_reader_init(&r, f->s, handle_of(f), f->path, into_memory, &m);
    r.flow.next = offset;
    r.flow.end = offset + n;
    r.depth = r.flow.max_requests; /* the caller wants just these bytes */
    int rc = nc_sftp_flow_run(&r.flow);
    if (rc != NACRE_OK) {
        return rc;
    }
    uint64_t end = r.flow.end < r.top ? r.flow.end : r.top;
    *got = end > offset ? (size_t)(end - offset) : 0;
    return *got > 0 ? NACRE_OK : NACRE_END;
}

int nacre_sftp_file_pwrite(nacre_sftp_file *f, uint64_t offset, const void *p, size_t n)
{
    memory m = {.from = p, .offset = offset, .n = n};
    nc_sftp_writer w;
    if (n == 0) {
        return NACRE_OK;
    }
    if (offset > UINT64_MAX - n) {
        return nc_sftp_fail(f->s, NACRE_TOO_LARGE, "offset beyond every file");
    }
    nc_sftp_writer_init(&w, f->s, handle_of(f), f->path, from_memory, &m);
    w.flow.next = offset;
    w.flow.end = offset + n;
    w.size = offset + n;
    return nc_sftp_flow_run(&w.flow);
}

/* ---- the rest ----------------------------------------------------------------------------------------- */

int nacre_sftp_file_stat(nacre_sftp_file *f, nacre_sftp_attrs *out)
{
    nc_sftp_request r = {.type = NACRE_FXP_FSTAT, .path = f->path, .handle = handle_of(f)};
    nc_sftp_op op;
    nc_sftp_op_init(&op, f->s);
    int rc = nc_sftp_ask(f->s, &r, &op);
    if (rc == NACRE_OK) {
        *out = op.attrs;
    }
    nc_sftp_op_clear(&op);
    return rc;
}

int nacre_sftp_file_setstat(nacre_sftp_file *f, const nacre_sftp_attrs *attrs)
{
    nc_sftp_request r = {
        .type = NACRE_FXP_FSETSTAT, .path = f->path, .handle = handle_of(f), .attrs = attrs};
    return nc_sftp_order(f->s, &r);
}

int nacre_sftp_file_sync(nacre_sftp_file *f)
{
    nc_sftp_request r = {.type = NACRE_FXP_EXTENDED,
                         .ext = NACRE_SFTP_EXT_FSYNC,
                         .path = f->path,
                         .handle = handle_of(f)};
    return nc_sftp_order(f->s, &r);
}

int nacre_sftp_file_close(nacre_sftp_file *f)
{
    if (!f) {
        return NACRE_OK;
    }
    nc_sftp_request r = {.type = NACRE_FXP_CLOSE, .path = f->path, .handle = handle_of(f)};
    int rc = nc_sftp_order(f->s, &r);
    nc_free(f->s->alloc, f->path);
    nc_free(f->s->alloc, f);
    return rc;
}
