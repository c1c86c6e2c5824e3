/*
 * sshd_rights.c - keywords that say whom to believe (keys, authorities, programs that name them) and what a
 * session may do.
 */
#include "server/sshd_config.h"

#include "base/words.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

enum {
    TIMEOUTS_MAX = 32, /* as many as a connection takes; there are a dozen types */
    TIMEOUT_TYPE_MAX = 128
};

static bool is_none(const nc_conf_line *l)
{
    return l->count == 2 && strcasecmp(l->words[1], "none") == 0;
}

/* ---- files and programs -------------------------------------------------------------------------------- */

int nc_conf_set_files(nacre_sshd_config *c, const nc_conf_row *row, const nc_conf_line *l,
                      nacre_error *err)
{
    return is_none(l) ? NACRE_OK : nc_conf_set_list(c, row, l, err);
}

/* A path with the tokens of nacre_sshd_expand_path. */
int nc_conf_set_pattern(nacre_sshd_config *c, const nc_conf_row *row, const nc_conf_line *l,
                        nacre_error *err)
{
    char path[4096];
    int rc = nc_conf_only_one(err, l, row);
    if (rc != NACRE_OK || is_none(l)) {
        return rc;
    }
    if (nacre_sshd_expand_path(l->words[1], "u", "/h", 0, path, sizeof(path)) != NACRE_OK) {
        return nc_conf_bad_value(err, l, row, "the tokens are %h, %u, %U and %%");
    }
    return nc_conf_store_text(c, nc_conf_field(c, row), l->words[1], l, err);
}

/* Those that there are, whatever they will stand for: only for certificates is there an authority. */
static void any_tokens(nacre_sshd_tokens *t, bool certificate)
{
    nacre_sshd_tokens_init(t);
    t->user = t->home = t->uid = t->connection = t->rdomain = "";
    t->key_type = t->key = t->key_print = "";
    if (certificate) {
        t->ca_type = t->ca = t->ca_print = t->key_id = t->serial = "";
    }
}

/* A command line that no shell sees: its words are kept as they stand, with their quotes. */
int nc_conf_set_program(nacre_sshd_config *c, const nc_conf_row *row, const nc_conf_line *l,
                        nacre_error *err)
{
    nacre_sshd_command *command = NULL;
    nacre_error why = {0};
    if (is_none(l)) {
        return NACRE_OK;
    }
    if (l->words[1][0] != '/') {
        return nc_conf_bad_value(err, l, row, "a program is named by its absolute path");
    }
    nacre_sshd_tokens tokens;
    any_tokens(&tokens, row->at == NC_CONF_AT(authorized_principals_command));
    int rc = nacre_sshd_command_new(&command, c->alloc, l->rest, &tokens, &why);
    nacre_sshd_command_free(command);
    if (rc != NACRE_OK) {
        return nc_conf_fail(err, l, rc, "%s: %s", row->name, why.text);
    }
    return nc_conf_store_text(c, nc_conf_field(c, row), l->rest, l, err);
}

/* ---- options in words ------------------------------------------------------------------------------------ */

int nc_conf_set_pubkey_options(nacre_sshd_config *c, const nc_conf_row *row, const nc_conf_line *l,
                               nacre_error *err)
{
    uint32_t options = 0;
    for (size_t i = 1; i < l->count && !is_none(l); i++) {
        if (strcasecmp(l->words[i], "touch-required") == 0) {
            options |= NACRE_PUBKEY_TOUCH_REQUIRED;
        } else if (strcasecmp(l->words[i], "verify-required") == 0) {
            options |= NACRE_PUBKEY_VERIFY_REQUIRED;
        } else {
            return nc_conf_fail(err, l, NACRE_SYNTAX,
                                "%s does not know \"%s\": none, touch-required and "
                                "verify-required are possible",
                                row->name, NC_ESC(nc_span_cstr(l->words[i])));
        }
    }
    c->s.pubkey_auth_options = options;
    return NACRE_OK;
}

/* yes, no, or the names that may be set. */
int nc_conf_set_user_environment(nacre_sshd_config *c, const nc_conf_row *row,
                                 const nc_conf_line *l, nacre_error *err)
{
    int rc = nc_conf_only_one(err, l, row);
    for (const nc_conf_choice *o = nc_conf_yes_no; rc == NACRE_OK && o->name; o++) {
        if (strcasecmp(o->name, l->words[1]) == 0) {
            c->s.permit_user_environment = o->value;
            return NACRE_OK;
        }
    }
    if (rc == NACRE_OK && l->words[1][0] == '\0') {
        rc = nc_conf_bad_value(err, l, row, "yes, no or a list of patterns is wanted");
    }
    if (rc == NACRE_OK) {
        rc = nc_conf_store_text(c, &c->s.permit_user_environment_pattern, l->words[1], l, err);
        c->s.permit_user_environment = rc == NACRE_OK;
    }
    return rc;
}

/* ---- targets of forwardings ------------------------------------------------------------------------------- */

/* "host:port", "[::1]:port"; without a host where listening is meant. A port is a number or "*". */
static bool target_good(const char *text, bool listens)
{
    const char *colon = strrchr(text, ':');
    const char *port = colon ? colon + 1 : text;
    uint32_t number = 0;
    if (!colon && !listens) {
        return false;
    }
    if (colon == text || (colon && strchr(text, ':') != colon && text[0] != '[')) {
        return false; /* no host, or one with colons and no brackets */
    }
    return strcmp(port, "*") == 0 || nc_parse_number(port, 1, 65535, &number);
}

static int add_target(nacre_sshd_config *c, const nc_conf_row *row, const nc_conf_line *l,
                      const char *word, nacre_error *err)
{
    char text[300];
    bool listens = row->at == NC_CONF_AT(permit_listen);
    bool none = is_none(l);
    if (!none && !target_good(word, listens)) {
        return nc_conf_fail(err, l, NACRE_SYNTAX, "%s cannot be \"%s\": %s is wanted", row->name,
                            NC_ESC(nc_span_cstr(word)), listens ? "[host:]port" : "host:port");
    }
    /* A port alone is one of any host. */
    int n = snprintf(text, sizeof(text), "%s%s", none || strchr(word, ':') ? "" : "*:", word);
    int rc = n > 0 && (size_t)n < sizeof(text) ? nc_conf_list_add(c, nc_conf_field(c, row), text)
                                               : NACRE_LIMIT;
    return rc == NACRE_OK ? rc : nc_conf_fail(err, l, rc, "the list of %s is too long", row->name);
}

int nc_conf_set_targets(nacre_sshd_config *c, const nc_conf_row *row, const nc_conf_line *l,
                        nacre_error *err)
{
    int rc = NACRE_OK;
    if (l->count == 2 && strcasecmp(l->words[1], "any") == 0) {
        return NACRE_OK;
    }
    for (size_t i = 1; rc == NACRE_OK && i < l->count; i++) {
        rc = add_target(c, row, l, l->words[i], err);
    }
    return rc;
}

/* ---- numbers of their own ---------------------------------------------------------------------- */

int nc_conf_set_mask(nacre_sshd_config *c, const nc_conf_row *row, const nc_conf_line *l,
                     nacre_error *err)
{
    uint32_t mask = 0;
    int rc = nc_conf_only_one(err, l, row);
    const char *p = l->words[1];
    for (; rc == NACRE_OK && *p >= '0' && *p <= '7' && mask <= 0777; p++) {
        mask = mask * 8 + (uint32_t)(*p - '0');
    }
    if (rc == NACRE_OK && (*p || p == l->words[1] || mask > 0777)) {
        rc = nc_conf_bad_value(err, l, row, "an octal mask up to 0777 is wanted");
    }
    if (rc == NACRE_OK) {
        *(uint32_t *)nc_conf_field(c, row) = mask;
    }
    return rc;
}

/* ---- time limits ----------------------------------------------------------------------------------------- */

/* "type=interval", where the type is a pattern; the equals sign of a list of words stands last. */
static bool timeout_parts(const char *text, size_t *type_n, uint32_t *seconds)
{
    const char *equals = strrchr(text, '=');
    *type_n = equals ? (size_t)(equals - text) : 0;
    return *type_n > 0 && *type_n < TIMEOUT_TYPE_MAX && nc_parse_time(equals + 1, seconds);
}

int nc_conf_set_channel_timeouts(nacre_sshd_config *c, const nc_conf_row *row,
                                 const nc_conf_line *l, nacre_error *err)
{
    size_t n;
    uint32_t seconds;
    for (size_t i = 1; i < l->count && !is_none(l); i++) {
        if (!timeout_parts(l->words[i], &n, &seconds)) {
            return nc_conf_fail(err, l, NACRE_SYNTAX,
                                "%s: \"%s\" is not type=interval, as in session:shell=10m",
                                row->name, NC_ESC(nc_span_cstr(l->words[i])));
        }
        if (i > TIMEOUTS_MAX) {
            return nc_conf_fail(err, l, NACRE_LIMIT, "%s: more than %d types", row->name,
                                TIMEOUTS_MAX);
        }
        if (nc_conf_list_add(c, nc_conf_field(c, row), l->words[i]) != NACRE_OK) {
            return nc_conf_fail(err, l, NACRE_NO_MEMORY, "%s: out of memory", row->name);
        }
    }
    return NACRE_OK;
}

bool nacre_sshd_config_channel_timeout(const nacre_sshd_config *c, size_t n, char *pattern,
                                       size_t size, uint32_t *seconds)
{
    size_t type_n;
    *seconds = 0;
    if (n >= c->s.channel_timeouts.count || size == 0) {
        return false;
    }
    const char *text = c->s.channel_timeouts.items[n];
    if (!timeout_parts(text, &type_n, seconds) || type_n >= size) {
        return false;
    }
    memcpy(pattern, text, type_n);
    pattern[type_n] = '\0';
    return true;
}
