/*
 * sftp_job.c - the list of what is to be copied, and doing it: one task of the session that makes
 * whatever requests there is room for, until nothing is left or everything is given up.
 */
#include "client/sftp_job.h"

#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/resource.h>

enum {
    FILES = 64, /* at once */
    /* Far away a file is two round trips of waiting: more at once, when the server says that it may be. */
    FAR_FILES = 256,
    FAR_MS = 10,
    LISTS = 16,   /* remote directories open at once */
    RESERVED = 8, /* of the server's handles: the caller may have some open */
    DEPTH = 64
};

void nacre_sftp_tree_options_init(nacre_sftp_tree_options *o)
{
    memset(o, 0, sizeof(*o));
    o->size = sizeof(*o);
    nacre_sftp_transfer_options_init(&o->transfer);
}

/* ---- telling ------------------------------------------------------------------------------------------ */

void nc_job_tell(nacre_sftp_job *j, const nacre_sftp_item *item, bool link)
{
    char why[sizeof(j->first.text)];
    nacre_sftp_item told = *item;
    if (item->why) {
        /* Names in it may be the peer's; escaping what is escaped already changes nothing. */
        nacre_escape(why, sizeof(why), nc_span_cstr(item->why));
        told.why = why;
    }
    if (told.outcome == NACRE_SFTP_FAILED && j->first.status == NACRE_OK) {
        nc_fail(&j->first, told.status, "%s", told.why);
        j->first.detail = told.code;
        j->first_code = told.code;
    }
    if (told.outcome != NACRE_SFTP_STARTED) {
        nc_report_add(&j->report, &told, link);
    }
    if (told.outcome == NACRE_SFTP_FAILED && j->o.stop_on_error) {
        j->stop = true;
        nc_job_kick(j);
    }
    if (j->o.on_item) {
        j->o.on_item(j->o.user, &told);
    }
}

void nc_job_end(nacre_sftp_job *j, int status, const char *text)
{
    nc_fail(&j->end, status, "%s", text);
    j->stop = true;
    nc_job_kick(j);
}

void nc_job_no_memory(nacre_sftp_job *j)
{
    nc_job_end(j, NACRE_NO_MEMORY, "no memory for a tree");
}

/* ---- the pump ----------------------------------------------------------------------------------------- */

static void drop_lists(nacre_sftp_job *j)
{
    while (j->to_open.first) {
        nc_job_get_unlist(j->to_open.first);
    }
    while (j->listing.first) {
        nc_job_get_unlist(j->listing.first);
    }
    while (j->to_read.first) {
        nc_job_put_unlist(j->to_read.first);
    }
}

/* What did not begin never does; what did is cleaned up. */
static void stop(nacre_sftp_job *j)
{
    static const nacre_error interrupted = {.status = NACRE_CANCELLED, .text = "interrupted"};
    if (j->stopping) {
        return;
    }
    j->stopping = true;
    nc_job_asks_fail(j, NACRE_CANCELLED, false);
    nc_job_items_stop(j, j->end.status != NACRE_OK ? &j->end : &interrupted);
    drop_lists(j);
}

static void drop_into(nacre_sftp_job *j, size_t source)
{
    nc_job_dir *into = j->sources[source].into;
    if (into) {
        nc_job_dir_drop(into);
        j->sources[source].into = NULL;
    }
}

static void begin_source(nacre_sftp_job *j, nc_job_source *from)
{
    nc_job_dir *dir = from->into;
    nacre_span base = nc_span_cstr(from->to);
    nc_job_item *i =
        nc_job_item_new(j, dir, from->up, nc_strdup(j->alloc, from->up ? from->to : from->from),
                        dir ? nc_job_join(j, dir->local, base)
                            : nc_strdup(j->alloc, from->up ? from->from : from->to),
                        dir ? nc_strdup(j->alloc, from->to) : NULL);
    if (!i) {
        nc_job_no_memory(j);
        return;
    }
    i->flat = i->exists = from->flat;
    i->attrs = from->attrs;
    if (from->up) {
        nc_job_put_source(i);
        return;
    }
    if (dir && nc_job_seen_add(j, &dir->seen, base) == NACRE_EXISTS) {
        nacre_error why = {.status = NACRE_OK};
        nc_fail(&why, NACRE_EXISTS, "%s: something else becomes %s already", i->remote, i->local);
        nc_job_item_failed(i, &why, 0);
        return;
    }
    nc_job_get_source(i);
}

static void begin_sources(nacre_sftp_job *j)
{
    while (!j->stop && j->source_next < j->source_count && j->items < NC_JOB_ITEMS &&
           j->dirs < NC_JOB_DIRS) {
        begin_source(j, &j->sources[j->source_next]);
        drop_into(j, j->source_next++);
    }
    while (j->stop && j->source_next < j->source_count) {
        drop_into(j, j->source_next++);
    }
}

static void work(nacre_sftp_job *j)
{
    do {
        if (j->stop) {
            stop(j);
        }
        nc_job_asks_answer(j);
        begin_sources(j);
        nc_job_get_lists(j);
        nc_job_put_lists(j);
        if (!j->stop) {
            nc_job_items_start(j);
        }
        nc_job_asks_send(j);
    } while (j->answered.first || (j->stop && !j->stopping));
}

static void pump(nc_sftp_task *t)
{
    work((nacre_sftp_job *)t);
}

/* Behind the others, so that what ends in this round makes room in this round. */
void nc_job_kick(nacre_sftp_job *j)
{
    if (j->task.on) {
        nc_sftp_task_stop(j->s, &j->task);
        nc_sftp_task_start(j->s, &j->task, pump);
    }
}

static bool is_over(void *user)
{
    const nacre_sftp_job *j = user;
    return j->source_next == j->source_count && j->items == 0 && j->dirs == 0 &&
           !j->waiting.first && !j->out.first && !j->answered.first;
}

/* ---- the list ----------------------------------------------------------------------------------------- */

int nacre_sftp_job_new(nacre_sftp_job **out, nacre_sftp *s, const nacre_sftp_tree_options *o)
{
    nacre_sftp_job *j = nc_zalloc(s->alloc, sizeof(*j));
    *out = NULL;
    if (!j) {
        return nc_sftp_fail(s, NACRE_NO_MEMORY, "no memory for a job");
    }
    j->s = s;
    j->alloc = s->alloc;
    nacre_sftp_tree_options_init(&j->o);
    if (o) {
        j->o = *o;
    }
    j->o.max_depth = j->o.max_depth ? j->o.max_depth : DEPTH;
    j->o.max_depth = j->o.max_depth < NC_JOB_DEPTH_MAX ? j->o.max_depth : NC_JOB_DEPTH_MAX;
    nc_report_init(&j->report, j->alloc);
    if (getrandom(&j->seed, sizeof(j->seed), 0) != (ssize_t)sizeof(j->seed)) {
        nc_free(j->alloc, j);
        return nc_sftp_fail(s, NACRE_RANDOM, "no randomness for a job");
    }
    *out = j;
    return NACRE_OK;
}

/* Without the slashes at the end, of which "/" keeps its own. */
static char *trimmed(nacre_sftp_job *j, const char *path)
{
    size_t n = strlen(path);
    while (n > 1 && path[n - 1] == '/') {
        n--;
    }
    return nc_strndup(j->alloc, nc_span(path, n));
}

static int add(nacre_sftp_job *j, const nc_job_source *source)
{
    nacre_sftp *s = j->s;
    if (j->ran) {
        return nc_sftp_fail(s, NACRE_WRONG_STATE, "the job has run already");
    }
    if (!*source->from || !*source->to) {
        return nc_sftp_fail(s, NACRE_INVALID_ARGUMENT, "the path is empty");
    }
    if (j->source_count == j->source_room) {
        size_t room = j->source_room ? 2 * j->source_room : 16;
        nc_job_source *more = nc_resize(j->alloc, j->sources, room * sizeof(*more));
        if (!more) {
            return nc_sftp_fail(s, NACRE_NO_MEMORY, "no memory for a job");
        }
        j->sources = more;
        j->source_room = room;
    }
    nc_job_source *to = &j->sources[j->source_count];
    *to = *source;
    to->from = trimmed(j, source->from);
    to->to = trimmed(j, source->to);
    if (!to->from || !to->to) {
        nc_free(j->alloc, to->from);
        nc_free(j->alloc, to->to);
        return nc_sftp_fail(s, NACRE_NO_MEMORY, "no memory for a job");
    }
    if (to->into) {
        to->into->pending++;
    }
    j->source_count++;
    return NACRE_OK;
}

static int add_paths(nacre_sftp_job *j, bool up, bool flat, nc_job_dir *into, const char *from,
                     const char *to)
{
    nc_job_source source = {.up = up,
                            .flat = flat,
                            .into = into,
                            .from = (char *)(uintptr_t)from,
                            .to = (char *)(uintptr_t)to};
    return add(j, &source);
}

int nacre_sftp_job_get(nacre_sftp_job *j, const char *remote, const char *local)
{
    return add_paths(j, false, false, NULL, remote, local);
}

int nacre_sftp_job_get_known(nacre_sftp_job *j, const char *remote, const char *local,
                             const nacre_sftp_attrs *attrs)
{
    int rc = nacre_sftp_job_get(j, remote, local);
    if (rc == NACRE_OK && attrs) {
        nacre_sftp_attrs *known = &j->sources[j->source_count - 1].attrs;
        *known = *attrs;
        known->flags &= ~NACRE_SFTP_ATTR_EXTENDED;
        known->extended_count = 0;
        known->extended = nc_span(NULL, 0);
    }
    return rc;
}

int nacre_sftp_job_put(nacre_sftp_job *j, const char *local, const char *remote)
{
    return add_paths(j, true, false, NULL, local, remote);
}

int nc_job_flat(nacre_sftp_job *j, bool up, const char *from, const char *to)
{
    j->o.recursive = true; /* the directory itself may be one; those in it are left out */
    return add_paths(j, up, true, NULL, from, to);
}

int nc_job_get_into(nacre_sftp_job *j, const char *remote, nc_job_dir *into, const char *name)
{
    return add_paths(j, false, false, into, remote, name);
}

nc_job_dir *nc_job_into(nacre_sftp_job *j, const char *local_dir)
{
    nc_job_dir *d =
        nc_job_dir_new(j, NULL, nc_strdup(j->alloc, ""), nc_strdup(j->alloc, local_dir), NULL);
    if (d) {
        d->silent = d->exists = true;
    }
    return d;
}

/* ---- running ------------------------------------------------------------------------------------------ */

/* Each file at once holds a descriptor here; half of those that we may have stay free for others. */
static uint32_t files_at_once(const nacre_sftp_job *j, const nacre_sftp_limits *limits)
{
    struct rlimit own;
    bool far = j->s->depth.round_trip_ms != UINT64_MAX && j->s->depth.round_trip_ms >= FAR_MS;
    uint32_t most = far && limits->max_handles > FAR_FILES ? FAR_FILES : FILES;
    if (getrlimit(RLIMIT_NOFILE, &own) == 0 && own.rlim_cur / 2 < most) {
        most = own.rlim_cur > 2 ? (uint32_t)(own.rlim_cur / 2) : 1;
    }
    return most;
}

static void set_bounds(nacre_sftp_job *j)
{
    nacre_sftp_limits limits;
    nacre_sftp_get_limits(j->s, &limits);
    j->handles = SIZE_MAX;
    j->files_most = j->o.files_at_once ? j->o.files_at_once : files_at_once(j, &limits);
    j->lists_most = LISTS;
    if (limits.max_handles > 0 && limits.max_handles < SIZE_MAX) {
        j->handles = (size_t)limits.max_handles;
        j->handles = j->handles > 2 * RESERVED ? j->handles - RESERVED : (j->handles + 1) / 2;
        size_t quarter = j->handles / 4;
        j->lists_most = quarter < LISTS ? quarter : LISTS;
    }
    j->lists_most = j->lists_most ? j->lists_most : 1;
}

/* Cleaning up may wait for the server, but only as long as it answers. */
static void give_up(nacre_sftp_job *j)
{
    nacre_sftp *s = j->s;
    nc_fail(&j->end, s->error.status, "%s", s->error.text);
    j->end.by = s->error.by;
    j->end.detail = s->error.detail;
    bool patient = s->broken.status == NACRE_OK && j->end.status != NACRE_TIMEOUT;
    j->stop = true;
    work(j);
    if (patient && nc_sftp_drive(s, is_over, j, false) == NACRE_OK) {
        return;
    }
    while (!is_over(j)) {
        nc_job_items_stop(j, NULL);
        if (s->broken.status == NACRE_OK) {
            nc_job_asks_send(j); /* CLOSE: what comes of it is not waited for */
        }
        nc_job_asks_fail(j, NACRE_CANCELLED, true);
        nc_job_asks_answer(j);
    }
}

static int result(nacre_sftp_job *j)
{
    nacre_sftp *s = j->s;
    if (j->end.status != NACRE_OK) {
        s->error = j->end;
        nc_sftp_tidy(s);
        return j->end.status;
    }
    nc_error_clear(&s->error);
    if (j->report.failed == 0) {
        return NACRE_OK;
    }
    s->error = j->first;
    s->status = j->first_code;
    return NACRE_SOME_FAILED;
}

int nacre_sftp_job_run(nacre_sftp_job *j, nacre_sftp_report *report)
{
    nacre_sftp *s = j->s;
    if (report) {
        memset(report, 0, sizeof(*report));
        report->allocator = j->alloc;
    }
    int rc = nc_sftp_begin(s);
    if (rc == NACRE_OK && j->ran) {
        rc = nc_sftp_fail(s, NACRE_WRONG_STATE, "the job has run already");
    }
    if (rc != NACRE_OK) {
        return rc;
    }
    j->ran = true;
    set_bounds(j);
    nc_sftp_task_start(s, &j->task, pump);
    if (nc_sftp_drive(s, is_over, j, j->o.transfer.rate != 0) != NACRE_OK) {
        give_up(j);
    }
    nc_sftp_task_stop(s, &j->task);
    nc_sftp_push(s); /* the last CLOSEs, which nobody waits for */
    rc = result(j);
    if (report) {
        *report = j->report;
        nc_report_init(&j->report, j->alloc);
    }
    return rc;
}

void nacre_sftp_job_free(nacre_sftp_job *j)
{
    if (!j) {
        return;
    }
    for (size_t i = 0; i < j->source_count; i++) {
        nc_free(j->alloc, j->sources[i].from);
        nc_free(j->alloc, j->sources[i].to);
    }
    while (j->others.first) { /* of a job that never ran */
        nc_job_dir_free(j->others.first);
    }
    nc_free(j->alloc, j->sources);
    nc_free(j->alloc, j->targets.slots);
    nacre_sftp_report_free(&j->report);
    nc_free(j->alloc, j);
}
