/*
 * socks.h - the server's side of SOCKS: 4, 4a, and 5 without authentication (RFC 1928), CONNECT only. For dynamic
 * forwardings of either kind: bytes in, an answer and a destination out; no sockets here.
 */
#ifndef NC_CHANNEL_SOCKS_H
#define NC_CHANNEL_SOCKS_H

#include "base/mem.h"

enum {
    NC_SOCKS_HOST_MAX = 255,
    NC_SOCKS_USER_MAX = 255, /* SOCKS 4's user name, which nobody looks at */
    /* The longest step of one of them: 4a with both names. Who has sent more without an end speaks no SOCKS. */
    NC_SOCKS_IN_MAX = 8 + NC_SOCKS_USER_MAX + 1 + NC_SOCKS_HOST_MAX + 1,
    NC_SOCKS_OUT_MAX = 16
};

typedef enum nc_socks_verdict {
    NC_SOCKS_GRANTED,
    NC_SOCKS_FAILED,     /* for no reason that the peer told */
    NC_SOCKS_PROHIBITED, /* by rule */
    NC_SOCKS_UNREACHABLE /* it could not be connected to */
} nc_socks_verdict;

/* All zero: nothing came yet. */
typedef struct nc_socks {
    uint8_t version;                  /* 4, 5; 0: not known yet */
    bool greeted;                     /* SOCKS 5: the methods are through */
    bool done;                        /* host and port are there */
    char host[NC_SOCKS_HOST_MAX + 1]; /* a name or a numeric address, terminated */
    uint16_t port;
} nc_socks;

/*
 * One step with what came and was not used before. *used bytes are dealt with, what follows is offered again; an
 * answer of *answered bytes goes to the peer. NACRE_OK: host and port are known, and nc_socks_reply is what is still
 * owed; the bytes behind *used are the connection's. NACRE_AGAIN: *used may still be above 0, then step again; else
 * wait for more. NACRE_MALFORMED: it is no SOCKS, or asks for what is not there; send the answer and close.
 */
int nc_socks_step(nc_socks *s, nacre_span in, size_t *used, uint8_t answer[NC_SOCKS_OUT_MAX],
                  size_t *answered) NACRE_MUST_CHECK;
/* The answer to the request, once it is known what became of it; its length. */
size_t nc_socks_reply(const nc_socks *s, nc_socks_verdict verdict,
                      uint8_t answer[NC_SOCKS_OUT_MAX]);

#endif
