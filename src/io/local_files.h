/*
 * local_files.h - what the files of the local SFTP backend share: local_files.c (life, open files,
 * directories), local_place.c (where a path leads, jail or not), local_attrs.c, local_copy.c,
 * local_names.c.
 */
#ifndef NC_IO_LOCAL_FILES_H
#define NC_IO_LOCAL_FILES_H

#include "io/beneath.h"
#include "nacre/local_files.h"

#include <sys/stat.h>
#include <sys/uio.h>

enum {
    NC_NAMES_CACHED = 64, /* a listing mostly shows a few owners over and over */
    NC_NAME_SIZE = 64
};

typedef struct nc_known_name {
    uint32_t id;
    bool set;
    char name[NC_NAME_SIZE]; /* "": has none */
} nc_known_name;

struct nacre_local_files {
    const nacre_allocator *alloc;
    int root;        /* where relative paths begin; -1 in a jail */
    char *start;     /* its path, within the jail if there is one */
    nc_beneath jail; /* top -1: none */
    bool read_only;
    mode_t mask;
    char message[96]; /* of the last failure whose code says too little */
    nc_known_name names[2][NC_NAMES_CACHED];
};

/* Statuses of an errno; of a call's 0 or -1. */
uint32_t nc_files_fail(nacre_sftp_call *call, int errnum);
uint32_t nc_files_result(nacre_sftp_call *call, int rc);
bool nc_files_refused(const nacre_sftp_call *call); /* read-only */
mode_t nc_files_mode(const nacre_local_files *f, const nacre_sftp_attrs *a, mode_t otherwise);

/* The object behind OPEN's handles. */
typedef struct nc_local_file {
    int fd;
} nc_local_file;
ssize_t nc_files_read_at(int fd, const struct iovec *iov, int count,
                         uint64_t offset) NACRE_MUST_CHECK;
int nc_files_write_at(int fd, const uint8_t *p, size_t n, uint64_t offset) NACRE_MUST_CHECK;

/* ---- local_place.c ---- */

/* A name for the *at calls, which never follow a link there (AT_SYMLINK_NOFOLLOW and the like). */
typedef struct nc_place {
    int dir;
    const char *name;
    bool owned; /* dir */
    nc_path text;
} nc_place;
/* 0, or -1 and errno. End it in either case; it keeps errno. */
int nc_place_find(const nacre_local_files *f, nacre_span path, nc_place *out) NACRE_MUST_CHECK;
void nc_place_end(nc_place *p);
/* Opens a path, links followed as open(2) does. A descriptor, or -1 and errno. */
int nc_files_open(const nacre_local_files *f, nacre_span path, int flags,
                  mode_t mode) NACRE_MUST_CHECK;
/* The path without links, and relative to nothing. 0, or -1 and errno. */
int nc_files_real(const nacre_local_files *f, const char *path, nc_path *out) NACRE_MUST_CHECK;
static inline bool nc_files_jailed(const nacre_local_files *f)
{
    return f->jail.top >= 0;
}

/* ---- local_attrs.c ---- */

uint32_t nc_files_stat(nacre_sftp_call *call, nacre_span path, nacre_sftp_attrs *out);
uint32_t nc_files_lstat(nacre_sftp_call *call, nacre_span path, nacre_sftp_attrs *out);
uint32_t nc_files_fstat(nacre_sftp_call *call, void *object, nacre_sftp_attrs *out);
uint32_t nc_files_setstat(nacre_sftp_call *call, nacre_span path, const nacre_sftp_attrs *a);
uint32_t nc_files_lsetstat(nacre_sftp_call *call, nacre_span path, const nacre_sftp_attrs *a);
uint32_t nc_files_fsetstat(nacre_sftp_call *call, void *object, const nacre_sftp_attrs *a);
uint32_t nc_files_statvfs(nacre_sftp_call *call, nacre_span path, nacre_sftp_statvfs *out);
uint32_t nc_files_fstatvfs(nacre_sftp_call *call, void *object, nacre_sftp_statvfs *out);

/* ---- local_copy.c ---- */

uint32_t nc_files_copy_data(nacre_sftp_call *call, void *from_object, uint64_t from, uint64_t n,
                            void *to_object, uint64_t to, uint64_t *copied);

/* ---- local_names.c: the operations on names ---- */

uint32_t nc_files_remove(nacre_sftp_call *call, nacre_span path);
uint32_t nc_files_rmdir(nacre_sftp_call *call, nacre_span path);
uint32_t nc_files_mkdir(nacre_sftp_call *call, nacre_span path, const nacre_sftp_attrs *a);
uint32_t nc_files_rename(nacre_sftp_call *call, nacre_span from, nacre_span to);
uint32_t nc_files_posix_rename(nacre_sftp_call *call, nacre_span from, nacre_span to);
uint32_t nc_files_hardlink(nacre_sftp_call *call, nacre_span from, nacre_span to);
uint32_t nc_files_symlink(nacre_sftp_call *call, nacre_span target_path, nacre_span link);
uint32_t nc_files_readlink(nacre_sftp_call *call, nacre_span path, nacre_sftp_answer *out);
uint32_t nc_files_realpath(nacre_sftp_call *call, nacre_span path, nacre_sftp_answer *out);
uint32_t nc_files_expand_path(nacre_sftp_call *call, nacre_span path, nacre_sftp_answer *out);
uint32_t nc_files_home_directory(nacre_sftp_call *call, nacre_span user, nacre_sftp_answer *out);

#endif
