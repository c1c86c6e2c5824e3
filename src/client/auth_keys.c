/*
 * auth_keys.c - the keys that a login may try, in OpenSSH's order: those that were given; certificates that
 * were named, where something can sign for them; keys of the agent that files name; its other keys; the
 * files. Private keys are read when their turn comes; an encrypted one is opened only when the server has
 * said that it wants this key, if its public half can be had without the passphrase.
 */
#include "client/state.h"
#include "io/text_file.h"
#include "nacre/account.h"
#include "nacre/cert.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* In the order in which OpenSSH 10 tries them. */
static const char *const default_names[] = {"id_rsa", "id_ecdsa", "id_ecdsa_sk", "id_ed25519",
                                            "id_ed25519_sk"};
enum { DEFAULTS = sizeof(default_names) / sizeof(default_names[0]), PATH_ROOM = 4096 };

/* ---- passphrases --------------------------------------------------------------------------------- */

int nc_auth_unlock(nacre_client *c, const char *path, nacre_key **out)
{
    char secret[NC_SECRET_MAX];
    char prompt[NC_NAME_MAX];
    nacre_error why;
    int rc = NACRE_NEED_PASSPHRASE;
    if (c->auth.unlocked_path && strcmp(c->auth.unlocked_path, path) == 0) {
        *out = nacre_key_ref(c->auth.unlocked); /* asked for before: with its certificate, say */
        return NACRE_OK;
    }
    (void)snprintf(prompt, sizeof(prompt),
                   "Enter passphrase for key '%s': ", NC_ESC(nc_span_cstr(path)));
    for (unsigned attempt = 1; attempt <= c->cfg.password_prompts; attempt++) {
        int n =
            nc_auth_ask(c, NACRE_ASK_PASSPHRASE, prompt, false, attempt, secret, sizeof(secret));
        if (n <= 0) { /* nothing typed: leave this key out */
            nc_client_log(c, NACRE_LOG_VERBOSE, "No passphrase for %s.",
                          NC_ESC(nc_span_cstr(path)));
            rc = NACRE_NEED_PASSPHRASE;
            break;
        }
        rc = nacre_key_from_file(out, c->alloc, path, nc_span(secret, (size_t)n), true, &why);
        if (rc != NACRE_WRONG_PASSPHRASE) {
            break;
        }
        nc_client_warn(c, "Wrong passphrase for key %s", NC_ESC(nc_span_cstr(path)));
    }
    nc_wipe(secret, sizeof(secret));
    if (rc == NACRE_OK) {
        nacre_key_free(c->auth.unlocked);
        c->auth.unlocked = nacre_key_ref(*out);
        c->auth.unlocked_path = path;
    }
    return rc;
}

/* ---- public halves ------------------------------------------------------------------------------- */

static int read_public(nacre_client *c, const char *path, const char *suffix, nacre_key **out)
{
    char name[PATH_ROOM];
    nc_buf text;
    nc_buf_init(&text, c->alloc, NC_FILE_MAX);
    int n = snprintf(name, sizeof(name), "%s%s", path, suffix);
    int rc = n > 0 && (size_t)n < sizeof(name) ? nc_file_read(name, &text, NULL) : NACRE_TOO_LARGE;
    if (rc == NACRE_OK) {
        rc = nacre_key_from_public_line(out, c->alloc, nc_buf_span(&text), NULL);
    }
    nc_buf_clear(&text);
    return rc;
}

static int public_inside(nacre_client *c, const char *path, nacre_key **out)
{
    nc_buf text;
    nc_buf_init(&text, c->alloc, NC_FILE_MAX);
    int rc = nc_file_read(path, &text, NULL);
    if (rc == NACRE_OK) {
        rc = nacre_key_public_of_private(out, c->alloc, nc_buf_span(&text), NULL);
    }
    nc_buf_clear(&text);
    return rc;
}

/*
 * The public half of what a file names, without a question and without a word: what stands inside cannot
 * be out of date; the file may itself be public, or be missing beside one that is. NULL: not known yet.
 */
static nacre_key *public_half(nacre_client *c, const char *path)
{
    nacre_key *k = NULL;
    if (public_inside(c, path, &k) == NACRE_OK || read_public(c, path, "", &k) == NACRE_OK ||
        read_public(c, path, ".pub", &k) == NACRE_OK) {
        return k;
    }
    /* A PEM file that is not encrypted. */
    const nacre_span none = {NULL, 0};
    return nacre_key_from_file(&k, c->alloc, path, none, true, NULL) == NACRE_OK ? k : NULL;
}

/* ---- private files ------------------------------------------------------------------------------- */

static int load_locked(nacre_client *c, const char *path, bool named, nacre_key **key,
                       const char **lock)
{
    static const char text[] =
        "This private key will be ignored: %s: it needs a passphrase, and nobody can be asked";
    if (!c->cfg.callbacks.ask_secret) {
        nc_escaped shown = nc_escape_span(nc_span_cstr(path));
        if (named) {
            nc_client_warn(c, text, shown.text);
        } else {
            nc_client_log(c, NACRE_LOG_VERBOSE, text, shown.text);
        }
        return NACRE_NEED_PASSPHRASE;
    }
    if (public_inside(c, path, key) == NACRE_OK || read_public(c, path, ".pub", key) == NACRE_OK) {
        *lock = path;
        return NACRE_OK;
    }
    return nc_auth_unlock(c, path, key);
}

/* The private half of a security key's file is a handle: something else must ask the device. */
static int refuse_handle(nacre_client *c, const char *path, nacre_key **key)
{
    nc_client_log(c, NACRE_LOG_INFO,
                  "%s belongs to a security key, which signs through an agent only: add it there.",
                  NC_ESC(nc_span_cstr(path)));
    nacre_key_free(*key);
    *key = NULL;
    return NACRE_KEY_NEEDS_AGENT;
}

static int load(nacre_client *c, const char *path, bool named, nacre_key **key, const char **lock)
{
    nacre_error why;
    nc_error_clear(&why);
    int rc = nacre_key_from_file(key, c->alloc, path, nc_span(NULL, 0), true, &why);
    if (rc == NACRE_NEED_PASSPHRASE) {
        rc = load_locked(c, path, named, key, lock);
    } else if (rc == NACRE_KEY_PERMISSIONS || (rc != NACRE_OK && rc != NACRE_NOT_FOUND && named)) {
        nc_client_warn(c, "This private key will be ignored: %s", why.text);
    } else if (rc != NACRE_OK) {
        nc_client_log(c, NACRE_LOG_VERBOSE, "Skipping a key: %s", why.text);
    }
    return rc == NACRE_OK && nacre_key_is_sk(*key) ? refuse_handle(c, path, key) : rc;
}

/* ---- the list ------------------------------------------------------------------------------------ */

void nc_auth_candidates_clear(nacre_client *c, nc_candidates *at)
{
    for (size_t i = 0; i < at->count; i++) {
        nacre_key_free(at->list[i].key);
    }
    nc_free(c->alloc, at->list);
    nacre_agent_keys_free(c->alloc, at->held, at->held_count);
    memset(at, 0, sizeof(*at));
}

/* Takes key. */
static int append(nacre_client *c, nc_candidates *at, nacre_key *key, const char *path, bool named)
{
    nc_candidate *more = nc_resize(c->alloc, at->list, (at->count + 1) * sizeof(*more));
    if (!more) {
        nacre_key_free(key);
        return NACRE_NO_MEMORY;
    }
    at->list = more;
    at->list[at->count++] = (nc_candidate){.key = key, .path = path, .named = named};
    return NACRE_OK;
}

static bool same_plain(const nacre_key *a, const nacre_key *b)
{
    nacre_key *pa = NULL, *pb = NULL;
    bool same = nacre_key_plain(&pa, a) == NACRE_OK && nacre_key_plain(&pb, b) == NACRE_OK &&
                nacre_key_equal(pa, pb);
    nacre_key_free(pa);
    nacre_key_free(pb);
    return same;
}

/* A file, and the certificate beside it. */
static int append_file(nacre_client *c, nc_candidates *at, const char *path, bool named)
{
    nacre_key *cert = NULL;
    nacre_key *key = public_half(c, path);
    int rc = append(c, at, key, path, named);
    if (rc != NACRE_OK || !key || read_public(c, path, "-cert.pub", &cert) != NACRE_OK) {
        return rc;
    }
    if (nacre_key_is_cert(cert) && same_plain(cert, key)) {
        return append(c, at, cert, path, named);
    }
    nc_client_log(c, NACRE_LOG_VERBOSE, "%s-cert.pub is no certificate of that key.",
                  NC_ESC(nc_span_cstr(path)));
    nacre_key_free(cert);
    return NACRE_OK;
}

static int append_defaults(nacre_client *c, nc_candidates *at)
{
    nacre_account *me = NULL;
    char name[PATH_ROOM];
    int rc = nacre_account_lookup_uid(&me, c->alloc, getuid(), NULL);
    for (size_t i = 0; rc == NACRE_OK && i < DEFAULTS; i++) {
        (void)snprintf(name, sizeof(name), "%s/.ssh/%s", me->home, default_names[i]);
        const char *path = nc_client_keep(c, nc_strdup(c->alloc, name));
        rc = path ? append_file(c, at, path, false) : NACRE_NO_MEMORY;
    }
    nacre_account_free(me);
    return rc == NACRE_NO_MEMORY ? rc : NACRE_OK; /* who has no home has no files there */
}

static int append_certs(nacre_client *c, nc_candidates *at)
{
    int rc = NACRE_OK;
    for (size_t i = 0; rc == NACRE_OK && i < c->cfg.certificate_file_count; i++) {
        const char *path = c->cfg.certificate_files[i];
        nacre_key *cert = NULL;
        int read = read_public(c, path, "", &cert);
        if (read != NACRE_OK || !nacre_key_is_cert(cert)) {
            nc_client_warn(c, "%s is not used: %s", NC_ESC(nc_span_cstr(path)),
                           read == NACRE_OK ? "it is no certificate" : nacre_status_text(read));
            nacre_key_free(cert);
            continue;
        }
        rc = append(c, at, cert, NULL, true);
        if (rc == NACRE_OK) {
            at->list[at->count - 1].cert_file = path;
        }
    }
    return rc;
}

/* ---- who signs, and the order -------------------------------------------------------------------- */

/* A key of the agent that is the very same, or failing that signs for it (the plain one of a certificate). */
static nacre_key *find_signer(const nc_candidates *at, const nacre_key *key)
{
    for (size_t i = 0; i < at->held_count; i++) {
        if (nacre_key_equal(at->held[i], key)) {
            return at->held[i];
        }
    }
    for (size_t i = 0; nacre_key_is_cert(key) && i < at->held_count; i++) {
        if (!nacre_key_is_cert(at->held[i]) && same_plain(at->held[i], key)) {
            return at->held[i];
        }
    }
    return NULL;
}

/* The file that has the private half of a named certificate. */
static const char *find_file(const nc_candidates *at, const nacre_key *cert)
{
    for (size_t i = 0; i < at->count; i++) {
        const nc_candidate *f = &at->list[i];
        if (f->path && f->key && !f->cert_file && same_plain(f->key, cert)) {
            return f->path;
        }
    }
    return NULL;
}

enum { RANK_CERT = 0, RANK_AGENT, RANK_FILE, RANK_NONE };

static void rank(nacre_client *c, nc_candidates *at)
{
    for (size_t i = 0; i < at->count; i++) {
        nc_candidate *k = &at->list[i];
        k->signer = k->key ? find_signer(at, k->key) : NULL;
        k->rank = k->signer ? RANK_AGENT : RANK_FILE;
        if (k->cert_file) {
            k->path = k->signer ? NULL : find_file(at, k->key);
            k->rank = k->signer || k->path ? RANK_CERT : RANK_NONE;
            if (k->rank == RANK_NONE) {
                nc_client_log(c, NACRE_LOG_VERBOSE, "Skipping %s: its private key is not at hand.",
                              NC_ESC(nc_span_cstr(k->cert_file)));
            }
        }
    }
}

static bool is_listed(const nc_candidates *at, size_t files, const nacre_key *key)
{
    for (size_t i = 0; i < files; i++) {
        if (at->list[i].key && nacre_key_equal(at->list[i].key, key)) {
            return true;
        }
    }
    return false;
}

/* Files' keys in the order of the agent, then what it holds besides. */
static int append_agent(nacre_client *c, nc_candidates *at)
{
    size_t files = at->count;
    for (size_t i = 0; i < at->held_count && !c->cfg.identities_only; i++) {
        if (is_listed(at, files, at->held[i])) {
            continue;
        }
        int rc = append(c, at, nacre_key_ref(at->held[i]), NULL, false);
        if (rc != NACRE_OK) {
            return rc;
        }
        at->list[at->count - 1].signer = at->held[i];
        at->list[at->count - 1].rank = RANK_AGENT;
    }
    return NACRE_OK;
}

/* Stable, by rank; nothing is dropped but what cannot be signed for. */
static int sort(nacre_client *c, nc_candidates *at)
{
    nc_candidate *sorted = nc_alloc_array(c->alloc, at->count ? at->count : 1, sizeof(*sorted));
    size_t n = 0;
    if (!sorted) {
        return NACRE_NO_MEMORY;
    }
    for (int r = RANK_CERT; r <= RANK_NONE; r++) {
        for (size_t i = 0; i < at->count; i++) {
            if (at->list[i].rank == r && r != RANK_NONE) {
                sorted[n++] = at->list[i];
            } else if (at->list[i].rank == r) {
                nacre_key_free(at->list[i].key);
            }
        }
    }
    nc_free(c->alloc, at->list);
    at->list = sorted;
    at->count = n;
    return NACRE_OK;
}

static int build(nacre_client *c, nc_candidates *at)
{
    int rc = nc_auth_agent_list(c, &at->held, &at->held_count);
    for (size_t i = 0; rc == NACRE_OK && i < c->cfg.key_file_count; i++) {
        rc = append_file(c, at, c->cfg.key_files[i], true);
    }
    if (rc == NACRE_OK && c->cfg.default_key_files) {
        rc = append_defaults(c, at);
    }
    if (rc == NACRE_OK) {
        rc = append_certs(c, at);
    }
    if (rc == NACRE_OK) {
        rank(c, at);
        rc = append_agent(c, at);
    }
    if (rc == NACRE_OK) {
        rc = sort(c, at);
    }
    at->ready = rc == NACRE_OK;
    if (rc != NACRE_OK && c->err.status == NACRE_OK) {
        return nc_client_fail(c, rc, "%s", nacre_status_text(rc));
    }
    return rc;
}

/* ---- in order ------------------------------------------------------------------------------------ */

bool nc_auth_has_given_key(const nacre_client *c, const nc_candidates *at)
{
    if (at->given < c->cfg.key_count) {
        return true;
    }
    return at->ready ? at->next < at->count && at->list[at->next].named : c->cfg.key_file_count > 0;
}

static const char *name_of(const nc_candidate *k)
{
    if (k->cert_file) {
        return k->cert_file;
    }
    if (k->path) {
        return k->path;
    }
    return *nacre_key_comment(k->key) ? nacre_key_comment(k->key) : nacre_key_label(k->key);
}

/* The file's key, showing the certificate that stands for it in the list. */
static int from_file(nacre_client *c, const nc_candidate *k, nc_offer *o)
{
    nacre_key *key = NULL;
    int rc = load(c, k->path, k->named, &key, &o->lock);
    if (rc == NACRE_OK && k->key && nacre_key_is_cert(k->key)) {
        rc = nacre_key_attach_cert(&o->key, key, k->key, NULL);
        nacre_key_free(key);
        return rc;
    }
    o->key = key;
    return rc;
}

int nc_auth_next_key(nacre_client *c, nc_candidates *at, nc_offer *o)
{
    memset(o, 0, sizeof(*o));
    if (at->given < c->cfg.key_count) {
        o->key = nacre_key_ref(c->cfg.keys[at->given++]);
        o->name = nacre_key_label(o->key);
        return NACRE_OK;
    }
    int rc = at->ready ? NACRE_OK : build(c, at);
    while (rc == NACRE_OK && at->next < at->count) {
        const nc_candidate *k = &at->list[at->next++];
        if (k->signer) {
            o->key = nacre_key_ref(k->key);
            o->signer = k->signer;
            o->name = name_of(k);
            return NACRE_OK;
        }
        if (from_file(c, k, o) == NACRE_OK) {
            o->path = k->path;
            o->name = name_of(k);
            return NACRE_OK;
        }
        o->lock = NULL;
        if (atomic_load(&c->cancelled)) {
            return nc_client_fail(c, NACRE_CANCELLED, "the login was cancelled");
        }
    }
    return rc == NACRE_OK ? NACRE_NOT_FOUND : rc;
}
