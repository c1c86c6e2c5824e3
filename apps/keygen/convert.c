/*
 * convert.c - public keys in other programs' formats: out (-e), in (-i).
 */
#include "keygen.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static void find_file(keygen *g)
{
    struct stat st;
    if (!g->have_file) {
        kg_ask_file(g, "Enter file in which the key is");
    }
    if (stat(g->file, &st) != 0) {
        kg_die("%s: %s: %s", g->program, g->file, strerror(errno));
    }
}

static const struct {
    kg_format name;
    nacre_key_format format;
    const char *out, *in; /* what ssh-keygen calls its functions, which its messages begin with */
} rows[] = {{KG_RFC4716, NACRE_FORMAT_RFC4716, "do_convert_to_ssh2", "do_convert_from_ssh2"},
            {KG_PKCS8, NACRE_FORMAT_PUB_PKCS8, "do_convert_to_pkcs8", "do_convert_from_pkcs8"},
            {KG_PEM, NACRE_FORMAT_PUB_PEM, "do_convert_to_pem", "do_convert_from_pem"}};

static size_t row_of(const keygen *g)
{
    return g->convert == KG_PKCS8 ? 1 : g->convert == KG_PEM ? 2 : 0;
}

int kg_export(keygen *g)
{
    nacre_key *key = NULL;
    nacre_error why;
    char comment[KG_COMMENT];
    find_file(g);
    if (kg_load_public(g->file, &key, NULL, &why) != NACRE_OK) {
        key = kg_load_identity(g, g->file);
    }
    size_t row = row_of(g);
    /* RSA and ECDSA only, as ssh-keygen: programs that read these formats rarely know others. */
    const char *type = nacre_key_type(key);
    if (row != 0 && strncmp(type, "ssh-rsa", 7) != 0 && strncmp(type, "ecdsa-", 6) != 0) {
        kg_die("%s: unsupported key type %s", rows[row].out, nacre_key_label(key));
    }
    nacre_key *plain = NULL;
    if (row != 0 && nacre_key_plain(&plain, key) != NACRE_OK) {
        kg_die("%s: out of memory", rows[row].out);
    }
    (void)snprintf(comment, sizeof(comment), "%u-bit %s, converted by %s@%s from OpenSSH",
                   (unsigned)nacre_key_bits(key), nacre_key_label(key), g->user, g->hostname);
    comment[60] = '\0'; /* RFC 4716 3.3: 72 bytes a line, with "Comment: " and quotes */
    nacre_key_format_options o;
    nacre_key_format_options_init(&o, rows[row].format);
    o.comment = comment;
    char *text = NULL;
    size_t n = 0;
    int rc = nacre_key_write(plain ? plain : key, &o, &text, &n, &why);
    if (rc != NACRE_OK) {
        kg_die("%s: %s", rows[row].out, why.text);
    }
    (void)fwrite(text, 1, n, stdout);
    nacre_secret_free(NULL, text, n);
    nacre_key_free(plain);
    nacre_key_free(key);
    return 0;
}

static bool holds(nacre_span text, const char *word)
{
    return text.n && memmem(text.p, text.n, word, strlen(word)) != NULL;
}

/* NULL: the file is not in that format. */
static nacre_key *read_format(const keygen *g, nacre_span text, nacre_error *why)
{
    static const char *const begins[] = {"", "-----BEGIN PUBLIC KEY-----",
                                         "-----BEGIN RSA PUBLIC KEY-----"};
    nacre_key *key = NULL;
    memset(why, 0, sizeof(*why));
    if (!holds(text, begins[row_of(g)]) ||
        nacre_key_from_public(&key, NULL, text, why) != NACRE_OK) {
        return NULL;
    }
    return key;
}

int kg_import(keygen *g)
{
    find_file(g);
    size_t row = row_of(g);
    uint8_t *data = NULL;
    size_t n = 0;
    int number = kg_read(g->file, &data, &n);
    if (number) {
        kg_die("%s: %s: %s", g->program, g->file, strerror(number));
    }
    nacre_span text = {data, n};
    nacre_error why;
    if (row == 0 && holds(text, "---- BEGIN SSH2 ENCRYPTED PRIVATE KEY ----")) {
        kg_die("%s: private key conversion failed: private keys of ssh.com's form are not read",
               rows[row].in);
    }
    nacre_key *key = read_format(g, text, &why);
    if (!key && row == 0) {
        kg_die("%s: %s: %s", rows[row].in,
               why.status == NACRE_KEY_FORMAT ? "base64 decode" : "parse key",
               why.status == NACRE_UNSUPPORTED ? "unknown or unsupported key type"
                                               : "invalid format");
    }
    if (!key && row == 1) {
        kg_die("%s: %s is not a recognised public key format", rows[row].in, g->file);
    }
    if (!key) {
        kg_die("%s: unrecognised raw private key format", rows[row].in);
    }
    bool good = kg_put_key(stdout, key);
    (void)putchar('\n');
    nacre_key_free(key);
    kg_forget(data, n);
    if (!good) {
        kg_die("key write failed");
    }
    return 0;
}
