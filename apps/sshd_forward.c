/*
 * sshd_forward.c - which connections a user may have made, and what listened on: what the configuration allows
 * (AllowTcpForwarding, AllowStreamLocalForwarding, PermitOpen, PermitListen, DisableForwarding) and the login's key
 * was granted. The process is the user already, so ports and files are the system's to refuse.
 */
#include "sshd.h"

static bool permitted(const login *l, bool listens, const nacre_server_forward *f)
{
    if (!l->in || !(l->may & NACRE_MAY_FORWARD_PORT)) {
        return false;
    }
    if (f->path) {
        return nacre_sshd_config_permits_path(l->config, listens) &&
               nacre_key_grant_permits_path(&l->grant, listens);
    }
    return nacre_sshd_config_permits(l->config, listens, f->host, f->port) &&
           nacre_key_grant_permits(&l->grant, listens, f->host, f->port);
}

static nacre_verdict judge(const login *l, bool listens, nacre_server_forward *f)
{
    const nacre_endpoint *peer = nacre_server_conn_peer(l->c);
    const char *what = listens ? "listen on" : "connect to";
    if (!permitted(l, listens, f)) {
        say(LOG_LEVEL_INFO, "Refused to %s %s port %u for %s from %s port %u: not permitted", what,
            plain_text(f->path ? f->path : f->host), f->port, plain_text(l->user), peer->address,
            peer->port);
        return NACRE_REFUSE;
    }
    say(LOG_LEVEL_DEBUG, "Request of %s to %s %s port %u", plain_text(l->user), what,
        plain_text(f->path ? f->path : f->host), f->port);
    f->family = l->d->cmd_family >= 0 ? l->d->cmd_family : l->s->family;
    return NACRE_ACCEPT;
}

static nacre_verdict on_direct(void *user, nacre_server_conn *c, const nacre_event *ev,
                               nacre_server_forward *f)
{
    (void)user;
    (void)ev;
    return judge(nacre_server_conn_user(c), false, f);
}

static nacre_verdict on_forward(void *user, nacre_server_conn *c, const nacre_event *ev,
                                nacre_server_forward *f)
{
    const login *l = nacre_server_conn_user(c);
    (void)user;
    (void)ev;
    f->gateway_ports = l->s->gateway_ports;
    f->bind_mask = l->s->streamlocal_bind_mask;
    f->bind_unlink = l->s->streamlocal_bind_unlink;
    return judge(l, true, f);
}

void forward_callbacks(nacre_server_callbacks *cb)
{
    cb->direct_open = on_direct;
    cb->forward_request = on_forward;
}
