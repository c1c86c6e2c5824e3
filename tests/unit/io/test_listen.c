/* Listeners: all addresses of a name on one port, sockets and their files, pausing, freeing in the middle, no descriptors. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka needs those before it */
#include <cmocka.h>

#include "io/listen.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#if __has_include(<valgrind/valgrind.h>)
#include <valgrind/valgrind.h>
#else
#define RUNNING_ON_VALGRIND 0
#endif

typedef struct seen {
    unsigned accepted, troubles;
    bool free_in_it, pause_in_it;
    uint32_t why;
} seen;

static nacre_loop *loop;
static seen s;
static char dir[64], path[96];

static int setup(void **state)
{
    (void)state;
    memset(&s, 0, sizeof(s));
    (void)snprintf(dir, sizeof(dir), "/tmp/nacre-listen-XXXXXX");
    assert_non_null(mkdtemp(dir));
    (void)snprintf(path, sizeof(path), "%s/socket", dir);
    assert_int_equal(nacre_loop_new(&loop, NULL, NULL), NACRE_OK);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    nacre_loop_free(loop);
    (void)unlink(path);
    assert_int_equal(rmdir(dir), 0);
    return 0;
}

static void on_accepted(void *user, nc_listen *l, int fd)
{
    (void)user;
    s.accepted++;
    assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
    assert_true(fcntl(fd, F_GETFL) & O_NONBLOCK);
    (void)close(fd);
    if (s.pause_in_it) {
        nc_listen_pause(l, true);
    }
    if (s.free_in_it) {
        nc_listen_free(l);
    }
}

static void on_trouble(void *user, nc_listen *l, const nacre_error *why)
{
    (void)user;
    (void)l;
    s.troubles++;
    s.why = why->detail;
}

static const nc_listen_calls calls = {on_accepted, on_trouble, NULL};

static int dial(const char *address, uint16_t port)
{
    int fd = -1;
    return nacre_net_connect(address, port, NULL, &fd, NULL) == NACRE_OK ? fd : -1;
}

static void turns(int n)
{
    for (int i = 0; i < n; i++) {
        assert_int_equal(nacre_loop_run_once(loop, 1), NACRE_OK);
    }
}

static void test_one_port_for_all(void **state)
{
    static const char *const names[] = {"localhost", "LOCALHOST", "", "*"};
    (void)state;
    for (size_t i = 0; i < 4; i++) {
        nc_listen *l = NULL;
        nacre_error err = {0};
        assert_int_equal(nc_listen_tcp(&l, loop, names[i], 0, 0, &calls, &err), NACRE_OK);
        uint16_t port = nc_listen_port(l);
        int four = dial("127.0.0.1", port), six = dial("::1", port);
        assert_true(four >= 0);
        s.accepted = 0;
        turns(5);
        assert_int_equal(s.accepted, six >= 0 ? 2 : 1);
        (void)close(four);
        if (six >= 0) {
            (void)close(six);
        }
        nc_listen_free(l);
        assert_int_equal(dial("127.0.0.1", port), -1);
    }
    nc_listen *l = NULL;
    assert_int_equal(nc_listen_tcp(&l, loop, "localhost", 0, 4, &calls, NULL), NACRE_OK);
    assert_int_equal(dial("::1", nc_listen_port(l)), -1);
    assert_string_equal(nc_listen_path(l), "");
    nc_listen_free(l);
}

/* Somebody has the port on one of the addresses: half of the connections would be theirs. */
static void test_half_taken(void **state)
{
    nc_listen *l = NULL;
    int fd = -1;
    uint16_t port = 0;
    nacre_error err = {0};
    (void)state;
    static const char *const halves[] = {"127.0.0.1", "::1"};
    for (int i = 0; i < 2; i++) { /* the one that is tried first, and the one after it */
        char text[64];
        port = 0;
        int rc = nacre_net_listen(halves[i], 0, i ? 6 : 4, 0, &fd, &port, NULL);
        if (i && rc != NACRE_OK) {
            break; /* a host without IPv6 */
        }
        assert_int_equal(rc, NACRE_OK);
        assert_int_equal(nc_listen_tcp(&l, loop, "localhost", port, 0, &calls, &err), NACRE_IO);
        assert_int_equal(err.detail, EADDRINUSE);
        snprintf(text, sizeof(text), "%s port", halves[i]);
        assert_non_null(strstr(err.text, text));
        assert_null(l);
        assert_int_equal(dial(halves[1 - i], port), -1);
        (void)close(fd);
    }
    static const char *const bad[] = {"192.0.2.1", "no such name.invalid"};
    for (size_t i = 0; i < 2; i++) {
        assert_true(nc_listen_tcp(&l, loop, bad[i], 0, 0, &calls, &err) < 0);
        assert_null(l);
        assert_true(err.text[0] != '\0');
    }
    assert_int_equal(nc_listen_tcp(&l, loop, "::1", 0, 5, &calls, &err), NACRE_INVALID_ARGUMENT);
}

static mode_t mode_of(const char *p)
{
    struct stat st;
    assert_int_equal(lstat(p, &st), 0);
    return st.st_mode & 0777;
}

static void test_files(void **state)
{
    nc_listen *l = NULL, *other = NULL;
    int fd = -1;
    (void)state;
    assert_int_equal(nc_listen_unix(&l, loop, path, 0177, false, &calls, NULL), NACRE_OK);
    assert_int_equal(mode_of(path), 0600);
    assert_string_equal(nc_listen_path(l), path);
    assert_int_equal(nc_listen_port(l), 0);
    assert_int_equal(nacre_net_connect_unix(path, &fd, NULL), NACRE_OK);
    turns(3);
    assert_int_equal(s.accepted, 1);
    (void)close(fd);
    /* It is there already; and one may take its place if that is wanted. */
    assert_int_equal(nc_listen_unix(&other, loop, path, 0177, false, &calls, NULL), NACRE_IO);
    assert_int_equal(nc_listen_unix(&other, loop, path, 0117, true, &calls, NULL), NACRE_OK);
    assert_int_equal(mode_of(path), 0660);
    nc_listen_free(l); /* its file was another by now: it stays */
    assert_int_equal(access(path, F_OK), 0);
    nc_listen_free(other);
    assert_int_equal(access(path, F_OK), -1);
    /* What is no socket is not replaced. */
    fd = open(path, O_CREAT | O_WRONLY, 0600);
    assert_true(fd >= 0);
    (void)close(fd);
    assert_int_equal(nc_listen_unix(&l, loop, path, 0177, true, &calls, NULL), NACRE_IO);
    assert_int_equal(access(path, F_OK), 0);
    static char endless[300];
    memset(endless, 'a', sizeof(endless) - 1);
    assert_int_equal(nc_listen_unix(&l, loop, endless, 0177, true, &calls, NULL),
                     NACRE_INVALID_ARGUMENT);
    assert_int_equal(nc_listen_unix(&l, loop, "", 0177, true, &calls, NULL),
                     NACRE_INVALID_ARGUMENT);
    assert_null(l);
}

static void test_pause_and_free(void **state)
{
    nc_listen *l = NULL;
    int fd[3];
    (void)state;
    assert_int_equal(nc_listen_tcp(&l, loop, "127.0.0.1", 0, 0, &calls, NULL), NACRE_OK);
    s.pause_in_it = true;
    for (int i = 0; i < 3; i++) {
        fd[i] = dial("127.0.0.1", nc_listen_port(l));
    }
    turns(5);
    assert_int_equal(s.accepted, 1);
    s.pause_in_it = false;
    s.free_in_it = true; /* after the second one: the third is the system's to end */
    nc_listen_pause(l, false);
    turns(5);
    assert_int_equal(s.accepted, 2);
    for (int i = 0; i < 3; i++) {
        (void)close(fd[i]);
    }
    nc_listen_free(NULL);
}

static void test_no_descriptors(void **state)
{
    struct rlimit old, low;
    nc_listen *l = NULL;
    (void)state;
    if (RUNNING_ON_VALGRIND) {
        /* valgrind answers setrlimit itself and keeps descriptors of its own. */
        print_message("the limit of descriptors is valgrind's own: tried without it only\n");
        return;
    }
    assert_int_equal(nc_listen_tcp(&l, loop, "127.0.0.1", 0, 0, &calls, NULL), NACRE_OK);
    int fd = dial("127.0.0.1", nc_listen_port(l));
    int next = dup(fd);
    (void)close(next);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
    low = old;
    low.rlim_cur = (rlim_t)next;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
    uint64_t began = nacre_loop_now(loop);
    unsigned n = 0;
    while (nacre_loop_now(loop) < began + 60) {
        assert_int_equal(nacre_loop_run_once(loop, 20), NACRE_OK);
        n++;
    }
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
    assert_int_equal(s.accepted, 0);
    assert_int_equal(s.troubles, 1);
    assert_int_equal(s.why, EMFILE);
    assert_true(n < 20); /* it does not spin */
    for (int i = 0; i < 200 && s.accepted == 0; i++) {
        assert_int_equal(nacre_loop_run_once(loop, 20), NACRE_OK);
    }
    assert_int_equal(s.accepted, 1);
    (void)close(fd);
    nc_listen_free(l);
}

static void test_on_a_descriptor(void **state)
{
    nc_listen *l = NULL, *twice = NULL;
    int fd = -1;
    uint16_t port = 0;
    (void)state;
    assert_int_equal(nacre_net_listen("127.0.0.1", 0, 0, 0, &fd, &port, NULL), NACRE_OK);
    assert_int_equal(nc_listen_fd(&l, loop, fd, &calls, NULL), NACRE_OK);
    assert_int_equal(nc_listen_port(l), port);
    assert_int_equal(nc_listen_fd(&twice, loop, fd, &calls, NULL), NACRE_EXISTS);
    int one = dial("127.0.0.1", port);
    turns(3);
    assert_int_equal(s.accepted, 1);
    (void)close(one);
    nc_listen_free(l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_one_port_for_all, setup, teardown),
        cmocka_unit_test_setup_teardown(test_half_taken, setup, teardown),
        cmocka_unit_test_setup_teardown(test_files, setup, teardown),
        cmocka_unit_test_setup_teardown(test_pause_and_free, setup, teardown),
        cmocka_unit_test_setup_teardown(test_no_descriptors, setup, teardown),
        cmocka_unit_test_setup_teardown(test_on_a_descriptor, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
