/* counted.h - an allocator that knows every block: how much lives, the most there was, and what is in it. */
#ifndef NC_TESTS_COUNTED_H
#define NC_TESTS_COUNTED_H

#include "nacre/base.h"

#include <stdbool.h>

typedef struct counted_block {
    struct counted_block *prev, *next;
    size_t n;
    uint8_t *bytes; /* behind this header */
} counted_block;

typedef struct counted {
    counted_block all;
    size_t live, peak;
    const char *secret; /* looked for in everything that is given back; NULL: not */
    unsigned found;
} counted;

void counted_init(counted *m);
/* Borrows m. */
nacre_allocator counted_hook(counted *m);
/* The peak is what lives now. */
void counted_peak_here(counted *m);
/* Blocks that live and hold this text. */
unsigned counted_with(const counted *m, const char *text);

#endif
