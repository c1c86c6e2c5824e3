/*
 * say.c - messages, in OpenSSH's words.
 */
#include "keygen.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

static void NACRE_PRINTF(2, 0) put_line(const char *prefix, const char *fmt, va_list ap)
{
    char text[2048];
    (void)vsnprintf(text, sizeof(text), fmt, ap);
    /* What a file or a name may hold must not reach a terminal as it is. */
    char safe[4096];
    nacre_span s = {(const uint8_t *)text, strlen(text)};
    (void)nacre_escape(safe, sizeof(safe), s);
    (void)fprintf(stderr, "%s%s\r\n", prefix, safe);
}

void kg_say(const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    put_line("", fmt, ap);
    va_end(ap);
}

void kg_debug(const keygen *g, const char *fmt, ...)
{
    if (g->verbose == 0) {
        return;
    }
    va_list ap;
    va_start(ap, fmt);
    put_line("debug1: ", fmt, ap);
    va_end(ap);
}

void kg_die(const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    put_line("", fmt, ap);
    va_end(ap);
    /* What was printed but not written yet goes with it, as with ssh-keygen: scripts see no half results. */
    _exit(255);
}

static const struct {
    int rc;
    const char *text;
} reasons[] = {
    {NACRE_WRONG_PASSPHRASE, "incorrect passphrase supplied to decrypt private key"},
    {NACRE_NEED_PASSPHRASE, "incorrect passphrase supplied to decrypt private key"},
    {NACRE_KEY_PERMISSIONS, "bad permissions"},
    {NACRE_KEY_FORMAT, "error in libcrypto"},
    {NACRE_NOT_PRIVATE, "error in libcrypto"},
    {NACRE_BAD_KEY, "invalid format"},
    {NACRE_SYNTAX, "invalid format"},
    {NACRE_MALFORMED, "invalid format"},
    {NACRE_UNSUPPORTED, "unknown or unsupported key type"},
    {NACRE_BAD_SIGNATURE, "incorrect signature"},
    {NACRE_AGENT_REFUSED, "agent refused operation"},
    {NACRE_AGENT_PROTOCOL, "communication with agent failed"},
};

const char *kg_reason(int rc, const nacre_error *why)
{
    static char text[1024];
    if (why && why->detail != 0 && (rc == NACRE_IO || rc == NACRE_NOT_FOUND)) {
        return strerror((int)why->detail);
    }
    for (size_t i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++) {
        if (reasons[i].rc == rc) {
            return reasons[i].text;
        }
    }
    (void)snprintf(text, sizeof(text), "%s",
                   why && why->text[0] ? why->text : nacre_status_text(rc));
    return text;
}

void kg_put(const char *text)
{
    nacre_span s = {(const uint8_t *)text, strlen(text)};
    size_t room = 4 * s.n + 1; /* no byte takes more than \ooo */
    char *safe = malloc(room);
    if (!safe) {
        kg_die("out of memory");
    }
    (void)nacre_escape(safe, room, s);
    (void)fputs(safe, stdout);
    free(safe);
}

int kg_end(int status)
{
    if (fflush(stdout) != 0 || ferror(stdout)) {
        kg_say("cannot write to standard output");
        return 255;
    }
    return status;
}

const char *kg_option(const char *text, const char *name)
{
    size_t n = strlen(name);
    return strncasecmp(text, name, n) == 0 ? text + n : NULL;
}
