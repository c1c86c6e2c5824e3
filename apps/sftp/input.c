/*
 * input.c - waiting for the next command, and commands from a file or a pipe.
 */
#include "app.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- waiting ------------------------------------------------------------------------------------------ */

typedef struct waiting {
    app *a;
    bool ready;
} waiting;

static void on_readable(void *user, int fd, unsigned events)
{
    waiting *w = user;
    (void)fd;
    (void)events;
    w->ready = true;
}

static int is_over(void *user)
{
    const waiting *w = user;
    return w->ready || w->a->interrupted ? NACRE_OK : NACRE_AGAIN;
}

/* The connection lives on meanwhile: it answers keepalives and key exchanges, and its end is noticed. */
static bool wait_with_client(app *a, nacre_client *c, int fd)
{
    waiting w = {.a = a};
    nacre_loop *loop = nacre_client_loop(c);
    if (nacre_loop_add(loop, fd, NACRE_READ, on_readable, &w) != NACRE_OK) {
        return true; /* a plain file: always ready */
    }
    int rc;
    do { /* a cancel that came too late for its command is not for us */
        rc = nacre_client_run(c, is_over, &w, NACRE_FOREVER);
    } while (rc == NACRE_CANCELLED && !a->interrupted);
    nacre_loop_remove(loop, fd);
    if (rc != NACRE_OK && rc != NACRE_CANCELLED) {
        fputs(a->interactive ? "\r" : "", stderr);
        complain("Connection closed. %s", nacre_client_error(c)->text);
        a->lost = true;
        return false;
    }
    return !a->interrupted;
}

bool wait_for_input(app *a, int fd)
{
    struct stat st;
    nacre_client *c = connection_client(a->conn);
    if (a->interrupted) {
        return false;
    }
    if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode)) {
        return true;
    }
    if (c) {
        return wait_with_client(a, c, fd);
    }
    struct pollfd p = {.fd = fd, .events = POLLIN};
    while (poll(&p, 1, -1) < 0 && errno == EINTR && !a->interrupted) {
    }
    return !a->interrupted;
}

/* ---- lines of a batch --------------------------------------------------------------------------------- */

typedef struct source {
    int fd;
    char *text;
    size_t n, size, at; /* bytes there, room, where the next line begins */
    bool ended;
} source;

enum { MAX_LINE = 1024 * 1024, STEP = 16 * 1024 };

static bool read_more(app *a, source *s)
{
    if (s->at > 0) {
        memmove(s->text, s->text + s->at, s->n - s->at);
    }
    s->n -= s->at;
    s->at = 0;
    if (s->size - s->n < STEP) {
        s->size = s->n + 2 * STEP;
        s->text = keep(realloc(s->text, s->size + 1));
    }
    if (!wait_for_input(a, s->fd)) {
        return false;
    }
    ssize_t got = read(s->fd, s->text + s->n, s->size - s->n);
    if (got < 0 && (errno == EINTR || errno == EAGAIN)) {
        return !a->interrupted;
    }
    if (got < 0) {
        complain("commands: %s", strerror(errno));
    }
    s->ended = got <= 0;
    s->n += got > 0 ? (size_t)got : 0;
    return true;
}

/* The next line, zero-terminated, without its end; NULL: there is none. */
static char *next_line(app *a, source *s)
{
    for (;;) {
        char *line = s->text ? s->text + s->at : NULL;
        char *end = line ? memchr(line, '\n', s->n - s->at) : NULL;
        if (!end && s->ended && s->n > s->at) {
            end = s->text + s->n; /* the last one may lack its end */
        }
        if (end) {
            s->at = (size_t)(end - s->text) + (end < s->text + s->n);
            *end = '\0';
            line[strcspn(line, "\r")] = '\0';
            return line;
        }
        if (s->ended || s->n - s->at > MAX_LINE || !read_more(a, s)) {
            return NULL;
        }
    }
}

/* A quiet batch too shows where it is. The line is the user's own: its tabs are no danger. */
static void echo(const char *line)
{
    printf("sftp> ");
    for (;;) {
        size_t n = strcspn(line, "\t");
        char *part = keep(strndup(line, n));
        printf("%s", shown(part));
        free(part);
        if (!line[n]) {
            break;
        }
        putchar('\t');
        line += n + 1;
    }
    putchar('\n');
}

int plain_lines(app *a, int fd)
{
    source s = {.fd = fd};
    char *line;
    int rc = 0;
    while (!a->ended && (line = next_line(a, &s))) {
        bool may_fail, silent;
        behind_prefixes(line, &may_fail, &silent);
        if (!silent) {
            echo(line);
        }
        rc = run_line(a, line);
        fflush(stdout);
        if (a->interrupted || session_over(a) || (rc != 0 && a->stop_on_error)) {
            break;
        }
        rc = 0;
    }
    if (a->interrupted) {
        rc = complain("interrupted");
    }
    free(s.text);
    return a->lost ? -1 : rc;
}
