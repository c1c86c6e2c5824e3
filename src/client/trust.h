/*
 * trust.h - between the files that judge a host key: verify.c decides, trust_find.c looks things up, trust_dns.c
 * asks the DNS, trust_update.c learns keys from the server.
 */
#ifndef NC_CLIENT_TRUST_H
#define NC_CLIENT_TRUST_H

#include "client/state.h"

enum { NC_FINGERPRINT_MAX = 128, NC_ART_MAX = 256, NC_HOST_NOTE_MAX = 2048 };

/* One host key before the judge. */
typedef struct nc_trial {
    nacre_key *plain;        /* of a certificate; owned */
    const nacre_key *key;    /* that is judged: the one shown, or plain */
    nacre_known_hosts *more; /* what more_lines added; NULL: none */
    bool check_address;
    nacre_host_match match, address_match;
    nacre_host_line line, address_line;
    bool from_more; /* line stands in more */
    bool dns_found, dns_same;
    char name[NC_NAME_MAX]; /* for sentences */
    char fingerprint[NC_FINGERPRINT_MAX];
    char why_not[320]; /* a certificate whose CA is known was refused; "" */
} nc_trial;

/* ---- trust_find.c ---- */

/* What is looked for: the alias or the host, and the port that goes with it. */
const char *nc_trust_host(const nacre_client *c);
uint16_t nc_trust_port(const nacre_client *c);
/* "host", "[host]:port" of the port; as known_hosts has it. */
void nc_trust_name(const char *host, uint16_t port, char *out, size_t size);
int nc_trust_more(nacre_client *c, nacre_lines_reason reason, const nacre_key *key,
                  nacre_known_hosts **more) NACRE_MUST_CHECK;
/* The strongest that known_hosts and more say. */
nacre_host_match nc_trust_find(const nacre_client *c, nc_trial *t, const char *host, uint16_t port,
                               const nacre_key *key, nacre_host_line *line);
/* NACRE_OK: not revoked, by list. Else c->err says by which, or why it is not known. */
int nc_trust_check_list(nacre_client *c, const nacre_key *key) NACRE_MUST_CHECK;
/* NACRE_OK: the certificate is good for this host; else why. */
int nc_trust_check_cert(const nacre_client *c, const nacre_key *cert,
                        nacre_error *why) NACRE_MUST_CHECK;
/* Appends "host key", "address key" or "host,address key"; hashed names have a line each. */
int nc_trust_lines(const nacre_client *c, const nacre_key *key, bool host, bool address,
                   nc_buf *out) NACRE_MUST_CHECK;
/* "This key is not known by any other names.", or those names. */
void nc_trust_other_names(const nacre_client *c, const nacre_key *key, char *out, size_t size);

/* ---- trust_dns.c ---- */

/*
 * NACRE_OK, and *vouched: an authenticated answer fits and policy lets that be enough. Fills dns_found and
 * dns_same. A failure is one of the connection's, never of the DNS.
 */
int nc_trust_ask_dns(nacre_client *c, nc_trial *t, bool *vouched) NACRE_MUST_CHECK;

/* ---- trust_update.c ---- */

/* Whether what was found lets the server teach us other keys. */
bool nc_trust_may_update(const nacre_client *c, const nc_trial *t, bool asked);

#endif
