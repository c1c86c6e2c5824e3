/*
 * agent_forward.c - the server's half of agent forwarding: a private socket, whose connections go to the
 * client as channels.
 */
#include "nacre/agent_forward.h"

#include "io/fd.h"
#include "io/listen.h"
#include "io/private_dir.h"
#include "nacre/account.h"
#include "server/server.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { PATH_ROOM = 108 /* of sockaddr_un */ };

struct nc_agent_server {
    nacre_server_conn *c;
    const char *type; /* of channel, static */
    nc_listen *listener;
    char dir[PATH_ROOM], path[PATH_ROOM];
};
typedef struct nc_agent_server nc_agent_server;

/* The directory is closed to others; a descriptor that was handed on is not. */
static bool is_allowed(int fd)
{
    uid_t uid;
    gid_t gid;
    return nacre_peer_credentials(fd, &uid, &gid) == NACRE_OK && (uid == geteuid() || uid == 0);
}

static void accepted(void *user, nc_listen *l, int fd)
{
    nc_agent_server *s = user;
    nacre_error why;
    (void)l;
    if (!is_allowed(fd)) {
        nc_logf(&s->c->server->log, NACRE_LOG_INFO, "somebody else asked for a forwarded agent");
    } else if (nacre_server_carry(s->c, s->type, nc_span(NULL, 0), fd, &why) == NACRE_OK) {
        return;
    } else {
        nc_logf(&s->c->server->log, NACRE_LOG_VERBOSE, "a forwarded agent: %s", why.text);
    }
    nc_fd_close(&fd);
}

void nc_agent_server_free(nc_agent_server *s)
{
    if (!s) {
        return;
    }
    nc_listen_free(s->listener);
    if (s->dir[0]) {
        (void)rmdir(s->dir);
    }
    nc_free(s->c->server->alloc, s);
}

static int listen_in(nc_agent_server *s, const char *directory, nacre_error *err)
{
    const nc_listen_calls calls = {.accepted = accepted, .user = s};
    int rc = nc_private_dir(directory ? directory : "/tmp", s->dir, sizeof(s->dir),
                            "the agent's socket", err);
    if (rc != NACRE_OK) {
        return rc;
    }
    int n = snprintf(s->path, sizeof(s->path), "%s/agent.%ld", s->dir, (long)getpid());
    if (n < 0 || (size_t)n >= sizeof(s->path)) {
        return nc_fail(err, NACRE_TOO_LARGE, "the path of the agent's socket is too long");
    }
    return nc_listen_unix(&s->listener, s->c->server->loop, s->path, 0177, false, &calls, err);
}

/* The name of the channel follows that of the request. */
static const char *type_for(nacre_span request)
{
    static const char *const names[][2] = {
        {"auth-agent-req@openssh.com", "auth-agent@openssh.com"},
        {"agent-req", "agent-connect"}, /* RFC 9987 */
    };
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (nc_span_is(request, names[i][0])) {
            return names[i][1];
        }
    }
    return NULL;
}

int nacre_server_agent_forward(nacre_server_conn *c, const nacre_event *request,
                               const char *directory, nacre_error *err)
{
    nc_error_clear(err);
    const char *type =
        request->type == NACRE_EVENT_CHANNEL_REQUEST ? type_for(request->u.request.name) : NULL;
    if (!type || request->u.request.data.n != 0) {
        return nc_fail(err, NACRE_INVALID_ARGUMENT, "this asks for no agent");
    }
    if (c->agent) {
        c->agent->type = type;
        return NACRE_OK;
    }
    nc_agent_server *s = nc_zalloc(c->server->alloc, sizeof(*s));
    if (!s) {
        return nc_fail(err, NACRE_NO_MEMORY, "no memory for a forwarded agent");
    }
    s->c = c;
    s->type = type;
    int rc = listen_in(s, directory, err);
    if (rc != NACRE_OK) {
        nc_agent_server_free(s);
        return rc;
    }
    c->agent = s;
    return NACRE_OK;
}

const char *nacre_server_agent_path(nacre_server_conn *c)
{
    return c->agent ? c->agent->path : NULL;
}
