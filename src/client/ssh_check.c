/*
 * ssh_check.c - what a value of a keyword of ssh_config(5) may be.
 */
#include "base/words.h"
#include "client/ssh_config.h"
#include "nacre/forward.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static int bad(const nc_keyword *k, const char *value, const char *what, nacre_error *err)
{
    return nc_fail(err, NACRE_SYNTAX, "%s: \"%s\" is %s", k->name, NC_ESC(nc_span_cstr(value)),
                   what);
}

static bool is(const char *text, const char *word)
{
    return strcasecmp(text, word) == 0;
}

static bool is_yes_or_no(const char *value)
{
    return nc_keyword_listed("yes,no,true,false", value);
}

/* ---- one keyword each ---- */

static int check_add_keys(const nc_keyword *k, const char *value, nacre_error *err)
{
    uint32_t seconds;
    if (nc_keyword_listed("yes,no,true,false,ask,confirm", value) ||
        nc_parse_time(value, &seconds) ||
        (strncasecmp(value, "confirm ", 8) == 0 && nc_parse_time(value + 8, &seconds))) {
        return NACRE_OK;
    }
    return bad(k, value, "none of yes, no, ask, confirm [time] and a time", err);
}

/* "$NAME" alone, or a path where every ${NAME} is set. */
static int check_agent(const nc_keyword *k, const char *value, nacre_error *err)
{
    if (value[0] == '$' && value[1] != '{') {
        size_t n =
            strspn(value + 1, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_");
        return n && !value[1 + n] ? NACRE_OK
                                  : bad(k, value, "no name of an environment variable", err);
    }
    for (const char *p = strstr(value, "${"); p; p = strstr(p + 2, "${")) {
        char name[128];
        size_t n = strcspn(p + 2, "}");
        if (n == 0 || n >= sizeof(name) || p[2 + n] != '}') {
            return bad(k, value, "no path: ${ without a name and }", err);
        }
        memcpy(name, p + 2, n);
        name[n] = '\0';
        if (!getenv(name)) {
            return bad(k, value, "of no use: that environment variable is not set", err);
        }
    }
    return NACRE_OK;
}

static int check_forward_agent(const nc_keyword *k, const char *value, nacre_error *err)
{
    return is_yes_or_no(value) ? NACRE_OK : check_agent(k, value, err);
}

static int check_domain(const nc_keyword *k, const char *value, nacre_error *err)
{
    static const char allowed[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.";
    bool good = value[0] != '.' && value[0] != '-' && !strstr(value, "..") &&
                !value[strspn(value, allowed)];
    return good ? NACRE_OK : bad(k, value, "no domain name", err);
}

static int check_cname(const nc_keyword *k, const char *value, nacre_error *err)
{
    const char *colon = strchr(value, ':');
    return is(value, "none") || strcmp(value, "*") == 0 || (colon && colon[1])
               ? NACRE_OK
               : bad(k, value, "none of \"source,list:target,list\", * and none", err);
}

static int check_timeout(const nc_keyword *k, const char *value, nacre_error *err)
{
    const char *eq = strchr(value, '=');
    uint32_t seconds;
    return is(value, "none") || (eq && eq != value && nc_parse_time(eq + 1, &seconds))
               ? NACRE_OK
               : bad(k, value, "no type=time (session=5m)", err);
}

static int check_persist(const nc_keyword *k, const char *value, nacre_error *err)
{
    uint32_t seconds;
    return is_yes_or_no(value) || nc_parse_time(value, &seconds)
               ? NACRE_OK
               : bad(k, value, "neither yes, no nor a time", err);
}

static int check_escape(const nc_keyword *k, const char *value, nacre_error *err)
{
    bool good = strcmp(value, "none") == 0 || !value[1] ||
                (value[0] == '^' && (unsigned char)value[1] >= 64 &&
                 (unsigned char)value[1] < 128 && !value[2]);
    return good ? NACRE_OK
                : bad(k, value, "no escape character (one character, ^ and a letter, none)", err);
}

int nacre_parse_ipqos(const char *text, int *dscp)
{
    static const struct {
        const char *name;
        int dscp;
    } rows[] = {{"none", -1},      {"af11", 10},      {"af12", 12}, {"af13", 14}, {"af21", 18},
                {"af22", 20},      {"af23", 22},      {"af31", 26}, {"af32", 28}, {"af33", 30},
                {"af41", 34},      {"af42", 36},      {"af43", 38}, {"cs0", 0},   {"cs1", 8},
                {"cs2", 16},       {"cs3", 24},       {"cs4", 32},  {"cs5", 40},  {"cs6", 48},
                {"cs7", 56},       {"ef", 46},        {"le", 1},    {"va", 44},   {"lowdelay", 4},
                {"throughput", 2}, {"reliability", 1}};
    char *end;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        if (is(text, rows[i].name)) {
            *dscp = rows[i].dscp;
            return NACRE_OK;
        }
    }
    unsigned long n = strtoul(text, &end, 0);
    if (end == text || *end || n > 255 || *text == '-' || *text == '+') {
        return NACRE_SYNTAX;
    }
    *dscp = (int)(n >> 2); /* the number is that of the whole byte */
    return NACRE_OK;
}

static int check_ipqos(const nc_keyword *k, const char *value, nacre_error *err)
{
    char one[32];
    int dscp;
    for (int i = 0; *value; i++) {
        size_t n = strcspn(value, " ");
        if (i == 2 || n >= sizeof(one)) {
            return bad(k, value, "too much", err);
        }
        memcpy(one, value, n);
        one[n] = '\0';
        if (nacre_parse_ipqos(one, &dscp) != NACRE_OK) {
            return bad(k, one, "no class of service (af21, cs1, ef, 0x10, none)", err);
        }
        value += n + (value[n] ? 1 : 0);
    }
    return NACRE_OK;
}

static int check_keystrokes(const nc_keyword *k, const char *value, nacre_error *err)
{
    uint32_t ms;
    return is_yes_or_no(value) ||
                   (strncmp(value, "interval:", 9) == 0 && nc_parse_number(value + 9, 1, 1000, &ms))
               ? NACRE_OK
               : bad(k, value, "none of yes, no and interval:1 to interval:1000", err);
}

static int check_jump(const nc_keyword *k, const char *value, nacre_error *err)
{
    return is(value, "none") || nc_is_jump_list(value)
               ? NACRE_OK
               : bad(k, value,
                     "no list of [user@]host[:port] or ssh://[user@]host[:port], and not none",
                     err);
}

static int check_rekey(const nc_keyword *k, const char *value, nacre_error *err)
{
    uint64_t bytes;
    uint32_t seconds;
    return nacre_parse_rekey_limit(value, &bytes, &seconds) == NACRE_OK
               ? NACRE_OK
               : bad(k, value, "not a limit (1G, \"512M 1h\")", err);
}

static int check_remote_open(const nc_keyword *k, const char *value, nacre_error *err)
{
    const char *colon = strrchr(value, ':');
    uint32_t port;
    bool good = is(value, "any") || is(value, "none") ||
                (colon && colon != value &&
                 (strcmp(colon + 1, "*") == 0 || nc_parse_number(colon + 1, 1, 65535, &port)));
    return good ? NACRE_OK : bad(k, value, "no host:port", err);
}

static int check_send_env(const nc_keyword *k, const char *value, nacre_error *err)
{
    return strchr(value, '=') ? bad(k, value, "no name of an environment variable", err) : NACRE_OK;
}

static int check_set_env(const nc_keyword *k, const char *value, nacre_error *err)
{
    const char *eq = strchr(value, '=');
    return eq && eq != value ? NACRE_OK : bad(k, value, "not NAME=value", err);
}

static int check_mask(const nc_keyword *k, const char *value, nacre_error *err)
{
    char *end;
    unsigned long n = strtoul(value, &end, 8);
    return end != value && !*end && n <= 0777 && *value != '-'
               ? NACRE_OK
               : bad(k, value, "no octal mask (0177)", err);
}

static int check_facility(const nc_keyword *k, const char *value, nacre_error *err)
{
    return nc_keyword_listed("DAEMON,USER,AUTH,AUTHPRIV,LOCAL0,LOCAL1,LOCAL2,LOCAL3,LOCAL4,LOCAL5,"
                             "LOCAL6,LOCAL7",
                             value)
               ? NACRE_OK
               : bad(k, value, "no facility of syslog (USER, AUTH, LOCAL0 ...)", err);
}

static bool is_device(const char *text, size_t n)
{
    char one[16];
    uint32_t number;
    if (n == 0 || n >= sizeof(one)) {
        return false;
    }
    memcpy(one, text, n);
    one[n] = '\0';
    return is(one, "any") || nc_parse_number(one, 0, INT32_MAX - 2, &number);
}

static int check_device(const nc_keyword *k, const char *value, nacre_error *err)
{
    size_t n = strcspn(value, ":");
    return is_device(value, n) && (!value[n] || is_device(value + n + 1, strlen(value + n + 1)))
               ? NACRE_OK
               : bad(k, value, "no local[:remote] device (3, any:0)", err);
}

static int check_forward(const nc_keyword *k, const char *value, nacre_error *err)
{
    char shown[2048];
    /* An older way to say that there is none. */
    return is(value, "none") ? NACRE_OK : nc_forward_show(k, value, shown, sizeof(shown), err);
}

static const struct {
    const char *name;
    int (*check)(const nc_keyword *k, const char *value, nacre_error *err);
} checks[] = {
    {"AddKeysToAgent", check_add_keys},
    {"CanonicalDomains", check_domain},
    {"CanonicalizePermittedCNAMEs", check_cname},
    {"ChannelTimeout", check_timeout},
    {"ControlPersist", check_persist},
    {"DynamicForward", check_forward},
    {"EscapeChar", check_escape},
    {"ForwardAgent", check_forward_agent},
    {"IdentityAgent", check_agent},
    {"IPQoS", check_ipqos},
    {"LocalForward", check_forward},
    {"ObscureKeystrokeTiming", check_keystrokes},
    {"PermitRemoteOpen", check_remote_open},
    {"ProxyJump", check_jump},
    {"RekeyLimit", check_rekey},
    {"RemoteForward", check_forward},
    {"SendEnv", check_send_env},
    {"SetEnv", check_set_env},
    {"StreamLocalBindMask", check_mask},
    {"SyslogFacility", check_facility},
    {"TunnelDevice", check_device},
};

/* ---- forwardings ---- */

static nacre_forward_kind forward_kind(const nc_keyword *k)
{
    return is(k->name, "DynamicForward")  ? NACRE_FORWARD_DYNAMIC
           : is(k->name, "RemoteForward") ? NACRE_FORWARD_REMOTE
                                          : NACRE_FORWARD_LOCAL;
}

static int no_forward(const nc_keyword *k, const char *value, nacre_error *err)
{
    return bad(k, value, "no forwarding ([address:]port host:port, or paths of sockets)", err);
}

int nc_forward_check_words(const nc_keyword *k, const char *value, size_t words, nacre_error *err)
{
    nacre_forward_options o;
    nacre_forward_text text;
    nacre_forward_options_init(&o);
    if (words == 1 && is(value, "none")) {
        return NACRE_OK;
    }
    int rc = nacre_forward_parse(forward_kind(k), value, &o, &text, NULL);
    /* A target stands in a word of its own. */
    bool wants_two = o.kind == NACRE_FORWARD_LOCAL || o.kind == NACRE_FORWARD_REMOTE;
    return rc == NACRE_OK && words == (wants_two ? 2u : 1u) ? NACRE_OK : no_forward(k, value, err);
}

int nc_forward_show(const nc_keyword *k, const char *value, char *out, size_t size,
                    nacre_error *err)
{
    nacre_forward_options o;
    nacre_forward_text text;
    nacre_forward_options_init(&o);
    if (nacre_forward_parse(forward_kind(k), value, &o, &text, NULL) != NACRE_OK ||
        nacre_forward_format(&o, out, size) != NACRE_OK) {
        return no_forward(k, value, err);
    }
    return NACRE_OK;
}

/* ---- kinds ---- */

static int check_number(const nc_keyword *k, const char *value, nacre_error *err)
{
    uint32_t n;
    bool port = k->kind == NC_KW_PORT;
    bool good = nc_parse_number(value, port ? 1 : 0, port ? 65535 : INT32_MAX, &n);
    if (good && n == 0 && is(k->name, "ConnectionAttempts")) {
        return bad(k, value, "none at all", err);
    }
    return good ? NACRE_OK
                : bad(k, value, port ? "not a port (1 to 65535)" : "not a number (0 to 2147483647)",
                      err);
}

static int check_kind(const nc_keyword *k, const char *value, nacre_error *err)
{
    uint32_t seconds;
    switch (k->kind) {
    case NC_KW_YESNO:
        return is_yes_or_no(value) ? NACRE_OK : bad(k, value, "neither yes nor no", err);
    case NC_KW_CHOICE:
        return nc_keyword_listed(k->choices, value)
                   ? NACRE_OK
                   : nc_fail(err, NACRE_SYNTAX, "%s: \"%s\" is none of %s", k->name,
                             NC_ESC(nc_span_cstr(value)), k->choices);
    case NC_KW_NUMBER:
    case NC_KW_PORT:
        return check_number(k, value, err);
    case NC_KW_TIME:
        return is(value, "none") || nc_parse_time(value, &seconds)
                   ? NACRE_OK
                   : bad(k, value, "not a time (30, 5m, 1h30m)", err);
    default:
        return NACRE_OK;
    }
}

/* "none" (and "any") among others would be a mistake that opens or closes everything. */
static bool must_be_alone(const nc_keyword *k, const char *value)
{
    return k->kind == NC_KW_ONE_LIST && !is(k->name, "SetEnv") &&
           (is(value, "none") || (is(value, "any") && is(k->name, "PermitRemoteOpen")));
}

int nc_keyword_check(const nc_keyword *k, const char *value, bool alone, nacre_error *err)
{
    int rc = check_kind(k, value, err);
    if (rc == NACRE_OK && !alone && must_be_alone(k, value)) {
        rc = bad(k, value, "possible alone only", err);
    }
    for (size_t i = 0; rc == NACRE_OK && i < sizeof(checks) / sizeof(checks[0]); i++) {
        if (strcmp(checks[i].name, k->name) == 0) {
            rc = checks[i].check(k, value, err);
        }
    }
    return rc;
}
