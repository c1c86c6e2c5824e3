/*
 * nacre-sshd.c - the SSH daemon: command line, configuration, host keys. See nacre-sshd(8).
 */
#include "sshd.h"

#include <nacre/cert.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

static const char default_config[] = "/etc/ssh/sshd_config";

typedef struct command_line {
    const char *file, *log_file, *grace;
    int debug;
    char spec[8][256]; /* values of -C, as spec_names has them */
    bool test, dump, quiet, to_stderr, version;
} command_line;

static int usage(const char *wrong)
{
    if (wrong) {
        fprintf(stderr, "nacre-sshd: %s\n", wrong);
    }
    fprintf(stderr,
            "usage: nacre-sshd [-46DdeiqTtV] [-C connection_spec] [-E log_file] [-f config_file]\n"
            "                  [-g login_grace_time] [-h host_key_file] [-o option] [-p port]\n");
    return 1;
}

/* ---- the command line ---------------------------------------------------------------------------------- */

static bool add_port(sshd *d, const char *text)
{
    char *end = NULL;
    long port = strtol(text, &end, 10);
    if (*text < '0' || *text > '9' || *end || port < 1 || port > 65535 || d->cmd_port_count == 16) {
        fprintf(stderr, "nacre-sshd: bad port number\n");
        return false;
    }
    d->cmd_ports[d->cmd_port_count++] = (uint16_t)port;
    return true;
}

static bool config_line(sshd *d, const char *line)
{
    nacre_error why = {0};
    if (nacre_sshd_config_line(d->config, line, &why) != NACRE_OK) {
        fprintf(stderr, "nacre-sshd: %s\n", why.text);
        return false;
    }
    return true;
}

/* A keyword that an option stands for; the value is quoted for the reader. */
static bool config_pair(sshd *d, const char *keyword, const char *value)
{
    char line[4200];
    int n = snprintf(line, sizeof(line), "%s \"%s\"", keyword, value);
    if (n < 0 || (size_t)n >= sizeof(line) || strpbrk(value, "\"\\\n")) {
        fprintf(stderr, "nacre-sshd: the value for %s cannot be used\n", keyword);
        return false;
    }
    return config_line(d, line);
}

/* ---- -C: the connection that -T is for ------------------------------------------------------------------- */

static const char *const spec_names[] = {"user", "host", "addr", "laddr", "lport", "rdomain"};
enum { SPEC_USER, SPEC_HOST, SPEC_ADDR, SPEC_LADDR, SPEC_LPORT, SPEC_RDOMAIN, SPEC_INVALID };

static bool take_spec_word(command_line *cl, const char *word, size_t n)
{
    static const char invalid[] = "invalid-user";
    if (n == sizeof(invalid) - 1 && strncmp(word, invalid, n) == 0) {
        cl->spec[SPEC_INVALID][0] = 'y';
        return true;
    }
    for (size_t i = 0; i < sizeof(spec_names) / sizeof(spec_names[0]); i++) {
        size_t len = strlen(spec_names[i]);
        if (n > len && word[len] == '=' && strncmp(word, spec_names[i], len) == 0 &&
            n - len - 1 < sizeof(cl->spec[i])) {
            memcpy(cl->spec[i], word + len + 1, n - len - 1);
            cl->spec[i][n - len - 1] = '\0';
            return true;
        }
    }
    fprintf(stderr, "nacre-sshd: invalid test mode specification %.*s\n", (int)n, word);
    return false;
}

static bool take_spec(command_line *cl, const char *text)
{
    while (*text) {
        size_t n = strcspn(text, ",");
        if (!take_spec_word(cl, text, n)) {
            return false;
        }
        text += n;
        text += *text ? 1 : 0;
    }
    return true;
}

static const char *spec(const command_line *cl, int i)
{
    return cl->spec[i][0] ? cl->spec[i] : NULL;
}

static bool take_option(sshd *d, command_line *cl, int option)
{
    switch (option) {
    case '4':
    case '6':
        d->cmd_family = option - '0';
        return true;
    case 'C':
        return take_spec(cl, optarg);
    case 'D':
        return d->foreground = true;
    case 'd':
        cl->debug++;
        return d->debug = true;
    case 'e':
        return cl->to_stderr = true;
    case 'i':
        return d->inetd = true;
    case 'q':
        return cl->quiet = d->quiet = true;
    case 'T':
        return cl->dump = true;
    case 't':
        return cl->test = true;
    case 'V':
        return cl->version = true;
    case 'E':
        cl->log_file = optarg;
        return true;
    case 'f':
        cl->file = optarg;
        return true;
    case 'g':
        return config_pair(d, "LoginGraceTime", optarg);
    case 'h':
        return config_pair(d, "HostKey", optarg);
    case 'o':
        return config_line(d, optarg);
    case 'p':
        return add_port(d, optarg);
    default:
        return false;
    }
}

/* ---- configuration --------------------------------------------------------------------------------------- */

static bool read_config(sshd *d, const command_line *cl)
{
    nacre_error why = {0};
    int rc = NACRE_OK;
    if (strcmp(cl->file, "none") != 0) {
        rc = nacre_sshd_config_file(d->config, cl->file, &why);
    }
    if (rc == NACRE_OK) {
        rc = nacre_sshd_config_finish(d->config, &why);
    }
    if (rc != NACRE_OK) {
        fprintf(stderr, "nacre-sshd: %s\n", why.text[0] ? why.text : nacre_status_text(rc));
        return false;
    }
    d->s = nacre_sshd_config_settings(d->config);
    d->config_path = cl->file;
    return true;
}

static bool open_log(sshd *d, const command_line *cl)
{
    static const int debug_levels[] = {0, LOG_LEVEL_DEBUG, LOG_LEVEL_DEBUG + 1,
                                       LOG_LEVEL_DEBUG + 2};
    int level = d->s->log_level;
    if (cl->debug) {
        level = debug_levels[cl->debug < 3 ? cl->debug : 3];
    }
    if (cl->quiet) {
        level = 0;
    }
    if (cl->log_file) {
        int fd = open(cl->log_file, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
        if (fd < 0 || dup2(fd, STDERR_FILENO) < 0) {
            fprintf(stderr, "nacre-sshd: cannot open log file %s: %s\n", cl->log_file,
                    strerror(errno));
            return false;
        }
        (void)close(fd);
    }
    bool to_stderr = cl->to_stderr || cl->log_file || cl->debug || cl->test || cl->dump;
    d->log_on_stderr = to_stderr;
    log_open(level, d->s->log_facility, to_stderr);
    for (size_t i = 0; nacre_sshd_config_warning(d->config, i); i++) {
        say(LOG_LEVEL_INFO, "%s", nacre_sshd_config_warning(d->config, i));
    }
    return true;
}

static bool load_moduli(sshd *d)
{
    struct stat st;
    int fd = d->s->moduli_file ? open(d->s->moduli_file, O_RDONLY | O_CLOEXEC) : -1;
    if (fd < 0) {
        if (d->s->moduli_file) {
            say(LOG_LEVEL_ERROR, "cannot read %s: %s; using the built-in groups",
                plain_text(d->s->moduli_file), strerror(errno));
        }
        return true;
    }
    if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_size > 0 && st.st_size < (16 << 20)) {
        d->moduli = malloc((size_t)st.st_size);
    }
    ssize_t got = d->moduli ? read(fd, d->moduli, (size_t)st.st_size) : -1;
    d->moduli_size = got > 0 ? (size_t)got : 0;
    (void)close(fd);
    return got > 0;
}

/* ---- host keys -------------------------------------------------------------------------------------------- */

static void load_key(sshd *d, const char *path)
{
    nacre_error why = {0};
    nacre_span none = {NULL, 0};
    nacre_key *key = NULL;
    if (d->s->default_host_keys && access(path, F_OK) != 0 && errno == ENOENT) {
        return;
    }
    if (d->key_count == SSHD_MAX_KEYS) {
        say(LOG_LEVEL_ERROR, "too many host keys: not loading %s", plain_text(path));
        return;
    }
    if (nacre_key_from_file(&key, NULL, path, none, true, &why) != NACRE_OK) {
        say(LOG_LEVEL_ERROR, "Unable to load host key \"%s\": %s", plain_text(path), why.text);
        return;
    }
    d->keys[d->key_count++] = key;
}

/* The first line of a file: a certificate is some kilobytes. */
static nacre_key *read_certificate(const char *path)
{
    static char line[SSHD_KEY_LINE];
    nacre_key *cert = NULL;
    nacre_error why = {0};
    FILE *f = fopen(path, "re");
    bool got = f && fgets(line, sizeof(line), f);
    int saved = errno;
    if (f) {
        (void)fclose(f);
    }
    nacre_span text = {(const uint8_t *)line, got ? strlen(line) : 0};
    if (!got) {
        say(LOG_LEVEL_ERROR, "Could not load host certificate \"%s\": %s", plain_text(path),
            f ? "there is nothing in it" : strerror(saved));
    } else if (nacre_key_from_public_line(&cert, NULL, text, &why) != NACRE_OK) {
        say(LOG_LEVEL_ERROR, "Could not load host certificate \"%s\": %s", plain_text(path),
            why.text);
    }
    return cert;
}

/* Puts the certificate on the host key that it is for; that one is offered plainly, too. */
static void load_certificate(sshd *d, const char *path)
{
    nacre_cert_info info;
    nacre_error why = {0};
    nacre_key *cert = read_certificate(path);
    if (cert && (nacre_key_cert_info(cert, &info) != NACRE_OK || info.kind != NACRE_CERT_HOST)) {
        say(LOG_LEVEL_ERROR, "host certificate \"%s\" is not one of a host", plain_text(path));
        nacre_key_free(cert);
        return;
    }
    for (size_t i = 0; cert && i < d->key_count; i++) {
        nacre_key *shown = NULL;
        if (!nacre_key_is_cert(d->keys[i]) &&
            nacre_key_attach_cert(&shown, d->keys[i], cert, &why) == NACRE_OK) {
            nacre_key_free(d->keys[i]);
            d->keys[i] = shown;
            nacre_key_free(cert);
            return;
        }
    }
    if (cert) {
        say(LOG_LEVEL_ERROR, "No matching private key for certificate: %s", plain_text(path));
    }
    nacre_key_free(cert);
}

static bool load_keys(sshd *d)
{
    for (size_t i = 0; i < d->s->host_keys.count; i++) {
        load_key(d, d->s->host_keys.items[i]);
    }
    for (size_t i = 0; i < d->s->host_certificates.count; i++) {
        load_certificate(d, d->s->host_certificates.items[i]);
    }
    if (d->key_count == 0) {
        say(LOG_LEVEL_FATAL, "no hostkeys available -- exiting.");
        return false;
    }
    return true;
}

/* ---- main -------------------------------------------------------------------------------------------------- */

static void print_line(void *user, const char *text)
{
    (void)user;
    printf("%s\n", text);
}

/* What holds for the connection of -C; without one, for a connection of which nothing is known. */
static int dump(const sshd *d, const command_line *cl)
{
    nacre_sshd_config *own = NULL;
    nacre_sshd_facts facts;
    nacre_error why = {0};
    nacre_sshd_facts_init(&facts);
    facts.user = spec(cl, SPEC_USER);
    facts.user_invalid = spec(cl, SPEC_INVALID) != NULL;
    facts.host = spec(cl, SPEC_HOST);
    facts.address = spec(cl, SPEC_ADDR);
    facts.local_address = spec(cl, SPEC_LADDR);
    facts.rdomain = spec(cl, SPEC_RDOMAIN);
    facts.local_port = (uint32_t)strtoul(cl->spec[SPEC_LPORT], NULL, 10);
    facts.group_count = user_groups(facts.user, &facts.groups);
    if (nacre_sshd_config_match(&own, d->config, &facts, &why) != NACRE_OK) {
        say(LOG_LEVEL_FATAL, "%s", why.text);
        return 255;
    }
    nacre_sshd_config_dump(own, print_line, NULL);
    nacre_sshd_config_free(own);
    return 0;
}

static int start(sshd *d, const command_line *cl)
{
    if (!read_config(d, cl) || !open_log(d, cl) || !load_moduli(d) || !load_keys(d) ||
        !serve_check(d)) {
        return 255;
    }
    if (cl->dump) {
        return dump(d, cl);
    }
    if (cl->test) {
        return 0;
    }
    if (auth_methods_of_all(d)[0] == '\0') {
        say(LOG_LEVEL_FATAL, "no way to log in is left: only root can check passwords, and public "
                             "keys are switched off");
        return 255;
    }
    if (d->inetd) {
        return serve_inetd(d);
    }
    return d->root ? serve_forking(d) : serve_here(d);
}

/* Descriptors 0 to 2 exist, or the first socket would become somebody's stdout. */
static bool fill_stdio(void)
{
    int fd;
    do {
        fd = open("/dev/null", O_RDWR);
    } while (fd >= 0 && fd <= STDERR_FILENO);
    return fd < 0 ? false : close(fd) == 0;
}

int main(int argc, char **argv)
{
    sshd d = {.root = geteuid() == 0, .uid = geteuid(), .argv = argv, .cmd_family = -1};
    command_line cl = {.file = default_config};
    if (!fill_stdio() || nacre_sshd_config_new(&d.config, NULL) != NACRE_OK) {
        return 255;
    }
    /*
     * Host keys are in this memory: other processes of its user must not trace it, and somebody who is
     * held to SFTP must not write a program of his own into it through /proc/self/mem.
     */
    (void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
    mode_t before = umask(077);
    d.umask = before | 022;
    for (int option; (option = getopt(argc, argv, "46C:DE:TVdef:g:h:io:p:qt")) != -1;) {
        if (!take_option(&d, &cl, option)) {
            return option == '?' ? usage(NULL) : 1;
        }
    }
    if (optind < argc) {
        return usage("there are only options");
    }
    if (cl.version) {
        fprintf(stderr, "nacre_%s\n", nacre_version());
        return 0;
    }
    int status = start(&d, &cl);
    for (size_t i = 0; i < d.key_count; i++) {
        nacre_key_free(d.keys[i]);
    }
    free(d.moduli);
    nacre_sshd_config_free(d.config);
    return status;
}
