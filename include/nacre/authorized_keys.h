/*
 * nacre/authorized_keys.h - the authorized_keys format of sshd(8), principals files and files of authorities: may
 * this key or certificate log in, and with what restrictions? Pure: the caller hands in the text and the facts.
 * Nothing is allowed by omission: a line with an option that is unknown or cannot be enforced is no match.
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
    /*
     * Security keys: what the signature must show is asked of nacre_key_grant_signature, for every
     * method that this grant lets in; all zero demands a touch.
     */
    bool no_touch_required, verify_required;
    /* permitopen, permitlisten: for nacre_key_grant_permits. Texts as in environment. */
    bool open_limited, listen_limited;
    char permit_open[4096], permit_listen[4096];
    uint32_t tunnel;  /* device number + 1 that tunnel= allows; 0: any */
    bool certificate; /* by a certificate, whose options are in here */
} nacre_key_grant;

typedef struct nacre_login_facts {
    const char *user;
    const char *peer_address; /* numeric; for from="..." */
    const char *peer_host;    /* NULL when not looked up */
    int64_t now_seconds;      /* since 1970, UTC; for expiry-time; 0: not known */
    int32_t utc_offset;       /* of the local zone in seconds, east positive: dates without Z */
    const char
        *ca_algorithms; /* by which authorities may sign, as nacre_cert_rules.ca_algorithms */
} nacre_login_facts;

/*
 * A plain key: the first line that has it and whose options are all fulfilled. A certificate: the first such
 * line of its authority with cert-authority; its principals must name one of principals=, or the user when there is
 * no such option; it must be good by nacre_cert_check, and its own options are folded into the grant: what both
 * allow, what either forces. principals= and no-touch-required do nothing to a plain key; verify-required asks for
 * more than a key can show that is in no security key, so that its line is no match. facts is borrowed; NULL:
 * nothing is known, and a line that asks for a fact is no match.
 * NACRE_OK and *grant, or NACRE_NOT_FOUND; *why (NULL ok) says what stood in the way of a line that had the key.
 */
NACRE_API int nacre_authorized_keys_check(nacre_span text, const nacre_key *key,
                                          const nacre_login_facts *facts, nacre_key_grant *grant,
                                          nacre_error *why) NACRE_MUST_CHECK;
/*
 * AuthorizedPrincipalsFile of sshd_config(5): a name a line, options before it. The certificate must have one of
 * the names, byte for byte, and be good as above. That its authority is trusted is the caller's to know.
 * NACRE_INVALID_ARGUMENT: it is no certificate.
 */
NACRE_API int nacre_authorized_principals_check(nacre_span text, const nacre_key *cert,
                                                const nacre_login_facts *facts,
                                                nacre_key_grant *grant,
                                                nacre_error *why) NACRE_MUST_CHECK;
/* The same without a file: facts->user must be one of the certificate's names. */
NACRE_API int nacre_certificate_grant(const nacre_key *cert, const nacre_login_facts *facts,
                                      nacre_key_grant *grant, nacre_error *why) NACRE_MUST_CHECK;
/*
 * TrustedUserCAKeys: is the key one of those in a text of public keys, one a line? Lines with options are not.
 * NACRE_OK, NACRE_NOT_FOUND, NACRE_NO_MEMORY.
 */
NACRE_API int nacre_keys_list_has(nacre_span text, const nacre_key *key) NACRE_MUST_CHECK;

/*
 * Does a signature show what this login demands? sk: of ev->u.auth.sk. touch_demanded, verify_demanded: by the server's
 * PubkeyAuthOptions, whatever the grant renounces. NACRE_OK, or NACRE_AUTH_FAILED and *why (NULL ok). Keys that are
 * in no security key pass, unless verification is demanded by the grant.
 */
NACRE_API int nacre_key_grant_signature(const nacre_key_grant *grant, const nacre_sk_details *sk,
                                        bool touch_demanded, bool verify_demanded,
                                        nacre_error *why) NACRE_MUST_CHECK;
/*
 * Port forwarding, permitopen= and (listens) permitlisten=: may a connection to host:port be made, or host:port
 * be listened on? host as the client named it, without brackets; hosts to connect to are compared byte for byte,
 * those to listen on as patterns.
 */
NACRE_API bool nacre_key_grant_permits(const nacre_key_grant *grant, bool listens, const char *host,
                                       uint32_t port);
/*
 * Port forwarding: may a Unix-domain socket be connected to, or (listens) be listened on? permitopen= and permitlisten=
 * name hosts and ports: where they limit anything (no "*:*"), sockets are not permitted.
 */
NACRE_API bool nacre_key_grant_permits_path(const nacre_key_grant *grant, bool listens);

#ifdef __cplusplus
}
#endif
#endif
