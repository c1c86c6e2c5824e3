/*
 * openers.h - who answers when the server opens a channel towards us, by type: forwarded connections, the agent,
 * X11. A type that nobody serves goes to the application's event callback, and without one is refused.
 */
#ifndef NC_CLIENT_OPENERS_H
#define NC_CLIENT_OPENERS_H

#include "nacre/client.h"

/*
 * NACRE_EVENT_CHANNEL_OPEN of a type that is served. True: it is answered by its ticket, or will be; false: it is
 * none of ours, and goes on to the application. Comes while the engine steps: what takes time is done later.
 */
typedef bool (*nc_client_open_fn)(void *user, nacre_client *c, const nacre_event *ev);

typedef struct nc_opener {
    char type[64]; /* "": free */
    nc_client_open_fn fn;
    void *user;
} nc_opener;

enum { NC_OPENERS_MAX = 8 }; /* the types that RFC 4254 and OpenSSH know are five */

/*
 * Serves a type from now on, in the place of who did before; fn NULL: no more. It ends with the connection.
 * NACRE_LIMIT: too many types.
 */
int nc_client_serve_open(nacre_client *c, const char *type, nc_client_open_fn fn,
                         void *user) NACRE_MUST_CHECK;
/* Is anybody serving it? */
bool nc_client_serves(const nacre_client *c, const char *type);
bool nc_openers_event(nacre_client *c, const nacre_event *ev);
void nc_openers_clear(nacre_client *c);

/* No, with a reason of RFC 4254 5.1 (1 prohibited, 2 connect failed, 3 unknown type, 4 resource shortage). */
void nc_client_refuse_open(nacre_client *c, uint32_t ticket, uint32_t reason, const char *text);
/*
 * Yes; ch becomes one of the client's channels, which keeps what arrives. NULL: no memory, and it was refused; or
 * the ticket is void, since the connection or the channel is gone.
 */
struct nc_chan;
struct nc_chan *nc_client_accept_open(nacre_client *c, uint32_t ticket,
                                      nacre_channel *ch) NACRE_MUST_CHECK;

#endif
