/*
 * sshd_policy.c - what a configuration comes to: defaults where nothing was said, and the questions that
 * a login asks of it.
 */
#include "server/sshd_config.h"

#include "base/words.h"
#include "keys/pattern.h"
#include "nacre/authorized_keys.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <syslog.h>

/* ---- defaults ------------------------------------------------------------------------------------------ */

/* As lines, so that they are read, checked and overridden like anybody's. */
static const char *const defaults[] = {
    "AddressFamily any",
    "Compression yes",
    "RekeyLimit default none",
    "LoginGraceTime 2m",
    "MaxAuthTries 6",
    "MaxSessions 10",
    "MaxStartups 10:30:100",
    "PermitRootLogin prohibit-password",
    "PasswordAuthentication yes",
    "KbdInteractiveAuthentication yes",
    "PubkeyAuthentication yes",
    "AuthorizedKeysFile .ssh/authorized_keys .ssh/authorized_keys2",
    "StrictModes yes",
    "PermitTTY yes",
    "PermitUserEnvironment no",
    "PidFile /run/nacre-sshd.pid",
    "LogLevel INFO",
    "SyslogFacility AUTH",
    "UsePAM no",
    "PrintMotd yes",
    "PrintLastLog yes",
    "TCPKeepAlive yes",
    "ClientAliveInterval 0",
    "ClientAliveCountMax 3",
    "RequiredRSASize 2048",
    "PubkeyAuthOptions none",
    "ExposeAuthInfo no",
    "FingerprintHash SHA256",
    "UseDNS no",
    "HostbasedAuthentication no",
    "HostbasedUsesNameFromPacketOnly no",
    "IgnoreRhosts yes",
    "IgnoreUserKnownHosts no",
    "AllowTcpForwarding yes",
    "AllowStreamLocalForwarding yes",
    "AllowAgentForwarding yes",
    "DisableForwarding no",
    "X11Forwarding no",
    "X11UseLocalhost yes",
    "X11DisplayOffset 10",
    "XAuthLocation /usr/bin/xauth",
    "GatewayPorts no",
    "PermitTunnel no",
    "PermitUserRC yes",
    "StreamLocalBindMask 0177",
    "StreamLocalBindUnlink no",
    "RefuseConnection no",
};

static const char *const usual_host_keys[] = {
    "HostKey /etc/ssh/ssh_host_ed25519_key",
    "HostKey /etc/ssh/ssh_host_ecdsa_key",
    "HostKey /etc/ssh/ssh_host_rsa_key",
};

static bool was_seen(const nacre_sshd_config *c, const char *name)
{
    for (size_t i = 0; i < nc_conf_row_count; i++) {
        if (strcasecmp(nc_conf_rows[i].name, name) == 0) {
            return c->seen[i];
        }
    }
    return false;
}

static bool said(const nacre_sshd_config *c, const char *line)
{
    char name[64];
    (void)snprintf(name, sizeof(name), "%.*s", (int)strcspn(line, " "), line);
    return was_seen(c, name);
}

/* What only the whole tells. Of a connection's own it is no error: the program is not run then. */
static int check_whole(const nacre_sshd_config *c, nacre_error *err)
{
    const nacre_sshd_settings *s = &c->s;
    if (!c->is_copy && s->authorized_keys_command && !s->authorized_keys_command_user) {
        return nc_fail(
            err, NACRE_SYNTAX,
            "AuthorizedKeysCommand is set, but not AuthorizedKeysCommandUser, as whom it "
            "shall run");
    }
    if (!c->is_copy && s->authorized_principals_command && !s->authorized_principals_command_user) {
        return nc_fail(err, NACRE_SYNTAX,
                       "AuthorizedPrincipalsCommand is set, but not "
                       "AuthorizedPrincipalsCommandUser, as whom it shall run");
    }
    return NACRE_OK;
}

int nacre_sshd_config_finish(nacre_sshd_config *c, nacre_error *err)
{
    nc_error_clear(err);
    int rc = NACRE_OK;
    c->defaulting = true;
    for (size_t i = 0; rc == NACRE_OK && i < sizeof(defaults) / sizeof(defaults[0]); i++) {
        if (!said(c, defaults[i])) {
            rc = nacre_sshd_config_line(c, defaults[i], err);
        }
    }
    if (rc == NACRE_OK && c->s.port_count == 0) {
        rc = nacre_sshd_config_line(c, "Port 22", err);
    }
    c->s.default_host_keys = c->s.host_keys.count == 0;
    for (size_t i = 0; rc == NACRE_OK && c->s.default_host_keys &&
                       i < sizeof(usual_host_keys) / sizeof(usual_host_keys[0]);
         i++) {
        rc = nacre_sshd_config_line(c, usual_host_keys[i], err);
    }
    rc = rc == NACRE_OK ? check_whole(c, err) : rc;
    rc = rc == NACRE_OK ? nc_conf_check_sources(c, err) : rc;
    c->finished = rc == NACRE_OK;
    return rc;
}

/* ---- questions ------------------------------------------------------------------------------------------ */

bool nacre_sshd_config_accepts_env(const nacre_sshd_config *c, nacre_span name)
{
    for (size_t i = 0; i < c->s.accept_env.count; i++) {
        if (nc_pattern_match(name, nc_span_cstr(c->s.accept_env.items[i]), false)) {
            return true;
        }
    }
    return false;
}

bool nacre_sshd_config_user_env(const nacre_sshd_config *c, const char *pair)
{
    const char *list = c->s.permit_user_environment_pattern;
    nacre_span name = nc_span(pair, strcspn(pair, "="));
    return c->s.permit_user_environment &&
           (!list || nc_pattern_list(name, nc_span_cstr(list), false) == NC_MATCH_YES);
}

/* "user" or "user@host": both patterns, the host a block or an address too. */
static bool matches_user(const char *pattern, const char *user, const char *address)
{
    const char *at = strrchr(pattern, '@');
    size_t n = at ? (size_t)(at - pattern) : strlen(pattern);
    if (!nc_pattern_match(nc_span_cstr(user), nc_span(pattern, n), false)) {
        return false;
    }
    return !at || (address && nc_peer_list(nc_span_cstr(address), nc_span(NULL, 0),
                                           nc_span_cstr(at + 1)) == NC_MATCH_YES);
}

/* A list that is malformed for addresses forbids, wherever it stands. */
static bool user_in(const nacre_sshd_list *list, const char *user, const char *address)
{
    for (size_t i = 0; i < list->count; i++) {
        if (matches_user(list->items[i], user, address)) {
            return true;
        }
    }
    return false;
}

static bool group_in(const nacre_sshd_list *list, const char *const *groups, size_t n)
{
    for (size_t i = 0; i < list->count; i++) {
        for (size_t g = 0; g < n; g++) {
            if (nc_pattern_match(nc_span_cstr(groups[g]), nc_span_cstr(list->items[i]), false)) {
                return true;
            }
        }
    }
    return false;
}

int nacre_sshd_config_user_allowed(const nacre_sshd_config *c, const char *user,
                                   const char *const *groups, size_t group_count,
                                   const char *address, nacre_error *why)
{
    nc_error_clear(why);
    const nacre_sshd_settings *s = &c->s;
    if (user_in(&s->deny_users, user, address)) {
        return nc_fail(why, NACRE_AUTH_FAILED, "listed in DenyUsers");
    }
    if (s->allow_users.count > 0 && !user_in(&s->allow_users, user, address)) {
        return nc_fail(why, NACRE_AUTH_FAILED, "not listed in AllowUsers");
    }
    if (group_in(&s->deny_groups, groups, group_count)) {
        return nc_fail(why, NACRE_AUTH_FAILED, "a group is listed in DenyGroups");
    }
    if (s->allow_groups.count > 0 && !group_in(&s->allow_groups, groups, group_count)) {
        return nc_fail(why, NACRE_AUTH_FAILED, "no group is listed in AllowGroups");
    }
    return NACRE_OK;
}

uint32_t nacre_sshd_config_may(const nacre_sshd_config *c)
{
    const nacre_sshd_settings *s = &c->s;
    uint32_t may = 0;
    may |= s->permit_tty ? NACRE_MAY_PTY : 0;
    may |= s->permit_user_rc ? NACRE_MAY_USER_RC : 0;
    if (s->disable_forwarding) {
        return may;
    }
    may |= s->allow_tcp_forwarding || s->allow_streamlocal_forwarding ? NACRE_MAY_FORWARD_PORT : 0;
    may |= s->allow_agent_forwarding ? NACRE_MAY_FORWARD_AGENT : 0;
    may |= s->x11_forwarding ? NACRE_MAY_FORWARD_X11 : 0;
    may |= s->permit_tunnel ? NACRE_MAY_TUNNEL : 0;
    return may;
}

/* An entry that the configuration took: "host:port". */
static bool target_fits(const char *entry, const char *host, uint32_t port, bool listens)
{
    const char *colon = strrchr(entry, ':');
    const char *text = colon ? colon + 1 : entry;
    nacre_span name = colon ? nc_span(entry, (size_t)(colon - entry)) : nc_span_cstr("*");
    uint32_t number = 0;
    if (name.n >= 2 && name.p[0] == '[' && name.p[name.n - 1] == ']') {
        name = nc_span(name.p + 1, name.n - 2);
    }
    bool same = listens ? nc_pattern_match(nc_span_cstr(host), name, false)
                        : nc_span_is(name, "*") || nc_span_is(name, host);
    return same &&
           (strcmp(text, "*") == 0 || (nc_parse_number(text, 1, 65535, &number) && number == port));
}

bool nacre_sshd_config_permits(const nacre_sshd_config *c, bool listens, const char *host,
                               uint32_t port)
{
    const nacre_sshd_list *list = listens ? &c->s.permit_listen : &c->s.permit_open;
    int way = listens ? NACRE_ALLOW_REMOTE : NACRE_ALLOW_LOCAL;
    bool found = list->count == 0;
    if (c->s.disable_forwarding || !(c->s.allow_tcp_forwarding & way)) {
        return false;
    }
    for (size_t i = 0; !found && i < list->count; i++) {
        found = target_fits(list->items[i], host, port, listens);
    }
    return found;
}

/*
 * Lists name hosts and ports. A socket's path is neither, so that nothing on a list that says less than everything
 * speaks for it.
 */
bool nacre_sshd_config_permits_path(const nacre_sshd_config *c, bool listens)
{
    const nacre_sshd_list *list = listens ? &c->s.permit_listen : &c->s.permit_open;
    int way = listens ? NACRE_ALLOW_REMOTE : NACRE_ALLOW_LOCAL;
    bool found = list->count == 0;
    for (size_t i = 0; !found && i < list->count; i++) {
        found = strcmp(list->items[i], "*:*") == 0;
    }
    return found && !c->s.disable_forwarding && (c->s.allow_streamlocal_forwarding & way);
}

/* ---- paths ---------------------------------------------------------------------------------------------- */

static int add(char *out, size_t size, size_t *n, const char *text)
{
    size_t len = strlen(text);
    if (len >= size - *n) {
        return NACRE_TOO_LARGE;
    }
    memcpy(out + *n, text, len + 1);
    *n += len;
    return NACRE_OK;
}

int nacre_sshd_expand_path(const char *pattern, const char *user, const char *home, uint32_t uid,
                           char *out, size_t size)
{
    char number[16], one[2] = {0, 0};
    size_t n = 0;
    int rc = NACRE_OK;
    if (size == 0 || strchr(user, '/') || strcmp(user, "..") == 0 || strcmp(user, ".") == 0) {
        return NACRE_INVALID_ARGUMENT;
    }
    (void)snprintf(number, sizeof(number), "%lu", (unsigned long)uid);
    out[0] = '\0';
    if (pattern[0] != '/' && strncmp(pattern, "%h", 2) != 0) {
        rc = add(out, size, &n, home);
        rc = rc == NACRE_OK ? add(out, size, &n, "/") : rc;
    }
    for (const char *p = pattern; rc == NACRE_OK && *p; p++) {
        one[0] = *p;
        const char *text = one;
        if (*p == '%') {
            p++;
            text = *p == 'h'   ? home
                   : *p == 'u' ? user
                   : *p == 'U' ? number
                   : *p == '%' ? "%"
                               : NULL;
        }
        rc = text ? add(out, size, &n, text) : NACRE_SYNTAX;
    }
    return rc;
}
