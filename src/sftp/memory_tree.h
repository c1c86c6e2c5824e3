/*
 * memory_tree.h - the tree behind memory_files.c: nodes, their names, their bytes, and where a path
 * leads.
 */
#ifndef NC_SFTP_MEMORY_TREE_H
#define NC_SFTP_MEMORY_TREE_H

#include "base/mem.h"
#include "nacre/memory_files.h"

enum {
    NC_TREE_CHUNK = 4096,
    NC_TREE_LINKS_MAX = 40, /* as Linux */
    NC_TREE_NAME_MAX = 255, /* likewise */
    NC_TREE_FEW_WORDS = 60  /* of a link; more takes a page of max_bytes */
};

struct nc_node;

typedef struct nc_entry {
    char *name; /* with a terminator, for nobody's convenience but the debugger's */
    size_t n;
    struct nc_node *node;
} nc_entry;

/* A piece of a file that is there; what no chunk covers reads as zeros. */
typedef struct nc_chunk {
    uint64_t index;
    uint8_t *bytes;
} nc_chunk;

typedef struct nc_node {
    uint32_t mode; /* with the type */
    uint32_t uid, gid, atime, mtime;
    uint32_t links; /* names; of a directory 1, 0 when it is removed */
    uint32_t opens;
    /* directory: sorted by name */
    struct nc_node *parent;
    nc_entry *entries;
    size_t count, cap;
    /* file: sorted by index */
    uint64_t size;
    nc_chunk *chunks;
    size_t chunk_count, chunk_cap;
    uint8_t *flat; /* for nacre_memory_files_get, until the file changes */
    /* link */
    char *target;
    size_t target_n;
} nc_node;

struct nacre_memory_files {
    const nacre_allocator *alloc;
    nacre_memory_files_options o;
    nc_node *root;
    uint64_t used; /* bytes of chunks, and a chunk for each link with a long target */
    size_t nodes;
    size_t names; /* a file may have many */
};

/* Where a path leads: the directory and the name in it, and what is there. */
typedef struct nc_spot {
    nc_node *dir; /* NULL: node is the root, or was reached as "." or ".." */
    nacre_span name;
    nc_node *node; /* NULL: nothing is there yet */
    bool slash;    /* one stood behind the name */
} nc_spot;

static inline bool nc_node_is(const nc_node *n, uint32_t type)
{
    return (n->mode & NACRE_SFTP_S_IFMT) == type;
}

/* A status. follow: a link at the end too. Found is also what is not there, if its directory is. */
uint32_t nc_tree_find(const nacre_memory_files *m, nacre_span path, bool follow, nc_spot *out);

/* NULL: no memory, or too many. Has no name yet: nc_tree_drop gives it back. */
nc_node *nc_tree_make(nacre_memory_files *m, uint32_t mode);
/* Frees what has neither name nor user. */
void nc_tree_drop(nacre_memory_files *m, nc_node *n);
void nc_tree_free(nacre_memory_files *m, nc_node *n); /* with all below, whoever uses it */
/* What a link with a target so long takes of max_bytes. */
static inline uint64_t nc_tree_target_cost(size_t target_n)
{
    return target_n > NC_TREE_FEW_WORDS ? NC_TREE_CHUNK : 0;
}

/* Another name is within the limit. */
bool nc_tree_has_room(const nacre_memory_files *m);
/* Puts a name into a directory (there must be none), takes it out. Links are counted here. */
uint32_t nc_tree_link(nacre_memory_files *m, nc_node *dir, nacre_span name, nc_node *n);
void nc_tree_unlink(nacre_memory_files *m, nc_node *dir, nacre_span name);
/* The name's place among the entries; *there says whether it is taken. */
size_t nc_tree_slot(const nc_node *dir, nacre_span name, bool *there);
bool nc_tree_is_below(const nc_node *n, const nc_node *ancestor);
void nc_tree_touch(const nacre_memory_files *m, nc_node *n);

uint32_t nc_tree_write(nacre_memory_files *m, nc_node *n, uint64_t offset, nacre_span data);
/* Up to room.n bytes; how many. */
size_t nc_tree_read(const nc_node *n, uint64_t offset, nacre_room room);
uint32_t nc_tree_resize(nacre_memory_files *m, nc_node *n, uint64_t size);

#endif
