/*
 * frame.c - packets of RFC 4819, out of bytes that come in any pieces, and back.
 */
#include "publickey/frame.h"

#include <string.h>

void nc_pks_init(nc_pks_pipe *p, const nacre_allocator *alloc)
{
    memset(p, 0, sizeof(*p));
    nc_queue_init(&p->in, alloc, NC_PKS_MAX_INPUT);
    nc_queue_init(&p->out, alloc, NC_PKS_MAX_OUTPUT);
    nc_buf_init(&p->packet, alloc, NC_PKS_MAX_FRAME + 4);
}

void nc_pks_clear(nc_pks_pipe *p)
{
    nc_queue_clear(&p->in);
    nc_queue_clear(&p->out);
    nc_buf_clear(&p->packet);
}

int nc_pks_append(nc_pks_pipe *p, nacre_span in)
{
    /* Its place may move, and the last packet with it: nobody holds on to that any more. */
    nc_queue_consume(&p->in, p->taken);
    p->taken = 0;
    return nc_queue_append(&p->in, in.p, in.n);
}

int nc_pks_next(nc_pks_pipe *p, nacre_span *name, nc_rd *r)
{
    nc_queue_consume(&p->in, p->taken);
    p->taken = 0;
    nc_rd all = nc_rd_init(nc_span(nc_queue_front(&p->in), nc_queue_len(&p->in)));
    if (nc_rd_left(&all) < 4) {
        return NACRE_AGAIN;
    }
    uint32_t len = nc_rd_u32(&all);
    if (len > NC_PKS_MAX_FRAME) {
        return NACRE_OVERSIZED;
    }
    if (len > nc_rd_left(&all)) {
        return NACRE_AGAIN;
    }
    *r = nc_rd_init(nc_rd_bytes(&all, len));
    *name = nc_rd_str(r);
    p->taken = (size_t)len + 4;
    return nc_rd_err(r);
}

nc_wr *nc_pks_begin(nc_pks_pipe *p, const char *name)
{
    nc_buf_reset(&p->packet);
    p->writer = nc_wr_init(&p->packet);
    (void)nc_wr_begin_str(&p->writer); /* at the very beginning */
    nc_wr_cstr(&p->writer, name);
    return &p->writer;
}

int nc_pks_end(nc_pks_pipe *p)
{
    nc_wr_end_str(&p->writer, 0);
    int rc = nc_wr_err(&p->writer);
    return rc == NACRE_OK ? nc_queue_append(&p->out, p->packet.data, p->packet.len) : rc;
}

int nc_pks_put_version(nc_pks_pipe *p)
{
    nc_wr *w = nc_pks_begin(p, "version");
    nc_wr_u32(w, NC_PKS_VERSION);
    return nc_pks_end(p);
}

int nc_pks_put_status(nc_pks_pipe *p, uint32_t code, const char *text)
{
    nc_wr *w = nc_pks_begin(p, "status");
    nc_wr_u32(w, code);
    nc_wr_cstr(w, text);
    nc_wr_cstr(w, "en");
    return nc_pks_end(p);
}

int nc_pks_attributes(nc_rd *r, bool critical, nacre_publickey_attribute *out, size_t *count)
{
    uint32_t told = nc_rd_u32(r);
    size_t n = 0;
    while (nc_rd_left(r) > 0) {
        if (n == NC_PKS_MAX_ATTRIBUTES) {
            return NACRE_OVERSIZED;
        }
        out[n].name = nc_rd_str(r);
        out[n].value = nc_rd_str(r);
        out[n].critical = critical && nc_rd_bool(r);
        n++;
    }
    *count = n;
    return nc_rd_end(r) == NACRE_OK && told == n ? NACRE_OK : NACRE_MALFORMED;
}

bool nc_pks_fits(const nacre_publickey_entry *e)
{
    size_t left = NC_PKS_MAX_FRAME - 64; /* name, numbers and flags of the packet itself */
    if (e->attribute_count > NC_PKS_MAX_ATTRIBUTES || e->algorithm.n > left) {
        return false;
    }
    left -= e->algorithm.n;
    if (e->blob.n > left) {
        return false;
    }
    left -= e->blob.n;
    for (size_t i = 0; i < e->attribute_count; i++) {
        const nacre_publickey_attribute *a = &e->attributes[i];
        if (left < 9 || a->name.n > left - 9 || a->value.n > left - 9 - a->name.n) {
            return false;
        }
        left -= 9 + a->name.n + a->value.n;
    }
    return true;
}
