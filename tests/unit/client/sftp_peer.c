/*
 * sftp_peer.c - the server that sftp_peer.h describes, and the wire that has no length.
 */
#include "sftp_peer.h"

#include "crypto/crypto.h"
#include "wire/rd.h"
#include "wire/wr.h"

#include <stdlib.h>
#include <string.h>

enum { BUFFER = 64 * 1024 * 1024, MOST_REPLIES = 5000 };

void sftp_peer_init(sftp_peer *p)
{
    memset(p, 0, sizeof(*p));
    nc_buf_init(&p->in, NULL, BUFFER);
    nc_buf_init(&p->out, NULL, BUFFER);
    p->cut_after = SIZE_MAX;
    p->fail_code = NACRE_FX_FAILURE;
    p->hash = "sha256";
    p->posix_rename = true;
}

void sftp_peer_clear(sftp_peer *p)
{
    nc_buf_clear(&p->in);
    nc_buf_clear(&p->out);
    for (size_t i = 0; i < PEER_FILES; i++) {
        free(p->files[i].data);
    }
    memset(p, 0, sizeof(*p));
}

peer_file *sftp_peer_find(sftp_peer *p, const char *name)
{
    name = p->link && strcmp(name, p->link) == 0 ? p->link_to : name;
    for (size_t i = 0; i < PEER_FILES; i++) {
        if (p->files[i].name[0] && strcmp(p->files[i].name, name) == 0) {
            return &p->files[i];
        }
    }
    return NULL;
}

static peer_file *make(sftp_peer *p, const char *name, uint32_t mode)
{
    for (size_t i = 0; i < PEER_FILES; i++) {
        peer_file *f = &p->files[i];
        if (!f->name[0] && strlen(name) < sizeof(f->name)) {
            memset(f, 0, sizeof(*f));
            memcpy(f->name, name, strlen(name) + 1);
            f->mode = NACRE_SFTP_S_IFREG | (mode & 07777);
            return f;
        }
    }
    abort();
}

static void resize(peer_file *f, size_t n)
{
    if (n > f->size) {
        f->data = realloc(f->data, n);
        if (!f->data) {
            abort();
        }
        memset(f->data + f->size, 0, n - f->size);
    }
    f->size = n;
}

peer_file *sftp_peer_put(sftp_peer *p, const char *name, const void *data, size_t n, uint32_t mode)
{
    peer_file *f = sftp_peer_find(p, name);
    f = f ? f : make(p, name, mode);
    resize(f, n);
    if (n > 0) {
        memcpy(f->data, data, n);
    }
    return f;
}

unsigned sftp_peer_files(const sftp_peer *p)
{
    unsigned n = 0;
    for (size_t i = 0; i < PEER_FILES; i++) {
        n += p->files[i].name[0] ? 1 : 0;
    }
    return n;
}

unsigned sftp_peer_open_handles(const sftp_peer *p)
{
    unsigned n = 0;
    for (size_t i = 0; i < PEER_HANDLES; i++) {
        n += p->handles[i].name[0] ? 1 : 0;
    }
    return n;
}

/* ---- answers ------------------------------------------------------------------------------------------ */

static void status(nc_wr *w, uint32_t id, uint32_t code)
{
    nc_wr_u8(w, NACRE_FXP_STATUS);
    nc_wr_u32(w, id);
    nc_wr_u32(w, code);
    nc_wr_cstr(w, "");
    nc_wr_cstr(w, "");
}

static void text_of(nacre_span s, char out[80])
{
    size_t n = s.n < 79 ? s.n : 79;
    memcpy(out, s.p, n);
    out[n] = '\0';
}

/* The file behind a handle in the request; NULL and a status when there is none. */
static peer_file *by_handle(sftp_peer *p, nc_wr *w, uint32_t id, nc_rd *r, peer_handle **handle)
{
    nacre_span h = nc_rd_str(r);
    uint32_t i = h.n == 4 ? nc_get_u32(h.p) : PEER_HANDLES;
    if (i >= PEER_HANDLES || !p->handles[i].name[0]) {
        p->broken_promise = true;
        status(w, id, NACRE_FX_FAILURE);
        return NULL;
    }
    peer_file *f = sftp_peer_find(p, p->handles[i].name);
    if (handle) {
        *handle = &p->handles[i];
    }
    if (!f) {
        status(w, id, NACRE_FX_FAILURE);
    }
    return f;
}

static void attrs(nc_wr *w, const sftp_peer *p, const peer_file *f)
{
    nc_wr_u32(w, NACRE_SFTP_ATTR_SIZE | NACRE_SFTP_ATTR_PERMISSIONS | NACRE_SFTP_ATTR_ACMODTIME);
    nc_wr_u64(w, p->lies ? p->told_size : f->size);
    nc_wr_u32(w, f->mode);
    nc_wr_u32(w, f->atime);
    nc_wr_u32(w, f->mtime);
}

static void take_attrs(nc_rd *r, peer_file *f)
{
    nacre_sftp_attrs a;
    size_t used = 0;
    if (nacre_sftp_attrs_decode(nc_rd_rest(r), &used, &a) != NACRE_OK) {
        return;
    }
    if (a.flags & NACRE_SFTP_ATTR_SIZE) {
        resize(f, (size_t)a.size);
    }
    if (a.flags & NACRE_SFTP_ATTR_PERMISSIONS) {
        f->mode = (f->mode & NACRE_SFTP_S_IFMT) | (a.permissions & 07777);
    }
    if (a.flags & NACRE_SFTP_ATTR_ACMODTIME) {
        f->atime = a.atime;
        f->mtime = a.mtime;
    }
}

static void do_open(sftp_peer *p, nc_wr *w, uint32_t id, nc_rd *r)
{
    char name[80];
    text_of(nc_rd_str(r), name);
    uint32_t pflags = nc_rd_u32(r);
    peer_file *f = sftp_peer_find(p, name);
    if ((!f && !(pflags & NACRE_FXF_CREAT)) || (f && (pflags & NACRE_FXF_EXCL))) {
        status(w, id, f ? NACRE_FX_FAILURE : NACRE_FX_NO_SUCH_FILE);
        return;
    }
    if (!f) {
        f = make(p, name, 0644);
        take_attrs(r, f);
    } else if (pflags & NACRE_FXF_TRUNC) {
        resize(f, 0);
    }
    for (uint32_t i = 0; i < PEER_HANDLES; i++) {
        if (!p->handles[i].name[0]) {
            uint8_t raw[4];
            memcpy(p->handles[i].name, name, sizeof(name));
            p->handles[i].pflags = pflags;
            nc_put_u32(raw, i);
            nc_wr_u8(w, NACRE_FXP_HANDLE);
            nc_wr_u32(w, id);
            nc_wr_str(w, nc_span(raw, 4));
            return;
        }
    }
    status(w, id, NACRE_FX_FAILURE);
}

static void do_read(sftp_peer *p, nc_wr *w, uint32_t id, nc_rd *r)
{
    const peer_file *f = by_handle(p, w, id, r, NULL);
    uint64_t offset = nc_rd_u64(r);
    size_t n = nc_rd_u32(r);
    if (!f) {
        return;
    }
    if (offset >= f->size) {
        status(w, id, NACRE_FX_EOF);
        return;
    }
    n = n > f->size - offset ? f->size - (size_t)offset : n;
    n = p->most && n > p->most ? p->most : n;
    nc_wr_u8(w, NACRE_FXP_DATA);
    nc_wr_u32(w, id);
    nc_wr_str(w, nc_span(f->data + offset, n));
}

static void do_write(sftp_peer *p, nc_wr *w, uint32_t id, nc_rd *r)
{
    peer_handle *h = NULL;
    peer_file *f = by_handle(p, w, id, r, &h);
    size_t offset = (size_t)nc_rd_u64(r);
    nacre_span data = nc_rd_str(r);
    if (!f) {
        return;
    }
    p->broken_promise = p->broken_promise || !(h->pflags & NACRE_FXF_WRITE);
    if (p->disk && offset + data.n > p->disk) {
        status(w, id, NACRE_FX_FAILURE);
        return;
    }
    if (!p->lose_from || offset < p->lose_from) {
        if (offset + data.n > f->size) {
            resize(f, offset + data.n);
        }
        memcpy(f->data + offset, data.p, data.n);
    }
    status(w, id, NACRE_FX_OK);
}

static void do_rename(sftp_peer *p, nc_wr *w, uint32_t id, nc_rd *r, bool replace)
{
    char from[80];
    char to[80];
    text_of(nc_rd_str(r), from);
    text_of(nc_rd_str(r), to);
    peer_file *f = sftp_peer_find(p, from);
    peer_file *old = sftp_peer_find(p, to);
    if (!f || (old && !replace)) {
        status(w, id, f ? NACRE_FX_FAILURE : NACRE_FX_NO_SUCH_FILE);
        return;
    }
    if (old) {
        free(old->data);
        memset(old, 0, sizeof(*old));
    }
    memcpy(f->name, to, sizeof(to));
    status(w, id, NACRE_FX_OK);
}

static void do_hash(sftp_peer *p, nc_wr *w, uint32_t id, nc_rd *r, bool by_name)
{
    uint8_t hash[NC_MAX_HASH];
    char name[80];
    const nc_hash_alg *alg = nc_hash_find(p->hash);
    peer_file *f;
    if (by_name) {
        text_of(nc_rd_str(r), name);
        f = sftp_peer_find(p, name);
    } else {
        f = by_handle(p, w, id, r, NULL);
    }
    nc_rd_str(r);
    size_t offset = (size_t)nc_rd_u64(r);
    size_t n = (size_t)nc_rd_u64(r);
    if (!f || !alg || offset > f->size) {
        status(w, id, NACRE_FX_FAILURE);
        return;
    }
    n = n == 0 || n > f->size - offset ? f->size - offset : n;
    nacre_span piece = nc_span(f->data + offset, n);
    if (nc_hash(alg, &piece, 1, hash) != NACRE_OK) {
        abort();
    }
    hash[0] ^= p->bad_hash ? 1 : 0;
    nc_wr_u8(w, NACRE_FXP_EXTENDED_REPLY);
    nc_wr_u32(w, id);
    nc_wr_cstr(w, p->hash);
    nc_wr_bytes(w, nc_span(hash, alg->len));
}

static void do_copy(sftp_peer *p, nc_wr *w, uint32_t id, nc_rd *r)
{
    const peer_file *from = by_handle(p, w, id, r, NULL);
    if (!from) {
        return;
    }
    size_t at = (size_t)nc_rd_u64(r);
    size_t n = (size_t)nc_rd_u64(r);
    peer_file *to = by_handle(p, w, id, r, NULL);
    size_t to_at = (size_t)nc_rd_u64(r);
    if (!to) {
        return;
    }
    n = n == 0 ? from->size - at : n;
    resize(to, to_at + n);
    if (n > 0) {
        memcpy(to->data + to_at, from->data + at, n);
    }
    status(w, id, NACRE_FX_OK);
}

static void do_extended(sftp_peer *p, nc_wr *w, uint32_t id, nc_rd *r)
{
    nacre_span name = nc_rd_str(r);
    if (nc_span_is(name, "limits@openssh.com")) {
        nc_wr_u8(w, NACRE_FXP_EXTENDED_REPLY);
        nc_wr_u32(w, id);
        nc_wr_u64(w, 256 * 1024);
        nc_wr_u64(w, 255 * 1024);
        nc_wr_u64(w, 255 * 1024);
        nc_wr_u64(w, PEER_HANDLES);
    } else if (nc_span_is(name, "posix-rename@openssh.com") && p->posix_rename) {
        do_rename(p, w, id, r, true);
    } else if (nc_span_is(name, "fsync@openssh.com") && p->fsync) {
        if (by_handle(p, w, id, r, NULL)) {
            status(w, id, NACRE_FX_OK);
        }
    } else if (nc_span_is(name, "copy-data") && p->copy_data) {
        do_copy(p, w, id, r);
    } else if (p->check && nc_span_is(name, p->check)) {
        do_hash(p, w, id, r, strcmp(p->check, "check-file-name") == 0);
    } else {
        status(w, id, NACRE_FX_OP_UNSUPPORTED);
    }
}

static void do_close(sftp_peer *p, nc_wr *w, uint32_t id, nc_rd *r)
{
    peer_handle *h = NULL;
    (void)by_handle(p, w, id, r, &h);
    if (h) {
        memset(h, 0, sizeof(*h));
        status(w, id, NACRE_FX_OK);
    }
}

static void do_remove(sftp_peer *p, nc_wr *w, uint32_t id, nc_rd *r)
{
    char name[80];
    text_of(nc_rd_str(r), name);
    peer_file *f = sftp_peer_find(p, name);
    if (f) {
        free(f->data);
        memset(f, 0, sizeof(*f));
    }
    status(w, id, f ? NACRE_FX_OK : NACRE_FX_NO_SUCH_FILE);
}

static void do_setstat(sftp_peer *p, nc_wr *w, uint32_t id, nc_rd *r)
{
    char name[80];
    text_of(nc_rd_str(r), name);
    peer_file *f = sftp_peer_find(p, name);
    if (f) {
        take_attrs(r, f);
    }
    status(w, id, f ? NACRE_FX_OK : NACRE_FX_NO_SUCH_FILE);
}

static void do_stat(sftp_peer *p, nc_wr *w, uint32_t id, nc_rd *r, bool by_name)
{
    char name[80];
    peer_file *f;
    if (by_name) {
        text_of(nc_rd_str(r), name);
        f = sftp_peer_find(p, name);
        if (!f) {
            status(w, id, NACRE_FX_NO_SUCH_FILE);
        }
    } else {
        f = by_handle(p, w, id, r, NULL);
    }
    if (f) {
        nc_wr_u8(w, NACRE_FXP_ATTRS);
        nc_wr_u32(w, id);
        attrs(w, p, f);
    }
}

/* Names are as they are, with or without the one slash in front. */
static void do_realpath(nc_wr *w, uint32_t id, nc_rd *r)
{
    char name[80];
    text_of(nc_rd_str(r), name);
    nc_wr_u8(w, NACRE_FXP_NAME);
    nc_wr_u32(w, id);
    nc_wr_u32(w, 1);
    size_t mark = nc_wr_begin_str(w);
    nc_wr_u8(w, '/');
    nc_wr_bytes(w, nc_span_cstr(name[0] == '/' ? name + 1 : name));
    nc_wr_end_str(w, mark);
    nc_wr_cstr(w, "");
    nc_wr_u32(w, 0);
}

static void do_init(const sftp_peer *p, nc_wr *w)
{
    nc_wr_u8(w, NACRE_FXP_VERSION);
    nc_wr_u32(w, 3);
    const struct {
        bool there;
        const char *name, *version;
    } ext[] = {{p->limits, "limits@openssh.com", "1"},
               {p->posix_rename, "posix-rename@openssh.com", "1"},
               {p->fsync, "fsync@openssh.com", "1"},
               {p->copy_data, "copy-data", "1"},
               {p->check != NULL, p->check, ""}};
    for (size_t i = 0; i < sizeof(ext) / sizeof(ext[0]); i++) {
        if (ext[i].there) {
            nc_wr_cstr(w, ext[i].name);
            nc_wr_cstr(w, ext[i].version);
        }
    }
}

static void answer(sftp_peer *p, nc_wr *w, uint8_t type, nc_rd *r)
{
    if (type == NACRE_FXP_INIT) {
        do_init(p, w);
        return;
    }
    uint32_t id = nc_rd_u32(r);
    p->requests++;
    p->count[type]++;
    bool refused = (p->fail_at && p->requests == p->fail_at) || (p->refuse && type == p->refuse);
    if (refused && type != NACRE_FXP_CLOSE) {
        status(w, id, type == p->refuse ? p->refuse_code : p->fail_code);
        return;
    }
    peer_file *f;
    switch (type) {
    case NACRE_FXP_OPEN:
        do_open(p, w, id, r);
        break;
    case NACRE_FXP_READ:
        do_read(p, w, id, r);
        break;
    case NACRE_FXP_WRITE:
        do_write(p, w, id, r);
        break;
    case NACRE_FXP_FSTAT:
    case NACRE_FXP_STAT:
        do_stat(p, w, id, r, type == NACRE_FXP_STAT);
        break;
    case NACRE_FXP_FSETSTAT:
        f = by_handle(p, w, id, r, NULL);
        if (f) {
            take_attrs(r, f);
            status(w, id, NACRE_FX_OK);
        }
        break;
    case NACRE_FXP_SETSTAT:
        do_setstat(p, w, id, r);
        break;
    case NACRE_FXP_RENAME:
        do_rename(p, w, id, r, false);
        break;
    case NACRE_FXP_REMOVE:
        do_remove(p, w, id, r);
        break;
    case NACRE_FXP_EXTENDED:
        do_extended(p, w, id, r);
        break;
    case NACRE_FXP_CLOSE:
        do_close(p, w, id, r);
        break;
    case NACRE_FXP_REALPATH:
        do_realpath(w, id, r);
        break;
    default:
        status(w, id, NACRE_FX_OP_UNSUPPORTED);
        break;
    }
    if (refused && type == NACRE_FXP_CLOSE) {
        /* Closed all the same, but something was lost. */
        p->out.data[p->out.len - 8 - 3 - 1] = (uint8_t)p->fail_code;
    }
}

/* ---- the wire ----------------------------------------------------------------------------------------- */

typedef struct packet {
    size_t at, n;
} packet;

static void shuffle(packet *packets, size_t count, unsigned *seed)
{
    for (size_t i = count; i > 1; i--) {
        *seed = *seed * 1664525u + 1013904223u;
        size_t k = (*seed >> 8) % i;
        packet t = packets[i - 1];
        packets[i - 1] = packets[k];
        packets[k] = t;
    }
}

/* Answers what has come; how many answers there are. */
static size_t answer_all(sftp_peer *p, packet *packets)
{
    size_t count = 0;
    nc_buf in = p->in;
    nc_buf_init(&p->in, NULL, BUFFER);
    nc_buf_reset(&p->out);
    nc_wr w = nc_wr_init(&p->out);
    size_t at = 0;
    while (in.len - at >= 4 && in.len - at - 4 >= nc_get_u32(in.data + at) &&
           count < MOST_REPLIES) {
        size_t n = nc_get_u32(in.data + at);
        nc_rd r = nc_rd_init(nc_span(in.data + at + 5, n - 1));
        packets[count].at = p->out.len;
        size_t mark = nc_wr_begin_str(&w);
        answer(p, &w, in.data[at + 4], &r);
        nc_wr_end_str(&w, mark);
        packets[count].n = p->out.len - packets[count].at;
        count++;
        at += 4 + n;
    }
    if (at < in.len && nc_buf_append(&p->in, in.data + at, in.len - at) != NACRE_OK) {
        abort();
    }
    nc_buf_clear(&in);
    return count;
}

/* One round trip: false when there was nothing to answer. */
static bool turn(sftp_peer *p, nacre_sftp *s)
{
    static packet packets[MOST_REPLIES];
    unsigned reads = p->count[NACRE_FXP_READ];
    size_t count = p->silent ? 0 : answer_all(p, packets);
    reads = p->count[NACRE_FXP_READ] - reads;
    p->most_reads = reads > p->most_reads ? reads : p->most_reads;
    if (count == 0) {
        return false;
    }
    p->trips++;
    if (p->shuffle) {
        shuffle(packets, count, &p->shuffle);
    }
    nc_buf out = p->out;
    nc_buf_init(&p->out, NULL, BUFFER);
    for (size_t i = 0; i < count; i++) {
        size_t n = packets[i].n < p->cut_after ? packets[i].n : p->cut_after;
        p->cut_after -= p->cut_after == SIZE_MAX ? 0 : n;
        nc_sftp_feed(s, nc_span(out.data + packets[i].at, n));
        if (n < packets[i].n) {
            nc_sftp_lost(s);
            break;
        }
    }
    nc_buf_clear(&out);
    return true;
}

typedef struct wire {
    sftp_peer *p;
    nacre_sftp *s;
} wire;

static int run(void *ctx, int (*done)(void *user), void *user, uint32_t timeout_ms,
               nacre_error *err)
{
    wire *w = ctx;
    (void)timeout_ms;
    (void)err;
    int rc;
    while ((rc = done(user)) == NACRE_AGAIN) {
        if (w->p->cancelled) {
            w->p->cancelled = false;
            return NACRE_CANCELLED;
        }
        if (!turn(w->p, w->s)) {
            return NACRE_TIMEOUT; /* nothing will ever come */
        }
    }
    return rc;
}

static void push(void *ctx)
{
    (void)ctx;
}

static void cancel(void *ctx)
{
    ((wire *)ctx)->p->cancelled = true;
}

/* What the client sent last arrives all the same. */
static void wire_free(void *ctx)
{
    static packet packets[MOST_REPLIES];
    sftp_peer *p = ((wire *)ctx)->p;
    const nacre_sftp *s = ((wire *)ctx)->s;
    if (s->flying != 0 || s->flow_requests != 0) {
        abort(); /* the books of what is on the way do not add up */
    }
    if (p && !p->silent) {
        (void)answer_all(p, packets);
    }
    if (p) {
        nc_buf_reset(&p->in);
    }
    free(ctx);
}

static const nc_sftp_wire functions = {run, push, cancel, wire_free};

static int pipe_write(void *ctx, const void *bytes, size_t n, size_t *took)
{
    wire *w = ctx;
    *took = n;
    return nc_buf_append(&w->p->in, bytes, n);
}

int sftp_peer_session(sftp_peer *p, const nacre_allocator *alloc, nacre_sftp **out)
{
    nacre_sftp_options o;
    wire *w = calloc(1, sizeof(*w));
    nacre_pipe pipe = {.ctx = w, .write = pipe_write};
    nacre_error err = {.status = NACRE_OK};
    nacre_sftp_options_init(&o);
    o.allocator = alloc;
    o.timeout_ms = 1000;
    *out = NULL;
    if (!w) {
        abort();
    }
    int rc = nc_sftp_new(&w->s, &o, &pipe, &err);
    if (rc != NACRE_OK) {
        free(w);
        return rc;
    }
    w->p = p;
    w->s->wire = &functions;
    w->s->wire_ctx = w;
    rc = nc_sftp_start(w->s);
    if (rc != NACRE_OK) {
        nacre_sftp_close(w->s);
        return rc;
    }
    *out = w->s;
    p->trips = p->requests = 0;
    memset(p->count, 0, sizeof(p->count));
    return NACRE_OK;
}
