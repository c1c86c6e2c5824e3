/*
 * nacre/stream.h - a channel of a client as a file or a socket is used: read, write, lines, deadlines.
 *
 * A stream takes a channel over and is freed instead of it, before or after the client that it stands on; when
 * the client is freed or connects anew the stream is over (NACRE_CLOSED). Its calls block like those of
 * nacre/client.h, drive the connection meanwhile, and leave a sentence in nacre_client_error. The thread that
 * uses the client uses its streams.
 *
 *     nacre_stream *s;
 *     if (nacre_stream_exec(&s, client, "ls -l", NULL) == NACRE_OK) {
 *         const char *line;
 *         while (nacre_stream_line(s, NACRE_STDOUT, &line, NULL) == NACRE_OK)
 *             puts(line);
 *         nacre_stream_exit(s, &how);
 *         nacre_stream_free(s);
 *     }
 */
#ifndef NACRE_STREAM_H
#define NACRE_STREAM_H

#include "nacre/client.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct nacre_stream nacre_stream;

/* A timeout: do what can be done now, and return NACRE_AGAIN where one would have to wait. */
#define NACRE_NOW (UINT32_MAX - 1)

/* What becomes of extended data type 1, what a program says on its standard error. */
typedef enum nacre_stderr_mode {
    NACRE_STDERR_APART = 0, /* to be read as NACRE_STDERR; unread it holds its part of the window */
    NACRE_STDERR_MERGED,    /* comes with NACRE_STDOUT, in the order in which it was sent */
    NACRE_STDERR_DROPPED
} nacre_stderr_mode;

typedef struct nacre_stream_options {
    size_t size;          /* set by nacre_stream_options_init */
    const nacre_pty *pty; /* the terminal to ask for; NULL: none. A refusal fails the call */
    const char *const
        *env; /* "NAME=value"; what the server does not accept it leaves out, silently */
    size_t env_count;
    nacre_stderr_mode errors;
    uint32_t
        timeout_ms;   /* of every call on the stream: 0: the client's, NACRE_FOREVER, NACRE_NOW */
    size_t line_max;  /* longest line, without its end; default 1 MiB */
    const char *name; /* for messages; copied; NULL: "stream" and the channel's number */
} nacre_stream_options;
NACRE_API void nacre_stream_options_init(nacre_stream_options *o);

/*
 * Opens a session and starts something on it; returns when the server has said yes. options NULL: the defaults;
 * NACRE_NOW in them holds from the first call after this. *out is owned, NULL on failure. NACRE_CHANNEL_REFUSED,
 * NACRE_REQUEST_REFUSED, NACRE_INVALID_ARGUMENT (a variable without "="), NACRE_TIMEOUT.
 */
NACRE_API int nacre_stream_exec(nacre_stream **out, nacre_client *c, const char *command,
                                const nacre_stream_options *o) NACRE_MUST_CHECK;
NACRE_API int nacre_stream_shell(nacre_stream **out, nacre_client *c,
                                 const nacre_stream_options *o) NACRE_MUST_CHECK;
NACRE_API int nacre_stream_subsystem(nacre_stream **out, nacre_client *c, const char *name,
                                     const nacre_stream_options *o) NACRE_MUST_CHECK;
/*
 * Over a channel of any type that is open: one of nacre_client_session or nacre_client_channel, or one that the
 * server opened and the application accepted. Takes it on success. pty and env are not looked at.
 */
NACRE_API int nacre_stream_over(nacre_stream **out, nacre_client *c, nacre_channel *ch,
                                const nacre_stream_options *o) NACRE_MUST_CHECK;
/* Closes the channel, waits for nothing, and frees. NULL ok. */
NACRE_API void nacre_stream_free(nacre_stream *s);

/* ---- what it is ------------------------------------------------------------------------------------- */

/* NULL when the client is gone. nacre_channel_* calls may be used on the channel, but for consumed and free. */
NACRE_API nacre_channel *nacre_stream_channel(const nacre_stream *s);
NACRE_API nacre_client *nacre_stream_client(const nacre_stream *s);
NACRE_API const char *nacre_stream_name(const nacre_stream *s);
NACRE_API int nacre_stream_set_name(nacre_stream *s, const char *name) NACRE_MUST_CHECK;
NACRE_API void nacre_stream_set_user(nacre_stream *s, void *user);
NACRE_API void *nacre_stream_user(const nacre_stream *s);
NACRE_API void nacre_stream_set_timeout(nacre_stream *s, uint32_t timeout_ms);
NACRE_API uint32_t nacre_stream_timeout(const nacre_stream *s);
/* From now on. MERGED: what waits to be read as NACRE_STDERR is put behind NACRE_STDOUT. */
NACRE_API int nacre_stream_set_stderr(nacre_stream *s, nacre_stderr_mode mode) NACRE_MUST_CHECK;

/* ---- reading ---------------------------------------------------------------------------------------- */

/* What is there, at least one byte, at most n. NACRE_END behind the last byte; NACRE_TIMEOUT, NACRE_AGAIN. */
NACRE_API int nacre_stream_read(nacre_stream *s, int stream, void *p, size_t n,
                                size_t *got) NACRE_MUST_CHECK;
/* n bytes. NACRE_END: there were less. *got (NULL ok): how many are in p, also when it fails. */
NACRE_API int nacre_stream_read_exactly(nacre_stream *s, int stream, void *p, size_t n,
                                        size_t *got) NACRE_MUST_CHECK;
/*
 * The next line, zero-terminated, without its LF or CR LF; the last one may lack it. Borrowed until the next
 * call on the stream; *n (NULL ok) is its length, for lines with zero bytes in them. NACRE_END: no more.
 * NACRE_TOO_LARGE: longer than line_max; it can still be read by nacre_stream_read. A deadline that passes
 * within a line loses nothing of it.
 */
NACRE_API int nacre_stream_line(nacre_stream *s, int stream, const char **line,
                                size_t *n) NACRE_MUST_CHECK;

/* ---- writing ---------------------------------------------------------------------------------------- */

/*
 * Writes all of it; *took (NULL ok) says how much when that fails, and with NACRE_NOW NACRE_OK means that
 * some were taken. NACRE_STDERR: as extended data, which only some channel types know.
 */
NACRE_API int nacre_stream_write(nacre_stream *s, int stream, const void *p, size_t n,
                                 size_t *took) NACRE_MUST_CHECK;

/* ---- readiness -------------------------------------------------------------------------------------- */

enum {
    NACRE_STREAM_READ = 1,     /* a read of NACRE_STDOUT does not wait: data, or its end */
    NACRE_STREAM_READ_ERR = 2, /* the same of NACRE_STDERR */
    NACRE_STREAM_WRITE = 4,    /* a write takes at least one byte, or fails */
    NACRE_STREAM_ENDED = 8,    /* the peer sends no more */
    NACRE_STREAM_EXIT = 16,    /* it is known how the program ended, or that it never will be */
    NACRE_STREAM_ALL = 31
};
/* What holds now; looks at what has been received, and turns no loop. */
NACRE_API unsigned nacre_stream_ready(const nacre_stream *s);
/* Waits until one of wanted holds; *ready (NULL ok) gets all that do. */
NACRE_API int nacre_stream_wait(nacre_stream *s, unsigned wanted, unsigned *ready) NACRE_MUST_CHECK;
/* Bytes that wait to be read. */
NACRE_API size_t nacre_stream_available(const nacre_stream *s, int stream);
/*
 * A descriptor that polls as readable while NACRE_STREAM_READ or _READ_ERR has data or an end; for select and
 * poll, never to be read, written or closed. It changes while the client's loop turns: in its calls, or when
 * the application runs nacre_client_loop. Made at the first call and closed with the stream; -1: none to be had.
 */
NACRE_API int nacre_stream_fd(nacre_stream *s) NACRE_MUST_CHECK;

/* ---- the end ---------------------------------------------------------------------------------------- */

/* No more is written: EOF to the peer, after what was written. Idempotent. */
NACRE_API int nacre_stream_shutdown_write(nacre_stream *s);
/* No more is read: what waits is dropped, reads say NACRE_END, and a session's peer is told to stop. */
NACRE_API int nacre_stream_shutdown_read(nacre_stream *s);
/*
 * Waits until it is known how the program ended. NACRE_NOT_FOUND: the channel was closed and nobody said it.
 * Unread output that fills the window keeps a program from ending: read or drop it first.
 */
NACRE_API int nacre_stream_exit(nacre_stream *s, nacre_exit *how) NACRE_MUST_CHECK;
/* Closes both ways and waits until the peer has done so, too. Unread data is dropped. */
NACRE_API int nacre_stream_close(nacre_stream *s);

#ifdef __cplusplus
}
#endif
#endif
