/*
 * key_options.h - the options that stand before a key in authorized_keys and before a name in a principals file
 * (sshd(8)): one table, one mask, one grant.
 */
#ifndef NC_KEYS_KEY_OPTIONS_H
#define NC_KEYS_KEY_OPTIONS_H

#include "keys/key.h"
#include "nacre/authorized_keys.h"

enum {
    /* Above the length of any forced command or from list that fits its field. */
    NC_OPTION_MAX_VALUE = 8192
};

/* One line under examination. */
typedef struct nc_option_check {
    const nacre_login_facts *facts;
    const nacre_key *key; /* that wants in, a certificate or plain */
    /* for people: "authorized_keys" line 3 has this "key"; noun NULL: there is no line */
    const char *subject, *noun;
    nacre_key_grant *grant;
    nacre_error *why;
    /* of the line at hand */
    size_t env_len, open_len, listen_len;
    unsigned env_count;
    bool has_command, has_from, has_tunnel;
    bool authority;                  /* cert-authority */
    bool has_principals;             /* principals= */
    bool names_principal;            /* one of its names stands in the certificate */
    char value[NC_OPTION_MAX_VALUE]; /* of the option at hand, unquoted and terminated */
    size_t value_len;
} nc_option_check;

/* Records why the line is none; NACRE_NOT_FOUND. */
int nc_option_refuse(nc_option_check *c, const char *what);
/*
 * Starts a line: the grant is what a line without options gives. Then the options, comma-separated: NACRE_OK, or
 * NACRE_NOT_FOUND when one is unknown, malformed, not fulfilled or not to be enforced.
 */
int nc_options_apply(nc_option_check *c, nacre_span options, uint32_t number);
/* Where options end: at the first blank outside quotes. *rest moves there. False: the quotes do not close. */
bool nc_options_cut(nacre_span *rest, nacre_span *options);

/* Does the certificate name this principal, byte for byte? */
bool nc_cert_has_principal(const nacre_key *cert, nacre_span name);
/*
 * The certificate itself: kind, validity, source-address, its options folded into the grant. user: a name that
 * must be among its principals; NULL: that was settled. NACRE_OK or NACRE_NOT_FOUND.
 */
int nc_option_fold_cert(nc_option_check *c, const char *user);

/* key_date.c: YYYYMMDD[HHMM[SS]][Z] in seconds since 1970; utc_offset: of the local zone. */
bool nc_key_date(nacre_span text, int32_t utc_offset, int64_t *out);

#endif
