/*
 * forward_text.c - forwardings as people write them: "8080:host:80", "[::1]:8080:/run/socket", "1080".
 */
#include "base/error.h"
#include "base/words.h"
#include "nacre/forward.h"

#include <stdio.h>
#include <string.h>

enum { FIELDS_MAX = 4 };

static const char how[] = "[address:]port:host:port, or paths of sockets";

/* Up to four fields, and where the next name goes. */
typedef struct fields {
    const char *text[FIELDS_MAX];
    bool path[FIELDS_MAX];
    size_t count;
    char *at;
    size_t left;
} fields;

/*
 * One field: brackets keep colons, a backslash one character (which then makes no path). *in goes behind the separator;
 * *more: there was one.
 */
static bool next_field(const char **in, fields *f, bool *more)
{
    const char *p = *in;
    bool bracket = *p == '[';
    size_t n = 0;
    char *out = f->at;
    p += bracket ? 1 : 0;
    f->path[f->count] = false;
    for (; *p && (bracket ? *p != ']' : *p != ':'); p++) {
        bool kept = *p == '\\' && !bracket;
        p += kept ? 1 : 0;
        if (!*p || n + 1 >= f->left) {
            return false;
        }
        f->path[f->count] = f->path[f->count] || (*p == '/' && !kept);
        out[n++] = *p;
    }
    if (n + 1 > f->left || (bracket && *p++ != ']') || (*p && *p != ':')) {
        return false;
    }
    out[n++] = '\0';
    f->text[f->count++] = out;
    f->at += n;
    f->left -= n;
    *more = *p != '\0';
    *in = p + (*more ? 1 : 0);
    return true;
}

static bool split(const char *what, fields *f)
{
    bool more = true;
    what += strspn(what, " \t\r\n\f\v");
    while (more) {
        if (f->count == FIELDS_MAX || !next_field(&what, f, &more)) {
            return false;
        }
    }
    return true;
}

static bool port_of(const char *text, uint32_t min, uint16_t *out)
{
    uint32_t n;
    if (!nc_parse_number(text, min, 65535, &n)) {
        return false;
    }
    *out = (uint16_t)n;
    return true;
}

/* Takes "[address:]port" or a path from field *i on; rest: how many fields shall be left. */
static bool take_listen(const fields *f, size_t *i, size_t rest, uint32_t min,
                        nacre_forward_end *out)
{
    size_t n = f->count - *i - rest;
    if (n == 1 && f->path[*i]) {
        out->path = f->text[(*i)++];
        return true;
    }
    if (n == 2 && !f->path[*i]) {
        out->host = f->text[(*i)++];
        n--;
    }
    return n == 1 && port_of(f->text[(*i)++], min, &out->port);
}

static bool take_connect(const fields *f, size_t *i, nacre_forward_end *out)
{
    size_t n = f->count - *i;
    if (n == 1 && f->path[*i]) {
        out->path = f->text[(*i)++];
        return true;
    }
    if (n != 2 || f->text[*i][0] == '\0' || f->path[*i]) {
        return false;
    }
    out->host = f->text[(*i)++];
    return port_of(f->text[(*i)++], 1, &out->port);
}

static bool has_target(const fields *f)
{
    return f->count >= 3 || (f->count == 2 && f->path[1]);
}

int nacre_forward_parse(nacre_forward_kind kind, const char *what, nacre_forward_options *o,
                        nacre_forward_text *text, nacre_error *err)
{
    fields f;
    nacre_forward_end listen, target;
    size_t i = 0;
    memset(&f, 0, sizeof(f));
    memset(&listen, 0, sizeof(listen));
    memset(&target, 0, sizeof(target));
    nc_error_clear(err);
    f.at = text->room;
    f.left = sizeof(text->room);
    bool remote = kind == NACRE_FORWARD_REMOTE || kind == NACRE_FORWARD_REMOTE_DYNAMIC;
    bool dynamic = kind == NACRE_FORWARD_DYNAMIC || kind == NACRE_FORWARD_REMOTE_DYNAMIC;
    bool good = split(what, &f);
    if (good && kind == NACRE_FORWARD_REMOTE && !has_target(&f)) {
        kind = NACRE_FORWARD_REMOTE_DYNAMIC;
        dynamic = true;
    }
    size_t rest = dynamic ? 0 : f.count > 0 && f.path[f.count - 1] ? 1 : 2;
    good = good && f.count > rest && take_listen(&f, &i, rest, remote ? 0 : 1, &listen);
    good = good && (dynamic || take_connect(&f, &i, &target)) && i == f.count;
    if (!good) {
        return nc_fail(err, NACRE_SYNTAX, "\"%s\" is no forwarding (%s)",
                       NC_ESC(nc_span_cstr(what)), how);
    }
    o->kind = kind;
    o->listen = listen;
    o->connect = target;
    return NACRE_OK;
}

static int put_end(const nacre_forward_end *e, bool always, char *out, size_t size)
{
    int n = e->path ? snprintf(out, size, "%s", e->path)
            : e->host || always
                ? snprintf(out, size, "[%s]:%u", e->host ? e->host : "", (unsigned)e->port)
                : snprintf(out, size, "%u", (unsigned)e->port);
    return n >= 0 && (size_t)n < size ? n : -1;
}

int nacre_forward_format(const nacre_forward_options *o, char *out, size_t size)
{
    static const nacre_forward_end socks = {"socks", 0, NULL};
    int n = put_end(&o->listen, false, out, size);
    if (n < 0) {
        return NACRE_TOO_LARGE;
    }
    if (o->kind == NACRE_FORWARD_DYNAMIC) {
        return NACRE_OK;
    }
    size_t at = (size_t)n;
    if (at + 1 >= size) {
        return NACRE_TOO_LARGE;
    }
    out[at++] = ' ';
    const nacre_forward_end *to = o->kind == NACRE_FORWARD_REMOTE_DYNAMIC ? &socks : &o->connect;
    return put_end(to, true, out + at, size - at) < 0 ? NACRE_TOO_LARGE : NACRE_OK;
}
