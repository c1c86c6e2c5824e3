/*
 * Forwardings: what a peer says on the wire, what a program says by SOCKS, and what people write. By the first byte.
 */
#include "channel/forward.h"
#include "channel/socks.h"
#include "fuzz.h"
#include "nacre/forward.h"

#include <stdlib.h>
#include <string.h>

static void wire(nacre_span data)
{
    union {
        nc_fwd_tcp tcp;
        nc_fwd_listen listen;
        nc_fwd_path path;
        nc_fwd_x11_request request;
        nc_fwd_x11 x11;
    } m;
    uint16_t port;
    nc_buf b;
    nc_buf_init(&b, NULL, NC_FWD_DATA_MAX);
    if (nc_fwd_read_tcp(data, &m.tcp) == NACRE_OK &&
        (nc_fwd_write_tcp(&b, m.tcp.host, m.tcp.port, m.tcp.origin, m.tcp.origin_port) !=
             NACRE_OK ||
         b.len != data.n || memcmp(b.data, data.p, data.n) != 0)) {
        abort(); /* what was read is written the same */
    }
    nc_buf_clear(&b);
    (void)!nc_fwd_read_listen(data, &m.listen);
    (void)!nc_fwd_read_port(data, &port);
    (void)!nc_fwd_read_direct_path(data, &m.path);
    (void)!nc_fwd_read_path(data, &m.path);
    (void)!nc_fwd_read_listen_path(data, &m.path);
    (void)!nc_fwd_read_x11_request(data, &m.request);
    (void)!nc_fwd_read_x11(data, &m.x11);
}

/* In pieces of the size that the first byte says. */
static void socks(nacre_span data, size_t piece)
{
    nc_socks s;
    size_t from = 0, to = 0;
    memset(&s, 0, sizeof(s));
    while (to < data.n) {
        uint8_t out[NC_SOCKS_OUT_MAX];
        size_t used = 0, answered = 0;
        to = data.n - to < piece ? data.n : to + piece;
        do {
            int rc =
                nc_socks_step(&s, (nacre_span){data.p + from, to - from}, &used, out, &answered);
            if (used > to - from || answered > sizeof(out) ||
                (rc == NACRE_AGAIN && used == 0 && to - from >= NC_SOCKS_IN_MAX)) {
                abort(); /* it waits for what never comes */
            }
            if (rc != NACRE_AGAIN) {
                if (rc == NACRE_OK && (!s.done || strlen(s.host) == 0)) {
                    abort();
                }
                return;
            }
            from += used;
        } while (used > 0);
    }
}

static void text(nacre_span data, nacre_forward_kind kind)
{
    char what[4096], shown[4096], again[4096];
    nacre_forward_options o, o2;
    nacre_forward_text room, room2;
    if (data.n >= sizeof(what)) {
        return;
    }
    if (data.n > 0) {
        memcpy(what, data.p, data.n);
    }
    what[data.n] = '\0';
    nacre_forward_options_init(&o);
    nacre_forward_options_init(&o2);
    if (nacre_forward_parse(kind, what, &o, &room, NULL) != NACRE_OK ||
        nacre_forward_format(&o, shown, sizeof(shown)) != NACRE_OK || strpbrk(what, "\\[] ") ||
        o.kind == NACRE_FORWARD_REMOTE_DYNAMIC) {
        return;
    }
    /* What -G prints means the same, with a colon where a file has a blank. */
    char *blank = strchr(shown, ' ');
    if (blank) {
        *blank = ':';
    }
    if (nacre_forward_parse(kind, shown, &o2, &room2, NULL) != NACRE_OK ||
        nacre_forward_format(&o2, again, sizeof(again)) != NACRE_OK) {
        abort();
    }
    if (blank) {
        *blank = ' ';
    }
    if (strcmp(shown, again) != 0) {
        abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0) {
        return 0;
    }
    nacre_span rest = {data + 1, size - 1};
    if (data[0] < 64) {
        wire(rest);
    } else if (data[0] < 160) {
        socks(rest, data[0] - 63u);
    } else {
        text(rest, (nacre_forward_kind)(data[0] % 4));
    }
    return 0;
}
