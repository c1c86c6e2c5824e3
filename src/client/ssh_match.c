/*
 * ssh_match.c - the criteria of Match in ssh_config(5).
 *
 * All of them are looked at, also when the answer is known: what is wrong with a line shows wherever it is
 * used. Only "exec" runs nothing any more then.
 */
#include "client/ssh_config.h"
#include "io/interfaces.h"
#include "keys/pattern.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

enum { SUBJECT_MAX = 1024, COMMAND_MAX = 65536 };

/* One criterion at work. */
typedef struct question {
    nc_place *p;
    const char *name; /* without "!" */
    const char *list;
    bool decided; /* an earlier one said no */
} question;

static bool in_list(const char *subject, const char *list)
{
    return nc_pattern_list(nc_span_cstr(subject), nc_span_cstr(list), false) == NC_MATCH_YES;
}

/* Patterns of host names are looked at in lower case, names as they are: as ssh does it. */
static bool host_in_list(const char *subject, const char *list)
{
    char lower[SUBJECT_MAX];
    size_t n = strlen(list);
    if (n >= sizeof(lower)) {
        return in_list(subject, list);
    }
    for (size_t i = 0; i <= n; i++) {
        lower[i] = (char)(list[i] >= 'A' && list[i] <= 'Z' ? list[i] + ('a' - 'A') : list[i]);
    }
    return in_list(subject, lower);
}

static int ask_host(question *q, bool *hit)
{
    char host[SUBJECT_MAX];
    nacre_error why;
    nc_error_clear(&why);
    int rc = nc_conf_host_so_far(q->p->c, host, sizeof(host), &why);
    if (rc != NACRE_OK) {
        return nc_conf_complain(q->p, rc, "Match host: %s", why.text);
    }
    *hit = host_in_list(host, q->list);
    return NACRE_OK;
}

static int ask_original_host(question *q, bool *hit)
{
    *hit = host_in_list(q->p->c->host, q->list);
    return NACRE_OK;
}

static int ask_user(question *q, bool *hit)
{
    nacre_ssh_config *c = q->p->c;
    const char *set = c->user ? c->user : nacre_ssh_config_get(c, "User");
    *hit = in_list(set ? set : nc_conf_local_user(c), q->list);
    return NACRE_OK;
}

static int ask_local_user(question *q, bool *hit)
{
    *hit = in_list(nc_conf_local_user(q->p->c), q->list);
    return NACRE_OK;
}

static int ask_version(question *q, bool *hit)
{
    char version[64];
    (void)snprintf(version, sizeof(version), "nacre_%s", nacre_version());
    *hit = in_list(version, q->list);
    return NACRE_OK;
}

/* What is not set is matched by "" and nothing else. */
static bool maybe_in_list(const char *subject, const char *list)
{
    return subject && *subject ? in_list(subject, list) : !*list;
}

static int ask_tag(question *q, bool *hit)
{
    *hit = maybe_in_list(nacre_ssh_config_get(q->p->c, "Tag"), q->list);
    return NACRE_OK;
}

static int ask_command(question *q, bool *hit)
{
    *hit = maybe_in_list(q->p->c->command, q->list);
    return NACRE_OK;
}

static int ask_session(question *q, bool *hit)
{
    const nacre_ssh_config *c = q->p->c;
    const char *type = nacre_ssh_config_get(c, "SessionType");
    if (!type || strcasecmp(type, "default") == 0) {
        type = c->command && *c->command ? "exec" : "shell";
    }
    char lower[16];
    size_t n = 0;
    for (; type[n] && n + 1 < sizeof(lower); n++) {
        lower[n] = (char)tolower((unsigned char)type[n]);
    }
    lower[n] = '\0';
    *hit = in_list(lower, q->list);
    return NACRE_OK;
}

/* Every entry must be a block: a name would never match and look as if it could. */
static bool are_blocks(const char *list)
{
    nc_ip block;
    unsigned prefix;
    for (;;) {
        size_t n = strcspn(list, ",");
        bool negated = *list == '!';
        if (n == 0 || !nc_ip_parse_block(nc_span(list + negated, n - negated), &block, &prefix)) {
            return false;
        }
        if (!list[n]) {
            return true;
        }
        list += n + 1;
    }
}

static bool has_address(void *user, const char *address)
{
    const char *list = user;
    nacre_span none = {NULL, 0};
    return nc_peer_list(nc_span_cstr(address), none, nc_span_cstr(list)) == NC_MATCH_YES;
}

static int ask_network(question *q, bool *hit)
{
    if (!are_blocks(q->list)) {
        return nc_conf_complain(q->p, NACRE_SYNTAX,
                                "Match localnetwork: \"%s\" is no list of networks (192.0.2.0/24)",
                                NC_ESC(nc_span_cstr(q->list)));
    }
    *hit = nc_interfaces_any(has_address, (void *)(uintptr_t)q->list);
    return NACRE_OK;
}

static int ask_program(question *q, bool *hit)
{
    nacre_ssh_config *c = q->p->c;
    nacre_error why;
    nc_error_clear(&why);
    char *command = nc_alloc(c->alloc, COMMAND_MAX);
    if (!command) {
        return nc_conf_complain(q->p, NACRE_NO_MEMORY, "out of memory");
    }
    int rc = nc_conf_expand(c, q->list, NC_EXPAND_SHELL, command, COMMAND_MAX, &why);
    *hit = false;
    if (rc == NACRE_OK && !q->decided && !q->p->never) {
        rc = c->hooks.exec ? c->hooks.exec(c->hooks.user, command, hit, &why)
                           : nc_fail(&why, NACRE_UNSUPPORTED, "no program may be run here");
    }
    nc_free(c->alloc, command);
    return rc == NACRE_OK ? rc : nc_conf_complain(q->p, rc, "Match exec: %s", why.text);
}

static const struct criterion {
    const char *name;
    int (*ask)(question *q, bool *hit);
    bool may_be_empty;
} criteria[] = {
    {"host", ask_host, false},
    {"originalhost", ask_original_host, false},
    {"user", ask_user, false},
    {"localuser", ask_local_user, false},
    {"localnetwork", ask_network, false},
    {"version", ask_version, false},
    {"tagged", ask_tag, true},
    {"command", ask_command, true},
    {"sessiontype", ask_session, false},
    {"exec", ask_program, false},
};

static const struct criterion *find(const char *name, size_t n)
{
    for (size_t i = 0; i < sizeof(criteria) / sizeof(criteria[0]); i++) {
        if (strlen(criteria[i].name) == n && strncasecmp(criteria[i].name, name, n) == 0) {
            return &criteria[i];
        }
    }
    return NULL;
}

/* "host list", "host=list"; *i is the word of the name, and then the last one that belongs to it. */
static int one_criterion(nc_place *p, const nc_words *w, size_t *i, bool decided, bool *hit)
{
    bool negated = w->at[*i][0] == '!';
    const char *name = w->at[*i] + (negated ? 1 : 0);
    size_t n = strcspn(name, "=");
    const struct criterion *c = find(name, n);
    if (!c) {
        return nc_conf_complain(p, NACRE_UNKNOWN_NAME, "Match %s is not known",
                                NC_ESC(nc_span_cstr(name)));
    }
    const char *list = name[n] ? name + n + 1 : NULL;
    if (!list && *i + 1 < w->count) {
        list = w->at[++*i];
    }
    if (!list || (!*list && !c->may_be_empty)) {
        return nc_conf_complain(p, NACRE_SYNTAX, "Match %s needs a pattern list", c->name);
    }
    question q = {p, c->name, list, decided};
    int rc = c->ask(&q, hit);
    *hit = *hit != negated;
    return rc;
}

/* "all" stands alone, or behind one other ("canonical", "final"). */
static int check_all(const nc_place *p, const nc_words *w, size_t i, size_t before)
{
    return before > 1 || i + 1 < w->count
               ? nc_conf_complain(p, NACRE_SYNTAX,
                                  "Match all cannot be combined with other criteria")
               : NACRE_OK;
}

int nc_conf_match(nc_place *p, const nc_words *w, bool *active)
{
    bool all = true;
    *active = false;
    if (w->count == 0) {
        return nc_conf_complain(p, NACRE_SYNTAX, "Match needs at least one criterion");
    }
    for (size_t i = 0, before = 0; i < w->count; i++, before++) {
        bool negated = w->at[i][0] == '!', hit = false;
        const char *name = w->at[i] + (negated ? 1 : 0);
        bool final = strcasecmp(name, "final") == 0;
        int rc = NACRE_OK;
        if (strcasecmp(name, "all") == 0) {
            rc = check_all(p, w, i, before);
            hit = !negated;
        } else if (final || strcasecmp(name, "canonical") == 0) {
            p->c->want_final = p->c->want_final || (final && !negated);
            hit = p->c->final != negated;
        } else {
            rc = one_criterion(p, w, &i, !all, &hit);
        }
        if (rc != NACRE_OK) {
            return rc;
        }
        all = all && hit;
    }
    *active = all;
    return NACRE_OK;
}
