/*
 * world.c - see world.h.
 */
#include "world.h"

#include "base/mem.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { PATIENCE_MS = 30000 };

static void on_ask(peer *p, const nacre_event *ev)
{
    assert_true(ev->u.open.type.n < sizeof(p->ask_type));
    assert_true(ev->u.open.data.n <= sizeof(p->ask_data));
    memcpy(p->ask_type, ev->u.open.type.p, ev->u.open.type.n);
    p->ask_type[ev->u.open.type.n] = '\0';
    p->ask_n = ev->u.open.data.n;
    memcpy(p->ask_data, p->ask_n ? ev->u.open.data.p : (const uint8_t *)"", p->ask_n);
    p->ask_channel = ev->channel;
    p->ask_ticket = ev->ticket;
    p->asked++;
    if (p->take) {
        assert_int_equal(nacre_transport_accept(p->t, ev->ticket), NACRE_OK);
    }
}

static void on_event(void *user, nacre_driver *d, const nacre_event *ev)
{
    peer *p = user;
    (void)d;
    switch (ev->type) {
    case NACRE_EVENT_HOST_KEY:
        assert_int_equal(nacre_transport_accept(p->t, ev->ticket), NACRE_OK);
        break;
    case NACRE_EVENT_AUTH_RESULT:
        *(ev->u.auth_result.status == NACRE_OK ? &p->auth_ok : &p->auth_failed) += 1;
        break;
    case NACRE_EVENT_CHANNEL_OPENED:
        p->opened++;
        break;
    case NACRE_EVENT_CHANNEL_FAILED:
        p->failed++;
        p->reason = ev->u.failed.reason;
        break;
    case NACRE_EVENT_CHANNEL_REPLY:
        *(ev->u.reply.success ? &p->yes : &p->no) += 1;
        break;
    case NACRE_EVENT_GLOBAL_REPLY:
        *(ev->u.reply.success ? &p->global_yes : &p->global_no) += 1;
        p->reply_n = ev->u.reply.data.n;
        assert_true(p->reply_n <= sizeof(p->reply_data));
        memcpy(p->reply_data, p->reply_n ? ev->u.reply.data.p : (const uint8_t *)"", p->reply_n);
        break;
    case NACRE_EVENT_CHANNEL_OPEN:
        on_ask(p, ev);
        break;
    case NACRE_EVENT_CHANNEL_EOF:
        p->eofs++;
        break;
    case NACRE_EVENT_CHANNEL_DATA:
        assert_true(ev->u.data.bytes.n < sizeof(p->out) - p->n);
        memcpy(p->out + p->n, ev->u.data.bytes.p, ev->u.data.bytes.n);
        p->n += ev->u.data.bytes.n;
        (void)nacre_channel_consumed(ev->channel, ev->u.data.bytes.n);
        break;
    case NACRE_EVENT_EXIT_STATUS:
        p->exit_status = ev->u.exit.status;
        break;
    case NACRE_EVENT_CHANNEL_CLOSED:
        p->closed++;
        break;
    default:
        break;
    }
}

static void on_closed(void *user, nacre_driver *d, const nacre_error *why)
{
    peer *p = user;
    (void)d;
    (void)why;
    p->over = true;
}

void world_start(world *w)
{
    nacre_error err = {0};
    w->cfg.loop = w->loop;
    w->cfg.host_keys = &w->host_key;
    w->cfg.host_key_count = 1;
    if (nacre_server_new(&w->server, &w->cfg, &err) != NACRE_OK) {
        fail_msg("%s", err.text);
    }
}

peer *world_join(world *w)
{
    int pair[2];
    nacre_config cfg;
    nacre_driver_options o;
    nacre_error err = {0};
    peer *p = calloc(1, sizeof(*p));
    assert_non_null(p);
    p->exit_status = 999;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    assert_int_equal(nacre_server_adopt(w->server, pair[0], pair[0], NULL, &err), NACRE_OK);
    nacre_config_init(&cfg, NACRE_CLIENT);
    assert_int_equal(nacre_transport_new(&p->t, &cfg, nacre_loop_now(w->loop), &err), NACRE_OK);
    nacre_driver_options_init(&o);
    o.on_event = on_event;
    o.on_closed = on_closed;
    o.user = p;
    assert_int_equal(nacre_driver_new(&p->d, w->loop, p->t, pair[1], pair[1], &o, &err), NACRE_OK);
    return p;
}

void world_leave(peer *p)
{
    nacre_driver_free(p->d);
    nacre_transport_free(p->t);
    free(p);
}

void world_until(world *w, const int *what, int at_least)
{
    uint64_t end = nacre_loop_now(w->loop) + PATIENCE_MS;
    while (*what < at_least) {
        assert_true(nacre_loop_now(w->loop) < end);
        assert_int_equal(nacre_loop_run_once(w->loop, 100), NACRE_OK);
    }
}

int world_setup(void **state)
{
    world *w = calloc(1, sizeof(*w));
    nacre_error err = {0};
    assert_non_null(w);
    assert_int_equal(nacre_loop_new(&w->loop, NULL, &err), NACRE_OK);
    assert_int_equal(nacre_key_generate(&w->host_key, NULL, "ed25519", 0, &err), NACRE_OK);
    nacre_server_config_init(&w->cfg);
    w->cfg.callbacks.user = w;
    *state = w;
    return 0;
}

int world_teardown(void **state)
{
    world *w = *state;
    nacre_server_free(w->server);
    nacre_loop_free(w->loop);
    nacre_key_free(w->host_key);
    free(w);
    return 0;
}

nacre_verdict world_yes(void *user, nacre_server_conn *c, const nacre_event *ev)
{
    (void)user;
    (void)c;
    (void)ev;
    return NACRE_ACCEPT;
}

nacre_verdict world_note(void *user, nacre_server_conn *c, const char *name, const nacre_key *key)
{
    world *w = user;
    (void)name;
    (void)key;
    w->conn = c;
    return NACRE_ACCEPT;
}

peer *world_login(world *w)
{
    peer *p = world_join(w);
    assert_int_equal(nacre_transport_auth_none(p->t, "me"), NACRE_OK);
    world_until(w, &p->auth_ok, 1);
    return p;
}

nacre_channel *world_session(world *w, peer *p)
{
    nacre_channel *ch = NULL;
    int before = p->opened;
    assert_int_equal(nacre_channel_open_session(p->t, &ch), NACRE_OK);
    nacre_driver_kick(p->d);
    world_until(w, &p->opened, before + 1);
    return ch;
}

void world_send(peer *p, nacre_channel *ch, const char *bytes, size_t n)
{
    size_t took = 0;
    assert_int_equal(nacre_channel_write(ch, NACRE_STDOUT, bytes, n, &took), NACRE_OK);
    assert_int_equal(took, n);
    nacre_driver_kick(p->d);
}

void world_say(peer *p, nacre_channel *ch, const char *text)
{
    world_send(p, ch, text, strlen(text));
}
