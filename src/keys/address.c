/*
 * address.c - IPv4 and IPv6 addresses as text (RFC 4291 2.2) and CIDR blocks. Own parsers, because
 * this floor knows no OS, and because inet_aton's octal and short forms have no place in an access
 * rule.
 */
#include "keys/pattern.h"

#include <string.h>

/* Reads up to max_digits decimal digits, no leading zero; the number of digits, or 0. */
static size_t read_decimal(nacre_span s, size_t max_digits, unsigned *value)
{
    size_t n = 0;
    unsigned v = 0;
    while (n < s.n && n < max_digits && s.p[n] >= '0' && s.p[n] <= '9') {
        v = v * 10 + (unsigned)(s.p[n] - '0');
        n++;
    }
    if (n > 1 && s.p[0] == '0') {
        return 0;
    }
    *value = v;
    return n;
}

static nacre_span skip(nacre_span s, size_t n)
{
    return nc_span(s.p + n, s.n - n);
}

static bool parse_v4(nacre_span s, uint8_t out[4])
{
    for (size_t i = 0; i < 4; i++) {
        unsigned v = 0;
        size_t n = read_decimal(s, 3, &v);
        if (n == 0 || v > 255) {
            return false;
        }
        out[i] = (uint8_t)v;
        s = skip(s, n);
        if (i < 3) {
            if (s.n == 0 || s.p[0] != '.') {
                return false;
            }
            s = skip(s, 1);
        }
    }
    return s.n == 0;
}

static int hex_digit(uint8_t c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static size_t read_hex(nacre_span s, unsigned *value)
{
    size_t n = 0;
    unsigned v = 0;
    while (n < s.n && n < 4 && hex_digit(s.p[n]) >= 0) {
        v = v << 4 | (unsigned)hex_digit(s.p[n]);
        n++;
    }
    *value = v;
    return n;
}

/* Where the groups read so far stand, and where "::" stood. */
typedef struct v6_state {
    uint8_t bytes[16];
    size_t len;
    size_t gap; /* SIZE_MAX: no "::" yet */
} v6_state;

/* One group, or the dotted IPv4 tail; *s moves behind it. */
static bool read_group(v6_state *v, nacre_span *s)
{
    unsigned value = 0;
    size_t n = read_hex(*s, &value);
    bool dotted = n && n < s->n && s->p[n] == '.';
    if (dotted) {
        if (v->len > 12 || !parse_v4(*s, v->bytes + v->len)) {
            return false;
        }
        v->len += 4;
        *s = skip(*s, s->n);
        return true;
    }
    if (n == 0 || v->len > 14) {
        return false;
    }
    v->bytes[v->len++] = (uint8_t)(value >> 8);
    v->bytes[v->len++] = (uint8_t)value;
    *s = skip(*s, n);
    return true;
}

static bool starts_gap(nacre_span s)
{
    return s.n >= 2 && s.p[0] == ':' && s.p[1] == ':';
}

static bool parse_v6(nacre_span s, uint8_t out[16])
{
    v6_state v = {{0}, 0, SIZE_MAX};
    if (starts_gap(s)) {
        v.gap = 0;
        s = skip(s, 2);
    }
    while (s.n) {
        if (!read_group(&v, &s)) {
            return false;
        }
        if (s.n == 0) {
            break;
        }
        if (starts_gap(s)) {
            if (v.gap != SIZE_MAX) {
                return false;
            }
            v.gap = v.len;
            s = skip(s, 2);
        } else if (s.p[0] == ':' && s.n > 1) {
            s = skip(s, 1);
        } else {
            return false;
        }
    }
    bool whole = v.gap == SIZE_MAX ? v.len == 16 : v.len <= 14;
    if (!whole) {
        return false;
    }
    size_t head = v.gap == SIZE_MAX ? v.len : v.gap;
    size_t tail = v.len - head;
    memset(out, 0, 16);
    memcpy(out, v.bytes, head);
    memcpy(out + 16 - tail, v.bytes + head, tail);
    return true;
}

static bool is_mapped(const uint8_t b[16])
{
    static const uint8_t prefix[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF};
    return memcmp(b, prefix, sizeof(prefix)) == 0;
}

/* As written: an IPv4 address in IPv6 stays one, so that a prefix counts the bits of the text. */
static bool parse_raw(nacre_span text, nc_ip *out)
{
    memset(out, 0, sizeof(*out));
    if (text.n == 0 || text.n > 64) {
        return false;
    }
    if (parse_v4(text, out->bytes)) {
        out->bits = 32;
        return true;
    }
    const uint8_t *scope = memchr(text.p, '%', text.n);
    if (scope && scope + 1 < text.p + text.n) {
        text.n = (size_t)(scope - text.p);
    }
    if (parse_v6(text, out->bytes)) {
        out->bits = 128;
        return true;
    }
    memset(out, 0, sizeof(*out));
    return false;
}

static void unmap(nc_ip *ip)
{
    memmove(ip->bytes, ip->bytes + 12, 4);
    memset(ip->bytes + 4, 0, 12);
    ip->bits = 32;
}

bool nc_ip_parse(nacre_span text, nc_ip *out)
{
    if (!parse_raw(text, out)) {
        return false;
    }
    if (out->bits == 128 && is_mapped(out->bytes)) {
        unmap(out);
    }
    return true;
}

static bool bits_behind(const nc_ip *ip, unsigned prefix)
{
    for (unsigned i = prefix; i < ip->bits; i++) {
        if (ip->bytes[i / 8] & (0x80u >> (i % 8))) {
            return true;
        }
    }
    return false;
}

bool nc_ip_parse_block(nacre_span text, nc_ip *out, unsigned *prefix)
{
    const uint8_t *slash = text.n ? memchr(text.p, '/', text.n) : NULL;
    nacre_span head = slash ? nc_span(text.p, (size_t)(slash - text.p)) : text;
    if (!parse_raw(head, out)) {
        return false;
    }
    *prefix = out->bits;
    if (slash) {
        nacre_span tail = skip(text, head.n + 1);
        size_t n = read_decimal(tail, 3, prefix);
        if (n == 0 || n != tail.n || *prefix > out->bits || bits_behind(out, *prefix)) {
            return false;
        }
    }
    if (out->bits == 128 && *prefix >= 96 && is_mapped(out->bytes)) {
        unmap(out);
        *prefix -= 96;
    }
    return true;
}

bool nc_ip_in_block(const nc_ip *ip, const nc_ip *block, unsigned prefix)
{
    if (ip->bits == 0 || ip->bits != block->bits || prefix > ip->bits) {
        return false;
    }
    size_t whole = prefix / 8;
    if (memcmp(ip->bytes, block->bytes, whole) != 0) {
        return false;
    }
    unsigned rest = prefix % 8;
    uint8_t mask = (uint8_t)(0xFFu << (8 - rest));
    return rest == 0 || ((ip->bytes[whole] ^ block->bytes[whole]) & mask) == 0;
}

nc_match nc_block_list(nacre_span address, nacre_span list)
{
    nc_ip ip;
    bool found = false;
    bool more = true;
    (void)nc_ip_parse(address, &ip);
    while (more) {
        const uint8_t *comma = list.n ? memchr(list.p, ',', list.n) : NULL;
        nacre_span entry = comma ? nc_span(list.p, (size_t)(comma - list.p)) : list;
        nc_ip block;
        unsigned prefix = 0;
        if (!nc_ip_parse_block(entry, &block, &prefix)) {
            return NC_MATCH_BAD;
        }
        found = found || nc_ip_in_block(&ip, &block, prefix);
        more = comma != NULL;
        list = more ? skip(list, entry.n + 1) : list;
    }
    return found ? NC_MATCH_YES : NC_MATCH_NO;
}
