/*
 * ssh_escape.c - see ssh_escape.h. One table: character, help, what it does.
 */
#include "ssh_escape.h"

#include "nacre/forward.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    CTRL_D = 4,
    CTRL_Z = 26,
    BREAK_MS = 1000,
    LEVELS_MIN = -1, /* of -q */
    LEVELS_MAX = 3,  /* of -vvv */
};

/* What comes of an escape. */
typedef enum outcome {
    DONE,
    END /* nothing more is read here: end of file goes to the other side */
} outcome;

typedef outcome (*escape_fn)(ssh_escape *e);

/* In raw mode, so with the carriage return; the escape itself was not shown yet. */
static void show(const ssh_escape *e, const char *typed, const char *text)
{
    (void)fprintf(stderr, "%c%s%s\r\n", (char)e->session->escape, typed, text);
}

static void kick(const ssh_escape *e)
{
    nacre_driver_kick(nacre_client_driver(e->session->client));
}

static outcome hang_up(ssh_escape *e)
{
    e->hung_up = true;
    nacre_client_cancel(e->session->client);
    if (setup_is_heard()) {
        show(e, ".", "");
    }
    return DONE;
}

static outcome send_break(ssh_escape *e)
{
    show(e, "B", "");
    if (nacre_channel_break(e->channel, BREAK_MS, false) == NACRE_OK) {
        kick(e);
    }
    return DONE;
}

static outcome rekey(ssh_escape *e)
{
    if (nacre_transport_rekey(nacre_client_transport(e->session->client)) == NACRE_OK) {
        kick(e);
    }
    return DONE;
}

static outcome change_level(ssh_escape *e, const char *typed, int by)
{
    static const char *const names[] = {"QUIET", "INFO", "DEBUG1", "DEBUG2", "DEBUG3"};
    char text[64];
    ssh_setup *s = e->session->setup;
    int level = s->verbosity + by;
    level = level < LEVELS_MIN ? LEVELS_MIN : level > LEVELS_MAX ? LEVELS_MAX : level;
    (void)snprintf(text, sizeof(text), " [LogLevel %s]", names[level - LEVELS_MIN]);
    show(e, typed, text);
    setup_set_verbosity(s, e->session->client, level);
    return DONE;
}

static outcome say_less(ssh_escape *e)
{
    return change_level(e, "V", -1);
}

static outcome say_more(ssh_escape *e)
{
    return change_level(e, "v", 1);
}

static outcome suspend(ssh_escape *e)
{
    show(e, "^Z", " [suspend nacre-ssh]");
    nacre_tty_restore(e->tty);
    (void)kill(0, SIGTSTP);
    if (e->tty && nacre_tty_resume(e->tty) != NACRE_OK) {
        setup_say(e->session->setup, "the terminal could not be put into raw mode again");
    }
    e->resumed(e->user);
    return DONE;
}

/* Which way a channel is open, in a word. */
static const char *state_of(const nacre_channel_info *info)
{
    return !info->open && !info->close_sent       ? "opening"
           : info->close_sent || !info->open      ? "closing"
           : info->eof_sent && info->eof_received ? "both ended"
           : info->eof_sent                       ? "our end ended"
           : info->eof_received                   ? "their end ended"
                                                  : "open";
}

static outcome ask_line(ssh_escape *e)
{
    show(e, "C", "");
    if (nacre_ssh_config_yes(e->session->setup->conf, "EnableEscapeCommandline", false)) {
        escape_line(e);
    } else {
        (void)fprintf(stderr, "commandline disabled: EnableEscapeCommandline is not set\r\n");
    }
    return DONE;
}

/* Listeners that only this process knows; those that the server has are left to it. */
static void stop_listening(const ssh_escape *e)
{
    nacre_client *c = e->session->client;
    nacre_forward *next = nacre_client_next_forward(c, NULL);
    while (next) {
        nacre_forward *f = next;
        nacre_forward_kind kind = nacre_forward_get_options(f)->kind;
        next = nacre_client_next_forward(c, f);
        if (kind == NACRE_FORWARD_LOCAL || kind == NACRE_FORWARD_DYNAMIC) {
            nacre_forward_cancel(f);
        }
    }
}

static outcome list_channels(ssh_escape *e)
{
    const nacre_transport *t = nacre_client_transport(e->session->client);
    show(e, "#", "");
    (void)fprintf(stderr, "The following connections are open:\r\n");
    for (nacre_channel *ch = nacre_channel_next(t, NULL); ch; ch = nacre_channel_next(t, ch)) {
        nacre_channel_info info;
        char type[128];
        const char *name = nacre_channel_type(ch);
        nacre_channel_get_info(ch, &info);
        (void)nacre_escape(type, sizeof(type), (nacre_span){(const uint8_t *)name, strlen(name)});
        (void)fprintf(stderr, "  #%u %s (%s, #%u there, %" PRIu64 " bytes in, %" PRIu64 " out)\r\n",
                      (unsigned)nacre_channel_id(ch), type, state_of(&info), (unsigned)info.peer_id,
                      info.bytes_in, info.bytes_out);
    }
    return DONE;
}

/*
 * A process that goes on after this one, and out of reach of its terminal: were this one the leader there, its end would
 * be a hangup for all. 1: here is the one that goes on; -1: there is none. This one ends in it.
 */
static int go_on_behind(void)
{
    int ready[2];
    char nothing;
    if (pipe(ready) != 0) {
        return -1;
    }
    (void)fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        (void)setsid();
    } else if (pid > 0) {
        (void)close(ready[1]);
        while (read(ready[0], &nothing, 1) < 0 && errno == EINTR) {
        }
        _exit(0); /* what it has is the child's */
    }
    int saved = errno;
    (void)close(ready[0]);
    (void)close(ready[1]);
    errno = saved;
    return pid == 0 ? 1 : -1;
}

/* For what is forwarded; the shell there finds its input at an end. */
static outcome background(ssh_escape *e)
{
    show(e, "&", " [backgrounded]");
    nacre_tty_restore(e->tty);
    if (go_on_behind() < 0) {
        setup_say(e->session->setup, "cannot go into the background: %s", strerror(errno));
        if (nacre_tty_resume(e->tty) != NACRE_OK) {
            setup_say(e->session->setup, "cannot set the terminal: %s", strerror(errno));
        }
        return DONE;
    }
    e->in_background(e->user);
    stop_listening(e);
    return END;
}

static outcome help(ssh_escape *e);

static const struct {
    uint8_t c;
    const char *shown, *text;
    escape_fn fn;
} rows[] = {
    {'.', ".", "terminate connection", hang_up},
    {'B', "B", "send a BREAK to the remote system", send_break},
    {'C', "C", "open a command line", ask_line},
    {'R', "R", "request rekey", rekey},
    {'V', "V", "say less (LogLevel)", say_less},
    {'v', "v", "say more (LogLevel)", say_more},
    {CTRL_Z, "^Z", "suspend nacre-ssh", suspend},
    {'#', "#", "list open connections", list_channels},
    {'&', "&", "go on in the background, without this terminal", background},
    {'?', "?", "this message", help},
};
enum { ROWS = sizeof(rows) / sizeof(rows[0]) };

static outcome help(ssh_escape *e)
{
    char c = (char)e->session->escape;
    show(e, "?", "");
    (void)fprintf(stderr, "Supported escape sequences:\r\n");
    for (size_t i = 0; i < ROWS; i++) {
        (void)fprintf(stderr, " %c%-3s - %s\r\n", c, rows[i].shown, rows[i].text);
    }
    (void)fprintf(stderr,
                  " %c%c   - send the escape character by typing it twice\r\n"
                  "(Note that escapes are only recognized immediately after newline.)\r\n",
                  c, c);
    return DONE;
}

/* True: it was one of ours, and *what came of it. */
static bool act(ssh_escape *e, uint8_t c, outcome *what)
{
    for (size_t i = 0; i < ROWS; i++) {
        if (rows[i].c == c) {
            *what = rows[i].fn(e);
            return true;
        }
    }
    return false;
}

size_t escape_filter(void *user, const uint8_t *in, size_t n, uint8_t *out)
{
    ssh_escape *e = user;
    uint8_t escape = (uint8_t)e->session->escape;
    size_t k = 0;
    for (size_t i = 0; i < n; i++) {
        uint8_t c = in[i];
        if (e->escaped) {
            outcome what = DONE;
            e->escaped = false;
            if (c != escape && act(e, c, &what)) {
                e->line_start = true;
                if (what == END) {
                    out[k++] = CTRL_D; /* a terminal over there has no other end of file */
                    return k | NACRE_RELAY_END;
                }
                continue;
            }
            if (c != escape) {
                out[k++] = escape;
            }
        } else if (e->line_start && c == escape) {
            e->escaped = true;
            continue;
        }
        e->line_start = c == '\r' || c == '\n';
        out[k++] = c;
    }
    return k;
}
