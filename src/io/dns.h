/*
 * dns.h - questions to the DNS beyond addresses, that end when their deadline does.
 */
#ifndef NC_IO_DNS_H
#define NC_IO_DNS_H

#include "base/error.h"
#include "nacre/sshfp.h"

/*
 * Asks for the SSHFP records of a name in a thread of its own, because the resolver knows no deadline.
 * When the answer is there, *wait_fd is readable; then take it. A question that is dropped lives on until
 * the resolver returns, and cleans up behind itself.
 */
typedef struct nc_dns_question nc_dns_question;
int nc_dns_start(nc_dns_question **out, const char *host, int *wait_fd,
                 nacre_error *err) NACRE_MUST_CHECK;
/* Frees q. Status as nacre_sshfp_read_answer; err says why. */
int nc_dns_take(nc_dns_question *q, nacre_sshfp_answer *out, nacre_error *err) NACRE_MUST_CHECK;
void nc_dns_drop(nc_dns_question *q); /* NULL ok */

#endif
