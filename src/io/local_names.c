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
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

uint32_t nc_files_remove(nacre_sftp_call *call, nacre_span path)
{
    nc_path p;
    if (nc_files_refused(call)) {
        return NACRE_FX_PERMISSION_DENIED;
    }
    return nc_files_result(
        call, nc_path_copy(&p, path) != 0 ? -1 : unlinkat(nc_files_root(call), p.text, 0));
}

uint32_t nc_files_rmdir(nacre_sftp_call *call, nacre_span path)
{
    nc_path p;
    if (nc_files_refused(call)) {
        return NACRE_FX_PERMISSION_DENIED;
    }
    int rc = nc_path_copy(&p, path);
    return nc_files_result(call,
                           rc != 0 ? rc : unlinkat(nc_files_root(call), p.text, AT_REMOVEDIR));
}

uint32_t nc_files_mkdir(nacre_sftp_call *call, nacre_span path, const nacre_sftp_attrs *a)
{
    nc_path p;
    if (nc_files_refused(call)) {
        return NACRE_FX_PERMISSION_DENIED;
    }
    if (nc_path_copy(&p, path) != 0) {
        return nc_files_fail(call, errno);
    }
    return nc_files_result(
        call, mkdirat(nc_files_root(call), p.text, nc_files_mode(call->user, a, 0777)));
}

/* Two paths of a request that changes something. */
static uint32_t two_paths(nacre_sftp_call *call, nacre_span a, nacre_span b, nc_path *pa,
                          nc_path *pb)
{
    if (nc_files_refused(call)) {
        return NACRE_FX_PERMISSION_DENIED;
    }
    return nc_path_copy(pa, a) != 0 || nc_path_copy(pb, b) != 0 ? nc_files_fail(call, errno)
                                                                : NACRE_FX_OK;
}

/* Without the kernel's help: a link cannot replace anything; what cannot be linked is looked at first. */
static int rename_by_link(int root, const char *from, const char *to)
{
    struct stat st;
    if (fstatat(root, from, &st, AT_SYMLINK_NOFOLLOW) != 0) {
        return -1;
    }
    if (S_ISREG(st.st_mode) && linkat(root, from, root, to, 0) == 0) {
        if (unlinkat(root, from, 0) == 0) {
            return 0;
        }
        int why = errno;
        (void)unlinkat(root, to, 0); /* take the second name back */
        errno = why;
        return -1;
    }
    bool no_links = errno == EOPNOTSUPP || errno == ENOSYS || errno == EXDEV || errno == EPERM ||
                    errno == EMLINK;
    if (S_ISREG(st.st_mode) && !no_links) {
        return -1;
    }
    if (fstatat(root, to, &st, AT_SYMLINK_NOFOLLOW) == 0) {
        errno = EEXIST;
        return -1;
    }
    return renameat(root, from, root, to);
}

uint32_t nc_files_rename(nacre_sftp_call *call, nacre_span from, nacre_span to)
{
    nc_path a, b;
    uint32_t code = two_paths(call, from, to, &a, &b);
    if (code != NACRE_FX_OK) {
        return code;
    }
    int root = nc_files_root(call);
#ifdef SYS_renameat2
    const unsigned no_replace = 1; /* RENAME_NOREPLACE */
    if (syscall(SYS_renameat2, root, a.text, root, b.text, no_replace) == 0) {
        return NACRE_FX_OK;
    }
    if (errno != ENOSYS && errno != EINVAL && errno != EOPNOTSUPP) {
        return nc_files_fail(call, errno);
    }
#endif
    return nc_files_result(call, rename_by_link(root, a.text, b.text));
}

uint32_t nc_files_posix_rename(nacre_sftp_call *call, nacre_span from, nacre_span to)
{
    nc_path a, b;
    uint32_t code = two_paths(call, from, to, &a, &b);
    int root = nc_files_root(call);
    return code != NACRE_FX_OK ? code : nc_files_result(call, renameat(root, a.text, root, b.text));
}

uint32_t nc_files_hardlink(nacre_sftp_call *call, nacre_span from, nacre_span to)
{
    nc_path a, b;
    uint32_t code = two_paths(call, from, to, &a, &b);
    int root = nc_files_root(call);
    return code != NACRE_FX_OK ? code
                               : nc_files_result(call, linkat(root, a.text, root, b.text, 0));
}

uint32_t nc_files_symlink(nacre_sftp_call *call, nacre_span target_path, nacre_span link)
{
    nc_path a, b;
    uint32_t code = two_paths(call, target_path, link, &a, &b);
    return code != NACRE_FX_OK
               ? code
               : nc_files_result(call, symlinkat(a.text, nc_files_root(call), b.text));
}

uint32_t nc_files_readlink(nacre_sftp_call *call, nacre_span path, nacre_sftp_answer *out)
{
    nc_path p, target_path;
    if (nc_path_copy(&p, path) != 0) {
        return nc_files_fail(call, errno);
    }
    ssize_t n = readlinkat(nc_files_root(call), p.text, target_path.text, sizeof(target_path.text));
    if (n < 0) {
        return nc_files_fail(call, errno);
    }
    return nacre_sftp_answer_path(out, nc_span(target_path.text, (size_t)n)) ? NACRE_FX_OK
                                                                             : NACRE_FX_FAILURE;
}

static uint32_t answer_resolved(nacre_sftp_call *call, const char *path, nacre_sftp_answer *out)
{
    const nacre_local_files *f = call->user;
    nc_path real;
    if (nc_path_resolve(&real, f->start, path) != 0) {
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

uint32_t nc_files_expand_path(nacre_sftp_call *call, nacre_span path, nacre_sftp_answer *out)
{
    nc_path p, full;
    if (nc_path_copy(&p, path) != 0 || nc_path_expand(&full, p.text) != 0) {
        return nc_files_fail(call, errno);
    }
    return answer_resolved(call, full.text, out);
}

uint32_t nc_files_home_directory(nacre_sftp_call *call, nacre_span user, nacre_sftp_answer *out)
{
    nc_path name, home;
    if (nc_path_copy(&name, user) != 0 || nc_path_home(&home, name.text) != 0) {
        return nc_files_fail(call, errno);
    }
    return answer_resolved(call, home.text, out);
}
