/*
 * engine.c - the public engine: transport core, userauth and multiplexer wired together. Nothing is
 * decided here; every call goes to the part that owns it.
 */
#include "engine/engine.h"
#include "engine/lend.h"

#include "nacre/channel.h"

/* ---- life --------------------------------------------------------------------------------------- */

static int make(nacre_transport **out, const nacre_config *cfg, uint64_t now_ms, bool proxied,
                nacre_error *err)
{
    *out = NULL;
    nc_error_clear(err);
    if (!cfg ||
        cfg->size < offsetof(nacre_config, random)) { /* below it the allocator is no field */
        return nc_fail(err, NACRE_INVALID_ARGUMENT, "the config was not made by nacre_config_init");
    }
    nacre_transport *t = nc_zalloc(cfg->allocator, sizeof(*t));
    if (!t) {
        return nc_fail(err, NACRE_NO_MEMORY, "out of memory");
    }
    t->alloc = cfg->allocator;
    int rc = proxied ? nc_core_new_proxied(&t->core, cfg, now_ms, err)
                     : nc_core_new(&t->core, cfg, now_ms, err);
    if (rc == NACRE_OK) {
        rc = nc_auth_new(&t->auth, nc_core_link(t->core));
    }
    if (rc == NACRE_OK) {
        rc = nc_mux_new(&t->mux, nc_core_link(t->core), t);
    }
    if (rc != NACRE_OK) {
        nacre_transport_free(t);
        return nc_fail(err, rc, "%s", nacre_status_text(rc));
    }
    nc_core_set_services(t->core, nc_auth_service(t->auth), nc_mux_service(t->mux));
    *out = t;
    return NACRE_OK;
}

int nacre_transport_new(nacre_transport **out, const nacre_config *cfg, uint64_t now_ms,
                        nacre_error *err)
{
    return make(out, cfg, now_ms, false, err);
}

int nacre_transport_new_proxied(nacre_transport **out, const nacre_config *cfg, uint64_t now_ms,
                                nacre_error *err)
{
    return make(out, cfg, now_ms, true, err);
}

void nacre_transport_free(nacre_transport *t)
{
    if (!t) {
        return;
    }
    nc_mux_free(t->mux);
    nc_auth_free(t->auth);
    nc_core_free(t->core);
    nc_free(t->alloc, t);
}

int nacre_transport_add_host_key(nacre_transport *t, nacre_key *key)
{
    int rc = nc_core_add_host_key(t->core, key);
    return rc == NACRE_OK ? nc_mux_add_host_key(t->mux, key) : rc;
}

/* ---- append, step, drain ------------------------------------------------------------------------ */

unsigned nacre_transport_wants(const nacre_transport *t)
{
    return nc_core_wants(t->core);
}

uint8_t *nacre_transport_recv_buffer(nacre_transport *t, size_t *room)
{
    return nc_core_recv_buffer(t->core, room);
}

bool nc_transport_keeps(const nacre_transport *t, nacre_span bytes)
{
    return nc_core_keeps(t->core, bytes);
}

int nacre_transport_received(nacre_transport *t, size_t n)
{
    return nc_core_received(t->core, n);
}

int nacre_transport_next_event(nacre_transport *t, nacre_event *ev)
{
    return nc_core_next_event(t->core, ev);
}

nacre_span nacre_transport_output(const nacre_transport *t)
{
    return nc_core_output(t->core);
}

void nacre_transport_sent(nacre_transport *t, size_t n)
{
    nc_core_sent(t->core, n);
}

uint64_t nacre_transport_deadline(const nacre_transport *t)
{
    return nc_core_deadline(t->core);
}

void nacre_transport_advance(nacre_transport *t, uint64_t now_ms)
{
    nc_core_advance(t->core, now_ms);
}

int nacre_transport_answer(nacre_transport *t, uint32_t ticket, const nacre_answer *answer)
{
    return answer ? nc_core_answer(t->core, ticket, answer) : NACRE_INVALID_ARGUMENT;
}

int nacre_transport_accept(nacre_transport *t, uint32_t ticket)
{
    nacre_answer yes = {.accept = true};
    return nc_core_answer(t->core, ticket, &yes);
}

int nacre_transport_refuse(nacre_transport *t, uint32_t ticket)
{
    nacre_answer no = {.accept = false};
    return nc_core_answer(t->core, ticket, &no);
}

/* ---- asking about it ---------------------------------------------------------------------------- */

const nacre_error *nacre_transport_error(const nacre_transport *t)
{
    return nc_core_error(t->core);
}

const nacre_negotiated *nacre_transport_negotiated(const nacre_transport *t)
{
    return nc_core_negotiated(t->core);
}

const char *nacre_transport_peer_version(const nacre_transport *t)
{
    return nc_core_peer_version(t->core);
}

const nacre_key *nacre_transport_host_key(const nacre_transport *t)
{
    return nc_core_host_key(t->core);
}

nacre_span nacre_transport_host_signature(const nacre_transport *t)
{
    return nc_core_host_signature(t->core);
}

nacre_span nacre_transport_session_id(const nacre_transport *t)
{
    return nc_core_link(t->core)->session_id;
}

bool nacre_transport_authenticated(const nacre_transport *t)
{
    return nc_core_authenticated(t->core);
}

const char *nacre_transport_user(const nacre_transport *t)
{
    return nc_core_user(t->core);
}

bool nacre_transport_peer_extension(const nacre_transport *t, const char *name, nacre_span *value)
{
    return nc_core_peer_extension(t->core, name, value);
}

void nacre_transport_counters(const nacre_transport *t, nacre_counters *out)
{
    nc_core_counters(t->core, out);
    out->channels = nc_mux_channels(t->mux);
}

/* ---- acting on it ------------------------------------------------------------------------------- */

int nacre_transport_disconnect(nacre_transport *t, uint32_t reason, const char *text)
{
    return nc_core_disconnect(t->core, reason, text);
}

void nacre_transport_set_limits(nacre_transport *t, const nacre_limits *l)
{
    nc_core_set_limits(t->core, l);
}

void nacre_transport_set_log_level(nacre_transport *t, nacre_log_level level)
{
    nc_core_link(t->core)->log.level = level;
}

int nacre_transport_rekey(nacre_transport *t)
{
    return nc_core_rekey(t->core);
}

int nacre_transport_send_ignore(nacre_transport *t, nacre_span data)
{
    return nc_core_send_ignore(t->core, data);
}

int nacre_transport_send_debug(nacre_transport *t, bool always_display, const char *text)
{
    return nc_core_send_debug(t->core, always_display, text);
}

int nacre_transport_ping(nacre_transport *t, nacre_span data)
{
    return nc_core_ping(t->core, data);
}

/* ---- userauth ----------------------------------------------------------------------------------- */

int nacre_transport_auth_none(nacre_transport *t, const char *user)
{
    return nc_auth_none(t->auth, user);
}

int nacre_transport_auth_password(nacre_transport *t, const char *user, nacre_span password)
{
    return nc_auth_password(t->auth, user, password);
}

int nacre_transport_auth_publickey(nacre_transport *t, const char *user, nacre_key *key,
                                   const char *algorithm)
{
    return nc_auth_publickey(t->auth, user, key, algorithm);
}

int nacre_transport_auth_hostbased(nacre_transport *t, const char *user, nacre_key *key,
                                   const char *algorithm, const char *client_host,
                                   const char *client_user)
{
    return nc_auth_hostbased(t->auth, user, key, algorithm, client_host, client_user);
}

int nacre_transport_auth_interactive(nacre_transport *t, const char *user, const char *submethods)
{
    return nc_auth_interactive(t->auth, user, submethods);
}

int nacre_transport_send_banner(nacre_transport *t, const char *text)
{
    return nc_auth_send_banner(t->auth, text);
}

/* ---- connection --------------------------------------------------------------------------------- */

int nacre_channel_open(nacre_transport *t, const char *type, nacre_span data, uint32_t window,
                       uint32_t max_packet, nacre_channel **out)
{
    return nc_mux_open(t->mux, type, data, window, max_packet, out);
}

int nacre_channel_open_session(nacre_transport *t, nacre_channel **out)
{
    return nc_mux_open(t->mux, "session", nc_span(NULL, 0), 0, 0, out);
}

nacre_channel *nacre_channel_next(const nacre_transport *t, const nacre_channel *prev)
{
    return nc_mux_next(t->mux, prev);
}

int nacre_global_request(nacre_transport *t, const char *name, bool want_reply, nacre_span data)
{
    return nc_mux_global_request(t->mux, name, want_reply, data);
}

int nacre_no_more_sessions(nacre_transport *t)
{
    return nc_mux_no_more_sessions(t->mux);
}

uint32_t nacre_global_request_number(const nacre_transport *t)
{
    return nc_mux_global_number(t->mux);
}

int nacre_transport_prove_host_keys(nacre_transport *t, nacre_key *const *keys, size_t count)
{
    return nc_mux_prove_host_keys(t->mux, keys, count);
}
