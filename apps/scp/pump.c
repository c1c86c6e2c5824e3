/*
 * pump.c - from one server to another through this machine: what is read ahead on one side is written behind
 * on the other, so both connections are busy at once and memory is bounded. On one server with itself the
 * server copies.
 */
#include "scp.h"

#include "nacre/sftp_file.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

enum {
    CHUNK = 256 * 1024,
    CHUNK_MIN = 512,
    REQUEST = 32 * 1024,
    SERVER_PIECE = 16 * 1024 * 1024,
    DEPTH_MAX = 64
};

/* A directory that is being copied, and those above it: a link that leads back is not followed. */
typedef struct above {
    const struct above *up;
    const char *real; /* NULL: not known */
    unsigned depth;
} above;

static bool has_type(const nacre_sftp_attrs *attrs, uint32_t type)
{
    return (attrs->flags & NACRE_SFTP_ATTR_PERMISSIONS) && (attrs->permissions & S_IFMT) == type;
}

static void skip(pump *p, const char *path, const char *why)
{
    progress_clear(p->a->bar);
    if (!p->a->args.quiet) {
        (void)fprintf(stderr, "%s: %s\n", shown(path), why);
    }
}

/* ---- a file ---- */

/* Keeps to -l, turning the loop meanwhile: keepalives and answers go on. */
static void slow_down(pump *p, uint64_t more)
{
    uint64_t rate = p->a->args.rate;
    p->moved += more;
    while (rate > 0 && !p->a->interrupted) {
        uint64_t due = p->moved * 1000 / rate, now = nacre_loop_now(p->loop) - p->began_ms;
        if (now >= due) {
            return;
        }
        int wait = due - now > 100 ? 100 : (int)(due - now);
        struct timespec t = {0, wait * 1000000L};
        if (!p->loop || nacre_loop_run_once(p->loop, wait) != NACRE_OK) {
            (void)nanosleep(&t, NULL);
        }
    }
}

static size_t chunk_of(const pump *p)
{
    uint64_t quarter = p->a->args.rate / 4; /* what goes in a quarter of a second */
    if (p->a->args.rate == 0 || quarter > CHUNK) {
        return CHUNK;
    }
    return quarter < CHUNK_MIN ? CHUNK_MIN : (size_t)quarter;
}

static void reading_options(const pump *p, nacre_sftp_file_options *o)
{
    const scp_args *g = &p->a->args;
    nacre_sftp_file_options_init(o);
    if (g->rate) {
        o->read_ahead = chunk_of(p);
    } else if (g->requests) {
        o->read_ahead = (uint64_t)g->requests * (g->buffer ? g->buffer : REQUEST);
    }
}

typedef struct file_copy {
    nacre_sftp_file *in, *out;
    uint64_t size, done;
    int rc;
    bool reading; /* what failed; else the writing */
    char why[1024];
} file_copy;

static void move_bytes(pump *p, file_copy *f, const char *from)
{
    size_t size = chunk_of(p);
    uint8_t *buffer = keep(malloc(size));
    while (f->rc == NACRE_OK) {
        size_t got = 0;
        f->reading = true;
        f->rc = nacre_sftp_file_read(f->in, buffer, size, &got);
        if (f->rc != NACRE_OK) {
            break;
        }
        f->reading = false;
        f->rc = nacre_sftp_file_write(f->out, buffer, got);
        if (f->rc == NACRE_OK) {
            f->done += got;
            f->rc = on_progress(p->a, from, f->done, f->size) ? NACRE_OK : NACRE_CANCELLED;
            slow_down(p, got);
        }
    }
    f->rc = f->rc == NACRE_END ? NACRE_OK : f->rc;
    free(buffer);
}

/* What failed last, before other calls take its place. */
static void keep_words(pump *p, file_copy *f)
{
    const nacre_error *e = nacre_sftp_error(f->reading ? p->from : p->to);
    (void)snprintf(f->why, sizeof(f->why), "%s",
                   p->a->interrupted ? "interrupted"
                   : e->text[0]      ? e->text
                                     : "failed");
}

/* Devices and pipes have no length. */
static int cut(file_copy *f)
{
    nacre_sftp_attrs now;
    int rc = nacre_sftp_file_truncate(f->out, f->done);
    bool none = rc == NACRE_SFTP_STATUS && nacre_sftp_file_stat(f->out, &now) == NACRE_OK &&
                (now.flags & NACRE_SFTP_ATTR_PERMISSIONS) && !has_type(&now, S_IFREG);
    return none ? NACRE_OK : rc;
}

/* Between two files of one server, in pieces that leave room for an interrupt. */
static void move_on_server(pump *p, file_copy *f, const char *from)
{
    nacre_sftp_attrs now;
    uint64_t piece = p->a->args.rate ? chunk_of(p) : SERVER_PIECE;
    while (f->rc == NACRE_OK && f->done < f->size) {
        uint64_t n = f->size - f->done < piece ? f->size - f->done : piece;
        f->rc = nacre_sftp_file_copy_data(f->in, f->done, n, f->out, f->done);
        if (f->rc == NACRE_OK) {
            f->done += n;
            f->rc = on_progress(p->a, from, f->done, f->size) ? NACRE_OK : NACRE_CANCELLED;
            slow_down(p, n);
        }
    }
    /* A server does not say how much there was to copy. */
    if (f->rc == NACRE_OK && nacre_sftp_file_stat(f->in, &now) == NACRE_OK &&
        (now.flags & NACRE_SFTP_ATTR_SIZE) && now.size < f->done) {
        f->done = now.size;
    }
}

/*
 * What is there is not emptied when it is opened, for it may be the source under another name, on another
 * server even; so its length is set in the end, and not at all when not everything came.
 */
static void finish(pump *p, file_copy *f, const nacre_sftp_attrs *attrs)
{
    nacre_sftp_attrs kept = *attrs;
    int rc = NACRE_OK;
    f->reading = f->rc == NACRE_OK ? false : f->reading;
    if (f->rc == NACRE_OK) {
        f->rc = nacre_sftp_file_flush(f->out);
    }
    if (f->rc == NACRE_OK) {
        f->rc = cut(f);
    }
    if (f->rc == NACRE_OK && p->a->args.preserve) {
        kept.flags &= NACRE_SFTP_ATTR_PERMISSIONS | NACRE_SFTP_ATTR_ACMODTIME;
        kept.permissions &= 0777; /* setuid and setgid are not for another machine's users */
        kept.extended_count = 0;
        f->rc = nacre_sftp_file_setstat(f->out, &kept);
    }
    keep_words(p, f);
    rc = nacre_sftp_file_close(f->out);
    if (f->rc == NACRE_OK && rc != NACRE_OK) {
        f->rc = rc;
        keep_words(p, f);
    }
}

static void tell(pump *p, const file_copy *f, const char *from, const char *to)
{
    nacre_sftp *s = f->reading ? p->from : p->to;
    if (f->out) {
        fail(p->a, "%s: %s; %s is incomplete: %" PRIu64 " bytes are written",
             shown(f->reading ? from : to), f->why, shown(to), f->done);
    } else if (!p->a->interrupted) {
        fail_sftp(p->a, s, f->reading ? from : to);
    }
}

static void copy_file(pump *p, const char *from, const char *to, const nacre_sftp_attrs *attrs)
{
    nacre_sftp_file_options o;
    file_copy f = {.size = UINT64_MAX, .reading = true};
    bool known = attrs->flags & NACRE_SFTP_ATTR_SIZE;
    uint32_t mode = attrs->flags & NACRE_SFTP_ATTR_PERMISSIONS ? attrs->permissions & 0777 : 0666;
    f.size = known ? attrs->size : UINT64_MAX;
    reading_options(p, &o);
    debug(p->a, "Copying %s to %s", shown(from), shown(to));
    f.rc = nacre_sftp_file_fopen(p->from, from, "r", &o, &f.in);
    if (f.rc == NACRE_OK) {
        f.reading = false;
        f.rc = nacre_sftp_file_open(p->to, to, NACRE_FXF_WRITE | NACRE_FXF_CREAT, mode, &f.out);
    }
    if (f.rc == NACRE_OK) {
        (void)on_progress(p->a, from, 0, f.size);
        bool there = p->from == p->to && known && f.size > 0; /* 0: also files of /proc */
        if (there) {
            move_on_server(p, &f, from);
        }
        /* Not every server copies between two names of one file. */
        if (!there || f.rc == NACRE_UNSUPPORTED || (f.rc == NACRE_SFTP_STATUS && f.done == 0)) {
            f.rc = NACRE_OK;
            move_bytes(p, &f, from);
        }
        finish(p, &f, attrs);
    }
    if (f.rc != NACRE_OK) {
        tell(p, &f, from, to);
    } else if (known && f.done < attrs->size) {
        fail(p->a, "%s: ended after %" PRIu64 " of %" PRIu64 " bytes", shown(from), f.done,
             attrs->size);
        f.rc = NACRE_INCOMPLETE;
    }
    if (f.in && nacre_sftp_file_close(f.in) != NACRE_OK) {
        debug(p->a, "Closing %s failed; what was read counts", shown(from));
    }
    progress_end(p->a->bar, from, f.rc == NACRE_OK);
}

/* ---- on one server ---- */

static bool is_same_place(pump *p, const char *from, const char *to)
{
    char *a = NULL, *b = NULL;
    bool same = nacre_sftp_realpath(p->from, from, &a) == NACRE_OK &&
                nacre_sftp_realpath(p->to, to, &b) == NACRE_OK && strcmp(a, b) == 0;
    nacre_sftp_string_free(p->from, a);
    nacre_sftp_string_free(p->to, b);
    return same;
}

static void copy_on_server(pump *p, const char *from, const char *to, const nacre_sftp_attrs *attrs)
{
    nacre_sftp_transfer_options o;
    bool there = false;
    if (nacre_sftp_exists(p->to, to, &there) == NACRE_OK && there) {
        if (is_same_place(p, from, to)) {
            fail(p->a, "%s and %s are the same file", shown(from), shown(to));
        } else {
            copy_file(p, from, to, attrs); /* it may be the same under two names */
        }
        return;
    }
    nacre_sftp_transfer_options_init(&o);
    o.preserve = p->a->args.preserve;
    o.rate = p->a->args.rate;
    o.max_requests = p->a->args.requests;
    o.progress = on_progress;
    o.user = p->a;
    debug(p->a, "Copying %s to %s on the server", shown(from), shown(to));
    int rc = nacre_sftp_copy(p->from, from, to, &o);
    if (rc != NACRE_OK && !p->a->interrupted) {
        fail_sentence(p->a, nacre_sftp_error(p->from)->text); /* it can be about either path */
    }
    progress_end(p->a->bar, from, rc == NACRE_OK);
}

/* ---- a tree ---- */

static void copy_any(pump *p, const char *from, const char *to, const nacre_sftp_attrs *attrs,
                     const above *up, const char *real);

/* What leads back to a directory that is being copied has no end. */
static bool leads_back(const above *up, const char *real)
{
    for (; real && up; up = up->up) {
        if (up->real && strcmp(up->real, real) == 0) {
            return true;
        }
    }
    return false;
}

static void copy_entry(pump *p, const char *from, const char *to, const nacre_sftp_name *entry,
                       const above *up)
{
    nacre_sftp_attrs attrs = entry->attrs;
    char *real = NULL;
    bool link = !(attrs.flags & NACRE_SFTP_ATTR_PERMISSIONS) || has_type(&attrs, S_IFLNK);
    if (link && nacre_sftp_stat(p->from, from, &attrs) != NACRE_OK) {
        fail_sftp(p->a, p->from, from);
        return;
    }
    if (link && has_type(&attrs, S_IFDIR)) {
        if (nacre_sftp_realpath(p->from, from, &real) == NACRE_OK && leads_back(up, real)) {
            fail(p->a, "%s: a link that leads back to a directory above it", shown(from));
        } else {
            copy_any(p, from, to, &attrs, up, real);
        }
        nacre_sftp_string_free(p->from, real);
        return;
    }
    char *below = up->real ? keep(name_in(up->real, (const char *)entry->name.p)) : NULL;
    copy_any(p, from, to, &attrs, up, below);
    free(below);
}

/* There afterwards, and ours to write into. */
static bool make_directory(pump *p, const char *to, uint32_t mode, bool *made)
{
    bool directory = false;
    *made = nacre_sftp_mkdir(p->to, to, mode | S_IWUSR | S_IXUSR) == NACRE_OK;
    if (*made) {
        return true;
    }
    nacre_error why = *nacre_sftp_error(p->to);
    if (nacre_sftp_isdir(p->to, to, &directory) == NACRE_OK && directory) {
        return true;
    }
    fail(p->a, "%s: %s", shown(to), why.text);
    return false;
}

static void finish_directory(pump *p, const char *to, const nacre_sftp_attrs *attrs, uint32_t mode,
                             bool made)
{
    nacre_sftp_attrs kept;
    memset(&kept, 0, sizeof(kept));
    if (p->a->args.preserve) {
        kept.flags = attrs->flags & (NACRE_SFTP_ATTR_PERMISSIONS | NACRE_SFTP_ATTR_ACMODTIME);
        kept.atime = attrs->atime;
        kept.mtime = attrs->mtime;
    } else if (made && (mode & (S_IWUSR | S_IXUSR)) != (S_IWUSR | S_IXUSR)) {
        kept.flags = NACRE_SFTP_ATTR_PERMISSIONS;
    }
    kept.permissions = mode;
    if (kept.flags && !p->a->interrupted && nacre_sftp_setstat(p->to, to, &kept) != NACRE_OK) {
        fail_sftp(p->a, p->to, to);
    }
}

static void copy_entries(pump *p, const char *from, const char *to, const nacre_sftp_list *list,
                         const above *here)
{
    for (size_t i = 0; i < list->count && !p->a->interrupted; i++) {
        const nacre_sftp_name *entry = &list->entries[i];
        if (!nacre_sftp_name_is_plain(entry->name)) {
            char name[512];
            (void)nacre_escape(name, sizeof(name), entry->name);
            fail(p->a, "%s: the server lists \"%s\", which is no name", shown(from), name);
            continue;
        }
        char *source = keep(name_in(from, (const char *)entry->name.p));
        char *target = keep(name_in(to, (const char *)entry->name.p));
        copy_entry(p, source, target, entry, here);
        free(source);
        free(target);
    }
}

static void copy_directory(pump *p, const char *from, const char *to, const nacre_sftp_attrs *attrs,
                           const above *here)
{
    nacre_sftp_list list;
    bool made;
    uint32_t mode = attrs->permissions & 01777;
    if (here->depth > DEPTH_MAX) {
        fail(p->a, "%s: more than %d directories deep", shown(from), (int)DEPTH_MAX);
        return;
    }
    /* Listed first: a directory that is copied into itself has no end otherwise. */
    if (nacre_sftp_listdir(p->from, from, &list) != NACRE_OK) {
        fail_sftp(p->a, p->from, from);
        return;
    }
    if (make_directory(p, to, mode, &made)) {
        copy_entries(p, from, to, &list, here);
        finish_directory(p, to, attrs, mode, made);
    }
    nacre_sftp_list_free(&list);
}

static void copy_any(pump *p, const char *from, const char *to, const nacre_sftp_attrs *attrs,
                     const above *up, const char *real)
{
    if (has_type(attrs, S_IFDIR)) {
        above here = {up, real, up ? up->depth + 1 : 1};
        copy_directory(p, from, to, attrs, &here);
    } else if (!has_type(attrs, S_IFREG) && (attrs->flags & NACRE_SFTP_ATTR_PERMISSIONS)) {
        skip(p, from, "not a regular file");
    } else if (p->from == p->to) {
        copy_on_server(p, from, to, attrs);
    } else {
        copy_file(p, from, to, attrs);
    }
}

void pump_copy(pump *p, const char *from, const char *to)
{
    nacre_sftp_attrs attrs;
    char *real = NULL;
    if (nacre_sftp_stat(p->from, from, &attrs) != NACRE_OK) {
        fail_sftp(p->a, p->from, from);
        return;
    }
    bool directory = has_type(&attrs, S_IFDIR);
    bool other = (attrs.flags & NACRE_SFTP_ATTR_PERMISSIONS) && !has_type(&attrs, S_IFREG);
    if (directory ? !p->a->args.recursive : other) {
        fail(p->a, "%s: not a regular file", shown(from));
        return;
    }
    if (!directory && name_of_directory(to)) {
        fail(p->a, "%s: Not a directory", shown(to));
        return;
    }
    if (directory && nacre_sftp_realpath(p->from, from, &real) != NACRE_OK) {
        real = NULL; /* then the depth alone bounds what links lead to */
    }
    copy_any(p, from, to, &attrs, NULL, real);
    nacre_sftp_string_free(p->from, real);
}
