/*
 * pattern.c - wildcard patterns and lists of them.
 */
#include "keys/pattern.h"

#include <string.h>

static uint8_t fold(uint8_t c, bool ignore_case)
{
    return ignore_case && c >= 'A' && c <= 'Z' ? (uint8_t)(c + ('a' - 'A')) : c;
}

/*
 * Only the last "*" need be remembered: when a later part fails, giving an earlier "*" more text
 * could not help. That is what keeps "*a*a*a*b" from taking exponential time.
 */
bool nc_pattern_match(nacre_span text, nacre_span pattern, bool ignore_case)
{
    size_t t = 0;
    size_t p = 0;
    size_t star = SIZE_MAX; /* where the last "*" stands */
    size_t resume = 0;      /* the text that it does not cover yet */
    while (t < text.n) {
        bool more = p < pattern.n;
        if (more && pattern.p[p] == '*') {
            star = p++;
            resume = t;
        } else if (more && (pattern.p[p] == '?' ||
                            fold(pattern.p[p], ignore_case) == fold(text.p[t], ignore_case))) {
            p++;
            t++;
        } else if (star != SIZE_MAX) {
            p = star + 1;
            t = ++resume;
        } else {
            return false;
        }
    }
    while (p < pattern.n && pattern.p[p] == '*') {
        p++;
    }
    return p == pattern.n;
}

/* Next entry of a comma list; *negated when it begins with "!". */
static bool next_entry(nacre_span *list, nacre_span *entry, bool *negated)
{
    if (list->n == 0) {
        return false;
    }
    const uint8_t *comma = memchr(list->p, ',', list->n);
    size_t len = comma ? (size_t)(comma - list->p) : list->n;
    size_t step = comma ? len + 1 : len;
    *entry = nc_span(list->p, len);
    list->p += step;
    list->n -= step;
    *negated = len && entry->p[0] == '!';
    if (*negated) {
        entry->p++;
        entry->n--;
    }
    return true;
}

nc_match nc_pattern_list(nacre_span text, nacre_span list, bool ignore_case)
{
    nc_match result = NC_MATCH_NO;
    nacre_span entry;
    bool negated;
    while (next_entry(&list, &entry, &negated)) {
        if (entry.n == 0 || !nc_pattern_match(text, entry, ignore_case)) {
            continue;
        }
        if (negated) {
            return NC_MATCH_NEGATED;
        }
        result = NC_MATCH_YES;
    }
    return result;
}

/* Whether one entry of a from= list means this peer; *bad when it is a malformed block. */
static bool entry_is_peer(nacre_span entry, const nc_ip *ip, nacre_span address, nacre_span host,
                          bool *bad)
{
    nc_ip block;
    unsigned prefix;
    if (nc_ip_parse_block(entry, &block, &prefix)) {
        return ip->bits && nc_ip_in_block(ip, &block, prefix);
    }
    if (memchr(entry.p, '/', entry.n)) {
        *bad = true;
        return false;
    }
    return (address.n && nc_pattern_match(address, entry, true)) ||
           (host.n && nc_pattern_match(host, entry, true));
}

nc_match nc_peer_list(nacre_span address, nacre_span host, nacre_span list)
{
    nc_ip ip;
    if (!nc_ip_parse(address, &ip)) {
        ip.bits = 0;
    }
    nc_match result = NC_MATCH_NO;
    nacre_span entry;
    bool negated;
    bool refused = false;
    while (next_entry(&list, &entry, &negated)) {
        bool bad = false;
        bool same = entry.n && entry_is_peer(entry, &ip, address, host, &bad);
        if (bad) {
            return NC_MATCH_BAD;
        }
        refused = refused || (same && negated);
        result = same ? NC_MATCH_YES : result;
    }
    return refused ? NC_MATCH_NEGATED : result;
}
