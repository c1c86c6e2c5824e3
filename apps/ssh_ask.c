/*
 * ssh_ask.c - asking a person: on the terminal, or through the program that SSH_ASKPASS names (which is
 * executed, not handed to a shell).
 */
#include "nacre/process.h"
#include "ssh_setup.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/wait.h>
#include <unistd.h>

enum { ANSWER_MAX = 1024, QUESTIONS_MAX = 3 };

/* Overwrites in a way that the compiler keeps. */
static void forget(void *p, size_t n)
{
    explicit_bzero(p, n);
}

static bool wants_askpass(bool *only)
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
    return program && *program && (getenv("DISPLAY") || getenv("WAYLAND_DISPLAY")) &&
           access("/dev/tty", R_OK | W_OK) != 0;
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
static int ask_program(const ssh_setup *s, const char *prompt, const char *hint, char *out,
                       size_t size)
{
    const char *program = getenv("SSH_ASKPASS");
    char *argv[3] = {(char *)(uintptr_t)(program && *program ? program : "/usr/bin/ssh-askpass"),
                     (char *)(uintptr_t)prompt, NULL};
    nacre_process p;
    nacre_error why = {0};
    nacre_spawn_options o;
    nacre_spawn_options_init(&o);
    o.argv = argv;
    o.stdio = NACRE_STDIO_PIPES;
    o.keep_stderr = true;
    if (hint) {
        (void)setenv("SSH_ASKPASS_PROMPT", hint, 1);
    } else {
        (void)unsetenv("SSH_ASKPASS_PROMPT");
    }
    if (nacre_spawn(&o, &p, &why) != NACRE_OK) {
        setup_say(s, "%s: %s", argv[0], why.text);
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

/* -1: nobody answered. */
static int ask_person(const ssh_setup *s, const char *prompt, const char *hint, bool echo,
                      char *out, size_t size)
{
    bool only;
    if (wants_askpass(&only)) {
        int n = ask_program(s, prompt, hint, out, size);
        if (n >= 0 || only) {
            return n;
        }
    }
    char *answer = NULL;
    nacre_error why = {0};
    int rc = nacre_tty_ask(prompt, echo, false, &answer, &why);
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

/* The new password twice, as everywhere. */
static int ask_new_password(const ssh_setup *s, const char *prompt, char *out, size_t size)
{
    char text[ANSWER_MAX], again[ANSWER_MAX];
    (void)snprintf(text, sizeof(text), "%s\nEnter %s@%s's new password: ", prompt, s->user,
                   s->host);
    int n = ask_person(s, text, NULL, false, out, size);
    (void)snprintf(text, sizeof(text), "Retype %s@%s's new password: ", s->user, s->host);
    int m = n > 0 ? ask_person(s, text, NULL, false, again, sizeof(again)) : -1;
    bool same = n > 0 && n == m && memcmp(out, again, (size_t)n) == 0;
    forget(again, sizeof(again));
    if (n > 0 && !same) {
        setup_say(s, "the passwords differ");
    }
    return same ? n : -1;
}

int ask_secret(void *user, nacre_answer_kind kind, const char *prompt, bool echo, unsigned attempt,
               char *out, size_t size)
{
    const ssh_setup *s = user;
    if (kind == NACRE_ASK_NEW_PASSWORD) {
        return ask_new_password(s, prompt, out, size);
    }
    if (attempt > 1 && kind == NACRE_ASK_PASSWORD) {
        (void)fprintf(stderr, "Permission denied, please try again.\n");
    }
    return ask_person(s, prompt, NULL, echo, out, size);
}

static bool says(const char *answer, const char *word)
{
    return strcasecmp(answer, word) == 0;
}

bool ask_add_key(void *user, const nacre_key *key, const char *path)
{
    const ssh_setup *s = user;
    char fingerprint[128], prompt[1200], shown[512], answer[ANSWER_MAX];
    (void)nacre_escape(shown, sizeof(shown), (nacre_span){(const uint8_t *)path, strlen(path)});
    if (nacre_key_fingerprint(key, "sha256", fingerprint, sizeof(fingerprint)) < 0) {
        return false;
    }
    (void)snprintf(prompt, sizeof(prompt), "Add key %s (%s) to agent? (yes/no) ", shown,
                   fingerprint);
    int n = ask_person(s, prompt, "confirm", true, answer, sizeof(answer) - 1);
    if (n < 0) {
        return false;
    }
    answer[n] = '\0';
    /* A program that only has an OK button says nothing more. */
    bool only;
    return n == 0 ? wants_askpass(&only) : says(answer, "yes");
}

bool ask_text(const ssh_setup *s, const char *prompt, char *out, size_t size)
{
    int n = ask_person(s, prompt, "confirm", true, out, size - 1);
    while (n > 0 && out[n - 1] == ' ') {
        n--;
    }
    out[n > 0 ? n : 0] = '\0';
    return n >= 0;
}

static const char *dns_line(nacre_dns_hint hint)
{
    return hint == NACRE_DNS_MATCHES       ? "\nMatching host key fingerprint found in DNS."
           : hint == NACRE_DNS_MATCHES_NOT ? "\nNo matching host key fingerprint found in DNS."
                                           : "";
}

/* The name is known by this key, its address by another one. */
static void address_question(const nacre_host_question *q, const char *name, char *text,
                             size_t size)
{
    (void)snprintf(
        text, size,
        "Warning: the %s host key for '%s' differs from the key for the IP address '%s'\n"
        "Offending key for IP in %.300s:%u\nMatching host key in %.300s:%u\n"
        "Are you sure you want to continue connecting (yes/no)? ",
        nacre_key_label(q->key), name, q->address,
        q->address_line.source ? q->address_line.source : "", (unsigned)q->address_line.line,
        q->known.source ? q->known.source : "", (unsigned)q->known.line);
}

static void new_question(const nacre_host_question *q, const char *name, char *text, size_t size)
{
    char address[100] = "", notes[1024] = "";
    if (*q->address && strcmp(q->address, q->host) != 0) {
        (void)snprintf(address, sizeof(address), " (%s)", q->address);
    }
    if (*q->certificate) {
        (void)snprintf(notes, sizeof(notes), "\nIts certificate does not count: %.300s",
                       q->certificate);
    }
    if (q->match == NACRE_HOST_OTHER_TYPE) {
        size_t n = strlen(notes);
        (void)snprintf(notes + n, sizeof(notes) - n,
                       "\nAnother type of key is known for this host (%.300s:%u): be careful.",
                       q->known.source ? q->known.source : "", (unsigned)q->known.line);
    }
    if (q->address_match == NACRE_HOST_CHANGED) {
        size_t n = strlen(notes);
        (void)snprintf(notes + n, sizeof(notes) - n,
                       "\nIts address is known by another key (%.200s:%u): be careful.",
                       q->address_line.source ? q->address_line.source : "",
                       (unsigned)q->address_line.line);
    }
    (void)snprintf(text, size,
                   "The authenticity of host '%s%s' can't be established.\n"
                   "%s key fingerprint is %s.%s%s%s%s\n%s\n"
                   "Are you sure you want to continue connecting (yes/no/[fingerprint])? ",
                   name, address, nacre_key_label(q->key), q->fingerprint, *q->art ? "\n" : "",
                   q->art, dns_line(q->dns), notes, q->other_names);
}

bool ask_host(void *user, const nacre_host_question *q)
{
    const ssh_setup *s = user;
    char text[6144], answer[ANSWER_MAX], name[300], host[256];
    (void)nacre_escape(host, sizeof(host), (nacre_span){(const uint8_t *)q->host, strlen(q->host)});
    if (q->port == 22) {
        (void)snprintf(name, sizeof(name), "%s", host);
    } else {
        (void)snprintf(name, sizeof(name), "[%s]:%u", host, (unsigned)q->port);
    }
    bool new_host = q->match != NACRE_HOST_MATCH;
    (new_host ? new_question : address_question)(q, name, text, sizeof(text));
    const char *prompt = text;
    for (int i = 0; i < QUESTIONS_MAX * 10; i++) {
        if (!ask_text(s, prompt, answer, sizeof(answer))) {
            return false;
        }
        if (says(answer, "yes") || (new_host && strcmp(answer, q->fingerprint) == 0)) {
            return true;
        }
        if (says(answer, "no") || !*answer) {
            return false;
        }
        prompt = new_host ? "Please type 'yes', 'no' or the fingerprint: "
                          : "Please type 'yes' or 'no': ";
    }
    return false;
}
