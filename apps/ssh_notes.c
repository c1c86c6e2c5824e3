/*
 * ssh_notes.c - what a client tells a person on stderr: complaints, debug lines, the server's banner and
 * texts, what was negotiated, and the warning when that is weak.
 */
#include "ssh_setup.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <syslog.h>
#include <unistd.h>

/* A terminal in raw mode needs the carriage return, and shows it nowhere else. */
static const char *line_end(void)
{
    return isatty(STDERR_FILENO) ? "\r\n" : "\n";
}

/* One line, to standard error or to where -y sends it. */
static void put_line(const ssh_setup *s, int priority, const char *before, const char *text)
{
    if (s->use_syslog) {
        syslog(priority, "%s%s", before, text);
    } else {
        (void)fprintf(stderr, "%s%s%s", before, text, line_end());
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
        (void)fprintf(stderr, "%s%s", line, line_end());
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
        (void)fprintf(stderr, "%s%s", lines[i], line_end());
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
