/*
 * cert_issue.c - making certificates, as ssh-keygen -s does (PROTOCOL.certkeys): fields in their order, options
 * sorted by name, a nonce of random bytes, and the CA's signature, made here or elsewhere.
 */
#include "keys/cert.h"

#include <stdlib.h>
#include <string.h>

enum {
    NONCE_LEN =
        32, /* as OpenSSH's; what it must prevent is that a caller knows the bytes to be signed */
    /* As many as principals; a certificate of today has five. */
    MAX_OPTIONS = 256
};

void nacre_cert_request_init(nacre_cert_request *r, nacre_cert_kind kind)
{
    memset(r, 0, sizeof(*r));
    r->size = sizeof(*r);
    r->kind = kind;
    r->valid_before = NACRE_CERT_FOREVER;
}

static bool text_good(nacre_span s)
{
    return s.n == 0 || (s.p && !memchr(s.p, 0, s.n));
}

static int check_request(const nacre_cert_request *r, nacre_error *err)
{
    if (r->kind != NACRE_CERT_USER && r->kind != NACRE_CERT_HOST) {
        return nc_fail(err, NACRE_INVALID_ARGUMENT, "certificates are for users or for hosts");
    }
    if (r->valid_before <= r->valid_after) {
        return nc_fail(err, NACRE_INVALID_ARGUMENT,
                       "the certificate's validity would end before it begins");
    }
    if (r->principal_count > NC_CERT_MAX_PRINCIPALS || r->critical_count > MAX_OPTIONS ||
        r->extension_count > MAX_OPTIONS) {
        return nc_fail(err, NACRE_TOO_LARGE, "more than %d principals or options",
                       NC_CERT_MAX_PRINCIPALS);
    }
    if (!text_good(r->key_id)) {
        return nc_fail(err, NACRE_INVALID_ARGUMENT, "the key identity holds a zero byte");
    }
    for (size_t i = 0; i < r->principal_count; i++) {
        if (r->principals[i].n == 0 || !text_good(r->principals[i])) {
            return nc_fail(err, NACRE_INVALID_ARGUMENT,
                           "a principal is empty or holds a zero byte");
        }
    }
    return NACRE_OK;
}

/* ---- options ------------------------------------------------------------------------------------ */

static int compare_options(const void *a, const void *b)
{
    nacre_span x = ((const nacre_cert_option *)a)->name;
    nacre_span y = ((const nacre_cert_option *)b)->name;
    int order = memcmp(x.p, y.p, x.n < y.n ? x.n : y.n);
    return order ? order : (x.n > y.n) - (x.n < y.n);
}

static int check_options(const nacre_cert_option *sorted, size_t count, nacre_error *err)
{
    for (size_t i = 0; i < count; i++) {
        if (i && nc_span_eq(sorted[i - 1].name, sorted[i].name)) {
            return nc_fail(err, NACRE_INVALID_ARGUMENT, "the option %s stands there twice",
                           NC_ESC(sorted[i].name));
        }
    }
    return NACRE_OK;
}

static int write_options(nc_wr *w, const nacre_cert_option *options, size_t count, nacre_error *err)
{
    size_t mark = nc_wr_begin_str(w);
    nacre_cert_option *sorted = nc_alloc_array(w->b->alloc, count + 1, sizeof(*sorted));
    if (!sorted) {
        return nc_fail(err, NACRE_NO_MEMORY, "out of memory");
    }
    int rc = NACRE_OK;
    for (size_t i = 0; i < count; i++) {
        sorted[i] = options[i];
        if (options[i].name.n == 0 || !text_good(options[i].name)) {
            rc = nc_fail(err, NACRE_INVALID_ARGUMENT, "an option has no name");
        }
    }
    if (rc == NACRE_OK && count) {
        qsort(sorted, count, sizeof(*sorted), compare_options);
        rc = check_options(sorted, count, err);
    }
    for (size_t i = 0; rc == NACRE_OK && i < count; i++) {
        nc_wr_str(w, sorted[i].name);
        size_t outer = nc_wr_begin_str(w);
        if (sorted[i].data.p) {
            nc_wr_str(w, sorted[i].data);
        }
        nc_wr_end_str(w, outer);
    }
    nc_wr_end_str(w, mark);
    nc_free(w->b->alloc, sorted);
    return rc;
}

/* ---- fields ------------------------------------------------------------------------------------- */

static int write_nonce(nc_wr *w, const nacre_cert_request *r)
{
    uint8_t nonce[NONCE_LEN];
    nc_random random = {r->random, r->random_user};
    int rc = nc_random_bytes(&random, nonce, sizeof(nonce));
    nc_wr_str(w, nc_span(nonce, sizeof(nonce)));
    return rc;
}

static void write_principals(nc_wr *w, const nacre_cert_request *r)
{
    size_t mark = nc_wr_begin_str(w);
    for (size_t i = 0; i < r->principal_count; i++) {
        nc_wr_str(w, r->principals[i]);
    }
    nc_wr_end_str(w, mark);
}

/* Everything that the CA signs. */
static int write_fields(nc_buf *out, const nc_cert_type *type, nacre_span plain,
                        const nacre_key *ca, const nacre_cert_request *r, nacre_error *err)
{
    nc_wr w = nc_wr_init(out);
    nc_rd public_fields = nc_rd_init(plain);
    (void)nc_rd_str(&public_fields); /* the plain type name */
    nc_wr_cstr(&w, type->name);
    int rc = write_nonce(&w, r);
    if (rc != NACRE_OK) {
        return nc_fail(err, rc, "no random bytes for the certificate's nonce");
    }
    nc_wr_bytes(&w, nc_rd_rest(&public_fields));
    nc_wr_u64(&w, r->serial);
    nc_wr_u32(&w, (uint32_t)r->kind);
    nc_wr_str(&w, r->key_id);
    write_principals(&w, r);
    nc_wr_u64(&w, r->valid_after);
    nc_wr_u64(&w, r->valid_before);
    rc = write_options(&w, r->critical, r->critical_count, err);
    if (rc == NACRE_OK) {
        rc = write_options(&w, r->extensions, r->extension_count, err);
    }
    if (rc != NACRE_OK) {
        return rc;
    }
    nc_wr_cstr(&w, ""); /* reserved */
    nc_wr_str(&w, nacre_key_blob(ca));
    rc = nc_wr_err(&w);
    if (rc == NACRE_LIMIT) {
        return nc_fail(err, NACRE_TOO_LARGE, "the certificate would be larger than %d bytes",
                       NC_MAX_KEY_BLOB);
    }
    return rc == NACRE_OK ? rc : nc_fail(err, rc, "%s", nacre_status_text(rc));
}

/* Appends the CA's signature. */
static int sign_fields(nc_buf *out, const nacre_key *ca, const nacre_cert_request *r,
                       nacre_error *err)
{
    uint8_t *sig = NULL;
    size_t n = 0;
    const char *algorithm = r->algorithm ? r->algorithm : nc_key_best_alg(ca)->name;
    if (!nc_key_sig_alg(ca, nc_span_cstr(algorithm))) {
        return nc_fail(err, NACRE_UNKNOWN_NAME, "a CA with a key of type %s cannot sign with %s",
                       nacre_key_type(ca), NC_ESC(nc_span_cstr(algorithm)));
    }
    int rc = r->sign ? r->sign(r->sign_user, ca, algorithm, nc_buf_span(out), &sig, &n)
                     : nacre_key_sign(ca, algorithm, nc_buf_span(out), &sig, &n);
    if (rc == NACRE_OK) {
        nc_wr w = nc_wr_init(out);
        /* Agents that know no flags sign with SHA-1 whatever they are asked for. */
        bool as_asked = nc_span_is(nc_blob_type(nc_span(sig, n)), algorithm);
        nc_wr_str(&w, nc_span(sig, n));
        rc = as_asked ? nc_wr_err(&w) : NACRE_BAD_SIGNATURE;
    }
    nacre_secret_free(nc_key_allocator(ca), sig, n);
    return rc == NACRE_OK ? rc
                          : nc_fail(err, rc, "the CA could not sign with %s: %s", algorithm,
                                    nacre_status_text(rc));
}

int nacre_cert_issue(nacre_key **out, const nacre_key *subject, const nacre_key *ca,
                     const nacre_cert_request *request, nacre_error *err)
{
    nacre_cert_request r;
    *out = NULL;
    nc_error_clear(err);
    nacre_cert_request_init(&r, request->kind);
    memcpy(&r, request, request->size < sizeof(r) ? request->size : sizeof(r));
    int rc = check_request(&r, err);
    if (rc != NACRE_OK) {
        return rc;
    }
    const nc_cert_type *type = nc_cert_type_for(nc_key_get_type(subject)->name);
    if (!type || nacre_key_is_cert(ca)) {
        return nc_fail(err, NACRE_INVALID_ARGUMENT, "%s",
                       type ? "a certificate cannot sign certificates"
                            : "there are no certificates for keys of this type");
    }
    const nacre_allocator *a = nc_key_allocator(subject);
    nacre_key *made = NULL;
    nc_buf blob;
    nc_buf_init(&blob, a, NC_MAX_KEY_BLOB);
    rc = write_fields(&blob, type, nc_key_plain_blob(subject), ca, &r, err);
    if (rc == NACRE_OK) {
        rc = sign_fields(&blob, ca, &r, err);
    }
    /* What was made is judged as if it had come from outside: the signature may have. */
    if (rc == NACRE_OK) {
        rc = nacre_key_from_blob(&made, a, nc_buf_span(&blob), err);
    }
    if (rc == NACRE_OK) {
        rc = nacre_key_attach_cert(out, subject, made, err);
    }
    nacre_key_free(made);
    nc_buf_clear(&blob);
    return rc;
}
