/*
 * publickey.c - the public key subsystem over a client's session: the machine of src/publickey, driven
 * until its answer is there.
 */
#include "nacre/publickey.h"

#include "client/state.h"
#include "publickey/client.h"

#include <string.h>

struct nacre_publickey {
    nacre_client *c;
    nacre_channel *ch; /* NULL: the session is over */
    uint32_t timeout_ms;
    nc_pks_client machine;
    nacre_error error;
};

/* ---- bytes ------------------------------------------------------------------------------------------- */

static void end_session(nacre_publickey *p)
{
    nacre_client_channel_free(p->c, p->ch);
    p->ch = NULL;
}

/* The client's sentence becomes ours. */
static int channel_failed(nacre_publickey *p, int rc)
{
    const nacre_error *why = nacre_client_error(p->c);
    if (why->status != NACRE_OK) {
        p->error = *why;
    } else {
        (void)nc_fail(&p->error, rc, "the public key session failed: %s", nacre_status_text(rc));
    }
    end_session(p);
    return rc;
}

static int machine_failed(nacre_publickey *p, int rc)
{
    p->error = p->machine.error;
    if (p->error.status == NACRE_OK) {
        (void)nc_fail(&p->error, rc, "%s", nacre_status_text(rc));
    }
    return rc;
}

static int send_output(nacre_publickey *p)
{
    nc_queue *q = &p->machine.pipe.out;
    size_t n = nc_queue_len(q);
    if (n == 0) {
        return NACRE_OK;
    }
    int rc =
        nacre_client_write(p->c, p->ch, NACRE_STDOUT, nc_queue_front(q), n, p->timeout_ms, NULL);
    nc_queue_consume(q, n);
    return rc == NACRE_OK ? rc : channel_failed(p, rc);
}

static int read_input(nacre_publickey *p)
{
    uint8_t bytes[4096];
    size_t got = 0;
    int rc =
        nacre_client_read(p->c, p->ch, NACRE_STDOUT, bytes, sizeof(bytes), p->timeout_ms, &got);
    if (rc == NACRE_END) {
        end_session(p);
        return nc_fail(&p->error, rc,
                       "the server ended the public key session before it had answered");
    }
    if (rc != NACRE_OK) {
        return channel_failed(p, rc);
    }
    rc = nc_pks_client_input(&p->machine, nc_span(bytes, got));
    return rc == NACRE_OK ? rc : machine_failed(p, rc);
}

/* Until there is news. A session whose machine is broken is closed: nothing can follow. */
static int await(nacre_publickey *p, nc_pks_event *ev)
{
    int rc = p->ch ? NACRE_OK : NACRE_CLOSED;
    if (rc != NACRE_OK) {
        return nc_fail(&p->error, rc, "the public key session is over");
    }
    rc = send_output(p);
    while (rc == NACRE_OK) {
        rc = nc_pks_client_next(&p->machine, ev);
        if (rc == NACRE_OK) {
            return rc;
        }
        if (rc != NACRE_AGAIN) {
            rc = machine_failed(p, rc);
            (void)send_output(p); /* what it says before it leaves */
            break;
        }
        rc = read_input(p);
    }
    if (p->ch) {
        end_session(p);
    }
    return rc;
}

/* ---- life --------------------------------------------------------------------------------------------- */

static int start(nacre_publickey *p)
{
    nc_pks_event ev;
    int rc = nacre_client_session(p->c, p->timeout_ms, &p->ch);
    if (rc == NACRE_OK) {
        rc = nacre_channel_subsystem(p->ch, "publickey", true);
    }
    if (rc == NACRE_OK) {
        rc = nacre_client_wait_reply(p->c, p->ch, p->timeout_ms);
    }
    if (rc == NACRE_REQUEST_REFUSED) {
        end_session(p);
        return nc_fail(&p->error, rc,
                       "the server has no public key subsystem (RFC 4819); keys have to be put "
                       "into its files, as ssh-copy-id does");
    }
    return rc == NACRE_OK ? await(p, &ev) : channel_failed(p, rc);
}

int nacre_publickey_open(nacre_publickey **out, nacre_client *c, uint32_t timeout_ms,
                         nacre_error *err)
{
    *out = NULL;
    nc_error_clear(err);
    nacre_publickey *p = nc_zalloc(c->alloc, sizeof(*p));
    if (!p) {
        return nc_fail(err, NACRE_NO_MEMORY, "out of memory");
    }
    p->c = c;
    p->timeout_ms = timeout_ms;
    int rc = nc_pks_client_init(&p->machine, c->alloc);
    rc = rc == NACRE_OK ? start(p) : nc_fail(&p->error, rc, "out of memory");
    if (rc != NACRE_OK) {
        if (err) {
            *err = p->error;
        }
        nacre_publickey_close(p);
        return rc;
    }
    *out = p;
    return NACRE_OK;
}

void nacre_publickey_close(nacre_publickey *p)
{
    if (p) {
        end_session(p);
        nc_pks_client_clear(&p->machine);
        nc_free(p->c->alloc, p);
    }
}

const nacre_error *nacre_publickey_error(const nacre_publickey *p)
{
    return &p->error;
}

/* ---- requests ------------------------------------------------------------------------------------------- */

static int begin(nacre_publickey *p, int rc)
{
    nc_error_clear(&p->error);
    if (!p->ch) {
        return nc_fail(&p->error, NACRE_CLOSED, "the public key session is over");
    }
    return rc == NACRE_OK ? rc : nc_fail(&p->error, rc, "%s", nacre_status_text(rc));
}

/* The status of the request; its words are the machine's until then. */
static int conclude(nacre_publickey *p, const nc_pks_event *ev)
{
    if (ev->status != NACRE_OK) {
        p->error = p->machine.error;
    }
    return ev->status;
}

static int change(nacre_publickey *p, int rc)
{
    nc_pks_event ev;
    rc = begin(p, rc);
    if (rc == NACRE_OK) {
        rc = await(p, &ev);
    }
    return rc == NACRE_OK ? conclude(p, &ev) : rc;
}

int nacre_publickey_add(nacre_publickey *p, const nacre_key *key,
                        const nacre_publickey_attribute *attributes, size_t count, bool overwrite)
{
    nacre_publickey_entry e = {.algorithm = nc_span_cstr(nacre_key_type(key)),
                               .blob = nacre_key_blob(key),
                               .attributes = attributes,
                               .attribute_count = count};
    return change(p, p->ch ? nc_pks_client_add(&p->machine, &e, overwrite) : NACRE_OK);
}

int nacre_publickey_remove(nacre_publickey *p, const nacre_key *key)
{
    return change(p, p->ch ? nc_pks_client_remove(&p->machine, nc_span_cstr(nacre_key_type(key)),
                                                  nacre_key_blob(key))
                           : NACRE_OK);
}

/* The reader wants no more: what the server still sends would be taken for another answer. */
static int stopped(nacre_publickey *p)
{
    end_session(p);
    return nc_fail(&p->error, NACRE_CANCELLED, "the list was ended early; the session is closed");
}

int nacre_publickey_list(nacre_publickey *p, nacre_publickey_entry_fn fn, void *user)
{
    nc_pks_event ev;
    int rc = begin(p, p->ch ? nc_pks_client_list(&p->machine) : NACRE_OK);
    while (rc == NACRE_OK) {
        rc = await(p, &ev);
        if (rc == NACRE_OK && ev.news == NC_PKS_OVER) {
            return conclude(p, &ev);
        }
        if (rc == NACRE_OK && !fn(user, &ev.entry)) {
            return stopped(p);
        }
    }
    return rc;
}

int nacre_publickey_attributes(nacre_publickey *p, nacre_publickey_attribute_fn fn, void *user)
{
    nc_pks_event ev;
    int rc = begin(p, p->ch ? nc_pks_client_known(&p->machine) : NACRE_OK);
    while (rc == NACRE_OK) {
        rc = await(p, &ev);
        if (rc == NACRE_OK && ev.news == NC_PKS_OVER) {
            return conclude(p, &ev);
        }
        if (rc == NACRE_OK && !fn(user, ev.known, ev.compulsory)) {
            return stopped(p);
        }
    }
    return rc;
}
