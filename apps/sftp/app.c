/*
 * app.c - messages and memory of nacre-sftp.
 */
#include "app.h"

#include <stdarg.h>
#include <stdio.h>
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

/* The server's words, behind the request and its path. */
static const char *reason(const char *text, const char *path)
{
    char *front = text_of("%s: ", shown(path));
    const char *at = strstr(text, front);
    text = at ? at + strlen(front) : text;
    free(front);
    return strcmp(text, "No such file") == 0 ? "No such file or directory" : text;
}

int complain_path(const app *a, const char *path, const char *fmt, ...)
{
    const nacre_error *e = nacre_sftp_error(a->s);
    char what[2048];
    va_list ap;
    if (e->status != NACRE_SFTP_STATUS) {
        return complain_sftp(a);
    }
    va_start(ap, fmt);
    vsnprintf(what, sizeof(what), fmt, ap);
    va_end(ap);
    return complain("%s: %s", what, reason(e->text, path));
}

const char *shown(const char *text)
{
    static char buffers[4][4096];
    static size_t turn;
    char *out = buffers[turn++ % 4];
    nacre_span span = {(const uint8_t *)text, strlen(text)};
    nacre_escape(out, sizeof(buffers[0]), span);
    return out;
}
