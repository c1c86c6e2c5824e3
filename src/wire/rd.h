/*
 * rd.h - the bounded reader: the only way by which bytes of a peer are read (RFC 4251 section 5).
 *
 * Errors are sticky and the first cause wins: read all fields of a message in a row, ask nc_rd_end
 * once, then use the values. After an error every function returns zero or an empty span, and
 * nothing is ever read beyond the end. Spans are borrowed from the bytes that the reader was given.
 */
#ifndef NC_WIRE_RD_H
#define NC_WIRE_RD_H

#include "base/mem.h"

typedef struct nc_rd {
    const uint8_t *p;
    const uint8_t *end;
    int err; /* NACRE_OK or NACRE_MALFORMED */
} nc_rd;

static inline nc_rd nc_rd_init(nacre_span s)
{
    nc_rd r = {s.p, s.p ? s.p + s.n : s.p, NACRE_OK};
    return r;
}

static inline size_t nc_rd_left(const nc_rd *r)
{
    return (size_t)(r->end - r->p);
}

uint8_t nc_rd_u8(nc_rd *r);
bool nc_rd_bool(nc_rd *r); /* any non-zero byte is true */
uint32_t nc_rd_u32(nc_rd *r);
uint64_t nc_rd_u64(nc_rd *r);
nacre_span nc_rd_bytes(nc_rd *r, size_t n); /* n raw bytes */
nacre_span nc_rd_str(nc_rd *r);             /* string: uint32 length, bytes */
nacre_span nc_rd_rest(nc_rd *r);            /* all that is left; may be empty */
/* A string that must be a name-list: printable US-ASCII, commas, no empty name, at most max bytes. */
nacre_span nc_rd_namelist(nc_rd *r, size_t max);
/*
 * A non-negative mpint in canonical form, at most max_bytes of magnitude; the span is the magnitude
 * without the leading zero byte. Negative or padded values are malformed: no SSH message that we
 * read may carry one.
 */
nacre_span nc_rd_mpint(nc_rd *r, size_t max_bytes);
void nc_rd_fail(nc_rd *r); /* marks the whole as malformed, for checks made by the caller */
/* NACRE_OK only when nothing failed and nothing is left over. */
int nc_rd_end(nc_rd *r) NACRE_MUST_CHECK;
/* As nc_rd_end, but later fields that a newer peer may append are allowed. */
static inline int nc_rd_err(const nc_rd *r)
{
    return r->err;
}

/* Steps through a name-list: true and the next name in *name, false at the end. */
bool nc_namelist_next(nacre_span *list, nacre_span *name);
bool nc_namelist_has(nacre_span list, const char *name);

#endif
