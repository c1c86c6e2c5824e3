/*
 * auth_policy.c - AuthenticationMethods: lists of methods, and one connection's way through them.
 *
 * Each list is kept as it was given, with a pointer to what is still wanted of it; a good method moves
 * that pointer in every list which it was the turn of, as sshd does.
 */
#include "nacre/auth_policy.h"

#include "base/error.h"
#include "base/mem.h"

#include <string.h>

enum {
    MAX_LISTS = 256,  /* as sshd has */
    MAX_LIST = 4096,  /* bytes of one: dozens of steps */
    METHODS_MAX = 128 /* every name of the table below, with commas */
};

/* In the order in which they are offered. The last two are not spoken here, so never enabled. */
static const char *const names[] = {
    "publickey", "password", "keyboard-interactive", "hostbased", "gssapi-with-mic", "none",
};
enum { NAMES = sizeof(names) / sizeof(names[0]) };

typedef struct steps {
    char *text;
    const char *rest; /* what is still wanted; "": complete */
} steps;

struct nacre_auth_policy {
    const nacre_allocator *alloc;
    bool any;            /* there are no lists: one method is enough */
    bool enabled[NAMES]; /* that the server can check */
    steps *lists;
    size_t count;
    char methods[METHODS_MAX]; /* that can continue */
};

/* ---- words ---------------------------------------------------------------------------------------- */

static bool is_any(const char *list)
{
    return strcmp(list, "any") == 0;
}

/* The first element: its end, and where its method's name ends (before ":", if there is one). */
static const char *element(const char *list, size_t *name)
{
    size_t n = strcspn(list, ",");
    size_t colon = strcspn(list, ":,");
    *name = colon < n ? colon : n;
    return list + n;
}

static size_t name_index(const char *name, size_t n)
{
    size_t i = 0;
    while (i < NAMES && (strlen(names[i]) != n || memcmp(names[i], name, n) != 0)) {
        i++;
    }
    return i;
}

int nacre_auth_policy_check(const char *list, nacre_error *err)
{
    nc_error_clear(err);
    if (!list || !*list) {
        return nc_fail(err, NACRE_SYNTAX, "an empty list of authentication methods lets nobody in");
    }
    if (strlen(list) > MAX_LIST) {
        return nc_fail(err, NACRE_SYNTAX, "a list of authentication methods has at most %d bytes",
                       MAX_LIST);
    }
    for (const char *at = list; !is_any(list);) {
        size_t n = 0;
        const char *end = element(at, &n);
        if (name_index(at, n) == NAMES) {
            return nc_fail(err, NACRE_SYNTAX,
                           "\"%s\" is not an authentication method (in \"%s\"; \"any\" stands "
                           "alone)",
                           NC_ESC(nc_span(at, (size_t)(end - at))), NC_ESC(nc_span_cstr(list)));
        }
        if (at + n + 1 == end) {
            return nc_fail(err, NACRE_SYNTAX, "nothing stands behind the colon in \"%s\"",
                           NC_ESC(nc_span_cstr(list)));
        }
        if (!*end) {
            break;
        }
        at = end + 1;
    }
    return NACRE_OK;
}

/* ---- one list -------------------------------------------------------------------------------------- */

/* How the first element of what is wanted goes with a method that is at hand. */
typedef enum fit {
    FIT_NOT,
    FIT_MAYBE, /* the method, of which a way is wanted and none is told */
    FIT_METHOD,
    FIT_WAY
} fit;

static fit fits(const char *rest, const char *method, const char *way)
{
    size_t n = 0;
    const char *end = element(rest, &n);
    if (n == 0 || strlen(method) != n || memcmp(rest, method, n) != 0) {
        return FIT_NOT;
    }
    if (rest + n == end) {
        return FIT_METHOD;
    }
    if (!way) {
        return FIT_MAYBE;
    }
    size_t wanted = (size_t)(end - rest) - n - 1;
    return strlen(way) == wanted && memcmp(rest + n + 1, way, wanted) == 0 ? FIT_WAY : FIT_NOT;
}

/* The first method of a list that is not enabled; NULL: it can be completed. */
static const char *missing(const nacre_auth_policy *p, const char *list, size_t *len)
{
    for (const char *at = list;;) {
        const char *end = element(at, len);
        if (!p->enabled[name_index(at, *len)]) {
            return at;
        }
        if (!*end) {
            return NULL;
        }
        at = end + 1;
    }
}

/* ---- the lists ------------------------------------------------------------------------------------- */

static void list_methods(nacre_auth_policy *p)
{
    size_t used = 0;
    p->methods[0] = '\0';
    for (size_t i = 0; i < NAMES; i++) {
        size_t n = strlen(names[i]);
        if (!p->enabled[i] || !nacre_auth_policy_allows(p, names[i], NULL) ||
            used + n + 2 > METHODS_MAX) {
            continue;
        }
        if (used) {
            p->methods[used++] = ',';
        }
        memcpy(p->methods + used, names[i], n + 1);
        used += n;
    }
}

static int take_enabled(nacre_auth_policy *p, const char *enabled, nacre_error *err)
{
    for (const char *at = enabled; at && *at;) {
        size_t n = strcspn(at, ",");
        size_t i = name_index(at, n);
        if (i == NAMES) {
            return nc_fail(err, NACRE_SYNTAX, "\"%s\" is not an authentication method",
                           NC_ESC(nc_span(at, n)));
        }
        /* Empty passwords are nobody's wish here: "none" proves nothing. */
        p->enabled[i] = strcmp(names[i], "none") != 0;
        at += n;
        at += *at ? 1 : 0;
    }
    return NACRE_OK;
}

static int take_list(nacre_auth_policy *p, const char *list, nacre_error *err)
{
    size_t len = 0;
    int rc = nacre_auth_policy_check(list, err);
    if (rc != NACRE_OK) {
        return rc;
    }
    if (is_any(list)) {
        return nc_fail(err, NACRE_SYNTAX, "\"any\" stands alone, without other lists of methods");
    }
    const char *gap = missing(p, list, &len);
    if (gap) {
        (void)nc_fail(err, NACRE_UNSUPPORTED,
                      "nobody can log in: \"%s\" of the list \"%s\" is not enabled",
                      NC_ESC(nc_span(gap, len)), NC_ESC(nc_span_cstr(list)));
        return NACRE_OK;
    }
    p->lists[p->count].text = nc_strdup(p->alloc, list);
    p->lists[p->count].rest = p->lists[p->count].text;
    if (!p->lists[p->count].text) {
        return nc_fail(err, NACRE_NO_MEMORY, "out of memory");
    }
    p->count++;
    return NACRE_OK;
}

static int take_lists(nacre_auth_policy *p, const char *const *lists, size_t count,
                      nacre_error *err)
{
    p->any = count == 0 || (count == 1 && lists[0] && is_any(lists[0]));
    if (p->any) {
        return NACRE_OK;
    }
    if (count > MAX_LISTS) {
        return nc_fail(err, NACRE_LIMIT, "%zu lists of authentication methods are too many", count);
    }
    p->lists = nc_alloc_array(p->alloc, count, sizeof(*p->lists));
    if (!p->lists) {
        return nc_fail(err, NACRE_NO_MEMORY, "out of memory");
    }
    int rc = NACRE_OK;
    for (size_t i = 0; rc == NACRE_OK && i < count; i++) {
        rc = take_list(p, lists[i], err);
    }
    /* The sentence about the last list that was left out stands in err by then. */
    return rc == NACRE_OK && p->count == 0 ? NACRE_UNSUPPORTED : rc;
}

int nacre_auth_policy_new(nacre_auth_policy **out, const nacre_allocator *alloc,
                          const char *const *lists, size_t count, const char *enabled,
                          nacre_error *err)
{
    *out = NULL;
    nc_error_clear(err);
    nacre_auth_policy *p = nc_zalloc(alloc, sizeof(*p));
    if (!p) {
        return nc_fail(err, NACRE_NO_MEMORY, "out of memory");
    }
    p->alloc = alloc;
    int rc = take_enabled(p, enabled, err);
    if (rc == NACRE_OK) {
        rc = take_lists(p, lists, count, err);
    }
    if (rc != NACRE_OK) {
        nacre_auth_policy_free(p);
        return rc;
    }
    nc_error_clear(err);
    list_methods(p);
    *out = p;
    return NACRE_OK;
}

void nacre_auth_policy_free(nacre_auth_policy *p)
{
    if (!p) {
        return;
    }
    for (size_t i = 0; i < p->count; i++) {
        nc_free(p->alloc, p->lists[i].text);
    }
    nc_free(p->alloc, p->lists);
    nc_free(p->alloc, p);
}

/* ---- asking and moving on -------------------------------------------------------------------------- */

const char *nacre_auth_policy_methods(const nacre_auth_policy *p)
{
    return p->methods;
}

bool nacre_auth_policy_allows(const nacre_auth_policy *p, const char *method, const char *way)
{
    size_t i = name_index(method, strlen(method));
    if (i == NAMES || !p->enabled[i]) {
        return false;
    }
    bool found = p->any;
    for (size_t l = 0; !found && l < p->count; l++) {
        found = fits(p->lists[l].rest, method, way) != FIT_NOT;
    }
    return found;
}

int nacre_auth_policy_passed(nacre_auth_policy *p, const char *method, const char *way)
{
    if (!nacre_auth_policy_allows(p, method, way)) {
        return NACRE_AUTH_FAILED;
    }
    bool moved = p->any, complete = p->any;
    for (size_t l = 0; l < p->count; l++) {
        steps *s = &p->lists[l];
        size_t name = 0;
        fit f = fits(s->rest, method, way);
        if (f != FIT_METHOD && f != FIT_WAY) {
            continue;
        }
        s->rest = element(s->rest, &name);
        s->rest += *s->rest ? 1 : 0;
        moved = true;
        complete = complete || *s->rest == '\0';
    }
    if (!moved) {
        return NACRE_AUTH_FAILED; /* a way was wanted, and none was told */
    }
    list_methods(p);
    return complete ? NACRE_OK : NACRE_AUTH_PARTIAL;
}
