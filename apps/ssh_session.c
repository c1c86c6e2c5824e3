/*
 * ssh_session.c - a remote command, shell or subsystem at our terminal: pty and raw mode, window size,
 * escape characters, signals, and the exit status.
 */
#include "ssh_escape.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MODES_MAX = 1024, EXIT_FAILED = 255 };

typedef struct running {
    ssh_session *s;
    nacre_channel *ch;
    bool pty;
    bool x11; /* its reply comes first */
    ssh_escape escape;
    volatile sig_atomic_t signo;
} running;

/* ---- the request ---- */

static void send_environment(const ssh_session *s, nacre_channel *ch)
{
    extern char **environ;
    const nacre_ssh_config *conf = s->setup->conf;
    for (char **e = environ; *e; e++) {
        char name[256];
        size_t n = strcspn(*e, "=");
        bool hit = false;
        if (n == 0 || n >= sizeof(name) || (*e)[n] != '=') {
            continue;
        }
        (void)snprintf(name, sizeof(name), "%.*s", (int)n, *e);
        for (size_t i = 0; i < nacre_ssh_config_count(conf, "SendEnv"); i++) {
            hit = hit || nacre_ssh_pattern(name, nacre_ssh_config_value(conf, "SendEnv", i));
        }
        if (hit && nacre_channel_env(ch, name, *e + n + 1, false) == NACRE_OK) {
            setup_debug(s->setup, 1, "channel 0: setting env %s", name);
        }
    }
    /* Behind those, because of two values the server takes the later one: what is said beats what is at hand. */
    for (size_t i = 0; i < nacre_ssh_config_count(conf, "SetEnv"); i++) {
        char name[256];
        const char *text = nacre_ssh_config_value(conf, "SetEnv", i);
        const char *eq = strchr(text, '=');
        if (!eq || eq == text || (size_t)(eq - text) >= sizeof(name)) {
            setup_say(s->setup, "SetEnv needs NAME=value");
            continue;
        }
        (void)snprintf(name, sizeof(name), "%.*s", (int)(eq - text), text);
        setup_debug(s->setup, 1, "channel 0: setting env %s", name);
        if (nacre_channel_env(ch, name, eq + 1, false) != NACRE_OK) {
            setup_say(s->setup, "the environment variable %s could not be sent", name);
        }
    }
}

/* SetEnv may name another one than ours. */
const char *session_terminal(const ssh_session *s)
{
    const nacre_ssh_config *conf = s->setup->conf;
    const char *term = getenv("TERM");
    for (size_t i = 0; i < nacre_ssh_config_count(conf, "SetEnv"); i++) {
        const char *text = nacre_ssh_config_value(conf, "SetEnv", i);
        if (strncmp(text, "TERM=", 5) == 0) {
            return text + 5;
        }
    }
    return term ? term : "";
}

static int send_pty(const running *r)
{
    uint8_t modes[MODES_MAX];
    size_t n = sizeof(modes);
    nacre_pty pty;
    const char *term = session_terminal(r->s);
    memset(&pty, 0, sizeof(pty));
    if (nacre_tty_size(STDIN_FILENO, &pty) != NACRE_OK) {
        memset(&pty, 0, sizeof(pty));
    }
    if (nacre_tty_modes(STDIN_FILENO, modes, &n) != NACRE_OK) {
        n = 0;
    }
    pty.term = (nacre_span){(const uint8_t *)term, strlen(term)};
    pty.modes = (nacre_span){modes, n};
    return nacre_channel_pty(r->ch, &pty, true);
}

/* Everything leaves at once; the answers come in the same order. */
static int send_requests(running *r)
{
    ssh_session *s = r->s;
    r->x11 = session_request_forwards(s, r->ch, true, true);
    int rc = r->pty ? send_pty(r) : NACRE_OK;
    if (rc != NACRE_OK) {
        return rc;
    }
    send_environment(s, r->ch);
    if (s->command && s->subsystem) {
        setup_debug(s->setup, 1, "Sending subsystem: %s", s->command);
        return nacre_channel_subsystem(r->ch, s->command, true);
    }
    if (s->command) {
        setup_debug(s->setup, 1, "Sending command: %s", s->command);
        return nacre_channel_exec(
            r->ch, (nacre_span){(const uint8_t *)s->command, strlen(s->command)}, true);
    }
    return nacre_channel_shell(r->ch, true);
}

static int await_replies(running *r)
{
    const ssh_session *s = r->s;
    if (r->x11) {
        int rc = nacre_client_wait_reply(s->client, r->ch, NACRE_FOREVER);
        if (rc == NACRE_REQUEST_REFUSED) {
            setup_say(s->setup, "X11 forwarding request failed on channel 0");
        } else if (rc != NACRE_OK) {
            return rc;
        }
    }
    if (r->pty) {
        int rc = nacre_client_wait_reply(s->client, r->ch, NACRE_FOREVER);
        if (rc == NACRE_REQUEST_REFUSED) {
            setup_note(s->setup, "PTY allocation request failed on channel 0");
            r->pty = false;
        } else if (rc != NACRE_OK) {
            return rc;
        }
    }
    return nacre_client_wait_reply(s->client, r->ch, NACRE_FOREVER);
}

/* ---- signals ---- */

static void on_winch(void *user, int signo)
{
    running *r = user;
    nacre_pty size;
    (void)signo;
    memset(&size, 0, sizeof(size));
    if (r->s->resized) {
        r->s->resized(r->s->resized_user);
    }
    if (r->pty && nacre_tty_size(STDIN_FILENO, &size) == NACRE_OK &&
        nacre_channel_window_change(r->ch, &size) == NACRE_OK) {
        nacre_driver_kick(nacre_client_driver(r->s->client));
    }
}

static void on_deadly(void *user, int signo)
{
    running *r = user;
    r->signo = signo;
    nacre_client_cancel(r->s->client);
}

static const int deadly[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT};
enum { DEADLY = sizeof(deadly) / sizeof(deadly[0]) };

static void watch_signals(running *r, bool on)
{
    nacre_loop *loop = nacre_client_loop(r->s->client);
    for (size_t i = 0; i < DEADLY; i++) {
        struct sigaction now;
        /* What nohup and the like have switched off stays off. */
        if (on && (sigaction(deadly[i], NULL, &now) != 0 || now.sa_handler == SIG_IGN)) {
            continue;
        }
        if (nacre_loop_on_signal(loop, deadly[i], on ? on_deadly : NULL, r) != NACRE_OK && on) {
            setup_debug(r->s->setup, 1, "signal %d cannot be watched", deadly[i]);
        }
    }
    bool sizes = r->pty || r->s->resized;
    if (sizes && nacre_loop_on_signal(loop, SIGWINCH, on ? on_winch : NULL, r) != NACRE_OK && on) {
        setup_debug(r->s->setup, 1, "the size of the terminal cannot be watched");
    }
}

/* ---- the end ---- */

static int outcome(const running *r, int rc, const nacre_relay_result *result)
{
    const ssh_session *s = r->s;
    /* Nobody is told anything on a terminal that stands still: the end must not wait for it. */
    bool quiet = s->setup->verbosity < 0 || !setup_is_heard();
    if (s->ended) {
        return EXIT_FAILED;
    }
    if (r->signo) {
        if (!quiet) {
            setup_note(s->setup, "Killed by signal %d.", (int)r->signo);
        }
        return EXIT_FAILED;
    }
    if (rc != NACRE_OK && !r->escape.hung_up) {
        setup_explain(s->setup, s->client, rc);
        return EXIT_FAILED;
    }
    if (r->pty && !quiet) {
        (void)fprintf(stderr, "Connection to %s closed.\r\n", s->setup->host);
    }
    if (r->escape.hung_up) {
        return EXIT_FAILED;
    }
    if (result->signal[0]) {
        setup_debug(s->setup, 1, "remote program ended by signal %s", result->signal);
    }
    /* ssh knows no other number for a program that a signal ended. */
    return result->exited ? (int)(result->status & 0xff) : EXIT_FAILED;
}

static void on_resumed(void *user)
{
    on_winch(user, SIGWINCH);
}

/* What a fork inherits of signals is not its own. */
static void on_background(void *user)
{
    watch_signals(user, true);
}

static void go_raw(running *r)
{
    nacre_error why = {0};
    /* Who does not read the keys leaves them to the terminal: Ctrl-C is the only way out then. */
    if (!r->pty || r->s->stdin_null || !isatty(STDIN_FILENO)) {
        return;
    }
    if (nacre_tty_raw(&r->escape.tty, STDIN_FILENO, &why) != NACRE_OK ||
        nacre_tty_guard(r->escape.tty, &why) != NACRE_OK) {
        setup_say(r->s->setup, "%s", why.text);
    }
}

static bool is_over(const nacre_channel *ch)
{
    nacre_channel_info info;
    nacre_channel_get_info(ch, &info);
    return info.close_sent && info.close_received;
}

static int others_over(void *user)
{
    const running *r = user;
    const nacre_transport *t = nacre_client_transport(r->s->client);
    const nacre_channel *ch = nacre_channel_next(t, NULL);
    while (ch && is_over(ch)) {
        ch = nacre_channel_next(t, ch);
    }
    return ch ? NACRE_AGAIN : NACRE_OK;
}

/* What is forwarded may go on when the program has ended, as with ssh. */
static void wait_for_others(running *r)
{
    if (r->signo || r->escape.hung_up || others_over(r) == NACRE_OK) {
        return;
    }
    setup_debug(r->s->setup, 1, "Waiting for forwarded connections to terminate...");
    if (nacre_client_run(r->s->client, others_over, r, NACRE_FOREVER) != NACRE_OK) {
        setup_debug(r->s->setup, 1, "%s", nacre_client_error(r->s->client)->text);
    }
}

/* As ssh says it. Signals and the terminal are ours from here on: who waits for this line may send Ctrl-C. */
static void say_entering(const running *r)
{
    setup_debug(r->s->setup, 1, "Entering interactive session.");
}

static int tie(running *r)
{
    const ssh_session *s = r->s;
    nacre_relay_options o;
    nacre_relay_result result;
    nacre_relay_options_init(&o);
    int null = s->stdin_null ? open("/dev/null", O_RDONLY | O_CLOEXEC) : -1;
    o.source = s->stdin_null ? null : STDIN_FILENO;
    o.sink = STDOUT_FILENO;
    o.sink_err = STDERR_FILENO;
    o.shared = true;
    o.peer_closes = true;
    r->escape = (ssh_escape){.session = s,
                             .channel = r->ch,
                             .resumed = on_resumed,
                             .in_background = on_background,
                             .user = r,
                             .line_start = true};
    if (r->pty && s->escape >= 0) {
        o.filter = escape_filter;
        o.user = &r->escape;
    }
    go_raw(r);
    say_entering(r);
    int rc = nacre_client_relay(s->client, r->ch, &o, NACRE_FOREVER, &result);
    nacre_tty_free(r->escape.tty);
    r->escape.tty = NULL;
    if (rc == NACRE_OK) {
        wait_for_others(r);
    }
    if (null >= 0) {
        (void)close(null);
    }
    return outcome(r, rc, &result);
}

/* -f: who called goes on, and the session with us. */
static bool go_behind(running *r)
{
    const ssh_session *s = r->s;
    if (!s->fork) {
        return true;
    }
    if (daemon(1, 1) == 0) {
        watch_signals(r, true); /* a fork inherits handlers, and not the loop that they wake */
        return true;
    }
    setup_say(s->setup, "cannot go into the background: %s", strerror(errno));
    return false;
}

void session_detach_stdio(const ssh_setup *s)
{
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (null < 0) {
        return;
    }
    (void)dup2(null, STDIN_FILENO);
    (void)dup2(null, STDOUT_FILENO);
    if (s->verbosity <= 0) { /* who reads our errors must not wait for the end of them */
        (void)dup2(null, STDERR_FILENO);
    }
    (void)close(null);
}

static int never(void *user)
{
    (void)user;
    return NACRE_AGAIN;
}

/* -N: nothing runs; forwardings and keepalives do, until the connection ends. */
static int idle(running *r)
{
    nacre_relay_result none;
    memset(&none, 0, sizeof(none));
    if (!go_behind(r)) {
        return EXIT_FAILED;
    }
    if (r->s->fork) {
        session_detach_stdio(r->s->setup);
    }
    watch_signals(r, true);
    say_entering(r);
    int rc = nacre_client_run(r->s->client, r->s->over ? r->s->over : never, r->s->over_user,
                              NACRE_FOREVER);
    watch_signals(r, false);
    return outcome(r, rc, &none);
}

bool session_needs_tty(const ssh_session *s)
{
    if (!s->want_tty && !s->force_tty) {
        return false;
    }
    if (!s->force_tty && (s->stdin_null || !isatty(STDIN_FILENO))) {
        if (s->setup->verbosity >= 0) {
            setup_note(s->setup,
                       "Pseudo-terminal will not be allocated because stdin is not a terminal.");
        }
        return false;
    }
    return true;
}

/* Ours is the only session, unless others share the connection: nobody shall open one over it later. */
static void no_more_sessions(const ssh_session *s)
{
    const char *peer = nacre_transport_peer_version(nacre_client_transport(s->client));
    bool knows =
        strncmp(peer, "SSH-2.0-OpenSSH_", 16) == 0 || strncmp(peer, "SSH-2.0-nacre_", 14) == 0;
    if (!s->over && knows &&
        nacre_no_more_sessions(nacre_client_transport(s->client)) == NACRE_OK) {
        nacre_driver_kick(nacre_client_driver(s->client));
    }
}

int session_run(ssh_session *s)
{
    running r = {.s = s};
    if (s->no_session) {
        no_more_sessions(s);
        return idle(&r);
    }
    r.pty = session_needs_tty(s);
    setup_quality(s->setup, s->client, r.pty);
    watch_signals(&r, true);
    int status = EXIT_FAILED;
    int rc = nacre_client_session(s->client, NACRE_FOREVER, &r.ch);
    if (rc == NACRE_OK) {
        no_more_sessions(s);
        rc = send_requests(&r);
        rc = rc == NACRE_OK ? await_replies(&r) : rc;
        if (rc == NACRE_OK && go_behind(&r)) {
            status = tie(&r);
        }
    }
    if (rc == NACRE_REQUEST_REFUSED) {
        setup_say(s->setup, "%s request failed on channel 0",
                  !s->command    ? "shell"
                  : s->subsystem ? "subsystem"
                                 : "exec");
    } else if (rc != NACRE_OK) {
        nacre_relay_result none;
        memset(&none, 0, sizeof(none));
        status = outcome(&r, rc, &none);
    }
    watch_signals(&r, false);
    nacre_client_channel_free(s->client, r.ch);
    return status;
}
