/*
 * sftp_file_read.c - reading at the position. What is read in a row is fetched ahead: nothing at first,
 * then four times as much whenever that much was read, up to a bound. A seek begins anew, with requests
 * for just what is wanted, so that small files and scattered reads cost no more than they must.
 */
#include "client/sftp_file.h"

#include <string.h>

enum {
    FIRST_BLOCK = 32 * 1024, /* of a file that may be small */
    LINE_BLOCK = 8 * 1024,   /* for a line somewhere in the file */
    FIRST_AHEAD = 128 * 1024,
    GROWTH = 4,
    SHARES = 4, /* the bytes on the way are cut into so many requests at least */
    MAX_BLOCKS = 512
};

void nc_ahead_init(nacre_sftp_file *f)
{
    f->size = UINT64_MAX;
    nc_sftp_op_init(&f->size_op, f->s);
}

/* ---- blocks ------------------------------------------------------------------------------------------- */

static void left_the_way(nc_ahead_block *b)
{
    b->f->s->flying -= b->asked;
    b->f->s->flow_requests--;
    b->asked = 0;
}

static void free_block(nacre_sftp_file *f, nc_ahead_block *b)
{
    if (b->call.id) {
        nacre_sftp_engine_forget(f->s->engine, b->call.id);
        left_the_way(b);
    }
    if (!f->spare || f->spare->size < b->size) {
        nc_free(f->s->alloc, f->spare);
        f->spare = b;
    } else {
        nc_free(f->s->alloc, b);
    }
}

static void drop_first(nacre_sftp_file *f)
{
    nc_ahead_block *b = f->first;
    f->first = b->next;
    if (!f->first) {
        f->last = NULL;
    }
    free_block(f, b);
}

static void drop_blocks(nacre_sftp_file *f)
{
    while (f->first) {
        drop_first(f);
    }
    nc_error_clear(&f->read_error);
    nc_sftp_task_stop(f->s, &f->task);
}

void nc_ahead_drop(nacre_sftp_file *f)
{
    drop_blocks(f);
    if (f->size_op.call.id) {
        nacre_sftp_engine_forget(f->s->engine, f->size_op.call.id);
        f->size_op.call.id = 0;
    }
    f->ahead = 0;
    f->streak = 0;
    f->expected = UINT64_MAX;
    f->size = UINT64_MAX;
    f->sized = false;
}

void nc_ahead_free(nacre_sftp_file *f)
{
    nc_ahead_drop(f);
    nc_free(f->s->alloc, f->spare);
    f->spare = NULL;
}

static nc_ahead_block *take_block(nacre_sftp_file *f, uint32_t want)
{
    nc_ahead_block *b = f->spare;
    if (b && b->size >= want && b->size / 2 <= want) {
        f->spare = NULL;
    } else {
        b = nc_alloc(f->s->alloc, sizeof(*b) + want);
        if (!b) {
            return NULL;
        }
        b->size = want;
    }
    uint32_t size = b->size;
    memset(b, 0, sizeof(*b));
    b->f = f;
    b->size = size;
    b->want = want;
    return b;
}

/* ---- replies ------------------------------------------------------------------------------------------ */

static void block_failed(nc_ahead_block *b, int status, const char *why)
{
    nacre_sftp_file *f = b->f;
    uint64_t at = b->offset + b->got;
    b->failed = true;
    if (f->read_error.status != NACRE_OK && f->read_error_at <= at) {
        return;
    }
    nc_error_clear(&f->read_error);
    nc_fail(&f->read_error, status, "read %s at offset %llu: %s", NC_ESC(nc_span_cstr(f->path)),
            (unsigned long long)at, why);
    f->read_error_at = at;
    f->read_code = NACRE_FX_OK;
}

static void refused(nc_ahead_block *b, const nacre_sftp_event *ev)
{
    nacre_sftp_file *f = b->f;
    uint32_t code = ev->u.status.code;
    if (code == NACRE_FX_EOF) {
        b->ended = true;
        return;
    }
    nc_escaped text = nc_escape_span(ev->u.status.message);
    block_failed(b, NACRE_SFTP_STATUS, nc_sftp_code_text(code, text.text));
    if (f->read_error_at == b->offset + b->got) {
        f->read_error.by = NACRE_BY_PEER;
        f->read_error.detail = code;
        f->read_code = code;
    }
}

/* The size is a hint; what has none, or is no file, is not read ahead. */
static void take_size(nacre_sftp_file *f)
{
    nc_sftp_op *op = &f->size_op;
    if (!op->done) {
        return;
    }
    op->done = false;
    if (!op->ok) {
        return;
    }
    if (op->attrs.flags & NACRE_SFTP_ATTR_SIZE) {
        f->size = op->attrs.size;
    }
    uint32_t type = op->attrs.permissions & NACRE_SFTP_S_IFMT;
    if ((op->attrs.flags & NACRE_SFTP_ATTR_PERMISSIONS) && type && type != NACRE_SFTP_S_IFREG) {
        f->ahead_max = 0;
        f->ahead = 0;
    }
}

static void on_read(nc_sftp_call *call, nacre_sftp *s, const nacre_sftp_event *ev)
{
    nc_ahead_block *b = (nc_ahead_block *)call;
    nacre_sftp_file *f = b->f;
    (void)s;
    take_size(f); /* its answer came before this one, as a rule */
    if (ev->done) {
        left_the_way(b);
    }
    if (ev->type != NACRE_SFTP_EVENT_DATA) {
        refused(b, ev);
        return;
    }
    /* The machine gives no more than was asked for, in order: this holds, and if not, no byte is lost. */
    nacre_span bytes = ev->u.data.bytes;
    if (bytes.n > b->want - b->got || ev->u.data.position != b->offset + b->got) {
        block_failed(b, NACRE_SFTP_PROTOCOL, "bytes came that nobody asked for");
        return;
    }
    memcpy(b->data + b->got, bytes.p, bytes.n);
    b->got += (uint32_t)bytes.n;
    if (!ev->done) {
        return;
    }
    uint64_t behind = b->offset + b->got;
    if (b->got < b->want && behind == f->size) {
        b->ended = true; /* short just where the file is said to end: no need to ask again */
    } else if (behind > f->size) {
        f->size = UINT64_MAX; /* it grew */
    }
}

/* ---- requests ----------------------------------------------------------------------------------------- */

/* False: not now, or never. */
static bool ask(nc_ahead_block *b)
{
    nacre_sftp_file *f = b->f;
    size_t asked = 0;
    uint32_t id = 0;
    int rc = nacre_sftp_req_read(f->s->engine, nc_file_handle(f), b->offset + b->got,
                                 b->want - b->got, &asked, &id);
    if (rc == NACRE_OK) {
        b->call.id = id;
        b->call.on_reply = on_read;
        b->asked = (uint32_t)asked;
        f->s->flying += asked;
        f->s->flow_requests++;
        rc = nacre_sftp_engine_set_user(f->s->engine, id, &b->call);
    } else if (rc != NACRE_AGAIN) {
        block_failed(b, rc, nacre_status_text(rc));
    }
    return rc == NACRE_OK;
}

static uint64_t end_of_blocks(const nacre_sftp_file *f)
{
    return f->last ? f->last->offset + f->last->want : f->position;
}

/* Where nothing may be any more one request gropes at a time. */
static bool worth_asking(const nacre_sftp_file *f, uint64_t at)
{
    if (!f->last) {
        return true;
    }
    return !f->last->ended && !f->last->failed && (at < f->size || (at == f->size && f->ahead > 0));
}

/* A block that fills the list up to the goal; false: nothing more now. */
static bool add_block(nacre_sftp_file *f)
{
    uint64_t at = end_of_blocks(f);
    if (at >= f->goal || !worth_asking(f, at)) {
        return false;
    }
    uint64_t n = f->goal - at < f->block ? f->goal - at : f->block;
    nc_ahead_block *b = take_block(f, (uint32_t)n);
    if (!b) {
        if (!f->first && f->read_error.status == NACRE_OK) {
            nc_fail(&f->read_error, NACRE_NO_MEMORY, "no memory to read %s",
                    NC_ESC(nc_span_cstr(f->path)));
        }
        return false;
    }
    b->offset = at;
    if (f->last) {
        f->last->next = b;
    } else {
        f->first = b;
    }
    f->last = b;
    return true;
}

static void pump(nc_sftp_task *t)
{
    nacre_sftp_file *f = (nacre_sftp_file *)t;
    take_size(f);
    size_t count = 0;
    for (nc_ahead_block *b = f->first; b; b = b->next, count++) {
        if (b->ended || b->failed) {
            return; /* what lies behind it is never asked for, nor looked at */
        }
        if (!b->call.id && b->got < b->want && !ask(b)) {
            return;
        }
    }
    while (count++ < MAX_BLOCKS && add_block(f) && ask(f->last)) {
    }
}

/* Asks for the size along with the first bytes: it comes with them, and costs no round trip. */
static void ask_size(nacre_sftp_file *f)
{
    nc_sftp_request r = {.type = NACRE_FXP_FSTAT, .path = f->path, .handle = nc_file_handle(f)};
    nacre_error err = {.status = NACRE_OK};
    if (f->sized || f->ahead_max == 0) {
        return;
    }
    f->sized = true;
    nc_sftp_op_init(&f->size_op, f->s);
    int rc = nc_sftp_try(f->s, &r, &f->size_op, &err);
    (void)rc; /* without it we grope */
}

/* ---- how much ----------------------------------------------------------------------------------------- */

static uint64_t lesser(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* Bytes of one request when so many are wanted altogether. */
static uint32_t block_size(const nacre_sftp_file *f, uint64_t wanted, bool in_row)
{
    uint64_t n = in_row ? wanted / SHARES : wanted;
    n = in_row && n < FIRST_BLOCK ? FIRST_BLOCK : n;
    n = lesser(n, f->s->max_read);
    return n > 0 ? (uint32_t)n : 1;
}

/* n bytes are wanted at the position: sets goal and block for them and for what is fetched ahead. */
static void aim(nacre_sftp_file *f, uint64_t n)
{
    bool in_row = f->position == f->expected && f->ahead_max > 0;
    uint64_t bound = f->ahead_max > f->s->read_ahead ? f->ahead_max : f->s->read_ahead;
    if (in_row && !f->sized && !f->last) {
        /* The first bytes: one request, which is all there is to ask of a small file. */
        n = n < FIRST_BLOCK ? FIRST_BLOCK : lesser(n, f->s->max_read);
        f->block = (uint32_t)lesser(n, f->s->max_read);
        f->goal = f->position + f->block;
        return;
    }
    uint64_t wanted = lesser(n + (in_row ? f->ahead : 0), bound);
    f->block = block_size(f, wanted, in_row);
    wanted = wanted < f->block ? f->block : wanted;
    f->goal = wanted < UINT64_MAX - f->position ? f->position + wanted : UINT64_MAX;
}

/* Bytes were read in a row: the more of them, the more is fetched ahead. */
static void went_on(nacre_sftp_file *f, size_t n)
{
    f->position += n;
    f->streak += n;
    uint64_t step = f->ahead ? f->ahead : FIRST_BLOCK;
    if (f->ahead < f->ahead_max && f->streak >= step) {
        f->ahead = lesser(f->ahead ? f->ahead * GROWTH : FIRST_AHEAD, f->ahead_max);
        f->streak = 0;
    }
}

/* ---- taking ------------------------------------------------------------------------------------------- */

/* Makes the first block the one that the position lies in, or drops them all. */
static void find_place(nacre_sftp_file *f)
{
    bool inside = f->first && f->position >= f->first->offset && f->position <= end_of_blocks(f);
    if (!inside) {
        drop_blocks(f);
        if (f->position != f->expected) {
            f->ahead = 0;
            f->streak = 0;
        }
        return;
    }
    while (f->first && f->position >= f->first->offset + f->first->want) {
        drop_first(f);
    }
    f->expected = f->position; /* skipping a little within what is there is reading in a row, too */
}

/* What is there at the position, borrowed; empty: nothing yet. */
static nacre_span look(nacre_sftp_file *f)
{
    while (f->first && f->position == f->first->offset + f->first->want) {
        drop_first(f);
    }
    nc_ahead_block *b = f->first;
    uint64_t used = b ? f->position - b->offset : 0;
    return b && used < b->got ? nc_span(b->data + used, b->got - (size_t)used) : nc_span(NULL, 0);
}

static bool there_or_over(void *user)
{
    nacre_sftp_file *f = user;
    nc_ahead_block *b = f->first;
    if (!b) {
        return f->read_error.status != NACRE_OK;
    }
    return b->got > f->position - b->offset || b->ended || b->failed;
}

static int fail_read(nacre_sftp_file *f)
{
    f->s->error = f->read_error;
    f->s->status = f->read_code;
    nc_sftp_tidy(f->s);
    drop_blocks(f); /* another try asks again */
    return f->s->error.status;
}

/*
 * Waits until something is there to take: NACRE_OK, NACRE_END, or why not. n bytes are wanted. After a
 * timeout what is on the way stays so, for the next call.
 */
static int fetch(nacre_sftp_file *f, uint64_t n)
{
    find_place(f);
    if (look(f).n > 0) {
        return NACRE_OK;
    }
    bool first = !f->sized && f->position == f->expected;
    aim(f, n);
    if (first) {
        ask_size(f);
    }
    nc_sftp_task_start(f->s, &f->task, pump);
    int rc = nc_sftp_wait(f->s, there_or_over, f, f->s->timeout_ms);
    if (rc != NACRE_OK) {
        return nc_file_fail(f, "read", rc);
    }
    if (look(f).n > 0) {
        return rc;
    }
    if (f->read_error.status != NACRE_OK && (!f->first || f->first->failed)) {
        return fail_read(f);
    }
    drop_blocks(f); /* the end is where it is now: a file that grows is asked again */
    f->expected = f->position;
    return NACRE_END;
}

/* The next bytes are on the way while the caller works on these. */
static void keep_ahead(nacre_sftp_file *f)
{
    f->expected = f->position;
    if (!f->first || f->ahead == 0) {
        return;
    }
    aim(f, 0);
    uint64_t end = end_of_blocks(f);
    if (f->goal >= end + f->block && worth_asking(f, end) && f->task.on) {
        nc_sftp_push(f->s);
    }
}

static int begin_read(nacre_sftp_file *f)
{
    int rc = nc_sftp_begin(f->s);
    if (rc == NACRE_OK && !(f->pflags & NACRE_FXF_READ)) {
        rc = nc_sftp_fail(f->s, NACRE_WRONG_STATE, "read %s: it is open for writing only",
                          NC_ESC(nc_span_cstr(f->path)));
    }
    return rc == NACRE_OK ? nc_behind_flush(f) : rc;
}

int nacre_sftp_file_read(nacre_sftp_file *f, void *p, size_t n, size_t *got)
{
    *got = 0;
    int rc = begin_read(f);
    while (rc == NACRE_OK && *got < n) {
        rc = fetch(f, n - *got);
        if (rc != NACRE_OK) {
            break;
        }
        nacre_span there = look(f);
        size_t take = there.n < n - *got ? there.n : n - *got;
        memcpy((uint8_t *)p + *got, there.p, take);
        *got += take;
        f->expected = f->position + take;
        went_on(f, take);
    }
    if (rc == NACRE_END && *got > 0) {
        rc = NACRE_OK;
    }
    if (rc == NACRE_OK && *got > 0) {
        keep_ahead(f);
    }
    return rc;
}

int nacre_sftp_file_gets(nacre_sftp_file *f, char *p, size_t size, size_t *got)
{
    *got = 0;
    if (size < 2) {
        return nc_sftp_fail(f->s, NACRE_INVALID_ARGUMENT, "a line needs room for 2 bytes at least");
    }
    int rc = begin_read(f);
    bool whole = false;
    while (rc == NACRE_OK && !whole && *got < size - 1) {
        rc = fetch(f, LINE_BLOCK);
        if (rc != NACRE_OK) {
            break;
        }
        nacre_span there = look(f);
        size_t take = there.n < size - 1 - *got ? there.n : size - 1 - *got;
        const uint8_t *newline = memchr(there.p, '\n', take);
        if (newline) {
            take = (size_t)(newline - there.p) + 1;
            whole = true;
        }
        memcpy(p + *got, there.p, take);
        *got += take;
        f->expected = f->position + take;
        went_on(f, take);
    }
    p[*got] = '\0';
    if (rc == NACRE_END && *got > 0) {
        rc = NACRE_OK;
    }
    if (rc == NACRE_OK) {
        keep_ahead(f);
    }
    return rc;
}
