/*
 * drive_keys.c - the calls for key files on standard input, one a line, words parted by tabs ("-": none):
 *
 *   read PATH PASSPHRASE                        loads, signs and verifies
 *   public PATH                                 loads a public key in any form
 *   clear PATH                                  the public half that stands in a private file
 *   write FORMAT FROM PASSPHRASE TO PASSPHRASE CIPHER KDF ROUNDS MEMORY LANES
 *   verify PUBLIC ALGORITHM DATA SIGNATURE      files; tells what a security key says
 *
 * Answers one line: "ok TYPE FINGERPRINT PRIVATE COMMENT", or the status' symbol and the sentence.
 */
#include <nacre/nacre.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { WORDS = 12, LINE = 8192 };

static nacre_error err;

static const struct {
    const char *name;
    nacre_key_format format;
} formats[] = {
    {"openssh", NACRE_FORMAT_OPENSSH}, {"pem", NACRE_FORMAT_PEM},
    {"pkcs8", NACRE_FORMAT_PKCS8},     {"ppk2", NACRE_FORMAT_PPK2},
    {"ppk3", NACRE_FORMAT_PPK3},       {"line", NACRE_FORMAT_LINE},
    {"rfc4716", NACRE_FORMAT_RFC4716}, {"pub_pkcs8", NACRE_FORMAT_PUB_PKCS8},
    {"pub_pem", NACRE_FORMAT_PUB_PEM},
};

static nacre_span word_span(const char *s)
{
    nacre_span none = {NULL, 0};
    nacre_span text = {(const uint8_t *)s, strlen(s)};
    return strcmp(s, "-") == 0 ? none : text;
}

/* NULL for "-". */
static const char *word(const char *s)
{
    return strcmp(s, "-") == 0 ? NULL : s;
}

static void tell(int rc, const nacre_key *k)
{
    char fingerprint[128] = "";
    if (rc != NACRE_OK) {
        printf("%s %s\n", nacre_status_symbol(rc), err.text);
        return;
    }
    (void)nacre_key_fingerprint(k, "sha256", fingerprint, sizeof(fingerprint));
    printf("ok %s %s %s %s\n", nacre_key_type(k), fingerprint,
           nacre_key_is_private(k) ? "private" : "public", nacre_key_comment(k));
}

static uint8_t *slurp(const char *path, size_t *n)
{
    FILE *f = fopen(path, "rb");
    uint8_t *p = malloc(1 << 20);
    *n = f && p ? fread(p, 1, 1 << 20, f) : 0;
    if (f) {
        fclose(f);
    }
    return p;
}

static int load(nacre_key **k, const char *path, const char *passphrase)
{
    nacre_key_load_options o;
    nacre_key_load_options_init(&o);
    o.passphrase = word_span(passphrase);
    return nacre_key_load_file(k, NULL, path, &o, &err);
}

static void do_read(char **w)
{
    nacre_key *k = NULL;
    nacre_span data = {(const uint8_t *)"data", 4};
    uint8_t *sig = NULL;
    size_t n = 0;
    int rc = load(&k, w[1], w[2]);
    if (rc == NACRE_OK && !nacre_key_is_sk(k)) {
        rc = nacre_key_sign(k, NULL, data, &sig, &n);
        nacre_span s = {sig, n};
        rc = rc == NACRE_OK ? nacre_key_verify(k, NULL, data, s) : rc;
        nacre_secret_free(NULL, sig, n);
    }
    tell(rc, k);
    nacre_key_free(k);
}

static void do_public(char **w, bool clear)
{
    nacre_key *k = NULL;
    size_t n = 0;
    uint8_t *p = slurp(w[1], &n);
    nacre_span text = {p, n};
    int rc = clear ? nacre_key_public_of_private(&k, NULL, text, &err)
                   : nacre_key_from_public(&k, NULL, text, &err);
    tell(rc, k);
    nacre_key_free(k);
    free(p);
}

static void do_write(char **w)
{
    nacre_key_format_options o;
    nacre_key *k = NULL;
    nacre_key_format_options_init(&o, NACRE_FORMAT_OPENSSH);
    for (size_t i = 0; i < sizeof(formats) / sizeof(formats[0]); i++) {
        o.format = strcmp(w[1], formats[i].name) == 0 ? formats[i].format : o.format;
    }
    o.passphrase = word_span(w[5]);
    o.cipher = word(w[6]);
    o.kdf = word(w[7]);
    o.rounds = (uint32_t)strtoul(w[8], NULL, 10);
    o.memory_kib = (uint32_t)strtoul(w[9], NULL, 10);
    o.parallelism = (uint32_t)strtoul(w[10], NULL, 10);
    int rc = load(&k, w[2], w[3]);
    if (rc == NACRE_OK) {
        rc = nacre_key_save_file(k, w[4], &o, NACRE_SAVE_REPLACE, &err);
    }
    tell(rc, k);
    nacre_key_free(k);
}

static void do_verify(char **w)
{
    nacre_key *k = NULL;
    nacre_sk_details d = {0};
    size_t key_n = 0, data_n = 0, sig_n = 0;
    uint8_t *key = slurp(w[1], &key_n);
    uint8_t *data = slurp(w[3], &data_n);
    uint8_t *sig = slurp(w[4], &sig_n);
    nacre_span key_span = {key, key_n}, data_span = {data, data_n}, sig_span = {sig, sig_n};
    int rc = nacre_key_from_public(&k, NULL, key_span, &err);
    if (rc == NACRE_OK) {
        rc = nacre_key_verify_sk(k, word(w[2]), data_span, sig_span, &d);
    }
    if (rc == NACRE_OK) {
        printf("ok %d %u %u\n", d.sk, d.flags, d.counter);
    } else {
        tell(rc, k);
    }
    nacre_key_free(k);
    free(key);
    free(data);
    free(sig);
}

int main(void)
{
    static char line[LINE];
    while (fgets(line, sizeof(line), stdin)) {
        char *w[WORDS];
        size_t n = 0;
        char *from = line;
        while (n < WORDS && from) {
            w[n++] = from;
            from = strpbrk(from, "\t\n");
            if (from) {
                *from++ = '\0';
            }
        }
        static char none[] = "-";
        while (n < WORDS) {
            w[n++] = none;
        }
        memset(&err, 0, sizeof(err));
        if (strcmp(w[0], "read") == 0) {
            do_read(w);
        } else if (strcmp(w[0], "write") == 0) {
            do_write(w);
        } else if (strcmp(w[0], "verify") == 0) {
            do_verify(w);
        } else {
            do_public(w, strcmp(w[0], "clear") == 0);
        }
        fflush(stdout);
    }
    return 0;
}
