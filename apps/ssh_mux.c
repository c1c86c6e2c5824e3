/*
 * ssh_mux.c - see ssh_mux.h: what of the configuration is about sharing, and the master's side. The other side is in
 * ssh_passenger.c.
 */
#include "ssh_mux.h"

#include "ssh_forward.h"

#include "ssh_passenger.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

enum { EXIT_OURS = 255 };

/* ---- what is wanted ---- */

bool mux_command(ssh_mux *m, const ssh_setup *s, const char *command)
{
    static const char *const known[] = {"check", "conninfo", "channels", "forward",
                                        "exit",  "stop",     "cancel",   "proxy"};
    if (m->command) {
        setup_say(s, "Multiplexing command already specified");
        return false;
    }
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        if (strcmp(command, known[i]) == 0) {
            m->command = command;
            return true;
        }
    }
    setup_say(s, "Invalid multiplex command.");
    return false;
}

static void read_persist(ssh_mux *m, const nacre_ssh_config *conf)
{
    const char *text = nacre_ssh_config_get(conf, "ControlPersist");
    uint32_t seconds = 0;
    if (text && nacre_parse_time(text, &seconds) == NACRE_OK) {
        m->persist = true;
        m->persist_ms = seconds > UINT32_MAX / 1000 ? UINT32_MAX : seconds * 1000;
    } else {
        m->persist = nacre_ssh_config_yes(conf, "ControlPersist", false);
        m->persist_ms = 0;
    }
}

bool mux_setup(ssh_mux *m, ssh_session *session)
{
    ssh_setup *s = session->setup;
    const char *path = nacre_ssh_config_get(s->conf, "ControlPath");
    const char *master = nacre_ssh_config_get(s->conf, "ControlMaster");
    m->session = session;
    bool automatic = master && strncasecmp(master, "auto", 4) == 0;
    m->ask = master && (strcasecmp(master, "ask") == 0 || strcasecmp(master, "autoask") == 0);
    m->master = automatic || m->ask || nacre_ssh_config_yes(s->conf, "ControlMaster", false);
    m->find = !m->master || automatic;
    read_persist(m, s->conf);
    if (path && strcasecmp(path, "none") != 0 &&
        !setup_expand(s, "ControlPath", path, m->path, sizeof(m->path))) {
        return false;
    }
    if (m->command && !m->path[0]) {
        setup_say(s, "No ControlPath specified for \"-O\" command");
        return false;
    }
    return true;
}

bool mux_use(ssh_mux *m, nacre_client **client, int *status)
{
    return m->path[0] && (m->find || m->command) && passenger_run(m, client, status);
}

/* ---- a master ---- */

static bool on_ask(void *user, const char *question)
{
    const ssh_mux *m = user;
    return ask_permission(m->session->setup, question);
}

static bool on_env(void *user, const char *name)
{
    const ssh_mux *m = user;
    const nacre_ssh_config *conf = m->session->setup->conf;
    for (size_t i = 0; i < nacre_ssh_config_count(conf, "SendEnv"); i++) {
        if (nacre_ssh_pattern(name, nacre_ssh_config_value(conf, "SendEnv", i))) {
            return true;
        }
    }
    return false;
}

/* What a client wants of agent and X11, as far as the configuration here has it, too. */
static void on_session(void *user, nacre_channel *ch, bool agent, bool x11)
{
    const ssh_mux *m = user;
    (void)session_request_forwards(m->session, ch, agent, x11);
}

static bool on_forward(void *user, nacre_forward_options *o)
{
    const ssh_mux *m = user;
    forward_fill(m->session->setup, o);
    return true;
}

static void on_terminate(void *user)
{
    ssh_mux *m = user;
    m->ended = m->session->ended = true;
    nacre_client_cancel(m->session->client);
}

static void on_stopped(void *user)
{
    ssh_mux *m = user;
    m->stopped = true;
}

static void on_idle(void *user)
{
    ssh_mux *m = user;
    if (m->lingering && m->persist) {
        setup_debug(m->session->setup, 1, "ControlPersist timeout expired");
        on_terminate(m);
    }
}

static void on_resized(void *user)
{
    const ssh_mux *m = user;
    nacre_mux_master_resized(m->listener);
}

/* -1: there is none, and the session goes on without. */
static int listen_at(ssh_mux *m)
{
    ssh_session *s = m->session;
    nacre_mux_master_options o;
    nacre_error why = {0};
    nacre_mux_master_options_init(&o);
    o.ask = m->ask ? on_ask : NULL;
    o.permit_env = on_env;
    o.session = on_session;
    o.forward = on_forward;
    o.terminate = on_terminate;
    o.stopped = on_stopped;
    o.idle = on_idle;
    o.idle_ms = m->persist ? m->persist_ms : 0;
    o.user = m;
    setup_debug(s->setup, 1, "setting up multiplex master socket");
    int rc = nacre_mux_master_new(&m->listener, s->client, m->path, &o, &why);
    if (rc == NACRE_EXISTS) {
        setup_note(s->setup, "%s, disabling multiplexing", why.text);
        return -1;
    }
    if (rc != NACRE_OK) {
        setup_say(s->setup, "%s", why.text);
        return EXIT_OURS;
    }
    s->resized = on_resized;
    s->resized_user = m;
    return 0;
}

/* What this process had of it is the other's from now on. Kept in view: nothing of it may say goodbye. */
static nacre_client *left_behind;

static int go_along(ssh_mux *m)
{
    ssh_session *s = m->session;
    int status = EXIT_OURS;
    nacre_mux_master_abandon(m->listener);
    m->listener = NULL;
    left_behind = s->client;
    s->client = NULL;
    (void)left_behind;
    if (!passenger_run(m, NULL, &status)) {
        setup_say(s->setup, "Failed to connect to new control master");
    }
    return status;
}

/* ControlPersist: a process of its own keeps the connection; this one becomes the first who shares it. */
static bool persist(ssh_mux *m, int *status)
{
    ssh_session *s = m->session;
    bool alone = s->no_session;
    pid_t pid = fork();
    if (pid < 0) {
        setup_say(s->setup, "cannot go into the background: %s", strerror(errno));
        *status = EXIT_OURS;
        return false;
    }
    if (pid > 0) {
        if (!alone) {
            *status = go_along(m);
            return false;
        }
        _exit(0);
    }
    (void)setsid();
    session_detach_stdio(s->setup);
    s->no_session = true;
    s->fork = false;
    s->stdin_null = true;
    return true;
}

static int is_over(void *user)
{
    const ssh_mux *m = user;
    nacre_counters n;
    nacre_transport *t = nacre_client_transport(m->session->client);
    if (!m->listener) {
        return NACRE_AGAIN;
    }
    bool stays = !m->stopped && (m->persist || m->session->no_session);
    if (m->ended || stays) {
        return m->ended ? NACRE_OK : NACRE_AGAIN;
    }
    nacre_transport_counters(t, &n);
    return n.channels == 0 && nacre_mux_master_clients(m->listener) == 0 ? NACRE_OK : NACRE_AGAIN;
}

bool mux_share(ssh_mux *m, int *status)
{
    if (!m->master || !m->path[0] || m->command) {
        return true;
    }
    int rc = listen_at(m);
    if (rc != 0) {
        m->persist = false;
        *status = rc;
        return rc < 0;
    }
    m->session->over = is_over;
    m->session->over_user = m;
    m->lingering = m->session->no_session || m->persist;
    return !m->persist || persist(m, status);
}

void mux_linger(ssh_mux *m)
{
    if (!m->listener || m->ended || m->session->no_session) {
        return;
    }
    m->lingering = true;
    m->persist = false;
    if (nacre_client_run(m->session->client, is_over, m, NACRE_FOREVER) != NACRE_OK && !m->ended) {
        setup_debug(m->session->setup, 1, "%s", nacre_client_error(m->session->client)->text);
    }
}

void mux_clear(ssh_mux *m)
{
    nacre_mux_master_free(m->listener);
    m->listener = NULL;
}
