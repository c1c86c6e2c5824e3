/*
 * agent_key.c - what a request to add a key carries: the private key (RFC 9987 3.2) and its constraints
 * (RFC 9987 3.2.7, PROTOCOL.agent 2).
 */
#include "keys/agent_wire.h"
#include "keys/cert.h"

#include <string.h>

void nacre_agent_constraints_init(nacre_agent_constraints *c)
{
    memset(c, 0, sizeof(*c));
    c->size = sizeof(*c);
}

/* ---- keys -------------------------------------------------------------------------------------- */

/*
 * With a certificate the public parts are left out where they stand in it, but for Ed25519
 * (PROTOCOL.certkeys, OpenSSH's agent).
 */
static void write_certified(nc_wr *w, const nacre_key *key, const nc_key_type *type,
                            const nc_pk_parts *parts)
{
    nc_wr_cstr(w, nacre_key_type(key));
    nc_wr_str(w, nacre_key_blob(key));
    switch (type->pk) {
    case NC_PK_RSA:
        nc_wr_mpint(w, parts->d);
        nc_wr_mpint(w, parts->iqmp);
        nc_wr_mpint(w, parts->p);
        nc_wr_mpint(w, parts->q);
        break;
    case NC_PK_P256:
    case NC_PK_P384:
    case NC_PK_P521:
        nc_wr_mpint(w, parts->scalar);
        break;
    case NC_PK_SK_P256:
        nc_wr_str(w, parts->application);
        nc_wr_u8(w, parts->sk_flags);
        nc_wr_str(w, parts->key_handle);
        nc_wr_str(w, parts->sk_reserved);
        break;
    default:
        type->write_private(type, w, parts);
        break;
    }
}

void nc_agent_write_key(nc_wr *w, const nacre_key *key)
{
    const nc_key_type *type = nc_key_get_type(key);
    nc_buf storage;
    nc_pk_parts parts;
    nc_buf_init(&storage, w->b->alloc, NC_MAX_PRIVATE_SECTION);
    memset(&parts, 0, sizeof(parts));
    int rc = nacre_key_is_private(key) ? nc_pk_get_parts(nc_key_pk(key), &storage, true, &parts)
                                       : NACRE_NOT_PRIVATE;
    if (rc == NACRE_OK && nacre_key_is_cert(key)) {
        write_certified(w, key, type, &parts);
    } else if (rc == NACRE_OK) {
        nc_wr_cstr(w, type->name);
        type->write_private(type, w, &parts);
    } else if (w->err == NACRE_OK) {
        w->err = rc;
    }
    nc_buf_clear(&storage);
}

static int from_parts(nacre_key **out, const nacre_allocator *a, const nc_pk_parts *parts)
{
    nc_pk *pk = NULL;
    int rc = nc_pk_from_parts(&pk, a, parts, true, NULL);
    if (rc == NACRE_OK) {
        rc = nc_key_from_pk(out, a, pk, nc_span(NULL, 0));
    }
    if (rc != NACRE_OK) {
        nc_pk_free(pk);
    }
    return rc;
}

/* The reverse of write_certified: parts has the public ones, from the certificate. */
static void read_certified(nc_rd *r, const nc_key_type *type, nc_pk_parts *parts)
{
    switch (type->pk) {
    case NC_PK_RSA:
        parts->d = nc_rd_mpint(r, NC_MAX_MPINT);
        parts->iqmp = nc_rd_mpint(r, NC_MAX_MPINT);
        parts->p = nc_rd_mpint(r, NC_MAX_MPINT);
        parts->q = nc_rd_mpint(r, NC_MAX_MPINT);
        break;
    case NC_PK_P256:
    case NC_PK_P384:
    case NC_PK_P521:
        parts->scalar = nc_rd_mpint(r, type->point_len / 2);
        break;
    case NC_PK_SK_P256:
        parts->application = nc_rd_str(r);
        parts->sk_flags = nc_rd_u8(r);
        parts->key_handle = nc_rd_str(r);
        parts->sk_reserved = nc_rd_str(r);
        break;
    default:
        type->read_private(type, r, parts);
        break;
    }
}

static int read_cert_key(nacre_key **out, const nacre_allocator *a, nc_rd *r)
{
    nc_buf storage;
    nc_pk_parts parts;
    nacre_key *cert = NULL, *key = NULL;
    nc_buf_init(&storage, a, NC_MAX_PRIVATE_SECTION);
    memset(&parts, 0, sizeof(parts));
    int rc = nacre_key_from_blob(&cert, a, nc_rd_str(r), NULL);
    if (rc == NACRE_OK) {
        rc = nc_pk_get_parts(nc_key_pk(cert), &storage, false, &parts);
    }
    if (rc == NACRE_OK) {
        parts.type = nc_key_get_type(cert)->pk;
        read_certified(r, nc_key_get_type(cert), &parts);
        rc = nc_rd_err(r) == NACRE_OK ? from_parts(&key, a, &parts) : NACRE_MALFORMED;
    }
    if (rc == NACRE_OK) {
        rc = nacre_key_attach_cert(out, key, cert, NULL);
    }
    nc_buf_clear(&storage);
    nacre_key_free(cert);
    nacre_key_free(key);
    return rc;
}

int nc_agent_read_key(nacre_key **out, const nacre_allocator *a, nc_rd *r)
{
    *out = NULL;
    nacre_span name = nc_rd_str(r);
    if (nc_rd_err(r) != NACRE_OK) {
        return NACRE_MALFORMED;
    }
    if (nc_cert_type_find(name)) {
        return read_cert_key(out, a, r);
    }
    const nc_key_type *type = nc_key_type_find(name);
    if (!type) {
        return NACRE_UNSUPPORTED;
    }
    nc_pk_parts parts;
    memset(&parts, 0, sizeof(parts));
    parts.type = type->pk;
    type->read_private(type, r, &parts);
    return nc_rd_err(r) == NACRE_OK ? from_parts(out, a, &parts) : NACRE_MALFORMED;
}

/* ---- constraints ------------------------------------------------------------------------------- */

static size_t begin_extension(nc_wr *w, const char *name)
{
    nc_wr_u8(w, SSH_AGENT_CONSTRAIN_EXTENSION);
    nc_wr_cstr(w, name);
    return nc_wr_begin_str(w);
}

static void write_hop(nc_wr *w, const nacre_agent_hop *h)
{
    size_t mark = nc_wr_begin_str(w);
    nc_wr_cstr(w, h->user);
    nc_wr_cstr(w, h->host);
    nc_wr_cstr(w, ""); /* reserved */
    for (size_t i = 0; i < h->key_count; i++) {
        nc_wr_str(w, nacre_key_blob(h->keys[i].key));
        nc_wr_bool(w, h->keys[i].is_ca);
    }
    nc_wr_end_str(w, mark);
}

static void write_destinations(nc_wr *w, const nacre_agent_constraints *c)
{
    size_t mark = begin_extension(w, NC_AGENT_CON_DESTINATION);
    for (size_t i = 0; i < c->destination_count; i++) {
        size_t one = nc_wr_begin_str(w);
        write_hop(w, &c->destinations[i].from);
        write_hop(w, &c->destinations[i].to);
        nc_wr_cstr(w, ""); /* reserved */
        nc_wr_end_str(w, one);
    }
    nc_wr_end_str(w, mark);
}

static void write_certs(nc_wr *w, const nacre_agent_constraints *c)
{
    nc_wr_u8(w, SSH_AGENT_CONSTRAIN_EXTENSION);
    nc_wr_cstr(w, NC_AGENT_CON_CERTS);
    nc_wr_bool(w, c->certs_only);
    size_t mark = nc_wr_begin_str(w);
    for (size_t i = 0; i < c->cert_count; i++) {
        nc_wr_str(w, nacre_key_blob(c->certs[i]));
    }
    nc_wr_end_str(w, mark);
}

void nc_agent_write_constraints(nc_wr *w, const nacre_agent_constraints *c)
{
    if (c->lifetime_seconds) {
        nc_wr_u8(w, SSH_AGENT_CONSTRAIN_LIFETIME);
        nc_wr_u32(w, c->lifetime_seconds);
    }
    if (c->confirm) {
        nc_wr_u8(w, SSH_AGENT_CONSTRAIN_CONFIRM);
    }
    if (c->sk_provider) {
        nc_wr_u8(w, SSH_AGENT_CONSTRAIN_EXTENSION);
        nc_wr_cstr(w, NC_AGENT_CON_SK_PROVIDER);
        nc_wr_cstr(w, c->sk_provider);
    }
    if (c->destination_count) {
        write_destinations(w, c);
    }
    if (c->cert_count) {
        write_certs(w, c);
    }
}
