/*
 * keys.c - keys from files and into files, with the questions about passphrases.
 */
#include "../ask.h"
#include "keygen.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

nacre_span kg_text(const char *s)
{
    nacre_span span = {(const uint8_t *)s, strlen(s)};
    return span;
}

static int os_error(nacre_error *why, int number)
{
    memset(why, 0, sizeof(*why));
    why->status = NACRE_IO;
    why->detail = (uint32_t)number;
    (void)snprintf(why->text, sizeof(why->text), "%s", strerror(number));
    return NACRE_IO;
}

/* ---- passphrases ---- */

void kg_ask_phrase(const keygen *g, const char *prompt, char *out)
{
    const ask_question q = {g->program, prompt, NULL, false, true};
    int n = ask_person(&q, out, KG_PHRASE - 1);
    out[n > 0 ? n : 0] = '\0';
}

static void keep(char *out, const char *phrase)
{
    if (strlen(phrase) >= KG_PHRASE) {
        kg_die("the passphrase is longer than %d bytes", KG_PHRASE - 1);
    }
    (void)snprintf(out, KG_PHRASE, "%s", phrase);
}

void kg_new_phrase(const keygen *g, const char *path, char *out)
{
    const char *given = g->old_phrase ? g->old_phrase : g->new_phrase;
    if (given) {
        keep(out, given);
        return;
    }
    char prompt[KG_PATH + 100], again[KG_PHRASE];
    (void)snprintf(prompt, sizeof(prompt),
                   "Enter passphrase for \"%s\" (empty for no passphrase): ", path);
    for (;;) {
        kg_ask_phrase(g, prompt, out);
        kg_ask_phrase(g, "Enter same passphrase again: ", again);
        bool same = strcmp(out, again) == 0;
        explicit_bzero(again, sizeof(again));
        if (same) {
            return;
        }
        explicit_bzero(out, KG_PHRASE);
        (void)puts("Passphrases do not match.  Try again.");
        (void)fflush(stdout);
    }
}

/* ---- private keys ---- */

static bool mode_good(int fd, const char *path)
{
    struct stat st;
    if (fstat(fd, &st) != 0 || st.st_uid != getuid() || (st.st_mode & 077) == 0) {
        return true;
    }
    kg_say("@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@");
    kg_say("@         WARNING: UNPROTECTED PRIVATE KEY FILE!          @");
    kg_say("@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@");
    kg_say("Permissions 0%3.3o for '%s' are too open.", (unsigned)(st.st_mode & 0777), path);
    kg_say("It is required that your private key files are NOT accessible by others.");
    kg_say("This private key will be ignored.");
    return false;
}

int kg_load_private(const char *path, const char *phrase, nacre_key **out, nacre_error *why)
{
    *out = NULL;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    if (fd < 0) {
        return os_error(why, errno);
    }
    bool good = mode_good(fd, path);
    close(fd);
    if (!good) {
        memset(why, 0, sizeof(*why));
        return NACRE_KEY_PERMISSIONS;
    }
    uint8_t *data = NULL;
    size_t n = 0;
    int number = kg_read(path, &data, &n);
    if (number) {
        return os_error(why, number);
    }
    nacre_span file = {data, n};
    nacre_span none = {NULL, 0};
    int rc = nacre_key_from_private(out, NULL, file, *phrase ? kg_text(phrase) : none, why);
    kg_forget(data, n);
    return rc;
}

bool kg_has_comment(const char *path)
{
    static const char head[] = "-----BEGIN OPENSSH PRIVATE KEY-----";
    uint8_t *data = NULL;
    size_t n = 0;
    bool found = kg_read(path, &data, &n) == 0 && memmem(data, n, head, sizeof(head) - 1) != NULL;
    kg_forget(data, n);
    return found;
}

static bool needs_phrase(int rc)
{
    return rc == NACRE_NEED_PASSPHRASE || rc == NACRE_WRONG_PASSPHRASE;
}

nacre_key *kg_load_identity(const keygen *g, const char *path)
{
    nacre_key *key = NULL;
    nacre_error why;
    int rc = kg_load_private(path, "", &key, &why);
    if (needs_phrase(rc)) {
        char phrase[KG_PHRASE], prompt[KG_PATH + 100];
        if (g->old_phrase) {
            keep(phrase, g->old_phrase);
        } else {
            (void)snprintf(prompt, sizeof(prompt), "Enter passphrase for \"%s\": ", path);
            kg_ask_phrase(g, prompt, phrase);
        }
        rc = kg_load_private(path, phrase, &key, &why);
        explicit_bzero(phrase, sizeof(phrase));
    }
    if (rc != NACRE_OK) {
        kg_die("Load key \"%s\": %s", path, kg_reason(rc, &why));
    }
    return key;
}

/* ---- public keys ---- */

static void skip_blanks(const char **at)
{
    *at += strspn(*at, " \t");
}

nacre_key *kg_key_at(const char **at, nacre_error *why)
{
    const char *p = *at;
    skip_blanks(&p);
    const char *begin = p;
    p += strcspn(p, " \t\r\n");
    skip_blanks(&p);
    const char *text = p;
    p += strcspn(p, " \t\r\n");
    nacre_span line = {(const uint8_t *)begin, (size_t)(p - begin)};
    nacre_key *key = NULL;
    if (p == text || nacre_key_from_public_line(&key, NULL, line, why) != NACRE_OK) {
        return NULL;
    }
    *at = p;
    return key;
}

/* The first key that stands in a line of the file. */
static int try_public(const char *path, nacre_key **out, char *comment, nacre_error *why)
{
    FILE *f = fopen(path, "re");
    if (!f) {
        return os_error(why, errno);
    }
    char *buffer = NULL;
    size_t room = 0;
    int rc = NACRE_KEY_FORMAT;
    for (const char *at; (at = kg_line(f, &buffer, &room)) != NULL;) {
        skip_blanks(&at);
        if (*at == '#' || *at == '\0') {
            continue;
        }
        if (strncmp(at, "-----BEGIN", 10) == 0) {
            break;
        }
        nacre_key *key = kg_key_at(&at, why);
        if (key) {
            skip_blanks(&at);
            if (comment) {
                (void)snprintf(comment, KG_COMMENT, "%s", *at ? at : path);
            }
            *out = key;
            rc = NACRE_OK;
            break;
        }
    }
    free(buffer);
    (void)fclose(f);
    return rc;
}

int kg_load_public(const char *path, nacre_key **out, char *comment, nacre_error *why)
{
    *out = NULL;
    if (comment) {
        comment[0] = '\0';
    }
    char beside[KG_PATH + 8];
    (void)snprintf(beside, sizeof(beside), "%s.pub", path);
    if (try_public(path, out, comment, why) == NACRE_OK ||
        try_public(beside, out, comment, why) == NACRE_OK) {
        return NACRE_OK;
    }
    uint8_t *data = NULL;
    size_t n = 0;
    if (kg_read(path, &data, &n) == 0) {
        nacre_span file = {data, n};
        int rc = nacre_key_public_of_private(out, NULL, file, why);
        kg_forget(data, n);
        if (rc == NACRE_OK) {
            return rc;
        }
    }
    return os_error(why, ENOENT); /* as ssh-keygen: there is no such key */
}

bool kg_put_key(FILE *f, const nacre_key *k)
{
    char *line = malloc(KG_LINE);
    bool good = line && nacre_key_public_line(k, line, KG_LINE) > 0 && fputs(line, f) >= 0;
    free(line);
    return good;
}

/* ---- writing ---- */

static int save_text(const char *path, const char *text, size_t n, mode_t mode, nacre_error *why)
{
    int number = kg_write(path, text, n, mode);
    return number ? os_error(why, number) : NACRE_OK;
}

/* Ed25519 keys have one form, as with ssh-keygen: older readers know no other. */
static nacre_key_format format_of(const keygen *g, const nacre_key *k)
{
    if (strncmp(nacre_key_type(k), "ssh-rsa", 7) != 0 &&
        strncmp(nacre_key_type(k), "ecdsa-", 6) != 0) {
        return NACRE_FORMAT_OPENSSH;
    }
    return g->private_format == KG_PEM     ? NACRE_FORMAT_PEM
           : g->private_format == KG_PKCS8 ? NACRE_FORMAT_PKCS8
                                           : NACRE_FORMAT_OPENSSH;
}

int kg_save_private(const keygen *g, const nacre_key *k, const char *path, const char *phrase,
                    const char *comment, nacre_error *why)
{
    char *text = NULL;
    size_t n = 0;
    nacre_key_format_options o;
    nacre_key_format_options_init(&o, format_of(g, k));
    o.passphrase = kg_text(phrase);
    o.comment = comment;
    if (o.format == NACRE_FORMAT_OPENSSH) {
        o.cipher = g->cipher;
        o.rounds = g->rounds;
    }
    memset(why, 0, sizeof(*why));
    /* As libcrypto, which ssh-keygen asks to write these. */
    if (o.format != NACRE_FORMAT_OPENSSH && o.passphrase.n > 0 && o.passphrase.n < 5) {
        (void)snprintf(why->text, sizeof(why->text),
                       "passphrase is too short (minimum five characters)");
        return why->status = NACRE_INVALID_ARGUMENT;
    }
    int rc = nacre_key_write(k, &o, &text, &n, why);
    if (rc == NACRE_OK) {
        rc = save_text(path, text, n, 0600, why);
    }
    nacre_secret_free(NULL, text, n);
    return rc;
}

int kg_save_public(const nacre_key *k, const char *path, const char *comment, nacre_error *why)
{
    memset(why, 0, sizeof(*why));
    char *line = malloc(KG_LINE + KG_COMMENT + 2);
    int n = line ? nacre_key_public_line(k, line, KG_LINE) : NACRE_NO_MEMORY;
    if (n > 0) {
        n += snprintf(line + n, KG_COMMENT + 2, " %s\n", comment);
        n = save_text(path, line, (size_t)n, 0644, why);
    }
    free(line);
    return n;
}

/* ---- showing ---- */

void kg_print_of(const keygen *g, const nacre_key *k, bool babble, char *out, size_t size)
{
    int rc = babble ? nacre_key_babble(k, out, size) : nacre_key_fingerprint(k, g->hash, out, size);
    if (rc < 0) {
        kg_die("fingerprint_one_key: sshkey_fingerprint failed");
    }
}

void kg_put_art(const keygen *g, const nacre_key *k)
{
    char art[512];
    if (nacre_key_randomart(k, g->hash, art, sizeof(art)) < 0) {
        kg_die("sshkey_fingerprint failed");
    }
    (void)puts(art);
}
