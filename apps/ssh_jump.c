/*
 * ssh_jump.c - see ssh_jump.h.
 *
 * "a,b" for c: b is reached through a, and c through b. So the list is taken apart at its last comma: b
 * becomes a setup of its own, with what is before it as its list. What was given on the command line for c
 * (-i, -o ...) is not for the hops; their sections of the configuration file are.
 */
#include "ssh_jump.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

enum { HOPS_MAX = 16, HOP_TEXT_MAX = 1024 };

struct ssh_jump {
    ssh_setup setup; /* its own setup.jump is the hop before */
    nacre_client *client;
    nacre_loop *loop; /* of the first hop: all others borrow it */
};

static bool jump_check(const ssh_setup *s, const char *list);

const char *jump_list(const ssh_setup *s)
{
    return s->jump_text[0] ? s->jump_text : NULL;
}

bool jump_find(ssh_setup *s)
{
    const char *list = nacre_ssh_config_get(s->conf, "ProxyJump");
    /* Of ProxyCommand and ProxyJump the first counts; the reading of them saw to that. */
    if (!list || strcasecmp(list, "none") == 0) {
        s->jump_text[0] = '\0';
        return true;
    }
    return setup_expand(s, "ProxyJump", list, s->jump_text, sizeof(s->jump_text)) &&
           jump_check(s, s->jump_text);
}

/* ---- one hop ---- */

/* The last hop of the list, and in rest what is before it. */
static bool last_hop(const char *list, nacre_destination *out, char rest[HOP_TEXT_MAX])
{
    const char *comma = strrchr(list, ',');
    size_t n = comma ? (size_t)(comma - list) : 0;
    if (n >= HOP_TEXT_MAX || (comma && n == 0)) {
        return false;
    }
    memcpy(rest, list, n);
    rest[n] = '\0';
    return nacre_parse_jump(comma ? comma + 1 : list, out, NULL) == NACRE_OK;
}

static bool jump_check(const ssh_setup *s, const char *list)
{
    nacre_destination hop;
    char part[HOP_TEXT_MAX], rest[HOP_TEXT_MAX] = "";
    bool good = strlen(list) < sizeof(part);
    (void)snprintf(part, sizeof(part), "%s", list);
    do {
        good = good && last_hop(part, &hop, rest);
        memcpy(part, rest, sizeof(part));
    } while (good && part[0]);
    if (!good) {
        char shown[HOP_TEXT_MAX];
        (void)nacre_escape(shown, sizeof(shown), (nacre_span){(const uint8_t *)list, strlen(list)});
        setup_say(s,
                  "Invalid -J argument or ProxyJump \"%s\" (a list of [user@]host[:port] or "
                  "ssh://[user@]host[:port])",
                  shown);
    }
    return good;
}

/* ---- the way ---- */

static bool set_value(ssh_setup *s, const char *keyword, const char *value)
{
    nacre_error why = {0};
    if (nacre_ssh_config_set(s->conf, keyword, value, &why) == NACRE_OK) {
        return true;
    }
    setup_say(s, "%s", why.text);
    return false;
}

/* The setup of a hop, as if "nacre-ssh [-F file] [-v] [-J rest] hop" had been typed. */
static bool set_up(ssh_jump *j, const ssh_setup *s, const nacre_destination *hop, const char *rest)
{
    ssh_setup *h = &j->setup;
    char port[8];
    if (setup_init(h, s->program) != NACRE_OK) {
        setup_say(s, "out of memory");
        return false;
    }
    h->dest = *hop;
    h->config_file = s->config_file;
    h->verbosity = s->verbosity;
    h->hops = s->hops + 1;
    (void)snprintf(port, sizeof(port), "%u", (unsigned)hop->port);
    /* Who must not be asked about the host must not be asked about the way either. */
    bool good = (!hop->user[0] || set_value(h, "User", hop->user)) &&
                (!hop->port || set_value(h, "Port", port)) &&
                (!s->batch || set_value(h, "BatchMode", "yes")) &&
                (!rest[0] || set_value(h, "ProxyJump", rest));
    return good && setup_load(h);
}

/* A section that sends a host through itself would never end. */
static bool is_same(const ssh_setup *a, const ssh_setup *b)
{
    return strcasecmp(a->host, b->host) == 0 && a->port == b->port && strcmp(a->user, b->user) == 0;
}

static bool reach(ssh_jump *j, ssh_setup *s)
{
    nacre_error why = {0};
    if (is_same(&j->setup, s)) {
        setup_say(s, "jumphost loop via %s", j->setup.host);
        return false;
    }
    /* The innermost setup that has no hop in front of it makes the loop. */
    j->setup.loop = s->loop;
    if (!j->setup.loop && !jump_list(&j->setup)) {
        if (nacre_loop_new(&j->loop, NULL, &why) != NACRE_OK) {
            setup_say(s, "%s", why.text);
            return false;
        }
        j->setup.loop = j->loop;
    }
    setup_debug(s, 1, "Going to %s port %s through %s port %s", s->host, s->port_text,
                j->setup.host, j->setup.port_text);
    if (!setup_connect(&j->setup, &j->client)) {
        return false;
    }
    s->cfg.loop = j->setup.cfg.loop;
    return true;
}

int jump_connect(ssh_setup *s, const char *list)
{
    nacre_destination hop;
    char rest[HOP_TEXT_MAX];
    int fd = -1;
    if (s->hops >= HOPS_MAX) {
        setup_say(s, "more than %d hosts on the way: does a ProxyJump lead back to itself?",
                  (int)HOPS_MAX);
        return -1;
    }
    ssh_jump *j = calloc(1, sizeof(*j));
    if (!j || !last_hop(list, &hop, rest)) { /* jump_check has been there */
        free(j);
        setup_say(s, "out of memory");
        return -1;
    }
    s->jump = j;
    if (!set_up(j, s, &hop, rest) || !reach(j, s)) {
        return -1;
    }
    int rc = nacre_client_tunnel(
        j->client, s->host, s->port,
        s->cfg.connect_timeout_ms ? s->cfg.connect_timeout_ms : NACRE_FOREVER, &fd);
    if (rc != NACRE_OK) {
        setup_explain(&j->setup, j->client, rc);
        return -1;
    }
    return fd;
}

void jump_free(ssh_jump *j)
{
    if (!j) {
        return;
    }
    if (j->client) {
        nacre_client_disconnect(j->client);
        nacre_client_free(j->client);
    }
    /* The hop before this one carries it, and owns the loop. */
    setup_clear(&j->setup);
    if (j->loop) {
        nacre_loop_free(j->loop);
    }
    free(j);
}
