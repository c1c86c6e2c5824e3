/*
 * ssh_ask.c - what a client asks a person: secrets, and whether a host key is the right one.
 */
#include "ask.h"
#include "ssh_setup.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

enum { ANSWER_MAX = 1024, QUESTIONS_MAX = 3 };

/* Overwrites in a way that the compiler keeps. */
static void forget(void *p, size_t n)
{
    explicit_bzero(p, n);
}

/* -1: nobody answered. */
static int ask(const ssh_setup *s, const char *prompt, const char *hint, bool echo, char *out,
               size_t size)
{
    const ask_question q = {s->program, prompt, hint, echo, false};
    return ask_person(&q, out, size);
}

static bool by_program(const ssh_setup *s)
{
    const ask_question q = {s->program, "", "confirm", true, false};
    return ask_is_program(&q);
}

/* The new password twice, as everywhere. */
static int ask_new_password(const ssh_setup *s, const char *prompt, char *out, size_t size)
{
    char text[ANSWER_MAX], again[ANSWER_MAX];
    (void)snprintf(text, sizeof(text), "%s\nEnter %s@%s's new password: ", prompt, s->user,
                   s->host);
    int n = ask(s, text, NULL, false, out, size);
    (void)snprintf(text, sizeof(text), "Retype %s@%s's new password: ", s->user, s->host);
    int m = n > 0 ? ask(s, text, NULL, false, again, sizeof(again)) : -1;
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
        setup_note(s, "Permission denied, please try again.");
    }
    return ask(s, prompt, NULL, echo, out, size);
}

static bool says(const char *answer, const char *word)
{
    return strcasecmp(answer, word) == 0;
}

bool ask_permission(const ssh_setup *s, const char *question)
{
    char answer[ANSWER_MAX];
    int n = ask(s, question, "confirm", true, answer, sizeof(answer) - 1);
    answer[n > 0 ? n : 0] = '\0';
    /* As ssh: an empty answer is one, too, for programs that only have an OK button. */
    return n == 0 || (n > 0 && says(answer, "yes"));
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
    int n = ask(s, prompt, "confirm", true, answer, sizeof(answer) - 1);
    if (n < 0) {
        return false;
    }
    answer[n] = '\0';
    /* A program that only has an OK button says nothing more. */
    return n == 0 ? by_program(s) : says(answer, "yes");
}

bool ask_text(const ssh_setup *s, const char *prompt, char *out, size_t size)
{
    int n = ask(s, prompt, "confirm", true, out, size - 1);
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
