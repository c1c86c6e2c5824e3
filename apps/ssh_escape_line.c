/*
 * ssh_escape_line.c - ~C: a line that is typed in the middle of a session, to add and cancel forwardings and to run a
 * command here.
 */
#include "ssh_escape.h"

#include "ssh_forward.h"

#include <ctype.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

static const struct {
    char letter;
    nacre_forward_kind kind;
    const char *what, *cancel, *name;
} kinds[] = {
    {'L', NACRE_FORWARD_LOCAL, "[bind_address:]port:host:hostport", "[bind_address:]port", "local"},
    {'R', NACRE_FORWARD_REMOTE, "[bind_address:]port:host:hostport", "[bind_address:]port",
     "remote"},
    {'D', NACRE_FORWARD_DYNAMIC, "[bind_address:]port", "[bind_address:]port", "dynamic"},
};
enum { KINDS = sizeof(kinds) / sizeof(kinds[0]) };

static void show_help(void)
{
    (void)fprintf(stderr, "Commands:\n");
    for (size_t i = 0; i < KINDS; i++) {
        (void)fprintf(stderr, "      -%c%-38s Request %s forward\n", kinds[i].letter, kinds[i].what,
                      kinds[i].name);
    }
    for (size_t i = 0; i < KINDS; i++) {
        (void)fprintf(stderr, "      -K%c%-37s Cancel %s forward\n", kinds[i].letter,
                      kinds[i].cancel, kinds[i].name);
    }
    (void)fprintf(stderr, "      !args                                    Execute local command\n");
}

/* ---- adding ---- */

static void add(ssh_escape *e, nacre_forward_kind kind, const char *what)
{
    nacre_forward_options o;
    nacre_forward_text text;
    nacre_error why = {0};
    nacre_forward_options_init(&o);
    if (nacre_forward_parse(kind, what, &o, &text, &why) != NACRE_OK) {
        (void)fprintf(stderr, "Bad forwarding specification: %s\n", why.text);
    } else if (forward_add(e->session->setup, e->session->client, &o)) {
        (void)fprintf(stderr, "Forwarding port.\n");
        nacre_driver_kick(nacre_client_driver(e->session->client));
    }
}

/* ---- cancelling ---- */

static bool same_host(const char *wanted, const char *given)
{
    return !wanted || (given && strcasecmp(wanted, given) == 0);
}

static bool is_meant(const nacre_forward *f, nacre_forward_kind kind, const nacre_forward_end *end)
{
    const nacre_forward_options *o = nacre_forward_get_options(f);
    nacre_forward_kind plain =
        o->kind == NACRE_FORWARD_REMOTE_DYNAMIC ? NACRE_FORWARD_REMOTE : o->kind;
    if (plain != kind) {
        return false;
    }
    if (end->path || o->listen.path) {
        return end->path && o->listen.path && strcmp(end->path, o->listen.path) == 0;
    }
    return (end->port == o->listen.port || end->port == nacre_forward_port(f)) &&
           same_host(end->host, o->listen.host);
}

static void cancel(ssh_escape *e, nacre_forward_kind kind, const char *what)
{
    nacre_client *c = e->session->client;
    nacre_forward_options o;
    nacre_forward_text text;
    nacre_error why = {0};
    nacre_forward_options_init(&o);
    if (what[0] == '/') {
        o.listen.path = what;
    } else if (nacre_forward_parse(NACRE_FORWARD_DYNAMIC, what, &o, &text, &why) != NACRE_OK) {
        (void)fprintf(stderr, "Bad forwarding close specification: %s\n", why.text);
        return;
    }
    for (nacre_forward *f = nacre_client_next_forward(c, NULL); f;
         f = nacre_client_next_forward(c, f)) {
        if (is_meant(f, kind, &o.listen)) {
            nacre_forward_cancel(f);
            nacre_driver_kick(nacre_client_driver(c));
            (void)fprintf(stderr, "Canceled forwarding.\n");
            return;
        }
    }
    (void)fprintf(stderr, "Unknown port forwarding.\n");
}

/* ---- the line ---- */

static void run_here(const ssh_setup *s, const char *command)
{
    nacre_error why = {0};
    int status = 0;
    if (!nacre_ssh_config_yes(s->conf, "PermitLocalCommand", false)) {
        (void)fprintf(stderr, "PermitLocalCommand is not set.\n");
    } else if (nacre_shell_run(command, false, &status, &why) != NACRE_OK) {
        (void)fprintf(stderr, "%s\n", why.text);
    }
}

static const char *skip_blanks(const char *p)
{
    return p + strspn(p, " \t");
}

static void obey(ssh_escape *e, const char *line)
{
    const char *p = skip_blanks(line);
    if (*p == '!') {
        run_here(e->session->setup, skip_blanks(p + 1));
        return;
    }
    p += *p == '-' ? 1 : 0;
    if (!*p) {
        return;
    }
    if (strchr("hH?", *p)) {
        show_help();
        return;
    }
    bool end = toupper((unsigned char)*p) == 'K';
    p += end ? 1 : 0;
    for (size_t i = 0; *p && i < KINDS; i++) {
        if (kinds[i].letter == toupper((unsigned char)*p)) {
            (end ? cancel : add)(e, kinds[i].kind, skip_blanks(p + 1));
            return;
        }
    }
    (void)fprintf(stderr, "Invalid command.\n");
}

void escape_line(ssh_escape *e)
{
    struct sigaction ignored = {.sa_handler = SIG_IGN}, before;
    char *line = NULL;
    nacre_error why = {0};
    sigemptyset(&ignored.sa_mask);
    nacre_tty_restore(e->tty);
    /* Ctrl-C takes back what was typed, and not the session. */
    bool held = sigaction(SIGINT, &ignored, &before) == 0;
    int rc = nacre_tty_ask("\nssh> ", true, false, &line, &why);
    if (held) {
        (void)sigaction(SIGINT, &before, NULL);
    }
    if (rc == NACRE_OK) {
        obey(e, line);
    }
    nacre_tty_forget(line);
    if (e->tty && nacre_tty_resume(e->tty) != NACRE_OK) {
        setup_say(e->session->setup, "the terminal could not be put into raw mode again");
    }
    e->resumed(e->user);
}
