/*
 * sshd_sources.c - keywords about where connections come from: PerSourceMaxStartups, PerSourceNetBlockSize,
 * PerSourcePenalties and PerSourcePenaltyExemptList.
 */
#include "server/sshd_config.h"

#include "base/words.h"
#include "keys/pattern.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

/* "none" or a number; none is 0 here. */
int nc_conf_set_per_source(nacre_sshd_config *c, const nc_conf_row *row, const nc_conf_line *l,
                           nacre_error *err)
{
    uint32_t *to = &c->s.sources.per_source;
    int rc = nc_conf_only_one(err, l, row);
    if (rc != NACRE_OK) {
        return rc;
    }
    *to = 0;
    if (strcasecmp(l->words[1], "none") == 0 || nc_parse_number(l->words[1], 1, INT32_MAX, to)) {
        return NACRE_OK;
    }
    return nc_conf_bad_value(err, l, row, "a number from 1 on is wanted, or none");
}

int nc_conf_set_net_blocks(nacre_sshd_config *c, const nc_conf_row *row, const nc_conf_line *l,
                           nacre_error *err)
{
    char text[16] = "";
    int rc = nc_conf_only_one(err, l, row);
    if (rc != NACRE_OK) {
        return rc;
    }
    int n = snprintf(text, sizeof(text), "%s", l->words[1]);
    char *six = strchr(text, ':');
    if (six) {
        *six++ = '\0';
    }
    c->s.sources.block6 = 128;
    bool good = n > 0 && (size_t)n < sizeof(text) &&
                nc_parse_number(text, 0, 32, &c->s.sources.block4) &&
                (!six || nc_parse_number(six, 0, 128, &c->s.sources.block6));
    return good ? NACRE_OK
                : nc_conf_bad_value(err, l, row, "bits of IPv4 and IPv6 are wanted, as 32:64");
}

/* ---- PerSourcePenalties ---------------------------------------------------------------------------------- */

typedef enum word_kind { A_TIME, A_NUMBER, A_MODE } word_kind;

typedef struct penalty_word {
    const char *name;
    word_kind kind;
    size_t at; /* in nacre_source_rules */
} penalty_word;

#define OF_OFFENCE(o)   (offsetof(nacre_source_rules, penalty_ms) + (o) * sizeof(uint32_t))
#define IN_RULES(field) offsetof(nacre_source_rules, field)

/* In the order of -T. */
static const penalty_word penalty_words[] = {
    {"crash", A_TIME, OF_OFFENCE(NACRE_OFFENCE_CRASH)},
    {"authfail", A_TIME, OF_OFFENCE(NACRE_OFFENCE_AUTH_FAIL)},
    {"noauth", A_TIME, OF_OFFENCE(NACRE_OFFENCE_NO_AUTH)},
    {"grace-exceeded", A_TIME, OF_OFFENCE(NACRE_OFFENCE_GRACE)},
    {"refuseconnection", A_TIME, OF_OFFENCE(NACRE_OFFENCE_REFUSED)},
    {"max", A_TIME, IN_RULES(penalty_max_ms)},
    {"min", A_TIME, IN_RULES(penalty_min_ms)},
    {"max-sources4", A_NUMBER, IN_RULES(max_sources4)},
    {"max-sources6", A_NUMBER, IN_RULES(max_sources6)},
    {"overflow", A_MODE, IN_RULES(deny_overflow4)},
    {"overflow6", A_MODE, IN_RULES(deny_overflow6)},
};
enum {
    WORDS = sizeof(penalty_words) / sizeof(penalty_words[0]),
    MAX_SECONDS = UINT32_MAX / 1000, /* 49 days */
    MAX_SOURCES = 1 << 24            /* some 2 GiB: more is a mistake */
};

static bool set_time(uint32_t *ms, const char *text)
{
    uint32_t seconds = 0;
    if (!nc_parse_time(text, &seconds) || seconds > MAX_SECONDS) {
        return false;
    }
    *ms = seconds * 1000;
    return true;
}

static bool set_mode(bool *deny, const char *text)
{
    *deny = strcasecmp(text, "deny-all") == 0;
    return *deny || strcasecmp(text, "permissive") == 0;
}

static bool set_word(nacre_source_rules *r, const penalty_word *w, const char *text)
{
    void *at = (char *)r + w->at;
    switch (w->kind) {
    case A_TIME:
        return set_time(at, text);
    case A_NUMBER:
        return nc_parse_number(text, 1, MAX_SOURCES, at);
    default:
        return set_mode(at, text);
    }
}

/* Which word "crash:2m" is about, and where its value begins; WORDS: none. */
static size_t find_word(const char *text, const char **value)
{
    const char *colon = strchr(text, ':');
    for (size_t i = 0; colon && i < WORDS; i++) {
        const char *name = penalty_words[i].name;
        if (strlen(name) == (size_t)(colon - text) && strncasecmp(text, name, strlen(name)) == 0) {
            *value = colon + 1;
            return i;
        }
    }
    return WORDS;
}

/* Of each word the first one counts, over all lines. */
static bool first_time(nacre_sshd_config *c, size_t word)
{
    uint32_t bit = 1U << word;
    bool first = (c->penalty_words & bit) == 0;
    c->penalty_words |= bit;
    return first;
}

static bool set_penalty(nacre_sshd_config *c, const char *text)
{
    const char *value = "";
    nacre_source_rules r = c->s.sources;
    size_t w = find_word(text, &value);
    if (w == WORDS || !set_word(&r, &penalty_words[w], value)) {
        return false;
    }
    if (first_time(c, w)) {
        c->s.sources = r;
    }
    return true;
}

int nc_conf_set_penalties(nacre_sshd_config *c, const nc_conf_row *row, const nc_conf_line *l,
                          nacre_error *err)
{
    nacre_source_rules *r = &c->s.sources;
    bool no = l->count == 2 && strcasecmp(l->words[1], "no") == 0;
    bool yes = l->count == 2 && strcasecmp(l->words[1], "yes") == 0;
    if ((yes || no) && first_time(c, WORDS)) {
        r->penalties = yes;
    }
    for (size_t i = 1; !yes && !no && i < l->count; i++) {
        if (!set_penalty(c, l->words[i])) {
            return nc_conf_bad_value(err, l, row,
                                     "words such as crash:2m, max-sources4:1000 or "
                                     "overflow:deny-all are wanted, or no");
        }
    }
    if ((c->penalty_words & 1U << (WORDS - 1)) == 0) {
        r->deny_overflow6 = r->deny_overflow4; /* overflow alone is for both */
    }
    return NACRE_OK;
}

int nc_conf_check_sources(const nacre_sshd_config *c, nacre_error *err)
{
    const nacre_source_rules *r = &c->s.sources;
    if (r->penalties && r->penalty_min_ms > r->penalty_max_ms) {
        return nc_fail(err, NACRE_SYNTAX,
                       "PerSourcePenalties: min, %u s, must not be above max, %u s",
                       (unsigned)(r->penalty_min_ms / 1000), (unsigned)(r->penalty_max_ms / 1000));
    }
    return NACRE_OK;
}

int nc_conf_set_exempt_list(nacre_sshd_config *c, const nc_conf_row *row, const nc_conf_line *l,
                            nacre_error *err)
{
    int rc = nc_conf_only_one(err, l, row);
    if (rc != NACRE_OK || strcasecmp(l->words[1], "none") == 0) {
        return rc;
    }
    if (nc_peer_list(nc_span_cstr("192.0.2.1"), nc_span(NULL, 0), nc_span_cstr(l->words[1])) ==
        NC_MATCH_BAD) {
        return nc_conf_bad_value(err, l, row, "addresses and blocks are wanted, with commas");
    }
    return nc_conf_store_text(c, nc_conf_field(c, row), l->words[1], l, err);
}

void nc_conf_penalties_text(const nacre_source_rules *r, char *text, size_t size)
{
    size_t n = 0;
    (void)snprintf(text, size, "no");
    for (size_t i = 0; r->penalties && i < WORDS && n < size; i++) {
        const penalty_word *w = &penalty_words[i];
        const void *at = (const char *)r + w->at;
        char value[16];
        if (w->kind == A_MODE) {
            (void)snprintf(value, sizeof(value), "%s",
                           *(const bool *)at ? "deny-all" : "permissive");
        } else {
            uint32_t number = *(const uint32_t *)at;
            (void)snprintf(value, sizeof(value), "%lu",
                           (unsigned long)(w->kind == A_TIME ? number / 1000 : number));
        }
        int put = snprintf(text + n, size - n, "%s%s:%s", i ? " " : "", w->name, value);
        n += put > 0 ? (size_t)put : 0;
    }
}
