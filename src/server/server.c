/*
 * server.c - listening, accepting, and what is counted across connections: how many there are, and how
 * many of them have not logged in yet. What a connection does is in conn.c and dispatch.c.
 */
#include "server/server.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* ---- config ------------------------------------------------------------------------------------- */

void nacre_server_config_init(nacre_server_config *cfg)
{
    memset(cfg, 0, sizeof(*cfg));
    cfg->size = sizeof(*cfg);
    nacre_config_init(&cfg->transport, NACRE_SERVER);
    cfg->max_connections = 1024;
    cfg->startups_begin = 10;
    cfg->startups_rate = 30;
    cfg->startups_full = 100;
    cfg->max_sessions = 10;
    cfg->callbacks.size = sizeof(cfg->callbacks);
    nacre_source_rules_init(&cfg->sources);
    /* Who stands behind a proxy or NAT is the application's to know. */
    cfg->sources.penalties = false;
}

/* The engine reads them when a connection is made, which is later than our caller's strings may live. */
static const size_t strings[] = {
    offsetof(nacre_config, software),
    offsetof(nacre_config, banner),
    offsetof(nacre_config, kex),
    offsetof(nacre_config, host_key),
    offsetof(nacre_config, cipher_c2s),
    offsetof(nacre_config, cipher_s2c),
    offsetof(nacre_config, mac_c2s),
    offsetof(nacre_config, mac_s2c),
    offsetof(nacre_config, compression_c2s),
    offsetof(nacre_config, compression_s2c),
    offsetof(nacre_config, signature),
    offsetof(nacre_config, auth_methods),
    offsetof(nacre_config, hostbased),
};
enum { STRINGS = sizeof(strings) / sizeof(strings[0]) };

static const char **string_at(nacre_config *cfg, size_t i)
{
    return (const char **)(void *)((char *)cfg + strings[i]);
}

static void drop_strings(nacre_server *s)
{
    for (size_t i = 0; i < STRINGS; i++) {
        char *own = NULL;
        memcpy(&own, string_at(&s->cfg.transport, i), sizeof(own));
        nc_free(s->alloc, own);
    }
    void *moduli = NULL;
    memcpy(&moduli, &s->cfg.transport.moduli.p, sizeof(moduli));
    nc_free(s->alloc, moduli);
}

static int copy_strings(nacre_server *s, const nacre_config *from)
{
    nacre_config theirs = *from;
    bool short_of_memory = false;
    for (size_t i = 0; i < STRINGS; i++) {
        const char *text = *string_at(&theirs, i);
        *string_at(&s->cfg.transport, i) = nc_strdup(s->alloc, text);
        short_of_memory = short_of_memory || (text && !*string_at(&s->cfg.transport, i));
    }
    s->cfg.transport.moduli = nc_span(NULL, 0);
    if (from->moduli.n > 0) {
        s->cfg.transport.moduli = nc_span(nc_strndup(s->alloc, from->moduli), from->moduli.n);
        short_of_memory = short_of_memory || !s->cfg.transport.moduli.p;
    }
    return short_of_memory ? NACRE_NO_MEMORY : NACRE_OK;
}

static int copy_config(nacre_server *s, const nacre_server_config *cfg, nacre_error *err)
{
    nacre_server_config_init(&s->cfg);
    /* The inner structs have sizes of their own; an older caller's are shorter only at the very end. */
    memcpy(&s->cfg, cfg, cfg->size);
    s->cfg.size = sizeof(s->cfg);
    s->cfg.transport.role = NACRE_SERVER;
    if (copy_strings(s, &cfg->transport) != NACRE_OK) {
        return nc_fail(err, NACRE_NO_MEMORY, "no memory for a server");
    }
    s->keys = nc_alloc_array(s->alloc, cfg->host_key_count + 1, sizeof(*s->keys));
    if (!s->keys) {
        return nc_fail(err, NACRE_NO_MEMORY, "no memory for a server");
    }
    for (size_t i = 0; i < cfg->host_key_count; i++) {
        s->keys[s->key_count++] = nacre_key_ref(cfg->host_keys[i]);
    }
    s->cfg.host_keys = s->keys;
    s->random.fn = s->cfg.transport.random;
    s->random.user = s->cfg.transport.random_user;
    s->log.fn = s->cfg.transport.log;
    s->log.user = s->cfg.transport.log_user;
    s->log.level = s->cfg.transport.log_level;
    return NACRE_OK;
}

static int make_sources(nacre_server *s, nacre_error *err)
{
    nacre_source_rules *r = &s->cfg.sources;
    r->startups_begin = s->cfg.startups_begin;
    r->startups_rate = s->cfg.startups_rate;
    r->startups_full = s->cfg.startups_full;
    int rc = nacre_sources_new(&s->sources, r, s->alloc, err);
    r->exempt = NULL; /* the caller's; they have a copy */
    return rc;
}

/* ---- life ----------------------------------------------------------------------------------------- */

int nacre_server_new(nacre_server **out, const nacre_server_config *cfg, nacre_error *err)
{
    nc_error_clear(err);
    *out = NULL;
    if (!cfg || cfg->size == 0 || cfg->size > sizeof(*cfg) ||
        cfg->callbacks.size != sizeof(cfg->callbacks)) {
        return nc_fail(err, NACRE_INVALID_ARGUMENT,
                       "the config was not made by nacre_server_config_init");
    }
    if (cfg->host_key_count == 0 || !cfg->host_keys) {
        return nc_fail(err, NACRE_INVALID_ARGUMENT, "a server needs at least one host key");
    }
    nacre_server *s = nc_zalloc(cfg->transport.allocator, sizeof(*s));
    if (!s) {
        return nc_fail(err, NACRE_NO_MEMORY, "no memory for a server");
    }
    s->alloc = cfg->transport.allocator;
    int rc = copy_config(s, cfg, err);
    if (rc == NACRE_OK) {
        rc = make_sources(s, err);
    }
    s->loop = cfg->loop;
    if (rc == NACRE_OK && !s->loop) {
        rc = nacre_loop_new(&s->loop, s->alloc, err);
        s->own_loop = rc == NACRE_OK;
    }
    if (rc != NACRE_OK) {
        nacre_server_free(s);
        return rc;
    }
    *out = s;
    return NACRE_OK;
}

void nacre_server_free(nacre_server *s)
{
    if (!s) {
        return;
    }
    nacre_server_unlisten(s);
    while (s->conns) {
        nc_conn_free(s->conns);
    }
    nc_subsystems_clear(s);
    if (s->own_loop) {
        nacre_loop_free(s->loop);
    }
    for (size_t i = 0; i < s->key_count; i++) {
        nacre_key_free(s->keys[i]);
    }
    nc_free(s->alloc, s->keys);
    nacre_sources_free(s->sources);
    drop_strings(s);
    nc_free(s->alloc, s);
}

/* ---- accepting -------------------------------------------------------------------------------------- */

/* The one of the most crowded source that has waited longest goes without a word to it; the application hears of it. */
static void drop_one(nacre_server *s)
{
    const nacre_server_callbacks *cb = &s->cfg.callbacks;
    nacre_server_conn *oldest = NULL;
    nacre_error why = {0};
    for (nacre_server_conn *c = s->conns; c; c = c->next) {
        if (!c->authenticated && nacre_sources_crowded(s->sources, &c->peer)) {
            oldest = c;
        }
    }
    if (oldest) {
        nc_logf(&s->log, NACRE_LOG_INFO, "server: dropped a connection of %s for another source's",
                oldest->peer.address);
        s->counts.ended_before_login++;
        (void)nc_fail(&why, NACRE_LIMIT,
                      "too many connections are not logged in, and its source has the most");
        if (cb->disconnected) {
            cb->disconnected(cb->user, oldest, &why);
        }
        nc_conn_free(oldest);
    }
}

static nacre_admission admission_of(nacre_server *s, const nacre_endpoint *peer)
{
    uint32_t dice = 0;
    if (s->conn_count >= s->cfg.max_connections) {
        s->counts.refused_full++;
        return NACRE_ADMIT_NOT_STARTUPS;
    }
    /* No randomness: as if the dice had fallen against the stranger. */
    if (nc_random_bytes(&s->random, (uint8_t *)&dice, sizeof(dice)) != NACRE_OK) {
        dice = 0;
    }
    nacre_admission verdict = nacre_sources_ask(s->sources, peer, nacre_loop_now(s->loop), dice);
    if (verdict == NACRE_ADMIT_INSTEAD) {
        drop_one(s);
    }
    return verdict;
}

/* A word before any SSH, which clients show; nothing is waited for. */
static void refuse(nacre_server *s, int fd, const nacre_endpoint *peer, nacre_admission verdict)
{
    static const char full[] = "Exceeded MaxStartups\r\n",
                      not_now[] = "Not allowed at this time\r\n";
    bool penalty = verdict == NACRE_ADMIT_NOT_PENALTY || verdict == NACRE_ADMIT_NOT_OVERFLOW;
    nc_logf(&s->log, NACRE_LOG_INFO, "server: %zu connections: refusing one of %s%s", s->conn_count,
            peer->address, penalty ? ", which has a penalty" : "");
    (void)send(fd, penalty ? not_now : full, penalty ? sizeof(not_now) - 1 : sizeof(full) - 1,
               MSG_DONTWAIT | MSG_NOSIGNAL);
    (void)close(fd);
}

static void serve(nacre_server *s, int fd)
{
    nacre_server_conn *c = NULL;
    nacre_error why = {0};
    nacre_endpoint peer;
    memset(&peer, 0, sizeof(peer));
    (void)nacre_net_peer(fd, &peer);
    nacre_admission verdict = admission_of(s, &peer);
    if (verdict != NACRE_ADMIT && verdict != NACRE_ADMIT_INSTEAD) {
        refuse(s, fd, &peer, verdict);
        return;
    }
    if (nc_conn_new(&c, s, fd, fd, &why) != NACRE_OK) {
        nc_logf(&s->log, NACRE_LOG_ERROR, "server: cannot serve a connection: %s", why.text);
        (void)close(fd);
        return;
    }
    s->counts.accepted++;
    const nacre_server_callbacks *cb = &s->cfg.callbacks;
    if (cb->connected && cb->connected(cb->user, c) != NACRE_ACCEPT) {
        nc_conn_free(c);
    }
}

static void resume_accepting(void *user);
static void on_listener(void *user, int fd, unsigned ready);

/* Polling a listener that cannot be served would spin. */
static void pause_accepting(nacre_server *s)
{
    if (s->pause_timer != 0 || nacre_loop_timer(s->loop, NC_ACCEPT_PAUSE_MS, resume_accepting, s,
                                                &s->pause_timer) != NACRE_OK) {
        return;
    }
    for (nc_listener *l = s->listeners; l; l = l->next) {
        (void)nacre_loop_modify(s->loop, l->fd, 0);
    }
}

static void resume_accepting(void *user)
{
    nacre_server *s = user;
    s->pause_timer = 0;
    for (nc_listener *l = s->listeners; l; l = l->next) {
        (void)nacre_loop_modify(s->loop, l->fd, NACRE_READ);
    }
}

static void on_listener(void *user, int fd, unsigned ready)
{
    nacre_server *s = user;
    (void)ready;
    for (int i = 0; i < NC_ACCEPT_BURST; i++) {
        int got = -1;
        nacre_error why = {0};
        int rc = nacre_net_accept(fd, &got, &why);
        if (rc == NACRE_AGAIN) {
            return;
        }
        if (rc != NACRE_OK) {
            nc_logf(&s->log, NACRE_LOG_ERROR, "server: %s", why.text);
            pause_accepting(s);
            return;
        }
        if (!s->on_accept) {
            serve(s, got);
            continue;
        }
        nacre_endpoint peer;
        memset(&peer, 0, sizeof(peer));
        (void)nacre_net_peer(got, &peer);
        s->on_accept(s->on_accept_user, got, &peer);
        if (!s->listeners) {
            return; /* it stopped listening: fd is gone */
        }
    }
}

int nacre_server_listen_fd(nacre_server *s, int fd, nacre_error *err)
{
    nc_error_clear(err);
    nc_listener *l = nc_zalloc(s->alloc, sizeof(*l));
    if (!l) {
        return nc_fail(err, NACRE_NO_MEMORY, "no memory for a listener");
    }
    int rc = nacre_loop_add(s->loop, fd, s->pause_timer ? 0 : NACRE_READ, on_listener, s);
    if (rc != NACRE_OK) {
        nc_free(s->alloc, l);
        return nc_fail(err, rc, "cannot watch the listening descriptor %d", fd);
    }
    l->fd = fd;
    l->server = s;
    l->next = s->listeners;
    s->listeners = l;
    return NACRE_OK;
}

int nacre_server_listen(nacre_server *s, const char *address, uint16_t port, uint16_t *bound,
                        nacre_error *err)
{
    nc_error_clear(err);
    int fd = -1;
    int rc = nacre_net_listen(address, port, 0, 0, &fd, bound, err);
    if (rc != NACRE_OK) {
        return rc;
    }
    rc = nacre_server_listen_fd(s, fd, err);
    if (rc != NACRE_OK) {
        (void)close(fd);
    }
    return rc;
}

void nacre_server_unlisten(nacre_server *s)
{
    nacre_loop_cancel(s->loop, s->pause_timer);
    s->pause_timer = 0;
    while (s->listeners) {
        nc_listener *l = s->listeners;
        s->listeners = l->next;
        nacre_loop_remove(s->loop, l->fd);
        (void)close(l->fd);
        nc_free(s->alloc, l);
    }
}

int nacre_server_adopt(nacre_server *s, int in_fd, int out_fd, nacre_server_conn **out,
                       nacre_error *err)
{
    nc_error_clear(err);
    nacre_server_conn *c = NULL;
    int rc = nc_conn_new(&c, s, in_fd, out_fd, err);
    s->counts.adopted += rc == NACRE_OK ? 1 : 0;
    if (out) {
        *out = c;
    }
    return rc;
}

void nacre_server_on_accept(nacre_server *s, nacre_accept_fn fn, void *user)
{
    s->on_accept = fn;
    s->on_accept_user = user;
}

/* ---- running ---------------------------------------------------------------------------------------- */

int nacre_server_run(nacre_server *s, bool until_idle)
{
    if (until_idle && s->conn_count == 0) {
        return NACRE_OK;
    }
    s->until_idle = until_idle;
    int rc = nacre_loop_run(s->loop);
    s->until_idle = false;
    return rc;
}

void nacre_server_stop(nacre_server *s)
{
    nacre_loop_stop(s->loop);
}

nacre_loop *nacre_server_loop(nacre_server *s)
{
    return s->loop;
}

size_t nacre_server_connections(const nacre_server *s)
{
    return s->conn_count;
}

nacre_sources *nacre_server_sources(nacre_server *s)
{
    return s->sources;
}

void nacre_server_get_counts(const nacre_server *s, nacre_server_counts *counts)
{
    nacre_server_counts now = s->counts;
    size_t n = counts->size < sizeof(now) ? counts->size : sizeof(now);
    now.size = n;
    memcpy(counts, &now, n);
}
