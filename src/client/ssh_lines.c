/*
 * ssh_lines.c - the parser of ssh_config(5): lines and words, Host blocks, Include, and which value of a
 * keyword counts.
 *
 * Lines that do not count here are checked all the same: a mistake shows at once, not on the day that
 * its host is called.
 */
#include "base/words.h"
#include "client/ssh_config.h"
#include "io/text_file.h"
#include "keys/pattern.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

enum { PATH_MAX_HERE = 4096, LISTED_FILES_MAX = 32 };

/* ---- words ---- */

int nc_words_split(const nacre_allocator *a, const char *text, nc_words *out)
{
    size_t size = strlen(text) + 1;
    size_t most = size / 2 + 2; /* a word and a blank are two characters */
    memset(out, 0, sizeof(*out));
    out->text = nc_alloc(a, size);
    out->at = nc_alloc_array(a, most, sizeof(*out->at));
    if (!out->text || !out->at) {
        nc_words_clear(a, out);
        return NACRE_NO_MEMORY;
    }
    char *to = out->text;
    int got;
    while ((got = nc_next_word(&text, to, size - (size_t)(to - out->text))) == 1 &&
           out->count + 1 < most) {
        out->at[out->count++] = to;
        to += strlen(to) + 1;
    }
    if (got != 0) {
        nc_words_clear(a, out);
        return NACRE_SYNTAX;
    }
    out->at[out->count] = NULL;
    return NACRE_OK;
}

void nc_words_clear(const nacre_allocator *a, nc_words *w)
{
    nc_free(a, w->text);
    nc_free(a, w->at);
    memset(w, 0, sizeof(*w));
}

/* ---- values ---- */

static bool adds_up(const nc_keyword *k)
{
    return k->kind == NC_KW_ADD_LIST || k->kind == NC_KW_ADD || k->kind == NC_KW_FORWARD;
}

static bool is_there(const nc_place *p, const nc_keyword *k, const char *value)
{
    const nacre_ssh_config *c = p->c;
    for (size_t i = 0; i < c->count; i++) {
        const nc_entry *e = &c->entries[i];
        if (e->keyword == k && e->of_user == p->of_user && strcmp(e->value, value) == 0) {
            return true;
        }
    }
    return false;
}

static bool is_keyword(const nc_keyword *k, const char *name)
{
    return strcmp(k->name, name) == 0;
}

/* Of ProxyCommand and ProxyJump the one that comes first decides. */
static bool other_proxy_decided(const nc_place *p, const nc_keyword *k)
{
    const char *jump = nacre_ssh_config_get(p->c, "ProxyJump");
    return (is_keyword(k, "ProxyCommand") && jump && strcasecmp(jump, "none") != 0) ||
           (is_keyword(k, "ProxyJump") && nacre_ssh_config_get(p->c, "ProxyCommand"));
}

int nc_conf_take(nc_place *p, const nc_keyword *k, const char *value, bool alone, bool first_line)
{
    nacre_error why;
    nc_error_clear(&why);
    int rc = nc_keyword_check(k, value, alone, &why);
    if (rc != NACRE_OK) {
        return nc_conf_complain(p, rc, "%s", why.text);
    }
    if (!p->active || (!adds_up(k) && !first_line) || k->kind == NC_KW_IGNORED) {
        return NACRE_OK;
    }
    if (is_keyword(k, "RefuseConnection")) {
        return nc_conf_complain(p, NACRE_CANCELLED, "RefuseConnection: %s",
                                NC_ESC(nc_span_cstr(value)));
    }
    if (is_keyword(k, "SendEnv") && *value == '-') {
        nc_conf_remove(p->c, k, value + 1);
        return NACRE_OK;
    }
    bool once = k->kind == NC_KW_ADD || k->kind == NC_KW_FORWARD;
    if ((once && is_there(p, k, value)) || other_proxy_decided(p, k)) {
        return NACRE_OK;
    }
    rc = nc_conf_append(p, k, value);
    return rc == NACRE_OK ? rc : nc_conf_complain(p, rc, "%s", nacre_status_text(rc));
}

/* The line as it is; but a "#" ends what is no command. */
static int take_line(nc_place *p, const nc_keyword *k, const char *rest)
{
    rest += strspn(rest, " \t\r\n=");
    size_t n = strlen(rest);
    if (is_keyword(k, "VersionAddendum") || is_keyword(k, "ProxyJump")) {
        n = strcspn(rest, "#");
    }
    n = nc_trim_blanks(nc_span(rest, n)).n; /* nothing is left to trim in front */
    char *value = nc_strndup(p->c->alloc, nc_span(rest, n));
    if (!value) {
        return nc_conf_complain(p, NACRE_NO_MEMORY, "out of memory");
    }
    int rc = *value ? nc_conf_take(p, k, value, true, !nc_conf_has(p->c, k))
                    : nc_conf_complain(p, NACRE_SYNTAX, "%s needs a value", k->name);
    nc_free(p->c->alloc, value);
    return rc;
}

/* All words as one value. */
/* The words as one value. Those of a forwarding get its colon between: blanks may be in a path. */
static int take_joined(nc_place *p, const nc_keyword *k, const nc_words *w)
{
    bool forward = k->kind == NC_KW_FORWARD;
    nacre_error why;
    nc_buf b;
    nc_error_clear(&why);
    nc_buf_init(&b, p->c->alloc, NC_CONF_LINE_MAX);
    int rc = NACRE_OK;
    for (size_t i = 0; rc == NACRE_OK && i < w->count; i++) {
        rc = i ? nc_buf_append(&b, forward ? ":" : " ", 1) : NACRE_OK;
        rc = rc == NACRE_OK ? nc_buf_append(&b, w->at[i], strlen(w->at[i])) : rc;
    }
    rc = rc == NACRE_OK ? nc_buf_append(&b, "", 1) : rc;
    if (rc == NACRE_OK && forward) {
        rc = nc_forward_check_words(k, (const char *)b.data, w->count, &why);
    }
    rc = rc == NACRE_OK
             ? nc_conf_take(p, k, (const char *)b.data, true, !nc_conf_has(p->c, k))
             : nc_conf_complain(p, rc, "%s", why.status ? why.text : nacre_status_text(rc));
    nc_buf_clear(&b);
    return rc;
}

static bool takes_many(const nc_keyword *k)
{
    return k->kind == NC_KW_ONE_LIST || k->kind == NC_KW_ADD_LIST;
}

/* Of variables that are set twice in a line the first counts. */
static bool is_set_before(const nc_words *w, size_t i)
{
    size_t n = strcspn(w->at[i], "=");
    for (size_t j = 0; j < i; j++) {
        if (strncmp(w->at[j], w->at[i], n + 1) == 0) {
            return true;
        }
    }
    return false;
}

static int take_words(nc_place *p, const nc_keyword *k, const nc_words *w)
{
    bool first = !nc_conf_has(p->c, k);
    bool set_env = is_keyword(k, "SetEnv");
    if (w->count == 0) {
        return nc_conf_complain(p, NACRE_SYNTAX, "%s needs a value", k->name);
    }
    if (w->count > 1 && !takes_many(k)) {
        return nc_conf_complain(p, NACRE_SYNTAX, "%s: too much behind the value", k->name);
    }
    if (strstr(k->name, "KnownHostsFile") && w->count > LISTED_FILES_MAX) {
        return nc_conf_complain(p, NACRE_LIMIT, "%s: more than %d files", k->name,
                                (int)LISTED_FILES_MAX);
    }
    for (size_t i = 0; i < w->count; i++) {
        if (!*w->at[i]) {
            return nc_conf_complain(p, NACRE_SYNTAX, "%s: an empty value", k->name);
        }
        if (set_env && is_set_before(w, i)) {
            continue;
        }
        int rc = nc_conf_take(p, k, w->at[i], w->count == 1, first);
        if (rc != NACRE_OK) {
            return rc;
        }
    }
    return NACRE_OK;
}

/* ---- Host, Include ---- */

static int host_line(nc_place *p, const nc_words *w)
{
    const char *host = p->c->real ? p->c->real : p->c->host;
    bool yes = false, no = false;
    for (size_t i = 0; i < w->count; i++) {
        bool negated = w->at[i][0] == '!';
        const char *pattern = w->at[i] + (negated ? 1 : 0);
        if (!*w->at[i]) {
            return nc_conf_complain(p, NACRE_SYNTAX, "Host: an empty pattern");
        }
        bool hit = nc_pattern_match(nc_span_cstr(host), nc_span_cstr(pattern), false);
        yes = yes || (hit && !negated);
        no = no || (hit && negated);
    }
    if (w->count == 0) {
        return nc_conf_complain(p, NACRE_SYNTAX, "Host needs at least one pattern");
    }
    p->active = yes && !no && !p->never;
    return NACRE_OK;
}

static int match_line(nc_place *p, const nc_words *w)
{
    bool active = false;
    int rc = nc_conf_match(p, w, &active);
    p->active = active && !p->never;
    return rc;
}

/* Where a name of an Include begins. */
static int include_path(nc_place *p, const char *word, char *out, size_t size)
{
    char expanded[PATH_MAX_HERE];
    nacre_error why;
    nc_error_clear(&why);
    unsigned flags = NC_EXPAND_ENV | (p->in_home ? NC_EXPAND_HOME : 0);
    const nacre_account *me = nc_conf_me(p->c);
    int rc = nc_conf_expand(p->c, word, flags, expanded, sizeof(expanded), &why);
    if (rc != NACRE_OK) {
        return nc_conf_complain(p, rc, "Include: %s", why.text);
    }
    if (expanded[0] == '~') {
        return nc_conf_complain(p, NACRE_SYNTAX, "Include: bad path %s",
                                NC_ESC(nc_span_cstr(word)));
    }
    int n = expanded[0] == '/' ? snprintf(out, size, "%s", expanded)
            : p->in_home       ? snprintf(out, size, "%s/.ssh/%s", me ? me->home : "", expanded)
                               : snprintf(out, size, "/etc/ssh/%s", expanded);
    return n > 0 && (size_t)n < size
               ? NACRE_OK
               : nc_conf_complain(p, NACRE_TOO_LARGE, "Include: the path is too long");
}

static int read_included(void *outer, const char *path)
{
    nc_place *p = outer;
    int rc = nc_conf_file(p, path, true, p->err);
    if (rc == NACRE_NOT_FOUND) { /* gone since the directory was read */
        nc_error_clear(p->err);
        rc = NACRE_OK;
    }
    return rc;
}

static int include_line(nc_place *p, const nc_words *w)
{
    char path[PATH_MAX_HERE * 2];
    int rc = NACRE_OK;
    if (!p->may_include) {
        return nc_conf_complain(p, NACRE_SYNTAX, "Include is not possible here");
    }
    if (p->depth > NC_CONF_INCLUDE_DEPTH) {
        return nc_conf_complain(p, NACRE_SYNTAX,
                                "Include goes too deep: does a file include itself?");
    }
    if (w->count == 0) {
        return nc_conf_complain(p, NACRE_SYNTAX, "Include needs a file");
    }
    for (size_t i = 0; rc == NACRE_OK && i < w->count; i++) {
        if (!*w->at[i]) {
            return nc_conf_complain(p, NACRE_SYNTAX, "Include: an empty name");
        }
        rc = include_path(p, w->at[i], path, sizeof(path));
        if (rc == NACRE_OK) {
            rc = nc_file_each(path, read_included, p);
        }
        if (rc != NACRE_OK) { /* unless there is a better sentence already */
            (void)nc_conf_complain(p, rc, "Include %s: %s", NC_ESC(nc_span_cstr(w->at[i])),
                                   nacre_status_text(rc));
        }
    }
    return rc;
}

/* ---- lines ---- */

static bool may_be_unknown(const nc_place *p, nacre_span name)
{
    const char *list = nacre_ssh_config_get(p->c, "IgnoreUnknown");
    return list && nc_pattern_list(name, nc_span_cstr(list), true) == NC_MATCH_YES;
}

static int known_keyword(nc_place *p, const nc_keyword *k, const char *rest, const nc_words *w)
{
    switch (k->kind) {
    case NC_KW_LINE:
        return take_line(p, k, rest);
    case NC_KW_IGNORED:
        return NACRE_OK;
    case NC_KW_WORDS:
    case NC_KW_FORWARD:
        return w->count ? take_joined(p, k, w)
                        : nc_conf_complain(p, NACRE_SYNTAX, "%s needs a value", k->name);
    default:
        return take_words(p, k, w);
    }
}

int nc_conf_keyword(nc_place *p, nacre_span name, const char *rest)
{
    const nc_keyword *k = nc_keyword_find(name);
    nc_words w;
    if (!k && (nc_keyword_is_dead(name) || may_be_unknown(p, name))) {
        return NACRE_OK;
    }
    if (!k) {
        return nc_conf_complain(p, NACRE_UNKNOWN_NAME, "Bad configuration option: %s",
                                NC_ESC(name));
    }
    int rc = nc_words_split(p->c->alloc, rest, &w);
    if (rc != NACRE_OK) {
        return nc_conf_complain(p, rc, "%s: %s", k->name,
                                rc == NACRE_SYNTAX ? "a quote is not closed" : "out of memory");
    }
    rc = known_keyword(p, k, rest, &w);
    nc_words_clear(p->c->alloc, &w);
    return rc;
}

static const struct {
    const char *name;
    int (*line)(nc_place *p, const nc_words *w);
} blocks[] = {{"Host", host_line}, {"Match", match_line}, {"Include", include_line}};

static int block_line(nc_place *p, size_t i, const char *rest)
{
    nc_words w;
    int rc = nc_words_split(p->c->alloc, rest, &w);
    if (rc != NACRE_OK) {
        return nc_conf_complain(p, rc, "%s: %s", blocks[i].name,
                                rc == NACRE_SYNTAX ? "a quote is not closed" : "out of memory");
    }
    rc = blocks[i].line(p, &w);
    nc_words_clear(p->c->alloc, &w);
    return rc;
}

int nc_conf_line(nc_place *p, const char *line)
{
    const char *rest = line;
    nacre_span name = nc_next_keyword(&rest);
    if (name.n == 0 || name.p[0] == '#') {
        return name.n == 0 && *rest ? nc_conf_complain(p, NACRE_SYNTAX, "no keyword") : NACRE_OK;
    }
    if (!*rest) {
        return nc_conf_complain(p, NACRE_SYNTAX, "%s needs a value", NC_ESC(name));
    }
    for (size_t i = 0; i < sizeof(blocks) / sizeof(blocks[0]); i++) {
        if (name.n == strlen(blocks[i].name) &&
            strncasecmp((const char *)name.p, blocks[i].name, name.n) == 0) {
            return block_line(p, i, rest);
        }
    }
    return nc_conf_keyword(p, name, rest);
}

int nc_conf_text(nc_place *p, nacre_span text)
{
    nacre_span next;
    int rc = NACRE_OK;
    while (rc == NACRE_OK && nc_next_line(&text, &next)) {
        p->line++;
        if (next.n >= NC_CONF_LINE_MAX) {
            return nc_conf_complain(p, NACRE_SYNTAX, "the line is too long (%zu bytes; %d at most)",
                                    next.n, (int)NC_CONF_LINE_MAX - 1);
        }
        if (next.n && memchr(next.p, '\0', next.n)) {
            return nc_conf_complain(p, NACRE_SYNTAX, "there is a zero byte in the line");
        }
        char *line = nc_strndup(p->c->alloc, nc_trim_blanks(next));
        if (!line) {
            return nc_conf_complain(p, NACRE_NO_MEMORY, "out of memory");
        }
        rc = nc_conf_line(p, line);
        nc_free(p->c->alloc, line);
    }
    return rc;
}

int nc_conf_file(const nc_place *p, const char *path, bool secure, nacre_error *err)
{
    nc_buf text;
    if (++*p->files > NC_CONF_FILES_MAX) {
        return nc_conf_complain(p, NACRE_LIMIT, "more than %d files are included",
                                (int)NC_CONF_FILES_MAX);
    }
    nc_buf_init(&text, p->c->alloc, NC_FILE_MAX);
    int rc = secure ? nc_file_read_own(path, &text, err) : nc_file_read(path, &text, err);
    if (rc == NACRE_OK) {
        nc_place inner = *p;
        inner.source = path;
        inner.line = 0;
        inner.depth++;
        inner.never = !p->active;
        inner.err = err;
        rc = nc_conf_text(&inner, nc_buf_span(&text));
    }
    nc_buf_clear(&text);
    return rc;
}
