/*
 * nacre/host_trust.h - how a client decides whether a host key is the right one, beyond known_hosts and policy
 * (nacre/client.h): certificates, revocation lists, addresses, the DNS, lines that come from elsewhere, and keys
 * that are learned from the server itself. The names are those of ssh_config(5).
 *
 * The order: a key that is revoked, by list or by an @revoked line, is refused. Then a secure answer of the DNS
 * (VERIFY yes), a certificate of a CA that known_hosts names, the lines for the host, the lines for its
 * address. A check that could not be made accepts nothing.
 */
#ifndef NACRE_HOST_TRUST_H
#define NACRE_HOST_TRUST_H

#include "nacre/known_hosts.h"
#include "nacre/sshfp.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum nacre_dns_policy {
    NACRE_DNS_NO = 0,
    NACRE_DNS_ASK, /* what the DNS says is told to the person who is asked, and decides nothing */
    NACRE_DNS_YES  /* an authenticated answer that fits is enough; any other is as with ASK */
} nacre_dns_policy;

typedef enum nacre_update_policy {
    NACRE_UPDATE_NO = 0,
    NACRE_UPDATE_YES,
    NACRE_UPDATE_ASK /* ask_update decides; without it: no */
} nacre_update_policy;

/* Why lines are asked for. */
typedef enum nacre_lines_reason {
    NACRE_LINES_ORDER,  /* before connecting: which key types are known? There is no key yet */
    NACRE_LINES_NAME,   /* for the host name */
    NACRE_LINES_ADDRESS /* for the address (check_host_ip) */
} nacre_lines_reason;

typedef struct nacre_lines_wanted {
    nacre_lines_reason reason;
    const char *name;     /* as known_hosts has it: "host", "[host]:port", "[192.0.2.1]:port" */
    const nacre_key *key; /* that the server shows; NULL: ORDER */
} nacre_lines_wanted;

/* What is about to change in known_hosts. Everything is borrowed for the call. */
typedef struct nacre_host_update {
    const char *host; /* as known_hosts has it */
    nacre_key *const *learned;
    size_t learned_count;
    nacre_key *const *obsolete;
    size_t obsolete_count;
} nacre_host_update;

/* Zero is: nothing more than known_hosts. Strings are copied by nacre_client_new; functions run inside the
 * blocking calls. */
typedef struct nacre_host_trust {
    /*
     * Further lines for a host (KnownHostsCommand, a database): adds them to into. A failure ends the
     * connection; err says why. NULL: none.
     */
    int (*more_lines)(void *user, const nacre_lines_wanted *wanted, nacre_known_hosts *into,
                      nacre_error *err);
    /* update_host_keys ASK: true lets the change happen. */
    bool (*ask_update)(void *user, const nacre_host_update *update);
    /* In place of the system's resolver (nacre_sshfp_lookup, which is asked without blocking the loop). */
    int (*lookup_sshfp)(void *user, const char *host, nacre_sshfp_answer *out, nacre_error *err);
    void *user;

    bool check_host_ip; /* CheckHostIP: the address must not be known by another key */
    bool
        trust_loopback; /* NoHostAuthenticationForLocalhost: any key of 127.0.0.0/8 and ::1 passes, unless it is
                            revoked or host_key_alias is set */
    const char
        *revoked_keys; /* RevokedHostKeys: a KRL, or public keys; a file that cannot be read refuses
                                 every host */
    const char *ca_algorithms;    /* CASignatureAlgorithms; NULL: all that are secure */
    const char *fingerprint_hash; /* FingerprintHash: "sha256" (NULL), "md5" */
    bool visual;                  /* VisualHostKey: with a picture */
    nacre_dns_policy verify_dns;  /* VerifyHostKeyDNS */

    /*
     * UpdateHostKeys: keys that the server announces after login, and proves, are added to the first of
     * files, and those that it has no more are removed from all of them. Only where the host's key was found
     * in one of them, under plain names, or was just accepted by a person.
     */
    nacre_update_policy update_host_keys;
    const char *const *files; /* UserKnownHostsFile */
    size_t file_count;
} nacre_host_trust;

/*
 * Runs a program and adds what it prints as lines, as KnownHostsCommand does: argv[0] is an absolute path, no
 * shell is between. source names the lines in messages. NACRE_IO when it cannot run or exits with a status
 * other than 0; NACRE_TIMEOUT (0: none), and the program is ended; NACRE_TOO_LARGE.
 */
NACRE_API int nacre_known_hosts_add_command(nacre_known_hosts *h, char *const *argv,
                                            const char *source, uint32_t timeout_ms,
                                            nacre_error *err) NACRE_MUST_CHECK;

#ifdef __cplusplus
}
#endif
#endif
