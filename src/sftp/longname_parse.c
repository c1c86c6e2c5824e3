/*
 * longname_parse.c - what a line of ls -l says, as servers write it in their own ways: month first or
 * day first, ISO dates, names of users with spaces, devices, question marks. The line is the peer's:
 * everything is found by tokens within it, and what does not fit is no such line.
 */
#include "sftp/sftp.h"

#include <string.h>

enum {
    MAX_TOKENS = 24, /* before the name; a group's name may have several words */
    MODE_LETTERS = 10
};

typedef struct line {
    nacre_span text;
    nacre_span tokens[MAX_TOKENS];
    size_t count;
} line;

static bool is_space(uint8_t c)
{
    return c == ' ' || c == '\t';
}

static void split(line *l)
{
    size_t at = 0;
    while (l->count < MAX_TOKENS) {
        while (at < l->text.n && is_space(l->text.p[at])) {
            at++;
        }
        size_t from = at;
        while (at < l->text.n && !is_space(l->text.p[at])) {
            at++;
        }
        if (at == from) {
            return;
        }
        l->tokens[l->count++] = nc_span(l->text.p + from, at - from);
    }
}

/* ---- tokens ------------------------------------------------------------------------------------------- */

static bool is_digit(uint8_t c)
{
    return c >= '0' && c <= '9';
}

static bool number(nacre_span t, uint64_t *out)
{
    uint64_t v = 0;
    for (size_t i = 0; i < t.n; i++) {
        uint64_t digit = (uint64_t)t.p[i] - '0';
        if (!is_digit(t.p[i]) || v > (UINT64_MAX - digit) / 10) {
            return false;
        }
        v = v * 10 + digit;
    }
    *out = v;
    return t.n > 0;
}

static bool is_number(nacre_span t, uint64_t least, uint64_t most)
{
    uint64_t v;
    return number(t, &v) && v >= least && v <= most;
}

/* "Jan", and what other languages have in its place: no digit, no colon. */
static bool is_month(nacre_span t)
{
    for (size_t i = 0; i < t.n; i++) {
        if (is_digit(t.p[i]) || t.p[i] == ':' || t.p[i] == '-') {
            return false;
        }
    }
    return t.n >= 3 && t.n <= 12;
}

static bool is_day(nacre_span t)
{
    if (t.n > 1 && t.p[t.n - 1] == '.') {
        t.n--; /* "7." */
    }
    return t.n <= 2 && is_number(t, 1, 31);
}

/* HH:MM, with seconds and their fractions or without. */
static bool is_clock(nacre_span t)
{
    size_t colons = 0;
    for (size_t i = 0; i < t.n; i++) {
        colons += t.p[i] == ':';
        if (!is_digit(t.p[i]) && t.p[i] != ':' && t.p[i] != '.') {
            return false;
        }
    }
    return colons > 0 && t.n >= 4 && is_digit(t.p[0]);
}

static bool is_year(nacre_span t)
{
    return t.n >= 4 && t.n <= 6 && is_number(t, 1000, 999999);
}

static bool is_iso_date(nacre_span t)
{
    return t.n == 10 && t.p[4] == '-' && t.p[7] == '-' && is_number(nc_span(t.p, 4), 0, 9999) &&
           is_number(nc_span(t.p + 5, 2), 1, 12) && is_number(nc_span(t.p + 8, 2), 1, 31);
}

static bool is_zone(nacre_span t)
{
    return t.n == 5 && (t.p[0] == '+' || t.p[0] == '-') && is_number(nc_span(t.p + 1, 4), 0, 2400);
}

/* Tokens of a date that begins at i; 0: none does. */
static size_t date_at(const line *l, size_t i)
{
    const nacre_span *t = l->tokens + i;
    size_t left = l->count - i;
    if (left >= 2 && is_iso_date(t[0]) && is_clock(t[1])) {
        return left >= 3 && is_zone(t[2]) ? 3 : 2;
    }
    if (left >= 2 && nc_span_is(t[0], "(unknown") && nc_span_is(t[1], "date)")) {
        return 2; /* what paramiko says */
    }
    bool order =
        left >= 3 && ((is_month(t[0]) && is_day(t[1])) || (is_day(t[0]) && is_month(t[1])));
    return order && (is_clock(t[2]) || is_year(t[2])) ? 3 : 0;
}

/* ---- the mode ----------------------------------------------------------------------------------------- */

static bool type_of(uint8_t letter, uint32_t *type)
{
    static const struct {
        char letter;
        uint32_t type;
    } rows[] = {
        {'-', NACRE_SFTP_S_IFREG},
        {'d', NACRE_SFTP_S_IFDIR},
        {'l', NACRE_SFTP_S_IFLNK},
        {'s', NACRE_SFTP_S_IFSOCK},
        {'p', NACRE_SFTP_S_IFIFO},
        {'c', NACRE_SFTP_S_IFCHR},
        {'b', NACRE_SFTP_S_IFBLK},
        {'?', 0},
        {'D', 0},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        if (letter == (uint8_t)rows[i].letter) {
            *type = rows[i].type;
            return true;
        }
    }
    return false;
}

/* One of the nine letters behind the type: its bit, or a special one with or without it. */
static bool mode_letter(uint8_t c, unsigned place, uint32_t *mode)
{
    static const char plain[] = "rwx";
    static const uint32_t special[] = {04000, 02000, 01000};
    uint32_t bit = UINT32_C(0400) >> place;
    unsigned which = place % 3;
    if (c == (uint8_t)plain[which]) {
        *mode |= bit;
        return true;
    }
    if (c == '-') {
        return true;
    }
    const char *pair = which != 2 ? "" : place == 8 ? "tT" : "sS";
    if (pair[0] && (c == (uint8_t)pair[0] || c == (uint8_t)pair[1])) {
        *mode |= special[place / 3] | (c == (uint8_t)pair[0] ? bit : 0);
        return true;
    }
    return place == 5 && (c == 'l' || c == 'L'); /* mandatory locking, of old systems */
}

static bool take_mode(nacre_span t, nacre_sftp_longname_parts *out)
{
    uint32_t type = 0;
    uint32_t mode = 0;
    /* One more: '+', '.', '@' for lists and labels. */
    bool known = t.n >= MODE_LETTERS && t.n <= MODE_LETTERS + 1;
    if (!known || memcmp(t.p, "??????????", MODE_LETTERS) == 0) {
        return known;
    }
    if (!type_of(t.p[0], &type)) {
        return false;
    }
    for (unsigned i = 0; i < 9; i++) {
        if (!mode_letter(t.p[1 + i], i, &mode)) {
            return false;
        }
    }
    out->permissions = type | mode;
    out->known |= NACRE_SFTP_LONGNAME_MODE;
    return true;
}

/* ---- the line ----------------------------------------------------------------------------------------- */

static nacre_span from_to(nacre_span first, nacre_span last)
{
    return nc_span(first.p, (size_t)(last.p + last.n - first.p));
}

/* Behind the mode: links (which some leave out), user, group of one or more words. */
static void take_owners(const line *l, size_t end, nacre_sftp_longname_parts *out)
{
    size_t i = 1;
    bool links = end > 2 && (number(l->tokens[1], &out->nlink) || nc_span_is(l->tokens[1], "?"));
    if (links) {
        out->known |= nc_span_is(l->tokens[1], "?") ? 0u : NACRE_SFTP_LONGNAME_NLINK;
        i++;
    }
    if (i < end && !nc_span_is(l->tokens[i], "?")) {
        out->user = l->tokens[i];
        out->known |= NACRE_SFTP_LONGNAME_USER;
    }
    i++;
    if (i < end && !nc_span_is(l->tokens[i], "?")) {
        out->group = from_to(l->tokens[i], l->tokens[end - 1]);
        out->known |= NACRE_SFTP_LONGNAME_GROUP;
    }
}

/* The size stands before the date; a device's numbers ("1, 3") in its place. *end: where it begins. */
static bool take_size(const line *l, size_t date, size_t *end, nacre_sftp_longname_parts *out)
{
    nacre_span t = l->tokens[date - 1];
    nacre_span before = l->tokens[date - 2];
    *end = date - 1;
    if (before.n > 1 && before.p[before.n - 1] == ',') {
        *end = date - 2;
        return is_number(t, 0, UINT32_MAX);
    }
    if (number(t, &out->size)) {
        out->known |= NACRE_SFTP_LONGNAME_SIZE;
        return true;
    }
    return nc_span_is(t, "?");
}

int nacre_sftp_longname_parse(nacre_span longname, nacre_sftp_longname_parts *out)
{
    line l = {.text = longname};
    memset(out, 0, sizeof(*out));
    if (nc_sftp_has_nul(longname)) {
        return NACRE_SYNTAX;
    }
    split(&l);
    nacre_sftp_longname_parts found;
    memset(&found, 0, sizeof(found));
    if (l.count == 0 || !take_mode(l.tokens[0], &found)) {
        return NACRE_SYNTAX;
    }
    /* The first date with a size before it: further right it would be in the file's name. */
    for (size_t i = 3; i < l.count; i++) {
        size_t n = date_at(&l, i);
        size_t end = 0;
        if (n == 0 || !take_size(&l, i, &end, &found)) {
            continue;
        }
        take_owners(&l, end, &found);
        found.date = from_to(l.tokens[i], l.tokens[i + n - 1]);
        const uint8_t *behind = found.date.p + found.date.n;
        size_t left = (size_t)(longname.p + longname.n - behind);
        /* One space parts them; more belong to the name. */
        found.name = left > 0 ? nc_span(behind + 1, left - 1) : nc_span(behind, 0);
        *out = found;
        return NACRE_OK;
    }
    return NACRE_SYNTAX;
}
