/*
 * ssh_forward.c - see ssh_forward.h. What is said about them is said as ssh says it.
 */
#include "ssh_forward.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

enum { EXIT_OURS = 255 };

static const struct {
    int letter;
    const char *keyword, *what;
    nacre_forward_kind kind;
} kinds[] = {
    {'L', "LocalForward", "local", NACRE_FORWARD_LOCAL},
    {'R', "RemoteForward", "remote", NACRE_FORWARD_REMOTE},
    {'D', "DynamicForward", "dynamic", NACRE_FORWARD_DYNAMIC},
};
enum { KINDS = sizeof(kinds) / sizeof(kinds[0]) };

int forward_option(ssh_setup *s, int letter, const char *argument)
{
    size_t i = 0;
    nacre_forward_options o;
    nacre_forward_text text;
    nacre_error why = {0};
    while (i < KINDS - 1 && kinds[i].letter != letter) {
        i++;
    }
    nacre_forward_options_init(&o);
    if (nacre_forward_parse(kinds[i].kind, argument, &o, &text, &why) != NACRE_OK) {
        setup_say(s, "Bad %s forwarding specification '%s'", kinds[i].what, argument);
        return EXIT_OURS;
    }
    if (nacre_ssh_config_set(s->conf, kinds[i].keyword, argument, &why) != NACRE_OK) {
        setup_say(s, "%s", why.text);
        return EXIT_OURS;
    }
    return 0;
}

bool forward_wanted(const ssh_setup *s)
{
    if (nacre_ssh_config_yes(s->conf, "ClearAllForwardings", false)) {
        return false;
    }
    for (size_t i = 0; i < KINDS; i++) {
        if (nacre_ssh_config_count(s->conf, kinds[i].keyword) > 0) {
            return true;
        }
    }
    return false;
}

/* ---- what is said about them ---- */

static bool is_remote(const nacre_forward_options *o)
{
    return o->kind == NACRE_FORWARD_REMOTE || o->kind == NACRE_FORWARD_REMOTE_DYNAMIC;
}

static const char *where(const nacre_forward_end *e, char *out, size_t size)
{
    (void)(e->path   ? snprintf(out, size, "%s", e->path)
           : e->host ? snprintf(out, size, "%s:%u", e->host, (unsigned)e->port)
                     : snprintf(out, size, "%u", (unsigned)e->port));
    return out;
}

static void on_ready(void *user, nacre_forward *f, int status, const nacre_error *err)
{
    const ssh_setup *s = user;
    const nacre_forward_options *o = nacre_forward_get_options(f);
    char at[512], to[512];
    if (!is_remote(o)) {
        return;
    }
    (void)where(&o->connect, to, sizeof(to));
    if (status != NACRE_OK) {
        bool fatal = nacre_ssh_config_yes(s->conf, "ExitOnForwardFailure", false);
        setup_say(s, "%s: remote port forwarding failed for listen %s %s",
                  fatal ? "Error" : "Warning", o->listen.path ? "path" : "port",
                  where(&o->listen, at, sizeof(at)));
        setup_debug(s, 1, "%s", err->text);
        return;
    }
    if (!o->listen.path && o->listen.port == 0 && s->verbosity >= 0) {
        (void)fprintf(stderr, "Allocated port %u for remote forward%s%s\n",
                      (unsigned)nacre_forward_port(f),
                      o->kind == NACRE_FORWARD_REMOTE ? " to " : "",
                      o->kind == NACRE_FORWARD_REMOTE ? to : " as a SOCKS proxy");
    }
    setup_debug(s, 1, "remote forward success for: listen %s", where(&o->listen, at, sizeof(at)));
}

static void on_failure(void *user, nacre_forward *f, const char *text)
{
    const ssh_setup *s = user;
    (void)f;
    if (s->verbosity >= 0) {
        setup_say(s, "%s", text);
    }
}

/* PermitRemoteOpen: "host:port", "[address]:port", "*" for either, any, none. */
static bool permit(void *user, nacre_forward *f, const char *host, uint16_t port)
{
    const ssh_setup *s = user;
    size_t n = nacre_ssh_config_count(s->conf, "PermitRemoteOpen");
    (void)f;
    for (size_t i = 0; i < n; i++) {
        char name[512];
        const char *v = nacre_ssh_config_value(s->conf, "PermitRemoteOpen", i);
        const char *colon = strrchr(v, ':');
        if (strcasecmp(v, "any") == 0) {
            return true;
        }
        if (!colon || (size_t)(colon - v) >= sizeof(name)) {
            continue;
        }
        size_t skip = v[0] == '[' && colon > v && colon[-1] == ']' ? 1 : 0;
        (void)snprintf(name, sizeof(name), "%.*s", (int)(colon - v) - 2 * (int)skip, v + skip);
        bool any_port = strcmp(colon + 1, "*") == 0;
        if ((strcmp(name, "*") == 0 || strcmp(name, host) == 0) &&
            (any_port || strtoul(colon + 1, NULL, 10) == port)) {
            return true;
        }
    }
    return n == 0;
}

/* ---- starting them ---- */

void forward_fill(ssh_setup *s, nacre_forward_options *out)
{
    nacre_forward_options o = *out;
    const char *mask = nacre_ssh_config_get(s->conf, "StreamLocalBindMask");
    const char *family = nacre_ssh_config_get(s->conf, "AddressFamily");
    o.gateway_ports = nacre_ssh_config_yes(s->conf, "GatewayPorts", false);
    o.bind_mask = mask ? (unsigned)strtoul(mask, NULL, 8) & 0777 : 0177;
    o.bind_unlink = nacre_ssh_config_yes(s->conf, "StreamLocalBindUnlink", false);
    o.family = !family                            ? 0
               : strcasecmp(family, "inet") == 0  ? 4
               : strcasecmp(family, "inet6") == 0 ? 6
                                                  : 0;
    o.permit = permit;
    o.on_ready = on_ready;
    o.on_failure = on_failure;
    o.user = s;
    *out = o;
}

bool forward_add(ssh_setup *s, nacre_client *c, const nacre_forward_options *given)
{
    nacre_forward_options o = *given;
    nacre_error why = {0};
    bool remote = is_remote(&o);
    forward_fill(s, &o);
    if (nacre_client_forward(c, &o, NULL, &why) == NACRE_OK) {
        return true;
    }
    setup_say(s, "%s", why.text);
    setup_say(s, remote ? "Could not request remote forwarding."
                        : "Could not request local forwarding.");
    return false;
}

/* The paths of sockets may hold tokens. */
static bool expand_path(ssh_setup *s, const char *keyword, const char **path, char *out,
                        size_t size)
{
    if (*path && !setup_expand(s, keyword, *path, out, size)) {
        return false;
    }
    *path = *path ? out : NULL;
    return true;
}

/* One of the configuration to fn; false: it has complained, or fn has. */
static bool read_one(ssh_setup *s, size_t kind, const char *value, forward_fn fn, void *user)
{
    nacre_forward_options o;
    nacre_forward_text text;
    nacre_error why = {0};
    const char *keyword = kinds[kind].keyword;
    char paths[2][1024];
    nacre_forward_options_init(&o);
    if (strcasecmp(value, "none") == 0) {
        return true;
    }
    if (nacre_forward_parse(kinds[kind].kind, value, &o, &text, &why) != NACRE_OK) {
        setup_say(s, "%s: %s", keyword, why.text);
        return false;
    }
    if (!expand_path(s, keyword, &o.listen.path, paths[0], sizeof(paths[0])) ||
        !expand_path(s, keyword, &o.connect.path, paths[1], sizeof(paths[1]))) {
        return false;
    }
    setup_debug(s, 1, "%s forwarding: %s", kinds[kind].what, value);
    return fn(user, &o);
}

bool forward_each(ssh_setup *s, forward_fn fn, void *user)
{
    bool good = true;
    for (size_t i = 0; forward_wanted(s) && i < KINDS; i++) {
        size_t n = nacre_ssh_config_count(s->conf, kinds[i].keyword);
        for (size_t k = 0; k < n; k++) {
            const char *value = nacre_ssh_config_value(s->conf, kinds[i].keyword, k);
            good = read_one(s, i, value, fn, user) && good;
        }
    }
    return good;
}

typedef struct starting {
    ssh_setup *s;
    nacre_client *c;
} starting;

static bool start_it(void *user, const nacre_forward_options *o)
{
    starting *j = user;
    return forward_add(j->s, j->c, o);
}

static bool start_one(ssh_setup *s, nacre_client *c, size_t kind, const char *value)
{
    starting j = {s, c};
    return read_one(s, kind, value, start_it, &j);
}

/* Until the server has said yes or no to every one of them; true: never no. */
static bool await_answers(ssh_setup *s, nacre_client *c, bool *alive)
{
    bool good = true;
    *alive = true;
    for (nacre_forward *f = nacre_client_next_forward(c, NULL); f && *alive;
         f = nacre_client_next_forward(c, f)) {
        int rc = nacre_client_forward_wait(c, f, NACRE_FOREVER);
        good = good && rc == NACRE_OK;
        if (rc != NACRE_OK && rc != NACRE_REQUEST_REFUSED) {
            setup_explain(s, c, rc);
            *alive = false;
        }
    }
    return good;
}

int forward_start(ssh_setup *s, nacre_client *c, bool wait)
{
    bool strict = nacre_ssh_config_yes(s->conf, "ExitOnForwardFailure", false);
    bool good = true, alive = true;
    if (!forward_wanted(s)) {
        return 0;
    }
    for (size_t i = 0; i < KINDS; i++) {
        size_t n = nacre_ssh_config_count(s->conf, kinds[i].keyword);
        for (size_t k = 0; k < n; k++) {
            good = start_one(s, c, i, nacre_ssh_config_value(s->conf, kinds[i].keyword, k)) && good;
            if (!good && strict) {
                return EXIT_OURS;
            }
        }
    }
    if (strict || wait) {
        good = await_answers(s, c, &alive) && good;
    }
    return !alive || (strict && !good) ? EXIT_OURS : 0;
}

/* ---- -W ---- */

/* "host:port", "[::1]:port", "/socket": as what is listened on, but for what it means. */
bool forward_stdio_target(const char *text, nacre_forward_options *o, nacre_forward_text *room)
{
    nacre_forward_options_init(o);
    if (nacre_forward_parse(NACRE_FORWARD_DYNAMIC, text, o, room, NULL) != NACRE_OK) {
        return false;
    }
    return o->listen.path || (o->listen.host && *o->listen.host);
}

bool forward_stdio_check(const ssh_setup *s, const char *text)
{
    nacre_forward_options o;
    nacre_forward_text room;
    if (forward_stdio_target(text, &o, &room)) {
        return true;
    }
    setup_say(s, "Bad stdio forwarding specification '%s'", text);
    return false;
}

int forward_stdio(ssh_setup *s, nacre_client *c, const char *text)
{
    nacre_forward_options o;
    nacre_forward_text room;
    nacre_relay_options relay;
    nacre_relay_result result;
    nacre_channel *ch = NULL;
    if (!forward_stdio_target(text, &o, &room)) {
        return EXIT_OURS;
    }
    int rc = o.listen.path ? nacre_client_direct_streamlocal(c, o.listen.path, NACRE_FOREVER, &ch)
                           : nacre_client_direct_tcpip(c, o.listen.host, o.listen.port, NULL, 0,
                                                       NACRE_FOREVER, &ch);
    if (rc == NACRE_CHANNEL_REFUSED) {
        setup_say(s, "%s", nacre_client_error(c)->text);
        setup_say(s, "stdio forwarding failed");
        return EXIT_OURS;
    }
    if (rc == NACRE_OK) {
        nacre_relay_options_init(&relay);
        relay.source = STDIN_FILENO;
        relay.sink = STDOUT_FILENO;
        relay.shared = true;
        rc = nacre_client_relay(c, ch, &relay, NACRE_FOREVER, &result);
        nacre_client_channel_free(c, ch);
    }
    if (rc != NACRE_OK) {
        setup_explain(s, c, rc);
        return EXIT_OURS;
    }
    return 0;
}
