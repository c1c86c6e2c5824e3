/*
 * auth.c - logging in: one attempt after another, in the order of preference, as far as the server's
 * list of methods allows (RFC 4252 5.1, RFC 4256).
 *
 * An attempt is begun on the transport, and nc_auth_finish waits for its result and serves the
 * questions that come meanwhile (auth_ask.c). Which keys there are: auth_keys.c.
 */
#include "client/state.h"
#include "wire/rd.h"

#include <stdio.h>
#include <string.h>

enum {
    PARTIALS_MAX = 32, /* a server may ask for so many factors, not for ever more */
    TRIED_MAX = 400    /* of the sentence that lists what was tried */
};

/* ---- events ---- */

void nc_auth_question_drop(nacre_client *c)
{
    nc_auth_state *a = &c->auth;
    a->question = NC_ASKS_NOTHING;
    a->ticket = 0;
    nacre_key_free(a->sign_key);
    a->sign_key = NULL;
    nc_buf_reset(&a->texts);
    a->prompt_count = 0;
}

/* Copies s behind the texts; its place, as an offset for now. */
static size_t keep_text(nc_auth_state *a, nacre_span s, bool *bad)
{
    size_t at = a->texts.len;
    *bad = *bad || nc_buf_append(&a->texts, s.p, s.n) != NACRE_OK;
    return at;
}

static void keep_prompts(nacre_client *c, const nacre_event *ev)
{
    nc_auth_state *a = &c->auth;
    size_t at[NC_PROMPTS_MAX];
    bool bad = ev->u.prompts.count > NC_PROMPTS_MAX;
    nc_buf_reset(&a->texts);
    size_t name = keep_text(a, ev->u.prompts.name, &bad);
    size_t text = keep_text(a, ev->u.prompts.instruction, &bad);
    for (size_t i = 0; !bad && i < ev->u.prompts.count; i++) {
        at[i] = keep_text(a, ev->u.prompts.prompts[i].text, &bad);
    }
    if (bad) {
        (void)nacre_transport_refuse(c->t, ev->ticket);
        return;
    }
    a->name = nc_span(a->texts.data + name, ev->u.prompts.name.n);
    a->instruction = nc_span(a->texts.data + text, ev->u.prompts.instruction.n);
    for (size_t i = 0; i < ev->u.prompts.count; i++) {
        const nacre_prompt *p = &ev->u.prompts.prompts[i];
        a->prompts[i] = (nacre_prompt){nc_span(a->texts.data + at[i], p->text.n), p->echo};
    }
    a->prompt_count = ev->u.prompts.count;
    a->prompts_seen = a->prompts_seen || a->prompt_count > 0;
    a->question = NC_ASKS_PROMPTS;
}

static void keep_result(nacre_client *c, const nacre_event *ev)
{
    nc_auth_state *a = &c->auth;
    nacre_span methods = ev->u.auth_result.methods;
    a->result = true;
    a->in_flight = false;
    a->status = ev->u.auth_result.status;
    if (a->status != NACRE_OK && methods.n > 0) {
        (void)nacre_escape(a->methods, sizeof(a->methods), methods);
        a->methods_known = true;
    }
}

void nc_auth_event_kept(nacre_client *c, const nacre_event *ev)
{
    nc_auth_state *a = &c->auth;
    bool bad = false;
    nc_auth_question_drop(c);
    a->ticket = ev->ticket;
    switch (ev->type) {
    case NACRE_EVENT_AUTH_RESULT:
        keep_result(c, ev);
        break;
    case NACRE_EVENT_AUTH_PROMPTS:
        keep_prompts(c, ev);
        break;
    case NACRE_EVENT_AUTH_CHANGE_PASSWORD:
        (void)keep_text(a, ev->text, &bad);
        a->instruction = bad ? nc_span(NULL, 0) : nc_buf_span(&a->texts);
        a->question = NC_ASKS_CHANGE;
        break;
    case NACRE_EVENT_SIGN:
        a->sign_key = nacre_key_ref((nacre_key *)(uintptr_t)ev->u.sign.key);
        a->sign_algorithm = ev->u.sign.algorithm;
        a->sign_data = ev->u.sign.data;
        a->question = NC_ASKS_SIGN;
        break;
    default:
        break;
    }
}

/* ---- one attempt ---- */

static int auth_news(void *user)
{
    const nacre_client *c = user;
    return c->auth.result || c->auth.question ? NACRE_OK : NACRE_AGAIN;
}

/* Until the result of what is in flight. */
static int await_result(nacre_client *c)
{
    for (;;) {
        nc_wait w = nc_client_wait_init(c, 0, "authentication");
        nacre_driver_kick(c->d);
        int rc = nc_client_wait(c, &w, auth_news, c);
        if (rc != NACRE_OK) {
            return rc;
        }
        if (c->auth.result) {
            c->auth.result = false;
            return c->auth.status;
        }
        rc = nc_auth_serve(c);
        if (rc != NACRE_OK) {
            return rc;
        }
    }
}

/* A call that ran out of time left its attempt behind: its result comes first. */
static int settle(nacre_client *c)
{
    if (!c->auth.in_flight) {
        return NACRE_OK;
    }
    int rc = await_result(c);
    return rc == NACRE_AUTH_FAILED || rc == NACRE_AUTH_PARTIAL ? NACRE_OK : rc;
}

int nc_auth_finish(nacre_client *c, int rc)
{
    if (rc != NACRE_OK) {
        return c->closed ? nc_client_alive(c, "authentication")
                         : nc_client_fail(c, rc, "%s: this login could not be tried: %s", c->where,
                                          nacre_status_text(rc));
    }
    c->auth.in_flight = true;
    c->auth.result = false;
    c->auth.prompts_seen = false;
    return await_result(c);
}

int nc_auth_begin(nacre_client *c)
{
    nc_client_begin(c);
    int rc = nc_client_alive(c, "authentication");
    if (rc == NACRE_OK && nacre_transport_authenticated(c->t)) {
        return nc_client_fail(c, NACRE_WRONG_STATE, "%s: logged in already", c->where);
    }
    return rc == NACRE_OK ? settle(c) : rc;
}

int nc_auth_refused(nacre_client *c, int rc, const char *method)
{
    if (rc == NACRE_AUTH_FAILED && c->err.status == NACRE_OK) {
        return nc_client_fail(c, rc, "%s@%s: %s was refused; the server takes: %s",
                              NC_ESC(nc_span_cstr(c->cfg.user)), c->where, method, c->auth.methods);
    }
    if (rc == NACRE_AUTH_PARTIAL && c->err.status == NACRE_OK) {
        return nc_client_fail(c, rc, "%s@%s: %s was good, and the server wants another: %s",
                              NC_ESC(nc_span_cstr(c->cfg.user)), c->where, method, c->auth.methods);
    }
    return rc;
}

int nacre_client_auth_none(nacre_client *c)
{
    int rc = nc_auth_begin(c);
    if (rc == NACRE_OK) {
        rc = nc_auth_finish(c, nacre_transport_auth_none(c->t, c->cfg.user));
    }
    return nc_auth_refused(c, rc, "none");
}

int nacre_client_auth_password(nacre_client *c, nacre_span password)
{
    int rc = nc_auth_begin(c);
    if (rc == NACRE_OK && c->no_passwords) {
        return nc_client_fail(c, NACRE_HOST_KEY_CHANGED,
                              "%s: no password is sent to a host whose key has changed", c->where);
    }
    if (rc == NACRE_OK) {
        c->auth.password = password;
        rc = nc_auth_finish(c, nacre_transport_auth_password(c->t, c->cfg.user, password));
        c->auth.password = nc_span(NULL, 0);
    }
    return nc_auth_refused(c, rc, "the password");
}

int nacre_client_auth_key(nacre_client *c, nacre_key *key)
{
    int rc = nc_auth_begin(c);
    if (rc == NACRE_OK) {
        rc = nc_auth_finish(c, nacre_transport_auth_publickey(c->t, c->cfg.user, key, NULL));
    }
    return nc_auth_refused(c, rc, "the key");
}

int nacre_client_auth_interactive(nacre_client *c)
{
    int rc = nc_auth_begin(c);
    if (rc == NACRE_OK && c->no_passwords) {
        return nc_client_fail(c, NACRE_HOST_KEY_CHANGED,
                              "%s: no prompt of a host whose key has changed is answered",
                              c->where);
    }
    if (rc == NACRE_OK) {
        rc = nc_auth_finish(c, nacre_transport_auth_interactive(c->t, c->cfg.user, ""));
    }
    return nc_auth_refused(c, rc, "keyboard-interactive");
}

const char *nacre_client_auth_methods(const nacre_client *c)
{
    return c->auth.methods;
}

/* ---- the whole login ---- */

typedef struct login {
    nacre_client *c;
    nc_candidates keys;
    nc_host_candidates hosts;
    unsigned passwords; /* asked for so far */
    unsigned interactives;
    bool given_spent; /* the configured password was tried as such */
    bool over[4];     /* by method: nothing more to try */
    bool asked;       /* "none" was tried */
    unsigned partials;
    unsigned offers; /* of keys */
    char tried[TRIED_MAX];
} login;

static void note_tried(login *l, const char *what)
{
    size_t n = strlen(l->tried);
    if (n + strlen(what) + 3 < sizeof(l->tried)) {
        (void)snprintf(l->tried + n, sizeof(l->tried) - n, "%s%s", n ? ", " : "", what);
    }
    nc_client_log(l->c, NACRE_LOG_VERBOSE, "Trying %s.", what);
}

/* The attempt drew on these; what it leaves behind may go to the agent. */
static int end_offer(nacre_client *c, const nc_offer *o, int rc)
{
    nc_auth_state *a = &c->auth;
    a->key_path = NULL;
    a->signer = NULL;
    if (o->path && !o->lock && nacre_key_is_private(o->key)) {
        nacre_key_free(a->loaded);
        a->loaded = nacre_key_ref(o->key);
        a->loaded_path = o->path;
    }
    if ((rc == NACRE_OK || rc == NACRE_AUTH_PARTIAL) && a->loaded) {
        int added = nc_auth_agent_add(c, a->loaded, a->loaded_path);
        rc = added == NACRE_OK ? rc : added;
    }
    nacre_key_free(a->loaded);
    a->loaded = NULL;
    nacre_key_free(o->key);
    return rc;
}

static int try_keys(login *l)
{
    nacre_client *c = l->c;
    nc_offer o;
    int rc = nc_auth_next_key(c, &l->keys, &o);
    if (rc == NACRE_NOT_FOUND) {
        l->over[0] = true;
        return NACRE_AUTH_FAILED;
    }
    if (rc != NACRE_OK) {
        return rc;
    }
    char what[256];
    (void)snprintf(what, sizeof(what), "publickey (%.200s%s)", NC_ESC(nc_span_cstr(o.name)),
                   o.signer ? ", agent" : "");
    c->auth.key_path = o.lock;
    c->auth.signer = o.signer;
    rc = nacre_transport_auth_publickey(c->t, c->cfg.user, o.key, NULL);
    if (rc == NACRE_UNSUPPORTED || rc == NACRE_BAD_KEY) {
        nc_client_log(c, NACRE_LOG_VERBOSE, "Skipping %s: %s.", NC_ESC(nc_span_cstr(o.name)),
                      rc == NACRE_BAD_KEY ? "the key is too small"
                                          : "no algorithm that both sides allow");
        return end_offer(c, &o, NACRE_AUTH_FAILED);
    }
    note_tried(l, what);
    l->offers++;
    return end_offer(c, &o, nc_auth_finish(c, rc));
}

static int try_password_once(login *l, nacre_span password)
{
    nacre_client *c = l->c;
    note_tried(l, "password");
    c->auth.password = password;
    int rc = nc_auth_finish(c, nacre_transport_auth_password(c->t, c->cfg.user, password));
    c->auth.password = nc_span(NULL, 0);
    return rc;
}

static int try_password(login *l)
{
    nacre_client *c = l->c;
    char secret[NC_SECRET_MAX];
    char prompt[NC_NAME_MAX + 256];
    if (c->no_passwords) {
        l->over[2] = true;
        return NACRE_AUTH_FAILED;
    }
    if (c->cfg.password.p && !l->given_spent) {
        l->given_spent = true;
        return try_password_once(l, c->cfg.password);
    }
    if (!c->cfg.callbacks.ask_secret || l->passwords >= c->cfg.password_prompts) {
        l->over[2] = true;
        return NACRE_AUTH_FAILED;
    }
    (void)snprintf(prompt, sizeof(prompt), "%s@%s's password: ", NC_ESC(nc_span_cstr(c->cfg.user)),
                   NC_ESC(nc_span_cstr(c->host)));
    int n =
        nc_auth_ask(c, NACRE_ASK_PASSWORD, prompt, false, ++l->passwords, secret, sizeof(secret));
    int rc = NACRE_AUTH_FAILED;
    if (n < 0) {
        l->over[2] = true;
    } else {
        rc = try_password_once(l, nc_span(secret, (size_t)n));
    }
    nc_wipe(secret, sizeof(secret));
    return rc;
}

static int try_interactive(login *l)
{
    nacre_client *c = l->c;
    bool can = c->cfg.callbacks.ask_secret || (c->cfg.password.p && !c->auth.password_spent);
    if (c->no_passwords || !can || l->interactives >= c->cfg.password_prompts) {
        l->over[1] = true;
        return NACRE_AUTH_FAILED;
    }
    l->interactives++;
    note_tried(l, "keyboard-interactive");
    int rc = nc_auth_finish(c, nacre_transport_auth_interactive(c->t, c->cfg.user, ""));
    if (rc == NACRE_AUTH_FAILED && !c->auth.prompts_seen) {
        l->over[1] =
            true; /* refused before it asked anything: it will not be different next time */
    }
    return rc;
}

static int try_host(login *l)
{
    const char *name = "";
    char what[256];
    int rc = nc_auth_try_host(l->c, &l->hosts, &name);
    if (rc == NACRE_NOT_FOUND) {
        l->over[3] = true;
        return NACRE_AUTH_FAILED;
    }
    (void)snprintf(what, sizeof(what), "hostbased (%s)", name);
    note_tried(l, what);
    return rc;
}

static const struct {
    const char *name;
    int (*go)(login *l);
} methods[] = {{"publickey", try_keys},
               {"keyboard-interactive", try_interactive},
               {"password", try_password},
               {"hostbased", try_host}};
enum { METHODS = sizeof(methods) / sizeof(methods[0]), HOSTBASED = 3 };

static bool is_left(const login *l, int method)
{
    return !l->over[method] && (method != HOSTBASED || l->c->cfg.hostbased);
}

/* The most preferred method that is left; -1: none. */
static int next_method(const login *l)
{
    nacre_span list = nc_span_cstr(l->c->cfg.preferred_auth);
    nacre_span allowed = nc_span_cstr(l->c->auth.methods);
    nacre_span name;
    while (nc_namelist_next(&list, &name)) {
        for (int i = 0; i < METHODS; i++) {
            if (nc_span_is(name, methods[i].name) && is_left(l, i) &&
                (!l->c->auth.methods_known || nc_namelist_has(allowed, methods[i].name))) {
                return i;
            }
        }
    }
    return -1;
}

/* Can it be tried without asking the server first? It must cost neither a question nor a guess. */
static bool is_at_hand(const login *l, int method)
{
    const nacre_client *c = l->c;
    return (method == 0 && nc_auth_has_given_key(c, &l->keys)) ||
           (method == 2 && c->cfg.password.p && !l->given_spent && !c->no_passwords);
}

static int all_refused(login *l)
{
    nacre_client *c = l->c;
    if (c->err.status != NACRE_OK) {
        return c->err.status;
    }
    bool any = l->tried[0] != '\0';
    return nc_client_fail(
        c, NACRE_AUTH_FAILED, "%s@%s: Permission denied (%s).%s%s%s",
        NC_ESC(nc_span_cstr(c->cfg.user)), NC_ESC(nc_span_cstr(c->host)), c->auth.methods,
        any ? " Tried: " : " Nothing that it takes could be tried", l->tried, ".");
}

/* The server's list comes with a refusal; "none" is the cheapest thing to be refused. */
static int ask_methods(login *l)
{
    l->asked = true;
    return nc_auth_finish(l->c, nacre_transport_auth_none(l->c->t, l->c->cfg.user));
}

static int go_on_after_partial(login *l, int method)
{
    nacre_client *c = l->c;
    if (++l->partials > PARTIALS_MAX) {
        return nc_client_fail(c, NACRE_AUTH_LIMIT,
                              "%s: the server asks for one factor after another without end",
                              c->where);
    }
    nc_client_log(c, NACRE_LOG_VERBOSE, "Partial success by %s; can continue: %s.",
                  methods[method].name, c->auth.methods);
    memset(l->over, 0, sizeof(l->over));
    return NACRE_AUTH_PARTIAL;
}

static int log_in(login *l)
{
    nacre_client *c = l->c;
    int rc = NACRE_AUTH_FAILED;
    while (rc == NACRE_AUTH_FAILED || rc == NACRE_AUTH_PARTIAL) {
        int method = next_method(l);
        if (!c->auth.methods_known && !l->asked && (method < 0 || !is_at_hand(l, method))) {
            rc = ask_methods(l);
            continue;
        }
        if (method < 0) {
            return all_refused(l);
        }
        rc = methods[method].go(l);
        if (rc == NACRE_AUTH_PARTIAL) {
            rc = go_on_after_partial(l, method);
        }
    }
    return rc;
}

/* The server, or our own limit, has had enough: say what was tried, and how to try less. */
static int cut_off(login *l, int rc)
{
    nacre_client *c = l->c;
    bool by_server = rc == NACRE_PEER_DISCONNECTED || rc == NACRE_CLOSED;
    if (l->tried[0] == '\0' || (!by_server && rc != NACRE_AUTH_LIMIT)) {
        return rc;
    }
    nacre_error why = c->err;
    nc_client_begin(c);
    (void)nc_client_fail(c, rc, "%.400s. Tried: %s.%s", why.text, l->tried,
                         l->offers > 1 ? " Fewer keys are tried when IdentityFile names the right "
                                         "one and IdentitiesOnly is yes."
                                       : "");
    c->err.by = why.by;
    c->err.disconnect_reason = why.disconnect_reason;
    c->err.detail = why.detail;
    return rc;
}

int nc_client_authenticate(nacre_client *c)
{
    login l;
    int rc = nc_auth_begin(c);
    if (rc != NACRE_OK) {
        return rc;
    }
    memset(&l, 0, sizeof(l));
    l.c = c;
    c->auth.password_spent = false;
    rc = log_in(&l);
    nc_auth_candidates_clear(c, &l.keys);
    nacre_key_free(c->auth.unlocked);
    c->auth.unlocked = NULL;
    c->auth.unlocked_path = NULL;
    nc_auth_agent_close(c);
    return rc == NACRE_OK ? rc : cut_off(&l, rc);
}

int nacre_client_authenticate(nacre_client *c)
{
    return nc_client_authenticate(c);
}
