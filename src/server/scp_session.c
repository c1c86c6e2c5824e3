/*
 * scp_session.c - the server's half of a copy by scp on a session channel, and the exit status that the
 * client's half waits for.
 */
#include "server/server.h"

#include "io/scp_files.h"
#include "server/scp_command.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

enum {
    EXIT_OK = 0,
    EXIT_FAILED = 1,
    DEPTH = 256 /* a descriptor each */
};

struct nc_scp_session {
    nc_chan *k;
    nc_scp_args args;
    int at; /* where relative paths begin */
    nc_scp_source *source;
    nc_scp_tree *tree;
    nc_scp_sink *sink;
    nc_scp_place *place;
    nacre_error refused; /* the target will not do */
    uint64_t timer;
    bool over;
};

void nc_scp_drop(nc_chan *k)
{
    nc_scp_session *s = k->scp;
    if (!s) {
        return;
    }
    k->scp = NULL;
    if (s->timer) {
        nacre_loop_cancel(k->conn->server->loop, s->timer);
    }
    nc_scp_source_free(s->source);
    nc_scp_tree_free(s->tree);
    nc_scp_sink_free(s->sink);
    nc_scp_place_free(s->place);
    nc_scp_args_clear(&s->args);
    if (s->at >= 0) {
        close(s->at);
    }
    nc_free(k->conn->server->alloc, s);
}

/* ---- the end ------------------------------------------------------------------------------------------ */

static void finish(nc_scp_session *s, uint32_t status)
{
    if (s->over) {
        return;
    }
    s->over = true;
    (void)nacre_channel_eof(s->k->ch);
    /* When the engine is over, it says so itself. */
    int rc = nacre_channel_exit_status(s->k->ch, status);
    (void)rc;
    (void)nacre_channel_close(s->k->ch);
    nacre_driver_kick(s->k->conn->driver);
}

static void conclude(nc_scp_session *s, int rc)
{
    const nacre_error *why =
        s->source ? nc_scp_source_error(s->source) : nc_scp_sink_error(s->sink);
    uint64_t failures =
        s->source ? nc_scp_source_failures(s->source) : nc_scp_sink_failures(s->sink);
    bool done = s->source ? nc_scp_source_done(s->source) : s->k->eof && nc_scp_sink_idle(s->sink);
    if (rc != NACRE_OK) {
        nc_logf(&s->k->conn->server->log, NACRE_LOG_INFO, "scp: %s",
                why->text[0] ? why->text : nacre_status_text(rc));
        finish(s, EXIT_FAILED);
    } else if (done) {
        finish(s, failures ? EXIT_FAILED : EXIT_OK);
    }
}

/* ---- events ------------------------------------------------------------------------------------------- */

static void flush(nc_scp_session *s)
{
    if (!s->over) {
        conclude(s, s->source ? nc_scp_source_flush(s->source) : nc_scp_sink_flush(s->sink));
    }
}

static void on_eof(nc_scp_session *s)
{
    if (!s->over && s->timer == 0) {
        conclude(s, s->source ? nc_scp_source_eof(s->source) : nc_scp_sink_eof(s->sink));
    }
}

/* After the request was answered: only then is there a place for the first word. */
static void on_begin(void *user)
{
    nc_scp_session *s = user;
    s->timer = 0;
    if (s->sink && s->refused.status != NACRE_OK && !s->over) {
        nc_scp_sink_refuse(s->sink, &s->refused);
        conclude(s, s->refused.status);
        return;
    }
    if (s->k->eof) {
        on_eof(s); /* first: an end in the middle is no success */
    } else {
        flush(s);
    }
    nacre_driver_kick(s->k->conn->driver);
}

static void on_data(nc_scp_session *s, const nacre_event *ev)
{
    nacre_span bytes = ev->u.data.bytes;
    if (ev->u.data.stream != NACRE_STDOUT || s->over || s->refused.status != NACRE_OK) {
        (void)nacre_channel_consumed(s->k->ch, bytes.n);
        return;
    }
    conclude(s,
             s->source ? nc_scp_source_input(s->source, bytes) : nc_scp_sink_input(s->sink, bytes));
}

bool nc_scp_event(nc_chan *k, const nacre_event *ev)
{
    switch (ev->type) {
    case NACRE_EVENT_CHANNEL_DATA:
        on_data(k->scp, ev);
        return true;
    case NACRE_EVENT_CHANNEL_WRITABLE:
        if (k->scp->timer == 0) {
            flush(k->scp);
        }
        return true;
    case NACRE_EVENT_CHANNEL_EOF:
        on_eof(k->scp);
        return true;
    case NACRE_EVENT_CHANNEL_CLOSED:
        nc_chan_over(k);
        return true;
    default:
        return false;
    }
}

/* ---- the beginning ------------------------------------------------------------------------------------ */

/* Who reads line by line, as scp programs do; others get one line at a time. */
static bool reads_lines(nacre_server_conn *c)
{
    static const char *const readers[] = {"SSH-2.0-OpenSSH_", "SSH-2.0-nacre_",
                                          "SSH-2.0-dropbear_"};
    const char *version = nacre_transport_peer_version(c->t);
    for (size_t i = 0; i < sizeof(readers) / sizeof(readers[0]); i++) {
        if (strncmp(version, readers[i], strlen(readers[i])) == 0) {
            return true;
        }
    }
    return false;
}

static int start_source(nc_scp_session *s, const nacre_pipe *pipe)
{
    nacre_server_conn *c = s->k->conn;
    nc_scp_tree_options to = {.allocator = c->server->alloc,
                              .at = s->at,
                              .paths = (const char *const *)s->args.paths,
                              .count = s->args.count,
                              .recursive = s->args.recursive,
                              .preserve = s->args.preserve,
                              .max_depth = DEPTH};
    nc_scp_source_options so = {
        .allocator = c->server->alloc, .pipelined = reads_lines(c), .pad_max = UINT64_MAX};
    int rc = nc_scp_tree_new(&s->tree, &to);
    return rc == NACRE_OK ? nc_scp_source_new(&s->source, pipe, &nc_scp_tree_ops, s->tree, &so)
                          : rc;
}

static int start_sink(nc_scp_session *s, const nacre_pipe *pipe, int mask)
{
    const nacre_allocator *alloc = s->k->conn->server->alloc;
    nc_scp_place_options po = {.allocator = alloc,
                               .at = s->at,
                               .target = s->args.paths[0],
                               .to_directory = s->args.to_directory,
                               .preserve = s->args.preserve,
                               .keep_special = s->args.preserve, /* it is the user's own wish */
                               .umask = mask,
                               .never_waits = true};
    nc_scp_sink_options so = {.allocator = alloc,
                              .recursive = s->args.recursive,
                              .controls = true,
                              .eof_ends_file = true,
                              .max_depth = DEPTH};
    int rc = nc_scp_place_new(&s->place, &po, &s->refused);
    if (rc == NACRE_NO_MEMORY) {
        return rc;
    }
    return nc_scp_sink_new(&s->sink, pipe, &nc_scp_place_ops, s->place, &so);
}

static int start(nc_scp_session *s, const char *directory, int mask)
{
    nacre_pipe pipe;
    s->at = open(directory, O_PATH | O_DIRECTORY | O_CLOEXEC);
    int rc = s->at >= 0 ? nacre_pipe_from_channel(s->k->ch, &pipe) : NACRE_IO;
    if (rc == NACRE_OK) {
        rc = s->args.source ? start_source(s, &pipe) : start_sink(s, &pipe, mask);
    }
    if (rc == NACRE_OK) {
        rc = nacre_loop_timer(s->k->conn->server->loop, 0, on_begin, s, &s->timer);
    }
    return rc;
}

void nacre_server_scp_options_init(nacre_server_scp_options *o)
{
    memset(o, 0, sizeof(*o));
    o->size = sizeof(*o);
    o->umask = -1;
}

int nacre_server_scp(nacre_server_conn *c, nacre_channel *ch, const char *command,
                     const nacre_server_scp_options *options, nacre_error *err)
{
    nc_error_clear(err);
    nacre_server_scp_options o;
    nc_chan *k = nc_chan_find(c, ch);
    nacre_server_scp_options_init(&o);
    if (options) {
        memcpy(&o, options, options->size < sizeof(o) ? options->size : sizeof(o));
    }
    o.start = o.start ? o.start : ".";
    if (!k || k->closed || (k->work != NC_WORK_NONE && k->work != NC_WORK_OTHER)) {
        return nc_fail(err, NACRE_WRONG_STATE, "this channel cannot serve scp");
    }
    nc_scp_session *s = nc_zalloc(c->server->alloc, sizeof(*s));
    if (!s) {
        return nc_fail(err, NACRE_NO_MEMORY, "no memory for scp");
    }
    s->k = k;
    s->at = -1;
    k->scp = s;
    int rc = nc_scp_args_parse(&s->args, command, o.start, o.home, c->server->alloc);
    rc = rc == NACRE_OK ? start(s, o.start, o.umask) : rc;
    if (rc != NACRE_OK) {
        nc_scp_drop(k);
        return nc_fail(err, rc, "cannot serve scp: %s",
                       rc == NACRE_UNSUPPORTED ? "not a command of an scp client"
                                               : nacre_status_text(rc));
    }
    k->work = NC_WORK_SCP;
    return NACRE_OK;
}
