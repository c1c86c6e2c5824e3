/*
 * legacy.c - -O: the old copy protocol, for servers that have no SFTP.
 */
#include "scp.h"

#include "../sftp/words.h"

#include "nacre/scp.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool step(void *user, const char *path, uint64_t done, uint64_t total)
{
    return on_progress(user, path, done, total);
}

/* Files that failed are told by on_warning, in the words of whoever refused them. */
static void over(void *user, const nacre_sftp_item *item)
{
    scp *a = user;
    if (item->outcome == NACRE_SFTP_STARTED) {
        debug(a, "%s %s to %s", item->up ? "Sending" : "Fetching", shown(item->from),
              shown(item->to));
    } else {
        progress_end(a->bar, item->up ? item->from : item->to, item->outcome == NACRE_SFTP_COPIED);
    }
}

/* The last warning: a failure that ends the call is a warning first. */
static char told[2048];

/* Whoever speaks, the name in front is ours. */
static const char *without_name(const char *text)
{
    return strncmp(text, "scp: ", 5) == 0 ? text + 5 : text;
}

static void warn(void *user, const char *text)
{
    scp *a = user;
    (void)snprintf(told, sizeof(told), "%s", text);
    if (!a->interrupted) {
        fail(a, "%s", without_name(text));
    }
}

static void show_stderr(void *user, nacre_span text)
{
    const scp *a = user;
    char line[2048];
    progress_clear(a->bar);
    while (text.n > 0) {
        size_t n = text.n < 500 ? text.n : 500;
        const uint8_t *end = memchr(text.p, '\n', n);
        n = end ? (size_t)(end - text.p) : n;
        (void)nacre_escape(line, sizeof(line), (nacre_span){text.p, n});
        (void)fprintf(stderr, "%s%s", line, end ? "\n" : "");
        n += end ? 1 : 0;
        text = (nacre_span){text.p + n, text.n - n};
    }
}

typedef struct old {
    connection *link;
    nacre_scp *s;
    int slot; /* in scp.old */
} old;

/* loop: NULL for one of its own. */
static bool open_old(scp *a, old *l, const place *p, nacre_loop *loop)
{
    connect_options co;
    nacre_scp_options o;
    nacre_error why = {0};
    memset(l, 0, sizeof(*l));
    far_options(a, p, &co);
    co.loop = loop;
    nacre_client *c = connection_login(&l->link, &co);
    if (!c) {
        a->status = SCP_NO_CONNECTION;
        return false;
    }
    nacre_scp_options_init(&o);
    o.timeout_ms = NACRE_FOREVER;
    o.verbose = a->args.verbose > 0;
    o.names = NACRE_SCP_PATTERN;
    o.preserve = a->args.preserve;
    o.recursive = a->args.recursive;
    o.to_directory = a->args.to_directory;
    o.any_name = a->args.any_name;
    o.rate = a->args.rate;
    o.progress = step;
    o.on_item = over;
    o.on_warning = warn;
    o.on_stderr = show_stderr;
    o.user = a;
    if (nacre_scp_new(&l->s, c, &o, &why) != NACRE_OK) {
        fail_badly(a, "%s", why.text);
        connection_close(l->link);
        return false;
    }
    l->slot = a->old[0] ? 1 : 0;
    a->old[l->slot] = l->s;
    return true;
}

static void close_old(scp *a, old *l)
{
    a->old[l->slot] = NULL;
    nacre_scp_free(l->s);
    connection_close(l->link);
}

/* An interrupt needs no words, but for what it leaves behind. */
static bool says_what_is_left(const nacre_error *e)
{
    return strstr(e->text, "is incomplete") != NULL;
}

static void tell(scp *a, const old *l, int rc)
{
    if (rc == NACRE_SOME_FAILED) {
        a->status = a->status ? a->status : SCP_FAILED;
    } else if (rc != NACRE_OK && (!a->interrupted || says_what_is_left(nacre_scp_error(l->s)))) {
        const char *text = nacre_scp_error(l->s)->text;
        a->status = a->status ? a->status : SCP_FAILED;
        if (strcmp(text, told) != 0) {
            fail(a, "%s", without_name(text));
        }
    }
}

static const char **paths_of(const place *sources, size_t count)
{
    const char **paths = keep(calloc(count ? count : 1, sizeof(*paths)));
    for (size_t i = 0; i < count; i++) {
        paths[i] = sources[i].path;
    }
    return paths;
}

void legacy_up(scp *a, const place *sources, size_t count, const place *target)
{
    old l;
    if (!open_old(a, &l, target, NULL)) {
        return;
    }
    const char **paths = paths_of(sources, count);
    tell(a, &l, nacre_scp_put(l.s, paths, count, target->path, NULL));
    free(paths);
    close_old(a, &l);
}

/* Sources with their {a,b} written out, which not every remote shell knows; only the paths are new. */
static place *expanded(scp *a, const place *sources, size_t *count)
{
    place *out = keep(calloc(*count ? *count : 1, sizeof(*out)));
    size_t n = 0, room = *count;
    for (size_t i = 0; i < *count; i++) {
        char **paths = words_braces(sources[i].path);
        size_t more = 0;
        if (!paths) {
            fail(a, "%s: too many alternatives in braces", shown(sources[i].path));
            continue;
        }
        while (paths[more]) {
            more++;
        }
        room += more;
        out = keep(realloc(out, room * sizeof(*out)));
        for (size_t k = 0; k < more; k++) {
            out[n] = sources[i];
            out[n++].path = paths[k];
        }
        free(paths);
    }
    *count = n;
    return out;
}

static void forget_expanded(place *p, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        free(p[i].path);
    }
    free(p);
}

void legacy_down(scp *a, const place *given, size_t count, const char *target)
{
    place *sources = expanded(a, given, &count);
    bool *done = keep(calloc(count ? count : 1, sizeof(*done)));
    const char **paths = keep(calloc(count ? count : 1, sizeof(*paths)));
    for (size_t i = 0; i < count && !a->interrupted; i++) {
        old l;
        size_t n = 0;
        for (size_t k = i; k < count; k++) {
            if (!done[k] && place_same_host(&sources[i], &sources[k])) {
                done[k] = true;
                paths[n++] = sources[k].path;
            }
        }
        if (n > 0 && open_old(a, &l, &sources[i], NULL)) {
            tell(a, &l, nacre_scp_get(l.s, paths, n, target, NULL));
            close_old(a, &l);
        }
    }
    free(paths);
    free(done);
    forget_expanded(sources, count);
}

/* ---- from server to server ---- */

void legacy_through(scp *a, const place *given, size_t count, const place *target)
{
    old from, to;
    nacre_loop *loop = NULL;
    nacre_error why = {0};
    if (nacre_loop_new(&loop, NULL, &why) != NACRE_OK) {
        fail_badly(a, "%s", why.text);
        return;
    }
    place *sources = expanded(a, given, &count);
    bool open = open_old(a, &to, target, loop);
    for (size_t i = 0; i < count && open && !a->interrupted; i++) {
        if (place_same_host(&sources[i], target) && strcmp(sources[i].path, target->path) == 0) {
            fail(a, "%s: source and target are the same file", shown(sources[i].path));
        } else if (open_old(a, &from, &sources[i], loop)) {
            tell(a, &from, nacre_scp_between(from.s, sources[i].path, to.s, target->path, NULL));
            close_old(a, &from);
        }
    }
    if (open) {
        close_old(a, &to);
    }
    forget_expanded(sources, count);
    nacre_loop_free(loop);
}
