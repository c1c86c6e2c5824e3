/*
 * nacre/memory_files.h - a tree of files in memory as an SFTP server's backend: for tests, examples, and
 * programs that serve what was never on a disk. Not shared between threads; sessions on one thread may
 * share it.
 */
#ifndef NACRE_MEMORY_FILES_H
#define NACRE_MEMORY_FILES_H

#include "nacre/sftp_server.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct nacre_memory_files nacre_memory_files;

typedef struct nacre_memory_files_options {
    size_t size; /* set by nacre_memory_files_options_init */
    const nacre_allocator *allocator;
    /* Of all files together, counted in pages of 4 KiB that hold something: holes are free, a link of more
       than 60 bytes is a page. No file is longer. Default 64 MiB. Beyond: FAILURE, "No space left". */
    uint64_t max_bytes;
    size_t max_files; /* files, directories and links, and names of one file; default 65536 */
    /* The clock of times that nobody set, seconds since 1970; NULL: all times are 0. */
    uint32_t (*now)(void *user);
    void *user;
} nacre_memory_files_options;
NACRE_API void nacre_memory_files_options_init(nacre_memory_files_options *o);

/* Returns owned: an empty root directory. o may be NULL. */
NACRE_API int nacre_memory_files_new(nacre_memory_files **out,
                                     const nacre_memory_files_options *o) NACRE_MUST_CHECK;
/* No session may use it any more. */
NACRE_API void nacre_memory_files_free(nacre_memory_files *m);
/* The vtable; its user argument is the nacre_memory_files. */
NACRE_API const nacre_sftp_server_ops *nacre_memory_files_ops(void);

/*
 * For the program around it: makes or replaces a file, with its parent directories; a copy of bytes.
 * NACRE_LIMIT, NACRE_NO_MEMORY; NACRE_EXISTS: something else is there; NACRE_TOO_LARGE: a name has more than 255
 * bytes; NACRE_NOT_FOUND: no path to anything. What failed half way may be there in part.
 */
NACRE_API int nacre_memory_files_put(nacre_memory_files *m, const char *path, nacre_span bytes,
                                     uint32_t mode) NACRE_MUST_CHECK;
/* The bytes of a file, borrowed until the tree changes; holes are zeros. NACRE_NOT_FOUND, NACRE_NO_MEMORY. */
NACRE_API int nacre_memory_files_get(nacre_memory_files *m, const char *path,
                                     nacre_span *bytes) NACRE_MUST_CHECK;
/* With its parents; one that is there already is good. As put. */
NACRE_API int nacre_memory_files_mkdir(nacre_memory_files *m, const char *path,
                                       uint32_t mode) NACRE_MUST_CHECK;

#ifdef __cplusplus
}
#endif
#endif
