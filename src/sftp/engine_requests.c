/*
 * engine_requests.c - the client's requests, draft-ietf-secsh-filexfer-02 section 6 and OpenSSH's
 * PROTOCOL section 4. A request is a list of fields: one function measures, checks and writes them
 * all, so that nothing is queued by halves.
 */
#include "sftp/engine.h"

#include <string.h>

enum {
    MAX_PATH = 64 * 1024, /* far above any system's PATH_MAX, far below a packet */
    /* OpenSSH's server takes no packet above it, so neither do we make one. */
    MAX_REQUEST = NC_SFTP_MAX_PACKET,
    /* A write smaller than this is not worth its header and its reply while others are on the way. */
    LEAST_WRITE = 32 * 1024,
    WRITE_FIXED = 4 + 1 + 4 + 4 + 8 + 4,
    LEAST_HASH_BLOCK = 256 /* filexfer-extensions 3: smaller ones are an error */
};

typedef enum field_kind {
    FIELD_PATH,
    FIELD_HANDLE,
    FIELD_STRING,
    FIELD_RAW,
    FIELD_U32,
    FIELD_U64,
    FIELD_ATTRS,
    FIELD_NUMBERS /* a string of uint32s */
} field_kind;

typedef struct field {
    field_kind kind;
    nacre_span s;
    uint64_t v;
    const nacre_sftp_attrs *attrs;
    const uint32_t *numbers;
} field;

#define PATH(x)                                                                                    \
    {                                                                                              \
        .kind = FIELD_PATH, .s = (x)                                                               \
    }
#define HANDLE(x)                                                                                  \
    {                                                                                              \
        .kind = FIELD_HANDLE, .s = (x)                                                             \
    }
#define RAW(x)                                                                                     \
    {                                                                                              \
        .kind = FIELD_RAW, .s = (x)                                                                \
    }
#define U32(x)                                                                                     \
    {                                                                                              \
        .kind = FIELD_U32, .v = (x)                                                                \
    }
#define U64(x)                                                                                     \
    {                                                                                              \
        .kind = FIELD_U64, .v = (x)                                                                \
    }
#define ATTRS(x)                                                                                   \
    {                                                                                              \
        .kind = FIELD_ATTRS, .attrs = (x)                                                          \
    }

typedef struct request {
    uint8_t type;
    uint8_t replies;
    const char *ext_name; /* of EXTENDED */
    nacre_sftp_ext ext;   /* NACRE_SFTP_EXT_COUNT: none of ours */
    const field *fields;
    size_t count;
} request;

#define REQUEST(t, r, f)                                                                           \
    {                                                                                              \
        .type = (t), .replies = (r), .ext = NACRE_SFTP_EXT_COUNT, .fields = (f),                   \
        .count = sizeof(f) / sizeof((f)[0])                                                        \
    }

static bool handle_valid(nacre_span h)
{
    return h.n > 0 && h.n <= NC_SFTP_MAX_HANDLE;
}

/* Checks one field and adds its encoded length. */
static int measure(const field *f, size_t *size)
{
    size_t n = 4 + f->s.n;
    switch (f->kind) {
    case FIELD_PATH:
        if (nc_sftp_has_nul(f->s)) {
            return NACRE_INVALID_ARGUMENT;
        }
        if (f->s.n > MAX_PATH) {
            return NACRE_TOO_LARGE;
        }
        break;
    case FIELD_HANDLE:
        if (!handle_valid(f->s)) {
            return NACRE_INVALID_ARGUMENT;
        }
        break;
    case FIELD_ATTRS:
        if (!nc_sftp_attrs_valid(f->attrs)) {
            return NACRE_INVALID_ARGUMENT;
        }
        n = nc_sftp_attrs_size(f->attrs);
        break;
    case FIELD_NUMBERS:
        n = f->v > MAX_REQUEST / 4 ? MAX_REQUEST : 4 + (size_t)f->v * 4;
        break;
    case FIELD_RAW:
        n = f->s.n;
        break;
    case FIELD_U64:
        n = 8;
        break;
    case FIELD_U32:
        n = 4;
        break;
    case FIELD_STRING:
        break;
    }
    if (n > MAX_REQUEST - *size) {
        return NACRE_TOO_LARGE;
    }
    *size += n;
    return NACRE_OK;
}

static void put(nc_wr *w, const field *f)
{
    switch (f->kind) {
    case FIELD_PATH:
    case FIELD_HANDLE:
    case FIELD_STRING:
        nc_wr_str(w, f->s);
        break;
    case FIELD_RAW:
        nc_wr_bytes(w, f->s);
        break;
    case FIELD_U32:
        nc_wr_u32(w, (uint32_t)f->v);
        break;
    case FIELD_U64:
        nc_wr_u64(w, f->v);
        break;
    case FIELD_ATTRS:
        nc_sftp_wr_attrs(w, f->attrs);
        break;
    case FIELD_NUMBERS:
        nc_wr_u32(w, (uint32_t)f->v * 4);
        for (uint64_t i = 0; i < f->v; i++) {
            nc_wr_u32(w, f->numbers[i]);
        }
        break;
    }
}

static int may_ask(const nacre_sftp_engine *e, const request *rq)
{
    bool early = e->eager && e->state == NC_ENGINE_INIT_SENT;
    if ((e->state != NC_ENGINE_READY && !early) || e->write_lent) {
        return NACRE_WRONG_STATE;
    }
    bool there = rq->ext == NACRE_SFTP_EXT_COUNT || nacre_sftp_engine_has(e, rq->ext) ||
                 (early && rq->ext == NACRE_SFTP_EXT_LIMITS);
    return there ? NACRE_OK : NACRE_UNSUPPORTED;
}

/* Everything that can go wrong goes wrong before the first byte is queued. */
static int send_request(nacre_sftp_engine *e, const request *rq, uint32_t *id, nc_sftp_slot **slot)
{
    *id = 0;
    field name = {.kind = FIELD_STRING, .s = nc_span_cstr(rq->ext_name)};
    size_t size = 5;
    int rc = may_ask(e, rq);
    rc = rc == NACRE_OK && rq->ext_name ? measure(&name, &size) : rc;
    for (size_t i = 0; rc == NACRE_OK && i < rq->count; i++) {
        rc = measure(&rq->fields[i], &size);
    }
    if (rc != NACRE_OK) {
        return rc;
    }
    /* An empty queue takes any request, so that the largest one cannot wait for ever. */
    size_t queued = nc_sftp_out_queued(&e->out);
    if (queued > 0 && queued + 4 + size > NACRE_SFTP_MAX_QUEUED) {
        return NACRE_AGAIN;
    }
    rc = nc_engine_prepare_slot(e);
    if (rc == NACRE_OK) {
        rc = nc_queue_reserve(&e->out.queue, 4 + size);
    }
    if (rc != NACRE_OK) {
        return rc;
    }
    *slot = nc_engine_take_slot(e, rq->type, rq->replies);
    (*slot)->ext = (uint8_t)rq->ext;
    *id = (*slot)->id;
    nc_wr w = nc_wr_init(&e->out.queue.buf);
    nc_wr_u32(&w, (uint32_t)size);
    nc_wr_u8(&w, rq->type);
    nc_wr_u32(&w, *id);
    if (rq->ext_name) {
        put(&w, &name);
    }
    for (size_t i = 0; i < rq->count; i++) {
        put(&w, &rq->fields[i]);
    }
    return nc_wr_err(&w); /* the room was reserved: always OK */
}

static int plain(nacre_sftp_engine *e, request rq, uint32_t *id)
{
    nc_sftp_slot *slot;
    return send_request(e, &rq, id, &slot);
}

static int extension(nacre_sftp_engine *e, nacre_sftp_ext ext, uint8_t replies, const field *fields,
                     size_t count, uint32_t *id)
{
    request rq = {NACRE_FXP_EXTENDED, replies, nc_sftp_ext_name(ext), ext, fields, count};
    return plain(e, rq, id);
}

int nacre_sftp_req_open(nacre_sftp_engine *e, nacre_span path, uint32_t pflags,
                        const nacre_sftp_attrs *attrs, uint32_t *id)
{
    const field f[] = {PATH(path), U32(pflags), ATTRS(attrs)};
    request rq = REQUEST(NACRE_FXP_OPEN, NC_REPLY_HANDLE, f);
    return plain(e, rq, id);
}

int nacre_sftp_req_read(nacre_sftp_engine *e, nacre_span handle, uint64_t offset, size_t n,
                        size_t *asked, uint32_t *id)
{
    if (n == 0) {
        return NACRE_INVALID_ARGUMENT;
    }
    uint32_t cut = (uint32_t)(n < e->limits.max_read ? n : e->limits.max_read);
    const field f[] = {HANDLE(handle), U64(offset), U32(cut)};
    request rq = REQUEST(NACRE_FXP_READ, NC_REPLY_DATA, f);
    nc_sftp_slot *slot;
    int rc = send_request(e, &rq, id, &slot);
    if (rc == NACRE_OK) {
        slot->asked = cut;
        slot->offset = offset;
    }
    if (asked) {
        *asked = rc == NACRE_OK ? cut : 0;
    }
    return rc;
}

#define ONE_FIELD_REQUEST(fn, argument, field_macro, type, replies)                                \
    int fn(nacre_sftp_engine *e, nacre_span argument, uint32_t *id)                                \
    {                                                                                              \
        const field f[] = {field_macro(argument)};                                                 \
        request rq = REQUEST(type, replies, f);                                                    \
        return plain(e, rq, id);                                                                   \
    }

#define TWO_FIELD_REQUEST(fn, type_b, b, macro_a, macro_b, type)                                   \
    int fn(nacre_sftp_engine *e, nacre_span a, type_b b, uint32_t *id)                             \
    {                                                                                              \
        const field f[] = {macro_a(a), macro_b(b)};                                                \
        request rq = REQUEST(type, NC_REPLY_STATUS_OK, f);                                         \
        return plain(e, rq, id);                                                                   \
    }

ONE_FIELD_REQUEST(nacre_sftp_req_close, handle, HANDLE, NACRE_FXP_CLOSE, NC_REPLY_STATUS_OK)
ONE_FIELD_REQUEST(nacre_sftp_req_stat, path, PATH, NACRE_FXP_STAT, NC_REPLY_ATTRS)
ONE_FIELD_REQUEST(nacre_sftp_req_lstat, path, PATH, NACRE_FXP_LSTAT, NC_REPLY_ATTRS)
ONE_FIELD_REQUEST(nacre_sftp_req_fstat, handle, HANDLE, NACRE_FXP_FSTAT, NC_REPLY_ATTRS)
ONE_FIELD_REQUEST(nacre_sftp_req_opendir, path, PATH, NACRE_FXP_OPENDIR, NC_REPLY_HANDLE)
ONE_FIELD_REQUEST(nacre_sftp_req_readdir, handle, HANDLE, NACRE_FXP_READDIR, NC_REPLY_NAMES)
ONE_FIELD_REQUEST(nacre_sftp_req_remove, path, PATH, NACRE_FXP_REMOVE, NC_REPLY_STATUS_OK)
ONE_FIELD_REQUEST(nacre_sftp_req_rmdir, path, PATH, NACRE_FXP_RMDIR, NC_REPLY_STATUS_OK)
ONE_FIELD_REQUEST(nacre_sftp_req_realpath, path, PATH, NACRE_FXP_REALPATH, NC_REPLY_ONE_NAME)
ONE_FIELD_REQUEST(nacre_sftp_req_readlink, path, PATH, NACRE_FXP_READLINK, NC_REPLY_ONE_NAME)
TWO_FIELD_REQUEST(nacre_sftp_req_rename, nacre_span, to, PATH, PATH, NACRE_FXP_RENAME)
TWO_FIELD_REQUEST(nacre_sftp_req_setstat, const nacre_sftp_attrs *, attrs, PATH, ATTRS,
                  NACRE_FXP_SETSTAT)
TWO_FIELD_REQUEST(nacre_sftp_req_fsetstat, const nacre_sftp_attrs *, attrs, HANDLE, ATTRS,
                  NACRE_FXP_FSETSTAT)
TWO_FIELD_REQUEST(nacre_sftp_req_mkdir, const nacre_sftp_attrs *, attrs, PATH, ATTRS,
                  NACRE_FXP_MKDIR)

int nacre_sftp_req_symlink(nacre_sftp_engine *e, nacre_span target, nacre_span link, uint32_t *id)
{
    /* The draft says linkpath first; OpenSSH reads and sends them swapped (PROTOCOL 4.1). */
    const field f[] = {PATH(e->draft_symlink ? link : target),
                       PATH(e->draft_symlink ? target : link)};
    request rq = REQUEST(NACRE_FXP_SYMLINK, NC_REPLY_STATUS_OK, f);
    return plain(e, rq, id);
}

int nacre_sftp_req_extended(nacre_sftp_engine *e, const char *name, nacre_span data, uint32_t *id)
{
    if (!name || !name[0]) {
        return NACRE_INVALID_ARGUMENT;
    }
    const field f[] = {RAW(data)};
    request rq = REQUEST(NACRE_FXP_EXTENDED, NC_REPLY_EXTENDED | NC_REPLY_STATUS_OK, f);
    rq.ext_name = name;
    return plain(e, rq, id);
}

int nacre_sftp_req_limits(nacre_sftp_engine *e, uint32_t *id)
{
    return extension(e, NACRE_SFTP_EXT_LIMITS, NC_REPLY_EXTENDED, NULL, 0, id);
}

int nacre_sftp_req_posix_rename(nacre_sftp_engine *e, nacre_span from, nacre_span to, uint32_t *id)
{
    const field f[] = {PATH(from), PATH(to)};
    return extension(e, NACRE_SFTP_EXT_POSIX_RENAME, NC_REPLY_STATUS_OK, f, 2, id);
}

int nacre_sftp_req_statvfs(nacre_sftp_engine *e, nacre_span path, uint32_t *id)
{
    const field f[] = {PATH(path)};
    return extension(e, NACRE_SFTP_EXT_STATVFS, NC_REPLY_EXTENDED, f, 1, id);
}

int nacre_sftp_req_fstatvfs(nacre_sftp_engine *e, nacre_span handle, uint32_t *id)
{
    const field f[] = {HANDLE(handle)};
    return extension(e, NACRE_SFTP_EXT_FSTATVFS, NC_REPLY_EXTENDED, f, 1, id);
}

int nacre_sftp_req_hardlink(nacre_sftp_engine *e, nacre_span from, nacre_span to, uint32_t *id)
{
    const field f[] = {PATH(from), PATH(to)};
    return extension(e, NACRE_SFTP_EXT_HARDLINK, NC_REPLY_STATUS_OK, f, 2, id);
}

int nacre_sftp_req_fsync(nacre_sftp_engine *e, nacre_span handle, uint32_t *id)
{
    const field f[] = {HANDLE(handle)};
    return extension(e, NACRE_SFTP_EXT_FSYNC, NC_REPLY_STATUS_OK, f, 1, id);
}

int nacre_sftp_req_lsetstat(nacre_sftp_engine *e, nacre_span path, const nacre_sftp_attrs *attrs,
                            uint32_t *id)
{
    const field f[] = {PATH(path), ATTRS(attrs)};
    return extension(e, NACRE_SFTP_EXT_LSETSTAT, NC_REPLY_STATUS_OK, f, 2, id);
}

int nacre_sftp_req_expand_path(nacre_sftp_engine *e, nacre_span path, uint32_t *id)
{
    const field f[] = {PATH(path)};
    return extension(e, NACRE_SFTP_EXT_EXPAND_PATH, NC_REPLY_ONE_NAME, f, 1, id);
}

int nacre_sftp_req_home_directory(nacre_sftp_engine *e, nacre_span user, uint32_t *id)
{
    const field f[] = {PATH(user)};
    return extension(e, NACRE_SFTP_EXT_HOME_DIRECTORY, NC_REPLY_ONE_NAME, f, 1, id);
}

int nacre_sftp_req_copy_data(nacre_sftp_engine *e, nacre_span from_handle, uint64_t from_offset,
                             uint64_t n, nacre_span to_handle, uint64_t to_offset, uint32_t *id)
{
    const field f[] = {HANDLE(from_handle), U64(from_offset), U64(n), HANDLE(to_handle),
                       U64(to_offset)};
    return extension(e, NACRE_SFTP_EXT_COPY_DATA, NC_REPLY_STATUS_OK, f, 5, id);
}

int nacre_sftp_req_users_groups(nacre_sftp_engine *e, const uint32_t *uids, size_t n_uids,
                                const uint32_t *gids, size_t n_gids, uint32_t *id)
{
    const field f[] = {{.kind = FIELD_NUMBERS, .v = n_uids, .numbers = uids},
                       {.kind = FIELD_NUMBERS, .v = n_gids, .numbers = gids}};
    return extension(e, NACRE_SFTP_EXT_USERS_GROUPS, NC_REPLY_EXTENDED, f, 2, id);
}

static int check_file(nacre_sftp_engine *e, nacre_sftp_ext ext, field file,
                      const nacre_sftp_check *check, uint32_t *id)
{
    *id = 0;
    if (!check->algorithms || (check->block_size > 0 && check->block_size < LEAST_HASH_BLOCK)) {
        return NACRE_INVALID_ARGUMENT;
    }
    if (!nacre_sftp_engine_has(e, NACRE_SFTP_EXT_CHECK_FILE)) {
        return e->state == NC_ENGINE_READY ? NACRE_UNSUPPORTED : NACRE_WRONG_STATE;
    }
    const field f[] = {file,
                       {.kind = FIELD_STRING, .s = nc_span_cstr(check->algorithms)},
                       U64(check->offset),
                       U64(check->length),
                       U32(check->block_size)};
    request rq = REQUEST(NACRE_FXP_EXTENDED, NC_REPLY_EXTENDED, f);
    rq.ext_name = nc_sftp_ext_name(ext);
    nc_sftp_slot *slot;
    int rc = send_request(e, &rq, id, &slot);
    if (rc == NACRE_OK) {
        slot->ext = NACRE_SFTP_EXT_CHECK_FILE; /* whichever name: the replies are alike */
    }
    return rc;
}

int nacre_sftp_req_check_file_name(nacre_sftp_engine *e, nacre_span path,
                                   const nacre_sftp_check *check, uint32_t *id)
{
    field file = PATH(path);
    return check_file(e, NACRE_SFTP_EXT_CHECK_FILE_NAME, file, check, id);
}

int nacre_sftp_req_check_file_handle(nacre_sftp_engine *e, nacre_span handle,
                                     const nacre_sftp_check *check, uint32_t *id)
{
    field file = HANDLE(handle);
    return check_file(e, NACRE_SFTP_EXT_CHECK_FILE_HANDLE, file, check, id);
}

int nacre_sftp_req_check_file(nacre_sftp_engine *e, nacre_span handle,
                              const nacre_sftp_check *check, uint32_t *id)
{
    field file = HANDLE(handle);
    return check_file(e, NACRE_SFTP_EXT_CHECK_FILE, file, check, id);
}

/* ---- WRITE ---------------------------------------------------------------------------------------- */

/* The lengths in it are final only at commit; everything else is laid down now. */
static void lay_write_head(nacre_sftp_engine *e, nacre_span handle, uint64_t offset)
{
    uint8_t *p = e->write_head;
    e->write_head_len = WRITE_FIXED + handle.n;
    nc_buf b = {NULL, p, 0, e->write_head_len, e->write_head_len};
    nc_wr w = nc_wr_init(&b);
    nc_wr_u32(&w, 0);
    nc_wr_u8(&w, NACRE_FXP_WRITE);
    nc_wr_u32(&w, nc_engine_next_id(e));
    nc_wr_str(&w, handle);
    nc_wr_u64(&w, offset);
    nc_wr_u32(&w, 0);
}

int nacre_sftp_reserve_write(nacre_sftp_engine *e, nacre_span handle, uint64_t offset, size_t want,
                             nacre_room *rooms, size_t *count, size_t *granted)
{
    size_t capacity = *count;
    *count = 0;
    *granted = 0;
    if (e->state != NC_ENGINE_READY || e->write_lent) {
        return NACRE_WRONG_STATE;
    }
    if (!handle_valid(handle) || want == 0 || capacity == 0) {
        return NACRE_INVALID_ARGUMENT;
    }
    int rc = nc_engine_prepare_slot(e);
    if (rc != NACRE_OK) {
        return rc;
    }
    /* With nothing on the way no reply will come and make room: then our own buffer takes the whole,
       and it trickles through however small the window is. */
    nc_sftp_place place = {
        .header = WRITE_FIXED + handle.n,
        .want = want < e->limits.max_write ? want : (size_t)e->limits.max_write,
        .least = LEAST_WRITE,
        .stage = e->outstanding == 0,
    };
    *count = capacity;
    rc = nc_sftp_out_reserve(&e->out, place, rooms, count, granted);
    if (rc == NACRE_AGAIN || rc == NACRE_NO_MEMORY) {
        return rc;
    }
    if (rc != NACRE_OK) {
        return nc_engine_fail(e, rc, "SFTP data could not be sent: %s", nacre_status_text(rc));
    }
    lay_write_head(e, handle, offset);
    e->write_lent = true;
    return NACRE_OK;
}

int nacre_sftp_commit_write(nacre_sftp_engine *e, size_t n, uint32_t *id)
{
    *id = 0;
    if (!e->write_lent) {
        return NACRE_WRONG_STATE;
    }
    if (n > e->out.granted) {
        return NACRE_INVALID_ARGUMENT;
    }
    e->write_lent = false;
    int rc;
    if (n == 0) {
        rc = nc_sftp_out_abandon(&e->out);
    } else {
        nc_put_u32(e->write_head, (uint32_t)(e->write_head_len - 4 + n));
        nc_put_u32(e->write_head + e->write_head_len - 4, (uint32_t)n);
        rc = nc_sftp_out_commit(&e->out, e->write_head, n);
    }
    if (rc != NACRE_OK) {
        return nc_engine_fail(e, rc, "SFTP data could not be sent: %s", nacre_status_text(rc));
    }
    if (n > 0) {
        *id = nc_engine_take_slot(e, NACRE_FXP_WRITE, NC_REPLY_STATUS_OK)->id;
    }
    return NACRE_OK;
}

int nacre_sftp_req_write(nacre_sftp_engine *e, nacre_span handle, uint64_t offset, nacre_span data,
                         size_t *took, uint32_t *id)
{
    nacre_room rooms[NC_SFTP_ROOMS];
    size_t count = NC_SFTP_ROOMS;
    size_t granted;
    *took = 0;
    *id = 0;
    int rc = nacre_sftp_reserve_write(e, handle, offset, data.n, rooms, &count, &granted);
    if (rc != NACRE_OK) {
        return rc;
    }
    size_t done = 0;
    for (size_t i = 0; i < count; i++) {
        memcpy(rooms[i].p, data.p + done, rooms[i].n);
        done += rooms[i].n;
    }
    rc = nacre_sftp_commit_write(e, done, id);
    *took = rc == NACRE_OK ? done : 0;
    return rc;
}
