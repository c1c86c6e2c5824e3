/*
 * nacre/authorized_keys.h - the authorized_keys format of sshd(8): may this key log in, and with what
 * restrictions? Pure: the caller hands in the text and the facts. Nothing is allowed by omission:
 * a line with an option that is unknown or cannot be enforced is no match.
 */
#ifndef NACRE_AUTHORIZED_KEYS_H
#define NACRE_AUTHORIZED_KEYS_H

#include "nacre/key.h"

#ifdef __cplusplus
extern "C" {
#endif

/* What a login may do. One mask, so a new feature is off where it is not named. */
enum {
    NACRE_MAY_PTY = 1 << 0,
    NACRE_MAY_FORWARD_PORT = 1 << 1,
    NACRE_MAY_FORWARD_AGENT = 1 << 2,
    NACRE_MAY_FORWARD_X11 = 1 << 3,
    NACRE_MAY_USER_RC = 1 << 4,
    NACRE_MAY_TUNNEL = 1 << 5,
    NACRE_MAY_ALL = (1 << 6) - 1
};

typedef struct nacre_key_grant {
    uint32_t may;       /* NACRE_MAY_* */
    char command[4096]; /* forced command; "" none */
    char environment
        [4096];    /* NAME=value pairs, each ended by a zero byte, the whole by an empty one */
    uint32_t line; /* where it stands, from 1 */
    int64_t valid_until; /* expiry-time in seconds since 1970, UTC; 0: none */
} nacre_key_grant;

typedef struct nacre_login_facts {
    const char *user;
    const char *peer_address; /* numeric; for from="..." */
    const char *peer_host;    /* NULL when not looked up */
    int64_t now_seconds;      /* since 1970, UTC; for expiry-time; 0: not known */
    int32_t utc_offset;       /* of the local zone in seconds, east positive: dates without Z */
} nacre_login_facts;

/*
 * permitopen and permitlisten narrow port forwarding to some targets; as long as they cannot be
 * enforced one by one they take NACRE_MAY_FORWARD_PORT away as a whole. Options that make sense only for
 * certificates (principals) or devices (no-touch-required) do nothing to a plain key; verify-required
 * asks for more than a plain key can show, so that its line is no match. facts is borrowed; NULL: nothing
 * is known, and a line that asks for a fact is no match.
 */
/* NACRE_OK and *grant, or NACRE_NOT_FOUND; *why (NULL ok) says what stood in the way of a line that had the key. */
NACRE_API int nacre_authorized_keys_check(nacre_span text, const nacre_key *key,
                                          const nacre_login_facts *facts, nacre_key_grant *grant,
                                          nacre_error *why) NACRE_MUST_CHECK;

#ifdef __cplusplus
}
#endif
#endif
