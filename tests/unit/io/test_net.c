/*
 * test_net.c - connect, listen, accept; deadlines and cancelling; all on the loopback.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "nacre/account.h"
#include "nacre/net.h"

#include "io/fd.h"
#include "io/resolve.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

static int listener(uint16_t *port)
{
    int fd = -1;
    nacre_error err = {0};
    assert_int_equal(nacre_net_listen("127.0.0.1", 0, 0, 0, &fd, port, &err), NACRE_OK);
    assert_int_not_equal(*port, 0);
    return fd;
}

static void assert_good_fd(int fd)
{
    assert_true(fd >= 0);
    assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
    assert_true(fcntl(fd, F_GETFL) & O_NONBLOCK);
}

static int accept_soon(int l)
{
    struct pollfd p = {l, POLLIN, 0};
    int fd = -1;
    assert_int_equal(poll(&p, 1, 5000), 1);
    assert_int_equal(nacre_net_accept(l, &fd, NULL), NACRE_OK);
    return fd;
}

static void test_connect(void **state)
{
    (void)state;
    uint16_t port = 0;
    int l = listener(&port), fd = -1, got = -1;
    nacre_error err = {0};
    nacre_endpoint a, b;
    assert_good_fd(l);
    assert_int_equal(nacre_net_accept(l, &got, NULL), NACRE_AGAIN);
    assert_int_equal(nacre_net_connect("127.0.0.1", port, NULL, &fd, &err), NACRE_OK);
    assert_good_fd(fd);
    got = accept_soon(l);
    assert_good_fd(got);
    assert_int_equal(nacre_net_peer(fd, &a), NACRE_OK);
    assert_int_equal(nacre_net_local(got, &b), NACRE_OK);
    assert_string_equal(a.address, "127.0.0.1");
    assert_int_equal(a.port, port);
    assert_int_equal(a.family, 4);
    assert_int_equal(b.port, port);
    nacre_net_set_dscp(fd, 0x12);
    nacre_net_set_keepalive(fd, true);
    nacre_net_set_nodelay(fd, true);
    close(got);
    close(fd);
    close(l);
}

static void test_connect_by_name(void **state)
{
    (void)state;
    uint16_t port = 0;
    int l = listener(&port), fd = -1;
    nacre_error err = {0};
    nacre_connect_options o;
    nacre_connect_options_init(&o);
    o.family = 4;
    o.bind_address = "127.0.0.1";
    o.timeout_ms = 10000;
    assert_int_equal(nacre_net_connect("localhost", port, &o, &fd, &err), NACRE_OK);
    close(fd);
    /* Whatever localhost means here, IPv6 first included, the listener is found. */
    assert_int_equal(nacre_net_connect("localhost", port, NULL, &fd, &err), NACRE_OK);
    close(fd);
    close(l);
}

static void test_refused(void **state)
{
    (void)state;
    uint16_t port = 0;
    int l = listener(&port), fd = 5;
    nacre_error err = {0};
    char want[64];
    close(l);
    assert_int_equal(nacre_net_connect("127.0.0.1", port, NULL, &fd, &err), NACRE_CONNECT);
    assert_int_equal(fd, -1);
    assert_int_equal(err.status, NACRE_CONNECT);
    assert_int_equal(err.detail, ECONNREFUSED);
    (void)snprintf(want, sizeof(want), "127.0.0.1:%u: ", port);
    assert_non_null(strstr(err.text, want));
    assert_non_null(strstr(err.text, NC_ERRNO(ECONNREFUSED)));
}

static void test_bad_arguments(void **state)
{
    (void)state;
    int fd = -1;
    nacre_error err = {0};
    nacre_connect_options o;
    nacre_connect_options_init(&o);
    assert_int_equal(nacre_net_connect("127.0.0.1", 0, &o, &fd, &err), NACRE_INVALID_ARGUMENT);
    o.family = 5;
    assert_int_equal(nacre_net_connect("127.0.0.1", 1, &o, &fd, NULL), NACRE_INVALID_ARGUMENT);
    o.family = 0;
    o.bind_address = "not.numeric";
    assert_int_equal(nacre_net_connect("127.0.0.1", 1, &o, &fd, NULL), NACRE_CONNECT);
    o.bind_address = "::1"; /* the other family: nothing to try */
    assert_int_equal(nacre_net_connect("127.0.0.1", 1, &o, &fd, NULL), NACRE_CONNECT);
    o.bind_address = NULL;
    o.bind_interface = "no-such-interface";
    assert_int_equal(nacre_net_connect("127.0.0.1", 1, &o, &fd, NULL), NACRE_CONNECT);
    o.bind_interface = NULL;
    assert_int_equal(nacre_net_connect("", 1, &o, &fd, NULL), NACRE_RESOLVE);
    memset(&err, 0, sizeof(err));
    char *lengthy = calloc(1, 3000);
    memset(lengthy, 'a', 2999);
    assert_int_equal(nacre_net_connect(lengthy, 1, &o, &fd, &err), NACRE_RESOLVE);
    free(lengthy);
    assert_int_equal(fd, -1);
}

/* A listener with a full queue takes no more: the connect hangs, as one to a silent host does. */
static int stuffed_listener(uint16_t *port, int fds[8])
{
    int l = -1;
    assert_int_equal(nacre_net_listen("127.0.0.1", 0, 0, 1, &l, port, NULL), NACRE_OK);
    for (int i = 0; i < 8; i++) {
        nacre_connect_options o;
        nacre_connect_options_init(&o);
        o.timeout_ms = 100;
        fds[i] = -1;
        int rc = nacre_net_connect("127.0.0.1", *port, &o, &fds[i], NULL);
        (void)rc;
    }
    return l;
}

static void test_deadline_and_cancel(void **state)
{
    (void)state;
    uint16_t port = 0;
    int held[8], fd = -1, p[2];
    int l = stuffed_listener(&port, held);
    nacre_error err = {0};
    nacre_connect_options o;
    nacre_connect_options_init(&o);
    o.timeout_ms = 60;
    uint64_t before = nacre_loop_now(NULL);
    assert_int_equal(nacre_net_connect("127.0.0.1", port, &o, &fd, &err), NACRE_TIMEOUT);
    uint64_t took = nacre_loop_now(NULL) - before;
    assert_true(took >= 60 && took < 5000);
    assert_non_null(strstr(err.text, "127.0.0.1"));
    assert_int_equal(nc_fd_pipe(p, true), 0);
    assert_int_equal(write(p[1], "x", 1), 1);
    o.timeout_ms = 0;
    o.cancel_fd = p[0];
    memset(&err, 0, sizeof(err));
    assert_int_equal(nacre_net_connect("127.0.0.1", port, &o, &fd, &err), NACRE_CANCELLED);
    assert_int_equal(fd, -1);
    for (int i = 0; i < 8; i++) {
        nc_fd_close(&held[i]);
    }
    close(p[0]);
    close(p[1]);
    close(l);
}

static void never(void *user, int fd, const nacre_error *why)
{
    (void)fd;
    (void)why;
    *(bool *)user = true;
}

static void test_cancel_in_loop(void **state)
{
    (void)state;
    uint16_t port = 0;
    int l = listener(&port);
    bool called = false;
    nacre_loop *loop = NULL;
    nacre_connecting *c = NULL;
    assert_int_equal(nacre_loop_new(&loop, NULL, NULL), NACRE_OK);
    static const char *const hosts[] = {"127.0.0.1", "localhost"};
    for (int i = 0; i < 2; i++) {
        assert_int_equal(
            nacre_net_connect_start(&c, loop, NULL, hosts[i], port, NULL, never, &called, NULL),
            NACRE_OK);
        nacre_net_connect_cancel(c);
        assert_int_equal(nacre_loop_run_once(loop, 0), NACRE_OK);
        assert_false(called);
    }
    nacre_loop_free(loop);
    close(l);
}

static void test_unix_sockets(void **state)
{
    (void)state;
    char dir[] = "/tmp/nacre-net-XXXXXX", path[64], lengthy[200];
    int l = -1, fd = -1, got = -1;
    uid_t uid = 99;
    nacre_endpoint e;
    struct stat st;
    nacre_error err = {0};
    assert_non_null(mkdtemp(dir));
    (void)snprintf(path, sizeof(path), "%s/s", dir);
    assert_int_equal(nacre_net_connect_unix(path, &fd, &err), NACRE_CONNECT);
    assert_int_equal(nacre_net_listen_unix(path, 0600, false, 0, &l, NULL), NACRE_OK);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    assert_int_equal(nacre_net_connect_unix(path, &fd, NULL), NACRE_OK);
    assert_good_fd(fd);
    got = accept_soon(l);
    assert_int_equal(nacre_net_peer(got, &e), NACRE_OK);
    assert_string_equal(e.address, "UNIX-DOMAIN");
    assert_int_equal(e.port, 65535);
    gid_t gid;
    assert_int_equal(nacre_peer_credentials(got, &uid, &gid), NACRE_OK);
    assert_int_equal(uid, geteuid());
    close(fd);
    close(got);
    close(l);
    assert_int_equal(nacre_net_listen_unix(path, 0600, false, 0, &l, NULL), NACRE_IO);
    assert_int_equal(nacre_net_listen_unix(path, 0600, true, 0, &l, NULL), NACRE_OK);
    close(l);
    memset(lengthy, 'x', sizeof(lengthy) - 1);
    lengthy[sizeof(lengthy) - 1] = '\0';
    assert_int_equal(nacre_net_connect_unix(lengthy, &fd, NULL), NACRE_INVALID_ARGUMENT);
    assert_int_equal(nacre_net_connect_unix("", &fd, NULL), NACRE_INVALID_ARGUMENT);
    unlink(path);
    rmdir(dir);
    assert_int_equal(nacre_net_peer(STDIN_FILENO, &e), NACRE_OK);
}

/* What bind shall do once it has made the file: somebody who may write to the directory is quick. */
static void (*after_bind)(const char *path);

int bind(int fd, const struct sockaddr *sa, socklen_t n)
{
    int rc = (int)syscall(SYS_bind, fd, sa, n);
    if (rc == 0 && after_bind && sa->sa_family == AF_UNIX) {
        after_bind(((const struct sockaddr_un *)sa)->sun_path);
    }
    return rc;
}

static unsigned mode_seen;

static void see_mode(const char *path)
{
    struct stat st;
    assert_int_equal(stat(path, &st), 0);
    mode_seen = st.st_mode & 0777;
}

static void swap_for_link(const char *path)
{
    assert_int_equal(unlink(path), 0);
    assert_int_equal(symlink("target", path), 0);
}

static void swap_for_file(const char *path)
{
    assert_int_equal(unlink(path), 0);
    assert_int_equal(link("target", path), 0);
}

static void remove_it(const char *path)
{
    assert_int_equal(unlink(path), 0);
}

static void test_unix_modes(void **state)
{
    (void)state;
    static const mode_t masks[] = {0, 022, 077, 0777};
    static const unsigned modes[] = {0600, 0660, 0666, 0777, 0};
    static void (*const quick[])(const char *) = {swap_for_link, swap_for_file, remove_it};
    char dir[] = "/tmp/nacre-net-XXXXXX", here[512];
    struct stat st;
    int l = -1;
    assert_non_null(getcwd(here, sizeof(here)));
    assert_non_null(mkdtemp(dir));
    assert_int_equal(chdir(dir), 0);
    mode_t before = umask(0);
    for (size_t m = 0; m < 4; m++) {
        for (size_t i = 0; i < 5; i++) {
            (void)umask(masks[m]);
            after_bind = see_mode;
            assert_int_equal(nacre_net_listen_unix("s", modes[i], false, 0, &l, NULL), NACRE_OK);
            assert_int_equal(umask(masks[m]), masks[m]);
            assert_int_equal(mode_seen & ~modes[i], 0); /* at no moment wider */
            assert_int_equal(stat("s", &st), 0);
            assert_int_equal(st.st_mode & 0777, modes[i]);
            close(l);
            assert_int_equal(unlink("s"), 0);
        }
    }
    /* What was put in its place stays as it is, and nothing listens. */
    (void)umask(077);
    int fd = open("target", O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    close(fd);
    for (size_t i = 0; i < 3; i++) {
        after_bind = quick[i];
        assert_int_equal(nacre_net_listen_unix("s", 0666, false, 0, &l, NULL), NACRE_IO);
        assert_int_equal(l, -1);
        assert_int_equal(stat("target", &st), 0);
        assert_int_equal(st.st_mode & 0777, 0600);
        (void)unlink("s");
    }
    after_bind = NULL;
    (void)umask(before);
    assert_int_equal(unlink("target"), 0);
    assert_int_equal(chdir(here), 0);
    assert_int_equal(rmdir(dir), 0);
}

static void test_interleave(void **state)
{
    (void)state;
    nc_address list[6];
    static const char *const in[] = {"::1", "::2", "::3", "127.0.0.1", "127.0.0.2", "127.0.0.3"};
    static const char *const out[] = {"[::1]:22",     "127.0.0.1:22", "[::2]:22",
                                      "127.0.0.2:22", "[::3]:22",     "127.0.0.3:22"};
    for (int i = 0; i < 6; i++) {
        assert_int_equal(nc_address_parse(in[i], 22, AF_UNSPEC, &list[i]), NACRE_OK);
    }
    nc_addresses_interleave(list, 6);
    for (int i = 0; i < 6; i++) {
        assert_string_equal(nc_address_describe(&list[i]).text, out[i]);
    }
    nc_addresses_interleave(list, 0);
    nc_addresses_interleave(list, 1);
}

static void test_parse(void **state)
{
    (void)state;
    nc_address a;
    static const char *const bad[] = {"",          "host",  "1.2.3",     "1.2.3.4.5", "256.1.1.1",
                                      "1.2.3.4 ",  ":",     "[::1",      "::1]",      "::g",
                                      "1:2:3:4:5", "0x7f1", "[1.2.3.4]", " ::1",      "[]"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_int_equal(nc_address_parse(bad[i], 22, AF_UNSPEC, &a), NACRE_NOT_FOUND);
    }
    assert_int_equal(nc_address_parse("[::1]", 22, AF_UNSPEC, &a), NACRE_OK);
    assert_int_equal(nc_address_parse("::1", 22, AF_INET, &a), NACRE_NOT_FOUND);
    assert_int_equal(nc_address_parse("1.2.3.4", 22, AF_INET6, &a), NACRE_NOT_FOUND);
}

static void test_listen_bad(void **state)
{
    (void)state;
    uint16_t port = 0, again = 0;
    int l = listener(&port), fd = -1;
    nacre_error err = {0};
    assert_int_equal(nacre_net_listen("127.0.0.1", port, 0, 0, &fd, &again, &err), NACRE_IO);
    assert_int_equal(err.detail, EADDRINUSE);
    assert_int_equal(nacre_net_listen("127.0.0.1", 0, 3, 0, &fd, NULL, NULL),
                     NACRE_INVALID_ARGUMENT);
    assert_int_equal(nacre_net_listen("192.0.2.77", 0, 0, 0, &fd, NULL, NULL), NACRE_IO);
    close(l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_connect),
        cmocka_unit_test(test_connect_by_name),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_bad_arguments),
        cmocka_unit_test(test_deadline_and_cancel),
        cmocka_unit_test(test_cancel_in_loop),
        cmocka_unit_test(test_unix_sockets),
        cmocka_unit_test(test_unix_modes),
        cmocka_unit_test(test_interleave),
        cmocka_unit_test(test_parse),
        cmocka_unit_test(test_listen_bad),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
