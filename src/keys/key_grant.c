/*
 * key_grant.c - what a certificate adds to a grant and takes from it, and the questions that a login asks of a
 * grant: may this signature count, may this be forwarded?
 *
 * PROTOCOL.certkeys: an extension that is not named is a right that is not given; a critical option that is not
 * known makes the certificate none.
 */
#include "keys/key_options.h"

#include "base/words.h"
#include "keys/pattern.h"
#include "nacre/cert.h"

#include <string.h>

bool nc_cert_has_principal(const nacre_key *cert, nacre_span name)
{
    nacre_cert_info info;
    nacre_span one;
    if (nacre_key_cert_info(cert, &info) != NACRE_OK || name.n == 0) {
        return false;
    }
    while (nacre_cert_next_principal(&info.principals, &one)) {
        if (nc_span_eq(one, name)) {
            return true;
        }
    }
    return false;
}

/* ---- options of the certificate -------------------------------------------------------------------- */

static int fold_command(nc_option_check *c, nacre_span command)
{
    nacre_key_grant *g = c->grant;
    if (command.n == 0 || command.n >= sizeof(g->command) || memchr(command.p, 0, command.n)) {
        return nc_option_refuse(c, "the certificate's force-command is empty or too long");
    }
    if (g->command[0] && !nc_span_is(command, g->command)) {
        return nc_option_refuse(c, "the certificate forces another command than its command=");
    }
    memcpy(g->command, command.p, command.n);
    g->command[command.n] = '\0';
    return NACRE_OK;
}

/* What both allow is allowed; what either demands is demanded. */
static int fold_options(nc_option_check *c, const nacre_cert_grant *cert)
{
    nacre_key_grant *g = c->grant;
    g->may &= cert->may;
    g->no_touch_required = g->no_touch_required && cert->no_touch_required;
    g->verify_required = g->verify_required || cert->verify_required;
    g->certificate = true;
    if (cert->verify_required && !nacre_key_is_sk(c->key)) {
        return nc_option_refuse(c, "with verify-required, which this key cannot fulfil");
    }
    return cert->force_command.p ? fold_command(c, cert->force_command) : NACRE_OK;
}

int nc_option_fold_cert(nc_option_check *c, const char *user)
{
    nacre_cert_grant cert;
    nacre_cert_rules rules;
    nacre_error why = {0};
    if (!c->facts->user) {
        return nc_option_refuse(c, "who wants in is not known");
    }
    nacre_cert_rules_init(&rules, NACRE_CERT_USER);
    rules.principal = user;
    rules.now = c->facts->now_seconds > 0 ? (uint64_t)c->facts->now_seconds : 0;
    rules.peer_address = c->facts->peer_address;
    rules.ca_algorithms = c->facts->ca_algorithms;
    rules.user_verified = nacre_key_is_sk(c->key); /* the signature shows it: verify_required */
    int rc = nacre_cert_check(c->key, &rules, &why);
    rc = rc == NACRE_OK ? nacre_cert_options(c->key, &cert, &why) : rc;
    if (rc == NACRE_NO_MEMORY) {
        return rc;
    }
    if (rc != NACRE_OK) {
        return nc_fail(c->why, NACRE_NOT_FOUND, "%s", why.text);
    }
    return fold_options(c, &cert);
}

/* ---- questions ---------------------------------------------------------------------------------------- */

int nacre_key_grant_signature(const nacre_key_grant *grant, const nacre_sk_details *sk,
                              bool touch_demanded, bool verify_demanded, nacre_error *why)
{
    nc_error_clear(why);
    bool present = (sk->flags & NACRE_SK_USER_PRESENT) != 0;
    bool verified = (sk->flags & NACRE_SK_USER_VERIFIED) != 0;
    if (!sk->sk) {
        return grant->verify_required
                   ? nc_fail(why, NACRE_AUTH_FAILED, "verify-required, and this is no security key")
                   : NACRE_OK;
    }
    if (!present && (touch_demanded || !grant->no_touch_required)) {
        return nc_fail(why, NACRE_AUTH_FAILED,
                       "the security key signed without being touched, which is required");
    }
    if (!verified && (verify_demanded || grant->verify_required)) {
        return nc_fail(why, NACRE_AUTH_FAILED,
                       "the security key signed without verifying its user, which is required");
    }
    return NACRE_OK;
}

/* entry: "host:port" as the option was taken. */
static bool target_fits(const char *entry, const char *host, uint32_t port, bool listens)
{
    const char *colon = strrchr(entry, ':');
    nacre_span name = nc_span(entry, colon ? (size_t)(colon - entry) : 0);
    uint32_t number = 0;
    if (!colon) {
        return false;
    }
    if (name.n >= 2 && name.p[0] == '[' && name.p[name.n - 1] == ']') {
        name = nc_span(name.p + 1, name.n - 2);
    }
    bool same = listens ? nc_pattern_match(nc_span_cstr(host), name, false)
                        : nc_span_is(name, "*") || nc_span_is(name, host);
    return same && (strcmp(colon + 1, "*") == 0 ||
                    (nc_parse_number(colon + 1, 1, 65535, &number) && number == port));
}

bool nacre_key_grant_permits(const nacre_key_grant *grant, bool listens, const char *host,
                             uint32_t port)
{
    const char *list = listens ? grant->permit_listen : grant->permit_open;
    bool limited = listens ? grant->listen_limited : grant->open_limited;
    if (!(grant->may & NACRE_MAY_FORWARD_PORT)) {
        return false;
    }
    for (const char *p = list; limited && *p; p += strlen(p) + 1) {
        if (target_fits(p, host, port, listens)) {
            return true;
        }
    }
    return !limited;
}

/* A list names hosts and ports: one that limits anything says nothing for a socket's path. */
bool nacre_key_grant_permits_path(const nacre_key_grant *grant, bool listens)
{
    const char *list = listens ? grant->permit_listen : grant->permit_open;
    bool found = listens ? !grant->listen_limited : !grant->open_limited;
    for (const char *p = list; !found && *p; p += strlen(p) + 1) {
        found = strcmp(p, "*:*") == 0;
    }
    return found && (grant->may & NACRE_MAY_FORWARD_PORT);
}
