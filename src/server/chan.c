/*
 * chan.c - what is known of one channel between its open and its end: the terminal and environment
 * that a session was granted, and what runs on it.
 */
#include "server/forward.h"

#include <string.h>

nc_chan *nc_chan_new(nacre_server_conn *c, nacre_channel *ch)
{
    nc_chan *k = nc_zalloc(c->server->alloc, sizeof(*k));
    if (!k) {
        return NULL;
    }
    k->conn = c;
    k->ch = ch;
    k->pty_fd = k->waiting_fd = -1;
    k->session = strcmp(nacre_channel_type(ch), "session") == 0;
    nc_buf_init(&k->pty_bytes, c->server->alloc, NC_MAX_PTY_BYTES);
    k->next = c->chans;
    c->chans = k;
    c->sessions += k->session ? 1 : 0;
    nc_timeouts_new_channel(k);
    return k;
}

static void take_out(nc_chan *k)
{
    for (nc_chan **at = &k->conn->chans; *at; at = &(*at)->next) {
        if (*at == k) {
            *at = k->next;
            return;
        }
    }
}

/* Events come in bursts for one channel: the one that was used last is found at once. */
nc_chan *nc_chan_find(nacre_server_conn *c, const nacre_channel *ch)
{
    if (!ch || (c->chans && c->chans->ch == ch)) {
        return ch ? c->chans : NULL;
    }
    for (nc_chan *k = c->chans; k; k = k->next) {
        if (k->ch == ch) {
            take_out(k);
            k->next = c->chans;
            c->chans = k;
            return k;
        }
    }
    return NULL;
}

void nc_chan_free(nc_chan *k)
{
    const nacre_allocator *a = k->conn->server->alloc;
    take_out(k);
    nc_direct_drop(k);
    nc_attach_drop(k);
    nc_program_drop(k);
    nc_sftp_drop(k);
    nc_scp_drop(k);
    nc_subsystem_drop(k);
    nc_x11_server_drop(k);
    for (size_t i = 0; i < k->env_count; i++) {
        nc_wipe_free(a, k->env[i], strlen(k->env[i]));
    }
    nc_free(a, k->env);
    nc_buf_clear(&k->pty_bytes);
    k->conn->sessions -= k->session ? 1 : 0;
    if (!k->conn->chans) {
        nc_timeouts_no_channel(k->conn);
    }
    nc_free(a, k);
}

void nc_chan_over(nc_chan *k)
{
    nacre_server_conn *c = k->conn;
    nacre_channel *ch = k->ch;
    const nacre_server_callbacks *cb = &c->server->cfg.callbacks;
    nc_attach_drop(k);
    nc_program_drop(k);
    nc_sftp_drop(k);
    nc_scp_drop(k);
    nc_subsystem_drop(k);
    if (cb->channel_closed) {
        cb->channel_closed(cb->user, c, ch);
    }
    nc_chan_free(k);
    nacre_channel_free(ch);
    nacre_driver_kick(c->driver);
}

/* ---- what a session was granted ------------------------------------------------------------------------ */

int nc_chan_keep_pty(nc_chan *k, const nacre_pty *pty)
{
    nc_buf *b = &k->pty_bytes;
    nc_buf_reset(b);
    int rc = nc_buf_append(b, pty->term.p, pty->term.n);
    if (rc == NACRE_OK) {
        rc = nc_buf_append(b, pty->modes.p, pty->modes.n);
    }
    if (rc != NACRE_OK) {
        return rc;
    }
    k->pty = *pty;
    k->pty.term = nc_span(b->data, pty->term.n);
    k->pty.modes = nc_span(b->data ? b->data + pty->term.n : NULL, pty->modes.n);
    k->has_pty = true;
    return NACRE_OK;
}

int nc_chan_keep_env(nc_chan *k, nacre_span name, nacre_span value)
{
    const nacre_allocator *a = k->conn->server->alloc;
    size_t n = name.n + value.n + 2;
    if (k->env_count >= NC_MAX_ENV || n > NC_MAX_ENV_BYTES - k->env_bytes) {
        return NACRE_LIMIT;
    }
    char **grown = nc_resize(a, k->env, (k->env_count + 2) * sizeof(*grown));
    if (!grown) {
        return NACRE_NO_MEMORY;
    }
    k->env = grown;
    k->env[k->env_count] = NULL;
    char *pair = nc_zalloc(a, n);
    if (!pair) {
        return NACRE_NO_MEMORY;
    }
    memcpy(pair, name.p, name.n);
    pair[name.n] = '=';
    if (value.n > 0) {
        memcpy(pair + name.n + 1, value.p, value.n);
    }
    k->env[k->env_count++] = pair;
    k->env[k->env_count] = NULL;
    k->env_bytes += n;
    return NACRE_OK;
}

const nacre_pty *nacre_server_session_pty(nacre_server_conn *c, nacre_channel *ch)
{
    const nc_chan *k = nc_chan_find(c, ch);
    return k && k->has_pty ? &k->pty : NULL;
}

char *const *nacre_server_session_env(nacre_server_conn *c, nacre_channel *ch)
{
    static char *const none[] = {NULL};
    const nc_chan *k = nc_chan_find(c, ch);
    return k && k->env ? k->env : none;
}
