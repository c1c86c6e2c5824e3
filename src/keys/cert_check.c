/*
 * cert_check.c - is a certificate good for this use, here and now? Kind, validity, principals, options
 * and the CA's signature algorithm (PROTOCOL.certkeys, sshd(8), CASignatureAlgorithms of sshd_config(5)).
 *
 * The answer is no unless each question was asked and answered. Not here: whether the CA is trusted (the
 * caller knows where it found it), revocation (krl.c).
 */
#include "keys/cert.h"
#include "keys/pattern.h"

#include <string.h>

static int refuse(nacre_error *why, const nacre_cert_info *i, const char *what)
{
    return nc_fail(why, NACRE_CERT_REFUSED, "%s certificate \"%s\" (serial %llu): %s",
                   i->kind == NACRE_CERT_HOST ? "host" : "user", NC_ESC(i->key_id),
                   (unsigned long long)i->serial, what);
}

/* ---- options ------------------------------------------------------------------------------------ */

typedef struct option_walk {
    const nacre_cert_info *info;
    nacre_cert_grant *grant;
    nacre_error *why;
} option_walk;

static int corrupt(const option_walk *w, const char *name)
{
    return nc_fail(w->why, NACRE_CERT_REFUSED,
                   "certificate \"%s\": its option %s stands there twice, or its data is malformed",
                   NC_ESC(w->info->key_id), name);
}

/* The string within the string, for options that have exactly that. */
static bool take_text(nacre_span raw, nacre_span *out)
{
    bool first = out->p == NULL;
    nc_rd r = nc_rd_init(raw);
    nacre_span text = nc_rd_str(&r);
    if (!first || nc_rd_end(&r) != NACRE_OK || text.n == 0 || memchr(text.p, 0, text.n)) {
        return false;
    }
    *out = text;
    return true;
}

static bool take_command(nacre_cert_grant *g, nacre_span raw)
{
    return take_text(raw, &g->force_command);
}

static bool take_addresses(nacre_cert_grant *g, nacre_span raw)
{
    return take_text(raw, &g->source_address) &&
           nc_block_list(nc_span(NULL, 0), g->source_address) != NC_MATCH_BAD;
}

static bool take_verify(nacre_cert_grant *g, nacre_span raw)
{
    g->verify_required = true;
    return raw.n == 0;
}

static bool take_no_touch(nacre_cert_grant *g, nacre_span raw)
{
    g->no_touch_required = true;
    return raw.n == 0;
}

static bool take_permit(nacre_cert_grant *g, nacre_span raw)
{
    (void)g;
    return raw.n == 0;
}

typedef struct option_row {
    const char *name;
    bool critical; /* where it may stand: there it means something, elsewhere it is unknown */
    uint32_t may;
    bool (*take)(nacre_cert_grant *g, nacre_span raw); /* false: malformed, or there already */
} option_row;

static const option_row option_rows[] = {
    {"force-command", true, 0, take_command},
    {"source-address", true, 0, take_addresses},
    {"verify-required", true, 0, take_verify},
    {"no-touch-required", false, 0, take_no_touch},
    {"permit-X11-forwarding", false, NACRE_MAY_FORWARD_X11, take_permit},
    {"permit-agent-forwarding", false, NACRE_MAY_FORWARD_AGENT, take_permit},
    {"permit-port-forwarding", false, NACRE_MAY_FORWARD_PORT, take_permit},
    {"permit-pty", false, NACRE_MAY_PTY, take_permit},
    {"permit-user-rc", false, NACRE_MAY_USER_RC, take_permit},
};

static const option_row *find_option(nacre_span name, bool critical)
{
    for (size_t i = 0; i < sizeof(option_rows) / sizeof(option_rows[0]); i++) {
        if (option_rows[i].critical == critical && nc_span_is(name, option_rows[i].name)) {
            return &option_rows[i];
        }
    }
    return NULL;
}

static int walk_options(option_walk *w, nacre_span list, bool critical)
{
    nc_rd r = nc_rd_init(list);
    while (nc_rd_left(&r) > 0) {
        nacre_span name = nc_rd_str(&r);
        nacre_span raw = nc_rd_str(&r);
        const option_row *row = find_option(name, critical);
        if (!row && critical) {
            return nc_fail(w->why, NACRE_CERT_REFUSED,
                           "certificate \"%s\" has the critical option %s, which is not supported",
                           NC_ESC(w->info->key_id), NC_ESC(name));
        }
        if (row && !row->take(w->grant, raw)) {
            return corrupt(w, row->name);
        }
        w->grant->may |= row ? row->may : 0;
    }
    /* The lists were walked once when the certificate was read. */
    return nc_rd_err(&r) == NACRE_OK ? NACRE_OK : corrupt(w, "list");
}

int nacre_cert_options(const nacre_key *cert, nacre_cert_grant *out, nacre_error *why)
{
    nacre_cert_info info;
    nc_error_clear(why);
    memset(out, 0, sizeof(*out));
    int rc = nacre_key_cert_info(cert, &info);
    if (rc != NACRE_OK || info.kind != NACRE_CERT_USER) {
        return nc_fail(why, NACRE_INVALID_ARGUMENT, "not a user certificate");
    }
    option_walk w = {&info, out, why};
    rc = walk_options(&w, info.critical, true);
    if (rc == NACRE_OK) {
        rc = walk_options(&w, info.extensions, false);
    }
    if (rc != NACRE_OK) {
        memset(out, 0, sizeof(*out));
    }
    return rc;
}

/* ---- rules -------------------------------------------------------------------------------------- */

void nacre_cert_rules_init(nacre_cert_rules *rules, nacre_cert_kind kind)
{
    memset(rules, 0, sizeof(*rules));
    rules->size = sizeof(*rules);
    rules->kind = kind;
}

/* DNS names have no case; patterns are compared as they stand, so that "HOST" matches nothing. */
static bool host_matches(const char *host, nacre_span pattern)
{
    uint8_t name[NC_CERT_MAX_HOST];
    size_t n = strlen(host);
    if (n == 0 || n > sizeof(name)) {
        return false;
    }
    for (size_t i = 0; i < n; i++) {
        name[i] = nc_text_lower((uint8_t)host[i]);
    }
    return nc_pattern_match(nc_span(name, n), pattern, false);
}

/* Each principal stands for itself, whatever is in it: none is ever split at a comma. */
static bool principal_matches(const nacre_cert_info *i, const char *wanted)
{
    nacre_span rest = i->principals;
    nacre_span name;
    while (nacre_cert_next_principal(&rest, &name)) {
        bool same = i->kind == NACRE_CERT_HOST ? host_matches(wanted, name)
                                               : name.n > 0 && nc_span_is(name, wanted);
        if (same) {
            return true;
        }
    }
    return false;
}

static int check_time(const nacre_cert_info *i, uint64_t now, nacre_error *why)
{
    if (i->valid_before <= i->valid_after) {
        return refuse(why, i, "its validity ends before it begins");
    }
    if (now == 0) {
        return refuse(why, i, "without a clock it cannot be seen to be valid");
    }
    if (now < i->valid_after) {
        return refuse(why, i, "not yet valid");
    }
    return now < i->valid_before ? NACRE_OK : refuse(why, i, "expired");
}

static int check_principal(const nacre_cert_info *i, const char *wanted, nacre_error *why)
{
    if (i->principals.n == 0) {
        return refuse(why, i, "it names no principals");
    }
    if (wanted && !principal_matches(i, wanted)) {
        return nc_fail(why, NACRE_CERT_REFUSED,
                       "%s certificate \"%s\" (serial %llu): %s is none of its principals",
                       i->kind == NACRE_CERT_HOST ? "host" : "user", NC_ESC(i->key_id),
                       (unsigned long long)i->serial, NC_ESC(nc_span_cstr(wanted)));
    }
    return NACRE_OK;
}

static int check_ca_algorithm(const nacre_cert_info *i, const char *allowed, nacre_error *why)
{
    nacre_span name = nc_span_cstr(i->ca_algorithm);
    const nc_sig_alg *alg = nc_sig_find(name);
    bool good = allowed ? nc_pattern_list(name, nc_span_cstr(allowed), false) == NC_MATCH_YES
                        : alg && !alg->insecure;
    if (good) {
        return NACRE_OK;
    }
    return nc_fail(why, NACRE_CERT_REFUSED,
                   "certificate \"%s\": its CA signed with %s, which is not allowed",
                   NC_ESC(i->key_id), i->ca_algorithm);
}

static int check_user_options(const nacre_key *cert, const nacre_cert_info *i,
                              const nacre_cert_rules *rules, nacre_error *why)
{
    nacre_cert_grant grant;
    int rc = nacre_cert_options(cert, &grant, why);
    if (rc != NACRE_OK) {
        return rc;
    }
    nacre_span peer = nc_span_cstr(rules->peer_address);
    if (grant.source_address.p && nc_block_list(peer, grant.source_address) != NC_MATCH_YES) {
        return refuse(why, i, "its source-address does not allow this address");
    }
    if (grant.verify_required && !rules->user_verified) {
        return refuse(why, i, "it demands a signature for which the device verified its user");
    }
    return NACRE_OK;
}

int nacre_cert_check(const nacre_key *cert, const nacre_cert_rules *given, nacre_error *why)
{
    nacre_cert_info i;
    nacre_cert_rules rules;
    nc_error_clear(why);
    nacre_cert_rules_init(&rules, given->kind);
    memcpy(&rules, given, given->size < sizeof(rules) ? given->size : sizeof(rules));
    if (nacre_key_cert_info(cert, &i) != NACRE_OK) {
        return nc_fail(why, NACRE_CERT_REFUSED, "a plain key was shown, not a certificate");
    }
    if (i.kind != rules.kind) {
        return refuse(why, &i,
                      rules.kind == NACRE_CERT_HOST ? "not a host certificate"
                                                    : "not a user certificate");
    }
    int rc = check_time(&i, rules.now, why);
    if (rc == NACRE_OK) {
        rc = check_principal(&i, rules.principal, why);
    }
    if (rc == NACRE_OK) {
        rc = check_ca_algorithm(&i, rules.ca_algorithms, why);
    }
    if (rc == NACRE_OK && i.kind == NACRE_CERT_HOST && i.critical.n) {
        rc = refuse(why, &i, "it has critical options, and none are defined for hosts");
    }
    if (rc == NACRE_OK && i.kind == NACRE_CERT_USER) {
        rc = check_user_options(cert, &i, &rules, why);
    }
    return rc;
}
