/*
 * nacre/hostbased.h - is a client's host believed when it says which of its users comes (RFC 4252 9)?
 * The library has verified that the host signed; these calls decide as sshd does, by the files in
 * which hosts and users are named equivalent, and by known_hosts.
 *
 * In order: a line of a shosts file must name the host and its user; the key that signed must stand in
 * known_hosts for that host. What cannot be read or judged says no.
 */
#ifndef NACRE_HOSTBASED_H
#define NACRE_HOSTBASED_H

#include "nacre/account.h"
#include "nacre/known_hosts.h"

#ifdef __cplusplus
extern "C" {
#endif

/*
 * One file of the form of hosts.equiv(5): lines "host", "host user", "-host", "host -user", "+@netgroup"
 * and "-@netgroup" in either place. A host is compared with name (any case) and address; a line without
 * a user means the one who bears user's name. "+" alone, which would mean anybody, is never believed.
 * NACRE_OK: the first line that fits allows it; NACRE_AUTH_FAILED: it forbids it; NACRE_NOT_FOUND: no
 * line fits. *line (NULL ok): which. Blocks when a netgroup is looked up.
 */
NACRE_API int nacre_rhosts_check(nacre_span text, const char *name, const char *address,
                                 const char *client_user, const char *user,
                                 uint32_t *line) NACRE_MUST_CHECK;

typedef enum nacre_rhosts_use {
    NACRE_RHOSTS_NONE =
        0, /* the user's own files are not looked at; the default (IgnoreRhosts yes) */
    NACRE_RHOSTS_SHOSTS_ONLY, /* ~/.shosts, but not ~/.rhosts */
    NACRE_RHOSTS_BOTH
} nacre_rhosts_use;

/* Whom to believe. Fill with nacre_hostbased_rules_init, then change fields. All borrowed. */
typedef struct nacre_hostbased_rules {
    size_t size;
    /* The name that the client says, not the one that its address resolves to, is looked up. */
    bool name_from_packet_only;
    nacre_rhosts_use user_files;
    bool user_known_hosts; /* ~/.ssh/known_hosts counts too; default true */
    bool strict_modes;     /* the user's files only when nobody else can write them; default true */
    /* For everybody but root; default /etc/hosts.equiv and /etc/ssh/shosts.equiv. */
    const char *const *equiv_files;
    size_t equiv_count;
    /* default /etc/ssh/ssh_known_hosts and ssh_known_hosts2 */
    const char *const *known_hosts_files;
    size_t known_hosts_count;
} nacre_hostbased_rules;
NACRE_API void nacre_hostbased_rules_init(nacre_hostbased_rules *rules);

/* Who comes. All borrowed. */
typedef struct nacre_hostbased_claim {
    const nacre_account *account; /* who shall be logged in */
    const nacre_key *key;         /* that signed: ev->u.auth.key */
    nacre_span client_host;       /* ev->u.auth.client_host; a dot at its end is dropped */
    nacre_span client_user;       /* ev->u.auth.client_user */
    const char *peer_address;     /* numeric */
    const char *peer_name;        /* what the address resolves to and back; NULL: not known */
} nacre_hostbased_claim;

/*
 * Reads the files, with the rights that the caller has: a server that is root takes its user's before.
 * Only NACRE_OK means yes; NACRE_AUTH_FAILED (or the reading's own error) and why it is no in *why.
 */
NACRE_API int nacre_hostbased_check(const nacre_hostbased_rules *rules,
                                    const nacre_hostbased_claim *claim,
                                    nacre_error *why) NACRE_MUST_CHECK;

#ifdef __cplusplus
}
#endif
#endif
