/*
 * tty.c - the user's terminal: raw mode and the way back, and asking for a secret.
 */
#include "io/fd.h"
#include "io/process.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

struct nacre_tty {
    int fd;
    volatile sig_atomic_t raw;
    struct termios cooked;
};

enum { ANSWER_MAX = 8192 };

/* A background process that sets a terminal is stopped by SIGTTOU: that is the shell's wish. */
static int set_attributes(int fd, int when, const struct termios *tio)
{
    int rc;
    do {
        rc = tcsetattr(fd, when, tio);
    } while (rc != 0 && errno == EINTR);
    return rc;
}

static int go_raw(const nacre_tty *tty)
{
    struct termios tio = tty->cooked;
    tio.c_iflag |= IGNPAR;
    tio.c_iflag &= ~(tcflag_t)(ISTRIP | INLCR | IGNCR | ICRNL | IXON | IXANY | IXOFF);
#ifdef IUCLC
    tio.c_iflag &= ~(tcflag_t)IUCLC;
#endif
    tio.c_lflag &= ~(tcflag_t)(ISIG | ICANON | ECHO | ECHOE | ECHOK | ECHONL | IEXTEN);
    tio.c_oflag &= ~(tcflag_t)OPOST;
    tio.c_cc[VMIN] = 1;
    tio.c_cc[VTIME] = 0;
    return set_attributes(tty->fd, TCSADRAIN, &tio);
}

int nacre_tty_raw(nacre_tty **out, int fd, nacre_error *err)
{
    nc_error_clear(err);
    *out = NULL;
    nacre_tty *tty = nc_zalloc(NULL, sizeof(*tty));
    if (!tty) {
        return nc_fail(err, NACRE_NO_MEMORY, "no memory for a terminal");
    }
    tty->fd = fd;
    if (tcgetattr(fd, &tty->cooked) != 0 || go_raw(tty) != 0) {
        int why = errno;
        nc_free(NULL, tty);
        return nc_os_fail(err, NACRE_IO, why, "cannot put the terminal into raw mode");
    }
    tty->raw = 1;
    *out = tty;
    return NACRE_OK;
}

void nacre_tty_restore(nacre_tty *tty)
{
    if (tty && tty->raw) {
        int saved = errno;
        tty->raw = 0;
        (void)set_attributes(tty->fd, TCSADRAIN, &tty->cooked);
        errno = saved;
    }
}

int nacre_tty_resume(nacre_tty *tty)
{
    if (tty->raw) {
        return NACRE_OK;
    }
    if (go_raw(tty) != 0) {
        return NACRE_IO;
    }
    tty->raw = 1;
    return NACRE_OK;
}

void nacre_tty_free(nacre_tty *tty)
{
    nacre_tty_restore(tty);
    nc_free(NULL, tty);
}

/* ---- asking ---- */

/*
 * Signals that would end or stop the program while echo is off are blocked meanwhile, and delivered
 * when the terminal is as it was. Ctrl-C makes the driver of the terminal send one, so pending means
 * cancelled.
 */
static void block_signals(sigset_t *set, sigset_t *old)
{
    static const int numbers[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGTSTP, SIGTTIN, SIGTTOU};
    sigemptyset(set);
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        sigaddset(set, numbers[i]);
    }
    (void)sigprocmask(SIG_BLOCK, set, old);
}

static bool interrupted(const sigset_t *set)
{
    sigset_t pending;
    if (sigpending(&pending) != 0) {
        return false;
    }
    for (int signo = 1; signo < 32; signo++) {
        if (sigismember(&pending, signo) == 1 && sigismember(set, signo) == 1) {
            return true;
        }
    }
    return false;
}

static int read_line(int fd, const sigset_t *set, char *line, size_t size)
{
    size_t n = 0;
    for (;;) {
        struct pollfd p = {fd, POLLIN, 0};
        int rc = poll(&p, 1, 100);
        if (interrupted(set)) {
            return NACRE_CANCELLED;
        }
        if (rc == 0 || (rc < 0 && errno == EINTR)) {
            continue;
        }
        char c;
        ssize_t got = nc_fd_read(fd, NC_FD_OTHER, &c, 1);
        if (got < 0 && errno == EAGAIN) {
            continue;
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

static int ask_on(int in, int out, const char *prompt, bool echo, char *line, size_t size)
{
    struct termios before, quiet;
    sigset_t set, old;
    bool known = tcgetattr(in, &before) == 0;
    bool raw = known && !(before.c_lflag & ICANON); /* a session goes on that is asked about */
    bool change = known && (raw || !echo);
    block_signals(&set, &old);
    if (change) {
        quiet = before;
        if (raw) {
            quiet.c_iflag |= ICRNL;
            quiet.c_oflag |= OPOST | ONLCR;
            quiet.c_lflag |= ISIG | ICANON | ECHO | ECHOE | ECHOK;
        }
        if (!echo) {
            quiet.c_lflag &= ~(tcflag_t)(ECHO | ECHOE | ECHOK | ECHONL);
        }
        change = set_attributes(in, TCSAFLUSH, &quiet) == 0;
    }
    int rc = NACRE_OK;
    if (nc_fd_write_all(out, nc_fd_classify(out), prompt, strlen(prompt)) != 0) {
        rc = NACRE_IO;
    }
    if (rc == NACRE_OK) {
        rc = read_line(in, &set, line, size);
    }
    if (change && !echo) {
        (void)nc_fd_write_all(out, nc_fd_classify(out), "\n", 1);
    }
    if (change) {
        (void)set_attributes(in, TCSANOW, &before);
    }
    (void)sigprocmask(SIG_SETMASK, &old, NULL);
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
