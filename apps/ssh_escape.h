/*
 * ssh_escape.h - what a person types behind "~" in a session with a terminal.
 */
#ifndef APPS_SSH_ESCAPE_H
#define APPS_SSH_ESCAPE_H

#include "ssh_session.h"

#include "nacre/process.h"

typedef struct ssh_escape {
    const ssh_session *session;
    nacre_channel *channel;
    nacre_tty *tty;                    /* in raw mode; NULL: none */
    void (*resumed)(void *user);       /* in the foreground again */
    void (*in_background)(void *user); /* another process goes on with it */
    void *user;
    bool line_start, escaped; /* what was typed before; begin with line_start */
    bool hung_up;             /* ~. */
} ssh_escape;

/* The filter of a relay; user is an ssh_escape. */
size_t escape_filter(void *user, const uint8_t *in, size_t n, uint8_t *out);
/* ~C (ssh_escape_line.c): asks for a line and does what it says. */
void escape_line(ssh_escape *e);

#endif
