/*
 * auth_hostbased.c - logging in as a user of this host (RFC 4252 9): which of the host's keys can sign
 * here, who we say we are, and one attempt by each key.
 */
#include "client/state.h"
#include "io/text_file.h"
#include "nacre/account.h"

#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* ---- keys --------------------------------------------------------------------------------------------- */

/* The public half beside a file that is root's; ssh-keysign finds the private one itself. */
static int public_beside(nacre_client *c, const char *path, nacre_key **key)
{
    char name[4096];
    nc_buf text;
    int n = snprintf(name, sizeof(name), "%s.pub", path);
    if (n <= 0 || (size_t)n >= sizeof(name)) {
        return NACRE_TOO_LARGE;
    }
    nc_buf_init(&text, c->alloc, NC_FILE_MAX);
    int rc = nc_file_read(name, &text, NULL);
    if (rc == NACRE_OK) {
        rc = nacre_key_from_public_line(key, c->alloc, nc_buf_span(&text), NULL);
    }
    nc_buf_clear(&text);
    return rc;
}

static int load(nacre_client *c, const char *path, nacre_key **key)
{
    nacre_error why;
    c->auth.keysign = NULL;
    int rc = nacre_key_from_file(key, c->alloc, path, nc_span(NULL, 0), true, &why);
    if (rc == NACRE_OK || rc == NACRE_NOT_FOUND) {
        return rc;
    }
    nc_client_log(c, NACRE_LOG_VERBOSE, "hostbased: %s", why.text);
    if (!c->cfg.keysign) {
        return rc;
    }
    rc = public_beside(c, path, key);
    c->auth.keysign = rc == NACRE_OK ? c->cfg.keysign : NULL;
    return rc;
}

/* NACRE_NOT_FOUND: there are no more. */
static int next_key(nacre_client *c, nc_host_candidates *at, nacre_key **key, const char **name)
{
    *key = NULL;
    c->auth.keysign = NULL;
    if (at->next < c->cfg.host_key_count) {
        *key = nacre_key_ref(c->cfg.host_keys[at->next++]);
        *name = nacre_key_label(*key);
        return NACRE_OK;
    }
    while (at->next < c->cfg.host_key_count + c->cfg.host_key_file_count) {
        const char *path = c->cfg.host_key_files[at->next++ - c->cfg.host_key_count];
        if (load(c, path, key) == NACRE_OK) {
            *name = path;
            return NACRE_OK;
        }
    }
    return NACRE_NOT_FOUND;
}

/* ---- who we are ----------------------------------------------------------------------------------------- */

/* As OpenSSH: the name of the address from which we are connected, for that is what the server sees and
 * ssh-keysign demands; else the host's own. */
static bool name_of_connection(const nacre_client *c, char *out, size_t size)
{
    struct sockaddr_storage sa;
    socklen_t n = sizeof(sa);
    return getsockname(c->in_fd, (struct sockaddr *)&sa, &n) == 0 &&
           (sa.ss_family == AF_INET || sa.ss_family == AF_INET6) &&
           getnameinfo((struct sockaddr *)&sa, n, out, (socklen_t)size, NULL, 0, NI_NAMEREQD) == 0;
}

static bool client_host(const nacre_client *c, char *out, size_t size)
{
    if (c->cfg.client_host) {
        int n = snprintf(out, size, "%s", c->cfg.client_host);
        return n > 0 && (size_t)n < size;
    }
    if (!name_of_connection(c, out, size - 1) && gethostname(out, size - 1) != 0) {
        return false;
    }
    out[size - 2] = '\0';
    size_t n = strlen(out);
    if (n && out[n - 1] != '.') {
        memcpy(out + n, ".", 2); /* fully qualified: the dot is part of what is signed */
    }
    return n > 0;
}

static bool client_user(const nacre_client *c, char *out, size_t size)
{
    nacre_account *me = NULL;
    int n = -1;
    if (c->cfg.client_user) {
        n = snprintf(out, size, "%s", c->cfg.client_user);
    } else if (nacre_account_lookup_uid(&me, c->alloc, getuid(), NULL) == NACRE_OK) {
        n = snprintf(out, size, "%s", me->name);
    }
    nacre_account_free(me);
    return n > 0 && (size_t)n < size;
}

/* ---- attempts --------------------------------------------------------------------------------------------- */

static int attempt(nacre_client *c, nacre_key *key)
{
    char host[1025];
    char user[256];
    if (!client_host(c, host, sizeof(host)) || !client_user(c, user, sizeof(user))) {
        return NACRE_NOT_FOUND;
    }
    nc_client_log(c, NACRE_LOG_VERBOSE, "hostbased: we are %s of %s", NC_ESC(nc_span_cstr(user)),
                  NC_ESC(nc_span_cstr(host)));
    return nacre_transport_auth_hostbased(c->t, c->cfg.user, key, NULL, host, user);
}

int nc_auth_try_host(nacre_client *c, nc_host_candidates *at, const char **name)
{
    nacre_key *key = NULL;
    int rc = next_key(c, at, &key, name);
    if (rc != NACRE_OK) {
        if (!at->tried) {
            nc_client_warn(
                c, "hostbased: none of this host's keys can sign here: %s",
                c->cfg.keysign
                    ? "neither is one readable nor is there a public one for ssh-keysign"
                    : "none is readable, and ssh-keysign is not installed or not allowed "
                      "(EnableSSHKeysign)");
        }
        return rc;
    }
    rc = attempt(c, key);
    nacre_key_free(key);
    if (rc == NACRE_UNSUPPORTED || rc == NACRE_BAD_KEY) {
        nc_client_log(c, NACRE_LOG_VERBOSE, "hostbased: skipping %s: %s",
                      NC_ESC(nc_span_cstr(*name)), nacre_status_text(rc));
        return NACRE_AUTH_FAILED;
    }
    at->tried = true;
    rc = nc_auth_finish(c, rc);
    c->auth.keysign = NULL;
    return rc;
}

int nacre_client_auth_hostbased(nacre_client *c, nacre_key *key)
{
    int rc = nc_auth_begin(c);
    if (rc == NACRE_OK) {
        c->auth.keysign = NULL;
        rc = nc_auth_finish(c, attempt(c, key));
    }
    return nc_auth_refused(c, rc, "the host key");
}
