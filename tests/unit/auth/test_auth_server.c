/*
 * test_auth_server.c - the userauth server against clients that do not keep to the rules.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../keys/keydata.h"
#include "auth/auth_state.h"
#include "fake_link.h"

#include <stdlib.h>
#include <string.h>

static nacre_key *key_a, *key_b, *rsa;
static rig s;
static nc_buf out, signature, data;

static int make_keys(void **state)
{
    (void)state;
    assert_int_equal(nacre_key_generate(&key_a, NULL, "ed25519", 0, NULL), NACRE_OK);
    assert_int_equal(nacre_key_generate(&key_b, NULL, "ed25519", 0, NULL), NACRE_OK);
    rsa = keydata_private("rsa2048");
    return 0;
}

static int free_keys(void **state)
{
    (void)state;
    nacre_key_free(key_a);
    nacre_key_free(key_b);
    nacre_key_free(rsa);
    nc_buf_clear(&out);
    return 0;
}

static void open_server(void)
{
    rig_init(&s, NACRE_SERVER);
    rig_start(&s);
}

static nacre_span none_request(const char *user)
{
    return pack(&out, "ysss", 50, user, "ssh-connection", "none");
}

static nacre_span password_request(const char *user, nacre_span password)
{
    return pack(&out, "ysssoS", 50, user, "ssh-connection", "password", 0, password);
}

static nacre_span interactive_request(void)
{
    return pack(&out, "ysssss", 50, "alice", "ssh-connection", "keyboard-interactive", "", "");
}

typedef struct signed_row {
    const char *user;        /* in the request */
    const char *signed_user; /* in what is signed */
    const char *algorithm;   /* in the request */
    const char *signed_algorithm;
    const char *signature_algorithm; /* by which it is made, and named in the blob */
    const nacre_key *offered;
    const nacre_key *signer;
    const char *session;
} signed_row;

/* A request whose every part can be a lie. */
static nacre_span signed_request(const signed_row *row)
{
    size_t at = 0;
    nacre_span session = row->session ? nc_span_cstr(row->session) : s.link.session_id;
    nc_buf_init(&data, NULL, NC_AUTH_MAX_SIGNED);
    nc_buf_init(&signature, NULL, NC_MAX_KEY_BLOB);
    nc_auth_claim claim = {.method = NC_AUTH_PUBLICKEY,
                           .user = row->signed_user,
                           .algorithm = nc_span_cstr(row->signed_algorithm),
                           .key = nacre_key_blob(row->offered)};
    assert_int_equal(nc_auth_signed_data(&data, session, &claim, &at), NACRE_OK);
    assert_int_equal(nc_key_sign_buf(row->signer, nc_span_cstr(row->signature_algorithm),
                                     nc_buf_span(&data), &signature),
                     NACRE_OK);
    nacre_span p = pack(&out, "ysssosSS", 50, row->user, "ssh-connection", "publickey", 1,
                        row->algorithm, nacre_key_blob(row->offered), nc_buf_span(&signature));
    nc_buf_clear(&data);
    nc_buf_clear(&signature);
    return p;
}

static signed_row honest(void)
{
    signed_row row = {"alice",       "alice", "ssh-ed25519", "ssh-ed25519",
                      "ssh-ed25519", key_a,   key_a,         NULL};
    return row;
}

/* A FAILURE went out, not partial, and the application was not asked. */
static void expect_refused(int rc)
{
    assert_int_equal(rc, NACRE_AGAIN);
    nacre_span p = rig_take(&s);
    assert_true(p.n > 1);
    assert_int_equal(p.p[0], SSH_MSG_USERAUTH_FAILURE);
    assert_int_equal(p.p[p.n - 1], 0);
    assert_int_equal(s.link.open_tickets, 0);
    assert_int_equal(s.authenticated, 0);
}

static void expect_asked(int rc, nacre_event_type type)
{
    assert_int_equal(rc, NACRE_OK);
    assert_int_equal(s.ev.type, type);
    assert_int_not_equal(s.ev.ticket, 0);
}

static void expect_fatal(int rc, int status)
{
    assert_int_equal(rc, status);
    assert_int_equal(s.status, status);
    assert_int_equal(s.by, NACRE_BY_PEER);
    assert_int_equal(s.authenticated, 0);
}

/* ---- signatures ------------------------------------------------------------------------------------- */

static void good_signature_is_asked_about(void **state)
{
    (void)state;
    open_server();
    signed_row row = honest();
    expect_asked(rig_step(&s, signed_request(&row)), NACRE_EVENT_AUTH_KEY);
    assert_true(nacre_key_equal(s.ev.u.auth.key, key_a));
    rig_clear(&s);
}

static void lying_signatures_are_refused_unasked(void **state)
{
    (void)state;
    signed_row lies[9];
    for (size_t i = 0; i < 9; i++) {
        lies[i] = honest();
    }
    lies[0].signer = key_b;        /* offer A, sign with B */
    lies[1].signed_user = "root";  /* a signature made for another user */
    lies[1].user = "alice";        /* ... */
    lies[2].session = "replayed";  /* ... for another session */
    lies[3].algorithm = "ssh-rsa"; /* key and algorithm differ */
    lies[4].algorithm = "rot13";
    lies[5].signed_algorithm = "rsa-sha2-512";
    lies[6].offered = lies[6].signer = rsa; /* the blob names another algorithm than the request */
    lies[6].algorithm = lies[6].signed_algorithm = "rsa-sha2-512";
    lies[6].signature_algorithm = "rsa-sha2-256";
    lies[7] = lies[6]; /* SHA-1 is not allowed unless configured */
    lies[7].algorithm = lies[7].signed_algorithm = lies[7].signature_algorithm = "ssh-rsa";
    lies[8].offered = rsa; /* RSA key under the name of Ed25519 */
    for (size_t i = 0; i < 9; i++) {
        open_server();
        expect_refused(rig_step(&s, signed_request(&lies[i])));
        rig_clear(&s);
    }
}

static void configured_algorithms_and_sizes_hold(void **state)
{
    (void)state;
    signed_row row = honest();
    row.offered = row.signer = rsa;
    row.algorithm = row.signed_algorithm = row.signature_algorithm = "rsa-sha2-256";
    open_server();
    expect_asked(rig_step(&s, signed_request(&row)), NACRE_EVENT_AUTH_KEY);
    rig_clear(&s);
    open_server();
    s.config.signature = "rsa-sha2-512,ssh-ed25519";
    expect_refused(rig_step(&s, signed_request(&row)));
    rig_clear(&s);
    open_server();
    s.config.min_rsa_bits = 3072;
    expect_refused(rig_step(&s, signed_request(&row)));
    rig_clear(&s);
}

static void every_byte_of_a_signature_counts(void **state)
{
    (void)state;
    signed_row row = honest();
    open_server();
    nacre_span good = signed_request(&row);
    for (size_t back = 1; back <= 64; back++) {
        uint8_t *copy = malloc(good.n);
        assert_non_null(copy);
        memcpy(copy, good.p, good.n);
        copy[good.n - back] ^= (uint8_t)(1u << (back & 7));
        s.config.max_auth_tries = 1000;
        expect_refused(rig_step(&s, nc_span(copy, good.n)));
        free(copy);
    }
    rig_clear(&s);
}

static void probe_lets_nobody_in(void **state)
{
    (void)state;
    open_server();
    nacre_span p = pack(&out, "ysssosS", 50, "alice", "ssh-connection", "publickey", 0,
                        "ssh-ed25519", nacre_key_blob(key_a));
    expect_asked(rig_step(&s, p), NACRE_EVENT_AUTH_KEY_PROBE);
    nacre_answer partial = {.accept = true, .partial = true};
    assert_int_equal(rig_answer(&s, &partial), NACRE_INVALID_ARGUMENT);
    assert_int_equal(rig_verdict(&s, true), NACRE_OK);
    nacre_span reply = rig_take(&s);
    nc_buf want;
    memset(&want, 0, sizeof(want));
    assert_true(nc_span_eq(reply, pack(&want, "ysS", 60, "ssh-ed25519", nacre_key_blob(key_a))));
    nc_buf_clear(&want);
    assert_int_equal(s.authenticated, 0);
    /* after A was accepted in a probe, a signature by B is B's: the application is told so */
    signed_row row = honest();
    row.offered = row.signer = key_b;
    expect_asked(rig_step(&s, signed_request(&row)), NACRE_EVENT_AUTH_KEY);
    assert_true(nacre_key_equal(s.ev.u.auth.key, key_b));
    assert_int_equal(rig_verdict(&s, true), NACRE_OK);
    assert_int_equal(rig_poll(&s), NACRE_OK);
    assert_int_equal(s.ev.type, NACRE_EVENT_AUTHENTICATED);
    assert_true(nacre_key_equal(s.ev.u.auth.key, key_b));
    rig_clear(&s);
}

/* The last line of defence: without the mark of a good signature, an accept is an error of ours. */
static void accept_without_proof_lets_nobody_in(void **state)
{
    (void)state;
    signed_row row = honest();
    open_server();
    expect_asked(rig_step(&s, signed_request(&row)), NACRE_EVENT_AUTH_KEY);
    nacre_key_free(s.auth->server.verified);
    s.auth->server.verified = NULL;
    assert_int_equal(rig_verdict(&s, true), NACRE_WRONG_STATE);
    assert_int_equal(s.by, NACRE_BY_US);
    assert_int_equal(s.authenticated, 0);
    assert_int_equal(s.sent_count, 0);
    rig_clear(&s);
}

/* ---- users, services, methods ------------------------------------------------------------------------- */

static void another_user_ends_it(void **state)
{
    (void)state;
    nacre_answer half = {.accept = true, .partial = true};
    open_server();
    expect_asked(rig_step(&s, password_request("alice", SPAN("x"))), NACRE_EVENT_AUTH_PASSWORD);
    assert_int_equal(rig_answer(&s, &half), NACRE_OK);
    expect_fatal(rig_step(&s, pack(&out, "ysssss", 50, "root", "ssh-connection",
                                   "keyboard-interactive", "", "")),
                 NACRE_PROTOCOL);
    rig_clear(&s);
    open_server();
    expect_fatal(rig_step(&s, pack(&out, "ysss", 50, "alice", "ssh-agent", "none")), NACRE_SERVICE);
    rig_clear(&s);
}

static void unfit_users_are_refused_unasked(void **state)
{
    (void)state;
    char huge[NC_MAX_USER + 2];
    memset(huge, 'u', sizeof(huge));
    const nacre_span users[] = {SPAN(""),         SPAN("ro\0ot"), SPAN("a\nb"),
                                SPAN("a\x1b[2J"), SPAN("a\x7f"),  nc_span(huge, NC_MAX_USER + 1)};
    for (size_t i = 0; i < sizeof(users) / sizeof(users[0]); i++) {
        open_server();
        expect_refused(rig_step(
            &s, pack(&out, "ySssoS", 50, users[i], "ssh-connection", "password", 0, SPAN("x"))));
        rig_clear(&s);
    }
    open_server();
    expect_asked(
        rig_step(&s, pack(&out, "ySss", 50, nc_span(huge, NC_MAX_USER), "ssh-connection", "none")),
        NACRE_EVENT_AUTH_NONE);
    rig_clear(&s);
}

static void unfit_passwords_are_refused_unasked(void **state)
{
    (void)state;
    size_t n = 1024 * 1024;
    char *big = malloc(n);
    assert_non_null(big);
    memset(big, 'p', n);
    const nacre_span bad[] = {nc_span(big, n), nc_span(big, NC_MAX_PASSWORD + 1),
                              SPAN("right\0junk")};
    for (size_t i = 0; i < 3; i++) {
        open_server();
        expect_refused(rig_step(&s, password_request("alice", bad[i])));
        expect_refused(rig_step(&s, pack(&out, "ysssoSS", 50, "alice", "ssh-connection", "password",
                                         1, SPAN("old"), bad[i])));
        rig_clear(&s);
    }
    open_server();
    expect_asked(rig_step(&s, password_request("alice", nc_span(big, NC_MAX_PASSWORD))),
                 NACRE_EVENT_AUTH_PASSWORD);
    rig_clear(&s);
    free(big);
}

static void methods_that_are_not_offered_are_refused_unasked(void **state)
{
    (void)state;
    rig_init(&s, NACRE_SERVER);
    s.config.auth_methods = "publickey";
    rig_start(&s);
    expect_refused(rig_step(&s, password_request("alice", SPAN("x"))));
    expect_refused(rig_step(&s, interactive_request()));
    expect_refused(rig_step(&s, pack(&out, "ysss", 50, "alice", "ssh-connection", "hostbased")));
    expect_refused(rig_step(&s, pack(&out, "ysss", 50, "alice", "ssh-connection", "")));
    rig_clear(&s);
}

static void silence_of_the_application_is_a_refusal(void **state)
{
    (void)state;
    nacre_answer zero;
    memset(&zero, 0, sizeof(zero));
    signed_row row = honest();
    open_server();
    assert_int_equal(rig_step(&s, signed_request(&row)), NACRE_OK);
    assert_int_equal(rig_answer(&s, &zero), NACRE_OK);
    expect_refused(NACRE_AGAIN);
    assert_int_equal(rig_step(&s, password_request("alice", SPAN("x"))), NACRE_OK);
    assert_int_equal(rig_answer(&s, &zero), NACRE_OK);
    expect_refused(NACRE_AGAIN);
    assert_int_equal(rig_step(&s, interactive_request()), NACRE_OK);
    assert_int_equal(rig_answer(&s, &zero), NACRE_OK);
    expect_refused(NACRE_AGAIN);
    rig_clear(&s);
}

/* ---- limits ---------------------------------------------------------------------------------------------- */

static void failures_are_counted(void **state)
{
    (void)state;
    open_server();
    assert_int_equal(rig_step(&s, none_request("alice")), NACRE_OK);
    assert_int_equal(rig_verdict(&s, false), NACRE_OK); /* the first none is free */
    expect_refused(NACRE_AGAIN);
    for (int i = 0; i < 5; i++) {
        assert_int_equal(rig_step(&s, password_request("alice", SPAN("x"))), NACRE_OK);
        assert_int_equal(rig_verdict(&s, false), NACRE_OK);
        expect_refused(NACRE_AGAIN);
    }
    assert_int_equal(rig_step(&s, none_request("alice")), NACRE_OK); /* the second is not */
    expect_fatal(rig_verdict(&s, false), NACRE_AUTH_LIMIT);
    assert_string_equal(s.text, "Too many authentication failures");
    rig_clear(&s);
}

static void accepted_probes_end_too(void **state)
{
    (void)state;
    open_server();
    int rc = NACRE_OK;
    int probes = 0;
    for (; rc == NACRE_OK && probes < 2000; probes++) {
        rc = rig_step(&s, pack(&out, "ysssosS", 50, "alice", "ssh-connection", "publickey", 0,
                               "ssh-ed25519", nacre_key_blob(key_a)));
        if (rc == NACRE_OK) {
            assert_int_equal(rig_verdict(&s, true), NACRE_OK);
        }
    }
    expect_fatal(rc, NACRE_AUTH_LIMIT);
    assert_int_equal(probes, NC_AUTH_MAX_REQUESTS);
    rig_clear(&s);
}

static void one_request_waits_a_second_does_not(void **state)
{
    (void)state;
    open_server();
    expect_asked(rig_step(&s, none_request("alice")), NACRE_EVENT_AUTH_NONE);
    uint32_t ticket = s.ev.ticket;
    assert_int_equal(rig_step(&s, password_request("alice", SPAN("second"))), NACRE_AGAIN);
    assert_int_equal(rig_poll(&s), NACRE_AGAIN);
    s.ev.ticket = ticket;
    assert_int_equal(rig_verdict(&s, false), NACRE_OK);
    expect_asked(rig_poll(&s), NACRE_EVENT_AUTH_PASSWORD);
    assert_true(nc_span_is(s.ev.u.auth.password, "second"));
    assert_int_equal(rig_step(&s, password_request("alice", SPAN("third"))), NACRE_AGAIN);
    expect_fatal(rig_step(&s, password_request("alice", SPAN("fourth"))), NACRE_PROTOCOL);
    rig_clear(&s);
    open_server();
    assert_int_equal(rig_step(&s, none_request("alice")), NACRE_OK);
    char *big = calloc(1, NC_AUTH_MAX_QUEUED + 1);
    assert_non_null(big);
    expect_fatal(rig_step(&s, password_request("alice", nc_span(big, NC_AUTH_MAX_QUEUED + 1))),
                 NACRE_OVERSIZED);
    free(big);
    rig_clear(&s);
}

static void queued_request_after_success_is_ignored(void **state)
{
    (void)state;
    open_server();
    assert_int_equal(rig_step(&s, password_request("alice", SPAN("x"))), NACRE_OK);
    uint32_t ticket = s.ev.ticket;
    assert_int_equal(rig_step(&s, none_request("alice")), NACRE_AGAIN);
    s.ev.ticket = ticket;
    assert_int_equal(rig_verdict(&s, true), NACRE_OK);
    size_t sent = s.sent_count;
    assert_int_equal(rig_poll(&s), NACRE_OK);
    assert_int_equal(s.ev.type, NACRE_EVENT_AUTHENTICATED);
    assert_int_equal(rig_step(&s, none_request("mallory")), NACRE_AGAIN);
    assert_int_equal(rig_step(&s, SPAN("\x32garbage")), NACRE_AGAIN);
    assert_int_equal(rig_poll(&s), NACRE_AGAIN);
    assert_int_equal(s.sent_count, sent);
    assert_int_equal(s.authenticated, 1);
    rig_clear(&s);
}

/* ---- keyboard-interactive ---------------------------------------------------------------------------------- */

static void ask_two(void)
{
    const nacre_prompt prompts[] = {{SPAN("a"), false}, {SPAN("b"), true}};
    nacre_answer ask = {.prompts = prompts, .prompt_count = 2};
    open_server();
    expect_asked(rig_step(&s, interactive_request()), NACRE_EVENT_AUTH_INTERACTIVE);
    assert_int_equal(rig_answer(&s, &ask), NACRE_OK);
}

static void response_counts_must_match(void **state)
{
    (void)state;
    const uint32_t counts[] = {0, 1, 3, 0x80000000u, 0xFFFFFFFFu};
    for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
        ask_two();
        expect_fatal(rig_step(&s, pack(&out, "yuss", 61, counts[i], "x", "y")), NACRE_PROTOCOL);
        rig_clear(&s);
    }
    ask_two();
    expect_fatal(rig_step(&s, pack(&out, "yus", 61, (uint32_t)2, "x")), NACRE_MALFORMED);
    rig_clear(&s);
    ask_two();
    expect_fatal(rig_step(&s, pack(&out, "yusss", 61, (uint32_t)2, "x", "y", "z")),
                 NACRE_MALFORMED);
    rig_clear(&s);
    ask_two();
    expect_asked(rig_step(&s, pack(&out, "yuss", 61, (uint32_t)2, "x", "y")),
                 NACRE_EVENT_AUTH_RESPONSES);
    rig_clear(&s);
}

static void responses_nobody_asked_for(void **state)
{
    (void)state;
    open_server();
    expect_fatal(rig_step(&s, pack(&out, "yu", 61, (uint32_t)0)), NACRE_OUT_OF_PLACE);
    rig_clear(&s);
    open_server();
    assert_int_equal(rig_step(&s, interactive_request()), NACRE_OK); /* asked, but not the client */
    expect_fatal(rig_step(&s, pack(&out, "yu", 61, (uint32_t)0)), NACRE_OUT_OF_PLACE);
    rig_clear(&s);
    ask_two(); /* a new request abandons the dialogue: late responses are nobody's */
    assert_int_equal(rig_step(&s, none_request("alice")), NACRE_OK);
    assert_int_equal(rig_verdict(&s, false), NACRE_OK);
    expect_fatal(rig_step(&s, pack(&out, "yuss", 61, (uint32_t)2, "x", "y")), NACRE_OUT_OF_PLACE);
    rig_clear(&s);
}

/* ---- every message, every truncation ------------------------------------------------------------------------ */

enum { STATE_FRESH, STATE_QUESTION, STATE_INFO, STATE_DONE, STATES };

static void bring_to(int state)
{
    if (state == STATE_INFO) {
        ask_two();
        return;
    }
    open_server();
    if (state != STATE_FRESH) {
        assert_int_equal(rig_step(&s, password_request("alice", SPAN("x"))), NACRE_OK);
    }
    if (state == STATE_DONE) {
        assert_int_equal(rig_verdict(&s, true), NACRE_OK);
        assert_int_equal(rig_poll(&s), NACRE_OK);
    }
}

static void every_message_in_every_state(void **state)
{
    (void)state;
    for (int where = 0; where < STATES; where++) {
        for (int number = 50; number < 80; number++) {
            bring_to(where);
            int logins = s.authenticated;
            int rc = rig_step(&s, pack(&out, "yuus", number, (uint32_t)0, (uint32_t)0, "x"));
            bool ignored = number == 50 && (where == STATE_DONE || where == STATE_QUESTION);
            if (ignored) {
                assert_int_equal(rc, NACRE_AGAIN);
            } else {
                assert_true(rc != NACRE_OK && rc != NACRE_AGAIN);
                assert_int_equal(rc, s.status);
            }
            if (number != 50 && !(number == 61 && where == STATE_INFO)) {
                assert_int_equal(rc, NACRE_OUT_OF_PLACE);
            }
            assert_int_equal(s.authenticated, logins);
            rig_clear(&s);
        }
    }
    rig_init(&s, NACRE_SERVER); /* before the service was asked for */
    assert_int_equal(rig_open(&s), NACRE_OK);
    expect_fatal(rig_step(&s, none_request("alice")), NACRE_OUT_OF_PLACE);
    rig_clear(&s);
}

static void truncated_anywhere_is_malformed(void **state)
{
    (void)state;
    signed_row row = honest();
    for (int kind = 0; kind < 4; kind++) {
        for (size_t cut = 1;; cut++) {
            open_server();
            nacre_span p = kind == 0   ? signed_request(&row)
                           : kind == 1 ? interactive_request()
                           : kind == 2 ? password_request("alice", SPAN("secret"))
                                       : none_request("alice");
            size_t whole = p.n;
            if (cut < whole) {
                expect_fatal(rig_step(&s, nc_span(p.p, cut)), NACRE_MALFORMED);
            }
            rig_clear(&s);
            if (cut >= whole) {
                break;
            }
        }
    }
    open_server();
    expect_fatal(rig_step(&s, pack(&out, "ysssy", 50, "a", "ssh-connection", "none", 0)),
                 NACRE_MALFORMED);
    rig_clear(&s);
    open_server(); /* a signature behind a request that says it has none */
    expect_fatal(rig_step(&s, pack(&out, "ysssosSs", 50, "a", "ssh-connection", "publickey", 0,
                                   "ssh-ed25519", nacre_key_blob(key_a), "x")),
                 NACRE_MALFORMED);
    rig_clear(&s);
}

/* Valid requests with a few bytes changed: whatever they become, an application that refuses lets
 * nobody in, and no signature that was touched is ever asked about. */
static void damaged_requests_lead_nowhere(void **state)
{
    (void)state;
    enum { HAS_SIGNATURE = 1 + 4 + 5 + 4 + 14 + 4 + 9 };
    uint32_t seed = 0x6e616372;
    signed_row row = honest();
    for (int round = 0; round < 3000; round++) {
        open_server();
        nacre_span p = round % 3 == 0   ? signed_request(&row)
                       : round % 3 == 1 ? interactive_request()
                                        : password_request("alice", SPAN("secret"));
        for (int i = 0; i < 1 + round % 3; i++) {
            seed = seed * 1664525u + 1013904223u;
            size_t at = 1 + (seed >> 8) % (p.n - 1);
            if (at != HAS_SIGNATURE) { /* every non-zero byte there is TRUE (RFC 4251 5) */
                out.data[at] = (uint8_t)(seed >> 24);
            }
        }
        int rc = rig_step(&s, nc_buf_span(&out));
        if (rc == NACRE_OK) {
            if (s.ev.type == NACRE_EVENT_AUTH_KEY) {
                nc_buf damaged = out;
                memset(&out, 0, sizeof(out));
                assert_true(nc_span_eq(signed_request(&row), nc_buf_span(&damaged)));
                nc_buf_clear(&damaged);
            }
            assert_int_equal(rig_verdict(&s, false), NACRE_OK);
        } else {
            assert_true(rc == NACRE_AGAIN || rc == s.status);
        }
        assert_int_equal(s.authenticated, 0);
        rig_clear(&s);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good_signature_is_asked_about),
        cmocka_unit_test(lying_signatures_are_refused_unasked),
        cmocka_unit_test(configured_algorithms_and_sizes_hold),
        cmocka_unit_test(every_byte_of_a_signature_counts),
        cmocka_unit_test(probe_lets_nobody_in),
        cmocka_unit_test(accept_without_proof_lets_nobody_in),
        cmocka_unit_test(another_user_ends_it),
        cmocka_unit_test(unfit_users_are_refused_unasked),
        cmocka_unit_test(unfit_passwords_are_refused_unasked),
        cmocka_unit_test(methods_that_are_not_offered_are_refused_unasked),
        cmocka_unit_test(silence_of_the_application_is_a_refusal),
        cmocka_unit_test(failures_are_counted),
        cmocka_unit_test(accepted_probes_end_too),
        cmocka_unit_test(one_request_waits_a_second_does_not),
        cmocka_unit_test(queued_request_after_success_is_ignored),
        cmocka_unit_test(response_counts_must_match),
        cmocka_unit_test(responses_nobody_asked_for),
        cmocka_unit_test(every_message_in_every_state),
        cmocka_unit_test(truncated_anywhere_is_malformed),
        cmocka_unit_test(damaged_requests_lead_nowhere),
    };
    return cmocka_run_group_tests_name("userauth server", tests, make_keys, free_keys);
}
