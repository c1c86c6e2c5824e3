/*
 * nacre/local_files.h - a directory of this machine as an SFTP server's backend.
 */
#ifndef NACRE_LOCAL_FILES_H
#define NACRE_LOCAL_FILES_H

#include "nacre/base.h"
#include "nacre/sftp_server.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct nacre_local_files nacre_local_files;

typedef struct nacre_local_files_options {
    size_t size; /* set by nacre_local_files_options_init */
    const nacre_allocator *allocator;
    const char *start; /* relative paths begin here; NULL: the working directory. With root: a path
                          within it, NULL: its top */
    /*
     * Not NULL: a jail. This directory is "/" of every path, and nothing outside it can be reached,
     * whatever names, "..", links or renames somebody comes up with: paths are resolved below its
     * descriptor (openat2(2) with RESOLVE_IN_ROOT where the kernel has it, else step by step without
     * following links unseen). Opened once, when the backend is made. Links inside are followed, seen
     * from the jail's top. "~" is the top. A file or directory that somebody on this machine moves out
     * while it is open stays what it is.
     */
    const char *root;
    bool read_only; /* whatever would change something is refused with PERMISSION_DENIED */
    int umask;      /* -1: the process's; else bits taken from the modes of what is made */
} nacre_local_files_options;
NACRE_API void nacre_local_files_options_init(nacre_local_files_options *o);

/* Returns owned in *out. The files are accessed as the user that the process is. */
NACRE_API int nacre_local_files_new(nacre_local_files **out, const nacre_local_files_options *o,
                                    nacre_error *err) NACRE_MUST_CHECK;
NACRE_API void nacre_local_files_free(nacre_local_files *f);
/* The vtable; its user argument is the nacre_local_files. */
NACRE_API const nacre_sftp_server_ops *nacre_local_files_ops(void);

#ifdef __cplusplus
}
#endif
#endif
