/*
 * keyring_limits.c - what a key may be used for: constraints as they come with it (RFC 9987 3.2.7,
 * PROTOCOL.agent 2), the hops that a connection was bound to (PROTOCOL.agent 1), and the one against the
 * other.
 *
 * Destination constraints are kept as the bytes that came, which were checked whole, and are walked anew
 * for each question: they take no more memory than a client has sent.
 */
#include "keys/keyring.h"
#include "keys/pattern.h"

#include <string.h>

/* ---- reading ----------------------------------------------------------------------------------- */

/* One end of a hop, its keys still as bytes. */
typedef struct hop {
    nacre_span user, host, keys;
} hop;

typedef struct destination {
    hop from, to;
} destination;

static hop read_hop(nc_rd *r)
{
    nc_rd in = nc_rd_init(nc_rd_str(r));
    hop h;
    h.user = nc_rd_str(&in);
    h.host = nc_rd_str(&in);
    nacre_span reserved = nc_rd_str(&in);
    h.keys = nc_rd_rest(&in);
    if (nc_rd_end(&in) != NACRE_OK || reserved.n != 0) {
        nc_rd_fail(r);
    }
    return h;
}

/* The next of a list; false at its end, or when it is malformed (r's error says). */
static bool next_destination(nc_rd *r, destination *d)
{
    if (nc_rd_err(r) != NACRE_OK || nc_rd_left(r) == 0) {
        return false;
    }
    nc_rd in = nc_rd_init(nc_rd_str(r));
    d->from = read_hop(&in);
    d->to = read_hop(&in);
    nacre_span reserved = nc_rd_str(&in);
    if (nc_rd_end(&in) != NACRE_OK || reserved.n != 0) {
        nc_rd_fail(r);
    }
    return nc_rd_err(r) == NACRE_OK;
}

static bool next_host_key(nc_rd *r, nacre_span *blob, bool *is_ca)
{
    if (nc_rd_err(r) != NACRE_OK || nc_rd_left(r) == 0) {
        return false;
    }
    *blob = nc_rd_str(r);
    *is_ca = nc_rd_bool(r);
    return nc_rd_err(r) == NACRE_OK;
}

/* Every key must be one that could be compared: else the constraint says something that we do not know. */
static int check_hop(const nacre_keyring *k, const hop *h)
{
    nc_rd r = nc_rd_init(h->keys);
    nacre_span blob;
    bool is_ca;
    size_t n = 0;
    while (next_host_key(&r, &blob, &is_ca)) {
        nacre_key *key = NULL;
        int rc = ++n > NC_AGENT_MAX_DESTINATIONS ? NACRE_LIMIT
                                                 : nacre_key_from_blob(&key, k->alloc, blob, NULL);
        bool plain = rc == NACRE_OK && !nacre_key_is_cert(key);
        nacre_key_free(key);
        if (!plain) {
            return rc == NACRE_NO_MEMORY ? rc : NACRE_AGENT_REFUSED;
        }
    }
    return nc_rd_end(&r) == NACRE_OK ? NACRE_OK : NACRE_AGENT_REFUSED;
}

static int check_destination(const nacre_keyring *k, const destination *d)
{
    bool from_here = d->from.host.n == 0;
    if (d->from.user.n || from_here != (d->from.keys.n == 0) || d->to.host.n == 0 ||
        d->to.keys.n == 0 || d->to.user.n > NC_MAX_USER) {
        return NACRE_AGENT_REFUSED;
    }
    int rc = check_hop(k, &d->from);
    return rc == NACRE_OK ? check_hop(k, &d->to) : rc;
}

static int read_destinations(const nacre_keyring *k, nc_rd *r, nc_held_key *h)
{
    nacre_span list = nc_rd_str(r);
    nc_rd in = nc_rd_init(list);
    destination d;
    size_t n = 0;
    int rc = nc_rd_err(r) != NACRE_OK || list.n == 0 || h->destinations.len ? NACRE_AGENT_REFUSED
                                                                            : NACRE_OK;
    while (rc == NACRE_OK && next_destination(&in, &d)) {
        rc = ++n > NC_AGENT_MAX_DESTINATIONS ? NACRE_AGENT_REFUSED : check_destination(k, &d);
    }
    if (rc == NACRE_OK && nc_rd_end(&in) != NACRE_OK) {
        rc = NACRE_AGENT_REFUSED;
    }
    return rc == NACRE_OK ? nc_buf_append(&h->destinations, list.p, list.n) : rc;
}

static int read_extension(const nacre_keyring *k, nc_rd *r, nc_held_key *h)
{
    nacre_span name = nc_rd_str(r);
    if (nc_rd_err(r) == NACRE_OK && nc_span_is(name, NC_AGENT_CON_DESTINATION)) {
        return read_destinations(k, r, h);
    }
    nc_logf(&k->log, NACRE_LOG_INFO, "keyring: a key was not taken: the constraint %s is not known",
            NC_ESC(name));
    return NACRE_AGENT_REFUSED;
}

int nc_keyring_read_constraints(const nacre_keyring *k, nc_rd *r, nc_held_key *h)
{
    bool timed = false;
    uint32_t seconds = k->o.lifetime_seconds;
    int rc = NACRE_OK;
    h->confirm = false;
    while (rc == NACRE_OK && nc_rd_err(r) == NACRE_OK && nc_rd_left(r) > 0) {
        switch (nc_rd_u8(r)) {
        case SSH_AGENT_CONSTRAIN_LIFETIME:
            rc = timed ? NACRE_AGENT_REFUSED : NACRE_OK;
            timed = true;
            seconds = nc_rd_u32(r);
            break;
        case SSH_AGENT_CONSTRAIN_CONFIRM:
            rc = h->confirm || !k->o.confirm ? NACRE_AGENT_REFUSED : NACRE_OK;
            h->confirm = true;
            break;
        case SSH_AGENT_CONSTRAIN_EXTENSION:
            rc = read_extension(k, r, h);
            break;
        default:
            rc = NACRE_AGENT_REFUSED;
            break;
        }
    }
    if (rc == NACRE_OK && nc_rd_end(r) != NACRE_OK) {
        rc = NACRE_AGENT_REFUSED;
    }
    /* A lifetime of no seconds is over at once; none at all is the keyring's own. */
    h->dies_at = timed || seconds ? k->now_ms + (uint64_t)seconds * 1000 : UINT64_MAX;
    return rc;
}

/* ---- session-bind@openssh.com ------------------------------------------------------------------ */

static bool same_session(const nc_binding *b, nacre_span id)
{
    return nc_span_eq(nc_span(b->session_id, b->session_id_len), id);
}

/* May another hop be recorded? *known: it was already, by the same key. */
static bool hop_fits(const nacre_keyring_conn *c, const nacre_key *key, nacre_span id, bool *known)
{
    *known = false;
    for (size_t i = 0; i < c->binding_count; i++) {
        const nc_binding *b = &c->bindings[i];
        if (!b->forwarded) {
            return false; /* it was bound for a login: nothing comes behind that */
        }
        if (same_session(b, id)) {
            *known = nacre_key_equal(b->host_key, key);
            return *known;
        }
    }
    return c->binding_count < NC_AGENT_MAX_BINDINGS;
}

bool nc_keyring_bind(nacre_keyring_conn *c, nc_rd *r)
{
    nacre_key *key = NULL;
    bool known = false;
    nacre_span blob = nc_rd_str(r);
    nacre_span id = nc_rd_str(r);
    nacre_span signature = nc_rd_str(r);
    bool forwarding = nc_rd_bool(r);
    bool good = nc_rd_end(r) == NACRE_OK && id.n > 0 && id.n <= NC_AGENT_MAX_SESSION_ID &&
                nacre_key_from_blob(&key, c->ring->alloc, blob, NULL) == NACRE_OK &&
                nc_key_verify(key, nc_span(NULL, 0), id, signature) == NACRE_OK &&
                hop_fits(c, key, id, &known);
    if (good && !known) {
        nc_binding *b = &c->bindings[c->binding_count++];
        b->host_key = nacre_key_ref(key);
        memcpy(b->session_id, id.p, id.n);
        b->session_id_len = id.n;
        b->forwarded = forwarding;
    }
    nacre_key_free(key);
    /*
     * Who tried to bind is not on this machine for sure. Were a failure forgotten, constrained keys would
     * be free to whoever sends a bad signature first.
     */
    c->bind_failed = c->bind_failed || !good;
    return good;
}

/* ---- one against the other ---------------------------------------------------------------------- */

bool nc_keyring_cert_names(const nacre_keyring *k, const nacre_key *cert, nacre_span host)
{
    char name[256]; /* above the longest that DNS has */
    nacre_cert_rules rules;
    if (host.n >= sizeof(name) || memchr(host.p, 0, host.n)) {
        return false;
    }
    memcpy(name, host.p, host.n);
    name[host.n] = '\0';
    nacre_cert_rules_init(&rules, NACRE_CERT_HOST);
    rules.principal = name;
    rules.now = k->unix_seconds;
    return nacre_cert_check(cert, &rules, NULL) == NACRE_OK;
}

static bool key_matches(const nacre_keyring *k, const nacre_key *key, const hop *h, nacre_span blob,
                        bool is_ca)
{
    if (!nacre_key_is_cert(key)) {
        return !is_ca && nc_span_eq(nacre_key_blob(key), blob);
    }
    nacre_cert_info info;
    return is_ca && nacre_key_cert_info(key, &info) == NACRE_OK &&
           nc_span_eq(nacre_key_blob(info.ca), blob) && nc_keyring_cert_names(k, key, h->host);
}

static bool hop_matches(const nacre_keyring *k, const nacre_key *key, const hop *h)
{
    nc_rd r = nc_rd_init(h->keys);
    nacre_span blob;
    bool is_ca;
    while (next_host_key(&r, &blob, &is_ca)) {
        if (key_matches(k, key, h, blob, is_ca)) {
            return true;
        }
    }
    return false;
}

/* from NULL: this machine. to NULL: anywhere. user.p NULL: any. */
static bool hop_is_allowed(const nacre_keyring *k, const nc_held_key *held, const nacre_key *from,
                           const nacre_key *to, nacre_span user, nacre_span *host)
{
    nc_rd r = nc_rd_init(nc_buf_span(&held->destinations));
    destination d;
    while (next_destination(&r, &d)) {
        bool fits = from ? hop_matches(k, from, &d.from) : d.from.keys.n == 0;
        fits = fits && (!to || hop_matches(k, to, &d.to));
        fits = fits && (!user.p || d.to.user.n == 0 || nc_pattern_match(user, d.to.user, false));
        if (fits) {
            *host = d.to.host;
            return true;
        }
    }
    return false;
}

bool nc_keyring_permits(const nacre_keyring_conn *c, const nc_held_key *h, nacre_span user,
                        nacre_span *host)
{
    static const nacre_span anybody = {NULL, 0};
    nacre_span ignored;
    host = host ? host : &ignored;
    *host = nc_span(NULL, 0);
    if (h->destinations.len == 0) {
        return true;
    }
    if (c->bind_failed) {
        return false;
    }
    const nacre_key *from = NULL;
    for (size_t i = 0; i < c->binding_count; i++) {
        const nc_binding *b = &c->bindings[i];
        bool last = i + 1 == c->binding_count;
        /* All hops but the last forward the agent; a login is signed for where it does not. */
        if (last ? b->forwarded && user.p : !b->forwarded) {
            return false;
        }
        if (!hop_is_allowed(c->ring, h, from, b->host_key, last ? user : anybody, host)) {
            return false;
        }
        from = b->host_key;
    }
    /* Hides a key that may be used to log in at that host but not beyond it. */
    bool beyond = from && c->bindings[c->binding_count - 1].forwarded && !user.p;
    return !beyond || hop_is_allowed(c->ring, h, from, NULL, anybody, &ignored);
}
