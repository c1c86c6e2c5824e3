/*
 * signals.c - signal handlers that only note the signal and wake a loop through its pipe. Dispositions
 * belong to the process, so this one table does too: the library's only state outside of objects.
 */
#include "io/fd.h"
#include "io/loop.h"

#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <unistd.h>

typedef struct claim {
    _Atomic(nacre_loop *) owner;
    atomic_int process; /* the owner's: a fork inherits this table, but none of the loops in it */
    atomic_int wake_fd;
    atomic_int arrived;
    struct sigaction before;
} claim;

static claim claims[NC_SIGNAL_MAX];

static void on_signal(int signo)
{
    if (signo <= 0 || signo >= NC_SIGNAL_MAX) {
        return;
    }
    int saved = errno;
    atomic_store(&claims[signo].arrived, 1);
    int fd = atomic_load(&claims[signo].wake_fd);
    if (fd >= 0 && atomic_load(&claims[signo].process) == (int)getpid()) {
        /* A full pipe wakes the loop as well. */
        ssize_t ignored = write(fd, "s", 1);
        (void)ignored;
    }
    errno = saved;
}

int nc_signals_claim(nacre_loop *loop, int signo, int wake_fd, nacre_error *err)
{
    if (signo <= 0 || signo >= NC_SIGNAL_MAX) {
        return nc_fail(err, NACRE_INVALID_ARGUMENT, "there is no signal %d", signo);
    }
    claim *c = &claims[signo];
    nacre_loop *nobody = NULL;
    bool inherited = atomic_load(&c->owner) && atomic_load(&c->process) != (int)getpid();
    if (inherited) {
        /* What the parent found is still what is to be restored; its pipe is not ours to wake. */
        (void)sigaction(signo, &c->before, NULL);
        atomic_store(&c->wake_fd, -1);
        atomic_store(&c->owner, NULL);
    }
    if (!atomic_compare_exchange_strong(&c->owner, &nobody, loop)) {
        return nobody == loop
                   ? NACRE_OK
                   : nc_fail(err, NACRE_EXISTS, "signal %d is handled by another loop", signo);
    }
    atomic_store(&c->arrived, 0);
    atomic_store(&c->process, (int)getpid());
    atomic_store(&c->wake_fd, wake_fd);
    struct sigaction sa = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
    sigemptyset(&sa.sa_mask);
    if (signo == SIGCHLD) {
        sa.sa_flags |= SA_NOCLDSTOP;
    }
    if (sigaction(signo, &sa, &c->before) != 0) {
        int why = errno;
        atomic_store(&c->wake_fd, -1);
        atomic_store(&c->owner, NULL);
        return nc_os_fail(err, NACRE_INVALID_ARGUMENT, why, "cannot handle signal %d", signo);
    }
    return NACRE_OK;
}

void nc_signals_release(nacre_loop *loop, int signo)
{
    if (signo <= 0 || signo >= NC_SIGNAL_MAX || atomic_load(&claims[signo].owner) != loop) {
        return;
    }
    claim *c = &claims[signo];
    (void)sigaction(signo, &c->before, NULL);
    atomic_store(&c->wake_fd, -1);
    atomic_store(&c->owner, NULL);
}

bool nc_signals_take(int signo)
{
    return atomic_exchange(&claims[signo].arrived, 0) != 0;
}
