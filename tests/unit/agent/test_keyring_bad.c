/*
 * The keyring and what should not be said to it: constraints that it cannot keep, routes that make no sense,
 * requests that are cut, floods; and memory that runs out.
 */
#include "ring.h"
#include "support/memory.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static int raw_add(const uint8_t *tail, size_t n, size_t *held)
{
    ring r;
    nc_buf b;
    size_t took;
    ring_start(&r, NULL);
    nc_buf_init(&b, NULL, 65536);
    nc_wr w = nc_wr_init(&b);
    size_t mark = nc_wr_begin_str(&w);
    nc_wr_u8(&w, SSH_AGENTC_ADD_ID_CONSTRAINED);
    nc_agent_write_key(&w, test_key("ed25519"));
    nc_wr_cstr(&w, "comment");
    nc_wr_bytes(&w, nc_span(tail, n));
    nc_wr_end_str(&w, mark);
    assert_int_equal(nc_wr_err(&w), NACRE_OK);
    assert_int_equal(nacre_keyring_received(r.conn[0], nc_buf_span(&b), &took), NACRE_OK);
    int type = raw_reply(r.conn[0]);
    *held = listed(r.agent[1]);
    nc_buf_clear(&b);
    ring_end(&r);
    return type;
}

static void constraints_that_cannot_be_kept_refuse_the_key(void **state)
{
    (void)state;
#define EXT(name) "\xff\0\0\0" name
    static const struct {
        const char *bytes;
        size_t n;
        bool good;
    } rows[] = {
        {"", 0, true},
        {"\1\0\0\0\5", 5, true},
        {"\2", 1, true},
        {"\1\0\0\0\5\2", 6, true},
        {"\1\0\0\0", 4, false},
        {"\1\0\0\0\5\1\0\0\0\6", 10, false}, /* twice */
        {"\2\2", 2, false},
        {"\3\0\0\0\1", 5, false}, /* how many signatures: not counted here */
        {"\4", 1, false},
        {"\xff", 1, false},
        {EXT("\4x@yz"), 9, false},
        {EXT("\x17sk-provider@openssh.com\0\0\0\10internal"), 5 + 23 + 12, false},
        {EXT("\x20"
             "associated-certs-v00@openssh.com\1\0\0\0\0"),
         5 + 32 + 5, false},
        {EXT("\x24"
             "restrict-destination-v00@openssh.com\0\0\0\0"),
         5 + 36 + 4, false},
        {EXT("\x24"
             "restrict-destination-v00@openssh.com\0\0\0\1x"),
         5 + 36 + 5, false},
        {EXT("\x24"
             "restrict-destination-v00@openssh.com\xff\xff\xff\xff"),
         5 + 36 + 4, false},
    };
#undef EXT
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        size_t held;
        int type = raw_add((const uint8_t *)rows[i].bytes, rows[i].n, &held);
        assert_int_equal(type, rows[i].good ? SSH_AGENT_SUCCESS : SSH_AGENT_FAILURE);
        assert_int_equal(held, rows[i].good);
    }
}

static void routes_that_make_no_sense_refuse_the_key(void **state)
{
    (void)state;
    for (int i = 0; i < 8; i++) {
        ring r;
        route p;
        nacre_key *cert_like = NULL;
        make_route(&p);
        switch (i) {
        case 0:
            p.hops[0].to.host = NULL;
            break;
        case 1:
            p.hops[0].to.key_count = 0;
            break;
        case 2:
            p.hops[0].from.user = "x";
            break;
        case 3:
            p.hops[1].from.host = NULL;
            break;
        case 4:
            p.hops[1].from.key_count = 0;
            break;
        case 5: {
            static char longer[NC_MAX_USER + 2];
            memset(longer, 'x', sizeof(longer) - 1);
            p.hops[1].to.user = longer;
            break;
        }
        default:
            break;
        }
        ring_start(&r, NULL);
        assert_int_equal(nacre_agent_add(r.agent[0], test_key("ed25519"), &p.c, NULL),
                         i < 6 ? NACRE_AGENT_REFUSED : NACRE_OK);
        assert_int_equal(listed(r.agent[0]), i >= 6);
        nacre_key_free(cert_like);
        ring_end(&r);
    }
}

static void a_route_cut_anywhere_refuses_the_key(void **state)
{
    (void)state;
    route p;
    nc_buf b;
    make_route(&p);
    nc_buf_init(&b, NULL, 65536);
    nc_wr w = nc_wr_init(&b);
    nc_agent_write_constraints(&w, &p.c);
    assert_int_equal(nc_wr_err(&w), NACRE_OK);
    for (size_t n = 1; n < b.len; n++) {
        size_t held;
        assert_int_equal(raw_add(b.data, n, &held), SSH_AGENT_FAILURE);
        assert_int_equal(held, 0);
    }
    nc_buf_clear(&b);
}

/* Every request, cut at every byte with a length that fits: a refusal each, and the next is served. */
static void requests_cut_anywhere_are_refused(void **state)
{
    (void)state;
    ring r;
    route p;
    nc_buf b;
    size_t took, at = 0;
    nacre_key *k = test_key("ed25519");
    make_route(&p);
    nc_buf_init(&b, NULL, 65536);
    ring_start(&r, NULL);
    assert_int_equal(nc_agent_ask_add(&b, k, NULL), NACRE_OK);
    assert_int_equal(nc_agent_ask_add(&b, k, &p.c), NACRE_OK);
    assert_int_equal(nc_agent_ask_sign(&b, nacre_key_blob(k), text("x"), 0), NACRE_OK);
    assert_int_equal(nc_agent_ask_string(&b, SSH_AGENTC_REMOVE_IDENTITY, nacre_key_blob(k)),
                     NACRE_OK);
    assert_int_equal(nc_agent_ask_string(&b, SSH_AGENTC_LOCK, text("pw")), NACRE_OK);
    assert_int_equal(nc_agent_ask_string(&b, SSH_AGENTC_UNLOCK, text("pw")), NACRE_OK);
    assert_int_equal(nc_agent_ask_bind(&b, p.first, text("s"), text("x"), true), NACRE_OK);
    while (at < b.len) {
        size_t whole = nc_get_u32(b.data + at) + 4;
        uint8_t kept[4];
        memcpy(kept, b.data + at, 4);
        for (size_t n = 5; n < whole; n++) {
            /* A key that comes with "constrained" and no constraints is good. */
            nc_put_u32(b.data + at, (uint32_t)n - 4);
            assert_int_equal(nacre_keyring_received(r.conn[0], nc_span(b.data + at, n), &took),
                             NACRE_OK);
            int type = raw_reply(r.conn[0]);
            bool bare =
                b.data[at + 4] == SSH_AGENTC_ADD_ID_CONSTRAINED && type == SSH_AGENT_SUCCESS;
            assert_true(bare || type == SSH_AGENT_FAILURE || type == SSH_AGENT_EXTENSION_FAILURE);
        }
        memcpy(b.data + at, kept, 4);
        at += whole;
    }
    assert_int_equal(nacre_agent_remove_all(r.agent[1], NULL), NACRE_OK);
    /* unknown numbers, old ones, tokens */
    for (int type = 0; type < 256; type++) {
        uint8_t one[5] = {0, 0, 0, 1, (uint8_t)type};
        bool fine =
            type == SSH_AGENTC_REQUEST_IDENTITIES || type == SSH_AGENTC_REMOVE_ALL_IDENTITIES;
        assert_int_equal(nacre_keyring_received(r.conn[0], nc_span(one, 5), &took), NACRE_OK);
        assert_int_equal(raw_reply(r.conn[0]) == SSH_AGENT_FAILURE, !fine);
    }
    nc_buf_clear(&b);
    ring_end(&r);
}

static void absurd_lengths_end_the_connection(void **state)
{
    (void)state;
    static const char *const heads[] = {"\0\0\0\0", "\xff\xff\xff\xff", "\0\4\0\1", "\x7f\0\0\0"};
    for (size_t i = 0; i < 4; i++) {
        ring r;
        size_t took;
        ring_start(&r, NULL);
        assert_int_equal(nacre_keyring_received(r.conn[0], nc_span(heads[i], 4), &took),
                         NACRE_AGENT_PROTOCOL);
        assert_false(nacre_keyring_wants_input(r.conn[0]));
        assert_int_equal(nacre_keyring_received(r.conn[0], nc_span("\0\0\0\1\x0b", 5), &took),
                         NACRE_AGENT_PROTOCOL);
        assert_int_equal(listed(r.agent[1]), 0);
        ring_end(&r);
    }
}

static void replies_that_nobody_fetches_stop_the_reading(void **state)
{
    (void)state;
    ring r;
    size_t took, all = 0;
    ring_start(&r, NULL);
    assert_int_equal(nacre_agent_add(r.agent[0], test_key("rsa2048"), NULL, NULL), NACRE_OK);
    static uint8_t flood[5 * 65536];
    for (size_t i = 0; i < sizeof(flood); i += 5) {
        memcpy(flood + i, "\0\0\0\1\x0b", 5);
    }
    for (int i = 0; i < 8; i++) {
        assert_int_equal(nacre_keyring_received(r.conn[1], nc_span(flood, sizeof(flood)), &took),
                         NACRE_OK);
        all += took;
    }
    assert_true(all < 512 * 1024);
    assert_false(nacre_keyring_wants_input(r.conn[1]));
    assert_true(nacre_keyring_output(r.conn[1]).n < 512 * 1024);
    while (nacre_keyring_output(r.conn[1]).n) {
        nacre_keyring_sent(r.conn[1], nacre_keyring_output(r.conn[1]).n);
        assert_int_equal(nacre_keyring_received(r.conn[1], nc_span(NULL, 0), &took), NACRE_OK);
    }
    assert_true(nacre_keyring_wants_input(r.conn[1]));
    ring_end(&r);
}

static void memory_may_run_out_anywhere(void **state)
{
    (void)state;
    route p;
    nc_buf b;
    nacre_key *k = test_key("ed25519");
    make_route(&p);
    nc_buf_init(&b, NULL, 65536);
    assert_int_equal(nc_agent_ask_add(&b, k, &p.c), NACRE_OK);
    assert_int_equal(nc_agent_ask_add(&b, k, NULL), NACRE_OK);
    assert_int_equal(nc_agent_ask(&b, SSH_AGENTC_REQUEST_IDENTITIES), NACRE_OK);
    assert_int_equal(nc_agent_ask_sign(&b, nacre_key_blob(k), text("x"), 0), NACRE_OK);
    test_memory m;
    for (test_memory_init(&m); test_memory_round(&m);) {
        nacre_keyring *held = NULL;
        nacre_keyring_conn *c = NULL;
        nacre_keyring_options o;
        size_t took;
        nacre_keyring_options_init(&o);
        o.allocator = &m.hooks;
        int rc = nacre_keyring_new(&held, &o, 0, 0);
        if (rc == NACRE_OK) {
            rc = nacre_keyring_connect(&c, held);
        }
        if (rc == NACRE_OK) {
            rc = nacre_keyring_received(c, nc_buf_span(&b), &took);
            nacre_span out = nacre_keyring_output(c);
            /* a refusal is what a client sees of it, and no key is held without its constraints */
            bool all = rc == NACRE_OK && out.n > 20 && out.p[4] == SSH_AGENT_SUCCESS &&
                       out.p[9] == SSH_AGENT_SUCCESS;
            assert_true(all || m.failed);
        }
        nacre_keyring_conn_free(c);
        nacre_keyring_free(held);
    }
    assert_true(m.round > 10);
    nc_buf_clear(&b);
}

static int forget(void **state)
{
    (void)state;
    test_keys_free();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(constraints_that_cannot_be_kept_refuse_the_key),
        cmocka_unit_test(routes_that_make_no_sense_refuse_the_key),
        cmocka_unit_test(a_route_cut_anywhere_refuses_the_key),
        cmocka_unit_test(requests_cut_anywhere_are_refused),
        cmocka_unit_test(absurd_lengths_end_the_connection),
        cmocka_unit_test(replies_that_nobody_fetches_stop_the_reading),
        cmocka_unit_test(memory_may_run_out_anywhere),
    };
    return cmocka_run_group_tests(tests, NULL, forget);
}
