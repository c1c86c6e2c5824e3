/*
 * local_files.h - what the two files of the local SFTP backend share.
 */
#ifndef NC_IO_LOCAL_FILES_H
#define NC_IO_LOCAL_FILES_H

#include "nacre/local_files.h"

#include <sys/stat.h>

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
    int root; /* where relative paths begin */
    char *start;
    bool read_only;
    mode_t mask;
    char message[96]; /* of the last failure whose code says too little */
    nc_known_name names[2][NC_NAMES_CACHED];
};

/* Statuses of an errno; of a call's 0 or -1. */
uint32_t nc_files_fail(nacre_sftp_call *call, int errnum);
uint32_t nc_files_result(nacre_sftp_call *call, int rc);
bool nc_files_refused(const nacre_sftp_call *call); /* read-only */
int nc_files_root(const nacre_sftp_call *call);
mode_t nc_files_mode(const nacre_local_files *f, const nacre_sftp_attrs *a, mode_t otherwise);

/* local_names.c: the operations on names. */
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
