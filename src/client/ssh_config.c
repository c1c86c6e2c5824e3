/*
 * ssh_config.c - the object of ssh_config(5): the values that were taken, with where they stand, and questions
 * about them.
 */
#include "client/ssh_config.h"
#include "base/words.h"
#include "keys/pattern.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

/* ---- life ---- */

int nacre_ssh_config_new(nacre_ssh_config **out, const nacre_allocator *a, const char *host,
                         const char *user)
{
    *out = NULL;
    nacre_ssh_config *c = nc_zalloc(a, sizeof(*c));
    if (!c) {
        return NACRE_NO_MEMORY;
    }
    c->alloc = a;
    int rc = nacre_ssh_config_target(c, host, user);
    if (rc != NACRE_OK) {
        nacre_ssh_config_free(c);
        return rc;
    }
    *out = c;
    return NACRE_OK;
}

int nacre_ssh_config_target(nacre_ssh_config *c, const char *host, const char *user)
{
    char *h = nc_strdup(c->alloc, host ? host : "");
    char *u = nc_strdup(c->alloc, user);
    if (!h || (user && !u)) {
        nc_free(c->alloc, h);
        nc_free(c->alloc, u);
        return NACRE_NO_MEMORY;
    }
    nc_free(c->alloc, c->host);
    nc_free(c->alloc, c->user);
    nc_free(c->alloc, c->real);
    c->host = h;
    c->user = u;
    c->real = NULL;
    c->final = c->want_final = false;
    return NACRE_OK;
}

int nacre_ssh_config_command(nacre_ssh_config *c, const char *command)
{
    char *own = nc_strdup(c->alloc, command);
    if (command && !own) {
        return NACRE_NO_MEMORY;
    }
    nc_free(c->alloc, c->command);
    c->command = own;
    return NACRE_OK;
}

void nacre_ssh_hooks_init(nacre_ssh_hooks *hooks)
{
    memset(hooks, 0, sizeof(*hooks));
    hooks->size = sizeof(*hooks);
}

void nacre_ssh_config_hooks(nacre_ssh_config *c, const nacre_ssh_hooks *hooks)
{
    nacre_ssh_hooks_init(&c->hooks);
    if (hooks && hooks->size <= sizeof(c->hooks)) {
        memcpy(&c->hooks, hooks, hooks->size);
    }
}

void nacre_ssh_config_free(nacre_ssh_config *c)
{
    if (!c) {
        return;
    }
    for (size_t i = 0; i < c->count; i++) {
        nc_free(c->alloc, c->entries[i].value);
        nc_free(c->alloc, c->entries[i].where);
    }
    nc_free(c->alloc, c->entries);
    nc_free(c->alloc, c->host);
    nc_free(c->alloc, c->user);
    nc_free(c->alloc, c->command);
    nc_free(c->alloc, c->real);
    nacre_account_free(c->me);
    nc_free(c->alloc, c);
}

/* ---- who we are ---- */

const nacre_account *nc_conf_me(nacre_ssh_config *c)
{
    if (!c->me && nacre_account_lookup_uid(&c->me, c->alloc, getuid(), NULL) != NACRE_OK) {
        c->me = NULL;
    }
    return c->me;
}

const char *nc_conf_local_user(nacre_ssh_config *c)
{
    const nacre_account *me = nc_conf_me(c);
    return me ? me->name : "";
}

const char *nc_conf_local_host(nacre_ssh_config *c)
{
    if (!c->local_host[0] && gethostname(c->local_host, sizeof(c->local_host) - 1) != 0) {
        c->local_host[0] = '\0';
    }
    return c->local_host;
}

/* ---- values ---- */

bool nc_conf_has(const nacre_ssh_config *c, const nc_keyword *k)
{
    for (size_t i = 0; i < c->count; i++) {
        if (c->entries[i].keyword == k) {
            return true;
        }
    }
    return false;
}

static int grow(nacre_ssh_config *c)
{
    if (c->count < c->cap) {
        return NACRE_OK;
    }
    size_t cap = c->cap ? c->cap * 2 : 32;
    nc_entry *more =
        cap > NC_CONF_ENTRIES_MAX ? NULL : nc_resize(c->alloc, c->entries, cap * sizeof(*more));
    if (!more) {
        return cap > NC_CONF_ENTRIES_MAX ? NACRE_LIMIT : NACRE_NO_MEMORY;
    }
    c->entries = more;
    c->cap = cap;
    return NACRE_OK;
}

void nc_conf_where(const nc_place *p, char *out, size_t size)
{
    if (p->line) {
        (void)snprintf(out, size, "%s:%u", NC_ESC(nc_span_cstr(p->source)), p->line);
    } else {
        (void)snprintf(out, size, "%s", NC_ESC(nc_span_cstr(p->source)));
    }
}

int nc_conf_append(const nc_place *p, const nc_keyword *k, const char *value)
{
    nacre_ssh_config *c = p->c;
    char where[512];
    int rc = grow(c);
    if (rc != NACRE_OK) {
        return rc;
    }
    nc_conf_where(p, where, sizeof(where));
    nc_entry e = {k, nc_strdup(c->alloc, value), nc_strdup(c->alloc, where), p->of_user};
    if (!e.value || !e.where) {
        nc_free(c->alloc, e.value);
        nc_free(c->alloc, e.where);
        return NACRE_NO_MEMORY;
    }
    c->entries[c->count++] = e;
    return NACRE_OK;
}

void nc_conf_remove(nacre_ssh_config *c, const nc_keyword *k, const char *pattern)
{
    size_t kept = 0;
    for (size_t i = 0; i < c->count; i++) {
        nc_entry *e = &c->entries[i];
        if (e->keyword == k &&
            nc_pattern_match(nc_span_cstr(e->value), nc_span_cstr(pattern), false)) {
            nc_free(c->alloc, e->value);
            nc_free(c->alloc, e->where);
        } else {
            c->entries[kept++] = *e;
        }
    }
    c->count = kept;
}

int nc_conf_complain(const nc_place *p, int status, const char *fmt, ...)
{
    char where[512], text[800];
    va_list ap;
    nc_conf_where(p, where, sizeof(where));
    va_start(ap, fmt);
    (void)vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    return nc_fail(p->err, status, "%s: %s", where, text);
}

/* ---- the public face ---- */

int nacre_ssh_config_option(nacre_ssh_config *c, const char *text, nacre_error *err)
{
    nc_place p = {.c = c, .source = "command line", .active = true, .of_user = true, .err = err};
    const char *rest = text;
    nc_error_clear(err);
    nacre_span name = nc_next_keyword(&rest);
    if (name.n == 0 || strlen(text) >= NC_CONF_LINE_MAX) {
        return nc_conf_complain(&p, NACRE_SYNTAX, "\"%s\" is not Keyword=value",
                                NC_ESC(nc_span_cstr(text)));
    }
    if (!*rest) {
        return nc_conf_complain(&p, NACRE_SYNTAX, "%s needs a value", NC_ESC(name));
    }
    return nc_conf_keyword(&p, name, rest);
}

int nacre_ssh_config_set(nacre_ssh_config *c, const char *keyword, const char *value,
                         nacre_error *err)
{
    nc_place p = {.c = c, .source = "command line", .active = true, .of_user = true, .err = err};
    nc_error_clear(err);
    const nc_keyword *k = nc_keyword_find(nc_span_cstr(keyword));
    if (!k) {
        return nc_conf_complain(&p, NACRE_UNKNOWN_NAME, "Bad configuration option: %s",
                                NC_ESC(nc_span_cstr(keyword)));
    }
    return nc_conf_take(&p, k, value, true, !nc_conf_has(c, k));
}

int nacre_ssh_config_add_text(nacre_ssh_config *c, nacre_span text, const char *source,
                              nacre_error *err)
{
    nc_place p = {
        .c = c, .source = source ? source : "", .active = true, .of_user = true, .err = err};
    nc_error_clear(err);
    return nc_conf_text(&p, text);
}

int nacre_ssh_config_add_file(nacre_ssh_config *c, const char *path, bool user_file,
                              nacre_error *err)
{
    unsigned files = 0;
    nc_place p = {.c = c,
                  .active = true,
                  .in_home = user_file,
                  .of_user = user_file,
                  .may_include = true,
                  .files = &files,
                  .err = err};
    nc_error_clear(err);
    return nc_conf_file(&p, path, user_file, err);
}

size_t nacre_ssh_config_count(const nacre_ssh_config *c, const char *keyword)
{
    const nc_keyword *k = nc_keyword_find(nc_span_cstr(keyword));
    size_t n = 0;
    for (size_t i = 0; i < c->count; i++) {
        n += c->entries[i].keyword == k ? 1 : 0;
    }
    return n;
}

const char *nacre_ssh_config_value(const nacre_ssh_config *c, const char *keyword, size_t index)
{
    const nc_keyword *k = nc_keyword_find(nc_span_cstr(keyword));
    for (size_t i = 0; i < c->count; i++) {
        if (c->entries[i].keyword == k && index-- == 0) {
            return c->entries[i].value;
        }
    }
    return NULL;
}

const char *nacre_ssh_config_get(const nacre_ssh_config *c, const char *keyword)
{
    return nacre_ssh_config_value(c, keyword, 0);
}

bool nacre_ssh_config_yes(const nacre_ssh_config *c, const char *keyword, bool fallback)
{
    const char *v = nacre_ssh_config_get(c, keyword);
    if (!v) {
        return fallback;
    }
    return strcasecmp(v, "no") != 0 && strcasecmp(v, "false") != 0;
}

uint64_t nacre_ssh_config_number(const nacre_ssh_config *c, const char *keyword, uint64_t fallback)
{
    const nc_keyword *k = nc_keyword_find(nc_span_cstr(keyword));
    const char *v = nacre_ssh_config_get(c, keyword);
    uint32_t seconds = 0;
    if (!v || !k) {
        return fallback;
    }
    if (k->kind == NC_KW_TIME) {
        return nacre_parse_time(v, &seconds) == NACRE_OK ? seconds : 0;
    }
    return strtoul(v, NULL, 10);
}

static void warn(const nacre_ssh_config *c, const nc_entry *e, const char *what)
{
    char text[800];
    if (c->hooks.warning) {
        (void)snprintf(text, sizeof(text), "%s: %s %s %s", e->where, e->keyword->name,
                       NC_ESC(nc_span_cstr(e->value)), what);
        c->hooks.warning(c->hooks.user, text);
    }
}

int nacre_ssh_config_supported(const nacre_ssh_config *c, nacre_error *err)
{
    nc_error_clear(err);
    for (size_t i = 0; i < c->count; i++) {
        const nc_entry *e = &c->entries[i];
        if (nc_keyword_has_no_effect(e->keyword)) {
            warn(c, e, "has no effect here");
        } else if (nc_keyword_supports(e->keyword, e->value)) {
            continue;
        } else if (nc_keyword_is_harmless(e->keyword)) {
            warn(c, e, "is not supported, and passed over");
        } else {
            return nc_fail(err, NACRE_UNSUPPORTED, "%s: %s %s is not supported yet", e->where,
                           e->keyword->name, NC_ESC(nc_span_cstr(e->value)));
        }
    }
    return NACRE_OK;
}

bool nacre_ssh_config_at(const nacre_ssh_config *c, size_t index, const char **keyword,
                         const char **value)
{
    if (index >= c->count) {
        return false;
    }
    *keyword = c->entries[index].keyword->name;
    *value = c->entries[index].value;
    return true;
}
