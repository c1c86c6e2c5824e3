/*
 * sftp_pair.h - a session with everything in it over a pair (pair.h): login, new keys in the middle, a channel
 * with the SFTP subsystem, a client machine that goes through a list of requests, and a server machine over a
 * tree in memory.
 */
#ifndef NC_TESTS_SFTP_PAIR_H
#define NC_TESTS_SFTP_PAIR_H

#include "nacre/memory_files.h"
#include "nacre/pipe.h"
#include "nacre/sftp_engine.h"
#include "support/pair.h"

typedef struct sftp_pair {
    pair p;
    const nacre_allocator *alloc[2]; /* NULL: the C library's; set it in p.config too */

    nacre_channel *client_channel;
    nacre_sftp_engine *client;
    nacre_sftp_server *server;
    nacre_memory_files *files;
    nacre_pipe pipe[2];
    size_t step; /* of the client's list */
    uint8_t handle[256];
    size_t handle_n;
    size_t got; /* bytes that were read, and right */
    unsigned names;
    bool rekeyed, done, wrong;
    bool failed;       /* something said that it failed */
    int client_status; /* why the client's machine stopped */
    int server_status;
} sftp_pair;

/* Configure s->p between the two. */
void sftp_pair_init(sftp_pair *s, uint64_t seed);
/* NACRE_OK or why it could not begin. */
int sftp_pair_start(sftp_pair *s);
void sftp_pair_free(sftp_pair *s);
/* Everything was asked for and answered well. */
bool sftp_pair_done(const sftp_pair *s);

#endif
