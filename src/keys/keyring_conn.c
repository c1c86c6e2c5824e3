/*
 * keyring_conn.c - one client of a keyring: requests in order, one reply each (RFC 9987 3).
 *
 * A request that has to wait, for a person or for the time after a wrong passphrase, holds up its own
 * connection alone. Input and output are bounded by a message each and a little.
 */
#include "keys/keyring.h"

#include <string.h>

enum {
    IN_MAX = 4 + NC_AGENT_MAX_MESSAGE,
    /* Replies that nobody fetches stop the reading of requests. */
    OUT_SOFT = 64 * 1024,
    OUT_MAX = OUT_SOFT + 4 + NC_AGENT_MAX_MESSAGE
};

int nacre_keyring_connect(nacre_keyring_conn **out, nacre_keyring *k)
{
    *out = nc_zalloc(k->alloc, sizeof(**out));
    if (!*out) {
        return NACRE_NO_MEMORY;
    }
    (*out)->ring = k;
    (*out)->next = k->conns;
    k->conns = *out;
    nc_queue_init(&(*out)->in, k->alloc, IN_MAX);
    nc_queue_init(&(*out)->out, k->alloc, OUT_MAX);
    return NACRE_OK;
}

void nacre_keyring_conn_free(nacre_keyring_conn *c)
{
    if (!c) {
        return;
    }
    nacre_keyring_conn **at = &c->ring->conns;
    while (*at != c) {
        at = &(*at)->next;
    }
    *at = c->next;
    for (size_t i = 0; i < c->binding_count; i++) {
        nacre_key_free(c->bindings[i].host_key);
    }
    nc_queue_clear(&c->in);
    nc_queue_clear(&c->out);
    nc_wipe_free(c->ring->alloc, c, sizeof(*c));
}

/* ---- requests: each writes the payload of its reply, or says no by its status -------------------------- */

static int list(nacre_keyring_conn *c, nc_rd *r, nc_wr *w)
{
    nacre_keyring *k = c->ring;
    static const nacre_span nobody = {NULL, 0};
    uint32_t n = 0;
    if (nc_rd_end(r) != NACRE_OK) {
        return NACRE_AGENT_REFUSED;
    }
    for (size_t i = 0; !k->locked && i < k->count; i++) {
        n += nc_keyring_permits(c, &k->held[i], nobody, NULL);
    }
    nc_wr_u8(w, SSH_AGENT_IDENTITIES_ANSWER);
    nc_wr_u32(w, n);
    for (size_t i = 0; n && i < k->count; i++) {
        if (nc_keyring_permits(c, &k->held[i], nobody, NULL)) {
            nc_wr_str(w, nacre_key_blob(k->held[i].key));
            nc_wr_cstr(w, nacre_key_comment(k->held[i].key));
        }
    }
    return nc_wr_err(w);
}

static int sign(nacre_keyring_conn *c, nc_rd *r, nc_wr *w)
{
    nc_buf blob;
    nc_buf_init(&blob, c->ring->alloc, NC_MAX_KEY_BLOB);
    int rc = nc_keyring_sign(c, nc_rd_rest(r), &blob);
    if (rc == NACRE_OK) {
        nc_wr_u8(w, SSH_AGENT_SIGN_RESPONSE);
        nc_wr_str(w, nc_buf_span(&blob));
        rc = nc_wr_err(w);
    }
    nc_buf_clear(&blob);
    return rc;
}

static int success(nc_wr *w, int rc)
{
    if (rc == NACRE_OK) {
        nc_wr_u8(w, SSH_AGENT_SUCCESS);
        rc = nc_wr_err(w);
    }
    return rc;
}

/* A key that the connection may not even see is not changed by it either. */
static bool may_touch(nacre_keyring_conn *c, nacre_span blob)
{
    static const nacre_span nobody = {NULL, 0};
    const nc_held_key *old = nc_keyring_find(c->ring, blob);
    return !old || nc_keyring_permits(c, old, nobody, NULL);
}

static int comment_key(nacre_key **key, nacre_span comment, const nacre_allocator *a)
{
    nacre_key *named = NULL;
    if (comment.n > NC_MAX_KEY_COMMENT) {
        comment.n = NC_MAX_KEY_COMMENT;
    }
    char *text = nc_strndup(a, comment);
    int rc = text ? nacre_key_with_comment(&named, *key, text) : NACRE_NO_MEMORY;
    nc_free(a, text);
    if (rc == NACRE_OK) {
        nacre_key_free(*key);
        *key = named;
    }
    return rc;
}

static int add_key(nacre_keyring_conn *c, nc_rd *r, bool constrained)
{
    nacre_keyring *k = c->ring;
    nc_held_key h;
    memset(&h, 0, sizeof(h));
    nc_buf_init(&h.destinations, k->alloc, NC_AGENT_MAX_MESSAGE);
    int rc = nc_agent_read_key(&h.key, k->alloc, r);
    nacre_span comment = nc_rd_str(r);
    if (rc == NACRE_OK && (nc_rd_err(r) != NACRE_OK || (!constrained && nc_rd_left(r)))) {
        rc = NACRE_MALFORMED;
    }
    if (rc == NACRE_OK) {
        rc = comment_key(&h.key, comment, k->alloc);
    }
    if (rc == NACRE_OK) {
        rc = nc_keyring_read_constraints(k, r, &h);
    }
    if (rc == NACRE_OK && !may_touch(c, nacre_key_blob(h.key))) {
        rc = NACRE_AGENT_REFUSED;
    }
    if (rc == NACRE_OK) {
        rc = nc_keyring_put(k, &h);
    }
    nc_held_key_clear(&h);
    return rc;
}

static int add(nacre_keyring_conn *c, nc_rd *r, nc_wr *w)
{
    return success(w, add_key(c, r, false));
}

static int add_constrained(nacre_keyring_conn *c, nc_rd *r, nc_wr *w)
{
    return success(w, add_key(c, r, true));
}

static int remove_key(nacre_keyring_conn *c, nc_rd *r, nc_wr *w)
{
    nacre_span blob = nc_rd_str(r);
    nc_held_key *h = nc_rd_end(r) == NACRE_OK ? nc_keyring_find(c->ring, blob) : NULL;
    if (!h || !may_touch(c, blob)) {
        return NACRE_AGENT_REFUSED;
    }
    nc_keyring_drop(c->ring, h);
    return success(w, NACRE_OK);
}

static int remove_all(nacre_keyring_conn *c, nc_rd *r, nc_wr *w)
{
    if (nc_rd_end(r) != NACRE_OK) {
        return NACRE_AGENT_REFUSED;
    }
    nacre_keyring_remove_all(c->ring);
    return success(w, NACRE_OK);
}

static int lock(nacre_keyring_conn *c, nc_rd *r, nc_wr *w)
{
    nacre_span passphrase = nc_rd_str(r);
    return nc_rd_end(r) == NACRE_OK ? success(w, nc_keyring_lock(c->ring, passphrase))
                                    : NACRE_AGENT_REFUSED;
}

static int unlock(nacre_keyring_conn *c, nc_rd *r, nc_wr *w)
{
    nacre_span passphrase = nc_rd_str(r);
    int rc = nc_rd_end(r) == NACRE_OK ? nc_keyring_unlock(c->ring, passphrase) : NACRE_MALFORMED;
    c->wait = rc == NACRE_AGAIN ? NC_WAIT_TIME : NC_WAIT_NOTHING;
    return success(w, rc);
}

static int extension(nacre_keyring_conn *c, nc_rd *r, nc_wr *w)
{
    nacre_span name = nc_rd_str(r);
    if (nc_rd_err(r) == NACRE_OK && nc_span_is(name, NC_AGENT_EXT_BIND)) {
        /* Locked or not: a hop that was missed now would be missing when it is unlocked. */
        nc_wr_u8(w, nc_keyring_bind(c, r) ? SSH_AGENT_SUCCESS : SSH_AGENT_EXTENSION_FAILURE);
        return nc_wr_err(w);
    }
    if (c->ring->locked || !nc_span_is(name, NC_AGENT_EXT_QUERY) || nc_rd_end(r) != NACRE_OK) {
        return NACRE_AGENT_REFUSED; /* RFC 9987 3.8: FAILURE says that it is not known */
    }
    nc_wr_u8(w, SSH_AGENT_EXTENSION_RESPONSE);
    nc_wr_cstr(w, NC_AGENT_EXT_QUERY);
    nc_wr_cstr(w, NC_AGENT_EXT_QUERY);
    nc_wr_cstr(w, NC_AGENT_EXT_BIND);
    return nc_wr_err(w);
}

/* ---- dispatch ------------------------------------------------------------------------------------ */

typedef struct request_row {
    uint8_t type;
    bool when_locked;
    int (*serve)(nacre_keyring_conn *c, nc_rd *r, nc_wr *w);
} request_row;

static const request_row rows[] = {
    {SSH_AGENTC_REQUEST_IDENTITIES, true, list}, /* an empty list */
    {SSH_AGENTC_SIGN_REQUEST, false, sign},
    {SSH_AGENTC_ADD_IDENTITY, false, add},
    {SSH_AGENTC_ADD_ID_CONSTRAINED, false, add_constrained},
    {SSH_AGENTC_REMOVE_IDENTITY, false, remove_key},
    {SSH_AGENTC_REMOVE_ALL_IDENTITIES, false, remove_all},
    {SSH_AGENTC_LOCK, false, lock},
    {SSH_AGENTC_UNLOCK, true, unlock},
    {SSH_AGENTC_EXTENSION, true, extension},
};

/* What has no row, tokens among it, is refused. */
static int serve(nacre_keyring_conn *c, nacre_span msg, nc_wr *w)
{
    nc_rd r = nc_rd_init(msg);
    uint8_t type = nc_rd_u8(&r);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        if (rows[i].type == type) {
            return c->ring->locked && !rows[i].when_locked ? NACRE_AGENT_REFUSED
                                                           : rows[i].serve(c, &r, w);
        }
    }
    return NACRE_AGENT_REFUSED;
}

/* One request, and its reply queued. NACRE_AGAIN: it waits, and stays at the head of the input. */
static int step(nacre_keyring_conn *c)
{
    nacre_span msg;
    int rc = nc_agent_frame(&c->in, &msg);
    if (rc != NACRE_OK) {
        return rc;
    }
    nc_buf *out = &c->out.buf;
    rc = nc_queue_reserve(&c->out, 4 + NC_AGENT_MAX_MESSAGE);
    if (rc != NACRE_OK) {
        return rc;
    }
    size_t before = out->len;
    nc_wr w = nc_wr_init(out);
    size_t mark = nc_wr_begin_str(&w);
    rc = serve(c, msg, &w);
    if (rc == NACRE_AGAIN) {
        nc_buf_truncate(out, before);
        return rc;
    }
    /* Whatever was waited for is over, also when the request was refused without a look at the answer. */
    c->wait = NC_WAIT_NOTHING;
    c->answered = c->yes = false;
    c->ticket = 0;
    if (rc != NACRE_OK || out->len - before - 4 > NC_AGENT_MAX_MESSAGE) {
        nc_buf_truncate(out, before);
        w = nc_wr_init(out);
        mark = nc_wr_begin_str(&w);
        nc_wr_u8(&w, SSH_AGENT_FAILURE);
    }
    nc_wr_end_str(&w, mark);
    nc_wipe(nc_queue_front(&c->in), msg.n + 4); /* a private key, or a passphrase */
    nc_queue_consume(&c->in, msg.n + 4);
    return nc_wr_err(&w);
}

static bool may_step(const nacre_keyring_conn *c)
{
    return !c->broken && nc_queue_len(&c->out) < OUT_SOFT &&
           (c->wait != NC_WAIT_PERSON || c->answered) &&
           (c->wait != NC_WAIT_TIME || c->ring->now_ms >= c->ring->unlock_at);
}

static int run(nacre_keyring_conn *c)
{
    int rc = NACRE_OK;
    if (c->stepping) {
        return rc;
    }
    c->stepping = true;
    while (rc == NACRE_OK && may_step(c)) {
        rc = step(c);
    }
    c->stepping = false;
    if (rc == NACRE_AGAIN) {
        rc = NACRE_OK;
    }
    c->broken = c->broken || rc != NACRE_OK;
    return rc;
}

int nacre_keyring_received(nacre_keyring_conn *c, nacre_span bytes, size_t *took)
{
    *took = 0;
    if (c->broken) {
        return NACRE_AGENT_PROTOCOL;
    }
    for (;;) {
        int rc = run(c);
        size_t left = bytes.n - *took, room = IN_MAX - nc_queue_len(&c->in);
        size_t n = left < room ? left : room;
        if (rc != NACRE_OK || n == 0) {
            return rc;
        }
        rc = nc_queue_append(&c->in, bytes.p + *took, n);
        if (rc != NACRE_OK) {
            return rc;
        }
        *took += n;
    }
}

bool nacre_keyring_wants_input(const nacre_keyring_conn *c)
{
    return !c->broken && nc_queue_len(&c->in) < IN_MAX;
}

nacre_span nacre_keyring_output(const nacre_keyring_conn *c)
{
    return nc_span(nc_queue_front(&c->out), nc_queue_len(&c->out));
}

void nacre_keyring_sent(nacre_keyring_conn *c, size_t n)
{
    nc_queue_consume(&c->out, n);
    if (nc_queue_len(&c->in) == 0) {
        nc_queue_shrink(&c->in, 0);
    }
    nc_queue_shrink(&c->out, 0);
}

int nacre_keyring_answer(nacre_keyring *k, uint32_t ticket, bool yes)
{
    for (nacre_keyring_conn *c = k->conns; c && ticket; c = c->next) {
        if (c->wait == NC_WAIT_PERSON && c->ticket == ticket && !c->answered) {
            c->answered = true;
            c->yes = yes;
            (void)run(c); /* inside the callback: goes on when it returns */
            return NACRE_OK;
        }
    }
    return NACRE_NOT_FOUND;
}
