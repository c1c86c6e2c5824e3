/*
 * ssh_passenger.c - see ssh_passenger.h: the commands of -O, and a session on the connection of another process,
 * which gets our descriptors. Here the terminal is made raw and signals are waited for.
 */
#include "ssh_passenger.h"

#include "ssh_forward.h"

#include "nacre/process.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

enum { EXIT_OURS = 255, ENV_VARIABLES = 4096 };

/* ---- commands ---- */

static int failed(const ssh_mux *m, const nacre_mux *x)
{
    setup_say(m->session->setup, "%s", nacre_mux_error(x)->text);
    return EXIT_OURS;
}

static void note(const ssh_mux *m, const char *text)
{
    if (m->session->setup->verbosity >= 0) {
        (void)fprintf(stderr, "%s\r\n", text);
    }
}

static int run_check(ssh_mux *m, nacre_mux *x)
{
    uint32_t pid = 0;
    if (nacre_mux_alive(x, &pid) != NACRE_OK) {
        return failed(m, x);
    }
    (void)fprintf(stderr, "Master running (pid=%u)\r\n", (unsigned)pid);
    return 0;
}

static int run_exit(ssh_mux *m, nacre_mux *x)
{
    if (nacre_mux_terminate(x) != NACRE_OK) {
        return failed(m, x);
    }
    note(m, "Exit request sent.");
    return 0;
}

static int run_stop(ssh_mux *m, nacre_mux *x)
{
    if (nacre_mux_stop(x) != NACRE_OK) {
        return failed(m, x);
    }
    note(m, "Stop listening request sent.");
    return 0;
}

/* What a master tells is printed as it is but for what a terminal would act upon. */
static void print_text(const char *text, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char)text[i];
        (void)putchar(c == '\n' || (c >= 0x20 && c < 0x7f) ? c : '?');
    }
}

static int run_info(ssh_mux *m, nacre_mux *x)
{
    char *text = NULL;
    size_t n = 0;
    const char *what = strcmp(m->command, "conninfo") == 0 ? "connection" : "channels";
    if (nacre_mux_info(x, what, &text, &n) != NACRE_OK) {
        return failed(m, x);
    }
    print_text(text, n);
    nacre_secret_free(NULL, text, n + 1);
    return 0;
}

/* ---- forwardings ---- */

typedef struct asking {
    const ssh_mux *m;
    nacre_mux *x;
    bool cancel;
} asking;

static bool ask_one(void *user, const nacre_forward_options *o)
{
    const asking *a = user;
    const ssh_setup *s = a->m->session->setup;
    uint16_t port = 0;
    int rc = a->cancel ? nacre_mux_cancel_forward(a->x, o) : nacre_mux_forward(a->x, o, &port);
    if (rc != NACRE_OK) {
        setup_say(s, "%s", nacre_mux_error(a->x)->text);
        return false;
    }
    if (port) {
        setup_debug(s, 1, "Allocated port %u for remote forward", (unsigned)port);
        if (a->m->command) {
            (void)printf("%u\n", (unsigned)port);
        }
    }
    return true;
}

static bool ask_forwards(ssh_mux *m, nacre_mux *x, bool cancel)
{
    asking a = {m, x, cancel};
    return forward_each(m->session->setup, ask_one, &a);
}

static int run_forward(ssh_mux *m, nacre_mux *x)
{
    return ask_forwards(m, x, false) ? 0 : EXIT_OURS;
}

static int run_cancel(ssh_mux *m, nacre_mux *x)
{
    return ask_forwards(m, x, true) ? 0 : EXIT_OURS;
}

static const struct {
    const char *name;
    int (*run)(ssh_mux *m, nacre_mux *x);
} commands[] = {
    {"check", run_check},     {"exit", run_exit},     {"stop", run_stop},
    {"forward", run_forward}, {"cancel", run_cancel}, {"conninfo", run_info},
    {"channels", run_info},
};

static int run_command(ssh_mux *m, nacre_mux *x)
{
    for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
        if (strcmp(commands[i].name, m->command) == 0) {
            return commands[i].run(m, x);
        }
    }
    return EXIT_OURS; /* proxy, which is not run so */
}

static int run_proxy(ssh_mux *m, nacre_mux *x, nacre_client **client)
{
    ssh_setup *s = m->session->setup;
    nacre_error why = {0};
    int fd = -1;
    if (nacre_mux_proxy(x, &fd) != NACRE_OK) {
        return failed(m, x);
    }
    if (nacre_client_new(client, &s->cfg, &why) != NACRE_OK) {
        setup_say(s, "%s", why.text);
    } else if (nacre_client_connect_proxied(*client, fd, s->host, s->port) == NACRE_OK) {
        return 0;
    } else {
        setup_say(s, "%s", nacre_client_error(*client)->text);
        nacre_client_free(*client);
        *client = NULL;
    }
    (void)close(fd);
    return EXIT_OURS;
}

/* ---- signals ---- */

static nacre_mux *current;
static volatile sig_atomic_t signaled;

static void on_deadly(int signo)
{
    signaled = signo;
    nacre_mux_cancel(current);
}

static void on_winch(int signo)
{
    (void)signo;
    nacre_mux_resized(current);
}

static void catch_signals(nacre_mux *x)
{
    static const int deadly[] = {SIGHUP, SIGINT, SIGTERM};
    struct sigaction sa, old;
    memset(&sa, 0, sizeof(sa));
    sigemptyset(&sa.sa_mask);
    current = x;
    for (size_t i = 0; i < sizeof(deadly) / sizeof(deadly[0]); i++) {
        sa.sa_handler = on_deadly;
        /* What nohup and the like have switched off stays off. */
        if (sigaction(deadly[i], NULL, &old) == 0 && old.sa_handler != SIG_IGN) {
            (void)sigaction(deadly[i], &sa, NULL);
        }
    }
    sa.sa_handler = on_winch;
    (void)sigaction(SIGWINCH, &sa, NULL);
}

static void let_signals(void)
{
    static const int caught[] = {SIGHUP, SIGINT, SIGTERM, SIGWINCH};
    for (size_t i = 0; i < sizeof(caught) / sizeof(caught[0]); i++) {
        struct sigaction old;
        if (sigaction(caught[i], NULL, &old) == 0 && old.sa_handler != SIG_IGN) {
            (void)signal(caught[i], SIG_DFL);
        }
    }
    current = NULL;
}

/* ---- a session ---- */

typedef struct variables {
    const char *list[ENV_VARIABLES];
    size_t count;
} variables;

static bool is_sent(const nacre_ssh_config *conf, const char *variable)
{
    char name[256];
    size_t n = strcspn(variable, "=");
    if (n == 0 || n >= sizeof(name) || variable[n] != '=') {
        return false;
    }
    (void)snprintf(name, sizeof(name), "%.*s", (int)n, variable);
    for (size_t i = 0; i < nacre_ssh_config_count(conf, "SendEnv"); i++) {
        if (nacre_ssh_pattern(name, nacre_ssh_config_value(conf, "SendEnv", i))) {
            return true;
        }
    }
    return false;
}

static void collect(variables *v, const nacre_ssh_config *conf)
{
    extern char **environ;
    for (char **e = environ; *e && v->count < ENV_VARIABLES; e++) {
        if (is_sent(conf, *e)) {
            v->list[v->count++] = *e;
        }
    }
    size_t n = nacre_ssh_config_count(conf, "SetEnv");
    for (size_t i = 0; i < n && v->count < ENV_VARIABLES; i++) {
        v->list[v->count++] = nacre_ssh_config_value(conf, "SetEnv", i);
    }
}

static void on_tty_refused(void *user)
{
    nacre_tty **tty = user;
    nacre_tty_free(*tty);
    *tty = NULL;
}

static void go_raw(const ssh_setup *s, nacre_tty **tty)
{
    nacre_error why = {0};
    if (isatty(STDIN_FILENO) && (nacre_tty_raw(tty, STDIN_FILENO, &why) != NACRE_OK ||
                                 nacre_tty_guard(*tty, &why) != NACRE_OK)) {
        setup_say(s, "%s", why.text);
    }
}

static int open_it(ssh_mux *m, nacre_mux *x, nacre_tty **tty, bool want_tty)
{
    static variables v; /* too large for a stack */
    const ssh_session *s = m->session;
    nacre_mux_session o;
    nacre_mux_session_init(&o);
    collect(&v, s->setup->conf);
    o.tty = want_tty;
    o.subsystem = s->subsystem;
    o.x11 = nacre_ssh_config_yes(s->setup->conf, "ForwardX11", false);
    const char *agent = nacre_ssh_config_get(s->setup->conf, "ForwardAgent");
    o.agent = agent && strcasecmp(agent, "no") != 0 && strcasecmp(agent, "false") != 0;
    o.escape = s->escape;
    o.term = session_terminal(s);
    o.command = s->command;
    o.env = v.list;
    o.env_count = v.count;
    o.tty_refused = on_tty_refused;
    o.user = tty;
    if (s->stdin_null || s->fork) {
        o.fds[0] = open("/dev/null", O_RDONLY | O_CLOEXEC);
    }
    int rc = nacre_mux_open_session(x, &o);
    if (o.fds[0] > STDERR_FILENO) {
        (void)close(o.fds[0]);
    }
    return rc;
}

/* -1: the master would not, and a connection of our own may help. */
static int run_session(ssh_mux *m, nacre_mux *x)
{
    const ssh_session *s = m->session;
    nacre_mux_result result;
    nacre_tty *tty = NULL;
    bool want_tty = session_needs_tty(s);
    if (open_it(m, x, &tty, want_tty) != NACRE_OK) {
        setup_say(s->setup, "%s", nacre_mux_error(x)->text);
        return -1;
    }
    if (s->fork && daemon(1, 1) != 0) {
        setup_say(s->setup, "cannot go into the background: %s", strerror(errno));
        return EXIT_OURS;
    }
    catch_signals(x);
    if (want_tty && !s->stdin_null) {
        go_raw(s->setup, &tty);
    }
    int rc = nacre_mux_wait(x, 0, &result);
    nacre_tty_free(tty);
    let_signals();
    if (rc != NACRE_OK && !signaled) {
        setup_say(s->setup, "%s", nacre_mux_error(x)->text);
    }
    if (want_tty && s->setup->verbosity >= 0) {
        (void)fprintf(stderr, "Shared connection to %s closed.\r\n", s->setup->host);
    }
    return rc == NACRE_OK && result.exited ? (int)(result.status & 0xff) : EXIT_OURS;
}

/* -W */
static int run_stdio(ssh_mux *m, nacre_mux *x)
{
    static const int fds[] = {STDIN_FILENO, STDOUT_FILENO};
    nacre_forward_options o;
    nacre_forward_text room;
    nacre_mux_result result;
    if (!forward_stdio_target(m->stdio, &o, &room)) {
        return EXIT_OURS; /* it was looked at before */
    }
    if (nacre_mux_open_stdio(x, &o.listen, fds) != NACRE_OK) {
        return failed(m, x);
    }
    catch_signals(x);
    int rc = nacre_mux_wait(x, 0, &result);
    let_signals();
    return rc == NACRE_OK || signaled ? 0 : failed(m, x);
}

/* -1: as run_session. By -N there is nothing to run, and nothing to wait for. */
static int run_it(ssh_mux *m, nacre_mux *x)
{
    if (m->stdio) {
        return run_stdio(m, x);
    }
    if (!ask_forwards(m, x, false)) {
        setup_say(m->session->setup, "master forward request failed");
        return -1;
    }
    return m->session->no_session ? 0 : run_session(m, x);
}

/* ---- finding it ---- */

/* True: there is none, and that is no failure. */
static bool do_without(const ssh_mux *m, int rc, const nacre_error *why)
{
    const ssh_setup *s = m->session->setup;
    if (m->command) {
        setup_note(s, "%s", why->text);
        return false;
    }
    if (rc == NACRE_CLOSED && m->master) {
        setup_debug(s, 1, "Stale control socket %s, unlinking", m->path);
        (void)unlink(m->path);
    } else if (rc == NACRE_NOT_FOUND) {
        setup_debug(s, 1, "Control socket \"%s\" does not exist", m->path);
    } else {
        setup_note(s, "%s", why->text);
    }
    return true;
}

bool passenger_run(ssh_mux *m, nacre_client **client, int *status)
{
    nacre_mux *x = NULL;
    nacre_error why = {0};
    uint64_t seconds = nacre_ssh_config_number(m->session->setup->conf, "ConnectTimeout", 0);
    uint32_t ms = seconds > UINT32_MAX / 1000 ? UINT32_MAX : (uint32_t)seconds * 1000;
    if (m->find && m->master) {
        setup_debug(m->session->setup, 1, "auto-mux: Trying existing master at '%s'", m->path);
    }
    *status = EXIT_OURS;
    int rc = nacre_mux_connect(&x, m->path, ms, NULL, &why);
    if (rc != NACRE_OK) {
        return !do_without(m, rc, &why);
    }
    if (m->command && strcmp(m->command, "proxy") == 0 && client) {
        *status = run_proxy(m, x, client);
        nacre_mux_free(x);
        return *status != 0;
    }
    *status = m->command ? run_command(m, x) : run_it(m, x);
    nacre_mux_free(x);
    bool done = *status >= 0;
    *status = done ? *status : EXIT_OURS;
    return done;
}
