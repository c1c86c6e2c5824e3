/*
 * server_requests.c - the server's table of requests and a handler for each: read the fields, check
 * them, ask the application, build the reply. READ and WRITE are in server_read.c, check-file in
 * server_check.c. Draft section 6;
 * OpenSSH PROTOCOL 4.1 - 4.12.
 */
#include "sftp/server.h"

#include <string.h>

/* ---- fields --------------------------------------------------------------------------------------- */

/* Bytes behind the fields are left alone: a later client may append some, and OpenSSH skips them. */
static uint32_t fields_ok(const nc_run *run)
{
    return nc_rd_err(&run->r) == NACRE_OK ? NACRE_FX_OK : NACRE_FX_BAD_MESSAGE;
}

static uint32_t check_path(nc_run *run, nacre_span path)
{
    if (fields_ok(run) != NACRE_FX_OK) {
        return NACRE_FX_BAD_MESSAGE;
    }
    if (nc_sftp_has_nul(path)) {
        run->call.message = "Path contains a NUL byte";
        return NACRE_FX_BAD_MESSAGE;
    }
    if (path.n > NACRE_SFTP_SERVER_MAX_PATH) {
        run->call.message = "Path too long";
        return NACRE_FX_FAILURE;
    }
    return NACRE_FX_OK;
}

uint32_t nc_server_rd_path(nc_run *run, nacre_span *path)
{
    *path = nc_rd_str(&run->r);
    return check_path(run, *path);
}

static uint32_t rd_two_paths(nc_run *run, nacre_span *a, nacre_span *b)
{
    uint32_t code = nc_server_rd_path(run, a);
    return code == NACRE_FX_OK ? nc_server_rd_path(run, b) : code;
}

static uint32_t rd_handle(nc_run *run, nc_handle_kind kind, uint32_t pflags, nc_handle **h)
{
    nacre_span wire = nc_rd_str(&run->r);
    if (fields_ok(run) != NACRE_FX_OK) {
        return NACRE_FX_BAD_MESSAGE;
    }
    return nc_server_check_handle(run->s, wire, kind, pflags, h, &run->call.message);
}

static nc_wr begin_reply(nc_run *run, uint8_t type)
{
    return nc_server_reply_begin(&run->s->reply, type, run->ticket->id);
}

/* ---- handles -------------------------------------------------------------------------------------- */

static uint32_t prepare_handle(nc_run *run, nacre_span path)
{
    nacre_sftp_server *s = run->s;
    int rc = nc_handles_prepare(&s->handles);
    if (rc == NACRE_LIMIT) {
        run->call.message = "Too many open handles";
        return NACRE_FX_FAILURE;
    }
    if (rc == NACRE_OK && s->log.fn && s->log.level >= NACRE_LOG_INFO) {
        run->ticket->name =
            nc_strdup(s->alloc, NC_ESC(path)); /* "?" in the log when there is none */
    }
    return rc == NACRE_OK ? NACRE_FX_OK : NACRE_FX_FAILURE;
}

static uint32_t give_handle(nc_run *run, uint32_t code, void *object)
{
    if (code == NACRE_FX_OK) {
        run->answer.w = begin_reply(run, NACRE_FXP_HANDLE);
        nc_server_put_handle(run->s, &run->answer.w, run->ticket, object);
    }
    return code;
}

static uint32_t run_open(nc_run *run)
{
    nacre_span path;
    nacre_sftp_attrs attrs;
    uint32_t code = nc_server_rd_path(run, &path);
    uint32_t pflags = nc_rd_u32(&run->r);
    nc_sftp_rd_attrs(&run->r, &attrs);
    if (fields_ok(run) != NACRE_FX_OK) {
        return NACRE_FX_BAD_MESSAGE;
    }
    if (code != NACRE_FX_OK) {
        return code;
    }
    if (!(pflags & (NACRE_FXF_READ | NACRE_FXF_WRITE))) {
        pflags |= NACRE_FXF_READ; /* as OpenSSH: neither is O_RDONLY */
    }
    nc_server_log_open(run, path, pflags, &attrs);
    if (!nc_server_permits_pflags(run->s, pflags)) {
        return NACRE_FX_PERMISSION_DENIED;
    }
    code = prepare_handle(run, path);
    if (code != NACRE_FX_OK) {
        return code;
    }
    void *file = NULL;
    run->ticket->pflags = pflags;
    code = run->s->ops.open(&run->call, path, pflags, &attrs, &file);
    return give_handle(run, code, file);
}

static uint32_t run_opendir(nc_run *run)
{
    nacre_span path;
    uint32_t code = nc_server_rd_path(run, &path);
    if (code != NACRE_FX_OK) {
        return code;
    }
    nc_server_log_path(run, "opendir", path);
    code = prepare_handle(run, path);
    if (code != NACRE_FX_OK) {
        return code;
    }
    void *dir = NULL;
    code = run->s->ops.opendir(&run->call, path, &dir);
    return give_handle(run, code, dir);
}

static uint32_t run_close(nc_run *run)
{
    nacre_sftp_server *s = run->s;
    nc_handle *h;
    uint32_t code = rd_handle(run, NC_HANDLE_FREE, 0, &h);
    if (code != NACRE_FX_OK) {
        return code;
    }
    void *object = h->object;
    bool dir = h->kind == NC_HANDLE_DIR;
    nc_server_log_close(s, h, "close");
    nc_handles_release(&s->handles, h);
    if (dir) {
        return s->ops.closedir ? s->ops.closedir(&run->call, s->user, object) : NACRE_FX_OK;
    }
    return s->ops.close ? s->ops.close(&run->call, s->user, object) : NACRE_FX_OK;
}

/* ---- attributes ----------------------------------------------------------------------------------- */

static uint32_t give_attrs(nc_run *run, uint32_t code, const nacre_sftp_attrs *attrs)
{
    if (code != NACRE_FX_OK) {
        return code;
    }
    if (!nc_sftp_attrs_valid(attrs)) {
        return NACRE_FX_FAILURE;
    }
    run->answer.w = begin_reply(run, NACRE_FXP_ATTRS);
    nc_sftp_wr_attrs(&run->answer.w, attrs);
    return NACRE_FX_OK;
}

typedef uint32_t (*stat_fn)(nacre_sftp_call *, nacre_span, nacre_sftp_attrs *);
typedef uint32_t (*set_fn)(nacre_sftp_call *, nacre_span, const nacre_sftp_attrs *);

static uint32_t stat_by(nc_run *run, stat_fn fn)
{
    nacre_span path;
    nacre_sftp_attrs attrs = {0};
    uint32_t code = nc_server_rd_path(run, &path);
    if (code != NACRE_FX_OK) {
        return code;
    }
    nc_server_log_path(run, run->ticket->row->name, path);
    return give_attrs(run, fn(&run->call, path, &attrs), &attrs);
}

static uint32_t run_stat(nc_run *run)
{
    return stat_by(run, run->s->ops.stat);
}

static uint32_t run_lstat(nc_run *run)
{
    return stat_by(run, run->s->ops.lstat);
}

static uint32_t run_fstat(nc_run *run)
{
    nc_handle *h;
    nacre_sftp_attrs attrs = {0};
    uint32_t code = rd_handle(run, NC_HANDLE_FILE, 0, &h);
    if (code != NACRE_FX_OK) {
        return code;
    }
    return give_attrs(run, run->s->ops.fstat(&run->call, h->object, &attrs), &attrs);
}

static uint32_t set_by(nc_run *run, set_fn fn)
{
    nacre_span path;
    nacre_sftp_attrs attrs;
    uint32_t code = nc_server_rd_path(run, &path);
    nc_sftp_rd_attrs(&run->r, &attrs);
    if (code != NACRE_FX_OK || fields_ok(run) != NACRE_FX_OK) {
        return code != NACRE_FX_OK ? code : NACRE_FX_BAD_MESSAGE;
    }
    nc_server_log_set(run, path, &attrs);
    return fn(&run->call, path, &attrs);
}

static uint32_t run_setstat(nc_run *run)
{
    return set_by(run, run->s->ops.setstat);
}

static uint32_t run_lsetstat(nc_run *run)
{
    return set_by(run, run->s->ops.lsetstat);
}

static uint32_t run_mkdir(nc_run *run)
{
    nacre_span path;
    nacre_sftp_attrs attrs;
    uint32_t code = nc_server_rd_path(run, &path);
    nc_sftp_rd_attrs(&run->r, &attrs);
    if (code != NACRE_FX_OK || fields_ok(run) != NACRE_FX_OK) {
        return code != NACRE_FX_OK ? code : NACRE_FX_BAD_MESSAGE;
    }
    nc_server_log_path(run, "mkdir name", path);
    return run->s->ops.mkdir(&run->call, path, &attrs);
}

static uint32_t run_fsetstat(nc_run *run)
{
    nc_handle *h;
    nacre_sftp_attrs attrs;
    nacre_span wire = nc_rd_str(&run->r);
    nc_sftp_rd_attrs(&run->r, &attrs);
    if (fields_ok(run) != NACRE_FX_OK) {
        return NACRE_FX_BAD_MESSAGE;
    }
    uint32_t need = attrs.flags & NACRE_SFTP_ATTR_SIZE ? NACRE_FXF_WRITE : 0;
    uint32_t code =
        nc_server_check_handle(run->s, wire, NC_HANDLE_FILE, need, &h, &run->call.message);
    if (code != NACRE_FX_OK) {
        return code;
    }
    nc_server_log_set(run, nc_span_cstr(nc_handle_name(h)), &attrs);
    return run->s->ops.fsetstat(&run->call, h->object, &attrs);
}

/* ---- names ---------------------------------------------------------------------------------------- */

static uint32_t run_readdir(nc_run *run)
{
    nc_handle *h;
    uint32_t code = rd_handle(run, NC_HANDLE_DIR, 0, &h);
    if (code != NACRE_FX_OK) {
        return code;
    }
    nc_server_names_begin(&run->answer, begin_reply(run, NACRE_FXP_NAME));
    code = run->s->ops.readdir(&run->call, h->object, &run->answer);
    if (code != NACRE_FX_OK) {
        return code;
    }
    if (run->answer.count == 0) {
        bool large = nc_wr_err(&run->answer.w) == NACRE_LIMIT;
        run->call.message = large ? "Name too long for a reply" : run->call.message;
        return run->answer.failed ? NACRE_FX_FAILURE : NACRE_FX_EOF;
    }
    nc_server_names_end(&run->answer);
    return NACRE_FX_OK;
}

typedef uint32_t (*path_fn)(nacre_sftp_call *, nacre_span, nacre_sftp_answer *);

static uint32_t path_by(nc_run *run, path_fn fn, bool dot)
{
    nacre_span path;
    uint32_t code = nc_server_rd_path(run, &path);
    if (code != NACRE_FX_OK) {
        return code;
    }
    if (path.n == 0 && dot) {
        path = nc_span_cstr(".");
    }
    nc_server_log_path(run, run->ticket->row->name, path);
    run->answer.w = begin_reply(run, NACRE_FXP_NAME);
    run->answer.kind = NC_ANSWER_PATH;
    code = fn(&run->call, path, &run->answer);
    bool bad = run->answer.count != 1 || run->answer.failed;
    return code == NACRE_FX_OK && bad ? NACRE_FX_FAILURE : code;
}

static uint32_t run_realpath(nc_run *run)
{
    return path_by(run, run->s->ops.realpath, true);
}

static uint32_t run_readlink(nc_run *run)
{
    return path_by(run, run->s->ops.readlink, false);
}

static uint32_t run_expand_path(nc_run *run)
{
    return path_by(run, run->s->ops.expand_path, true);
}

static uint32_t run_home_directory(nc_run *run)
{
    return path_by(run, run->s->ops.home_directory, false);
}

/* ---- paths ---------------------------------------------------------------------------------------- */

static uint32_t remove_by(nc_run *run, uint32_t (*fn)(nacre_sftp_call *, nacre_span))
{
    nacre_span path;
    uint32_t code = nc_server_rd_path(run, &path);
    if (code != NACRE_FX_OK) {
        return code;
    }
    nc_server_log_path(
        run, run->ticket->row->type == NACRE_FXP_RMDIR ? "rmdir name" : "remove name", path);
    return fn(&run->call, path);
}

static uint32_t run_remove(nc_run *run)
{
    return remove_by(run, run->s->ops.remove);
}

static uint32_t run_rmdir(nc_run *run)
{
    return remove_by(run, run->s->ops.rmdir);
}

static uint32_t two_by(nc_run *run, uint32_t (*fn)(nacre_sftp_call *, nacre_span, nacre_span))
{
    nacre_span a;
    nacre_span b;
    uint32_t code = rd_two_paths(run, &a, &b);
    if (code != NACRE_FX_OK) {
        return code;
    }
    nc_server_log_two(run, run->ticket->row->name, a, b);
    return fn(&run->call, a, b);
}

static uint32_t run_rename(nc_run *run)
{
    return two_by(run, run->s->ops.rename);
}

static uint32_t run_posix_rename(nc_run *run)
{
    return two_by(run, run->s->ops.posix_rename);
}

static uint32_t run_hardlink(nc_run *run)
{
    return two_by(run, run->s->ops.hardlink);
}

/* The target comes first, against the draft: PROTOCOL 4.1, and so do all clients that matter. */
static uint32_t run_symlink(nc_run *run)
{
    return two_by(run, run->s->ops.symlink);
}

/* ---- extensions ----------------------------------------------------------------------------------- */

static uint32_t give_statvfs(nc_run *run, uint32_t code, const nacre_sftp_statvfs *v)
{
    if (code == NACRE_FX_OK) {
        run->answer.w = begin_reply(run, NACRE_FXP_EXTENDED_REPLY);
        nc_server_put_statvfs(&run->answer.w, v);
    }
    return code;
}

static uint32_t run_statvfs(nc_run *run)
{
    nacre_span path;
    nacre_sftp_statvfs v = {0};
    uint32_t code = nc_server_rd_path(run, &path);
    if (code != NACRE_FX_OK) {
        return code;
    }
    nc_server_log_path(run, "statvfs", path);
    return give_statvfs(run, run->s->ops.statvfs(&run->call, path, &v), &v);
}

static uint32_t run_fstatvfs(nc_run *run)
{
    nc_handle *h;
    nacre_sftp_statvfs v = {0};
    uint32_t code = rd_handle(run, NC_HANDLE_FILE, 0, &h);
    if (code != NACRE_FX_OK) {
        return code;
    }
    return give_statvfs(run, run->s->ops.fstatvfs(&run->call, h->object, &v), &v);
}

static uint32_t run_fsync(nc_run *run)
{
    nc_handle *h;
    uint32_t code = rd_handle(run, NC_HANDLE_FILE, 0, &h);
    return code == NACRE_FX_OK ? run->s->ops.fsync(&run->call, h->object) : code;
}

static uint32_t run_limits(nc_run *run)
{
    nc_wr w = begin_reply(run, NACRE_FXP_EXTENDED_REPLY);
    nc_wr_u64(&w, NC_SFTP_MAX_PACKET);
    nc_wr_u64(&w, NC_SFTP_MAX_DATA);
    nc_wr_u64(&w, NC_SFTP_MAX_DATA);
    nc_wr_u64(&w, run->s->handles.max);
    run->answer.w = w;
    return NACRE_FX_OK;
}

static uint32_t run_copy_data(nc_run *run)
{
    nc_handle *from = NULL;
    nc_handle *to = NULL;
    uint32_t code = rd_handle(run, NC_HANDLE_FILE, NACRE_FXF_READ, &from);
    uint64_t from_offset = nc_rd_u64(&run->r);
    uint64_t n = nc_rd_u64(&run->r);
    if (code == NACRE_FX_OK) {
        code = rd_handle(run, NC_HANDLE_FILE, NACRE_FXF_WRITE, &to);
    }
    uint64_t to_offset = nc_rd_u64(&run->r);
    if (code != NACRE_FX_OK || fields_ok(run) != NACRE_FX_OK) {
        return code != NACRE_FX_OK ? code : NACRE_FX_BAD_MESSAGE;
    }
    /* A file that feeds itself would never end (PROTOCOL 4.10 and OpenSSH refuse it too). */
    bool wraps = n > UINT64_MAX - from_offset || n > UINT64_MAX - to_offset;
    if (from == to || wraps) {
        return NACRE_FX_FAILURE;
    }
    nc_logf(&run->s->log, NACRE_LOG_INFO, "copy-data from \"%s\" to \"%s\"", nc_handle_name(from),
            nc_handle_name(to));
    run->s->job = (nc_job){.kind = NC_JOB_COPY,
                           .ticket = run->ticket,
                           .from = from,
                           .to = to,
                           .from_offset = from_offset,
                           .to_offset = to_offset,
                           .left = n,
                           .to_end = n == 0};
    return NC_JOB_BEGUN;
}

/* Looking names up takes time, during which no other session of the process is served. */
enum { MOST_IDS = 4096 };

/* A row of names for a row of numbers; false when the numbers are no whole ones. */
static bool put_names(nc_run *run, nc_wr *w, nacre_span numbers, bool group)
{
    nc_rd r = nc_rd_init(numbers);
    size_t mark = nc_wr_begin_str(w);
    while (nc_rd_left(&r) > 0 && nc_wr_err(w) == NACRE_OK) {
        char name[256];
        uint32_t id = nc_rd_u32(&r);
        if (nc_rd_err(&r) != NACRE_OK) {
            return false;
        }
        size_t n = run->s->ops.name_of_id(&run->call, id, group, name, sizeof(name));
        nc_wr_str(w, nc_span(name, n <= sizeof(name) ? n : 0));
    }
    nc_wr_end_str(w, mark);
    return true;
}

static uint32_t run_users_groups(nc_run *run)
{
    nacre_span users = nc_rd_str(&run->r);
    nacre_span groups = nc_rd_str(&run->r);
    if (fields_ok(run) != NACRE_FX_OK) {
        return NACRE_FX_BAD_MESSAGE;
    }
    if (users.n / 4 + groups.n / 4 > MOST_IDS) {
        return NACRE_FX_FAILURE;
    }
    nc_wr w = begin_reply(run, NACRE_FXP_EXTENDED_REPLY);
    bool whole = put_names(run, &w, users, false) && put_names(run, &w, groups, true);
    run->answer.w = w;
    return whole ? NACRE_FX_OK : NACRE_FX_BAD_MESSAGE;
}

/* ---- the table ------------------------------------------------------------------------------------ */

#define OP(name) offsetof(nacre_sftp_server_ops, name)
#define CORE(name, type, w, ans, op, fn)                                                           \
    {                                                                                              \
        name, NACRE_FXP_##type, -1, w, NC_WITH_##ans, op, fn                                       \
    }
#define EXT(name, ext, w, ans, op, fn)                                                             \
    {                                                                                              \
        name, NACRE_FXP_EXTENDED, NACRE_SFTP_EXT_##ext, w, NC_WITH_##ans, op, fn                   \
    }

/* In the order in which sftp-server -Q requests lists them, and VERSION offers the extensions. */
const nc_request_row nc_request_rows[] = {
    CORE("open", OPEN, false, HANDLE, OP(open), run_open),
    CORE("close", CLOSE, false, STATUS, 0, run_close),
    CORE("read", READ, false, DATA, OP(read), NULL),
    CORE("write", WRITE, true, STATUS, OP(write), NULL),
    CORE("lstat", LSTAT, false, ATTRS, OP(lstat), run_lstat),
    CORE("fstat", FSTAT, false, ATTRS, OP(fstat), run_fstat),
    CORE("setstat", SETSTAT, true, STATUS, OP(setstat), run_setstat),
    CORE("fsetstat", FSETSTAT, true, STATUS, OP(fsetstat), run_fsetstat),
    CORE("opendir", OPENDIR, false, HANDLE, OP(opendir), run_opendir),
    CORE("readdir", READDIR, false, NAMES, OP(readdir), run_readdir),
    CORE("remove", REMOVE, true, STATUS, OP(remove), run_remove),
    CORE("mkdir", MKDIR, true, STATUS, OP(mkdir), run_mkdir),
    CORE("rmdir", RMDIR, true, STATUS, OP(rmdir), run_rmdir),
    CORE("realpath", REALPATH, false, PATH, OP(realpath), run_realpath),
    CORE("stat", STAT, false, ATTRS, OP(stat), run_stat),
    CORE("rename", RENAME, true, STATUS, OP(rename), run_rename),
    CORE("readlink", READLINK, false, PATH, OP(readlink), run_readlink),
    CORE("symlink", SYMLINK, true, STATUS, OP(symlink), run_symlink),
    EXT("posix-rename", POSIX_RENAME, true, STATUS, OP(posix_rename), run_posix_rename),
    EXT("statvfs", STATVFS, false, STATVFS, OP(statvfs), run_statvfs),
    EXT("fstatvfs", FSTATVFS, false, STATVFS, OP(fstatvfs), run_fstatvfs),
    EXT("hardlink", HARDLINK, true, STATUS, OP(hardlink), run_hardlink),
    EXT("fsync", FSYNC, true, STATUS, OP(fsync), run_fsync),
    EXT("lsetstat", LSETSTAT, true, STATUS, OP(lsetstat), run_lsetstat),
    EXT("limits", LIMITS, false, EXTENDED, 0, run_limits),
    EXT("expand-path", EXPAND_PATH, false, PATH, OP(expand_path), run_expand_path),
    EXT("copy-data", COPY_DATA, true, STATUS, OP(copy_data), run_copy_data),
    EXT("home-directory", HOME_DIRECTORY, false, PATH, OP(home_directory), run_home_directory),
    EXT("users-groups-by-id", USERS_GROUPS, false, EXTENDED, OP(name_of_id), run_users_groups),
    EXT("check-file", CHECK_FILE, false, EXTENDED, OP(read), nc_server_run_check_handle),
    EXT("check-file-handle", CHECK_FILE_HANDLE, false, EXTENDED, OP(read),
        nc_server_run_check_handle),
    EXT("check-file-name", CHECK_FILE_NAME, false, EXTENDED, OP(open), nc_server_run_check_name),
};
const size_t nc_request_row_count = sizeof(nc_request_rows) / sizeof(nc_request_rows[0]);
