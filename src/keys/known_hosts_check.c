/*
 * known_hosts_check.c - what the lines for a host say of a key: known, another one, revoked; and which key
 * types are known, so that a client can ask for those.
 */
#include "keys/cert.h"
#include "keys/known_hosts.h"

#include <stdio.h>
#include <string.h>

/* ---- keys ------------------------------------------------------------------------------------ */

/*
 * The key of a line, made on first need. Lookups are const and may run in several threads: whoever
 * is first publishes his, the others take that one. NACRE_UNSUPPORTED: a sound key of a type we
 * lack.
 */
int nc_hosts_key(const nacre_known_hosts *h, nc_host_entry *e, nacre_key **out)
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

static line_verdict judge(const nacre_known_hosts *h, nc_host_entry *e, const nacre_key *key,
                          nacre_key **there)
{
    int rc = nc_hosts_key(h, e, there);
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

static void tell_where(const nacre_known_hosts *h, const nc_host_entry *e, const nacre_key *key,
                       nacre_host_line *where)
{
    where->source = h->sources[e->source].name;
    where->line = e->line;
    where->key = key;
}

/* The blob of the key that a line revokes, when a key of ours is that one. */
typedef struct suspects {
    nacre_span blobs[3]; /* the key itself; a certificate's plain key and its CA */
    size_t count;
} suspects;

static suspects suspects_of(const nacre_key *key)
{
    suspects s = {{nacre_key_blob(key)}, 1};
    nacre_cert_info info;
    if (nacre_key_is_cert(key)) {
        s.blobs[s.count++] = nc_key_plain_blob(key);
        if (nacre_key_cert_info(key, &info) == NACRE_OK) {
            s.blobs[s.count++] = nacre_key_blob(info.ca);
        }
    }
    return s;
}

/* Whether a line with @revoked means one of them; NC_MATCH_BAD: for want of memory it could not be read. */
static nc_match revokes(const nacre_known_hosts *h, nc_host_entry *e, const suspects *all,
                        nacre_key **there)
{
    for (size_t i = 0; i < all->count; i++) {
        if (!nc_span_eq(e->type, nc_blob_type(all->blobs[i]))) {
            continue;
        }
        int rc = nc_hosts_key(h, e, there);
        if (rc == NACRE_OK && nc_span_eq(nacre_key_blob(*there), all->blobs[i])) {
            return NC_MATCH_YES;
        }
        if (rc != NACRE_OK && rc != NACRE_KEY_FORMAT && rc != NACRE_BAD_KEY &&
            rc != NACRE_TOO_LARGE) {
            return NC_MATCH_BAD;
        }
    }
    return NC_MATCH_NO;
}

/*
 * A revoked key is refused wherever its line stands; so all such lines come first. NC_MATCH_BAD: for
 * want of memory a line could not be read that may revoke this very key, so it may not pass for good.
 */
static nc_match is_revoked(const nacre_known_hosts *h, nacre_span name, const nacre_key *key,
                           nacre_host_line *where)
{
    nc_match unsure = NC_MATCH_NO;
    suspects all = suspects_of(key);
    for (size_t i = 0; i < h->count; i++) {
        nc_host_entry *e = nc_hosts_at(h, i);
        nacre_key *there = NULL;
        nc_match named = e->marker == NC_MARKER_REVOKED ? nc_hosts_names(h, e, name) : NC_MATCH_NO;
        nc_match revoked = named == NC_MATCH_NO ? NC_MATCH_NO : revokes(h, e, &all, &there);
        if (revoked == NC_MATCH_YES) {
            tell_where(h, e, there, where);
            return NC_MATCH_YES;
        }
        if (revoked == NC_MATCH_BAD) {
            tell_where(h, e, NULL, where);
            unsure = NC_MATCH_BAD;
        }
    }
    return unsure;
}

/* A certificate: whether its CA may speak for the host. A line that cannot be read vouches for nobody. */
static nacre_host_match check_authority(const nacre_known_hosts *h, nacre_span name,
                                        const nacre_key *key, nacre_host_line *where)
{
    nacre_cert_info info;
    bool certified = nacre_key_cert_info(key, &info) == NACRE_OK;
    for (size_t i = 0; certified && i < h->count; i++) {
        nc_host_entry *e = nc_hosts_at(h, i);
        nacre_key *there = NULL;
        if (e->marker == NC_MARKER_AUTHORITY && nc_span_is(e->type, nacre_key_type(info.ca)) &&
            nc_hosts_names(h, e, name) == NC_MATCH_YES && nc_hosts_key(h, e, &there) == NACRE_OK &&
            nacre_key_equal(there, info.ca)) {
            tell_where(h, e, there, where);
            return NACRE_HOST_AUTHORITY;
        }
    }
    return NACRE_HOST_UNKNOWN;
}

nacre_host_match nacre_known_hosts_check(const nacre_known_hosts *h, const char *host,
                                         uint16_t port, const nacre_key *key,
                                         nacre_host_line *where)
{
    static const nacre_host_match result_of[] = {NACRE_HOST_UNKNOWN, NACRE_HOST_MATCH,
                                                 NACRE_HOST_CHANGED, NACRE_HOST_OTHER_TYPE};
    char text[NC_HOSTS_MAX_NAME];
    nacre_host_line unwanted;
    where = where ? where : &unwanted;
    memset(where, 0, sizeof(*where));
    where->source = "";
    if (!nc_hosts_name(host, port, text, sizeof(text))) {
        return NACRE_HOST_UNKNOWN;
    }
    nacre_span name = nc_span_cstr(text);
    nc_match revoked = key ? is_revoked(h, name, key, where) : NC_MATCH_NO;
    if (revoked != NC_MATCH_NO) {
        return revoked == NC_MATCH_YES ? NACRE_HOST_REVOKED : NACRE_HOST_CHANGED;
    }
    if (key && nacre_key_is_cert(key)) {
        return check_authority(h, name, key, where);
    }
    line_verdict best = SAYS_NOTHING; /* smaller is stronger, SAYS_NOTHING apart */
    for (size_t i = 0; i < h->count && best != SAYS_SAME; i++) {
        nc_host_entry *e = nc_hosts_at(h, i);
        nc_match named = e->marker == NC_MARKER_NONE ? nc_hosts_names(h, e, name) : NC_MATCH_NO;
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
    char text[NC_HOSTS_MAX_NAME];
    char list[512] = ""; /* every supported type at most once */
    bool named = nc_hosts_name(host, port, text, sizeof(text));
    for (size_t i = 0; named && i < h->count; i++) {
        nc_host_entry *e = nc_hosts_at(h, i);
        nacre_key *there = NULL;
        if (e->marker != NC_MARKER_NONE ||
            nc_hosts_names(h, e, nc_span_cstr(text)) != NC_MATCH_YES ||
            nc_hosts_key(h, e, &there) != NACRE_OK) {
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

bool nacre_known_hosts_has_authority(const nacre_known_hosts *h, const char *host, uint16_t port)
{
    char text[NC_HOSTS_MAX_NAME];
    bool named = nc_hosts_name(host, port, text, sizeof(text));
    for (size_t i = 0; named && i < h->count; i++) {
        const nc_host_entry *e = nc_hosts_at(h, i);
        if (e->marker == NC_MARKER_AUTHORITY &&
            nc_hosts_names(h, e, nc_span_cstr(text)) == NC_MATCH_YES) {
            return true;
        }
    }
    return false;
}
