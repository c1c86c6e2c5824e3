/*
 * sftp_xfer.h - one file on its way, up or down, without waiting: the unit of which every transfer is
 * made. Single gets and puts run one of them; a job keeps many on at once.
 *
 * An xfer opens, moves, checks, finishes and cleans up by itself: it is driven by replies and by its
 * session's tasks. Its owner is told once, when all of that is over, by `over`; then it frees the xfer,
 * at once or later. Local files are read and written in place (that may block on a disk, never on the
 * network).
 */
#ifndef NC_CLIENT_SFTP_XFER_H
#define NC_CLIENT_SFTP_XFER_H

#include "client/sftp_session.h"

typedef struct nc_xfer nc_xfer;

typedef struct nc_xfer_spec {
    bool up;
    const char *remote; /* absolute, or as the server takes it */
    const char *local;  /* the local path: for messages, and what is opened when dir is -1 */
    /*
     * Not -1: a directory that `name` is opened in, never following a link (what a tree does; the
     * descriptor stays the caller's and must live as long as the xfer). -1: `local` is a path that the
     * user named; links in it are followed.
     */
    int dir;
    const char *name;
    /* Down: what the listing said, so that nothing need be asked; NULL: unknown. */
    const nacre_sftp_attrs *attrs;
    /* In place of a local file; NULL: a file. */
    nacre_sftp_write_fn write; /* down */
    nacre_sftp_read_fn read;   /* up */
    void *stream_user;
    uint64_t stream_size;                 /* up by read: expected, UINT64_MAX unknown */
    uint32_t stream_mode;                 /* up by read: mode of a new file */
    const nacre_sftp_transfer_options *o; /* lives as long as the xfer */
    /* Called once, from within the session's work; must not wait. x->... by the accessors below. */
    void (*over)(void *user, nc_xfer *x);
    void *user;
} nc_xfer_spec;

/* Copies the strings. On failure (NACRE_NO_MEMORY alone) over is not called. What goes wrong later, a
 * local file that cannot be opened included, comes by over. */
int nc_xfer_start(nc_xfer **out, nacre_sftp *s, const nc_xfer_spec *spec) NACRE_MUST_CHECK;
/*
 * Gives it up, as after a failure: the temporary goes, over is called. Perhaps before this returns: always
 * when the session is broken (then nothing else drives it any more), and when it is called once more.
 */
void nc_xfer_cancel(nc_xfer *x);
/* Only after over. */
void nc_xfer_free(nc_xfer *x);

/* After over: status NACRE_OK or the failure's sentence; code: the server's NACRE_FX_*. */
const nacre_error *nc_xfer_error(const nc_xfer *x);
uint32_t nc_xfer_code(const nc_xfer *x);
uint64_t nc_xfer_bytes(const nc_xfer *x); /* moved so far */
void *nc_xfer_user(const nc_xfer *x);

#endif
