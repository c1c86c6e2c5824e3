/*
 * ssh_config.c - the parser of ssh_config(5): lines, Host and Match blocks, Include, and which value of
 * a keyword counts. Keywords: ssh_keywords.c. What stands inside of values: ssh_values.c.
 *
 * Lines that do not count here are checked all the same: a mistake shows at once, not on the day that
 * its host is called.
 */
#include "client/ssh_config.h"
#include "base/words.h"
#include "io/text_file.h"
#include "keys/pattern.h"
#include "nacre/account.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

enum {
    WORD_MAX = 1024,
    LINE_MAX_BYTES = 16384,
    INCLUDE_DEPTH = 16, /* as ssh: deeper is a circle */
    ENTRIES_MAX = 4096  /* values of one destination; no honest configuration has as many */
};

typedef struct entry {
    const nc_keyword *keyword;
    char *value;
    char *where; /* "file:line", "command line" */
} entry;

struct nacre_ssh_config {
    const nacre_allocator *alloc;
    char *host, *user;
    entry *entries;
    size_t count, cap;
};

/* Where the parser is. */
typedef struct place {
    nacre_ssh_config *c;
    const char *source;
    unsigned line;
    bool active; /* the present block counts */
    bool never;  /* included from a block that does not */
    bool user_file, may_include;
    unsigned depth;
    nacre_error *err;
} place;

int nacre_ssh_config_new(nacre_ssh_config **out, const nacre_allocator *a, const char *host,
                         const char *user)
{
    *out = NULL;
    nacre_ssh_config *c = nc_zalloc(a, sizeof(*c));
    if (!c) {
        return NACRE_NO_MEMORY;
    }
    c->alloc = a;
    int rc = nacre_ssh_config_target(c, host, user);
    if (rc != NACRE_OK) {
        nacre_ssh_config_free(c);
        return rc;
    }
    *out = c;
    return NACRE_OK;
}

int nacre_ssh_config_target(nacre_ssh_config *c, const char *host, const char *user)
{
    char *h = nc_strdup(c->alloc, host ? host : "");
    char *u = nc_strdup(c->alloc, user);
    if (!h || (user && !u)) {
        nc_free(c->alloc, h);
        nc_free(c->alloc, u);
        return NACRE_NO_MEMORY;
    }
    nc_free(c->alloc, c->host);
    nc_free(c->alloc, c->user);
    c->host = h;
    c->user = u;
    return NACRE_OK;
}

void nacre_ssh_config_free(nacre_ssh_config *c)
{
    if (!c) {
        return;
    }
    for (size_t i = 0; i < c->count; i++) {
        nc_free(c->alloc, c->entries[i].value);
        nc_free(c->alloc, c->entries[i].where);
    }
    nc_free(c->alloc, c->entries);
    nc_free(c->alloc, c->host);
    nc_free(c->alloc, c->user);
    nc_free(c->alloc, c);
}

/* ---- values ---- */

static bool has(const nacre_ssh_config *c, const nc_keyword *k)
{
    for (size_t i = 0; i < c->count; i++) {
        if (c->entries[i].keyword == k) {
            return true;
        }
    }
    return false;
}

static int grow(nacre_ssh_config *c)
{
    if (c->count < c->cap) {
        return NACRE_OK;
    }
    size_t cap = c->cap ? c->cap * 2 : 32;
    entry *more = cap > ENTRIES_MAX ? NULL : nc_resize(c->alloc, c->entries, cap * sizeof(*more));
    if (!more) {
        return cap > ENTRIES_MAX ? NACRE_LIMIT : NACRE_NO_MEMORY;
    }
    c->entries = more;
    c->cap = cap;
    return NACRE_OK;
}

static void where_is(const place *p, char *out, size_t size)
{
    if (p->line) {
        (void)snprintf(out, size, "%s:%u", NC_ESC(nc_span_cstr(p->source)), p->line);
    } else {
        (void)snprintf(out, size, "%s", NC_ESC(nc_span_cstr(p->source)));
    }
}

static int append(place *p, const nc_keyword *k, const char *value)
{
    nacre_ssh_config *c = p->c;
    char where[512];
    int rc = grow(c);
    if (rc != NACRE_OK) {
        return rc;
    }
    where_is(p, where, sizeof(where));
    entry e = {k, nc_strdup(c->alloc, value), nc_strdup(c->alloc, where)};
    if (!e.value || !e.where) {
        nc_free(c->alloc, e.value);
        nc_free(c->alloc, e.where);
        return NACRE_NO_MEMORY;
    }
    c->entries[c->count++] = e;
    return NACRE_OK;
}

static int complain(place *p, int status, const char *fmt, ...) NACRE_PRINTF(3, 4);
static int complain(place *p, int status, const char *fmt, ...)
{
    char where[512], text[600];
    va_list ap;
    where_is(p, where, sizeof(where));
    va_start(ap, fmt);
    (void)vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    return nc_fail(p->err, status, "%s: %s", where, text);
}

/* One checked value; the first of a keyword wins, unless its lines add up. */
static int take(place *p, const nc_keyword *k, const char *value, bool first_line)
{
    nacre_error why;
    nc_error_clear(&why);
    int rc = nc_keyword_check(k, value, &why);
    if (rc != NACRE_OK) {
        return complain(p, rc, "%s", why.text);
    }
    bool adds = k->kind == NC_KW_ADD_LIST || k->kind == NC_KW_ADD;
    if (!p->active || (!adds && !first_line) || k->kind == NC_KW_IGNORED) {
        return NACRE_OK;
    }
    rc = append(p, k, value);
    return rc == NACRE_OK ? rc : complain(p, rc, "%s", nacre_status_text(rc));
}

/* ---- Host, Match, Include ---- */

static const char *bad_word(int why)
{
    return why == NACRE_SYNTAX ? "a quote is not closed" : "a word is too long";
}

static bool matches(const char *name, const char *pattern)
{
    return nc_pattern_match(nc_span_cstr(name), nc_span_cstr(pattern), true);
}

static int host_line(place *p, const char *rest)
{
    char word[WORD_MAX];
    bool any = false, yes = false, no = false;
    int got;
    while ((got = nc_next_word(&rest, word, sizeof(word))) == 1) {
        bool negated = word[0] == '!';
        bool hit = matches(p->c->host, word + (negated ? 1 : 0));
        any = true;
        yes = yes || (hit && !negated);
        no = no || (hit && negated);
    }
    if (got < 0 || !any) {
        return complain(p, NACRE_SYNTAX, "%s",
                        got < 0 ? bad_word(got) : "Host needs at least one pattern");
    }
    p->active = yes && !no && !p->never;
    return NACRE_OK;
}

static const char *match_subject(place *p, const char *criterion)
{
    nacre_ssh_config *c = p->c;
    const char *value = NULL;
    if (strcasecmp(criterion, "host") == 0) {
        value = nacre_ssh_config_get(c, "HostName");
        return value ? value : c->host;
    }
    if (strcasecmp(criterion, "originalhost") == 0) {
        return c->host;
    }
    if (strcasecmp(criterion, "user") == 0) {
        value = nacre_ssh_config_get(c, "User");
        return c->user ? c->user : value;
    }
    return NULL;
}

static bool local_user_matches(const char *list)
{
    nacre_account *me = NULL;
    bool hit = nacre_account_lookup_uid(&me, NULL, getuid(), NULL) == NACRE_OK &&
               nc_pattern_list(nc_span_cstr(me->name), nc_span_cstr(list), false) == 1;
    nacre_account_free(me);
    return hit;
}

static int match_criterion(place *p, const char *name, const char *list, bool *hit)
{
    if (strcasecmp(name, "localuser") == 0) {
        *hit = local_user_matches(list);
        return NACRE_OK;
    }
    bool known = strcasecmp(name, "host") == 0 || strcasecmp(name, "originalhost") == 0 ||
                 strcasecmp(name, "user") == 0;
    if (!known) {
        return complain(p, NACRE_UNSUPPORTED, "Match %s is not supported",
                        NC_ESC(nc_span_cstr(name)));
    }
    const char *subject = match_subject(p, name);
    bool hosts = strcasecmp(name, "user") != 0;
    *hit = subject && nc_pattern_list(nc_span_cstr(subject), nc_span_cstr(list), hosts) == 1;
    return NACRE_OK;
}

static int match_line(place *p, const char *rest)
{
    char name[WORD_MAX], list[WORD_MAX];
    bool all = true, any = false;
    int got;
    while ((got = nc_next_word(&rest, name, sizeof(name))) == 1) {
        bool hit = true;
        bool negated = name[0] == '!';
        const char *criterion = name + (negated ? 1 : 0);
        any = true;
        if (strcasecmp(criterion, "all") == 0) {
            all = all && !negated;
            continue;
        }
        if (nc_next_word(&rest, list, sizeof(list)) != 1) {
            return complain(p, NACRE_SYNTAX, "Match %s needs a pattern list",
                            NC_ESC(nc_span_cstr(criterion)));
        }
        int rc = match_criterion(p, criterion, list, &hit);
        if (rc != NACRE_OK) {
            return rc;
        }
        all = all && hit != negated;
    }
    if (got < 0 || !any) {
        return complain(p, NACRE_SYNTAX, "%s",
                        got < 0 ? bad_word(got) : "Match needs at least one criterion");
    }
    p->active = all && !p->never;
    return NACRE_OK;
}

static int read_file(place *outer, const char *path, nacre_error *err);

static int include_path(place *p, const char *word, char *out, size_t size)
{
    nacre_account *me = NULL;
    int rc = nacre_account_lookup_uid(&me, NULL, getuid(), NULL);
    nacre_ssh_tokens tokens;
    char expanded[WORD_MAX];
    nacre_error why;
    nc_error_clear(&why);
    memset(&tokens, 0, sizeof(tokens));
    tokens.home = rc == NACRE_OK ? me->home : NULL;
    rc = nacre_ssh_expand(word, &tokens, true, expanded, sizeof(expanded), &why);
    if (rc != NACRE_OK) {
        rc = complain(p, rc, "Include: %s", why.text);
    } else if (expanded[0] == '/') {
        (void)snprintf(out, size, "%s", expanded);
    } else if (p->user_file) {
        (void)snprintf(out, size, "%s/.ssh/%s", tokens.home ? tokens.home : "", expanded);
    } else {
        (void)snprintf(out, size, "/etc/ssh/%s", expanded);
    }
    nacre_account_free(me);
    return rc;
}

static int read_included(void *outer, const char *path)
{
    place *p = outer;
    return read_file(p, path, p->err);
}

static int include_line(place *p, const char *rest)
{
    char word[WORD_MAX], path[WORD_MAX * 2];
    int got = 0, rc = NACRE_OK;
    if (!p->may_include || p->depth >= INCLUDE_DEPTH) {
        return complain(p, NACRE_SYNTAX,
                        p->may_include ? "Include goes too deep" : "Include is not possible here");
    }
    while (rc == NACRE_OK && (got = nc_next_word(&rest, word, sizeof(word))) == 1) {
        rc = include_path(p, word, path, sizeof(path));
        if (rc == NACRE_OK) {
            rc = nc_file_each(path, read_included, p);
        }
        if (rc != NACRE_OK) {
            return complain(p, rc, "Include %s: %s", NC_ESC(nc_span_cstr(word)),
                            nacre_status_text(rc));
        }
    }
    return got == 0 ? rc : complain(p, NACRE_SYNTAX, "Include: %s", bad_word(got));
}

/* ---- lines ---- */

static int take_whole_line(place *p, const nc_keyword *k, const char *rest)
{
    char value[LINE_MAX_BYTES];
    size_t n = nc_trim_blanks(nc_span_cstr(rest)).n; /* nothing is left to trim in front */
    (void)snprintf(value, sizeof(value), "%.*s", (int)n, rest);
    if (n >= 2 && value[0] == '"' && value[n - 1] == '"' && !memchr(value + 1, '"', n - 2)) {
        value[n - 1] = '\0';
        memmove(value, value + 1, n - 1);
    }
    if (!*value) {
        return complain(p, NACRE_SYNTAX, "%s needs a value", k->name);
    }
    return take(p, k, value, !has(p->c, k));
}

static int take_words(place *p, const nc_keyword *k, const char *rest)
{
    char word[WORD_MAX];
    size_t words = 0;
    int got, rc;
    bool first = !has(p->c, k);
    bool many = k->kind == NC_KW_ONE_LIST || k->kind == NC_KW_ADD_LIST;
    while ((got = nc_next_word(&rest, word, sizeof(word))) == 1) {
        if (++words > 1 && !many) {
            return complain(p, NACRE_SYNTAX, "%s: too much behind the value", k->name);
        }
        rc = take(p, k, word, first);
        if (rc != NACRE_OK) {
            return rc;
        }
    }
    if (got < 0) {
        return complain(p, NACRE_SYNTAX, "%s: %s", k->name, bad_word(got));
    }
    return words ? NACRE_OK : complain(p, NACRE_SYNTAX, "%s needs a value", k->name);
}

static bool may_be_unknown(const place *p, nacre_span name)
{
    const char *list = nacre_ssh_config_get(p->c, "IgnoreUnknown");
    return list && nc_pattern_list(name, nc_span_cstr(list), true) == 1;
}

static int keyword_line(place *p, nacre_span name, const char *rest)
{
    const nc_keyword *k = nc_keyword_find(name);
    if (!k) {
        return may_be_unknown(p, name)
                   ? NACRE_OK
                   : complain(p, NACRE_UNKNOWN_NAME, "Bad configuration option: %s", NC_ESC(name));
    }
    if (k->kind == NC_KW_LINE || k->kind == NC_KW_REKEY) {
        return take_whole_line(p, k, rest);
    }
    return k->kind == NC_KW_IGNORED ? NACRE_OK : take_words(p, k, rest);
}

static bool named(nacre_span name, const char *what)
{
    return name.n == strlen(what) && strncasecmp((const char *)name.p, what, name.n) == 0;
}

static int one_line(place *p, const char *line)
{
    const char *rest = line;
    nacre_span name = nc_next_keyword(&rest);
    if (name.n == 0 || name.p[0] == '#') {
        return name.n == 0 && *rest ? complain(p, NACRE_SYNTAX, "no keyword") : NACRE_OK;
    }
    if (named(name, "Host")) {
        return host_line(p, rest);
    }
    if (named(name, "Match")) {
        return match_line(p, rest);
    }
    return named(name, "Include") ? include_line(p, rest) : keyword_line(p, name, rest);
}

static int all_lines(place *p, nacre_span text)
{
    char line[LINE_MAX_BYTES];
    nacre_span next;
    int rc = NACRE_OK;
    while (rc == NACRE_OK && nc_next_line(&text, &next)) {
        p->line++;
        if (next.n >= sizeof(line) || memchr(next.p, '\0', next.n)) {
            return complain(p, NACRE_SYNTAX, "the line is too long, or is not text");
        }
        memcpy(line, next.p, next.n);
        line[next.n] = '\0';
        rc = one_line(p, line);
    }
    return rc;
}

static int read_file(place *outer, const char *path, nacre_error *err)
{
    nc_buf text;
    nc_buf_init(&text, outer->c->alloc, NC_FILE_MAX);
    int rc = outer->user_file ? nc_file_read_own(path, &text, err) : nc_file_read(path, &text, err);
    if (rc == NACRE_OK) {
        place inner = *outer;
        inner.source = path;
        inner.line = 0;
        inner.depth++;
        inner.never = !outer->active;
        inner.err = err;
        rc = all_lines(&inner, nc_buf_span(&text));
    }
    nc_buf_clear(&text);
    return rc;
}

/* ---- the public face ---- */

int nacre_ssh_config_option(nacre_ssh_config *c, const char *text, nacre_error *err)
{
    place p = {.c = c, .source = "command line", .active = true, .err = err};
    const char *rest = text;
    nc_error_clear(err);
    nacre_span name = nc_next_keyword(&rest);
    if (name.n == 0 || strlen(text) >= LINE_MAX_BYTES) {
        return complain(&p, NACRE_SYNTAX, "\"%s\" is not Keyword=value",
                        NC_ESC(nc_span_cstr(text)));
    }
    return keyword_line(&p, name, rest);
}

int nacre_ssh_config_set(nacre_ssh_config *c, const char *keyword, const char *value,
                         nacre_error *err)
{
    place p = {.c = c, .source = "command line", .active = true, .err = err};
    nc_error_clear(err);
    const nc_keyword *k = nc_keyword_find(nc_span_cstr(keyword));
    if (!k) {
        return complain(&p, NACRE_UNKNOWN_NAME, "Bad configuration option: %s",
                        NC_ESC(nc_span_cstr(keyword)));
    }
    return take(&p, k, value, !has(c, k));
}

int nacre_ssh_config_add_text(nacre_ssh_config *c, nacre_span text, const char *source,
                              nacre_error *err)
{
    place p = {.c = c, .source = source ? source : "", .active = true, .err = err};
    nc_error_clear(err);
    return all_lines(&p, text);
}

int nacre_ssh_config_add_file(nacre_ssh_config *c, const char *path, bool user_file,
                              nacre_error *err)
{
    place p = {.c = c, .active = true, .user_file = user_file, .may_include = true, .err = err};
    nc_error_clear(err);
    return read_file(&p, path, err);
}

size_t nacre_ssh_config_count(const nacre_ssh_config *c, const char *keyword)
{
    const nc_keyword *k = nc_keyword_find(nc_span_cstr(keyword));
    size_t n = 0;
    for (size_t i = 0; i < c->count; i++) {
        n += c->entries[i].keyword == k ? 1 : 0;
    }
    return n;
}

const char *nacre_ssh_config_value(const nacre_ssh_config *c, const char *keyword, size_t index)
{
    const nc_keyword *k = nc_keyword_find(nc_span_cstr(keyword));
    for (size_t i = 0; i < c->count; i++) {
        if (c->entries[i].keyword == k && index-- == 0) {
            return c->entries[i].value;
        }
    }
    return NULL;
}

const char *nacre_ssh_config_get(const nacre_ssh_config *c, const char *keyword)
{
    return nacre_ssh_config_value(c, keyword, 0);
}

bool nacre_ssh_config_yes(const nacre_ssh_config *c, const char *keyword, bool fallback)
{
    const char *v = nacre_ssh_config_get(c, keyword);
    if (!v) {
        return fallback;
    }
    return strcasecmp(v, "no") != 0 && strcasecmp(v, "false") != 0;
}

uint64_t nacre_ssh_config_number(const nacre_ssh_config *c, const char *keyword, uint64_t fallback)
{
    const nc_keyword *k = nc_keyword_find(nc_span_cstr(keyword));
    const char *v = nacre_ssh_config_get(c, keyword);
    uint32_t seconds = 0;
    if (!v || !k) {
        return fallback;
    }
    if (k->kind == NC_KW_TIME) {
        return nacre_parse_time(v, &seconds) == NACRE_OK ? seconds : 0;
    }
    return strtoul(v, NULL, 10);
}

int nacre_ssh_config_supported(const nacre_ssh_config *c, nacre_error *err)
{
    nc_error_clear(err);
    for (size_t i = 0; i < c->count; i++) {
        const entry *e = &c->entries[i];
        if (!nc_keyword_supports(e->keyword, e->value)) {
            return nc_fail(err, NACRE_UNSUPPORTED, "%s: %s %s is not supported yet", e->where,
                           e->keyword->name, NC_ESC(nc_span_cstr(e->value)));
        }
    }
    return NACRE_OK;
}

bool nacre_ssh_config_at(const nacre_ssh_config *c, size_t index, const char **keyword,
                         const char **value)
{
    if (index >= c->count) {
        return false;
    }
    *keyword = c->entries[index].keyword->name;
    *value = c->entries[index].value;
    return true;
}
