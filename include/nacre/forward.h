/*
 * nacre/forward.h - forwardings: connections here that continue at the server, and the other way round
 * (RFC 4254 7, OpenSSH PROTOCOL 2.4; ssh -L, -R, -D, -W).
 *
 * A forwarding of a client lives in the client's loop: connections are taken, channels opened and bytes moved
 * while any call of the client, or the program itself, turns it. There are no threads. Data waits where it is
 * while the other side takes none, and each direction ends by itself.
 *
 *     nacre_forward_options o;
 *     nacre_forward_options_init(&o);
 *     o.listen.port = 8080;
 *     o.connect = (nacre_forward_end){.host = "intranet", .port = 80};
 *     rc = nacre_client_forward(c, &o, &f, &err);       // ssh -L 8080:intranet:80
 *     nacre_client_run(c, NULL, NULL, NACRE_FOREVER);
 */
#ifndef NACRE_FORWARD_H
#define NACRE_FORWARD_H

#include "nacre/client.h"
#include "nacre/net.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct nacre_forward nacre_forward;

typedef enum nacre_forward_kind {
    NACRE_FORWARD_LOCAL = 0, /* listens here, the server connects (-L) */
    NACRE_FORWARD_REMOTE,    /* the server listens, we connect (-R) */
    NACRE_FORWARD_DYNAMIC, /* listens here; who connects says by SOCKS where the server shall (-D) */
    NACRE_FORWARD_REMOTE_DYNAMIC /* the server listens; who connects says where we shall (-R port) */
} nacre_forward_kind;

/* One end. With path it is a Unix-domain socket, else TCP. */
typedef struct nacre_forward_end {
    /*
     * Where to listen: NULL: loopback only, or every interface with gateway_ports; "" or "*": every interface;
     * "localhost", an address, a name. Where to connect: a name or an address, which the side that connects
     * looks up.
     */
    const char *host;
    uint16_t port; /* to listen on: 0 takes a free one (nacre_forward_port) */
    const char *path;
} nacre_forward_end;

/* Fill with nacre_forward_options_init (all zero but size and bind_mask), then set. Everything is copied. */
typedef struct nacre_forward_options {
    size_t size;
    nacre_forward_kind kind;
    nacre_forward_end listen;
    nacre_forward_end connect; /* LOCAL and REMOTE */
    bool gateway_ports;        /* LOCAL and DYNAMIC without a host: listen for others as well */
    unsigned
        bind_mask;    /* permissions that a socket made here does not get; 0177: its owner's only */
    bool bind_unlink; /* remove an earlier socket of listen.path first */
    int family;       /* of addresses here: 0 any, 4, 6 */
    /* Connections at once; more of them wait until one ends (REMOTE: are refused). 0: 1024. */
    unsigned max_connections;
    /* REMOTE_DYNAMIC: may the server's clients be connected to this host and port? NULL: anywhere. */
    bool (*permit)(void *user, nacre_forward *f, const char *host, uint16_t port);
    /*
     * Once: it listens (NACRE_OK), or not and why. Local ones: before nacre_client_forward returns. It may be
     * cancelled in it, and is then gone. Not when the client is freed before.
     */
    void (*on_ready)(void *user, nacre_forward *f, int status, const nacre_error *err);
    /* A connection of it could not be made: one line, escaped. The forwarding goes on. */
    void (*on_failure)(void *user, nacre_forward *f, const char *text);
    void *user;
} nacre_forward_options;
NACRE_API void nacre_forward_options_init(nacre_forward_options *o);

/*
 * Starts a forwarding; never blocks, names of listen.host apart. LOCAL and DYNAMIC listen when it returns; the
 * server is asked for the others, and on_ready tells. *out (NULL ok) is the client's: it is gone after
 * nacre_forward_cancel, and when the client is freed or connects anew. A connection that ends takes all of
 * them with it. NACRE_WRONG_STATE: not logged in; NACRE_INVALID_ARGUMENT; NACRE_IO: cannot listen;
 * NACRE_CLOSED; NACRE_LIMIT: more than 1024 forwardings.
 */
NACRE_API int nacre_client_forward(nacre_client *c, const nacre_forward_options *o,
                                   nacre_forward **out, nacre_error *err) NACRE_MUST_CHECK;
/* Waits until f is ready: NACRE_OK, NACRE_REQUEST_REFUSED, or as for any call of a client. */
NACRE_API int nacre_client_forward_wait(nacre_client *c, nacre_forward *f,
                                        uint32_t timeout_ms) NACRE_MUST_CHECK;
/* Ends f: nothing is listened for any more. Connections that are there go on. NULL ok. */
NACRE_API void nacre_forward_cancel(nacre_forward *f);
/* Lists them: prev NULL gives the first, NULL comes after the last. */
NACRE_API nacre_forward *nacre_client_next_forward(nacre_client *c, const nacre_forward *prev);

/* The port that is listened on; 0: not ready, or no TCP. */
NACRE_API uint16_t nacre_forward_port(const nacre_forward *f);
/* As it was asked for; borrowed with f. */
NACRE_API const nacre_forward_options *nacre_forward_get_options(const nacre_forward *f);
/* NACRE_OK: it listens; NACRE_AGAIN: the server has not answered; else why it does not. */
NACRE_API int nacre_forward_status(const nacre_forward *f) NACRE_MUST_CHECK;
/* How many of its connections there are now. */
NACRE_API unsigned nacre_forward_connections(const nacre_forward *f);

/* ---- bare channels ----------------------------------------------------------------------------------- */

/*
 * A channel to host:port as the server reaches it (direct-tcpip), for nacre_client_read and its like. origin:
 * who wants it, for the server's log; NULL: "127.0.0.1". NACRE_CHANNEL_REFUSED: the server may not or cannot.
 */
NACRE_API int nacre_client_direct_tcpip(nacre_client *c, const char *host, uint16_t port,
                                        const char *origin, uint16_t origin_port,
                                        uint32_t timeout_ms, nacre_channel **out) NACRE_MUST_CHECK;
/* To a Unix-domain socket there (direct-streamlocal@openssh.com). */
NACRE_API int nacre_client_direct_streamlocal(nacre_client *c, const char *path,
                                              uint32_t timeout_ms,
                                              nacre_channel **out) NACRE_MUST_CHECK;
/*
 * Has the server listen, for connections that come as channels. At most queue of them (0: 16) wait for
 * nacre_client_accept: they are answered only then, and those beyond are refused. Ends with
 * nacre_forward_cancel, which refuses what waits.
 */
NACRE_API int nacre_client_listen(nacre_client *c, const nacre_forward_end *where, unsigned queue,
                                  uint32_t timeout_ms, nacre_forward **out) NACRE_MUST_CHECK;
/* The next connection: *out is the caller's, as from nacre_client_channel. origin (NULL ok): who it was. */
NACRE_API int nacre_client_accept(nacre_client *c, nacre_forward *f, uint32_t timeout_ms,
                                  nacre_channel **out, nacre_endpoint *origin) NACRE_MUST_CHECK;

/* ---- text -------------------------------------------------------------------------------------------- */

/* What nacre_forward_parse makes names of. */
typedef struct nacre_forward_text {
    char room[2048];
} nacre_forward_text;
/*
 * Reads what ssh takes behind -L, -R and -D: "[address:]port:host:port", "[address:]port:/socket",
 * "/socket:host:port", "/socket:/socket"; "[address:]port" for DYNAMIC. Brackets keep an IPv6 address together, a
 * backslash keeps one character; a blank is as any other, but in front, where it is passed over. For REMOTE the target
 * may be missing: that makes kind REMOTE_DYNAMIC. Values of LocalForward, RemoteForward and DynamicForward of a
 * nacre_ssh_config are such texts, too (a file has a blank in the place of the colon in the middle). Sets kind, listen
 * and connect of o; their names are in text. NACRE_SYNTAX.
 */
NACRE_API int nacre_forward_parse(nacre_forward_kind kind, const char *what,
                                  nacre_forward_options *o, nacre_forward_text *text,
                                  nacre_error *err) NACRE_MUST_CHECK;
/* For people: the two words as ssh -G prints them, nothing escaped. NACRE_TOO_LARGE. */
NACRE_API int nacre_forward_format(const nacre_forward_options *o, char *out,
                                   size_t size) NACRE_MUST_CHECK;

#ifdef __cplusplus
}
#endif
#endif
