/*
 * sftp_job_item.c - the files and links of a job: waiting, on their way by an xfer, and over.
 */
#include "client/sftp_job.h"
#include "client/sftp_xfer_state.h"

#include <string.h>

/* ---- life --------------------------------------------------------------------------------------------- */

static void set_list(nc_job_items *list, nc_job_item *i)
{
    if (i->in) {
        if (i->prev) {
            i->prev->next = i->next;
        } else {
            i->in->first = i->next;
        }
        if (i->next) {
            i->next->prev = i->prev;
        } else {
            i->in->last = i->prev;
        }
    }
    i->prev = i->next = NULL;
    i->in = list;
    if (list) {
        i->prev = list->last;
        if (list->last) {
            list->last->next = i;
        } else {
            list->first = i;
        }
        list->last = i;
    }
}

char *nc_job_join(nacre_sftp_job *j, const char *dir, nacre_span name)
{
    size_t n = strlen(dir);
    bool slash = n > 0 && dir[n - 1] != '/';
    char *out = nc_alloc(j->alloc, n + name.n + 2);
    if (out) {
        memcpy(out, dir, n);
        if (slash) {
            out[n++] = '/';
        }
        memcpy(out + n, name.p, name.n);
        out[n + name.n] = '\0';
    }
    return out;
}

nc_job_item *nc_job_item_new(nacre_sftp_job *j, nc_job_dir *dir, bool up, char *remote, char *local,
                             char *name)
{
    nc_job_item *i = nc_zalloc(j->alloc, sizeof(*i));
    if (!i || !remote || !local || (dir && !name)) {
        nc_free(j->alloc, i);
        nc_free(j->alloc, remote);
        nc_free(j->alloc, local);
        nc_free(j->alloc, name);
        return NULL;
    }
    i->j = j;
    i->dir = dir;
    i->up = up;
    i->remote = remote;
    i->local = local;
    i->name = name;
    if (dir) {
        dir->pending++;
    }
    j->items++;
    return i;
}

void nc_job_item_gone(nc_job_item *i)
{
    nacre_sftp_job *j = i->j;
    nc_job_dir *dir = i->dir;
    set_list(NULL, i);
    nc_job_ask_drop(&i->ask);
    if (i->held) {
        nc_job_dir_release(dir);
    }
    nc_free(j->alloc, i->remote);
    nc_free(j->alloc, i->local);
    nc_free(j->alloc, i->name);
    nc_free(j->alloc, i->target);
    nc_free(j->alloc, i);
    j->items--;
    nc_job_kick(j);
    if (dir) {
        nc_job_dir_drop(dir);
    }
}

/* ---- telling ------------------------------------------------------------------------------------------ */

static nacre_sftp_item item_of(const nc_job_item *i, nacre_sftp_outcome outcome)
{
    nacre_sftp_item item = {.outcome = outcome,
                            .up = i->up,
                            .from = i->up ? i->local : i->remote,
                            .to = i->up ? i->remote : i->local};
    return item;
}

void nc_job_item_begun(nc_job_item *i)
{
    nacre_sftp_item item = item_of(i, NACRE_SFTP_STARTED);
    if (!i->begun) {
        nc_job_tell(i->j, &item, i->link);
    }
    i->begun = true;
}

void nc_job_item_copied(nc_job_item *i, uint64_t bytes)
{
    nacre_sftp_item item = item_of(i, NACRE_SFTP_COPIED);
    item.bytes = bytes;
    nc_job_tell(i->j, &item, i->link);
    nc_job_item_gone(i);
}

void nc_job_item_skipped(nc_job_item *i, const char *why)
{
    nacre_sftp_item item = item_of(i, NACRE_SFTP_SKIPPED);
    item.why = why;
    nc_job_tell(i->j, &item, i->link);
    nc_job_item_gone(i);
}

static void tell_failed(nc_job_item *i, const nacre_error *why, uint32_t code, uint64_t bytes)
{
    nacre_sftp_item item = item_of(i, NACRE_SFTP_FAILED);
    item.bytes = bytes;
    item.status = why->status;
    item.code = code;
    item.why = why->text;
    nc_job_tell(i->j, &item, i->link);
}

void nc_job_item_failed(nc_job_item *i, const nacre_error *why, uint32_t code)
{
    /* What had not begun when everything was given up is not told. */
    if (!i->j->stopping || i->begun) {
        tell_failed(i, why, code, 0);
    }
    nc_job_item_gone(i);
}

void nc_job_item_refused(nc_job_item *i)
{
    nacre_error why = {.status = NACRE_OK};
    (void)nc_job_ask_judge(&i->ask, &why);
    nc_job_item_failed(i, &why, i->ask.op.code);
}

const char *nc_job_odd_kind(uint32_t permissions)
{
    switch (permissions & NACRE_SFTP_S_IFMT) {
    case NACRE_SFTP_S_IFSOCK:
        return "a socket";
    case NACRE_SFTP_S_IFBLK:
    case NACRE_SFTP_S_IFCHR:
        return "a device";
    case NACRE_SFTP_S_IFIFO:
        return "a named pipe";
    default:
        return NULL;
    }
}

/* ---- files -------------------------------------------------------------------------------------------- */

/* Two that write one remote file at once make a mixture, which nothing would tell. */
static int claim_target(nc_job_item *i)
{
    nacre_sftp_job *j = i->j;
    if (!i->up || j->source_count < 2) {
        return NACRE_OK;
    }
    int rc = nc_job_seen_add(j, &j->targets, nc_span_cstr(i->remote));
    return rc == NACRE_LIMIT ? NACRE_OK : rc;
}

void nc_job_item_queue(nc_job_item *i)
{
    nacre_error why = {.status = NACRE_OK};
    switch (claim_target(i)) {
    case NACRE_OK:
        set_list(&i->j->queue, i);
        return;
    case NACRE_EXISTS:
        nc_fail(&why, NACRE_EXISTS, "%s: something else becomes %s already", i->local, i->remote);
        nc_job_item_begun(i);
        nc_job_item_failed(i, &why, 0);
        return;
    default:
        nc_job_no_memory(i->j);
        nc_job_item_gone(i);
        return;
    }
}

static void over(void *user, nc_xfer *x)
{
    nc_job_item *i = user;
    nacre_sftp_job *j = i->j;
    nacre_error why = *nc_xfer_error(x);
    uint32_t code = nc_xfer_code(x);
    uint64_t bytes = nc_xfer_bytes(x);
    nc_xfer_free(x);
    i->x = NULL;
    j->started--;
    if (why.status == NACRE_CANCELLED && !j->stopping) {
        nc_job_end(j, NACRE_CANCELLED, why.text); /* the user's progress function said so */
    }
    if (why.status == NACRE_OK) {
        nc_job_item_copied(i, bytes);
        return;
    }
    tell_failed(i, &why, code, bytes);
    nc_job_item_gone(i);
}

static void start(nc_job_item *i)
{
    nacre_sftp_job *j = i->j;
    nacre_error err = {.status = NACRE_OK};
    nc_xfer_spec spec = {.up = i->up,
                         .remote = i->remote,
                         .local = i->local,
                         .dir = -1,
                         .name = i->name,
                         .attrs = !i->up && i->attrs.flags ? &i->attrs : NULL,
                         .o = &j->o.transfer,
                         .over = over,
                         .user = i};
    set_list(&j->running, i);
    nc_job_item_begun(i);
    /* A local link that is to be followed has no other name than its path. */
    if (i->dir && !(i->up && i->followed)) {
        spec.dir = nc_job_dir_hold(i->dir, &err);
        if (spec.dir < 0) {
            nc_job_item_failed(i, &err, 0);
            return;
        }
        i->held = true;
    }
    if (nc_xfer_start(&i->x, j->s, &spec) != NACRE_OK) {
        nc_fail(&err, NACRE_NO_MEMORY, "no memory for a transfer");
        nc_job_item_failed(i, &err, 0);
        return;
    }
    j->started++;
}

void nc_job_items_start(nacre_sftp_job *j)
{
    while (j->queue.first && j->started < j->files_most &&
           (j->started == 0 || j->started + j->lists < j->handles)) {
        start(j->queue.first);
    }
}

void nc_job_items_stop(nacre_sftp_job *j, const nacre_error *why)
{
    while (j->queue.first) {
        nc_job_item_gone(j->queue.first);
    }
    nc_job_item *next;
    for (nc_job_item *i = j->running.first; i; i = next) {
        next = i->next;
        if (why) {
            nc_xfer_stop(i->x, why);
        } else {
            nc_xfer_cancel(i->x); /* the second time: nothing is waited for */
        }
    }
}
