/*
 * app.c - messages and memory of nacre-sftp.
 */
#include "app.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

void *keep(void *p)
{
    if (!p) {
        fputs("nacre-sftp: out of memory\n", stderr);
        exit(255);
    }
    return p;
}

char *text_of(const char *fmt, ...)
{
    char *text = NULL;
    va_list ap;
    va_start(ap, fmt);
    int n = vasprintf(&text, fmt, ap);
    va_end(ap);
    return keep(n < 0 ? NULL : text);
}

void tell(const app *a, const char *fmt, ...)
{
    va_list ap;
    if (a->quiet) {
        return;
    }
    va_start(ap, fmt);
    vprintf(fmt, ap);
    va_end(ap);
}

int complain(const char *fmt, ...)
{
    va_list ap;
    fflush(stdout); /* in the order in which things happened, also in one file */
    va_start(ap, fmt);
    vfprintf(stderr, fmt, ap);
    va_end(ap);
    fputc('\n', stderr);
    return -1;
}

int complain_sftp(const app *a)
{
    return complain("%s", nacre_sftp_error(a->s)->text);
}

const char *status_words(uint32_t code)
{
    return code == NACRE_FX_NO_SUCH_FILE ? "No such file or directory"
                                         : nacre_sftp_status_text(code);
}

int complain_about(const app *a, const char *fmt, ...)
{
    va_list ap;
    if (nacre_sftp_error(a->s)->status != NACRE_SFTP_STATUS) {
        return complain_sftp(a);
    }
    uint32_t code = nacre_sftp_status(a->s);
    char *what = NULL;
    va_start(ap, fmt);
    int n = vasprintf(&what, fmt, ap);
    va_end(ap);
    keep(n < 0 ? NULL : what);
    complain("%s: %s", what, status_words(code));
    free(what);
    return -1;
}

/* A broken connection or protocol fails every call; a broken rule of one answer only that one. */
static bool answers(app *a)
{
    char *path = NULL;
    int rc = nacre_sftp_realpath(a->s, ".", &path);
    nacre_sftp_string_free(a->s, path);
    return rc == NACRE_OK || rc == NACRE_SFTP_STATUS || rc == NACRE_CANCELLED;
}

bool session_over(app *a)
{
    int status = nacre_sftp_error(a->s)->status;
    nacre_class kind = nacre_status_class(status);
    bool doubtful =
        status == NACRE_SFTP_PROTOCOL || kind == NACRE_CLASS_PEER ||
        (kind == NACRE_CLASS_CLOSED && status != NACRE_CANCELLED && status != NACRE_TIMEOUT);
    a->lost = a->lost || (status != NACRE_OK && doubtful && !answers(a));
    return a->lost;
}

const char *shown(const char *text)
{
    static char buffers[4][16384];
    static size_t turn;
    char *out = buffers[turn++ % 4];
    nacre_span span = {(const uint8_t *)text, strlen(text)};
    nacre_escape(out, sizeof(buffers[0]), span);
    return out;
}
