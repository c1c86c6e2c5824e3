/*
 * Every integer of every message, counts and lengths of strings among them, at 0, 1, 2^31-1, 2^31 and 2^32-1, at whole
 * engines in the places where the message is welcome: they go on, or end with a status that names the peer's fault, in
 * the memory that they had. And no length that lies is believed.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "hostile.h"
#include "support/counted.h"

enum { KIB = 1024, ROOM = 4 * KIB, MOST_INTEGERS = 24, MOST_TEXTS = 6 };

typedef enum place {
    LOGIN,    /* server: the service is agreed on; client: a password is on its way */
    OFFERED,  /* client: a key is on its way */
    DIALOGUE, /* server: a question was asked; client: one is asked for */
    OPEN,     /* after login, with a channel */
    WAITING,  /* the same; an open, a request and a global request of the victim are unanswered */
    METHOD,   /* key exchange after login: the method's message is awaited */
    GROUP,    /* the same, group exchange's first message */
    IN_GROUP  /* its second one */
} place;

enum { CLIENT = 1, SERVER = 2, BOTH = 3 };

/*
 * u 0, w 32768, p 22, one 1: numbers. b 0, t 1: bytes. s the next text, k 32 bytes, q a key's blob. Behind | lengths may
 * lie unnoticed: nobody has to read what stands there.
 */
typedef struct message_row {
    place where;
    int victims;
    uint8_t number;
    const char *form;
    const char *texts[MOST_TEXTS];
} message_row;

static const message_row rows[] = {
    {OPEN, BOTH, 1, "us|s", {"bye", ""}},
    {OPEN, BOTH, 2, "|s", {"x"}},
    {OPEN, BOTH, 3, "u", {NULL}},
    {OPEN, BOTH, 4, "bss", {"x", "en"}},
    {LOGIN, CLIENT, 7, "1ss", {"server-sig-algs", "ssh-ed25519"}},
    {LOGIN, SERVER, 50, "sss", {"alice", "ssh-connection", "none"}},
    {LOGIN, SERVER, 50, "sssbs", {"alice", "ssh-connection", "password", "x"}},
    {LOGIN, SERVER, 50, "ssstss", {"alice", "ssh-connection", "password", "x", "y"}},
    {LOGIN, SERVER, 50, "sssbsq", {"alice", "ssh-connection", "publickey", "ssh-ed25519"}},
    {LOGIN, SERVER, 50, "ssstsqs", {"alice", "ssh-connection", "publickey", "ssh-ed25519", "sig"}},
    {LOGIN, SERVER, 50, "sssss", {"alice", "ssh-connection", "keyboard-interactive", "", "pam"}},
    {DIALOGUE, SERVER, 61, "1s", {"answer"}},
    {LOGIN, CLIENT, 51, "sb", {"publickey,password"}},
    {LOGIN, CLIENT, 53, "s|s", {"hello", "en"}},
    {LOGIN, CLIENT, 60, "s|s", {"expired", "en"}},
    {OFFERED, CLIENT, 60, "sq", {"ssh-ed25519"}},
    {DIALOGUE, CLIENT, 60, "sss1sb", {"name", "what", "en", "Password: "}},
    {OPEN, BOTH, 80, "sb|s", {"x@example.com", "data"}},
    {OPEN, SERVER, 80, "st|sp", {"tcpip-forward", "localhost"}},
    {OPEN, SERVER, 80, "st|sp", {"cancel-tcpip-forward", "localhost"}},
    {OPEN, SERVER, 80, "st|s", {"streamlocal-forward@openssh.com", "/tmp/x"}},
    {OPEN, CLIENT, 80, "sb|q", {"hostkeys-00@openssh.com"}},
    {OPEN, SERVER, 80, "st|q", {"hostkeys-prove-00@openssh.com"}},
    {WAITING, BOTH, 81, "|p", {NULL}},
    {OPEN, BOTH, 90, "suww", {"session"}},
    {OPEN, BOTH, 90, "suww|spsp", {"direct-tcpip", "localhost", "there"}},
    {OPEN, BOTH, 90, "suww|spsp", {"forwarded-tcpip", "localhost", "there"}},
    {OPEN, BOTH, 90, "suww|sp", {"x11", "there"}},
    {OPEN, BOTH, 90, "suww|ssu", {"direct-streamlocal@openssh.com", "/tmp/x", ""}},
    {WAITING, BOTH, 91, "1uww", {NULL}},
    {WAITING, BOTH, 92, "1us|s", {"no", "en"}},
    {OPEN, BOTH, 93, "uw", {NULL}},
    {OPEN, BOTH, 94, "us", {"data"}},
    {OPEN, BOTH, 95, "u1s", {"data"}},
    {OPEN, BOTH, 96, "u", {NULL}},
    {OPEN, BOTH, 97, "u", {NULL}},
    {OPEN, SERVER, 98, "ustsppuus", {"pty-req", "xterm", ""}},
    {OPEN, SERVER, 98, "usbppuu", {"window-change"}},
    {OPEN, SERVER, 98, "ustss", {"env", "LANG", "C"}},
    {OPEN, SERVER, 98, "usts", {"exec", "true"}},
    {OPEN, SERVER, 98, "usts", {"subsystem", "sftp"}},
    {OPEN, SERVER, 98, "usbs", {"signal", "TERM"}},
    {OPEN, SERVER, 98, "ustp", {"break"}},
    {OPEN, SERVER, 98, "ust|bssu", {"x11-req", "MIT-MAGIC-COOKIE-1", "00"}},
    {OPEN, CLIENT, 98, "usbu", {"exit-status"}},
    {OPEN, CLIENT, 98, "usbsbs|s", {"exit-signal", "TERM", "killed", "en"}},
    {OPEN, BOTH, 98, "ust|s", {"x@example.com", "data"}},
    {WAITING, BOTH, 99, "u", {NULL}},
    {WAITING, BOTH, 100, "u", {NULL}},
    {OPEN, BOTH, 192, "s", {"are you there"}},
    {OPEN, BOTH, 193, "s", {"yes"}},
    {METHOD, SERVER, 30, "k", {NULL}},
    {METHOD, CLIENT, 31, "qks", {"sig"}},
    {GROUP, SERVER, 34, "www", {NULL}},
    {GROUP, CLIENT, 31, "kx", {NULL}},
    {IN_GROUP, SERVER, 32, "k", {NULL}},
};

/* ---- the engines ----------------------------------------------------------------------------------------- */

typedef struct scene {
    pair p;
    const message_row *row;
    int who, victim;
    counted m;
    nacre_allocator hook;
    nacre_channel *ch; /* of the victim */
    bool holding;      /* questions stay open */
} scene;

static bool judge(pair *p, int who, const nacre_event *ev)
{
    static const nacre_prompt prompt = {{(const uint8_t *)"?", 1}, false};
    static const nacre_answer ask = {.prompts = &prompt, .prompt_count = 1};
    scene *s = p->user;
    nacre_transport *t = p->end[who].t;
    if (ev->type == NACRE_EVENT_CHANNEL_OPEN && !s->holding) {
        assert_int_equal(nacre_transport_accept(t, ev->ticket), NACRE_OK);
    }
    if (ev->channel && who == s->victim && !s->holding) {
        s->ch = ev->channel;
    }
    if (ev->type == NACRE_EVENT_AUTH_INTERACTIVE && s->victim == NACRE_SERVER) {
        assert_int_equal(nacre_transport_answer(t, ev->ticket, &ask), NACRE_OK);
        return true;
    }
    bool ours = ev->type == NACRE_EVENT_HOST_KEY;
    ours = ours || (ev->type == NACRE_EVENT_AUTH_PASSWORD && s->row->where >= OPEN);
    return !ours;
}

static void log_in(scene *s)
{
    nacre_transport *t = s->p.end[NACRE_CLIENT].t;
    place where = s->row->where;
    int rc = NACRE_OK;
    if (where == OFFERED) {
        nacre_key *half = NULL;
        nacre_span blob = nacre_key_blob(pair_key("ed25519", 0));
        assert_int_equal(nacre_key_from_blob(&half, NULL, blob, NULL), NACRE_OK);
        rc = nacre_transport_auth_publickey(t, "alice", half, NULL);
        nacre_key_free(half);
    } else if (where == DIALOGUE) {
        rc = nacre_transport_auth_interactive(t, "alice", "");
    } else if (where >= OPEN || s->victim == NACRE_CLIENT) {
        rc = nacre_transport_auth_password(t, "alice", nc_span_cstr("x"));
    }
    assert_int_equal(rc, NACRE_OK);
    pair_run(&s->p);
}

/* Until the victim waits for the method's message of the exchange that the attacker begins. */
static void begin_exchange(scene *s)
{
    pair *p = &s->p;
    const nc_kex *kex = &p->end[s->victim].core->kex;
    assert_int_equal(nacre_transport_rekey(p->end[s->who].t), NACRE_OK);
    for (int i = 0; i < 8; i++) {
        (void)hostile_carry(p, s->who);
        (void)pair_step(p, s->victim);
        bool second = kex->step == NC_KEX_WAIT_GEX_INIT;
        if (s->row->where == IN_GROUP ? second : kex->step > NC_KEX_SENT) {
            return;
        }
        (void)hostile_carry(p, s->victim);
        (void)pair_step(p, s->who);
    }
    fail_msg("no such place");
}

static void start(scene *s, const message_row *row, int victim)
{
    static const char *const group = "diffie-hellman-group-exchange-sha256";
    memset(s, 0, sizeof(*s));
    s->row = row;
    s->victim = victim;
    s->who = 1 - victim;
    counted_init(&s->m);
    s->hook = counted_hook(&s->m);
    pair *p = &s->p;
    pair_init(p, 95);
    p->no_login = p->no_channels = true;
    p->hook = judge;
    p->user = s;
    p->config[0].kex = row->where >= GROUP ? group : "curve25519-sha256";
    p->config[victim].allocator = &s->hook;
    p->config[1].announce_host_keys = false;
    assert_int_equal(pair_start(p, NULL), NACRE_OK);
    pair_run(p);
    log_in(s);
    nacre_channel *ch = NULL;
    if (row->where == OPEN || row->where == WAITING) {
        assert_int_equal(nacre_channel_open_session(p->end[0].t, &ch), NACRE_OK);
        pair_run(p);
        s->ch = victim == NACRE_CLIENT ? ch : s->ch;
        assert_non_null(s->ch);
    }
    s->holding = true;
    if (row->where >= METHOD) {
        begin_exchange(s);
    }
    p->frozen[victim] = true; /* what it says to the attacker, it says to nobody */
    if (row->where == WAITING) {
        nacre_span none = nc_span(NULL, 0);
        nacre_transport *t = p->end[victim].t;
        assert_int_equal(nacre_channel_open(t, "x@example.com", none, 0, 0, &ch), NACRE_OK);
        assert_int_equal(nacre_channel_request(s->ch, "x@example.com", true, none), NACRE_OK);
        assert_int_equal(nacre_global_request(t, "x@example.com", true, none), NACRE_OK);
        (void)pair_step(p, victim);
    }
    counted_peak_here(&s->m);
}

/* ---- the messages ------------------------------------------------------------------------------------------ */

typedef struct integer {
    size_t at;
    bool length; /* of a string that has to be read */
} integer;

typedef struct message {
    uint8_t bytes[ROOM];
    size_t n, count;
    integer integers[MOST_INTEGERS];
} message;

static nacre_span text_of(char kind, const message_row *row, size_t *next)
{
    static const uint8_t value[32] = {9};
    if (kind == 'k') {
        return nc_span(value, sizeof(value));
    }
    if (kind == 'q') {
        return nacre_key_blob(pair_key("ed25519", 0));
    }
    assert_true(*next < MOST_TEXTS && row->texts[*next]);
    return nc_span_cstr(row->texts[(*next)++]);
}

static void compose(const message_row *row, message *out)
{
    nc_buf b;
    size_t next = 0;
    bool read = true;
    nc_buf_init(&b, NULL, ROOM);
    nc_wr w = nc_wr_init(&b);
    memset(out, 0, sizeof(*out));
    nc_wr_u8(&w, row->number);
    for (const char *f = row->form; *f; f++) {
        bool is_text = *f == 's' || *f == 'k' || *f == 'q';
        if (*f == '|') {
            read = false;
        } else if (*f == 'x') { /* one byte, a string of it */
            nc_wr_str(&w, nc_span("\x05", 1));
        } else if (*f == 'b' || *f == 't') {
            nc_wr_u8(&w, *f == 't');
        } else {
            assert_true(out->count < MOST_INTEGERS);
            out->integers[out->count++] = (integer){b.len, is_text && read};
            if (is_text) {
                nc_wr_str(&w, text_of(*f, row, &next));
            } else {
                nc_wr_u32(&w, *f == 'w' ? 32768 : *f == 'p' ? 22 : *f == '1' ? 1 : 0);
            }
        }
    }
    assert_int_equal(nc_wr_err(&w), NACRE_OK);
    out->n = b.len;
    memcpy(out->bytes, b.data, b.len);
    nc_buf_clear(&b);
}

static bool names_the_peer(int status)
{
    static const int named[] = {NACRE_MALFORMED,  NACRE_PROTOCOL,     NACRE_WINDOW,
                                NACRE_KEX_FAILED, NACRE_BAD_KEY,      NACRE_SERVICE,
                                NACRE_LIMIT,      NACRE_OUT_OF_PLACE, NACRE_PEER_DISCONNECTED,
                                NACRE_AUTH_LIMIT, NACRE_BAD_SIGNATURE};
    for (size_t i = 0; i < sizeof(named) / sizeof(named[0]); i++) {
        if (named[i] == status) {
            return true;
        }
    }
    return false;
}

/* Integer which of the message becomes value; which at the end of all: none does. */
static void try_value(const message_row *row, int victim, size_t which, uint32_t value)
{
    scene s;
    message m;
    compose(row, &m);
    start(&s, row, victim);
    size_t before = s.m.live;
    bool changed = which < m.count;
    if (changed) {
        nc_put_u32(m.bytes + m.integers[which].at, value);
    }
    pair_inject(&s.p, s.who, m.bytes, m.n);
    pair_run(&s.p);
    const nacre_error *e = hostile_error(&s.p, victim);
    bool lies = changed && m.integers[which].length && value > ROOM;
    bool right =
        e->status == NACRE_OK ? !lies : names_the_peer(e->status) && e->by == NACRE_BY_PEER;
    if (!right || s.m.peak > before + 512 * KIB) {
        fail_msg("%s, message %u %s, integer %zu is %u: %s: %s; %zu bytes",
                 victim ? "server" : "client", row->number, row->form, which, value,
                 nacre_status_symbol(e->status), e->text, s.m.peak - before);
    }
    pair_free(&s.p);
    assert_int_equal(s.m.live, 0);
}

static void test_every_integer(void **state)
{
    (void)state;
    static const uint32_t values[] = {0, 1, 0x7fffffffu, 0x80000000u, 0xffffffffu};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        for (int victim = 0; victim < 2; victim++) {
            message m;
            if (!(rows[i].victims & (victim == NACRE_CLIENT ? CLIENT : SERVER))) {
                continue;
            }
            compose(&rows[i], &m);
            for (size_t k = 0; k < m.count; k++) {
                for (size_t v = 0; v < sizeof(values) / sizeof(values[0]); v++) {
                    try_value(&rows[i], victim, k, values[v]);
                }
            }
        }
    }
}

/* As they are they do no harm: so it was the integer that did, above, and the message stood where it may. */
static void test_untouched(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        for (int victim = 0; victim < 2; victim++) {
            scene s;
            message m;
            if (!(rows[i].victims & (victim == NACRE_CLIENT ? CLIENT : SERVER))) {
                continue;
            }
            compose(&rows[i], &m);
            start(&s, &rows[i], victim);
            pair_inject(&s.p, s.who, m.bytes, m.n);
            pair_run(&s.p);
            const nacre_error *e = hostile_error(&s.p, victim);
            bool last = rows[i].number == SSH_MSG_DISCONNECT || rows[i].where >= METHOD;
            if (e->status == NACRE_OUT_OF_PLACE || e->status == NACRE_MALFORMED ||
                (e->status != NACRE_OK && !last)) {
                fail_msg("%s, message %u %s: %s: %s", victim ? "server" : "client", rows[i].number,
                         rows[i].form, nacre_status_symbol(e->status), e->text);
            }
            pair_free(&s.p);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_untouched),
        cmocka_unit_test(test_every_integer),
    };
    return cmocka_run_group_tests(tests, NULL, hostile_cleanup);
}
