/*
 * random.c - random bytes for everything that this library makes up itself: the caller's hook when
 * there is one, else libcrypto's private generator.
 */
#include "crypto/crypto.h"

#include <limits.h>
#include <openssl/rand.h>

static int default_random(uint8_t *out, size_t n)
{
    while (n > 0) {
        int step = n > INT_MAX ? INT_MAX : (int)n;

        if (RAND_priv_bytes(out, step) != 1) {
            return NACRE_RANDOM;
        }
        out += step;
        n -= (size_t)step;
    }
    return NACRE_OK;
}

int nc_random_bytes(const nc_random *r, uint8_t *out, size_t n)
{
    int rc;

    if (n == 0) {
        return NACRE_OK;
    }
    if (!r || !r->fn) {
        rc = default_random(out, n);
    } else {
        rc = r->fn(r->user, out, n) == 0 ? NACRE_OK : NACRE_RANDOM;
    }
    if (rc != NACRE_OK) {
        /* Half-filled output must not pass for a key with a caller that forgets to look. */
        nc_wipe(out, n);
    }
    return rc;
}
