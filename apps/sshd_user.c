/*
 * sshd_user.c - who wants to log in: the account, the configuration that holds for it, and whether it may come at
 * all. Nothing here tells the client; what it is told, and when, is in sshd_auth.c.
 */
#include "sshd.h"

#include <grp.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

enum {
    BANNER_MAX = 64 * 1024, /* far above what anybody reads */
    MAX_GROUPS = 1024,
    DISCONNECT_BY_APPLICATION = 11 /* RFC 4253 11.1 */
};

/* ---- the account -------------------------------------------------------------------------------------------- */

static bool shell_runs(const nacre_account *a)
{
    struct stat st;
    return stat(a->shell, &st) == 0 && S_ISREG(st.st_mode) && (st.st_mode & 0111) != 0;
}

typedef struct group_names {
    const char *names[MAX_GROUPS];
    char text[MAX_GROUPS][256];
    size_t count;
    bool whole; /* all of them are there */
} group_names;

static const group_names *groups_of(const nacre_account *a)
{
    static group_names g; /* large; only one login at a time looks */
    g.count = 0;
    g.whole = a->group_count <= MAX_GROUPS;
    for (size_t i = 0; i < a->group_count && g.count < MAX_GROUPS; i++) {
        const struct group *row = getgrgid(a->groups[i]);
        if (row && strlen(row->gr_name) < sizeof(g.text[0])) {
            (void)snprintf(g.text[g.count], sizeof(g.text[0]), "%s", row->gr_name);
            g.names[g.count] = g.text[g.count];
            g.count++;
        }
    }
    return &g;
}

size_t user_groups(const char *name, const char *const **names)
{
    nacre_account *a = NULL;
    nacre_error why = {0};
    *names = NULL;
    if (!name || nacre_account_lookup(&a, NULL, name, &why) != NACRE_OK) {
        return 0;
    }
    const group_names *g = groups_of(a);
    nacre_account_free(a);
    *names = g->names;
    return g->count;
}

static bool lists_allow(const login *l, nacre_error *why)
{
    const nacre_account *a = l->account;
    const group_names *g = NULL;
    if (l->s->allow_groups.count + l->s->deny_groups.count > 0) {
        g = groups_of(a);
        /* A list that does not fit could hide a denied group. */
        if (!g->whole && l->s->deny_groups.count > 0) {
            return false;
        }
    }
    return nacre_sshd_config_user_allowed(l->config, a->name, g ? g->names : NULL, g ? g->count : 0,
                                          nacre_server_conn_peer(l->c)->address, why) == NACRE_OK;
}

/* Why the account may not log in at all; NULL: it may. */
static const char *objection(const login *l)
{
    static nacre_error why;
    const nacre_account *a = l->account;
    memset(&why, 0, sizeof(why));
    if (!l->d->root && a->uid != l->d->uid) {
        return "this server serves its own user only";
    }
    if (a->locked) {
        return "account is locked";
    }
    if (!shell_runs(a)) {
        return "shell cannot be executed";
    }
    if (a->uid == 0 && l->s->permit_root == NACRE_ROOT_NO) {
        return "root login is not permitted";
    }
    if (!lists_allow(l, &why)) {
        return why.text[0] ? why.text : "a list says no";
    }
    return NULL;
}

/* ---- the configuration that holds for him -------------------------------------------------------------- */

static uint32_t milliseconds(uint32_t seconds)
{
    return seconds > UINT32_MAX / 1000 ? UINT32_MAX : seconds * 1000;
}

static void limit_connection(const login *l)
{
    nacre_limits limits;
    nacre_limits_init(&limits);
    limits.rekey_bytes = l->s->rekey_bytes;
    limits.rekey_seconds = l->s->rekey_seconds;
    limits.max_auth_tries = l->s->max_auth_tries;
    limits.keepalive_ms = l->s->alive_count_max ? milliseconds(l->s->alive_interval_seconds) : 0;
    limits.keepalive_max = l->s->alive_count_max;
    nacre_transport_set_limits(nacre_server_conn_transport(l->c), &limits);
    nacre_server_conn_limit_sessions(l->c, l->s->max_sessions);
}

bool user_limit_silence(const login *l)
{
    char pattern[128];
    uint32_t seconds;
    for (size_t i = 0;
         nacre_sshd_config_channel_timeout(l->config, i, pattern, sizeof(pattern), &seconds); i++) {
        if (nacre_server_conn_channel_timeout(l->c, pattern, milliseconds(seconds)) != NACRE_OK) {
            say(LOG_LEVEL_ERROR, "cannot keep ChannelTimeout %s", plain_text(pattern));
            return false;
        }
    }
    nacre_server_conn_unused_timeout(l->c, milliseconds(l->s->unused_timeout_seconds));
    return true;
}

/* False: it cannot be told, so that nobody gets in. */
static bool configure(login *l)
{
    nacre_sshd_facts facts;
    nacre_error why = {0};
    nacre_sshd_facts_init(&facts);
    if (!nacre_sshd_config_has_match(l->d->config)) {
        return true;
    }
    facts.user = l->user;
    facts.user_invalid = l->account == NULL;
    facts.address = nacre_server_conn_peer(l->c)->address;
    facts.local_address = nacre_server_conn_local(l->c)->address;
    facts.local_port = nacre_server_conn_local(l->c)->port;
    if (l->account) {
        const group_names *g = groups_of(l->account);
        facts.groups = g->names;
        facts.group_count = g->count;
        if (!g->whole) {
            say(LOG_LEVEL_ERROR, "User %s is in more groups than can be matched",
                plain_text(l->user));
            return false;
        }
    }
    if (nacre_sshd_config_match(&l->own_config, l->d->config, &facts, &why) != NACRE_OK) {
        say(LOG_LEVEL_ERROR, "no configuration for user %s: %s", plain_text(l->user), why.text);
        return false;
    }
    l->config = l->own_config;
    l->s = nacre_sshd_config_settings(l->config);
    if (l->d->root && !l->d->debug && !l->d->quiet) {
        log_set_level(l->s->log_level); /* this process serves one connection */
    }
    limit_connection(l);
    user_banner(l);
    return true;
}

void user_banner(const login *l)
{
    char text[BANNER_MAX + 1];
    FILE *f = l->s->banner ? fopen(l->s->banner, "re") : NULL;
    if (!f) {
        return;
    }
    size_t n = fread(text, 1, BANNER_MAX, f);
    (void)fclose(f);
    text[n] = '\0';
    if (n > 0) {
        (void)nacre_transport_send_banner(nacre_server_conn_transport(l->c), text);
    }
}

/* ---- the lookup ------------------------------------------------------------------------------------------- */

static void invalid(const login *l, nacre_span user)
{
    say(LOG_LEVEL_INFO, "Invalid user %s from %s port %u", plain(user),
        nacre_server_conn_peer(l->c)->address, nacre_server_conn_peer(l->c)->port);
}

static void find_account(login *l, nacre_span user)
{
    nacre_error why = {0};
    if (user.n >= sizeof(l->user) || memchr(user.p, 0, user.n) || memchr(user.p, '/', user.n)) {
        invalid(l, user);
        return;
    }
    memcpy(l->user, user.p, user.n);
    if (nacre_account_lookup(&l->account, NULL, l->user, &why) != NACRE_OK) {
        l->account = NULL;
        invalid(l, user);
    }
}

void user_look_up(login *l, nacre_span user)
{
    if (l->looked_up) {
        return; /* the engine ends a connection whose user changes */
    }
    l->looked_up = true;
    find_account(l, user);
    if (!configure(l)) {
        return;
    }
    if (l->s->refuse_connection) {
        say(LOG_LEVEL_INFO, "administratively prohibited connection for %s from %s port %u",
            plain(user), nacre_server_conn_peer(l->c)->address, nacre_server_conn_peer(l->c)->port);
        nacre_server_conn_blame(l->c, NACRE_OFFENCE_REFUSED);
        nacre_server_conn_disconnect(l->c, DISCONNECT_BY_APPLICATION, "connection refused");
        return;
    }
    const char *no = l->account ? objection(l) : NULL;
    l->allowed = l->account && no == NULL;
    if (no) {
        say(LOG_LEVEL_INFO, "User %s from %s not allowed because %s", plain(user),
            nacre_server_conn_peer(l->c)->address, no);
    }
}
