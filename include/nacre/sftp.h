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
 * Paths are zero-terminated bytes, as the server's system has them; relative ones begin in the session's
 * working directory, which is where it started until nacre_sftp_chdir. Memory that is returned owned goes
 * back by nacre_sftp_string_free.
 *
 * Open files are in nacre/sftp_file.h, transfers in nacre/sftp_transfer.h, batches in nacre/sftp_batch.h.
 */
#ifndef NACRE_SFTP_H
#define NACRE_SFTP_H

#include "nacre/client.h"
#include "nacre/sftp_attrs.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct nacre_sftp nacre_sftp;
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
/* How long each further call may take, ms. 0: back to the default; NACRE_FOREVER: none. */
NACRE_API void nacre_sftp_set_timeout(nacre_sftp *s, uint32_t timeout_ms);
/* What the server announced. */
NACRE_API bool nacre_sftp_has(const nacre_sftp *s, nacre_sftp_ext ext);
NACRE_API void nacre_sftp_get_limits(const nacre_sftp *s, nacre_sftp_limits *out);
/* The extensions in the server's order; false when index is beyond the last. Borrowed with s. */
NACRE_API bool nacre_sftp_extension_at(const nacre_sftp *s, size_t index, nacre_span *name,
                                       nacre_span *data);
NACRE_API void nacre_sftp_string_free(nacre_sftp *s, char *text); /* NULL ok */

/* ---- names and attributes -------------------------------------------------------------------------- */

NACRE_API int nacre_sftp_stat(nacre_sftp *s, const char *path,
                              nacre_sftp_attrs *out) NACRE_MUST_CHECK;
NACRE_API int nacre_sftp_lstat(nacre_sftp *s, const char *path,
                               nacre_sftp_attrs *out) NACRE_MUST_CHECK;
/*
 * Yes, no, or an error: NACRE_OK and the truth, or why it cannot be known (no permission, no connection).
 * exists follows links, so a dangling one does not exist; lexists asks about the name itself. isdir and
 * isfile follow links too, and say false when there is nothing.
 */
NACRE_API int nacre_sftp_exists(nacre_sftp *s, const char *path, bool *exists) NACRE_MUST_CHECK;
NACRE_API int nacre_sftp_lexists(nacre_sftp *s, const char *path, bool *exists) NACRE_MUST_CHECK;
NACRE_API int nacre_sftp_isdir(nacre_sftp *s, const char *path, bool *is) NACRE_MUST_CHECK;
NACRE_API int nacre_sftp_isfile(nacre_sftp *s, const char *path, bool *is) NACRE_MUST_CHECK;
NACRE_API int nacre_sftp_setstat(nacre_sftp *s, const char *path,
                                 const nacre_sftp_attrs *attrs) NACRE_MUST_CHECK;
/* Not following links; NACRE_UNSUPPORTED without lsetstat@openssh.com. */
NACRE_API int nacre_sftp_lsetstat(nacre_sftp *s, const char *path,
                                  const nacre_sftp_attrs *attrs) NACRE_MUST_CHECK;
NACRE_API int nacre_sftp_chmod(nacre_sftp *s, const char *path, uint32_t mode) NACRE_MUST_CHECK;
/* NACRE_SFTP_KEEP_ID in place of one of them leaves it as it is (asked of the server first: version 3
 * has only both). */
#define NACRE_SFTP_KEEP_ID UINT32_MAX
NACRE_API int nacre_sftp_chown(nacre_sftp *s, const char *path, uint32_t uid,
                               uint32_t gid) NACRE_MUST_CHECK;
NACRE_API int nacre_sftp_utime(nacre_sftp *s, const char *path, uint32_t atime,
                               uint32_t mtime) NACRE_MUST_CHECK;
/* *size (NULL ok): what the server says that the file has afterwards. */
NACRE_API int nacre_sftp_truncate(nacre_sftp *s, const char *path, uint64_t length,
                                  uint64_t *size) NACRE_MUST_CHECK;
/* The absolute path; *out is owned. What "." is may be known from the beginning of the session. */
NACRE_API int nacre_sftp_realpath(nacre_sftp *s, const char *path, char **out) NACRE_MUST_CHECK;
NACRE_API int nacre_sftp_readlink(nacre_sftp *s, const char *path, char **out) NACRE_MUST_CHECK;
/* The same made absolute: a relative target is joined to the link's directory, by text. */
NACRE_API int nacre_sftp_readlink_absolute(nacre_sftp *s, const char *path,
                                           char **out) NACRE_MUST_CHECK;
/* NACRE_UNSUPPORTED without home-directory. user "": the session's own (of servers that do not know that,
 * where "~" leads). */
NACRE_API int nacre_sftp_home(nacre_sftp *s, const char *user, char **out) NACRE_MUST_CHECK;
/* "~" and "~user" too; NACRE_UNSUPPORTED without expand-path@openssh.com. */
NACRE_API int nacre_sftp_expand(nacre_sftp *s, const char *path, char **out) NACRE_MUST_CHECK;
/* mode: permission bits, 0777 as a rule: the server takes its umask away. */
NACRE_API int nacre_sftp_mkdir(nacre_sftp *s, const char *path, uint32_t mode) NACRE_MUST_CHECK;
/* mkdir -p: makes what is missing of the path; NACRE_OK when all of it is there already. */
NACRE_API int nacre_sftp_makedirs(nacre_sftp *s, const char *path, uint32_t mode) NACRE_MUST_CHECK;
NACRE_API int nacre_sftp_rmdir(nacre_sftp *s, const char *path) NACRE_MUST_CHECK;
NACRE_API int nacre_sftp_remove(nacre_sftp *s, const char *path) NACRE_MUST_CHECK;
/* Replaces an existing file in one step where the server can (posix-rename@openssh.com). */
NACRE_API int nacre_sftp_rename(nacre_sftp *s, const char *from, const char *to) NACRE_MUST_CHECK;
/* Version 3's own RENAME: an existing target is an error. */
NACRE_API int nacre_sftp_rename_new(nacre_sftp *s, const char *from,
                                    const char *to) NACRE_MUST_CHECK;
/* Makes link point to target. */
NACRE_API int nacre_sftp_symlink(nacre_sftp *s, const char *target,
                                 const char *link) NACRE_MUST_CHECK;
/* NACRE_UNSUPPORTED without hardlink@openssh.com. */
NACRE_API int nacre_sftp_hardlink(nacre_sftp *s, const char *from, const char *to) NACRE_MUST_CHECK;
/* NACRE_UNSUPPORTED without statvfs@openssh.com. */
NACRE_API int nacre_sftp_statvfs_path(nacre_sftp *s, const char *path,
                                      nacre_sftp_statvfs *out) NACRE_MUST_CHECK;
/*
 * Names of user and group numbers ("" for one that has none), as many as were asked for. *out is owned:
 * nacre_sftp_id_names_free. NACRE_UNSUPPORTED without users-groups-by-id@openssh.com.
 */
typedef struct nacre_sftp_id_names {
    char **users, **groups; /* what the server says: escape it before a terminal sees it */
    size_t n_users, n_groups;
} nacre_sftp_id_names;
NACRE_API int nacre_sftp_names_of_ids(nacre_sftp *s, const uint32_t *uids, size_t n_uids,
                                      const uint32_t *gids, size_t n_gids,
                                      nacre_sftp_id_names *out) NACRE_MUST_CHECK;
NACRE_API void nacre_sftp_id_names_free(nacre_sftp *s, nacre_sftp_id_names *names);

/*
 * A hash made by the server (check-file; the draft's filexfer-extensions, section 3). algorithms: names
 * in order of wish, comma-separated ("sha256,sha1,md5"); length 0: to the end; block_size 0: one hash
 * over all, else one for each block (256 bytes at least). NACRE_UNSUPPORTED without check-file. What
 * the server answers is checked for the length that the algorithm has.
 */
typedef struct nacre_sftp_hash {
    char algorithm[32];
    uint8_t *bytes; /* all blocks' hashes, one behind the other; owned, nacre_sftp_hash_free */
    size_t n;
} nacre_sftp_hash;
NACRE_API int nacre_sftp_check_file(nacre_sftp *s, const char *path, const char *algorithms,
                                    uint64_t offset, uint64_t length, uint32_t block_size,
                                    nacre_sftp_hash *out) NACRE_MUST_CHECK;
NACRE_API void nacre_sftp_hash_free(nacre_sftp *s, nacre_sftp_hash *hash);

/* Any extension, by name: data is what follows the name in the request, *reply (owned: _string_free, NULL
 * when the answer was a status) what the server answered. */
NACRE_API int nacre_sftp_extended(nacre_sftp *s, const char *name, nacre_span data, uint8_t **reply,
                                  size_t *reply_len) NACRE_MUST_CHECK;

/* ---- where we are ---------------------------------------------------------------------------------- */

/* The working directory, kept here: SFTP has none. NULL: back to where the session began. When there is no
 * such directory, it is NACRE_NOT_FOUND and we stay where we are. */
NACRE_API int nacre_sftp_chdir(nacre_sftp *s, const char *path) NACRE_MUST_CHECK;
/* Absolute; borrowed until the next chdir, cd or close. NULL with an error when the server will not say. */
NACRE_API const char *nacre_sftp_getcwd(nacre_sftp *s);
/* chdir, and remembers where we were; up to 64 deep. nacre_sftp_cd_back returns there. */
NACRE_API int nacre_sftp_cd(nacre_sftp *s, const char *path) NACRE_MUST_CHECK;
NACRE_API int nacre_sftp_cd_back(nacre_sftp *s) NACRE_MUST_CHECK;

/* ---- directories ----------------------------------------------------------------------------------- */

/* *out is owned, and closed before s is. */
NACRE_API int nacre_sftp_opendir(nacre_sftp *s, const char *path,
                                 nacre_sftp_dir **out) NACRE_MUST_CHECK;
/*
 * The next entry, in the server's order, "." and ".." included; borrowed until the next call on d.
 * NACRE_END after the last. A name is zero-terminated behind its length. Before it becomes part of a
 * local path ask nacre_sftp_name_is_plain.
 */
NACRE_API int nacre_sftp_readdir(nacre_sftp_dir *d, nacre_sftp_name *entry) NACRE_MUST_CHECK;
NACRE_API void nacre_sftp_closedir(nacre_sftp_dir *d); /* NULL ok */

/* All entries at once, without "." and "..", zero-terminated names. Owned: nacre_sftp_list_free, also after glob. */
typedef struct nacre_sftp_list {
    nacre_sftp_name *entries;
    size_t count;
    const nacre_allocator *allocator;
} nacre_sftp_list;
NACRE_API int nacre_sftp_listdir(nacre_sftp *s, const char *path,
                                 nacre_sftp_list *out) NACRE_MUST_CHECK;
NACRE_API void nacre_sftp_list_free(nacre_sftp_list *list);
/* The same sorted by name, byte by byte. */
NACRE_API int nacre_sftp_listdir_sorted(nacre_sftp *s, const char *path,
                                        nacre_sftp_list *out) NACRE_MUST_CHECK;
/*
 * Paths that match a pattern (*, ?, [...], \\x; a '.' in front is matched by a '.' only), sorted;
 * directories are read only where the pattern has magic. entries[].name is the whole path. No match:
 * NACRE_OK and count 0.
 */
NACRE_API int nacre_sftp_glob(nacre_sftp *s, const char *pattern,
                              nacre_sftp_list *out) NACRE_MUST_CHECK;
/*
 * Walks a directory, in sorted order: file for regular files, dir for directories (before what is in
 * them), other for the rest (links, sockets ...). Any of them may be NULL. recurse: what is below, too.
 * A callback that returns other than 0 ends the walk, which returns NACRE_CANCELLED. Links are not
 * followed.
 */
typedef int (*nacre_sftp_walk_fn)(void *user, const char *path, const nacre_sftp_attrs *attrs);
NACRE_API int nacre_sftp_walktree(nacre_sftp *s, const char *path, nacre_sftp_walk_fn file,
                                  nacre_sftp_walk_fn dir, nacre_sftp_walk_fn other, void *user,
                                  bool recurse) NACRE_MUST_CHECK;

#ifdef __cplusplus
}
#endif
#endif
