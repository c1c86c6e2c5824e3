/*
 * auth_client.c - the userauth client: one attempt at a time, and what each answer of the server means
 * in which state. What is sent is built in auth_request.c.
 *
 * RFC 4252 5.1 (results), 5.4 (banner), 7 (publickey), 8 (password), 9 (hostbased); RFC 4256 (keyboard-interactive).
 *
 * A server is not believed more than the protocol obliges: 60 means only what the method in flight
 * says, SUCCESS counts only as the answer to a request that could have earned it.
 */
#include "auth/auth_state.h"

#include <string.h>

void nc_auth_client_init(nc_auth *a)
{
    nc_auth_client *c = &a->client;
    nc_buf_init(&c->password, a->link->alloc, NC_MAX_PASSWORD);
    nc_buf_init(&c->signed_data, a->link->alloc, NC_AUTH_MAX_SIGNED);
    nc_buf_init(&c->methods, a->link->alloc, NC_MAX_NAMELIST);
}

static void drop_prompts(nc_auth *a)
{
    nc_free(a->link->alloc, a->client.prompts);
    a->client.prompts = NULL;
}

void nc_auth_client_forget(nc_auth *a)
{
    nc_auth_client *c = &a->client;
    nc_auth_ticket_done(a, &c->ticket);
    nc_buf_clear(&c->password);
    nc_buf_clear(&c->signed_data);
    nacre_key_free(c->key);
    c->key = NULL;
    c->algorithm = NULL;
    nc_free(a->link->alloc, c->submethods);
    c->submethods = NULL;
    nc_free(a->link->alloc, c->client_host);
    c->client_host = NULL;
    nc_free(a->link->alloc, c->client_user);
    c->client_user = NULL;
    nc_free(a->link->alloc, c->user);
    c->user = NULL;
    c->rounds = 0;
    c->secret_given = false;
    c->state = a->done || a->closed ? NC_CLIENT_DONE : NC_CLIENT_IDLE;
}

void nc_auth_client_clear(nc_auth *a)
{
    nc_auth_client_forget(a);
    drop_prompts(a);
    nc_buf_clear(&a->client.methods);
}

/* ---- calls of the application ------------------------------------------------------------------- */

/* Everything that can be refused before anything changes. */
static int may_begin(const nc_auth *a, const char *user)
{
    const nc_auth_client *c = &a->client;
    if (a->link->role != NACRE_CLIENT || a->closed || c->state != NC_CLIENT_IDLE || c->gave_up) {
        return NACRE_WRONG_STATE;
    }
    if (!user) {
        return NACRE_INVALID_ARGUMENT;
    }
    if (strlen(user) > NC_MAX_USER) {
        return NACRE_TOO_LARGE;
    }
    uint32_t max = a->link->config->max_auth_tries;
    return max && c->failures >= max ? NACRE_AUTH_LIMIT : NACRE_OK;
}

static int begin(nc_auth *a, nc_auth_method method, const char *user)
{
    a->client.user = nc_strdup(a->link->alloc, user);
    if (!a->client.user) {
        return NACRE_NO_MEMORY;
    }
    a->client.method = method;
    a->client.state = NC_CLIENT_KEPT;
    return NACRE_OK;
}

/* The attempt is complete: off it goes, or it waits for start. On failure it never was. */
static int go(nc_auth *a, int rc)
{
    if (rc == NACRE_OK && a->started) {
        rc = nc_auth_client_send(a);
    }
    if (rc != NACRE_OK) {
        nc_auth_client_forget(a);
    }
    return rc;
}

int nc_auth_none(nc_auth *a, const char *user)
{
    int rc = may_begin(a, user);
    return rc == NACRE_OK ? go(a, begin(a, NC_AUTH_NONE, user)) : rc;
}

int nc_auth_password(nc_auth *a, const char *user, nacre_span password)
{
    int rc = may_begin(a, user);
    if (rc != NACRE_OK) {
        return rc;
    }
    if (password.n > NC_MAX_PASSWORD) {
        return NACRE_TOO_LARGE;
    }
    rc = begin(a, NC_AUTH_PASSWORD, user);
    if (rc == NACRE_OK) {
        rc = nc_buf_append(&a->client.password, password.p, password.n);
    }
    return go(a, rc);
}

/* What the caller named must go with the key and with the configuration. */
static int named_algorithm(const nc_auth *a, nc_auth_method m, const nacre_key *key,
                           const char *name, const nc_sig_alg **alg)
{
    *alg = nc_key_sig_alg(key, nc_span_cstr(name));
    *alg = *alg ? *alg : nc_key_pubkey_alg(key, nc_span_cstr(name));
    if (!*alg) {
        return NACRE_UNKNOWN_NAME;
    }
    nacre_span shown = nc_span_cstr(nc_key_pubkey_name(key, *alg));
    return nc_auth_algorithm_allowed(a->link, m, shown, *alg) ? NACRE_OK : NACRE_UNSUPPORTED;
}

static int begin_keyed(nc_auth *a, nc_auth_method m, const char *user, nacre_key *key,
                       const char *algorithm)
{
    if (!key) {
        return NACRE_INVALID_ARGUMENT;
    }
    if (nc_auth_key_too_small(a->link, key)) {
        return NACRE_BAD_KEY;
    }
    const nc_sig_alg *alg = NULL;
    int rc = NACRE_OK;
    if (algorithm) {
        rc = named_algorithm(a, m, key, algorithm, &alg);
    } else if (!nc_auth_choose_algorithm(a->link, m, key)) {
        rc = NACRE_UNSUPPORTED;
    }
    if (rc != NACRE_OK) {
        return rc;
    }
    rc = begin(a, m, user);
    if (rc == NACRE_OK) {
        a->client.key = nacre_key_ref(key);
        a->client.algorithm =
            alg; /* NULL: chosen when it leaves, the server may have told by then */
    }
    return rc;
}

int nc_auth_publickey(nc_auth *a, const char *user, nacre_key *key, const char *algorithm)
{
    int rc = may_begin(a, user);
    if (rc != NACRE_OK) {
        return rc;
    }
    return go(a, begin_keyed(a, NC_AUTH_PUBLICKEY, user, key, algorithm));
}

int nc_auth_hostbased(nc_auth *a, const char *user, nacre_key *key, const char *algorithm,
                      const char *client_host, const char *client_user)
{
    int rc = may_begin(a, user);
    if (rc != NACRE_OK) {
        return rc;
    }
    if (!client_host || !*client_host || !client_user || !*client_user) {
        return NACRE_INVALID_ARGUMENT;
    }
    if (strlen(client_host) > NC_MAX_USER || strlen(client_user) > NC_MAX_USER) {
        return NACRE_TOO_LARGE;
    }
    rc = begin_keyed(a, NC_AUTH_HOSTBASED, user, key, algorithm);
    if (rc == NACRE_OK) {
        a->client.client_host = nc_strdup(a->link->alloc, client_host);
        a->client.client_user = nc_strdup(a->link->alloc, client_user);
        rc = a->client.client_host && a->client.client_user ? NACRE_OK : NACRE_NO_MEMORY;
    }
    return go(a, rc);
}

int nc_auth_interactive(nc_auth *a, const char *user, const char *submethods)
{
    int rc = may_begin(a, user);
    if (rc != NACRE_OK) {
        return rc;
    }
    if (submethods && strlen(submethods) > NC_MAX_NAMELIST) {
        return NACRE_TOO_LARGE;
    }
    rc = begin(a, NC_AUTH_INTERACTIVE, user);
    if (rc == NACRE_OK && submethods) {
        a->client.submethods = nc_strdup(a->link->alloc, submethods);
        rc = a->client.submethods ? NACRE_OK : NACRE_NO_MEMORY;
    }
    return go(a, rc);
}

/* Ends the attempt without the server: the application hears of it at the next step. */
static void give_up(nc_auth *a)
{
    nc_auth_client_forget(a);
    a->client.gave_up = true;
}

int nc_auth_client_start(nc_auth *a)
{
    if (a->client.state != NC_CLIENT_KEPT) {
        return NACRE_OK;
    }
    int rc = nc_auth_client_send(a);
    if (rc != NACRE_OK && a->client.state == NC_CLIENT_KEPT) {
        nc_logf(&a->link->log, NACRE_LOG_ERROR, "auth: %s could not be tried: %s",
                nc_auth_method_name(a->client.method), nacre_status_text(rc));
        give_up(a);
        rc = NACRE_OK;
    }
    return rc;
}

/* ---- answers of the application ----------------------------------------------------------------- */

static int answer_sign(nc_auth *a, const nacre_answer *ans)
{
    nc_rd r = nc_rd_init(ans->signature);
    nacre_span name = nc_rd_str(&r);
    nacre_span inner = nc_rd_str(&r);
    if (nacre_key_is_sk(a->client.key)) {
        (void)nc_rd_u8(&r); /* flags and counter; webauthn has more (PROTOCOL.u2f) */
        (void)nc_rd_u32(&r);
        (void)nc_rd_rest(&r);
    }
    /* Agents that know no flags sign with SHA-1 whatever they are asked for: not what was offered. */
    if (nc_rd_end(&r) != NACRE_OK || inner.n == 0 || !nc_span_is(name, a->client.algorithm->name) ||
        ans->signature.n > NC_MAX_KEY_BLOB) {
        return NACRE_INVALID_ARGUMENT;
    }
    nc_auth_ticket_done(a, &a->client.ticket);
    return nc_auth_send_signed(a, ans->signature);
}

static int answer_prompts(nc_auth *a, const nacre_answer *ans)
{
    if (ans->count != a->client.prompt_count || !ans->responses) {
        return NACRE_INVALID_ARGUMENT;
    }
    size_t left = NC_AUTH_MAX_RESPONSES;
    for (size_t i = 0; i < ans->count; i++) {
        if (ans->responses[i].n > left) {
            return NACRE_TOO_LARGE;
        }
        left -= ans->responses[i].n;
    }
    nc_auth_ticket_done(a, &a->client.ticket);
    return nc_auth_send_responses(a, ans->responses, ans->count);
}

static int answer_change(nc_auth *a, const nacre_answer *ans)
{
    if (ans->count != 2 || !ans->responses) {
        return NACRE_INVALID_ARGUMENT;
    }
    if (ans->responses[0].n > NC_MAX_PASSWORD || ans->responses[1].n > NC_MAX_PASSWORD) {
        return NACRE_TOO_LARGE;
    }
    nc_auth_ticket_done(a, &a->client.ticket);
    return nc_auth_send_password(a, ans->responses[0], &ans->responses[1]);
}

int nc_auth_client_answer(nc_auth *a, uint32_t ticket, const nacre_answer *ans)
{
    nc_auth_client *c = &a->client;
    if (ticket != c->ticket) {
        return NACRE_NOT_FOUND;
    }
    bool given = ans->accept || ans->signature.n || ans->responses;
    if (!given) {
        /* RFC 4252 5.1: a new request abandons a dialogue, so nothing need be sent now. */
        give_up(a);
        return NACRE_OK;
    }
    switch (c->state) {
    case NC_CLIENT_SIGNING:
        return answer_sign(a, ans);
    case NC_CLIENT_ASKING:
        return answer_prompts(a, ans);
    case NC_CLIENT_CHANGING:
        return answer_change(a, ans);
    default:
        return NACRE_NOT_FOUND;
    }
}

/* ---- packets ------------------------------------------------------------------------------------ */

static int out_of_place(nc_auth *a, const char *what)
{
    return nc_link_fail(a->link, NACRE_OUT_OF_PLACE, "the server sent %s where none was due", what);
}

static int malformed(nc_auth *a, const char *what)
{
    return nc_link_fail(a->link, NACRE_MALFORMED, "the server sent a malformed %s", what);
}

static bool reply_due(const nc_auth *a)
{
    return a->client.state == NC_CLIENT_SENT || a->client.state == NC_CLIENT_PROBED;
}

static void tell_result(nacre_event *ev, int status, nacre_span methods, nc_auth_method method)
{
    nc_auth_event(ev, NACRE_EVENT_AUTH_RESULT, 0);
    ev->u.auth_result.status = status;
    ev->u.auth_result.methods = methods;
    ev->u.auth_result.method = nc_auth_method_name(method);
}

static int got_failure(nc_auth *a, nc_rd *r, nacre_event *ev)
{
    nc_auth_client *c = &a->client;
    nc_msg_userauth_failure m;
    if (!reply_due(a)) {
        return out_of_place(a, "USERAUTH_FAILURE");
    }
    if (NC_DECODE(userauth_failure, r, &m) != NACRE_OK) {
        return malformed(a, "USERAUTH_FAILURE");
    }
    nc_buf_reset(&c->methods);
    if (nc_buf_append(&c->methods, m.methods.p, m.methods.n) != NACRE_OK) {
        return nc_link_fail_local(a->link, NACRE_NO_MEMORY, "no memory for the server's methods");
    }
    nc_logf(&a->link->log, NACRE_LOG_VERBOSE, "auth: %s %s; methods that can continue: %s",
            nc_auth_method_name(c->method), m.partial_success ? "was partly enough" : "failed",
            NC_ESC(m.methods));
    if (!m.partial_success && c->method != NC_AUTH_NONE) {
        c->failures++;
    }
    c->proved = c->proved || (m.partial_success && c->secret_given);
    nc_auth_client_forget(a);
    tell_result(ev, m.partial_success ? NACRE_AUTH_PARTIAL : NACRE_AUTH_FAILED, m.methods,
                c->method);
    return NACRE_OK;
}

static int got_success(nc_auth *a, nc_rd *r, nacre_event *ev)
{
    nc_auth_client *c = &a->client;
    nc_msg_userauth_success m;
    /* An unsigned offer earns nothing (RFC 4252 7): PROBED is no state to succeed in. */
    if (c->state != NC_CLIENT_SENT) {
        return out_of_place(a, "USERAUTH_SUCCESS");
    }
    if (NC_DECODE(userauth_success, r, &m) != NACRE_OK) {
        return malformed(a, "USERAUTH_SUCCESS");
    }
    /*
     * A server that lets us in without having asked for anything can then imitate a prompt of ours
     * (CVE-2021-36367, CVE-2021-36369). Nor is "none" a login then: it asks for the list of methods.
     */
    if (a->link->config->no_trivial_auth && !c->secret_given && !c->proved) {
        return nc_link_fail(a->link, NACRE_AUTH_FAILED,
                            "the server accepted %s without asking anything; trivial "
                            "authentication is not allowed by the configuration",
                            nc_auth_method_name(c->method));
    }
    a->done = true;
    int rc = a->link->ops->authenticated(a->link, nc_span_cstr(c->user));
    if (rc != NACRE_OK) {
        return rc;
    }
    nc_logf(&a->link->log, NACRE_LOG_VERBOSE, "auth: authenticated by %s",
            nc_auth_method_name(c->method));
    nc_auth_client_forget(a);
    tell_result(ev, NACRE_OK, nc_span(NULL, 0), c->method);
    return NACRE_OK;
}

static int got_banner(nc_auth *a, nc_rd *r, nacre_event *ev)
{
    nc_msg_userauth_banner m;
    if (a->done) {
        return out_of_place(a, "USERAUTH_BANNER");
    }
    if (NC_DECODE(userauth_banner, r, &m) != NACRE_OK) {
        return malformed(a, "USERAUTH_BANNER");
    }
    if (m.message.n > NC_AUTH_MAX_BANNER) {
        return nc_link_fail(a->link, NACRE_OVERSIZED, "a banner of %zu bytes (the cap is %d)",
                            m.message.n, NC_AUTH_MAX_BANNER);
    }
    if (++a->client.banners > NC_AUTH_MAX_BANNERS) {
        return nc_link_fail(a->link, NACRE_LIMIT, "more than %d banners before login",
                            NC_AUTH_MAX_BANNERS);
    }
    nc_auth_event(ev, NACRE_EVENT_AUTH_BANNER, 0);
    ev->text = m.message;
    return NACRE_OK;
}

static int ask_signature(nc_auth *a, nacre_event *ev)
{
    nc_auth_client *c = &a->client;
    c->state = NC_CLIENT_SIGNING;
    c->ticket = nc_link_ticket(a->link, NC_OWNER_AUTH);
    nc_auth_event(ev, NACRE_EVENT_SIGN, c->ticket);
    ev->u.sign.key = c->key;
    ev->u.sign.algorithm = c->algorithm->name;
    ev->u.sign.data = nc_buf_span(&c->signed_data);
    ev->u.sign.host = c->method == NC_AUTH_HOSTBASED;
    return NACRE_OK;
}

static int got_pk_ok(nc_auth *a, nc_rd *r, nacre_event *ev)
{
    nc_auth_client *c = &a->client;
    nc_msg_userauth_pk_ok m;
    if (c->state != NC_CLIENT_PROBED) {
        return out_of_place(a, "USERAUTH_PK_OK");
    }
    if (NC_DECODE(userauth_pk_ok, r, &m) != NACRE_OK) {
        return malformed(a, "USERAUTH_PK_OK");
    }
    /* Signing with what the server names instead would let it choose key or algorithm. */
    if (!nc_span_is(m.algorithm, nc_key_pubkey_name(c->key, c->algorithm)) ||
        !nc_span_eq(m.key, nacre_key_blob(c->key))) {
        return nc_link_fail(a->link, NACRE_PROTOCOL,
                            "the server accepted a key or algorithm (%s) that was not offered",
                            NC_ESC(m.algorithm));
    }
    int rc = nc_auth_client_claim(a);
    if (rc != NACRE_OK) {
        return nc_link_fail_local(a->link, rc, "what is to be signed could not be built");
    }
    return ask_signature(a, ev);
}

static bool too_many_rounds(nc_auth *a)
{
    return ++a->client.rounds > NC_AUTH_MAX_ROUNDS;
}

static int got_changereq(nc_auth *a, nc_rd *r, nacre_event *ev)
{
    nc_auth_client *c = &a->client;
    nc_msg_userauth_passwd_changereq m;
    if (NC_DECODE(userauth_passwd_changereq, r, &m) != NACRE_OK) {
        return malformed(a, "USERAUTH_PASSWD_CHANGEREQ");
    }
    if (too_many_rounds(a)) {
        return nc_link_fail(a->link, NACRE_LIMIT, "the server asks for new passwords endlessly");
    }
    c->state = NC_CLIENT_CHANGING;
    c->ticket = nc_link_ticket(a->link, NC_OWNER_AUTH);
    nc_auth_event(ev, NACRE_EVENT_AUTH_CHANGE_PASSWORD, c->ticket);
    ev->text = m.prompt;
    return NACRE_OK;
}

/* The count is the peer's word; it is believed only as far as bytes are there for it. */
static int read_prompts(nc_auth *a, const nc_msg_userauth_info_request *m)
{
    nc_auth_client *c = &a->client;
    enum { SMALLEST_PROMPT = 5 };
    if (m->count > NC_AUTH_MAX_PROMPTS || m->count > m->prompts.n / SMALLEST_PROMPT) {
        return NACRE_MALFORMED;
    }
    c->prompt_count = 0;
    c->prompts = nc_alloc_array(a->link->alloc, m->count, sizeof(*c->prompts));
    if (!c->prompts) {
        return NACRE_NO_MEMORY;
    }
    nc_rd r = nc_rd_init(m->prompts);
    while (nc_rd_left(&r) && c->prompt_count < m->count) {
        nacre_prompt *p = &c->prompts[c->prompt_count++];
        p->text = nc_rd_str(&r);
        p->echo = nc_rd_bool(&r);
    }
    return nc_rd_end(&r) == NACRE_OK && c->prompt_count == m->count ? NACRE_OK : NACRE_MALFORMED;
}

static int got_info_request(nc_auth *a, nc_rd *r, nacre_event *ev)
{
    nc_auth_client *c = &a->client;
    nc_msg_userauth_info_request m;
    int rc = NC_DECODE(userauth_info_request, r, &m);
    if (rc == NACRE_OK) {
        rc = read_prompts(a, &m);
    }
    if (rc == NACRE_NO_MEMORY) {
        return nc_link_fail_local(a->link, rc, "no memory for %u prompts", m.count);
    }
    if (rc != NACRE_OK) {
        return malformed(a, "USERAUTH_INFO_REQUEST");
    }
    if (too_many_rounds(a)) {
        return nc_link_fail(a->link, NACRE_LIMIT, "keyboard-interactive asks endlessly");
    }
    if (m.count == 0) {
        /* RFC 4256 3.4: it must be answered all the same; there is nothing to ask a person. */
        rc = nc_auth_send_responses(a, NULL, 0);
        if (rc != NACRE_OK) {
            return rc;
        }
        if (m.name.n == 0 && m.instruction.n == 0) {
            return NACRE_AGAIN;
        }
    } else {
        c->state = NC_CLIENT_ASKING;
        c->ticket = nc_link_ticket(a->link, NC_OWNER_AUTH);
    }
    nc_auth_event(ev, NACRE_EVENT_AUTH_PROMPTS, c->ticket);
    ev->u.prompts.name = m.name;
    ev->u.prompts.instruction = m.instruction;
    ev->u.prompts.prompts = c->prompts;
    ev->u.prompts.count = c->prompt_count;
    return NACRE_OK;
}

/* 60: the method in flight says what it is. */
static int got_60(nc_auth *a, nc_rd *r, nacre_event *ev)
{
    if (!reply_due(a)) {
        return out_of_place(a, "a message of a method (60)");
    }
    switch (a->client.method) {
    case NC_AUTH_PUBLICKEY:
        return got_pk_ok(a, r, ev);
    case NC_AUTH_PASSWORD:
        return got_changereq(a, r, ev);
    case NC_AUTH_INTERACTIVE:
        return got_info_request(a, r, ev);
    default:
        return out_of_place(a, "a message of a method (60)");
    }
}

int nc_auth_client_packet(nc_auth *a, uint8_t number, nc_rd *r, nacre_event *ev)
{
    static const struct {
        uint8_t number;
        int (*handler)(nc_auth *, nc_rd *, nacre_event *);
    } rows[] = {
        {SSH_MSG_USERAUTH_FAILURE, got_failure},
        {SSH_MSG_USERAUTH_SUCCESS, got_success},
        {SSH_MSG_USERAUTH_BANNER, got_banner},
        {60, got_60},
    };
    drop_prompts(a);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        if (rows[i].number == number) {
            return rows[i].handler(a, r, ev);
        }
    }
    return nc_link_fail(a->link, NACRE_OUT_OF_PLACE,
                        "message %u is not one that a server may send during userauth", number);
}

int nc_auth_client_poll(nc_auth *a, nacre_event *ev)
{
    nc_auth_client *c = &a->client;
    drop_prompts(a);
    if (c->state == NC_CLIENT_SIGN_DUE) {
        return ask_signature(a, ev);
    }
    if (!c->gave_up) {
        return NACRE_AGAIN;
    }
    c->gave_up = false;
    tell_result(ev, NACRE_AUTH_FAILED, nc_buf_span(&c->methods), c->method);
    return NACRE_OK;
}
