/*
 * nacre-ssh.c - the command line of ssh(1): options into configuration, then setup, session, exit
 * status. 255 is ours, everything else the remote program's.
 */
#include "ssh_forward.h"
#include "ssh_mux.h"

#include "nacre/process.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

static const char program[] = "nacre-ssh";
static const char options[] =
    "+46ab:c:e:fgi:kl:m:no:p:qstvxAB:CD:E:F:GI:J:KL:MNO:P:Q:R:S:TVw:W:XYy";
enum {
    EXIT_OURS = 255,
    COMMAND_MAX = 128 * 1024,
    /* With forwardings: browsers open hundreds of connections through one SOCKS proxy. */
    CHANNELS_MAX = 4096
};

typedef struct command_line {
    ssh_setup setup;
    ssh_session session;
    ssh_mux mux;
    int master_flag; /* how often -M */
    int tty_flag;    /* how often -t */
    bool no_tty, print_config;
    const char *target;
    const char *stdio; /* -W */
    char *command;     /* owned */
} command_line;

static void usage(void)
{
    (void)fprintf(stderr,
                  "usage: nacre-ssh [-46AaCGgMNnqsTtVvXxYy] [-B bind_interface] [-b bind_address]\n"
                  "                 [-c cipher_spec] [-D [bind_address:]port] [-E log_file]\n"
                  "                 [-e escape_char] [-F configfile] [-i identity_file]\n"
                  "                 [-J destination] [-L address] [-l login_name] [-m mac_spec]\n"
                  "                 [-O ctl_cmd] [-o option] [-p port] [-R address]\n"
                  "                 [-S ctl_path] [-W host:port]\n"
                  "                 destination [command [argument ...]]\n"
                  "       nacre-ssh [-Q query_option]\n");
}

/* ---- options ---- */

/* Options that are another spelling of a keyword. */
static const struct {
    int letter;
    const char *keyword, *value; /* value NULL: the argument */
} spellings[] = {
    {'4', "AddressFamily", "inet"},
    {'6', "AddressFamily", "inet6"},
    {'A', "ForwardAgent", "yes"},
    {'a', "ForwardAgent", "no"},
    {'B', "BindInterface", NULL},
    {'b', "BindAddress", NULL},
    {'C', "Compression", "yes"},
    {'c', "Ciphers", NULL},
    {'e', "EscapeChar", NULL},
    {'f', "ForkAfterAuthentication", "yes"},
    {'i', "IdentityFile", NULL},
    {'J', "ProxyJump", NULL},
    {'l', "User", NULL},
    {'m', "MACs", NULL},
    {'N', "SessionType", "none"},
    {'n', "StdinNull", "yes"},
    {'P', "Tag", NULL},
    {'p', "Port", NULL},
    {'S', "ControlPath", NULL},
    {'s', "SessionType", "subsystem"},
    {'X', "ForwardX11", "yes"},
    {'x', "ForwardX11", "no"},
    {'k', "GSSAPIDelegateCredentials", "no"},
    {'g', "GatewayPorts", "yes"},
};

static const char later[] = "IKw";

static bool is_set(const command_line *c, const char *keyword)
{
    return nacre_ssh_config_get(c->setup.conf, keyword) != NULL;
}

static int set(command_line *c, const char *keyword, const char *value)
{
    nacre_error why = {0};
    if (nacre_ssh_config_set(c->setup.conf, keyword, value, &why) == NACRE_OK) {
        return 0;
    }
    setup_say(&c->setup, "%s", why.text);
    return EXIT_OURS;
}

static int add_option(command_line *c, const char *text)
{
    nacre_error why = {0};
    if (nacre_ssh_config_option(c->setup.conf, text, &why) == NACRE_OK) {
        return 0;
    }
    setup_say(&c->setup, "%s", why.text);
    return EXIT_OURS;
}

/* -1: it is none of these. */
static int spelled(command_line *c, int letter, const char *argument)
{
    for (size_t i = 0; i < sizeof(spellings) / sizeof(spellings[0]); i++) {
        if (spellings[i].letter == letter) {
            return set(c, spellings[i].keyword, spellings[i].value ? spellings[i].value : argument);
        }
    }
    return -1;
}

static int one_option(command_line *c, int letter, const char *argument)
{
    int rc = spelled(c, letter, argument);
    if (rc >= 0) {
        return rc;
    }
    if (letter != '?' && strchr(later, letter)) {
        setup_say(&c->setup, "option -%c is not supported yet", letter);
        return EXIT_OURS;
    }
    switch (letter) {
    case 'D':
    case 'L':
    case 'R':
        return forward_option(&c->setup, letter, argument);
    case 'W':
        c->stdio = argument;
        return forward_stdio_check(&c->setup, argument) ? set(c, "SessionType", "none") : EXIT_OURS;
    case 'E':
        return setup_log_to(&c->setup, argument) ? 0 : EXIT_OURS;
    case 'F':
        c->setup.config_file = argument;
        return 0;
    case 'G':
        c->print_config = true;
        return 0;
    case 'M':
        c->master_flag++;
        return 0;
    case 'O':
        return mux_command(&c->mux, &c->setup, argument) ? 0 : EXIT_OURS;
    case 'o':
        return add_option(c, argument);
    case 'q':
        c->setup.verbosity = -1;
        return 0;
    case 'T':
        c->no_tty = true;
        return 0;
    case 't':
        c->tty_flag++;
        return 0;
    case 'Y':
        rc = set(c, "ForwardX11", "yes");
        return rc == 0 ? set(c, "ForwardX11Trusted", "yes") : rc;
    case 'y':
        c->setup.use_syslog = true;
        return 0;
    case 'v':
        c->setup.verbosity += c->setup.verbosity < 3 ? 1 : 0;
        c->setup.verbosity += c->setup.verbosity == 0 ? 1 : 0;
        return 0;
    default:
        usage();
        return EXIT_OURS;
    }
}

/* Options may stand before and behind the destination, as with ssh. 0, or the exit status. */
static int read_options(command_line *c, int argc, char **argv)
{
    for (;;) {
        int letter;
        while ((letter = getopt(argc, argv, options)) != -1) {
            if (letter == 'V') {
                (void)fprintf(stderr, "nacre_%s\n", nacre_version());
                exit(0);
            }
            if (letter == 'Q') {
                exit(query_print(program, optarg));
            }
            int rc = one_option(c, letter, optarg);
            if (rc != 0) {
                return rc;
            }
        }
        bool ended = optind > 1 && strcmp(argv[optind - 1], "--") == 0;
        if (c->target || optind >= argc) {
            return 0;
        }
        c->target = argv[optind++];
        if (ended || optind >= argc || argv[optind][0] != '-') {
            return 0;
        }
    }
}

/* -t, -T and -N say something about the terminal, too; -M may come twice. */
static int tell_terminal(command_line *c)
{
    const char *type = nacre_ssh_config_get(c->setup.conf, "SessionType");
    const char *want = c->no_tty                               ? "no"
                       : c->tty_flag > 1                       ? "force"
                       : c->tty_flag == 1                      ? "yes"
                       : type && strcasecmp(type, "none") == 0 ? "no"
                                                               : NULL;
    if (c->master_flag > 0 && set(c, "ControlMaster", c->master_flag > 1 ? "ask" : "yes") != 0) {
        return EXIT_OURS;
    }
    return want ? set(c, "RequestTTY", want) : 0;
}

static int take_target(command_line *c)
{
    nacre_error why = {0};
    if (!c->target) {
        usage();
        return EXIT_OURS;
    }
    nacre_destination *d = &c->setup.dest;
    if (nacre_parse_destination(c->target, d, &why) != NACRE_OK) {
        setup_say(&c->setup, "%s", why.text);
        return EXIT_OURS;
    }
    int rc = 0;
    if (*d->user && !is_set(c, "User")) {
        rc = set(c, "User", d->user);
    }
    if (rc == 0 && d->port && !is_set(c, "Port")) {
        char port[8];
        (void)snprintf(port, sizeof(port), "%u", (unsigned)d->port);
        rc = set(c, "Port", port);
    }
    return rc;
}

/* The words of the command, with one space between: the remote shell splits them again. */
static int join_words(command_line *c, int argc, char **argv)
{
    size_t n = 0;
    for (int i = optind; i < argc; i++) {
        n += strlen(argv[i]) + 1;
    }
    if (n == 0) {
        return 0;
    }
    c->command = malloc(n + 1);
    if (!c->command || n > COMMAND_MAX) {
        setup_say(&c->setup, "the command is too long");
        return EXIT_OURS;
    }
    c->command[0] = '\0';
    size_t at = 0;
    for (int i = optind; i < argc; i++) {
        at += (size_t)snprintf(c->command + at, n + 1 - at, "%s%s", i > optind ? " " : "", argv[i]);
    }
    return 0;
}

/* ---- what the configuration says about the session ---- */

static int escape_of(const char *text, bool *bad)
{
    *bad = false;
    if (!text) {
        return '~';
    }
    if (strcasecmp(text, "none") == 0) {
        return -1;
    }
    if (text[0] == '^' && text[1] && !text[2]) {
        return text[1] & 31;
    }
    *bad = text[0] == '\0' || text[1] != '\0';
    return (unsigned char)text[0];
}

static int set_tty(command_line *c)
{
    ssh_session *s = &c->session;
    const char *request = nacre_ssh_config_get(c->setup.conf, "RequestTTY");
    bool automatic = !s->command && !s->no_session;
    if (c->no_tty) {
        return 0;
    }
    if (c->tty_flag > 0) {
        s->want_tty = true;
        s->force_tty = c->tty_flag > 1;
    } else if (request && strcasecmp(request, "auto") != 0) {
        s->force_tty = strcasecmp(request, "force") == 0;
        s->want_tty = s->force_tty || nacre_ssh_config_yes(c->setup.conf, "RequestTTY", false);
    } else {
        s->want_tty = automatic;
    }
    return 0;
}

static int set_session(command_line *c)
{
    ssh_session *s = &c->session;
    const nacre_ssh_config *conf = c->setup.conf;
    const char *type = nacre_ssh_config_get(conf, "SessionType");
    const char *remote = nacre_ssh_config_get(conf, "RemoteCommand");
    bool bad;
    s->setup = &c->setup;
    s->escape = escape_of(nacre_ssh_config_get(conf, "EscapeChar"), &bad);
    if (bad) {
        setup_say(&c->setup, "an escape character is one character, ^ and a letter, or none");
        return EXIT_OURS;
    }
    s->no_session = type && strcasecmp(type, "none") == 0;
    s->subsystem = type && strcasecmp(type, "subsystem") == 0;
    s->fork = nacre_ssh_config_yes(conf, "ForkAfterAuthentication", false);
    s->stdin_null = s->fork || nacre_ssh_config_yes(conf, "StdinNull", false);
    s->command = c->command;
    if (remote && strcasecmp(remote, "none") != 0) {
        static char expanded[COMMAND_MAX];
        if (c->command) {
            setup_say(&c->setup, "Cannot execute command-line and remote command.");
            return EXIT_OURS;
        }
        if (!setup_expand(&c->setup, "RemoteCommand", remote, expanded, sizeof(expanded))) {
            return EXIT_OURS;
        }
        s->command = expanded;
    }
    if (s->fork && !s->command && !s->no_session) {
        setup_say(&c->setup, "Cannot fork into background without a command to execute.");
        return EXIT_OURS;
    }
    if (s->subsystem && !s->command) {
        setup_say(&c->setup, "you must specify a subsystem to invoke");
        return EXIT_OURS;
    }
    return set_tty(c);
}

/* All tokens stand for something by now. */
static bool local_command(const ssh_setup *s, nacre_client *client, const char *text, char *out,
                          size_t size)
{
    const nacre_key *key = nacre_transport_host_key(nacre_client_transport(client));
    char fingerprint[128] = "", line[16384] = "";
    nacre_ssh_tokens t;
    nacre_error why = {0};
    memset(&t, 0, sizeof(t));
    t.fingerprint = fingerprint;
    t.key = t.key_type = "";
    if (key && nacre_key_fingerprint(key, "sha256", fingerprint, sizeof(fingerprint)) > 0 &&
        nacre_key_public_line(key, line, sizeof(line)) > 0) {
        char *blob = strchr(line, ' ');
        t.key = blob ? blob + 1 : "";
        t.key_type = nacre_key_type(key);
    }
    t.known_host = s->host;
    t.reason = "HOSTNAME";
    t.tunnel = "NONE";
    if (nacre_ssh_config_expand(s->conf, "LocalCommand", text, &t, out, size, &why) == NACRE_OK) {
        return true;
    }
    setup_say(s, "LocalCommand: %s", why.text);
    return false;
}

/* LocalCommand: the user's own text, by the user's own shell. Its outcome changes nothing, as with ssh. */
static int run_local(command_line *c)
{
    static char expanded[COMMAND_MAX];
    nacre_error why = {0};
    int status = 0;
    const char *text = nacre_ssh_config_get(c->setup.conf, "LocalCommand");
    if (!text || strcasecmp(text, "none") == 0 ||
        !nacre_ssh_config_yes(c->setup.conf, "PermitLocalCommand", false)) {
        return 0;
    }
    if (!local_command(&c->setup, c->session.client, text, expanded, sizeof(expanded))) {
        return EXIT_OURS;
    }
    setup_debug(&c->setup, 3, "Executing command: '%s'", expanded);
    if (nacre_shell_run(expanded, false, &status, &why) != NACRE_OK) {
        setup_say(&c->setup, "%s", why.text);
    }
    return 0;
}

/* -W means so, unless the configuration says otherwise. */
static int tell_stdio(command_line *c)
{
    int rc = c->stdio ? set(c, "ClearAllForwardings", "yes") : 0;
    return rc == 0 && c->stdio ? set(c, "ExitOnForwardFailure", "yes") : rc;
}

static int serve(command_line *c)
{
    ssh_session *s = &c->session;
    int rc = forward_start(&c->setup, s->client, s->fork);
    if (rc == 0 && c->stdio) {
        return forward_stdio(&c->setup, s->client, c->stdio);
    }
    rc = rc == 0 ? run_local(c) : rc;
    if (rc == 0 && mux_share(&c->mux, &rc)) {
        rc = session_run(s);
        mux_linger(&c->mux);
    }
    return rc;
}

static int connect_and_run(command_line *c)
{
    int rc = EXIT_OURS;
    c->mux.stdio = c->stdio;
    if (!mux_setup(&c->mux, &c->session)) {
        return EXIT_OURS;
    }
    if (mux_use(&c->mux, &c->session.client, &rc)) {
        return rc;
    }
    if (!c->session.client && !setup_connect(&c->setup, &c->session.client)) {
        return EXIT_OURS;
    }
    rc = serve(c);
    mux_clear(&c->mux);
    nacre_client_disconnect(c->session.client);
    nacre_client_free(c->session.client);
    return rc;
}

static int go(command_line *c, int argc, char **argv)
{
    int rc = read_options(c, argc, argv);
    rc = rc == 0 ? take_target(c) : rc;
    rc = rc == 0 ? tell_terminal(c) : rc;
    rc = rc == 0 ? join_words(c, argc, argv) : rc;
    if (rc != 0) {
        return rc;
    }
    if (c->setup.use_syslog) {
        setup_open_log(&c->setup);
    }
    c->setup.command = c->command;
    c->setup.only_show = c->print_config;
    if (!setup_load(&c->setup)) {
        return EXIT_OURS;
    }
    rc = tell_stdio(c);
    rc = rc == 0 ? set_session(c) : rc;
    if (rc != 0) {
        return rc;
    }
    if (c->print_config) {
        return query_config(&c->setup);
    }
    if (forward_wanted(&c->setup)) {
        c->setup.cfg.transport.max_channels = CHANNELS_MAX;
    }
    return connect_and_run(c);
}

int main(int argc, char **argv)
{
    command_line c;
    memset(&c, 0, sizeof(c));
    (void)signal(SIGPIPE, SIG_IGN);
    /* Whoever closed 0, 1 or 2 must not find our socket there. */
    for (int fd = open("/dev/null", O_RDWR); fd >= 0; fd = open("/dev/null", O_RDWR)) {
        if (fd > STDERR_FILENO) {
            (void)close(fd);
            break;
        }
    }
    if (setup_init(&c.setup, program) != NACRE_OK) {
        (void)fprintf(stderr, "%s: out of memory\n", program);
        return EXIT_OURS;
    }
    int status = go(&c, argc, argv);
    free(c.command);
    setup_clear(&c.setup);
    return status;
}
