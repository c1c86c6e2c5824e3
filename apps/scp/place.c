/*
 * place.c - see place.h.
 */
#include "place.h"

#include "nacre/ssh_config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* The ':' that parts a host from a path; NULL: a local name. */
static const char *find_colon(const char *text)
{
    bool bracket = *text == '[';
    if (*text == ':') {
        return NULL;
    }
    for (const char *p = text; *p && *p != '/'; p++) {
        bracket = bracket || (p[0] == '@' && p[1] == '[');
        if (bracket && p[0] == ']' && p[1] == ':') {
            return p + 1;
        }
        if (!bracket && *p == ':') {
            return p;
        }
    }
    return NULL;
}

static int hex(char c)
{
    const char *digits = "0123456789abcdef";
    const char *at = c ? strchr(digits, c >= 'A' && c <= 'F' ? c + 32 : c) : NULL;
    return at ? (int)(at - digits) : -1;
}

/* RFC 3986 2.1, in place; a NUL cannot be part of a path. */
static bool decode(char *s)
{
    char *to = s;
    for (const char *p = s; *p; p++) {
        if (*p != '%') {
            *to++ = *p;
            continue;
        }
        int high = hex(p[1]), low = high < 0 ? -1 : hex(p[2]);
        if (low < 0 || high + low == 0) {
            return false;
        }
        *to++ = (char)(high * 16 + low);
        p += 2;
    }
    *to = '\0';
    return true;
}

/* The host's part, checked as every destination is: it can be no option, and no word of a shell. */
static bool take_host(char *front, const char *path, place *out, char *why, size_t size)
{
    nacre_destination d;
    nacre_error e = {0};
    if (nacre_parse_destination(front, &d, &e) != NACRE_OK) {
        (void)snprintf(why, size, "%s", e.text);
        return false;
    }
    out->remote = true;
    out->port = d.port;
    out->host = strdup(d.host);
    out->user = *d.user ? strdup(d.user) : NULL;
    out->path = strdup(*path ? path : ".");
    if (!out->host || !out->path || (*d.user && !out->user)) {
        (void)snprintf(why, size, "out of memory");
        return false;
    }
    return true;
}

static bool parse_uri(char *copy, place *out, char *why, size_t size)
{
    char *slash = strchr(copy + strlen("scp://"), '/');
    char none[] = "";
    char *path = none;
    if (slash) {
        *slash = '\0';
        path = slash + 1;
    }
    if (!decode(path)) {
        (void)snprintf(why, size, "invalid uri: a %% without two hexadecimal digits behind it");
        return false;
    }
    return take_host(copy, path, out, why, size);
}

bool place_parse(const char *text, place *out, char *why, size_t size)
{
    memset(out, 0, sizeof(*out));
    bool uri = strncmp(text, "scp://", 6) == 0;
    const char *colon = uri ? NULL : find_colon(text);
    char *copy = strdup(text);
    bool good = copy != NULL;
    if (!good) {
        (void)snprintf(why, size, "out of memory");
    } else if (uri) {
        good = parse_uri(copy, out, why, size);
    } else if (colon) {
        copy[colon - text] = '\0';
        /* "@host:" has an empty user, which is none. */
        good = take_host(copy + (*copy == '@'), colon + 1, out, why, size);
    } else {
        out->path = copy;
        return true;
    }
    free(copy);
    if (!good) {
        place_clear(out);
    }
    return good;
}

void place_clear(place *p)
{
    free(p->user);
    free(p->host);
    free(p->path);
    memset(p, 0, sizeof(*p));
}

static bool same_text(const char *a, const char *b)
{
    return a == b || (a && b && strcmp(a, b) == 0);
}

bool place_same_host(const place *a, const place *b)
{
    return a->remote && b->remote && strcasecmp(a->host, b->host) == 0 && a->port == b->port &&
           same_text(a->user, b->user);
}

/* ---- names ---- */

char *name_of(const char *path)
{
    size_t end = strlen(path);
    while (end > 0 && path[end - 1] == '/') {
        end--;
    }
    size_t start = end;
    while (start > 0 && path[start - 1] != '/') {
        start--;
    }
    size_t n = end - start;
    if ((n == 1 && path[start] == '.') || (n == 2 && memcmp(path + start, "..", 2) == 0)) {
        n = 0;
    }
    return strndup(path + start, n);
}

char *name_in(const char *dir, const char *name)
{
    size_t n = strlen(dir);
    size_t size = n + strlen(name) + 2;
    bool slash = *name && n > 0 && dir[n - 1] != '/';
    char *text = malloc(size);
    if (text) {
        (void)snprintf(text, size, "%s%s%s", dir, slash ? "/" : "", name);
    }
    return text;
}

bool name_of_directory(const char *path)
{
    size_t n = strlen(path);
    return n > 0 && path[n - 1] == '/';
}

const char *name_from_home(const char *path)
{
    if (*path != '~') {
        return *path ? path : ".";
    }
    if (path[1] != '\0' && path[1] != '/') {
        return NULL;
    }
    path += 1 + strspn(path + 1, "/");
    return *path ? path : ".";
}
