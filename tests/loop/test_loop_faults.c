/*
 * What breaks from outside: memory that runs out at any moment, randomness that fails, a wire that is
 * cut after any byte. Nothing crashes, hangs, leaks or goes unsaid.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "support/memory.h"
#include "support/pair.h"
#include "support/sftp_pair.h"

typedef struct session {
    const char *kex, *cipher, *compression;
} session;

static void configure(pair *p, const session *s)
{
    for (int who = 0; who < 2; who++) {
        p->config[who].kex = s->kex;
        p->config[who].cipher_c2s = p->config[who].cipher_s2c = s->cipher;
        p->config[who].compression_c2s = p->config[who].compression_s2c = s->compression;
    }
}

static void rekey_once(pair *p)
{
    if (p->client[0].received > 0 && p->end[0].seen[NACRE_EVENT_KEX_DONE] == 1) {
        (void)nacre_transport_rekey(p->end[0].t);
    }
}

/* True when the session went through to its end: no allocation was left to fail. */
static bool session_with_failure(const session *s, int who, unsigned long fail_at)
{
    test_memory m;
    test_memory_init(&m);
    test_memory_fail(&m, fail_at);
    pair p;
    pair_init(&p, 50);
    configure(&p, s);
    p.config[who].allocator = &m.hooks;
    p.bytes = 40000;
    p.channels = 2;
    p.round = rekey_once;
    int rc = pair_start(&p, NULL);
    if (rc == NACRE_OK) {
        pair_run(&p);
        int status = nacre_transport_error(p.end[who].t)->status;
        bool said = status == NACRE_NO_MEMORY || p.refused > 0 ||
                    p.end[0].seen[NACRE_EVENT_CHANNEL_FAILED] > 0;
        if (!pair_echo_done(&p) && !said) {
            print_error("allocation %lu of end %d: %s\n", fail_at, who,
                        nacre_transport_error(p.end[who].t)->text);
        }
        assert_true(pair_echo_done(&p) || said);
        assert_true(status == NACRE_OK || status == NACRE_NO_MEMORY || said);
    } else {
        assert_int_equal(rc, NACRE_NO_MEMORY);
    }
    bool through = !m.failed;
    pair_free(&p);
    assert_int_equal(m.live, 0);
    return through;
}

static void test_memory_runs_out(void **state)
{
    (void)state;
    static const session sessions[] = {
        {"curve25519-sha256", "chacha20-poly1305@openssh.com", "none"},
        {"ecdh-sha2-nistp256", "aes128-ctr", "zlib@openssh.com"},
    };
    for (size_t i = 0; i < sizeof(sessions) / sizeof(sessions[0]); i++) {
        for (int who = 0; who < 2; who++) {
            unsigned long n = 1;
            while (!session_with_failure(&sessions[i], who, n)) {
                n++;
                assert_true(n < 5000);
            }
            assert_true(n > 50);
        }
    }
}

/* True when the session went through: no allocation was left to fail. */
static bool sftp_with_failure(int who, unsigned long fail_at)
{
    test_memory m;
    sftp_pair s;
    test_memory_init(&m);
    test_memory_fail(&m, fail_at);
    sftp_pair_init(&s, 53);
    s.p.config[0].kex = "curve25519-sha256";
    s.p.config[who].allocator = s.alloc[who] = &m.hooks;
    int rc = sftp_pair_start(&s);
    if (rc == NACRE_OK) {
        pair_run(&s.p);
        int status = nacre_transport_error(s.p.end[who].t)->status;
        bool said = status == NACRE_NO_MEMORY || s.p.refused > 0 || s.failed ||
                    s.client_status == NACRE_NO_MEMORY || s.server_status == NACRE_NO_MEMORY;
        if (!sftp_pair_done(&s) && !said) {
            print_error("allocation %lu of end %d: step %zu, %s\n", fail_at, who, s.step,
                        nacre_transport_error(s.p.end[who].t)->text);
        }
        assert_true(sftp_pair_done(&s) || said);
        assert_false(s.wrong);
    } else {
        assert_int_equal(rc, NACRE_NO_MEMORY);
    }
    bool through = !m.failed;
    assert_true(!through || sftp_pair_done(&s));
    sftp_pair_free(&s);
    assert_int_equal(m.live, 0);
    return through;
}

static void test_memory_runs_out_under_sftp(void **state)
{
    (void)state;
    for (int who = 0; who < 2; who++) {
        unsigned long n = 1;
        while (!sftp_with_failure(who, n)) {
            n++;
            assert_true(n < 5000);
        }
        assert_true(n > 50);
    }
}

/* ---- randomness -------------------------------------------------------------------------------------- */

typedef struct dice {
    uint64_t rng;
    long fail_at, count;
} dice;

static int throw_dice(void *user, uint8_t *out, size_t n)
{
    dice *d = user;
    for (size_t i = 0; i < n; i++) {
        out[i] = (uint8_t)pair_random(&d->rng);
    }
    return ++d->count == d->fail_at ? -1 : 0;
}

static void test_randomness_fails(void **state)
{
    (void)state;
    for (int who = 0; who < 2; who++) {
        bool through = false;
        for (long n = 1; !through; n++) {
            dice d = {1, n, 0};
            pair p;
            pair_init(&p, 51);
            p.config[who].random = throw_dice;
            p.config[who].random_user = &d;
            p.config[who].kex = "curve25519-sha256";
            p.round = rekey_once;
            int rc = pair_start(&p, NULL);
            if (rc == NACRE_OK) {
                pair_run(&p);
                rc = nacre_transport_error(p.end[who].t)->status;
            }
            through = d.count < n;
            if (through) {
                assert_true(pair_echo_done(&p));
            } else {
                assert_true(rc == NACRE_RANDOM || rc == NACRE_CRYPTO || p.refused > 0);
            }
            pair_free(&p);
            assert_true(n < 1000);
        }
    }
}

/* ---- the wire ---------------------------------------------------------------------------------------- */

static uint64_t whole_session(int from)
{
    pair p;
    pair_init(&p, 52);
    p.config[0].kex = "curve25519-sha256";
    p.bytes = 200;
    assert_int_equal(pair_start(&p, NULL), NACRE_OK);
    pair_run(&p);
    assert_true(pair_echo_done(&p));
    uint64_t n = p.end[from].sent;
    pair_free(&p);
    return n;
}

static void test_input_cut_at_each_byte(void **state)
{
    (void)state;
    for (int from = 0; from < 2; from++) {
        uint64_t total = whole_session(from);
        for (uint64_t at = 1; at <= total; at++) {
            pair p;
            pair_init(&p, 52);
            p.config[0].kex = "curve25519-sha256";
            p.bytes = 200;
            p.cut_after[from] = at;
            assert_int_equal(pair_start(&p, NULL), NACRE_OK);
            pair_run(&p);
            const nacre_error *e = nacre_transport_error(p.end[1 - from].t);
            assert_int_equal(e->status, NACRE_END);
            assert_non_null(strstr(e->text, "closed by the peer"));
            assert_int_equal(p.end[1 - from].status, NACRE_END);
            assert_int_equal(p.end[1 - from].seen[NACRE_EVENT_DISCONNECTED], 1);
            if (at < 20) {
                assert_non_null(strstr(e->text, "version line"));
            } else if (at < 500 && at > 30) {
                assert_non_null(strstr(e->text, "before its KEXINIT"));
                assert_non_null(strstr(e->text, "within a packet"));
            }
            pair_free(&p);
        }
    }
}

static int cleanup(void **state)
{
    (void)state;
    pair_keys_free();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_memory_runs_out),
        cmocka_unit_test(test_memory_runs_out_under_sftp),
        cmocka_unit_test(test_randomness_fails),
        cmocka_unit_test(test_input_cut_at_each_byte),
    };
    return cmocka_run_group_tests(tests, NULL, cleanup);
}
