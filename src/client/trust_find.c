/*
 * trust_find.c - what there is to know of a host and a key: lines of known_hosts and from elsewhere, revocation
 * lists, certificates, other names of the same key; and which keys to ask a server for.
 */
#include "client/trust.h"
#include "crypto/crypto.h"
#include "keys/cert.h"
#include "keys/known_hosts.h"
#include "nacre/cert.h"
#include "nacre/krl.h"
#include "transport/algo.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

enum {
    LIST_MAX = 4096,
    LINE_MAX_LEN = 8 * 1024, /* an RSA 16384 key has 2.8 KiB in base64, a name 1 KiB */
    OTHER_NAMES_MAX = 8      /* that are told; as ssh */
};

const char *nc_trust_host(const nacre_client *c)
{
    return c->cfg.host_key_alias ? c->cfg.host_key_alias : c->host;
}

/* An alias is looked up as it is, whatever the port (ssh_config(5), HostKeyAlias). */
uint16_t nc_trust_port(const nacre_client *c)
{
    return c->cfg.host_key_alias ? 22 : c->port;
}

void nc_trust_name(const char *host, uint16_t port, char *out, size_t size)
{
    const char *name = NC_ESC(nc_span_cstr(host));
    if (port == 22) {
        (void)snprintf(out, size, "%s", name);
    } else {
        (void)snprintf(out, size, "[%s]:%u", name, (unsigned)port);
    }
}

void nc_client_host_name(const nacre_client *c, char *out, size_t size)
{
    nc_trust_name(nc_trust_host(c), nc_trust_port(c), out, size);
}

/* ---- lines ---- */

int nc_trust_more(nacre_client *c, nacre_lines_reason reason, const nacre_key *key,
                  nacre_known_hosts **more)
{
    const nacre_host_trust *trust = &c->cfg.trust;
    const char *host = reason == NACRE_LINES_ADDRESS ? c->address : nc_trust_host(c);
    uint16_t port = reason == NACRE_LINES_ADDRESS ? c->port : nc_trust_port(c);
    char name[NC_NAME_MAX];
    nacre_error why;
    if (!trust->more_lines) {
        return NACRE_OK;
    }
    int rc = *more ? NACRE_OK : nacre_known_hosts_new(more, c->alloc);
    if (rc != NACRE_OK) {
        return nc_client_fail(c, rc, "out of memory");
    }
    nc_trust_name(host, port, name, sizeof(name));
    const nacre_lines_wanted wanted = {reason, name, key};
    nc_error_clear(&why);
    rc = trust->more_lines(trust->user, &wanted, *more, &why);
    return rc == NACRE_OK
               ? rc
               : nc_client_fail(c, rc > 0 ? NACRE_HOST_KEY_REJECTED : rc,
                                "the host keys known for %s could not be fetched, so none is "
                                "accepted: %s",
                                name, why.text[0] ? why.text : nacre_status_text(rc));
}

static int strength(nacre_host_match m)
{
    switch (m) {
    case NACRE_HOST_REVOKED:
        return 5;
    case NACRE_HOST_AUTHORITY:
    case NACRE_HOST_MATCH:
        return 4;
    case NACRE_HOST_CHANGED:
        return 3;
    case NACRE_HOST_OTHER_TYPE:
        return 2;
    default:
        return m == NACRE_HOST_UNKNOWN ? 1 : 3; /* one that is not known here is no good sign */
    }
}

nacre_host_match nc_trust_find(const nacre_client *c, nc_trial *t, const char *host, uint16_t port,
                               const nacre_key *key, nacre_host_line *line)
{
    const nacre_known_hosts *sources[] = {c->cfg.known_hosts, t->more};
    nacre_host_match best = NACRE_HOST_UNKNOWN;
    memset(line, 0, sizeof(*line));
    t->from_more = false;
    for (size_t i = 0; i < 2; i++) {
        nacre_host_line where;
        nacre_host_match m = sources[i]
                                 ? nacre_known_hosts_check(sources[i], host, port, key, &where)
                                 : NACRE_HOST_UNKNOWN;
        if (strength(m) > strength(best)) {
            best = m;
            *line = where;
            t->from_more = i == 1;
        }
    }
    return best;
}

/* ---- revocation lists, certificates ---- */

int nc_trust_check_list(nacre_client *c, const nacre_key *key)
{
    const char *path = c->cfg.trust.revoked_keys;
    nacre_krl *list = NULL;
    nacre_error why;
    if (!path) {
        return NACRE_OK;
    }
    int rc = nacre_krl_load_file(&list, c->alloc, path, &why);
    if (rc == NACRE_OK) {
        rc = nacre_krl_check(list, key, &why);
    }
    nacre_krl_free(list);
    if (rc == NACRE_OK) {
        return rc;
    }
    char print[NC_FINGERPRINT_MAX];
    if (nacre_key_fingerprint(key, c->cfg.trust.fingerprint_hash, print, sizeof(print)) < 0) {
        print[0] = '\0';
    }
    if (rc == NACRE_KEY_REVOKED) {
        return nc_client_fail(c, NACRE_HOST_KEY_REVOKED,
                              "Host key %s %s revoked by file %s: it was stolen or withdrawn, and "
                              "proves nothing",
                              nacre_key_label(key), print, NC_ESC(nc_span_cstr(path)));
    }
    return nc_client_fail(c, NACRE_HOST_KEY_REJECTED,
                          "Error checking host key %s %s in revoked keys file %s, so it is not "
                          "accepted: %s",
                          nacre_key_label(key), print, NC_ESC(nc_span_cstr(path)),
                          why.text[0] ? why.text : nacre_status_text(rc));
}

int nc_trust_check_cert(const nacre_client *c, const nacre_key *cert, nacre_error *why)
{
    nacre_cert_rules rules;
    time_t now = time(NULL);
    nacre_cert_rules_init(&rules, NACRE_CERT_HOST);
    rules.principal = nc_trust_host(c);
    rules.now = now > 0 ? (uint64_t)now : 0;
    rules.peer_address = c->address[0] ? c->address : NULL;
    /* A list that cannot be read must not become the default: it refuses. */
    char *allowed = NULL;
    nc_error_clear(why);
    if (c->cfg.trust.ca_algorithms) {
        int rc = nc_algo_resolve(NACRE_ALG_CA_SIGNATURE, c->cfg.trust.ca_algorithms, c->alloc,
                                 &allowed, why);
        if (rc != NACRE_OK) {
            return rc;
        }
    }
    rules.ca_algorithms = allowed;
    int rc = nacre_cert_check(cert, &rules, why);
    nc_free(c->alloc, allowed);
    return rc;
}

/* ---- other names ---- */

typedef struct sentence {
    char *out;
    size_t size, n;
} sentence;

static void say(sentence *s, const char *text)
{
    int n = snprintf(s->out + s->n, s->size - s->n, "%s", text);
    s->n += n > 0 && (size_t)n < s->size - s->n ? (size_t)n : 0;
    s->out[s->n] = '\0'; /* what does not fit is left out whole */
}

static void say_name(sentence *s, const nacre_known_hosts *h, const nc_host_entry *e)
{
    char line[640];
    bool hashed = e->names.p[0] == '|';
    (void)snprintf(line, sizeof(line), "\n    %s:%u: %.256s",
                   NC_ESC(nc_span_cstr(h->sources[e->source].name)), (unsigned)e->line,
                   hashed ? "[hashed name]" : NC_ESC(e->names));
    say(s, line);
}

/* Compared as text: no key is made of a hundred thousand lines to answer this. */
void nc_trust_other_names(const nacre_client *c, const nacre_key *key, char *out, size_t size)
{
    const nacre_known_hosts *h = c->cfg.known_hosts;
    sentence s = {out, size, 0};
    nc_buf base64;
    unsigned found = 0;
    nc_buf_init(&base64, c->alloc, 2 * NC_MAX_KEY_BLOB);
    bool ready = nc_base64_encode(nacre_key_blob(key), &base64) == NACRE_OK;
    say(&s, "");
    for (size_t i = 0; ready && h && i < h->count; i++) {
        const nc_host_entry *e = nc_hosts_at(h, i);
        if (e->kind != NACRE_HOST_LINE_KEY || e->marker != NC_MARKER_NONE ||
            !nc_span_eq(e->base64, nc_buf_span(&base64))) {
            continue;
        }
        if (found == 0) {
            say(&s, "This host key is known by the following other names/addresses:");
        }
        if (found++ < OTHER_NAMES_MAX) {
            say_name(&s, h, e);
        }
    }
    if (found > OTHER_NAMES_MAX) {
        char more[64];
        (void)snprintf(more, sizeof(more), "\n    (%u additional names omitted)",
                       found - OTHER_NAMES_MAX);
        say(&s, more);
    }
    if (found == 0) {
        say(&s, "This key is not known by any other names.");
    }
    nc_buf_clear(&base64);
}

/* ---- making lines ---- */

/* "host key" or "host,address key"; hashed, each has a line of its own. */
int nc_trust_lines(const nacre_client *c, const nacre_key *key, bool host, bool address,
                   nc_buf *out)
{
    char line[LINE_MAX_LEN], more[LINE_MAX_LEN];
    bool hash = c->cfg.hash_known_hosts;
    int n = host ? nacre_known_hosts_add(NULL, nc_trust_host(c), nc_trust_port(c), key, hash, line,
                                         sizeof(line))
                 : 0;
    int m = address
                ? nacre_known_hosts_add(NULL, c->address, c->port, key, hash, more, sizeof(more))
                : 0;
    if (n < 0 || m < 0) {
        return n < 0 ? n : m;
    }
    int rc = NACRE_OK;
    if (n && m && !hash) {
        size_t first = strcspn(line, " ");
        rc = nc_buf_append(out, line, first);
        rc = rc == NACRE_OK ? nc_buf_append(out, ",", 1) : rc;
        return rc == NACRE_OK ? nc_buf_append(out, more, (size_t)m) : rc;
    }
    rc = nc_buf_append(out, line, (size_t)n);
    return rc == NACRE_OK ? nc_buf_append(out, more, (size_t)m) : rc;
}

/* ---- which keys to ask for ---- */

typedef struct wishes {
    char types[1024]; /* plain types that are known */
    bool certificates;
} wishes;

static void learn_wishes(const nacre_client *c, const nacre_known_hosts *h, wishes *w)
{
    size_t n = strlen(w->types);
    const char *host = nc_trust_host(c);
    uint16_t port = nc_trust_port(c);
    if (!h) {
        return;
    }
    if (n && n + 1 < sizeof(w->types)) {
        w->types[n++] = ',';
        w->types[n] = '\0';
    }
    size_t more = nacre_known_hosts_types(h, host, port, w->types + n, sizeof(w->types) - n);
    if (more >= sizeof(w->types) - n) {
        w->types[n] = '\0';
    }
    w->certificates = w->certificates || nacre_known_hosts_has_authority(h, host, port);
}

/* Does a known key of that type go with the algorithm? RSA keys sign under several names. */
static bool type_is_known(const wishes *w, nacre_span algorithm, bool *certificate)
{
    const nc_cert_type *cert = NULL;
    nacre_span types = nc_span_cstr(w->types), type;
    (void)nc_pubkey_alg_find(algorithm, &cert);
    *certificate = cert != NULL;
    bool rsa = cert ? strcmp(cert->plain, "ssh-rsa") == 0
                    : algorithm.n > 9 && memcmp(algorithm.p, "rsa-sha2-", 9) == 0;
    while (nc_namelist_next(&types, &type)) {
        if (rsa ? nc_span_is(type, "ssh-rsa")
                : (cert ? nc_span_is(type, cert->plain) : nc_span_eq(type, algorithm))) {
            return true;
        }
    }
    return false;
}

static bool is_wished(const wishes *w, nacre_span algorithm)
{
    bool certificate;
    bool known = type_is_known(w, algorithm, &certificate);
    return known || (certificate && w->certificates);
}

static size_t append_names(char *out, size_t n, nacre_span list, const wishes *w, bool wished)
{
    nacre_span name;
    while (nc_namelist_next(&list, &name)) {
        if (is_wished(w, name) == wished && n + name.n + 2 <= LIST_MAX) {
            n += (size_t)snprintf(out + n, LIST_MAX - n, "%s%.*s", n ? "," : "", (int)name.n,
                                  (const char *)name.p);
        }
    }
    return n;
}

/* When the algorithm that is liked best would show a key that is known, nothing need be changed. */
static bool best_is_known(const wishes *w, const char *list)
{
    nacre_span all = nc_span_cstr(list), first;
    bool certificate;
    return nc_namelist_next(&all, &first) && type_is_known(w, first, &certificate);
}

/*
 * As OpenSSH: a list that the user wrote out stands; the default, or a change to it, is reordered. Certificates
 * come first where an authority is known for the host; a certificate for a key that is known is as good as that.
 */
int nc_client_prefer_known(nacre_client *c, char **list)
{
    wishes w = {{0}, false};
    const char *spec = c->cfg.transport.host_key;
    nacre_known_hosts *more = NULL;
    char *resolved = NULL;
    *list = NULL;
    if (spec && *spec != '+' && *spec != '-') {
        return NACRE_OK;
    }
    int rc = nc_trust_more(c, NACRE_LINES_ORDER, NULL, &more);
    if (rc == NACRE_OK) {
        learn_wishes(c, c->cfg.known_hosts, &w);
        learn_wishes(c, more, &w);
    }
    nacre_known_hosts_free(more);
    if (rc != NACRE_OK || (!w.types[0] && !w.certificates)) {
        return rc;
    }
    rc = nc_algo_resolve(NACRE_ALG_HOST_KEY, spec, c->alloc, &resolved, &c->err);
    if (rc != NACRE_OK || best_is_known(&w, resolved)) {
        nc_free(c->alloc, resolved);
        return rc;
    }
    *list = nc_alloc(c->alloc, LIST_MAX);
    if (*list) {
        **list = '\0';
        nacre_span all = nc_span_cstr(resolved);
        size_t len = append_names(*list, 0, all, &w, true);
        (void)append_names(*list, len, all, &w, false);
    }
    nc_free(c->alloc, resolved);
    return *list ? NACRE_OK : nc_client_fail(c, NACRE_NO_MEMORY, "out of memory");
}
