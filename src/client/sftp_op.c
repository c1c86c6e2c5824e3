/*
 * sftp_op.c - one request and its one answer: sending, keeping what came, waiting, and saying in a
 * sentence what was refused.
 */
#include "client/sftp_session.h"

#include <stdio.h>
#include <string.h>

/* ---- the answer --------------------------------------------------------------------------------------- */

static void keep_handle(nc_sftp_op *op, nacre_span handle)
{
    op->handle_len = handle.n < sizeof(op->handle) ? handle.n : sizeof(op->handle);
    memcpy(op->handle, handle.p, op->handle_len);
}

static void keep_bytes(nc_sftp_op *op, nacre_span bytes)
{
    nc_free(op->alloc, op->names);
    op->names = nc_alloc(op->alloc, bytes.n);
    op->names_len = 0;
    op->no_memory = !op->names;
    if (op->names && bytes.n > 0) {
        memcpy(op->names, bytes.p, bytes.n);
        op->names_len = bytes.n;
    }
}

static void keep_names(nc_sftp_op *op, const nacre_sftp_names *names)
{
    keep_bytes(op, names->rest);
    op->names_count = op->no_memory ? 0 : names->count;
}

/* hash has one over all that was asked about; more than the longest that there is is kept as none. */
static void keep_hash(nc_sftp_op *op, nacre_span algorithm, nacre_span bytes)
{
    op->hash_len = bytes.n <= sizeof(op->hash) ? bytes.n : 0;
    if (op->hash_len > 0) {
        memcpy(op->hash, bytes.p, op->hash_len);
    }
    nacre_escape(op->algorithm, sizeof(op->algorithm), algorithm);
    keep_bytes(op, bytes);
}

static void on_reply(nc_sftp_call *call, nacre_sftp *s, const nacre_sftp_event *ev)
{
    (void)s;
    nc_sftp_op *op = (nc_sftp_op *)call;
    op->done = ev->done;
    op->ok = true;
    switch (ev->type) {
    case NACRE_SFTP_EVENT_STATUS:
        op->code = ev->u.status.code;
        op->ok = op->code == NACRE_FX_OK;
        nacre_escape(op->message, sizeof(op->message), ev->u.status.message);
        break;
    case NACRE_SFTP_EVENT_HANDLE:
        keep_handle(op, ev->u.handle);
        break;
    case NACRE_SFTP_EVENT_NAMES:
        keep_names(op, &ev->u.names);
        break;
    case NACRE_SFTP_EVENT_ATTRS:
        op->attrs = ev->u.attrs;
        op->attrs.extended_count = 0;
        op->attrs.extended = nc_span(NULL, 0);
        op->attrs.flags &= ~NACRE_SFTP_ATTR_EXTENDED;
        break;
    case NACRE_SFTP_EVENT_STATVFS:
        op->statvfs = ev->u.statvfs;
        break;
    case NACRE_SFTP_EVENT_EXTENDED:
        op->extended = true;
        keep_bytes(op, ev->u.extended);
        break;
    case NACRE_SFTP_EVENT_HASHES:
        keep_hash(op, ev->u.hashes.algorithm, ev->u.hashes.bytes);
        break;
    default:
        break;
    }
}

void nc_sftp_op_init(nc_sftp_op *op, nacre_sftp *s)
{
    memset(op, 0, sizeof(*op));
    op->alloc = s->alloc;
    op->call.on_reply = on_reply;
}

void nc_sftp_op_clear(nc_sftp_op *op)
{
    nc_free(op->alloc, op->names);
    op->names = NULL;
    op->names_len = 0;
}

/* ---- the request -------------------------------------------------------------------------------------- */

static int send_extended(nacre_sftp_engine *e, const nc_sftp_request *r, uint32_t *id)
{
    nacre_span path = nc_span_cstr(r->path);
    nacre_span other = nc_span_cstr(r->other);
    nacre_sftp_check check = {.algorithms = r->algorithms,
                              .offset = r->offset,
                              .length = r->length,
                              .block_size = r->block_size};
    switch (r->ext) {
    case NACRE_SFTP_EXT_POSIX_RENAME:
        return nacre_sftp_req_posix_rename(e, path, other, id);
    case NACRE_SFTP_EXT_HARDLINK:
        return nacre_sftp_req_hardlink(e, path, other, id);
    case NACRE_SFTP_EXT_STATVFS:
        return nacre_sftp_req_statvfs(e, path, id);
    case NACRE_SFTP_EXT_FSYNC:
        return nacre_sftp_req_fsync(e, r->handle, id);
    case NACRE_SFTP_EXT_LSETSTAT:
        return nacre_sftp_req_lsetstat(e, path, r->attrs, id);
    case NACRE_SFTP_EXT_EXPAND_PATH:
        return nacre_sftp_req_expand_path(e, path, id);
    case NACRE_SFTP_EXT_COPY_DATA:
        return nacre_sftp_req_copy_data(e, r->handle, r->offset, r->length, r->to_handle,
                                        r->to_offset ? *r->to_offset : r->offset, id);
    case NACRE_SFTP_EXT_FSTATVFS:
        return nacre_sftp_req_fstatvfs(e, r->handle, id);
    case NACRE_SFTP_EXT_HOME_DIRECTORY:
        return nacre_sftp_req_home_directory(e, path, id);
    case NACRE_SFTP_EXT_USERS_GROUPS:
        return nacre_sftp_req_users_groups(e, r->uids, r->n_uids, r->gids, r->n_gids, id);
    case NACRE_SFTP_EXT_COUNT:
        return nacre_sftp_req_extended(e, r->name, r->data, id);
    case NACRE_SFTP_EXT_CHECK_FILE:
        return nacre_sftp_req_check_file(e, r->handle, &check, id);
    case NACRE_SFTP_EXT_CHECK_FILE_HANDLE:
        return nacre_sftp_req_check_file_handle(e, r->handle, &check, id);
    case NACRE_SFTP_EXT_CHECK_FILE_NAME:
        return nacre_sftp_req_check_file_name(e, path, &check, id);
    default:
        return NACRE_UNSUPPORTED;
    }
}

static int send_request(nacre_sftp_engine *e, const nc_sftp_request *r, uint32_t *id)
{
    nacre_span path = nc_span_cstr(r->path);
    nacre_span other = nc_span_cstr(r->other);
    switch (r->type) {
    case NACRE_FXP_OPEN:
        return nacre_sftp_req_open(e, path, r->pflags, r->attrs, id);
    case NACRE_FXP_CLOSE:
        return nacre_sftp_req_close(e, r->handle, id);
    case NACRE_FXP_LSTAT:
        return nacre_sftp_req_lstat(e, path, id);
    case NACRE_FXP_FSTAT:
        return nacre_sftp_req_fstat(e, r->handle, id);
    case NACRE_FXP_SETSTAT:
        return nacre_sftp_req_setstat(e, path, r->attrs, id);
    case NACRE_FXP_FSETSTAT:
        return nacre_sftp_req_fsetstat(e, r->handle, r->attrs, id);
    case NACRE_FXP_OPENDIR:
        return nacre_sftp_req_opendir(e, path, id);
    case NACRE_FXP_READDIR:
        return nacre_sftp_req_readdir(e, r->handle, id);
    case NACRE_FXP_REMOVE:
        return nacre_sftp_req_remove(e, path, id);
    case NACRE_FXP_MKDIR:
        return nacre_sftp_req_mkdir(e, path, r->attrs, id);
    case NACRE_FXP_RMDIR:
        return nacre_sftp_req_rmdir(e, path, id);
    case NACRE_FXP_REALPATH:
        return nacre_sftp_req_realpath(e, path, id);
    case NACRE_FXP_STAT:
        return nacre_sftp_req_stat(e, path, id);
    case NACRE_FXP_RENAME:
        return nacre_sftp_req_rename(e, path, other, id);
    case NACRE_FXP_READLINK:
        return nacre_sftp_req_readlink(e, path, id);
    case NACRE_FXP_SYMLINK:
        return nacre_sftp_req_symlink(e, path, other, id);
    case NACRE_FXP_EXTENDED:
        return send_extended(e, r, id);
    default:
        return NACRE_INVALID_ARGUMENT;
    }
}

/* What the user wanted, for the beginning of a message. */
static const struct {
    uint8_t type;
    const char *verb;
} verbs[] = {
    {NACRE_FXP_OPEN, "open"},          {NACRE_FXP_CLOSE, "close"},
    {NACRE_FXP_LSTAT, "stat"},         {NACRE_FXP_FSTAT, "stat"},
    {NACRE_FXP_SETSTAT, "change"},     {NACRE_FXP_FSETSTAT, "change"},
    {NACRE_FXP_OPENDIR, "open"},       {NACRE_FXP_READDIR, "list"},
    {NACRE_FXP_REMOVE, "remove"},      {NACRE_FXP_MKDIR, "make directory"},
    {NACRE_FXP_RMDIR, "remove"},       {NACRE_FXP_REALPATH, "find"},
    {NACRE_FXP_STAT, "stat"},          {NACRE_FXP_RENAME, "rename"},
    {NACRE_FXP_READLINK, "read link"}, {NACRE_FXP_SYMLINK, "make symbolic link"},
};

static const char *const ext_verbs[NACRE_SFTP_EXT_COUNT] = {
    [NACRE_SFTP_EXT_POSIX_RENAME] = "rename",
    [NACRE_SFTP_EXT_HARDLINK] = "make link",
    [NACRE_SFTP_EXT_STATVFS] = "stat file system of",
    [NACRE_SFTP_EXT_FSYNC] = "sync",
    [NACRE_SFTP_EXT_LSETSTAT] = "change",
    [NACRE_SFTP_EXT_EXPAND_PATH] = "find",
    [NACRE_SFTP_EXT_FSTATVFS] = "stat file system of",
    [NACRE_SFTP_EXT_HOME_DIRECTORY] = "find home of",
    [NACRE_SFTP_EXT_USERS_GROUPS] = "find",
    [NACRE_SFTP_EXT_COPY_DATA] = "copy",
    [NACRE_SFTP_EXT_CHECK_FILE] = "hash",
    [NACRE_SFTP_EXT_CHECK_FILE_HANDLE] = "hash",
    [NACRE_SFTP_EXT_CHECK_FILE_NAME] = "hash",
};

static const char *verb_of(const nc_sftp_request *r)
{
    if (r->type == NACRE_FXP_EXTENDED) {
        bool named = r->ext < NACRE_SFTP_EXT_COUNT && ext_verbs[r->ext];
        return named ? ext_verbs[r->ext] : "extension";
    }
    for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++) {
        if (verbs[i].type == r->type) {
            return verbs[i].verb;
        }
    }
    return "request";
}

static int say_failed(const nc_sftp_request *r, int rc, const char *why, nacre_error *err)
{
    const char *arrow = r->other ? " to " : "";
    char to[300] = "";
    if (r->other) {
        nacre_escape(to, sizeof(to), nc_span_cstr(r->other));
    }
    return nc_fail(err, rc, "%s %s%s%s: %s", verb_of(r), NC_ESC(nc_span_cstr(r->path)), arrow, to,
                   why);
}

static int fail_request(nacre_sftp *s, const nc_sftp_request *r, int rc, const char *why)
{
    nc_error_clear(&s->error);
    say_failed(r, rc, why, &s->error);
    nc_sftp_tidy(s);
    return rc;
}

int nc_sftp_try(nacre_sftp *s, const nc_sftp_request *r, nc_sftp_op *op, nacre_error *err)
{
    bool may_be_empty = r->type == NACRE_FXP_EXTENDED && r->ext == NACRE_SFTP_EXT_HOME_DIRECTORY;
    if (r->path && !*r->path && !may_be_empty) {
        return say_failed(r, NACRE_INVALID_ARGUMENT, "the path is empty", err);
    }
    nc_sftp_request joined = *r;
    char *owned[2];
    int rc = nc_sftp_join_request(s, &joined, owned);
    if (rc == NACRE_OK) {
        rc = send_request(s->engine, &joined, &op->call.id);
        nc_free(s->alloc, owned[0]);
        nc_free(s->alloc, owned[1]);
    }
    if (rc == NACRE_OK) {
        size_t outstanding = nacre_sftp_engine_outstanding(s->engine);
        nc_sftp_depth_asked(&s->depth, op->call.id, outstanding, nacre_loop_now(NULL));
        return nacre_sftp_engine_set_user(s->engine, op->call.id, &op->call);
    }
    op->call.id = 0;
    return rc == NACRE_AGAIN
               ? rc
               : say_failed(r, rc,
                            rc == NACRE_UNSUPPORTED ? "the server does not support this"
                                                    : nacre_status_text(rc),
                            err);
}

int nc_sftp_judge(const nc_sftp_request *r, const nc_sftp_op *op, nacre_error *err)
{
    if (op->no_memory) {
        return nc_fail(err, NACRE_NO_MEMORY, "no memory for the server's answer");
    }
    if (op->ok) {
        return NACRE_OK;
    }
    if (err->status == NACRE_OK) {
        say_failed(r, NACRE_SFTP_STATUS, nc_sftp_code_text(op->code, op->message), err);
        err->detail = op->code;
        err->by = NACRE_BY_PEER;
    }
    return NACRE_SFTP_STATUS;
}

static bool has_room(void *user)
{
    const nacre_sftp *s = user;
    /* A reply came or the queue left: enough to try again. */
    return nacre_sftp_engine_outstanding(s->engine) < NACRE_SFTP_MAX_REQUESTS &&
           !nacre_sftp_engine_wants_write(s->engine);
}

int nc_sftp_send(nacre_sftp *s, const nc_sftp_request *r, nc_sftp_op *op)
{
    if (s->broken.status != NACRE_OK) {
        s->error = s->broken;
        return s->broken.status;
    }
    nc_error_clear(&s->error);
    int rc;
    while ((rc = nc_sftp_try(s, r, op, &s->error)) == NACRE_AGAIN) {
        rc = nc_sftp_wait(s, has_room, s, s->timeout_ms);
        if (rc != NACRE_OK) {
            return rc;
        }
    }
    nc_sftp_tidy(s);
    return rc;
}

static bool op_done(void *user)
{
    return ((nc_sftp_op *)user)->done;
}

const char *nc_sftp_code_text(uint32_t code, const char *message)
{
    /* What OpenSSH's server sends for a failure is the bare word: the code's text says as much. */
    return message && message[0] ? message : nacre_sftp_status_text(code);
}

int nc_sftp_finish(nacre_sftp *s, const nc_sftp_request *r, nc_sftp_op *op)
{
    int rc = nc_sftp_wait(s, op_done, op, s->timeout_ms);
    if (rc != NACRE_OK) {
        if (op->call.id) {
            nacre_sftp_engine_forget(s->engine, op->call.id);
            op->call.id = 0;
        }
        nacre_error why = s->error;
        fail_request(s, r, rc, why.text);
        s->error.detail = why.detail;
        return rc;
    }
    s->status = op->code;
    nc_error_clear(&s->error);
    rc = nc_sftp_judge(r, op, &s->error);
    nc_sftp_tidy(s);
    return rc;
}

int nc_sftp_ask(nacre_sftp *s, const nc_sftp_request *r, nc_sftp_op *op)
{
    int rc = nc_sftp_begin(s);
    if (rc == NACRE_OK) {
        rc = nc_sftp_send(s, r, op);
    }
    return rc == NACRE_OK ? nc_sftp_finish(s, r, op) : rc;
}

int nc_sftp_order(nacre_sftp *s, const nc_sftp_request *r)
{
    nc_sftp_op op;
    nc_sftp_op_init(&op, s);
    int rc = nc_sftp_ask(s, r, &op);
    nc_sftp_op_clear(&op);
    return rc;
}

void nc_sftp_drop_handle(nacre_sftp *s, nacre_span handle)
{
    uint32_t id = 0;
    if (handle.n == 0 || s->broken.status != NACRE_OK) {
        return;
    }
    if (nacre_sftp_req_close(s->engine, handle, &id) == NACRE_OK) {
        nacre_sftp_engine_forget(s->engine, id); /* leaves with the next request at the latest */
    }
}
