/*
 * test_sftp_xfer_bad.c - files on their way when something is wrong: sizes that lie, refusals of every
 * request, connections cut anywhere, full disks. What was there stays, or what is left is called a part.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "transfer_place.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- sizes that lie ----------------------------------------------------------------------------------- */

static void a_size_too_large(void **state)
{
    static const uint64_t told[] = {LARGE + 1,         LARGE + 100000, UINT64_C(1) << 40, INT64_MAX,
                                    UINT64_C(1) << 63, UINT64_MAX - 1, UINT64_MAX};
    (void)state;
    sftp_peer_put(&peer, "f", content, LARGE, 0600);
    write_local("target", "as it was", 9);
    peer.lies = true;
    for (size_t i = 0; i < sizeof(told) / sizeof(told[0]); i++) {
        nacre_sftp *s = begin_session();
        peer.told_size = told[i];
        assert_int_equal(nacre_sftp_get(s, "f", "target", NULL), NACRE_INCOMPLETE);
        assert_non_null(strstr(nacre_sftp_error(s)->text, "ended at byte 700001"));
        assert_true(local_holds("target", "as it was", 9));
        nacre_sftp_close(s);
    }
    assert_int_equal(local_files(), 1);
}

static void a_size_too_small(void **state)
{
    static const uint64_t told[] = {0, 1, 65536, LARGE - 1};
    (void)state;
    sftp_peer_put(&peer, "f", content, LARGE, 0600);
    peer.lies = true;
    for (size_t i = 0; i < sizeof(told) / sizeof(told[0]); i++) {
        nacre_sftp *s = begin_session();
        peer.told_size = told[i];
        peer.shuffle = (unsigned)i;
        assert_int_equal(nacre_sftp_get(s, "f", "target", NULL), NACRE_OK);
        assert_true(local_holds("target", content, LARGE));
        nacre_sftp_close(s);
    }
}

/* Only of what may be a page of sysfs an early end is believed; small files are as whole as large ones. */
static void small_files_that_end_early(void **state)
{
    static const uint64_t told[] = {1001, 2000, 4095, 4097, 16383, 65535, 65537};
    (void)state;
    sftp_peer_put(&peer, "f", content, 1000, 0600);
    sftp_peer_put(&peer, "none", content, 0, 0600);
    write_local("target", "as it was", 9);
    peer.lies = true;
    for (size_t i = 0; i < 2 * sizeof(told) / sizeof(told[0]); i++) {
        nacre_sftp *s = begin_session();
        peer.told_size = told[i / 2];
        assert_int_equal(nacre_sftp_get(s, i % 2 ? "none" : "f", "target", NULL), NACRE_INCOMPLETE);
        assert_true(local_holds("target", "as it was", 9));
        nacre_sftp_close(s);
    }
    nacre_sftp *s = begin_session();
    peer.told_size = 4096;
    assert_int_equal(nacre_sftp_get(s, "f", "target", NULL), NACRE_OK);
    assert_true(local_holds("target", content, 1000));
    assert_int_equal(local_files(), 1);
    nacre_sftp_close(s);
}

/* What a put to the very file that it reads does; for a page, too. */
static bool empty_the_source(void *user, const char *path, uint64_t done, uint64_t total)
{
    (void)user;
    (void)total;
    assert_string_equal(path, "source");
    assert_true(done > 0 || truncate("source", 0) == 0);
    return true;
}

static void a_source_that_is_emptied(void **state)
{
    static const size_t lengths[] = {1, 1000, 4096, 65536, 100000};
    (void)state;
    for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
        nacre_sftp_transfer_options o = defaults();
        o.progress = empty_the_source;
        write_local("source", content, lengths[i]);
        nacre_sftp *s = begin_session();
        assert_int_equal(nacre_sftp_put(s, "source", "f", &o), NACRE_INCOMPLETE);
        assert_non_null(strstr(nacre_sftp_error(s)->text, "local source became shorter"));
        nacre_sftp_close(s);
    }
}

/* ---- failing ------------------------------------------------------------------------------------------ */

/* Whichever request is refused: what was there stays, nothing is left beside it, no handle stays open. */
static void each_request_refused(void **state)
{
    (void)state;
    for (int atomic = 0; atomic < 2; atomic++) {
        for (int posix = 0; posix < 2; posix++) {
            unsigned at = 1;
            int rc = NACRE_SFTP_STATUS;
            for (; at < 100; at++) {
                nacre_sftp_transfer_options o = defaults();
                o.atomic = atomic;
                o.sync = o.preserve = true;
                peer.posix_rename = posix;
                peer.fsync = true;
                sftp_peer_put(&peer, "old", "as it was", 9, 0600);
                write_local("source", content, 100000);
                nacre_sftp *s = begin_session();
                peer.fail_at = at;
                rc = nacre_sftp_put(s, "source", "old", &o);
                bool reached = peer.requests >= at;
                peer.fail_at = 0;
                assert_int_equal(nacre_sftp_error(s)->status, rc);
                char text[960];
                memcpy(text, nacre_sftp_error(s)->text, sizeof(text));
                assert_true(rc == NACRE_OK || text[0] != '\0');
                nacre_sftp_close(s);
                assert_int_equal(sftp_peer_open_handles(&peer), 0);
                if (rc == NACRE_OK) {
                    assert_true(remote_holds("old", content, 100000));
                } else if (strstr(text, "all of it is in remote .old.")) {
                    /* Removed to be replaced, and then the name was refused. */
                    assert_true(atomic && !posix && !remote_holds("old", "as it was", 9));
                    char *name = strstr(text, "in remote .old.") + strlen("in remote ");
                    assert_true(remote_holds(name, content, 100000));
                    peer_file *f = sftp_peer_find(&peer, name);
                    memcpy(f->name, "old", 4);
                } else if (atomic) {
                    assert_true(remote_holds("old", "as it was", 9));
                }
                assert_int_equal(sftp_peer_files(&peer), 1);
                if (!reached) {
                    break;
                }
            }
            assert_int_equal(rc, NACRE_OK);
            assert_in_range(at, 8, 99);
        }
    }
}

static void each_request_refused_down(void **state)
{
    (void)state;
    sftp_peer_put(&peer, "f", content, LARGE, 0600);
    for (unsigned at = 1, reached = 1; reached; at++) {
        write_local("target", "as it was", 9);
        nacre_sftp *s = begin_session();
        peer.fail_at = at;
        int rc = nacre_sftp_get(s, "f", "target", NULL);
        reached = peer.requests >= at;
        peer.fail_at = 0;
        if (rc == NACRE_OK) {
            assert_true(local_holds("target", content, LARGE));
        } else {
            assert_int_equal(rc, NACRE_SFTP_STATUS);
            assert_int_equal(nacre_sftp_status(s), NACRE_FX_FAILURE);
            assert_non_null(strstr(nacre_sftp_error(s)->text, " f"));
            assert_true(local_holds("target", "as it was", 9));
        }
        assert_int_equal(local_files(), 1);
        assert_int_equal(nacre_sftp_get(s, "f", "target", NULL), NACRE_OK); /* it lives on */
        nacre_sftp_close(s);
        assert_in_range(at, 1, 200);
    }
}

/* Wherever the connection ends. */
static void cut_at_any_byte(void **state)
{
    (void)state;
    for (int up = 0; up < 2; up++) {
        int rc = NACRE_CLOSED;
        size_t at = 0;
        for (; rc != NACRE_OK && at < 200000; at += at < 300 ? 1 : 997) {
            sftp_peer_put(&peer, "f", content, 100000, 0600);
            write_local("target", content, 100000);
            write_local("source", content + 7, 100000);
            nacre_sftp_transfer_options o = defaults();
            o.atomic = true;
            nacre_sftp *s = begin_session();
            peer.cut_after = at;
            rc = up ? nacre_sftp_put(s, "source", "f", &o) : nacre_sftp_get(s, "f", "target", &o);
            peer.cut_after = SIZE_MAX;
            if (rc != NACRE_OK) {
                assert_true(rc == NACRE_CLOSED);
                assert_int_equal(nacre_sftp_get(s, "f", "target", &o), NACRE_CLOSED);
            }
            assert_true(local_holds("target", content, 100000));
            nacre_sftp_close(s);
            assert_int_equal(local_files(), 2);
            sftp_peer_clear(&peer);
            sftp_peer_init(&peer);
        }
        assert_int_equal(rc, NACRE_OK);
        assert_in_range(at, 60, 199999);
    }
}

static void a_full_disk_there(void **state)
{
    (void)state;
    write_local("source", content, LARGE);
    nacre_sftp_transfer_options o = defaults();
    nacre_sftp *s = begin_session();
    peer.disk = 300000;
    assert_int_equal(nacre_sftp_put(s, "source", "f", NULL), NACRE_SFTP_STATUS);
    assert_non_null(strstr(nacre_sftp_error(s)->text, "write f at offset"));
    assert_non_null(strstr(nacre_sftp_error(s)->text, "of 700001 bytes are there"));
    o.atomic = true;
    sftp_peer_put(&peer, "f", "as it was", 9, 0600);
    assert_int_equal(nacre_sftp_put(s, "source", "f", &o), NACRE_SFTP_STATUS);
    assert_true(remote_holds("f", "as it was", 9));
    assert_int_equal(sftp_peer_files(&peer), 1);
    peer.disk = 0;
    peer.lose_from = 300000;
    assert_int_equal(nacre_sftp_put(s, "source", "f", &o), NACRE_INCOMPLETE);
    assert_true(remote_holds("f", "as it was", 9));
    nacre_sftp_close(s);
    assert_int_equal(sftp_peer_open_handles(&peer), 0);
}

static bool old_is_there_at_first(void *user, const char *path, uint64_t done, uint64_t total)
{
    (void)path;
    (void)total;
    if (done == 0) {
        *(bool *)user = remote_holds("f", content, LARGE);
    }
    return true;
}

/* Nothing is emptied before the bytes come, and nothing of a longer old file stays. */
static void in_place(void **state)
{
    (void)state;
    nacre_sftp_transfer_options o = defaults();
    bool kept = false;
    o.in_place = true;
    o.progress = old_is_there_at_first;
    o.user = &kept;
    sftp_peer_put(&peer, "f", content, LARGE, 0600);
    write_local("source", content + 1, 1000);
    nacre_sftp *s = begin_session();
    assert_int_equal(nacre_sftp_put(s, "source", "f", &o), NACRE_OK);
    assert_true(kept);
    assert_true(remote_holds("f", content + 1, 1000));
    /* A part of the new with the rest of the old would pass for a whole file. */
    sftp_peer_put(&peer, "f", content, LARGE, 0600);
    write_local("source", content, LARGE);
    peer.disk = 300000;
    assert_int_equal(nacre_sftp_put(s, "source", "f", &o), NACRE_SFTP_STATUS);
    assert_non_null(strstr(nacre_sftp_error(s)->text, "of 700001 bytes are there"));
    const peer_file *f = sftp_peer_find(&peer, "f");
    assert_non_null(f);
    assert_true(f->size <= 300000);
    nacre_sftp_close(s);
    assert_int_equal(sftp_peer_open_handles(&peer), 0);
}

/* A RENAME that cannot replace: the old one is removed first, unless the refusal had another reason. */
static void atomic_without_posix_rename(void **state)
{
    (void)state;
    write_local("source", content, 1000);
    nacre_sftp_transfer_options o = defaults();
    o.atomic = true;
    peer.posix_rename = false;
    sftp_peer_put(&peer, "f", "as it was", 9, 0600);
    nacre_sftp *s = begin_session();
    assert_int_equal(nacre_sftp_put(s, "source", "f", &o), NACRE_OK);
    assert_true(remote_holds("f", content, 1000));
    sftp_peer_put(&peer, "f", "as it was", 9, 0600);
    peer.refuse = NACRE_FXP_RENAME;
    peer.refuse_code = NACRE_FX_PERMISSION_DENIED;
    assert_int_equal(nacre_sftp_put(s, "source", "f", &o), NACRE_SFTP_STATUS);
    assert_true(remote_holds("f", "as it was", 9));
    assert_int_equal(sftp_peer_files(&peer), 1);
    /* Removed, and then the name is refused all the same: the bytes must not be thrown away. */
    peer.refuse_code = NACRE_FX_FAILURE;
    assert_int_equal(nacre_sftp_put(s, "source", "f", &o), NACRE_SFTP_STATUS);
    assert_non_null(strstr(nacre_sftp_error(s)->text, "all of it is in remote .f."));
    assert_int_equal(sftp_peer_files(&peer), 1);
    nacre_sftp_close(s);
}

#define ROW(name) cmocka_unit_test_setup_teardown(name, place_set_up, place_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        ROW(a_size_too_large),
        ROW(a_size_too_small),
        ROW(small_files_that_end_early),
        ROW(a_source_that_is_emptied),
        ROW(each_request_refused),
        ROW(each_request_refused_down),
        ROW(cut_at_any_byte),
        ROW(a_full_disk_there),
        ROW(in_place),
        ROW(atomic_without_posix_rename),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
