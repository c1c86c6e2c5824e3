/*
 * talk.h - what both machines do with their pipe: lines that wait for room, and lines that come in
 * pieces.
 */
#ifndef NC_SCP_TALK_H
#define NC_SCP_TALK_H

#include "base/buf.h"
#include "nacre/pipe.h"
#include "scp/line.h"

enum { NC_SCP_GOOD = 0, NC_SCP_WARNING = 1, NC_SCP_FATAL = 2 }; /* the first byte of a reply */

typedef struct nc_scp_out {
    nacre_pipe pipe;
    nc_queue q;
} nc_scp_out;

void nc_scp_out_init(nc_scp_out *o, const nacre_pipe *pipe, const nacre_allocator *alloc);
void nc_scp_out_clear(nc_scp_out *o);
/* NACRE_LIMIT: the peer provokes replies and does not take them. */
int nc_scp_out_push(nc_scp_out *o, const void *p, size_t n) NACRE_MUST_CHECK;
/* A warning or an error: "scp: text" on one line. */
int nc_scp_out_words(nc_scp_out *o, int code, const char *text) NACRE_MUST_CHECK;
int nc_scp_out_flush(nc_scp_out *o) NACRE_MUST_CHECK;
static inline bool nc_scp_out_waits(const nc_scp_out *o)
{
    return nc_queue_len(&o->q) > 0;
}

/* A line that comes in pieces. */
typedef struct nc_scp_words {
    char text[NC_SCP_LINE_MAX];
    size_t len;   /* kept */
    size_t total; /* seen */
} nc_scp_words;
/* Takes bytes off *in up to the newline: true when it came. total above NC_SCP_WORDS_MAX: give up. */
bool nc_scp_words_take(nc_scp_words *w, nacre_span *in);
/* Nothing in it to be seen: a login script that prints something often begins with an empty line. */
bool nc_scp_words_blank(const nc_scp_words *w);
/* The line as a sentence for people, without what stands at its ends. */
void nc_scp_words_show(const nc_scp_words *w, char *out, size_t size);

#endif
