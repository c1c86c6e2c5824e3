/*
 * nacre/account.h - the system's users: lookup, password check, and who may write to a file.
 */
#ifndef NACRE_ACCOUNT_H
#define NACRE_ACCOUNT_H

#include "nacre/base.h"

#include <sys/types.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct nacre_account {
    char *name;
    char *home;
    char *shell; /* never empty: "/bin/sh" where the system says nothing */
    uid_t uid;
    gid_t gid;
    gid_t *groups; /* supplementary, gid included */
    size_t group_count;
    bool locked; /* the password field says so: "!" or "*LK*" first, or the account expired */
} nacre_account;

/* Returns owned in *out. NACRE_NOT_FOUND: no such user. */
NACRE_API int nacre_account_lookup(nacre_account **out, const nacre_allocator *alloc,
                                   const char *name, nacre_error *err) NACRE_MUST_CHECK;
NACRE_API int nacre_account_lookup_uid(nacre_account **out, const nacre_allocator *alloc, uid_t uid,
                                       nacre_error *err) NACRE_MUST_CHECK;
NACRE_API void nacre_account_free(nacre_account *a); /* NULL ok */

/*
 * Is this the user's password? Only NACRE_OK means yes; NACRE_AUTH_FAILED no, whatever the reason: no
 * such user, no or an empty or a locked password, one that must be changed first (RFC 4252 8), an
 * expired account, a hash that this system cannot compute, a password of no bytes (whatever is stored), above
 * 1024 bytes or with a zero byte in it. Takes as long for users that do not exist.
 * name NULL: an unknown user. Reads the shadow file: needs root as a rule.
 */
NACRE_API int nacre_account_check_password(const char *name, nacre_span password) NACRE_MUST_CHECK;
/* The part of it below the lookup: does password, which is not empty, match a crypt(3) hash? hash NULL: no, but slowly. */
NACRE_API int nacre_password_matches(const char *hash, nacre_span password) NACRE_MUST_CHECK;

/*
 * OpenSSH's StrictModes: is path a regular file (through links, its real path) that, like every
 * directory above it up to home (or "/", when it lies elsewhere or home is NULL), belongs to uid or root and
 * cannot be written by group or others? NACRE_OK, NACRE_NOT_FOUND, NACRE_KEY_PERMISSIONS with the
 * culprit in err. fd >= 0: the open file is judged instead of what path names now.
 */
NACRE_API int nacre_path_secure(const char *path, int fd, uid_t uid, const char *home,
                                nacre_error *err) NACRE_MUST_CHECK;

/* When and from where a user logged in last, as lastlog(5) has it. */
typedef struct nacre_last_login {
    int64_t when;   /* seconds since 1970 */
    char line[64];  /* the terminal */
    char host[264]; /* from where: raw, escape it before showing */
} nacre_last_login;
/*
 * path NULL: /var/log/lastlog. NACRE_NOT_FOUND: never, or this system keeps no such file; NACRE_IO. Writing needs the
 * right to do so, and never makes the file.
 */
NACRE_API int nacre_last_login_read(const char *path, uid_t uid,
                                    nacre_last_login *out) NACRE_MUST_CHECK;
NACRE_API int nacre_last_login_write(const char *path, uid_t uid,
                                     const nacre_last_login *login) NACRE_MUST_CHECK;

/* Who is at the other end of a Unix-domain socket. */
NACRE_API int nacre_peer_credentials(int fd, uid_t *uid, gid_t *gid) NACRE_MUST_CHECK;

#ifdef __cplusplus
}
#endif
#endif
