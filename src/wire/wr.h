/*
 * wr.h - the writer: RFC 4251 types appended to a buffer. Errors (no memory, the buffer's cap) are
 * sticky; write all fields, ask nc_wr_err once.
 */
#ifndef NC_WIRE_WR_H
#define NC_WIRE_WR_H

#include "base/buf.h"

typedef struct nc_wr {
    nc_buf *b; /* may lie inside a queue; positions are offsets into b->data */
    int err;
} nc_wr;

static inline nc_wr nc_wr_init(nc_buf *b)
{
    nc_wr w = {b, NACRE_OK};
    return w;
}

void nc_wr_u8(nc_wr *w, uint8_t v);
void nc_wr_bool(nc_wr *w, bool v);
void nc_wr_u32(nc_wr *w, uint32_t v);
void nc_wr_u64(nc_wr *w, uint64_t v);
void nc_wr_bytes(nc_wr *w, nacre_span s);         /* as they are */
void nc_wr_str(nc_wr *w, nacre_span s);           /* string */
void nc_wr_cstr(nc_wr *w, const char *s);         /* string; NULL as "" */
void nc_wr_mpint(nc_wr *w, nacre_span magnitude); /* big-endian, unsigned; leading zeros dropped */
/* A string whose length is not known yet: begin leaves four bytes, end fills them in. */
size_t nc_wr_begin_str(nc_wr *w);
void nc_wr_end_str(nc_wr *w, size_t mark);
/* n bytes to be filled by the caller; NULL (and the sticky error) when there is no room. */
uint8_t *nc_wr_room(nc_wr *w, size_t n);
static inline int nc_wr_err(const nc_wr *w)
{
    return w->err;
}

/* For bytes that are not in a writer: big-endian stores and loads of fixed size. */
static inline void nc_put_u32(uint8_t *p, uint32_t v)
{
    p[0] = (uint8_t)(v >> 24);
    p[1] = (uint8_t)(v >> 16);
    p[2] = (uint8_t)(v >> 8);
    p[3] = (uint8_t)v;
}
static inline uint32_t nc_get_u32(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

#endif
