/*
 * authorized_keys.c - the authorized_keys format of sshd(8): finds the line that has a key, and
 * applies that line's options.
 *
 * A line is refused when one of its options is unknown, malformed or not to be enforced: an option
 * that is dropped silently is a right that nobody gave. Not here: where the file lies and whether
 * its permissions are good (server), certificates.
 */
#include "nacre/authorized_keys.h"
#include "keys/cert.h"
#include "keys/pattern.h"

#include <string.h>

enum {
    /* Above the length of any forced command or from list that fits its field. */
    MAX_VALUE = 8192,
    /* OpenSSH reads at most this many environment= of a line. */
    MAX_ENVIRONMENT = 1024
};

/* One line under examination. */
typedef struct line_check {
    const nacre_login_facts *facts;
    nacre_key_grant *grant;
    nacre_error *why;
    size_t env_len;
    unsigned env_count;
    bool has_command, has_from;
    bool targets_named;    /* permitopen, permitlisten: holds wherever in the list they stand */
    char value[MAX_VALUE]; /* of the option at hand, unquoted and terminated */
    size_t value_len;
} line_check;

static int refuse(line_check *c, const char *what)
{
    return nc_fail(c->why, NACRE_NOT_FOUND, "authorized_keys line %u has this key, but %s",
                   c->grant->line, what);
}

/* ---- dates ----------------------------------------------------------------------------------- */

static bool two_digits(nacre_span s, size_t at, int max, int *out)
{
    if (at + 2 > s.n || s.p[at] < '0' || s.p[at] > '9' || s.p[at + 1] < '0' || s.p[at + 1] > '9') {
        return false;
    }
    *out = (s.p[at] - '0') * 10 + (s.p[at + 1] - '0');
    return *out <= max;
}

static int days_in_month(int year, int month)
{
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    return month == 2 && leap ? 29 : days[month - 1];
}

/* Days since 1970-01-01 in the Gregorian calendar. */
static int64_t days_since_1970(int year, int month, int day)
{
    int64_t before = year - 1;
    int64_t days = before * 365 + before / 4 - before / 100 + before / 400 - 719162;
    for (int m = 1; m < month; m++) {
        days += days_in_month(year, m);
    }
    return days + day - 1;
}

/* YYYYMMDD[Z], YYYYMMDDHHMM[Z], YYYYMMDDHHMMSS[Z]; Z: UTC, else the local zone. */
static bool parse_date(nacre_span s, int32_t utc_offset, int64_t *out)
{
    int century, year, month, day, hour = 0, minute = 0, second = 0;
    int64_t offset = utc_offset;
    if (s.n && (s.p[s.n - 1] == 'Z' || s.p[s.n - 1] == 'z')) {
        offset = 0;
        s.n--;
    }
    bool good = (s.n == 8 || s.n == 12 || s.n == 14) && two_digits(s, 0, 99, &century) &&
                two_digits(s, 2, 99, &year) && two_digits(s, 4, 12, &month) &&
                two_digits(s, 6, 31, &day) && (s.n < 12 || two_digits(s, 8, 23, &hour)) &&
                (s.n < 12 || two_digits(s, 10, 59, &minute)) &&
                (s.n < 14 || two_digits(s, 12, 59, &second));
    if (!good) {
        return false;
    }
    year += century * 100;
    if (year < 1970 || month < 1 || day < 1 || day > days_in_month(year, month)) {
        return false;
    }
    int64_t days = days_since_1970(year, month, day);
    *out = ((days * 24 + hour) * 60 + minute) * 60 + second - offset;
    return true;
}

/* ---- options with a value -------------------------------------------------------------------- */

static int apply_command(line_check *c)
{
    if (c->has_command) {
        return refuse(c, "command= stands there twice");
    }
    /* An empty command would read as "no command is forced". */
    if (c->value_len == 0 || c->value_len >= sizeof(c->grant->command)) {
        return refuse(c, "its command= is empty or too long");
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
static bool env_has(const line_check *c, const char *name, size_t n)
{
    for (const char *p = c->grant->environment; *p; p += strlen(p) + 1) {
        if (strncmp(p, name, n) == 0 && p[n] == '=') {
            return true;
        }
    }
    return false;
}

static int apply_environment(line_check *c)
{
    const char *equals = strchr(c->value, '=');
    size_t name_len = equals ? (size_t)(equals - c->value) : 0;
    if (!env_name_good(c->value, name_len) || ++c->env_count > MAX_ENVIRONMENT) {
        return refuse(c, "an environment= of it is not NAME=value");
    }
    if (env_has(c, c->value, name_len)) {
        return NACRE_OK;
    }
    /* two zero bytes: its own, and the one that ends them all */
    if (c->value_len + 2 > sizeof(c->grant->environment) - c->env_len) {
        return refuse(c, "its environment= options are too long");
    }
    memcpy(c->grant->environment + c->env_len, c->value, c->value_len + 1);
    c->env_len += c->value_len + 1;
    return NACRE_OK;
}

static int apply_from(line_check *c)
{
    if (c->has_from) {
        return refuse(c, "from= stands there twice");
    }
    c->has_from = true;
    nacre_span address = nc_span_cstr(c->facts->peer_address);
    nacre_span host = nc_span_cstr(c->facts->peer_host);
    switch (nc_peer_list(address, host, nc_span(c->value, c->value_len))) {
    case NC_MATCH_YES:
        return NACRE_OK;
    case NC_MATCH_BAD:
        return refuse(c, "its from= has a malformed address block");
    default:
        return refuse(c, "its from= does not allow this address");
    }
}

static int apply_expiry(line_check *c)
{
    int64_t until = 0;
    if (!parse_date(nc_span(c->value, c->value_len), c->facts->utc_offset, &until) || until <= 0) {
        return refuse(c, "its expiry-time= is not a date (YYYYMMDD[HHMM[SS]][Z])");
    }
    if (c->facts->now_seconds <= 0) {
        return refuse(c, "its expiry-time= cannot be checked without a clock");
    }
    if (c->facts->now_seconds >= until) {
        return refuse(c, "its expiry-time= has passed");
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
    return port_good(port) && (!host_needed || colon > 1);
}

static int apply_permitopen(line_check *c)
{
    c->targets_named = true;
    return target_good(nc_span(c->value, c->value_len), true)
               ? NACRE_OK
               : refuse(c, "a permitopen= of it is not host:port");
}

static int apply_permitlisten(line_check *c)
{
    c->targets_named = true;
    return target_good(nc_span(c->value, c->value_len), false)
               ? NACRE_OK
               : refuse(c, "a permitlisten= of it is not [host:]port");
}

/* Which tunnel device, if any; there are no tunnels, so it narrows nothing. */
static int apply_tunnel(line_check *c)
{
    nacre_span v = nc_span(c->value, c->value_len);
    for (size_t i = 0; i < v.n && !nc_text_is_nocase(v, "any"); i++) {
        if (v.p[i] < '0' || v.p[i] > '9') {
            return refuse(c, "its tunnel= is not a number");
        }
    }
    return v.n ? NACRE_OK : refuse(c, "its tunnel= is empty");
}

static int apply_nothing(line_check *c)
{
    (void)c;
    return NACRE_OK;
}

static int apply_authority(line_check *c)
{
    return refuse(c, "as a certificate authority (cert-authority), not as a key to log in with");
}

static int apply_verify(line_check *c)
{
    return refuse(c, "with verify-required, which this key cannot fulfil");
}

/* ---- the table ------------------------------------------------------------------------------- */

typedef struct option_row {
    const char *name;
    bool value;           /* needs ="..." */
    uint32_t allow, deny; /* bits of NACRE_MAY_ALL */
    int (*apply)(line_check *c);
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
    {"principals", true, 0, 0, apply_nothing},
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
    {"no-touch-required", false, 0, 0, apply_nothing},
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

/* Where the options end: at the first blank outside quotes. False: the quotes do not close. */
static bool cut_options(nacre_span *rest, nacre_span *options)
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
static bool read_value(line_check *c, nacre_span *s)
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
static int apply_option(line_check *c, nacre_span *s)
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
                       "authorized_keys line %u has this key, but its option %s is not known",
                       c->grant->line, NC_ESC(name));
    }
    if (row->value != equals || (equals && !read_value(c, s))) {
        return nc_fail(c->why, NACRE_NOT_FOUND,
                       "authorized_keys line %u has this key, but its option %s is malformed (%s)",
                       c->grant->line, row->name,
                       row->value ? "it takes =\"value\" in quotes" : "it takes no value");
    }
    c->grant->may = (c->grant->may | row->allow) & ~row->deny;
    int rc = row->apply(c);
    if (rc == NACRE_OK && s->n) {
        bool comma = s->p[0] == ',' && s->n > 1;
        *s = nc_span(s->p + 1, s->n - 1);
        rc = comma ? NACRE_OK : refuse(c, "a comma of its options stands in a wrong place");
    }
    return rc;
}

static int apply_options(line_check *c, nacre_span options)
{
    c->grant->may = NACRE_MAY_ALL;
    /* A zero byte would cut a command or a name short wherever it is handled as a C string. */
    if (options.n && memchr(options.p, 0, options.n)) {
        return refuse(c, "there is a zero byte in its options");
    }
    while (options.n) {
        int rc = apply_option(c, &options);
        if (rc != NACRE_OK) {
            return rc;
        }
    }
    return NACRE_OK;
}

/* ---- lines ----------------------------------------------------------------------------------- */

static nacre_span without_padding(nacre_span s)
{
    while (s.n && s.p[s.n - 1] == '=') {
        s.n--;
    }
    return s;
}

/* Base64 of one key is one text, so that nothing need be decoded to find it. */
static bool words_are_key(nacre_span rest, const nacre_key *key, nacre_span base64)
{
    nacre_span type = nc_text_word(&rest);
    nacre_span text = nc_text_word(&rest);
    return nc_span_is(type, nacre_key_type(key)) && nc_span_eq(without_padding(text), base64);
}

/* Whether the line has the key, and the options before it. */
static bool line_has_key(nacre_span line, const nacre_key *key, nacre_span base64,
                         nacre_span *options)
{
    *options = nc_span(line.p, 0);
    if (words_are_key(line, key, base64)) {
        return true;
    }
    nacre_span rest = line;
    return cut_options(&rest, options) && words_are_key(rest, key, base64);
}

static int check_line(line_check *c, nacre_span options, uint32_t number)
{
    memset(c->grant, 0, sizeof(*c->grant));
    c->grant->line = number;
    c->env_len = 0;
    c->env_count = 0;
    c->has_command = false;
    c->has_from = false;
    c->targets_named = false;
    int rc = apply_options(c, options);
    if (c->targets_named) {
        c->grant->may &= ~(uint32_t)NACRE_MAY_FORWARD_PORT;
    }
    return rc;
}

int nacre_authorized_keys_check(nacre_span text, const nacre_key *key,
                                const nacre_login_facts *facts, nacre_key_grant *grant,
                                nacre_error *why)
{
    static const nacre_login_facts no_facts = {0};
    nc_error_clear(why);
    memset(grant, 0, sizeof(*grant));
    /* A line that holds a certificate word for word gives nothing, as with sshd: its limits would be lost. */
    if (nacre_key_is_cert(key)) {
        return nc_fail(why, NACRE_NOT_FOUND, "certificates are not looked up among plain keys");
    }
    const nacre_allocator *a = nc_key_allocator(key);
    nc_buf base64;
    nc_buf_init(&base64, a, 2 * NC_MAX_KEY_BLOB);
    line_check *c = nc_zalloc(a, sizeof(*c));
    int rc = c ? nc_base64_encode(nacre_key_blob(key), &base64) : NACRE_NO_MEMORY;
    if (rc != NACRE_OK) {
        goto done;
    }
    c->facts = facts ? facts : &no_facts;
    c->grant = grant;
    c->why = why;
    nacre_span wanted = without_padding(nc_buf_span(&base64));
    nacre_span line;
    uint32_t number = 0;
    rc = NACRE_NOT_FOUND;
    while (rc == NACRE_NOT_FOUND && nc_text_line(&text, &line)) {
        number++;
        line = nc_text_trim(line);
        nacre_span options;
        if (line.n && line.p[0] != '#' && line_has_key(line, key, wanted, &options)) {
            rc = check_line(c, options, number);
        }
    }
done:
    if (rc == NACRE_OK) {
        nc_error_clear(why); /* an earlier line that was refused no longer matters */
    } else {
        memset(grant, 0, sizeof(*grant));
        nc_fail(why, rc, "no line has this key");
    }
    nc_wipe_free(a, c, sizeof(*c));
    nc_buf_clear(&base64);
    return rc;
}
