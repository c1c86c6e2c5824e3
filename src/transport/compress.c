/*
 * compress.c - zlib behind the allocator hook, with bounded output. Owns the z_stream; what is
 * compressed, and when a stream starts anew, is the packetizer's matter.
 */
#include "transport/compress.h"

#include <limits.h>
#include <stdalign.h>
#include <string.h>

#define ZLIB_CONST
#include <zlib.h>

enum {
    /* Room that inflate and deflate get at a time when the first guess was too small. */
    STEP_ROOM = 4096
};

struct nc_zstream {
    z_stream z;
    const nacre_allocator *alloc;
    size_t memory; /* what zlib holds */
    bool deflating;
    bool ready;
};

/* zlib frees without telling the size, but its window has to be wiped: the size goes in front. */
typedef union block_header {
    size_t size;
    max_align_t align;
} block_header;

static voidpf zlib_alloc(voidpf opaque, uInt items, uInt size)
{
    nc_zstream *z = opaque;
    if (size != 0 && items > (SIZE_MAX - sizeof(block_header)) / size) {
        return Z_NULL;
    }
    size_t n = (size_t)items * size + sizeof(block_header);
    block_header *h = nc_alloc(z->alloc, n);
    if (!h) {
        return Z_NULL;
    }
    /* zlib relies on zeroed windows nowhere, but reads ahead in them: keep analysers quiet. */
    memset(h, 0, n);
    h->size = n;
    z->memory += n;
    return h + 1;
}

static void zlib_free(voidpf opaque, voidpf p)
{
    nc_zstream *z = opaque;
    if (p) {
        block_header *h = (block_header *)p - 1;
        z->memory -= h->size;
        nc_wipe_free(z->alloc, h, h->size);
    }
}

int nc_zstream_new(nc_zstream **out, const nacre_allocator *a, bool deflating)
{
    *out = NULL;
    nc_zstream *z = nc_zalloc(a, sizeof(*z));
    if (!z) {
        return NACRE_NO_MEMORY;
    }
    z->alloc = a;
    z->deflating = deflating;
    z->z.zalloc = zlib_alloc;
    z->z.zfree = zlib_free;
    z->z.opaque = z;
    int rc = deflating ? deflateInit(&z->z, Z_DEFAULT_COMPRESSION) : inflateInit(&z->z);
    if (rc != Z_OK) {
        nc_free(a, z);
        return rc == Z_MEM_ERROR ? NACRE_NO_MEMORY : NACRE_COMPRESSION;
    }
    z->ready = true;
    *out = z;
    return NACRE_OK;
}

void nc_zstream_free(nc_zstream *z)
{
    if (!z) {
        return;
    }
    if (z->deflating) {
        (void)deflateEnd(&z->z);
    } else {
        (void)inflateEnd(&z->z);
    }
    nc_wipe_free(z->alloc, z, sizeof(*z));
}

int nc_zstream_reset(nc_zstream *z)
{
    int rc = z->deflating ? deflateReset(&z->z) : inflateReset(&z->z);
    z->ready = rc == Z_OK;
    return z->ready ? NACRE_OK : NACRE_COMPRESSION;
}

size_t nc_zstream_memory(const nc_zstream *z)
{
    return z ? z->memory + sizeof(*z) : 0;
}

/* Points zlib at the free end of out, at least min bytes of it. */
static int lend_room(nc_zstream *z, nc_buf *out, size_t min)
{
    int rc = nc_buf_reserve(out, min);
    if (rc != NACRE_OK) {
        return rc;
    }
    size_t room = out->cap < out->max ? out->cap - out->len : out->max - out->len;
    z->z.next_out = out->data + out->len;
    z->z.avail_out = room < UINT_MAX ? (uInt)room : UINT_MAX;
    return NACRE_OK;
}

static int deflate_all(nc_zstream *z, size_t first_room, nc_buf *out)
{
    size_t room = first_room;
    do {
        int rc = lend_room(z, out, room);
        if (rc != NACRE_OK) {
            return rc;
        }
        /* The partial flush is what RFC 4253 6.2 asks for; its tail of some bits goes on in the
           next packet. */
        int zrc = deflate(&z->z, Z_PARTIAL_FLUSH);
        if (zrc != Z_OK && zrc != Z_BUF_ERROR) {
            return NACRE_COMPRESSION;
        }
        out->len = (size_t)(z->z.next_out - out->data);
        room = STEP_ROOM;
    } while (z->z.avail_out == 0);
    return z->z.avail_in == 0 ? NACRE_OK : NACRE_COMPRESSION;
}

int nc_zstream_deflate(nc_zstream *z, nacre_span payload, nc_buf *out)
{
    if (!z->ready || payload.n > UINT_MAX / 2) {
        return NACRE_WRONG_STATE;
    }
    z->z.next_in = payload.p;
    z->z.avail_in = (uInt)payload.n;
    /* The bound is for a whole stream of its own; the flush adds a few bytes. */
    int rc = deflate_all(z, deflateBound(&z->z, (uLong)payload.n) + 32, out);
    if (rc != NACRE_OK) {
        z->ready = false; /* bytes of the stream are lost */
    }
    z->z.next_in = Z_NULL;
    z->z.avail_in = 0;
    return rc;
}

static int inflate_all(nc_zstream *z, nc_buf *out, size_t max)
{
    size_t start = out->len;
    size_t room = z->z.avail_in < STEP_ROOM ? STEP_ROOM : z->z.avail_in;
    do {
        size_t left = max + 1 - (out->len - start);
        int rc = lend_room(z, out, room < left ? room : left);
        if (rc != NACRE_OK) {
            return rc;
        }
        if (z->z.avail_out > left) {
            z->z.avail_out = (uInt)left;
        }
        int zrc = inflate(&z->z, Z_SYNC_FLUSH);
        if (zrc == Z_MEM_ERROR) {
            return NACRE_NO_MEMORY;
        }
        /* Z_STREAM_END too: the stream lives as long as the keys do, no packet may end it. */
        if (zrc != Z_OK && zrc != Z_BUF_ERROR) {
            return NACRE_COMPRESSION;
        }
        out->len = (size_t)(z->z.next_out - out->data);
        if (out->len - start > max) {
            return NACRE_LIMIT;
        }
        room = STEP_ROOM;
    } while (z->z.avail_out == 0);
    return z->z.avail_in == 0 ? NACRE_OK : NACRE_COMPRESSION;
}

int nc_zstream_inflate(nc_zstream *z, nacre_span data, nc_buf *out, size_t max)
{
    if (!z->ready || data.n > UINT_MAX / 2) {
        return NACRE_COMPRESSION;
    }
    z->z.next_in = data.p;
    z->z.avail_in = (uInt)data.n;
    int rc = inflate_all(z, out, max);
    if (rc != NACRE_OK) {
        z->ready = false;
    }
    z->z.next_in = Z_NULL;
    z->z.avail_in = 0;
    return rc;
}
