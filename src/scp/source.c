/*
 * source.c - the sending machine: what may be said next, what is awaited, and the data between.
 */
#include "scp/source.h"

#include "scp/talk.h"

#include <string.h>

enum {
    /* What is unanswered at most: the end of a file, some directories' ends, times, the next file. */
    AWAITED_MAX = 16,
    ROOMS = 16,
    PIECE = 256 * 1024, /* asked of the pipe at once */
    SMALL = 32 * 1024   /* through memory of our own, when the pipe does not lend */
};

typedef enum state {
    STATE_NEXT = 0, /* something may be announced */
    STATE_HELD,     /* a line waits for earlier replies */
    STATE_VERDICT,  /* announced: its reply decides */
    STATE_DATA,
    STATE_DONE
} state;

/* What a reply is about. */
typedef enum about { ABOUT_START, ABOUT_TIMES, ABOUT_THING, ABOUT_DATA, ABOUT_LEAVE } about;

struct nc_scp_source {
    const nacre_allocator *alloc;
    nc_scp_source_ops ops;
    void *user;
    nc_scp_source_options o;
    nc_scp_out out;
    state state;
    about awaited[AWAITED_MAX]; /* a ring */
    size_t first, count;
    char held[NC_SCP_LINE_MAX];
    size_t held_len;
    nc_scp_record now;  /* announced, or being sent */
    nc_scp_record sent; /* the file whose end is not answered yet: there is never more than one */
    nacre_error sent_why;
    uint64_t left; /* of the data of now */
    bool padding;
    nacre_error now_why;
    uint8_t *small;
    uint8_t code; /* of a reply whose words are coming */
    bool in_words;
    nc_scp_words words;
    uint64_t failures;
    nacre_error error;
};

/* ---- life --------------------------------------------------------------------------------------------- */

static void await(nc_scp_source *s, about a)
{
    s->awaited[(s->first + s->count++) % AWAITED_MAX] = a;
}

int nc_scp_source_new(nc_scp_source **out, const nacre_pipe *pipe, const nc_scp_source_ops *ops,
                      void *user, const nc_scp_source_options *o)
{
    nc_scp_source *s = nc_zalloc(o->allocator, sizeof(*s));
    *out = s;
    if (!s) {
        return NACRE_NO_MEMORY;
    }
    s->alloc = o->allocator;
    s->ops = *ops;
    s->user = user;
    s->o = *o;
    nc_scp_out_init(&s->out, pipe, s->alloc);
    s->state = STATE_VERDICT;
    await(s, ABOUT_START);
    return NACRE_OK;
}

void nc_scp_source_free(nc_scp_source *s)
{
    if (s) {
        nc_scp_out_clear(&s->out);
        nc_free(s->alloc, s->small);
        nc_free(s->alloc, s);
    }
}

bool nc_scp_source_done(const nc_scp_source *s)
{
    return s->state == STATE_DONE && s->count == 0 && !s->in_words && !nc_scp_out_waits(&s->out);
}

uint64_t nc_scp_source_failures(const nc_scp_source *s)
{
    return s->failures;
}

const nacre_error *nc_scp_source_error(const nc_scp_source *s)
{
    return &s->error;
}

/* ---- what is said ------------------------------------------------------------------------------------- */

static void note(nc_scp_source *s, const char *text)
{
    s->failures++;
    if (s->ops.note) {
        s->ops.note(s->user, text);
    }
}

static int push_line(nc_scp_source *s, const nc_scp_record *r, about a)
{
    char line[NC_SCP_LINE_MAX];
    size_t n = nc_scp_format(r, line);
    await(s, a);
    return nc_scp_out_push(&s->out, line, n);
}

/* FILE and DIR: their line is kept until it may go. */
static int hold(nc_scp_source *s, const nc_scp_record *r)
{
    int rc = NACRE_OK;
    s->now = *r;
    nc_error_clear(&s->now_why);
    if (!nc_scp_name_ok(r->name, true)) {
        nc_fail(&s->now_why, NACRE_INVALID_ARGUMENT,
                "%s: no name that this protocol can carry (a newline in it?)", NC_ESC(r->name));
        s->ops.over(s->user, r, &s->now_why);
        s->failures++;
        return nc_scp_out_words(&s->out, NC_SCP_WARNING, s->now_why.text);
    }
    if (r->st.has_times) {
        nc_scp_record t = *r;
        t.kind = NC_SCP_TIMES;
        rc = push_line(s, &t, ABOUT_TIMES);
    }
    s->held_len = nc_scp_format(r, s->held);
    s->state = STATE_HELD;
    return rc;
}

static int say_held(nc_scp_source *s)
{
    s->state = STATE_VERDICT;
    await(s, ABOUT_THING);
    return nc_scp_out_push(&s->out, s->held, s->held_len);
}

static int say_next(nc_scp_source *s)
{
    nc_scp_record r;
    nacre_error why = {.status = NACRE_OK};
    memset(&r, 0, sizeof(r));
    int rc = s->ops.next(s->user, &r, &why);
    if (rc != NACRE_OK) {
        return nc_fail(&s->error, rc, "%s", why.text[0] ? why.text : nacre_status_text(rc));
    }
    switch (r.kind) {
    case NC_SCP_FILE:
    case NC_SCP_DIR:
        return hold(s, &r);
    case NC_SCP_LEAVE:
        return push_line(s, &r, ABOUT_LEAVE);
    case NC_SCP_NOTE:
        s->failures++;
        return nc_scp_out_words(&s->out, NC_SCP_WARNING, why.text);
    default:
        s->state = STATE_DONE;
        return NACRE_OK;
    }
}

/* ---- data --------------------------------------------------------------------------------------------- */

/* All of it is out: what was wrong with it, or a zero byte. */
static int say_end_of_data(nc_scp_source *s)
{
    static const uint8_t good = NC_SCP_GOOD;
    s->sent = s->now;
    s->sent.name = nc_span(NULL, 0); /* next may overwrite it */
    s->sent_why = s->now_why;
    s->state = STATE_NEXT;
    await(s, ABOUT_DATA);
    return s->now_why.status == NACRE_OK
               ? nc_scp_out_push(&s->out, &good, 1)
               : nc_scp_out_words(&s->out, NC_SCP_WARNING, s->now_why.text);
}

static int became_short(nc_scp_source *s, int rc, const nacre_error *why)
{
    s->now_why = *why;
    if (s->now_why.status == NACRE_OK) {
        nc_fail(&s->now_why, rc == NACRE_OK ? NACRE_INCOMPLETE : rc,
                "%s: %llu bytes are missing at the end", NC_ESC(s->now.name),
                (unsigned long long)s->left);
    }
    if (s->left > s->o.pad_max) {
        s->error = s->now_why;
        return s->now_why.status;
    }
    s->padding = true;
    return NACRE_OK;
}

static size_t fill_zeros(const nacre_room *rooms, size_t count, size_t want)
{
    size_t done = 0;
    for (size_t i = 0; i < count && done < want; i++) {
        size_t n = rooms[i].n < want - done ? rooms[i].n : want - done;
        memset(rooms[i].p, 0, n);
        done += n;
    }
    return done;
}

/* Into rooms; *got 0 and NACRE_AGAIN: none now. */
static int read_into(nc_scp_source *s, const nacre_room *rooms, size_t count, size_t want,
                     size_t *got)
{
    nacre_error why = {.status = NACRE_OK};
    *got = 0;
    if (s->padding) {
        *got = fill_zeros(rooms, count, want);
        return NACRE_OK;
    }
    int rc = s->ops.read(s->user, rooms, count, want, got, &why);
    if (rc == NACRE_AGAIN) {
        return rc;
    }
    if (rc == NACRE_CANCELLED) {
        return nc_fail(&s->error, rc, "%s", why.text[0] ? why.text : nacre_status_text(rc));
    }
    if (rc != NACRE_OK || *got == 0) {
        *got = 0;
        rc = became_short(s, rc, &why);
        return rc == NACRE_OK ? NACRE_AGAIN : rc;
    }
    *got = *got < want ? *got : want;
    return NACRE_OK;
}

static size_t piece_of(const nc_scp_source *s, size_t most)
{
    return s->left < most ? (size_t)s->left : most;
}

/* Reads right into the pipe's output. */
static int send_lent(nc_scp_source *s, bool *blocked)
{
    nacre_room rooms[ROOMS];
    size_t count = ROOMS, room = 0, got = 0;
    nacre_pipe *p = &s->out.pipe;
    int rc = p->reserve(p->ctx, piece_of(s, PIECE), rooms, &count);
    if (rc != NACRE_OK || count == 0) {
        *blocked = true;
        return rc;
    }
    for (size_t i = 0; i < count; i++) {
        room += rooms[i].n;
    }
    bool was_padding = s->padding;
    int read = read_into(s, rooms, count, piece_of(s, room), &got);
    rc = p->commit(p->ctx, got);
    if (read == NACRE_AGAIN) {
        *blocked = was_padding == s->padding; /* padding begins at once */
        read = NACRE_OK;
    }
    s->left -= got;
    return read != NACRE_OK ? read : rc;
}

/* A pipe without rooms of its own: what it does not take at once waits in the queue. */
static int send_copied(nc_scp_source *s, bool *blocked)
{
    size_t got = 0;
    if (!s->small) {
        s->small = nc_alloc(s->alloc, SMALL);
    }
    if (!s->small) {
        return nc_fail(&s->error, NACRE_NO_MEMORY, "no memory for a file's data");
    }
    nacre_room room = {s->small, SMALL};
    bool was_padding = s->padding;
    int rc = read_into(s, &room, 1, piece_of(s, SMALL), &got);
    if (rc == NACRE_AGAIN) {
        *blocked = was_padding == s->padding;
        return NACRE_OK;
    }
    if (rc == NACRE_OK) {
        rc = nc_scp_out_push(&s->out, s->small, got);
        s->left -= got;
    }
    return rc;
}

static int send_data(nc_scp_source *s, bool *blocked)
{
    if (s->left == 0) {
        return say_end_of_data(s);
    }
    return s->out.pipe.reserve ? send_lent(s, blocked) : send_copied(s, blocked);
}

/* ---- going on ----------------------------------------------------------------------------------------- */

/* One thing done, or *blocked. */
static int step(nc_scp_source *s, bool *blocked)
{
    int rc = nc_scp_out_flush(&s->out);
    if (rc != NACRE_OK || nc_scp_out_waits(&s->out)) {
        *blocked = true;
        return rc;
    }
    /* Room for times and the thing itself must be left in the ring. */
    bool may = s->o.pipelined ? s->count + 3 <= AWAITED_MAX : s->count == 0;
    switch (s->state) {
    case STATE_NEXT:
        *blocked = !may;
        return may ? say_next(s) : NACRE_OK;
    case STATE_HELD:
        *blocked = !may;
        return may ? say_held(s) : NACRE_OK;
    case STATE_DATA:
        return send_data(s, blocked);
    default:
        *blocked = true;
        return NACRE_OK;
    }
}

static int pump(nc_scp_source *s)
{
    bool blocked = false;
    while (s->error.status == NACRE_OK && !blocked) {
        int rc = step(s, &blocked);
        if (rc == NACRE_CLOSED) {
            break; /* its end will be told, and its last words before */
        }
        if (rc != NACRE_OK) {
            nc_fail(&s->error, rc, "copying ended: %s", nacre_status_text(rc));
        }
    }
    return s->error.status;
}

int nc_scp_source_flush(nc_scp_source *s)
{
    return s->error.status == NACRE_OK ? pump(s) : s->error.status;
}

/* ---- replies ------------------------------------------------------------------------------------------ */

static int refused(nc_scp_source *s, int status, const char *text)
{
    nc_fail(&s->error, status, "%s", text);
    s->error.by = NACRE_BY_PEER;
    return status;
}

/* The peer has spoken about what was announced. */
static void verdict(nc_scp_source *s, const nacre_error *why)
{
    bool yes = why->status == NACRE_OK;
    s->state = STATE_NEXT;
    if (yes && s->now.kind == NC_SCP_FILE) {
        s->left = s->now.st.size;
        s->padding = false;
        s->state = STATE_DATA;
        return;
    }
    s->failures += yes ? 0 : 1;
    s->ops.over(s->user, &s->now, why);
}

static void answered(nc_scp_source *s, about a, const nacre_error *why)
{
    switch (a) {
    case ABOUT_START:
        s->state = STATE_NEXT;
        if (why->status != NACRE_OK) { /* the target will not do: it has ended already */
            (void)refused(s, why->status, why->text);
        }
        break;
    case ABOUT_THING:
        verdict(s, why);
        break;
    case ABOUT_DATA:
        if (s->sent_why.status == NACRE_OK) {
            s->sent_why = *why;
        }
        s->failures += s->sent_why.status == NACRE_OK ? 0 : 1;
        s->ops.over(s->user, &s->sent, &s->sent_why);
        break;
    default: /* times that could not be set, a directory's mode */
        if (why->status != NACRE_OK) {
            note(s, why->text);
        }
        break;
    }
}

static int reply(nc_scp_source *s, int code, const char *text)
{
    nacre_error why = {.status = NACRE_OK};
    if (code == NC_SCP_FATAL) {
        return refused(s, NACRE_SCP_REFUSED, text);
    }
    if (s->count == 0) {
        if (code == NC_SCP_GOOD) {
            return refused(s, NACRE_SCP_PROTOCOL, "the remote scp answered what was not asked");
        }
        note(s, text);
        return NACRE_OK;
    }
    if (code == NC_SCP_WARNING) {
        nc_fail(&why, NACRE_SCP_REFUSED, "%s", text);
        why.by = NACRE_BY_PEER;
    }
    about a = s->awaited[s->first];
    s->first = (s->first + 1) % AWAITED_MAX;
    s->count--;
    answered(s, a, &why);
    return s->error.status;
}

static int take_words(nc_scp_source *s, nacre_span *in)
{
    char text[640];
    bool whole = nc_scp_words_take(&s->words, in);
    if (s->words.total > NC_SCP_WORDS_MAX) {
        return refused(s, NACRE_SCP_PROTOCOL, "the remote scp sent a message without an end");
    }
    if (!whole) {
        return NACRE_OK;
    }
    if (s->code > NC_SCP_FATAL && nc_scp_words_blank(&s->words)) {
        s->words.len = 0; /* the next line may say whose words they are */
        s->words.total++;
        return NACRE_OK;
    }
    s->in_words = false;
    nc_scp_words_show(&s->words, text, sizeof(text));
    if (s->code > NC_SCP_FATAL) {
        nc_fail(&s->error, NACRE_SCP_PROTOCOL,
                "the server said \"%s\" where scp answers (does the remote shell print something?)",
                text);
        return NACRE_SCP_PROTOCOL;
    }
    return reply(s, s->code, text);
}

static int take_reply(nc_scp_source *s, nacre_span *in)
{
    if (s->in_words) {
        return take_words(s, in);
    }
    s->code = in->p[0];
    s->words.len = s->words.total = 0;
    if (s->code <= NC_SCP_FATAL) {
        *in = nc_span(in->p + 1, in->n - 1);
    }
    s->in_words = s->code != NC_SCP_GOOD; /* an unknown one is part of what it says */
    return s->in_words ? NACRE_OK : reply(s, NC_SCP_GOOD, "");
}

int nc_scp_source_input(nc_scp_source *s, nacre_span in)
{
    size_t n = in.n;
    while (in.n > 0 && s->error.status == NACRE_OK) {
        if (take_reply(s, &in) == NACRE_OK && !s->in_words) {
            (void)pump(s);
        }
    }
    if (s->out.pipe.consumed && n > 0) {
        int rc = s->out.pipe.consumed(s->out.pipe.ctx, n);
        if (rc != NACRE_OK) {
            nc_fail(&s->error, rc, "copying ended: %s", nacre_status_text(rc));
        }
    }
    return s->error.status;
}

int nc_scp_source_eof(nc_scp_source *s)
{
    if (s->error.status == NACRE_OK && !nc_scp_source_done(s)) {
        if (s->in_words) { /* last words, cut short */
            char text[640];
            nc_scp_words_show(&s->words, text, sizeof(text));
            return refused(s, NACRE_SCP_REFUSED, text);
        }
        (void)refused(s, NACRE_INCOMPLETE, "the remote scp ended before all was copied");
    }
    return s->error.status;
}
