/*
 * resolve.h - name resolution that ends when its deadline does.
 */
#ifndef NC_IO_RESOLVE_H
#define NC_IO_RESOLVE_H

#include "base/error.h"

#include <netdb.h>
#include <sys/socket.h>

typedef struct nc_address {
    struct sockaddr_storage sa;
    socklen_t len;
} nc_address;

enum { NC_ADDRESSES_MAX = 64 }; /* of one name; more would only prolong a failure */

/*
 * A numeric address (IPv6 may have a scope, and brackets): NACRE_OK; NACRE_NOT_FOUND: it is a name.
 * family: AF_UNSPEC, AF_INET, AF_INET6.
 */
int nc_address_parse(const char *host, uint16_t port, int family, nc_address *out) NACRE_MUST_CHECK;

/*
 * Asks for a name in a thread of its own, because getaddrinfo knows no deadline. When the answer is
 * there, *wait_fd is readable; then take it. A resolution that is dropped lives on until
 * getaddrinfo returns, and cleans up behind itself.
 */
typedef struct nc_resolution nc_resolution;
int nc_resolve_start(nc_resolution **out, const char *host, uint16_t port, int family, int *wait_fd,
                     nacre_error *err) NACRE_MUST_CHECK;
/* Frees r. *count addresses, interleaved by family, the system's preferred one first (RFC 8305 4). */
int nc_resolve_take(nc_resolution *r, nc_address *out, size_t max, size_t *count,
                    nacre_error *err) NACRE_MUST_CHECK;
void nc_resolve_drop(nc_resolution *r); /* NULL ok */

/* Alternates the families, beginning with that of the first. */
void nc_addresses_interleave(nc_address *list, size_t n);

/* "192.0.2.1" or "[2001:db8::1]:22" style text with port, for messages. */
typedef struct nc_address_text {
    char text[80];
} nc_address_text;
nc_address_text nc_address_describe(const nc_address *a);
int nc_family_of(int four_or_six) NACRE_MUST_CHECK; /* 0, 4, 6 to AF_*; -1: neither */

#endif
