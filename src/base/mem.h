/*
 * mem.h - memory by way of the allocator hook, wiping, and constant-time comparison.
 *
 * No other file of the library calls malloc. NULL for the allocator means the C library's.
 */
#ifndef NC_BASE_MEM_H
#define NC_BASE_MEM_H

#include "nacre/base.h"

void *nc_alloc(const nacre_allocator *a,
               size_t size); /* uninitialised; size 0 is rounded up to 1 */
void *nc_zalloc(const nacre_allocator *a, size_t size);
void *nc_resize(const nacre_allocator *a, void *p, size_t size);
/* array of count * size bytes; NULL when the product overflows */
void *nc_alloc_array(const nacre_allocator *a, size_t count, size_t size);
void nc_free(const nacre_allocator *a, void *p);
void nc_wipe_free(const nacre_allocator *a, void *p, size_t size); /* wipes first; NULL ok */
char *nc_strdup(const nacre_allocator *a, const char *s);          /* NULL in, NULL out    */
char *nc_strndup(const nacre_allocator *a, nacre_span s);          /* adds the terminator  */

/* Overwrites secrets in a way that no compiler removes. */
void nc_wipe(void *p, size_t n);

/* True when equal; the time taken depends on n alone. */
bool nc_ct_equal(const void *a, const void *b, size_t n);

/* Span helpers. */
static inline nacre_span nc_span(const void *p, size_t n)
{
    nacre_span s = {(const uint8_t *)p, n};
    return s;
}
nacre_span nc_span_cstr(const char *s);       /* NULL gives an empty span      */
bool nc_span_eq(nacre_span a, nacre_span b);  /* not constant time             */
bool nc_span_is(nacre_span a, const char *s); /* not constant time             */

#endif
