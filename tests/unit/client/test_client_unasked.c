/*
 * A server that opens what nobody asked it for, asks what no client answers, and does so by the thousand: each is
 * refused with its reason, and the client's own work goes on.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka needs those before it */
#include <cmocka.h>

#include "client_server.h"

#include <string.h>

enum { PROHIBITED = 1, UNKNOWN_TYPE = 3, MANY = 3000 };

/* What came of the server's channels and requests. */
static struct {
    unsigned opened, failed, yes, no;
    uint32_t reason;
} got;

static bool note(stage *s, const nacre_event *ev)
{
    (void)s;
    switch (ev->type) {
    case NACRE_EVENT_CHANNEL_OPENED:
        got.opened++;
        return true;
    case NACRE_EVENT_CHANNEL_FAILED:
        got.failed++;
        got.reason = ev->u.failed.reason;
        nacre_channel_free(ev->channel);
        return true;
    case NACRE_EVENT_CHANNEL_REPLY:
    case NACRE_EVENT_GLOBAL_REPLY:
        *(ev->u.reply.success ? &got.yes : &got.no) += 1;
        return true;
    default:
        return false;
    }
}

static int set_up(void **state)
{
    static stage s;
    memset(&got, 0, sizeof(got));
    stage_init(&s);
    s.hook = note;
    *state = &s;
    return 0;
}

static int take_down(void **state)
{
    stage *s = *state;
    stage_close(s);
    stage_clear(s);
    return 0;
}

static void until(stage *s, const unsigned *what, unsigned n)
{
    for (int i = 0; *what < n; i++) {
        assert_true(i < 20000);
        assert_int_equal(nacre_loop_run_once(s->loop, 10), NACRE_OK);
    }
}

static void still_works(stage *s)
{
    nacre_exec_result r;
    assert_int_equal(nacre_client_exec(s->c, "hello", text_span(""), 20000, &r), NACRE_OK);
    assert_string_equal((const char *)r.out, "out");
    assert_int_equal(r.exit.status, 3);
    nacre_exec_result_free(&r);
}

static void open_at_client(stage *s, const char *type, const char *data, size_t n)
{
    nacre_channel *ch = NULL;
    nacre_span rest = {(const uint8_t *)data, n};
    assert_int_equal(nacre_channel_open(s->t, type, rest, 0, 0, &ch), NACRE_OK);
    nacre_driver_kick(s->d);
}

static void channels_that_nobody_asked_for(void **state)
{
    stage *s = *state;
    static const char tcp[] = "\0\0\0\11localhost\0\0\0\26\0\0\0\1a\0\0\0\1";
    static const char path[] = "\0\0\0\2/x\0\0\0\0";
    static const char x11[] = "\0\0\0\11127.0.0.1\0\0\x17\x70";
    static const struct {
        const char *type, *data;
        size_t n;
        uint32_t reason;
    } rows[] = {
        {"forwarded-tcpip", tcp, sizeof(tcp) - 1, PROHIBITED},
        {"forwarded-tcpip", tcp, 3, PROHIBITED},
        {"forwarded-streamlocal@openssh.com", path, sizeof(path) - 1, PROHIBITED},
        {"x11", x11, sizeof(x11) - 1, PROHIBITED},
        {"auth-agent@openssh.com", "", 0, PROHIBITED},
        {"session", "", 0, PROHIBITED},
        {"direct-tcpip", tcp, sizeof(tcp) - 1, PROHIBITED},
        {"tun@openssh.com", "", 0, PROHIBITED},
        {"something@example.com", "", 0, UNKNOWN_TYPE},
    };
    stage_login(s);
    for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        open_at_client(s, rows[i].type, rows[i].data, rows[i].n);
        until(s, &got.failed, i + 1);
        if (got.reason != rows[i].reason) {
            print_error("%s: reason %u\n", rows[i].type, (unsigned)got.reason);
        }
        assert_int_equal(got.reason, rows[i].reason);
    }
    assert_int_equal(got.opened, 0);
    still_works(s);
}

static void requests_that_no_client_answers(void **state)
{
    stage *s = *state;
    static const char *const names[] = {"tcpip-forward", "cancel-tcpip-forward",
                                        "streamlocal-forward@openssh.com",
                                        "no-more-sessions@openssh.com", "what@example.com"};
    stage_login(s);
    for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        assert_int_equal(nacre_global_request(s->t, names[i], true, text_span("")), NACRE_OK);
        nacre_driver_kick(s->d);
        until(s, &got.no, i + 1);
    }
    assert_int_equal(got.yes, 0);
    still_works(s);
}

/* As many at a time as the server's own table holds, again and again. */
static void thousands_of_them(void **state)
{
    stage *s = *state;
    unsigned asked = 0;
    stage_login(s);
    while (asked < MANY) {
        for (int i = 0; i < 200; i++) {
            open_at_client(s, i % 2 ? "x11" : "forwarded-tcpip", "", 0);
            asked++;
        }
        until(s, &got.failed, asked);
    }
    assert_int_equal(got.opened, 0);
    still_works(s);
}

/* A request on our own channel that only a server serves, or nobody. */
static void requests_on_our_own_channel(void **state)
{
    stage *s = *state;
    static const char *const names[] = {"exec",
                                        "shell",
                                        "pty-req",
                                        "env",
                                        "subsystem",
                                        "x11-req",
                                        "auth-agent-req@openssh.com",
                                        "r@example.com"};
    nacre_channel *ch = NULL;
    stage_login(s);
    assert_int_equal(nacre_client_session(s->c, 20000, &ch), NACRE_OK);
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        assert_int_equal(nacre_channel_request(s->last, names[i], true, text_span("\0\0\0\0")),
                         NACRE_OK);
        nacre_driver_kick(s->d);
        until(s, &got.no, (unsigned)i + 1);
    }
    assert_int_equal(got.yes, 0);
    nacre_client_channel_free(s->c, ch);
    still_works(s);
}

#define T(f) cmocka_unit_test_setup_teardown(f, set_up, take_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(channels_that_nobody_asked_for),
        T(requests_that_no_client_answers),
        T(thousands_of_them),
        T(requests_on_our_own_channel),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
