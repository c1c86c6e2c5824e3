/*
 * engine.h - the insides of the client machine, shared by its three files: engine.c (life, table of
 * requests, what the server offers), engine_requests.c (calls in), engine_replies.c (bytes in).
 */
#ifndef NC_SFTP_ENGINE_H
#define NC_SFTP_ENGINE_H

#include "nacre/sftp_engine.h"
#include "sftp/sftp.h"

enum {
    /* An id is a slot's index and its generation, so that a late reply to an old id finds nobody. */
    NC_SFTP_SLOT_BITS = 12,
    NC_SFTP_SLOT_NONE = 0xFFFF,
    /* Text in place of VERSION that is kept for the error message. */
    NC_SFTP_NOISE = 256
};

/* Reply types as bits, for "what may answer this". STATUS may answer anything. */
enum {
    NC_REPLY_STATUS_OK = 1, /* SSH_FX_OK says everything; elsewhere it is a lie */
    NC_REPLY_HANDLE = 2,
    NC_REPLY_DATA = 4,
    NC_REPLY_NAMES = 8,
    NC_REPLY_ONE_NAME = 16,
    NC_REPLY_ATTRS = 32,
    NC_REPLY_EXTENDED = 64
};

typedef struct nc_sftp_slot {
    uint32_t id; /* 0: free */
    uint32_t generation;
    uint16_t next_free;
    uint8_t type;    /* NACRE_FXP_* */
    uint8_t ext;     /* nacre_sftp_ext, or NACRE_SFTP_EXT_COUNT */
    uint8_t replies; /* NC_REPLY_* */
    bool forgotten;
    uint32_t asked; /* READ: bytes */
    uint64_t offset;
    void *user;
} nc_sftp_slot;

typedef enum nc_engine_state {
    NC_ENGINE_NEW,
    NC_ENGINE_INIT_SENT,
    NC_ENGINE_READY,
    NC_ENGINE_FAILED
} nc_engine_state;

struct nacre_sftp_engine {
    const nacre_allocator *alloc;
    nc_engine_state state;
    nacre_error error;
    nc_sftp_out out;

    nc_sftp_slot *slots;
    size_t slot_count;
    size_t outstanding;
    uint16_t free_first, free_last; /* oldest first: an id comes again as late as possible */

    nc_buf in;          /* the packet that is being read, or its head when it is DATA */
    bool in_done;       /* in was given out with an event; the next call starts afresh */
    uint32_t data_left; /* of a DATA reply's payload */
    uint32_t data_total;
    uint32_t trailer; /* bytes behind the payload, dropped */
    nc_sftp_slot *data_slot;

    nc_buf extensions; /* name and data strings as VERSION has them */
    bool offered[NACRE_SFTP_EXT_COUNT];
    nacre_sftp_limits limits;
    bool draft_symlink;
    bool eager; /* requests may follow INIT at once */

    uint8_t write_head[4 + 1 + 4 + 4 + NC_SFTP_MAX_HANDLE + 8 + 4];
    size_t write_head_len;
    bool write_lent;
};

/*
 * The server is known to read what comes right behind INIT: requests may be made before VERSION has come,
 * and among them limits@openssh.com, which nobody has offered yet (who does not know it says so).
 */
void nc_engine_be_eager(nacre_sftp_engine *e);
/* Makes sure that a slot is free: NACRE_AGAIN, NACRE_NO_MEMORY. Then take_slot cannot fail. */
int nc_engine_prepare_slot(nacre_sftp_engine *e) NACRE_MUST_CHECK;
/* The id that the next take_slot will give. */
uint32_t nc_engine_next_id(const nacre_sftp_engine *e);
nc_sftp_slot *nc_engine_take_slot(nacre_sftp_engine *e, uint8_t type, uint8_t replies);
nc_sftp_slot *nc_engine_find_slot(nacre_sftp_engine *e, uint32_t id);
void nc_engine_release_slot(nacre_sftp_engine *e, nc_sftp_slot *slot);

/* Records a fatal error and stops the machine; returns status. */
int nc_engine_fail(nacre_sftp_engine *e, int status, const char *fmt, ...) NACRE_PRINTF(3, 4);
/* Takes the server's extensions over; the bytes are the strings behind the version number. */
int nc_engine_set_extensions(nacre_sftp_engine *e, nacre_span pairs) NACRE_MUST_CHECK;
void nc_engine_set_limits(nacre_sftp_engine *e, const nacre_sftp_limits *limits);

#endif
