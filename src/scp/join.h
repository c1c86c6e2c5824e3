/*
 * join.h - a sending program and a receiving one, joined: what the one says goes to the other and the
 * replies back, after a look at every line. It is the client that copies from server to server.
 *
 * The machine has two pipes: up to the source ("scp -f"), down to the sink ("scp -t"). Lines go on one
 * at a time, each when the one before it is answered; data as far as the pipe down takes it, and only
 * then is room for more given back.
 */
#ifndef NC_SCP_JOIN_H
#define NC_SCP_JOIN_H

#include "nacre/pipe.h"
#include "scp/line.h"

typedef struct nc_scp_join nc_scp_join;

/* Called from within input, replies and flush; they must not call the machine. r lives for the call. */
typedef struct nc_scp_join_ops {
    void (*begun)(void *user, const nc_scp_record *r); /* FILE or DIR, and its name is allowed */
    /* Data of the present file went on. False: end it all. */
    bool (*moved)(void *user, size_t n);
    /* The present FILE is over, or the DIR was taken or refused. why: NACRE_OK, or a sentence. */
    void (*over)(void *user, const nacre_error *why);
    /* Either side's words about something else, escaped. */
    void (*note)(void *user, const char *text);
} nc_scp_join_ops;

typedef struct nc_scp_join_options {
    const nacre_allocator *allocator;
    bool recursive;
    bool special;        /* setuid, setgid and sticky bits may pass */
    uint32_t max_depth;  /* of directories in directories */
    const char *pattern; /* what names of the top must match; NULL: anything. Kept by reference */
    bool single;         /* only one thing may come */
    size_t held_max;     /* bytes of the source that may wait; its window is never more */
} nc_scp_join_options;

int nc_scp_join_new(nc_scp_join **out, const nacre_pipe *up, const nacre_pipe *down,
                    const nc_scp_join_ops *ops, void *user,
                    const nc_scp_join_options *o) NACRE_MUST_CHECK;
void nc_scp_join_free(nc_scp_join *j); /* NULL ok; calls nobody */
/* What the source says, and what the sink does. Both take everything. Errors here and below are sticky. */
int nc_scp_join_input(nc_scp_join *j, nacre_span in) NACRE_MUST_CHECK;
int nc_scp_join_replies(nc_scp_join *j, nacre_span in) NACRE_MUST_CHECK;
int nc_scp_join_flush(nc_scp_join *j) NACRE_MUST_CHECK; /* either pipe is writable */
/* The source is through, the sink is: NACRE_OK between things, else NACRE_INCOMPLETE. */
int nc_scp_join_eof(nc_scp_join *j) NACRE_MUST_CHECK;
int nc_scp_join_sink_eof(nc_scp_join *j) NACRE_MUST_CHECK;
/* The source is through, and all that it said is answered. */
bool nc_scp_join_over(const nc_scp_join *j);
uint64_t nc_scp_join_failures(const nc_scp_join *j);
uint64_t nc_scp_join_things(const nc_scp_join *j); /* files and directories at the top */
const nacre_error *nc_scp_join_error(const nc_scp_join *j);

#endif
