/*
 * key_text.c - keys as text: public lines ("ssh-ed25519 AAAA... comment"), fingerprints, and the
 * few text functions that every line format of this floor shares.
 */
#include "keys/cert.h"

#include <stdio.h>
#include <string.h>

static const nacre_span nothing = {NULL, 0};

static bool is_blank(uint8_t c)
{
    return c == ' ' || c == '\t';
}

static bool is_space(uint8_t c)
{
    return is_blank(c) || c == '\r' || c == '\n';
}

uint8_t nc_text_lower(uint8_t c)
{
    return c >= 'A' && c <= 'Z' ? (uint8_t)(c - 'A' + 'a') : c;
}

nacre_span nc_text_trim(nacre_span s)
{
    while (s.n && is_space(s.p[0])) {
        s.p++;
        s.n--;
    }
    while (s.n && is_space(s.p[s.n - 1])) {
        s.n--;
    }
    return s;
}

nacre_span nc_text_word(nacre_span *rest)
{
    while (rest->n && is_blank(rest->p[0])) {
        rest->p++;
        rest->n--;
    }
    nacre_span word = {rest->p, 0};
    while (rest->n && !is_blank(rest->p[0])) {
        rest->p++;
        rest->n--;
        word.n++;
    }
    return word;
}

bool nc_text_line(nacre_span *rest, nacre_span *line)
{
    if (rest->n == 0) {
        *line = nothing;
        return false;
    }
    const uint8_t *newline = memchr(rest->p, '\n', rest->n);
    size_t len = newline ? (size_t)(newline - rest->p) : rest->n;
    size_t step = newline ? len + 1 : len;
    *line = nc_span(rest->p, len);
    if (len && line->p[len - 1] == '\r') {
        line->n--;
    }
    rest->p += step;
    rest->n -= step;
    return true;
}

int nc_text_base64(nacre_span text, nc_buf *out)
{
    nc_buf squeezed;
    nc_buf_init(&squeezed, out->alloc, NC_MAX_KEY_FILE);
    int rc = nc_buf_reserve(&squeezed, text.n);
    for (size_t i = 0; rc == NACRE_OK && i < text.n; i++) {
        if (!is_space(text.p[i])) {
            rc = nc_buf_append(&squeezed, &text.p[i], 1);
        }
    }
    if (rc == NACRE_OK) {
        rc = nc_base64_decode(nc_buf_span(&squeezed), out);
    }
    nc_buf_clear(&squeezed);
    return rc;
}

int nc_text_write_base64(nacre_span bytes, size_t width, nc_wr *w)
{
    nc_buf flat;
    nc_buf_init(&flat, w->b->alloc, 2 * NC_MAX_KEY_FILE);
    int rc = nc_base64_encode(bytes, &flat);
    for (size_t at = 0; rc == NACRE_OK && at < flat.len; at += width) {
        size_t left = flat.len - at;
        nc_wr_bytes(w, nc_span(flat.data + at, left < width ? left : width));
        nc_wr_u8(w, '\n');
    }
    nc_buf_clear(&flat);
    return rc == NACRE_OK ? nc_wr_err(w) : rc;
}

nacre_span nc_text_find_line(nacre_span text, const char *mark)
{
    nacre_span rest = text;
    nacre_span line;
    nacre_span from = rest;
    while (nc_text_line(&rest, &line)) {
        if (nc_text_starts(line, mark)) {
            return from;
        }
        from = rest;
    }
    return nothing;
}

nacre_span nc_text_skip_bom(nacre_span text)
{
    return nc_text_starts(text, "\xEF\xBB\xBF") ? nc_span(text.p + 3, text.n - 3) : text;
}

bool nc_text_starts(nacre_span s, const char *prefix)
{
    size_t n = strlen(prefix);
    return s.n >= n && memcmp(s.p, prefix, n) == 0;
}

bool nc_text_is_nocase(nacre_span s, const char *word)
{
    if (s.n != strlen(word)) {
        return false;
    }
    for (size_t i = 0; i < s.n; i++) {
        if (nc_text_lower(s.p[i]) != nc_text_lower((uint8_t)word[i])) {
            return false;
        }
    }
    return true;
}

/* ---- public lines ---------------------------------------------------------------------------- */

/* The first line that is neither empty nor a comment: id_*.pub files may carry both. */
static nacre_span first_line(nacre_span text)
{
    nacre_span line;
    while (nc_text_line(&text, &line)) {
        line = nc_text_trim(line);
        if (line.n && line.p[0] != '#') {
            return line;
        }
    }
    return nothing;
}

int nc_key_named(nacre_key **out, const nacre_key *k, nacre_span comment)
{
    /* A comment is short text; what is longer than any comment is cut, the key stays good. */
    char words[NC_MAX_KEY_COMMENT];
    size_t n = comment.n < sizeof(words) - 1 ? comment.n : sizeof(words) - 1;
    if (n) {
        memcpy(words, comment.p, n);
    }
    words[n] = '\0';
    return nacre_key_with_comment(out, k, words);
}

int nc_public_line(nacre_key **out, const nacre_allocator *a, nacre_span text, bool insecure,
                   nacre_error *err)
{
    *out = NULL;
    nacre_span rest = first_line(text);
    nacre_span type = nc_text_word(&rest);
    nacre_span base64 = nc_text_word(&rest);
    nacre_span comment = nc_text_trim(rest);
    if (type.n == 0 || base64.n == 0) {
        return nc_fail(err, NACRE_KEY_FORMAT,
                       "not a public key line (\"ssh-ed25519 AAAA... comment\")");
    }
    nacre_key *plain = NULL;
    nc_buf blob;
    nc_buf_init(&blob, a, NC_MAX_KEY_BLOB);
    int rc = nc_base64_decode(base64, &blob);
    if (rc != NACRE_OK) {
        rc = rc == NACRE_SYNTAX ? NACRE_KEY_FORMAT : rc;
        nc_fail(err, rc, "public key line beginning with %s: no base64 key in its second word",
                NC_ESC(type));
        goto done;
    }
    nacre_span inside = nc_blob_type(nc_buf_span(&blob));
    if (!nc_span_eq(type, inside)) {
        rc = nc_fail(err, NACRE_BAD_KEY, "the line says %s but its key is of another type",
                     NC_ESC(type));
        goto done;
    }
    rc = insecure ? nacre_key_from_blob_insecure(&plain, a, nc_buf_span(&blob), err)
                  : nacre_key_from_blob(&plain, a, nc_buf_span(&blob), err);
    if (rc == NACRE_OK) {
        rc = nc_key_named(out, plain, comment);
        if (rc != NACRE_OK) {
            nc_fail(err, rc, "%s", nacre_status_text(rc));
        }
    }
done:
    nacre_key_free(plain);
    nc_buf_clear(&blob);
    return rc;
}

int nacre_key_from_public_line(nacre_key **out, const nacre_allocator *a, nacre_span line,
                               nacre_error *err)
{
    *out = NULL;
    nc_error_clear(err);
    if (line.n > NC_MAX_KEY_FILE) {
        return nc_fail(err, NACRE_TOO_LARGE, "a public key line of %zu bytes is not read", line.n);
    }
    return nc_public_line(out, a, line, false, err);
}

int nacre_key_public_line(const nacre_key *k, char *out, size_t size)
{
    const char *type = nacre_key_type(k);
    nc_buf text;
    nc_buf_init(&text, nc_key_allocator(k), 2 * NC_MAX_KEY_BLOB);
    nc_text_empty(out, size);
    int rc = nc_buf_append(&text, type, strlen(type));
    if (rc == NACRE_OK) {
        rc = nc_buf_append(&text, " ", 1);
    }
    if (rc == NACRE_OK) {
        rc = nc_base64_encode(nacre_key_blob(k), &text);
    }
    if (rc == NACRE_OK && text.len >= size) {
        rc = NACRE_TOO_LARGE;
    }
    if (rc == NACRE_OK) {
        memcpy(out, text.data, text.len);
        out[text.len] = '\0';
        rc = (int)text.len;
    }
    nc_buf_clear(&text);
    return rc;
}

/* ---- fingerprints ---------------------------------------------------------------------------- */

/* "MD5:aa:bb:..." as RFC 4716 section 4 writes it, with OpenSSH's prefix. */
static int write_hex(const char *name, nacre_span digest, char *out, size_t size)
{
    size_t n = strlen(name);
    if (size < n + 3 * digest.n + 1) {
        return NACRE_TOO_LARGE;
    }
    memcpy(out, name, n);
    for (size_t i = 0; i < digest.n; i++) {
        snprintf(out + n, 4, ":%02x", digest.p[i]);
        n += 3;
    }
    return (int)n;
}

/* "SHA256:..." in base64 without padding. */
static int write_base64(const char *name, nacre_span digest, char *out, size_t size)
{
    nc_buf text;
    nc_buf_init(&text, NULL, 2 * NC_MAX_HASH);
    int rc = nc_base64_encode(digest, &text);
    while (rc == NACRE_OK && text.len && text.data[text.len - 1] == '=') {
        nc_buf_truncate(&text, text.len - 1);
    }
    size_t n = strlen(name);
    if (rc == NACRE_OK && size < n + 1 + text.len + 1) {
        rc = NACRE_TOO_LARGE;
    }
    if (rc == NACRE_OK) {
        rc = snprintf(out, size, "%s:%.*s", name, (int)text.len, (const char *)text.data);
    }
    nc_buf_clear(&text);
    return rc;
}

int nacre_blob_fingerprint(nacre_span blob, const char *hash, char *out, size_t size)
{
    const nc_hash_alg *alg = hash ? nc_hash_find(hash) : nc_hash_get(NC_SHA256);
    nc_text_empty(out, size);
    if (!alg) {
        return NACRE_UNKNOWN_NAME;
    }
    uint8_t digest[NC_MAX_HASH];
    int rc = nc_hash(alg, &blob, 1, digest);
    if (rc != NACRE_OK) {
        return rc;
    }
    nacre_span d = nc_span(digest, alg->len);
    return alg->id == NC_MD5 ? write_hex(alg->name, d, out, size)
                             : write_base64(alg->name, d, out, size);
}

/* Of the plain key even when it shows a certificate: certificates change, the key is the same. */
int nacre_key_fingerprint(const nacre_key *k, const char *hash, char *out, size_t size)
{
    return nacre_blob_fingerprint(nc_key_plain_blob(k), hash, out, size);
}
