/* What the tests of hostile peers share: how far a pair has come, and how it has to end. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "hostile.h"

const nacre_error *hostile_error(const pair *p, int who)
{
    return nacre_transport_error(p->end[who].t);
}

void hostile_start(pair *p, uint64_t seed)
{
    pair_init(p, seed);
    assert_int_equal(pair_start(p, NULL), NACRE_OK);
}

void hostile_end(pair *p, int who, int status)
{
    pair_run(p);
    if (hostile_error(p, who)->status != status) {
        print_error("got %s: %s\n", nacre_status_symbol(hostile_error(p, who)->status),
                    hostile_error(p, who)->text);
    }
    assert_int_equal(hostile_error(p, who)->status, status);
    assert_int_equal(p->end[who].seen[NACRE_EVENT_DISCONNECTED], 1);
    assert_int_equal(p->end[who].status, status);
    assert_true(strlen(hostile_error(p, who)->text) > 10);
}

/* The server has keys; the client waits for its login until told. */
void hostile_until_keyed(pair *p)
{
    pair_init(p, 3);
    p->no_login = true;
    assert_int_equal(pair_start(p, NULL), NACRE_OK);
    pair_run(p);
    assert_int_equal(p->end[0].seen[NACRE_EVENT_KEX_DONE], 1);
    assert_int_equal(p->end[1].seen[NACRE_EVENT_KEX_DONE], 1);
}

void hostile_until_in(pair *p)
{
    pair_init(p, 4);
    p->no_channels = true;
    assert_int_equal(pair_start(p, NULL), NACRE_OK);
    pair_run(p);
    assert_true(nacre_transport_authenticated(p->end[0].t));
    assert_true(nacre_transport_authenticated(p->end[1].t));
}

int hostile_cleanup(void **state)
{
    (void)state;
    pair_keys_free();
    return 0;
}
