/*
 * Engines whose application asked for something of its own: groups from a moduli(5) file, peers with known habits, a
 * log of everything, and the calls that walk through channels and forbid new sessions.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "crypto/dh_groups.h"
#include "support/pair.h"

static const char *const gex = "diffie-hellman-group-exchange-sha256";

/* ---- what is seen of the first exchange, which nothing encrypts ------------------------------------ */

typedef struct sight {
    uint32_t asked[3];   /* of the request as it left: least, best, most */
    uint32_t instead[3]; /* not 0: what the server gets to see */
    unsigned group_bits; /* of the answer */
} sight;

/* The payload of a bare packet of that number in these bytes; NULL: there is none. */
static uint8_t *payload_of(uint8_t *bytes, size_t n, uint8_t number)
{
    for (size_t at = 0; at + 6 <= n && bytes[at] == 0;) {
        uint32_t length = nc_get_u32(bytes + at);
        if (bytes[at + 5] == number && at + 4 + length <= n) {
            return bytes + at + 5;
        }
        at += 4 + (size_t)length;
    }
    return NULL;
}

static void look(pair *p, int from, uint8_t *bytes, size_t n)
{
    sight *s = p->user;
    uint8_t *m = payload_of(bytes, n, from ? SSH_MSG_KEX_DH_GEX_GROUP : SSH_MSG_KEX_DH_GEX_REQUEST);
    if (m && from && !s->group_bits) {
        s->group_bits = (nc_get_u32(m + 1) - 1) * 8; /* a zero byte goes before the highest bit */
    }
    for (size_t i = 0; m && !from && !s->asked[2] && i < 3; i++) {
        s->asked[i] = nc_get_u32(m + 1 + 4 * i);
        if (s->instead[2]) {
            nc_put_u32(m + 1 + 4 * i, s->instead[i]);
        }
    }
}

static void start(pair *p, sight *s)
{
    memset(s, 0, sizeof(*s));
    pair_init(p, 71);
    p->wire = look;
    p->user = s;
    p->config[0].kex = p->config[1].kex = gex;
    p->config[0].cipher_c2s = p->config[0].cipher_s2c = "aes256-ctr"; /* so 8192 bits are wanted */
}

/* A line of a moduli(5) file: that group, called one of so many bits. */
static void add_line(nc_buf *text, int group, unsigned bits)
{
    nacre_span p = nc_dh_groups[group].p;
    char word[80];
    int n = snprintf(word, sizeof(word), "20260101000000 2 6 100 %u 2 ", bits - 1);
    assert_int_equal(nc_buf_append(text, word, (size_t)n), NACRE_OK);
    for (size_t i = 0; i < p.n; i++) {
        n = snprintf(word, sizeof(word), "%02X", p.p[i]);
        assert_int_equal(nc_buf_append(text, word, (size_t)n), NACRE_OK);
    }
    assert_int_equal(nc_buf_append(text, "\n", 1), NACRE_OK);
}

static unsigned group_from(const nc_buf *moduli)
{
    pair p;
    sight s;
    start(&p, &s);
    p.config[1].moduli = nc_buf_span(moduli);
    assert_int_equal(pair_start(&p, NULL), NACRE_OK);
    pair_run(&p);
    assert_true(nacre_transport_authenticated(p.end[0].t));
    assert_int_equal(s.asked[0], 2048);
    assert_int_equal(s.asked[1], 8192);
    assert_int_equal(s.asked[2], 8192);
    pair_free(&p);
    return s.group_bits;
}

/* The file's groups come first, whatever is built in; lines that are none leave the built in ones. */
static void groups_of_a_moduli_file(void **state)
{
    nc_buf text;
    (void)state;
    nc_buf_init(&text, NULL, 1 << 16);
    assert_int_equal(nc_buf_append(&text, "# nothing but words\n", 20), NACRE_OK);
    add_line(&text, NC_DH_2048, 3072);
    assert_int_equal(group_from(&text), 8192);
    add_line(&text, NC_DH_2048, 2048);
    assert_int_equal(group_from(&text), 2048);
    add_line(&text, NC_DH_3072, 3072);
    assert_int_equal(group_from(&text), 3072);
    nc_buf_clear(&text);
}

/* Sizes between those that there are: no other is taken in their place. */
static void no_group_of_that_size(void **state)
{
    pair p;
    sight s;
    nc_buf text;
    (void)state;
    nc_buf_init(&text, NULL, 1 << 16);
    add_line(&text, NC_DH_3072, 3072);
    start(&p, &s);
    p.config[1].moduli = nc_buf_span(&text);
    s.instead[0] = s.instead[1] = 2100;
    s.instead[2] = 2900;
    assert_int_equal(pair_start(&p, NULL), NACRE_OK);
    pair_run(&p);
    const nacre_error *e = nacre_transport_error(p.end[1].t);
    assert_int_equal(e->status, NACRE_KEX_FAILED);
    assert_non_null(strstr(e->text, "no group of 2100 to 2900 bits"));
    assert_int_equal(s.group_bits, 0);
    assert_int_equal(nacre_transport_error(p.end[0].t)->status, NACRE_PEER_DISCONNECTED);
    pair_free(&p);
    nc_buf_clear(&text);
}

/* ---- peers with habits, and a log of everything ------------------------------------------------------ */

static unsigned known, received, sent;

static void count_lines(void *user, nacre_log_level level, const char *line)
{
    (void)user;
    (void)level;
    known += strstr(line, "known for: old-group-exchange") != NULL;
    received += strstr(line, "received ") != NULL;
    sent += strstr(line, "sent ") != NULL;
}

/* OpenSSH until 6.6 took no request of more than 4096 bits. */
static void an_old_peer_is_asked_for_less(void **state)
{
    pair p;
    sight s;
    (void)state;
    known = received = sent = 0;
    start(&p, &s);
    p.config[1].software = "OpenSSH_6.6";
    p.config[0].log = count_lines;
    p.config[0].log_level = NACRE_LOG_TRACE;
    assert_int_equal(pair_start(&p, NULL), NACRE_OK);
    pair_run(&p);
    assert_true(nacre_transport_authenticated(p.end[0].t));
    assert_int_equal(s.asked[1], 4096);
    assert_int_equal(s.asked[2], 4096);
    assert_int_equal(s.group_bits, 4096);
    assert_int_equal(known, 1);
    assert_true(received > 5 && sent > 5);
    /* From here on nothing is told. */
    nacre_transport_set_log_level(p.end[0].t, NACRE_LOG_ERROR);
    received = sent = 0;
    assert_int_equal(nacre_transport_rekey(p.end[0].t), NACRE_OK);
    pair_run(&p);
    nacre_counters n;
    nacre_transport_counters(p.end[0].t, &n);
    assert_int_equal(n.key_exchanges, 2);
    assert_int_equal(received + sent, 0);
    pair_free(&p);
}

/* ---- what is told of the exchange and of requests ------------------------------------------------------- */

/* Good over the session identifier by the host key, as an agent is bound by it; and still the first after a re-key. */
static void the_host_signature_is_that_of_the_first_exchange(void **state)
{
    pair p;
    (void)state;
    pair_init(&p, 73);
    assert_int_equal(pair_start(&p, NULL), NACRE_OK);
    const nacre_transport *t = p.end[0].t;
    assert_int_equal(nacre_transport_host_signature(t).n, 0);
    assert_null(nacre_transport_host_key(t));
    pair_run(&p);
    const nacre_key *host = nacre_transport_host_key(t);
    nacre_span id = nacre_transport_session_id(t), sig = nacre_transport_host_signature(t);
    assert_true(nc_span_eq(id, nacre_transport_session_id(p.end[1].t)));
    assert_int_equal(nacre_key_verify(host, nacre_transport_negotiated(t)->host_key, id, sig),
                     NACRE_OK);
    uint8_t other[64];
    assert_true(id.n > 0 && id.n <= sizeof(other));
    memcpy(other, id.p, id.n);
    other[0] ^= 1;
    assert_int_equal(nacre_key_verify(host, NULL, nc_span(other, id.n), sig), NACRE_BAD_SIGNATURE);
    assert_int_equal(nacre_transport_rekey(p.end[0].t), NACRE_OK);
    pair_run(&p);
    nacre_counters n;
    nacre_transport_counters(t, &n);
    assert_int_equal(n.key_exchanges, 2);
    sig = nacre_transport_host_signature(t);
    assert_true(nc_span_eq(id, nacre_transport_session_id(t)));
    assert_int_equal(nacre_key_verify(nacre_transport_host_key(t), NULL, id, sig), NACRE_OK);
    pair_free(&p);
}

typedef struct answers {
    uint32_t number[4];
    bool yes[4];
    size_t n;
} answers;

/* The server says yes to "yes@x" only. */
static bool answer_requests(pair *p, int who, const nacre_event *ev)
{
    answers *a = p->user;
    if (ev->type == NACRE_EVENT_GLOBAL_REQUEST && ev->u.global.want_reply) {
        bool yes = nc_span_is(ev->u.global.name, "yes@x");
        assert_int_equal(yes ? nacre_transport_accept(p->end[who].t, ev->ticket)
                             : nacre_transport_refuse(p->end[who].t, ev->ticket),
                         NACRE_OK);
        return true;
    }
    if (ev->type == NACRE_EVENT_GLOBAL_REPLY) {
        assert_true(a->n < 4);
        a->number[a->n] = ev->u.reply.number;
        a->yes[a->n++] = ev->u.reply.success;
        return true;
    }
    return false;
}

/* Each answer has the number that its request had; a request without an answer takes none. */
static void answers_have_the_numbers_of_their_requests(void **state)
{
    pair p;
    answers a;
    uint32_t asked[3];
    nacre_span none = {NULL, 0};
    static const char *const names[] = {"no@x", "yes@x", "no@x"};
    (void)state;
    memset(&a, 0, sizeof(a));
    pair_init(&p, 74);
    p.hook = answer_requests;
    p.user = &a;
    assert_int_equal(pair_start(&p, NULL), NACRE_OK);
    pair_run(&p);
    nacre_transport *t = p.end[0].t;
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(nacre_global_request(t, names[i], true, none), NACRE_OK);
        asked[i] = nacre_global_request_number(t);
        assert_true(i == 0 || asked[i] != asked[i - 1]);
        assert_int_equal(nacre_global_request(t, "yes@x", false, none), NACRE_OK);
        assert_int_equal(nacre_global_request_number(t), asked[i]);
    }
    pair_run(&p);
    assert_int_equal(a.n, 3);
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(a.number[i], asked[i]);
        assert_int_equal(a.yes[i], i == 1);
    }
    pair_free(&p);
}

/* ---- channels ------------------------------------------------------------------------------------------ */

static bool take_channels(pair *p, int who, const nacre_event *ev)
{
    if (ev->type != NACRE_EVENT_CHANNEL_OPEN) {
        return ev->channel != NULL;
    }
    assert_int_equal(nacre_transport_accept(p->end[who].t, ev->ticket), NACRE_OK);
    return true;
}

static size_t walk(const pair *p, int who)
{
    size_t n = 0;
    for (nacre_channel *ch = nacre_channel_next(p->end[who].t, NULL); ch;
         ch = nacre_channel_next(p->end[who].t, ch)) {
        assert_string_equal(nacre_channel_type(ch), "session");
        n++;
    }
    return n;
}

/* no-more-sessions@openssh.com (PROTOCOL 2.2): neither end opens one, and a packet that tries is refused. */
static void no_more_sessions(void **state)
{
    pair p;
    nacre_channel *ch = NULL;
    (void)state;
    pair_init(&p, 72);
    p.no_channels = true;
    p.hook = take_channels;
    assert_int_equal(pair_start(&p, NULL), NACRE_OK);
    pair_run(&p);
    assert_int_equal(walk(&p, 0), 0);
    for (size_t i = 1; i <= 3; i++) {
        assert_int_equal(nacre_channel_open_session(p.end[0].t, &ch), NACRE_OK);
        pair_run(&p);
        assert_int_equal(walk(&p, 0), i);
        assert_int_equal(walk(&p, 1), i);
    }
    assert_int_equal(nacre_no_more_sessions(p.end[0].t), NACRE_OK);
    pair_run(&p);
    assert_true(nacre_channel_open_session(p.end[0].t, &ch) < 0);
    nacre_counters n;
    nacre_transport_counters(p.end[0].t, &n);
    assert_int_equal(n.channels, 3);
    pair_free(&p);
}

/* ---- what is no engine ----------------------------------------------------------------------------------- */

static void configs_of_nobody(void **state)
{
    nacre_config c;
    nacre_transport *t = NULL;
    nacre_error err;
    (void)state;
    assert_int_equal(nacre_transport_new(&t, NULL, 0, &err), NACRE_INVALID_ARGUMENT);
    assert_non_null(strstr(err.text, "nacre_config_init"));
    memset(&c, 0, sizeof(c));
    assert_int_equal(nacre_transport_new(&t, &c, 0, &err), NACRE_INVALID_ARGUMENT);
    nacre_config_init(&c, NACRE_CLIENT);
    c.size =
        offsetof(nacre_config, random) - 1; /* the allocator is not whole, and must not be called */
    c.allocator = (const nacre_allocator *)(uintptr_t)16;
    assert_int_equal(nacre_transport_new(&t, &c, 0, &err), NACRE_INVALID_ARGUMENT);
    assert_null(t);
}

static int drop_keys(void **state)
{
    (void)state;
    pair_keys_free();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(groups_of_a_moduli_file),
        cmocka_unit_test(no_group_of_that_size),
        cmocka_unit_test(an_old_peer_is_asked_for_less),
        cmocka_unit_test(the_host_signature_is_that_of_the_first_exchange),
        cmocka_unit_test(answers_have_the_numbers_of_their_requests),
        cmocka_unit_test(no_more_sessions),
        cmocka_unit_test(configs_of_nobody),
    };
    return cmocka_run_group_tests(tests, NULL, drop_keys);
}
