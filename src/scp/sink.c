/*
 * sink.c - the receiving machine: a line, perhaps data, an answer; and no name that was not to be
 * expected.
 */
#include "scp/sink.h"

#include "scp/talk.h"

#include <string.h>

typedef enum state {
    STATE_LINE = 0,
    STATE_DATA,
    STATE_STATUS, /* the data is through: how does the peer feel about it? */
    STATE_STATUS_WORDS
} state;

enum { BLANKS_MAX = 8 }; /* a greeting has one or two */

struct nc_scp_sink {
    const nacre_allocator *alloc;
    nc_scp_sink_ops ops;
    void *user;
    nc_scp_sink_options o;
    nc_scp_out out;
    state state;
    bool begun; /* the first word is said */
    nc_scp_words line;
    bool spoken;     /* a line with something in it came */
    unsigned blanks; /* empty ones before */
    uint32_t depth;
    bool has_times; /* for the thing that comes next */
    uint64_t mtime, atime;
    uint64_t left;
    nacre_error file_why; /* what went wrong with the present file */
    uint8_t status_code;
    uint64_t things, failures;
    nacre_error error;
};

/* ---- life --------------------------------------------------------------------------------------------- */

int nc_scp_sink_new(nc_scp_sink **out, const nacre_pipe *pipe, const nc_scp_sink_ops *ops,
                    void *user, const nc_scp_sink_options *o)
{
    nc_scp_sink *s = nc_zalloc(o->allocator, sizeof(*s));
    *out = s;
    if (!s) {
        return NACRE_NO_MEMORY;
    }
    s->alloc = o->allocator;
    s->ops = *ops;
    s->user = user;
    s->o = *o;
    nc_scp_out_init(&s->out, pipe, s->alloc);
    return NACRE_OK;
}

void nc_scp_sink_free(nc_scp_sink *s)
{
    if (s) {
        nc_scp_out_clear(&s->out);
        nc_free(s->alloc, s);
    }
}

bool nc_scp_sink_idle(const nc_scp_sink *s)
{
    return !nc_scp_out_waits(&s->out);
}

uint64_t nc_scp_sink_failures(const nc_scp_sink *s)
{
    return s->failures;
}

uint64_t nc_scp_sink_things(const nc_scp_sink *s)
{
    return s->things;
}

const nacre_error *nc_scp_sink_error(const nc_scp_sink *s)
{
    return &s->error;
}

/* ---- answers ------------------------------------------------------------------------------------------ */

static int give_up(nc_scp_sink *s, int rc)
{
    return nc_fail(&s->error, rc, "copying ended: %s", nacre_status_text(rc));
}

static int say(nc_scp_sink *s, int code, const char *text)
{
    static const uint8_t good = NC_SCP_GOOD;
    int rc = code == NC_SCP_GOOD ? nc_scp_out_push(&s->out, &good, 1)
                                 : nc_scp_out_words(&s->out, code, text);
    return rc == NACRE_OK ? rc : give_up(s, rc);
}

/* The session is over already: if they do not go out, nobody can be helped. */
static void last_words(nc_scp_sink *s, int code, const char *text)
{
    int rc = nc_scp_out_words(&s->out, code, text);
    rc = rc == NACRE_OK ? nc_scp_out_flush(&s->out) : rc;
    (void)rc;
}

/* The peer breaks the rules: it is told, and that was it. */
static int accuse(nc_scp_sink *s)
{
    s->error.by = NACRE_BY_PEER;
    last_words(s, NC_SCP_FATAL, s->error.text);
    return s->error.status;
}

void nc_scp_sink_refuse(nc_scp_sink *s, const nacre_error *why)
{
    if (s->error.status == NACRE_OK) {
        s->error = *why;
        last_words(s, NC_SCP_WARNING, why->text);
    }
}

/* The answer to something that was tried: good, or a warning. */
static int answer(nc_scp_sink *s, int rc, nacre_error *why)
{
    if (rc == NACRE_OK) {
        return say(s, NC_SCP_GOOD, NULL);
    }
    nc_fail(why, rc, "%s", nacre_status_text(rc));
    if (rc == NACRE_CANCELLED) {
        s->error = *why;
        return rc;
    }
    s->failures++;
    return say(s, NC_SCP_WARNING, why->text);
}

/* ---- lines -------------------------------------------------------------------------------------------- */

static int judge(nc_scp_sink *s, const nc_scp_record *r)
{
    bool top = s->depth == 0;
    if (!nc_scp_name_ok(r->name, s->o.controls)) {
        return nc_fail(&s->error, NACRE_SCP_PROTOCOL, "the other side sent a bad name: \"%s\"",
                       NC_ESC(r->name));
    }
    if (top && s->o.pattern && !nc_scp_match(s->o.pattern, r->name)) {
        return nc_fail(&s->error, NACRE_SCP_PROTOCOL,
                       "the other side sent a name that was not asked for: \"%s\"",
                       NC_ESC(r->name));
    }
    if (top && s->o.single && s->things > 0) {
        return nc_fail(&s->error, NACRE_SCP_PROTOCOL,
                       "the other side sent more than was asked for: \"%s\"", NC_ESC(r->name));
    }
    if (r->kind == NC_SCP_DIR && !s->o.recursive) {
        return nc_fail(&s->error, NACRE_SCP_PROTOCOL,
                       "the other side sent a directory that was not asked for: \"%s\"",
                       NC_ESC(r->name));
    }
    if (r->kind == NC_SCP_DIR && s->depth >= s->o.max_depth) {
        return nc_fail(&s->error, NACRE_SCP_PROTOCOL,
                       "the other side sent more than %u directories in each other",
                       (unsigned)s->o.max_depth);
    }
    return NACRE_OK;
}

static int on_thing(nc_scp_sink *s, nc_scp_record *r)
{
    nacre_error why = {.status = NACRE_OK};
    if (judge(s, r) != NACRE_OK) {
        return accuse(s);
    }
    r->st.has_times = s->has_times;
    r->st.mtime = s->mtime;
    r->st.atime = s->atime;
    s->has_times = false;
    s->things += s->depth == 0 ? 1 : 0;
    int rc =
        r->kind == NC_SCP_FILE ? s->ops.file(s->user, r, &why) : s->ops.enter(s->user, r, &why);
    if (rc == NACRE_OK && r->kind == NC_SCP_FILE) {
        s->left = r->st.size;
        nc_error_clear(&s->file_why);
        s->state = s->left > 0 ? STATE_DATA : STATE_STATUS;
    } else if (rc == NACRE_OK) {
        s->depth++;
    }
    return answer(s, rc, &why);
}

static int on_leave(nc_scp_sink *s)
{
    nacre_error why = {.status = NACRE_OK};
    if (s->depth == 0 || s->has_times) {
        nc_fail(&s->error, NACRE_SCP_PROTOCOL, "the other side ended a directory out of place");
        return accuse(s);
    }
    s->depth--;
    int rc = s->ops.leave(s->user, &why);
    return answer(s, rc, &why);
}

static int on_times(nc_scp_sink *s, const nc_scp_record *r)
{
    if (s->has_times) {
        nc_fail(&s->error, NACRE_SCP_PROTOCOL, "the other side sent times twice");
        return accuse(s);
    }
    s->has_times = true;
    s->mtime = r->st.mtime;
    s->atime = r->st.atime;
    return say(s, NC_SCP_GOOD, NULL);
}

static int on_peer_words(nc_scp_sink *s)
{
    char text[640];
    bool fatal = s->line.text[0] == NC_SCP_FATAL;
    memmove(s->line.text, s->line.text + 1, s->line.len - 1);
    s->line.len--;
    nc_scp_words_show(&s->line, text, sizeof(text));
    s->has_times = false; /* what they were for does not come */
    if (fatal) {
        nc_fail(&s->error, NACRE_SCP_REFUSED, "%s", text);
        s->error.by = NACRE_BY_PEER;
        return NACRE_SCP_REFUSED;
    }
    s->failures++;
    if (s->ops.note) {
        s->ops.note(s->user, text);
    }
    return NACRE_OK;
}

static int on_line(nc_scp_sink *s)
{
    nc_scp_record r;
    if (s->line.len > 0 && (s->line.text[0] == NC_SCP_WARNING || s->line.text[0] == NC_SCP_FATAL)) {
        return on_peer_words(s);
    }
    if (s->line.total > s->line.len) {
        nc_fail(&s->error, NACRE_SCP_PROTOCOL, "the other side sent a line without an end");
        return accuse(s);
    }
    if (nc_scp_parse(nc_span(s->line.text, s->line.len), &r, &s->error) != NACRE_OK) {
        return accuse(s);
    }
    switch (r.kind) {
    case NC_SCP_FILE:
    case NC_SCP_DIR:
        return on_thing(s, &r);
    case NC_SCP_LEAVE:
        return on_leave(s);
    default:
        return on_times(s, &r);
    }
}

/* Behind an empty line: whatever it says, scp it is not. */
static int on_noise(nc_scp_sink *s)
{
    char text[640];
    nc_scp_words_show(&s->line, text, sizeof(text));
    nc_fail(&s->error, NACRE_SCP_PROTOCOL,
            "the other side said \"%s\" where scp begins (does the remote shell print something?)",
            text);
    return accuse(s);
}

static int take_line(nc_scp_sink *s, nacre_span *in)
{
    bool whole = nc_scp_words_take(&s->line, in);
    if (s->line.total > NC_SCP_WORDS_MAX) {
        nc_fail(&s->error, NACRE_SCP_PROTOCOL, "the other side sent a line without an end");
        return accuse(s);
    }
    if (!whole) {
        return NACRE_OK;
    }
    if (!s->spoken && nc_scp_words_blank(&s->line) && s->blanks < BLANKS_MAX) {
        s->blanks++; /* the next line may say whose words they are */
        s->line.len = s->line.total = 0;
        return NACRE_OK;
    }
    s->spoken = true;
    int rc = s->blanks > 0 ? on_noise(s) : on_line(s);
    s->line.len = s->line.total = 0;
    return rc;
}

/* ---- data --------------------------------------------------------------------------------------------- */

static int take_data(nc_scp_sink *s, nacre_span *in)
{
    size_t n = in->n < s->left ? in->n : (size_t)s->left;
    if (s->file_why.status == NACRE_OK) {
        int rc = s->ops.write(s->user, nc_span(in->p, n), &s->file_why);
        if (rc != NACRE_OK) {
            nc_fail(&s->file_why, rc, "%s", nacre_status_text(rc));
        }
        if (rc == NACRE_CANCELLED) {
            s->error = s->file_why;
            return rc;
        }
    }
    *in = nc_span(in->p + n, in->n - n);
    s->left -= n;
    s->state = s->left > 0 ? STATE_DATA : STATE_STATUS;
    return NACRE_OK;
}

static int finish(nc_scp_sink *s)
{
    s->state = STATE_LINE;
    int rc = s->ops.finish(s->user, s->file_why.status == NACRE_OK, &s->file_why);
    rc = s->file_why.status == NACRE_OK ? rc : s->file_why.status;
    return answer(s, rc, &s->file_why);
}

/* The sender's own words on a file that it could not read to its end. It needs no warning of ours. */
static int finish_refused(nc_scp_sink *s)
{
    char text[640];
    nc_scp_words_show(&s->line, text, sizeof(text));
    s->line.len = s->line.total = 0;
    s->state = STATE_LINE;
    if (s->file_why.status == NACRE_OK) {
        nc_fail(&s->file_why, NACRE_SCP_REFUSED, "%s", text);
        s->file_why.by = NACRE_BY_PEER;
    }
    (void)s->ops.finish(s->user, false, &s->file_why);
    if (s->status_code == NC_SCP_FATAL) {
        s->error = s->file_why;
        return s->error.status;
    }
    s->failures++;
    return say(s, NC_SCP_GOOD, NULL);
}

static int take_status(nc_scp_sink *s, nacre_span *in)
{
    if (s->state == STATE_STATUS_WORDS) {
        bool whole = nc_scp_words_take(&s->line, in);
        if (s->line.total > NC_SCP_WORDS_MAX) {
            nc_fail(&s->error, NACRE_SCP_PROTOCOL, "the other side sent a line without an end");
            return accuse(s);
        }
        return whole ? finish_refused(s) : NACRE_OK;
    }
    s->status_code = in->p[0];
    *in = nc_span(in->p + 1, in->n - 1);
    if (s->status_code == NC_SCP_GOOD) {
        return finish(s);
    }
    if (s->status_code > NC_SCP_FATAL) {
        nc_fail(&s->error, NACRE_SCP_PROTOCOL,
                "the other side sent more data than the size that it named");
        return accuse(s);
    }
    s->state = STATE_STATUS_WORDS;
    return NACRE_OK;
}

/* ---- in and out --------------------------------------------------------------------------------------- */

static int take(nc_scp_sink *s, nacre_span *in)
{
    switch (s->state) {
    case STATE_LINE:
        return take_line(s, in);
    case STATE_DATA:
        return take_data(s, in);
    default:
        return take_status(s, in);
    }
}

int nc_scp_sink_flush(nc_scp_sink *s)
{
    if (!s->begun && s->error.status == NACRE_OK) {
        s->begun = true;
        (void)say(s, NC_SCP_GOOD, NULL);
    }
    int rc = nc_scp_out_flush(&s->out);
    if (rc != NACRE_OK &&
        rc != NACRE_CLOSED) { /* its end will be told, and its last words before */
        give_up(s, rc);
    }
    return s->error.status;
}

int nc_scp_sink_input(nc_scp_sink *s, nacre_span in)
{
    size_t n = in.n;
    int rc = s->error.status;
    while (in.n > 0 && rc == NACRE_OK) {
        rc = take(s, &in); /* what fails there is in s->error */
    }
    if (s->out.pipe.consumed && n > 0) {
        rc = s->out.pipe.consumed(s->out.pipe.ctx, n);
        if (rc != NACRE_OK) {
            give_up(s, rc);
        }
    }
    return s->error.status == NACRE_OK ? nc_scp_sink_flush(s) : s->error.status;
}

int nc_scp_sink_eof(nc_scp_sink *s)
{
    if (s->error.status != NACRE_OK) {
        return s->error.status;
    }
    if (s->state == STATE_LINE && s->blanks > 0 && !s->spoken) {
        (void)on_noise(s);
    } else if (s->state == STATE_LINE && s->line.total > 0) {
        (void)on_line(s); /* last words, cut short, or no scp at all */
    }
    if (s->error.status == NACRE_OK && s->state == STATE_STATUS && s->o.eof_ends_file) {
        (void)finish(s);
    }
    if (s->error.status == NACRE_OK && (s->state != STATE_LINE || s->depth > 0 || s->has_times)) {
        nc_fail(&s->error, NACRE_INCOMPLETE, "the other side ended in the middle of a %s",
                s->state == STATE_LINE ? "directory" : "file");
        s->error.by = NACRE_BY_PEER;
    }
    return s->error.status == NACRE_OK ? nc_scp_sink_flush(s) : s->error.status;
}
