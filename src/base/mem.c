/*
 * mem.c - the only file that calls malloc and free.
 */
#include "base/mem.h"

#include <stdlib.h>
#include <string.h>

void *nc_alloc(const nacre_allocator *a, size_t size)
{
    if (size == 0) {
        size = 1;
    }
    return a ? a->alloc(a->user, size) : malloc(size);
}

void *nc_zalloc(const nacre_allocator *a, size_t size)
{
    void *p = nc_alloc(a, size);
    if (p) {
        memset(p, 0, size);
    }
    return p;
}

void *nc_resize(const nacre_allocator *a, void *p, size_t size)
{
    if (size == 0) {
        size = 1;
    }
    return a ? a->resize(a->user, p, size) : realloc(p, size);
}

void *nc_alloc_array(const nacre_allocator *a, size_t count, size_t size)
{
    if (size != 0 && count > SIZE_MAX / size) {
        return NULL;
    }
    return nc_alloc(a, count * size);
}

void nc_free(const nacre_allocator *a, void *p)
{
    if (!p) {
        return;
    }
    if (a) {
        a->release(a->user, p);
    } else {
        free(p);
    }
}

void nc_wipe_free(const nacre_allocator *a, void *p, size_t size)
{
    if (p) {
        nc_wipe(p, size);
        nc_free(a, p);
    }
}

char *nc_strdup(const nacre_allocator *a, const char *s)
{
    return s ? nc_strndup(a, nc_span_cstr(s)) : NULL;
}

char *nc_strndup(const nacre_allocator *a, nacre_span s)
{
    char *copy = nc_alloc(a, s.n + 1);
    if (copy) {
        if (s.n) {
            memcpy(copy, s.p, s.n);
        }
        copy[s.n] = '\0';
    }
    return copy;
}

void nc_wipe(void *p, size_t n)
{
    if (!p || n == 0) {
        return;
    }
    memset(p, 0, n);
    /* The barrier makes the stores visible to somebody, so they may not be dropped as dead. */
    __asm__ __volatile__("" : : "r"(p) : "memory");
}

bool nc_ct_equal(const void *a, const void *b, size_t n)
{
    const volatile uint8_t *x = a;
    const volatile uint8_t *y = b;
    uint8_t diff = 0;
    for (size_t i = 0; i < n; i++) {
        diff = (uint8_t)(diff | (x[i] ^ y[i]));
    }
    return diff == 0;
}

nacre_span nc_span_cstr(const char *s)
{
    return nc_span(s, s ? strlen(s) : 0);
}

bool nc_span_eq(nacre_span a, nacre_span b)
{
    return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

bool nc_span_is(nacre_span a, const char *s)
{
    return nc_span_eq(a, nc_span_cstr(s));
}
