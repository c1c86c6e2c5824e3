/*
 * environment.c - files of variables: the user's ~/.ssh/environment (sshd(8)) and the system's, which pam_env
 * and shells read too.
 */
#include "nacre/sshd_config.h"

#include "base/error.h"
#include "base/words.h"

#include <string.h>

static nacre_span skip(nacre_span s, size_t n)
{
    return (nacre_span){s.p + n, s.n - n};
}

static nacre_span skip_tabs(nacre_span s)
{
    while (s.n && (s.p[0] == ' ' || s.p[0] == '\t')) {
        s = skip(s, 1);
    }
    return s;
}

/* What a shell could set. */
static bool is_plain_name(nacre_span s)
{
    for (size_t i = 0; i < s.n; i++) {
        uint8_t c = s.p[i];
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
        if (!letter && c != '_' && !(c >= '0' && c <= '9')) {
            return false;
        }
    }
    return true;
}

/* The system's files have blanks behind values and quotes around them, and "export" in front. */
static nacre_span skip_export(nacre_span line)
{
    static const char word[] = "export";
    size_t n = sizeof(word) - 1;
    bool there =
        line.n > n && memcmp(line.p, word, n) == 0 && (line.p[n] == ' ' || line.p[n] == '\t');
    return there ? skip_tabs(skip(line, n)) : line;
}

static nacre_span unquote(nacre_span value)
{
    while (value.n && strchr(" \t\r", value.p[value.n - 1])) {
        value.n--;
    }
    bool quoted = value.n >= 2 && (value.p[0] == '"' || value.p[0] == '\'') &&
                  value.p[value.n - 1] == value.p[0];
    return quoted ? (nacre_span){value.p + 1, value.n - 2} : value;
}

/* 1: it is in pair; 0: the line says nothing. */
static int take_line(nacre_span line, size_t number, nacre_env_syntax syntax, nacre_room pair,
                     nacre_error *err)
{
    line = skip_tabs(line);
    if (line.n == 0 || line.p[0] == '#') {
        return 0;
    }
    if (memchr(line.p, 0, line.n)) {
        return nc_fail(err, NACRE_SYNTAX, "line %zu has a zero byte in it", number);
    }
    if (syntax == NACRE_ENV_SYSTEM) {
        line = skip_export(line);
    }
    const uint8_t *equals = line.n ? memchr(line.p, '=', line.n) : NULL;
    if (!equals || equals == line.p) {
        return nc_fail(err, NACRE_SYNTAX, "line %zu is not NAME=value", number);
    }
    nacre_span name = {line.p, (size_t)(equals - line.p)};
    nacre_span value = skip(line, name.n + 1);
    if (syntax == NACRE_ENV_SYSTEM) {
        if (!is_plain_name(name)) {
            return nc_fail(err, NACRE_SYNTAX, "line %zu: '%s' is no name of a variable", number,
                           NC_ESC(name));
        }
        value = unquote(value);
    }
    if (name.n + 1 + value.n >= pair.n) {
        return nc_fail(err, NACRE_TOO_LARGE, "line %zu is longer than %zu bytes", number, pair.n);
    }
    memcpy(pair.p, name.p, name.n);
    pair.p[name.n] = '=';
    if (value.n) {
        memcpy(pair.p + name.n + 1, value.p, value.n);
    }
    pair.p[name.n + 1 + value.n] = '\0';
    return 1;
}

int nacre_env_next(nacre_span *text, size_t *line_number, nacre_env_syntax syntax, char *pair,
                   size_t size, nacre_error *err)
{
    nacre_span line;
    nc_error_clear(err);
    while (nc_next_line(text, &line)) {
        if (*line_number >= NACRE_ENV_LINES) {
            *text = skip(*text, text->n);
            return nc_fail(err, NACRE_LIMIT, "more than %d lines; what follows is not read",
                           NACRE_ENV_LINES);
        }
        *line_number += 1;
        int rc = take_line(line, *line_number, syntax, (nacre_room){(uint8_t *)pair, size}, err);
        if (rc != 0) {
            return rc;
        }
    }
    return 0;
}
