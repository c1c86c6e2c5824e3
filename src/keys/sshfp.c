/*
 * sshfp.c - SSHFP records: reading them from DNS messages and matching host keys against them.
 *
 * Everything in a message is the network's word. Names are only stepped over, never followed: what a record
 * is about was said in the question, and the resolver has seen to it that the answer fits.
 */
#include "nacre/sshfp.h"
#include "crypto/crypto.h"
#include "keys/cert.h"

#include <stdio.h>
#include <string.h>

enum {
    TYPE_SSHFP = 44, /* RFC 4255 5 */
    CLASS_IN = 1,
    FLAG_RESPONSE = 0x8000,
    FLAG_TRUNCATED = 0x0200,
    FLAG_AUTHENTIC = 0x0020, /* RFC 4035 3.2.3 */
    RCODE_MASK = 0x000f,
    RCODE_NXDOMAIN = 3,
    LABEL_POINTER = 0xc0,
    NAME_MAX_LEN = 255 /* RFC 1035 2.3.4 */
};

int nacre_sshfp_parse(nacre_span rdata, nacre_sshfp *out)
{
    static const uint8_t lengths[] = {0, 20, 32};
    memset(out, 0, sizeof(*out));
    if (rdata.n < 3 || rdata.n - 2 > NACRE_SSHFP_DIGEST_MAX) {
        return NACRE_MALFORMED;
    }
    size_t n = rdata.n - 2;
    uint8_t hash = rdata.p[1];
    if (hash == 0 || (hash < sizeof(lengths) && n != lengths[hash])) {
        return NACRE_MALFORMED;
    }
    out->algorithm = rdata.p[0];
    out->hash = hash;
    out->length = (uint8_t)n;
    memcpy(out->digest, rdata.p + 2, n);
    return NACRE_OK;
}

/* ---- DNS messages ---------------------------------------------------------------------------- */

static uint16_t take16(nc_rd *r)
{
    uint8_t high = nc_rd_u8(r);
    return (uint16_t)(high << 8 | nc_rd_u8(r));
}

/* Labels up to the root or a pointer. */
static void skip_name(nc_rd *r)
{
    size_t total = 0;
    for (;;) {
        uint8_t length = nc_rd_u8(r);
        total += (size_t)length + 1;
        if (nc_rd_err(r) != NACRE_OK || length == 0) {
            return;
        }
        if ((length & LABEL_POINTER) == LABEL_POINTER) {
            (void)nc_rd_u8(r);
            return;
        }
        if ((length & LABEL_POINTER) != 0 || total > NAME_MAX_LEN) {
            nc_rd_fail(r);
            return;
        }
        (void)nc_rd_bytes(r, length);
    }
}

static void read_record(nc_rd *r, nacre_sshfp_answer *out)
{
    skip_name(r);
    uint16_t type = take16(r);
    uint16_t class = take16(r);
    (void)nc_rd_u32(r); /* how long it may be kept: we keep nothing */
    nacre_span data = nc_rd_bytes(r, take16(r));
    if (nc_rd_err(r) != NACRE_OK || type != TYPE_SSHFP || class != CLASS_IN ||
        out->count >= NACRE_SSHFP_MAX) {
        return;
    }
    if (nacre_sshfp_parse(data, &out->records[out->count]) == NACRE_OK) {
        out->count++;
    }
}

int nacre_sshfp_read_answer(nacre_span message, nacre_sshfp_answer *out)
{
    nc_rd r = nc_rd_init(message);
    memset(out, 0, sizeof(*out));
    (void)take16(&r);
    uint16_t flags = take16(&r);
    uint16_t questions = take16(&r);
    uint16_t answers = take16(&r);
    (void)nc_rd_u32(&r); /* counts of the sections behind */
    if (nc_rd_err(&r) != NACRE_OK || !(flags & FLAG_RESPONSE) || (flags & FLAG_TRUNCATED)) {
        return NACRE_MALFORMED;
    }
    if ((flags & RCODE_MASK) != 0) {
        return (flags & RCODE_MASK) == RCODE_NXDOMAIN ? NACRE_NOT_FOUND : NACRE_RESOLVE;
    }
    /* The counts are the sender's; each round takes bytes, and the end of them ends it. */
    for (; questions && nc_rd_err(&r) == NACRE_OK; questions--) {
        skip_name(&r);
        (void)nc_rd_u32(&r);
    }
    for (; answers && nc_rd_err(&r) == NACRE_OK; answers--) {
        read_record(&r, out);
    }
    if (nc_rd_err(&r) != NACRE_OK) {
        memset(out, 0, sizeof(*out));
        return NACRE_MALFORMED;
    }
    out->authenticated = (flags & FLAG_AUTHENTIC) != 0;
    return out->count ? NACRE_OK : NACRE_NOT_FOUND;
}

/* ---- keys ------------------------------------------------------------------------------------ */

/* 0: a type that has no number. */
static uint8_t algorithm_of(const nacre_key *key)
{
    static const struct {
        const char *type;
        uint8_t number;
    } rows[] = {{"ssh-rsa", 1},
                {"ssh-dss", 2},
                {"ecdsa-sha2-nistp256", 3},
                {"ecdsa-sha2-nistp384", 3},
                {"ecdsa-sha2-nistp521", 3},
                {"ssh-ed25519", 4}};
    nacre_span type = nc_blob_type(nc_key_plain_blob(key));
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        if (nc_span_is(type, rows[i].type)) {
            return rows[i].number;
        }
    }
    return 0;
}

static const nc_hash_alg *hash_of(uint8_t number)
{
    return number == 1 ? nc_hash_get(NC_SHA1) : number == 2 ? nc_hash_get(NC_SHA256) : NULL;
}

static bool same_digest(const nacre_sshfp *record, const nc_hash_alg *alg, const nacre_key *key)
{
    uint8_t digest[NC_MAX_HASH];
    nacre_span blob = nc_key_plain_blob(key);
    return record->length == alg->len && nc_hash(alg, &blob, 1, digest) == NACRE_OK &&
           nc_ct_equal(digest, record->digest, alg->len);
}

nacre_sshfp_match nacre_sshfp_check(const nacre_sshfp_answer *answer, const nacre_key *key)
{
    nacre_sshfp_match result = NACRE_SSHFP_NONE;
    uint8_t algorithm = algorithm_of(key);
    for (size_t i = 0; algorithm && i < answer->count && i < NACRE_SSHFP_MAX; i++) {
        const nacre_sshfp *record = &answer->records[i];
        const nc_hash_alg *alg = hash_of(record->hash);
        if (record->algorithm != algorithm || !alg) {
            continue;
        }
        if (!same_digest(record, alg, key)) {
            return NACRE_SSHFP_DIFFERS;
        }
        result = NACRE_SSHFP_SAME;
    }
    return result;
}

int nacre_sshfp_text(const nacre_key *key, uint8_t hash, const char *host, bool generic, char *out,
                     size_t size)
{
    const nc_hash_alg *alg = hash_of(hash);
    uint8_t algorithm = algorithm_of(key);
    uint8_t digest[NC_MAX_HASH];
    nacre_span blob = nc_key_plain_blob(key);
    if (!alg || !algorithm) {
        return NACRE_UNSUPPORTED;
    }
    int rc = nc_hash(alg, &blob, 1, digest);
    if (rc != NACRE_OK) {
        return rc;
    }
    /* RFC 3597 5: a type that the zone's software does not know, as its number. */
    int n = generic ? snprintf(out, size, "%s IN TYPE%d \\# %zu %02x %02x ", host, TYPE_SSHFP,
                               2 + alg->len, algorithm, hash)
                    : snprintf(out, size, "%s IN SSHFP %u %u ", host, (unsigned)algorithm,
                               (unsigned)hash);
    if (n < 0 || (size_t)n + 2 * alg->len >= size) {
        return NACRE_TOO_LARGE;
    }
    for (size_t i = 0; i < alg->len; i++) {
        n += snprintf(out + n, size - (size_t)n, "%02x", digest[i]);
    }
    return n;
}
