/*
 * algo.c - the table of names and defaults, and the list syntax that picks from it.
 */
#include "transport/algo.h"

#include <string.h>

#include "keys/pattern.h"
#include "wire/rd.h"

/*
 * What each kind knows, in order of preference. DEFAULT rows are offered; LISTED ones only when named:
 * they are weaker than today's standard or of use to few.
 */
typedef struct algo_row {
    nacre_algorithm_kind kind;
    bool offered;
    const char *name;
} algo_row;

static const algo_row algo_rows[] = {
    /* Post-quantum first: what is recorded today must not be read in twenty years. */
    {NACRE_ALG_KEX, true, "mlkem768x25519-sha256"},
    {NACRE_ALG_KEX, true, "sntrup761x25519-sha512"},
    {NACRE_ALG_KEX, true, "sntrup761x25519-sha512@openssh.com"},
    {NACRE_ALG_KEX, true, "curve25519-sha256"},
    {NACRE_ALG_KEX, true, "curve25519-sha256@libssh.org"},
    {NACRE_ALG_KEX, true, "ecdh-sha2-nistp256"},
    {NACRE_ALG_KEX, true, "ecdh-sha2-nistp384"},
    {NACRE_ALG_KEX, true, "ecdh-sha2-nistp521"},
    {NACRE_ALG_KEX, true, "diffie-hellman-group-exchange-sha256"},
    {NACRE_ALG_KEX, true, "diffie-hellman-group16-sha512"},
    {NACRE_ALG_KEX, true, "diffie-hellman-group18-sha512"},
    {NACRE_ALG_KEX, true, "diffie-hellman-group14-sha256"},
    {NACRE_ALG_KEX, false, "mlkem768nistp256-sha256"},
    {NACRE_ALG_KEX, false, "mlkem1024nistp384-sha384"},

    /* Certificates first: they are checked without anybody being asked. */
    {NACRE_ALG_HOST_KEY, true, "ssh-ed25519-cert-v01@openssh.com"},
    {NACRE_ALG_HOST_KEY, true, "ecdsa-sha2-nistp256-cert-v01@openssh.com"},
    {NACRE_ALG_HOST_KEY, true, "ecdsa-sha2-nistp384-cert-v01@openssh.com"},
    {NACRE_ALG_HOST_KEY, true, "ecdsa-sha2-nistp521-cert-v01@openssh.com"},
    {NACRE_ALG_HOST_KEY, true, "sk-ssh-ed25519-cert-v01@openssh.com"},
    {NACRE_ALG_HOST_KEY, true, "sk-ecdsa-sha2-nistp256-cert-v01@openssh.com"},
    {NACRE_ALG_HOST_KEY, true, "rsa-sha2-512-cert-v01@openssh.com"},
    {NACRE_ALG_HOST_KEY, true, "rsa-sha2-256-cert-v01@openssh.com"},
    {NACRE_ALG_HOST_KEY, true, "ssh-ed25519"},
    {NACRE_ALG_HOST_KEY, true, "ecdsa-sha2-nistp256"},
    {NACRE_ALG_HOST_KEY, true, "ecdsa-sha2-nistp384"},
    {NACRE_ALG_HOST_KEY, true, "ecdsa-sha2-nistp521"},
    {NACRE_ALG_HOST_KEY, true, "sk-ssh-ed25519@openssh.com"},
    {NACRE_ALG_HOST_KEY, true, "sk-ecdsa-sha2-nistp256@openssh.com"},
    {NACRE_ALG_HOST_KEY, true, "rsa-sha2-512"},
    {NACRE_ALG_HOST_KEY, true, "rsa-sha2-256"},
    {NACRE_ALG_HOST_KEY, false, "ssh-rsa-cert-v01@openssh.com"},
    {NACRE_ALG_HOST_KEY, false, "ssh-rsa"},

    {NACRE_ALG_SIGNATURE, true, "ssh-ed25519-cert-v01@openssh.com"},
    {NACRE_ALG_SIGNATURE, true, "ecdsa-sha2-nistp256-cert-v01@openssh.com"},
    {NACRE_ALG_SIGNATURE, true, "ecdsa-sha2-nistp384-cert-v01@openssh.com"},
    {NACRE_ALG_SIGNATURE, true, "ecdsa-sha2-nistp521-cert-v01@openssh.com"},
    {NACRE_ALG_SIGNATURE, true, "sk-ssh-ed25519-cert-v01@openssh.com"},
    {NACRE_ALG_SIGNATURE, true, "sk-ecdsa-sha2-nistp256-cert-v01@openssh.com"},
    {NACRE_ALG_SIGNATURE, true, "rsa-sha2-512-cert-v01@openssh.com"},
    {NACRE_ALG_SIGNATURE, true, "rsa-sha2-256-cert-v01@openssh.com"},
    {NACRE_ALG_SIGNATURE, true, "ssh-ed25519"},
    {NACRE_ALG_SIGNATURE, true, "ecdsa-sha2-nistp256"},
    {NACRE_ALG_SIGNATURE, true, "ecdsa-sha2-nistp384"},
    {NACRE_ALG_SIGNATURE, true, "ecdsa-sha2-nistp521"},
    {NACRE_ALG_SIGNATURE, true, "sk-ssh-ed25519@openssh.com"},
    {NACRE_ALG_SIGNATURE, true, "sk-ecdsa-sha2-nistp256@openssh.com"},
    {NACRE_ALG_SIGNATURE, true, "rsa-sha2-512"},
    {NACRE_ALG_SIGNATURE, true, "rsa-sha2-256"},
    {NACRE_ALG_SIGNATURE, false, "ssh-rsa-cert-v01@openssh.com"},
    {NACRE_ALG_SIGNATURE, false, "ssh-rsa"},
    {NACRE_ALG_SIGNATURE, false, "webauthn-sk-ecdsa-sha2-nistp256@openssh.com"},
    {NACRE_ALG_SIGNATURE, false, "webauthn-sk-ecdsa-sha2-nistp256-cert-v01@openssh.com"},

    {NACRE_ALG_CA_SIGNATURE, true, "ssh-ed25519"},
    {NACRE_ALG_CA_SIGNATURE, true, "ecdsa-sha2-nistp256"},
    {NACRE_ALG_CA_SIGNATURE, true, "ecdsa-sha2-nistp384"},
    {NACRE_ALG_CA_SIGNATURE, true, "ecdsa-sha2-nistp521"},
    {NACRE_ALG_CA_SIGNATURE, true, "sk-ssh-ed25519@openssh.com"},
    {NACRE_ALG_CA_SIGNATURE, true, "sk-ecdsa-sha2-nistp256@openssh.com"},
    {NACRE_ALG_CA_SIGNATURE, true, "rsa-sha2-512"},
    {NACRE_ALG_CA_SIGNATURE, true, "rsa-sha2-256"},
    {NACRE_ALG_CA_SIGNATURE, false, "ssh-rsa"},
    {NACRE_ALG_CA_SIGNATURE, false, "webauthn-sk-ecdsa-sha2-nistp256@openssh.com"},

    /* Strict kex is always on, so ChaCha20-Poly1305 and EtM are safe (Terrapin). */
    {NACRE_ALG_CIPHER, true, "chacha20-poly1305@openssh.com"},
    {NACRE_ALG_CIPHER, true, "aes128-gcm@openssh.com"},
    {NACRE_ALG_CIPHER, true, "aes256-gcm@openssh.com"},
    {NACRE_ALG_CIPHER, true, "aes128-ctr"},
    {NACRE_ALG_CIPHER, true, "aes192-ctr"},
    {NACRE_ALG_CIPHER, true, "aes256-ctr"},

    {NACRE_ALG_MAC, true, "hmac-sha2-256-etm@openssh.com"},
    {NACRE_ALG_MAC, true, "hmac-sha2-512-etm@openssh.com"},
    {NACRE_ALG_MAC, true, "hmac-sha2-256"},
    {NACRE_ALG_MAC, true, "hmac-sha2-512"},

    {NACRE_ALG_COMPRESSION, true, "none"},
    {NACRE_ALG_COMPRESSION, true, "zlib@openssh.com"},
    /* Before authentication, so an attack surface for strangers: only when named. */
    {NACRE_ALG_COMPRESSION, false, "zlib"},
};

enum { ALGO_ROWS = sizeof(algo_rows) / sizeof(algo_rows[0]) };

static const char *const kind_names[] = {
    "key exchange", "host key", "cipher", "MAC", "compression", "signature", "CA signature",
};

static const nc_kex_method kex_methods[] = {
    {"mlkem768x25519-sha256", &nc_kem_mlkem768x25519, NC_SHA256, true},
    {"sntrup761x25519-sha512", &nc_kem_sntrup761x25519, NC_SHA512, true},
    {"sntrup761x25519-sha512@openssh.com", &nc_kem_sntrup761x25519, NC_SHA512, true},
    {"mlkem768nistp256-sha256", &nc_kem_mlkem768nistp256, NC_SHA256, true},
    {"mlkem1024nistp384-sha384", &nc_kem_mlkem1024nistp384, NC_SHA384, true},
    {"curve25519-sha256", &nc_kem_x25519, NC_SHA256, false},
    {"curve25519-sha256@libssh.org", &nc_kem_x25519, NC_SHA256, false},
    {"ecdh-sha2-nistp256", &nc_kem_p256, NC_SHA256, false},
    {"ecdh-sha2-nistp384", &nc_kem_p384, NC_SHA384, false},
    {"ecdh-sha2-nistp521", &nc_kem_p521, NC_SHA512, false},
    {"diffie-hellman-group-exchange-sha256", NULL, NC_SHA256, false},
    {"diffie-hellman-group16-sha512", &nc_kem_group16, NC_SHA512, false},
    {"diffie-hellman-group18-sha512", &nc_kem_group18, NC_SHA512, false},
    {"diffie-hellman-group14-sha256", &nc_kem_group14, NC_SHA256, false},
};

const nc_kex_method *nc_kex_find(nacre_span name)
{
    for (size_t i = 0; i < sizeof(kex_methods) / sizeof(kex_methods[0]); i++) {
        if (nc_span_is(name, kex_methods[i].name)) {
            return &kex_methods[i];
        }
    }
    return NULL;
}

const nc_cipher_alg *nc_cipher_find(nacre_span name)
{
    for (size_t i = 0; nc_cipher_algs[i]; i++) {
        if (nc_span_is(name, nc_cipher_algs[i]->name)) {
            return nc_cipher_algs[i];
        }
    }
    return NULL;
}

const nc_mac_alg *nc_mac_find(nacre_span name)
{
    for (size_t i = 0; nc_mac_algs[i]; i++) {
        if (nc_span_is(name, nc_mac_algs[i]->name)) {
            return nc_mac_algs[i];
        }
    }
    return NULL;
}

bool nc_compression_find(nacre_span name, nc_compression *out)
{
    static const char *const names[] = {"none", "zlib", "zlib@openssh.com"};
    for (int i = 0; i < 3; i++) {
        if (nc_span_is(name, names[i])) {
            *out = (nc_compression)i;
            return true;
        }
    }
    return false;
}

const char *nc_algo_static_name(nacre_algorithm_kind kind, nacre_span name)
{
    for (size_t i = 0; i < ALGO_ROWS; i++) {
        if (algo_rows[i].kind == kind && nc_span_is(name, algo_rows[i].name)) {
            return algo_rows[i].name;
        }
    }
    return NULL;
}

size_t nacre_algorithms(nacre_algorithm_kind kind, bool only_default, char *out, size_t size)
{
    size_t need = 0;
    if (out && size) {
        out[0] = '\0';
    }
    for (size_t i = 0; i < ALGO_ROWS; i++) {
        if (algo_rows[i].kind != kind || (only_default && !algo_rows[i].offered)) {
            continue;
        }
        size_t len = strlen(algo_rows[i].name) + (need ? 1 : 0);
        if (out && need + len < size) {
            if (need) {
                out[need] = ',';
            }
            memcpy(out + need + (need ? 1 : 0), algo_rows[i].name, strlen(algo_rows[i].name) + 1);
        }
        need += len;
    }
    return need;
}

/* A list under construction: row numbers, in order, each at most once. */
typedef struct selection {
    size_t rows[ALGO_ROWS];
    size_t count;
} selection;

static void select_row(selection *s, size_t row)
{
    for (size_t i = 0; i < s->count; i++) {
        if (s->rows[i] == row) {
            return;
        }
    }
    s->rows[s->count++] = row;
}

static void select_defaults(selection *s, nacre_algorithm_kind kind)
{
    for (size_t i = 0; i < ALGO_ROWS; i++) {
        if (algo_rows[i].kind == kind && algo_rows[i].offered) {
            select_row(s, i);
        }
    }
}

/* Adds every row that a name or wildcard pattern means; false when there is none. */
static bool select_matching(selection *s, nacre_algorithm_kind kind, nacre_span pattern)
{
    bool found = false;
    for (size_t i = 0; i < ALGO_ROWS; i++) {
        if (algo_rows[i].kind == kind &&
            nc_pattern_match(nc_span_cstr(algo_rows[i].name), pattern, false)) {
            select_row(s, i);
            found = true;
        }
    }
    return found;
}

static bool has_wildcard(nacre_span s)
{
    return s.n && (memchr(s.p, '*', s.n) || memchr(s.p, '?', s.n));
}

static void remove_rows(selection *from, const selection *which)
{
    size_t kept = 0;
    for (size_t i = 0; i < from->count; i++) {
        bool drop = false;
        for (size_t k = 0; k < which->count; k++) {
            drop = drop || which->rows[k] == from->rows[i];
        }
        if (!drop) {
            from->rows[kept++] = from->rows[i];
        }
    }
    from->count = kept;
}

static void append_rows(selection *to, const selection *which)
{
    for (size_t i = 0; i < which->count; i++) {
        select_row(to, which->rows[i]);
    }
}

static int read_names(nacre_algorithm_kind kind, nacre_span list, bool patterns, selection *out,
                      nacre_error *err)
{
    nacre_span name;
    while (nc_namelist_next(&list, &name)) {
        bool wild = has_wildcard(name);
        if (name.n == 0 || (wild && !patterns)) {
            return nc_fail(err, NACRE_UNKNOWN_NAME,
                           "%s list: \"%s\" is not an algorithm name (wildcards may only remove)",
                           kind_names[kind], NC_ESC(name));
        }
        /* A pattern that removes nothing is no mistake: the list may have changed since. */
        if (!select_matching(out, kind, name) && !wild) {
            return nc_fail(err, NACRE_UNKNOWN_NAME, "unknown %s algorithm \"%s\"", kind_names[kind],
                           NC_ESC(name));
        }
    }
    return NACRE_OK;
}

static char *join(const selection *s, const nacre_allocator *a)
{
    size_t n = 1;
    for (size_t i = 0; i < s->count; i++) {
        n += strlen(algo_rows[s->rows[i]].name) + 1;
    }
    char *text = nc_alloc(a, n);
    if (!text) {
        return NULL;
    }
    size_t at = 0;
    for (size_t i = 0; i < s->count; i++) {
        const char *name = algo_rows[s->rows[i]].name;
        size_t len = strlen(name);
        if (i) {
            text[at++] = ',';
        }
        memcpy(text + at, name, len);
        at += len;
    }
    text[at] = '\0';
    return text;
}

int nc_algo_resolve(nacre_algorithm_kind kind, const char *spec, const nacre_allocator *a,
                    char **out, nacre_error *err)
{
    selection named = {{0}, 0};
    selection result = {{0}, 0};
    nacre_span list = nc_span_cstr(spec);
    char mode = list.n ? (char)list.p[0] : '\0';
    bool edits = mode == '+' || mode == '-' || mode == '^';
    *out = NULL;

    if (!spec || edits) {
        select_defaults(&result, kind);
    }
    if (edits) {
        list.p++;
        list.n--;
    }
    int rc = read_names(kind, list, mode == '-', &named, err);
    if (rc != NACRE_OK) {
        return rc;
    }
    if (mode == '-') {
        remove_rows(&result, &named);
    } else if (mode == '^') {
        append_rows(&named, &result);
        result = named;
    } else {
        append_rows(&result, &named);
    }
    if (result.count == 0) {
        return nc_fail(err, NACRE_UNKNOWN_NAME, "the %s list \"%s\" leaves no algorithm",
                       kind_names[kind], NC_ESC(nc_span_cstr(spec)));
    }
    *out = join(&result, a);
    return *out ? NACRE_OK : nc_fail(err, NACRE_NO_MEMORY, "out of memory");
}

int nacre_algorithms_resolve(nacre_algorithm_kind kind, const char *spec, char *out, size_t size,
                             nacre_error *err)
{
    char *list = NULL;
    nc_error_clear(err);
    int rc = nc_algo_resolve(kind, spec, NULL, &list, err);
    if (rc != NACRE_OK) {
        return rc;
    }
    size_t n = strlen(list);
    if (n < size) {
        memcpy(out, list, n + 1);
        rc = (int)n;
    } else {
        rc = nc_fail(err, NACRE_TOO_LARGE, "there is no room for the list");
    }
    nc_free(NULL, list);
    return rc;
}
