/*
 * compress.h - one zlib stream in one direction (RFC 4253 6.2, RFC 1950, RFC 1951): packets go in and
 * come out whole, the dictionary lives from packet to packet. It knows nothing of packets' framing.
 *
 * zlib's memory comes from the allocator hook and is wiped when freed: its window is plaintext.
 */
#ifndef NC_TRANSPORT_COMPRESS_H
#define NC_TRANSPORT_COMPRESS_H

#include "base/buf.h"

typedef struct nc_zstream nc_zstream;

int nc_zstream_new(nc_zstream **out, const nacre_allocator *a, bool deflating) NACRE_MUST_CHECK;
void nc_zstream_free(nc_zstream *z); /* NULL ok */
/* Forgets the dictionary, keeps the memory: as after nc_zstream_new. */
int nc_zstream_reset(nc_zstream *z) NACRE_MUST_CHECK;
size_t nc_zstream_memory(const nc_zstream *z); /* NULL: 0 */

/* Appends the deflated bytes of one payload, flushed so that the peer can read all of it. */
int nc_zstream_deflate(nc_zstream *z, nacre_span payload, nc_buf *out) NACRE_MUST_CHECK;
/*
 * Appends what one packet inflates to, at most max bytes: NACRE_LIMIT above it (no more than max + 1
 * bytes are ever made), NACRE_COMPRESSION when the stream is bad or was ended by the peer. Both are
 * final: the stream is of no use any more. out->max has to allow max + 1 bytes.
 */
int nc_zstream_inflate(nc_zstream *z, nacre_span data, nc_buf *out, size_t max) NACRE_MUST_CHECK;

#endif
