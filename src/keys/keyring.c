/*
 * keyring.c - the store of a keyring: which keys it holds and for how long, and its lock.
 *
 * Not here: the protocol (keyring_conn.c), constraints other than time (keyring_limits.c).
 */
#include "keys/keyring.h"

#include <string.h>

enum {
    MAX_KEYS_DEFAULT = 256,
    /* As OpenSSH's agent: a tenth of a second more for every wrong guess, ten seconds at most. */
    GUESS_MS = 100,
    GUESSES_COUNTED = 100,
    LOCK_ROUNDS = 1
};

void nacre_keyring_options_init(nacre_keyring_options *o)
{
    memset(o, 0, sizeof(*o));
    o->size = sizeof(*o);
    o->max_keys = MAX_KEYS_DEFAULT;
}

int nacre_keyring_new(nacre_keyring **out, const nacre_keyring_options *o, uint64_t now_ms,
                      uint64_t unix_seconds)
{
    *out = NULL;
    if (!o || o->size != sizeof(*o)) {
        return NACRE_INVALID_ARGUMENT;
    }
    nacre_keyring *k = nc_zalloc(o->allocator, sizeof(*k));
    if (!k) {
        return NACRE_NO_MEMORY;
    }
    k->o = *o;
    k->alloc = o->allocator;
    k->log = (nc_log){o->log, o->log_user, o->log_level};
    k->now_ms = now_ms;
    k->unix_seconds = unix_seconds;
    *out = k;
    return NACRE_OK;
}

/* ---- keys -------------------------------------------------------------------------------------- */

void nc_held_key_clear(nc_held_key *h)
{
    nacre_key_free(h->key);
    h->key = NULL;
    nc_buf_clear(&h->destinations);
}

void nacre_keyring_remove_all(nacre_keyring *k)
{
    for (size_t i = 0; i < k->count; i++) {
        nc_held_key_clear(&k->held[i]);
    }
    k->count = 0;
}

void nacre_keyring_free(nacre_keyring *k)
{
    if (!k) {
        return;
    }
    nacre_keyring_remove_all(k);
    nc_free(k->alloc, k->held);
    nc_wipe_free(k->alloc, k, sizeof(*k));
}

nc_held_key *nc_keyring_find(nacre_keyring *k, nacre_span blob)
{
    for (size_t i = 0; i < k->count; i++) {
        if (nc_span_eq(nacre_key_blob(k->held[i].key), blob)) {
            return &k->held[i];
        }
    }
    return NULL;
}

void nc_keyring_drop(nacre_keyring *k, nc_held_key *h)
{
    size_t at = (size_t)(h - k->held);
    nc_held_key_clear(h);
    memmove(h, h + 1, (k->count - at - 1) * sizeof(*h));
    k->count--;
}

static int make_room(nacre_keyring *k)
{
    if (k->count >= k->o.max_keys) {
        return NACRE_LIMIT;
    }
    if (k->count < k->room) {
        return NACRE_OK;
    }
    size_t room = k->room ? k->room * 2 : 8;
    nc_held_key *more = nc_resize(k->alloc, k->held, room * sizeof(*more));
    if (!more) {
        return NACRE_NO_MEMORY;
    }
    k->held = more;
    k->room = room;
    return NACRE_OK;
}

int nc_keyring_put(nacre_keyring *k, nc_held_key *fresh)
{
    nc_held_key *old = nc_keyring_find(k, nacre_key_blob(fresh->key));
    if (!old) {
        int rc = make_room(k);
        if (rc != NACRE_OK) {
            return rc;
        }
        old = &k->held[k->count++];
    } else {
        nc_held_key_clear(old);
    }
    *old = *fresh;
    memset(fresh, 0, sizeof(*fresh));
    return NACRE_OK;
}

int nacre_keyring_add(nacre_keyring *k, nacre_key *key, const nacre_agent_constraints *constraints,
                      nacre_error *err)
{
    nc_held_key h;
    nc_buf bytes;
    nc_error_clear(err);
    if (constraints && constraints->size != sizeof(*constraints)) {
        return nc_fail(err, NACRE_INVALID_ARGUMENT,
                       "the constraints were not made by nacre_agent_constraints_init");
    }
    if (!nacre_key_is_private(key)) {
        return nc_fail(err, NACRE_NOT_PRIVATE, "a keyring holds private keys");
    }
    memset(&h, 0, sizeof(h));
    nc_buf_init(&bytes, k->alloc, NC_AGENT_MAX_MESSAGE);
    nc_buf_init(&h.destinations, k->alloc, NC_AGENT_MAX_MESSAGE);
    nc_wr w = nc_wr_init(&bytes);
    if (constraints) {
        nc_agent_write_constraints(&w, constraints);
    }
    int rc = nc_wr_err(&w);
    if (rc == NACRE_OK) {
        nc_rd r = nc_rd_init(nc_buf_span(&bytes));
        rc = nc_keyring_read_constraints(k, &r, &h);
    }
    if (rc == NACRE_OK) {
        h.key = nacre_key_ref(key);
        rc = nc_keyring_put(k, &h);
    }
    nc_held_key_clear(&h);
    nc_buf_clear(&bytes);
    return rc == NACRE_OK ? rc
                          : nc_fail(err, rc, "the keyring did not take the key: %s",
                                    rc == NACRE_LIMIT           ? "it is full"
                                    : rc == NACRE_AGENT_REFUSED ? "a constraint cannot be enforced"
                                                                : nacre_status_text(rc));
}

int nacre_keyring_remove(nacre_keyring *k, const nacre_key *key)
{
    nc_held_key *h = nc_keyring_find(k, nacre_key_blob(key));
    if (!h) {
        return NACRE_NOT_FOUND;
    }
    nc_keyring_drop(k, h);
    return NACRE_OK;
}

const nacre_key *nacre_keyring_at(const nacre_keyring *k, size_t index)
{
    return index < k->count ? k->held[index].key : NULL;
}

/* ---- time -------------------------------------------------------------------------------------- */

void nacre_keyring_advance(nacre_keyring *k, uint64_t now_ms, uint64_t unix_seconds)
{
    k->now_ms = now_ms;
    k->unix_seconds = unix_seconds;
    for (size_t i = k->count; i > 0; i--) {
        if (k->held[i - 1].dies_at <= now_ms) {
            nc_logf(&k->log, NACRE_LOG_VERBOSE, "keyring: a %s key has lived its time",
                    nacre_key_label(k->held[i - 1].key));
            nc_keyring_drop(k, &k->held[i - 1]);
        }
    }
}

uint64_t nacre_keyring_deadline(const nacre_keyring *k)
{
    uint64_t at = UINT64_MAX;
    for (size_t i = 0; i < k->count; i++) {
        at = k->held[i].dies_at < at ? k->held[i].dies_at : at;
    }
    for (const nacre_keyring_conn *c = k->conns; c; c = c->next) {
        if (c->wait == NC_WAIT_TIME && k->unlock_at < at) {
            at = k->unlock_at;
        }
    }
    return at;
}

/* ---- the lock ---------------------------------------------------------------------------------- */

static int digest(nacre_keyring *k, nacre_span passphrase, uint8_t out[NC_LOCK_HASH])
{
    return nc_bcrypt_pbkdf(passphrase, nc_span(k->salt, sizeof(k->salt)), LOCK_ROUNDS, out,
                           NC_LOCK_HASH);
}

bool nacre_keyring_locked(const nacre_keyring *k)
{
    return k->locked;
}

int nc_keyring_lock(nacre_keyring *k, nacre_span passphrase)
{
    nc_random random = {k->o.random, k->o.random_user};
    if (k->locked || passphrase.n == 0) {
        return NACRE_AGENT_REFUSED;
    }
    int rc = nc_random_bytes(&random, k->salt, sizeof(k->salt));
    if (rc == NACRE_OK) {
        rc = digest(k, passphrase, k->hash);
    }
    k->locked = rc == NACRE_OK;
    return rc;
}

int nc_keyring_unlock(nacre_keyring *k, nacre_span passphrase)
{
    uint8_t guess[NC_LOCK_HASH];
    if (!k->locked || passphrase.n == 0) {
        return NACRE_AGENT_REFUSED;
    }
    if (k->now_ms < k->unlock_at) {
        return NACRE_AGAIN;
    }
    int rc = digest(k, passphrase, guess);
    if (rc == NACRE_OK && nc_ct_equal(guess, k->hash, sizeof(guess))) {
        k->locked = false;
        k->guesses = 0;
        k->unlock_at = 0;
        nc_wipe(k->hash, sizeof(k->hash));
    } else if (rc == NACRE_OK) {
        k->guesses += k->guesses < GUESSES_COUNTED;
        k->unlock_at = k->now_ms + (uint64_t)GUESS_MS * k->guesses;
        rc = NACRE_AGENT_REFUSED;
    }
    nc_wipe(guess, sizeof(guess));
    return rc;
}
