/*
 * house.h - a whole session between the two easy faces: nacre_server, with files, scp, forwardings and agents, and a
 * nacre_client that is logged in, in one loop and one thread, so that a session goes the same way each time. The
 * server's files are in dir/far, the client's in dir/near.
 */
#ifndef NC_TESTS_HOUSE_H
#define NC_TESTS_HOUSE_H

#include "nacre/client.h"
#include "nacre/server.h"

#include <stdbool.h>

enum { HOUSE_BYTES = 100000 };

typedef struct house {
    char dir[64];
    nacre_key *host_key;
    const nacre_allocator *memory[2]; /* of each role; NULL: the C library's */

    const bool *impatient; /* something has failed: what does not come at once will not come */

    nacre_loop *loop;
    nacre_server *server;
    nacre_server_conn *conn; /* logged in */
    nacre_client *client;
    nacre_error err;
    char broken[256]; /* what was wrong although everything said that it is well; empty: nothing */
} house;

/* Once: the directory, a key, dir/near/given and dir/far/given. */
void house_build(house *h);
void house_tear_down(house *h);

/* A server, and a client that logs in. Not NACRE_OK: why there is no session; house_close is due all the same. */
int house_open(house *h);
void house_close(house *h);

/*
 * Works: NACRE_OK says that everything came over and is right, anything else is what a call said. In between nothing
 * may be wrong: h->broken says what was.
 */
int house_sftp(house *h);     /* a file up and down, a tree, a listing */
int house_scp(house *h);      /* the same by scp */
int house_forwards(house *h); /* a connection through -L and one through -R */
int house_agent(house *h);    /* a program at the server asks the client's agent */
int house_program(house *h);  /* "cat", with input */

typedef struct house_work {
    const char *name;
    int (*fn)(house *h);
} house_work;
extern const house_work house_works[];
extern const size_t house_work_count;

#endif
