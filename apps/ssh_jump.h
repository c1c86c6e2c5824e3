/*
 * ssh_jump.h - the way to a host through others (-J, ProxyJump): each hop is a client of its own, with its
 * own section of the configuration and its own host key, in this process and on one loop.
 */
#ifndef APPS_SSH_JUMP_H
#define APPS_SSH_JUMP_H

#include "ssh_setup.h"

/* Finds the hops in front of s's host. False: one in the list is none that could be meant; it has complained. */
bool jump_find(ssh_setup *s);
/* What was found: borrowed, NULL when there are none. */
const char *jump_list(const ssh_setup *s);
/*
 * Connects to the hops, and from the last of them to s's host: the connection to it, a socket; -1: it has
 * complained. s->jump keeps the hops, s->cfg.loop is the loop that they need.
 */
int jump_connect(ssh_setup *s, const char *list);
/* Ends the connections to the hops. The client that used them must be gone. NULL ok. */
void jump_free(ssh_jump *j);

#endif
