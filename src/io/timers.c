/*
 * timers.c - one-shot timers in a binary heap. Cancelling looks through the heap: a loop has few
 * timers (one per connection), and most of them are left to fire.
 */
#include "base/mem.h"
#include "io/loop.h"

static bool earlier(const nc_timer *a, const nc_timer *b)
{
    return a->at < b->at || (a->at == b->at && a->seq < b->seq);
}

static void swap(nc_timer *a, nc_timer *b)
{
    nc_timer x = *a;
    *a = *b;
    *b = x;
}

static void sift_up(nc_timers *t, size_t i)
{
    while (i > 0 && earlier(&t->heap[i], &t->heap[(i - 1) / 2])) {
        swap(&t->heap[i], &t->heap[(i - 1) / 2]);
        i = (i - 1) / 2;
    }
}

static void sift_down(nc_timers *t, size_t i)
{
    for (;;) {
        size_t least = i, left = 2 * i + 1;
        if (left < t->len && earlier(&t->heap[left], &t->heap[least])) {
            least = left;
        }
        if (left + 1 < t->len && earlier(&t->heap[left + 1], &t->heap[least])) {
            least = left + 1;
        }
        if (least == i) {
            return;
        }
        swap(&t->heap[i], &t->heap[least]);
        i = least;
    }
}

static void drop(nc_timers *t, size_t i)
{
    t->len--;
    if (i < t->len) {
        t->heap[i] = t->heap[t->len];
        sift_down(t, i);
        sift_up(t, i);
    }
}

int nc_timers_add(nc_timers *t, uint64_t at, nacre_timer_fn fn, void *user, uint64_t *id)
{
    if (t->len == t->cap) {
        size_t cap = t->cap ? t->cap * 2 : 16;
        if (cap > SIZE_MAX / sizeof(nc_timer)) {
            return NACRE_NO_MEMORY;
        }
        nc_timer *heap = nc_resize(t->alloc, t->heap, cap * sizeof(nc_timer));
        if (!heap) {
            return NACRE_NO_MEMORY;
        }
        t->heap = heap;
        t->cap = cap;
    }
    nc_timer timer = {at, ++t->last_id, fn, user};
    t->heap[t->len] = timer;
    sift_up(t, t->len++);
    if (id) {
        *id = timer.seq;
    }
    return NACRE_OK;
}

void nc_timers_cancel(nc_timers *t, uint64_t id)
{
    for (size_t i = 0; id && i < t->len; i++) {
        if (t->heap[i].seq == id) {
            drop(t, i);
            return;
        }
    }
}

bool nc_timers_pop(nc_timers *t, uint64_t now, uint64_t limit_id, nc_timer *out)
{
    /* A timer that a callback sets for "at once" waits for the next turn, or it could starve fds. */
    if (t->len == 0 || t->heap[0].at > now || t->heap[0].seq > limit_id) {
        return false;
    }
    *out = t->heap[0];
    drop(t, 0);
    return true;
}

uint64_t nc_timers_next(const nc_timers *t)
{
    return t->len ? t->heap[0].at : UINT64_MAX;
}

void nc_timers_clear(nc_timers *t)
{
    nc_free(t->alloc, t->heap);
    t->heap = NULL;
    t->len = t->cap = 0;
}
