/*
 * sshd_special.c - keywords whose values have a form of their own: addresses, limits in parts, people,
 * subsystems; and those that are read and have no effect, or are refused.
 */
#include "server/sshd_config.h"

#include "base/words.h"
#include "keys/pattern.h"
#include "nacre/auth_policy.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

/* A host list that cannot be read would never match: fatal in a Deny list. */
static bool fit_host(const char *person)
{
    const char *at = strrchr(person, '@');
    return !at || nc_peer_list(nc_span_cstr("192.0.2.1"), nc_span(NULL, 0), nc_span_cstr(at + 1)) !=
                      NC_MATCH_BAD;
}

/* Who may come in: "!" would look like an exception and be none. */
int nc_conf_set_people(nacre_sshd_config *c, const nc_conf_row *row, const nc_conf_line *l,
                       nacre_error *err)
{
    for (size_t i = 1; i < l->count; i++) {
        if (l->words[i][0] == '!' || l->words[i][0] == '\0' || !fit_host(l->words[i])) {
            return nc_conf_fail(err, l, NACRE_SYNTAX, "%s does not know \"%s\"", row->name,
                                NC_ESC(nc_span_cstr(l->words[i])));
        }
    }
    return nc_conf_set_list(c, row, l, err);
}

int nc_conf_set_env_list(nacre_sshd_config *c, const nc_conf_row *row, const nc_conf_line *l,
                         nacre_error *err)
{
    for (size_t i = 1; i < l->count; i++) {
        bool pair = strchr(l->words[i], '=') != NULL && l->words[i][0] != '=';
        if (pair != (row->at == NC_CONF_AT(set_env))) {
            return nc_conf_fail(err, l, NACRE_SYNTAX, "%s cannot be \"%s\"", row->name,
                                NC_ESC(nc_span_cstr(l->words[i])));
        }
    }
    return nc_conf_set_list(c, row, l, err);
}

/* ---- setters of their own -------------------------------------------------------------------------------- */

int nc_conf_set_port(nacre_sshd_config *c, const nc_conf_row *row, const nc_conf_line *l,
                     nacre_error *err)
{
    uint32_t port = 0;
    nacre_sshd_settings *s = &c->s;
    if (l->count != 2 || !nc_parse_number(l->words[1], 1, 65535, &port)) {
        return nc_conf_bad_value(err, l, row, "a port is 1 to 65535");
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

int nc_conf_set_listen(nacre_sshd_config *c, const nc_conf_row *row, const nc_conf_line *l,
                       nacre_error *err)
{
    nacre_sshd_settings *s = &c->s;
    char text[256], *host = NULL;
    uint16_t port = 0;
    int rc = nc_conf_only_one(err, l, row); /* routing domains are not */
    if (rc != NACRE_OK) {
        return rc;
    }
    if (s->listen_count == sizeof(s->listen) / sizeof(s->listen[0])) {
        return nc_conf_fail(err, l, NACRE_LIMIT, "too many addresses to listen on");
    }
    int n = snprintf(text, sizeof(text), "%s", l->words[1]);
    if (n < 0 || (size_t)n >= sizeof(text) || !cut_listen(text, &host, &port)) {
        return nc_conf_bad_value(err, l, row, "an address is wanted, with or without a port");
    }
    s->listen[s->listen_count].port = port;
    s->listen[s->listen_count].address = NULL;
    rc = nc_conf_store_text(c, &s->listen[s->listen_count].address, host, l, err);
    s->listen_count += rc == NACRE_OK ? 1 : 0;
    return rc;
}

int nc_conf_set_rekey(nacre_sshd_config *c, const nc_conf_row *row, const nc_conf_line *l,
                      nacre_error *err)
{
    uint64_t bytes = 0;
    uint32_t seconds = 0;
    if (l->count > 3 || !nc_parse_rekey_size(l->words[1], &bytes)) {
        return nc_conf_bad_value(err, l, row, "a size is wanted, as 512M, and perhaps a time");
    }
    if (l->count == 3 && !nc_parse_rekey_time(l->words[2], &seconds)) {
        return nc_conf_fail(err, l, NACRE_SYNTAX, "%s: \"%s\" is not a time", row->name,
                            NC_ESC(nc_span_cstr(l->words[2])));
    }
    c->s.rekey_bytes = bytes;
    c->s.rekey_seconds = seconds;
    c->rekey_time = l->count == 3;
    return NACRE_OK;
}

int nc_conf_set_startups(nacre_sshd_config *c, const nc_conf_row *row, const nc_conf_line *l,
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
    return good ? NACRE_OK
                : nc_conf_bad_value(err, l, row, "start:rate:full is wanted, as 10:30:100");
}

int nc_conf_set_subsystem(nacre_sshd_config *c, const nc_conf_row *row, const nc_conf_line *l,
                          nacre_error *err)
{
    nacre_sshd_settings *s = &c->s;
    if (l->count < 3) {
        return nc_conf_bad_value(err, l, row, "a name and a command are wanted");
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
    int rc = nc_conf_store_text(c, &sub->name, l->words[1], l, err);
    if (rc == NACRE_OK) {
        rc = nc_conf_store_text(c, &sub->command, command, l, err);
    }
    if (rc != NACRE_OK) {
        nc_free(c->alloc, sub->name);
        sub->name = NULL;
        return rc;
    }
    s->subsystem_count++;
    return NACRE_OK;
}

int nc_conf_set_key_files(nacre_sshd_config *c, const nc_conf_row *row, const nc_conf_line *l,
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
    return nc_conf_set_list(c, row, l, err);
}

int nc_conf_set_pam(nacre_sshd_config *c, const nc_conf_row *row, const nc_conf_line *l,
                    nacre_error *err)
{
    int rc = nc_conf_set_choice(c, row, l, err);
    if (rc == NACRE_OK && c->s.use_pam) {
        nc_conf_warn(c, l,
                     "UsePAM is ignored: there is no PAM here, passwords are checked against "
                     "the shadow file");
    }
    return rc;
}

/* ---- what is not there ------------------------------------------------------------------------------------ */

int nc_conf_set_nothing(nacre_sshd_config *c, const nc_conf_row *row, const nc_conf_line *l,
                        nacre_error *err)
{
    (void)c;
    (void)row;
    (void)l;
    (void)err;
    return NACRE_OK;
}

int nc_conf_set_deprecated(nacre_sshd_config *c, const nc_conf_row *row, const nc_conf_line *l,
                           nacre_error *err)
{
    (void)err;
    nc_conf_warn(c, l, "%s has no effect any more", row->name);
    return NACRE_OK;
}

/* Off is what it is anyhow; on cannot be had, and must not seem to be. */
int nc_conf_set_off(nacre_sshd_config *c, const nc_conf_row *row, const nc_conf_line *l,
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

/* Each word is a list; none can be completed by what is not a method. */
int nc_conf_set_methods(nacre_sshd_config *c, const nc_conf_row *row, const nc_conf_line *l,
                        nacre_error *err)
{
    for (size_t i = 1; i < l->count; i++) {
        nacre_error why;
        bool any = strcasecmp(l->words[i], "any") == 0;
        if (any && l->count > 2) {
            return nc_conf_fail(err, l, NACRE_SYNTAX, "%s: \"any\" stands alone", row->name);
        }
        if (any) {
            return NACRE_OK;
        }
        if (nacre_auth_policy_check(l->words[i], &why) != NACRE_OK) {
            return nc_conf_fail(err, l, NACRE_SYNTAX, "%s: %s", row->name, why.text);
        }
    }
    return nc_conf_set_list(c, row, l, err);
}
