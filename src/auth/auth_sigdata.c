/*
 * auth_sigdata.c - what a request of publickey or hostbased signs, and which signature algorithm may be
 * used: the same for the side that signs and the side that verifies, so that they cannot differ.
 *
 * RFC 4252 7 and 9 (data to be signed), OpenSSH PROTOCOL 3.1 (bound to a host key), RFC 8308 3.1
 * (server-sig-algs), RFC 8332 3.2 and 3.3 (RSA).
 */
#include "auth/auth_state.h"

#include <string.h>

#include "transport/version.h"

static void write_claim(nc_wr *w, const nc_auth_claim *c)
{
    if (c->method == NC_AUTH_HOSTBASED) {
        nc_msg_auth_hostbased m = {.algorithm = c->algorithm,
                                   .key = c->key,
                                   .client_host = c->client_host,
                                   .client_user = c->client_user};
        NC_ENCODE(auth_hostbased, w, &m);
    } else if (c->host_key.p) {
        nc_msg_auth_hostbound m = {.has_signature = true,
                                   .algorithm = c->algorithm,
                                   .key = c->key,
                                   .host_key = c->host_key};
        NC_ENCODE(auth_hostbound, w, &m);
    } else {
        nc_msg_auth_publickey m = {.has_signature = true, .algorithm = c->algorithm, .key = c->key};
        NC_ENCODE(auth_publickey, w, &m);
    }
}

int nc_auth_signed_data(nc_buf *out, nacre_span session_id, const nc_auth_claim *claim,
                        size_t *request_at)
{
    bool bound = claim->method == NC_AUTH_PUBLICKEY && claim->host_key.p;
    nc_msg_userauth_request request = {
        .user = nc_span_cstr(claim->user),
        .service = nc_span_cstr(nc_auth_service_wanted),
        .method = nc_span_cstr(bound ? nc_auth_hostbound : nc_auth_method_name(claim->method)),
    };
    nc_wr w = nc_wr_init(out);
    nc_wr_str(&w, session_id);
    *request_at = out->len;
    NC_ENCODE(userauth_request, &w, &request);
    write_claim(&w, claim);
    return nc_wr_err(&w);
}

static const char *configured(const nc_link *l, nc_auth_method m)
{
    return m == NC_AUTH_HOSTBASED ? l->config->hostbased : l->config->signature;
}

bool nc_auth_algorithm_allowed(const nc_link *l, nc_auth_method m, nacre_span name,
                               const nc_sig_alg *alg)
{
    const char *list = configured(l, m);
    nacre_span rest = nc_span_cstr(list);
    nacre_span one;
    bool found = false;
    while (!found && nc_namelist_next(&rest, &one)) {
        found = nc_span_eq(one, name);
    }
    return list ? found : !alg->insecure;
}

bool nc_auth_key_too_small(const nc_link *l, const nacre_key *k)
{
    return nc_key_is_rsa(k) && nacre_key_bits(k) < l->config->min_rsa_bits;
}

/* One pass over the candidates: the first that both sides name wins, the first of ours is kept. */
typedef struct choice {
    const nacre_key *key;
    nacre_span server; /* server-sig-algs */
    const nc_sig_alg *common;
    const nc_sig_alg *ours;
} choice;

/* An algorithm that the configuration names, or, where it names none, one that is not insecure; or NULL. */
static void consider(choice *c, const nc_sig_alg *alg)
{
    if (!alg) {
        return;
    }
    const char *name = nc_key_pubkey_name(c->key, alg);
    c->ours = c->ours ? c->ours : alg;
    /* OpenSSH lists how signatures are made, not what shows the key; others may list certificates. */
    if (!c->common && (nc_namelist_has(c->server, alg->name) || nc_namelist_has(c->server, name))) {
        c->common = alg;
    }
}

const nc_sig_alg *nc_auth_choose_algorithm(const nc_link *l, nc_auth_method m, const nacre_key *k)
{
    choice c;
    memset(&c, 0, sizeof(c));
    c.key = k;
    /* The list is of what the server takes from users (RFC 8308 3.1): of hosts it says nothing. */
    bool told = m == NC_AUTH_PUBLICKEY && l->ops->peer_extension &&
                l->ops->peer_extension(l, "server-sig-algs", &c.server);
    bool rsa = nc_key_is_rsa(k);
    if (rsa && (l->quirks & NC_QUIRK_HIDES_RSA_SHA2)) {
        c.server = nc_span_cstr("rsa-sha2-512,rsa-sha2-256");
    }
    if (configured(l, m)) {
        nacre_span list = nc_span_cstr(configured(l, m));
        nacre_span name;
        while (nc_namelist_next(&list, &name)) {
            consider(&c, nc_key_pubkey_alg(k, name));
        }
    } else {
        consider(&c, nc_key_sig_alg(k, nc_span_cstr("rsa-sha2-512")));
        size_t at = 0;
        for (const nc_sig_alg *alg; (alg = nc_key_next_alg(k, &at)) != NULL;) {
            consider(&c, alg);
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
