/*
 * key_options.c - the options of sshd(8): what each demands of a login and takes from it.
 *
 * A line is refused when one of its options is unknown, malformed or not to be enforced: an option
 * that is dropped silently is a right that nobody gave. What a login may do is one mask, which begins
 * at nothing under "restrict", so that what is added one day is off where it is not named.
 */
#include "keys/key_options.h"

#include "keys/pattern.h"
#include "nacre/cert.h"

#include <string.h>

enum {
    /* OpenSSH reads at most this many environment= of a line. */
    MAX_ENVIRONMENT = 1024
};

int nc_option_refuse(nc_option_check *c, const char *what)
{
    if (!c->noun) {
        return nc_fail(c->why, NACRE_NOT_FOUND, "the certificate does not count: %s", what);
    }
    return nc_fail(c->why, NACRE_NOT_FOUND, "%s line %u has this %s, but %s", c->subject,
                   c->grant->line, c->noun, what);
}

/* ---- options with a value -------------------------------------------------------------------- */

static int apply_command(nc_option_check *c)
{
    if (c->has_command) {
        return nc_option_refuse(c, "command= stands there twice");
    }
    /* An empty command would read as "no command is forced". */
    if (c->value_len == 0 || c->value_len >= sizeof(c->grant->command)) {
        return nc_option_refuse(c, "its command= is empty or too long");
    }
    memcpy(c->grant->command, c->value, c->value_len + 1);
    c->has_command = true;
    return NACRE_OK;
}

static bool env_name_good(const char *name, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        char ch = name[i];
        bool letter = (ch >= 'A' && ch <= 'Z') || (ch >= 'a' && ch <= 'z') || ch == '_';
        if (!letter && !(i && ch >= '0' && ch <= '9')) {
            return false;
        }
    }
    return n > 0;
}

/* The first value of a name wins, as with ssh. */
static bool env_has(const nc_option_check *c, const char *name, size_t n)
{
    for (const char *p = c->grant->environment; *p; p += strlen(p) + 1) {
        if (strncmp(p, name, n) == 0 && p[n] == '=') {
            return true;
        }
    }
    return false;
}

static int apply_environment(nc_option_check *c)
{
    const char *equals = strchr(c->value, '=');
    size_t name_len = equals ? (size_t)(equals - c->value) : 0;
    if (!env_name_good(c->value, name_len) || ++c->env_count > MAX_ENVIRONMENT) {
        return nc_option_refuse(c, "an environment= of it is not NAME=value");
    }
    if (env_has(c, c->value, name_len)) {
        return NACRE_OK;
    }
    /* two zero bytes: its own, and the one that ends them all */
    if (c->value_len + 2 > sizeof(c->grant->environment) - c->env_len) {
        return nc_option_refuse(c, "its environment= options are too long");
    }
    memcpy(c->grant->environment + c->env_len, c->value, c->value_len + 1);
    c->env_len += c->value_len + 1;
    return NACRE_OK;
}

static int apply_from(nc_option_check *c)
{
    if (c->has_from) {
        return nc_option_refuse(c, "from= stands there twice");
    }
    c->has_from = true;
    nacre_span address = nc_span_cstr(c->facts->peer_address);
    nacre_span host = nc_span_cstr(c->facts->peer_host);
    switch (nc_peer_list(address, host, nc_span(c->value, c->value_len))) {
    case NC_MATCH_YES:
        return NACRE_OK;
    case NC_MATCH_BAD:
        return nc_option_refuse(c, "its from= has a malformed address block");
    default:
        return nc_option_refuse(c, "its from= does not allow this address");
    }
}

static int apply_expiry(nc_option_check *c)
{
    int64_t until = 0;
    if (!nc_key_date(nc_span(c->value, c->value_len), c->facts->utc_offset, &until) || until <= 0) {
        return nc_option_refuse(c, "its expiry-time= is not a date (YYYYMMDD[HHMM[SS]][Z])");
    }
    if (c->facts->now_seconds <= 0) {
        return nc_option_refuse(c, "its expiry-time= cannot be checked without a clock");
    }
    if (c->facts->now_seconds >= until) {
        return nc_option_refuse(c, "its expiry-time= has passed");
    }
    if (c->grant->valid_until == 0 || until < c->grant->valid_until) {
        c->grant->valid_until = until;
    }
    return NACRE_OK;
}

static bool port_good(nacre_span s)
{
    if (nc_span_is(s, "*")) {
        return true;
    }
    unsigned v = 0;
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] < '0' || s.p[i] > '9' || i >= 5) {
            return false;
        }
        v = v * 10 + (unsigned)(s.p[i] - '0');
    }
    return v > 0 && v <= 65535;
}

/* "host:port"; the host may stand in brackets, and be missing where host_needed is false. */
static bool target_good(nacre_span s, bool host_needed)
{
    size_t colon = s.n;
    while (colon > 0 && s.p[colon - 1] != ':') {
        colon--;
    }
    nacre_span port = nc_span(s.p + colon, s.n - colon);
    return port_good(port) && (colon > 1 || (colon == 0 && !host_needed));
}

/* Appends the value to a list of texts, each ended by a zero byte, the whole by an empty one. */
static bool add_text(char *list, size_t size, size_t *len, const char *before, const char *text)
{
    size_t head = strlen(before), n = strlen(text);
    if (head + n + 2 > size - *len) {
        return false;
    }
    memcpy(list + *len, before, head);
    memcpy(list + *len + head, text, n + 1);
    *len += head + n + 1;
    list[*len] = '\0';
    return true;
}

static int apply_permitopen(nc_option_check *c)
{
    nacre_key_grant *g = c->grant;
    g->open_limited = true;
    if (!target_good(nc_span(c->value, c->value_len), true)) {
        return nc_option_refuse(c, "a permitopen= of it is not host:port");
    }
    return add_text(g->permit_open, sizeof(g->permit_open), &c->open_len, "", c->value)
               ? NACRE_OK
               : nc_option_refuse(c, "its permitopen= options are too long");
}

/* A port alone is one of any host. */
static int apply_permitlisten(nc_option_check *c)
{
    nacre_key_grant *g = c->grant;
    g->listen_limited = true;
    if (!target_good(nc_span(c->value, c->value_len), false)) {
        return nc_option_refuse(c, "a permitlisten= of it is not [host:]port");
    }
    return add_text(g->permit_listen, sizeof(g->permit_listen), &c->listen_len,
                    strchr(c->value, ':') ? "" : "*:", c->value)
               ? NACRE_OK
               : nc_option_refuse(c, "its permitlisten= options are too long");
}

/* Which tunnel device; it grants none (NACRE_MAY_TUNNEL does), and narrows to one. */
static int apply_tunnel(nc_option_check *c)
{
    nacre_span v = nc_span(c->value, c->value_len);
    uint32_t number = 0;
    bool good = v.n > 0 && v.n <= 9;
    for (size_t i = 0; i < v.n && good; i++) {
        good = v.p[i] >= '0' && v.p[i] <= '9';
        number = number * 10 + (uint32_t)(v.p[i] - '0');
    }
    if (c->has_tunnel) {
        return nc_option_refuse(c, "tunnel= stands there twice");
    }
    c->has_tunnel = true;
    if (nc_text_is_nocase(v, "any")) {
        return NACRE_OK;
    }
    c->grant->tunnel = number + 1;
    return good ? NACRE_OK : nc_option_refuse(c, "its tunnel= is not a number");
}

static int apply_nothing(nc_option_check *c)
{
    (void)c;
    return NACRE_OK;
}

static int apply_authority(nc_option_check *c)
{
    c->authority = true;
    return NACRE_OK;
}

static int apply_no_touch(nc_option_check *c)
{
    c->grant->no_touch_required = true;
    return NACRE_OK;
}

/* A plain key cannot show it, and what nothing can fulfil is no way in. */
static int apply_verify(nc_option_check *c)
{
    c->grant->verify_required = true;
    return nacre_key_is_sk(c->key)
               ? NACRE_OK
               : nc_option_refuse(c, "with verify-required, which this key cannot fulfil");
}

/* Each name is compared whole: a comma in a certificate's name makes no two of it. */
static int apply_principals(nc_option_check *c)
{
    nacre_span list = nc_span(c->value, c->value_len);
    if (c->has_principals) {
        return nc_option_refuse(c, "principals= stands there twice");
    }
    c->has_principals = true;
    while (list.n && nacre_key_is_cert(c->key)) {
        const uint8_t *comma = memchr(list.p, ',', list.n);
        size_t n = comma ? (size_t)(comma - list.p) : list.n;
        c->names_principal =
            c->names_principal || (n && nc_cert_has_principal(c->key, nc_span(list.p, n)));
        n += comma ? 1 : 0;
        list = nc_span(list.p + n, list.n - n);
    }
    return NACRE_OK;
}

/* ---- the table ------------------------------------------------------------------------------- */

typedef struct option_row {
    const char *name;
    bool value;           /* needs ="..." */
    uint32_t allow, deny; /* bits of NACRE_MAY_ALL */
    int (*apply)(nc_option_check *c);
} option_row;

static const option_row option_rows[] = {
    {"restrict", false, 0, NACRE_MAY_ALL, apply_nothing},
    {"cert-authority", false, 0, 0, apply_authority},
    {"command", true, 0, 0, apply_command},
    {"environment", true, 0, 0, apply_environment},
    {"from", true, 0, 0, apply_from},
    {"expiry-time", true, 0, 0, apply_expiry},
    {"permitopen", true, 0, 0, apply_permitopen},
    {"permitlisten", true, 0, 0, apply_permitlisten},
    {"principals", true, 0, 0, apply_principals},
    {"tunnel", true, 0, 0, apply_tunnel},
    {"pty", false, NACRE_MAY_PTY, 0, apply_nothing},
    {"no-pty", false, 0, NACRE_MAY_PTY, apply_nothing},
    {"port-forwarding", false, NACRE_MAY_FORWARD_PORT, 0, apply_nothing},
    {"no-port-forwarding", false, 0, NACRE_MAY_FORWARD_PORT, apply_nothing},
    {"agent-forwarding", false, NACRE_MAY_FORWARD_AGENT, 0, apply_nothing},
    {"no-agent-forwarding", false, 0, NACRE_MAY_FORWARD_AGENT, apply_nothing},
    {"X11-forwarding", false, NACRE_MAY_FORWARD_X11, 0, apply_nothing},
    {"no-X11-forwarding", false, 0, NACRE_MAY_FORWARD_X11, apply_nothing},
    {"user-rc", false, NACRE_MAY_USER_RC, 0, apply_nothing},
    {"no-user-rc", false, 0, NACRE_MAY_USER_RC, apply_nothing},
    {"no-touch-required", false, 0, 0, apply_no_touch},
    {"verify-required", false, 0, 0, apply_verify},
};

static const option_row *find_option(nacre_span name)
{
    for (size_t i = 0; i < sizeof(option_rows) / sizeof(option_rows[0]); i++) {
        if (nc_text_is_nocase(name, option_rows[i].name)) {
            return &option_rows[i];
        }
    }
    return NULL;
}

/* ---- the option list ------------------------------------------------------------------------- */

bool nc_options_cut(nacre_span *rest, nacre_span *options)
{
    bool quoted = false;
    size_t i = 0;
    for (; i < rest->n; i++) {
        uint8_t c = rest->p[i];
        if (!quoted && (c == ' ' || c == '\t')) {
            break;
        }
        if (c == '\\' && i + 1 < rest->n && rest->p[i + 1] == '"') {
            i++;
        } else if (c == '"') {
            quoted = !quoted;
        }
    }
    i = i < rest->n ? i : rest->n;
    *options = nc_span(rest->p, i);
    *rest = nc_span(rest->p + i, rest->n - i);
    return !quoted;
}

/* Reads "..." at *s into c->value, where \" stands for a quote; *s moves behind it. */
static bool read_value(nc_option_check *c, nacre_span *s)
{
    c->value_len = 0;
    c->value[0] = '\0';
    if (s->n == 0 || s->p[0] != '"') {
        return false;
    }
    size_t i = 1;
    while (i < s->n && s->p[i] != '"') {
        if (s->p[i] == '\\' && i + 1 < s->n && s->p[i + 1] == '"') {
            i++;
        }
        if (c->value_len + 1 >= sizeof(c->value)) {
            return false;
        }
        c->value[c->value_len++] = (char)s->p[i++];
    }
    c->value[c->value_len] = '\0';
    if (i >= s->n) {
        return false;
    }
    *s = nc_span(s->p + i + 1, s->n - i - 1);
    return true;
}

/* Applies the option at the head of *s, and moves behind it and its comma. */
static int apply_option(nc_option_check *c, nacre_span *s)
{
    size_t n = 0;
    while (n < s->n && s->p[n] != ',' && s->p[n] != '=') {
        n++;
    }
    nacre_span name = nc_span(s->p, n);
    bool equals = n < s->n && s->p[n] == '=';
    n += equals ? 1 : 0;
    *s = nc_span(s->p + n, s->n - n);
    const option_row *row = find_option(name);
    if (!row) {
        return nc_fail(c->why, NACRE_NOT_FOUND,
                       "%s line %u has this %s, but its option %s is not known", c->subject,
                       c->grant->line, c->noun, NC_ESC(name));
    }
    if (row->value != equals || (equals && !read_value(c, s))) {
        return nc_fail(c->why, NACRE_NOT_FOUND,
                       "%s line %u has this %s, but its option %s is malformed (%s)", c->subject,
                       c->grant->line, c->noun, row->name,
                       row->value ? "it takes =\"value\" in quotes" : "it takes no value");
    }
    c->grant->may = (c->grant->may | row->allow) & ~row->deny;
    int rc = row->apply(c);
    if (rc == NACRE_OK && s->n) {
        bool comma = s->p[0] == ',' && s->n > 1;
        *s = nc_span(s->p + 1, s->n - 1);
        rc = comma ? NACRE_OK
                   : nc_option_refuse(c, "a comma of its options stands in a wrong place");
    }
    return rc;
}

int nc_options_apply(nc_option_check *c, nacre_span options, uint32_t number)
{
    memset(c->grant, 0, sizeof(*c->grant));
    c->grant->line = number;
    c->grant->may = NACRE_MAY_ALL;
    c->env_len = c->open_len = c->listen_len = 0;
    c->env_count = 0;
    c->has_command = c->has_from = c->has_tunnel = false;
    c->authority = c->has_principals = c->names_principal = false;
    /* A zero byte would cut a command or a name short wherever it is handled as a C string. */
    if (options.n && memchr(options.p, 0, options.n)) {
        return nc_option_refuse(c, "there is a zero byte in its options");
    }
    while (options.n) {
        int rc = apply_option(c, &options);
        if (rc != NACRE_OK) {
            return rc;
        }
    }
    return NACRE_OK;
}
