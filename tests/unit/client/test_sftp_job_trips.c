/*
 * test_sftp_job_trips.c - many files in one job against a server in memory that counts round trips: how few
 * they are, whatever order the answers come in, and whatever it refuses.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "transfer_place.h"

#include <stdio.h>
#include <string.h>

enum { SMALL = 1024 };

static nacre_sftp_job *job_of(nacre_sftp *s, bool up, const nacre_sftp_tree_options *o)
{
    nacre_sftp_job *j = NULL;
    assert_int_equal(nacre_sftp_job_new(&j, s, o), NACRE_OK);
    for (int i = 0; i < MANY; i++) {
        char name[16];
        snprintf(name, sizeof(name), "f%d", i);
        if (up) {
            write_local(name, content + i, SMALL);
        } else {
            sftp_peer_put(&peer, name, content + i, SMALL, 0644);
        }
        assert_int_equal((up ? nacre_sftp_job_put : nacre_sftp_job_get)(j, name, name), NACRE_OK);
    }
    return j;
}

static void check(bool up)
{
    for (int i = 0; i < MANY; i++) {
        char name[16];
        snprintf(name, sizeof(name), "f%d", i);
        assert_true((up ? remote_holds : local_holds)(name, content + i, SMALL));
    }
}

static void a_job_of_many(bool up, unsigned shuffle, unsigned trips)
{
    nacre_sftp_report report;
    nacre_sftp *s = begin_session();
    peer.shuffle = shuffle;
    nacre_sftp_job *j = job_of(s, up, NULL);
    peer.trips = 0;
    assert_int_equal(nacre_sftp_job_run(j, &report), NACRE_OK);
    assert_in_range(peer.trips, 2, trips);
    assert_int_equal(report.files, MANY);
    assert_int_equal(report.bytes, MANY * SMALL);
    nacre_sftp_report_free(&report);
    nacre_sftp_job_free(j);
    check(up);
    /* The last CLOSEs have left, but the peer looks at them only now. */
    nacre_sftp_attrs a;
    assert_int_equal(nacre_sftp_stat(s, "f0", &a), NACRE_OK);
    assert_int_equal(sftp_peer_open_handles(&peer), 0);
    assert_false(peer.broken_promise);
    nacre_sftp_close(s);
}

static void few_trips_down(void **state)
{
    (void)state;
    a_job_of_many(false, 0, 9); /* what they are; then 64 at a time, two trips each */
}

static void few_trips_up(void **state)
{
    (void)state;
    a_job_of_many(true, 0, 8);
}

static void answers_in_any_order(void **state)
{
    (void)state;
    a_job_of_many(false, 7, 30);
    a_job_of_many(true, 11, 30);
}

static void one_refusal_anywhere(void **state)
{
    (void)state;
    for (int up = 0; up < 2; up++) {
        for (unsigned n = 1; n < 900; n += 43) {
            nacre_sftp_report report;
            nacre_sftp *s = begin_session();
            nacre_sftp_job *j = job_of(s, up, NULL);
            peer.fail_at = peer.requests + n;
            peer.fail_code = NACRE_FX_FAILURE;
            int rc = nacre_sftp_job_run(j, &report);
            assert_true(rc == NACRE_OK || rc == NACRE_SOME_FAILED);
            assert_true(report.failed <= 1);
            assert_int_equal(report.files + report.failed, MANY);
            assert_int_equal(rc == NACRE_OK, report.failed == 0);
            nacre_sftp_report_free(&report);
            nacre_sftp_job_free(j);
            assert_in_range(local_files(), up ? MANY : MANY - 1, MANY);
            nacre_sftp_close(s);
            peer.fail_at = 0;
        }
    }
}

static void no_more_files_at_once_than_allowed(void **state)
{
    nacre_sftp_tree_options o;
    (void)state;
    nacre_sftp_tree_options_init(&o);
    o.files_at_once = 3;
    nacre_sftp *s = begin_session();
    nacre_sftp_job *j = job_of(s, false, &o);
    assert_int_equal(nacre_sftp_job_run(j, NULL), NACRE_OK);
    assert_in_range(peer.most_reads, 1, 2 * 3);
    nacre_sftp_job_free(j);
    nacre_sftp_close(s);
}

/* What a stat has just told is not asked again: OPEN, and READs. */
static void known_needs_a_trip_less(void **state)
{
    unsigned trips[2];
    (void)state;
    for (int known = 0; known < 2; known++) {
        nacre_sftp_job *j = NULL;
        nacre_sftp_attrs a;
        nacre_sftp *s = begin_session();
        sftp_peer_put(&peer, "f0", content, SMALL, 0644);
        assert_int_equal(nacre_sftp_stat(s, "f0", &a), NACRE_OK);
        assert_int_equal(nacre_sftp_job_new(&j, s, NULL), NACRE_OK);
        assert_int_equal(nacre_sftp_job_get_known(j, "f0", "f0", known ? &a : NULL), NACRE_OK);
        peer.trips = 0;
        assert_int_equal(nacre_sftp_job_run(j, NULL), NACRE_OK);
        trips[known] = peer.trips;
        assert_true(local_holds("f0", content, SMALL));
        nacre_sftp_job_free(j);
        nacre_sftp_close(s);
    }
    assert_int_equal(trips[1] + 1, trips[0]);
}

#define IN_A_PLACE(f) cmocka_unit_test_setup_teardown(f, place_set_up, place_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_A_PLACE(few_trips_down),          IN_A_PLACE(few_trips_up),
        IN_A_PLACE(answers_in_any_order),    IN_A_PLACE(one_refusal_anywhere),
        IN_A_PLACE(known_needs_a_trip_less), IN_A_PLACE(no_more_files_at_once_than_allowed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
