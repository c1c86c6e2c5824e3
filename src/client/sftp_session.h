/*
 * sftp_session.h - the insides of nacre_sftp: the wire below it (a client's channel, or two fds), calls
 * that wait for one answer, and flows of many requests. Shared by the sftp_*.c files of this folder.
 */
#ifndef NC_CLIENT_SFTP_SESSION_H
#define NC_CLIENT_SFTP_SESSION_H

#include "base/buf.h"
#include "base/error.h"
#include "nacre/sftp.h"
#include "nacre/sftp_engine.h"
#include "nacre/sftp_transfer.h"
#include "sftp/engine.h"

#include <time.h>

/*
 * What carries the bytes. It calls nc_sftp_feed, nc_sftp_writable and nc_sftp_lost inside run; all
 * waiting happens there.
 */
typedef struct nc_sftp_wire {
    /* Until done(user) is not NACRE_AGAIN (returned), the time is up, or it breaks (err is set). */
    int (*run)(void *ctx, int (*done)(void *user), void *user, uint32_t timeout_ms,
               nacre_error *err);
    void (*push)(void *ctx);   /* what can be sent and taken without waiting */
    void (*cancel)(void *ctx); /* any thread, signal handlers */
    void (*free)(void *ctx);
} nc_sftp_wire;

typedef bool (*nc_sftp_test)(void *user);

/* Whoever awaits the reply to a request; the engine's user pointer. */
typedef struct nc_sftp_call nc_sftp_call;
struct nc_sftp_call {
    void (*on_reply)(nc_sftp_call *call, nacre_sftp *s, const nacre_sftp_event *ev);
    uint32_t id; /* 0: nothing outstanding */
};

/* ---- tasks: whatever makes requests of its own accord ------------------------------------------------- */

/*
 * pump is called after each batch of replies and when the wire is writable. It makes requests as long as
 * there is room, never waits, and may start and stop tasks, itself and others included.
 */
typedef struct nc_sftp_task nc_sftp_task;
struct nc_sftp_task {
    void (*pump)(nc_sftp_task *t);
    nc_sftp_task *prev, *next;
    bool on;
};
void nc_sftp_task_start(nacre_sftp *s, nc_sftp_task *t, void (*pump)(nc_sftp_task *t));
void nc_sftp_task_stop(nacre_sftp *s, nc_sftp_task *t); /* nothing when it is not on */

/* ---- flows: many requests on one handle --------------------------------------------------------------- */

typedef struct nc_sftp_flow nc_sftp_flow;

enum {
    /* At first: 4 MiB fill 1 Gbit/s over 30 ms, and twice what OpenSSH's server keeps in its window. */
    NC_SFTP_IN_FLIGHT = 4 * 1024 * 1024
};

typedef struct nc_sftp_chunk {
    nc_sftp_call call; /* first: the engine's user pointer is the chunk */
    nc_sftp_flow *flow;
    struct nc_sftp_chunk *prev, *next; /* in order of asking; free list: next alone */
    uint64_t offset;
    uint32_t len;
    bool done; /* answered, but an earlier one is not */
} nc_sftp_chunk;

struct nc_sftp_flow {
    nc_sftp_task task; /* first: a flow is a task while it runs */
    nacre_sftp *s;
    nacre_span handle;
    const char *path; /* for messages */
    /* Makes requests as long as there is room; called after each reply and when the wire is writable. */
    void (*pump)(nc_sftp_flow *f);
    void (*drop)(nc_sftp_flow *f); /* gives back what the direction keeps beside it; NULL ok */
    void *user;                    /* of the source or sink */
    uint64_t next;                 /* offset of the next new request */
    uint64_t end;   /* no request at or behind it: end of file, or of what is wanted */
    uint64_t moved; /* bytes that are through: written locally, or acknowledged */
    uint64_t cap;   /* bytes in flight at most; the session has a bound for all flows, too */
    bool given;     /* cap is the caller's choice, and bounds all flows in place of the session's */
    uint64_t flying;   /* bytes in flight */
    uint32_t requests; /* in flight */
    uint32_t max_requests;
    nc_sftp_chunk *first, *last; /* outstanding, oldest first */
    nc_sftp_chunk *repair;       /* rests of short replies, to be asked for again */
    nacre_error error;           /* the first failure; then nothing new is asked */
    uint32_t code;               /* NACRE_FX_* of it */

    bool limited; /* by the session's limiter */
};

/* Where the reader's bytes go. Returns NACRE_OK, or fails with a sentence in err. */
typedef int (*nc_sftp_sink)(void *user, uint64_t offset, nacre_span bytes, nacre_error *err);
/* Fills rooms from their first on with up to want bytes of offset; *got 0: the end. */
typedef int (*nc_sftp_source)(void *user, uint64_t offset, const nacre_room *rooms, size_t count,
                              size_t want, size_t *got, nacre_error *err);

typedef struct nc_sftp_reader {
    nc_sftp_flow flow;
    nc_sftp_sink sink;
    uint64_t
        size; /* as the server says; UINT64_MAX: unknown. Short replies that end there are EOF */
    uint64_t top;   /* behind the last byte that arrived */
    uint32_t depth; /* requests beyond the known size, grows with success */
    size_t most;    /* bytes of a request: what the server gave when it gave less than asked */
    uint32_t whole; /* answers as long as asked for since then */
    const uint64_t *gate; /* nothing at or behind it is asked for; NULL: no such bound */
    bool in_order;        /* the sink cannot seek: what comes early waits */
    bool begun;
    uint64_t delivered;  /* in order: behind the last byte that the sink has */
    uint8_t *early;      /* a ring by offset; NULL until something comes early */
    nc_sftp_chunk *kept; /* what is in it, lowest offset first */
} nc_sftp_reader;

/*
 * Pseudo file systems (Linux's sysfs) call every file a page long and end it where its text ends: of exactly
 * these sizes, an explicit EOF counts more than the size. Any other file that ends early is not whole.
 */
static inline bool nc_sftp_size_of_a_page(uint64_t size)
{
    return size == 4096 || size == UINT64_C(16) * 1024 || size == UINT64_C(64) * 1024;
}

/* Version 3 counts seconds in 32 bits without a sign. */
static inline uint32_t nc_sftp_wire_time(time_t t)
{
    return t < 0 ? 0 : (uint64_t)t > UINT32_MAX ? UINT32_MAX : (uint32_t)t;
}

typedef struct nc_sftp_writer {
    nc_sftp_flow flow;
    nc_sftp_source source;
    uint64_t size; /* of the source; UINT64_MAX: unknown */
    bool ended;    /* the source has no more */
} nc_sftp_writer;

void nc_sftp_flow_init(nc_sftp_flow *f, nacre_sftp *s, nacre_span handle, const char *path);
void nc_sftp_flow_options(nc_sftp_flow *f, const nacre_sftp_transfer_options *o);
void nc_sftp_reader_init(nc_sftp_reader *r, nacre_sftp *s, nacre_span handle, const char *path,
                         nc_sftp_sink sink, void *user);
void nc_sftp_writer_init(nc_sftp_writer *w, nacre_sftp *s, nacre_span handle, const char *path,
                         nc_sftp_source source, void *user);
/*
 * Runs the flow until all is through, or it failed and nothing is outstanding any more. The result is
 * in s->error too.
 */
int nc_sftp_flow_run(nc_sftp_flow *f) NACRE_MUST_CHECK;
/* The same without waiting: several flows may be on at once. Over: all is through, or it failed. Stop
 * gives up what is outstanding; f->error stays. */
void nc_sftp_flow_start(nc_sftp_flow *f);
bool nc_sftp_flow_over(const nc_sftp_flow *f);
void nc_sftp_flow_stop(nc_sftp_flow *f);
/*
 * Drives the session until finished(user). The session's timeout bounds the time without any answer, not
 * the whole; limited: a bounded rate is to be kept, so look in between.
 */
int nc_sftp_drive(nacre_sftp *s, nc_sftp_test finished, void *user, bool limited) NACRE_MUST_CHECK;
/* Offset before which everything is through. */
uint64_t nc_sftp_flow_through(const nc_sftp_flow *f);

/* Used by the two directions. */
int nc_sftp_flow_fail(nc_sftp_flow *f, int status, const char *fmt, ...) NACRE_PRINTF(3, 4);
void nc_sftp_flow_refused(nc_sftp_flow *f, const nacre_sftp_event *ev, const char *verb,
                          uint64_t offset);
nc_sftp_chunk *nc_sftp_chunk_take(nc_sftp_flow *f); /* NULL: out of memory, the flow has failed */
void nc_sftp_chunk_give(nacre_sftp *s, nc_sftp_chunk *c);
void nc_sftp_chunk_sent(nc_sftp_chunk *c, uint32_t id);
void nc_sftp_chunk_landed(nc_sftp_chunk *c); /* its answer is there, all of it */
void nc_sftp_chunk_unlink(nc_sftp_chunk *c);
void nc_sftp_blocks_free(nacre_sftp *s);
/* n, or what one request of a flow with a bounded rate may have: a tenth of a second's. */
uint64_t nc_sftp_flow_most(const nc_sftp_flow *f, uint64_t n);
/* Bytes that may be asked for now. */
uint64_t nc_sftp_flow_room(nc_sftp_flow *f);

/* Bytes per second of all flows that are bounded, together. */
typedef struct nc_sftp_limiter {
    uint64_t rate;
    uint64_t allowance; /* bytes that may be asked for now */
    uint64_t since_ms;  /* when it was last filled */
} nc_sftp_limiter;

/* ---- how much all flows together have on the way: sftp_depth.c ----------------------------------------- */

typedef struct nc_sftp_depth {
    uint64_t now, start;    /* bytes */
    uint64_t round_trip_ms; /* the smallest seen; UINT64_MAX: not measured */
    bool asked;             /* a question is on the way, alone: */
    uint32_t asked_id;
    uint64_t asked_ms;
    bool counting, held; /* held: somebody had to wait for it in this round trip */
    uint64_t since_ms;   /* of the round trip that is counted; may lie ahead */
    uint64_t counted;    /* bytes that arrived in it */
    uint64_t used_ms;    /* when a good part of it was last in use */
    uint64_t rate;       /* bytes a second, when it grew last */
} nc_sftp_depth;

void nc_sftp_depth_init(nc_sftp_depth *d);
void nc_sftp_depth_start(nc_sftp_depth *d, uint64_t bytes); /* where it begins, and goes back to */
/* A single request left; outstanding: with all others. Its answer came. */
void nc_sftp_depth_asked(nc_sftp_depth *d, uint32_t id, size_t outstanding, uint64_t now_ms);
void nc_sftp_depth_answered(nc_sftp_depth *d, uint32_t id, uint64_t now_ms);
/* The same, told by somebody else. */
void nc_sftp_depth_known(nc_sftp_depth *d, uint64_t round_trip_ms);
/* So many bytes of a flow are through. */
void nc_sftp_depth_landed(nc_sftp_depth *d, uint64_t bytes, uint64_t now_ms);
/* Bytes that may be added to those that are on the way. */
uint64_t nc_sftp_depth_room(nc_sftp_depth *d, uint64_t flying);

/* OPENs that were given up and not answered yet: sftp_late.c. */
typedef struct nc_sftp_late nc_sftp_late;
/* The handle that this request may still bring is closed, and what it made (NULL: nothing) removed. */
void nc_sftp_late_open(nacre_sftp *s, uint32_t id, const char *temporary);
void nc_sftp_late_free(nacre_sftp *s);

/* ---- the session -------------------------------------------------------------------------------------- */

struct nacre_sftp {
    const nacre_allocator *alloc;
    const nc_sftp_wire *wire;
    void *wire_ctx;
    nacre_sftp_engine *engine;
    nacre_error error;  /* of the last call */
    nacre_error broken; /* status NACRE_OK while the session works */
    uint32_t status;    /* NACRE_FX_* of the last call */
    uint32_t timeout_ms, default_timeout_ms;
    size_t max_read, max_write;
    uint64_t read_ahead;    /* bytes that a file object has on the way unless told otherwise */
    uint64_t flying;        /* bytes on the way, of all flows */
    uint32_t flow_requests; /* likewise requests */
    nc_sftp_limiter limiter;
    nc_sftp_late *late;
    uint64_t replies; /* pieces of answers that came: how progress shows */
    nc_sftp_depth depth;
    nc_sftp_task *tasks, *last_task; /* those that are on, in turn */
    nc_sftp_task *next_task;         /* while they are pumped */
    nc_sftp_chunk *pool;
    struct nc_sftp_block *blocks; /* of chunks */
    char ended[160];              /* how the server's program ended, for messages */
    char *cwd;                    /* absolute; NULL: where the session began, nothing is joined */
    char *home;                   /* where it began, once that was asked */
    char **marks;                 /* of nacre_sftp_cd; NULL within: where it began */
    size_t mark_count;
    bool eager;              /* the server reads what comes right behind INIT */
    uint32_t unknown_checks; /* names of check-file that the server does not know: bits, 1 << ext */
};

/* Makes the session, without its wire. */
int nc_sftp_new(nacre_sftp **out, const nacre_sftp_options *o, const nacre_pipe *pipe,
                nacre_error *err) NACRE_MUST_CHECK;
/* The receive window of a session's channel, by what the caller wants and by who the server is. */
uint32_t nc_sftp_window(const nacre_sftp_options *o, const char *peer_version);
/* True: the server that calls itself so reads SYMLINK's arguments in the draft's order. */
bool nc_sftp_draft_symlink(const char *peer_version);
/* True: the server that calls itself so answers what is asked together with INIT. */
bool nc_sftp_takes_early(const char *peer_version);
/* INIT, VERSION, limits; the wire stands. */
int nc_sftp_start(nacre_sftp *s) NACRE_MUST_CHECK;

/* ---- from the wire */
void nc_sftp_feed(nacre_sftp *s, nacre_span bytes);
void nc_sftp_writable(nacre_sftp *s);
void nc_sftp_lost(nacre_sftp *s); /* end of input */
void nc_sftp_break(nacre_sftp *s, const nacre_error *why);

/* ---- waiting */
/* Until finished(user), the session breaks, or time is up. Fills s->error on failure. */
int nc_sftp_wait(nacre_sftp *s, nc_sftp_test finished, void *user,
                 uint32_t timeout_ms) NACRE_MUST_CHECK;
/* Lets the tasks make requests, sends them and takes what is there, without waiting. */
void nc_sftp_push(nacre_sftp *s);
/* A new call begins: forgets the last error. Fails when the session is broken. */
int nc_sftp_begin(nacre_sftp *s) NACRE_MUST_CHECK;
/* Fills s->error and returns status. */
int nc_sftp_fail(nacre_sftp *s, int status, const char *fmt, ...) NACRE_PRINTF(3, 4);
/* Makes s->error fit for a terminal. */
void nc_sftp_tidy(nacre_sftp *s);
int nc_sftp_fail_errno(nacre_sftp *s, const char *verb, const char *path);

/* ---- one request, one answer */

typedef struct nc_sftp_request {
    uint8_t type;       /* NACRE_FXP_* */
    nacre_sftp_ext ext; /* with NACRE_FXP_EXTENDED */
    const char *path;
    const char *other;
    nacre_span handle;
    const nacre_sftp_attrs *attrs;
    uint32_t pflags;
    nacre_span to_handle;        /* of copy-data; handle is what is read */
    uint64_t offset, length;     /* of copy-data and check-file; length 0: to the end */
    const uint64_t *to_offset;   /* of copy-data; NULL: offset, there too */
    const char *algorithms;      /* of check-file, comma-separated */
    uint32_t block_size;         /* 0: one hash over all */
    const uint32_t *uids, *gids; /* of users-groups-by-id */
    size_t n_uids, n_gids;
    const char *name; /* of any other extension: ext NACRE_SFTP_EXT_COUNT */
    nacre_span data;  /* what follows the name */
} nc_sftp_request;

typedef struct nc_sftp_op {
    nc_sftp_call call;
    const nacre_allocator *alloc;
    bool done;
    bool ok;                /* the answer is what was asked for */
    uint32_t code;          /* NACRE_FX_* */
    char message[200];      /* the server's, escaped */
    nacre_sftp_attrs attrs; /* without extended pairs */
    nacre_sftp_statvfs statvfs;
    uint8_t handle[NACRE_SFTP_MAX_HANDLE];
    size_t handle_len;
    uint8_t *
        names; /* owned copy of a NAME reply's entries; of a check-file's hashes, an extension's reply */
    size_t names_len;
    uint32_t names_count;
    bool extended;      /* an EXTENDED_REPLY came, not a status */
    char algorithm[32]; /* of a check-file reply, escaped */
    uint8_t hash[64];
    size_t hash_len;
    bool no_memory;
} nc_sftp_op;

void nc_sftp_op_init(nc_sftp_op *op, nacre_sftp *s);
void nc_sftp_op_clear(nc_sftp_op *op);
/* Sends; the answer is waited for by nc_sftp_finish, which must follow unless this failed. */
int nc_sftp_send(nacre_sftp *s, const nc_sftp_request *r, nc_sftp_op *op) NACRE_MUST_CHECK;
/* The same without waiting: NACRE_AGAIN when there is no room now. err is filled by other failures. */
int nc_sftp_try(nacre_sftp *s, const nc_sftp_request *r, nc_sftp_op *op,
                nacre_error *err) NACRE_MUST_CHECK;
/* Of an answer that is there (op->done): NACRE_OK, or the failure that err is told, too. */
int nc_sftp_judge(const nc_sftp_request *r, const nc_sftp_op *op, nacre_error *err);
/* Waits and judges: the error names what r wanted. */
int nc_sftp_finish(nacre_sftp *s, const nc_sftp_request *r, nc_sftp_op *op) NACRE_MUST_CHECK;
int nc_sftp_ask(nacre_sftp *s, const nc_sftp_request *r, nc_sftp_op *op) NACRE_MUST_CHECK;
/* The same when nothing but success or failure matters. */
int nc_sftp_order(nacre_sftp *s, const nc_sftp_request *r);
/*
 * path as the server shall see it: itself, or joined to the working directory in *owned (nc_free). NULL:
 * no memory. What makes requests by nc_sftp_try, _send, _ask or _order has that done for it.
 */
const char *nc_sftp_path(nacre_sftp *s, const char *path, char **owned);
/* The same for what are paths in r; owned is to be freed after sending. NACRE_NO_MEMORY. */
int nc_sftp_join_request(nacre_sftp *s, nc_sftp_request *r, char *owned[2]) NACRE_MUST_CHECK;
void nc_sftp_cwd_free(nacre_sftp *s);
/* CLOSE, nobody waits for the answer. */
void nc_sftp_drop_handle(nacre_sftp *s, nacre_span handle);
/* "": the server said nothing of use. */
const char *nc_sftp_code_text(uint32_t code, const char *message);

#endif
