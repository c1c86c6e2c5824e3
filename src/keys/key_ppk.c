/*
 * key_ppk.c - PuTTY's private-key files (PPK, PuTTY manual appendix C).
 */
#include "keys/key.h"

static int not_yet(nacre_error *err)
{
    return nc_fail(err, NACRE_KEY_FORMAT, "this is a PuTTY private key, a format that is not read");
}

int nc_ppk_read(nacre_key **out, const nacre_allocator *a, nacre_span text, nacre_span passphrase,
                bool insecure, nacre_error *err)
{
    (void)a;
    (void)text;
    (void)passphrase;
    (void)insecure;
    *out = NULL;
    return not_yet(err);
}

int nc_ppk_read_public(nacre_key **out, const nacre_allocator *a, nacre_span text, nacre_error *err)
{
    (void)a;
    (void)text;
    *out = NULL;
    return not_yet(err);
}

int nc_ppk_write(const nacre_key *k, const nacre_key_format_options *o, nc_buf *out,
                 nacre_error *err)
{
    (void)k;
    (void)o;
    (void)out;
    return not_yet(err);
}
