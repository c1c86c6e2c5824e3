/*
 * frame.h - packets of the public key subsystem (RFC 4819 3): a length, a name, and what belongs to it;
 * and the parts that both ends read and write.
 */
#ifndef NC_PUBLICKEY_FRAME_H
#define NC_PUBLICKEY_FRAME_H

#include "base/buf.h"
#include "base/error.h"
#include "nacre/publickey.h"
#include "wire/rd.h"
#include "wire/ssh.h"
#include "wire/wr.h"

enum {
    NC_PKS_VERSION = 2,
    /* An RSA 16384 key with a page of attributes is below 10 KiB; nobody needs more than this. */
    NC_PKS_MAX_FRAME = 256 * 1024,
    /* RFC 4819 names twelve. Each costs an entry of an array. */
    NC_PKS_MAX_ATTRIBUTES = 64,
    /* Input at hand: a packet that is not whole yet, and what came with its end. */
    NC_PKS_MAX_INPUT = 2 * NC_PKS_MAX_FRAME + 64 * 1024,
    /* Output that waits: a list goes on below SOFT, and one packet may stand above it. */
    NC_PKS_SOFT_OUTPUT = 64 * 1024,
    NC_PKS_MAX_OUTPUT = NC_PKS_SOFT_OUTPUT + NC_PKS_MAX_FRAME + 4096
};

/* Bytes in, bytes out. */
typedef struct nc_pks_pipe {
    nc_queue in, out;
    size_t taken; /* of in: the packet that was read last; it goes when the next one is asked for */
    nc_buf packet; /* that is being written */
    nc_wr writer;
} nc_pks_pipe;

void nc_pks_init(nc_pks_pipe *p, const nacre_allocator *alloc);
void nc_pks_clear(nc_pks_pipe *p);
/* NACRE_LIMIT above NC_PKS_MAX_INPUT. */
int nc_pks_append(nc_pks_pipe *p, nacre_span in) NACRE_MUST_CHECK;
/*
 * The next whole packet: its name, and a reader that stands behind it. Both are borrowed until the next
 * call. NACRE_AGAIN: not whole yet; NACRE_OVERSIZED, NACRE_MALFORMED.
 */
int nc_pks_next(nc_pks_pipe *p, nacre_span *name, nc_rd *r) NACRE_MUST_CHECK;
/* Writes a packet: begin, fields, end. */
nc_wr *nc_pks_begin(nc_pks_pipe *p, const char *name);
int nc_pks_end(nc_pks_pipe *p) NACRE_MUST_CHECK;
int nc_pks_put_version(nc_pks_pipe *p) NACRE_MUST_CHECK;
int nc_pks_put_status(nc_pks_pipe *p, uint32_t code, const char *text); /* may be a last word */

/*
 * Attributes up to the end of r, with their critical flags or without. The count is the peer's word and
 * only has to be true. NACRE_MALFORMED, NACRE_OVERSIZED above NC_PKS_MAX_ATTRIBUTES.
 */
int nc_pks_attributes(nc_rd *r, bool critical, nacre_publickey_attribute *out,
                      size_t *count) NACRE_MUST_CHECK;
/* What fits nothing larger than a packet. */
bool nc_pks_fits(const nacre_publickey_entry *e);

#endif
