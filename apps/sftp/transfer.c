/*
 * transfer.c - get and put: all that one command names goes as one job, and what becomes of each file is told
 * as sftp(1) tells it.
 */
#include "app.h"

#include "../progress.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* One of the things that the command names. */
typedef struct top {
    char *from;  /* as the job knows it */
    char *label; /* as it was found: a directory has a slash behind it */
    char *to;
    bool told;
} top;

typedef struct transfer {
    app *a;
    const transfer_flags *flags;
    bool up;
    nacre_sftp_job *job;
    progress *bar;
    top *tops;
    size_t top_count;
    int rc;
} transfer;

/* ---- words -------------------------------------------------------------------------------------------- */

static top *top_of(const transfer *t, const char *from)
{
    for (size_t i = 0; i < t->top_count; i++) {
        if (!t->tops[i].told && strcmp(t->tops[i].from, from) == 0) {
            return &t->tops[i];
        }
    }
    return NULL;
}

static void announce(const transfer *t, const char *from, const char *to)
{
    const char *what = t->up ? (t->flags->resume ? "Resuming upload of" : "Uploading")
                             : (t->flags->resume ? "Resuming" : "Fetching");
    tell(t->a, "%s %s to %s\n", what, shown(from), shown(to));
}

/* A thing that the command names begins: its own line, once. */
static void begin_top(transfer *t, top *of)
{
    if (of && !of->told) {
        of->told = true;
        announce(t, of->label, of->to);
    }
}

static void tell_directory(const transfer *t, const top *of, const nacre_sftp_item *item)
{
    const char *from = of && t->up ? of->label : item->from;
    printf("%s %s\n", t->up ? "Entering" : "Retrieving", shown(from));
}

/* What the server refused, as sftp(1) words it where it has words for that; else the library's sentence. */
static void tell_failure(const transfer *t, const nacre_sftp_item *item)
{
    bool refused = item->status == NACRE_SFTP_STATUS && item->why;
    const char *reason = status_words(item->code);
    if (refused && strncmp(item->why, "open ", 5) == 0) {
        complain("%s open \"%s\": %s", t->up ? "dest" : "remote",
                 shown(t->up ? item->to : item->from), reason);
    } else if (refused && strncmp(item->why, "mkdir ", 6) == 0) {
        complain("remote mkdir \"%s\": %s", shown(item->to), reason);
    } else {
        complain("%s", item->why ? item->why : nacre_status_text(item->status));
    }
}

static void tell_failed_file(const transfer *t, const nacre_sftp_item *item)
{
    if (t->up) {
        complain("upload \"%s\" to \"%s\" failed", shown(item->from), shown(item->to));
    } else {
        complain("Download of file %s to %s failed", shown(item->from), shown(item->to));
    }
}

static void tell_skipped(const transfer *t, const nacre_sftp_item *item)
{
    if (t->a->silent) {
        return;
    }
    if (t->up) {
        char *name = last_name(item->from);
        complain("%s: not a regular file", shown(name));
        free(name);
    } else {
        complain("download \"%s\": not a regular file", shown(item->from));
    }
}

/* A get that went on where nothing was missing. */
static bool untouched(const transfer *t, const nacre_sftp_item *item)
{
    struct stat st;
    return t->flags->resume && !t->up && item->bytes == 0 && !item->directory &&
           lstat(item->to, &st) == 0 && S_ISREG(st.st_mode);
}

/* ---- the job tells ------------------------------------------------------------------------------------ */

static void on_started(transfer *t, top *of, const nacre_sftp_item *item)
{
    if (of || item->directory) {
        progress_clear(t->bar);
        begin_top(t, of);
        if (item->directory) {
            tell_directory(t, of, item);
        }
    }
}

static void on_over(transfer *t, top *of, const nacre_sftp_item *item)
{
    bool good = item->outcome == NACRE_SFTP_COPIED;
    if (!item->directory) {
        progress_end(t->bar, item->from, good);
        progress_end(t->bar, item->to, good);
    }
    /* What an interrupt ends needs no words, but for what it leaves behind. */
    bool ours = t->a->interrupted && item->status == NACRE_CANCELLED;
    bool left = ours && item->up && !item->directory;
    if (good && !untouched(t, item)) {
        return;
    }
    progress_clear(t->bar);
    begin_top(t, of);
    if (good) {
        if (!t->a->silent) {
            complain("File \"%s\" was not modified", shown(item->to));
        }
    } else if (item->outcome == NACRE_SFTP_SKIPPED) {
        tell_skipped(t, item);
    } else {
        t->rc = -1;
        if (!ours || left) {
            tell_failure(t, item);
        }
        if (!ours && !item->directory && t->flags->recursive) {
            tell_failed_file(t, item);
        }
    }
}

static void on_item(void *user, const nacre_sftp_item *item)
{
    transfer *t = user;
    top *of = top_of(t, item->from);
    if (item->outcome == NACRE_SFTP_STARTED) {
        on_started(t, of, item);
    } else {
        on_over(t, of, item);
    }
}

static bool on_progress(void *user, const char *path, uint64_t done, uint64_t total)
{
    transfer *t = user;
    progress_step(t->bar, path, done, total);
    return !t->a->interrupted;
}

/* ---- the job ------------------------------------------------------------------------------------------ */

static int begin(transfer *t)
{
    nacre_sftp_tree_options o;
    const app *a = t->a;
    nacre_sftp_tree_options_init(&o);
    o.transfer.preserve = t->flags->preserve;
    o.transfer.sync = t->flags->sync;
    o.transfer.resume = t->flags->resume;
    o.transfer.in_place = t->up; /* what is put onto itself stays whole */
    /* What comes stays, for the next attempt. */
    o.transfer.direct = t->flags->resume && !t->up && !t->flags->recursive;
    o.transfer.rate = a->rate;
    o.transfer.max_requests = a->requests;
    o.transfer.progress = on_progress;
    o.transfer.user = t;
    o.recursive = t->flags->recursive;
    o.links = NACRE_SFTP_LINKS_KEEP; /* the copy of a tree is the same tree */
    o.on_item = on_item;
    o.user = t;
    return nacre_sftp_job_new(&t->job, t->a->s, &o) == NACRE_OK ? 0 : complain_sftp(t->a);
}

/* The strings are taken over; attrs of what is fetched. */
static void add(transfer *t, char *from, char *label, char *to, const nacre_sftp_attrs *attrs)
{
    t->tops = keep(realloc(t->tops, (t->top_count + 1) * sizeof(*t->tops)));
    t->tops[t->top_count++] = (top){.from = from, .label = label, .to = to};
    int rc = t->up ? nacre_sftp_job_put(t->job, from, to)
                   : nacre_sftp_job_get_known(t->job, from, to, attrs);
    if (rc != NACRE_OK) {
        t->rc = complain("%s: %s", shown(label), nacre_status_text(rc));
    }
}

static void run(transfer *t)
{
    app *a = t->a;
    if (t->top_count == 0 || a->interrupted) {
        return;
    }
    t->bar = a->show_progress ? progress_start() : NULL;
    int rc = nacre_sftp_job_run(t->job, NULL);
    progress_stop(t->bar);
    t->bar = NULL;
    if (rc != NACRE_OK && rc != NACRE_SOME_FAILED && !a->interrupted && t->rc == 0) {
        complain_sftp(a);
    }
    if (rc != NACRE_OK) {
        t->rc = -1;
    }
}

static int finish(transfer *t)
{
    for (size_t i = 0; i < t->top_count; i++) {
        free(t->tops[i].from);
        free(t->tops[i].label);
        free(t->tops[i].to);
    }
    free(t->tops);
    nacre_sftp_job_free(t->job);
    return t->a->interrupted ? -1 : t->rc;
}

/* dir and the last part of path; what has no name of its own (".", "..", "/") becomes dir itself. */
static char *into(const char *dir, const char *path)
{
    char *name = last_name(path);
    bool none = strcmp(name, ".") == 0 || strcmp(name, "..") == 0 || *name == '/';
    char *out = none ? keep(strdup(*dir ? dir : ".")) : joined(dir, name);
    free(name);
    return out;
}

static char *without_slash(const char *path)
{
    size_t n = strlen(path);
    while (n > 1 && path[n - 1] == '/') {
        n--;
    }
    return keep(strndup(path, n));
}

/* ---- down --------------------------------------------------------------------------------------------- */

/* The name of a directory without steps back and links in it, as its contents are told. */
static char *real_path(app *a, const char *path)
{
    char *real = NULL;
    char *out = NULL;
    if (nacre_sftp_realpath(a->s, path, &real) == NACRE_OK) {
        out = keep(strdup(real));
    }
    nacre_sftp_string_free(a->s, real);
    return out ? out : without_slash(path);
}

static bool not_a_file(const nacre_sftp_attrs *attrs)
{
    return (attrs->flags & NACRE_SFTP_ATTR_PERMISSIONS) &&
           (attrs->permissions & NACRE_SFTP_S_IFMT) != NACRE_SFTP_S_IFREG;
}

/* What is written directly is for nobody's eyes who may not read the source. */
static void make_with_mode(const char *local, const nacre_sftp_attrs *attrs)
{
    bool known = attrs->flags & NACRE_SFTP_ATTR_PERMISSIONS;
    mode_t mode = (known ? attrs->permissions & 0777 : 0666) | S_IWUSR;
    int fd = open(local, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
    if (fd >= 0) {
        close(fd);
    }
}

static void get_match(transfer *t, const match *m, const char *to, bool into_dir)
{
    char *label = m->dir ? joined(m->path, "") : keep(strdup(m->path));
    char *local = !to ? into("", m->path) : into_dir ? into(to, m->path) : keep(strdup(to));
    if (m->dir ? !t->flags->recursive : not_a_file(&m->attrs)) {
        announce(t, label, local);
        t->rc = is_link(&m->attrs) /* one that leads nowhere */
                    ? complain("stat remote: %s", status_words(NACRE_FX_NO_SUCH_FILE))
                    : complain("download %s: not a regular file", shown(label));
        free(label);
        free(local);
        return;
    }
    if (!m->dir && t->flags->resume && !t->flags->recursive) {
        make_with_mode(local, &m->attrs); /* when that fails, the job says why */
    }
    add(t, m->dir ? real_path(t->a, m->path) : keep(strdup(m->path)), label, local, &m->attrs);
}

int get_command(app *a, const transfer_flags *f, const word *from, const char *to)
{
    transfer t = {.a = a, .flags = f};
    matches found = {0};
    char *pattern = absolute_pattern(a, from->pattern);
    bool into_dir = to && local_is_dir(to);
    int rc = remote_matches(a, pattern, true, &found);
    if (rc == 0 && found.count == 0) {
        rc = complain("File \"%s\" not found.", shown(pattern));
    } else if (rc == 0 && found.count > 1 && to && !into_dir) {
        rc =
            complain("Multiple source paths, but destination \"%s\" is not a directory", shown(to));
    }
    if (rc == 0 && (rc = begin(&t)) == 0) {
        for (size_t i = 0; i < found.count && !a->interrupted; i++) {
            get_match(&t, &found.at[i], to, into_dir);
        }
        run(&t);
        rc = finish(&t);
    }
    rc = found.refused > 0 ? -1 : rc;
    matches_free(&found);
    free(pattern);
    return rc;
}

/* ---- up ----------------------------------------------------------------------------------------------- */

static void put_match(transfer *t, const match *m, const char *to, bool into_dir)
{
    struct stat st;
    if (stat(m->path, &st) != 0) {
        t->rc = complain("stat %s: %s", shown(m->path), strerror(errno));
        return;
    }
    char *path = without_slash(m->path);
    char *label = m->dir ? joined(path, "") : keep(strdup(path));
    char *remote = into_dir ? into(to, m->path) : keep(strdup(to));
    if (m->dir ? !t->flags->recursive : !S_ISREG(st.st_mode)) {
        announce(t, label, remote);
        t->rc = complain("local \"%s\" is not a regular file", shown(label));
        free(path);
        free(label);
        free(remote);
        return;
    }
    add(t, path, label, remote, NULL);
}

int put_command(app *a, const transfer_flags *f, const word *from, const char *to)
{
    transfer t = {.a = a, .flags = f, .up = true};
    matches found = {0};
    char *target = to ? absolute(a, to) : keep(strdup(a->pwd));
    int rc = local_matches(from, &found);
    bool into_dir = rc == 0 && (!to || remote_is_dir(a, target));
    if (rc == 0 && session_over(a)) {
        rc = complain_sftp(a);
    } else if (rc == 0 && found.count > 1 && !into_dir) {
        rc = complain("Multiple paths match, but destination \"%s\" is not a directory",
                      shown(target));
    }
    if (rc == 0 && (rc = begin(&t)) == 0) {
        for (size_t i = 0; i < found.count && !a->interrupted; i++) {
            put_match(&t, &found.at[i], target, into_dir);
        }
        run(&t);
        rc = finish(&t);
    }
    matches_free(&found);
    free(target);
    return rc;
}
