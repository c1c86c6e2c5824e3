/*
 * server.c - the server machine's life, the frames of its input, and the order of work: one request at
 * a time, none while output is full or a job is under way, only READs beside READs that are answered
 * later.
 */
#include "sftp/server.h"

#include "crypto/crypto.h"

#include <string.h>

enum {
    LENGTH = 4,
    HEAD = LENGTH + 5, /* length, type, id */
    DEFAULT_HANDLES = 1024,
    MAX_HANDLES = 1024 * 1024,
    DEFAULT_BACKLOG = 64 * 1024 * 1024 + NC_SFTP_MAX_PACKET
};

int nc_server_fail(nacre_sftp_server *s, int status, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    nacre_blame by =
        status == NACRE_SFTP_PROTOCOL || status == NACRE_LIMIT ? NACRE_BY_PEER : NACRE_BY_US;
    nc_vfail(&s->error, status, by, fmt, ap);
    va_end(ap);
    s->state = NC_SERVER_FAILED;
    nc_logf(&s->log, NACRE_LOG_ERROR, "sftp: %s", s->error.text);
    return status;
}

void nacre_sftp_server_options_init(nacre_sftp_server_options *o)
{
    memset(o, 0, sizeof(*o));
    o->size = sizeof(*o);
    o->max_handles = DEFAULT_HANDLES;
    o->max_backlog = DEFAULT_BACKLOG;
}

/* Sets or clears the bits of the listed names; false: a name that is none (in *unknown). */
static bool name_bits(const nacre_sftp_server *s, const char *list, uint64_t *bits,
                      nacre_span *unknown)
{
    nacre_span rest = nc_span_cstr(list);
    nacre_span name;
    *bits = 0;
    while (nc_namelist_next(&rest, &name)) {
        uint64_t bit = nc_server_name_bit(s, name);
        if (bit == 0) {
            *unknown = name;
            return false;
        }
        *bits |= bit;
    }
    return true;
}

static int set_lists(nacre_sftp_server *s, const nacre_sftp_server_options *o, nacre_error *error)
{
    uint64_t allowed = UINT64_MAX;
    uint64_t denied = 0;
    nacre_span unknown = {NULL, 0};
    bool known = (!o->allow || name_bits(s, o->allow, &allowed, &unknown)) &&
                 (!o->deny || name_bits(s, o->deny, &denied, &unknown));
    if (!known) {
        return nc_fail(error, NACRE_UNKNOWN_NAME, "\"%s\" is not the name of an SFTP request",
                       NC_ESC(unknown));
    }
    s->denied = ~allowed | denied;
    return NACRE_OK;
}

static int set_up(nacre_sftp_server *s, const nacre_pipe *pipe, const nacre_sftp_server_ops *ops,
                  const nacre_sftp_server_options *o, nacre_error *error)
{
    size_t size = ops->size < sizeof(s->ops) ? ops->size : sizeof(s->ops);
    memcpy(&s->ops, ops, size);
    s->log.fn = o->log;
    s->log.user = o->log_user;
    s->log.level = o->log_level;
    s->read_only = o->read_only;
    uint32_t handles = o->max_handles ? o->max_handles : DEFAULT_HANDLES;
    nc_sftp_out_init(&s->out, s->alloc, pipe, NC_SERVER_OUT_MAX);
    nc_handles_init(&s->handles, s->alloc, handles < MAX_HANDLES ? handles : MAX_HANDLES);
    nc_buf_init(&s->in, s->alloc, LENGTH + NC_SFTP_MAX_PACKET);
    nc_buf_init(&s->reply, s->alloc, NC_SFTP_MAX_PACKET);
    nc_queue_init(&s->backlog, s->alloc, o->max_backlog ? o->max_backlog : DEFAULT_BACKLOG);
    nc_random random = {o->random, o->random_user};
    int rc = nc_random_bytes(&random, s->handles.tag, sizeof(s->handles.tag));
    if (rc != NACRE_OK) {
        return nc_fail(error, rc, "no randomness for SFTP handles");
    }
    return set_lists(s, o, error);
}

int nacre_sftp_server_new(nacre_sftp_server **out, const nacre_pipe *pipe,
                          const nacre_sftp_server_ops *ops, void *user,
                          const nacre_sftp_server_options *options, nacre_error *error)
{
    nacre_sftp_server_options o;
    nacre_sftp_server_options_init(&o);
    nc_error_clear(error);
    if (!out || !pipe || !pipe->write || (pipe->reserve && !pipe->commit) || !ops) {
        return nc_fail(error, NACRE_INVALID_ARGUMENT, "an SFTP server needs a pipe and operations");
    }
    *out = NULL;
    if (options) {
        size_t size = options->size < sizeof(o) ? options->size : sizeof(o);
        memcpy(&o, options, size);
    }
    nacre_sftp_server *s = nc_zalloc(o.allocator, sizeof(*s));
    if (!s) {
        return nc_fail(error, NACRE_NO_MEMORY, "no memory for an SFTP server");
    }
    s->alloc = o.allocator;
    s->user = user;
    int rc = set_up(s, pipe, ops, &o, error);
    if (rc != NACRE_OK) {
        nacre_sftp_server_free(s);
        return rc;
    }
    *out = s;
    return NACRE_OK;
}

static void close_all(nacre_sftp_server *s)
{
    for (uint32_t i = 0; i < s->handles.count; i++) {
        nc_handle *h = &s->handles.entries[i];
        if (h->kind == NC_HANDLE_FILE && s->ops.close) {
            s->ops.close(NULL, s->user, h->object);
        } else if (h->kind == NC_HANDLE_DIR && s->ops.closedir) {
            s->ops.closedir(NULL, s->user, h->object);
        }
        if (h->kind != NC_HANDLE_FREE) {
            nc_server_log_close(s, h, "forced close");
        }
    }
}

void nacre_sftp_server_free(nacre_sftp_server *s)
{
    if (!s) {
        return;
    }
    nc_server_job_drop(s);
    close_all(s);
    for (size_t i = 0; i < NACRE_SFTP_SERVER_MAX_LATER; i++) {
        nc_free(s->alloc, s->tickets[i].name);
    }
    if (s->session_started && s->ops.session_end) {
        s->ops.session_end(s->user);
    }
    nc_handles_clear(&s->handles);
    nc_sftp_out_clear(&s->out);
    nc_buf_clear(&s->in);
    nc_buf_clear(&s->reply);
    nc_queue_clear(&s->backlog);
    nc_wipe_free(s->alloc, s, sizeof(*s));
}

const nacre_error *nacre_sftp_server_error(const nacre_sftp_server *s)
{
    return &s->error;
}

bool nacre_sftp_server_wants_write(const nacre_sftp_server *s)
{
    return s->state != NC_SERVER_FAILED && nc_sftp_out_queued(&s->out) > 0;
}

bool nacre_sftp_server_wants_input(const nacre_sftp_server *s)
{
    return s->state != NC_SERVER_FAILED && nc_queue_len(&s->backlog) == 0;
}

bool nacre_sftp_server_idle(const nacre_sftp_server *s)
{
    return nc_queue_len(&s->backlog) == 0 && nc_sftp_out_queued(&s->out) == 0 &&
           s->later_reads + s->later_others == 0 && !s->write_waits &&
           s->state != NC_SERVER_READY && s->job.kind == NC_JOB_NONE;
}

bool nacre_sftp_server_wants_step(const nacre_sftp_server *s)
{
    return nc_server_job_runnable(s);
}

void nacre_sftp_server_get_stats(const nacre_sftp_server *s, nacre_sftp_server_stats *out)
{
    *out = s->stats;
    out->handles = s->handles.open;
}

void *nacre_sftp_server_handle(nacre_sftp_server *s, nacre_span handle, bool dir)
{
    nc_handle *h = nc_handles_find(&s->handles, handle, dir ? NC_HANDLE_DIR : NC_HANDLE_FILE);
    return h ? h->object : NULL;
}

/* ---- INIT ----------------------------------------------------------------------------------------- */

static int send_version(nacre_sftp_server *s)
{
    /* VERSION has its number where replies have their id. */
    nc_wr w = nc_server_reply_begin(&s->reply, NACRE_FXP_VERSION, NACRE_SFTP_VERSION);
    for (size_t i = 0; i < nc_request_row_count; i++) {
        const nc_request_row *row = &nc_request_rows[i];
        if (row->ext >= 0 && nc_server_op_there(&s->ops, row) && nc_server_permits(s, row)) {
            nc_wr_cstr(&w, nc_sftp_ext_name((nacre_sftp_ext)row->ext));
            const char *version = nc_sftp_ext_version((nacre_sftp_ext)row->ext);
            nc_wr_cstr(&w, version[0] ? version : nc_check_algorithms());
        }
    }
    bool denied;
    const struct nacre_sftp_server_ext *x = s->ops.extended ? s->ops.extensions : NULL;
    for (; x && x->name; x++) {
        if (nc_server_find_ext(s, nc_span_cstr(x->name), &denied)) {
            nc_wr_cstr(&w, x->name);
            nc_wr_cstr(&w, x->data);
        }
    }
    return nc_server_reply_end(s, &w);
}

static int take_init(nacre_sftp_server *s)
{
    if (s->init_done) {
        return nc_server_fail(s, NACRE_SFTP_PROTOCOL, "the SFTP client sent INIT twice");
    }
    s->init_done = true;
    uint32_t code = NACRE_FX_OK;
    if (s->ops.session_start) {
        nacre_sftp_call call = {s->user, s, 0, NULL};
        code = s->ops.session_start(&call);
    }
    if (code != NACRE_FX_OK) {
        return nc_server_fail(s, NACRE_REQUEST_REFUSED, "the application refused the SFTP session");
    }
    s->session_started = true;
    /* Whatever the client named, 3 is what we speak, as OpenSSH: a client that cannot goes away. */
    return send_version(s);
}

/* ---- frames --------------------------------------------------------------------------------------- */

/* How many bytes must be gathered before the packet (of a WRITE: its head) is there. */
static int bytes_needed(nacre_sftp_server *s, size_t *need)
{
    *need = LENGTH;
    if (s->in.len < LENGTH) {
        return NACRE_OK;
    }
    size_t length = nc_get_u32(s->in.data);
    if (length < HEAD - LENGTH || length > NC_SFTP_MAX_PACKET) {
        return nc_server_fail(s, NACRE_SFTP_PROTOCOL,
                              "the SFTP client announced a packet of %zu bytes (5 to %d are "
                              "possible)",
                              length, NC_SFTP_MAX_PACKET);
    }
    *need = LENGTH + 1;
    if (s->in.len == LENGTH) {
        return NACRE_OK;
    }
    *need = LENGTH + length;
    if (s->in.data[LENGTH] != NACRE_FXP_WRITE || length < HEAD) {
        return NACRE_OK;
    }
    *need = HEAD + 4;
    if (s->in.len < HEAD + 4) {
        return NACRE_OK;
    }
    /* A handle that cannot be ours is not gathered: nc_server_write_begin refuses the request. */
    size_t handle = nc_get_u32(s->in.data + HEAD);
    bool possible = handle <= NC_SFTP_MAX_HANDLE && HEAD + 4 + handle + 12 <= LENGTH + length;
    *need = possible ? HEAD + 4 + handle + 12 : HEAD + 4;
    return NACRE_OK;
}

static int gather(nacre_sftp_server *s, nacre_span *input)
{
    size_t need = 0;
    int rc = bytes_needed(s, &need);
    while (rc == NACRE_OK && s->in.len < need) {
        size_t n = need - s->in.len;
        if (n > input->n) {
            n = input->n;
        }
        if (n == 0) {
            return NACRE_AGAIN;
        }
        if (nc_buf_append(&s->in, input->p, n) != NACRE_OK) {
            return nc_server_fail(s, NACRE_NO_MEMORY, "no memory for an SFTP request");
        }
        input->p += n;
        input->n -= n;
        rc = bytes_needed(s, &need);
    }
    if (rc == NACRE_OK) {
        s->state = NC_SERVER_READY;
    }
    return rc;
}

/* ---- order ---------------------------------------------------------------------------------------- */

/* NACRE_AGAIN: not now. */
static int may_run(nacre_sftp_server *s, bool is_read)
{
    if (s->job.kind != NC_JOB_NONE) {
        return NACRE_AGAIN;
    }
    bool later = is_read ? s->later_others > 0 || s->later_reads >= NACRE_SFTP_SERVER_MAX_LATER
                         : s->later_others + s->later_reads > 0;
    if (later) {
        return NACRE_AGAIN;
    }
    if (nc_sftp_out_queued(&s->out) <= NC_SERVER_OUT_SOFT) {
        return NACRE_OK;
    }
    int rc = nc_sftp_out_flush(&s->out);
    if (rc != NACRE_OK) {
        return nc_server_fail(s, rc, "SFTP replies could not be sent: %s", nacre_status_text(rc));
    }
    return nc_sftp_out_queued(&s->out) <= NC_SERVER_OUT_SOFT ? NACRE_OK : NACRE_AGAIN;
}

static int run_ready(nacre_sftp_server *s)
{
    uint8_t type = s->in.data[LENGTH];
    if (!s->init_done && type != NACRE_FXP_INIT) {
        return nc_server_fail(s, NACRE_SFTP_PROTOCOL,
                              "the SFTP client sent a request (type %u) before INIT", type);
    }
    int rc = may_run(s, type == NACRE_FXP_READ);
    if (rc != NACRE_OK) {
        return rc;
    }
    if (type == NACRE_FXP_WRITE) {
        s->stats.requests++;
        return nc_server_write_begin(s);
    }
    nc_rd r = nc_rd_init(nc_span(s->in.data + LENGTH + 1, s->in.len - LENGTH - 1));
    if (type == NACRE_FXP_INIT) {
        rc = take_init(s);
    } else {
        rc = nc_server_run(s, type, r);
    }
    if (rc != NACRE_OK) {
        return rc;
    }
    s->stats.requests++;
    nc_buf_reset(&s->in);
    if (s->in.cap > NC_SFTP_KEEP) {
        nc_buf_clear(&s->in);
    }
    if (s->reply.cap > NC_SFTP_KEEP) {
        nc_buf_clear(&s->reply);
    }
    if (s->state == NC_SERVER_READY) {
        s->state = NC_SERVER_PACKET;
    }
    return NACRE_OK;
}

static int swallow(nacre_sftp_server *s, nacre_span *input)
{
    size_t n = input->n < s->swallow ? input->n : s->swallow;
    if (n == 0 && s->swallow > 0) {
        return NACRE_AGAIN;
    }
    input->p += n;
    input->n -= n;
    s->swallow -= (uint32_t)n;
    if (s->swallow == 0) {
        s->state = NC_SERVER_PACKET;
    }
    return NACRE_OK;
}

/* Works until input is used up or something must be waited for (NACRE_AGAIN), or it all fails. */
static int work(nacre_sftp_server *s, nacre_span *input)
{
    s->busy = true;
    s->budget = NC_JOB_BUDGET;
    int rc = nc_server_job_step(s);
    while (rc == NACRE_OK) {
        switch (s->state) {
        case NC_SERVER_PACKET:
            rc = gather(s, input);
            break;
        case NC_SERVER_READY:
            rc = run_ready(s);
            break;
        case NC_SERVER_PAYLOAD:
            rc = nc_server_write_piece(s, input);
            break;
        case NC_SERVER_SWALLOW:
            rc = swallow(s, input);
            break;
        case NC_SERVER_FAILED:
            rc = s->error.status;
            break;
        }
    }
    s->busy = false;
    return rc;
}

/* Everything that the machine returns must have stopped it, whoever noticed. */
static int settle(nacre_sftp_server *s, int rc)
{
    if (rc == NACRE_AGAIN) {
        rc = nc_sftp_out_flush(&s->out);
    }
    if (rc != NACRE_OK && s->state != NC_SERVER_FAILED) {
        return nc_server_fail(s, rc, "the SFTP session failed: %s", nacre_status_text(rc));
    }
    return rc;
}

static int give_back(nacre_sftp_server *s, size_t n)
{
    return n > 0 && s->out.pipe.consumed ? s->out.pipe.consumed(s->out.pipe.ctx, n) : NACRE_OK;
}

static int work_backlog(nacre_sftp_server *s)
{
    nacre_span left = nc_span(nc_queue_front(&s->backlog), nc_queue_len(&s->backlog));
    size_t had = left.n;
    int rc = work(s, &left);
    size_t used = had - left.n;
    nc_queue_consume(&s->backlog, used);
    nc_queue_shrink(&s->backlog, NC_SFTP_KEEP);
    if (rc == NACRE_AGAIN) {
        int back = give_back(s, used);
        rc = back != NACRE_OK ? back : rc;
    }
    return rc;
}

int nacre_sftp_server_input(nacre_sftp_server *s, nacre_span input)
{
    if (s->state == NC_SERVER_FAILED) {
        return s->error.status;
    }
    if (s->busy) {
        return NACRE_WRONG_STATE;
    }
    int rc = NACRE_AGAIN;
    nacre_span left = input;
    if (nc_queue_len(&s->backlog) == 0) {
        rc = work(s, &left);
        if (rc == NACRE_AGAIN) {
            int back = give_back(s, input.n - left.n);
            rc = back != NACRE_OK ? back : rc;
        }
    }
    if (rc == NACRE_AGAIN && left.n > 0) {
        bool waiting = nc_queue_len(&s->backlog) > 0;
        int kept = nc_queue_append(&s->backlog, left.p, left.n);
        if (kept == NACRE_LIMIT) {
            return nc_server_fail(s, kept,
                                  "the SFTP client sent more than %zu bytes of requests without "
                                  "taking the replies",
                                  s->backlog.buf.max);
        }
        rc = kept != NACRE_OK ? kept : waiting ? work_backlog(s) : rc;
    }
    return settle(s, rc);
}

int nacre_sftp_server_flush(nacre_sftp_server *s)
{
    if (s->state == NC_SERVER_FAILED) {
        return s->error.status;
    }
    if (s->busy) {
        return NACRE_WRONG_STATE;
    }
    int rc = nc_sftp_out_flush(&s->out);
    if (rc == NACRE_OK) {
        rc = work_backlog(s);
    }
    return settle(s, rc);
}
