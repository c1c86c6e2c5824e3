/*
 * memory_tree.c - see memory_tree.h.
 */
#include "sftp/memory_tree.h"

#include <string.h>

/* ---- nodes ---------------------------------------------------------------------------------------- */

void nc_tree_touch(const nacre_memory_files *m, nc_node *n)
{
    n->mtime = m->o.now ? m->o.now(m->o.user) : 0;
}

bool nc_tree_has_room(const nacre_memory_files *m)
{
    return m->nodes < m->o.max_files && m->names < m->o.max_files;
}

nc_node *nc_tree_make(nacre_memory_files *m, uint32_t mode)
{
    if (!nc_tree_has_room(m)) {
        return NULL;
    }
    nc_node *n = nc_zalloc(m->alloc, sizeof(*n));
    if (n) {
        m->nodes++;
        n->mode = mode;
        nc_tree_touch(m, n);
        n->atime = n->mtime;
    }
    return n;
}

static void drop_flat(nacre_memory_files *m, nc_node *n)
{
    nc_free(m->alloc, n->flat);
    n->flat = NULL;
}

static void free_node(nacre_memory_files *m, nc_node *n)
{
    for (size_t i = 0; i < n->chunk_count; i++) {
        nc_free(m->alloc, n->chunks[i].bytes);
    }
    m->used -= (uint64_t)n->chunk_count * NC_TREE_CHUNK + nc_tree_target_cost(n->target_n);
    drop_flat(m, n);
    nc_free(m->alloc, n->chunks);
    nc_free(m->alloc, n->entries);
    nc_free(m->alloc, n->target);
    nc_free(m->alloc, n);
    m->nodes--;
}

void nc_tree_drop(nacre_memory_files *m, nc_node *n)
{
    if (n->links == 0 && n->opens == 0) {
        free_node(m, n);
    }
}

/* Downwards without recursion: a directory is emptied from its end, and leads back to its parent. */
void nc_tree_free(nacre_memory_files *m, nc_node *n)
{
    nc_node *dir = n;
    while (dir) {
        nc_node *child = dir->count > 0 ? dir->entries[dir->count - 1].node : NULL;
        if (child && nc_node_is(child, NACRE_SFTP_S_IFDIR) && child->count > 0) {
            dir = child;
            continue;
        }
        if (child) {
            nc_free(m->alloc, dir->entries[--dir->count].name);
            if (--child->links == 0) {
                free_node(m, child);
            }
            continue;
        }
        nc_node *up = dir == n ? NULL : dir->parent;
        if (dir == n) {
            free_node(m, dir);
        }
        dir = up;
    }
}

/* ---- names ---------------------------------------------------------------------------------------- */

static int compare(nacre_span a, const nc_entry *b)
{
    size_t n = a.n < b->n ? a.n : b->n;
    int c = n ? memcmp(a.p, b->name, n) : 0;
    return c != 0 ? c : (a.n > b->n) - (a.n < b->n);
}

size_t nc_tree_slot(const nc_node *dir, nacre_span name, bool *there)
{
    size_t low = 0, high = dir->count;
    *there = false;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int c = compare(name, &dir->entries[middle]);
        if (c == 0) {
            *there = true;
            return middle;
        }
        if (c < 0) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    return low;
}

static bool entry_room(nacre_memory_files *m, nc_node *dir)
{
    if (dir->count < dir->cap) {
        return true;
    }
    size_t cap = dir->cap ? dir->cap * 2 : 8;
    nc_entry *entries = nc_resize(m->alloc, dir->entries, cap * sizeof(*entries));
    if (!entries) {
        return false;
    }
    dir->entries = entries;
    dir->cap = cap;
    return true;
}

uint32_t nc_tree_link(nacre_memory_files *m, nc_node *dir, nacre_span name, nc_node *n)
{
    bool there;
    size_t at = nc_tree_slot(dir, name, &there);
    if (there || name.n > NC_TREE_NAME_MAX || dir->links == 0) {
        return dir->links == 0 ? NACRE_FX_NO_SUCH_FILE : NACRE_FX_FAILURE;
    }
    char *copy = nc_strndup(m->alloc, name);
    if (!copy || !entry_room(m, dir)) {
        nc_free(m->alloc, copy);
        return NACRE_FX_FAILURE;
    }
    memmove(dir->entries + at + 1, dir->entries + at, (dir->count - at) * sizeof(*dir->entries));
    dir->entries[at] = (nc_entry){copy, name.n, n};
    dir->count++;
    m->names++;
    n->links++;
    if (nc_node_is(n, NACRE_SFTP_S_IFDIR)) {
        n->parent = dir;
    }
    nc_tree_touch(m, dir);
    return NACRE_FX_OK;
}

void nc_tree_unlink(nacre_memory_files *m, nc_node *dir, nacre_span name)
{
    bool there;
    size_t at = nc_tree_slot(dir, name, &there);
    if (!there) {
        return;
    }
    nc_node *n = dir->entries[at].node;
    nc_free(m->alloc, dir->entries[at].name);
    dir->count--;
    m->names--;
    memmove(dir->entries + at, dir->entries + at + 1, (dir->count - at) * sizeof(*dir->entries));
    n->links--;
    nc_tree_touch(m, dir);
    nc_tree_drop(m, n);
}

bool nc_tree_is_below(const nc_node *n, const nc_node *ancestor)
{
    while (n && n != ancestor) {
        n = n->parent;
    }
    return n != NULL;
}

/* ---- paths ---------------------------------------------------------------------------------------- */

typedef struct walk {
    const nacre_memory_files *m;
    unsigned links; /* followed, on the whole way: this bounds the recursion too */
} walk;

static uint32_t go(walk *w, nc_node *from, nacre_span path, bool follow, nc_spot *out);

static nacre_span next_name(nacre_span *path)
{
    nacre_span name = {path->p, 0};
    while (name.n < path->n && path->p[name.n] != '/') {
        name.n++;
    }
    path->p += name.n;
    path->n -= name.n;
    return name;
}

static bool skip_slashes(nacre_span *path)
{
    bool any = false;
    while (path->n > 0 && path->p[0] == '/') {
        path->p++;
        path->n--;
        any = true;
    }
    return any;
}

static void look_up(nc_node *dir, nacre_span name, nc_spot *out)
{
    bool there = false;
    if (nc_span_is(name, ".") || nc_span_is(name, "..")) {
        bool up = name.n == 2 && dir->parent;
        *out = (nc_spot){NULL, {NULL, 0}, up ? dir->parent : dir, false};
        return;
    }
    size_t at = nc_tree_slot(dir, name, &there);
    *out = (nc_spot){dir, name, there ? dir->entries[at].node : NULL, false};
}

static uint32_t follow_link(walk *w, nc_spot *out)
{
    const nc_node *link = out->node;
    if (++w->links > NC_TREE_LINKS_MAX) {
        return NACRE_FX_NO_SUCH_FILE;
    }
    return go(w, out->dir, nc_span(link->target, link->target_n), true, out);
}

static uint32_t go(walk *w, nc_node *from, nacre_span path, bool follow, nc_spot *out)
{
    nc_node *dir = path.n > 0 && path.p[0] == '/' ? w->m->root : from;
    *out = (nc_spot){NULL, {NULL, 0}, dir, false};
    if (path.n == 0) {
        return NACRE_FX_NO_SUCH_FILE;
    }
    (void)skip_slashes(&path);
    while (path.n > 0) {
        nacre_span name = next_name(&path);
        if (name.n > NC_TREE_NAME_MAX) {
            return NACRE_FX_BAD_MESSAGE;
        }
        look_up(dir, name, out);
        out->slash = skip_slashes(&path);
        bool last = path.n == 0;
        bool slash = out->slash;
        if (out->node && nc_node_is(out->node, NACRE_SFTP_S_IFLNK) && (!last || follow || slash)) {
            uint32_t code = follow_link(w, out);
            if (code != NACRE_FX_OK) {
                return code;
            }
            out->slash = out->slash || slash;
        }
        bool is_dir = out->node && nc_node_is(out->node, NACRE_SFTP_S_IFDIR);
        if ((!last && !is_dir) || (slash && out->node && !is_dir)) {
            return NACRE_FX_NO_SUCH_FILE;
        }
        dir = out->node;
    }
    return NACRE_FX_OK;
}

uint32_t nc_tree_find(const nacre_memory_files *m, nacre_span path, bool follow, nc_spot *out)
{
    walk w = {m, 0};
    return go(&w, m->root, path, follow, out);
}

/* ---- bytes ---------------------------------------------------------------------------------------- */

static size_t chunk_slot(const nc_node *n, uint64_t index, bool *there)
{
    size_t low = 0, high = n->chunk_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (n->chunks[middle].index < index) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    *there = low < n->chunk_count && n->chunks[low].index == index;
    return low;
}

/* NULL: no memory, or no space. */
static uint8_t *chunk_for(nacre_memory_files *m, nc_node *n, uint64_t index)
{
    bool there;
    size_t at = chunk_slot(n, index, &there);
    if (there) {
        return n->chunks[at].bytes;
    }
    if (m->o.max_bytes - m->used < NC_TREE_CHUNK) {
        return NULL;
    }
    if (n->chunk_count == n->chunk_cap) {
        size_t cap = n->chunk_cap ? n->chunk_cap * 2 : 4;
        nc_chunk *grown = nc_resize(m->alloc, n->chunks, cap * sizeof(*grown));
        if (!grown) {
            return NULL;
        }
        n->chunks = grown;
        n->chunk_cap = cap;
    }
    uint8_t *bytes = nc_zalloc(m->alloc, NC_TREE_CHUNK);
    if (bytes) {
        size_t behind = n->chunk_count - at;
        memmove(n->chunks + at + 1, n->chunks + at, behind * sizeof(*n->chunks));
        n->chunks[at] = (nc_chunk){index, bytes};
        n->chunk_count++;
        m->used += NC_TREE_CHUNK;
    }
    return bytes;
}

uint32_t nc_tree_write(nacre_memory_files *m, nc_node *n, uint64_t offset, nacre_span data)
{
    if (offset > m->o.max_bytes || data.n > m->o.max_bytes - offset) {
        return NACRE_FX_FAILURE;
    }
    drop_flat(m, n);
    nc_tree_touch(m, n);
    while (data.n > 0) {
        size_t within = (size_t)(offset % NC_TREE_CHUNK);
        size_t some = NC_TREE_CHUNK - within < data.n ? NC_TREE_CHUNK - within : data.n;
        uint8_t *bytes = chunk_for(m, n, offset / NC_TREE_CHUNK);
        if (!bytes) {
            return NACRE_FX_FAILURE;
        }
        memcpy(bytes + within, data.p, some);
        data.p += some;
        data.n -= some;
        offset += some;
        n->size = offset > n->size ? offset : n->size;
    }
    return NACRE_FX_OK;
}

size_t nc_tree_read(const nc_node *n, uint64_t offset, nacre_room room)
{
    if (offset >= n->size) {
        return 0;
    }
    uint64_t left = n->size - offset;
    size_t total = left < room.n ? (size_t)left : room.n;
    for (size_t done = 0; done < total;) {
        bool there;
        uint64_t at = offset + done;
        size_t within = (size_t)(at % NC_TREE_CHUNK);
        size_t some = NC_TREE_CHUNK - within;
        some = some < total - done ? some : total - done;
        size_t slot = chunk_slot(n, at / NC_TREE_CHUNK, &there);
        if (there) {
            memcpy(room.p + done, n->chunks[slot].bytes + within, some);
        } else {
            memset(room.p + done, 0, some);
        }
        done += some;
    }
    return total;
}

uint32_t nc_tree_resize(nacre_memory_files *m, nc_node *n, uint64_t size)
{
    if (size > m->o.max_bytes) {
        return NACRE_FX_FAILURE;
    }
    bool there;
    size_t keep = chunk_slot(n, size / NC_TREE_CHUNK, &there);
    size_t within = (size_t)(size % NC_TREE_CHUNK);
    if (there && within > 0) {
        /* What is cut off must read as zeros when the file grows again. */
        memset(n->chunks[keep].bytes + within, 0, NC_TREE_CHUNK - within);
        keep++;
    }
    for (size_t i = keep; i < n->chunk_count; i++) {
        nc_free(m->alloc, n->chunks[i].bytes);
        m->used -= NC_TREE_CHUNK;
    }
    n->chunk_count = keep < n->chunk_count ? keep : n->chunk_count;
    n->size = size;
    drop_flat(m, n);
    nc_tree_touch(m, n);
    return NACRE_FX_OK;
}
