/*
 * forwards.h - what of agent and X11 forwarding the rest of the client has to know: when it ends.
 */
#ifndef NC_CLIENT_FORWARDS_H
#define NC_CLIENT_FORWARDS_H

#include "nacre/client.h"

/* The connection goes: nothing is served any more. */
void nc_agent_forward_drop(nacre_client *c);
void nc_x11_drop(nacre_client *c);
/* A session's channel goes, and with it what it asked for. */
void nc_x11_session_over(nacre_client *c, const nacre_channel *ch);

#endif
