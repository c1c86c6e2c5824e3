/*
 * sshd_config.c - the reader: files into lines, lines to their keyword's row, Include, defaults at the
 * end. What the keywords mean is in sshd_keywords.c.
 */
#include "server/sshd_config.h"

#include "base/words.h"
#include "io/text_file.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

static const char include_dir[] = "/etc/ssh/"; /* where relative Includes lie, as with OpenSSH */

int nacre_sshd_config_new(nacre_sshd_config **out, const nacre_allocator *alloc)
{
    *out = nc_zalloc(alloc, sizeof(**out));
    if (!*out) {
        return NACRE_NO_MEMORY;
    }
    (*out)->alloc = alloc;
    (*out)->s.size = sizeof((*out)->s);
    nacre_source_rules_init(&(*out)->s.sources);
    return NACRE_OK;
}

static void drop_list(const nacre_allocator *a, nacre_sshd_list *list)
{
    for (size_t i = 0; i < list->count; i++) {
        nc_free(a, list->items[i]);
    }
    nc_free(a, list->items);
}

void nacre_sshd_config_free(nacre_sshd_config *c)
{
    if (!c) {
        return;
    }
    nacre_sshd_settings *s = &c->s;
    for (size_t i = 0; i < nc_conf_row_count; i++) {
        const nc_conf_row *row = &nc_conf_rows[i];
        if (row->flags & NC_CONF_LIST) {
            drop_list(c->alloc, nc_conf_field(c, row));
        } else if (row->flags & NC_CONF_TEXT) {
            nc_free(c->alloc, *(char **)nc_conf_field(c, row));
        }
    }
    for (size_t i = 0; i < s->listen_count; i++) {
        nc_free(c->alloc, s->listen[i].address);
    }
    for (size_t i = 0; i < s->subsystem_count; i++) {
        nc_free(c->alloc, s->subsystems[i].name);
        nc_free(c->alloc, s->subsystems[i].command);
    }
    nc_conf_drop_blocks(c);
    for (size_t i = 0; i < c->warning_count; i++) {
        nc_free(c->alloc, c->warnings[i]);
    }
    nc_free(c->alloc, c);
}

const nacre_sshd_settings *nacre_sshd_config_settings(const nacre_sshd_config *c)
{
    return &c->s;
}

const char *nacre_sshd_config_warning(const nacre_sshd_config *c, size_t n)
{
    return n < c->warning_count ? c->warnings[n] : NULL;
}

void nc_conf_warn(nacre_sshd_config *c, const nc_conf_line *l, const char *fmt, ...)
{
    nacre_error text = {0};
    char said[512];
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(said, sizeof(said), fmt, ap);
    va_end(ap);
    (void)nc_conf_fail(&text, l, NACRE_SYNTAX, "%s", said);
    if (c->warning_count < NC_CONF_MAX_WARNINGS) {
        char *copy = nc_strdup(c->alloc, text.text);
        if (copy) {
            c->warnings[c->warning_count++] = copy;
        }
    }
}

/* ---- lines ------------------------------------------------------------------------------------------ */

size_t nc_conf_find_row(const char *keyword)
{
    static const char *const aliases[][2] = {
        {"ChallengeResponseAuthentication", "KbdInteractiveAuthentication"},
        {"PubkeyAcceptedKeyTypes", "PubkeyAcceptedAlgorithms"},
        {"HostbasedAcceptedKeyTypes", "HostbasedAcceptedAlgorithms"},
    };
    size_t i = 0;
    for (size_t a = 0; a < sizeof(aliases) / sizeof(aliases[0]); a++) {
        keyword = strcasecmp(aliases[a][0], keyword) == 0 ? aliases[a][1] : keyword;
    }
    while (i < nc_conf_row_count && strcasecmp(nc_conf_rows[i].name, keyword) != 0) {
        i++;
    }
    return i;
}

/* A line that does not count, or not yet: a mistake in it is still one. */
static int try_line(const nacre_sshd_config *c, const nc_conf_row *row, const nc_conf_line *l,
                    nacre_error *err)
{
    nacre_sshd_config *scratch = NULL;
    int rc = nacre_sshd_config_new(&scratch, c->alloc);
    rc =
        rc == NACRE_OK ? row->set(scratch, row, l, err) : nc_conf_fail(err, l, rc, "out of memory");
    nacre_sshd_config_free(scratch);
    return rc;
}

static int keep_line(nacre_sshd_config *c, const nc_conf_line *l, size_t block, nacre_error *err)
{
    int rc = c->is_copy || c->defaulting ? NACRE_OK : nc_conf_keep(c, l, block);
    return rc == NACRE_OK ? rc
           : rc == NACRE_LIMIT
               ? nc_conf_fail(err, l, rc, "more than %d lines in all files", NC_CONF_MAX_LINES)
               : nc_conf_fail(err, l, rc, "out of memory");
}

static int take_line(nacre_sshd_config *c, const nc_conf_line *l, const bool *passed,
                     nacre_error *err)
{
    size_t i = nc_conf_find_row(l->words[0]);
    if (i == nc_conf_row_count) {
        return nc_conf_fail(err, l, NACRE_SYNTAX, "unknown keyword \"%s\"",
                            NC_ESC(nc_span_cstr(l->words[0])));
    }
    const nc_conf_row *row = &nc_conf_rows[i];
    if (passed && passed[i]) {
        return NACRE_OK;
    }
    if (l->count < 2) {
        return nc_conf_fail(err, l, NACRE_SYNTAX, "%s needs a value", row->name);
    }
    /* Behind "Match all" a keyword that knows no Match is global again, as with sshd. */
    size_t block = row->flags & NC_CONF_IN_MATCH ? c->block : 0;
    if (c->block && !block && !nc_conf_unconditional(c)) {
        return nc_conf_fail(err, l, NACRE_SYNTAX, "%s cannot stand in a Match block", row->name);
    }
    if (row->flags & NC_CONF_NOW) {
        return row->set(c, row, l, err);
    }
    int rc = keep_line(c, l, block, err);
    if (rc != NACRE_OK) {
        return rc;
    }
    if (block || (c->seen[i] && !(row->flags & NC_CONF_ADDS))) {
        return try_line(c, row, l, err);
    }
    rc = row->set(c, row, l, err);
    c->seen[i] = c->seen[i] || rc == NACRE_OK;
    return rc;
}

int nc_conf_one_line(nacre_sshd_config *c, nacre_span text, const char *file, unsigned number,
                     const bool *passed, nacre_error *err)
{
    nc_conf_line *l = nc_zalloc(c->alloc, sizeof(*l));
    if (!l) {
        return nc_fail(err, NACRE_NO_MEMORY, "out of memory");
    }
    l->file = file;
    l->number = number;
    int rc = nc_conf_split(l, c->alloc, text, err);
    if (rc == NACRE_OK && l->count > 0) {
        rc = take_line(c, l, passed, err);
    }
    nc_conf_clear(l, c->alloc);
    nc_free(c->alloc, l);
    return rc;
}

int nacre_sshd_config_line(nacre_sshd_config *c, const char *line, nacre_error *err)
{
    nc_error_clear(err);
    if (c->finished) {
        return nc_fail(err, NACRE_WRONG_STATE, "the configuration is finished already");
    }
    return nc_conf_one_line(c, nc_span_cstr(line), "command line", 0, NULL, err);
}

int nacre_sshd_config_text(nacre_sshd_config *c, nacre_span text, const char *name,
                           nacre_error *err)
{
    nc_error_clear(err);
    unsigned number = 0;
    if (c->finished) {
        return nc_fail(err, NACRE_WRONG_STATE, "the configuration is finished already");
    }
    /* A Match holds to the end of its file; behind an Include the lines stand where they stood. */
    size_t block = c->block;
    int rc = NACRE_OK;
    nacre_span line;
    while (rc == NACRE_OK && nc_next_line(&text, &line)) {
        rc = nc_conf_one_line(c, line, name, ++number, NULL, err);
    }
    c->block = block;
    return rc;
}

/* ---- files ------------------------------------------------------------------------------------------ */

int nacre_sshd_config_file(nacre_sshd_config *c, const char *path, nacre_error *err)
{
    nc_error_clear(err);
    nc_buf text;
    nc_buf_init(&text, c->alloc, NC_CONF_MAX_FILE);
    nacre_error why = {0};
    int rc = nc_file_read(path, &text, &why);
    if (rc != NACRE_OK) {
        rc = nc_fail(err,
                     rc == NACRE_TOO_LARGE   ? NACRE_LIMIT
                     : rc == NACRE_NOT_FOUND ? NACRE_IO
                                             : rc,
                     "cannot read %s", why.text);
    }
    if (rc == NACRE_OK) {
        rc = nacre_sshd_config_text(c, nc_buf_span(&text), path, err);
    }
    nc_buf_clear(&text);
    return rc;
}

typedef struct inclusion {
    nacre_sshd_config *c;
    nacre_error *err;
} inclusion;

static int read_included(void *user, const char *path)
{
    const inclusion *in = user;
    return nacre_sshd_config_file(in->c, path, in->err);
}

static int include_one(nacre_sshd_config *c, const char *pattern, const nc_conf_line *l,
                       nacre_error *err)
{
    char path[4096];
    inclusion in = {c, err};
    int n = snprintf(path, sizeof(path), "%s%s", pattern[0] == '/' ? "" : include_dir, pattern);
    if (n < 0 || (size_t)n >= sizeof(path)) {
        return nc_conf_fail(err, l, NACRE_LIMIT, "the path is too long");
    }
    int rc = nc_file_each(path, read_included, &in);
    return rc == NACRE_OK
               ? rc /* what a file's own reading said counts first */
               : nc_conf_fail(err, l, rc, "cannot read \"%s\"", NC_ESC(nc_span_cstr(path)));
}

int nc_conf_include(nacre_sshd_config *c, const nc_conf_row *row, const nc_conf_line *l,
                    nacre_error *err)
{
    int rc = NACRE_OK;
    (void)row;
    if (c->depth >= NC_CONF_MAX_DEPTH) {
        return nc_conf_fail(err, l, NACRE_LIMIT, "Include within Include, %d deep",
                            NC_CONF_MAX_DEPTH);
    }
    size_t outer = c->outer;
    c->outer = c->block;
    c->depth++;
    for (size_t i = 1; rc == NACRE_OK && i < l->count; i++) {
        rc = include_one(c, l->words[i], l, err);
    }
    c->depth--;
    c->outer = outer;
    return rc;
}

/* ---- showing ------------------------------------------------------------------------------------------ */

void nacre_sshd_config_dump(const nacre_sshd_config *c, void (*line)(void *user, const char *text),
                            void *user)
{
    for (size_t i = 0; i < nc_conf_row_count; i++) {
        if (nc_conf_rows[i].print) {
            nc_conf_rows[i].print(c, &nc_conf_rows[i], line, user);
        }
    }
}
