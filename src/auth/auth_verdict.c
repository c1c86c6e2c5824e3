/*
 * auth_verdict.c - what a server does with the application's answer to a userauth question: refuse,
 * ask on, count a partial success, or let the user in.
 *
 * become_authenticated is the one function of this library that authenticates a user, and it is
 * static. It is reached from one line of nc_auth_server_answer, for an answer that says accept, not
 * partial, to the open ticket of a question whose row below says "grants"; and for a key it asks once
 * more for the mark that only a good signature sets (auth_pubkey.c). The row of PROBE does not grant:
 * a key that was merely offered lets nobody in. An answer of all zeros is a refusal.
 *
 * RFC 4252 5.1 (success, partial success), 7 (PK_OK), 8 (PASSWD_CHANGEREQ); RFC 4256 3.2.
 */
#include "auth/auth_state.h"

#include <string.h>

typedef struct question_row {
    nacre_event_type event;
    nc_auth_method method;
    bool grants; /* accepting it can let the user in */
    bool dialogue;
} question_row;

static const question_row rows[] = {
    [NC_ASK_NOTHING] = {NACRE_EVENT_NONE, NC_AUTH_UNKNOWN, false, false},
    [NC_ASK_NONE] = {NACRE_EVENT_AUTH_NONE, NC_AUTH_NONE, true, false},
    [NC_ASK_PASSWORD] = {NACRE_EVENT_AUTH_PASSWORD, NC_AUTH_PASSWORD, true, false},
    [NC_ASK_PROBE] = {NACRE_EVENT_AUTH_KEY_PROBE, NC_AUTH_PUBLICKEY, false, false},
    [NC_ASK_KEY] = {NACRE_EVENT_AUTH_KEY, NC_AUTH_PUBLICKEY, true, false},
    [NC_ASK_INTERACTIVE] = {NACRE_EVENT_AUTH_INTERACTIVE, NC_AUTH_INTERACTIVE, true, true},
    [NC_ASK_RESPONSES] = {NACRE_EVENT_AUTH_RESPONSES, NC_AUTH_INTERACTIVE, true, true},
    [NC_ASK_HOSTBASED] = {NACRE_EVENT_AUTH_HOSTBASED, NC_AUTH_HOSTBASED, true, false},
};

nc_auth_method nc_auth_question_method(nc_question q)
{
    return rows[q].method;
}

nacre_event_type nc_auth_question_event(nc_question q)
{
    return rows[q].event;
}

/* ---- the list of methods that can continue --------------------------------------------------------- */

/* Names of methods that we speak and the configuration offers; "" is a list too. */
static bool fit_methods(const nc_auth *a, const char *methods)
{
    const char *configured = a->link->config->auth_methods;
    nacre_span list = nc_span_cstr(methods);
    nacre_span name;
    if (list.n > NC_MAX_NAMELIST) {
        return false;
    }
    while (nc_namelist_next(&list, &name)) {
        nc_auth_method m = nc_auth_method_find(name);
        if (m == NC_AUTH_UNKNOWN || m == NC_AUTH_NONE) {
            return false;
        }
        if (configured && !nc_namelist_has(nc_span_cstr(configured), nc_auth_method_name(m))) {
            return false;
        }
    }
    return true;
}

/* The present list without the method that has just done its part. Owned; NULL: no memory. */
static char *methods_without(const nc_auth *a, nc_auth_method done)
{
    nacre_span list = nc_span_cstr(a->server.methods);
    nacre_span name;
    char *out = nc_zalloc(a->link->alloc, list.n + 1);
    size_t len = 0;
    while (out && nc_namelist_next(&list, &name)) {
        if (name.n == 0 || nc_span_is(name, nc_auth_method_name(done))) {
            continue;
        }
        if (len) {
            out[len++] = ',';
        }
        memcpy(out + len, name.p, name.n);
        len += name.n;
    }
    return out;
}

static void set_methods(nc_auth *a, char *methods)
{
    if (methods) {
        nc_free(a->link->alloc, a->server.methods);
        a->server.methods = methods;
    }
}

/* ---- verdicts ---------------------------------------------------------------------------------------- */

static void question_done(nc_auth *a)
{
    nc_auth_ticket_done(a, &a->server.ticket);
    a->server.question = NC_ASK_NOTHING;
}

static int become_authenticated(nc_auth *a, const question_row *row)
{
    nc_auth_server *s = &a->server;
    bool proved = row->grants && s->user && !a->done;
    if (row->method == NC_AUTH_PUBLICKEY || row->method == NC_AUTH_HOSTBASED) {
        proved = proved && s->verified && s->verified == s->offered;
    }
    if (!proved) {
        return nc_link_fail_local(a->link, NACRE_WRONG_STATE,
                                  "a verdict was given on a method that proved nothing");
    }
    /* The transport first: what must go before SUCCESS (RFC 8308 2.4) is its to send. */
    int rc = a->link->ops->authenticated(a->link, nc_span_cstr(s->user));
    if (rc != NACRE_OK) {
        return rc;
    }
    a->done = true;
    s->method = row->method;
    s->tell = true;
    nc_logf(&a->link->log, NACRE_LOG_INFO, "auth: user %s authenticated by %s",
            NC_ESC(nc_span_cstr(s->user)), nc_auth_method_name(row->method));
    nc_msg_userauth_success m = {0};
    return nc_link_send(a->link, &nc_desc_userauth_success, &m);
}

/* Takes methods, the list that can continue. */
static int partial_success(nc_auth *a, const question_row *row, char *methods)
{
    nc_auth_server *s = &a->server;
    set_methods(a, methods);
    s->partials++;
    if (row->method == NC_AUTH_PUBLICKEY) {
        s->used[s->keys_used++] = nacre_key_ref(s->verified);
        s->used_alg = s->alg;
    }
    nc_auth_server_drop_key(a);
    nc_msg_userauth_failure m = {.methods = nc_span_cstr(s->methods), .partial_success = true};
    return nc_link_send(a->link, &nc_desc_userauth_failure, &m);
}

static int send_pk_ok(nc_auth *a)
{
    nc_auth_server *s = &a->server;
    nc_msg_userauth_pk_ok m = {.algorithm = nc_span_cstr(nc_key_pubkey_name(s->offered, s->alg)),
                               .key = nacre_key_blob(s->offered)};
    int rc = nc_link_send(a->link, &nc_desc_userauth_pk_ok, &m);
    nc_auth_server_drop_key(a);
    return rc;
}

static int send_changereq(nc_auth *a, const char *prompt)
{
    uint8_t no_language[4] = {0, 0, 0, 0};
    nc_msg_userauth_passwd_changereq m = {.prompt = nc_span_cstr(prompt),
                                          .language = nc_span(no_language, sizeof(no_language))};
    return nc_link_send(a->link, &nc_desc_userauth_passwd_changereq, &m);
}

static int send_info_request(nc_auth *a, const nacre_answer *ans)
{
    nc_auth_server *s = &a->server;
    nc_msg_userauth_info_request m = {.name = nc_span_cstr(ans->name),
                                      .instruction = nc_span_cstr(ans->instruction),
                                      .count = (uint32_t)ans->prompt_count};
    nc_wr *w = a->link->ops->begin(a->link, 0);
    NC_ENCODE(userauth_info_request, w, &m);
    for (size_t i = 0; i < ans->prompt_count; i++) {
        nc_wr_str(w, ans->prompts[i].text);
        nc_wr_bool(w, ans->prompts[i].echo);
    }
    s->info_open = true;
    s->info_prompts = ans->prompt_count;
    return a->link->ops->end(a->link);
}

/* The first request for none only asks for the list of methods; OpenSSH lets it pass as well. */
static int refuse(nc_auth *a, nc_question q)
{
    nc_auth_server_drop_key(a);
    nc_logf(&a->link->log, NACRE_LOG_VERBOSE, "auth: %s for %s refused",
            nc_auth_method_name(rows[q].method), NC_ESC(nc_span_cstr(a->server.user)));
    int rc = nc_auth_server_refuse(a, q != NC_ASK_NONE || a->server.requests > 1);
    return rc == NACRE_AGAIN ? NACRE_OK : rc;
}

/* ---- answers ----------------------------------------------------------------------------------------- */

static bool asks_on(const question_row *row, const nacre_answer *ans)
{
    bool text = ans->name || ans->instruction;
    return row->dialogue && !ans->accept && (ans->prompt_count || text);
}

/* What the application got wrong; nothing has changed then, and the ticket stays open. */
static int check_answer(const nc_auth *a, const question_row *row, const nacre_answer *ans)
{
    if (ans->prompt_count && (!row->dialogue || ans->accept || !ans->prompts)) {
        return NACRE_INVALID_ARGUMENT;
    }
    size_t size = 0;
    for (size_t i = 0; i < ans->prompt_count && i <= NC_AUTH_MAX_PROMPTS; i++) {
        size += ans->prompts[i].text.n + 5;
    }
    size += nc_span_cstr(ans->name).n + nc_span_cstr(ans->instruction).n;
    size += nc_span_cstr(ans->change_prompt).n;
    if (ans->prompt_count > NC_AUTH_MAX_PROMPTS || size > NC_AUTH_MAX_RESPONSES) {
        return NACRE_TOO_LARGE;
    }
    if (ans->methods && !fit_methods(a, ans->methods)) {
        return NACRE_INVALID_ARGUMENT;
    }
    bool partial = ans->accept && ans->partial;
    if (partial && a->server.partials >= NC_AUTH_MAX_PARTIALS) {
        return NACRE_LIMIT;
    }
    return ans->partial && !row->grants ? NACRE_INVALID_ARGUMENT : NACRE_OK;
}

int nc_auth_server_answer(nc_auth *a, uint32_t ticket, const nacre_answer *ans)
{
    nc_auth_server *s = &a->server;
    if (ticket != s->ticket || s->question == NC_ASK_NOTHING) {
        return NACRE_NOT_FOUND;
    }
    nc_question q = s->question;
    const question_row *row = &rows[q];
    int rc = check_answer(a, row, ans);
    if (rc != NACRE_OK) {
        return rc;
    }
    char *methods = NULL;
    bool partial = ans->accept && ans->partial;
    if (ans->methods) {
        methods = nc_strdup(a->link->alloc, ans->methods);
    } else if (partial) {
        methods = methods_without(a, row->method);
    }
    if (!methods && (ans->methods || partial)) {
        return NACRE_NO_MEMORY;
    }
    question_done(a);
    if (partial) {
        return partial_success(a, row, methods);
    }
    set_methods(a, methods);
    if (ans->accept && q == NC_ASK_PROBE) {
        return send_pk_ok(a);
    }
    if (ans->accept) {
        return become_authenticated(a, row);
    }
    if (asks_on(row, ans)) {
        return send_info_request(a, ans);
    }
    if (ans->change_prompt && q == NC_ASK_PASSWORD) {
        return send_changereq(a, ans->change_prompt);
    }
    return refuse(a, q);
}
