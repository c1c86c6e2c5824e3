/*
 * sftp_file.h - the insides of an open remote file, shared by sftp_file*.c: what was fetched ahead of
 * the reader, and what was written and is not acknowledged yet.
 */
#ifndef NC_CLIENT_SFTP_FILE_H
#define NC_CLIENT_SFTP_FILE_H

#include "client/sftp_session.h"
#include "nacre/sftp_file.h"

/* One READ and the place of its data; the list is without gaps, in the file's order. */
typedef struct nc_ahead_block {
    nc_sftp_call call; /* first; id 0: not on the way */
    nacre_sftp_file *f;
    struct nc_ahead_block *next;
    uint64_t offset;
    uint32_t size;  /* of data */
    uint32_t want;  /* bytes of the file, at most size */
    uint32_t got;   /* of them, from the first on */
    uint32_t asked; /* by the request that is on the way */
    bool ended;     /* the file ends behind got */
    bool failed;    /* behind got: read_error says why */
    uint8_t data[];
} nc_ahead_block;

struct nacre_sftp_file {
    nc_sftp_task task; /* first: on while there are blocks */
    nacre_sftp *s;
    char *path;
    uint8_t handle[NACRE_SFTP_MAX_HANDLE];
    size_t handle_len;
    uint32_t pflags;
    uint64_t position;

    /* reading ahead */
    nc_ahead_block *first, *last, *spare;
    uint64_t goal;      /* blocks are asked for up to here */
    uint64_t ahead;     /* bytes behind what the caller asks for, now */
    uint64_t ahead_max; /* and at most; 0: none */
    uint64_t streak;    /* bytes read in a row since ahead last grew */
    uint64_t expected;  /* position of a read that goes on from the last one */
    uint32_t block;     /* bytes of the next requests */
    uint64_t size;      /* as the server said once; UINT64_MAX: unknown */
    bool sized;         /* it was asked */
    nc_sftp_op size_op;
    nacre_error read_error; /* of the failed block that lies first */
    uint64_t read_error_at;
    uint32_t read_code;

    /* writing behind: out holds the requests that are on the way, and the first error of them */
    nc_sftp_flow out;
    uint64_t behind_max; /* bytes on the way at most; 0: each write waits */
    uint8_t *staged;
    size_t staged_n, staged_size;
    uint64_t staged_at;
    uint64_t end; /* where the next append is thought to go */
};

static inline nacre_span nc_file_handle(const nacre_sftp_file *f)
{
    return nc_span(f->handle, f->handle_len);
}

/* Names the file in s->error, which says why waiting ended; returns rc. */
int nc_file_fail(nacre_sftp_file *f, const char *verb, int rc);

/* ---- sftp_file_read.c */
void nc_ahead_init(nacre_sftp_file *f);
/* Nothing that was fetched counts any more: the file changed, or is closed. */
void nc_ahead_drop(nacre_sftp_file *f);
void nc_ahead_free(nacre_sftp_file *f);

/* ---- sftp_file_write.c */
void nc_behind_init(nacre_sftp_file *f);
/* Until all is acknowledged; returns what went wrong, once. A call must have begun (nc_sftp_begin). */
int nc_behind_flush(nacre_sftp_file *f) NACRE_MUST_CHECK;
void nc_behind_free(nacre_sftp_file *f);

#endif
