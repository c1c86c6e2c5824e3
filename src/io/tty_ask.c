/*
 * tty_ask.c - asking a person at the terminal, without showing a secret.
 */
#include "io/fd.h"
#include "io/process.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

enum {
    ANSWER_MAX = 8192,
    STOPPED = 1 /* of read_line: a stop signal waits */
};

/*
 * Signals that would end or stop the program while echo is off are blocked meanwhile, and delivered when the
 * terminal is as it was: pending means that one came. Ctrl-C makes the driver of the terminal send one.
 * SIGCONT, which makes a guarded terminal raw again, waits likewise.
 */
static const int ending[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT};
static const int stopping[] = {SIGTSTP, SIGTTIN, SIGTTOU};
enum {
    ENDING = sizeof(ending) / sizeof(ending[0]),
    STOPPING = sizeof(stopping) / sizeof(stopping[0])
};

static void block_signals(sigset_t *old)
{
    sigset_t set;
    sigemptyset(&set);
    for (size_t i = 0; i < ENDING; i++) {
        sigaddset(&set, ending[i]);
    }
    for (size_t i = 0; i < STOPPING; i++) {
        sigaddset(&set, stopping[i]);
    }
    sigaddset(&set, SIGCONT);
    (void)sigprocmask(SIG_BLOCK, &set, old);
}

/* NACRE_OK, NACRE_CANCELLED or STOPPED. */
static int what_came(void)
{
    sigset_t pending;
    if (sigpending(&pending) != 0) {
        return NACRE_OK;
    }
    for (size_t i = 0; i < ENDING; i++) {
        if (sigismember(&pending, ending[i]) == 1) {
            return NACRE_CANCELLED;
        }
    }
    for (size_t i = 0; i < STOPPING; i++) {
        if (sigismember(&pending, stopping[i]) == 1) {
            return STOPPED;
        }
    }
    return NACRE_OK;
}

static int read_line(int fd, char *line, size_t size)
{
    size_t n = 0;
    for (;;) {
        struct pollfd p = {fd, POLLIN, 0};
        int rc = poll(&p, 1, 100);
        int came = what_came();
        if (came != NACRE_OK) {
            return came;
        }
        if (rc == 0 || (rc < 0 && errno == EINTR)) {
            continue;
        }
        char c;
        ssize_t got = nc_fd_read(fd, NC_FD_OTHER, &c, 1);
        if (got < 0 && errno == EAGAIN) {
            continue;
        }
        if (got < 0 && errno == EIO && !nc_tty_in_front(fd) && raise(SIGTTIN) == 0) {
            continue; /* in the background, with that signal blocked: let it have its way */
        }
        if (got <= 0) {
            return got == 0 && n > 0 ? NACRE_OK : NACRE_END;
        }
        if (c == '\n' || c == '\r') {
            line[n] = '\0';
            return NACRE_OK;
        }
        if (n + 1 >= size) {
            return NACRE_TOO_LARGE;
        }
        line[n++] = c;
        line[n] = '\0';
    }
}

static bool hush(int in, bool echo, const struct termios *before)
{
    struct termios quiet = *before;
    bool raw = !(before->c_lflag & ICANON); /* a session goes on that is asked about */
    if (echo && !raw) {
        return false;
    }
    if (raw) {
        quiet.c_iflag |= ICRNL;
        quiet.c_oflag |= OPOST | ONLCR;
        quiet.c_lflag |= ISIG | ICANON | ECHO | ECHOE | ECHOK;
    }
    if (!echo) {
        quiet.c_lflag &= ~(tcflag_t)(ECHO | ECHOE | ECHOK | ECHONL);
    }
    return nc_tty_set(in, TCSAFLUSH, &quiet) == 0;
}

static int ask_once(int in, int out, const char *prompt, bool echo, char *line, size_t size)
{
    struct termios before;
    sigset_t old;
    block_signals(&old);
    bool change = tcgetattr(in, &before) == 0 && hush(in, echo, &before);
    int rc = nc_fd_write_all(out, nc_fd_classify(out), prompt, strlen(prompt)) == 0 ? NACRE_OK
                                                                                    : NACRE_IO;
    if (rc == NACRE_OK) {
        rc = read_line(in, line, size);
    }
    if (change && (!echo || rc == STOPPED)) {
        nc_drop(nc_fd_write_all(out, nc_fd_classify(out), "\n", 1)); /* only for the looks */
    }
    if (change) {
        nc_drop(nc_tty_set(in, TCSANOW, &before)); /* the answer counts, or the failure before */
    }
    (void)sigprocmask(SIG_SETMASK, &old, NULL);
    return rc;
}

/* Whoever was stopped meanwhile is asked again when he comes back. */
static int ask_on(int in, int out, const char *prompt, bool echo, char *line, size_t size)
{
    int rc;
    do {
        if (!nc_tty_in_front(in)) {
            (void)raise(SIGTTOU); /* a background process does not change the terminal */
        }
        nc_wipe(line, size);
        rc = ask_once(in, out, prompt, echo, line, size);
    } while (rc == STOPPED);
    return rc;
}

int nacre_tty_ask(const char *prompt, bool echo, bool use_stdio, char **answer, nacre_error *err)
{
    nc_error_clear(err);
    char line[ANSWER_MAX] = {0};
    *answer = NULL;
    int tty = use_stdio ? -1 : open("/dev/tty", O_RDWR | O_NOCTTY | O_CLOEXEC);
    if (!use_stdio && tty < 0) {
        return nc_fail(err, NACRE_NOT_FOUND, "there is no terminal to ask on");
    }
    int rc = use_stdio ? ask_on(STDIN_FILENO, STDERR_FILENO, prompt, echo, line, sizeof(line))
                       : ask_on(tty, tty, prompt, echo, line, sizeof(line));
    nc_fd_close(&tty);
    if (rc == NACRE_OK && !(*answer = nc_strdup(NULL, line))) {
        rc = NACRE_NO_MEMORY;
    }
    nc_wipe(line, sizeof(line));
    return rc == NACRE_OK ? rc : nc_fail(err, rc, "no answer was given");
}

void nacre_tty_forget(char *answer)
{
    if (answer) {
        nc_wipe_free(NULL, answer, strlen(answer));
    }
}
