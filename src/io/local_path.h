/*
 * local_path.h - paths and numbers of a local directory tree, for the SFTP backend.
 */
#ifndef NC_IO_LOCAL_PATH_H
#define NC_IO_LOCAL_PATH_H

#include "nacre/sftp_attrs.h"

#include <limits.h>
#include <sys/stat.h>

typedef struct nc_path {
    char text[PATH_MAX];
} nc_path;

/* A span as a string: 0, or -1 and errno (ENAMETOOLONG; ENOENT for a zero byte in it). */
int nc_path_copy(nc_path *out, nacre_span path) NACRE_MUST_CHECK;
/*
 * The absolute path without links, "." and ".." (OpenSSH's realpath: the last name need not exist).
 * Relative paths begin at start, which is absolute. 0, or -1 and errno.
 */
int nc_path_resolve(nc_path *out, const char *start, const char *path) NACRE_MUST_CHECK;
/* "~", "~/x", "~user/x" into *out; others are copied. ENOENT: no such user. */
int nc_path_expand(nc_path *out, const char *path) NACRE_MUST_CHECK;
/* The home directory of a user; "": of ourselves. */
int nc_path_home(nc_path *out, const char *user) NACRE_MUST_CHECK;

uint32_t nc_fx_of_errno(int errnum); /* as OpenSSH's server maps them */
void nc_attrs_of_stat(const struct stat *st, nacre_sftp_attrs *out);
size_t nc_name_of_id(uint32_t id, bool group, char *out, size_t size);

#endif
