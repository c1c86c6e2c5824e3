/*
 * sink.h - the receiving machine of the copy protocol: it reads lines and data, and answers each. It is
 * the client that gets, and the server's "scp -t".
 *
 * Where things go is decided by a few functions, called from within input; they must not call the
 * machine. Every name that they are given is a single name.
 */
#ifndef NC_SCP_SINK_H
#define NC_SCP_SINK_H

#include "nacre/pipe.h"
#include "scp/line.h"

typedef struct nc_scp_sink nc_scp_sink;

typedef struct nc_scp_sink_ops {
    /*
     * A file or directory is announced. An error (why has a sentence for the peer and us) refuses it:
     * neither data nor contents will come. NACRE_CANCELLED ends the session, here and below.
     */
    int (*file)(void *user, const nc_scp_record *r, nacre_error *why);
    int (*enter)(void *user, const nc_scp_record *r, nacre_error *why);
    /* After an error the rest of the file is dropped, and finish is called all the same. */
    int (*write)(void *user, nacre_span data, nacre_error *why);
    /* The file is over. whole false: why says what was wrong with it; then nothing must come of it. */
    int (*finish)(void *user, bool whole, nacre_error *why);
    /* The directory that was entered last is over. An error is told, and changes nothing. */
    int (*leave)(void *user, nacre_error *why);
    /* The peer could not send something: its words, escaped. NULL ok. */
    void (*note)(void *user, const char *text);
} nc_scp_sink_ops;

typedef struct nc_scp_sink_options {
    const nacre_allocator *allocator;
    bool recursive;
    bool controls;       /* control characters may be in names */
    uint32_t max_depth;  /* of directories in directories */
    const char *pattern; /* what names of the top must match; NULL: anything. Kept by reference */
    bool single;         /* only one thing may come */
    /* The end of input right behind a file's last byte is as good as the peer's word that it is whole:
     * libssh2, and so curl, never say it. */
    bool eof_ends_file;
} nc_scp_sink_options;

/* Copies options, ops and pipe. The first flush says the first word. */
int nc_scp_sink_new(nc_scp_sink **out, const nacre_pipe *pipe, const nc_scp_sink_ops *ops,
                    void *user, const nc_scp_sink_options *o) NACRE_MUST_CHECK;
void nc_scp_sink_free(nc_scp_sink *s); /* NULL ok; calls nobody */
/* Takes all of it and gives the room back to the pipe. Errors here and below are sticky. */
int nc_scp_sink_input(nc_scp_sink *s, nacre_span in) NACRE_MUST_CHECK;
int nc_scp_sink_flush(nc_scp_sink *s) NACRE_MUST_CHECK; /* the pipe is writable */
/* The peer is through: NACRE_OK between things, else NACRE_INCOMPLETE. */
int nc_scp_sink_eof(nc_scp_sink *s) NACRE_MUST_CHECK;
/* Nothing waits to be sent. */
bool nc_scp_sink_idle(const nc_scp_sink *s);
uint64_t nc_scp_sink_failures(const nc_scp_sink *s);
uint64_t nc_scp_sink_things(const nc_scp_sink *s); /* files and directories at the top */
const nacre_error *nc_scp_sink_error(const nc_scp_sink *s);
/* Tells the peer why and ends the session: a full target, a refusal before anything came. */
void nc_scp_sink_refuse(nc_scp_sink *s, const nacre_error *why);

#endif
