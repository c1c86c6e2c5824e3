/*
 * forward.c - see forward.h. The layouts are rows of messages.def; here are the names and numbers in them.
 */
#include "channel/forward.h"

#include "wire/msg.h"

#include <string.h>

static int take_name(nacre_span s, char *out, size_t size)
{
    if (s.n >= size) {
        return NACRE_MALFORMED;
    }
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] < ' ' || s.p[i] == 127) {
            return NACRE_MALFORMED;
        }
    }
    if (s.n > 0) {
        memcpy(out, s.p, s.n);
    }
    out[s.n] = '\0';
    return NACRE_OK;
}

static int take_port(uint32_t number, uint16_t *port)
{
    *port = (uint16_t)number;
    return number <= UINT16_MAX ? NACRE_OK : NACRE_MALFORMED;
}

static int read_whole(const nc_msg_desc *d, nacre_span data, void *msg)
{
    nc_rd r = nc_rd_init(data);
    return nc_msg_decode(d, &r, msg);
}

static int write_whole(const nc_msg_desc *d, nc_buf *b, const void *msg)
{
    nc_wr w = nc_wr_init(b);
    nc_msg_encode(d, &w, msg);
    return nc_wr_err(&w);
}

/* ---- TCP ---- */

int nc_fwd_read_tcp(nacre_span data, nc_fwd_tcp *out)
{
    nc_msg_fwd_tcp m;
    memset(out, 0, sizeof(*out));
    int rc = read_whole(&nc_desc_fwd_tcp, data, &m);
    rc = rc == NACRE_OK ? take_name(m.host, out->host, sizeof(out->host)) : rc;
    rc = rc == NACRE_OK ? take_port(m.port, &out->port) : rc;
    rc = rc == NACRE_OK ? take_name(m.origin, out->origin, sizeof(out->origin)) : rc;
    return rc == NACRE_OK ? take_port(m.origin_port, &out->origin_port) : rc;
}

int nc_fwd_write_tcp(nc_buf *b, const char *host, uint16_t port, const char *origin,
                     uint16_t origin_port)
{
    nc_msg_fwd_tcp m = {.host = nc_span_cstr(host),
                        .port = port,
                        .origin = nc_span_cstr(origin),
                        .origin_port = origin_port};
    return write_whole(&nc_desc_fwd_tcp, b, &m);
}

int nc_fwd_read_listen(nacre_span data, nc_fwd_listen *out)
{
    nc_msg_fwd_listen m;
    memset(out, 0, sizeof(*out));
    int rc = read_whole(&nc_desc_fwd_listen, data, &m);
    rc = rc == NACRE_OK ? take_name(m.address, out->address, sizeof(out->address)) : rc;
    return rc == NACRE_OK ? take_port(m.port, &out->port) : rc;
}

int nc_fwd_write_listen(nc_buf *b, const char *address, uint16_t port)
{
    nc_msg_fwd_listen m = {.address = nc_span_cstr(address), .port = port};
    return write_whole(&nc_desc_fwd_listen, b, &m);
}

int nc_fwd_read_port(nacre_span data, uint16_t *port)
{
    nc_msg_fwd_port m;
    *port = 0;
    int rc = read_whole(&nc_desc_fwd_port, data, &m);
    return rc == NACRE_OK ? take_port(m.port, port) : rc;
}

int nc_fwd_write_port(nc_buf *b, uint16_t port)
{
    nc_msg_fwd_port m = {.port = port};
    return write_whole(&nc_desc_fwd_port, b, &m);
}

/* ---- Unix-domain sockets ---- */

/* Three messages that come to a path; where it stands in msg is at found. */
static int read_path(const nc_msg_desc *d, nacre_span data, void *msg, const nacre_span *found,
                     nc_fwd_path *out)
{
    memset(out, 0, sizeof(*out));
    int rc = read_whole(d, data, msg);
    return rc == NACRE_OK ? take_name(*found, out->path, sizeof(out->path)) : rc;
}

int nc_fwd_read_direct_path(nacre_span data, nc_fwd_path *out)
{
    nc_msg_fwd_direct_path m = {0};
    return read_path(&nc_desc_fwd_direct_path, data, &m, &m.path, out);
}

int nc_fwd_write_direct_path(nc_buf *b, const char *path)
{
    nc_msg_fwd_direct_path m = {.path = nc_span_cstr(path)};
    return write_whole(&nc_desc_fwd_direct_path, b, &m);
}

int nc_fwd_read_path(nacre_span data, nc_fwd_path *out)
{
    nc_msg_fwd_path m = {0};
    return read_path(&nc_desc_fwd_path, data, &m, &m.path, out);
}

int nc_fwd_write_path(nc_buf *b, const char *path)
{
    nc_msg_fwd_path m = {.path = nc_span_cstr(path)};
    return write_whole(&nc_desc_fwd_path, b, &m);
}

int nc_fwd_read_listen_path(nacre_span data, nc_fwd_path *out)
{
    nc_msg_fwd_listen_path m = {0};
    return read_path(&nc_desc_fwd_listen_path, data, &m, &m.path, out);
}

int nc_fwd_write_listen_path(nc_buf *b, const char *path)
{
    nc_msg_fwd_listen_path m = {.path = nc_span_cstr(path)};
    return write_whole(&nc_desc_fwd_listen_path, b, &m);
}

/* ---- X11 ---- */

int nc_fwd_read_x11_request(nacre_span data, nc_fwd_x11_request *out)
{
    nc_msg_fwd_x11_request m;
    memset(out, 0, sizeof(*out));
    int rc = read_whole(&nc_desc_fwd_x11_request, data, &m);
    rc = rc == NACRE_OK ? take_name(m.protocol, out->protocol, sizeof(out->protocol)) : rc;
    rc = rc == NACRE_OK ? take_name(m.cookie, out->cookie, sizeof(out->cookie)) : rc;
    if (rc == NACRE_OK) {
        out->single = m.single;
        out->screen = m.screen;
    }
    return rc;
}

int nc_fwd_write_x11_request(nc_buf *b, const nc_fwd_x11_request *request)
{
    nc_msg_fwd_x11_request m = {.single = request->single,
                                .protocol = nc_span_cstr(request->protocol),
                                .cookie = nc_span_cstr(request->cookie),
                                .screen = request->screen};
    return write_whole(&nc_desc_fwd_x11_request, b, &m);
}

int nc_fwd_read_x11(nacre_span data, nc_fwd_x11 *out)
{
    nc_msg_fwd_x11 m;
    memset(out, 0, sizeof(*out));
    int rc = read_whole(&nc_desc_fwd_x11, data, &m);
    rc = rc == NACRE_OK ? take_name(m.origin, out->origin, sizeof(out->origin)) : rc;
    return rc == NACRE_OK ? take_port(m.origin_port, &out->origin_port) : rc;
}

int nc_fwd_write_x11(nc_buf *b, const char *origin, uint16_t origin_port)
{
    nc_msg_fwd_x11 m = {.origin = nc_span_cstr(origin), .origin_port = origin_port};
    return write_whole(&nc_desc_fwd_x11, b, &m);
}
