/*
 * mux_escape.c - escape characters in a session that a master drives (ssh(1), ESCAPE CHARACTERS): those that have a
 * meaning for one session of several. What the client's program would have to do itself is sent as it is.
 */
#include "client/mux_master.h"

#include "io/fd.h"

#include <poll.h>
#include <stdio.h>
#include <string.h>

static void say(const nc_mux_conn *x, const char *text)
{
    struct pollfd p = {x->fds[2], POLLOUT, 0};
    if (x->fds[2] >= 0 && poll(&p, 1, 0) == 1 && (p.revents & POLLOUT)) {
        (void)!nc_fd_write(x->fds[2], nc_fd_classify(x->fds[2]), text, strlen(text));
    }
}

static void help(const nc_mux_conn *x)
{
    char text[512];
    char e = (char)x->escape;
    (void)snprintf(text, sizeof(text),
                   "%c?\r\nSupported escape sequences:\r\n"
                   " %c.   - terminate connection\r\n"
                   " %cB   - send a BREAK to the remote system\r\n"
                   " %cR   - request rekey\r\n"
                   " %c?   - this message\r\n"
                   " %c%c   - send the escape character by typing it twice\r\n"
                   "(Note that escapes are only recognized immediately after newline.)\r\n",
                   e, e, e, e, e, e, e);
    say(x, text);
}

/* True: it was one of ours. */
static bool act(nc_mux_conn *x, uint8_t c)
{
    char echo[8];
    (void)snprintf(echo, sizeof(echo), "%c%c\r\n", (char)x->escape, c);
    switch (c) {
    case '.':
        say(x, echo);
        x->hung_up = true;
        (void)nacre_channel_close(x->ch);
        return true;
    case '?':
        help(x);
        return true;
    case 'R':
        (void)nacre_transport_rekey(x->m->c->t);
        return true;
    case 'B':
        say(x, echo);
        (void)!nacre_channel_break(x->ch, 1000, false);
        return true;
    default:
        return false;
    }
}

size_t nc_mux_filter(void *user, const uint8_t *in, size_t n, uint8_t *out)
{
    nc_mux_conn *x = user;
    uint8_t escape = (uint8_t)x->escape;
    size_t k = 0;
    for (size_t i = 0; i < n && !x->hung_up; i++) {
        uint8_t c = in[i];
        if (x->escaped) {
            x->escaped = false;
            if (c != escape && act(x, c)) {
                x->line_start = true;
                continue;
            }
            if (c != escape) {
                out[k++] = escape;
            }
        } else if (x->line_start && c == escape) {
            x->escaped = true;
            continue;
        }
        x->line_start = c == '\r' || c == '\n';
        out[k++] = c;
    }
    return k;
}
