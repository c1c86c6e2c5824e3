/*
 * krl.c - revocation lists: what is in them, and the question whether a key is. Reading the binary form is
 * krl_read.c's, writing it krl_write.c's.
 */
#include "keys/krl.h"

#include <stdlib.h>
#include <string.h>

enum {
    TAIL = 64 /* unsorted entries that any set may have */
};

int nacre_krl_new(nacre_krl **out, const nacre_allocator *a)
{
    *out = nc_zalloc(a, sizeof(**out));
    if (!*out) {
        return NACRE_NO_MEMORY;
    }
    (*out)->alloc = a;
    return NACRE_OK;
}

static void free_text(const nacre_allocator *a, nacre_span s)
{
    nc_free(a, (void *)(uintptr_t)s.p);
}

static void free_texts(const nacre_allocator *a, nc_krl_texts *set)
{
    for (size_t i = 0; i < set->count; i++) {
        free_text(a, set->items[i]);
    }
    nc_free(a, set->items);
}

void nacre_krl_free(nacre_krl *k)
{
    if (!k) {
        return;
    }
    free_texts(k->alloc, &k->keys);
    free_texts(k->alloc, &k->sha1s);
    free_texts(k->alloc, &k->sha256s);
    for (size_t i = 0; i < k->ca_count; i++) {
        free_text(k->alloc, k->cas[i].blob);
        nc_free(k->alloc, k->cas[i].serials.items);
        free_texts(k->alloc, &k->cas[i].key_ids);
    }
    nc_free(k->alloc, k->cas);
    nc_free(k->alloc, k->comment);
    nc_free(k->alloc, k);
}

/* Room for one more of an array of count items; *items may move. */
static int make_room(const nacre_allocator *a, void **items, size_t width, size_t count,
                     size_t *room)
{
    if (count < *room) {
        return NACRE_OK;
    }
    if (count >= NC_KRL_MAX_ENTRIES) {
        return NACRE_LIMIT;
    }
    size_t wanted = count < 8 ? 8 : count * 2;
    void *moved = nc_resize(a, *items, wanted * width);
    if (!moved) {
        return NACRE_NO_MEMORY;
    }
    *items = moved;
    *room = wanted;
    return NACRE_OK;
}

static bool tail_is_long(size_t count, size_t sorted)
{
    return count - sorted > TAIL && count - sorted > sorted / 2;
}

/* ---- serial numbers ----------------------------------------------------------------------------- */

static int compare_ranges(const void *a, const void *b)
{
    uint64_t x = ((const nc_krl_range *)a)->lo;
    uint64_t y = ((const nc_krl_range *)b)->lo;
    return (x > y) - (x < y);
}

static void settle_ranges(nc_krl_ranges *set)
{
    if (!set->items || set->sorted == set->count) {
        return;
    }
    qsort(set->items, set->count, sizeof(*set->items), compare_ranges);
    size_t kept = 0;
    for (size_t i = 1; i < set->count; i++) {
        nc_krl_range *last = &set->items[kept];
        const nc_krl_range *next = &set->items[i];
        bool joins = last->hi == UINT64_MAX || next->lo <= last->hi + 1;
        if (!joins) {
            set->items[++kept] = *next;
        } else if (next->hi > last->hi) {
            last->hi = next->hi;
        }
    }
    set->count = kept + 1;
    set->sorted = set->count;
}

int nc_krl_add_range(nacre_krl *k, nc_krl_ranges *set, uint64_t lo, uint64_t hi)
{
    nc_krl_range *last = set->count ? &set->items[set->count - 1] : NULL;
    /* Lists and bitmaps come in order: a run stays one entry. */
    if (last && last->hi != UINT64_MAX && lo == last->hi + 1) {
        last->hi = hi;
        return NACRE_OK;
    }
    if (tail_is_long(set->count, set->sorted)) {
        settle_ranges(set);
    }
    int rc = make_room(k->alloc, (void **)&set->items, sizeof(*set->items), set->count, &set->room);
    if (rc != NACRE_OK) {
        return rc;
    }
    bool in_order =
        set->sorted == set->count && (set->count == 0 || lo > set->items[set->count - 1].hi);
    set->items[set->count++] = (nc_krl_range){lo, hi};
    set->sorted += in_order ? 1 : 0;
    return NACRE_OK;
}

static bool has_serial(const nc_krl_ranges *set, uint64_t serial)
{
    size_t from = 0;
    size_t to = set->sorted;
    while (from < to) {
        size_t mid = from + (to - from) / 2;
        if (set->items[mid].hi < serial) {
            from = mid + 1;
        } else {
            to = mid;
        }
    }
    bool found = from < set->sorted && set->items[from].lo <= serial;
    for (size_t i = set->sorted; !found && i < set->count; i++) {
        found = set->items[i].lo <= serial && serial <= set->items[i].hi;
    }
    return found;
}

/* ---- texts and blobs ---------------------------------------------------------------------------- */

static int compare_texts(const void *a, const void *b)
{
    const nacre_span *x = a;
    const nacre_span *y = b;
    int order = memcmp(x->p, y->p, x->n < y->n ? x->n : y->n);
    return order ? order : (x->n > y->n) - (x->n < y->n);
}

static void settle_texts(const nacre_allocator *a, nc_krl_texts *set)
{
    if (set->sorted == set->count) {
        return;
    }
    qsort(set->items, set->count, sizeof(*set->items), compare_texts);
    size_t kept = 0;
    for (size_t i = 1; i < set->count; i++) {
        if (nc_span_eq(set->items[i], set->items[kept])) {
            free_text(a, set->items[i]);
        } else {
            set->items[++kept] = set->items[i];
        }
    }
    set->count = kept + 1;
    set->sorted = set->count;
}

int nc_krl_add_text(nacre_krl *k, nc_krl_texts *set, nacre_span text)
{
    if (tail_is_long(set->count, set->sorted)) {
        settle_texts(k->alloc, set);
    }
    int rc = make_room(k->alloc, (void **)&set->items, sizeof(*set->items), set->count, &set->room);
    uint8_t *copy = rc == NACRE_OK ? nc_alloc(k->alloc, text.n) : NULL;
    if (!copy) {
        return rc == NACRE_OK ? NACRE_NO_MEMORY : rc;
    }
    if (text.n) {
        memcpy(copy, text.p, text.n);
    }
    text.p = copy;
    bool in_order = set->sorted == set->count &&
                    (set->count == 0 || compare_texts(&set->items[set->count - 1], &text) < 0);
    set->items[set->count++] = text;
    set->sorted += in_order ? 1 : 0;
    return NACRE_OK;
}

static bool has_text(const nc_krl_texts *set, nacre_span text)
{
    text.p = text.p ? text.p : (const uint8_t *)"";
    bool found =
        set->sorted && bsearch(&text, set->items, set->sorted, sizeof(text), compare_texts);
    for (size_t i = set->sorted; !found && i < set->count; i++) {
        found = nc_span_eq(set->items[i], text);
    }
    return found;
}

/* ---- authorities -------------------------------------------------------------------------------- */

static nc_krl_ca *find_ca(const nacre_krl *k, nacre_span blob)
{
    for (size_t i = 0; i < k->ca_count; i++) {
        if (nc_span_eq(k->cas[i].blob, blob)) {
            return &k->cas[i];
        }
    }
    return NULL;
}

int nc_krl_get_ca(nacre_krl *k, nacre_span blob, nc_krl_ca **out)
{
    *out = find_ca(k, blob);
    if (*out) {
        return NACRE_OK;
    }
    if (k->ca_count >= NC_KRL_MAX_CAS) {
        return NACRE_LIMIT;
    }
    int rc = make_room(k->alloc, (void **)&k->cas, sizeof(*k->cas), k->ca_count, &k->ca_room);
    uint8_t *copy = rc == NACRE_OK ? nc_alloc(k->alloc, blob.n) : NULL;
    if (!copy) {
        return rc == NACRE_OK ? NACRE_NO_MEMORY : rc;
    }
    if (blob.n) {
        memcpy(copy, blob.p, blob.n);
    }
    *out = &k->cas[k->ca_count++];
    memset(*out, 0, sizeof(**out));
    (*out)->blob = nc_span(copy, blob.n);
    return NACRE_OK;
}

void nc_krl_settle(nacre_krl *k)
{
    settle_texts(k->alloc, &k->keys);
    settle_texts(k->alloc, &k->sha1s);
    settle_texts(k->alloc, &k->sha256s);
    for (size_t i = 0; i < k->ca_count; i++) {
        settle_ranges(&k->cas[i].serials);
        settle_texts(k->alloc, &k->cas[i].key_ids);
    }
}

/* ---- revoking ----------------------------------------------------------------------------------- */

int nacre_krl_revoke_key(nacre_krl *k, const nacre_key *key)
{
    return nc_krl_add_text(k, &k->keys, nc_key_plain_blob(key));
}

int nacre_krl_revoke_digest(nacre_krl *k, const char *hash, nacre_span digest)
{
    const nc_hash_alg *alg = hash ? nc_hash_find(hash) : NULL;
    bool known = alg && (alg->id == NC_SHA1 || alg->id == NC_SHA256);
    if (!known) {
        return NACRE_UNKNOWN_NAME;
    }
    if (digest.n != alg->len) {
        return NACRE_INVALID_ARGUMENT;
    }
    return nc_krl_add_text(k, alg->id == NC_SHA1 ? &k->sha1s : &k->sha256s, digest);
}

/* The group for a CA that was given as key, which must be one that could sign. */
static int ca_of_key(nacre_krl *k, const nacre_key *ca, nc_krl_ca **out)
{
    if (ca && nacre_key_is_cert(ca)) {
        return NACRE_INVALID_ARGUMENT;
    }
    return nc_krl_get_ca(k, ca ? nacre_key_blob(ca) : nc_span(NULL, 0), out);
}

int nacre_krl_revoke_serials(nacre_krl *k, const nacre_key *ca, uint64_t lo, uint64_t hi)
{
    nc_krl_ca *group = NULL;
    if (lo == 0 || lo > hi) {
        return NACRE_INVALID_ARGUMENT;
    }
    int rc = ca_of_key(k, ca, &group);
    return rc == NACRE_OK ? nc_krl_add_range(k, &group->serials, lo, hi) : rc;
}

int nacre_krl_revoke_key_id(nacre_krl *k, const nacre_key *ca, nacre_span key_id)
{
    nc_krl_ca *group = NULL;
    if (key_id.n && memchr(key_id.p, 0, key_id.n)) {
        return NACRE_INVALID_ARGUMENT;
    }
    int rc = ca_of_key(k, ca, &group);
    return rc == NACRE_OK ? nc_krl_add_text(k, &group->key_ids, key_id) : rc;
}

int nacre_krl_revoke_cert(nacre_krl *k, const nacre_key *cert)
{
    nacre_cert_info i;
    int rc = nacre_key_cert_info(cert, &i);
    if (rc != NACRE_OK) {
        return rc;
    }
    return i.serial ? nacre_krl_revoke_serials(k, i.ca, i.serial, i.serial)
                    : nacre_krl_revoke_key_id(k, i.ca, i.key_id);
}

/* ---- asking ------------------------------------------------------------------------------------- */

static int revoked(nacre_error *why, const char *what, const char *how)
{
    return nc_fail(why, NACRE_KEY_REVOKED, "%s is revoked by %s", what, how);
}

static int check_digest(const nc_krl_texts *set, nc_hash_id id, nacre_span blob, bool *found)
{
    uint8_t digest[NC_MAX_HASH];
    const nc_hash_alg *alg = nc_hash_get(id);
    *found = false;
    if (set->count == 0) {
        return NACRE_OK;
    }
    int rc = nc_hash(alg, &blob, 1, digest);
    *found = rc == NACRE_OK && has_text(set, nc_span(digest, alg->len));
    return rc;
}

static int check_key(const nacre_krl *k, nacre_span blob, const char *what, nacre_error *why)
{
    bool found = false;
    int rc = check_digest(&k->sha1s, NC_SHA1, blob, &found);
    if (rc == NACRE_OK && !found) {
        rc = check_digest(&k->sha256s, NC_SHA256, blob, &found);
    }
    if (rc != NACRE_OK) {
        return nc_fail(why, rc, "%s cannot be looked up among revoked keys: %s", what,
                       nacre_status_text(rc));
    }
    if (found) {
        return revoked(why, what, "its fingerprint");
    }
    return has_text(&k->keys, blob) ? revoked(why, what, "name") : NACRE_OK;
}

static int check_cert(const nc_krl_ca *group, const nacre_cert_info *i, nacre_error *why)
{
    if (!group) {
        return NACRE_OK;
    }
    if (has_text(&group->key_ids, i->key_id)) {
        return revoked(why, "the certificate", "its key identity");
    }
    bool found = i->serial && has_serial(&group->serials, i->serial);
    return found ? revoked(why, "the certificate", "its serial number") : NACRE_OK;
}

int nacre_krl_check(const nacre_krl *k, const nacre_key *key, nacre_error *why)
{
    nacre_cert_info i;
    nc_error_clear(why);
    int rc = check_key(k, nc_key_plain_blob(key), "the key", why);
    if (rc != NACRE_OK || nacre_key_cert_info(key, &i) != NACRE_OK) {
        return rc;
    }
    rc = check_cert(find_ca(k, nacre_key_blob(i.ca)), &i, why);
    if (rc == NACRE_OK) {
        rc = check_cert(find_ca(k, nc_span(NULL, 0)), &i, why);
    }
    return rc == NACRE_OK ? check_key(k, nacre_key_blob(i.ca), "the certificate's CA", why) : rc;
}

/* ---- what is in it ------------------------------------------------------------------------------ */

void nacre_krl_get_info(const nacre_krl *k, nacre_krl_info *out)
{
    *out = (nacre_krl_info){k->version, k->generated, k->comment ? k->comment : ""};
}

int nacre_krl_set_info(nacre_krl *k, const nacre_krl_info *info)
{
    const char *comment = info->comment ? info->comment : "";
    if (strlen(comment) > NC_KRL_MAX_COMMENT) {
        return NACRE_TOO_LARGE;
    }
    char *copy = nc_strdup(k->alloc, comment);
    if (!copy) {
        return NACRE_NO_MEMORY;
    }
    nc_free(k->alloc, k->comment);
    k->comment = copy;
    k->version = info->version;
    k->generated = info->generated;
    return NACRE_OK;
}

/* One entry of a set of texts; false when it has no more, and the cursor stands at the next part. */
static bool next_text(const nc_krl_texts *set, nacre_krl_kind kind, nacre_krl_cursor *at,
                      nacre_krl_entry *out)
{
    if (at->index < set->count) {
        *out = (nacre_krl_entry){kind, set->items[at->index++], 0, 0};
        return true;
    }
    at->index = 0;
    at->part++;
    return false;
}

static bool next_range(const nc_krl_ranges *set, nacre_krl_cursor *at, nacre_krl_entry *out)
{
    if (at->index < set->count) {
        nc_krl_range r = set->items[at->index++];
        *out = (nacre_krl_entry){NACRE_KRL_SERIALS, {NULL, 0}, r.lo, r.hi};
        return true;
    }
    at->index = 0;
    at->part++;
    return false;
}

bool nacre_krl_next(nacre_krl *k, nacre_krl_cursor *at, nacre_krl_entry *out)
{
    const nc_krl_texts *const sets[] = {&k->keys, &k->sha256s, &k->sha1s};
    static const nacre_krl_kind kinds[] = {NACRE_KRL_KEY, NACRE_KRL_SHA256, NACRE_KRL_SHA1};
    nc_krl_settle(k);
    while (at->group == 0 && at->part < 3) {
        if (next_text(sets[at->part], kinds[at->part], at, out)) {
            return true;
        }
    }
    if (at->group == 0) {
        *at = (nacre_krl_cursor){1, 0, 0};
    }
    while (at->group <= k->ca_count) {
        const nc_krl_ca *c = &k->cas[at->group - 1];
        if (at->part == 0) {
            at->part = 1;
            *out = (nacre_krl_entry){NACRE_KRL_CA, c->blob, 0, 0};
            return true;
        }
        if (at->part == 1 && next_range(&c->serials, at, out)) {
            return true;
        }
        if (at->part == 2 && next_text(&c->key_ids, NACRE_KRL_KEY_ID, at, out)) {
            return true;
        }
        *at = (nacre_krl_cursor){at->group + 1, 0, 0};
    }
    return false;
}
