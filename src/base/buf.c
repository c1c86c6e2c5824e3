/*
 * buf.c - growth by doubling under a cap, above 2 MiB by a quarter; wiping on every move.
 */
#include "base/buf.h"

#include <string.h>

/* While a buffer grows, old and new exist: of large ones the new one is little more than what is needed. */
enum { LARGE = 2 * 1024 * 1024 };

static size_t grown(size_t cap)
{
    size_t more = cap < LARGE ? cap : cap / 4;
    return cap > SIZE_MAX - more ? SIZE_MAX : cap + more;
}

void nc_buf_init(nc_buf *b, const nacre_allocator *a, size_t max)
{
    b->alloc = a;
    b->data = NULL;
    b->len = 0;
    b->cap = 0;
    b->max = max;
}

void nc_buf_clear(nc_buf *b)
{
    nc_wipe_free(b->alloc, b->data, b->cap);
    b->data = NULL;
    b->len = 0;
    b->cap = 0;
}

void nc_buf_reset(nc_buf *b)
{
    nc_wipe(b->data, b->len);
    b->len = 0;
}

int nc_buf_reserve(nc_buf *b, size_t extra)
{
    if (extra > b->max || b->len > b->max - extra) {
        return NACRE_LIMIT;
    }
    size_t need = b->len + extra;
    if (need <= b->cap) {
        return NACRE_OK;
    }
    size_t cap = b->cap ? b->cap : 64;
    while (cap < need) {
        cap = grown(cap);
    }
    if (cap > b->max) {
        cap = b->max;
    }
    /* Not resize: that could leave a copy of a secret behind in freed memory. */
    uint8_t *data = nc_alloc(b->alloc, cap);
    if (!data) {
        return NACRE_NO_MEMORY;
    }
    if (b->len) {
        memcpy(data, b->data, b->len);
    }
    /* All of it: a queue leaves bytes that were consumed behind its length. */
    nc_wipe_free(b->alloc, b->data, b->cap);
    b->data = data;
    b->cap = cap;
    return NACRE_OK;
}

int nc_buf_append(nc_buf *b, const void *p, size_t n)
{
    int rc = nc_buf_reserve(b, n);
    if (rc == NACRE_OK && n) {
        memcpy(b->data + b->len, p, n);
        b->len += n;
    }
    return rc;
}

uint8_t *nc_buf_extend(nc_buf *b, size_t n)
{
    if (nc_buf_reserve(b, n ? n : 1) != NACRE_OK) {
        return NULL;
    }
    uint8_t *p = b->data + b->len;
    b->len += n;
    return p;
}

void nc_buf_truncate(nc_buf *b, size_t len)
{
    if (len < b->len) {
        nc_wipe(b->data + len, b->len - len);
        b->len = len;
    }
}

void nc_queue_init(nc_queue *q, const nacre_allocator *a, size_t max)
{
    nc_buf_init(&q->buf, a, max);
    q->head = 0;
}

void nc_queue_clear(nc_queue *q)
{
    nc_buf_clear(&q->buf);
    q->head = 0;
}

int nc_queue_reserve(nc_queue *q, size_t extra)
{
    if (q->buf.cap - q->buf.len >= extra) {
        return NACRE_OK;
    }
    /* Close the gap at the head first: moving what is left is cheaper than growing for good. */
    if (q->head > 0) {
        size_t n = nc_queue_len(q);
        if (n) {
            memmove(q->buf.data, q->buf.data + q->head, n);
        }
        q->buf.len = n;
        q->head = 0;
    }
    return nc_buf_reserve(&q->buf, extra);
}

int nc_queue_append(nc_queue *q, const void *p, size_t n)
{
    int rc = nc_queue_reserve(q, n);
    return rc == NACRE_OK ? nc_buf_append(&q->buf, p, n) : rc;
}

void nc_queue_consume(nc_queue *q, size_t n)
{
    if (n >= nc_queue_len(q)) {
        q->head = 0;
        q->buf.len = 0;
        return;
    }
    q->head += n;
}

void nc_queue_shrink(nc_queue *q, size_t keep)
{
    if (nc_queue_len(q) == 0 && q->buf.cap > keep) {
        nc_queue_clear(q);
    }
}
