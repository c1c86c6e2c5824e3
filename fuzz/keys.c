/*
 * Key files and blobs of every form that we read; what loads must print, compare and sign.
 */
#include <stdlib.h>

#include "fuzz.h"
#include "nacre/key.h"

static void use(nacre_key *k)
{
    char text[256];
    static char line[128 * 1024];
    if (nacre_key_fingerprint(k, "sha256", text, sizeof(text)) < 0 || !nacre_key_equal(k, k)) {
        abort();
    }
    (void)nacre_key_public_line(k, line, sizeof(line));
    nacre_key *again = NULL;
    if (nacre_key_from_blob(&again, NULL, nacre_key_blob(k), NULL) == NACRE_OK &&
        !nacre_key_equal(k, again)) {
        abort();
    }
    nacre_key_free(again);
    nacre_key_free(k);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const nacre_span in = {data, size};
    const nacre_span none = {NULL, 0};
    nacre_key *k = NULL;
    nacre_error err;
    if (nacre_key_from_private(&k, NULL, in, none, &err) == NACRE_OK) {
        use(k);
    }
    if (nacre_key_from_blob(&k, NULL, in, &err) == NACRE_OK) {
        use(k);
    }
    if (nacre_key_from_public_line(&k, NULL, in, &err) == NACRE_OK) {
        use(k);
    }
    return 0;
}
