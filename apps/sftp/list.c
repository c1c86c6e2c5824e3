/*
 * list.c - ls.
 */
#include "app.h"

#include "../text_width.h"
#include "nacre/process.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

typedef struct ls_flags {
    bool one, lines, numeric, scaled, all, reverse;
    char sort; /* 'n'ame, 'S'ize, 't'ime, 'f': as they come */
} ls_flags;

typedef struct entry {
    char *name;     /* what it is called in this listing, raw */
    char *longname; /* the server's own line for it, or NULL */
    nacre_sftp_attrs attrs;
} entry;

typedef struct listing {
    entry *at;
    size_t count;
} listing;

/* In the order in which they were given: the last one about something counts. */
static ls_flags read_flags(const call *c)
{
    ls_flags f = {.sort = 'n'};
    for (const char *p = c->given; *p; p++) {
        switch (*p) {
        case '1':
            f.lines = f.numeric = f.scaled = false;
            f.one = true;
            break;
        case 'l':
        case 'n':
            f.lines = true;
            f.numeric = f.numeric || *p == 'n';
            f.one = false;
            break;
        case 'h':
            f.scaled = true;
            break;
        case 'a':
            f.all = true;
            break;
        case 'r':
            f.reverse = true;
            break;
        default:
            f.sort = *p;
            break;
        }
    }
    return f;
}

static void add(listing *l, const char *name, char *longname, const nacre_sftp_attrs *attrs)
{
    l->at = keep(realloc(l->at, (l->count + 1) * sizeof(*l->at)));
    entry *e = &l->at[l->count++];
    e->name = keep(strdup(name));
    e->longname = longname;
    e->attrs = *attrs;
}

static void free_listing(listing *l)
{
    for (size_t i = 0; i < l->count; i++) {
        free(l->at[i].name);
        free(l->at[i].longname);
    }
    free(l->at);
}

/* ---- order -------------------------------------------------------------------------------------------- */

static int by_flags(const void *pa, const void *pb, void *arg)
{
    const entry *a = pa;
    const entry *b = pb;
    const ls_flags *f = arg;
    int way = f->reverse ? -1 : 1;
    if (f->sort == 't' && a->attrs.mtime != b->attrs.mtime) {
        return way * (a->attrs.mtime > b->attrs.mtime ? -1 : 1);
    }
    if (f->sort == 'S' && a->attrs.size != b->attrs.size) {
        return way * (a->attrs.size > b->attrs.size ? -1 : 1);
    }
    int order = strcmp(a->name, b->name);
    return order == 0 ? 0 : order < 0 ? -way : way;
}

/* ---- showing ------------------------------------------------------------------------------------------ */

unsigned terminal_columns(void)
{
    nacre_pty size;
    bool known = nacre_tty_size(STDIN_FILENO, &size) == NACRE_OK ||
                 nacre_tty_size(STDOUT_FILENO, &size) == NACRE_OK;
    return known && size.columns > 0 ? size.columns : 80;
}

void print_padded(const char *text, size_t width)
{
    size_t used = text_columns(text);
    printf("%s%*s", text, used < width ? (int)(width - used) : 0, "");
}

/* Side by side, each line full before the next, as sftp(1) fills them. more: room that names are to leave. */
static void print_columns(const listing *l, size_t more)
{
    size_t widest = 0;
    size_t width = terminal_columns();
    for (size_t i = 0; i < l->count; i++) {
        size_t n = text_columns(shown(l->at[i].name));
        widest = n > widest ? n : widest;
    }
    size_t columns = width / (widest + more + 2);
    columns = columns > 0 ? columns : 1;
    for (size_t i = 0; i < l->count; i++) {
        print_padded(shown(l->at[i].name), width / columns);
        if ((i + 1) % columns == 0 || i + 1 == l->count) {
            putchar('\n');
        }
    }
}

static void time_text(uint32_t seconds, char *out, size_t size)
{
    time_t then = (time_t)seconds;
    time_t now = time(NULL);
    struct tm tm;
    bool recent = now - 365 * 24 * 60 * 60 / 2 < then && now >= then;
    *out = '\0';
    if (localtime_r(&then, &tm)) {
        if (recent) {
            strftime(out, size, "%b %e %H:%M", &tm);
        } else {
            strftime(out, size, "%b %e  %Y", &tm);
        }
    }
}

/* A name where there is one, else the number. */
static char *owner_text(const char *name, uint32_t id, bool numeric)
{
    return name && !numeric ? text_of("%s", shown(name)) : text_of("%u", id);
}

static void print_line(const entry *e, const ls_flags *f)
{
    char mode[11], when[32];
    const nacre_sftp_attrs *at = &e->attrs;
    char *user = owner_text(owner_name(at->uid), at->uid, f->numeric);
    char *group = owner_text(group_name(at->gid), at->gid, f->numeric);
    char *size = f->scaled ? scaled(at->size) : text_of("%" PRIu64, at->size);
    nacre_sftp_mode_text(at->permissions, mode);
    time_text(at->mtime, when, sizeof(when));
    printf("%s    ? ", mode);
    print_padded(user, 8);
    putchar(' ');
    print_padded(group, 8);
    printf(" %8s %s %s\n", size, when, shown(e->name));
    free(user);
    free(group);
    free(size);
}

static void print_lines(app *a, const listing *l, const ls_flags *f)
{
    if (!f->numeric && l->count > 0) {
        const nacre_sftp_attrs **attrs = keep(calloc(l->count, sizeof(const nacre_sftp_attrs *)));
        for (size_t i = 0; i < l->count; i++) {
            attrs[i] = &l->at[i].attrs;
        }
        owners_ask(a, attrs, l->count);
        free(attrs);
    }
    for (size_t i = 0; i < l->count && !a->interrupted; i++) {
        if (l->at[i].longname) {
            printf("%s\n", shown(l->at[i].longname));
        } else {
            print_line(&l->at[i], f);
        }
    }
}

static void print_listing(app *a, listing *l, const ls_flags *f, size_t more)
{
    if (l->count > 1 && f->sort != 'f') {
        qsort_r(l->at, l->count, sizeof(*l->at), by_flags, (void *)(uintptr_t)f);
    }
    if (f->lines) {
        print_lines(a, l, f);
    } else if (!f->one) {
        print_columns(l, more);
    } else {
        for (size_t i = 0; i < l->count; i++) {
            printf("%s\n", shown(l->at[i].name));
        }
    }
}

/* ---- collecting --------------------------------------------------------------------------------------- */

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

/* One entry of the directory that is called prefix here. */
static int add_entry(app *a, listing *l, const char *path, const char *prefix,
                     const nacre_sftp_name *e, const ls_flags *f)
{
    const char *name = (const char *)e->name.p;
    bool itself = strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
    if (!itself && !nacre_sftp_name_is_plain(e->name)) {
        return complain("Server sent suspect path \"%s\" during readdir of \"%s\"", shown(name),
                        shown(path));
    }
    if (*name == '.' && !f->all) {
        return 0;
    }
    /* Its own line only where nothing better can be made of the attributes. */
    bool verbatim = f->lines && !f->numeric && !f->scaled && e->longname.n > 0 &&
                    !nacre_sftp_has(a->s, NACRE_SFTP_EXT_USERS_GROUPS);
    char *full = joined(prefix, name);
    add(l, full, verbatim ? long_line(e, name, full) : NULL, &e->attrs);
    free(full);
    return 0;
}

/* prefix: what stands before each name, "" for nothing. */
static int list_dir(app *a, const char *path, const char *prefix, const ls_flags *f)
{
    nacre_sftp_dir *d;
    nacre_sftp_name e;
    listing l = {0};
    int told = 0;
    if (nacre_sftp_opendir(a->s, path, &d) != NACRE_OK) {
        return complain_about(a, "remote readdir(\"%s\")", shown(path));
    }
    int rc = NACRE_OK;
    while (!a->interrupted && (rc = nacre_sftp_readdir(d, &e)) == NACRE_OK) {
        told |= add_entry(a, &l, path, prefix, &e, f);
    }
    if (rc != NACRE_END && !a->interrupted) {
        told = complain_about(a, "Couldn't read directory");
    } else if (!a->interrupted) {
        print_listing(a, &l, f, text_columns(shown(prefix)));
    }
    nacre_sftp_closedir(d);
    free_listing(&l);
    return told;
}

/* What an absolute path is called here: as it was typed, when that was a relative one. */
static const char *stripped(const app *a, const word *w, const char *path)
{
    size_t n = strlen(a->pwd);
    if (*w->text == '/' || strncmp(path, a->pwd, n) != 0) {
        return path;
    }
    return path + n + (a->pwd[n - 1] != '/' && path[n] == '/');
}

/* All that a word stands for, braces written out. */
static int find_word(app *a, const word *w, matches *found)
{
    char *pattern = absolute_pattern(a, w->pattern);
    char **patterns = w->braces ? words_braces(pattern) : NULL;
    int rc = 0;
    if (patterns) {
        for (size_t i = 0; patterns[i]; i++) {
            rc = rc == 0 ? remote_matches(a, patterns[i], true, found) : rc;
            free(patterns[i]);
        }
        free(patterns);
    } else {
        rc = remote_matches(a, pattern, true, found);
    }
    if (rc == 0 && found->count == 0) {
        char *path = absolute(a, w->text);
        rc = complain("Can't ls: \"%s\" not found", shown(path));
        free(path);
    }
    free(pattern);
    return rc;
}

/* The files that a pattern stands for, as one listing; a single directory is opened. */
static int list_word(app *a, const word *w, const ls_flags *f)
{
    matches found = {0};
    listing l = {0};
    int rc = find_word(a, w, &found);
    if (rc == 0 && found.count == 1 && found.at[0].dir) {
        char *path = joined(found.at[0].path, "");
        rc = list_dir(a, path, stripped(a, w, path), f);
        free(path);
    } else if (rc == 0) {
        for (size_t i = 0; i < found.count; i++) {
            const char *name = stripped(a, w, found.at[i].path);
            char *marked = found.at[i].dir ? joined(name, "") : keep(strdup(name));
            add(&l, marked, NULL, &found.at[i].attrs);
            free(marked);
        }
        print_listing(a, &l, f, 0);
    }
    rc = found.refused > 0 ? -1 : rc;
    free_listing(&l);
    matches_free(&found);
    return rc;
}

int ls_command(app *a, const call *c)
{
    ls_flags f = read_flags(c);
    if (c->count == 0) {
        return list_dir(a, a->pwd, "", &f);
    }
    int rc = 0;
    for (size_t i = 0; i < c->count && !a->interrupted; i++) {
        rc |= list_word(a, &c->at[i], &f);
    }
    return rc;
}
