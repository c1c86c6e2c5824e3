/*
 * authorized_keys.c - the files that name keys: authorized_keys of sshd(8), principals files, files of
 * authorities. Which line counts; what its options do is in key_options.c.
 *
 * Not here: where the files lie and whether their permissions are good (server).
 */
#include "keys/key_options.h"

#include "nacre/cert.h"

#include <string.h>

/* ---- lines ----------------------------------------------------------------------------------- */

static nacre_span without_padding(nacre_span s)
{
    while (s.n && s.p[s.n - 1] == '=') {
        s.n--;
    }
    return s;
}

/* The key that a line must have: the one that wants in, or the authority of a certificate. */
typedef struct wanted_key {
    const nacre_key *key;
    nc_buf base64;
} wanted_key;

static int want_key(wanted_key *w, const nacre_key *key, const nacre_allocator *a)
{
    w->key = key;
    nc_buf_init(&w->base64, a, 2 * NC_MAX_KEY_BLOB);
    return nc_base64_encode(nacre_key_blob(key), &w->base64);
}

/* Base64 of one key is one text, so that nothing need be decoded to find it. */
static bool words_are_key(nacre_span rest, const wanted_key *w)
{
    nacre_span type = nc_text_word(&rest);
    nacre_span text = nc_text_word(&rest);
    return nc_span_is(type, nacre_key_type(w->key)) &&
           nc_span_eq(without_padding(text), without_padding(nc_buf_span(&w->base64)));
}

/* Whether the line has the key, and the options before it. */
static bool line_has_key(nacre_span line, const wanted_key *w, nacre_span *options)
{
    *options = nc_span(line.p, 0);
    if (words_are_key(line, w)) {
        return true;
    }
    nacre_span rest = line;
    return nc_options_cut(&rest, options) && words_are_key(rest, w);
}

/* ---- authorized_keys ------------------------------------------------------------------------- */

/* A line for a plain key, or for an authority; what it says in the other role is nothing. */
static int judge_line(nc_option_check *c, nacre_span options, uint32_t number)
{
    bool cert = nacre_key_is_cert(c->key);
    int rc = nc_options_apply(c, options, number);
    if (rc != NACRE_OK) {
        return rc;
    }
    if (!cert && c->authority) {
        return nc_option_refuse(
            c, "as a certificate authority (cert-authority), not as a key to log in with");
    }
    if (!cert) {
        return NACRE_OK;
    }
    if (!c->authority) {
        return nc_option_refuse(c, "not as a certificate authority (cert-authority)");
    }
    if (c->has_principals && !c->names_principal) {
        return nc_option_refuse(c, "its principals= has none of the certificate's names");
    }
    return nc_option_fold_cert(c, c->has_principals ? NULL : c->facts->user);
}

static int find_key(nc_option_check *c, const wanted_key *w, nacre_span text)
{
    nacre_span line, options;
    uint32_t number = 0;
    int rc = NACRE_NOT_FOUND;
    while (rc == NACRE_NOT_FOUND && nc_text_line(&text, &line)) {
        number++;
        line = nc_text_trim(line);
        if (line.n && line.p[0] != '#' && line_has_key(line, w, &options)) {
            rc = judge_line(c, options, number);
        }
    }
    return rc;
}

/* Everything that a check needs; NULL: no memory. */
static nc_option_check *begin(const nacre_key *key, const nacre_login_facts *facts,
                              const char *subject, const char *noun, nacre_key_grant *grant,
                              nacre_error *why)
{
    static const nacre_login_facts no_facts = {0};
    nc_option_check *c = nc_zalloc(nc_key_allocator(key), sizeof(*c));
    nc_error_clear(why);
    memset(grant, 0, sizeof(*grant));
    if (c) {
        c->facts = facts ? facts : &no_facts;
        c->key = key;
        c->subject = subject;
        c->noun = noun;
        c->grant = grant;
        c->why = why;
    }
    return c;
}

static int end(nc_option_check *c, const nacre_key *key, int rc, nacre_key_grant *grant,
               nacre_error *why, const char *nothing)
{
    if (rc == NACRE_OK) {
        nc_error_clear(why); /* an earlier line that was refused no longer matters */
    } else {
        memset(grant, 0, sizeof(*grant));
        nc_fail(why, rc, "%s", nothing);
    }
    nc_wipe_free(nc_key_allocator(key), c, sizeof(*c));
    return rc;
}

int nacre_authorized_keys_check(nacre_span text, const nacre_key *key,
                                const nacre_login_facts *facts, nacre_key_grant *grant,
                                nacre_error *why)
{
    wanted_key w;
    nacre_cert_info info;
    bool cert = nacre_key_cert_info(key, &info) == NACRE_OK;
    nc_option_check *c =
        begin(key, facts, "authorized_keys", cert ? "authority" : "key", grant, why);
    int rc = want_key(&w, cert ? info.ca : key, nc_key_allocator(key));
    rc = c ? rc : NACRE_NO_MEMORY;
    rc = rc == NACRE_OK ? find_key(c, &w, text) : rc;
    nc_buf_clear(&w.base64);
    return end(c, key, rc, grant, why,
               cert ? "no line has this certificate's authority" : "no line has this key");
}

/* ---- principals files ------------------------------------------------------------------------ */

/* The last word is the name, and the options are what stands before it. */
static nacre_span last_word(nacre_span *line)
{
    size_t at = line->n;
    while (at > 0 && line->p[at - 1] != ' ' && line->p[at - 1] != '\t') {
        at--;
    }
    nacre_span word = nc_span(line->p + at, line->n - at);
    *line = nc_text_trim(nc_span(line->p, at));
    return word;
}

static int judge_name(nc_option_check *c, nacre_span line, uint32_t number)
{
    nacre_span rest = line, options = nc_span(line.p, 0);
    nacre_span name = last_word(&rest);
    if (!nc_cert_has_principal(c->key, name)) {
        return NACRE_NOT_FOUND;
    }
    c->grant->line = number;
    if (rest.n && (!nc_options_cut(&rest, &options) || rest.n)) {
        return nc_option_refuse(c, "before it stands what is no list of options");
    }
    int rc = nc_options_apply(c, options, number);
    if (rc == NACRE_OK && (c->authority || c->has_principals)) {
        rc = nc_option_refuse(c, "cert-authority and principals= have no place here");
    }
    return rc == NACRE_OK ? nc_option_fold_cert(c, NULL) : rc;
}

int nacre_authorized_principals_check(nacre_span text, const nacre_key *cert,
                                      const nacre_login_facts *facts, nacre_key_grant *grant,
                                      nacre_error *why)
{
    nacre_span line;
    uint32_t number = 0;
    nc_option_check *c = begin(cert, facts, "principals", "name", grant, why);
    int rc = c ? NACRE_NOT_FOUND : NACRE_NO_MEMORY;
    if (c && !nacre_key_is_cert(cert)) {
        rc = NACRE_INVALID_ARGUMENT;
    }
    while (rc == NACRE_NOT_FOUND && nc_text_line(&text, &line)) {
        number++;
        line = nc_text_trim(line);
        if (line.n && line.p[0] != '#') {
            rc = judge_name(c, line, number);
        }
    }
    return end(c, cert, rc, grant, why, "no line has a name of this certificate");
}

int nacre_certificate_grant(const nacre_key *cert, const nacre_login_facts *facts,
                            nacre_key_grant *grant, nacre_error *why)
{
    nc_option_check *c = begin(cert, facts, "certificate", NULL, grant, why);
    int rc = c ? NACRE_OK : NACRE_NO_MEMORY;
    if (c && (!nacre_key_is_cert(cert) || !c->facts->user)) {
        rc = NACRE_INVALID_ARGUMENT;
    }
    rc = rc == NACRE_OK ? nc_options_apply(c, nc_span(NULL, 0), 0) : rc;
    if (rc == NACRE_OK) {
        /* There is no line that could demand less or allow less: the certificate's word alone. */
        c->grant->no_touch_required = true;
        rc = nc_option_fold_cert(c, c->facts->user);
    }
    return end(c, cert, rc, grant, why, "the certificate is not good for this user");
}

/* ---- files of keys --------------------------------------------------------------------------- */

int nacre_keys_list_has(nacre_span text, const nacre_key *key)
{
    wanted_key w;
    nacre_span line;
    int rc = want_key(&w, key, nc_key_allocator(key));
    bool found = false;
    while (rc == NACRE_OK && !found && nc_text_line(&text, &line)) {
        line = nc_text_trim(line);
        found = line.n && line.p[0] != '#' && words_are_key(line, &w);
    }
    nc_buf_clear(&w.base64);
    return rc != NACRE_OK ? rc : found ? NACRE_OK : NACRE_NOT_FOUND;
}
