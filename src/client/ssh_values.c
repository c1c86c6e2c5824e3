/*
 * ssh_values.c - the little languages inside of ssh_config's values: limits, tokens, destinations. Words,
 * times and sizes are in base/words.c.
 */
#include "base/words.h"
#include "client/ssh_config.h"
#include "keys/pattern.h"
#include "nacre/account.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* ---- numbers ---- */

int nacre_parse_time(const char *text, uint32_t *seconds)
{
    return text && nc_parse_time(text, seconds) ? NACRE_OK : NACRE_SYNTAX;
}

int nacre_parse_bytes(const char *text, uint64_t *bytes)
{
    return text && nc_parse_size(text, bytes) ? NACRE_OK : NACRE_SYNTAX;
}

int nacre_parse_rekey_limit(const char *text, uint64_t *bytes, uint32_t *seconds)
{
    char size[64], time[64];
    const char *p = text;
    *bytes = 0;
    *seconds = 0;
    if (!text || nc_next_word(&p, size, sizeof(size)) != 1 || !nc_parse_rekey_size(size, bytes)) {
        return NACRE_SYNTAX;
    }
    int more = nc_next_word(&p, time, sizeof(time));
    if (more < 0 || (more == 1 && !nc_parse_rekey_time(time, seconds))) {
        return NACRE_SYNTAX;
    }
    return more == 1 && nc_next_word(&p, size, sizeof(size)) != 0 ? NACRE_SYNTAX : NACRE_OK;
}

bool nacre_ssh_pattern(const char *text, const char *pattern)
{
    return nc_pattern_match(nc_span_cstr(text), nc_span_cstr(pattern), false);
}

/* ---- tokens ---- */

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

static const char *token_value(const nacre_ssh_tokens *t, char c)
{
    const struct {
        char c;
        const char *value;
    } known[] = {
        {'%', "%"},           {'d', t->home},       {'h', t->host},        {'n', t->original_host},
        {'k', t->alias},      {'p', t->port},       {'r', t->remote_user}, {'u', t->local_user},
        {'l', t->local_host}, {'L', t->local_host}, {'i', t->uid}};
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        if (known[i].c == c) {
            return known[i].value;
        }
    }
    return NULL;
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

int nacre_ssh_expand(const char *text, const nacre_ssh_tokens *tokens, bool tilde, char *out,
                     size_t size, nacre_error *err)
{
    nc_error_clear(err);
    sentence s = {out, size, 0};
    const char *p = text;
    int rc = put(&s, "", 0);
    if (rc == NACRE_OK && tilde && *p == '~') {
        rc = put_home(&s, &p, tokens, err);
    }
    while (rc == NACRE_OK && *p) {
        if (p[0] == '$' && p[1] == '{') {
            rc = put_environment(&s, &p, err);
        } else if (*p == '%') {
            const char *value = p[1] ? token_value(tokens, p[1]) : NULL;
            if (!value) {
                char token[3] = {'%', p[1], '\0'};
                return nc_fail(err, NACRE_SYNTAX, "%s is not a token that can be used here (in %s)",
                               NC_ESC(nc_span_cstr(token)), NC_ESC(nc_span_cstr(text)));
            }
            rc = put(&s, value, p[1] == 'L' ? strcspn(value, ".") : strlen(value));
            p += 2;
        } else {
            rc = put(&s, p++, 1);
        }
    }
    return rc == NACRE_OK || (err && err->status)
               ? rc
               : nc_fail(err, rc, "%s: too long when expanded", NC_ESC(nc_span_cstr(text)));
}

/* ---- destinations ---- */

/* Names end up in %-tokens, messages and other programs' arguments: nothing that could be more than a
 * name. */
static bool is_safe_name(const char *name, bool host)
{
    if (*name == '-') {
        return false;
    }
    for (const char *p = name; *p; p++) {
        unsigned char c = (unsigned char)*p;
        if (c < 0x20 || c == 0x7f || strchr("'`\"$\\;&<>|(){}", c) || (host && c == ' ')) {
            return false;
        }
    }
    return true;
}

static int copy_part(char *out, size_t size, const char *from, size_t n)
{
    if (n >= size) {
        return NACRE_TOO_LARGE;
    }
    memcpy(out, from, n);
    out[n] = '\0';
    return NACRE_OK;
}

/* RFC 3986 2.1, in place. */
static int percent_decode(char *s)
{
    char *to = s;
    for (const char *p = s; *p; p++) {
        if (*p != '%') {
            *to++ = *p;
            continue;
        }
        char hex[3] = {p[1], p[1] ? p[2] : '\0', '\0'};
        char *end;
        long v = strtol(hex, &end, 16);
        if (end != hex + 2 || v == 0 || !strchr("0123456789abcdefABCDEF", hex[0])) {
            return NACRE_SYNTAX;
        }
        *to++ = (char)v;
        p += 2;
    }
    *to = '\0';
    return NACRE_OK;
}

/* "host", "[::1]"; with_port: also ":22" behind it. n bytes of text. */
static int split_host(const char *text, size_t n, bool with_port, nacre_destination *out)
{
    const char *host = text, *end = text + n, *after;
    if (*text == '[' && memchr(text, ']', n)) {
        host = text + 1;
        after = (const char *)memchr(text, ']', n) + 1;
        n = (size_t)(after - host) - 1;
    } else {
        const char *colon = with_port ? memchr(text, ':', n) : NULL;
        after = colon ? colon : end;
        n = (size_t)(after - host);
    }
    if (after != end) {
        uint64_t port;
        const char *p = after + 1;
        if (!with_port || *after != ':' || !nc_parse_digits(&p, 65535, &port) || p != end ||
            port == 0) {
            return NACRE_SYNTAX;
        }
        out->port = (uint16_t)port;
    }
    return n ? copy_part(out->host, sizeof(out->host), host, n) : NACRE_SYNTAX;
}

static int parse_uri(const char *rest, nacre_destination *out)
{
    size_t n = strcspn(rest, "/");
    const char *at = NULL;
    for (size_t i = 0; i < n; i++) {
        at = rest[i] == '@' ? rest + i : at;
    }
    int rc =
        rest[n] ? copy_part(out->path, sizeof(out->path), rest + n, strlen(rest + n)) : NACRE_OK;
    if (rc == NACRE_OK && at) {
        /* A fingerprint or password behind ';' or ':' is not ours to take (the draft was dropped). */
        size_t user = strcspn(rest, ";:");
        user = user < (size_t)(at - rest) ? user : (size_t)(at - rest);
        rc = copy_part(out->user, sizeof(out->user), rest, user);
        n -= (size_t)(at + 1 - rest);
        rest = at + 1;
    }
    if (rc == NACRE_OK) {
        rc = split_host(rest, n, true, out);
    }
    if (rc == NACRE_OK) {
        rc = percent_decode(out->user);
    }
    return rc == NACRE_OK ? percent_decode(out->path) : rc;
}

int nacre_parse_destination(const char *text, nacre_destination *out, nacre_error *err)
{
    nc_error_clear(err);
    static const char *const schemes[] = {"ssh://", "sftp://", "scp://"};
    int rc = NACRE_AGAIN;
    memset(out, 0, sizeof(*out));
    for (size_t i = 0; i < 3 && rc == NACRE_AGAIN; i++) {
        size_t n = strlen(schemes[i]);
        if (strncasecmp(text, schemes[i], n) == 0) {
            rc = parse_uri(text + n, out);
        }
    }
    if (rc == NACRE_AGAIN) {
        const char *at = strrchr(text, '@');
        rc = at ? copy_part(out->user, sizeof(out->user), text, (size_t)(at - text)) : NACRE_OK;
        text = at ? at + 1 : text;
        rc = rc == NACRE_OK ? split_host(text, strlen(text), false, out) : rc;
        if (rc == NACRE_OK && at && !*out->user) {
            rc = NACRE_SYNTAX;
        }
    }
    if (rc == NACRE_OK && (!is_safe_name(out->host, true) || !is_safe_name(out->user, false))) {
        rc = NACRE_SYNTAX;
    }
    return rc == NACRE_OK ? rc
                          : nc_fail(err, rc,
                                    "\"%s\" is not a destination ([user@]host, "
                                    "ssh://[user@]host[:port])",
                                    NC_ESC(nc_span_cstr(text)));
}
