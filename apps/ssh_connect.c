/*
 * ssh_connect.c - from a setup to a connection that is logged in: by the hosts of ProxyJump or directly, as often as
 * ConnectionAttempts says.
 */
#include "ssh_setup.h"

#include "ssh_jump.h"

#include "nacre/net.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

static bool worth_another_try(int rc)
{
    return rc == NACRE_CONNECT || rc == NACRE_RESOLVE || rc == NACRE_TIMEOUT;
}

/* The way, then the handshake and the login. NACRE_CANCELLED: it has complained already. */
static int connect_once(ssh_setup *s, nacre_client **out)
{
    nacre_error why = {0};
    const char *hops = jump_list(s);
    int fd = -1;
    s->cfg.loop = s->loop;
    if (!hops) {
        s->cfg.proxy_command = nacre_ssh_config_get(s->conf, "ProxyCommand");
        s->cfg.proxy_use_fdpass = nacre_ssh_config_yes(s->conf, "ProxyUseFdpass", false);
        s->cfg.original_host = s->dest.host;
    } else {
        fd = jump_connect(s, hops);
        if (fd < 0) {
            return NACRE_CANCELLED;
        }
    }
    int rc = nacre_client_new(out, &s->cfg, &why);
    if (rc != NACRE_OK) {
        setup_say(s, "%s", why.text);
        rc = NACRE_CANCELLED;
    } else {
        rc = nacre_client_login(*out, fd, fd, s->host, s->port);
    }
    if (rc != NACRE_OK && fd >= 0 && !(*out && nacre_client_transport(*out))) {
        (void)close(fd); /* not taken */
    }
    return rc;
}

static void drop_client(ssh_setup *s, nacre_client **out)
{
    nacre_client_disconnect(*out);
    nacre_client_free(*out);
    *out = NULL;
    if (s->jump) {
        jump_free(s->jump);
        s->jump = NULL;
    }
}

bool setup_connect(ssh_setup *s, nacre_client **out)
{
    uint64_t attempts = nacre_ssh_config_number(s->conf, "ConnectionAttempts", 1);
    *out = NULL;
    for (uint64_t i = 0;; i++) {
        int rc = connect_once(s, out);
        if (rc == NACRE_OK) {
            break;
        }
        bool again = worth_another_try(rc) && i + 1 < attempts;
        if (!again && rc != NACRE_CANCELLED) {
            setup_explain(s, *out, rc);
        }
        drop_client(s, out);
        if (!again) {
            return false;
        }
        (void)sleep(1);
    }
    if (!s->jump) {
        nacre_net_set_keepalive(nacre_driver_fd(nacre_client_driver(*out)),
                                nacre_ssh_config_yes(s->conf, "TCPKeepAlive", true));
    }
    return true;
}

/* The class of service for one of the two kinds of traffic; -1: none. */
static int wanted_dscp(const char *text, bool interactive)
{
    char word[32];
    int dscp = -1;
    if (!text) {
        return interactive ? 46 : -1; /* ef */
    }
    size_t n = strcspn(text, " ");
    if (text[n] && !interactive) {
        text += n + 1;
        n = strlen(text);
    }
    (void)snprintf(word, sizeof(word), "%.*s", (int)n, text);
    return nacre_parse_ipqos(word, &dscp) == NACRE_OK ? dscp : -1;
}

void setup_quality(const ssh_setup *s, nacre_client *c, bool interactive)
{
    int dscp = wanted_dscp(nacre_ssh_config_get(s->conf, "IPQoS"), interactive);
    if (dscp >= 0) {
        nacre_net_set_dscp(nacre_driver_fd(nacre_client_driver(c)), (unsigned)dscp);
    }
}
