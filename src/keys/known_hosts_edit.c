/*
 * known_hosts_edit.c - changing lines: made, added, removed, replaced, hashed; and the whole as text again, with
 * everything that was not touched byte for byte as it was.
 */
#include "crypto/crypto.h"
#include "keys/known_hosts.h"

#include <string.h>

/* ---- making a line --------------------------------------------------------------------------- */

/*
 * A host name becomes a pattern list once it stands in the file: a name with "*", "," or a line end
 * in it would write a rule for other hosts.
 */
static bool name_is_safe(const char *name)
{
    for (const char *p = name; *p; p++) {
        uint8_t c = (uint8_t)*p;
        if (c <= 0x20 || c == 0x7F || strchr(",*?!#|@\"", c)) {
            return false;
        }
    }
    return true;
}

static int write_hashed(nacre_span name, nc_buf *line)
{
    uint8_t salt[NC_HOSTS_HASH_LEN];
    uint8_t digest[NC_HOSTS_HASH_LEN];
    int rc = nc_random_bytes(NULL, salt, sizeof(salt));
    if (rc == NACRE_OK) {
        rc = nc_hosts_hash(nc_span(salt, sizeof(salt)), name, digest);
    }
    if (rc == NACRE_OK) {
        rc = nc_buf_append(line, nc_hosts_hash_magic, strlen(nc_hosts_hash_magic));
    }
    if (rc == NACRE_OK) {
        rc = nc_base64_encode(nc_span(salt, sizeof(salt)), line);
    }
    if (rc == NACRE_OK) {
        rc = nc_buf_append(line, "|", 1);
    }
    return rc == NACRE_OK ? nc_base64_encode(nc_span(digest, sizeof(digest)), line) : rc;
}

static int write_line(nacre_span name, const nacre_key *key, bool hash, nc_buf *line)
{
    const char *type = nacre_key_type(key);
    int rc = hash ? write_hashed(name, line) : nc_buf_append(line, name.p, name.n);
    if (rc == NACRE_OK) {
        rc = nc_buf_append(line, " ", 1);
    }
    if (rc == NACRE_OK) {
        rc = nc_buf_append(line, type, strlen(type));
    }
    if (rc == NACRE_OK) {
        rc = nc_buf_append(line, " ", 1);
    }
    if (rc == NACRE_OK) {
        rc = nc_base64_encode(nacre_key_blob(key), line);
    }
    return rc == NACRE_OK ? nc_buf_append(line, "\n", 1) : rc;
}

int nacre_known_hosts_add(nacre_known_hosts *h, const char *host, uint16_t port,
                          const nacre_key *key, bool hash, char *out, size_t size)
{
    char text[NC_HOSTS_MAX_NAME];
    if (!host || !name_is_safe(host) || !nc_hosts_name(host, port, text, sizeof(text))) {
        return NACRE_INVALID_ARGUMENT;
    }
    nc_buf line;
    nc_buf_init(&line, h ? h->alloc : NULL, 2 * NC_MAX_KEY_BLOB + NC_HOSTS_MAX_NAME);
    int rc = write_line(nc_span_cstr(text), key, hash, &line);
    if (rc == NACRE_OK && line.len >= size) {
        rc = NACRE_TOO_LARGE;
    }
    if (rc == NACRE_OK && h) {
        rc = nacre_known_hosts_add_text(h, nc_buf_span(&line), "");
    }
    if (rc == NACRE_OK) {
        memcpy(out, line.data, line.len);
        out[line.len] = '\0';
        rc = (int)line.len;
    }
    nc_buf_clear(&line);
    return rc;
}

/* ---- changing lines -------------------------------------------------------------------------- */

int nacre_known_hosts_remove(nacre_known_hosts *h, size_t index)
{
    if (index >= h->count) {
        return NACRE_NOT_FOUND;
    }
    /* A line beside the gap becomes a part of it. */
    bool before = h->gap_at == index + 1;
    if (!before) {
        nc_hosts_move_gap(h, index);
    }
    nc_hosts_drop(h, nc_hosts_at(h, index));
    h->gap_at -= before ? 1 : 0;
    h->count--;
    return NACRE_OK;
}

/* A line of its own memory, with a line end. */
static int make_entry(const nacre_known_hosts *h, const nc_host_entry *like, nacre_span line,
                      nc_host_entry *out)
{
    memset(out, 0, sizeof(*out));
    atomic_init(&out->key, NULL);
    out->own = nc_alloc(h->alloc, line.n + 1);
    if (!out->own) {
        return NACRE_NO_MEMORY;
    }
    if (line.n) {
        memcpy(out->own, line.p, line.n);
    }
    out->own[line.n] = '\n';
    out->source = like->source;
    out->line = like->line;
    nc_hosts_split(out, nc_span(out->own, line.n), nc_span(out->own, line.n + 1));
    return NACRE_OK;
}

int nacre_known_hosts_replace(nacre_known_hosts *h, size_t index, nacre_span lines)
{
    if (index >= h->count) {
        return NACRE_NOT_FOUND;
    }
    if (lines.n > NC_HOSTS_MAX_TEXT) {
        return NACRE_TOO_LARGE;
    }
    /* The new ones are made in the gap before it, where they are out of sight until all are there. */
    size_t made = 0;
    nacre_span line;
    int rc = NACRE_OK;
    nc_hosts_move_gap(h, index);
    while (rc == NACRE_OK && nc_text_line(&lines, &line)) {
        rc = nc_hosts_reserve(h, made + 1);
        if (rc == NACRE_OK) {
            rc = make_entry(h, nc_hosts_at(h, index), line, &h->entries[index + made]);
            made += rc == NACRE_OK ? 1 : 0;
        }
    }
    rc = rc == NACRE_OK && made == 0 ? NACRE_INVALID_ARGUMENT : rc;
    if (rc != NACRE_OK) {
        for (size_t i = 0; i < made; i++) {
            nc_hosts_drop(h, &h->entries[index + i]);
        }
        return rc;
    }
    nc_hosts_drop(h, nc_hosts_at(h, index));
    h->gap_at += made;
    h->count += made - 1;
    return NACRE_OK;
}

/* ---- hashing --------------------------------------------------------------------------------- */

static bool has_pattern(nacre_span names)
{
    for (size_t i = 0; i < names.n; i++) {
        if (memchr("*?!", names.p[i], 3)) {
            return true;
        }
    }
    return false;
}

/* One hashed name and what follows the names of the line. */
static int hash_one(nacre_span name, nacre_span rest, nc_buf *out)
{
    uint8_t lower[NC_HOSTS_MAX_NAME];
    if (name.n > sizeof(lower)) {
        return NACRE_TOO_LARGE;
    }
    for (size_t i = 0; i < name.n; i++) {
        lower[i] = nc_text_lower(name.p[i]);
    }
    int rc = write_hashed(nc_span(lower, name.n), out);
    if (rc == NACRE_OK) {
        rc = nc_buf_append(out, " ", 1);
    }
    if (rc == NACRE_OK) {
        rc = nc_buf_append(out, rest.p, rest.n);
    }
    return rc == NACRE_OK ? nc_buf_append(out, "\n", 1) : rc;
}

int nacre_known_hosts_hash(nacre_known_hosts *h, size_t index, size_t *lines)
{
    if (lines) {
        *lines = 1;
    }
    if (index >= h->count) {
        return NACRE_NOT_FOUND;
    }
    const nc_host_entry *e = nc_hosts_at(h, index);
    if (e->kind != NACRE_HOST_LINE_KEY || e->marker != NC_MARKER_NONE || e->names.p[0] == '|' ||
        has_pattern(e->names)) {
        return NACRE_UNSUPPORTED;
    }
    nc_buf out;
    nc_buf_init(&out, h->alloc, NC_HOSTS_MAX_TEXT);
    nacre_span names = e->names, name;
    nacre_span rest = nc_span(e->type.p, (size_t)(e->text.p + e->text.n - e->type.p));
    size_t count = 0;
    int rc = NACRE_OK;
    while (rc == NACRE_OK && nc_namelist_next(&names, &name)) {
        if (name.n) {
            rc = hash_one(name, rest, &out);
            count++;
        }
    }
    if (rc == NACRE_OK) {
        rc = count ? nacre_known_hosts_replace(h, index, nc_buf_span(&out)) : NACRE_UNSUPPORTED;
    }
    if (rc == NACRE_OK && lines) {
        *lines = count;
    }
    nc_buf_clear(&out);
    return rc;
}

/* ---- all lines ------------------------------------------------------------------------------- */

static bool is_from(const nacre_known_hosts *h, const nc_host_entry *e, const char *source)
{
    return !source || strcmp(h->sources[e->source].name, source) == 0;
}

int nacre_known_hosts_text(const nacre_known_hosts *h, const char *source, uint8_t **text,
                           size_t *n)
{
    size_t need = 1;
    *text = NULL;
    *n = 0;
    for (size_t i = 0; i < h->count; i++) {
        const nc_host_entry *e = nc_hosts_at(h, i);
        need += is_from(h, e, source) ? e->raw.n + 1 : 0;
    }
    uint8_t *out = nc_alloc(h->alloc, need);
    if (!out) {
        return NACRE_NO_MEMORY;
    }
    size_t used = 0;
    for (size_t i = 0; i < h->count; i++) {
        const nc_host_entry *e = nc_hosts_at(h, i);
        nacre_span raw = e->raw;
        if (raw.n == 0 || !is_from(h, e, source)) {
            continue;
        }
        /* A last line without its end is not the last one any more. */
        if (used && out[used - 1] != '\n') {
            out[used++] = '\n';
        }
        memcpy(out + used, raw.p, raw.n);
        used += raw.n;
    }
    *text = out;
    *n = used;
    return NACRE_OK;
}
