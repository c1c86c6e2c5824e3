/*
 * socks.c - see socks.h. Each step reads its message from the start: when the reader runs out of bytes, nothing has
 * happened yet.
 */
#include "channel/socks.h"

#include "wire/rd.h"

#include <stdio.h>
#include <string.h>

/* RFC 1928 and the memorandum of SOCKS 4. */
enum {
    CONNECT = 1,
    METHOD_NONE = 0,
    METHOD_NO_OTHER = 0xff,
    ADDRESS_V4 = 1,
    ADDRESS_NAME = 3,
    ADDRESS_V6 = 4,
    BAD_COMMAND = 7,
    BAD_ADDRESS = 8,
    V4_GRANTED = 90,
    V4_REJECTED = 91
};

/* ---- answers ---- */

static size_t reply_5(uint8_t code, uint8_t *out)
{
    /* The address that was bound is the server's secret: all zero. */
    static const uint8_t rest[] = {0, ADDRESS_V4, 0, 0, 0, 0, 0, 0};
    out[0] = 5;
    out[1] = code;
    memcpy(out + 2, rest, sizeof(rest));
    return 2 + sizeof(rest);
}

static size_t reply_4(uint8_t code, uint8_t *out)
{
    memset(out, 0, 8);
    out[1] = code;
    return 8;
}

size_t nc_socks_reply(const nc_socks *s, nc_socks_verdict verdict, uint8_t answer[NC_SOCKS_OUT_MAX])
{
    static const uint8_t codes[] = {[NC_SOCKS_GRANTED] = 0,
                                    [NC_SOCKS_FAILED] = 1,
                                    [NC_SOCKS_PROHIBITED] = 2,
                                    [NC_SOCKS_UNREACHABLE] = 5};
    if (s->version == 4) {
        return reply_4(verdict == NC_SOCKS_GRANTED ? V4_GRANTED : V4_REJECTED, answer);
    }
    return reply_5(codes[verdict], answer);
}

/* ---- addresses as text ---- */

static void text_of_v4(nacre_span a, char *out, size_t size)
{
    (void)snprintf(out, size, "%u.%u.%u.%u", a.p[0], a.p[1], a.p[2], a.p[3]);
}

/* RFC 5952: the longest run of zeros, of two at least, is "::". */
static void text_of_v6(nacre_span a, char *out, size_t size)
{
    unsigned group[8];
    int best = -1, best_n = 1;
    size_t n = 0;
    for (int i = 0; i < 8; i++) {
        group[i] = (unsigned)a.p[2 * i] << 8 | a.p[2 * i + 1];
    }
    for (int i = 0; i < 8; i++) {
        int run = 0;
        while (i + run < 8 && group[i + run] == 0) {
            run++;
        }
        if (run > best_n) {
            best = i;
            best_n = run;
        }
    }
    for (int i = 0; i < 8; i++) {
        if (i == best) {
            n += (size_t)snprintf(out + n, size - n, "::");
            i += best_n - 1;
            continue;
        }
        n += (size_t)snprintf(out + n, size - n, "%s%x", i > 0 && i != best + best_n ? ":" : "",
                              group[i]);
    }
}

/* A name that could be one: no blanks, no control characters, not empty. */
static bool take_name(nc_socks *s, nacre_span name)
{
    if (name.n == 0 || name.n > NC_SOCKS_HOST_MAX) {
        return false;
    }
    for (size_t i = 0; i < name.n; i++) {
        if (name.p[i] <= ' ' || name.p[i] > '~') {
            return false;
        }
    }
    memcpy(s->host, name.p, name.n);
    s->host[name.n] = '\0';
    return true;
}

/* ---- steps ---- */

/* Bytes up to a zero byte, which is taken too; the reader fails when there is none yet. */
static nacre_span text_before_zero(nc_rd *r, size_t max, bool *too_long)
{
    nacre_span left = {r->p, nc_rd_left(r)};
    const uint8_t *zero = left.n ? memchr(left.p, 0, left.n) : NULL;
    *too_long = zero ? (size_t)(zero - left.p) > max : left.n > max;
    if (!zero) {
        nc_rd_fail(r);
        return nc_span(NULL, 0);
    }
    nacre_span text = nc_rd_bytes(r, (size_t)(zero - left.p));
    (void)nc_rd_u8(r);
    return text;
}

static int request_4(nc_socks *s, nc_rd *r, uint8_t *answer, size_t *answered)
{
    bool long_user = false, long_name = false;
    (void)nc_rd_u8(r);
    uint8_t command = nc_rd_u8(r);
    nacre_span port = nc_rd_bytes(r, 2), ip = nc_rd_bytes(r, 4);
    if (nc_rd_err(r) != NACRE_OK) {
        return NACRE_AGAIN;
    }
    (void)text_before_zero(r, NC_SOCKS_USER_MAX, &long_user);
    bool named = ip.p[0] == 0 && ip.p[1] == 0 && ip.p[2] == 0 && ip.p[3] != 0;
    nacre_span name = {NULL, 0};
    if (named && nc_rd_err(r) == NACRE_OK) {
        name = text_before_zero(r, NC_SOCKS_HOST_MAX, &long_name);
    }
    bool whole = nc_rd_err(r) == NACRE_OK;
    if (command != CONNECT || long_user || long_name || (whole && named && !take_name(s, name))) {
        *answered = reply_4(V4_REJECTED, answer);
        return NACRE_MALFORMED;
    }
    if (!whole) {
        return NACRE_AGAIN;
    }
    if (!named) {
        text_of_v4(ip, s->host, sizeof(s->host));
    }
    s->port = (uint16_t)(port.p[0] << 8 | port.p[1]);
    return NACRE_OK;
}

static int greeting_5(nc_socks *s, nc_rd *r, uint8_t *answer, size_t *answered)
{
    (void)nc_rd_u8(r);
    nacre_span methods = nc_rd_bytes(r, nc_rd_u8(r));
    if (nc_rd_err(r) != NACRE_OK) {
        return NACRE_AGAIN;
    }
    bool good = methods.n > 0 && memchr(methods.p, METHOD_NONE, methods.n) != NULL;
    answer[0] = 5;
    answer[1] = good ? METHOD_NONE : METHOD_NO_OTHER;
    *answered = 2;
    s->greeted = good;
    return good ? NACRE_AGAIN : NACRE_MALFORMED;
}

static int request_5(nc_socks *s, nc_rd *r, uint8_t *answer, size_t *answered)
{
    uint8_t version = nc_rd_u8(r), command = nc_rd_u8(r);
    (void)nc_rd_u8(r);
    uint8_t kind = nc_rd_u8(r);
    if (nc_rd_err(r) != NACRE_OK) {
        return NACRE_AGAIN;
    }
    if (version != 5 || command != CONNECT) {
        *answered = reply_5(version != 5 ? 1 : BAD_COMMAND, answer);
        return NACRE_MALFORMED;
    }
    if (kind != ADDRESS_V4 && kind != ADDRESS_V6 && kind != ADDRESS_NAME) {
        *answered = reply_5(BAD_ADDRESS, answer);
        return NACRE_MALFORMED;
    }
    nacre_span a = nc_rd_bytes(r, kind == ADDRESS_V4 ? 4 : kind == ADDRESS_V6 ? 16 : nc_rd_u8(r));
    nacre_span port = nc_rd_bytes(r, 2);
    if (nc_rd_err(r) != NACRE_OK) {
        return NACRE_AGAIN;
    }
    if (kind == ADDRESS_NAME && !take_name(s, a)) {
        *answered = reply_5(1, answer);
        return NACRE_MALFORMED;
    }
    if (kind == ADDRESS_V4) {
        text_of_v4(a, s->host, sizeof(s->host));
    } else if (kind == ADDRESS_V6) {
        text_of_v6(a, s->host, sizeof(s->host));
    }
    s->port = (uint16_t)(port.p[0] << 8 | port.p[1]);
    return NACRE_OK;
}

int nc_socks_step(nc_socks *s, nacre_span in, size_t *used, uint8_t answer[NC_SOCKS_OUT_MAX],
                  size_t *answered)
{
    *used = *answered = 0;
    if (s->done || in.n == 0) {
        return s->done ? NACRE_OK : NACRE_AGAIN;
    }
    if (s->version == 0 && in.p[0] != 4 && in.p[0] != 5) {
        return NACRE_MALFORMED; /* no SOCKS: there is no language for an answer */
    }
    s->version = s->version ? s->version : in.p[0];
    nc_rd r = nc_rd_init(in);
    int rc = s->version == 4 ? request_4(s, &r, answer, answered)
             : s->greeted    ? request_5(s, &r, answer, answered)
                             : greeting_5(s, &r, answer, answered);
    if (rc == NACRE_OK || (rc == NACRE_AGAIN && *answered > 0)) {
        *used = (size_t)(r.p - in.p);
        s->done = rc == NACRE_OK;
    } else if (rc == NACRE_AGAIN && in.n >= NC_SOCKS_IN_MAX) {
        rc = NACRE_MALFORMED;
    }
    return rc;
}
