/*
 * key_write.c - keys written in every format: what goes with what, and a sentence where it does not.
 */
#include "keys/key.h"

#include <string.h>

void nacre_key_format_options_init(nacre_key_format_options *o, nacre_key_format format)
{
    memset(o, 0, sizeof(*o));
    o->size = sizeof(*o);
    o->format = format;
}

static int write_openssh(const nacre_key *k, const nacre_key_format_options *o, nc_buf *out,
                         nacre_error *err)
{
    int rc = nc_openssh_write(k, o->passphrase, o->rounds, o->cipher, out);
    switch (rc) {
    case NACRE_UNKNOWN_NAME:
        return nc_fail(err, NACRE_KEY_CIPHER,
                       "OpenSSH private key: no file is written with the cipher %s",
                       NC_ESC(nc_span_cstr(o->cipher)));
    case NACRE_TOO_LARGE:
        return nc_fail(err, NACRE_KEY_KDF,
                       "OpenSSH private key: %u rounds of bcrypt are more than are read back",
                       o->rounds);
    default:
        return rc;
    }
}

static int write_pem(const nacre_key *k, nc_pem_kind kind, const nacre_key_format_options *o,
                     nc_buf *out, nacre_error *err)
{
    nc_pem_options p = {o->passphrase, o->cipher, o->rounds};
    return nc_pk_to_pem(nc_key_pk(k), kind, &p, out, err);
}

static int write_traditional(const nacre_key *k, const nacre_key_format_options *o, nc_buf *out,
                             nacre_error *err)
{
    return write_pem(k, NC_PEM_TRADITIONAL, o, out, err);
}

static int write_pkcs8(const nacre_key *k, const nacre_key_format_options *o, nc_buf *out,
                       nacre_error *err)
{
    return write_pem(k, NC_PEM_PKCS8, o, out, err);
}

static int write_public_pem(const nacre_key *k, const nacre_key_format_options *o, nc_buf *out,
                            nacre_error *err)
{
    return write_pem(k, NC_PEM_PUBLIC_PKCS1, o, out, err);
}

static int write_public_pkcs8(const nacre_key *k, const nacre_key_format_options *o, nc_buf *out,
                              nacre_error *err)
{
    return write_pem(k, NC_PEM_PUBLIC, o, out, err);
}

static int write_line(const nacre_key *k, const nacre_key_format_options *o, nc_buf *out,
                      nacre_error *err)
{
    (void)o;
    (void)err;
    return nc_public_line_write(k, out);
}

static int write_rfc4716(const nacre_key *k, const nacre_key_format_options *o, nc_buf *out,
                         nacre_error *err)
{
    (void)o;
    (void)err;
    return nc_rfc4716_write(k, out);
}

typedef struct write_row {
    nacre_key_format format;
    bool secret;
    int (*write)(const nacre_key *k, const nacre_key_format_options *o, nc_buf *out,
                 nacre_error *err);
} write_row;

static const write_row write_rows[] = {
    {NACRE_FORMAT_OPENSSH, true, write_openssh},
    {NACRE_FORMAT_PEM, true, write_traditional},
    {NACRE_FORMAT_PKCS8, true, write_pkcs8},
    {NACRE_FORMAT_PPK2, true, nc_ppk_write},
    {NACRE_FORMAT_PPK3, true, nc_ppk_write},
    {NACRE_FORMAT_LINE, false, write_line},
    {NACRE_FORMAT_RFC4716, false, write_rfc4716},
    {NACRE_FORMAT_PUB_PKCS8, false, write_public_pkcs8},
    {NACRE_FORMAT_PUB_PEM, false, write_public_pem},
};

static const write_row *find_row(nacre_key_format format)
{
    for (size_t i = 0; i < sizeof(write_rows) / sizeof(write_rows[0]); i++) {
        if (write_rows[i].format == format) {
            return &write_rows[i];
        }
    }
    return NULL;
}

static int write_key(const nacre_key *k, const write_row *row, const nacre_key_format_options *o,
                     nc_buf *out, nacre_error *err)
{
    if (row->secret && !nacre_key_is_private(k)) {
        return nc_fail(err, NACRE_NOT_PRIVATE,
                       "this is a public key; a private one is needed to write a private file");
    }
    nacre_key *named = NULL;
    int rc = o->comment ? nacre_key_with_comment(&named, k, o->comment) : NACRE_OK;
    if (rc == NACRE_OK) {
        rc = row->write(named ? named : k, o, out, err);
    }
    nacre_key_free(named);
    if (rc == NACRE_OK) {
        rc = nc_buf_append(out, "", 1);
    }
    return rc == NACRE_OK
               ? rc
               : nc_fail(err, rc, "the key cannot be written: %s", nacre_status_text(rc));
}

int nacre_key_write(const nacre_key *k, const nacre_key_format_options *o, char **text, size_t *len,
                    nacre_error *err)
{
    *text = NULL;
    *len = 0;
    nc_error_clear(err);
    nacre_key_format_options options;
    nacre_key_format_options_init(&options, NACRE_FORMAT_OPENSSH);
    if (o) {
        memcpy(&options, o, o->size < sizeof(options) ? o->size : sizeof(options));
    }
    const write_row *row = find_row(options.format);
    if (!row) {
        return nc_fail(err, NACRE_INVALID_ARGUMENT, "there is no key format %d",
                       (int)options.format);
    }
    nc_buf out;
    nc_buf_init(&out, nc_key_allocator(k), NC_MAX_KEY_FILE);
    int rc = write_key(k, row, &options, &out, err);
    if (rc != NACRE_OK) {
        nc_buf_clear(&out);
        return rc;
    }
    *text = (char *)out.data;
    *len = out.len - 1;
    return NACRE_OK;
}
