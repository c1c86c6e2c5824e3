/*
 * test_sftp_resume.c - going on behind what is there, after comparing it; hashes compared in the end; and
 * transfers without memory.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "support/memory.h"
#include "transfer_place.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *const checks[] = {NULL, "check-file-handle", "check-file", "check-file-name"};
enum { CHECKS = 4, HALF = 300000 };

static int move(bool up, nacre_sftp *s, const nacre_sftp_transfer_options *o)
{
    return up ? nacre_sftp_put(s, "source", "f", o) : nacre_sftp_get(s, "f", "target", o);
}

/* The whole file at one end, and this at the other. */
static void ends(bool up, const void *there, size_t n)
{
    if (up) {
        write_local("source", content, LARGE);
        sftp_peer_put(&peer, "f", there, n, 0600);
    } else {
        sftp_peer_put(&peer, "f", content, LARGE, 0600);
        write_local("target", there, n);
    }
}

static bool arrived(bool up, const void *p, size_t n)
{
    return up ? remote_holds("f", p, n) : local_holds("target", p, n);
}

static void resumed(void **state)
{
    static const size_t there[] = {0, 1, HALF, LARGE - 1, LARGE};
    (void)state;
    nacre_sftp_transfer_options o = defaults();
    o.resume = true;
    for (int up = 0; up < 2; up++) {
        for (size_t c = 0; c < CHECKS; c++) {
            for (size_t i = 0; i < 5; i++) {
                peer.check = checks[c];
                peer.hash = i % 2 ? "sha256" : "md5";
                peer.shuffle = (unsigned)i;
                ends(up, content, there[i]);
                nacre_sftp *s = begin_session();
                assert_int_equal(move(up, s, &o), NACRE_OK);
                assert_true(arrived(up, content, LARGE));
                nacre_sftp_close(s);
                assert_int_equal(sftp_peer_open_handles(&peer), 0);
                /* What was there is not sent again. */
                unsigned moved = peer.count[up ? NACRE_FXP_WRITE : NACRE_FXP_READ];
                size_t least = (LARGE - there[i]) / 32768;
                size_t compared = c == 0 && !up ? there[i] / 32768 + 2 : 1;
                assert_in_range(moved, least, least + compared + 1);
            }
        }
    }
}

static void another_beginning(void **state)
{
    (void)state;
    nacre_sftp_transfer_options o = defaults();
    o.resume = true;
    for (int up = 0; up < 2; up++) {
        for (size_t c = 0; c < CHECKS; c++) {
            static uint8_t other[HALF];
            peer.check = checks[c];
            memcpy(other, content, HALF);
            other[HALF - 5] ^= 1;
            ends(up, other, HALF);
            nacre_sftp *s = begin_session();
            assert_int_equal(move(up, s, &o), NACRE_MISMATCH);
            assert_non_null(strstr(nacre_sftp_error(s)->text, "is not the beginning of"));
            assert_true(arrived(up, other, HALF));
            ends(up, content, LARGE + 1);
            assert_int_equal(move(up, s, &o), NACRE_MISMATCH);
            assert_non_null(strstr(nacre_sftp_error(s)->text, "is longer than"));
            assert_true(arrived(up, content, LARGE + 1));
            assert_int_equal(peer.count[NACRE_FXP_WRITE], 0);
            nacre_sftp_close(s);
            assert_int_equal(sftp_peer_open_handles(&peer), 0);
        }
    }
}

/* A difference far from the end shows to a hash alone. */
static void a_hash_sees_more(void **state)
{
    enum { BIG = 2 * 1024 * 1024 };
    (void)state;
    nacre_sftp_transfer_options o = defaults();
    uint8_t *big = calloc(1, BIG);
    assert_non_null(big);
    sftp_peer_put(&peer, "f", big, BIG, 0600);
    big[7] = 1;
    write_local("target", big, BIG - 10);
    o.resume = true;
    peer.check = "check-file-handle";
    nacre_sftp *s = begin_session();
    assert_int_equal(nacre_sftp_get(s, "f", "target", &o), NACRE_MISMATCH);
    nacre_sftp_close(s);
    free(big);
}

/* Nothing there: as usual, under a temporary name. */
static void nothing_to_resume(void **state)
{
    (void)state;
    nacre_sftp_transfer_options o = defaults();
    o.resume = true;
    for (int up = 0; up < 2; up++) {
        ends(up, "", 0);
        unlink("target");
        if (up) {
            peer_file *f = sftp_peer_find(&peer, "f");
            free(f->data);
            memset(f, 0, sizeof(*f));
        }
        nacre_sftp *s = begin_session();
        assert_int_equal(move(up, s, &o), NACRE_OK);
        assert_true(arrived(up, content, LARGE));
        nacre_sftp_close(s);
    }
}

/* Interrupted again: what is there is a beginning still, whatever the order of answers was. */
static void interrupted_again(void **state)
{
    (void)state;
    nacre_sftp_transfer_options o = defaults();
    o.resume = true;
    for (size_t cut = 50000; cut < 600000; cut += 37777) {
        ends(false, content, 100000);
        nacre_sftp *s = begin_session();
        peer.shuffle = (unsigned)cut;
        peer.cut_after = cut;
        int rc = nacre_sftp_get(s, "f", "target", &o);
        nacre_sftp_close(s);
        peer.cut_after = SIZE_MAX;
        peer.shuffle = 0;
        struct stat st;
        assert_int_equal(stat("target", &st), 0);
        assert_true(st.st_size >= 100000);
        assert_true(local_holds("target", content, (size_t)st.st_size));
        s = begin_session();
        assert_true(rc == NACRE_OK || rc == NACRE_CLOSED);
        assert_int_equal(nacre_sftp_get(s, "f", "target", &o), NACRE_OK);
        assert_true(local_holds("target", content, LARGE));
        nacre_sftp_close(s);
    }
}

/* ---- verify ------------------------------------------------------------------------------------------- */

static bool into_nothing(void *user, const void *p, size_t n)
{
    (void)p;
    *(size_t *)user += n;
    return true;
}

static bool from_content(void *user, void *p, size_t n, size_t *got)
{
    size_t *at = user;
    *got = LARGE - *at < n ? LARGE - *at : n;
    memcpy(p, content + *at, *got);
    *at += *got;
    return true;
}

static int stream(bool up, nacre_sftp *s, const nacre_sftp_transfer_options *o)
{
    size_t at = 0;
    return up ? nacre_sftp_putfo(s, from_content, &at, LARGE, "f", 0600, o)
              : nacre_sftp_getfo(s, "f", into_nothing, &at, o);
}

static void verified(void **state)
{
    static const char *const hashes[] = {"sha256", "sha512", "sha1", "md5"};
    (void)state;
    nacre_sftp_transfer_options o = defaults();
    o.verify = NACRE_SFTP_VERIFY_REQUIRED;
    o.atomic = true;
    for (int up = 0; up < 2; up++) {
        for (size_t c = 1; c < CHECKS; c++) {
            for (size_t h = 0; h < 4; h++) {
                peer.check = checks[c];
                peer.hash = hashes[h];
                ends(up, "as it was", 9);
                nacre_sftp *s = begin_session();
                assert_int_equal(move(up, s, &o), NACRE_OK);
                assert_true(arrived(up, content, LARGE));
                /* Of a stream there is the one hash that was made as it passed. */
                assert_int_equal(stream(up, s, &o), h == 0 ? NACRE_OK : NACRE_UNSUPPORTED);
                peer.bad_hash = true;
                ends(up, "as it was", 9);
                assert_int_equal(move(up, s, &o), NACRE_INCOMPLETE);
                assert_non_null(strstr(nacre_sftp_error(s)->text, "hashes"));
                assert_true(arrived(up, "as it was", 9));
                assert_int_equal(stream(up, s, &o), h == 0 ? NACRE_INCOMPLETE : NACRE_UNSUPPORTED);
                peer.bad_hash = false;
                nacre_sftp_close(s);
                assert_int_equal(sftp_peer_open_handles(&peer), 0);
                assert_int_equal(sftp_peer_files(&peer), 1);
                assert_int_equal(local_files(), up ? 2 : 1);
            }
        }
    }
}

static void no_hash_to_be_had(void **state)
{
    (void)state;
    nacre_sftp_transfer_options o = defaults();
    for (int up = 0; up < 2; up++) {
        ends(up, "as it was", 9);
        nacre_sftp *s = begin_session();
        o.verify = NACRE_SFTP_VERIFY_REQUIRED;
        assert_int_equal(move(up, s, &o), NACRE_UNSUPPORTED);
        assert_int_equal(peer.requests, 0);
        assert_true(arrived(up, "as it was", 9));
        o.verify = NACRE_SFTP_VERIFY_HASH;
        assert_int_equal(move(up, s, &o), NACRE_OK);
        assert_true(arrived(up, content, LARGE));
        nacre_sftp_close(s);
        unlink("target");
    }
}

/* ---- no memory ---------------------------------------------------------------------------------------- */

static void sweep(bool up, const nacre_sftp_transfer_options *o, const void *there, size_t there_n,
                  bool streaming)
{
    test_memory m;
    for (test_memory_init(&m); test_memory_round(&m);) {
        nacre_sftp *s = NULL;
        m.paused = true;
        sftp_peer_clear(&peer);
        sftp_peer_init(&peer);
        peer.check = "check-file-name";
        peer.most = 20000;
        peer.shuffle = 77;
        ends(up, there, there_n);
        assert_int_equal(sftp_peer_session(&peer, &m.hooks, &s), NACRE_OK);
        m.paused = false;
        int rc = streaming ? stream(up, s, o) : move(up, s, o);
        m.paused = true;
        test_memory_judge(&m, rc == NACRE_CLOSED && m.failed ? NACRE_NO_MEMORY : rc);
        assert_int_equal(nacre_sftp_error(s)->status, rc);
        nacre_sftp_close(s);
        assert_int_equal(local_files(), 1);
    }
    assert_true(m.refused > 5);
}

static void every_allocation_may_fail(void **state)
{
    (void)state;
    nacre_sftp_transfer_options o = defaults();
    for (int up = 0; up < 2; up++) {
        unlink("target");
        unlink("source");
        o = defaults();
        o.atomic = o.sync = true;
        sweep(up, &o, "as it was", 9, false);
        o.verify = NACRE_SFTP_VERIFY_HASH;
        sweep(up, &o, "as it was", 9, true);
        o = defaults();
        o.resume = true;
        sweep(up, &o, content, HALF, false);
    }
}

#define ROW(fn) cmocka_unit_test_setup_teardown(fn, place_set_up, place_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        ROW(resumed),           ROW(another_beginning),         ROW(a_hash_sees_more),
        ROW(nothing_to_resume), ROW(interrupted_again),         ROW(verified),
        ROW(no_hash_to_be_had), ROW(every_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
