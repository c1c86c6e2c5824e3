/*
 * local_place.c - where a path of an SFTP client leads on this machine: anywhere, as for any program, or
 * below a jail's top and nowhere else. No other file of the backend turns paths into files.
 */
#include "io/local_files.h"

#include "io/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* The path as seen from the jail's top. */
static int from_top(const nacre_local_files *f, const char *path, nc_path *out)
{
    if (path[0] == '\0') {
        errno = ENOENT;
        return -1;
    }
    bool whole = path[0] == '/';
    int n = snprintf(out->text, sizeof(out->text), "%s%s%s", whole ? "" : f->start,
                     whole ? "" : "/", path);
    if (n < 0 || (size_t)n >= sizeof(out->text)) {
        errno = ENAMETOOLONG;
        return -1;
    }
    return 0;
}

/* A slash behind a name asks for a directory, and follows a link to one. */
static int mind_slash(const nacre_local_files *f, const nc_path *full, nc_place *p)
{
    struct stat st;
    if (fstatat(p->dir, p->name, &st, AT_SYMLINK_NOFOLLOW) != 0 || S_ISDIR(st.st_mode)) {
        return 0; /* to be made, or as it should be */
    }
    if (!S_ISLNK(st.st_mode)) {
        errno = ENOTDIR;
        return -1;
    }
    int fd = nc_beneath_open(&f->jail, full->text, O_PATH | O_DIRECTORY, 0);
    if (fd < 0) {
        return -1;
    }
    nc_fd_close(&p->dir);
    p->dir = fd;
    p->name = ".";
    return 0;
}

int nc_place_find(const nacre_local_files *f, nacre_span path, nc_place *out)
{
    nc_path given, full;
    bool slash = false;
    out->dir = -1;
    out->owned = false;
    out->name = out->text.text;
    if (!nc_files_jailed(f)) {
        out->dir = f->root;
        return nc_path_copy(&out->text, path);
    }
    if (nc_path_copy(&given, path) != 0 || from_top(f, given.text, &full) != 0) {
        return -1;
    }
    out->owned = true;
    out->dir = nc_beneath_parent(&f->jail, full.text, out->text.text, &slash);
    if (out->dir < 0) {
        return -1;
    }
    return slash && strcmp(out->name, ".") != 0 ? mind_slash(f, &full, out) : 0;
}

void nc_place_end(nc_place *p)
{
    if (p->owned) {
        nc_fd_close(&p->dir);
    }
}

int nc_files_open(const nacre_local_files *f, nacre_span path, int flags, mode_t mode)
{
    nc_path given, full;
    if (nc_path_copy(&given, path) != 0) {
        return -1;
    }
    if (!nc_files_jailed(f)) {
        return openat(f->root, given.text, flags | O_CLOEXEC, mode);
    }
    return from_top(f, given.text, &full) != 0 ? -1
                                               : nc_beneath_open(&f->jail, full.text, flags, mode);
}

int nc_files_real(const nacre_local_files *f, const char *path, nc_path *out)
{
    nc_path full;
    if (!nc_files_jailed(f)) {
        return nc_path_resolve(out, f->start, path);
    }
    return from_top(f, path[0] ? path : ".", &full) != 0
               ? -1
               : nc_beneath_real(&f->jail, full.text, out);
}
