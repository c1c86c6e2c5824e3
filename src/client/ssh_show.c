/*
 * ssh_show.c - the configuration that counts in the end, with the defaults: what ssh -G prints, keyword by keyword
 * in its order and spelling.
 */
#include "client/ssh_config.h"
#include "transport/algo.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { VALUE_SIZE = 16384, NAME_SIZE = 64 };

typedef struct show {
    nacre_ssh_config *c;
    void (*line)(void *user, const char *keyword, const char *value);
    void *user;
    char name[NAME_SIZE]; /* in lower case */
    char *text;           /* VALUE_SIZE */
    nacre_error *err;
} show;

struct row;
typedef int (*show_fn)(show *s, const struct row *r);

typedef struct row {
    const char *keyword;
    show_fn fn;
    const char *otherwise; /* what counts when nothing is said; NULL: no line then */
} row;

static void say(show *s, const char *value)
{
    s->line(s->user, s->name, value);
}

static const char *get(const show *s, const row *r)
{
    return nacre_ssh_config_get(s->c, r->keyword);
}

static bool is(const char *text, const char *word)
{
    return strcasecmp(text, word) == 0;
}

static void set_case(char *s, bool upper)
{
    for (; *s; s++) {
        *s = (char)(upper ? toupper((unsigned char)*s) : tolower((unsigned char)*s));
    }
}

/* ---- words and numbers ---- */

static int show_flag(show *s, const row *r)
{
    const char *v = get(s, r);
    v = v ? v : r->otherwise;
    say(s, is(v, "yes") || is(v, "true") ? "yes" : "no");
    return NACRE_OK;
}

/* Words where ssh calls yes "true" and no "false". */
static int show_choice(show *s, const row *r)
{
    char word[NAME_SIZE];
    const char *v = get(s, r);
    v = v ? v : r->otherwise;
    bool no =
        is(v, "no") || is(v, "off") || (is(v, "none") && is(r->keyword, "CanonicalizeHostname"));
    (void)snprintf(word, sizeof(word), "%s", is(v, "yes") ? "true" : no ? "false" : v);
    set_case(word, false);
    say(s, is(r->keyword, "Tunnel") && is(word, "true") ? "point-to-point" : word);
    return NACRE_OK;
}

static int show_capitals(show *s, const row *r)
{
    char word[NAME_SIZE];
    const char *v = get(s, r);
    (void)snprintf(word, sizeof(word), "%s", v ? v : r->otherwise);
    set_case(word, true);
    say(s, is(word, "DEBUG1") ? "DEBUG" : is(word, "QUIET") ? "SILENT" : word);
    return NACRE_OK;
}

static int show_number(show *s, const row *r)
{
    char number[32];
    const char *v = get(s, r);
    if (!v) {
        say(s, r->otherwise);
        return NACRE_OK;
    }
    bool none = is(v, "none"); /* of a time; ConnectTimeout says so in words */
    (void)snprintf(number, sizeof(number), "%llu",
                   (unsigned long long)nacre_ssh_config_number(s->c, r->keyword, 0));
    say(s, !none ? number : is(r->keyword, "ConnectTimeout") ? "none" : "-1");
    return NACRE_OK;
}

static int show_keystrokes(show *s, const row *r)
{
    const char *v = get(s, r);
    bool off = v && (is(v, "no") || is(v, "false"));
    const char *ms = v ? strchr(v, ':') : NULL;
    say(s, off ? "no" : ms && strcmp(ms, ":20") != 0 ? ms + 1 : "yes");
    return NACRE_OK;
}

/* ---- texts ---- */

static int show_raw(show *s, const row *r)
{
    const char *v = get(s, r);
    v = v ? v : r->otherwise;
    if (v) {
        say(s, v);
    }
    return NACRE_OK;
}

/* "none" is as if nothing had been said. */
static int show_unless_none(show *s, const row *r)
{
    const char *v = get(s, r);
    v = v ? v : r->otherwise;
    if (v && !is(v, "none")) {
        say(s, v);
    }
    return NACRE_OK;
}

static int show_expanded(show *s, const row *r)
{
    const char *v = get(s, r);
    if (!v ||
        (is(v, "none") && !is(r->keyword, "IdentityAgent") && !is(r->keyword, "VersionAddendum"))) {
        return NACRE_OK;
    }
    if (is(r->keyword, "VersionAddendum") && is(v, "none")) {
        v = "";
    }
    int rc = nacre_ssh_config_expand(s->c, r->keyword, v, NULL, s->text, VALUE_SIZE, s->err);
    if (rc == NACRE_OK) {
        say(s, s->text);
    }
    return rc;
}

static int show_lower(show *s, const row *r)
{
    const char *v = get(s, r);
    if (v) {
        (void)snprintf(s->text, VALUE_SIZE, "%s", v);
        set_case(s->text, false);
        say(s, s->text);
    }
    return NACRE_OK;
}

static int show_algorithms(show *s, const row *r)
{
    static const struct {
        const char *keyword;
        nacre_algorithm_kind kind;
    } kinds[] = {{"Ciphers", NACRE_ALG_CIPHER},
                 {"KexAlgorithms", NACRE_ALG_KEX},
                 {"MACs", NACRE_ALG_MAC},
                 {"HostKeyAlgorithms", NACRE_ALG_HOST_KEY},
                 {"HostbasedAcceptedAlgorithms", NACRE_ALG_SIGNATURE},
                 {"CASignatureAlgorithms", NACRE_ALG_CA_SIGNATURE},
                 {"PubkeyAcceptedAlgorithms", NACRE_ALG_SIGNATURE}};
    const char *v = get(s, r);
    bool whole = v && !strchr("+-^", *v);
    for (size_t i = 0; !whole && i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        char *list = NULL;
        if (is(kinds[i].keyword, r->keyword) &&
            nc_algo_resolve(kinds[i].kind, v, s->c->alloc, &list, s->err) == NACRE_OK) {
            say(s, list);
            nc_free(s->c->alloc, list);
            return NACRE_OK;
        }
    }
    nc_error_clear(s->err); /* names that are not known here show when a connection is made */
    if (v) {
        say(s, v);
    }
    return NACRE_OK;
}

/* ---- lists ---- */

static int show_each(show *s, const row *r)
{
    size_t n = nacre_ssh_config_count(s->c, r->keyword);
    for (size_t i = 0; i < n; i++) {
        say(s, nacre_ssh_config_value(s->c, r->keyword, i));
    }
    return NACRE_OK;
}

static int show_identities(show *s, const row *r)
{
    static const char *const usual[] = {"~/.ssh/id_rsa", "~/.ssh/id_ecdsa", "~/.ssh/id_ecdsa_sk",
                                        "~/.ssh/id_ed25519", "~/.ssh/id_ed25519_sk"};
    if (get(s, r)) {
        return show_each(s, r);
    }
    for (size_t i = 0; i < sizeof(usual) / sizeof(usual[0]); i++) {
        say(s, usual[i]);
    }
    return NACRE_OK;
}

static int add_word(show *s, size_t *n, const char *word)
{
    int rc = snprintf(s->text + *n, VALUE_SIZE - *n, "%s%s", *n ? " " : "", word);
    if (rc < 0 || (size_t)rc >= VALUE_SIZE - *n) {
        return nc_fail(s->err, NACRE_TOO_LARGE, "%s: too long", s->name);
    }
    *n += (size_t)rc;
    return NACRE_OK;
}

static int show_line(show *s, const row *r)
{
    size_t count = nacre_ssh_config_count(s->c, r->keyword), n = 0;
    bool expands = is(r->keyword, "UserKnownHostsFile");
    int rc = NACRE_OK;
    s->text[0] = '\0';
    if (count == 0 && !expands) {
        rc = add_word(s, &n, r->otherwise);
    }
    for (size_t i = 0; rc == NACRE_OK && i < (count || !expands ? count : 2); i++) {
        static const char *const usual[] = {"~/.ssh/known_hosts", "~/.ssh/known_hosts2"};
        char path[4096];
        const char *v = count ? nacre_ssh_config_value(s->c, r->keyword, i) : usual[i];
        if (expands && !is(v, "none")) {
            rc = nacre_ssh_config_expand(s->c, r->keyword, v, NULL, path, sizeof(path), s->err);
            v = path;
        }
        rc = rc == NACRE_OK ? add_word(s, &n, v) : rc;
    }
    if (rc == NACRE_OK) {
        say(s, s->text);
    }
    return rc;
}

static int show_cnames(show *s, const row *r)
{
    size_t count = nacre_ssh_config_count(s->c, r->keyword), n = 0;
    const char *first = get(s, r);
    int rc = NACRE_OK;
    (void)snprintf(s->name, sizeof(s->name), "canonicalizePermittedcnames"); /* ssh has it so */
    if (!first || is(first, "none")) {
        say(s, "none");
        return NACRE_OK;
    }
    for (size_t i = 0; rc == NACRE_OK && i < count; i++) {
        const char *v = nacre_ssh_config_value(s->c, r->keyword, i);
        rc = add_word(s, &n, strcmp(v, "*") == 0 ? "*:*" : v);
    }
    set_case(s->text, false);
    say(s, s->text);
    return rc;
}

static int show_forwards(show *s, const row *r)
{
    const nc_keyword *k = nc_keyword_find(nc_span_cstr(r->keyword));
    size_t count = nacre_ssh_config_count(s->c, r->keyword);
    if (nacre_ssh_config_yes(s->c, "ClearAllForwardings", false)) {
        return NACRE_OK;
    }
    for (size_t i = 0; i < count; i++) {
        const char *v = nacre_ssh_config_value(s->c, r->keyword, i);
        if (is(v, "none")) {
            continue;
        }
        int rc = nc_forward_show(k, v, s->text, VALUE_SIZE, s->err);
        if (rc != NACRE_OK) {
            return rc;
        }
        say(s, s->text);
    }
    return NACRE_OK;
}

/* ---- one of a kind ---- */

static int show_update(show *s, const row *r)
{
    const char *v = get(s, r), *dns = nacre_ssh_config_get(s->c, "VerifyHostKeyDNS");
    size_t files = nacre_ssh_config_count(s->c, "UserKnownHostsFile");
    const char *file = nacre_ssh_config_get(s->c, "UserKnownHostsFile");
    bool usual = files == 0 || (files == 1 && strcmp(file, "~/.ssh/known_hosts") == 0);
    if (v) {
        return show_choice(s, r);
    }
    say(s, usual && (!dns || is(dns, "no") || is(dns, "false")) ? "true" : "false");
    return NACRE_OK;
}

static int show_add_keys(show *s, const row *r)
{
    const char *v = get(s, r);
    char text[64];
    uint32_t seconds = 0;
    bool confirm = v && strncasecmp(v, "confirm ", 8) == 0;
    if (v && nacre_parse_time(v + (confirm ? 8 : 0), &seconds) == NACRE_OK && seconds > 0) {
        (void)snprintf(text, sizeof(text), "%s%u", confirm ? "confirm " : "", (unsigned)seconds);
        say(s, text);
        return NACRE_OK;
    }
    return show_choice(s, r);
}

static int show_forward_agent(show *s, const row *r)
{
    const char *v = get(s, r);
    return v && !nc_keyword_listed("yes,no,true,false", v) ? show_expanded(s, r) : show_flag(s, r);
}

static int show_device(show *s, const row *r)
{
    const char *v = get(s, r);
    (void)snprintf(s->text, VALUE_SIZE, "%s%s", v ? v : "any", v && strchr(v, ':') ? "" : ":any");
    set_case(s->text, false);
    say(s, s->text);
    return NACRE_OK;
}

static int show_persist(show *s, const row *r)
{
    const char *v = get(s, r);
    uint32_t seconds = 0;
    if (v && nacre_parse_time(v, &seconds) == NACRE_OK) {
        (void)snprintf(s->text, VALUE_SIZE, "%u", (unsigned)seconds);
        say(s, seconds ? s->text : "yes");
        return NACRE_OK;
    }
    return show_flag(s, r);
}

/* As vis(3) writes a character. */
static int show_escape(show *s, const row *r)
{
    const char *v = get(s, r);
    if (v && (is(v, "none") || (v[1] == '\0' && isgraph((unsigned char)v[0]) && v[0] != '\\'))) {
        say(s, v);
    } else if (v) {
        unsigned c = v[1] ? (unsigned char)v[1] & 31u : (unsigned char)v[0];
        (void)snprintf(s->text, VALUE_SIZE,
                       c == '\\'  ? "\\\\"
                       : c < 0x20 ? "\\^%c"
                                  : "\\%03o",
                       c < 0x20 ? c + 64 : c);
        say(s, s->text);
    } else {
        say(s, r->otherwise);
    }
    return NACRE_OK;
}

static void quality_name(const char *word, char *out, size_t size)
{
    static const char *const names[] = {"none", "cs0",  "cs1",  "cs2",  "cs3",  "cs4",
                                        "cs5",  "cs6",  "cs7",  "ef",   "le",   "va",
                                        "af11", "af12", "af13", "af21", "af22", "af23",
                                        "af31", "af32", "af33", "af41", "af42", "af43"};
    char *end;
    unsigned long n = strtoul(word, &end, 0);
    (void)snprintf(out, size, "%s", word);
    set_case(out, false);
    if (*end || end == word) {
        return;
    }
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        int dscp = -1;
        if (nacre_parse_ipqos(names[i], &dscp) == NACRE_OK && dscp >= 0 &&
            n == (unsigned)dscp << 2) {
            (void)snprintf(out, size, "%s", names[i]);
            return;
        }
    }
    (void)snprintf(out, size, "0x%02lx", n);
}

static int show_quality(show *s, const row *r)
{
    const char *v = get(s, r);
    char word[32], first[32], second[32];
    if (!v) {
        say(s, r->otherwise);
        return NACRE_OK;
    }
    size_t n = strcspn(v, " ");
    (void)snprintf(word, sizeof(word), "%.*s", (int)n, v);
    quality_name(word, first, sizeof(first));
    quality_name(v[n] ? v + n + 1 : word, second, sizeof(second));
    (void)snprintf(s->text, VALUE_SIZE, "%s %s", first, second);
    say(s, s->text);
    return NACRE_OK;
}

static int show_rekey(show *s, const row *r)
{
    const char *v = get(s, r);
    uint64_t bytes = 0;
    uint32_t seconds = 0;
    if (v && nacre_parse_rekey_limit(v, &bytes, &seconds) != NACRE_OK) {
        return nc_fail(s->err, NACRE_SYNTAX, "%s: %s", s->name, NC_ESC(nc_span_cstr(v)));
    }
    (void)snprintf(s->text, VALUE_SIZE, "%llu %u", (unsigned long long)bytes, (unsigned)seconds);
    say(s, s->text);
    return NACRE_OK;
}

static int show_mask(show *s, const row *r)
{
    const char *v = get(s, r);
    (void)snprintf(s->text, VALUE_SIZE, "0%lo", v ? strtoul(v, NULL, 8) : 0177ul);
    say(s, s->text);
    return NACRE_OK;
}

/* Brackets around what is an address. */
static int show_proxy(show *s, const row *r)
{
    const char *list = nacre_ssh_config_get(s->c, "ProxyJump");
    nacre_destination hop;
    char port[8] = "";
    if (!list || is(list, "none")) {
        return show_unless_none(s, r);
    }
    (void)snprintf(s->name, sizeof(s->name), "proxyjump");
    const char *comma = strrchr(list, ',');
    int rc = nacre_parse_jump(comma ? comma + 1 : list, &hop, s->err);
    if (rc != NACRE_OK) {
        return rc;
    }
    bool address = strchr(hop.host, ':') || !hop.host[strspn(hop.host, "1234567890.")];
    if (hop.port) {
        (void)snprintf(port, sizeof(port), ":%u", (unsigned)hop.port);
    }
    (void)snprintf(s->text, VALUE_SIZE, "%.*s%s%s%s%s%s%s", comma ? (int)(comma + 1 - list) : 0,
                   list, hop.user, hop.user[0] ? "@" : "", address ? "[" : "", hop.host,
                   address ? "]" : "", port);
    say(s, s->text);
    return NACRE_OK;
}

/* ---- the order of OpenSSH 10 ---- */

static const row rows[] = {
    {"AddressFamily", show_choice, "any"},
    {"BatchMode", show_flag, "no"},
    {"CanonicalizeFallbackLocal", show_flag, "yes"},
    {"CanonicalizeHostname", show_choice, "no"},
    {"CheckHostIP", show_flag, "no"},
    {"Compression", show_flag, "no"},
    {"ControlMaster", show_choice, "no"},
    {"EnableSSHKeysign", show_flag, "no"},
    {"ClearAllForwardings", show_flag, "no"},
    {"ExitOnForwardFailure", show_flag, "no"},
    {"FingerprintHash", show_capitals, "SHA256"},
    {"ForwardX11", show_flag, "no"},
    {"ForwardX11Trusted", show_flag, "no"},
    {"GatewayPorts", show_flag, "no"},
    {"HashKnownHosts", show_flag, "no"},
    {"HostbasedAuthentication", show_flag, "no"},
    {"IdentitiesOnly", show_flag, "no"},
    {"KbdInteractiveAuthentication", show_flag, "yes"},
    {"NoHostAuthenticationForLocalhost", show_flag, "no"},
    {"PasswordAuthentication", show_flag, "yes"},
    {"PermitLocalCommand", show_flag, "no"},
    {"ProxyUseFdpass", show_flag, "no"},
    {"PubkeyAuthentication", show_choice, "yes"},
    {"RequestTTY", show_choice, "auto"},
    {"SessionType", show_choice, "default"},
    {"StdinNull", show_flag, "no"},
    {"ForkAfterAuthentication", show_flag, "no"},
    {"StreamLocalBindUnlink", show_flag, "no"},
    {"StrictHostKeyChecking", show_choice, "ask"},
    {"TCPKeepAlive", show_flag, "yes"},
    {"Tunnel", show_choice, "no"},
    {"VerifyHostKeyDNS", show_choice, "no"},
    {"VisualHostKey", show_flag, "no"},
    {"UpdateHostKeys", show_update, NULL},
    {"EnableEscapeCommandline", show_flag, "no"},
    {"WarnWeakCrypto", show_flag, "yes"},
    {"CanonicalizeMaxDots", show_number, "1"},
    {"ConnectionAttempts", show_number, "1"},
    {"ForwardX11Timeout", show_number, "1200"},
    {"NumberOfPasswordPrompts", show_number, "3"},
    {"ServerAliveCountMax", show_number, "3"},
    {"ServerAliveInterval", show_number, "0"},
    {"RequiredRSASize", show_number, "1024"},
    {"ObscureKeystrokeTiming", show_keystrokes, NULL},
    {"BindAddress", show_raw, NULL},
    {"BindInterface", show_raw, NULL},
    {"Ciphers", show_algorithms, NULL},
    {"ControlPath", show_expanded, NULL},
    {"HostKeyAlgorithms", show_algorithms, NULL},
    {"HostKeyAlias", show_lower, NULL},
    {"HostbasedAcceptedAlgorithms", show_algorithms, NULL},
    {"IdentityAgent", show_expanded, NULL},
    {"IgnoreUnknown", show_raw, NULL},
    {"KbdInteractiveDevices", show_raw, NULL},
    {"KexAlgorithms", show_algorithms, NULL},
    {"CASignatureAlgorithms", show_algorithms, NULL},
    {"LocalCommand", show_unless_none, NULL},
    {"RemoteCommand", show_expanded, NULL},
    {"LogLevel", show_capitals, "INFO"},
    {"MACs", show_algorithms, NULL},
    {"PKCS11Provider", show_unless_none, NULL},
    {"SecurityKeyProvider", show_unless_none, "internal"},
    {"PreferredAuthentications", show_raw, NULL},
    {"PubkeyAcceptedAlgorithms", show_algorithms, NULL},
    {"RevokedHostKeys", show_expanded, NULL},
    {"XAuthLocation", show_raw, "/usr/bin/xauth"},
    {"KnownHostsCommand", show_unless_none, NULL},
    {"Tag", show_raw, NULL},
    {"VersionAddendum", show_expanded, NULL},
    {"DynamicForward", show_forwards, NULL},
    {"LocalForward", show_forwards, NULL},
    {"RemoteForward", show_forwards, NULL},
    {"IdentityFile", show_identities, NULL},
    {"CanonicalDomains", show_line, "none"},
    {"CertificateFile", show_each, NULL},
    {"GlobalKnownHostsFile", show_line, "/etc/ssh/ssh_known_hosts /etc/ssh/ssh_known_hosts2"},
    {"UserKnownHostsFile", show_line, NULL},
    {"SendEnv", show_each, NULL},
    {"SetEnv", show_each, NULL},
    {"LogVerbose", show_line, "none"},
    {"ChannelTimeout", show_line, "none"},
    {"PermitRemoteOpen", show_line, "any"},
    {"AddKeysToAgent", show_add_keys, "no"},
    {"ForwardAgent", show_forward_agent, "no"},
    {"ConnectTimeout", show_number, "none"},
    {"TunnelDevice", show_device, NULL},
    {"CanonicalizePermittedCNAMEs", show_cnames, NULL},
    {"ControlPersist", show_persist, "no"},
    {"EscapeChar", show_escape, "~"},
    {"IPQoS", show_quality, "ef cs0"},
    {"RekeyLimit", show_rekey, NULL},
    {"StreamLocalBindMask", show_mask, NULL},
    {"SyslogFacility", show_capitals, "USER"},
    {"ProxyCommand", show_proxy, NULL},
};

static void say_target(show *s, const char *name, const char *value)
{
    (void)snprintf(s->name, sizeof(s->name), "%s", name);
    say(s, value);
}

int nacre_ssh_config_show(nacre_ssh_config *c,
                          void (*line)(void *user, const char *keyword, const char *value),
                          void *user, nacre_error *err)
{
    nacre_error own;
    char port[8];
    show s = {.c = c, .line = line, .user = user, .err = err ? err : &own};
    nc_error_clear(s.err);
    s.text = nc_alloc(c->alloc, VALUE_SIZE);
    if (!s.text) {
        return nc_fail(s.err, NACRE_NO_MEMORY, "out of memory");
    }
    int rc = NACRE_OK;
    say_target(&s, "host", c->host);
    say_target(&s, "user", nacre_ssh_config_user(c));
    say_target(&s, "hostname", nacre_ssh_config_host(c));
    (void)snprintf(port, sizeof(port), "%u", (unsigned)nacre_ssh_config_port(c));
    say_target(&s, "port", port);
    for (size_t i = 0; rc == NACRE_OK && i < sizeof(rows) / sizeof(rows[0]); i++) {
        (void)snprintf(s.name, sizeof(s.name), "%s", rows[i].keyword);
        set_case(s.name, false);
        rc = rows[i].fn(&s, &rows[i]);
    }
    nc_free(c->alloc, s.text);
    return rc;
}
