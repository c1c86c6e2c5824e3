/*
 * sshd_greet.c - what a shell in a terminal begins with: when the user was here last, and the message of the day.
 */
#include "sshd.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { MOTD_MAX = 64 * 1024 };

void greet_note_login(login *l)
{
    const nacre_endpoint *peer = nacre_server_conn_peer(l->c);
    nacre_last_login now = {.when = (int64_t)time(NULL)};
    if (!l->d->root) {
        return;
    }
    if (!l->s->print_last_log ||
        nacre_last_login_read(NULL, l->account->uid, &l->last) != NACRE_OK) {
        l->last.when = 0;
    }
    /* What runs in the session is not known yet, so the kind of login stands for its terminal. */
    (void)snprintf(now.line, sizeof(now.line), "ssh");
    (void)snprintf(now.host, sizeof(now.host), "%s", peer->address);
    int rc = nacre_last_login_write(NULL, l->account->uid, &now);
    if (rc != NACRE_OK && rc != NACRE_NOT_FOUND) {
        say(LOG_LEVEL_DEBUG, "the login of %s was not noted: %s", plain_text(l->user),
            nacre_status_text(rc));
    }
}

static bool is_hushed(const login *l)
{
    char path[4096];
    int n = snprintf(path, sizeof(path), "%s/.hushlogin", l->account->home);
    return n < 0 || (size_t)n >= sizeof(path) || access(path, F_OK) == 0;
}

static size_t last_login(const login *l, char *out, size_t size)
{
    char when[64];
    struct tm tm;
    time_t t = (time_t)l->last.when;
    if (l->last.when == 0 || !localtime_r(&t, &tm) ||
        strftime(when, sizeof(when), "%a %b %e %H:%M:%S %Y", &tm) == 0) {
        return 0;
    }
    int n = l->last.host[0]
                ? snprintf(out, size, "Last login: %s from %s\r\n", when, plain_text(l->last.host))
                : snprintf(out, size, "Last login: %s\r\n", when);
    return n > 0 && (size_t)n < size ? (size_t)n : 0;
}

/* A terminal wants CR LF. */
static size_t motd(char *out, size_t size)
{
    FILE *f = fopen("/etc/motd", "re");
    size_t n = 0;
    for (int c = f ? fgetc(f) : EOF; c != EOF && n + 2 < size; c = fgetc(f)) {
        if (c == '\n') {
            out[n++] = '\r';
        }
        out[n++] = (char)c;
    }
    if (f) {
        (void)fclose(f);
    }
    return n;
}

void greet(const login *l, nacre_channel *ch)
{
    size_t took = 0;
    char *text = is_hushed(l) ? NULL : malloc(2 * MOTD_MAX);
    if (!text) {
        return;
    }
    size_t n = l->s->print_last_log ? last_login(l, text, 1024) : 0;
    n += l->s->print_motd ? motd(text + n, 2 * MOTD_MAX - n) : 0;
    /* What the window does not take is not worth waiting for. */
    if (n > 0 && nacre_channel_write(ch, NACRE_STDOUT, text, n, &took) != NACRE_OK) {
        say(LOG_LEVEL_DEBUG, "the message of the day was not sent");
    }
    free(text);
}
