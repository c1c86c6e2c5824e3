/*
 * known_hosts.c - the known_hosts format of sshd(8): lines kept as they are, found by host.
 *
 * Lines are split when they are added but their keys are made only when a lookup needs one: a file
 * of a hundred thousand lines then costs a scan, not as many elliptic-curve checks. Not here: what lines
 * say of a key (known_hosts_check.c), changing lines (known_hosts_edit.c), files (src/io), what to do
 * about an unknown host (client).
 */
#include "keys/known_hosts.h"

#include <stdio.h>
#include <string.h>

const char nc_hosts_hash_magic[4] = "|1|";

enum {
    /* "|1|", a salt, "|" and a digest, both of 20 bytes in base64 */
    HASHED_LEN = 3 + 28 + 1 + 28,
    MAX_LEGACY_NUMBER = 8 /* a shorter decimal where a key type belongs: the format of SSH 1 */
};

int nacre_known_hosts_new(nacre_known_hosts **out, const nacre_allocator *a)
{
    *out = nc_zalloc(a, sizeof(**out));
    if (!*out) {
        return NACRE_NO_MEMORY;
    }
    (*out)->alloc = a;
    return NACRE_OK;
}

void nc_hosts_drop(nacre_known_hosts *h, nc_host_entry *e)
{
    nacre_key_free(atomic_load(&e->key));
    nc_free(h->alloc, e->own);
}

static void drop_entries(nacre_known_hosts *h, size_t keep)
{
    nc_hosts_move_gap(h, h->count);
    while (h->count > keep) {
        nc_hosts_drop(h, &h->entries[--h->count]);
    }
    h->gap_at = h->count;
}

void nacre_known_hosts_free(nacre_known_hosts *h)
{
    if (!h) {
        return;
    }
    drop_entries(h, 0);
    for (size_t i = 0; i < h->source_count; i++) {
        nc_free(h->alloc, h->sources[i].name);
        nc_free(h->alloc, h->sources[i].text);
    }
    nc_free(h->alloc, h->sources);
    nc_free(h->alloc, h->entries);
    nc_free(h->alloc, h);
}

/* ---- adding lines ---------------------------------------------------------------------------- */

static nc_host_marker marker_of(nacre_span word)
{
    if (nc_span_is(word, "@revoked")) {
        return NC_MARKER_REVOKED;
    }
    return nc_span_is(word, "@cert-authority") ? NC_MARKER_AUTHORITY : NC_MARKER_UNKNOWN;
}

/* As ssh-keygen judges before it looks at the key itself. */
static bool fields_are_sound(const nc_host_entry *e, nacre_span names, nacre_span type,
                             nacre_span base64)
{
    size_t digits = 0;
    while (digits < type.n && type.p[digits] >= '0' && type.p[digits] <= '9') {
        digits++;
    }
    bool legacy = digits == type.n && type.n < MAX_LEGACY_NUMBER;
    bool hashed = names.p[0] == '|';
    bool hash_sound = nc_text_starts(names, nc_hosts_hash_magic) && names.n == HASHED_LEN;
    return e->marker != NC_MARKER_UNKNOWN && base64.n != 0 && type.n > 1 && !legacy &&
           type.p[0] != '#' && base64.p[0] != '#' && (!hashed || hash_sound) &&
           !memchr(names.p, '\0', names.n);
}

/* A comment, an empty or a bad line is left with no names. */
void nc_hosts_split(nc_host_entry *e, nacre_span text, nacre_span raw)
{
    nacre_span rest = nc_text_trim(text);
    e->text = text;
    e->raw = raw;
    e->kind = NACRE_HOST_LINE_COMMENT;
    if (rest.n == 0 || rest.p[0] == '#') {
        return;
    }
    nacre_span names = nc_text_word(&rest);
    if (names.p[0] == '@') {
        e->marker_text = names;
        e->marker = marker_of(names);
        names = nc_text_word(&rest);
    }
    nacre_span type = nc_text_word(&rest);
    nacre_span base64 = nc_text_word(&rest);
    e->kind = NACRE_HOST_LINE_INVALID;
    if (names.n == 0 || base64.n == 0) {
        return;
    }
    if (fields_are_sound(e, names, type, base64)) {
        e->kind = NACRE_HOST_LINE_KEY;
    } else if (e->marker != NC_MARKER_UNKNOWN) {
        return;
    }
    e->names = names;
    e->type = type;
    e->base64 = base64;
    e->comment = nc_text_trim(rest);
}

static int grow(const nacre_allocator *a, void **array, size_t *room, size_t count, size_t size)
{
    if (count < *room) {
        return NACRE_OK;
    }
    size_t more = *room ? *room * 2 : 16;
    if (more > SIZE_MAX / size) {
        return NACRE_NO_MEMORY;
    }
    void *p = nc_resize(a, *array, more * size);
    if (!p) {
        return NACRE_NO_MEMORY;
    }
    *array = p;
    *room = more;
    return NACRE_OK;
}

static void move_entries(nacre_known_hosts *h, size_t to, size_t from, size_t n)
{
    if (n) {
        memmove(&h->entries[to], &h->entries[from], n * sizeof(*h->entries));
        h->moved += n;
    }
}

int nc_hosts_reserve(nacre_known_hosts *h, size_t more)
{
    int rc = NACRE_OK;
    while (rc == NACRE_OK && h->room - h->count < more) {
        size_t behind = h->count - h->gap_at;
        size_t from = h->room - behind;
        rc = grow(h->alloc, (void **)&h->entries, &h->room, h->room, sizeof(*h->entries));
        if (rc == NACRE_OK) {
            move_entries(h, h->room - behind, from, behind);
        }
    }
    return rc;
}

void nc_hosts_move_gap(nacre_known_hosts *h, size_t index)
{
    size_t gap = h->room - h->count;
    if (index < h->gap_at) {
        move_entries(h, index + gap, index, h->gap_at - index);
    } else {
        move_entries(h, h->gap_at, h->gap_at + gap, index - h->gap_at);
    }
    h->gap_at = index;
}

static int add_entries(nacre_known_hosts *h, size_t source, nacre_span text)
{
    nacre_span line;
    uint32_t number = 0;
    const uint8_t *begin = text.p;
    nc_hosts_move_gap(h, h->count);
    for (; nc_text_line(&text, &line); begin = text.p) {
        int rc = nc_hosts_reserve(h, 1);
        if (rc != NACRE_OK) {
            return rc;
        }
        nc_host_entry *e = &h->entries[h->count];
        memset(e, 0, sizeof(*e));
        atomic_init(&e->key, NULL);
        e->source = source;
        e->line = ++number;
        nc_hosts_split(e, line, nc_span(begin, (size_t)(text.p - begin)));
        h->gap_at = ++h->count;
    }
    return NACRE_OK;
}

int nacre_known_hosts_add_text(nacre_known_hosts *h, nacre_span text, const char *source)
{
    if (text.n > NC_HOSTS_MAX_TEXT) {
        return NACRE_TOO_LARGE;
    }
    if (h->source_count >= NC_HOSTS_MAX_SOURCES) {
        return NACRE_LIMIT;
    }
    int rc =
        grow(h->alloc, (void **)&h->sources, &h->source_room, h->source_count, sizeof(*h->sources));
    if (rc != NACRE_OK) {
        return rc;
    }
    size_t before = h->count;
    nc_host_source s = {nc_strdup(h->alloc, source ? source : ""), nc_alloc(h->alloc, text.n)};
    rc = s.name && s.text ? NACRE_OK : NACRE_NO_MEMORY;
    if (rc == NACRE_OK && text.n) {
        memcpy(s.text, text.p, text.n);
        rc = add_entries(h, h->source_count, nc_span(s.text, text.n));
    }
    if (rc != NACRE_OK) {
        drop_entries(h, before);
        nc_free(h->alloc, s.name);
        nc_free(h->alloc, s.text);
        return rc;
    }
    h->sources[h->source_count++] = s;
    return NACRE_OK;
}

/* ---- names ----------------------------------------------------------------------------------- */

bool nc_hosts_name(const char *host, uint16_t port, char *name, size_t size)
{
    size_t n = host ? strlen(host) : 0;
    if (n == 0 || n > NC_HOSTS_MAX_HOST) {
        return false;
    }
    int len = port == 0 || port == 22 ? snprintf(name, size, "%s", host)
                                      : snprintf(name, size, "[%s]:%u", host, (unsigned)port);
    for (char *p = name; *p; p++) {
        *p = (char)nc_text_lower((uint8_t)*p);
    }
    return len > 0 && (size_t)len < size;
}

int nc_hosts_hash(nacre_span salt, nacre_span name, uint8_t out[NC_HOSTS_HASH_LEN])
{
    return nc_hmac(nc_hash_get(NC_SHA1), salt, &name, 1, out);
}

/* Decodes exactly NC_HOSTS_HASH_LEN bytes: NACRE_OK, NACRE_SYNTAX, NACRE_NO_MEMORY. */
static int read_digest(const nacre_allocator *a, nacre_span text, uint8_t out[NC_HOSTS_HASH_LEN])
{
    nc_buf bytes;
    nc_buf_init(&bytes, a, 4 * NC_HOSTS_HASH_LEN);
    int rc = text.n <= 2 * NC_HOSTS_HASH_LEN ? nc_base64_decode(text, &bytes) : NACRE_SYNTAX;
    if (rc == NACRE_OK && bytes.len != NC_HOSTS_HASH_LEN) {
        rc = NACRE_SYNTAX;
    }
    if (rc == NACRE_OK) {
        memcpy(out, bytes.data, NC_HOSTS_HASH_LEN);
    }
    nc_buf_clear(&bytes);
    return rc;
}

/* "|1|salt|hash": one name, hidden from who reads the file but not from who guesses it. */
static nc_match match_hashed(const nacre_allocator *a, nacre_span field, nacre_span name)
{
    field.p += strlen(nc_hosts_hash_magic);
    field.n -= strlen(nc_hosts_hash_magic);
    const uint8_t *bar = field.n ? memchr(field.p, '|', field.n) : NULL;
    if (!bar) {
        return NC_MATCH_NO;
    }
    size_t salt_len = (size_t)(bar - field.p);
    uint8_t salt[NC_HOSTS_HASH_LEN], there[NC_HOSTS_HASH_LEN], want[NC_HOSTS_HASH_LEN];
    int rc = read_digest(a, nc_span(field.p, salt_len), salt);
    if (rc == NACRE_OK) {
        rc = read_digest(a, nc_span(bar + 1, field.n - salt_len - 1), there);
    }
    if (rc == NACRE_SYNTAX) {
        return NC_MATCH_NO;
    }
    if (rc == NACRE_OK) {
        rc = nc_hosts_hash(nc_span(salt, sizeof(salt)), name, want);
    }
    if (rc != NACRE_OK) {
        return NC_MATCH_BAD;
    }
    return nc_ct_equal(want, there, NC_HOSTS_HASH_LEN) ? NC_MATCH_YES : NC_MATCH_NO;
}

nc_match nc_hosts_names(const nacre_known_hosts *h, const nc_host_entry *e, nacre_span name)
{
    if (e->names.n == 0) {
        return NC_MATCH_NO;
    }
    if (nc_text_starts(e->names, nc_hosts_hash_magic)) {
        return match_hashed(h->alloc, e->names, name);
    }
    return nc_pattern_list(name, e->names, true) == NC_MATCH_YES ? NC_MATCH_YES : NC_MATCH_NO;
}

/* ---- lines as they are ----------------------------------------------------------------------- */

size_t nacre_known_hosts_count(const nacre_known_hosts *h)
{
    return h->count;
}

int nacre_known_hosts_get(const nacre_known_hosts *h, size_t index, nacre_host_entry *out)
{
    memset(out, 0, sizeof(*out));
    if (index >= h->count) {
        return NACRE_NOT_FOUND;
    }
    nc_host_entry *e = nc_hosts_at(h, index);
    nacre_key *key = NULL;
    int rc = e->names.n ? nc_hosts_key(h, e, &key) : NACRE_OK;
    if (rc == NACRE_NO_MEMORY) {
        return rc;
    }
    out->source = h->sources[e->source].name;
    out->line = e->line;
    out->text = e->text;
    out->marker = e->marker_text;
    out->names = e->names;
    out->comment = e->comment;
    out->key = key;
    out->kind = e->kind;
    out->hashed = e->names.n && e->names.p[0] == '|';
    return NACRE_OK;
}

bool nacre_known_hosts_entry_is(const nacre_known_hosts *h, size_t index, const char *host,
                                uint16_t port)
{
    char text[NC_HOSTS_MAX_NAME];
    return index < h->count && nc_hosts_name(host, port, text, sizeof(text)) &&
           nc_hosts_names(h, nc_hosts_at(h, index), nc_span_cstr(text)) == NC_MATCH_YES;
}
