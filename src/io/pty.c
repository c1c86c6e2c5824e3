/*
 * pty.c - opening a pseudo-terminal, and sizes of terminals.
 */
#include "io/fd.h"
#include "io/process.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

static unsigned short cap(uint32_t v)
{
    return v > 0xffff ? 0xffff : (unsigned short)v;
}

int nacre_pty_resize(int master, const nacre_pty *size)
{
    struct winsize ws = {.ws_row = cap(size->rows),
                         .ws_col = cap(size->columns),
                         .ws_xpixel = cap(size->width_px),
                         .ws_ypixel = cap(size->height_px)};
    return ioctl(master, TIOCSWINSZ, &ws) == 0 ? NACRE_OK : NACRE_IO;
}

int nacre_pty_break(int master)
{
    struct termios tio;
    static const char zero[1] = {0};
    if (tcgetattr(master, &tio) != 0) {
        return NACRE_IO;
    }
    if (tio.c_iflag & IGNBRK) {
        return NACRE_OK;
    }
    if (!(tio.c_iflag & BRKINT)) {
        /* A full line loses it, as a line would. */
        return nc_fd_write(master, NC_FD_OTHER, zero, 1) == 1 || errno == EAGAIN ? NACRE_OK
                                                                                 : NACRE_IO;
    }
#ifdef TIOCSIG
    if (ioctl(master, TIOCSIG, SIGINT) == 0) {
        return NACRE_OK;
    }
#endif
    pid_t group = tcgetpgrp(master);
    return group > 0 && killpg(group, SIGINT) == 0 ? NACRE_OK : NACRE_IO;
}

int nacre_tty_size(int fd, nacre_pty *out)
{
    struct winsize ws;
    memset(out, 0, sizeof(*out));
    if (ioctl(fd, TIOCGWINSZ, &ws) != 0) {
        return NACRE_NOT_FOUND;
    }
    out->columns = ws.ws_col;
    out->rows = ws.ws_row;
    out->width_px = ws.ws_xpixel;
    out->height_px = ws.ws_ypixel;
    return NACRE_OK;
}

/*
 * So that write(1) and friends can reach it, and other users cannot. Only root can give it away; anybody
 * else owns it already, but the system may have been mounted with a wide mode, or without the group.
 */
static int give_to(int slave, const nacre_account *account)
{
    struct group row, *found = NULL;
    struct stat st;
    char text[4096];
    bool tty = getgrnam_r("tty", &row, text, sizeof(text), &found) == 0 && found;
    if (!account || geteuid() != 0) {
        if (fstat(slave, &st) != 0) {
            return -1;
        }
        mode_t most = tty && st.st_gid == found->gr_gid ? 0620 : 0600;
        bool narrow = (st.st_mode & 0777 & ~most) == 0;
        return narrow ? 0 : fchmod(slave, most);
    }
    if (fchown(slave, account->uid, tty ? found->gr_gid : account->gid) != 0) {
        return -1;
    }
    return fchmod(slave, tty ? 0620 : 0600);
}

int nc_pty_open(const nacre_pty *want, const nacre_account *account, int *master, int *slave,
                char *name, size_t name_size, nacre_error *err)
{
    const char *step = "open a pseudo-terminal";
    *slave = -1;
    *master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
    if (*master < 0) {
        goto fail;
    }
    if (grantpt(*master) != 0 || unlockpt(*master) != 0 ||
        ptsname_r(*master, name, name_size) != 0) {
        step = "prepare a pseudo-terminal";
        goto fail;
    }
    *slave = open(name, O_RDWR | O_NOCTTY | O_CLOEXEC);
    if (*slave < 0 || give_to(*slave, account) != 0) {
        step = "take the terminal's end of a pseudo-terminal";
        goto fail;
    }
    /* A terminal of another size, or without a mode, is still a terminal. */
    nc_drop(nacre_pty_resize(*master, want));
    nc_drop(nacre_tty_apply_modes(*slave, want->modes));
    return NACRE_OK;
fail:
    (void)nc_os_fail(err, NACRE_IO, errno, "cannot %s", step);
    nc_fd_close(slave);
    nc_fd_close(master);
    return NACRE_IO;
}
