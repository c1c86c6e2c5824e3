/*
 * kex_host.c - the host key in a key exchange: the server computes the exchange hash and signs it, the
 * client computes it and checks signature and key (RFC 4253 8, RFC 8332). Trust in a key is the
 * application's to say, once; afterwards the key is pinned.
 */
#include <stdio.h>
#include <string.h>

#include "keys/cert.h"
#include "transport/core_state.h"
#include "transport/derive.h"

/* ---- which keys ---------------------------------------------------------------------------------- */

static bool key_is_usable(const nc_core *c, const nacre_key *k)
{
    return !nc_key_is_rsa(k) || nacre_key_bits(k) >= c->config.min_rsa_bits;
}

/* A certificate's algorithm needs a key that shows one, and a plain algorithm one that shows none. */
static bool supports(const nacre_key *k, nacre_span algorithm)
{
    return nc_key_pubkey_alg(k, algorithm) != NULL;
}

/* How signatures are made under what was negotiated: by the plain name (PROTOCOL.certkeys). */
static const char *signature_name(const nc_kex *k)
{
    const nc_sig_alg *alg = nc_pubkey_alg_find(nc_span_cstr(k->choice.host_key), NULL);
    return alg ? alg->name : k->choice.host_key;
}

nacre_key *nc_kex_find_host_key(const nc_core *c, const char *algorithm)
{
    for (size_t i = 0; i < c->host_key_count; i++) {
        nacre_key *k = c->host_keys[i];
        if (key_is_usable(c, k) && supports(k, nc_span_cstr(algorithm))) {
            return k;
        }
    }
    return NULL;
}

static bool may_offer(const nc_core *c, nacre_span name)
{
    if (c->host_key) {
        return supports(c->host_key, name);
    }
    for (size_t i = 0; i < c->host_key_count; i++) {
        if (key_is_usable(c, c->host_keys[i]) && supports(c->host_keys[i], name)) {
            return true;
        }
    }
    return false;
}

/*
 * Host key algorithms that we can stand by: a server's are those of its keys; once a key is in use, it
 * alone may come back in a re-exchange, so nothing else is offered.
 */
int nc_kex_host_key_list(nc_core *c)
{
    char names[2048]; /* all that are known have some 800 bytes */
    size_t n = 0;
    if (c->link.role == NACRE_CLIENT && !c->host_key) {
        return NACRE_OK;
    }
    nacre_span list = nc_span_cstr(c->proposal.lists[NC_SLOT_HOST_KEY]);
    nacre_span name;
    names[0] = '\0';
    while (nc_namelist_next(&list, &name)) {
        if (!may_offer(c, name) || n + name.n + 2 > sizeof(names)) {
            continue;
        }
        n += (size_t)snprintf(names + n, sizeof(names) - n, "%s%.*s", n ? "," : "", (int)name.n,
                              (const char *)name.p);
    }
    if (n == 0) {
        return nc_link_fail_local(&c->link, NACRE_WRONG_STATE,
                                  "the server has no host key that its host key algorithms and the "
                                  "least RSA size allow");
    }
    return nc_proposal_set(&c->proposal, NC_SLOT_HOST_KEY, names);
}

/* ---- the exchange hash ----------------------------------------------------------------------------- */

static int compute_hash(nc_core *c, nacre_span host_key, nacre_span client_value,
                        nacre_span server_value)
{
    nc_kex *k = &c->kex;
    bool client = c->link.role == NACRE_CLIENT;
    nacre_span ours = nc_span_cstr(c->our_version);
    nacre_span theirs = nc_span_cstr(c->peer_version);
    const nc_hash_alg *alg = nc_hash_get(k->choice.kex->hash);
    const nc_transcript t = {
        .client_version = client ? ours : theirs,
        .server_version = client ? theirs : ours,
        .client_kexinit = nc_buf_span(client ? &k->ours : &k->theirs),
        .server_kexinit = nc_buf_span(client ? &k->theirs : &k->ours),
        .host_key = host_key,
        .group_exchange = !k->choice.kex->kem,
        .min = k->gex_min,
        .preferred = k->gex_preferred,
        .max = k->gex_max,
        .group = nc_buf_span(&k->group),
        .client_value = client_value,
        .server_value = server_value,
        .secret = nc_buf_span(&k->secret),
    };
    k->hash_len = alg->len;
    return nc_exchange_hash(alg, &t, k->hash);
}

/* ---- server ---------------------------------------------------------------------------------------- */

static int send_reply(nc_core *c, nacre_span signature)
{
    nc_kex *k = &c->kex;
    nc_msg_kex_reply m = {nacre_key_blob(k->signing_key), nc_kex_own_value(c), signature};
    /* Same fields, another number (RFC 4419 3). */
    const nc_msg_desc *d = k->choice.kex->kem ? &nc_desc_kex_reply : &nc_desc_gex_reply;
    int rc = nc_core_send_now(c, d, &m);
    return rc == NACRE_OK ? nc_kex_send_newkeys(c) : rc;
}

static void ask(nc_core *c, nc_kex_step step)
{
    c->kex.ticket = nc_link_ticket(&c->link, NC_OWNER_TRANSPORT);
    c->kex.step = step;
    /* The application may take its time; the peer's clock is not ours. */
    c->kex.deadline = UINT64_MAX;
}

static int sign(nc_core *c, nacre_event *ev)
{
    nc_kex *k = &c->kex;
    nacre_span hash = nc_span(k->hash, k->hash_len);
    if (!nacre_key_is_private(k->signing_key)) {
        ask(c, NC_KEX_WAIT_SIGNATURE);
        ev->type = NACRE_EVENT_SIGN;
        ev->ticket = k->ticket;
        ev->u.sign.key = k->signing_key;
        ev->u.sign.algorithm = signature_name(k);
        ev->u.sign.data = hash;
        return NACRE_OK;
    }
    nc_buf signature;
    nc_buf_init(&signature, c->link.alloc, NC_MAX_KEY_BLOB);
    int rc = nc_key_sign_buf(k->signing_key, nc_span_cstr(signature_name(k)), hash, &signature);
    if (rc == NACRE_OK) {
        rc = send_reply(c, nc_buf_span(&signature));
    }
    nc_buf_clear(&signature);
    return rc;
}

int nc_kex_prove(nc_core *c, nacre_span client_value, nacre_event *ev)
{
    nc_kex *k = &c->kex;
    const nc_kem_alg *kem = nc_kex_kem(c);
    int rc = nc_kex_value_ok(c, client_value) ? nc_kex_prepare_value(c, kem) : NACRE_KEX_FAILED;
    if (rc == NACRE_OK) {
        rc = kem->respond(kem, c->link.alloc, &c->random, client_value, &k->public_value,
                          &k->secret);
    }
    if (rc == NACRE_KEX_FAILED) {
        return nc_link_fail(&c->link, rc, "the client's %s value is invalid", k->choice.kex->name);
    }
    if (rc == NACRE_OK) {
        rc = compute_hash(c, nacre_key_blob(k->signing_key), client_value, nc_kex_own_value(c));
    }
    return rc == NACRE_OK ? sign(c, ev) : rc;
}

/* ---- client ---------------------------------------------------------------------------------------- */

static int load_host_key(nc_core *c, nacre_span blob)
{
    nc_kex *k = &c->kex;
    nacre_error why;
    nc_error_clear(&why);
    int rc = nacre_key_from_blob(&k->candidate, c->link.alloc, blob, &why);
    if (rc == NACRE_NO_MEMORY) {
        return rc;
    }
    if (rc != NACRE_OK) {
        return nc_link_fail(&c->link, NACRE_BAD_KEY, "the server's host key cannot be used: %s",
                            why.text[0] ? why.text : nacre_status_text(rc));
    }
    if (!supports(k->candidate, nc_span_cstr(k->choice.host_key))) {
        return nc_link_fail(&c->link, NACRE_BAD_KEY,
                            "the server sent a host key of type %s; %s was negotiated",
                            nacre_key_type(k->candidate), k->choice.host_key);
    }
    if (!key_is_usable(c, k->candidate)) {
        return nc_link_fail(&c->link, NACRE_BAD_KEY,
                            "the server's RSA host key has %u bits; at least %u are demanded",
                            nacre_key_bits(k->candidate), c->config.min_rsa_bits);
    }
    /* The key that was trusted is the key for good; it may not change behind a trusted connection. */
    if (c->host_key && !nc_span_eq(nacre_key_blob(c->host_key), blob)) {
        return nc_link_fail(&c->link, NACRE_HOST_KEY_CHANGED,
                            "the server showed another host key in a re-exchange than at first");
    }
    return NACRE_OK;
}

static int ask_host_key(nc_core *c, nacre_event *ev)
{
    nc_kex *k = &c->kex;
    ask(c, NC_KEX_WAIT_VERDICT);
    ev->type = NACRE_EVENT_HOST_KEY;
    ev->ticket = k->ticket;
    ev->u.host_key.key = k->candidate;
    ev->u.host_key.algorithm = k->choice.host_key;
    return NACRE_OK;
}

int nc_kex_check_proof(nc_core *c, nacre_span blob, nacre_span server_value, nacre_span signature,
                       nacre_event *ev)
{
    nc_kex *k = &c->kex;
    int rc = load_host_key(c, blob);
    if (rc != NACRE_OK) {
        return rc;
    }
    rc = nc_kex_value_ok(c, server_value) ? nc_kex_kem(c)->finish(k->kem, server_value, &k->secret)
                                          : NACRE_KEX_FAILED;
    if (rc == NACRE_KEX_FAILED) {
        return nc_link_fail(&c->link, rc, "the server's %s value is invalid", k->choice.kex->name);
    }
    if (rc == NACRE_OK) {
        rc = compute_hash(c, blob, nc_kex_own_value(c), server_value);
    }
    if (rc != NACRE_OK) {
        return rc;
    }
    rc = nc_key_verify(k->candidate, nc_span_cstr(signature_name(k)), nc_span(k->hash, k->hash_len),
                       signature);
    if (rc != NACRE_OK && rc != NACRE_NO_MEMORY) {
        return nc_link_fail(&c->link, NACRE_BAD_SIGNATURE,
                            "the server's signature over the key exchange is wrong: it does not "
                            "hold the host key that it shows, or somebody changed the exchange");
    }
    if (rc != NACRE_OK) {
        return rc;
    }
    if (c->host_key) {
        return nc_kex_send_newkeys(c);
    }
    /* Who binds an agent to this session shows it as proof (session-bind@openssh.com). */
    nc_buf_reset(&c->host_signature);
    rc = nc_buf_append(&c->host_signature, signature.p, signature.n);
    return rc == NACRE_OK ? ask_host_key(c, ev) : rc;
}

/* ---- answers --------------------------------------------------------------------------------------- */

int nc_kex_answer(nc_core *c, const nacre_answer *answer)
{
    nc_kex *k = &c->kex;
    k->ticket = 0;
    nc_link_ticket_done(&c->link);
    if (c->config.kex_timeout_ms) {
        k->deadline = c->link.now_ms + c->config.kex_timeout_ms;
    }
    if (k->step == NC_KEX_WAIT_VERDICT) {
        if (!answer->accept) {
            (void)nc_link_fail_local(&c->link, NACRE_HOST_KEY_REJECTED,
                                     "the server's host key was not accepted");
            return NACRE_OK;
        }
        return nc_kex_send_newkeys(c);
    }
    if (!answer->accept || answer->signature.n == 0) {
        (void)nc_link_fail_local(&c->link, NACRE_KEX_FAILED, "the host key could not sign");
        return NACRE_OK;
    }
    /* An agent's mistake would be seen by the client only; here it has a name. */
    int rc = nc_key_verify(k->signing_key, nc_span_cstr(signature_name(k)),
                           nc_span(k->hash, k->hash_len), answer->signature);
    if (rc != NACRE_OK) {
        (void)nc_link_fail_local(&c->link, NACRE_KEX_FAILED,
                                 "the signature made for the host key is wrong");
        return NACRE_OK;
    }
    return send_reply(c, answer->signature);
}
