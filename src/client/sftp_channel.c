/*
 * sftp_channel.c - a session over a channel of a client: the subsystem (or a command), its data, and
 * what its program says on stderr.
 */
#include "channel/mux.h"
#include "client/sftp_session.h"
#include "client/state.h"

#include <stdio.h>
#include <string.h>

enum {
    /* The machine's least WRITE, and the longest header before it. */
    ENOUGH = 32 * 1024 + 512,
    /*
     * Receive windows at first; they grow with the link. What a server of ours keeps for us is bounded
     * by its output, not by our window: twice what a transfer has on the way never stops it. OpenSSH's
     * sshd collects up to a whole window from its sftp-server in a buffer that it moves as it grows:
     * behind 2 MiB it becomes slower, not faster, unless the link needs it.
     */
    WINDOW_OURS = 8 * 1024 * 1024,
    WINDOW_OTHERS = 2 * 1024 * 1024,
    /*
     * With so wide a window all that was asked for may lie in the sockets, and what a near server has
     * no need to send yet is only colder when we read it: a fifth more processor time for 4 MiB.
     */
    NEAR_MS = 5,
    NEAR_AHEAD = 2 * 1024 * 1024
};

typedef struct channel_wire {
    const nacre_allocator *alloc;
    nacre_sftp *s;
    nacre_client *c;
    nacre_channel *ch;
    void (*on_stderr)(void *user, nacre_span text);
    void *user;
    bool ended;
    bool wide; /* the window is no bound to what a transfer has on the way */
} channel_wire;

static void on_data(channel_wire *w, const nacre_event *ev)
{
    nacre_span bytes = ev->u.data.bytes;
    if (ev->u.data.stream == NACRE_STDOUT) {
        nc_sftp_feed(w->s, bytes); /* the machine gives the window back */
        return;
    }
    if (w->on_stderr) {
        w->on_stderr(w->user, bytes);
    }
    (void)nacre_channel_consumed(w->ch, bytes.n);
}

/*
 * The machine refuses crumbs, the channel offers what it has: asking again at each offer would go round
 * for ever. While replies are outstanding each of them asks again, so a small offer can be let pass.
 */
static void on_writable(channel_wire *w)
{
    nacre_sftp_engine *e = w->s->engine;
    bool queued = nacre_sftp_engine_wants_write(e);
    if (queued || nacre_sftp_engine_outstanding(e) == 0 ||
        nacre_channel_write_room(w->ch) >= ENOUGH) {
        nc_sftp_writable(w->s);
    }
}

static void keep_exit(channel_wire *w, const nacre_event *ev)
{
    char *text = w->s->ended;
    size_t size = sizeof(w->s->ended);
    if (ev->type == NACRE_EVENT_EXIT_STATUS) {
        snprintf(text, size, "its program exited with status %u", ev->u.exit.status);
    } else {
        char name[32];
        nacre_escape(name, sizeof(name), ev->u.exit.signal);
        snprintf(text, size, "its program was ended by signal %s", name);
    }
}

static int on_event(void *user, const nacre_event *ev)
{
    channel_wire *w = user;
    switch (ev->type) {
    case NACRE_EVENT_CHANNEL_DATA:
        on_data(w, ev);
        break;
    case NACRE_EVENT_CHANNEL_WRITABLE:
        on_writable(w);
        break;
    case NACRE_EVENT_EXIT_STATUS:
    case NACRE_EVENT_EXIT_SIGNAL:
        keep_exit(w, ev);
        break;
    case NACRE_EVENT_CHANNEL_CLOSED:
        if (!w->ended) {
            w->ended = true;
            nc_sftp_lost(w->s);
        }
        break;
    case NACRE_EVENT_CHANNEL_EOF:
        /* The status follows, as a rule; closing our side too makes the end come. */
        (void)nacre_channel_close(w->ch);
        break;
    case NACRE_EVENT_CHANNEL_REQUEST:
        if (ev->ticket) {
            (void)nacre_transport_refuse(nacre_channel_transport(w->ch), ev->ticket);
        }
        break;
    default:
        break;
    }
    return NACRE_AGAIN;
}

static int channel_run(void *ctx, int (*done)(void *user), void *user, uint32_t timeout_ms,
                       nacre_error *err)
{
    channel_wire *w = ctx;
    int rc = nacre_client_run(w->c, done, user, timeout_ms);
    if (rc != NACRE_OK) {
        *err = *nacre_client_error(w->c);
    }
    return rc;
}

static void channel_push(void *ctx)
{
    channel_wire *w = ctx;
    if (w->c->t && !w->c->closed) {
        nc_client_push(w->c);
    }
}

static void channel_cancel(void *ctx)
{
    nacre_client_cancel(((channel_wire *)ctx)->c);
}

static void channel_free(void *ctx)
{
    channel_wire *w = ctx;
    if (w->ch) {
        nacre_client_on_channel(w->c, w->ch, NULL, NULL);
        nacre_client_channel_free(w->c, w->ch);
    }
    nc_free(w->alloc, w);
}

static const nc_sftp_wire channel_functions = {channel_run, channel_push, channel_cancel,
                                               channel_free};

static int ask_program(channel_wire *w, const nacre_sftp_options *o)
{
    const char *name = o->subsystem ? o->subsystem : "sftp";
    int rc = o->command ? nacre_channel_exec(w->ch, nc_span_cstr(o->command), true)
                        : nacre_channel_subsystem(w->ch, name, true);
    return rc == NACRE_OK ? nacre_client_wait_reply(w->c, w->ch, o->timeout_ms) : rc;
}

bool nc_sftp_takes_early(const char *peer_version)
{
    static const char openssh[] = "SSH-2.0-OpenSSH_";
    static const char ours[] = "SSH-2.0-nacre_";
    return strncmp(peer_version, openssh, sizeof(openssh) - 1) == 0 ||
           strncmp(peer_version, ours, sizeof(ours) - 1) == 0;
}

uint32_t nc_sftp_window(const nacre_sftp_options *o, const char *peer_version)
{
    static const char ours[] = "SSH-2.0-nacre_";
    if (o->window != 0) {
        return o->window;
    }
    return strncmp(peer_version, ours, sizeof(ours) - 1) == 0 ? WINDOW_OURS : WINDOW_OTHERS;
}

static int open_channel(channel_wire *w, const nacre_sftp_options *o, nacre_error *err)
{
    nacre_transport *t = nacre_client_transport(w->c);
    uint32_t window = nc_sftp_window(o, t ? nacre_transport_peer_version(t) : "");
    w->wide = window > NC_SFTP_IN_FLIGHT;
    int rc = nc_channels_open(w->c, "session", nc_span(NULL, 0), window, o->timeout_ms, &w->ch);
    if (rc != NACRE_OK) {
        *err = *nacre_client_error(w->c);
        return rc;
    }
    if (o->window == 0) {
        nacre_channel_window_cap(w->ch, 0);
    }
    rc = ask_program(w, o);
    if (rc == NACRE_REQUEST_REFUSED) {
        return nc_fail(err, rc, "the server does not offer SFTP (subsystem '%s' was refused)",
                       o->command     ? o->command
                       : o->subsystem ? o->subsystem
                                      : "sftp");
    }
    if (rc != NACRE_OK) {
        *err = *nacre_client_error(w->c);
    }
    return rc;
}

/*
 * How far it is was seen when the channel was opened. What comes with VERSION does not tell: the server's
 * program has just been started.
 */
static void know_link(channel_wire *w)
{
    nacre_channel_info info;
    nacre_channel_get_info(w->ch, &info);
    if (info.round_trip_ms != UINT32_MAX) {
        nc_sftp_depth_known(&w->s->depth, info.round_trip_ms);
        nc_window_for_bulk(w->ch);
    }
}

static int start(channel_wire *w, const nacre_sftp_options *o, nacre_sftp **out, nacre_error *err)
{
    nacre_pipe pipe;
    nacre_sftp *s = NULL;
    int rc = nacre_pipe_from_channel(w->ch, &pipe);
    if (rc == NACRE_OK) {
        rc = nc_sftp_new(&s, o, &pipe, err);
    }
    if (rc != NACRE_OK) {
        return rc;
    }
    w->s = s;
    nacre_transport *t = nacre_client_transport(w->c);
    const char *version = t ? nacre_transport_peer_version(t) : "";
    nacre_sftp_engine_set_draft_symlink(s->engine, nc_sftp_draft_symlink(version));
    s->eager = nc_sftp_takes_early(version);
    rc = nacre_client_on_channel(w->c, w->ch, on_event, w);
    if (rc == NACRE_OK) {
        s->wire = &channel_functions;
        s->wire_ctx = w;
        know_link(w);
        rc = nc_sftp_start(s);
        if (w->wide && s->depth.round_trip_ms < NEAR_MS) {
            s->read_ahead = NEAR_AHEAD;
            nc_sftp_depth_start(&s->depth, NEAR_AHEAD);
        }
        s->wire = NULL; /* on failure the caller frees it */
        *err = s->error;
    }
    if (rc != NACRE_OK) {
        nacre_client_on_channel(w->c, w->ch, NULL, NULL);
        nacre_sftp_close(s);
        return rc;
    }
    s->wire = &channel_functions;
    *out = s;
    return NACRE_OK;
}

int nacre_sftp_open(nacre_sftp **out, nacre_client *c, const nacre_sftp_options *o,
                    nacre_error *err)
{
    nc_error_clear(err);
    nacre_sftp_options opts;
    nacre_error why = {.status = NACRE_OK};
    nacre_sftp_options_init(&opts);
    if (o) {
        opts = *o;
    }
    *out = NULL;
    channel_wire *w = nc_zalloc(opts.allocator, sizeof(*w));
    if (!w) {
        return nc_fail(err, NACRE_NO_MEMORY, "no memory for an SFTP session");
    }
    w->alloc = opts.allocator;
    w->c = c;
    w->on_stderr = opts.on_stderr;
    w->user = opts.user;
    int rc = open_channel(w, &opts, &why);
    if (rc == NACRE_OK) {
        rc = start(w, &opts, out, &why);
    }
    if (rc != NACRE_OK) {
        channel_free(w);
        nc_fail(&why, rc, "SFTP could not be started");
        if (err) {
            *err = why;
        }
    }
    return rc;
}
