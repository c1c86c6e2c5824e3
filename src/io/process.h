/*
 * process.h - what files of this floor share about processes and terminals.
 */
#ifndef NC_IO_PROCESS_H
#define NC_IO_PROCESS_H

#include "nacre/process.h"

#include <termios.h>

bool nc_wait_core_dumped(int wait_status);
/* shell.c: $SHELL, or /bin/sh. */
const char *nc_user_shell(void);

/* tty_modes.c: RFC 4254 section 8. */
int nc_tty_modes_encode(const struct termios *tio, uint8_t *out, size_t *n);
int nc_tty_modes_decode(struct termios *tio, nacre_span modes);

/* pty.c: both ends, close-on-exec, size and modes set, owned by account (NULL ok). */
int nc_pty_open(const nacre_pty *want, const nacre_account *account, int *master, int *slave,
                char *name, size_t name_size, nacre_error *err);

/* The account's steps that are safe between fork and exec: 0, or -1 with errno and the step. */
int nc_become_steps(const nacre_account *account, const char **step);

#endif
