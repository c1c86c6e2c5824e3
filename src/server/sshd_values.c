/*
 * sshd_values.c - values as many keywords have them: one of some words, a number, a time, a text, a list.
 */
#include "server/sshd_config.h"

#include "base/words.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <syslog.h>

void *nc_conf_field(const nacre_sshd_config *c, const nc_conf_row *row)
{
    return (char *)(uintptr_t)&c->s + row->at;
}

int nc_conf_bad_value(nacre_error *err, const nc_conf_line *l, const nc_conf_row *row,
                      const char *wanted)
{
    return nc_conf_fail(err, l, NACRE_SYNTAX, "%s cannot be \"%s\": %s", row->name,
                        NC_ESC(nc_span_cstr(l->words[1])), wanted);
}

int nc_conf_only_one(nacre_error *err, const nc_conf_line *l, const nc_conf_row *row)
{
    return l->count == 2
               ? NACRE_OK
               : nc_conf_fail(err, l, NACRE_SYNTAX, "%s takes one value; \"%s\" is too much",
                              row->name, NC_ESC(nc_span_cstr(l->words[2])));
}

int nc_conf_store_text(nacre_sshd_config *c, char **to, const char *text, const nc_conf_line *l,
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

const nc_conf_choice nc_conf_yes_no[] = {
    {"yes", 1}, {"no", 0}, {"true", 1}, {"false", 0}, {NULL, 0}};
const nc_conf_choice nc_conf_families[] = {{"any", 0}, {"inet", 4}, {"inet6", 6}, {NULL, 0}};
const nc_conf_choice nc_conf_compressions[] = {{"yes", 1}, {"delayed", 1}, {"no", 0}, {NULL, 0}};
/* The first name of a value is the one that -T prints, as sshd's does. */
const nc_conf_choice nc_conf_roots[] = {{"yes", NACRE_ROOT_YES},
                                        {"no", NACRE_ROOT_NO},
                                        {"without-password", NACRE_ROOT_PROHIBIT_PASSWORD},
                                        {"prohibit-password", NACRE_ROOT_PROHIBIT_PASSWORD},
                                        {"forced-commands-only", NACRE_ROOT_FORCED_COMMANDS},
                                        {NULL, 0}};
const nc_conf_choice nc_conf_levels[] = {{"QUIET", 0},   {"FATAL", 1}, {"ERROR", 2},  {"INFO", 3},
                                         {"VERBOSE", 4}, {"DEBUG", 5}, {"DEBUG1", 5}, {"DEBUG2", 6},
                                         {"DEBUG3", 7},  {NULL, 0}};
const nc_conf_choice nc_conf_facilities[] = {{"DAEMON", LOG_DAEMON},
                                             {"USER", LOG_USER},
                                             {"AUTH", LOG_AUTH},
                                             {"AUTHPRIV", LOG_AUTHPRIV},
                                             {"LOCAL0", LOG_LOCAL0},
                                             {"LOCAL1", LOG_LOCAL1},
                                             {"LOCAL2", LOG_LOCAL2},
                                             {"LOCAL3", LOG_LOCAL3},
                                             {"LOCAL4", LOG_LOCAL4},
                                             {"LOCAL5", LOG_LOCAL5},
                                             {"LOCAL6", LOG_LOCAL6},
                                             {"LOCAL7", LOG_LOCAL7},
                                             {NULL, 0}};
const nc_conf_choice nc_conf_rhosts[] = {{"yes", 1},   {"no", 0},          {"true", 1},
                                         {"false", 0}, {"shosts-only", 2}, {NULL, 0}};
const nc_conf_choice nc_conf_forwards[] = {{"yes", NACRE_ALLOW_LOCAL | NACRE_ALLOW_REMOTE},
                                           {"all", NACRE_ALLOW_LOCAL | NACRE_ALLOW_REMOTE},
                                           {"no", 0},
                                           {"local", NACRE_ALLOW_LOCAL},
                                           {"remote", NACRE_ALLOW_REMOTE},
                                           {NULL, 0}};
const nc_conf_choice nc_conf_gateways[] = {
    {"yes", 1}, {"no", 0}, {"clientspecified", 2}, {NULL, 0}};
const nc_conf_choice nc_conf_tunnels[] = {
    {"yes", 3}, {"no", 0}, {"point-to-point", 1}, {"ethernet", 2}, {NULL, 0}};
const nc_conf_choice nc_conf_hashes[] = {{"SHA256", 0}, {"MD5", 1}, {NULL, 0}};

int nc_conf_set_choice(nacre_sshd_config *c, const nc_conf_row *row, const nc_conf_line *l,
                       nacre_error *err)
{
    int rc = nc_conf_only_one(err, l, row);
    for (const nc_conf_choice *o = row->choices; rc == NACRE_OK && o->name; o++) {
        if (strcasecmp(o->name, l->words[1]) == 0) {
            *(int *)nc_conf_field(c, row) = o->value;
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
    return nc_conf_bad_value(err, l, row, names);
}

int nc_conf_set_number(nacre_sshd_config *c, const nc_conf_row *row, const nc_conf_line *l,
                       nacre_error *err)
{
    int rc = nc_conf_only_one(err, l, row);
    if (rc == NACRE_OK &&
        !nc_parse_number(l->words[1], row->min, row->max, nc_conf_field(c, row))) {
        rc = nc_conf_bad_value(err, l, row, "a number in its limits is wanted");
    }
    return rc;
}

int nc_conf_set_time(nacre_sshd_config *c, const nc_conf_row *row, const nc_conf_line *l,
                     nacre_error *err)
{
    int rc = nc_conf_only_one(err, l, row);
    if (rc == NACRE_OK && !nc_parse_time(l->words[1], nc_conf_field(c, row))) {
        rc = nc_conf_bad_value(err, l, row, "a time is wanted, as 90, 2m or 1h30m");
    }
    return rc;
}

int nc_conf_set_time_or_none(nacre_sshd_config *c, const nc_conf_row *row, const nc_conf_line *l,
                             nacre_error *err)
{
    return l->count == 2 && strcasecmp(l->words[1], "none") == 0 ? NACRE_OK
                                                                 : nc_conf_set_time(c, row, l, err);
}

int nc_conf_set_text(nacre_sshd_config *c, const nc_conf_row *row, const nc_conf_line *l,
                     nacre_error *err)
{
    int rc = nc_conf_only_one(err, l, row);
    return rc == NACRE_OK ? nc_conf_store_text(c, nc_conf_field(c, row), l->words[1], l, err) : rc;
}

/* "none" is the absence of a text. */
int nc_conf_set_text_or_none(nacre_sshd_config *c, const nc_conf_row *row, const nc_conf_line *l,
                             nacre_error *err)
{
    int rc = nc_conf_only_one(err, l, row);
    if (rc != NACRE_OK || strcasecmp(l->words[1], "none") == 0) {
        return rc;
    }
    return nc_conf_store_text(c, nc_conf_field(c, row), l->words[1], l, err);
}

/* The rest of the line as it stands: a command for a shell. */
int nc_conf_set_command(nacre_sshd_config *c, const nc_conf_row *row, const nc_conf_line *l,
                        nacre_error *err)
{
    if (strcasecmp(l->rest, "none") == 0) {
        return NACRE_OK;
    }
    return nc_conf_store_text(c, nc_conf_field(c, row), l->rest, l, err);
}

int nc_conf_set_list(nacre_sshd_config *c, const nc_conf_row *row, const nc_conf_line *l,
                     nacre_error *err)
{
    int rc = NACRE_OK;
    for (size_t i = 1; rc == NACRE_OK && i < l->count; i++) {
        rc = nc_conf_list_add(c, nc_conf_field(c, row), l->words[i]);
    }
    return rc == NACRE_OK ? rc : nc_conf_fail(err, l, rc, "the list of %s is too long", row->name);
}
