/* null_crypto.h - what the linker finds under --wrap, and the two bytes that decide. */
#ifndef NC_FUZZ_NULL_CRYPTO_H
#define NC_FUZZ_NULL_CRYPTO_H

#include "crypto/crypto.h"

enum {
    NULL_CRYPTO_GOOD_SIGNATURE = 'V', /* first byte of a signature that verifies */
    NULL_CRYPTO_BAD_POINT = 0xEE      /* last byte of a public value that does not agree */
};

int __real_nc_pktcipher_new(nc_pktcipher **out, const nacre_allocator *a, const nc_cipher_alg *alg,
                            const nc_mac_alg *mac, const uint8_t *key, const uint8_t *iv,
                            const uint8_t *mac_key, bool seal);
int __wrap_nc_pktcipher_new(nc_pktcipher **out, const nacre_allocator *a, const nc_cipher_alg *alg,
                            const nc_mac_alg *mac, const uint8_t *key, const uint8_t *iv,
                            const uint8_t *mac_key, bool seal);
int __wrap_nc_hash(const nc_hash_alg *alg, const nacre_span *pieces, size_t count, uint8_t *out);
extern const nc_kem_alg __wrap_nc_kem_x25519, __wrap_nc_kem_p256, __wrap_nc_kem_p384,
    __wrap_nc_kem_p521, __wrap_nc_kem_mlkem768x25519, __wrap_nc_kem_sntrup761x25519,
    __wrap_nc_kem_mlkem768nistp256, __wrap_nc_kem_mlkem1024nistp384, __wrap_nc_kem_group14,
    __wrap_nc_kem_group16, __wrap_nc_kem_group18;
void __wrap_nc_kem_free(nc_kem *kem);
int __wrap_nc_dh_kem_new(const nc_kem_alg **out, const nacre_allocator *a, const nc_dh_group *group,
                         uint32_t min_bits, uint32_t max_bits);
void __wrap_nc_dh_kem_free(const nacre_allocator *a, const nc_kem_alg *alg);
int __wrap_nc_pk_sign(const nc_pk *k, const nc_sig_alg *alg, nacre_span data, nc_buf *sig);
int __wrap_nc_pk_verify(const nc_pk *k, const nc_sig_alg *alg, nacre_span data, nacre_span sig);

#endif
