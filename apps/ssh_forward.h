/*
 * ssh_forward.h - the forwardings of nacre-ssh: -L, -R, -D, -W and the keywords they stand for.
 */
#ifndef APPS_SSH_FORWARD_H
#define APPS_SSH_FORWARD_H

#include "nacre/forward.h"
#include "ssh_setup.h"

/* -L, -R, -D into the configuration. 0, or 255: it has complained. */
int forward_option(ssh_setup *s, int letter, const char *argument);
/* Are there any? */
bool forward_wanted(const ssh_setup *s);
/*
 * Starts those of the configuration. wait: until the server has answered for its own, also without
 * ExitOnForwardFailure. 0, or 255: one failed, and that shall be the end.
 */
int forward_start(ssh_setup *s, nacre_client *c, bool wait);
/* Each of the configuration to fn, which returns false when it has complained; false: something has. */
typedef bool (*forward_fn)(void *user, const nacre_forward_options *o);
bool forward_each(ssh_setup *s, forward_fn fn, void *user);
/* What the configuration says about every forwarding, and who is told of it. */
void forward_fill(ssh_setup *s, nacre_forward_options *o);
/* Where -W goes to; listen is the end. */
bool forward_stdio_target(const char *where, nacre_forward_options *o, nacre_forward_text *room);
/* One more, with everything that the configuration says about forwardings; false: it has complained. */
bool forward_add(ssh_setup *s, nacre_client *c, const nacre_forward_options *o);
/* -W: our standard input and output are the connection; the exit status. */
int forward_stdio(ssh_setup *s, nacre_client *c, const char *where);
/* Whether it can be one; false: it has complained. */
bool forward_stdio_check(const ssh_setup *s, const char *where);

#endif
