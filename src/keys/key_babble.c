/*
 * key_babble.c - a fingerprint as words that can be spoken: "bubble babble" (Huima, 2001) of SHA-1, as
 * ssh-keygen -B prints it.
 */
#include "keys/key.h"
#include "nacre/cert.h"

#include <string.h>

static const char vowels[] = "aeiouy";
static const char consonants[] = "bcdfghklmnprstvzx";

/*
 * "xubof-" and so on: five letters and a hyphen for two bytes, with a running checksum in the vowels. n is even, as
 * lengths of digests are.
 */
static size_t write_babble(const uint8_t *digest, size_t n, char *out)
{
    unsigned sum = 1;
    size_t at = 0;
    out[at++] = 'x';
    for (size_t i = 0;; i += 2) {
        unsigned one = i < n ? digest[i] : 0;
        if (i >= n) {
            out[at++] = vowels[sum % 6];
            out[at++] = consonants[16];
            out[at++] = vowels[sum / 6];
            break;
        }
        out[at++] = vowels[((one >> 6) + sum) % 6];
        out[at++] = consonants[(one >> 2) & 15];
        out[at++] = vowels[((one & 3) + sum / 6) % 6];
        unsigned two = digest[i + 1];
        out[at++] = consonants[two >> 4];
        out[at++] = '-';
        out[at++] = consonants[two & 15];
        sum = (sum * 5 + one * 7 + two) % 36;
    }
    out[at++] = 'x';
    out[at] = '\0';
    return at;
}

int nacre_key_babble(const nacre_key *k, char *out, size_t size)
{
    nacre_key *plain = NULL;
    uint8_t digest[NC_MAX_HASH];
    char text[256];
    nc_text_empty(out, size);
    int rc = nacre_key_plain(&plain, k);
    if (rc != NACRE_OK) {
        return rc;
    }
    const nc_hash_alg *sha1 = nc_hash_get(NC_SHA1);
    nacre_span blob = nacre_key_blob(plain);
    rc = nc_hash(sha1, &blob, 1, digest);
    nacre_key_free(plain);
    if (rc != NACRE_OK) {
        return rc;
    }
    size_t n = write_babble(digest, sha1->len, text);
    if (n >= size) {
        return NACRE_TOO_LARGE;
    }
    memcpy(out, text, n + 1);
    return (int)n;
}
