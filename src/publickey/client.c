/*
 * client.c - the client of RFC 4819. A server's packet counts only as an answer to the request that is
 * under way; everything else ends the session.
 */
#include "publickey/client.h"

#include <string.h>

int nc_pks_client_init(nc_pks_client *c, const nacre_allocator *alloc)
{
    memset(c, 0, sizeof(*c));
    nc_pks_init(&c->pipe, alloc);
    c->state = NC_PKS_GREETING;
    return nc_pks_put_version(&c->pipe);
}

void nc_pks_client_clear(nc_pks_client *c)
{
    nc_pks_clear(&c->pipe);
}

/* ---- requests ---------------------------------------------------------------------------------------- */

static int sent(nc_pks_client *c, int rc, nc_pks_state state)
{
    if (rc == NACRE_OK) {
        c->state = state;
        c->seen = 0;
        nc_error_clear(&c->error);
    }
    return rc;
}

static int may_ask(const nc_pks_client *c)
{
    if (c->state == NC_PKS_BROKEN) {
        return c->error.status;
    }
    return c->state == NC_PKS_IDLE ? NACRE_OK : NACRE_WRONG_STATE;
}

int nc_pks_client_add(nc_pks_client *c, const nacre_publickey_entry *e, bool overwrite)
{
    int rc = may_ask(c);
    if (rc == NACRE_OK && !nc_pks_fits(e)) {
        rc = NACRE_TOO_LARGE;
    }
    if (rc != NACRE_OK) {
        return rc;
    }
    nc_wr *w = nc_pks_begin(&c->pipe, "add");
    nc_wr_str(w, e->algorithm);
    nc_wr_str(w, e->blob);
    nc_wr_bool(w, overwrite);
    nc_wr_u32(w, (uint32_t)e->attribute_count);
    for (size_t i = 0; i < e->attribute_count; i++) {
        nc_wr_str(w, e->attributes[i].name);
        nc_wr_str(w, e->attributes[i].value);
        nc_wr_bool(w, e->attributes[i].critical);
    }
    return sent(c, nc_pks_end(&c->pipe), NC_PKS_CHANGING);
}

int nc_pks_client_remove(nc_pks_client *c, nacre_span algorithm, nacre_span blob)
{
    nacre_publickey_entry e = {.algorithm = algorithm, .blob = blob};
    int rc = may_ask(c);
    if (rc == NACRE_OK && !nc_pks_fits(&e)) {
        rc = NACRE_TOO_LARGE;
    }
    if (rc != NACRE_OK) {
        return rc;
    }
    nc_wr *w = nc_pks_begin(&c->pipe, "remove");
    nc_wr_str(w, algorithm);
    nc_wr_str(w, blob);
    return sent(c, nc_pks_end(&c->pipe), NC_PKS_CHANGING);
}

int nc_pks_client_list(nc_pks_client *c)
{
    int rc = may_ask(c);
    if (rc != NACRE_OK) {
        return rc;
    }
    (void)nc_pks_begin(&c->pipe, "list");
    return sent(c, nc_pks_end(&c->pipe), NC_PKS_LISTING);
}

int nc_pks_client_known(nc_pks_client *c)
{
    int rc = may_ask(c);
    if (rc != NACRE_OK) {
        return rc;
    }
    (void)nc_pks_begin(&c->pipe, "listattributes");
    return sent(c, nc_pks_end(&c->pipe), NC_PKS_ASKING);
}

/* ---- answers ------------------------------------------------------------------------------------------ */

static int broken(nc_pks_client *c, int status, const char *what)
{
    c->state = NC_PKS_BROKEN;
    (void)nc_fail(&c->error, status, "the server's public key subsystem %s", what);
    c->error.by = NACRE_BY_PEER;
    return status;
}

static const struct {
    int status;
    const char *text;
} codes[] = {
    [NACRE_PUBLICKEY_SUCCESS] = {NACRE_OK, ""},
    [NACRE_PUBLICKEY_ACCESS_DENIED] = {NACRE_REQUEST_REFUSED, "access denied"},
    [NACRE_PUBLICKEY_STORAGE_EXCEEDED] = {NACRE_LIMIT, "no room for more keys"},
    [NACRE_PUBLICKEY_VERSION_NOT_SUPPORTED] = {NACRE_UNSUPPORTED, "version not supported"},
    [NACRE_PUBLICKEY_KEY_NOT_FOUND] = {NACRE_NOT_FOUND, "no such key"},
    [NACRE_PUBLICKEY_KEY_NOT_SUPPORTED] = {NACRE_UNSUPPORTED, "key type not supported"},
    [NACRE_PUBLICKEY_KEY_ALREADY_PRESENT] = {NACRE_EXISTS, "the key is there already"},
    [NACRE_PUBLICKEY_GENERAL_FAILURE] = {NACRE_REQUEST_REFUSED, "failure"},
    [NACRE_PUBLICKEY_REQUEST_NOT_SUPPORTED] = {NACRE_UNSUPPORTED, "request not supported"},
    [NACRE_PUBLICKEY_ATTRIBUTE_NOT_SUPPORTED] = {NACRE_UNSUPPORTED, "attribute not supported"},
};

/* A code that nobody has defined is a failure like any other. */
static int refusal(nc_pks_client *c, uint32_t code, nacre_span words)
{
    bool known = code < sizeof(codes) / sizeof(codes[0]);
    const char *text = known ? codes[code].text : "unknown failure";
    int status = known ? codes[code].status : NACRE_REQUEST_REFUSED;
    if (code == NACRE_PUBLICKEY_SUCCESS) {
        return NACRE_OK;
    }
    (void)nc_fail(&c->error, status, "the server refused it: %s%s%s (code %u)", text,
                  words.n ? ": " : "", NC_ESC(words), code);
    c->error.by = NACRE_BY_PEER;
    c->error.detail = code;
    return status;
}

static int got_status(nc_pks_client *c, nc_rd *r, nc_pks_event *ev)
{
    uint32_t code = nc_rd_u32(r);
    nacre_span words = nc_rd_str(r);
    (void)nc_rd_str(r); /* language */
    if (nc_rd_end(r) != NACRE_OK) {
        return broken(c, NACRE_MALFORMED, "sent a malformed status");
    }
    if (c->state == NC_PKS_IDLE) {
        return broken(c, NACRE_PROTOCOL, "sent a status that nobody asked for");
    }
    if (c->state == NC_PKS_GREETING) {
        /* The one status without a request: the server gives up (RFC 4819 3.4). */
        int status = refusal(c, code, words);
        c->state = NC_PKS_BROKEN;
        return status != NACRE_OK ? status
                                  : broken(c, NACRE_PROTOCOL, "sent a status before its version");
    }
    ev->news = NC_PKS_OVER;
    ev->status = refusal(c, code, words);
    c->state = NC_PKS_IDLE;
    return NACRE_OK;
}

static int got_version(nc_pks_client *c, nc_rd *r, nc_pks_event *ev)
{
    uint32_t version = nc_rd_u32(r);
    if (nc_rd_end(r) != NACRE_OK) {
        return broken(c, NACRE_MALFORMED, "sent a malformed version");
    }
    if (c->state != NC_PKS_GREETING) {
        return broken(c, NACRE_PROTOCOL, "sent its version twice");
    }
    if (version < NC_PKS_VERSION) {
        /* The lower one counts, and we do not speak it: say so before leaving. */
        (void)nc_pks_put_status(&c->pipe, NACRE_PUBLICKEY_VERSION_NOT_SUPPORTED,
                                "version 2 is needed");
        return broken(c, NACRE_UNSUPPORTED, "is older than the RFC: it speaks a version below 2");
    }
    c->state = NC_PKS_IDLE;
    ev->news = NC_PKS_READY;
    return NACRE_OK;
}

static int got_entry(nc_pks_client *c, nc_rd *r, nc_pks_event *ev)
{
    nacre_publickey_entry *e = &ev->entry;
    if (c->state != NC_PKS_LISTING) {
        return broken(c, NACRE_PROTOCOL, "sent a key that nobody asked for");
    }
    e->algorithm = nc_rd_str(r);
    e->blob = nc_rd_str(r);
    int rc = nc_pks_attributes(r, false, c->attributes, &e->attribute_count);
    if (rc != NACRE_OK) {
        return broken(c, rc, "sent a malformed key");
    }
    if (++c->seen > NC_PKS_MAX_KEYS) {
        return broken(c, NACRE_LIMIT, "lists more than 65536 keys");
    }
    e->attributes = c->attributes;
    ev->news = NC_PKS_ENTRY;
    return NACRE_OK;
}

static int got_known(nc_pks_client *c, nc_rd *r, nc_pks_event *ev)
{
    if (c->state != NC_PKS_ASKING) {
        return broken(c, NACRE_PROTOCOL, "sent an attribute that nobody asked for");
    }
    ev->known = nc_rd_str(r);
    ev->compulsory = nc_rd_bool(r);
    if (nc_rd_end(r) != NACRE_OK) {
        return broken(c, NACRE_MALFORMED, "sent a malformed attribute");
    }
    if (++c->seen > NC_PKS_MAX_KNOWN) {
        return broken(c, NACRE_LIMIT, "lists more than 1024 attributes");
    }
    ev->news = NC_PKS_KNOWN;
    return NACRE_OK;
}

int nc_pks_client_input(nc_pks_client *c, nacre_span in)
{
    if (c->state == NC_PKS_BROKEN) {
        return c->error.status;
    }
    int rc = nc_pks_append(&c->pipe, in);
    return rc == NACRE_OK ? rc : broken(c, rc, "sends more than can be kept");
}

int nc_pks_client_next(nc_pks_client *c, nc_pks_event *ev)
{
    static const struct {
        const char *name;
        int (*handler)(nc_pks_client *, nc_rd *, nc_pks_event *);
    } rows[] = {{"version", got_version},
                {"status", got_status},
                {"publickey", got_entry},
                {"attribute", got_known}};
    nacre_span name = {NULL, 0};
    nc_rd r;
    memset(ev, 0, sizeof(*ev));
    if (c->state == NC_PKS_BROKEN) {
        return c->error.status;
    }
    int rc = nc_pks_next(&c->pipe, &name, &r);
    if (rc == NACRE_AGAIN) {
        return rc;
    }
    if (rc != NACRE_OK) {
        return broken(c, rc,
                      c->state == NC_PKS_GREETING
                          ? "does not begin with a packet; perhaps a login script of the account "
                            "writes something"
                          : "sent a malformed or oversized packet");
    }
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        if (nc_span_is(name, rows[i].name)) {
            return rows[i].handler(c, &r, ev);
        }
    }
    return broken(c, NACRE_PROTOCOL, "sent a packet of a name that is not known");
}
