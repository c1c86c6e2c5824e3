/*
 * memory_rounds.c - the loop over failing allocations. Apart from memory.c, which fuzz targets use without cmocka.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "memory.h"

enum { MAX_ROUNDS = 20000 };

bool test_memory_round(test_memory *m)
{
    if (m->round == 0) {
        m->held = m->live;
    } else if (m->live != m->held) {
        fail_msg("%ld blocks stay when allocation %lu fails%s", m->live - m->held, m->round,
                 m->for_good ? " and all after it" : "");
    }
    if (m->round > 0 && !m->failed) {
        m->fail_at = 0;
        return false;
    }
    assert_true(m->round < MAX_ROUNDS);
    bool again = m->round > 0 && !m->for_good;
    m->round += again ? 0 : 1;
    m->count = 0;
    m->paused = false;
    test_memory_fail(m, m->round);
    m->for_good = again;
    return true;
}

void test_memory_judge(test_memory *m, int rc)
{
    if (rc != NACRE_OK && (rc != NACRE_NO_MEMORY || !m->failed)) {
        fail_msg("status %d when allocation %lu of %lu fails%s", rc, m->round, m->count,
                 m->for_good ? " and all after it" : "");
    }
    m->refused += rc == NACRE_OK ? 0 : 1;
}
