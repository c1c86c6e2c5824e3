/*
 * key_blob.c - the key types as data: how the parts of each lie in a public key blob (RFC 4253 6.6,
 * RFC 5656 3.1, RFC 8709 4, PROTOCOL.u2f) and in the private section of OpenSSH's file format
 * (PROTOCOL.key).
 *
 * Not here: whether the numbers make a key (crypto), what else stands in a file (key_openssh.c).
 */
#include "keys/key.h"

enum {
    /*
     * libcrypto refuses larger public exponents for large moduli; verification time grows with e.
     */
    MAX_EXPONENT = 8,
    ED25519_LEN = 32
};

static void read_rsa_public(const nc_key_type *t, nc_rd *r, nc_pk_parts *parts)
{
    (void)t;
    parts->e = nc_rd_mpint(r, MAX_EXPONENT);
    parts->n = nc_rd_mpint(r, NC_MAX_MPINT);
}

static void write_rsa_public(const nc_key_type *t, nc_wr *w, const nc_pk_parts *parts)
{
    (void)t;
    nc_wr_mpint(w, parts->e);
    nc_wr_mpint(w, parts->n);
}

static void read_rsa_private(const nc_key_type *t, nc_rd *r, nc_pk_parts *parts)
{
    (void)t;
    parts->n = nc_rd_mpint(r, NC_MAX_MPINT);
    parts->e = nc_rd_mpint(r, MAX_EXPONENT);
    parts->d = nc_rd_mpint(r, NC_MAX_MPINT);
    parts->iqmp = nc_rd_mpint(r, NC_MAX_MPINT);
    parts->p = nc_rd_mpint(r, NC_MAX_MPINT);
    parts->q = nc_rd_mpint(r, NC_MAX_MPINT);
}

static void write_rsa_private(const nc_key_type *t, nc_wr *w, const nc_pk_parts *parts)
{
    (void)t;
    nc_wr_mpint(w, parts->n);
    nc_wr_mpint(w, parts->e);
    nc_wr_mpint(w, parts->d);
    nc_wr_mpint(w, parts->iqmp);
    nc_wr_mpint(w, parts->p);
    nc_wr_mpint(w, parts->q);
}

/*
 * The curve stands in the blob a second time; a blob whose two names differ would be one key under
 * two types. Only uncompressed points: nobody sends others, and each key keeps one encoding.
 */
static void read_ecdsa_public(const nc_key_type *t, nc_rd *r, nc_pk_parts *parts)
{
    nacre_span curve = nc_rd_str(r);
    parts->point = nc_rd_str(r);
    bool good =
        nc_span_is(curve, t->curve) && parts->point.n == t->point_len && parts->point.p[0] == 0x04;
    if (!good) {
        nc_rd_fail(r);
    }
}

static void write_ecdsa_public(const nc_key_type *t, nc_wr *w, const nc_pk_parts *parts)
{
    nc_wr_cstr(w, t->curve);
    nc_wr_str(w, parts->point);
}

static void read_ecdsa_private(const nc_key_type *t, nc_rd *r, nc_pk_parts *parts)
{
    read_ecdsa_public(t, r, parts);
    parts->scalar = nc_rd_mpint(r, t->point_len / 2);
}

static void write_ecdsa_private(const nc_key_type *t, nc_wr *w, const nc_pk_parts *parts)
{
    write_ecdsa_public(t, w, parts);
    nc_wr_mpint(w, parts->scalar);
}

static void read_ed25519_public(const nc_key_type *t, nc_rd *r, nc_pk_parts *parts)
{
    (void)t;
    parts->ed_public = nc_rd_str(r);
    if (parts->ed_public.n != ED25519_LEN) {
        nc_rd_fail(r);
    }
}

static void write_ed25519_public(const nc_key_type *t, nc_wr *w, const nc_pk_parts *parts)
{
    (void)t;
    nc_wr_str(w, parts->ed_public);
}

/*
 * The private string is seed and public key in a row; the public key must be the same both times.
 */
static void read_ed25519_private(const nc_key_type *t, nc_rd *r, nc_pk_parts *parts)
{
    read_ed25519_public(t, r, parts);
    nacre_span both = nc_rd_str(r);
    if (nc_rd_err(r) != NACRE_OK || both.n != 2 * ED25519_LEN ||
        !nc_ct_equal(both.p + ED25519_LEN, parts->ed_public.p, ED25519_LEN)) {
        nc_rd_fail(r);
        return;
    }
    parts->ed_seed = nc_span(both.p, ED25519_LEN);
}

static void write_ed25519_private(const nc_key_type *t, nc_wr *w, const nc_pk_parts *parts)
{
    write_ed25519_public(t, w, parts);
    size_t mark = nc_wr_begin_str(w);
    nc_wr_bytes(w, parts->ed_seed);
    nc_wr_bytes(w, parts->ed_public);
    nc_wr_end_str(w, mark);
}

/* ---- security keys (PROTOCOL.u2f) -------------------------------------------------------------- */

static void read_sk_ed25519_public(const nc_key_type *t, nc_rd *r, nc_pk_parts *parts)
{
    read_ed25519_public(t, r, parts);
    parts->application = nc_rd_str(r);
}

static void write_sk_ed25519_public(const nc_key_type *t, nc_wr *w, const nc_pk_parts *parts)
{
    write_ed25519_public(t, w, parts);
    nc_wr_str(w, parts->application);
}

static void read_sk_ecdsa_public(const nc_key_type *t, nc_rd *r, nc_pk_parts *parts)
{
    read_ecdsa_public(t, r, parts);
    parts->application = nc_rd_str(r);
}

static void write_sk_ecdsa_public(const nc_key_type *t, nc_wr *w, const nc_pk_parts *parts)
{
    write_ecdsa_public(t, w, parts);
    nc_wr_str(w, parts->application);
}

static void read_sk_private(const nc_key_type *t, nc_rd *r, nc_pk_parts *parts)
{
    t->read_public(t, r, parts);
    parts->sk_flags = nc_rd_u8(r);
    parts->key_handle = nc_rd_str(r);
    parts->sk_reserved = nc_rd_str(r);
}

static void write_sk_private(const nc_key_type *t, nc_wr *w, const nc_pk_parts *parts)
{
    t->write_public(t, w, parts);
    nc_wr_u8(w, parts->sk_flags);
    nc_wr_str(w, parts->key_handle);
    nc_wr_str(w, parts->sk_reserved);
}

/* ---- DSA (RFC 4253 6.6), behind the insecure switch ---------------------------------------------- */

static void read_dsa_public(const nc_key_type *t, nc_rd *r, nc_pk_parts *parts)
{
    (void)t;
    parts->p = nc_rd_mpint(r, NC_MAX_MPINT);
    parts->q = nc_rd_mpint(r, NC_MAX_MPINT);
    parts->g = nc_rd_mpint(r, NC_MAX_MPINT);
    parts->y = nc_rd_mpint(r, NC_MAX_MPINT);
}

static void write_dsa_public(const nc_key_type *t, nc_wr *w, const nc_pk_parts *parts)
{
    (void)t;
    nc_wr_mpint(w, parts->p);
    nc_wr_mpint(w, parts->q);
    nc_wr_mpint(w, parts->g);
    nc_wr_mpint(w, parts->y);
}

static void read_dsa_private(const nc_key_type *t, nc_rd *r, nc_pk_parts *parts)
{
    read_dsa_public(t, r, parts);
    parts->x = nc_rd_mpint(r, NC_MAX_MPINT);
}

static void write_dsa_private(const nc_key_type *t, nc_wr *w, const nc_pk_parts *parts)
{
    write_dsa_public(t, w, parts);
    nc_wr_mpint(w, parts->x);
}

/* ---- the table ----------------------------------------------------------------------------------- */

static const nc_key_type type_ed25519 = {
    .name = "ssh-ed25519",
    .label = "ED25519",
    .pk = NC_PK_ED25519,
    .read_public = read_ed25519_public,
    .write_public = write_ed25519_public,
    .read_private = read_ed25519_private,
    .write_private = write_ed25519_private,
};

#define ECDSA_TYPE(bits, pk_type, point)                                                           \
    static const nc_key_type type_p##bits = {                                                      \
        .name = "ecdsa-sha2-nistp" #bits,                                                          \
        .label = "ECDSA",                                                                          \
        .pk = (pk_type),                                                                           \
        .curve = "nistp" #bits,                                                                    \
        .point_len = (point),                                                                      \
        .read_public = read_ecdsa_public,                                                          \
        .write_public = write_ecdsa_public,                                                        \
        .read_private = read_ecdsa_private,                                                        \
        .write_private = write_ecdsa_private,                                                      \
    }
ECDSA_TYPE(256, NC_PK_P256, 65);
ECDSA_TYPE(384, NC_PK_P384, 97);
ECDSA_TYPE(521, NC_PK_P521, 133);

static const nc_key_type type_sk_ed25519 = {
    .name = "sk-ssh-ed25519@openssh.com",
    .label = "ED25519-SK",
    .pk = NC_PK_SK_ED25519,
    .read_public = read_sk_ed25519_public,
    .write_public = write_sk_ed25519_public,
    .read_private = read_sk_private,
    .write_private = write_sk_private,
};

static const nc_key_type type_sk_p256 = {
    .name = "sk-ecdsa-sha2-nistp256@openssh.com",
    .label = "ECDSA-SK",
    .pk = NC_PK_SK_P256,
    .curve = "nistp256",
    .point_len = 65,
    .read_public = read_sk_ecdsa_public,
    .write_public = write_sk_ecdsa_public,
    .read_private = read_sk_private,
    .write_private = write_sk_private,
};

static const nc_key_type type_rsa = {
    .name = "ssh-rsa",
    .label = "RSA",
    .pk = NC_PK_RSA,
    .read_public = read_rsa_public,
    .write_public = write_rsa_public,
    .read_private = read_rsa_private,
    .write_private = write_rsa_private,
};

static const nc_key_type type_dsa = {
    .name = "ssh-dss",
    .label = "DSA",
    .pk = NC_PK_DSA,
    .insecure = true,
    .read_public = read_dsa_public,
    .write_public = write_dsa_public,
    .read_private = read_dsa_private,
    .write_private = write_dsa_private,
};

const nc_key_type *const nc_key_types[] = {&type_ed25519, &type_p256,       &type_p384,
                                           &type_p521,    &type_sk_ed25519, &type_sk_p256,
                                           &type_rsa,     &type_dsa,        NULL};

const nc_key_type *nc_key_type_find_any(nacre_span name)
{
    for (size_t i = 0; nc_key_types[i]; i++) {
        if (nc_span_is(name, nc_key_types[i]->name)) {
            return nc_key_types[i];
        }
    }
    return NULL;
}

const nc_key_type *nc_key_type_find(nacre_span name)
{
    const nc_key_type *t = nc_key_type_find_any(name);
    return t && !t->insecure ? t : NULL;
}

const nc_key_type *nc_key_type_of(nc_pk_type pk)
{
    size_t i = 0;
    while (nc_key_types[i + 1] && nc_key_types[i]->pk != pk) {
        i++;
    }
    return nc_key_types[i];
}

nacre_span nc_blob_type(nacre_span blob)
{
    nc_rd r = nc_rd_init(blob);
    return nc_rd_str(&r);
}
