#include "mem_pipe.h"

#include <stdlib.h>
#include <string.h>

static bool is_gone(mem_end *e)
{
    e->calls++;
    return e->fail_at != 0 && e->calls >= e->fail_at;
}

static int end_reserve(void *ctx, size_t want, nacre_room *rooms, size_t *count)
{
    mem_way *w = ((mem_end *)ctx)->out;
    size_t n = want < w->credit ? want : w->credit;
    size_t given = 0;
    size_t i = 0;
    if (is_gone(ctx)) {
        return NACRE_CLOSED;
    }
    if (w->lent) {
        return NACRE_WRONG_STATE;
    }
    while (i < *count && given < n) {
        size_t piece = n - given < w->room_size ? n - given : w->room_size;
        rooms[i].p = w->bytes + w->len + given;
        rooms[i].n = piece;
        given += piece;
        i++;
    }
    *count = i;
    w->lent = given;
    return NACRE_OK;
}

static int end_commit(void *ctx, size_t n)
{
    mem_way *w = ((mem_end *)ctx)->out;
    if (is_gone(ctx)) {
        return NACRE_CLOSED;
    }
    if (n > w->lent) {
        return NACRE_INVALID_ARGUMENT;
    }
    w->lent = 0;
    w->len += n;
    w->credit -= n;
    w->total += n;
    return NACRE_OK;
}

static int end_write(void *ctx, const void *p, size_t n, size_t *took)
{
    mem_way *w = ((mem_end *)ctx)->out;
    if (is_gone(ctx)) {
        return NACRE_CLOSED;
    }
    if (w->lent) {
        return NACRE_WRONG_STATE;
    }
    *took = n < w->credit ? n : w->credit;
    if (*took) {
        memcpy(w->bytes + w->len, p, *took);
    }
    w->len += *took;
    w->credit -= *took;
    w->total += *took;
    return NACRE_OK;
}

static int end_consumed(void *ctx, size_t n)
{
    ((mem_end *)ctx)->in->credit += n;
    return is_gone(ctx) ? NACRE_CLOSED : NACRE_OK;
}

static void way_init(mem_way *w, size_t window, size_t room_size)
{
    memset(w, 0, sizeof(*w));
    w->bytes = malloc(window);
    w->size = window;
    w->credit = window;
    w->room_size = room_size;
}

static void end_init(mem_end *e, mem_way *out, mem_way *in, nacre_pipe *pipe, bool lend)
{
    e->out = out;
    e->in = in;
    e->fail_at = e->calls = 0;
    pipe->ctx = e;
    pipe->reserve = lend ? end_reserve : NULL;
    pipe->commit = lend ? end_commit : NULL;
    pipe->write = end_write;
    pipe->consumed = end_consumed;
}

void mem_pipe_init(mem_pipe *p, size_t window, size_t room_size, bool lend)
{
    way_init(&p->up, window, room_size);
    way_init(&p->down, window, room_size);
    end_init(&p->client, &p->up, &p->down, &p->client_pipe, lend);
    end_init(&p->server, &p->down, &p->up, &p->server_pipe, lend);
}

void mem_pipe_clear(mem_pipe *p)
{
    free(p->up.bytes);
    free(p->down.bytes);
}

size_t mem_way_take(mem_way *w, uint8_t *to, size_t n)
{
    n = n < w->len ? n : w->len;
    if (n) {
        memcpy(to, w->bytes, n);
        memmove(w->bytes, w->bytes + n, w->len - n);
        w->len -= n;
    }
    return n;
}
