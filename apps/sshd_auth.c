/*
 * sshd_auth.c - who gets in. Every question is answered the same way, and after the same time, whether
 * the user exists or not; only a positive check of a method that the settings allow says yes.
 */
#include "sshd.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

enum { REFUSAL_MS = 8 }; /* no refusal comes sooner; lookups and file reads hide behind it */

/* ---- life -------------------------------------------------------------------------------------------------- */

login *login_new(sshd *d, nacre_server_conn *c, int startup_fd)
{
    const nacre_endpoint *peer = nacre_server_conn_peer(c);
    const nacre_endpoint *local = nacre_server_conn_local(c);
    login *l = calloc(1, sizeof(*l));
    if (!l) {
        return NULL;
    }
    l->d = d;
    l->config = d->config;
    l->s = d->s;
    l->c = c;
    l->startup_fd = startup_fd;
    nacre_server_conn_set_user(c, l);
    say(LOG_LEVEL_VERBOSE, "Connection from %s port %u on %s port %u", peer->address, peer->port,
        local->address, local->port);
    if (!nacre_sshd_config_has_match(d->config)) {
        user_banner(l); /* else it may be the user's own */
    }
    return l;
}

void login_free(login *l)
{
    if (!l) {
        return;
    }
    nacre_loop_cancel(nacre_server_loop(nacre_server_conn_server(l->c)), l->timer);
    nacre_account_free(l->account);
    nacre_key_free(l->key);
    nacre_auth_policy_free(l->policy);
    place_forget(l);
    nacre_sshd_config_free(l->own_config);
    if (l->startup_fd >= 0) {
        (void)close(l->startup_fd);
    }
    free(l);
}

/* ---- answers ------------------------------------------------------------------------------------------------ */

static void refuse_now(void *user)
{
    login *l = user;
    nacre_answer no = {.accept = false};
    uint32_t ticket = l->ticket;
    no.methods = policy_methods(l); /* what has its turn: more was offered so far */
    l->timer = 0;
    l->ticket = 0;
    (void)nacre_server_answer(l->c, ticket, &no);
}

/* After a time that depends on nothing that happened meanwhile, as far as that goes. */
static nacre_verdict refuse_later(login *l, const nacre_event *ev)
{
    nacre_loop *loop = nacre_server_loop(nacre_server_conn_server(l->c));
    uint64_t spent = nacre_loop_now(loop) - l->asked_at;
    uint64_t target = REFUSAL_MS;
    while (target < spent) {
        target *= 2;
    }
    nacre_loop_cancel(loop, l->timer);
    l->timer = 0;
    l->ticket = ev->ticket;
    if (nacre_loop_timer(loop, target - spent, refuse_now, l, &l->timer) != NACRE_OK) {
        return NACRE_REFUSE;
    }
    return NACRE_LATER;
}

static login *asked(nacre_server_conn *c)
{
    login *l = nacre_server_conn_user(c);
    l->asked_at = nacre_loop_now(nacre_server_loop(nacre_server_conn_server(c)));
    return l;
}

/* Only for what is refused later: how long a lookup takes tells whether there is such a user. */
static login *begin(nacre_server_conn *c, const nacre_event *ev)
{
    login *l = asked(c);
    user_look_up(l, ev->u.auth.user);
    return l;
}

static void log_failed(const login *l, const char *method)
{
    const nacre_endpoint *peer = nacre_server_conn_peer(l->c);
    say(LOG_LEVEL_INFO, "Failed %s for %s%s from %s port %u ssh2", method,
        l->account ? "" : "invalid user ", plain_text(l->user), peer->address, peer->port);
}

/* ---- methods ------------------------------------------------------------------------------------------------ */

/* Refused whoever asks: there is no need to know who, unless the list of methods depends on it. */
static nacre_verdict on_none(void *user, nacre_server_conn *c, const nacre_event *ev)
{
    login *l = nacre_server_conn_user(c);
    (void)user;
    if (nacre_sshd_config_has_match(l->d->config)) {
        return refuse_later(begin(c, ev), ev);
    }
    nacre_answer no = {.accept = false, .methods = policy_methods(l)};
    return nacre_transport_answer(nacre_server_conn_transport(c), ev->ticket, &no) == NACRE_OK
               ? NACRE_LATER
               : NACRE_REFUSE;
}

/* The check is made whoever asks: its time must not tell who exists, or who may not come. */
static bool password_good(login *l, nacre_span password)
{
    int rc = nacre_account_check_password(l->account ? l->account->name : NULL, password);
    bool root_may = !l->account || l->account->uid != 0 || l->s->permit_root == NACRE_ROOT_YES;
    return rc == NACRE_OK && l->account && l->allowed && l->d->root && root_may;
}

static nacre_verdict check_password(login *l, const nacre_event *ev, nacre_span password,
                                    const char *method)
{
    if (password_good(l, password)) {
        nacre_verdict v = policy_passed(l, ev, method, NULL, NULL);
        if (v != NACRE_REFUSE) {
            return v;
        }
    }
    log_failed(l, method);
    return refuse_later(l, ev);
}

static nacre_verdict on_password(void *user, nacre_server_conn *c, const nacre_event *ev)
{
    (void)user;
    login *l = begin(c, ev);
    if (!policy_allows(l, "password") || ev->u.auth.change) {
        return refuse_later(l, ev);
    }
    return check_password(l, ev, ev->u.auth.password, "password");
}

static nacre_verdict on_interactive(void *user, nacre_server_conn *c, const nacre_event *ev)
{
    static const char prompt_text[] = "Password: ";
    (void)user;
    /* Everybody is asked, hence at once and without a lookup. */
    login *l = ev->type == NACRE_EVENT_AUTH_RESPONSES ? begin(c, ev) : asked(c);
    bool known = l->looked_up || !nacre_sshd_config_has_match(l->d->config);
    if (known ? !policy_allows(l, "keyboard-interactive")
              : !l->s->interactive_authentication || !l->d->root) {
        return refuse_later(l, ev);
    }
    if (ev->type == NACRE_EVENT_AUTH_RESPONSES) {
        return ev->u.auth.count == 1
                   ? check_password(l, ev, ev->u.auth.responses[0], "keyboard-interactive")
                   : refuse_later(l, ev);
    }
    nacre_prompt prompt = {{(const uint8_t *)prompt_text, sizeof(prompt_text) - 1}, false};
    nacre_answer ask = {.accept = false, .prompts = &prompt, .prompt_count = 1};
    ask.name = ask.instruction = "";
    (void)nacre_transport_answer(nacre_server_conn_transport(c), ev->ticket, &ask);
    return NACRE_LATER;
}

/* The engine knows what the server takes; a Match may take less. */
static bool algorithm_good(const login *l, const char *spec, const char *keyword,
                           const char *algorithm)
{
    char list[4096];
    nacre_error why = {0};
    int n = nacre_algorithms_resolve(NACRE_ALG_SIGNATURE, spec, list, sizeof(list), &why);
    size_t len = strlen(algorithm);
    for (const char *p = n > 0 ? list : ""; *p; p += strcspn(p, ",")) {
        p += *p == ',' ? 1 : 0;
        if (strcspn(p, ",") == len && strncmp(p, algorithm, len) == 0) {
            return true;
        }
    }
    say(LOG_LEVEL_INFO, "%s is not among the %s for %s", plain_text(algorithm), keyword,
        plain_text(l->user));
    return false;
}

static bool key_good(login *l, const nacre_key *key, nacre_key_grant *grant)
{
    if (certs_revoked(l, key)) {
        return false;
    }
    if (!l->account || !l->allowed || !policy_allows(l, "publickey") ||
        !keys_allow(l, key, grant)) {
        return false;
    }
    if (l->account->uid == 0 && l->s->permit_root == NACRE_ROOT_FORCED_COMMANDS &&
        !grant->command[0] && !l->s->force_command) {
        say(LOG_LEVEL_INFO, "root login is permitted to keys with a forced command only");
        return false;
    }
    return true;
}

/* What a security key must have said of its signature; a probe has none yet. */
static bool signature_good(const login *l, const nacre_key_grant *grant, const nacre_sk_details *sk)
{
    nacre_error why = {0};
    uint32_t options = l->s->pubkey_auth_options;
    int rc = nacre_key_grant_signature(grant, sk, options & NACRE_PUBKEY_TOUCH_REQUIRED,
                                       options & NACRE_PUBKEY_VERIFY_REQUIRED, &why);
    if (rc != NACRE_OK) {
        say(LOG_LEVEL_INFO, "signature for %s from %s refused: %s", plain_text(l->user),
            nacre_server_conn_peer(l->c)->address, why.text);
    }
    return rc == NACRE_OK;
}

static nacre_verdict on_key(void *user, nacre_server_conn *c, const nacre_event *ev, bool signed_)
{
    (void)user;
    login *l = begin(c, ev);
    nacre_key_grant *grant = calloc(1, sizeof(*grant));
    bool good = grant &&
                algorithm_good(l, l->s->pubkey_algorithms, "PubkeyAcceptedAlgorithms",
                               ev->u.auth.algorithm) &&
                key_good(l, ev->u.auth.key, grant);
    nacre_verdict v = NACRE_REFUSE;
    good = good && (!signed_ || signature_good(l, grant, &ev->u.auth.sk));
    if (good && signed_) {
        /* What holds for the connection belongs to the key that signed, not to one that was offered. */
        v = policy_passed(l, ev, "publickey", ev->u.auth.key, grant);
    } else if (good) {
        v = NACRE_ACCEPT;
    }
    free(grant);
    if (v != NACRE_REFUSE) {
        return v;
    }
    if (log_level() >= LOG_LEVEL_VERBOSE || signed_) {
        log_failed(l, "publickey");
    }
    return refuse_later(l, ev);
}

static bool host_good(login *l, const nacre_event *ev)
{
    bool root = l->account && l->account->uid == 0;
    if (certs_revoked(l, ev->u.auth.key)) {
        return false;
    }
    if (root && l->s->permit_root == NACRE_ROOT_FORCED_COMMANDS && !l->s->force_command) {
        say(LOG_LEVEL_INFO, "root login is permitted to keys with a forced command only");
        return false;
    }
    return l->account && l->allowed && policy_allows(l, "hostbased") &&
           algorithm_good(l, l->s->hostbased_algorithms, "HostbasedAcceptedAlgorithms",
                          ev->u.auth.algorithm) &&
           hosts_allow(l, ev);
}

static nacre_verdict on_hostbased(void *user, nacre_server_conn *c, const nacre_event *ev)
{
    (void)user;
    login *l = begin(c, ev);
    nacre_verdict v = NACRE_REFUSE;
    if (host_good(l, ev)) {
        v = policy_passed(l, ev, "hostbased", NULL, NULL);
    }
    if (v != NACRE_REFUSE) {
        return v;
    }
    log_failed(l, "hostbased");
    return refuse_later(l, ev);
}

/* ---- in ------------------------------------------------------------------------------------------------------ */

static bool closed_to_users(const login *l)
{
    return l->account->uid != 0 &&
           (access("/etc/nologin", F_OK) == 0 || access("/run/nologin", F_OK) == 0);
}

/* For good: what runs from here on, the protocol included, has no rights but the user's. */
static bool become_user(login *l)
{
    nacre_error why = {0};
    if (!place_enter(l)) {
        return false;
    }
    if (!l->d->root) {
        return true;
    }
    if (nacre_become(l->account, &why) != NACRE_OK) {
        say(LOG_LEVEL_FATAL, "%s", why.text);
        _exit(255);
    }
    /* Again, because new ids may set it anew. */
    (void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
    return true;
}

static nacre_verdict on_authenticated(void *user, nacre_server_conn *c, const char *name,
                                      const nacre_key *key)
{
    login *l = nacre_server_conn_user(c);
    const nacre_endpoint *peer = nacre_server_conn_peer(c);
    char print[1024] = "";
    (void)user;
    bool known = l->account && l->allowed && l->method[0] && strcmp(name, l->user) == 0;
    bool same_key =
        (key == NULL && l->key == NULL) || (key && l->key && nacre_key_equal(key, l->key));
    if (!known || !same_key) {
        say(LOG_LEVEL_ERROR, "login of %s does not fit what was checked", plain_text(name));
        return NACRE_REFUSE;
    }
    if (l->key) {
        char hash[128] = "", cert[768] = "";
        (void)nacre_key_fingerprint(l->key, l->s->fingerprint_md5 ? "md5" : "sha256", hash,
                                    sizeof(hash));
        certs_describe(l->key, cert, sizeof(cert));
        (void)snprintf(print, sizeof(print), ": %s %s%s", nacre_key_label(l->key), hash, cert);
    }
    say(LOG_LEVEL_INFO, "Accepted %s for %s from %s port %u ssh2%s", l->method, plain_text(name),
        peer->address, peer->port, print);
    if (closed_to_users(l)) {
        say(LOG_LEVEL_INFO, "User %s refused: there is a nologin file", plain_text(name));
        return NACRE_REFUSE;
    }
    children_tell_login(&l->startup_fd);
    (void)alarm(0); /* LoginGraceTime is kept */
    greet_note_login(l);
    l->in = become_user(l);
    if (!l->in) {
        return NACRE_REFUSE;
    }
    l->may = l->grant.may & nacre_sshd_config_may(l->config);
    place_tell(l);
    return user_limit_silence(l) ? NACRE_ACCEPT : NACRE_REFUSE;
}

static void on_disconnected(void *user, nacre_server_conn *c, const nacre_error *why)
{
    login *l = nacre_server_conn_user(c);
    const nacre_endpoint *peer = nacre_server_conn_peer(c);
    (void)user;
    if (!l) {
        return;
    }
    bool plain_end = why->status == NACRE_OK || why->status == NACRE_CLOSED ||
                     why->status == NACRE_PEER_DISCONNECTED;
    const char *who = l->looked_up ? plain_text(l->user) : "";
    const char *what = l->in ? "user " : l->looked_up ? "authenticating user " : "";
    if (plain_end && l->in) {
        say(LOG_LEVEL_INFO, "Disconnected from user %s %s port %u", who, peer->address, peer->port);
    } else {
        say(LOG_LEVEL_INFO, "Connection closed by %s%s%s%s port %u: %s", what, who,
            l->looked_up ? " " : "", peer->address, peer->port,
            why->text[0] ? why->text : nacre_status_text(why->status));
    }
    nacre_server_conn_set_user(c, NULL);
    login_free(l);
}

void auth_callbacks(nacre_server_callbacks *cb)
{
    cb->auth_none = on_none;
    cb->auth_password = on_password;
    cb->auth_key = on_key;
    cb->auth_interactive = on_interactive;
    cb->auth_hostbased = on_hostbased;
    cb->authenticated = on_authenticated;
    cb->disconnected = on_disconnected;
}
