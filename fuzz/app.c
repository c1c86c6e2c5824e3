/*
 * app.c - the careless application.
 */
#include "app.h"

#include <stdlib.h>
#include <string.h>

enum { MAX_EVENTS = 20000 };

nacre_key *fuzz_app_public_key(void)
{
    static nacre_key *key; /* read once: reading keys is no part of the target */
    static const char line[] =
        "ssh-ed25519 "
        "AAAAC3NzaC1lZDI1NTE5AAAAINdamAGCsQq31Uv+08lkBzoO4XLz2qYjJa8CGmj3B1Ea";
    if (!key &&
        nacre_key_from_public_line(&key, NULL, nc_span(line, sizeof(line) - 1), NULL) != NACRE_OK) {
        abort();
    }
    return key;
}

static void add_channel(fuzz_app *a, nacre_channel *ch)
{
    if (a->channel_count == FUZZ_CHANNELS) {
        nacre_channel_free(ch);
        return;
    }
    a->channels[a->channel_count++] = ch;
}

static void drop_channel(fuzz_app *a, size_t i)
{
    nacre_channel_free(a->channels[i]);
    a->channels[i] = a->channels[--a->channel_count];
}

/* ---- events ---------------------------------------------------------------------------------------- */

static void on_open(fuzz_app *a, const nacre_event *ev)
{
    bool room = a->channel_count < FUZZ_CHANNELS;
    int rc =
        room ? nacre_transport_accept(a->t, ev->ticket) : nacre_transport_refuse(a->t, ev->ticket);
    if (room && rc == NACRE_OK) {
        add_channel(a, ev->channel);
    }
}

static void ask(fuzz_app *a, const nacre_event *ev)
{
    if (a->ticket_count == FUZZ_TICKETS) {
        (void)nacre_transport_refuse(a->t, ev->ticket);
        return;
    }
    a->asked[a->ticket_count] = ev->type;
    a->tickets[a->ticket_count++] = ev->ticket;
}

/* What must not be, whatever the peer says. */
static void watch(const fuzz_app *a, const nacre_event *ev)
{
    bool in = nacre_transport_authenticated(a->t);
    if (in && !(a->server ? a->let_in : a->host_taken)) {
        abort(); /* nobody let them in */
    }
    if (ev->channel && !in) {
        abort(); /* channels before login */
    }
    if (ev->type == NACRE_EVENT_SIGN && ev->u.sign.data.n == 0) {
        abort(); /* a signature over nothing */
    }
}

static void on_event(fuzz_app *a, const nacre_event *ev)
{
    watch(a, ev);
    if (ev->type == NACRE_EVENT_HOST_KEYS) {
        (void)!nacre_transport_prove_host_keys(a->t, ev->u.host_keys.keys, ev->u.host_keys.count);
    }
    if (ev->type == NACRE_EVENT_CHANNEL_OPEN) {
        on_open(a, ev);
    } else if (ev->ticket) {
        ask(a, ev);
    }
    if (ev->type == NACRE_EVENT_CHANNEL_DATA && ev->u.data.bytes.n % 2) {
        (void)nacre_channel_consumed(ev->channel, ev->u.data.bytes.n);
    }
}

void fuzz_app_step(fuzz_app *a)
{
    nacre_event ev;
    for (int i = 0; i < MAX_EVENTS && !a->over; i++) {
        int rc = nacre_transport_next_event(a->t, &ev);
        if (rc != NACRE_OK) {
            a->over = rc != NACRE_AGAIN;
            return;
        }
        on_event(a, &ev);
    }
    if (!a->over) {
        abort(); /* events without end */
    }
}

bool fuzz_app_receive(fuzz_app *a, nacre_span bytes)
{
    while (bytes.n && !a->over) {
        size_t room = 0;
        uint8_t *to = nacre_transport_recv_buffer(a->t, &room);
        if (!to) {
            return false; /* full: it may be, while output is above its mark */
        }
        nacre_span piece = fuzz_take(&bytes, room);
        memcpy(to, piece.p, piece.n);
        if (nacre_transport_received(a->t, piece.n) != NACRE_OK) {
            a->over = true;
        }
        fuzz_app_step(a);
    }
    return true;
}

/* ---- what it does on a channel --------------------------------------------------------------------- */

static void reserve(nacre_channel *ch, uint8_t arg)
{
    nacre_room rooms[4];
    size_t count = 4;
    if (nacre_channel_reserve(ch, arg & 1, (size_t)arg * 300, rooms, &count) != NACRE_OK) {
        return;
    }
    size_t n = 0;
    for (size_t i = 0; i < count; i++) {
        memset(rooms[i].p, 'r', rooms[i].n);
        n += rooms[i].n;
    }
    (void)!nacre_channel_commit(ch, arg & 2 ? n : n / 2);
}

static void request(nacre_channel *ch, uint8_t arg)
{
    const nacre_pty pty = {.term = nc_span("xterm", 5), .columns = 80, .rows = arg};
    switch (arg >> 1 & 7) {
    case 0:
        (void)!nacre_channel_request(ch, "exec", arg & 1, nc_span("\0\0\0\1x", 5));
        break;
    case 1:
        (void)!nacre_channel_shell(ch, arg & 1);
        break;
    case 2:
        (void)!nacre_channel_subsystem(ch, "sftp", arg & 1);
        break;
    case 3:
        (void)!nacre_channel_env(ch, "LANG", "C", arg & 1);
        break;
    case 4:
        (void)!nacre_channel_pty(ch, &pty, arg & 1);
        break;
    case 5:
        (void)!nacre_channel_window_change(ch, &pty);
        break;
    case 6:
        (void)!nacre_channel_signal(ch, "TERM");
        break;
    default:
        (void)!nacre_channel_break(ch, arg, arg & 1);
        break;
    }
}

static void finish(nacre_channel *ch, uint8_t arg)
{
    if (arg & 1) {
        (void)!nacre_channel_exit_signal(ch, "KILL", arg & 2, "so it goes");
    } else {
        (void)!nacre_channel_exit_status(ch, arg);
    }
}

static void on_channel(fuzz_app *a, size_t i, uint8_t op, uint8_t arg)
{
    static const uint8_t data[1024];
    nacre_channel *ch = a->channels[i];
    nacre_channel_info info;
    size_t took = 0;
    switch (op % 10) {
    case 0:
        (void)!nacre_channel_write(ch, arg & 1, data, (size_t)arg * 4, &took);
        break;
    case 1:
        reserve(ch, arg);
        break;
    case 2:
        (void)!nacre_channel_eof(ch);
        break;
    case 3:
        (void)!nacre_channel_close(ch);
        break;
    case 4:
        drop_channel(a, i);
        break;
    case 5:
        nacre_channel_get_info(ch, &info);
        (void)nacre_channel_consumed(ch, (size_t)info.unconsumed);
        break;
    case 6:
        request(ch, arg);
        break;
    case 7:
        finish(ch, arg);
        break;
    case 8:
        (void)!nacre_channel_hold_close(ch, arg & 1);
        break;
    default:
        nacre_channel_window_cap(ch, arg * 1000u);
        break;
    }
}

/* ---- what it does on the connection ---------------------------------------------------------------- */

static void granted(fuzz_app *a, nacre_event_type asked, bool accept)
{
    bool login = asked == NACRE_EVENT_AUTH_NONE || asked == NACRE_EVENT_AUTH_PASSWORD ||
                 asked == NACRE_EVENT_AUTH_KEY || asked == NACRE_EVENT_AUTH_INTERACTIVE ||
                 asked == NACRE_EVENT_AUTH_RESPONSES || asked == NACRE_EVENT_AUTH_HOSTBASED;
    a->host_taken = a->host_taken || (accept && asked == NACRE_EVENT_HOST_KEY);
    a->let_in = a->let_in || (accept && login);
}

/* arg: 0x80 with more than yes or no, 0x40 yes, 0x20 but more is wanted, the rest: which question. */
static void answer(fuzz_app *a, uint8_t arg)
{
    if (a->ticket_count == 0) {
        return;
    }
    size_t i = arg % 32 % a->ticket_count;
    uint32_t ticket = a->tickets[i];
    const nacre_prompt prompt = {nc_span("?", 1), false};
    const nacre_span response = nc_span("yes", 3);
    nacre_answer ans = {.accept = (arg & 0x40) != 0, .partial = (arg & 0x20) != 0};
    if (arg & 0x80) {
        ans.prompts = &prompt;
        ans.prompt_count = 1;
        ans.responses = &response;
        ans.count = 1;
        ans.change_prompt = "new?";
        ans.data = response;
        ans.signature = nc_span("\0\0\0\x0bssh-ed25519\0\0\0\x01V", 20);
    }
    bool in = nacre_transport_authenticated(a->t);
    int rc = nacre_transport_answer(a->t, ticket, &ans);
    /* What fails behind the verdict, such as the memory for SUCCESS, ends the connection; the yes was taken all the same. */
    if (rc == NACRE_OK || (!in && nacre_transport_authenticated(a->t))) {
        granted(a, a->asked[i], ans.accept);
    }
    if (rc != NACRE_OK) {
        (void)nacre_transport_refuse(a->t, ticket);
    }
    a->ticket_count--;
    a->tickets[i] = a->tickets[a->ticket_count];
    a->asked[i] = a->asked[a->ticket_count];
}

void fuzz_app_refuse_all(fuzz_app *a)
{
    while (a->ticket_count) {
        (void)nacre_transport_refuse(a->t, a->tickets[--a->ticket_count]);
    }
}

static void login(fuzz_app *a, uint8_t arg)
{
    nacre_key *key = fuzz_app_public_key();
    switch (arg % 5) {
    case 0:
        (void)!nacre_transport_auth_none(a->t, "user");
        break;
    case 1:
        (void)!nacre_transport_auth_password(a->t, "user", nc_span("pw", 2));
        break;
    case 2:
        (void)!nacre_transport_auth_interactive(a->t, "user", NULL);
        break;
    case 3:
        (void)!nacre_transport_auth_publickey(a->t, "user", key, NULL);
        break;
    default:
        (void)!nacre_transport_auth_hostbased(a->t, "user", key, NULL, "host.", "me");
        break;
    }
}

static void chat(fuzz_app *a, uint8_t arg)
{
    nacre_limits limits;
    switch (arg % 5) {
    case 0:
        (void)!nacre_transport_send_ignore(a->t, nc_span("noise", 5));
        break;
    case 1:
        (void)!nacre_transport_send_debug(a->t, arg & 8, "said");
        break;
    case 2:
        (void)!nacre_transport_ping(a->t, nc_span("there?", 6));
        break;
    case 3:
        (void)!nacre_transport_send_banner(a->t, "hello");
        break;
    default:
        nacre_limits_init(&limits);
        limits.rekey_bytes = arg & 8 ? 1000 : 0;
        limits.keepalive_ms = arg & 16 ? 3000 : 0;
        nacre_transport_set_limits(a->t, &limits);
        break;
    }
}

static void open_channel(fuzz_app *a, uint8_t arg)
{
    nacre_channel *ch = NULL;
    int rc = arg & 1 ? nacre_channel_open(a->t, "direct-tcpip", nc_span("x", 1), arg * 500u,
                                          arg & 2 ? 2000 : 0, &ch)
                     : nacre_channel_open_session(a->t, &ch);
    if (rc == NACRE_OK) {
        add_channel(a, ch);
    }
}

static void on_connection(fuzz_app *a, uint8_t op, uint8_t arg)
{
    switch (op % 9) {
    case 0:
        open_channel(a, arg);
        break;
    case 1:
        (void)!nacre_global_request(a->t, "tcpip-forward", arg & 1, nc_span("x", 1));
        break;
    case 2:
        (void)!nacre_transport_rekey(a->t);
        break;
    case 3:
        a->now += (uint64_t)arg * 1000;
        nacre_transport_advance(a->t, a->now);
        break;
    case 4:
        nacre_transport_sent(a->t, nacre_transport_output(a->t).n);
        break;
    case 5:
        chat(a, arg);
        break;
    case 6:
        login(a, arg);
        break;
    case 7:
        if (arg == 0xff) {
            (void)!nacre_transport_disconnect(a->t, 11, "enough");
        } else {
            nacre_transport_sent(a->t, nacre_transport_output(a->t).n / 2);
        }
        break;
    default:
        answer(a, arg);
        break;
    }
}

void fuzz_app_act(fuzz_app *a, uint8_t op, uint8_t arg)
{
    if (op >= 0xC0) {
        on_connection(a, (uint8_t)(op - 0xC0), arg);
    } else if (a->channel_count) {
        on_channel(a, arg % a->channel_count, (uint8_t)(op - 0x80), arg);
    }
}
