/*
 * server.c - the server of RFC 4819: requests of a client, one after the other, answered by the few
 * functions of whoever keeps the keys.
 *
 * A list is written as far as its reader takes it, so its length costs no memory; requests that come
 * meanwhile wait in the input, which has a cap.
 */
#include "publickey/frame.h"

#include "keys/key.h"

#include <string.h>

enum { WORDS_MAX = 256 }; /* for a person, in a status */

struct nacre_publickey_server {
    const nacre_allocator *alloc;
    nc_pks_pipe pipe;
    const nacre_publickey_ops *ops;
    void *user;
    bool greeted; /* the client's version is known */
    bool listing;
    bool over; /* it asked for a version that is not spoken: nothing is read any more */
    size_t at; /* of the list */
    nacre_error error;
    nacre_publickey_attribute attributes[NC_PKS_MAX_ATTRIBUTES];
};

int nacre_publickey_server_new(nacre_publickey_server **out, const nacre_allocator *alloc,
                               const nacre_publickey_ops *ops, void *user)
{
    *out = NULL;
    if (!ops) {
        return NACRE_INVALID_ARGUMENT;
    }
    nacre_publickey_server *s = nc_zalloc(alloc, sizeof(*s));
    if (!s) {
        return NACRE_NO_MEMORY;
    }
    s->alloc = alloc;
    s->ops = ops;
    s->user = user;
    nc_pks_init(&s->pipe, alloc);
    int rc = nc_pks_put_version(&s->pipe);
    if (rc != NACRE_OK) {
        nacre_publickey_server_free(s);
        return rc;
    }
    *out = s;
    return NACRE_OK;
}

void nacre_publickey_server_free(nacre_publickey_server *s)
{
    if (s) {
        nc_pks_clear(&s->pipe);
        nc_free(s->alloc, s);
    }
}

static int broken(nacre_publickey_server *s, int status, const char *what)
{
    if (s->error.status == NACRE_OK) {
        (void)nc_pks_put_status(&s->pipe, NACRE_PUBLICKEY_GENERAL_FAILURE, what);
        (void)nc_fail(&s->error, status, "the client %s", what);
        s->error.by = NACRE_BY_PEER;
    }
    return s->error.status;
}

static int unable(nacre_publickey_server *s, int status)
{
    return nc_fail(&s->error, status, "an answer could not be written: %s",
                   nacre_status_text(status));
}

static int say(nacre_publickey_server *s, uint32_t code, const char *text)
{
    int rc = nc_pks_put_status(&s->pipe, code, text);
    return rc == NACRE_OK ? rc : unable(s, rc);
}

/* ---- requests ------------------------------------------------------------------------------------------ */

static bool is_known(const nacre_publickey_server *s, nacre_span name)
{
    for (size_t i = 0; i < s->ops->attribute_count; i++) {
        if (nc_span_is(name, s->ops->attributes[i].name)) {
            return true;
        }
    }
    return false;
}

/* Drops what is not known; false: one of them was critical. */
static bool sift(nacre_publickey_server *s, size_t *count)
{
    size_t kept = 0;
    for (size_t i = 0; i < *count; i++) {
        if (is_known(s, s->attributes[i].name)) {
            s->attributes[kept++] = s->attributes[i];
        } else if (s->attributes[i].critical) {
            return false;
        }
    }
    *count = kept;
    return true;
}

static int got_add(nacre_publickey_server *s, nc_rd *r)
{
    char text[WORDS_MAX] = "";
    nacre_publickey_entry e = {.attributes = s->attributes};
    e.algorithm = nc_rd_str(r);
    e.blob = nc_rd_str(r);
    bool overwrite = nc_rd_bool(r);
    int rc = nc_pks_attributes(r, true, s->attributes, &e.attribute_count);
    if (rc != NACRE_OK) {
        return broken(s, rc, "sent a malformed add request");
    }
    if (!s->ops->add) {
        return say(s, NACRE_PUBLICKEY_REQUEST_NOT_SUPPORTED, "keys cannot be added");
    }
    if (e.algorithm.n == 0 || !nc_span_eq(nc_blob_type(e.blob), e.algorithm)) {
        return say(s, NACRE_PUBLICKEY_KEY_NOT_SUPPORTED,
                   "the key is not of the type that is named");
    }
    if (!sift(s, &e.attribute_count)) {
        return say(s, NACRE_PUBLICKEY_ATTRIBUTE_NOT_SUPPORTED, "a critical attribute is not known");
    }
    uint32_t code = s->ops->add(s->user, &e, overwrite, text, sizeof(text));
    text[sizeof(text) - 1] = '\0';
    return say(s, code, text);
}

static int got_remove(nacre_publickey_server *s, nc_rd *r)
{
    char text[WORDS_MAX] = "";
    nacre_span algorithm = nc_rd_str(r);
    nacre_span blob = nc_rd_str(r);
    if (nc_rd_end(r) != NACRE_OK) {
        return broken(s, NACRE_MALFORMED, "sent a malformed remove request");
    }
    if (!s->ops->remove) {
        return say(s, NACRE_PUBLICKEY_REQUEST_NOT_SUPPORTED, "keys cannot be removed");
    }
    uint32_t code = s->ops->remove(s->user, algorithm, blob, text, sizeof(text));
    text[sizeof(text) - 1] = '\0';
    return say(s, code, text);
}

static int got_list(nacre_publickey_server *s, nc_rd *r)
{
    if (nc_rd_end(r) != NACRE_OK) {
        return broken(s, NACRE_MALFORMED, "sent a malformed list request");
    }
    if (!s->ops->entry) {
        return say(s, NACRE_PUBLICKEY_REQUEST_NOT_SUPPORTED, "keys cannot be listed");
    }
    s->listing = true;
    s->at = 0;
    return NACRE_OK;
}

static int got_known(nacre_publickey_server *s, nc_rd *r)
{
    int rc = NACRE_OK;
    if (nc_rd_end(r) != NACRE_OK) {
        return broken(s, NACRE_MALFORMED, "sent a malformed listattributes request");
    }
    for (size_t i = 0; rc == NACRE_OK && i < s->ops->attribute_count; i++) {
        nc_wr *w = nc_pks_begin(&s->pipe, "attribute");
        nc_wr_cstr(w, s->ops->attributes[i].name);
        nc_wr_bool(w, s->ops->attributes[i].compulsory);
        rc = nc_pks_end(&s->pipe);
    }
    return rc == NACRE_OK ? say(s, NACRE_PUBLICKEY_SUCCESS, "") : unable(s, rc);
}

static int got_version(nacre_publickey_server *s, nc_rd *r)
{
    uint32_t version = nc_rd_u32(r);
    if (nc_rd_end(r) != NACRE_OK) {
        return broken(s, NACRE_MALFORMED, "sent a malformed version");
    }
    if (s->greeted) {
        return broken(s, NACRE_PROTOCOL, "sent its version twice");
    }
    s->greeted = true;
    s->over = version < NC_PKS_VERSION;
    return s->over ? say(s, NACRE_PUBLICKEY_VERSION_NOT_SUPPORTED, "version 2 is needed")
                   : NACRE_OK;
}

/* RFC 4819 3.4: the client leaves because of our version. Any other status is a server's to send. */
static int got_status(nacre_publickey_server *s, nc_rd *r)
{
    uint32_t code = nc_rd_u32(r);
    if (nc_rd_err(r) == NACRE_OK && code == NACRE_PUBLICKEY_VERSION_NOT_SUPPORTED) {
        s->over = true;
        return NACRE_OK;
    }
    return broken(s, NACRE_PROTOCOL, "sent a status, which only a server sends");
}

static int dispatch(nacre_publickey_server *s, nacre_span name, nc_rd *r)
{
    static const struct {
        const char *name;
        int (*handler)(nacre_publickey_server *, nc_rd *);
        bool before_version;
    } rows[] = {{"version", got_version, true}, {"status", got_status, true},
                {"add", got_add, false},        {"remove", got_remove, false},
                {"list", got_list, false},      {"listattributes", got_known, false}};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        if (!nc_span_is(name, rows[i].name)) {
            continue;
        }
        if (!s->greeted && !rows[i].before_version) {
            break;
        }
        return rows[i].handler(s, r);
    }
    if (!s->greeted) {
        return broken(s, NACRE_PROTOCOL, "asked for something before it told its version");
    }
    return say(s, NACRE_PUBLICKEY_REQUEST_NOT_SUPPORTED, "no such request");
}

/* ---- the list ------------------------------------------------------------------------------------------- */

static int put_entry(nacre_publickey_server *s, const nacre_publickey_entry *e)
{
    nc_wr *w = nc_pks_begin(&s->pipe, "publickey");
    nc_wr_str(w, e->algorithm);
    nc_wr_str(w, e->blob);
    nc_wr_u32(w, (uint32_t)e->attribute_count);
    for (size_t i = 0; i < e->attribute_count; i++) {
        nc_wr_str(w, e->attributes[i].name);
        nc_wr_str(w, e->attributes[i].value);
    }
    return nc_pks_end(&s->pipe);
}

static bool has_room(const nacre_publickey_server *s)
{
    return nc_queue_len(&s->pipe.out) < NC_PKS_SOFT_OUTPUT;
}

static int go_on_listing(nacre_publickey_server *s)
{
    int rc = NACRE_OK;
    while (rc == NACRE_OK && s->listing && has_room(s)) {
        nacre_publickey_entry e;
        memset(&e, 0, sizeof(e));
        if (!s->ops->entry(s->user, s->at, &e)) {
            s->listing = false;
            rc = say(s, NACRE_PUBLICKEY_SUCCESS, "");
        } else if (!nc_pks_fits(&e)) {
            s->listing = false;
            rc = say(s, NACRE_PUBLICKEY_GENERAL_FAILURE, "a key is too large to be shown");
        } else {
            s->at++;
            rc = put_entry(s, &e);
            rc = rc == NACRE_OK ? rc : unable(s, rc);
        }
    }
    return rc;
}

/* ---- bytes ----------------------------------------------------------------------------------------------- */

static int step(nacre_publickey_server *s)
{
    int rc = go_on_listing(s);
    while (rc == NACRE_OK && !s->listing && !s->over && has_room(s)) {
        nacre_span name = {NULL, 0};
        nc_rd r;
        rc = nc_pks_next(&s->pipe, &name, &r);
        if (rc == NACRE_AGAIN) {
            return NACRE_OK;
        }
        if (rc != NACRE_OK) {
            return broken(s, rc, "sent a malformed or oversized packet");
        }
        rc = dispatch(s, name, &r);
        if (rc == NACRE_OK) {
            rc = go_on_listing(s);
        }
    }
    return rc;
}

int nacre_publickey_server_input(nacre_publickey_server *s, nacre_span in)
{
    if (s->error.status != NACRE_OK) {
        return s->error.status;
    }
    if (s->over) {
        return NACRE_OK;
    }
    int rc = nc_pks_append(&s->pipe, in);
    if (rc != NACRE_OK) {
        return broken(s, rc, "sent more than can be kept before it is answered");
    }
    return step(s);
}

nacre_span nacre_publickey_server_output(const nacre_publickey_server *s)
{
    return nc_span(nc_queue_front(&s->pipe.out), nc_queue_len(&s->pipe.out));
}

int nacre_publickey_server_sent(nacre_publickey_server *s, size_t n)
{
    nc_queue_consume(&s->pipe.out, n);
    return s->error.status == NACRE_OK ? step(s) : s->error.status;
}

const nacre_error *nacre_publickey_server_error(const nacre_publickey_server *s)
{
    return &s->error;
}
