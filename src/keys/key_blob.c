/*
 * key_blob.c - the key types as data: how the parts of each lie in a public key blob (RFC 4253 6.6,
 * RFC 5656 3.1, RFC 8709 4) and in the private section of OpenSSH's file format (PROTOCOL.key).
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

#define ECDSA_TYPE(bits, pk_type, point)                                                           \
    static const nc_key_type type_p##bits = {"ecdsa-sha2-nistp" #bits,                             \
                                             "ECDSA",                                              \
                                             (pk_type),                                            \
                                             "nistp" #bits,                                        \
                                             (point),                                              \
                                             read_ecdsa_public,                                    \
                                             write_ecdsa_public,                                   \
                                             read_ecdsa_private,                                   \
                                             write_ecdsa_private}
ECDSA_TYPE(256, NC_PK_P256, 65);
ECDSA_TYPE(384, NC_PK_P384, 97);
ECDSA_TYPE(521, NC_PK_P521, 133);

static const nc_key_type type_ed25519 = {"ssh-ed25519",
                                         "ED25519",
                                         NC_PK_ED25519,
                                         NULL,
                                         0,
                                         read_ed25519_public,
                                         write_ed25519_public,
                                         read_ed25519_private,
                                         write_ed25519_private};
static const nc_key_type type_rsa = {"ssh-rsa",
                                     "RSA",
                                     NC_PK_RSA,
                                     NULL,
                                     0,
                                     read_rsa_public,
                                     write_rsa_public,
                                     read_rsa_private,
                                     write_rsa_private};

const nc_key_type *const nc_key_types[] = {&type_ed25519, &type_p256, &type_p384,
                                           &type_p521,    &type_rsa,  NULL};

const nc_key_type *nc_key_type_find(nacre_span name)
{
    for (size_t i = 0; nc_key_types[i]; i++) {
        if (nc_span_is(name, nc_key_types[i]->name)) {
            return nc_key_types[i];
        }
    }
    return NULL;
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
