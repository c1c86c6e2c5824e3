/*
 * ssh_agentx11.c - agent and X11 forwarding of nacre-ssh: what the configuration wants, asked of the server
 * with the session.
 */
#include "ssh_session.h"

#include <nacre/agent_forward.h>
#include <nacre/x11.h>

#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

static const char *get(const ssh_session *s, const char *keyword)
{
    return nacre_ssh_config_get(s->setup->conf, keyword);
}

static bool is_plain_no(const char *text)
{
    return !text || strcasecmp(text, "no") == 0 || strcasecmp(text, "false") == 0;
}

static bool is_plain_yes(const char *text)
{
    return strcasecmp(text, "yes") == 0 || strcasecmp(text, "true") == 0;
}

static void on_agent_refused(void *user, const char *text)
{
    const ssh_session *s = user;
    setup_debug(s->setup, 1, "agent forwarding: %s", text);
}

/* The agent that ForwardAgent names: a path, $VARIABLE, or the one that is used here. NULL: none. */
static const char *agent_path(const ssh_session *s, const char *text)
{
    if (is_plain_yes(text)) {
        return s->setup->cfg.agent_path ? s->setup->cfg.agent_path : getenv("SSH_AUTH_SOCK");
    }
    if (text[0] == '$' && text[1] != '{') {
        return getenv(text + 1);
    }
    return setup_keep_path(s->setup, "ForwardAgent", text);
}

static void request_agent(ssh_session *s, nacre_channel *ch)
{
    nacre_agent_forward_options o;
    nacre_error why = {0};
    const char *text = get(s, "ForwardAgent");
    if (is_plain_no(text) || (is_plain_yes(text) && !s->setup->cfg.use_agent)) {
        return;
    }
    nacre_agent_forward_options_init(&o);
    o.path = agent_path(s, text);
    o.on_refused = on_agent_refused;
    o.user = s;
    if (!o.path || access(o.path, F_OK) != 0) { /* as ssh: what is not there is not offered */
        setup_debug(s->setup, 1, "ssh_agent: there is none to forward");
        return;
    }
    setup_debug(s->setup, 1, "Requesting authentication agent forwarding.");
    if (nacre_client_forward_agent(s->client, ch, &o, &why) != NACRE_OK) {
        setup_say(s->setup, "%s", why.text);
    }
}

/* ---- X11 ---- */

static void on_x11_refused(void *user, const char *text)
{
    const ssh_session *s = user;
    setup_say(s->setup, "%s", text);
}

/* What the display wants to hear. False: without the cookie that was asked for nothing is forwarded. */
static bool get_cookie(const ssh_session *s, const char *display, bool trusted, uint32_t seconds,
                       nacre_x11_cookie *cookie)
{
    nacre_x11_cookie_options o;
    nacre_error why = {0};
    const char *program = get(s, "XAuthLocation");
    nacre_x11_cookie_options_init(&o);
    o.display = display;
    o.xauth = program ? program : o.xauth;
    o.trusted = trusted;
    o.lifetime_seconds = seconds;
    if (nacre_x11_cookie_ask(cookie, &o, &why) == NACRE_OK) {
        return true;
    }
    if (!trusted) {
        setup_say(s->setup,
                  "Warning: untrusted X11 forwarding setup failed: xauth key data not generated");
        setup_debug(s->setup, 1, "%s", why.text);
        return false;
    }
    setup_say(s->setup, "Warning: No xauth data for %s; it is connected to without a cookie.",
              display);
    setup_debug(s->setup, 1, "%s", why.text);
    return true;
}

static bool request_x11(ssh_session *s, nacre_channel *ch)
{
    const nacre_ssh_config *conf = s->setup->conf;
    const char *display = getenv("DISPLAY");
    nacre_x11_cookie cookie;
    nacre_x11_options o;
    nacre_error why = {0};
    if (!nacre_ssh_config_yes(conf, "ForwardX11", false)) {
        return false;
    }
    if (!display || !*display) {
        setup_debug(s->setup, 1, "X11 forwarding requested but DISPLAY not set");
        return false;
    }
    bool trusted = nacre_ssh_config_yes(conf, "ForwardX11Trusted", false);
    uint64_t limit = nacre_ssh_config_number(conf, "ForwardX11Timeout", 1200);
    uint32_t seconds = trusted ? 0 : limit > UINT32_MAX ? UINT32_MAX : (uint32_t)limit;
    if (!get_cookie(s, display, trusted, seconds, &cookie)) {
        return false;
    }
    nacre_x11_options_init(&o);
    o.display = display;
    o.cookie = cookie.size ? &cookie : NULL;
    o.timeout_seconds = seconds;
    o.on_refused = on_x11_refused;
    o.user = s;
    setup_debug(s->setup, 1, "Requesting X11 forwarding with authentication spoofing.");
    int rc = nacre_client_x11(s->client, ch, &o, &why);
    explicit_bzero(&cookie, sizeof(cookie));
    if (rc != NACRE_OK) {
        setup_say(s->setup, "%s", why.text);
    }
    return rc == NACRE_OK;
}

bool session_request_forwards(ssh_session *s, nacre_channel *ch, bool agent, bool x11)
{
    bool asked = x11 && request_x11(s, ch);
    if (agent) {
        request_agent(s, ch);
    }
    return asked;
}
