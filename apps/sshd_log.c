/*
 * sshd_log.c - nacre-sshd's log: syslog, or stderr. Lines hold no secret; what a peer sent stands
 * escaped in them.
 */
#include "sshd.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <syslog.h>
#include <unistd.h>

static int limit = LOG_LEVEL_INFO;
static int facility = LOG_AUTH;
static bool on_stderr = true;

void log_open(int level, int to_facility, bool to_stderr)
{
    limit = level;
    facility = to_facility;
    on_stderr = to_stderr;
    if (!to_stderr) {
        openlog("nacre-sshd", LOG_PID, to_facility);
    }
}

void log_set_level(int level)
{
    limit = level;
}

void log_keep(void)
{
    if (!on_stderr) {
        closelog();
        openlog("nacre-sshd", LOG_PID | LOG_NDELAY, facility);
    }
}

void log_close(void)
{
    if (!on_stderr) {
        closelog();
        openlog("nacre-sshd", LOG_PID, facility);
    }
}

int log_level(void)
{
    return limit;
}

void say(int level, const char *fmt, ...)
{
    static const int priorities[] = {LOG_ERR,  LOG_CRIT,  LOG_ERR,   LOG_INFO,
                                     LOG_INFO, LOG_DEBUG, LOG_DEBUG, LOG_DEBUG};
    char line[1400];
    va_list ap;
    if (level > limit) {
        return;
    }
    va_start(ap, fmt);
    int n = vsnprintf(line, sizeof(line) - 1, fmt, ap);
    va_end(ap);
    if (n < 0) {
        return;
    }
    if (!on_stderr) {
        syslog(priorities[level], "%s", line);
        return;
    }
    size_t len = strlen(line);
    line[len++] = '\n';
    /* One write, so that lines of several processes do not mix. */
    ssize_t put = write(STDERR_FILENO, line, len);
    (void)put;
}

void log_engine(void *user, nacre_log_level level, const char *line)
{
    static const int of[] = {LOG_LEVEL_ERROR, LOG_LEVEL_INFO,      LOG_LEVEL_VERBOSE,
                             LOG_LEVEL_DEBUG, LOG_LEVEL_DEBUG + 1, LOG_LEVEL_DEBUG + 2};
    (void)user;
    say(of[level], "%s", line);
}

nacre_log_level log_engine_level(void)
{
    static const nacre_log_level of[] = {NACRE_LOG_QUIET, NACRE_LOG_QUIET, NACRE_LOG_ERROR,
                                         NACRE_LOG_ERROR, NACRE_LOG_INFO,  NACRE_LOG_VERBOSE,
                                         NACRE_LOG_DEBUG, NACRE_LOG_TRACE};
    return of[limit];
}

const char *plain(nacre_span text)
{
    static char ring[8][320];
    static unsigned at;
    char *out = ring[at++ % 8];
    (void)nacre_escape(out, sizeof(ring[0]), text);
    return out;
}

const char *plain_text(const char *text)
{
    nacre_span s = {(const uint8_t *)text, strlen(text)};
    return plain(s);
}
