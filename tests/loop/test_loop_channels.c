/*
 * Peers that are logged in and break the rules of channels (RFC 4254), in both roles: a request or a channel fails
 * with its reason, or the connection ends with a stated cause that the offender is told. The offender's packets are
 * put past its own engine; where the answer would confuse that engine, it is not delivered.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "channel/internal.h"
#include "hostile.h"

enum { WINDOW = 3000, PACKET = 2000, MOST = 4096 };

/* ---- one connection with one channel, whose number is 0 at both ends ------------------------------- */

typedef struct scene {
    pair p;
    int who, victim; /* who: the offender */
    nacre_channel *of_victim;
    unsigned data, other;   /* events of the victim's channel */
    uint32_t tickets[MOST]; /* questions that the victim leaves open */
    size_t asked;
} scene;

/* The application takes the first channel and all data; every other question stays open. */
static bool watch(pair *p, int who, const nacre_event *ev)
{
    scene *s = p->user;
    if (ev->type == NACRE_EVENT_CHANNEL_OPEN && !s->of_victim) {
        assert_int_equal(nacre_transport_accept(p->end[who].t, ev->ticket), NACRE_OK);
        s->of_victim = who == s->victim ? ev->channel : s->of_victim;
        return true;
    }
    if (who != s->victim || nacre_transport_authenticated(p->end[who].t) == false) {
        return ev->channel != NULL;
    }
    if (ev->type == NACRE_EVENT_CHANNEL_DATA) {
        s->data++;
        (void)nacre_channel_consumed(ev->channel, ev->u.data.bytes.n);
    } else if (ev->channel) {
        s->other++;
    }
    if (ev->ticket && s->asked < MOST) {
        s->tickets[s->asked++] = ev->ticket;
    }
    return ev->channel != NULL || ev->ticket != 0;
}

static void scene_start(scene *s, int who)
{
    memset(s, 0, sizeof(*s));
    s->who = who;
    s->victim = 1 - who;
    pair *p = &s->p;
    pair_init(p, 50);
    p->no_channels = true;
    p->hook = watch;
    p->user = s;
    for (int i = 0; i < 2; i++) {
        p->config[i].window = WINDOW;
        p->config[i].max_packet = PACKET;
    }
    assert_int_equal(pair_start(p, NULL), NACRE_OK);
    pair_run(p);
    nacre_channel *ch = NULL;
    assert_int_equal(nacre_channel_open_session(p->end[NACRE_CLIENT].t, &ch), NACRE_OK);
    pair_run(p);
    if (s->victim == NACRE_CLIENT) {
        s->of_victim = ch; /* not before: the hook takes channels while there is none */
    }
    assert_non_null(s->of_victim);
    assert_int_equal(nacre_channel_id(s->of_victim), 0);
    s->other = 0;
}

static void scene_end(scene *s)
{
    pair_free(&s->p);
}

#define say(s, ...) hostile_say(&(s)->p, (s)->who, __VA_ARGS__)

/* The victim is well, and goes on being well; its answers are not delivered. */
static void survives(scene *s)
{
    s->p.frozen[s->victim] = true;
    pair_run(&s->p);
    if (hostile_error(&s->p, s->victim)->status != NACRE_OK) {
        print_error("%s\n", hostile_error(&s->p, s->victim)->text);
    }
    assert_int_equal(hostile_error(&s->p, s->victim)->status, NACRE_OK);
    assert_int_equal(s->p.end[s->victim].seen[NACRE_EVENT_DISCONNECTED], 0);
}

/* ---- what ends the connection ------------------------------------------------------------------------ */

typedef void (*offence_fn)(scene *s);

static void overrun_at_once(scene *s)
{
    say(s, SSH_MSG_CHANNEL_DATA, "u*", 0u, PACKET);
    say(s, SSH_MSG_CHANNEL_DATA, "u*", 0u, (unsigned)(WINDOW - PACKET + 1));
    nacre_channel_free(s->of_victim); /* nothing is consumed: no adjust can come between */
}

static void packet_above_the_maximum(scene *s)
{
    say(s, SSH_MSG_CHANNEL_DATA, "u*", 0u, PACKET + 1);
}

static void overrun_behind_eof(scene *s)
{
    say(s, SSH_MSG_CHANNEL_EOF, "u", 0u);
    say(s, SSH_MSG_CHANNEL_DATA, "u*", 0u, PACKET);
    say(s, SSH_MSG_CHANNEL_DATA, "u*", 0u, PACKET);
}

static void extended_overrun(scene *s)
{
    say(s, SSH_MSG_CHANNEL_EXTENDED_DATA, "uu*", 0u, 1u, PACKET + 1);
}

static void adjust_that_overflows(scene *s)
{
    say(s, SSH_MSG_CHANNEL_WINDOW_ADJUST, "uu", 0u, 0xFFFFFFFFu);
}

static void adjusts_that_add_up(scene *s)
{
    say(s, SSH_MSG_CHANNEL_WINDOW_ADJUST, "uu", 0u, 0x80000000u);
    say(s, SSH_MSG_CHANNEL_WINDOW_ADJUST, "uu", 0u, 0x80000000u);
}

static void open_with_no_packet_size(scene *s)
{
    say(s, SSH_MSG_CHANNEL_OPEN, "suuu", "x@example.com", 7u, 1000u, 0u);
}

static void open_with_a_tiny_packet_size(scene *s)
{
    say(s, SSH_MSG_CHANNEL_OPEN, "suuu", "x@example.com", 7u, 1000u, 63u);
}

static void data_after_close(scene *s)
{
    say(s, SSH_MSG_CHANNEL_CLOSE, "u", 0u);
    say(s, SSH_MSG_CHANNEL_DATA, "us", 0u, "late");
}

static void request_after_close(scene *s)
{
    say(s, SSH_MSG_CHANNEL_CLOSE, "u", 0u);
    say(s, SSH_MSG_CHANNEL_REQUEST, "usb", 0u, "late@example.com", 1);
}

static void eof_after_close(scene *s)
{
    say(s, SSH_MSG_CHANNEL_CLOSE, "u", 0u);
    say(s, SSH_MSG_CHANNEL_EOF, "u", 0u);
}

static void close_twice(scene *s)
{
    say(s, SSH_MSG_CHANNEL_CLOSE, "u", 0u);
    say(s, SSH_MSG_CHANNEL_CLOSE, "u", 0u);
}

static void close_twice_while_held(scene *s)
{
    assert_int_equal(nacre_channel_hold_close(s->of_victim, true), NACRE_OK);
    close_twice(s);
}

static void data_after_a_held_close(scene *s)
{
    assert_int_equal(nacre_channel_hold_close(s->of_victim, true), NACRE_OK);
    data_after_close(s);
}

static void data_nowhere(scene *s)
{
    say(s, SSH_MSG_CHANNEL_DATA, "us", 99u, "who?");
}

static void request_nowhere(scene *s)
{
    say(s, SSH_MSG_CHANNEL_REQUEST, "usb", 0xFFFFFFFFu, "r@example.com", 1);
}

static void adjust_nowhere(scene *s)
{
    say(s, SSH_MSG_CHANNEL_WINDOW_ADJUST, "uu", 1u, 1u);
}

static void close_nowhere(scene *s)
{
    say(s, SSH_MSG_CHANNEL_CLOSE, "u", 1u);
}

static void success_never_asked_for(scene *s)
{
    say(s, SSH_MSG_CHANNEL_SUCCESS, "u", 0u);
}

static void failure_never_asked_for(scene *s)
{
    say(s, SSH_MSG_CHANNEL_FAILURE, "u", 0u);
}

static void one_answer_too_many(scene *s)
{
    assert_int_equal(nacre_channel_request(s->of_victim, "r@example.com", true, nc_span(NULL, 0)),
                     NACRE_OK);
    say(s, SSH_MSG_CHANNEL_SUCCESS, "u", 0u);
    say(s, SSH_MSG_CHANNEL_SUCCESS, "u", 0u);
}

static void global_success_never_asked_for(scene *s)
{
    say(s, SSH_MSG_REQUEST_SUCCESS, "");
}

static void global_failure_never_asked_for(scene *s)
{
    say(s, SSH_MSG_REQUEST_FAILURE, "");
}

static void confirmation_never_asked_for(scene *s)
{
    say(s, SSH_MSG_CHANNEL_OPEN_CONFIRMATION, "uuuu", 1u, 0u, 1000u, 1000u);
}

static void confirmation_twice(scene *s)
{
    say(s, SSH_MSG_CHANNEL_OPEN_CONFIRMATION, "uuuu", 0u, 5u, 1000u, 1000u);
}

static void refusal_of_an_open_channel(scene *s)
{
    say(s, SSH_MSG_CHANNEL_OPEN_FAILURE, "uuss", 0u, 1u, "no", "");
}

static void more_questions_than_there_may_be(scene *s)
{
    for (int i = 0; i <= NC_MAX_CHANNEL_ANSWERS; i++) {
        say(s, SSH_MSG_CHANNEL_REQUEST, "usb", 0u, "r@example.com", 1);
    }
}

static void more_global_questions_than_there_may_be(scene *s)
{
    for (int i = 0; i <= NC_MAX_GLOBAL_ANSWERS; i++) {
        say(s, SSH_MSG_GLOBAL_REQUEST, "sb", "g@example.com", 1);
    }
}

static const struct offence_row {
    const char *name;
    offence_fn commit;
    int status;
    const char *text; /* that the victim says, and the offender hears */
} offences[] = {
    {"overrun", overrun_at_once, NACRE_WINDOW, "the window had only"},
    {"overrun behind eof", overrun_behind_eof, NACRE_WINDOW, "the window had only"},
    {"packet", packet_above_the_maximum, NACRE_WINDOW, "at most 2000"},
    {"extended", extended_overrun, NACRE_WINDOW, "at most 2000"},
    {"overflow", adjust_that_overflows, NACRE_PROTOCOL, "above 2^32-1"},
    {"overflow in two", adjusts_that_add_up, NACRE_PROTOCOL, "above 2^32-1"},
    {"packet 0", open_with_no_packet_size, NACRE_PROTOCOL, "maximum packet size of 0"},
    {"packet 63", open_with_a_tiny_packet_size, NACRE_PROTOCOL, "maximum packet size of 63"},
    {"data after close", data_after_close, NACRE_PROTOCOL, "CHANNEL_DATA for channel 0"},
    {"request after close", request_after_close, NACRE_PROTOCOL, "CHANNEL_REQUEST for channel 0"},
    {"eof after close", eof_after_close, NACRE_PROTOCOL, "CHANNEL_EOF for channel 0"},
    {"close twice", close_twice, NACRE_PROTOCOL, "CHANNEL_CLOSE for channel 0"},
    {"close twice, held", close_twice_while_held, NACRE_PROTOCOL, "which the peer has closed"},
    {"data, held", data_after_a_held_close, NACRE_PROTOCOL, "which the peer has closed"},
    {"data nowhere", data_nowhere, NACRE_PROTOCOL, "channel 99, which does not exist"},
    {"request nowhere", request_nowhere, NACRE_PROTOCOL, "channel 4294967295"},
    {"adjust nowhere", adjust_nowhere, NACRE_PROTOCOL, "channel 1, which does not exist"},
    {"close nowhere", close_nowhere, NACRE_PROTOCOL, "channel 1, which does not exist"},
    {"success", success_never_asked_for, NACRE_PROTOCOL, "no request waits"},
    {"failure", failure_never_asked_for, NACRE_PROTOCOL, "no request waits"},
    {"one more success", one_answer_too_many, NACRE_PROTOCOL, "no request waits"},
    {"global success", global_success_never_asked_for, NACRE_PROTOCOL, "no global request waits"},
    {"global failure", global_failure_never_asked_for, NACRE_PROTOCOL, "no global request waits"},
    {"confirmation", confirmation_never_asked_for, NACRE_PROTOCOL, "does not exist"},
    {"second confirmation", confirmation_twice, NACRE_PROTOCOL, "open already"},
    {"late refusal", refusal_of_an_open_channel, NACRE_PROTOCOL, "open already"},
    {"64 questions", more_questions_than_there_may_be, NACRE_PROTOCOL, "without waiting"},
    {"256 questions", more_global_questions_than_there_may_be, NACRE_PROTOCOL, "without waiting"},
};

static void test_offences_that_end_the_connection(void **state)
{
    (void)state;
    for (int who = 0; who < 2; who++) {
        for (size_t i = 0; i < sizeof(offences) / sizeof(offences[0]); i++) {
            const struct offence_row *row = &offences[i];
            scene s;
            scene_start(&s, who);
            row->commit(&s);
            pair_run(&s.p);
            const nacre_error *said = hostile_error(&s.p, s.victim);
            const nacre_error *heard = hostile_error(&s.p, who);
            if (said->status != row->status || !strstr(said->text, row->text) ||
                heard->status != NACRE_PEER_DISCONNECTED || !strstr(heard->text, row->text)) {
                print_error("%s by %d: %s: %s; heard: %s\n", row->name, who,
                            nacre_status_symbol(said->status), said->text, heard->text);
            }
            hostile_end(&s.p, s.victim, row->status);
            assert_int_equal(said->by, NACRE_BY_PEER);
            assert_non_null(strstr(said->text, row->text));
            assert_int_equal(heard->status, NACRE_PEER_DISCONNECTED);
            assert_non_null(strstr(heard->text, row->text));
            scene_end(&s);
        }
    }
}

/* ---- what only the channel, or the request, has to bear ------------------------------------------------ */

static void test_data_after_eof_is_dropped(void **state)
{
    (void)state;
    for (int who = 0; who < 2; who++) {
        scene s;
        scene_start(&s, who);
        say(&s, SSH_MSG_CHANNEL_EOF, "u", 0u);
        say(&s, SSH_MSG_CHANNEL_EOF, "u", 0u);
        /* No window comes back behind an EOF, so that this has an end: what it had left is dropped. */
        for (int i = 0; i < WINDOW / 1000; i++) {
            say(&s, SSH_MSG_CHANNEL_DATA, "u*", 0u, 1000u);
        }
        survives(&s);
        assert_int_equal(s.data, 0);
        assert_int_equal(s.other, 1); /* one EOF */
        scene_end(&s);
    }
}

static void test_unknown_data_is_dropped(void **state)
{
    (void)state;
    static const unsigned kinds[] = {0, 2, 0x80000000u, 0xFFFFFFFFu};
    for (int who = 0; who < 2; who++) {
        scene s;
        scene_start(&s, who);
        for (size_t i = 0; i < 4; i++) {
            say(&s, SSH_MSG_CHANNEL_EXTENDED_DATA, "uus", 0u, kinds[i], "odd");
        }
        survives(&s);
        assert_int_equal(s.data, 0);
        scene_end(&s);
    }
}

/* Types that the other role serves, and names that are none, never come to the application. */
static void test_opens_that_are_refused_unasked(void **state)
{
    (void)state;
    static const char *const to_client[] = {
        "session", "direct-tcpip", "direct-streamlocal@openssh.com", "tun@openssh.com", "two words",
        "",        "esc\x1b@x"};
    static const char *const to_server[] = {"forwarded-tcpip",
                                            "forwarded-streamlocal@openssh.com",
                                            "x11",
                                            "auth-agent@openssh.com",
                                            "two words",
                                            "",
                                            "esc\x1b@x"};
    for (int who = 0; who < 2; who++) {
        scene s;
        scene_start(&s, who);
        size_t before = s.asked;
        for (size_t i = 0; i < 7; i++) {
            const char *type = who == NACRE_SERVER ? to_client[i] : to_server[i];
            say(&s, SSH_MSG_CHANNEL_OPEN, "suuu", type, 7u, 1000u, 1000u);
        }
        survives(&s);
        assert_int_equal(s.asked, before);
        assert_int_equal(s.p.end[s.victim].core->link.open_tickets, 0);
        scene_end(&s);
    }
}

/* What nobody wants to hear of: no memory, no answer, no end. */
static void test_requests_that_ask_nothing(void **state)
{
    (void)state;
    for (int who = 0; who < 2; who++) {
        scene s;
        scene_start(&s, who);
        uint64_t sent = s.p.end[s.victim].sent;
        for (int i = 0; i < 3000; i++) {
            say(&s, SSH_MSG_CHANNEL_REQUEST, "usb", 0u, "r@example.com", 0);
            say(&s, SSH_MSG_GLOBAL_REQUEST, "sb", "g@example.com", 0);
            say(&s, SSH_MSG_CHANNEL_WINDOW_ADJUST, "uu", 0u, 0u);
        }
        survives(&s);
        assert_int_equal(s.p.end[s.victim].sent, sent);
        assert_int_equal(s.asked, 0);
        scene_end(&s);
    }
}

/* ---- thousands of opens at once -------------------------------------------------------------------------- */

enum { OPENS = 5000 };

static void test_thousands_of_opens(void **state)
{
    (void)state;
    for (int who = 0; who < 2; who++) {
        scene *s = calloc(1, sizeof(*s));
        assert_non_null(s);
        s->who = who;
        s->victim = 1 - who;
        pair_init(&s->p, 51);
        s->p.no_channels = true;
        s->p.hook = watch;
        s->p.user = s;
        s->p.config[who].max_channels = 2 * OPENS;
        assert_int_equal(pair_start(&s->p, NULL), NACRE_OK);
        pair_run(&s->p);
        nacre_channel *first = NULL;
        for (int i = 0; i < OPENS; i++) {
            nacre_channel *ch = NULL;
            assert_int_equal(nacre_channel_open(s->p.end[who].t, "many@example.com",
                                                nc_span(NULL, 0), 0, 0, &ch),
                             NACRE_OK);
            first = first ? first : ch;
        }
        pair_run(&s->p);
        /* One was taken, 255 wait for an answer, and the others were refused. */
        const pair_end *them = &s->p.end[who];
        assert_int_equal(them->seen[NACRE_EVENT_CHANNEL_OPENED], 1);
        assert_int_equal(them->seen[NACRE_EVENT_CHANNEL_FAILED], OPENS - NC_DEFAULT_CHANNELS);
        assert_int_equal(s->asked, NC_DEFAULT_CHANNELS - 1);
        /* Each that is refused makes room for another. */
        for (size_t i = 0; i < s->asked; i++) {
            assert_int_equal(nacre_transport_refuse(s->p.end[s->victim].t, s->tickets[i]),
                             NACRE_OK);
        }
        s->asked = 0;
        pair_run(&s->p);
        nacre_channel_free(first);
        pair_run(&s->p);
        assert_int_equal(them->seen[NACRE_EVENT_CHANNEL_FAILED], OPENS - 1);
        assert_int_equal(hostile_error(&s->p, 0)->status, NACRE_OK);
        assert_int_equal(hostile_error(&s->p, 1)->status, NACRE_OK);
        scene_end(s);
        free(s);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_offences_that_end_the_connection),
        cmocka_unit_test(test_data_after_eof_is_dropped),
        cmocka_unit_test(test_unknown_data_is_dropped),
        cmocka_unit_test(test_opens_that_are_refused_unasked),
        cmocka_unit_test(test_requests_that_ask_nothing),
        cmocka_unit_test(test_thousands_of_opens),
    };
    return cmocka_run_group_tests(tests, NULL, hostile_cleanup);
}
