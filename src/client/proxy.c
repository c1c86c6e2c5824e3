/*
 * proxy.c - ways to a host that are no plain TCP connection: a program (ProxyCommand), and another client's
 * connection (ProxyJump).
 *
 * No shell sees a ProxyCommand that is made of words alone. Where its own text asks for one (quotes, pipes,
 * variables), the names that are put into it must be free of everything that a shell knows.
 */
#include "client/state.h"
#include "nacre/ssh_config.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

enum { COMMAND_MAX = 16384, WORDS_MAX = 256 };

/* ---- the text of the command ---- */

static bool asks_for_shell(const char *text)
{
    size_t first = strcspn(text, " \t");
    return strpbrk(text, "'`\"$\\;&<>|(){}*?[]!#~\n") || memchr(text, '=', first) ||
           strncmp(text, "exec ", 5) == 0;
}

static int check_names(nacre_client *c, const nacre_ssh_tokens *t)
{
    if (!nacre_ssh_is_host_name(t->host) || !nacre_ssh_is_host_name(t->original_host) ||
        !nacre_ssh_is_user_name(t->remote_user)) {
        return nc_client_fail(c, NACRE_INVALID_ARGUMENT,
                              "the name of the host or user has characters in it that must not "
                              "become a part of a proxy command");
    }
    return NACRE_OK;
}

/* The words of the text, each with its tokens replaced: what they stand for is never split. */
static int expand_words(nacre_client *c, const nacre_ssh_tokens *t, char *room, char **argv)
{
    const char *at = c->cfg.proxy_command;
    size_t used = 0, count = 0;
    for (;;) {
        char word[COMMAND_MAX];
        at += strspn(at, " \t");
        size_t n = strcspn(at, " \t");
        if (n == 0) {
            break;
        }
        if (n >= sizeof(word) || count + 1 >= WORDS_MAX) {
            return nc_client_fail(c, NACRE_TOO_LARGE, "the proxy command is too long");
        }
        memcpy(word, at, n);
        word[n] = '\0';
        int rc = nacre_ssh_expand_words(word, t, room + used, COMMAND_MAX - used, &c->err);
        if (rc != NACRE_OK) {
            return rc;
        }
        argv[count++] = room + used;
        used += strlen(room + used) + 1;
        at += n;
    }
    argv[count] = NULL;
    return count ? NACRE_OK : nc_client_fail(c, NACRE_INVALID_ARGUMENT, "no proxy command");
}

static int start(nacre_client *c, char *room)
{
    char port[8];
    const nacre_client_config *cfg = &c->cfg;
    nacre_ssh_tokens t;
    memset(&t, 0, sizeof(t));
    (void)snprintf(port, sizeof(port), "%u", (unsigned)c->port);
    t.host = c->host;
    t.original_host = cfg->original_host ? cfg->original_host : c->host;
    t.port = port;
    t.remote_user = cfg->user;
    int rc = check_names(c, &t);
    if (rc != NACRE_OK) {
        return rc;
    }
    nc_client_log(c, NACRE_LOG_VERBOSE, "Executing proxy command: %s",
                  NC_ESC(nc_span_cstr(cfg->proxy_command)));
    if (asks_for_shell(cfg->proxy_command)) {
        size_t n = strncmp(cfg->proxy_command, "exec ", 5) == 0 ? 0 : 5; /* or it is there */
        memcpy(room, "exec ", n);
        rc = nacre_ssh_expand_command(cfg->proxy_command, &t, room + n, COMMAND_MAX - n, &c->err);
        return rc == NACRE_OK
                   ? nc_proxy_start_shell(&c->proxy, room, cfg->proxy_use_fdpass, &c->err)
                   : rc;
    }
    char *argv[WORDS_MAX];
    rc = expand_words(c, &t, room, argv);
    return rc == NACRE_OK ? nc_proxy_start(&c->proxy, argv, cfg->proxy_use_fdpass, &c->err) : rc;
}

/* ---- the connection ---- */

static void on_readable(void *user, int fd, unsigned ready)
{
    nacre_client *c = user;
    (void)ready;
    (void)nacre_loop_modify(c->loop, fd, 0); /* it has done its work: the wait is over */
}

static int descriptor_there(void *user)
{
    nacre_client *c = user;
    return nc_proxy_receive(&c->proxy, &c->fd, &c->err);
}

static int await_descriptor(nacre_client *c, const nc_wait *w)
{
    int watched = c->proxy.fd;
    int rc = nacre_loop_add(c->loop, watched, NACRE_READ, on_readable, c);
    if (rc != NACRE_OK) {
        return nc_client_fail(c, rc, "the proxy command cannot be watched");
    }
    rc = nc_client_wait(c, w, descriptor_there, c);
    nacre_loop_remove(c->loop, watched);
    return rc;
}

bool nc_client_has_proxy(const nacre_client *c)
{
    return c->cfg.proxy_command && *c->cfg.proxy_command &&
           strcasecmp(c->cfg.proxy_command, "none") != 0;
}

int nc_client_dial_proxy(nacre_client *c, const nc_wait *w)
{
    char *room = nc_alloc(c->alloc, COMMAND_MAX);
    if (!room) {
        return nc_client_fail(c, NACRE_NO_MEMORY, "out of memory");
    }
    int rc = start(c, room);
    nc_free(c->alloc, room);
    if (rc == NACRE_OK && c->cfg.proxy_use_fdpass) {
        rc = await_descriptor(c, w);
    } else if (rc == NACRE_OK) {
        c->fd = c->proxy.fd;
        c->proxy.fd = -1;
    }
    if (rc != NACRE_OK) {
        nc_client_add_proxy(c, &c->err);
    }
    return rc;
}

void nc_client_add_proxy(nacre_client *c, nacre_error *err)
{
    char how[64];
    if (c->proxy.pid <= 0) {
        return;
    }
    nc_proxy_describe(&c->proxy, how, sizeof(how));
    size_t n = strlen(err->text);
    if (how[0] && n + 1 < sizeof(err->text)) {
        (void)snprintf(err->text + n, sizeof(err->text) - n, " (the proxy command \"%s\" %s)",
                       NC_ESC(nc_span_cstr(c->cfg.proxy_command)), how);
    }
}

/* ---- through another client ---- */

int nc_client_dial_via(nacre_client *c, const nc_wait *w)
{
    nacre_client *via = c->cfg.via;
    uint64_t now = nacre_loop_now(c->loop);
    uint64_t left = w->deadline == UINT64_MAX ? NACRE_FOREVER
                    : w->deadline > now       ? w->deadline - now
                                              : 1;
    int rc = nacre_client_tunnel(via, c->host, c->port,
                                 left < NACRE_FOREVER ? (uint32_t)left : NACRE_FOREVER, &c->fd);
    if (rc != NACRE_OK) {
        c->err = *nacre_client_error(via);
    }
    return rc;
}

int nacre_client_open_through(nacre_client **out, const nacre_client_config *cfg, const char *host,
                              uint16_t port, const nacre_client_hop *hops, size_t count,
                              nacre_error *err)
{
    nacre_client *before = NULL;
    int rc = NACRE_OK;
    *out = NULL;
    nc_error_clear(err);
    for (size_t i = 0; rc == NACRE_OK && i <= count; i++) {
        const nacre_client_config *theirs = i < count && hops[i].config ? hops[i].config : cfg;
        nacre_client_config one;
        nacre_client *next = NULL;
        nacre_client_config_init(&one);
        if (!theirs || theirs->size > sizeof(one)) {
            rc = nc_fail(err, NACRE_INVALID_ARGUMENT, "there is no config");
            break;
        }
        memcpy(&one, theirs, theirs->size);
        one.size = sizeof(one);
        one.via = before ? before : one.via;
        one.loop = before ? nacre_client_loop(before) : one.loop ? one.loop : cfg->loop;
        if (before) { /* a command would lead past the one before */
            one.proxy_command = NULL;
        }
        rc = nacre_client_open(&next, &one, i < count ? hops[i].host : host,
                               i < count ? hops[i].port : port, err);
        if (rc == NACRE_OK) {
            next->owned_via = before;
            before = next;
        }
    }
    if (rc != NACRE_OK) {
        nacre_client_disconnect(before);
        nacre_client_free(before);
        return rc;
    }
    *out = before;
    return NACRE_OK;
}
