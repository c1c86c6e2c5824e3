/*
 * keyring_sign.c - a request to sign (RFC 9987 3.6): which key, with which algorithm, whether the
 * connection may, whether a person agrees.
 *
 * A key with destination constraints signs nothing but logins (RFC 4252 7, and OpenSSH's
 * publickey-hostbound-v00): what is signed must name the session that the connection was bound to.
 */
#include "keys/keyring.h"

#include <string.h>

typedef struct sign_request {
    nacre_span blob, data;
    uint32_t flags;
    nc_held_key *held;
    const nc_sig_alg *alg;
    nacre_span user; /* p NULL: it is no login */
    nacre_span host;
} sign_request;

typedef struct login_request {
    nacre_span session_id, user, host_key; /* host_key.p NULL: not host-bound */
} login_request;

/* Is data what a client signs to log in with this key? */
static bool read_login(nacre_span data, const nacre_key *key, login_request *l)
{
    nc_rd r = nc_rd_init(data);
    memset(l, 0, sizeof(*l));
    l->session_id = nc_rd_str(&r);
    uint8_t number = nc_rd_u8(&r);
    l->user = nc_rd_str(&r);
    nacre_span service = nc_rd_str(&r);
    nacre_span method = nc_rd_str(&r);
    uint8_t has_signature = nc_rd_u8(&r);
    nacre_span algorithm = nc_rd_str(&r);
    nacre_span blob = nc_rd_str(&r);
    bool bound = nc_span_is(method, "publickey-hostbound-v00@openssh.com");
    if (bound) {
        l->host_key = nc_rd_str(&r);
    }
    return nc_rd_end(&r) == NACRE_OK && number == SSH_MSG_USERAUTH_REQUEST && has_signature == 1 &&
           l->session_id.n > 0 && nc_span_is(service, "ssh-connection") &&
           (bound || nc_span_is(method, "publickey")) && nc_span_eq(blob, nacre_key_blob(key)) &&
           nc_key_pubkey_alg(key, algorithm) != NULL;
}

/* NULL: the connection may; else why not. */
static const char *may_sign(const nacre_keyring_conn *c, sign_request *q)
{
    login_request l;
    bool login = read_login(q->data, q->held->key, &l);
    q->user = login ? l.user : nc_span(NULL, 0);
    if (q->held->destinations.len == 0) {
        return NULL;
    }
    if (c->binding_count == 0) {
        return "its destination is constrained, and the connection is bound to no session";
    }
    if (!login) {
        return "its destination is constrained, and what is to be signed is no login";
    }
    /* An empty name is a name too: the pattern must be asked. */
    nacre_span user = l.user.p ? l.user : nc_span("", 0);
    if (!nc_keyring_permits(c, q->held, user, &q->host)) {
        return "its constraints do not allow this destination";
    }
    const nc_binding *last = &c->bindings[c->binding_count - 1];
    if (!nc_span_eq(l.session_id, nc_span(last->session_id, last->session_id_len))) {
        return "the login is for another session than the connection was bound to last";
    }
    if (l.host_key.p ? !nc_span_eq(l.host_key, nacre_key_blob(last->host_key))
                     : c->binding_count > 1) {
        return "the login is not bound to the host key of the session";
    }
    return NULL;
}

static const nc_sig_alg *algorithm_of(const nacre_keyring *k, const sign_request *q)
{
    const nacre_key *key = q->held->key;
    size_t at = 0;
    if (!nc_key_sig_alg(key, nc_span_cstr("ssh-rsa"))) {
        /* The SHA-2 flags mean nothing for other keys; clients set them all the same. */
        return nc_key_next_alg(key, &at);
    }
    switch (q->flags) {
    case SSH_AGENT_RSA_SHA2_256:
        return nc_key_sig_alg(key, nc_span_cstr("rsa-sha2-256"));
    case SSH_AGENT_RSA_SHA2_512:
    case SSH_AGENT_RSA_SHA2_256 | SSH_AGENT_RSA_SHA2_512:
        return nc_key_sig_alg(key, nc_span_cstr("rsa-sha2-512"));
    case 0:
        return k->o.allow_sha1 ? nc_key_sig_alg(key, nc_span_cstr("ssh-rsa")) : NULL;
    default:
        return NULL;
    }
}

static const char *judge(nacre_keyring_conn *c, nacre_span request, sign_request *q)
{
    const uint32_t known = SSH_AGENT_RSA_SHA2_256 | SSH_AGENT_RSA_SHA2_512;
    nc_rd r = nc_rd_init(request);
    memset(q, 0, sizeof(*q));
    q->blob = nc_rd_str(&r);
    q->data = nc_rd_str(&r);
    q->flags = nc_rd_u32(&r);
    if (nc_rd_end(&r) != NACRE_OK) {
        return "the request is malformed";
    }
    q->held = nc_keyring_find(c->ring, q->blob);
    if (!q->held) {
        return "it is not held here";
    }
    if (q->flags & ~known) {
        return "unknown flags";
    }
    q->alg = algorithm_of(c->ring, q);
    if (!q->alg) {
        return "signatures with SHA-1 are not made";
    }
    return may_sign(c, q);
}

static void ask_person(nacre_keyring_conn *c, const sign_request *q)
{
    nacre_keyring *k = c->ring;
    char user[256], host[256];
    (void)nacre_escape(user, sizeof(user), q->user);
    (void)nacre_escape(host, sizeof(host), q->host);
    k->last_ticket += k->last_ticket == UINT32_MAX ? 2 : 1; /* never 0 */
    c->ticket = k->last_ticket;
    c->wait = NC_WAIT_PERSON;
    c->answered = c->yes = false;
    nacre_keyring_question question = {
        .keyring = k,
        .ticket = c->ticket,
        .key = q->held->key,
        .user = user,
        .host = host,
        .forwarded = c->binding_count > 1 || c->bind_failed ||
                     (c->binding_count == 1 && c->bindings[0].forwarded),
    };
    nacre_key *kept = nacre_key_ref(q->held->key);
    k->o.confirm(k->o.user, &question);
    nacre_key_free(kept);
}

int nc_keyring_sign(nacre_keyring_conn *c, nacre_span request, nc_buf *out)
{
    sign_request q;
    /* Asked anew after a person has answered: the key may be gone, or locked away, since. */
    const char *why = judge(c, request, &q);
    if (!why && q.held->confirm && !c->answered) {
        ask_person(c, &q);
        if (!c->answered) {
            return NACRE_AGAIN;
        }
        why = judge(c, request, &q);
    }
    if (!why && q.held->confirm && !c->yes) {
        why = "it was not confirmed";
    }
    if (why) {
        nc_logf(&c->ring->log, NACRE_LOG_INFO, "keyring: a key did not sign: %s", why);
        return NACRE_AGENT_REFUSED;
    }
    return nc_key_sign_buf(q.held->key, nc_span_cstr(q.alg->name), q.data, out);
}
