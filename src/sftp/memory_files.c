/*
 * memory_files.c - a tree of files in memory behind the SFTP server machine: the operations, with the
 * rules of a POSIX file system. Modes are kept and shown, and forbid nothing: there is one user.
 */
#include "sftp/memory_tree.h"

#include <string.h>

enum {
    COPY_PIECE = 256 * 1024, /* of copy-data in one turn */
    MAX_TARGET = 4095        /* of a link, as Linux */
};

typedef struct open_file {
    nc_node *node;
    bool append;
} open_file;

typedef struct open_dir {
    nc_node *node;
    unsigned dots; /* of "." and "..", how many were given */
    size_t last_n; /* the name that was given last: entries may come and go meanwhile */
    char last[NC_TREE_NAME_MAX];
} open_dir;

static uint32_t no_space(nacre_sftp_call *call)
{
    call->message = "No space left";
    return NACRE_FX_FAILURE;
}

static uint32_t failed(nacre_sftp_call *call, const char *why)
{
    call->message = why;
    return NACRE_FX_FAILURE;
}

/* What is there, or a status. */
static uint32_t find_node(const nacre_sftp_call *call, nacre_span path, bool follow, nc_node **out)
{
    nc_spot spot;
    uint32_t code = nc_tree_find(call->user, path, follow, &spot);
    *out = code == NACRE_FX_OK ? spot.node : NULL;
    return code == NACRE_FX_OK && !spot.node ? NACRE_FX_NO_SUCH_FILE : code;
}

/* A name that may be made, replaced or removed: not the root, not "." or "..". */
static uint32_t find_name(nacre_sftp_call *call, nacre_span path, nc_spot *out)
{
    uint32_t code = nc_tree_find(call->user, path, false, out);
    return code == NACRE_FX_OK && !out->dir ? failed(call, "This directory has no name here")
                                            : code;
}

static uint32_t mode_of(const nacre_sftp_attrs *a, uint32_t otherwise)
{
    bool given = a && (a->flags & NACRE_SFTP_ATTR_PERMISSIONS);
    return given ? a->permissions & 07777 : otherwise;
}

/* Makes a node and gives it a name. */
static uint32_t make(nacre_sftp_call *call, const nc_spot *at, uint32_t mode, nc_node **out)
{
    nacre_memory_files *m = call->user;
    nc_node *n = nc_tree_make(m, mode);
    if (!n) {
        return no_space(call);
    }
    uint32_t code = nc_tree_link(m, at->dir, at->name, n);
    if (code != NACRE_FX_OK) {
        nc_tree_drop(m, n);
        return code;
    }
    *out = n;
    return NACRE_FX_OK;
}

/* ---- open files ----------------------------------------------------------------------------------- */

static uint32_t find_to_open(nacre_sftp_call *call, nacre_span path, uint32_t pflags,
                             const nacre_sftp_attrs *a, nc_node **out)
{
    nc_spot spot;
    bool creates = pflags & NACRE_FXF_CREAT;
    bool exclusive = creates && (pflags & NACRE_FXF_EXCL);
    uint32_t code = nc_tree_find(call->user, path, !exclusive, &spot);
    if (code != NACRE_FX_OK) {
        return code;
    }
    *out = spot.node;
    if (spot.node) {
        bool dir = nc_node_is(spot.node, NACRE_SFTP_S_IFDIR);
        return exclusive ? failed(call, "File exists")
               : dir     ? failed(call, "Is a directory")
                         : NACRE_FX_OK;
    }
    if (!creates || spot.slash) {
        return spot.slash && creates ? failed(call, "Is a directory") : NACRE_FX_NO_SUCH_FILE;
    }
    return make(call, &spot, NACRE_SFTP_S_IFREG | mode_of(a, 0666), out);
}

static uint32_t op_open(nacre_sftp_call *call, nacre_span path, uint32_t pflags,
                        const nacre_sftp_attrs *attrs, void **out)
{
    nacre_memory_files *m = call->user;
    nc_node *node = NULL;
    /* First, so that a file is not made or cut for want of it. */
    open_file *made = nc_zalloc(m->alloc, sizeof(*made));
    uint32_t code = made ? find_to_open(call, path, pflags, attrs, &node) : NACRE_FX_FAILURE;
    if (code == NACRE_FX_OK && (pflags & NACRE_FXF_TRUNC)) {
        code = nc_tree_resize(m, node, 0);
    }
    if (code != NACRE_FX_OK) {
        nc_free(m->alloc, made);
        return code;
    }
    made->node = node;
    made->append = pflags & NACRE_FXF_APPEND;
    node->opens++;
    *out = made;
    return NACRE_FX_OK;
}

static uint32_t op_close(nacre_sftp_call *call, void *user, void *object)
{
    nacre_memory_files *m = user;
    open_file *it = object;
    (void)call;
    it->node->opens--;
    nc_tree_drop(m, it->node);
    nc_free(m->alloc, it);
    return NACRE_FX_OK;
}

static uint32_t op_read(nacre_sftp_call *call, void *object, uint64_t offset,
                        const nacre_room *rooms, size_t count, size_t want, size_t *got)
{
    const open_file *it = object;
    (void)call;
    *got = 0;
    for (size_t i = 0; i < count && *got < want; i++) {
        size_t left = want - *got;
        nacre_room room = {rooms[i].p, rooms[i].n < left ? rooms[i].n : left};
        if (*got > UINT64_MAX - offset) {
            break;
        }
        size_t n = nc_tree_read(it->node, offset + *got, room);
        *got += n;
        if (n < room.n) {
            break;
        }
    }
    return *got ? NACRE_FX_OK : NACRE_FX_EOF;
}

static uint32_t op_write(nacre_sftp_call *call, void *object, uint64_t offset, nacre_span data)
{
    const open_file *it = object;
    uint64_t at = it->append ? it->node->size : offset;
    uint32_t code = nc_tree_write(call->user, it->node, at, data);
    return code == NACRE_FX_OK ? code : no_space(call);
}

static uint32_t op_fsync(nacre_sftp_call *call, void *object)
{
    (void)call;
    (void)object;
    return NACRE_FX_OK; /* as lasting as it gets */
}

static uint32_t op_copy_data(nacre_sftp_call *call, void *from, uint64_t from_offset, uint64_t n,
                             void *to, uint64_t to_offset, uint64_t *copied)
{
    const open_file *in = from, *out = to;
    uint8_t piece[NC_TREE_CHUNK];
    if (in->node == out->node) {
        return failed(call, "The two files are one");
    }
    n = n && n < COPY_PIECE ? n : COPY_PIECE;
    while (*copied < n) {
        nacre_room room = {piece,
                           n - *copied < sizeof(piece) ? (size_t)(n - *copied) : sizeof(piece)};
        if (*copied > UINT64_MAX - from_offset || *copied > UINT64_MAX - to_offset) {
            break;
        }
        size_t got = nc_tree_read(in->node, from_offset + *copied, room);
        if (got == 0) {
            break;
        }
        uint32_t code = op_write(call, to, to_offset + *copied, nc_span(piece, got));
        if (code != NACRE_FX_OK) {
            return code;
        }
        *copied += got;
    }
    return NACRE_FX_OK;
}

/* ---- attributes ----------------------------------------------------------------------------------- */

static void attrs_of(const nc_node *n, nacre_sftp_attrs *out)
{
    bool link = nc_node_is(n, NACRE_SFTP_S_IFLNK);
    memset(out, 0, sizeof(*out));
    out->flags = NACRE_SFTP_ATTR_SIZE | NACRE_SFTP_ATTR_UIDGID | NACRE_SFTP_ATTR_PERMISSIONS |
                 NACRE_SFTP_ATTR_ACMODTIME;
    out->size = link ? n->target_n : n->size;
    out->uid = n->uid;
    out->gid = n->gid;
    out->permissions = n->mode;
    out->atime = n->atime;
    out->mtime = n->mtime;
}

static uint32_t stat_by(nacre_sftp_call *call, nacre_span path, bool follow, nacre_sftp_attrs *out)
{
    nc_node *n;
    uint32_t code = find_node(call, path, follow, &n);
    if (code == NACRE_FX_OK) {
        attrs_of(n, out);
    }
    return code;
}

static uint32_t op_stat(nacre_sftp_call *call, nacre_span path, nacre_sftp_attrs *out)
{
    return stat_by(call, path, true, out);
}

static uint32_t op_lstat(nacre_sftp_call *call, nacre_span path, nacre_sftp_attrs *out)
{
    return stat_by(call, path, false, out);
}

static uint32_t op_fstat(nacre_sftp_call *call, void *object, nacre_sftp_attrs *out)
{
    const open_file *it = object;
    (void)call;
    attrs_of(it->node, out);
    return NACRE_FX_OK;
}

static uint32_t change(nacre_sftp_call *call, nc_node *n, const nacre_sftp_attrs *a)
{
    if (a->flags & NACRE_SFTP_ATTR_SIZE) {
        if (!nc_node_is(n, NACRE_SFTP_S_IFREG)) {
            return failed(call, "Only files have a size to set");
        }
        if (nc_tree_resize(call->user, n, a->size) != NACRE_FX_OK) {
            return no_space(call);
        }
    }
    if (a->flags & NACRE_SFTP_ATTR_PERMISSIONS) {
        n->mode = (n->mode & NACRE_SFTP_S_IFMT) | (a->permissions & 07777);
    }
    if (a->flags & NACRE_SFTP_ATTR_ACMODTIME) {
        n->atime = a->atime;
        n->mtime = a->mtime;
    }
    if (a->flags & NACRE_SFTP_ATTR_UIDGID) {
        n->uid = a->uid;
        n->gid = a->gid;
    }
    return NACRE_FX_OK;
}

static uint32_t op_setstat(nacre_sftp_call *call, nacre_span path, const nacre_sftp_attrs *a)
{
    nc_node *n;
    uint32_t code = find_node(call, path, true, &n);
    return code == NACRE_FX_OK ? change(call, n, a) : code;
}

static uint32_t op_lsetstat(nacre_sftp_call *call, nacre_span path, const nacre_sftp_attrs *a)
{
    nc_node *n;
    uint32_t code = find_node(call, path, false, &n);
    if (a->flags & NACRE_SFTP_ATTR_SIZE) {
        return NACRE_FX_BAD_MESSAGE; /* a link has no size to set */
    }
    return code == NACRE_FX_OK ? change(call, n, a) : code;
}

static uint32_t op_fsetstat(nacre_sftp_call *call, void *object, const nacre_sftp_attrs *a)
{
    const open_file *it = object;
    return change(call, it->node, a);
}

static uint32_t statvfs_of(const nacre_memory_files *m, nacre_sftp_statvfs *out)
{
    memset(out, 0, sizeof(*out));
    out->bsize = out->frsize = NC_TREE_CHUNK;
    out->blocks = m->o.max_bytes / NC_TREE_CHUNK;
    out->bfree = out->bavail = (m->o.max_bytes - m->used) / NC_TREE_CHUNK;
    out->files = m->o.max_files;
    out->ffree = out->favail = m->o.max_files - m->nodes;
    out->namemax = NC_TREE_NAME_MAX;
    return NACRE_FX_OK;
}

static uint32_t op_statvfs(nacre_sftp_call *call, nacre_span path, nacre_sftp_statvfs *out)
{
    nc_node *n;
    uint32_t code = find_node(call, path, true, &n);
    return code == NACRE_FX_OK ? statvfs_of(call->user, out) : code;
}

static uint32_t op_fstatvfs(nacre_sftp_call *call, void *object, nacre_sftp_statvfs *out)
{
    (void)object;
    return statvfs_of(call->user, out);
}

/* ---- directories ---------------------------------------------------------------------------------- */

static uint32_t op_opendir(nacre_sftp_call *call, nacre_span path, void **out)
{
    nacre_memory_files *m = call->user;
    nc_node *n;
    uint32_t code = find_node(call, path, true, &n);
    if (code != NACRE_FX_OK || !nc_node_is(n, NACRE_SFTP_S_IFDIR)) {
        return code != NACRE_FX_OK ? code : NACRE_FX_NO_SUCH_FILE;
    }
    open_dir *made = nc_zalloc(m->alloc, sizeof(*made));
    if (!made) {
        return NACRE_FX_FAILURE;
    }
    made->node = n;
    n->opens++;
    *out = made;
    return NACRE_FX_OK;
}

static uint32_t op_closedir(nacre_sftp_call *call, void *user, void *object)
{
    nacre_memory_files *m = user;
    open_dir *it = object;
    (void)call;
    it->node->opens--;
    nc_tree_drop(m, it->node);
    nc_free(m->alloc, it);
    return NACRE_FX_OK;
}

/* False: the reply is full. */
static bool add_entry(const nacre_memory_files *m, nacre_span name, const nc_node *n,
                      nacre_sftp_answer *out)
{
    char line[NC_TREE_NAME_MAX + 256];
    nacre_sftp_name entry = {.name = name};
    attrs_of(n, &entry.attrs);
    uint64_t now = m->o.now ? m->o.now(m->o.user) : 0;
    size_t len =
        nacre_sftp_longname(line, sizeof(line), name, &entry.attrs, n->links, NULL, NULL, now, 0);
    entry.longname = nc_span(line, len < sizeof(line) ? len : sizeof(line) - 1);
    return nacre_sftp_answer_name(out, &entry);
}

static uint32_t op_readdir(nacre_sftp_call *call, void *object, nacre_sftp_answer *out)
{
    const nacre_memory_files *m = call->user;
    open_dir *it = object;
    nc_node *dir = it->node;
    if (dir->links == 0) {
        return NACRE_FX_OK; /* removed: not even "." is left */
    }
    for (; it->dots < 2; it->dots++) {
        nc_node *n = it->dots == 1 && dir->parent ? dir->parent : dir;
        if (!add_entry(m, nc_span("..", it->dots + 1), n, out)) {
            return NACRE_FX_OK;
        }
    }
    bool there = false;
    size_t at = it->last_n ? nc_tree_slot(dir, nc_span(it->last, it->last_n), &there) : 0;
    for (at += there ? 1 : 0; at < dir->count; at++) {
        const nc_entry *e = &dir->entries[at];
        if (!add_entry(m, nc_span(e->name, e->n), e->node, out)) {
            break;
        }
        memcpy(it->last, e->name, e->n);
        it->last_n = e->n;
    }
    return NACRE_FX_OK;
}

static uint32_t op_mkdir(nacre_sftp_call *call, nacre_span path, const nacre_sftp_attrs *a)
{
    nc_spot spot;
    nc_node *n;
    uint32_t code = find_name(call, path, &spot);
    if (code != NACRE_FX_OK || spot.node) {
        return code != NACRE_FX_OK ? code : failed(call, "File exists");
    }
    return make(call, &spot, NACRE_SFTP_S_IFDIR | mode_of(a, 0777), &n);
}

static uint32_t remove_by(nacre_sftp_call *call, nacre_span path, bool dir)
{
    nc_spot spot;
    uint32_t code = find_name(call, path, &spot);
    if (code != NACRE_FX_OK || !spot.node) {
        return code != NACRE_FX_OK ? code : NACRE_FX_NO_SUCH_FILE;
    }
    if (nc_node_is(spot.node, NACRE_SFTP_S_IFDIR) != dir) {
        return dir ? NACRE_FX_NO_SUCH_FILE : failed(call, "Is a directory");
    }
    if (spot.node->count > 0) {
        return failed(call, "Directory not empty");
    }
    nc_tree_unlink(call->user, spot.dir, spot.name);
    return NACRE_FX_OK;
}

static uint32_t op_remove(nacre_sftp_call *call, nacre_span path)
{
    return remove_by(call, path, false);
}

static uint32_t op_rmdir(nacre_sftp_call *call, nacre_span path)
{
    return remove_by(call, path, true);
}

/* ---- names ---------------------------------------------------------------------------------------- */

static uint32_t move(nacre_sftp_call *call, const nc_spot *from, const nc_spot *to)
{
    nacre_memory_files *m = call->user;
    nc_node *n = from->node;
    n->opens++; /* so that it outlives its old name, and what it replaces likewise */
    uint32_t code = NACRE_FX_OK;
    if (to->node) {
        /* In place: nothing can fail half way. */
        bool there;
        size_t at = nc_tree_slot(to->dir, to->name, &there);
        nc_node *old = to->node;
        to->dir->entries[at].node = n;
        n->links++;
        n->parent = nc_node_is(n, NACRE_SFTP_S_IFDIR) ? to->dir : NULL;
        nc_tree_touch(m, to->dir);
        old->links--;
        nc_tree_drop(m, old);
    } else {
        code = nc_tree_link(m, to->dir, to->name, n);
    }
    if (code == NACRE_FX_OK) {
        nc_tree_unlink(m, from->dir, from->name);
    }
    n->opens--;
    return code;
}

/* rename(2)'s rules for what stands there already. */
static uint32_t may_replace(nacre_sftp_call *call, const nc_node *n, const nc_node *old)
{
    bool dir = nc_node_is(n, NACRE_SFTP_S_IFDIR), old_dir = nc_node_is(old, NACRE_SFTP_S_IFDIR);
    if (dir != old_dir) {
        return dir ? NACRE_FX_NO_SUCH_FILE : failed(call, "Is a directory");
    }
    return old->count > 0 ? failed(call, "Directory not empty") : NACRE_FX_OK;
}

static uint32_t rename_by(nacre_sftp_call *call, nacre_span from, nacre_span to, bool replace)
{
    nc_spot a, b;
    uint32_t code = find_name(call, from, &a);
    code = code == NACRE_FX_OK && !a.node ? NACRE_FX_NO_SUCH_FILE : code;
    code = code == NACRE_FX_OK ? find_name(call, to, &b) : code;
    if (code != NACRE_FX_OK) {
        return code;
    }
    bool dir = nc_node_is(a.node, NACRE_SFTP_S_IFDIR);
    if (b.node && !replace) {
        return failed(call, "File exists");
    }
    if (b.slash && !dir) {
        return NACRE_FX_NO_SUCH_FILE;
    }
    if (b.node == a.node) {
        return NACRE_FX_OK; /* two names of one file: rename(2) leaves both */
    }
    if (dir && nc_tree_is_below(b.dir, a.node)) {
        call->message = "A directory cannot be moved into itself";
        return NACRE_FX_BAD_MESSAGE;
    }
    code = b.node ? may_replace(call, a.node, b.node) : NACRE_FX_OK;
    return code == NACRE_FX_OK ? move(call, &a, &b) : code;
}

static uint32_t op_rename(nacre_sftp_call *call, nacre_span from, nacre_span to)
{
    return rename_by(call, from, to, false);
}

static uint32_t op_posix_rename(nacre_sftp_call *call, nacre_span from, nacre_span to)
{
    return rename_by(call, from, to, true);
}

static uint32_t op_hardlink(nacre_sftp_call *call, nacre_span from, nacre_span to)
{
    nc_node *n;
    nc_spot spot;
    uint32_t code = find_node(call, from, false, &n);
    code = code == NACRE_FX_OK ? find_name(call, to, &spot) : code;
    if (code != NACRE_FX_OK) {
        return code;
    }
    if (spot.node || spot.slash) {
        return spot.node ? failed(call, "File exists") : NACRE_FX_NO_SUCH_FILE;
    }
    if (nc_node_is(n, NACRE_SFTP_S_IFDIR)) {
        return NACRE_FX_PERMISSION_DENIED;
    }
    /* Names cost memory as files do; without this they would have no bound. */
    if (!nc_tree_has_room(call->user)) {
        return no_space(call);
    }
    return nc_tree_link(call->user, spot.dir, spot.name, n);
}

static uint32_t op_symlink(nacre_sftp_call *call, nacre_span target, nacre_span link)
{
    nacre_memory_files *m = call->user;
    nc_spot spot;
    nc_node *n;
    uint32_t code = find_name(call, link, &spot);
    if (code != NACRE_FX_OK || spot.node) {
        return code != NACRE_FX_OK ? code : failed(call, "File exists");
    }
    if (spot.slash || target.n == 0) {
        return NACRE_FX_NO_SUCH_FILE;
    }
    if (target.n > MAX_TARGET) {
        return NACRE_FX_BAD_MESSAGE;
    }
    if (m->o.max_bytes - m->used < nc_tree_target_cost(target.n)) {
        return no_space(call);
    }
    char *text = nc_strndup(m->alloc, target);
    code = text ? make(call, &spot, NACRE_SFTP_S_IFLNK | 0777, &n) : NACRE_FX_FAILURE;
    if (code != NACRE_FX_OK) {
        nc_free(m->alloc, text);
        return code;
    }
    n->target = text;
    n->target_n = target.n;
    m->used += nc_tree_target_cost(target.n);
    return NACRE_FX_OK;
}

static uint32_t op_readlink(nacre_sftp_call *call, nacre_span path, nacre_sftp_answer *out)
{
    nc_node *n;
    uint32_t code = find_node(call, path, false, &n);
    if (code != NACRE_FX_OK) {
        return code;
    }
    if (!nc_node_is(n, NACRE_SFTP_S_IFLNK)) {
        return NACRE_FX_BAD_MESSAGE;
    }
    return nacre_sftp_answer_path(out, nc_span(n->target, n->target_n)) ? NACRE_FX_OK
                                                                        : NACRE_FX_FAILURE;
}

/* Written from its end: names are found on the way up. False: too long for any path. */
typedef struct path_text {
    char text[NACRE_SFTP_SERVER_MAX_PATH];
    size_t at;
} path_text;

static bool put_before(path_text *p, nacre_span name)
{
    if (name.n + 1 > p->at) {
        return false;
    }
    p->at -= name.n;
    memcpy(p->text + p->at, name.p, name.n);
    p->text[--p->at] = '/';
    return true;
}

static bool put_directory(path_text *p, const nc_node *dir)
{
    for (; dir->parent; dir = dir->parent) {
        const nc_entry *e = dir->parent->entries;
        while (e->node != dir) {
            e++;
        }
        if (!put_before(p, nc_span(e->name, e->n))) {
            return false;
        }
    }
    return true;
}

static uint32_t op_realpath(nacre_sftp_call *call, nacre_span path, nacre_sftp_answer *out)
{
    nc_spot spot;
    path_text p = {.at = sizeof(p.text)};
    uint32_t code = nc_tree_find(call->user, path, true, &spot);
    if (code != NACRE_FX_OK) {
        return code;
    }
    bool good = spot.dir ? put_before(&p, spot.name) && put_directory(&p, spot.dir)
                         : put_directory(&p, spot.node);
    if (good && p.at == sizeof(p.text)) {
        p.text[--p.at] = '/';
    }
    return good && nacre_sftp_answer_path(out, nc_span(p.text + p.at, sizeof(p.text) - p.at))
               ? NACRE_FX_OK
               : NACRE_FX_FAILURE;
}

/* There is one user here, and the top is his home. */
static uint32_t op_expand_path(nacre_sftp_call *call, nacre_span path, nacre_sftp_answer *out)
{
    if (path.n == 0 || path.p[0] != '~') {
        return op_realpath(call, path, out);
    }
    if (path.n > 1 && path.p[1] != '/') {
        return NACRE_FX_NO_SUCH_FILE;
    }
    return op_realpath(call, path.n > 1 ? nc_span(path.p + 1, path.n - 1) : nc_span("/", 1), out);
}

static uint32_t op_home_directory(nacre_sftp_call *call, nacre_span user, nacre_sftp_answer *out)
{
    (void)call;
    (void)user;
    return nacre_sftp_answer_path(out, nc_span("/", 1)) ? NACRE_FX_OK : NACRE_FX_FAILURE;
}

static size_t op_name_of_id(nacre_sftp_call *call, uint32_t id, bool group, char *out, size_t size)
{
    (void)call;
    (void)group;
    if (id != 0 || size < 4) {
        return 0;
    }
    memcpy(out, "root", 4);
    return 4;
}

static const nacre_sftp_server_ops ops = {
    .size = sizeof(ops),
    .open = op_open,
    .close = op_close,
    .read = op_read,
    .write = op_write,
    .fstat = op_fstat,
    .fsetstat = op_fsetstat,
    .stat = op_stat,
    .lstat = op_lstat,
    .setstat = op_setstat,
    .opendir = op_opendir,
    .readdir = op_readdir,
    .closedir = op_closedir,
    .remove = op_remove,
    .mkdir = op_mkdir,
    .rmdir = op_rmdir,
    .realpath = op_realpath,
    .rename = op_rename,
    .readlink = op_readlink,
    .symlink = op_symlink,
    .posix_rename = op_posix_rename,
    .statvfs = op_statvfs,
    .fstatvfs = op_fstatvfs,
    .hardlink = op_hardlink,
    .fsync = op_fsync,
    .lsetstat = op_lsetstat,
    .expand_path = op_expand_path,
    .copy_data = op_copy_data,
    .home_directory = op_home_directory,
    .name_of_id = op_name_of_id,
};

const nacre_sftp_server_ops *nacre_memory_files_ops(void)
{
    return &ops;
}
