/*
 * Questions to the DNS, with a resolver that answers what it is told to, or not in time. The linker puts it in the
 * place of the system's (--wrap, tests/unit/io/meson.build).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include <arpa/nameser.h>
#include <dirent.h>
#include <netdb.h>
#include <netinet/in.h>
#include <resolv.h>
#include <sched.h>
#include <semaphore.h>

#include "base/mem.h"
#include "nacre/sshfp.h"

/* "h.example", its header and question first: one SSHFP record of an Ed25519 key by SHA-256, authenticated. */
static const uint8_t good[] = {
    0x12, 0x67, 0x81, 0xa0, 0,  1,  0,  1,  0,    0,    0,  0,  1,  'h', 7,  'e', 'x',  'a',  'm',
    'p',  'l',  'e',  0,    0,  44, 0,  1,  0xc0, 0x0c, 0,  44, 0,  1,   0,  0,   0x0e, 0x10, 0,
    34,   4,    2,    1,    2,  3,  4,  5,  6,    7,    8,  9,  10, 11,  12, 13,  14,   15,   16,
    17,   18,   19,   20,   21, 22, 23, 24, 25,   26,   27, 28, 29, 30,  31, 32,
};

static struct {
    const uint8_t *answer;
    int length; /* what the resolver returns */
    int reason; /* h_errno */
    bool no_resolver, late;
    char asked[64];
    int class, type;
    unsigned long options;
} dns;

static sem_t may_answer;

int __wrap_res_nquery(res_state state, const char *name, int class, int type, unsigned char *out,
                      int size);
int __wrap___res_ninit(res_state state);
int __real___res_ninit(res_state state);

int __wrap___res_ninit(res_state state)
{
    return dns.no_resolver ? -1 : __real___res_ninit(state);
}

int __wrap_res_nquery(res_state state, const char *name, int class, int type, unsigned char *out,
                      int size)
{
    (void)snprintf(dns.asked, sizeof(dns.asked), "%s", name);
    dns.class = class;
    dns.type = type;
    dns.options = state->options;
    state->res_h_errno = dns.reason;
    if (dns.late) {
        (void)sem_wait(&may_answer);
    }
    if (dns.length > 0 && dns.length <= size) {
        memcpy(out, dns.answer, (size_t)dns.length);
    }
    return dns.length;
}

/* The helper has gone: it frees the question when nobody waits for it. */
static void wait_until_alone(void)
{
    for (int threads = 0; threads != 1;) {
        DIR *d = opendir("/proc/self/task");
        assert_non_null(d);
        threads = 0;
        for (struct dirent *e; (e = readdir(d)) != NULL;) {
            threads += e->d_name[0] != '.';
        }
        closedir(d);
        sched_yield();
    }
}

static void resolver_knows_it(void)
{
    memset(&dns, 0, sizeof(dns));
    dns.answer = good;
    dns.length = sizeof(good);
}

static int look_up(const char *host, nacre_sshfp_answer *a, nacre_error *err)
{
    int rc = nacre_sshfp_lookup(host, 0, a, err);
    wait_until_alone();
    return rc;
}

static void records_of_a_name(void **state)
{
    (void)state;
    static nacre_sshfp_answer a;
    nacre_error err;
    resolver_knows_it();
    assert_int_equal(look_up("h.example", &a, &err), NACRE_OK);
    assert_string_equal(dns.asked, "h.example");
    assert_int_equal(dns.class, ns_c_in);
    assert_int_equal(dns.type, 44); /* RFC 4255 5 */
    assert_true((dns.options & RES_USE_DNSSEC) != 0);
    assert_int_equal(err.status, NACRE_OK);
    assert_true(a.authenticated);
    assert_int_equal(a.count, 1);
    assert_int_equal(a.records[0].algorithm, 4);
    assert_int_equal(a.records[0].hash, 2);
    assert_int_equal(a.records[0].length, 32);
    assert_memory_equal(a.records[0].digest, good + sizeof(good) - 32, 32);
}

/* Nothing of these is an answer, and each says of which name and why. */
static void what_is_no_answer(void **state)
{
    (void)state;
    static const struct {
        int length, reason;
        bool no_resolver;
        int rc;
        const char *why;
    } rows[] = {
        {-1, HOST_NOT_FOUND, false, NACRE_NOT_FOUND, "the name has none"},
        {-1, NO_DATA, false, NACRE_NOT_FOUND, "the name has none"},
        {-1, TRY_AGAIN, false, NACRE_RESOLVE, "could not say"},
        {-1, NO_RECOVERY, false, NACRE_RESOLVE, "could not say"},
        {0, 0, true, NACRE_RESOLVE, "could not say"},
        {0, 0, false, NACRE_MALFORMED, "malformed"},
        {11, 0, false, NACRE_MALFORMED, "malformed"},
        {sizeof(good) - 1, 0, false, NACRE_MALFORMED, "cut off"},
        {65536, 0, false, NACRE_RESOLVE, "could not say"}, /* longer than there was room */
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        static nacre_sshfp_answer a;
        nacre_error err;
        resolver_knows_it();
        memset(&a, 0xff, sizeof(a));
        dns.length = rows[i].length;
        dns.reason = rows[i].reason;
        dns.no_resolver = rows[i].no_resolver;
        assert_int_equal(look_up("h.example", &a, &err), rows[i].rc);
        assert_int_equal(err.status, rows[i].rc);
        assert_non_null(strstr(err.text, "h.example"));
        assert_non_null(strstr(err.text, rows[i].why));
        assert_int_equal(a.count, 0);
        assert_false(a.authenticated);
    }
}

static void names_that_are_none(void **state)
{
    (void)state;
    static nacre_sshfp_answer a;
    static char longest[1026];
    nacre_error err;
    memset(&dns, 0, sizeof(dns));
    memset(longest, 'x', sizeof(longest) - 1);
    assert_int_equal(look_up("", &a, &err), NACRE_RESOLVE);
    assert_non_null(strstr(err.text, "empty"));
    assert_int_equal(look_up(longest, &a, &err), NACRE_RESOLVE);
    assert_non_null(strstr(err.text, "too long"));
    assert_int_equal(look_up("", &a, NULL), NACRE_RESOLVE);
    assert_string_equal(dns.asked, ""); /* nobody was */
    assert_int_equal(look_up("h\x1b]0;x", &a, &err), NACRE_MALFORMED);
    assert_null(strchr(err.text, '\x1b'));
}

/* Who has waited long enough goes; what the resolver says afterwards is nobody's, and the question's memory goes too. */
static void a_resolver_that_takes_its_time(void **state)
{
    (void)state;
    static nacre_sshfp_answer a;
    nacre_error err;
    resolver_knows_it();
    dns.late = true;
    assert_int_equal(sem_init(&may_answer, 0, 0), 0);
    assert_int_equal(nacre_sshfp_lookup("h.example", 1, &a, &err), NACRE_TIMEOUT);
    assert_non_null(strstr(err.text, "in time"));
    assert_int_equal(a.count, 0);
    assert_int_equal(sem_post(&may_answer), 0);
    wait_until_alone();
    assert_int_equal(a.count, 0);
    assert_int_equal(sem_post(&may_answer), 0); /* as soon as it asks: there is an answer again */
    assert_int_equal(nacre_sshfp_lookup("h.example", 60000, &a, &err), NACRE_OK);
    assert_int_equal(a.count, 1);
    wait_until_alone();
    assert_int_equal(sem_destroy(&may_answer), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(records_of_a_name),
        cmocka_unit_test(what_is_no_answer),
        cmocka_unit_test(names_that_are_none),
        cmocka_unit_test(a_resolver_that_takes_its_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
