/*
 * key_public.c - public keys as text in every form that is told apart here: RFC 4716 (read and
 * written), PEM (crypto reads it), and one line (key_text.c).
 */
#include "keys/key.h"

#include <string.h>

static const char ssh2_begin[] = "---- BEGIN SSH2 PUBLIC KEY ----";
static const char ssh2_end[] = "---- END SSH2 PUBLIC KEY ----";

enum {
    WIDTH = 70,        /* of base64, as ssh-keygen writes it; RFC 4716 3.2 allows 72 */
    MAX_COMMENT = 1000 /* RFC 4716 3.3: 1024 bytes of header value, and quotes */
};

static const nacre_span nothing = {NULL, 0};

/* ---- RFC 4716 ------------------------------------------------------------------------------------ */

static int bad_ssh2(nacre_error *err, const char *what)
{
    return nc_fail(err, NACRE_KEY_FORMAT, "RFC 4716 public key: %s", what);
}

/* A header's value goes on in the next line after a backslash (RFC 4716 3.3). Appends the whole. */
static int read_header(nacre_span *rest, nacre_span line, nc_buf *value)
{
    for (;;) {
        bool more = line.n && line.p[line.n - 1] == '\\';
        int rc = nc_buf_append(value, line.p, more ? line.n - 1 : line.n);
        if (rc != NACRE_OK || !more) {
            return rc;
        }
        if (!nc_text_line(rest, &line)) {
            return NACRE_SYNTAX;
        }
    }
}

static nacre_span unquote(nacre_span s)
{
    s = nc_text_trim(s);
    bool quoted = s.n >= 2 && s.p[0] == '"' && s.p[s.n - 1] == '"';
    return quoted ? nc_span(s.p + 1, s.n - 2) : s;
}

/* Takes a header apart; only the comment is of use. */
static int take_header(nacre_span header, nc_buf *comment)
{
    const uint8_t *colon = memchr(header.p, ':', header.n);
    size_t tag = (size_t)(colon - header.p);
    if (!nc_text_is_nocase(nc_span(header.p, tag), "Comment") || comment->len) {
        return NACRE_OK;
    }
    nacre_span value = unquote(nc_span(colon + 1, header.n - tag - 1));
    return value.n ? nc_buf_append(comment, value.p, value.n) : NACRE_OK;
}

/* Headers to comment, the rest to body, up to the line that ends it. */
static int split_ssh2(nacre_span rest, nc_buf *comment, nc_buf *body)
{
    nacre_span line;
    bool in_body = false;
    (void)nc_text_line(&rest, &line); /* BEGIN */
    while (nc_text_line(&rest, &line)) {
        if (nc_text_starts(line, ssh2_end)) {
            return NACRE_OK;
        }
        int rc = NACRE_OK;
        if (!in_body && line.n && memchr(line.p, ':', line.n)) {
            nc_buf header;
            nc_buf_init(&header, comment->alloc, NC_MAX_KEY_FILE);
            rc = read_header(&rest, line, &header);
            if (rc == NACRE_OK) {
                rc = take_header(nc_buf_span(&header), comment);
            }
            nc_buf_clear(&header);
        } else {
            in_body = true;
            rc = nc_buf_append(body, line.p, line.n);
        }
        if (rc != NACRE_OK) {
            return rc;
        }
    }
    return NACRE_SYNTAX;
}

static int read_ssh2(nacre_key **out, const nacre_allocator *a, nacre_span text, bool insecure,
                     nacre_error *err)
{
    nc_buf comment, body, blob;
    nacre_key *plain = NULL;
    nc_buf_init(&comment, a, NC_MAX_KEY_FILE);
    nc_buf_init(&body, a, NC_MAX_KEY_FILE);
    nc_buf_init(&blob, a, NC_MAX_KEY_FILE);
    int rc = split_ssh2(text, &comment, &body);
    if (rc == NACRE_SYNTAX) {
        rc = bad_ssh2(err, "the line that ends it is missing; is the file cut short?");
    } else if (rc == NACRE_OK) {
        rc = nc_text_base64(nc_buf_span(&body), &blob);
        rc = rc == NACRE_SYNTAX ? bad_ssh2(err, "its body is not base64") : rc;
    }
    if (rc == NACRE_OK) {
        rc = insecure ? nacre_key_from_blob_insecure(&plain, a, nc_buf_span(&blob), err)
                      : nacre_key_from_blob(&plain, a, nc_buf_span(&blob), err);
    }
    if (rc == NACRE_OK) {
        rc = nc_key_named(out, plain, nc_buf_span(&comment));
    }
    nacre_key_free(plain);
    nc_buf_clear(&comment);
    nc_buf_clear(&body);
    nc_buf_clear(&blob);
    return rc == NACRE_OK ? rc : nc_fail(err, rc, "%s", nacre_status_text(rc));
}

/* One header of any length: broken into lines of at most 72 bytes. Control bytes become blanks. */
static void write_comment(nc_wr *w, nacre_span comment)
{
    size_t column = strlen("Comment: \"");
    nc_wr_bytes(w, nc_span_cstr("Comment: \""));
    for (size_t i = 0; i < comment.n && i < MAX_COMMENT; i++) {
        uint8_t c = comment.p[i] < 0x20 || comment.p[i] == 0x7f ? ' ' : comment.p[i];
        if (column >= WIDTH) {
            nc_wr_bytes(w, nc_span_cstr("\\\n"));
            column = 0;
        }
        nc_wr_u8(w, c);
        column++;
    }
    nc_wr_bytes(w, nc_span_cstr("\"\n"));
}

int nc_rfc4716_write(const nacre_key *k, nc_buf *out)
{
    nc_wr w = nc_wr_init(out);
    nc_wr_bytes(&w, nc_span_cstr(ssh2_begin));
    nc_wr_u8(&w, '\n');
    nacre_span comment = nc_span_cstr(nacre_key_comment(k));
    if (comment.n) {
        write_comment(&w, comment);
    }
    int rc = nc_text_write_base64(nacre_key_blob(k), WIDTH, &w);
    nc_wr_bytes(&w, nc_span_cstr(ssh2_end));
    nc_wr_u8(&w, '\n');
    return rc == NACRE_OK ? nc_wr_err(&w) : rc;
}

int nc_public_line_write(const nacre_key *k, nc_buf *out)
{
    nacre_span comment = nc_span_cstr(nacre_key_comment(k));
    nc_wr w = nc_wr_init(out);
    nc_wr_bytes(&w, nc_span_cstr(nacre_key_type(k)));
    nc_wr_u8(&w, ' ');
    int rc = nc_wr_err(&w);
    if (rc == NACRE_OK) {
        rc = nc_base64_encode(nacre_key_blob(k), out);
    }
    if (comment.n) {
        nc_wr_u8(&w, ' ');
    }
    for (size_t i = 0; i < comment.n; i++) {
        nc_wr_u8(&w, comment.p[i] == '\n' || comment.p[i] == '\r' ? ' ' : comment.p[i]);
    }
    nc_wr_u8(&w, '\n');
    return rc == NACRE_OK ? nc_wr_err(&w) : rc;
}

/* ---- PEM and telling apart ----------------------------------------------------------------------- */

static int read_pem(nacre_key **out, const nacre_allocator *a, nacre_span text, bool insecure,
                    nacre_error *err)
{
    nc_pk *pk = NULL;
    int rc = nc_pk_from_public_pem(&pk, a, text, insecure, err);
    if (rc == NACRE_OK) {
        rc = nc_key_from_pk(out, a, pk, nothing);
    }
    if (rc != NACRE_OK) {
        nc_pk_free(pk);
        return nc_fail(err, rc, "PEM public key: %s", nacre_status_text(rc));
    }
    return NACRE_OK;
}

typedef struct public_row {
    const char *begin;
    int (*read)(nacre_key **out, const nacre_allocator *a, nacre_span text, bool insecure,
                nacre_error *err);
} public_row;

static const public_row public_rows[] = {
    {"---- BEGIN SSH2 PUBLIC KEY ----", read_ssh2},
    {"-----BEGIN PUBLIC KEY-----", read_pem},
    {"-----BEGIN RSA PUBLIC KEY-----", read_pem},
};

static bool is_private(nacre_span text)
{
    static const char *const marks[] = {"-----BEGIN OPENSSH PRIVATE KEY-----",
                                        "-----BEGIN RSA PRIVATE KEY-----",
                                        "-----BEGIN EC PRIVATE KEY-----",
                                        "-----BEGIN DSA PRIVATE KEY-----",
                                        "-----BEGIN PRIVATE KEY-----",
                                        "-----BEGIN ENCRYPTED PRIVATE KEY-----",
                                        "PuTTY-User-Key-File-"};
    for (size_t i = 0; i < sizeof(marks) / sizeof(marks[0]); i++) {
        if (nc_text_find_line(text, marks[i]).n) {
            return true;
        }
    }
    return false;
}

static int from_public(nacre_key **out, const nacre_allocator *a, nacre_span text, bool insecure,
                       nacre_error *err)
{
    *out = NULL;
    nc_error_clear(err);
    if (text.n > NC_MAX_KEY_FILE) {
        return nc_fail(err, NACRE_TOO_LARGE, "a key file of %zu bytes is not read (the cap is %d)",
                       text.n, NC_MAX_KEY_FILE);
    }
    text = nc_text_skip_bom(text);
    for (size_t i = 0; i < sizeof(public_rows) / sizeof(public_rows[0]); i++) {
        nacre_span from = nc_text_find_line(text, public_rows[i].begin);
        if (from.n) {
            return public_rows[i].read(out, a, from, insecure, err);
        }
    }
    if (is_private(text)) {
        return nc_fail(err, NACRE_KEY_FORMAT,
                       "this is a private key; its public half is needed (the file with .pub)");
    }
    return nc_public_line(out, a, text, insecure, err);
}

int nacre_key_from_public(nacre_key **out, const nacre_allocator *a, nacre_span text,
                          nacre_error *err)
{
    return from_public(out, a, text, false, err);
}

int nacre_key_from_public_insecure(nacre_key **out, const nacre_allocator *a, nacre_span text,
                                   nacre_error *err)
{
    return from_public(out, a, text, true, err);
}
