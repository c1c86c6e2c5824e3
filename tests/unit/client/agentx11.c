#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka needs those before it */
#include <cmocka.h>

#include "agentx11.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static opened *find(world *w, const nacre_channel *ch)
{
    for (size_t i = 0; i < w->count; i++) {
        if (w->list[i].ch == ch) {
            return &w->list[i];
        }
    }
    return NULL;
}

static bool is_request(const nacre_event *ev, const char *name)
{
    return ev->u.request.name.n == strlen(name) &&
           memcmp(ev->u.request.name.p, name, strlen(name)) == 0;
}

static bool on_request(world *w, const nacre_event *ev)
{
    bool agent = is_request(ev, "auth-agent-req@openssh.com") || is_request(ev, "agent-req");
    if (agent) {
        w->agent_requests++;
        (void)snprintf(w->agent_name, sizeof(w->agent_name), "%.*s", (int)ev->u.request.name.n,
                       (const char *)ev->u.request.name.p);
        assert_int_equal(ev->u.request.data.n, 0);
    } else if (is_request(ev, "x11-req")) {
        assert_int_equal(
            nacre_x11_request_parse(ev->u.request.data, &w->x11[w->x11_requests++ % 4]), NACRE_OK);
    } else {
        return false;
    }
    if (ev->ticket) {
        assert_int_equal(nacre_transport_accept(w->s.t, ev->ticket), NACRE_OK);
    }
    return true;
}

bool world_hook(stage *s, const nacre_event *ev)
{
    world *w = s->hook_user;
    opened *o = ev->channel ? find(w, ev->channel) : NULL;
    if (!o) {
        return ev->type == NACRE_EVENT_CHANNEL_REQUEST && on_request(w, ev);
    }
    switch (ev->type) {
    case NACRE_EVENT_CHANNEL_OPENED:
        o->open = true;
        break;
    case NACRE_EVENT_CHANNEL_FAILED:
        o->failed = true;
        o->reason = ev->u.failed.reason;
        break;
    case NACRE_EVENT_CHANNEL_DATA:
        for (size_t i = 0; i < ev->u.data.bytes.n && o->n < sizeof(o->in); i++) {
            o->in[o->n++] = ev->u.data.bytes.p[i];
        }
        assert_int_equal(nacre_channel_consumed(ev->channel, ev->u.data.bytes.n), NACRE_OK);
        break;
    case NACRE_EVENT_CHANNEL_EOF:
        o->eof = true;
        break;
    case NACRE_EVENT_CHANNEL_CLOSED:
        o->closed = true;
        break;
    default:
        break;
    }
    return true;
}

void world_start(world *w)
{
    memset(w, 0, sizeof(*w));
    w->agent_end = -1;
    stage_init(&w->s);
    w->s.hook = world_hook;
    w->s.hook_user = w;
    stage_login(&w->s);
    assert_int_equal(nacre_client_session(w->s.c, 5000, &w->session), NACRE_OK);
}

void world_stop(world *w)
{
    if (w->agent_end >= 0) {
        (void)close(w->agent_end);
    }
    stage_close(&w->s);
    stage_clear(&w->s);
}

void world_turn(world *w)
{
    nacre_driver_kick(w->s.d);
    assert_int_equal(nacre_loop_run_once(w->s.loop, 5), NACRE_OK);
}

opened *world_channel(world *w, const char *type)
{
    static const uint8_t x11_data[] = {0,   0,   0,   9,   '1', '2', '7', '.', '0',
                                       '.', '0', '.', '1', 0,   0,   4,   0};
    bool x11 = strcmp(type, "x11") == 0;
    opened *o = &w->list[w->count];
    assert_true(w->count < CHANNELS);
    assert_int_equal(nacre_channel_open(w->s.t, type,
                                        (nacre_span){x11_data, x11 ? sizeof(x11_data) : 0}, 0, 0,
                                        &o->ch),
                     NACRE_OK);
    w->count++;
    return o;
}

void world_send(world *w, const opened *o, const void *p, size_t n)
{
    size_t took = 0;
    assert_int_equal(nacre_channel_write(o->ch, NACRE_STDOUT, p, n, &took), NACRE_OK);
    assert_int_equal(took, n);
    world_turn(w);
}

/* Turns the loop until fd has n bytes. */
void world_read(world *w, int fd, uint8_t *p, size_t n)
{
    size_t got = 0;
    for (int i = 0; got < n; i++) {
        ssize_t some = recv(fd, p + got, n - got, MSG_DONTWAIT);
        assert_true(some > 0 || (some < 0 && errno == EAGAIN));
        assert_true(i < 5000);
        got += some > 0 ? (size_t)some : 0;
        world_turn(w);
    }
}

int world_give_agent(void *user, int *fd)
{
    world *w = user;
    int pair[2];
    w->connects++;
    if (w->no_agent) {
        return NACRE_CONNECT;
    }
    if (w->agent_end >= 0) {
        (void)close(w->agent_end);
    }
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    *fd = pair[0];
    w->agent_end = pair[1];
    return NACRE_OK;
}

void world_refused(void *user, const char *text)
{
    world *w = user;
    w->refusals++;
    (void)snprintf(w->refusal, sizeof(w->refusal), "%s", text);
}

static uint8_t nibble(char c)
{
    return (uint8_t)(c <= '9' ? c - '0' : c - 'a' + 10);
}

/* What a program sends first that was told the made-up cookie. */
size_t world_first_message(const nacre_x11_request *r, uint8_t *out)
{
    static const uint8_t head[] = {'B', 0, 0, 11, 0, 0, 0, 18, 0, 16, 0, 0};
    memset(out, 0, 48);
    memcpy(out, head, sizeof(head));
    memcpy(out + 12, "MIT-MAGIC-COOKIE-1", 18);
    assert_int_equal(strlen(r->cookie), 32);
    for (size_t i = 0; i < 16; i++) {
        out[32 + i] = (uint8_t)(nibble(r->cookie[2 * i]) << 4 | nibble(r->cookie[2 * i + 1]));
    }
    return 48;
}
