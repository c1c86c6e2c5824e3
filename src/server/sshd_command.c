/*
 * sshd_command.c - programs that sshd_config names: a line cut into arguments, and the tokens in them. A token's
 * value comes in part from the client (a certificate's key ID), so it is never cut, quoted or looked at again.
 */
#include "server/sshd_config.h"

#include "base/words.h"

#include <string.h>

enum {
    MAX_ARGS = 64,            /* far above what any such program takes */
    MAX_ARGUMENT = 256 * 1024 /* a certificate in base64; the system's own limit is lower still */
};

typedef struct owned_command {
    nacre_sshd_command public; /* first: the handle is this address */
    const nacre_allocator *alloc;
    char *argv[MAX_ARGS + 1];
} owned_command;

void nacre_sshd_tokens_init(nacre_sshd_tokens *t)
{
    memset(t, 0, sizeof(*t));
    t->size = sizeof(*t);
}

static const char *value_of(const nacre_sshd_tokens *t, char token)
{
    const struct {
        char token;
        const char *value;
    } rows[] = {
        {'%', "%"},           {'u', t->user},    {'h', t->home},     {'U', t->uid},
        {'C', t->connection}, {'D', t->rdomain}, {'t', t->key_type}, {'k', t->key},
        {'f', t->key_print},  {'T', t->ca_type}, {'K', t->ca},       {'F', t->ca_print},
        {'i', t->key_id},     {'s', t->serial},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        if (rows[i].token == token) {
            return rows[i].value;
        }
    }
    return NULL;
}

static int expand(nc_buf *out, const char *word, const nacre_sshd_tokens *t, nacre_error *err)
{
    int rc = NACRE_OK;
    for (const char *p = word; rc == NACRE_OK && *p; p++) {
        if (*p != '%') {
            rc = nc_buf_append(out, p, 1);
            continue;
        }
        const char *value = p[1] ? value_of(t, p[1]) : NULL;
        if (!value) {
            return nc_fail(err, NACRE_SYNTAX, "the token in \"%s\" is not known here",
                           NC_ESC(nc_span_cstr(word)));
        }
        rc = nc_buf_append(out, value, strlen(value));
        p++;
    }
    rc = rc == NACRE_OK ? nc_buf_append(out, "", 1) : rc;
    return rc == NACRE_OK ? rc : nc_fail(err, rc, "an argument is too long");
}

static int add_argument(owned_command *c, const char *word, const nacre_sshd_tokens *t,
                        nacre_error *err)
{
    nc_buf text;
    if (c->public.argc == MAX_ARGS) {
        return nc_fail(err, NACRE_LIMIT, "more than %d arguments", MAX_ARGS);
    }
    nc_buf_init(&text, c->alloc, MAX_ARGUMENT);
    int rc = t ? expand(&text, word, t, err) : nc_buf_append(&text, word, strlen(word) + 1);
    char *copy = rc == NACRE_OK ? nc_strdup(c->alloc, (const char *)text.data) : NULL;
    nc_buf_clear(&text);
    if (rc != NACRE_OK || !copy) {
        return nc_fail(err, rc != NACRE_OK ? rc : NACRE_NO_MEMORY, "out of memory");
    }
    c->argv[c->public.argc++] = copy;
    return NACRE_OK;
}

static int cut(owned_command *c, const char *text, const nacre_sshd_tokens *t, nacre_error *err)
{
    size_t room = strlen(text) + 1;
    char *word = nc_alloc(c->alloc, room);
    int got = 0, rc = word ? NACRE_OK : nc_fail(err, NACRE_NO_MEMORY, "out of memory");
    while (rc == NACRE_OK && (got = nc_next_word(&text, word, room)) == 1) {
        rc = add_argument(c, word, c->public.argc ? t : NULL, err);
    }
    nc_free(c->alloc, word);
    if (rc == NACRE_OK && got != 0) {
        rc = nc_fail(err, NACRE_SYNTAX, "a quote is not closed");
    }
    if (rc == NACRE_OK && (c->public.argc == 0 || c->argv[0][0] != '/')) {
        rc = nc_fail(err, NACRE_SYNTAX, "a program is named by its absolute path");
    }
    if (rc == NACRE_OK && c->public.argc == 1 && t->user) {
        rc = add_argument(c, t->user, NULL, err);
    }
    return rc;
}

int nacre_sshd_command_new(nacre_sshd_command **out, const nacre_allocator *alloc, const char *text,
                           const nacre_sshd_tokens *tokens, nacre_error *err)
{
    nc_error_clear(err);
    *out = NULL;
    owned_command *c = nc_zalloc(alloc, sizeof(*c));
    if (!c) {
        return nc_fail(err, NACRE_NO_MEMORY, "out of memory");
    }
    c->alloc = alloc;
    c->public.argv = c->argv;
    int rc = cut(c, text, tokens, err);
    if (rc != NACRE_OK) {
        nacre_sshd_command_free(&c->public);
        return rc;
    }
    *out = &c->public;
    return NACRE_OK;
}

void nacre_sshd_command_free(nacre_sshd_command *command)
{
    owned_command *c = (owned_command *)(void *)command;
    if (!c) {
        return;
    }
    for (size_t i = 0; i < c->public.argc; i++) {
        nc_free(c->alloc, c->argv[i]);
    }
    nc_free(c->alloc, c);
}
