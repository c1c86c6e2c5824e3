/*
 * pipe.c - the byte pipe over a channel. Nothing of SFTP is in it.
 */
#include "nacre/pipe.h"

static int channel_reserve(void *ctx, size_t want, nacre_room *rooms, size_t *count)
{
    return nacre_channel_reserve((nacre_channel *)ctx, NACRE_STDOUT, want, rooms, count);
}

static int channel_commit(void *ctx, size_t n)
{
    return nacre_channel_commit((nacre_channel *)ctx, n);
}

static int channel_write(void *ctx, const void *p, size_t n, size_t *took)
{
    return nacre_channel_write((nacre_channel *)ctx, NACRE_STDOUT, p, n, took);
}

static int channel_consumed(void *ctx, size_t n)
{
    return nacre_channel_consumed((nacre_channel *)ctx, n);
}

int nacre_pipe_from_channel(nacre_channel *ch, nacre_pipe *out)
{
    if (!ch || !out) {
        return NACRE_INVALID_ARGUMENT;
    }
    out->ctx = ch;
    out->reserve = channel_reserve;
    out->commit = channel_commit;
    out->write = channel_write;
    out->consumed = channel_consumed;
    return NACRE_OK;
}
