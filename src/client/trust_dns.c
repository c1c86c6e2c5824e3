/*
 * trust_dns.c - what the DNS says of a host key (VerifyHostKeyDNS). Only an authenticated answer can vouch for
 * it; no answer, a failure or one that is late is as if nobody had been asked.
 */
#include "client/trust.h"
#include "io/dns.h"
#include "io/resolve.h"

enum { DNS_TIMEOUT_MS = 15 * 1000 /* three times what a resolver waits for its first server */ };

typedef struct waiting {
    bool readable;
} waiting;

static void on_readable(void *user, int fd, unsigned ready)
{
    waiting *w = user;
    (void)fd;
    (void)ready;
    w->readable = true;
}

static int is_readable(void *user)
{
    const waiting *w = user;
    return w->readable ? NACRE_OK : NACRE_AGAIN;
}

/* The connection lives on meanwhile. NACRE_TIMEOUT is the DNS's; c->err is not touched by what is its. */
static int ask_system(nacre_client *c, nacre_sshfp_answer *answer, nacre_error *why, int *status)
{
    nc_dns_question *q = NULL;
    waiting w = {false};
    int fd = -1;
    *status = nc_dns_start(&q, c->host, &fd, why);
    if (*status != NACRE_OK) {
        return NACRE_OK;
    }
    int rc = nacre_loop_add(c->loop, fd, NACRE_READ, on_readable, &w);
    if (rc != NACRE_OK) {
        nc_dns_drop(q);
        *status = rc;
        return NACRE_OK;
    }
    nc_wait wait = nc_client_wait_init(c, DNS_TIMEOUT_MS, "the look-up of host keys in the DNS");
    rc = nc_client_wait(c, &wait, is_readable, &w);
    nacre_loop_remove(c->loop, fd);
    if (rc != NACRE_OK) {
        nc_dns_drop(q);
        *status = rc;
        if (rc == NACRE_TIMEOUT) {
            nc_client_begin(c);
            (void)nc_fail(why, rc, "the name server did not answer in time");
            rc = NACRE_OK;
        }
        return rc;
    }
    *status = nc_dns_take(q, answer, why);
    return NACRE_OK;
}

static bool is_numeric(const char *host)
{
    nc_address a;
    return nc_address_parse(host, 22, 0, &a) == NACRE_OK;
}

int nc_trust_ask_dns(nacre_client *c, nc_trial *t, bool *vouched)
{
    const nacre_host_trust *trust = &c->cfg.trust;
    nacre_error why;
    int status = NACRE_NOT_FOUND;
    *vouched = false;
    if (trust->verify_dns == NACRE_DNS_NO || is_numeric(c->host)) {
        return NACRE_OK;
    }
    nacre_sshfp_answer *answer = nc_zalloc(c->alloc, sizeof(*answer));
    if (!answer) {
        return nc_client_fail(c, NACRE_NO_MEMORY, "out of memory");
    }
    nc_error_clear(&why);
    int rc = NACRE_OK;
    if (trust->lookup_sshfp) {
        status = trust->lookup_sshfp(trust->user, c->host, answer, &why);
    } else {
        rc = ask_system(c, answer, &why, &status);
    }
    if (rc == NACRE_OK && status == NACRE_OK) {
        nacre_sshfp_match m = nacre_sshfp_check(answer, t->key);
        t->dns_found = answer->count > 0;
        t->dns_same = m == NACRE_SSHFP_SAME;
        nc_client_log(c, NACRE_LOG_VERBOSE, "found %zu %s fingerprints in DNS; %s host key",
                      answer->count, answer->authenticated ? "secure" : "insecure",
                      t->dns_same ? "matching" : "none matches the");
        *vouched = t->dns_same && answer->authenticated && trust->verify_dns == NACRE_DNS_YES;
    } else if (rc == NACRE_OK) {
        nc_client_log(c, NACRE_LOG_VERBOSE, "DNS: %s",
                      why.text[0] ? why.text : nacre_status_text(status));
    }
    nc_free(c->alloc, answer);
    return rc;
}
