/*
 * nacre/loop.h - a small poll(2) loop, the driver that ties an engine to a socket, and the relay that
 * ties a channel to file descriptors.
 *
 * None of it is needed by a program that has its own loop: nacre_transport alone suffices. A loop and
 * all that hangs on it belong to one thread; nacre_loop_wake and nacre_loop_stop may be called from
 * any thread and from a signal handler. Callbacks run inside nacre_loop_run*; they may add, change
 * and remove anything, themselves included. No call here raises SIGPIPE.
 */
#ifndef NACRE_LOOP_H
#define NACRE_LOOP_H

#include "nacre/channel.h"
#include "nacre/transport.h"

#include <sys/types.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- the loop ------------------------------------------------------------------------------------ */

typedef struct nacre_loop nacre_loop;

enum {
    NACRE_READ = 1,
    NACRE_WRITE = 2,
    NACRE_HUP = 4 /* only reported, together with what was asked for: hang-up, error or bad fd */
};

typedef void (*nacre_fd_fn)(void *user, int fd, unsigned ready);
typedef void (*nacre_timer_fn)(void *user);
typedef void (*nacre_signal_fn)(void *user, int signo);
/* wait_status as waitpid(2) gives it */
typedef void (*nacre_child_fn)(void *user, pid_t pid, int wait_status);

/* Returns owned in *out. alloc and err may be NULL; alloc is kept. */
NACRE_API int nacre_loop_new(nacre_loop **out, const nacre_allocator *alloc,
                             nacre_error *err) NACRE_MUST_CHECK;
/* Drivers, relays and connects that use it must be freed before. Restores signal dispositions. */
NACRE_API void nacre_loop_free(nacre_loop *loop);

/*
 * Watches fd; one watcher per fd (NACRE_EXISTS otherwise). events 0 parks the watcher: not even a
 * hang-up is reported until modify. The fd stays the caller's; remove it before closing it.
 */
NACRE_API int nacre_loop_add(nacre_loop *loop, int fd, unsigned events, nacre_fd_fn fn,
                             void *user) NACRE_MUST_CHECK;
NACRE_API int nacre_loop_modify(nacre_loop *loop, int fd, unsigned events);
/* Unknown fds are ignored. */
NACRE_API void nacre_loop_remove(nacre_loop *loop, int fd);

/* One-shot timer, delay in ms of the monotonic clock. *id (NULL ok) is never 0. */
NACRE_API int nacre_loop_timer(nacre_loop *loop, uint64_t delay_ms, nacre_timer_fn fn, void *user,
                               uint64_t *id) NACRE_MUST_CHECK;
/* An id that fired already, was cancelled, or is 0, is ignored. */
NACRE_API void nacre_loop_cancel(nacre_loop *loop, uint64_t id);
/* The clock that transports in this loop are told: monotonic ms. loop may be NULL. */
NACRE_API uint64_t nacre_loop_now(const nacre_loop *loop);

/*
 * Calls fn inside the loop after signo arrived (several may be reported as one). Signals are the
 * process's: one loop per signal number at a time (NACRE_EXISTS). fn NULL gives the signal its earlier
 * disposition back.
 */
NACRE_API int nacre_loop_on_signal(nacre_loop *loop, int signo, nacre_signal_fn fn,
                                   void *user) NACRE_MUST_CHECK;
/*
 * Calls fn once when the child ended, and reaps it; also when it ended before. fn NULL: only reap.
 * Calling it again for a watched pid replaces fn and user.
 */
NACRE_API int nacre_loop_on_child(nacre_loop *loop, pid_t pid, nacre_child_fn fn,
                                  void *user) NACRE_MUST_CHECK;

/*
 * One turn: waits up to timeout_ms (-1: as long as it takes; 0: not at all) for something to do, and
 * does it. NACRE_OK also when nothing came.
 */
NACRE_API int nacre_loop_run_once(nacre_loop *loop, int timeout_ms) NACRE_MUST_CHECK;
/* Turns until nacre_loop_stop. A stop that came before makes it return at once. */
NACRE_API int nacre_loop_run(nacre_loop *loop) NACRE_MUST_CHECK;
NACRE_API void nacre_loop_stop(nacre_loop *loop); /* any thread; async-signal-safe */
NACRE_API void nacre_loop_wake(nacre_loop *loop); /* ends the present wait; likewise */

/* ---- the driver: one engine, one connection --------------------------------------------------------- */

typedef struct nacre_driver nacre_driver;

typedef struct nacre_driver_options {
    size_t size; /* set by nacre_driver_options_init */
    /* Every event of the transport, inside the loop. The driver must not be freed in it. */
    void (*on_event)(void *user, nacre_driver *d, const nacre_event *ev);
    /*
     * The connection is over: output is drained or given up, the fds are closed. Comes once, last, and
     * never from inside a call of yours. why: status NACRE_OK or NACRE_CLOSED after an orderly end.
     * The driver may be freed in it (and the transport after the driver).
     */
    void (*on_closed)(void *user, nacre_driver *d, const nacre_error *why);
    void *user;
    uint32_t close_ms; /* how long queued output may take after the end; default 5000 */
    bool keep_fds;     /* the fds are not closed, and get their blocking mode back */
} nacre_driver_options;
NACRE_API void nacre_driver_options_init(nacre_driver_options *o);

/*
 * Takes the fds (one number twice for a socket) on success, makes them non-blocking and close-on-exec,
 * TCP_NODELAY where it applies. Borrows loop and transport until nacre_driver_free. Stepping begins
 * in the next turn of the loop.
 */
NACRE_API int nacre_driver_new(nacre_driver **out, nacre_loop *loop, nacre_transport *t, int in_fd,
                               int out_fd, const nacre_driver_options *o,
                               nacre_error *err) NACRE_MUST_CHECK;
/* Closes the fds at once, calls nobody. NULL ok. */
NACRE_API void nacre_driver_free(nacre_driver *d);
/*
 * Something was called on the transport or its channels outside of on_event (from a timer, another
 * fd's callback, an answer to a ticket): step and send before the loop waits again. Cheap, idempotent.
 */
NACRE_API void nacre_driver_kick(nacre_driver *d);
/* Ends the connection: sends what is queued, up to close_ms, then on_closed. */
NACRE_API void nacre_driver_close(nacre_driver *d);
NACRE_API nacre_transport *nacre_driver_transport(const nacre_driver *d);
NACRE_API nacre_loop *nacre_driver_loop(const nacre_driver *d);
NACRE_API int
nacre_driver_fd(const nacre_driver *d) NACRE_MUST_CHECK; /* the input fd; -1 when closed */

/* ---- the relay: one channel, some file descriptors ---------------------------------------------------- */

typedef struct nacre_relay nacre_relay;

/* For a filter's result; see there. */
#define NACRE_RELAY_END ((size_t)1 << (sizeof(size_t) * 8 - 1))

typedef struct nacre_relay_result {
    bool exited;        /* the peer told, or our child had, an exit status        */
    uint32_t status;    /* of it                                                  */
    char signal[32];    /* name without "SIG" when a signal ended it, else ""     */
    bool core_dumped;   /* with signal                                            */
    bool child_alive;   /* the connection ended before our child did; it gets reaped */
    uint64_t bytes_out; /* read from fds and sent                                 */
    uint64_t bytes_in;  /* received and written to fds                            */
} nacre_relay_result;

/*
 * Fill with nacre_relay_options_init (all fds -1), then set. Any fd may be -1. Numbers may repeat: a
 * socket or a pty master is source and sink.
 *   server session:  source = child's stdout, source_err = child's stderr, sink = child's stdin, child
 *   server pty:      source = sink = master, child
 *   client session:  source = 0, sink = 1, sink_err = 2, shared = true, peer_closes = true
 *   forwarding:      source = sink = socket
 */
typedef struct nacre_relay_options {
    size_t size;
    int source;     /* read, sent as data             */
    int source_err; /* read, sent as extended data 1  */
    int sink;       /* data is written there          */
    int sink_err;   /* extended data 1 likewise; -1: it is dropped */
    /*
     * The fds are inherited and other processes use the same open files: they are left in blocking
     * mode and open; nothing that is done here outlives the relay. Otherwise the relay takes them, and a CLOSE
     * of the peer is held (nacre_channel_hold_close) until sink has all that came before it.
     */
    bool shared;
    bool peer_closes; /* never close the channel ourselves: the peer does, after its exit-status */
    /*
     * > 0: its end is told the peer (exit-status, exit-signal), then close; it is reaped. A CLOSE of the
     * peer ends the fds towards the child, and is held (nacre_channel_hold_close) until the child ends.
     */
    pid_t child;
    /*
     * Looks at what came from source before it is sent (escape characters). Writes what is to be sent
     * to out, which has room for 2 * n + 8 bytes, and returns its length; with NACRE_RELAY_END added to it,
     * source is over after these bytes. NULL: straight, no copy.
     */
    size_t (*filter)(void *user, const uint8_t *in, size_t n, uint8_t *out);
    /* Once; both directions are over and every byte is written. The relay may be freed in it. */
    void (*on_finished)(void *user, nacre_relay *r, const nacre_relay_result *result);
    void *user;
} nacre_relay_options;
NACRE_API void nacre_relay_options_init(nacre_relay_options *o);

/*
 * The channel must be open. Borrows loop, d and ch until nacre_relay_free; d may be NULL when somebody
 * else steps the transport after each turn. The channel is not freed by the relay.
 */
NACRE_API int nacre_relay_new(nacre_relay **out, nacre_loop *loop, nacre_driver *d,
                              nacre_channel *ch, const nacre_relay_options *o,
                              nacre_error *err) NACRE_MUST_CHECK;
/* Stops; closes the fds unless shared; a child that still runs goes on and is reaped. NULL ok. */
NACRE_API void nacre_relay_free(nacre_relay *r);
/*
 * Feed every event of this channel (DATA, EOF, WRITABLE, PEER_CLOSED, CLOSED, EXIT_*, and the request
 * eow@openssh.com). True: it was the relay's, and is dealt with.
 */
NACRE_API bool nacre_relay_event(nacre_relay *r, const nacre_event *ev);
/* Reads no more from source and source_err and sends EOF, as if both had ended. */
NACRE_API void nacre_relay_end_source(nacre_relay *r);
/* The transport is gone: drop what cannot be sent, write what is there, then on_finished. */
NACRE_API void nacre_relay_abandon(nacre_relay *r);

#ifdef __cplusplus
}
#endif
#endif
