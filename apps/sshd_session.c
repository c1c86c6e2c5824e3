/*
 * sshd_session.c - what a user may do once he is in: terminals, environment, commands, shells,
 * subsystems. The process is the user already (or serves nobody else), so nothing here changes rights.
 */
#include "sftp_args.h"
#include "sshd.h"

#include <nacre/local_files.h>
#include <nacre/process.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    ENV_MAX = 300, /* the client's, ours, the key's and the administrator's */
    ARGS_MAX = 32, /* of internal-sftp */
    COMMAND_MAX = 256 * 1024
};

static const char path_user[] = "/usr/local/bin:/usr/bin:/bin:/usr/games";
static const char path_root[] = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/* ---- environment ---------------------------------------------------------------------------------------- */

typedef struct environment {
    char *pairs[ENV_MAX + 1];
    size_t count;
    bool failed;
} environment;

static void env_pair(environment *e, const char *pair)
{
    size_t name = strcspn(pair, "=") + 1;
    char *copy = strdup(pair);
    for (size_t i = 0; copy && i < e->count; i++) {
        if (strncmp(e->pairs[i], pair, name) == 0) {
            free(e->pairs[i]);
            e->pairs[i] = copy;
            return;
        }
    }
    if (!copy || e->count == ENV_MAX) {
        free(copy);
        e->failed = true;
        return;
    }
    e->pairs[e->count++] = copy;
    e->pairs[e->count] = NULL;
}

static void env_set(environment *e, const char *name, const char *value)
{
    size_t n = strlen(name) + strlen(value) + 2;
    char *pair = malloc(n);
    if (!pair) {
        e->failed = true;
        return;
    }
    (void)snprintf(pair, n, "%s=%s", name, value);
    env_pair(e, pair);
    free(pair);
}

/* What only we may say: neither client nor user must say it where we say nothing. */
static void env_drop(environment *e, const char *name)
{
    size_t n = strlen(name);
    for (size_t i = 0; i < e->count; i++) {
        if (strncmp(e->pairs[i], name, n) == 0 && e->pairs[i][n] == '=') {
            free(e->pairs[i]);
            e->pairs[i] = e->pairs[--e->count]; /* each name is there once */
            e->pairs[e->count] = NULL;
            return;
        }
    }
}

static void env_clear(environment *e)
{
    for (size_t i = 0; i < e->count; i++) {
        free(e->pairs[i]);
    }
    e->count = 0;
}

static void env_of_connection(environment *e, const login *l)
{
    const nacre_endpoint *peer = nacre_server_conn_peer(l->c);
    const nacre_endpoint *local = nacre_server_conn_local(l->c);
    char text[256];
    (void)snprintf(text, sizeof(text), "%s %u %u", peer->address, peer->port, local->port);
    env_set(e, "SSH_CLIENT", text);
    (void)snprintf(text, sizeof(text), "%s %u %s %u", peer->address, peer->port, local->address,
                   local->port);
    env_set(e, "SSH_CONNECTION", text);
}

static void env_term(environment *e, const nacre_pty *pty)
{
    char term[256];
    if (pty && pty->term.n > 0 && pty->term.n < sizeof(term)) {
        memcpy(term, pty->term.p, pty->term.n);
        term[pty->term.n] = '\0';
        env_set(e, "TERM", term);
    }
}

static void env_from_file(void *user, const char *pair)
{
    env_pair(user, pair);
}

/* The client's wishes first, so that they cannot replace what the system says. */
static void env_make(environment *e, const login *l, nacre_channel *ch, const char *original)
{
    const nacre_account *a = l->account;
    char mail[512];
    memset(e, 0, sizeof(*e));
    for (char *const *p = nacre_server_session_env(l->c, ch); *p; p++) {
        env_pair(e, *p);
    }
    env_set(e, "USER", a->name);
    env_set(e, "LOGNAME", a->name);
    env_set(e, "HOME", a->home);
    env_set(e, "PATH", a->uid == 0 ? path_root : path_user);
    (void)snprintf(mail, sizeof(mail), "/var/mail/%s", a->name);
    env_set(e, "MAIL", mail);
    env_set(e, "SHELL", a->shell);
    login_system_pairs(env_from_file, e);
    if (getenv("TZ")) {
        env_set(e, "TZ", getenv("TZ"));
    }
    for (const char *p = l->grant.environment; *p; p += strlen(p) + 1) {
        if (nacre_sshd_config_user_env(l->config, p)) {
            env_pair(e, p);
        }
    }
    login_user_pairs(l, env_from_file, e);
    env_drop(e, "SSH_ORIGINAL_COMMAND");
    env_drop(e, "SSH_TTY");
    env_drop(e, "SSH_USER_AUTH");
    for (size_t i = 0; i < l->s->set_env.count; i++) {
        env_pair(e, l->s->set_env.items[i]);
    }
    env_of_connection(e, l);
    env_term(e, nacre_server_session_pty(l->c, ch));
    if (l->auth_info[0]) {
        env_set(e, "SSH_USER_AUTH", l->auth_info);
    }
    const char *agent, *display;
    agentx11_env(l, ch, &agent, &display);
    if (agent) {
        env_set(e, "SSH_AUTH_SOCK", agent);
    }
    if (display) {
        env_set(e, "DISPLAY", display);
    }
    if (original) {
        env_set(e, "SSH_ORIGINAL_COMMAND", original);
    }
}

/* ---- programs ---------------------------------------------------------------------------------------------- */

static void log_start(const login *l, const char *what, const char *command)
{
    const nacre_endpoint *peer = nacre_server_conn_peer(l->c);
    say(LOG_LEVEL_VERBOSE, "Starting session: %s%s%s for %s from %s port %u", what,
        command ? " " : "", command ? plain_text(command) : "", plain_text(l->user), peer->address,
        peer->port);
}

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

/*
 * command NULL: a login shell. original: what the client asked for when something else is run. subsystem: that was
 * one, whose protocol no script of the user's shall disturb.
 */
static nacre_verdict run(login *l, nacre_channel *ch, const char *command, const char *original,
                         bool terminal, bool subsystem)
{
    environment e;
    char name[256];
    nacre_error why = {0};
    nacre_spawn_options o;
    const nacre_pty *pty = terminal ? nacre_server_session_pty(l->c, ch) : NULL;
    (void)snprintf(name, sizeof(name), "%s%s", command ? "" : "-", base_name(l->account->shell));
    char flag[] = "-c";
    login_script_words script;
    char *text = command ? strdup(command) : NULL;
    char *argv[] = {name, command ? flag : NULL, text, NULL};
    env_make(&e, l, ch, original);
    nacre_spawn_options_init(&o);
    o.program = l->account->shell;
    o.argv = argv;
    o.envp = e.pairs;
    o.cwd = l->account->home;
    o.cwd_optional = true;
    o.umask = (int)l->d->umask;
    o.new_session = true;
    o.before = login_script(l, subsystem, &script) ? script.argv : NULL;
    o.stdio = NACRE_STDIO_PIPES;
    if (pty) {
        o.stdio = NACRE_STDIO_PTY;
        o.pty = *pty;
        o.pty_env = "SSH_TTY";
    }
    int rc = e.failed || (command && !text) ? NACRE_NO_MEMORY
                                            : nacre_server_spawn(l->c, ch, &o, NULL, &why);
    if (rc != NACRE_OK) {
        say(LOG_LEVEL_ERROR, "cannot start a session for %s: %s", plain_text(l->user),
            why.text[0] ? why.text : nacre_status_text(rc));
    }
    env_clear(&e);
    free(text);
    return rc == NACRE_OK ? NACRE_ACCEPT : NACRE_REFUSE;
}

/* ---- SFTP ------------------------------------------------------------------------------------------------------ */

static void sftp_done(void *backend)
{
    nacre_local_files_free(backend);
}

static bool is_internal_sftp(const char *command)
{
    static const char name[] = "internal-sftp";
    size_t n = sizeof(name) - 1;
    return command && strncmp(command, name, n) == 0 &&
           (command[n] == '\0' || command[n] == ' ' || command[n] == '\t');
}

static bool sftp_options(const char *command, char *words, size_t size, sftp_args *a)
{
    char *argv[ARGS_MAX];
    int argc = 0;
    char *rest = NULL;
    const char *wrong = NULL;
    int n = snprintf(words, size, "%s", command);
    if (n < 0 || (size_t)n >= size) {
        return false;
    }
    for (char *w = strtok_r(words, " \t", &rest); w; w = strtok_r(NULL, " \t", &rest)) {
        if (argc == ARGS_MAX) {
            return false;
        }
        argv[argc++] = w;
    }
    if (!sftp_args_parse(a, argc, argv, &wrong)) {
        say(LOG_LEVEL_ERROR, "internal-sftp: %s", wrong);
        return false;
    }
    return true;
}

static nacre_verdict run_sftp(login *l, nacre_channel *ch, const char *command)
{
    char words[4096], start[4096];
    sftp_args a;
    nacre_error why = {0};
    nacre_local_files *files = NULL;
    nacre_local_files_options lo;
    nacre_sftp_server_options so;
    const char *where = l->account->home;
    if (!sftp_options(command, words, sizeof(words), &a)) {
        return NACRE_REFUSE;
    }
    if (a.start) {
        if (!sftp_args_start(a.start, l->account->name, l->account->home, start, sizeof(start))) {
            return NACRE_REFUSE;
        }
        where = start;
    }
    nacre_local_files_options_init(&lo);
    nacre_sftp_server_options_init(&so);
    /* As OpenSSH: who cannot enter his home begins at the root. */
    lo.start = access(where, X_OK) == 0 ? where : "/";
    lo.read_only = so.read_only = a.read_only;
    lo.umask = a.umask >= 0 ? a.umask : (int)l->d->umask;
    so.allow = a.allow;
    so.deny = a.deny;
    so.log = log_engine;
    so.log_level = log_engine_level();
    int rc = nacre_local_files_new(&files, &lo, &why);
    if (rc == NACRE_OK) {
        rc = nacre_server_sftp(l->c, ch, nacre_local_files_ops(), files, &so, sftp_done, &why);
    }
    if (rc != NACRE_OK) {
        say(LOG_LEVEL_ERROR, "cannot serve SFTP: %s",
            why.text[0] ? why.text : nacre_status_text(rc));
        nacre_local_files_free(files);
        return NACRE_REFUSE;
    }
    return NACRE_ACCEPT;
}

/* ---- SCP ------------------------------------------------------------------------------------------------------- */

/*
 * Who has one of these may run any program, so serving scp without it grants nothing. Others (nologin, git's
 * or a restricted shell) may be there to forbid just that, and are asked.
 */
static bool has_plain_shell(const login *l)
{
    static const char *const shells[] = {"sh",   "bash", "dash", "ash", "ksh", "ksh93",
                                         "mksh", "zsh",  "fish", "csh", "tcsh"};
    const char *name = base_name(l->account->shell);
    for (size_t i = 0; i < sizeof(shells) / sizeof(shells[0]); i++) {
        if (strcmp(name, shells[i]) == 0) {
            return access(l->account->shell, X_OK) == 0;
        }
    }
    return false;
}

/* The server's half of scp, where that is all that the command says; the machine may have no scp. */
static bool run_scp(const login *l, nacre_channel *ch, const char *command)
{
    nacre_error why = {0};
    nacre_server_scp_options o;
    if (strncmp(command, "scp ", 4) != 0 || !has_plain_shell(l) ||
        nacre_server_session_pty(l->c, ch)) {
        return false;
    }
    nacre_server_scp_options_init(&o);
    o.start = access(l->account->home, X_OK) == 0 ? l->account->home : "/";
    o.home = l->account->home;
    o.umask = (int)l->d->umask;
    int rc = nacre_server_scp(l->c, ch, command, &o, &why);
    if (rc != NACRE_OK) {
        say(LOG_LEVEL_DEBUG, "%s: left to the shell", why.text);
    }
    return rc == NACRE_OK;
}

/* ---- requests -------------------------------------------------------------------------------------------------- */

static const char *forced_command(const login *l)
{
    if (l->s->force_command) {
        return l->s->force_command;
    }
    return l->grant.command[0] ? l->grant.command : NULL;
}

/* The forced command instead of what was asked; NULL in asked: a shell was. */
static nacre_verdict run_forced(login *l, nacre_channel *ch, const char *asked, bool subsystem)
{
    const char *forced = forced_command(l);
    if (is_internal_sftp(forced)) {
        log_start(l, "forced-command", forced);
        return run_sftp(l, ch, forced);
    }
    log_start(l, "forced-command", forced);
    return run(l, ch, forced, asked, true, subsystem);
}

static char *text_of(nacre_span s)
{
    char *text = s.n <= COMMAND_MAX ? malloc(s.n + 1) : NULL;
    if (text) {
        memcpy(text, s.n ? (const char *)s.p : "", s.n);
        text[s.n] = '\0';
    }
    return text;
}

static nacre_verdict on_pty(void *user, nacre_server_conn *c, const nacre_event *ev)
{
    const login *l = nacre_server_conn_user(c);
    (void)user;
    (void)ev;
    return l->may & NACRE_MAY_PTY ? NACRE_ACCEPT : NACRE_REFUSE;
}

static nacre_verdict on_env(void *user, nacre_server_conn *c, const nacre_event *ev)
{
    const login *l = nacre_server_conn_user(c);
    (void)user;
    return nacre_sshd_config_accepts_env(l->config, ev->u.request.command) ? NACRE_ACCEPT
                                                                           : NACRE_REFUSE;
}

static nacre_verdict on_exec(void *user, nacre_server_conn *c, const nacre_event *ev)
{
    login *l = nacre_server_conn_user(c);
    nacre_verdict v = NACRE_REFUSE;
    char *command = text_of(ev->u.request.command);
    (void)user;
    if (command && forced_command(l)) {
        v = run_forced(l, ev->channel, command, false);
    } else if (command) {
        log_start(l, "command", NULL);
        v = run_scp(l, ev->channel, command) ? NACRE_ACCEPT
                                             : run(l, ev->channel, command, NULL, true, false);
    }
    free(command);
    return v;
}

static nacre_verdict on_shell(void *user, nacre_server_conn *c, const nacre_event *ev)
{
    login *l = nacre_server_conn_user(c);
    const nacre_pty *pty = nacre_server_session_pty(c, ev->channel);
    (void)user;
    if (forced_command(l)) {
        return run_forced(l, ev->channel, NULL, false);
    }
    log_start(l, "shell", NULL);
    if (!pty || (!l->s->print_motd && !l->s->print_last_log) || ev->ticket == 0) {
        return run(l, ev->channel, NULL, NULL, true, false);
    }
    /* The yes must be on its way before the first byte is. */
    (void)nacre_transport_accept(nacre_server_conn_transport(c), ev->ticket);
    greet(l, ev->channel);
    if (run(l, ev->channel, NULL, NULL, true, false) != NACRE_ACCEPT) {
        (void)nacre_channel_close(ev->channel);
    }
    return NACRE_LATER;
}

static nacre_verdict on_subsystem(void *user, nacre_server_conn *c, const nacre_event *ev)
{
    login *l = nacre_server_conn_user(c);
    const nacre_sshd_settings *s = l->s;
    (void)user;
    for (size_t i = 0; i < s->subsystem_count; i++) {
        const nacre_sshd_subsystem *sub = &s->subsystems[i];
        if (strlen(sub->name) != ev->u.request.command.n ||
            memcmp(sub->name, ev->u.request.command.p, ev->u.request.command.n) != 0) {
            continue;
        }
        if (forced_command(l)) {
            return run_forced(l, ev->channel, sub->command, true);
        }
        log_start(l, "subsystem", sub->name);
        return is_internal_sftp(sub->command)
                   ? run_sftp(l, ev->channel, sub->command)
                   : run(l, ev->channel, sub->command, NULL, false, true);
    }
    say(LOG_LEVEL_INFO, "subsystem request for %s by user %s failed, subsystem not found",
        plain(ev->u.request.command), plain_text(l->user));
    return NACRE_REFUSE;
}

static nacre_verdict on_window_change(void *user, nacre_server_conn *c, const nacre_event *ev)
{
    (void)user;
    return nacre_server_resize(c, ev->channel, &ev->u.request.pty) == NACRE_OK ? NACRE_ACCEPT
                                                                               : NACRE_REFUSE;
}

/* Signals by name; a break is its terminal's business. */
static nacre_verdict on_signal(void *user, nacre_server_conn *c, const nacre_event *ev)
{
    const login *l = nacre_server_conn_user(c);
    static const char brk[] = "break";
    (void)user;
    if (ev->u.request.name.n == sizeof(brk) - 1 &&
        memcmp(ev->u.request.name.p, brk, sizeof(brk) - 1) == 0) {
        return nacre_server_break(c, ev->channel) == NACRE_OK ? NACRE_ACCEPT : NACRE_REFUSE;
    }
    char *name = text_of(ev->u.request.command);
    nacre_verdict v = NACRE_REFUSE;
    /* Who is confined to one command must not be able to kill it at a moment of his choice. */
    if (name && !forced_command(l) && nacre_server_signal(c, ev->channel, name) == NACRE_OK) {
        v = NACRE_ACCEPT;
    }
    free(name);
    return v;
}

void session_callbacks(nacre_server_callbacks *cb)
{
    cb->pty = on_pty;
    cb->env = on_env;
    cb->exec = on_exec;
    cb->shell = on_shell;
    cb->subsystem = on_subsystem;
    cb->window_change = on_window_change;
    cb->signal = on_signal;
}
