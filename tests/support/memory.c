/*
 * memory.c - the counting allocator.
 */
#include "memory.h"

#include <stdlib.h>
#include <string.h>

/* In front of each block, so that what is given back is known by size. */
enum { HEAD = 16 };

static bool may(test_memory *m)
{
    if (m->paused) {
        return true;
    }
    bool fails = ++m->count == m->fail_at || (m->for_good && m->fail_at && m->count > m->fail_at);
    m->failed = m->failed || fails;
    return !fails;
}

static uint8_t *keep(test_memory *m, uint8_t *block, size_t n)
{
    memcpy(block, &n, sizeof(n));
    m->bytes += n;
    m->most = m->bytes > m->most ? m->bytes : m->most;
    return block + HEAD;
}

static size_t size_of(const uint8_t *block)
{
    size_t n;
    memcpy(&n, block, sizeof(n));
    return n;
}

static void *take(void *user, size_t n)
{
    test_memory *m = user;
    uint8_t *block = may(m) && n < SIZE_MAX - HEAD ? malloc(n + HEAD) : NULL;
    if (!block) {
        return NULL;
    }
    m->live++;
    return keep(m, block, n);
}

static void *resize(void *user, void *p, size_t n)
{
    test_memory *m = user;
    if (!p) {
        return take(user, n);
    }
    uint8_t *old = (uint8_t *)p - HEAD;
    size_t before = size_of(old);
    uint8_t *block = may(m) && n < SIZE_MAX - HEAD ? realloc(old, n + HEAD) : NULL;
    if (!block) {
        return NULL;
    }
    m->bytes -= before;
    return keep(m, block, n);
}

static void release(void *user, void *p)
{
    test_memory *m = user;
    if (p) {
        uint8_t *block = (uint8_t *)p - HEAD;
        m->bytes -= size_of(block);
        m->live--;
        free(block);
    }
}

void test_memory_init(test_memory *m)
{
    memset(m, 0, sizeof(*m));
    m->hooks = (nacre_allocator){take, resize, release, m};
}

void test_memory_fail(test_memory *m, unsigned long n)
{
    m->fail_at = n ? m->count + n : 0;
    m->for_good = m->failed = false;
}

void test_memory_end(test_memory *m, unsigned long n)
{
    test_memory_fail(m, n + 1);
    m->for_good = true;
}
