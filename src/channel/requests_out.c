/*
 * requests_out.c - our channel requests (RFC 4254 6, RFC 4335). Replies have no number, so a count of
 * those that wait is all there is to keep.
 */
#include "channel/internal.h"
#include "transport/version.h"

#include <string.h>

/*
 * A request without its own data, which the caller writes next. *rc in: whether the channel takes it.
 * NULL: *rc tells why.
 */
static nc_wr *begin(nacre_channel *ch, const char *name, bool want_reply, size_t size, int *rc)
{
    size_t name_n = nc_span_cstr(name).n;
    if (*rc != NACRE_OK) {
        return NULL;
    }
    if (!nc_mux_name_ok(nc_span_cstr(name))) {
        *rc = NACRE_INVALID_ARGUMENT;
        return NULL;
    }
    if (size > NC_MAX_REQUEST - NC_MAX_NAME) {
        *rc = NACRE_TOO_LARGE;
        return NULL;
    }
    if (want_reply && ch->requests_pending >= NC_MAX_CHANNEL_REQUESTS) {
        *rc = NACRE_LIMIT;
        return NULL;
    }
    nc_link *l = ch->mux->link;
    nc_msg_channel_request msg = {
        .recipient = ch->peer_id, .name = nc_span_cstr(name), .want_reply = want_reply};
    nc_wr *w = l->ops->begin(l, 10 + name_n + size);
    NC_ENCODE(channel_request, w, &msg);
    return w;
}

static int finish(nacre_channel *ch, bool want_reply)
{
    nc_link *l = ch->mux->link;
    int rc = l->ops->end(l);
    if (rc == NACRE_OK && want_reply) {
        ch->asked_ms = ch->requests_pending == 0 ? ch->mux->link->now_ms : ch->asked_ms;
        ch->requests_pending++;
    }
    return rc;
}

/* Request data that is one message of messages.def; size: what its strings hold. */
static int send_part(nacre_channel *ch, const char *name, bool want_reply, const nc_msg_desc *d,
                     const void *part, size_t size)
{
    int rc = nc_channel_usable(ch);
    nc_wr *w = begin(ch, name, want_reply, size + 8 * d->count, &rc);
    if (!w) {
        return rc;
    }
    nc_msg_encode(d, w, part);
    return finish(ch, want_reply);
}

/* The same for how the program ended: a peer whose CLOSE is held still wants to know it. */
static int send_report(nacre_channel *ch, const char *name, const nc_msg_desc *d, const void *part,
                       size_t size)
{
    int rc = nc_channel_reportable(ch);
    nc_wr *w = begin(ch, name, false, size + 8 * d->count, &rc);
    if (!w) {
        return rc;
    }
    nc_msg_encode(d, w, part);
    return finish(ch, false);
}

int nacre_channel_request(nacre_channel *ch, const char *name, bool want_reply, nacre_span data)
{
    int rc = nc_channel_usable(ch);
    nc_wr *w = begin(ch, name, want_reply, data.n, &rc);
    if (!w) {
        return rc;
    }
    nc_wr_bytes(w, data);
    return finish(ch, want_reply);
}

int nacre_channel_exec(nacre_channel *ch, nacre_span command, bool want_reply)
{
    nc_msg_exec part = {.command = command};
    return send_part(ch, "exec", want_reply, &nc_desc_exec, &part, command.n);
}

int nacre_channel_shell(nacre_channel *ch, bool want_reply)
{
    return nacre_channel_request(ch, "shell", want_reply, nc_span(NULL, 0));
}

int nacre_channel_subsystem(nacre_channel *ch, const char *name, bool want_reply)
{
    nc_msg_subsystem part = {.name = nc_span_cstr(name)};
    if (part.name.n == 0) {
        return NACRE_INVALID_ARGUMENT;
    }
    return send_part(ch, "subsystem", want_reply, &nc_desc_subsystem, &part, part.name.n);
}

int nacre_channel_env(nacre_channel *ch, const char *name, const char *value, bool want_reply)
{
    nc_msg_env part = {.name = nc_span_cstr(name), .value = nc_span_cstr(value)};
    if (part.name.n == 0) {
        return NACRE_INVALID_ARGUMENT;
    }
    size_t size = part.name.n + part.value.n;
    return send_part(ch, "env", want_reply, &nc_desc_env, &part, size);
}

enum {
    MODE_IUTF8 = 42,  /* RFC 8160 */
    MODE_OPAQUE = 160 /* from here on no length is known */
};

/* The modes without IUTF8, into out, which holds as many. Each has five bytes. */
static size_t drop_utf8_mode(nacre_span modes, uint8_t *out)
{
    size_t n = 0, at = 0;
    while (modes.n - at >= 5 && modes.p[at] != 0 && modes.p[at] < MODE_OPAQUE) {
        if (modes.p[at] != MODE_IUTF8) {
            memcpy(out + n, modes.p + at, 5);
            n += 5;
        }
        at += 5;
    }
    if (at < modes.n) {
        memcpy(out + n, modes.p + at, modes.n - at);
        n += modes.n - at;
    }
    return n;
}

static int send_pty(nacre_channel *ch, const nacre_pty *pty, nacre_span modes, bool want_reply)
{
    nc_msg_pty_req part = {
        .term = pty->term,
        .columns = pty->columns,
        .rows = pty->rows,
        .width_px = pty->width_px,
        .height_px = pty->height_px,
        .modes = modes,
    };
    return send_part(ch, "pty-req", want_reply, &nc_desc_pty_req, &part, pty->term.n + modes.n);
}

int nacre_channel_pty(nacre_channel *ch, const nacre_pty *pty, bool want_reply)
{
    if (!pty) {
        return NACRE_INVALID_ARGUMENT;
    }
    nacre_span modes = pty->modes;
    if (!(ch->mux->link->quirks & NC_QUIRK_NO_UTF8_MODE) || modes.n == 0 ||
        modes.n > NC_MAX_REQUEST) {
        return send_pty(ch, pty, modes, want_reply);
    }
    const nacre_allocator *a = ch->mux->link->alloc;
    uint8_t *fit = nc_alloc(a, modes.n);
    if (!fit) {
        return NACRE_NO_MEMORY;
    }
    size_t n = drop_utf8_mode(modes, fit);
    int rc = send_pty(ch, pty, nc_span(fit, n), want_reply);
    nc_free(a, fit);
    return rc;
}

int nacre_channel_window_change(nacre_channel *ch, const nacre_pty *pty)
{
    if (!pty) {
        return NACRE_INVALID_ARGUMENT;
    }
    nc_msg_window_change part = {
        .columns = pty->columns,
        .rows = pty->rows,
        .width_px = pty->width_px,
        .height_px = pty->height_px,
    };
    return send_part(ch, "window-change", false, &nc_desc_window_change, &part, 0);
}

int nacre_channel_signal(nacre_channel *ch, const char *name)
{
    nc_msg_signal part = {.name = nc_span_cstr(name)};
    if (part.name.n == 0) {
        return NACRE_INVALID_ARGUMENT;
    }
    return send_part(ch, "signal", false, &nc_desc_signal, &part, part.name.n);
}

int nacre_channel_break(nacre_channel *ch, uint32_t milliseconds, bool want_reply)
{
    nc_msg_break part = {.milliseconds = milliseconds};
    return send_part(ch, "break", want_reply, &nc_desc_break, &part, 0);
}

int nacre_channel_xon_xoff(nacre_channel *ch, bool client_can_do)
{
    nc_msg_xon_xoff part = {.client_can_do = client_can_do};
    return send_part(ch, "xon-xoff", false, &nc_desc_xon_xoff, &part, 0);
}

int nacre_channel_end_of_write(nacre_channel *ch)
{
    return nacre_channel_request(ch, "eow@openssh.com", false, nc_span(NULL, 0));
}

int nacre_channel_exit_status(nacre_channel *ch, uint32_t status)
{
    nc_msg_exit_status part = {.status = status};
    return send_report(ch, "exit-status", &nc_desc_exit_status, &part, 0);
}

int nacre_channel_exit_signal(nacre_channel *ch, const char *name, bool core_dumped,
                              const char *message)
{
    static const uint8_t empty_string[4] = {0, 0, 0, 0};
    nc_msg_exit_signal part = {
        .name = nc_span_cstr(name),
        .core_dumped = core_dumped,
        .message = nc_span_cstr(message),
        .language = nc_span(empty_string, sizeof(empty_string)),
    };
    if (part.name.n == 0) {
        return NACRE_INVALID_ARGUMENT;
    }
    size_t size = part.name.n + part.message.n;
    return send_report(ch, "exit-signal", &nc_desc_exit_signal, &part, size);
}
