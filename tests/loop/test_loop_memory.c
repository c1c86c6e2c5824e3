/*
 * Each allocation fails in turn over whole sessions between the easy faces: a program, files by SFTP and by scp, connections
 * through forwardings, an agent; at the client and at the server. A session may fail for it, and says so. What was
 * said to be done is done, and nothing is left behind.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "support/house.h"
#include "support/memory.h"

static house h;

static int set_up(void **state)
{
    (void)state;
    house_build(&h);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    house_tear_down(&h);
    return 0;
}

static int one_session(const house_work *w, const test_memory *m)
{
    int rc = house_open(&h);
    rc = rc == NACRE_OK ? w->fn(&h) : rc;
    house_close(&h);
    if (h.broken[0]) {
        fail_msg("%s, allocation %lu fails%s: %s", w->name, m->round,
                 m->for_good ? " and all after it" : "", h.broken);
    }
    return rc;
}

static void run_out(const house_work *w, nacre_role who)
{
    test_memory m;
    unsigned long failed = 0;
    for (test_memory_init(&m); test_memory_round(&m);) {
        h.memory[who] = &m.hooks;
        h.impatient = &m.failed;
        int rc = one_session(w, &m);
        if (rc != NACRE_OK && !m.failed) {
            fail_msg("%s: status %d, and nothing had failed: %s", w->name, rc, h.err.text);
        }
        failed += rc != NACRE_OK;
    }
    h.memory[who] = NULL;
    print_message("%s, %s: %lu allocations, %lu sessions ended by one\n", w->name,
                  who == NACRE_CLIENT ? "client" : "server", m.round - 1, failed);
    assert_true(failed > 50);
}

static void memory_runs_out_at_the_client(void **state)
{
    (void)state;
    for (size_t i = 0; i < house_work_count; i++) {
        run_out(&house_works[i], NACRE_CLIENT);
    }
}

static void memory_runs_out_at_the_server(void **state)
{
    (void)state;
    for (size_t i = 0; i < house_work_count; i++) {
        run_out(&house_works[i], NACRE_SERVER);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(memory_runs_out_at_the_client),
        cmocka_unit_test(memory_runs_out_at_the_server),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
