/*
 * known_hosts.c - the known_hosts format of sshd(8): lines kept as they are, looked up by host.
 *
 * Lines are split when they are added but their keys are made only when a lookup needs one: a file
 * of a hundred thousand lines then costs a scan, not as many elliptic-curve checks. Not here: files
 * (src/io/keyfile.c), what to do about an unknown host (client).
 */
#include "nacre/known_hosts.h"
#include "keys/key.h"
#include "keys/pattern.h"

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

enum {
    /* A file of 100000 hosts is about 12 MiB. */
    MAX_TEXT = 16 * 1024 * 1024,
    MAX_SOURCES = 65536, /* files named in a configuration, and single lines added at run time */
    /* A DNS name has at most 255 octets (RFC 1035); brackets and the port come on top. */
    MAX_HOST = 1024,
    MAX_NAME = MAX_HOST + 16,
    HASH_LEN = 20 /* HMAC-SHA1, and its salt has the same length */
};

typedef enum host_marker {
    MARKER_NONE,
    MARKER_REVOKED,
    MARKER_AUTHORITY,
    MARKER_UNKNOWN /* a marker that we do not know: the line decides nothing */
} host_marker;

typedef struct host_entry {
    size_t source;
    uint32_t line;
    host_marker marker;
    nacre_span text, marker_text, names, type, base64, comment; /* into the source's text */
    _Atomic(nacre_key *) key; /* made by the first lookup that needs it */
} host_entry;

typedef struct host_source {
    char *name;
    uint8_t *text;
} host_source;

struct nacre_known_hosts {
    const nacre_allocator *alloc;
    host_source *sources;
    size_t source_count, source_room;
    host_entry *entries;
    size_t count, room;
};

static const char hash_magic[] = "|1|";

int nacre_known_hosts_new(nacre_known_hosts **out, const nacre_allocator *a)
{
    *out = nc_zalloc(a, sizeof(**out));
    if (!*out) {
        return NACRE_NO_MEMORY;
    }
    (*out)->alloc = a;
    return NACRE_OK;
}

static void drop_entries(nacre_known_hosts *h, size_t keep)
{
    while (h->count > keep) {
        nacre_key_free(atomic_load(&h->entries[--h->count].key));
    }
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

static host_marker marker_of(nacre_span word)
{
    if (nc_span_is(word, "@revoked")) {
        return MARKER_REVOKED;
    }
    return nc_span_is(word, "@cert-authority") ? MARKER_AUTHORITY : MARKER_UNKNOWN;
}

/* Fills in the fields of a line; a comment, an empty or a bad line is left with no names. */
static void split_line(host_entry *e)
{
    nacre_span rest = nc_text_trim(e->text);
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
    if (base64.n == 0) {
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

static int add_entries(nacre_known_hosts *h, size_t source, nacre_span text)
{
    nacre_span line;
    uint32_t number = 0;
    while (nc_text_line(&text, &line)) {
        int rc = grow(h->alloc, (void **)&h->entries, &h->room, h->count, sizeof(*h->entries));
        if (rc != NACRE_OK) {
            return rc;
        }
        host_entry *e = &h->entries[h->count];
        memset(e, 0, sizeof(*e));
        atomic_init(&e->key, NULL);
        e->source = source;
        e->line = ++number;
        e->text = line;
        split_line(e);
        h->count++;
    }
    return NACRE_OK;
}

int nacre_known_hosts_add_text(nacre_known_hosts *h, nacre_span text, const char *source)
{
    if (text.n > MAX_TEXT) {
        return NACRE_TOO_LARGE;
    }
    if (h->source_count >= MAX_SOURCES) {
        return NACRE_LIMIT;
    }
    int rc =
        grow(h->alloc, (void **)&h->sources, &h->source_room, h->source_count, sizeof(*h->sources));
    if (rc != NACRE_OK) {
        return rc;
    }
    size_t before = h->count;
    host_source s = {nc_strdup(h->alloc, source ? source : ""), nc_alloc(h->alloc, text.n)};
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

/* The name to look for: lower case, "[host]:port" unless the port is the usual one. */
static bool make_name(const char *host, uint16_t port, char *name, size_t size)
{
    size_t n = host ? strlen(host) : 0;
    if (n == 0 || n > MAX_HOST) {
        return false;
    }
    int len = port == 0 || port == 22 ? snprintf(name, size, "%s", host)
                                      : snprintf(name, size, "[%s]:%u", host, (unsigned)port);
    for (char *p = name; *p; p++) {
        *p = (char)nc_text_lower((uint8_t)*p);
    }
    return len > 0 && (size_t)len < size;
}

static int hash_name(nacre_span salt, nacre_span name, uint8_t out[HASH_LEN])
{
    return nc_hmac(nc_hash_get(NC_SHA1), salt, &name, 1, out);
}

/* Decodes exactly HASH_LEN bytes: NACRE_OK, NACRE_SYNTAX, NACRE_NO_MEMORY. */
static int read_digest(const nacre_allocator *a, nacre_span text, uint8_t out[HASH_LEN])
{
    nc_buf bytes;
    nc_buf_init(&bytes, a, 4 * HASH_LEN);
    int rc = text.n <= 2 * HASH_LEN ? nc_base64_decode(text, &bytes) : NACRE_SYNTAX;
    if (rc == NACRE_OK && bytes.len != HASH_LEN) {
        rc = NACRE_SYNTAX;
    }
    if (rc == NACRE_OK) {
        memcpy(out, bytes.data, HASH_LEN);
    }
    nc_buf_clear(&bytes);
    return rc;
}

/* "|1|salt|hash": one name, hidden from who reads the file but not from who guesses it. */
static nc_match match_hashed(const nacre_allocator *a, nacre_span field, nacre_span name)
{
    field.p += sizeof(hash_magic) - 1;
    field.n -= sizeof(hash_magic) - 1;
    const uint8_t *bar = field.n ? memchr(field.p, '|', field.n) : NULL;
    if (!bar) {
        return NC_MATCH_NO;
    }
    size_t salt_len = (size_t)(bar - field.p);
    uint8_t salt[HASH_LEN], there[HASH_LEN], want[HASH_LEN];
    int rc = read_digest(a, nc_span(field.p, salt_len), salt);
    if (rc == NACRE_OK) {
        rc = read_digest(a, nc_span(bar + 1, field.n - salt_len - 1), there);
    }
    if (rc == NACRE_SYNTAX) {
        return NC_MATCH_NO;
    }
    if (rc == NACRE_OK) {
        rc = hash_name(nc_span(salt, sizeof(salt)), name, want);
    }
    if (rc != NACRE_OK) {
        return NC_MATCH_BAD;
    }
    return nc_ct_equal(want, there, HASH_LEN) ? NC_MATCH_YES : NC_MATCH_NO;
}

/* NC_MATCH_BAD: a failure of ours (memory); the line may or may not mean this host. */
static nc_match entry_names(const nacre_known_hosts *h, const host_entry *e, nacre_span name)
{
    if (e->names.n == 0) {
        return NC_MATCH_NO;
    }
    if (nc_text_starts(e->names, hash_magic)) {
        return match_hashed(h->alloc, e->names, name);
    }
    return nc_pattern_list(name, e->names, true) == NC_MATCH_YES ? NC_MATCH_YES : NC_MATCH_NO;
}

/* ---- keys ------------------------------------------------------------------------------------ */

/*
 * The key of a line, made on first need. Lookups are const and may run in several threads: whoever
 * is first publishes his, the others take that one. NACRE_UNSUPPORTED: a sound key of a type we
 * lack.
 */
static int entry_key(const nacre_known_hosts *h, host_entry *e, nacre_key **out)
{
    *out = atomic_load(&e->key);
    if (*out) {
        return NACRE_OK;
    }
    nacre_span words = nc_span(e->type.p, (size_t)(e->base64.p + e->base64.n - e->type.p));
    nacre_key *made = NULL;
    int rc = nacre_key_from_public_line(&made, h->alloc, words, NULL);
    if (rc != NACRE_OK) {
        return rc;
    }
    nacre_key *before = NULL;
    if (atomic_compare_exchange_strong(&e->key, &before, made)) {
        *out = made;
    } else {
        nacre_key_free(made);
        *out = before;
    }
    return NACRE_OK;
}

/* What one line says of a key. */
typedef enum line_verdict { SAYS_NOTHING, SAYS_SAME, SAYS_OTHER_KEY, SAYS_OTHER_TYPE } line_verdict;

static line_verdict judge(const nacre_known_hosts *h, host_entry *e, const nacre_key *key,
                          nacre_key **there)
{
    int rc = entry_key(h, e, there);
    bool same_type = key && nc_span_is(e->type, nacre_key_type(key));
    switch (rc) {
    case NACRE_OK:
        break;
    case NACRE_KEY_FORMAT:
    case NACRE_BAD_KEY:
    case NACRE_TOO_LARGE:
        return SAYS_NOTHING; /* a line that is no line */
    default:
        /* Unsupported type; or a failure of ours, which must not make a known host look new. */
        return same_type ? SAYS_OTHER_KEY : SAYS_OTHER_TYPE;
    }
    if (key && nacre_key_equal(key, *there)) {
        return SAYS_SAME;
    }
    return same_type ? SAYS_OTHER_KEY : SAYS_OTHER_TYPE;
}

static void tell_where(const nacre_known_hosts *h, const host_entry *e, const nacre_key *key,
                       nacre_host_line *where)
{
    where->source = h->sources[e->source].name;
    where->line = e->line;
    where->key = key;
}

/*
 * A revoked key is refused wherever its line stands; so all such lines come first. NC_MATCH_BAD: for
 * want of memory a line could not be read that may revoke this very key, so it may not pass for good.
 */
static nc_match is_revoked(const nacre_known_hosts *h, nacre_span name, const nacre_key *key,
                           nacre_host_line *where)
{
    nc_match unsure = NC_MATCH_NO;
    for (size_t i = 0; i < h->count; i++) {
        host_entry *e = &h->entries[i];
        nacre_key *there = NULL;
        if (e->marker != MARKER_REVOKED || !nc_span_is(e->type, nacre_key_type(key))) {
            continue;
        }
        nc_match named = entry_names(h, e, name);
        line_verdict v = named == NC_MATCH_NO ? SAYS_NOTHING : judge(h, e, key, &there);
        if (v == SAYS_SAME) {
            tell_where(h, e, there, where);
            return NC_MATCH_YES;
        }
        if (v != SAYS_NOTHING && !there) {
            tell_where(h, e, NULL, where);
            unsure = NC_MATCH_BAD;
        }
    }
    return unsure;
}

nacre_host_match nacre_known_hosts_check(const nacre_known_hosts *h, const char *host,
                                         uint16_t port, const nacre_key *key,
                                         nacre_host_line *where)
{
    static const nacre_host_match result_of[] = {NACRE_HOST_UNKNOWN, NACRE_HOST_MATCH,
                                                 NACRE_HOST_CHANGED, NACRE_HOST_OTHER_TYPE};
    char text[MAX_NAME];
    nacre_host_line unwanted;
    where = where ? where : &unwanted;
    memset(where, 0, sizeof(*where));
    where->source = "";
    if (!make_name(host, port, text, sizeof(text))) {
        return NACRE_HOST_UNKNOWN;
    }
    nacre_span name = nc_span_cstr(text);
    nc_match revoked = key ? is_revoked(h, name, key, where) : NC_MATCH_NO;
    if (revoked != NC_MATCH_NO) {
        return revoked == NC_MATCH_YES ? NACRE_HOST_REVOKED : NACRE_HOST_CHANGED;
    }
    line_verdict best = SAYS_NOTHING; /* smaller is stronger, SAYS_NOTHING apart */
    for (size_t i = 0; i < h->count && best != SAYS_SAME; i++) {
        host_entry *e = &h->entries[i];
        nc_match named = e->marker == MARKER_NONE ? entry_names(h, e, name) : NC_MATCH_NO;
        if (named == NC_MATCH_NO) {
            continue;
        }
        nacre_key *there = NULL;
        /* When memory failed us the host must look neither new nor good. */
        line_verdict v = named == NC_MATCH_YES ? judge(h, e, key, &there) : SAYS_OTHER_KEY;
        if (v != SAYS_NOTHING && (best == SAYS_NOTHING || v < best)) {
            best = v;
            tell_where(h, e, there, where);
        }
    }
    return result_of[best];
}

size_t nacre_known_hosts_types(const nacre_known_hosts *h, const char *host, uint16_t port,
                               char *out, size_t size)
{
    char text[MAX_NAME];
    char list[512] = ""; /* every supported type at most once */
    bool named = make_name(host, port, text, sizeof(text));
    for (size_t i = 0; named && i < h->count; i++) {
        host_entry *e = &h->entries[i];
        nacre_key *there = NULL;
        if (e->marker != MARKER_NONE || entry_names(h, e, nc_span_cstr(text)) != NC_MATCH_YES ||
            entry_key(h, e, &there) != NACRE_OK) {
            continue;
        }
        const char *type = nacre_key_type(there);
        size_t n = strlen(list);
        if (!nc_namelist_has(nc_span_cstr(list), type)) {
            snprintf(list + n, sizeof(list) - n, "%s%s", n ? "," : "", type);
        }
    }
    if (out && size) {
        snprintf(out, size, "%s", list);
    }
    return strlen(list);
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
    host_entry *e = &h->entries[index];
    nacre_key *key = NULL;
    int rc = e->names.n ? entry_key(h, e, &key) : NACRE_OK;
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
    return NACRE_OK;
}

bool nacre_known_hosts_entry_is(const nacre_known_hosts *h, size_t index, const char *host,
                                uint16_t port)
{
    char text[MAX_NAME];
    return index < h->count && make_name(host, port, text, sizeof(text)) &&
           entry_names(h, &h->entries[index], nc_span_cstr(text)) == NC_MATCH_YES;
}

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
    uint8_t salt[HASH_LEN];
    uint8_t digest[HASH_LEN];
    int rc = nc_random_bytes(NULL, salt, sizeof(salt));
    if (rc == NACRE_OK) {
        rc = hash_name(nc_span(salt, sizeof(salt)), name, digest);
    }
    if (rc == NACRE_OK) {
        rc = nc_buf_append(line, hash_magic, sizeof(hash_magic) - 1);
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
    char text[MAX_NAME];
    if (!host || !name_is_safe(host) || !make_name(host, port, text, sizeof(text))) {
        return NACRE_INVALID_ARGUMENT;
    }
    nc_buf line;
    nc_buf_init(&line, h ? h->alloc : NULL, 2 * NC_MAX_KEY_BLOB + MAX_NAME);
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
