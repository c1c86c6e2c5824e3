/* Who may connect, by source: limits, penalties, their sums and ends, overflow, exemptions; and memory that runs out. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "nacre/sources.h"
#include "support/counted.h"
#include "support/memory.h"

enum { SECOND = 1000, MINUTE = 60 * SECOND };

static nacre_source_rules rules;
static nacre_sources *s;

static int setup(void **state)
{
    (void)state;
    nacre_source_rules_init(&rules);
    s = NULL;
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    nacre_sources_free(s);
    s = NULL;
    return 0;
}

static void make(void)
{
    nacre_error err;
    nacre_sources_free(s);
    assert_int_equal(nacre_sources_new(&s, &rules, NULL, &err), NACRE_OK);
}

static const nacre_endpoint *at(const char *address)
{
    static nacre_endpoint e[4];
    static unsigned next;
    nacre_endpoint *p = &e[next++ % 4];
    memset(p, 0, sizeof(*p));
    (void)snprintf(p->address, sizeof(p->address), "%s", address);
    p->family = strchr(address, ':') ? 6 : 4;
    return p;
}

static const nacre_endpoint *numbered(uint32_t i)
{
    char text[32];
    (void)snprintf(text, sizeof(text), "10.%u.%u.%u", (unsigned)(i >> 16 & 255),
                   (unsigned)(i >> 8 & 255), (unsigned)(i & 255));
    return at(text);
}

static nacre_source_counts counts(void)
{
    nacre_source_counts c = {.size = sizeof(c)};
    nacre_sources_counts(s, &c);
    return c;
}

static void enter(const char *address, unsigned times)
{
    for (unsigned i = 0; i < times; i++) {
        assert_int_equal(nacre_sources_enter(s, at(address)), NACRE_OK);
    }
}

#define ASK(address, now) nacre_sources_ask(s, at(address), now, 0)

/* ---- connections that are not logged in ---- */

static void per_source_limit(void **state)
{
    (void)state;
    rules.per_source = 3;
    make();
    enter("192.0.2.1", 2);
    assert_int_equal(ASK("192.0.2.1", 0), NACRE_ADMIT);
    enter("192.0.2.1", 1);
    assert_int_equal(ASK("192.0.2.1", 0), NACRE_ADMIT_NOT_SOURCE);
    assert_int_equal(ASK("::ffff:192.0.2.1", 0), NACRE_ADMIT_NOT_SOURCE); /* the same */
    assert_int_equal(ASK("192.0.2.2", 0), NACRE_ADMIT);
    assert_int_equal(ASK("2001:db8::1", 0), NACRE_ADMIT);
    nacre_sources_leave(s, at("192.0.2.1"));
    assert_int_equal(ASK("192.0.2.1", 0), NACRE_ADMIT);
    assert_int_equal(counts().waiting, 2);
    assert_int_equal(counts().refused_source, 2);
    /* One leaving too many is no licence for more. */
    for (int i = 0; i < 5; i++) {
        nacre_sources_leave(s, at("192.0.2.1"));
    }
    assert_int_equal(counts().waiting, 0);
    enter("192.0.2.1", 3);
    assert_int_equal(ASK("192.0.2.1", 0), NACRE_ADMIT_NOT_SOURCE);
}

static void blocks_of_addresses(void **state)
{
    (void)state;
    rules.per_source = 1;
    rules.block4 = 20;
    rules.block6 = 65;
    make();
    enter("192.0.17.1", 1);
    assert_int_equal(ASK("192.0.16.0", 0), NACRE_ADMIT_NOT_SOURCE);
    assert_int_equal(ASK("192.0.31.255", 0), NACRE_ADMIT_NOT_SOURCE);
    assert_int_equal(ASK("192.0.32.0", 0), NACRE_ADMIT);
    assert_int_equal(ASK("192.0.15.255", 0), NACRE_ADMIT);
    enter("2001:db8:1:2::1", 1);
    assert_int_equal(ASK("2001:db8:1:2:7fff::9", 0), NACRE_ADMIT_NOT_SOURCE);
    assert_int_equal(ASK("2001:db8:1:2:8000::9", 0), NACRE_ADMIT);
    assert_int_equal(ASK("2001:db8:1:3::1", 0), NACRE_ADMIT);
    assert_int_equal(ASK("2001:db8:1:2::1%eth0", 0), NACRE_ADMIT_NOT_SOURCE);
    rules.block4 = rules.block6 = 0; /* the whole family is one source */
    make();
    enter("192.0.2.1", 1);
    assert_int_equal(ASK("203.0.113.9", 0), NACRE_ADMIT_NOT_SOURCE);
    assert_int_equal(ASK("2001:db8::1", 0), NACRE_ADMIT);
}

static void peers_without_an_address(void **state)
{
    (void)state;
    rules.per_source = 1;
    rules.startups_begin = rules.startups_full = 4;
    make();
    enter("UNIX-DOMAIN", 2);
    enter("UNKNOWN", 1);
    assert_int_equal(ASK("UNIX-DOMAIN", 0), NACRE_ADMIT);
    assert_int_equal(nacre_sources_ask(s, NULL, 0, 0), NACRE_ADMIT);
    assert_int_equal(nacre_sources_enter(s, NULL), NACRE_OK);
    assert_int_equal(ASK("UNIX-DOMAIN", 0), NACRE_ADMIT_NOT_STARTUPS);
    assert_int_equal(nacre_sources_penalize(s, at("UNIX-DOMAIN"), NACRE_OFFENCE_CRASH, 0), 0);
    assert_false(nacre_sources_crowded(s, at("UNIX-DOMAIN")));
    nacre_sources_leave(s, NULL);
    assert_int_equal(ASK("UNIX-DOMAIN", 0), NACRE_ADMIT);
}

static void the_crowded_source_makes_room(void **state)
{
    (void)state;
    rules.startups_begin = 10;
    rules.startups_full = 10;
    make();
    enter("192.0.2.1", 8);
    enter("192.0.2.2", 2);
    assert_int_equal(ASK("192.0.2.1", 0), NACRE_ADMIT_NOT_STARTUPS);
    assert_int_equal(ASK("192.0.2.2", 0), NACRE_ADMIT_INSTEAD);
    assert_int_equal(ASK("192.0.2.3", 0), NACRE_ADMIT_INSTEAD);
    assert_int_equal(ASK("UNIX-DOMAIN", 0), NACRE_ADMIT_INSTEAD);
    assert_true(nacre_sources_crowded(s, at("192.0.2.1")));
    assert_false(nacre_sources_crowded(s, at("192.0.2.2")));
    assert_false(nacre_sources_crowded(s, at("192.0.2.3")));
    /* It goes down to where nobody has two more than a new one. */
    for (int i = 0; i < 6; i++) {
        nacre_sources_leave(s, at("192.0.2.1"));
        assert_int_equal(nacre_sources_enter(s, numbered((uint32_t)i)), NACRE_OK);
    }
    assert_int_equal(ASK("192.0.2.3", 0), NACRE_ADMIT_INSTEAD);
    nacre_sources_leave(s, at("192.0.2.1"));
    nacre_sources_leave(s, at("192.0.2.2"));
    assert_int_equal(nacre_sources_enter(s, numbered(6)), NACRE_OK);
    assert_int_equal(nacre_sources_enter(s, numbered(7)), NACRE_OK);
    assert_int_equal(ASK("192.0.2.3", 0), NACRE_ADMIT_NOT_STARTUPS);
    rules.no_instead = true;
    make();
    enter("192.0.2.1", 10);
    assert_int_equal(ASK("192.0.2.3", 0), NACRE_ADMIT_NOT_STARTUPS);
    assert_int_equal(counts().refused_startups, 1);
}

/* ---- penalties ---- */

static void penalties_add_up_and_end(void **state)
{
    (void)state;
    make();
    nacre_offence why = NACRE_OFFENCES;
    /* 5 s and 5 s are below the least; the third brings 15. */
    assert_int_equal(nacre_sources_penalize(s, at("192.0.2.1"), NACRE_OFFENCE_AUTH_FAIL, 0), 0);
    assert_int_equal(nacre_sources_penalize(s, at("192.0.2.1"), NACRE_OFFENCE_AUTH_FAIL, 0), 0);
    assert_int_equal(ASK("192.0.2.1", 0), NACRE_ADMIT);
    assert_int_equal(nacre_sources_refused_for(s, at("192.0.2.1"), 0, &why), 0);
    assert_int_equal(why, NACRE_OFFENCE_NONE);
    assert_int_equal(nacre_sources_penalize(s, at("192.0.2.1"), NACRE_OFFENCE_AUTH_FAIL, 0),
                     15 * SECOND);
    assert_int_equal(ASK("192.0.2.1", 1), NACRE_ADMIT_NOT_PENALTY);
    assert_int_equal(ASK("192.0.2.2", 1), NACRE_ADMIT);
    assert_int_equal(nacre_sources_refused_for(s, at("192.0.2.1"), SECOND, &why), 14 * SECOND);
    assert_int_equal(why, NACRE_OFFENCE_AUTH_FAIL);
    /* It stays in force below the minimum, to its end. */
    assert_int_equal(ASK("192.0.2.1", 15 * SECOND - 1), NACRE_ADMIT_NOT_PENALTY);
    /* What is over counts for nothing, although nobody has come yet to have it forgotten. */
    assert_int_equal(nacre_sources_refused_for(s, at("192.0.2.1"), 16 * SECOND, &why), 0);
    assert_int_equal(why, NACRE_OFFENCE_NONE);
    assert_int_equal(counts().sources4, 1);
    assert_int_equal(ASK("192.0.2.1", 15 * SECOND), NACRE_ADMIT);
    assert_int_equal(counts().sources4, 0);
    /* Then all begins anew. */
    assert_int_equal(
        nacre_sources_penalize(s, at("192.0.2.1"), NACRE_OFFENCE_AUTH_FAIL, 20 * SECOND), 0);
    /* They add up to ten minutes. */
    for (int i = 0; i < 20; i++) {
        (void)nacre_sources_penalize(s, at("192.0.2.1"), NACRE_OFFENCE_CRASH, MINUTE);
    }
    assert_int_equal(nacre_sources_refused_for(s, at("192.0.2.1"), MINUTE, &why), 10 * MINUTE);
    assert_int_equal(why, NACRE_OFFENCE_CRASH);
    assert_int_equal(ASK("192.0.2.1", 11 * MINUTE - 1), NACRE_ADMIT_NOT_PENALTY);
    assert_int_equal(ASK("192.0.2.1", 11 * MINUTE), NACRE_ADMIT);
    assert_int_equal(counts().offences[NACRE_OFFENCE_CRASH], 20);
    assert_int_equal(counts().offences[NACRE_OFFENCE_AUTH_FAIL], 4);
}

static void what_each_offence_costs(void **state)
{
    (void)state;
    static const struct {
        nacre_offence what;
        uint32_t ms;
        const char *name;
    } rows[] = {
        {NACRE_OFFENCE_CRASH, 90 * SECOND, "crash"},
        {NACRE_OFFENCE_AUTH_FAIL, 5 * SECOND, "authfail"},
        {NACRE_OFFENCE_NO_AUTH, SECOND, "noauth"},
        {NACRE_OFFENCE_GRACE, 10 * SECOND, "grace-exceeded"},
        {NACRE_OFFENCE_REFUSED, 10 * SECOND, "refuseconnection"},
        {NACRE_OFFENCE_NONE, 0, "none"},
        {NACRE_OFFENCES, 0, "none"},
        {(nacre_offence)-1, 0, "none"},
    };
    rules.penalty_min_ms = 0;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        make();
        assert_int_equal(nacre_sources_penalize(s, at("2001:db8::1"), rows[i].what, 7), rows[i].ms);
        assert_int_equal(nacre_sources_refused_for(s, at("2001:db8::1"), 7, NULL), rows[i].ms);
        assert_string_equal(nacre_offence_name(rows[i].what), rows[i].name);
    }
    rules.penalties = false;
    make();
    assert_int_equal(nacre_sources_penalize(s, at("192.0.2.1"), NACRE_OFFENCE_CRASH, 0), 0);
    assert_int_equal(ASK("192.0.2.1", 0), NACRE_ADMIT);
}

static void exempt_sources(void **state)
{
    (void)state;
    char list[] = "192.0.2.0/24,!192.0.2.66,2001:db8::/32";
    rules.exempt = list;
    rules.penalty_min_ms = 0;
    rules.per_source = 1;
    make();
    memset(list, 'x', sizeof(list) - 1); /* it has a copy */
    static const struct {
        const char *address;
        bool exempt;
    } rows[] = {
        {"192.0.2.1", true}, {"192.0.2.66", false}, {"2001:db8::5", true}, {"192.0.3.1", false}};
    for (size_t i = 0; i < 4; i++) {
        (void)nacre_sources_penalize(s, at(rows[i].address), NACRE_OFFENCE_CRASH, 0);
        assert_int_equal(ASK(rows[i].address, 0),
                         rows[i].exempt ? NACRE_ADMIT : NACRE_ADMIT_NOT_PENALTY);
        enter(rows[i].address, 1);
        assert_int_equal(ASK(rows[i].address, 2 * MINUTE), NACRE_ADMIT_NOT_SOURCE);
    }
}

static void more_sources_than_are_kept(void **state)
{
    (void)state;
    rules.max_sources4 = 100;
    rules.max_sources6 = 1;
    make();
    for (uint32_t i = 0; i < 100; i++) {
        (void)nacre_sources_penalize(s, numbered(i), NACRE_OFFENCE_CRASH, i);
    }
    assert_int_equal(counts().sources4, 100);
    assert_int_equal(nacre_sources_ask(s, numbered(0), 200, 0), NACRE_ADMIT_NOT_PENALTY);
    /* The one that would have ended first goes. */
    (void)nacre_sources_penalize(s, numbered(500), NACRE_OFFENCE_CRASH, 200);
    assert_int_equal(counts().sources4, 100);
    assert_int_equal(counts().forgotten, 1);
    assert_int_equal(nacre_sources_ask(s, numbered(0), 200, 0), NACRE_ADMIT);
    assert_int_equal(nacre_sources_ask(s, numbered(1), 200, 0), NACRE_ADMIT_NOT_PENALTY);
    assert_int_equal(nacre_sources_ask(s, numbered(500), 200, 0), NACRE_ADMIT_NOT_PENALTY);
    /* One kind does not push the other out. */
    (void)nacre_sources_penalize(s, at("2001:db8::1"), NACRE_OFFENCE_CRASH, 200);
    assert_int_equal(counts().sources4, 100);
    assert_int_equal(counts().sources6, 1);

    rules.deny_overflow4 = true;
    rules.exempt = "192.0.2.7";
    make();
    for (uint32_t i = 0; i < 101; i++) {
        (void)nacre_sources_penalize(s, numbered(i), NACRE_OFFENCE_NO_AUTH, i);
    }
    assert_int_equal(counts().sources4, 100);
    assert_int_equal(ASK("192.0.2.1", 200), NACRE_ADMIT_NOT_OVERFLOW);
    assert_int_equal(ASK("192.0.2.7", 200), NACRE_ADMIT);
    assert_int_equal(ASK("2001:db8::1", 200), NACRE_ADMIT);
    assert_int_equal(ASK("192.0.2.1", 1000), NACRE_ADMIT); /* the first one is over */
}

/* Many, in any order, against a plain list. */
static void many_sources(void **state)
{
    (void)state;
    enum { SOURCES = 3000, STEPS = 15000 };
    static uint64_t until[SOURCES];
    static uint32_t waiting[SOURCES];
    memset(until, 0, sizeof(until));
    memset(waiting, 0, sizeof(waiting));
    rules.penalty_min_ms = 0;
    rules.penalty_max_ms = 20 * SECOND;
    rules.per_source = 5;
    rules.startups_begin = rules.startups_full = UINT32_MAX;
    make();
    uint64_t x = 88172645463325252u, now = 0;
    for (int i = 0; i < STEPS; i++) {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        uint32_t who = (uint32_t)(x >> 8) % SOURCES;
        now += x % 3;
        if (x >> 60 < 6) {
            uint64_t from = until[who] > now ? until[who] : now;
            until[who] =
                from + 5 * SECOND < now + 20 * SECOND ? from + 5 * SECOND : now + 20 * SECOND;
            assert_int_equal(nacre_sources_penalize(s, numbered(who), NACRE_OFFENCE_AUTH_FAIL, now),
                             until[who] - now);
        } else if (x >> 60 < 10 && waiting[who] > 0) {
            nacre_sources_leave(s, numbered(who));
            waiting[who]--;
        } else {
            nacre_admission got = nacre_sources_ask(s, numbered(who), now, 0);
            nacre_admission want = until[who] > now    ? NACRE_ADMIT_NOT_PENALTY
                                   : waiting[who] >= 5 ? NACRE_ADMIT_NOT_SOURCE
                                                       : NACRE_ADMIT;
            assert_int_equal(got, want);
            if (got == NACRE_ADMIT) {
                assert_int_equal(nacre_sources_enter(s, numbered(who)), NACRE_OK);
                waiting[who]++;
            }
        }
    }
    assert_true(counts().sources4 > 100);
    assert_int_equal(counts().unnoted, 0);
}

/* ---- rules that cannot be, and memory ---- */

static void refused_rules(void **state)
{
    (void)state;
    nacre_error err;
    for (int i = 0; i < 9; i++) {
        nacre_source_rules_init(&rules);
        rules.size = i == 0 ? 0 : i == 1 ? sizeof(rules) + 1 : sizeof(rules);
        rules.block4 = i == 2 ? 33 : 32;
        rules.block6 = i == 3 ? 129 : 128;
        rules.max_sources4 = i == 4 ? 0 : 1;
        rules.max_sources6 = i == 5 ? UINT32_MAX : 1;
        rules.penalty_min_ms = i == 6 ? rules.penalty_max_ms + 1 : 0;
        rules.exempt = i == 7 ? "192.0.2.0/33" : i == 8 ? "192.0.2.1/24" : NULL;
        assert_int_equal(nacre_sources_new(&s, &rules, NULL, &err), NACRE_INVALID_ARGUMENT);
        assert_null(s);
        assert_true(strlen(err.text) > 10);
    }
    assert_int_equal(nacre_sources_new(&s, NULL, NULL, &err), NACRE_INVALID_ARGUMENT);
}

/* Whatever fails: who is not counted is not served, a limit holds, and nothing is lost. */
static void every_allocation_may_fail(void **state)
{
    (void)state;
    test_memory m;
    for (test_memory_init(&m); test_memory_round(&m);) {
        nacre_error err;
        rules.exempt = "192.0.2.7";
        rules.per_source = 2;
        rules.penalty_min_ms = 0;
        int rc = nacre_sources_new(&s, &rules, &m.hooks, &err);
        test_memory_judge(&m, rc);
        if (rc != NACRE_OK) {
            continue;
        }
        uint32_t in = 0, noted = 0;
        for (uint32_t i = 0; i < 80; i++) {
            in += nacre_sources_enter(s, numbered(i)) == NACRE_OK ? 1 : 0;
            noted += nacre_sources_penalize(s, numbered(i + 40), NACRE_OFFENCE_CRASH, 0) ? 1 : 0;
        }
        assert_in_range(in, m.for_good ? 0 : 79, m.failed ? 80 : 80);
        assert_int_equal(counts().waiting, in);
        assert_int_equal(counts().sources4, noted);
        assert_int_equal(noted + counts().unnoted, 80);
        nacre_sources_free(s);
        s = NULL;
    }
    assert_true(m.refused > 2 && m.round > 80);
}

static void memory_of_a_source(void **state)
{
    (void)state;
    counted m;
    counted_init(&m);
    nacre_allocator a = counted_hook(&m);
    nacre_error err;
    rules.max_sources4 = 4096;
    assert_int_equal(nacre_sources_new(&s, &rules, &a, &err), NACRE_OK);
    for (uint32_t i = 0; i < 10000; i++) {
        (void)nacre_sources_penalize(s, numbered(i), NACRE_OFFENCE_CRASH, 0);
    }
    /* docs/limits.md: 160 bytes each, wherever they come from. */
    assert_true(m.live <= 4096 * 160);
    assert_int_equal(nacre_sources_ask(s, at("192.0.2.1"), MINUTE * 10, 0), NACRE_ADMIT);
    assert_true(m.live <= 4096 * 32);
    nacre_sources_free(s); /* before its memory's keeper goes */
    s = NULL;
    assert_int_equal(m.live, 0);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(per_source_limit),
        T(blocks_of_addresses),
        T(peers_without_an_address),
        T(the_crowded_source_makes_room),
        T(penalties_add_up_and_end),
        T(what_each_offence_costs),
        T(exempt_sources),
        T(more_sources_than_are_kept),
        T(many_sources),
        T(refused_rules),
        T(every_allocation_may_fail),
        T(memory_of_a_source),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
