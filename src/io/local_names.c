/*
 * local_names.c - the operations of the local SFTP backend that deal with names: removing, making,
 * renaming, linking, resolving.
 */
#include "io/local_files.h"

#include "base/mem.h"
#include "io/local_path.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static uint32_t remove_by(nacre_sftp_call *call, nacre_span path, int flags)
{
    nc_place p;
    if (nc_files_refused(call)) {
        return NACRE_FX_PERMISSION_DENIED;
    }
    int rc = nc_place_find(call->user, path, &p);
    rc = rc == 0 ? unlinkat(p.dir, p.name, flags) : rc;
    nc_place_end(&p);
    return nc_files_result(call, rc);
}

uint32_t nc_files_remove(nacre_sftp_call *call, nacre_span path)
{
    return remove_by(call, path, 0);
}

uint32_t nc_files_rmdir(nacre_sftp_call *call, nacre_span path)
{
    return remove_by(call, path, AT_REMOVEDIR);
}

uint32_t nc_files_mkdir(nacre_sftp_call *call, nacre_span path, const nacre_sftp_attrs *a)
{
    nc_place p;
    if (nc_files_refused(call)) {
        return NACRE_FX_PERMISSION_DENIED;
    }
    int rc = nc_place_find(call->user, path, &p);
    rc = rc == 0 ? mkdirat(p.dir, p.name, nc_files_mode(call->user, a, 0777)) : rc;
    nc_place_end(&p);
    return nc_files_result(call, rc);
}

/* Two names of a request that changes something. */
typedef int (*two_fn)(const nc_place *a, const nc_place *b);

static uint32_t two_by(nacre_sftp_call *call, nacre_span a, nacre_span b, two_fn fn)
{
    nc_place pa, pb;
    if (nc_files_refused(call)) {
        return NACRE_FX_PERMISSION_DENIED;
    }
    int rc = nc_place_find(call->user, a, &pa);
    if (rc == 0) {
        rc = nc_place_find(call->user, b, &pb);
        rc = rc == 0 ? fn(&pa, &pb) : rc;
        nc_place_end(&pb);
    }
    nc_place_end(&pa);
    return nc_files_result(call, rc);
}

/* Without the kernel's help: a link cannot replace anything; what cannot be linked is looked at first. */
static int rename_by_link(const nc_place *a, const nc_place *b)
{
    struct stat st;
    if (fstatat(a->dir, a->name, &st, AT_SYMLINK_NOFOLLOW) != 0) {
        return -1;
    }
    if (S_ISREG(st.st_mode) && linkat(a->dir, a->name, b->dir, b->name, 0) == 0) {
        if (unlinkat(a->dir, a->name, 0) == 0) {
            return 0;
        }
        int why = errno;
        (void)unlinkat(b->dir, b->name, 0); /* take the second name back */
        errno = why;
        return -1;
    }
    bool no_links = errno == EOPNOTSUPP || errno == ENOSYS || errno == EXDEV || errno == EPERM ||
                    errno == EMLINK;
    if (S_ISREG(st.st_mode) && !no_links) {
        return -1;
    }
    if (fstatat(b->dir, b->name, &st, AT_SYMLINK_NOFOLLOW) == 0) {
        errno = EEXIST;
        return -1;
    }
    return renameat(a->dir, a->name, b->dir, b->name);
}

static int rename_keeping(const nc_place *a, const nc_place *b)
{
#ifdef SYS_renameat2
    const unsigned no_replace = 1; /* RENAME_NOREPLACE */
    if (syscall(SYS_renameat2, a->dir, a->name, b->dir, b->name, no_replace) == 0) {
        return 0;
    }
    if (errno != ENOSYS && errno != EINVAL && errno != EOPNOTSUPP) {
        return -1;
    }
#endif
    return rename_by_link(a, b);
}

static int rename_replacing(const nc_place *a, const nc_place *b)
{
    return renameat(a->dir, a->name, b->dir, b->name);
}

static int link_to(const nc_place *a, const nc_place *b)
{
    return linkat(a->dir, a->name, b->dir, b->name, 0);
}

uint32_t nc_files_rename(nacre_sftp_call *call, nacre_span from, nacre_span to)
{
    return two_by(call, from, to, rename_keeping);
}

uint32_t nc_files_posix_rename(nacre_sftp_call *call, nacre_span from, nacre_span to)
{
    return two_by(call, from, to, rename_replacing);
}

uint32_t nc_files_hardlink(nacre_sftp_call *call, nacre_span from, nacre_span to)
{
    return two_by(call, from, to, link_to);
}

uint32_t nc_files_symlink(nacre_sftp_call *call, nacre_span target_path, nacre_span link)
{
    nc_path target; /* any text: where it leads is found out when it is followed */
    nc_place p;
    if (nc_files_refused(call)) {
        return NACRE_FX_PERMISSION_DENIED;
    }
    if (nc_path_copy(&target, target_path) != 0) {
        return nc_files_fail(call, errno);
    }
    int rc = nc_place_find(call->user, link, &p);
    rc = rc == 0 ? symlinkat(target.text, p.dir, p.name) : rc;
    nc_place_end(&p);
    return nc_files_result(call, rc);
}

uint32_t nc_files_readlink(nacre_sftp_call *call, nacre_span path, nacre_sftp_answer *out)
{
    nc_place p;
    nc_path target_path;
    int rc = nc_place_find(call->user, path, &p);
    ssize_t n =
        rc == 0 ? readlinkat(p.dir, p.name, target_path.text, sizeof(target_path.text)) : -1;
    nc_place_end(&p);
    if (n < 0) {
        return nc_files_fail(call, errno);
    }
    return nacre_sftp_answer_path(out, nc_span(target_path.text, (size_t)n)) ? NACRE_FX_OK
                                                                             : NACRE_FX_FAILURE;
}

static uint32_t answer_resolved(nacre_sftp_call *call, const char *path, nacre_sftp_answer *out)
{
    nc_path real;
    if (nc_files_real(call->user, path, &real) != 0) {
        return nc_files_fail(call, errno);
    }
    return nacre_sftp_answer_path(out, nc_span_cstr(real.text)) ? NACRE_FX_OK : NACRE_FX_FAILURE;
}

uint32_t nc_files_realpath(nacre_sftp_call *call, nacre_span path, nacre_sftp_answer *out)
{
    nc_path p;
    return nc_path_copy(&p, path) != 0 ? nc_files_fail(call, errno)
                                       : answer_resolved(call, p.text, out);
}

/* Who is in a jail has his home at its top, and nobody else is there. */
static int jail_home(nc_path *out, const char *user)
{
    char own[NC_NAME_SIZE];
    size_t n = nc_name_of_id(getuid(), false, own, sizeof(own) - 1);
    own[n] = '\0';
    if (user[0] && strcmp(user, own) != 0) {
        errno = ENOENT;
        return -1;
    }
    memcpy(out->text, "/", 2);
    return 0;
}

static int jail_expand(nc_path *out, const char *path)
{
    nc_path user;
    if (path[0] != '~') {
        return nc_path_copy(out, nc_span_cstr(path));
    }
    size_t len = strcspn(path + 1, "/");
    nacre_span rest = nc_span_cstr(path[1 + len] ? path + 1 + len : "/");
    return nc_path_copy(&user, nc_span(path + 1, len)) != 0 || jail_home(out, user.text) != 0
               ? -1
               : nc_path_copy(out, rest);
}

static int expand(const nacre_local_files *f, nc_path *out, const char *path)
{
    return nc_files_jailed(f) ? jail_expand(out, path) : nc_path_expand(out, path);
}

uint32_t nc_files_expand_path(nacre_sftp_call *call, nacre_span path, nacre_sftp_answer *out)
{
    nc_path p, full;
    if (nc_path_copy(&p, path) != 0 || expand(call->user, &full, p.text) != 0) {
        return nc_files_fail(call, errno);
    }
    return answer_resolved(call, full.text, out);
}

uint32_t nc_files_home_directory(nacre_sftp_call *call, nacre_span user, nacre_sftp_answer *out)
{
    const nacre_local_files *f = call->user;
    nc_path name, home;
    if (nc_path_copy(&name, user) != 0 ||
        (nc_files_jailed(f) ? jail_home : nc_path_home)(&home, name.text) != 0) {
        return nc_files_fail(call, errno);
    }
    return answer_resolved(call, home.text, out);
}
