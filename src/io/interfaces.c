/*
 * interfaces.c - see interfaces.h.
 */
#include "io/interfaces.h"

#include <ifaddrs.h>
#include <net/if.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdint.h>
#include <sys/socket.h>

bool nc_interfaces_any(bool (*fn)(void *user, const char *address), void *user)
{
    struct ifaddrs *all = NULL;
    bool hit = false;
    if (getifaddrs(&all) != 0) {
        return false;
    }
    for (const struct ifaddrs *i = all; i && !hit; i = i->ifa_next) {
        char address[NI_MAXHOST];
        int family = i->ifa_addr ? i->ifa_addr->sa_family : AF_UNSPEC;
        socklen_t n = family == AF_INET    ? sizeof(struct sockaddr_in)
                      : family == AF_INET6 ? sizeof(struct sockaddr_in6)
                                           : 0;
        if (n && (i->ifa_flags & IFF_UP) &&
            getnameinfo(i->ifa_addr, n, address, sizeof(address), NULL, 0, NI_NUMERICHOST) == 0) {
            hit = fn(user, address);
        }
    }
    freeifaddrs(all);
    return hit;
}
