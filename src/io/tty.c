/*
 * tty.c - the user's terminal: raw mode and the way back.
 */
#include "io/fd.h"
#include "io/process.h"

#include <errno.h>
#include <unistd.h>

/* A background process that sets a terminal is stopped by SIGTTOU: that is the shell's wish. */
int nc_tty_set(int fd, int when, const struct termios *tio)
{
    int rc;
    do {
        rc = tcsetattr(fd, when, tio);
    } while (rc != 0 && errno == EINTR);
    return rc;
}

bool nc_tty_in_front(int fd)
{
    pid_t front = tcgetpgrp(fd);
    return front <= 0 || front == getpgrp();
}

int nc_tty_go_raw(const nacre_tty *tty)
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
    return nc_tty_set(tty->fd, TCSADRAIN, &tio);
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
    if (tcgetattr(fd, &tty->cooked) != 0 || nc_tty_go_raw(tty) != 0) {
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
    if (tty) {
        tty->stopped = 0;
    }
    if (tty && tty->raw) {
        int saved = errno;
        tty->raw = 0;
        nc_drop(nc_tty_set(tty->fd, TCSADRAIN, &tty->cooked)); /* it may be gone: then so be it */
        errno = saved;
    }
}

int nacre_tty_resume(nacre_tty *tty)
{
    if (tty->raw) {
        return NACRE_OK;
    }
    if (tty->guarded && !nc_tty_in_front(tty->fd)) {
        tty->stopped = 1;
        return NACRE_OK;
    }
    if (nc_tty_go_raw(tty) != 0) {
        return NACRE_IO;
    }
    tty->raw = 1;
    return NACRE_OK;
}

void nacre_tty_free(nacre_tty *tty)
{
    nacre_tty_restore(tty);
    if (tty && tty->guarded) {
        nc_tty_unguard(tty);
    }
    nc_free(NULL, tty);
}
