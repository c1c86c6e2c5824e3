/*
 * canonical_name.c - see canonical_name.h.
 */
#include "io/canonical_name.h"

#include "io/resolve.h"

#include <netdb.h>
#include <stdio.h>
#include <string.h>

int nc_canonical_name(const char *name, int family, bool numeric, char *out, size_t size)
{
    struct addrinfo hints, *list = NULL;
    char text[NI_MAXHOST];
    memset(&hints, 0, sizeof(hints));
    hints.ai_family = nc_family_of(family);
    hints.ai_socktype = SOCK_STREAM;
    hints.ai_flags = numeric ? AI_NUMERICHOST : AI_CANONNAME;
    out[0] = '\0';
    if (getaddrinfo(name, NULL, &hints, &list) != 0 || !list) {
        return NACRE_RESOLVE;
    }
    const char *found = list->ai_canonname;
    if (numeric) {
        bool good = !list->ai_next && getnameinfo(list->ai_addr, list->ai_addrlen, text,
                                                  sizeof(text), NULL, 0, NI_NUMERICHOST) == 0;
        found = good ? text : NULL;
    }
    if (found && strlen(found) < size) {
        memcpy(out, found, strlen(found) + 1);
    }
    freeaddrinfo(list);
    return numeric && !*out ? NACRE_RESOLVE : NACRE_OK;
}
