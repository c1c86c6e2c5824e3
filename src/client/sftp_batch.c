/*
 * sftp_batch.c - many small requests at once. A record is small; what a request needs while it is on the
 * way stands in one of a bounded number of slots.
 */
#include "nacre/sftp_batch.h"

#include "client/sftp_session.h"

#include <string.h>

enum {
    SLOTS = 256, /* on the way at a time: more than any round trip needs */
    FIRST_RECORDS = 64
};

typedef struct record {
    nacre_sftp_result result;
    uint8_t type;
    char *path, *other;
    nacre_sftp_attrs attrs; /* of setstat, mkdir */
    char *text;             /* result.message or .path, owned */
} record;

typedef struct slot {
    nc_sftp_op op;
    size_t index; /* SIZE_MAX: free */
} slot;

struct nacre_sftp_batch {
    nc_sftp_task task; /* first */
    nacre_sftp *s;
    record *records;
    size_t count, room;
    size_t next; /* the first record that was not sent */
    slot *slots;
    size_t running;
    size_t answered; /* of this run */
};

int nacre_sftp_batch_new(nacre_sftp_batch **out, nacre_sftp *s)
{
    *out = NULL;
    nacre_sftp_batch *b = nc_zalloc(s->alloc, sizeof(*b));
    slot *slots = nc_alloc_array(s->alloc, SLOTS, sizeof(*slots));
    if (!b || !slots) {
        nc_free(s->alloc, b);
        nc_free(s->alloc, slots);
        return nc_sftp_fail(s, NACRE_NO_MEMORY, "no memory for a batch");
    }
    b->s = s;
    b->slots = slots;
    for (size_t i = 0; i < SLOTS; i++) {
        nc_sftp_op_init(&slots[i].op, s);
        slots[i].index = SIZE_MAX;
    }
    *out = b;
    return NACRE_OK;
}

static void free_record(nacre_sftp_batch *b, record *r)
{
    nc_free(b->s->alloc, r->path);
    nc_free(b->s->alloc, r->other);
    nc_free(b->s->alloc, r->text);
}

void nacre_sftp_batch_free(nacre_sftp_batch *b)
{
    if (!b) {
        return;
    }
    for (size_t i = 0; i < b->count; i++) {
        free_record(b, &b->records[i]);
    }
    nc_free(b->s->alloc, b->records);
    nc_free(b->s->alloc, b->slots);
    nc_free(b->s->alloc, b);
}

/* ---- adding ------------------------------------------------------------------------------------------- */

static int grow(nacre_sftp_batch *b)
{
    if (b->count < b->room) {
        return NACRE_OK;
    }
    size_t room = b->room ? b->room * 2 : FIRST_RECORDS;
    record *p = room <= SIZE_MAX / sizeof(*p)
                    ? nc_resize(b->s->alloc, b->records, room * sizeof(*p))
                    : NULL;
    if (!p) {
        return NACRE_NO_MEMORY;
    }
    b->records = p;
    b->room = room;
    return NACRE_OK;
}

static int add(nacre_sftp_batch *b, uint8_t type, const char *path, const char *other,
               const nacre_sftp_attrs *attrs, size_t *index)
{
    record r = {.type = type};
    if (!path || !*path || (other && !*other)) {
        return nc_sftp_fail(b->s, NACRE_INVALID_ARGUMENT, "the path is empty");
    }
    if (attrs) {
        r.attrs = *attrs;
        r.attrs.flags &=
            ~NACRE_SFTP_ATTR_EXTENDED; /* those are borrowed, and servers ignore them */
    }
    r.path = nc_strdup(b->s->alloc, path);
    r.other = nc_strdup(b->s->alloc, other);
    r.result.status = NACRE_AGAIN;
    r.result.message = "";
    if (!r.path || (other && !r.other) || grow(b) != NACRE_OK) {
        free_record(b, &r);
        return nc_sftp_fail(b->s, NACRE_NO_MEMORY, "no memory for a batch");
    }
    if (index) {
        *index = b->count;
    }
    b->records[b->count++] = r;
    return NACRE_OK;
}

int nacre_sftp_batch_stat(nacre_sftp_batch *b, const char *path, size_t *index)
{
    return add(b, NACRE_FXP_STAT, path, NULL, NULL, index);
}

int nacre_sftp_batch_lstat(nacre_sftp_batch *b, const char *path, size_t *index)
{
    return add(b, NACRE_FXP_LSTAT, path, NULL, NULL, index);
}

int nacre_sftp_batch_setstat(nacre_sftp_batch *b, const char *path, const nacre_sftp_attrs *attrs,
                             size_t *index)
{
    return add(b, NACRE_FXP_SETSTAT, path, NULL, attrs, index);
}

int nacre_sftp_batch_mkdir(nacre_sftp_batch *b, const char *path, uint32_t mode, size_t *index)
{
    nacre_sftp_attrs a = {.flags = NACRE_SFTP_ATTR_PERMISSIONS, .permissions = mode & 07777};
    return add(b, NACRE_FXP_MKDIR, path, NULL, &a, index);
}

int nacre_sftp_batch_rmdir(nacre_sftp_batch *b, const char *path, size_t *index)
{
    return add(b, NACRE_FXP_RMDIR, path, NULL, NULL, index);
}

int nacre_sftp_batch_remove(nacre_sftp_batch *b, const char *path, size_t *index)
{
    return add(b, NACRE_FXP_REMOVE, path, NULL, NULL, index);
}

int nacre_sftp_batch_rename(nacre_sftp_batch *b, const char *from, const char *to, size_t *index)
{
    bool posix = nacre_sftp_has(b->s, NACRE_SFTP_EXT_POSIX_RENAME);
    return add(b, posix ? NACRE_FXP_EXTENDED : NACRE_FXP_RENAME, from, to, NULL, index);
}

int nacre_sftp_batch_symlink(nacre_sftp_batch *b, const char *target, const char *link,
                             size_t *index)
{
    return add(b, NACRE_FXP_SYMLINK, target, link, NULL, index);
}

int nacre_sftp_batch_readlink(nacre_sftp_batch *b, const char *path, size_t *index)
{
    return add(b, NACRE_FXP_READLINK, path, NULL, NULL, index);
}

int nacre_sftp_batch_realpath(nacre_sftp_batch *b, const char *path, size_t *index)
{
    return add(b, NACRE_FXP_REALPATH, path, NULL, NULL, index);
}

/* ---- running ------------------------------------------------------------------------------------------ */

/* Of a record, the only extension among them is posix-rename. */
static nc_sftp_request request_of(const record *r)
{
    nc_sftp_request q = {.type = r->type,
                         .ext = NACRE_SFTP_EXT_POSIX_RENAME,
                         .path = r->path,
                         .other = r->other,
                         .attrs = &r->attrs};
    return q;
}

static void keep_failure(nacre_sftp_batch *b, record *r, int status, uint32_t code,
                         const char *text)
{
    char clean[sizeof(((nacre_error *)NULL)->text)];
    nacre_escape(clean, sizeof(clean), nc_span_cstr(text));
    r->result.status = status;
    r->result.code = code;
    r->text = nc_strdup(b->s->alloc, clean);
    r->result.message = r->text ? r->text : nacre_status_text(status);
}

static void keep_name(nacre_sftp_batch *b, record *r, const nc_sftp_op *op)
{
    nacre_sftp_names names = {op->names_count, nc_span(op->names, op->names_len)};
    nacre_sftp_name entry;
    if (!nacre_sftp_names_next(&names, &entry) || memchr(entry.name.p, 0, entry.name.n)) {
        keep_failure(b, r, NACRE_SFTP_PROTOCOL, NACRE_FX_OK, "the server's answer holds no name");
        return;
    }
    r->text = nc_strndup(b->s->alloc, entry.name);
    r->result.path = r->text;
    r->result.status = r->text ? NACRE_OK : NACRE_NO_MEMORY;
}

static void keep_answer(nacre_sftp_batch *b, slot *k)
{
    record *r = &b->records[k->index];
    nc_sftp_request q = request_of(r);
    nacre_error err = {.status = NACRE_OK};
    int rc = nc_sftp_judge(&q, &k->op, &err);
    if (rc != NACRE_OK) {
        keep_failure(b, r, rc, k->op.code, err.text);
    } else if (r->type == NACRE_FXP_READLINK || r->type == NACRE_FXP_REALPATH) {
        keep_name(b, r, &k->op);
    } else {
        r->result.status = NACRE_OK;
        r->result.attrs = k->op.attrs;
    }
}

static void clear_slot(nacre_sftp_batch *b, slot *k)
{
    nc_sftp_op_clear(&k->op);
    nc_sftp_op_init(&k->op, b->s);
    k->index = SIZE_MAX;
    b->running--;
}

/* False: not now. */
static bool send_next(nacre_sftp_batch *b, slot *k)
{
    record *r = &b->records[b->next];
    nc_sftp_request q = request_of(r);
    nacre_error err = {.status = NACRE_OK};
    int rc = nc_sftp_try(b->s, &q, &k->op, &err);
    if (rc == NACRE_AGAIN) {
        return false;
    }
    b->next++;
    if (rc == NACRE_OK) {
        k->index = b->next - 1;
        b->running++;
    } else {
        keep_failure(b, r, rc, NACRE_FX_OK, err.text);
        b->answered++;
    }
    return true;
}

static void pump(nc_sftp_task *t)
{
    nacre_sftp_batch *b = (nacre_sftp_batch *)t;
    bool room = true;
    for (size_t i = 0; i < SLOTS; i++) {
        slot *k = &b->slots[i];
        if (k->index != SIZE_MAX && k->op.done) {
            keep_answer(b, k);
            clear_slot(b, k);
            b->answered++;
        }
        while (room && k->index == SIZE_MAX && b->next < b->count) {
            room = send_next(b, k);
        }
    }
}

static bool all_answered(void *user)
{
    const nacre_sftp_batch *b = user;
    return b->running == 0 && b->next == b->count;
}

/* Time without any answer is bounded, not the whole batch's. */
static int run(nacre_sftp_batch *b)
{
    size_t before;
    int rc;
    nc_sftp_task_start(b->s, &b->task, pump);
    do {
        before = b->answered;
        rc = nc_sftp_wait(b->s, all_answered, b, b->s->timeout_ms);
    } while (rc == NACRE_TIMEOUT && b->answered > before);
    nc_sftp_task_stop(b->s, &b->task);
    return rc;
}

/* What has no answer by now gets none. */
static void give_up(nacre_sftp_batch *b, size_t first, int rc)
{
    for (size_t i = 0; i < SLOTS; i++) {
        slot *k = &b->slots[i];
        if (k->index != SIZE_MAX && k->op.done) {
            keep_answer(b, k); /* it came right before the end */
        }
        if (k->index != SIZE_MAX) {
            if (k->op.call.id) {
                nacre_sftp_engine_forget(b->s->engine, k->op.call.id);
            }
            clear_slot(b, k);
        }
    }
    b->next = b->count;
    for (size_t i = first; i < b->count; i++) {
        record *r = &b->records[i];
        if (r->result.status == NACRE_AGAIN) {
            keep_failure(b, r, rc, NACRE_FX_OK, b->s->error.text);
        }
    }
}

int nacre_sftp_batch_run(nacre_sftp_batch *b, size_t *refused)
{
    size_t first = b->next;
    int rc = nc_sftp_begin(b->s);
    rc = rc == NACRE_OK ? run(b) : rc;
    if (rc != NACRE_OK) {
        give_up(b, first, rc);
    }
    if (refused) {
        *refused = 0;
        for (size_t i = first; i < b->count; i++) {
            *refused += b->records[i].result.status != NACRE_OK;
        }
    }
    return rc;
}

const nacre_sftp_result *nacre_sftp_batch_result(const nacre_sftp_batch *b, size_t index)
{
    return index < b->count ? &b->records[index].result : NULL;
}
