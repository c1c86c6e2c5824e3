/*
 * key_sk.c - signatures of security keys (OpenSSH PROTOCOL.u2f): the device signs a digest of the
 * application, its flags and its counter, and a digest of the data. A browser (webauthn) signs, instead
 * of the data, a JSON text that names them.
 *
 * Not here: whether flags are enough for a login (the caller), the mathematics (crypto).
 */
#include "keys/key.h"

#include <string.h>

enum {
    FLAG_ATTESTED = 0x40,  /* attested credential data would follow; no signature for SSH has it */
    FLAG_EXTENSIONS = 0x80 /* extensions follow */
};

/* The fields behind the algorithm's name. */
typedef struct sk_signature {
    nacre_span inner;
    uint8_t flags;
    uint32_t counter;
    nacre_span origin, client_data, extensions; /* webauthn */
} sk_signature;

/* Base64 with "-" and "_", without padding (RFC 4648 5): how webauthn writes a challenge. */
static int append_base64url(nacre_span data, nc_buf *out)
{
    size_t at = out->len;
    int rc = nc_base64_encode(data, out);
    if (rc != NACRE_OK) {
        return rc;
    }
    for (size_t i = at; i < out->len; i++) {
        uint8_t c = out->data[i];
        out->data[i] = c == '+' ? '-' : c == '/' ? '_' : c;
    }
    while (out->len > at && out->data[out->len - 1] == '=') {
        nc_buf_truncate(out, out->len - 1);
    }
    return NACRE_OK;
}

/*
 * Browsers write type, challenge and origin first and in this order; so the beginning can be compared
 * as text, and no JSON need be read. What follows (crossOrigin and the like) does not count.
 */
static bool client_data_good(const sk_signature *s, nacre_span data, const nacre_allocator *a)
{
    bool quoted = s->origin.n &&
                  (memchr(s->origin.p, '"', s->origin.n) ||
                   memchr(s->origin.p, '\\', s->origin.n) || memchr(s->origin.p, 0, s->origin.n));
    bool extended = (s->flags & FLAG_EXTENSIONS) != 0;
    if (quoted || (s->flags & FLAG_ATTESTED) || extended != (s->extensions.n != 0)) {
        return false;
    }
    nc_buf begin;
    nc_buf_init(&begin, a, s->client_data.n);
    nc_wr w = nc_wr_init(&begin);
    nc_wr_bytes(&w, nc_span_cstr("{\"type\":\"webauthn.get\",\"challenge\":\""));
    int rc = nc_wr_err(&w);
    if (rc == NACRE_OK) {
        rc = append_base64url(data, &begin);
    }
    nc_wr_bytes(&w, nc_span_cstr("\",\"origin\":\""));
    nc_wr_bytes(&w, s->origin);
    nc_wr_bytes(&w, nc_span_cstr("\""));
    rc = rc == NACRE_OK ? nc_wr_err(&w) : rc;
    bool good = rc == NACRE_OK && begin.len < s->client_data.n &&
                memcmp(begin.data, s->client_data.p, begin.len) == 0 &&
                (s->client_data.p[begin.len] == ',' || s->client_data.p[begin.len] == '}');
    nc_buf_clear(&begin);
    return good;
}

static int append_sha256(nacre_span data, nc_buf *out)
{
    uint8_t digest[NC_MAX_HASH];
    const nc_hash_alg *sha256 = nc_hash_get(NC_SHA256);
    int rc = nc_hash(sha256, &data, 1, digest);
    return rc == NACRE_OK ? nc_buf_append(out, digest, sha256->len) : rc;
}

/* What the device has signed. */
static int signed_bytes(const nacre_key *k, const sk_signature *s, nacre_span data, nc_buf *out)
{
    int rc = append_sha256(nacre_key_sk_application(k), out);
    if (rc == NACRE_OK) {
        nc_wr w = nc_wr_init(out);
        nc_wr_u8(&w, s->flags);
        nc_wr_u32(&w, s->counter);
        nc_wr_bytes(&w, s->extensions);
        rc = nc_wr_err(&w);
    }
    return rc == NACRE_OK ? append_sha256(data, out) : rc;
}

int nc_sk_verify(const nacre_key *k, const nc_sig_alg *alg, nacre_span data, nc_rd *rest,
                 nacre_sk_details *out)
{
    sk_signature s;
    memset(&s, 0, sizeof(s));
    memset(out, 0, sizeof(*out));
    s.inner = nc_rd_str(rest);
    s.flags = nc_rd_u8(rest);
    s.counter = nc_rd_u32(rest);
    if (alg->webauthn) {
        s.origin = nc_rd_str(rest);
        s.client_data = nc_rd_str(rest);
        s.extensions = nc_rd_str(rest);
    }
    if (nc_rd_end(rest) != NACRE_OK) {
        return NACRE_BAD_SIGNATURE;
    }
    if (alg->webauthn && !client_data_good(&s, data, nc_key_allocator(k))) {
        return NACRE_BAD_SIGNATURE;
    }
    nc_buf message;
    nc_buf_init(&message, nc_key_allocator(k), NC_MAX_KEY_BLOB);
    int rc = signed_bytes(k, &s, alg->webauthn ? s.client_data : data, &message);
    if (rc == NACRE_OK) {
        rc = nc_pk_verify(nc_key_pk(k), alg, nc_buf_span(&message), s.inner);
    }
    nc_buf_clear(&message);
    if (rc == NACRE_OK) {
        *out = (nacre_sk_details){.sk = true, .flags = s.flags, .counter = s.counter};
    }
    return rc;
}
