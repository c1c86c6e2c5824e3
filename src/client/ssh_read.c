/*
 * ssh_read.c - a whole configuration, as ssh reads it: the files, the host's canonical name, and the files once more
 * when a canonical name or "Match final" asks for it.
 */
#include "client/ssh_config.h"
#include "io/canonical_name.h"
#include "keys/pattern.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

enum { NAME_SIZE = 1025, PATH_SIZE = 4096 };

/* ---- one pass ---- */

static int read_source(nacre_ssh_config *c, const nacre_ssh_source *s, unsigned *files,
                       nacre_error *err)
{
    nc_place p = {.c = c,
                  .source = s->name ? s->name : "",
                  .active = true,
                  .in_home = s->in_home,
                  .of_user = s->in_home,
                  .may_include = s->path != NULL,
                  .files = files,
                  .err = err};
    if (!s->path) {
        return nc_conf_text(&p, s->text);
    }
    int rc = nc_conf_file(&p, s->path, s->secure, err);
    if (rc == NACRE_NOT_FOUND && s->optional) {
        nc_error_clear(err);
        rc = NACRE_OK;
    }
    return rc;
}

static int one_pass(nacre_ssh_config *c, const nacre_ssh_source *sources, size_t count,
                    nacre_error *err)
{
    unsigned files = 0;
    int rc = NACRE_OK;
    for (size_t i = 0; rc == NACRE_OK && i < count; i++) {
        rc = read_source(c, &sources[i], &files, err);
    }
    return rc;
}

/* ---- canonical names ---- */

static int family_of(const nacre_ssh_config *c)
{
    const char *family = nacre_ssh_config_get(c, "AddressFamily");
    return !family || strcasecmp(family, "any") == 0 ? 0 : strcasecmp(family, "inet") == 0 ? 4 : 6;
}

static int ask(const nacre_ssh_config *c, const char *name, bool numeric, char canonical[NAME_SIZE])
{
    canonical[0] = '\0';
    return c->hooks.resolve
               ? c->hooks.resolve(c->hooks.user, name, family_of(c), numeric, canonical, NAME_SIZE)
               : nc_canonical_name(name, family_of(c), numeric, canonical, NAME_SIZE);
}

static bool wants_canonical(const nacre_ssh_config *c)
{
    const char *v = nacre_ssh_config_get(c, "CanonicalizeHostname");
    return v && !nc_keyword_listed("no,false,none", v);
}

static bool is_none(const char *value)
{
    return !value || strcasecmp(value, "none") == 0;
}

/* Names that a proxy will look up are its own matter, unless "always" says otherwise. */
static bool is_direct(const nacre_ssh_config *c)
{
    return is_none(nacre_ssh_config_get(c, "ProxyCommand")) &&
           is_none(nacre_ssh_config_get(c, "ProxyJump"));
}

static bool may_ask(const nacre_ssh_config *c)
{
    const char *v = nacre_ssh_config_get(c, "CanonicalizeHostname");
    return is_direct(c) || (v && strcasecmp(v, "always") == 0);
}

static void lower(char *s)
{
    for (; *s; s++) {
        *s = (char)tolower((unsigned char)*s);
    }
}

static bool looks_like_address(const char *name)
{
    return strpbrk(name, "%:") || !name[strspn(name, "0123456789.")];
}

/* What the name service says must be a name, too. */
static bool is_domain(const char *name)
{
    static const char allowed[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.";
    return name[0] && name[0] != '.' && name[0] != '-' && !strstr(name, "..") &&
           !name[strspn(name, allowed)];
}

static bool has_rules(const nacre_ssh_config *c)
{
    return !is_none(nacre_ssh_config_get(c, "CanonicalizePermittedCNAMEs"));
}

/* host becomes cname where CanonicalizePermittedCNAMEs lets it. */
static void follow(const nacre_ssh_config *c, char host[NAME_SIZE], char cname[NAME_SIZE])
{
    size_t n = strlen(cname);
    if (n > 1 && cname[n - 1] == '.') {
        cname[n - 1] = '\0';
    }
    if (!is_domain(cname) || !has_rules(c) || strcmp(host, cname) == 0 || !wants_canonical(c) ||
        !may_ask(c)) {
        return;
    }
    for (size_t i = 0; i < nacre_ssh_config_count(c, "CanonicalizePermittedCNAMEs"); i++) {
        const char *rule = nacre_ssh_config_value(c, "CanonicalizePermittedCNAMEs", i);
        const char *colon = strchr(rule, ':');
        nacre_span from = nc_span(rule, colon ? (size_t)(colon - rule) : strlen(rule));
        nacre_span to = nc_span_cstr(colon ? colon + 1 : rule);
        if (nc_pattern_list(nc_span_cstr(host), from, true) == NC_MATCH_YES &&
            nc_pattern_list(nc_span_cstr(cname), to, true) == NC_MATCH_YES) {
            memcpy(host, cname, NAME_SIZE);
            lower(host);
            return;
        }
    }
}

static size_t dots_in(const char *name)
{
    size_t n = 0;
    for (; *name; name++) {
        n += *name == '.' ? 1 : 0;
    }
    return n;
}

/* full, which ends in ".", if it exists: host becomes it, without the dot. */
static bool try_name(const nacre_ssh_config *c, const char *full, char host[NAME_SIZE])
{
    char cname[NAME_SIZE];
    if (ask(c, full, false, cname) != NACRE_OK) {
        return false;
    }
    (void)snprintf(host, NAME_SIZE, "%.*s", (int)strlen(full) - 1, full);
    follow(c, host, cname);
    return true;
}

/* *found: there is such a name. */
static int by_domains(const nacre_ssh_config *c, char host[NAME_SIZE], bool *found,
                      nacre_error *err)
{
    char full[2 * NAME_SIZE];
    size_t n = strlen(host);
    if (host[n - 1] == '.') {
        memcpy(full, host, n + 1);
        *found = try_name(c, full, host);
    } else if (dots_in(host) > nacre_ssh_config_number(c, "CanonicalizeMaxDots", 1)) {
        return NACRE_OK;
    }
    for (size_t i = 0; host[n - 1] != '.' && !*found; i++) {
        const char *domain = nacre_ssh_config_value(c, "CanonicalDomains", i);
        if (is_none(domain)) {
            break;
        }
        size_t end = strlen(domain);
        end -= end > 1 && domain[end - 1] == '.' ? 1 : 0;
        int full_n = snprintf(full, sizeof(full), "%s.%.*s.", host, (int)end, domain);
        if (full_n > 0 && full_n < NAME_SIZE) {
            lower(full);
            *found = try_name(c, full, host);
        }
    }
    return *found || nacre_ssh_config_yes(c, "CanonicalizeFallbackLocal", true)
               ? NACRE_OK
               : nc_fail(err, NACRE_RESOLVE, "Could not resolve host \"%s\"",
                         NC_ESC(nc_span_cstr(host)));
}

/* The name by which the host is called from now on. */
static int find_real_name(nacre_ssh_config *c, char host[NAME_SIZE], nacre_error *err)
{
    char name[NAME_SIZE];
    bool found = false;
    int rc = nc_conf_host_so_far(c, host, NAME_SIZE, err);
    if (rc != NACRE_OK || !*host) {
        return rc;
    }
    if (ask(c, host, true, name) == NACRE_OK) {
        if (*name && strcasecmp(host, name) != 0) {
            memcpy(host, name, NAME_SIZE);
        }
        return NACRE_OK;
    }
    if (looks_like_address(host)) { /* with a scope that is not there, perhaps */
        return NACRE_OK;
    }
    lower(host);
    if (wants_canonical(c) && may_ask(c)) {
        rc = by_domains(c, host, &found, err);
    }
    if (rc == NACRE_OK && !found && has_rules(c) && may_ask(c)) {
        if (ask(c, host, false, name) == NACRE_OK) {
            follow(c, host, name);
        } else if (is_direct(c)) {
            rc = nc_fail(err, NACRE_RESOLVE, "Could not resolve hostname %s",
                         NC_ESC(nc_span_cstr(host)));
        }
    }
    return rc;
}

/* ---- the whole ---- */

static int read_all(nacre_ssh_config *c, const nacre_ssh_source *sources, size_t count,
                    nacre_error *err)
{
    char host[NAME_SIZE];
    int rc = one_pass(c, sources, count, err);
    rc = rc == NACRE_OK ? find_real_name(c, host, err) : rc;
    if (rc != NACRE_OK) {
        return rc;
    }
    c->real = nc_strdup(c->alloc, host);
    if (!c->real) {
        return nc_fail(err, NACRE_NO_MEMORY, "out of memory");
    }
    if (c->want_final || wants_canonical(c)) {
        c->final = true;
        rc = one_pass(c, sources, count, err);
    }
    return rc;
}

int nacre_ssh_config_read(nacre_ssh_config *c, const nacre_ssh_source *sources, size_t count,
                          nacre_error *err)
{
    nc_error_clear(err);
    nc_free(c->alloc, c->real);
    c->real = NULL;
    c->final = c->want_final = false;
    if (count > 0) {
        return read_all(c, sources, count, err);
    }
    char path[PATH_SIZE];
    const nacre_account *me = nc_conf_me(c);
    nacre_ssh_source usual[] = {
        {.path = path, .in_home = true, .secure = true, .optional = true},
        {.path = "/etc/ssh/ssh_config", .optional = true},
    };
    if (!me || (size_t)snprintf(path, sizeof(path), "%s/.ssh/config", me->home) >= sizeof(path)) {
        return read_all(c, usual + 1, 1, err); /* nobody's files */
    }
    return read_all(c, usual, 2, err);
}

int nacre_ssh_config_lookup(nacre_ssh_config **out, const nacre_allocator *a, const char *host,
                            const nacre_ssh_hooks *hooks, nacre_error *err)
{
    nacre_ssh_config *c = NULL;
    *out = NULL;
    nc_error_clear(err);
    if (!host || !*host || !nacre_ssh_is_host_name(host)) {
        return nc_fail(err, NACRE_SYNTAX, "\"%s\" is not the name of a host",
                       NC_ESC(nc_span_cstr(host ? host : "")));
    }
    int rc = nacre_ssh_config_new(&c, a, host, NULL);
    if (rc != NACRE_OK) {
        return nc_fail(err, rc, "%s", nacre_status_text(rc));
    }
    nacre_ssh_config_hooks(c, hooks);
    rc = nacre_ssh_config_read(c, NULL, 0, err);
    if (rc != NACRE_OK) {
        nacre_ssh_config_free(c);
        return rc;
    }
    *out = c;
    return NACRE_OK;
}
