/*
 * test_sftp_xfer.c - files on their way, many at once, against a server in memory: round trips, order,
 * short answers, giving up, bounds, local places.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "client/sftp_xfer.h"
#include "transfer_place.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- many at once ------------------------------------------------------------------------------------- */

static const size_t sizes[] = {0, 1, 1000, 32767, 32768, 32769, 100000};
enum { SIZES = sizeof(sizes) / sizeof(sizes[0]) };

typedef struct job {
    nc_xfer *xfers[MANY];
    unsigned started, over;
} job;

static void one_over(void *user, nc_xfer *x)
{
    job *j = user;
    assert_ptr_equal(nc_xfer_user(x), j);
    j->over++;
}

static bool all_over(void *user)
{
    const job *j = user;
    return j->over == j->started;
}

static void start_one(job *j, nacre_sftp *s, nc_xfer_spec *spec)
{
    spec->over = one_over;
    spec->user = j;
    assert_int_equal(nc_xfer_start(&j->xfers[j->started], s, spec), NACRE_OK);
    j->started++;
}

static void free_all(job *j)
{
    for (unsigned i = 0; i < j->started; i++) {
        nc_xfer_free(j->xfers[i]);
    }
}

static void many(bool up, bool known)
{
    job j = {.over = 0};
    char name[32];
    nacre_sftp *s = begin_session();
    for (int i = 0; i < MANY; i++) {
        size_t n = sizes[(size_t)i % SIZES];
        snprintf(name, sizeof(name), "f%d", i);
        if (up) {
            write_local(name, content + i, n);
        } else {
            sftp_peer_put(&peer, name, content + i, n, 0640);
        }
        nacre_sftp_attrs a = {.flags = NACRE_SFTP_ATTR_SIZE | NACRE_SFTP_ATTR_PERMISSIONS,
                              .size = n,
                              .permissions = NACRE_SFTP_S_IFREG | 0640};
        nc_xfer_spec spec = {.up = up,
                             .remote = name,
                             .local = name,
                             .dir = place_fd,
                             .name = name,
                             .attrs = known ? &a : NULL};
        start_one(&j, s, &spec);
    }
    assert_int_equal(nc_sftp_drive(s, all_over, &j, false), NACRE_OK);
    for (int i = 0; i < MANY; i++) {
        size_t n = sizes[(size_t)i % SIZES];
        snprintf(name, sizeof(name), "f%d", i);
        assert_int_equal(nc_xfer_error(j.xfers[i])->status, NACRE_OK);
        assert_int_equal(nc_xfer_bytes(j.xfers[i]), n);
        assert_true(up ? remote_holds(name, content + i, n) : local_holds(name, content + i, n));
    }
    assert_int_equal(local_files(), MANY);
    assert_int_equal(sftp_peer_files(&peer), MANY);
    free_all(&j);
    nacre_sftp_close(s);
}

static void many_down(void **state)
{
    (void)state;
    many(false, true);
    assert_int_equal(peer.count[NACRE_FXP_FSTAT], 0);
    /* Few trips for many files; what is larger than one request takes one more, with its CLOSE. */
    assert_in_range(peer.trips, 2, 8);
}

static void many_down_unknown(void **state)
{
    (void)state;
    many(false, false);
    assert_int_equal(peer.count[NACRE_FXP_FSTAT], MANY);
    assert_in_range(peer.trips, 2, 10);
}

static void many_up(void **state)
{
    (void)state;
    many(true, false);
    assert_in_range(peer.trips, 2, 10);
    assert_int_equal(sftp_peer_open_handles(&peer), 0);
}

static void many_in_any_order(void **state)
{
    (void)state;
    for (int up = 0; up < 2; up++) {
        peer.shuffle = 12345;
        many(up, false);
        assert_false(peer.broken_promise);
        sftp_peer_clear(&peer);
        sftp_peer_init(&peer);
    }
}

/* ---- round trips -------------------------------------------------------------------------------------- */

static void trips_of_small_files(void **state)
{
    (void)state;
    nacre_sftp_transfer_options o = defaults();
    nacre_sftp *s = begin_session();
    sftp_peer_put(&peer, "f", content, 1000, 0600);
    assert_int_equal(nacre_sftp_get(s, "f", "target", NULL), NACRE_OK);
    assert_int_equal(peer.trips, 2);
    assert_int_equal(peer.count[NACRE_FXP_READ], 1);
    peer.trips = 0;
    assert_int_equal(nacre_sftp_put(s, "target", "g", NULL), NACRE_OK);
    assert_int_equal(peer.trips, 2);
    assert_true(remote_holds("g", content, 1000));
    o.preserve = true;
    peer.trips = 0;
    assert_int_equal(nacre_sftp_put(s, "target", "g", &o), NACRE_OK);
    assert_int_equal(peer.trips, 2);
    o.atomic = true;
    peer.trips = 0;
    assert_int_equal(nacre_sftp_put(s, "target", "g", &o), NACRE_OK);
    assert_int_equal(peer.trips, 3); /* the rename has to wait */
    assert_int_equal(sftp_peer_files(&peer), 2);
    nacre_sftp_close(s);
}

static void trips_of_a_large_file(void **state)
{
    (void)state;
    nacre_sftp *s = begin_session();
    sftp_peer_put(&peer, "f", content, LARGE, 0600);
    assert_int_equal(nacre_sftp_get(s, "f", "target", NULL), NACRE_OK);
    assert_in_range(peer.trips, 3, 6);
    assert_true(local_holds("target", content, LARGE));
    peer.trips = 0;
    assert_int_equal(nacre_sftp_put(s, "target", "g", NULL), NACRE_OK);
    assert_in_range(peer.trips, 2, 6);
    assert_true(remote_holds("g", content, LARGE));
    nacre_sftp_close(s);
}

/* ---- answers as they come ----------------------------------------------------------------------------- */

typedef struct sink {
    uint8_t bytes[LARGE + 16];
    size_t n;
    size_t stop_at; /* says no then; 0: never */
} sink;

static bool into_sink(void *user, const void *p, size_t n)
{
    sink *k = user;
    assert_true(n > 0 && n <= sizeof(k->bytes) - k->n);
    memcpy(k->bytes + k->n, p, n);
    k->n += n;
    return !k->stop_at || k->n < k->stop_at;
}

static void streams_down_in_order(void **state)
{
    static const size_t most[] = {0, 1000, 30000, 32768};
    (void)state;
    sink *k = malloc(sizeof(*k));
    assert_non_null(k);
    sftp_peer_put(&peer, "f", content, LARGE, 0600);
    for (unsigned seed = 0; seed < 4; seed++) {
        for (size_t i = 0; i < 4; i++) {
            nacre_sftp *s = begin_session();
            peer.shuffle = seed;
            peer.most = most[i];
            peer.most_reads = 0;
            k->n = k->stop_at = 0;
            assert_int_equal(nacre_sftp_getfo(s, "f", into_sink, k, NULL), NACRE_OK);
            assert_int_equal(k->n, LARGE);
            assert_memory_equal(k->bytes, content, LARGE);
            assert_true(peer.most_reads >= 8); /* pipelined */
            k->n = 0;
            k->stop_at = 100000;
            assert_int_equal(nacre_sftp_getfo(s, "f", into_sink, k, NULL), NACRE_CANCELLED);
            nacre_sftp_close(s);
        }
    }
    free(k);
}

static void files_down_in_any_order(void **state)
{
    static const size_t most[] = {0, 511, 1000, 32767};
    (void)state;
    sftp_peer_put(&peer, "f", content, LARGE, 0600);
    for (unsigned seed = 0; seed < 3; seed++) {
        for (size_t i = 0; i < 4; i++) {
            nacre_sftp *s = begin_session();
            peer.shuffle = seed;
            peer.most = most[i];
            assert_int_equal(nacre_sftp_get(s, "f", "target", NULL), NACRE_OK);
            assert_true(local_holds("target", content, LARGE));
            unlink("target");
            nacre_sftp_close(s);
        }
    }
}

typedef struct source {
    size_t at, n;
    size_t most;    /* at one call; 0: as asked */
    size_t stop_at; /* says no then */
} source;

static bool from_source(void *user, void *p, size_t n, size_t *got)
{
    source *k = user;
    size_t left = k->n - k->at;
    n = n < left ? n : left;
    n = k->most && n > k->most ? k->most : n;
    memcpy(p, content + k->at, n);
    k->at += n;
    *got = n;
    return !k->stop_at || k->at < k->stop_at;
}

static void streams_up(void **state)
{
    static const size_t most[] = {0, 1, 1000, 40000};
    (void)state;
    for (size_t i = 0; i < 4; i++) {
        nacre_sftp *s = begin_session();
        source k = {.n = most[i] == 1 ? 3000 : LARGE, .most = most[i]};
        assert_int_equal(nacre_sftp_putfo(s, from_source, &k, UINT64_MAX, "f", 0604, NULL),
                         NACRE_OK);
        assert_true(remote_holds("f", content, k.n));
        assert_int_equal(sftp_peer_find(&peer, "f")->mode & 07777, 0604);
        k.at = 0;
        assert_int_equal(nacre_sftp_putfo(s, from_source, &k, k.n, "f", 0604, NULL), NACRE_OK);
        k.at = 0;
        assert_int_equal(nacre_sftp_putfo(s, from_source, &k, k.n + 1, "f", 0604, NULL),
                         NACRE_INCOMPLETE);
        k.at = 0;
        k.stop_at = 2000;
        assert_int_equal(nacre_sftp_putfo(s, from_source, &k, k.n, "f", 0604, NULL),
                         NACRE_CANCELLED);
        assert_non_null(strstr(nacre_sftp_error(s)->text, "bytes are there"));
        nacre_sftp_close(s);
        assert_int_equal(sftp_peer_open_handles(&peer), 0);
        peer_file *f = sftp_peer_find(&peer, "f");
        free(f->data);
        memset(f, 0, sizeof(*f));
    }
}

/* ---- giving up ---------------------------------------------------------------------------------------- */

typedef struct stopper {
    job *j;
    unsigned trips;
} stopper;

static bool trips_made(void *user)
{
    const stopper *k = user;
    return peer.trips >= k->trips || all_over(k->j);
}

static void cancelling_one_of_two(void **state)
{
    (void)state;
    for (int up = 0; up < 2; up++) {
        for (unsigned after = 0; after < 5; after++) {
            job j = {.over = 0};
            nacre_sftp_transfer_options o = defaults();
            o.atomic = true;
            o.in_flight = 10000;
            sftp_peer_put(&peer, "f", content, 100000, 0600);
            write_local("source", content, 100000);
            write_local("target", "as it was", 9);
            nacre_sftp *s = begin_session();
            nc_xfer_spec spec = {
                .up = up, .remote = "f", .local = up ? "source" : "target", .dir = -1, .o = &o};
            nc_xfer_spec other = {.remote = "f", .local = "f0", .dir = -1, .o = &o};
            start_one(&j, s, &spec);
            start_one(&j, s, &other);
            stopper k = {&j, after};
            assert_int_equal(nc_sftp_drive(s, trips_made, &k, false), NACRE_OK);
            nc_xfer_cancel(j.xfers[0]);
            assert_int_equal(nc_sftp_drive(s, all_over, &j, false), NACRE_OK);
            assert_int_equal(nc_xfer_error(j.xfers[0])->status, NACRE_CANCELLED);
            assert_int_equal(nc_xfer_error(j.xfers[1])->status, NACRE_OK);
            assert_true(remote_holds("f", content, 100000));
            assert_true(local_holds("f0", content, 100000));
            assert_true(local_holds("target", "as it was", 9));
            assert_int_equal(local_files(), 3);
            assert_int_equal(sftp_peer_files(&peer), 1);
            free_all(&j);
            nacre_sftp_close(s);
        }
    }
}

/* Where the old file must go before its name can be given again, cancelling must not take the new one, too. */
static void cancelling_while_it_is_replaced(void **state)
{
    (void)state;
    for (int refuse = 0; refuse < 2; refuse++) {
        for (unsigned after = 0; after < 8; after++) {
            job j = {.over = 0};
            nacre_sftp_transfer_options o = defaults();
            o.atomic = true;
            sftp_peer_clear(&peer);
            sftp_peer_init(&peer);
            peer.posix_rename = false;
            sftp_peer_put(&peer, "f", "as it was", 9, 0600);
            write_local("source", content, 1000);
            nacre_sftp *s = begin_session();
            peer.refuse = refuse ? NACRE_FXP_RENAME : 0;
            peer.refuse_code = NACRE_FX_FAILURE;
            nc_xfer_spec spec = {.up = true, .remote = "f", .local = "source", .dir = -1, .o = &o};
            start_one(&j, s, &spec);
            stopper k = {&j, peer.trips + after};
            assert_int_equal(nc_sftp_drive(s, trips_made, &k, false), NACRE_OK);
            if (!all_over(&j)) {
                nc_xfer_cancel(j.xfers[0]);
            }
            assert_int_equal(nc_sftp_drive(s, all_over, &j, false), NACRE_OK);
            char text[960];
            memcpy(text, nc_xfer_error(j.xfers[0])->text, sizeof(text));
            char *name = strstr(text, "in remote .f.");
            assert_int_equal(sftp_peer_files(&peer), 1);
            assert_true(remote_holds("f", "as it was", 9) || remote_holds("f", content, 1000) ||
                        (name && remote_holds(name + strlen("in remote "), content, 1000)));
            free_all(&j);
            nacre_sftp_close(s);
        }
    }
}

static void cancelling_when_nothing_answers(void **state)
{
    (void)state;
    for (int up = 0; up < 2; up++) {
        job j = {.over = 0};
        sftp_peer_put(&peer, "f", content, 100000, 0600);
        write_local("source", content, 100000);
        nacre_sftp *s = begin_session();
        nc_xfer_spec spec = {.up = up, .remote = "f", .local = up ? "source" : "target", .dir = -1};
        start_one(&j, s, &spec);
        peer.silent = true;
        assert_int_equal(nc_sftp_drive(s, all_over, &j, false), NACRE_TIMEOUT);
        nc_xfer_cancel(j.xfers[0]); /* waits for what OPEN will answer */
        assert_int_equal(j.over, 0);
        nc_xfer_cancel(j.xfers[0]);
        assert_int_equal(j.over, 1);
        free_all(&j);
        /* Answered at last: what was opened is closed, what was made is removed. */
        peer.silent = false;
        assert_int_equal(nacre_sftp_get(s, "f", "f0", NULL), NACRE_OK);
        assert_int_equal(nacre_sftp_get(s, "f", "f0", NULL), NACRE_OK);
        nacre_sftp_close(s);
        assert_int_equal(sftp_peer_open_handles(&peer), 0);
        assert_int_equal(sftp_peer_files(&peer), 1);
        unlink("f0");
    }
    assert_int_equal(local_files(), 1);
}

/* ---- bounds ------------------------------------------------------------------------------------------- */

/* All files together keep one rate. */
static void one_rate_for_many(void **state)
{
    enum { FILES = 4, EACH = 100000, RATE = 500000 };
    (void)state;
    for (int up = 0; up < 2; up++) {
        job j = {.over = 0};
        char names[FILES][8];
        nacre_sftp_transfer_options o = defaults();
        o.rate = RATE;
        sftp_peer_put(&peer, "f", content, EACH, 0600);
        write_local("source", content, EACH);
        nacre_sftp *s = begin_session();
        uint64_t start = nacre_loop_now(NULL);
        for (int i = 0; i < FILES; i++) {
            snprintf(names[i], sizeof(names[i]), "f%d", i);
            nc_xfer_spec spec = {.up = up,
                                 .remote = up ? names[i] : "f",
                                 .local = up ? "source" : names[i],
                                 .dir = -1,
                                 .o = &o};
            start_one(&j, s, &spec);
        }
        assert_int_equal(nc_sftp_drive(s, all_over, &j, true), NACRE_OK);
        for (int i = 0; i < FILES; i++) {
            assert_int_equal(nc_xfer_error(j.xfers[i])->status, NACRE_OK);
            assert_true(up ? remote_holds(names[i], content, EACH)
                           : local_holds(names[i], content, EACH));
        }
        /* 400,000 bytes, and a quarter of a second's may have been saved up. */
        assert_true(nacre_loop_now(NULL) - start >= 500);
        free_all(&j);
        nacre_sftp_close(s);
    }
}

/* The file system's own bound: what was there stays, and the sentence says what and why. */
static void a_full_disk_here(void **state)
{
    struct rlimit old;
    (void)state;
    sftp_peer_put(&peer, "f", content, LARGE, 0600);
    write_local("target", "as it was", 9);
    nacre_sftp *s = begin_session();
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
    struct rlimit small = {300000, old.rlim_max};
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    int rc = nacre_sftp_get(s, "f", "target", NULL);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
    assert_int_equal(rc, NACRE_IO);
    assert_int_equal(nacre_sftp_error(s)->detail, EFBIG);
    assert_non_null(strstr(nacre_sftp_error(s)->text, "write local target: "));
    assert_true(local_holds("target", "as it was", 9));
    assert_int_equal(local_files(), 1);
    assert_int_equal(nacre_sftp_get(s, "f", "/dev/full", NULL), NACRE_IO);
    assert_int_equal(nacre_sftp_error(s)->detail, ENOSPC);
    nacre_sftp_close(s);
    assert_int_equal(sftp_peer_open_handles(&peer), 0);
}

/* ---- local places ------------------------------------------------------------------------------------- */

static void links_are_not_followed_in_trees(void **state)
{
    (void)state;
    write_local("source", "as it was", 9);
    sftp_peer_put(&peer, "f", content, 1000, 0600);
    nacre_sftp_transfer_options o = defaults();
    for (int direct = 0; direct < 2; direct++) {
        job j = {.over = 0};
        assert_int_equal(symlink("source", "target"), 0);
        o.direct = direct;
        nacre_sftp *s = begin_session();
        nc_xfer_spec spec = {
            .remote = "f", .local = "somewhere/target", .dir = place_fd, .name = "target", .o = &o};
        start_one(&j, s, &spec);
        assert_int_equal(nc_sftp_drive(s, all_over, &j, false), NACRE_OK);
        assert_int_equal(nc_xfer_error(j.xfers[0])->status, direct ? NACRE_IO : NACRE_OK);
        assert_true(local_holds("source", "as it was", 9));
        assert_true(direct || local_holds("target", content, 1000));
        free_all(&j);
        unlink("target");
        /* And nothing is read through one. */
        j = (job){.over = 0};
        assert_int_equal(symlink("source", "target"), 0);
        spec = (nc_xfer_spec){
            .up = true, .remote = "g", .local = "target", .dir = place_fd, .name = "target"};
        start_one(&j, s, &spec);
        assert_int_equal(nc_sftp_drive(s, all_over, &j, false), NACRE_OK);
        assert_int_equal(nc_xfer_error(j.xfers[0])->status, NACRE_IO);
        assert_null(sftp_peer_find(&peer, "g"));
        free_all(&j);
        unlink("target");
        nacre_sftp_close(s);
    }
}

static void special_bits(void **state)
{
    (void)state;
    struct stat st;
    nacre_sftp_transfer_options o = defaults();
    nacre_sftp *s = begin_session();
    sftp_peer_put(&peer, "f", content, 10, 06755);
    for (int step = 0; step < 3; step++) {
        unlink("target");
        o.preserve = step > 0;
        o.keep_special = step > 1;
        assert_int_equal(nacre_sftp_get(s, "f", "target", &o), NACRE_OK);
        assert_int_equal(stat("target", &st), 0);
        assert_int_equal(st.st_mode & 07000, step > 1 ? 06000 : 0);
        assert_int_equal(st.st_mode & 0777, 0755);
        write_local("source", content, 10);
        assert_int_equal(chmod("source", 05711), 0);
        assert_int_equal(nacre_sftp_put(s, "source", "g", &o), NACRE_OK);
        assert_int_equal(sftp_peer_find(&peer, "g")->mode & 07000, step > 1 ? 05000 : 0);
    }
    nacre_sftp_close(s);
}

/* What is new gets the remote mode less the umask, known beforehand or not; what is there keeps its own. */
static void modes_of_new_files(void **state)
{
    static const mode_t modes[] = {0666, 0600, 0755, 0400, 0};
    (void)state;
    struct stat st;
    nacre_sftp *s = begin_session();
    for (size_t i = 0; i < 5; i++) {
        mode_t expected = (modes[i] | S_IWUSR) & ~(mode_t)022;
        sftp_peer_put(&peer, "f", content, 10, 0)->mode = NACRE_SFTP_S_IFREG | modes[i];
        assert_int_equal(nacre_sftp_get(s, "f", "target", NULL), NACRE_OK);
        assert_int_equal(stat("target", &st), 0);
        assert_int_equal(st.st_mode & 07777, expected);
        unlink("target");
        job j = {.over = 0};
        nacre_sftp_attrs a = {.flags = NACRE_SFTP_ATTR_SIZE | NACRE_SFTP_ATTR_PERMISSIONS,
                              .size = 10,
                              .permissions = NACRE_SFTP_S_IFREG | modes[i]};
        nc_xfer_spec spec = {
            .remote = "f", .local = "target", .dir = place_fd, .name = "target", .attrs = &a};
        start_one(&j, s, &spec);
        assert_int_equal(nc_sftp_drive(s, all_over, &j, false), NACRE_OK);
        assert_int_equal(nc_xfer_error(j.xfers[0])->status, NACRE_OK);
        free_all(&j);
        assert_int_equal(stat("target", &st), 0);
        assert_int_equal(st.st_mode & 07777, expected);
        assert_int_equal(chmod("target", 0640), 0);
        assert_int_equal(nacre_sftp_get(s, "f", "target", NULL), NACRE_OK);
        assert_int_equal(stat("target", &st), 0);
        assert_int_equal(st.st_mode & 07777, 0640);
        unlink("target");
    }
    nacre_sftp_close(s);
}

/* A group that the person is in no more: a new file could not be given to it, so the old one is written. */
static void groups_are_kept(void **state)
{
    struct stat before, after;
    (void)state;
    if (geteuid() != 0) {
        skip();
    }
    write_local("target", "as it was", 9);
    sftp_peer_put(&peer, "f", content, 1000, 0600);
    assert_int_equal(fchmodat(place_fd, "target", 0660, 0), 0);
    assert_int_equal(fchownat(place_fd, "target", 12345, 54321, 0), 0);
    assert_int_equal(fchown(place_fd, 12345, 12345), 0);
    assert_int_equal(fstatat(place_fd, "target", &before, 0), 0);
    nacre_sftp *s = begin_session();
    assert_int_equal(setegid(12345), 0);
    assert_int_equal(seteuid(12345), 0);
    int rc = nacre_sftp_get(s, "f", "target", NULL);
    assert_int_equal(seteuid(0), 0);
    assert_int_equal(setegid(0), 0);
    assert_int_equal(fstatat(place_fd, "target", &after, 0), 0);
    assert_int_equal(rc, NACRE_OK);
    assert_true(local_holds("target", content, 1000));
    assert_int_equal(after.st_gid, 54321);
    assert_int_equal(after.st_ino, before.st_ino);
    assert_int_equal(after.st_mode & 0777, 0660);
    assert_int_equal(local_files(), 1);
    nacre_sftp_close(s);
}

/* What is overwritten in its place is a part of something when that fails: the message says so. */
static void a_part_is_called_one(void **state)
{
    (void)state;
    nacre_sftp_transfer_options o = defaults();
    o.direct = true;
    write_local("target", "as it was", 9);
    sftp_peer_put(&peer, "f", content, LARGE, 0600);
    peer.lies = true;
    peer.told_size = LARGE + 1;
    nacre_sftp *s = begin_session();
    assert_int_equal(nacre_sftp_get(s, "f", "target", &o), NACRE_INCOMPLETE);
    assert_non_null(strstr(nacre_sftp_error(s)->text,
                           "; local target is incomplete: 700001 of 700002 bytes are there"));
    o.direct = false;
    assert_int_equal(nacre_sftp_get(s, "f", "target", &o), NACRE_INCOMPLETE);
    assert_null(strstr(nacre_sftp_error(s)->text, "local target"));
    nacre_sftp_close(s);
}

#define ROW(fn) cmocka_unit_test_setup_teardown(fn, place_set_up, place_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        ROW(many_down),
        ROW(many_down_unknown),
        ROW(many_up),
        ROW(many_in_any_order),
        ROW(trips_of_small_files),
        ROW(trips_of_a_large_file),
        ROW(streams_down_in_order),
        ROW(files_down_in_any_order),
        ROW(streams_up),
        ROW(cancelling_one_of_two),
        ROW(cancelling_while_it_is_replaced),
        ROW(cancelling_when_nothing_answers),
        ROW(one_rate_for_many),
        ROW(a_full_disk_here),
        ROW(links_are_not_followed_in_trees),
        ROW(special_bits),
        ROW(groups_are_kept),
        ROW(a_part_is_called_one),
        ROW(modes_of_new_files),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
