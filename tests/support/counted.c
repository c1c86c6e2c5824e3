#include "counted.h"

#include <stdlib.h>
#include <string.h>

static bool holds(const uint8_t *p, size_t n, const char *text)
{
    return n > 0 && memmem(p, n, text, strlen(text)) != NULL;
}

static void *take(void *user, size_t n)
{
    counted *m = user;
    counted_block *b = calloc(1, sizeof(*b) + n);
    if (!b) {
        return NULL;
    }
    b->n = n;
    b->bytes = (uint8_t *)(b + 1);
    b->next = m->all.next;
    b->prev = &m->all;
    m->all.next->prev = b;
    m->all.next = b;
    m->live += n;
    m->peak = m->live > m->peak ? m->live : m->peak;
    return b->bytes;
}

static void release(void *user, void *p)
{
    counted *m = user;
    if (!p) {
        return;
    }
    counted_block *b = (counted_block *)p - 1;
    m->found += m->secret && holds(b->bytes, b->n, m->secret) ? 1 : 0;
    b->prev->next = b->next;
    b->next->prev = b->prev;
    m->live -= b->n;
    free(b);
}

static void *resize(void *user, void *p, size_t n)
{
    void *q = take(user, n);
    if (p && q) {
        size_t old = ((counted_block *)p - 1)->n;
        memcpy(q, p, old < n ? old : n);
        release(user, p);
    }
    return q;
}

void counted_init(counted *m)
{
    memset(m, 0, sizeof(*m));
    m->all.next = m->all.prev = &m->all;
}

nacre_allocator counted_hook(counted *m)
{
    nacre_allocator a = {take, resize, release, m};
    return a;
}

void counted_peak_here(counted *m)
{
    m->peak = m->live;
}

unsigned counted_with(const counted *m, const char *text)
{
    unsigned n = 0;
    for (const counted_block *b = m->all.next; b != &m->all; b = b->next) {
        n += holds(b->bytes, b->n, text) ? 1 : 0;
    }
    return n;
}
