/*
 * ssh_destination.c - where a connection goes: destinations as people type them, URIs, and the list of ProxyJump.
 *
 * Names end up in %-tokens, messages and other programs' arguments: nothing passes that could be more than a
 * name (the rules of OpenSSH 10, after CVE-2023-51385 and CVE-2025-61984).
 */
#include "base/words.h"
#include "client/ssh_config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* ---- names ---- */

static bool is_control(unsigned char c)
{
    return c < 0x20 || c == 0x7f;
}

bool nacre_ssh_is_host_name(const char *name)
{
    if (*name == '-') {
        return false;
    }
    for (const char *p = name; *p; p++) {
        unsigned char c = (unsigned char)*p;
        if (is_control(c) || c == ' ' || strchr("'`\"$\\;&<>|(){},", c)) {
            return false;
        }
    }
    return true;
}

bool nacre_ssh_is_user_name(const char *name)
{
    if (*name == '-') {
        return false;
    }
    for (const char *p = name; *p; p++) {
        unsigned char c = (unsigned char)*p;
        if (is_control(c) || strchr("'`\";&<>|(){}", c)) {
            return false;
        }
        /* What could become an option when something splits words, and what could hide a character. */
        if ((c == ' ' && p[1] == '-') || (c == '\\' && !p[1])) {
            return false;
        }
    }
    return true;
}

/* ---- destinations ---- */

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
    if (rc == NACRE_OK &&
        (!nacre_ssh_is_host_name(out->host) || !nacre_ssh_is_user_name(out->user))) {
        rc = NACRE_SYNTAX;
    }
    return rc == NACRE_OK ? rc
                          : nc_fail(err, rc,
                                    "\"%s\" is not a destination ([user@]host, "
                                    "ssh://[user@]host[:port])",
                                    NC_ESC(nc_span_cstr(text)));
}

/* ---- ProxyJump ---- */

/* "[user@]host[:port]", "[user@][::1][:port]". */
static int parse_hop(const char *text, nacre_destination *out)
{
    const char *at = strrchr(text, '@');
    int rc = at ? copy_part(out->user, sizeof(out->user), text, (size_t)(at - text)) : NACRE_OK;
    if (rc != NACRE_OK || (at && !*out->user)) {
        return NACRE_SYNTAX;
    }
    text = at ? at + 1 : text;
    return split_host(text, strlen(text), true, out);
}

int nacre_parse_jump(const char *text, nacre_destination *out, nacre_error *err)
{
    int rc;
    nc_error_clear(err);
    memset(out, 0, sizeof(*out));
    if (strncasecmp(text, "ssh://", 6) == 0) {
        rc = nacre_parse_destination(text, out, NULL);
        rc = rc == NACRE_OK && *out->path && strcmp(out->path, "/") != 0 ? NACRE_SYNTAX : rc;
    } else {
        rc = strstr(text, "://") ? NACRE_SYNTAX : parse_hop(text, out);
    }
    if (rc == NACRE_OK &&
        (!nacre_ssh_is_host_name(out->host) || !nacre_ssh_is_user_name(out->user))) {
        rc = NACRE_SYNTAX;
    }
    return rc == NACRE_OK ? rc
                          : nc_fail(err, rc,
                                    "\"%s\" is no host to jump to ([user@]host[:port] or "
                                    "ssh://[user@]host[:port])",
                                    NC_ESC(nc_span_cstr(text)));
}

bool nc_is_jump_list(const char *text)
{
    for (;;) {
        nacre_destination hop;
        char one[sizeof(hop.user) + sizeof(hop.host) + 64];
        size_t n = strcspn(text, ",");
        if (copy_part(one, sizeof(one), text, n) != NACRE_OK ||
            nacre_parse_jump(one, &hop, NULL) != NACRE_OK) {
            return false;
        }
        if (!text[n]) {
            return true;
        }
        text += n + 1;
    }
}
