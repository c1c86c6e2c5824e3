/*
 * nacre/agent_forward.h - agent forwarding, both roles (RFC 9987, OpenSSH PROTOCOL.agent): programs at the
 * server ask the agent of the client.
 *
 * Whoever is root at the server, or is the user there, can have the agent sign while the connection lasts;
 * the keys themselves never travel. Each connection to the agent is bound to the server's host key first
 * (session-bind@openssh.com), so that keys with destination constraints are held to them.
 */
#ifndef NACRE_AGENT_FORWARD_H
#define NACRE_AGENT_FORWARD_H

#include "nacre/agent.h"
#include "nacre/client.h"
#include "nacre/server.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- client ------------------------------------------------------------------------------------------ */

typedef struct nacre_agent_forward_options {
    size_t size;      /* set by nacre_agent_forward_options_init */
    const char *path; /* the agent's socket; NULL: what SSH_AUTH_SOCK names; copied */
    /* Instead: a keyring in this process. Borrowed until the client is disconnected. */
    nacre_keyring_server *keyring;
    /*
     * Instead: *fd is to be a connected stream to an agent, and is the library's on NACRE_OK. Called in the
     * loop, for each connection that the server opens; must not block.
     */
    int (*connect)(void *user, int *fd);
    bool
        want_reply; /* the request is to be answered (nacre_client_wait_reply); default false, as ssh does it */
    /* A connection to the agent was not made; text is one escaped line. NULL ok. */
    void (*on_refused)(void *user, const char *text);
    void *user;
} nacre_agent_forward_options;
NACRE_API void nacre_agent_forward_options_init(nacre_agent_forward_options *o);
/*
 * Asks on a session channel, before its program is started, that the agent can be used from the server:
 * agent-req where the server knows that name (RFC 9987), else auth-agent-req@openssh.com. Connections are
 * served while the loop of c turns, until the client is disconnected or forwarding is stopped; the options of the
 * last call count. Options that name an agent that is not there are not an error: connections fail then.
 * NACRE_NOT_FOUND: no agent is named at all.
 */
NACRE_API int nacre_client_forward_agent(nacre_client *c, nacre_channel *ch,
                                         const nacre_agent_forward_options *o,
                                         nacre_error *err) NACRE_MUST_CHECK;
/* New connections are refused from now on; those that are there go on. */
NACRE_API void nacre_client_forward_agent_stop(nacre_client *c);

/* ---- server ------------------------------------------------------------------------------------------ */

/*
 * Grants what request asks for (the event of an auth-agent-req@openssh.com or agent-req of a session): makes a
 * directory (mode 0700) in directory (NULL: /tmp) with a socket in it, and carries each connection of a
 * program that runs as us or root to the client. Then accept the request. There is one socket for the whole
 * connection, which goes with it; asked for again, it is there already. Nobody becomes another user between this
 * and the connection's end, or the socket stays.
 */
NACRE_API int nacre_server_agent_forward(nacre_server_conn *c, const nacre_event *request,
                                         const char *directory, nacre_error *err) NACRE_MUST_CHECK;
/* What SSH_AUTH_SOCK is for the programs of this connection; NULL: no agent. Borrowed with it. */
NACRE_API const char *nacre_server_agent_path(nacre_server_conn *c);

#ifdef __cplusplus
}
#endif
#endif
