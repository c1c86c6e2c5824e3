/*
 * auth_server.c - the userauth server: takes requests one after the other, checks what can be checked
 * without the application, and turns the rest into questions. What the answers do is in
 * auth_verdict.c; the methods that a key proves in auth_pubkey.c.
 *
 * RFC 4252 5 (requests), 5.1 (order, limits), 5.2 (none), 5.4 (banner), 8 (password); RFC 4256.
 */
#include "auth/auth_state.h"

#include <string.h>

static const char default_methods[] = "publickey,password,keyboard-interactive";
enum { DEFAULT_TRIES = 6 };

int nc_auth_server_init(nc_auth *a)
{
    nc_auth_server *s = &a->server;
    const char *methods = a->link->config->auth_methods;
    nc_buf_init(&s->queued, a->link->alloc, NC_AUTH_MAX_QUEUED);
    nc_buf_init(&s->current, a->link->alloc, NC_AUTH_MAX_QUEUED);
    nc_buf_init(&s->banner, a->link->alloc, NC_AUTH_MAX_BANNER);
    s->method = NC_AUTH_UNKNOWN;
    s->methods = nc_strdup(a->link->alloc, methods ? methods : default_methods);
    return s->methods ? NACRE_OK : NACRE_NO_MEMORY;
}

static void drop_responses(nc_auth *a)
{
    nc_free(a->link->alloc, a->server.responses);
    a->server.responses = NULL;
    a->server.response_count = 0;
}

void nc_auth_server_clear(nc_auth *a)
{
    nc_auth_server *s = &a->server;
    nc_auth_ticket_done(a, &s->ticket);
    nc_auth_server_drop_key(a);
    for (uint32_t i = 0; i < s->keys_used; i++) {
        nacre_key_free(s->used[i]);
    }
    drop_responses(a);
    nc_buf_clear(&s->queued);
    nc_buf_clear(&s->current);
    nc_buf_clear(&s->banner);
    nc_free(a->link->alloc, s->user);
    nc_free(a->link->alloc, s->methods);
}

/* ---- banner --------------------------------------------------------------------------------------- */

int nc_auth_server_send_banner(nc_auth *a)
{
    nc_auth_server *s = &a->server;
    if (s->banner.len == 0) {
        return NACRE_OK;
    }
    uint8_t no_language[4] = {0, 0, 0, 0};
    nc_msg_userauth_banner m = {.message = nc_buf_span(&s->banner),
                                .language = nc_span(no_language, sizeof(no_language))};
    int rc = nc_link_send(a->link, &nc_desc_userauth_banner, &m);
    nc_buf_clear(&s->banner);
    return rc;
}

int nc_auth_send_banner(nc_auth *a, const char *text)
{
    if (a->link->role != NACRE_SERVER || a->done || a->closed) {
        return NACRE_WRONG_STATE;
    }
    if (!text) {
        return NACRE_INVALID_ARGUMENT;
    }
    int rc = nc_buf_append(&a->server.banner, text, strlen(text));
    if (rc != NACRE_OK) {
        return rc == NACRE_LIMIT ? NACRE_TOO_LARGE : rc;
    }
    /* Some clients take a banner amiss that comes before they have asked for anything. */
    return a->server.requests ? nc_auth_server_send_banner(a) : NACRE_OK;
}

/* ---- results that need no verdict ----------------------------------------------------------------- */

int nc_auth_server_refuse(nc_auth *a, bool counts)
{
    nc_auth_server *s = &a->server;
    uint32_t max = a->link->config->max_auth_tries;
    s->failures += counts ? 1 : 0;
    if (s->failures >= (max ? max : DEFAULT_TRIES)) {
        return nc_link_fail(a->link, NACRE_AUTH_LIMIT, "Too many authentication failures");
    }
    nc_msg_userauth_failure m = {.methods = nc_span_cstr(s->methods), .partial_success = false};
    int rc = nc_link_send(a->link, &nc_desc_userauth_failure, &m);
    return rc == NACRE_OK ? NACRE_AGAIN : rc;
}

void nc_auth_server_ask(nc_auth *a, nc_question q, nacre_event *ev)
{
    nc_auth_server *s = &a->server;
    s->question = q;
    s->ticket = nc_link_ticket(a->link, NC_OWNER_AUTH);
    nc_auth_event(ev, nc_auth_question_event(q), s->ticket);
    ev->u.auth.user = nc_span_cstr(s->user);
    ev->u.auth.method = nc_auth_method_name(nc_auth_question_method(q));
}

static int malformed(nc_auth *a, const char *what)
{
    return nc_link_fail(a->link, NACRE_MALFORMED, "the client sent a malformed %s", what);
}

/* ---- methods ---------------------------------------------------------------------------------------- */

static int method_none(nc_auth *a, nacre_span data, nacre_event *ev)
{
    if (data.n) {
        return malformed(a, "request for the method none");
    }
    /* The first one only asks what there is (RFC 4252 5.2); after a partial success none is enough. */
    if (a->server.partials) {
        return nc_auth_server_refuse(a, true);
    }
    nc_auth_server_ask(a, NC_ASK_NONE, ev);
    return NACRE_OK;
}

/* A C program behind us may stop at a zero byte: "right\0junk" must not become "right". */
static bool fit_password(nacre_span p)
{
    return p.n <= NC_MAX_PASSWORD && !(p.n && memchr(p.p, 0, p.n));
}

static int method_password(nc_auth *a, nacre_span data, nacre_event *ev)
{
    nc_msg_auth_password m;
    nacre_span new_password = {NULL, 0};
    nc_rd r = nc_rd_init(data);
    int rc = NC_DECODE(auth_password, &r, &m);
    nc_rd rest = nc_rd_init(m.new_password);
    if (rc == NACRE_OK && m.change) {
        new_password = nc_rd_str(&rest);
    }
    if (rc != NACRE_OK || nc_rd_end(&rest) != NACRE_OK) {
        return malformed(a, "request for the method password");
    }
    if (!fit_password(m.password) || !fit_password(new_password)) {
        nc_logf(&a->link->log, NACRE_LOG_INFO,
                "auth: a password of %zu bytes, or with a zero byte in it, is refused unseen",
                m.password.n);
        return nc_auth_server_refuse(a, true);
    }
    nc_auth_server_ask(a, NC_ASK_PASSWORD, ev);
    ev->u.auth.password = m.password;
    ev->u.auth.new_password = new_password;
    ev->u.auth.change = m.change;
    return NACRE_OK;
}

static int method_interactive(nc_auth *a, nacre_span data, nacre_event *ev)
{
    nc_msg_auth_interactive m;
    nc_rd r = nc_rd_init(data);
    if (NC_DECODE(auth_interactive, &r, &m) != NACRE_OK) {
        return malformed(a, "request for the method keyboard-interactive");
    }
    nc_auth_server_ask(a, NC_ASK_INTERACTIVE, ev);
    ev->u.auth.submethods = m.submethods;
    return NACRE_OK;
}

/* ---- requests ---------------------------------------------------------------------------------------- */

bool nc_auth_fit_name(nacre_span name)
{
    if (name.n == 0 || name.n > NC_MAX_USER) {
        return false;
    }
    for (size_t i = 0; i < name.n; i++) {
        if (name.p[i] < 0x20 || name.p[i] == 0x7F) {
            return false;
        }
    }
    return true;
}

/*
 * RFC 4252 5: on a change of user or service the state must be flushed, or the connection closed. We
 * close: what was earned for one user can then never be spent by another.
 */
static int same_user(nc_auth *a, const nc_msg_userauth_request *m)
{
    nc_auth_server *s = &a->server;
    if (!nc_span_is(m->service, nc_auth_service_wanted)) {
        return nc_link_fail(a->link, NACRE_SERVICE,
                            "service %s is not available after userauth, only %s is",
                            NC_ESC(m->service), nc_auth_service_wanted);
    }
    if (s->user && !nc_span_is(m->user, s->user)) {
        return nc_link_fail(a->link, NACRE_PROTOCOL,
                            "user or service changed during userauth (%s to %s); that needs a new "
                            "connection",
                            NC_ESC(nc_span_cstr(s->user)), NC_ESC(m->user));
    }
    if (!s->user && nc_auth_fit_name(m->user)) {
        s->user = nc_strndup(a->link->alloc, m->user);
        if (!s->user) {
            return nc_link_fail_local(a->link, NACRE_NO_MEMORY, "no memory for the user name");
        }
    }
    return NACRE_OK;
}

static bool count_request(nc_auth *a)
{
    return ++a->server.requests < NC_AUTH_MAX_REQUESTS;
}

/* On the wire publickey has two names; in lists and to the application it has one. */
typedef struct request_row {
    const char *name;
    nc_auth_method method;
    int (*handler)(nc_auth *, nacre_span, nacre_event *);
} request_row;

static const request_row *find_row(nacre_span name)
{
    static const request_row rows[] = {
        {"none", NC_AUTH_NONE, method_none},
        {"password", NC_AUTH_PASSWORD, method_password},
        {"publickey", NC_AUTH_PUBLICKEY, nc_auth_server_publickey},
        {nc_auth_hostbound, NC_AUTH_PUBLICKEY, nc_auth_server_hostbound},
        {"keyboard-interactive", NC_AUTH_INTERACTIVE, method_interactive},
        {"hostbased", NC_AUTH_HOSTBASED, nc_auth_server_hostbased},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        if (nc_span_is(name, rows[i].name)) {
            return &rows[i];
        }
    }
    return NULL;
}

static int got_request(nc_auth *a, nc_rd *r, nacre_event *ev)
{
    nc_auth_server *s = &a->server;
    nc_msg_userauth_request m;
    if (NC_DECODE(userauth_request, r, &m) != NACRE_OK) {
        return malformed(a, "USERAUTH_REQUEST");
    }
    if (!count_request(a)) {
        return nc_link_fail(a->link, NACRE_AUTH_LIMIT, "Too many authentication requests");
    }
    int rc = same_user(a, &m);
    if (rc == NACRE_OK) {
        rc = nc_auth_server_send_banner(a);
    }
    if (rc != NACRE_OK) {
        return rc;
    }
    /* RFC 4252 5.1: a new request abandons a dialogue that waits for the client. */
    s->info_open = false;
    nc_auth_server_drop_key(a);
    nc_logf(&a->link->log, NACRE_LOG_VERBOSE, "auth: user %s asks for %s", NC_ESC(m.user),
            NC_ESC(m.method));
    const request_row *row = find_row(m.method);
    bool none = row && row->method == NC_AUTH_NONE;
    bool offered = none || (row && nc_namelist_has(nc_span_cstr(s->methods),
                                                   nc_auth_method_name(row->method)));
    if (!offered || !s->user) {
        return nc_auth_server_refuse(a, !none || s->requests > 1);
    }
    return row->handler(a, m.method_data, ev);
}

static int read_responses(nc_auth *a, const nc_msg_userauth_info_response *m)
{
    nc_auth_server *s = &a->server;
    /* The count is compared with ours first, so nothing is sized by the peer. */
    if (m->count != s->info_prompts) {
        return NACRE_PROTOCOL;
    }
    s->responses = nc_alloc_array(a->link->alloc, s->info_prompts, sizeof(*s->responses));
    if (!s->responses) {
        return NACRE_NO_MEMORY;
    }
    nc_rd r = nc_rd_init(m->responses);
    for (size_t i = 0; i < s->info_prompts; i++) {
        s->responses[i] = nc_rd_str(&r);
    }
    s->response_count = s->info_prompts;
    return nc_rd_end(&r);
}

static int got_response(nc_auth *a, nc_rd *r, nacre_event *ev)
{
    nc_auth_server *s = &a->server;
    nc_msg_userauth_info_response m;
    if (!s->info_open) {
        return nc_link_fail(a->link, NACRE_OUT_OF_PLACE,
                            "the client sent USERAUTH_INFO_RESPONSE without having been asked");
    }
    if (!count_request(a)) {
        return nc_link_fail(a->link, NACRE_AUTH_LIMIT, "Too many authentication requests");
    }
    if (NC_DECODE(userauth_info_response, r, &m) != NACRE_OK) {
        return malformed(a, "USERAUTH_INFO_RESPONSE");
    }
    int rc = read_responses(a, &m);
    if (rc == NACRE_NO_MEMORY) {
        return nc_link_fail_local(a->link, rc, "no memory for %zu responses", s->info_prompts);
    }
    if (rc == NACRE_PROTOCOL) {
        return nc_link_fail(a->link, rc, "the client sent %u responses to %zu prompts", m.count,
                            s->info_prompts);
    }
    if (rc != NACRE_OK) {
        return malformed(a, "USERAUTH_INFO_RESPONSE");
    }
    s->info_open = false;
    nc_auth_server_ask(a, NC_ASK_RESPONSES, ev);
    ev->u.auth.responses = s->responses;
    ev->u.auth.count = s->response_count;
    return NACRE_OK;
}

/*
 * RFC 4252 5.1 lets a client send requests without waiting. While the application thinks, one is kept;
 * clients that send more than that guess passwords.
 */
static int queue_request(nc_auth *a, nc_rd *r)
{
    nc_auth_server *s = &a->server;
    nacre_span rest = nc_rd_rest(r);
    if (s->queue_full) {
        return nc_link_fail(a->link, NACRE_PROTOCOL,
                            "the client sent a third request before the first was answered");
    }
    int rc = nc_buf_append(&s->queued, rest.p, rest.n);
    if (rc == NACRE_NO_MEMORY) {
        return nc_link_fail_local(a->link, rc, "no memory for a request");
    }
    if (rc != NACRE_OK) {
        return nc_link_fail(a->link, NACRE_OVERSIZED,
                            "a request of %zu bytes before the one before it was answered (the cap "
                            "is %d)",
                            rest.n, NC_AUTH_MAX_QUEUED);
    }
    s->queue_full = true;
    return NACRE_AGAIN;
}

/* What the last event pointed to is no longer needed. */
static void drop_borrowed(nc_auth *a)
{
    drop_responses(a);
    nc_buf_clear(&a->server.current);
}

int nc_auth_server_packet(nc_auth *a, uint8_t number, nc_rd *r, nacre_event *ev)
{
    drop_borrowed(a);
    if (number == SSH_MSG_USERAUTH_REQUEST && a->done) {
        return NACRE_AGAIN; /* RFC 4252 5.1: silently ignored after success */
    }
    if (number == SSH_MSG_USERAUTH_REQUEST) {
        bool busy = a->server.ticket != 0 || a->server.queue_full;
        return busy ? queue_request(a, r) : got_request(a, r, ev);
    }
    if (number == SSH_MSG_USERAUTH_INFO_RESPONSE) {
        return got_response(a, r, ev);
    }
    return nc_link_fail(a->link, NACRE_OUT_OF_PLACE,
                        "message %u is not one that a client may send during userauth", number);
}

static void tell_authenticated(nc_auth *a, nacre_event *ev)
{
    nc_auth_server *s = &a->server;
    nc_auth_event(ev, NACRE_EVENT_AUTHENTICATED, 0);
    ev->u.auth.user = nc_span_cstr(s->user);
    ev->u.auth.method = nc_auth_method_name(s->method);
    if (s->verified && s->method == NC_AUTH_PUBLICKEY) {
        ev->u.auth.key = s->verified;
        ev->u.auth.algorithm = nc_key_pubkey_name(s->verified, s->alg);
    } else if (s->keys_used) {
        /* The last method was not a key, but one before it was: its limits still hold. */
        ev->u.auth.key = s->used[s->keys_used - 1];
        ev->u.auth.algorithm = nc_key_pubkey_name(ev->u.auth.key, s->used_alg);
    }
}

int nc_auth_server_poll(nc_auth *a, nacre_event *ev)
{
    nc_auth_server *s = &a->server;
    drop_borrowed(a);
    if (s->tell) {
        s->tell = false;
        tell_authenticated(a, ev);
        return NACRE_OK;
    }
    if (!s->queue_full || s->ticket) {
        return NACRE_AGAIN;
    }
    nc_buf taken = s->queued;
    s->queued = s->current;
    s->current = taken;
    s->queue_full = false;
    if (a->done) {
        return NACRE_AGAIN;
    }
    nc_rd r = nc_rd_init(nc_buf_span(&s->current));
    return got_request(a, &r, ev);
}
