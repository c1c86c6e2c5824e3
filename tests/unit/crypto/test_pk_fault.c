/*
 * A computation that goes wrong while an RSA key signs: one such signature, from the CRT, tells the factors to whoever sees
 * it. The linker puts a signer in the place of libcrypto's that turns a bit (--wrap, tests/unit/crypto/meson.build).
 */
#include "vectors.h"

#include <openssl/evp.h>

static bool faulty;

int __real_nc_evp_sign(EVP_PKEY *key, const nc_hash_alg *hash, nacre_span data, nc_buf *sig);
int __wrap_nc_evp_sign(EVP_PKEY *key, const nc_hash_alg *hash, nacre_span data, nc_buf *sig);

int __wrap_nc_evp_sign(EVP_PKEY *key, const nc_hash_alg *hash, nacre_span data, nc_buf *sig)
{
    size_t start = sig->len;
    int rc = __real_nc_evp_sign(key, hash, data, sig);

    if (rc == NACRE_OK && faulty) {
        sig->data[start + (sig->len - start) / 2] ^= 1;
    }
    return rc;
}

static void rsa_signs_nothing_wrong(void **state)
{
    static const char *const names[] = {"rsa-sha2-256", "rsa-sha2-512"};
    nacre_span data = nc_span("what is signed", 14);
    nc_pk *key = NULL;

    (void)state;
    assert_int_equal(nc_pk_generate(&key, NULL, NC_PK_RSA, 2048), NACRE_OK);
    for (size_t i = 0; i < COUNT(names); i++) {
        const nc_sig_alg *alg = nc_sig_find(nc_span_cstr(names[i]));
        nc_buf sig = empty_buf();

        faulty = false;
        assert_int_equal(nc_buf_append(&sig, "keep", 4), NACRE_OK);
        assert_int_equal(nc_pk_sign(key, alg, data, &sig), NACRE_OK);
        assert_int_equal(sig.len, 4 + 256);
        nc_buf_truncate(&sig, 4);
        faulty = true;
        assert_int_equal(nc_pk_sign(key, alg, data, &sig), NACRE_CRYPTO);
        assert_int_equal(sig.len, 4); /* nothing of it is left behind */
        nc_buf_clear(&sig);
    }
    nc_pk_free(key);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rsa_signs_nothing_wrong),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
