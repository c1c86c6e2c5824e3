/*
 * pattern.h - OpenSSH's pattern lists (ssh_config(5) PATTERNS) and numeric addresses: "*", "?",
 * "!negated", comma lists, CIDR blocks. Used for known_hosts, authorized_keys and configuration.
 *
 * Lists are matched entry by entry where they stand; they are never split into new strings, and a
 * name that is matched can never count as two because a comma stands in it.
 */
#ifndef NC_KEYS_PATTERN_H
#define NC_KEYS_PATTERN_H

#include "base/mem.h"

typedef enum nc_match {
    NC_MATCH_NEGATED = -1, /* an entry with "!" matched: the answer is no, whatever else matches */
    NC_MATCH_NO = 0,
    NC_MATCH_YES = 1,
    NC_MATCH_BAD = 2 /* the list itself is malformed (addresses): treat as a refusal */
} nc_match;

/* One pattern. Time is at most text.n * pattern.n, no recursion. ignore_case: ASCII only. */
bool nc_pattern_match(nacre_span text, nacre_span pattern, bool ignore_case);
/* A comma list of patterns. Only an un-negated entry makes NC_MATCH_YES. */
nc_match nc_pattern_list(nacre_span text, nacre_span list, bool ignore_case);

/*
 * A numeric address. IPv4 in IPv6 (::ffff:1.2.3.4) is read as the IPv4 address that it stands for.
 */
typedef struct nc_ip {
    uint8_t bytes[16];
    unsigned bits; /* 32 or 128; 0: none */
} nc_ip;

/* A scope ("%eth0") after an IPv6 address is allowed and dropped. */
bool nc_ip_parse(nacre_span text, nc_ip *out);
/*
 * "10.0.0.0/8": no bits may be set behind the prefix. Without "/" the whole address is the prefix.
 */
bool nc_ip_parse_block(nacre_span text, nc_ip *out, unsigned *prefix);
bool nc_ip_in_block(const nc_ip *ip, const nc_ip *block, unsigned prefix);
/*
 * A comma list of blocks and addresses, no patterns, nothing negated (source-address of certificates).
 * NC_MATCH_BAD when an entry is malformed, wherever it stands. An address that is none is in no block.
 */
nc_match nc_block_list(nacre_span address, nacre_span list);

/*
 * A from="..." list against a peer: entries are CIDR blocks, addresses or patterns; patterns are
 * tried on the address as text and on the host name (empty: not known).
 */
nc_match nc_peer_list(nacre_span address, nacre_span host, nacre_span list);

#endif
