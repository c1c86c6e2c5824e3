/*
 * scp_run.c - one remote scp: its command, its channel, its end, and how fast it may go.
 */
#include "client/scp.h"
#include "client/state.h"

#include <stdio.h>
#include <string.h>

enum {
    COMMAND_MAX = 64 * 1024,
    WINDOW_PACED = 2 * 1024 * 1024, /* a rate above it has no use for less */
    WINDOW_LEAST = 32 * 1024,
    CLOSE_MS = 10000, /* for a program that has all it wanted to end */
    RATE_STEP_MS = 20,
    RATE_BURST_MS = 250, /* what a pause may make up for */
    RATE_PIECE = 4096    /* less is not worth a packet */
};

/* ---- pace --------------------------------------------------------------------------------------------- */

static void give_back(nc_scp_run *r);

static void on_timer(void *user)
{
    nc_scp_run *r = user;
    r->timer = 0;
    give_back(r);
    if (r->source && r->verdict == NACRE_AGAIN) {
        int rc = nc_scp_source_flush(r->source);
        r->verdict = rc == NACRE_OK ? r->verdict : rc;
    }
    nacre_driver_kick(nacre_client_driver(r->s->c));
}

static void look_again(nc_scp_run *r)
{
    if (r->timer == 0 && nacre_loop_timer(nacre_client_loop(r->s->c), RATE_STEP_MS, on_timer, r,
                                          &r->timer) != NACRE_OK) {
        r->verdict = nc_fail(&r->s->err, NACRE_NO_MEMORY, "no memory for a timer");
    }
}

static void refill(nc_scp_run *r)
{
    uint64_t rate = r->s->o.rate, now = nacre_loop_now(nacre_client_loop(r->s->c));
    uint64_t gone = now - r->tokens_at;
    gone = gone < RATE_BURST_MS ? gone : RATE_BURST_MS;
    /* Times below what a token takes are not lost, but kept for the next look. */
    uint64_t more = rate / 1000 * gone + rate % 1000 * gone / 1000;
    if (more == 0) {
        return;
    }
    uint64_t most = rate / 1000 * RATE_BURST_MS + RATE_PIECE;
    r->tokens = r->tokens + more < most ? r->tokens + more : most;
    r->tokens_at = now;
}

size_t nc_scp_run_may(nc_scp_run *r, size_t want)
{
    if (r->s->o.rate == 0) {
        return want;
    }
    refill(r);
    size_t least = want < RATE_PIECE ? want : RATE_PIECE;
    if (r->tokens < least) {
        look_again(r);
        return 0;
    }
    size_t may = want < r->tokens ? want : (size_t)r->tokens;
    r->tokens -= may;
    return may;
}

/* Receiving is paced by the window: what is not given back cannot be sent. */
static void give_back(nc_scp_run *r)
{
    if (r->held_back == 0) {
        return;
    }
    size_t n = nc_scp_run_may(r, r->held_back < SIZE_MAX ? (size_t)r->held_back : SIZE_MAX);
    r->held_back -= n;
    if (n > 0) {
        (void)r->wire.consumed(r->wire.ctx, n);
    }
    if (r->held_back > 0) {
        look_again(r);
    }
}

/* ---- the machine's pipe: the channel, slower ------------------------------------------------------------ */

static int pipe_reserve(void *ctx, size_t want, nacre_room *rooms, size_t *count)
{
    nc_scp_run *r = ctx;
    return r->wire.reserve(r->wire.ctx, want, rooms, count);
}

static int pipe_commit(void *ctx, size_t n)
{
    nc_scp_run *r = ctx;
    r->activity += n;
    return r->wire.commit(r->wire.ctx, n);
}

static int pipe_write(void *ctx, const void *p, size_t n, size_t *took)
{
    nc_scp_run *r = ctx;
    int rc = r->wire.write(r->wire.ctx, p, n, took);
    r->activity += *took;
    return rc;
}

static int pipe_consumed(void *ctx, size_t n)
{
    nc_scp_run *r = ctx;
    if (r->s->o.rate == 0) {
        return r->wire.consumed(r->wire.ctx, n);
    }
    r->held_back += n;
    give_back(r);
    return NACRE_OK;
}

/* ---- events ------------------------------------------------------------------------------------------- */

static int machine_input(nc_scp_run *r, nacre_span bytes)
{
    if (r->join) {
        return r->lower ? nc_scp_join_replies(r->join, bytes) : nc_scp_join_input(r->join, bytes);
    }
    return r->source ? nc_scp_source_input(r->source, bytes) : nc_scp_sink_input(r->sink, bytes);
}

static int machine_flush(nc_scp_run *r)
{
    if (r->join) {
        return nc_scp_join_flush(r->join);
    }
    return r->source ? nc_scp_source_flush(r->source) : nc_scp_sink_flush(r->sink);
}

static int machine_eof(nc_scp_run *r)
{
    if (r->join) {
        return r->lower ? nc_scp_join_sink_eof(r->join) : nc_scp_join_eof(r->join);
    }
    return r->source ? nc_scp_source_eof(r->source) : nc_scp_sink_eof(r->sink);
}

/* Of two programs the one ends with the other, whichever was heard. */
static void conclude_both(nc_scp_run *r, int rc)
{
    nc_scp_run *sink = r->lower ? r : r->other;
    r->other->activity++;
    if (rc != NACRE_OK) {
        r->verdict = r->other->verdict = rc;
        (void)nacre_channel_close(r->ch);
        (void)nacre_channel_close(r->other->ch);
    } else if (nc_scp_join_over(r->join)) {
        r->verdict = r->other->verdict = NACRE_OK;
        (void)nacre_channel_eof(sink->ch);
    }
    nacre_driver_kick(nacre_client_driver(r->other->s->c));
}

/* After each step: has it failed, or is everything said? */
static void conclude(nc_scp_run *r, int rc)
{
    if (r->join) {
        conclude_both(r, rc);
    } else if (rc != NACRE_OK) {
        r->verdict = rc;
        (void)nacre_channel_close(r->ch);
    } else if (r->source && nc_scp_source_done(r->source)) {
        r->verdict = NACRE_OK;
        (void)nacre_channel_eof(r->ch); /* the program ends now */
    }
}

static void on_end(nc_scp_run *r)
{
    if (r->verdict == NACRE_AGAIN && r->join) {
        int rc = machine_eof(r);
        conclude_both(r, rc);
        if (rc == NACRE_OK && r->lower && r->verdict == NACRE_AGAIN) {
            r->verdict = r->other->verdict = NACRE_OK; /* it has said why, and takes no more */
            (void)nacre_channel_close(r->other->ch);
        }
        return;
    }
    if (r->verdict == NACRE_AGAIN) {
        r->verdict = machine_eof(r);
        (void)nacre_channel_eof(r->ch);
    }
}

/* The last words are the telling ones. */
static void keep_words(nc_scp_run *r, nacre_span bytes)
{
    size_t most = sizeof(r->words), n = bytes.n < most ? bytes.n : most;
    size_t old = r->words_len < most - n ? r->words_len : most - n;
    memmove(r->words, r->words + r->words_len - old, old);
    memcpy(r->words + old, bytes.p + bytes.n - n, n);
    r->words_len = old + n;
}

static void on_data(nc_scp_run *r, const nacre_event *ev)
{
    nacre_span bytes = ev->u.data.bytes;
    r->activity += bytes.n;
    if (ev->u.data.stream == NACRE_STDOUT && r->verdict == NACRE_AGAIN) {
        conclude(r, machine_input(r, bytes));
        return;
    }
    if (ev->u.data.stream == NACRE_STDERR) {
        keep_words(r, bytes);
        if (r->s->o.on_stderr) {
            r->s->o.on_stderr(r->s->o.user, bytes);
        }
    }
    (void)nacre_channel_consumed(r->ch, bytes.n);
}

static void keep_exit(nc_scp_run *r, const nacre_event *ev)
{
    if (ev->type == NACRE_EVENT_EXIT_STATUS) {
        r->exit.exited = true;
        r->exit.status = ev->u.exit.status;
    } else {
        (void)nacre_escape(r->exit.signal, sizeof(r->exit.signal), ev->u.exit.signal);
    }
}

static int on_event(void *user, const nacre_event *ev)
{
    nc_scp_run *r = user;
    switch (ev->type) {
    case NACRE_EVENT_CHANNEL_DATA:
        on_data(r, ev);
        break;
    case NACRE_EVENT_CHANNEL_WRITABLE:
        r->activity++;
        if (r->verdict == NACRE_AGAIN) {
            conclude(r, machine_flush(r));
        }
        break;
    case NACRE_EVENT_EXIT_STATUS:
    case NACRE_EVENT_EXIT_SIGNAL:
        keep_exit(r, ev);
        break;
    case NACRE_EVENT_CHANNEL_EOF:
        on_end(r);
        break;
    case NACRE_EVENT_CHANNEL_CLOSED:
        on_end(r);
        r->closed = true;
        break;
    case NACRE_EVENT_CHANNEL_REQUEST:
        if (ev->ticket) {
            (void)nacre_transport_refuse(nacre_channel_transport(r->ch), ev->ticket);
        }
        break;
    default:
        break;
    }
    return NACRE_AGAIN;
}

/* ---- beginning ---------------------------------------------------------------------------------------- */

static int make_command(const nacre_scp *s, const nc_scp_command *what, char *out, size_t size)
{
    const nacre_scp_options *o = &s->o;
    int n = snprintf(out, size, "%s%s%s%s%s -%c ", s->program, o->verbose ? " -v" : "",
                     o->recursive ? " -r" : "", what->preserve ? " -p" : "",
                     what->to_directory ? " -d" : "", what->direction);
    if (n < 0 || (size_t)n >= size) {
        return NACRE_TOO_LARGE;
    }
    return nacre_scp_quote(o->names, what->path, out + n, size - (size_t)n);
}

/* 0: one that grows with the link. */
static uint32_t window_of(const nacre_scp_options *o)
{
    if (o->window != 0 || o->rate == 0 || o->rate / 2 > WINDOW_PACED) {
        return o->window;
    }
    /* What is on the way already cannot be paced any more. */
    return o->rate / 2 < WINDOW_LEAST ? WINDOW_LEAST : (uint32_t)(o->rate / 2);
}

static int client_failed(nc_scp_run *r, int rc)
{
    r->s->err = *nacre_client_error(r->s->c);
    return nc_fail(&r->s->err, rc, "scp could not be started: %s", nacre_status_text(rc));
}

static int start(nc_scp_run *r, const char *command)
{
    nacre_client *c = r->s->c;
    int rc = nc_channels_open(c, "session", nc_span(NULL, 0), window_of(&r->s->o),
                              r->s->o.timeout_ms, &r->ch);
    if (rc == NACRE_OK) {
        if (r->s->o.window == 0 && r->s->o.rate == 0) {
            nacre_channel_window_cap(r->ch, 0);
        }
        rc = nacre_channel_exec(r->ch, nc_span_cstr(command), true);
        rc = rc == NACRE_OK ? nacre_client_wait_reply(c, r->ch, r->s->o.timeout_ms) : rc;
    }
    if (rc == NACRE_REQUEST_REFUSED) {
        return nc_fail(&r->s->err, rc, "the server refused to run \"%s\"",
                       NC_ESC(nc_span_cstr(command)));
    }
    return rc == NACRE_OK ? rc : client_failed(r, rc);
}

int nc_scp_run_open(nc_scp_run *r, nacre_scp *s, const nc_scp_command *what)
{
    memset(r, 0, sizeof(*r));
    r->s = s;
    r->verdict = NACRE_AGAIN;
    r->tokens_at = nacre_loop_now(nacre_client_loop(s->c));
    char *command = nc_alloc(s->alloc, COMMAND_MAX);
    if (!command) {
        return nc_fail(&s->err, NACRE_NO_MEMORY, "no memory for a command");
    }
    int rc = make_command(s, what, command, COMMAND_MAX);
    rc = rc == NACRE_OK ? start(r, command)
                        : nc_fail(&s->err, rc, "the remote path is too long for a command");
    nc_free(s->alloc, command);
    if (rc == NACRE_OK) {
        rc = nacre_pipe_from_channel(r->ch, &r->wire);
    }
    if (rc != NACRE_OK) {
        nc_scp_run_close(r);
        return rc;
    }
    r->pipe = (nacre_pipe){r, pipe_reserve, pipe_commit, pipe_write, pipe_consumed};
    return NACRE_OK;
}

bool nc_scp_run_pipelined(const nc_scp_run *r)
{
    static const char *const readers[] = {"SSH-2.0-OpenSSH_", "SSH-2.0-nacre_",
                                          "SSH-2.0-dropbear_"};
    const char *version = nacre_transport_peer_version(nacre_client_transport(r->s->c));
    for (size_t i = 0; i < sizeof(readers) / sizeof(readers[0]); i++) {
        if (strncmp(version, readers[i], strlen(readers[i])) == 0) {
            return true;
        }
    }
    return false;
}

/* ---- waiting ------------------------------------------------------------------------------------------ */

static int is_over(void *user)
{
    const nc_scp_run *r = user;
    if (r->verdict != NACRE_AGAIN && r->verdict != NACRE_OK && r->verdict != NACRE_INCOMPLETE) {
        return NACRE_OK; /* no reason to wait for its goodbye */
    }
    if (r->other && r->other->s->c->closed && r->verdict == NACRE_AGAIN) {
        return NACRE_CLOSED;
    }
    return r->closed ? NACRE_OK : NACRE_AGAIN;
}

static const nacre_error *machine_error(const nc_scp_run *r)
{
    if (r->join) {
        return nc_scp_join_error(r->join);
    }
    return r->source ? nc_scp_source_error(r->source) : nc_scp_sink_error(r->sink);
}

/* A program that ends in the middle has said why on its stderr, or by its status. */
static int explain(nc_scp_run *r, int rc, const char *what)
{
    char words[sizeof(r->words) * 4 + 1], end[64] = "";
    size_t n = r->words_len;
    while (n > 0 && (r->words[n - 1] == '\n' || r->words[n - 1] == '\r')) {
        n--;
    }
    size_t from = n; /* the last line */
    while (from > 0 && r->words[from - 1] != '\n') {
        from--;
    }
    nacre_escape(words, sizeof(words), nc_span(r->words + from, n - from));
    if (r->exit.exited) {
        snprintf(end, sizeof(end), " (status %u)", r->exit.status);
    } else if (r->exit.signal[0]) {
        snprintf(end, sizeof(end), " (signal %s)", r->exit.signal);
    }
    nc_fail(&r->s->err, rc, "%s%s%s%.600s", what, end, n > 0 ? ": " : "", n > 0 ? words : "");
    r->s->err.by = NACRE_BY_PEER;
    return rc;
}

static int judge(nc_scp_run *r)
{
    const nacre_error *why = machine_error(r);
    uint64_t told = r->join     ? nc_scp_join_failures(r->join)
                    : r->source ? nc_scp_source_failures(r->source)
                                : nc_scp_sink_failures(r->sink);
    if (r->verdict == NACRE_INCOMPLETE && why->by == NACRE_BY_PEER) {
        return explain(r, r->verdict, why->text);
    }
    if (r->verdict != NACRE_OK) {
        r->s->err = *why;
        return nc_fail(&r->s->err, r->verdict, "%s", nacre_status_text(r->verdict));
    }
    /* Having said nothing of a failure, it has failed. */
    bool failed = r->exit.signal[0] || (r->exit.exited && r->exit.status != 0);
    return failed && told == 0 ? explain(r, NACRE_SCP_REFUSED, "the remote scp failed") : NACRE_OK;
}

int nc_scp_run_listen(nc_scp_run *r)
{
    int rc = nacre_client_on_channel(r->s->c, r->ch, on_event, r);
    return rc == NACRE_OK ? rc : client_failed(r, rc);
}

int nc_scp_run_wait(nc_scp_run *r)
{
    nacre_scp *s = r->s;
    int rc = nacre_client_on_channel(s->c, r->ch, on_event, r);
    if (rc == NACRE_OK && r->verdict == NACRE_AGAIN) {
        conclude(r, machine_flush(r));
    }
    while (rc == NACRE_OK) {
        uint64_t seen = r->activity;
        bool through = r->verdict != NACRE_AGAIN;
        rc = nacre_client_run(s->c, is_over, r, through ? CLOSE_MS : s->o.timeout_ms);
        if (rc == NACRE_OK) {
            return judge(r);
        }
        if (rc == NACRE_TIMEOUT && through) { /* some devices never close */
            return judge(r);
        }
        if (rc == NACRE_TIMEOUT && (r->verdict != NACRE_AGAIN || r->activity != seen)) {
            rc = NACRE_OK;
        }
    }
    bool other = rc == NACRE_CLOSED && r->other && r->other->s->c->closed;
    s->err = other ? r->other->s->c->why : *nacre_client_error(s->c);
    return nc_fail(&s->err, rc, "%s", nacre_status_text(rc));
}

void nc_scp_run_close(nc_scp_run *r)
{
    nacre_client *c = r->s->c;
    if (r->timer) {
        nacre_loop_cancel(nacre_client_loop(c), r->timer);
        r->timer = 0;
    }
    if (r->ch) {
        (void)nacre_client_on_channel(c, r->ch, NULL, NULL);
        nacre_client_channel_free(c, r->ch);
        r->ch = NULL;
    }
    nc_scp_source_free(r->source);
    nc_scp_sink_free(r->sink);
    r->source = NULL;
    r->sink = NULL;
}
