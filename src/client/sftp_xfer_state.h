/*
 * sftp_xfer_state.h - the insides of nc_xfer, shared by sftp_xfer.c (life, requests, the way from step to
 * step) and the two directions, sftp_xfer_get.c and sftp_xfer_put.c.
 *
 * A step is a function that looks at what is there and does what it can: it returns true when it has
 * named another step, which is then called at once, and false when it has to wait for a reply or for room.
 * Steps never wait themselves, and send everything that does not depend on an answer before they return.
 */
#ifndef NC_CLIENT_SFTP_XFER_STATE_H
#define NC_CLIENT_SFTP_XFER_STATE_H

#include "client/sftp_local.h"
#include "client/sftp_xfer.h"

/* The single requests of an xfer; those that are wanted together leave in this order. */
typedef enum nc_xfer_slot {
    NC_XFER_OLD,   /* STAT of what an atomic put replaces */
    NC_XFER_OPEN,  /* of the file that is read or written */
    NC_XFER_MODE,  /* FSETSTAT ahead of the bytes */
    NC_XFER_SIZE,  /* FSETSTAT behind them: what was there may have been longer */
    NC_XFER_ATTRS, /* FSETSTAT behind that */
    NC_XFER_SYNC,
    NC_XFER_STAT,
    NC_XFER_HASH,
    NC_XFER_CLOSE,
    NC_XFER_REMOVE,
    NC_XFER_NAME,
    NC_XFER_SLOTS
} nc_xfer_slot;

typedef struct nc_xfer_ask {
    nc_sftp_request r;
    nc_sftp_op op;
    bool wanted, sent;
} nc_xfer_ask;

typedef enum nc_xfer_checked {
    NC_XFER_UNCHECKED, /* nothing could be compared */
    NC_XFER_SAME,
    NC_XFER_DIFFERENT
} nc_xfer_checked;

typedef bool (*nc_xfer_step)(nc_xfer *x);

struct nc_xfer {
    nc_sftp_task task; /* first: an xfer is a task until it is over */
    nacre_sftp *s;
    nc_xfer_spec spec; /* with strings of our own; attrs: &known or NULL */
    nacre_sftp_attrs known;
    nacre_sftp_transfer_options defaults;
    const nacre_sftp_transfer_options *o;
    nc_xfer_step step; /* NULL: over */
    nacre_error error; /* the first failure */
    uint32_t code;
    bool failing; /* what is left to do is to clean up */
    bool hurried; /* and nothing is waited for any more */

    nc_xfer_ask asks[NC_XFER_SLOTS];
    nacre_sftp_attrs attrs; /* sent, or to be sent, by ATTRS and OPEN */
    nacre_sftp_attrs cut;   /* by SIZE */
    uint8_t handle[NACRE_SFTP_MAX_HANDLE];
    size_t handle_len; /* 0: none, or CLOSE is on its way */

    nc_sftp_flow *flow; /* of reader or writer; NULL: not begun */
    nc_sftp_reader reader;
    nc_sftp_writer writer;
    uint64_t base;  /* where it begins: the option's offset, or what is there already */
    uint64_t total; /* UINT64_MAX: unknown */
    uint64_t told_ms, told;

    /* comparing */
    bool comparing; /* by a flow that moves nothing */
    int check_fd;
    uint64_t check_offset, check_length;
    nc_xfer_step check_then, tail_then;
    nc_xfer_checked checked;
    size_t check_name;        /* names of check-file that were tried */
    struct nc_hasher *hasher; /* of what passes through a stream; NULL: none is wanted */
    uint8_t streamed[64];

    /* down */
    nc_local_target target;
    nacre_sftp_attrs remote_attrs; /* flags 0: not known (yet) */
    bool stat_taken;
    bool resumed; /* up, too: base bytes were there */

    /* up */
    int fd;
    bool seekable;
    struct stat st;
    uint32_t mode;   /* of what is made */
    char *temporary; /* remote name that is written, NULL: the remote name itself */
    bool made;       /* the temporary exists */
    bool replaces;   /* mode is that of the file that it replaces */
    bool ended;      /* the stream has no more */
    bool written;    /* all of it, and acknowledged */
};

/* Forgets what the slot did before and wants it (again), with this type and the handle. */
nc_sftp_request *nc_xfer_want(nc_xfer *x, nc_xfer_slot slot, uint8_t type, const char *path);
/* Sends what is wanted. NACRE_AGAIN: no room for all of it now. Another failure is the xfer's. */
int nc_xfer_send(nc_xfer *x) NACRE_MUST_CHECK;
/* Everything that was sent is answered. */
bool nc_xfer_answered(const nc_xfer *x);
/* NACRE_OK, or the refusal of this slot's request, which becomes the xfer's failure. */
int nc_xfer_judge(nc_xfer *x, nc_xfer_slot slot);
/* Takes the answer of OPEN over. */
int nc_xfer_take_handle(nc_xfer *x);
/* Nobody wants the answer of this slot any more. */
void nc_xfer_forget(nc_xfer *x, nc_xfer_slot slot);
/* Records a failure; the first one stays. Returns status. */
int nc_xfer_fail(nc_xfer *x, int status, const char *fmt, ...) NACRE_PRINTF(3, 4);
/* x->flow runs. */
void nc_xfer_start_flow(nc_xfer *x, nc_sftp_flow *f);
/* Makes what requests it can; false: it failed, and so has the xfer. */
bool nc_xfer_pump_flow(nc_xfer *x);
/* Calls the user's progress; false: it said no, and the xfer has failed. */
bool nc_xfer_progress(nc_xfer *x, bool always);
/* The last step: tells the owner. */
bool nc_xfer_end(nc_xfer *x);
/* CLOSE that nobody waits for, then the end. */
bool nc_xfer_drop_handle(nc_xfer *x);

/* Gives it up for this reason: time is up, the session broke, the user is tired of it. */
void nc_xfer_stop(nc_xfer *x, const nacre_error *why);

/*
 * Comparing, then the step `then` with x->checked set (and maybe x->error). The hash of n bytes of fd from
 * offset on with the server's; or, for a resume, the first n bytes by hash or else by the last of them.
 */
void nc_xfer_check_hash(nc_xfer *x, int fd, uint64_t offset, uint64_t n, nc_xfer_step then);
void nc_xfer_check_prefix(nc_xfer *x, int fd, uint64_t n, nc_xfer_step then);
/* Streams cannot be read again: a hash is made as they pass, when it will be compared. */
int nc_xfer_hash_stream(nc_xfer *x) NACRE_MUST_CHECK;
int nc_xfer_hash_end(nc_xfer *x) NACRE_MUST_CHECK;
/* The option verify: whether a hash is compared in the end, whether it can be, and what came of it. */
bool nc_xfer_wants_hash(const nc_xfer *x);
int nc_xfer_can_verify(nc_xfer *x) NACRE_MUST_CHECK;
int nc_xfer_judge_hash(nc_xfer *x) NACRE_MUST_CHECK;

/* The directions: the first step, and the one behind a failure (x->error is set). */
bool nc_xfer_get_begin(nc_xfer *x);
bool nc_xfer_get_failed(nc_xfer *x);
bool nc_xfer_put_begin(nc_xfer *x);
bool nc_xfer_put_failed(nc_xfer *x);

#endif
