/*
 * hostkeys.c - see hostkeys.h.
 */
#include "channel/hostkeys.h"

#include "channel/internal.h"
#include "keys/key.h"
#include "nacre/cert.h"
#include "transport/version.h"

#include <string.h>

static const char announce_name[] = "hostkeys-00@openssh.com";
static const char prove_name[] = "hostkeys-prove-00@openssh.com";

enum {
    MAX_MESSAGE = 256 * 1024 /* the largest packet is no larger */
};

void nc_hostkeys_init(nc_hostkeys *h, const nacre_allocator *a)
{
    memset(h, 0, sizeof(*h));
    nc_buf_init(&h->signed_data, a, MAX_MESSAGE);
    nc_buf_init(&h->proof, a, MAX_MESSAGE);
}

static void free_keys(nc_link *l, nacre_key **keys, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        nacre_key_free(keys[i]);
    }
    nc_free(l->alloc, keys);
}

static void drop_keys(nc_hostkeys *h, nc_link *l)
{
    free_keys(l, h->keys, h->count);
    h->keys = NULL;
    h->count = h->room = 0;
}

static void drop_proving(nc_hostkeys *h, nc_link *l)
{
    free_keys(l, h->proving, h->proving_count);
    h->proving = NULL;
    h->proving_count = 0;
    h->proof_waits = false;
}

static void drop_request(nc_hostkeys *h, nc_link *l)
{
    nc_free(l->alloc, h->asked);
    h->asked = NULL;
    h->asked_count = h->asked_at = 0;
    h->request = 0;
    if (h->sign_ticket) {
        nc_link_ticket_done(l);
        h->sign_ticket = 0;
    }
    nc_buf_clear(&h->signed_data);
    nc_buf_clear(&h->proof);
}

void nc_hostkeys_over(nc_hostkeys *h, nc_link *l)
{
    drop_request(h, l);
}

void nc_hostkeys_clear(nc_hostkeys *h, nc_link *l)
{
    drop_request(h, l);
    drop_proving(h, l);
    drop_keys(h, l);
}

static int push_key(nc_hostkeys *h, nc_link *l, nacre_key *key)
{
    if (h->count == h->room) {
        size_t more = h->room ? h->room * 2 : 4;
        nacre_key **p = nc_resize(l->alloc, h->keys, more * sizeof(nacre_key *));
        if (!p) {
            return NACRE_NO_MEMORY;
        }
        h->keys = p;
        h->room = more;
    }
    h->keys[h->count++] = key;
    return NACRE_OK;
}

static nacre_key *find_key(const nc_hostkeys *h, nacre_span blob)
{
    for (size_t i = 0; i < h->count; i++) {
        if (nc_span_eq(nacre_key_blob(h->keys[i]), blob)) {
            return h->keys[i];
        }
    }
    return NULL;
}

static int put_string(nc_buf *b, nacre_span s)
{
    uint8_t *p = nc_buf_extend(b, 4 + s.n);
    if (!p) {
        return s.n > MAX_MESSAGE ? NACRE_TOO_LARGE : NACRE_NO_MEMORY;
    }
    p[0] = (uint8_t)(s.n >> 24);
    p[1] = (uint8_t)(s.n >> 16);
    p[2] = (uint8_t)(s.n >> 8);
    p[3] = (uint8_t)s.n;
    if (s.n) {
        memcpy(p + 4, s.p, s.n);
    }
    return NACRE_OK;
}

/* What is signed: that this key is this server's, in this session. */
static int signed_text(const nc_link *l, const nacre_key *key, nc_buf *out)
{
    nc_buf_reset(out);
    int rc = put_string(out, nc_span_cstr(prove_name));
    if (rc == NACRE_OK) {
        rc = put_string(out, l->session_id);
    }
    return rc == NACRE_OK ? put_string(out, nacre_key_blob(key)) : rc;
}

/*
 * RSA keys sign by the algorithm of the key exchange where that is one of theirs; else by their best. NULL:
 * the best.
 */
static const char *algorithm_for(const nc_link *l, const nacre_key *key)
{
    const char *used = l->host_key_algorithm;
    if (!used || strncmp(used, "rsa-sha2-", 9) != 0) {
        return NULL;
    }
    const char *name = strncmp(used, "rsa-sha2-256", 12) == 0 ? "rsa-sha2-256" : "rsa-sha2-512";
    return nc_key_supports(key, nc_span_cstr(name)) ? name : NULL;
}

/* ---- server: telling ------------------------------------------------------------------------------ */

int nc_mux_add_host_key(nc_mux *m, nacre_key *key)
{
    nacre_key *plain = NULL;
    int rc = nacre_key_is_cert(key) ? nacre_key_plain(&plain, key) : NACRE_OK;
    if (rc != NACRE_OK) {
        return rc;
    }
    plain = plain ? plain : nacre_key_ref(key);
    if (find_key(&m->host_keys, nacre_key_blob(plain))) {
        nacre_key_free(plain);
        return NACRE_OK;
    }
    rc = push_key(&m->host_keys, m->link, plain);
    if (rc != NACRE_OK) {
        nacre_key_free(plain);
    }
    return rc;
}

int nc_hostkeys_announce(nc_mux *m)
{
    nc_buf data;
    nc_hostkeys *h = &m->host_keys;
    if (m->link->role != NACRE_SERVER || !m->link->config->announce_host_keys || h->count == 0 ||
        (m->link->quirks & NC_QUIRK_NO_HOST_KEYS)) {
        return NACRE_OK;
    }
    nc_buf_init(&data, m->link->alloc, MAX_MESSAGE);
    int rc = NACRE_OK;
    for (size_t i = 0; rc == NACRE_OK && i < h->count; i++) {
        rc = put_string(&data, nacre_key_blob(h->keys[i]));
    }
    if (rc == NACRE_OK) {
        rc = nc_mux_global_request(m, announce_name, false, nc_buf_span(&data));
    }
    nc_buf_clear(&data);
    /* So many or so large that they fit into no message: it goes without. */
    return rc == NACRE_TOO_LARGE ? NACRE_OK : rc;
}

/* ---- server: proving ------------------------------------------------------------------------------ */

static int settle(nc_mux *m, bool yes)
{
    nc_hostkeys *h = &m->host_keys;
    nc_reply *slot = nc_replies_find(&m->answers, h->request);
    nacre_answer a = {.accept = yes, .data = yes ? nc_buf_span(&h->proof) : nc_span(NULL, 0)};
    if (a.data.n > NC_MAX_REQUEST) {
        a = (nacre_answer){.accept = false};
    }
    int rc = slot ? nc_global_answer(m, slot, &a) : NACRE_OK;
    drop_request(h, m->link);
    return rc;
}

/* Every key must be one of ours, each once: what a client may ask is bounded by what we have. */
static int read_request(nc_mux *m, nacre_span data)
{
    nc_hostkeys *h = &m->host_keys;
    nc_rd r = nc_rd_init(data);
    h->asked = nc_alloc_array(m->link->alloc, h->count + 1, sizeof(nacre_key *));
    if (!h->asked) {
        return NACRE_NO_MEMORY;
    }
    while (nc_rd_left(&r) > 0) {
        nacre_key *key = find_key(h, nc_rd_str(&r));
        if (nc_rd_err(&r) != NACRE_OK || !key) {
            return NACRE_MALFORMED;
        }
        for (size_t i = 0; i < h->asked_count; i++) {
            if (h->asked[i] == key) {
                return NACRE_MALFORMED;
            }
        }
        h->asked[h->asked_count++] = key;
    }
    return h->asked_count > 0 ? NACRE_OK : NACRE_MALFORMED;
}

int nc_hostkeys_prove(nc_mux *m, nacre_span data, uint32_t ticket, nacre_event *ev)
{
    nc_hostkeys *h = &m->host_keys;
    nc_reply *slot = nc_replies_find(&m->answers, ticket);
    nacre_answer no = {.accept = false};
    if (h->request || h->proofs >= NC_MAX_PROOFS) {
        int rc = slot ? nc_global_answer(m, slot, &no) : NACRE_OK;
        return rc == NACRE_OK ? NACRE_AGAIN : rc;
    }
    h->request = ticket;
    h->proofs++;
    int rc = read_request(m, data);
    if (rc != NACRE_OK) {
        nc_logf(&m->link->log, NACRE_LOG_INFO, "%s",
                rc == NACRE_NO_MEMORY ? "no memory to prove the host keys that the client asked for"
                                      : "the client asked for the proof of keys that are not ours");
        rc = settle(m, false);
        return rc == NACRE_OK ? NACRE_AGAIN : rc;
    }
    return nc_hostkeys_poll(m, ev);
}

static int sign_here(nc_mux *m, const nacre_key *key, const char *algorithm)
{
    nc_hostkeys *h = &m->host_keys;
    nc_buf sig;
    nc_buf_init(&sig, m->link->alloc, NC_MAX_KEY_BLOB);
    int rc = nc_key_sign_buf(key, nc_span_cstr(algorithm), nc_buf_span(&h->signed_data), &sig);
    if (rc == NACRE_OK) {
        rc = put_string(&h->proof, nc_buf_span(&sig));
    }
    nc_buf_clear(&sig);
    return rc;
}

static int ask_for_signature(nc_mux *m, const nacre_key *key, const char *algorithm,
                             nacre_event *ev)
{
    nc_hostkeys *h = &m->host_keys;
    size_t at = 0;
    if (!algorithm) {
        const nc_sig_alg *best = nc_key_next_alg(key, &at);
        algorithm = best ? best->name : "";
    }
    h->sign_ticket = nc_link_ticket(m->link, NC_OWNER_CHANNEL);
    nc_mux_event(ev, NACRE_EVENT_SIGN, NULL);
    ev->ticket = h->sign_ticket;
    ev->u.sign.key = key;
    ev->u.sign.algorithm = algorithm;
    ev->u.sign.data = nc_buf_span(&h->signed_data);
    return NACRE_OK;
}

int nc_hostkeys_poll(nc_mux *m, nacre_event *ev)
{
    nc_hostkeys *h = &m->host_keys;
    if (!h->request || h->sign_ticket) {
        return NACRE_AGAIN;
    }
    int rc = NACRE_OK;
    while (rc == NACRE_OK && h->asked_at < h->asked_count) {
        const nacre_key *key = h->asked[h->asked_at];
        const char *algorithm = algorithm_for(m->link, key);
        rc = signed_text(m->link, key, &h->signed_data);
        if (rc == NACRE_OK && !nacre_key_is_private(key)) {
            return ask_for_signature(m, key, algorithm, ev);
        }
        if (rc == NACRE_OK) {
            rc = sign_here(m, key, algorithm);
        }
        h->asked_at++;
    }
    rc = settle(m, rc == NACRE_OK);
    return rc == NACRE_OK ? NACRE_AGAIN : rc;
}

int nc_hostkeys_answer(nc_mux *m, uint32_t ticket, const nacre_answer *a)
{
    nc_hostkeys *h = &m->host_keys;
    if (!h->sign_ticket || ticket != h->sign_ticket) {
        return NACRE_NOT_FOUND;
    }
    h->sign_ticket = 0;
    nc_link_ticket_done(m->link);
    const nacre_key *key = h->asked[h->asked_at];
    const char *algorithm = algorithm_for(m->link, key);
    /* An agent's mistake would be seen by the client only. */
    bool good = a->accept && nc_key_verify(key, nc_span_cstr(algorithm),
                                           nc_buf_span(&h->signed_data), a->signature) == NACRE_OK;
    if (!good || put_string(&h->proof, a->signature) != NACRE_OK) {
        return settle(m, false);
    }
    h->asked_at++;
    return NACRE_OK; /* the next step goes on */
}

/* ---- client --------------------------------------------------------------------------------------- */

static void tell(nacre_event *ev, nacre_event_type type, nacre_key *const *keys, size_t count,
                 int status)
{
    nc_mux_event(ev, type, NULL);
    ev->u.host_keys.keys = keys;
    ev->u.host_keys.count = count;
    ev->u.host_keys.status = status;
}

/* Which of the announced keys could be used at all: as the key exchange would take them. */
static bool is_usable(const nc_link *l, const nacre_key *key)
{
    return !nacre_key_is_cert(key) && (strcmp(nacre_key_type(key), "ssh-rsa") != 0 ||
                                       nacre_key_bits(key) >= l->config->min_rsa_bits);
}

/* NACRE_OK: taken or left out. NACRE_PROTOCOL: the whole announcement is not worth anything. */
static int take_key(nc_mux *m, nacre_span blob)
{
    nc_hostkeys *h = &m->host_keys;
    nacre_key *key = NULL;
    if (find_key(h, blob)) {
        return NACRE_PROTOCOL;
    }
    int rc = nacre_key_from_blob(&key, m->link->alloc, blob, NULL);
    if (rc != NACRE_OK) {
        return rc == NACRE_NO_MEMORY ? rc : NACRE_OK; /* of a type that we lack, or a bad one */
    }
    rc = is_usable(m->link, key) ? push_key(h, m->link, key) : NACRE_AGAIN;
    if (rc != NACRE_OK) {
        nacre_key_free(key);
    }
    return rc == NACRE_AGAIN ? NACRE_OK : rc;
}

int nc_hostkeys_announced(nc_mux *m, nacre_span data, nacre_event *ev)
{
    nc_hostkeys *h = &m->host_keys;
    nc_rd r = nc_rd_init(data);
    int rc = NACRE_OK;
    if (h->announced) {
        nc_logf(&m->link->log, NACRE_LOG_VERBOSE,
                "the server announced its host keys once more; only the first time counts");
        return NACRE_AGAIN;
    }
    h->announced = true;
    for (size_t n = 0; rc == NACRE_OK && nc_rd_left(&r) > 0; n++) {
        nacre_span blob = nc_rd_str(&r);
        rc = nc_rd_err(&r);
        if (rc == NACRE_OK && n >= NC_MAX_ANNOUNCED_KEYS) {
            rc = NACRE_LIMIT;
        }
        if (rc == NACRE_OK) {
            rc = take_key(m, blob);
        }
    }
    if (rc != NACRE_OK || h->count == 0) {
        /* It changes nothing of the connection: the server is trusted by the key that it proved. */
        nc_logf(&m->link->log, NACRE_LOG_VERBOSE, "the server's list of host keys is not used: %s",
                rc == NACRE_OK         ? "none of them is of use"
                : rc == NACRE_PROTOCOL ? "a key stands there twice"
                                       : nacre_status_text(rc));
        drop_keys(h, m->link);
        return NACRE_AGAIN;
    }
    tell(ev, NACRE_EVENT_HOST_KEYS, h->keys, h->count, NACRE_OK);
    return NACRE_OK;
}

static int keep_proving(nc_mux *m, nacre_key *const *keys, size_t count)
{
    nc_hostkeys *h = &m->host_keys;
    h->proving = nc_alloc_array(m->link->alloc, count, sizeof(nacre_key *));
    if (!h->proving) {
        return NACRE_NO_MEMORY;
    }
    for (size_t i = 0; i < count; i++) {
        h->proving[i] = nacre_key_ref(keys[i]);
    }
    h->proving_count = count;
    return NACRE_OK;
}

int nc_mux_prove_host_keys(nc_mux *m, nacre_key *const *keys, size_t count)
{
    nc_hostkeys *h = &m->host_keys;
    nc_buf data;
    if (m->link->role != NACRE_CLIENT || count == 0 || count > NC_MAX_ANNOUNCED_KEYS) {
        return NACRE_INVALID_ARGUMENT;
    }
    if (h->proof_waits) {
        return NACRE_WRONG_STATE;
    }
    drop_proving(h, m->link);
    nc_buf_init(&data, m->link->alloc, MAX_MESSAGE);
    int rc = keep_proving(m, keys, count);
    for (size_t i = 0; rc == NACRE_OK && i < count; i++) {
        rc = put_string(&data, nacre_key_blob(keys[i]));
    }
    uint32_t place = (uint32_t)(m->asked_head + m->asked_count) % NC_MAX_GLOBAL_REQUESTS;
    if (rc == NACRE_OK) {
        rc = nc_mux_global_request(m, prove_name, true, nc_buf_span(&data));
    }
    nc_buf_clear(&data);
    if (rc != NACRE_OK) {
        drop_proving(h, m->link);
        return rc;
    }
    h->proof_at = place;
    h->proof_waits = true;
    return NACRE_OK;
}

/* All signatures, in the order of the keys, and nothing behind them. */
static int check_proof(nc_mux *m, nacre_span data)
{
    nc_hostkeys *h = &m->host_keys;
    nc_rd r = nc_rd_init(data);
    int rc = NACRE_OK;
    for (size_t i = 0; rc == NACRE_OK && i < h->proving_count; i++) {
        const nacre_key *key = h->proving[i];
        nacre_span sig = nc_rd_str(&r);
        rc = nc_rd_err(&r);
        if (rc == NACRE_OK) {
            rc = signed_text(m->link, key, &h->signed_data);
        }
        if (rc == NACRE_OK) {
            rc = nc_key_verify(key, nc_span_cstr(algorithm_for(m->link, key)),
                               nc_buf_span(&h->signed_data), sig);
        }
    }
    return rc == NACRE_OK ? nc_rd_end(&r) : rc;
}

int nc_hostkeys_reply(nc_mux *m, bool success, nacre_span data, nacre_event *ev)
{
    nc_hostkeys *h = &m->host_keys;
    int status = success ? check_proof(m, data) : NACRE_REQUEST_REFUSED;
    h->proof_waits = false;
    nc_buf_clear(&h->signed_data);
    tell(ev, NACRE_EVENT_HOST_KEYS_PROVEN, h->proving, status == NACRE_OK ? h->proving_count : 0,
         status);
    return NACRE_OK;
}
