/*
 * sftp_put.c - a local file into a remote one: read straight into what will be encrypted, every write
 * acknowledged, the size compared in the end; on request under a temporary name until all is there.
 */
#include "client/sftp_local.h"
#include "client/sftp_session.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

enum { ROOMS = 64 };

typedef struct put {
    nacre_sftp *s;
    const char *local, *remote;
    const nacre_sftp_transfer_options *o;
    int fd;
    bool seekable;
    struct stat st;
    char *temporary; /* remote name that is written, NULL: remote itself */
    bool made;       /* the temporary exists */
    uint32_t mode;   /* of what is made */
    nc_sftp_op open;
    nc_sftp_writer writer;
} put;

/* ---- the local file ----------------------------------------------------------------------------------- */

static ssize_t read_rooms(const put *p, const struct iovec *v, int n, uint64_t offset)
{
    ssize_t got;
    do {
        got = p->seekable ? preadv(p->fd, v, n, (off_t)offset) : readv(p->fd, v, n);
    } while (got < 0 && errno == EINTR);
    return got;
}

static int from_file(void *user, uint64_t offset, const nacre_room *rooms, size_t count,
                     size_t want, size_t *got, nacre_error *err)
{
    put *p = user;
    struct iovec v[ROOMS];
    size_t done = 0;
    int n = 0;
    *got = 0;
    for (size_t i = 0; i < count && i < ROOMS && done < want; i++) {
        v[n].iov_base = rooms[i].p;
        v[n].iov_len = rooms[i].n < want - done ? rooms[i].n : want - done;
        done += v[n++].iov_len;
    }
    ssize_t r = read_rooms(p, v, n, offset);
    if (r < 0) {
        return nc_local_errno(err, "read local", p->local);
    }
    *got = (size_t)r;
    return NACRE_OK;
}

static int open_local(put *p)
{
    p->fd = open(p->local, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    if (p->fd < 0 || fstat(p->fd, &p->st) != 0) {
        return nc_sftp_fail_errno(p->s, "open local", p->local);
    }
    if (S_ISDIR(p->st.st_mode)) {
        return nc_sftp_fail(p->s, NACRE_INVALID_ARGUMENT, "local %s is a directory", p->local);
    }
    p->seekable = S_ISREG(p->st.st_mode) || S_ISBLK(p->st.st_mode);
    p->mode = (uint32_t)p->st.st_mode & 0777;
    if (p->o->offset > 0 && !p->seekable) {
        return nc_sftp_fail(p->s, NACRE_INVALID_ARGUMENT,
                            "local %s cannot be read from offset %llu on", p->local,
                            (unsigned long long)p->o->offset);
    }
    return NACRE_OK;
}

/* ---- the remote file ---------------------------------------------------------------------------------- */

static const char *written_path(const put *p)
{
    return p->temporary ? p->temporary : p->remote;
}

/* What is replaced keeps its mode. */
static int prepare_atomic(put *p)
{
    nacre_sftp_attrs a;
    char random[7];
    int rc = nacre_sftp_stat(p->s, p->remote, &a);
    if (rc == NACRE_OK && (a.flags & NACRE_SFTP_ATTR_PERMISSIONS)) {
        if ((a.permissions & NACRE_SFTP_S_IFMT) != NACRE_SFTP_S_IFREG) {
            return NACRE_OK; /* a device, a fifo: written, not replaced */
        }
        p->mode = a.permissions & 0777;
    } else if (rc != NACRE_OK && rc != NACRE_SFTP_STATUS) {
        return rc;
    }
    if (nc_local_random_name(random) != NACRE_OK) {
        return nc_sftp_fail(p->s, NACRE_RANDOM, "no randomness for a temporary name");
    }
    p->temporary = nc_local_temporary(p->s->alloc, p->remote, random);
    return p->temporary ? NACRE_OK : nc_sftp_fail(p->s, NACRE_NO_MEMORY, "no memory for a name");
}

static int open_remote(put *p)
{
    nacre_sftp_attrs a = {.flags = NACRE_SFTP_ATTR_PERMISSIONS, .permissions = p->mode};
    uint32_t pflags = NACRE_FXF_WRITE | NACRE_FXF_CREAT;
    if (p->temporary) {
        pflags |= NACRE_FXF_EXCL;
    } else if (p->o->offset == 0) {
        pflags |= NACRE_FXF_TRUNC;
    }
    nc_sftp_request r = {
        .type = NACRE_FXP_OPEN, .path = written_path(p), .pflags = pflags, .attrs = &a};
    int rc = nc_sftp_ask(p->s, &r, &p->open);
    p->made = rc == NACRE_OK && p->temporary;
    return rc;
}

static int write_all(put *p)
{
    nc_sftp_writer *w = &p->writer;
    nc_sftp_writer_init(w, p->s, nc_span(p->open.handle, p->open.handle_len), p->remote, from_file,
                        p);
    nc_sftp_flow_options(&w->flow, p->o, p->local);
    if (S_ISREG(p->st.st_mode)) {
        w->size = (uint64_t)p->st.st_size;
        w->flow.progress_total = w->size;
    }
    return nc_sftp_flow_run(&w->flow);
}

/* ---- the end ------------------------------------------------------------------------------------------ */

static int verify(put *p, const nc_sftp_op *stat)
{
    const nacre_sftp_attrs *a = &stat->attrs;
    uint64_t sent = p->writer.flow.next;
    bool regular = !(a->flags & NACRE_SFTP_ATTR_PERMISSIONS) ||
                   (a->permissions & NACRE_SFTP_S_IFMT) == NACRE_SFTP_S_IFREG;
    bool grew = p->o->offset > 0 && a->size > sent; /* there was more than what was resumed */
    if (!stat->ok || !(a->flags & NACRE_SFTP_ATTR_SIZE) || !regular || a->size == sent || grew) {
        return NACRE_OK;
    }
    return nc_sftp_fail(p->s, NACRE_INCOMPLETE,
                        "remote %s is not what was sent: the server has %llu bytes of %llu",
                        p->remote, (unsigned long long)a->size, (unsigned long long)sent);
}

static nacre_sftp_attrs final_attrs(const put *p)
{
    nacre_sftp_attrs a = {0};
    if (p->o->preserve) {
        a.flags = NACRE_SFTP_ATTR_PERMISSIONS | NACRE_SFTP_ATTR_ACMODTIME;
        a.permissions = (uint32_t)p->st.st_mode & 07777;
        a.atime = (uint32_t)p->st.st_atime;
        a.mtime = (uint32_t)p->st.st_mtime;
    } else if (p->temporary) {
        a.flags = NACRE_SFTP_ATTR_PERMISSIONS;
        a.permissions = p->mode;
    }
    return a;
}

/* Sends one of the last requests; done is remembered for those that had to be sent. */
typedef struct last {
    nc_sftp_request r;
    nc_sftp_op op;
    bool wanted, sent;
    bool may_fail;
} last;

enum { LAST_ATTRS, LAST_SYNC, LAST_STAT, LAST_CLOSE, LAST_COUNT };

/* All of them in one go, then their answers in order: one round trip. */
static int ask_last(put *p, last *l)
{
    int rc = nc_sftp_begin(p->s);
    for (size_t i = 0; i < LAST_COUNT && rc == NACRE_OK; i++) {
        if (l[i].wanted) {
            rc = nc_sftp_send(p->s, &l[i].r, &l[i].op);
            l[i].sent = rc == NACRE_OK;
        }
    }
    p->open.handle_len = l[LAST_CLOSE].sent ? 0 : p->open.handle_len;
    nacre_error first = p->s->error;
    for (size_t i = 0; i < LAST_COUNT; i++) {
        int one = l[i].sent ? nc_sftp_finish(p->s, &l[i].r, &l[i].op) : NACRE_OK;
        if (one != NACRE_OK && rc == NACRE_OK && !(l[i].may_fail && one == NACRE_SFTP_STATUS)) {
            rc = one;
            first = p->s->error;
        }
    }
    p->s->error = first;
    return rc;
}

static int end_remote(put *p)
{
    nacre_sftp_attrs attrs = final_attrs(p);
    nacre_span handle = nc_span(p->open.handle, p->open.handle_len);
    const char *path = written_path(p);
    last l[LAST_COUNT];
    memset(l, 0, sizeof(l));
    for (size_t i = 0; i < LAST_COUNT; i++) {
        nc_sftp_op_init(&l[i].op, p->s);
        l[i].r.handle = handle;
        l[i].r.path = path;
    }
    l[LAST_ATTRS].r.type = NACRE_FXP_FSETSTAT;
    l[LAST_ATTRS].r.attrs = &attrs;
    l[LAST_ATTRS].wanted = attrs.flags != 0;
    l[LAST_SYNC].r.type = NACRE_FXP_EXTENDED;
    l[LAST_SYNC].r.ext = NACRE_SFTP_EXT_FSYNC;
    l[LAST_SYNC].wanted = p->o->sync && nacre_sftp_has(p->s, NACRE_SFTP_EXT_FSYNC);
    l[LAST_STAT].r.type = NACRE_FXP_FSTAT;
    l[LAST_STAT].wanted = true;
    l[LAST_STAT].may_fail = true; /* some servers let nobody ask about what is being written */
    l[LAST_CLOSE].r.type = NACRE_FXP_CLOSE;
    l[LAST_CLOSE].wanted = true;
    int rc = ask_last(p, l);
    if (rc == NACRE_OK && l[LAST_STAT].sent) {
        rc = verify(p, &l[LAST_STAT].op);
    }
    for (size_t i = 0; i < LAST_COUNT; i++) {
        nc_sftp_op_clear(&l[i].op);
    }
    return rc;
}

static int take_name(put *p)
{
    nacre_sftp *s = p->s;
    int rc = nacre_sftp_rename(s, p->temporary, p->remote);
    if (rc == NACRE_SFTP_STATUS && !nacre_sftp_has(s, NACRE_SFTP_EXT_POSIX_RENAME)) {
        /* Version 3 has nothing better than a moment without the file. */
        rc = nacre_sftp_remove(s, p->remote);
        rc = rc == NACRE_OK ? nacre_sftp_rename(s, p->temporary, p->remote) : rc;
    }
    p->made = rc != NACRE_OK;
    return rc;
}

/* A failed put leaves a part: say how much. The first error stays what it was otherwise. */
static void tell_what_is_there(put *p)
{
    nacre_sftp *s = p->s;
    nacre_error why = s->error;
    uint32_t status = s->status;
    uint64_t there = nc_sftp_flow_through(&p->writer.flow);
    nc_sftp_op op;
    nc_sftp_request r = {.type = NACRE_FXP_FSTAT,
                         .path = p->remote,
                         .handle = nc_span(p->open.handle, p->open.handle_len)};
    nc_sftp_op_init(&op, s);
    if (p->open.handle_len > 0 && why.status != NACRE_TIMEOUT &&
        nc_sftp_ask(s, &r, &op) == NACRE_OK && (op.attrs.flags & NACRE_SFTP_ATTR_SIZE)) {
        there = op.attrs.size;
    }
    nc_sftp_op_clear(&op);
    s->error = why;
    s->status = status;
    char *end = s->error.text + strlen(s->error.text);
    size_t room = sizeof(s->error.text) - strlen(s->error.text);
    if (S_ISREG(p->st.st_mode)) {
        snprintf(end, room, "; remote %s is incomplete: %llu of %llu bytes are there", p->remote,
                 (unsigned long long)there, (unsigned long long)p->st.st_size);
    } else {
        snprintf(end, room, "; remote %s is incomplete: %llu bytes are there", p->remote,
                 (unsigned long long)there);
    }
}

static int clean_up(put *p, int rc)
{
    nacre_sftp *s = p->s;
    nacre_error why = s->error;
    uint32_t status = s->status;
    nc_sftp_drop_handle(s, nc_span(p->open.handle, p->open.handle_len));
    if (p->made && s->broken.status == NACRE_OK) {
        (void)nacre_sftp_remove(s, p->temporary);
    }
    s->error = why;
    s->status = status;
    return rc;
}

static int run(put *p)
{
    int rc = open_local(p);
    if (rc == NACRE_OK && p->o->atomic && p->o->offset == 0) {
        rc = prepare_atomic(p);
    }
    rc = rc == NACRE_OK ? open_remote(p) : rc;
    if (rc != NACRE_OK) {
        return rc;
    }
    rc = write_all(p);
    if (rc != NACRE_OK && !p->temporary) {
        tell_what_is_there(p);
    }
    rc = rc == NACRE_OK ? end_remote(p) : rc;
    rc = rc == NACRE_OK && p->temporary ? take_name(p) : rc;
    return rc == NACRE_OK ? rc : clean_up(p, rc);
}

int nacre_sftp_put(nacre_sftp *s, const char *local, const char *remote,
                   const nacre_sftp_transfer_options *o)
{
    nacre_sftp_transfer_options defaults;
    if (!o) {
        nacre_sftp_transfer_options_init(&defaults);
        o = &defaults;
    }
    put *p = nc_zalloc(s->alloc, sizeof(*p));
    if (!p) {
        return nc_sftp_fail(s, NACRE_NO_MEMORY, "no memory for a transfer");
    }
    p->s = s;
    p->local = local;
    p->remote = remote;
    p->o = o;
    p->fd = -1;
    nc_sftp_op_init(&p->open, s);
    int rc = nc_sftp_begin(s);
    rc = rc == NACRE_OK ? run(p) : rc;
    if (p->fd >= 0) {
        close(p->fd);
    }
    nc_free(s->alloc, p->temporary);
    nc_sftp_op_clear(&p->open);
    nc_free(s->alloc, p);
    nc_sftp_tidy(s);
    return rc;
}
