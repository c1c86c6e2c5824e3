/*
 * nacre/sshfp.h - host key fingerprints in the DNS (SSHFP records: RFC 4255, RFC 6594, RFC 7479).
 *
 * Reading and matching records does no I/O. Whether an answer may be believed is not in the records: only
 * one that a trusted resolver has authenticated (DNSSEC, the AD bit) vouches for a key; any other is a
 * hint at most.
 */
#ifndef NACRE_SSHFP_H
#define NACRE_SSHFP_H

#include "nacre/key.h"

#ifdef __cplusplus
extern "C" {
#endif

enum {
    NACRE_SSHFP_MAX = 64, /* records of one answer that are looked at; hosts have a dozen at most */
    NACRE_SSHFP_DIGEST_MAX = 64 /* a longer fingerprint is of no hash that we know */
};

/* One record. Algorithms: 1 RSA, 2 DSA, 3 ECDSA, 4 Ed25519, 6 Ed448; hashes: 1 SHA-1, 2 SHA-256. */
typedef struct nacre_sshfp {
    uint8_t algorithm, hash, length;
    uint8_t digest[NACRE_SSHFP_DIGEST_MAX];
} nacre_sshfp;

typedef struct nacre_sshfp_answer {
    bool authenticated; /* AD: the resolver has checked the signatures */
    size_t count;
    nacre_sshfp records[NACRE_SSHFP_MAX];
} nacre_sshfp_answer;

typedef enum nacre_sshfp_match {
    NACRE_SSHFP_NONE = 0, /* no record speaks of a key of this algorithm by a hash that we know */
    NACRE_SSHFP_DIFFERS,  /* at least one does, and is of another key */
    NACRE_SSHFP_SAME      /* at least one does, and all are of this key */
} nacre_sshfp_match;

/* The data of one record (RFC 4255 3.1). NACRE_MALFORMED: too short or long for its hash. */
NACRE_API int nacre_sshfp_parse(nacre_span rdata, nacre_sshfp *out) NACRE_MUST_CHECK;
/*
 * A whole DNS message (RFC 1035 4), as a resolver hands it over: the SSHFP records of its answer section. Bad
 * ones are left out. NACRE_MALFORMED: it is no complete answer (cut off included); NACRE_NOT_FOUND: the
 * name has no such records (NXDOMAIN, or an empty answer); NACRE_RESOLVE: the server could not say
 * (SERVFAIL and others; a failed DNSSEC check is such a one).
 */
NACRE_API int nacre_sshfp_read_answer(nacre_span message, nacre_sshfp_answer *out) NACRE_MUST_CHECK;
/* A certificate is taken for its plain key. Failures of ours (memory, crypto) are NACRE_SSHFP_DIFFERS. */
NACRE_API nacre_sshfp_match nacre_sshfp_check(const nacre_sshfp_answer *answer,
                                              const nacre_key *key);
/*
 * One line of a zone file, as ssh-keygen -r (generic: -g) prints it, without a line end: "host IN SSHFP 4 2
 * <hex>". hash: 1 or 2. The length, or NACRE_TOO_LARGE, NACRE_UNSUPPORTED (a key type without a number).
 */
NACRE_API int nacre_sshfp_text(const nacre_key *key, uint8_t hash, const char *host, bool generic,
                               char *out, size_t size) NACRE_MUST_CHECK;
/*
 * Asks the system's resolver for the records of a name; blocks, up to timeout_ms (0: as long as the resolver
 * takes). Status as for nacre_sshfp_read_answer, and NACRE_TIMEOUT. The answer is authenticated only when
 * the resolver is trusted to say so: with glibc, "options trust-ad" in resolv.conf.
 */
NACRE_API int nacre_sshfp_lookup(const char *host, uint32_t timeout_ms, nacre_sshfp_answer *out,
                                 nacre_error *err) NACRE_MUST_CHECK;

#ifdef __cplusplus
}
#endif
#endif
