/*
 * nacre/pipe.h - the ordered byte pipe on which the file protocols run: a channel, the stdin and
 * stdout of a subsystem program, or memory in a test.
 *
 * A pipe is four functions. The machine above calls them; they never block and never call back into
 * the machine. Each returns NACRE_OK or an error that ends the machine's session.
 */
#ifndef NACRE_PIPE_H
#define NACRE_PIPE_H

#include "nacre/channel.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct nacre_pipe {
    void *ctx;
    /*
     * Lends up to want bytes of output space in *count rooms (in: how many fit into rooms, out: how
     * many are lent; 0: none now, wait until the pipe is writable). Between reserve and commit the
     * machine makes no other call on the pipe. NULL: the pipe does not lend; then write is used.
     */
    int (*reserve)(void *ctx, size_t want, nacre_room *rooms, size_t *count);
    /* The first n bytes of what reserve lent go out; 0 gives everything back. */
    int (*commit)(void *ctx, size_t n);
    /* Copies up to n bytes; *took less than n: the rest when the pipe is writable. */
    int (*write)(void *ctx, const void *p, size_t n, size_t *took);
    /* n bytes of input are dealt with: room for as many goes back to the peer. NULL: nothing to do. */
    int (*consumed)(void *ctx, size_t n);
} nacre_pipe;

/*
 * The pipe over a channel's standard data stream. Borrows the channel, which must outlive every use
 * of the pipe. On NACRE_EVENT_CHANNEL_WRITABLE flush the machine; NACRE_EVENT_CHANNEL_DATA is its
 * input. The machine gives window back itself: do not call nacre_channel_consumed for those bytes.
 */
NACRE_API int nacre_pipe_from_channel(nacre_channel *ch, nacre_pipe *out) NACRE_MUST_CHECK;

#ifdef __cplusplus
}
#endif
#endif
