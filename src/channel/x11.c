/*
 * x11.c - X11 forwarding as bytes.
 */
#include "channel/x11.h"

#include <string.h>

/* ---- x11-req ---- */

static bool is_letter_or_digit(uint8_t c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

bool nc_x11_is_protocol(nacre_span s)
{
    if (s.n == 0 || s.n >= NC_X11_NAME_MAX || s.p[0] == '-') {
        return false;
    }
    for (size_t i = 0; i < s.n; i++) {
        if (!is_letter_or_digit(s.p[i]) && !memchr("-._", s.p[i], 3)) {
            return false;
        }
    }
    return true;
}

static int digit(uint8_t c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool nc_x11_is_cookie(nacre_span s)
{
    if (s.n == 0 || s.n % 2 != 0 || s.n > (size_t)2 * NC_X11_DATA_MAX) {
        return false;
    }
    for (size_t i = 0; i < s.n; i++) {
        if (digit(s.p[i]) < 0) {
            return false;
        }
    }
    return true;
}

void nc_x11_hex(nacre_span bytes, char *out)
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < bytes.n; i++) {
        *out++ = digits[bytes.p[i] >> 4];
        *out++ = digits[bytes.p[i] & 15];
    }
    *out = '\0';
}

int nc_x11_unhex(nacre_span hex, uint8_t *out, size_t room, size_t *n)
{
    *n = 0;
    if (!nc_x11_is_cookie(hex)) {
        return NACRE_SYNTAX;
    }
    if (hex.n / 2 > room) {
        return NACRE_TOO_LARGE;
    }
    for (size_t i = 0; i < hex.n; i += 2) {
        out[i / 2] = (uint8_t)((unsigned)digit(hex.p[i]) << 4 | (unsigned)digit(hex.p[i + 1]));
    }
    *n = hex.n / 2;
    return NACRE_OK;
}

int nc_x11_req_write(nc_buf *b, bool single, const char *protocol, nacre_span cookie,
                     uint32_t screen)
{
    nc_fwd_x11_request m;
    size_t n = strlen(protocol);
    if (n >= NC_X11_NAME_MAX || cookie.n > NC_X11_DATA_MAX) {
        return NACRE_TOO_LARGE;
    }
    if (!nc_x11_is_protocol(nc_span(protocol, n))) {
        return NACRE_SYNTAX;
    }
    memset(&m, 0, sizeof(m));
    m.single = single;
    m.screen = screen;
    memcpy(m.protocol, protocol, n);
    nc_x11_hex(cookie, m.cookie);
    int rc = nc_fwd_write_x11_request(b, &m);
    nc_wipe(&m, sizeof(m));
    return rc;
}

int nc_x11_req_read(nacre_span data, nc_fwd_x11_request *out)
{
    int rc = nc_fwd_read_x11_request(data, out);
    if (rc == NACRE_OK &&
        (!nc_x11_is_protocol(nc_span_cstr(out->protocol)) ||
         !nc_x11_is_cookie(nc_span_cstr(out->cookie)) || out->screen > UINT16_MAX)) {
        rc = NACRE_MALFORMED;
    }
    return rc;
}

/* ---- the first message ----
 *
 *   0  'B' or 'l': the byte order of all that follows, and an unused byte
 *   2  protocol-major, protocol-minor: 16 bits each
 *   6  length of the authorization protocol's name, then of its data: 16 bits each
 *  10  unused, 2 bytes
 *  12  name and data, each padded to a multiple of 4
 */
enum { MAJOR = 2, NAME_LEN = 6, DATA_LEN = 8, PAD = 3 };

static size_t padded(size_t n)
{
    return (n + PAD) & ~(size_t)PAD;
}

static bool is_big(const nc_x11_setup *s)
{
    return s->bytes[0] == 'B';
}

static size_t get16(const nc_x11_setup *s, size_t at)
{
    size_t a = s->bytes[at], b = s->bytes[at + 1];
    return is_big(s) ? a << 8 | b : b << 8 | a;
}

static void put16(const nc_x11_setup *s, uint8_t *p, size_t v)
{
    p[is_big(s) ? 0 : 1] = (uint8_t)(v >> 8);
    p[is_big(s) ? 1 : 0] = (uint8_t)v;
}

static void take(nc_x11_setup *s, nacre_span in, size_t upto, size_t *took)
{
    size_t n = in.n - *took;
    if (s->have >= upto) {
        return;
    }
    if (n > upto - s->have) {
        n = upto - s->have;
    }
    if (n > 0) {
        memcpy(s->bytes + s->have, in.p + *took, n);
        s->have += n;
        *took += n;
    }
}

int nc_x11_setup_add(nc_x11_setup *s, nacre_span in, size_t *took)
{
    *took = 0;
    take(s, in, NC_X11_HEAD, took);
    if (s->have > 0 && s->bytes[0] != 'B' && s->bytes[0] != 'l') {
        return NACRE_MALFORMED;
    }
    if (s->have < NC_X11_HEAD) {
        return NACRE_AGAIN;
    }
    size_t name = get16(s, NAME_LEN), data = get16(s, DATA_LEN);
    if (name > NC_X11_NAME_MAX || data > NC_X11_DATA_MAX) {
        return NACRE_MALFORMED;
    }
    size_t whole = NC_X11_HEAD + padded(name) + padded(data);
    take(s, in, whole, took);
    return s->have < whole ? NACRE_AGAIN : NACRE_OK;
}

void nc_x11_setup_read(const nc_x11_setup *s, nacre_span *name, nacre_span *data)
{
    *name = nc_span(s->bytes + NC_X11_HEAD, get16(s, NAME_LEN));
    *data = nc_span(s->bytes + NC_X11_HEAD + padded(name->n), get16(s, DATA_LEN));
}

size_t nc_x11_setup_write(const nc_x11_setup *s, nacre_span name, nacre_span data,
                          uint8_t out[NC_X11_SETUP_MAX])
{
    memset(out, 0, NC_X11_SETUP_MAX);
    memcpy(out, s->bytes, NC_X11_HEAD);
    put16(s, out + NAME_LEN, name.n);
    put16(s, out + DATA_LEN, data.n);
    size_t at = NC_X11_HEAD;
    if (name.n > 0) {
        memcpy(out + at, name.p, name.n);
        at += padded(name.n);
    }
    if (data.n > 0) {
        memcpy(out + at, data.p, data.n);
        at += padded(data.n);
    }
    return at;
}

size_t nc_x11_refusal(const nc_x11_setup *s, const char *text, uint8_t out[NC_X11_REFUSAL_MAX])
{
    size_t n = strlen(text);
    n = n > 252 ? 252 : n; /* its length is one byte */
    memset(out, 0, NC_X11_REFUSAL_MAX);
    out[1] = (uint8_t)n;
    if (s->have >= NAME_LEN) {
        memcpy(out + 2, s->bytes + MAJOR, 4); /* the versions that it asked for, in its order */
    }
    put16(s, out + 6, padded(n) / 4);
    memcpy(out + 8, text, n);
    return 8 + padded(n);
}
