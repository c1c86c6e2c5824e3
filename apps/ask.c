/*
 * ask.c - see ask.h.
 */
#include "ask.h"
#include "nacre/process.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/wait.h>
#include <unistd.h>

static bool has_display(void)
{
    const char *x11 = getenv("DISPLAY");
    const char *wayland = getenv("WAYLAND_DISPLAY");
    return (x11 && *x11) || (wayland && *wayland);
}

static bool no_terminal(const ask_question *q)
{
    return q->stdin_ok ? !isatty(STDIN_FILENO) : access("/dev/tty", R_OK | W_OK) != 0;
}

static bool wants_askpass(const ask_question *q, bool *only)
{
    const char *require = getenv("SSH_ASKPASS_REQUIRE");
    const char *program = getenv("SSH_ASKPASS");
    *only = false;
    if (require && strcasecmp(require, "never") == 0) {
        return false;
    }
    if (require && strcasecmp(require, "force") == 0) {
        *only = true;
        return true;
    }
    if (require && strcasecmp(require, "prefer") == 0) {
        return true;
    }
    /* Otherwise only where there is no terminal, but a display. */
    return program && *program && has_display() && no_terminal(q);
}

static ssize_t read_answer(int fd, char *out, size_t size)
{
    size_t n = 0;
    while (n < size) {
        ssize_t got = read(fd, out + n, size - n);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got <= 0) {
            break;
        }
        n += (size_t)got;
    }
    const char *end = memchr(out, '\n', n);
    return end ? end - out : (ssize_t)n;
}

/* The length of the answer; -1: none. */
static int ask_program(const ask_question *q, char *out, size_t size)
{
    const char *program = getenv("SSH_ASKPASS");
    char *argv[3] = {(char *)(uintptr_t)(program && *program ? program : "/usr/bin/ssh-askpass"),
                     (char *)(uintptr_t)q->prompt, NULL};
    nacre_process p;
    nacre_error why = {0};
    nacre_spawn_options o;
    nacre_spawn_options_init(&o);
    o.argv = argv;
    o.stdio = NACRE_STDIO_PIPES;
    o.keep_stderr = true;
    if (q->hint) {
        (void)setenv("SSH_ASKPASS_PROMPT", q->hint, 1);
    } else {
        (void)unsetenv("SSH_ASKPASS_PROMPT");
    }
    if (nacre_spawn(&o, &p, &why) != NACRE_OK) {
        (void)fprintf(stderr, "%s: %s: %s\n", q->program, argv[0], why.text);
        return -1;
    }
    ssize_t n = read_answer(p.out, out, size);
    nacre_process_close(&p);
    int status = 0;
    while (waitpid(p.pid, &status, 0) < 0 && errno == EINTR) {
    }
    while (n > 0 && out[n - 1] == '\r') {
        n--;
    }
    return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? (int)n : -1;
}

bool ask_is_program(const ask_question *q)
{
    bool only;
    return wants_askpass(q, &only);
}

int ask_person(const ask_question *q, char *out, size_t size)
{
    bool only;
    if (wants_askpass(q, &only)) {
        int n = ask_program(q, out, size);
        if (n >= 0 || only) {
            return n;
        }
    }
    char *answer = NULL;
    nacre_error why = {0};
    int rc = nacre_tty_ask(q->prompt, q->echo, false, &answer, &why);
    if (rc == NACRE_NOT_FOUND && q->stdin_ok) {
        rc = nacre_tty_ask(q->prompt, q->echo, true, &answer, &why);
    }
    if (rc == NACRE_CANCELLED) {
        exit(255); /* the signal that was held back has its say first */
    }
    if (rc != NACRE_OK) {
        return -1;
    }
    size_t n = strlen(answer);
    n = n < size ? n : size;
    memcpy(out, answer, n);
    nacre_tty_forget(answer);
    return (int)n;
}
