/*
 * become.c - changing into another user for good: groups first, then gid, then uid, then proof that
 * no call leads back.
 */
#include "io/fd.h"
#include "io/process.h"

#include <errno.h>
#include <grp.h>
#include <unistd.h>

static int failed(const char **step, const char *what, int errnum)
{
    *step = what;
    errno = errnum;
    return -1;
}

/* Real, effective and saved ids are all the account's. */
static bool is_now(const nacre_account *a)
{
    uid_t ru, eu, su;
    gid_t rg, eg, sg;
    return getresuid(&ru, &eu, &su) == 0 && getresgid(&rg, &eg, &sg) == 0 && ru == a->uid &&
           eu == a->uid && su == a->uid && rg == a->gid && eg == a->gid && sg == a->gid;
}

/* Async-signal-safe: it runs between fork and exec. */
int nc_become_steps(const nacre_account *a, const char **step)
{
    uid_t was = geteuid();
    gid_t group_was = getegid();
    if (was != 0) {
        /* Only root changes; whoever else we are, we can only be that. */
        return was == a->uid && getuid() == a->uid ? 0 : failed(step, "change user", EPERM);
    }
    if (setgroups(a->group_count, a->groups) != 0) {
        return failed(step, "set supplementary groups", errno);
    }
    if (setresgid(a->gid, a->gid, a->gid) != 0) {
        return failed(step, "set group", errno);
    }
    if (setresuid(a->uid, a->uid, a->uid) != 0) {
        return failed(step, "set user", errno);
    }
    if (!is_now(a)) {
        return failed(step, "change user: it did not happen", EPERM);
    }
    if (a->uid != 0 && (setuid(0) == 0 || seteuid(0) == 0 || setresuid(0, 0, 0) == 0)) {
        return failed(step, "give root up: there is a way back", EPERM);
    }
    if (a->uid != 0 && group_was != a->gid && (setgid(group_was) == 0 || setegid(group_was) == 0)) {
        return failed(step, "give the group up: there is a way back", EPERM);
    }
    return is_now(a) ? 0 : failed(step, "change user: it did not last", EPERM);
}

int nacre_become(const nacre_account *account, nacre_error *err)
{
    nc_error_clear(err);
    const char *step = "";
    if (nc_become_steps(account, &step) == 0) {
        return NACRE_OK;
    }
    return nc_os_fail(err, NACRE_IO, errno, "cannot become user %s: cannot %s", account->name,
                      step);
}
