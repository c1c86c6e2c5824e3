/*
 * sftp_job_dir.c - the directories of a job: who waits for whom, and the local descriptors below which
 * everything is opened. A descriptor that nothing uses may be closed; it is opened again step by step
 * from what the caller named, and must then be what it was.
 */
#include "client/sftp_job.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

/* ---- lists -------------------------------------------------------------------------------------------- */

void nc_job_dir_list(nc_job_dirs *list, nc_job_dir *d)
{
    if (d->in) {
        if (d->prev) {
            d->prev->next = d->next;
        } else {
            d->in->first = d->next;
        }
        if (d->next) {
            d->next->prev = d->prev;
        }
    }
    d->prev = d->next = NULL;
    d->in = list;
    if (list) {
        d->next = list->first;
        if (d->next) {
            d->next->prev = d;
        }
        list->first = d;
    }
}

nc_job_dir *nc_job_dir_deepest(const nc_job_dirs *list)
{
    nc_job_dir *best = list->first;
    for (nc_job_dir *d = best; d; d = d->next) {
        if (d->depth > best->depth || (d->depth == best->depth && d->stream && !best->stream)) {
            best = d;
        }
    }
    return best;
}

bool nc_job_dir_room(const nc_job_dir *d)
{
    return d->j->dirs < NC_JOB_DIRS + (size_t)NC_JOB_DEEPER * (d->depth + 1);
}

/* ---- names that came already -------------------------------------------------------------------------- */

enum { SEEN_FIRST = 64, SEEN_MOST = 16 * 1024 * 1024 };

/* 64 bits, with a seed that no server knows: no two names are taken for the same in practice. */
static uint64_t hash_name(uint64_t seed, nacre_span name)
{
    uint64_t h = seed;
    for (size_t i = 0; i < name.n; i++) {
        h = (h ^ name.p[i]) * UINT64_C(0x100000001b3);
        h ^= h >> 29;
    }
    h = (h ^ (h >> 32)) * UINT64_C(0x9e3779b97f4a7c15);
    return h ? h : 1;
}

static bool insert(nc_job_seen *seen, uint64_t h)
{
    for (size_t i = (size_t)h & (seen->room - 1);; i = (i + 1) & (seen->room - 1)) {
        if (seen->slots[i] == h) {
            return false;
        }
        if (!seen->slots[i]) {
            seen->slots[i] = h;
            seen->count++;
            return true;
        }
    }
}

int nc_job_seen_add(nacre_sftp_job *j, nc_job_seen *seen, nacre_span name)
{
    if (seen->count >= SEEN_MOST) {
        return NACRE_LIMIT;
    }
    if (seen->count * 2 >= seen->room) {
        nc_job_seen more = {.room = seen->room ? 2 * seen->room : SEEN_FIRST};
        more.slots = nc_zalloc(j->alloc, more.room * sizeof(*more.slots));
        if (!more.slots) {
            return NACRE_NO_MEMORY;
        }
        for (size_t i = 0; i < seen->room; i++) {
            if (seen->slots[i]) {
                insert(&more, seen->slots[i]);
            }
        }
        nc_free(j->alloc, seen->slots);
        *seen = more;
    }
    return insert(seen, hash_name(j->seed, name)) ? NACRE_OK : NACRE_EXISTS;
}

/* ---- life --------------------------------------------------------------------------------------------- */

nc_job_dir *nc_job_dir_new(nacre_sftp_job *j, nc_job_dir *parent, char *remote, char *local,
                           char *name)
{
    nc_job_dir *d = nc_zalloc(j->alloc, sizeof(*d));
    if (!d || !remote || !local) {
        nc_free(j->alloc, d);
        nc_free(j->alloc, remote);
        nc_free(j->alloc, local);
        nc_free(j->alloc, name);
        return NULL;
    }
    d->j = j;
    d->parent = parent;
    d->remote = remote;
    d->local = local;
    d->name = name;
    d->fd = -1;
    d->pending = 1;
    d->depth = parent ? parent->depth + 1 : 0;
    if (parent) {
        parent->pending++;
    }
    j->dirs++;
    nc_job_dir_list(&j->others, d);
    return d;
}

static void unidle(nc_job_dir *d)
{
    nacre_sftp_job *j = d->j;
    if (!d->idle) {
        return;
    }
    if (d->idle_prev) {
        d->idle_prev->idle_next = d->idle_next;
    } else {
        j->idle_first = d->idle_next;
    }
    if (d->idle_next) {
        d->idle_next->idle_prev = d->idle_prev;
    } else {
        j->idle_last = d->idle_prev;
    }
    d->idle_prev = d->idle_next = NULL;
    d->idle = false;
    j->idle_count--;
}

static void close_fd(nc_job_dir *d)
{
    unidle(d);
    if (d->fd >= 0) {
        close(d->fd);
        d->fd = -1;
    }
}

void nc_job_dir_free(nc_job_dir *d)
{
    const nacre_allocator *a = d->j->alloc;
    d->j->dirs--;
    nc_job_dir_list(NULL, d);
    if (d->stream) {
        closedir(d->stream);
    }
    close_fd(d);
    nc_job_ask_drop(&d->ask);
    for (int i = 0; d->reads && i < NC_JOB_AHEAD; i++) {
        nc_job_ask_drop(&d->reads[i]);
    }
    nc_free(a, d->reads);
    nc_free(a, d->seen.slots);
    nc_free(a, d->real);
    nc_free(a, d->remote);
    nc_free(a, d->local);
    nc_free(a, d->name);
    nc_free(a, d);
}

void nc_job_dir_drop(nc_job_dir *d)
{
    if (--d->pending > 0) {
        return;
    }
    nc_job_dir_list(&d->j->others, d);
    if (d->up) {
        nc_job_put_finish(d);
    } else {
        nc_job_get_finish(d);
    }
}

static nacre_sftp_item item_of(const nc_job_dir *d, nacre_sftp_outcome outcome)
{
    nacre_sftp_item item = {.outcome = outcome,
                            .up = d->up,
                            .directory = true,
                            .from = d->up ? d->local : d->remote,
                            .to = d->up ? d->remote : d->local};
    return item;
}

void nc_job_dir_over(nc_job_dir *d)
{
    nc_job_dir *parent = d->parent;
    if (d->begun && !d->silent && !d->failed) {
        bool cut = d->j->stopping;
        nacre_sftp_item item = item_of(d, cut ? NACRE_SFTP_FAILED : NACRE_SFTP_COPIED);
        item.status = cut ? NACRE_CANCELLED : NACRE_OK;
        item.why = cut ? "not all of it was copied when everything ended" : NULL;
        nc_job_tell(d->j, &item, false);
    }
    nc_job_kick(d->j);
    nc_job_dir_free(d);
    if (parent) {
        nc_job_dir_drop(parent);
    }
}

void nc_job_dir_begun(nc_job_dir *d)
{
    nacre_sftp_item item = item_of(d, NACRE_SFTP_STARTED);
    if (!d->begun && !d->silent) {
        nc_job_tell(d->j, &item, false);
    }
    d->begun = true;
}

/* One failure is told for each directory, the first. */
void nc_job_dir_failed(nc_job_dir *d, const nacre_error *why, uint32_t code)
{
    nacre_sftp_item item = item_of(d, NACRE_SFTP_FAILED);
    item.status = why->status;
    item.code = code;
    item.why = why->text;
    if (d->failed || d->j->stopping) {
        return; /* what begun and was given up is told in the end */
    }
    d->failed = true;
    nc_job_tell(d->j, &item, false);
}

/* ---- descriptors -------------------------------------------------------------------------------------- */

static int fail_open(const nc_job_dir *d, nacre_error *err)
{
    struct stat st;
    int code = errno;
    /* What stands in the way is told by what it is, not by how the system puts it. */
    if ((code == ELOOP || code == ENOTDIR) &&
        fstatat(d->parent && d->parent->fd >= 0 ? d->parent->fd : AT_FDCWD,
                d->parent ? d->name : d->local, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
        !S_ISDIR(st.st_mode)) {
        nc_fail(err, NACRE_IO, "local %s is %s, not a directory", d->local,
                S_ISLNK(st.st_mode) ? "a symbolic link" : "a file");
    } else {
        nc_fail(err, NACRE_IO, "open local directory %s: %s", d->local, strerror(code));
    }
    err->detail = (uint32_t)code;
    return -1;
}

static int open_fd(nc_job_dir *d, nacre_error *err)
{
    struct stat st;
    int flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK;
    int at = AT_FDCWD;
    if (d->parent) {
        at = nc_job_dir_hold(d->parent, err);
        if (at < 0) {
            return -1;
        }
        flags |= d->follows ? 0 : O_NOFOLLOW;
    }
    d->fd = openat(at, d->parent ? d->name : d->local, flags);
    int rc = d->fd >= 0 ? 0 : fail_open(d, err);
    if (d->parent) {
        nc_job_dir_release(d->parent);
    }
    if (rc == 0 && fstat(d->fd, &st) != 0) {
        rc = fail_open(d, err);
    } else if (rc == 0 && d->ino != 0 && (st.st_dev != d->dev || st.st_ino != d->ino)) {
        nc_fail(err, NACRE_IO, "local %s was replaced by another directory meanwhile", d->local);
        rc = -1;
    }
    if (rc != 0) {
        close_fd(d);
        return -1;
    }
    d->dev = st.st_dev;
    d->ino = st.st_ino;
    return 0;
}

int nc_job_dir_hold(nc_job_dir *d, nacre_error *err)
{
    if (d->fd < 0 && open_fd(d, err) != 0) {
        return -1;
    }
    unidle(d);
    d->users++;
    return d->fd;
}

void nc_job_dir_release(nc_job_dir *d)
{
    nacre_sftp_job *j = d->j;
    if (--d->users > 0) {
        return;
    }
    d->idle = true;
    d->idle_next = NULL;
    d->idle_prev = j->idle_last;
    if (j->idle_last) {
        j->idle_last->idle_next = d;
    } else {
        j->idle_first = d;
    }
    j->idle_last = d;
    if (++j->idle_count > NC_JOB_IDLE_FDS) {
        close_fd(j->idle_first);
    }
}
