/*
 * test_auth_client.c - the userauth client against servers that do not keep to the rules, and its
 * choice of a signature algorithm.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../keys/keydata.h"
#include "auth/auth_state.h"
#include "fake_link.h"
#include "transport/version.h"

#include <stdlib.h>
#include <string.h>

static nacre_key *key_a, *key_a_public, *key_b, *rsa;
static rig c;
static nc_buf out;

static int make_keys(void **state)
{
    (void)state;
    assert_int_equal(nacre_key_generate(&key_a, NULL, "ed25519", 0, NULL), NACRE_OK);
    assert_int_equal(nacre_key_generate(&key_b, NULL, "ed25519", 0, NULL), NACRE_OK);
    rsa = keydata_private("rsa2048");
    assert_int_equal(nacre_key_from_blob(&key_a_public, NULL, nacre_key_blob(key_a), NULL),
                     NACRE_OK);
    return 0;
}

static int free_keys(void **state)
{
    (void)state;
    nacre_key_free(key_a);
    nacre_key_free(key_a_public);
    nacre_key_free(key_b);
    nacre_key_free(rsa);
    nc_buf_clear(&out);
    return 0;
}

/* ---- states ----------------------------------------------------------------------------------------- */

enum {
    IDLE,
    NONE_SENT,
    PASSWORD_SENT,
    SIGNED_SENT,
    PROBE_SENT,
    INTERACTIVE_SENT,
    SIGNING,
    ASKING,
    CHANGING,
    DONE,
    STATES
};

static nacre_span one_prompt(void)
{
    return pack(&out, "ysssuso", 60, "", "", "", (uint32_t)1, "p", 0);
}

static nacre_span pk_ok(const char *algorithm, const nacre_key *key)
{
    return pack(&out, "ysS", 60, algorithm, nacre_key_blob(key));
}

static void bring_to(int where)
{
    rig_init(&c, NACRE_CLIENT);
    rig_start(&c);
    switch (where) {
    case NONE_SENT:
    case DONE:
        assert_int_equal(nc_auth_none(c.auth, "alice"), NACRE_OK);
        break;
    case PASSWORD_SENT:
    case CHANGING:
        assert_int_equal(nc_auth_password(c.auth, "alice", SPAN("pw")), NACRE_OK);
        break;
    case SIGNED_SENT:
        assert_int_equal(nc_auth_publickey(c.auth, "alice", key_a, NULL), NACRE_OK);
        break;
    case PROBE_SENT:
    case SIGNING:
        assert_int_equal(nc_auth_publickey(c.auth, "alice", key_a_public, NULL), NACRE_OK);
        break;
    case INTERACTIVE_SENT:
    case ASKING:
        assert_int_equal(nc_auth_interactive(c.auth, "alice", NULL), NACRE_OK);
        break;
    default:
        break;
    }
    if (where == SIGNING) {
        assert_int_equal(rig_step(&c, pk_ok("ssh-ed25519", key_a)), NACRE_OK);
    } else if (where == ASKING) {
        assert_int_equal(rig_step(&c, one_prompt()), NACRE_OK);
    } else if (where == CHANGING) {
        assert_int_equal(rig_step(&c, pack(&out, "yss", 60, "p", "")), NACRE_OK);
    } else if (where == DONE) {
        assert_int_equal(rig_step(&c, SPAN("\x34")), NACRE_OK);
        assert_int_equal(c.authenticated, 1);
    }
}

static void expect_fatal(int rc, int status)
{
    assert_int_equal(rc, status);
    assert_int_equal(c.status, status);
    assert_int_equal(c.by, NACRE_BY_PEER);
}

static bool waits_for_server(int where)
{
    return where >= NONE_SENT && where <= INTERACTIVE_SENT;
}

/* ---- every message in every state -------------------------------------------------------------------- */

static void success_counts_only_where_it_was_earned(void **state)
{
    (void)state;
    for (int where = IDLE; where < STATES; where++) {
        bring_to(where);
        int before = c.authenticated;
        int rc = rig_step(&c, SPAN("\x34"));
        if (waits_for_server(where) && where != PROBE_SENT) {
            assert_int_equal(rc, NACRE_OK);
            assert_int_equal(c.ev.type, NACRE_EVENT_AUTH_RESULT);
            assert_int_equal(c.authenticated, 1);
        } else {
            expect_fatal(rc, NACRE_OUT_OF_PLACE);
            assert_int_equal(c.authenticated, before);
        }
        rig_clear(&c);
    }
}

static void failure_counts_only_where_one_was_due(void **state)
{
    (void)state;
    for (int where = IDLE; where < STATES; where++) {
        bring_to(where);
        int rc = rig_step(&c, pack(&out, "yso", 51, "password", 0));
        if (waits_for_server(where)) {
            assert_int_equal(rc, NACRE_OK);
            assert_int_equal(c.ev.u.auth_result.status, NACRE_AUTH_FAILED);
            assert_true(nc_span_is(c.ev.u.auth_result.methods, "password"));
            assert_int_equal(nc_auth_none(c.auth, "alice"), NACRE_OK); /* free for the next */
        } else {
            expect_fatal(rc, NACRE_OUT_OF_PLACE);
        }
        rig_clear(&c);
    }
}

static void banner_is_shown_until_success(void **state)
{
    (void)state;
    for (int where = IDLE; where < STATES; where++) {
        bring_to(where);
        int rc = rig_step(&c, pack(&out, "yss", 53, "hello", "en"));
        if (where == DONE) {
            expect_fatal(rc, NACRE_OUT_OF_PLACE);
        } else {
            assert_int_equal(rc, NACRE_OK);
            assert_int_equal(c.ev.type, NACRE_EVENT_AUTH_BANNER);
            assert_true(nc_span_is(c.ev.text, "hello"));
        }
        rig_clear(&c);
    }
}

static void sixty_means_what_the_method_says(void **state)
{
    (void)state;
    static const struct {
        int where;
        nacre_event_type type;
    } good[] = {{PROBE_SENT, NACRE_EVENT_SIGN},
                {PASSWORD_SENT, NACRE_EVENT_AUTH_CHANGE_PASSWORD},
                {INTERACTIVE_SENT, NACRE_EVENT_AUTH_PROMPTS}};
    for (int shape = 0; shape < 3; shape++) {
        for (int where = IDLE; where < STATES; where++) {
            bring_to(where);
            nacre_span p = shape == 0   ? pk_ok("ssh-ed25519", key_a)
                           : shape == 1 ? pack(&out, "yss", 60, "new one please", "")
                                        : one_prompt();
            int rc = rig_step(&c, p);
            if (where == good[shape].where) {
                assert_int_equal(rc, NACRE_OK);
                assert_int_equal(c.ev.type, good[shape].type);
                assert_int_equal(c.link.open_tickets, 1);
            } else if (where != PASSWORD_SENT) {
                assert_true(rc == NACRE_OUT_OF_PLACE || rc == NACRE_MALFORMED ||
                            rc == NACRE_PROTOCOL);
                assert_int_equal(rc, c.status);
            }
            rig_clear(&c);
        }
    }
}

static void other_messages_are_never_in_place(void **state)
{
    (void)state;
    for (int where = IDLE; where < STATES; where++) {
        for (int number = 50; number < 80; number++) {
            if ((number >= 51 && number <= 53) || number == 60) {
                continue;
            }
            bring_to(where);
            expect_fatal(rig_step(&c, pack(&out, "yusss", number, (uint32_t)0, "a", "b", "c")),
                         NACRE_OUT_OF_PLACE);
            rig_clear(&c);
        }
    }
    rig_init(&c, NACRE_CLIENT); /* before start */
    assert_int_equal(rig_open(&c), NACRE_OK);
    assert_int_equal(nc_auth_none(c.auth, "alice"), NACRE_OK);
    expect_fatal(rig_step(&c, SPAN("\x34")), NACRE_OUT_OF_PLACE);
    assert_int_equal(c.authenticated, 0);
    rig_clear(&c);
}

/* ---- contents --------------------------------------------------------------------------------------------- */

static nacre_span sample(int kind)
{
    switch (kind) {
    case 0:
        return pk_ok("ssh-ed25519", key_a);
    case 1:
        return one_prompt();
    default:
        return pack(&out, "yso", 51, "publickey,password", 1);
    }
}

static void truncated_anywhere_is_malformed(void **state)
{
    (void)state;
    static const int where[] = {PROBE_SENT, INTERACTIVE_SENT, NONE_SENT};
    for (int kind = 0; kind < 3; kind++) {
        size_t whole = sample(kind).n;
        for (size_t cut = 1; cut < whole; cut++) {
            bring_to(where[kind]);
            expect_fatal(rig_step(&c, nc_span(sample(kind).p, cut)), NACRE_MALFORMED);
            assert_int_equal(c.link.open_tickets, 0);
            rig_clear(&c);
        }
        bring_to(where[kind]);
        assert_int_equal(rig_step(&c, sample(kind)), NACRE_OK);
        rig_clear(&c);
    }
    bring_to(NONE_SENT);
    expect_fatal(rig_step(&c, SPAN("\x34x")), NACRE_MALFORMED);
    assert_int_equal(c.authenticated, 0);
    rig_clear(&c);
    bring_to(NONE_SENT);
    expect_fatal(rig_step(&c, SPAN("\x35\0\0\0\x05shor")), NACRE_MALFORMED);
    rig_clear(&c);
}

static void pk_ok_must_name_what_was_offered(void **state)
{
    (void)state;
    bring_to(PROBE_SENT);
    expect_fatal(rig_step(&c, pk_ok("ssh-ed25519", key_b)), NACRE_PROTOCOL);
    rig_clear(&c);
    bring_to(PROBE_SENT);
    expect_fatal(rig_step(&c, pk_ok("ssh-rsa", key_a)), NACRE_PROTOCOL);
    rig_clear(&c);
    bring_to(PROBE_SENT);
    expect_fatal(rig_step(&c, pack(&out, "yss", 60, "ssh-ed25519", "")), NACRE_PROTOCOL);
    rig_clear(&c);
}

static void prompt_counts_must_be_true(void **state)
{
    (void)state;
    const uint32_t counts[] = {0, 2, 255, 257, 0x80000000u, 0xFFFFFFFFu};
    for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
        bring_to(INTERACTIVE_SENT);
        expect_fatal(rig_step(&c, pack(&out, "ysssuso", 60, "", "", "", counts[i], "p", 0)),
                     NACRE_MALFORMED);
        rig_clear(&c);
    }
    /* bytes for many prompts are there, but they are more than a person is asked */
    bring_to(INTERACTIVE_SENT);
    nc_buf many;
    nc_buf_init(&many, NULL, 10000);
    memset(nc_buf_extend(&many, 257 * 5), 0, 257 * 5);
    expect_fatal(
        rig_step(&c, pack(&out, "ysssur", 60, "", "", "", (uint32_t)257, nc_buf_span(&many))),
        NACRE_MALFORMED);
    rig_clear(&c);
    bring_to(INTERACTIVE_SENT);
    assert_int_equal(rig_step(&c, pack(&out, "ysssur", 60, "", "", "", (uint32_t)256,
                                       nc_span(many.data, 256 * 5))),
                     NACRE_OK);
    assert_int_equal(c.ev.u.prompts.count, 256);
    rig_clear(&c);
    nc_buf_clear(&many);
}

static void garbage_in_method_lists_is_malformed(void **state)
{
    (void)state;
    const nacre_span lists[] = {SPAN(",a"),   SPAN("a,"),   SPAN("a,,b"), SPAN("a b"),
                                SPAN("a\0b"), SPAN("\xff"), SPAN("a\n")};
    for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++) {
        bring_to(NONE_SENT);
        expect_fatal(rig_step(&c, pack(&out, "ySo", 51, lists[i], 0)), NACRE_MALFORMED);
        rig_clear(&c);
    }
    char *big = malloc(NC_MAX_NAMELIST + 1);
    assert_non_null(big);
    memset(big, 'a', NC_MAX_NAMELIST + 1);
    bring_to(NONE_SENT);
    expect_fatal(rig_step(&c, pack(&out, "ySo", 51, nc_span(big, NC_MAX_NAMELIST + 1), 0)),
                 NACRE_MALFORMED);
    rig_clear(&c);
    bring_to(NONE_SENT);
    assert_int_equal(rig_step(&c, pack(&out, "ySo", 51, nc_span(big, NC_MAX_NAMELIST), 1)),
                     NACRE_OK);
    assert_int_equal(c.ev.u.auth_result.status, NACRE_AUTH_PARTIAL);
    rig_clear(&c);
    free(big);
}

static void banners_have_caps(void **state)
{
    (void)state;
    char *big = calloc(1, NC_AUTH_MAX_BANNER + 1);
    assert_non_null(big);
    bring_to(NONE_SENT);
    assert_int_equal(rig_step(&c, pack(&out, "ySs", 53, nc_span(big, NC_AUTH_MAX_BANNER), "")),
                     NACRE_OK);
    expect_fatal(rig_step(&c, pack(&out, "ySs", 53, nc_span(big, NC_AUTH_MAX_BANNER + 1), "")),
                 NACRE_OVERSIZED);
    rig_clear(&c);
    free(big);
    bring_to(NONE_SENT);
    for (int i = 0; i < NC_AUTH_MAX_BANNERS; i++) {
        /* some servers leave the language out */
        assert_int_equal(rig_step(&c, pack(&out, "ys", 53, "x")), NACRE_OK);
    }
    expect_fatal(rig_step(&c, pack(&out, "ys", 53, "x")), NACRE_LIMIT);
    rig_clear(&c);
}

static void dialogues_end(void **state)
{
    (void)state;
    const nacre_span both[] = {SPAN("old"), SPAN("new")};
    nacre_answer change = {.accept = true, .responses = both, .count = 2};
    bring_to(INTERACTIVE_SENT);
    for (int i = 0; i < NC_AUTH_MAX_ROUNDS; i++) {
        /* no prompt and no text: answered by the machine, nothing to show */
        assert_int_equal(rig_step(&c, pack(&out, "ysssu", 60, "", "", "", (uint32_t)0)),
                         NACRE_AGAIN);
    }
    assert_int_equal(c.sent_count, 1 + NC_AUTH_MAX_ROUNDS);
    expect_fatal(rig_step(&c, pack(&out, "ysssu", 60, "", "", "", (uint32_t)0)), NACRE_LIMIT);
    rig_clear(&c);
    bring_to(PASSWORD_SENT);
    for (int i = 0; i < NC_AUTH_MAX_ROUNDS; i++) {
        assert_int_equal(rig_step(&c, pack(&out, "yss", 60, "p", "")), NACRE_OK);
        assert_int_equal(rig_answer(&c, &change), NACRE_OK);
    }
    expect_fatal(rig_step(&c, pack(&out, "yss", 60, "p", "")), NACRE_LIMIT);
    rig_clear(&c);
}

static void trivial_success_can_be_refused(void **state)
{
    (void)state;
    const nacre_span response[] = {SPAN("r")};
    nacre_answer reply = {.accept = true, .responses = response, .count = 1};
    bring_to(INTERACTIVE_SENT); /* nothing was ever asked */
    c.config.no_trivial_auth = true;
    expect_fatal(rig_step(&c, SPAN("\x34")), NACRE_AUTH_FAILED);
    assert_int_equal(c.authenticated, 0);
    rig_clear(&c);
    bring_to(INTERACTIVE_SENT); /* asked for nothing */
    c.config.no_trivial_auth = true;
    assert_int_equal(rig_step(&c, pack(&out, "ysssu", 60, "", "", "", (uint32_t)0)), NACRE_AGAIN);
    expect_fatal(rig_step(&c, SPAN("\x34")), NACRE_AUTH_FAILED);
    rig_clear(&c);
    bring_to(NONE_SENT);
    c.config.no_trivial_auth = true;
    expect_fatal(rig_step(&c, SPAN("\x34")), NACRE_AUTH_FAILED);
    assert_int_equal(c.authenticated, 0);
    rig_clear(&c);
    bring_to(NONE_SENT); /* a partial success without a proof is none */
    c.config.no_trivial_auth = true;
    assert_int_equal(rig_step(&c, pack(&out, "yso", 51, "keyboard-interactive", 1)), NACRE_OK);
    assert_int_equal(nc_auth_interactive(c.auth, "alice", NULL), NACRE_OK);
    expect_fatal(rig_step(&c, SPAN("\x34")), NACRE_AUTH_FAILED);
    rig_clear(&c);
    bring_to(SIGNED_SENT); /* with one, what follows may be a formality */
    c.config.no_trivial_auth = true;
    assert_int_equal(rig_step(&c, pack(&out, "yso", 51, "keyboard-interactive", 1)), NACRE_OK);
    assert_int_equal(nc_auth_interactive(c.auth, "alice", NULL), NACRE_OK);
    assert_int_equal(rig_step(&c, SPAN("\x34")), NACRE_OK);
    assert_int_equal(c.authenticated, 1);
    rig_clear(&c);
    bring_to(SIGNED_SENT); /* a refused one proves nothing */
    c.config.no_trivial_auth = true;
    assert_int_equal(rig_step(&c, pack(&out, "yso", 51, "keyboard-interactive", 0)), NACRE_OK);
    assert_int_equal(nc_auth_none(c.auth, "alice"), NACRE_OK);
    expect_fatal(rig_step(&c, SPAN("\x34")), NACRE_AUTH_FAILED);
    rig_clear(&c);
    bring_to(ASKING);
    c.config.no_trivial_auth = true;
    assert_int_equal(rig_answer(&c, &reply), NACRE_OK);
    assert_int_equal(rig_step(&c, SPAN("\x34")), NACRE_OK);
    assert_int_equal(c.authenticated, 1);
    rig_clear(&c);
    bring_to(SIGNED_SENT);
    c.config.no_trivial_auth = true;
    assert_int_equal(rig_step(&c, SPAN("\x34")), NACRE_OK);
    rig_clear(&c);
}

/* ---- calls ------------------------------------------------------------------------------------------------- */

static void calls_that_cannot_be(void **state)
{
    (void)state;
    size_t n = 1024 * 1024;
    char *big = calloc(1, n);
    assert_non_null(big);
    bring_to(IDLE);
    assert_int_equal(nc_auth_none(c.auth, NULL), NACRE_INVALID_ARGUMENT);
    assert_int_equal(nc_auth_password(c.auth, "a", nc_span(big, n)), NACRE_TOO_LARGE);
    assert_int_equal(nc_auth_publickey(c.auth, "a", NULL, NULL), NACRE_INVALID_ARGUMENT);
    assert_int_equal(nc_auth_publickey(c.auth, "a", key_a, "rsa-sha2-512"), NACRE_UNKNOWN_NAME);
    assert_int_equal(nc_auth_publickey(c.auth, "a", rsa, "ssh-rsa"), NACRE_UNSUPPORTED);
    c.config.min_rsa_bits = 3072;
    assert_int_equal(nc_auth_publickey(c.auth, "a", rsa, NULL), NACRE_BAD_KEY);
    memset(big, 'u', NC_MAX_USER + 1);
    assert_int_equal(nc_auth_none(c.auth, big), NACRE_TOO_LARGE);
    assert_int_equal(c.sent_count, 0);
    free(big);
    c.config.max_auth_tries = 1;
    assert_int_equal(nc_auth_password(c.auth, "a", SPAN("x")), NACRE_OK);
    assert_int_equal(rig_step(&c, pack(&out, "yso", 51, "password", 0)), NACRE_OK);
    assert_int_equal(nc_auth_password(c.auth, "a", SPAN("y")), NACRE_AUTH_LIMIT);
    rig_clear(&c);
    bring_to(PASSWORD_SENT); /* the connection is over */
    c.service.closing(c.service.ctx);
    assert_int_equal(nc_auth_none(c.auth, "a"), NACRE_WRONG_STATE);
    assert_int_equal(rig_poll(&c), NACRE_AGAIN);
    rig_clear(&c);
    bring_to(SIGNING);
    uint32_t ticket = c.ev.ticket;
    c.service.closing(c.service.ctx);
    assert_int_equal(c.link.open_tickets, 0);
    c.ev.ticket = ticket;
    assert_int_equal(rig_verdict(&c, true), NACRE_NOT_FOUND);
    rig_clear(&c);
}

static void passwords_are_not_kept(void **state)
{
    (void)state;
    rig_init(&c, NACRE_CLIENT);
    assert_int_equal(rig_open(&c), NACRE_OK);
    assert_int_equal(nc_auth_password(c.auth, "alice", SPAN("pw")), NACRE_OK);
    assert_int_equal(c.auth->client.password.len, 2); /* until the service starts */
    assert_int_equal(c.service.start(c.service.ctx), NACRE_OK);
    assert_null(c.auth->client.password.data);
    rig_clear(&c);
    rig_init(&c, NACRE_CLIENT);
    assert_int_equal(rig_open(&c), NACRE_OK);
    assert_int_equal(nc_auth_password(c.auth, "alice", SPAN("pw")), NACRE_OK);
    c.service.closing(c.service.ctx);
    assert_null(c.auth->client.password.data);
    rig_clear(&c);
}

/* The algorithm named in the request that left; "" when none did. */
static void algorithm_sent(char *name, size_t size)
{
    nc_rd r = nc_rd_init(rig_take(&c));
    nc_msg_userauth_request m;
    nc_msg_auth_publickey k;
    name[0] = '\0';
    if (nc_rd_u8(&r) != 50 || NC_DECODE(userauth_request, &r, &m) != NACRE_OK) {
        return;
    }
    nc_rd d = nc_rd_init(m.method_data);
    assert_int_equal(NC_DECODE(auth_publickey, &d, &k), NACRE_OK);
    assert_true(k.algorithm.n < size);
    memcpy(name, k.algorithm.p, k.algorithm.n);
    name[k.algorithm.n] = '\0';
}

static void the_algorithm_is_one_that_both_take(void **state)
{
    (void)state;
    const struct {
        const nacre_key *key;
        const char *server, *ours, *want;
        uint32_t quirks;
    } rows[] = {
        {rsa, NULL, NULL, "rsa-sha2-512", 0},
        {rsa, "ssh-ed25519,rsa-sha2-256", NULL, "rsa-sha2-256", 0},
        {rsa, "rsa-sha2-256,rsa-sha2-512", NULL, "rsa-sha2-512", 0},
        {rsa, "ssh-rsa,ssh-dss", NULL, "", 0},
        {rsa, "ssh-rsa,ssh-dss", "rsa-sha2-512,ssh-rsa", "ssh-rsa", 0},
        {rsa, NULL, "rsa-sha2-256", "rsa-sha2-256", 0},
        {rsa, NULL, "ssh-ed25519", "", 0},
        {key_a, NULL, NULL, "ssh-ed25519", 0},
        {key_a, "rsa-sha2-512", NULL, "ssh-ed25519", 0}, /* the list need not be complete */
        {key_a, "ssh-ed25519", "rsa-sha2-512", "", 0},
        {rsa, "ssh-ed25519,ssh-rsa", NULL, "rsa-sha2-512", NC_QUIRK_HIDES_RSA_SHA2},
        {rsa, "ssh-ed25519,ssh-rsa", "ssh-rsa,rsa-sha2-256", "rsa-sha2-256",
         NC_QUIRK_HIDES_RSA_SHA2},
        {key_a, "ssh-ed25519,ssh-rsa", NULL, "ssh-ed25519", NC_QUIRK_HIDES_RSA_SHA2},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char name[64];
        bring_to(IDLE);
        c.server_sig_algs = rows[i].server;
        c.config.signature = rows[i].ours;
        c.link.quirks = rows[i].quirks;
        nacre_key *key = rows[i].key == rsa ? rsa : key_a;
        int rc = nc_auth_publickey(c.auth, "alice", key, NULL);
        assert_int_equal(rc, rows[i].want[0] ? NACRE_OK : NACRE_UNSUPPORTED);
        algorithm_sent(name, sizeof(name));
        assert_string_equal(name, rows[i].want);
        rig_clear(&c);
    }
}

static void a_kept_attempt_learns_of_the_list_in_time(void **state)
{
    (void)state;
    char name[64];
    rig_init(&c, NACRE_CLIENT);
    assert_int_equal(rig_open(&c), NACRE_OK);
    assert_int_equal(nc_auth_publickey(c.auth, "alice", rsa, NULL), NACRE_OK);
    c.server_sig_algs = "rsa-sha2-256";
    assert_int_equal(c.service.start(c.service.ctx), NACRE_OK);
    algorithm_sent(name, sizeof(name));
    assert_string_equal(name, "rsa-sha2-256");
    rig_clear(&c);
    /* nothing in common after all: the application hears of it as a failure */
    rig_init(&c, NACRE_CLIENT);
    assert_int_equal(rig_open(&c), NACRE_OK);
    assert_int_equal(nc_auth_publickey(c.auth, "alice", rsa, NULL), NACRE_OK);
    c.server_sig_algs = "ssh-rsa";
    assert_int_equal(c.service.start(c.service.ctx), NACRE_OK);
    assert_int_equal(c.sent_count, 0);
    assert_int_equal(rig_poll(&c), NACRE_OK);
    assert_int_equal(c.ev.u.auth_result.status, NACRE_AUTH_FAILED);
    assert_int_equal(nc_auth_none(c.auth, "alice"), NACRE_OK);
    rig_clear(&c);
}

/* RFC 4252 7: the bytes that are signed, spelled out. */
static void signed_data_is_as_the_rfc_says(void **state)
{
    (void)state;
    size_t at = 0;
    nc_buf got;
    nc_buf_init(&got, NULL, NC_AUTH_MAX_SIGNED);
    nc_auth_claim claim = {.method = NC_AUTH_PUBLICKEY,
                           .user = "bob",
                           .algorithm = SPAN("ssh-ed25519"),
                           .key = SPAN("BLOB")};
    assert_int_equal(nc_auth_signed_data(&got, SPAN("\x01\x02"), &claim, &at), NACRE_OK);
    assert_true(nc_span_eq(nc_buf_span(&got), SPAN("\0\0\0\x02\x01\x02"
                                                   "\x32"
                                                   "\0\0\0\x03"
                                                   "bob"
                                                   "\0\0\0\x0essh-connection"
                                                   "\0\0\0\x09publickey"
                                                   "\x01"
                                                   "\0\0\0\x0bssh-ed25519"
                                                   "\0\0\0\x04"
                                                   "BLOB")));
    assert_int_equal(at, 6);
    nc_buf_clear(&got);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(success_counts_only_where_it_was_earned),
        cmocka_unit_test(failure_counts_only_where_one_was_due),
        cmocka_unit_test(banner_is_shown_until_success),
        cmocka_unit_test(sixty_means_what_the_method_says),
        cmocka_unit_test(other_messages_are_never_in_place),
        cmocka_unit_test(truncated_anywhere_is_malformed),
        cmocka_unit_test(pk_ok_must_name_what_was_offered),
        cmocka_unit_test(prompt_counts_must_be_true),
        cmocka_unit_test(garbage_in_method_lists_is_malformed),
        cmocka_unit_test(banners_have_caps),
        cmocka_unit_test(dialogues_end),
        cmocka_unit_test(trivial_success_can_be_refused),
        cmocka_unit_test(calls_that_cannot_be),
        cmocka_unit_test(passwords_are_not_kept),
        cmocka_unit_test(the_algorithm_is_one_that_both_take),
        cmocka_unit_test(a_kept_attempt_learns_of_the_list_in_time),
        cmocka_unit_test(signed_data_is_as_the_rfc_says),
    };
    return cmocka_run_group_tests_name("userauth client", tests, make_keys, free_keys);
}
