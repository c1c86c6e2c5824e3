/*
 * sftp_loop.h - the client machine against the server machine over a pipe in memory.
 */
#ifndef TEST_SFTP_LOOP_H
#define TEST_SFTP_LOOP_H

#include "mem_backend.h"
#include "mem_pipe.h"
#include "nacre/sftp_engine.h"

typedef enum loop_cut { CUT_ALL, CUT_BYTE, CUT_RANDOM } loop_cut;

/* What the last reply to one request was, copied. */
typedef struct loop_reply {
    nacre_sftp_event_type type;
    uint32_t code;
    char message[128];
    uint8_t handle[256];
    size_t handle_len;
    nacre_sftp_attrs attrs;
    nacre_sftp_statvfs statvfs;
    char names[4096]; /* "a,b,c" */
    size_t name_count;
    char longname[256];
    uint8_t bytes[70000]; /* DATA, EXTENDED */
    size_t len;
} loop_reply;

typedef struct loop {
    mem_pipe pipe;
    mem_backend backend;
    nacre_sftp_engine *client;
    nacre_sftp_server *server;
    loop_cut cut;
    uint32_t seed;
    uint32_t wait_for;
    bool done;
    loop_reply reply;
    int client_rc, server_rc;
    void (*on_event)(struct loop *l, const nacre_sftp_event *ev); /* NULL: reply is filled */
    void *user;
} loop;

typedef struct loop_setup {
    loop_cut cut;
    size_t window, room_size;
    bool lend;
    const nacre_allocator *alloc;
    nacre_sftp_server_options *options;
} loop_setup;

/* Both machines, VERSION exchanged. A negative status when that did not come about. */
int loop_open(loop *l, loop_setup setup);
void loop_close(loop *l);
/* Moves bytes until nothing moves any more. True when something did. */
bool loop_pump(loop *l);
/* Pumps until the request is over; its reply. */
const loop_reply *loop_wait(loop *l, int rc, uint32_t id);
uint32_t loop_random(loop *l);

#define SPAN(text) nc_span_cstr(text)

#endif
