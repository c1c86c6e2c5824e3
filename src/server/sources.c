/*
 * sources.c - who may connect: connections that are not logged in and penalties, by source address. See sources.h.
 *
 * Both kinds of source, IPv4 and IPv6, have a table of their own, so that addresses of the one kind, which cost
 * nothing, cannot push the penalties of the other out. A table is found through a hash with a secret key, because
 * strangers choose what stands in it; those with a penalty also stand in a heap, the soonest to end on top.
 */
#include "server/sources.h"

#include <string.h>

enum {
    MAX_RULE =
        1
        << 24, /* sources that are kept in mind: 16 million of about 100 bytes are a mistake already */
    FIRST_SLOTS = 64, /* a table begins with */
    BLOCK4_MAX = 32,
    BLOCK6_MAX = 128
};

/* ---- rules ----------------------------------------------------------------------------------------- */

void nacre_source_rules_init(nacre_source_rules *r)
{
    memset(r, 0, sizeof(*r));
    r->size = sizeof(*r);
    r->startups_begin = 10;
    r->startups_rate = 30;
    r->startups_full = 100;
    r->block4 = BLOCK4_MAX;
    r->block6 = BLOCK6_MAX;
    r->penalties = true;
    r->penalty_ms[NACRE_OFFENCE_CRASH] = 90 * 1000;
    r->penalty_ms[NACRE_OFFENCE_AUTH_FAIL] = 5 * 1000;
    r->penalty_ms[NACRE_OFFENCE_NO_AUTH] = 1000;
    r->penalty_ms[NACRE_OFFENCE_GRACE] = 10 * 1000;
    r->penalty_ms[NACRE_OFFENCE_REFUSED] = 10 * 1000;
    r->penalty_min_ms = 15 * 1000;
    r->penalty_max_ms = 600 * 1000;
    r->max_sources4 = r->max_sources6 = 65536;
}

const char *nacre_offence_name(nacre_offence offence)
{
    static const char *const names[NACRE_OFFENCES] = {
        [NACRE_OFFENCE_NONE] = "none",
        [NACRE_OFFENCE_CRASH] = "crash",
        [NACRE_OFFENCE_AUTH_FAIL] = "authfail",
        [NACRE_OFFENCE_NO_AUTH] = "noauth",
        [NACRE_OFFENCE_GRACE] = "grace-exceeded",
        [NACRE_OFFENCE_REFUSED] = "refuseconnection",
    };
    return (unsigned)offence < NACRE_OFFENCES ? names[offence] : names[0];
}

bool nacre_startups_refuse(uint32_t waiting, uint32_t begin, uint32_t rate, uint32_t full,
                           uint32_t dice)
{
    if (waiting >= full) {
        return true;
    }
    if (waiting < begin) {
        return false;
    }
    if (rate >= 100 || full <= begin) {
        return true;
    }
    /* From rate % at begin on a straight line to 100 % at full. */
    uint64_t percent = (uint64_t)(100 - rate) * (waiting - begin) / (full - begin) + rate;
    return dice % 100 < percent;
}

static int check_rules(const nacre_source_rules *r, nacre_error *err)
{
    if (!r || r->size == 0 || r->size > sizeof(*r)) {
        return nc_fail(err, NACRE_INVALID_ARGUMENT,
                       "the rules were not made by nacre_source_rules_init");
    }
    if (r->block4 > BLOCK4_MAX || r->block6 > BLOCK6_MAX) {
        return nc_fail(
            err, NACRE_INVALID_ARGUMENT,
            "a block of addresses has at most 32 bits (IPv4) and 128 (IPv6), not %u and %u",
            (unsigned)r->block4, (unsigned)r->block6);
    }
    if (r->penalties && (r->max_sources4 < 1 || r->max_sources6 < 1 || r->max_sources4 > MAX_RULE ||
                         r->max_sources6 > MAX_RULE)) {
        return nc_fail(err, NACRE_INVALID_ARGUMENT, "between 1 and %d sources can be kept in mind",
                       MAX_RULE);
    }
    if (r->penalties && r->penalty_min_ms > r->penalty_max_ms) {
        return nc_fail(err, NACRE_INVALID_ARGUMENT,
                       "the least penalty, %u ms, is above the greatest, %u ms",
                       (unsigned)r->penalty_min_ms, (unsigned)r->penalty_max_ms);
    }
    if (r->exempt && nc_peer_list(nc_span_cstr("192.0.2.1"), nc_span(NULL, 0),
                                  nc_span_cstr(r->exempt)) == NC_MATCH_BAD) {
        return nc_fail(err, NACRE_INVALID_ARGUMENT, "\"%s\" is no list of addresses and blocks",
                       NC_ESC(nc_span_cstr(r->exempt)));
    }
    return NACRE_OK;
}

/* ---- the hash ------------------------------------------------------------------------------------------ */

static uint64_t hash_of(const nacre_sources *s, const nc_ip *at)
{
    uint8_t digest[NC_MAX_HASH];
    uint64_t h = 0;
    const nacre_span pieces[] = {nc_span(s->secret, sizeof(s->secret)),
                                 nc_span(at->bytes, sizeof(at->bytes))};
    /* Without the hash all are in one slot: slower, and right. */
    if (nc_hash(nc_hash_get(NC_SHA256), pieces, 2, digest) == NACRE_OK) {
        memcpy(&h, digest, sizeof(h));
    }
    return h;
}

static nc_source **slot_of(const nc_source_table *t, uint64_t hash)
{
    return &t->slots[hash & (t->slot_count - 1)];
}

static nc_source *find(const nacre_sources *s, const nc_source_table *t, const nc_ip *at)
{
    uint64_t hash = t->count > 0 ? hash_of(s, at) : 0;
    nc_source *e = t->count > 0 ? *slot_of(t, hash) : NULL;
    while (e && (e->hash != hash || memcmp(e->at.bytes, at->bytes, sizeof(at->bytes)) != 0)) {
        e = e->next;
    }
    return e;
}

static int grow_slots(nacre_sources *s, nc_source_table *t)
{
    size_t count = t->slot_count ? t->slot_count * 2 : FIRST_SLOTS;
    nc_source **slots = nc_alloc_array(s->alloc, count, sizeof(*slots));
    if (!slots) {
        return NACRE_NO_MEMORY;
    }
    memset(slots, 0, count * sizeof(*slots));
    nc_source_table old = *t;
    t->slots = slots;
    t->slot_count = count;
    for (size_t i = 0; i < old.slot_count; i++) {
        nc_source *next = NULL;
        for (nc_source *e = old.slots[i]; e; e = next) {
            next = e->next;
            nc_source **to = slot_of(t, e->hash);
            e->next = *to;
            *to = e;
        }
    }
    nc_free(s->alloc, old.slots);
    return NACRE_OK;
}

static nc_source *find_or_make(nacre_sources *s, nc_source_table *t, const nc_ip *at)
{
    nc_source *e = find(s, t, at);
    if (e) {
        return e;
    }
    /* A table that cannot grow gets slower, and goes on. */
    if (t->count >= t->slot_count && grow_slots(s, t) != NACRE_OK && t->slot_count == 0) {
        return NULL;
    }
    e = nc_zalloc(s->alloc, sizeof(*e));
    if (!e) {
        return NULL;
    }
    e->at = *at;
    e->hash = hash_of(s, at);
    e->heap_at = NC_NOT_IN_HEAP;
    nc_source **to = slot_of(t, e->hash);
    e->next = *to;
    *to = e;
    t->count++;
    return e;
}

/* Nothing is known of it any more. */
static void drop_if_idle(nacre_sources *s, nc_source_table *t, nc_source *e)
{
    if (e->waiting > 0 || e->heap_at != NC_NOT_IN_HEAP) {
        return;
    }
    nc_source **at = slot_of(t, e->hash);
    while (*at != e) {
        at = &(*at)->next;
    }
    *at = e->next;
    t->count--;
    nc_free(s->alloc, e);
}

/* ---- the heap: what ends soonest on top ---------------------------------------------------------------------- */

static void heap_put(nc_source_table *t, size_t at, nc_source *e)
{
    t->heap[at] = e;
    e->heap_at = at;
}

static void heap_sift(nc_source_table *t, size_t at)
{
    nc_source *e = t->heap[at];
    while (at > 0 && t->heap[(at - 1) / 2]->until_ms > e->until_ms) {
        heap_put(t, at, t->heap[(at - 1) / 2]);
        at = (at - 1) / 2;
    }
    for (;;) {
        size_t child = 2 * at + 1;
        if (child + 1 < t->heap_count && t->heap[child + 1]->until_ms < t->heap[child]->until_ms) {
            child++;
        }
        if (child >= t->heap_count || t->heap[child]->until_ms >= e->until_ms) {
            break;
        }
        heap_put(t, at, t->heap[child]);
        at = child;
    }
    heap_put(t, at, e);
}

static void heap_take_out(nc_source_table *t, nc_source *e)
{
    size_t at = e->heap_at;
    nc_source *last = t->heap[--t->heap_count];
    e->heap_at = NC_NOT_IN_HEAP;
    e->refused = false;
    e->until_ms = 0;
    if (last != e) {
        heap_put(t, at, last);
        heap_sift(t, at);
    }
}

static int heap_add(nacre_sources *s, nc_source_table *t, nc_source *e)
{
    if (t->heap_count == t->heap_cap) {
        size_t cap = t->heap_cap ? t->heap_cap * 2 : FIRST_SLOTS;
        nc_source **grown = nc_resize(s->alloc, t->heap, cap * sizeof(*grown));
        if (!grown) {
            return NACRE_NO_MEMORY;
        }
        t->heap = grown;
        t->heap_cap = cap;
    }
    heap_put(t, t->heap_count++, e);
    heap_sift(t, e->heap_at);
    return NACRE_OK;
}

static void forget_soonest(nacre_sources *s, nc_source_table *t)
{
    nc_source *e = t->heap[0];
    heap_take_out(t, e);
    drop_if_idle(s, t, e);
}

static void expire(nacre_sources *s, nc_source_table *t, uint64_t now_ms)
{
    while (t->heap_count > 0 && t->heap[0]->until_ms <= now_ms) {
        forget_soonest(s, t);
    }
}

/* ---- addresses -------------------------------------------------------------------------------------------------- */

/* The block of the peer's address, and which table it belongs to; NC_NO_TABLE: it has no address. */
static size_t block_of(const nacre_sources *s, const nacre_endpoint *peer, nc_ip *at)
{
    if (!peer || !nc_ip_parse(nc_span_cstr(peer->address), at)) {
        return NC_NO_TABLE;
    }
    unsigned keep = at->bits == 32 ? s->rules.block4 : s->rules.block6;
    for (unsigned i = keep; i < at->bits; i++) {
        at->bytes[i / 8] &= (uint8_t) ~(0x80u >> (i % 8));
    }
    return at->bits == 32 ? 0 : 1;
}

static nc_source_table *table_of(nacre_sources *s, const nacre_endpoint *peer, nc_ip *at)
{
    size_t k = block_of(s, peer, at);
    return k == NC_NO_TABLE ? NULL : &s->tables[k];
}

static const nc_source *source_of(const nacre_sources *s, const nacre_endpoint *peer)
{
    nc_ip at;
    size_t k = block_of(s, peer, &at);
    return k == NC_NO_TABLE ? NULL : find(s, &s->tables[k], &at);
}

static bool exempt(const nacre_sources *s, const nacre_endpoint *peer)
{
    return s->exempt && nc_peer_list(nc_span_cstr(peer->address), nc_span(NULL, 0),
                                     nc_span_cstr(s->exempt)) == NC_MATCH_YES;
}

/* ---- life ---------------------------------------------------------------------------------------------------------- */

int nacre_sources_new(nacre_sources **out, const nacre_source_rules *rules,
                      const nacre_allocator *allocator, nacre_error *err)
{
    nc_error_clear(err);
    *out = NULL;
    int rc = check_rules(rules, err);
    if (rc != NACRE_OK) {
        return rc;
    }
    nacre_sources *s = nc_zalloc(allocator, sizeof(*s));
    if (!s) {
        return nc_fail(err, NACRE_NO_MEMORY, "no memory to count sources");
    }
    s->alloc = allocator;
    nacre_source_rules_init(&s->rules);
    memcpy(&s->rules, rules, rules->size);
    s->rules.size = sizeof(s->rules);
    s->exempt = nc_strdup(allocator, rules->exempt);
    s->rules.exempt = s->exempt;
    s->tables[0].max = s->rules.max_sources4;
    s->tables[1].max = s->rules.max_sources6;
    s->tables[0].deny = s->rules.deny_overflow4;
    s->tables[1].deny = s->rules.deny_overflow6;
    nc_random random = {NULL, NULL};
    if (rules->exempt && !s->exempt) {
        rc = nc_fail(err, NACRE_NO_MEMORY, "no memory to count sources");
    } else if (nc_random_bytes(&random, s->secret, sizeof(s->secret)) != NACRE_OK) {
        rc = nc_fail(err, NACRE_CRYPTO, "no random bytes for a table of sources");
    }
    if (rc != NACRE_OK) {
        nacre_sources_free(s);
        return rc;
    }
    *out = s;
    return NACRE_OK;
}

void nacre_sources_free(nacre_sources *s)
{
    if (!s) {
        return;
    }
    for (size_t k = 0; k < 2; k++) {
        nc_source_table *t = &s->tables[k];
        for (size_t i = 0; i < t->slot_count; i++) {
            while (t->slots[i]) {
                nc_source *e = t->slots[i];
                t->slots[i] = e->next;
                nc_free(s->alloc, e);
            }
        }
        nc_free(s->alloc, t->slots);
        nc_free(s->alloc, t->heap);
    }
    nc_free(s->alloc, s->exempt);
    nc_wipe_free(s->alloc, s, sizeof(*s));
}

/* ---- connections that are not logged in ----------------------------------------------------------------------------- */

static uint32_t most_waiting(const nacre_sources *s)
{
    uint32_t most = 0;
    for (const nc_source *e = s->crowd; e; e = e->crowd_next) {
        most = e->waiting > most ? e->waiting : most;
    }
    return most;
}

static void crowd_add(nacre_sources *s, nc_source *e)
{
    e->crowd_prev = NULL;
    e->crowd_next = s->crowd;
    if (s->crowd) {
        s->crowd->crowd_prev = e;
    }
    s->crowd = e;
}

static void crowd_remove(nacre_sources *s, nc_source *e)
{
    if (e->crowd_prev) {
        e->crowd_prev->crowd_next = e->crowd_next;
    } else {
        s->crowd = e->crowd_next;
    }
    if (e->crowd_next) {
        e->crowd_next->crowd_prev = e->crowd_prev;
    }
}

static nacre_admission judge_penalty(nacre_sources *s, nc_source_table *t, const nc_source *e,
                                     const nacre_endpoint *peer)
{
    if (!s->rules.penalties || exempt(s, peer)) {
        return NACRE_ADMIT;
    }
    if (e && e->refused) {
        return NACRE_ADMIT_NOT_PENALTY;
    }
    return t->deny && t->heap_count >= t->max ? NACRE_ADMIT_NOT_OVERFLOW : NACRE_ADMIT;
}

static nacre_admission judge_startups(const nacre_sources *s, uint32_t of_source, uint32_t dice)
{
    const nacre_source_rules *r = &s->rules;
    if (r->per_source > 0 && of_source >= r->per_source) {
        return NACRE_ADMIT_NOT_SOURCE;
    }
    if (!nacre_startups_refuse(s->counts.waiting, r->startups_begin, r->startups_rate,
                               r->startups_full, dice)) {
        return NACRE_ADMIT;
    }
    /* Two more, so that two sources in turn do not throw each other out for ever. */
    bool fair = !r->no_instead && most_waiting(s) >= (uint64_t)of_source + 2;
    return fair ? NACRE_ADMIT_INSTEAD : NACRE_ADMIT_NOT_STARTUPS;
}

static uint64_t *counter_of(nacre_sources *s, nacre_admission verdict)
{
    switch (verdict) {
    case NACRE_ADMIT:
        return &s->counts.admitted;
    case NACRE_ADMIT_INSTEAD:
        return &s->counts.instead;
    case NACRE_ADMIT_NOT_SOURCE:
        return &s->counts.refused_source;
    case NACRE_ADMIT_NOT_PENALTY:
        return &s->counts.refused_penalty;
    case NACRE_ADMIT_NOT_OVERFLOW:
        return &s->counts.refused_overflow;
    default:
        return &s->counts.refused_startups;
    }
}

nacre_admission nacre_sources_ask(nacre_sources *s, const nacre_endpoint *peer, uint64_t now_ms,
                                  uint32_t dice)
{
    nc_ip at;
    nacre_admission verdict = NACRE_ADMIT;
    nc_source_table *t = table_of(s, peer, &at);
    const nc_source *e = NULL;
    if (t) {
        expire(s, t, now_ms);
        e = find(s, t, &at);
        verdict = judge_penalty(s, t, e, peer);
    }
    if (verdict == NACRE_ADMIT) {
        verdict = judge_startups(s, e ? e->waiting : 0, dice);
    }
    (*counter_of(s, verdict))++;
    return verdict;
}

int nacre_sources_enter(nacre_sources *s, const nacre_endpoint *peer)
{
    nc_ip at;
    nc_source_table *t = table_of(s, peer, &at);
    nc_source *e = t ? find_or_make(s, t, &at) : NULL;
    if (t && !e) {
        return NACRE_NO_MEMORY;
    }
    s->counts.waiting++;
    if (e && e->waiting++ == 0) {
        crowd_add(s, e);
    }
    return NACRE_OK;
}

void nacre_sources_leave(nacre_sources *s, const nacre_endpoint *peer)
{
    nc_ip at;
    nc_source_table *t = table_of(s, peer, &at);
    nc_source *e = t ? find(s, t, &at) : NULL;
    s->counts.waiting -= s->counts.waiting > 0 ? 1 : 0;
    if (e && e->waiting > 0 && --e->waiting == 0) {
        crowd_remove(s, e);
        drop_if_idle(s, t, e);
    }
}

bool nacre_sources_crowded(const nacre_sources *s, const nacre_endpoint *peer)
{
    const nc_source *e = source_of(s, peer);
    return e && e->waiting > 0 && e->waiting == most_waiting(s);
}

/* ---- penalties ---------------------------------------------------------------------------------------------------------- */

/* A place among those that are kept in mind; false: there is none. */
static bool make_room(nacre_sources *s, nc_source_table *t)
{
    if (t->heap_count < t->max) {
        return true;
    }
    if (t->deny) {
        return false;
    }
    s->counts.forgotten++;
    forget_soonest(s, t);
    return true;
}

static nc_source *place_for_penalty(nacre_sources *s, nc_source_table *t, const nc_ip *at)
{
    nc_source *e = find(s, t, at);
    if (e && e->heap_at != NC_NOT_IN_HEAP) {
        return e;
    }
    if (!make_room(s, t)) {
        return NULL;
    }
    e = find_or_make(s, t, at);
    if (e && heap_add(s, t, e) != NACRE_OK) {
        drop_if_idle(s, t, e);
        e = NULL;
    }
    s->counts.unnoted += e ? 0 : 1;
    return e;
}

uint32_t nacre_sources_penalize(nacre_sources *s, const nacre_endpoint *peer, nacre_offence offence,
                                uint64_t now_ms)
{
    nc_ip at;
    if ((unsigned)offence >= NACRE_OFFENCES || offence == NACRE_OFFENCE_NONE) {
        return 0;
    }
    s->counts.offences[offence]++;
    uint32_t add = s->rules.penalty_ms[offence];
    nc_source_table *t = table_of(s, peer, &at);
    if (!t || !s->rules.penalties || add == 0 || exempt(s, peer)) {
        return 0;
    }
    expire(s, t, now_ms);
    nc_source *e = place_for_penalty(s, t, &at);
    if (!e) {
        return 0;
    }
    uint64_t until = (e->until_ms > now_ms ? e->until_ms : now_ms) + add;
    uint64_t most = now_ms + s->rules.penalty_max_ms;
    e->until_ms = until < most ? until : most;
    if (!e->refused && e->until_ms - now_ms >= s->rules.penalty_min_ms) {
        e->refused = true;
        e->why = offence;
    }
    heap_sift(t, e->heap_at);
    return e->refused ? (uint32_t)(e->until_ms - now_ms) : 0;
}

uint32_t nacre_sources_refused_for(const nacre_sources *s, const nacre_endpoint *peer,
                                   uint64_t now_ms, nacre_offence *why)
{
    const nc_source *e = source_of(s, peer);
    bool refused = e && e->refused && e->until_ms > now_ms && !exempt(s, peer);
    if (why) {
        *why = refused ? e->why : NACRE_OFFENCE_NONE;
    }
    return refused ? (uint32_t)(e->until_ms - now_ms) : 0;
}

void nacre_sources_counts(const nacre_sources *s, nacre_source_counts *counts)
{
    nacre_source_counts now = s->counts;
    size_t n = counts->size < sizeof(now) ? counts->size : sizeof(now);
    now.size = n;
    now.sources4 = (uint32_t)s->tables[0].heap_count;
    now.sources6 = (uint32_t)s->tables[1].heap_count;
    memcpy(counts, &now, n);
}
