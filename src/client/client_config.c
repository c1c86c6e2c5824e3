/*
 * client_config.c - the defaults of a client's options, and its own copy of them: afterwards nothing but
 * known_hosts, loop, allocator and hooks is the caller's.
 */
#include "client/state.h"
#include "nacre/account.h"

#include <string.h>
#include <unistd.h>

enum { CONNECT_TIMEOUT_DEFAULT_MS = 30 * 1000, PASSWORD_PROMPTS_DEFAULT = 3 };
static const size_t exec_limit_default = (size_t)64 * 1024 * 1024;

void *nc_client_keep(nacre_client *c, void *p)
{
    if (!p) {
        return NULL;
    }
    void **more = nc_resize(c->alloc, c->owned, (c->owned_count + 1) * sizeof(*more));
    if (!more) {
        nc_free(c->alloc, p);
        return NULL;
    }
    c->owned = more;
    c->owned[c->owned_count++] = p;
    return p;
}

static int own_string(nacre_client *c, const char **field)
{
    if (*field) {
        *field = nc_client_keep(c, nc_strdup(c->alloc, *field));
    }
    return *field ? NACRE_OK : NACRE_NO_MEMORY;
}

static int own_strings(nacre_client *c)
{
    nacre_config *t = &c->cfg.transport;
    const char **fields[] = {&t->software,
                             &t->comments,
                             &t->banner,
                             &t->kex,
                             &t->host_key,
                             &t->cipher_c2s,
                             &t->cipher_s2c,
                             &t->mac_c2s,
                             &t->mac_s2c,
                             &t->compression_c2s,
                             &t->compression_s2c,
                             &t->signature,
                             &t->auth_methods,
                             &t->hostbased,
                             &c->cfg.user,
                             &c->cfg.bind_address,
                             &c->cfg.bind_interface,
                             &c->cfg.known_hosts_file,
                             &c->cfg.host_key_alias,
                             &c->cfg.preferred_auth,
                             &c->cfg.agent_path,
                             &c->cfg.trust.revoked_keys,
                             &c->cfg.trust.ca_algorithms,
                             &c->cfg.trust.fingerprint_hash,
                             &c->cfg.keysign,
                             &c->cfg.client_host,
                             &c->cfg.client_user,
                             &c->cfg.proxy_command,
                             &c->cfg.original_host};
    int rc = NACRE_OK;
    for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
        if (rc != NACRE_OK) {
            *fields[i] = NULL; /* the caller's */
        } else if (*fields[i]) {
            rc = own_string(c, fields[i]);
        }
    }
    return rc;
}

static int own_keys(nacre_client *c, nacre_key *const **list, size_t *list_count)
{
    nacre_key *const *theirs = *list;
    size_t count = *list_count;
    *list = NULL;
    *list_count = 0;
    if (count == 0) {
        return NACRE_OK;
    }
    nacre_key **ours = nc_client_keep(c, nc_alloc_array(c->alloc, count, sizeof(*ours)));
    if (!ours) {
        return NACRE_NO_MEMORY;
    }
    for (size_t i = 0; i < count; i++) {
        ours[i] = nacre_key_ref(theirs[i]);
    }
    *list = ours;
    *list_count = count;
    return NACRE_OK;
}

static int own_files(nacre_client *c, const char *const **list, size_t *list_count)
{
    const char *const *theirs = *list;
    size_t count = *list_count;
    *list = NULL;
    *list_count = 0;
    if (count == 0) {
        return NACRE_OK;
    }
    const char **ours = nc_client_keep(c, nc_alloc_array(c->alloc, count, sizeof(*ours)));
    int rc = ours ? NACRE_OK : NACRE_NO_MEMORY;
    for (size_t i = 0; rc == NACRE_OK && i < count; i++) {
        ours[i] = theirs[i];
        rc = own_string(c, &ours[i]);
    }
    if (rc == NACRE_OK) {
        *list = ours;
        *list_count = count;
    }
    return rc;
}

static int own_password(nacre_client *c)
{
    nacre_span theirs = c->cfg.password;
    c->cfg.password = nc_span(NULL, 0);
    if (!theirs.p) {
        return NACRE_OK;
    }
    uint8_t *ours = nc_alloc(c->alloc, theirs.n + 1);
    if (!ours) {
        return NACRE_NO_MEMORY;
    }
    memcpy(ours, theirs.p, theirs.n);
    c->cfg.password = nc_span(ours, theirs.n);
    return NACRE_OK;
}

static int default_user(nacre_client *c, nacre_error *err)
{
    nacre_account *me = NULL;
    if (c->cfg.user) {
        return NACRE_OK;
    }
    int rc = nacre_account_lookup_uid(&me, c->alloc, getuid(), err);
    if (rc == NACRE_OK) {
        c->cfg.user = nc_client_keep(c, nc_strdup(c->alloc, me->name));
        rc = c->cfg.user ? NACRE_OK : NACRE_NO_MEMORY;
    }
    nacre_account_free(me);
    return rc;
}

void nacre_client_config_init(nacre_client_config *cfg)
{
    memset(cfg, 0, sizeof(*cfg));
    cfg->size = sizeof(*cfg);
    nacre_config_init(&cfg->transport, NACRE_CLIENT);
    cfg->connect_timeout_ms = CONNECT_TIMEOUT_DEFAULT_MS;
    cfg->default_key_files = true;
    cfg->use_agent = true;
    cfg->preferred_auth = "hostbased,publickey,keyboard-interactive,password";
    cfg->password_prompts = PASSWORD_PROMPTS_DEFAULT;
    cfg->exec_limit = exec_limit_default;
}

int nc_client_copy_config(nacre_client *c, const nacre_client_config *cfg, nacre_error *err)
{
    nacre_client_config_init(&c->cfg);
    memcpy(&c->cfg, cfg, cfg->size);
    c->cfg.transport.role = NACRE_CLIENT;
    if (!c->cfg.preferred_auth) {
        c->cfg.preferred_auth = "hostbased,publickey,keyboard-interactive,password";
    }
    /* Each takes its pointers over, or clears them: afterwards none is the caller's. */
    nacre_client_config *o = &c->cfg;
    int strings = own_strings(c), password = own_password(c),
        keys = own_keys(c, &o->keys, &o->key_count),
        hosts = own_keys(c, &o->host_keys, &o->host_key_count),
        files = own_files(c, &o->key_files, &o->key_file_count),
        certs = own_files(c, &o->certificate_files, &o->certificate_file_count),
        known = own_files(c, &o->trust.files, &o->trust.file_count),
        host_files = own_files(c, &o->host_key_files, &o->host_key_file_count);
    o->transport.no_trivial_auth = o->transport.no_trivial_auth || o->require_real_auth;
    if (strings != NACRE_OK || keys != NACRE_OK || hosts != NACRE_OK || files != NACRE_OK ||
        certs != NACRE_OK || known != NACRE_OK || host_files != NACRE_OK || password != NACRE_OK) {
        return nc_fail(err, NACRE_NO_MEMORY, "out of memory");
    }
    return default_user(c, err);
}
