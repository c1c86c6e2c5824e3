/*
 * sftp_dir.c - remote directories: entry by entry, and as a list. Two READDIRs are on the way at a time,
 * so that reading a large directory does not wait for the line.
 */
#include "client/sftp_session.h"

#include <string.h>

enum {
    AHEAD = 2,
    /* Entries of a list: what 1 GiB of names might be; a server that never says EOF stops here. */
    MAX_ENTRIES = 16 * 1024 * 1024
};

struct nacre_sftp_dir {
    nacre_sftp *s;
    char *path;
    uint8_t handle[NACRE_SFTP_MAX_HANDLE];
    size_t handle_len;
    nc_sftp_op ops[AHEAD];
    size_t turn; /* whose names are given out */
    bool taken;  /* the op of this turn was finished */
    bool ended;
    nacre_sftp_names names;
    char *name; /* zero-terminated copy of the last entry's */
    size_t name_size;
};

static nc_sftp_request request_of(const nacre_sftp_dir *d, uint8_t type)
{
    nc_sftp_request r = {
        .type = type, .path = d->path, .handle = nc_span(d->handle, d->handle_len)};
    return r;
}

static int ask_more(nacre_sftp_dir *d, nc_sftp_op *op)
{
    nc_sftp_request r = request_of(d, NACRE_FXP_READDIR);
    nc_sftp_op_clear(op);
    nc_sftp_op_init(op, d->s);
    return nc_sftp_send(d->s, &r, op);
}

int nacre_sftp_opendir(nacre_sftp *s, const char *path, nacre_sftp_dir **out)
{
    nc_sftp_request r = {.type = NACRE_FXP_OPENDIR, .path = path};
    nc_sftp_op op;
    nc_sftp_op_init(&op, s);
    *out = NULL;
    nacre_sftp_dir *d = nc_zalloc(s->alloc, sizeof(*d));
    char *name = nc_strdup(s->alloc, path);
    int rc = d && name ? nc_sftp_ask(s, &r, &op)
                       : nc_sftp_fail(s, NACRE_NO_MEMORY, "no memory to open a directory");
    if (rc != NACRE_OK) {
        nc_free(s->alloc, name);
        nc_free(s->alloc, d);
        nc_sftp_op_clear(&op);
        return rc;
    }
    d->s = s;
    d->path = name;
    d->handle_len = op.handle_len;
    memcpy(d->handle, op.handle, op.handle_len);
    nc_sftp_op_clear(&op);
    for (size_t i = 0; i < AHEAD; i++) {
        nc_sftp_op_init(&d->ops[i], s);
    }
    for (size_t i = 0; i < AHEAD && rc == NACRE_OK; i++) {
        rc = ask_more(d, &d->ops[i]);
    }
    if (rc != NACRE_OK) {
        nacre_sftp_closedir(d);
        return rc;
    }
    *out = d;
    return NACRE_OK;
}

/* Waits for the names of this turn; NACRE_END after the last. */
static int take_batch(nacre_sftp_dir *d)
{
    nc_sftp_request r = request_of(d, NACRE_FXP_READDIR);
    nc_sftp_op *op = &d->ops[d->turn];
    int rc = nc_sftp_begin(d->s);
    if (rc == NACRE_OK) {
        rc = nc_sftp_finish(d->s, &r, op);
    }
    if (rc == NACRE_SFTP_STATUS && op->code == NACRE_FX_EOF) {
        nc_error_clear(&d->s->error);
        d->s->status = NACRE_FX_OK;
        d->ended = true;
        return NACRE_END;
    }
    if (rc != NACRE_OK) {
        d->ended = true;
        return rc;
    }
    d->names.count = op->names_count;
    d->names.rest = nc_span(op->names, op->names_len);
    d->taken = true;
    return NACRE_OK;
}

static int keep_name(nacre_sftp_dir *d, nacre_sftp_name *entry)
{
    if (entry->name.n + 1 > d->name_size) {
        size_t size = entry->name.n + 256;
        char *p = nc_resize(d->s->alloc, d->name, size);
        if (!p) {
            return nc_sftp_fail(d->s, NACRE_NO_MEMORY, "no memory for a name");
        }
        d->name = p;
        d->name_size = size;
    }
    memcpy(d->name, entry->name.p, entry->name.n);
    d->name[entry->name.n] = '\0';
    entry->name.p = (const uint8_t *)d->name;
    return NACRE_OK;
}

int nacre_sftp_readdir(nacre_sftp_dir *d, nacre_sftp_name *entry)
{
    while (!d->ended) {
        if (d->taken && nacre_sftp_names_next(&d->names, entry)) {
            return keep_name(d, entry);
        }
        int rc = NACRE_OK;
        if (d->taken) {
            d->taken = false;
            rc = ask_more(d, &d->ops[d->turn]);
            d->turn = (d->turn + 1) % AHEAD;
        }
        rc = rc == NACRE_OK ? take_batch(d) : rc;
        if (rc != NACRE_OK) {
            return rc;
        }
    }
    return NACRE_END;
}

void nacre_sftp_closedir(nacre_sftp_dir *d)
{
    if (!d) {
        return;
    }
    for (size_t i = 0; i < AHEAD; i++) {
        if (d->ops[i].call.id) {
            nacre_sftp_engine_forget(d->s->engine, d->ops[i].call.id);
        }
        nc_sftp_op_clear(&d->ops[i]);
    }
    nc_sftp_drop_handle(d->s, nc_span(d->handle, d->handle_len));
    nc_free(d->s->alloc, d->name);
    nc_free(d->s->alloc, d->path);
    nc_free(d->s->alloc, d);
}

/* ---- all at once -------------------------------------------------------------------------------------- */

static bool is_dot(nacre_span name)
{
    return nc_span_is(name, ".") || nc_span_is(name, "..");
}

/* Name and long name behind each other in one allocation that the name owns. */
static int add_entry(nacre_sftp_list *list, size_t *room, const nacre_sftp_name *e)
{
    if (list->count == MAX_ENTRIES) {
        return NACRE_LIMIT;
    }
    if (list->count == *room) {
        size_t more = *room ? *room * 2 : 64;
        nacre_sftp_name *p = nc_resize(list->allocator, list->entries, more * sizeof(*p));
        if (!p) {
            return NACRE_NO_MEMORY;
        }
        list->entries = p;
        *room = more;
    }
    uint8_t *text = nc_alloc(list->allocator, e->name.n + e->longname.n + 2);
    if (!text) {
        return NACRE_NO_MEMORY;
    }
    memcpy(text, e->name.p, e->name.n);
    text[e->name.n] = 0;
    memcpy(text + e->name.n + 1, e->longname.p, e->longname.n);
    text[e->name.n + 1 + e->longname.n] = 0;
    nacre_sftp_name *to = &list->entries[list->count++];
    *to = *e;
    to->name.p = text;
    to->longname.p = text + e->name.n + 1;
    to->attrs.flags &= ~NACRE_SFTP_ATTR_EXTENDED;
    to->attrs.extended_count = 0;
    to->attrs.extended = nc_span(NULL, 0);
    return NACRE_OK;
}

int nacre_sftp_listdir(nacre_sftp *s, const char *path, nacre_sftp_list *out)
{
    nacre_sftp_list list = {NULL, 0, s->alloc};
    nacre_sftp_dir *d = NULL;
    nacre_sftp_name entry;
    size_t room = 0;
    int rc = nacre_sftp_opendir(s, path, &d);
    while (rc == NACRE_OK && (rc = nacre_sftp_readdir(d, &entry)) == NACRE_OK) {
        if (!is_dot(entry.name)) {
            int added = add_entry(&list, &room, &entry);
            rc = added == NACRE_OK ? rc : nc_sftp_fail(s, added, "too many names in %s", path);
        }
    }
    nacre_sftp_closedir(d);
    if (rc != NACRE_END) {
        nacre_sftp_list_free(&list);
        memset(out, 0, sizeof(*out));
        return rc;
    }
    *out = list;
    return NACRE_OK;
}

void nacre_sftp_list_free(nacre_sftp_list *list)
{
    if (!list) {
        return;
    }
    for (size_t i = 0; i < list->count; i++) {
        nc_free(list->allocator, (void *)(uintptr_t)list->entries[i].name.p);
    }
    nc_free(list->allocator, list->entries);
    memset(list, 0, sizeof(*list));
}
