/*
 * sshd_policy.c - AuthenticationMethods: which methods a login still needs, and what those that were good
 * grant together.
 *
 * What was granted only ever shrinks with a further key: its limits come to those of the keys before it.
 */
#include "sshd.h"

#include <stdio.h>
#include <string.h>

/* ---- which methods ---------------------------------------------------------------------------------------- */

/* Only root can read the shadow file; a method that never says yes is not offered. */
static const char *enabled(const sshd *d, const nacre_sshd_settings *s)
{
    static char list[128];
    const struct {
        const char *name;
        bool on;
    } rows[] = {{"publickey", s->pubkey_authentication},
                {"password", d->root && s->password_authentication},
                {"keyboard-interactive", d->root && s->interactive_authentication},
                {"hostbased", s->hostbased_authentication}};
    size_t n = 0;
    list[0] = '\0';
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        if (rows[i].on) {
            n += (size_t)snprintf(list + n, sizeof(list) - n, "%s%s", n ? "," : "", rows[i].name);
        }
    }
    return list;
}

static nacre_auth_policy *make(const sshd *d, const nacre_sshd_settings *s, nacre_error *why)
{
    nacre_auth_policy *p = NULL;
    const nacre_sshd_list *lists = &s->authentication_methods;
    int rc = nacre_auth_policy_new(&p, NULL, (const char *const *)lists->items, lists->count,
                                   enabled(d, s), why);
    return rc == NACRE_OK ? p : NULL;
}

const char *auth_methods_of_all(const sshd *d)
{
    nacre_error why = {0};
    if (nacre_sshd_config_has_match(d->config)) {
        return d->root ? "publickey,password,keyboard-interactive,hostbased"
                       : "publickey,hostbased";
    }
    nacre_auth_policy *p = make(d, d->s, &why);
    if (!p) {
        say(LOG_LEVEL_ERROR, "AuthenticationMethods: %s", why.text);
        return "";
    }
    nacre_auth_policy_free(p);
    return enabled(d, d->s);
}

/* It is known which settings hold: a Match may ask for other methods. */
static bool settled(const login *l)
{
    return l->looked_up || !nacre_sshd_config_has_match(l->d->config);
}

/* NULL: nothing lets in, or not yet. */
static nacre_auth_policy *policy_of(login *l)
{
    nacre_error why = {0};
    if (!settled(l)) {
        return NULL;
    }
    if (!l->policy_made) {
        l->policy_made = true;
        l->policy = make(l->d, l->s, &why);
        if (!l->policy) {
            say(LOG_LEVEL_ERROR, "AuthenticationMethods: %s", why.text);
        }
    }
    return l->policy;
}

const char *policy_methods(login *l)
{
    const nacre_auth_policy *p = policy_of(l);
    if (!settled(l)) {
        return NULL;
    }
    return p ? nacre_auth_policy_methods(p) : "";
}

bool policy_allows(login *l, const char *method)
{
    const nacre_auth_policy *p = policy_of(l);
    return p && nacre_auth_policy_allows(p, method, NULL);
}

/* ---- what they grant --------------------------------------------------------------------------------------- */

/* Two lists of targets: only when they are the same can one of them stand for both. */
static void narrow_targets(nacre_key_grant *g, bool *limited, char *list, bool more_limited,
                           const char *more)
{
    if (!more_limited) {
        return;
    }
    if (*limited && memcmp(list, more, sizeof(g->permit_open)) != 0) {
        g->may &= ~(uint32_t)NACRE_MAY_FORWARD_PORT;
    }
    *limited = true;
    memcpy(list, more, sizeof(g->permit_open));
}

/* False: two keys force two commands, and only one could run. */
static bool narrow(nacre_key_grant *g, const nacre_key_grant *more)
{
    if (g->command[0] && more->command[0] && strcmp(g->command, more->command) != 0) {
        return false;
    }
    if (!g->command[0]) {
        memcpy(g->command, more->command, sizeof(g->command));
    }
    if (!g->environment[0]) {
        memcpy(g->environment, more->environment, sizeof(g->environment));
    }
    if (more->valid_until && (!g->valid_until || more->valid_until < g->valid_until)) {
        g->valid_until = more->valid_until;
    }
    g->may &= more->may;
    narrow_targets(g, &g->open_limited, g->permit_open, more->open_limited, more->permit_open);
    narrow_targets(g, &g->listen_limited, g->permit_listen, more->listen_limited,
                   more->permit_listen);
    if (g->tunnel && more->tunnel && g->tunnel != more->tunnel) {
        g->may &= ~(uint32_t)NACRE_MAY_TUNNEL;
    }
    g->tunnel = more->tunnel ? more->tunnel : g->tunnel;
    g->certificate = g->certificate || more->certificate;
    g->line = more->line;
    return true;
}

static bool keep(login *l, const nacre_key *key, const nacre_key_grant *grant)
{
    nacre_key *same = NULL;
    nacre_error why = {0};
    if (l->steps == 0) {
        memset(&l->grant, 0, sizeof(l->grant));
        l->grant.may = NACRE_MAY_ALL;
    }
    if (grant && !narrow(&l->grant, grant)) {
        say(LOG_LEVEL_ERROR, "the keys of '%s' force different commands", plain_text(l->user));
        return false;
    }
    if (key && nacre_key_from_blob(&same, NULL, nacre_key_blob(key), &why) != NACRE_OK) {
        return false;
    }
    if (key) {
        nacre_key_free(l->key);
        l->key = same;
    }
    l->steps++;
    return true;
}

nacre_verdict policy_passed(login *l, const nacre_event *ev, const char *method,
                            const nacre_key *key, const nacre_key_grant *grant)
{
    const nacre_endpoint *peer = nacre_server_conn_peer(l->c);
    if (!policy_allows(l, method) || !keep(l, key, grant)) {
        return NACRE_REFUSE;
    }
    int rc = nacre_auth_policy_passed(l->policy, method, NULL);
    if (rc == NACRE_OK) {
        (void)snprintf(l->method, sizeof(l->method), "%s", method);
        return NACRE_ACCEPT;
    }
    if (rc != NACRE_AUTH_PARTIAL) {
        return NACRE_REFUSE;
    }
    say(LOG_LEVEL_INFO, "Partial %s for %s from %s port %u ssh2", method, plain_text(l->user),
        peer->address, peer->port);
    nacre_answer more = {
        .accept = true, .partial = true, .methods = nacre_auth_policy_methods(l->policy)};
    rc = nacre_transport_answer(nacre_server_conn_transport(l->c), ev->ticket, &more);
    return rc == NACRE_OK ? NACRE_LATER : NACRE_REFUSE;
}
