/*
 * talk.c - lines out and lines in, however the pipe cuts them.
 */
#include "scp/talk.h"

#include <stdio.h>
#include <string.h>

/* Far above what replies to well-behaved peers ever need. */
enum { WAITING_MAX = 64 * 1024 };

void nc_scp_out_init(nc_scp_out *o, const nacre_pipe *pipe, const nacre_allocator *alloc)
{
    o->pipe = *pipe;
    nc_queue_init(&o->q, alloc, WAITING_MAX);
}

void nc_scp_out_clear(nc_scp_out *o)
{
    nc_queue_clear(&o->q);
}

int nc_scp_out_push(nc_scp_out *o, const void *p, size_t n)
{
    return nc_queue_append(&o->q, p, n);
}

int nc_scp_out_words(nc_scp_out *o, int code, const char *text)
{
    char line[NC_SCP_LINE_MAX];
    size_t one = 0; /* line: the peer reads no further */
    while (text[one] != '\0' && text[one] != '\n' && text[one] != '\r' && one < sizeof(line)) {
        one++;
    }
    int n = snprintf(line, sizeof(line) - 1, "%cscp: %.*s", code, (int)one, text);
    size_t len = n < 0 ? 0 : (size_t)n < sizeof(line) - 1 ? (size_t)n : sizeof(line) - 2;
    line[len] = '\n';
    return nc_scp_out_push(o, line, len + 1);
}

int nc_scp_out_flush(nc_scp_out *o)
{
    while (nc_queue_len(&o->q) > 0) {
        size_t took = 0;
        int rc = o->pipe.write(o->pipe.ctx, nc_queue_front(&o->q), nc_queue_len(&o->q), &took);
        if (rc != NACRE_OK) {
            return rc;
        }
        if (took == 0) {
            break;
        }
        nc_queue_consume(&o->q, took);
    }
    return NACRE_OK;
}

bool nc_scp_words_take(nc_scp_words *w, nacre_span *in)
{
    const uint8_t *newline = in->n ? memchr(in->p, '\n', in->n) : NULL;
    size_t n = newline ? (size_t)(newline - in->p) : in->n;
    size_t room = sizeof(w->text) - w->len, some = n < room ? n : room;
    if (some > 0) {
        memcpy(w->text + w->len, in->p, some);
    }
    w->len += some;
    w->total += n;
    n += newline ? 1 : 0;
    *in = nc_span(in->p + n, in->n - n);
    return newline != NULL;
}

bool nc_scp_words_blank(const nc_scp_words *w)
{
    for (size_t i = 0; i < w->len; i++) {
        if (w->text[i] != ' ' && w->text[i] != '\t' && w->text[i] != '\r') {
            return false;
        }
    }
    return true;
}

void nc_scp_words_show(const nc_scp_words *w, char *out, size_t size)
{
    size_t n = w->len;
    while (n > 0 && (w->text[n - 1] == '\r' || w->text[n - 1] == ' ')) {
        n--;
    }
    nacre_escape(out, size, nc_span(w->text, n));
    if (n == 0) {
        snprintf(out, size, "an error without a word about it");
    }
}
