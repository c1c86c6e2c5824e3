/*
 * new_file.h - a file that appears under its name, in a directory that is held by its descriptor, only
 * when it is whole.
 */
#ifndef NC_IO_NEW_FILE_H
#define NC_IO_NEW_FILE_H

#include "base/error.h"

#include <limits.h>
#include <sys/types.h>

typedef struct nc_new_file {
    int fd;  /* -1: none is being made */
    int dir; /* the caller's, until the end */
    char name[PATH_MAX];
    char temporary[NAME_MAX + 1]; /* "": name itself is written */
    bool regular, replaces;
    mode_t mode; /* it gets in the end */
    uint64_t written;
} nc_new_file;

typedef struct nc_new_file_how {
    const char *path; /* for people */
    mode_t mode;      /* of a file that was not there; less the umask */
    int umask;        /* -1: the process's */
    bool special;     /* fifos and devices may be written to */
    bool never_waits; /* and are full rather than waited for: NACRE_IO with EAGAIN */
} nc_new_file_how;

typedef struct nc_new_file_end {
    bool set_mode;
    mode_t mode;
    bool set_times;
    uint64_t mtime, atime;
} nc_new_file_end;

void nc_new_file_init(nc_new_file *f);
/*
 * name is a single one. A regular file that is there keeps its mode and owner and is replaced at the end
 * (where no file can be made beside it, it is written itself); a link is replaced, not followed. NACRE_IO,
 * errno in detail.
 */
int nc_new_file_create(nc_new_file *f, int dir, const char *name, const nc_new_file_how *how,
                       nacre_error *err) NACRE_MUST_CHECK;
int nc_new_file_write(nc_new_file *f, nacre_span data, const char *path,
                      nacre_error *err) NACRE_MUST_CHECK;
/* Over in any case. When only mode or times could not be set, the file is there all the same. */
int nc_new_file_finish(nc_new_file *f, const nc_new_file_end *how, const char *path,
                       nacre_error *err) NACRE_MUST_CHECK;
/* Nothing comes of it. One that was written itself stays, cut where the data ended, if any came. */
void nc_new_file_abandon(nc_new_file *f);

#endif
