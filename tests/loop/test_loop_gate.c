/*
 * Every message number to a real engine, in every place where a connection can stand, at both roles, with peers
 * that know strict key exchange and with such that do not. Each message is well formed wherever one knows its form,
 * so that nothing but its place can be held against it. What may come is listed here place by place; all else has to
 * end the connection, or be answered by UNIMPLEMENTED where RFC 4253 11.4 says so, and to have no other effect.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "hostile.h"

enum { ROOM = 16 * 1024, MOST_TURNS = 100 };

/* Where the engine under attack stands. */
typedef enum place {
    GREETED,    /* the version line is here, no KEXINIT yet */
    METHOD,     /* the method's message is awaited, first exchange */
    GROUP,      /* the first message of group exchange is awaited */
    IN_GROUP,   /* its second one */
    SIGNING,    /* server: the host key is elsewhere, and its signature not there yet */
    JUDGING,    /* client: the application has the host key before it */
    PROVED,     /* NEWKEYS is awaited, first exchange */
    SERVICE,    /* keys are in use, the service is not yet agreed on */
    USERAUTH,   /* ssh-userauth, nobody has asked for anything */
    ASKED,      /* the password is with the application (server), or on its way (client) */
    CONNECTED,  /* after login */
    REKEY_AUTH, /* the method's message is awaited, before login */
    REKEY,      /* the same, after login */
    REKEY_ENDS, /* NEWKEYS is awaited, after login */
    PROXIED,    /* ssh-connection alone */
    PLACES
} place;

#define AT(p) (1U << (p))
enum {
    KEXING = AT(METHOD) | AT(GROUP) | AT(IN_GROUP) | AT(SIGNING) | AT(JUDGING) | AT(PROVED),
    FIRST = AT(GREETED) | KEXING,
    AGAIN = AT(REKEY_AUTH) | AT(REKEY) | AT(REKEY_ENDS),
    QUIET = AT(SERVICE) | AT(USERAUTH) | AT(ASKED) | AT(CONNECTED),
    KEYED = QUIET | AGAIN,
    OPEN = AT(CONNECTED) | AT(PROXIED)
};

static const char *const place_names[PLACES] = {
    "greeted", "method",     "group",    "in group", "signing", "judging",
    "proved",  "service",    "userauth", "asked",    "open",    "rekey before login",
    "rekey",   "rekey ends", "proxied",
};

typedef struct scene {
    pair p;
    place where;
    int victim, attacker;
    bool lax; /* the attacker does not know strict key exchange */
    unsigned events, logins;
    bool unimplemented; /* the attacker was told so */
} scene;

/* ---- what may come ----------------------------------------------------------------------------------- */

enum { ANY = 2 };
typedef enum peer { EVERY_PEER, LAX_PEER } peer;

typedef struct legal_row {
    unsigned places;
    int role; /* of the engine under attack */
    uint8_t from, to;
    int status; /* of it afterwards: NACRE_OK, or what its content led to */
    peer peer;
} legal_row;

static const legal_row legal[] = {
    /* RFC 4253 11: at any time; but strict key exchange (PROTOCOL 1.10) */
    {FIRST | KEYED, ANY, 1, 1, NACRE_PEER_DISCONNECTED, EVERY_PEER},
    {KEYED, ANY, 2, 4, NACRE_OK, EVERY_PEER},
    {KEXING, ANY, 2, 4, NACRE_OK, LAX_PEER},
    /* RFC 4253 10 */
    {AT(SERVICE) | AT(USERAUTH) | AT(ASKED), NACRE_SERVER, 5, 5, NACRE_OK, EVERY_PEER},
    {AT(SERVICE), NACRE_CLIENT, 6, 6, NACRE_OK, EVERY_PEER},
    /* RFC 8308 2.4: behind NEWKEYS (that place is taken here), and a server's before login */
    {AT(USERAUTH) | AT(ASKED), NACRE_CLIENT, 7, 7, NACRE_OK, EVERY_PEER},
    /* RFC 4253 7, 8 */
    {AT(GREETED) | QUIET, ANY, 20, 20, NACRE_OK, EVERY_PEER},
    {AT(PROVED) | AT(REKEY_ENDS), ANY, 21, 21, NACRE_OK, EVERY_PEER},
    {AT(METHOD) | AT(REKEY_AUTH) | AT(REKEY), NACRE_SERVER, 30, 30, NACRE_OK, EVERY_PEER},
    {AT(METHOD) | AT(REKEY_AUTH) | AT(REKEY), NACRE_CLIENT, 31, 31, NACRE_BAD_KEY, EVERY_PEER},
    /* RFC 4419 3; a group of no bits, no group, no value */
    {AT(GROUP), NACRE_SERVER, 34, 34, NACRE_KEX_FAILED, EVERY_PEER},
    {AT(GROUP), NACRE_CLIENT, 31, 31, NACRE_MALFORMED, EVERY_PEER},
    {AT(IN_GROUP), NACRE_SERVER, 32, 32, NACRE_KEX_FAILED, EVERY_PEER},
    {AT(IN_GROUP), NACRE_CLIENT, 33, 33, NACRE_BAD_KEY, EVERY_PEER},
    /* RFC 4252; a request behind SUCCESS is dropped without a word (5.1) */
    {AT(USERAUTH) | AT(ASKED) | AT(CONNECTED), NACRE_SERVER, 50, 50, NACRE_OK, EVERY_PEER},
    {AT(ASKED), NACRE_CLIENT, 51, 53, NACRE_OK, EVERY_PEER},
    {AT(USERAUTH), NACRE_CLIENT, 53, 53, NACRE_OK, EVERY_PEER},
    {AT(ASKED), NACRE_CLIENT, 60, 60, NACRE_OK, EVERY_PEER}, /* the password has to be changed */
    /* RFC 4254; there is no channel here, and no question of ours */
    {OPEN, ANY, 80, 80, NACRE_OK, EVERY_PEER},
    {OPEN, ANY, 81, 82, NACRE_PROTOCOL, EVERY_PEER},
    {OPEN, ANY, 90, 90, NACRE_OK, EVERY_PEER},
    {OPEN, ANY, 91, 100, NACRE_PROTOCOL, EVERY_PEER},
    /* PROTOCOL 1.9 */
    {KEYED, ANY, 192, 193, NACRE_OK, EVERY_PEER},
};

static const legal_row *find_legal(const scene *s, int number)
{
    for (size_t i = 0; i < sizeof(legal) / sizeof(legal[0]); i++) {
        const legal_row *row = &legal[i];
        if ((row->places & AT(s->where)) && number >= row->from && number <= row->to &&
            (row->role == ANY || row->role == s->victim) && (row->peer == EVERY_PEER || s->lax)) {
            return row;
        }
    }
    return NULL;
}

/* Numbers that nobody assigned, where there may be such (RFC 4253 11.4, RFC 4250 4.1.2). */
static bool is_unknown(place where, int number)
{
    bool transport = number >= 8 && number <= 19;
    bool channel = (number >= 83 && number <= 89) || (number >= 101 && number <= 127);
    bool others = number >= 128 && number != 192 && number != 193;
    return (AT(where) & QUIET) && (transport || others || (channel && where == CONNECTED));
}

/* ---- messages ---------------------------------------------------------------------------------------- */

/* u a number 0, b a byte 0, s the next text, k 32 bytes as a string */
static const struct form_row {
    uint8_t number;
    const char *form;
    const char *texts[3];
} forms[] = {
    {1, "uss", {"bye", ""}},
    {2, "s", {"x"}},
    {3, "u", {0}},
    {4, "bss", {"x", ""}},
    {5, "s", {"ssh-userauth"}},
    {6, "s", {"ssh-userauth"}},
    {7, "u", {0}},
    {21, "", {0}},
    {30, "k", {0}},
    {31, "sks", {"no key", "no signature"}},
    {32, "k", {0}},
    {33, "sks", {"no key", "no signature"}},
    {34, "uuu", {0}},
    {50, "sss", {"alice", "ssh-connection", "none"}},
    {51, "sb", {"password"}},
    {52, "", {0}},
    {53, "ss", {"hello", ""}},
    {60, "ss", {"choose another", ""}},
    {61, "u", {0}},
    {80, "sb", {"x@example.com"}},
    {81, "", {0}},
    {82, "", {0}},
    {90, "suuw", {"x@example.com"}},
    {91, "uuww", {0}},
    {92, "uuss", {"no", ""}},
    {93, "uu", {0}},
    {94, "us", {"x"}},
    {95, "uus", {"x"}},
    {96, "u", {0}},
    {97, "u", {0}},
    {98, "usb", {"x@example.com"}},
    {99, "u", {0}},
    {100, "u", {0}},
    {192, "s", {"x"}},
    {193, "s", {"x"}},
};

static void write_form(nc_wr *w, const struct form_row *row)
{
    static const uint8_t value[32] = {9};
    size_t text = 0;
    for (const char *f = row->form; *f; f++) {
        if (*f == 'u') {
            nc_wr_u32(w, 0);
        } else if (*f == 'w') {
            nc_wr_u32(w, 32768);
        } else if (*f == 'b') {
            nc_wr_u8(w, 0);
        } else if (*f == 'k') {
            nc_wr_str(w, nc_span(value, sizeof(value)));
        } else {
            nc_wr_cstr(w, row->texts[text++]);
        }
    }
}

static size_t message(const scene *s, int number, uint8_t *out)
{
    static const uint8_t cookie[16] = {1};
    const nc_core *c = s->p.end[s->attacker].core;
    nc_buf b;
    nc_buf_init(&b, NULL, ROOM);
    nc_wr w = nc_wr_init(&b);
    if (number == 20 && s->where == PROXIED) {
        nc_wr_u8(&w, 20);
    } else if (number == 20 && (AT(s->where) & FIRST)) {
        nc_wr_bytes(&w, nc_buf_span(&c->kex.ours));
    } else if (number == 20) {
        nc_kexinit_write(&w, (nacre_role)s->attacker, &c->proposal, cookie, false);
    } else {
        nc_wr_u8(&w, (uint8_t)number);
    }
    for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
        if (forms[i].number == number) {
            write_form(&w, &forms[i]);
        }
    }
    assert_int_equal(nc_wr_err(&w), NACRE_OK);
    size_t n = b.len;
    memcpy(out, b.data, n);
    nc_buf_clear(&b);
    return n;
}

/* ---- the way there ------------------------------------------------------------------------------------- */

static void listen_in(void *user, nacre_log_level level, const char *line)
{
    scene *s = user;
    (void)level;
    s->unimplemented = s->unimplemented || strstr(line, "does not know our packet");
}

/* Nothing is answered but what brings a connection on. */
static bool watch(pair *p, int who, const nacre_event *ev)
{
    scene *s = p->user;
    if (who == s->victim) {
        s->events += ev->type == NACRE_EVENT_DISCONNECTED ? 0 : 1;
        s->logins += ev->type == NACRE_EVENT_AUTHENTICATED ? 1 : 0;
    }
    bool answered = ev->type == NACRE_EVENT_AUTH_PASSWORD
                        ? s->where != ASKED
                        : ev->type == NACRE_EVENT_HOST_KEY && s->where != JUDGING;
    return !answered;
}

static bool is_there(const scene *s)
{
    const nc_core *c = s->p.end[s->victim].core;
    bool first = !c->input_keyed;
    nc_kex_step step_now = c->kex.step;
    bool method = step_now == NC_KEX_WAIT_INIT || step_now == NC_KEX_WAIT_REPLY;
    switch (s->where) {
    case GREETED:
        return first && c->peer_version_known;
    case METHOD:
        return first && method;
    case GROUP:
        return step_now == NC_KEX_WAIT_GEX_REQUEST || step_now == NC_KEX_WAIT_GEX_GROUP;
    case IN_GROUP:
        return step_now == NC_KEX_WAIT_GEX_INIT || step_now == NC_KEX_WAIT_GEX_REPLY;
    case SIGNING:
        return step_now == NC_KEX_WAIT_SIGNATURE;
    case JUDGING:
        return step_now == NC_KEX_WAIT_VERDICT;
    case PROVED:
        return first && step_now == NC_KEX_WAIT_NEWKEYS;
    case SERVICE:
    case USERAUTH:
        return nc_core_phase(c) == (s->where == SERVICE ? NC_PHASE_SERVICE : NC_PHASE_AUTH) &&
               !c->ext_info_slot && step_now == NC_KEX_IDLE;
    case ASKED:
        return s->p.end[NACRE_SERVER].seen[NACRE_EVENT_AUTH_PASSWORD] > 0;
    case CONNECTED:
        return nc_core_phase(c) == NC_PHASE_CONNECTION;
    case REKEY_AUTH:
    case REKEY:
        return nc_core_phase(c) == (s->where == REKEY ? NC_PHASE_REKEY : NC_PHASE_REKEY_AUTH) &&
               method;
    case REKEY_ENDS:
        return nc_core_phase(c) == NC_PHASE_REKEY && step_now == NC_KEX_WAIT_NEWKEYS;
    default:
        return true;
    }
}

/* What is the attacker's goes first, and piece by piece: so the engine under attack stops where it shall. */
static void drive(scene *s)
{
    for (int turn = 0; turn < MOST_TURNS && !is_there(s); turn++) {
        if (!hostile_carry(&s->p, s->attacker)) {
            (void)hostile_carry(&s->p, s->victim);
        }
        pair_step(&s->p, s->victim);
        if (!is_there(s)) {
            pair_step(&s->p, s->attacker);
        }
    }
    assert_true(is_there(s));
}

static void start_proxied(scene *s)
{
    nacre_error why;
    pair_init(&s->p, 60);
    s->p.hook = watch;
    s->p.user = s;
    assert_int_equal(nacre_transport_new_proxied(&s->p.end[s->victim].t, &s->p.config[s->victim],
                                                 s->p.now, &why),
                     NACRE_OK);
    s->p.end[s->victim].core = s->p.end[s->victim].t->core;
}

static void start(scene *s, place where, int victim, bool lax)
{
    memset(s, 0, sizeof(*s));
    s->where = where;
    s->victim = victim;
    s->attacker = 1 - victim;
    s->lax = lax;
    if (where == PROXIED) {
        start_proxied(s);
        return;
    }
    pair *p = &s->p;
    pair_init(p, 60);
    p->hook = watch;
    p->user = s;
    p->no_login = where == SERVICE || where == USERAUTH || where == REKEY_AUTH;
    p->config[0].kex = where == GROUP || where == IN_GROUP ? "diffie-hellman-group-exchange-sha256"
                                                           : "curve25519-sha256";
    p->config[s->attacker].log = listen_in;
    p->config[s->attacker].log_user = s;
    p->config[s->attacker].log_level = NACRE_LOG_DEBUG;
    nacre_key *half = NULL;
    nacre_span blob = nacre_key_blob(pair_key("ed25519", 0));
    assert_int_equal(nacre_key_from_blob(&half, NULL, blob, NULL), NACRE_OK);
    assert_int_equal(pair_start(p, where == SIGNING ? half : NULL), NACRE_OK);
    nacre_key_free(half);
    pair_step(&s->p, s->attacker);
    if (lax) {
        hostile_make_lax(p, s->attacker);
    }
    if (where >= REKEY_AUTH) {
        s->where = where == REKEY_AUTH ? USERAUTH : CONNECTED;
        drive(s);
        while (hostile_carry(&s->p, s->victim) || hostile_carry(&s->p, s->attacker)) {
            pair_step(&s->p, s->attacker);
            pair_step(&s->p, s->victim);
        }
        s->where = where;
        assert_int_equal(nacre_transport_rekey(p->end[s->attacker].t), NACRE_OK);
    } else if (where == SERVICE && victim == NACRE_SERVER) {
        s->where = USERAUTH;
        drive(s);
        s->where = SERVICE;
        p->end[victim].core->service_accepted = false; /* as if nobody had asked yet */
    }
    drive(s);
    assert_int_equal(p->end[victim].core->strict, !lax && where != GREETED);
}

/* ---- one message ---------------------------------------------------------------------------------------- */

/* In clear, or as PROTOCOL.mux 9 has it. */
static void say_bare(scene *s, const uint8_t *payload, size_t n)
{
    uint8_t packet[ROOM] = {0};
    if (s->where != PROXIED) {
        hostile_say_clear(&s->p, s->victim, payload, n);
        return;
    }
    size_t padding = n < 4 ? 4 - n : 0;
    assert_true(5 + n + padding <= sizeof(packet));
    nc_put_u32(packet, (uint32_t)(1 + n + padding));
    packet[4] = (uint8_t)padding;
    memcpy(packet + 5, payload, n);
    hostile_give(&s->p, s->victim, packet, 5 + n + padding);
}

static void say(scene *s, int number)
{
    uint8_t payload[ROOM];
    size_t n = message(s, number, payload);
    s->events = 0;
    s->unimplemented = false;
    if ((AT(s->where) & FIRST) || s->where == PROXIED) {
        say_bare(s, payload, n);
    } else {
        while (hostile_carry(&s->p, s->attacker)) {
            pair_step(&s->p, s->victim);
        }
        s->events = 0;
        pair_inject(&s->p, s->attacker, payload, n);
        assert_true(hostile_carry(&s->p, s->attacker));
    }
    pair_step(&s->p, s->victim);
    if (s->where != PROXIED) {
        while (hostile_carry(&s->p, s->victim)) {
            pair_step(&s->p, s->attacker);
        }
    }
}

static void expect_refused(const scene *s, int number)
{
    const nacre_error *e = hostile_error(&s->p, s->victim);
    bool strict = e->status == NACRE_STRICT_KEX && !s->lax && s->where != PROXIED;
    if (e->status != NACRE_OUT_OF_PLACE && !strict) {
        fail_msg("%s %s, %s peer, message %d: not refused but %s: %s",
                 s->victim == NACRE_SERVER ? "server" : "client", place_names[s->where],
                 s->lax ? "lax" : "strict", number, nacre_status_symbol(e->status), e->text);
    }
    if (!s->lax && (AT(s->where) & KEXING)) {
        assert_int_equal(e->status, NACRE_STRICT_KEX);
    }
    assert_int_equal(e->by, NACRE_BY_PEER);
    assert_true(e->disconnect_reason == 2 || e->disconnect_reason == 3);
    assert_int_equal(s->p.end[s->victim].seen[NACRE_EVENT_DISCONNECTED], 1);
    assert_int_equal(s->events, 0);
    if (s->where != PROXIED) { /* and the other one is told */
        assert_int_equal(hostile_error(&s->p, s->attacker)->status, NACRE_PEER_DISCONNECTED);
    }
}

static bool try_cell(scene *s, int number)
{
    const legal_row *row = find_legal(s, number);
    bool unknown = !row && is_unknown(s->where, number);
    bool in = nacre_transport_authenticated(s->p.end[s->victim].t);
    say(s, number);
    const nacre_error *e = hostile_error(&s->p, s->victim);
    int wanted = row ? row->status : NACRE_OK;
    if (!row && !unknown) {
        expect_refused(s, number);
    } else if (e->status != wanted || unknown != s->unimplemented) {
        fail_msg("%s %s, %s peer, message %d: %s: %s%s",
                 s->victim == NACRE_SERVER ? "server" : "client", place_names[s->where],
                 s->lax ? "lax" : "strict", number, nacre_status_symbol(e->status), e->text,
                 s->unimplemented ? " (UNIMPLEMENTED was sent)" : "");
    }
    if (unknown) {
        assert_int_equal(s->events, 0);
    }
    /* Nobody has come in by it, but a client by the SUCCESS that it waited for. */
    bool success = s->where == ASKED && s->victim == NACRE_CLIENT && number == 52;
    assert_int_equal(nacre_transport_authenticated(s->p.end[s->victim].t), in || success);
    assert_int_equal(s->logins, in && s->victim == NACRE_SERVER && s->where != PROXIED ? 1 : 0);
    return unknown;
}

/* Behind a group, whose numbers take their time, all that belongs to key exchange and some of the others. */
static bool is_tried(place where, int number)
{
    return where != IN_GROUP || number < 36 || number % 30 == 20;
}

static void every_number(place where, int victim, bool lax)
{
    scene s;
    bool fresh = false;
    for (int number = 0; number < 256; number++) {
        if (!is_tried(where, number)) {
            continue;
        }
        if (!fresh) {
            start(&s, where, victim, lax);
        }
        fresh = try_cell(&s, number); /* UNIMPLEMENTED leaves all as it was */
        if (!fresh) {
            pair_free(&s.p);
        }
    }
    if (fresh) {
        pair_free(&s.p);
    }
}

static void test_first_key_exchange(void **state)
{
    (void)state;
    for (int victim = 0; victim < 2; victim++) {
        for (int lax = 0; lax < 2; lax++) {
            every_number(METHOD, victim, lax);
            every_number(PROVED, victim, lax);
        }
        every_number(GREETED, victim, false);
        every_number(GROUP, victim, false);
        every_number(IN_GROUP, victim, false);
    }
    every_number(SIGNING, NACRE_SERVER, false);
    every_number(SIGNING, NACRE_SERVER, true);
}

/* While the application judges the host key nothing of the server is acted on, whatever it is. */
static void test_before_the_verdict(void **state)
{
    (void)state;
    for (int number = 0; number < 256; number++) {
        scene s;
        start(&s, JUDGING, NACRE_CLIENT, false);
        say(&s, number);
        assert_int_equal(s.events, 0);
        assert_int_equal(hostile_error(&s.p, NACRE_CLIENT)->status, NACRE_OK);
        assert_false(nacre_transport_wants(s.p.end[NACRE_CLIENT].t) & NACRE_WANT_INPUT);
        pair_free(&s.p);
    }
}

static void test_before_login(void **state)
{
    (void)state;
    for (int victim = 0; victim < 2; victim++) {
        for (int lax = 0; lax < 2; lax++) {
            every_number(SERVICE, victim, lax);
            every_number(USERAUTH, victim, lax);
            every_number(ASKED, victim, lax);
        }
    }
}

static void test_after_login(void **state)
{
    (void)state;
    for (int victim = 0; victim < 2; victim++) {
        every_number(CONNECTED, victim, false);
        every_number(CONNECTED, victim, true);
        every_number(PROXIED, victim, false);
    }
}

static void test_key_re_exchange(void **state)
{
    (void)state;
    for (int victim = 0; victim < 2; victim++) {
        every_number(REKEY_AUTH, victim, false);
        every_number(REKEY, victim, false);
        every_number(REKEY, victim, true);
    }
    every_number(REKEY_ENDS, NACRE_SERVER, false);
    every_number(REKEY_ENDS, NACRE_SERVER, true);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_first_key_exchange), cmocka_unit_test(test_before_the_verdict),
        cmocka_unit_test(test_before_login),       cmocka_unit_test(test_after_login),
        cmocka_unit_test(test_key_re_exchange),
    };
    return cmocka_run_group_tests(tests, NULL, hostile_cleanup);
}
