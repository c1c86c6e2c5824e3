/*
 * complete.c - the tab key: commands, remote and local paths, quoted as the rest of the word is. Listings of
 * remote directories are kept for some seconds, so that a few tabs in a row cost one question.
 */
#include "edit.h"

#include "../text_width.h"
#include "commands.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

enum {
    KEPT_MS = 5000,
    MAX_SHOWN = 2000, /* candidates: more help nobody */
    MAX_KEPT = 200000 /* entries of one directory */
};

typedef struct candidate {
    char *name; /* the last component, raw */
    bool dir;
} candidate;

typedef struct candidates {
    candidate *at;
    size_t count;
} candidates;

static struct {
    char *path;
    uint64_t when;
    candidates list;
} kept;

static void add(candidates *c, const char *name, size_t n, bool dir)
{
    c->at = keep(realloc(c->at, (c->count + 1) * sizeof(*c->at)));
    c->at[c->count].name = keep(strndup(name, n));
    c->at[c->count++].dir = dir;
}

static void clear(candidates *c)
{
    for (size_t i = 0; i < c->count; i++) {
        free(c->at[i].name);
    }
    free(c->at);
    memset(c, 0, sizeof(*c));
}

void complete_forget(void)
{
    free(kept.path);
    kept.path = NULL;
    clear(&kept.list);
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const candidate *)a)->name, ((const candidate *)b)->name);
}

/* ---- where candidates come from ----------------------------------------------------------------------- */

static void list_remote(app *a, const char *dir)
{
    nacre_sftp_dir *d;
    nacre_sftp_name e;
    a->busy = 1;
    if (nacre_sftp_opendir(a->s, dir, &d) == NACRE_OK) {
        while (!a->interrupted && kept.list.count < MAX_KEPT &&
               nacre_sftp_readdir(d, &e) == NACRE_OK) {
            if (!nacre_sftp_name_is_plain(e.name)) {
                continue;
            }
            bool leads_on = is_dir(&e.attrs);
            if (is_link(&e.attrs)) {
                char *path = joined(dir, (const char *)e.name.p);
                leads_on = remote_is_dir(a, path);
                free(path);
            }
            add(&kept.list, (const char *)e.name.p, e.name.n, leads_on);
        }
        nacre_sftp_closedir(d);
    }
    a->busy = 0;
}

static const candidates *remote_dir(app *a, const char *dir)
{
    char *path = *dir ? absolute(a, dir) : keep(strdup(a->pwd));
    uint64_t now = nacre_loop_now(NULL);
    if (!kept.path || strcmp(kept.path, path) != 0 || now - kept.when > KEPT_MS) {
        complete_forget();
        list_remote(a, path);
        kept.path = path;
        kept.when = now;
    } else {
        free(path);
    }
    return &kept.list;
}

static void local_dir(const char *dir, candidates *out)
{
    char *path = tilde(*dir ? dir : ".");
    DIR *d = opendir(path);
    struct dirent *e;
    while (d && (e = readdir(d))) {
        if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0) {
            char *full = joined(path, e->d_name);
            add(out, e->d_name, strlen(e->d_name), local_is_dir(full));
            free(full);
        }
    }
    if (d) {
        closedir(d);
    }
    free(path);
}

static void commands(const char *prefix, candidates *out)
{
    for (size_t i = 0; command_at(i); i++) {
        const char *name = command_at(i)->name;
        if (strncasecmp(name, prefix, strlen(prefix)) == 0) {
            add(out, name, strlen(name), false);
        }
    }
}

/* Those of a directory that match the beginning of a name; magic in it stays magic. */
static void take_matching(const candidates *all, const char *leaf, bool dirs_only, candidates *out)
{
    char *pattern = text_of("%s*", leaf);
    for (size_t i = 0; i < all->count; i++) {
        const candidate *c = &all->at[i];
        if ((c->dir || !dirs_only) && words_match(pattern, c->name)) {
            add(out, c->name, strlen(c->name), c->dir);
        }
    }
    free(pattern);
}

/* ---- showing them ------------------------------------------------------------------------------------- */

static void show(const candidates *c)
{
    size_t widest = 0;
    size_t count = c->count < MAX_SHOWN ? c->count : MAX_SHOWN;
    for (size_t i = 0; i < count; i++) {
        size_t n = text_columns(shown(c->at[i].name)) + c->at[i].dir;
        widest = n > widest ? n : widest;
    }
    size_t width = terminal_columns();
    size_t columns = width / (widest + 2) ? width / (widest + 2) : 1;
    size_t rows = (count + columns - 1) / columns;
    putchar('\n');
    for (size_t row = 0; row < rows; row++) {
        for (size_t i = row; i < count; i += rows) {
            char *text = text_of("%s%s", shown(c->at[i].name), c->at[i].dir ? "/" : "");
            print_padded(text, i + rows < count ? widest + 2 : 0);
            free(text);
        }
        putchar('\n');
    }
    if (count < c->count) {
        printf("... and %zu more\n", c->count - count);
    }
    fflush(stdout);
}

/* Bytes that all of them begin with, whole characters. */
static size_t common(const candidates *c)
{
    const char *first = c->at[0].name;
    size_t n = strlen(first);
    for (size_t i = 1; i < c->count; i++) {
        size_t same = 0;
        while (same < n && first[same] == c->at[i].name[same]) {
            same++;
        }
        n = same;
    }
    while (n > 0 && ((unsigned char)first[n] & 0xc0) == 0x80) {
        n--;
    }
    return n;
}

/* ---- the line ----------------------------------------------------------------------------------------- */

/* What stands before the cursor, taken apart. */
typedef struct typed {
    char *line;
    words w;
    char quote;       /* open at the end */
    bool fresh;       /* a new word begins at the cursor */
    size_t start;     /* of the word before the cursor */
    const word *last; /* NULL: fresh */
} typed;

static bool take_apart(EditLine *el, typed *t)
{
    const LineInfo *info = el_line(el);
    memset(t, 0, sizeof(*t));
    t->line = keep(strndup(info->buffer, (size_t)(info->cursor - info->buffer)));
    bool may_fail, silent;
    size_t front = (size_t)(behind_prefixes(t->line, &may_fail, &silent) - t->line);
    if (t->line[front] == '!') {
        front++;
    }
    if (!words_split_open(t->line + front, &t->w, &t->quote)) {
        free(t->line);
        return false;
    }
    size_t n = strlen(t->line);
    const char *end = t->line + n;
    bool blank = n > front && (end[-1] == ' ' || end[-1] == '\t') && !t->quote &&
                 !(n > front + 1 && end[-2] == '\\');
    t->fresh = t->w.count == 0 || blank;
    t->last = t->fresh ? NULL : &t->w.at[t->w.count - 1];
    t->start = t->fresh ? n : front + t->last->start;
    return true;
}

static void leave(typed *t)
{
    free(t->line);
    words_free(&t->w);
}

/* Characters, as the line editor counts them. */
static int characters(const char *text)
{
    size_t n = mbstowcs(NULL, text, 0);
    return n == (size_t)-1 ? (int)strlen(text) : (int)n;
}

/* Puts text, and what ends the word, in the place of the word before the cursor. */
static int replace(EditLine *el, const typed *t, const char *text, bool whole, bool dir)
{
    const char *old = t->line + t->start;
    char quote = t->quote ? t->quote : *old == '"' || *old == '\'' ? *old : '\0';
    char *quoted = keep(words_quote_open(text, quote));
    char closing[2] = {whole && !dir ? quote : '\0', '\0'};
    char *with_end = text_of("%s%s%s", quoted, closing, whole && !dir ? " " : "");
    free(quoted);
    int rc = CC_REFRESH;
    if (strcmp(with_end, old) != 0) {
        if (*old) {
            el_deletestr(el, characters(old));
        }
        /* Control characters cannot be typed into a line: such a name is left to a pattern. */
        bool clean = true;
        for (const char *p = with_end; *p; p++) {
            clean = clean && ((unsigned char)*p >= 0x20 && *p != 0x7f);
        }
        clean = clean && mbstowcs(NULL, with_end, 0) != (size_t)-1;
        rc = el_insertstr(el, clean ? with_end : old) == 0 && clean ? CC_REFRESH : CC_REFRESH_BEEP;
    } else if (!whole) {
        rc = CC_REFRESH_BEEP;
    }
    free(with_end);
    return rc;
}

static int offer(EditLine *el, const typed *t, const char *front, const candidates *c, bool magic)
{
    if (c->count == 0) {
        return CC_ERROR;
    }
    if (magic && c->count > 1) {
        show(c);
        return CC_REDISPLAY; /* a pattern stays one */
    }
    bool whole = c->count == 1;
    char *name = keep(strndup(c->at[0].name, whole ? strlen(c->at[0].name) : common(c)));
    bool dir = whole && c->at[0].dir;
    char *text = text_of("%s%s%s", front, name, dir ? "/" : "");
    bool longer = !t->last || strlen(text) > strlen(t->last->text);
    int rc = whole || longer ? replace(el, t, text, whole, dir) : CC_ERROR;
    free(name);
    free(text);
    if (!whole) {
        show(c);
        return CC_REDISPLAY;
    }
    return rc;
}

/* ---- what is meant ------------------------------------------------------------------------------------ */

static argument meant(const typed *t)
{
    const command *cmd = command_find(t->w.at[0].text);
    size_t operand = 0;
    for (size_t i = 1; i < t->w.count - (t->fresh ? 0 : 1); i++) {
        operand += t->w.at[i].text[0] != '-' || !t->w.at[i].text[1];
    }
    return !cmd ? ARG_NONE : operand == 0 ? cmd->first : cmd->second;
}

static int complete_path(app *a, EditLine *el, const typed *t, argument kind)
{
    const char *text = t->last ? t->last->text : "";
    const char *pattern = t->last ? t->last->pattern : "";
    const char *slash = strrchr(text, '/');
    const char *pattern_slash = strrchr(pattern, '/');
    char *front = keep(strndup(text, slash ? (size_t)(slash - text) + 1 : 0));
    candidates found = {0}, here = {0};
    bool dirs = kind == ARG_REMOTE_DIR || kind == ARG_LOCAL_DIR;
    bool remote = kind == ARG_REMOTE || kind == ARG_REMOTE_DIR;
    if (!remote) {
        local_dir(front, &here);
    }
    take_matching(remote ? remote_dir(a, front) : &here,
                  pattern_slash ? pattern_slash + 1 : pattern, dirs, &found);
    if (found.count > 1) {
        qsort(found.at, found.count, sizeof(*found.at), by_name);
    }
    int rc = offer(el, t, front, &found, t->last && t->last->magic);
    clear(&found);
    clear(&here);
    free(front);
    return rc;
}

static int complete_command(EditLine *el, const typed *t)
{
    candidates found = {0};
    commands(t->last ? t->last->text : "", &found);
    int rc = offer(el, t, "", &found, false);
    clear(&found);
    return rc;
}

int complete(app *a, EditLine *el)
{
    typed t;
    int rc = CC_ERROR;
    if (!take_apart(el, &t)) {
        return rc;
    }
    const char *line = t.line;
    bool may_fail, silent;
    if (*behind_prefixes(line, &may_fail, &silent) == '!') {
        rc = complete_path(a, el, &t, ARG_LOCAL); /* a command of this machine's shell */
    } else if (t.w.count == 0 || (t.w.count == 1 && !t.fresh)) {
        rc = complete_command(el, &t);
    } else {
        argument kind = meant(&t);
        rc = kind == ARG_NONE ? CC_ERROR : complete_path(a, el, &t, kind);
    }
    leave(&t);
    return rc;
}
