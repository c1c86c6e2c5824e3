/*
 * sshd_certs.c - user certificates by TrustedUserCAKeys, who of them may be this user (principals), and what was
 * revoked. What cannot be read lets nobody in.
 */
#include "sshd.h"

#include <nacre/cert.h>
#include <nacre/krl.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { AUTHORITIES_MAX = 4 << 20 }; /* far above what a house trusts */

/* ---- revocation --------------------------------------------------------------------------------------- */

bool certs_revoked(const login *l, const nacre_key *key)
{
    const nacre_sshd_list *files = &l->s->revoked_keys;
    for (size_t i = 0; i < files->count; i++) {
        nacre_krl *krl = NULL;
        nacre_error why = {0};
        int rc = nacre_krl_load_file(&krl, NULL, files->items[i], &why);
        if (rc != NACRE_OK) {
            say(LOG_LEVEL_ERROR, "RevokedKeys %s cannot be used, so that every key is refused: %s",
                plain_text(files->items[i]), why.text[0] ? why.text : nacre_status_text(rc));
            return true;
        }
        rc = nacre_krl_check(krl, key, &why);
        nacre_krl_free(krl);
        if (rc != NACRE_OK) {
            say(LOG_LEVEL_INFO, "Authentication key %s revoked by file %s: %s",
                nacre_key_label(key), plain_text(files->items[i]),
                why.text[0] ? why.text : nacre_status_text(rc));
            return true;
        }
    }
    return false;
}

/* ---- authorities ---------------------------------------------------------------------------------------- */

static char *read_authorities(const char *path, size_t *n)
{
    struct stat st;
    char *text = NULL;
    *n = 0;
    int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
    if (fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_size <= AUTHORITIES_MAX) {
        text = keys_read_all(fd, (size_t)st.st_size, n);
    } else {
        say(LOG_LEVEL_ERROR, "TrustedUserCAKeys %s cannot be read: %s", plain_text(path),
            fd < 0 ? strerror(errno) : "it is no file of bearable size");
    }
    if (fd >= 0) {
        (void)close(fd);
    }
    return text;
}

static bool trusted(const login *l, const nacre_key *ca)
{
    size_t n = 0;
    char *text = read_authorities(l->s->trusted_user_ca_keys, &n);
    nacre_span span = {(const uint8_t *)text, n};
    bool found = text && nacre_keys_list_has(span, ca) == NACRE_OK;
    if (text && !found) {
        char print[160] = "";
        (void)nacre_key_fingerprint(ca, "sha256", print, sizeof(print));
        say(LOG_LEVEL_DEBUG, "CA %s %s is not listed in %s", nacre_key_label(ca), print,
            plain_text(l->s->trusted_user_ca_keys));
    }
    free(text);
    return found;
}

/* ---- principals -------------------------------------------------------------------------------------------- */

typedef struct question {
    login *l;
    const nacre_key *cert;
    const nacre_cert_info *info;
    nacre_key_grant *grant;
} question;

static bool ask_names(const question *q, const char *source, const char *text, size_t n)
{
    key_facts facts;
    nacre_error why = {0};
    nacre_span span = {(const uint8_t *)text, n};
    keys_facts(&facts, q->l);
    int rc = nacre_authorized_principals_check(span, q->cert, &facts.f, q->grant, &why);
    say(rc == NACRE_OK ? LOG_LEVEL_DEBUG : LOG_LEVEL_INFO, "%s: %s", plain_text(source),
        rc == NACRE_OK ? "a line has a name of the certificate" : why.text);
    return rc == NACRE_OK;
}

static bool by_file(const question *q)
{
    size_t n = 0;
    const char *pattern = q->l->s->authorized_principals_file;
    char *text = pattern ? keys_user_file(q->l, pattern, "authorized principals", &n) : NULL;
    bool found = text && ask_names(q, pattern, text, n);
    free(text);
    return found;
}

/* The certificate's own words among the arguments; whatever they are, they stay one argument each. */
static char *run_for_names(const question *q, size_t *n)
{
    static const char keyword[] = "AuthorizedPrincipalsCommand";
    char key_id[4096], serial[24], ca_print[160] = "";
    program_words *w = calloc(1, sizeof(*w)), *ca = calloc(1, sizeof(*ca));
    char *text = NULL;
    nacre_span id = q->info->key_id;
    if (w && ca && id.n < sizeof(key_id)) {
        program_tokens(w, q->l, q->cert);
        program_tokens(ca, q->l, q->info->ca);
        memcpy(key_id, id.n ? (const char *)id.p : "", id.n);
        key_id[id.n] = '\0';
        (void)snprintf(serial, sizeof(serial), "%llu", (unsigned long long)q->info->serial);
        (void)nacre_key_fingerprint(q->info->ca, "sha256", ca_print, sizeof(ca_print));
        w->t.ca_type = ca->t.key_type;
        w->t.ca = ca->t.key;
        w->t.ca_print = ca_print;
        w->t.key_id = key_id;
        w->t.serial = serial;
        text = program_output(q->l, keyword, q->l->s->authorized_principals_command,
                              q->l->s->authorized_principals_command_user, &w->t, n);
    }
    free(w);
    free(ca);
    return text;
}

static bool by_program(const question *q)
{
    size_t n = 0;
    if (!q->l->s->authorized_principals_command) {
        return false;
    }
    char *text = run_for_names(q, &n);
    bool found = text && ask_names(q, "AuthorizedPrincipalsCommand", text, n);
    free(text);
    return found;
}

static bool by_own_name(const question *q)
{
    key_facts facts;
    nacre_error why = {0};
    keys_facts(&facts, q->l);
    int rc = nacre_certificate_grant(q->cert, &facts.f, q->grant, &why);
    if (rc != NACRE_OK) {
        say(LOG_LEVEL_INFO, "certificate for %s: %s", plain_text(q->l->user), why.text);
    }
    return rc == NACRE_OK;
}

bool certs_allow(login *l, const nacre_key *key, nacre_key_grant *grant)
{
    nacre_cert_info info;
    if (!l->s->trusted_user_ca_keys || nacre_key_cert_info(key, &info) != NACRE_OK ||
        !trusted(l, info.ca)) {
        return false;
    }
    question q = {l, key, &info, grant};
    if (l->s->authorized_principals_file || l->s->authorized_principals_command) {
        return by_file(&q) || by_program(&q); /* then the user's own name is not enough */
    }
    return by_own_name(&q);
}

/* ---- what is said of them ------------------------------------------------------------------------------------ */

void certs_describe(const nacre_key *key, char *out, size_t size)
{
    nacre_cert_info info;
    char print[160] = "";
    out[0] = '\0';
    if (nacre_key_cert_info(key, &info) != NACRE_OK) {
        return;
    }
    (void)nacre_key_fingerprint(info.ca, "sha256", print, sizeof(print));
    (void)snprintf(out, size, " ID %s (serial %llu) CA %s %s", plain(info.key_id),
                   (unsigned long long)info.serial, nacre_key_label(info.ca), print);
}
