/*
 * list.c - ls and df.
 */
#include "app.h"

#include "nacre/process.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

typedef struct ls_flags {
    bool one, lines, all, numeric, reverse, size, when, human, unsorted;
} ls_flags;

typedef struct entry {
    char *name; /* as it is shown, escaped; with the directory when several were named */
    char *longname;
    nacre_sftp_attrs attrs;
    size_t place; /* in the server's order */
} entry;

typedef struct listing {
    entry *at;
    size_t count;
} listing;

static const struct {
    char letter;
    size_t at;
} letters[] = {
    {'1', offsetof(ls_flags, one)},      {'l', offsetof(ls_flags, lines)},
    {'a', offsetof(ls_flags, all)},      {'n', offsetof(ls_flags, numeric)},
    {'r', offsetof(ls_flags, reverse)},  {'S', offsetof(ls_flags, size)},
    {'t', offsetof(ls_flags, when)},     {'h', offsetof(ls_flags, human)},
    {'f', offsetof(ls_flags, unsorted)},
};

static int parse_flags(const char *text, ls_flags *f)
{
    for (const char *p = text + 1; *p; p++) {
        size_t i = 0;
        while (i < sizeof(letters) / sizeof(letters[0]) && letters[i].letter != *p) {
            i++;
        }
        if (i == sizeof(letters) / sizeof(letters[0])) {
            return complain("ls: unknown option -%c", *p);
        }
        *((bool *)(void *)((char *)f + letters[i].at)) = true;
    }
    return 0;
}

/* ---- order -------------------------------------------------------------------------------------------- */

static const ls_flags *order; /* qsort takes no argument */

static int compare(const void *pa, const void *pb)
{
    const entry *a = pa;
    const entry *b = pb;
    int way = order->reverse ? -1 : 1;
    if (order->unsorted) {
        return a->place < b->place ? -1 : 1;
    }
    if (order->when && a->attrs.mtime != b->attrs.mtime) {
        return way * (a->attrs.mtime > b->attrs.mtime ? -1 : 1);
    }
    if (order->size && a->attrs.size != b->attrs.size) {
        return way * (a->attrs.size > b->attrs.size ? -1 : 1);
    }
    return way * strcmp(a->name, b->name);
}

/* ---- showing ------------------------------------------------------------------------------------------ */

/* Rounded to a tenth below 100, to a whole above; behind follows a unit, but bytes. */
static void human(char *out, size_t size, uint64_t n, const char *behind)
{
    static const char units[] = "BKMGTPE";
    size_t i = 0;
    uint64_t rest = 0;
    while (n >= 1024 && units[i + 1]) {
        rest = n % 1024;
        n /= 1024;
        i++;
    }
    uint64_t tenths = (rest * 10 + 512) / 1024;
    n += tenths / 10;
    tenths %= 10;
    if (i > 0 && n < 100) {
        snprintf(out, size, "%" PRIu64 ".%" PRIu64 "%c%s", n, tenths, units[i], behind);
    } else {
        snprintf(out, size, "%" PRIu64 "%c%s", n + (tenths >= 5), units[i], i > 0 ? behind : "");
    }
}

static void print_long(const entry *e, const ls_flags *f)
{
    if (*e->longname && !f->numeric && !f->human) {
        printf("%s\n", shown(e->longname));
        return;
    }
    char mode[11], when[32] = "", size[32];
    time_t mtime = (time_t)e->attrs.mtime;
    struct tm tm;
    double age = difftime(time(NULL), mtime);
    bool recent = age < 182 * 24 * 3600.0 && age >= 0;
    nacre_sftp_mode_text(e->attrs.permissions, mode);
    if (localtime_r(&mtime, &tm)) {
        if (recent) {
            strftime(when, sizeof(when), "%b %e %H:%M", &tm);
        } else {
            strftime(when, sizeof(when), "%b %e  %Y", &tm);
        }
    }
    if (f->human) {
        human(size, sizeof(size), e->attrs.size, "");
    } else {
        snprintf(size, sizeof(size), "%" PRIu64, e->attrs.size);
    }
    printf("%s    ? %-8u %-8u %8s %s %s\n", mode, e->attrs.uid, e->attrs.gid, size, when, e->name);
}

static void print_columns(const listing *l)
{
    size_t widest = 1;
    nacre_pty size;
    size_t width =
        nacre_tty_size(STDOUT_FILENO, &size) == NACRE_OK && size.columns > 0 ? size.columns : 80;
    for (size_t i = 0; i < l->count; i++) {
        size_t n = strlen(l->at[i].name);
        widest = n > widest ? n : widest;
    }
    size_t columns = width / (widest + 4) ? width / (widest + 4) : 1;
    size_t rows = (l->count + columns - 1) / columns;
    for (size_t row = 0; row < rows; row++) {
        for (size_t i = row; i < l->count; i += rows) {
            bool last = i + rows >= l->count;
            printf("%-*s", last ? 0 : (int)widest + 4, l->at[i].name);
        }
        putchar('\n');
    }
}

static void print_listing(listing *l, const ls_flags *f)
{
    order = f;
    if (l->count > 1) {
        qsort(l->at, l->count, sizeof(*l->at), compare);
    }
    if (!f->lines && !f->numeric && !f->one) {
        print_columns(l);
        return;
    }
    for (size_t i = 0; i < l->count; i++) {
        if (f->one && !f->lines && !f->numeric) {
            printf("%s\n", l->at[i].name);
        } else {
            print_long(&l->at[i], f);
        }
    }
}

/* ---- collecting --------------------------------------------------------------------------------------- */

static void add(listing *l, const char *name, const char *longname, const nacre_sftp_attrs *attrs)
{
    l->at = keep(realloc(l->at, (l->count + 1) * sizeof(*l->at)));
    entry *e = &l->at[l->count];
    e->name = keep(strdup(shown(name)));
    e->longname = keep(strdup(longname));
    e->attrs = *attrs;
    e->place = l->count++;
}

static void free_listing(listing *l)
{
    for (size_t i = 0; i < l->count; i++) {
        free(l->at[i].name);
        free(l->at[i].longname);
    }
    free(l->at);
}

/* The server's line for name, with what we call it instead. A line of another form stays as it is. */
static char *long_line(const nacre_sftp_name *e, const char *name, const char *full)
{
    char *line = keep(strndup((const char *)e->longname.p, e->longname.n));
    size_t n = strlen(line);
    size_t tail = strlen(name);
    if (n <= tail || line[n - tail - 1] != ' ' || strcmp(line + n - tail, name) != 0) {
        return line;
    }
    char *renamed = text_of("%.*s%s", (int)(n - tail), line, full);
    free(line);
    return renamed;
}

/* prefix: what stands before each name, or NULL. */
static int list_dir(app *a, const char *path, const char *prefix, const ls_flags *f)
{
    nacre_sftp_dir *d;
    nacre_sftp_name e;
    listing l = {0};
    int rc = nacre_sftp_opendir(a->s, path, &d);
    while (rc == NACRE_OK && !a->interrupted && (rc = nacre_sftp_readdir(d, &e)) == NACRE_OK) {
        const char *name = (const char *)e.name.p;
        if (*name == '.' && !f->all) {
            continue;
        }
        char *full = prefix ? joined(prefix, name) : keep(strdup(name));
        char *line = long_line(&e, name, full);
        add(&l, full, line, &e.attrs);
        free(full);
        free(line);
    }
    if (rc == NACRE_END || rc == NACRE_OK) {
        nacre_sftp_closedir(d);
        print_listing(&l, f);
        rc = 0;
    } else {
        rc = complain_sftp(a);
    }
    free_listing(&l);
    return rc;
}

static int not_listed(const app *a, const char *path)
{
    if (nacre_sftp_error(a->s)->status == NACRE_SFTP_STATUS &&
        nacre_sftp_status(a->s) == NACRE_FX_NO_SUCH_FILE) {
        return complain("Can't ls: \"%s\" not found", shown(path));
    }
    return complain_path(a, path, "Can't ls: remote stat \"%s\"", shown(path));
}

/* The files that a pattern stands for, as one listing; a single directory is opened. */
static int list_word(app *a, const word *w, const ls_flags *f)
{
    names found;
    listing l = {0};
    nacre_sftp_attrs attrs;
    int rc = remote_glob(a, w, &found);
    if (rc != 0) {
        return rc;
    }
    size_t strip = *w->text == '/' ? 0 : strlen(a->pwd) + (a->pwd[1] != '\0');
    if (found.count == 1 && remote_is_dir(a, found.at[0])) {
        rc = list_dir(a, found.at[0], w->magic ? found.at[0] + strip : w->text, f);
        names_free(&found);
        return rc;
    }
    for (size_t i = 0; i < found.count; i++) {
        if (nacre_sftp_lstat(a->s, found.at[i], &attrs) != NACRE_OK) {
            rc = not_listed(a, found.at[i]);
            continue;
        }
        char line[1200];
        const char *name = found.at[i] + strip;
        nacre_span span = {(const uint8_t *)name, strlen(name)};
        nacre_sftp_longname(line, sizeof(line), span, &attrs, 1, NULL, NULL, (uint64_t)time(NULL),
                            0);
        add(&l, name, line, &attrs);
    }
    print_listing(&l, f);
    free_listing(&l);
    names_free(&found);
    return rc;
}

int ls_command(app *a, const words *w)
{
    ls_flags f = {0};
    size_t i = 1;
    for (; i < w->count && w->at[i].text[0] == '-' && w->at[i].text[1]; i++) {
        if (strcmp(w->at[i].text, "--") == 0) {
            i++;
            break;
        }
        if (parse_flags(w->at[i].text, &f) != 0) {
            return -1;
        }
    }
    if (i == w->count) {
        return list_dir(a, a->pwd, NULL, &f);
    }
    int rc = 0;
    for (; i < w->count; i++) {
        rc |= list_word(a, &w->at[i], &f);
    }
    return rc;
}

/* ---- df ----------------------------------------------------------------------------------------------- */

/* Of all there is, what root alone may use included; rounded down. */
static unsigned percent(uint64_t used, uint64_t all)
{
    return all == 0 ? 0 : (unsigned)((double)used * 100.0 / (double)all);
}

static void print_space(const nacre_sftp_statvfs *v, bool human_sizes)
{
    uint64_t unit = v->frsize ? v->frsize : v->bsize;
    uint64_t used = v->blocks - (v->bfree < v->blocks ? v->bfree : v->blocks);
    uint64_t figures[4] = {v->blocks, used, v->bavail, v->bfree};
    char text[4][32];
    int width = human_sizes ? 8 : 12;
    for (size_t i = 0; i < 4; i++) {
        if (human_sizes) {
            human(text[i], sizeof(text[i]), figures[i] * unit, "B");
        } else {
            snprintf(text[i], sizeof(text[i]), "%" PRIu64,
                     (uint64_t)((double)figures[i] * ((double)unit / 1024.0)));
        }
    }
    printf("%*s %*s %*s %*s    %%Capacity\n", width, "Size", width, "Used", width, "Avail", width,
           "(root)");
    printf("%*s %*s %*s %*s         %3u%%\n", width, text[0], width, text[1], width, text[2], width,
           text[3], percent(used, v->blocks));
}

static void print_inodes(const nacre_sftp_statvfs *v)
{
    uint64_t used = v->files - (v->ffree < v->files ? v->ffree : v->files);
    printf("%11s %11s %11s %11s    %%Capacity\n", "Inodes", "Used", "Avail", "(root)");
    printf("%11" PRIu64 " %11" PRIu64 " %11" PRIu64 " %11" PRIu64 "         %3u%%\n", v->files,
           used, v->favail, v->ffree, percent(used, v->files));
}

int df_command(app *a, const words *w)
{
    bool inodes = false, human_sizes = false;
    nacre_sftp_statvfs v;
    size_t i = 1;
    for (; i < w->count && w->at[i].text[0] == '-'; i++) {
        const char *p = w->at[i].text + 1;
        inodes = inodes || strchr(p, 'i');
        human_sizes = human_sizes || strchr(p, 'h');
        if (p[strspn(p, "hi")] || !*p) {
            return complain("df: unknown option %s", shown(w->at[i].text));
        }
    }
    if (i + 1 < w->count) {
        return complain("usage: df [-hi] [path]");
    }
    char *path = i < w->count ? absolute(a, w->at[i].text) : keep(strdup(a->pwd));
    int rc = nacre_sftp_statvfs_path(a->s, path, &v) == NACRE_OK
                 ? 0
                 : complain_path(a, path, "remote statvfs \"%s\"", shown(path));
    free(path);
    if (rc != 0) {
        return rc;
    }
    if (inodes) {
        print_inodes(&v);
    } else {
        print_space(&v, human_sizes);
    }
    return 0;
}
