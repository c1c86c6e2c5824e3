#include "mem_backend.h"

#include "base/mem.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void mem_backend_init(mem_backend *b)
{
    memset(b, 0, sizeof(*b));
    mem_backend_add(b, "/", NACRE_SFTP_S_IFDIR | 0755);
}

void mem_backend_clear(mem_backend *b)
{
    for (size_t i = 0; i < b->node_count; i++) {
        free(b->nodes[i].path);
        free(b->nodes[i].data);
    }
    memset(b, 0, sizeof(*b));
}

mem_node *mem_backend_add(mem_backend *b, const char *path, uint32_t permissions)
{
    mem_node *n = NULL;
    for (size_t i = 0; i < b->node_count && !n; i++) {
        if (!b->nodes[i].path && !b->nodes[i].opened) {
            n = &b->nodes[i];
        }
    }
    if (!n) {
        n = &b->nodes[b->node_count++];
    }
    memset(n, 0, sizeof(*n));
    n->path = strdup(path);
    n->attrs.flags = NACRE_SFTP_ATTR_SIZE | NACRE_SFTP_ATTR_UIDGID | NACRE_SFTP_ATTR_PERMISSIONS |
                     NACRE_SFTP_ATTR_ACMODTIME;
    n->attrs.permissions = permissions;
    n->attrs.uid = 1000;
    n->attrs.gid = 100;
    n->attrs.atime = 1;
    n->attrs.mtime = 2;
    return n;
}

static mem_node *find(mem_backend *b, nacre_span path)
{
    for (size_t i = 0; i < b->node_count; i++) {
        if (b->nodes[i].path && nc_span_is(path, b->nodes[i].path)) {
            return &b->nodes[i];
        }
    }
    return NULL;
}

mem_node *mem_backend_find(mem_backend *b, const char *path)
{
    return find(b, nc_span_cstr(path));
}

static bool grow(mem_node *n, size_t size)
{
    if (size > n->cap) {
        size_t cap = size < n->cap * 2 ? n->cap * 2 : size;
        uint8_t *data = realloc(n->data, cap);
        if (!data) {
            return false;
        }
        n->data = data;
        n->cap = cap;
    }
    if (size > n->size) {
        memset(n->data + n->size, 0, size - n->size);
    }
    n->size = size;
    n->attrs.size = size;
    return true;
}

void mem_backend_set(mem_node *n, const void *data, size_t size)
{
    if (grow(n, size) && size) {
        memcpy(n->data, data, size);
    }
}

static bool is_dir(const mem_node *n)
{
    return (n->attrs.permissions & NACRE_SFTP_S_IFMT) == NACRE_SFTP_S_IFDIR;
}

static bool is_link(const mem_node *n)
{
    return (n->attrs.permissions & NACRE_SFTP_S_IFMT) == NACRE_SFTP_S_IFLNK;
}

static char *text(nacre_span s)
{
    return strndup((const char *)s.p, s.n);
}

static mem_backend *of(nacre_sftp_call *call)
{
    return call->user;
}

static mem_late *park(nacre_sftp_call *call, int kind)
{
    mem_backend *b = of(call);
    mem_late *l = &b->late[b->late_count++];
    memset(l, 0, sizeof(*l));
    l->ticket = call->ticket;
    l->kind = kind;
    b->late_most = b->late_count > b->late_most ? b->late_count : b->late_most;
    return l;
}

static uint32_t op_start(nacre_sftp_call *call)
{
    of(call)->starts++;
    return NACRE_FX_OK;
}

/* An open whose answer nobody waits for any more has no other owner. */
static void op_end(void *user)
{
    mem_backend *b = user;
    b->ends++;
    for (size_t i = 0; i < b->late_count; i++) {
        if (b->late[i].kind == NACRE_FXP_OPEN) {
            mem_open *o = b->late[i].file;
            b->open_now--;
            o->node->opened--;
            free(o);
        }
    }
    b->late_count = 0;
}

static mem_open *make_open(mem_backend *b, mem_node *n)
{
    mem_open *o = calloc(1, sizeof(*o));
    o->node = n;
    n->opened++;
    b->open_now++;
    return o;
}

static uint32_t op_open(nacre_sftp_call *call, nacre_span path, uint32_t pflags,
                        const nacre_sftp_attrs *attrs, void **file)
{
    mem_backend *b = of(call);
    mem_node *n = find(b, path);
    if (n && is_dir(n)) {
        return NACRE_FX_FAILURE;
    }
    if (n && (pflags & NACRE_FXF_EXCL)) {
        return NACRE_FX_FAILURE;
    }
    if (!n && !(pflags & NACRE_FXF_CREAT)) {
        return NACRE_FX_NO_SUCH_FILE;
    }
    if (!n && b->node_count < MEM_NODES) {
        char *p = text(path);
        uint32_t mode = attrs->flags & NACRE_SFTP_ATTR_PERMISSIONS ? attrs->permissions : 0644;
        n = mem_backend_add(b, p, NACRE_SFTP_S_IFREG | (mode & 07777));
        free(p);
    }
    if (!n) {
        return NACRE_FX_FAILURE;
    }
    if (pflags & NACRE_FXF_TRUNC) {
        grow(n, 0);
    }
    mem_open *o = make_open(b, n);
    o->append = (pflags & NACRE_FXF_APPEND) != 0;
    if (b->later) {
        park(call, NACRE_FXP_OPEN)->file = o;
        return NACRE_SFTP_LATER;
    }
    *file = o;
    return NACRE_FX_OK;
}

static uint32_t op_close(nacre_sftp_call *call, void *user, void *file)
{
    (void)call;
    mem_open *o = file;
    ((mem_backend *)user)->open_now--;
    o->node->opened--;
    free(o);
    return NACRE_FX_OK;
}

static uint32_t op_read(nacre_sftp_call *call, void *file, uint64_t offset, const nacre_room *rooms,
                        size_t count, size_t want, size_t *got)
{
    mem_open *o = file;
    if (of(call)->later) {
        mem_late *l = park(call, NACRE_FXP_READ);
        l->file = o;
        l->offset = offset;
        l->want = want;
        return NACRE_SFTP_LATER;
    }
    if (offset >= o->node->size) {
        return NACRE_FX_EOF;
    }
    size_t n = o->node->size - (size_t)offset;
    n = n < want ? n : want;
    size_t done = 0;
    for (size_t i = 0; i < count && done < n; i++) {
        size_t piece = n - done < rooms[i].n ? n - done : rooms[i].n;
        memcpy(rooms[i].p, o->node->data + offset + done, piece);
        done += piece;
    }
    *got = done;
    return NACRE_FX_OK;
}

static uint32_t op_write(nacre_sftp_call *call, void *file, uint64_t offset, nacre_span data)
{
    mem_backend *b = of(call);
    mem_open *o = file;
    b->writes++;
    if (b->fail_writes_at && b->writes >= b->fail_writes_at) {
        call->message = "No space left on device";
        return NACRE_FX_FAILURE;
    }
    if (o->append) {
        offset = o->node->size;
    }
    if (offset > (1u << 30)) {
        return NACRE_FX_FAILURE;
    }
    size_t end = (size_t)offset + data.n;
    if (end > o->node->size && !grow(o->node, end)) {
        return NACRE_FX_FAILURE;
    }
    memcpy(o->node->data + offset, data.p, data.n);
    if (b->later) {
        park(call, NACRE_FXP_WRITE);
        return NACRE_SFTP_LATER;
    }
    return NACRE_FX_OK;
}

static uint32_t op_fstat(nacre_sftp_call *call, void *file, nacre_sftp_attrs *out)
{
    (void)call;
    *out = ((mem_open *)file)->node->attrs;
    return NACRE_FX_OK;
}

static uint32_t set(mem_node *n, const nacre_sftp_attrs *a)
{
    if (!n) {
        return NACRE_FX_NO_SUCH_FILE;
    }
    if (a->flags & NACRE_SFTP_ATTR_SIZE) {
        grow(n, (size_t)a->size);
    }
    if (a->flags & NACRE_SFTP_ATTR_PERMISSIONS) {
        n->attrs.permissions =
            (n->attrs.permissions & NACRE_SFTP_S_IFMT) | (a->permissions & 07777);
    }
    if (a->flags & NACRE_SFTP_ATTR_UIDGID) {
        n->attrs.uid = a->uid;
        n->attrs.gid = a->gid;
    }
    if (a->flags & NACRE_SFTP_ATTR_ACMODTIME) {
        n->attrs.atime = a->atime;
        n->attrs.mtime = a->mtime;
    }
    return NACRE_FX_OK;
}

static uint32_t op_fsetstat(nacre_sftp_call *call, void *file, const nacre_sftp_attrs *a)
{
    (void)call;
    return set(((mem_open *)file)->node, a);
}

static mem_node *follow(mem_backend *b, nacre_span path)
{
    mem_node *n = find(b, path);
    for (int hops = 0; n && is_link(n); hops++) {
        n = hops < 8 ? find(b, nc_span(n->data, n->size)) : NULL;
    }
    return n;
}

static uint32_t op_stat(nacre_sftp_call *call, nacre_span path, nacre_sftp_attrs *out)
{
    mem_node *n = follow(of(call), path);
    if (n && of(call)->later) {
        mem_late *l = park(call, NACRE_FXP_STAT);
        snprintf(l->path, sizeof(l->path), "%s", n->path);
        return NACRE_SFTP_LATER;
    }
    if (n) {
        *out = n->attrs;
    }
    return n ? NACRE_FX_OK : NACRE_FX_NO_SUCH_FILE;
}

static uint32_t op_lstat(nacre_sftp_call *call, nacre_span path, nacre_sftp_attrs *out)
{
    mem_node *n = find(of(call), path);
    if (n) {
        *out = n->attrs;
    }
    return n ? NACRE_FX_OK : NACRE_FX_NO_SUCH_FILE;
}

static uint32_t op_setstat(nacre_sftp_call *call, nacre_span path, const nacre_sftp_attrs *a)
{
    return set(follow(of(call), path), a);
}

static uint32_t op_lsetstat(nacre_sftp_call *call, nacre_span path, const nacre_sftp_attrs *a)
{
    return set(find(of(call), path), a);
}

static uint32_t op_opendir(nacre_sftp_call *call, nacre_span path, void **dir)
{
    mem_node *n = find(of(call), path);
    if (!n || !is_dir(n)) {
        return NACRE_FX_NO_SUCH_FILE;
    }
    *dir = make_open(of(call), n);
    return NACRE_FX_OK;
}

/* The name below dir that a path is, or NULL. */
static const char *child(const char *dir, const char *path)
{
    size_t n = strcmp(dir, "/") == 0 ? 0 : strlen(dir);
    if (strncmp(path, dir, n) != 0 || path[n] != '/' || path[n + 1] == '\0' ||
        strchr(path + n + 1, '/')) {
        return NULL;
    }
    return path + n + 1;
}

static uint32_t op_readdir(nacre_sftp_call *call, void *dir, nacre_sftp_answer *out)
{
    mem_backend *b = of(call);
    mem_open *o = dir;
    for (; o->cursor < b->node_count; o->cursor++) {
        mem_node *n = &b->nodes[o->cursor];
        const char *name = n->path ? child(o->node->path, n->path) : NULL;
        nacre_sftp_name entry = {.name = nc_span_cstr(name), .attrs = n->attrs};
        if (name && !nacre_sftp_answer_name(out, &entry)) {
            return NACRE_FX_OK;
        }
    }
    return NACRE_FX_OK;
}

static void drop(mem_node *n)
{
    free(n->path);
    n->path = NULL;
}

static uint32_t op_remove(nacre_sftp_call *call, nacre_span path)
{
    mem_node *n = find(of(call), path);
    if (!n || is_dir(n)) {
        return n ? NACRE_FX_FAILURE : NACRE_FX_NO_SUCH_FILE;
    }
    drop(n);
    free(n->data);
    n->data = NULL;
    n->size = n->cap = 0;
    return NACRE_FX_OK;
}

static uint32_t op_mkdir(nacre_sftp_call *call, nacre_span path, const nacre_sftp_attrs *a)
{
    mem_backend *b = of(call);
    if (find(b, path) || b->node_count == MEM_NODES) {
        return NACRE_FX_FAILURE;
    }
    char *p = text(path);
    uint32_t mode = a->flags & NACRE_SFTP_ATTR_PERMISSIONS ? a->permissions : 0755;
    mem_backend_add(b, p, NACRE_SFTP_S_IFDIR | (mode & 07777));
    free(p);
    return NACRE_FX_OK;
}

static uint32_t op_rmdir(nacre_sftp_call *call, nacre_span path)
{
    mem_backend *b = of(call);
    mem_node *n = find(b, path);
    if (!n || !is_dir(n)) {
        return NACRE_FX_NO_SUCH_FILE;
    }
    for (size_t i = 0; i < b->node_count; i++) {
        if (b->nodes[i].path && child(n->path, b->nodes[i].path)) {
            return NACRE_FX_FAILURE;
        }
    }
    drop(n);
    return NACRE_FX_OK;
}

static uint32_t op_realpath(nacre_sftp_call *call, nacre_span path, nacre_sftp_answer *out)
{
    (void)call;
    bool here = nc_span_is(path, ".");
    return nacre_sftp_answer_path(out, here ? nc_span_cstr("/home/me") : path) ? NACRE_FX_OK
                                                                               : NACRE_FX_FAILURE;
}

static uint32_t op_posix_rename(nacre_sftp_call *call, nacre_span from, nacre_span to)
{
    mem_node *n = find(of(call), from);
    mem_node *old = find(of(call), to);
    if (!n) {
        return NACRE_FX_NO_SUCH_FILE;
    }
    if (old) {
        drop(old);
    }
    free(n->path);
    n->path = text(to);
    return NACRE_FX_OK;
}

static uint32_t op_rename(nacre_sftp_call *call, nacre_span from, nacre_span to)
{
    return find(of(call), to) ? NACRE_FX_FAILURE : op_posix_rename(call, from, to);
}

static uint32_t op_readlink(nacre_sftp_call *call, nacre_span path, nacre_sftp_answer *out)
{
    mem_node *n = find(of(call), path);
    if (!n || !is_link(n)) {
        return NACRE_FX_NO_SUCH_FILE;
    }
    return nacre_sftp_answer_path(out, nc_span(n->data, n->size)) ? NACRE_FX_OK : NACRE_FX_FAILURE;
}

static uint32_t op_symlink(nacre_sftp_call *call, nacre_span target, nacre_span link)
{
    if (find(of(call), link)) {
        return NACRE_FX_FAILURE;
    }
    char *p = text(link);
    mem_backend_set(mem_backend_add(of(call), p, NACRE_SFTP_S_IFLNK | 0777), target.p, target.n);
    free(p);
    return NACRE_FX_OK;
}

static uint32_t op_statvfs(nacre_sftp_call *call, nacre_span path, nacre_sftp_statvfs *out)
{
    if (!find(of(call), path)) {
        return NACRE_FX_NO_SUCH_FILE;
    }
    *out = (nacre_sftp_statvfs){1, 2, 3, 4, 5, 6, 7, 8, 9, NACRE_SFTP_ST_NOSUID, 255};
    return NACRE_FX_OK;
}

static uint32_t op_fstatvfs(nacre_sftp_call *call, void *file, nacre_sftp_statvfs *out)
{
    return op_statvfs(call, nc_span_cstr(((mem_open *)file)->node->path), out);
}

static uint32_t op_hardlink(nacre_sftp_call *call, nacre_span from, nacre_span to)
{
    mem_node *n = find(of(call), from);
    if (!n || find(of(call), to)) {
        return NACRE_FX_FAILURE;
    }
    char *p = text(to);
    mem_node *copy = mem_backend_add(of(call), p, n->attrs.permissions);
    mem_backend_set(copy, n->data, n->size);
    free(p);
    return NACRE_FX_OK;
}

static uint32_t op_fsync(nacre_sftp_call *call, void *file)
{
    (void)file;
    of(call)->fsyncs++;
    return NACRE_FX_OK;
}

static uint32_t op_expand_path(nacre_sftp_call *call, nacre_span path, nacre_sftp_answer *out)
{
    char p[300];
    (void)call;
    if (path.n == 0 || path.p[0] != '~' || path.n > 200) {
        return nacre_sftp_answer_path(out, path) ? NACRE_FX_OK : NACRE_FX_FAILURE;
    }
    int n = snprintf(p, sizeof(p), "/home/me%.*s", (int)path.n - 1, (const char *)path.p + 1);
    return nacre_sftp_answer_path(out, nc_span(p, (size_t)n)) ? NACRE_FX_OK : NACRE_FX_FAILURE;
}

static uint32_t op_copy_data(nacre_sftp_call *call, void *from, uint64_t from_offset, uint64_t n,
                             void *to, uint64_t to_offset, uint64_t *copied)
{
    mem_node *a = ((mem_open *)from)->node;
    if (from_offset >= a->size) {
        return NACRE_FX_OK;
    }
    uint64_t left = a->size - from_offset;
    n = n == 0 || n > left ? left : n;
    n = n > 1000 ? 1000 : n; /* the machine comes back for the rest */
    *copied = n;
    uint8_t *copy = malloc((size_t)n);
    memcpy(copy, a->data + from_offset, (size_t)n);
    uint32_t code = op_write(call, to, to_offset, nc_span(copy, (size_t)n));
    free(copy);
    return code;
}

static uint32_t op_home(nacre_sftp_call *call, nacre_span user, nacre_sftp_answer *out)
{
    char p[300];
    (void)call;
    if (user.n > 200) {
        return NACRE_FX_FAILURE;
    }
    int n = snprintf(p, sizeof(p), "/home/%.*s", (int)user.n, (const char *)user.p);
    return nacre_sftp_answer_path(out, nc_span(p, (size_t)n)) ? NACRE_FX_OK : NACRE_FX_FAILURE;
}

static size_t op_name_of_id(nacre_sftp_call *call, uint32_t id, bool group, char *out, size_t size)
{
    (void)call;
    const char *name = id == 0 ? "root" : id == 100 && group ? "users" : "";
    snprintf(out, size, "%s", name);
    return strlen(name);
}

static uint32_t op_extended(nacre_sftp_call *call, const char *name, nacre_span data,
                            nacre_sftp_answer *out)
{
    (void)call;
    if (strcmp(name, "echo@test") == 0) {
        return nacre_sftp_answer_bytes(out, data.p, data.n) ? NACRE_FX_OK : NACRE_FX_FAILURE;
    }
    return NACRE_FX_OK; /* no bytes: a status */
}

void mem_backend_ops(nacre_sftp_server_ops *ops)
{
    static const struct nacre_sftp_server_ext extensions[] = {
        {"echo@test", "1", false}, {"touch@test", "7", true}, {NULL, NULL, false}};
    *ops = (nacre_sftp_server_ops){
        .size = sizeof(*ops),
        .session_start = op_start,
        .session_end = op_end,
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
        .closedir = op_close,
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
        .home_directory = op_home,
        .name_of_id = op_name_of_id,
        .extensions = extensions,
        .extended = op_extended,
    };
}

static int answer_read(const mem_late *l, nacre_sftp_server *s)
{
    mem_node *n = l->file->node;
    size_t left = l->offset < n->size ? n->size - (size_t)l->offset : 0;
    size_t take = left < l->want ? left : l->want;
    return nacre_sftp_reply_data(s, l->ticket, nc_span(take ? n->data + l->offset : NULL, take));
}

size_t mem_backend_answer(mem_backend *b, nacre_sftp_server *s)
{
    size_t answered = 0;
    while (b->late_count > 0) {
        mem_late *l = &b->late[b->late_count - 1];
        mem_node *n = l->kind == NACRE_FXP_STAT ? mem_backend_find(b, l->path) : NULL;
        int rc = NACRE_OK;
        if (l->kind == NACRE_FXP_READ) {
            rc = answer_read(l, s);
        } else if (l->kind == NACRE_FXP_OPEN) {
            rc = nacre_sftp_reply_handle(s, l->ticket, l->file);
        } else if (n) {
            rc = nacre_sftp_reply_attrs(s, l->ticket, &n->attrs);
        } else {
            rc = nacre_sftp_reply_status(s, l->ticket, NACRE_FX_OK, NULL);
        }
        if (rc == NACRE_AGAIN) {
            break;
        }
        answered++;
        b->late_count--;
    }
    return answered;
}
