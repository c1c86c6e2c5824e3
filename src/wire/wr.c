/*
 * wr.c - the writer.
 */
#include "wire/wr.h"

#include <string.h>

uint8_t *nc_wr_room(nc_wr *w, size_t n)
{
    if (w->err != NACRE_OK) {
        return NULL;
    }
    w->err = nc_buf_reserve(w->b, n);
    return w->err == NACRE_OK ? nc_buf_extend(w->b, n) : NULL;
}

void nc_wr_bytes(nc_wr *w, nacre_span s)
{
    if (s.n == 0) {
        return;
    }
    uint8_t *p = nc_wr_room(w, s.n);
    if (p) {
        memcpy(p, s.p, s.n);
    }
}

void nc_wr_u8(nc_wr *w, uint8_t v)
{
    nc_wr_bytes(w, nc_span(&v, 1));
}

void nc_wr_bool(nc_wr *w, bool v)
{
    nc_wr_u8(w, v ? 1 : 0);
}

void nc_wr_u32(nc_wr *w, uint32_t v)
{
    uint8_t *p = nc_wr_room(w, 4);
    if (p) {
        nc_put_u32(p, v);
    }
}

void nc_wr_u64(nc_wr *w, uint64_t v)
{
    nc_wr_u32(w, (uint32_t)(v >> 32));
    nc_wr_u32(w, (uint32_t)v);
}

void nc_wr_str(nc_wr *w, nacre_span s)
{
    if (s.n > UINT32_MAX) {
        w->err = w->err == NACRE_OK ? NACRE_TOO_LARGE : w->err;
        return;
    }
    nc_wr_u32(w, (uint32_t)s.n);
    nc_wr_bytes(w, s);
}

void nc_wr_cstr(nc_wr *w, const char *s)
{
    nc_wr_str(w, nc_span_cstr(s));
}

void nc_wr_mpint(nc_wr *w, nacre_span m)
{
    while (m.n && m.p[0] == 0) {
        m.p++;
        m.n--;
    }
    /* A set top bit would make it negative: RFC 4251 section 5 wants a zero byte before it. */
    bool pad = m.n && (m.p[0] & 0x80);
    nc_wr_u32(w, (uint32_t)(m.n + (pad ? 1 : 0)));
    if (pad) {
        nc_wr_u8(w, 0);
    }
    nc_wr_bytes(w, m);
}

size_t nc_wr_begin_str(nc_wr *w)
{
    size_t mark = w->b->len;
    nc_wr_u32(w, 0);
    return mark;
}

void nc_wr_end_str(nc_wr *w, size_t mark)
{
    if (w->err == NACRE_OK) {
        nc_put_u32(w->b->data + mark, (uint32_t)(w->b->len - mark - 4));
    }
}
