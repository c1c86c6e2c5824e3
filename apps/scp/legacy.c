/*
 * legacy.c - -O: the old copy protocol, for servers that have no SFTP.
 */
#include "scp.h"

#include "nacre/scp.h"

#include <errno.h>
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

static void warn(void *user, const char *text)
{
    scp *a = user;
    if (!a->interrupted) {
        fail(a, "%s", text);
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
} old;

static bool open_old(scp *a, old *l, const place *p)
{
    connect_options co;
    nacre_scp_options o;
    nacre_error why = {0};
    memset(l, 0, sizeof(*l));
    far_options(a, p, &co);
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
    a->old = l->s;
    return true;
}

static void close_old(scp *a, old *l)
{
    a->old = NULL;
    nacre_scp_free(l->s);
    connection_close(l->link);
}

static void tell(scp *a, const old *l, int rc)
{
    if (rc == NACRE_SOME_FAILED) {
        a->status = a->status ? a->status : SCP_FAILED;
    } else if (rc != NACRE_OK && !a->interrupted) {
        fail(a, "%s", nacre_scp_error(l->s)->text);
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
    if (!open_old(a, &l, target)) {
        return;
    }
    const char **paths = paths_of(sources, count);
    tell(a, &l, nacre_scp_put(l.s, paths, count, target->path, NULL));
    free(paths);
    close_old(a, &l);
}

void legacy_down(scp *a, const place *sources, size_t count, const char *target)
{
    bool *done = keep(calloc(count, sizeof(*done)));
    const char **paths = keep(calloc(count, sizeof(*paths)));
    for (size_t i = 0; i < count && !a->interrupted; i++) {
        old l;
        size_t n = 0;
        for (size_t k = i; k < count; k++) {
            if (!done[k] && place_same_host(&sources[i], &sources[k])) {
                done[k] = true;
                paths[n++] = sources[k].path;
            }
        }
        if (n > 0 && open_old(a, &l, &sources[i])) {
            tell(a, &l, nacre_scp_get(l.s, paths, n, target, NULL));
            close_old(a, &l);
        }
    }
    free(paths);
    free(done);
}
