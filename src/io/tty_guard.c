/*
 * tty_guard.c - a raw terminal is put back whatever ends or stops the process, and is raw again when it goes on.
 *
 * Dispositions, exit functions and the terminal belong to the process, so this one variable does, too. What
 * handlers call is async-signal-safe: tcsetattr, sigaction, sigprocmask, raise.
 */
#include "io/fd.h"
#include "io/process.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

/* Those that end a process by default. SIGKILL does too, and cannot be seen. */
static const int deadly[] = {SIGHUP,  SIGINT,  SIGQUIT, SIGILL,  SIGTRAP,  SIGABRT, SIGBUS,
                             SIGFPE,  SIGUSR1, SIGSEGV, SIGUSR2, SIGPIPE,  SIGALRM, SIGTERM,
                             SIGXCPU, SIGXFSZ, SIGSYS,  SIGPROF, SIGVTALRM};
enum { DEADLY = sizeof(deadly) / sizeof(deadly[0]) };

static _Atomic(nacre_tty *) guarded;
static atomic_int process; /* whose terminal it is: a fork inherits the rest */

static nacre_tty *mine(void)
{
    return atomic_load(&process) == (int)getpid() ? atomic_load(&guarded) : NULL;
}

static void put_back(nacre_tty *tty)
{
    if (tty && tty->raw) {
        tty->raw = 0;
        /* A terminal that drains no more must not hold us; one that is gone needs nothing. */
        nc_drop(nc_tty_set(tty->fd, TCSANOW, &tty->cooked));
    }
}

static void at_exit(void)
{
    put_back(mine());
}

/* The disposition is the default again (SA_RESETHAND), and the signal comes once more after this. */
static void on_deadly(int signo)
{
    int saved = errno;
    put_back(mine());
    (void)raise(signo);
    errno = saved;
}

/* After SIGSTOP the terminal is what the shell has made of it, whatever we think. */
static void on_continue(int signo)
{
    int saved = errno;
    nacre_tty *tty = mine();
    (void)signo;
    if (tty && (tty->raw || tty->stopped)) {
        bool front = nc_tty_in_front(tty->fd);
        tty->raw = front && nc_tty_go_raw(tty) == 0;
        tty->stopped = !tty->raw;
        if (front) {
            (void)raise(SIGWINCH);
        }
    }
    errno = saved;
}

static void on_stop(int signo)
{
    int saved = errno;
    struct sigaction ours, usual = {.sa_handler = SIG_DFL};
    sigset_t set, before;
    nacre_tty *tty = mine();
    bool was_raw = tty && tty->raw;
    put_back(tty);
    if (was_raw) {
        tty->stopped = 1;
    }
    sigemptyset(&usual.sa_mask);
    sigemptyset(&set);
    sigaddset(&set, signo);
    (void)sigaction(signo, &usual, &ours);
    (void)raise(signo);
    (void)pthread_sigmask(SIG_UNBLOCK, &set, &before); /* stops here, and goes on here */
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    (void)sigaction(signo, &ours, NULL);
    if (tty && tty->stopped) {
        on_continue(SIGCONT); /* nobody stops a process that has no shell to go on for */
    }
    errno = saved;
}

/* Takes a signal that nobody has taken. */
static void take(int signo, void (*handler)(int), int flags)
{
    struct sigaction now, sa = {.sa_handler = handler, .sa_flags = flags};
    if (sigaction(signo, NULL, &now) == 0 && !(now.sa_flags & SA_SIGINFO) &&
        now.sa_handler == SIG_DFL) {
        sigemptyset(&sa.sa_mask);
        (void)sigaction(signo, &sa, NULL);
    }
}

static void give_back(int signo, void (*handler)(int))
{
    struct sigaction now, usual = {.sa_handler = SIG_DFL};
    if (sigaction(signo, NULL, &now) == 0 && !(now.sa_flags & SA_SIGINFO) &&
        now.sa_handler == handler) {
        sigemptyset(&usual.sa_mask);
        (void)sigaction(signo, &usual, NULL);
    }
}

int nacre_tty_guard(nacre_tty *tty, nacre_error *err)
{
    static atomic_bool at_exit_is_set;
    nacre_tty *nobody = NULL;
    nc_error_clear(err);
    if (!tty) {
        return nc_fail(err, NACRE_INVALID_ARGUMENT, "there is no terminal to guard");
    }
    if (tty->guarded) {
        return NACRE_OK;
    }
    if (atomic_load(&guarded) && atomic_load(&process) != (int)getpid()) {
        atomic_store(&guarded, NULL); /* the parent's */
    }
    if (!atomic_exchange(&at_exit_is_set, true) && atexit(at_exit) != 0) {
        atomic_store(&at_exit_is_set, false);
        return nc_fail(err, NACRE_NO_MEMORY, "no memory to guard a terminal");
    }
    if (!atomic_compare_exchange_strong(&guarded, &nobody, tty)) {
        return nc_fail(err, NACRE_EXISTS, "another terminal of this process is guarded");
    }
    tty->guarded = true;
    atomic_store(&process, (int)getpid());
    for (size_t i = 0; i < DEADLY; i++) {
        take(deadly[i], on_deadly, (int)SA_RESETHAND);
    }
    take(SIGTSTP, on_stop, SA_RESTART);
    take(SIGCONT, on_continue, SA_RESTART);
    return NACRE_OK;
}

void nc_tty_unguard(nacre_tty *tty)
{
    if (mine() == tty) {
        for (size_t i = 0; i < DEADLY; i++) {
            give_back(deadly[i], on_deadly);
        }
        give_back(SIGTSTP, on_stop);
        give_back(SIGCONT, on_continue);
        atomic_store(&guarded, NULL);
    }
    tty->guarded = false;
}
