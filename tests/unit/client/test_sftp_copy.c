/*
 * test_sftp_copy.c - copies on the server: by the server, and through us where it cannot.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "transfer_place.h"

#include <stdlib.h>
#include <string.h>

enum { BIG = 9 * 1024 * 1024 + 17 };

static void copied(void **state)
{
    static const size_t sizes[] = {0, 1, 32768, LARGE};
    (void)state;
    for (int there = 0; there < 3; there++) {
        for (size_t i = 0; i < 4; i++) {
            peer.copy_data = there > 0;
            peer.refuse =
                there == 2 ? NACRE_FXP_EXTENDED : 0; /* offered, and not known after all */
            peer.refuse_code = NACRE_FX_OP_UNSUPPORTED;
            sftp_peer_put(&peer, "a", content, sizes[i], 0640);
            sftp_peer_put(&peer, "b", "as it was, and longer", 21, 0600);
            nacre_sftp *s = begin_session();
            assert_int_equal(nacre_sftp_copy(s, "a", "b", NULL), NACRE_OK);
            assert_true(remote_holds("b", content, sizes[i]));
            assert_true(remote_holds("a", content, sizes[i]));
            assert_int_equal(nacre_sftp_copy(s, "a", "c", NULL), NACRE_OK);
            assert_int_equal(sftp_peer_find(&peer, "c")->mode & 07777, 0640);
            assert_int_equal(peer.count[NACRE_FXP_READ] > 0, there != 1);
            nacre_sftp_close(s);
            assert_int_equal(sftp_peer_open_handles(&peer), 0);
        }
    }
}

static void large_through_us(void **state)
{
    static const size_t most[] = {0, 20000, 3000};
    (void)state;
    uint8_t *big = malloc(BIG);
    assert_non_null(big);
    for (size_t i = 0; i < BIG; i++) {
        big[i] = content[i % LARGE] ^ (uint8_t)(i >> 16);
    }
    sftp_peer_put(&peer, "a", big, BIG, 0640);
    for (unsigned i = 0; i < 3; i++) {
        nacre_sftp *s = begin_session();
        peer.shuffle = i;
        peer.most = most[i];
        assert_int_equal(nacre_sftp_copy(s, "a", "b", NULL), NACRE_OK);
        assert_true(remote_holds("b", big, BIG));
        nacre_sftp_close(s);
    }
    free(big);
}

/* Opening the target would have emptied the source. */
static void onto_itself(void **state)
{
    (void)state;
    sftp_peer_put(&peer, "a", content, 100, 0640);
    nacre_sftp *s = begin_session();
    assert_int_equal(nacre_sftp_copy(s, "a", "/a", NULL), NACRE_INVALID_ARGUMENT);
    assert_true(remote_holds("a", content, 100));
    assert_int_equal(nacre_sftp_copy(s, "nothing", "b", NULL), NACRE_SFTP_STATUS);
    assert_int_equal(nacre_sftp_status(s), NACRE_FX_NO_SUCH_FILE);
    assert_int_equal(sftp_peer_files(&peer), 1);
    nacre_sftp_close(s);
    assert_int_equal(sftp_peer_open_handles(&peer), 0);
}

/* Names do not tell that: whatever is as long as the source may be the source. */
static void onto_another_link(void **state)
{
    (void)state;
    for (int there = 0; there < 2; there++) {
        peer.copy_data = there;
        sftp_peer_put(&peer, "a", content, 100000, 0640);
        peer.link = "b";
        peer.link_to = "a";
        nacre_sftp *s = begin_session();
        assert_int_equal(nacre_sftp_copy(s, "a", "b", NULL), NACRE_OK);
        assert_true(remote_holds("a", content, 100000));
        peer.link = NULL;
        sftp_peer_put(&peer, "b", content + 1, 100000, 0640);
        assert_int_equal(nacre_sftp_copy(s, "a", "b", NULL), NACRE_OK);
        assert_true(remote_holds("b", content, 100000));
        nacre_sftp_close(s);
        assert_int_equal(sftp_peer_open_handles(&peer), 0);
    }
}

static void each_request_refused(void **state)
{
    (void)state;
    for (int there = 0; there < 2; there++) {
        unsigned at = 1;
        for (bool reached = true; reached; at++) {
            nacre_sftp_transfer_options o = defaults();
            o.atomic = o.preserve = true;
            peer.copy_data = there;
            sftp_peer_put(&peer, "a", content, 100000, 0640);
            sftp_peer_put(&peer, "b", "as it was", 9, 0600);
            nacre_sftp *s = begin_session();
            peer.fail_at = at;
            int rc = nacre_sftp_copy(s, "a", "b", &o);
            reached = peer.requests >= at;
            peer.fail_at = 0;
            assert_int_equal(nacre_sftp_error(s)->status, rc);
            nacre_sftp_close(s);
            if (rc == NACRE_OK) {
                assert_true(remote_holds("b", content, 100000));
            } else {
                assert_true(remote_holds("b", "as it was", 9));
            }
            assert_int_equal(sftp_peer_files(&peer), 2);
            assert_int_equal(sftp_peer_open_handles(&peer), 0);
            assert_in_range(at, 1, 100);
        }
        assert_in_range(at, 8, 100);
    }
}

static bool says_no(void *user, const char *path, uint64_t done, uint64_t total)
{
    assert_string_equal(path, "a");
    assert_true(done <= total);
    return --*(unsigned *)user > 0;
}

static void interrupted(void **state)
{
    (void)state;
    sftp_peer_put(&peer, "a", content, LARGE, 0640);
    for (unsigned calls = 1; calls <= 2; calls++) {
        unsigned left = calls;
        nacre_sftp_transfer_options o = defaults();
        o.atomic = true;
        o.progress = says_no;
        o.user = &left;
        nacre_sftp *s = begin_session();
        assert_int_equal(nacre_sftp_copy(s, "a", "b", &o), NACRE_CANCELLED);
        assert_int_equal(nacre_sftp_error(s)->status, NACRE_CANCELLED);
        nacre_sftp_close(s);
        assert_int_equal(sftp_peer_files(&peer), 1);
        assert_int_equal(sftp_peer_open_handles(&peer), 0);
    }
}

/* Without a temporary name what was copied stays, and the error names it. */
static void interrupted_in_place(void **state)
{
    (void)state;
    unsigned left = 1;
    nacre_sftp_transfer_options o = defaults();
    o.progress = says_no;
    o.user = &left;
    sftp_peer_put(&peer, "a", content, LARGE, 0640);
    nacre_sftp *s = begin_session();
    assert_int_equal(nacre_sftp_copy(s, "a", "b", &o), NACRE_CANCELLED);
    assert_non_null(strstr(nacre_sftp_error(s)->text, "; b may be incomplete"));
    nacre_sftp_close(s);
    assert_int_equal(sftp_peer_files(&peer), 2);
    assert_int_equal(sftp_peer_open_handles(&peer), 0);
}

#define ROW(fn) cmocka_unit_test_setup_teardown(fn, place_set_up, place_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        ROW(copied),
        ROW(large_through_us),
        ROW(onto_itself),
        ROW(onto_another_link),
        ROW(each_request_refused),
        ROW(interrupted),
        ROW(interrupted_in_place),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
