/*
 * x11.h - X11 forwarding as bytes: displays, x11-req, and the first message of an X11 connection, whose
 * cookie is checked and replaced. No socket, no clock.
 */
#ifndef NC_CHANNEL_X11_H
#define NC_CHANNEL_X11_H

#include "base/buf.h"
#include "base/error.h"
#include "channel/forward.h"

enum {
    /* Cookies have 16 bytes, and no other protocol's data is four times as long. */
    NC_X11_NAME_MAX = 64,
    NC_X11_DATA_MAX = NC_FWD_X11_MAX / 2,
    NC_X11_HEAD = 12,
    NC_X11_SETUP_MAX = NC_X11_HEAD + NC_X11_NAME_MAX + NC_X11_DATA_MAX + 3, /* padded */
    NC_X11_REFUSAL_MAX = 8 + 256,
    NC_X11_PORT = 6000,
    NC_X11_NUMBER_MAX = 65535 - NC_X11_PORT
};

/* ---- x11-req (RFC 4254 6.3.1) ---- */

/* Writes what nc_x11_req_read takes: else NACRE_TOO_LARGE, or NACRE_SYNTAX for a protocol of other characters. */
int nc_x11_req_write(nc_buf *b, bool single, const char *protocol, nacre_span cookie,
                     uint32_t screen) NACRE_MUST_CHECK;
/* Protocol and cookie are fit for a command line: see below. */
int nc_x11_req_read(nacre_span data, nc_fwd_x11_request *out) NACRE_MUST_CHECK;
/* Letters, digits and "-._", 1 to 63 of them: nothing that xauth(1) or a shell could take for more. */
bool nc_x11_is_protocol(nacre_span s);
/* An even number of hexadecimal digits, 2 to 2 * NC_X11_DATA_MAX. */
bool nc_x11_is_cookie(nacre_span s);
/* out has room for 2 * n + 1. */
void nc_x11_hex(nacre_span bytes, char *out);
/* NACRE_SYNTAX, NACRE_TOO_LARGE. */
int nc_x11_unhex(nacre_span hex, uint8_t *out, size_t room, size_t *n) NACRE_MUST_CHECK;

/* ---- the first message of a connection (X protocol, "Connection Setup") ---- */

typedef struct nc_x11_setup {
    uint8_t bytes[NC_X11_SETUP_MAX];
    size_t have;
} nc_x11_setup;

/*
 * Adds bytes of the connection; *took says how many belong to the message. NACRE_AGAIN: it is not whole.
 * NACRE_MALFORMED: it is none, or its authorization is longer than any that was ever told a program.
 */
int nc_x11_setup_add(nc_x11_setup *s, nacre_span in, size_t *took) NACRE_MUST_CHECK;
/* Of a whole one: what it brings as authorization; borrowed. */
void nc_x11_setup_read(const nc_x11_setup *s, nacre_span *name, nacre_span *data);
/* The same message with another authorization; the length. name and data within their caps. */
size_t nc_x11_setup_write(const nc_x11_setup *s, nacre_span name, nacre_span data,
                          uint8_t out[NC_X11_SETUP_MAX]);
/* How an X server says no, in the byte order of the message; the length. */
size_t nc_x11_refusal(const nc_x11_setup *s, const char *text, uint8_t out[NC_X11_REFUSAL_MAX]);

#endif
