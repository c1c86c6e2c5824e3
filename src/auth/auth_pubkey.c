/*
 * auth_pubkey.c - the methods of a server that a key proves, publickey (under both its names) and
 * hostbased: is the key one that we can take, and is the signature good? Both are settled before the
 * application hears of it; whether the key may log in is the application's to say (auth_verdict.c).
 *
 * RFC 4252 7 and 9, RFC 8332 3.2, OpenSSH PROTOCOL 3.1 and PROTOCOL.certkeys. A certificate is read and its
 * CA's signature checked here; whether that CA is anybody is the application's to say.
 */
#include "auth/auth_state.h"

#include <string.h>

void nc_auth_server_drop_key(nc_auth *a)
{
    nc_auth_server *s = &a->server;
    nacre_key_free(s->offered);
    nacre_key_free(s->verified);
    s->offered = NULL;
    s->verified = NULL;
    s->alg = NULL;
    memset(&s->sk, 0, sizeof(s->sk));
}

/* What a request of the three methods says, whatever its layout. */
typedef struct key_request {
    nc_auth_claim claim;
    bool has_signature;
    nacre_span signature;
} key_request;

/* A key that we cannot take is an ordinary failure: the client has others (and other types). */
static int unacceptable(nc_auth *a, const nc_auth_claim *claim, const char *why)
{
    nc_logf(&a->link->log, NACRE_LOG_INFO, "auth: %s %s for %s refused: %s",
            nc_auth_method_name(claim->method), NC_ESC(claim->algorithm),
            NC_ESC(nc_span_cstr(a->server.user)), why);
    nc_auth_server_drop_key(a);
    return nc_auth_server_refuse(a, true);
}

/* RFC 4252 7: one key does not count twice, with a certificate and without. */
static bool key_used_before(const nc_auth_server *s, const nacre_key *k)
{
    for (uint32_t i = 0; i < s->keys_used; i++) {
        if (nc_span_eq(nc_key_plain_blob(s->used[i]), nc_key_plain_blob(k))) {
            return true;
        }
    }
    return false;
}

/* NULL: s->offered and s->alg are set; else why not. */
static const char *take_key(nc_auth *a, const nc_auth_claim *claim)
{
    nc_auth_server *s = &a->server;
    const nc_cert_type *cert = NULL;
    nacre_error why;
    s->alg = nc_pubkey_alg_find(claim->algorithm, &cert);
    if (!s->alg) {
        return "unknown signature algorithm";
    }
    if (!nc_auth_algorithm_allowed(a->link, claim->method, claim->algorithm, s->alg)) {
        return "signature algorithm not allowed by the configuration";
    }
    if (!nc_span_is(nc_blob_type(claim->key), cert ? cert->name : s->alg->key_name)) {
        return "the key is not of the algorithm's type";
    }
    if (nacre_key_from_blob(&s->offered, a->link->alloc, claim->key, &why) != NACRE_OK) {
        nc_logf(&a->link->log, NACRE_LOG_VERBOSE, "auth: %s", why.text);
        return "the key could not be read";
    }
    if (nc_key_pubkey_alg(s->offered, claim->algorithm) != s->alg) {
        return "the key does not go with the algorithm";
    }
    if (nc_auth_key_too_small(a->link, s->offered)) {
        return "the RSA key is too small";
    }
    bool again = claim->method == NC_AUTH_PUBLICKEY && key_used_before(s, s->offered);
    return again ? "the key was used before" : NULL;
}

/* The only place that sets s->verified. */
static bool check_signature(nc_auth *a, const key_request *q)
{
    nc_auth_server *s = &a->server;
    nc_buf data;
    size_t request_at = 0;
    nc_buf_init(&data, a->link->alloc, NC_AUTH_MAX_SIGNED);
    int rc = nc_auth_signed_data(&data, a->link->session_id, &q->claim, &request_at);
    if (rc == NACRE_OK) {
        /* Certificates are negotiated by a name of their own and signed for by the plain one. */
        rc = nc_key_verify_details(s->offered, nc_span_cstr(s->alg->name), nc_buf_span(&data),
                                   q->signature, &s->sk);
    }
    bool touched = !s->sk.sk || (s->sk.flags & NACRE_SK_USER_PRESENT);
    if (rc == NACRE_OK && !touched && !a->link->config->untouched_keys) {
        rc = NACRE_BAD_SIGNATURE;
    }
    if (rc == NACRE_OK) {
        s->verified = nacre_key_ref(s->offered);
    }
    nc_buf_clear(&data);
    return rc == NACRE_OK;
}

static int judge(nc_auth *a, const key_request *q, nacre_event *ev)
{
    nc_auth_server *s = &a->server;
    const char *why = take_key(a, &q->claim);
    if (!why && q->has_signature && !check_signature(a, q)) {
        why = "the signature is not good";
    }
    if (why) {
        return unacceptable(a, &q->claim, why);
    }
    nc_question question = !q->has_signature                      ? NC_ASK_PROBE
                           : q->claim.method == NC_AUTH_HOSTBASED ? NC_ASK_HOSTBASED
                                                                  : NC_ASK_KEY;
    nc_auth_server_ask(a, question, ev);
    ev->u.auth.key = s->offered;
    ev->u.auth.algorithm = nc_key_pubkey_name(s->offered, s->alg);
    ev->u.auth.sk = s->sk;
    ev->u.auth.client_host = q->claim.client_host;
    ev->u.auth.client_user = q->claim.client_user;
    return NACRE_OK;
}

/* rc: of the layout so far; rest: what stands behind it. */
static int take_signature(nc_auth *a, int rc, nacre_span rest, key_request *q)
{
    nc_rd r = nc_rd_init(rest);
    if (rc == NACRE_OK && q->has_signature) {
        q->signature = nc_rd_str(&r);
    }
    if (rc != NACRE_OK || nc_rd_end(&r) != NACRE_OK) {
        return nc_link_fail(a->link, NACRE_MALFORMED,
                            "the client sent a malformed request for the method %s",
                            nc_auth_method_name(q->claim.method));
    }
    q->claim.user = a->server.user;
    return NACRE_OK;
}

int nc_auth_server_publickey(nc_auth *a, nacre_span data, nacre_event *ev)
{
    nc_msg_auth_publickey m;
    nc_rd r = nc_rd_init(data);
    int rc = NC_DECODE(auth_publickey, &r, &m);
    key_request q = {.claim = {.method = NC_AUTH_PUBLICKEY, .algorithm = m.algorithm, .key = m.key},
                     .has_signature = m.has_signature};
    rc = take_signature(a, rc, m.signature, &q);
    return rc == NACRE_OK ? judge(a, &q, ev) : rc;
}

int nc_auth_server_hostbound(nc_auth *a, nacre_span data, nacre_event *ev)
{
    nc_msg_auth_hostbound m;
    nc_rd r = nc_rd_init(data);
    int rc = NC_DECODE(auth_hostbound, &r, &m);
    key_request q = {.claim = {.method = NC_AUTH_PUBLICKEY,
                               .algorithm = m.algorithm,
                               .key = m.key,
                               .host_key = a->link->host_key},
                     .has_signature = m.has_signature};
    rc = take_signature(a, rc, m.signature, &q);
    if (rc != NACRE_OK) {
        return rc;
    }
    /*
     * The client means another server than us: what it signs was asked of it by somebody between, or
     * is played back from elsewhere. What is verified holds our key in any case.
     */
    if (m.host_key.n == 0 || !nc_span_eq(m.host_key, a->link->host_key)) {
        return nc_link_fail(a->link, NACRE_PROTOCOL,
                            "the client bound its login to another host key than the one of this "
                            "connection");
    }
    return judge(a, &q, ev);
}

int nc_auth_server_hostbased(nc_auth *a, nacre_span data, nacre_event *ev)
{
    nc_msg_auth_hostbased m;
    nc_rd r = nc_rd_init(data);
    int rc = NC_DECODE(auth_hostbased, &r, &m);
    key_request q = {.claim = {.method = NC_AUTH_HOSTBASED,
                               .algorithm = m.algorithm,
                               .key = m.key,
                               .client_host = m.client_host,
                               .client_user = m.client_user},
                     .has_signature = true};
    rc = take_signature(a, rc, m.signature, &q);
    if (rc != NACRE_OK) {
        return rc;
    }
    if (!nc_auth_fit_name(m.client_host) || !nc_auth_fit_name(m.client_user)) {
        return unacceptable(a, &q.claim, "the client's host or user name is not one");
    }
    return judge(a, &q, ev);
}
