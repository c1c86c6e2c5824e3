/*
 * sshsig_armor.c - signatures as text: "-----BEGIN SSH SIGNATURE-----", base64, "-----END ..." .
 */
#include "keys/key.h"
#include "nacre/sshsig.h"

#include <string.h>

enum {
    LINE = 70, /* as ssh-keygen wraps it */
    /* Base64 of the largest blob that is read, with line ends, and whatever stands behind the armor. */
    MAX_TEXT = 1024 * 1024
};

static const char begin_line[] = "-----BEGIN SSH SIGNATURE-----";
static const char end_line[] = "-----END SSH SIGNATURE-----";

int nacre_sshsig_armor(const nacre_allocator *a, nacre_span blob, char **text, size_t *len)
{
    *text = NULL;
    *len = 0;
    nc_buf base64, out;
    nc_buf_init(&base64, a, MAX_TEXT);
    nc_buf_init(&out, a, MAX_TEXT);
    int rc = nc_base64_encode(blob, &base64);
    nc_wr w = nc_wr_init(&out);
    nc_wr_bytes(&w, nc_span_cstr(begin_line));
    nc_wr_u8(&w, '\n');
    for (size_t at = 0; rc == NACRE_OK && at < base64.len; at += LINE) {
        size_t n = base64.len - at < LINE ? base64.len - at : LINE;
        nc_wr_bytes(&w, nc_span(base64.data + at, n));
        nc_wr_u8(&w, '\n');
    }
    nc_wr_bytes(&w, nc_span_cstr(end_line));
    nc_wr_u8(&w, '\n');
    size_t n = out.len;
    nc_wr_u8(&w, 0);
    rc = rc == NACRE_OK ? nc_wr_err(&w) : rc;
    nc_buf_clear(&base64);
    if (rc != NACRE_OK) {
        nc_buf_clear(&out);
        return rc;
    }
    *text = (char *)out.data;
    *len = n;
    return NACRE_OK;
}

/* Where the armor's last line begins, with the line end before it. False: there is none. */
static bool find_end(nacre_span text, size_t *at)
{
    size_t n = strlen(end_line);
    for (size_t i = 0; i + 1 + n <= text.n; i++) {
        if (text.p[i] == '\n' && memcmp(text.p + i + 1, end_line, n) == 0) {
            *at = i;
            return true;
        }
    }
    return false;
}

/* Base64 may be broken into lines of any length: blanks are left out. */
static int append_dense(nc_buf *out, nacre_span text)
{
    for (size_t i = 0; i < text.n; i++) {
        uint8_t c = text.p[i];
        bool blank = c == ' ' || (c >= '\t' && c <= '\r');
        int rc = blank ? NACRE_OK : nc_buf_append(out, &c, 1);
        if (rc != NACRE_OK) {
            return rc;
        }
    }
    return NACRE_OK;
}

static int decode(nacre_span body, const nacre_allocator *a, nc_buf *blob, nacre_error *err)
{
    nc_buf dense;
    nc_buf_init(&dense, a, MAX_TEXT);
    int rc = append_dense(&dense, body);
    if (rc == NACRE_OK) {
        rc = nc_base64_decode(nc_buf_span(&dense), blob);
    }
    nc_buf_clear(&dense);
    return rc == NACRE_OK ? rc
                          : nc_fail(err, rc, "Couldn't parse signature: %s",
                                    rc == NACRE_SYNTAX ? "what stands in its armor is not base64"
                                                       : nacre_status_text(rc));
}

int nacre_sshsig_read(nacre_sshsig **out, const nacre_allocator *a, nacre_span text,
                      nacre_error *err)
{
    *out = NULL;
    nc_error_clear(err);
    if (text.n > MAX_TEXT) {
        return nc_fail(err, NACRE_TOO_LARGE,
                       "Couldn't parse signature: %zu bytes are not read (the cap is %d)", text.n,
                       MAX_TEXT);
    }
    size_t head = strlen(begin_line);
    if (!nc_text_starts(text, begin_line)) {
        return nc_fail(err, NACRE_SYNTAX, "Couldn't parse signature: missing header");
    }
    nacre_span body = nc_span(text.p + head, text.n - head);
    if (!nc_text_starts(body, "\r\n") && !nc_text_starts(body, "\n")) {
        return nc_fail(err, NACRE_SYNTAX, "Couldn't parse signature: no header eol");
    }
    size_t end;
    if (!find_end(body, &end)) {
        return nc_fail(err, NACRE_SYNTAX, "Couldn't parse signature: missing footer");
    }
    nc_buf blob;
    nc_buf_init(&blob, a, MAX_TEXT);
    int rc = decode(nc_span(body.p, end), a, &blob, err);
    if (rc == NACRE_OK) {
        rc = nacre_sshsig_from_blob(out, a, nc_buf_span(&blob), err);
    }
    nc_buf_clear(&blob);
    return rc;
}
