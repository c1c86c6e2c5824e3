/*
 * auth_agent.c - the agent in a login: opened once, bound to the session, asked for its keys and for
 * signatures, given keys that came from files (AddKeysToAgent).
 *
 * While the agent thinks, or a person is asked by it, the loop turns: the connection stays alive.
 */
#include "client/state.h"
#include "io/agent.h"
#include "nacre/cert.h"

#include <string.h>

/* ---- waiting ------------------------------------------------------------------------------------- */

static void on_agent(void *user, int fd, unsigned ready)
{
    nacre_client *c = user;
    (void)fd;
    (void)ready;
    c->auth.agent_ready = true;
}

static int agent_is_ready(void *user)
{
    const nacre_client *c = user;
    return c->auth.agent_ready ? NACRE_OK : NACRE_AGAIN;
}

static int wait_for_agent(void *user, int fd, bool writing, uint64_t deadline)
{
    nacre_client *c = user;
    nc_wait w = {nacre_loop_now(c->loop), deadline, "asking the agent"};
    c->auth.agent_ready = false;
    int rc = nacre_loop_add(c->loop, fd, writing ? NACRE_WRITE : NACRE_READ, on_agent, c);
    if (rc != NACRE_OK) {
        return rc;
    }
    rc = nc_client_wait(c, &w, agent_is_ready, c);
    nacre_loop_remove(c->loop, fd);
    if (rc == NACRE_TIMEOUT && !c->closed) {
        nc_client_begin(c); /* the agent's failure, not the connection's: there are other keys */
    }
    return rc;
}

/* Ends the login: the connection is gone, or somebody has had enough. */
static bool is_fatal(const nacre_client *c, int rc)
{
    return rc != NACRE_OK && (c->closed || rc == NACRE_CANCELLED || rc == NACRE_NO_MEMORY);
}

static int fatal(nacre_client *c, int rc)
{
    return c->err.status != NACRE_OK ? c->err.status
           : c->closed               ? nc_client_alive(c, "authentication")
                                     : nc_client_fail(c, rc, "%s", nacre_status_text(rc));
}

/* ---- opening ------------------------------------------------------------------------------------- */

void nc_auth_agent_close(nacre_client *c)
{
    nc_auth_state *a = &c->auth;
    if (a->agent && c->cfg.agent) {
        nc_agent_set_wait(a->agent, NULL, NULL);
    } else {
        nacre_agent_free(a->agent);
    }
    a->agent = NULL;
    a->agent_tried = false;
}

/*
 * As early as it can be, and whether keys turn out to be constrained or not. A lent agent is bound by who
 * lends it: one connection to an agent is bound to one session.
 */
static int bind_agent(nacre_client *c)
{
    nacre_error why;
    const nacre_key *host_key = nacre_transport_host_key(c->t);
    nacre_span signature = nacre_transport_host_signature(c->t);
    nacre_span id = nacre_transport_session_id(c->t);
    if (!host_key || signature.n == 0 || id.n == 0) {
        return NACRE_OK;
    }
    int rc = nacre_agent_bind(c->auth.agent, host_key, id, signature, false, &why);
    if (rc != NACRE_OK) {
        nc_client_log(c, NACRE_LOG_DEBUG, "The agent was not bound to the session: %s.", why.text);
    }
    return is_fatal(c, rc) ? fatal(c, rc) : NACRE_OK;
}

/* NACRE_NOT_FOUND: there is none. */
static int open_agent(nacre_client *c)
{
    nc_auth_state *a = &c->auth;
    nacre_error why;
    if (a->agent || a->agent_tried) {
        return a->agent ? NACRE_OK : NACRE_NOT_FOUND;
    }
    a->agent_tried = true;
    if (!c->cfg.use_agent) {
        return NACRE_NOT_FOUND;
    }
    if (c->cfg.agent) {
        a->agent = c->cfg.agent;
        nc_agent_set_wait(a->agent, wait_for_agent, c);
        return NACRE_OK;
    }
    int rc = nacre_agent_open(&a->agent, c->alloc, c->cfg.agent_path, &why);
    if (rc != NACRE_OK) {
        if (rc == NACRE_KEY_PERMISSIONS || c->cfg.agent_path) {
            nc_client_warn(c, "No agent is used: %s", why.text);
        } else {
            nc_client_log(c, NACRE_LOG_VERBOSE, "No agent is used: %s.", why.text);
        }
        return NACRE_NOT_FOUND;
    }
    nc_agent_set_wait(a->agent, wait_for_agent, c);
    return bind_agent(c);
}

int nc_auth_agent_list(nacre_client *c, nacre_key ***keys, size_t *count)
{
    nacre_error why;
    *keys = NULL;
    *count = 0;
    int rc = open_agent(c);
    if (rc != NACRE_OK) {
        return rc == NACRE_NOT_FOUND ? NACRE_OK : rc;
    }
    rc = nacre_agent_list(c->auth.agent, keys, count, &why);
    if (is_fatal(c, rc)) {
        return fatal(c, rc);
    }
    if (rc != NACRE_OK) {
        nc_client_warn(c, "The keys of the agent are not used: %s", why.text);
    } else {
        nc_client_log(c, NACRE_LOG_VERBOSE, "The agent holds %zu keys.", *count);
    }
    return NACRE_OK;
}

int nc_auth_agent_sign(nacre_client *c, const nacre_key *key, const char *algorithm,
                       nacre_span data, uint8_t **sig, size_t *n)
{
    nacre_error why;
    int rc = nacre_agent_sign(c->auth.agent, key, algorithm, data, sig, n, &why);
    if (is_fatal(c, rc)) {
        return fatal(c, rc);
    }
    if (rc != NACRE_OK) {
        nc_client_warn(c, "sign_and_send_pubkey: signing failed for %s \"%s\" from agent: %s",
                       nacre_key_label(key), NC_ESC(nc_span_cstr(nacre_key_comment(key))),
                       why.text);
    }
    return rc == NACRE_OK ? rc : NACRE_AGENT_REFUSED;
}

/* ---- AddKeysToAgent ------------------------------------------------------------------------------ */

static bool may_add(nacre_client *c, const nacre_key *key, const char *path)
{
    switch (c->cfg.add_keys_to_agent) {
    case NACRE_ADD_KEYS_YES:
    case NACRE_ADD_KEYS_CONFIRM:
        return true;
    case NACRE_ADD_KEYS_ASK:
        return c->cfg.ask_add_key && c->cfg.ask_add_key(c->cfg.callbacks.user, key, path);
    default:
        return false;
    }
}

static int add_one(nacre_client *c, const nacre_key *key)
{
    nacre_error why;
    nacre_agent_constraints k;
    nacre_agent_constraints_init(&k);
    k.lifetime_seconds = c->cfg.add_keys_seconds;
    k.confirm = c->cfg.add_keys_to_agent == NACRE_ADD_KEYS_CONFIRM;
    int rc = nacre_agent_add(c->auth.agent, key, &k, &why);
    if (is_fatal(c, rc)) {
        return fatal(c, rc);
    }
    if (rc != NACRE_OK) {
        nc_client_warn(c, "The key was not added to the agent: %s", why.text);
        return NACRE_OK;
    }
    nc_client_log(c, NACRE_LOG_VERBOSE, "Added a key to the agent: %s %s.", nacre_key_label(key),
                  NC_ESC(nc_span_cstr(nacre_key_comment(key))));
    return NACRE_OK;
}

/* With the file's name where the key has none of its own, as ssh-add does. */
static int add_named(nacre_client *c, const nacre_key *key, const char *path)
{
    nacre_key *named = NULL;
    if (*nacre_key_comment(key)) {
        return add_one(c, key);
    }
    int rc = nacre_key_with_comment(&named, key, path);
    if (rc == NACRE_OK) {
        rc = add_one(c, named);
    }
    nacre_key_free(named);
    return rc;
}

int nc_auth_agent_add(nacre_client *c, const nacre_key *key, const char *path)
{
    nacre_key *plain = NULL;
    if (c->cfg.add_keys_to_agent == NACRE_ADD_KEYS_NO || !nacre_key_is_private(key)) {
        return NACRE_OK;
    }
    int rc = open_agent(c);
    if (rc != NACRE_OK || !may_add(c, key, path)) {
        return rc == NACRE_NOT_FOUND ? NACRE_OK : rc;
    }
    /* Agents know a key and its certificates as different ones. */
    rc = nacre_key_is_cert(key) ? nacre_key_plain(&plain, key) : NACRE_OK;
    if (rc == NACRE_OK && plain) {
        rc = add_named(c, plain, path);
    }
    if (rc == NACRE_OK) {
        rc = add_named(c, key, path);
    }
    nacre_key_free(plain);
    return rc;
}
