/*
 * tunnel.c - a connection from the server to somewhere else, as a descriptor here: what ssh -J and -W
 * are made of (RFC 4254 7.2).
 */
#include "channel/forward.h"
#include "client/state.h"
#include "io/fd.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    /* A connection that nobody made to us: what OpenSSH names as the origin of -W. */
    ORIGIN_PORT = 65535
};

int nacre_client_tunnel(nacre_client *c, const char *host, uint16_t port, uint32_t timeout_ms,
                        int *fd)
{
    nacre_channel *ch = NULL;
    nc_buf b;
    int pair[2];
    *fd = -1;
    nc_client_begin(c);
    if (!host || !*host || strlen(host) > NC_FWD_HOST_MAX || port == 0) {
        return nc_client_fail(c, NACRE_INVALID_ARGUMENT, "a tunnel needs a host and a port");
    }
    nc_buf_init(&b, c->alloc, NC_FWD_DATA_MAX);
    int rc = nc_fwd_write_tcp(&b, host, port, "127.0.0.1", ORIGIN_PORT);
    rc = rc == NACRE_OK ? nc_channels_open(c, "direct-tcpip", nc_buf_span(&b), 0, timeout_ms, &ch)
                        : nc_client_fail(c, rc, "out of memory");
    nc_buf_clear(&b);
    if (rc != NACRE_OK) {
        return rc;
    }
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0) {
        rc = nc_os_fail(&c->err, NACRE_IO, errno, "a socket pair cannot be made");
    } else {
        nacre_relay_options o;
        nacre_relay_options_init(&o);
        o.source = o.sink = pair[0];
        rc = nacre_client_attach(c, ch, &o, &c->err);
        if (rc != NACRE_OK) {
            close(pair[0]);
            close(pair[1]);
        }
    }
    if (rc != NACRE_OK) {
        nacre_error kept = c->err;
        nacre_client_channel_free(c, ch);
        c->err = kept;
        return rc;
    }
    *fd = pair[1];
    return NACRE_OK;
}
