/*
 * auth_sigdata.c - what a publickey request signs, and which signature algorithm may be used: the same
 * for the side that signs and the side that verifies, so that they cannot differ.
 *
 * RFC 4252 7 (data to be signed), RFC 8308 3.1 (server-sig-algs), RFC 8332 3.2 and 3.3 (RSA).
 */
#include "auth/auth_state.h"

#include <string.h>

#include "transport/version.h"

int nc_auth_signed_data(nc_buf *out, nacre_span session_id, const char *user, nacre_span algorithm,
                        nacre_span key_blob, size_t *request_at)
{
    nc_msg_userauth_request request = {
        .user = nc_span_cstr(user),
        .service = nc_span_cstr(nc_auth_service_wanted),
        .method = nc_span_cstr(nc_auth_method_name(NC_AUTH_PUBLICKEY)),
    };
    nc_msg_auth_publickey data = {.has_signature = true, .algorithm = algorithm, .key = key_blob};
    nc_wr w = nc_wr_init(out);
    nc_wr_str(&w, session_id);
    *request_at = out->len;
    NC_ENCODE(userauth_request, &w, &request);
    NC_ENCODE(auth_publickey, &w, &data);
    return nc_wr_err(&w);
}

bool nc_auth_algorithm_allowed(const nc_link *l, const nc_sig_alg *alg)
{
    if (!l->config->signature) {
        return !alg->insecure;
    }
    return nc_namelist_has(nc_span_cstr(l->config->signature), alg->name);
}

bool nc_auth_key_too_small(const nc_link *l, const nacre_key *k)
{
    return strcmp(nacre_key_type(k), "ssh-rsa") == 0 && nacre_key_bits(k) < l->config->min_rsa_bits;
}

/* One pass over the candidates: the first that both sides name wins, the first of ours is kept. */
typedef struct choice {
    nacre_span server; /* server-sig-algs */
    const nc_sig_alg *common;
    const nc_sig_alg *ours;
} choice;

static void consider(choice *c, const nc_link *l, const nc_sig_alg *alg)
{
    if (!alg || !nc_auth_algorithm_allowed(l, alg)) {
        return;
    }
    c->ours = c->ours ? c->ours : alg;
    if (!c->common && nc_namelist_has(c->server, alg->name)) {
        c->common = alg;
    }
}

const nc_sig_alg *nc_auth_choose_algorithm(const nc_link *l, const nacre_key *k)
{
    choice c;
    memset(&c, 0, sizeof(c));
    bool told = l->ops->peer_extension && l->ops->peer_extension(l, "server-sig-algs", &c.server);
    bool rsa = strcmp(nacre_key_type(k), "ssh-rsa") == 0;
    if (rsa && (l->quirks & NC_QUIRK_HIDES_RSA_SHA2)) {
        c.server = nc_span_cstr("rsa-sha2-512,rsa-sha2-256");
    }
    if (l->config->signature) {
        nacre_span list = nc_span_cstr(l->config->signature);
        nacre_span name;
        while (nc_namelist_next(&list, &name)) {
            consider(&c, l, nc_key_sig_alg(k, name));
        }
    } else {
        consider(&c, l, nc_key_sig_alg(k, nc_span_cstr("rsa-sha2-512")));
        size_t at = 0;
        for (const nc_sig_alg *alg; (alg = nc_key_next_alg(k, &at)) != NULL;) {
            consider(&c, l, alg);
        }
    }
    if (c.common) {
        return c.common;
    }
    /*
     * The list need not be complete (RFC 8308 3.1), and keys other than RSA have one algorithm only, so
     * those are tried anyway. An RSA key is not: a server that lists no SHA-2 wants SHA-1.
     */
    return told && rsa ? NULL : c.ours;
}
