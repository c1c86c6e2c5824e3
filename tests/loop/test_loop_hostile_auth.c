/*
 * Logins that cheat, between whole engines: users and services that change in mid-login, keys that are offered and
 * others that sign, halves of a login spent twice or elsewhere, and servers that say SUCCESS to what proved nothing.
 * The rows say what is sent, what the application would answer if it were asked, and what comes of it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "auth/auth_state.h"
#include "hostile.h"

static nacre_key *keys[3]; /* A, B and a third one */

static int make_keys(void **state)
{
    (void)state;
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(nacre_key_generate(&keys[i], NULL, "ed25519", 0, NULL), NACRE_OK);
    }
    return 0;
}

static int free_keys(void **state)
{
    for (size_t i = 0; i < 3; i++) {
        nacre_key_free(keys[i]);
    }
    return hostile_cleanup(state);
}

/* ---- a client that cheats -------------------------------------------------------------------------------- */

typedef enum verdict {
    UNASKED, /* the application must not be asked */
    NO,
    YES,
    HALF,    /* a partial success; another method has to follow */
    ANOTHER, /* the same; another key will do */
    LATER    /* the question stays open */
} verdict;

typedef enum reply { FAILS, PARTIAL, PK_OK, SUCCEEDS, ENDS, SILENCE } reply;

typedef struct request_row {
    const char *
        method; /* "none", "password", "publickey" (signed), "probe", "service" ...; NULL: no more */
    const char *user;    /* NULL: "alice" */
    const char *service; /* NULL: "ssh-connection" */
    int offer, signer;   /* of keys */
    verdict app;
    reply wanted;
} request_row;

enum { MOST_REQUESTS = 6, MOST_REPLIES = 16, SIGNED_ROOM = 1024 };

typedef struct cheat_row {
    const char *name;
    request_row requests[MOST_REQUESTS];
    int status; /* of the server afterwards */
    int signer; /* by whose key the user is in, by AUTHENTICATED; -1: nobody, or no key */
} cheat_row;

typedef struct scene {
    pair p;
    verdict app;
    unsigned asked;
    uint32_t open_ticket;
    uint8_t replies[MOST_REPLIES]; /* message numbers */
    bool partial;                  /* of the last FAILURE */
    size_t reply_count;
    const nacre_key *in; /* of AUTHENTICATED */
    unsigned logins;
    uint8_t kept[SIGNED_ROOM]; /* the last signed request, as it was */
    size_t kept_n;
} scene;

static int record(void *ctx, uint8_t number, nc_rd *r, nacre_event *ev)
{
    scene *s = ctx;
    nacre_span rest = nc_rd_rest(r);
    (void)ev;
    assert_true(s->reply_count < MOST_REPLIES);
    s->replies[s->reply_count++] = number;
    s->partial = rest.n > 0 && rest.p[rest.n - 1] != 0;
    return NACRE_AGAIN;
}

static void give_verdict(scene *s, uint32_t ticket, verdict v)
{
    const nacre_answer answer = {.accept = v != NO,
                                 .partial = v == HALF || v == ANOTHER,
                                 .methods = v == ANOTHER ? "publickey" : NULL};
    assert_int_equal(nacre_transport_answer(s->p.end[NACRE_SERVER].t, ticket, &answer), NACRE_OK);
}

static bool judge(pair *p, int who, const nacre_event *ev)
{
    scene *s = p->user;
    if (who == NACRE_SERVER && ev->type == NACRE_EVENT_AUTHENTICATED) {
        s->logins++;
        s->in = ev->u.auth.key;
    }
    if (who != NACRE_SERVER || !ev->ticket) {
        return false;
    }
    s->asked++;
    s->open_ticket = ev->ticket;
    if (s->app != LATER) {
        give_verdict(s, ev->ticket, s->app);
    }
    return true;
}

/* The client's own machine hears nothing of the replies: it did not ask. */
static void start(scene *s, uint64_t seed)
{
    static const nc_service deaf = {.packet = record};
    memset(s, 0, sizeof(*s));
    pair_init(&s->p, seed);
    s->p.no_login = true;
    s->p.hook = judge;
    s->p.user = s;
    s->p.config[1].announce_host_keys = false; /* nothing comes behind SUCCESS */
    s->p.config[0].kex = "curve25519-sha256";
    assert_int_equal(pair_start(&s->p, NULL), NACRE_OK);
    pair_run(&s->p);
    s->p.end[0].core->userauth = deaf;
    s->p.end[0].core->userauth.ctx = s;
}

static void say_signed(scene *s, const request_row *row, const char *user, const char *service)
{
    size_t at = 0;
    nc_buf data, signature;
    nacre_span algorithm = nc_span_cstr("ssh-ed25519");
    nc_buf_init(&data, NULL, SIGNED_ROOM);
    nc_buf_init(&signature, NULL, SIGNED_ROOM);
    nc_auth_claim claim = {.method = NC_AUTH_PUBLICKEY,
                           .user = user,
                           .algorithm = algorithm,
                           .key = nacre_key_blob(keys[row->offer])};
    assert_int_equal(nc_auth_signed_data(&data, s->p.end[0].core->link.session_id, &claim, &at),
                     NACRE_OK);
    assert_int_equal(nc_key_sign_buf(keys[row->signer], algorithm, nc_buf_span(&data), &signature),
                     NACRE_OK);
    if (strcmp(service, nc_auth_service_wanted) == 0) {
        nc_wr w = nc_wr_init(&data);
        nc_wr_str(&w, nc_buf_span(&signature));
        s->kept_n = data.len - at;
        assert_true(nc_wr_err(&w) == NACRE_OK && s->kept_n <= sizeof(s->kept));
        memcpy(s->kept, data.data + at, s->kept_n);
        pair_inject(&s->p, NACRE_CLIENT, s->kept, s->kept_n);
    } else {
        hostile_say(&s->p, 0, 50, "sssbSSS", user, service, "publickey", 1, algorithm, claim.key,
                    nc_buf_span(&signature));
    }
    nc_buf_clear(&data);
    nc_buf_clear(&signature);
}

static void say(scene *s, const request_row *row)
{
    const char *user = row->user ? row->user : "alice";
    const char *service = row->service ? row->service : nc_auth_service_wanted;
    if (strcmp(row->method, "publickey") == 0) {
        say_signed(s, row, user, service);
    } else if (strcmp(row->method, "again") == 0) { /* the signed one, bit for bit */
        pair_inject(&s->p, NACRE_CLIENT, s->kept, s->kept_n);
    } else if (strcmp(row->method, "probe") == 0) {
        hostile_say(&s->p, 0, 50, "sssbsS", user, service, "publickey", 0, "ssh-ed25519",
                    nacre_key_blob(keys[row->offer]));
    } else if (strcmp(row->method, "password") == 0) {
        hostile_say(&s->p, 0, 50, "sssbs", user, service, row->method, 0, "open sesame");
    } else if (strcmp(row->method, "keyboard-interactive") == 0) {
        hostile_say(&s->p, 0, 50, "sssss", user, service, row->method, "", "");
    } else if (strcmp(row->method, "response") == 0) {
        hostile_say(&s->p, 0, 61, "u", 0U);
    } else if (strcmp(row->method, "verdict") == 0) { /* of the question that is still open */
        give_verdict(s, s->open_ticket, row->app);
    } else {
        hostile_say(&s->p, 0, 50, "sss", user, service, row->method);
    }
}

static const uint8_t reply_numbers[] = {SSH_MSG_USERAUTH_FAILURE, SSH_MSG_USERAUTH_FAILURE, 60,
                                        SSH_MSG_USERAUTH_SUCCESS};

static void one_request(scene *s, const cheat_row *cheat, const request_row *row)
{
    unsigned asked = s->asked;
    size_t replies = s->reply_count;
    s->app = row->app;
    say(s, row);
    pair_run(&s->p);
    bool over = hostile_over(&s->p, NACRE_SERVER);
    size_t got = s->reply_count - replies;
    uint8_t number = got ? s->replies[s->reply_count - 1] : 0;
    /* Where the question before it was open, its refusal goes out first. */
    bool as_wanted = row->wanted == ENDS      ? over && number != SSH_MSG_USERAUTH_SUCCESS
                     : row->wanted == SILENCE ? !over && got == 0
                                              : !over && got == 1;
    if (!as_wanted || (row->wanted < ENDS && number != reply_numbers[row->wanted])) {
        fail_msg("%s, request %d (%s): %zu replies, the last is %u; %s", cheat->name,
                 (int)(row - cheat->requests) + 1, row->method, got, number,
                 hostile_error(&s->p, NACRE_SERVER)->text);
    }
    if (row->wanted < ENDS && number == SSH_MSG_USERAUTH_FAILURE) {
        assert_int_equal(s->partial, row->wanted == PARTIAL);
    }
    if (row->app == UNASKED && s->asked != asked) {
        fail_msg("%s: the application was asked about %s", cheat->name, row->method);
    }
}

enum { A, B, C };
#define BY_A .offer = A, .signer = A
#define BY_B .offer = B, .signer = B

static const cheat_row cheats[] = {
    {"honest by password", {{"password", .app = YES, .wanted = SUCCEEDS}}, NACRE_OK, -1},
    {"honest by key", {{"publickey", BY_A, .app = YES, .wanted = SUCCEEDS}}, NACRE_OK, A},
    /* RFC 4252 5: what was earned for one user is never spent by another */
    {"user changes after none",
     {{"none", .app = NO, .wanted = FAILS},
      {"password", .user = "root", .app = UNASKED, .wanted = ENDS}},
     NACRE_PROTOCOL,
     -1},
    {"user changes after a failure",
     {{"password", .app = NO, .wanted = FAILS},
      {"password", .user = "root", .app = UNASKED, .wanted = ENDS}},
     NACRE_PROTOCOL,
     -1},
    {"user changes after half a login",
     {{"password", .app = HALF, .wanted = PARTIAL},
      {"publickey", .user = "root", BY_A, .app = UNASKED, .wanted = ENDS}},
     NACRE_PROTOCOL,
     -1},
    {"user changes after the probe",
     {{"probe", BY_A, .app = YES, .wanted = PK_OK},
      {"publickey", .user = "root", BY_A, .app = UNASKED, .wanted = ENDS}},
     NACRE_PROTOCOL,
     -1},
    {"user changes while the question is open",
     {{"password", .app = LATER, .wanted = SILENCE},
      {"password", .user = "root", .app = LATER, .wanted = SILENCE},
      {"verdict", .app = NO, .wanted = ENDS}},
     NACRE_PROTOCOL,
     -1},
    {"user changes while half a login is open",
     {{"publickey", BY_A, .app = LATER, .wanted = SILENCE},
      {"none", .user = "root", .app = LATER, .wanted = SILENCE},
      {"verdict", .app = HALF, .wanted = ENDS}},
     NACRE_PROTOCOL,
     -1},
    {"user changes in a dialogue",
     {{"keyboard-interactive", .app = LATER, .wanted = SILENCE},
      {"keyboard-interactive", .user = "alice2", .app = LATER, .wanted = SILENCE},
      {"verdict", .app = NO, .wanted = ENDS}},
     NACRE_PROTOCOL,
     -1},
    {"user shrinks",
     {{"password", .user = "alice", .app = NO, .wanted = FAILS},
      {"password", .user = "alic", .app = UNASKED, .wanted = ENDS}},
     NACRE_PROTOCOL,
     -1},
    {"user vanishes",
     {{"password", .app = HALF, .wanted = PARTIAL},
      {"publickey", .user = "", BY_A, .app = UNASKED, .wanted = ENDS}},
     NACRE_PROTOCOL,
     -1},
    {"user appears",
     {{"none", .user = "", .app = UNASKED, .wanted = FAILS},
      {"password", .app = NO, .wanted = FAILS},
      {"password", .user = "root", .app = UNASKED, .wanted = ENDS}},
     NACRE_PROTOCOL,
     -1},
    {"user in another case",
     {{"password", .app = NO, .wanted = FAILS},
      {"password", .user = "Alice", .app = UNASKED, .wanted = ENDS}},
     NACRE_PROTOCOL,
     -1},
    {"service changes",
     {{"password", .app = NO, .wanted = FAILS},
      {"password", .service = "ssh-userauth", .app = UNASKED, .wanted = ENDS}},
     NACRE_SERVICE,
     -1},
    {"service changes after half a login",
     {{"password", .app = HALF, .wanted = PARTIAL},
      {"publickey", .service = "netconf", BY_A, .app = UNASKED, .wanted = ENDS}},
     NACRE_SERVICE,
     -1},
    {"another service at once",
     {{"publickey", .service = "", BY_A, .app = UNASKED, .wanted = ENDS}},
     NACRE_SERVICE,
     -1},
    {"service in another case",
     {{"password", .service = "ssh-Connection", .app = UNASKED, .wanted = ENDS}},
     NACRE_SERVICE,
     -1},

    /* Who signs is who comes in, whatever was offered before (CVE-2024-45337 and its kin). */
    {"A offered, B signs for A",
     {{"probe", BY_A, .app = YES, .wanted = PK_OK},
      {"publickey", .offer = A, .signer = B, .app = UNASKED, .wanted = FAILS}},
     NACRE_OK,
     -1},
    {"A offered, B signs",
     {{"probe", BY_A, .app = YES, .wanted = PK_OK},
      {"publickey", BY_B, .app = NO, .wanted = FAILS}},
     NACRE_OK,
     -1},
    {"A offered, B signs and may",
     {{"probe", BY_A, .app = YES, .wanted = PK_OK},
      {"publickey", BY_B, .app = YES, .wanted = SUCCEEDS}},
     NACRE_OK,
     B},
    {"A and B offered, A signs",
     {{"probe", BY_A, .app = YES, .wanted = PK_OK},
      {"probe", BY_B, .app = YES, .wanted = PK_OK},
      {"publickey", BY_A, .app = YES, .wanted = SUCCEEDS}},
     NACRE_OK,
     A},
    {"A signs, B offered behind it",
     {{"publickey", BY_A, .app = LATER, .wanted = SILENCE},
      {"probe", BY_B, .app = LATER, .wanted = SILENCE},
      {"verdict", .app = YES, .wanted = SUCCEEDS}},
     NACRE_OK,
     A},
    {"offers alone",
     {{"probe", BY_A, .app = YES, .wanted = PK_OK},
      {"probe", BY_A, .app = YES, .wanted = PK_OK},
      {"password", .app = NO, .wanted = FAILS}},
     NACRE_OK,
     -1},

    /* Half a login is spent once. */
    {"the same key twice",
     {{"publickey", BY_A, .app = HALF, .wanted = PARTIAL},
      {"publickey", BY_A, .app = UNASKED, .wanted = FAILS},
      {"again", .app = UNASKED, .wanted = FAILS}},
     NACRE_OK,
     -1},
    {"the same key for two",
     {{"publickey", BY_A, .app = ANOTHER, .wanted = PARTIAL},
      {"publickey", BY_A, .app = UNASKED, .wanted = FAILS},
      {"again", .app = UNASKED, .wanted = FAILS},
      {"probe", BY_A, .app = UNASKED, .wanted = FAILS},
      {"publickey", BY_B, .app = YES, .wanted = SUCCEEDS}},
     NACRE_OK,
     B},
    {"the same password twice",
     {{"password", .app = HALF, .wanted = PARTIAL}, {"password", .app = UNASKED, .wanted = FAILS}},
     NACRE_OK,
     -1},
    {"none behind half a login",
     {{"password", .app = HALF, .wanted = PARTIAL}, {"none", .app = UNASKED, .wanted = FAILS}},
     NACRE_OK,
     -1},
    {"a probe behind half a login",
     {{"password", .app = HALF, .wanted = PARTIAL},
      {"probe", BY_A, .app = YES, .wanted = PK_OK},
      {"password", .app = UNASKED, .wanted = FAILS}},
     NACRE_OK,
     -1},
    {"a forged half",
     {{"password", .app = HALF, .wanted = PARTIAL},
      {"publickey", .offer = A, .signer = B, .app = UNASKED, .wanted = FAILS}},
     NACRE_OK,
     -1},
    {"two true halves",
     {{"password", .app = HALF, .wanted = PARTIAL},
      {"publickey", BY_A, .app = YES, .wanted = SUCCEEDS}},
     NACRE_OK,
     A},
    {"a key, then a password: the key's limits still hold",
     {{"publickey", BY_A, .app = HALF, .wanted = PARTIAL},
      {"password", .app = YES, .wanted = SUCCEEDS}},
     NACRE_OK,
     A},
    {"a request behind success",
     {{"publickey", BY_A, .app = YES, .wanted = SUCCEEDS},
      {"password", .user = "root", .app = UNASKED, .wanted = SILENCE},
      {"again", .app = UNASKED, .wanted = SILENCE}},
     NACRE_OK,
     A},
    {"a response that nobody asked for",
     {{"password", .app = HALF, .wanted = PARTIAL}, {"response", .app = UNASKED, .wanted = ENDS}},
     NACRE_OUT_OF_PLACE,
     -1},
    {"a response to a verdict that waits",
     {{"keyboard-interactive", .app = LATER, .wanted = SILENCE},
      {"response", .app = UNASKED, .wanted = ENDS}},
     NACRE_OUT_OF_PLACE,
     -1},
};

static bool ends_in(const cheat_row *cheat)
{
    for (size_t i = 0; i < MOST_REQUESTS; i++) {
        if (cheat->requests[i].method && cheat->requests[i].wanted == SUCCEEDS) {
            return true;
        }
    }
    return false;
}

static void test_clients_that_cheat(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(cheats) / sizeof(cheats[0]); i++) {
        const cheat_row *cheat = &cheats[i];
        scene s;
        start(&s, 80);
        for (size_t k = 0; k < MOST_REQUESTS && cheat->requests[k].method; k++) {
            one_request(&s, cheat, &cheat->requests[k]);
        }
        const nacre_error *e = hostile_error(&s.p, NACRE_SERVER);
        assert_int_equal(e->status, cheat->status);
        assert_int_equal(nacre_transport_authenticated(s.p.end[NACRE_SERVER].t), ends_in(cheat));
        assert_int_equal(s.logins, ends_in(cheat) ? 1 : 0);
        if (cheat->signer >= 0) {
            assert_non_null(s.in);
            assert_true(nacre_key_equal(s.in, keys[cheat->signer]));
        } else {
            assert_null(s.in);
        }
        if (ends_in(cheat)) {
            assert_string_equal(nacre_transport_user(s.p.end[NACRE_SERVER].t), "alice");
        }
        pair_free(&s.p);
    }
}

/* What was signed for one connection is worth nothing in another one, be it half a login or a whole one. */
static void test_a_signature_in_another_connection(void **state)
{
    (void)state;
    static const cheat_row replay = {
        "replay", {{"again", .app = UNASKED, .wanted = FAILS}}, NACRE_OK, -1};
    static const request_row half = {"publickey", BY_A, .app = HALF, .wanted = PARTIAL};
    for (int rekeyed = 0; rekeyed < 2; rekeyed++) {
        scene first, second;
        start(&first, 80);
        one_request(&first, &replay, &half);
        start(&second, 81);
        if (rekeyed) {
            assert_int_equal(nacre_transport_rekey(second.p.end[1].t), NACRE_OK);
            pair_run(&second.p);
        }
        memcpy(second.kept, first.kept, first.kept_n);
        second.kept_n = first.kept_n;
        assert_false(nc_span_eq(first.p.end[0].core->link.session_id,
                                second.p.end[0].core->link.session_id));
        one_request(&second, &replay, &replay.requests[0]);
        pair_free(&first.p);
        pair_free(&second.p);
    }
}

/* ---- a server that cheats -------------------------------------------------------------------------------- */

/* n none, p password, k a public half whose private half is elsewhere */
typedef struct lie_row {
    const char *name;
    char login;
    const char
        *said;      /* f FAILURE, h half of it, s SUCCESS, a PK_OK for A, o for B, r for A as RSA */
    int status;     /* of the client */
    unsigned signs; /* how often it was asked to sign */
} lie_row;

static const lie_row lies[] = {
    {"success behind a failure", 'p', "fs", NACRE_OUT_OF_PLACE, 0},
    {"success unasked", '-', "s", NACRE_OUT_OF_PLACE, 0},
    {"failure unasked", '-', "f", NACRE_OUT_OF_PLACE, 0},
    {"success behind half a login", 'p', "hs", NACRE_OUT_OF_PLACE, 0},
    {"half a login twice", 'p', "hh", NACRE_OUT_OF_PLACE, 0},
    {"failure twice", 'p', "ff", NACRE_OUT_OF_PLACE, 0},
    {"success to an offer", 'k', "s", NACRE_OUT_OF_PLACE, 0},
    {"another key is welcome", 'k', "o", NACRE_PROTOCOL, 0},
    {"the key under another name", 'k', "r", NACRE_PROTOCOL, 0},
    {"welcome twice", 'k', "aa", NACRE_OUT_OF_PLACE, 1},
    {"success before the signature", 'k', "as", NACRE_OUT_OF_PLACE, 1},
    {"failure before the signature", 'k', "af", NACRE_OUT_OF_PLACE, 1},
    {"a key is welcome that was never offered", 'n', "a", NACRE_OUT_OF_PLACE, 0},
};

static void say_lie(pair *p, char what)
{
    nacre_span a = nacre_key_blob(keys[A]), b = nacre_key_blob(keys[B]);
    switch (what) {
    case 'f':
    case 'h':
        hostile_say(p, 1, SSH_MSG_USERAUTH_FAILURE, "sb", "publickey,password", what == 'h');
        break;
    case 's':
        hostile_say(p, 1, SSH_MSG_USERAUTH_SUCCESS, "");
        break;
    default:
        hostile_say(p, 1, 60, "sS", what == 'r' ? "rsa-sha2-512" : "ssh-ed25519",
                    what == 'o' ? b : a);
        break;
    }
}

/* Nobody answers anything: the server says what it likes, the client's signer is slow. */
static bool no_answers(pair *p, int who, const nacre_event *ev)
{
    (void)p;
    (void)who;
    return ev->ticket && ev->type != NACRE_EVENT_HOST_KEY;
}

static void begin_login(pair *p, char login)
{
    nacre_transport *t = p->end[NACRE_CLIENT].t;
    nacre_key *half = NULL;
    int rc = NACRE_OK;
    if (login == 'p') {
        rc = nacre_transport_auth_password(t, "alice", nc_span_cstr("open sesame"));
    } else if (login == 'n') {
        rc = nacre_transport_auth_none(t, "alice");
    } else if (login == 'k') {
        assert_int_equal(nacre_key_from_blob(&half, NULL, nacre_key_blob(keys[A]), NULL), NACRE_OK);
        rc = nacre_transport_auth_publickey(t, "alice", half, NULL);
        nacre_key_free(half);
    }
    assert_int_equal(rc, NACRE_OK);
}

static void test_servers_that_cheat(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(lies) / sizeof(lies[0]); i++) {
        const lie_row *lie = &lies[i];
        pair p;
        pair_init(&p, 82);
        p.no_login = true;
        p.hook = no_answers;
        p.config[0].kex = "curve25519-sha256";
        assert_int_equal(pair_start(&p, NULL), NACRE_OK);
        pair_run(&p);
        begin_login(&p, lie->login);
        pair_run(&p);
        for (const char *what = lie->said; *what; what++) {
            say_lie(&p, *what);
        }
        pair_run(&p);
        const nacre_error *e = hostile_error(&p, NACRE_CLIENT);
        if (e->status != lie->status) {
            fail_msg("%s: %s: %s", lie->name, nacre_status_symbol(e->status), e->text);
        }
        assert_int_equal(e->by, NACRE_BY_PEER);
        assert_false(nacre_transport_authenticated(p.end[NACRE_CLIENT].t));
        assert_int_equal(p.end[NACRE_CLIENT].seen[NACRE_EVENT_SIGN], lie->signs);
        pair_free(&p);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_clients_that_cheat),
        cmocka_unit_test(test_servers_that_cheat),
        cmocka_unit_test(test_a_signature_in_another_connection),
    };
    return cmocka_run_group_tests(tests, make_keys, free_keys);
}
