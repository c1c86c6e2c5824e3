/*
 * mem_backend.h - a file system in memory behind the SFTP server machine, for tests.
 */
#ifndef TEST_MEM_BACKEND_H
#define TEST_MEM_BACKEND_H

#include "nacre/sftp_server.h"

enum { MEM_NODES = 256, MEM_TICKETS = 128 };

typedef struct mem_node {
    char *path;
    nacre_sftp_attrs attrs; /* with type bits */
    uint8_t *data;          /* file content, or link target */
    size_t size, cap;
    unsigned opened;
} mem_node;

typedef struct mem_open {
    mem_node *node;
    size_t cursor; /* readdir */
    bool append;
} mem_open;

/* A question that waits to be answered later. */
typedef struct mem_late {
    uint32_t ticket;
    int kind; /* NACRE_FXP_* */
    mem_open *file;
    uint64_t offset;
    size_t want;
    char path[64];
} mem_late;

typedef struct mem_backend {
    mem_node nodes[MEM_NODES];
    size_t node_count;
    unsigned starts, ends, open_now;
    bool later; /* answer OPEN, READ, WRITE, STAT later */
    mem_late late[MEM_TICKETS];
    size_t late_count, late_most;
    unsigned writes;         /* pieces */
    uint32_t fail_writes_at; /* piece number that fails; 0: none */
    unsigned fsyncs;
} mem_backend;

void mem_backend_init(mem_backend *b);
void mem_backend_clear(mem_backend *b);
mem_node *mem_backend_add(mem_backend *b, const char *path, uint32_t permissions);
mem_node *mem_backend_find(mem_backend *b, const char *path);
void mem_backend_set(mem_node *n, const void *data, size_t size);
void mem_backend_ops(nacre_sftp_server_ops *ops);
/* Answers what waits, the youngest first; returns how many. */
size_t mem_backend_answer(mem_backend *b, nacre_sftp_server *s);

#endif
