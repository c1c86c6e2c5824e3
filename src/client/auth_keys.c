/*
 * auth_keys.c - the keys that a login may try, in order: those that were given, the named files, the
 * default files. Files are read when their turn comes; an encrypted one is opened only when the server
 * has said that it wants this key, if its public half can be had without the passphrase.
 */
#include "client/state.h"
#include "io/text_file.h"
#include "nacre/account.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const char *const default_names[] = {"id_ed25519", "id_ecdsa", "id_rsa"};
enum { DEFAULTS = sizeof(default_names) / sizeof(default_names[0]) };

bool nc_auth_has_given_key(const nacre_client *c, const nc_candidates *at)
{
    return at->next < c->cfg.key_count + c->cfg.key_file_count;
}

/* ---- passphrases ---- */

int nc_auth_unlock(nacre_client *c, const char *path, nacre_key **out)
{
    char secret[NC_SECRET_MAX];
    char prompt[NC_NAME_MAX];
    nacre_error why;
    int rc = NACRE_NEED_PASSPHRASE;
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
    return rc;
}

/* ---- the public half of an encrypted file ---- */

static int public_beside(nacre_client *c, const char *path, nacre_key **out)
{
    char name[4096];
    nc_buf text;
    nc_buf_init(&text, c->alloc, NC_FILE_MAX);
    int n = snprintf(name, sizeof(name), "%s.pub", path);
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
    /* What stands inside cannot be out of date. */
    if (public_inside(c, path, key) == NACRE_OK || public_beside(c, path, key) == NACRE_OK) {
        *lock = path;
        return NACRE_OK;
    }
    return nc_auth_unlock(c, path, key);
}

static int load(nacre_client *c, const char *path, bool named, nacre_key **key, const char **lock)
{
    nacre_error why;
    nc_error_clear(&why);
    int rc = nacre_key_from_file(key, c->alloc, path, nc_span(NULL, 0), true, &why);
    if (rc == NACRE_NEED_PASSPHRASE) {
        return load_locked(c, path, named, key, lock);
    }
    if (rc == NACRE_KEY_PERMISSIONS || (rc != NACRE_OK && rc != NACRE_NOT_FOUND && named)) {
        nc_client_warn(c, "This private key will be ignored: %s", why.text);
    } else if (rc != NACRE_OK) {
        nc_client_log(c, NACRE_LOG_VERBOSE, "Skipping a key: %s", why.text);
    }
    return rc;
}

/* ---- in order ---- */

static int default_file(nacre_client *c, size_t index, const char **path)
{
    nacre_account *me = NULL;
    char name[4096];
    int rc = nacre_account_lookup_uid(&me, c->alloc, getuid(), NULL);
    if (rc != NACRE_OK) {
        return rc;
    }
    (void)snprintf(name, sizeof(name), "%s/.ssh/%s", me->home, default_names[index]);
    nacre_account_free(me);
    *path = nc_client_keep(c, nc_strdup(c->alloc, name));
    return *path ? NACRE_OK : nc_client_fail(c, NACRE_NO_MEMORY, "out of memory");
}

/* The path of the index-th file. NACRE_NOT_FOUND: there are no more. */
static int file_at(nacre_client *c, size_t index, const char **path, bool *named)
{
    *named = index < c->cfg.key_file_count;
    if (*named) {
        *path = c->cfg.key_files[index];
        return NACRE_OK;
    }
    index -= c->cfg.key_file_count;
    if (!c->cfg.default_key_files || index >= DEFAULTS) {
        return NACRE_NOT_FOUND;
    }
    return default_file(c, index, path);
}

int nc_auth_next_key(nacre_client *c, nc_candidates *at, nacre_key **key, const char **path,
                     const char **name)
{
    *key = NULL;
    *path = NULL;
    if (at->next < c->cfg.key_count) {
        *key = nacre_key_ref(c->cfg.keys[at->next++]);
        *name = nacre_key_label(*key);
        return NACRE_OK;
    }
    for (;;) {
        bool named;
        const char *file;
        int rc = file_at(c, at->next - c->cfg.key_count, &file, &named);
        if (rc != NACRE_OK) {
            return rc;
        }
        at->next++;
        if (load(c, file, named, key, path) == NACRE_OK) {
            *name = file;
            return NACRE_OK;
        }
        if (atomic_load(&c->cancelled)) {
            return nc_client_fail(c, NACRE_CANCELLED, "the login was cancelled");
        }
    }
}
