/*
 * nacre-keygen: makes, shows, converts and certifies keys, revokes them, signs files and verifies them, and edits
 * known_hosts, with the command line of ssh-keygen.
 */
#include "keygen.h"

#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

/* ---- options ---- */

static uint64_t number_of(const char *text, uint64_t max, const char *what)
{
    char *end = NULL;
    errno = 0;
    unsigned long long v = strtoull(text, &end, 10);
    const char *why = NULL;
    bool digits = text[strspn(text, " \t")] != '-';
    if (end == text || *end) {
        why = "invalid";
    } else if (!digits || v < 1) {
        why = "too small";
    } else if (errno == ERANGE || v > max) {
        why = "too large";
    }
    if (why) {
        kg_die("%s %s (%s)", what, text, why);
    }
    return v;
}

static void take_hash(keygen *g, const char *text)
{
    static const char *const names[] = {"MD5", "SHA1", "SHA256", "SHA384", "SHA512"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (strcasecmp(text, names[i]) == 0) {
            g->hash = names[i];
            return;
        }
    }
    kg_die("Invalid hash algorithm \"%s\"", text);
}

static void take_format(keygen *g, const char *text)
{
    if (strcasecmp(text, "RFC4716") == 0 || strcasecmp(text, "ssh2") == 0) {
        g->convert = KG_RFC4716;
    } else if (strcasecmp(text, "PKCS8") == 0) {
        g->convert = g->private_format = KG_PKCS8;
    } else if (strcasecmp(text, "PEM") == 0) {
        g->convert = g->private_format = KG_PEM;
    } else {
        kg_die("Unsupported conversion format \"%s\"", text);
    }
}

static void take_cipher(keygen *g, const char *text)
{
    static const char *const names[] = {"aes128-cbc",
                                        "aes192-cbc",
                                        "aes256-cbc",
                                        "aes128-ctr",
                                        "aes192-ctr",
                                        "aes256-ctr",
                                        "aes128-gcm@openssh.com",
                                        "aes256-gcm@openssh.com",
                                        "chacha20-poly1305@openssh.com"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (strcmp(text, names[i]) == 0) {
            g->cipher = names[i];
            return;
        }
    }
    kg_die("Invalid OpenSSH-format cipher '%s'", text);
}

static void take_file(keygen *g, const char *text)
{
    if (strlen(text) >= sizeof(g->file)) {
        kg_die("Identity filename too long");
    }
    (void)snprintf(g->file, sizeof(g->file), "%s", text);
    g->have_file = true;
}

static void take_serial(keygen *g, const char *text)
{
    char *end = NULL;
    const char *digits = *text == '+' ? text + 1 : text;
    g->serial_up = *text == '+';
    errno = 0;
    g->serial = strtoull(digits, &end, 10);
    if (*digits < '0' || *digits > '9' || *end || errno == ERANGE) {
        kg_die("Invalid serial number \"%s\"", digits);
    }
}

static void take_moduli(keygen *g, const char *text)
{
    if (strcmp(text, "generate") != 0 && strcmp(text, "screen") != 0) {
        kg_die("Unsupported moduli option %s", text);
    }
    g->moduli = text;
}

static bool take_flag(keygen *g, int option)
{
    struct {
        char option;
        bool *flag;
    } rows[] = {{'A', &g->all_hosts},     {'B', &g->babble},         {'H', &g->hash_hosts},
                {'K', &g->download_sk},   {'L', &g->show_cert},      {'Q', &g->query_krl},
                {'U', &g->use_agent},     {'c', &g->change_comment}, {'e', &g->export_key},
                {'g', &g->generic},       {'h', &g->host_cert},      {'i', &g->import_key},
                {'X', &g->import_key},    {'k', &g->make_krl},       {'l', &g->print_print},
                {'p', &g->change_phrase}, {'q', &g->quiet},          {'u', &g->update_krl},
                {'y', &g->print_public}};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        if (rows[i].option == option) {
            *rows[i].flag = true;
            return true;
        }
    }
    if (option == 'v') {
        g->verbose += g->verbose < 3 ? 1 : 0;
    }
    return option == 'v' || option == 'o'; /* -o: the new format, which is the only default */
}

static bool take_text(keygen *g, int option, char *value)
{
    struct {
        char option;
        const char **text;
    } rows[] = {{'C', &g->comment},    {'D', &g->pkcs11},     {'I', &g->key_id},
                {'N', &g->new_phrase}, {'P', &g->old_phrase}, {'Y', &g->sign_op},
                {'n', &g->principals}, {'r', &g->host},       {'s', &g->ca_path},
                {'t', &g->type}};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        if (rows[i].option == option) {
            *rows[i].text = value;
            return true;
        }
    }
    return option == 'w'; /* a library for security keys: none is used */
}

static void take_value(keygen *g, int option, char *value)
{
    switch (option) {
    case 'E':
        take_hash(g, value);
        return;
    case 'F':
        g->find = true;
        g->host = value;
        return;
    case 'R':
        g->remove = true;
        g->host = value;
        return;
    case 'M':
        take_moduli(g, value);
        return;
    case 'O':
        if (g->nopts == KG_OPTIONS) {
            kg_die("too many -O options");
        }
        g->opts[g->nopts++] = value;
        return;
    case 'V':
        kg_parse_validity(g, value);
        return;
    case 'Z':
        take_cipher(g, value);
        return;
    case 'a':
        g->rounds = (uint32_t)number_of(value, INT32_MAX, "Invalid number:");
        return;
    case 'b':
        g->bits = (uint32_t)number_of(value, UINT32_MAX, "Bits has bad value");
        return;
    case 'f':
        take_file(g, value);
        return;
    case 'm':
        take_format(g, value);
        return;
    default:
        take_serial(g, value);
        return;
    }
}

static void parse(keygen *g, int argc, char **argv)
{
    static const char flags[] = "ABHKLQUXceghiklopquvy";
    static const char values[] = "CDEFIMNOPRVYZabfmnrstwz";
    int i = 1;
    for (; i < argc && argv[i][0] == '-' && argv[i][1]; i++) {
        if (strcmp(argv[i], "--") == 0) {
            i++;
            break;
        }
        for (char *p = argv[i] + 1; *p; p++) {
            if (strchr(flags, *p)) {
                (void)take_flag(g, *p);
                continue;
            }
            if (!strchr(values, *p)) {
                kg_say("unknown option -- %c", *p);
                kg_usage();
            }
            if (!p[1] && i + 1 >= argc) {
                kg_say("option requires an argument -- %c", *p);
                kg_usage();
            }
            char *value = p[1] ? p + 1 : argv[++i];
            if (!take_text(g, *p, value)) {
                take_value(g, *p, value);
            }
            break;
        }
    }
    g->argc = argc - i;
    g->argv = argv + i;
}

/* ---- which job ---- */

static void check(const keygen *g)
{
    if (g->ca_path) {
        if (g->argc < 1 && !g->make_krl) {
            kg_say("Too few arguments.");
            kg_usage();
        }
    } else if (g->argc > 0 && !g->make_krl && !g->query_krl && !g->moduli) {
        kg_say("Too many arguments.");
        kg_usage();
    }
    if (g->change_phrase && g->change_comment) {
        kg_say("Can only have one of -p and -c.");
        kg_usage();
    }
    if (g->print_print && (g->remove || g->hash_hosts)) {
        kg_say("Cannot use -l with -H or -R.");
        kg_usage();
    }
}

static int no_moduli(const keygen *g)
{
    if (g->argc <= 0) {
        kg_die("No output file specified");
    }
    if (g->argc > 1) {
        kg_die("Too many output files specified");
    }
    kg_die("Moduli %s is not supported",
           strcmp(g->moduli, "generate") == 0 ? "generation" : "screening");
}

static int run(keygen *g)
{
    if (g->sign_op) {
        return kg_signatures(g);
    }
    check(g);
    const struct {
        bool asked;
        int (*job)(keygen *g);
    } first[] = {{g->make_krl, kg_make_krl},
                 {g->query_krl, kg_query_krl},
                 {g->ca_path != NULL, kg_sign_cert},
                 {g->show_cert, kg_show_cert},
                 {g->remove || g->hash_hosts || g->find, kg_known_hosts}},
      then[] = {{g->print_print || g->babble, kg_fingerprint},
                {g->change_phrase, kg_change_phrase},
                {g->change_comment, kg_change_comment},
                {g->export_key, kg_export},
                {g->import_key, kg_import},
                {g->print_public, kg_print_public},
                {g->host != NULL, kg_resource_record}};
    for (size_t i = 0; i < sizeof(first) / sizeof(first[0]); i++) {
        if (first[i].asked) {
            return first[i].job(g);
        }
    }
    if (g->pkcs11) {
        kg_die("no pkcs11 support: keys of PKCS#11 tokens are not read; an agent can hold them");
    }
    if (g->download_sk) {
        kg_die("Unable to load resident keys: FIDO security keys are not spoken to");
    }
    for (size_t i = 0; i < sizeof(then) / sizeof(then[0]); i++) {
        if (then[i].asked) {
            return then[i].job(g);
        }
    }
    if (g->moduli) {
        return no_moduli(g);
    }
    return g->all_hosts ? kg_generate_hosts(g) : kg_generate(g);
}

/* ---- start ---- */

/* So that no key is ever written into what a missing descriptor made 0, 1 or 2. */
static void fill_descriptors(void)
{
    int fd = open("/dev/null", O_RDWR);
    while (fd >= 0 && fd < 2) {
        fd = dup(fd);
    }
    if (fd > 2) {
        close(fd);
    }
}

static void who_am_i(keygen *g)
{
    const struct passwd *me = getpwuid(getuid());
    if (!me) {
        kg_die("No user exists for uid %lu", (unsigned long)getuid());
    }
    (void)snprintf(g->user, sizeof(g->user), "%s", me->pw_name);
    (void)snprintf(g->home, sizeof(g->home), "%.3000s", me->pw_dir);
    if (gethostname(g->hostname, sizeof(g->hostname) - 1) != 0) {
        kg_die("gethostname: %s", strerror(errno));
    }
}

int main(int argc, char **argv)
{
    static keygen g;
    fill_descriptors();
    /* A reader that went away is an error to report, not a signal to die of. */
    (void)signal(SIGPIPE, SIG_IGN);
    const char *slash = argc > 0 ? strrchr(argv[0], '/') : NULL;
    g.program = slash ? slash + 1 : argc > 0 ? argv[0] : "nacre-keygen";
    g.hash = "SHA256";
    g.convert = KG_RFC4716;
    g.private_format = KG_OPENSSH;
    g.valid_to = NACRE_CERT_FOREVER;
    who_am_i(&g);
    parse(&g, argc, argv);
    return kg_end(run(&g));
}
