/*
 * rd.c - the bounded reader.
 */
#include "wire/rd.h"

#include <string.h>

static const nacre_span empty = {NULL, 0};

void nc_rd_fail(nc_rd *r)
{
    if (r->err == NACRE_OK) {
        r->err = NACRE_MALFORMED;
    }
    r->p = r->end;
}

nacre_span nc_rd_bytes(nc_rd *r, size_t n)
{
    if (r->err != NACRE_OK || n > nc_rd_left(r)) {
        nc_rd_fail(r);
        return empty;
    }
    nacre_span s = nc_span(r->p, n);
    r->p += n;
    return s;
}

uint8_t nc_rd_u8(nc_rd *r)
{
    nacre_span s = nc_rd_bytes(r, 1);
    return s.n ? s.p[0] : 0;
}

bool nc_rd_bool(nc_rd *r)
{
    return nc_rd_u8(r) != 0;
}

uint32_t nc_rd_u32(nc_rd *r)
{
    nacre_span s = nc_rd_bytes(r, 4);
    if (s.n == 0) {
        return 0;
    }
    return (uint32_t)s.p[0] << 24 | (uint32_t)s.p[1] << 16 | (uint32_t)s.p[2] << 8 | s.p[3];
}

uint64_t nc_rd_u64(nc_rd *r)
{
    nacre_span s = nc_rd_bytes(r, 8);
    uint64_t v = 0;
    for (size_t i = 0; i < s.n; i++) {
        v = v << 8 | s.p[i];
    }
    return v;
}

nacre_span nc_rd_str(nc_rd *r)
{
    uint32_t n = nc_rd_u32(r);
    return r->err == NACRE_OK ? nc_rd_bytes(r, n) : empty;
}

nacre_span nc_rd_rest(nc_rd *r)
{
    return r->err == NACRE_OK ? nc_rd_bytes(r, nc_rd_left(r)) : empty;
}

nacre_span nc_rd_namelist(nc_rd *r, size_t max)
{
    nacre_span s = nc_rd_str(r);
    if (s.n > max) {
        nc_rd_fail(r);
        return empty;
    }
    uint8_t before = ',';
    for (size_t i = 0; i < s.n; i++) {
        bool printable = s.p[i] > 0x20 && s.p[i] < 0x7F;
        if (!printable || (s.p[i] == ',' && before == ',')) {
            nc_rd_fail(r);
            return empty;
        }
        before = s.p[i];
    }
    if (s.n && before == ',') {
        nc_rd_fail(r);
        return empty;
    }
    return s;
}

nacre_span nc_rd_mpint(nc_rd *r, size_t max_bytes)
{
    nacre_span s = nc_rd_str(r);
    if (s.n == 0) {
        return s; /* zero is the empty string */
    }
    bool negative = (s.p[0] & 0x80) != 0;
    bool padded = s.p[0] == 0 && (s.n == 1 || (s.p[1] & 0x80) == 0);
    if (negative || padded) {
        nc_rd_fail(r);
        return empty;
    }
    if (s.p[0] == 0) {
        s.p++;
        s.n--;
    }
    if (s.n > max_bytes) {
        nc_rd_fail(r);
        return empty;
    }
    return s;
}

int nc_rd_end(nc_rd *r)
{
    if (r->err == NACRE_OK && nc_rd_left(r) != 0) {
        nc_rd_fail(r);
    }
    return r->err;
}

bool nc_namelist_next(nacre_span *list, nacre_span *name)
{
    if (list->n == 0) {
        *name = empty;
        return false;
    }
    const uint8_t *comma = memchr(list->p, ',', list->n);
    size_t len = comma ? (size_t)(comma - list->p) : list->n;
    *name = nc_span(list->p, len);
    size_t step = comma ? len + 1 : len;
    list->p += step;
    list->n -= step;
    return true;
}

bool nc_namelist_has(nacre_span list, const char *name)
{
    nacre_span one;
    while (nc_namelist_next(&list, &one)) {
        if (nc_span_is(one, name)) {
            return true;
        }
    }
    return false;
}
