/*
 * sshd_keywords.c - the keywords of sshd_config(5): a row each, and what a row's values are.
 *
 * A keyword that would restrict something, and that nothing here enforces, is refused unless it is
 * switched off; one that would only allow or tune what this server does not have is read and forgotten.
 */
#include "server/sshd_config.h"

#include "base/words.h"
#include "keys/pattern.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <syslog.h>

#define AT(field) offsetof(nacre_sshd_settings, field)

static void *field(const nacre_sshd_config *c, const nc_conf_row *row)
{
    return (char *)(uintptr_t)&c->s + row->at;
}

static int bad_value(nacre_error *err, const nc_conf_line *l, const nc_conf_row *row,
                     const char *wanted)
{
    return nc_conf_fail(err, l, NACRE_SYNTAX, "%s cannot be \"%s\": %s", row->name,
                        NC_ESC(nc_span_cstr(l->words[1])), wanted);
}

static int only_one(nacre_error *err, const nc_conf_line *l, const nc_conf_row *row)
{
    return l->count == 2
               ? NACRE_OK
               : nc_conf_fail(err, l, NACRE_SYNTAX, "%s takes one value; \"%s\" is too much",
                              row->name, NC_ESC(nc_span_cstr(l->words[2])));
}

static int store_text(nacre_sshd_config *c, char **to, const char *text, const nc_conf_line *l,
                      nacre_error *err)
{
    char *copy = nc_strdup(c->alloc, text);
    if (!copy) {
        return nc_conf_fail(err, l, NACRE_NO_MEMORY, "out of memory");
    }
    nc_free(c->alloc, *to);
    *to = copy;
    return NACRE_OK;
}

int nc_conf_list_add(nacre_sshd_config *c, nacre_sshd_list *list, const char *item)
{
    if (list->count >= NC_CONF_MAX_LIST) {
        return NACRE_LIMIT;
    }
    char **grown = nc_resize(c->alloc, list->items, (list->count + 1) * sizeof(*grown));
    if (!grown) {
        return NACRE_NO_MEMORY;
    }
    list->items = grown;
    grown[list->count] = nc_strdup(c->alloc, item);
    if (!grown[list->count]) {
        return NACRE_NO_MEMORY;
    }
    list->count++;
    return NACRE_OK;
}

/* ---- setters: choices, numbers, texts ------------------------------------------------------------------- */

static const nc_conf_choice yes_no[] = {
    {"yes", 1}, {"no", 0}, {"true", 1}, {"false", 0}, {NULL, 0}};
static const nc_conf_choice families[] = {{"any", 0}, {"inet", 4}, {"inet6", 6}, {NULL, 0}};
static const nc_conf_choice compressions[] = {{"yes", 1}, {"delayed", 1}, {"no", 0}, {NULL, 0}};
static const nc_conf_choice roots[] = {{"yes", NACRE_ROOT_YES},
                                       {"no", NACRE_ROOT_NO},
                                       {"prohibit-password", NACRE_ROOT_PROHIBIT_PASSWORD},
                                       {"without-password", NACRE_ROOT_PROHIBIT_PASSWORD},
                                       {"forced-commands-only", NACRE_ROOT_FORCED_COMMANDS},
                                       {NULL, 0}};
static const nc_conf_choice levels[] = {{"quiet", 0},   {"fatal", 1}, {"error", 2},  {"info", 3},
                                        {"verbose", 4}, {"debug", 5}, {"debug1", 5}, {"debug2", 6},
                                        {"debug3", 7},  {NULL, 0}};
static const nc_conf_choice facilities[] = {{"daemon", LOG_DAEMON},
                                            {"user", LOG_USER},
                                            {"auth", LOG_AUTH},
                                            {"authpriv", LOG_AUTHPRIV},
                                            {"local0", LOG_LOCAL0},
                                            {"local1", LOG_LOCAL1},
                                            {"local2", LOG_LOCAL2},
                                            {"local3", LOG_LOCAL3},
                                            {"local4", LOG_LOCAL4},
                                            {"local5", LOG_LOCAL5},
                                            {"local6", LOG_LOCAL6},
                                            {"local7", LOG_LOCAL7},
                                            {NULL, 0}};

static int set_choice(nacre_sshd_config *c, const nc_conf_row *row, const nc_conf_line *l,
                      nacre_error *err)
{
    int rc = only_one(err, l, row);
    for (const nc_conf_choice *o = row->choices; rc == NACRE_OK && o->name; o++) {
        if (strcasecmp(o->name, l->words[1]) == 0) {
            *(int *)field(c, row) = o->value;
            return NACRE_OK;
        }
    }
    if (rc != NACRE_OK) {
        return rc;
    }
    char names[256];
    size_t n = 0;
    for (const nc_conf_choice *o = row->choices; o->name && n < sizeof(names); o++) {
        int put = snprintf(names + n, sizeof(names) - n, "%s%s", n ? ", " : "", o->name);
        n += put > 0 ? (size_t)put : 0;
    }
    return bad_value(err, l, row, names);
}

static int set_number(nacre_sshd_config *c, const nc_conf_row *row, const nc_conf_line *l,
                      nacre_error *err)
{
    int rc = only_one(err, l, row);
    if (rc == NACRE_OK && !nc_parse_number(l->words[1], row->min, row->max, field(c, row))) {
        rc = bad_value(err, l, row, "a number in its limits is wanted");
    }
    return rc;
}

static int set_time(nacre_sshd_config *c, const nc_conf_row *row, const nc_conf_line *l,
                    nacre_error *err)
{
    int rc = only_one(err, l, row);
    if (rc == NACRE_OK && !nc_parse_time(l->words[1], field(c, row))) {
        rc = bad_value(err, l, row, "a time is wanted, as 90, 2m or 1h30m");
    }
    return rc;
}

static int set_text(nacre_sshd_config *c, const nc_conf_row *row, const nc_conf_line *l,
                    nacre_error *err)
{
    int rc = only_one(err, l, row);
    return rc == NACRE_OK ? store_text(c, field(c, row), l->words[1], l, err) : rc;
}

/* "none" is the absence of a text. */
static int set_text_or_none(nacre_sshd_config *c, const nc_conf_row *row, const nc_conf_line *l,
                            nacre_error *err)
{
    int rc = only_one(err, l, row);
    if (rc != NACRE_OK || strcasecmp(l->words[1], "none") == 0) {
        return rc;
    }
    return store_text(c, field(c, row), l->words[1], l, err);
}

/* The rest of the line as it stands: a command for a shell. */
static int set_command(nacre_sshd_config *c, const nc_conf_row *row, const nc_conf_line *l,
                       nacre_error *err)
{
    if (strcasecmp(l->rest, "none") == 0) {
        return NACRE_OK;
    }
    return store_text(c, field(c, row), l->rest, l, err);
}

static int set_list(nacre_sshd_config *c, const nc_conf_row *row, const nc_conf_line *l,
                    nacre_error *err)
{
    int rc = NACRE_OK;
    for (size_t i = 1; rc == NACRE_OK && i < l->count; i++) {
        rc = nc_conf_list_add(c, field(c, row), l->words[i]);
    }
    return rc == NACRE_OK ? rc : nc_conf_fail(err, l, rc, "the list of %s is too long", row->name);
}

/* A host list that cannot be read would never match: fatal in a Deny list. */
static bool fit_host(const char *person)
{
    const char *at = strrchr(person, '@');
    return !at || nc_peer_list(nc_span_cstr("192.0.2.1"), nc_span(NULL, 0), nc_span_cstr(at + 1)) !=
                      NC_MATCH_BAD;
}

/* Who may come in: "!" would look like an exception and be none. */
static int set_people(nacre_sshd_config *c, const nc_conf_row *row, const nc_conf_line *l,
                      nacre_error *err)
{
    for (size_t i = 1; i < l->count; i++) {
        if (l->words[i][0] == '!' || l->words[i][0] == '\0' || !fit_host(l->words[i])) {
            return nc_conf_fail(err, l, NACRE_SYNTAX, "%s does not know \"%s\"", row->name,
                                NC_ESC(nc_span_cstr(l->words[i])));
        }
    }
    return set_list(c, row, l, err);
}

static int set_env_list(nacre_sshd_config *c, const nc_conf_row *row, const nc_conf_line *l,
                        nacre_error *err)
{
    for (size_t i = 1; i < l->count; i++) {
        bool pair = strchr(l->words[i], '=') != NULL && l->words[i][0] != '=';
        if (pair != (row->at == AT(set_env))) {
            return nc_conf_fail(err, l, NACRE_SYNTAX, "%s cannot be \"%s\"", row->name,
                                NC_ESC(nc_span_cstr(l->words[i])));
        }
    }
    return set_list(c, row, l, err);
}

/* ---- setters of their own -------------------------------------------------------------------------------- */

static int set_port(nacre_sshd_config *c, const nc_conf_row *row, const nc_conf_line *l,
                    nacre_error *err)
{
    uint32_t port = 0;
    nacre_sshd_settings *s = &c->s;
    if (l->count != 2 || !nc_parse_number(l->words[1], 1, 65535, &port)) {
        return bad_value(err, l, row, "a port is 1 to 65535");
    }
    if (s->port_count == sizeof(s->ports) / sizeof(s->ports[0])) {
        return nc_conf_fail(err, l, NACRE_LIMIT, "too many ports");
    }
    s->ports[s->port_count++] = (uint16_t)port;
    return NACRE_OK;
}

/* "host", "host:port", "[host]:port", and IPv6 without brackets when no port is meant. */
static bool cut_listen(char *text, char **host, uint16_t *port)
{
    char *colon = NULL;
    uint32_t number = 0;
    *host = text;
    *port = 0;
    if (text[0] == '[') {
        char *end = strchr(text, ']');
        if (!end || (end[1] != '\0' && end[1] != ':')) {
            return false;
        }
        *host = text + 1;
        colon = end[1] ? end + 1 : NULL;
        *end = '\0';
    } else {
        colon = strchr(text, ':');
        colon = colon && !strchr(colon + 1, ':') ? colon : NULL;
    }
    if (!colon) {
        return (*host)[0] != '\0';
    }
    *colon = '\0';
    if (!nc_parse_number(colon + 1, 1, 65535, &number)) {
        return false;
    }
    *port = (uint16_t)number;
    return (*host)[0] != '\0';
}

static int set_listen(nacre_sshd_config *c, const nc_conf_row *row, const nc_conf_line *l,
                      nacre_error *err)
{
    nacre_sshd_settings *s = &c->s;
    char text[256], *host = NULL;
    uint16_t port = 0;
    int rc = only_one(err, l, row); /* routing domains are not */
    if (rc != NACRE_OK) {
        return rc;
    }
    if (s->listen_count == sizeof(s->listen) / sizeof(s->listen[0])) {
        return nc_conf_fail(err, l, NACRE_LIMIT, "too many addresses to listen on");
    }
    int n = snprintf(text, sizeof(text), "%s", l->words[1]);
    if (n < 0 || (size_t)n >= sizeof(text) || !cut_listen(text, &host, &port)) {
        return bad_value(err, l, row, "an address is wanted, with or without a port");
    }
    s->listen[s->listen_count].port = port;
    s->listen[s->listen_count].address = NULL;
    rc = store_text(c, &s->listen[s->listen_count].address, host, l, err);
    s->listen_count += rc == NACRE_OK ? 1 : 0;
    return rc;
}

static int set_rekey(nacre_sshd_config *c, const nc_conf_row *row, const nc_conf_line *l,
                     nacre_error *err)
{
    uint64_t bytes = 0;
    uint32_t seconds = 0;
    if (l->count > 3 || !nc_parse_rekey_size(l->words[1], &bytes)) {
        return bad_value(err, l, row, "a size is wanted, as 512M, and perhaps a time");
    }
    if (l->count == 3 && !nc_parse_rekey_time(l->words[2], &seconds)) {
        return nc_conf_fail(err, l, NACRE_SYNTAX, "%s: \"%s\" is not a time", row->name,
                            NC_ESC(nc_span_cstr(l->words[2])));
    }
    c->s.rekey_bytes = bytes;
    c->s.rekey_seconds = seconds;
    return NACRE_OK;
}

static int set_startups(nacre_sshd_config *c, const nc_conf_row *row, const nc_conf_line *l,
                        nacre_error *err)
{
    char text[64];
    int n = snprintf(text, sizeof(text), "%s", l->words[1]);
    char *rate = strchr(text, ':');
    char *full = rate ? strchr(rate + 1, ':') : NULL;
    nacre_sshd_settings *s = &c->s;
    bool good = l->count == 2 && n > 0 && (size_t)n < sizeof(text) && !rate == !full;
    if (rate && full) {
        *rate++ = *full++ = '\0';
    }
    good = good && nc_parse_number(text, 1, INT32_MAX, &s->startups_begin);
    s->startups_rate = 100;
    s->startups_full = s->startups_begin;
    good = good && (!rate || nc_parse_number(rate, 1, 100, &s->startups_rate)) &&
           (!full || nc_parse_number(full, 1, INT32_MAX, &s->startups_full)) &&
           s->startups_begin <= s->startups_full;
    return good ? NACRE_OK : bad_value(err, l, row, "start:rate:full is wanted, as 10:30:100");
}

static int set_subsystem(nacre_sshd_config *c, const nc_conf_row *row, const nc_conf_line *l,
                         nacre_error *err)
{
    nacre_sshd_settings *s = &c->s;
    if (l->count < 3) {
        return bad_value(err, l, row, "a name and a command are wanted");
    }
    for (size_t i = 0; i < s->subsystem_count; i++) {
        if (strcmp(s->subsystems[i].name, l->words[1]) == 0) {
            return NACRE_OK; /* the first one counts */
        }
    }
    if (s->subsystem_count == sizeof(s->subsystems) / sizeof(s->subsystems[0])) {
        return nc_conf_fail(err, l, NACRE_LIMIT, "too many subsystems");
    }
    nacre_sshd_subsystem *sub = &s->subsystems[s->subsystem_count];
    const char *command = l->rest;
    /* The raw text behind the name, which may stand in quotes. */
    char quote = *command == '"' || *command == '\'' ? *command++ : '\0';
    command += quote ? strcspn(command, quote == '"' ? "\"" : "'") + 1 : strcspn(command, " \t");
    command += strspn(command, " \t");
    sub->name = sub->command = NULL;
    int rc = store_text(c, &sub->name, l->words[1], l, err);
    if (rc == NACRE_OK) {
        rc = store_text(c, &sub->command, command, l, err);
    }
    if (rc != NACRE_OK) {
        nc_free(c->alloc, sub->name);
        sub->name = NULL;
        return rc;
    }
    s->subsystem_count++;
    return NACRE_OK;
}

static int set_key_files(nacre_sshd_config *c, const nc_conf_row *row, const nc_conf_line *l,
                         nacre_error *err)
{
    char path[4096];
    if (l->count == 2 && strcasecmp(l->words[1], "none") == 0) {
        return NACRE_OK;
    }
    for (size_t i = 1; i < l->count; i++) {
        if (nacre_sshd_expand_path(l->words[i], "u", "/h", 0, path, sizeof(path)) != NACRE_OK) {
            return nc_conf_fail(err, l, NACRE_SYNTAX, "%s: \"%s\" has a token that is not known",
                                row->name, NC_ESC(nc_span_cstr(l->words[i])));
        }
    }
    return set_list(c, row, l, err);
}

static int set_pam(nacre_sshd_config *c, const nc_conf_row *row, const nc_conf_line *l,
                   nacre_error *err)
{
    int rc = set_choice(c, row, l, err);
    if (rc == NACRE_OK && c->s.use_pam) {
        nc_conf_warn(c, l,
                     "UsePAM is ignored: there is no PAM here, passwords are checked against "
                     "the shadow file");
    }
    return rc;
}

/* ---- what is not there ------------------------------------------------------------------------------------ */

static int set_nothing(nacre_sshd_config *c, const nc_conf_row *row, const nc_conf_line *l,
                       nacre_error *err)
{
    (void)c;
    (void)row;
    (void)l;
    (void)err;
    return NACRE_OK;
}

static int set_deprecated(nacre_sshd_config *c, const nc_conf_row *row, const nc_conf_line *l,
                          nacre_error *err)
{
    (void)err;
    nc_conf_warn(c, l, "%s has no effect any more", row->name);
    return NACRE_OK;
}

/* Off is what it is anyhow; on cannot be had, and must not seem to be. */
static int set_off(nacre_sshd_config *c, const nc_conf_row *row, const nc_conf_line *l,
                   nacre_error *err)
{
    (void)c;
    if (l->count == 2 &&
        (strcasecmp(l->words[1], "no") == 0 || strcasecmp(l->words[1], "none") == 0)) {
        return NACRE_OK;
    }
    return nc_conf_fail(err, l, NACRE_UNSUPPORTED,
                        "%s is not supported by this server; only \"no\" or \"none\" is possible",
                        row->name);
}

static int set_methods(nacre_sshd_config *c, const nc_conf_row *row, const nc_conf_line *l,
                       nacre_error *err)
{
    (void)c;
    if (l->count == 2 && strcasecmp(l->words[1], "any") == 0) {
        return NACRE_OK;
    }
    return nc_conf_fail(err, l, NACRE_UNSUPPORTED,
                        "%s is not supported by this server; only \"any\" is possible", row->name);
}

static int set_match(nacre_sshd_config *c, const nc_conf_row *row, const nc_conf_line *l,
                     nacre_error *err)
{
    (void)c;
    (void)row;
    return nc_conf_fail(err, l, NACRE_UNSUPPORTED,
                        "Match blocks are not supported by this server; what stands in one would "
                        "hold for everybody or nobody");
}

/* ---- showing ------------------------------------------------------------------------------------------------ */

typedef void (*line_fn)(void *user, const char *text);

static void say(const nc_conf_row *row, const char *value, line_fn line, void *user)
{
    char text[4608], name[64];
    size_t n = 0;
    for (; row->name[n] && n + 1 < sizeof(name); n++) {
        char ch = row->name[n];
        name[n] = ch >= 'A' && ch <= 'Z' ? (char)(ch + 32) : ch;
    }
    name[n] = '\0';
    (void)snprintf(text, sizeof(text), "%s %s", name, value);
    line(user, text);
}

static void print_choice(const nacre_sshd_config *c, const nc_conf_row *row, line_fn line,
                         void *user)
{
    for (const nc_conf_choice *o = row->choices; o->name; o++) {
        if (o->value == *(const int *)field(c, row)) {
            say(row, o->name, line, user);
            return;
        }
    }
}

static void print_number(const nacre_sshd_config *c, const nc_conf_row *row, line_fn line,
                         void *user)
{
    char text[32];
    (void)snprintf(text, sizeof(text), "%lu", (unsigned long)*(const uint32_t *)field(c, row));
    say(row, text, line, user);
}

static void print_text(const nacre_sshd_config *c, const nc_conf_row *row, line_fn line, void *user)
{
    const char *text = *(char *const *)field(c, row);
    say(row, text ? text : "none", line, user);
}

/* Algorithm lists are the library's unless they were configured. */
static void print_algorithms(const nacre_sshd_config *c, const nc_conf_row *row, line_fn line,
                             void *user)
{
    if (*(char *const *)field(c, row)) {
        print_text(c, row, line, user);
    }
}

static void print_list(const nacre_sshd_config *c, const nc_conf_row *row, line_fn line, void *user)
{
    const nacre_sshd_list *list = field(c, row);
    for (size_t i = 0; i < list->count; i++) {
        say(row, list->items[i], line, user);
    }
}

/* Where one line says all. */
static void print_words(const nacre_sshd_config *c, const nc_conf_row *row, line_fn line,
                        void *user)
{
    const nacre_sshd_list *list = field(c, row);
    char text[4400] = "";
    size_t n = 0;
    for (size_t i = 0; i < list->count && n < sizeof(text); i++) {
        int put = snprintf(text + n, sizeof(text) - n, "%s%s", i ? " " : "", list->items[i]);
        n += put > 0 ? (size_t)put : 0;
    }
    if (row->at == AT(authorized_keys_files) || n > 0) {
        say(row, n > 0 ? text : "none", line, user);
    }
}

static void print_ports(const nacre_sshd_config *c, const nc_conf_row *row, line_fn line,
                        void *user)
{
    char text[16];
    for (size_t i = 0; i < c->s.port_count; i++) {
        (void)snprintf(text, sizeof(text), "%u", c->s.ports[i]);
        say(row, text, line, user);
    }
}

static void print_listen(const nacre_sshd_config *c, const nc_conf_row *row, line_fn line,
                         void *user)
{
    char text[300];
    const nacre_sshd_settings *s = &c->s;
    for (size_t i = 0; i < s->listen_count; i++) {
        for (size_t p = 0; p < (s->listen[i].port ? 1 : s->port_count); p++) {
            uint16_t port = s->listen[i].port ? s->listen[i].port : s->ports[p];
            bool v6 = strchr(s->listen[i].address, ':') != NULL;
            (void)snprintf(text, sizeof(text), v6 ? "[%s]:%u" : "%s:%u", s->listen[i].address,
                           port);
            say(row, text, line, user);
        }
    }
}

static void print_rekey(const nacre_sshd_config *c, const nc_conf_row *row, line_fn line,
                        void *user)
{
    char text[64];
    (void)snprintf(text, sizeof(text), "%llu %lu", (unsigned long long)c->s.rekey_bytes,
                   (unsigned long)c->s.rekey_seconds);
    say(row, text, line, user);
}

static void print_startups(const nacre_sshd_config *c, const nc_conf_row *row, line_fn line,
                           void *user)
{
    char text[64];
    (void)snprintf(text, sizeof(text), "%lu:%lu:%lu", (unsigned long)c->s.startups_begin,
                   (unsigned long)c->s.startups_rate, (unsigned long)c->s.startups_full);
    say(row, text, line, user);
}

static void print_subsystems(const nacre_sshd_config *c, const nc_conf_row *row, line_fn line,
                             void *user)
{
    char text[4400];
    for (size_t i = 0; i < c->s.subsystem_count; i++) {
        (void)snprintf(text, sizeof(text), "%s %s", c->s.subsystems[i].name,
                       c->s.subsystems[i].command);
        say(row, text, line, user);
    }
}

/* ---- the table ------------------------------------------------------------------------------------------------ */

/* clang-format off */
#define YES_NO(name, member)       {name, set_choice, print_choice, AT(member), yes_no, 0, 0, false}
#define CHOICE(name, member, of)   {name, set_choice, print_choice, AT(member), of, 0, 0, false}
#define NUMBER(name, member, a, b) {name, set_number, print_number, AT(member), NULL, a, b, false}
#define TIME(name, member)         {name, set_time, print_number, AT(member), NULL, 0, 0, false}
#define ALGORITHMS(name, member)   {name, set_text, print_algorithms, AT(member), NULL, 0, 0, false}
#define TEXT(name, member)         {name, set_text_or_none, print_text, AT(member), NULL, 0, 0, false}
#define ADDS(name, member, fn)     {name, fn, print_list, AT(member), NULL, 0, 0, true}
#define FORGOTTEN(name)            {name, set_nothing, NULL, 0, NULL, 0, 0, true}
#define DEPRECATED(name)           {name, set_deprecated, NULL, 0, NULL, 0, 0, true}
#define OFF(name)                  {name, set_off, NULL, 0, NULL, 0, 0, true}

const nc_conf_row nc_conf_rows[] = {
    {"Port", set_port, print_ports, 0, NULL, 0, 0, true},
    CHOICE("AddressFamily", family, families),
    {"ListenAddress", set_listen, print_listen, 0, NULL, 0, 0, true},
    ADDS("HostKey", host_keys, set_list),
    ALGORITHMS("HostKeyAlgorithms", host_key_algorithms),
    ALGORITHMS("KexAlgorithms", kex),
    ALGORITHMS("Ciphers", ciphers),
    ALGORITHMS("MACs", macs),
    ALGORITHMS("PubkeyAcceptedAlgorithms", pubkey_algorithms),
    CHOICE("Compression", compression, compressions),
    {"RekeyLimit", set_rekey, print_rekey, 0, NULL, 0, 0, false},
    TIME("LoginGraceTime", login_grace_seconds),
    NUMBER("MaxAuthTries", max_auth_tries, 1, 1000000),
    NUMBER("MaxSessions", max_sessions, 0, 1000000),
    {"MaxStartups", set_startups, print_startups, 0, NULL, 0, 0, false},
    CHOICE("PermitRootLogin", permit_root, roots),
    YES_NO("PasswordAuthentication", password_authentication),
    YES_NO("KbdInteractiveAuthentication", interactive_authentication),
    YES_NO("PubkeyAuthentication", pubkey_authentication),
    OFF("PermitEmptyPasswords"),
    {"AuthorizedKeysFile", set_key_files, print_words, AT(authorized_keys_files), NULL, 0, 0, false},
    YES_NO("StrictModes", strict_modes),
    ADDS("AcceptEnv", accept_env, set_env_list),
    {"SetEnv", set_env_list, print_words, AT(set_env), NULL, 0, 0, false},
    YES_NO("PermitTTY", permit_tty),
    YES_NO("PermitUserEnvironment", permit_user_environment),
    {"Subsystem", set_subsystem, print_subsystems, 0, NULL, 0, 0, true},
    {"ForceCommand", set_command, print_text, AT(force_command), NULL, 0, 0, false},
    TEXT("Banner", banner),
    TEXT("PidFile", pid_file),
    TEXT("ModuliFile", moduli_file),
    CHOICE("LogLevel", log_level, levels),
    CHOICE("SyslogFacility", log_facility, facilities),
    {"UsePAM", set_pam, print_choice, AT(use_pam), yes_no, 0, 0, false},
    YES_NO("PrintMotd", print_motd),
    YES_NO("PrintLastLog", print_last_log),
    YES_NO("TCPKeepAlive", tcp_keepalive),
    TIME("ClientAliveInterval", alive_interval_seconds),
    NUMBER("ClientAliveCountMax", alive_count_max, 0, INT32_MAX),
    NUMBER("RequiredRSASize", required_rsa_bits, 1024, 16384),
    ADDS("AllowUsers", allow_users, set_people),
    ADDS("DenyUsers", deny_users, set_people),
    ADDS("AllowGroups", allow_groups, set_people),
    ADDS("DenyGroups", deny_groups, set_people),
    {"Include", nc_conf_include, NULL, 0, NULL, 0, 0, true},
    {"Match", set_match, NULL, 0, NULL, 0, 0, true},
    {"AuthenticationMethods", set_methods, NULL, 0, NULL, 0, 0, true},
    /* Restrictions and methods that are not here: only their absence can be had. */
    OFF("AuthorizedKeysCommand"), OFF("AuthorizedPrincipalsCommand"), OFF("AuthorizedPrincipalsFile"),
    OFF("ChannelTimeout"), OFF("ChrootDirectory"), OFF("ExposeAuthInfo"), OFF("GSSAPIAuthentication"),
    OFF("GSSAPIKeyExchange"), OFF("HostbasedAuthentication"), OFF("HostCertificate"), OFF("HostKeyAgent"),
    OFF("KerberosAuthentication"), OFF("PerSourceMaxStartups"), OFF("PerSourcePenalties"),
    OFF("PubkeyAuthOptions"), OFF("RDomain"), OFF("RefuseConnection"), OFF("RevokedKeys"),
    OFF("TrustedUserCAKeys"), OFF("UnusedConnectionTimeout"), OFF("VersionAddendum"),
    /* They tune or limit what is not offered at all, or not looked at. */
    FORGOTTEN("AllowAgentForwarding"), FORGOTTEN("AllowStreamLocalForwarding"),
    FORGOTTEN("AllowTcpForwarding"), FORGOTTEN("AuthorizedKeysCommandUser"),
    FORGOTTEN("AuthorizedPrincipalsCommandUser"), FORGOTTEN("CASignatureAlgorithms"),
    FORGOTTEN("DebianBanner"), FORGOTTEN("DisableForwarding"), FORGOTTEN("FingerprintHash"),
    FORGOTTEN("GatewayPorts"), FORGOTTEN("GSSAPICleanupCredentials"),
    FORGOTTEN("GSSAPIStrictAcceptorCheck"), FORGOTTEN("HostbasedAcceptedAlgorithms"),
    FORGOTTEN("HostbasedUsesNameFromPacketOnly"), FORGOTTEN("IgnoreRhosts"),
    FORGOTTEN("IgnoreUserKnownHosts"), FORGOTTEN("IPQoS"), FORGOTTEN("KerberosGetAFSToken"),
    FORGOTTEN("KerberosOrLocalPasswd"), FORGOTTEN("KerberosTicketCleanup"), FORGOTTEN("LogVerbose"),
    FORGOTTEN("PermitListen"), FORGOTTEN("PermitOpen"), FORGOTTEN("PermitTunnel"),
    FORGOTTEN("PermitUserRC"), FORGOTTEN("PerSourceNetBlockSize"),
    FORGOTTEN("PerSourcePenaltyExemptList"), FORGOTTEN("SecurityKeyProvider"),
    FORGOTTEN("StreamLocalBindMask"), FORGOTTEN("StreamLocalBindUnlink"), FORGOTTEN("UseDNS"),
    FORGOTTEN("X11DisplayOffset"), FORGOTTEN("X11Forwarding"), FORGOTTEN("X11UseLocalhost"),
    FORGOTTEN("XAuthLocation"),
    DEPRECATED("KeyRegenerationInterval"), DEPRECATED("Protocol"), DEPRECATED("RhostsRSAAuthentication"),
    DEPRECATED("RSAAuthentication"), DEPRECATED("ServerKeyBits"), DEPRECATED("UseLogin"),
    DEPRECATED("UsePrivilegeSeparation"),
};
/* clang-format on */
const size_t nc_conf_row_count = sizeof(nc_conf_rows) / sizeof(nc_conf_rows[0]);
_Static_assert(sizeof(nc_conf_rows) / sizeof(nc_conf_rows[0]) <= NC_CONF_ROWS,
               "more rows than marks");
