/*
 * client_server.c - the server's side of the tests of the client. Commands: "echo" (what comes, until
 * EOF, then status 7), "hello", "hang" (says "part" and no more), "signal", "refuse", "silent" (no reply),
 * "drop" (the connection), "flood" (1 MiB).
 */
#include "client_server.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

nacre_span text_span(const char *s)
{
    return (nacre_span){(const uint8_t *)s, strlen(s)};
}

static bool is(nacre_span s, const char *what)
{
    return what && s.n == strlen(what) && memcmp(s.p, what, s.n) == 0;
}

void stage_write(const char *path, const char *text, unsigned mode)
{
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    assert_int_equal(fwrite(text, 1, strlen(text), f), strlen(text));
    assert_int_equal(fclose(f), 0);
    assert_int_equal(chmod(path, mode), 0);
}

/* ---- authentication ---- */

static void refuse(stage *s, uint32_t ticket)
{
    nacre_answer a;
    memset(&a, 0, sizeof(a));
    a.methods = s->methods;
    assert_int_equal(nacre_transport_answer(s->t, ticket, &a), NACRE_OK);
}

static void grant(stage *s, uint32_t ticket, bool partial, const char *rest)
{
    nacre_answer a;
    memset(&a, 0, sizeof(a));
    a.accept = true;
    a.partial = partial;
    a.methods = rest;
    assert_int_equal(nacre_transport_answer(s->t, ticket, &a), NACRE_OK);
}

static void judge(stage *s, const nacre_event *ev, bool good, bool last)
{
    if (!good) {
        refuse(s, ev->ticket);
    } else {
        grant(s, ev->ticket, !last, last ? NULL : "password");
    }
}

static bool on_auth(stage *s, const nacre_event *ev)
{
    nacre_prompt prompt = {text_span("Code: "), false};
    nacre_answer a;
    bool by_key = ev->type == NACRE_EVENT_AUTH_KEY_PROBE || ev->type == NACRE_EVENT_AUTH_KEY;
    bool known = by_key && nacre_key_equal(ev->u.auth.key, s->user_key);
    switch (ev->type) {
    case NACRE_EVENT_AUTH_NONE:
        s->nones++;
        judge(s, ev, s->grant_none, true);
        return true;
    case NACRE_EVENT_AUTH_HOSTBASED:
        s->hosts++;
        (void)snprintf(s->host_said, sizeof(s->host_said), "%.*s", (int)ev->u.auth.client_host.n,
                       (const char *)ev->u.auth.client_host.p);
        (void)snprintf(s->user_said, sizeof(s->user_said), "%.*s", (int)ev->u.auth.client_user.n,
                       (const char *)ev->u.auth.client_user.p);
        judge(s, ev, s->peer_host && nacre_key_equal(ev->u.auth.key, s->peer_host), true);
        return true;
    case NACRE_EVENT_AUTH_PASSWORD:
        s->passwords++;
        if (s->keep_silent_on_auth) {
            s->unanswered = ev->ticket;
            return true;
        }
        judge(s, ev, is(ev->u.auth.password, s->password), true);
        return true;
    case NACRE_EVENT_AUTH_KEY_PROBE:
        s->probes++;
        judge(s, ev, s->take_key && known, true);
        return true;
    case NACRE_EVENT_AUTH_KEY:
        s->keys++;
        judge(s, ev, s->take_key && known, !s->key_then_password);
        return true;
    case NACRE_EVENT_AUTH_INTERACTIVE:
        s->interactives++;
        if (s->grant_unasked) {
            judge(s, ev, true, true);
            return true;
        }
        memset(&a, 0, sizeof(a));
        a.name = "name";
        a.instruction = "instruction";
        a.prompts = &prompt;
        a.prompt_count = 1;
        assert_int_equal(nacre_transport_answer(s->t, ev->ticket, &a), NACRE_OK);
        return true;
    case NACRE_EVENT_AUTH_RESPONSES:
        judge(s, ev, ev->u.auth.count == 1 && is(ev->u.auth.responses[0], s->answer), true);
        return true;
    default:
        return false;
    }
}

/* ---- sessions ---- */

static void say(nacre_channel *ch, int stream, const char *text)
{
    size_t took;
    assert_int_equal(nacre_channel_write(ch, stream, text, strlen(text), &took), NACRE_OK);
    assert_int_equal(took, strlen(text));
}

static void end(nacre_channel *ch, uint32_t status)
{
    assert_int_equal(nacre_channel_eof(ch), NACRE_OK);
    assert_int_equal(nacre_channel_exit_status(ch, status), NACRE_OK);
    assert_int_equal(nacre_channel_close(ch), NACRE_OK);
}

static void flood(nacre_channel *ch)
{
    static const char block[4096] = {'f'};
    size_t took = 0;
    for (int i = 0; i < 256; i++) {
        assert_int_equal(nacre_channel_write(ch, NACRE_STDOUT, block, sizeof(block), &took),
                         NACRE_OK);
        assert_int_equal(took, sizeof(block));
    }
    end(ch, 0);
}

static void run(stage *s, nacre_channel *ch, nacre_span command)
{
    if (is(command, "hello")) {
        say(ch, NACRE_STDOUT, "out");
        say(ch, NACRE_STDERR, "err");
        end(ch, 3);
    } else if (is(command, "hang")) {
        say(ch, NACRE_STDOUT, "part");
        nacre_channel_set_user(ch, s); /* not even the end of input moves it */
    } else if (is(command, "signal")) {
        assert_int_equal(nacre_channel_exit_signal(ch, "KILL", true, "killed\x1b[2J"), NACRE_OK);
        assert_int_equal(nacre_channel_close(ch), NACRE_OK);
    } else if (is(command, "flood")) {
        flood(ch);
    } else if (is(command, "drop")) {
        assert_int_equal(nacre_transport_disconnect(s->t, 11, "had enough"), NACRE_OK);
    }
}

/* What comes goes back; what does not fit waits in the window of the client. */
static void echo(stage *s, const nacre_event *ev)
{
    nacre_span bytes = ev->u.data.bytes;
    size_t took = 0;
    assert_int_equal(nacre_channel_write(ev->channel, NACRE_STDOUT, bytes.p, bytes.n, &took),
                     NACRE_OK);
    assert_int_equal(took, bytes.n); /* windows and marks are large enough for these tests */
    s->echoed += bytes.n;
    assert_int_equal(nacre_channel_consumed(ev->channel, bytes.n), NACRE_OK);
}

static void on_request(stage *s, const nacre_event *ev)
{
    nacre_span command = ev->u.request.command;
    if (is(command, "silent")) {
        return;
    }
    if (!is(ev->u.request.name, "exec") || is(command, "refuse")) {
        if (ev->ticket) {
            assert_int_equal(nacre_transport_refuse(s->t, ev->ticket), NACRE_OK);
        }
        return;
    }
    char copy[64];
    (void)snprintf(copy, sizeof(copy), "%.*s", (int)command.n, (const char *)command.p);
    nacre_channel *ch = ev->channel;
    assert_int_equal(nacre_transport_accept(s->t, ev->ticket), NACRE_OK);
    run(s, ch, text_span(copy));
}

static void on_event(void *user, nacre_driver *d, const nacre_event *ev)
{
    stage *s = user;
    (void)d;
    if ((s->hook && s->hook(s, ev)) || on_auth(s, ev)) {
        return;
    }
    switch (ev->type) {
    case NACRE_EVENT_CHANNEL_OPEN:
        s->opens++;
        s->last = ev->channel;
        if (s->open_unanswered) {
            break;
        }
        if (s->refuse_channels) {
            nacre_answer a;
            memset(&a, 0, sizeof(a));
            a.reason = 4;
            a.text = "no\nroom";
            assert_int_equal(nacre_transport_answer(s->t, ev->ticket, &a), NACRE_OK);
        } else {
            assert_int_equal(nacre_transport_accept(s->t, ev->ticket), NACRE_OK);
        }
        break;
    case NACRE_EVENT_CHANNEL_REQUEST:
        on_request(s, ev);
        break;
    case NACRE_EVENT_CHANNEL_DATA:
        echo(s, ev);
        break;
    case NACRE_EVENT_CHANNEL_EOF:
        if (!nacre_channel_user(ev->channel)) {
            end(ev->channel, 7);
        }
        break;
    case NACRE_EVENT_CHANNEL_CLOSED:
        nacre_channel_free(ev->channel);
        break;
    default:
        if (ev->ticket) {
            (void)nacre_transport_refuse(s->t, ev->ticket);
        }
        break;
    }
}

static void on_closed(void *user, nacre_driver *d, const nacre_error *why)
{
    stage *s = user;
    (void)d;
    (void)why;
    s->gone = true;
}

/* ---- life ---- */

void stage_init(stage *s)
{
    memset(s, 0, sizeof(*s));
    s->fd = s->mute_fd = -1;
    s->methods = "publickey,password,keyboard-interactive";
    s->password = "open sesame";
    s->answer = "42";
    s->take_key = true;
    assert_int_equal(nacre_loop_new(&s->loop, NULL, &s->err), NACRE_OK);
    assert_int_equal(nacre_key_generate(&s->host_key, NULL, "ed25519", 0, &s->err), NACRE_OK);
    assert_int_equal(nacre_key_generate(&s->user_key, NULL, "ed25519", 0, &s->err), NACRE_OK);
    nacre_client_config_init(&s->cfg);
    s->cfg.user = "alice";
    s->cfg.loop = s->loop;
    s->cfg.default_key_files = false;
    s->cfg.use_agent = false;
    s->cfg.host_policy = NACRE_HOST_INSECURE;
    s->cfg.timeout_ms = 20000;
    (void)snprintf(s->dir, sizeof(s->dir), "/tmp/nacre-client-XXXXXX");
    assert_non_null(mkdtemp(s->dir));
    (void)snprintf(s->path, sizeof(s->path), "%s/one", s->dir);
    (void)snprintf(s->path2, sizeof(s->path2), "%s/two", s->dir);
}

void stage_open(stage *s)
{
    int fds[2];
    nacre_config cfg;
    nacre_driver_options o;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    s->fd = fds[0];
    s->gone = false;
    nacre_config_init(&cfg, NACRE_SERVER);
    cfg.output_soft = cfg.output_hard = 8 << 20;
    cfg.auth_methods = s->methods;
    assert_int_equal(nacre_transport_new(&s->t, &cfg, nacre_loop_now(s->loop), &s->err), NACRE_OK);
    assert_int_equal(nacre_transport_add_host_key(s->t, s->host_key), NACRE_OK);
    nacre_driver_options_init(&o);
    o.on_event = on_event;
    o.on_closed = on_closed;
    o.user = s;
    assert_int_equal(nacre_driver_new(&s->d, s->loop, s->t, fds[1], fds[1], &o, &s->err), NACRE_OK);
    assert_int_equal(nacre_client_new(&s->c, &s->cfg, &s->err), NACRE_OK);
}

void stage_login(stage *s)
{
    if (!s->cfg.password.p && s->cfg.key_count == 0) {
        s->cfg.password = text_span("open sesame");
    }
    stage_open(s);
    int rc = nacre_client_login(s->c, s->fd, s->fd, "host", 22);
    if (rc != NACRE_OK) {
        print_error("%s\n", nacre_client_error(s->c)->text);
    }
    assert_int_equal(rc, NACRE_OK);
}

void stage_close(stage *s)
{
    nacre_client_free(s->c);
    nacre_driver_free(s->d);
    nacre_transport_free(s->t);
    if (s->mute_fd >= 0) {
        (void)close(s->mute_fd);
    }
    s->c = NULL;
    s->d = NULL;
    s->t = NULL;
    s->mute_fd = -1;
    s->nones = s->passwords = s->probes = s->keys = s->interactives = s->opens = s->hosts = 0;
}

void stage_clear(stage *s)
{
    stage_close(s);
    nacre_loop_free(s->loop);
    nacre_key_free(s->host_key);
    nacre_key_free(s->user_key);
    (void)unlink(s->path);
    (void)unlink(s->path2);
    assert_int_equal(rmdir(s->dir), 0);
}
