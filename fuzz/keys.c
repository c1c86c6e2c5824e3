/*
 * Key files and blobs of every form that we read; what loads must print, compare, and come back from
 * every form that it can be written in.
 */
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "nacre/key.h"

static const nacre_span none = {NULL, 0};

/* What we write we read, and it is the same key. */
static void write_and_read(const nacre_key *k, nacre_key_format format)
{
    nacre_key_format_options o;
    nacre_key *again = NULL;
    char *text = NULL;
    size_t n = 0;
    nacre_key_format_options_init(&o, format);
    if (nacre_key_write(k, &o, &text, &n, NULL) != NACRE_OK) {
        return; /* not every form takes every type */
    }
    nacre_span in = {(const uint8_t *)text, n};
    nacre_key_load_options lax;
    nacre_key_load_options_init(&lax);
    lax.insecure_dss = true;
    int rc = format < NACRE_FORMAT_LINE ? nacre_key_load(&again, NULL, in, &lax, NULL)
                                        : nacre_key_from_public_insecure(&again, NULL, in, NULL);
    bool same = rc == NACRE_OK && (nacre_key_equal(k, again) || format < NACRE_FORMAT_LINE ||
                                   format > NACRE_FORMAT_RFC4716);
    if (!same) {
        abort();
    }
    nacre_key_free(again);
    nacre_secret_free(NULL, text, n);
}

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
    for (int f = NACRE_FORMAT_OPENSSH; f <= NACRE_FORMAT_PUB_PEM; f++) {
        write_and_read(k, (nacre_key_format)f);
    }
    nacre_key_free(k);
}

/* Opening must not cost more than looking: a passphrase only where it is one hash. */
static bool cheap_to_open(nacre_span in)
{
    static const char mark[] = "PuTTY-User-Key-File-2";
    return in.n > sizeof(mark) && memcmp(in.p, mark, sizeof(mark) - 1) == 0;
}

static void try_private(nacre_span in)
{
    nacre_key *k = NULL;
    nacre_error err;
    nacre_key_load_options lax;
    nacre_key_load_options_init(&lax);
    if (cheap_to_open(in)) {
        lax.passphrase.p = (const uint8_t *)"nacre";
        lax.passphrase.n = 5;
    }
    if (nacre_key_from_private(&k, NULL, in, none, &err) == NACRE_OK) {
        use(k);
    }
    lax.insecure_dss = true;
    if (nacre_key_load(&k, NULL, in, &lax, &err) == NACRE_OK) {
        use(k);
    }
    if (nacre_key_public_of_private(&k, NULL, in, &err) == NACRE_OK) {
        use(k);
    }
}

/* The input as a signature, by keys whose signatures have fields of their own. */
static void try_signature(nacre_span in)
{
    static const char *const lines[] = {
        "sk-ssh-ed25519@openssh.com "
        "AAAAGnNrLXNzaC1lZDI1NTE5QG9wZW5zc2guY29tAAAAINdamAGCsQq31Uv+"
        "08lkBzoO4XLz2qYjJa8CGmj3B1EaAAA"
        "ABHNzaDo=",
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAINdamAGCsQq31Uv+08lkBzoO4XLz2qYjJa8CGmj3B1Ea",
    };
    for (size_t i = 0; i < 2; i++) {
        nacre_span line = {(const uint8_t *)lines[i], strlen(lines[i])};
        nacre_key *k = NULL;
        nacre_sk_details d;
        if (nacre_key_from_public(&k, NULL, line, NULL) != NACRE_OK ||
            nacre_key_verify_sk(k, NULL, none, in, &d) == NACRE_OK) {
            abort(); /* nobody has the private half */
        }
        nacre_key_free(k);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const nacre_span in = {data, size};
    nacre_key *k = NULL;
    nacre_error err;
    try_private(in);
    try_signature(in);
    if (nacre_key_from_blob_insecure(&k, NULL, in, &err) == NACRE_OK) {
        use(k);
    }
    if (nacre_key_from_public_line(&k, NULL, in, &err) == NACRE_OK) {
        use(k);
    }
    if (nacre_key_from_public_insecure(&k, NULL, in, &err) == NACRE_OK) {
        use(k);
    }
    return 0;
}
