/*
 * base64.c - RFC 4648 section 4. Private keys pass through here, so neither direction looks anything
 * up at an address that depends on the data.
 */
#include "crypto/crypto.h"

#include <sodium.h>

/* The character of a 6-bit value, by arithmetic: masks are all ones where the range is reached. */
static uint8_t sextet_char(uint32_t v)
{
    uint32_t c = v + 'A';

    c += ((25u - v) >> 8) & ('a' - 'A' - 26u);
    c -= ((51u - v) >> 8) & ('a' - '0' + 26u);
    c -= ((61u - v) >> 8) & ('0' - '+' + 10u);
    c += ((62u - v) >> 8) & ('/' - '+' - 1u);
    return (uint8_t)c;
}

int nc_base64_encode(nacre_span in, nc_buf *out)
{
    size_t len;
    uint8_t *o;
    int rc;

    if (in.n > SIZE_MAX / 2) {
        return NACRE_TOO_LARGE;
    }
    len = (in.n + 2) / 3 * 4;
    rc = nc_buf_reserve(out, len);
    if (rc != NACRE_OK) {
        return rc;
    }
    o = nc_buf_extend(out, len);
    if (!o) {
        return NACRE_NO_MEMORY;
    }
    for (size_t i = 0; i < in.n; i += 3) {
        size_t left = in.n - i;
        uint32_t v = (uint32_t)in.p[i] << 16;

        v |= left > 1 ? (uint32_t)in.p[i + 1] << 8 : 0;
        v |= left > 2 ? (uint32_t)in.p[i + 2] : 0;
        *o++ = sextet_char(v >> 18);
        *o++ = sextet_char(v >> 12 & 63);
        *o++ = left > 1 ? sextet_char(v >> 6 & 63) : '=';
        *o++ = left > 2 ? sextet_char(v & 63) : '=';
    }
    return NACRE_OK;
}

int nc_base64_decode(nacre_span text, nc_buf *out)
{
    size_t start = out->len;
    size_t n = 0;
    uint8_t *o;
    int rc;

    if (text.n == 0) {
        return NACRE_OK;
    }
    if (text.n % 4 != 0) {
        return NACRE_SYNTAX;
    }
    rc = nc_buf_reserve(out, text.n / 4 * 3);
    if (rc != NACRE_OK) {
        return rc;
    }
    o = nc_buf_extend(out, text.n / 4 * 3);
    if (!o) {
        return NACRE_NO_MEMORY;
    }
    if (sodium_base642bin(o, text.n / 4 * 3, (const char *)text.p, text.n, NULL, &n, NULL,
                          sodium_base64_VARIANT_ORIGINAL) != 0) {
        nc_buf_truncate(out, start);
        return NACRE_SYNTAX;
    }
    nc_buf_truncate(out, start + n);
    return NACRE_OK;
}
