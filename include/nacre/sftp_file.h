/*
 * nacre/sftp_file.h - a remote file as one opens files: a position, reading ahead, writing behind.
 *
 * Small reads and writes are fast without asking: what is read in order is fetched ahead of the caller,
 * what is written leaves in large requests that are not waited for. Memory for both is bounded. An error
 * of a write that came late is returned by the next write, by nacre_sftp_file_flush, or by
 * nacre_sftp_file_close, which return it once; all that was acknowledged before it is in the file.
 *
 * Position and buffers belong to nacre_sftp_file_read, _write, _gets, _seek and _tell.
 * nacre_sftp_file_pread and _pwrite name their own offset, wait for the answer, and leave the position
 * alone; they see what was written before them. One thread at a time, as for the session.
 */
#ifndef NACRE_SFTP_FILE_H
#define NACRE_SFTP_FILE_H

#include "nacre/sftp.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct nacre_sftp_file nacre_sftp_file;

typedef struct nacre_sftp_file_options {
    size_t size;         /* set by nacre_sftp_file_options_init */
    uint64_t read_ahead; /* bytes fetched ahead at most; 0: as the link deserves; 1: none */
    uint64_t
        write_behind; /* bytes not acknowledged at most; 0: as the link deserves; 1: each write waits */
} nacre_sftp_file_options;
NACRE_API void nacre_sftp_file_options_init(nacre_sftp_file_options *o);

/*
 * pflags: NACRE_FXF_*; mode: permissions of a file that is made, less the server's umask. *out is
 * owned. With NACRE_FXF_APPEND every write goes to the end, wherever the position is.
 */
NACRE_API int nacre_sftp_file_open(nacre_sftp *s, const char *path, uint32_t pflags, uint32_t mode,
                                   nacre_sftp_file **out) NACRE_MUST_CHECK;
/*
 * The same with C's and Python's modes: "r", "r+", "w" (makes or empties), "w+", "a" (makes, appends),
 * "a+", "x" (makes; an error when it is there), "x+"; a "b" anywhere behind the first letter is ignored.
 * NACRE_INVALID_ARGUMENT: another mode. o may be NULL. With "a" the position begins at the end.
 */
NACRE_API int nacre_sftp_file_fopen(nacre_sftp *s, const char *path, const char *mode,
                                    const nacre_sftp_file_options *o,
                                    nacre_sftp_file **out) NACRE_MUST_CHECK;

/* ---- at the position ---------------------------------------------------------------------------------- */

/*
 * Reads up to n bytes, fewer only at the end of the file: *got; NACRE_END when there is none (a file that
 * grows is asked again by the next call). On an error *got is what came before it, and the position is
 * behind that; after NACRE_TIMEOUT the requests stay on the way for the next call. NACRE_WRONG_STATE: not
 * open for reading.
 */
NACRE_API int nacre_sftp_file_read(nacre_sftp_file *f, void *p, size_t n,
                                   size_t *got) NACRE_MUST_CHECK;
/*
 * One line into p, its newline included, zero-terminated: *got is the length without the zero byte. A
 * line longer than size - 1 comes in pieces. NACRE_END at the end.
 */
NACRE_API int nacre_sftp_file_gets(nacre_sftp_file *f, char *p, size_t size,
                                   size_t *got) NACRE_MUST_CHECK;
/*
 * Takes all n bytes over; they need not have left. On an error - a late one of an earlier write, or why
 * no room came - the position tells how many were taken. NACRE_WRONG_STATE: not open for writing.
 */
NACRE_API int nacre_sftp_file_write(nacre_sftp_file *f, const void *p, size_t n) NACRE_MUST_CHECK;
/* Waits until all that was written is acknowledged. */
NACRE_API int nacre_sftp_file_flush(nacre_sftp_file *f) NACRE_MUST_CHECK;
/* whence: SEEK_SET, SEEK_CUR, SEEK_END (which asks the server). Beyond the end is allowed. */
NACRE_API int nacre_sftp_file_seek(nacre_sftp_file *f, int64_t offset, int whence) NACRE_MUST_CHECK;
NACRE_API uint64_t nacre_sftp_file_tell(const nacre_sftp_file *f);

/* ---- anywhere ----------------------------------------------------------------------------------------- */

/* Reads n bytes, fewer only at the end of the file: *got; NACRE_END when there is none. Any n: the
 * requests are pipelined. */
NACRE_API int nacre_sftp_file_pread(nacre_sftp_file *f, uint64_t offset, void *p, size_t n,
                                    size_t *got) NACRE_MUST_CHECK;
/* Writes all n bytes, pipelined, and waits until the server has acknowledged each. */
NACRE_API int nacre_sftp_file_pwrite(nacre_sftp_file *f, uint64_t offset, const void *p,
                                     size_t n) NACRE_MUST_CHECK;
/* Several places at once, all requests on the way together. got of each is filled. */
typedef struct nacre_sftp_piece {
    uint64_t offset;
    void *p;
    size_t n;
    size_t got; /* out; less than n: the file ends there */
} nacre_sftp_piece;
NACRE_API int nacre_sftp_file_readv(nacre_sftp_file *f, nacre_sftp_piece *pieces,
                                    size_t count) NACRE_MUST_CHECK;

/* ---- the file itself ---------------------------------------------------------------------------------- */

/* These flush first. */
NACRE_API int nacre_sftp_file_stat(nacre_sftp_file *f, nacre_sftp_attrs *out) NACRE_MUST_CHECK;
NACRE_API int nacre_sftp_file_setstat(nacre_sftp_file *f,
                                      const nacre_sftp_attrs *attrs) NACRE_MUST_CHECK;
NACRE_API int nacre_sftp_file_truncate(nacre_sftp_file *f, uint64_t length) NACRE_MUST_CHECK;
/* NACRE_UNSUPPORTED without fsync@openssh.com. */
NACRE_API int nacre_sftp_file_sync(nacre_sftp_file *f) NACRE_MUST_CHECK;
/* NACRE_UNSUPPORTED without fstatvfs@openssh.com. */
NACRE_API int nacre_sftp_file_statvfs(nacre_sftp_file *f, nacre_sftp_statvfs *out) NACRE_MUST_CHECK;
/* As nacre_sftp_check_file, of the open file. */
NACRE_API int nacre_sftp_file_check(nacre_sftp_file *f, const char *algorithms, uint64_t offset,
                                    uint64_t length, uint32_t block_size,
                                    nacre_sftp_hash *out) NACRE_MUST_CHECK;
/*
 * Copies n bytes (0: up to the end) on the server, from one open file into another.
 * NACRE_UNSUPPORTED without copy-data.
 */
NACRE_API int nacre_sftp_file_copy_data(nacre_sftp_file *from, uint64_t from_offset, uint64_t n,
                                        nacre_sftp_file *to, uint64_t to_offset) NACRE_MUST_CHECK;
/*
 * Flushes, and frees f in any case, also when the connection broke; an error says what was lost, or what
 * the server said to CLOSE. Before the session is closed. NULL ok.
 */
NACRE_API int nacre_sftp_file_close(nacre_sftp_file *f) NACRE_MUST_CHECK;

#ifdef __cplusplus
}
#endif
#endif
