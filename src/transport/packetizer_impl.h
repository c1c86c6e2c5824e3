/*
 * packetizer_impl.h - what packetizer.c (down) and packetizer_out.c (up) share: the object and the
 * arithmetic of a packet's frame. Nobody else includes it.
 */
#ifndef NC_TRANSPORT_PACKETIZER_IMPL_H
#define NC_TRANSPORT_PACKETIZER_IMPL_H

#include "transport/compress.h"
#include "transport/packetizer.h"

enum {
    /* The length field and the padding_length byte. */
    LENGTH_BYTES = 4,
    HEADER_BYTES = 5,
    MIN_PADDING = 4,
    /* RFC 4253 6: no packet is shorter, its MAC apart. */
    MIN_PACKET = 16,
    /* Longest tag of any mode (HMAC-SHA-512). */
    MAX_TAG = 64,
    /* What the length field of a bare packet says at least. */
    BARE_LENGTH = 5,
    /* Longest padding that we write: two blocks of 16 and a bit. */
    MAX_PADDING = 40,
    /* Buffers start here and return here when nothing much goes on. */
    IDLE_ROOM = 16 * 1024,
    /* So many small reads, or small drains of the output, in a row mean that nothing much goes on. */
    IDLE_AFTER = 8,
    /* Output of this size was a flood's, not an application's: given back as soon as it is empty. */
    FLOOD_ROOM = 2 * 1024 * 1024,
    /* Random bytes for padding are fetched so many at a time: a packet needs some four to twenty. */
    PADDING_POOL = 256
};

typedef struct direction {
    nc_pktcipher *cipher; /* NULL: cleartext */
    nc_pktcipher_layout layout;
    nc_zstream *zlib; /* NULL: no compression */
    uint32_t seq;     /* of the next packet */
    bool seq_wrapped;
    uint64_t key_bytes, key_packets, bytes, packets;
} direction;

struct nc_packetizer {
    const nacre_allocator *alloc;
    nc_random random;
    nc_packetizer_limits limits;

    direction in;
    nc_queue in_queue;
    size_t in_lent; /* at the queue's head: what the caller looks at; consumed by the next step */
    size_t in_need; /* bytes that have to be queued before a step can get on */
    size_t in_scanned;         /* of the queue, without a line feed in it */
    size_t in_room;            /* what recv_buffer wants to lend, IDLE_ROOM..limits.input_room */
    size_t in_offered;         /* what it lent last */
    uint32_t in_small;         /* small reads in a row */
    uint32_t in_packet_length; /* of the packet at the head, when in_peeked */
    bool in_peeked;
    bool in_secret; /* what is lent is wiped when it is taken back */
    bool in_paused;
    bool in_no_memory; /* recv_buffer could not lend what is needed */
    int in_failed;     /* sticky */
    nc_buf in_plain;   /* an inflated payload */

    direction out;
    nc_queue out_queue;
    nc_wr out_wr;
    nc_buf out_plain; /* a payload before it is deflated */
    size_t
        out_start; /* offset in out_queue.buf of the packet(s) being made; behind all that is whole */
    enum { OUT_NONE, OUT_PACKET, OUT_RESERVED } out_open;
    size_t out_peak;    /* most that was queued since the queue was empty */
    uint32_t out_small; /* small peaks in a row */
    struct {
        size_t head;     /* bytes between the header and a packet's data: head and string length */
        size_t max_data; /* of each packet but the last */
        size_t stride;   /* from a packet to the following */
        size_t total;    /* data bytes in all */
    } out_bulk;
    uint8_t pool[PADDING_POOL];
    size_t pool_left;
};

/* Of a layout without blocks, which is that of bare packets alone. */
static inline bool nc_layout_is_bare(const nc_pktcipher_layout *l)
{
    return l->block == 1;
}

/* Padding for a payload of n bytes (RFC 4253 6): a multiple of the block, four at least. */
static inline size_t nc_packet_padding(const nc_pktcipher_layout *l, size_t n)
{
    if (nc_layout_is_bare(l)) { /* OpenSSH takes no packet that says that it is shorter than 5 */
        return 1 + n < BARE_LENGTH ? BARE_LENGTH - 1 - n : 0;
    }
    size_t padded = (l->length_apart ? 1 : HEADER_BYTES) + n;
    size_t padding = l->block - padded % l->block;
    if (padding < MIN_PADDING) {
        padding += l->block;
    }
    while (HEADER_BYTES + n + padding < MIN_PACKET) {
        padding += l->block;
    }
    return padding;
}

static inline void nc_direction_count(direction *d, size_t bytes)
{
    d->seq++;
    d->seq_wrapped = d->seq_wrapped || d->seq == 0;
    d->key_bytes += bytes;
    d->bytes += bytes;
    d->key_packets++;
    d->packets++;
}

#endif
