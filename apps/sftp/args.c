/*
 * args.c - the command line of nacre-sftp: options, and where to go.
 */
#include "args.h"

#include "nacre/ssh_config.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

static void usage(void)
{
    fputs("usage: nacre-sftp [-46AaCfNpqrv] [-B buffer_size] [-b batchfile] [-c cipher]\n"
          "          [-D sftp_server_command] [-F ssh_config] [-i identity_file]\n"
          "          [-J destination] [-l limit] [-o ssh_option] [-P port]\n"
          "          [-R num_requests] [-S program] [-s subsystem | sftp_server]\n"
          "          [-X sftp_option] destination [local_path]\n",
          stderr);
    exit(FAILED);
}

static void fatal(const char *what, const char *value)
{
    complain("%s \"%s\"", what, shown(value));
    exit(FATAL);
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

/* A number from min to max, "64K" too when scaled; false: it is none. */
static bool number(const char *text, uint64_t min, uint64_t max, bool scaled, uint64_t *out)
{
    static const char units[] = "KMG";
    char *end;
    errno = 0;
    unsigned long long n = strtoull(text, &end, 10);
    if (!isdigit((unsigned char)*text) || errno) {
        return false;
    }
    const char *unit = scaled && *end ? strchr(units, toupper((unsigned char)*end)) : NULL;
    unsigned shift = unit ? 10 * (unsigned)(unit - units + 1) : 0;
    if (end[unit != NULL] || n > ULLONG_MAX >> shift) {
        return false;
    }
    *out = (uint64_t)n << shift;
    return *out >= min && *out <= max;
}

static uint32_t count(const char *what, const char *text, uint64_t max, bool scaled)
{
    uint64_t n = 0;
    if (!number(text, 1, max, scaled, &n)) {
        fatal(what, text);
    }
    return (uint32_t)n;
}

static void sftp_option(app *a, arguments *g, const char *text)
{
    if (strncmp(text, "nrequests=", 10) == 0) {
        a->requests = count("Invalid number of requests", text + 10, 256 * 1024, false);
    } else if (strncmp(text, "buffer=", 7) == 0) {
        g->c.max_data = count("Invalid buffer size", text + 7, 256 * 1024, true);
    } else {
        fatal("Invalid -X option", text);
    }
}

static void open_batch(arguments *g, const char *path)
{
    if (g->batch_file) {
        complain("Batch file already specified.");
        exit(FATAL);
    }
    g->batch_file = path;
    g->batch_fd = STDIN_FILENO;
    if (strcmp(path, "-") != 0) {
        g->batch_fd = open(path, O_RDONLY | O_CLOEXEC);
        if (g->batch_fd < 0) {
            complain("%s (%s).", strerror(errno), shown(path));
            exit(FATAL);
        }
    }
}

/* Options that set something of our own and take a value; false: not one of them. */
static bool own_value(app *a, arguments *g, int letter, const char *value)
{
    uint64_t n = 0;
    switch (letter) {
    case 'B':
        g->c.max_data = count("Invalid buffer size", value, 64 * 1024 * 1024, false);
        return true;
    case 'b':
        open_batch(g, value);
        return true;
    case 'D':
        g->c.server = value;
        return true;
    case 'l':
        if (!number(value, 1, 100 * 1024 * 1024, false, &n)) {
            usage();
        }
        a->rate = n * 1024 / 8;
        return true;
    case 'P':
        g->c.port = (uint16_t)count("Bad port", value, 65535, false);
        return true;
    case 'R':
        a->requests = count("Invalid number of requests", value, INT_MAX, false);
        return true;
    case 'S':
        g->c.program = strcasecmp(value, "none") == 0 ? NULL : value;
        return true;
    case 's':
        g->c.subsystem = value;
        return true;
    case 'X':
        sftp_option(a, g, value);
        return true;
    default:
        return false;
    }
}

/* Those without; false: not one of them. */
static bool own_flag(app *a, arguments *g, int letter)
{
    switch (letter) {
    case '1':
        complain("SSH protocol v.1 is no longer supported");
        exit(FATAL);
    case '2': /* what there is, anyway */
        return true;
    case 'a':
        return a->resume = true;
    case 'f':
        return a->sync = true;
    case 'N':
        return g->noisy = true;
    case 'p':
        return a->preserve = true;
    case 'r':
        return a->recursive = true;
    default:
        return false;
    }
}

/* What is ssh's too. */
static void ssh_option(app *a, arguments *g, int letter, const char *value)
{
    char flag[3] = {'-', (char)letter, '\0'};
    char *keyword = NULL;
    switch (letter) {
    case '4':
    case '6':
        keyword = text_of("AddressFamily=%s", letter == '4' ? "inet" : "inet6");
        break;
    case 'A':
        keyword = text_of("ForwardAgent=yes");
        break;
    case 'C':
        keyword = text_of("Compression=yes");
        break;
    case 'c':
        keyword = text_of("Ciphers=%s", value);
        break;
    case 'F':
        g->c.config_file = value;
        break;
    case 'i':
        keyword = text_of("IdentityFile=\"%s\"", value);
        break;
    case 'J':
        keyword = text_of("ProxyJump=%s", value);
        break;
    case 'o':
        keyword = keep(strdup(value));
        break;
    case 'q':
        g->c.verbose = -1;
        a->quiet = a->silent = true;
        break;
    case 'v':
        g->c.verbose = g->c.verbose < 3 ? g->c.verbose + 1 : 3;
        break;
    default:
        usage();
    }
    pass(g, keyword, flag, value);
}

/* ---- the destination ---------------------------------------------------------------------------------- */

static bool take_destination(arguments *g, const char *text, nacre_destination *d)
{
    nacre_error why = {0};
    if (nacre_parse_destination(text, d, &why) != NACRE_OK) {
        complain("nacre-sftp: %s", why.text);
        return false;
    }
    g->host = keep(strdup(d->host));
    g->user = *d->user ? keep(strdup(d->user)) : NULL;
    return true;
}

/* "[user@]host[:path]", host in brackets when it holds colons. */
static bool plain_destination(arguments *g, const char *text)
{
    nacre_destination d;
    const char *slash = strchr(text, '/');
    const char *at = memrchr(text, '@', slash ? (size_t)(slash - text) : strlen(text));
    const char *p = at ? at + 1 : text;
    const char *bracket = *p == '[' ? strchr(p, ']') : NULL;
    const char *colon = strchr(bracket ? bracket : p, ':');
    char *front = keep(colon ? strndup(text, (size_t)(colon - text)) : strdup(text));
    if (colon && colon[1]) {
        g->path = keep(strdup(colon + 1));
    }
    bool good = take_destination(g, front, &d);
    free(front);
    return good;
}

static bool uri_destination(arguments *g, const char *text)
{
    nacre_destination d;
    if (!take_destination(g, text, &d)) {
        return false;
    }
    g->c.port = d.port ? d.port : g->c.port;
    /* The path of a URI begins where one logs in: its first slash only parts it from the host. */
    const char *path = d.path[0] == '/' ? d.path + 1 : d.path;
    g->path = *path ? keep(strdup(path)) : NULL;
    return true;
}

static void destination(arguments *g, int argc, char **argv)
{
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

/* ---- all ---------------------------------------------------------------------------------------------- */

void arguments_parse(app *a, arguments *g, int argc, char **argv)
{
    int letter;
    while ((letter = getopt(argc, argv, "1246AaB:b:Cc:D:F:fhi:J:l:No:P:pqR:rS:s:vX:")) != -1) {
        if (!own_flag(a, g, letter) && !own_value(a, g, letter, optarg)) {
            ssh_option(a, g, letter, optarg);
        }
    }
    destination(g, argc, argv);
    a->batch = g->batch_file != NULL;
    if (a->batch) {
        pass(g, text_of("BatchMode=yes"), "-oBatchMode=yes", NULL);
    }
    a->interactive = !a->batch && isatty(STDIN_FILENO);
    a->show_progress = !a->batch && !a->quiet && isatty(STDERR_FILENO);
    a->quiet = (a->quiet || a->batch) && !g->noisy;
    g->c.name = "nacre-sftp";
    g->c.batch = a->batch;
    g->c.user = g->user;
    g->c.host = g->host;
    g->c.o = (const char *const *)g->o;
    g->c.o_count = g->o_count;
    g->c.ssh_options = (const char *const *)g->ssh_words;
    g->c.ssh_option_count = g->ssh_count;
}

void arguments_free(arguments *g)
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
