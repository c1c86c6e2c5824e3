/*
 * line.c - reading and writing the lines of the copy protocol. Strict: what OpenSSH's scp would never
 * send is refused, because nothing good has ever come of guessing.
 */
#include "scp/line.h"

#include "wire/rd.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static int bad(nacre_error *err, nacre_span line, const char *why)
{
    return nc_fail(err, NACRE_SCP_PROTOCOL, "bad scp message \"%s\": %s", NC_ESC(line), why);
}

/* Decimal digits up to what ends them (0: the end of the line); no sign, no blank, no overflow. */
static bool take_number(nc_rd *r, char end, uint64_t max, uint64_t *out)
{
    uint64_t value = 0;
    for (size_t digits = 0;; digits++) {
        bool over = nc_rd_left(r) == 0;
        uint8_t c = over ? 0 : nc_rd_u8(r);
        if (digits > 0 && (end ? !over && c == (uint8_t)end : over)) {
            *out = value;
            return true;
        }
        if (over || c < '0' || c > '9' || (uint64_t)(c - '0') > max ||
            value > (max - (uint64_t)(c - '0')) / 10) {
            return false;
        }
        value = value * 10 + (uint64_t)(c - '0');
    }
}

static bool take_mode(nc_rd *r, uint32_t *mode)
{
    uint32_t value = 0;
    for (int i = 0; i < 4; i++) {
        uint8_t c = nc_rd_u8(r);
        if (c < '0' || c > '7') { /* behind the end: 0 */
            return false;
        }
        value = value << 3 | (uint32_t)(c - '0');
    }
    *mode = value;
    return nc_rd_u8(r) == ' ';
}

static int parse_named(nc_rd *r, nacre_span line, nc_scp_record *out, nacre_error *err)
{
    if (!take_mode(r, &out->st.mode)) {
        return bad(err, line, "the mode is not four octal digits and a space");
    }
    if (!take_number(r, ' ', INT64_MAX, &out->st.size)) {
        return bad(err, line, "the size is not a number and a space");
    }
    out->name = nc_rd_rest(r);
    if (out->name.n > NC_SCP_NAME_MAX) {
        return bad(err, line, "the name is too long");
    }
    return NACRE_OK;
}

static int parse_times(nc_rd *r, nacre_span line, nc_scp_record *out, nacre_error *err)
{
    enum { MICROSECONDS_MAX = 999999 };
    uint64_t ignored;
    out->st.has_times = true;
    bool good = take_number(r, ' ', INT64_MAX, &out->st.mtime) &&
                take_number(r, ' ', MICROSECONDS_MAX, &ignored) &&
                take_number(r, ' ', INT64_MAX, &out->st.atime) &&
                take_number(r, '\0', MICROSECONDS_MAX, &ignored);
    return good ? NACRE_OK : bad(err, line, "four numbers are wanted");
}

int nc_scp_parse(nacre_span line, nc_scp_record *out, nacre_error *err)
{
    nc_rd r = nc_rd_init(line);
    memset(out, 0, sizeof(*out));
    if (line.n == 0) {
        return nc_fail(err, NACRE_SCP_PROTOCOL, "bad scp message: an empty line");
    }
    uint8_t c = nc_rd_u8(&r);
    switch (c) {
    case 'C':
    case 'D':
        out->kind = c == 'C' ? NC_SCP_FILE : NC_SCP_DIR;
        return parse_named(&r, line, out, err);
    case 'T':
        out->kind = NC_SCP_TIMES;
        return parse_times(&r, line, out, err);
    case 'E':
        out->kind = NC_SCP_LEAVE;
        return nc_rd_left(&r) == 0 ? NACRE_OK : bad(err, line, "something behind the E");
    default:
        return bad(err, line, "nothing that scp says (does the remote shell print something?)");
    }
}

size_t nc_scp_format(const nc_scp_record *r, char out[NC_SCP_LINE_MAX])
{
    int n = 0;
    switch (r->kind) {
    case NC_SCP_FILE:
    case NC_SCP_DIR:
        n = snprintf(out, NC_SCP_LINE_MAX, "%c%04o %" PRIu64 " %.*s\n",
                     r->kind == NC_SCP_FILE ? 'C' : 'D', (unsigned)(r->st.mode & 07777),
                     r->kind == NC_SCP_FILE ? r->st.size : 0, (int)r->name.n,
                     (const char *)r->name.p);
        break;
    case NC_SCP_TIMES:
        n = snprintf(out, NC_SCP_LINE_MAX, "T%" PRIu64 " 0 %" PRIu64 " 0\n", r->st.mtime,
                     r->st.atime);
        break;
    default:
        n = snprintf(out, NC_SCP_LINE_MAX, "E\n");
        break;
    }
    return n > 0 && n < NC_SCP_LINE_MAX ? (size_t)n : 0;
}

bool nc_scp_name_ok(nacre_span name, bool controls)
{
    if (name.n == 0 || name.n > NC_SCP_NAME_MAX || nc_span_is(name, ".") ||
        nc_span_is(name, "..")) {
        return false;
    }
    for (size_t i = 0; i < name.n; i++) {
        uint8_t c = name.p[i];
        if (c == '/' || c == '\0' || c == '\n' || (!controls && (c < 0x20 || c == 0x7f))) {
            return false;
        }
    }
    return true;
}
