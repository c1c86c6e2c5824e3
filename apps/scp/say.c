/*
 * say.c - what nacre-scp tells, and how its exit status comes about.
 */
#include "scp.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

NACRE_PRINTF(2, 0) static void say(const scp *a, const char *fmt, va_list ap)
{
    progress_clear(a->bar);
    (void)fflush(stdout);
    (void)fputs("nacre-scp: ", stderr);
    (void)vfprintf(stderr, fmt, ap);
    (void)fputc('\n', stderr);
}

void fail(scp *a, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    say(a, fmt, ap);
    va_end(ap);
    a->status = a->status ? a->status : SCP_FAILED;
}

void fail_badly(scp *a, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    say(a, fmt, ap);
    va_end(ap);
    a->status = SCP_NO_CONNECTION;
}

void debug(const scp *a, const char *fmt, ...)
{
    va_list ap;
    if (a->args.verbose < 1) {
        return;
    }
    progress_clear(a->bar);
    (void)fputs("debug1: ", stderr);
    va_start(ap, fmt);
    (void)vfprintf(stderr, fmt, ap);
    va_end(ap);
    (void)fputc('\n', stderr);
}

const char *shown(const char *text)
{
    static char buffers[4][2048];
    static unsigned next;
    char *out = buffers[next++ % 4];
    (void)nacre_escape(out, sizeof(buffers[0]), (nacre_span){(const uint8_t *)text, strlen(text)});
    return out;
}

/* As the C library words the same failures, which people and scripts look for. */
static const char *status_text(uint32_t code)
{
    switch (code) {
    case NACRE_FX_NO_SUCH_FILE:
        return "No such file or directory";
    case NACRE_FX_PERMISSION_DENIED:
        return "Permission denied";
    default:
        return NULL;
    }
}

void fail_sftp(scp *a, nacre_sftp *s, const char *path)
{
    const nacre_error *e = nacre_sftp_error(s);
    const char *plain = e->status == NACRE_SFTP_STATUS ? status_text(nacre_sftp_status(s)) : NULL;
    if (plain) {
        fail(a, "%s: %s", shown(path), plain);
    } else {
        fail(a, "%s", e->text[0] ? e->text : nacre_status_text(e->status));
    }
}

void fail_sentence(scp *a, const char *text)
{
    static const char short_form[] = "No such file";
    size_t n = strlen(text), tail = sizeof(short_form) - 1;
    bool same = n >= tail && strcmp(text + n - tail, short_form) == 0;
    fail(a, "%s%s", text, same ? " or directory" : "");
}

void *keep(void *p)
{
    if (!p) {
        (void)fputs("nacre-scp: out of memory\n", stderr);
        exit(SCP_NO_CONNECTION);
    }
    return p;
}

/* ---- a job's callbacks ---- */

bool on_progress(void *user, const char *path, uint64_t done, uint64_t total)
{
    scp *a = user;
    progress_step(a->bar, path, done, total);
    return !a->interrupted;
}

void on_item(void *user, const nacre_sftp_item *item)
{
    scp *a = user;
    const char *local = item->up ? item->from : item->to;
    switch (item->outcome) {
    case NACRE_SFTP_STARTED:
        debug(a, "%s %s to %s", item->up ? "Sending" : "Fetching", shown(item->from),
              shown(item->to));
        return;
    case NACRE_SFTP_SKIPPED:
        progress_clear(a->bar);
        if (!a->args.quiet) {
            (void)fprintf(stderr, "%s\n", item->why);
        }
        break;
    case NACRE_SFTP_FAILED:
        /* What an interrupt ends needs no words, but for what it leaves behind. */
        if (!a->interrupted || (item->up && !item->directory)) {
            fail_sentence(a, item->why);
        }
        break;
    default:
        break;
    }
    progress_end(a->bar, local, item->outcome == NACRE_SFTP_COPIED);
}
