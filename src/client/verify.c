/*
 * verify.c - is this the server that we meant? known_hosts, the policies for what it does not know, and
 * the order of host key algorithms that makes a known key likely to be shown.
 *
 * A host key is accepted in one place, accept(), and every way there is in judge().
 */
#include "client/state.h"
#include "transport/algo.h"
#include "wire/rd.h"

#include <stdio.h>
#include <string.h>

enum { FINGERPRINT_MAX = 128, LIST_MAX = 2048 };

static const char *lookup_name(const nacre_client *c)
{
    return c->cfg.host_key_alias ? c->cfg.host_key_alias : c->host;
}

/* An alias is looked up as it is, whatever the port (ssh_config(5), HostKeyAlias). */
static uint16_t lookup_port(const nacre_client *c)
{
    return c->cfg.host_key_alias ? 22 : c->port;
}

void nc_client_host_name(const nacre_client *c, char *out, size_t size)
{
    const char *name = NC_ESC(nc_span_cstr(lookup_name(c)));
    if (lookup_port(c) == 22) {
        (void)snprintf(out, size, "%s", name);
    } else {
        (void)snprintf(out, size, "[%s]:%u", name, (unsigned)lookup_port(c));
    }
}

/* ---- which keys to ask for ---- */

/* Does a known key of that type go with the algorithm? RSA keys sign under several names. */
static bool type_is_known(nacre_span types, nacre_span algorithm)
{
    nacre_span type;
    while (nc_namelist_next(&types, &type)) {
        bool rsa = nc_span_is(type, "ssh-rsa") && algorithm.n > 9 &&
                   memcmp(algorithm.p, "rsa-sha2-", 9) == 0;
        if (rsa || nc_span_eq(type, algorithm)) {
            return true;
        }
    }
    return false;
}

static size_t append_names(char *out, size_t n, nacre_span list, nacre_span types, bool known)
{
    nacre_span name;
    while (nc_namelist_next(&list, &name)) {
        if (type_is_known(types, name) == known && n + name.n + 2 <= LIST_MAX) {
            n += (size_t)snprintf(out + n, LIST_MAX - n, "%s%.*s", n ? "," : "", (int)name.n,
                                  (const char *)name.p);
        }
    }
    return n;
}

/*
 * As OpenSSH: a list that the user wrote out stands; the default, or a change to it, is reordered.
 */
int nc_client_prefer_known(nacre_client *c, char **list)
{
    char types[1024];
    const char *spec = c->cfg.transport.host_key;
    char *resolved = NULL;
    *list = NULL;
    if (!c->cfg.known_hosts || (spec && *spec != '+' && *spec != '-' && *spec != '^')) {
        return NACRE_OK;
    }
    size_t n = nacre_known_hosts_types(c->cfg.known_hosts, lookup_name(c), lookup_port(c), types,
                                       sizeof(types));
    if (n == 0 || n >= sizeof(types) || (spec && *spec == '^')) {
        return NACRE_OK;
    }
    int rc = nc_algo_resolve(NACRE_ALG_HOST_KEY, spec, c->alloc, &resolved, &c->err);
    if (rc != NACRE_OK) {
        return rc;
    }
    *list = nc_alloc(c->alloc, LIST_MAX);
    if (*list) {
        **list = '\0';
        nacre_span all = nc_span_cstr(resolved);
        size_t len = append_names(*list, 0, all, nc_span_cstr(types), true);
        (void)append_names(*list, len, all, nc_span_cstr(types), false);
    }
    nc_free(c->alloc, resolved);
    return *list ? NACRE_OK : nc_client_fail(c, NACRE_NO_MEMORY, "out of memory");
}

/* ---- judging ---- */

typedef struct verdict {
    nacre_host_match match;
    nacre_host_line line;
    char name[NC_NAME_MAX];
    char fingerprint[FINGERPRINT_MAX];
} verdict;

static void look_up(const nacre_client *c, verdict *v)
{
    memset(v, 0, sizeof(*v));
    v->match = NACRE_HOST_UNKNOWN;
    if (c->cfg.known_hosts) {
        v->match = nacre_known_hosts_check(c->cfg.known_hosts, lookup_name(c), lookup_port(c),
                                           c->host_key, &v->line);
    }
    nc_client_host_name(c, v->name, sizeof(v->name));
    if (nacre_key_fingerprint(c->host_key, "sha256", v->fingerprint, sizeof(v->fingerprint)) < 0) {
        (void)snprintf(v->fingerprint, sizeof(v->fingerprint), "(no fingerprint)");
    }
    nc_client_log(c, NACRE_LOG_VERBOSE, "Server host key: %s %s", nacre_key_type(c->host_key),
                  v->fingerprint);
}

static const char *line_source(const verdict *v)
{
    return v->line.source && *v->line.source ? v->line.source : "the known hosts";
}

static int fail_changed(nacre_client *c, const verdict *v)
{
    return nc_client_fail(
        c, NACRE_HOST_KEY_CHANGED,
        "the host key of %s has changed: the server shows %s %s, but %s:%u has another %s key. "
        "Either somebody is between you and the server, or its key was replaced. Ask its "
        "administrator; if it was replaced, remove the old line: ssh-keygen -f '%s' -R '%s'",
        v->name, nacre_key_label(c->host_key), v->fingerprint, NC_ESC(nc_span_cstr(line_source(v))),
        (unsigned)v->line.line, nacre_key_label(c->host_key), NC_ESC(nc_span_cstr(line_source(v))),
        v->name);
}

static int fail_revoked(nacre_client *c, const verdict *v)
{
    return nc_client_fail(c, NACRE_HOST_KEY_REVOKED,
                          "the host key of %s, %s %s, is marked as revoked in %s:%u: it was stolen "
                          "or withdrawn, and proves nothing",
                          v->name, nacre_key_label(c->host_key), v->fingerprint,
                          NC_ESC(nc_span_cstr(line_source(v))), (unsigned)v->line.line);
}

static int fail_unknown(nacre_client *c, const verdict *v)
{
    if (v->match == NACRE_HOST_OTHER_TYPE) {
        return nc_client_fail(
            c, NACRE_HOST_KEY_OTHER_TYPE,
            "the host key of %s is not known: the server shows %s %s, but %s:%u has a key of "
            "another type. Compare the fingerprint with one from its administrator, then add it",
            v->name, nacre_key_label(c->host_key), v->fingerprint,
            NC_ESC(nc_span_cstr(line_source(v))), (unsigned)v->line.line);
    }
    return nc_client_fail(c, NACRE_HOST_KEY_UNKNOWN,
                          "no %s host key is known for %s, and strict checking is asked for. The "
                          "server shows %s; compare it with a fingerprint from its administrator",
                          nacre_key_label(c->host_key), v->name, v->fingerprint);
}

static void remember(nacre_client *c, const verdict *v)
{
    nacre_error why;
    const char *path = c->cfg.known_hosts_file;
    if (!path) {
        return;
    }
    nc_error_clear(&why);
    if (nacre_known_hosts_append_file(path, lookup_name(c), lookup_port(c), c->host_key,
                                      c->cfg.hash_known_hosts, &why) != NACRE_OK) {
        nc_client_warn(c, "Failed to add the host to the list of known hosts: %s", why.text);
        return;
    }
    nc_client_warn(c, "Warning: Permanently added '%s' (%s) to the list of known hosts.", v->name,
                   nacre_key_label(c->host_key));
}

static bool ask(nacre_client *c, const verdict *v)
{
    const nacre_client_callbacks *cb = &c->cfg.callbacks;
    nacre_host_question q = {lookup_name(c), c->address, c->port, c->host_key, v->match, v->line};
    return cb->ask_host && cb->ask_host(cb->user, &q);
}

/* NACRE_OK: the key may pass; *keep: and is to be remembered. */
static int judge(nacre_client *c, const verdict *v, bool *keep)
{
    nacre_host_policy policy = c->cfg.host_policy;
    *keep = false;
    switch (v->match) {
    case NACRE_HOST_MATCH:
        nc_client_log(c, NACRE_LOG_VERBOSE, "Host '%s' is known and matches the %s host key.",
                      v->name, nacre_key_label(c->host_key));
        return NACRE_OK;
    case NACRE_HOST_REVOKED:
        return fail_revoked(c, v);
    case NACRE_HOST_CHANGED:
        (void)fail_changed(c, v);
        if (policy != NACRE_HOST_INSECURE) {
            return c->err.status;
        }
        c->no_passwords = true;
        nc_client_warn(c, "WARNING: %s\nPasswords are not sent to this host.", c->err.text);
        nc_client_begin(c);
        return NACRE_OK;
    case NACRE_HOST_UNKNOWN:
    case NACRE_HOST_OTHER_TYPE:
        break;
    default:
        return nc_client_fail(c, NACRE_HOST_KEY_REJECTED, "the host key could not be judged");
    }
    *keep = true;
    if (policy == NACRE_HOST_INSECURE ||
        (policy == NACRE_HOST_ACCEPT_NEW && v->match == NACRE_HOST_UNKNOWN)) {
        return NACRE_OK;
    }
    if (policy == NACRE_HOST_ASK && c->cfg.callbacks.ask_host) {
        return ask(c, v) ? NACRE_OK
                         : nc_client_fail(c, NACRE_HOST_KEY_REJECTED,
                                          "the host key of %s was not accepted", v->name);
    }
    return fail_unknown(c, v);
}

int nc_client_verify(nacre_client *c)
{
    verdict v;
    bool keep;
    look_up(c, &v);
    int rc = judge(c, &v, &keep);
    uint32_t ticket = c->host_ticket;
    c->host_ticket = 0;
    if (rc != NACRE_OK) {
        (void)nacre_transport_refuse(c->t, ticket);
        nacre_driver_kick(c->d);
        return rc;
    }
    rc = nacre_transport_accept(c->t, ticket);
    nacre_driver_kick(c->d);
    if (rc != NACRE_OK) {
        rc = c->closed ? nc_client_alive(c, "the key exchange") : rc;
        return nc_client_fail(c, rc, "%s: the key exchange ended while its host key was judged",
                              c->where);
    }
    if (keep) {
        remember(c, &v);
    }
    return NACRE_OK;
}
