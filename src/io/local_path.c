/*
 * local_path.c - see local_path.h.
 */
#include "io/local_path.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { LINKS_MAX = 40 /* as Linux */, TEXT = 16384 };

int nc_path_copy(nc_path *out, nacre_span path)
{
    if (path.n >= sizeof(out->text)) {
        errno = ENAMETOOLONG;
        return -1;
    }
    if (path.n && memchr(path.p, 0, path.n)) {
        errno = ENOENT;
        return -1;
    }
    if (path.n) {
        memcpy(out->text, path.p, path.n);
    }
    out->text[path.n] = '\0';
    return 0;
}

static int join(nc_path *out, const char *a, size_t a_len, const char *b)
{
    nc_path made;
    int n = snprintf(made.text, sizeof(made.text), "%.*s/%s", (int)a_len, a, b);
    if (n < 0 || (size_t)n >= sizeof(made.text)) {
        errno = ENAMETOOLONG;
        return -1;
    }
    memcpy(out->text, made.text, (size_t)n + 1);
    return 0;
}

static void cut_last(nc_path *p)
{
    char *slash = strrchr(p->text, '/');
    if (slash) {
        *slash = '\0';
    }
}

/* The link's target goes in front of what is left; where it points decides where to go on. */
static int follow(nc_path *done, nc_path *left)
{
    nc_path target;
    ssize_t n = readlink(done->text, target.text, sizeof(target.text) - 1);
    if (n < 0) {
        return -1;
    }
    if (n == 0 || (size_t)n >= sizeof(target.text) - 1) {
        errno = n == 0 ? ENOENT : ENAMETOOLONG;
        return -1;
    }
    target.text[n] = '\0';
    if (target.text[0] == '/') {
        done->text[0] = '\0';
    } else {
        cut_last(done);
    }
    return join(left, target.text, (size_t)n, left->text);
}

static int enter(nc_path *done, nc_path *left, const char *name, size_t len, int *links)
{
    struct stat st;
    if (len == 1 && name[0] == '.') {
        return 0;
    }
    if (len == 2 && name[0] == '.' && name[1] == '.') {
        cut_last(done);
        return 0;
    }
    nc_path one;
    memcpy(one.text, name, len);
    one.text[len] = '\0';
    if (join(done, done->text, strlen(done->text), one.text) != 0) {
        return -1;
    }
    if (lstat(done->text, &st) != 0) {
        bool last = left->text[strspn(left->text, "/")] == '\0';
        return errno == ENOENT && last ? 0 : -1;
    }
    if (!S_ISLNK(st.st_mode)) {
        return 0;
    }
    if (++*links > LINKS_MAX) {
        errno = ELOOP;
        return -1;
    }
    return follow(done, left);
}

int nc_path_resolve(nc_path *out, const char *start, const char *path)
{
    nc_path left;
    int links = 0;
    /* Without its trailing slash while it is built; "" is the root. */
    out->text[0] = '\0';
    if (path[0] == '/') {
        if (nc_path_copy(&left, (nacre_span){(const uint8_t *)path, strlen(path)}) != 0) {
            return -1;
        }
    } else if (join(&left, start, strlen(start), path) != 0) {
        return -1;
    }
    for (;;) {
        size_t skip = strspn(left.text, "/");
        size_t len = strcspn(left.text + skip, "/");
        if (len == 0) {
            break;
        }
        char name[NAME_MAX + 1];
        if (len >= sizeof(name)) {
            errno = ENAMETOOLONG;
            return -1;
        }
        memcpy(name, left.text + skip, len);
        memmove(left.text, left.text + skip + len, strlen(left.text + skip + len) + 1);
        if (enter(out, &left, name, len, &links) != 0) {
            return -1;
        }
    }
    if (out->text[0] == '\0') {
        out->text[0] = '/';
        out->text[1] = '\0';
    }
    return 0;
}

int nc_path_home(nc_path *out, const char *user)
{
    struct passwd row, *found = NULL;
    char text[TEXT];
    int rc = user[0] ? getpwnam_r(user, &row, text, sizeof(text), &found)
                     : getpwuid_r(getuid(), &row, text, sizeof(text), &found);
    if (!found) {
        errno = rc && rc != ESRCH ? rc : ENOENT;
        return -1;
    }
    return nc_path_copy(out, (nacre_span){(const uint8_t *)found->pw_dir, strlen(found->pw_dir)});
}

int nc_path_expand(nc_path *out, const char *path)
{
    if (path[0] != '~') {
        return nc_path_copy(out, (nacre_span){(const uint8_t *)path, strlen(path)});
    }
    size_t len = strcspn(path + 1, "/");
    nc_path user;
    if (nc_path_copy(&user, (nacre_span){(const uint8_t *)path + 1, len}) != 0 ||
        nc_path_home(out, user.text) != 0) {
        return -1;
    }
    const char *rest = path + 1 + len;
    return *rest ? join(out, out->text, strlen(out->text), rest + 1) : 0;
}

uint32_t nc_fx_of_errno(int errnum)
{
    switch (errnum) {
    case 0:
        return NACRE_FX_OK;
    case ENOENT:
    case ENOTDIR:
    case EBADF:
    case ELOOP:
        return NACRE_FX_NO_SUCH_FILE;
    case EPERM:
    case EACCES:
    case EFAULT:
        return NACRE_FX_PERMISSION_DENIED;
    case ENAMETOOLONG:
    case EINVAL:
        return NACRE_FX_BAD_MESSAGE;
    case ENOSYS:
        return NACRE_FX_OP_UNSUPPORTED;
    default:
        return NACRE_FX_FAILURE;
    }
}

void nc_attrs_of_stat(const struct stat *st, nacre_sftp_attrs *out)
{
    memset(out, 0, sizeof(*out));
    out->flags = NACRE_SFTP_ATTR_SIZE | NACRE_SFTP_ATTR_UIDGID | NACRE_SFTP_ATTR_PERMISSIONS |
                 NACRE_SFTP_ATTR_ACMODTIME;
    out->size = (uint64_t)st->st_size;
    out->uid = st->st_uid;
    out->gid = st->st_gid;
    out->permissions = st->st_mode;
    out->atime = (uint32_t)st->st_atime;
    out->mtime = (uint32_t)st->st_mtime;
}

size_t nc_name_of_id(uint32_t id, bool group, char *out, size_t size)
{
    char text[TEXT];
    const char *name = NULL;
    struct passwd user, *found_user = NULL;
    struct group row, *found_group = NULL;
    if (group) {
        (void)getgrgid_r((gid_t)id, &row, text, sizeof(text), &found_group);
        name = found_group ? found_group->gr_name : NULL;
    } else {
        (void)getpwuid_r((uid_t)id, &user, text, sizeof(text), &found_user);
        name = found_user ? found_user->pw_name : NULL;
    }
    size_t n = name ? strlen(name) : 0;
    if (n == 0 || n > size) {
        return 0;
    }
    memcpy(out, name, n);
    return n;
}
