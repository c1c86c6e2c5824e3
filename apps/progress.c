/*
 * progress.c - the line that shows how far transfers are.
 */
#include "progress.h"

#include "text_width.h"

#include "nacre/process.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum {
    TICK_MS = 200,           /* how often the window's size and a stall are looked at */
    REDRAW_MS = 100,         /* not more often: a terminal is slower than a network */
    STALLED_MS = 5000,       /* without a byte */
    TAIL_COLUMNS = 35,       /* everything behind the name, and one column left free */
    SHORT_TAIL_COLUMNS = 13, /* percent and amount alone, likewise */
    NAME_COLUMNS = 8,        /* of a name, for which the rest makes room */
    SPEED_MS = 1000,         /* speed is measured over about so long, so that it does not flicker */
    NAME_BYTES = 4096
};

typedef struct file {
    char *path;
    char *name; /* its last part, escaped */
    uint64_t first, done, total;
    uint64_t began, changed;          /* ms: when it began, when a byte last came */
    uint64_t measured, measured_done; /* where the speed was last taken */
    double speed;                     /* bytes per second; 0: not known yet */
    bool drawn;
} file;

struct progress {
    pthread_mutex_t lock;
    pthread_cond_t wake;
    pthread_t ticker;
    bool ending;
    file *files; /* on the way */
    size_t count;
    size_t current; /* the one that is shown */
    bool line;      /* one stands on the terminal */
    unsigned columns;
    uint64_t drawn; /* ms */
};

static uint64_t now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

/* ---- text --------------------------------------------------------------------------------------------- */

/* "1234", "12.3MB": four digits at most and a unit; tenths where asked for. */
static void amount(char *out, size_t size, double n, bool tenths)
{
    static const char units[] = " KMGTPE";
    size_t i = 0;
    double most = tenths ? 1000.0 : 10000.0;
    if (tenths) {
        n /= 1024.0; /* speeds begin at KB */
        i = 1;
    }
    while (n >= most && units[i + 1]) {
        n /= 1024.0;
        i++;
    }
    if (tenths) {
        snprintf(out, size, "%5.1f%cB", n, units[i]);
    } else {
        snprintf(out, size, "%4.0f%c%c", n, units[i], i > 0 ? 'B' : ' ');
    }
}

static void duration(char *out, size_t size, uint64_t seconds, const char *behind)
{
    unsigned s = (unsigned)(seconds % 60);
    unsigned m = (unsigned)(seconds / 60 % 60);
    if (seconds >= 3600 * 100) {
        snprintf(out, size, "  --:--%s", behind);
    } else if (seconds >= 3600) {
        snprintf(out, size, "%u:%02u:%02u%s", (unsigned)(seconds / 3600), m, s, behind);
    } else {
        snprintf(out, size, "  %02u:%02u%s", m, s, behind);
    }
}

static void time_left(char *out, size_t size, const file *f, uint64_t now, bool over)
{
    if (over) {
        duration(out, size, (now - f->began) / 1000, "    ");
    } else if (now - f->changed >= STALLED_MS) {
        snprintf(out, size, "- stalled -");
    } else if (f->total == UINT64_MAX || f->speed < 1.0 || f->total < f->done) {
        snprintf(out, size, "  --:-- ETA");
    } else {
        duration(out, size, (uint64_t)((double)(f->total - f->done) / f->speed), " ETA");
    }
}

static void percent_text(char *out, size_t size, const file *f, bool over)
{
    if (f->total == UINT64_MAX && !over) {
        snprintf(out, size, " --%%");
        return;
    }
    bool all = f->total == 0 || f->total == UINT64_MAX || f->done >= f->total;
    unsigned n = all ? 100 : (unsigned)((double)f->done * 100.0 / (double)f->total);
    snprintf(out, size, "%3u%%", n);
}

/* ---- the terminal ------------------------------------------------------------------------------------- */

/* A job in the background leaves the terminal alone. */
static bool may_draw(void)
{
    return getpgrp() == tcgetpgrp(STDOUT_FILENO);
}

static unsigned window_columns(void)
{
    nacre_pty size;
    bool known = nacre_tty_size(STDOUT_FILENO, &size) == NACRE_OK && size.columns > 0;
    return known ? (size.columns < 512 ? size.columns : 512) : 80;
}

static void draw(progress *p, file *f, bool over)
{
    char bytes[32], speed[32], left[32], percent[16], tail[160];
    uint64_t now = now_ms();
    uint64_t ms = now - f->began;
    double whole = (double)(f->done - f->first) * 1000.0 / (double)(ms ? ms : 1);
    percent_text(percent, sizeof(percent), f, over);
    amount(bytes, sizeof(bytes), (double)f->done, false);
    amount(speed, sizeof(speed), over ? whole : f->speed, true);
    time_left(left, sizeof(left), f, now, over);
    p->columns = window_columns();
    size_t most = p->columns - 1; /* the last column would break the line on some terminals */
    bool narrow =
        most + 1 < TAIL_COLUMNS + NAME_COLUMNS; /* then the name says more than the speed */
    size_t wanted = narrow ? SHORT_TAIL_COLUMNS : TAIL_COLUMNS;
    if (narrow) {
        snprintf(tail, sizeof(tail), " %s %s", percent, bytes);
    } else {
        snprintf(tail, sizeof(tail), " %s %s %s/s %s", percent, bytes, speed, left);
    }
    size_t room = most + 1 > wanted ? most + 1 - wanted : 0;
    size_t n = text_cut(f->name, room);
    char *cut = strndup(f->name, n);
    size_t used = cut ? text_columns(cut) : room;
    size_t tail_n = strlen(tail) < most - room ? strlen(tail) : most - room;
    printf("\r%s%*s%.*s", cut ? cut : "", (int)(room - used), "", (int)tail_n, tail);
    free(cut);
    p->line = true;
    p->drawn = now;
    f->drawn = true;
}

static void erase(progress *p)
{
    if (p->line && may_draw()) {
        unsigned n = p->columns > 1 ? p->columns - 1 : 1;
        printf("\r%*s\r", (int)n, "");
        fflush(stdout);
    }
    p->line = false;
}

/* ---- the files ---------------------------------------------------------------------------------------- */

static file *find(progress *p, const char *path)
{
    for (size_t i = 0; i < p->count; i++) {
        if (strcmp(p->files[i].path, path) == 0) {
            return &p->files[i];
        }
    }
    return NULL;
}

static char *last_part(const char *path)
{
    char *out = malloc(NAME_BYTES);
    size_t n = strlen(path);
    while (n > 1 && path[n - 1] == '/') {
        n--;
    }
    size_t from = n;
    while (from > 0 && path[from - 1] != '/') {
        from--;
    }
    if (out) {
        nacre_span span = {(const uint8_t *)path + from, n - from};
        nacre_escape(out, NAME_BYTES, span);
    }
    return out;
}

static file *begin(progress *p, const char *path, uint64_t done)
{
    file *more = realloc(p->files, (p->count + 1) * sizeof(*more));
    if (!more) {
        return NULL;
    }
    p->files = more;
    file *f = &p->files[p->count];
    memset(f, 0, sizeof(*f));
    f->path = strdup(path);
    f->name = last_part(path);
    if (!f->path || !f->name) {
        free(f->path);
        free(f->name);
        return NULL;
    }
    f->first = f->done = f->measured_done = done;
    f->began = f->changed = f->measured = now_ms();
    p->count++;
    return f;
}

static void forget(progress *p, file *f)
{
    size_t at = (size_t)(f - p->files);
    free(f->path);
    free(f->name);
    memmove(f, f + 1, (p->count - at - 1) * sizeof(*f));
    p->count--;
    if (p->current > at || p->current >= p->count) {
        p->current = p->current > 0 ? p->current - 1 : 0;
    }
}

static void measure(file *f, uint64_t now)
{
    uint64_t ms = now - f->measured;
    bool first = f->measured == f->began;
    if (ms < (first ? REDRAW_MS : SPEED_MS)) {
        return;
    }
    double speed = (double)(f->done - f->measured_done) * 1000.0 / (double)ms;
    f->speed = first ? speed : f->speed * 0.7 + speed * 0.3;
    f->measured = now;
    f->measured_done = f->done;
}

/* ---- the thread --------------------------------------------------------------------------------------- */

static void tick(progress *p)
{
    if (p->count == 0 || !may_draw()) {
        return;
    }
    file *f = &p->files[p->current];
    uint64_t now = now_ms();
    measure(f, now);
    if (now - p->drawn >= 1000 || !p->line || window_columns() != p->columns) {
        draw(p, f, false);
        fflush(stdout);
    }
}

static void *ticks(void *arg)
{
    progress *p = arg;
    pthread_mutex_lock(&p->lock);
    while (!p->ending) {
        struct timespec until;
        clock_gettime(CLOCK_MONOTONIC, &until);
        until.tv_nsec += TICK_MS * 1000000L;
        until.tv_sec += until.tv_nsec / 1000000000L;
        until.tv_nsec %= 1000000000L;
        if (pthread_cond_timedwait(&p->wake, &p->lock, &until) == ETIMEDOUT) {
            tick(p);
        }
    }
    pthread_mutex_unlock(&p->lock);
    return NULL;
}

/* Signals are for the thread that transfers. */
static bool start_ticking(progress *p)
{
    sigset_t all, before;
    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&p->wake, &attr);
    pthread_condattr_destroy(&attr);
    pthread_mutex_init(&p->lock, NULL);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int rc = pthread_create(&p->ticker, NULL, ticks, p);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return rc == 0;
}

/* ---- calls -------------------------------------------------------------------------------------------- */

progress *progress_start(void)
{
    if (!isatty(STDOUT_FILENO)) {
        return NULL;
    }
    progress *p = calloc(1, sizeof(*p));
    if (p && !start_ticking(p)) {
        free(p);
        return NULL;
    }
    return p;
}

void progress_stop(progress *p)
{
    if (!p) {
        return;
    }
    pthread_mutex_lock(&p->lock);
    p->ending = true;
    pthread_cond_signal(&p->wake);
    pthread_mutex_unlock(&p->lock);
    pthread_join(p->ticker, NULL);
    if (p->line && may_draw()) {
        putchar('\n');
    }
    fflush(stdout);
    while (p->count > 0) {
        forget(p, &p->files[p->count - 1]);
    }
    pthread_cond_destroy(&p->wake);
    pthread_mutex_destroy(&p->lock);
    free(p->files);
    free(p);
}

void progress_step(progress *p, const char *path, uint64_t done, uint64_t total)
{
    if (!p) {
        return;
    }
    pthread_mutex_lock(&p->lock);
    file *f = find(p, path);
    f = f ? f : begin(p, path, done);
    if (f) {
        uint64_t now = now_ms();
        f->changed = done != f->done ? now : f->changed;
        f->done = done > f->first ? done : f->first;
        f->total = total;
        measure(f, now);
        /* The one that is shown stays until it is through, unless another one goes on and it does not. */
        if (now - p->files[p->current].changed > 1000) {
            p->current = (size_t)(f - p->files);
        }
        bool shown = f == &p->files[p->current];
        if (shown && may_draw() && (!p->line || now - p->drawn >= REDRAW_MS)) {
            draw(p, f, false);
            fflush(stdout);
        }
    }
    pthread_mutex_unlock(&p->lock);
}

void progress_end(progress *p, const char *path, bool good)
{
    if (!p) {
        return;
    }
    pthread_mutex_lock(&p->lock);
    file *f = find(p, path);
    if (f) {
        if (may_draw() && (good || f->drawn)) {
            draw(p, f, good);
            putchar('\n');
            if (p->count == 1 || now_ms() - p->drawn >= REDRAW_MS) {
                fflush(stdout);
            }
        }
        p->line = false;
        forget(p, f);
    }
    pthread_mutex_unlock(&p->lock);
}

void progress_clear(progress *p)
{
    if (p) {
        pthread_mutex_lock(&p->lock);
        erase(p);
        pthread_mutex_unlock(&p->lock);
    }
}
