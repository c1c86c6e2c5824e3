/*
 * owners.c - names of the users and groups over there, as the server tells them. Each number is asked about
 * once; nothing that a server says makes the list longer than what it listed itself.
 */
#include "app.h"

#include <stdlib.h>
#include <string.h>

enum { MAX_ASKED = 4096 }; /* numbers in one request */

typedef struct owner {
    uint32_t id;
    char *name; /* NULL: it has none */
} owner;

typedef struct owners {
    owner *at; /* sorted by id */
    size_t count;
} owners;

static owners users, groups;

static int by_id(const void *a, const void *b)
{
    const owner *x = a;
    const owner *y = b;
    return x->id < y->id ? -1 : x->id > y->id;
}

static owner *find(const owners *o, uint32_t id)
{
    owner key = {.id = id};
    return o->count ? bsearch(&key, o->at, o->count, sizeof(key), by_id) : NULL;
}

static void add(owners *o, uint32_t id, const char *name)
{
    o->at = keep(realloc(o->at, (o->count + 1) * sizeof(*o->at)));
    o->at[o->count].id = id;
    o->at[o->count++].name = name && *name ? keep(strdup(name)) : NULL;
}

static void sort(owners *o)
{
    if (o->count > 1) {
        qsort(o->at, o->count, sizeof(*o->at), by_id);
    }
}

static int by_number(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a;
    uint32_t y = *(const uint32_t *)b;
    return x < y ? -1 : x > y;
}

/* Sorts, drops what is there twice or known already. */
static size_t unknown(const owners *known, uint32_t *ids, size_t n)
{
    size_t kept = 0;
    if (n > 1) {
        qsort(ids, n, sizeof(*ids), by_number);
    }
    for (size_t i = 0; i < n; i++) {
        if ((kept == 0 || ids[kept - 1] != ids[i]) && !find(known, ids[i])) {
            ids[kept++] = ids[i];
        }
    }
    return kept < MAX_ASKED ? kept : MAX_ASKED;
}

void owners_ask(app *a, const nacre_sftp_attrs *const *attrs, size_t count)
{
    nacre_sftp_id_names names;
    if (!nacre_sftp_has(a->s, NACRE_SFTP_EXT_USERS_GROUPS) || count == 0) {
        return;
    }
    uint32_t *uids = keep(calloc(count, sizeof(*uids)));
    uint32_t *gids = keep(calloc(count, sizeof(*gids)));
    size_t n = 0;
    for (size_t i = 0; i < count; i++) {
        if (attrs[i]->flags & NACRE_SFTP_ATTR_UIDGID) {
            uids[n] = attrs[i]->uid;
            gids[n++] = attrs[i]->gid;
        }
    }
    size_t n_uids = unknown(&users, uids, n);
    size_t n_gids = unknown(&groups, gids, n);
    if (n_uids + n_gids > 0 &&
        nacre_sftp_names_of_ids(a->s, uids, n_uids, gids, n_gids, &names) == NACRE_OK) {
        for (size_t i = 0; i < n_uids; i++) {
            add(&users, uids[i], names.users[i]);
        }
        for (size_t i = 0; i < n_gids; i++) {
            add(&groups, gids[i], names.groups[i]);
        }
        nacre_sftp_id_names_free(a->s, &names);
        sort(&users);
        sort(&groups);
    }
    free(uids);
    free(gids);
}

const char *owner_name(uint32_t uid)
{
    const owner *o = find(&users, uid);
    return o ? o->name : NULL;
}

const char *group_name(uint32_t gid)
{
    const owner *o = find(&groups, gid);
    return o ? o->name : NULL;
}

static void forget(owners *o)
{
    for (size_t i = 0; i < o->count; i++) {
        free(o->at[i].name);
    }
    free(o->at);
    memset(o, 0, sizeof(*o));
}

void owners_forget(void)
{
    forget(&users);
    forget(&groups);
}
