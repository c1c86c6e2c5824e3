/*
 * packetizer_out.c - the way up: payloads are written into the output queue, framed, padded, sealed
 * in place (RFC 4253 6), singly (begin/end) or as a row of bulk packets (reserve/commit).
 */
#include "transport/packetizer_impl.h"

#include <string.h>

enum {
    /* Reserved for a payload of unknown length: most messages are shorter. */
    SMALL_PAYLOAD = 512
};

/* ---- the queue -------------------------------------------------------------------------------- */

static size_t queued_whole(const nc_packetizer *p)
{
    size_t end = p->out_open == OUT_NONE ? p->out_queue.buf.len : p->out_start;
    return end - p->out_queue.head;
}

/* Room at the tail. What waits is moved to the front only when that frees as much as it costs. */
static int output_room(nc_packetizer *p, size_t extra)
{
    nc_queue *q = &p->out_queue;
    if (q->buf.cap - q->buf.len >= extra) {
        return NACRE_OK;
    }
    if (q->buf.cap == 0 && extra < IDLE_ROOM / 4) {
        extra = IDLE_ROOM / 4;
    }
    if (q->head < nc_queue_len(q) && nc_buf_reserve(&q->buf, extra) == NACRE_OK) {
        return NACRE_OK;
    }
    return nc_queue_reserve(q, extra);
}

static void packets_made(nc_packetizer *p)
{
    p->out_open = OUT_NONE;
    size_t queued = nc_queue_len(&p->out_queue);
    p->out_peak = queued > p->out_peak ? queued : p->out_peak;
}

/* Takes back what was begun. */
static void drop_open(nc_packetizer *p)
{
    nc_buf_truncate(&p->out_queue.buf, p->out_start);
    nc_buf_reset(&p->out_plain);
    packets_made(p);
}

nacre_span nc_packetizer_output(const nc_packetizer *p)
{
    return nc_span(nc_queue_front(&p->out_queue), queued_whole(p));
}

void nc_packetizer_sent(nc_packetizer *p, size_t n)
{
    nc_queue *q = &p->out_queue;
    size_t whole = queued_whole(p);
    n = n < whole ? n : whole;
    if (p->out_open != OUT_NONE) {
        q->head += n; /* the open packet keeps its place */
        return;
    }
    nc_queue_consume(q, n);
    if (n == 0 || nc_queue_len(q) > 0) {
        return;
    }
    bool small = p->out_peak < q->buf.cap / 8;
    p->out_small = small && q->buf.cap > IDLE_ROOM ? p->out_small + 1 : 0;
    p->out_peak = 0;
    if (p->out_small >= IDLE_AFTER || q->buf.cap > FLOOD_ROOM) {
        p->out_small = 0;
        nc_queue_shrink(q, IDLE_ROOM);
        nc_buf_clear(&p->out_plain);
    }
}

int nc_packetizer_raw(nc_packetizer *p, nacre_span bytes)
{
    if (p->out_open != OUT_NONE) {
        return NACRE_WRONG_STATE;
    }
    if (bytes.n > p->limits.output_max - nc_queue_len(&p->out_queue)) {
        return NACRE_LIMIT;
    }
    int rc = output_room(p, bytes.n);
    if (rc == NACRE_OK) {
        rc = nc_buf_append(&p->out_queue.buf, bytes.p, bytes.n);
    }
    packets_made(p);
    return rc;
}

/* ---- sealing ---------------------------------------------------------------------------------- */

/* The pool is wiped as it is used: what padding was is nobody's business once it is on its way. */
static int fill_padding(nc_packetizer *p, uint8_t *to, size_t n)
{
    if (p->pool_left < n) {
        int rc = nc_random_bytes(&p->random, p->pool, sizeof(p->pool));
        if (rc != NACRE_OK) {
            return rc;
        }
        p->pool_left = sizeof(p->pool);
    }
    p->pool_left -= n;
    memcpy(to, p->pool + p->pool_left, n);
    nc_wipe(p->pool + p->pool_left, n);
    return NACRE_OK;
}

/* Frames and seals the payload of n bytes that stands behind the header; *size: bytes on the wire. */
static int seal_packet(nc_packetizer *p, uint8_t *packet, size_t n, size_t *size)
{
    size_t padding = nc_packet_padding(&p->out.layout, n);
    uint32_t length = (uint32_t)(1 + n + padding);
    nc_put_u32(packet, length);
    packet[LENGTH_BYTES] = (uint8_t)padding;
    int rc = fill_padding(p, packet + HEADER_BYTES + n, padding);
    if (rc == NACRE_OK && p->out.cipher) {
        rc = nc_pktcipher_seal(p->out.cipher, p->out.seq, packet, length);
    }
    *size = LENGTH_BYTES + (size_t)length + p->out.layout.tag_len;
    if (rc == NACRE_OK) {
        nc_direction_count(&p->out, *size);
    }
    return rc;
}

/* ---- one packet ------------------------------------------------------------------------------- */

nc_wr *nc_packetizer_begin(nc_packetizer *p, size_t hint)
{
    if (p->out_open != OUT_NONE) {
        p->out_wr.err = NACRE_WRONG_STATE;
        return &p->out_wr;
    }
    nc_queue *q = &p->out_queue;
    size_t payload = hint > SMALL_PAYLOAD ? hint : SMALL_PAYLOAD;
    size_t room = HEADER_BYTES + payload + MAX_PADDING + MAX_TAG;
    int rc = NACRE_OK;
    if (hint > NC_MAX_PACKET) {
        rc = NACRE_TOO_LARGE;
    } else if (nc_queue_len(q) >= p->limits.output_max) {
        rc = NACRE_LIMIT;
    } else if (p->out.zlib) {
        rc = nc_buf_reserve(&p->out_plain, payload);
    } else {
        rc = output_room(p, room);
    }
    p->out_start = q->buf.len;
    p->out_open = OUT_PACKET;
    p->out_wr = nc_wr_init(p->out.zlib ? &p->out_plain : &q->buf);
    p->out_wr.err = rc;
    if (rc == NACRE_OK && !p->out.zlib) {
        q->buf.len += HEADER_BYTES;
    }
    return &p->out_wr;
}

void nc_packetizer_abandon(nc_packetizer *p)
{
    if (p->out_open == OUT_PACKET) {
        drop_open(p);
    }
}

/* Brings the written payload to its place behind the header, deflated. */
static int deflate_payload(nc_packetizer *p)
{
    nc_queue *q = &p->out_queue;
    if (p->out_plain.len == 0) {
        return NACRE_INVALID_ARGUMENT;
    }
    int rc = output_room(p, HEADER_BYTES + p->out_plain.len + SMALL_PAYLOAD);
    if (rc != NACRE_OK) {
        return rc;
    }
    p->out_start = q->buf.len;
    q->buf.len += HEADER_BYTES;
    rc = nc_zstream_deflate(p->out.zlib, nc_buf_span(&p->out_plain), &q->buf);
    nc_buf_reset(&p->out_plain);
    return rc;
}

static int end_packet(nc_packetizer *p)
{
    nc_buf *b = &p->out_queue.buf;
    int rc = p->out.zlib ? deflate_payload(p) : NACRE_OK;
    if (rc != NACRE_OK) {
        return rc;
    }
    size_t n = b->len - p->out_start - HEADER_BYTES;
    if (n == 0) {
        return NACRE_INVALID_ARGUMENT;
    }
    size_t padding = nc_packet_padding(&p->out.layout, n);
    if (1 + n + padding > NC_MAX_PACKET) {
        return NACRE_TOO_LARGE;
    }
    size_t behind = padding + p->out.layout.tag_len;
    if (nc_queue_len(&p->out_queue) + behind > p->limits.output_max) {
        return NACRE_LIMIT;
    }
    rc = nc_buf_reserve(b, behind);
    if (rc != NACRE_OK) {
        return rc;
    }
    size_t size = 0;
    rc = seal_packet(p, b->data + p->out_start, n, &size);
    if (rc == NACRE_OK) {
        b->len = p->out_start + size;
    }
    return rc;
}

int nc_packetizer_end(nc_packetizer *p)
{
    if (p->out_open != OUT_PACKET) {
        return NACRE_WRONG_STATE;
    }
    int rc = nc_wr_err(&p->out_wr);
    if (rc == NACRE_OK) {
        rc = end_packet(p);
    }
    if (rc != NACRE_OK) {
        drop_open(p);
        return rc;
    }
    packets_made(p);
    return NACRE_OK;
}

/* ---- a row of packets ------------------------------------------------------------------------- */

/* Bytes on the wire of a packet with data bytes in its string. */
static size_t bulk_size(const nc_packetizer *p, size_t data)
{
    size_t n = p->out_bulk.head + data;
    return HEADER_BYTES + n + nc_packet_padding(&p->out.layout, n) + p->out.layout.tag_len;
}

/* The data bytes, want at most, whose packets fit into space bytes and count rooms. */
static size_t bulk_fit(const nc_packetizer *p, size_t want, size_t space, size_t count)
{
    size_t max_data = p->out_bulk.max_data;
    size_t stride = p->out_bulk.stride;
    size_t full = space / stride;
    if (full >= count) {
        size_t most = count > SIZE_MAX / max_data ? SIZE_MAX : count * max_data;
        return want < most ? want : most;
    }
    size_t fits = full * max_data;
    size_t rest = space - full * stride;
    size_t around = HEADER_BYTES + p->out_bulk.head + MAX_PADDING + MAX_TAG;
    if (rest > around) {
        fits += rest - around < max_data ? rest - around : max_data;
    }
    return want < fits ? want : fits;
}

static void lay_out(nc_packetizer *p, nacre_span head, nacre_room *rooms, size_t *count)
{
    nc_buf *b = &p->out_queue.buf;
    size_t left = p->out_bulk.total;
    *count = 0;
    while (left > 0) {
        size_t data = left < p->out_bulk.max_data ? left : p->out_bulk.max_data;
        uint8_t *at = b->data + b->len + HEADER_BYTES;
        if (head.n) {
            memcpy(at, head.p, head.n);
        }
        rooms[*count].p = at + p->out_bulk.head;
        rooms[*count].n = data;
        (*count)++;
        b->len += bulk_size(p, data);
        left -= data;
    }
}

int nc_packetizer_reserve(nc_packetizer *p, nacre_span head, size_t max_data, size_t want,
                          nacre_room *rooms, size_t *count)
{
    size_t most = *count;
    *count = 0;
    if (p->out_open != OUT_NONE) {
        return NACRE_WRONG_STATE;
    }
    if (p->out.zlib) {
        return NACRE_UNSUPPORTED;
    }
    if (head.n == 0 || max_data == 0) {
        return NACRE_INVALID_ARGUMENT;
    }
    if (max_data > NC_MAX_PACKET || head.n > NC_MAX_PACKET ||
        1 + head.n + 4 + max_data + MAX_PADDING > NC_MAX_PACKET) {
        return NACRE_TOO_LARGE;
    }
    nc_queue *q = &p->out_queue;
    p->out_bulk.head = head.n + 4;
    p->out_bulk.max_data = max_data;
    p->out_bulk.stride = bulk_size(p, max_data);
    size_t queued = nc_queue_len(q);
    size_t space = queued < p->limits.output_max ? p->limits.output_max - queued : 0;
    size_t total = bulk_fit(p, want, space, most);
    if (total == 0) {
        return NACRE_OK; /* nothing is lent, so nobody will commit: other packets may go */
    }
    size_t whole = total / max_data;
    size_t last = total - whole * max_data;
    size_t bytes = whole * p->out_bulk.stride + (last ? bulk_size(p, last) : 0);
    int rc = output_room(p, bytes);
    if (rc != NACRE_OK) {
        return rc;
    }
    p->out_start = q->buf.len;
    p->out_open = OUT_RESERVED;
    p->out_bulk.total = total;
    lay_out(p, head, rooms, count);
    return NACRE_OK;
}

int nc_packetizer_commit(nc_packetizer *p, size_t n)
{
    if (p->out_open != OUT_RESERVED) {
        return NACRE_WRONG_STATE;
    }
    nc_buf *b = &p->out_queue.buf;
    int rc = n <= p->out_bulk.total ? NACRE_OK : NACRE_INVALID_ARGUMENT;
    while (rc == NACRE_OK && n > 0) {
        size_t data = n < p->out_bulk.max_data ? n : p->out_bulk.max_data;
        uint8_t *packet = b->data + p->out_start;
        size_t size = 0;
        nc_put_u32(packet + HEADER_BYTES + p->out_bulk.head - 4, (uint32_t)data);
        rc = seal_packet(p, packet, p->out_bulk.head + data, &size);
        if (rc == NACRE_OK) {
            p->out_start += size;
            n -= data;
        }
    }
    drop_open(p);
    return rc;
}
