/*
 * server.h - the insides of the server machine, shared by its files: server.c (life, frames, order),
 * server_dispatch.c (packet to handler to reply), server_requests.c (the table of requests and their
 * handlers), server_read.c (READ and WRITE), server_job.c and server_check.c (what takes long),
 * server_reply.c (answers, now and later), server_access.c, server_log.c, handles.c.
 */
#ifndef NC_SFTP_SERVER_H
#define NC_SFTP_SERVER_H

#include "nacre/sftp_server.h"
#include "sftp/server_job.h"
#include "sftp/sftp.h"

/* ---- handles.c ------------------------------------------------------------------------------------ */

enum { NC_HANDLE_WIRE = 16 }; /* index, generation, tag */

typedef enum nc_handle_kind { NC_HANDLE_FREE, NC_HANDLE_FILE, NC_HANDLE_DIR } nc_handle_kind;

typedef struct nc_handle {
    nc_handle_kind kind;
    uint32_t generation;
    uint32_t next_free;
    uint32_t pflags; /* of OPEN */
    void *object;
    char *name; /* for the log; may be NULL */
    uint64_t bytes_read, bytes_written;
} nc_handle;

typedef struct nc_handles {
    const nacre_allocator *alloc;
    nc_handle *entries;
    uint32_t count; /* entries there */
    uint32_t open;
    uint32_t max;
    uint32_t first_free;
    uint8_t tag[8];
} nc_handles;

void nc_handles_init(nc_handles *h, const nacre_allocator *a, uint32_t max);
void nc_handles_clear(nc_handles *h); /* the objects must be closed already */
/* Makes sure that one more handle fits: NACRE_LIMIT, NACRE_NO_MEMORY. Then nc_handles_open succeeds. */
int nc_handles_prepare(nc_handles *h) NACRE_MUST_CHECK;
nc_handle *nc_handles_open(nc_handles *h, nc_handle_kind kind, void *object, uint32_t pflags);
/* NULL: no such handle, stale, or of the other kind (NC_HANDLE_FREE: either kind will do). */
nc_handle *nc_handles_find(const nc_handles *h, nacre_span wire, nc_handle_kind kind);
void nc_handles_wire(const nc_handles *h, const nc_handle *handle, uint8_t out[NC_HANDLE_WIRE]);
void nc_handles_release(nc_handles *h, nc_handle *handle);

/* ---- the machine ---------------------------------------------------------------------------------- */

enum {
    /* Queued replies above which no request is worked on; one reply of any size fits above it. */
    NC_SERVER_OUT_SOFT = 64 * 1024,
    NC_SERVER_OUT_MAX = NC_SERVER_OUT_SOFT + 2 * (NC_SFTP_MAX_PACKET + 1024),
    /* One NAME reply to READDIR: OpenSSH's 100 entries, and a size that every client takes. */
    NC_SERVER_MAX_ENTRIES = 100,
    NC_SERVER_MAX_NAMES = 32 * 1024
};

struct nc_request_row;

/* A request that is being worked on, or is to be answered later. */
typedef struct nc_ticket {
    uint32_t generation;
    bool used;
    bool later;  /* the operation has returned; only an answer is missing */
    uint32_t id; /* the client's */
    const struct nc_request_row *row;
    uint32_t want;     /* READ: bytes */
    nc_handle *handle; /* READ: whose bytes are counted; handles never move while it is used */
    uint32_t pflags;   /* OPEN */
    char *name;        /* OPEN and OPENDIR: for the handle's log line */
} nc_ticket;

struct nacre_sftp_answer {
    nc_wr w;
    enum {
        NC_ANSWER_NONE,
        NC_ANSWER_NAMES,
        NC_ANSWER_PATH,
        NC_ANSWER_BYTES,
        NC_ANSWER_HASHES
    } kind;
    int ext;         /* of HASHES: which of check-file's names was asked by */
    size_t count_at; /* of NAMES: where the number of entries goes */
    uint32_t count;
    bool failed; /* something did not fit that must: no reply can be made of it */
};

/* What a handler works with. */
typedef struct nc_run {
    nacre_sftp_server *s;
    nacre_sftp_call call;
    nc_ticket *ticket;
    nc_rd r;                  /* the fields behind the request id (EXTENDED: behind the name) */
    nacre_sftp_answer answer; /* stands on s->reply; its writer is the reply's */
} nc_run;

typedef uint32_t (*nc_request_fn)(nc_run *run);

/* How a request is answered when it succeeds. */
typedef enum nc_answer_kind {
    NC_WITH_STATUS,
    NC_WITH_HANDLE,
    NC_WITH_DATA,
    NC_WITH_NAMES,
    NC_WITH_PATH,
    NC_WITH_ATTRS,
    NC_WITH_STATVFS,
    NC_WITH_EXTENDED /* bytes, or a status */
} nc_answer_kind;

typedef struct nc_request_row {
    const char *name; /* as in sftp-server -Q requests */
    uint8_t type;
    int ext; /* nacre_sftp_ext, or -1 */
    bool writes;
    nc_answer_kind answer;
    size_t op; /* offset of the operation in nacre_sftp_server_ops that must be there; 0: none */
    nc_request_fn run;
} nc_request_row;

typedef enum nc_server_state {
    NC_SERVER_PACKET,  /* gathering a packet, or the head of a WRITE */
    NC_SERVER_READY,   /* gathered; waits until it may be worked on  */
    NC_SERVER_PAYLOAD, /* the data of a WRITE                        */
    NC_SERVER_SWALLOW, /* what is left of a packet that was answered */
    NC_SERVER_FAILED
} nc_server_state;

struct nacre_sftp_server {
    const nacre_allocator *alloc;
    nacre_sftp_server_ops ops;
    void *user;
    nacre_error error;
    nc_log log;
    nc_sftp_out out;
    nc_handles handles;
    nacre_sftp_server_stats stats;

    nc_server_state state;
    bool init_done;
    bool session_started;
    bool busy; /* working: calls from within an operation must not start it again */

    bool read_only;
    uint64_t denied; /* by row */

    nc_buf in;        /* the packet as far as gathered */
    nc_queue backlog; /* input that must wait */
    nc_buf reply;     /* the reply that is being built */

    /* WRITE */
    nc_ticket *write_ticket;
    nc_handle *write_handle;
    uint64_t write_offset;
    uint32_t write_left;
    uint32_t write_code;    /* the first failure */
    const char *write_text; /* static, or write_note */
    char write_note[128];
    uint32_t write_piece; /* bytes of the piece that will be answered later */
    bool write_waits;
    uint32_t swallow;

    nc_job job;
    size_t budget; /* left for it in this call */

    nc_ticket tickets[NACRE_SFTP_SERVER_MAX_LATER];
    uint32_t later_reads, later_others;
};

int nc_server_fail(nacre_sftp_server *s, int status, const char *fmt, ...) NACRE_PRINTF(3, 4);

/* ---- server_requests.c ---------------------------------------------------------------------------- */

extern const nc_request_row nc_request_rows[];
extern const size_t nc_request_row_count;
/* A path field, checked: a status. */
uint32_t nc_server_rd_path(nc_run *run, nacre_span *path);

/* ---- server_dispatch.c ---------------------------------------------------------------------------- */

/* The row of a packet type, or of the extension named; NULL: unknown. */
const nc_request_row *nc_server_find_row(uint8_t type, nacre_span ext_name);
/* Works on one request whose packet is complete; r stands behind the type. */
int nc_server_run(nacre_sftp_server *s, uint8_t type, nc_rd r) NACRE_MUST_CHECK;

/* ---- server_log.c --------------------------------------------------------------------------------- */

const char *nc_handle_name(const nc_handle *h);
void nc_server_log_path(const nc_run *run, const char *what, nacre_span path);
void nc_server_log_two(const nc_run *run, const char *what, nacre_span a, nacre_span b);
void nc_server_log_set(const nc_run *run, nacre_span path, const nacre_sftp_attrs *a);
void nc_server_log_open(const nc_run *run, nacre_span path, uint32_t pflags,
                        const nacre_sftp_attrs *a);
void nc_server_log_close(nacre_sftp_server *s, const nc_handle *h, const char *how);

/* ---- server_access.c ------------------------------------------------------------------------------ */

bool nc_server_op_there(const nacre_sftp_server_ops *ops, const nc_request_row *row);
/* May this request be made in this session at all? VERSION offers what may. */
bool nc_server_permits(const nacre_sftp_server *s, const nc_request_row *row);
/* The answer to "why not", or NACRE_FX_OK. */
uint32_t nc_server_gate(const nacre_sftp_server *s, const nc_request_row *row);
/* The handle for an operation that needs these pflags; else a status and its text. */
uint32_t nc_server_check_handle(const nacre_sftp_server *s, nacre_span wire, nc_handle_kind kind,
                                uint32_t pflags, nc_handle **out, const char **text);
/* OPEN's own rule in a read-only session. */
bool nc_server_permits_pflags(const nacre_sftp_server *s, uint32_t pflags);
/* The bit in denied of a name in an allow or deny list; 0: no such name. */
uint64_t nc_server_name_bit(const nacre_sftp_server *s, nacre_span name);
/* An extension of the application's; NULL: unknown, or not permitted (then *denied). */
const struct nacre_sftp_server_ext *nc_server_find_ext(const nacre_sftp_server *s, nacre_span name,
                                                       bool *denied);

/* ---- server_read.c -------------------------------------------------------------------------------- */

/* READ, from its fields to the reply. NACRE_AGAIN: output is full, nothing was done. */
int nc_server_read(nacre_sftp_server *s, uint32_t id, const nc_request_row *row,
                   nc_rd r) NACRE_MUST_CHECK;
/* The head of a WRITE is there. */
int nc_server_write_begin(nacre_sftp_server *s) NACRE_MUST_CHECK;
int nc_server_write_piece(nacre_sftp_server *s, nacre_span *input) NACRE_MUST_CHECK;
/* The piece that waited is written, or not. */
int nc_server_write_answered(nacre_sftp_server *s, uint32_t code,
                             const char *text) NACRE_MUST_CHECK;

/* ---- server_reply.c ------------------------------------------------------------------------------- */

nc_ticket *nc_server_take_ticket(nacre_sftp_server *s, uint32_t id, const nc_request_row *row);
uint32_t nc_server_ticket_number(const nacre_sftp_server *s, const nc_ticket *t);
void nc_server_release_ticket(nacre_sftp_server *s, nc_ticket *t);
int nc_server_send_status(nacre_sftp_server *s, uint32_t id, uint32_t code,
                          const char *text) NACRE_MUST_CHECK;
/* Begins a reply in b: room for the length, type and id. End: fills the length in and queues it. */
nc_wr nc_server_reply_begin(nc_buf *b, uint8_t type, uint32_t id);
int nc_server_reply_end(nacre_sftp_server *s, nc_wr *w) NACRE_MUST_CHECK;
/* Makes a handle of object, whose place was prepared, and writes it. */
void nc_server_put_handle(nacre_sftp_server *s, nc_wr *w, nc_ticket *t, void *object);
void nc_server_put_statvfs(nc_wr *w, const nacre_sftp_statvfs *v);
/* NAME begins with a number that is known at the end. */
void nc_server_names_begin(nacre_sftp_answer *a, nc_wr w);
void nc_server_names_end(nacre_sftp_answer *a);

/* The operation of this ticket will be answered later. */
void nc_server_park(nacre_sftp_server *s, nc_ticket *t);
/* Finds a parked ticket whose success is answered so; NACRE_AGAIN while output is full. */
int nc_server_late(nacre_sftp_server *s, uint32_t ticket, nc_answer_kind kind,
                   nc_ticket **out) NACRE_MUST_CHECK;
void nc_server_late_done(nacre_sftp_server *s, nc_ticket *t);

#endif
