/*
 * test_tty.c - a raw terminal is put back whatever ends or stops a process. The processes are children with a
 * pseudo-terminal of their own; the terminal is looked at from here.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "io/fd.h"
#include "io/process.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#if __has_include(<valgrind/valgrind.h>)
#include <valgrind/valgrind.h>
#else
#define RUNNING_ON_VALGRIND 0
#endif

typedef struct terminal {
    int master, slave;
    struct termios before;
} terminal;

static terminal make_terminal(void)
{
    terminal t = {.master = -1, .slave = -1};
    nacre_pty size = {.columns = 80, .rows = 25};
    char name[64];
    assert_int_equal(nc_pty_open(&size, NULL, &t.master, &t.slave, name, sizeof(name), NULL),
                     NACRE_OK);
    assert_int_equal(tcgetattr(t.slave, &t.before), 0);
    return t;
}

static void end_terminal(terminal *t)
{
    nc_fd_close(&t->slave);
    nc_fd_close(&t->master);
}

static bool is_raw(int fd)
{
    struct termios now;
    return tcgetattr(fd, &now) == 0 && !(now.c_lflag & (ICANON | ECHO | ISIG));
}

static bool is_restored(const terminal *t)
{
    struct termios now;
    return tcgetattr(t->slave, &now) == 0 && now.c_iflag == t->before.c_iflag &&
           now.c_oflag == t->before.c_oflag && now.c_lflag == t->before.c_lflag;
}

/* What a child does with the terminal; its result is the exit status. */
typedef int (*child_fn)(const terminal *t, int signo);

static int run_child(const terminal *t, child_fn fn, int signo)
{
    int status = 0;
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        struct rlimit none = {0, 0};
        (void)setrlimit(RLIMIT_CORE, &none);
        (void)setsid();
        (void)ioctl(t->slave, TIOCSCTTY, 0);
        _exit(fn(t, signo));
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return status;
}

static nacre_tty *go_raw(const terminal *t)
{
    nacre_tty *tty = NULL;
    if (nacre_tty_raw(&tty, t->slave, NULL) != NACRE_OK || nacre_tty_guard(tty, NULL) != NACRE_OK) {
        _exit(99);
    }
    return tty;
}

static int die_of(const terminal *t, int signo)
{
    (void)go_raw(t);
    if (!is_raw(t->slave)) {
        return 98;
    }
    (void)kill(getpid(), signo);
    return 97;
}

static void test_deadly_signals(void **state)
{
    static const int signals[] = {SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGALRM, SIGSEGV, SIGABRT,
                                  SIGBUS, SIGFPE, SIGUSR1, SIGUSR2, SIGPIPE, SIGXCPU, SIGILL};
    (void)state;
    for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++) {
        struct sigaction now;
        if (sigaction(signals[i], NULL, &now) != 0 || now.sa_handler != SIG_DFL) {
            continue; /* a sanitizer's */
        }
        terminal t = make_terminal();
        int status = run_child(&t, die_of, signals[i]);
        assert_true(WIFSIGNALED(status)); /* whoever waits sees what it was */
        assert_int_equal(WTERMSIG(status), signals[i]);
        assert_true(is_restored(&t));
        end_terminal(&t);
    }
}

static int exit_raw(const terminal *t, int signo)
{
    (void)signo;
    (void)go_raw(t);
    exit(is_raw(t->slave) ? 5 : 98);
}

static int abort_raw(const terminal *t, int signo)
{
    (void)signo;
    (void)go_raw(t);
    abort();
}

static void test_exit_and_abort(void **state)
{
    (void)state;
    terminal t = make_terminal();
    int status = run_child(&t, exit_raw, 0);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 5);
    assert_true(is_restored(&t));
    status = run_child(&t, abort_raw, 0);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
    assert_true(is_restored(&t));
    end_terminal(&t);
}

static volatile sig_atomic_t seen;

static void note(int signo)
{
    seen = signo;
}

/* What the program handles or ignores stays its own; what was taken is given back. */
static int keeps_dispositions(const terminal *t, int signo)
{
    struct sigaction now;
    (void)signo;
    (void)signal(SIGUSR1, note);
    (void)signal(SIGPIPE, SIG_IGN);
    nacre_tty *tty = go_raw(t);
    (void)raise(SIGUSR1);
    (void)raise(SIGPIPE);
    if (seen != SIGUSR1 || !is_raw(t->slave)) {
        return 1;
    }
    (void)signal(SIGTERM, note); /* afterwards */
    nacre_tty_free(tty);
    if (!is_restored(t) || sigaction(SIGHUP, NULL, &now) != 0 || now.sa_handler != SIG_DFL) {
        return 2;
    }
    if (sigaction(SIGCONT, NULL, &now) != 0 || now.sa_handler != SIG_DFL) {
        return 3;
    }
    if (sigaction(SIGTERM, NULL, &now) != 0 || now.sa_handler != note) {
        return 4;
    }
    tty = go_raw(t); /* once more */
    (void)raise(SIGHUP);
    return 5;
}

static void test_dispositions(void **state)
{
    (void)state;
    terminal t = make_terminal();
    int status = run_child(&t, keeps_dispositions, 0);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGHUP);
    assert_true(is_restored(&t));
    end_terminal(&t);
}

static int only_one(const terminal *t, int signo)
{
    nacre_tty *other = NULL;
    nacre_error why = {0};
    (void)signo;
    nacre_tty *tty = go_raw(t);
    if (nacre_tty_guard(tty, NULL) != NACRE_OK) {
        return 1; /* twice is once */
    }
    if (nacre_tty_raw(&other, t->slave, NULL) != NACRE_OK ||
        nacre_tty_guard(other, &why) != NACRE_EXISTS || !why.text[0]) {
        return 2;
    }
    nacre_tty_free(other);
    if (nacre_tty_guard(NULL, &why) != NACRE_INVALID_ARGUMENT) {
        return 3;
    }
    /* A child that ends does nothing to the terminal. */
    pid_t pid = fork();
    if (pid == 0) {
        exit(0);
    }
    if (waitpid(pid, NULL, 0) != pid || !is_raw(t->slave)) {
        return 4;
    }
    nacre_tty_free(tty);
    return is_restored(t) ? 0 : 5;
}

static void test_one_at_a_time(void **state)
{
    (void)state;
    terminal t = make_terminal();
    assert_int_equal(run_child(&t, only_one, 0), 0);
    end_terminal(&t);
}

/* ---- job control: a shell, and a job that is stopped and goes on ---- */

static int job(const terminal *t)
{
    (void)setpgid(0, 0);
    (void)signal(SIGTTOU, SIG_IGN);
    (void)tcsetpgrp(t->slave, getpid());
    (void)signal(SIGTTOU, SIG_DFL);
    (void)signal(SIGWINCH, note);
    nacre_tty *tty = go_raw(t);
    (void)raise(SIGTSTP);
    if (seen != SIGWINCH || !is_raw(t->slave)) {
        return 1;
    }
    (void)raise(SIGSTOP); /* nobody can put it back before */
    if (!is_raw(t->slave)) {
        return 2;
    }
    (void)raise(SIGTSTP); /* and now it goes on in the background */
    if (is_raw(t->slave) || nacre_tty_resume(tty) != NACRE_OK || is_raw(t->slave)) {
        return 3;
    }
    (void)raise(SIGSTOP);
    if (!is_raw(t->slave)) {
        return 4;
    }
    nacre_tty_free(tty);
    return 0;
}

static bool waits_stopped(pid_t pid)
{
    int status = 0;
    return waitpid(pid, &status, WUNTRACED) == pid && WIFSTOPPED(status);
}

static int shell(const terminal *t, int signo)
{
    int status = 0;
    (void)signo;
    (void)signal(SIGTTOU, SIG_IGN);
    pid_t pid = fork();
    if (pid == 0) {
        _exit(job(t));
    }
    if (!waits_stopped(pid) || !is_restored(t)) {
        return 51;
    }
    (void)kill(pid, SIGCONT);
    if (!waits_stopped(pid) || !is_raw(t->slave)) {
        return 52;
    }
    (void)tcsetattr(t->slave, TCSANOW, &t->before);
    (void)kill(pid, SIGCONT);
    if (!waits_stopped(pid) || !is_restored(t)) {
        return 53;
    }
    (void)tcsetpgrp(t->slave, getpgrp());
    (void)kill(pid, SIGCONT);
    if (!waits_stopped(pid) || !is_restored(t)) {
        return 54;
    }
    (void)tcsetpgrp(t->slave, pid);
    (void)kill(pid, SIGCONT);
    (void)waitpid(pid, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 55;
}

static void test_job_control(void **state)
{
    (void)state;
    if (RUNNING_ON_VALGRIND) {
        /* valgrind stops and goes on by itself, and asks for the signals in between in its own time. */
        print_message("job control is tried without valgrind only\n");
        return;
    }
    terminal t = make_terminal();
    assert_int_equal(run_child(&t, shell, 0), 0);
    assert_true(is_restored(&t));
    end_terminal(&t);
}

/* Without a shell that could make it go on, a process does not stop, and stays raw. */
static int orphan(const terminal *t, int signo)
{
    (void)signo;
    nacre_tty *tty = go_raw(t);
    (void)raise(SIGTSTP);
    bool raw = is_raw(t->slave);
    nacre_tty_free(tty);
    return raw ? 0 : 1;
}

static void test_orphan(void **state)
{
    (void)state;
    terminal t = make_terminal();
    assert_int_equal(run_child(&t, orphan, 0), 0);
    end_terminal(&t);
}

/* ---- asking ---- */

static int ask(const terminal *t, int signo)
{
    char *answer = NULL;
    (void)signo;
    (void)t;
    int rc = nacre_tty_ask("Word: ", false, false, &answer, NULL);
    bool good = rc == NACRE_OK && strcmp(answer, "secret") == 0;
    nacre_tty_forget(answer);
    return good ? 0 : rc == NACRE_CANCELLED ? 1 : 2;
}

static void expect(int fd, const char *text)
{
    char got[256] = "";
    size_t n = 0;
    while (!strstr(got, text)) {
        ssize_t some = read(fd, got + n, sizeof(got) - 1 - n);
        assert_true(some > 0);
        n += (size_t)some;
        got[n] = '\0';
    }
}

static void ask_and_type(const char *typed, int want)
{
    terminal t = make_terminal();
    int status = 0;
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        (void)setsid();
        (void)ioctl(t.slave, TIOCSCTTY, 0);
        _exit(ask(&t, 0));
    }
    expect(t.master, "Word: ");
    assert_false(is_restored(&t)); /* no echo */
    assert_int_equal(write(t.master, typed, strlen(typed)), (ssize_t)strlen(typed));
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(is_restored(&t));
    if (want < 0) {
        assert_true(WIFSIGNALED(status));
        assert_int_equal(WTERMSIG(status), -want);
    } else {
        assert_true(WIFEXITED(status));
        assert_int_equal(WEXITSTATUS(status), want);
    }
    end_terminal(&t);
}

static void test_asking(void **state)
{
    (void)state;
    ask_and_type("secret\n", 0);
    ask_and_type("secrex\177t\n", 0);
    ask_and_type("other\n", 2);
    ask_and_type("\004", 2);
    ask_and_type("sec\003", -SIGINT);
    ask_and_type("sec\034", -SIGQUIT);
}

static int ask_nowhere(const terminal *t, int signo)
{
    char *answer = NULL;
    (void)t;
    (void)signo;
    (void)setsid();
    return nacre_tty_ask("Word: ", false, false, &answer, NULL) == NACRE_NOT_FOUND && !answer ? 0
                                                                                              : 1;
}

static void test_no_terminal(void **state)
{
    int status = 0;
    (void)state;
    pid_t pid = fork();
    if (pid == 0) {
        _exit(ask_nowhere(NULL, 0));
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}

int main(void)
{
    /* Who starts tests in the background may have them ignored. */
    (void)signal(SIGINT, SIG_DFL);
    (void)signal(SIGQUIT, SIG_DFL);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_deadly_signals), cmocka_unit_test(test_exit_and_abort),
        cmocka_unit_test(test_dispositions),   cmocka_unit_test(test_one_at_a_time),
        cmocka_unit_test(test_job_control),    cmocka_unit_test(test_orphan),
        cmocka_unit_test(test_asking),         cmocka_unit_test(test_no_terminal),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
