/*
 * base64.c - RFC 4648 section 4. Private keys pass through here, so neither direction looks anything
 * up at an address that depends on the data.
 */
#include "crypto/crypto.h"

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

/* Low bits all ones when lo <= c <= hi, else 0. */
static uint32_t in_range(uint32_t c, uint32_t lo, uint32_t hi)
{
    return ((lo - 1 - c) & (c - hi - 1)) >> 8;
}

/* The value of a character; 64 or more: none. */
static uint32_t char_sextet(uint8_t c)
{
    uint32_t v = 0;

    /* One more than the value, so that 0 is left for what is in no range. */
    v |= in_range(c, 'A', 'Z') & (c - 'A' + 1u);
    v |= in_range(c, 'a', 'z') & (c - 'a' + 27u);
    v |= in_range(c, '0', '9') & (c - '0' + 53u);
    v |= in_range(c, '+', '+') & 63u;
    v |= in_range(c, '/', '/') & 64u;
    return v - 1;
}

/* Four characters, the last pad of them '='. False when they are not base64 or not canonical. */
static bool decode_quad(const uint8_t *in, size_t pad, uint8_t *out)
{
    uint32_t bits = 0;
    uint32_t all = 0;

    for (size_t i = 0; i < 4; i++) {
        uint32_t v = i < 4 - pad ? char_sextet(in[i]) : 0;

        all |= v;
        bits = bits << 6 | (v & 63);
    }
    for (size_t i = 0; i < 3 - pad; i++) {
        out[i] = (uint8_t)(bits >> (16 - 8 * i));
    }
    /* Bits behind the last byte must be zero: one text for one value. */
    return all < 64 && (pad == 0 || (bits & ((1u << 8 * pad) - 1)) == 0);
}

int nc_base64_decode(nacre_span text, nc_buf *out)
{
    size_t start = out->len;
    size_t pad = 0;
    size_t len;
    bool good = true;
    uint8_t *o;
    int rc;

    if (text.n == 0) {
        return NACRE_OK;
    }
    if (text.n % 4 != 0) {
        return NACRE_SYNTAX;
    }
    while (pad < 2 && text.p[text.n - 1 - pad] == '=') {
        pad++;
    }
    len = text.n / 4 * 3 - pad;
    rc = nc_buf_reserve(out, len);
    if (rc != NACRE_OK) {
        return rc;
    }
    o = nc_buf_extend(out, len);
    if (!o) {
        return NACRE_NO_MEMORY;
    }
    for (size_t i = 0; i < text.n; i += 4) {
        good &= decode_quad(text.p + i, i + 4 == text.n ? pad : 0, o + i / 4 * 3);
    }
    if (!good) {
        nc_buf_truncate(out, start);
        return NACRE_SYNTAX;
    }
    return NACRE_OK;
}
