/*
 * progress.c - the line that shows how far a transfer is: name, percent, bytes, speed, time left.
 */
#include "app.h"

#include "nacre/process.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static struct {
    char name[512];
    uint64_t began_ms, first; /* bytes that were there when it began */
    uint64_t done, total;
    bool started;
} now;

void progress_begin(app *a, const char *name)
{
    memset(&now, 0, sizeof(now));
    snprintf(now.name, sizeof(now.name), "%s", shown(base_name(name)));
    now.began_ms = nacre_loop_now(NULL);
    a->busy = 1;
}

static void size_text(char *out, size_t size, uint64_t n)
{
    static const char *const units[] = {"B ", "KB", "MB", "GB", "TB", "PB", "EB"};
    size_t i = 0;
    uint64_t tenths = n > UINT64_MAX / 10 ? UINT64_MAX : n * 10;
    while (tenths >= 100 * 100 && i + 1 < sizeof(units) / sizeof(units[0])) {
        tenths /= 1024;
        i++;
    }
    if (i == 0) {
        snprintf(out, size, "%" PRIu64 "  ", n);
    } else if (tenths < 100) {
        snprintf(out, size, "%" PRIu64 ".%" PRIu64 "%s", tenths / 10, tenths % 10, units[i]);
    } else {
        snprintf(out, size, "%" PRIu64 "%s", tenths / 10, units[i]);
    }
}

static void time_text(char *out, size_t size, uint64_t seconds)
{
    if (seconds >= 3600) {
        snprintf(out, size, "%" PRIu64 ":%02u:%02u", seconds / 3600, (unsigned)(seconds / 60 % 60),
                 (unsigned)(seconds % 60));
    } else {
        snprintf(out, size, "%02u:%02u", (unsigned)(seconds / 60), (unsigned)(seconds % 60));
    }
}

static void draw(bool over)
{
    uint64_t ms = nacre_loop_now(NULL) - now.began_ms;
    uint64_t moved = now.done - now.first;
    uint64_t speed = ms > 0 ? moved * 1000 / ms : moved;
    char bytes[24], rate[24], left[24], tail[120], percent[8] = "  -- ";
    nacre_pty size;
    unsigned width =
        nacre_tty_size(STDOUT_FILENO, &size) == NACRE_OK && size.columns > 20 ? size.columns : 80;
    size_text(bytes, sizeof(bytes), now.done);
    size_text(rate, sizeof(rate), speed);
    if (over) {
        time_text(left, sizeof(left), ms / 1000);
    } else if (now.total == UINT64_MAX || speed == 0 || now.total < now.done) {
        snprintf(left, sizeof(left), "--:--");
    } else {
        time_text(left, sizeof(left), (now.total - now.done) / speed);
    }
    if (now.total != UINT64_MAX) {
        uint64_t p = now.total == 0 || now.done >= now.total ? 100 : now.done * 100 / now.total;
        snprintf(percent, sizeof(percent), "%3u%% ", (unsigned)p);
    }
    int n = snprintf(tail, sizeof(tail), " %s %7s %7s/s %8s%s", percent, bytes, rate, left,
                     over ? "    " : " ETA");
    int room = (int)width - n - 1;
    printf("\r%-*.*s%s", room > 0 ? room : 0, room > 0 ? room : 0, now.name, tail);
    fflush(stdout);
}

bool progress_step(void *user, const char *path, uint64_t done, uint64_t total)
{
    app *a = user;
    (void)path;
    if (!now.started) {
        now.started = true;
        now.first = done;
    }
    now.done = done;
    now.total = total;
    draw(false);
    return !a->interrupted;
}

void progress_end(app *a, bool good)
{
    a->busy = 0;
    if (now.started) {
        if (good) {
            now.total = now.done;
        }
        draw(good);
        putchar('\n');
        now.started = false;
    }
}
