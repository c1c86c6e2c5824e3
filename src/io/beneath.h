/*
 * beneath.h - paths resolved below a directory descriptor, and nowhere else: the jail of the local SFTP
 * backend.
 *
 * The directory is "/" of every path. Links are followed as seen from there, ".." ends there, whatever
 * others rename or link meanwhile: no path text is ever checked and then used again. The kernel does it
 * where it can (openat2(2) with RESOLVE_IN_ROOT); else the path is walked step by step, each step a
 * descriptor, each link read and never followed unseen. /proc is not needed.
 *
 * What nobody can undo: a directory that somebody moves out while a descriptor of it is held is still
 * that directory. Nothing but what was within it when it was found is reached by it.
 */
#ifndef NC_IO_BENEATH_H
#define NC_IO_BENEATH_H

#include "io/local_path.h"

typedef struct nc_beneath {
    int top;   /* -1: none */
    bool walk; /* without openat2 */
} nc_beneath;

/* Opens the directory. 0, or -1 and errno. */
int nc_beneath_init(nc_beneath *b, const char *directory) NACRE_MUST_CHECK;
void nc_beneath_end(nc_beneath *b);

/*
 * As openat(2) with O_CLOEXEC; links are followed but not at the end with O_NOFOLLOW, or O_CREAT and
 * O_EXCL. Relative paths begin at the top. A descriptor, or -1 and errno.
 */
int nc_beneath_open(const nc_beneath *b, const char *path, int flags, mode_t mode) NACRE_MUST_CHECK;
/*
 * The directory that holds the path's last name, and that name: no slash in it, not ".."; "." when the
 * path ends in the directory itself. The name may be a link, or not be there. *slash: one stood behind
 * it. A descriptor, or -1 and errno.
 */
int nc_beneath_parent(const nc_beneath *b, const char *path, char name[NAME_MAX + 1],
                      bool *slash) NACRE_MUST_CHECK;
/* The path without links, "." and ".."; its last name need not exist. 0, or -1 and errno. */
int nc_beneath_real(const nc_beneath *b, const char *path, nc_path *out) NACRE_MUST_CHECK;

#endif
