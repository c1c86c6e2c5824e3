/*
 * verify.c - is this the server that we meant? The policies for what known_hosts and the other sources of trust
 * (trust_find.c, trust_dns.c) say of a host key.
 *
 * Every way to an accepted key is in judge(); each step of it says NACRE_OK (accepted), NACRE_AGAIN (not for the
 * step to say) or why it is refused.
 */
#include "client/trust.h"
#include "io/known_hosts_file.h"
#include "nacre/cert.h"

#include <stdio.h>
#include <string.h>

static const char *source_of(const nacre_host_line *line)
{
    return line->source && *line->source ? line->source : "the known hosts";
}

static void print_key(const nacre_client *c, const nacre_key *key, char *out)
{
    if (!key ||
        nacre_key_fingerprint(key, c->cfg.trust.fingerprint_hash, out, NC_FINGERPRINT_MAX) < 0) {
        (void)snprintf(out, NC_FINGERPRINT_MAX, "(no fingerprint)");
    }
}

/* ---- refusals ---- */

static int fail_changed(nacre_client *c, const nc_trial *t)
{
    char known[NC_FINGERPRINT_MAX];
    char source[300];
    print_key(c, t->line.key, known);
    (void)snprintf(source, sizeof(source), "%s", NC_ESC(nc_span_cstr(source_of(&t->line))));
    return nc_client_fail(
        c, NACRE_HOST_KEY_CHANGED,
        "the host key of %s has changed: the server shows %s %s, but %s:%u has another %s key, %s. "
        "Either somebody is between you and the server, or its key was replaced. Ask its "
        "administrator; if it was replaced, remove the old line: ssh-keygen -f '%s' -R '%s'",
        t->name, nacre_key_label(t->key), t->fingerprint, source, (unsigned)t->line.line,
        nacre_key_label(t->key), known, source, t->name);
}

static int fail_revoked(nacre_client *c, const nc_trial *t, const nacre_host_line *line)
{
    return nc_client_fail(c, NACRE_HOST_KEY_REVOKED,
                          "the host key of %s, %s %s, is marked as revoked in %s:%u: it was stolen "
                          "or withdrawn, and proves nothing",
                          t->name, nacre_key_label(t->key), t->fingerprint,
                          NC_ESC(nc_span_cstr(source_of(line))), (unsigned)line->line);
}

static int fail_unknown(nacre_client *c, const nc_trial *t)
{
    const char *certificate = t->why_not[0] ? ". Its certificate does not count: " : "";
    if (t->match == NACRE_HOST_OTHER_TYPE) {
        return nc_client_fail(
            c, NACRE_HOST_KEY_OTHER_TYPE,
            "the host key of %s is not known: the server shows %s %s, but %s:%u has a key of "
            "another type. Compare the fingerprint with one from its administrator, then add "
            "it%s%s",
            t->name, nacre_key_label(t->key), t->fingerprint,
            NC_ESC(nc_span_cstr(source_of(&t->line))), (unsigned)t->line.line, certificate,
            t->why_not);
    }
    return nc_client_fail(c, NACRE_HOST_KEY_UNKNOWN,
                          "No %s host key is known for %s and you have requested strict checking. "
                          "The server shows %s; compare it with a fingerprint from its "
                          "administrator%s%s",
                          nacre_key_label(t->key), t->name, t->fingerprint, certificate,
                          t->why_not);
}

static int fail_address(nacre_client *c, const nc_trial *t)
{
    return nc_client_fail(c, NACRE_HOST_KEY_CHANGED,
                          "the %s host key for '%s' differs from the key for the IP address '%s' "
                          "in %s:%u, and strict checking is asked for",
                          nacre_key_label(t->key), t->name, c->address,
                          NC_ESC(nc_span_cstr(source_of(&t->address_line))),
                          (unsigned)t->address_line.line);
}

/* ---- remembering ---- */

static int append_lines(const nacre_client *c, const nc_trial *t, bool host, bool address,
                        nacre_error *why)
{
    nc_buf lines;
    nc_error_clear(why);
    nc_buf_init(&lines, c->alloc, 128 * 1024);
    int rc = nc_trust_lines(c, t->key, host, address, &lines);
    if (rc == NACRE_OK) {
        rc = nc_known_hosts_append(c->cfg.known_hosts_file, nc_buf_span(&lines), why);
    } else {
        (void)nc_fail(why, rc, "no known_hosts line can be made for it: %s", nacre_status_text(rc));
    }
    nc_buf_clear(&lines);
    return rc;
}

static void remember(nacre_client *c, const nc_trial *t)
{
    nacre_error why;
    bool with_address = t->check_address && t->address_match == NACRE_HOST_UNKNOWN;
    if (!c->cfg.known_hosts_file) {
        return;
    }
    if (append_lines(c, t, true, with_address, &why) != NACRE_OK) {
        nc_client_warn(c, "Failed to add the host to the list of known hosts: %s", why.text);
        return;
    }
    nc_client_warn(c, "Warning: Permanently added '%s%s%s' (%s) to the list of known hosts.",
                   t->name, with_address ? "," : "", with_address ? c->address : "",
                   nacre_key_label(t->key));
}

/* The host is known, its address is not. */
static void remember_address(nacre_client *c, const nc_trial *t)
{
    nacre_error why;
    if (!c->cfg.known_hosts_file) {
        return;
    }
    if (append_lines(c, t, false, true, &why) != NACRE_OK) {
        nc_client_warn(c,
                       "Failed to add the %s host key for IP address '%s' to the list of known "
                       "hosts: %s",
                       nacre_key_label(t->key), c->address, why.text);
        return;
    }
    nc_client_warn(c,
                   "Warning: Permanently added the %s host key for IP address '%s' to the list of "
                   "known hosts.",
                   nacre_key_label(t->key), c->address);
}

/* ---- asking ---- */

static bool ask(nacre_client *c, const nc_trial *t)
{
    const nacre_client_callbacks *cb = &c->cfg.callbacks;
    const nacre_host_trust *trust = &c->cfg.trust;
    char note[NC_HOST_NOTE_MAX], art[NC_ART_MAX] = "";
    if (!cb->ask_host) {
        return false;
    }
    nc_trust_other_names(c, t->key, note, sizeof(note));
    if (trust->visual &&
        nacre_key_randomart(t->key, trust->fingerprint_hash, art, sizeof(art)) < 0) {
        art[0] = '\0';
    }
    nacre_host_question q = {.host = nc_trust_host(c),
                             .address = c->address,
                             .port = nc_trust_port(c),
                             .key = t->key,
                             .match = t->match,
                             .known = t->line,
                             .fingerprint = t->fingerprint,
                             .art = art,
                             .other_names = note,
                             .certificate = t->why_not,
                             .dns = trust->verify_dns == NACRE_DNS_NO ? NACRE_DNS_NOT_ASKED
                                    : t->dns_same                     ? NACRE_DNS_MATCHES
                                                                      : NACRE_DNS_MATCHES_NOT,
                             .address_match = t->address_match,
                             .address_line = t->address_line};
    return cb->ask_host(cb->user, &q);
}

/* ---- judging ---- */

static void say_known(nacre_client *c, const nc_trial *t)
{
    char art[NC_ART_MAX];
    nc_client_log(c, NACRE_LOG_VERBOSE, "Host '%s' is known and matches the %s host %s.", t->name,
                  nacre_key_label(t->key), nacre_key_is_cert(t->key) ? "certificate" : "key");
    nc_client_log(c, NACRE_LOG_VERBOSE, "Found %s in %s:%u",
                  nacre_key_is_cert(t->key) ? "CA key" : "key",
                  NC_ESC(nc_span_cstr(source_of(&t->line))), (unsigned)t->line.line);
    if (c->cfg.trust.visual &&
        nacre_key_randomart(t->key, c->cfg.trust.fingerprint_hash, art, sizeof(art)) > 0) {
        nc_client_warn(c, "Host key fingerprint is %s\n%s", t->fingerprint, art);
    }
}

/* A key may be revoked under the host's name, the bare name or the address: any of them ends it. */
static int judge_revoked(nacre_client *c, nc_trial *t)
{
    nacre_host_line line;
    const struct {
        const char *host;
        uint16_t port;
        bool asked;
    } names[] = {{nc_trust_host(c), nc_trust_port(c), true},
                 {nc_trust_host(c), 22, nc_trust_port(c) != 22},
                 {c->address, c->port, t->check_address}};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (names[i].asked && nc_trust_find(c, t, names[i].host, names[i].port, c->host_key,
                                            &line) == NACRE_HOST_REVOKED) {
            return fail_revoked(c, t, &line);
        }
    }
    return NACRE_AGAIN;
}

static bool is_loopback(const char *address)
{
    return strncmp(address, "127.", 4) == 0 || strcmp(address, "::1") == 0;
}

static int judge_shortcuts(nacre_client *c, nc_trial *t)
{
    bool vouched = false;
    if (c->cfg.trust.trust_loopback && !c->cfg.host_key_alias && is_loopback(c->address)) {
        nc_client_log(c, NACRE_LOG_VERBOSE,
                      "Forcing accepting of host key for loopback/localhost.");
        return NACRE_OK;
    }
    int rc = nc_trust_ask_dns(c, t, &vouched);
    if (rc != NACRE_OK) {
        return rc == NACRE_AGAIN ? NACRE_IO : rc;
    }
    if (t->dns_found && !t->dns_same) {
        nc_client_warn(c,
                       "WARNING: the DNS has other fingerprints for the host key of %s than the "
                       "%s key that it shows (%s)",
                       t->name, nacre_key_label(t->key), t->fingerprint);
    }
    return vouched ? NACRE_OK : NACRE_AGAIN;
}

/*
 * The host's own name first; then, where the port is an unusual one, the bare name, in case that matches: a
 * CA's pattern or a key from before the port moved. *bare: it was that.
 */
static nacre_host_match find_host(const nacre_client *c, nc_trial *t, bool *bare)
{
    nacre_host_line line;
    const char *host = nc_trust_host(c);
    nacre_host_match m = nc_trust_find(c, t, host, nc_trust_port(c), t->key, &t->line);
    *bare = false;
    if (nc_trust_port(c) == 22 || (m != NACRE_HOST_UNKNOWN && m != NACRE_HOST_OTHER_TYPE)) {
        return m;
    }
    bool from_more = t->from_more;
    nacre_host_match b = nc_trust_find(c, t, host, 22, t->key, &line);
    if (b == NACRE_HOST_MATCH || b == NACRE_HOST_AUTHORITY) {
        *bare = true;
        t->line = line;
        return b;
    }
    t->from_more = from_more;
    return m;
}

static int judge_certificate(nacre_client *c, nc_trial *t)
{
    nacre_error why;
    bool bare;
    if (!nacre_key_is_cert(t->key)) {
        return NACRE_AGAIN;
    }
    nc_error_clear(&why);
    t->match = find_host(c, t, &bare);
    if (t->match == NACRE_HOST_AUTHORITY) {
        if (nc_trust_check_cert(c, t->key, &why) == NACRE_OK) {
            say_known(c, t);
            return NACRE_OK;
        }
        (void)snprintf(t->why_not, sizeof(t->why_not), "%.*s", (int)sizeof(t->why_not) - 1,
                       why.text[0] ? why.text : "it could not be checked");
        nc_client_warn(c, "The host certificate of %s is refused: %s. Its plain key is looked for.",
                       t->name, t->why_not);
    } else {
        nc_client_log(c, NACRE_LOG_VERBOSE, "No matching CA found. Retry with plain key");
    }
    int rc = nacre_key_plain(&t->plain, c->host_key);
    if (rc != NACRE_OK) {
        return nc_client_fail(c, rc, "%s: the key of its certificate could not be read", t->name);
    }
    t->key = t->plain;
    return NACRE_AGAIN;
}

/* The key of the host's name may pass; what does its address say? */
static int judge_address(nacre_client *c, const nc_trial *t)
{
    nacre_host_policy policy = c->cfg.host_policy;
    if (!t->check_address || t->address_match != NACRE_HOST_CHANGED) {
        return NACRE_OK;
    }
    if (policy == NACRE_HOST_INSECURE) {
        (void)fail_address(c, t);
        nc_client_warn(c, "Warning: %s", c->err.text);
        nc_client_begin(c);
        return NACRE_OK;
    }
    if (policy == NACRE_HOST_ASK && t->match == NACRE_HOST_MATCH && ask(c, t)) {
        return NACRE_OK;
    }
    /* A new name was, or will be, asked about with the address's line in the question. */
    bool asked = policy == NACRE_HOST_ASK && t->match != NACRE_HOST_MATCH;
    return asked ? NACRE_OK : fail_address(c, t);
}

static int judge_changed(nacre_client *c, nc_trial *t)
{
    (void)fail_changed(c, t);
    if (c->cfg.host_policy != NACRE_HOST_INSECURE) {
        return c->err.status;
    }
    c->no_passwords = true;
    nc_client_warn(c, "WARNING: %s\nPasswords are not sent to this host.", c->err.text);
    nc_client_begin(c);
    return NACRE_OK;
}

static int judge_new(nacre_client *c, nc_trial *t)
{
    nacre_host_policy policy = c->cfg.host_policy;
    bool asks = policy == NACRE_HOST_ASK && c->cfg.callbacks.ask_host;
    if (!asks && policy != NACRE_HOST_INSECURE &&
        !(policy == NACRE_HOST_ACCEPT_NEW && t->match == NACRE_HOST_UNKNOWN)) {
        return fail_unknown(c, t);
    }
    int rc = judge_address(c, t);
    if (rc != NACRE_OK) {
        return rc;
    }
    if (asks && !ask(c, t)) {
        return nc_client_fail(c, NACRE_HOST_KEY_REJECTED, "the host key of %s was not accepted",
                              t->name);
    }
    c->may_update = nc_trust_may_update(c, t, asks);
    return NACRE_OK;
}

/* *keep: it is to be remembered. */
static int judge_plain(nacre_client *c, nc_trial *t, bool *keep)
{
    bool bare;
    t->match = find_host(c, t, &bare);
    if (t->check_address) {
        bool from_more = t->from_more;
        t->address_match = nc_trust_find(c, t, c->address, c->port, t->key, &t->address_line);
        t->from_more = from_more;
    }
    switch (t->match) {
    case NACRE_HOST_MATCH: {
        int rc = judge_address(c, t);
        if (rc != NACRE_OK) {
            return rc;
        }
        say_known(c, t);
        if (bare) {
            nc_client_log(c, NACRE_LOG_VERBOSE, "found matching key w/out port");
            return NACRE_OK;
        }
        if (t->check_address && t->address_match == NACRE_HOST_UNKNOWN) {
            remember_address(c, t);
        }
        c->may_update = nc_trust_may_update(c, t, false);
        return NACRE_OK;
    }
    case NACRE_HOST_REVOKED:
        return fail_revoked(c, t, &t->line);
    case NACRE_HOST_CHANGED:
        return judge_changed(c, t);
    case NACRE_HOST_UNKNOWN:
    case NACRE_HOST_OTHER_TYPE:
        *keep = true;
        return judge_new(c, t);
    default:
        return nc_client_fail(c, NACRE_HOST_KEY_REJECTED, "the host key could not be judged");
    }
}

static int judge(nacre_client *c, nc_trial *t, bool *keep)
{
    int rc = nc_trust_check_list(c, c->host_key);
    if (rc == NACRE_OK) {
        rc = nc_trust_more(c, NACRE_LINES_NAME, c->host_key, &t->more);
    }
    if (rc == NACRE_OK && t->check_address) {
        rc = nc_trust_more(c, NACRE_LINES_ADDRESS, c->host_key, &t->more);
    }
    if (rc != NACRE_OK) {
        return rc;
    }
    rc = judge_revoked(c, t);
    if (rc == NACRE_AGAIN) {
        rc = judge_shortcuts(c, t);
    }
    if (rc == NACRE_AGAIN) {
        rc = judge_certificate(c, t);
    }
    return rc == NACRE_AGAIN ? judge_plain(c, t, keep) : rc;
}

static void log_key(const nacre_client *c, const nc_trial *t)
{
    nacre_cert_info info;
    if (nacre_key_cert_info(t->key, &info) != NACRE_OK) {
        nc_client_log(c, NACRE_LOG_VERBOSE, "Server host key: %s %s", nacre_key_type(t->key),
                      t->fingerprint);
        return;
    }
    char ca[NC_FINGERPRINT_MAX];
    print_key(c, info.ca, ca);
    nc_client_log(c, NACRE_LOG_VERBOSE,
                  "Server host certificate: %s %s, serial %llu ID \"%s\" CA %s %s",
                  nacre_key_type(t->key), t->fingerprint, (unsigned long long)info.serial,
                  NC_ESC(info.key_id), nacre_key_type(info.ca), ca);
}

static void begin(nacre_client *c, nc_trial *t)
{
    memset(t, 0, sizeof(*t));
    t->key = c->host_key;
    c->may_update = false;
    nc_client_host_name(c, t->name, sizeof(t->name));
    print_key(c, t->key, t->fingerprint);
    /* Nothing to compare with where the host was named by its address, is this one, or is behind others. */
    t->check_address = c->cfg.trust.check_host_ip && *c->address && !is_loopback(c->address) &&
                       strcmp(c->host, c->address) != 0;
    log_key(c, t);
}

int nc_client_verify(nacre_client *c)
{
    nc_trial t;
    bool keep = false;
    begin(c, &t);
    int rc = judge(c, &t, &keep);
    uint32_t ticket = c->host_ticket;
    c->host_ticket = 0;
    if (rc != NACRE_OK) {
        (void)nacre_transport_refuse(c->t, ticket);
        nacre_driver_kick(c->d);
    } else {
        rc = nacre_transport_accept(c->t, ticket);
        nacre_driver_kick(c->d);
        if (rc != NACRE_OK) {
            rc = c->closed ? nc_client_alive(c, "the key exchange") : rc;
            rc = nc_client_fail(c, rc, "%s: the key exchange ended while its host key was judged",
                                c->where);
        }
    }
    if (rc == NACRE_OK && keep) {
        remember(c, &t);
    }
    nacre_key_free(t.plain);
    nacre_known_hosts_free(t.more);
    return rc;
}
