/*
 * nacre/sftp_server.h - the server end of SFTP version 3 as a machine without I/O.
 *
 * The machine reads requests from a pipe, checks them, and asks the application: a table of file
 * operations (nacre_sftp_server_ops), in the manner of paramiko's SFTPServerInterface and SFTPHandle.
 * It keeps the handles, the order of replies, the read-only rule and all limits; what a path means is
 * the application's business. An operation that is NULL is answered "Operation unsupported", and its
 * extension is not offered.
 *
 * Requests are worked on in order, one at a time. When the pipe is full the machine stops taking
 * requests and gives no room back to the peer, so that the peer's window bounds what waits.
 * Data of WRITE goes to the application piece by piece as it arrives; data of READ is read right into
 * the pipe's output space.
 */
#ifndef NACRE_SFTP_SERVER_H
#define NACRE_SFTP_SERVER_H

#include "nacre/pipe.h"
#include "nacre/sftp_attrs.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct nacre_sftp_server nacre_sftp_server;

/* Where an operation puts names, paths or bytes of its reply. Lives during the call. */
typedef struct nacre_sftp_answer nacre_sftp_answer;

/*
 * Returned by an operation in place of a status: the reply will be given by nacre_sftp_reply_* with
 * the call's ticket. Every operation may do so except session_start and name_of_id.
 * Out parameters are dead then, and
 * borrowed arguments (paths, data, rooms) must have been copied. Until the reply only further READs
 * are worked on (each may be answered later too); every other request waits its turn, because a
 * client may rely on the order.
 */
#define NACRE_SFTP_LATER UINT32_C(0xFFFFFFFF)

/* What every operation gets first. */
typedef struct nacre_sftp_call {
    void *user; /* the application's, from nacre_sftp_server_new */
    nacre_sftp_server *server;
    uint32_t ticket;     /* for NACRE_SFTP_LATER; never 0 */
    const char *message; /* an operation may set a text for its failure (borrowed until it returns);
                            NULL: the code's own */
} nacre_sftp_call;

/*
 * The operations. All return a status, NACRE_FX_OK or another NACRE_FX_*, or NACRE_SFTP_LATER where
 * stated. Paths are bytes without NUL, relative or absolute as the client sent them, never longer
 * than NACRE_SFTP_SERVER_MAX_PATH. They must not call nacre_sftp_server_input, _flush or _free.
 * Attributes' extended pairs are borrowed for the call.
 */
typedef struct nacre_sftp_server_ops {
    size_t size; /* sizeof(nacre_sftp_server_ops) as the application was compiled */

    /* INIT came: a status other than OK ends the session. End: once, after all handles are closed. */
    uint32_t (*session_start)(nacre_sftp_call *call);
    void (*session_end)(void *user);

    /* later: nacre_sftp_reply_handle. *file is the open file's object. pflags has READ or WRITE.    */
    uint32_t (*open)(nacre_sftp_call *call, nacre_span path, uint32_t pflags,
                     const nacre_sftp_attrs *attrs, void **file);
    /* The object is gone after this, whatever is returned. call is NULL at the end of a session.    */
    uint32_t (*close)(nacre_sftp_call *call, void *user, void *file);
    /* later: nacre_sftp_reply_data. Reads up to want bytes at offset into rooms, from the first on
       (as preadv), and says how many; 0 bytes and NACRE_FX_EOF at the end.                          */
    uint32_t (*read)(nacre_sftp_call *call, void *file, uint64_t offset, const nacre_room *rooms,
                     size_t count, size_t want, size_t *got);
    /* later: nacre_sftp_reply_status. Writes all of data, or fails. A large WRITE comes as several
       calls of the same ticket at growing offsets; after a failure the rest is dropped unseen. For an
       answer given later the bytes must have been copied; no further piece comes before it.         */
    uint32_t (*write)(nacre_sftp_call *call, void *file, uint64_t offset, nacre_span data);
    uint32_t (*fstat)(nacre_sftp_call *call, void *file, nacre_sftp_attrs *out); /* later: _attrs */
    uint32_t (*fsetstat)(nacre_sftp_call *call, void *file,
                         const nacre_sftp_attrs *a); /* later    */
    uint32_t (*stat)(nacre_sftp_call *call, nacre_span path,
                     nacre_sftp_attrs *out); /* later       */
    uint32_t (*lstat)(nacre_sftp_call *call, nacre_span path,
                      nacre_sftp_attrs *out); /* later       */
    uint32_t (*setstat)(nacre_sftp_call *call, nacre_span path,
                        const nacre_sftp_attrs *a); /* later */
    uint32_t (*opendir)(nacre_sftp_call *call, nacre_span path,
                        void **dir); /* later: _handle       */
    /* later: nacre_sftp_reply_names. Adds entries with nacre_sftp_answer_name until that says no (then
       gives the refused one again next time); adding none means the end.                            */
    uint32_t (*readdir)(nacre_sftp_call *call, void *dir, nacre_sftp_answer *out);
    uint32_t (*closedir)(nacre_sftp_call *call, void *user,
                         void *dir);                            /* as close                  */
    uint32_t (*remove)(nacre_sftp_call *call, nacre_span path); /* later      */
    uint32_t (*mkdir)(nacre_sftp_call *call, nacre_span path,
                      const nacre_sftp_attrs *a);              /* later   */
    uint32_t (*rmdir)(nacre_sftp_call *call, nacre_span path); /* later      */
    /* One nacre_sftp_answer_path; later: nacre_sftp_reply_path. An empty path came as ".".          */
    uint32_t (*realpath)(nacre_sftp_call *call, nacre_span path, nacre_sftp_answer *out);
    /* Must not replace an existing file (draft section 6.5).                                        */
    uint32_t (*rename)(nacre_sftp_call *call, nacre_span from, nacre_span to); /* later      */
    uint32_t (*readlink)(nacre_sftp_call *call, nacre_span path,
                         nacre_sftp_answer *out); /* later   */
    /* link shall point to target; the machine has sorted OpenSSH's argument order out.              */
    uint32_t (*symlink)(nacre_sftp_call *call, nacre_span target, nacre_span link); /* later      */

    /* OpenSSH's extensions */
    uint32_t (*posix_rename)(nacre_sftp_call *call, nacre_span from,
                             nacre_span to); /* later      */
    uint32_t (*statvfs)(nacre_sftp_call *call, nacre_span path, nacre_sftp_statvfs *out);
    uint32_t (*fstatvfs)(nacre_sftp_call *call, void *file, nacre_sftp_statvfs *out);
    uint32_t (*hardlink)(nacre_sftp_call *call, nacre_span from, nacre_span to); /* later      */
    uint32_t (*fsync)(nacre_sftp_call *call, void *file);                        /* later      */
    uint32_t (*lsetstat)(nacre_sftp_call *call, nacre_span path, const nacre_sftp_attrs *a);
    uint32_t (*expand_path)(nacre_sftp_call *call, nacre_span path, nacre_sftp_answer *out);
    /*
     * n 0: up to the end of from. Copies as much as does not take long and says in *copied how much;
     * the machine asks again for the rest (nacre_sftp_server_wants_step). *copied 0: from ends here.
     * later, nacre_sftp_reply_status: all that there is has been copied.
     */
    uint32_t (*copy_data)(nacre_sftp_call *call, void *from, uint64_t from_offset, uint64_t n,
                          void *to, uint64_t to_offset, uint64_t *copied);
    uint32_t (*home_directory)(nacre_sftp_call *call, nacre_span user, nacre_sftp_answer *out);
    /* The name of a number (group: of a group), at most size bytes; returns its length, 0: unknown. */
    size_t (*name_of_id)(nacre_sftp_call *call, uint32_t id, bool group, char *out, size_t size);

    /*
     * check-file is made from open, read and close and needs nothing here. A backend that has hashes
     * at hand, or computes them elsewhere, gives this: the hash of length bytes (0: to the end) at
     * offset in blocks of block_size (0: one), by the first of algorithms that it knows, added with
     * nacre_sftp_answer_hash. file NULL: path is meant. NACRE_FX_OP_UNSUPPORTED: let it be made from
     * read. later: _extended
     */
    uint32_t (*check_file)(nacre_sftp_call *call, void *file, nacre_span path,
                           const char *algorithms, uint64_t offset, uint64_t length,
                           uint32_t block_size, nacre_sftp_answer *out);

    /* Further extensions: what VERSION offers (NULL-ended by name), and their requests. Bytes added by
       nacre_sftp_answer_bytes make an EXTENDED_REPLY, none a STATUS. later: _status or _extended.
       writes: not offered, and refused, when the server is read-only.                               */
    const struct nacre_sftp_server_ext {
        const char *name, *data;
        bool writes;
    } * extensions;
    uint32_t (*extended)(nacre_sftp_call *call, const char *name, nacre_span data,
                         nacre_sftp_answer *out);
} nacre_sftp_server_ops;

enum {
    NACRE_SFTP_SERVER_MAX_PATH = 16 * 1024, /* four times Linux's PATH_MAX */
    /* READs answered later at the same time: enough for any backend's latency, 16 MiB of replies. */
    NACRE_SFTP_SERVER_MAX_LATER = 64
};

typedef struct nacre_sftp_server_options {
    size_t size; /* set by nacre_sftp_server_options_init */
    const nacre_allocator *allocator;
    nacre_random_fn random; /* for the handles' tag; NULL: libcrypto's */
    void *random_user;
    bool read_only; /* sftp-server -R */
    /* sftp-server -p and -P: comma-separated names as nacre_sftp_server_request_names lists them.
       allow NULL: all. A name in both is denied. An unknown name is an error at creation. */
    const char *allow, *deny;
    uint32_t max_handles; /* files and directories open at once; default 1024 */
    /* Input kept while the machine waits. More than the pipe's window, else a good client can
       overrun it; default 64 MiB + 256 KiB. Memory is taken only for what has come. */
    size_t max_backlog;
    nacre_log_fn log;
    void *log_user;
    nacre_log_level log_level;
} nacre_sftp_server_options;

NACRE_API void nacre_sftp_server_options_init(nacre_sftp_server_options *o);

/*
 * Returns owned. Copies options and pipe; ops (and the strings in it), user, allocator and the pipe's
 * ctx are kept by reference. options NULL: defaults. *error (NULL ok) says what is wrong with options.
 */
NACRE_API int nacre_sftp_server_new(nacre_sftp_server **out, const nacre_pipe *pipe,
                                    const nacre_sftp_server_ops *ops, void *user,
                                    const nacre_sftp_server_options *options,
                                    nacre_error *error) NACRE_MUST_CHECK;
/* Closes every open handle, then calls session_end. Tickets are void. */
NACRE_API void nacre_sftp_server_free(nacre_sftp_server *s);

/*
 * Takes all of input (what cannot be worked on now is kept) and works on it. Fatal errors are sticky:
 * NACRE_SFTP_PROTOCOL, NACRE_LIMIT (backlog overrun), NACRE_NO_MEMORY, the pipe's. Then close.
 */
NACRE_API int nacre_sftp_server_input(nacre_sftp_server *s, nacre_span input) NACRE_MUST_CHECK;
/* The pipe is writable, or a reply was given later: sends what waits, goes on with what is kept. */
NACRE_API int nacre_sftp_server_flush(nacre_sftp_server *s) NACRE_MUST_CHECK;
NACRE_API bool nacre_sftp_server_wants_write(const nacre_sftp_server *s);
/*
 * True while a request that takes long (check-file, copy-data) has work to do and waits for nobody: call
 * flush again, after everybody else had their turn. Each input and flush does a bounded piece of it.
 */
NACRE_API bool nacre_sftp_server_wants_step(const nacre_sftp_server *s);
/* False while requests wait: a driver without windows (stdin) should stop reading then. */
NACRE_API bool nacre_sftp_server_wants_input(const nacre_sftp_server *s);
/* Nothing kept, nothing to send, no ticket open, no work under way: at the end of input the session can go. */
NACRE_API bool nacre_sftp_server_idle(const nacre_sftp_server *s);
NACRE_API const nacre_error *nacre_sftp_server_error(const nacre_sftp_server *s);

/* The n-th name for allow and deny lists, as "sftp-server -Q requests"; NULL behind the last. */
NACRE_API const char *nacre_sftp_server_request_name(size_t n);

/* The object behind a handle that an extension's data carries; NULL: no such (or a dir/no dir). */
NACRE_API void *nacre_sftp_server_handle(nacre_sftp_server *s, nacre_span handle, bool dir);

typedef struct nacre_sftp_server_stats {
    uint32_t handles; /* open now */
    uint64_t requests, bytes_read, bytes_written;
} nacre_sftp_server_stats;
NACRE_API void nacre_sftp_server_get_stats(const nacre_sftp_server *s,
                                           nacre_sftp_server_stats *out);

/* ---- filling an answer, within an operation ------------------------------------------------------ */

/*
 * Adds a directory entry; an empty longname is made from attrs (numbers for owner and group). False:
 * the reply is full (or memory is), the entry is not in it, and no other will be. An entry that no
 * reply can hold - without a name, with extended attributes that are not as many as they say, or with
 * more of all than a packet's 256 KiB - ends the reply in the same way: what was added before it goes
 * out, and the READDIR that it then comes first in fails (NACRE_FX_FAILURE). A backend whose names may
 * be that long leaves those out by itself, or its directory cannot be read beyond them.
 */
NACRE_API bool nacre_sftp_answer_name(nacre_sftp_answer *out, const nacre_sftp_name *entry);
NACRE_API bool nacre_sftp_answer_path(nacre_sftp_answer *out, nacre_span path);
NACRE_API bool nacre_sftp_answer_bytes(nacre_sftp_answer *out, const void *p, size_t n);
/* A reply to check-file: the algorithm that was chosen, and all blocks' hashes. */
NACRE_API bool nacre_sftp_answer_hash(nacre_sftp_answer *out, const char *algorithm,
                                      nacre_span hashes);

/*
 * ---- answering later ------------------------------------------------------------------------------
 *
 * Each answers one ticket; call nacre_sftp_server_flush afterwards (not from within an operation).
 * NACRE_NOT_FOUND: no such ticket (session over, answered already). NACRE_INVALID_ARGUMENT: not what
 * this request is answered with. NACRE_AGAIN: output is full, try again when the pipe was writable.
 * NACRE_LIMIT: larger than a packet may be. After an error the ticket is open as before.
 * Any ticket may be answered by a status; NACRE_FX_OK only where that says everything.
 */
NACRE_API int nacre_sftp_reply_status(nacre_sftp_server *s, uint32_t ticket, uint32_t code,
                                      const char *message) NACRE_MUST_CHECK;
/* file or dir belongs to the server on success. Its place among the handles was kept. */
NACRE_API int nacre_sftp_reply_handle(nacre_sftp_server *s, uint32_t ticket,
                                      void *file) NACRE_MUST_CHECK;
/* At most as many bytes as were wanted; none: end of file. */
NACRE_API int nacre_sftp_reply_data(nacre_sftp_server *s, uint32_t ticket,
                                    nacre_span data) NACRE_MUST_CHECK;
NACRE_API int nacre_sftp_reply_attrs(nacre_sftp_server *s, uint32_t ticket,
                                     const nacre_sftp_attrs *attrs) NACRE_MUST_CHECK;
/*
 * *taken (NULL ok): how many of the entries were put into the reply; give the others with the next
 * READDIR. n 0: end of directory. When the first entry is one that no reply can hold (see
 * nacre_sftp_answer_name) nothing is sent: NACRE_LIMIT for its size, or NACRE_INVALID_ARGUMENT.
 */
NACRE_API int nacre_sftp_reply_names(nacre_sftp_server *s, uint32_t ticket,
                                     const nacre_sftp_name *entries, size_t n,
                                     size_t *taken) NACRE_MUST_CHECK;
NACRE_API int nacre_sftp_reply_path(nacre_sftp_server *s, uint32_t ticket,
                                    nacre_span path) NACRE_MUST_CHECK;
NACRE_API int nacre_sftp_reply_statvfs(nacre_sftp_server *s, uint32_t ticket,
                                       const nacre_sftp_statvfs *v) NACRE_MUST_CHECK;
NACRE_API int nacre_sftp_reply_extended(nacre_sftp_server *s, uint32_t ticket,
                                        nacre_span data) NACRE_MUST_CHECK;

#ifdef __cplusplus
}
#endif
#endif
