/*
 * nacre/sftp.h - files on another machine: the blocking face of SFTP version 3.
 *
 * A nacre_sftp is one SFTP session, over a nacre_client or over two file descriptors. Every call waits
 * for its answer, up to the session's timeout, and drives the connection meanwhile. One thread at a time
 * uses a session and its client.
 *
 *     nacre_sftp *s;
 *     if (nacre_sftp_open(&s, client, NULL, &err) == NACRE_OK) {
 *         rc = nacre_sftp_get(s, "/var/log/messages", "messages", NULL);
 *         nacre_sftp_close(s);
 *     }
 *
 * What the server refuses is NACRE_SFTP_STATUS; nacre_sftp_status has its code (NACRE_FX_NO_SUCH_FILE
 * ...) and nacre_sftp_error a sentence with the file's name in it. Such a failure leaves the session
 * usable, as do NACRE_CANCELLED, NACRE_TIMEOUT (a late answer is dropped) and local errors (NACRE_IO,
 * errno in detail). After a broken connection or protocol every call fails with the same status.
 *
 * Paths are zero-terminated bytes, as the server's system has them; relative ones begin in the directory
 * where the session started. Memory that is returned owned goes back by nacre_sftp_string_free.
 */
#ifndef NACRE_SFTP_H
#define NACRE_SFTP_H

#include "nacre/client.h"
#include "nacre/sftp_attrs.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct nacre_sftp nacre_sftp;
typedef struct nacre_sftp_file nacre_sftp_file;
typedef struct nacre_sftp_dir nacre_sftp_dir;

/* ---- life ------------------------------------------------------------------------------------------ */

typedef struct nacre_sftp_options {
    size_t size;                      /* set by nacre_sftp_options_init */
    const nacre_allocator *allocator; /* NULL: the C library's */
    /*
     * How long a call may take; transfers: how long without any progress. 0: over a client its
     * timeout_ms, over a pipe NACRE_FOREVER.
     */
    uint32_t timeout_ms;
    const char *subsystem; /* NULL: "sftp" */
    const char *command;   /* not NULL: run this in place of the subsystem */
    uint32_t window;       /* receive window of the channel; 0: a good one for bulk data */
    uint32_t max_data; /* bytes of one read or write request at most; 0: what the server takes */
    /* What the server program writes to its stderr, raw (escape it). NULL: dropped. Client only. */
    void (*on_stderr)(void *user, nacre_span text);
    void *user;
} nacre_sftp_options;
NACRE_API void nacre_sftp_options_init(nacre_sftp_options *o);

/*
 * Starts SFTP on a channel of its own. o may be NULL, err too. *out is owned; c must outlive it.
 * NACRE_REQUEST_REFUSED: the server has no such subsystem.
 */
NACRE_API int nacre_sftp_open(nacre_sftp **out, nacre_client *c, const nacre_sftp_options *o,
                              nacre_error *err) NACRE_MUST_CHECK;
/*
 * The same over fds that lead to an SFTP server (a program's stdout and stdin, a socket twice). Takes
 * them on success, makes them non-blocking.
 */
NACRE_API int nacre_sftp_open_pipe(nacre_sftp **out, int in_fd, int out_fd,
                                   const nacre_sftp_options *o, nacre_error *err) NACRE_MUST_CHECK;
/* Ends the session and frees it. Files and directories of it must be closed before. NULL ok. */
NACRE_API void nacre_sftp_close(nacre_sftp *s);
/* Any thread and signal handlers: the call that waits, or the next one, returns NACRE_CANCELLED. */
NACRE_API void nacre_sftp_cancel(nacre_sftp *s);

/* What went wrong in the last call that failed. Borrowed until the next call. */
NACRE_API const nacre_error *nacre_sftp_error(const nacre_sftp *s);
/* NACRE_FX_* of the last call: NACRE_FX_OK unless the server refused something. */
NACRE_API uint32_t nacre_sftp_status(const nacre_sftp *s);
/* 0: back to the default; NACRE_FOREVER: none. */
NACRE_API void nacre_sftp_set_timeout(nacre_sftp *s, uint32_t timeout_ms);
NACRE_API bool nacre_sftp_has(const nacre_sftp *s, nacre_sftp_ext ext);
NACRE_API void nacre_sftp_get_limits(const nacre_sftp *s, nacre_sftp_limits *out);
/* The extensions in the server's order; false when index is beyond the last. Borrowed with s. */
NACRE_API bool nacre_sftp_extension_at(const nacre_sftp *s, size_t index, nacre_span *name,
                                       nacre_span *data);
NACRE_API void nacre_sftp_string_free(nacre_sftp *s, char *text);

/* ---- names and attributes -------------------------------------------------------------------------- */

NACRE_API int nacre_sftp_stat(nacre_sftp *s, const char *path,
                              nacre_sftp_attrs *out) NACRE_MUST_CHECK;
NACRE_API int nacre_sftp_lstat(nacre_sftp *s, const char *path,
                               nacre_sftp_attrs *out) NACRE_MUST_CHECK;
/* NACRE_OK and the truth, or an error when it cannot be known (no permission, no connection). */
NACRE_API int nacre_sftp_exists(nacre_sftp *s, const char *path, bool *exists) NACRE_MUST_CHECK;
NACRE_API int nacre_sftp_setstat(nacre_sftp *s, const char *path, const nacre_sftp_attrs *attrs);
/* Not following links; NACRE_UNSUPPORTED without lsetstat@openssh.com. */
NACRE_API int nacre_sftp_lsetstat(nacre_sftp *s, const char *path, const nacre_sftp_attrs *attrs);
NACRE_API int nacre_sftp_chmod(nacre_sftp *s, const char *path, uint32_t mode);
NACRE_API int nacre_sftp_chown(nacre_sftp *s, const char *path, uint32_t uid, uint32_t gid);
NACRE_API int nacre_sftp_utime(nacre_sftp *s, const char *path, uint32_t atime, uint32_t mtime);
NACRE_API int nacre_sftp_truncate(nacre_sftp *s, const char *path, uint64_t length);
/* The absolute path; *out is owned. */
NACRE_API int nacre_sftp_realpath(nacre_sftp *s, const char *path, char **out) NACRE_MUST_CHECK;
NACRE_API int nacre_sftp_readlink(nacre_sftp *s, const char *path, char **out) NACRE_MUST_CHECK;
/* "~" and "~user" too; NACRE_UNSUPPORTED without expand-path@openssh.com. */
NACRE_API int nacre_sftp_expand(nacre_sftp *s, const char *path, char **out) NACRE_MUST_CHECK;
/* mode: permission bits, 0777 as a rule: the server takes its umask away. */
NACRE_API int nacre_sftp_mkdir(nacre_sftp *s, const char *path, uint32_t mode);
NACRE_API int nacre_sftp_rmdir(nacre_sftp *s, const char *path);
NACRE_API int nacre_sftp_remove(nacre_sftp *s, const char *path);
/* Replaces an existing file in one step where the server can (posix-rename@openssh.com). */
NACRE_API int nacre_sftp_rename(nacre_sftp *s, const char *from, const char *to);
/* Version 3's own RENAME: an existing target is an error. */
NACRE_API int nacre_sftp_rename_new(nacre_sftp *s, const char *from, const char *to);
/* Makes link point to target. */
NACRE_API int nacre_sftp_symlink(nacre_sftp *s, const char *target, const char *link);
/* NACRE_UNSUPPORTED without hardlink@openssh.com. */
NACRE_API int nacre_sftp_hardlink(nacre_sftp *s, const char *from, const char *to);
/* NACRE_UNSUPPORTED without statvfs@openssh.com. */
NACRE_API int nacre_sftp_statvfs_path(nacre_sftp *s, const char *path,
                                      nacre_sftp_statvfs *out) NACRE_MUST_CHECK;

/* ---- directories ----------------------------------------------------------------------------------- */

NACRE_API int nacre_sftp_opendir(nacre_sftp *s, const char *path,
                                 nacre_sftp_dir **out) NACRE_MUST_CHECK;
/*
 * The next entry, in the server's order, "." and ".." included; borrowed until the next call on d.
 * NACRE_END after the last. A name is zero-terminated behind its length. Before it becomes part of a
 * local path ask nacre_sftp_name_is_plain.
 */
NACRE_API int nacre_sftp_readdir(nacre_sftp_dir *d, nacre_sftp_name *entry) NACRE_MUST_CHECK;
NACRE_API void nacre_sftp_closedir(nacre_sftp_dir *d); /* NULL ok */

/* All entries at once, without "." and "..". One block of memory, zero-terminated names. */
typedef struct nacre_sftp_list {
    nacre_sftp_name *entries;
    size_t count;
    const nacre_allocator *allocator;
} nacre_sftp_list;
NACRE_API int nacre_sftp_listdir(nacre_sftp *s, const char *path,
                                 nacre_sftp_list *out) NACRE_MUST_CHECK;
NACRE_API void nacre_sftp_list_free(nacre_sftp_list *list);

/* ---- open files ------------------------------------------------------------------------------------ */

/* pflags: NACRE_FXF_*; mode: permissions of a file that is made, less the server's umask. */
NACRE_API int nacre_sftp_file_open(nacre_sftp *s, const char *path, uint32_t pflags, uint32_t mode,
                                   nacre_sftp_file **out) NACRE_MUST_CHECK;
/* Reads n bytes, fewer only at the end of the file: *got; NACRE_END when there is none. Any n:
 * the requests are pipelined. */
NACRE_API int nacre_sftp_file_read(nacre_sftp_file *f, uint64_t offset, void *p, size_t n,
                                   size_t *got) NACRE_MUST_CHECK;
/* Writes all n bytes, pipelined, and waits until the server has acknowledged each. */
NACRE_API int nacre_sftp_file_write(nacre_sftp_file *f, uint64_t offset, const void *p,
                                    size_t n) NACRE_MUST_CHECK;
NACRE_API int nacre_sftp_file_stat(nacre_sftp_file *f, nacre_sftp_attrs *out) NACRE_MUST_CHECK;
NACRE_API int nacre_sftp_file_setstat(nacre_sftp_file *f, const nacre_sftp_attrs *attrs);
/* NACRE_UNSUPPORTED without fsync@openssh.com. */
NACRE_API int nacre_sftp_file_sync(nacre_sftp_file *f);
/* Frees f in any case; an error says what the server said to CLOSE. NULL ok. */
NACRE_API int nacre_sftp_file_close(nacre_sftp_file *f);

/* ---- transfers ------------------------------------------------------------------------------------- */

typedef struct nacre_sftp_transfer_options {
    size_t size;           /* set by nacre_sftp_transfer_options_init */
    bool preserve;         /* modification and access times, full mode */
    bool atomic;           /* put: a temporary name, renamed when all is there */
    bool sync;             /* put: fsync@openssh.com when the server has it; get: fsync(2) */
    bool direct;           /* get: write the target itself, no temporary name */
    uint64_t offset;       /* begin here, in both files; what is before stays as it is */
    uint64_t in_flight;    /* bytes asked for and not there yet, at most; 0: 4 MiB, or 2 */
    uint32_t max_requests; /* likewise requests; 0: no bound but in_flight */
    uint64_t rate;         /* bytes per second at most; 0: no bound */
    /*
     * Called at the start, at most every progress_ms (default 100), and at the end. total is
     * UINT64_MAX when unknown. Returning false ends the transfer with NACRE_CANCELLED. Must not call
     * into the session, nacre_sftp_cancel apart.
     */
    bool (*progress)(void *user, const char *path, uint64_t done, uint64_t total);
    uint32_t progress_ms;
    void *user;
} nacre_sftp_transfer_options;
NACRE_API void nacre_sftp_transfer_options_init(nacre_sftp_transfer_options *o);

/*
 * Copies a remote file to a local one. A regular or new target is written under a temporary name beside
 * it (".name.XXXXXX") and renamed at the end: whatever fails, the target is as it was. Other targets
 * (/dev/null, a fifo) are written directly, as with direct, offset, or where no file can be made beside
 * it. A new file gets the remote mode less the umask, a replaced one keeps its own; preserve: the remote
 * mode and times. The file is read to its end, whatever size the server names; NACRE_INCOMPLETE when it
 * ends before the size that the server names for a regular file.
 */
NACRE_API int nacre_sftp_get(nacre_sftp *s, const char *remote, const char *local,
                             const nacre_sftp_transfer_options *o);
/*
 * Copies a local file to a remote one, which is made with the local mode less the server's umask, or
 * truncated. When it fails half way the error says how many bytes are there; atomic avoids that. The
 * size that the server has in the end is compared with what was sent: NACRE_INCOMPLETE.
 */
NACRE_API int nacre_sftp_put(nacre_sftp *s, const char *local, const char *remote,
                             const nacre_sftp_transfer_options *o);

#ifdef __cplusplus
}
#endif
#endif
