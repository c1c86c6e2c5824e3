/*
 * sftp_connect.c - the way to the server: the library's own connection, an ssh program's stdin and stdout,
 * or an SFTP server program on this machine.
 */
#include "sftp_connect.h"

#include "sftp/words.h"
#include "ssh_setup.h"

#include "nacre/mux.h"
#include "nacre/process.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/wait.h>
#include <unistd.h>

struct connection {
    ssh_setup setup;
    bool has_setup;
    nacre_client *client;
    nacre_sftp *s;
    pid_t child; /* 0: none */
};

static void *keep(void *p)
{
    if (!p) {
        fputs("out of memory\n", stderr);
        exit(255);
    }
    return p;
}

static bool complain(const connect_options *o, const char *text)
{
    fflush(stdout); /* in the order in which things happened, also in one file */
    fprintf(stderr, "%s: %s\n", o->name, text);
    return false;
}

static void show_stderr(void *user, nacre_span text)
{
    (void)user;
    char line[2048];
    while (text.n > 0) {
        size_t n = text.n < 500 ? text.n : 500;
        const uint8_t *end = memchr(text.p, '\n', n);
        n = end ? (size_t)(end - text.p) : n;
        nacre_span part = {text.p, n && text.p[n - 1] == '\r' ? n - 1 : n};
        nacre_escape(line, sizeof(line), part);
        fprintf(stderr, "%s%s", line, end ? "\n" : "");
        n += end ? 1 : 0;
        text.p += n;
        text.n -= n;
    }
}

static void fill_options(nacre_sftp_options *so, const connect_options *o)
{
    nacre_sftp_options_init(so);
    so->max_data = o->max_data;
    so->on_stderr = show_stderr;
    if (o->subsystem && strchr(o->subsystem, '/')) {
        so->command = o->subsystem; /* -s with a path is a program over there */
    } else {
        so->subsystem = o->subsystem;
    }
}

/* ---- over the library --------------------------------------------------------------------------------- */

static bool set_up(ssh_setup *s, const connect_options *o)
{
    nacre_error why = {0};
    char port[8];
    nacre_ssh_config *conf = NULL;
    if (setup_init(s, o->name) != NACRE_OK ||
        nacre_ssh_config_new(&conf, NULL, o->host, o->user) != NACRE_OK) {
        complain(o, "out of memory");
        return false;
    }
    nacre_ssh_config_free(s->conf);
    s->conf = conf;
    snprintf(s->dest.host, sizeof(s->dest.host), "%s", o->host);
    s->config_file = o->config_file;
    s->verbosity = o->verbose;
    s->batch = o->batch;
    s->loop = o->loop;
    int rc = NACRE_OK;
    if (o->user) {
        snprintf(s->dest.user, sizeof(s->dest.user), "%s", o->user);
        rc = nacre_ssh_config_set(s->conf, "User", o->user, &why);
    }
    if (rc == NACRE_OK && o->port) {
        s->dest.port = o->port;
        snprintf(port, sizeof(port), "%u", o->port);
        rc = nacre_ssh_config_set(s->conf, "Port", port, &why);
    }
    for (size_t i = 0; i < o->o_count && rc == NACRE_OK; i++) {
        rc = nacre_ssh_config_option(s->conf, o->o[i], &why);
    }
    if (rc != NACRE_OK) {
        complain(o, why.text);
        return false;
    }
    /* For Match command and sessiontype it is what sftp makes ssh do. */
    bool by_path = o->subsystem && strchr(o->subsystem, '/');
    s->command = o->subsystem ? o->subsystem : "sftp";
    if (!by_path && nacre_ssh_config_set(s->conf, "SessionType", "subsystem", &why) != NACRE_OK) {
        complain(o, why.text);
        return false;
    }
    return setup_load(s);
}

/* ControlPath: by the connection of a master that is there. False: by one of our own. */
static bool join_master(ssh_setup *s, nacre_client **client)
{
    char path[SETUP_PATH_MAX];
    nacre_mux *x = NULL;
    nacre_error why = {0};
    int fd = -1;
    const char *text = nacre_ssh_config_get(s->conf, "ControlPath");
    uint64_t seconds = nacre_ssh_config_number(s->conf, "ConnectTimeout", 0);
    uint32_t ms = seconds > UINT32_MAX / 1000 ? UINT32_MAX : (uint32_t)seconds * 1000;
    if (!text || strcasecmp(text, "none") == 0 ||
        !setup_expand(s, "ControlPath", text, path, sizeof(path))) {
        return false;
    }
    int rc = nacre_mux_connect(&x, path, ms, NULL, &why);
    rc = rc == NACRE_OK ? nacre_mux_proxy(x, &fd) : rc;
    if (rc == NACRE_OK && nacre_client_new(client, &s->cfg, &why) == NACRE_OK &&
        nacre_client_connect_proxied(*client, fd, s->host, s->port) != NACRE_OK) {
        nacre_client_free(*client);
        *client = NULL;
    }
    if (!*client) {
        setup_debug(s, 1, "no shared connection at %s: %s", path,
                    x ? nacre_mux_error(x)->text : why.text);
    }
    if (fd >= 0 && !*client) {
        (void)close(fd);
    }
    nacre_mux_free(x);
    return *client != NULL;
}

static bool log_in(connection *c, const connect_options *o)
{
    c->has_setup = true;
    if (!set_up(&c->setup, o)) {
        return false;
    }
    if (!join_master(&c->setup, &c->client) && !setup_connect(&c->setup, &c->client)) {
        return false;
    }
    setup_quality(&c->setup, c->client, false);
    return true;
}

static bool open_client(connection *c, const connect_options *o)
{
    nacre_sftp_options so;
    nacre_error why = {0};
    if (!log_in(c, o)) {
        return false;
    }
    fill_options(&so, o);
    if (nacre_sftp_open(&c->s, c->client, &so, &why) != NACRE_OK) {
        complain(o, why.text);
        return false;
    }
    return true;
}

/* ---- over a program ----------------------------------------------------------------------------------- */

static bool open_program(connection *c, char *const *argv, const connect_options *o)
{
    nacre_spawn_options so;
    nacre_sftp_options fo;
    nacre_process p;
    nacre_error why = {0};
    nacre_spawn_options_init(&so);
    so.argv = argv;
    so.stdio = NACRE_STDIO_SOCKETS;
    so.keep_stderr = true;
    /* Away from the terminal and its ^C. */
    so.new_session = o->server != NULL;
    if (nacre_spawn(&so, &p, &why) != NACRE_OK) {
        complain(o, why.text);
        return false;
    }
    c->child = p.pid;
    fill_options(&fo, o);
    if (nacre_sftp_open_pipe(&c->s, p.out, p.in, &fo, &why) != NACRE_OK) {
        nacre_process_close(&p);
        complain(o, why.text);
        return false;
    }
    return true;
}

static bool open_server(connection *c, const connect_options *o)
{
    words w;
    const char *why;
    if (!words_split(o->server, &w, &why) || w.count == 0) {
        return complain(o, w.count == 0 ? "-D names no program" : why);
    }
    char **argv = keep(calloc(w.count + 1, sizeof(*argv)));
    for (size_t i = 0; i < w.count; i++) {
        argv[i] = w.at[i].text;
    }
    bool good = open_program(c, argv, o);
    free(argv);
    words_free(&w);
    return good;
}

/*
 * ^C in a terminal goes to every program in it, and is for the transfer and not for the connection. The words
 * that follow are the shell's arguments, never its text.
 */
static const char *const shield[] = {"/bin/sh", "-c", "trap '' INT; exec \"$@\"", "sh"};

/* As sftp(1) calls ssh: nothing that would come between SFTP and its pipe. */
static const char *const quiet_options[] = {"-oForwardX11=no", "-oPermitLocalCommand=no",
                                            "-oClearAllForwardings=yes", "-oControlMaster=no"};

static bool open_ssh(connection *c, const connect_options *o)
{
    size_t fixed = sizeof(quiet_options) / sizeof(quiet_options[0]);
    size_t shielded = isatty(STDIN_FILENO) ? sizeof(shield) / sizeof(shield[0]) : 0;
    char **argv = keep(calloc(fixed + o->ssh_option_count + 24, sizeof(*argv)));
    size_t n = 0;
    char port[8];
    bool by_path = o->subsystem && strchr(o->subsystem, '/');
    snprintf(port, sizeof(port), "%u", o->port);
    for (size_t i = 0; i < shielded; i++) {
        argv[n++] = (char *)(uintptr_t)shield[i];
    }
    argv[n++] = (char *)(uintptr_t)o->program;
    for (size_t i = 0; i < fixed; i++) {
        argv[n++] = (char *)(uintptr_t)quiet_options[i];
    }
    for (size_t i = 0; i < o->ssh_option_count; i++) {
        argv[n++] = (char *)(uintptr_t)o->ssh_options[i];
    }
    /* Behind the user's own options, because the first value counts. */
    argv[n++] = (char *)(uintptr_t) "-oForwardAgent=no";
    if (o->user) {
        argv[n++] = (char *)(uintptr_t) "-l";
        argv[n++] = (char *)(uintptr_t)o->user;
    }
    if (o->port) {
        argv[n++] = (char *)(uintptr_t) "-p";
        argv[n++] = port;
    }
    if (!by_path) {
        argv[n++] = (char *)(uintptr_t) "-s";
    }
    argv[n++] = (char *)(uintptr_t) "--";
    argv[n++] = (char *)(uintptr_t)o->host;
    argv[n++] = (char *)(uintptr_t)(o->subsystem ? o->subsystem : "sftp");
    bool good = open_program(c, argv, o);
    free(argv);
    return good;
}

/* ---- both --------------------------------------------------------------------------------------------- */

nacre_sftp *connection_open(connection **out, const connect_options *o)
{
    connection *c = keep(calloc(1, sizeof(*c)));
    bool good = o->server ? open_server(c, o) : o->program ? open_ssh(c, o) : open_client(c, o);
    if (!good) {
        connection_close(c);
        return NULL;
    }
    *out = c;
    return c->s;
}

nacre_client *connection_login(connection **out, const connect_options *o)
{
    connection *c = keep(calloc(1, sizeof(*c)));
    if (!log_in(c, o)) {
        connection_close(c);
        return NULL;
    }
    *out = c;
    return c->client;
}

void connection_close(connection *c)
{
    int status;
    if (!c) {
        return;
    }
    nacre_sftp_close(c->s); /* with its pipes, so that the program ends */
    if (c->client) {
        nacre_client_disconnect(c->client);
        nacre_client_free(c->client);
    }
    if (c->has_setup) {
        setup_clear(&c->setup);
    }
    if (c->child > 0) {
        (void)waitpid(c->child, &status, 0);
    }
    free(c);
}

int connection_child(const connection *c)
{
    return (int)c->child;
}

nacre_client *connection_client(const connection *c)
{
    return c->client;
}
