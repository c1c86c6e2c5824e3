/*
 * mem_pipe.h - two pipes in memory, end to end, with windows, for tests of the file protocols.
 */
#ifndef TEST_MEM_PIPE_H
#define TEST_MEM_PIPE_H

#include "nacre/pipe.h"

typedef struct mem_way {
    uint8_t *bytes;
    size_t size, len; /* len bytes wait for the other end */
    size_t credit;    /* the window: only consumed gives it back */
    size_t lent;
    size_t room_size; /* rooms are at most so large */
    uint64_t total;
} mem_way;

typedef struct mem_end {
    mem_way *out, *in;
    /* From this call of the pipe on all fail with NACRE_CLOSED; 0: none. calls: how many there were. */
    unsigned long fail_at, calls;
} mem_end;

typedef struct mem_pipe {
    mem_way up, down; /* client to server, server to client */
    mem_end client, server;
    nacre_pipe client_pipe, server_pipe;
} mem_pipe;

void mem_pipe_init(mem_pipe *p, size_t window, size_t room_size, bool lend);
void mem_pipe_clear(mem_pipe *p);
/* Takes up to n bytes off the way (into a static-free buffer of the caller). */
size_t mem_way_take(mem_way *w, uint8_t *to, size_t n);

#endif
