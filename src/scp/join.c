/*
 * join.c - see join.h.
 */
#include "scp/join.h"

#include "scp/talk.h"

#include <string.h>

typedef enum state {
    STATE_LINE = 0,
    STATE_DATA,
    STATE_STATUS,       /* the byte behind a file's data */
    STATE_STATUS_WORDS, /* or the words that stand in its place */
    STATE_REPLY         /* nothing goes on before the sink has answered */
} state;

/* What the reply is about that is waited for. */
typedef enum about { ABOUT_START = 0, ABOUT_LINE, ABOUT_THING, ABOUT_FILE } about;

struct nc_scp_join {
    const nacre_allocator *alloc;
    nc_scp_join_ops ops;
    void *user;
    nc_scp_join_options o;
    nc_scp_out up, down;
    nc_queue held; /* the source's, not yet looked at */
    state state;
    about about;
    nc_scp_words line, reply;
    uint8_t code; /* of the words that are coming */
    uint8_t reply_code;
    bool in_reply;
    nc_scp_kind kind; /* of the present thing */
    uint64_t left;
    bool early; /* the sink has answered before the file's end */
    bool times;
    nacre_error file_why;
    uint32_t depth;
    uint64_t things, failures;
    bool ended;
    nacre_error error;
};

int nc_scp_join_new(nc_scp_join **out, const nacre_pipe *up, const nacre_pipe *down,
                    const nc_scp_join_ops *ops, void *user, const nc_scp_join_options *o)
{
    nc_scp_join *j = nc_zalloc(o->allocator, sizeof(*j));
    *out = j;
    if (!j) {
        return NACRE_NO_MEMORY;
    }
    j->alloc = o->allocator;
    j->ops = *ops;
    j->user = user;
    j->o = *o;
    nc_scp_out_init(&j->up, up, j->alloc);
    nc_scp_out_init(&j->down, down, j->alloc);
    nc_queue_init(&j->held, j->alloc, o->held_max);
    j->state = STATE_REPLY;
    return NACRE_OK;
}

void nc_scp_join_free(nc_scp_join *j)
{
    if (j) {
        nc_scp_out_clear(&j->up);
        nc_scp_out_clear(&j->down);
        nc_queue_clear(&j->held);
        nc_free(j->alloc, j);
    }
}

bool nc_scp_join_over(const nc_scp_join *j)
{
    return j->ended && j->state == STATE_LINE && nc_queue_len(&j->held) == 0 &&
           !nc_scp_out_waits(&j->down);
}

uint64_t nc_scp_join_failures(const nc_scp_join *j)
{
    return j->failures;
}

uint64_t nc_scp_join_things(const nc_scp_join *j)
{
    return j->things;
}

const nacre_error *nc_scp_join_error(const nc_scp_join *j)
{
    return &j->error;
}

/* ---- what the source says ------------------------------------------------------------------------------ */

static int by_peer(nc_scp_join *j)
{
    j->error.by = NACRE_BY_PEER;
    return j->error.status;
}

static int accuse(nc_scp_join *j, const char *what, nacre_span name)
{
    nc_fail(&j->error, NACRE_SCP_PROTOCOL, "the other side sent %s: \"%s\"", what, NC_ESC(name));
    return by_peer(j);
}

static int pass(nc_scp_join *j, nc_scp_out *to, const void *p, size_t n)
{
    int rc = nc_scp_out_push(to, p, n);
    rc = rc == NACRE_OK ? nc_scp_out_flush(to) : rc;
    return rc == NACRE_OK ? rc : nc_fail(&j->error, rc, "copying ended: %s", nacre_status_text(rc));
}

/* Words of one side for the other; who said them is written there already, mostly. */
static int pass_words(nc_scp_out *to, uint8_t code, const char *text)
{
    static const char sign[] = "scp: ";
    size_t n = sizeof(sign) - 1;
    int rc = nc_scp_out_words(to, code, strncmp(text, sign, n) == 0 ? text + n : text);
    return rc == NACRE_OK ? nc_scp_out_flush(to) : rc;
}

static int judge(nc_scp_join *j, const nc_scp_record *r)
{
    bool top = j->depth == 0, directory = r->kind == NC_SCP_DIR;
    if (!nc_scp_name_ok(r->name, false)) {
        return accuse(j, "a bad name", r->name);
    }
    if (top && j->o.pattern && !nc_scp_match(j->o.pattern, r->name)) {
        return accuse(j, "a name that was not asked for", r->name);
    }
    if (top && j->o.single && j->things > 0) {
        return accuse(j, "more than was asked for", r->name);
    }
    if (directory && !j->o.recursive) {
        return accuse(j, "a directory that was not asked for", r->name);
    }
    return directory && j->depth >= j->o.max_depth
               ? accuse(j, "too many directories in each other", r->name)
               : NACRE_OK;
}

static int on_thing(nc_scp_join *j, nc_scp_record *r)
{
    int rc = judge(j, r);
    if (rc == NACRE_OK) {
        r->st.mode &= j->o.special ? 07777 : 0777;
        j->things += j->depth == 0 ? 1 : 0;
        j->kind = r->kind;
        j->left = r->st.size;
        j->about = ABOUT_THING;
        j->times = j->early = false;
        nc_error_clear(&j->file_why);
        j->ops.begun(j->user, r);
    }
    return rc;
}

static int on_record(nc_scp_join *j, nc_scp_record *r)
{
    char text[NC_SCP_LINE_MAX];
    int rc = NACRE_OK;
    j->about = ABOUT_LINE;
    if (r->kind == NC_SCP_FILE || r->kind == NC_SCP_DIR) {
        rc = on_thing(j, r);
    } else if (r->kind == NC_SCP_LEAVE && (j->depth == 0 || j->times)) {
        rc =
            nc_fail(&j->error, NACRE_SCP_PROTOCOL, "the other side ended a directory out of place");
    } else if (r->kind == NC_SCP_LEAVE) {
        j->depth--;
    } else if (j->times) {
        rc = nc_fail(&j->error, NACRE_SCP_PROTOCOL, "the other side sent times twice");
    } else {
        j->times = true;
    }
    if (rc != NACRE_OK) {
        return by_peer(j);
    }
    j->state = STATE_REPLY;
    return pass(j, &j->down, text, nc_scp_format(r, text));
}

/* The source's words about what it cannot send: for the user, and for the sink, which counts them. */
static int on_note(nc_scp_join *j, uint8_t code)
{
    char text[640];
    nc_scp_words_show(&j->line, text, sizeof(text));
    j->times = false;
    int rc = pass_words(&j->down, code, text);
    if (rc != NACRE_OK || code == NC_SCP_FATAL) {
        nc_fail(&j->error, rc != NACRE_OK ? rc : NACRE_SCP_REFUSED, "%s", text);
        return by_peer(j);
    }
    if (j->state == STATE_STATUS_WORDS) { /* in place of the byte: answered as it is */
        nc_fail(&j->file_why, NACRE_SCP_REFUSED, "%s", text);
        return NACRE_OK;
    }
    j->failures++;
    j->ops.note(j->user, text);
    return NACRE_OK;
}

static int on_line(nc_scp_join *j)
{
    nc_scp_record r;
    uint8_t first = j->line.len > 0 ? (uint8_t)j->line.text[0] : 0;
    if (first == NC_SCP_WARNING || first == NC_SCP_FATAL) {
        memmove(j->line.text, j->line.text + 1, --j->line.len);
        return on_note(j, first);
    }
    if (j->line.total > j->line.len) {
        return accuse(j, "a line without an end", nc_span(NULL, 0));
    }
    return nc_scp_parse(nc_span(j->line.text, j->line.len), &r, &j->error) == NACRE_OK
               ? on_record(j, &r)
               : by_peer(j);
}

/* The file is over for the source; the sink has its word. */
static void end_file(nc_scp_join *j)
{
    j->about = ABOUT_FILE;
    j->state = STATE_REPLY;
    if (j->early) {
        j->state = STATE_LINE;
        j->failures++;
        j->ops.over(j->user, &j->file_why);
    }
}

static int take_line(nc_scp_join *j, nacre_span *in)
{
    bool whole = nc_scp_words_take(&j->line, in);
    if (j->line.total > NC_SCP_WORDS_MAX) {
        return accuse(j, "a line without an end", nc_span(NULL, 0));
    }
    if (!whole) {
        return NACRE_OK;
    }
    bool status = j->state == STATE_STATUS_WORDS;
    int rc = status ? on_note(j, j->code) : on_line(j);
    j->line.len = j->line.total = 0;
    if (status && rc == NACRE_OK) {
        end_file(j);
    }
    return rc;
}

static int take_data(nc_scp_join *j, nacre_span *in, bool *stuck)
{
    size_t n = in->n < j->left ? in->n : (size_t)j->left, took = 0;
    int rc = nc_scp_out_waits(&j->down) ? NACRE_OK
                                        : j->down.pipe.write(j->down.pipe.ctx, in->p, n, &took);
    if (rc != NACRE_OK) {
        return nc_fail(&j->error, rc, "copying ended: %s", nacre_status_text(rc));
    }
    *stuck = took < n;
    *in = nc_span(in->p + took, in->n - took);
    j->left -= took;
    j->state = j->left > 0 ? STATE_DATA : STATE_STATUS;
    return took == 0 || j->ops.moved(j->user, took)
               ? NACRE_OK
               : nc_fail(&j->error, NACRE_CANCELLED, "cancelled");
}

static int take_status(nc_scp_join *j, nacre_span *in)
{
    j->code = in->p[0];
    *in = nc_span(in->p + 1, in->n - 1);
    if (j->code == NC_SCP_GOOD) {
        end_file(j);
        return pass(j, &j->down, &j->code, 1);
    }
    if (j->code != NC_SCP_WARNING && j->code != NC_SCP_FATAL) {
        nc_fail(&j->error, NACRE_SCP_PROTOCOL, "the other side sent more than the file's size");
        return by_peer(j);
    }
    j->state = STATE_STATUS_WORDS;
    return NACRE_OK;
}

/* As far as it goes now; the rest stays in *in. */
static int step(nc_scp_join *j, nacre_span *in)
{
    bool stuck = false;
    int rc = NACRE_OK;
    while (rc == NACRE_OK && in->n > 0 && !stuck && j->state != STATE_REPLY) {
        if (j->state == STATE_DATA) {
            rc = take_data(j, in, &stuck);
        } else if (j->state == STATE_STATUS) {
            rc = take_status(j, in);
        } else {
            rc = take_line(j, in);
        }
    }
    return rc;
}

static int give_back(nc_scp_join *j, const nc_scp_out *o, size_t n)
{
    int rc = n > 0 && o->pipe.consumed ? o->pipe.consumed(o->pipe.ctx, n) : NACRE_OK;
    return rc == NACRE_OK ? rc : nc_fail(&j->error, rc, "copying ended: %s", nacre_status_text(rc));
}

static int go_on(nc_scp_join *j)
{
    nacre_span in = nc_span(nc_queue_front(&j->held), nc_queue_len(&j->held));
    size_t before = in.n;
    int rc = step(j, &in);
    nc_queue_consume(&j->held, before - in.n);
    nc_queue_shrink(&j->held, 0);
    return rc == NACRE_OK ? give_back(j, &j->up, before - in.n) : rc;
}

int nc_scp_join_input(nc_scp_join *j, nacre_span in)
{
    size_t before = in.n;
    int rc = j->error.status;
    if (rc == NACRE_OK && nc_queue_len(&j->held) == 0) {
        rc = step(j, &in);
        rc = rc == NACRE_OK ? give_back(j, &j->up, before - in.n) : rc;
    }
    if (rc == NACRE_OK && in.n > 0) {
        rc = nc_queue_append(&j->held, in.p, in.n);
        rc = rc == NACRE_OK ? rc
                            : nc_fail(&j->error, rc, "copying ended: %s", nacre_status_text(rc));
    }
    return rc;
}

int nc_scp_join_eof(nc_scp_join *j)
{
    if (j->error.status != NACRE_OK) {
        return j->error.status;
    }
    j->ended = true;
    bool empty = nc_queue_len(&j->held) == 0;
    bool data = empty && j->state != STATE_LINE && j->state != STATE_REPLY;
    bool middle = empty && (j->line.total > 0 || j->depth > 0 || j->times);
    if (data || (middle && j->failures == 0)) { /* a failure may have ended it */
        nc_fail(&j->error, NACRE_INCOMPLETE, "the other side ended in the middle of a copy");
        return by_peer(j);
    }
    return NACRE_OK;
}

/* ---- what the sink says ------------------------------------------------------------------------------- */

static void on_verdict(nc_scp_join *j, const nacre_error *why)
{
    bool good = why->status == NACRE_OK;
    bool directory = j->kind == NC_SCP_DIR;
    j->state = STATE_LINE;
    if (good && !directory) {
        j->state = j->left > 0 ? STATE_DATA : STATE_STATUS;
        return;
    }
    j->depth += good ? 1 : 0;
    j->failures += good ? 0 : 1;
    j->ops.over(j->user, why);
}

static int on_reply(nc_scp_join *j, const nacre_error *why)
{
    bool good = why->status == NACRE_OK;
    if (j->state == STATE_REPLY && j->about == ABOUT_THING) {
        on_verdict(j, why);
    } else if (j->state == STATE_REPLY && j->about == ABOUT_FILE) {
        const nacre_error *first = j->file_why.status != NACRE_OK ? &j->file_why : why;
        j->state = STATE_LINE;
        j->failures += first->status == NACRE_OK ? 0 : 1;
        j->ops.over(j->user, first);
    } else if (j->state == STATE_REPLY) {
        j->state = STATE_LINE;
        j->failures += good ? 0 : 1;
        if (!good) {
            j->ops.note(j->user, why->text);
        }
    } else if (good) {
        nc_fail(&j->error, NACRE_SCP_PROTOCOL, "the receiving side answered what nobody asked");
        return by_peer(j);
    } else if (j->state == STATE_LINE) {
        j->failures++;
        j->ops.note(j->user, why->text);
    } else { /* in the middle of the data: it reads the rest, and has spoken */
        j->early = true;
        j->file_why = *why;
    }
    return NACRE_OK;
}

static int take_words(nc_scp_join *j, nacre_span *in)
{
    nacre_error why = {.status = NACRE_OK};
    char text[640];
    bool whole = nc_scp_words_take(&j->reply, in);
    if (j->reply.total > NC_SCP_WORDS_MAX) {
        return accuse(j, "a reply without an end", nc_span(NULL, 0));
    }
    if (!whole) {
        return NACRE_OK;
    }
    nc_scp_words_show(&j->reply, text, sizeof(text));
    j->in_reply = false;
    nc_fail(&why, NACRE_SCP_REFUSED, "%s", text);
    why.by = NACRE_BY_PEER;
    int rc = on_reply(j, &why);
    rc = rc == NACRE_OK ? pass_words(&j->up, j->reply_code, text) : rc;
    return rc == NACRE_OK ? rc : nc_fail(&j->error, rc, "copying ended: %s", nacre_status_text(rc));
}

static int take_reply(nc_scp_join *j, nacre_span *in)
{
    static const nacre_error good = {.status = NACRE_OK};
    if (j->in_reply) {
        return take_words(j, in);
    }
    j->reply_code = in->p[0];
    *in = nc_span(in->p + 1, in->n - 1);
    if (j->reply_code == NC_SCP_GOOD) {
        int rc = on_reply(j, &good);
        return rc == NACRE_OK ? pass(j, &j->up, &j->reply_code, 1) : rc;
    }
    if (j->reply_code != NC_SCP_WARNING && j->reply_code != NC_SCP_FATAL) {
        return accuse(j, "a reply that is none", nc_span(&j->reply_code, 1));
    }
    j->in_reply = true;
    j->reply.len = j->reply.total = 0;
    return NACRE_OK;
}

int nc_scp_join_replies(nc_scp_join *j, nacre_span in)
{
    size_t n = in.n;
    int rc = j->error.status;
    while (rc == NACRE_OK && in.n > 0) {
        rc = take_reply(j, &in);
    }
    rc = rc == NACRE_OK ? give_back(j, &j->down, n) : rc;
    return rc == NACRE_OK ? nc_scp_join_flush(j) : rc;
}

int nc_scp_join_sink_eof(nc_scp_join *j)
{
    if (j->error.status != NACRE_OK || nc_scp_join_over(j) || j->failures > 0) {
        return j->error.status;
    }
    nc_fail(&j->error, NACRE_INCOMPLETE, "the receiving side ended in the middle of a copy");
    return by_peer(j);
}

int nc_scp_join_flush(nc_scp_join *j)
{
    int rc = j->error.status;
    if (rc == NACRE_OK) {
        rc = nc_scp_out_flush(&j->up);
        rc = rc == NACRE_OK ? nc_scp_out_flush(&j->down) : rc;
        if (rc != NACRE_OK) {
            nc_fail(&j->error, rc, "copying ended: %s", nacre_status_text(rc));
        }
    }
    rc = rc == NACRE_OK ? go_on(j) : rc;
    return rc == NACRE_OK && j->ended ? nc_scp_join_eof(j) : rc;
}
