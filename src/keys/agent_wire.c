/*
 * agent_wire.c - framing, requests and replies of the ssh-agent protocol (RFC 9987 3).
 *
 * Not here: how private keys and constraints lie in a request (agent_key.c).
 */
#include "keys/agent_wire.h"
#include "keys/cert.h"

#include <string.h>

int nc_agent_frame(const nc_queue *q, nacre_span *msg)
{
    *msg = nc_span(NULL, 0);
    nc_rd r = nc_rd_init(nc_span(nc_queue_front(q), nc_queue_len(q)));
    if (nc_rd_left(&r) < 4) {
        return NACRE_AGAIN;
    }
    uint32_t n = nc_rd_u32(&r);
    if (n == 0 || n > NC_AGENT_MAX_MESSAGE) {
        return NACRE_AGENT_PROTOCOL;
    }
    if (nc_rd_left(&r) < n) {
        return NACRE_AGAIN;
    }
    *msg = nc_rd_bytes(&r, n);
    return NACRE_OK;
}

/* ---- requests ---------------------------------------------------------------------------------- */

typedef struct request {
    nc_wr w;
    size_t before, mark;
} request;

static request begin(nc_buf *out, uint8_t type)
{
    request q = {nc_wr_init(out), out->len, 0};
    q.mark = nc_wr_begin_str(&q.w);
    nc_wr_u8(&q.w, type);
    return q;
}

/* On failure nothing of it is left: half a request would be the beginning of the next. */
static int end(request *q)
{
    nc_wr_end_str(&q->w, q->mark);
    int rc = nc_wr_err(&q->w);
    if (rc == NACRE_OK && q->w.b->len - q->before - 4 > NC_AGENT_MAX_MESSAGE) {
        rc = NACRE_TOO_LARGE;
    }
    if (rc != NACRE_OK) {
        nc_buf_truncate(q->w.b, q->before);
    }
    return rc == NACRE_LIMIT ? NACRE_TOO_LARGE : rc;
}

int nc_agent_ask(nc_buf *out, uint8_t type)
{
    request q = begin(out, type);
    return end(&q);
}

int nc_agent_ask_string(nc_buf *out, uint8_t type, nacre_span s)
{
    request q = begin(out, type);
    nc_wr_str(&q.w, s);
    return end(&q);
}

int nc_agent_ask_sign(nc_buf *out, nacre_span blob, nacre_span data, uint32_t flags)
{
    request q = begin(out, SSH_AGENTC_SIGN_REQUEST);
    nc_wr_str(&q.w, blob);
    nc_wr_str(&q.w, data);
    nc_wr_u32(&q.w, flags);
    return end(&q);
}

static bool is_constrained(const nacre_agent_constraints *c)
{
    return c && (c->lifetime_seconds || c->confirm || c->destination_count || c->sk_provider ||
                 c->cert_count);
}

int nc_agent_ask_add(nc_buf *out, const nacre_key *key, const nacre_agent_constraints *c)
{
    bool constrained = is_constrained(c);
    request q = begin(out, constrained ? SSH_AGENTC_ADD_ID_CONSTRAINED : SSH_AGENTC_ADD_IDENTITY);
    nc_agent_write_key(&q.w, key);
    nc_wr_cstr(&q.w, nacre_key_comment(key));
    if (constrained) {
        nc_agent_write_constraints(&q.w, c);
    }
    return end(&q);
}

int nc_agent_ask_token(nc_buf *out, bool add, const char *token, nacre_span pin,
                       const nacre_agent_constraints *c)
{
    bool constrained = add && is_constrained(c);
    request q = begin(out, constrained ? SSH_AGENTC_ADD_SMARTCARD_KEY_CONSTRAINED
                           : add       ? SSH_AGENTC_ADD_SMARTCARD_KEY
                                       : SSH_AGENTC_REMOVE_SMARTCARD_KEY);
    nc_wr_cstr(&q.w, token);
    nc_wr_str(&q.w, pin);
    if (constrained) {
        nc_agent_write_constraints(&q.w, c);
    }
    return end(&q);
}

int nc_agent_ask_extension(nc_buf *out, const char *name, nacre_span data)
{
    request q = begin(out, SSH_AGENTC_EXTENSION);
    nc_wr_cstr(&q.w, name);
    nc_wr_bytes(&q.w, data);
    return end(&q);
}

int nc_agent_ask_bind(nc_buf *out, const nacre_key *host_key, nacre_span session_id,
                      nacre_span signature, bool forwarding)
{
    request q = begin(out, SSH_AGENTC_EXTENSION);
    nc_wr_cstr(&q.w, NC_AGENT_EXT_BIND);
    nc_wr_str(&q.w, nacre_key_blob(host_key));
    nc_wr_str(&q.w, session_id);
    nc_wr_str(&q.w, signature);
    nc_wr_bool(&q.w, forwarding);
    return end(&q);
}

/* ---- signature algorithms ---------------------------------------------------------------------- */

int nc_agent_choose(const nacre_key *key, const char *algorithm, const nc_sig_alg **alg,
                    uint32_t *flags)
{
    static const struct {
        const char *name;
        uint32_t flags;
    } rows[] = {{"rsa-sha2-256", SSH_AGENT_RSA_SHA2_256}, {"rsa-sha2-512", SSH_AGENT_RSA_SHA2_512}};
    *flags = 0;
    *alg = NULL;
    if (algorithm) {
        /* "rsa-sha2-512-cert-v01@openssh.com" signs as "rsa-sha2-512" */
        const nc_sig_alg *named = nc_pubkey_alg_find(nc_span_cstr(algorithm), NULL);
        *alg = named ? nc_key_sig_alg(key, nc_span_cstr(named->name)) : NULL;
    } else {
        size_t at = 0;
        const nc_sig_alg *rsa = nc_key_sig_alg(key, nc_span_cstr("rsa-sha2-512"));
        *alg = rsa ? rsa : nc_key_next_alg(key, &at);
    }
    if (!*alg) {
        return NACRE_UNKNOWN_NAME;
    }
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        *flags |= strcmp((*alg)->name, rows[i].name) == 0 ? rows[i].flags : 0;
    }
    return NACRE_OK;
}

/* ---- replies ----------------------------------------------------------------------------------- */

static bool is_failure(uint8_t type)
{
    return type == SSH_AGENT_FAILURE || type == SSH_AGENT_EXTENSION_FAILURE ||
           type == SSH2_AGENT_FAILURE || type == SSH_COM_AGENT2_FAILURE;
}

/* The message must be of that type; a refusal says so. *r stands behind the number. */
static int expect(nacre_span msg, uint8_t type, nc_rd *r)
{
    *r = nc_rd_init(msg);
    uint8_t got = nc_rd_u8(r);
    if (nc_rd_err(r) == NACRE_OK && got == type) {
        return NACRE_OK;
    }
    return is_failure(got) ? NACRE_AGENT_REFUSED : NACRE_AGENT_PROTOCOL;
}

int nc_agent_read_status(nacre_span msg)
{
    nc_rd r;
    return expect(msg, SSH_AGENT_SUCCESS, &r);
}

/* A key of the list with its comment. NULL: of a type, or with a blob, that nacre cannot use. */
static int take_key(nacre_span blob, nacre_span comment, const nacre_allocator *a, nacre_key **out)
{
    nacre_key *bare = NULL;
    *out = NULL;
    int rc = nacre_key_from_blob(&bare, a, blob, NULL);
    if (rc != NACRE_OK) {
        return rc == NACRE_NO_MEMORY ? rc : NACRE_OK;
    }
    if (comment.n > NC_MAX_KEY_COMMENT) {
        comment.n = NC_MAX_KEY_COMMENT;
    }
    char *text = nc_strndup(a, comment);
    rc = text ? nacre_key_with_comment(out, bare, text) : NACRE_NO_MEMORY;
    nc_free(a, text);
    nacre_key_free(bare);
    return rc;
}

int nc_agent_read_list(nacre_span msg, const nacre_allocator *a, nacre_key ***keys, size_t *count)
{
    enum { SMALLEST = 8 }; /* two empty strings */
    nc_rd r;
    *keys = NULL;
    *count = 0;
    int rc = expect(msg, SSH_AGENT_IDENTITIES_ANSWER, &r);
    if (rc != NACRE_OK) {
        return rc;
    }
    uint32_t said = nc_rd_u32(&r);
    /* The count is believed only as far as bytes are there for it. */
    if (nc_rd_err(&r) != NACRE_OK || said > NC_AGENT_MAX_KEYS || said > nc_rd_left(&r) / SMALLEST) {
        return NACRE_AGENT_PROTOCOL;
    }
    nacre_key **list = said ? nc_alloc_array(a, said, sizeof(*list)) : NULL;
    if (said && !list) {
        return NACRE_NO_MEMORY;
    }
    size_t n = 0, read = 0;
    while (rc == NACRE_OK && read < said && nc_rd_err(&r) == NACRE_OK) {
        nacre_span blob = nc_rd_str(&r);
        nacre_span comment = nc_rd_str(&r);
        nacre_key *k = NULL;
        read++;
        if (nc_rd_err(&r) == NACRE_OK) {
            rc = take_key(blob, comment, a, &k);
        }
        if (k) {
            list[n++] = k;
        }
    }
    if (rc == NACRE_OK && nc_rd_end(&r) != NACRE_OK) {
        rc = NACRE_AGENT_PROTOCOL;
    }
    if (rc != NACRE_OK || n == 0) {
        nacre_agent_keys_free(a, list, n);
        return rc;
    }
    *keys = list;
    *count = n;
    return NACRE_OK;
}

void nacre_agent_keys_free(const nacre_allocator *a, nacre_key **keys, size_t count)
{
    for (size_t i = 0; keys && i < count; i++) {
        nacre_key_free(keys[i]);
    }
    nc_free(a, keys);
}

int nc_agent_read_signature(nacre_span msg, const nacre_key *key, const nc_sig_alg *alg,
                            nacre_span data, nacre_span *sig)
{
    nc_rd r;
    *sig = nc_span(NULL, 0);
    int rc = expect(msg, SSH_AGENT_SIGN_RESPONSE, &r);
    if (rc != NACRE_OK) {
        return rc;
    }
    nacre_span blob = nc_rd_str(&r);
    if (nc_rd_end(&r) != NACRE_OK || blob.n > NC_MAX_KEY_BLOB) {
        return NACRE_AGENT_PROTOCOL;
    }
    /* Old agents answer with SHA-1 whatever they are asked for; a bad one could sign with any key. */
    nacre_sk_details touched; /* whether that is enough is the server's to say */
    rc = nc_key_verify_details(key, nc_span_cstr(alg->name), data, blob, &touched);
    if (rc == NACRE_OK) {
        *sig = blob;
    }
    return rc;
}

int nc_agent_read_extension(nacre_span msg, const char *name, nacre_span *rest)
{
    nc_rd r = nc_rd_init(msg);
    uint8_t type = nc_rd_u8(&r);
    *rest = nc_span(NULL, 0);
    if (type == SSH_AGENT_FAILURE || type == SSH2_AGENT_FAILURE || type == SSH_COM_AGENT2_FAILURE) {
        return NACRE_UNSUPPORTED;
    }
    if (type == SSH_AGENT_EXTENSION_FAILURE) {
        return NACRE_AGENT_REFUSED;
    }
    if (type == SSH_AGENT_EXTENSION_RESPONSE) {
        nacre_span said = nc_rd_str(&r);
        if (nc_rd_err(&r) != NACRE_OK || !nc_span_is(said, name)) {
            return NACRE_AGENT_PROTOCOL;
        }
    } else if (type != SSH_AGENT_SUCCESS) {
        return NACRE_AGENT_PROTOCOL;
    }
    *rest = nc_rd_rest(&r);
    return NACRE_OK;
}
