/* Host keys announced and proven (PROTOCOL 2.5), and everything that either side may get wrong on purpose. */
#include "../keys/keydata.h"
#include "fake_link.h"

#include "keys/key.h"
#include "nacre/cert.h"

#include <string.h>

static fake_link client, server;
static nacre_event ev;
static nacre_key *ed, *ed_public, *ec, *rsa, *stranger;

static const uint8_t session[32] = "a session of thirty-two bytes..";

static void prepare(fake_link *f, nacre_role role)
{
    fake_prepare(f, role);
    f->link.session_id = nc_span(session, sizeof(session));
    f->config.announce_host_keys = true;
    f->config.min_rsa_bits = 2048;
}

static int make_keys(void **state)
{
    (void)state;
    assert_int_equal(nacre_key_generate(&ed, NULL, "ed25519", 0, NULL), NACRE_OK);
    assert_int_equal(nacre_key_generate(&ec, NULL, "ecdsa", 256, NULL), NACRE_OK);
    rsa = keydata_private("rsa2048");
    assert_int_equal(nacre_key_generate(&stranger, NULL, "ed25519", 0, NULL), NACRE_OK);
    assert_int_equal(nacre_key_from_blob(&ed_public, NULL, nacre_key_blob(ed), NULL), NACRE_OK);
    return 0;
}

static int free_keys(void **state)
{
    (void)state;
    nacre_key *all[] = {ed, ed_public, ec, rsa, stranger};
    for (size_t i = 0; i < 5; i++) {
        nacre_key_free(all[i]);
    }
    return 0;
}

static int setup(void **state)
{
    (void)state;
    prepare(&client, NACRE_CLIENT);
    prepare(&server, NACRE_SERVER);
    assert_int_equal(fake_start(&client), NACRE_OK);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    fake_free(&client);
    fake_free(&server);
    return 0;
}

/* A server with these keys, and its announcement on the way. */
static void serve(nacre_key *const *keys, size_t count)
{
    fake_link *f = &server;
    assert_int_equal(nc_mux_new(&f->mux, &f->link, NULL), NACRE_OK);
    f->service = nc_mux_service(f->mux);
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(nc_mux_add_host_key(f->mux, keys[i]), NACRE_OK);
    }
    assert_int_equal(f->service.start(f->service.ctx), NACRE_OK);
}

static void proof(int status, size_t count)
{
    fake_event(&client, &server, NACRE_EVENT_HOST_KEYS_PROVEN, &ev);
    assert_int_equal(ev.u.host_keys.status, status);
    assert_int_equal(ev.u.host_keys.count, count);
}

static void a_client_learns_and_checks(void **state)
{
    (void)state;
    nacre_key *keys[] = {ed, ec, rsa, ed};
    client.link.host_key_algorithm = server.link.host_key_algorithm = "rsa-sha2-256";
    serve(keys, 4); /* one twice: told once */
    fake_event(&client, &server, NACRE_EVENT_HOST_KEYS, &ev);
    assert_int_equal(ev.ticket, 0);
    assert_int_equal(ev.u.host_keys.count, 3);
    for (size_t i = 0; i < 3; i++) {
        assert_true(nacre_key_equal(ev.u.host_keys.keys[i], keys[i]));
        assert_false(nacre_key_is_private(ev.u.host_keys.keys[i]));
    }
    nacre_key *wanted[] = {rsa, ed};
    assert_int_equal(nc_mux_prove_host_keys(client.mux, wanted, 2), NACRE_OK);
    assert_int_equal(nc_mux_prove_host_keys(client.mux, wanted, 2), NACRE_WRONG_STATE);
    /* requests of the application go on beside it, and their replies find it */
    assert_int_equal(nc_mux_global_request(client.mux, "r@x", true, nc_span_cstr("")), NACRE_OK);
    fake_event(&server, &client, NACRE_EVENT_GLOBAL_REQUEST, &ev);
    assert_int_equal(fake_answer(&server, ev.ticket, true), NACRE_OK);
    proof(NACRE_OK, 2);
    assert_true(nacre_key_equal(ev.u.host_keys.keys[1], ed));
    fake_event(&client, &server, NACRE_EVENT_GLOBAL_REPLY, &ev);
    assert_true(ev.u.reply.success);
}

static void another_session_proves_nothing(void **state)
{
    (void)state;
    static const uint8_t other[32] = {1};
    nacre_key *keys[] = {ed, ec};
    serve(keys, 2);
    fake_event(&client, &server, NACRE_EVENT_HOST_KEYS, &ev);
    server.link.session_id = nc_span(other, sizeof(other));
    assert_int_equal(nc_mux_prove_host_keys(client.mux, keys, 2), NACRE_OK);
    fake_quiet(&server, &client);
    proof(NACRE_BAD_SIGNATURE, 0);
}

static void signatures_may_be_made_elsewhere(void **state)
{
    (void)state;
    nacre_key *keys[] = {ed_public, ec};
    uint8_t *sig = NULL;
    size_t n = 0;
    for (int round = 0; round < 3; round++) {
        (void)teardown(NULL);
        (void)setup(NULL);
        serve(keys, 2);
        fake_event(&client, &server, NACRE_EVENT_HOST_KEYS, &ev);
        assert_int_equal(nc_mux_prove_host_keys(client.mux, keys, 2), NACRE_OK);
        fake_event(&server, &client, NACRE_EVENT_SIGN, &ev);
        assert_true(nacre_key_equal(ev.u.sign.key, ed));
        assert_string_equal(ev.u.sign.algorithm, "ssh-ed25519");
        fake_quiet(&client, &server);
        /* a second request has to wait for the first: it is refused, behind it */
        nacre_key *const who[] = {ed, stranger};
        uint32_t ticket = ev.ticket;
        if (round == 2) {
            assert_int_equal(fake_answer(&server, ticket, false), NACRE_OK);
        } else {
            assert_int_equal(nacre_key_sign(who[round], NULL, ev.u.sign.data, &sig, &n), NACRE_OK);
            nacre_answer a = {.accept = true, .signature = nc_span(sig, n)};
            assert_int_equal(server.service.answer(server.service.ctx, ticket, &a), NACRE_OK);
            nacre_secret_free(NULL, sig, n);
        }
        fake_quiet(&server, &client);
        proof(round == 0 ? NACRE_OK : NACRE_REQUEST_REFUSED, round == 0 ? 2 : 0);
        assert_int_equal(fake_answer(&server, ticket, true), NACRE_NOT_FOUND);
    }
}

static void the_end_leaves_no_question(void **state)
{
    (void)state;
    nacre_key *keys[] = {ed_public};
    serve(keys, 1);
    fake_event(&client, &server, NACRE_EVENT_HOST_KEYS, &ev);
    assert_int_equal(nc_mux_prove_host_keys(client.mux, keys, 1), NACRE_OK);
    fake_event(&server, &client, NACRE_EVENT_SIGN, &ev);
    assert_true(server.link.open_tickets > 0);
}

/* What the client asks raw; the server's answer is FAILURE. */
static void refuses(nacre_span data)
{
    assert_int_equal(nc_mux_global_request(client.mux, "hostkeys-prove-00@openssh.com", true, data),
                     NACRE_OK);
    fake_quiet(&server, &client);
    fake_event(&client, &server, NACRE_EVENT_GLOBAL_REPLY, &ev);
    assert_false(ev.u.reply.success);
}

static void put(nc_buf *b, nacre_span s)
{
    uint8_t length[4] = {(uint8_t)(s.n >> 24), (uint8_t)(s.n >> 16), (uint8_t)(s.n >> 8),
                         (uint8_t)s.n};
    assert_int_equal(nc_buf_append(b, length, 4), NACRE_OK);
    assert_int_equal(nc_buf_append(b, s.p, s.n), NACRE_OK);
}

static void a_server_proves_its_own_keys_only_and_not_for_ever(void **state)
{
    (void)state;
    nacre_key *keys[] = {ed, ec};
    nc_buf b;
    nc_buf_init(&b, NULL, 100000);
    serve(keys, 2);
    fake_event(&client, &server, NACRE_EVENT_HOST_KEYS, &ev);
    refuses(nc_span_cstr(""));
    refuses(nc_span_cstr("\0\0\0"));
    put(&b, nacre_key_blob(ed));
    refuses(nc_span(b.data, b.len - 1));
    put(&b, nacre_key_blob(ed));
    refuses(nc_buf_span(&b)); /* twice the same */
    nc_buf_reset(&b);
    put(&b, nacre_key_blob(ed));
    put(&b, nacre_key_blob(stranger));
    refuses(nc_buf_span(&b));
    /* no answer is wanted: none is made, and the application may look at it */
    assert_int_equal(
        nc_mux_global_request(client.mux, "hostkeys-prove-00@openssh.com", false, nc_buf_span(&b)),
        NACRE_OK);
    fake_event(&server, &client, NACRE_EVENT_GLOBAL_REQUEST, &ev);
    /* five are spent; the most is eight */
    for (int i = 5; i < 12; i++) {
        assert_int_equal(nc_mux_prove_host_keys(client.mux, keys, 1), NACRE_OK);
        fake_quiet(&server, &client);
        proof(i < NC_MAX_PROOFS ? NACRE_OK : NACRE_REQUEST_REFUSED, i < NC_MAX_PROOFS ? 1 : 0);
    }
    nc_buf_clear(&b);
}

static void announce(nacre_span data)
{
    assert_int_equal(nc_mux_global_request(server.mux, "hostkeys-00@openssh.com", false, data),
                     NACRE_OK);
}

static void bad_announcements_say_nothing(void **state)
{
    (void)state;
    nc_buf b;
    nc_buf_init(&b, NULL, 100000);
    for (int row = 0; row < 7; row++) {
        (void)teardown(NULL);
        (void)setup(NULL);
        serve(NULL, 0);
        fake_quiet(&client, &server);
        nc_buf_reset(&b);
        if (row == 1) { /* twice the same */
            put(&b, nacre_key_blob(ed));
            put(&b, nacre_key_blob(ec));
            put(&b, nacre_key_blob(ed));
        } else if (row == 2) { /* of types that nobody knows, or none at all */
            put(&b, nc_span("\0\0\0\4what", 8));
            put(&b, nc_span_cstr(""));
        } else if (row == 3) { /* cut off */
            put(&b, nacre_key_blob(ed));
            nc_buf_truncate(&b, b.len - 1);
        } else if (row == 4) { /* too many, whatever they are */
            for (int i = 0; i < NC_MAX_ANNOUNCED_KEYS + 1; i++) {
                put(&b, nc_span_cstr("x"));
            }
        } else if (row == 5) { /* a length that lies */
            assert_int_equal(nc_buf_append(&b, "\377\377\377\377", 4), NACRE_OK);
        } else if (row == 6) { /* too small */
            client.config.min_rsa_bits = 4096;
            put(&b, nacre_key_blob(rsa));
        }
        announce(nc_buf_span(&b));
        fake_quiet(&client, &server);
        /* and that was the one time */
        nc_buf_reset(&b);
        put(&b, nacre_key_blob(ed));
        announce(nc_buf_span(&b));
        fake_quiet(&client, &server);
    }
    nc_buf_clear(&b);
}

/* What a lying server answers. */
static void answers(nacre_span data, int status)
{
    nacre_key *keys[] = {ed, ec};
    assert_int_equal(nc_mux_prove_host_keys(client.mux, keys, 2), NACRE_OK);
    nc_msg_global_request asked;
    fake_expect(&client, &nc_desc_global_request, &asked);
    nc_msg_request_success yes = {.data = data};
    assert_int_equal(fake_give(&client, &nc_desc_request_success, &yes, &ev), NACRE_OK);
    assert_int_equal(ev.type, NACRE_EVENT_HOST_KEYS_PROVEN);
    assert_int_equal(ev.u.host_keys.status, status);
    assert_int_equal(ev.u.host_keys.count, status == NACRE_OK ? 2 : 0);
}

static void sign_text(const nacre_key *by, const nacre_key *of, const char *name, nc_buf *out)
{
    nc_buf text;
    uint8_t *sig = NULL;
    size_t n = 0;
    nc_buf_init(&text, NULL, 10000);
    put(&text, nc_span_cstr(name));
    put(&text, nc_span(session, sizeof(session)));
    put(&text, nacre_key_blob(of));
    assert_int_equal(nacre_key_sign(by, NULL, nc_buf_span(&text), &sig, &n), NACRE_OK);
    put(out, nc_span(sig, n));
    nacre_secret_free(NULL, sig, n);
    nc_buf_clear(&text);
}

static void wrong_proofs_prove_nothing(void **state)
{
    (void)state;
    static const char good[] = "hostkeys-prove-00@openssh.com";
    nc_buf b;
    nc_buf_init(&b, NULL, 10000);
    assert_int_equal(nc_mux_prove_host_keys(client.mux, &ed, 0), NACRE_INVALID_ARGUMENT);
    sign_text(ed, ed, good, &b);
    sign_text(ec, ec, good, &b);
    answers(nc_buf_span(&b), NACRE_OK);
    for (size_t n = 0; n < b.len; n++) {
        answers(nc_span(b.data, n), NACRE_MALFORMED);
    }
    assert_int_equal(nc_buf_append(&b, "x", 1), NACRE_OK);
    answers(nc_buf_span(&b), NACRE_MALFORMED);
    const struct {
        nacre_key *by0, *of0, *by1, *of1;
        const char *name;
    } rows[] = {
        {ed, ed, stranger, ec, good},
        {ec, ec, ed, ed, good},
        {ed, ed, ec, ed, good},
        {ed, ec, ec, ec, good},
        {ed, ed, ec, ec, "hostkeys-prove-01@openssh.com"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        nc_buf_reset(&b);
        sign_text(rows[i].by0, rows[i].of0, rows[i].name, &b);
        sign_text(rows[i].by1, rows[i].of1, rows[i].name, &b);
        answers(nc_buf_span(&b), NACRE_BAD_SIGNATURE);
    }
    nc_buf_clear(&b);
    serve(NULL, 0);
}

static void lack_of_memory_proves_nothing(void **state)
{
    (void)state;
    nacre_key *keys[] = {ed, ec};
    int rc = NACRE_NO_MEMORY;
    for (unsigned long n = 0; rc != NACRE_OK; n++) {
        (void)teardown(NULL);
        (void)setup(NULL);
        serve(keys, 2);
        test_memory_end(&client.memory, n);
        rc = fake_step(&client, &server, &ev);
        assert_true(rc == NACRE_OK || client.memory.failed);
        test_memory_fail(&client.memory, 0);
    }
    assert_int_equal(nc_mux_prove_host_keys(client.mux, ev.u.host_keys.keys, ev.u.host_keys.count),
                     NACRE_OK);
    fake_quiet(&server, &client);
    proof(NACRE_OK, 2);
}

/* Nor does a server without memory for the question: the answer is no, and the next one is answered again. */
static void lack_of_memory_refuses_the_proof(void **state)
{
    (void)state;
    nacre_key *keys[] = {ed, ec};
    bool refused = false;
    for (unsigned long n = 1; !refused; n++) {
        (void)teardown(NULL);
        (void)setup(NULL);
        serve(keys, 2);
        fake_event(&client, &server, NACRE_EVENT_HOST_KEYS, &ev);
        assert_int_equal(nc_mux_prove_host_keys(client.mux, keys, 2), NACRE_OK);
        test_memory_fail(&server.memory, n);
        int rc = fake_step(&server, &client, &ev);
        assert_true(server.memory.failed);
        test_memory_fail(&server.memory, 0);
        if (rc == NACRE_AGAIN) {
            proof(NACRE_REQUEST_REFUSED, 0);
            assert_int_equal(nc_mux_prove_host_keys(client.mux, keys, 2), NACRE_OK);
            fake_quiet(&server, &client);
            proof(NACRE_OK, 2);
            refused = true;
        } else {
            assert_int_equal(rc, NACRE_NO_MEMORY);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_client_learns_and_checks, setup, teardown),
        cmocka_unit_test_setup_teardown(another_session_proves_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(signatures_may_be_made_elsewhere, setup, teardown),
        cmocka_unit_test_setup_teardown(the_end_leaves_no_question, setup, teardown),
        cmocka_unit_test_setup_teardown(a_server_proves_its_own_keys_only_and_not_for_ever, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(bad_announcements_say_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(wrong_proofs_prove_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(lack_of_memory_proves_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(lack_of_memory_refuses_the_proof, setup, teardown),
    };
    return cmocka_run_group_tests(tests, make_keys, free_keys);
}
