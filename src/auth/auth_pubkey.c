/*
 * auth_pubkey.c - the method publickey of a server: is the key one that we can take, and is the
 * signature good? Both are settled before the application hears of it; whether the key may log in is
 * the application's to say (auth_verdict.c).
 *
 * RFC 4252 7, RFC 8332 3.2, OpenSSH PROTOCOL.certkeys is not spoken here.
 */
#include "auth/auth_state.h"

void nc_auth_server_drop_key(nc_auth *a)
{
    nc_auth_server *s = &a->server;
    nacre_key_free(s->offered);
    nacre_key_free(s->verified);
    s->offered = NULL;
    s->verified = NULL;
    s->alg = NULL;
}

/* A key that we cannot take is an ordinary failure: the client has others (and other types). */
static int unacceptable(nc_auth *a, nacre_span algorithm, const char *why)
{
    nc_logf(&a->link->log, NACRE_LOG_INFO, "auth: publickey %s for %s refused: %s",
            NC_ESC(algorithm), NC_ESC(nc_span_cstr(a->server.user)), why);
    return nc_auth_server_refuse(a, true);
}

/* RFC 4252 7: one key does not count twice. */
static bool key_used_before(const nc_auth_server *s, const nacre_key *k)
{
    for (uint32_t i = 0; i < s->keys_used; i++) {
        if (nacre_key_equal(s->used[i], k)) {
            return true;
        }
    }
    return false;
}

/* NULL: s->offered and s->alg are set; else why not. */
static const char *take_key(nc_auth *a, const nc_msg_auth_publickey *m)
{
    nc_auth_server *s = &a->server;
    s->alg = nc_sig_find(m->algorithm);
    if (!s->alg) {
        return "unknown signature algorithm";
    }
    if (!nc_auth_algorithm_allowed(a->link, s->alg)) {
        return "signature algorithm not allowed by the configuration";
    }
    if (!nc_span_is(nc_blob_type(m->key), s->alg->key_name)) {
        return "the key is not of the algorithm's type";
    }
    if (nacre_key_from_blob(&s->offered, a->link->alloc, m->key, NULL) != NACRE_OK) {
        return "the key could not be read";
    }
    if (nc_key_sig_alg(s->offered, m->algorithm) != s->alg) {
        return "the key does not go with the algorithm";
    }
    if (nc_auth_key_too_small(a->link, s->offered)) {
        return "the RSA key is too small";
    }
    return key_used_before(s, s->offered) ? "the key was used before" : NULL;
}

/* The only place that sets s->verified. */
static bool check_signature(nc_auth *a, nacre_span algorithm, nacre_span signature)
{
    nc_auth_server *s = &a->server;
    nc_buf data;
    size_t request_at = 0;
    nc_buf_init(&data, a->link->alloc, NC_AUTH_MAX_SIGNED);
    int rc = nc_auth_signed_data(&data, a->link->session_id, s->user, algorithm,
                                 nacre_key_blob(s->offered), &request_at);
    if (rc == NACRE_OK) {
        rc = nc_key_verify(s->offered, algorithm, nc_buf_span(&data), signature);
    }
    if (rc == NACRE_OK) {
        s->verified = nacre_key_ref(s->offered);
    }
    nc_buf_clear(&data);
    return rc == NACRE_OK;
}

int nc_auth_server_publickey(nc_auth *a, nacre_span data, nacre_event *ev)
{
    nc_auth_server *s = &a->server;
    nc_msg_auth_publickey m;
    nacre_span signature = {NULL, 0};
    nc_rd r = nc_rd_init(data);
    int rc = NC_DECODE(auth_publickey, &r, &m);
    nc_rd rest = nc_rd_init(m.signature);
    if (rc == NACRE_OK && m.has_signature) {
        signature = nc_rd_str(&rest);
    }
    if (rc != NACRE_OK || nc_rd_end(&rest) != NACRE_OK) {
        return nc_link_fail(a->link, NACRE_MALFORMED,
                            "the client sent a malformed request for the method publickey");
    }
    const char *why = take_key(a, &m);
    if (!why && m.has_signature && !check_signature(a, m.algorithm, signature)) {
        why = "the signature is not good";
    }
    if (why) {
        nc_auth_server_drop_key(a);
        return unacceptable(a, m.algorithm, why);
    }
    nc_auth_server_ask(a, m.has_signature ? NC_ASK_KEY : NC_ASK_PROBE, ev);
    ev->u.auth.key = s->offered;
    ev->u.auth.algorithm = s->alg->name;
    return NACRE_OK;
}
