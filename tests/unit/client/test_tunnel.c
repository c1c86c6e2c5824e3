/* Tunnels: bytes both ways, every way to end, and what is refused. The server sends back what comes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka needs those before it */
#include <cmocka.h>

#include "client_server.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { SOME = 100000 };

static int open_tunnel(stage *s)
{
    int fd = -1;
    assert_int_equal(nacre_client_tunnel(s->c, "there.example", 22, 5000, &fd), NACRE_OK);
    assert_true(fd >= 0);
    assert_int_equal(fcntl(fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
    assert_int_equal(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
    return fd;
}

/* Turns the loop until fd has something to read; 0: its end. */
static size_t wait_for(stage *s, int fd, uint8_t *p, size_t n)
{
    for (int i = 0; i < 10000; i++) {
        ssize_t got = read(fd, p, n);
        if (got >= 0) {
            return (size_t)got;
        }
        assert_true(errno == EAGAIN || errno == EWOULDBLOCK);
        assert_int_equal(nacre_loop_run_once(s->loop, 10), NACRE_OK);
    }
    fail_msg("nothing came");
    return 0;
}

static void exchange(stage *s, int fd, uint8_t first)
{
    static uint8_t out[SOME], in[SOME];
    size_t sent = 0, got = 0;
    for (size_t i = 0; i < SOME; i++) {
        out[i] = (uint8_t)(first + i * 7);
    }
    while (got < SOME) {
        ssize_t n = sent < SOME ? write(fd, out + sent, SOME - sent) : 0;
        sent += n > 0 ? (size_t)n : 0;
        n = read(fd, in + got, SOME - got);
        assert_true(n > 0 || (n < 0 && errno == EAGAIN));
        got += n > 0 ? (size_t)n : 0;
        assert_int_equal(nacre_loop_run_once(s->loop, n > 0 ? 0 : 10), NACRE_OK);
    }
    assert_memory_equal(in, out, SOME);
}

static void test_bytes_both_ways(void **state)
{
    stage s;
    (void)state;
    stage_init(&s);
    stage_login(&s);
    int one = open_tunnel(&s), two = open_tunnel(&s);
    exchange(&s, one, 1);
    exchange(&s, two, 2);
    exchange(&s, one, 3);
    assert_int_equal(s.opens, 2);
    assert_int_equal(s.echoed, 3 * SOME);
    (void)close(one);
    (void)close(two);
    stage_close(&s);
    stage_clear(&s);
}

static void test_our_end_ends_the_other(void **state)
{
    stage s;
    uint8_t byte;
    (void)state;
    stage_init(&s);
    stage_login(&s);
    int one = open_tunnel(&s), two = open_tunnel(&s);
    (void)close(one);
    for (int i = 0; i < 50; i++) {
        assert_int_equal(nacre_loop_run_once(s.loop, 1), NACRE_OK);
    }
    exchange(&s, two, 9); /* the other one goes on */
    /* Half an end: the server closes upon it, and we read the end. */
    assert_int_equal(shutdown(two, SHUT_WR), 0);
    assert_int_equal(wait_for(&s, two, &byte, 1), 0);
    (void)close(two);
    stage_close(&s);
    stage_clear(&s);
}

static void test_a_connection_that_ends(void **state)
{
    stage s;
    uint8_t byte;
    (void)state;
    stage_init(&s);
    stage_login(&s);
    int fd = open_tunnel(&s);
    nacre_driver_close(s.d);
    assert_int_equal(wait_for(&s, fd, &byte, 1), 0);
    int other;
    assert_int_not_equal(nacre_client_tunnel(s.c, "there", 22, 1000, &other), NACRE_OK);
    assert_int_equal(other, -1);
    (void)close(fd);
    stage_close(&s);
    stage_clear(&s);
}

static void test_a_client_that_is_freed(void **state)
{
    stage s;
    uint8_t byte;
    (void)state;
    stage_init(&s);
    stage_login(&s);
    int fd = open_tunnel(&s);
    nacre_client_free(s.c);
    s.c = NULL;
    assert_int_equal(read(fd, &byte, 1), 0);
    (void)close(fd);
    stage_close(&s);
    stage_clear(&s);
}

static void test_what_is_refused(void **state)
{
    static char name[2000];
    stage s;
    int fd = 7;
    (void)state;
    stage_init(&s);
    s.refuse_channels = true;
    stage_login(&s);
    assert_int_equal(nacre_client_tunnel(s.c, "there", 22, 1000, &fd), NACRE_CHANNEL_REFUSED);
    assert_int_equal(fd, -1);
    assert_non_null(strstr(nacre_client_error(s.c)->text, "refused a direct-tcpip channel"));
    assert_null(strchr(nacre_client_error(s.c)->text, '\n'));
    memset(name, 'a', sizeof(name) - 1);
    const char *const bad[] = {NULL, "", name};
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(nacre_client_tunnel(s.c, bad[i], 22, 1000, &fd), NACRE_INVALID_ARGUMENT);
    }
    assert_int_equal(nacre_client_tunnel(s.c, "there", 0, 1000, &fd), NACRE_INVALID_ARGUMENT);
    assert_int_equal(s.opens, 1);
    stage_close(&s);
    stage_clear(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bytes_both_ways),
        cmocka_unit_test(test_our_end_ends_the_other),
        cmocka_unit_test(test_a_connection_that_ends),
        cmocka_unit_test(test_a_client_that_is_freed),
        cmocka_unit_test(test_what_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
