/*
 * The operating system as it is on a bad day (support/os_faults.h): reads and writes that take a little, are
 * interrupted or not ready, each call failing in turn (ECONNRESET, ENOSPC, EMFILE, EIO), and a server that is out of
 * descriptors. Programs, SFTP, scp, forwardings and an agent between a server and a client in one loop: nothing is
 * lost in pieces, and what did not get to its end does not pass for whole.
 */
#include "world.h"

#include "base/mem.h"
#include "nacre/net.h"
#include "support/house.h"
#include "support/memory.h"
#include "support/os_faults.h"

#include <dirent.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { PATIENCE_MS = 20000, PAYLOAD = 3000 };

/* ---- a session -------------------------------------------------------------------------------------- */

static nacre_verdict run_cat(void *user, nacre_server_conn *c, const nacre_event *ev)
{
    char sh[] = "sh", flag[] = "-c", command[] = "cat; exit 3";
    char *argv[] = {sh, flag, command, NULL};
    nacre_spawn_options o;
    nacre_error err = {0};
    (void)user;
    nacre_spawn_options_init(&o);
    o.program = "/bin/sh";
    o.argv = argv;
    o.envp = nacre_server_session_env(c, ev->channel);
    o.new_session = true;
    int rc = nacre_server_spawn(c, ev->channel, &o, NULL, &err);
    return rc == NACRE_OK ? NACRE_ACCEPT : NACRE_REFUSE;
}

/* Until *what is 1 or the connection is over: true for the former. */
static bool reached(world *w, const peer *p, const int *what)
{
    uint64_t end = nacre_loop_now(w->loop) + PATIENCE_MS;
    while (*what < 1 && !p->over && p->failed + p->no + p->auth_failed == 0) {
        assert_true(nacre_loop_now(w->loop) < end);
        int rc = nacre_loop_run_once(w->loop, 50);
        assert_true(rc == NACRE_OK || os_fault.failed); /* poll(2) itself */
    }
    return *what >= 1;
}

static void session(world *w, peer *p)
{
    static char text[PAYLOAD];
    nacre_channel *ch = NULL;
    size_t took = 0;
    memset(text, 'x', sizeof(text));
    if (nacre_transport_auth_none(p->t, "alice") != NACRE_OK) {
        return;
    }
    nacre_driver_kick(p->d);
    if (!reached(w, p, &p->auth_ok) || nacre_channel_open_session(p->t, &ch) != NACRE_OK) {
        return;
    }
    nacre_driver_kick(p->d);
    if (!reached(w, p, &p->opened) ||
        nacre_channel_exec(ch, nc_span_cstr("cat"), true) != NACRE_OK ||
        nacre_channel_write(ch, NACRE_STDOUT, text, sizeof(text), &took) != NACRE_OK ||
        nacre_channel_eof(ch) != NACRE_OK) {
        return;
    }
    nacre_driver_kick(p->d);
    (void)reached(w, p, &p->closed);
}

static void torn_to_pieces(void **state)
{
    world *w = *state;
    w->cfg.callbacks.auth_none = world_yes;
    w->cfg.callbacks.exec = run_cat;
    world_start(w);
    for (unsigned i = 0; i < 20; i++) {
        os_faults_tear(i);
        peer *p = world_join(w);
        session(w, p);
        os_faults_end();
        assert_int_equal(p->closed, 1);
        assert_int_equal(p->exit_status, 3);
        assert_int_equal(p->n, PAYLOAD);
        world_leave(p);
    }
}

static void each_call_fails(void **state)
{
    world *w = *state;
    unsigned long n = 1;
    bool through = false;
    w->cfg.callbacks.auth_none = world_yes;
    w->cfg.callbacks.exec = run_cat;
    world_start(w);
    while (!through) {
        peer *p = world_join(w);
        os_faults_begin(n);
        session(w, p);
        os_faults_end();
        through = !os_fault.failed;
        /* Whatever came of it, nothing came that was not sent. */
        assert_true(p->n <= PAYLOAD);
        for (size_t i = 0; i < p->n; i++) {
            assert_int_equal(p->out[i], 'x');
        }
        if (through) {
            assert_int_equal(p->exit_status, 3);
            assert_int_equal(p->n, PAYLOAD);
        }
        world_leave(p);
        n++;
        assert_true(n < 1000);
    }
    assert_true(n > 15);
}

static void out_of_descriptors(void **state)
{
    world *w = *state;
    nacre_error err = {0};
    uint16_t port = 0;
    int fd = -1;
    char banner[4] = "";
    world_start(w);
    assert_int_equal(nacre_server_listen(w->server, "127.0.0.1", 0, &port, &err), NACRE_OK);
    os_faults_begin(0);
    os_fault.accept_fails = 3;
    assert_int_equal(nacre_net_connect("127.0.0.1", port, NULL, &fd, &err), NACRE_OK);
    uint64_t end = nacre_loop_now(w->loop) + PATIENCE_MS;
    while (recv(fd, banner, sizeof(banner), MSG_DONTWAIT | MSG_PEEK) < 4) {
        assert_true(nacre_loop_now(w->loop) < end);
        assert_int_equal(nacre_loop_run_once(w->loop, 50), NACRE_OK);
    }
    os_faults_end();
    assert_int_equal(os_fault.accept_fails, 0);
    assert_memory_equal(banner, "SSH-", 4);
    close(fd);
}

/* ---- whole sessions ------------------------------------------------------------------------------------- */

static unsigned open_descriptors(void)
{
    unsigned n = 0;
    DIR *d = opendir("/proc/self/fd");
    assert_non_null(d);
    while (readdir(d)) {
        n++;
    }
    closedir(d);
    return n;
}

static house h;

static int build(void **state)
{
    (void)state;
    house_build(&h);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    house_tear_down(&h);
    return 0;
}

/* Neither memory nor descriptors stay, and what was said to be done is done. */
static int whole_session(const house_work *w, unsigned long fail_at, uint64_t seed)
{
    test_memory m[2];
    unsigned before = open_descriptors();
    for (int who = 0; who < 2; who++) {
        test_memory_init(&m[who]);
        h.memory[who] = &m[who].hooks;
    }
    if (fail_at) {
        os_faults_begin(fail_at);
    } else {
        os_faults_tear(seed);
    }
    int rc = house_open(&h);
    rc = rc == NACRE_OK ? w->fn(&h) : rc;
    os_faults_end();
    house_close(&h);
    /* A program may close its input at any time, and what it makes of that is its own. */
    bool input = w->fn == house_program && os_fault.failed && strcmp(os_fault.failed, "write") == 0;
    if (h.broken[0] && !input) {
        fail_msg("%s, %s fails (call %lu): %s", w->name, os_fault.failed, os_fault.fail_at,
                 h.broken);
    }
    if (open_descriptors() != before || m[0].live != 0 || m[1].live != 0) {
        fail_msg("%s, %s fails (call %lu): %u descriptors for %u, %ld and %ld blocks", w->name,
                 os_fault.failed, os_fault.fail_at, open_descriptors(), before, m[0].live,
                 m[1].live);
    }
    return rc;
}

static void nothing_is_lost_in_pieces(void **state)
{
    (void)state;
    for (size_t i = 0; i < house_work_count; i++) {
        for (unsigned seed = 0; seed < 10; seed++) {
            int rc = whole_session(&house_works[i], 0, seed * 7919 + 1);
            if (rc != NACRE_OK) {
                fail_msg("%s, seed %u: %d", house_works[i].name, seed, rc);
            }
        }
    }
}

static void nothing_passes_for_whole(void **state)
{
    const bool said = true;
    (void)state;
    h.impatient = &said;
    for (size_t i = 0; i < house_work_count; i++) {
        unsigned long n = 1, ended = 0;
        do {
            int rc = whole_session(&house_works[i], n++, 0);
            ended += rc != NACRE_OK;
            if (rc != NACRE_OK && !os_fault.failed) {
                fail_msg("%s: %d, and nothing had failed", house_works[i].name, rc);
            }
            assert_true(n < 5000);
        } while (os_fault.failed);
        print_message("%s: %lu calls, %lu sessions ended by one\n", house_works[i].name, n - 2,
                      ended);
        assert_true(ended > 10);
    }
    h.impatient = NULL;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_WORLD(torn_to_pieces),
        WITH_WORLD(each_call_fails),
        WITH_WORLD(out_of_descriptors),
        cmocka_unit_test_setup_teardown(nothing_is_lost_in_pieces, build, tear_down),
        cmocka_unit_test_setup_teardown(nothing_passes_for_whole, build, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
