/*
 * memory_peer.h - a client that writes its requests by hand, before the server machine with a tree in memory.
 */
#ifndef TEST_MEMORY_PEER_H
#define TEST_MEMORY_PEER_H

#include "mem_pipe.h"
#include "nacre/memory_files.h"
#include "wire/rd.h"
#include "wire/wr.h"

typedef struct peer {
    mem_pipe pipe;
    nacre_memory_files *files;
    nacre_sftp_server *s;
    int rc;
    nc_buf out; /* the request that is being written */
    nc_wr w;
    uint8_t got[400000];
    size_t len;
    uint8_t type; /* of the reply */
    nc_rd r;      /* behind its id */
} peer;

typedef struct handle {
    uint8_t bytes[64];
    size_t n;
} handle;

enum { CREATE = NACRE_FXF_WRITE | NACRE_FXF_CREAT, NEW = CREATE | NACRE_FXF_EXCL };

/* NULL: the tree's own operations. */
extern const nacre_sftp_server_ops *other_ops;

void peer_open(peer *p, const nacre_memory_files_options *mo, nacre_sftp_server_options *so);
void peer_close(peer *p);
nc_wr *begin(peer *p, uint8_t type);
nc_wr *begin_ext(peer *p, const char *name);
uint32_t ask(peer *p);
void init(peer *p);
void peer_ready(peer *p, const nacre_memory_files_options *mo);
handle keep_handle(peer *p);
void wr_handle(nc_wr *w, const handle *h);
uint32_t open_file(peer *p, const char *path, uint32_t pflags, handle *h);
uint32_t put(peer *p, const handle *h, uint64_t offset, const char *text);
uint32_t close_file(peer *p, const handle *h);
uint32_t one(peer *p, uint8_t type, const char *path);
uint32_t two(peer *p, uint8_t type, const char *a, const char *b);
uint32_t two_ext(peer *p, const char *name, const char *a, const char *b);
uint32_t set_size(peer *p, const char *path, uint64_t size);
const char *real_path(peer *p, const char *path);
void put_text(peer *p, const char *path, const char *text);
void holds(peer *p, const char *path, const void *bytes, size_t n);
uint32_t check(peer *p, const char *ext, const char *path, const handle *h, const char *algorithms,
               uint64_t offset, uint64_t length, uint32_t block);
uint32_t copy(peer *p, const handle *from, uint64_t a, uint64_t n, const handle *to, uint64_t b);

#endif
