/*
 * buf.h - a growable byte buffer with a cap, and a byte queue made of one.
 *
 * Both wipe what they held when they are cleared or moved, because most of what passes through them
 * is plaintext or keys. The cap turns a hostile length into an error instead of an allocation.
 */
#ifndef NC_BASE_BUF_H
#define NC_BASE_BUF_H

#include "base/mem.h"

typedef struct nc_buf {
    const nacre_allocator *alloc;
    uint8_t *data;
    size_t len;
    size_t cap;
    size_t max; /* len never exceeds it; 0 in a zeroed struct: nothing fits */
} nc_buf;

void nc_buf_init(nc_buf *b, const nacre_allocator *a, size_t max);
void nc_buf_clear(nc_buf *b); /* wipes, frees; the buffer can be used again, alloc and max stay */
void nc_buf_reset(nc_buf *b); /* wipes, len = 0, keeps the memory */

/* Room for extra more bytes: NACRE_OK, NACRE_LIMIT above the cap, NACRE_NO_MEMORY. */
int nc_buf_reserve(nc_buf *b, size_t extra) NACRE_MUST_CHECK;
int nc_buf_append(nc_buf *b, const void *p, size_t n) NACRE_MUST_CHECK;
/* Grows len by n and returns the new, uninitialised bytes; NULL when that is not possible. */
uint8_t *nc_buf_extend(nc_buf *b, size_t n) NACRE_MUST_CHECK;
void nc_buf_truncate(nc_buf *b, size_t len); /* wipes the tail; len above b->len is ignored */

static inline nacre_span nc_buf_span(const nc_buf *b)
{
    return nc_span(b->data, b->len);
}

/*
 * A byte queue: appended at the tail (through buf, so a writer can write right into it), consumed at
 * the head. What is queued is always one contiguous span.
 */
typedef struct nc_queue {
    nc_buf buf;
    size_t head;
} nc_queue;

void nc_queue_init(nc_queue *q, const nacre_allocator *a, size_t max);
void nc_queue_clear(nc_queue *q);
static inline size_t nc_queue_len(const nc_queue *q)
{
    return q->buf.len - q->head;
}
static inline uint8_t *nc_queue_front(const nc_queue *q)
{
    return q->buf.data ? q->buf.data + q->head : NULL;
}
/* Makes room for extra bytes behind the tail; may move what is queued (old pointers die). */
int nc_queue_reserve(nc_queue *q, size_t extra) NACRE_MUST_CHECK;
int nc_queue_append(nc_queue *q, const void *p, size_t n) NACRE_MUST_CHECK;
void nc_queue_consume(nc_queue *q, size_t n); /* n above the length empties it */
/* Gives memory above keep bytes back when the queue is empty (idle connections cost little). */
void nc_queue_shrink(nc_queue *q, size_t keep);

#endif
