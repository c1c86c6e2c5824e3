/*
 * main.c - nacre-sftp: the command line, and the lines of commands, from a person or a batch.
 */
#include "app.h"

#include "../sftp_connect.h"
#include "commands.h"
#include "nacre/ssh_config.h"

#include <ctype.h>
#include <errno.h>
#include <histedit.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

enum { FAILED = 1, NO_CONNECTION = 255 };

static app the_app;

typedef struct arguments {
    connect_options c;
    const char *batch_file;
    bool noisy;       /* -N: not quiet in spite of -b and -q, wherever they stand */
    char **ssh_words; /* for -S */
    size_t ssh_count;
    char **o;
    size_t o_count;
    char *user, *host, *path;
    const char *local; /* where path goes */
} arguments;

static void usage(void)
{
    fputs("usage: nacre-sftp [-46aCfNpqrv] [-B buffer_size] [-b batchfile] [-c cipher]\n"
          "          [-D sftp_server_command] [-F ssh_config] [-i identity_file]\n"
          "          [-J destination] [-l limit] [-o ssh_option] [-P port]\n"
          "          [-R num_requests] [-S program] [-s subsystem | sftp_server]\n"
          "          destination [local_path]\n",
          stderr);
    exit(FAILED);
}

static void add(char ***list, size_t *count, char *taken)
{
    *list = keep(realloc(*list, (*count + 1) * sizeof(**list)));
    (*list)[(*count)++] = taken;
}

/* An option of ssh: for the library as Keyword=value, for a program as it stands. */
static void pass(arguments *g, char *keyword_value, const char *flag, const char *value)
{
    if (keyword_value) {
        add(&g->o, &g->o_count, keyword_value);
    }
    add(&g->ssh_words, &g->ssh_count, keep(strdup(flag)));
    if (value) {
        add(&g->ssh_words, &g->ssh_count, keep(strdup(value)));
    }
}

static uint64_t number(char option, const char *text, uint64_t min, uint64_t max)
{
    char *end;
    errno = 0;
    unsigned long long n = strtoull(text, &end, 10);
    if (!isdigit((unsigned char)*text) || *end || errno || n < min || n > max) {
        complain("nacre-sftp: -%c %s: not a number that fits here", option, shown(text));
        exit(FAILED);
    }
    return n;
}

static const char *not_none(const char *text)
{
    return strcasecmp(text, "none") == 0 ? NULL : text;
}

/* Options that set something of our own; false: not one of them. */
static bool own_option(arguments *g, int letter, const char *value)
{
    app *a = &the_app;
    switch (letter) {
    case 'a':
        a->resume = true;
        return true;
    case 'B':
        g->c.max_data = (uint32_t)number('B', value, 1, 64 * 1024 * 1024);
        return true;
    case 'b':
        g->batch_file = value;
        return true;
    case 'D':
        g->c.server = value;
        return true;
    case 'f':
        a->sync = true;
        return true;
    case 'l':
        a->rate = number('l', value, 1, 1000u * 1000 * 1000) * 1024 / 8;
        return true;
    case 'N':
        g->noisy = true;
        return true;
    case 'p':
        a->preserve = true;
        return true;
    case 'R':
        a->requests = (uint32_t)number('R', value, 1, UINT32_MAX);
        return true;
    case 'r':
        a->recursive = true;
        return true;
    case 'S':
        g->c.program = not_none(value);
        return true;
    case 's':
        g->c.subsystem = value;
        return true;
    default:
        return false;
    }
}

static void ssh_option(arguments *g, int letter, const char *value)
{
    char flag[3] = {'-', (char)letter, '\0'};
    switch (letter) {
    case '4':
    case '6':
        pass(g, text_of("AddressFamily=%s", letter == '4' ? "inet" : "inet6"), flag, NULL);
        break;
    case 'C':
        pass(g, text_of("Compression=yes"), flag, NULL);
        break;
    case 'c':
        pass(g, text_of("Ciphers=%s", value), flag, value);
        break;
    case 'F':
        g->c.config_file = value;
        pass(g, NULL, flag, value);
        break;
    case 'i':
        pass(g, text_of("IdentityFile=\"%s\"", value), flag, value);
        break;
    case 'J':
        pass(g, text_of("ProxyJump=%s", value), flag, value);
        break;
    case 'o':
        pass(g, keep(strdup(value)), flag, value);
        break;
    case 'P':
        g->c.port = (uint16_t)number('P', value, 1, 65535);
        break;
    case 'q':
        g->c.verbose = -1;
        the_app.quiet = true;
        pass(g, NULL, flag, NULL);
        break;
    case 'v':
        g->c.verbose = g->c.verbose < 3 ? g->c.verbose + 1 : 3;
        pass(g, NULL, flag, NULL);
        break;
    default:
        break;
    }
}

/* ---- the destination ---------------------------------------------------------------------------------- */

/* "[user@]host[:path]", host in brackets when it holds colons. */
static bool plain_destination(arguments *g, const char *text)
{
    nacre_destination d;
    nacre_error why = {0};
    const char *at = strrchr(text, '@');
    const char *p = at ? at + 1 : text;
    const char *bracket = *p == '[' ? strchr(p, ']') : NULL;
    const char *colon = strchr(bracket ? bracket : p, ':');
    char *front = keep(colon ? strndup(text, (size_t)(colon - text)) : strdup(text));
    if (colon && colon[1]) {
        g->path = keep(strdup(colon + 1));
    }
    int rc = nacre_parse_destination(front, &d, &why);
    free(front);
    if (rc != NACRE_OK) {
        complain("nacre-sftp: %s", why.text);
        return false;
    }
    g->host = keep(strdup(d.host));
    g->user = *d.user ? keep(strdup(d.user)) : NULL;
    return true;
}

static bool uri_destination(arguments *g, const char *text)
{
    nacre_destination d;
    nacre_error why = {0};
    if (nacre_parse_destination(text, &d, &why) != NACRE_OK) {
        complain("nacre-sftp: %s", why.text);
        return false;
    }
    g->host = keep(strdup(d.host));
    g->user = *d.user ? keep(strdup(d.user)) : NULL;
    g->c.port = d.port ? d.port : g->c.port;
    /* The path of a URI begins where one logs in: its first slash only parts it from the host. */
    const char *path = d.path[0] == '/' ? d.path + 1 : d.path;
    g->path = *path ? keep(strdup(path)) : NULL;
    return true;
}

static void parse(arguments *g, int argc, char **argv)
{
    int letter;
    the_app.show_progress = true;
    while ((letter = getopt(argc, argv, "46aB:b:Cc:D:F:fi:J:l:No:P:pqR:rS:s:v")) != -1) {
        if (letter == '?') {
            usage();
        }
        if (!own_option(g, letter, optarg)) {
            ssh_option(g, letter, optarg);
        }
    }
    if (g->c.server) {
        if (optind != argc) {
            usage();
        }
        return;
    }
    if (optind == argc || optind + 2 < argc) {
        usage();
    }
    const char *text = argv[optind];
    g->local = argv[optind + 1]; /* NULL behind the last */
    bool good =
        strncmp(text, "sftp://", 7) == 0 ? uri_destination(g, text) : plain_destination(g, text);
    if (good && g->local && !g->path) {
        complain("nacre-sftp: %s: a local path needs host:path before it", shown(g->local));
        good = false;
    }
    if (!good) {
        exit(FAILED);
    }
}

/* ---- lines -------------------------------------------------------------------------------------------- */

static void on_interrupt(int signo)
{
    int saved = errno;
    (void)signo;
    the_app.interrupted = 1;
    if (the_app.busy && the_app.s) {
        nacre_sftp_cancel(the_app.s);
    }
    errno = saved;
}

static char *prompt(EditLine *el)
{
    static char text[] = "sftp> ";
    (void)el;
    return text;
}

/* What a broken connection leaves to do: nothing. */
static bool session_over(const app *a)
{
    const nacre_error *e = nacre_sftp_error(a->s);
    nacre_class kind = nacre_status_class(e->status);
    return e->status != NACRE_OK && e->status != NACRE_CANCELLED && e->status != NACRE_INCOMPLETE &&
           e->status != NACRE_TIMEOUT &&
           (kind == NACRE_CLASS_CLOSED || kind == NACRE_CLASS_PEER ||
            e->status == NACRE_SFTP_PROTOCOL);
}

static int edited_lines(app *a)
{
    HistEvent event;
    EditLine *el = el_init("nacre-sftp", stdin, stdout, stderr);
    History *past = history_init();
    int rc = 0;
    if (!el || !past) {
        return complain("nacre-sftp: line editing cannot be started");
    }
    history(past, &event, H_SETSIZE, 500);
    el_set(el, EL_HIST, history, past);
    el_set(el, EL_PROMPT, prompt);
    el_set(el, EL_EDITOR, "emacs");
    el_set(el, EL_SIGNAL, 1);
    el_source(el, NULL);
    while (!a->ended) {
        int n = 0;
        const char *line = el_gets(el, &n);
        if (a->interrupted) {
            a->interrupted = 0;
            putchar('\n');
            continue;
        }
        if (!line || n <= 0) {
            putchar('\n');
            break;
        }
        history(past, &event, H_ENTER, line);
        rc = run_line(a, line);
        if (a->interrupted) {
            a->interrupted = 0;
        } else if (rc != 0 && session_over(a)) {
            break;
        }
    }
    history_end(past);
    el_end(el);
    return rc;
}

static int plain_lines(app *a, FILE *in)
{
    char *line = NULL;
    size_t size = 0;
    int rc = 0;
    while (!a->ended && !a->interrupted && getline(&line, &size, in) > 0) {
        const char *p = line + strspn(line, " \t");
        bool may_fail = false;
        bool silent = false;
        for (; *p == '-' || *p == '@'; p++) {
            may_fail = may_fail || *p == '-';
            silent = silent || *p == '@';
        }
        line[strcspn(line, "\r\n")] = '\0';
        if (!silent) {
            printf("sftp> %s\n", shown(line)); /* a quiet batch too shows where it is */
        }
        rc = run_line(a, p);
        if (rc != 0 && may_fail && !session_over(a)) {
            rc = 0;
        }
        if (rc != 0 && (a->batch || session_over(a))) {
            break;
        }
    }
    if (a->interrupted) {
        rc = complain("interrupted");
    }
    free(line);
    return rc;
}

/* path as one word of a command line. A pattern stays one, unless a file bears its very name. */
static char *as_word(app *a, const char *path)
{
    bool exists = false;
    char *full = absolute(a, path);
    bool literal =
        !strpbrk(path, "*?[") || (nacre_sftp_exists(a->s, full, &exists) == NACRE_OK && exists);
    free(full);
    if (literal) {
        return keep(words_quote(path));
    }
    char *out = keep(malloc(2 * strlen(path) + 1));
    char *q = out;
    for (; *path; path++) {
        if (strchr(" \t\r\n\"'\\#", *path)) {
            *q++ = '\\';
        }
        *q++ = *path;
    }
    *q = '\0';
    return out;
}

/* A path in the destination: a directory to begin in, or what to fetch before it is over. */
static int begin_at(app *a, const char *path, const char *local)
{
    char *full = absolute(a, path);
    bool enter = !local && remote_is_dir(a, full);
    char *remote = as_word(a, path);
    char *to = local ? keep(words_quote(local)) : NULL;
    char *line = enter ? text_of("cd %s", remote)
                       : text_of("get -- %s%s%s", remote, to ? " " : "", to ? to : "");
    if (enter) {
        tell(a, "Changing to: %s\n", shown(full));
    }
    int rc = run_line(a, line);
    a->ended = a->ended || !enter;
    free(full);
    free(remote);
    free(to);
    free(line);
    return rc;
}

static int run(app *a, const arguments *g)
{
    char *home = NULL;
    FILE *in = stdin;
    if (nacre_sftp_realpath(a->s, ".", &home) != NACRE_OK) {
        complain_sftp(a);
        return NO_CONNECTION;
    }
    a->pwd = keep(strdup(home));
    a->start = keep(strdup(home));
    nacre_sftp_string_free(a->s, home);
    if (g->batch_file && strcmp(g->batch_file, "-") != 0) {
        in = fopen(g->batch_file, "r");
        if (!in) {
            complain("nacre-sftp: %s: %s", g->batch_file, strerror(errno));
            return FAILED;
        }
    }
    if (!a->quiet) {
        complain("%s to %s.", g->host ? "Connected" : "Attached",
                 shown(g->host ? g->host : g->c.server));
    }
    int rc = g->path ? begin_at(a, g->path, g->local) : 0;
    if (!a->ended && (rc == 0 || !a->batch)) {
        rc = a->interactive ? edited_lines(a) : plain_lines(a, in);
    }
    if (in != stdin) {
        fclose(in);
    }
    return rc == 0 ? 0 : FAILED;
}

static void free_arguments(arguments *g)
{
    for (size_t i = 0; i < g->ssh_count; i++) {
        free(g->ssh_words[i]);
    }
    for (size_t i = 0; i < g->o_count; i++) {
        free(g->o[i]);
    }
    free(g->ssh_words);
    free(g->o);
    free(g->user);
    free(g->host);
    free(g->path);
}

int main(int argc, char **argv)
{
    app *a = &the_app;
    arguments g = {0};
    connection *c = NULL;
    struct sigaction on_int = {.sa_handler = on_interrupt};
    parse(&g, argc, argv);
    a->batch = g.batch_file != NULL;
    a->interactive = !a->batch && isatty(STDIN_FILENO);
    a->quiet = (a->quiet || a->batch) && !g.noisy;
    a->show_progress = isatty(STDOUT_FILENO) && !a->batch && !a->quiet;
    if (a->batch) {
        pass(&g, text_of("BatchMode=yes"), "-oBatchMode=yes", NULL);
    }
    signal(SIGPIPE, SIG_IGN);
    g.c.name = "nacre-sftp";
    g.c.batch = a->batch;
    g.c.user = g.user;
    g.c.host = g.host;
    g.c.o = (const char *const *)g.o;
    g.c.o_count = g.o_count;
    g.c.ssh_options = (const char *const *)g.ssh_words;
    g.c.ssh_option_count = g.ssh_count;
    a->s = connection_open(&c, &g.c);
    if (!a->s) {
        free_arguments(&g);
        return NO_CONNECTION;
    }
    sigaction(SIGINT, &on_int, NULL);
    int rc = run(a, &g);
    fflush(stdout);
    connection_close(c);
    free(a->pwd);
    free(a->start);
    free_arguments(&g);
    return rc;
}
