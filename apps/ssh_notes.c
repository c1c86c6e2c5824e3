/*
 * ssh_notes.c - what a client tells a person on stderr: complaints, debug lines, the server's banner and
 * texts, what was negotiated, and the warning when that is weak.
 */
#include "ssh_setup.h"

#include "nacre/net.h"

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <syslog.h>
#include <termios.h>
#include <unistd.h>

/* A terminal in raw mode needs the carriage return, and nothing else does. */
static const char *line_end(FILE *to)
{
    struct termios now;
    return tcgetattr(fileno(to), &now) == 0 && !(now.c_oflag & OPOST) ? "\r\n" : "\n";
}

/* One line, to standard error or to where -E or -y sends it. */
static void put_line(const ssh_setup *s, int priority, const char *before, const char *text)
{
    if (s->use_syslog) {
        syslog(priority, "%s%s", before, text);
    } else {
        FILE *to = s->log ? s->log : stderr;
        (void)fprintf(to, "%s%s%s", before, text, line_end(to));
    }
}

void setup_say(const ssh_setup *s, const char *fmt, ...)
{
    char text[2048], name[64];
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    (void)snprintf(name, sizeof(name), "%s: ", s->program);
    put_line(s, LOG_ERR, s->use_syslog ? "" : name, text);
}

void setup_note(const ssh_setup *s, const char *fmt, ...)
{
    char text[2048];
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    put_line(s, LOG_ERR, "", text);
}

void setup_debug(const ssh_setup *s, int level, const char *fmt, ...)
{
    char text[2048], name[16];
    va_list ap;
    if (s->verbosity < level) {
        return;
    }
    va_start(ap, fmt);
    (void)vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    (void)snprintf(name, sizeof(name), "debug%d: ", level);
    put_line(s, LOG_DEBUG, name, text);
}

nacre_log_level setup_log_level(int verbosity)
{
    static const nacre_log_level levels[] = {NACRE_LOG_INFO, NACRE_LOG_VERBOSE, NACRE_LOG_DEBUG,
                                             NACRE_LOG_TRACE};
    return verbosity < 0 ? NACRE_LOG_QUIET : levels[verbosity > 3 ? 3 : verbosity];
}

bool setup_is_heard(void)
{
    struct pollfd p = {STDERR_FILENO, POLLOUT, 0};
    int rc;
    do {
        rc = poll(&p, 1, 500);
    } while (rc < 0 && errno == EINTR);
    return rc > 0;
}

bool setup_log_to(ssh_setup *s, const char *path)
{
    FILE *log = fopen(path, "ae");
    if (!log) {
        setup_say(s, "%s cannot be opened: %s", path, strerror(errno));
        return false;
    }
    (void)setvbuf(log, NULL, _IOLBF, 0);
    if (s->log) {
        (void)fclose(s->log);
    }
    s->log = log;
    return true;
}

void setup_set_verbosity(ssh_setup *s, nacre_client *c, int verbosity)
{
    s->verbosity = verbosity;
    nacre_client_set_log_level(c, setup_log_level(verbosity));
}

void setup_open_log(ssh_setup *s)
{
    static const struct {
        const char *name;
        int facility;
    } rows[] = {{"DAEMON", LOG_DAEMON},     {"USER", LOG_USER},     {"AUTH", LOG_AUTH},
                {"AUTHPRIV", LOG_AUTHPRIV}, {"LOCAL0", LOG_LOCAL0}, {"LOCAL1", LOG_LOCAL1},
                {"LOCAL2", LOG_LOCAL2},     {"LOCAL3", LOG_LOCAL3}, {"LOCAL4", LOG_LOCAL4},
                {"LOCAL5", LOG_LOCAL5},     {"LOCAL6", LOG_LOCAL6}, {"LOCAL7", LOG_LOCAL7}};
    const char *name = nacre_ssh_config_get(s->conf, "SyslogFacility");
    int facility = LOG_USER;
    for (size_t i = 0; name && i < sizeof(rows) / sizeof(rows[0]); i++) {
        facility = strcasecmp(rows[i].name, name) == 0 ? rows[i].facility : facility;
    }
    openlog(s->program, LOG_PID, facility);
}

static void on_log(void *user, nacre_log_level level, const char *line)
{
    const ssh_setup *s = user;
    int debug = level <= NACRE_LOG_VERBOSE ? 1 : level == NACRE_LOG_DEBUG ? 2 : 3;
    setup_debug(s, debug, "%s", line);
}

static void on_warning(void *user, const char *text)
{
    const ssh_setup *s = user;
    if (s->verbosity >= 0) {
        put_line(s, LOG_NOTICE, "", text);
    }
}

/* The server's text, made harmless; its line ends stay. */
static void show_text(nacre_span text)
{
    while (text.n > 0) {
        const uint8_t *end = memchr(text.p, '\n', text.n);
        size_t n = end ? (size_t)(end - text.p) : text.n;
        size_t shown = n > 0 && text.p[n - 1] == '\r' ? n - 1 : n;
        char line[4096];
        (void)nacre_escape(line, sizeof(line), (nacre_span){text.p, shown});
        (void)fprintf(stderr, "%s%s", line, line_end(stderr));
        n += end ? 1 : 0;
        text = (nacre_span){text.p + n, text.n - n};
    }
}

static void on_banner(void *user, nacre_span text)
{
    const ssh_setup *s = user;
    if (s->verbosity >= 0) {
        show_text(text);
    }
}

static void on_instruction(void *user, nacre_span name, nacre_span text)
{
    (void)user;
    show_text(name);
    show_text(text);
}

static const char *mac_name(const char *mac)
{
    return *mac ? mac : "<implicit>";
}

/* Once a connection; WarnWeakCrypto=no or no-pq-kex silences it, and so does -q. */
static void warn_weak(const ssh_setup *s, const nacre_negotiated *n)
{
    const char *wanted = nacre_ssh_config_get(s->conf, "WarnWeakCrypto");
    bool silent = wanted && (strcasecmp(wanted, "no") == 0 || strcasecmp(wanted, "false") == 0 ||
                             strcasecmp(wanted, "no-pq-kex") == 0);
    if (n->post_quantum || silent || s->verbosity < 0) {
        return;
    }
    const char *const lines[] = {
        "** WARNING: connection is not using a post-quantum key exchange algorithm.",
        "** Who records it today can read it once there is a large quantum computer.",
        "** Newer software on the server mends it; WarnWeakCrypto=no-pq-kex silences this.",
    };
    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
        put_line(s, LOG_NOTICE, "", lines[i]);
    }
}

static void on_kex(const ssh_setup *s, const nacre_negotiated *n, bool first)
{
    setup_debug(s, 1, "kex: algorithm: %s", n->kex);
    setup_debug(s, 1, "kex: post-quantum: %s", n->post_quantum ? "yes" : "no");
    setup_debug(s, 1, "kex: host key algorithm: %s", n->host_key);
    setup_debug(s, 1, "kex: server->client cipher: %s MAC: %s compression: %s", n->cipher_s2c,
                mac_name(n->mac_s2c), n->compression_s2c);
    setup_debug(s, 1, "kex: client->server cipher: %s MAC: %s compression: %s", n->cipher_c2s,
                mac_name(n->mac_c2s), n->compression_c2s);
    if (first) {
        warn_weak(s, n);
    }
}

/* As ssh says it: other programs look for this line. */
static void on_login(const ssh_setup *s, nacre_client *c, const nacre_event *ev)
{
    nacre_endpoint peer;
    char text[700];
    const char *method = ev->u.auth_result.method;
    int fd = nacre_driver_fd(nacre_client_driver(c));
    bool known = nacre_net_peer(fd, &peer) == NACRE_OK && peer.family;
    if (s->verbosity < 1) {
        return;
    }
    if (known) {
        (void)snprintf(text, sizeof(text), "Authenticated to %s ([%s]:%u) using \"%s\".", s->host,
                       peer.address, (unsigned)peer.port, method);
    } else {
        (void)snprintf(text, sizeof(text), "Authenticated to %s (via proxy) using \"%s\".", s->host,
                       method);
    }
    put_line(s, LOG_NOTICE, "", text);
}

static void on_event(void *user, nacre_client *c, const nacre_event *ev)
{
    const ssh_setup *s = user;
    char text[512];
    if (ev->type == NACRE_EVENT_KEX_DONE) {
        on_kex(s, ev->u.kex.algorithms, ev->u.kex.first);
    } else if (ev->type == NACRE_EVENT_VERSION || ev->type == NACRE_EVENT_PRE_BANNER) {
        (void)nacre_escape(text, sizeof(text), ev->text);
        setup_debug(s, 1,
                    ev->type == NACRE_EVENT_VERSION ? "Remote protocol version 2.0: %s"
                                                    : "Server says before its version: %s",
                    text);
    } else if (ev->type == NACRE_EVENT_AUTH_RESULT && ev->u.auth_result.status == NACRE_OK) {
        on_login(s, c, ev);
    } else if (ev->ticket) {
        (void)nacre_transport_refuse(nacre_client_transport(c), ev->ticket);
    }
}

void setup_listen(ssh_setup *s)
{
    nacre_client_callbacks *cb = &s->cfg.callbacks;
    s->cfg.transport.log = on_log;
    cb->banner = on_banner;
    cb->instruction = on_instruction;
    cb->event = on_event;
    cb->warning = on_warning;
}
