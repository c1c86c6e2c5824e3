/*
 * sshd_match.c - Match blocks: what stands behind a Match, whether it fits a connection, and the
 * configuration that comes of it.
 *
 * A criterion whose fact is not known is no match, and neither is one behind "!" then: a block that opens
 * something must not open for somebody of whom nothing is known.
 */
#include "server/sshd_config.h"

#include "base/words.h"
#include "keys/pattern.h"
#include "nacre/nacre.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

void nacre_sshd_facts_init(nacre_sshd_facts *f)
{
    memset(f, 0, sizeof(*f));
    f->size = sizeof(*f);
}

bool nacre_sshd_config_has_match(const nacre_sshd_config *c)
{
    return c->block_count > 0;
}

/* ---- criteria ------------------------------------------------------------------------------------------- */

static bool in_list(const char *text, const char *list, bool ignore_case)
{
    return text &&
           nc_pattern_list(nc_span_cstr(text), nc_span_cstr(list), ignore_case) == NC_MATCH_YES;
}

static bool fits_all(const nacre_sshd_facts *f, const char *value)
{
    (void)f;
    (void)value;
    return true;
}

static bool fits_invalid_user(const nacre_sshd_facts *f, const char *value)
{
    (void)value;
    return f->user && f->user_invalid;
}

static bool fits_user(const nacre_sshd_facts *f, const char *value)
{
    return in_list(f->user, value, false);
}

/* A group that the list excludes decides, whatever the others say. */
static bool fits_group(const nacre_sshd_facts *f, const char *value)
{
    bool found = false;
    for (size_t i = 0; f->user && i < f->group_count; i++) {
        nc_match m = nc_pattern_list(nc_span_cstr(f->groups[i]), nc_span_cstr(value), false);
        if (m == NC_MATCH_NEGATED) {
            return false;
        }
        found = found || m == NC_MATCH_YES;
    }
    return found;
}

static bool fits_host(const nacre_sshd_facts *f, const char *value)
{
    return in_list(f->host ? f->host : f->address, value, true);
}

static bool in_addresses(const char *address, const char *list)
{
    return address && nc_peer_list(nc_span_cstr(address), nc_span(NULL, 0), nc_span_cstr(list)) ==
                          NC_MATCH_YES;
}

static bool fits_address(const nacre_sshd_facts *f, const char *value)
{
    return in_addresses(f->address, value);
}

static bool fits_local_address(const nacre_sshd_facts *f, const char *value)
{
    return in_addresses(f->local_address, value);
}

static bool fits_local_port(const nacre_sshd_facts *f, const char *value)
{
    uint32_t port = 0;
    return nc_parse_number(value, 1, 65535, &port) && port == f->local_port;
}

static bool fits_rdomain(const nacre_sshd_facts *f, const char *value)
{
    return in_list(f->rdomain, value, false);
}

static bool fits_version(const nacre_sshd_facts *f, const char *value)
{
    char text[64];
    (void)f;
    (void)snprintf(text, sizeof(text), "nacre_%s", nacre_version());
    return in_list(text, value, false);
}

static bool good_list(const char *value)
{
    return value[0] != '\0';
}

static bool good_addresses(const char *value)
{
    return value[0] && nc_peer_list(nc_span_cstr("192.0.2.1"), nc_span(NULL, 0),
                                    nc_span_cstr(value)) != NC_MATCH_BAD;
}

static bool good_port(const char *value)
{
    uint32_t port = 0;
    return nc_parse_number(value, 1, 65535, &port);
}

struct nc_conf_criterion_row {
    const char *name;
    bool (*fits)(const nacre_sshd_facts *f, const char *value);
    bool (*good)(const char *value); /* NULL: there is no value */
    bool alone;
};

static const nc_conf_criterion_row criteria[] = {
    {"all", fits_all, NULL, true},
    {"invalid-user", fits_invalid_user, NULL, false},
    {"user", fits_user, good_list, false},
    {"group", fits_group, good_list, false},
    {"host", fits_host, good_list, false},
    {"address", fits_address, good_addresses, false},
    {"localaddress", fits_local_address, good_addresses, false},
    {"localport", fits_local_port, good_port, false},
    {"rdomain", fits_rdomain, good_list, false},
    {"version", fits_version, good_list, false},
};

/* "user bob" are two words, "user=bob" is one. */
static const nc_conf_criterion_row *find_criterion(const char *word, const char **value)
{
    size_t n = strcspn(word, "=");
    *value = word[n] ? word + n + 1 : NULL;
    for (size_t i = 0; i < sizeof(criteria) / sizeof(criteria[0]); i++) {
        if (strlen(criteria[i].name) == n && strncasecmp(criteria[i].name, word, n) == 0) {
            return &criteria[i];
        }
    }
    return NULL;
}

/* ---- the Match line ---------------------------------------------------------------------------------------- */

static int add_criterion(nacre_sshd_config *c, nc_conf_block *b, const nc_conf_criterion_row *row,
                         const char *value)
{
    char *copy = nc_strdup(c->alloc, value ? value : "");
    nc_conf_criterion *grown =
        copy ? nc_resize(c->alloc, b->criteria, (b->count + 1) * sizeof(*grown)) : NULL;
    if (!grown) {
        nc_free(c->alloc, copy);
        return NACRE_NO_MEMORY;
    }
    b->criteria = grown;
    grown[b->count].row = row;
    grown[b->count].value = copy;
    b->count++;
    return NACRE_OK;
}

static int read_criteria(nacre_sshd_config *c, nc_conf_block *b, const nc_conf_line *l,
                         nacre_error *err)
{
    for (size_t i = 1; i < l->count; i++) {
        const char *value = NULL;
        const nc_conf_criterion_row *row = find_criterion(l->words[i], &value);
        if (!row) {
            return nc_conf_fail(err, l, NACRE_SYNTAX, "Match does not know the criterion \"%s\"",
                                NC_ESC(nc_span_cstr(l->words[i])));
        }
        if (row->alone && l->count > 2) {
            return nc_conf_fail(err, l, NACRE_SYNTAX,
                                "Match %s stands alone: no criterion goes with it", row->name);
        }
        if (row->good && !value) {
            value = ++i < l->count ? l->words[i] : NULL;
        }
        if (!row->good && value) {
            return nc_conf_fail(err, l, NACRE_SYNTAX, "Match %s takes no value", row->name);
        }
        if (row->good && (!value || !row->good(value))) {
            return nc_conf_fail(err, l, NACRE_SYNTAX, "Match %s cannot be \"%s\"", row->name,
                                NC_ESC(nc_span_cstr(value)));
        }
        if (add_criterion(c, b, row, value) != NACRE_OK) {
            return nc_conf_fail(err, l, NACRE_NO_MEMORY, "out of memory");
        }
    }
    return NACRE_OK;
}

int nc_conf_set_match(nacre_sshd_config *c, const nc_conf_row *row, const nc_conf_line *l,
                      nacre_error *err)
{
    (void)row;
    if (l->number == 0) {
        return nc_conf_fail(err, l, NACRE_SYNTAX, "Match needs a file to stand in");
    }
    if (c->block_count >= NC_CONF_MAX_BLOCKS) {
        return nc_conf_fail(err, l, NACRE_LIMIT, "more than %d Match blocks", NC_CONF_MAX_BLOCKS);
    }
    nc_conf_block *grown = nc_resize(c->alloc, c->blocks, (c->block_count + 1) * sizeof(*grown));
    if (!grown) {
        return nc_conf_fail(err, l, NACRE_NO_MEMORY, "out of memory");
    }
    c->blocks = grown;
    nc_conf_block *b = &grown[c->block_count++];
    memset(b, 0, sizeof(*b));
    b->parent = c->outer;
    c->block = c->block_count;
    return read_criteria(c, b, l, err);
}

bool nc_conf_unconditional(const nacre_sshd_config *c)
{
    for (size_t at = c->block; at; at = c->blocks[at - 1].parent) {
        const nc_conf_block *b = &c->blocks[at - 1];
        for (size_t i = 0; i < b->count; i++) {
            if (b->criteria[i].row->fits != fits_all) {
                return false;
            }
        }
    }
    return true;
}

void nc_conf_drop_blocks(nacre_sshd_config *c)
{
    for (size_t i = 0; i < c->block_count; i++) {
        for (size_t k = 0; k < c->blocks[i].count; k++) {
            nc_free(c->alloc, c->blocks[i].criteria[k].value);
        }
        nc_free(c->alloc, c->blocks[i].criteria);
    }
    nc_free(c->alloc, c->blocks);
    for (size_t i = 0; i < c->line_count; i++) {
        nc_free(c->alloc, c->lines[i].text);
        nc_free(c->alloc, c->lines[i].file);
    }
    nc_free(c->alloc, c->lines);
}

int nc_conf_keep(nacre_sshd_config *c, const nc_conf_line *l, size_t block)
{
    if (c->line_count >= NC_CONF_MAX_LINES) {
        return NACRE_LIMIT;
    }
    if (c->line_count == c->line_room) {
        size_t room = c->line_room ? 2 * c->line_room : 64;
        nc_conf_kept *grown = nc_resize(c->alloc, c->lines, room * sizeof(*grown));
        if (!grown) {
            return NACRE_NO_MEMORY;
        }
        c->lines = grown;
        c->line_room = room;
    }
    nc_conf_kept *k = &c->lines[c->line_count];
    k->text = nc_strdup(c->alloc, l->whole);
    k->file = nc_strdup(c->alloc, l->file);
    k->number = l->number;
    k->block = block;
    if (!k->text || !k->file) {
        nc_free(c->alloc, k->text);
        nc_free(c->alloc, k->file);
        return NACRE_NO_MEMORY;
    }
    c->line_count++;
    return NACRE_OK;
}

/* ---- the configuration of a connection ----------------------------------------------------------------------- */

static bool block_fits(const nc_conf_block *b, const nacre_sshd_facts *f)
{
    for (size_t i = 0; i < b->count; i++) {
        if (!b->criteria[i].row->fits(f, b->criteria[i].value)) {
            return false;
        }
    }
    return true;
}

/* Outer blocks come first, so that each finds its parent's answer. */
static void judge_blocks(const nacre_sshd_config *c, const nacre_sshd_facts *f, bool *holds)
{
    holds[0] = true;
    for (size_t i = 0; i < c->block_count; i++) {
        holds[i + 1] = holds[c->blocks[i].parent] && block_fits(&c->blocks[i], f);
    }
}

static int replay(nacre_sshd_config *to, const nacre_sshd_config *c, const bool *holds, bool global,
                  nacre_error *err)
{
    bool passed[NC_CONF_ROWS] = {false};
    int rc = NACRE_OK;
    if (global) {
        memcpy(passed, to->seen, sizeof(passed));
        passed[nc_conf_find_row("Subsystem")] = false; /* by name, the first one counts */
    }
    for (size_t i = 0; rc == NACRE_OK && i < c->line_count; i++) {
        const nc_conf_kept *k = &c->lines[i];
        if ((k->block == 0) == global && holds[k->block]) {
            rc = nc_conf_one_line(to, nc_span_cstr(k->text), k->file, k->number, passed, err);
        }
    }
    return rc;
}

int nacre_sshd_config_match(nacre_sshd_config **out, const nacre_sshd_config *c,
                            const nacre_sshd_facts *facts, nacre_error *err)
{
    nc_error_clear(err);
    nacre_sshd_config *to = NULL;
    *out = NULL;
    if (!c->finished || c->is_copy) {
        return nc_fail(err, NACRE_WRONG_STATE, "only a finished configuration can be matched");
    }
    bool *holds = nc_alloc_array(c->alloc, c->block_count + 1, sizeof(*holds));
    int rc = holds ? nacre_sshd_config_new(&to, c->alloc) : NACRE_NO_MEMORY;
    if (rc == NACRE_OK) {
        to->is_copy = true;
        judge_blocks(c, facts, holds);
        rc = replay(to, c, holds, false, err);
    }
    /* As sshd: the two values of RekeyLimit are two settings. */
    bool keep_time = rc == NACRE_OK && to->seen[nc_conf_find_row("RekeyLimit")] && !to->rekey_time;
    rc = rc == NACRE_OK ? replay(to, c, holds, true, err) : rc;
    rc = rc == NACRE_OK ? nacre_sshd_config_finish(to, err) : rc;
    nc_free(c->alloc, holds);
    if (keep_time && rc == NACRE_OK) {
        to->s.rekey_seconds = c->s.rekey_seconds;
    }
    if (rc != NACRE_OK) {
        nacre_sshd_config_free(to);
        return nc_fail(err, rc, "the configuration of a connection could not be made");
    }
    *out = to;
    return NACRE_OK;
}
