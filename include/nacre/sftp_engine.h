/*
 * nacre/sftp_engine.h - the client end of SFTP version 3 as a machine without I/O.
 *
 * Requests go in by calls and come out on a pipe; input bytes go in and events come out. Any number
 * of requests (up to NACRE_SFTP_MAX_REQUESTS) may be on the way at once; replies come in the server's
 * order and name their request by id. A driver:
 *
 *     nacre_sftp_engine_start(e); nacre_sftp_engine_flush(e);
 *     on input:     while (span.n) {
 *                       rc = nacre_sftp_engine_input(e, span, &used, &ev);
 *                       span.p += used; span.n -= used;
 *                       if (rc == NACRE_OK) handle(&ev);        // may make new requests
 *                       else if (rc != NACRE_AGAIN) fail(nacre_sftp_engine_error(e));
 *                   }
 *                   nacre_sftp_engine_flush(e);
 *     on writable:  nacre_sftp_engine_flush(e);                 // then try what got NACRE_AGAIN
 *     end of input: nacre_sftp_engine_end(e);
 *
 * Requests are collected and leave with the next flush, so that many small ones share a packet.
 * Nothing is kept per file: handles and buffers are the caller's. A fatal error is sticky.
 */
#ifndef NACRE_SFTP_ENGINE_H
#define NACRE_SFTP_ENGINE_H

#include "nacre/pipe.h"
#include "nacre/sftp_attrs.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct nacre_sftp_engine nacre_sftp_engine;

enum {
    /* Requests without an answer yet. 4096 reads of 255 KiB are 1 GiB on the way: beyond any link. */
    NACRE_SFTP_MAX_REQUESTS = 4096,
    /* Draft section 6.2: a handle is at most 256 bytes. */
    NACRE_SFTP_MAX_HANDLE = 256,
    /* Data of one READ or WRITE when the server does not say more (the draft's 34000-byte rule). */
    NACRE_SFTP_DEFAULT_DATA = 32768,
    /* The most that we ask for in one request, as OpenSSH: a 256 KiB packet less 1 KiB. */
    NACRE_SFTP_MAX_DATA = 255 * 1024,
    /* Collected requests, bytes; above it request calls return NACRE_AGAIN. */
    NACRE_SFTP_MAX_QUEUED = 256 * 1024
};

/* Returns owned. Copies the pipe; its ctx and the allocator are kept by reference. */
NACRE_API int nacre_sftp_engine_new(nacre_sftp_engine **out, const nacre_allocator *alloc,
                                    const nacre_pipe *pipe) NACRE_MUST_CHECK;
NACRE_API void nacre_sftp_engine_free(nacre_sftp_engine *e);

/* Queues INIT. Requests are possible after the VERSION event (before: NACRE_WRONG_STATE). */
NACRE_API int nacre_sftp_engine_start(nacre_sftp_engine *e) NACRE_MUST_CHECK;

typedef enum nacre_sftp_event_type {
    NACRE_SFTP_EVENT_NONE = 0,
    NACRE_SFTP_EVENT_VERSION,  /* the session is up; ask nacre_sftp_engine_has              */
    NACRE_SFTP_EVENT_STATUS,   /* status: success, failure, end of file                     */
    NACRE_SFTP_EVENT_HANDLE,   /* handle: of OPEN and OPENDIR                               */
    NACRE_SFTP_EVENT_DATA,     /* data: a piece of a READ reply, as it arrived               */
    NACRE_SFTP_EVENT_NAMES,    /* names: of READDIR, REALPATH, READLINK, expand-path ...    */
    NACRE_SFTP_EVENT_ATTRS,    /* attrs: of STAT, LSTAT, FSTAT                              */
    NACRE_SFTP_EVENT_EXTENDED, /* extended: reply of an extension, undecoded                */
    NACRE_SFTP_EVENT_LIMITS,   /* limits: as the server said; the engine has taken them over */
    NACRE_SFTP_EVENT_STATVFS,  /* statvfs                                                   */
    NACRE_SFTP_EVENT_HASHES    /* hashes: of the check-file requests                        */
} nacre_sftp_event_type;

/* The entries of one NAME reply, all checked already; step with nacre_sftp_names_next. */
typedef struct nacre_sftp_names {
    uint32_t count; /* left; of READDIR it may be 0 from odd servers: ask again for the end */
    nacre_span rest;
} nacre_sftp_names;

typedef struct nacre_sftp_event {
    nacre_sftp_event_type type;
    uint32_t id;     /* of the request; 0 with VERSION                                     */
    void *user;      /* nacre_sftp_engine_set_user                                         */
    uint8_t request; /* NACRE_FXP_* that is answered                                       */
    bool done;       /* the request is over and its id may come again                      */
    union {
        struct {
            uint32_t version;
        } version;
        struct {
            uint32_t code;      /* NACRE_FX_*                            */
            nacre_span message; /* the server's; may be empty; escape it */
        } status;
        nacre_span handle;
        struct {
            uint64_t position; /* in the file: the request's offset + offset                */
            uint32_t offset;   /* in the reply                                              */
            uint32_t total;    /* of the reply; 0 < total <= asked, short reads are legal   */
            nacre_span bytes;  /* a view of the input: valid while that is                  */
            bool last;
        } data;
        nacre_sftp_names names;
        nacre_sftp_attrs attrs;
        nacre_span extended;
        nacre_sftp_limits limits;
        nacre_sftp_statvfs statvfs;
        struct {
            nacre_span algorithm; /* the server's word; escape it                     */
            nacre_span bytes;     /* one hash for each block; its length is unchecked */
        } hashes;
    } u;
} nacre_sftp_event;

/*
 * Takes bytes from the front of input: NACRE_OK and one event, NACRE_AGAIN when all were used without
 * one, or a fatal error (NACRE_SFTP_PROTOCOL: the server broke the protocol; NACRE_NO_MEMORY; the
 * pipe's). *used is always set. Spans in the event are borrowed until the next call of input, those
 * of DATA from input itself.
 */
NACRE_API int nacre_sftp_engine_input(nacre_sftp_engine *e, nacre_span input, size_t *used,
                                      nacre_sftp_event *ev) NACRE_MUST_CHECK;
/*
 * The server sends no more. NACRE_OK when nothing was outstanding, else a fatal NACRE_CLOSED that
 * says what was cut off (and repeats what text came in place of SFTP).
 */
NACRE_API int nacre_sftp_engine_end(nacre_sftp_engine *e) NACRE_MUST_CHECK;
/* True and the next entry (borrowed from the event's bytes), false at the end. */
NACRE_API bool nacre_sftp_names_next(nacre_sftp_names *names, nacre_sftp_name *entry);

/* Writes what is collected, as much as the pipe takes. NACRE_OK also when something stays. */
NACRE_API int nacre_sftp_engine_flush(nacre_sftp_engine *e) NACRE_MUST_CHECK;
NACRE_API bool nacre_sftp_engine_wants_write(const nacre_sftp_engine *e);

/* ---- what the session is ------------------------------------------------------------------------ */

/* The first fatal error; status NACRE_OK when there is none. Borrowed from e. */
NACRE_API const nacre_error *nacre_sftp_engine_error(const nacre_sftp_engine *e);
NACRE_API bool nacre_sftp_engine_ready(const nacre_sftp_engine *e); /* VERSION came */
/* Requests without an answer. */
NACRE_API size_t nacre_sftp_engine_outstanding(const nacre_sftp_engine *e);
/* The server offers this extension in the version that we know. CHECK_FILE: under any of its names. */
NACRE_API bool nacre_sftp_engine_has(const nacre_sftp_engine *e, nacre_sftp_ext ext);
/* Any extension by name; *data (NULL ok) borrowed from e. */
NACRE_API bool nacre_sftp_engine_extension(const nacre_sftp_engine *e, const char *name,
                                           nacre_span *data);
/* The extensions in the server's order: false when index is beyond the last. */
NACRE_API bool nacre_sftp_engine_extension_at(const nacre_sftp_engine *e, size_t index,
                                              nacre_span *name, nacre_span *data);
/*
 * Sizes to use for requests now: 32 KiB of data until a LIMITS event said otherwise, never above
 * what this engine does itself. max_handles 0: unknown.
 */
NACRE_API void nacre_sftp_engine_limits(const nacre_sftp_engine *e, nacre_sftp_limits *out);
/*
 * SYMLINK's arguments: by default target first, then link, as OpenSSH and nearly everybody sends
 * them (PROTOCOL 4.1); draft: in the draft's order, for servers that follow it.
 */
NACRE_API void nacre_sftp_engine_set_draft_symlink(nacre_sftp_engine *e, bool draft);
/* A pointer of the caller's that comes with each event of the request. NACRE_NOT_FOUND: no such id. */
NACRE_API int nacre_sftp_engine_set_user(nacre_sftp_engine *e, uint32_t id, void *user);
/* No event for this request any more; its reply is read and dropped (a HANDLE in it is lost). */
NACRE_API int nacre_sftp_engine_forget(nacre_sftp_engine *e, uint32_t id);

/*
 * ---- requests ------------------------------------------------------------------------------------
 *
 * All return NACRE_OK and the request's *id (never 0), or NACRE_AGAIN (queue or table full: flush,
 * take replies, try again), NACRE_WRONG_STATE (no VERSION yet, or failed), NACRE_INVALID_ARGUMENT
 * (path with a NUL byte, handle empty or above 256 bytes), NACRE_TOO_LARGE, NACRE_NO_MEMORY;
 * extensions NACRE_UNSUPPORTED when the server does not offer them. After an error nothing was sent.
 * Paths are bytes, at most 64 KiB. Each is answered by the event named, or by STATUS.
 */
NACRE_API int nacre_sftp_req_open(nacre_sftp_engine *e, nacre_span path, uint32_t pflags,
                                  const nacre_sftp_attrs *attrs,
                                  uint32_t *id) NACRE_MUST_CHECK; /* HANDLE; attrs NULL: none */
NACRE_API int nacre_sftp_req_close(nacre_sftp_engine *e, nacre_span handle,
                                   uint32_t *id) NACRE_MUST_CHECK;
/* DATA; n is cut to the limits' max_read, *asked (NULL ok) says to what. */
NACRE_API int nacre_sftp_req_read(nacre_sftp_engine *e, nacre_span handle, uint64_t offset,
                                  size_t n, size_t *asked, uint32_t *id) NACRE_MUST_CHECK;
/* Copies; *took is how many bytes the request carries (at most max_write). */
NACRE_API int nacre_sftp_req_write(nacre_sftp_engine *e, nacre_span handle, uint64_t offset,
                                   nacre_span data, size_t *took, uint32_t *id) NACRE_MUST_CHECK;
/*
 * WRITE without a copy: lends *granted bytes (up to want and max_write) in *count rooms (in: how many
 * fit into rooms). Fill them from the first on, then commit how many; commit of 0 makes no request
 * (*id is 0). No other call on the engine or its pipe between the two. NACRE_AGAIN: no worthwhile
 * room now (at least 32 KiB or want); try again after the pipe was writable or a reply came.
 */
NACRE_API int nacre_sftp_reserve_write(nacre_sftp_engine *e, nacre_span handle, uint64_t offset,
                                       size_t want, nacre_room *rooms, size_t *count,
                                       size_t *granted) NACRE_MUST_CHECK;
NACRE_API int nacre_sftp_commit_write(nacre_sftp_engine *e, size_t n,
                                      uint32_t *id) NACRE_MUST_CHECK;

NACRE_API int nacre_sftp_req_stat(nacre_sftp_engine *e, nacre_span path,
                                  uint32_t *id) NACRE_MUST_CHECK; /* ATTRS */
NACRE_API int nacre_sftp_req_lstat(nacre_sftp_engine *e, nacre_span path,
                                   uint32_t *id) NACRE_MUST_CHECK; /* ATTRS */
NACRE_API int nacre_sftp_req_fstat(nacre_sftp_engine *e, nacre_span handle,
                                   uint32_t *id) NACRE_MUST_CHECK; /* ATTRS */
NACRE_API int nacre_sftp_req_setstat(nacre_sftp_engine *e, nacre_span path,
                                     const nacre_sftp_attrs *attrs, uint32_t *id) NACRE_MUST_CHECK;
NACRE_API int nacre_sftp_req_fsetstat(nacre_sftp_engine *e, nacre_span handle,
                                      const nacre_sftp_attrs *attrs, uint32_t *id) NACRE_MUST_CHECK;
NACRE_API int nacre_sftp_req_opendir(nacre_sftp_engine *e, nacre_span path,
                                     uint32_t *id) NACRE_MUST_CHECK; /* HANDLE */
NACRE_API int nacre_sftp_req_readdir(nacre_sftp_engine *e, nacre_span handle,
                                     uint32_t *id) NACRE_MUST_CHECK; /* NAMES; STATUS EOF: all */
NACRE_API int nacre_sftp_req_remove(nacre_sftp_engine *e, nacre_span path,
                                    uint32_t *id) NACRE_MUST_CHECK;
NACRE_API int nacre_sftp_req_mkdir(nacre_sftp_engine *e, nacre_span path,
                                   const nacre_sftp_attrs *attrs, uint32_t *id) NACRE_MUST_CHECK;
NACRE_API int nacre_sftp_req_rmdir(nacre_sftp_engine *e, nacre_span path,
                                   uint32_t *id) NACRE_MUST_CHECK;
NACRE_API int nacre_sftp_req_realpath(nacre_sftp_engine *e, nacre_span path,
                                      uint32_t *id) NACRE_MUST_CHECK; /* NAMES, exactly one */
NACRE_API int nacre_sftp_req_rename(nacre_sftp_engine *e, nacre_span from, nacre_span to,
                                    uint32_t *id) NACRE_MUST_CHECK;
NACRE_API int nacre_sftp_req_readlink(nacre_sftp_engine *e, nacre_span path,
                                      uint32_t *id) NACRE_MUST_CHECK; /* NAMES, exactly one */
/* Makes link point to target. */
NACRE_API int nacre_sftp_req_symlink(nacre_sftp_engine *e, nacre_span target, nacre_span link,
                                     uint32_t *id) NACRE_MUST_CHECK;
/* Any extension: data is what follows the name. EXTENDED or STATUS. Offered or not is not checked. */
NACRE_API int nacre_sftp_req_extended(nacre_sftp_engine *e, const char *name, nacre_span data,
                                      uint32_t *id) NACRE_MUST_CHECK;

NACRE_API int nacre_sftp_req_limits(nacre_sftp_engine *e,
                                    uint32_t *id) NACRE_MUST_CHECK; /* LIMITS */
NACRE_API int nacre_sftp_req_posix_rename(nacre_sftp_engine *e, nacre_span from, nacre_span to,
                                          uint32_t *id) NACRE_MUST_CHECK;
NACRE_API int nacre_sftp_req_statvfs(nacre_sftp_engine *e, nacre_span path,
                                     uint32_t *id) NACRE_MUST_CHECK; /* STATVFS */
NACRE_API int nacre_sftp_req_fstatvfs(nacre_sftp_engine *e, nacre_span handle,
                                      uint32_t *id) NACRE_MUST_CHECK; /* STATVFS */
NACRE_API int nacre_sftp_req_hardlink(nacre_sftp_engine *e, nacre_span from, nacre_span to,
                                      uint32_t *id) NACRE_MUST_CHECK;
NACRE_API int nacre_sftp_req_fsync(nacre_sftp_engine *e, nacre_span handle,
                                   uint32_t *id) NACRE_MUST_CHECK;
NACRE_API int nacre_sftp_req_lsetstat(nacre_sftp_engine *e, nacre_span path,
                                      const nacre_sftp_attrs *attrs, uint32_t *id) NACRE_MUST_CHECK;
NACRE_API int nacre_sftp_req_expand_path(nacre_sftp_engine *e, nacre_span path,
                                         uint32_t *id) NACRE_MUST_CHECK; /* NAMES, one */
NACRE_API int nacre_sftp_req_home_directory(nacre_sftp_engine *e, nacre_span user,
                                            uint32_t *id) NACRE_MUST_CHECK; /* NAMES, one */
/* n 0: up to the end of the source. */
NACRE_API int nacre_sftp_req_copy_data(nacre_sftp_engine *e, nacre_span from_handle,
                                       uint64_t from_offset, uint64_t n, nacre_span to_handle,
                                       uint64_t to_offset, uint32_t *id) NACRE_MUST_CHECK;
/* EXTENDED: two strings, each a row of strings, "" for an unknown number. */
NACRE_API int nacre_sftp_req_users_groups(nacre_sftp_engine *e, const uint32_t *uids, size_t n_uids,
                                          const uint32_t *gids, size_t n_gids,
                                          uint32_t *id) NACRE_MUST_CHECK;

/*
 * Hashes of a file's bytes: HASHES. The same question has three names, and servers that announce one of
 * them know others, or not: "check-file-name" takes a path, "check-file-handle" and the older
 * "check-file" a handle. Each call works when any of the three was announced, and is answered by STATUS
 * OP_UNSUPPORTED when the server does not know it. algorithms: names, comma-separated, the dearest
 * first; length 0: up to the end; block_size 0: one hash over all, else at least 256
 * (NACRE_INVALID_ARGUMENT).
 */
typedef struct nacre_sftp_check {
    const char *algorithms;
    uint64_t offset, length;
    uint32_t block_size;
} nacre_sftp_check;
NACRE_API int nacre_sftp_req_check_file_name(nacre_sftp_engine *e, nacre_span path,
                                             const nacre_sftp_check *check,
                                             uint32_t *id) NACRE_MUST_CHECK;
NACRE_API int nacre_sftp_req_check_file_handle(nacre_sftp_engine *e, nacre_span handle,
                                               const nacre_sftp_check *check,
                                               uint32_t *id) NACRE_MUST_CHECK;
NACRE_API int nacre_sftp_req_check_file(nacre_sftp_engine *e, nacre_span handle,
                                        const nacre_sftp_check *check,
                                        uint32_t *id) NACRE_MUST_CHECK;

#ifdef __cplusplus
}
#endif
#endif
