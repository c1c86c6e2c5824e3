/*
 * sftp.h - what the client and the server machine of SFTP share: caps, attributes through cursors, the
 * output side over a pipe. It knows no request.
 */
#ifndef NC_SFTP_SFTP_H
#define NC_SFTP_SFTP_H

#include "base/buf.h"
#include "base/error.h"
#include "nacre/pipe.h"
#include "nacre/sftp_attrs.h"
#include "wire/rd.h"
#include "wire/wr.h"

enum {
    /* A request as the server takes it, without its length field; OpenSSH's SFTP_MAX_MSG_LENGTH. */
    NC_SFTP_MAX_PACKET = 256 * 1024,
    /* Data of one READ or WRITE: a packet less 1 KiB for the rest, OpenSSH's numbers. */
    NC_SFTP_MAX_DATA = 255 * 1024,
    /* A reply as the client takes it: what the largest packet may hold, and some slack. */
    NC_SFTP_MAX_REPLY = NC_SFTP_MAX_PACKET + 1024,
    NC_SFTP_MAX_HANDLE = 256,
    /* Rooms asked of a pipe at once: 256 KiB in SSH packets of 32 KiB need 9. */
    NC_SFTP_ROOMS = 32,
    /* Output buffers above it are given back when they are empty: idle sessions stay small. */
    NC_SFTP_KEEP = 64 * 1024
};

const char *nc_sftp_ext_name(nacre_sftp_ext ext);
const char *nc_sftp_ext_version(nacre_sftp_ext ext);

/* Attributes at the reader's place; its sticky error says whether they were there. */
void nc_sftp_rd_attrs(nc_rd *r, nacre_sftp_attrs *out);
void nc_sftp_wr_attrs(nc_wr *w, const nacre_sftp_attrs *attrs);
/* Encoded length, and whether the extended pairs are what their count says. */
size_t nc_sftp_attrs_size(const nacre_sftp_attrs *attrs);
bool nc_sftp_attrs_valid(const nacre_sftp_attrs *attrs);

bool nc_sftp_has_nul(nacre_span s);

/*
 * Output: a queue for small packets, and a place for one large packet whose payload is laid down by
 * somebody else - in the pipe's own room, or in the queue when the pipe has not enough.
 */
typedef struct nc_sftp_out {
    nacre_pipe pipe;
    nc_queue queue;
    enum { NC_SFTP_NOT_LENT, NC_SFTP_LENT_BY_PIPE, NC_SFTP_LENT_BY_QUEUE } lent;
    nacre_room rooms[NC_SFTP_ROOMS]; /* as lent, the header's place included */
    size_t room_count;
    size_t header;
    size_t granted;
} nc_sftp_out;

void nc_sftp_out_init(nc_sftp_out *o, const nacre_allocator *a, const nacre_pipe *pipe, size_t max);
void nc_sftp_out_clear(nc_sftp_out *o);
/* Writes what is queued as far as the pipe takes it. */
int nc_sftp_out_flush(nc_sftp_out *o) NACRE_MUST_CHECK;
static inline size_t nc_sftp_out_queued(const nc_sftp_out *o)
{
    return nc_queue_len(&o->queue);
}

/*
 * A place for header + up to want bytes. least: fewer bytes than that are not worth it; then stage
 * says whether the queue shall lend want bytes instead. The rooms for the payload go to rooms (*count
 * in and out). NACRE_AGAIN: not now.
 */
typedef struct nc_sftp_place {
    size_t header, want, least;
    bool stage;
} nc_sftp_place;
int nc_sftp_out_reserve(nc_sftp_out *o, nc_sftp_place place, nacre_room *rooms, size_t *count,
                        size_t *granted) NACRE_MUST_CHECK;
/* Sends header and the first n bytes of the payload. */
int nc_sftp_out_commit(nc_sftp_out *o, const uint8_t *header, size_t n) NACRE_MUST_CHECK;
int nc_sftp_out_abandon(nc_sftp_out *o) NACRE_MUST_CHECK;

#endif
