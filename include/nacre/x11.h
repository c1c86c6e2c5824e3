/*
 * nacre/x11.h - X11 forwarding (RFC 4254 6.3), both roles: displays, cookies, and who gets which.
 *
 * The server's programs never see the cookie of the real display. They get one that the client made up; the
 * client takes it out of the first message of each connection, checks it, and puts the real one in its
 * place. A connection with anything else is answered as an X server answers, and ended.
 */
#ifndef NACRE_X11_H
#define NACRE_X11_H

#include "nacre/client.h"
#include "nacre/server.h"

#ifdef __cplusplus
extern "C" {
#endif

/* A display, as $DISPLAY names it: "host:number.screen", ":0", "unix:0", or a socket's path. */
typedef struct nacre_x11_display {
    char host[256]; /* "": this machine, by its socket */
    char path[108]; /* of a socket that has no number's name; "": none */
    uint16_t number, screen;
} nacre_x11_display;

/*
 * NACRE_SYNTAX: it names no display, or holds what no host name or path has: such a text is handed to
 * no program. Numbers up to 59535, whose TCP port is 6000 more.
 */
NACRE_API int nacre_x11_display_parse(const char *text, nacre_x11_display *out,
                                      nacre_error *err) NACRE_MUST_CHECK;

/* What a display wants to be told by who connects. */
typedef struct nacre_x11_cookie {
    char protocol[64]; /* "MIT-MAGIC-COOKIE-1" */
    uint8_t data[127];
    size_t size;
} nacre_x11_cookie;

typedef struct nacre_x11_cookie_options {
    size_t size;         /* set by nacre_x11_cookie_options_init */
    const char *display; /* NULL: $DISPLAY */
    const char *xauth;   /* absolute path of xauth(1); default /usr/bin/xauth */
    /*
     * Not trusted: a cookie is made for the purpose, by the display's SECURITY extension, that can do less
     * than ours (no look at other windows, no typing into them), and ends after some time.
     */
    bool trusted;
    uint32_t lifetime_seconds; /* of one that is not trusted; 0: no end */
    uint32_t timeout_ms;       /* for xauth; default 10 s */
} nacre_x11_cookie_options;
NACRE_API void nacre_x11_cookie_options_init(nacre_x11_cookie_options *o);
/*
 * Asks xauth(1) for the display's cookie; blocks until it has answered. NACRE_NOT_FOUND: it knows none;
 * NACRE_IO: it failed, and err says how. Wipe *out when it is not needed any more.
 */
NACRE_API int nacre_x11_cookie_ask(nacre_x11_cookie *out, const nacre_x11_cookie_options *o,
                                   nacre_error *err) NACRE_MUST_CHECK;

/* ---- client ------------------------------------------------------------------------------------------ */

typedef struct nacre_x11_options {
    size_t size;                    /* set by nacre_x11_options_init */
    const char *display;            /* NULL: $DISPLAY */
    const nacre_x11_cookie *cookie; /* the real one; NULL: the display wants none; copied */
    bool single_connection;         /* one connection, and no more */
    uint32_t timeout_seconds; /* after so long no further connection is let through; 0: no limit */
    bool want_reply; /* default true: nacre_client_wait_reply has it, in the order of requests */
    /* A connection was not let through; text is one escaped line. NULL ok. */
    void (*on_refused)(void *user, const char *text);
    void *user;
} nacre_x11_options;
NACRE_API void nacre_x11_options_init(nacre_x11_options *o);
/*
 * Asks on a session channel, before its program is started, that the program's X11 connections come to
 * the display here (x11-req). Connections are served while the loop of c turns, until the channel is freed.
 * NACRE_NOT_FOUND: there is no display.
 */
NACRE_API int nacre_client_x11(nacre_client *c, nacre_channel *ch, const nacre_x11_options *o,
                               nacre_error *err) NACRE_MUST_CHECK;

/* ---- server ------------------------------------------------------------------------------------------ */

/* What a client asks for with x11-req. */
typedef struct nacre_x11_request {
    bool single_connection;
    char protocol[64]; /* letters, digits and "-._" */
    char cookie[256];  /* hexadecimal digits, an even number of them */
    uint32_t screen;
} nacre_x11_request;
/*
 * Reads ev->u.request.data of an "x11-req". NACRE_MALFORMED: it is none, or what it holds is not fit to be
 * handed to xauth(1).
 */
NACRE_API int nacre_x11_request_parse(nacre_span data, nacre_x11_request *out) NACRE_MUST_CHECK;

typedef struct nacre_x11_server_options {
    size_t size;              /* set by nacre_x11_server_options_init */
    uint16_t display_offset;  /* the first number that is tried; default 10 */
    bool any_address;         /* listen everywhere, not on the loopback addresses alone */
    const char *display_host; /* with any_address: what $DISPLAY calls this host; NULL: its name */
    int family;               /* of the addresses that are listened on: 0 any, 4, 6 */
} nacre_x11_server_options;
NACRE_API void nacre_x11_server_options_init(nacre_x11_server_options *o);
/*
 * Grants an x11-req on a session channel: listens as a display of its own, and carries each connection to
 * the client, until the channel is over. Then accept the request. One per channel (NACRE_EXISTS).
 * NACRE_LIMIT: no number is free.
 */
NACRE_API int nacre_server_x11(nacre_server_conn *c, nacre_channel *ch,
                               const nacre_x11_request *request, const nacre_x11_server_options *o,
                               nacre_error *err) NACRE_MUST_CHECK;
/* What DISPLAY is for the channel's program: "localhost:10.0"; NULL: no X11. Borrowed with the channel. */
NACRE_API const char *nacre_server_x11_display(nacre_server_conn *c, nacre_channel *ch);
/* What was granted; NULL: nothing. Borrowed with the channel. */
NACRE_API const nacre_x11_request *nacre_server_x11_request(nacre_server_conn *c,
                                                            nacre_channel *ch);

/*
 * Lets xauth(1) add the cookie for display to the file of who we are, for the programs that will want it.
 * environment: NULL-ended, NULL: ours; HOME or XAUTHORITY there says which file. Waits for the program,
 * timeout_ms at most. display: as nacre_server_x11_display; "localhost:" is written as "unix:", the way
 * X's library looks it up.
 */
NACRE_API int nacre_x11_cookie_add(const char *xauth, const char *display, const char *protocol,
                                   const char *cookie, char *const *environment,
                                   uint32_t timeout_ms, nacre_error *err) NACRE_MUST_CHECK;

#ifdef __cplusplus
}
#endif
#endif
