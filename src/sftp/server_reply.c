/*
 * server_reply.c - answers: tickets, building replies, and the calls that answer later.
 */
#include "sftp/server.h"

#include <string.h>

enum {
    TICKET_BITS = 8, /* the index's; the rest is the generation */
    GENERATION_MASK = 0xFFFFFF
};

/* ---- tickets -------------------------------------------------------------------------------------- */

nc_ticket *nc_server_take_ticket(nacre_sftp_server *s, uint32_t id, const nc_request_row *row)
{
    /* There is always one: no request is worked on while all are parked. */
    nc_ticket *t = s->tickets;
    while (t->used) {
        t++;
    }
    uint32_t generation = (t->generation + 1) & GENERATION_MASK;
    memset(t, 0, sizeof(*t));
    t->generation = generation ? generation : 1;
    t->used = true;
    t->id = id;
    t->row = row;
    return t;
}

uint32_t nc_server_ticket_number(const nacre_sftp_server *s, const nc_ticket *t)
{
    return t->generation << TICKET_BITS | (uint32_t)(t - s->tickets);
}

void nc_server_release_ticket(nacre_sftp_server *s, nc_ticket *t)
{
    nc_free(s->alloc, t->name);
    t->name = NULL;
    t->used = false;
}

void nc_server_park(nacre_sftp_server *s, nc_ticket *t)
{
    t->later = true;
    if (t->row && t->row->type == NACRE_FXP_READ) {
        s->later_reads++;
    } else {
        s->later_others++;
    }
}

void nc_server_late_done(nacre_sftp_server *s, nc_ticket *t)
{
    if (t->row && t->row->type == NACRE_FXP_READ) {
        s->later_reads--;
    } else {
        s->later_others--;
    }
    nc_server_release_ticket(s, t);
}

static nc_ticket *find_parked(nacre_sftp_server *s, uint32_t ticket)
{
    size_t index = ticket & ((1u << TICKET_BITS) - 1);
    if (index >= NACRE_SFTP_SERVER_MAX_LATER) {
        return NULL;
    }
    nc_ticket *t = &s->tickets[index];
    return t->used && t->later && t->generation == ticket >> TICKET_BITS ? t : NULL;
}

/* The application's extensions have no row; a job's ticket stands for what the job asked for. */
static nc_answer_kind kind_of(const nacre_sftp_server *s, const nc_ticket *t)
{
    if (t == s->job.ticket && s->job.kind == NC_JOB_CHECK) {
        return s->job.opening ? NC_WITH_HANDLE : NC_WITH_DATA;
    }
    return t->row ? t->row->answer : NC_WITH_EXTENDED;
}

static int late_any(nacre_sftp_server *s, uint32_t ticket, nc_ticket **out)
{
    if (s->state == NC_SERVER_FAILED) {
        return s->error.status;
    }
    *out = find_parked(s, ticket);
    if (!*out) {
        return NACRE_NOT_FOUND;
    }
    bool full = nc_sftp_out_queued(&s->out) > NC_SERVER_OUT_SOFT;
    return full || s->out.lent != NC_SFTP_NOT_LENT ? NACRE_AGAIN : NACRE_OK;
}

int nc_server_late(nacre_sftp_server *s, uint32_t ticket, nc_answer_kind kind, nc_ticket **out)
{
    int rc = late_any(s, ticket, out);
    if (rc != NACRE_OK) {
        return rc;
    }
    return kind_of(s, *out) == kind ? NACRE_OK : NACRE_INVALID_ARGUMENT;
}

/* ---- building ------------------------------------------------------------------------------------- */

nc_wr nc_server_reply_begin(nc_buf *b, uint8_t type, uint32_t id)
{
    nc_buf_reset(b);
    nc_wr w = nc_wr_init(b);
    nc_wr_u32(&w, 0);
    nc_wr_u8(&w, type);
    nc_wr_u32(&w, id);
    return w;
}

int nc_server_reply_end(nacre_sftp_server *s, nc_wr *w)
{
    if (nc_wr_err(w) != NACRE_OK) {
        return nc_wr_err(w);
    }
    nc_put_u32(w->b->data, (uint32_t)(w->b->len - 4));
    int rc = nc_queue_append(&s->out.queue, w->b->data, w->b->len);
    nc_buf_reset(w->b);
    return rc;
}

int nc_server_send_status(nacre_sftp_server *s, uint32_t id, uint32_t code, const char *text)
{
    /* A status that version 3 does not know would be a riddle to the client. */
    uint32_t known = code <= NACRE_FX_OP_UNSUPPORTED ? code : NACRE_FX_FAILURE;
    nc_wr w = nc_server_reply_begin(&s->reply, NACRE_FXP_STATUS, id);
    nc_wr_u32(&w, known);
    nc_wr_cstr(&w, text ? text : nacre_sftp_status_text(known));
    nc_wr_cstr(&w, "");
    if (known != NACRE_FX_OK && known != NACRE_FX_EOF) {
        nc_logf(&s->log, NACRE_LOG_VERBOSE, "sent status %s", nacre_sftp_status_text(known));
    }
    return nc_server_reply_end(s, &w);
}

void nc_server_put_handle(nacre_sftp_server *s, nc_wr *w, nc_ticket *t, void *object)
{
    bool dir = t->row->type == NACRE_FXP_OPENDIR;
    nc_handle *h =
        nc_handles_open(&s->handles, dir ? NC_HANDLE_DIR : NC_HANDLE_FILE, object, t->pflags);
    h->name = t->name;
    t->name = NULL;
    uint8_t wire[NC_HANDLE_WIRE];
    nc_handles_wire(&s->handles, h, wire);
    nc_wr_str(w, nc_span(wire, sizeof(wire)));
}

void nc_server_put_statvfs(nc_wr *w, const nacre_sftp_statvfs *v)
{
    const uint64_t fields[] = {v->bsize, v->frsize, v->blocks, v->bfree, v->bavail, v->files,
                               v->ffree, v->favail, v->fsid,   v->flag,  v->namemax};
    for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
        nc_wr_u64(w, fields[i]);
    }
}

void nc_server_names_begin(nacre_sftp_answer *a, nc_wr w)
{
    memset(a, 0, sizeof(*a));
    a->w = w;
    a->kind = NC_ANSWER_NAMES;
    a->count_at = w.b->len;
    nc_wr_u32(&a->w, 0);
}

void nc_server_names_end(nacre_sftp_answer *a)
{
    if (nc_wr_err(&a->w) == NACRE_OK) {
        nc_put_u32(a->w.b->data + a->count_at, a->count);
    }
}

/* The line for who gave none. The machine has no clock, so the date shows the year. */
static void put_longname(nc_wr *w, const nacre_sftp_name *entry)
{
    char line[1024];
    if (entry->longname.n > 0) {
        nc_wr_str(w, entry->longname);
        return;
    }
    size_t n =
        nacre_sftp_longname(line, sizeof(line), entry->name, &entry->attrs, 0, NULL, NULL, 0, 0);
    nc_wr_str(w, n < sizeof(line) ? nc_span(line, n) : entry->name);
}

/* An entry that can stand in no reply: those before it go out, and what it comes first in fails. */
static bool end_names(nacre_sftp_answer *out, size_t before)
{
    if (out->count > 0) {
        nc_buf_truncate(out->w.b, before);
        out->w = nc_wr_init(out->w.b);
    }
    out->failed = true;
    return false;
}

bool nacre_sftp_answer_name(nacre_sftp_answer *out, const nacre_sftp_name *entry)
{
    if (out->kind != NC_ANSWER_NAMES || nc_wr_err(&out->w) != NACRE_OK || out->failed ||
        entry->name.n == 0 || !nc_sftp_attrs_valid(&entry->attrs)) {
        out->failed = true;
        return false;
    }
    if (out->count >= NC_SERVER_MAX_ENTRIES) {
        return false;
    }
    nc_buf *b = out->w.b;
    size_t before = b->len;
    nc_wr_str(&out->w, entry->name);
    put_longname(&out->w, entry);
    nc_sftp_wr_attrs(&out->w, &entry->attrs);
    if (nc_wr_err(&out->w) != NACRE_OK) {
        return end_names(out, before); /* too large for a packet, or no memory */
    }
    if (out->count > 0 && b->len > NC_SERVER_MAX_NAMES) {
        nc_buf_truncate(b, before);
        return false;
    }
    out->count++;
    return true;
}

bool nacre_sftp_answer_path(nacre_sftp_answer *out, nacre_span path)
{
    if (out->kind != NC_ANSWER_PATH || out->count > 0) {
        out->failed = true;
        return false;
    }
    /* draft 6.11: one entry with dummy attributes; the longname is the path again, as OpenSSH. */
    nc_wr_u32(&out->w, 1);
    nc_wr_str(&out->w, path);
    nc_wr_str(&out->w, path);
    nc_sftp_wr_attrs(&out->w, NULL);
    out->count = 1;
    return nc_wr_err(&out->w) == NACRE_OK;
}

bool nacre_sftp_answer_bytes(nacre_sftp_answer *out, const void *p, size_t n)
{
    if (out->kind != NC_ANSWER_BYTES) {
        out->failed = true;
        return false;
    }
    nc_wr_bytes(&out->w, nc_span(p, n));
    out->count = 1;
    return nc_wr_err(&out->w) == NACRE_OK;
}

bool nacre_sftp_answer_hash(nacre_sftp_answer *out, const char *algorithm, nacre_span hashes)
{
    if (out->kind != NC_ANSWER_HASHES || out->count > 0) {
        out->failed = true;
        return false;
    }
    nc_check_put_reply(&out->w, out->ext, nc_span_cstr(algorithm), hashes);
    out->count = 1;
    return nc_wr_err(&out->w) == NACRE_OK;
}

/* ---- answering later ------------------------------------------------------------------------------ */

int nacre_sftp_reply_status(nacre_sftp_server *s, uint32_t ticket, uint32_t code,
                            const char *message)
{
    nc_ticket *t = NULL;
    int rc = late_any(s, ticket, &t);
    if (rc != NACRE_OK) {
        return rc;
    }
    nc_answer_kind kind = kind_of(s, t);
    if (code == NACRE_FX_OK && kind != NC_WITH_STATUS && kind != NC_WITH_EXTENDED) {
        return NACRE_INVALID_ARGUMENT;
    }
    if (s->write_waits && t == s->write_ticket) {
        return nc_server_write_answered(s, code, message);
    }
    if (t == s->job.ticket) {
        return nc_server_job_answered(s, code, message);
    }
    nc_buf busy_reply = s->reply; /* an operation may be in the middle of building its own */
    nc_buf_init(&s->reply, s->alloc, NC_SFTP_MAX_PACKET);
    rc = nc_server_send_status(s, t->id, code, message);
    nc_buf_clear(&s->reply);
    s->reply = busy_reply;
    if (rc == NACRE_OK) {
        nc_server_late_done(s, t);
    }
    return rc;
}

/* A late reply in a buffer of its own: s->reply may be in use by the operation that runs now. */
typedef struct late_reply {
    nc_buf b;
    nc_wr w;
    nc_ticket *t;
} late_reply;

static int late_begin(nacre_sftp_server *s, uint32_t ticket, nc_answer_kind kind, uint8_t type,
                      late_reply *l)
{
    int rc = nc_server_late(s, ticket, kind, &l->t);
    nc_buf_init(&l->b, s->alloc, NC_SFTP_MAX_PACKET);
    if (rc == NACRE_OK) {
        l->w = nc_server_reply_begin(&l->b, type, l->t->id);
        rc = nc_wr_err(&l->w);
    }
    return rc;
}

static int late_end(nacre_sftp_server *s, late_reply *l)
{
    int rc = nc_server_reply_end(s, &l->w);
    if (rc == NACRE_OK) {
        nc_server_late_done(s, l->t);
    }
    nc_buf_clear(&l->b);
    return rc;
}

int nacre_sftp_reply_handle(nacre_sftp_server *s, uint32_t ticket, void *file)
{
    late_reply l;
    nc_ticket *t = NULL;
    int rc = nc_server_late(s, ticket, NC_WITH_HANDLE, &t);
    if (rc == NACRE_OK && t == s->job.ticket) {
        return nc_server_job_opened(s, file);
    }
    rc = late_begin(s, ticket, NC_WITH_HANDLE, NACRE_FXP_HANDLE, &l);
    if (rc == NACRE_OK) {
        /* Room first: once the handle is open nothing may fail. */
        rc = nc_queue_reserve(&s->out.queue, 64);
    }
    if (rc == NACRE_OK) {
        rc = nc_buf_reserve(&l.b, 64);
    }
    if (rc != NACRE_OK) {
        nc_buf_clear(&l.b);
        return rc;
    }
    nc_server_put_handle(s, &l.w, l.t, file);
    return late_end(s, &l);
}

int nacre_sftp_reply_attrs(nacre_sftp_server *s, uint32_t ticket, const nacre_sftp_attrs *attrs)
{
    late_reply l;
    int rc = nc_sftp_attrs_valid(attrs) ? NACRE_OK : NACRE_INVALID_ARGUMENT;
    if (rc != NACRE_OK) {
        return rc;
    }
    rc = late_begin(s, ticket, NC_WITH_ATTRS, NACRE_FXP_ATTRS, &l);
    if (rc != NACRE_OK) {
        nc_buf_clear(&l.b);
        return rc;
    }
    nc_sftp_wr_attrs(&l.w, attrs);
    return late_end(s, &l);
}

int nacre_sftp_reply_names(nacre_sftp_server *s, uint32_t ticket, const nacre_sftp_name *entries,
                           size_t n, size_t *taken)
{
    late_reply l;
    if (taken) {
        *taken = 0;
    }
    int rc = nc_server_late(s, ticket, NC_WITH_NAMES, &l.t);
    if (n == 0) {
        return rc == NACRE_OK ? nacre_sftp_reply_status(s, ticket, NACRE_FX_EOF, NULL) : rc;
    }
    rc = late_begin(s, ticket, NC_WITH_NAMES, NACRE_FXP_NAME, &l);
    if (rc != NACRE_OK) {
        nc_buf_clear(&l.b);
        return rc;
    }
    nacre_sftp_answer a;
    nc_server_names_begin(&a, l.w);
    size_t i = 0;
    while (i < n && nacre_sftp_answer_name(&a, &entries[i])) {
        i++;
    }
    nc_server_names_end(&a);
    l.w = a.w;
    if (i == 0) {
        nc_buf_clear(&l.b);
        return nc_wr_err(&a.w) != NACRE_OK ? nc_wr_err(&a.w) : NACRE_INVALID_ARGUMENT;
    }
    rc = late_end(s, &l);
    if (taken && rc == NACRE_OK) {
        *taken = i;
    }
    return rc;
}

int nacre_sftp_reply_path(nacre_sftp_server *s, uint32_t ticket, nacre_span path)
{
    late_reply l;
    int rc = late_begin(s, ticket, NC_WITH_PATH, NACRE_FXP_NAME, &l);
    if (rc != NACRE_OK) {
        nc_buf_clear(&l.b);
        return rc;
    }
    nacre_sftp_answer a = {.w = l.w, .kind = NC_ANSWER_PATH};
    if (!nacre_sftp_answer_path(&a, path)) {
        nc_buf_clear(&l.b);
        return nc_wr_err(&a.w);
    }
    l.w = a.w;
    return late_end(s, &l);
}

int nacre_sftp_reply_statvfs(nacre_sftp_server *s, uint32_t ticket, const nacre_sftp_statvfs *v)
{
    late_reply l;
    int rc = late_begin(s, ticket, NC_WITH_STATVFS, NACRE_FXP_EXTENDED_REPLY, &l);
    if (rc != NACRE_OK) {
        nc_buf_clear(&l.b);
        return rc;
    }
    nc_server_put_statvfs(&l.w, v);
    return late_end(s, &l);
}

int nacre_sftp_reply_extended(nacre_sftp_server *s, uint32_t ticket, nacre_span data)
{
    late_reply l;
    int rc = late_begin(s, ticket, NC_WITH_EXTENDED, NACRE_FXP_EXTENDED_REPLY, &l);
    if (rc != NACRE_OK) {
        nc_buf_clear(&l.b);
        return rc;
    }
    const nc_request_row *row = l.t->row;
    if (row && row->ext == NACRE_SFTP_EXT_CHECK_FILE) {
        nc_wr_cstr(&l.w, nc_sftp_ext_name(NACRE_SFTP_EXT_CHECK_FILE));
    }
    nc_wr_bytes(&l.w, data);
    return late_end(s, &l);
}
