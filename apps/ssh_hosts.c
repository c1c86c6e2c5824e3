/*
 * ssh_hosts.c - trust in hosts: the keywords of ssh_config(5) about host keys become the client's options; the
 * questions to a person about them; KnownHostsCommand.
 */
#include "ssh_setup.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { COMMAND_WORDS_MAX = 64, KEY_TEXT_MAX = 32 * 1024 };

static const char usual_user_hosts[] = "~/.ssh/known_hosts ~/.ssh/known_hosts2";
static const char usual_global_hosts[] = "/etc/ssh/ssh_known_hosts /etc/ssh/ssh_known_hosts2";

static const char *get(const ssh_setup *s, const char *keyword)
{
    return nacre_ssh_config_get(s->conf, keyword);
}

static bool yes(const ssh_setup *s, const char *keyword, bool fallback)
{
    return nacre_ssh_config_yes(s->conf, keyword, fallback);
}

static bool says(const char *value, const char *word)
{
    return value && strcasecmp(value, word) == 0;
}

/* ---- known_hosts ---- */

/*
 * A file that is there and cannot be read ends it: without its lines a changed key would look like
 * that of a new host, and a revoked one like any other.
 */
static bool add_hosts(ssh_setup *s, const char *text, const char *keyword, bool user, bool first)
{
    nacre_error why = {0};
    if (says(text, "none")) {
        return true;
    }
    char *path = setup_keep_path(s, keyword, text);
    if (!path) {
        return false;
    }
    if (first) {
        s->cfg.known_hosts_file = path;
    }
    if (user) {
        s->hosts_files[s->hosts_file_count++] = path; /* no more than files */
    }
    int rc = nacre_known_hosts_add_file(s->known, path, &why);
    if (rc != NACRE_OK && rc != NACRE_NOT_FOUND) {
        setup_say(
            s,
            "%s: without it a changed host key would not be noticed, so nothing is connected; "
            "mend the file or name another one with %s (or none)",
            why.text, keyword);
        return false;
    }
    return true;
}

static bool add_usual_hosts(ssh_setup *s, const char *keyword, bool user)
{
    char copy[256];
    char *rest = copy;
    bool first = user;
    (void)snprintf(copy, sizeof(copy), "%s", user ? usual_user_hosts : usual_global_hosts);
    for (char *one; (one = strsep(&rest, " ")) != NULL; first = false) {
        if (!add_hosts(s, one, keyword, user, first)) {
            return false;
        }
    }
    return true;
}

static bool load_known_hosts(ssh_setup *s)
{
    static const char *const keywords[] = {"UserKnownHostsFile", "GlobalKnownHostsFile"};
    if (nacre_known_hosts_new(&s->known, NULL) != NACRE_OK) {
        setup_say(s, "out of memory");
        return false;
    }
    for (int k = 0; k < 2; k++) {
        size_t n = nacre_ssh_config_count(s->conf, keywords[k]);
        if (n == 0 && !add_usual_hosts(s, keywords[k], k == 0)) {
            return false;
        }
        for (size_t i = 0; i < n; i++) {
            const char *text = nacre_ssh_config_value(s->conf, keywords[k], i);
            if (!add_hosts(s, text, keywords[k], k == 0, k == 0 && i == 0)) {
                return false;
            }
        }
    }
    s->cfg.known_hosts = s->known;
    return true;
}

/* ---- KnownHostsCommand ---- */

/*
 * The next word of a command, quotes and backslashes taken away; tokens are replaced afterwards, so that what
 * they stand for is never split. 1: a word; 0: no more; -1: a quote is not closed, or it is too long.
 */
static int next_word(const char **at, char *word, size_t size)
{
    const char *p = *at + strspn(*at, " \t");
    char quote = '\0';
    size_t n = 0;
    if (!*p) {
        return 0;
    }
    for (; *p && (quote || !strchr(" \t", *p)); p++) {
        if (*p == '\\' && p[1] && strchr("\"'\\ ", p[1])) {
            p++;
        } else if (quote ? *p == quote : *p == '"' || *p == '\'') {
            quote = quote ? '\0' : *p;
            continue;
        }
        if (n + 1 >= size) {
            return -1;
        }
        word[n++] = *p;
    }
    word[n] = '\0';
    *at = p;
    return quote ? -1 : 1;
}

static bool make_argv(ssh_setup *s, const char *command, const nacre_ssh_tokens *more, char **argv,
                      nacre_error *err)
{
    char word[SETUP_PATH_MAX], *text = malloc(KEY_TEXT_MAX);
    size_t count = 0;
    int got = text ? 1 : -1;
    while (got == 1 && (got = next_word(&command, word, sizeof(word))) == 1) {
        if (count + 1 >= COMMAND_WORDS_MAX ||
            nacre_ssh_config_expand(s->conf, "KnownHostsCommand", word, more, text, KEY_TEXT_MAX,
                                    err) != NACRE_OK ||
            !(argv[count] = strdup(text))) {
            got = -1;
        } else {
            count++;
        }
    }
    argv[count] = NULL;
    free(text);
    if (got < 0 && !err->text[0]) {
        (void)snprintf(err->text, sizeof(err->text), "KnownHostsCommand cannot be understood");
    }
    return got == 0 && count > 0;
}

static int more_lines(void *user, const nacre_lines_wanted *wanted, nacre_known_hosts *into,
                      nacre_error *err)
{
    static const char *const reasons[] = {"ORDER", "HOSTNAME", "ADDRESS"};
    ssh_setup *s = user;
    char *argv[COMMAND_WORDS_MAX];
    char print[128] = "NONE", source[64], *line = malloc(KEY_TEXT_MAX);
    nacre_ssh_tokens more;
    if (!line) {
        return NACRE_NO_MEMORY;
    }
    (void)snprintf(line, KEY_TEXT_MAX, "NONE NONE");
    if (wanted->key && (nacre_key_public_line(wanted->key, line, KEY_TEXT_MAX) < 0 ||
                        nacre_key_fingerprint(wanted->key, s->cfg.trust.fingerprint_hash, print,
                                              sizeof(print)) < 0)) {
        free(line);
        return NACRE_TOO_LARGE;
    }
    char *key = strchr(line, ' ');
    *key++ = '\0';
    key[strcspn(key, " ")] = '\0';
    memset(&more, 0, sizeof(more));
    more.fingerprint = print;
    more.known_host = wanted->name;
    more.reason = reasons[wanted->reason];
    more.key_type = wanted->key ? nacre_key_type(wanted->key) : "NONE";
    more.key = key;
    (void)snprintf(source, sizeof(source), "KnownHostsCommand-%s", more.reason);
    int rc = NACRE_SYNTAX;
    if (make_argv(s, get(s, "KnownHostsCommand"), &more, argv, err)) {
        rc = nacre_known_hosts_add_command(into, argv, source, 0, err);
    }
    for (size_t i = 0; argv[i]; i++) {
        free(argv[i]);
    }
    free(line);
    return rc;
}

/* ---- questions ---- */

static bool ask_update(void *user, const nacre_host_update *update)
{
    (void)update; /* the keys were told as warnings before */
    ssh_setup *s = user;
    char answer[64];
    for (int i = 0; i < 3; i++) {
        if (!ask_text(s, "Accept updated hostkeys? (yes/no): ", answer, sizeof(answer)) ||
            says(answer, "no")) {
            return false;
        }
        if (says(answer, "yes")) {
            return true;
        }
        setup_say(s, "Please enter \"yes\" or \"no\"");
    }
    return false;
}

/* ---- options ---- */

static void set_policy(ssh_setup *s)
{
    const char *strict = get(s, "StrictHostKeyChecking");
    nacre_client_config *c = &s->cfg;
    c->host_policy = s->batch ? NACRE_HOST_REJECT : NACRE_HOST_ASK;
    if (says(strict, "yes") || says(strict, "true")) {
        c->host_policy = NACRE_HOST_REJECT;
    } else if (says(strict, "accept-new")) {
        c->host_policy = NACRE_HOST_ACCEPT_NEW;
    } else if (strict && !says(strict, "ask")) {
        c->host_policy = NACRE_HOST_INSECURE;
    }
}

/* As ssh: by itself only where nothing about known_hosts was chosen by the user. */
static nacre_update_policy update_policy(const ssh_setup *s)
{
    const char *value = get(s, "UpdateHostKeys");
    if (value) {
        return says(value, "ask")                          ? NACRE_UPDATE_ASK
               : says(value, "yes") || says(value, "true") ? NACRE_UPDATE_YES
                                                           : NACRE_UPDATE_NO;
    }
    bool usual = nacre_ssh_config_count(s->conf, "UserKnownHostsFile") == 0;
    return usual && s->cfg.trust.verify_dns == NACRE_DNS_NO ? NACRE_UPDATE_YES : NACRE_UPDATE_NO;
}

bool hosts_setup(ssh_setup *s)
{
    nacre_host_trust *t = &s->cfg.trust;
    const char *command = get(s, "KnownHostsCommand");
    const char *revoked = get(s, "RevokedHostKeys");
    const char *dns = get(s, "VerifyHostKeyDNS");
    set_policy(s);
    s->cfg.hash_known_hosts = yes(s, "HashKnownHosts", false);
    s->cfg.host_key_alias = get(s, "HostKeyAlias");
    t->user = s;
    t->check_host_ip = yes(s, "CheckHostIP", false);
    t->trust_loopback = yes(s, "NoHostAuthenticationForLocalhost", false);
    t->ca_algorithms = get(s, "CASignatureAlgorithms");
    t->fingerprint_hash = get(s, "FingerprintHash");
    t->visual = yes(s, "VisualHostKey", false);
    t->verify_dns = says(dns, "ask")                        ? NACRE_DNS_ASK
                    : says(dns, "yes") || says(dns, "true") ? NACRE_DNS_YES
                                                            : NACRE_DNS_NO;
    t->update_host_keys = update_policy(s);
    t->ask_update = s->batch ? NULL : ask_update;
    t->more_lines = command && !says(command, "none") ? more_lines : NULL;
    if (revoked && !says(revoked, "none")) {
        t->revoked_keys = setup_keep_path(s, "RevokedHostKeys", revoked);
        if (!t->revoked_keys) {
            return false;
        }
    }
    if (!load_known_hosts(s)) {
        return false;
    }
    t->files = s->hosts_files;
    t->file_count = s->hosts_file_count;
    return true;
}
