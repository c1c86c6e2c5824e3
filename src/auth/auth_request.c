/*
 * auth_request.c - what a client sends: the requests of the five methods and the continuations of two
 * of them. Whether it is the time to send is auth_client.c's business.
 *
 * RFC 4252 5, 7, 8, 9; PROTOCOL 3.1; RFC 4256 3.1, 3.4. Passwords go straight into the packet, without a copy between.
 */
#include "auth/auth_state.h"

/* Opens a request packet and writes what all methods have. */
static nc_wr *begin_request(nc_auth *a, size_t hint)
{
    nc_msg_userauth_request request = {
        .user = nc_span_cstr(a->client.user),
        .service = nc_span_cstr(nc_auth_service_wanted),
        .method = nc_span_cstr(nc_auth_method_name(a->client.method)),
    };
    nc_wr *w = a->link->ops->begin(a->link, hint + request.user.n + 64);
    NC_ENCODE(userauth_request, w, &request);
    return w;
}

int nc_auth_send_password(nc_auth *a, nacre_span password, const nacre_span *new_password)
{
    nc_msg_auth_password data = {.change = new_password != NULL, .password = password};
    nc_wr *w = begin_request(a, password.n + (new_password ? new_password->n : 0) + 16);
    NC_ENCODE(auth_password, w, &data);
    if (new_password) {
        nc_wr_str(w, *new_password);
    }
    a->client.state = NC_CLIENT_SENT;
    a->client.secret_given = true;
    return a->link->ops->end(a->link);
}

int nc_auth_send_responses(nc_auth *a, const nacre_span *responses, size_t count)
{
    size_t hint = 16;
    for (size_t i = 0; i < count; i++) {
        hint += responses[i].n + 4;
    }
    nc_msg_userauth_info_response head = {.count = (uint32_t)count};
    nc_wr *w = a->link->ops->begin(a->link, hint);
    NC_ENCODE(userauth_info_response, w, &head);
    for (size_t i = 0; i < count; i++) {
        nc_wr_str(w, responses[i]);
    }
    a->client.state = NC_CLIENT_SENT;
    a->client.secret_given = a->client.secret_given || count > 0;
    return a->link->ops->end(a->link);
}

int nc_auth_send_signed(nc_auth *a, nacre_span signature)
{
    nc_auth_client *c = &a->client;
    nacre_span request =
        nc_span(c->signed_data.data + c->request_at, c->signed_data.len - c->request_at);
    nc_wr *w = a->link->ops->begin(a->link, request.n + signature.n + 4);
    nc_wr_bytes(w, request); /* the very bytes that were signed */
    nc_wr_str(w, signature);
    nc_buf_clear(&c->signed_data);
    c->state = NC_CLIENT_SENT;
    c->secret_given = true;
    return a->link->ops->end(a->link);
}

static int send_none(nc_auth *a)
{
    begin_request(a, 0);
    a->client.state = NC_CLIENT_SENT;
    return a->link->ops->end(a->link);
}

static int send_kept_password(nc_auth *a)
{
    int rc = nc_auth_send_password(a, nc_buf_span(&a->client.password), NULL);
    nc_buf_clear(&a->client.password);
    return rc;
}

static int send_interactive(nc_auth *a)
{
    nc_msg_auth_interactive data = {.submethods = nc_span_cstr(a->client.submethods)};
    nc_wr *w = begin_request(a, data.submethods.n + 16);
    NC_ENCODE(auth_interactive, w, &data);
    a->client.state = NC_CLIENT_SENT;
    return a->link->ops->end(a->link);
}

static int send_probe(nc_auth *a)
{
    nc_auth_client *c = &a->client;
    nc_msg_auth_publickey data = {
        .has_signature = false,
        .algorithm = nc_span_cstr(nc_key_pubkey_name(c->key, c->algorithm)),
        .key = nacre_key_blob(c->key),
    };
    nc_wr *w = begin_request(a, data.key.n + 64);
    NC_ENCODE(auth_publickey, w, &data);
    c->state = NC_CLIENT_PROBED;
    return a->link->ops->end(a->link);
}

/* Has the server said that it knows publickey-hostbound-v00@openssh.com (PROTOCOL 3.1)? */
static bool binds(const nc_auth *a)
{
    const nc_link *l = a->link;
    nacre_span version = {NULL, 0};
    return !l->config->unbound_keys && l->host_key.p && l->ops->peer_extension &&
           l->ops->peer_extension(l, "publickey-hostbound@openssh.com", &version) &&
           nc_span_is(version, "0");
}

int nc_auth_client_claim(nc_auth *a)
{
    nc_auth_client *c = &a->client;
    nc_auth_claim claim = {.method = c->method,
                           .user = c->user,
                           .algorithm = nc_span_cstr(nc_key_pubkey_name(c->key, c->algorithm)),
                           .key = nacre_key_blob(c->key),
                           .client_host = nc_span_cstr(c->client_host),
                           .client_user = nc_span_cstr(c->client_user)};
    if (c->method == NC_AUTH_PUBLICKEY && binds(a)) {
        claim.host_key = a->link->host_key;
    }
    nc_buf_clear(&c->signed_data);
    return nc_auth_signed_data(&c->signed_data, a->link->session_id, &claim, &c->request_at);
}

static int sign_and_send(nc_auth *a)
{
    nc_auth_client *c = &a->client;
    nacre_span algorithm = nc_span_cstr(c->algorithm->name);
    nc_buf signature;
    nc_buf_init(&signature, a->link->alloc, NC_MAX_KEY_BLOB);
    int rc = nc_auth_client_claim(a);
    if (rc == NACRE_OK) {
        rc = nc_key_sign_buf(c->key, algorithm, nc_buf_span(&c->signed_data), &signature);
    }
    if (rc == NACRE_OK) {
        rc = nc_auth_send_signed(a, nc_buf_span(&signature));
    }
    nc_buf_clear(&signature);
    return rc;
}

static int send_hostbased(nc_auth *a)
{
    nc_auth_client *c = &a->client;
    nc_logf(&a->link->log, NACRE_LOG_VERBOSE, "auth: signing with host key %s with %s",
            nacre_key_type(c->key), nc_key_pubkey_name(c->key, c->algorithm));
    if (nc_key_signs(c->key)) {
        return sign_and_send(a);
    }
    /* There is no offer to make first (RFC 4252 9): the signature is asked for at the next step. */
    int rc = nc_auth_client_claim(a);
    if (rc == NACRE_OK) {
        c->state = NC_CLIENT_SIGN_DUE;
    }
    return rc;
}

static int send_keyed(nc_auth *a)
{
    nc_auth_client *c = &a->client;
    if (!c->algorithm) {
        c->algorithm = nc_auth_choose_algorithm(a->link, c->method, c->key);
    }
    if (!c->algorithm) {
        return NACRE_UNSUPPORTED;
    }
    if (c->method == NC_AUTH_HOSTBASED) {
        return send_hostbased(a);
    }
    nc_logf(&a->link->log, NACRE_LOG_VERBOSE, "auth: %s %s key with %s",
            nc_key_signs(c->key) ? "signing with" : "offering", nacre_key_type(c->key),
            nc_key_pubkey_name(c->key, c->algorithm));
    return nc_key_signs(c->key) ? sign_and_send(a) : send_probe(a);
}

int nc_auth_client_send(nc_auth *a)
{
    static int (*const senders[NC_AUTH_UNKNOWN])(nc_auth *) = {
        [NC_AUTH_NONE] = send_none,       [NC_AUTH_PASSWORD] = send_kept_password,
        [NC_AUTH_PUBLICKEY] = send_keyed, [NC_AUTH_INTERACTIVE] = send_interactive,
        [NC_AUTH_HOSTBASED] = send_keyed,
    };
    nc_logf(&a->link->log, NACRE_LOG_VERBOSE, "auth: trying %s",
            nc_auth_method_name(a->client.method));
    return senders[a->client.method](a);
}
