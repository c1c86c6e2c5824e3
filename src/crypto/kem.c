/*
 * kem.c - what the key agreements share: the key pair's memory and the form of the secret.
 */
#include "crypto/kem.h"

#include "wire/wr.h"

nc_kem *nc_kem_alloc(const nc_kem_alg *alg, const nacre_allocator *a, size_t len)
{
    nc_kem *k = nc_zalloc(a, sizeof *k + len);

    if (k) {
        k->alg = alg;
        k->alloc = a;
        k->len = len;
    }
    return k;
}

void nc_kem_free(nc_kem *kem)
{
    if (kem) {
        nc_kem_free(kem->inner);
        nc_wipe_free(kem->alloc, kem, sizeof *kem + kem->len);
    }
}

int nc_kem_put_mpint(nc_buf *buf, const uint8_t *magnitude, size_t n)
{
    nc_wr w = nc_wr_init(buf);

    nc_wr_mpint(&w, nc_span(magnitude, n));
    return nc_wr_err(&w);
}
