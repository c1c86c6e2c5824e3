/*
 * mem_server.h - the SFTP server machine over a file system in memory, in a thread of its own behind a
 * socket pair, for tests of the blocking calls. It counts what it is asked, and a test may answer
 * requests itself.
 */
#ifndef NC_TESTS_MEM_SERVER_H
#define NC_TESTS_MEM_SERVER_H

#include "../sftp/mem_backend.h"
#include "base/buf.h"
#include "nacre/sftp.h"
#include "wire/rd.h"
#include "wire/wr.h"

#include <pthread.h>

typedef struct mem_server mem_server;
struct mem_server {
    mem_backend files;
    /*
     * Looks at each request before the machine does. True: it wrote the reply's bytes, from the type on,
     * to w (none: no reply). In the server's thread.
     */
    bool (*script)(mem_server *m, uint8_t type, uint32_t id, nc_rd r, nc_wr *w);
    unsigned die_after; /* requests, INIT included; 0: never */

    /* What it saw; to be looked at when all calls have returned. */
    unsigned seen[256];
    uint64_t asked; /* bytes, by READs */
    unsigned said;  /* by a script, as it likes */

    int fd;
    pthread_t thread;
    nacre_sftp_server *machine;
    nc_buf out;
};

void mem_server_init(mem_server *m);
/* Makes the pair and the thread; s is the session. alloc may be NULL. */
int mem_server_open(mem_server *m, const nacre_sftp_options *o, nacre_sftp **s);
/* Closes the session (NULL: it is closed) and waits for the thread. */
void mem_server_close(mem_server *m, nacre_sftp *s);
void mem_server_clear(mem_server *m);
/* A reply for scripts. */
void mem_server_status(nc_wr *w, uint32_t id, uint32_t code);

#endif
