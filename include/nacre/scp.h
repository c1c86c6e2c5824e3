/*
 * nacre/scp.h - files by the old copy protocol (SCP1: "scp -t" and "scp -f" at the other end), for
 * servers without SFTP and for scripts that count on its rules. Where a server has SFTP, take
 * nacre/sftp_transfer.h: it resumes, verifies, and is not at the mercy of a remote shell.
 *
 * A nacre_scp borrows a nacre_client and runs the remote program anew for each call. Calls block, up to
 * their timeout, and drive the connection meanwhile. One thread at a time uses it and its client.
 *
 *     nacre_scp *s;
 *     if (nacre_scp_new(&s, client, NULL, &err) == NACRE_OK) {
 *         const char *names[] = {"report.txt", "figures.csv"};
 *         rc = nacre_scp_put(s, names, 2, "inbox", NULL);
 *         nacre_scp_free(s);
 *     }
 *
 * What a server sends is not believed: a name must be the one that was asked for (or match the pattern),
 * and never has a slash in it, is "..", or has control characters; files are made below descriptors of the
 * target's directory that follow no link; a file appears under its name only when all of it is there.
 *
 * What the other side says of a single file (a warning) is collected in the report and does not end the
 * call: it then returns NACRE_SOME_FAILED. What it calls fatal is NACRE_SCP_REFUSED, with its words in
 * nacre_scp_error. A peer that breaks the protocol, or sends a name that was not asked for, is
 * NACRE_SCP_PROTOCOL.
 */
#ifndef NACRE_SCP_H
#define NACRE_SCP_H

#include "nacre/client.h"
#include "nacre/sftp_transfer.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct nacre_scp nacre_scp;

/* How a remote path stands in the command that the remote user's shell reads. */
typedef enum nacre_scp_names {
    /* Quoted: it names exactly one thing, whatever characters are in it. */
    NACRE_SCP_EXACT = 0,
    /* Wildcards (* ? [...]) and a leading ~ mean what they mean to the remote shell, a backslash takes
     * the meaning from the next character; everything else is quoted. */
    NACRE_SCP_PATTERN,
    /* Unchanged, as "scp -O" sends it: the remote shell does with it what it will, commands included. */
    NACRE_SCP_RAW
} nacre_scp_names;

typedef struct nacre_scp_options {
    size_t size;                      /* set by nacre_scp_options_init */
    const nacre_allocator *allocator; /* NULL: the C library's */
    /* How long without any progress; 0: the client's timeout_ms, NACRE_FOREVER: for ever. */
    uint32_t timeout_ms;
    const char *program; /* the remote one, put into the command as it is; NULL: "scp" */
    bool verbose;        /* -v for it: it then writes to its stderr what it does */
    nacre_scp_names names;
    bool preserve; /* -p: times and modes, without setuid, setgid and sticky unless keep_special */
    bool keep_special; /* with preserve, get: those three bits too, as the server sends them */
    bool recursive;    /* -r: directories; else a directory is a failure */
    bool to_directory; /* -d: the target must be a directory; always so with several names */
    /* get: take whatever names the server sends (scp -T). They are single names all the same. */
    bool any_name;
    bool stop_on_error; /* the first file that fails ends the call */
    uint32_t max_depth; /* of directories in directories; 0: 64 */
    uint64_t rate;      /* bytes per second at most; 0: no bound */
    uint32_t window;    /* receive window of the channel; 0: one that grows with the link */
    /*
     * Called at the start, at most every progress_ms (default 100), and at the end of each file: path is
     * the local name (of putfo and getfo: the remote one), raw. Returning false ends the call with
     * NACRE_CANCELLED. As all callbacks here it must not use the nacre_scp or its client, cancel apart.
     */
    bool (*progress)(void *user, const char *path, uint64_t done, uint64_t total);
    uint32_t progress_ms;
    /*
     * Each file and directory when it begins (NACRE_SFTP_STARTED) and when it is over. code is 0; the remote
     * name in it is the path that the call named.
     */
    void (*on_item)(void *user, const nacre_sftp_item *item);
    /* A warning: the peer's words or ours, one line, escaped. They are in the report too. */
    void (*on_warning)(void *user, const char *text);
    /* What the remote program writes to its stderr, raw (escape it). NULL: dropped. */
    void (*on_stderr)(void *user, nacre_span text);
    void *user;
} nacre_scp_options;
NACRE_API void nacre_scp_options_init(nacre_scp_options *o);

/* Copies the options (the allocator is kept by reference); o and err may be NULL. *out is owned; c must
 * outlive it. Sends nothing yet. */
NACRE_API int nacre_scp_new(nacre_scp **out, nacre_client *c, const nacre_scp_options *o,
                            nacre_error *err) NACRE_MUST_CHECK;
NACRE_API void nacre_scp_free(nacre_scp *s); /* NULL ok */
/* Any thread and signal handlers: the call that waits, or the next one, returns NACRE_CANCELLED. */
NACRE_API void nacre_scp_cancel(nacre_scp *s);
/* What went wrong in the last call that failed. Borrowed until the next call. */
NACRE_API const nacre_error *nacre_scp_error(const nacre_scp *s);

/* ---- files and trees -------------------------------------------------------------------------------- */

/*
 * Copies local files (with recursive: directories) to one remote path: into it when it is a directory, else
 * the only one becomes it. "": the remote home. Local links are followed, as scp does; sockets, fifos and
 * devices are skipped; a file that becomes shorter while it is sent is a failure, and the peer is told; one
 * that grows is sent up to the length that it had.
 * NACRE_SOME_FAILED: the rest went well. report (NULL ok) is filled in any case and owned by the caller
 * (nacre_sftp_report_free).
 */
NACRE_API int nacre_scp_put(nacre_scp *s, const char *const *local, size_t count,
                            const char *remote, nacre_sftp_report *report) NACRE_MUST_CHECK;
/*
 * Copies what the remote paths name to a local path: into it when it is a directory, which it must be for
 * several names or a pattern that matches more than one; else the only one becomes it. One remote command
 * for each path; a path that fails does not keep the next ones from being tried. An existing regular file
 * is replaced at the end of its copy, keeping its mode unless preserve.
 */
NACRE_API int nacre_scp_get(nacre_scp *s, const char *const *remote, size_t count,
                            const char *local, nacre_sftp_report *report) NACRE_MUST_CHECK;

/* ---- from server to server ------------------------------------------------------------------------------ */

/*
 * Copies what the remote path names on from's server to a path on to's, through this machine, by joining a
 * sending scp there with a receiving one here: names are checked on the way as with nacre_scp_get, data is
 * passed on as it comes, in memory bounded by the receive window, and nothing touches the disk. Both clients
 * must share one loop (nacre_client_config.loop), and be of different connections. from's options count:
 * preserve, recursive, to_directory, any_name, rate, callbacks; of to's its program, names and verbose. In
 * items and progress `from` is the path that was asked for, with the name below it when it differs.
 * Errors are in nacre_scp_error(from). NACRE_SOME_FAILED and report as above.
 */
NACRE_API int nacre_scp_between(nacre_scp *from, const char *remote, nacre_scp *to,
                                const char *target, nacre_sftp_report *report) NACRE_MUST_CHECK;

/* ---- streams ------------------------------------------------------------------------------------------ */

/* What the protocol says of a file. */
typedef struct nacre_scp_stat {
    uint64_t size;
    uint32_t mode;         /* permission bits, at most 07777 */
    bool has_times;        /* with -p only */
    uint64_t mtime, atime; /* seconds since 1970 */
} nacre_scp_stat;

/*
 * size bytes from a function become the remote file: into a directory when remote is one, under the name
 * that remote ends in (or name, when it is not NULL). The size stands before the data, so it must be known;
 * a stream that ends early is NACRE_INCOMPLETE, and the remote program is cut off. The times
 * of st go out when has_times.
 */
NACRE_API int nacre_scp_putfo(nacre_scp *s, nacre_sftp_read_fn read, void *stream_user,
                              const nacre_scp_stat *st, const char *name,
                              const char *remote) NACRE_MUST_CHECK;
/*
 * One remote file into a function. begin (NULL ok) is told of it before the first byte and may end the
 * call by returning false (NACRE_CANCELLED); *st (NULL ok) has the same afterwards. What a failed call has
 * written already is not the whole file.
 */
typedef bool (*nacre_scp_begin_fn)(void *user, const nacre_scp_stat *st);
NACRE_API int nacre_scp_getfo(nacre_scp *s, const char *remote, nacre_scp_begin_fn begin,
                              nacre_sftp_write_fn write, void *stream_user,
                              nacre_scp_stat *st) NACRE_MUST_CHECK;

/* ---- the command -------------------------------------------------------------------------------------- */

/*
 * A path as it stands in the command, by the rules of names: what put and get send. Zero-terminates;
 * NACRE_TOO_LARGE. A NUL cannot be in a path; a newline is quoted.
 */
NACRE_API int nacre_scp_quote(nacre_scp_names names, const char *path, char *out,
                              size_t size) NACRE_MUST_CHECK;

#ifdef __cplusplus
}
#endif
#endif
