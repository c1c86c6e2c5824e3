/*
 * sftp_local.h - the local ends of transfers: a target that appears only when it is whole, and a source
 * that is read in place.
 */
#ifndef NC_CLIENT_SFTP_LOCAL_H
#define NC_CLIENT_SFTP_LOCAL_H

#include "base/error.h"
#include "nacre/sftp_attrs.h"

#include <sys/types.h>

typedef struct nc_local_target {
    const nacre_allocator *alloc;
    int fd;
    char *path;      /* what becomes of it; a symbolic link is followed */
    char *temporary; /* NULL: path itself is written */
    bool seekable;
    bool regular;
    bool replaces; /* a file was there; its mode stays */
    bool made;     /* written directly, and it was not there before */
    mode_t mode;   /* of the file that was there, or what the umask leaves */
} nc_local_target;

void nc_local_init(nc_local_target *t, const nacre_allocator *alloc);
int nc_local_create(nc_local_target *t, const nacre_allocator *alloc, const char *path, bool direct,
                    nacre_error *err) NACRE_MUST_CHECK;
int nc_local_write(nc_local_target *t, uint64_t offset, nacre_span bytes,
                   nacre_error *err) NACRE_MUST_CHECK;

typedef struct nc_local_finish {
    const nacre_sftp_attrs *attrs; /* the remote file's */
    bool preserve;
    bool sync;
    uint64_t end; /* cut a directly written file here; UINT64_MAX: no */
} nc_local_finish;
int nc_local_commit(nc_local_target *t, const nc_local_finish *how,
                    nacre_error *err) NACRE_MUST_CHECK;
void nc_local_abandon(nc_local_target *t);

/* Six characters for a temporary name, and a terminator. */
int nc_local_random_name(char out[7]) NACRE_MUST_CHECK;
/* "dir/.base.XXXXXX" beside path, with the given six; NULL: no memory. Owned. */
char *nc_local_temporary(const nacre_allocator *alloc, const char *path, const char *random);
/* What errno says, with the path; returns NACRE_IO. */
int nc_local_errno(nacre_error *err, const char *verb, const char *path);

#endif
