/*
 * nacre/sftp_transfer.h - files and whole trees, up and down, on one session.
 *
 * One engine moves everything: requests of many files are on the way at once, large files share the
 * link with small ones, and what is kept in memory is bounded whatever the sizes. Nothing is lost on
 * failure: a file that comes down appears under its name only when all of it is there, and a bad file
 * does not end the tree around it.
 *
 * Names that a server lists are taken only when they name something inside the directory that was asked
 * about; locally a tree is written below directory descriptors that never follow a link, so neither a
 * hostile server nor somebody who swaps directories for links makes a file appear elsewhere.
 */
#ifndef NACRE_SFTP_TRANSFER_H
#define NACRE_SFTP_TRANSFER_H

#include "nacre/sftp.h"

#ifdef __cplusplus
extern "C" {
#endif

/* What is compared when a file is through. */
typedef enum nacre_sftp_verify {
    NACRE_SFTP_VERIFY_SIZE = 0, /* always */
    NACRE_SFTP_VERIFY_HASH,     /* and a hash, when the server has check-file */
    NACRE_SFTP_VERIFY_REQUIRED  /* and a hash; NACRE_UNSUPPORTED when the server has none */
} nacre_sftp_verify;

/* What to do with symbolic links inside a tree. The links that a call names itself are followed. */
typedef enum nacre_sftp_links {
    NACRE_SFTP_LINKS_SKIP = 0, /* reported as skipped, as sftp(1) does */
    NACRE_SFTP_LINKS_FOLLOW,   /* what they point to is copied; a loop is reported, not followed */
    NACRE_SFTP_LINKS_KEEP      /* made anew, with the same text, without looking at what it means */
} nacre_sftp_links;

typedef struct nacre_sftp_transfer_options {
    size_t size;   /* set by nacre_sftp_transfer_options_init */
    bool preserve; /* modification and access times, full mode; setuid, setgid and sticky only with
                      keep_special */
    /* with preserve: setuid, setgid and sticky bits too. Directories of a tree keep their sticky bit always. */
    bool keep_special;
    /*
     * A temporary name, renamed when all is there. put: off by default. get: this is what happens to
     * a regular or new target anyway, unless direct.
     */
    bool atomic;
    bool sync;   /* put: fsync@openssh.com when the server has it; get: fsync(2) */
    bool direct; /* get: write the target itself, no temporary name */
    /*
     * put: what is there is overwritten as the bytes come and cut to their length at the end (when it fails,
     * to what is through), in place of being emptied first. So a file survives being copied onto itself,
     * and its readers see the new beginning with the old rest for a while. Nothing with atomic.
     */
    bool in_place;
    /*
     * Go on behind what is there (reget, reput). What is there must be the beginning of the source: its
     * hash is compared when the server has check-file, else its last bytes (up to 1 MiB). Another
     * beginning, or more than the source has, is NACRE_MISMATCH, and nothing is touched. A target that
     * is not there is made as usual.
     */
    bool resume;
    nacre_sftp_verify verify;
    uint64_t offset;       /* begin here, in both files; what is before stays as it is */
    uint64_t in_flight;    /* bytes asked for and not there yet, at most; 0: as the link deserves */
    uint32_t max_requests; /* likewise requests; 0: no bound but in_flight */
    uint64_t rate;         /* bytes per second at most, all files together; 0: no bound */
    /*
     * Called at the start, at most every progress_ms (default 100), and at the end of each file. total
     * is UINT64_MAX when unknown. Returning false ends the call with NACRE_CANCELLED. Must not call into
     * the session, nacre_sftp_cancel apart.
     */
    bool (*progress)(void *user, const char *path, uint64_t done, uint64_t total);
    uint32_t progress_ms;
    void *user;
} nacre_sftp_transfer_options;
NACRE_API void nacre_sftp_transfer_options_init(nacre_sftp_transfer_options *o);

/* ---- one file ----------------------------------------------------------------------------------------- */

/*
 * Copies a remote file to a local one. A regular or new target is written under a temporary name beside
 * it (".name.XXXXXX") and renamed at the end: whatever fails, the target is as it was, and what had come is
 * gone; other hard links of a replaced file keep the old content. With resume, direct or offset the target
 * itself is written: what has come stays when it fails, for the next get with resume. Other targets
 * (/dev/null, a fifo) are written directly, as with direct, offset, resume, or where no file can be made
 * beside it. A new file gets the remote mode less the umask, a replaced one keeps its own; preserve: the
 * remote mode and times. The file is read to its end, whatever size the server names; NACRE_INCOMPLETE
 * when it ends before the size that the server names for a regular file.
 */
NACRE_API int nacre_sftp_get(nacre_sftp *s, const char *remote, const char *local,
                             const nacre_sftp_transfer_options *o) NACRE_MUST_CHECK;
/*
 * Copies a local file to a remote one, which is made with the local mode less the server's umask, or
 * truncated. When it fails half way the error says how many bytes are there; atomic avoids that. The
 * size that the server has in the end is compared with what was sent: NACRE_INCOMPLETE.
 */
NACRE_API int nacre_sftp_put(nacre_sftp *s, const char *local, const char *remote,
                             const nacre_sftp_transfer_options *o) NACRE_MUST_CHECK;

/* Takes n bytes in the file's order. Returns false to end the transfer with NACRE_CANCELLED. */
typedef bool (*nacre_sftp_write_fn)(void *user, const void *p, size_t n);
/* Fills up to n bytes; *got 0: the end. Returns false to end the transfer with NACRE_CANCELLED. */
typedef bool (*nacre_sftp_read_fn)(void *user, void *p, size_t n, size_t *got);
/*
 * A remote file into a function, and a function into a remote file; stream_user is the function's. Bytes
 * come in order; the requests are pipelined all the same, what arrives early waits in bounded memory.
 * size: what to expect (for progress and the final check), UINT64_MAX: unknown. mode: of a new file.
 */
NACRE_API int nacre_sftp_getfo(nacre_sftp *s, const char *remote, nacre_sftp_write_fn write,
                               void *stream_user,
                               const nacre_sftp_transfer_options *o) NACRE_MUST_CHECK;
NACRE_API int nacre_sftp_putfo(nacre_sftp *s, nacre_sftp_read_fn read, void *stream_user,
                               uint64_t size, const char *remote, uint32_t mode,
                               const nacre_sftp_transfer_options *o) NACRE_MUST_CHECK;
/*
 * Copies a file on the server: copy-data@ where the server has it, else down and up again through this
 * session, in bounded memory. Overwrites; mode of a new file as the source's.
 */
NACRE_API int nacre_sftp_copy(nacre_sftp *s, const char *from, const char *to,
                              const nacre_sftp_transfer_options *o) NACRE_MUST_CHECK;

/* ---- trees -------------------------------------------------------------------------------------------- */

typedef enum nacre_sftp_outcome {
    NACRE_SFTP_STARTED = 0, /* told to on_item only */
    NACRE_SFTP_COPIED,
    NACRE_SFTP_SKIPPED, /* a socket, a device, a link by policy: why says it */
    NACRE_SFTP_FAILED
} nacre_sftp_outcome;

/* What became of one name. */
typedef struct nacre_sftp_item {
    nacre_sftp_outcome outcome;
    bool up;          /* a put */
    bool directory;   /* else a file or a link */
    const char *from; /* raw: escape before showing */
    const char *to;
    uint64_t bytes; /* moved */
    int status;     /* FAILED: nacre_status; NACRE_SFTP_STATUS: code has the server's */
    uint32_t code;
    const char *why; /* SKIPPED, FAILED: a sentence, escaped */
} nacre_sftp_item;

typedef struct nacre_sftp_tree_options {
    size_t size; /* set by nacre_sftp_tree_options_init */
    nacre_sftp_transfer_options transfer;
    bool recursive;     /* directories with all that is in them; else a directory is an error */
    bool stop_on_error; /* the first failure ends the job; what is on the way is given up cleanly */
    nacre_sftp_links links;
    /* Open at the same time at most. 0: 64, or 256 on a long line; less when the server or our own limit of
     * descriptors allows less. */
    uint32_t files_at_once;
    uint32_t max_depth; /* directories in directories; 0: 64 */
    /*
     * Told of each item when it begins (STARTED) and when it is over. NULL ok. Must not call into the
     * session, nacre_sftp_cancel apart.
     */
    void (*on_item)(void *user, const nacre_sftp_item *item);
    void *user;
} nacre_sftp_tree_options;
NACRE_API void nacre_sftp_tree_options_init(nacre_sftp_tree_options *o);

/* The balance of a job. items are those that were skipped or failed, the first 10,000 of them. */
typedef struct nacre_sftp_report {
    uint64_t files, directories, links; /* copied or made */
    uint64_t bytes;
    uint64_t skipped, failed;
    nacre_sftp_item *items;
    size_t item_count;
    const nacre_allocator *allocator;
} nacre_sftp_report;
NACRE_API void nacre_sftp_report_free(nacre_sftp_report *r);

/*
 * A list of things to copy, which then go as one pipelined stream. local and remote are the names of the
 * copies themselves, not of directories to put them into. Their parents must exist. Paths are copied.
 * Of several local files that would become one remote file, the first is put and the others fail with
 * NACRE_EXISTS.
 */
typedef struct nacre_sftp_job nacre_sftp_job;
NACRE_API int nacre_sftp_job_new(nacre_sftp_job **out, nacre_sftp *s,
                                 const nacre_sftp_tree_options *o) NACRE_MUST_CHECK;
NACRE_API int nacre_sftp_job_get(nacre_sftp_job *j, const char *remote,
                                 const char *local) NACRE_MUST_CHECK;
/*
 * The same, when a stat (links followed) has just told what remote is: it is not asked again. attrs may be
 * NULL, or without a type in its permissions; then it is.
 */
NACRE_API int nacre_sftp_job_get_known(nacre_sftp_job *j, const char *remote, const char *local,
                                       const nacre_sftp_attrs *attrs) NACRE_MUST_CHECK;
NACRE_API int nacre_sftp_job_put(nacre_sftp_job *j, const char *local,
                                 const char *remote) NACRE_MUST_CHECK;
/*
 * Does it all. NACRE_OK when nothing failed (skipped ones do not count); NACRE_SOME_FAILED when some did,
 * and nacre_sftp_error is the first failure's; else why everything ended. report may be NULL; it is
 * filled in any case and owned by the caller.
 */
NACRE_API int nacre_sftp_job_run(nacre_sftp_job *j, nacre_sftp_report *report) NACRE_MUST_CHECK;
NACRE_API void nacre_sftp_job_free(nacre_sftp_job *j); /* NULL ok */

/*
 * The usual jobs. _r: a directory and all below it becomes (or is merged into) the directory `to`, which
 * is made when it is not there. _d: the regular files of one directory into an existing one, without
 * what is below. o and report may be NULL.
 */
NACRE_API int nacre_sftp_get_r(nacre_sftp *s, const char *remote, const char *local,
                               const nacre_sftp_tree_options *o,
                               nacre_sftp_report *report) NACRE_MUST_CHECK;
NACRE_API int nacre_sftp_put_r(nacre_sftp *s, const char *local, const char *remote,
                               const nacre_sftp_tree_options *o,
                               nacre_sftp_report *report) NACRE_MUST_CHECK;
NACRE_API int nacre_sftp_get_d(nacre_sftp *s, const char *remote, const char *local,
                               const nacre_sftp_tree_options *o,
                               nacre_sftp_report *report) NACRE_MUST_CHECK;
NACRE_API int nacre_sftp_put_d(nacre_sftp *s, const char *local, const char *remote,
                               const nacre_sftp_tree_options *o,
                               nacre_sftp_report *report) NACRE_MUST_CHECK;
/* Everything that matches, into an existing directory. No match is NACRE_NOT_FOUND. */
NACRE_API int nacre_sftp_get_glob(nacre_sftp *s, const char *pattern, const char *local_dir,
                                  const nacre_sftp_tree_options *o,
                                  nacre_sftp_report *report) NACRE_MUST_CHECK;
NACRE_API int nacre_sftp_put_glob(nacre_sftp *s, const char *pattern, const char *remote_dir,
                                  const nacre_sftp_tree_options *o,
                                  nacre_sftp_report *report) NACRE_MUST_CHECK;

#ifdef __cplusplus
}
#endif
#endif
