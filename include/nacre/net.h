/*
 * nacre/net.h - sockets: connect with a deadline (names, all addresses, RFC 8305), listen, accept.
 *
 * Every fd that comes from here is close-on-exec and non-blocking.
 */
#ifndef NACRE_NET_H
#define NACRE_NET_H

#include "nacre/base.h"
#include "nacre/loop.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct nacre_connect_options {
    size_t size;                /* set by nacre_connect_options_init */
    int family;                 /* 0: any, 4, 6 */
    const char *bind_address;   /* numeric source address, or NULL */
    const char *bind_interface; /* take the source address of this interface, or NULL */
    uint32_t timeout_ms;        /* name resolution included; 0: none but the system's own */
    int cancel_fd;              /* readable: give up with NACRE_CANCELLED; -1: none */
    uint32_t stagger_ms; /* until the next address is tried beside; default 250 (RFC 8305 8) */
} nacre_connect_options;
NACRE_API void nacre_connect_options_init(nacre_connect_options *o);

/*
 * Blocks until connected. *fd is owned by the caller. Tries all addresses of host, IPv6 and IPv4 in
 * turn; the error names every address that was tried and why it failed. NACRE_RESOLVE, NACRE_CONNECT
 * (detail: errno of the last try), NACRE_TIMEOUT, NACRE_CANCELLED. o, err: NULL ok.
 */
NACRE_API int nacre_net_connect(const char *host, uint16_t port, const nacre_connect_options *o,
                                int *fd, nacre_error *err) NACRE_MUST_CHECK;

/* The same in a loop. fn comes once, from the loop: fd (now fn's) or -1 and why. */
typedef struct nacre_connecting nacre_connecting;
typedef void (*nacre_connect_fn)(void *user, int fd, const nacre_error *why);
/* The handle is freed by the library after fn, or by cancel. o->cancel_fd works here too. */
NACRE_API int nacre_net_connect_start(nacre_connecting **out, nacre_loop *loop,
                                      const nacre_allocator *alloc, const char *host, uint16_t port,
                                      const nacre_connect_options *o, nacre_connect_fn fn,
                                      void *user, nacre_error *err) NACRE_MUST_CHECK;
/* fn is not called. Only before fn came. NULL ok. */
NACRE_API void nacre_net_connect_cancel(nacre_connecting *c);

/*
 * Listens on a numeric address or a name ("" or "*": all of the family that family 4 or 6 says; 0
 * means IPv6, and IPv4 where there is none). IPv6 sockets take IPv6 only. port 0: any; *bound_port
 * (NULL ok) tells. backlog 0: 128.
 */
NACRE_API int nacre_net_listen(const char *address, uint16_t port, int family, int backlog, int *fd,
                               uint16_t *bound_port, nacre_error *err) NACRE_MUST_CHECK;
/* NACRE_AGAIN: nobody is there. */
NACRE_API int nacre_net_accept(int listen_fd, int *fd, nacre_error *err) NACRE_MUST_CHECK;

/* Unix-domain stream sockets; *fd is owned, -1 on failure, and does not block. listen makes the file with the
 * given permissions; replace removes an earlier socket of that name first. NACRE_CONNECT, NACRE_IO (errno in
 * detail), NACRE_INVALID_ARGUMENT for a path that does not fit into an address. */
NACRE_API int nacre_net_connect_unix(const char *path, int *fd, nacre_error *err) NACRE_MUST_CHECK;
NACRE_API int nacre_net_listen_unix(const char *path, unsigned mode, bool replace, int backlog,
                                    int *fd, nacre_error *err) NACRE_MUST_CHECK;

/* Numeric address and port of a socket's ends. Unix sockets: "UNIX-DOMAIN" and 0xffff... as 65535;
 * what is no socket: "UNKNOWN" and 65535. */
typedef struct nacre_endpoint {
    char address[64]; /* numeric, without brackets; IPv4-mapped IPv6 as IPv4 */
    uint16_t port;
    int family; /* 4, 6, or 0 */
} nacre_endpoint;
NACRE_API int nacre_net_peer(int fd, nacre_endpoint *out);
NACRE_API int nacre_net_local(int fd, nacre_endpoint *out);

/* Quality of service of an SSH connection; dscp is the six-bit code point (RFC 8325: 0x12, 0x08 ...). */
NACRE_API void nacre_net_set_dscp(int fd, unsigned dscp);
/* TCP keepalive (SO_KEEPALIVE). */
NACRE_API void nacre_net_set_keepalive(int fd, bool on);
NACRE_API void nacre_net_set_nodelay(int fd, bool on);

#ifdef __cplusplus
}
#endif
#endif
