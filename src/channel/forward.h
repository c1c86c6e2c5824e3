/*
 * forward.h - what forwardings say on the wire (RFC 4254 6.3 and 7, OpenSSH PROTOCOL 2.4): opens of channels,
 * global requests and their answers. Both roles read and write by these; nothing here keeps anything.
 *
 * Reading: NACRE_OK, or NACRE_MALFORMED for what is cut off, too long, has something behind it, a port above
 * 65535, or a NUL or control character in a name. Names come out terminated. A port or name may be 0 or
 * empty here: whether that makes sense is the caller's to say.
 * Writing: appends to b; NACRE_OK, NACRE_NO_MEMORY, NACRE_LIMIT (the cap of b).
 */
#ifndef NC_CHANNEL_FORWARD_H
#define NC_CHANNEL_FORWARD_H

#include "base/buf.h"

enum {
    NC_FWD_HOST_MAX = 255, /* the longest name that DNS has; addresses are shorter */
    NC_FWD_PATH_MAX = 255, /* a Unix-domain socket's has 107 bytes at most */
    NC_FWD_X11_MAX = 255,  /* protocol name and hexadecimal cookie: MIT's is 32 digits long */
    /* Room for the longest that is written here. */
    NC_FWD_DATA_MAX = 2 * (4 + NC_FWD_HOST_MAX) + 8 + 64
};

/* direct-tcpip (host: where to), forwarded-tcpip (host and port: the listener as it was asked for) */
typedef struct nc_fwd_tcp {
    char host[NC_FWD_HOST_MAX + 1];
    uint16_t port;
    char origin[NC_FWD_HOST_MAX + 1]; /* who connected; for messages only */
    uint16_t origin_port;
} nc_fwd_tcp;
int nc_fwd_read_tcp(nacre_span data, nc_fwd_tcp *out) NACRE_MUST_CHECK;
int nc_fwd_write_tcp(nc_buf *b, const char *host, uint16_t port, const char *origin,
                     uint16_t origin_port) NACRE_MUST_CHECK;

/* tcpip-forward, cancel-tcpip-forward */
typedef struct nc_fwd_listen {
    char address[NC_FWD_HOST_MAX + 1];
    uint16_t port;
} nc_fwd_listen;
int nc_fwd_read_listen(nacre_span data, nc_fwd_listen *out) NACRE_MUST_CHECK;
int nc_fwd_write_listen(nc_buf *b, const char *address, uint16_t port) NACRE_MUST_CHECK;

/* The answer to tcpip-forward with port 0. */
int nc_fwd_read_port(nacre_span data, uint16_t *port) NACRE_MUST_CHECK;
int nc_fwd_write_port(nc_buf *b, uint16_t port) NACRE_MUST_CHECK;

/* direct-streamlocal@openssh.com; forwarded-streamlocal@openssh.com; and the two global requests */
typedef struct nc_fwd_path {
    char path[NC_FWD_PATH_MAX + 1];
} nc_fwd_path;
int nc_fwd_read_direct_path(nacre_span data, nc_fwd_path *out) NACRE_MUST_CHECK;
int nc_fwd_write_direct_path(nc_buf *b, const char *path) NACRE_MUST_CHECK;
int nc_fwd_read_path(nacre_span data, nc_fwd_path *out) NACRE_MUST_CHECK;
int nc_fwd_write_path(nc_buf *b, const char *path) NACRE_MUST_CHECK;
int nc_fwd_read_listen_path(nacre_span data, nc_fwd_path *out) NACRE_MUST_CHECK;
int nc_fwd_write_listen_path(nc_buf *b, const char *path) NACRE_MUST_CHECK;

/* x11-req */
typedef struct nc_fwd_x11_request {
    bool single;
    char protocol[NC_FWD_X11_MAX + 1];
    char cookie[NC_FWD_X11_MAX + 1];
    uint32_t screen;
} nc_fwd_x11_request;
int nc_fwd_read_x11_request(nacre_span data, nc_fwd_x11_request *out) NACRE_MUST_CHECK;
int nc_fwd_write_x11_request(nc_buf *b, const nc_fwd_x11_request *m) NACRE_MUST_CHECK;

/* x11 */
typedef struct nc_fwd_x11 {
    char origin[NC_FWD_HOST_MAX + 1];
    uint16_t origin_port;
} nc_fwd_x11;
int nc_fwd_read_x11(nacre_span data, nc_fwd_x11 *out) NACRE_MUST_CHECK;
int nc_fwd_write_x11(nc_buf *b, const char *origin, uint16_t origin_port) NACRE_MUST_CHECK;

#endif
