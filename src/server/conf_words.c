/*
 * conf_words.c - a line of sshd_config as a whole: its words, its rest as it stands, and where it is. How
 * words are written is in base/words.c.
 */
#include "server/sshd_config.h"

#include "base/words.h"

#include <stdio.h>
#include <string.h>

int nc_conf_fail(nacre_error *err, const nc_conf_line *l, int status, const char *fmt, ...)
{
    char text[512];
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    if (l->number == 0) {
        return nc_fail(err, status, "%s: %s", l->file, text);
    }
    return nc_fail(err, status, "%s line %u: %s", l->file, l->number, text);
}

/* The words behind the keyword, one behind the other into out: together they are no longer than the line. */
static int cut_words(nc_conf_line *l, const char *p, char *out, nacre_error *err)
{
    const char *end = l->text + strlen(l->raw) + 1;
    int got;
    while ((got = nc_next_word(&p, out, (size_t)(end - out))) == 1) {
        if (l->count == NC_CONF_MAX_WORDS) {
            return nc_conf_fail(err, l, NACRE_LIMIT, "more than %d words", NC_CONF_MAX_WORDS);
        }
        l->words[l->count++] = out;
        out += strlen(out) + 1;
    }
    return got == 0 ? NACRE_OK : nc_conf_fail(err, l, NACRE_SYNTAX, "a quote is not closed");
}

int nc_conf_split(nc_conf_line *l, const nacre_allocator *a, nacre_span text, nacre_error *err)
{
    text = nc_trim_blanks(text);
    l->count = 0;
    l->text = l->raw = l->whole = NULL;
    if (text.n == 0 || text.p[0] == '#') {
        return NACRE_OK;
    }
    if (memchr(text.p, 0, text.n)) {
        return nc_conf_fail(err, l, NACRE_SYNTAX, "there is a zero byte in it");
    }
    l->text = nc_strndup(a, text);
    l->raw = nc_strndup(a, text);
    l->whole = nc_strndup(a, text);
    if (!l->text || !l->raw || !l->whole) {
        return nc_conf_fail(err, l, NACRE_NO_MEMORY, "out of memory");
    }
    l->rest = l->raw;
    nacre_span keyword = nc_next_keyword(&l->rest);
    if (keyword.n == 0) {
        return nc_conf_fail(err, l, NACRE_SYNTAX, "there is no keyword");
    }
    l->text[keyword.n] = '\0';
    l->words[l->count++] = l->text;
    /* At the end of the line nothing is left to put a word into, and none comes. */
    return *l->rest ? cut_words(l, l->rest, l->text + keyword.n + 1, err) : NACRE_OK;
}

void nc_conf_clear(nc_conf_line *l, const nacre_allocator *a)
{
    nc_free(a, l->text);
    nc_free(a, l->raw);
    nc_free(a, l->whole);
    l->text = l->raw = l->whole = NULL;
    l->count = 0;
}
