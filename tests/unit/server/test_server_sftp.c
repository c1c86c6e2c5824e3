/*
 * test_server_sftp.c - SFTP on a session channel, by an application that answers later.
 */
#include "world.h"

#include "base/mem.h"
#include "nacre/sftp_server.h"
#include "wire/wr.h"

/* The application: it keeps what it was asked, and answers when the test says so. */
typedef struct later {
    nacre_server_conn *conn;
    nacre_channel *ch;
    nacre_sftp_server *sftp;
    uint32_t ticket;
    int asked, ended, done;
} later;

static uint32_t on_stat(nacre_sftp_call *call, nacre_span path, nacre_sftp_attrs *out)
{
    later *l = call->user;
    (void)out;
    assert_int_equal(path.n, 4);
    assert_memory_equal(path.p, "/far", 4);
    l->sftp = call->server;
    l->ticket = call->ticket;
    l->asked++;
    return NACRE_SFTP_LATER;
}

static void on_end(void *user)
{
    later *l = user;
    l->ended++;
}

static void on_done(void *backend)
{
    later *l = backend;
    assert_int_equal(l->ended, 1);
    l->done++;
}

static nacre_verdict on_subsystem(void *user, nacre_server_conn *c, const nacre_event *ev)
{
    static const nacre_sftp_server_ops ops = {
        .size = sizeof(ops), .session_end = on_end, .stat = on_stat};
    later *l = user;
    nacre_error err;
    l->conn = c;
    l->ch = ev->channel;
    assert_int_equal(nacre_server_sftp_flush(c, l->ch), NACRE_NOT_FOUND); /* not yet */
    assert_int_equal(nacre_server_sftp(c, l->ch, &ops, l, NULL, on_done, &err), NACRE_OK);
    assert_int_equal(nacre_server_sftp(c, l->ch, &ops, l, NULL, on_done, &err), NACRE_WRONG_STATE);
    return NACRE_ACCEPT;
}

/* Until one packet has come, whose type this is (draft-ietf-secsh-filexfer-02 section 3). */
static void get(world *w, const peer *p, char type)
{
    uint64_t end = nacre_loop_now(w->loop) + 30000;
    while (p->n < 4 || p->n < 4 + (size_t)nc_get_u32((const uint8_t *)p->out)) {
        assert_true(nacre_loop_now(w->loop) < end);
        assert_int_equal(nacre_loop_run_once(w->loop, 100), NACRE_OK);
    }
    assert_int_equal(p->n, 4 + (size_t)nc_get_u32((const uint8_t *)p->out));
    assert_int_equal(p->out[4], type);
}

/* A client whose version is exchanged and whose STAT waits for an answer. */
static peer *ask(world *w, later *l, nacre_channel **ch)
{
    static const char init[] = "\0\0\0\x05\x01\0\0\0\x03",
                      stat[] = "\0\0\0\x0d\x11\0\0\0\x07\0\0\0\x04/far";
    w->cfg.callbacks.auth_none = w->cfg.callbacks.channel_open = world_yes;
    w->cfg.callbacks.subsystem = on_subsystem;
    w->cfg.callbacks.user = l;
    world_start(w);
    peer *p = world_login(w);
    *ch = world_session(w, p);
    assert_int_equal(nacre_channel_subsystem(*ch, "sftp", true), NACRE_OK);
    nacre_driver_kick(p->d);
    world_until(w, &p->yes, 1);
    world_send(p, *ch, init, sizeof(init) - 1);
    get(w, p, 2);
    p->n = 0;
    world_send(p, *ch, stat, sizeof(stat) - 1);
    world_until(w, &l->asked, 1);
    return p;
}

static void an_answer_given_later(void **state)
{
    static const char attrs[] = "\0\0\0\x11\x69\0\0\0\x07\0\0\0\x01\0\0\0\0\0\0\x12\x34";
    world *w = *state;
    later l = {0};
    nacre_channel *ch = NULL;
    nacre_sftp_attrs a = {.flags = NACRE_SFTP_ATTR_SIZE, .size = 0x1234};
    peer *p = ask(w, &l, &ch);
    assert_int_equal(p->n, 0);
    assert_int_equal(nacre_sftp_reply_attrs(l.sftp, l.ticket, &a), NACRE_OK);
    assert_int_equal(nacre_server_sftp_flush(l.conn, l.ch), NACRE_OK);
    get(w, p, 105);
    assert_int_equal(p->n, sizeof(attrs) - 1);
    assert_memory_equal(p->out, attrs, sizeof(attrs) - 1);
    assert_int_equal(nacre_sftp_reply_attrs(l.sftp, l.ticket, &a),
                     NACRE_NOT_FOUND); /* answered already */
    assert_int_equal(l.ended, 0);
    world_leave(p);
    world_until(w, &l.done, 1); /* the connection's end is the session's */
    assert_int_equal(l.done, 1);
}

/* The client has said all it will: what it asked is answered all the same, and then it is told that all went well. */
static void an_answer_after_the_end_of_input(void **state)
{
    world *w = *state;
    later l = {0};
    nacre_channel *ch = NULL;
    peer *p = ask(w, &l, &ch);
    assert_int_equal(nacre_channel_eof(ch), NACRE_OK);
    assert_int_equal(nacre_channel_exec(ch, nc_span_cstr("late"), true),
                     NACRE_OK); /* refused: all before it has come */
    nacre_driver_kick(p->d);
    world_until(w, &p->no, 1);
    assert_int_equal(p->closed + p->eofs, 0);
    assert_int_equal(nacre_sftp_reply_status(l.sftp, l.ticket, NACRE_FX_NO_SUCH_FILE, "gone"),
                     NACRE_OK);
    assert_int_equal(nacre_server_sftp_flush(l.conn, l.ch), NACRE_OK);
    assert_int_equal(nacre_server_sftp_flush(l.conn, l.ch), NACRE_NOT_FOUND); /* that was the end */
    world_until(w, &p->closed, 1);
    get(w, p, 101);
    assert_memory_equal(p->out + 5, "\0\0\0\x07\0\0\0\x02", 8);
    assert_int_equal(p->exit_status, 0);
    world_until(w, &l.done, 1);
    world_leave(p);
}

/* Who answers what was never asked hears of it, and what is flushed is what there is: nothing. */
static void an_answer_to_nothing(void **state)
{
    world *w = *state;
    later l = {0};
    nacre_channel *ch = NULL;
    peer *p = ask(w, &l, &ch);
    assert_int_equal(nacre_sftp_reply_status(l.sftp, l.ticket + 1, NACRE_FX_OK, NULL),
                     NACRE_NOT_FOUND);
    assert_int_equal(nacre_sftp_reply_path(l.sftp, l.ticket, nc_span_cstr("/x")),
                     NACRE_INVALID_ARGUMENT);
    assert_int_equal(nacre_server_sftp_flush(l.conn, l.ch), NACRE_OK);
    assert_int_equal(nacre_channel_exec(ch, nc_span_cstr("late"), true), NACRE_OK);
    nacre_driver_kick(p->d);
    world_until(w, &p->no, 1);
    assert_int_equal(p->n, 0);
    world_leave(p);
    world_until(w, &l.done, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_WORLD(an_answer_given_later),
        WITH_WORLD(an_answer_after_the_end_of_input),
        WITH_WORLD(an_answer_to_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
