/*
 * signal_names.c - signals by the names of RFC 4254 section 6.10.
 */
#include "io/process.h"

#include "base/mem.h"

#include <errno.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

typedef struct signal_row {
    const char *name;
    int number;
} signal_row;

static const signal_row rows[] = {
    {"ABRT", SIGABRT},
    {"ALRM", SIGALRM},
    {"FPE", SIGFPE},
    {"HUP", SIGHUP},
    {"ILL", SIGILL},
    {"INT", SIGINT},
    {"KILL", SIGKILL},
    {"PIPE", SIGPIPE},
    {"QUIT", SIGQUIT},
    {"SEGV", SIGSEGV},
    {"TERM", SIGTERM},
    {"USR1", SIGUSR1},
    {"USR2", SIGUSR2},
#ifdef SIGINFO
    {"INFO@openssh.com", SIGINFO},
#endif
};

enum { ROWS = sizeof(rows) / sizeof(rows[0]) };

const char *nacre_signal_name(int signo)
{
    for (size_t i = 0; i < ROWS; i++) {
        if (rows[i].number == signo) {
            return rows[i].name;
        }
    }
    return NULL;
}

int nacre_signal_number(nacre_span name)
{
    for (size_t i = 0; i < ROWS; i++) {
        if (nc_span_is(name, rows[i].name)) {
            return rows[i].number;
        }
    }
    return 0;
}

int nacre_process_signal(pid_t pid, const char *name)
{
    int signo = nacre_signal_number(nc_span_cstr(name));
    if (signo == 0) {
        return NACRE_UNKNOWN_NAME;
    }
    if (pid <= 1) { /* kill(2) would mean somebody else by these */
        return NACRE_INVALID_ARGUMENT;
    }
    pid_t to = getpgid(pid) == pid ? -pid : pid;
    if (kill(to, signo) == 0) {
        return NACRE_OK;
    }
    return errno == ESRCH ? NACRE_NOT_FOUND : NACRE_IO;
}

bool nc_wait_core_dumped(int wait_status)
{
#ifdef WCOREDUMP
    return WIFSIGNALED(wait_status) && WCOREDUMP(wait_status);
#else
    (void)wait_status;
    return false;
#endif
}
