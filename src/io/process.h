/*
 * process.h - what files of this floor share about processes and terminals.
 */
#ifndef NC_IO_PROCESS_H
#define NC_IO_PROCESS_H

#include "nacre/process.h"

#include <signal.h>
#include <termios.h>

bool nc_wait_core_dumped(int wait_status);
/* shell.c: $SHELL, or /bin/sh. */
const char *nc_user_shell(void);

/* tty_modes.c: RFC 4254 section 8. */
int nc_tty_modes_encode(const struct termios *tio, uint8_t *out, size_t *n) NACRE_MUST_CHECK;
int nc_tty_modes_decode(struct termios *tio, nacre_span modes) NACRE_MUST_CHECK;

/* tty.c, tty_guard.c */
struct nacre_tty {
    int fd;
    volatile sig_atomic_t raw;
    volatile sig_atomic_t stopped; /* raw again as soon as we are in the foreground */
    bool guarded;
    struct termios cooked;
};

/* tcsetattr, again after a signal. 0, or -1 with errno. Async-signal-safe. */
int nc_tty_set(int fd, int when, const struct termios *tio) NACRE_MUST_CHECK;
int nc_tty_go_raw(const nacre_tty *tty) NACRE_MUST_CHECK;
/* False: another process group has the terminal, and may not be disturbed. Async-signal-safe. */
bool nc_tty_in_front(int fd);
void nc_tty_unguard(nacre_tty *tty);

/* pty.c: both ends, close-on-exec, size and modes set, owned by account (NULL ok). */
int nc_pty_open(const nacre_pty *want, const nacre_account *account, int *master, int *slave,
                char *name, size_t name_size, nacre_error *err) NACRE_MUST_CHECK;

/* The account's steps that are safe between fork and exec: 0, or -1 with errno and the step. */
int nc_become_steps(const nacre_account *account, const char **step) NACRE_MUST_CHECK;

#endif
