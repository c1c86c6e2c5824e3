/*
 * legacy.c - -O: the old copy protocol, for servers that have no SFTP.
 */
#include "scp.h"

#include "nacre/scp.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

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
        fail(a, "%s", strncmp(text, "scp: ", 5) == 0 ? text + 5 : text); /* the name is ours */
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

/* quiet: calls will come from another thread, which must leave the rest of the program alone. */
static bool open_old(scp *a, old *l, const place *p, bool quiet)
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
    o.progress = quiet ? NULL : step;
    o.on_item = quiet ? NULL : over;
    o.on_warning = quiet ? NULL : warn;
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
    if (!open_old(a, &l, target, false)) {
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
        if (n > 0 && open_old(a, &l, &sources[i], false)) {
            tell(a, &l, nacre_scp_get(l.s, paths, n, target, NULL));
            close_old(a, &l);
        }
    }
    free(paths);
    free(done);
}

/* ---- from server to server ---- */

/*
 * The file comes in a thread of its own and leaves in this one; a pipe between them bounds what is in memory.
 * What the protocol says of the file has to be known before it can be sent on.
 */
typedef struct stream {
    nacre_scp *from;
    const char *path;
    int in, out; /* the pipe */
    pthread_mutex_t lock;
    pthread_cond_t told;
    bool begun, over;
    nacre_scp_stat st;
    int rc;
} stream;

static bool on_begin(void *user, const nacre_scp_stat *st)
{
    stream *f = user;
    pthread_mutex_lock(&f->lock);
    f->st = *st;
    f->begun = true;
    pthread_cond_signal(&f->told);
    pthread_mutex_unlock(&f->lock);
    return true;
}

static bool on_bytes(void *user, const void *p, size_t n)
{
    const stream *f = user;
    while (n > 0) {
        ssize_t some = write(f->out, p, n);
        if (some < 0 && errno == EINTR) {
            continue;
        }
        if (some <= 0) {
            return false; /* the other side has given up */
        }
        p = (const uint8_t *)p + some;
        n -= (size_t)some;
    }
    return true;
}

static void *receive(void *user)
{
    stream *f = user;
    int rc = nacre_scp_getfo(f->from, f->path, on_begin, on_bytes, f, NULL);
    pthread_mutex_lock(&f->lock);
    f->rc = rc;
    f->over = true;
    (void)close(f->out);
    pthread_cond_signal(&f->told);
    pthread_mutex_unlock(&f->lock);
    return NULL;
}

static bool on_wanted(void *user, void *p, size_t n, size_t *got)
{
    const stream *f = user;
    ssize_t some;
    do {
        some = read(f->in, p, n);
    } while (some < 0 && errno == EINTR);
    *got = some > 0 ? (size_t)some : 0;
    return some >= 0;
}

static void send_on(scp *a, old *from, old *to, stream *f, const char *target)
{
    pthread_t thread;
    if (pthread_create(&thread, NULL, receive, f) != 0) {
        fail_badly(a, "no thread can be made");
        (void)close(f->out);
        (void)close(f->in);
        return;
    }
    pthread_mutex_lock(&f->lock);
    while (!f->begun && !f->over) {
        pthread_cond_wait(&f->told, &f->lock);
    }
    bool begun = f->begun;
    pthread_mutex_unlock(&f->lock);
    char *name = keep(name_of(f->path));
    int rc = NACRE_OK;
    if (begun) {
        f->st.has_times = f->st.has_times && a->args.preserve;
        rc = nacre_scp_putfo(to->s, on_wanted, f, &f->st, name, target);
    }
    (void)close(f->in); /* ends the receiving, too, when the sending has failed */
    (void)pthread_join(thread, NULL);
    progress_end(a->bar, target, begun && rc == NACRE_OK && f->rc == NACRE_OK);
    /* The side that failed first is the one that knows why. */
    if (f->rc != NACRE_OK && f->rc != NACRE_CANCELLED) {
        tell(a, from, f->rc == NACRE_SOME_FAILED ? NACRE_SCP_REFUSED : f->rc);
    } else {
        tell(a, to, rc);
    }
    if (rc != NACRE_OK || f->rc != NACRE_OK) {
        a->status = a->status ? a->status : SCP_FAILED;
    }
    free(name);
}

void legacy_through(scp *a, const place *source, const place *target)
{
    old from, to;
    int pair[2];
    stream f;
    if (a->args.recursive) {
        fail(a, "-O copies single files from server to server: leave -O away, or add -R");
        return;
    }
    if (place_same_host(source, target) && strcmp(source->path, target->path) == 0) {
        fail(a, "%s: source and target are the same file", shown(source->path));
        return;
    }
    if (!open_old(a, &to, target, false)) {
        return;
    }
    if (open_old(a, &from, source, true)) {
        memset(&f, 0, sizeof(f));
        if (pipe2(pair, O_CLOEXEC) != 0) {
            fail_badly(a, "pipe: %s", strerror(errno));
        } else {
            f.from = from.s;
            f.path = source->path;
            f.in = pair[0];
            f.out = pair[1];
            (void)pthread_mutex_init(&f.lock, NULL);
            (void)pthread_cond_init(&f.told, NULL);
            send_on(a, &from, &to, &f, target->path);
            (void)pthread_cond_destroy(&f.told);
            (void)pthread_mutex_destroy(&f.lock);
        }
        close_old(a, &from);
    }
    close_old(a, &to);
}
