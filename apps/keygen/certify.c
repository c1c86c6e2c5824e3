/*
 * certify.c - certificates (-s): what they shall say (-I -n -V -z -h -O), and who signs: a key in a file, or one that
 * an agent holds (-U).
 */
#include "keygen.h"
#include "nacre/agent.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum {
    PRINCIPALS_MAX = 256, /* as OpenSSH, which reads no more */
    OPTIONS_MAX = KG_OPTIONS + 16,
    X11 = 1,
    AGENT = 2,
    PORTS = 4,
    PTY = 8,
    USER_RC = 16,
    NO_TOUCH = 32,
    VERIFY = 64,
    DEFAULT = X11 | AGENT | PORTS | PTY | USER_RC
};

typedef struct cert_job {
    const keygen *g;
    unsigned flags;
    const char *command, *addresses;
    nacre_cert_option critical[OPTIONS_MAX], extensions[OPTIONS_MAX];
    size_t critical_count, extension_count;
    nacre_span names[PRINCIPALS_MAX];
    size_t name_count;
    nacre_agent *agent;
    nacre_key *ca;
    const char *algorithm;
} cert_job;

/* ---- options ---- */

static const struct {
    const char *name;
    unsigned set, clear;
} flag_rows[] = {{"clear", 0, ~0u},
                 {"no-x11-forwarding", 0, X11},
                 {"permit-x11-forwarding", X11, 0},
                 {"no-agent-forwarding", 0, AGENT},
                 {"permit-agent-forwarding", AGENT, 0},
                 {"no-port-forwarding", 0, PORTS},
                 {"permit-port-forwarding", PORTS, 0},
                 {"no-pty", 0, PTY},
                 {"permit-pty", PTY, 0},
                 {"no-user-rc", 0, USER_RC},
                 {"permit-user-rc", USER_RC, 0},
                 {"touch-required", 0, NO_TOUCH},
                 {"no-touch-required", NO_TOUCH, 0},
                 {"no-verify-required", 0, VERIFY},
                 {"verify-required", VERIFY, 0}};

static bool take_flag(cert_job *j, const char *text)
{
    for (size_t i = 0; i < sizeof(flag_rows) / sizeof(flag_rows[0]); i++) {
        if (strcasecmp(text, flag_rows[i].name) == 0) {
            j->flags = (j->flags & ~flag_rows[i].clear) | flag_rows[i].set;
            return true;
        }
    }
    return false;
}

static void add(cert_job *j, bool critical, nacre_span name, const char *data)
{
    size_t *count = critical ? &j->critical_count : &j->extension_count;
    nacre_cert_option *list = critical ? j->critical : j->extensions;
    nacre_span none = {NULL, 0};
    list[*count].name = name;
    list[*count].data = data ? kg_text(data) : none;
    (*count)++;
}

/* "name" or "name=data" */
static void add_own(cert_job *j, bool critical, const char *text)
{
    const char *equals = strchr(text, '=');
    nacre_span name = kg_text(text);
    if (equals) {
        name.n = (size_t)(equals - text);
    }
    add(j, critical, name, equals ? equals + 1 : NULL);
}

/* An address, or a block of them: no bits may be set behind its prefix. */
static bool address_good(const char *text, size_t n)
{
    char one[64];
    uint8_t bytes[16];
    if (n >= sizeof(one)) {
        return false;
    }
    memcpy(one, text, n);
    one[n] = '\0';
    char *slash = strchr(one, '/');
    if (slash) {
        *slash = '\0';
    }
    bool six = strchr(one, ':') != NULL;
    if (inet_pton(six ? AF_INET6 : AF_INET, one, bytes) != 1) {
        return false;
    }
    if (!slash) {
        return true;
    }
    char *end = NULL;
    unsigned long prefix = strtoul(slash + 1, &end, 10);
    if (slash[1] < '0' || slash[1] > '9' || *end || prefix > (six ? 128 : 32)) {
        return false;
    }
    for (unsigned long bit = prefix; bit < (six ? 128 : 32); bit++) {
        if (bytes[bit / 8] & (0x80 >> bit % 8)) {
            return false;
        }
    }
    return true;
}

static bool addresses_good(const char *list)
{
    for (;;) {
        size_t n = strcspn(list, ",");
        if (!address_good(list, n)) {
            return false;
        }
        if (!list[n]) {
            return true;
        }
        list += n + 1;
    }
}

static void take_option(cert_job *j, const char *text)
{
    const char *value;
    if (take_flag(j, text)) {
        return;
    }
    if ((value = kg_option(text, "force-command="))) {
        if (!*value) {
            kg_die("Empty force-command option");
        }
        if (j->command) {
            kg_die("force-command already specified");
        }
        j->command = value;
    } else if ((value = kg_option(text, "source-address="))) {
        if (!*value) {
            kg_die("Empty source-address option");
        }
        if (j->addresses) {
            kg_die("source-address already specified");
        }
        if (!addresses_good(value)) {
            kg_die("Invalid source-address list");
        }
        j->addresses = value;
    } else if ((value = kg_option(text, "extension:"))) {
        add_own(j, false, value);
    } else if ((value = kg_option(text, "critical:"))) {
        add_own(j, true, value);
    } else {
        kg_die("Unsupported certificate option \"%s\"", text);
    }
}

static void finish_options(cert_job *j)
{
    static const struct {
        unsigned flag;
        const char *name;
    } rows[] = {{X11, "permit-X11-forwarding"},    {AGENT, "permit-agent-forwarding"},
                {PORTS, "permit-port-forwarding"}, {PTY, "permit-pty"},
                {USER_RC, "permit-user-rc"},       {NO_TOUCH, "no-touch-required"}};
    if (j->command) {
        add(j, true, kg_text("force-command"), j->command);
    }
    if (j->addresses) {
        add(j, true, kg_text("source-address"), j->addresses);
    }
    if (j->flags & VERIFY) {
        add(j, true, kg_text("verify-required"), NULL);
    }
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        if (j->flags & rows[i].flag) {
            add(j, false, kg_text(rows[i].name), NULL);
        }
    }
}

static void take_principals(cert_job *j)
{
    for (const char *p = j->g->principals; p;) {
        const char *comma = strchr(p, ',');
        nacre_span name = kg_text(p);
        if (comma) {
            name.n = (size_t)(comma - p);
        }
        if (name.n == 0) {
            kg_die("Empty principal name");
        }
        if (j->name_count == PRINCIPALS_MAX) {
            kg_die("Too many certificate principals specified");
        }
        j->names[j->name_count++] = name;
        p = comma ? comma + 1 : NULL;
    }
}

/* ---- the authority ---- */

static void find_in_agent(cert_job *j, const char *path)
{
    nacre_key **keys = NULL;
    size_t n = 0;
    nacre_error why;
    int rc = kg_load_public(path, &j->ca, NULL, &why);
    if (rc != NACRE_OK) {
        kg_die("Cannot load CA public key %s: %s", path, kg_reason(rc, &why));
    }
    rc = nacre_agent_open(&j->agent, NULL, NULL, &why);
    if (rc != NACRE_OK) {
        kg_die("Cannot use public key for CA signature: %s",
               rc == NACRE_NOT_FOUND ? "agent not present" : kg_reason(rc, &why));
    }
    rc = nacre_agent_list(j->agent, &keys, &n, &why);
    if (rc != NACRE_OK) {
        kg_die("Retrieve agent key list: %s", kg_reason(rc, &why));
    }
    bool found = false;
    for (size_t i = 0; i < n; i++) {
        found = found || nacre_key_equal(keys[i], j->ca);
    }
    nacre_agent_keys_free(NULL, keys, n);
    if (!found) {
        kg_die("CA key %s not found in agent", path);
    }
}

static void check_type(cert_job *j)
{
    const char *type = nacre_key_type(j->ca);
    const char *asked = j->g->type;
    if (!asked) {
        j->algorithm = strcmp(type, "ssh-rsa") == 0 ? "rsa-sha2-512" : NULL;
        return;
    }
    bool rsa = strcmp(type, "ssh-rsa") == 0;
    bool by_short_name = (rsa && strcasecmp(asked, "rsa") == 0) ||
                         (strcmp(type, "ssh-ed25519") == 0 && strcasecmp(asked, "ed25519") == 0) ||
                         (strncmp(type, "ecdsa-sha2-", 11) == 0 && strcasecmp(asked, "ecdsa") == 0);
    bool by_algorithm = strcmp(type, asked) == 0 || (rsa && strncmp(asked, "rsa-sha2-", 9) == 0);
    if (!by_short_name && !by_algorithm) {
        kg_die("CA key type %s doesn't match specified %s", type, asked);
    }
    /* "-t ssh-rsa" would sign with SHA-1, which no peer takes today. */
    j->algorithm = by_short_name ? (rsa ? "rsa-sha2-512" : NULL) : asked;
}

static void find_authority(cert_job *j)
{
    char path[KG_PATH];
    kg_expand(j->g, j->g->ca_path, path, sizeof(path));
    if (j->g->pkcs11) {
        kg_die(
            "no pkcs11 support: keys of PKCS#11 tokens are not read; an agent can hold them (-U)");
    }
    if (j->g->use_agent) {
        find_in_agent(j, path);
    } else {
        j->ca = kg_load_identity(j->g, path);
    }
    check_type(j);
}

/* ---- issuing ---- */

static void say_signed(const cert_job *j, const nacre_key *cert, const char *path)
{
    const keygen *g = j->g;
    nacre_cert_info c;
    char valid[80];
    if (g->quiet || nacre_key_cert_info(cert, &c) != NACRE_OK) {
        return;
    }
    kg_format_validity(&c, valid, sizeof(valid));
    kg_say("Signed %s key %s: id \"%s\" serial %llu%s%s valid %s", g->host_cert ? "host" : "user",
           path, g->key_id, (unsigned long long)c.serial, g->principals ? " for " : "",
           g->principals ? g->principals : "", valid);
}

static void certify(cert_job *j, const char *name, uint64_t serial)
{
    const keygen *g = j->g;
    char path[KG_PATH], out[KG_PATH + 16], comment[KG_COMMENT];
    nacre_key *subject = NULL, *cert = NULL;
    nacre_error why;
    kg_expand(g, name, path, sizeof(path));
    int rc = kg_load_public(path, &subject, comment, &why);
    if (rc != NACRE_OK) {
        kg_die("load pubkey \"%s\": %s", path, kg_reason(rc, &why));
    }
    if (nacre_key_is_cert(subject)) {
        kg_die("do_ca_sign: key \"%s\" type %s cannot be certified", path,
               nacre_key_label(subject));
    }
    nacre_cert_request r;
    nacre_cert_request_init(&r, g->host_cert ? NACRE_CERT_HOST : NACRE_CERT_USER);
    r.serial = serial;
    r.key_id = kg_text(g->key_id);
    r.principals = j->names;
    r.principal_count = j->name_count;
    r.valid_after = g->valid_from;
    r.valid_before = g->valid_to;
    r.critical = j->critical;
    r.critical_count = j->critical_count;
    r.extensions = j->extensions;
    r.extension_count = j->extension_count;
    r.algorithm = j->algorithm;
    r.sign = j->agent ? nacre_agent_sign_fn : NULL;
    r.sign_user = j->agent;
    rc = nacre_cert_issue(&cert, subject, j->ca, &r, &why);
    if (rc != NACRE_OK) {
        kg_die("Couldn't certify %s%s%s: %s", j->agent ? "" : "key ", path,
               j->agent ? " via agent" : "", why.text);
    }
    size_t n = strlen(path);
    bool pub = n > 4 && strcmp(path + n - 4, ".pub") == 0;
    (void)snprintf(out, sizeof(out), "%.*s-cert.pub", (int)(pub ? n - 4 : n), path);
    rc = kg_save_public(cert, out, comment, &why);
    if (rc != NACRE_OK) {
        kg_die("Unable to save public key to %s: %s", out, kg_reason(rc, &why));
    }
    say_signed(j, cert, out);
    nacre_key_free(cert);
    nacre_key_free(subject);
}

int kg_sign_cert(keygen *g)
{
    static cert_job j;
    j.g = g;
    if (!g->key_id) {
        kg_die("Must specify key id (-I) when certifying");
    }
    j.flags = g->host_cert ? 0 : DEFAULT;
    for (size_t i = 0; i < g->nopts; i++) {
        take_option(&j, g->opts[i]);
    }
    find_authority(&j);
    finish_options(&j);
    take_principals(&j);
    uint64_t serial = g->serial;
    for (int i = 0; i < g->argc; i++) {
        certify(&j, g->argv[i], serial);
        serial += g->serial_up ? 1 : 0;
    }
    nacre_key_free(j.ca);
    nacre_agent_free(j.agent);
    return 0;
}
