/*
 * auth_ask.c - what the server asks during a login, answered: a signature by a key that has to be
 * unlocked first, prompts (RFC 4256), a new password for an expired one (RFC 4252 8).
 */
#include "client/state.h"
#include "nacre/cert.h"

#include <stdio.h>
#include <string.h>

int nc_auth_ask(nacre_client *c, nacre_answer_kind kind, const char *prompt, bool echo,
                unsigned attempt, char *out, size_t size)
{
    const nacre_client_callbacks *cb = &c->cfg.callbacks;
    if (!cb->ask_secret) {
        return -1;
    }
    int n = cb->ask_secret(cb->user, kind, prompt, echo, attempt, out, size);
    return n < 0 || (size_t)n > size ? -1 : n;
}

/* The questions of the present round are over, whatever came of them. */
static int answer(nacre_client *c, const nacre_answer *a)
{
    uint32_t ticket = c->auth.ticket;
    int rc = nacre_transport_answer(c->t, ticket, a);
    if (rc == NACRE_INVALID_ARGUMENT || rc == NACRE_TOO_LARGE) {
        rc = nacre_transport_refuse(c->t, ticket); /* such an answer cannot be sent: give it up */
    }
    nc_auth_question_drop(c);
    nacre_driver_kick(c->d);
    /* A ticket that died with the connection is no failure of ours: the next wait tells. */
    return rc == NACRE_NOT_FOUND || c->closed ? NACRE_OK : rc;
}

/* The private half of what is offered, whatever certificate that shows. */
static bool is_private_half(const nacre_key *key, const nacre_key *offered)
{
    nacre_key *plain = NULL;
    bool same = nacre_key_plain(&plain, offered) == NACRE_OK && nacre_key_equal(key, plain);
    nacre_key_free(plain);
    return same;
}

static int sign_with_file(nacre_client *c, uint8_t **sig, size_t *n)
{
    nacre_key *key = NULL;
    int rc = nc_auth_unlock(c, c->auth.key_path, &key);
    if (rc == NACRE_OK && !is_private_half(key, c->auth.sign_key)) {
        nc_client_warn(c, "%s: its public key file belongs to another key",
                       NC_ESC(nc_span_cstr(c->auth.key_path)));
        rc = NACRE_BAD_KEY;
    }
    if (rc == NACRE_OK) {
        rc = nacre_key_sign(key, c->auth.sign_algorithm, c->auth.sign_data, sig, n);
    }
    if (rc == NACRE_OK) {
        nacre_key_free(c->auth.loaded);
        c->auth.loaded = nacre_key_ref(key);
        c->auth.loaded_path = c->auth.key_path;
    }
    nacre_key_free(key);
    return rc;
}

static int serve_sign(nacre_client *c)
{
    uint8_t *sig = NULL;
    size_t n = 0;
    nacre_answer a;
    int rc;
    memset(&a, 0, sizeof(a));
    if (c->auth.signer) {
        rc = nc_auth_agent_sign(c, c->auth.signer, c->auth.sign_algorithm, c->auth.sign_data, &sig,
                                &n);
        if (rc != NACRE_OK && rc != NACRE_AGENT_REFUSED) {
            return rc; /* the login is over */
        }
    } else if (c->auth.keysign) {
        rc = nc_keysign(c, c->auth.keysign, c->in_fd, c->auth.sign_data, &sig, &n);
    } else {
        rc = sign_with_file(c, &sig, &n);
    }
    if (rc == NACRE_OK) {
        a.accept = true;
        a.signature = nc_span(sig, n);
    }
    rc = answer(c, &a);
    nacre_secret_free(c->alloc, sig, n);
    return rc;
}

typedef struct responses {
    nacre_span at[NC_PROMPTS_MAX];
    char text[NC_PROMPTS_MAX][NC_SECRET_MAX];
} responses;

/* The account's password answers a single hidden prompt, once: a second one wants something else. */
static bool answer_with_password(nacre_client *c, responses *r)
{
    nc_auth_state *a = &c->auth;
    if (a->prompt_count != 1 || a->prompts[0].echo || !c->cfg.password.p || a->password_spent) {
        return false;
    }
    a->password_spent = true;
    r->at[0] = c->cfg.password;
    return true;
}

static bool ask_prompts(nacre_client *c, responses *r)
{
    nc_auth_state *a = &c->auth;
    char shown[NC_SECRET_MAX + NC_NAME_MAX];
    for (size_t i = 0; i < a->prompt_count; i++) {
        /* Who asks stands before the question: it might look like one of ours. */
        int at = snprintf(shown, sizeof(shown), "(%s@%s) ", NC_ESC(nc_span_cstr(c->cfg.user)),
                          NC_ESC(nc_span_cstr(c->host)));
        (void)nacre_escape(shown + at, sizeof(shown) - (size_t)at, a->prompts[i].text);
        int n = nc_auth_ask(c, NACRE_ASK_PROMPT, shown, a->prompts[i].echo, 1, r->text[i],
                            NC_SECRET_MAX);
        if (n < 0) {
            return false;
        }
        r->at[i] = nc_span(r->text[i], (size_t)n);
    }
    return true;
}

static int serve_prompts(nacre_client *c)
{
    nc_auth_state *a = &c->auth;
    nacre_answer ans;
    memset(&ans, 0, sizeof(ans));
    responses *r = nc_zalloc(c->alloc, sizeof(*r));
    if (!r) {
        return nc_client_fail(c, NACRE_NO_MEMORY, "out of memory");
    }
    if (c->cfg.callbacks.instruction && (a->name.n || a->instruction.n)) {
        c->cfg.callbacks.instruction(c->cfg.callbacks.user, a->name, a->instruction);
    }
    if (!c->no_passwords && (answer_with_password(c, r) || ask_prompts(c, r))) {
        ans.accept = true;
        ans.responses = r->at;
        ans.count = a->prompt_count;
    }
    int rc = answer(c, &ans);
    nc_wipe_free(c->alloc, r, sizeof(*r));
    return rc;
}

static int serve_change(nacre_client *c)
{
    nc_auth_state *a = &c->auth;
    char shown[NC_SECRET_MAX];
    char fresh[NC_SECRET_MAX];
    nacre_answer ans;
    memset(&ans, 0, sizeof(ans));
    nacre_span both[2] = {a->password, {NULL, 0}};
    (void)nacre_escape(shown, sizeof(shown), a->instruction);
    int n = nc_auth_ask(c, NACRE_ASK_NEW_PASSWORD, shown, false, 1, fresh, sizeof(fresh));
    if (n >= 0 && a->password.p) {
        both[1] = nc_span(fresh, (size_t)n);
        ans.accept = true;
        ans.responses = both;
        ans.count = 2;
    }
    int rc = answer(c, &ans);
    nc_wipe(fresh, sizeof(fresh));
    return rc;
}

int nc_auth_serve(nacre_client *c)
{
    switch (c->auth.question) {
    case NC_ASKS_SIGN:
        return serve_sign(c);
    case NC_ASKS_PROMPTS:
        return serve_prompts(c);
    case NC_ASKS_CHANGE:
        return serve_change(c);
    default:
        return NACRE_OK;
    }
}
