/*
 * account.c - users of the system: lookup, and the checks that sshd makes of accounts and passwords.
 */
#include "nacre/account.h"

#include "io/fd.h"

#include <crypt.h>
#include <errno.h>
#include <grp.h>
#include <limits.h>
#include <pwd.h>
#include <shadow.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
    TEXT_FIRST = 2048,
    TEXT_MAX = 1 << 20, /* a directory service's entry with many members */
    GROUPS_MAX = 65536, /* Linux NGROUPS_MAX */
    PASSWORD_MAX =
        1024 /* crypt(3) of some systems fails badly on long ones; hashing cost is bounded */
};

/* ---- lookup ---- */

typedef struct text_row {
    struct passwd pw;
    char *text;
    size_t size;
} text_row;

/* 0: found; ENOENT: not; else errno. */
static int read_passwd(const char *name, uid_t uid, text_row *row)
{
    for (row->size = TEXT_FIRST; row->size <= TEXT_MAX; row->size *= 4) {
        struct passwd *found = NULL;
        row->text = nc_alloc(NULL, row->size);
        if (!row->text) {
            return ENOMEM;
        }
        int rc;
        do {
            rc = name ? getpwnam_r(name, &row->pw, row->text, row->size, &found)
                      : getpwuid_r(uid, &row->pw, row->text, row->size, &found);
        } while (rc == EINTR);
        if (found) {
            return 0;
        }
        nc_wipe_free(NULL, row->text, row->size);
        row->text = NULL;
        if (rc != ERANGE) {
            /* POSIX lets "not found" come as several errnos. */
            return rc == 0 || rc == ESRCH || rc == EBADF || rc == EPERM ? ENOENT : rc;
        }
    }
    return ERANGE;
}

static bool locks(const char *hash)
{
    return hash && (hash[0] == '!' || strncmp(hash, "*LK*", 4) == 0);
}

static bool expired(const struct spwd *sp)
{
    long today = (long)(time(NULL) / 86400);
    if (sp->sp_expire > 0 && today > sp->sp_expire) {
        return true;
    }
    /* A password so old that it may not even be changed any more. */
    return sp->sp_max >= 0 && sp->sp_inact >= 0 && sp->sp_lstchg > 0 &&
           today > sp->sp_lstchg + sp->sp_max + sp->sp_inact;
}

/* To be changed before it opens anything again: by age, or because root said so (chage -d 0). */
static bool is_due(const struct spwd *sp)
{
    long today = (long)(time(NULL) / 86400);
    return sp->sp_lstchg == 0 ||
           (sp->sp_lstchg > 0 && sp->sp_max >= 0 && today - sp->sp_lstchg > sp->sp_max);
}

/*
 * The user's hash into out ("" when it cannot be had), and whether the account is shut. due: the password
 * must be changed.
 */
static bool read_hash(const struct passwd *pw, char *out, size_t size, bool *due)
{
    struct spwd row, *found = NULL;
    char text[TEXT_FIRST];
    const char *hash = pw->pw_passwd;
    bool shut = false;
    *due = false;
    if (getspnam_r(pw->pw_name, &row, text, sizeof(text), &found) == 0 && found) {
        hash = row.sp_pwdp;
        shut = expired(&row);
        *due = is_due(&row);
    }
    size_t n = hash ? strlen(hash) : 0;
    if (n >= size) {
        n = 0;
    }
    if (n > 0) {
        memcpy(out, hash, n);
    }
    out[n] = '\0';
    nc_wipe(text, sizeof(text));
    return shut || locks(out);
}

static int read_groups(nacre_account *a, const nacre_allocator *alloc)
{
    int n = 32;
    for (;;) {
        gid_t *list = nc_alloc_array(alloc, (size_t)n, sizeof(*list));
        if (!list) {
            return NACRE_NO_MEMORY;
        }
        int want = n;
        if (getgrouplist(a->name, a->gid, list, &want) >= 0) {
            a->groups = list;
            a->group_count = (size_t)want;
            return NACRE_OK;
        }
        nc_free(alloc, list);
        n = want > n ? want : n * 2;
        if (n > GROUPS_MAX) {
            return NACRE_LIMIT;
        }
    }
}

/* The public struct, and the allocator that it came from. */
typedef struct account {
    nacre_account pub;
    const nacre_allocator *alloc;
} account;

static int lookup(nacre_account **out, const nacre_allocator *alloc, const char *name, uid_t uid,
                  nacre_error *err)
{
    text_row row = {.text = NULL};
    char hash[512];
    bool due = false;
    *out = NULL;
    int why = read_passwd(name, uid, &row);
    if (why == ENOENT) {
        return nc_fail(err, NACRE_NOT_FOUND, "there is no user %s",
                       name ? NC_ESC(nc_span_cstr(name)) : "of this number");
    }
    if (why != 0) {
        return nc_os_fail(err, nc_os_status(why), why, "cannot look a user up");
    }
    account *a = nc_zalloc(alloc, sizeof(*a));
    int rc = NACRE_NO_MEMORY;
    if (a) {
        a->alloc = alloc;
        const char *shell = row.pw.pw_shell && row.pw.pw_shell[0] ? row.pw.pw_shell : "/bin/sh";
        a->pub.name = nc_strdup(alloc, row.pw.pw_name);
        a->pub.home = nc_strdup(alloc, row.pw.pw_dir && row.pw.pw_dir[0] ? row.pw.pw_dir : "/");
        a->pub.shell = nc_strdup(alloc, shell);
        a->pub.uid = row.pw.pw_uid;
        a->pub.gid = row.pw.pw_gid;
        a->pub.locked = read_hash(&row.pw, hash, sizeof(hash), &due);
        nc_wipe(hash, sizeof(hash));
        if (a->pub.name && a->pub.home && a->pub.shell) {
            rc = read_groups(&a->pub, alloc);
        }
    }
    nc_wipe_free(NULL, row.text, row.size);
    if (rc != NACRE_OK) {
        nacre_account_free(a ? &a->pub : NULL);
        return nc_fail(err, rc, "cannot hold what the system says about a user");
    }
    *out = &a->pub;
    return NACRE_OK;
}

int nacre_account_lookup(nacre_account **out, const nacre_allocator *alloc, const char *name,
                         nacre_error *err)
{
    nc_error_clear(err);
    return lookup(out, alloc, name ? name : "", 0, err);
}

int nacre_account_lookup_uid(nacre_account **out, const nacre_allocator *alloc, uid_t uid,
                             nacre_error *err)
{
    nc_error_clear(err);
    return lookup(out, alloc, NULL, uid, err);
}

void nacre_account_free(nacre_account *pub)
{
    account *a = (account *)(void *)pub; /* pub is the first member */
    if (!a) {
        return;
    }
    nc_free(a->alloc, pub->name);
    nc_free(a->alloc, pub->home);
    nc_free(a->alloc, pub->shell);
    nc_free(a->alloc, pub->groups);
    nc_free(a->alloc, a);
}

/* ---- passwords ---- */

static bool hash_usable(const char *hash)
{
    return hash && hash[0] != '\0' && hash[0] != '*' && hash[0] != '!';
}

/*
 * What to hash with for users that are not there, so that it takes as long as for those that are: the
 * system's own method for new passwords. Only salt and method; nothing can match it.
 */
static void choose_decoy(char *out, size_t size)
{
#if defined(CRYPT_GENSALT_IMPLEMENTS_DEFAULT_PREFIX) && CRYPT_GENSALT_IMPLEMENTS_DEFAULT_PREFIX
    static const char bytes[64] = "salt of nobody: it never decides about anything, it takes time";
    if (size <= INT_MAX && crypt_gensalt_rn(NULL, 0, bytes, sizeof(bytes), out, (int)size)) {
        return;
    }
#endif
    (void)snprintf(out, size, "%s", "$6$nacredecoy012345$");
}

/*
 * crypt(3) says "no" in three ways: NULL, a text beginning with '*', and a hash that differs. None of
 * them may be mistaken for the stored text, so a stored hash that is no hash never compares.
 */
int nacre_password_matches(const char *hash, nacre_span password)
{
    char text[PASSWORD_MAX + 1] = {0};
    /* Nothing said is no password, not even where somebody stored the hash of nothing. */
    bool fits = password.n > 0 && password.n <= PASSWORD_MAX && !memchr(password.p, 0, password.n);
    bool usable = hash_usable(hash);
    char decoy[256];
    choose_decoy(decoy, sizeof(decoy));
    const char *setting = usable ? hash : decoy;
    if (fits) {
        memcpy(text, password.p, password.n);
    }
    bool same = false;
    struct crypt_data *data = nc_zalloc(NULL, sizeof(*data));
    if (data) {
        const char *made = crypt_r(text, setting, data);
        if (made && made[0] != '*' && made[0] != '\0') {
            size_t n = strlen(made);
            same = n == strlen(setting) && nc_ct_equal(made, setting, n);
        }
    }
    nc_wipe_free(NULL, data, data ? sizeof(*data) : 0);
    nc_wipe(text, sizeof(text));
    return same && usable && fits ? NACRE_OK : NACRE_AUTH_FAILED;
}

int nacre_account_check_password(const char *name, nacre_span password)
{
    text_row row = {.text = NULL};
    char hash[512] = {0};
    bool open = false, due = false;
    if (name && read_passwd(name, 0, &row) == 0) {
        open = !read_hash(&row.pw, hash, sizeof(hash), &due);
    }
    int rc = nacre_password_matches(open ? hash : NULL, password);
    nc_wipe(hash, sizeof(hash));
    nc_wipe_free(NULL, row.text, row.text ? row.size : 0);
    /* RFC 4252 8: an expired password must not be used for authentication. */
    return open && !due ? rc : NACRE_AUTH_FAILED;
}

/* ---- the other end of a local socket ---- */

int nacre_peer_credentials(int fd, uid_t *uid, gid_t *gid)
{
    struct ucred cred;
    socklen_t n = sizeof(cred);
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &n) != 0 || n != sizeof(cred)) {
        return NACRE_IO;
    }
    *uid = cred.uid;
    *gid = cred.gid;
    return NACRE_OK;
}
