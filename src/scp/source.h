/*
 * source.h - the sending machine of the copy protocol: lines and data out, one byte or a line of reply
 * for each. It is the client that puts, and the server's "scp -f".
 *
 * What is to be sent comes from a few functions, so that files, streams and tests look the same to it.
 * They are called from within input and flush, and must not call the machine.
 */
#ifndef NC_SCP_SOURCE_H
#define NC_SCP_SOURCE_H

#include "nacre/pipe.h"
#include "scp/line.h"

typedef struct nc_scp_source nc_scp_source;

typedef struct nc_scp_source_ops {
    /*
     * What is next: FILE, DIR, LEAVE, NOTE (*why says what could not be sent) or DONE. The name lives
     * until the next call. An error other than that ends the session.
     */
    int (*next)(void *user, nc_scp_record *out, nacre_error *why);
    /*
     * Data of the last FILE: up to want bytes into the rooms, from the first on. None: the file is
     * shorter than was said. NACRE_AGAIN: none now, flush when there is. NACRE_CANCELLED ends the
     * session; any other error (why has a sentence) only this file.
     */
    int (*read)(void *user, const nacre_room *rooms, size_t count, size_t want, size_t *got,
                nacre_error *why);
    /*
     * What became of a FILE (when the peer has all of it, or does not want it) or DIR (before its
     * contents: refused, so next must go on behind it). why: NACRE_OK, or a sentence. The same order as
     * next gave them, each once, unless the session ends before.
     */
    void (*over)(void *user, const nc_scp_record *r, const nacre_error *why);
    /* The peer's words about nothing in particular, escaped. NULL ok. */
    void (*note)(void *user, const char *text);
} nc_scp_source_ops;

typedef struct nc_scp_source_options {
    const nacre_allocator *allocator;
    /*
     * Lines whose reply cannot change what follows are sent without waiting for it: one round trip for
     * each file instead of three. For peers that read line by line, as every scp does, but not every
     * device that calls something scp.
     */
    bool pipelined;
    /* A file that turns out shorter is filled with zeros to what was announced, to stay in step, when at
     * most so many are missing. Else the session ends. */
    uint64_t pad_max;
} nc_scp_source_options;

/* Copies options, ops and pipe. Waits for the peer's first word. */
int nc_scp_source_new(nc_scp_source **out, const nacre_pipe *pipe, const nc_scp_source_ops *ops,
                      void *user, const nc_scp_source_options *o) NACRE_MUST_CHECK;
void nc_scp_source_free(nc_scp_source *s); /* NULL ok */
/* Replies. Takes all of them. Errors here and below are sticky. */
int nc_scp_source_input(nc_scp_source *s, nacre_span in) NACRE_MUST_CHECK;
/* The pipe is writable, or read has data again. */
int nc_scp_source_flush(nc_scp_source *s) NACRE_MUST_CHECK;
/* The peer says nothing more: NACRE_OK only when all is done. */
int nc_scp_source_eof(nc_scp_source *s) NACRE_MUST_CHECK;
/* All is sent, and answered. */
bool nc_scp_source_done(const nc_scp_source *s);
/* Files and directories that were not sent, and notes, ours and the peer's. */
uint64_t nc_scp_source_failures(const nc_scp_source *s);
const nacre_error *nc_scp_source_error(const nc_scp_source *s);

#endif
