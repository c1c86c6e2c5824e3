/*
 * sftp_local.h - the local ends of transfers: a target that appears only when it is whole, and a source
 * that is read in place.
 */
#ifndef NC_CLIENT_SFTP_LOCAL_H
#define NC_CLIENT_SFTP_LOCAL_H

#include "base/error.h"
#include "nacre/sftp_attrs.h"

#include <sys/stat.h>
#include <sys/types.h>

/* Where a local file is: a path that the user named, or a name in a directory that is open. */
typedef struct nc_local_place {
    const char *path; /* for messages; what is opened when dir is -1 */
    int dir;          /* not -1: name is opened in it, and no link is followed */
    const char *name;
    mode_t mode; /* that a new file is to have, less the umask; 0: not known yet */
} nc_local_place;

typedef struct nc_local_target {
    const nacre_allocator *alloc;
    int fd;
    int dir;         /* of name and temporary; AT_FDCWD: they are paths. The caller's */
    char *path;      /* for messages */
    char *name;      /* what becomes of it; a path's symbolic link has been followed */
    char *temporary; /* NULL: name itself is written */
    bool seekable;
    bool regular;
    bool readable;
    bool replaces; /* a file was there; its mode stays */
    bool made;     /* written directly, and it was not there before */
    mode_t mode;   /* of the file that was there, or what the umask leaves */
} nc_local_target;

void nc_local_init(nc_local_target *t, const nacre_allocator *alloc);
enum {
    NC_LOCAL_DIRECT = 1, /* no temporary name */
    NC_LOCAL_READ =
        2 /* what was written will be read again; not everything lets us (t->readable) */
};
int nc_local_create(nc_local_target *t, const nacre_allocator *alloc, const nc_local_place *where,
                    unsigned how, nacre_error *err) NACRE_MUST_CHECK;
/*
 * A regular file that is there and not empty, to be read and written on behind its end, *size.
 * NACRE_NOT_FOUND: there is no such thing (err is not filled).
 */
int nc_local_resume(nc_local_target *t, const nacre_allocator *alloc, const nc_local_place *where,
                    uint64_t *size, nacre_error *err) NACRE_MUST_CHECK;
int nc_local_write(nc_local_target *t, uint64_t offset, nacre_span bytes,
                   nacre_error *err) NACRE_MUST_CHECK;

typedef struct nc_local_finish {
    const nacre_sftp_attrs *attrs; /* the remote file's */
    bool preserve;
    bool keep_special; /* with preserve: setuid, setgid and sticky too */
    bool sync;
    uint64_t end; /* cut a directly written file here; UINT64_MAX: no */
} nc_local_finish;
int nc_local_commit(nc_local_target *t, const nc_local_finish *how,
                    nacre_error *err) NACRE_MUST_CHECK;
void nc_local_abandon(nc_local_target *t);

/*
 * Opens a file to be read: no directory, and nothing but a regular file when it is a name in an open
 * directory. *fd is the caller's.
 */
int nc_local_open(const nc_local_place *where, int *fd, struct stat *st,
                  nacre_error *err) NACRE_MUST_CHECK;

/* Six characters for a temporary name, and a terminator. */
int nc_local_random_name(char out[7]) NACRE_MUST_CHECK;
/* "dir/.base.XXXXXX" beside path, with the given six; NULL: no memory. Owned. */
char *nc_local_temporary(const nacre_allocator *alloc, const char *path, const char *random);
/* What errno says, with the path; returns NACRE_IO. */
int nc_local_errno(nacre_error *err, const char *verb, const char *path);

#endif
