/*
 * error.c - the status table, error objects, log lines, escaping.
 */
#include "base/error.h"

#include <stdio.h>
#include <string.h>

typedef struct status_row {
    int status;
    nacre_class cls;
    uint32_t disconnect;
    const char *symbol;
    const char *text;
} status_row;

static const status_row status_rows[] = {
#define ROW(sym, num, cls, disc, text) {num, NACRE_CLASS_##cls, disc, "NACRE_" #sym, text},
    NACRE_STATUS_TABLE(ROW)
#undef ROW
};

static const status_row *find_row(int status)
{
    for (size_t i = 0; i < sizeof(status_rows) / sizeof(status_rows[0]); i++) {
        if (status_rows[i].status == status) {
            return &status_rows[i];
        }
    }
    return NULL;
}

const char *nacre_status_text(int status)
{
    const status_row *row = find_row(status);
    return row ? row->text : "unknown status";
}

const char *nacre_status_symbol(int status)
{
    const status_row *row = find_row(status);
    return row ? row->symbol : "NACRE_?";
}

nacre_class nacre_status_class(int status)
{
    const status_row *row = find_row(status);
    return row ? row->cls : NACRE_CLASS_USAGE;
}

uint32_t nc_status_disconnect_reason(int status)
{
    const status_row *row = find_row(status);
    return row ? row->disconnect : 0;
}

#define STRINGIFY(x)          #x
#define VERSION_TEXT(a, b, c) STRINGIFY(a) "." STRINGIFY(b) "." STRINGIFY(c)

const char *nacre_version(void)
{
    return VERSION_TEXT(NACRE_VERSION_MAJOR, NACRE_VERSION_MINOR, NACRE_VERSION_PATCH);
}

uint32_t nacre_version_number(void)
{
    return (uint32_t)NACRE_VERSION_MAJOR << 16 | NACRE_VERSION_MINOR << 8 | NACRE_VERSION_PATCH;
}

void nc_error_clear(nacre_error *e)
{
    if (e) {
        memset(e, 0, sizeof(*e));
    }
}

int nc_vfail(nacre_error *e, int status, nacre_blame by, const char *fmt, va_list ap)
{
    if (e && e->status == NACRE_OK) {
        e->status = status;
        e->by = by;
        e->disconnect_reason = nc_status_disconnect_reason(status);
        (void)vsnprintf(e->text, sizeof(e->text), fmt, ap);
    }
    return status;
}

int(nc_fail)(nacre_error *e, int status, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    nc_vfail(e, status, NACRE_BY_US, fmt, ap);
    va_end(ap);
    return status;
}

void nc_logf(const nc_log *log, nacre_log_level level, const char *fmt, ...)
{
    if (!log || !log->fn || level > log->level) {
        return;
    }
    char line[1200];
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(line, sizeof(line), fmt, ap);
    va_end(ap);
    log->fn(log->user, level, line);
}

/* Length of the well-formed, printable UTF-8 sequence at p (Unicode table 3-7), or 0. */
static size_t utf8_length(const uint8_t *p, size_t n)
{
    uint8_t lead = p[0];
    size_t len = lead >= 0xC2 && lead <= 0xDF   ? 2
                 : (lead & 0xF0) == 0xE0        ? 3
                 : lead >= 0xF0 && lead <= 0xF4 ? 4
                                                : 0;
    if (len == 0 || len > n) {
        return 0;
    }
    for (size_t i = 1; i < len; i++) {
        if ((p[i] & 0xC0) != 0x80) {
            return 0;
        }
    }
    bool c1_control = lead == 0xC2 && p[1] < 0xA0;
    bool overlong = (lead == 0xE0 && p[1] < 0xA0) || (lead == 0xF0 && p[1] < 0x90);
    bool surrogate = lead == 0xED && p[1] >= 0xA0;
    bool beyond = lead == 0xF4 && p[1] >= 0x90;
    /* Bidirectional overrides can make a line read as another one (U+202A..202E, U+2066..2069). */
    bool bidi = lead == 0xE2 && ((p[1] == 0x80 && p[2] >= 0xAA && p[2] <= 0xAE) ||
                                 (p[1] == 0x81 && p[2] >= 0xA6 && p[2] <= 0xA9));
    return c1_control || overlong || surrogate || beyond || bidi ? 0 : len;
}

size_t nacre_escape(char *out, size_t size, nacre_span text)
{
    size_t need = 0;
    size_t i = 0;
    if (out && size) {
        out[0] = '\0';
    }
    while (i < text.n) {
        char piece[5];
        uint8_t c = text.p[i];
        size_t take = c < 0x80 ? 1 : utf8_length(text.p + i, text.n - i);
        size_t len;
        if (take > 1 || (take == 1 && c >= 0x20 && c < 0x7F)) {
            len = take;
            memcpy(piece, text.p + i, take);
        } else {
            take = 1;
            len = 4;
            snprintf(piece, sizeof(piece), "\\%03o", c);
        }
        if (out && need + len < size) {
            memcpy(out + need, piece, len);
            out[need + len] = '\0';
        } else if (out && need < size) {
            size = need + 1; /* never a part of an escape or of a character */
        }
        need += len;
        i += take;
    }
    return need;
}

nc_escaped nc_escape_span(nacre_span s)
{
    nc_escaped e;
    e.text[0] = '\0';
    (void)nacre_escape(e.text, sizeof(e.text), s);
    return e;
}
