/*
 * memory_life.c - a tree in memory as the program around it sees it: made, filled, read, freed.
 */
#include "sftp/memory_tree.h"

#include <string.h>

enum { DEFAULT_FILES = 65536 };

#define DEFAULT_BYTES (UINT64_C(64) * 1024 * 1024)

void nacre_memory_files_options_init(nacre_memory_files_options *o)
{
    memset(o, 0, sizeof(*o));
    o->size = sizeof(*o);
    o->max_bytes = DEFAULT_BYTES;
    o->max_files = DEFAULT_FILES;
}

int nacre_memory_files_new(nacre_memory_files **out, const nacre_memory_files_options *options)
{
    nacre_memory_files_options o;
    nacre_memory_files_options_init(&o);
    *out = NULL;
    if (options) {
        memcpy(&o, options, options->size < sizeof(o) ? options->size : sizeof(o));
    }
    o.max_files = o.max_files ? o.max_files : DEFAULT_FILES;
    o.max_bytes = o.max_bytes < INT64_MAX ? o.max_bytes : INT64_MAX;
    nacre_memory_files *m = nc_zalloc(o.allocator, sizeof(*m));
    if (!m) {
        return NACRE_NO_MEMORY;
    }
    m->alloc = o.allocator;
    m->o = o;
    m->root = nc_tree_make(m, NACRE_SFTP_S_IFDIR | 0755);
    if (!m->root) {
        nc_free(o.allocator, m);
        return NACRE_NO_MEMORY;
    }
    m->root->links = 1;
    *out = m;
    return NACRE_OK;
}

void nacre_memory_files_free(nacre_memory_files *m)
{
    if (m) {
        nc_tree_free(m, m->root);
        nc_free(m->alloc, m);
    }
}

/* A limit, or memory: which of the two the tree itself does not say. */
static int of_status(const nacre_memory_files *m, uint32_t code)
{
    bool full = !nc_tree_has_room(m) || m->o.max_bytes - m->used < NC_TREE_CHUNK;
    switch (code) {
    case NACRE_FX_OK:
        return NACRE_OK;
    case NACRE_FX_NO_SUCH_FILE:
        return NACRE_NOT_FOUND;
    case NACRE_FX_BAD_MESSAGE: /* a name that none can have */
        return NACRE_TOO_LARGE;
    default:
        return full ? NACRE_LIMIT : NACRE_NO_MEMORY;
    }
}

static int make_at(nacre_memory_files *m, const nc_spot *spot, uint32_t mode, nc_node **out)
{
    nc_node *n = nc_tree_make(m, mode);
    uint32_t code = n ? nc_tree_link(m, spot->dir, spot->name, n) : NACRE_FX_FAILURE;
    if (n && code != NACRE_FX_OK) {
        nc_tree_drop(m, n);
    }
    *out = n;
    return of_status(m, code);
}

/* The directories that lead to a path; the path itself when whole. */
static int make_parents(nacre_memory_files *m, nacre_span path, bool whole, uint32_t mode)
{
    for (size_t n = 1; n <= path.n; n++) {
        bool last = n == path.n;
        if (!(last ? whole : path.p[n] == '/' && path.p[n - 1] != '/')) {
            continue;
        }
        nc_spot spot;
        nc_node *made;
        uint32_t code = nc_tree_find(m, nc_span(path.p, n), true, &spot);
        int rc = of_status(m, code);
        if (rc == NACRE_OK && !spot.node) {
            uint32_t bits = last ? mode & 07777 : 0755;
            rc = make_at(m, &spot, NACRE_SFTP_S_IFDIR | bits, &made);
        } else if (rc == NACRE_OK && !nc_node_is(spot.node, NACRE_SFTP_S_IFDIR)) {
            rc = NACRE_EXISTS;
        }
        if (rc != NACRE_OK) {
            return rc;
        }
    }
    return NACRE_OK;
}

int nacre_memory_files_mkdir(nacre_memory_files *m, const char *path, uint32_t mode)
{
    return make_parents(m, nc_span_cstr(path), true, mode);
}

int nacre_memory_files_put(nacre_memory_files *m, const char *path, nacre_span bytes, uint32_t mode)
{
    nc_spot spot;
    nacre_span p = nc_span_cstr(path);
    if (bytes.n > m->o.max_bytes) {
        return NACRE_LIMIT;
    }
    int rc = make_parents(m, p, false, 0);
    rc = rc == NACRE_OK ? of_status(m, nc_tree_find(m, p, true, &spot)) : rc;
    if (rc != NACRE_OK) {
        return rc;
    }
    nc_node *n = spot.node;
    if ((n && !nc_node_is(n, NACRE_SFTP_S_IFREG)) || (!n && spot.slash)) {
        return NACRE_EXISTS;
    }
    rc = n ? NACRE_OK : make_at(m, &spot, NACRE_SFTP_S_IFREG, &n);
    if (rc != NACRE_OK) {
        return rc;
    }
    n->mode = NACRE_SFTP_S_IFREG | (mode & 07777);
    uint32_t code = nc_tree_resize(m, n, 0);
    return of_status(m, code == NACRE_FX_OK ? nc_tree_write(m, n, 0, bytes) : code);
}

int nacre_memory_files_get(nacre_memory_files *m, const char *path, nacre_span *bytes)
{
    nc_spot spot;
    *bytes = nc_span(NULL, 0);
    uint32_t code = nc_tree_find(m, nc_span_cstr(path), true, &spot);
    if (code != NACRE_FX_OK || !spot.node || !nc_node_is(spot.node, NACRE_SFTP_S_IFREG)) {
        return NACRE_NOT_FOUND;
    }
    nc_node *n = spot.node;
    if (!n->flat) {
        n->flat = n->size < SIZE_MAX ? nc_alloc(m->alloc, (size_t)n->size) : NULL;
        if (!n->flat) {
            return NACRE_NO_MEMORY;
        }
        (void)nc_tree_read(n, 0, (nacre_room){n->flat, (size_t)n->size});
    }
    *bytes = nc_span(n->flat, (size_t)n->size);
    return NACRE_OK;
}
