/*
 * sshd_agentx11.c - agent and X11 forwarding of nacre-sshd: who may have them, the socket, the display and its
 * cookie.
 */
#include "sshd.h"

#include <nacre/agent_forward.h>
#include <nacre/x11.h>

#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* xauth(1) needs milliseconds; when its file is locked it would wait for 20 s, and everybody with it. */
enum { XAUTH_MS = 2000, XAUTH_ENV = 4 };

static nacre_verdict on_agent(void *user, nacre_server_conn *c, const nacre_event *ev)
{
    const login *l = nacre_server_conn_user(c);
    nacre_error why = {0};
    (void)user;
    if (!(l->may & NACRE_MAY_FORWARD_AGENT)) {
        say(LOG_LEVEL_VERBOSE, "agent forwarding is not allowed for %s", plain_text(l->user));
        return NACRE_REFUSE;
    }
    if (nacre_server_agent_forward(c, ev, NULL, &why) != NACRE_OK) {
        say(LOG_LEVEL_ERROR, "agent forwarding for %s: %s", plain_text(l->user), why.text);
        return NACRE_REFUSE;
    }
    return NACRE_ACCEPT;
}

/* For the user's programs: where they look for it is HOME, or what SetEnv says. */
static bool add_cookie(const login *l, nacre_channel *ch)
{
    const nacre_x11_request *r = nacre_server_x11_request(l->c, ch);
    char home[4200], name[300], path[] = "PATH=/usr/bin:/bin";
    char *env[XAUTH_ENV + 1] = {home, name, path, NULL};
    nacre_error why = {0};
    int n = snprintf(home, sizeof(home), "HOME=%s", l->account->home);
    if (n < 0 || (size_t)n >= sizeof(home)) {
        return false;
    }
    (void)snprintf(name, sizeof(name), "USER=%s", l->account->name);
    for (size_t i = 0; i < l->s->set_env.count; i++) {
        if (strncmp(l->s->set_env.items[i], "XAUTHORITY=", 11) == 0) {
            env[3] = l->s->set_env.items[i];
        }
    }
    if (nacre_x11_cookie_add(l->s->xauth_location, nacre_server_x11_display(l->c, ch), r->protocol,
                             r->cookie, env, XAUTH_MS, &why) == NACRE_OK) {
        return true;
    }
    say(LOG_LEVEL_ERROR, "the cookie of %s's X11 display could not be stored: %s",
        plain_text(l->user), why.text);
    return false;
}

static bool grant_x11(const login *l, const nacre_event *ev, nacre_error *why)
{
    nacre_x11_request r;
    nacre_x11_server_options o;
    nacre_x11_server_options_init(&o);
    o.display_offset = (uint16_t)l->s->x11_display_offset;
    o.any_address = !l->s->x11_use_localhost;
    o.family = l->d->cmd_family >= 0 ? l->d->cmd_family : l->s->family;
    if (nacre_x11_request_parse(ev->u.request.data, &r) != NACRE_OK) {
        (void)snprintf(why->text, sizeof(why->text), "the request is malformed");
        return false;
    }
    bool made = nacre_server_x11(l->c, ev->channel, &r, &o, why) == NACRE_OK;
    explicit_bzero(&r, sizeof(r));
    return made;
}

static nacre_verdict on_x11(void *user, nacre_server_conn *c, const nacre_event *ev)
{
    const login *l = nacre_server_conn_user(c);
    nacre_error why = {0};
    (void)user;
    if (!(l->may & NACRE_MAY_FORWARD_X11)) {
        say(LOG_LEVEL_VERBOSE, "X11 forwarding is not allowed for %s", plain_text(l->user));
        return NACRE_REFUSE;
    }
    if (!l->s->xauth_location || access(l->s->xauth_location, X_OK) != 0) {
        say(LOG_LEVEL_VERBOSE, "No xauth program; cannot forward X11.");
        return NACRE_REFUSE;
    }
    if (!grant_x11(l, ev, &why)) {
        say(LOG_LEVEL_ERROR, "X11 forwarding for %s: %s", plain_text(l->user), why.text);
        return NACRE_REFUSE;
    }
    /* Without the cookie programs are turned away, and say so; the session is worth having all the same. */
    (void)add_cookie(l, ev->channel);
    return NACRE_ACCEPT;
}

void agentx11_env(const login *l, nacre_channel *ch, const char **agent, const char **display)
{
    *agent = nacre_server_agent_path(l->c);
    *display = nacre_server_x11_display(l->c, ch);
}

void agentx11_callbacks(nacre_server_callbacks *cb)
{
    cb->agent = on_agent;
    cb->x11 = on_x11;
}
