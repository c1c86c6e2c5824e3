/*
 * attrs.c - file attributes on the wire, draft-ietf-secsh-filexfer-02 section 5.
 */
#include "sftp/sftp.h"

#include <string.h>

enum {
    ATTR_KNOWN = 0x0F /* the extended flag is the top bit, and is looked at apart */
};

bool nc_sftp_has_nul(nacre_span s)
{
    return s.n > 0 && memchr(s.p, 0, s.n) != NULL;
}

/* Steps over the pairs: their number is the peer's word, their bytes decide. */
static nacre_span rd_extended(nc_rd *r, uint32_t count)
{
    const uint8_t *from = r->p;
    for (uint32_t i = 0; i < count && nc_rd_err(r) == NACRE_OK; i++) {
        (void)nc_rd_str(r);
        (void)nc_rd_str(r);
    }
    return nc_rd_err(r) == NACRE_OK ? nc_span(from, (size_t)(r->p - from)) : nc_span(NULL, 0);
}

void nc_sftp_rd_attrs(nc_rd *r, nacre_sftp_attrs *out)
{
    memset(out, 0, sizeof(*out));
    uint32_t flags = nc_rd_u32(r);
    if (flags & NACRE_SFTP_ATTR_SIZE) {
        out->size = nc_rd_u64(r);
    }
    if (flags & NACRE_SFTP_ATTR_UIDGID) {
        out->uid = nc_rd_u32(r);
        out->gid = nc_rd_u32(r);
    }
    if (flags & NACRE_SFTP_ATTR_PERMISSIONS) {
        out->permissions = nc_rd_u32(r);
    }
    if (flags & NACRE_SFTP_ATTR_ACMODTIME) {
        out->atime = nc_rd_u32(r);
        out->mtime = nc_rd_u32(r);
    }
    if (flags & NACRE_SFTP_ATTR_EXTENDED) {
        out->extended_count = nc_rd_u32(r);
        out->extended = rd_extended(r, out->extended_count);
    }
    if (nc_rd_err(r) != NACRE_OK) {
        memset(out, 0, sizeof(*out));
        return;
    }
    out->flags = flags & (ATTR_KNOWN | NACRE_SFTP_ATTR_EXTENDED);
}

void nc_sftp_wr_attrs(nc_wr *w, const nacre_sftp_attrs *attrs)
{
    static const nacre_sftp_attrs none;
    const nacre_sftp_attrs *a = attrs ? attrs : &none;
    nc_wr_u32(w, a->flags & (ATTR_KNOWN | NACRE_SFTP_ATTR_EXTENDED));
    if (a->flags & NACRE_SFTP_ATTR_SIZE) {
        nc_wr_u64(w, a->size);
    }
    if (a->flags & NACRE_SFTP_ATTR_UIDGID) {
        nc_wr_u32(w, a->uid);
        nc_wr_u32(w, a->gid);
    }
    if (a->flags & NACRE_SFTP_ATTR_PERMISSIONS) {
        nc_wr_u32(w, a->permissions);
    }
    if (a->flags & NACRE_SFTP_ATTR_ACMODTIME) {
        nc_wr_u32(w, a->atime);
        nc_wr_u32(w, a->mtime);
    }
    if (a->flags & NACRE_SFTP_ATTR_EXTENDED) {
        nc_wr_u32(w, a->extended_count);
        nc_wr_bytes(w, a->extended);
    }
}

size_t nc_sftp_attrs_size(const nacre_sftp_attrs *attrs)
{
    uint32_t flags = attrs ? attrs->flags : 0;
    size_t n = 4;
    n += flags & NACRE_SFTP_ATTR_SIZE ? 8 : 0;
    n += flags & NACRE_SFTP_ATTR_UIDGID ? 8 : 0;
    n += flags & NACRE_SFTP_ATTR_PERMISSIONS ? 4 : 0;
    n += flags & NACRE_SFTP_ATTR_ACMODTIME ? 8 : 0;
    n += flags & NACRE_SFTP_ATTR_EXTENDED ? 4 + attrs->extended.n : 0;
    return n;
}

bool nc_sftp_attrs_valid(const nacre_sftp_attrs *attrs)
{
    if (!attrs || !(attrs->flags & NACRE_SFTP_ATTR_EXTENDED)) {
        return true;
    }
    nc_rd r = nc_rd_init(attrs->extended);
    (void)rd_extended(&r, attrs->extended_count);
    return nc_rd_end(&r) == NACRE_OK;
}

int nacre_sftp_attrs_decode(nacre_span bytes, size_t *used, nacre_sftp_attrs *out)
{
    nc_rd r = nc_rd_init(bytes);
    nc_sftp_rd_attrs(&r, out);
    int rc = nc_rd_err(&r);
    *used = rc == NACRE_OK ? bytes.n - nc_rd_left(&r) : 0;
    return rc;
}

int nacre_sftp_attrs_encode(const nacre_sftp_attrs *attrs, uint8_t *out, size_t size, size_t *used)
{
    *used = 0;
    if (!attrs || !nc_sftp_attrs_valid(attrs)) {
        return NACRE_INVALID_ARGUMENT;
    }
    *used = nc_sftp_attrs_size(attrs);
    if (*used > size) {
        return NACRE_TOO_LARGE;
    }
    /* The writer's buffer stands on the caller's memory: full size from the start, so it never grows. */
    nc_buf b = {NULL, out, 0, size, size};
    nc_wr w = nc_wr_init(&b);
    nc_sftp_wr_attrs(&w, attrs);
    return nc_wr_err(&w);
}

bool nacre_sftp_attrs_next(nacre_span *rest, nacre_span *type, nacre_span *data)
{
    nc_rd r = nc_rd_init(*rest);
    *type = nc_rd_str(&r);
    *data = nc_rd_str(&r);
    if (nc_rd_err(&r) != NACRE_OK) {
        *rest = nc_span(NULL, 0);
        return false;
    }
    *rest = nc_rd_rest(&r);
    return true;
}

bool nacre_sftp_name_is_plain(nacre_span name)
{
    bool special = name.n == 0 || nc_span_is(name, ".") || nc_span_is(name, "..");
    return !special && memchr(name.p, '/', name.n) == NULL && !nc_sftp_has_nul(name);
}
