/*
 * ssh_tokens.c - tokens (%h), ~ and ${NAME} in values of ssh_config(5): which keyword takes which, and what they
 * stand for. What becomes the text of a shell is made of harmless characters only.
 */
#include "base/words.h"
#include "client/ssh_config.h"
#include "crypto/crypto.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { NAME_MAX_HERE = 1025, HASH_BYTES = 20 };

typedef struct sentence {
    char *out;
    size_t size, n;
} sentence;

static int put(sentence *s, const char *text, size_t n)
{
    if (s->n + n + 1 > s->size) {
        return NACRE_TOO_LARGE;
    }
    memcpy(s->out + s->n, text, n);
    s->n += n;
    s->out[s->n] = '\0';
    return NACRE_OK;
}

bool nc_is_shell_safe(const char *text)
{
    if (*text == '-') {
        return false;
    }
    for (const char *p = text; *p; p++) {
        unsigned char c = (unsigned char)*p;
        if (c <= 0x20 || c == 0x7f || strchr("'`\"$\\;&<>|(){}*?[]!#~^", c)) {
            return false;
        }
    }
    return true;
}

/* ---- one token ---- */

static const char *token_value(const nacre_ssh_tokens *t, char c)
{
    const struct {
        char c;
        const char *value;
    } known[] = {
        {'%', "%"},           {'d', t->home},        {'h', t->host},        {'n', t->original_host},
        {'k', t->alias},      {'p', t->port},        {'r', t->remote_user}, {'u', t->local_user},
        {'l', t->local_host}, {'L', t->local_host},  {'i', t->uid},         {'C', t->hash},
        {'j', t->jump},       {'f', t->fingerprint}, {'H', t->known_host},  {'I', t->reason},
        {'K', t->key},        {'t', t->key_type},    {'T', t->tunnel}};
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        if (known[i].c == c) {
            return known[i].value;
        }
    }
    return NULL;
}

static int put_token(sentence *s, const char *at, const char *text, const nacre_ssh_tokens *t,
                     const char *allowed, unsigned flags, nacre_error *err)
{
    bool may = at[1] && (at[1] == '%' || !allowed || strchr(allowed, at[1]));
    const char *value = may ? token_value(t, at[1]) : NULL;
    if (!value) {
        char token[3] = {'%', at[1], '\0'};
        return nc_fail(err, NACRE_SYNTAX, "%s is not a token that can be used here (in %s)",
                       NC_ESC(nc_span_cstr(token)), NC_ESC(nc_span_cstr(text)));
    }
    bool name = at[1] != '%' && at[1] != 'd';
    if ((flags & NC_EXPAND_SHELL) && name && !nc_is_shell_safe(value)) {
        return nc_fail(err, NACRE_SYNTAX,
                       "%%%c stands for \"%s\", which has characters in it that must not become a "
                       "part of a command",
                       at[1], NC_ESC(nc_span_cstr(value)));
    }
    return put(s, value, at[1] == 'L' ? strcspn(value, ".") : strlen(value));
}

static int put_home(sentence *s, const char **at, const nacre_ssh_tokens *t, nacre_error *err)
{
    const char *p = *at + 1;
    size_t n = strcspn(p, "/");
    char name[128];
    nacre_account *who = NULL;
    *at = p + n;
    if (n == 0) {
        return t->home ? put(s, t->home, strlen(t->home))
                       : nc_fail(err, NACRE_SYNTAX, "no home directory is known for ~");
    }
    if (n >= sizeof(name)) {
        return NACRE_TOO_LARGE;
    }
    memcpy(name, p, n);
    name[n] = '\0';
    int rc = nacre_account_lookup(&who, NULL, name, NULL);
    rc = rc == NACRE_OK
             ? put(s, who->home, strlen(who->home))
             : nc_fail(err, NACRE_SYNTAX, "~%s: there is no such user", NC_ESC(nc_span_cstr(name)));
    nacre_account_free(who);
    return rc;
}

static int put_environment(sentence *s, const char **at, nacre_error *err)
{
    const char *end = strchr(*at, '}');
    char name[128];
    size_t n = end ? (size_t)(end - *at) - 2 : 0;
    if (!end || n == 0 || n >= sizeof(name)) {
        return nc_fail(err, NACRE_SYNTAX, "${ without a name and }");
    }
    memcpy(name, *at + 2, n);
    name[n] = '\0';
    const char *value = getenv(name);
    if (!value) {
        return nc_fail(err, NACRE_SYNTAX, "the environment variable %s is not set",
                       NC_ESC(nc_span_cstr(name)));
    }
    *at = end + 1;
    return put(s, value, strlen(value));
}

/* allowed: the tokens besides %%; NULL: all that have a value. */
static int expand(const char *text, const nacre_ssh_tokens *t, const char *allowed, unsigned flags,
                  char *out, size_t size, nacre_error *err)
{
    nacre_error own;
    err = err ? err : &own;
    nc_error_clear(err);
    sentence s = {out, size, 0};
    const char *p = text;
    int rc = put(&s, "", 0);
    if (rc == NACRE_OK && (flags & NC_EXPAND_HOME) && *p == '~') {
        rc = put_home(&s, &p, t, err);
    }
    while (rc == NACRE_OK && *p) {
        if ((flags & NC_EXPAND_ENV) && p[0] == '$' && p[1] == '{') {
            rc = put_environment(&s, &p, err);
        } else if (*p == '%') {
            rc = put_token(&s, p, text, t, allowed, flags, err);
            p += p[1] ? 2 : 1;
        } else {
            rc = put(&s, p++, 1);
        }
    }
    return rc == NACRE_OK || err->status
               ? rc
               : nc_fail(err, rc, "%s: too long when expanded", NC_ESC(nc_span_cstr(text)));
}

int nacre_ssh_expand(const char *text, const nacre_ssh_tokens *tokens, bool tilde, char *out,
                     size_t size, nacre_error *err)
{
    unsigned flags = NC_EXPAND_ENV | (tilde ? NC_EXPAND_HOME : 0);
    return expand(text, tokens, NULL, flags, out, size, err);
}

int nacre_ssh_expand_command(const char *text, const nacre_ssh_tokens *tokens, char *out,
                             size_t size, nacre_error *err)
{
    return expand(text, tokens, NULL, NC_EXPAND_SHELL, out, size, err);
}

int nacre_ssh_expand_words(const char *text, const nacre_ssh_tokens *tokens, char *out, size_t size,
                           nacre_error *err)
{
    return expand(text, tokens, NULL, 0, out, size, err);
}

/* ---- what they stand for ---- */

/* The names behind the tokens of one configuration. */
typedef struct facts {
    nacre_ssh_tokens t;
    char host[NAME_MAX_HERE], jump[NAME_MAX_HERE], hash[2 * HASH_BYTES + 1], uid[24];
} facts;

int nc_conf_host_so_far(nacre_ssh_config *c, char *out, size_t size, nacre_error *err)
{
    const char *name = nacre_ssh_config_get(c, "HostName");
    nacre_ssh_tokens t;
    memset(&t, 0, sizeof(t));
    t.host = c->host;
    if (c->real || !name) {
        name = c->real ? c->real : c->host;
        return strlen(name) < size
                   ? (memcpy(out, name, strlen(name) + 1), NACRE_OK)
                   : nc_fail(err, NACRE_TOO_LARGE, "the name of the host is too long");
    }
    return expand(name, &t, "h", 0, out, size, err);
}

/* Without user and port, of the last one: that is what ssh puts in. */
static void last_jump(const nacre_ssh_config *c, char *out, size_t size)
{
    const char *list = nacre_ssh_config_get(c, "ProxyJump");
    nacre_destination hop;
    out[0] = '\0';
    if (list && strcasecmp(list, "none") != 0) {
        const char *comma = strrchr(list, ',');
        if (nacre_parse_jump(comma ? comma + 1 : list, &hop, NULL) == NACRE_OK) {
            (void)snprintf(out, size, "%s", hop.host);
        }
    }
}

static void hash_of(const nacre_ssh_tokens *t, char out[2 * HASH_BYTES + 1])
{
    uint8_t digest[64];
    char text[4 * NAME_MAX_HERE];
    int n = snprintf(text, sizeof(text), "%s%s%s%s%s", t->local_host, t->host, t->port,
                     t->remote_user, t->jump);
    out[0] = '\0';
    nacre_span piece = nc_span(text, n < 0 ? 0 : (size_t)n);
    if (n < 0 || (size_t)n >= sizeof(text) ||
        nc_hash(nc_hash_get(NC_SHA1), &piece, 1, digest) != NACRE_OK) {
        return;
    }
    for (size_t i = 0; i < HASH_BYTES; i++) {
        (void)snprintf(out + 2 * i, 3, "%02x", digest[i]);
    }
}

static int find_facts(nacre_ssh_config *c, facts *f, nacre_error *err)
{
    const nacre_account *me = nc_conf_me(c);
    const char *alias = nacre_ssh_config_get(c, "HostKeyAlias");
    memset(f, 0, sizeof(*f));
    int rc = nc_conf_host_so_far(c, f->host, sizeof(f->host), err);
    if (rc != NACRE_OK) {
        return rc;
    }
    last_jump(c, f->jump, sizeof(f->jump));
    (void)snprintf(f->uid, sizeof(f->uid), "%lu", me ? (unsigned long)me->uid : 0);
    nacre_ssh_tokens *t = &f->t;
    t->home = me ? me->home : NULL;
    t->host = f->host;
    t->original_host = c->host;
    t->alias = alias ? alias : c->host;
    t->port = nacre_ssh_config_get(c, "Port");
    t->port = t->port ? t->port : "22";
    t->remote_user = nacre_ssh_config_user(c);
    t->local_user = nc_conf_local_user(c);
    t->local_host = nc_conf_local_host(c);
    t->uid = f->uid;
    t->jump = f->jump;
    hash_of(t, f->hash);
    t->hash = f->hash;
    return NACRE_OK;
}

static const char common[] = "CLdhijklnpru";

int nc_conf_expand(nacre_ssh_config *c, const char *text, unsigned flags, char *out, size_t size,
                   nacre_error *err)
{
    facts *f = nc_alloc(c->alloc, sizeof(*f));
    int rc = f ? find_facts(c, f, err) : nc_fail(err, NACRE_NO_MEMORY, "out of memory");
    rc = rc == NACRE_OK ? expand(text, &f->t, common, flags, out, size, err) : rc;
    nc_free(c->alloc, f);
    return rc;
}

/* TOKENS and ENVIRONMENT VARIABLES of ssh_config(5). */
static const struct {
    const char *keyword, *tokens;
    unsigned flags;
} rows[] = {
    {"CertificateFile", common, NC_EXPAND_HOME | NC_EXPAND_ENV},
    {"ControlPath", common, NC_EXPAND_HOME | NC_EXPAND_ENV},
    {"ForwardAgent", common, NC_EXPAND_HOME | NC_EXPAND_ENV},
    {"GlobalKnownHostsFile", "", NC_EXPAND_HOME},
    {"HostName", "h", 0},
    {"IdentityAgent", common, NC_EXPAND_HOME | NC_EXPAND_ENV},
    {"IdentityFile", common, NC_EXPAND_HOME | NC_EXPAND_ENV},
    {"KnownHostsCommand", "CLdhijklnprufHIKt", NC_EXPAND_ENV},
    {"LocalCommand", "CLdhijklnprufHIKtT", NC_EXPAND_SHELL},
    {"LocalForward", common, NC_EXPAND_ENV},
    {"ProxyCommand", "hnpr", NC_EXPAND_SHELL},
    {"ProxyJump", "hnpr", NC_EXPAND_SHELL},
    {"RemoteCommand", common, NC_EXPAND_SHELL},
    {"RemoteForward", common, NC_EXPAND_ENV},
    {"RevokedHostKeys", common, NC_EXPAND_HOME | NC_EXPAND_ENV},
    {"UserKnownHostsFile", common, NC_EXPAND_HOME | NC_EXPAND_ENV},
    {"VersionAddendum", common, NC_EXPAND_ENV},
};

int nacre_ssh_config_expand(nacre_ssh_config *c, const char *keyword, const char *text,
                            const nacre_ssh_tokens *more, char *out, size_t size, nacre_error *err)
{
    const char *tokens = NULL;
    unsigned flags = 0;
    nc_error_clear(err);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        if (strcasecmp(rows[i].keyword, keyword) == 0) {
            tokens = rows[i].tokens;
            flags = rows[i].flags;
        }
    }
    if (!tokens) { /* it takes none: the text is what it is */
        sentence s = {out, size, 0};
        return put(&s, text, strlen(text)) == NACRE_OK
                   ? NACRE_OK
                   : nc_fail(err, NACRE_TOO_LARGE, "%s: too long", keyword);
    }
    facts *f = nc_alloc(c->alloc, sizeof(*f));
    int rc = f ? find_facts(c, f, err) : nc_fail(err, NACRE_NO_MEMORY, "out of memory");
    if (rc == NACRE_OK && more) {
        f->t.fingerprint = more->fingerprint;
        f->t.known_host = more->known_host;
        f->t.reason = more->reason;
        f->t.key = more->key;
        f->t.key_type = more->key_type;
        f->t.tunnel = more->tunnel;
    }
    rc = rc == NACRE_OK ? expand(text, &f->t, tokens, flags, out, size, err) : rc;
    nc_free(c->alloc, f);
    return rc;
}

/* ---- the destination ---- */

const char *nacre_ssh_config_host(const nacre_ssh_config *c)
{
    return c->real ? c->real : c->host;
}

const char *nacre_ssh_config_user(nacre_ssh_config *c)
{
    const char *user = nacre_ssh_config_get(c, "User");
    return user ? user : c->user ? c->user : nc_conf_local_user(c);
}

uint16_t nacre_ssh_config_port(const nacre_ssh_config *c)
{
    return (uint16_t)nacre_ssh_config_number(c, "Port", 22);
}
